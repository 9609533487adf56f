// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: what a guest is told of a request that is done.
 */
#include <kunit/test.h>
#include <linux/blkdev.h>

#include "../blk.h"

/* Every errno: few have a status of their own. */
static void status_test(struct kunit *test)
{
	int error;

	for (error = -MAX_ERRNO; error <= 0; error++) {
		u8 want = VIRTIO_BLK_S_IOERR;

		if (!error)
			want = VIRTIO_BLK_S_OK;
		if (error == -EOPNOTSUPP)
			want = VIRTIO_BLK_S_UNSUPP;
		KUNIT_EXPECT_EQ_MSG(test, want, vhost_blk_status(error, false),
				    "errno %d", error);
		if (error == -ETOOMANYREFS)
			want = VIRTIO_BLK_S_ZONE_OPEN_RESOURCE;
		if (error == -EOVERFLOW)
			want = VIRTIO_BLK_S_ZONE_ACTIVE_RESOURCE;
		KUNIT_EXPECT_EQ_MSG(test, want, vhost_blk_status(error, true),
				    "errno %d, zoned", error);
	}
}

/* Every status of the block layer, by way of its errno. */
static void blk_status_test(struct kunit *test)
{
	static const struct {
		blk_status_t in;
		u8 out;
	} cases[] = {
		{ BLK_STS_OK, VIRTIO_BLK_S_OK },
		{ BLK_STS_NOTSUPP, VIRTIO_BLK_S_UNSUPP },
		{ BLK_STS_TIMEOUT, VIRTIO_BLK_S_IOERR },
		{ BLK_STS_NOSPC, VIRTIO_BLK_S_IOERR },
		{ BLK_STS_TRANSPORT, VIRTIO_BLK_S_IOERR },
		{ BLK_STS_TARGET, VIRTIO_BLK_S_IOERR },
		{ BLK_STS_MEDIUM, VIRTIO_BLK_S_IOERR },
		{ BLK_STS_PROTECTION, VIRTIO_BLK_S_IOERR },
		{ BLK_STS_RESOURCE, VIRTIO_BLK_S_IOERR },
		{ BLK_STS_AGAIN, VIRTIO_BLK_S_IOERR },
		{ BLK_STS_IOERR, VIRTIO_BLK_S_IOERR },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		int error = blk_status_to_errno(cases[i].in);

		KUNIT_EXPECT_EQ(test, cases[i].out, vhost_blk_status(error, false));
	}
}

/* The device has written the data it read, and always the status (2.7.8.2). */
static void used_len_test(struct kunit *test)
{
	struct vhost_blk_cmd cmd = { .op = VHOST_BLK_OP_READ, .len = 4096 };
	const u8 ok = VIRTIO_BLK_S_OK;

	KUNIT_EXPECT_EQ(test, vhost_blk_used_len(&cmd, 0, ok), 4097U);
	KUNIT_EXPECT_EQ(test, vhost_blk_used_len(&cmd, 0, VIRTIO_BLK_S_IOERR),
			1U);
	cmd.op = VHOST_BLK_OP_WRITE;
	KUNIT_EXPECT_EQ(test, vhost_blk_used_len(&cmd, 0, ok), 1U);
	cmd.op = VHOST_BLK_OP_DISCARD;
	KUNIT_EXPECT_EQ(test, vhost_blk_used_len(&cmd, 0, ok), 1U);
	cmd = (struct vhost_blk_cmd){ .op = VHOST_BLK_OP_GET_ID, .reply = 20 };
	KUNIT_EXPECT_EQ(test, vhost_blk_used_len(&cmd, 20, ok), 21U);
	cmd.op = VHOST_BLK_OP_ZONE_REPORT;
	KUNIT_EXPECT_EQ(test, vhost_blk_used_len(&cmd, 128, ok), 129U);
	KUNIT_EXPECT_EQ(test,
			vhost_blk_used_len(&cmd, 128,
					   VIRTIO_BLK_S_ZONE_INVALID_CMD), 1U);
	cmd = (struct vhost_blk_cmd){ .op = VHOST_BLK_OP_FLUSH };
	KUNIT_EXPECT_EQ(test, vhost_blk_used_len(&cmd, 0, ok), 1U);
	cmd = (struct vhost_blk_cmd){};
	KUNIT_EXPECT_EQ(test, vhost_blk_used_len(&cmd, 0, VIRTIO_BLK_S_UNSUPP),
			1U);
}

/**
 * struct fixture - a queue without a device around it
 * @q: the queue
 * @reqs: two requests of it
 */
struct fixture {
	struct vhost_blk_queue q;
	struct vhost_blk_req reqs[2];
};

static void make_busy(struct vhost_blk_queue *q, struct vhost_blk_req *req,
		      u32 len)
{
	req->q = q;
	req->busy = true;
	req->cmd.len = len;
	req->io.bvec = req->inline_bvec;
	q->inflight++;
	q->inflight_bytes += len;
}

/* Where the worker is gone, requests are released all the same, once each. */
static void orphan_test(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	struct vhost_dev *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	vhost_blk_queue_init(&f->q);
	mutex_init(&f->q.vq.mutex);
	f->q.vq.dev = dev;
	make_busy(&f->q, &f->reqs[0], 4096);
	make_busy(&f->q, &f->reqs[1], 512);

	vhost_blk_req_done(&f->reqs[0], 0);
	flush_work(&f->q.orphan_work);
	KUNIT_EXPECT_FALSE(test, f->reqs[0].busy);
	KUNIT_EXPECT_TRUE(test, f->reqs[1].busy);
	KUNIT_EXPECT_EQ(test, f->q.inflight, 1U);
	KUNIT_EXPECT_EQ(test, f->q.inflight_bytes, 512ULL);

	vhost_blk_req_done(&f->reqs[1], -EIO);
	flush_work(&f->q.orphan_work);
	KUNIT_EXPECT_FALSE(test, f->reqs[1].busy);
	KUNIT_EXPECT_EQ(test, f->q.inflight, 0U);
	KUNIT_EXPECT_EQ(test, f->q.inflight_bytes, 0ULL);
	KUNIT_EXPECT_TRUE(test, llist_empty(&f->q.done));
	mutex_destroy(&f->q.vq.mutex);
}

static struct kunit_case complete_cases[] = {
	KUNIT_CASE(status_test),
	KUNIT_CASE(blk_status_test),
	KUNIT_CASE(used_len_test),
	KUNIT_CASE(orphan_test),
	{}
};

static struct kunit_suite complete_suite = {
	.name = "vhost_blk_complete",
	.test_cases = complete_cases,
};

kunit_test_suites(&complete_suite);
