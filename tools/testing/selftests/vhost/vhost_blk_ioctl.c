// SPDX-License-Identifier: GPL-2.0
/*
 * The generic vhost ioctls: valid calls, wrong order and wrong values, each
 * with its errno.  The suite uapi tests the ioctls of vhost-blk.
 */
#define _GNU_SOURCE
#include <dirent.h>

#include "suite-ioctl.h"

#define BAD_PTR		((void *)8)
#define KERNEL_ADDR	BIT64(63)
#define QUEUES		VHOST_BLK_MAX_QUEUES

/* Every ioctl that only the owner may call; an argument of zeroes is valid for them */
static const struct {
	unsigned long cmd;
	const char *name;
	bool early;	/* any process may call it before there is an owner */
} owners[] = {
	{ VHOST_SET_FEATURES, "SET_FEATURES", true },
	{ VHOST_SET_BACKEND_FEATURES, "SET_BACKEND_FEATURES", true },
	{ VHOST_RESET_OWNER, "RESET_OWNER" }, { VHOST_SET_MEM_TABLE, "SET_MEM_TABLE" },
	{ VHOST_SET_LOG_BASE, "SET_LOG_BASE" }, { VHOST_SET_LOG_FD, "SET_LOG_FD" },
	{ VHOST_SET_VRING_NUM, "SET_VRING_NUM" }, { VHOST_SET_VRING_BASE, "SET_VRING_BASE" },
	{ VHOST_GET_VRING_BASE, "GET_VRING_BASE" }, { VHOST_SET_VRING_ADDR, "SET_VRING_ADDR" },
	{ VHOST_SET_VRING_KICK, "SET_VRING_KICK" }, { VHOST_SET_VRING_CALL, "SET_VRING_CALL" },
	{ VHOST_SET_VRING_ERR, "SET_VRING_ERR" },
	{ VHOST_SET_VRING_BUSYLOOP_TIMEOUT, "SET_VRING_BUSYLOOP_TIMEOUT" },
	{ VHOST_GET_VRING_BUSYLOOP_TIMEOUT, "GET_VRING_BUSYLOOP_TIMEOUT" },
	{ VHOST_NEW_WORKER, "NEW_WORKER" }, { VHOST_FREE_WORKER, "FREE_WORKER" },
	{ VHOST_ATTACH_VRING_WORKER, "ATTACH_VRING_WORKER" },
	{ VHOST_GET_VRING_WORKER, "GET_VRING_WORKER" },
	{ VHOST_BLK_SET_BACKEND, "BLK_SET_BACKEND" }, { VHOST_BLK_SET_RUNNING, "BLK_SET_RUNNING" },
	{ VHOST_BLK_SET_CONFIG, "BLK_SET_CONFIG" },
	{ VHOST_BLK_SET_CONFIG_CALL, "BLK_SET_CONFIG_CALL" }, { VHOST_BLK_FLUSH, "BLK_FLUSH" },
};

TEST_F(ioctl, before_set_owner)
{
	uint64_t arg[64] = { 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(owners); i++) {
		EXPECT_EQ(owners[i].early ? 0 : EPERM, IOCTL(owners[i].cmd, arg))
			TH_LOG("%s", owners[i].name);
	}
}

TEST_F(ioctl, not_the_owner)
{
	uint64_t arg[64] = { 0 };
	unsigned int i;
	int status;
	pid_t pid;

	UP_TO(STAGE_RUNNING);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (i = 0; i < ARRAY_SIZE(owners); i++)
			if (IOCTL(owners[i].cmd, arg) != EPERM)
				_exit(1 + i);
		_exit(IOCTL(VHOST_SET_OWNER, NULL) == EBUSY ? 0 : 100);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status))
		TH_LOG("%s", WEXITSTATUS(status) == 100 ? "SET_OWNER" :
		       owners[WEXITSTATUS(status) - 1].name);
}

TEST_F(ioctl, set_owner_twice)
{
	UP_TO(STAGE_OWNED);
	EXPECT_EQ(EBUSY, IOCTL(VHOST_SET_OWNER, NULL));
	UP_TO(STAGE_RUNNING);
	EXPECT_EQ(EBUSY, IOCTL(VHOST_SET_OWNER, NULL));
}

