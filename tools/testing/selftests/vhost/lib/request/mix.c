// SPDX-License-Identifier: GPL-2.0
/* Random requests of all kinds */
#include <stdlib.h>
#include <string.h>

#include "dirty.h"
#include "mix.h"

#define UNKNOWN_TYPE	0x4d5a

struct builder {
	struct mix *m;
	const struct mix_opts *o;
	struct rng *rng;
	uint64_t sector;	/* next sector without a request */
	uint64_t area;		/* next free byte of o->area */
};

static unsigned int max_sectors(const struct mix_opts *o)
{
	return o->max_sectors ? o->max_sectors : 24;
}

static uint8_t expected(struct guest *g, enum mix_kind kind)
{
	switch (kind) {
	case MIX_PAST_END:
	case MIX_ODD:
	case MIX_BROKEN:
		return VIRTIO_BLK_S_IOERR;
	case MIX_UNKNOWN:
		return VIRTIO_BLK_S_UNSUPP;
	case MIX_ZEROES:
		return guest_has(g, VIRTIO_BLK_F_WRITE_ZEROES) ? VIRTIO_BLK_S_OK :
								 VIRTIO_BLK_S_UNSUPP;
	default:
		return VIRTIO_BLK_S_OK;
	}
}

static struct request *new_request(struct builder *b, enum mix_kind kind)
{
	struct guest *g = b->m->guest;
	uint64_t end = g->opts.backend->size / SECTOR;
	uint32_t n = 1 + rng_below(b->rng, max_sectors(b->o));

	switch (kind) {
	case MIX_WRITE:
		return request_new(g, VIRTIO_BLK_T_OUT, b->sector, n * SECTOR);
	case MIX_GET_ID:
		return request_new(g, VIRTIO_BLK_T_GET_ID, 0, 1 + rng_below(b->rng, 20));
	case MIX_FLUSH:
		return request_new(g, VIRTIO_BLK_T_FLUSH, 0, 0);
	case MIX_ZEROES:
		return request_new(g, VIRTIO_BLK_T_WRITE_ZEROES, 0,
				   sizeof(struct virtio_blk_discard_write_zeroes));
	case MIX_PAST_END:
		return request_new(g, VIRTIO_BLK_T_IN, end - rng_below(b->rng, n), n * SECTOR);
	case MIX_ODD:
		return request_new(g, VIRTIO_BLK_T_IN, 0,
				   n * SECTOR + 1 + rng_below(b->rng, SECTOR - 1));
	case MIX_BROKEN:
		return request_new(g, VIRTIO_BLK_T_IN, b->o->bad_sector, 8 * SECTOR);
	default:
		return request_new(g, VIRTIO_BLK_T_IN, b->sector, n * SECTOR);
	}
}

/* The usual layout: the range is in the second descriptor. */
static void put_range(struct builder *b, struct request *q)
{
	struct virtio_blk_discard_write_zeroes range = {
		.sector = htole64(b->sector),
		.num_sectors = htole32(1 + rng_below(b->rng, max_sectors(b->o))),
	};

	memcpy(q->data, &range, sizeof(range));
	guest_write(q->guest, q->seg[1].gpa, &range, sizeof(range));
}

static void lay_out(struct builder *b, struct request *q, enum mix_kind kind)
{
	static const enum place place[] = { PLACE_PACKED, PLACE_SCATTER, PLACE_ALIGNED };
	unsigned int segs = b->o->max_segs ? b->o->max_segs : 8;
	uint64_t room = q->out_len + q->in_len + 64;
	bool may_indirect;

	if (b->o->aligned || kind == MIX_ZEROES || !rng_below(b->rng, 4))
		request_cut_usual(q);
	else
		request_cut_random(q, b->rng, segs);
	if (b->o->area && rng_next(b->rng) & 1 && b->area + room < b->o->area + b->o->area_len) {
		uint64_t in = b->area + q->out_len;

		request_place_at(q, b->area, b->o->aligned ? (in + 511) & ~511ULL : in);
		b->area += room + (b->o->aligned ? 1024 : rng_below(b->rng, 3000));
		if (b->o->aligned)
			b->area &= ~511ULL;
	} else {
		request_place(q, b->o->aligned ? PLACE_ALIGNED : place[rng_below(b->rng, 3)],
			      b->rng);
	}
	may_indirect = guest_has(q->guest, VIRTIO_RING_F_INDIRECT_DESC);
	request_set_indirect(q, may_indirect && rng_next(b->rng) & 1);
	request_arm(q, rng_next(b->rng));
	if (kind == MIX_ZEROES)
		put_range(b, q);
	if (kind == MIX_UNKNOWN)
		request_set_type(q, UNKNOWN_TYPE);
}

