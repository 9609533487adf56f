// SPDX-License-Identifier: GPL-2.0
/*
 * VMMs that exit at any moment, in any way, also while another process has the
 * file open.  The backend is free afterwards, and the driver works as before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dm.h"
#include "module.h"
#include "suite.h"
#include "vmm.h"

#define SOON	20000

/* Requests to this backend stay in flight for a while. */
FIXTURE(dying) {
	struct backend b;
	struct vmm_opts opts;
	struct rng rng;
	int fd;		/* for the lock */
};

FIXTURE_SETUP(dying)
{
	const char *why = no_kernel("the model device dies with this process");

	if (!why)
		why = backend_open(&self->b, BACKEND_SLOW, true);
	if (why)
		SKIP(return, "%s", why);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
	self->fd = backend_reopen(&self->b, O_RDWR);
	self->opts = (struct vmm_opts) { .backend = &self->b, .queues = 4, .per_queue = 32 };
}

FIXTURE_TEARDOWN(dying)
{
	close(self->fd);
	backend_close(&self->b);
}

/* The VMM has exited: its requests are complete, and another VMM can have the disk. */
static const char *check_free(int fd, struct backend *b)
{
	struct guest_opts opts = { .backend = b, .queues = 2 };
	struct guest g;
	const char *why;

	if (backend_in_use(fd))
		return "the backend is still in use";
	why = backend_adopt(b, 0, b->size);
	if (why)
		return why;
	guest_init(&g, &opts);
	why = guest_prove(&g);
	guest_destroy(&g);
	return why;
}

/* Random activities of a VMM, during which it may be killed */
static void do_something(struct guest *g, struct rng *rng)
{
	uint16_t base;

	switch (rng_below(rng, 7)) {
	case 0:
		guest_set_running(g, 0);
		guest_set_running(g, 1);
		break;
	case 1:
		guest_set_backend(g, g->opts.backend->fd, 0);
		break;
	case 2:
		guest_set_mem_table(g);
		break;
	case 3:
		ring_stop(&g->ring[1], &base);
		guest_set_running(g, 1);
		break;
	case 4:
		guest_set_writeback(g, rng_next(rng) & 1);
		break;
	default:
		usleep(rng_below(rng, 2000));
	}
}

/* Boot, send requests and call ioctls. Does not return. */
static void live(const struct vmm_opts *opts, struct rng *rng)
{
	struct batch_opts fill = { .per_queue = opts->per_queue };
	struct guest_opts guest = { .backend = opts->backend, .queues = opts->queues };
	unsigned int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct batch b;
		struct guest g;

		guest_init(&g, &guest);
		if (guest_boot(&g))
			_exit(1);
		batch_build(&b, &g, &fill, rng);
		if (batch_submit(&b))
			_exit(1);
		for (i = rng_below(rng, 6); i; i--)
			do_something(&g, rng);
		guest_destroy(&g);
	}
}

static unsigned int kills(void)
{
	const char *env = getenv("VHOST_TEST_KILLS");

	return env ? atoi(env) : scaled(24, 12);
}

/* SIGKILL at any moment, from the first instruction on */
static const char *kill_one(const struct vmm_opts *opts, int fd, struct rng *rng)
{
	struct vmm v = { .said = -1, .go = -1 };
	const char *why;
	int status;

	rng_next(rng);
	v.pid = fork();
	if (!v.pid) {
		/* a file description of its own, for the lock */
		if (backend_reopen_locked(opts->backend, O_RDWR))
			_exit(1);
		live(opts, rng);
	}
	usleep(rng_below(rng, rng_next(rng) & 1 ? 150000 : 15000));
	if (waitpid(v.pid, &status, WNOHANG))
		return "it exited by itself";
	why = vmm_kill(&v, SOON);
	if (why)
		return why;
	/* no request of it is in flight */
	return backend_in_use(fd) ? "the backend is still in use" : NULL;
}

TEST_F_TIMEOUT(dying, any_moment, 3600)
{
	unsigned int i, n = kills();

	for (i = 0; i < n; i++)
		ASSERT_WELL(kill_one(&self->opts, self->fd, &self->rng));
	TH_LOG("%u kills", n);
	ASSERT_WELL(check_free(self->fd, &self->b));
}

