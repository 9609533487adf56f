// SPDX-License-Identifier: GPL-2.0
/*
 * The states of a queue: the effect of each ioctl in each state, and the
 * transitions.  Each row of the table in
 * Documentation/virt/vhost-blk/states.rst is a row of calls[] here.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compat.h"
#include "hang.h"
#include "park.h"
#include "suite.h"
#include "trace.h"
#include "traffic.h"

#define STOPPED		VHOST_BLK_QUEUE_STOPPED
#define RUNNING		VHOST_BLK_QUEUE_RUNNING
#define PAUSED		VHOST_BLK_QUEUE_PAUSED
#define DRAINING	VHOST_BLK_QUEUE_DRAINING
#define BROKEN		VHOST_BLK_QUEUE_BROKEN
#define DEAD		VHOST_BLK_QUEUE_DEAD
#define PARKED		VHOST_BLK_QUEUE_PARKED

#define PATIENCE	10000	/* ms, for an event that must happen */
#define A_WHILE		30	/* ms, for an event that must not happen */

/* An address that no process has; on x86 it is in the kernel. */
#define KERNEL_ADDR	0xffff888000001000ULL

FIXTURE(states) {
	struct hang h;
	struct guest g;
	struct request *q;
	bool booted;
};

FIXTURE_SETUP(states)
{
	const char *why = no_kernel("the model device never has requests in flight");

	if (why)
		SKIP(return, "%s", why);
	/* with a write cache, so that flushes wait for the disk, too */
	why = hang_open_bad(&self->h);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(states)
{
	if (self->h.on)
		hang_off(&self->h);
	if (self->booted)
		guest_destroy(&self->g);
	hang_close(&self->h);
}

static int state_of(struct guest *g)
{
	struct vhost_blk_vring_info info;
	long ret = ring_info(&g->ring[0], &info);

	return ret ? ret : (int)info.state;
}

static bool comes_to(struct guest *g, int state)
{
	unsigned int ms;

	for (ms = 0; ms < PATIENCE && state_of(g) != state; ms++)
		usleep(1000);
	return state_of(g) == state;
}

static bool has_in_flight(struct guest *g)
{
	struct vhost_blk_vring_info info = {};
	unsigned int ms;

	for (ms = 0; ms < PATIENCE && info.inflight != 1; ms++) {
		usleep(1000);
		ring_info(&g->ring[0], &info);
	}
	return info.inflight == 1;
}

/* The calls, each with valid arguments */

static long set_num(struct guest *g)
{
	struct vhost_vring_state s = { .num = g->ring[0].num };

	return guest_ioctl(g, VHOST_SET_VRING_NUM, &s);
}

static long set_base(struct guest *g)
{
	return ring_set_base(&g->ring[0], ring_device_idx(&g->ring[0]));
}

static long get_base(struct guest *g)
{
	uint16_t base;

	return ring_get_base(&g->ring[0], &base);
}

static long set_addr(struct guest *g)
{
	return ring_set_addr(&g->ring[0]);
}

static struct vhost_vring_addr addr_of(const struct ring *r)
{
	return (struct vhost_vring_addr) {
		.index = r->index,
		.desc_user_addr = (uintptr_t)r->desc,
		.avail_user_addr = (uintptr_t)r->avail,
		.used_user_addr = (uintptr_t)r->used,
		.log_guest_addr = r->used_gpa,
	};
}

/* Set everything that another driver would set; its rings are elsewhere. */
static long move_rings(struct guest *g)
{
	struct vhost_vring_addr a = addr_of(&g->ring[1]);

	a.index = 0;
	return guest_ioctl(g, VHOST_SET_VRING_ADDR, &a);
}

static long used_in_kernel(struct guest *g)
{
	struct vhost_vring_addr a = addr_of(&g->ring[0]);

	a.used_user_addr = KERNEL_ADDR;
	return guest_ioctl(g, VHOST_SET_VRING_ADDR, &a);
}

static long set_call(struct guest *g)
{
	struct vhost_vring_file f = { .fd = g->ring[0].call };

	return guest_ioctl(g, VHOST_SET_VRING_CALL, &f);
}

static long set_kick(struct guest *g)
{
	struct vhost_vring_file f = { .fd = g->ring[0].kick };

	return guest_ioctl(g, VHOST_SET_VRING_KICK, &f);
}

static long set_err(struct guest *g)
{
	struct vhost_vring_file f = { .fd = g->ring[0].err };

	return guest_ioctl(g, VHOST_SET_VRING_ERR, &f);
}

static long start(struct guest *g)
{
	return guest_set_running(g, 1);
}

static long stop(struct guest *g)
{
	return guest_set_running(g, 0);
}

static long start_one(struct guest *g)
{
	return ring_set_running(&g->ring[0], 1);
}

static long stop_one(struct guest *g)
{
	return ring_set_running(&g->ring[0], 0);
}

static long same_features(struct guest *g)
{
	return guest_set_features(g, g->features);
}

static long other_features(struct guest *g)
{
	uint64_t features = g->features ^ BIT64(VIRTIO_RING_F_EVENT_IDX);

	return guest_ioctl(g, VHOST_SET_FEATURES, &features);
}

/* Switch the log on and off in turn. */
static long switch_log(struct guest *g)
{
	static uint8_t log[1 << 20];
	uint64_t base = (uintptr_t)log;
	struct vhost_blk_info info;
	long ret = guest_ioctl(g, VHOST_BLK_GET_INFO, &info);

	ret = ret ?: guest_ioctl(g, VHOST_SET_LOG_BASE, &base);
	info.features ^= BIT64(VHOST_F_LOG_ALL);
	return ret ?: guest_ioctl(g, VHOST_SET_FEATURES, &info.features);
}

/* Attach the current worker; before Linux 6.5 there is no other one, and no such call. */
static long attach_worker(struct guest *g)
{
	struct vhost_vring_worker w = { .index = 0 };
	long found = guest_ioctl(g, VHOST_GET_VRING_WORKER, &w);
	long ret = guest_ioctl(g, VHOST_ATTACH_VRING_WORKER, &w);

	return found == -ENOTTY && ret == -ENOTTY ? 0 : ret;
}

static long get_features(struct guest *g)
{
	uint64_t features;

	return guest_ioctl(g, VHOST_GET_FEATURES, &features);
}

static long swap(struct guest *g)
{
	return guest_set_backend(g, g->opts.backend->fd, 0);
}

static long detach(struct guest *g)
{
	return guest_set_backend(g, -1, 0);
}

static long write_through(struct guest *g)
{
	return guest_set_writeback(g, 0);
}

static long flush(struct guest *g)
{
	return guest_ioctl(g, VHOST_BLK_FLUSH, NULL);
}

/* The policy that make() has set */
static long set_policy(struct guest *g)
{
	return park_policy(g, PARK, PARK, -1);
}

static long get_parked(struct guest *g)
{
	uint32_t count = 0;

	return park_get(&g->ring[0], NULL, &count);
}

static long set_parked(struct guest *g)
{
	return park_set(&g->ring[0], NULL, 0);
}

static long get_config(struct guest *g)
{
	struct blk_config config;

	return guest_get_config(g, &config);
}

static long get_info(struct guest *g)
{
	struct vhost_blk_info info;

	return guest_ioctl(g, VHOST_BLK_GET_INFO, &info);
}

static long get_vring_info(struct guest *g)
{
	struct vhost_blk_vring_info info;

	return ring_info(&g->ring[0], &info);
}

static long get_stats(struct guest *g)
{
	static struct vhost_blk_vring_stats stats;

	return guest_ioctl(g, VHOST_BLK_GET_STATS, &stats);
}

static long reset_owner(struct guest *g)
{
	return guest_ioctl(g, VHOST_RESET_OWNER, NULL);
}

/* The effect of a call in a state. Unless @waits is set it returns at once. */
struct cell {
	long ret;
	bool waits;	/* waits for the requests in flight */
	int during;	/* the state during the wait */
	int after;
};

#define NOW(state)		{ 0, false, 0, state }
#define REFUSED(errno, state)	{ -(errno), false, 0, state }
#define WAITS(during, after)	{ 0, true, during, after }

struct call {
	const char *name;
	long (*fn)(struct guest *g);
	struct cell stopped;
	struct cell running;
	struct cell broken;
	struct cell dead;
	struct cell parked;
	bool quick;	/* does not wait for another call that waits */
};

#define SAME \
	.stopped = NOW(STOPPED), .running = NOW(RUNNING), .broken = NOW(BROKEN),	\
	.dead = NOW(DEAD), .parked = NOW(PARKED)
#define BUSY_UNLESS_STOPPED						\
	.stopped = NOW(STOPPED), .running = REFUSED(EBUSY, RUNNING),	\
	.broken = REFUSED(EBUSY, BROKEN), .dead = REFUSED(EBUSY, DEAD),	\
	.parked = REFUSED(EBUSY, PARKED)
#define PAUSES								\
	.stopped = NOW(STOPPED), .running = WAITS(PAUSED, RUNNING),	\
	.broken = WAITS(BROKEN, BROKEN), .dead = WAITS(DEAD, STOPPED),	\
	.parked = WAITS(PARKED, PARKED)
/* The disk of these tests hangs for flushes, too. */
#define FLUSHES								\
	.stopped = NOW(STOPPED), .running = WAITS(RUNNING, RUNNING),	\
	.broken = WAITS(BROKEN, BROKEN), .dead = WAITS(DEAD, STOPPED),	\
	.parked = WAITS(PARKED, PARKED)
#define STOPS								\
	.stopped = NOW(STOPPED), .running = WAITS(DRAINING, STOPPED),	\
	.broken = WAITS(DRAINING, STOPPED), .dead = WAITS(DEAD, STOPPED),	\
	.parked = WAITS(DRAINING, STOPPED)
#define STARTS								\
	.stopped = NOW(RUNNING), .running = NOW(RUNNING), .broken = NOW(BROKEN),	\
	.dead = REFUSED(EBUSY, DEAD), .parked = NOW(PARKED)

static const struct call calls[] = {
	{ "SET_VRING_NUM", set_num, BUSY_UNLESS_STOPPED },
	{ "SET_VRING_BASE", set_base, BUSY_UNLESS_STOPPED },
	{ "GET_VRING_BASE", get_base, SAME },
	{ "SET_VRING_ADDR, the same", set_addr, SAME },
	{ "SET_VRING_ADDR, others", move_rings, BUSY_UNLESS_STOPPED },
	{ "SET_VRING_ADDR, in the kernel", used_in_kernel, BUSY_UNLESS_STOPPED },
	{ "SET_VRING_KICK", set_kick, SAME },
	{ "SET_VRING_CALL", set_call, SAME },
	{ "SET_VRING_ERR", set_err, SAME },
	{ "ATTACH_VRING_WORKER", attach_worker, BUSY_UNLESS_STOPPED },
	{ "SET_RUNNING 1", start, STARTS },
	{ "SET_VRING_RUNNING 1", start_one, STARTS },
	{ "SET_RUNNING 0", stop, STOPS },
	{ "SET_VRING_RUNNING 0", stop_one, STOPS },
	{ "RESET_OWNER", reset_owner, STOPS },
	{ "SET_MEM_TABLE", guest_set_mem_table, PAUSES },
	{ "SET_BACKEND, another", swap, PAUSES },
	{ "SET_BACKEND -1", detach, BUSY_UNLESS_STOPPED },
	{ "SET_CONFIG", write_through, PAUSES },
	{ "FLUSH", flush, FLUSHES },
	{ "SET_FEATURES, log on or off", switch_log, PAUSES },
	{ "SET_FEATURES, others", other_features, BUSY_UNLESS_STOPPED },
	/* a stopped device may get other features for another driver, so this is allowed */
	{ "SET_FEATURES, the same", same_features, SAME },
	{ "SET_ERROR_POLICY", set_policy, SAME },
	{ "GET_VRING_PARKED", get_parked, BUSY_UNLESS_STOPPED },
	{ "SET_VRING_PARKED", set_parked, BUSY_UNLESS_STOPPED },
	{ "GET_FEATURES", get_features, SAME },
	{ "GET_CONFIG", get_config, SAME, .quick = true },
	{ "GET_INFO", get_info, SAME, .quick = true },
	{ "GET_VRING_INFO", get_vring_info, SAME, .quick = true },
	{ "GET_STATS", get_stats, SAME, .quick = true },
};

/* A call by another thread */
struct caller {
	const struct call *call;
	struct guest *g;
	pthread_t thread;
	long ret;
	bool done;
};

static void *run_caller(void *arg)
{
	struct caller *c = arg;

	c->ret = c->call->fn(c->g);
	__atomic_store_n(&c->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void caller_start(struct caller *c, const struct call *call, struct guest *g)
{
	*c = (struct caller) { .call = call, .g = g };
	pthread_create(&c->thread, NULL, run_caller, c);
}

static bool caller_returns(struct caller *c, unsigned int ms)
{
	unsigned int i;

	for (i = 0; i < ms && !__atomic_load_n(&c->done, __ATOMIC_ACQUIRE); i++)
		usleep(1000);
	return __atomic_load_n(&c->done, __ATOMIC_ACQUIRE);
}

/* A call by a process that shares this one's memory, and can be killed separately */
static int run_process(void *arg)
{
	struct caller *c = arg;

	c->ret = c->call->fn(c->g);
	c->done = true;
	return 0;
}

static pid_t process_start(struct caller *c, const struct call *call, struct guest *g)
{
	static max_align_t stack[8 << 10];

	*c = (struct caller) { .call = call, .g = g };
	return clone(run_process, stack + ARRAY_SIZE(stack), CLONE_VM | SIGCHLD, c);
}

static const char *kill_process(struct guest *g, pid_t pid)
{
	unsigned int ms;

	kill(pid, SIGKILL);
	for (ms = 0; ms < PATIENCE; ms++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return NULL;
		usleep(1000);
	}
	return guest_say(g, "the process can't be killed");
}

static const struct call call_stop = { "SET_RUNNING 0", stop };
static const struct call call_pause = { "SET_MEM_TABLE", guest_set_mem_table };

/*
 * Have one request in flight to a disk that hangs.  A thread submits it; if the
 * queue dies before that, the request is dropped, and nothing is in flight.
 */
static const char *take_off(struct hang *h, struct guest *g, struct request **q)
{
	const char *why = hang_on(h);
	bool traced;
	struct stat st;
	FILE *bios;

	if (why)
		return why;
	*q = request_new(g, VIRTIO_BLK_T_IN, 8, 4096);
	request_cut_usual(*q);
	request_place(*q, PLACE_PACKED, NULL);
	request_arm(*q, 7);
	traced = !stat(h->disk.path, &st) && !trace_bios_begin(st.st_rdev);
	ring_add(&g->ring[0], *q);
	ring_kick_now(&g->ring[0]);
	if (!has_in_flight(g))
		why = "the request isn't in flight";
	else if (traced && !trace_worker_bio(PATIENCE))
		why = "the request doesn't get to the disk";
	else if (!traced)
		usleep(200000);	/* without tracing there is no sign of it */
	bios = traced ? trace_bios_end() : NULL;
	if (bios)
		fclose(bios);
	return why ? guest_say(g, "%s", why) : NULL;
}

static const char *make_dead(struct guest *g)
{
	struct caller c;
	pid_t pid = process_start(&c, &call_stop, g);
	const char *why = comes_to(g, DRAINING) ? NULL : "a stop does not drain";

	if (!why)
		why = kill_process(g, pid);
	if (!why && c.done)
		why = "a stop returned while a request is in flight";
	return why ? guest_say(g, "%s", why) : NULL;
}

/* The request that is parked, while another one is in flight */
static struct request *failing;

/* Let a request fail, and be parked, although the disk hangs. */
static const char *make_parked(struct guest *g)
{
	struct vhost_blk_vring_info info = {};
	unsigned int ms;

	if (set_policy(g))
		return "SET_ERROR_POLICY fails";
	failing = request_new(g, VIRTIO_BLK_T_OUT, g->opts.backend->size / 512 - 8, 4096);
	request_cut_usual(failing);
	request_place(failing, PLACE_PACKED, NULL);
	request_arm(failing, 8);
	ring_add(&g->ring[0], failing);
	ring_kick_now(&g->ring[0]);
	/* it is parked a moment before it is no longer counted as in flight */
	for (ms = 0; ms < PATIENCE && !(info.parked == 1 && info.inflight == 1); ms++) {
		usleep(1000);
		ring_info(&g->ring[0], &info);
	}
	return ms < PATIENCE ? NULL : "not one parked, one in flight";
}

/* A guest whose queue 0 is in this state; with a request in flight unless stopped */
static const char *make(struct hang *h, struct guest *g, struct request **q, int state)
{
	struct guest_opts opts = { .backend = &h->disk, .queues = 2, .num = 16 };
	const char *why;

	guest_init(g, &opts);
	why = guest_boot(g);
	if (why)
		return why;
	if (state == STOPPED)
		return stop(g) ? "SET_RUNNING 0 fails" : NULL;
	why = take_off(h, g, q);
	if (why)
		return why;
	if (state == BROKEN) {
		ring_add_raw(&g->ring[0], g->ring[0].num);
		ring_kick_now(&g->ring[0]);
	} else if (state == PARKED) {
		why = make_parked(g);
	} else if (state == DEAD) {
		why = make_dead(g);
	}
	if (!why && !comes_to(g, state))
		why = guest_say(g, "state %d, not %d", state_of(g), state);
	return why;
}

static const char *check_cell(struct hang *h, struct guest *g, const struct call *call,
			      const struct cell *cell)
{
	struct caller c;
	const char *why = NULL;

	caller_start(&c, call, g);
	if (cell->waits) {
		if (caller_returns(&c, A_WHILE))
			why = "returns although a request is in flight";
		else if (state_of(g) != cell->during)
			why = "the state while it waits is wrong";
		if (hang_off(h))
			why = "the disk can't be resumed";
	}
	if (!caller_returns(&c, PATIENCE))
		return guest_say(g, "%s: does not return", call->name);
	pthread_join(c.thread, NULL);
	if (!why && c.ret != cell->ret)
		why = "returns another errno";
	if (!why && !comes_to(g, cell->after))
		why = "the state afterwards is wrong";
	if (why)
		return guest_say(g, "%s: %s (returned %ld, state %d)", call->name, why, c.ret,
				 state_of(g));
	return NULL;
}

/* The request in flight completes once, or, if its queue was dead, never. */
static const char *check_request(struct hang *h, struct guest *g, struct request *q, bool dead)
{
	struct ring *r = &g->ring[0];
	unsigned int ms;

	if (h->on && hang_off(h))
		return "the disk can't be resumed";
	for (ms = 0; ms < PATIENCE && dead && state_of(g) != STOPPED; ms++)
		usleep(1000);
	for (ms = 0; ms < PATIENCE && !dead && !ring_device_idx(r); ms++)
		usleep(1000);
	if (ring_device_idx(r) != !dead)
		return guest_say(g, "used index %u", ring_device_idx(r));
	if (request_status(q) != (dead ? STATUS_POISON : VIRTIO_BLK_S_OK))
		return guest_say(g, "status %#x", request_status(q));
	if (dead && ring_calls(r))
		return guest_say(g, "an interrupt from a dead queue");
	return NULL;
}

/* The parked request stays so, unless the queue was reset, and never completes. */
static const char *check_parked(struct guest *g, const struct call *call)
{
	unsigned int parked = call->fn == reset_owner ? 0 : 1;
	struct vhost_blk_vring_info info = {};

	ring_info(&g->ring[0], &info);
	if (info.parked != parked)
		return guest_say(g, "%s: %u requests are parked", call->name, info.parked);
	if (request_status(failing) != STATUS_POISON)
		return guest_say(g, "%s: the parked request has a status", call->name);
	request_free(failing);
	return NULL;
}

static const char *check_state(struct hang *h, struct guest *g, int state, size_t offset)
{
	struct request *q = NULL;
	const char *why = NULL;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls) && !why; i++) {
		const struct cell *cell = (const void *)&calls[i] + offset;

		why = make(h, g, &q, state);
		if (!why)
			why = check_cell(h, g, &calls[i], cell);
		if (!why && q)
			why = check_request(h, g, q, state == DEAD);
		if (!why && state == PARKED)
			why = check_parked(g, &calls[i]);
		if (why)
			break;
		if (q)
			request_free(q);
		q = NULL;
		guest_destroy(g);
	}
	return why;
}

TEST_F_TIMEOUT(states, stopped, 120)
{
	self->booted = true;
	ASSERT_WELL(check_state(&self->h, &self->g, STOPPED, offsetof(struct call, stopped)));
	self->booted = false;
}

TEST_F_TIMEOUT(states, running, 120)
{
	self->booted = true;
	ASSERT_WELL(check_state(&self->h, &self->g, RUNNING, offsetof(struct call, running)));
	self->booted = false;
}

TEST_F_TIMEOUT(states, broken, 120)
{
	self->booted = true;
	ASSERT_WELL(check_state(&self->h, &self->g, BROKEN, offsetof(struct call, broken)));
	self->booted = false;
}

TEST_F_TIMEOUT(states, dead, 120)
{
	self->booted = true;
	ASSERT_WELL(check_state(&self->h, &self->g, DEAD, offsetof(struct call, dead)));
	self->booted = false;
}

TEST_F_TIMEOUT(states, parked, 120)
{
	self->booted = true;
	ASSERT_WELL(check_state(&self->h, &self->g, PARKED, offsetof(struct call, parked)));
	self->booted = false;
}

/* A parked queue may break or die, which drops what is parked. */
TEST_F_TIMEOUT(states, parked_further, 60)
{
	struct vhost_blk_vring_info info;
	struct guest *g = &self->g;

	self->booted = true;
	ASSERT_WELL(make(&self->h, g, &self->q, PARKED));
	ASSERT_WELL(make_dead(g));
	ASSERT_TRUE(comes_to(g, DEAD));
	ASSERT_WELL(check_request(&self->h, g, self->q, true));
	ASSERT_EQ(0, ring_info(&g->ring[0], &info));
	EXPECT_EQ(0, info.parked);
	EXPECT_EQ(STATUS_POISON, request_status(failing));
	request_free(self->q);
	request_free(failing);
	guest_destroy(g);
	/* broken while a status byte cannot be written: the request stays parked */
	ASSERT_WELL(make(&self->h, g, &self->q, PARKED));
	ASSERT_EQ(0, mprotect(g->region[0].hva + g->data_start,
			      g->region[0].len - g->data_start, PROT_READ));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_TRUE(comes_to(g, BROKEN));
	ASSERT_EQ(0, ring_info(&g->ring[0], &info));
	EXPECT_EQ(VHOST_BLK_BREAK_STATUS, info.break_reason);
	EXPECT_EQ(1, info.parked);
	ASSERT_EQ(0, stop(g));
	ASSERT_EQ(0, ring_info(&g->ring[0], &info));
	EXPECT_EQ(1, info.parked);
}

/* During a call that waits, other calls wait for it, or return at once. */
static const char *check_second(struct hang *h, struct guest *g, const struct call *first,
				const struct call *call, const struct cell *then)
{
	struct caller a, b;
	const char *why = NULL;
	int during = first == &call_stop ? DRAINING : PAUSED;
	bool early;

	caller_start(&a, first, g);
	if (!comes_to(g, during))
		return guest_say(g, "%s does not wait", first->name);
	caller_start(&b, call, g);
	early = caller_returns(&b, call->quick ? PATIENCE : A_WHILE);
	if (early != call->quick)
		why = early ? "does not wait" : "waits";
	if (!why && state_of(g) != during)
		why = "changes the state";
	if (hang_off(h))
		why = "the disk can't be resumed";
	if (!caller_returns(&a, PATIENCE) || !caller_returns(&b, PATIENCE))
		return guest_say(g, "%s during %s: does not return", call->name, first->name);
	pthread_join(a.thread, NULL);
	pthread_join(b.thread, NULL);
	if (!why && (a.ret || b.ret != then->ret))
		why = "returns another errno";
	if (why)
		return guest_say(g, "%s during %s: %s (returned %ld, %ld)", call->name, first->name,
				 why, a.ret, b.ret);
	return NULL;
}

static const char *check_seconds(struct hang *h, struct guest *g, const struct call *first,
				 size_t offset)
{
	struct request *q = NULL;
	const char *why = NULL;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls) && !why; i++) {
		const struct cell *then = (const void *)&calls[i] + offset;

		why = make(h, g, &q, RUNNING);
		if (!why)
			why = check_second(h, g, first, &calls[i], then);
		if (!why)
			why = check_request(h, g, q, false);
		if (why)
			break;
		request_free(q);
		guest_destroy(g);
	}
	return why;
}

