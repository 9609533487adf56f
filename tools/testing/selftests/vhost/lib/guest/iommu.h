/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An IOMMU in front of region 0, and the VMM's side of the device IOTLB.  The
 * pages are shuffled: a range that is contiguous for the device is scattered in
 * memory.  Only the rings, at the start, are in order.
 */
#ifndef VHOST_TEST_IOMMU_H
#define VHOST_TEST_IOMMU_H

#include <linux/vhost_types.h>

#include "request.h"

#define IOMMU_BASE	0x5a0000000000ULL
#define IOMMU_BATCH	64

struct iommu {
	uint64_t base;		/* first address of the device's address space */
	uint32_t page_size;
	uint32_t npages;
	uint32_t *page;		/* maps each page of the device to a page of region 0 */
	uint8_t *perm;		/* VHOST_ACCESS_*; 0: misses are not answered */
	bool v2;		/* message format */
	uint32_t chunk;		/* maximum number of missing pages in an answer */
	bool reverse;		/* answers in reverse order */
	unsigned int late;	/* polls for misses before one is answered */
	unsigned int storm;	/* polls between random invalidations; 0: none */
	struct rng rng;
	/* outcome */
	bool *known;		/* pages that the device knows */
	uint64_t updates;
	uint64_t misses;
	char why[160];
	/* inside */
	struct vhost_iotlb_msg held[IOMMU_BATCH];
	unsigned int nheld;
	unsigned int looks;
	unsigned int calm;
};

/* Call it before guest_boot(). All requests have I/O addresses afterwards. */
void iommu_attach(struct guest *g, struct iommu *m, uint32_t page_size, bool v2,
		  struct rng *rng);
void iommu_free(struct guest *g, struct iommu *m);
/* guest_boot() with the rings, or everything, mapped in advance */
const char *iommu_boot(struct guest *g, bool all);

uint64_t iommu_translate(struct guest *g, uint64_t addr, uint64_t *len);
/* @off: offset in the device's address space */
long iommu_update(struct guest *g, uint64_t off, uint64_t len);
long iommu_invalidate(struct guest *g, uint64_t off, uint64_t len);
long iommu_message(struct guest *g, uint8_t type, uint64_t iova, uint64_t size,
		   void *hva, uint8_t perm);
/* Read a miss. Return: false if there is none */
bool iommu_read(struct guest *g, struct vhost_iotlb_msg *msg);
/* Answer misses according to the fields of the struct. */
void iommu_serve(struct guest *g);
bool iommu_wait_miss(struct guest *g, int ms);

#endif /* VHOST_TEST_IOMMU_H */