TEST_F_TIMEOUT(dying, any_moment_file, 3600)
{
	unsigned int i, n = kills();
	struct backend b;
	int fd;

	ASSERT_WELL(backend_open(&b, BACKEND_FILE, false));
	fd = backend_reopen(&b, O_RDWR);
	self->opts.backend = &b;
	for (i = 0; i < n; i++)
		ASSERT_WELL(kill_one(&self->opts, fd, &self->rng));
	TH_LOG("%u kills", n);
	ASSERT_WELL(check_free(fd, &b));
	close(fd);
	backend_close(&b);
}

static const char *die_by(struct backend *b, int fd, struct vmm_opts *opts,
			  const char *(*by)(struct vmm *v))
{
	struct vmm v;
	const char *why = vmm_start(&v, opts);

	if (!why)
		why = vmm_load(&v);
	if (!why)
		why = by(&v);
	if (!why)
		why = vmm_gone(&v, SOON);
	vmm_forget(&v);
	return why ? why : check_free(fd, b);
}

static const char *by_kill(struct vmm *v)
{
	return kill(v->pid, SIGKILL) ? "kill fails" : NULL;
}

static const char *by_stop_and_kill(struct vmm *v)
{
	if (kill(v->pid, SIGSTOP))
		return "SIGSTOP fails";
	usleep(50000);
	return by_kill(v);
}

static const char *by_freeze_and_kill(struct vmm *v)
{
	if (put_attr(v->cgroup, "cgroup.freeze", "1"))
		return "the control group can't be frozen";
	usleep(50000);
	return by_kill(v);
}

/* From Linux 6.4 on the worker is a thread of the VMM: killing it kills the VMM. */
static const char *by_its_worker(struct vmm *v)
{
	char pattern[64], comm[32] = "";
	glob_t found;
	size_t i;

	snprintf(pattern, sizeof(pattern), "/proc/%d/task/*/comm", v->pid);
	if (glob(pattern, 0, NULL, &found))
		return "no threads";
	for (i = 0; i < found.gl_pathc && strncmp(comm, "vhost-", 6); i++) {
		FILE *f = fopen(found.gl_pathv[i], "re");
		int tid = atoi(strstr(found.gl_pathv[i], "/task/") + 6);

		if (f && fgets(comm, sizeof(comm), f) && !strncmp(comm, "vhost-", 6) &&
		    syscall(SYS_tgkill, v->pid, tid, SIGKILL))
			comm[0] = '\0';
		if (f)
			fclose(f);
	}
	globfree(&found);
	/* in older kernels the worker is a kernel thread */
	return strncmp(comm, "vhost-", 6) ? by_kill(v) : NULL;
}

TEST_F_TIMEOUT(dying, worker_killed, 60)
{
	ASSERT_WELL(die_by(&self->b, self->fd, &self->opts, by_its_worker));
}

TEST_F_TIMEOUT(dying, stopped, 60)
{
	ASSERT_WELL(die_by(&self->b, self->fd, &self->opts, by_stop_and_kill));
}

TEST_F_TIMEOUT(dying, frozen, 60)
{
	ASSERT_WELL(die_by(&self->b, self->fd, &self->opts, by_freeze_and_kill));
}

TEST_F_TIMEOUT(dying, with_64_queues, 90)
{
	self->opts.queues = 64;
	self->opts.per_queue = 16;
	ASSERT_WELL(die_by(&self->b, self->fd, &self->opts, by_kill));
}

/* The memory can be reused when close() returns. */
TEST_F_TIMEOUT(dying, closed_with_64_queues, 90)
{
	struct batch_opts fill = { .per_queue = 16, .reads_only = true };
	struct guest_opts opts = { .backend = &self->b, .queues = 64, .mem = 32 << 20 };
	struct batch batch;
	struct guest g;

	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot(&g));
	batch_build(&batch, &g, &fill, &self->rng);
	ASSERT_WELL(batch_submit(&batch));
	guest_close(&g);
	guest_snapshot(&g);
	usleep(3 * SLOW_NSEC / 1000);
	ASSERT_WELL(guest_compare(&g));
	batch_free(&batch);
	guest_destroy(&g);
	ASSERT_WELL(check_free(self->fd, &self->b));
}

