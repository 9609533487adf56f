// SPDX-License-Identifier: GPL-2.0
/* The tracepoints report the requests that the guest has sent. */
#define USEC	1000000
#define _GNU_SOURCE
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"
#include "trace.h"
#include "traffic.h"

FIXTURE(trace) {
	struct backend b;
	struct guest g;
};

/* A slow disk, so that requests of earlier kicks complete during later ones */
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
	uint64_t wrong;		/* events whose requests do not have SECTOR bytes each */
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
 * The kick events together count each request and its bytes once, however many
 * earlier requests complete at the same time.
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
		TH_LOG("%llu kick events for %llu requests", (unsigned long long)s.kicks,
		       (unsigned long long)total);
		EXPECT_EQ(0, s.wrong);
		EXPECT_EQ(total, s.requests);
		EXPECT_EQ(total * SECTOR, s.bytes);
	}
}

/* Each event of a request on queue @index names this queue and its device. */
static const char *events_name(struct guest *g, unsigned int index, uint64_t *dev)
{
	const char *why = trace_begin("kick request submit done complete");
	unsigned int n = 0, wrong = 0;
	struct trace_event e;
	FILE *f;

	if (!why)
		why = request_simple(&g->ring[index], VIRTIO_BLK_T_IN, 8, 4096, VIRTIO_BLK_S_OK);
	if (!why && guest_set_running(g, 0))
		why = "SET_RUNNING 0 fails";
	f = trace_end();
	if (why || !f)
		return why ? why : "the trace can't be read";
	while (trace_next(f, &e)) {
		/* a start kicks each queue; the event may be one of the previous guest */
		if (!strcmp(e.name, "kick") && !trace_field(&e, "requests"))
			continue;
		if (n++ == 0)
			*dev = trace_field(&e, "dev");
		wrong += trace_field(&e, "dev") != *dev ||
			 trace_field(&e, "owner") != (uint64_t)getpid() ||
			 trace_field(&e, "opener") != (uint64_t)getpid() ||
			 trace_field(&e, "queue") != index;
	}
	fclose(f);
	if (guest_set_running(g, 1))
		return "SET_RUNNING 1 fails";
	if (n < 5 || wrong)
		return guest_say(g, "%u of %u events name another queue", wrong, n);
	return NULL;
}

static uint64_t dev_of(struct guest *g)
{
	struct vhost_blk_info info;

	return guest_ioctl(g, VHOST_BLK_GET_INFO, &info) ? 0 : info.trace_dev;
}

/* Two devices of this process, with two queues each */
TEST_F(trace, names_the_queue)
{
	struct guest_opts opts = { .backend = &self->b, .queues = 2 };
	uint64_t dev[4] = {};
	struct guest other;
	unsigned int i;

	BOOT(.queues = 2);
	guest_init(&other, &opts);
	ASSERT_WELL(guest_boot(&other));
	for (i = 0; i < 4; i++)
		ASSERT_WELL(events_name(i < 2 ? &self->g : &other, i & 1, &dev[i]));
	EXPECT_EQ(dev[0], dev_of(&self->g));
	EXPECT_EQ(dev[2], dev_of(&other));
	guest_destroy(&other);
	EXPECT_EQ(dev[0], dev[1]);
	EXPECT_EQ(dev[2], dev[3]);
	EXPECT_NE(dev[0], dev[2]);
}

/*
 * Break a queue by a chain without room for a status, in a device that another
 * process opened.
 */
static const char *break_one(struct guest *g)
{
	struct ring *r = &g->ring[0];
	const char *why = guest_boot(g);

	if (why)
		return why;
	ring_put_desc(r, 0, g->region[0].gpa, 16, 0, 0);
	ring_add_raw(r, 0);
	ring_kick_now(r);
	return eventfd_wait(r->err, 10000) ? NULL : "the queue does not break";
}

TEST_F(trace, says_why)
{
	struct guest_opts opts = { .backend = &self->b };
	struct trace_event e;
	unsigned int n = 0;
	int status;
	pid_t pid;
	FILE *f;

	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot_to(&self->g, STAGE_OPEN));
	ASSERT_EQ(NULL, trace_begin("break"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(break_one(&self->g) ? 1 : 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	f = trace_end();
	ASSERT_NE(NULL, f);
	while (trace_next(f, &e)) {
		n++;
		EXPECT_EQ(VHOST_BLK_BREAK_NO_STATUS, trace_field(&e, "reason"));
		EXPECT_EQ(0, trace_field(&e, "error"));
		EXPECT_EQ(pid, trace_field(&e, "owner"));
		EXPECT_EQ(getpid(), trace_field(&e, "opener"));
	}
	fclose(f);
	EXPECT_EQ(1, n);
}

/* The latency of the disk and that of the guest, for a request of several windows */
TEST_F(trace, tells_latencies)
{
	const uint32_t len = 600 << 10;
	uint64_t bytes = 0, windows = 0, done = 0;
	double submitted = 0, took = 0, waited = 0;
	struct trace_event e;
	struct request *q;
	FILE *f;

	BOOT(.num = 128);
	q = request_new(&self->g, VIRTIO_BLK_T_IN, 0, len);
	request_cut_usual(q);
	request_place(q, PLACE_PACKED, NULL);
	q->seg[1].gpa |= 1;
	q->seg[2].gpa = q->seg[1].gpa + len;
	request_arm(q, 1);
	ASSERT_EQ(NULL, trace_begin("request submit done complete"));
	ASSERT_WELL(request_verify(&self->g.ring[0], q, VIRTIO_BLK_S_OK));
	request_free(q);
	f = trace_end();
	ASSERT_NE(NULL, f);
	while (trace_next(f, &e)) {
		if (!strcmp(e.name, "request"))
			waited -= e.time;
		if (!strcmp(e.name, "complete"))
			waited += e.time;
		if (!strcmp(e.name, "submit")) {
			EXPECT_EQ(windows++, done);
			EXPECT_EQ(1, trace_field(&e, "bounced"));
			bytes += trace_field(&e, "len");
			submitted = e.time;
		}
		if (!strcmp(e.name, "done")) {
			EXPECT_EQ(0, trace_field(&e, "error"));
			EXPECT_LE(300, (e.time - submitted) * USEC + 2);
			took += e.time - submitted;
			done++;
		}
	}
	fclose(f);
	TH_LOG("%llu windows, %.0f us of the disk, %.0f us of the guest",
	       (unsigned long long)windows, took * USEC, waited * USEC);
	/* windows of 128 KiB, half of the queue's pages */
	EXPECT_EQ(5, windows);
	EXPECT_EQ(5, done);
	EXPECT_EQ(len, bytes);
	EXPECT_LE(took * USEC, waited * USEC + 10);
}

TEST_HARNESS_MAIN
