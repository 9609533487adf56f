/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of the suites that count notifications: the queues of one device,
 * with and without EVENT_IDX.  A suite that cannot run on the model device
 * defines NOT_ON_THE_MODEL before it includes this header.
 */
#ifndef VHOST_TEST_SUITE_NOTIFY_H
#define VHOST_TEST_SUITE_NOTIFY_H

#include <pthread.h>

#include "suite.h"
#include "traffic.h"

#ifndef NOT_ON_THE_MODEL
#define NOT_ON_THE_MODEL	NULL
#endif

#define THREADS	4

FIXTURE(notify) {
	struct backend b;
	struct guest g;
};

FIXTURE_VARIANT(notify) {
	bool event_idx;
};

FIXTURE_VARIANT_ADD(notify, flags) {
	.event_idx = false,
};

FIXTURE_VARIANT_ADD(notify, event_idx) {
	.event_idx = true,
};

FIXTURE_SETUP(notify)
{
	struct guest_opts opts = { .backend = &self->b, .queues = THREADS };
	const char *why = no_kernel(NOT_ON_THE_MODEL);

	if (!why)
		why = backend_open(&self->b, BACKEND_BDEV, true);
	if (why)
		SKIP(return, "%s", why);
	if (!variant->event_idx)
		opts.features_off = BIT64(VIRTIO_RING_F_EVENT_IDX);
	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_EQ(variant->event_idx, guest_has(&self->g, VIRTIO_RING_F_EVENT_IDX));
}

FIXTURE_TEARDOWN(notify)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/* Run one thread per queue, with its traffic. Return: NULL, or the error */
static inline const char *run_together(struct traffic t[THREADS])
{
	pthread_t thread[THREADS];
	const char *why = NULL;
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		traffic_prepare(&t[i]);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, traffic_thread, &t[i]))
			abort();
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < THREADS && !why; i++)
		why = t[i].why;
	return why;
}

#endif /* VHOST_TEST_SUITE_NOTIFY_H */
