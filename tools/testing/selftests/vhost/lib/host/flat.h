/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is the memory that the kernel uses the same as before?  Measured while nothing
 * runs, after all that is kept without need was given up: page cache, dentries,
 * what the slab allocator and KASAN hold back.
 */
#ifndef VHOST_TEST_FLAT_H
#define VHOST_TEST_FLAT_H

#include <stdbool.h>

#define FLAT_CACHES	400

struct flat_cache {
	char name[48];
	long objects;
	long size;
};

struct flat {
	struct flat_cache cache[FLAT_CACHES];
	unsigned int n;
	long slab;		/* KiB in objects that are in use */
	long used;		/* KiB that are neither free nor page cache */
	long unreclaimable;	/* KiB: SUnreclaim */
	long stacks;		/* KiB: KernelStack */
	long vmalloc;		/* KiB: VmallocUsed */
};

/* NULL, or why that can't be measured here */
const char *flat_measure(struct flat *f);
/* Prints what has grown; false where it is more than is allowed. */
bool flat_compare(const struct flat *first, const struct flat *last);

#endif /* VHOST_TEST_FLAT_H */
