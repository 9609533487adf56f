// SPDX-License-Identifier: GPL-2.0
/*
 * The operations on the device: valid and invalid ioctls.  Others are in
 * device_memory.c, device_ring.c and device_race.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device_exec.h"

/* Sectors of a null_blk fail, or do not. */
#define BAD_ON	"+0-4095"
#define BAD_OFF	"-0-4095"

/* Call an ioctl of the open file of @t, with the data at @arg. */
static long call(struct target *t, unsigned long cmd, void *arg)
{
	return ioctl(t->fd, cmd, arg) ? errno : 0;
}

uint64_t play_edge(uint32_t a)
{
	uint64_t small = a >> 8 & 15, bit = 1ULL << (a >> 2 & 63);

	switch (a & 3) {
	case 0:
		return ~0ULL - small;
	case 1:
		return bit;
	case 2:
		return bit - 1 - small;
	default:
		return a * 0x9e3779b97f4a7c15ULL;
	}
}

/* Number 0 to ndisks - 1: a disk; above that, other kinds of files */
static int pick_fd(struct target *t, uint32_t a)
{
	a %= t->ndisks + PLAY_FDS + 1;
	if (a < t->ndisks)
		return t->disk[a].fd;
	a -= t->ndisks;
	return a < PLAY_FDS ? t->fds[a] : t->fd;
}

static long do_backend(struct target *t, const uint32_t *a)
{
	struct vhost_blk_backend b = { .fd = pick_fd(t, a[0]), .serial = "fuzz" };

	if (a[1] % 4 == 3)
		b.flags = a[2] & 16 ? a[2] : VHOST_BLK_BACKEND_F_RO;
	if (a[1] & 16)
		b.flags |= VHOST_BLK_BACKEND_F_ANY_RANGE;
	if (a[1] & 32)
		b.flags |= VHOST_BLK_BACKEND_F_NO_UNMAP;
	/* On the disk with blocks of 4096 bytes, smaller ones need read-modify-write. */
	if (a[1] & 64)
		b.block_size = 512U << (a[1] >> 7) % 5;
	if (a[1] >> 28 == 15)
		b.reserved[a[2] % sizeof(b.reserved)] = a[3];
	return call(t, VHOST_BLK_SET_BACKEND, &b);
}

/* Acknowledge everything offered, with some features removed, or with others added. */
static long do_features(struct target *t, const uint32_t *a)
{
	uint64_t f;

	ioctl(t->fd, VHOST_GET_FEATURES, &t->offered);
	f = t->offered & ~BIT64(VIRTIO_F_ACCESS_PLATFORM) & ~BIT64(VHOST_F_LOG_ALL);
	switch (a[0] % 8) {
	case 1:
		f &= ~BIT64(VIRTIO_RING_F_EVENT_IDX);
		break;
	case 2:
		f |= t->offered & BIT64(VIRTIO_F_ACCESS_PLATFORM);
		break;
	case 3:
		f |= BIT64(VHOST_F_LOG_ALL);
		break;
	case 4:
		f &= ~(1ULL << a[1] % 64);
		break;
	case 5:
		f = t->offered & ((uint64_t)a[1] << 32 | a[2]);
		break;
	case 6:
		f ^= 1ULL << a[1] % 64;
		break;
	case 7:
		f &= ~(BIT64(VIRTIO_BLK_F_FLUSH) | BIT64(VIRTIO_BLK_F_CONFIG_WCE));
		break;
	}
	return call(t, VHOST_SET_FEATURES, &f);
}

static long do_backend_features(struct target *t, const uint32_t *a)
{
	uint64_t f = a[0] & 1 ? BIT64(VHOST_BACKEND_F_IOTLB_MSG_V2) : play_edge(a[1]);

	return call(t, VHOST_SET_BACKEND_FEATURES, &f);
}

