// SPDX-License-Identifier: GPL-2.0
/*
 * A backend that hangs: the VMM can be killed nevertheless, and whatever the
 * requests in flight use stays until the backend completes them.  See "When the
 * backend hangs" in Documentation/virt/vhost-blk/uapi.rst.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dirty.h"
#include "hang.h"
#include "module.h"
#include "scsi.h"
#include "suite.h"
#include "task.h"
#include "trace.h"
#include "vmm.h"

/* The driver waits 4 s for the requests of a process that has exited. */
#define SOON	20000
#define LINGER	5500
#define LINGER_LEAST	3000

FIXTURE(hung) {
	struct hang h;
	struct vmm_opts opts;
	int fd;		/* for the lock */
};

FIXTURE_VARIANT(hung) {
	bool file;
};

FIXTURE_VARIANT_ADD(hung, bdev) {
	.file = false,
};

FIXTURE_VARIANT_ADD(hung, file) {
	.file = true,
};

FIXTURE_SETUP(hung)
{
	const char *why = no_kernel("the model device never has requests in flight");

	if (why)
		SKIP(return, "%s", why);
	why = hang_open(&self->h, variant->file);
	if (why)
		SKIP(return, "%s", why);
	self->fd = backend_reopen(&self->h.disk, O_RDWR);
	self->opts = (struct vmm_opts) {
		.backend = &self->h.disk, .queues = 2, .writes_only = variant->file,
	};
}

FIXTURE_TEARDOWN(hung)
{
	if (self->fd >= 0)
		close(self->fd);
	hang_close(&self->h);
}

/*
 * The process has exited; its resources stay until the backend completes the
 * requests, except memory that no request uses.
 */
static const char *check_kept(int fd, struct vmm *v)
{
	bool keeps = !worker_is_thread();
	int i;

	if (!backend_in_use(fd))
		return "the backend is free while requests are in flight";
	if (keeps && vmm_memory(v) < VMM_MEM)
		return "the memory is free while the worker may use it";
	for (i = 0; !keeps && vmm_memory(v) >= VMM_MEM; i++) {
		if (i == SOON / 10)
			return "all memory is in use, not only that of requests";
		usleep(10000);
	}
	if (!module_refs())
		return "the module has no references while requests are in flight";
	if (module_refs() > 0 && module_remove() != -EWOULDBLOCK)
		return "the module can be removed while requests are in flight";
	return NULL;
}

static const char *check_freed(int fd, struct vmm *v)
{
	int i;

	if (!backend_let_go(fd, SOON))
		return "the backend is still in use although it works again";
	for (i = 0; i < SOON / 10 && vmm_memory(v) > VMM_MEM / 4; i++)
		usleep(10000);
	if (vmm_memory(v) < 0 || vmm_memory(v) > VMM_MEM / 4)
		return "the memory is not freed although the backend works again";
	for (i = 0; i < SOON / 10 && module_refs() > 0; i++)
		usleep(10000);
	return module_refs() > 0 ? "the references to the module are not dropped" : NULL;
}

/* A second VMM with another disk works while the first one hangs. */
static const char *prove_other(const struct hang *h)
{
	struct backend other;
	struct guest_opts opts = { .backend = &other };
	const char *why;
	struct guest g;

	/* nothing can be created on a frozen file system */
	if (h->frozen >= 0)
		return NULL;
	why = backend_open(&other, BACKEND_FILE, false);
	if (why)
		return why;
	guest_init(&g, &opts);
	why = guest_prove(&g);
	guest_destroy(&g);
	backend_close(&other);
	return why;
}

static void leave(struct guest *g)
{
	_exit(!g);
}

/* Leave one request in flight, until hang_off(). */
static const char *load_hanging(const struct hang *h, struct vmm *v)
{
	const char *why = vmm_load(v);

	/* a suspended device mapper device queues new requests */
	if (!why && h->frozen >= 0)
		why = vmm_sleeps(v, SOON);
	return why;
}

static const char *die_hanging(struct hang *h, int fd, struct vmm_opts *opts, int sig)
{
	struct vmm v;
	const char *why = vmm_start(&v, opts);

	if (!why)
		why = hang_on(h);
	if (!why)
		why = load_hanging(h, &v);
	if (!why)
		why = sig ? vmm_kill(&v, SOON) : vmm_gone(&v, SOON);
	if (!why)
		why = check_kept(fd, &v);
	if (!why)
		why = prove_other(h);
	if (!why)
		why = hang_off(h);
	if (!why)
		why = check_freed(fd, &v);
	vmm_forget(&v);
	return why;
}

/* The backend that hung serves another VMM afterwards. */
static const char *prove(struct backend *b)
{
	struct guest_opts opts = { .backend = b, .queues = 2 };
	const char *why = backend_adopt(b, 0, b->size);
	struct guest g;

	if (why)
		return why;
	guest_init(&g, &opts);
	why = guest_prove(&g);
	guest_destroy(&g);
	return why;
}

