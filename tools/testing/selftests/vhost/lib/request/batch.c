// SPDX-License-Identifier: GPL-2.0
/* Many requests at once */
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "ranges.h"

static void cut(struct request *q, const struct batch_opts *o, struct rng *rng)
{
	if (q->guest->opts.num == 2)
		request_cut(q, NULL, 0, NULL, 0);
	else if (o->max_segs)
		request_cut_random(q, rng, o->max_segs);
	else
		request_cut_usual(q);
}

static uint32_t pick_type(struct guest *g, const struct batch_opts *o, struct rng *rng)
{
	static const uint32_t type[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };

	if (o->ranges && rng_next(rng) & 1) {
		uint32_t t = type[rng_below(rng, ARRAY_SIZE(type))];

		if (ranges_status(g, t) == VIRTIO_BLK_S_OK)
			return t;
	}
	if (o->reads_only || (!o->writes_only && rng_next(rng) & 1))
		return VIRTIO_BLK_T_IN;
	return VIRTIO_BLK_T_OUT;
}

static struct request *build_one(struct batch *b, const struct batch_opts *o,
				 uint64_t sector, uint32_t room, struct rng *rng)
{
	struct guest *g = b->guest;
	uint32_t block = o->block ? o->block : g->opts.backend->block / SECTOR;
	uint32_t len = (1 + rng_below(rng, room / block)) * block * SECTOR;
	bool may_indirect = guest_has(g, VIRTIO_RING_F_INDIRECT_DESC) && !o->direct_only;
	uint32_t type = pick_type(g, o, rng);
	struct range range = { sector, len / SECTOR, 0 };
	struct request *q;

	if (ranges_type(type))
		q = ranges_new(g, type, sizeof(range));
	else
		q = request_new(g, type, sector, len);
	cut(q, o, rng);
	request_place(q, rng_next(rng) & 1 ? PLACE_PACKED : PLACE_ALIGNED, rng);
	request_set_indirect(q, may_indirect && rng_next(rng) & 1);
	request_arm(q, rng_next(rng));
	if (ranges_type(type))
		request_put_data(q, &range);
	q->tag = b->n;
	return q;
}

static void push(struct batch *b, struct request *q, unsigned int ring)
{
	if (!(b->n & (b->n - 1))) {
		size_t cap = b->n ? 2 * b->n : 1;

		b->q = realloc(b->q, cap * sizeof(*b->q));
		b->ring = realloc(b->ring, cap * sizeof(*b->ring));
	}
	b->q[b->n] = q;
	b->ring[b->n++] = ring;
}

void batch_build(struct batch *b, struct guest *g, const struct batch_opts *opts,
		 struct rng *rng)
{
	unsigned int room = opts->max_sectors ? opts->max_sectors : 4 + opts->block;
	uint64_t sectors = g->opts.backend->writable / SECTOR;
	unsigned int i, left, count;
	uint64_t sector = 0;

	room = backend_up(g->opts.backend, room);
	memset(b, 0, sizeof(*b));
	b->guest = g;
	b->mark = g->bump;
	for (i = 0; i < g->nrings; i++) {
		left = g->ring[i].nfree;
		for (count = 0; !opts->per_queue || count < opts->per_queue; count++) {
			struct request *q;
			unsigned int need;

			if (sector + room > sectors || left < 1)
				break;
			q = build_one(b, opts, sector, room, rng);
			need = q->indirect ? 1 : q->nout + q->nin;
			if (need > left) {
				request_free(q);
				break;
			}
			left -= need;
			sector += room;
			push(b, q, i);
		}
	}
}

const char *batch_submit(struct batch *b)
{
	unsigned int i;

	guest_snapshot(b->guest);
	for (i = 0; i < b->n; i++)
		if (ring_add(&b->guest->ring[b->ring[i]], b->q[i]))
			return guest_say(b->guest, "the ring is full");
	for (i = 0; i < b->guest->nrings; i++)
		ring_kick(&b->guest->ring[i]);
	return NULL;
}

const char *batch_wait(struct batch *b, int ms)
{
	const char *why = NULL;
	unsigned int i;

	for (i = 0; !why && i < b->guest->nrings; i++)
		why = ring_wait(&b->guest->ring[i], ring_inflight(&b->guest->ring[i]), ms);
	return why;
}

const char *batch_check(struct batch *b)
{
	const char *why = NULL;
	unsigned int i;

	for (i = 0; !why && i < b->n; i++)
		why = request_outcome(b->q[i], VIRTIO_BLK_S_OK);
	if (!why)
		why = guest_compare(b->guest);
	return why ? why : backend_compare_all(b->guest->opts.backend);
}

void batch_free(struct batch *b)
{
	unsigned int i;

	for (i = 0; i < b->n; i++)
		request_free(b->q[i]);
	free(b->q);
	free(b->ring);
	guest_release(b->guest, b->mark);
	memset(b, 0, sizeof(*b));
}

const char *batch_round(struct guest *g, const struct batch_opts *opts, struct rng *rng)
{
	struct batch b;
	const char *why;

	batch_build(&b, g, opts, rng);
	why = batch_submit(&b);
	if (!why)
		why = batch_wait(&b, 30000);
	if (!why)
		why = batch_check(&b);
	batch_free(&b);
	return why;
}
