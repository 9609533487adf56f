// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: when a worker that shares its CPU lets others go first.
 */
#include <kunit/test.h>
#include <linux/ktime.h>

#include "../blk.h"

#define US	((u64)NSEC_PER_USEC)
#define MS	((u64)NSEC_PER_MSEC)

/* A guest: how long its turns are, and what is in them, either way */
struct world {
	struct vhost_blk_pace pace;
	u64 now;
	u64 eager_ns;
	u64 away_ns;
	unsigned int gains;
	unsigned int gave_way;
};

static void turns(struct world *w, unsigned int n)
{
	struct vhost_blk_pace *p = &w->pace;

	for (; n; n--) {
		vhost_blk_pace_turn(p, w->now);
		w->now += w->eager_ns;
		p->taken++;
		if (!p->gives_way)
			continue;
		w->gave_way++;
		w->now += w->away_ns;
		p->taken += w->gains;
		vhost_blk_pace_outcome(p, w->now, w->away_ns, w->gains);
	}
}

/* It is kept up while it pays, but for a look now and then at how it is without. */
static void pays_test(struct kunit *test)
{
	struct world w = {
		.now = 1, .eager_ns = 100 * US, .away_ns = 300 * US, .gains = 7,
	};

	turns(&w, 40);
	KUNIT_EXPECT_TRUE(test, w.pace.gives_way);
	w.gave_way = 0;
	turns(&w, 20000);
	KUNIT_EXPECT_GT(test, w.gave_way, 19000U);
	KUNIT_EXPECT_LT(test, w.gave_way, 20000U);
}

/* A guest that has one request at a time: more and more seldom, but not never */
static void nothing_gained_test(struct kunit *test)
{
	struct world w = { .now = 1, .eager_ns = 100 * US, .away_ns = 5 * US };

	turns(&w, 40);
	KUNIT_EXPECT_EQ(test, w.gave_way, 4U);
	turns(&w, 5000);
	w.gave_way = 0;
	turns(&w, 20000);
	KUNIT_EXPECT_GT(test, w.gave_way, 20U);
	KUNIT_EXPECT_LT(test, w.gave_way, 100U);

	/* Then it has more. */
	w.gains = 31;
	w.away_ns = 600 * US;
	turns(&w, 2000);
	w.gave_way = 0;
	turns(&w, 1000);
	KUNIT_EXPECT_GT(test, w.gave_way, 900U);
}

/* More comes, but not faster: the phase is its judge. */
static void no_faster_test(struct kunit *test)
{
	struct world w = {
		.now = 1, .eager_ns = 100 * US, .away_ns = 100 * US, .gains = 1,
	};

	turns(&w, 20000);
	KUNIT_EXPECT_LT(test, w.gave_way, 500U);
}

/* Somebody else has the CPU for as long as he may: once is enough. */
static void somebody_else_test(struct kunit *test)
{
	struct world w = {
		.now = 1, .eager_ns = 10 * US, .away_ns = 3 * MS, .gains = 31,
	};

	turns(&w, 40);
	KUNIT_EXPECT_EQ(test, w.gave_way, 1U);
	turns(&w, 20000);
	KUNIT_EXPECT_LT(test, w.gave_way, 40U);
}

/* Nor is a guest that mostly does nothing a reason to let others go first. */
static void idle_test(struct kunit *test)
{
	struct world w = {
		.now = 1, .eager_ns = 10 * MS, .away_ns = 3 * MS, .gains = 3,
	};

	turns(&w, 20000);
	KUNIT_EXPECT_LT(test, w.gave_way, 500U);
}

static struct kunit_case giveway_cases[] = {
	KUNIT_CASE(pays_test),
	KUNIT_CASE(nothing_gained_test),
	KUNIT_CASE(no_faster_test),
	KUNIT_CASE(somebody_else_test),
	KUNIT_CASE(idle_test),
	{}
};

static struct kunit_suite giveway_suite = {
	.name = "vhost_blk_giveway",
	.test_cases = giveway_cases,
};

kunit_test_suites(&giveway_suite);