static void become_sleep(struct guest *g)
{
	(void)g;
	execl("/bin/sleep", "sleep", "60", NULL);
	_exit(1);
}

static void become_sleep_with_it(struct guest *g)
{
	fcntl(g->fd, F_SETFD, 0);
	become_sleep(g);
}

/* exec() closes the device: another VMM can have the disk while the process runs. */
TEST_F_TIMEOUT(dying, exec, 60)
{
	struct vmm v;

	self->opts.then = become_sleep;
	ASSERT_WELL(vmm_start(&v, &self->opts));
	ASSERT_WELL(vmm_load(&v));
	ASSERT_TRUE(backend_let_go(self->fd, SOON));
	ASSERT_EQ(0, kill(v.pid, 0));
	ASSERT_WELL(vmm_kill(&v, SOON));
	vmm_forget(&v);
	ASSERT_WELL(check_free(self->fd, &self->b));
}

/* If exec() does not close the device, it uses the old memory until it is closed. */
TEST_F_TIMEOUT(dying, exec_with_it, 60)
{
	struct vmm v;

	self->opts.then = become_sleep_with_it;
	ASSERT_WELL(vmm_start(&v, &self->opts));
	ASSERT_WELL(vmm_load(&v));
	/* the pipe is closed when the old program ends */
	ASSERT_FALSE(vmm_said(&v, SOON));
	ASSERT_TRUE(backend_in_use(self->fd));
	ASSERT_LE(VMM_MEM, vmm_memory(&v));
	ASSERT_WELL(vmm_kill(&v, SOON));
	vmm_forget(&v);
	ASSERT_WELL(check_free(self->fd, &self->b));
}