TEST_F_TIMEOUT(states, paused, 120)
{
	self->booted = true;
	ASSERT_WELL(check_seconds(&self->h, &self->g, &call_pause,
				  offsetof(struct call, running)));
	self->booted = false;
}

TEST_F_TIMEOUT(states, draining, 120)
{
	self->booted = true;
	ASSERT_WELL(check_seconds(&self->h, &self->g, &call_stop,
				  offsetof(struct call, stopped)));
	self->booted = false;
}

/* If a call that pauses the queue is killed, the queue runs. */
TEST_F_TIMEOUT(states, pause_killed, 60)
{
	struct guest *g = &self->g;
	struct caller c;
	pid_t pid;

	self->booted = true;
	ASSERT_WELL(make(&self->h, g, &self->q, RUNNING));
	pid = process_start(&c, &call_pause, g);
	ASSERT_TRUE(comes_to(g, PAUSED));
	ASSERT_WELL(kill_process(g, pid));
	EXPECT_FALSE(c.done);
	EXPECT_EQ(RUNNING, state_of(g));
	ASSERT_WELL(check_request(&self->h, g, self->q, false));
}

/*
 * After a stop that was killed, the memory may be in use for something else.
 * The device writes nothing, whatever the addresses are, and afterwards it is
 * as new.
 */
