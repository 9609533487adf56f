// SPDX-License-Identifier: GPL-2.0
/*
 * The error policy: a request whose I/O fails is reported, ignored, or parked
 * and retried by the next start.  Each request completes once.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mount.h>

#include "dirty.h"
#include "park.h"
#include "ranges.h"
#include "suite-iotlb.h"
#include "suite-mapped.h"
#include "traffic.h"
#include "vmm.h"

#define STOPPED		VHOST_BLK_QUEUE_STOPPED
#define RUNNING		VHOST_BLK_QUEUE_RUNNING
#define PAUSED		VHOST_BLK_QUEUE_PAUSED
#define DRAINING	VHOST_BLK_QUEUE_DRAINING
#define BROKEN		VHOST_BLK_QUEUE_BROKEN
#define PARKED		VHOST_BLK_QUEUE_PARKED

#define BAD_PTR		((void *)8)
#define A_WHILE		50	/* ms, for an event that must not happen */

#define BREAK_DISK()	ASSERT_WELL(dm_replace(&self->dm, self->b.size / SECTOR, "error", ""))
#define REPAIR_DISK()	ASSERT_WELL(linear(&self->dm, &self->below))

static struct request *make(struct guest *g, uint32_t type, uint64_t sector, uint32_t sectors)
{
	static uint64_t seed = 1000;
	struct request *q = request_new(g, type, sector, sectors * SECTOR);

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, seed++);
	return q;
}

static void send(struct ring *r, struct request *q)
{
	ring_add(r, q);
	ring_kick_now(r);
}

/* Send a request that is parked. */
static const char *send_parked(struct ring *r, struct request *q)
{
	guest_snapshot(r->guest);
	send(r, q);
	return park_wait(r, PARKED, 1);
}

/* The parked request completes once it is retried. */
static const char *retry_one(struct ring *r, struct request *q, uint8_t status)
{
	const char *why = park_retry(r);

	if (!why)
		why = ring_wait(r, 1, 20000);
	return why ? why : request_check(q, status);
}

/* What the VMM sees of a parked request, and what the guest does not see */
TEST_F(mapped, parked)
{
	struct ring *r = &self->g.ring[0];
	struct request *q = make(&self->g, T_OUT, 40, 8), *other;
	struct vhost_blk_vring_info info;
	uint16_t base, heads[4] = {};
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint32_t count;

	ASSERT_EQ(0, park_policy(&self->g, PARK, PARK, fd));
	BREAK_DISK();
	ASSERT_WELL(send_parked(r, q));
	EXPECT_TRUE(eventfd_wait(fd, 1000));
	EXPECT_EQ(1, eventfd_drain(fd));
	ASSERT_EQ(0, ring_info(r, &info));
	EXPECT_EQ(1, info.failures);
	EXPECT_EQ(40, info.failed_sector);
	EXPECT_EQ(T_OUT, info.failed_type);
	EXPECT_EQ(-EIO, info.failed_error);
	EXPECT_EQ(PARK, info.failed_action);
	EXPECT_EQ(0, info.break_reason);
	/* the guest gets nothing */
	EXPECT_EQ(0, ring_device_idx(r));
	ASSERT_WELL(guest_compare(&self->g));
	EXPECT_FALSE(eventfd_wait(r->err, A_WHILE));
	/* no more chains are taken, until the queue was stopped and started */
	other = make(&self->g, T_IN, 80, 8);
	guest_snapshot(&self->g);
	send(r, other);
	ASSERT_WELL(ring_idle(r, A_WHILE));
	EXPECT_EQ(0, ring_set_running(r, 1));
	ASSERT_WELL(park_wait(r, PARKED, 1));
	count = ARRAY_SIZE(heads);
	EXPECT_EQ(EBUSY, -park_get(r, heads, &count));
	/* the other queue is not affected */
	ASSERT_EQ(0, ring_info(&self->g.ring[1], &info));
	EXPECT_EQ(RUNNING, info.state);
	EXPECT_EQ(0, info.failures);
	ASSERT_EQ(0, ring_stop(r, &base));
	EXPECT_EQ(1, base);
	ASSERT_WELL(park_wait(r, STOPPED, 1));
	ASSERT_EQ(0, park_get(r, heads, &count));
	EXPECT_EQ(1, count);
	EXPECT_EQ(q->head, heads[0]);
	/* what has failed is known until the next start */
	ASSERT_EQ(0, ring_info(r, &info));
	EXPECT_EQ(-EIO, info.failed_error);
	REPAIR_DISK();
	ASSERT_EQ(0, ring_set_running(r, 1));
	ASSERT_WELL(ring_wait(r, 2, 20000));
	ASSERT_WELL(request_outcome(q, S_OK));
	ASSERT_WELL(request_outcome(other, S_OK));
	ASSERT_WELL(guest_compare(&self->g));
	ASSERT_WELL(park_wait(r, RUNNING, 0));
	ASSERT_EQ(0, ring_info(r, &info));
	EXPECT_EQ(1, info.failures);
	EXPECT_EQ(0, info.failed_error);
	EXPECT_FALSE(eventfd_wait(fd, A_WHILE));
	request_free(q);
	request_free(other);
	close(fd);
	ASSERT_WELL(backend_compare_all(&self->b));
	GOOD();
}

