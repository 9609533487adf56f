// SPDX-License-Identifier: GPL-2.0
/* A process of the soak: load, and everything that a VMM may do at the same time */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soak.h"

#define OFF	(BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_SECURE_ERASE) | \
		 BIT64(VIRTIO_BLK_F_ZONED))

static const char *say_ret(struct soak_load *l, const char *what, long ret)
{
	return soak_say(l->vm, "%s: %s returns %ld", l->vm->disk[l->now].path, what, ret);
}

/* Requests that the device took are in the used rings, and no more complete. */
static const char *check_landed(struct soak_load *l)
{
	uint16_t before[16];
	unsigned int i;

	for (i = 0; i < l->g.nrings; i++)
		before[i] = ring_device_idx(&l->g.ring[i]);
	usleep(rng_below(&l->rng, 2000));
	for (i = 0; i < l->g.nrings; i++)
		if (ring_device_idx(&l->g.ring[i]) != before[i])
			return soak_say(l->vm, "queue %u: used while the device is stopped", i);
	return NULL;
}

static const char *take_landed(struct soak_load *l)
{
	const char *why = check_landed(l);
	unsigned int i;

	for (i = 0; !why && i < l->g.nrings; i++)
		while (!why && ring_device_idx(&l->g.ring[i]) != l->g.ring[i].used_idx)
			why = soak_reap(l);
	return why;
}

static const char *set_polling(struct soak_load *l)
{
	unsigned int i;
	long ret = 0;

	for (i = 0; !ret && i < l->g.nrings; i++)
		ret = ring_set_busyloop(&l->g.ring[i], rng_below(&l->rng, 2) ?
						       rng_below(&l->rng, 500) : 0);
	return ret ? say_ret(l, "SET_VRING_BUSYLOOP_TIMEOUT", ret) : NULL;
}

static const char *start(struct soak_load *l)
{
	const char *why = guest_boot(&l->g);

	/* there may be no kick for requests that were available during the stop */
	return why ? soak_say(l->vm, "%s", why) : set_polling(l);
}

static const char *act_stop(struct soak_load *l)
{
	long ret = guest_set_running(&l->g, 0);
	const char *why = ret ? say_ret(l, "SET_RUNNING 0", ret) : take_landed(l);

	if (why)
		return why;
	l->vm->count[SOAK_STOPS]++;
	ret = guest_set_running(&l->g, 1);
	return ret ? say_ret(l, "SET_RUNNING 1", ret) : NULL;
}

static const char *act_base(struct soak_load *l)
{
	struct ring *r = &l->g.ring[rng_below(&l->rng, l->g.nrings)];
	uint16_t base;
	long ret = ring_stop(r, &base);

	if (ret)
		return say_ret(l, "SET_VRING_RUNNING 0", ret);
	if (base != ring_device_idx(r))
		return soak_say(l->vm, "queue %u: base %u, but used %u", r->index, base,
				ring_device_idx(r));
	l->vm->count[SOAK_BASES]++;
	ret = ring_set_running(r, 1);
	return ret ? say_ret(l, "SET_VRING_RUNNING 1", ret) : NULL;
}

static const char *act_reset(struct soak_load *l)
{
	long ret = guest_ioctl(&l->g, VHOST_RESET_OWNER, NULL);
	const char *why = ret ? say_ret(l, "RESET_OWNER", ret) : take_landed(l);

	l->vm->count[SOAK_RESETS]++;
	l->g.stage = STAGE_OPEN;
	return why ? why : start(l);
}

static const char *act_reopen(struct soak_load *l)
{
	const char *why;

	guest_close(&l->g);
	why = take_landed(l);
	l->vm->count[SOAK_REOPENS]++;
	return why ? why : start(l);
}

/*
 * Requests in flight go to one of the two disks: if this process dies now,
 * either may have them.
 */
static void mark_either(struct soak_load *l)
{
	struct soak_disk *next = &l->vm->disk[!l->now];
	unsigned int i, k;

	for (i = 0; i < SOAK_JOBS; i++) {
		struct soak_job *j = &l->job[i];

		if (!j->q)
			continue;
		j->either = true;
		for (k = j->first; k < j->first + j->n; k++)
			if (j->q->type == VIRTIO_BLK_T_OUT)
				next->sector[k].sent = j->gen;
	}
}

static const char *act_swap(struct soak_load *l)
{
	unsigned int other = soak_size(&l->vm->disk[!l->now], l->fd[!l->now]);
	const char *why = soak_quiesce(l, SOAK_ZEROING);
	long ret;

	if (!why && other != l->limit)
		why = soak_quiesce(l, SOAK_TAIL);
	if (why)
		return why;
	mark_either(l);
	ret = guest_set_backend(&l->g, l->fd[!l->now], 0);
	if (ret)
		return say_ret(l, "SET_BACKEND", ret);
	l->now = !l->now;
	l->limit = other;
	l->g.opts.backend->fd = l->fd[l->now];
	l->vm->count[SOAK_SWAPS]++;
	return soak_quiesce(l, SOAK_ALL);
}

static void blank_tail(struct soak_disk *d)
{
	memset(d->sector + SOAK_SMALL, 0, (SOAK_SECTORS - SOAK_SMALL) * sizeof(d->sector[0]));
}