static long do_running(struct target *t, const uint32_t *a)
{
	int on = a[0] % 16 == 15 ? (int)a[1] : (int)(a[0] % 2);

	return call(t, VHOST_BLK_SET_RUNNING, &on);
}

static unsigned int pick_queue(uint32_t a)
{
	return a >> 27 ? a % PLAY_QUEUES : a >> 8;
}

static long do_num(struct target *t, const uint32_t *a)
{
	struct vhost_vring_state s = {
		.index = pick_queue(a[0]),
		.num = a[1] & 3 ? 1U << a[1] / 4 % 11 : a[1],
	};
	long ret = call(t, VHOST_SET_VRING_NUM, &s);

	if (!ret && s.index < PLAY_QUEUES)
		t->queue[s.index].num = s.num;
	return ret;
}

static long do_base(struct target *t, const uint32_t *a)
{
	struct vhost_vring_state s = {
		.index = pick_queue(a[0]), .num = a[1] & 3 ? 0 : a[1] >> 2,
	};
	long ret = call(t, VHOST_SET_VRING_BASE, &s);

	if (!ret && s.index < PLAY_QUEUES)
		t->queue[s.index].avail_idx = s.num;
	return ret;
}

static long do_vring_running(struct target *t, const uint32_t *a)
{
	struct vhost_vring_state s = { .index = pick_queue(a[0]), .num = a[1] % 5 % 3 };

	return call(t, VHOST_BLK_SET_VRING_RUNNING, &s);
}

/* Ioctls that only read, in any state of the device */
static long do_info(struct target *t, const uint32_t *a)
{
	struct vhost_blk_vring_info vring = { .index = pick_queue(a[0]) };
	struct vhost_blk_vring_stats stats = { .index = vring.index };
	struct vhost_blk_info info;

	if (a[1] & 2)
		return call(t, VHOST_BLK_GET_STATS, &stats);
	return a[1] & 1 ? call(t, VHOST_BLK_GET_INFO, &info) :
			  call(t, VHOST_BLK_GET_VRING_INFO, &vring);
}

/* One action for all errors, or four, of which some are unknown */
static long do_policy(struct target *t, const uint32_t *a)
{
	struct vhost_blk_error_policy p = { .fd = t->fds[4] };

	if (a[0] & 1) {
		p.read = a[1] % 3;
		p.read_nospace = p.read;
		p.write = p.read;
		p.write_nospace = p.read;
	} else {
		p.read = a[1] & 3;
		p.read_nospace = a[1] >> 2 & 3;
		p.write = a[1] >> 4 & 3;
		p.write_nospace = a[1] >> 6 & 3;
	}
	if (a[0] & 2)
		p.fd = -1;
	if (a[0] >> 28 == 15)
		p.fd = pick_fd(t, a[2]);
	if (a[0] >> 24 == 0xef)
		p.reserved[a[2] % ARRAY_SIZE(p.reserved)] = a[3];
	return call(t, VHOST_BLK_SET_ERROR_POLICY, &p);
}

/*
 * The list of parked requests, read, written back, or made of any heads: as a
 * VMM that is wrong, or one whose guest has changed its rings, may set it
 */
static long do_parked(struct target *t, const uint32_t *a)
{
	uint16_t heads[64];
	struct vhost_blk_vring_parked p = {
		.index = pick_queue(a[0]), .count = a[1] % 64, .heads = (uintptr_t)heads,
	};
	unsigned int i;
	long ret;

	if (a[1] >> 28 == 15)
		p.heads = play_edge(a[2]);
	if (a[1] >> 27 == 15)
		p.count = a[2];
	for (i = 0; i < ARRAY_SIZE(heads); i++)
		heads[i] = (a[2] + i * (a[3] % 8)) % (a[3] & 8 ? 1025 : 32);
	if (a[0] & 1) {
		ret = call(t, VHOST_BLK_GET_VRING_PARKED, &p);
		if (ret || a[0] & 2)
			return ret;
	}
	if (p.count > ARRAY_SIZE(heads) && p.heads == (uintptr_t)heads)
		p.count = ARRAY_SIZE(heads);
	return call(t, VHOST_BLK_SET_VRING_PARKED, &p);
}

