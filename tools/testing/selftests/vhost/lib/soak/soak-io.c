// SPDX-License-Identifier: GPL-2.0
/* Requests of the soak: each range is in at most one request at a time, and is verified. */
#define _GNU_SOURCE
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ranges.h"
#include "soak.h"

#define TABLE		(64 * sizeof(struct vring_desc))
#define WINDOW		(TABLE + SOAK_MAX * SECTOR + 3072)
#define PATIENCE_MS	60000

void soak_load_init(struct soak_load *l)
{
	struct guest *g = &l->g;
	unsigned int i;

	if (posix_memalign((void **)&l->buffer, 4096, (SOAK_MAX + 16) * SECTOR))
		abort();
	for (i = 0; i < SOAK_JOBS; i++) {
		struct soak_job *j = &l->job[i];

		j->region = i >= SOAK_COLD;
		if (j->region)
			j->window = (i - SOAK_COLD) * WINDOW;
		else
			j->window = guest_alloc(g, WINDOW, 4096) - g->region[0].gpa;
	}
	if (!guest_add_region(g, 1ULL << 40, (SOAK_JOBS - SOAK_COLD) * WINDOW))
		abort();
	l->hot = true;
}

static bool range_free(struct soak_load *l, unsigned int first, unsigned int n)
{
	unsigned int i;

	for (i = first; i < first + n; i++)
		if (l->busy[i])
			return false;
	return true;
}

static bool pick_range(struct soak_load *l, struct soak_job *j)
{
	unsigned int tries;

	j->n = 1 + rng_below(&l->rng, SOAK_MAX);
	for (tries = 0; tries < 8; tries++) {
		j->first = rng_below(&l->rng, l->limit - j->n + 1);
		if (range_free(l, j->first, j->n))
			return true;
	}
	return false;
}

static uint32_t pick_type(struct soak_load *l)
{
	unsigned int dice = rng_below(&l->rng, 100);

	if (dice < 3)
		return VIRTIO_BLK_T_FLUSH;
	if (dice < 8 && guest_has(&l->g, VIRTIO_BLK_F_WRITE_ZEROES))
		return VIRTIO_BLK_T_WRITE_ZEROES;
	return dice < 52 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
}

static uint32_t data_len(uint32_t type, unsigned int n)
{
	if (type == VIRTIO_BLK_T_FLUSH)
		return 0;
	return type == VIRTIO_BLK_T_WRITE_ZEROES ? sizeof(struct range) : n * SECTOR;
}

/*
 * Put the table, the device-readable part and the device-writable part into the
 * job's window.
 */
static void lay_out(struct soak_load *l, struct soak_job *j)
{
	uint64_t window = l->g.region[j->region].gpa + j->window;
	bool aligned = rng_next(&l->rng) & 1;
	uint64_t out = window + TABLE + (aligned ? 496 : rng_below(&l->rng, 1000));
	uint64_t in = out + j->q->out_len + rng_below(&l->rng, 500);
	struct request *q = j->q;

	/* segments of direct chains must fit into the smallest ring many times */
	if (rng_below(&l->rng, 3))
		request_cut_usual(q);
	else
		request_cut_random(q, &l->rng, 8);
	request_place_at(q, out, aligned ? (in + 511) & ~511ULL : in);
	q->table = window;
	q->table_cap = TABLE / sizeof(struct vring_desc);
	request_set_indirect(q, guest_has(&l->g, VIRTIO_RING_F_INDIRECT_DESC) &&
			     rng_next(&l->rng) & 1);
	request_arm(q, 1);
}

static void put_data(struct soak_load *l, struct soak_job *j)
{
	struct range range = { j->first, j->n, 0 };
	uint8_t data[SOAK_MAX * SECTOR];
	unsigned int i;

	if (j->q->type == VIRTIO_BLK_T_WRITE_ZEROES) {
		request_put_data(j->q, &range);
		return;
	}
	for (i = 0; i < j->n; i++)
		soak_content(l->vm, j->first + i, j->gen, data + i * SECTOR);
	request_put_data(j->q, data);
}

static bool changes(const struct soak_job *j)
{
	return j->q->type == VIRTIO_BLK_T_OUT || j->q->type == VIRTIO_BLK_T_WRITE_ZEROES;
}

static void set_sent(struct soak_disk *d, const struct soak_job *j)
{
	unsigned int i;

	for (i = j->first; i < j->first + j->n; i++)
		d->sector[i].sent = j->gen;
}

static void set_acked(struct soak_disk *d, const struct soak_job *j)
{
	unsigned int i;

	for (i = j->first; i < j->first + j->n; i++)
		d->sector[i].acked = j->gen;
}

