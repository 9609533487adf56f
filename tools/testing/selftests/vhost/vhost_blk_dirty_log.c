// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log: every page of guest memory that the device writes is logged,
 * and no other, whatever the requests are and whenever the log is switched.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "dirty.h"
#include "mix.h"
#include "suite-disk.h"

#define FLIGHT_MEM	(2U << 20)
#include "suite-flight.h"
#include "suite-ioctl.h"

#define LOG_ALL		BIT64(VHOST_F_LOG_ALL)
#define ZEROES		BIT64(VIRTIO_BLK_F_WRITE_ZEROES)
#define NOWHERE		0xffffffffff000000ULL	/* an address that no process can have */

/* Small adjacent regions, so that requests cross from one to the next */
static uint64_t add_regions(struct guest *g, unsigned int n, uint64_t *len)
{
	uint64_t start = g->region[0].gpa + g->region[0].len;
	unsigned int i;

	for (i = *len = 0; i < n; i++) {
		uint64_t part = (1 + i % 3) * 4096;

		if (!guest_add_region(g, start + *len, part))
			abort();
		*len += part;
	}
	return start;
}

static const char *boot_logged(struct guest *g, const struct guest_opts *opts,
			       unsigned int regions, struct mix_opts *mix, struct dirty *d)
{
	const char *why;

	guest_init(g, opts);
	mix->area = add_regions(g, regions, &mix->area_len);
	dirty_attach(g, d);
	why = guest_boot_to(g, STAGE_MEMORY);
	if (!why && dirty_set_base(g))
		why = "SET_LOG_BASE fails";
	return why ? why : guest_boot(g);
}

/* Let reads of these sectors fail from now on, or succeed again. */
static bool set_bad(struct backend *b, uint64_t sector, bool bad)
{
	char path[256], text[64];
	int fd, ok, len;

	if (!b->nullb[0])
		return false;
	snprintf(path, sizeof(path), "%s/badblocks", b->nullb);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	len = snprintf(text, sizeof(text), "%c%llu-%llu", bad ? '+' : '-',
		       (unsigned long long)sector, (unsigned long long)sector + 7);
	ok = fd >= 0 && write(fd, text, len) == len;
	close(fd);
	return ok;
}

/* All kinds of requests: what changed is logged, and what could not change is not. */
TEST_F_TIMEOUT(disk, random, 120)
{
	uint64_t bad = self->b.size / SECTOR - 8;
	struct guest_opts opts = {
		.backend = &self->b, .queues = 4, .mem = 2 << 20,
		.features_on = LOG_ALL | ZEROES,
	};
	struct mix_opts mix = { .bad_sector = set_bad(&self->b, bad, true) ? bad : 0 };
	unsigned int i, changed = 0, logged = 0;
	struct dirty d;

	ASSERT_WELL(boot_logged(&self->g, &opts, 24, &mix, &d));
	ASSERT_TRUE(guest_has(&self->g, VHOST_F_LOG_ALL));
	for (i = 0; i < scaled(12, 4); i++) {
		ASSERT_WELL(mix_round(&self->g, &mix, &self->rng));
		ASSERT_LT(0, d.changed);
		changed += d.changed;
		logged += d.logged;
	}
	TH_LOG("%u pages changed, %u were logged", changed, logged);
	if (mix.bad_sector)
		ASSERT_TRUE(set_bad(&self->b, bad, false));
	dirty_free(&self->g);
}

/* One kind of request at a time, so that pages of others cannot hide an error */
TEST_F_TIMEOUT(disk, each_kind, 120)
{
	uint64_t bad = self->b.size / SECTOR - 8;
	struct guest_opts opts = {
		.backend = &self->b, .mem = 1 << 20, .features_on = LOG_ALL | ZEROES,
	};
	struct mix_opts mix = {
		.per_queue = 8, .bad_sector = set_bad(&self->b, bad, true) ? bad : 0,
	};
	struct dirty d;
	unsigned int i;

	ASSERT_WELL(boot_logged(&self->g, &opts, 6, &mix, &d));
	for (i = 0; i < MIX_KINDS; i++) {
		if (i == MIX_BROKEN && !mix.bad_sector)
			continue;
		mix.kinds = 1 << i;
		ASSERT_WELL(mix_round(&self->g, &mix, &self->rng));
		ASSERT_LT(1, d.changed);
	}
	if (mix.bad_sector)
		ASSERT_TRUE(set_bad(&self->b, bad, false));
	dirty_free(&self->g);
}

