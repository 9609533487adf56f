// SPDX-License-Identifier: GPL-2.0
/* What the tracepoints say of requests is what the guest has asked for. */
#define _GNU_SOURCE
#include <unistd.h>

#include "suite.h"
#include "trace.h"
#include "traffic.h"

FIXTURE(trace) {
	struct backend b;
	struct guest g;
};

/* A disk that takes its time, so that requests of earlier turns complete in a turn */
FIXTURE_SETUP(trace)
{
	static const struct nullb_attr late[] = {
		{ "irqmode", "2" }, { "completion_nsec", "300000" }, { NULL, NULL }
	};
	struct backend_opts opts = { .kind = BACKEND_NULLB, .direct = true, .nullb = late };
	const char *why = no_kernel("the model device has no tracepoints");

	if (!why)
		why = trace_begin("");
	if (!why)
		why = backend_open_as(&self->b, &opts);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(trace)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
}

struct sums {
	uint64_t kicks;
	uint64_t requests;
	uint64_t bytes;
	uint64_t wrong;		/* events whose requests aren't of SECTOR bytes each */
};

static const char *sum_kicks(struct sums *s)
{
	FILE *f = trace_end();
	struct trace_event e;

	if (!f)
		return "the trace can't be read";
	while (trace_next(f, &e)) {
		uint64_t requests = trace_field(&e, "requests");
		uint64_t bytes = trace_field(&e, "bytes");

		s->kicks++;
		s->requests += requests;
		s->bytes += bytes;
		s->wrong += bytes != requests * SECTOR;
	}
	fclose(f);
	return NULL;
}

/*
 * All turns together have taken each request once, and each request's bytes,
 * however many earlier ones complete in a turn.
 */
TEST_F_TIMEOUT(trace, kicks_add_up, 120)
{
	const uint64_t total = scaled(10000, 2000);
	unsigned int i;

	BOOT(.num = 128);
	for (i = 0; i < 6; i++) {
		struct traffic t = {
			.ring = &self->g.ring[0], .depth = 32, .total = total,
			.wait = i / 2, .kick_each = i & 1,
		};
		struct sums s = {};

		ASSERT_EQ(NULL, trace_begin("kick"));
		ASSERT_WELL(traffic_run(&t));
		ASSERT_EQ(0, guest_set_running(&self->g, 0));
		ASSERT_WELL(sum_kicks(&s));
		ASSERT_EQ(0, guest_set_running(&self->g, 1));
		TH_LOG("%llu turns for %llu requests", (unsigned long long)s.kicks,
		       (unsigned long long)total);
		EXPECT_EQ(0, s.wrong);
		EXPECT_EQ(total, s.requests);
		EXPECT_EQ(total * SECTOR, s.bytes);
	}
}

TEST_HARNESS_MAIN