TEST_F_TIMEOUT(states, stop_killed, 60)
{
	struct guest *g = &self->g;
	uint16_t base;

	self->booted = true;
	ASSERT_WELL(make(&self->h, g, &self->q, DEAD));
	EXPECT_EQ(EBUSY, -used_in_kernel(g));
	EXPECT_EQ(EBUSY, -move_rings(g));
	ASSERT_WELL(check_request(&self->h, g, self->q, true));
	EXPECT_EQ(0, ring_get_base(&g->ring[0], &base));
	EXPECT_EQ(1, base);
	/* the addresses are checked by the start */
	EXPECT_EQ(0, used_in_kernel(g));
	EXPECT_EQ(EFAULT, -start(g));
	EXPECT_EQ(STOPPED, state_of(g));
	ASSERT_EQ(0, set_addr(g));
	ASSERT_EQ(0, start(g));
	ASSERT_EQ(0, stop(g));
	ring_reset(&g->ring[0], 0);
	ring_reset(&g->ring[1], 0);
	ASSERT_EQ(0, ring_set_base(&g->ring[0], 0));
	ASSERT_EQ(0, ring_set_base(&g->ring[1], 0));
	ASSERT_EQ(0, start(g));
	ASSERT_WELL(guest_prove(g));
}

/* Queues are stopped and started one by one; others are not affected. */
TEST_F_TIMEOUT(states, one_by_one, 60)
{
	struct guest *g = &self->g;

	self->booted = true;
	ASSERT_WELL(make(&self->h, g, &self->q, STOPPED));
	ASSERT_EQ(0, ring_set_running(&g->ring[1], 1));
	EXPECT_EQ(STOPPED, state_of(g));
	ASSERT_WELL(request_simple(&g->ring[1], VIRTIO_BLK_T_OUT, 0, 512, VIRTIO_BLK_S_OK));
	ASSERT_EQ(0, ring_set_running(&g->ring[0], 1));
	ASSERT_EQ(0, ring_set_running(&g->ring[1], 0));
	ASSERT_WELL(request_simple(&g->ring[0], VIRTIO_BLK_T_OUT, 0, 512, VIRTIO_BLK_S_OK));
	EXPECT_EQ(EINVAL, -ring_set_running(&g->ring[0], 2));
	EXPECT_EQ(EINVAL, -ring_set_running(&g->ring[0], -1));
}

