// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel resources that a user who may open the device can use up, and the
 * information that he can get.  The tests run as root, the opener as the user
 * "nobody".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "dirty.h"
#include "hang.h"
#include "nobody.h"
#include "ranges.h"
#include "suite.h"

#define FDS	16
#define PATTERN	0xa5
#define MIB		1048576L

FIXTURE(limits) {
	struct backend b;
	struct guest g;
	struct cgroup c;
	char node[64];		/* of the device, with permission for all users */
};

FIXTURE_SETUP(limits)
{
	const char *why;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device is not in the kernel");
	why = nobody_node(self->node, sizeof(self->node));
	if (!why)
		why = backend_open(&self->b, BACKEND_FILE, false);
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(limits)
{
	unlink(self->node);
	cgroup_leave(&self->c);
	backend_close(&self->b);
}

/*
 * Read a number from a file of the control group; if there are several, the one
 * after @name.
 */
static long group_value(const struct cgroup *c, const char *file, const char *name)
{
	char path[256], line[128];
	long v = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", c->dir, file);
	f = fopen(path, "re");
	while (f && v < 0 && fgets(line, sizeof(line), f)) {
		if (!name)
			sscanf(line, "%ld", &v);
		else if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), " %ld", &v);
	}
	if (f)
		fclose(f);
	return v;
}

/*
 * Open the node until that fails; the descriptors stay open.  Return: their
 * number; errno is set.
 */
static int open_many(const char *node, int most)
{
	int n;

	for (n = 0; n < most; n++)
		if (open(node, O_RDWR) < 0)
			break;
	return n;
}

/*
 * Fork a process that opens descriptors, and closes them when told to exit, or
 * when this process exits.  Only the child is in the group: a page that this
 * process writes might not fit any more.  Nor must the child need a page once
 * the group is full, for its answer or its own stack.
 */
static pid_t hold_open(const char *node, const struct cgroup *c, int most, int *opened)
{
	struct { int opened, error; } *said;
	int status, error, mine;
	pid_t pid;

	said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		    0);
	if (said == MAP_FAILED)
		return -1;
	said->opened = -1;
	pid = fork();
	if (!pid) {
		if ((c->dir[0] && cgroup_join(c)) || mlockall(MCL_CURRENT))
			_exit(1);
		become_nobody();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		mine = open_many(node, most);
		said->error = errno;
		__atomic_store_n(&said->opened, mine, __ATOMIC_RELEASE);
		for (;;)
			pause();
	}
	/* A signal to say so would be charged to the group, beyond its limit if need be. */
	while (__atomic_load_n(&said->opened, __ATOMIC_ACQUIRE) < 0 &&
	       !waitpid(pid, &status, WNOHANG))
		usleep(1000);
	*opened = said->opened;
	error = said->error;
	munmap(said, sizeof(*said));
	errno = error;
	return pid;
}