static long do_bad(struct target *t, const uint32_t *a)
{
	if (t->bad < 0)
		return -1;
	return nullb_put(&t->disk[t->bad], "badblocks", a[0] & 1 ? BAD_ON : BAD_OFF);
}

static long do_get_base(struct target *t, const uint32_t *a)
{
	struct vhost_vring_state s = { .index = pick_queue(a[0]) };

	return call(t, VHOST_GET_VRING_BASE, &s);
}

/* Address of a ring for the device: in its view, or through the IOTLB */
static long do_addr(struct target *t, const uint32_t *a)
{
	unsigned int q = pick_queue(a[0]);
	uint64_t at = AT_QUEUE(q % PLAY_QUEUES);
	uint64_t base = (a[1] & 1 ? PLAY_GPA : (uintptr_t)t->view) + at;
	struct vhost_vring_addr addr = {
		.index = q,
		.flags = a[1] & 2 ? a[2] : 0,
		.desc_user_addr = base,
		.avail_user_addr = base + PAGE,
		.used_user_addr = base + 2 * PAGE,
		.log_guest_addr = PLAY_GPA + at + 2 * PAGE,
	};
	__u64 *field[] = {
		(__u64 *)&addr.desc_user_addr, (__u64 *)&addr.avail_user_addr,
		(__u64 *)&addr.used_user_addr, (__u64 *)&addr.log_guest_addr,
	};

	switch (a[1] >> 2 & 7) {
	case 0:
		*field[a[2] % 4] = play_edge(a[3]);
		break;
	case 1:
		*field[a[2] % 4] += a[3] % 4096;
		break;
	case 2:
		addr.desc_user_addr = 0;
		addr.avail_user_addr = 0;
		addr.used_user_addr = 0;
		break;
	}
	return call(t, VHOST_SET_VRING_ADDR, &addr);
}

static long do_vring_fd(struct target *t, const uint32_t *a)
{
	static const unsigned long cmd[] = {
		VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,
	};
	unsigned int what = a[1] % 3, q = pick_queue(a[0]);
	struct play_queue *pq = &t->queue[q % PLAY_QUEUES];
	int good[] = { pq->kick, pq->call, pq->err };
	struct vhost_vring_file f = { .index = q, .fd = good[what] };

	if (a[2] % 4 == 3)
		f.fd = pick_fd(t, a[3]);
	return call(t, cmd[what], &f);
}

static long do_vring_state(struct target *t, const uint32_t *a)
{
	static const unsigned long cmd[] = {
		VHOST_SET_VRING_ENDIAN, VHOST_GET_VRING_ENDIAN,
		VHOST_SET_VRING_BUSYLOOP_TIMEOUT, VHOST_GET_VRING_BUSYLOOP_TIMEOUT,
	};
	struct vhost_vring_state s = { .index = pick_queue(a[0]), .num = a[1] };

	return call(t, cmd[a[2] % 4], &s);
}

/* The log is in the playground too, so the device may overwrite anything. */
static long do_log(struct target *t, const uint32_t *a)
{
	uint64_t base = (uintptr_t)t->view + AT_DATA;
	int fd = pick_fd(t, a[1]);

	if (a[0] & 1)
		return call(t, VHOST_SET_LOG_FD, &fd);
	/* A log for this guest has 32 KiB for each GiB, too much to allocate. */
	if (!(a[0] & 6))
		base = play_edge(a[1]);
	return call(t, VHOST_SET_LOG_BASE, &base);
}