/* Own a device whose file this process has open too. Does not return. */
static void own(struct guest *g, struct backend *b, int told)
{
	struct batch_opts fill = { .per_queue = 32 };
	struct rng rng = { 1 };
	struct batch batch;

	if (backend_reopen_locked(b, O_RDWR) || guest_boot(g))
		_exit(1);
	batch_build(&batch, g, &fill, &rng);
	if (batch_submit(&batch) || write(told, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* Start a process that owns a device and has requests in flight. */
static const char *own_start(struct vmm *v, struct guest *g, struct backend *b)
{
	int told[2];

	if (pipe(told))
		return "pipe";
	v->pid = fork();
	if (!v->pid)
		own(g, b, told[1]);
	close(told[1]);
	v->said = told[0];
	return v->pid > 0 && vmm_said(v, SOON) ? NULL : "no owner was started";
}

/* Wait until the device can have another owner, which this process becomes. */
static long take_over(struct guest *g, unsigned int ms)
{
	long ret;

	while ((ret = guest_ioctl(g, VHOST_SET_OWNER, NULL)) == -EBUSY && ms--)
		usleep(1000);
	return ret;
}

/* When the device can have another owner, its backend has been closed. */
TEST_F_TIMEOUT(dying, next_owner, 120)
{
	struct guest_opts opts = { .backend = &self->b, .queues = 4 };
	struct vmm v = { .go = -1 };
	struct guest g;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		guest_init(&g, &opts);
		ASSERT_WELL(guest_boot_to(&g, STAGE_OPEN));
		ASSERT_WELL(own_start(&v, &g, &self->b));
		ASSERT_WELL(vmm_kill(&v, SOON));
		ASSERT_EQ(0, take_over(&g, SOON));
		ASSERT_FALSE(backend_in_use(self->fd));
		guest_close(&g);
		guest_destroy(&g);
	}
	ASSERT_WELL(check_free(self->fd, &self->b));
}

/* The owner exits while another process has the file open, which is not the owner. */
TEST_F_TIMEOUT(dying, owner_of_shared, 60)
{
	struct guest_opts opts = { .backend = &self->b, .queues = 4 };
	struct vmm v = { .go = -1 };
	uint64_t features;
	struct guest g;

	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot_to(&g, STAGE_OPEN));
	ASSERT_WELL(own_start(&v, &g, &self->b));
	ASSERT_EQ(-EPERM, guest_set_running(&g, 0));
	ASSERT_WELL(vmm_kill(&v, SOON));
	/* this process has other memory, so nothing in it has to be protected */
	ring_kick_now(&g.ring[0]);
	ASSERT_EQ(-EPERM, guest_set_running(&g, 0));
	ASSERT_EQ(-EPERM, guest_ioctl(&g, VHOST_RESET_OWNER, NULL));
	ASSERT_EQ(0, guest_ioctl(&g, VHOST_GET_FEATURES, &features));
	/* the disk is free although the device is open, and close() does not wait */
	ASSERT_TRUE(backend_let_go(self->fd, SOON));
	guest_close(&g);
	ASSERT_WELL(check_free(self->fd, &self->b));
	guest_destroy(&g);
}

/* After the exit of its owner, the device gets the kind of worker that is the default. */
TEST_F_TIMEOUT(dying, kind_of_worker, 60)
{
	struct guest_opts opts = { .backend = &self->b, .queues = 4 };
	struct vmm v = { .go = -1 };
	uint8_t usual, kind;
	struct guest g;

	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot_to(&g, STAGE_OPEN));
	if (guest_ioctl(&g, VHOST_GET_FORK_FROM_OWNER, &usual))
		SKIP(return, "the kernel has one kind of worker only");
	kind = !usual;
	ASSERT_EQ(0, guest_ioctl(&g, VHOST_SET_FORK_FROM_OWNER, &kind));
	ASSERT_WELL(own_start(&v, &g, &self->b));
	ASSERT_WELL(vmm_kill(&v, SOON));
	ASSERT_EQ(0, take_over(&g, SOON));
	ASSERT_EQ(0, guest_ioctl(&g, VHOST_GET_FORK_FROM_OWNER, &kind));
	EXPECT_EQ(usual, kind);
	g.stage = STAGE_OWNED;
	ASSERT_WELL(guest_boot(&g));
	guest_destroy(&g);
}

struct sibling {
	int fd;
	int told;
	pid_t owner;
	unsigned int us;
};

/* When a sibling resets the device, if not after a time */
#define BEFORE_EXIT	0
#define AFTER_EXIT	UINT_MAX

/* The byte that a sibling writes to s->told: a flag, and the errno of its reset */
#define WAS_LATE	0x80	/* the owner had exited before */
#define ERRNO		0x7f

static int reset_late(void *data)
{
	struct sibling *s = data;
	unsigned char byte;

	if (s->us == AFTER_EXIT)
		while (getppid() == s->owner)
			usleep(100);
	else
		usleep(s->us);
	byte = getppid() == s->owner ? 0 : WAS_LATE;
	if (ioctl(s->fd, VHOST_RESET_OWNER, NULL))
		byte |= errno & ERRNO;
	_exit(write(s->told, &byte, 1) != 1);
}

/*
 * Own a device, and exit while a process that shares the memory resets it.
 * Does not return.
 */
static void exit_beside(struct backend *b, unsigned int us, int told)
{
	static alignas(16) char stack[65536];
	struct guest_opts opts = { .backend = b, .queues = 4 };
	struct batch_opts fill = { .per_queue = 16 };
	struct rng rng = { us };
	struct sibling s;
	struct batch batch;
	struct guest g;

	guest_init(&g, &opts);
	if (backend_reopen_locked(b, O_RDWR) || guest_boot(&g))
		_exit(1);
	batch_build(&batch, &g, &fill, &rng);
	if (batch_submit(&batch))
		_exit(1);
	s = (struct sibling) { .fd = g.fd, .told = told, .owner = getpid(), .us = us };
	/* with descriptors of its own, so that the device stays open */
	if (clone(reset_late, stack + sizeof(stack), CLONE_VM | SIGCHLD, &s) < 0)
		_exit(1);
	if (us == BEFORE_EXIT)
		wait(NULL);
	else
		usleep(1000);
	_exit(0);
}

