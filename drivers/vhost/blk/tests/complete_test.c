// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of completion: the status and used length of a request, its
 * counters, the result of a flush, the release of requests without a worker, and the change to
 * another worker.
 */
#include <kunit/test.h>
#include <linux/blkdev.h>

#include "../internal.h"
#include "../stats.h"

/* The status of every errno */
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

/* The status of every error of the block layer, translated by its errno */
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

/*
 * The used length: bytes written from the start of the writable part, whose
 * last byte is the status (2.7.8.2)
 */
static void used_len_test(struct kunit *test)
{
	static const struct {
		struct vhost_blk_cmd cmd;
		u32 response_len;
		u8 status;
		u32 used;
	} cases[] = {
		{ { .op = VHOST_BLK_OP_READ, .len = 4096, .room = 4096 }, .used = 4097 },
		{ { .op = VHOST_BLK_OP_READ, .len = 4096, .room = 4096 },
		  .status = VIRTIO_BLK_S_IOERR, .used = 0 },
		{ { .op = VHOST_BLK_OP_READ }, .used = 1 },
		{ { .op = VHOST_BLK_OP_WRITE, .len = 512 }, .used = 1 },
		{ { .op = VHOST_BLK_OP_WRITE, .len = 512 },
		  .status = VIRTIO_BLK_S_IOERR, .used = 1 },
		{ { .op = VHOST_BLK_OP_WRITE, .len = 512, .room = 8 }, .used = 0 },
		{ { .op = VHOST_BLK_OP_FLUSH }, .used = 1 },
		{ { .op = VHOST_BLK_OP_FLUSH, .room = 1 }, .used = 0 },
		{ { .op = VHOST_BLK_OP_DISCARD, .len = 16 }, .used = 1 },
		{ { .op = VHOST_BLK_OP_GET_ID, .response = 20, .room = 20 },
		  .response_len = 20, .used = 21 },
		{ { .op = VHOST_BLK_OP_GET_ID, .response = 7, .room = 7 },
		  .response_len = 7, .used = 8 },
		{ { .op = VHOST_BLK_OP_GET_ID, .response = 20, .room = 21 },
		  .response_len = 20, .used = 20 },
		{ { .op = VHOST_BLK_OP_GET_ID, .response = 20, .room = 20 },
		  .status = VIRTIO_BLK_S_UNSUPP, .used = 0 },
		{ { .op = VHOST_BLK_OP_ZONE_APPEND, .response = 8, .room = 8 },
		  .response_len = 8, .used = 9 },
		{ { .op = VHOST_BLK_OP_ZONE_REPORT, .response = 192, .room = 192 },
		  .response_len = 192, .used = 193 },
		{ { .op = VHOST_BLK_OP_ZONE_REPORT, .response = 192, .room = 192 },
		  .response_len = 128, .used = 128 },
		{ { .op = VHOST_BLK_OP_READ, .len = 1U << 30, .room = U32_MAX },
		  .used = 1U << 30 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		KUNIT_EXPECT_EQ_MSG(test,
				    vhost_blk_used_len(&cases[i].cmd,
						       cases[i].response_len,
						       cases[i].status),
				    cases[i].used, "case %u", i);
}

/* The element of the histogram for a latency, at the limits of each element */
static void latency_bucket_test(struct kunit *test)
{
	unsigned int i, last = VHOST_BLK_STATS_BUCKETS - 1;

	KUNIT_EXPECT_EQ(test, 0, vhost_blk_latency_bucket(0));
	for (i = 0; i < last; i++) {
		u64 end = 1ULL << (i + 10);

		KUNIT_EXPECT_EQ(test, i, vhost_blk_latency_bucket(end - 1));
		KUNIT_EXPECT_EQ(test, i + 1, vhost_blk_latency_bucket(end));
	}
	KUNIT_EXPECT_EQ(test, last, vhost_blk_latency_bucket(1ULL << 41));
	KUNIT_EXPECT_EQ(test, last, vhost_blk_latency_bucket(U64_MAX));
}

/* Each operation is counted as one kind, unknown types as others. */
static void stat_of_test(struct kunit *test)
{
	unsigned int op;

	for (op = 0; op <= VHOST_BLK_NR_OPS; op++)
		KUNIT_EXPECT_LE(test, vhost_blk_stat_of[op],
				VHOST_BLK_STAT_WRITE_ZEROES);
	KUNIT_EXPECT_EQ(test, vhost_blk_stat_of[VHOST_BLK_OP_READ],
			VHOST_BLK_STAT_READ);
	KUNIT_EXPECT_EQ(test, vhost_blk_stat_of[VHOST_BLK_OP_ZONE_APPEND],
			VHOST_BLK_STAT_WRITE);
	KUNIT_EXPECT_EQ(test, vhost_blk_stat_of[VHOST_BLK_OP_SECURE_ERASE],
			VHOST_BLK_STAT_DISCARD);
	KUNIT_EXPECT_EQ(test, vhost_blk_stat_of[VHOST_BLK_NR_OPS],
			VHOST_BLK_STAT_OTHER);
}

/* The first error of a flush stays.  A server may answer with EINTR, an ioctl may not. */
static void flushed_test(struct kunit *test)
{
	struct vhost_blk_be *be = kunit_kzalloc(test, sizeof(*be), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, be);
	KUNIT_EXPECT_EQ(test, vhost_blk_backend_flushed(be, 0), 0);
	KUNIT_EXPECT_EQ(test, vhost_blk_backend_flushed(be, -EINTR), -EIO);
	KUNIT_EXPECT_EQ(test, vhost_blk_backend_flushed(be, -ENOSPC), -EIO);
	KUNIT_EXPECT_EQ(test, vhost_blk_backend_flushed(be, 0), -EIO);
	KUNIT_EXPECT_EQ(test, be->flush_error, -EIO);
}

/**
 * struct fixture - a queue that is not part of a device
 * @q: the queue
 * @reqs: two requests of the queue
 */
struct fixture {
	struct vhost_blk_queue q;
	struct vhost_blk_req reqs[2];
};

/* Make a request look like one in flight, with @len bytes of data. */
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

/* Make a running queue of a device that has nothing but a workqueue. */
static struct fixture *make_queue(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	struct vhost_blk *blk = kunit_kzalloc(test, sizeof(*blk), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	KUNIT_ASSERT_NOT_NULL(test, blk);
	blk->submit_wq = alloc_workqueue("vhost-blk-kunit", WQ_UNBOUND, 0);
	KUNIT_ASSERT_NOT_NULL(test, blk->submit_wq);
	/* one for the file, one for the queue */
	refcount_set(&blk->refs, 2);
	vhost_blk_queue_init(&f->q);
	mutex_init(&f->q.vq.mutex);
	f->q.vq.dev = &blk->dev;
	vhost_blk_queue_event(&f->q, VHOST_BLK_EVENT_START);
	return f;
}

static void destroy_queue(struct fixture *f)
{
	mutex_destroy(&f->q.vq.mutex);
	destroy_workqueue(to_vhost_blk(&f->q)->submit_wq);
}

/* Without a worker each request is released once, and then the queue is stopped. */
static void dead_worker_test(struct kunit *test)
{
	struct fixture *f = make_queue(test);

	make_busy(&f->q, &f->reqs[0], 4096);
	make_busy(&f->q, &f->reqs[1], 512);

	vhost_blk_req_done(&f->reqs[0], 0);
	flush_delayed_work(&f->q.dead_worker_work);
	KUNIT_EXPECT_FALSE(test, f->reqs[0].busy);
	KUNIT_EXPECT_TRUE(test, f->reqs[1].busy);
	KUNIT_EXPECT_EQ(test, f->q.inflight, 1U);
	KUNIT_EXPECT_EQ(test, f->q.inflight_bytes, 512ULL);
	KUNIT_EXPECT_TRUE(test, vhost_blk_dead(&f->q));

	vhost_blk_req_done(&f->reqs[1], -EIO);
	flush_delayed_work(&f->q.dead_worker_work);
	KUNIT_EXPECT_FALSE(test, f->reqs[1].busy);
	KUNIT_EXPECT_EQ(test, f->q.inflight, 0U);
	KUNIT_EXPECT_EQ(test, f->q.inflight_bytes, 0ULL);
	KUNIT_EXPECT_TRUE(test, llist_empty(&f->q.done));
	KUNIT_EXPECT_TRUE(test, vhost_blk_stopped(&f->q));
	KUNIT_EXPECT_EQ(test, refcount_read(&to_vhost_blk(&f->q)->refs), 1U);
	destroy_queue(f);
}

static void never_wake(struct vhost_worker *worker)
{
}

/*
 * A queue gets another worker before the work for its dead one has run.  That
 * work is passed on if the queue is in use.  If it is stopped, its worker may be
 * freed.
 */
static void new_worker_test(struct kunit *test)
{
	static const struct vhost_worker_ops ops = { .wakeup = never_wake };
	struct vhost_worker worker = { .ops = &ops };
	struct fixture *f = make_queue(test);

	init_llist_head(&worker.work_list);
	vhost_blk_queue_event(&f->q, VHOST_BLK_EVENT_STOP);
	mutex_lock(&f->q.vq.mutex);
	vhost_blk_queue_drained(&f->q);
	mutex_unlock(&f->q.vq.mutex);
	rcu_assign_pointer(f->q.vq.worker, &worker);
	vhost_blk_queue_dead_worker(&f->q, 0);
	flush_delayed_work(&f->q.dead_worker_work);
	KUNIT_EXPECT_TRUE(test, llist_empty(&worker.work_list));

	vhost_blk_queue_event(&f->q, VHOST_BLK_EVENT_START);
	vhost_blk_queue_dead_worker(&f->q, 0);
	flush_delayed_work(&f->q.dead_worker_work);
	KUNIT_EXPECT_PTR_EQ(test, llist_del_all(&worker.work_list),
			    &f->q.done_work.node);
	KUNIT_EXPECT_FALSE(test, vhost_blk_dead(&f->q));
	destroy_queue(f);
}

static struct kunit_case complete_cases[] = {
	KUNIT_CASE(status_test),
	KUNIT_CASE(blk_status_test),
	KUNIT_CASE(used_len_test),
	KUNIT_CASE(latency_bucket_test),
	KUNIT_CASE(stat_of_test),
	KUNIT_CASE(flushed_test),
	KUNIT_CASE(dead_worker_test),
	KUNIT_CASE(new_worker_test),
	{}
};

static struct kunit_suite complete_suite = {
	.name = "vhost_blk_complete",
	.test_cases = complete_cases,
};

kunit_test_suites(&complete_suite);
