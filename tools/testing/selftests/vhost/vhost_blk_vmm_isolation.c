// SPDX-License-Identifier: GPL-2.0
/*
 * A VMM has no effect on the devices of others: one that is stopped, one that
 * is killed in an ioctl, one whose descriptors stay open elsewhere.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "hang.h"
#include "suite.h"
#include "task.h"

#define STOPPED		4	/* devices of the VMM that is stopped */
#define AT_ONCE		1000	/* ms: shorter than an exiting owner waits */
#define SOON		5000

/*
 * The driver's workqueues run up to a thousand works; with a limit of one, they
 * are quicker to fill.
 */
#define WORKQUEUE	"/sys/devices/virtual/workqueue/vhost_blk"

static const char * const workqueue[] = { WORKQUEUE, WORKQUEUE "_end" };

FIXTURE(tenants) {
	char room[ARRAY_SIZE(workqueue)][16];
	struct hang h;		/* a disk */
	struct hang arg;	/* the page with the argument of an ioctl */
	int fd;			/* for the lock of @h */
};

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Set the limit of works at a time; @was, if not NULL: the old value, to restore it. */
static bool set_room(const char *dir, const char *room, char *was, size_t len)
{
	char path[128];
	bool read = true;
	FILE *f;

	snprintf(path, sizeof(path), "%s/max_active", dir);
	f = was ? fopen(path, "re") : NULL;
	if (was) {
		read = f && fgets(was, len, f);
		if (f)
			fclose(f);
	}
	return read && !put_attr(dir, "max_active", room);
}

FIXTURE_SETUP(tenants)
{
	const char *why = no_kernel("the model device has only one process");
	unsigned int i;

	if (why)
		SKIP(return, "%s", why);
	why = hang_open(&self->h, false);
	if (why)
		SKIP(return, "%s", why);
	why = hang_open(&self->arg, false);
	if (why) {
		hang_close(&self->h);
		SKIP(return, "%s", why);
	}
	self->fd = backend_reopen(&self->h.disk, O_RDWR);
	ASSERT_LE(0, self->fd);
	for (i = 0; i < ARRAY_SIZE(workqueue); i++)
		ASSERT_TRUE(set_room(workqueue[i], "1", self->room[i], sizeof(self->room[i])));
}

FIXTURE_TEARDOWN(tenants)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(workqueue); i++)
		EXPECT_TRUE(set_room(workqueue[i], self->room[i], NULL, 0));
	close(self->fd);
	hang_close(&self->arg);
	hang_close(&self->h);
}

static const char *send_one(struct guest *g)
{
	struct request *q = request_new(g, VIRTIO_BLK_T_OUT, 8, 4096);

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 8);
	if (ring_add(&g->ring[0], q))
		return "no room for a request";
	ring_kick_now(&g->ring[0]);
	usleep(50000);
	return NULL;
}

/*
 * A process with the memory and the descriptors of the owner, which the vhost
 * core takes for the owner too.  It calls an ioctl when told to, and reports
 * its return.
 */
struct twin {
	struct vhost_vring_file *arg;
	int fd;
	int ask[2];
	int answered[2];
};

static int be_twin(void *data)
{
	struct twin *t = data;
	char byte;

	if (read(t->ask[0], &byte, 1) != 1)
		_exit(1);
	ioctl(t->fd, VHOST_SET_VRING_CALL, t->arg);
	_exit(write(t->answered[1], "", 1) != 1);
}

static void bear_twin(struct twin *t, int fd)
{
	static alignas(16) char stack[65536];

	t->fd = fd;
	close(t->ask[1]);
	if (clone(be_twin, stack + sizeof(stack), CLONE_VM | CLONE_FILES | SIGCHLD, t) < 0)
		_exit(1);
}

/* Another process owns devices that this process has open too. */
struct owner {
	struct guest *g;
	unsigned int n;
	enum stage stage;	/* to which it boots them */
	bool locks;		/* locks the disk by its own file description */
	struct twin *twin;	/* a process that survives the owner, or NULL */
	bool posts;		/* sends the descriptors to itself, and does not receive them */
	bool rings;		/* registers them with an io_uring that is mapped */
	const char *maps;	/* a file that it locks and maps, or NULL */
	pid_t pid;
	int said;
	int go;
};

static void close_all(const struct owner *o)
{
	unsigned int i;

	for (i = 0; i < o->n; i++)
		close(o->g[i].fd);
}

