// SPDX-License-Identifier: GPL-2.0
/*
 * Usage: tsc-khz
 *
 * Prints the frequency of this machine's time stamp counter in kHz.  An emulated
 * machine shows the same counter to its kernel, which would measure the frequency
 * at boot against emulated timers, and be wrong if the emulator has to wait.
 */
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define TRIES	1000
#define PAUSE	100000000	/* ns */

struct sample {
	long long ns;
	unsigned long long ticks;
};

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Read both clocks at the same moment: the fastest of many tries. */
static struct sample both(void)
{
	struct sample s = { 0 };
	long long best = -1;
	int i;

	for (i = 0; i < TRIES; i++) {
		long long before = now();
		unsigned long long ticks = __rdtsc();
		long long took = now() - before;

		if (best >= 0 && took >= best)
			continue;
		best = took;
		s.ns = before + took / 2;
		s.ticks = ticks;
	}
	return s;
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = PAUSE };
	struct sample first = both(), last;

	nanosleep(&pause, NULL);
	last = both();
	printf("%.0f\n", (last.ticks - first.ticks) * 1e6 / (last.ns - first.ns));
	return 0;
}