/* The disk still fails when the request is retried; then the VMM lets it fail. */
TEST_F(mapped, again)
{
	struct ring *r = &self->g.ring[0];
	struct request *q = make(&self->g, T_IN, 40, 8);
	struct vhost_blk_vring_info info;
	unsigned int i;

	ASSERT_EQ(0, park_policy(&self->g, PARK, PARK, -1));
	BREAK_DISK();
	ASSERT_WELL(send_parked(r, q));
	for (i = 0; i < 5; i++) {
		ASSERT_WELL(park_retry(r));
		ASSERT_WELL(park_wait(r, PARKED, 1));
	}
	ASSERT_EQ(0, ring_info(r, &info));
	EXPECT_EQ(6, info.failures);
	EXPECT_EQ(T_IN, info.failed_type);
	ASSERT_EQ(0, park_policy(&self->g, REPORT, REPORT, -1));
	/* the policy is for requests that fail later */
	ASSERT_WELL(park_wait(r, PARKED, 1));
	ASSERT_WELL(retry_one(r, q, S_IOERR));
	ASSERT_EQ(0, ring_info(r, &info));
	EXPECT_EQ(REPORT, info.failed_action);
	request_free(q);
	REPAIR_DISK();
	GOOD();
}

/* The eventfd is signalled for each action, and can be replaced and removed. */
TEST_F(mapped, eventfd)
{
	struct ring *r = &self->g.ring[0];
	int a = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), b = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct request *q;

	BREAK_DISK();
	ASSERT_EQ(0, park_policy(&self->g, REPORT, REPORT, a));
	ENDS(T_IN, 8, 8, S_IOERR);
	EXPECT_EQ(1, eventfd_drain(a));
	ASSERT_EQ(0, park_policy(&self->g, IGNORE, IGNORE, b));
	ENDS(T_IN, 8, 8, S_OK);
	EXPECT_EQ(0, eventfd_drain(a));
	EXPECT_EQ(1, eventfd_drain(b));
	ASSERT_EQ(0, park_policy(&self->g, PARK, PARK, -1));
	q = make(&self->g, T_OUT, 8, 8);
	ASSERT_WELL(send_parked(r, q));
	EXPECT_EQ(0, eventfd_drain(b));
	REPAIR_DISK();
	ASSERT_WELL(retry_one(r, q, S_OK));
	request_free(q);
	GOOD();
	close(a);
	close(b);
}

/* ENOSPC has an action of its own, and reads have others than writes. */
TEST_F(mapped, kinds)
{
	struct vhost_blk_error_policy policy = {
		.read = REPORT, .write = IGNORE, .read_nospace = PARK, .write_nospace = PARK,
		.fd = -1,
	};

	BREAK_DISK();
	ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_BLK_SET_ERROR_POLICY, &policy));
	ENDS(T_IN, 8, 8, S_IOERR);
	ENDS(T_OUT, 8, 8, S_OK);
	policy.read = IGNORE;
	policy.write = REPORT;
	ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_BLK_SET_ERROR_POLICY, &policy));
	ENDS(T_IN, 8, 8, S_OK);
	ENDS(T_OUT, 8, 8, S_IOERR);
	REPAIR_DISK();
	GOOD();
}

/* What is not an error of the disk is reported, and no failure. */
TEST_F(mapped, reported)
{
	struct vhost_blk_vring_info info;
	struct request *q;

	ASSERT_EQ(0, park_policy(&self->g, PARK, PARK, -1));
	ENDS(12345, 8, 8, VIRTIO_BLK_S_UNSUPP);
	ENDS(T_OUT, self->b.size / SECTOR, 8, S_IOERR);
	ENDS(T_IN, ~0ULL, 8, S_IOERR);
	/* data outside of guest memory */
	q = make(&self->g, T_IN, 8, 8);
	q->seg[q->nout].gpa = HOLE_GPA;
	ASSERT_WELL(request_run(&self->g.ring[0], q, 20000));
	EXPECT_EQ(S_IOERR, request_status(q));
	request_free(q);
	/* requests that do not need the disk */
	BREAK_DISK();
	ASSERT_WELL(request_ends(&self->g.ring[0], T_GET_ID, 0, 20, S_OK));
	ENDS(T_IN, 8, 0, S_OK);
	ENDS(T_OUT, 8, 0, S_OK);
	ASSERT_EQ(0, ring_info(&self->g.ring[0], &info));
	EXPECT_EQ(RUNNING, info.state);
	EXPECT_EQ(0, info.failures);
	REPAIR_DISK();
	GOOD();
}

/*
 * A flush that has failed is reported, whatever the policy: it fails again, and
 * data of completed writes may be lost.
 */
TEST_F(mapped, flush)
{
	struct ring *r = &self->g.ring[0];
	static const uint32_t action[] = { PARK, IGNORE };
	struct vhost_blk_vring_info info = {};
	char params[256];
	unsigned int i;

	snprintf(params, sizeof(params), "%s 0 0 3600 1 error_writes", self->below.path);
	ASSERT_WELL(dm_replace(&self->dm, self->b.size / SECTOR, "flakey", params));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, park_policy(&self->g, action[i % 2], action[i % 2], -1));
		ENDS(T_FLUSH, 0, 0, S_IOERR);
		ASSERT_EQ(0, ring_info(r, &info));
		EXPECT_EQ(i + 1, info.failures);
		EXPECT_EQ(REPORT, info.failed_action);
		EXPECT_EQ(0, info.parked);
		if (!i)
			REPAIR_DISK();
	}
	GOOD();
}

static bool reaches(struct ring *r, uint16_t idx)
{
	unsigned int ms;

	for (ms = 0; ms < 20000 && ring_device_idx(r) != idx; ms++)
		usleep(1000);
	return ring_device_idx(r) == idx;
}

/* Wait until a queue is parked, and none of its requests is in flight. */
static const char *settle(struct ring *r, uint32_t *parked)
{
	struct vhost_blk_vring_info info = {};
	unsigned int ms;

	for (ms = 0; ms < 10000; ms++) {
		if (ring_info(r, &info))
			return "GET_VRING_INFO fails";
		*parked = info.parked;
		if (info.state == PARKED && !info.inflight)
			return NULL;
		usleep(1000);
	}
	return guest_say(r->guest, "queue %u: state %u, %u in flight", r->index, info.state,
			 info.inflight);
}