static long do_config(struct target *t, const uint32_t *a)
{
	uint8_t raw[sizeof(struct vhost_vdpa_config) + 256] = {};
	struct vhost_vdpa_config *c = (struct vhost_vdpa_config *)raw;

	c->off = a[1] & 1 << 20 ? a[1] : a[1] % 100;
	c->len = a[2] & 1 << 20 ? a[2] : a[2] % 100;
	if (a[0] & 1)
		return call(t, VHOST_BLK_GET_CONFIG, c);
	if (a[0] & 2) {
		c->off = offsetof(struct virtio_blk_config, wce);
		c->len = 1;
	}
	c->buf[0] = a[3];
	return call(t, VHOST_BLK_SET_CONFIG, c);
}

static long do_flush(struct target *t, const uint32_t *a)
{
	return call(t, VHOST_BLK_FLUSH, NULL);
}

static long do_config_call(struct target *t, const uint32_t *a)
{
	int fd = a[0] & 1 ? t->queue[0].call : pick_fd(t, a[1]);

	return call(t, VHOST_BLK_SET_CONFIG_CALL, &fd);
}

static long do_worker(struct target *t, const uint32_t *a)
{
	struct vhost_vring_worker w = { .index = pick_queue(a[1]), .worker_id = a[2] };
	struct vhost_worker_state s = { .worker_id = a[2] };

	switch (a[0] % 4) {
	case 0:
		return call(t, VHOST_NEW_WORKER, &s);
	case 1:
		return call(t, VHOST_FREE_WORKER, &s);
	case 2:
		return call(t, VHOST_ATTACH_VRING_WORKER, &w);
	default:
		return call(t, VHOST_GET_VRING_WORKER, &w);
	}
}

/* Any number of a vhost ioctl; the argument can be read, or not, or in part. */
static long do_any_ioctl(struct target *t, const uint32_t *a)
{
	unsigned long cmd = _IOC(a[0] >> 30, VHOST_VIRTIO, a[0] % 128, a[1] % 512);
	void *arg = t->mem + AT_DATA + a[2] % (8 * PAGE);

	switch (a[3] % 8) {
	case 0:
		arg = NULL;
		break;
	case 1:
		arg = (void *)(uintptr_t)play_edge(a[2]);
		break;
	case 2:
		arg = t->view + PLAY_LEN - a[2] % 16;
		break;
	}
	return call(t, cmd, arg);
}

static long do_iotlb_read(struct target *t, const uint32_t *a)
{
	uint8_t buf[128];

	return read(t->fd, buf, sizeof(buf)) < 0 ? errno : 0;
}

static long do_wait(struct target *t, const uint32_t *a)
{
	unsigned int i;

	if (a[0] % 4 == 3)
		usleep(a[1] % 3000);
	else
		for (i = 0; i < 1 + a[1] % 16; i++)
			sched_yield();
	return 0;
}

static long do_resize(struct target *t, const uint32_t *a)
{
	if (t->file < 0)
		return -1;
	return ftruncate(t->disk[t->file].fd, a[0] & 1 ? a[1] % 512 * 4096 : BACKEND_SIZE) ?
	       errno : 0;
}

/* a[0]: backend, a[1]: features, a[2]: queues and their size, a[3]: IOTLB, memory */
static long do_boot(struct target *t, const uint32_t *a)
{
	unsigned int queues = 1 + a[2] % PLAY_QUEUES, q, kind;
	uint32_t log2 = 3 + (a[2] >> 4) % 3;
	bool iotlb = a[3] % 8 == 7;

	call(t, VHOST_SET_OWNER, NULL);
	do_backend(t, (uint32_t[]){ a[0] % t->ndisks, a[0] >> 8, 0, 0 });
	do_backend_features(t, (uint32_t[]){ a[3] >> 4, 0, 0, 0 });
	do_features(t, (uint32_t[]){ iotlb ? 2 : a[1] % 8, a[1] >> 8, 0, 0 });
	if (iotlb)
		play_iotlb(t, (uint32_t[]){ 30, 0, PLAY_PAGES - 1, 0 });
	else
		play_table(t, (uint32_t[]){ (a[3] >> 8) % 5, 0, 0, 0 });
	for (q = 0; q < queues; q++) {
		do_num(t, (uint32_t[]){ q << 8, 1 + 4 * log2, 0, 0 });
		do_base(t, (uint32_t[]){ q << 8, 1, 0, 0 });
		do_addr(t, (uint32_t[]){ q << 8, iotlb | 12, 0, 0 });
		for (kind = 0; kind < 3; kind++)
			do_vring_fd(t, (uint32_t[]){ q << 8, kind, 0, 0 });
	}
	return do_running(t, (uint32_t[]){ 1, 0, 0, 0 });
}

