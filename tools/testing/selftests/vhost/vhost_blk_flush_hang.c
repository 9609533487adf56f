// SPDX-License-Identifier: GPL-2.0
/*
 * Ioctls that flush the backend while it hangs: FLUSH, a swap, and the change to
 * writethrough mode.  No request is in flight.  The caller can be killed, the
 * flush continues, and later calls of other processes wait for its end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hang.h"
#include "suite.h"
#include "task.h"
#include "vmm.h"

#define SOON	20000
#define LINGER	5500	/* see vhost_blk_backend_hang.c */

static long swap(struct guest *g)
{
	return guest_set_backend(g, g->opts.backend->fd, 0);
}

static long writethrough(struct guest *g)
{
	return guest_set_writeback(g, 0);
}

static long flush(struct guest *g)
{
	return guest_ioctl(g, VHOST_BLK_FLUSH, NULL);
}

static long reset_owner(struct guest *g)
{
	return guest_ioctl(g, VHOST_RESET_OWNER, NULL);
}

static long close_device(struct guest *g)
{
	guest_close(g);
	return 0;
}

FIXTURE(flush) {
	struct hang h;
	struct guest g;
	int fd;		/* for the lock */
};

FIXTURE_VARIANT(flush) {
	long (*call)(struct guest *g);
};

FIXTURE_VARIANT_ADD(flush, swap) {
	.call = swap,
};

FIXTURE_VARIANT_ADD(flush, writethrough) {
	.call = writethrough,
};

FIXTURE_VARIANT_ADD(flush, flush) {
	.call = flush,
};

FIXTURE_SETUP(flush)
{
	struct guest_opts opts = { .backend = &self->h.disk };
	const char *why = no_kernel("the flush of the model device does not hang");

	if (!why)
		why = hang_open_cached(&self->h);
	if (why)
		SKIP(return, "%s", why);
	self->fd = backend_reopen(&self->h.disk, O_RDWR);
	guest_init(&self->g, &opts);
}

FIXTURE_TEARDOWN(flush)
{
	if (self->h.on)
		hang_off(&self->h);
	guest_destroy(&self->g);
	close(self->fd);
	hang_close(&self->h);
}

static void live(struct backend *b, long (*call)(struct guest *g), int said, int go)
{
	struct guest_opts opts = { .backend = b };
	struct guest g;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	guest_init(&g, &opts);
	if (backend_reopen_locked(b, O_RDWR | O_DIRECT) || guest_boot(&g) || guest_prove(&g) ||
	    write(said, "", 1) != 1 || read(go, &byte, 1) != 1)
		_exit(1);
	_exit(call(&g) || write(said, "", 1) != 1);
}

/* Start a VMM, which boots and waits. */
static const char *vmm_live(struct vmm *v, struct backend *b, long (*call)(struct guest *g))
{
	int said[2], go[2];

	if (pipe2(said, O_CLOEXEC) || pipe2(go, O_CLOEXEC))
		return "no pipe";
	v->pid = fork();
	if (!v->pid)
		live(b, call, said[1], go[0]);
	close(said[1]);
	close(go[0]);
	v->said = said[0];
	v->go = go[1];
	return v->pid > 0 && vmm_said(v, SOON) ? NULL : "the VMM does not boot";
}

/* The VMM exits, and leaves the disk in use until the flush has ended. */
TEST_F_TIMEOUT(flush, killed, 60)
{
	struct vmm v;

	ASSERT_WELL(vmm_live(&v, &self->h.disk, variant->call));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_EQ(1, write(v.go, "", 1));
	ASSERT_TRUE(task_sleeps(v.pid, SOON));
	ASSERT_FALSE(vmm_said(&v, 0));
	ASSERT_WELL(vmm_kill(&v, LINGER));
	EXPECT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
	ASSERT_WELL(backend_adopt(&self->h.disk, 0, self->h.disk.size));
	ASSERT_WELL(guest_prove(&self->g));
}

/* A process with the memory and the descriptors of this one, which is the owner */
struct sibling {
	alignas(16) char stack[65536];
	struct vmm v;
	struct guest *g;
	long (*call)(struct guest *g);
	long ret;
};

static int run_sibling(void *data)
{
	struct sibling *s = data;

	s->ret = s->call(s->g);
	_exit(0);
}