/*
 * The list of a queue that is stopped must be this one.  With @again the requests
 * were retried.  If the device has ended its round before the last of them, the
 * list begins with those that were not retried; if not, it may have taken others,
 * which are at the end.
 */
static const char *expect_list(struct ring *r, const uint16_t *heads, uint32_t n, bool again)
{
	uint32_t i, first = 0, count = 128;
	uint16_t got[128];

	if (park_get(r, got, &count) || count < n || (!again && count > n))
		return guest_say(r->guest, "%u in the list, must be %u", count, n);
	while (again && count == n && first < n && heads[first] != got[0])
		first++;
	for (i = 0; i < n; i++)
		if (got[i] != heads[(first + i) % n])
			return guest_say(r->guest, "number %u of the list is head %u, must be %u",
					 i, got[i], heads[(first + i) % n]);
	return NULL;
}

/* Start the queue with another list, with the disk still failing: the order is kept. */
static const char *retry_in_order(struct ring *r, uint16_t *heads, uint32_t n, bool reverse)
{
	const char *why;
	uint32_t i, parked;

	for (i = 0; reverse && i < n / 2; i++) {
		uint16_t head = heads[i];

		heads[i] = heads[n - 1 - i];
		heads[n - 1 - i] = head;
	}
	if (park_set(r, heads, n) || ring_set_running(r, 1))
		return "the list cannot be set, or the queue cannot be started";
	why = settle(r, &parked);
	if (!why && ring_set_running(r, 0))
		why = "the queue cannot be stopped";
	return why ? why : expect_list(r, heads, n, true);
}

/*
 * Many requests on both queues fail, in the order in which the disk gets them.
 * They are retried in the order of the list.  Those that were not taken before
 * the first one failed stay in the ring.
 */
static const char *check_order(struct guest *g, struct dm *dm, struct backend *below,
			       const struct batch_opts *opts, struct rng *rng, bool reverse)
{
	const char *why;
	uint16_t from[2];
	uint32_t n[2], k;
	struct batch b;
	unsigned int i;

	why = dm_replace(dm, below->size / SECTOR, "error", "");
	if (why)
		return why;
	for (i = 0; i < 2; i++)
		from[i] = g->ring[i].avail_idx;
	batch_build(&b, g, opts, rng);
	why = batch_submit(&b);
	for (i = 0; !why && i < 2; i++)
		why = settle(&g->ring[i], &n[i]);
	if (!why && guest_set_running(g, 0))
		why = "SET_RUNNING 0 fails";
	for (i = 0; !why && i < 2; i++) {
		struct ring *r = &g->ring[i];
		uint16_t heads[128];

		for (k = 0; k < n[i]; k++)
			heads[k] = le16toh(r->avail->ring[(uint16_t)(from[i] + k) % r->num]);
		why = expect_list(r, heads, n[i], false);
		if (!why)
			why = retry_in_order(r, heads, n[i], reverse);
	}
	if (!why)
		why = linear(dm, below);
	if (!why && guest_set_running(g, 1))
		why = "SET_RUNNING 1 fails";
	if (!why)
		why = batch_wait(&b, 20000);
	if (!why)
		why = batch_check(&b);
	batch_free(&b);
	return why;
}

TEST_F_TIMEOUT(mapped, order, 60)
{
	struct batch_opts opts = { .writes_only = true };
	unsigned int i;

	ASSERT_EQ(0, park_policy(&self->g, PARK, PARK, -1));
	for (i = 0; i < scaled(10, 4); i++) {
		opts.reads_only = i & 2;
		opts.writes_only = !opts.reads_only;
		ASSERT_WELL(check_order(&self->g, &self->dm, &self->below, &opts, &self->rng,
					i & 1));
	}
	GOOD();
}

/* Requests of any layout, bounced and indirect ones among them, with the disk failing often */
TEST_F_TIMEOUT(mapped, layouts, 120)
{
	struct batch_opts opts = { .per_queue = 24, .max_sectors = 40, .max_segs = 9 };
	unsigned int i, k, round;

	ASSERT_EQ(0, park_policy(&self->g, PARK, PARK, -1));
	for (round = 0; round < scaled(20, 6); round++) {
		struct batch b;

		BREAK_DISK();
		batch_build(&b, &self->g, &opts, &self->rng);
		for (i = 0; i < b.n; i++)
			request_place(b.q[i], PLACE_SCATTER, &self->rng);
		for (i = 0; i < b.n; i++)
			request_arm(b.q[i], rng_next(&self->rng));
		ASSERT_WELL(batch_submit(&b));
		for (k = 0; k < rng_below(&self->rng, 3); k++) {
			usleep(rng_below(&self->rng, 3000));
			ASSERT_EQ(0, guest_set_running(&self->g, 0));
			ASSERT_EQ(0, guest_set_running(&self->g, 1));
		}
		REPAIR_DISK();
		ASSERT_EQ(0, guest_set_running(&self->g, 0));
		ASSERT_EQ(0, guest_set_running(&self->g, 1));
		ASSERT_WELL(batch_wait(&b, 20000));
		ASSERT_WELL(batch_check(&b));
		batch_free(&b);
	}
	GOOD();
}