static long do_reopen(struct target *t, const uint32_t *a)
{
	target_close(t);
	target_open(t);
	return 0;
}

static long do_owner(struct target *t, const uint32_t *a)
{
	return call(t, VHOST_SET_OWNER, NULL);
}

static long do_reset_owner(struct target *t, const uint32_t *a)
{
	return call(t, VHOST_RESET_OWNER, NULL);
}

static long do_kick(struct target *t, const uint32_t *a)
{
	return play_kick(t, a[0]);
}

static long do_race(struct target *t, const uint32_t *a)
{
	race_start(t, a[0] % RACE_COUNT, a[1]);
	return 0;
}

static long (* const action[OP_COUNT])(struct target *t, const uint32_t *a) = {
	[OP_boot] = do_boot,
	[OP_owner] = do_owner,
	[OP_reset_owner] = do_reset_owner,
	[OP_features] = do_features,
	[OP_backend_features] = do_backend_features,
	[OP_backend] = do_backend,
	[OP_running] = do_running,
	[OP_mem] = play_table,
	[OP_num] = do_num,
	[OP_base] = do_base,
	[OP_get_base] = do_get_base,
	[OP_vring_running] = do_vring_running,
	[OP_info] = do_info,
	[OP_policy] = do_policy,
	[OP_parked] = do_parked,
	[OP_bad] = do_bad,
	[OP_addr] = do_addr,
	[OP_vring_fd] = do_vring_fd,
	[OP_vring_state] = do_vring_state,
	[OP_log] = do_log,
	[OP_config] = do_config,
	[OP_flush] = do_flush,
	[OP_config_call] = do_config_call,
	[OP_worker] = do_worker,
	[OP_any_ioctl] = do_any_ioctl,
	[OP_iotlb] = play_iotlb,
	[OP_iotlb_read] = do_iotlb_read,
	[OP_protect] = play_protect,
	[OP_req] = play_req,
	[OP_desc] = play_desc,
	[OP_table] = play_indirect,
	[OP_header] = play_header,
	[OP_range] = play_range,
	[OP_garbage] = play_garbage,
	[OP_avail] = play_avail,
	[OP_avail_idx] = play_avail_idx,
	[OP_event] = play_event,
	[OP_kick] = do_kick,
	[OP_wait] = do_wait,
	[OP_resize] = do_resize,
	[OP_reopen] = do_reopen,
	[OP_race] = do_race,
};

long target_do(struct target *t, const struct op *op)
{
	return action[op->code](t, op->a);
}

