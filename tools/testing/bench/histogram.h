/* SPDX-License-Identifier: GPL-2.0 */
/* A histogram with logarithmic buckets: the error of a percentile is below 2 %. */
#ifndef VHOST_BENCH_HISTOGRAM_H
#define VHOST_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS	6
#define HISTOGRAM_SUB		64U	/* 2 to the power of HISTOGRAM_SUB_BITS */
#define HISTOGRAM_BUCKETS	((64 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB)

struct histogram {
	uint64_t count;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t value, uint64_t times);
void histogram_merge(struct histogram *to, const struct histogram *from);
/* The value that @permille of 1000 values do not exceed; 0 if the histogram is empty */
uint64_t histogram_at(const struct histogram *h, double permille);
/* Self-test; returns NULL, or a description of the error */
const char *histogram_test(void);

#endif /* VHOST_BENCH_HISTOGRAM_H */