/* Only requests that fail are parked; others in flight complete. */
TEST_F_TIMEOUT(faults, some, 60)
{
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true };
	const char *why = backend_open_as(&self->b, &disk);
	struct request *q[24];
	struct ring *r;
	unsigned int i, bad = 0;

	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 2);
	r = &self->g.ring[0];
	ASSERT_EQ(0, park_policy(&self->g, PARK, PARK, -1));
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "+1000-1063"));
	for (i = 0; i < ARRAY_SIZE(q); i++) {
		bad += i % 3 == 1;
		q[i] = make(&self->g, i & 1 ? T_IN : T_OUT, (i % 3 == 1 ? 1000 : 100) + 8 * (i / 3),
			    8);
	}
	guest_snapshot(&self->g);
	for (i = 0; i < ARRAY_SIZE(q); i++)
		ASSERT_EQ(0, ring_add(r, q[i]));
	ring_kick_now(r);
	/* chains behind the first that fails may be taken, or not */
	for (i = 0; i < 10000 && !eventfd_wait(r->call, 1); i++)
		;
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "-1000-1063"));
	ASSERT_WELL(park_retry(r));
	ASSERT_WELL(ring_wait(r, ARRAY_SIZE(q), 20000));
	for (i = 0; i < ARRAY_SIZE(q); i++) {
		EXPECT_EQ(1, q[i]->done);
		EXPECT_EQ(S_OK, request_status(q[i]));
		request_free(q[i]);
	}
	ASSERT_LT(0, bad);
	GOOD();
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/* A call by another thread while a request hangs */
struct call {
	struct guest *g;
	long (*fn)(struct guest *g);
	long ret;
};

static void *run_call(void *arg)
{
	struct call *c = arg;

	c->ret = c->fn(c->g);
	return NULL;
}

static long stop(struct guest *g)
{
	return guest_set_running(g, 0);
}

/* A request fails while a stop, or a new memory table, waits for it. */
static const char *fails_during(struct guest *g, struct dm *dm, struct backend *below,
				struct call *c, unsigned int during)
{
	struct vhost_blk_vring_info info = {};
	const char *why = NULL;
	pthread_t thread;
	unsigned int ms;

	pthread_create(&thread, NULL, run_call, c);
	for (ms = 0; ms < 10000 && info.state != during; ms++) {
		usleep(1000);
		ring_info(&g->ring[0], &info);
	}
	if (info.state != during)
		why = guest_say(g, "state %u, must be %u", info.state, during);
	/* this resumes it, too */
	if (dm_replace(dm, below->size / SECTOR, "error", ""))
		why = "the disk can't be replaced";
	pthread_join(thread, NULL);
	return why ? why : c->ret ? "the call fails" : NULL;
}

TEST_F_TIMEOUT(mapped, while_waited_for, 60)
{
	static const struct {
		long (*fn)(struct guest *g);
		unsigned int during, after;
	} calls[] = {
		{ stop, DRAINING, STOPPED }, { guest_set_mem_table, PAUSED, PARKED },
	};
	struct ring *r = &self->g.ring[0];
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	unsigned int i;

	ASSERT_EQ(0, park_policy(&self->g, PARK, PARK, fd));
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		struct request *q = make(&self->g, T_OUT, 8, 8);
		struct call c = { .g = &self->g, .fn = calls[i].fn };

		ASSERT_WELL(dm_suspend(&self->dm));
		guest_snapshot(&self->g);
		send(r, q);
		usleep(10000);
		ASSERT_WELL(fails_during(&self->g, &self->dm, &self->below, &c, calls[i].during));
		ASSERT_WELL(park_wait(r, calls[i].after, 1));
		EXPECT_EQ(1, eventfd_drain(fd));
		REPAIR_DISK();
		ASSERT_WELL(retry_one(r, q, S_OK));
		ASSERT_EQ(0, guest_set_running(&self->g, 1));
		request_free(q);
	}
	GOOD();
	close(fd);
}

/* A new backend, a new memory table and another cache mode do not wait for it. */
TEST_F(mapped, changes)
{
	struct ring *r = &self->g.ring[0];
	struct request *q = make(&self->g, T_OUT, 8, 8);

	ASSERT_EQ(0, park_policy(&self->g, PARK, PARK, -1));
	BREAK_DISK();
	ASSERT_WELL(send_parked(r, q));
	EXPECT_EQ(0, guest_set_mem_table(&self->g));
	EXPECT_EQ(0, guest_set_writeback(&self->g, 0));
	EXPECT_EQ(0, guest_set_backend(&self->g, self->below.fd, 0));
	ASSERT_WELL(park_wait(r, PARKED, 1));
	/* it is written to the new backend, while the old one still fails */
	ASSERT_WELL(park_retry(r));
	ASSERT_WELL(ring_wait(r, 1, 20000));
	REPAIR_DISK();
	ASSERT_WELL(request_check(q, S_OK));
	request_free(q);
	GOOD();
}

/* The memory of the request is gone when it is retried, in part or all of it. */
TEST_F(mapped, memory_gone)
{
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	uint64_t gpa = g->region[0].gpa + g->region[0].len + (1 << 20);
	struct request *q = make(g, T_OUT, 8, 8);
	struct vhost_blk_vring_info info;
	unsigned int i;

	ASSERT_NE(NULL, guest_add_region(g, gpa, 1 << 16));
	ASSERT_EQ(0, guest_set_mem_table(g));
	ASSERT_EQ(0, park_policy(g, PARK, PARK, -1));
	for (i = 0; i < 2; i++) {
		BREAK_DISK();
		/* the data, or all of it */
		request_place_at(q, gpa, i ? gpa + 32768 : guest_alloc(g, 64, 16));
		request_arm(q, 77);
		ASSERT_WELL(send_parked(r, q));
		ASSERT_EQ(0, guest_set_running(g, 0));
		g->nregions--;
		ASSERT_EQ(0, guest_set_mem_table(g));
		REPAIR_DISK();
		ASSERT_EQ(0, guest_set_running(g, 1));
		if (i) {
			ASSERT_WELL(park_wait(r, BROKEN, 1));
			EXPECT_TRUE(eventfd_wait(r->err, 10000));
			eventfd_drain(r->err);
			ASSERT_EQ(0, ring_info(r, &info));
			EXPECT_EQ(VHOST_BLK_BREAK_CHAIN, info.break_reason);
			EXPECT_EQ(-EFAULT, info.break_error);
		} else {
			ASSERT_WELL(ring_wait(r, 1, 20000));
			EXPECT_EQ(S_IOERR, request_status(q));
			EXPECT_EQ(1, q->done);
		}
		g->nregions++;
		ASSERT_EQ(0, guest_set_mem_table(g));
	}
	/* it is still parked */
	guest_snapshot(g);
	ASSERT_WELL(retry_one(r, q, S_OK));
	request_free(q);
	GOOD();
}

