// SPDX-License-Identifier: GPL-2.0
/*
 * Notifications: none is lost in a million requests, and suppressed ones are
 * not sent; counted in both directions, with flags and with EVENT_IDX.
 */
#include <sys/mman.h>

#include "hang.h"
#include "suite-notify.h"

/* Requests of one kind of traffic; all kinds with and without EVENT_IDX are a million. */
static uint64_t requests(void)
{
	const char *env = getenv("VHOST_TEST_REQUESTS");

	return (env ? strtoull(env, NULL, 0) : scaled(1000000, 16000)) / 8;
}

static void report(struct __test_metadata *_metadata, const struct ring *r)
{
	TH_LOG("%llu requests, %llu kicks sent, %llu saved, %llu interrupts",
	       (unsigned long long)r->stats.used, (unsigned long long)r->stats.kicks,
	       (unsigned long long)r->stats.kicks_saved, (unsigned long long)r->stats.calls);
}

TEST_F_TIMEOUT(notify, one_at_a_time, 600)
{
	struct traffic t = {
		.ring = &self->g.ring[0], .depth = 1, .total = requests(), .wait = WAIT_CALL,
	};

	ASSERT_WELL(traffic_run(&t));
	report(_metadata, t.ring);
	EXPECT_LE(t.ring->stats.calls, t.total + 1);
}

TEST_F_TIMEOUT(notify, in_batches, 600)
{
	struct traffic t = {
		.ring = &self->g.ring[0], .depth = 32, .total = requests(), .wait = WAIT_CALL,
		.kick_each = true,
	};

	ASSERT_WELL(traffic_run(&t));
	report(_metadata, t.ring);
	EXPECT_LE(t.ring->stats.calls, t.total);
	/*
	 * A device that is processing its ring suppresses kicks.  The test sees
	 * that only if guest or device is preempted meanwhile: on one CPU, in a
	 * short run, perhaps never.
	 */
	if (t.total >= 100000)
		EXPECT_GT(t.ring->stats.kicks_saved, 0);
}

/* With EVENT_IDX the driver sleeps during most of a batch. */
TEST_F_TIMEOUT(notify, late, 600)
{
	struct traffic t = {
		.ring = &self->g.ring[0], .depth = 40, .total = requests(), .wait = WAIT_LATE,
	};

	if (!variant->event_idx)
		t.wait = WAIT_CALL;
	ASSERT_WELL(traffic_run(&t));
	report(_metadata, t.ring);
	if (variant->event_idx)
		EXPECT_LE(t.ring->stats.calls, t.total / 2);
}

/* One thread per queue: sleeping, polling, single requests and batches at the same time */
TEST_F_TIMEOUT(notify, queues_together, 600)
{
	struct traffic t[THREADS];
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		t[i] = (struct traffic) {
			.ring = &self->g.ring[i], .depth = i ? 1 << (i + 1) : 1,
			.total = requests() / THREADS,
			.wait = i == 1 ? WAIT_POLL : WAIT_CALL, .kick_each = i & 1,
		};
	}
	ASSERT_WELL(run_together(t));
	for (i = 0; i < THREADS; i++)
		report(_metadata, t[i].ring);
}

/* Interrupts off, the driver polls for completions: no interrupt arrives. */
TEST_F_TIMEOUT(notify, polling, 300)
{
	struct traffic t = {
		.ring = &self->g.ring[0], .depth = 16, .total = requests() / 8,
		.wait = WAIT_POLL,
	};

	ASSERT_WELL(check_call_none(t.ring, 1));
	ring_calls(t.ring);
	t.ring->stats.calls = 0;
	ASSERT_WELL(traffic_run(&t));
	ring_calls(t.ring);
	report(_metadata, t.ring);
	/* after 2^15 requests the index passes used_event again, so there may be some */
	EXPECT_LE(t.ring->stats.calls, t.total >> 15);
}

TEST_F_TIMEOUT(notify, call_each, 60)
{
	ASSERT_WELL(check_call_each(&self->g.ring[0], 200));
}

TEST_F_TIMEOUT(notify, call_none, 60)
{
	ASSERT_WELL(check_call_none(&self->g.ring[0], 200));
}