/* Break the queue for each reason that a guest can cause. */
static const char *break_by(struct guest *g, unsigned int reason)
{
	struct ring *r = &g->ring[0];
	struct request *q;

	switch (reason) {
	case VHOST_BLK_BREAK_CHAIN:
		ring_add_raw(r, r->num);
		break;
	case VHOST_BLK_BREAK_NO_STATUS:
		ring_put_desc(r, 0, g->region[0].gpa, 16, 0, 0);
		ring_add_raw(r, 0);
		break;
	case VHOST_BLK_BREAK_HEAD_BUSY:
		q = request_new(g, VIRTIO_BLK_T_IN, 0, 512);
		request_cut_usual(q);
		request_place(q, PLACE_PACKED, NULL);
		request_arm(q, 1);
		ring_add(r, q);
		ring_add_raw(r, q->head);
		break;
	default:
		return "the test does not know this reason";
	}
	ring_kick_now(r);
	if (!eventfd_wait(r->err, PATIENCE))
		return guest_say(g, "reason %u: the error eventfd was not signalled", reason);
	return comes_to(g, BROKEN) ? NULL : guest_say(g, "reason %u: not broken", reason);
}

TEST_F_TIMEOUT(states, break_reason, 60)
{
	static const unsigned int reasons[] = {
		VHOST_BLK_BREAK_CHAIN, VHOST_BLK_BREAK_NO_STATUS, VHOST_BLK_BREAK_HEAD_BUSY,
	};
	struct vhost_blk_vring_info info;
	unsigned int i;

	self->booted = true;
	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		ASSERT_WELL(make(&self->h, &self->g, &self->q, STOPPED));
		if (reasons[i] == VHOST_BLK_BREAK_HEAD_BUSY)
			ASSERT_WELL(hang_on(&self->h));
		ASSERT_EQ(0, start(&self->g));
		ASSERT_EQ(0, ring_info(&self->g.ring[0], &info));
		EXPECT_EQ(VHOST_BLK_BREAK_NONE, info.break_reason);
		ASSERT_WELL(break_by(&self->g, reasons[i]));
		ASSERT_EQ(0, ring_info(&self->g.ring[0], &info));
		EXPECT_EQ(reasons[i], info.break_reason);
		/* the other queue is not broken */
		ASSERT_EQ(0, ring_info(&self->g.ring[1], &info));
		EXPECT_EQ(RUNNING, info.state);
		EXPECT_EQ(VHOST_BLK_BREAK_NONE, info.break_reason);
		if (self->h.on)
			ASSERT_WELL(hang_off(&self->h));
		/* the reason is kept until the next start */
		ASSERT_EQ(0, stop(&self->g));
		ASSERT_EQ(0, ring_info(&self->g.ring[0], &info));
		EXPECT_EQ(STOPPED, info.state);
		EXPECT_EQ(reasons[i], info.break_reason);
		guest_destroy(&self->g);
	}
	self->booted = false;
}