static enum mix_kind choose(struct builder *b)
{
	unsigned int kinds = b->o->kinds ? b->o->kinds : MIX_ALL;
	enum mix_kind kind;

	if (!b->o->bad_sector)
		kinds &= ~(1U << MIX_BROKEN);
	do
		kind = rng_below(b->rng, MIX_KINDS);
	while (!(kinds & 1U << kind));
	return kind;
}

/* Return: false if no more requests fit */
static bool add_one(struct builder *b, unsigned int ring, unsigned int *left)
{
	struct guest *g = b->m->guest;
	enum mix_kind kind = choose(b);
	struct request *q = new_request(b, kind);
	unsigned int need;

	lay_out(b, q, kind);
	need = q->indirect ? 1 : q->nout + q->nin;
	b->sector += max_sectors(b->o);
	if (need > *left || b->sector + 64 > g->opts.backend->size / SECTOR) {
		request_free(q);
		return false;
	}
	*left -= need;
	b->m->one[b->m->n++] = (struct mix_one){
		.q = q, .ring = ring, .expect = expected(g, kind),
		.writes = kind == MIX_READ || kind == MIX_GET_ID || kind == MIX_BROKEN,
	};
	return true;
}

void mix_build(struct mix *m, struct guest *g, const struct mix_opts *o, struct rng *rng)
{
	struct builder b = { .m = m, .o = o, .rng = rng, .area = o->area };
	unsigned int i, k, left, per_queue = o->per_queue ? o->per_queue : 12;

	m->guest = g;
	m->n = 0;
	m->one = calloc(g->nrings * per_queue, sizeof(*m->one));
	m->mark = g->bump;
	for (i = 0; i < g->nrings; i++) {
		left = g->ring[i].nfree;
		for (k = 0; k < per_queue && add_one(&b, i, &left); k++)
			;
	}
}

const char *mix_submit(struct mix *m)
{
	struct guest *g = m->guest;
	unsigned int i;

	guest_snapshot(g);
	if (g->dirty) {
		dirty_begin(g);
		for (i = 0; i < m->n; i++)
			dirty_may_request(g, m->one[i].q, m->one[i].writes);
	}
	for (i = 0; i < m->n; i++)
		if (ring_add(&g->ring[m->one[i].ring], m->one[i].q))
			return guest_say(g, "the ring is full");
	for (i = 0; i < g->nrings; i++)
		ring_kick(&g->ring[i]);
	return NULL;
}

const char *mix_wait(struct mix *m)
{
	const char *why = NULL;
	unsigned int i;

	for (i = 0; !why && i < m->guest->nrings; i++)
		why = ring_wait(&m->guest->ring[i], ring_inflight(&m->guest->ring[i]), 30000);
	return why;
}

static void zeroed(struct backend *b, const struct request *q)
{
	struct virtio_blk_discard_write_zeroes range;

	memcpy(&range, q->data, sizeof(range));
	memset(b->model + le64toh(range.sector) * SECTOR, 0,
	       le32toh(range.num_sectors) * SECTOR);
}

const char *mix_check(struct mix *m)
{
	struct guest *g = m->guest;
	const char *why = NULL;
	unsigned int i;

	for (i = 0; !why && i < m->n; i++) {
		struct mix_one *one = &m->one[i];

		why = request_outcome(one->q, one->expect);
		if (one->q->type == VIRTIO_BLK_T_WRITE_ZEROES && one->expect == VIRTIO_BLK_S_OK)
			zeroed(g->opts.backend, one->q);
	}
	if (!why)
		why = guest_compare(g);
	return why || !g->dirty ? why : dirty_check(g);
}

void mix_free(struct mix *m)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		request_free(m->one[i].q);
	free(m->one);
	guest_release(m->guest, m->mark);
	memset(m, 0, sizeof(*m));
}

const char *mix_round(struct guest *g, const struct mix_opts *o, struct rng *rng)
{
	const char *why;
	struct mix m;

	mix_build(&m, g, o, rng);
	why = mix_submit(&m);
	if (!why)
		why = mix_wait(&m);
	if (!why)
		why = mix_check(&m);
	mix_free(&m);
	return why;
}