TEST_F_TIMEOUT(notify, call_once, 60)
{
	unsigned int at;

	if (!variant->event_idx)
		SKIP(return, "used_event needs EVENT_IDX");
	for (at = 0; at < 10; at++)
		ASSERT_WELL(check_call_once(&self->g.ring[0], 10, at));
}

TEST_F_TIMEOUT(notify, kick_wanted, 60)
{
	unsigned int i;

	for (i = 0; i < 20; i++)
		ASSERT_WELL(check_kick_wanted(&self->g.ring[0]));
}

TEST_F_TIMEOUT(notify, kick_spurious, 60)
{
	ASSERT_WELL(check_kick_spurious(&self->g.ring[0], 1000));
}

/* With EVENT_IDX the driver's flags have no meaning (2.7.7.2), only used_event has. */
TEST_F(notify, flags_mean_nothing)
{
	struct ring *r = &self->g.ring[0];

	if (!variant->event_idx)
		SKIP(return, "without EVENT_IDX the flags are in effect");
	ring_no_interrupt(r, true);
	ASSERT_WELL(check_call_each(r, 20));
	ASSERT_WELL(check_call_none(r, 20));
	ASSERT_WELL(check_call_once(r, 6, 3));
	ring_no_interrupt(r, false);
}

/* Reserved flags of the driver must be ignored. */
TEST_F(notify, reserved_flags)
{
	struct ring *r = &self->g.ring[0];
	unsigned int i;

	if (variant->event_idx)
		SKIP(return, "with EVENT_IDX no flag is in effect");
	ASSERT_WELL(check_call_each(r, 1));
	store16(&r->avail->flags, (uint16_t)~VRING_AVAIL_F_NO_INTERRUPT);
	for (i = 0; i < 10; i++) {
		ASSERT_WELL(request_simple(r, VIRTIO_BLK_T_IN, 1, SECTOR, VIRTIO_BLK_S_OK));
		ASSERT_TRUE(eventfd_wait(r->call, 5000));
		ring_calls(r);
	}
	ring_no_interrupt(r, false);
}

/* A kick before the queue runs: it takes the request when it is started, without another. */
static const char *check_early_kick(struct ring *r, long (*start)(struct guest *g))
{
	struct guest *g = r->guest;
	uint16_t used = ring_device_idx(r), base = 0;
	struct request *q = request_new(g, VIRTIO_BLK_T_IN, 8, 4096);
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 1);
	guest_snapshot(g);
	if (ring_add(r, q))
		return "no room on the ring";
	ring_kick_now(r);
	usleep(50000);
	why = guest_compare(g);
	if (why)
		return why;
	if (ring_device_idx(r) != used || ring_get_base(r, &base) || base != used)
		return guest_say(g, "used %u, then %u, and base %u before the start", used,
				 ring_device_idx(r), base);
	if (start(g))
		return "the queue can't be started";
	why = ring_wait(r, 1, 5000);
	if (!why)
		why = request_outcome(q, VIRTIO_BLK_S_OK);
	request_free(q);
	return why;
}

static long start_device(struct guest *g)
{
	return guest_set_running(g, 1);
}

static long start_queue(struct guest *g)
{
	return ring_set_running(&g->ring[0], 1);
}

TEST_F(notify, kick_before_start)
{
	struct guest *g = &self->g;
	unsigned int i;

	guest_close(g);
	for (i = 0; i < THREADS; i++)
		ring_reset(&g->ring[i], 0);
	ASSERT_WELL(guest_boot_to(g, STAGE_RINGS));
	ASSERT_WELL(check_early_kick(&g->ring[0], start_device));
	ASSERT_EQ(0, guest_set_running(g, 0));
	ASSERT_WELL(check_early_kick(&g->ring[0], start_queue));
	ASSERT_EQ(0, ring_set_running(&g->ring[0], 0));
	ASSERT_WELL(check_early_kick(&g->ring[0], start_device));
}