/* The exit abandons requests while the reset waits for them and frees the worker. */
TEST_F_TIMEOUT(dying, reset_beside, 120)
{
	unsigned int i, n = scaled(60, 10), done = 0, late = 0, us;
	unsigned char byte;
	int end[2], status;
	pid_t pid;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, pipe(end));
		us = i == 0 ? BEFORE_EXIT : i == 1 ? AFTER_EXIT : 1 + rng_below(&self->rng, 2000);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			exit_beside(&self->b, us, end[1]);
		close(end[1]);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status);
		ASSERT_EQ(1, read(end[0], &byte, 1));
		/* EPERM: the exit of the owner has reset the device already */
		ASSERT_TRUE(!(byte & ERRNO) || byte == (WAS_LATE | EPERM))
			TH_LOG("%s", strerror(byte & ERRNO));
		done += !(byte & ERRNO);
		late += !!(byte & WAS_LATE);
		/* both processes have exited */
		ASSERT_EQ(0, read(end[0], &byte, 1));
		close(end[0]);
		ASSERT_TRUE(backend_let_go(self->fd, SOON));
	}
	TH_LOG("%u of %u resets succeeded, %u came after the exit", done, n, late);
	EXPECT_LT(0, done);
	EXPECT_LT(0, late);
	ASSERT_WELL(check_free(self->fd, &self->b));
}

/* rmmod fails while a file is open, and succeeds at once after the VMM has exited. */
TEST_F_TIMEOUT(dying, module, 240)
{
	struct guest_opts opts = { .backend = &self->b };
	unsigned int i;
	struct guest g;

	if (module_refs() < 0)
		SKIP(return, "the driver is built in");
	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot_to(&g, STAGE_OPEN));
	ASSERT_EQ(-EWOULDBLOCK, module_remove());
	ASSERT_WELL(guest_boot(&g));
	ASSERT_EQ(-EWOULDBLOCK, module_remove());
	guest_destroy(&g);
	for (i = 0; i < scaled(20, 4); i++) {
		ASSERT_EQ(0, module_remove());
		ASSERT_NE(0, access("/dev/vhost-blk", F_OK));
		ASSERT_EQ(0, module_load());
		ASSERT_WELL(die_by(&self->b, self->fd, &self->opts, by_kill));
	}
}

/* Writes reach the disk after a second. */
FIXTURE(delayed) {
	struct backend below;
	struct dm dm;
	struct backend b;
	int host;		/* buffered */
};

FIXTURE_SETUP(delayed)
{
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true, .blank = true };
	struct backend_opts named = { .kind = BACKEND_NAMED, .direct = true, .blank = true };
	const char *why = no_kernel("the model device dies with this process");
	char params[512];

	self->dm.control = -1;
	self->host = -1;
	if (!why)
		why = backend_open_as(&self->below, &disk);
	snprintf(params, sizeof(params), "%s 0 0 %s 0 1000", self->below.path,
		 self->below.path);
	if (!why)
		why = dm_create(&self->dm, self->below.size / SECTOR, "delay", params);
	named.path = self->dm.path;
	if (!why)
		why = backend_open_as(&self->b, &named);
	if (why)
		SKIP(return, "%s", why);
	self->host = open(self->dm.path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->host);
}

FIXTURE_TEARDOWN(delayed)
{
	if (self->host >= 0)
		close(self->host);
	backend_close(&self->b);
	if (self->dm.control >= 0)
		dm_remove(&self->dm);
	backend_close(&self->below);
}

#define LATE_SECTOR	4096

static void write_late(struct guest *g)
{
	struct request *q = request_new(g, VIRTIO_BLK_T_OUT, LATE_SECTOR, 4096);

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 1);
	memset(guest_ptr(g, q->seg[1].gpa, 4096), 0xa5, 4096);
	if (ring_add(&g->ring[0], q))
		_exit(1);
	ring_kick_now(&g->ring[0]);
	usleep(200000);
}

static alignas(4096) uint8_t on_disk[4096];

