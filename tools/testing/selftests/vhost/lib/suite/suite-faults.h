/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of tests of failing disks: afterwards the device must serve valid
 * requests.
 */
#ifndef VHOST_TEST_SUITE_FAULTS_H
#define VHOST_TEST_SUITE_FAULTS_H

#include "suite.h"

#define T_IN	VIRTIO_BLK_T_IN
#define T_OUT	VIRTIO_BLK_T_OUT
#define T_FLUSH	VIRTIO_BLK_T_FLUSH
#define T_GET_ID VIRTIO_BLK_T_GET_ID
#define S_OK	VIRTIO_BLK_S_OK
#define S_IOERR	VIRTIO_BLK_S_IOERR

FIXTURE(faults) {
	struct backend b;
	struct guest g;
	struct rng rng;
};

FIXTURE_SETUP(faults)
{
	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device has a file, which does not fail");
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
}

FIXTURE_TEARDOWN(faults)
{
}

#define ENDS(type, sector, sectors, status)						\
	ASSERT_WELL(request_ends(&self->g.ring[0], type, sector, (sectors) * SECTOR, status))

/* The disk works again; take its present content into the model. */
#define GOOD() do {								\
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));			\
	ASSERT_WELL(guest_prove(&self->g));					\
} while (0)

/*
 * Return: number of failed requests of a batch; -1: one has another status, or
 * did not complete once
 */
static inline int batch_failed(const struct batch *b)
{
	unsigned int i, failed = 0;

	for (i = 0; i < b->n; i++) {
		uint8_t status = request_status(b->q[i]);

		if (b->q[i]->done != 1 || (status != S_OK && status != S_IOERR))
			return -1;
		failed += status == S_IOERR;
	}
	return failed;
}

#endif /* VHOST_TEST_SUITE_FAULTS_H */