/* Only one flag is defined, and none with EVENT_IDX (2.7.10.1). */
static const char *used_flags(struct ring *r)
{
	uint16_t may = guest_has(r->guest, VIRTIO_RING_F_EVENT_IDX) ? 0 : VRING_USED_F_NO_NOTIFY;
	uint16_t flags = load16(&r->used->flags);

	if (!(flags & ~may))
		return NULL;
	return guest_say(r->guest, "queue %u: used.flags 0x%x, may be 0x%x", r->index, flags, may);
}

/* Stop and start the device while it processes requests; all of them complete. */
static const char *restart_loaded(struct ring *r, struct request **q, unsigned int n)
{
	const char *why;
	unsigned int i;

	for (i = 0; i < n; i++) {
		request_rearm(q[i]);
		if (ring_add(r, q[i]))
			return "the ring is full";
	}
	ring_kick_now(r);
	usleep(SLOW_NSEC / 1000 / 4);
	why = used_flags(r);
	if (!why && ring_set_running(r, 0))
		why = "SET_VRING_RUNNING 0 fails";
	if (!why)
		why = used_flags(r);
	if (!why && ring_set_running(r, 1))
		why = "SET_VRING_RUNNING 1 fails";
	if (!why)
		why = used_flags(r);
	if (!why)
		why = ring_wait(r, n, 20000);
	return why ? why : used_flags(r);
}

/*
 * Send requests with unaligned data.  The first ones use up the bounce pages,
 * which are shared, so the device suppresses kicks until they are done.
 */
static const char *flags_under_load(struct guest *g)
{
	uint64_t hdr = guest_alloc(g, HDR_LEN, 16), data = guest_alloc(g, 4096 + (128 << 10), 4096);
	struct ring *r = &g->ring[0];
	struct request *q[6];
	const char *why = NULL;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(q); i++) {
		q[i] = request_new(g, VIRTIO_BLK_T_IN, 0, 128 << 10);
		request_cut_usual(q[i]);
		request_place_at(q[i], hdr, data + 1);
		request_arm(q[i], i);
	}
	for (i = 0; !why && i < 2; i++)
		why = restart_loaded(r, q, ARRAY_SIZE(q));
	for (i = 0; i < ARRAY_SIZE(q); i++)
		request_free(q[i]);
	if (!why)
		why = check_kick_wanted(r);
	if (!why && load16(&r->used->flags))
		why = guest_say(g, "idle, used.flags 0x%x", load16(&r->used->flags));
	return why;
}

TEST_F(notify, used_flags)
{
	struct guest_opts opts = self->g.opts;
	struct backend slow;
	struct guest g;
	const char *why;

	if (model_wanted())
		SKIP(return, "the model device never has requests in flight");
	why = backend_open(&slow, BACKEND_SLOW, true);
	if (why)
		SKIP(return, "%s", why);
	opts.backend = &slow;
	guest_init(&g, &opts);
	why = guest_boot(&g);
	if (!why)
		why = flags_under_load(&g);
	EXPECT_EQ(NULL, why)
		TH_LOG("%s", why);
	guest_destroy(&g);
	backend_close(&slow);
}

static const char *restart_at(struct ring *r, uint16_t base)
{
	if (ring_set_running(r, 0))
		return "SET_VRING_RUNNING 0 fails";
	ring_reset(r, base);
	if (ring_setup(r) || ring_set_running(r, 1))
		return "SET_VRING_RUNNING 1 fails";
	return NULL;
}

/*
 * The indices wrap after 65535: there is an interrupt for each request, and the
 * device asks for every kick that it needs.
 */
TEST_F_TIMEOUT(notify, wrap, 60)
{
	struct ring *r = &self->g.ring[0];
	unsigned int at;

	ASSERT_WELL(restart_at(r, 65530));
	ASSERT_WELL(check_call_each(r, 12));
	ASSERT_EQ((uint16_t)(65530 + 13), r->used_idx);
	ASSERT_WELL(restart_at(r, 65530));
	ASSERT_WELL(check_call_none(r, 12));
	/* used_event is 65534, 65535, 0 */
	for (at = 3; variant->event_idx && at <= 5; at++) {
		ASSERT_WELL(restart_at(r, 65530));
		ASSERT_WELL(check_call_once(r, at + 2, at));
	}
}