TEST_F_TIMEOUT(hung, kill, 90)
{
	ASSERT_WELL(die_hanging(&self->h, self->fd, &self->opts, SIGKILL));
	ASSERT_WELL(prove(&self->h.disk));
}

TEST_F_TIMEOUT(hung, exit, 90)
{
	self->opts.then = leave;
	ASSERT_WELL(die_hanging(&self->h, self->fd, &self->opts, 0));
	ASSERT_WELL(prove(&self->h.disk));
}

/* A process that does not exit may reuse its memory, so close() waits without a limit. */
TEST_F_TIMEOUT(hung, close, 90)
{
	struct vmm v;

	self->opts.then = guest_close;
	ASSERT_WELL(vmm_start(&v, &self->opts));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_WELL(load_hanging(&self->h, &v));
	ASSERT_FALSE(vmm_said(&v, LINGER));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_TRUE(vmm_said(&v, SOON));
	ASSERT_WELL(vmm_kill(&v, SOON));
	ASSERT_FALSE(backend_in_use(self->fd));
	vmm_forget(&v);
	ASSERT_WELL(prove(&self->h.disk));
}

/* Pipe to which the program writes that a VMM becomes */
static int new_program[2];

static void become_echo(struct guest *g)
{
	(void)g;
	dup2(new_program[1], STDOUT_FILENO);
	execlp("echo", "echo", NULL);
	_exit(1);
}

/* Wait for the new program.  Return: milliseconds; -1: it has not started */
static int await_program(int ms)
{
	struct pollfd p = { .fd = new_program[0], .events = POLLIN };
	struct timespec t[2];
	char byte;

	clock_gettime(CLOCK_MONOTONIC, &t[0]);
	if (poll(&p, 1, ms) != 1 || read(new_program[0], &byte, 1) != 1)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &t[1]);
	return (t[1].tv_sec - t[0].tv_sec) * 1000 + (t[1].tv_nsec - t[0].tv_nsec) / 1000000;
}

/* exec() closes the device: it waits for the requests, but not for long. */
TEST_F_TIMEOUT(hung, exec, 90)
{
	struct vmm v;
	int ms;

	ASSERT_EQ(0, pipe2(new_program, O_CLOEXEC));
	self->opts.then = become_echo;
	ASSERT_WELL(vmm_start(&v, &self->opts));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_WELL(load_hanging(&self->h, &v));
	ms = await_program(SOON);
	EXPECT_LT(LINGER_LEAST, ms);
	EXPECT_GT(LINGER, ms);
	ASSERT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(vmm_gone(&v, SOON));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_TRUE(backend_let_go(self->fd, SOON));
	close(new_program[0]);
	close(new_program[1]);
	vmm_forget(&v);
	ASSERT_WELL(prove(&self->h.disk));
}

/* A process with two devices.  A thread of it has one, on a disk that hangs, and exits. */
struct two_devices {
	struct guest *kept;	/* not O_CLOEXEC; this structure is shared with the test */
	struct guest hung;
	int said[2];
	int go[2];
};

static void must(bool good)
{
	if (!good)
		_exit(1);
}

static void *exit_hanging(void *arg)
{
	struct two_devices *t = arg;
	struct batch_opts fill = { .per_queue = 16, .writes_only = true };
	struct rng rng = { 1 };
	struct batch batch;
	struct backend *b = t->hung.opts.backend;
	char byte;

	must(!unshare(CLONE_FILES));
	/* The device has this file, and its lock, until the requests complete. */
	must(!backend_reopen_locked(b, O_RDWR) && !guest_boot(&t->hung));
	batch_build(&batch, &t->hung, &fill, &rng);
	must(write(t->said[1], "", 1) == 1 && read(t->go[0], &byte, 1) == 1);
	must(!batch_submit(&batch));
	usleep(100000);
	return NULL;
}

static void exec_beside(struct two_devices *t)
{
	struct vhost_worker_state worker;
	uint8_t fork_from_owner = 0;
	pthread_t thread;
	char keeps;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	must(!guest_boot_to(t->kept, STAGE_OPEN));
	guest_ioctl(t->kept, VHOST_SET_FORK_FROM_OWNER, &fork_from_owner);
	must(!guest_boot(t->kept) && !fcntl(t->kept->fd, F_SETFD, 0));
	/* a worker that is a thread of this process does not survive execve() */
	keeps = guest_ioctl(t->kept, VHOST_NEW_WORKER, &worker) != 0;
	must(!pthread_create(&thread, NULL, exit_hanging, t));
	/* returns before the thread closes its descriptors */
	must(!pthread_join(thread, NULL));
	usleep(300000);
	must(write(t->said[1], &keeps, 1) == 1);
	dup2(new_program[1], STDOUT_FILENO);
	execlp("sh", "sh", "-c", "echo; exec sleep 60", NULL);
	_exit(1);
}

static const char *use_kept(struct guest *g)
{
	return request_simple(&g->ring[0], VIRTIO_BLK_T_OUT, 64, 4096, VIRTIO_BLK_S_OK);
}

/*
 * execve() waits for a thread that exits, which waits for its device.  Requests
 * of another device still complete.
 */