/* The guest may have changed the chain, or made the head available again. */
TEST_F_TIMEOUT(mapped, hostile, 60)
{
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	struct request *q = make(g, T_OUT, 8, 8);
	struct vhost_blk_vring_info info;
	struct vring_desc saved;

	ASSERT_EQ(0, park_policy(g, PARK, PARK, -1));
	BREAK_DISK();
	ASSERT_WELL(send_parked(r, q));
	ASSERT_EQ(0, guest_set_running(g, 0));
	saved = r->desc[q->head];
	/* a loop */
	r->desc[q->head].next = htole16(q->head);
	ASSERT_EQ(0, guest_set_running(g, 1));
	ASSERT_WELL(park_wait(r, BROKEN, 1));
	ASSERT_EQ(0, ring_info(r, &info));
	EXPECT_EQ(VHOST_BLK_BREAK_CHAIN, info.break_reason);
	/* past the end of the ring */
	r->desc[q->head].next = htole16(r->num);
	ASSERT_WELL(park_retry(r));
	ASSERT_WELL(park_wait(r, BROKEN, 1));
	/* no status byte */
	r->desc[q->head].flags = 0;
	ASSERT_WELL(park_retry(r));
	ASSERT_WELL(park_wait(r, BROKEN, 1));
	ASSERT_EQ(0, ring_info(r, &info));
	EXPECT_EQ(VHOST_BLK_BREAK_NO_STATUS, info.break_reason);
	r->desc[q->head] = saved;
	ASSERT_EQ(0, guest_set_running(g, 0));
	eventfd_drain(r->err);
	/* made available again: the retried request hangs, and is in flight once */
	REPAIR_DISK();
	ASSERT_WELL(dm_suspend(&self->dm));
	ASSERT_EQ(0, guest_set_running(g, 1));
	ring_add_raw(r, q->head);
	ring_kick_now(r);
	EXPECT_TRUE(eventfd_wait(r->err, 10000));
	eventfd_drain(r->err);
	ASSERT_EQ(0, ring_info(r, &info));
	EXPECT_EQ(BROKEN, info.state);
	EXPECT_EQ(VHOST_BLK_BREAK_HEAD_BUSY, info.break_reason);
	EXPECT_EQ(1, info.inflight);
	EXPECT_EQ(0, info.parked);
	ASSERT_WELL(dm_resume(&self->dm));
	EXPECT_TRUE(reaches(r, 1));
	EXPECT_EQ(S_OK, request_status(q));
	request_free(q);
	ASSERT_WELL(backend_adopt(&self->b, 0, self->b.size));
	ASSERT_WELL(check_repaired(g));
	GOOD();
}