static void let_go(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The node belongs to root and a group, with at most the permissions of the udev rule. */
TEST_F(limits, node)
{
	struct stat st;

	ASSERT_EQ(0, stat("/dev/vhost-blk", &st));
	EXPECT_EQ(0, st.st_mode & 0007);
	EXPECT_EQ(0, st.st_uid);
}

TEST_F(limits, open_is_charged)
{
	const long least = FDS * VHOST_BLK_MAX_QUEUES * 1024 * (long)sizeof(struct iovec);
	long before, with, after;
	int opened, tries;
	const char *why;
	pid_t pid;

	why = cgroup_make(&self->c);
	if (why)
		SKIP(return, "%s", why);
	/* first measure a process without the device */
	pid = hold_open(self->node, &self->c, 0, &opened);
	before = group_value(&self->c, "memory.current", NULL);
	let_go(pid);
	pid = hold_open(self->node, &self->c, FDS, &opened);
	with = group_value(&self->c, "memory.current", NULL);
	let_go(pid);
	ASSERT_EQ(FDS, opened);
	TH_LOG("%ld KiB per open device", (with - before) / FDS / 1024);
	/* the vhost core's vectors account for this much */
	EXPECT_LT(least, with - before);
	for (tries = 0; tries < 100; tries++) {
		after = group_value(&self->c, "memory.current", NULL);
		if (after < before + MIB)
			break;
		usleep(50000);
	}
	EXPECT_GT(before + MIB, after);
}

/* At the limit open() fails, and no process is killed. */
TEST_F(limits, limit_holds)
{
	char max[32];
	long limit;
	int opened;
	const char *why;
	pid_t pid;

	why = cgroup_make(&self->c);
	if (why)
		SKIP(return, "%s", why);
	limit = group_value(&self->c, "memory.current", NULL) + 12 * MIB;
	snprintf(max, sizeof(max), "%ld", limit);
	ASSERT_EQ(0, put_attr(self->c.dir, "memory.max", max));
	pid = hold_open(self->node, &self->c, 200, &opened);
	EXPECT_EQ(ENOMEM, errno);
	TH_LOG("%d devices fit into 12 MiB", opened);
	EXPECT_LT(0, opened);
	EXPECT_GT(12, opened);
	EXPECT_GE(limit, group_value(&self->c, "memory.current", NULL));
	let_go(pid);
	EXPECT_EQ(0, group_value(&self->c, "memory.events", "oom_kill"));
	ASSERT_EQ(0, put_attr(self->c.dir, "memory.max", "max"));
	pid = hold_open(self->node, &self->c, 1, &opened);
	let_go(pid);
	EXPECT_EQ(1, opened);
}

/* Requests for which the driver allocates 480 KiB or more in total */
#define CROWD		120
#define ROOM		(64L << 10)	/* for them, in the control group */
#define SEGMENTS	1000

/* Steps of a VMM whose control group gets full, and of the process that tests it */
enum step { STEP_BOOT, STEP_READY, STEP_FULL, STEP_SENT, STEP_ROOM, STEP_DONE };

/*
 * Memory that both processes map.  A message through a pipe would be charged to
 * the group.
 */
struct crowded {
	int step;
	unsigned int done, failed;
	char skip[96], why[256];
};

struct crowd {
	struct backend *b;
	bool log;		/* with the dirty log */
	/* Make a request, which is placed but not armed. */
	struct request *(*make)(struct guest *g);
	void (*arm)(struct request *q);		/* NULL: request_arm() */
	int feature;		/* needed, or -1 */
};

static void enter(struct crowded *s, enum step reached)
{
	__atomic_store_n(&s->step, reached, __ATOMIC_RELEASE);
}

/* Wait for the other process; @pid, if not 0: a child that may exit instead. */
static bool await(struct crowded *s, enum step wanted, pid_t pid)
{
	unsigned int ms;
	siginfo_t info = {};

	for (ms = 0; ms < 60000; ms++) {
		if (__atomic_load_n(&s->step, __ATOMIC_ACQUIRE) >= wanted)
			return true;
		if (pid && (waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
			    info.si_pid))
			return false;
		usleep(1000);
	}
	return false;
}

static void give_up(struct crowded *s, const char *why)
{
	snprintf(s->why, sizeof(s->why), "%s", why);
	_exit(1);
}

/* Make everything that this process needs, so that its memory grows no more. */
static void boot_crowd(const struct crowd *crowd, struct guest *g, struct dirty *d,
		       struct request **q, struct crowded *s)
{
	struct guest_opts opts = { .backend = crowd->b, .mem = 16 << 20 };
	const char *why = NULL;
	unsigned int i;

	if (crowd->log)
		opts.features_on = BIT64(VHOST_F_LOG_ALL);
	guest_init(g, &opts);
	if (crowd->log) {
		dirty_attach(g, d);
		why = guest_boot_to(g, STAGE_MEMORY);
		if (!why && dirty_set_base(g))
			why = "SET_LOG_BASE fails";
	}
	if (!why)
		why = guest_boot(g);
	if (why)
		give_up(s, why);
	if (crowd->feature >= 0 && !guest_has(g, crowd->feature)) {
		snprintf(s->skip, sizeof(s->skip), "the disk lacks feature %d", crowd->feature);
		_exit(0);
	}
	for (i = 0; i < CROWD; i++) {
		q[i] = crowd->make(g);
		request_set_indirect(q[i], true);
		request_arm(q[i], i);
		if (crowd->arm)
			crowd->arm(q[i]);
	}
	/* first uses of memory and of code */
	why = request_ends(&g->ring[0], VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES,
			   VIRTIO_BLK_S_OK);
	if (!why && mlockall(MCL_CURRENT))
		why = "mlockall fails";
	if (why)
		give_up(s, why);
}

static void be_crowd(const struct crowd *crowd, const struct cgroup *c, struct crowded *s)
{
	static struct request *q[CROWD];
	static struct guest g;
	static struct dirty d;
	const char *why;
	unsigned int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cgroup_join(c))
		give_up(s, "the control group can't be entered");
	boot_crowd(crowd, &g, &d, q, s);
	enter(s, STEP_READY);
	await(s, STEP_FULL, 0);
	for (i = 0; i < CROWD; i++)
		if (ring_add(&g.ring[0], q[i]))
			give_up(s, "no room on the ring");
	ring_kick_now(&g.ring[0]);
	usleep(500000);
	enter(s, STEP_SENT);
	await(s, STEP_ROOM, 0);
	why = ring_wait(&g.ring[0], CROWD, 20000);
	for (i = 0; !why && i < CROWD; i++) {
		s->done += request_status(q[i]) == VIRTIO_BLK_S_OK;
		s->failed += request_status(q[i]) == VIRTIO_BLK_S_IOERR;
	}
	if (!why)
		why = request_ends(&g.ring[0], VIRTIO_BLK_T_IN, 8, 4096, VIRTIO_BLK_S_OK);
	if (why)
		give_up(s, why);
	enter(s, STEP_DONE);
	_exit(0);
}