/* As after open(): everything must be set again, and then the device works. */
TEST_F(ioctl, reset_owner)
{
	static const enum stage from[] = {
		STAGE_OWNED, STAGE_BACKEND, STAGE_FEATURES, STAGE_MEMORY, STAGE_RINGS,
		STAGE_RUNNING, STAGE_RUNNING,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(from); i++) {
		UP_TO(from[i]);
		ASSERT_EQ(0, IOCTL(VHOST_RESET_OWNER, NULL));
		self->g.stage = STAGE_OPEN;
		ASSERT_EQ(EPERM, -guest_set_running(&self->g, 1));
		UP_TO(STAGE_OWNED);
		ASSERT_EQ(ENODEV, -guest_set_running(&self->g, 1));
		ring_reset(&self->g.ring[0], 0);
		ring_reset(&self->g.ring[1], 0);
		ASSERT_WELL(guest_prove(&self->g));
	}
}

TEST_F(ioctl, features)
{
	uint64_t offered, f;
	unsigned int bit;

	ASSERT_EQ(0, IOCTL(VHOST_GET_FEATURES, &offered));
	for (bit = 0; bit < 64; bit++) {
		f = BIT64(bit);
		EXPECT_EQ(offered & f ? 0 : EOPNOTSUPP, IOCTL(VHOST_SET_FEATURES, &f))
			TH_LOG("bit %u", bit);
	}
	f = ~0ULL;
	EXPECT_EQ(EOPNOTSUPP, IOCTL(VHOST_SET_FEATURES, &f));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_SET_FEATURES, BAD_PTR));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_GET_FEATURES, BAD_PTR));
	f = 0;
	ASSERT_EQ(0, IOCTL(VHOST_SET_FEATURES, &f));
	/* RO is valid with a writable backend: the last one may have been read-only */
	UP_TO(STAGE_BACKEND);
	f = BIT64(VIRTIO_BLK_F_RO);
	EXPECT_EQ(0, IOCTL(VHOST_SET_FEATURES, &f));
	f = 0;
	EXPECT_EQ(0, IOCTL(VHOST_SET_FEATURES, &f));
	UP_TO(STAGE_RUNNING);
	EXPECT_EQ(0, IOCTL(VHOST_SET_FEATURES, &self->g.features));
	f = self->g.features & ~BIT64(VIRTIO_RING_F_EVENT_IDX);
	EXPECT_EQ(EBUSY, IOCTL(VHOST_SET_FEATURES, &f));
	ASSERT_WELL(guest_prove(&self->g));
}

TEST_F(ioctl, backend_features)
{
	uint64_t offered, f;

	ASSERT_EQ(0, IOCTL(VHOST_GET_BACKEND_FEATURES, &offered));
	EXPECT_EQ(0, IOCTL(VHOST_SET_BACKEND_FEATURES, &offered));
	f = ~offered;
	EXPECT_EQ(EOPNOTSUPP, IOCTL(VHOST_SET_BACKEND_FEATURES, &f));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_SET_BACKEND_FEATURES, BAD_PTR));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_GET_BACKEND_FEATURES, BAD_PTR));
}

struct table {
	struct vhost_memory m;
	struct vhost_memory_region r[2];
};

static void bad_tables(struct __test_metadata *_metadata, struct _test_data_ioctl *self,
		       bool running)
{
	uint64_t hva = (uintptr_t)self->g.region[0].hva;
	struct table t = {
		.m.nregions = 1, .r[0] = { 0x100000, 4096, hva },
	};
	struct table bad;

	bad = t;
	bad.m.padding = 1;
	EXPECT_EQ(EOPNOTSUPP, IOCTL(VHOST_SET_MEM_TABLE, &bad));
	bad = t;
	bad.m.nregions = 1000000;
	EXPECT_EQ(E2BIG, IOCTL(VHOST_SET_MEM_TABLE, &bad));
	bad = t;
	bad.r[0].memory_size = 0;
	EXPECT_EQ(EFAULT, IOCTL(VHOST_SET_MEM_TABLE, &bad));
	bad = t;
	bad.r[0].guest_phys_addr = ~0ULL - 100;
	EXPECT_EQ(EFAULT, IOCTL(VHOST_SET_MEM_TABLE, &bad));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_SET_MEM_TABLE, BAD_PTR));
	/* the vhost core checks these only when a queue is started */
	bad = t;
	bad.r[0].userspace_addr = KERNEL_ADDR;
	EXPECT_EQ(running ? EFAULT : 0, IOCTL(VHOST_SET_MEM_TABLE, &bad));
	bad.r[0].userspace_addr = ~0ULL - 100;
	EXPECT_EQ(running ? EFAULT : 0, IOCTL(VHOST_SET_MEM_TABLE, &bad));
}