/* Without a call eventfd the device works, and sends no interrupt. */
TEST_F(notify, call_unbound)
{
	struct vhost_vring_file f = { .index = 0, .fd = VHOST_FILE_UNBIND };
	struct ring *r = &self->g.ring[0];

	if (model_wanted())
		SKIP(return, "the model device cannot unbind an eventfd");
	ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_SET_VRING_CALL, &f));
	ring_calls(r);
	ASSERT_WELL(guest_prove(&self->g));
	EXPECT_EQ(0, ring_calls(r));
	f.fd = r->call;
	ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_SET_VRING_CALL, &f));
	ASSERT_WELL(check_call_each(r, 3));
}

TEST(notify_on_empty)
{
	struct backend b;
	struct guest_opts opts = {
		.backend = &b, .features_on = BIT64(VIRTIO_F_NOTIFY_ON_EMPTY),
	};
	struct guest g;
	const char *why;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	why = backend_open(&b, BACKEND_BDEV, true);
	if (why)
		SKIP(return, "%s", why);
	guest_init(&g, &opts);
	why = guest_boot(&g);
	if (!why && !guest_has(&g, VIRTIO_F_NOTIFY_ON_EMPTY))
		why = "NOTIFY_ON_EMPTY is not offered";
	if (!why)
		why = check_call_on_empty(&g.ring[0]);
	guest_destroy(&g);
	backend_close(&b);
	ASSERT_WELL(why);
}

FIXTURE(meanwhile) {
	struct hang h;
	struct backend b;
	struct guest g;
};

FIXTURE_SETUP(meanwhile)
{
	const char *why = no_kernel("the model device does not poll rings");

	if (!why)
		why = backend_open(&self->b, BACKEND_BDEV, true);
	if (why)
		SKIP(return, "%s", why);
	why = hang_open(&self->h, true);
	if (why) {
		backend_close(&self->b);
		SKIP(return, "%s", why);
	}
}

FIXTURE_TEARDOWN(meanwhile)
{
	guest_destroy(&self->g);
	hang_close(&self->h);
	backend_close(&self->b);
}

/*
 * A chain that becomes available while the device enables notifications needs
 * no notification.  The device writes this to a page of a frozen file system,
 * and waits there.
 */
TEST_F_TIMEOUT(meanwhile, made_available, 60)
{
	struct guest_opts opts = { .backend = &self->b };
	struct request *q;
	struct ring *r;

	guest_init(&self->g, &opts);
	r = &self->g.ring[0];
	ASSERT_EQ((void *)r->used, mmap(r->used, 4096, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_FIXED, self->h.disk.fd, 0));
	ring_reset(r, 0);
	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_TRUE(guest_has(&self->g, VIRTIO_RING_F_EVENT_IDX));
	q = request_new(&self->g, VIRTIO_BLK_T_IN, 0, 4096);
	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 1);
	guest_snapshot(&self->g);
	ASSERT_WELL(hang_on(&self->h));
	ring_kick_now(r);
	/* time for the device to get there */
	usleep(200000);
	ASSERT_EQ(0, ring_add(r, q));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_WELL(ring_wait(r, 1, 10000));
	ASSERT_WELL(request_outcome(q, VIRTIO_BLK_S_OK));
	request_free(q);
}

/* Without EVENT_IDX the device does not write behind the used ring (2.7.8). */
TEST_F_TIMEOUT(notify, avail_event, 60)
{
	struct ring *r = &self->g.ring[0];
	__virtio16 *behind = (__virtio16 *)&r->used->ring[r->num];
	unsigned int i;

	if (variant->event_idx)
		SKIP(return, "with EVENT_IDX the device writes avail_event");
	for (i = 0; i < 20; i++) {
		store16(behind, 0xbeef);
		ASSERT_WELL(request_simple(r, VIRTIO_BLK_T_IN, 8 * i, 4096,
					   VIRTIO_BLK_S_OK));
		/* the worker enables notifications after it has completed a request */
		usleep(20000);
		EXPECT_EQ(0xbeef, load16(behind));
	}
}

TEST_HARNESS_MAIN
