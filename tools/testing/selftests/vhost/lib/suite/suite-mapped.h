/* SPDX-License-Identifier: GPL-2.0 */
/* The fixture of tests whose disk is made to fail, and to work again, by device mapper */
#ifndef VHOST_TEST_SUITE_MAPPED_H
#define VHOST_TEST_SUITE_MAPPED_H

#include "dm.h"
#include "suite-faults.h"

/* The whole disk, mapped by device mapper */
static inline const char *open_mapped(struct backend *b, struct dm *dm, struct backend *below,
				      bool blank)
{
	struct backend_opts opts = {
		.kind = BACKEND_NAMED, .direct = true, .path = dm->path, .blank = blank,
	};
	char params[256];
	const char *why;

	snprintf(params, sizeof(params), "%s 0", below->path);
	why = dm_create(dm, below->size / SECTOR, "linear", params);
	return why ? why : backend_open_as(b, &opts);
}

static inline const char *open_dm(struct backend *below, struct backend *b, struct dm *dm)
{
	/* device mapper passes a flush on only to a device that has a write cache */
	static const struct nullb_attr cached[] = { { "cache_size", "1" }, { NULL, NULL } };
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true, .nullb = cached };
	const char *why = backend_open_as(below, &disk);

	return why ? why : open_mapped(b, dm, below, false);
}

/* The disk works. */
static inline const char *linear(struct dm *dm, struct backend *below)
{
	char params[256];

	snprintf(params, sizeof(params), "%s 0", below->path);
	return dm_replace(dm, below->size / SECTOR, "linear", params);
}

FIXTURE(mapped) {
	struct backend below;
	struct backend b;
	struct dm dm;
	struct guest g;
	struct rng rng;
};

FIXTURE_SETUP(mapped)
{
	const char *why;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device has a file, which does not fail");
	why = open_dm(&self->below, &self->b, &self->dm);
	if (why) {
		backend_close(&self->below);
		SKIP(return, "%s", why);
	}
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
	BOOT(.queues = 2);
}

FIXTURE_TEARDOWN(mapped)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	dm_remove(&self->dm);
	backend_close(&self->below);
}

#endif /* VHOST_TEST_SUITE_MAPPED_H */
