/* SPDX-License-Identifier: GPL-2.0 */
/* The fixture of tests of the device IOTLB: a guest behind an IOMMU, not booted yet */
#ifndef VHOST_TEST_SUITE_IOTLB_H
#define VHOST_TEST_SUITE_IOTLB_H

#include "iommu.h"
#include "mix.h"
#include "suite.h"

#define PLATFORM	BIT64(VIRTIO_F_ACCESS_PLATFORM)
#define ZEROES		BIT64(VIRTIO_BLK_F_WRITE_ZEROES)

/* Return: NULL, or the reason why the test cannot run */
static inline const char *set_up(struct backend *b, struct guest *g, struct rng *rng,
				 enum backend_kind kind, bool direct)
{
	struct guest_opts opts = {
		.backend = b, .queues = 2, .mem = 1 << 20, .features_on = ZEROES,
	};
	const char *why;

	if (!guest_has_device())
		return NO_DEVICE;
	if (model_wanted())
		return "the model device has no IOTLB";
	why = backend_open(b, kind, direct);
	if (why)
		return why;
	rng->state = rng_seed_from_env();
	guest_init(g, &opts);
	return NULL;
}

static inline const char *tear_down(struct backend *b, struct guest *g, struct iommu *m)
{
	const char *why = b->model ? backend_compare_all(b) : NULL;

	iommu_free(g, m);
	guest_destroy(g);
	backend_close(b);
	return m->why[0] ? m->why : why;
}

/* An IOMMU with pages of that size, not booted yet */
#define ATTACH(size) iommu_attach(&self->g, &self->m, size, variant->v2, &self->rng)

static inline uint64_t data_len(struct guest *g)
{
	return g->region[0].len - g->data_start;
}

/* Address of a part of a ring, as the device sees it */
static inline uint64_t ring_off(struct guest *g, const void *part)
{
	return (const uint8_t *)part - g->region[0].hva;
}

/* Bounced requests are done one at a time, which takes too long on a slow disk. */
static inline struct mix_opts mix_for(struct guest *g)
{
	return (struct mix_opts){ .aligned = g->opts.backend->kind == BACKEND_SLOW };
}

#endif /* VHOST_TEST_SUITE_IOTLB_H */