void target_open(struct target *t)
{
	const char *path = getenv("VHOST_TEST_DEV");

	t->fd = open(path ? path : "/dev/vhost-blk", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (t->fd < 0) {
		perror("device_fuzz: /dev/vhost-blk");
		exit(2);
	}
}

void target_close(struct target *t)
{
	unsigned int q;

	race_stop(t);
	close(t->fd);
	t->fd = -1;
	for (q = 0; q < PLAY_QUEUES; q++) {
		struct play_queue *pq = &t->queue[q];

		pq->num = 256;
		pq->next_desc = 0;
		pq->avail_idx = 0;
		eventfd_drain(pq->kick);
		eventfd_drain(pq->call);
		eventfd_drain(pq->err);
	}
	play_fresh(t);
}

/*
 * Fast and slow, with and without discards, direct and buffered, zoned, with
 * large blocks, with bad blocks
 */
static const char *open_disks(struct target *t)
{
	static const struct nullb_attr discard[] = { { "discard", "1" }, { NULL, NULL } };
	static const struct nullb_attr slow[] = {
		{ "irqmode", "2" }, { "completion_nsec", "3000000" }, { NULL, NULL }
	};
	static const struct nullb_attr large[] = { { "blocksize", "4096" }, { NULL, NULL } };
	static const struct nullb_attr zoned[] = {
		{ "zoned", "1" }, { "zone_size", "1" }, { "zone_nr_conv", "1" },
		{ "zone_max_open", "2" }, { "zone_max_active", "2" }, { NULL, NULL }
	};
	static const struct nullb_attr bad[] = {
		{ "discard", "1" }, { "badblocks", BAD_ON }, { NULL, NULL }
	};
	static const struct backend_opts opts[] = {
		{ .kind = BACKEND_NULLB, .direct = true, .nullb = discard },
		{ .kind = BACKEND_FILE, .direct = true },
		{ .kind = BACKEND_FILE },
		{ .kind = BACKEND_NULLB, .direct = true, .nullb = slow },
		{ .kind = BACKEND_NULLB, .direct = true, .nullb = zoned, .blank = true },
		{ .kind = BACKEND_NULLB, .direct = true, .nullb = large },
		{ .kind = BACKEND_NULLB, .direct = true, .nullb = bad, .blank = true },
		{ .kind = BACKEND_ERASE, .direct = true },
	};
	const char *why = NULL;
	unsigned int i;

	t->file = -1;
	t->bad = -1;
	for (i = 0; i < ARRAY_SIZE(opts); i++) {
		struct backend *b = &t->disk[t->ndisks];

		why = backend_open_as(b, &opts[i]);
		if (why) {
			printf("# without disk %u: %s\n", i, why);
			continue;
		}
		if (opts[i].kind == BACKEND_FILE && !opts[i].direct)
			t->file = t->ndisks;
		if (opts[i].nullb == bad)
			t->bad = t->ndisks;
		t->ndisks++;
	}
	return t->ndisks ? NULL : why;
}

static void open_fds(struct target *t)
{
	const char *file = t->file < 0 ? "/dev/zero" : t->disk[t->file].path;

	t->fds[0] = -1;
	t->fds[1] = 1000000;
	t->fds[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	t->fds[3] = open("/", O_RDONLY | O_CLOEXEC);
	t->fds[4] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	t->fds[5] = open(file, O_RDONLY | O_CLOEXEC);
	t->fds[6] = open(file, O_WRONLY | O_CLOEXEC);
	t->fds[7] = open(file, O_PATH | O_CLOEXEC);
}

const char *target_init(struct target *t)
{
	unsigned int q;
	const char *why;

	memset(t, 0, sizeof(*t));
	t->fd = -1;
	t->memfd = memfd_create("playground", MFD_CLOEXEC);
	if (t->memfd < 0 || ftruncate(t->memfd, PLAY_LEN))
		return "no memfd";
	t->mem = mmap(NULL, PLAY_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, t->memfd, 0);
	t->view = mmap(NULL, PLAY_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, t->memfd, 0);
	if (t->mem == MAP_FAILED || t->view == MAP_FAILED)
		return "no memory";
	for (q = 0; q < PLAY_QUEUES; q++) {
		t->queue[q].num = 256;
		t->queue[q].kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		t->queue[q].call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		t->queue[q].err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
	why = open_disks(t);
	if (why)
		return why;
	open_fds(t);
	race_init(t);
	return NULL;
}

void target_destroy(struct target *t)
{
	unsigned int i;

	for (i = 0; i < t->ndisks; i++)
		backend_close(&t->disk[i]);
}