/* The arguments of the ioctls */
TEST_F(mapped, arguments)
{
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	struct vhost_blk_vring_parked list = { .index = 0 };
	struct vhost_blk_error_policy policy = { .fd = -1 };
	struct vhost_vring_state num = { .num = 64 };
	uint16_t heads[130], got[4];
	uint32_t count = 2;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(heads); i++)
		heads[i] = i;
	/* running */
	EXPECT_EQ(EBUSY, -park_set(r, heads, 1));
	EXPECT_EQ(EBUSY, -park_get(r, got, &count));
	ASSERT_EQ(0, guest_set_running(g, 0));
	EXPECT_EQ(EINVAL, -park_set(r, heads, 129));
	EXPECT_EQ(EINVAL, -park_set(r, heads, UINT32_MAX));
	EXPECT_EQ(EINVAL, -park_set(r, heads + 1, 128));
	heads[3] = 1;
	EXPECT_EQ(EINVAL, -park_set(r, heads, 4));
	heads[3] = 3;
	EXPECT_EQ(EFAULT, -park_set(r, BAD_PTR, 1));
	EXPECT_EQ(0, park_set(r, BAD_PTR, 0));
	EXPECT_EQ(0, park_set(r, heads, 128));
	EXPECT_EQ(0, park_set(r, heads + 120, 3));
	/* refused calls change nothing */
	EXPECT_EQ(EINVAL, -park_set(r, heads + 120, 9));
	count = 2;
	got[2] = 999;
	EXPECT_EQ(0, park_get(r, got, &count));
	EXPECT_EQ(3, count);
	EXPECT_EQ(120, got[0]);
	EXPECT_EQ(121, got[1]);
	EXPECT_EQ(999, got[2]);
	EXPECT_EQ(EFAULT, -park_get(r, BAD_PTR, &count));
	list.reserved[3] = 1;
	EXPECT_EQ(EINVAL, -guest_ioctl(g, VHOST_BLK_SET_VRING_PARKED, &list));
	EXPECT_EQ(EINVAL, -guest_ioctl(g, VHOST_BLK_GET_VRING_PARKED, &list));
	list = (struct vhost_blk_vring_parked) { .index = VHOST_BLK_MAX_QUEUES };
	EXPECT_EQ(ENOBUFS, -guest_ioctl(g, VHOST_BLK_SET_VRING_PARKED, &list));
	EXPECT_EQ(ENOBUFS, -guest_ioctl(g, VHOST_BLK_GET_VRING_PARKED, &list));
	EXPECT_EQ(EFAULT, -guest_ioctl(g, VHOST_BLK_SET_VRING_PARKED, BAD_PTR));
	EXPECT_EQ(EFAULT, -guest_ioctl(g, VHOST_BLK_GET_VRING_PARKED, BAD_PTR));
	/* a ring without these heads: nothing is started */
	ASSERT_EQ(0, guest_ioctl(g, VHOST_SET_VRING_NUM, &num));
	EXPECT_EQ(EINVAL, -guest_set_running(g, 1));
	ASSERT_WELL(park_wait(r, STOPPED, 3));
	ASSERT_WELL(park_wait(&g->ring[1], STOPPED, 0));
	ASSERT_EQ(0, park_set(r, NULL, 0));
	num.num = 128;
	ASSERT_EQ(0, guest_ioctl(g, VHOST_SET_VRING_NUM, &num));
	/* the policy */
	EXPECT_EQ(EFAULT, -guest_ioctl(g, VHOST_BLK_SET_ERROR_POLICY, BAD_PTR));
	for (i = 0; i < 4; i++) {
		(&policy.read)[i] = PARK + 1;
		EXPECT_EQ(EINVAL, -guest_ioctl(g, VHOST_BLK_SET_ERROR_POLICY, &policy));
		(&policy.read)[i] = REPORT;
	}
	for (i = 0; i < ARRAY_SIZE(policy.reserved); i++) {
		policy.reserved[i] = 1;
		EXPECT_EQ(EINVAL, -guest_ioctl(g, VHOST_BLK_SET_ERROR_POLICY, &policy));
		policy.reserved[i] = 0;
	}
	policy.fd = self->b.fd;
	EXPECT_EQ(EINVAL, -guest_ioctl(g, VHOST_BLK_SET_ERROR_POLICY, &policy));
	policy.fd = 100000;
	EXPECT_EQ(EBADF, -guest_ioctl(g, VHOST_BLK_SET_ERROR_POLICY, &policy));
	ASSERT_EQ(0, guest_set_running(g, 1));
	GOOD();
}

/*
 * The list of a stopped queue is set on a new device, as by migration.  The
 * requests have been taken there, and complete once.
 */
TEST_F_TIMEOUT(mapped, moved, 60)
{
	struct batch_opts opts = { .per_queue = 20, .max_segs = 5 };
	struct guest *g = &self->g;
	uint16_t heads[2][64], base[2];
	uint32_t count[2] = { 64, 64 }, parked;
	struct batch b;
	unsigned int i;

	ASSERT_EQ(0, park_policy(g, PARK, PARK, -1));
	BREAK_DISK();
	batch_build(&b, g, &opts, &self->rng);
	ASSERT_WELL(batch_submit(&b));
	for (i = 0; i < 2; i++) {
		ASSERT_WELL(settle(&g->ring[i], &parked));
		ASSERT_EQ(0, ring_stop(&g->ring[i], &base[i]));
		ASSERT_EQ(0, park_get(&g->ring[i], heads[i], &count[i]));
		EXPECT_EQ(parked, count[i]);
		EXPECT_EQ(parked, base[i]);
	}
	guest_close(g);
	REPAIR_DISK();
	ASSERT_WELL(guest_boot_to(g, STAGE_RINGS));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ring_set_base(&g->ring[i], base[i]));
		ASSERT_EQ(0, park_set(&g->ring[i], heads[i], count[i]));
	}
	ASSERT_WELL(guest_boot(g));
	ASSERT_WELL(batch_wait(&b, 20000));
	ASSERT_WELL(batch_check(&b));
	batch_free(&b);
	GOOD();
}

/* A head of which no request is in flight, as a VMM may set by mistake */
TEST_F(mapped, stale)
{
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	struct vhost_blk_vring_info info;
	const uint16_t unused = 100;

	GOOD();
	ASSERT_EQ(0, guest_set_running(g, 0));
	ASSERT_EQ(0, park_set(r, &unused, 1));
	ASSERT_EQ(0, guest_set_running(g, 1));
	ASSERT_WELL(park_wait(r, BROKEN, 1));
	ASSERT_EQ(0, ring_info(r, &info));
	EXPECT_EQ(VHOST_BLK_BREAK_NO_STATUS, info.break_reason);
	ASSERT_EQ(0, guest_set_running(g, 0));
	ASSERT_EQ(0, park_set(r, NULL, 0));
	eventfd_drain(r->err);
	ASSERT_EQ(0, guest_set_running(g, 1));
	GOOD();
}

/* A reset forgets the requests and the policy. */
TEST_F(mapped, reset)
{
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	struct request *q = make(g, T_OUT, 8, 8);
	struct vhost_blk_vring_info info;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	ASSERT_EQ(0, park_policy(g, PARK, PARK, fd));
	BREAK_DISK();
	ASSERT_WELL(send_parked(r, q));
	eventfd_drain(fd);
	ASSERT_EQ(0, guest_ioctl(g, VHOST_RESET_OWNER, NULL));
	ASSERT_WELL(park_wait(r, STOPPED, 0));
	ASSERT_EQ(0, ring_info(r, &info));
	EXPECT_EQ(0, info.failures);
	EXPECT_EQ(0, info.failed_error);
	ring_reset(r, 0);
	ring_reset(&g->ring[1], 0);
	g->stage = STAGE_OPEN;
	ASSERT_WELL(guest_boot(g));
	ENDS(T_OUT, 8, 8, S_IOERR);
	EXPECT_EQ(0, eventfd_drain(fd));
	EXPECT_EQ(STATUS_POISON, request_status(q));
	request_free(q);
	REPAIR_DISK();
	GOOD();
	close(fd);
}

