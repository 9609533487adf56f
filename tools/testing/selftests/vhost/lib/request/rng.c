// SPDX-License-Identifier: GPL-2.0
/* splitmix64: small, and equal seeds give equal numbers on every host */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "request.h"

uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	return n ? rng_next(r) % n : 0;
}

void rng_fill(struct rng *r, void *to, size_t len)
{
	while (len) {
		uint64_t v = rng_next(r);
		size_t part = len < sizeof(v) ? len : sizeof(v);

		memcpy(to, &v, part);
		to = (char *)to + part;
		len -= part;
	}
}

/* VHOST_TEST_SEED repeats a run. */
uint64_t rng_seed_from_env(void)
{
	const char *s = getenv("VHOST_TEST_SEED");

	return s ? strtoull(s, NULL, 0) : (uint64_t)time(NULL) << 20 ^ getpid();
}