/* A table that is refused leaves the old one in effect. */
TEST_F(ioctl, set_mem_table)
{
	UP_TO(STAGE_OWNED);
	bad_tables(_metadata, self, false);
	/* ... at the latest by a start */
	UP_TO(STAGE_FEATURES);
	self->g.stage = STAGE_MEMORY;
	UP_TO(STAGE_RINGS);
	EXPECT_EQ(EFAULT, -guest_set_running(&self->g, 1));
	self->g.stage = STAGE_FEATURES;
	UP_TO(STAGE_RUNNING);
	bad_tables(_metadata, self, true);
	ASSERT_WELL(guest_prove(&self->g));
	EXPECT_EQ(0, -guest_set_mem_table(&self->g));
}

TEST_F(ioctl, set_vring_num)
{
	static const unsigned int bad[] = { 0, 3, 5, 1000, 65535, 65536, 1U << 31, ~0U };
	struct vhost_vring_state s = { 0 };
	unsigned int i;

	UP_TO(STAGE_RINGS);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		s.num = bad[i];
		EXPECT_EQ(EINVAL, IOCTL(VHOST_SET_VRING_NUM, &s))
			TH_LOG("%u", bad[i]);
	}
	for (s.num = 1; s.num <= 32768; s.num *= 2)
		EXPECT_EQ(0, IOCTL(VHOST_SET_VRING_NUM, &s));
	/* the vhost core accepts 32768 descriptors, vhost-blk does not */
	EXPECT_EQ(EINVAL, -guest_set_running(&self->g, 1));
	s.num = 2 * VHOST_BLK_MAX_QUEUE_SIZE;
	EXPECT_EQ(0, IOCTL(VHOST_SET_VRING_NUM, &s));
	EXPECT_EQ(EINVAL, -guest_set_running(&self->g, 1));
	s.num = self->g.ring[0].num;
	EXPECT_EQ(0, IOCTL(VHOST_SET_VRING_NUM, &s));
	UP_TO(STAGE_RUNNING);
	EXPECT_EQ(EBUSY, IOCTL(VHOST_SET_VRING_NUM, &s));
}

TEST_F(ioctl, set_vring_base)
{
	struct vhost_vring_state s = { .num = 65536 };
	unsigned int i;

	UP_TO(STAGE_RINGS);
	EXPECT_EQ(EINVAL, IOCTL(VHOST_SET_VRING_BASE, &s));
	s.num = 65535;
	EXPECT_EQ(0, IOCTL(VHOST_SET_VRING_BASE, &s));
	s.num = 0;
	EXPECT_EQ(0, IOCTL(VHOST_GET_VRING_BASE, &s));
	EXPECT_EQ(65535, s.num);
	/* the device starts at this base, here across the wrap of the index */
	for (i = 0; i < 2; i++) {
		ring_reset(&self->g.ring[i], 65533);
		EXPECT_EQ(0, -ring_set_base(&self->g.ring[i], 65533));
	}
	UP_TO(STAGE_RUNNING);
	EXPECT_EQ(EBUSY, IOCTL(VHOST_SET_VRING_BASE, &s));
	for (i = 0; i < 4; i++)
		ASSERT_WELL(guest_prove(&self->g));
	EXPECT_EQ(0, IOCTL(VHOST_GET_VRING_BASE, &s));
	EXPECT_EQ((65533 + 8) & 0xffff, s.num);
	ASSERT_EQ(0, -guest_set_running(&self->g, 1));
}