/*
 * A guest fills the control group of its VMM: requests fail or wait, and no
 * process is killed.  @h: the disk, if it shall hang while they are sent, or NULL
 */
static void check_crowd(struct __test_metadata *_metadata, const struct crowd *crowd,
			struct cgroup *c, struct hang *h)
{
	struct crowded *s;
	int status;
	char max[32];
	long events;
	const char *why;
	pid_t pid;

	why = cgroup_make(c);
	if (why)
		SKIP(return, "%s", why);
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, s);
	/* the page is charged to this process */
	memset(s, 0, sizeof(*s));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		be_crowd(crowd, c, s);
	if (!await(s, STEP_READY, pid)) {
		waitpid(pid, &status, 0);
		ASSERT_STREQ("", s->why);
		SKIP(return, "%s", s->skip);
	}
	if (h)
		ASSERT_WELL(hang_on(h));
	events = group_value(c, "memory.events", "max");
	snprintf(max, sizeof(max), "%ld", group_value(c, "memory.current", NULL) + ROOM);
	ASSERT_EQ(0, put_attr(c->dir, "memory.max", max));
	enter(s, STEP_FULL);
	EXPECT_TRUE(await(s, STEP_SENT, pid));
	/* otherwise the test has shown nothing */
	EXPECT_LT(events, group_value(c, "memory.events", "max"));
	EXPECT_EQ(0, group_value(c, "memory.events", "oom_kill"));
	ASSERT_EQ(0, put_attr(c->dir, "memory.max", "max"));
	if (h)
		ASSERT_WELL(hang_off(h));
	enter(s, STEP_ROOM);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_STREQ("", s->why);
	EXPECT_EQ(0, status);
	TH_LOG("%u requests succeeded, %u failed", s->done, s->failed);
	EXPECT_EQ(CROWD, s->done + s->failed);
	munmap(s, sizeof(*s));
}

static struct request *make_discard(struct guest *g)
{
	struct request *q = ranges_new(g, VIRTIO_BLK_T_DISCARD, 256 * sizeof(struct range));

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	return q;
}

static void arm_discard(struct request *q)
{
	struct range range[256];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(range); i++)
		range[i] = (struct range){ 1024 + 8 * i, 8, 0 };
	request_put_data(q, range);
}

