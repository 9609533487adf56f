/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An IOMMU in front of region 0, and the VMM's half of the device IOTLB.  Its
 * pages are shuffled: what is contiguous for the device is not so in memory.
 * Only the rings, at the start, are left in order.
 */
#ifndef VHOST_TEST_IOMMU_H
#define VHOST_TEST_IOMMU_H

#include <linux/vhost_types.h>

#include "request.h"

#define IOMMU_BASE	0x5a0000000000ULL
#define IOMMU_BATCH	64

struct iommu {
	uint64_t base;		/* address of the device's first byte */
	uint32_t page_size;
	uint32_t npages;
	uint32_t *page;		/* which page of region 0 a page of the device's is */
	uint8_t *perm;		/* VHOST_ACCESS_*, 0: the VMM does not answer */
	bool v2;		/* format of the messages */
	uint32_t chunk;		/* pages that an answer has, as far as they are missing */
	bool reverse;		/* answers come in another order */
	unsigned int late;	/* looks for misses before they are answered */
	unsigned int storm;	/* looks between invalidations of anything, 0: none */
	struct rng rng;
	/* outcome */
	bool *known;		/* by the device */
	uint64_t updates;
	uint64_t misses;
	char why[160];
	/* inside */
	struct vhost_iotlb_msg held[IOMMU_BATCH];
	unsigned int nheld;
	unsigned int looks;
	unsigned int calm;
};

/* Before guest_boot(); all requests have I/O addresses afterwards. */
void iommu_attach(struct guest *g, struct iommu *m, uint32_t page_size, bool v2,
		  struct rng *rng);
void iommu_free(struct guest *g, struct iommu *m);
/* As guest_boot(), with the rings (or all) mapped in advance */
const char *iommu_boot(struct guest *g, bool all);

uint64_t iommu_translate(struct guest *g, uint64_t addr, uint64_t *len);
/* Offset in the device's address space */
long iommu_update(struct guest *g, uint64_t off, uint64_t len);
long iommu_invalidate(struct guest *g, uint64_t off, uint64_t len);
long iommu_message(struct guest *g, uint8_t type, uint64_t iova, uint64_t size,
		   void *hva, uint8_t perm);
/* Read a miss; false: there is none. */
bool iommu_read(struct guest *g, struct vhost_iotlb_msg *msg);
/* Answer misses, by the rules of the struct. */
void iommu_serve(struct guest *g);
bool iommu_wait_miss(struct guest *g, int ms);

#endif /* VHOST_TEST_IOMMU_H */