/*
 * A large queue, whose used ring has more than one page, and chains of hundreds
 * of segments
 */
TEST_F_TIMEOUT(disk, long_chains, 120)
{
	struct guest_opts opts = {
		.backend = &self->b, .num = 1024, .mem = 4 << 20, .features_on = LOG_ALL,
	};
	struct mix_opts mix = {
		.kinds = 1 << MIX_READ | 1 << MIX_WRITE, .max_segs = 400, .max_sectors = 300,
	};
	struct dirty d;
	unsigned int i;

	ASSERT_WELL(boot_logged(&self->g, &opts, 0, &mix, &d));
	for (i = 0; i < scaled(6, 2); i++)
		ASSERT_WELL(mix_round(&self->g, &mix, &self->rng));
	dirty_free(&self->g);
}

/* Once a stop has returned the log is complete, that of the used ring too. */
TEST_F_TIMEOUT(disk, stopped, 120)
{
	struct guest_opts opts = {
		.backend = &self->b, .num = 1024, .mem = 4 << 20, .features_on = LOG_ALL,
	};
	struct mix_opts mix = {};
	struct request *q;
	struct dirty d;
	unsigned int i;

	ASSERT_WELL(boot_logged(&self->g, &opts, 0, &mix, &d));
	d.stopped = true;
	q = request_new(&self->g, VIRTIO_BLK_T_IN, 8, 4096);
	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	for (i = 0; i < scaled(1000, 100); i++) {
		request_arm(q, i);
		dirty_begin(&self->g);
		dirty_may_request(&self->g, q, true);
		/* stopped as soon as the index is seen */
		ASSERT_WELL(request_run(&self->g.ring[0], q, 20000));
		ASSERT_EQ(0, guest_set_running(&self->g, 0));
		ASSERT_WELL(dirty_check(&self->g));
		ASSERT_LT(1, d.changed);
		ASSERT_EQ(0, guest_set_running(&self->g, 1));
	}
	request_free(q);
	dirty_free(&self->g);
}

#define WIDE_SEG	(4U << 20)
#define WIDE_SEGS	1024	/* 2^32 bytes */
#define WIDE_TAIL	4096

/* An indirect table with data of 2^32 + 4096 bytes; all descriptors refer to 4 MiB. */
static uint64_t wide_table(struct guest *g, uint64_t hdr, uint64_t data, uint64_t status,
			   uint16_t data_flags)
{
	const unsigned int n = WIDE_SEGS + 3;
	uint64_t table = guest_alloc(g, n * sizeof(struct vring_desc), 16);
	struct vring_desc *d = guest_ptr(g, table, n * sizeof(*d));
	unsigned int i;

	for (i = 0; i < n; i++)
		d[i] = (struct vring_desc){
			.addr = htole64(data), .len = htole32(WIDE_SEG),
			.flags = htole16(VRING_DESC_F_NEXT | data_flags),
			.next = htole16(i + 1),
		};
	d[0] = (struct vring_desc){
		.addr = htole64(hdr), .len = htole32(sizeof(struct virtio_blk_outhdr)),
		.flags = htole16(VRING_DESC_F_NEXT), .next = htole16(1),
	};
	d[n - 2].len = htole32(WIDE_TAIL);
	d[n - 1] = (struct vring_desc){
		.addr = htole64(status), .len = htole32(1),
		.flags = htole16(VRING_DESC_F_WRITE),
	};
	return table;
}

/* The device writes @written bytes at the start of the data, and the status. */
static const char *run_wide(struct guest *g, uint32_t type, uint8_t expect, uint32_t written)
{
	bool out = type == VIRTIO_BLK_T_OUT;
	struct virtio_blk_outhdr h = { .type = htole32(type), .sector = htole64(8) };
	struct ring *r = &g->ring[0];
	struct vring_used_elem *e = &r->used->ring[r->used_idx % r->num];
	uint64_t mark = g->bump, hdr, data, status, table;
	const char *why;
	unsigned int i;

	hdr = guest_alloc(g, sizeof(h), 4096);
	data = guest_alloc(g, WIDE_SEG, 4096);
	status = guest_alloc(g, 4096, 4096);
	table = wide_table(g, hdr, data, status, out ? 0 : VRING_DESC_F_WRITE);
	guest_write(g, hdr, &h, sizeof(h));
	*(uint8_t *)guest_ptr(g, status, 1) = STATUS_POISON;
	memset(guest_ptr(g, data, WIDE_SEG), STATUS_POISON, WIDE_SEG);
	dirty_begin(g);
	dirty_may(g, data, written);
	dirty_may(g, status, 1);
	ring_put_desc(r, 0, table, (WIDE_SEGS + 3) * sizeof(struct vring_desc),
		      VRING_DESC_F_INDIRECT, 0);
	ring_add_raw(r, 0);
	ring_kick_now(r);
	for (i = 0; i < 1000 && ring_device_idx(r) == r->used_idx; i++)
		usleep(10000);
	if (ring_device_idx(r) != (uint16_t)(r->used_idx + 1))
		return guest_say(g, "type %u: not completed", type);
	r->used_idx++;
	why = dirty_check(g);
	if (!why && *(uint8_t *)guest_ptr(g, status, 1) != expect)
		why = guest_say(g, "type %u: status %u", type,
				*(uint8_t *)guest_ptr(g, status, 1));
	/* if no data precedes it, the status counts */
	if (!why && le32toh(e->len) != (out ? 1 : written))
		why = guest_say(g, "type %u: %u bytes written", type, le32toh(e->len));
	guest_release(g, mark);
	return why;
}

