/* SPDX-License-Identifier: GPL-2.0 */
/* The fixture of tests that run on each kind of backend */
#ifndef VHOST_TEST_SUITE_DISK_H
#define VHOST_TEST_SUITE_DISK_H

#include "suite.h"

FIXTURE(disk) {
	struct backend b;
	struct guest g;
	struct rng rng;
};

FIXTURE_VARIANT(disk) {
	enum backend_kind kind;
	bool direct;
};

FIXTURE_VARIANT_ADD(disk, bdev_direct) {
	.kind = BACKEND_BDEV, .direct = true,
};

FIXTURE_VARIANT_ADD(disk, bdev_buffered) {
	.kind = BACKEND_BDEV, .direct = false,
};

FIXTURE_VARIANT_ADD(disk, file_direct) {
	.kind = BACKEND_FILE, .direct = true,
};

FIXTURE_VARIANT_ADD(disk, file_buffered) {
	.kind = BACKEND_FILE, .direct = false,
};

FIXTURE_SETUP(disk)
{
	const char *why;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	why = backend_open(&self->b, variant->kind, variant->direct);
	if (why)
		SKIP(return, "%s", why);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
}

/* After each test: the whole backend holds what the model says. */
FIXTURE_TEARDOWN(disk)
{
	const char *why = self->b.model ? backend_compare_all(&self->b) : NULL;

	guest_destroy(&self->g);
	backend_close(&self->b);
	if (why)
		EXPECT_EQ(NULL, why)
			TH_LOG("at the end: %s", why);
}

#endif /* VHOST_TEST_SUITE_DISK_H */