TEST_F_TIMEOUT(limits, ranges, 60)
{
	struct crowd crowd = {
		.make = make_discard, .arm = arm_discard, .feature = VIRTIO_BLK_F_DISCARD,
	};
	struct hang h;
	const char *why = hang_open(&h, true);

	if (why)
		SKIP(return, "%s", why);
	crowd.b = &h.disk;
	check_crowd(_metadata, &crowd, &self->c, &h);
	hang_close(&h);
}

/* All requests read into the same sector. */
static struct request *make_segments(struct guest *g)
{
	struct request *q = request_new(g, VIRTIO_BLK_T_IN, 0, SEGMENTS * SECTOR);
	static uint64_t data;
	unsigned int i;

	if (!data)
		data = guest_alloc(g, SECTOR, SECTOR);
	request_cut_every(q, SECTOR);
	for (i = 0; i < q->nout + q->nin; i++)
		q->seg[i].gpa = i && i <= SEGMENTS ? data : guest_alloc(g, q->seg[i].len, 16);
	return q;
}

TEST_F_TIMEOUT(limits, logged_segments, 60)
{
	struct crowd crowd = { .log = true, .make = make_segments, .feature = -1 };
	struct hang h;
	const char *why = hang_open(&h, false);

	if (why)
		SKIP(return, "%s", why);
	crowd.b = &h.disk;
	check_crowd(_metadata, &crowd, &self->c, &h);
	hang_close(&h);
}

#define REPORT_LEN	65600	/* the largest response */

/* All reports are written to the same memory. */
static struct request *make_report(struct guest *g)
{
	struct request *q = request_new(g, VIRTIO_BLK_T_ZONE_REPORT, 0, REPORT_LEN);
	static uint64_t data;

	if (!data)
		data = guest_alloc(g, REPORT_LEN, SECTOR);
	request_cut_usual(q);
	q->seg[0].gpa = guest_alloc(g, q->seg[0].len, 16);
	q->seg[1].gpa = data;
	q->seg[2].gpa = guest_alloc(g, 1, 16);
	return q;
}

/* The worker makes the responses, of 64 KiB, before the workqueue uses the first. */
TEST_F_TIMEOUT(limits, zone_reports, 60)
{
	static const struct nullb_attr zoned[] = {
		{ "zoned", "1" }, { "zone_size", "1" }, { NULL, NULL },
	};
	struct backend_opts opts = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = zoned, .blank = true,
	};
	struct crowd crowd = { .make = make_report, .feature = VIRTIO_BLK_F_ZONED };
	struct backend b;
	const char *why = backend_open_as(&b, &opts);

	if (why)
		SKIP(return, "%s", why);
	crowd.b = &b;
	check_crowd(_metadata, &crowd, &self->c, NULL);
	backend_close(&b);
}

/* Count the driver's kernel threads: rescuers are named after their workqueue. */
static int kernel_threads(void)
{
	char path[300], comm[32];
	struct dirent *e;
	int n = 0, fd;
	DIR *proc = opendir("/proc");

	while (proc && (e = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		memset(comm, 0, sizeof(comm));
		if (read(fd, comm, sizeof(comm) - 1) > 0)
			n += !strncmp(comm, "vhost-blk-", 10) ||
			     !strncmp(comm, "kworker/R-vhost", 15);
		close(fd);
	}
	if (proc)
		closedir(proc);
	return n;
}

/*
 * Neither an open device nor a backend costs a kernel thread, because no limit
 * counts them.
 */
TEST_F(limits, no_threads)
{
	struct guest_opts opts = { .backend = &self->b };
	int opened, before = kernel_threads();
	pid_t pid = hold_open(self->node, &self->c, FDS, &opened);
	int with = kernel_threads();

	let_go(pid);
	ASSERT_EQ(FDS, opened);
	EXPECT_EQ(before, with);
	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot_to(&self->g, STAGE_BACKEND));
	EXPECT_EQ(before, kernel_threads());
	ASSERT_WELL(guest_prove(&self->g));
	guest_destroy(&self->g);
}

/* The limit of open files bounds the number of devices. */
TEST_F(limits, nofile)
{
	const struct rlimit few = { 20, 20 };
	int opened;
	pid_t pid;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	pid = hold_open(self->node, &self->c, 200, &opened);
	EXPECT_EQ(EMFILE, errno);
	EXPECT_LT(0, opened);
	EXPECT_GT(20, opened);
	let_go(pid);
}