/* Send a descriptor to a socket of this process that is never read. */
static bool post(int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { .iov_base = &(char){ 0 }, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int pair[2];

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return !socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && sendmsg(pair[0], &msg, 0) == 1;
}

static int new_ring(void)
{
	struct io_uring_params p = {};

	return syscall(__NR_io_uring_setup, 4, &p);
}

/*
 * The device has the memory of its owner; that memory has a mapping of the
 * ring, and the ring has the device.
 */
static bool make_cycle(int fd)
{
	int ring = new_ring();

	return ring >= 0 &&
	       mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING) !=
	       MAP_FAILED &&
	       !syscall(__NR_io_uring_register, ring, IORING_REGISTER_FILES, &fd, 1);
}

static const char *no_rings(void)
{
	int fd = new_ring();

	if (fd < 0)
		return "no io_uring";
	close(fd);
	return NULL;
}

/* Lock the file until the mapping is gone. */
static bool map_and_lock(const char *path)
{
	int fd = open(path, O_RDWR);
	bool done = fd >= 0 && !flock(fd, LOCK_EX) &&
		    mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED;

	close(fd);
	return done;
}

static void own(struct owner *o, struct backend *b, int said, int go)
{
	unsigned int i;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (o->locks && backend_reopen_locked(b, O_RDWR))
		_exit(1);
	if (!o->locks)
		b->fd = backend_reopen(b, O_RDWR);
	for (i = 0; i < o->n; i++)
		if (guest_boot_to(&o->g[i], o->stage))
			_exit(1);
	close(b->fd);
	for (i = 0; o->rings && i < o->n; i++)
		if (!make_cycle(o->g[i].fd))
			_exit(1);
	if (o->maps && !map_and_lock(o->maps))
		_exit(1);
	if (o->stage < STAGE_RUNNING)
		close_all(o);
	if (o->twin)
		bear_twin(o->twin, o->g[0].fd);
	if (write(said, "", 1) != 1 || read(go, &byte, 1) != 1)
		_exit(1);
	for (i = 0; i < o->n; i++)
		if (send_one(&o->g[i]))
			_exit(1);
	for (i = 0; o->posts && i < o->n; i++)
		if (!post(o->g[i].fd))
			_exit(1);
	if (!o->twin)
		close_all(o);
	if (write(said, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static const char *owner_said(struct owner *o)
{
	char byte;

	return read(o->said, &byte, 1) == 1 ? NULL : "the owner has exited";
}

static const char *owner_start(struct owner *o, struct backend *b)
{
	struct guest_opts opts = { .backend = b, .mem = 1 << 20 };
	const char *why = NULL;
	int said[2], go[2];
	unsigned int i;

	for (i = 0; i < o->n; i++) {
		guest_init(&o->g[i], &opts);
		why = why ? why : guest_boot_to(&o->g[i], STAGE_OPEN);
	}
	if (!why && (pipe2(said, O_CLOEXEC) || pipe2(go, O_CLOEXEC)))
		why = "no pipe";
	if (why)
		return why;
	o->pid = fork();
	if (!o->pid) {
		close(said[0]);
		close(go[1]);
		own(o, b, said[1], go[0]);
	}
	close(said[1]);
	close(go[0]);
	o->said = said[0];
	o->go = go[1];
	return owner_said(o);
}

/* Each device has a request in flight, and the owner closes all its descriptors. */
static const char *owner_send(struct owner *o)
{
	return write(o->go, "", 1) == 1 ? owner_said(o) : "the owner does not respond";
}

static const char *owner_kill(struct owner *o)
{
	if (kill(o->pid, SIGKILL) || waitpid(o->pid, NULL, 0) != o->pid)
		return "the owner can't be killed";
	close(o->said);
	close(o->go);
	return NULL;
}

static void destroy(struct owner *o)
{
	unsigned int i;

	for (i = 0; i < o->n; i++)
		guest_destroy(&o->g[i]);
}

/* Is the kernel thread in a state that the hung task detector reports? */
static bool waits_badly(const char *pid)
{
	char path[64], line[128] = "", *end;
	bool read;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
	f = fopen(path, "re");
	read = f && fgets(line, sizeof(line), f);
	if (f)
		fclose(f);
	end = strrchr(line, ')');
	return read && end && strstr(line, "(vhost-blk-end") && end[1] && end[2] == 'D';
}

static unsigned int bad_waits(void)
{
	unsigned int n = 0;
	struct dirent *e;
	DIR *dir = opendir("/proc");

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] > '0' && e->d_name[0] <= '9' && waits_badly(e->d_name))
			n++;
	if (dir)
		closedir(dir);
	return n;
}

/* Threads may be in that state for a moment. */
static bool none_hangs(void)
{
	long long start = now_ms();

	while (bad_waits()) {
		if (now_ms() - start > SOON)
			return false;
		usleep(10000);
	}
	return true;
}

/*
 * A worker that is a thread of a stopped process (from Linux 6.4 on) cannot
 * exit.  Neither a close of its device nor the exit of another VMM waits for
 * it.
 */
TEST_F_TIMEOUT(tenants, stopped, 60)
{
	static struct guest many[STOPPED], one;
	struct owner first = { .g = many, .n = STOPPED, .stage = STAGE_OWNED };
	struct owner other = { .g = &one, .n = 1, .stage = STAGE_RUNNING, .locks = true };
	long long start;
	unsigned int i;
	int status;

	ASSERT_WELL(owner_start(&first, &self->h.disk));
	ASSERT_EQ(0, kill(first.pid, SIGSTOP));
	ASSERT_EQ(first.pid, waitpid(first.pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	start = now_ms();
	for (i = 0; i < STOPPED; i++)
		guest_close(&many[i]);
	EXPECT_GT(AT_ONCE, now_ms() - start);
	ASSERT_WELL(owner_start(&other, &self->h.disk));
	ASSERT_WELL(owner_send(&other));
	ASSERT_TRUE(backend_in_use(self->fd));
	guest_close(&one);
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
	EXPECT_TRUE(none_hangs());
	ASSERT_WELL(owner_kill(&first));
	ASSERT_WELL(owner_kill(&other));
	destroy(&first);
	destroy(&other);
}

/*
 * The index of the argument is present.  The rest, for which the vhost core
 * first takes the mutex of that queue, is in a page of a disk that will be
 * suspended.
 */
static bool map_argument(struct twin *t, struct hang *h)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED ||
	    mmap(page + 4096, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, h->disk.fd, 0) ==
	    MAP_FAILED)
		return false;
	t->arg = (void *)(page + 4096 - offsetof(struct vhost_vring_file, fd));
	t->arg->index = 0;
	return !fsync(h->disk.fd) && !posix_fadvise(h->disk.fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void unmap_argument(struct twin *t)
{
	munmap((void *)((uintptr_t)t->arg & ~4095UL), 8192);
}

static bool answered(struct twin *t, int ms)
{
	struct pollfd p = { .fd = t->answered[0], .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/*
 * The worker of a device is dead, and an ioctl holds the mutex of its queue for
 * as long as a process likes.  Requests of this device complete later, but
 * requests of another device with a dead worker do not wait for that.
 */
TEST_F_TIMEOUT(tenants, orphans, 60)
{
	struct guest blocked, free;
	struct twin t;
	struct owner first = { .g = &blocked, .n = 1, .stage = STAGE_RUNNING, .twin = &t };
	struct owner other = { .g = &free, .n = 1, .stage = STAGE_RUNNING, .locks = true };

	if (worker_is_thread())
		SKIP(return, "the owner's ioctls are refused when it has exited");
	ASSERT_EQ(0, pipe2(t.ask, O_CLOEXEC) || pipe2(t.answered, O_CLOEXEC));
	ASSERT_TRUE(map_argument(&t, &self->arg));
	ASSERT_WELL(owner_start(&first, &self->h.disk));
	ASSERT_WELL(owner_start(&other, &self->h.disk));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_WELL(owner_send(&first));
	ASSERT_WELL(owner_send(&other));
	ASSERT_WELL(owner_kill(&first));
	ASSERT_WELL(owner_kill(&other));
	ASSERT_WELL(hang_on(&self->arg));
	ASSERT_EQ(1, write(t.ask[1], "", 1));
	ASSERT_FALSE(answered(&t, 200));
	ASSERT_WELL(hang_off(&self->h));
	usleep(100000);
	guest_close(&free);
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
	/* otherwise the test has shown nothing */
	EXPECT_FALSE(answered(&t, 0));
	ASSERT_WELL(hang_off(&self->arg));
	EXPECT_TRUE(answered(&t, SOON));
	unmap_argument(&t);
	destroy(&first);
	destroy(&other);
}

/* A VMM reads from another disk into guest memory that is page cache of a disk. */
static void read_into_pages(struct backend *disk, int memory, int said)
{
	struct guest_opts opts = { .backend = disk, .mem = 1 << 20 };
	const uint64_t gpa = 0x10000000;
	struct ring *r;
	struct guest g;
	uint64_t hdr;
	uint8_t *page;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	guest_init(&g, &opts);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (page == MAP_FAILED)
		_exit(1);
	g.region[g.nregions++] = (struct region){ .gpa = gpa, .len = 4096, .hva = page };
	if (guest_boot(&g))
		_exit(1);
	page[0] = 1;
	r = &g.ring[0];
	hdr = guest_alloc(&g, sizeof(struct virtio_blk_outhdr) + 1, 16);
	memset(guest_ptr(&g, hdr, sizeof(struct virtio_blk_outhdr)), 0,
	       sizeof(struct virtio_blk_outhdr));
	ring_put_desc(r, 0, hdr, sizeof(struct virtio_blk_outhdr), VRING_DESC_F_NEXT, 1);
	ring_put_desc(r, 1, gpa, 4096, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	ring_put_desc(r, 2, hdr + sizeof(struct virtio_blk_outhdr), 1, VRING_DESC_F_WRITE, 0);
	ring_add_raw(r, 0);
	if (write(said, "", 1) != 1)
		_exit(1);
	usleep(200000);		/* the disk hangs by now */
	ring_kick_now(r);
	usleep(100000);
	if (write(said, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* Keep the first page locked while it is written back. */
static void *zero_out(void *data)
{
	struct hang *h = data;
	uint64_t range[2] = { 0, 65536 };
	int fd = backend_reopen(&h->disk, O_RDWR);

	ioctl(fd, BLKZEROOUT, range);
	close(fd);
	return NULL;
}

/*
 * The pages of a read are marked dirty and unpinned with their locks held.  The
 * device of one dead VMM may wait there, for instance for the VMM's own file
 * system; the device of another dead VMM must not.
 */
TEST_F_TIMEOUT(tenants, page_locks, 60)
{
	struct guest free;
	struct owner other = { .g = &free, .n = 1, .stage = STAGE_RUNNING, .locks = true };
	pthread_t zeroer;
	struct hang disk;
	int said[2];
	pid_t pid;
	char byte;

	ASSERT_WELL(hang_open(&disk, false));
	ASSERT_EQ(0, pipe2(said, O_CLOEXEC));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		read_into_pages(&disk.disk, self->arg.disk.fd, said[1]);
	ASSERT_EQ(1, read(said[0], &byte, 1));
	ASSERT_WELL(owner_start(&other, &self->h.disk));
	ASSERT_WELL(hang_on(&disk));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_EQ(1, read(said[0], &byte, 1));
	ASSERT_WELL(owner_send(&other));
	/*
	 * The page is pinned.  Now its writeback starts, hangs, and the device
	 * waits for it.
	 */
	ASSERT_WELL(hang_on(&self->arg));
	ASSERT_EQ(0, sync_file_range(self->arg.disk.fd, 0, 4096, SYNC_FILE_RANGE_WRITE));
	usleep(100000);
	ASSERT_EQ(0, pthread_create(&zeroer, NULL, zero_out, &self->arg));
	usleep(200000);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	ASSERT_WELL(hang_off(&disk));
	usleep(300000);
	ASSERT_WELL(owner_kill(&other));
	ASSERT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	guest_close(&free);
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
	ASSERT_WELL(hang_off(&self->arg));
	pthread_join(zeroer, NULL);
	destroy(&other);
	hang_close(&disk);
}

/* The last descriptor is in a process that is not the owner: its exit does not wait. */
TEST_F_TIMEOUT(tenants, stranger_exits, 60)
{
	struct guest g;
	struct owner o = { .g = &g, .n = 1, .stage = STAGE_RUNNING, .locks = true };
	long long start;
	pid_t pid;

	ASSERT_WELL(owner_start(&o, &self->h.disk));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_WELL(owner_send(&o));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pause();
		_exit(1);
	}
	guest_close(&g);
	start = now_ms();
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_GT(AT_ONCE, now_ms() - start);
	EXPECT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
	ASSERT_WELL(owner_kill(&o));
	destroy(&o);
}

/* Return: does the kernel have an ioctl that any process may call? */
static bool has_ioctl(int fd, unsigned long cmd)
{
	uint64_t value = 0;

	if (cmd != VHOST_GET_FORK_FROM_OWNER && cmd != VHOST_SET_FORK_FROM_OWNER)
		return true;
	/* the vhost core checks the owner before it looks at the number */
	return !ioctl(fd, cmd, &value) || (errno != ENOTTY && errno != EPERM);
}

/*
 * A process that is not the owner calls an ioctl whose argument cannot be
 * accessed for as long as that process likes.  This does not delay the reset of
 * the device after the exit of its owner.
 */
TEST_F_TIMEOUT(tenants, stranger_blocks, 120)
{
	static const struct {
		unsigned long cmd;
		const char *name;
	} ioctls[] = {
		{ VHOST_GET_FEATURES, "GET_FEATURES" },
		{ VHOST_SET_FEATURES, "SET_FEATURES" },
		{ VHOST_GET_BACKEND_FEATURES, "GET_BACKEND_FEATURES" },
		{ VHOST_SET_BACKEND_FEATURES, "SET_BACKEND_FEATURES" },
		{ VHOST_GET_FORK_FROM_OWNER, "GET_FORK_FROM_OWNER" },
		{ VHOST_SET_FORK_FROM_OWNER, "SET_FORK_FROM_OWNER" },
	};
	struct guest g;
	struct owner o = { .g = &g, .n = 1, .stage = STAGE_RUNNING, .locks = true };
	unsigned int i;
	void *page;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(ioctls); i++) {
		ASSERT_WELL(owner_start(&o, &self->h.disk));
		ASSERT_WELL(owner_send(&o));
		if (!has_ioctl(g.fd, ioctls[i].cmd)) {
			ASSERT_WELL(owner_kill(&o));
			destroy(&o);
			continue;
		}
		page = hang_map_page(&self->arg, (off_t)i << 19);
		ASSERT_NE(NULL, page);
		ASSERT_WELL(hang_on(&self->arg));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(!!ioctl(g.fd, ioctls[i].cmd, page));
		/* it waits for the page */
		ASSERT_TRUE(task_sleeps(pid, SOON));
		ASSERT_WELL(owner_kill(&o));
		EXPECT_TRUE(backend_let_go(self->fd, SOON))
			TH_LOG("%s", ioctls[i].name);
		/* otherwise the test has shown nothing */
		EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG))
			TH_LOG("%s", ioctls[i].name);
		ASSERT_WELL(hang_off(&self->arg));
		waitpid(pid, NULL, 0);
		munmap(page, 4096);
		destroy(&o);
	}
}

/*
 * The last descriptor of a killed owner is in a socket of its own.  When the
 * owner has been reaped, its writes are complete, as if the owner had the
 * device open.
 */
TEST_F_TIMEOUT(tenants, posted, 60)
{
	struct guest g;
	struct owner o = {
		.g = &g, .n = 1, .stage = STAGE_RUNNING, .locks = true, .posts = true,
	};

	ASSERT_WELL(owner_start(&o, &self->h.disk));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_WELL(owner_send(&o));
	guest_close(&g);
	ASSERT_EQ(0, kill(o.pid, SIGKILL));
	usleep(500000);
	EXPECT_EQ(0, waitpid(o.pid, NULL, WNOHANG));
	EXPECT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	ASSERT_WELL(owner_kill(&o));
	EXPECT_FALSE(backend_in_use(self->fd));
	destroy(&o);
}

/*
 * An owner exits whose device stays open through a cycle of references: the
 * disk is free.
 */
TEST_F_TIMEOUT(tenants, cycle, 60)
{
	const char *why = no_rings();
	struct guest g;
	struct owner o = {
		.g = &g, .n = 1, .stage = STAGE_RUNNING, .locks = true, .rings = true,
	};

	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(owner_start(&o, &self->h.disk));
	guest_close(&g);
	ASSERT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(owner_kill(&o));
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
	destroy(&o);
}

/* A cycle of references, with a request in flight, for which the exit waits */
TEST_F_TIMEOUT(tenants, cycle_hangs, 60)
{
	const char *why = no_rings();
	struct guest g;
	struct owner o = {
		.g = &g, .n = 1, .stage = STAGE_RUNNING, .locks = true, .rings = true,
	};

	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(owner_start(&o, &self->h.disk));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_WELL(owner_send(&o));
	guest_close(&g);
	ASSERT_WELL(owner_kill(&o));
	usleep(500000);
	EXPECT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
	destroy(&o);
}

/*
 * An owner exits while a request hangs: its memory is gone at once, also what is
 * not guest memory.  The disk stays in use.
 */
static void check_memory(struct __test_metadata *_metadata, struct _test_data_tenants *self,
			 bool left_open)
{
	char path[40];
	struct guest g;
	struct owner o = {
		.g = &g, .n = 1, .stage = STAGE_RUNNING, .locks = true, .maps = path,
	};
	int fd = memfd_create("mapped", MFD_CLOEXEC);

	if (!worker_is_thread())
		SKIP(return, "the worker is a kernel thread that uses the memory");
	ASSERT_EQ(0, ftruncate(fd, 4096));
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	ASSERT_WELL(owner_start(&o, &self->h.disk));
	ASSERT_WELL(hang_on(&self->h));
	ASSERT_WELL(owner_send(&o));
	if (!left_open)
		guest_close(&g);
	EXPECT_TRUE(backend_in_use(fd));
	ASSERT_WELL(owner_kill(&o));
	EXPECT_TRUE(backend_let_go(fd, SOON));
	EXPECT_TRUE(backend_in_use(self->fd));
	ASSERT_WELL(hang_off(&self->h));
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
	destroy(&o);
	close(fd);
}

TEST_F_TIMEOUT(tenants, memory_dropped, 60)
{
	check_memory(_metadata, self, false);
}

TEST_F_TIMEOUT(tenants, memory_dropped_left_open, 60)
{
	check_memory(_metadata, self, true);
}

/* A device that is left open in another process has no owner, and can get a new one. */
TEST_F_TIMEOUT(tenants, left_behind, 60)
{
	struct vhost_blk_info info;
	struct guest g;
	struct owner o = { .g = &g, .n = 1, .stage = STAGE_RUNNING, .locks = true };
	unsigned int turn;

	for (turn = 0; turn < 2; turn++) {
		ASSERT_WELL(owner_start(&o, &self->h.disk));
		ASSERT_WELL(hang_on(&self->h));
		ASSERT_WELL(owner_send(&o));
		ASSERT_WELL(owner_kill(&o));
		/* its memory and its disk are in use */
		EXPECT_EQ(-1, ioctl(g.fd, VHOST_SET_OWNER, NULL));
		EXPECT_EQ(EBUSY, errno);
		ASSERT_WELL(hang_off(&self->h));
		EXPECT_TRUE(backend_let_go(self->fd, SOON));
		ASSERT_EQ(0, ioctl(g.fd, VHOST_BLK_GET_INFO, &info));
		EXPECT_EQ(0, info.flags);
		EXPECT_EQ(0, info.running);
		EXPECT_EQ(0, info.features);
		usleep(100000);
		EXPECT_EQ(0, ioctl(g.fd, VHOST_SET_OWNER, NULL));
		if (turn)
			EXPECT_EQ(0, ioctl(g.fd, VHOST_RESET_OWNER, NULL));
		destroy(&o);
	}
}

/* Another process shares the owner's memory: the device is stopped when the owner exits. */
TEST_F_TIMEOUT(tenants, survived, 60)
{
	struct vhost_vring_file arg = { .fd = -1 };
	struct guest g;
	struct twin t = { .arg = &arg };
	struct owner o = {
		.g = &g, .n = 1, .stage = STAGE_RUNNING, .locks = true, .twin = &t,
	};

	ASSERT_EQ(0, pipe2(t.ask, O_CLOEXEC) || pipe2(t.answered, O_CLOEXEC));
	ASSERT_WELL(owner_start(&o, &self->h.disk));
	ASSERT_WELL(owner_send(&o));
	guest_close(&g);
	ASSERT_WELL(owner_kill(&o));
	EXPECT_TRUE(backend_let_go(self->fd, SOON));
	EXPECT_FALSE(answered(&t, 0));
	ASSERT_EQ(1, write(t.ask[1], "", 1));
	EXPECT_TRUE(answered(&t, SOON));
	destroy(&o);
}

TEST_HARNESS_MAIN