/* The dirty log has the part of the data that a parked read has written. */
TEST_F_TIMEOUT(faults, logged, 60)
{
	const uint32_t len = 3 * (128U << 10);
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true };
	struct guest_opts opts = {
		.backend = &self->b, .queues = 2, .features_on = BIT64(VHOST_F_LOG_ALL),
	};
	const char *why = backend_open_as(&self->b, &disk);
	struct request *q;
	struct ring *r;
	struct dirty d;

	if (why)
		SKIP(return, "%s", why);
	guest_init(&self->g, &opts);
	dirty_attach(&self->g, &d);
	ASSERT_WELL(guest_boot_to(&self->g, STAGE_MEMORY));
	ASSERT_EQ(0, dirty_set_base(&self->g));
	ASSERT_WELL(guest_boot(&self->g));
	r = &self->g.ring[0];
	ASSERT_EQ(0, park_policy(&self->g, PARK, PARK, -1));
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "+384-391"));
	/* unaligned, so it is copied in three steps, of which the second fails */
	q = request_new(&self->g, T_IN, 0, len);
	request_cut(q, NULL, 0, &len, true);
	request_place_at(q, guest_alloc(&self->g, HDR_LEN, 16),
			 guest_alloc(&self->g, q->in_len + 1, 4096) + 1);
	request_arm(q, 1);
	d.stopped = true;
	dirty_begin(&self->g);
	dirty_may_request(&self->g, q, true);
	ASSERT_WELL(send_parked(r, q));
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_WELL(dirty_check(&self->g));
	ASSERT_LE(32, d.changed);
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "-384-391"));
	dirty_begin(&self->g);
	dirty_may_request(&self->g, q, true);
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	ASSERT_WELL(ring_wait(r, 1, 20000));
	EXPECT_EQ(S_OK, request_status(q));
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_WELL(dirty_check(&self->g));
	ASSERT_LE(64, d.changed);
	request_free(q);
	dirty_free(&self->g);
	guest_destroy(&self->g);
	backend_close(&self->b);
}

/* A full file system: the requests wait until it is larger. */
TEST_F_TIMEOUT(faults, no_space, 60)
{
	char dir[] = "/tmp/vhost-test-full-XXXXXX";
	struct backend_opts disk = {
		.kind = BACKEND_FILE, .dir = dir, .blank = true, .size = 8 << 20,
	};
	const struct range range = { .sector = 12288, .sectors = 64 };
	struct vhost_blk_vring_info info = {};
	struct request *q = NULL, *zeroes;
	struct ring *r;
	uint64_t sector;
	uint16_t base;

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, mount("vhost-test", dir, "tmpfs", 0, "size=1m"));
	ASSERT_WELL(backend_open_as(&self->b, &disk));
	BOOT(.queues = 2, .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
	r = &self->g.ring[0];
	/* the default of QEMU: werror=enospc, rerror=report */
	ASSERT_EQ(0, park_policy(&self->g, REPORT, PARK, -1));
	for (sector = 0; sector < 4096 && !info.parked; sector += 64) {
		q = make(&self->g, T_OUT, sector, 64);
		guest_snapshot(&self->g);
		send(r, q);
		while (ring_device_idx(r) == r->used_idx && !info.parked)
			ring_info(r, &info);
		if (info.parked)
			break;
		ASSERT_NE(NULL, ring_take(r));
		EXPECT_EQ(S_OK, request_status(q));
		request_free(q);
	}
	ASSERT_NE(NULL, q);
	ASSERT_EQ(PARKED, info.state);
	EXPECT_EQ(-ENOSPC, info.failed_error);
	EXPECT_EQ(sector, info.failed_sector);
	/* again, with zeroes on the other queue */
	ASSERT_WELL(park_retry(r));
	ASSERT_WELL(park_wait(r, PARKED, 1));
	zeroes = ranges_new(&self->g, VIRTIO_BLK_T_WRITE_ZEROES, sizeof(range));
	request_cut_usual(zeroes);
	request_place(zeroes, PLACE_ALIGNED, NULL);
	ranges_arm(zeroes, &range);
	send(&self->g.ring[1], zeroes);
	ASSERT_WELL(park_wait(&self->g.ring[1], PARKED, 1));
	ASSERT_EQ(0, ring_info(&self->g.ring[1], &info));
	EXPECT_EQ(-ENOSPC, info.failed_error);
	EXPECT_EQ(VIRTIO_BLK_T_WRITE_ZEROES, info.failed_type);
	ASSERT_EQ(0, mount("vhost-test", dir, "tmpfs", MS_REMOUNT, "size=16m"));
	ASSERT_EQ(0, guest_set_running(&self->g, 0));
	ASSERT_EQ(0, ring_get_base(r, &base));
	EXPECT_EQ((uint16_t)(ring_device_idx(r) + 1), base);
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	ASSERT_WELL(ring_wait(r, 1, 20000));
	ASSERT_WELL(ring_wait(&self->g.ring[1], 1, 20000));
	EXPECT_EQ(S_OK, request_status(q));
	EXPECT_EQ(S_OK, request_status(zeroes));
	request_free(q);
	request_free(zeroes);
	GOOD();
	guest_destroy(&self->g);
	backend_close(&self->b);
	ASSERT_EQ(0, umount(dir));
	rmdir(dir);
}

