// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the locks of blocks: which locks conflict, the order in which
 * they are granted, and the limit of the tree.
 */
#include <kunit/test.h>
#include <linux/list.h>
#include <linux/slab.h>

#include "../internal.h"

/* More than the tree has room for */
#define NR_LOCKS	600
#define TREE_LOCKS	512

/* A lock, and what the test knows about it */
struct entry {
	struct vhost_blk_lock lock;
	struct list_head order;	/* in struct locks_test.order while it is held or waits */
	bool granted;
};

struct locks_test {
	struct vhost_blk_locks locks;
	struct list_head order;	/* by time of the request */
	u32 random;
	struct entry entry[NR_LOCKS];
};

static int locks_init(struct kunit *test)
{
	struct locks_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	vhost_blk_locks_init(&t->locks);
	INIT_LIST_HEAD(&t->order);
	t->random = 1;
	test->priv = t;
	return 0;
}

static u32 random_below(struct locks_test *t, u32 n)
{
	t->random = t->random * 1664525 + 1013904223;
	return (t->random >> 8) % n;
}

static bool take(struct locks_test *t, struct entry *e, u64 first, u64 last,
		 bool exclusive)
{
	e->lock = (struct vhost_blk_lock){
		.first = first, .last = last, .exclusive = exclusive,
	};
	list_add_tail(&e->order, &t->order);
	e->granted = vhost_blk_lock_blocks(&t->locks, &e->lock);
	return e->granted;
}

/* Unlock.  Return: the number of locks that are granted by that. */
static unsigned int drop(struct locks_test *t, struct entry *e)
{
	struct vhost_blk_lock *lock, *next;
	LIST_HEAD(granted);
	unsigned int nr = 0;

	list_del_init(&e->order);
	vhost_blk_unlock_blocks(&t->locks, &e->lock, &granted);
	list_for_each_entry_safe(lock, next, &granted, node) {
		container_of(lock, struct entry, lock)->granted = true;
		nr++;
	}
	return nr;
}

static void conflict_test(struct kunit *test)
{
	struct locks_test *t = test->priv;
	struct entry *e = t->entry;

	/* Shared locks do not conflict, nor do locks of other blocks. */
	KUNIT_EXPECT_TRUE(test, take(t, &e[0], 10, 19, false));
	KUNIT_EXPECT_TRUE(test, take(t, &e[1], 19, 30, false));
	KUNIT_EXPECT_TRUE(test, take(t, &e[2], 9, 9, true));
	KUNIT_EXPECT_TRUE(test, take(t, &e[3], 31, 31, true));
	/* An exclusive lock waits for both. */
	KUNIT_EXPECT_FALSE(test, take(t, &e[4], 19, 19, true));
	KUNIT_EXPECT_EQ(test, 0, drop(t, &e[1]));
	/* A shared lock does not overtake the one that waits. */
	KUNIT_EXPECT_FALSE(test, take(t, &e[5], 15, 19, false));
	KUNIT_EXPECT_FALSE(test, take(t, &e[6], 19, 25, false));
	KUNIT_EXPECT_TRUE(test, take(t, &e[7], 20, 25, false));
	KUNIT_EXPECT_EQ(test, 1, drop(t, &e[0]));
	KUNIT_EXPECT_TRUE(test, e[4].granted);
	/* Both shared locks are granted at once. */
	KUNIT_EXPECT_EQ(test, 2, drop(t, &e[4]));
	KUNIT_EXPECT_TRUE(test, e[5].granted && e[6].granted);
	KUNIT_EXPECT_EQ(test, 0, drop(t, &e[5]));
	KUNIT_EXPECT_EQ(test, 0, drop(t, &e[6]));
	KUNIT_EXPECT_EQ(test, 0, drop(t, &e[7]));
	KUNIT_EXPECT_EQ(test, 0, drop(t, &e[2]));
	KUNIT_EXPECT_EQ(test, 0, drop(t, &e[3]));
	KUNIT_EXPECT_EQ(test, 0, t->locks.nr);
}

/* The tree is full: later locks wait even if their blocks are free. */
static void limit_test(struct kunit *test)
{
	struct locks_test *t = test->priv;
	struct entry *e = t->entry;
	unsigned int i;

	for (i = 0; i < NR_LOCKS; i++)
		KUNIT_ASSERT_EQ(test, i < TREE_LOCKS, take(t, &e[i], i, i, true));
	for (i = 0; i < NR_LOCKS; i++) {
		KUNIT_ASSERT_TRUE(test, e[i].granted);
		KUNIT_ASSERT_EQ(test, i < NR_LOCKS - TREE_LOCKS, drop(t, &e[i]));
	}
	KUNIT_EXPECT_EQ(test, 0, t->locks.nr);

	/* A lock behind the tree waits for its turn and for its blocks. */
	for (i = 0; i <= TREE_LOCKS; i++)
		take(t, &e[i], i % TREE_LOCKS, i % TREE_LOCKS, true);
	KUNIT_EXPECT_EQ(test, 0, drop(t, &e[1]));
	KUNIT_EXPECT_FALSE(test, e[TREE_LOCKS].granted);
	KUNIT_EXPECT_EQ(test, 1, drop(t, &e[0]));
	KUNIT_EXPECT_TRUE(test, e[TREE_LOCKS].granted);
}

static bool conflict(const struct entry *a, const struct entry *b)
{
	return (a->lock.exclusive || b->lock.exclusive) &&
	       a->lock.first <= b->lock.last && b->lock.first <= a->lock.last;
}

/* The rule: granted if no earlier lock conflicts, and not behind the tree */
static bool must_be_granted(struct locks_test *t, const struct entry *e)
{
	unsigned int before = 0;
	struct entry *other;

	list_for_each_entry(other, &t->order, order) {
		if (other == e)
			break;
		if (conflict(e, other))
			return false;
		before++;
	}
	return before < TREE_LOCKS;
}

static void check_all(struct kunit *test, struct locks_test *t)
{
	struct entry *e;

	list_for_each_entry(e, &t->order, order)
		KUNIT_ASSERT_EQ(test, must_be_granted(t, e), e->granted);
}

static void random_test(struct kunit *test)
{
	struct locks_test *t = test->priv;
	unsigned int i, round, nr = 24;
	u64 first;

	for (i = 0; i < nr; i++)
		INIT_LIST_HEAD(&t->entry[i].order);
	for (round = 0; round < 20000; round++) {
		struct entry *e = &t->entry[random_below(t, nr)];

		if (list_empty(&e->order)) {
			first = random_below(t, 16);
			take(t, e, first, first + random_below(t, 4),
			     random_below(t, 2));
		} else if (e->granted) {
			drop(t, e);
		}
		check_all(test, t);
	}
	/* The oldest lock is always granted: no deadlock. */
	while (!list_empty(&t->order)) {
		struct entry *e = list_first_entry(&t->order, struct entry,
						   order);

		KUNIT_ASSERT_TRUE(test, e->granted);
		drop(t, e);
		check_all(test, t);
	}
	KUNIT_EXPECT_EQ(test, 0, t->locks.nr);
}

static struct kunit_case lock_cases[] = {
	KUNIT_CASE(conflict_test),
	KUNIT_CASE(limit_test),
	KUNIT_CASE(random_test),
	{}
};

static struct kunit_suite lock_suite = {
	.name = "vhost_blk_lock",
	.init = locks_init,
	.test_cases = lock_cases,
};

kunit_test_suites(&lock_suite);