static struct vhost_vring_addr good_addr(const struct ring *r)
{
	return (struct vhost_vring_addr) {
		.index = r->index,
		.desc_user_addr = (uintptr_t)r->desc,
		.avail_user_addr = (uintptr_t)r->avail,
		.used_user_addr = (uintptr_t)r->used,
	};
}

/* @moved: errno for addresses other than the current ones */
static void bad_addrs(struct __test_metadata *_metadata, struct _test_data_ioctl *self,
		      int moved)
{
	const struct vhost_vring_addr good = good_addr(&self->g.ring[0]);
	struct vhost_vring_addr a = good;

	a.avail_user_addr += 1;
	EXPECT_EQ(moved, IOCTL(VHOST_SET_VRING_ADDR, &a));
	a = good;
	a.used_user_addr += 2;
	EXPECT_EQ(moved, IOCTL(VHOST_SET_VRING_ADDR, &a));
	a = good;
	a.log_guest_addr = 2;
	EXPECT_EQ(EINVAL, IOCTL(VHOST_SET_VRING_ADDR, &a));
	a = good;
	a.flags = 2;
	EXPECT_EQ(EOPNOTSUPP, IOCTL(VHOST_SET_VRING_ADDR, &a));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_SET_VRING_ADDR, BAD_PTR));
}

TEST_F(ioctl, set_vring_addr)
{
	struct vhost_vring_addr a = good_addr(&self->g.ring[0]);

	UP_TO(STAGE_RINGS);
	bad_addrs(_metadata, self, EINVAL);
	UP_TO(STAGE_RUNNING);
	bad_addrs(_metadata, self, EBUSY);
	EXPECT_EQ(0, IOCTL(VHOST_SET_VRING_ADDR, &a));
	a.desc_user_addr = KERNEL_ADDR;
	EXPECT_EQ(EBUSY, IOCTL(VHOST_SET_VRING_ADDR, &a));
}

/* Rings at addresses without memory: the start fails. */
TEST_F(ioctl, rings_nowhere)
{
	struct vhost_vring_addr a = good_addr(&self->g.ring[0]);
	uint64_t guard = (uintptr_t)self->g.region[0].hva - 4096;

	UP_TO(STAGE_RINGS);
	a.used_user_addr = guard;
	EXPECT_EQ(0, IOCTL(VHOST_SET_VRING_ADDR, &a));
	EXPECT_EQ(EFAULT, -guest_set_running(&self->g, 1));
	a.used_user_addr = KERNEL_ADDR;
	EXPECT_EQ(0, IOCTL(VHOST_SET_VRING_ADDR, &a));
	EXPECT_EQ(EFAULT, -guest_set_running(&self->g, 1));
	a = good_addr(&self->g.ring[0]);
	a.desc_user_addr = KERNEL_ADDR;
	EXPECT_EQ(0, IOCTL(VHOST_SET_VRING_ADDR, &a));
	EXPECT_EQ(EFAULT, -guest_set_running(&self->g, 1));
	a = good_addr(&self->g.ring[0]);
	EXPECT_EQ(0, IOCTL(VHOST_SET_VRING_ADDR, &a));
}

TEST_F(ioctl, index)
{
	static const unsigned long cmd[] = {
		VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE, VHOST_GET_VRING_BASE,
		VHOST_SET_VRING_ADDR, VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL,
		VHOST_SET_VRING_ERR, VHOST_SET_VRING_BUSYLOOP_TIMEOUT,
		VHOST_GET_VRING_BUSYLOOP_TIMEOUT,
	};
	static const unsigned int index[] = { QUEUES, QUEUES + 1, 1U << 31, ~0U };
	struct vhost_vring_addr a = { 0 };
	unsigned int i, k;

	UP_TO(STAGE_OWNED);
	for (i = 0; i < ARRAY_SIZE(cmd); i++) {
		EXPECT_EQ(EFAULT, IOCTL(cmd[i], BAD_PTR));
		for (k = 0; k < ARRAY_SIZE(index); k++) {
			a.index = index[k];
			EXPECT_EQ(ENOBUFS, IOCTL(cmd[i], &a))
				TH_LOG("ioctl %u of queue %u", i, a.index);
		}
	}
}