#define TABLE	2100	/* descriptors: more than a queue accepts in one chain */

/* Send a chain that cannot be completed, for each errno of the vhost core. */
static const char *break_chain(struct guest *g, int error)
{
	struct ring *r = &g->ring[0];
	uint64_t at = guest_alloc(g, 16 + TABLE * sizeof(struct vring_desc), 16);
	uint64_t table = at + 16;
	uint16_t head = 0;
	unsigned int i;

	switch (error) {
	case -EINVAL:
		head = r->num;
		break;
	case -EFAULT:
		ring_put_desc(r, 0, at, 16, VRING_DESC_F_NEXT, 1);
		ring_put_desc(r, 1, HOLE_GPA, 1, VRING_DESC_F_WRITE, 0);
		break;
	default:
		for (i = 0; i < TABLE; i++) {
			struct vring_desc d = {
				.addr = htole64(at), .len = htole32(1),
				.flags = htole16(VRING_DESC_F_NEXT),
			};

			guest_write(g, table + i * sizeof(d), &d, sizeof(d));
		}
		ring_put_desc(r, 0, table, TABLE * sizeof(struct vring_desc),
			      VRING_DESC_F_INDIRECT, 0);
	}
	ring_add_raw(r, head);
	ring_kick_now(r);
	return comes_to(g, BROKEN) ? NULL : guest_say(g, "error %d: not broken", error);
}