/*
 * Data of more bytes than 32 bits can count.  The length truncated to 32 bits
 * would be right for a read, but the status would then be in the second page of
 * the data.
 */
TEST_F(disk, wide)
{
	struct guest_opts opts = {
		.backend = &self->b, .mem = 8 << 20, .features_on = LOG_ALL,
	};
	struct mix_opts mix = { 0 };
	struct dirty d;

	if (model_wanted())
		SKIP(return, "the model device accepts only shorter chains");
	ASSERT_WELL(boot_logged(&self->g, &opts, 0, &mix, &d));
	ASSERT_WELL(run_wide(&self->g, VIRTIO_BLK_T_IN, VIRTIO_BLK_S_IOERR, 0));
	ASSERT_WELL(run_wide(&self->g, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_IOERR, 0));
	ASSERT_WELL(run_wide(&self->g, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_S_OK, 0));
	ASSERT_WELL(run_wide(&self->g, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_S_OK,
			     VHOST_BLK_SERIAL_LEN));
	ASSERT_WELL(run_wide(&self->g, 0x7fffffff, VIRTIO_BLK_S_UNSUPP, 0));
	dirty_free(&self->g);
}

/* Have reads in flight; a fast backend may have completed some. */
static const char *reads_in_flight(struct guest *g, struct batch *b, struct rng *rng)
{
	struct batch_opts opts = { .per_queue = 20, .reads_only = true, .max_sectors = 16 };
	const char *why;

	batch_build(b, g, &opts, rng);
	dirty_begin(g);
	why = batch_submit(b);
	if (rng_next(rng) & 1)
		usleep(rng_below(rng, 4000));
	return why;
}

/* After the switch writes are logged if it is on, and not logged if it is off. */
TEST_F_TIMEOUT(flight, switched, 120)
{
	struct guest *g = &self->g;
	struct batch *b = &self->batch;
	struct mix_opts mix = { 0 };
	unsigned int i, changed = 0;
	struct dirty d;

	dirty_attach(g, &d);
	ASSERT_EQ(0, dirty_set_base(g));
	for (i = 0; i < scaled(6, 3); i++) {
		/* on */
		ASSERT_WELL(reads_in_flight(g, b, &self->rng));
		ASSERT_EQ(0, dirty_switch(g, true));
		dirty_begin(g);
		dirty_may_all(g);
		ASSERT_WELL(batch_wait(b, 20000));
		ASSERT_WELL(dirty_check(g));
		changed += d.changed;
		ASSERT_WELL(batch_check(b));
		batch_free(b);
		ASSERT_WELL(mix_round(g, &mix, &self->rng));
		/* off */
		ASSERT_WELL(reads_in_flight(g, b, &self->rng));
		ASSERT_EQ(0, dirty_switch(g, false));
		dirty_begin(g);
		ASSERT_WELL(batch_wait(b, 20000));
		ASSERT_EQ(0, dirty_count(g));
		ASSERT_WELL(batch_check(b));
		batch_free(b);
	}
	TH_LOG("%u pages changed after a switch", changed);
	dirty_free(g);
}

static void *switch_often(void *arg)
{
	struct guest *g = arg;
	struct guest copy = *g;
	unsigned int i = 0;

	/* a copy of the features: the other thread uses those of the boot */
	while (!__atomic_load_n(&g->opts.serial, __ATOMIC_ACQUIRE))
		if (dirty_switch(&copy, ++i & 1))
			abort();
	if (dirty_switch(&copy, false))
		abort();
	return NULL;
}