/* Behind an IOMMU the mappings may be gone when the request is retried. */
FIXTURE(mmu) {
	struct backend b;
	struct guest g;
	struct iommu m;
	struct rng rng;
};

FIXTURE_VARIANT(mmu) {
	bool v2;
};

FIXTURE_VARIANT_ADD(mmu, v1) { .v2 = false };
FIXTURE_VARIANT_ADD(mmu, v2) { .v2 = true };

FIXTURE_SETUP(mmu)
{
	const char *why = set_up(&self->b, &self->g, &self->rng, BACKEND_NULLB, true);

	if (why)
		SKIP(return, "%s", why);
	ATTACH(4096);
	ASSERT_WELL(iommu_boot(&self->g, false));
	ASSERT_EQ(0, park_policy(&self->g, PARK, PARK, -1));
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "+2048-2303"));
}

FIXTURE_TEARDOWN(mmu)
{
	const char *why = tear_down(&self->b, &self->g, &self->m);

	EXPECT_EQ(NULL, why)
		TH_LOG("at the end: %s", why);
}

/* Wait until a request is parked, and answer the misses meanwhile. */
static const char *serve_until_parked(struct ring *r)
{
	struct vhost_blk_vring_info info = {};
	unsigned int ms;

	for (ms = 0; ms < 10000 && info.parked != 1; ms++) {
		iommu_serve(r->guest);
		usleep(1000);
		ring_info(r, &info);
	}
	return park_wait(r, PARKED, 1);
}

TEST_F_TIMEOUT(mmu, misses, 60)
{
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	unsigned int i;

	for (i = 0; i < scaled(12, 6); i++) {
		struct request *q = request_new(g, i & 1 ? T_IN : T_OUT, 2048, 24 * SECTOR);
		uint64_t mark = g->bump, misses;

		request_cut_random(q, &self->rng, 6);
		request_place(q, PLACE_SCATTER, &self->rng);
		request_set_indirect(q, i & 2);
		request_arm(q, i);
		guest_snapshot(g);
		send(r, q);
		ASSERT_WELL(serve_until_parked(r));
		/* no request in flight writes there, so this does not wait */
		ASSERT_EQ(0, iommu_invalidate(g, g->data_start, data_len(g)));
		misses = self->m.misses;
		ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "-2048-2303"));
		ASSERT_WELL(park_retry(r));
		ASSERT_WELL(ring_wait(r, 1, 20000));
		ASSERT_WELL(request_check(q, S_OK));
		EXPECT_LT(misses + 2, self->m.misses);
		ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "+2048-2303"));
		request_free(q);
		guest_release(g, mark);
	}
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "-2048-2303"));
	ASSERT_WELL(guest_prove(g));
}

/* The VMM does not answer, or with a mapping that does not permit the access. */
TEST_F_TIMEOUT(mmu, refused, 60)
{
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	struct request *q = make(g, T_IN, 2048, 8);
	uint64_t off = q->seg[q->nout].gpa - IOMMU_BASE;
	struct vhost_blk_vring_info info;

	guest_snapshot(g);
	send(r, q);
	ASSERT_WELL(serve_until_parked(r));
	ASSERT_EQ(0, nullb_put(&self->b, "badblocks", "-2048-2303"));
	ASSERT_EQ(0, iommu_invalidate(g, g->data_start, data_len(g)));
	/* not answered: the queue waits, and can be stopped */
	ASSERT_WELL(park_retry(r));
	ASSERT_TRUE(iommu_wait_miss(g, 10000));
	ASSERT_WELL(ring_idle(r, A_WHILE));
	ASSERT_EQ(0, ring_info(r, &info));
	EXPECT_EQ(RUNNING, info.state);
	EXPECT_EQ(1, info.parked);
	ASSERT_EQ(0, ring_set_running(r, 0));
	/* read-only, and the request writes to it */
	self->m.perm[off / 4096] = VHOST_ACCESS_RO;
	ASSERT_EQ(0, ring_set_running(r, 1));
	for (; info.state != BROKEN; ring_info(r, &info)) {
		iommu_serve(g);
		usleep(1000);
	}
	EXPECT_EQ(VHOST_BLK_BREAK_CHAIN, info.break_reason);
	EXPECT_EQ(-EPERM, info.break_error);
	self->m.perm[off / 4096] = VHOST_ACCESS_RW;
	ASSERT_EQ(0, iommu_invalidate(g, g->data_start, data_len(g)));
	eventfd_drain(r->err);
	ASSERT_WELL(park_retry(r));
	ASSERT_WELL(ring_wait(r, 1, 20000));
	ASSERT_WELL(request_check(q, S_OK));
	request_free(q);
}

/* Let requests of a VMM be parked, and keep it waiting. */
static void park_all(struct guest *g)
{
	park_policy(g, PARK, PARK, -1);
}

/* The owner is killed with parked requests: nothing is left of them. */
TEST_F_TIMEOUT(mapped, owner_killed, 60)
{
	struct vmm_opts opts = { .backend = &self->b, .writes_only = true, .then = park_all };
	struct vmm v;

	guest_close(&self->g);
	ASSERT_WELL(vmm_start(&v, &opts));
	ASSERT_WELL(dm_suspend(&self->dm));
	ASSERT_WELL(vmm_load(&v));
	ASSERT_TRUE(vmm_said(&v, 10000));
	BREAK_DISK();
	usleep(100000);
	ASSERT_WELL(vmm_kill(&v, 3000));
	vmm_forget(&v);
	REPAIR_DISK();
	ring_reset(&self->g.ring[0], 0);
	ring_reset(&self->g.ring[1], 0);
	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_WELL(backend_compare_all(&self->b));
	GOOD();
}

TEST_HARNESS_MAIN