TEST_F(ioctl, eventfds)
{
	static const unsigned long cmd[] = {
		VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,
	};
	struct vhost_vring_file f = { 0 };
	unsigned int i;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	UP_TO(STAGE_OWNED);
	for (i = 0; i < 2 * ARRAY_SIZE(cmd); i++) {
		unsigned long c = cmd[i % ARRAY_SIZE(cmd)];

		if (i == ARRAY_SIZE(cmd))
			UP_TO(STAGE_RUNNING);
		f.fd = 1000;
		EXPECT_EQ(EBADF, IOCTL(c, &f));
		f.fd = -2;
		EXPECT_EQ(EBADF, IOCTL(c, &f));
		f.fd = p[0];
		EXPECT_EQ(EINVAL, IOCTL(c, &f));
		f.fd = self->b.fd;
		EXPECT_EQ(EINVAL, IOCTL(c, &f));
		f.fd = VHOST_FILE_UNBIND;
		if (i < ARRAY_SIZE(cmd))
			EXPECT_EQ(0, IOCTL(c, &f));
	}
	close(p[0]);
	close(p[1]);
}

TEST_F(ioctl, log)
{
	uint64_t base = (uintptr_t)self->g.region[0].hva;
	int p[2], fd = eventfd(0, 0);

	ASSERT_EQ(0, pipe(p));
	UP_TO(STAGE_OWNED);
	EXPECT_EQ(0, IOCTL(VHOST_SET_LOG_BASE, &base));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_SET_LOG_BASE, BAD_PTR));
	EXPECT_EQ(0, IOCTL(VHOST_SET_LOG_FD, &fd));
	EXPECT_EQ(EBADF, IOCTL(VHOST_SET_LOG_FD, &(int){ 1000 }));
	EXPECT_EQ(EINVAL, IOCTL(VHOST_SET_LOG_FD, &p[0]));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_SET_LOG_FD, BAD_PTR));
	EXPECT_EQ(0, IOCTL(VHOST_SET_LOG_FD, &(int){ VHOST_FILE_UNBIND }));
	close(fd);
	close(p[0]);
	close(p[1]);
}

TEST_F(ioctl, busyloop_timeout)
{
	struct vhost_vring_state s = { .index = 1, .num = 50 };

	UP_TO(STAGE_OWNED);
	EXPECT_EQ(0, IOCTL(VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &s));
	s.num = 0;
	EXPECT_EQ(0, IOCTL(VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &s));
	EXPECT_EQ(50, s.num);
	EXPECT_EQ(1, s.index);
	s.index = 0;
	EXPECT_EQ(0, IOCTL(VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &s));
	EXPECT_EQ(0, s.num);
	/* with polling on one queue and then on both, the device works */
	ASSERT_WELL(guest_prove(&self->g));
	s.num = 50;
	EXPECT_EQ(0, IOCTL(VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &s));
}

TEST_F(ioctl, workers)
{
	struct vhost_worker_state w = { 0 };
	struct vhost_vring_worker v = { .index = 0 };
	unsigned int first;
	int err;

	UP_TO(STAGE_RUNNING);
	err = IOCTL(VHOST_NEW_WORKER, &w);
	if (err == ENOTTY)
		SKIP(return, "this kernel has no worker ioctls (Linux 6.5)");
	if (err == EFAULT)
		SKIP(return, "vhost.fork_from_owner_default=0: one worker only");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, IOCTL(VHOST_GET_VRING_WORKER, &v));
	first = v.worker_id;
	EXPECT_NE(first, w.worker_id);
	v.worker_id = w.worker_id;
	EXPECT_EQ(EBUSY, IOCTL(VHOST_ATTACH_VRING_WORKER, &v));
	ASSERT_EQ(0, -guest_set_running(&self->g, 0));
	EXPECT_EQ(0, IOCTL(VHOST_ATTACH_VRING_WORKER, &v));
	ASSERT_EQ(0, -guest_set_running(&self->g, 1));
	v.worker_id = ~0U;
	EXPECT_EQ(0, IOCTL(VHOST_GET_VRING_WORKER, &v));
	EXPECT_EQ(w.worker_id, v.worker_id);
	ASSERT_WELL(guest_prove(&self->g));
	EXPECT_EQ(EBUSY, IOCTL(VHOST_FREE_WORKER, &w));
	ASSERT_EQ(0, -guest_set_running(&self->g, 0));
	v.worker_id = 12345;
	EXPECT_EQ(ENODEV, IOCTL(VHOST_ATTACH_VRING_WORKER, &v));
	v.worker_id = first;
	EXPECT_EQ(0, IOCTL(VHOST_ATTACH_VRING_WORKER, &v));
	EXPECT_EQ(0, IOCTL(VHOST_FREE_WORKER, &w));
	EXPECT_EQ(ENODEV, IOCTL(VHOST_FREE_WORKER, &w));
	ASSERT_EQ(0, -guest_set_running(&self->g, 1));
	v.index = QUEUES;
	EXPECT_EQ(ENOBUFS, IOCTL(VHOST_GET_VRING_WORKER, &v));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_FREE_WORKER, BAD_PTR));
}

