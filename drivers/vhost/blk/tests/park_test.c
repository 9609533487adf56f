// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of the error policy, and of the list of parked requests */
#include <kunit/test.h>
#include <linux/slab.h>

#include "../internal.h"

/* The operations that the policy applies to */
static bool covered(enum vhost_blk_op op)
{
	return op == VHOST_BLK_OP_READ || op == VHOST_BLK_OP_WRITE ||
	       op == VHOST_BLK_OP_FLUSH || op == VHOST_BLK_OP_DISCARD ||
	       op == VHOST_BLK_OP_WRITE_ZEROES ||
	       op == VHOST_BLK_OP_SECURE_ERASE;
}

/* The action for every operation and errno; the four fields are told apart. */
static void action_test(struct kunit *test)
{
	static const struct vhost_blk_error_policy policy = {
		.read = 11, .read_nospace = 12, .write = 13, .write_nospace = 14,
	};
	enum vhost_blk_op op;
	int error;

	for (op = 0; op < VHOST_BLK_NR_OPS; op++) {
		for (error = -MAX_ERRNO; error < 0; error++) {
			u32 want = op == VHOST_BLK_OP_READ ? 11 : 13;

			if (error == -ENOSPC)
				want++;
			if (error == -EFAULT || !covered(op) ||
			    op == VHOST_BLK_OP_FLUSH)
				want = VHOST_BLK_ERROR_REPORT;
			KUNIT_EXPECT_EQ_MSG(test, want,
					    (u32)vhost_blk_choose_action(&policy,
									 op, error),
					    "operation %d, errno %d", op, error);
		}
	}
}

#define NUM	8U

/**
 * struct fixture - a queue of a device that does not exist
 * @blk: the device
 * @q: the queue, running
 * @req: a request of the queue
 */
struct fixture {
	struct vhost_blk *blk;
	struct vhost_blk_queue q;
	struct vhost_blk_req req;
};

static struct fixture *make_queue(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->blk = kunit_kzalloc(test, sizeof(*f->blk), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->blk);
	vhost_blk_error_init(f->blk);
	f->blk->error_policy.write = VHOST_BLK_ERROR_PARK;
	vhost_blk_queue_init(&f->q);
	f->q.vq.dev = &f->blk->dev;
	f->q.vq.num = NUM;
	KUNIT_ASSERT_EQ(test, vhost_blk_prepare_parking(&f->q), 0);
	vhost_blk_queue_event(&f->q, VHOST_BLK_EVENT_START);
	return f;
}

static void park(struct kunit *test, struct fixture *f, u16 head)
{
	f->req = (struct vhost_blk_req){
		.q = &f->q, .head = head, .error = -EIO,
		.cmd = { .op = VHOST_BLK_OP_WRITE, .pos = 512 * head },
	};
	KUNIT_EXPECT_EQ(test, (int)vhost_blk_req_failed(&f->req),
			VHOST_BLK_ERROR_PARK);
}

/* The heads leave the list in the order in which they came, also if it wraps. */
static void list_test(struct kunit *test)
{
	struct fixture *f = make_queue(test);
	unsigned int i;

	for (i = 0; i < NUM; i++)
		park(test, f, NUM - 1 - i);
	KUNIT_EXPECT_EQ(test, (int)vhost_blk_queue_state(&f->q),
			VHOST_BLK_QUEUE_PARKED);
	KUNIT_EXPECT_EQ(test, f->q.parked.nr, NUM);
	for (i = 0; i < 5 * NUM + 3; i++) {
		unsigned int head = vhost_blk_first_parked(&f->q);

		KUNIT_EXPECT_EQ(test, head, NUM - 1 - i % NUM);
		vhost_blk_unpark_first(&f->q);
		KUNIT_EXPECT_EQ(test, f->q.parked.nr, NUM - 1);
		vhost_blk_park_first(&f->q, head);
		KUNIT_EXPECT_EQ(test, vhost_blk_first_parked(&f->q), head);
		vhost_blk_unpark_first(&f->q);
		park(test, f, head);
	}
	vhost_blk_free_parked(&f->q);
	KUNIT_EXPECT_EQ(test, f->q.parked.nr, 0U);
}

/* Another size keeps the order; one without the heads is refused. */
static void resize_test(struct kunit *test)
{
	struct fixture *f = make_queue(test);
	unsigned int i;

	for (i = 0; i < 6; i++)
		park(test, f, i);
	for (i = 0; i < 4; i++)
		vhost_blk_unpark_first(&f->q);
	for (i = 0; i < 4; i++)
		park(test, f, i);
	/* 4 5 0 1 2 3, which wraps */
	f->q.vq.num = 4;
	KUNIT_EXPECT_EQ(test, vhost_blk_prepare_parking(&f->q), -EINVAL);
	f->q.vq.num = 32;
	KUNIT_ASSERT_EQ(test, vhost_blk_prepare_parking(&f->q), 0);
	KUNIT_EXPECT_EQ(test, f->q.parked.nr, 6U);
	for (i = 0; i < 6; i++) {
		KUNIT_EXPECT_EQ(test, vhost_blk_first_parked(&f->q), (i + 4) % 6);
		vhost_blk_unpark_first(&f->q);
	}
	KUNIT_EXPECT_EQ(test, f->q.parked.nr, 0U);
	vhost_blk_free_parked(&f->q);
}

/* The first request that is parked is described, until the next start. */
static void failure_test(struct kunit *test)
{
	struct fixture *f = make_queue(test);
	struct vhost_blk_vring_info info = {};

	f->req = (struct vhost_blk_req){
		.q = &f->q, .error = -ENOSPC, .cmd.op = VHOST_BLK_OP_READ,
	};
	KUNIT_EXPECT_EQ(test, (int)vhost_blk_req_failed(&f->req),
			VHOST_BLK_ERROR_REPORT);
	vhost_blk_get_failure(&f->q, &info);
	KUNIT_EXPECT_EQ(test, info.failed_error, -ENOSPC);
	park(test, f, 3);
	park(test, f, 4);
	vhost_blk_get_failure(&f->q, &info);
	KUNIT_EXPECT_EQ(test, info.failures, 3ULL);
	KUNIT_EXPECT_EQ(test, info.failed_error, -EIO);
	KUNIT_EXPECT_EQ(test, info.failed_sector, 3ULL);
	KUNIT_EXPECT_EQ(test, info.failed_type, (u32)VIRTIO_BLK_T_OUT);
	KUNIT_EXPECT_EQ(test, info.failed_action, (u32)VHOST_BLK_ERROR_PARK);
	vhost_blk_forget_failure(&f->q);
	memset(&info, 0, sizeof(info));
	vhost_blk_get_failure(&f->q, &info);
	KUNIT_EXPECT_EQ(test, info.failures, 3ULL);
	KUNIT_EXPECT_EQ(test, info.failed_error, 0);
	vhost_blk_free_parked(&f->q);
}

static struct kunit_case park_cases[] = {
	KUNIT_CASE(action_test),
	KUNIT_CASE(list_test),
	KUNIT_CASE(resize_test),
	KUNIT_CASE(failure_test),
	{}
};

static struct kunit_suite park_suite = {
	.name = "vhost_blk_park",
	.test_cases = park_cases,
};

kunit_test_suites(&park_suite);