static long vm_count(const char *name)
{
	char line[128];
	long v = -1;
	FILE *f = fopen("/proc/vmstat", "re");

	while (f && v < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), " %ld", &v);
	if (f)
		fclose(f);
	return v;
}

/* Each CPU keeps a count for up to a second; reading this file adds them up. */
static long pinned(void)
{
	char line[16];
	int fd = open("/proc/sys/vm/stat_refresh", O_RDONLY);

	if (fd >= 0) {
		if (read(fd, line, sizeof(line)) < 0)
			return -1;
		close(fd);
	}
	return vm_count("nr_foll_pin_acquired") - vm_count("nr_foll_pin_released");
}

static int boot_and_use(struct guest *g, const char *node)
{
	const struct batch_opts opts = { .max_sectors = 256, .per_queue = 8 };
	struct rng rng = { 1 };
	const char *why;

	setenv("VHOST_TEST_DEV", node, 1);
	why = guest_boot(g);
	if (!why)
		why = batch_round(g, &opts, &rng);
	if (why)
		fprintf(stderr, "# %s\n", why);
	guest_close(g);
	return !!why;
}

/*
 * Pages are pinned during a request, as for O_DIRECT.  This does not count as
 * locked memory, and needs no limit of it.  No page stays pinned.
 */
TEST_F(limits, memlock)
{
	struct guest_opts opts = { .backend = &self->b };
	const struct rlimit none = { 0, 0 };
	long before = pinned();

	ASSERT_LE(0, before);
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &none));
	guest_init(&self->g, &opts);
	EXPECT_EQ(0, as_nobody(boot_and_use, &self->g, self->node));
	EXPECT_EQ(before, pinned());
	guest_destroy(&self->g);
}

/* A file that the user may only read does not change, whatever requests he sends. */
static int write_read_only(struct guest *g, const char *node)
{
	const char *why;

	setenv("VHOST_TEST_DEV", node, 1);
	if (open(g->opts.backend->path, O_RDWR) >= 0 || errno != EACCES)
		return 2;
	g->opts.backend->fd = open(g->opts.backend->path, O_RDONLY);
	why = guest_boot(g);
	if (!why && !guest_has(g, VIRTIO_BLK_F_RO))
		why = "not read-only";
	if (!why)
		why = request_simple(&g->ring[0], VIRTIO_BLK_T_OUT, 8, 4096, VIRTIO_BLK_S_IOERR);
	if (!why)
		why = range_run(&g->ring[0], VIRTIO_BLK_T_WRITE_ZEROES, 8, 8, 0,
				VIRTIO_BLK_S_IOERR);
	if (!why)
		why = request_simple(&g->ring[0], VIRTIO_BLK_T_IN, 8, 4096, VIRTIO_BLK_S_OK);
	if (why)
		fprintf(stderr, "# %s\n", why);
	return !!why;
}

TEST_F(limits, read_only_fd)
{
	struct guest_opts opts = { .backend = &self->b };
	char dir[192];

	snprintf(dir, sizeof(dir), "%s", self->b.path);
	*strrchr(dir, '/') = '\0';
	ASSERT_EQ(0, chmod(self->b.path, 0644));
	/* only root may enter the directory that run.sh has made */
	for (; dir[0]; *strrchr(dir, '/') = '\0')
		if (strstr(dir, "vhost-selftest"))
			ASSERT_EQ(0, chmod(dir, 0755));
	guest_init(&self->g, &opts);
	EXPECT_EQ(0, as_nobody(write_read_only, &self->g, self->node));
	guest_destroy(&self->g);
	ASSERT_WELL(backend_compare_all(&self->b));
}