/* Threads of this process: the worker is one of them, or a kernel thread. */
static unsigned int threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned int n = 0;
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

/* Wait: a worker that has exited remains visible for a moment. */
static bool threads_fall_to(unsigned int n)
{
	unsigned int ms;

	for (ms = 0; ms < 10000 && threads() > n; ms++)
		usleep(1000);
	return threads() == n;
}

/* The VMM chooses between a kernel thread and one of its own; a reset undoes the choice. */
TEST_F(ioctl, fork_from_owner)
{
	uint8_t usual, kind, bad = 2;
	struct vhost_worker_state w = { 0 };
	unsigned int before = threads();
	int err = IOCTL(VHOST_GET_FORK_FROM_OWNER, &usual);

	if (err == EPERM)
		SKIP(return, "this kernel has no choice of workers (Linux 6.17)");
	ASSERT_EQ(0, err);
	EXPECT_EQ(EINVAL, IOCTL(VHOST_SET_FORK_FROM_OWNER, &bad));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_SET_FORK_FROM_OWNER, BAD_PTR));
	for (kind = 0; kind < 2; kind++) {
		ASSERT_EQ(0, IOCTL(VHOST_SET_FORK_FROM_OWNER, &kind));
		UP_TO(STAGE_OWNED);
		EXPECT_EQ(EBUSY, IOCTL(VHOST_SET_FORK_FROM_OWNER, &kind));
		EXPECT_EQ(before + kind, threads());
		UP_TO(STAGE_RUNNING);
		ASSERT_WELL(guest_prove(&self->g));
		EXPECT_EQ(kind ? 0 : EFAULT, IOCTL(VHOST_NEW_WORKER, &w));
		ASSERT_EQ(0, IOCTL(VHOST_RESET_OWNER, NULL));
		EXPECT_TRUE(threads_fall_to(before));
		self->g.stage = STAGE_OPEN;
		ring_reset(&self->g.ring[0], 0);
		ring_reset(&self->g.ring[1], 0);
		ASSERT_EQ(0, IOCTL(VHOST_GET_FORK_FROM_OWNER, &bad));
		EXPECT_EQ(usual, bad);
	}
}

TEST_F(ioctl, unknown)
{
	uint64_t arg[64] = { 0 };
	unsigned int nr;

	for (nr = 0; nr < 2; nr++) {
		if (nr)
			UP_TO(STAGE_RUNNING);
		else
			UP_TO(STAGE_OWNED);
		EXPECT_EQ(ENOTTY, IOCTL(_IO(VHOST_VIRTIO, 0x5f), arg));
		EXPECT_EQ(ENOTTY, IOCTL(_IOW(VHOST_VIRTIO, 0x55, int), arg));
		/* valid number, other size */
		EXPECT_EQ(ENOTTY, IOCTL(_IOW(VHOST_VIRTIO, 0x50, int), arg));
		EXPECT_EQ(ENOTTY, IOCTL(VHOST_NET_SET_BACKEND, arg));
		EXPECT_EQ(ENOTTY, IOCTL(_IO('B', 0x01), arg));
	}
}

TEST_HARNESS_MAIN
