// SPDX-License-Identifier: GPL-2.0
/* Values below 64 have a bucket each.  Above, there are 64 buckets per power of two. */
#include <stddef.h>
#include <string.h>

#include "histogram.h"

static unsigned int bucket_of(uint64_t value)
{
	unsigned int shift;

	if (value < HISTOGRAM_SUB)
		return value;
	shift = 63 - __builtin_clzll(value) - HISTOGRAM_SUB_BITS;
	return (shift + 1) * HISTOGRAM_SUB + ((value >> shift) & (HISTOGRAM_SUB - 1));
}

/* The largest value of a bucket */
static uint64_t bucket_end(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < HISTOGRAM_SUB)
		return bucket;
	shift = bucket / HISTOGRAM_SUB - 1;
	return ((uint64_t)(HISTOGRAM_SUB + bucket % HISTOGRAM_SUB + 1) << shift) - 1;
}

void histogram_clear(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}

void histogram_add(struct histogram *h, uint64_t value, uint64_t times)
{
	h->bucket[bucket_of(value)] += times;
	h->count += times;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	unsigned int i;

	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
	to->count += from->count;
}

uint64_t histogram_at(const struct histogram *h, double permille)
{
	uint64_t wanted = h->count * permille / 1000 + 0.999999, seen = 0;
	unsigned int i;

	if (!h->count)
		return 0;
	for (i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		seen += h->bucket[i];
		if (seen && seen >= wanted)
			break;
	}
	return bucket_end(i);
}

static int near(uint64_t is, uint64_t must)
{
	return is >= must && is - must <= must / 50;
}

const char *histogram_test(void)
{
	static struct histogram h;
	uint64_t value;
	unsigned int i;

	for (i = 0; i + 1 < HISTOGRAM_BUCKETS; i++)
		if (bucket_of(bucket_end(i)) != i || bucket_of(bucket_end(i) + 1) != i + 1)
			return "histogram: a bucket doesn't end where the next begins";
	histogram_clear(&h);
	for (value = 1; value <= 100000; value++)
		histogram_add(&h, value, 1);
	if (h.count != 100000 || !near(histogram_at(&h, 500), 50000) ||
	    !near(histogram_at(&h, 990), 99000) || !near(histogram_at(&h, 999), 99900))
		return "histogram: percentiles of 1 to 100000 are wrong";
	return NULL;
}