/* Switch the log under a guest that never pauses: no request is lost, repeated or wrong. */
TEST_F_TIMEOUT(flight, switched_under_load, 120)
{
	struct batch_opts opts = { .per_queue = 16 };
	struct guest *g = &self->g;
	pthread_t thread;
	struct dirty d;
	unsigned int i;

	dirty_attach(g, &d);
	ASSERT_EQ(0, dirty_set_base(g));
	ASSERT_EQ(0, pthread_create(&thread, NULL, switch_often, g));
	for (i = 0; i < scaled(12, 5); i++)
		ASSERT_WELL(batch_round(g, &opts, &self->rng));
	__atomic_store_n(&g->opts.serial, "vhost-blk-test", __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	ASSERT_WELL(guest_prove(g));
	dirty_free(g);
}

/* Replace the bitmap while requests are in flight: the old one is not written any more. */
TEST_F_TIMEOUT(flight, other_bitmap, 120)
{
	struct guest *g = &self->g;
	struct batch *b = &self->batch;
	struct dirty d;
	unsigned int i;

	dirty_attach(g, &d);
	ASSERT_EQ(0, dirty_set_base(g));
	ASSERT_EQ(0, dirty_switch(g, true));
	for (i = 0; i < scaled(6, 3); i++) {
		uint8_t *old;
		uint64_t k;

		ASSERT_WELL(reads_in_flight(g, b, &self->rng));
		old = dirty_replace(g);
		ASSERT_EQ(0, dirty_set_base(g));
		/* a write to the old bitmap would break its queue */
		ASSERT_EQ(0, mprotect(old, 4096, PROT_READ));
		ASSERT_WELL(batch_wait(b, 20000));
		/* requests that were in flight are logged in one of the two */
		for (k = 0; k < d.len; k++)
			__atomic_fetch_or(&d.bits[k], old[k], __ATOMIC_RELAXED);
		dirty_may_all(g);
		ASSERT_WELL(dirty_check(g));
		ASSERT_WELL(batch_check(b));
		batch_free(b);
		dirty_unmap(g, old);
	}
	dirty_free(g);
}

/* A request that cannot be logged breaks its queue, and is not completed. */
static const char *breaks(struct ring *r, uint32_t type)
{
	struct guest *g = r->guest;
	struct request *q = request_new(g, type, 8, 4096);
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 1);
	ring_add(r, q);
	ring_kick(r);
	why = check_broken(r);
	if (!why && type == VIRTIO_BLK_T_OUT)
		backend_model_write(g->opts.backend, 8 * SECTOR, q->data, q->len);
	request_free(q);
	return why;
}

/* The memory of the log is unmapped while the device runs. */
TEST_F_TIMEOUT(flight, unmapped, 60)
{
	struct guest *g = &self->g;
	struct batch *b = &self->batch;
	struct dirty d;

	dirty_attach(g, &d);
	ASSERT_EQ(0, dirty_set_base(g));
	ASSERT_EQ(0, dirty_switch(g, true));
	ASSERT_EQ(0, mprotect(d.bits, 4096, PROT_NONE));
	ASSERT_WELL(breaks(&g->ring[0], VIRTIO_BLK_T_IN));
	ASSERT_WELL(breaks(&g->ring[1], VIRTIO_BLK_T_OUT));
	ASSERT_EQ(0, mprotect(d.bits, 4096, PROT_READ | PROT_WRITE));
	ASSERT_WELL(check_repaired(g));
	/* with requests in flight */
	ASSERT_WELL(reads_in_flight(g, b, &self->rng));
	ASSERT_EQ(0, mprotect(d.bits, 4096, PROT_READ));
	if (variant->kind == BACKEND_SLOW)
		ASSERT_TRUE(eventfd_wait(g->ring[0].err, 10000));
	ASSERT_EQ(0, guest_set_running(g, 0));
	batch_free(b);
	ASSERT_EQ(0, mprotect(d.bits, 4096, PROT_READ | PROT_WRITE));
	ASSERT_WELL(check_repaired(g));
	ASSERT_EQ(0, dirty_switch(g, false));
	dirty_free(g);
}

/* Nothing is logged without the feature, or without the flag of the rings. */
TEST_F(ioctl, off)
{
	struct guest *g = &self->g;
	struct dirty d;

	UP_TO(STAGE_RUNNING);
	dirty_attach(g, &d);
	ASSERT_EQ(0, dirty_set_base(g));
	ASSERT_EQ(0, dirty_switch(g, true));
	ASSERT_WELL(guest_prove(g));
	EXPECT_LT(0, dirty_count(g));
	ASSERT_EQ(0, dirty_switch(g, false));
	dirty_begin(g);
	ASSERT_WELL(guest_prove(g));
	EXPECT_EQ(0, dirty_count(g));
	dirty_free(g);
}