/*
 * The host reads through its page cache what a VMM is overwriting when it is
 * killed.  Once the write is done, the host reads the new data.
 */
TEST_F_TIMEOUT(delayed, host_reads, 60)
{
	struct vmm_opts opts = { .backend = &self->b, .per_queue = 1, .then = write_late };
	static uint8_t cached[4096];
	int lock = backend_reopen(&self->b, O_RDWR);
	const off_t at = LATE_SECTOR * SECTOR;
	struct vmm v;

	ASSERT_WELL(vmm_start(&v, &opts));
	ASSERT_WELL(vmm_load(&v));
	ASSERT_TRUE(vmm_said(&v, SOON));
	ASSERT_EQ(4096, pread(self->host, cached, 4096, at));
	EXPECT_EQ(0, cached[0]);
	ASSERT_EQ(0, kill(v.pid, SIGKILL));
	ASSERT_WELL(vmm_gone(&v, SOON));
	ASSERT_TRUE(backend_let_go(lock, SOON));
	ASSERT_EQ(4096, pread(self->b.check_fd, on_disk, 4096, at));
	EXPECT_EQ(0xa5, on_disk[0]);
	ASSERT_EQ(4096, pread(self->host, cached, 4096, at));
	EXPECT_EQ(0, memcmp(cached, on_disk, 4096));
	close(lock);
	vmm_forget(&v);
}

/* Argument of dd: the disk below the device that delays writes */
static char to_below[256];

static void write_and_become_dd(struct guest *g)
{
	write_late(g);
	execlp("dd", "dd", "if=/dev/zero", to_below, "bs=4096", "count=1",
	       "seek=512", "oflag=direct", "conv=notrunc", "status=none", NULL);
	_exit(1);
}

/* exec() closes the device.  The next program writes, and is not overtaken. */
TEST_F_TIMEOUT(delayed, exec, 60)
{
	struct vmm_opts opts = {
		.backend = &self->b, .per_queue = 1, .then = write_and_become_dd,
	};
	const off_t at = LATE_SECTOR * SECTOR;
	struct vmm v;
	int status;

	ASSERT_EQ(512 * 4096, at);
	snprintf(to_below, sizeof(to_below), "of=%s", self->below.path);
	ASSERT_WELL(vmm_start(&v, &opts));
	ASSERT_WELL(vmm_load(&v));
	ASSERT_EQ(v.pid, waitpid(v.pid, &status, 0));
	ASSERT_EQ(0, status);
	/* a late write would come within a second */
	usleep(1200000);
	ASSERT_EQ(4096, pread(self->b.check_fd, on_disk, 4096, at));
	EXPECT_EQ(0, on_disk[0]);
	close(v.said);
	close(v.go);
	vmm_forget(&v);
}

/* Run a device in a thread that has descriptors of its own, and exits. */
static void *write_and_exit(void *arg)
{
	struct guest *g = arg;

	if (unshare(CLONE_FILES))
		return "unshare fails";
	if (guest_boot(g))
		return "the guest does not boot";
	write_late(g);
	return NULL;
}

/*
 * The thread that has the last descriptor exits, and its process lives on: the
 * device completes its requests, as at a close().
 */
TEST_F_TIMEOUT(delayed, thread_exits, 60)
{
	struct guest_opts opts = { .backend = &self->b };
	pthread_t thread;
	struct guest g;
	unsigned int i;
	void *why;

	guest_init(&g, &opts);
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_and_exit, &g));
	ASSERT_EQ(0, pthread_join(thread, &why));
	ASSERT_WELL(why);
	/* the descriptor was the thread's */
	g.fd = -1;
	EXPECT_EQ(0, ring_device_idx(&g.ring[0]));
	for (i = 0; i < 500 && !ring_device_idx(&g.ring[0]); i++)
		usleep(10000);
	EXPECT_EQ(1, ring_device_idx(&g.ring[0]));
	ASSERT_EQ(4096, pread(self->b.check_fd, on_disk, 4096, LATE_SECTOR * SECTOR));
	EXPECT_EQ(0xa5, on_disk[0]);
	guest_destroy(&g);
}

TEST_HARNESS_MAIN