/* Start a sibling.  Return: NULL if it waits in its call, or what is wrong */
static const char *sibling_waits(struct sibling *s, struct guest *g,
				 long (*call)(struct guest *g))
{
	s->v.said = -1;
	s->v.go = -1;
	s->g = g;
	s->call = call;
	s->ret = 1;
	s->v.pid = clone(run_sibling, s->stack + sizeof(s->stack),
			 CLONE_VM | CLONE_FILES | SIGCHLD, s);
	if (s->v.pid < 0)
		return "no process can be created";
	return task_sleeps(s->v.pid, SOON) ? NULL : "the call does not wait";
}

/* Boot the guest, and kill a process that flushes the disk, which hangs. */
static const char *flush_in_flight(struct _test_data_flush *self, long (*call)(struct guest *g))
{
	static struct sibling s;
	const char *why = guest_prove(&self->g);

	if (!why)
		why = hang_on(&self->h);
	if (!why)
		why = sibling_waits(&s, &self->g, call);
	return why ? why : vmm_kill(&s.v, LINGER);
}

static const char *ends_after_it(struct _test_data_flush *self, struct sibling *s)
{
	const char *why;

	usleep(200000);
	if (s->ret != 1)
		return "the call returns before the flush has ended";
	why = hang_off(&self->h);
	if (!why)
		why = vmm_gone(&s->v, SOON);
	if (!why && s->ret)
		why = guest_say(&self->g, "the call returns %ld", s->ret);
	return why;
}

/*
 * Each of these waits for the flush of a caller that was killed, can be killed
 * as well, and succeeds if it is not.
 */
TEST_F_TIMEOUT(flush, later_calls, 120)
{
	static long (*const later[])(struct guest *g) = {
		swap, writethrough, flush, reset_owner,
	};
	static struct sibling killed, s;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(later); i++) {
		TH_LOG("call %u", i);
		ASSERT_WELL(flush_in_flight(self, variant->call));
		ASSERT_WELL(sibling_waits(&killed, &self->g, later[i]));
		ASSERT_WELL(vmm_kill(&killed.v, LINGER));
		ASSERT_WELL(sibling_waits(&s, &self->g, later[i]));
		ASSERT_WELL(ends_after_it(self, &s));
		/* after a reset another process may be the owner */
		if (later[i] == reset_owner)
			guest_close(&self->g);
		ASSERT_EQ(0, later[i] == writethrough ? guest_set_writeback(&self->g, 1) : 0);
		ASSERT_WELL(guest_prove(&self->g));
	}
}

/* A reset that was killed has stopped the device.  A swap waits for the flush then, too. */
TEST_F_TIMEOUT(flush, stopped, 60)
{
	static struct sibling killed, s;

	ASSERT_WELL(flush_in_flight(self, variant->call));
	ASSERT_WELL(sibling_waits(&killed, &self->g, reset_owner));
	ASSERT_WELL(vmm_kill(&killed.v, LINGER));
	ASSERT_WELL(sibling_waits(&s, &self->g, swap));
	ASSERT_WELL(ends_after_it(self, &s));
	ASSERT_EQ(0, guest_set_running(&self->g, 1));
	ASSERT_WELL(guest_prove(&self->g));
}

/* The last close waits for the flush as for a request. */
TEST_F_TIMEOUT(flush, close, 60)
{
	static struct sibling s;

	ASSERT_WELL(flush_in_flight(self, variant->call));
	ASSERT_WELL(sibling_waits(&s, &self->g, close_device));
	ASSERT_WELL(ends_after_it(self, &s));
}

/* A flush that fails after its caller was killed is an error of the backend. */
TEST_F_TIMEOUT(flush, fails_later, 60)
{
	struct vhost_blk_info info = {};
	char params[256];
	unsigned int i;

	ASSERT_WELL(flush_in_flight(self, variant->call));
	ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_BLK_GET_INFO, &info));
	EXPECT_EQ(0, info.flush_error);
	snprintf(params, sizeof(params), "%s 0 0 3600 1 error_writes", self->h.below.path);
	ASSERT_WELL(dm_replace(&self->h.dm, self->h.below.size / SECTOR, "flakey", params));
	self->h.on = false;
	for (i = 0; i < SOON / 10 && !info.flush_error; i++) {
		usleep(10000);
		ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_BLK_GET_INFO, &info));
	}
	EXPECT_EQ(-EIO, info.flush_error);
	ASSERT_WELL(request_ends(&self->g.ring[0], VIRTIO_BLK_T_FLUSH, 0, 0,
				 VIRTIO_BLK_S_IOERR));
}

TEST_HARNESS_MAIN