/* The eventfd of the log is signalled when a page is logged. */
TEST_F(ioctl, eventfd)
{
	struct guest *g = &self->g;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), none = -1, bad = 1000;
	struct dirty d;

	UP_TO(STAGE_RUNNING);
	dirty_attach(g, &d);
	ASSERT_EQ(0, dirty_set_base(g));
	ASSERT_EQ(0, guest_ioctl(g, VHOST_SET_LOG_FD, &fd));
	ASSERT_WELL(guest_prove(g));
	EXPECT_EQ(0, eventfd_drain(fd));
	ASSERT_EQ(0, dirty_switch(g, true));
	ASSERT_WELL(guest_prove(g));
	EXPECT_LT(0, eventfd_drain(fd));
	EXPECT_EQ(-EBADF, guest_ioctl(g, VHOST_SET_LOG_FD, &bad));
	ASSERT_WELL(guest_prove(g));
	EXPECT_LT(0, eventfd_drain(fd));
	ASSERT_EQ(0, guest_ioctl(g, VHOST_SET_LOG_FD, &none));
	/* avail_event may have been logged since */
	eventfd_drain(fd);
	ASSERT_WELL(guest_prove(g));
	EXPECT_EQ(0, eventfd_drain(fd));
	ASSERT_EQ(0, dirty_switch(g, false));
	close(fd);
	dirty_free(g);
}

/*
 * A running queue refuses a log of its used ring at an address that no process
 * can have, and keeps the log that it has.
 */
TEST_F(ioctl, used_log_nowhere)
{
	struct vhost_vring_addr addr = {
		.flags = 1 << VHOST_VRING_F_LOG, .log_guest_addr = NOWHERE,
	};
	struct guest *g = &self->g;
	struct ring *r = &g->ring[0];
	struct request *q;
	struct dirty d;

	UP_TO(STAGE_RUNNING);
	dirty_attach(g, &d);
	ASSERT_EQ(0, dirty_set_base(g));
	ASSERT_EQ(0, dirty_switch(g, true));
	addr.desc_user_addr = (uintptr_t)r->desc;
	addr.avail_user_addr = (uintptr_t)r->avail;
	addr.used_user_addr = (uintptr_t)r->used;
	EXPECT_EQ(-EINVAL, guest_ioctl(g, VHOST_SET_VRING_ADDR, &addr));
	q = request_new(g, VIRTIO_BLK_T_IN, 8, 4096);
	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 1);
	dirty_begin(g);
	dirty_may_request(g, q, true);
	ASSERT_WELL(request_run(r, q, 20000));
	/* the used entry is logged, too */
	ASSERT_WELL(dirty_check(g));
	ASSERT_LT(1, d.changed);
	request_free(q);
	ASSERT_EQ(0, dirty_switch(g, false));
	dirty_free(g);
}

/* A log address outside of user space is refused by the call that would use it. */
TEST_F(ioctl, nowhere)
{
	uint64_t nowhere = NOWHERE, on;
	struct guest *g = &self->g;
	struct dirty d;

	UP_TO(STAGE_RUNNING);
	dirty_attach(g, &d);
	on = g->features | LOG_ALL;
	/* the log is off, so the address is not checked */
	ASSERT_EQ(0, guest_ioctl(g, VHOST_SET_LOG_BASE, &nowhere));
	EXPECT_EQ(-EFAULT, guest_ioctl(g, VHOST_SET_FEATURES, &on));
	ASSERT_WELL(guest_prove(g));
	ASSERT_EQ(0, guest_set_running(g, 0));
	ASSERT_EQ(0, guest_ioctl(g, VHOST_SET_FEATURES, &on));
	EXPECT_EQ(-EFAULT, guest_set_running(g, 1));
	ASSERT_EQ(0, dirty_set_base(g));
	ASSERT_EQ(0, guest_set_running(g, 1));
	ASSERT_WELL(guest_prove(g));
	EXPECT_EQ(-EFAULT, guest_ioctl(g, VHOST_SET_LOG_BASE, &nowhere));
	ASSERT_WELL(guest_prove(g));
	ASSERT_EQ(0, dirty_switch(g, false));
	dirty_free(g);
}

TEST_HARNESS_MAIN