TEST_F_TIMEOUT(states, break_error, 60)
{
	static const int errors[] = { -EINVAL, -EFAULT, -ENOBUFS };
	struct vhost_blk_vring_info info;
	unsigned int i;

	self->booted = true;
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		ASSERT_WELL(make(&self->h, &self->g, &self->q, STOPPED));
		ASSERT_EQ(0, start(&self->g));
		ASSERT_WELL(break_chain(&self->g, errors[i]));
		ASSERT_EQ(0, ring_info(&self->g.ring[0], &info));
		EXPECT_EQ(VHOST_BLK_BREAK_CHAIN, info.break_reason);
		EXPECT_EQ(errors[i], info.break_error);
		guest_destroy(&self->g);
	}
	self->booted = false;
}

/* VHOST_BLK_GET_INFO describes the attached backend. */
TEST_F(states, info)
{
	struct vhost_blk_vring_info vring = { .index = VHOST_BLK_MAX_QUEUES };
	struct vhost_blk_info info;
	struct guest *g = &self->g;

	self->booted = true;
	ASSERT_WELL(make(&self->h, g, &self->q, STOPPED));
	ASSERT_EQ(0, guest_ioctl(g, VHOST_BLK_GET_INFO, &info));
	EXPECT_EQ(0, info.running);
	EXPECT_EQ(VHOST_BLK_INFO_F_BACKEND | VHOST_BLK_INFO_F_BLOCK_DEVICE |
		  VHOST_BLK_INFO_F_DIRECT, info.flags);
	EXPECT_EQ(self->h.disk.size / 512, info.capacity);
	EXPECT_EQ(g->features, info.features);
	EXPECT_EQ(512, info.block_size);
	EXPECT_EQ(0, info.ino);
	EXPECT_NE(0, info.dev_major);
	ASSERT_EQ(0, start(g));
	ASSERT_EQ(0, guest_ioctl(g, VHOST_BLK_GET_INFO, &info));
	EXPECT_EQ(1, info.running);
	EXPECT_EQ(ENOBUFS, -guest_ioctl(g, VHOST_BLK_GET_VRING_INFO, &vring));
	EXPECT_EQ(EFAULT, -guest_ioctl(g, VHOST_BLK_GET_INFO, (void *)8));
	EXPECT_EQ(EFAULT, -guest_ioctl(g, VHOST_BLK_GET_VRING_INFO, (void *)8));
	ASSERT_EQ(0, stop(g));
	ASSERT_EQ(0, detach(g));
	ASSERT_EQ(0, guest_ioctl(g, VHOST_BLK_GET_INFO, &info));
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(0, info.capacity);
}

TEST_HARNESS_MAIN