/* Special files, such as the memory of a process, are refused as disks. */
TEST_F(limits, not_a_disk)
{
	static const struct {
		const char *path;
		int flags;
		int err;
	} bad[] = {
		{ "/proc/self/mem", O_RDWR, EOPNOTSUPP },
		{ "/dev/null", O_RDWR, EINVAL },
		{ "/proc/self", O_RDONLY | O_DIRECTORY, EINVAL },
	};
	struct guest_opts opts = { .backend = &self->b };
	unsigned int i;
	int fd;

	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot_to(&self->g, STAGE_OWNED));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = open(bad[i].path, bad[i].flags);
		ASSERT_LE(0, fd);
		EXPECT_EQ(bad[i].err, -guest_set_backend(&self->g, fd, 0))
			TH_LOG("%s", bad[i].path);
		close(fd);
	}
	ASSERT_WELL(guest_prove(&self->g));
	guest_destroy(&self->g);
}

struct config_arg {
	struct vhost_vdpa_config c;
	uint8_t space[sizeof(struct blk_config) + 32];
};

/* Each window returns its own bytes and no others; reserved bytes are 0. */
TEST_F(limits, config_leaks_nothing)
{
	struct guest_opts opts = { .backend = &self->b };
	const unsigned int size = sizeof(struct blk_config);
	struct blk_config all;
	unsigned int off, len, i;

	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot(&self->g));
	ASSERT_EQ(0, guest_get_config(&self->g, &all));
	EXPECT_EQ(0, all.unused0);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, all.unused1[i]);
		EXPECT_EQ(0, all.zoned.unused2[i]);
	}
	for (off = 0; off < size; off++) {
		for (len = 1; len <= size - off; len += 1 + len / 3) {
			struct config_arg arg;

			memset(&arg, PATTERN, sizeof(arg));
			arg.c.off = off;
			arg.c.len = len;
			ASSERT_EQ(0, guest_ioctl(&self->g, VHOST_BLK_GET_CONFIG, &arg));
			ASSERT_EQ(off, arg.c.off);
			ASSERT_EQ(len, arg.c.len);
			ASSERT_EQ(0, memcmp(arg.space, (uint8_t *)&all + off, len));
			for (i = len; i < sizeof(arg.space); i++)
				ASSERT_EQ(PATTERN, arg.space[i]);
		}
	}
	guest_destroy(&self->g);
}

/*
 * The ID is what the VMM has set, padded with zeroes; the rest of the buffer
 * does not change.
 */
TEST_F(limits, id_leaks_nothing)
{
	struct guest_opts opts = { .backend = &self->b, .serial = "s" };
	const uint8_t want[VIRTIO_BLK_ID_BYTES] = "s";
	uint8_t got[256];
	struct request *q;
	unsigned int i;

	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot(&self->g));
	q = request_new(&self->g, VIRTIO_BLK_T_GET_ID, 0, sizeof(got));
	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 1);
	memset(got, PATTERN, sizeof(got));
	guest_write(&self->g, q->seg[q->nout].gpa, got, sizeof(got));
	ASSERT_WELL(request_run(&self->g.ring[0], q, 5000));
	ASSERT_EQ(VIRTIO_BLK_S_OK, request_status(q));
	request_read_in(q, got);
	EXPECT_EQ(0, memcmp(got, want, sizeof(want)));
	for (i = sizeof(want); i < sizeof(got); i++)
		EXPECT_EQ(PATTERN, got[i]);
	request_free(q);
	guest_destroy(&self->g);
}

/* Ioctls that return a number write that, and nothing after it. */
TEST_F(limits, features_leak_nothing)
{
	static const unsigned long cmd[] = { VHOST_GET_FEATURES, VHOST_GET_BACKEND_FEATURES };
	struct guest_opts opts = { .backend = &self->b };
	uint64_t arg[3];
	unsigned int i;

	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot(&self->g));
	for (i = 0; i < ARRAY_SIZE(cmd); i++) {
		memset(arg, PATTERN, sizeof(arg));
		ASSERT_EQ(0, guest_ioctl(&self->g, cmd[i], &arg[1]));
		EXPECT_EQ(0xa5a5a5a5a5a5a5a5ULL, arg[0]);
		EXPECT_EQ(0xa5a5a5a5a5a5a5a5ULL, arg[2]);
		EXPECT_NE(0xa5a5a5a5a5a5a5a5ULL, arg[1]);
	}
	guest_destroy(&self->g);
}

TEST_HARNESS_MAIN