TEST_F_TIMEOUT(hung, exec_beside, 90)
{
	struct two_devices t;
	struct backend kept;
	struct guest_opts opts = { .backend = &kept };
	int memory, ms, status;
	const char *why;
	char keeps = 0;
	pid_t pid;

	why = backend_open(&kept, BACKEND_NULLB, true);
	if (why)
		SKIP(return, "%s", why);
	t.kept = mmap(NULL, sizeof(*t.kept), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	memory = memfd_create("guest", MFD_CLOEXEC);
	ASSERT_NE(MAP_FAILED, t.kept);
	guest_init(t.kept, &opts);
	ASSERT_EQ(0, ftruncate(memory, t.kept->region[0].len));
	ASSERT_TRUE(region_back(&t.kept->region[0], memory));
	opts = (struct guest_opts){ .backend = &self->h.disk };
	guest_init(&t.hung, &opts);
	ASSERT_EQ(0, pipe2(new_program, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(t.said, O_CLOEXEC) || pipe2(t.go, O_CLOEXEC));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		exec_beside(&t);
	close(t.said[1]);
	ASSERT_EQ(1, read(t.said[0], &keeps, 1));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_EQ(1, write(t.go[1], "", 1));
	ASSERT_EQ(1, read(t.said[0], &keeps, 1));
	if (keeps)
		ASSERT_WELL(use_kept(t.kept));
	ms = await_program(SOON);
	EXPECT_LT(LINGER_LEAST, ms);
	EXPECT_GT(LINGER, ms);
	if (keeps)
		ASSERT_WELL(use_kept(t.kept));
	ASSERT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(backend_let_go(self->fd, SOON));
	/* the child's descriptor */
	t.kept->fd = -1;
	guest_destroy(t.kept);
	guest_destroy(&t.hung);
	backend_close(&kept);
	munmap(t.kept, sizeof(*t.kept));
	ASSERT_WELL(prove(&self->h.disk));
}

/* The last reference to the device is in a socket pair that only this process has. */
static void leave_to_the_kernel(struct guest *g)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = "";
	struct iovec iov = { .iov_base = control, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int pair[2], fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		_exit(1);
	fds[0] = pair[1];
	fds[1] = g->fd;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
	if (sendmsg(pair[0], &msg, 0) != 1)
		_exit(1);
	close(g->opts.backend->fd);
	close(g->fd);
	close(pair[1]);
	/* closing this pair makes the kernel look for sockets without an owner */
	close(pair[0]);
}

/* A kernel thread with other work closes the device: it must not wait. */
TEST_F_TIMEOUT(hung, collected, 90)
{
	struct vmm v;

	self->opts.then = leave_to_the_kernel;
	ASSERT_WELL(vmm_start(&v, &self->opts));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_WELL(load_hanging(&self->h, &v));
	usleep(500000);
	ASSERT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_TRUE(backend_let_go(self->fd, SOON));
	ASSERT_TRUE(vmm_said(&v, SOON));
	ASSERT_WELL(vmm_kill(&v, SOON));
	vmm_forget(&v);
	ASSERT_WELL(prove(&self->h.disk));
}

static void stop(struct guest *g)
{
	guest_set_running(g, 0);
}

static void swap(struct guest *g)
{
	guest_set_backend(g, g->opts.backend->fd, 0);
}

static void get_base(struct guest *g)
{
	uint16_t base;

	ring_stop(&g->ring[1], &base);
}

static void mem_table(struct guest *g)
{
	guest_set_mem_table(g);
}

static void reset_owner(struct guest *g)
{
	guest_ioctl(g, VHOST_RESET_OWNER, NULL);
}

static void log_on(struct guest *g)
{
	guest_set_features(g, g->features | BIT64(VHOST_F_LOG_ALL));
}

static void writethrough(struct guest *g)
{
	guest_set_writeback(g, 0);
}

static const char *all_killed(int fd, struct vmm *v, unsigned int n)
{
	const char *why = NULL;
	unsigned int i;

	for (i = 0; i < n; i++)
		if (kill(v[i].pid, SIGKILL))
			return "kill";
	for (i = 0; !why && i < n; i++) {
		why = vmm_gone(&v[i], SOON);
		if (!why)
			why = check_kept(fd, &v[i]);
	}
	return why;
}

static const char *all_freed(int fd, struct vmm *v, unsigned int n)
{
	const char *why = NULL;
	unsigned int i;

	for (i = 0; !why && i < n; i++) {
		why = check_freed(fd, &v[i]);
		vmm_forget(&v[i]);
	}
	return why;
}

/* Every ioctl that waits for requests in flight can be killed while it waits. */
TEST_F_TIMEOUT(hung, killed_waiting, 120)
{
	static void (*const waits[])(struct guest *g) = {
		guest_close, stop, swap, get_base, mem_table, reset_owner, log_on, writethrough,
	};
	struct vmm v[ARRAY_SIZE(waits)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waits); i++) {
		self->opts.then = waits[i];
		ASSERT_WELL(vmm_start(&v[i], &self->opts));
	}
	ASSERT_WELL(hang_on(&self->h));
	for (i = 0; i < ARRAY_SIZE(waits); i++)
		ASSERT_WELL(load_hanging(&self->h, &v[i]));
	for (i = 0; i < ARRAY_SIZE(waits); i++)
		EXPECT_FALSE(vmm_said(&v[i], 20))
			TH_LOG("number %u does not wait", i);
	ASSERT_WELL(all_killed(self->fd, v, ARRAY_SIZE(waits)));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_WELL(all_freed(self->fd, v, ARRAY_SIZE(waits)));
	ASSERT_WELL(prove(&self->h.disk));
}

/*
 * Each hung device occupies a kernel thread; other devices must open and close
 * without waiting for them.
 */
#define MANY	32

TEST_F_TIMEOUT(hung, many, 180)
{
	static struct vmm v[MANY];
	unsigned int i;

	for (i = 0; i < MANY; i++)
		ASSERT_WELL(vmm_start(&v[i], &self->opts));
	ASSERT_WELL(hang_on(&self->h));
	for (i = 0; i < MANY; i++)
		ASSERT_WELL(load_hanging(&self->h, &v[i]));
	ASSERT_WELL(all_killed(self->fd, v, MANY));
	ASSERT_WELL(prove_other(&self->h));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_WELL(all_freed(self->fd, v, MANY));
	ASSERT_WELL(prove(&self->h.disk));
}

static size_t count(const uint8_t *p, size_t len, uint8_t byte)
{
	size_t n = 0;

	while (len--)
		n += *p++ == byte;
	return n;
}

/*
 * If another process shares the guest's memory, the device writes nothing to it
 * any more: no status, no used ring.
 */
TEST_F_TIMEOUT(hung, not_answered, 90)
{
	int memory = memfd_create("vhost-test", MFD_CLOEXEC);
	uint8_t *ours, *before;
	struct vmm v;

	ASSERT_EQ(0, ftruncate(memory, VMM_MEM));
	ours = mmap(NULL, VMM_MEM, PROT_READ, MAP_SHARED, memory, 0);
	before = malloc(VMM_MEM);
	ASSERT_NE(MAP_FAILED, ours);
	self->opts.memory = memory;
	self->opts.writes_only = true;
	ASSERT_WELL(vmm_start(&v, &self->opts));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_WELL(load_hanging(&self->h, &v));
	ASSERT_WELL(vmm_kill(&v, SOON));
	memcpy(before, ours, VMM_MEM);
	/* the pattern is really in guest memory */
	ASSERT_LT(0, count(before, VMM_MEM, STATUS_POISON));
	ASSERT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_TRUE(backend_let_go(self->fd, SOON));
	ASSERT_EQ(0, memcmp(before, ours, VMM_MEM));
	vmm_forget(&v);
	free(before);
	close(memory);
	munmap(ours, VMM_MEM);
}

static const char *send_one(struct guest *g, uint64_t sector)
{
	struct request *q = request_new(g, VIRTIO_BLK_T_OUT, sector, 512);

	request_cut_usual(q);
	request_place(q, PLACE_PACKED, NULL);
	request_arm(q, sector);
	if (ring_add(&g->ring[0], q))
		return "no room for a request";
	ring_kick_now(&g->ring[0]);
	/* give the device time to submit the request */
	usleep(50000);
	return NULL;
}

/* Leave the device and its disk to another process, report that, and live on. */
static void leave_device(struct hang *h, struct guest *g, int said)
{
	close(h->disk.fd);
	close(g->fd);
	if (write(said, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* Own a device that another process has open too, and report when its backend hangs. */
static void own_and_hang(struct hang *h, struct guest *g, int said)
{
	if (backend_reopen_locked(&h->disk, O_RDWR) || guest_boot(g) || hang_on(h) ||
	    send_one(g, 8))
		_exit(1);
	leave_device(h, g, said);
}

static unsigned int ms_since(const struct timespec *begin)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - begin->tv_sec) * 1000 + (now.tv_nsec - begin->tv_nsec) / 1000000;
}

static unsigned int all_inflight(struct guest *g)
{
	struct vhost_blk_vring_info info;
	unsigned int i, n = 0;

	for (i = 0; i < g->nrings; i++)
		n += ring_info(&g->ring[i], &info) ? 0 : info.inflight;
	return n;
}

/* Stop recording, and count the events of this name. */
static unsigned int count_events(const char *name)
{
	FILE *f = trace_end();
	struct trace_event e;
	unsigned int nr = 0;

	while (f && trace_next(f, &e))
		nr += !strcmp(e.name, name);
	if (f)
		fclose(f);
	return nr;
}

/* Requests whose data is one page, more than a million times */
#define PIN_QUEUES	18
#define PIN_CHAINS	64	/* per queue */
#define PIN_SEGS	1021	/* per chain */
/* The driver pins a page a million times.  When a chain has to wait, its pins are undone. */
#define PIN_LEAST	(BIT64(20) / PIN_SEGS - PIN_QUEUES)
#define PIN_TIME	200000	/* ms that the pins may take in a host with sanitizers */

struct pins {
	struct guest g;
	uint64_t page;
	uint64_t hdr;
	uint64_t table;		/* the indirect table of all chains */
	char *status;
	bool traced;
};

static void pins_init(struct pins *p, struct hang *h, uint64_t features)
{
	struct guest_opts opts = {
		.backend = &h->disk, .num = PIN_CHAINS, .queues = PIN_QUEUES, .mem = 4 << 20,
		.features_on = features,
	};

	guest_init(&p->g, &opts);
}

static void pins_build(struct pins *p, uint32_t type)
{
	struct virtio_blk_outhdr h = { .type = htole32(type) };
	uint16_t write = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;
	struct vring_desc *d;
	unsigned int i;

	p->hdr = guest_alloc(&p->g, sizeof(h) + 1, 16);
	guest_write(&p->g, p->hdr, &h, sizeof(h));
	p->status = guest_ptr(&p->g, p->hdr + sizeof(h), 1);
	p->page = guest_alloc(&p->g, 4096, 4096);
	/* not a part of a huge page, whose pins are counted in another way */
	madvise(guest_ptr(&p->g, p->page, 4096), 4096, MADV_NOHUGEPAGE);
	madvise(guest_ptr(&p->g, p->page, 4096), 4096, MADV_DONTNEED);
	memset(guest_ptr(&p->g, p->page, 4096), 1, 4096);
	p->table = guest_alloc(&p->g, (PIN_SEGS + 2) * sizeof(*d), 16);
	d = guest_ptr(&p->g, p->table, (PIN_SEGS + 2) * sizeof(*d));
	for (i = 0; i < PIN_SEGS + 2; i++)
		d[i] = (struct vring_desc){
			.addr = htole64(p->page), .len = htole32(4096),
			.flags = htole16(VRING_DESC_F_NEXT | write), .next = htole16(i + 1),
		};
	d[0].addr = htole64(p->hdr);
	d[0].len = htole32(sizeof(h));
	d[0].flags = htole16(VRING_DESC_F_NEXT);
	d[PIN_SEGS + 1] = (struct vring_desc){
		.addr = htole64(p->hdr + sizeof(h)), .len = htole32(1),
		.flags = htole16(VRING_DESC_F_WRITE),
	};
}

static void pins_send(struct pins *p)
{
	unsigned int i, k;

	p->traced = !trace_begin("request complete");
	for (i = 0; i < PIN_QUEUES; i++) {
		for (k = 0; k < PIN_CHAINS; k++) {
			ring_put_desc(&p->g.ring[i], k, p->table,
				      (PIN_SEGS + 2) * sizeof(struct vring_desc),
				      VRING_DESC_F_INDIRECT, 0);
			ring_add_raw(&p->g.ring[i], k);
		}
		ring_kick_now(&p->g.ring[i]);
	}
}

/*
 * Wait until the pins are used, and then until the device has taken no request
 * for a second.  Return: how many are in flight
 */
static unsigned int wait_until_full(struct guest *g)
{
	unsigned int i, before = 0, now = 0, same = 0;

	for (i = 0; i < PIN_TIME / 100 && (now <= PIN_LEAST || same < 10); i++) {
		usleep(100000);
		now = all_inflight(g);
		same = now == before ? same + 1 : 0;
		before = now;
	}
	return now;
}

/* Wait until none can be started.  Return: NULL, or what is wrong */
static const char *pins_full(struct pins *p)
{
	unsigned int i, inflight = wait_until_full(&p->g);

	for (i = 0; i < PIN_QUEUES; i++)
		if (ring_device_idx(&p->g.ring[i]))
			return guest_say(&p->g, "requests have failed: status %u", *p->status);
	if (inflight >= PIN_QUEUES * PIN_CHAINS)
		return "the limit is not reached";
	return inflight > PIN_LEAST ? NULL : "too few are in flight";
}

/* All requests complete.  Return: NULL, or what is wrong */
static const char *pins_end(struct pins *p)
{
	unsigned int i, k;

	for (i = 0; i < PIN_QUEUES; i++) {
		for (k = 0; k < SOON / 10 && ring_device_idx(&p->g.ring[i]) < PIN_CHAINS; k++)
			usleep(10000);
		if (ring_device_idx(&p->g.ring[i]) != PIN_CHAINS)
			return guest_say(&p->g, "queue %u: %u requests are done", i,
					 ring_device_idx(&p->g.ring[i]));
	}
	if (*p->status != VIRTIO_BLK_S_OK)
		return guest_say(&p->g, "status %u", *p->status);
	return guest_set_running(&p->g, 0) ? "the device cannot be stopped" : NULL;
}

/*
 * One page is the data of a million segments, which would overflow the
 * reference count of the page.  Data beyond the limit is copied or has to wait,
 * but no request fails: another guest may have pinned the page.
 */
TEST_F_TIMEOUT(hung, one_page, 300)
{
	struct pins p;

	if (variant->file)
		SKIP(return, "requests to a frozen file system do not reach this point");
	pins_init(&p, &self->h, 0);
	ASSERT_WELL(guest_boot(&p.g));
	pins_build(&p, VIRTIO_BLK_T_OUT);
	ASSERT_WELL(hang_on(&self->h));
	pins_send(&p);
	ASSERT_WELL(pins_full(&p));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_WELL(pins_end(&p));
	if (p.traced) {
		/* a chain that had to wait is traced once */
		EXPECT_EQ(PIN_QUEUES * PIN_CHAINS, count_events("request"));
		EXPECT_EQ(PIN_QUEUES * PIN_CHAINS, count_events("complete"));
	}
	guest_destroy(&p.g);
}

/* Such reads, while the writes to guest memory are recorded */
TEST_F_TIMEOUT(hung, one_page_logged, 300)
{
	struct dirty d;
	struct pins p;

	if (variant->file)
		SKIP(return, "requests to a frozen file system do not reach this point");
	pins_init(&p, &self->h, BIT64(VHOST_F_LOG_ALL));
	dirty_attach(&p.g, &d);
	ASSERT_WELL(guest_boot_to(&p.g, STAGE_MEMORY));
	ASSERT_EQ(0, dirty_set_base(&p.g));
	ASSERT_WELL(guest_boot(&p.g));
	pins_build(&p, VIRTIO_BLK_T_IN);
	dirty_begin(&p.g);
	dirty_may(&p.g, p.page, 4096);
	dirty_may(&p.g, p.hdr, sizeof(struct virtio_blk_outhdr) + 1);
	ASSERT_WELL(hang_on(&self->h));
	pins_send(&p);
	ASSERT_WELL(pins_full(&p));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_WELL(pins_end(&p));
	d.stopped = true;
	ASSERT_WELL(dirty_check(&p.g));
	EXPECT_LT(0, d.changed);
	dirty_free(&p.g);
	guest_destroy(&p.g);
}

static void *stop_device(void *arg)
{
	return (void *)(intptr_t)guest_set_running(arg, 0);
}

/* A stop waits for those in flight; the others stay on the ring until the next start. */
TEST_F_TIMEOUT(hung, one_page_stopped, 300)
{
	unsigned int i, done = 0, inflight;
	pthread_t thread;
	struct pins p;
	void *ret;

	if (variant->file)
		SKIP(return, "requests to a frozen file system do not reach this point");
	pins_init(&p, &self->h, 0);
	ASSERT_WELL(guest_boot(&p.g));
	pins_build(&p, VIRTIO_BLK_T_OUT);
	ASSERT_WELL(hang_on(&self->h));
	pins_send(&p);
	ASSERT_WELL(pins_full(&p));
	ASSERT_EQ(0, pthread_create(&thread, NULL, stop_device, &p.g));
	usleep(200000);
	/* no other one is taken any more, even if the worker was slow before */
	inflight = all_inflight(&p.g);
	ASSERT_WELL(hang_off(&self->h));
	pthread_join(thread, &ret);
	EXPECT_EQ(NULL, ret);
	for (i = 0; i < PIN_QUEUES; i++)
		done += ring_device_idx(&p.g.ring[i]);
	EXPECT_EQ(inflight, done);
	ASSERT_EQ(0, guest_set_running(&p.g, 1));
	ASSERT_WELL(pins_end(&p));
	if (p.traced)
		EXPECT_EQ(PIN_QUEUES * PIN_CHAINS, count_events("request"));
	guest_destroy(&p.g);
}

/*
 * The last descriptor is in a process that is not the owner, and that does
 * not exit.  It has nothing to do with the requests, so its close() does not
 * wait for them.
 */
TEST_F_TIMEOUT(hung, closed_by_stranger, 60)
{
	struct guest_opts opts = { .backend = &self->h.disk };
	struct timespec begin;
	struct guest g;
	int told[2];
	pid_t pid;
	char byte;

	guest_init(&g, &opts);
	ASSERT_WELL(guest_boot_to(&g, STAGE_OPEN));
	ASSERT_EQ(0, pipe(told));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		own_and_hang(&self->h, &g, told[1]);
	close(told[1]);
	ASSERT_EQ(1, read(told[0], &byte, 1));
	close(told[0]);
	self->h.on = true;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	guest_close(&g);
	EXPECT_GT(1000, ms_since(&begin));
	EXPECT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	guest_destroy(&g);
}

#define DISKS	8

/* Leave the last reference to each device in a socket of this process. */
static void post_all(const struct guest *g, unsigned int n)
{
	char control[CMSG_SPACE(DISKS * sizeof(int))] = "";
	struct iovec iov = { .iov_base = control, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int pair[2], fds[DISKS];
	unsigned int i;

	for (i = 0; i < n; i++)
		fds[i] = g[i].fd;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || sendmsg(pair[0], &msg, 0) != 1)
		_exit(5);
	for (i = 0; i < n; i++)
		close(fds[i]);
}

/* A VMM with many disks that hang, and how it ends */
struct ending {
	bool posts;	/* the last references are in the queue of a socket */
	bool exits;	/* its only thread exits; otherwise it is killed */
	bool execs;	/* another program replaces it, and exits at once */
};

static void own_many(struct backend *b, struct hang *h, const struct ending *how, int said)
{
	struct guest_opts opts = { .backend = b };
	static struct guest g[DISKS];
	unsigned int i;

	if (backend_reopen_locked(b, O_RDWR))
		_exit(1);
	for (i = 0; i < DISKS; i++) {
		guest_init(&g[i], &opts);
		if (guest_boot(&g[i]))
			_exit(1);
	}
	if (hang_on(h))
		_exit(2);
	for (i = 0; i < DISKS; i++)
		if (send_one(&g[i], 8 * i))
			_exit(3);
	if (how->posts)
		post_all(g, DISKS);
	if (write(said, "", 1) != 1)
		_exit(4);
	if (how->exits)
		syscall(SYS_exit, 0);
	if (how->execs)
		execlp("true", "true", NULL);
	for (;;)
		pause();
}

/*
 * Start a VMM and wait for its end.  It can be reaped only when its workers
 * have exited, and if it was not killed they do that after the requests have
 * ended.
 *
 * Return: how long it takes to end, in ms
 */
static unsigned int ms_to_end(struct hang *h, const struct ending *how, pid_t *pid)
{
	struct timespec begin;
	int told[2];
	char byte;

	if (pipe(told))
		return UINT_MAX;
	*pid = fork();
	if (!*pid)
		own_many(&h->disk, h, how, told[1]);
	close(told[1]);
	if (*pid < 0 || read(told[0], &byte, 1) != 1)
		return UINT_MAX;
	close(told[0]);
	h->on = true;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (!how->exits && !how->execs && kill(*pid, SIGKILL))
		return UINT_MAX;
	while (task_state(*pid) != 'Z' && ms_since(&begin) < DISKS * LINGER)
		usleep(10000);
	return ms_since(&begin);
}

/* It waits for all its disks at the same time, and leaves them in use. */
static void kill_with_many(struct __test_metadata *_metadata, struct _test_data_hung *self,
			   const struct ending *killed)
{
	pid_t pid;

	EXPECT_GT(2 * LINGER, ms_to_end(&self->h, killed, &pid));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
}

TEST_F_TIMEOUT(hung, many_disks, 120)
{
	const struct ending killed = {};

	kill_with_many(_metadata, self, &killed);
}

/*
 * The exit of a VMM closes files that are in its sockets one after the other.
 * It does not wait for each of them.
 */
TEST_F_TIMEOUT(hung, many_posted, 120)
{
	const struct ending killed = { .posts = true };

	kill_with_many(_metadata, self, &killed);
}

/* Nor does it if it ends because its only thread does, and leaves workers. */
TEST_F_TIMEOUT(hung, many_posted_thread, 120)
{
	const struct ending exits = { .posts = true, .exits = true };
	pid_t pid;

	EXPECT_GT(2 * LINGER, ms_to_end(&self->h, &exits, &pid));
	EXPECT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
}

/* execve() closes all devices: it waits for their requests at the same time. */
TEST_F_TIMEOUT(hung, many_exec, 120)
{
	const struct ending execs = { .execs = true };
	unsigned int ms;
	pid_t pid;

	ms = ms_to_end(&self->h, &execs, &pid);
	EXPECT_LT(LINGER_LEAST, ms);
	EXPECT_GT(LINGER, ms);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
}

/* Run a device in a thread that has descriptors of its own, and exits. */
static void *hang_in_thread(void *arg)
{
	struct hang *h = arg;
	struct guest_opts opts = { .backend = &h->disk };
	static struct guest g;

	if (unshare(CLONE_FILES))
		return "unshare fails";
	guest_init(&g, &opts);
	if (guest_boot(&g))
		return "the guest does not boot";
	return (void *)(hang_on(h) ?: send_one(&g, 8));
}

static void live_on(struct hang *h, int said)
{
	pthread_t thread;
	void *why;

	if (backend_reopen_locked(&h->disk, O_RDWR) ||
	    pthread_create(&thread, NULL, hang_in_thread, h) ||
	    pthread_join(thread, &why) || why)
		_exit(1);
	close(h->disk.fd);
	if (write(said, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/*
 * The last descriptor was in a thread that has exited.  The process lives on,
 * so the thread waits for the requests.  It stops when the process is killed.
 */
TEST_F_TIMEOUT(hung, thread_exits, 60)
{
	struct timespec begin;
	int told[2];
	pid_t pid;
	char byte;

	ASSERT_EQ(0, pipe(told));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		live_on(&self->h, told[1]);
	close(told[1]);
	ASSERT_EQ(1, read(told[0], &byte, 1));
	close(told[0]);
	self->h.on = true;
	usleep(LINGER * 1000);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	/* the exit of the process begins now, not when its thread exited */
	EXPECT_LT(1000, ms_since(&begin));
	EXPECT_GT(LINGER + 1000, ms_since(&begin));
	EXPECT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
}

/*
 * The number of requests that the disk accepts at a time, and how long it takes
 * for them in jiffies: 5 s in the UML hosts, 2 s on x86 with CONFIG_HZ=250.
 */
#define TAGS	"4"
#define DELAY	"500"

FIXTURE(tags) {
	struct scsi s;
	struct backend b;
	int fd;		/* for the lock */
};

FIXTURE_SETUP(tags)
{
	struct backend_opts disk = {
		.kind = BACKEND_NAMED, .direct = true, .path = self->s.path,
	};
	const char *why = no_kernel("the model device never has requests in flight");
	char dir[96];

	self->fd = -1;
	if (!why)
		why = scsi_open(&self->s);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(backend_open_as(&self->b, &disk));
	self->fd = backend_reopen(&self->b, O_RDWR);
	snprintf(dir, sizeof(dir), "/sys/block/%s/queue", strrchr(self->s.path, '/') + 1);
	ASSERT_EQ(0, put_attr(dir, "scheduler", "none"));
	ASSERT_EQ(0, put_attr(dir, "nomerges", "2"));
	ASSERT_EQ(0, put_attr(dir, "nr_requests", TAGS));
	ASSERT_EQ(0, scsi_param("delay", DELAY));
}

FIXTURE_TEARDOWN(tags)
{
	if (self->fd < 0)
		return;
	EXPECT_EQ(0, scsi_param("delay", "0"));
	close(self->fd);
	backend_close(&self->b);
	scsi_close(&self->s);
}

/*
 * Send more writes than the disk has tags.  They are aligned: unaligned ones
 * are done one after the other.
 */
static void write_each(struct guest *g, uint64_t step, uint32_t len)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		struct request *q = request_new(g, VIRTIO_BLK_T_OUT, step * i, len);

		request_cut_usual(q);
		request_place(q, PLACE_ALIGNED, NULL);
		request_arm(q, i);
		if (ring_add(&g->ring[0], q))
			_exit(1);
	}
	ring_kick_now(&g->ring[0]);
	usleep(300000);
}

static void write_much(struct guest *g)
{
	write_each(g, 64, 4096);
}

/*
 * The worker waits in the block layer for a tag of the disk, and cannot be
 * killed there.  So the VMM exits only when that request has its tag, but the
 * device takes no other request of the guest any more.
 */
TEST_F_TIMEOUT(tags, kill, 120)
{
	struct vmm_opts opts = { .backend = &self->b, .per_queue = 1, .then = write_much };
	struct vmm v;

	ASSERT_WELL(vmm_start(&v, &opts));
	ASSERT_WELL(vmm_load(&v));
	ASSERT_TRUE(vmm_said(&v, SOON));
	ASSERT_EQ(0, kill(v.pid, SIGKILL));
	ASSERT_NE(NULL, vmm_gone(&v, 1000));
	ASSERT_WELL(vmm_gone(&v, 5000));
	ASSERT_WELL(check_freed(self->fd, &v));
	vmm_forget(&v);
}

#define LARGE	(128U << 10)	/* bytes of a write, which is two requests to the disk */

/* Send writes that are larger than the disk's requests, so a workqueue submits them. */
static void write_large(struct guest *g)
{
	write_each(g, LARGE / SECTOR, LARGE);
}

/* Return: how many halves of these writes have reached the disk */
static unsigned int halves_written(struct backend *b)
{
	static alignas(4096) uint8_t sector[SECTOR];
	unsigned int i, n = 0;
	uint64_t off;

	for (i = 0; i < 32; i++) {
		off = LARGE / 2 * i;
		if (pread(b->check_fd, sector, SECTOR, off) != SECTOR)
			return 0;
		n += memcmp(sector, b->model + off, SECTOR) != 0;
	}
	return n;
}

/*
 * Requests that the workqueue has not started when the VMM is killed are
 * dropped, because another VMM may have the disk by then.  Only one of them at
 * a time waits for a tag, and cannot be dropped.
 */
TEST_F_TIMEOUT(tags, large_dropped, 120)
{
	struct vmm_opts opts = { .backend = &self->b, .per_queue = 1, .then = write_large };
	char dir[96];
	struct vmm v;

	snprintf(dir, sizeof(dir), "/sys/block/%s/queue", strrchr(self->s.path, '/') + 1);
	ASSERT_EQ(0, put_attr(dir, "max_sectors_kb", "64"));
	ASSERT_WELL(vmm_start(&v, &opts));
	ASSERT_WELL(vmm_load(&v));
	ASSERT_TRUE(vmm_said(&v, SOON));
	ASSERT_EQ(0, kill(v.pid, SIGKILL));
	ASSERT_WELL(vmm_gone(&v, SOON));
	ASSERT_WELL(check_freed(self->fd, &v));
	ASSERT_EQ(0, scsi_param("delay", "0"));
	TH_LOG("%u of 32", halves_written(&self->b));
	EXPECT_LT(0, halves_written(&self->b));
	EXPECT_GE(atoi(TAGS) + 1, halves_written(&self->b));
	vmm_forget(&v);
}

TEST_HARNESS_MAIN