static const char *check_size(struct soak_load *l)
{
	struct blk_config c;

	if (guest_get_config(&l->g, &c))
		return "GET_CONFIG fails";
	if (le64toh(c.capacity) != l->limit)
		return soak_say(l->vm, "capacity %llu, must be %u",
				(unsigned long long)le64toh(c.capacity), l->limit);
	return NULL;
}

static const char *shrink(struct soak_load *l, struct soak_disk *d)
{
	const char *why = soak_quiesce(l, SOAK_TAIL);

	d->shrinking = true;
	if (!why)
		why = soak_truncate(d, SOAK_SMALL);
	if (why)
		return why;
	blank_tail(d);
	d->shrinking = false;
	l->limit = SOAK_SMALL;
	/* only sometimes, because it needs all other requests to complete */
	if (!rng_below(&l->rng, 4))
		why = soak_quiesce(l, SOAK_ALL);
	if (!why && !l->inflight)
		why = soak_probe(l, VIRTIO_BLK_T_OUT, SOAK_SMALL, VIRTIO_BLK_S_IOERR);
	return why;
}

static const char *act_resize(struct soak_load *l)
{
	struct soak_disk *d = &l->vm->disk[l->now];
	const char *why;

	if (d->file < 0)
		return NULL;
	if (l->limit == SOAK_SECTORS) {
		why = shrink(l, d);
	} else {
		why = soak_truncate(d, SOAK_SECTORS);
		l->limit = SOAK_SECTORS;
	}
	l->vm->count[SOAK_RESIZES]++;
	return why ? why : check_size(l);
}

/* Unplug a region, map other memory there, and plug it in at another address. */
static const char *act_table(struct soak_load *l)
{
	struct region *hot = &l->g.region[1];
	const char *why = soak_quiesce(l, SOAK_HOT);
	long ret;

	if (why)
		return why;
	l->g.nregions = 1;
	ret = guest_set_mem_table(&l->g);
	l->g.nregions = 2;
	if (!ret && mmap(hot->hva, hot->len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != hot->hva)
		return "mmap fails";
	hot->gpa = (1ULL << 40) + ((uint64_t)rng_below(&l->rng, 1024) << 24);
	/* for a while the guest does not have the region */
	l->hot = false;
	soak_submit(l);
	l->hot = true;
	if (!ret)
		ret = guest_set_mem_table(&l->g);
	l->vm->count[SOAK_TABLES]++;
	return ret ? say_ret(l, "SET_MEM_TABLE", ret) : NULL;
}

static const char *act_mode(struct soak_load *l)
{
	long ret = guest_set_writeback(&l->g, rng_next(&l->rng) & 1);

	l->vm->count[SOAK_MODES]++;
	return ret ? say_ret(l, "SET_CONFIG", ret) : NULL;
}

static const char *(* const act[])(struct soak_load *l) = {
	act_stop, act_base, act_reset, act_reopen, act_swap, act_swap, act_resize, act_resize,
	act_table, act_table, act_mode,
};

static const char *open_disks(struct soak_load *l)
{
	const char *why = NULL;
	unsigned int i;

	for (i = 0; !why && i < 2; i++) {
		struct soak_disk *d = &l->vm->disk[i];

		l->fd[i] = soak_open(d);
		why = l->fd[i] < 0 ? soak_say(l->vm, "%s can't be opened", d->path) :
				     soak_lock(l->vm, d, l->fd[i]);
		if (!why)
			why = soak_repair(d);
		if (!why)
			why = soak_resolve(l->vm, d, l->fd[i]);
	}
	l->now = rng_below(&l->rng, 2);
	l->limit = soak_size(&l->vm->disk[l->now], l->fd[l->now]);
	return why;
}

static const char *live(struct soak *s, struct soak_load *l)
{
	unsigned int rounds = 0, next = 20;
	const char *why = NULL;

	while (!why && !__atomic_load_n(&s->rest, __ATOMIC_RELAXED)) {
		soak_submit(l);
		why = soak_reap(l);
		if (why || ++rounds < next)
			continue;
		rounds = 0;
		next = 1 + rng_below(&l->rng, 40);
		/* sometimes the process exits with requests in flight */
		if (!rng_below(&l->rng, 200)) {
			l->vm->count[SOAK_EXITS]++;
			_exit(0);
		}
		why = act[rng_below(&l->rng, ARRAY_SIZE(act))](l);
	}
	return why ? why : soak_quiesce(l, SOAK_ALL);
}

void soak_live(struct soak *s, struct soak_vm *vm, uint64_t seed)
{
	struct soak_load l = { .vm = vm, .rng.state = seed };
	struct backend backend = { .size = SOAK_BYTES };
	struct guest_opts opts = { .backend = &backend, .features_off = OFF };
	const char *why = open_disks(&l);

	if (!why) {
		opts.queues = 1 + rng_below(&l.rng, 4);
		opts.num = 64 << rng_below(&l.rng, 3);
		if (rng_below(&l.rng, 3) == 0)
			opts.features_off |= BIT64(VIRTIO_RING_F_EVENT_IDX);
		if (rng_below(&l.rng, 3) == 0)
			opts.features_off |= BIT64(VIRTIO_RING_F_INDIRECT_DESC);
		backend.fd = l.fd[l.now];
		guest_init(&l.g, &opts);
		soak_load_init(&l);
		why = start(&l);
	}
	if (!why)
		why = live(s, &l);
	if (why && why != vm->why)
		soak_say(vm, "%s", why);
	_exit(why ? 1 : 0);
}