static void set_undone(struct soak_disk *d, const struct soak_job *j)
{
	unsigned int i;

	for (i = j->first; i < j->first + j->n; i++)
		d->sector[i].sent = d->sector[i].acked;
}

static void forget(struct soak_load *l, struct soak_job *j)
{
	memset(l->busy + j->first, 0, j->n);
	request_free(j->q);
	j->q = NULL;
}

/* Return: false if nothing more fits */
static bool submit_one(struct soak_load *l, struct soak_job *j)
{
	struct ring *r = &l->g.ring[rng_below(&l->rng, l->g.nrings)];
	uint32_t type = pick_type(l);

	j->n = 0;
	j->first = 0;
	j->either = false;
	if (type != VIRTIO_BLK_T_FLUSH && !pick_range(l, j))
		return false;
	j->q = request_new(&l->g, type, type == VIRTIO_BLK_T_WRITE_ZEROES ? 0 : j->first,
			   data_len(type, j->n));
	j->q->tag = j - l->job;
	memset(l->busy + j->first, 1, j->n);
	lay_out(l, j);
	if (changes(j)) {
		/* the generation is used up even if this process dies now */
		j->gen = ++l->vm->gen | (type == VIRTIO_BLK_T_WRITE_ZEROES ? SOAK_ZEROES : 0);
		put_data(l, j);
		set_sent(&l->vm->disk[l->now], j);
	}
	if (ring_add(r, j->q)) {
		if (changes(j))
			set_undone(&l->vm->disk[l->now], j);
		forget(l, j);
		return false;
	}
	l->inflight++;
	return true;
}

/*
 * Submit random numbers of jobs, so that the device is sometimes busy and
 * sometimes nearly idle.
 */
void soak_submit(struct soak_load *l)
{
	unsigned int i, want = 1 + rng_below(&l->rng, SOAK_JOBS);

	for (i = 0; i < SOAK_JOBS && l->inflight < want; i++) {
		if (l->job[i].q || (l->job[i].region && !l->hot))
			continue;
		if (!submit_one(l, &l->job[i]))
			break;
	}
	for (i = 0; i < l->g.nrings; i++)
		ring_kick(&l->g.ring[i]);
}

/* Does the data that was read agree with what this disk must hold? */
static bool agrees(struct soak_load *l, const struct soak_disk *d, const struct soak_job *j,
		   const uint8_t *data, unsigned int *bad)
{
	for (*bad = j->first; *bad < j->first + j->n; ++*bad)
		if (!soak_is(l->vm, *bad, d->sector[*bad].acked,
			     data + (*bad - j->first) * SECTOR))
			return false;
	return true;
}

static const char *check_read(struct soak_load *l, struct soak_job *j)
{
	const struct soak_disk *d = l->vm->disk;
	uint8_t data[SOAK_MAX * SECTOR];
	unsigned int bad, other;

	request_read_in(j->q, data);
	if (agrees(l, &d[l->now], j, data, &bad) ||
	    (j->either && agrees(l, &d[!l->now], j, data, &other))) {
		l->vm->count[SOAK_READ] += j->q->len;
		return NULL;
	}
	return soak_say(l->vm, "%s: sector %u reads as 0x%llx, must be of generation 0x%x",
			d[l->now].path, bad,
			*(unsigned long long *)(data + (bad - j->first) * SECTOR),
			d[l->now].sector[bad].acked);
}

/* Of a write that was in flight during a swap: is it on the old disk? */
static const char *look_behind(struct soak_load *l, const struct soak_job *j, bool *there)
{
	const struct soak_disk *d = &l->vm->disk[!l->now];
	unsigned int i, found = 0, from = j->first & ~7U;
	uint8_t *data = l->buffer;
	unsigned int n = (j->first + j->n + 7 - from) & ~7U;

	if (pread(l->fd[!l->now], data, n * SECTOR, (off_t)from * SECTOR) != (ssize_t)n * SECTOR)
		return soak_say(l->vm, "%s can't be read after a swap", d->path);
	for (i = j->first; i < j->first + j->n; i++) {
		const uint8_t *at = data + (i - from) * SECTOR;

		if (soak_is(l->vm, i, j->gen, at))
			found++;
		else if (!soak_is(l->vm, i, d->sector[i].acked, at))
			return soak_say(l->vm, "%s: sector %u is neither old nor new after a swap",
					d->path, i);
	}
	*there = found == j->n;
	/* zeroes over zeroes cannot be told from an unchanged disk */
	if (found && !*there && !(j->gen & SOAK_ZEROES))
		return soak_say(l->vm, "%s: sector %u: a write is on both disks of a swap in part",
				d->path, j->first);
	return NULL;
}

