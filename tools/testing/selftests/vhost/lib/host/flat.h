/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Does the kernel use more memory than before?  Measured while no guest runs,
 * after the page cache, dentries, empty slabs and the objects held back by
 * KASAN were freed.
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
	long slab;		/* KiB in slab objects in use */
	long used;		/* KiB that are neither free nor page cache */
	long percpu_free;	/* KiB: free pages in the lists of CPUs */
	long unreclaimable;	/* KiB: SUnreclaim */
	long stacks;		/* KiB: KernelStack */
	long vmalloc;		/* KiB: VmallocUsed */
	unsigned int kthreads;
	unsigned int idle;	/* of them, kworkers without work */
};

/* Return: NULL, or the reason why memory cannot be measured here */
const char *flat_measure(struct flat *f);
/*
 * Print what has grown.  A kworker without work ends after five minutes: if
 * memory has grown, and there are more of these than at @first, wait for that,
 * and measure again.
 *
 * Return: false if it has grown by more than the limit
 */
bool flat_check(const struct flat *first, struct flat *last);

#endif /* VHOST_TEST_FLAT_H */
