/* SPDX-License-Identifier: GPL-2.0 */
/*
 * clock_now() reads the CPU's time stamp counter if there is one.  clock_gettime()
 * is a system call in User-Mode Linux, and one per request would distort the
 * measurement.  Under QEMU's -icount the counter counts instructions.
 */
#ifndef VHOST_BENCH_CLOCK_H
#define VHOST_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t = { 0 };

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static inline uint64_t clock_now(void)
{
#if __has_builtin(__builtin_ia32_rdtsc)
	return __builtin_ia32_rdtsc();
#else
	return clock_ns(CLOCK_MONOTONIC);
#endif
}

#endif /* VHOST_BENCH_CLOCK_H */