static const char *finish_change(struct soak_load *l, struct soak_job *j)
{
	struct soak_disk *now = &l->vm->disk[l->now], *before = &l->vm->disk[!l->now];
	const char *why = NULL;
	bool there = false;

	if (j->either)
		why = look_behind(l, j, &there);
	if (why)
		return why;
	set_acked(there ? before : now, j);
	if (j->either)
		set_undone(there ? now : before, j);
	l->vm->count[SOAK_WRITTEN] += (uint64_t)j->n * SECTOR;
	return NULL;
}

static const char *finish(struct soak_load *l, struct request *q)
{
	struct soak_job *j = &l->job[q->tag];
	const char *why = NULL;

	l->inflight--;
	if (request_status(q) != VIRTIO_BLK_S_OK || q->used_len != q->in_len)
		return soak_say(l->vm, "%s: type %u sector %u: status %u, used.len %u of %u",
				l->vm->disk[l->now].path, q->type, j->first, request_status(q),
				q->used_len, q->in_len);
	if (q->type == VIRTIO_BLK_T_IN)
		why = check_read(l, j);
	else if (changes(j))
		why = finish_change(l, j);
	else
		l->vm->count[SOAK_FLUSHES]++;
	l->vm->count[SOAK_REQUESTS]++;
	forget(l, j);
	return why;
}

static const char *take_all(struct soak_load *l, bool *any)
{
	const char *why = NULL;
	struct request *q;
	unsigned int i;

	for (i = 0; !why && i < l->g.nrings; i++) {
		struct ring *r = &l->g.ring[i];

		while (!why && (q = ring_take(r))) {
			why = finish(l, q);
			*any = true;
		}
		if (!why && r->why[0])
			why = soak_say(l->vm, "%s", r->why);
	}
	return why;
}

/* Like a driver: enable interrupts, check once more, sleep. */
static const char *sleep_for_one(struct soak_load *l)
{
	struct pollfd p[16];
	unsigned int i;
	bool now = false;

	for (i = 0; i < l->g.nrings; i++) {
		p[i] = (struct pollfd){ .fd = l->g.ring[i].call, .events = POLLIN };
		now |= ring_call_on(&l->g.ring[i], 0);
	}
	if (!now && poll(p, l->g.nrings, PATIENCE_MS) == 0) {
		for (i = 0; i < l->g.nrings; i++)
			if (ring_device_idx(&l->g.ring[i]) != l->g.ring[i].used_idx)
				return soak_say(l->vm, "queue %u: no interrupt", i);
		return soak_say(l->vm, "%s: nothing completes, %u in flight",
				l->vm->disk[l->now].path, l->inflight);
	}
	for (i = 0; i < l->g.nrings; i++) {
		ring_call_off(&l->g.ring[i]);
		ring_calls(&l->g.ring[i]);
	}
	return NULL;
}

const char *soak_reap(struct soak_load *l)
{
	const char *why;
	bool any = false;

	why = take_all(l, &any);
	if (!why && !any && l->inflight)
		why = sleep_for_one(l);
	return why;
}

static bool is_one(const struct soak_job *j, enum soak_which which)
{
	if (!j->q)
		return false;
	switch (which) {
	case SOAK_HOT:
		return j->region;
	case SOAK_TAIL:
		return j->first + j->n > SOAK_SMALL;
	case SOAK_ZEROING:
		return j->q->type == VIRTIO_BLK_T_WRITE_ZEROES;
	default:
		return true;
	}
}

const char *soak_quiesce(struct soak_load *l, enum soak_which which)
{
	const char *why = NULL;
	unsigned int i = 0;

	while (!why && i < SOAK_JOBS) {
		if (is_one(&l->job[i], which))
			why = soak_reap(l);
		else
			i++;
	}
	return why;
}

const char *soak_probe(struct soak_load *l, uint32_t type, unsigned int sector, uint8_t status)
{
	struct ring *r = &l->g.ring[0];
	struct request *q = request_new(&l->g, type, sector, SECTOR);
	uint64_t mark = l->g.bump;
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 1);
	why = request_run(r, q, PATIENCE_MS);
	if (!why && request_status(q) != status)
		why = soak_say(l->vm, "%s: sector %u: status %u, must be %u",
			       l->vm->disk[l->now].path, sector, request_status(q), status);
	request_free(q);
	guest_release(&l->g, mark);
	return why;
}
