// SPDX-License-Identifier: GPL-2.0
/* Data in rings: requests that are valid, nearly valid, and random */
#include <string.h>
#include <unistd.h>

#include "device_exec.h"

static struct vring_desc *desc_of(struct target *t, unsigned int q)
{
	return (struct vring_desc *)(t->mem + AT_QUEUE(q));
}

static struct vring_avail *avail_of(struct target *t, unsigned int q)
{
	return (struct vring_avail *)(t->mem + AT_QUEUE(q) + PAGE);
}

static uint64_t gpa_of(uint32_t a)
{
	switch (a >> 28) {
	case 12:	/* continues after the end of memory */
		return PLAY_GPA + PLAY_LEN - a % 5000;
	case 13:	/* in no region */
		return HOLE_GPA + a % PAGE;
	case 14:
		return play_edge(a);
	case 15:	/* in the rings themselves */
		return PLAY_GPA + a % AT_HEADERS;
	default:
		return PLAY_GPA + AT_DATA + a % (PLAY_LEN - AT_DATA);
	}
}

static void put(struct vring_desc *d, uint64_t addr, uint32_t len, uint16_t flags,
		uint16_t next)
{
	d->addr = htole64(addr);
	d->len = htole32(len);
	d->flags = htole16(flags);
	d->next = htole16(next);
}

static uint32_t edge_len(uint32_t a)
{
	return a & 1 << 20 ? play_edge(a) : a % 8192;
}

long play_desc(struct target *t, const uint32_t *a)
{
	unsigned int q = a[0] % PLAY_QUEUES, num = t->queue[q].num ? t->queue[q].num : 1;

	put(&desc_of(t, q)[(a[0] >> 8) % num % 256], gpa_of(a[1]), edge_len(a[2]), a[3] % 8,
	    a[3] >> 8 & 64 ? a[3] >> 16 : (a[3] >> 16) % num);
	return 0;
}

long play_indirect(struct target *t, const uint32_t *a)
{
	struct vring_desc *table = (struct vring_desc *)(t->mem + AT_TABLES);

	put(&table[a[0] % (4 * PAGE / sizeof(*table))], gpa_of(a[1]), edge_len(a[2]), a[3] % 8,
	    (a[3] >> 16) % 64);
	return 0;
}

static void put_header(struct target *t, unsigned int slot, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = { .type = htole32(type), .sector = htole64(sector) };

	memcpy(t->mem + AT_HEADERS + slot % 256 * sizeof(h), &h, sizeof(h));
}

static const uint8_t types[] = {
	VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID,
	VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_SECURE_ERASE,
	VIRTIO_BLK_T_ZONE_APPEND, VIRTIO_BLK_T_ZONE_REPORT, VIRTIO_BLK_T_ZONE_OPEN,
	VIRTIO_BLK_T_ZONE_CLOSE, VIRTIO_BLK_T_ZONE_FINISH, VIRTIO_BLK_T_ZONE_RESET,
	VIRTIO_BLK_T_ZONE_RESET_ALL, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
};

static uint64_t sector_of(uint32_t a)
{
	if (a >> 29 == 7)
		return play_edge(a);
	if (a >> 29 == 6)	/* starts a zone of the zoned disk */
		return a % 4 * 2048;
	return a % 2048 & ~(a & 1 << 16 ? 7ULL : 0ULL);
}

long play_header(struct target *t, const uint32_t *a)
{
	put_header(t, a[0], a[1] & 64 ? a[1] : types[a[1] % 16], sector_of(a[2]));
	return 0;
}

long play_range(struct target *t, const uint32_t *a)
{
	struct virtio_blk_discard_write_zeroes r = {
		.sector = htole64(sector_of(a[1])),
		.num_sectors = htole32(a[2] >> 28 ? a[2] % 64 & ~7U : play_edge(a[2])),
		.flags = htole32(a[3] >> 28 ? 0 : a[3]),
	};

	memcpy(t->mem + AT_RANGES + a[0] % 256 * sizeof(r), &r, sizeof(r));
	return 0;
}

static uint16_t take_desc(struct play_queue *pq)
{
	unsigned int num = pq->num && pq->num < 256 ? pq->num : 256;

	return pq->next_desc++ % num;
}

long play_avail(struct target *t, const uint32_t *a)
{
	unsigned int q = a[0] % PLAY_QUEUES;
	struct play_queue *pq = &t->queue[q];
	unsigned int num = pq->num && pq->num < 1024 ? pq->num : 1024;
	struct vring_avail *avail = avail_of(t, q);

	avail->ring[pq->avail_idx++ % num] = htole16(a[1] & 1 << 8 ? a[1] >> 16 : a[1] % num);
	store16(&avail->idx, pq->avail_idx);
	return 0;
}

/* A chain like a driver's: numbers of segments and places of their data */
struct shape {
	uint64_t data;
	uint32_t len;
	unsigned int segs;
	bool in;
	bool indirect;
};

static void shape_of(struct shape *s, unsigned int type, uint32_t a)
{
	*s = (struct shape){
		.data = PLAY_GPA + AT_DATA + (a & 1 ? a % 1024 * 16 : a % 16 * PAGE),
		.len = (1 + (a >> 4) % 16) * (a & 4 ? 4096 : 512),
		.segs = 1 + (a >> 8) % 4,
		.in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID ||
		      type == VIRTIO_BLK_T_ZONE_REPORT,
		.indirect = a & 1 << 12,
	};
	if (type >= VIRTIO_BLK_T_DISCARD && type <= VIRTIO_BLK_T_SECURE_ERASE && type != 12) {
		s->data = PLAY_GPA + AT_RANGES;
		s->len = 16 * (1 + (a >> 4) % 20);
	} else if (type == VIRTIO_BLK_T_FLUSH || type > VIRTIO_BLK_T_ZONE_REPORT) {
		s->len = 0;
	}
}

/* Put an error into one descriptor. */
static void spoil(struct vring_desc *d, uint32_t a)
{
	switch (a >> 4 & 7) {
	case 0:
		d->addr = htole64(gpa_of(a));
		break;
	case 1:
		d->len = htole32(edge_len(a));
		break;
	case 2:
		d->flags = htole16(le16toh(d->flags) ^ VRING_DESC_F_WRITE);
		break;
	case 3:
		d->flags = htole16(le16toh(d->flags) ^ VRING_DESC_F_NEXT);
		break;
	case 4:
		d->flags = htole16(le16toh(d->flags) ^ VRING_DESC_F_INDIRECT);
		break;
	case 5:
		d->next = htole16(a >> 16);
		break;
	case 6:
		d->len = 0;
		break;
	default:
		d->flags = htole16(a >> 16);
	}
}

/* Header, data in s->segs segments, eight bytes of a reply or none, status */
static unsigned int fill(struct vring_desc *d, const struct shape *s, unsigned int slot,
			 bool append)
{
	uint16_t data_flags = VRING_DESC_F_NEXT | (s->in ? VRING_DESC_F_WRITE : 0);
	uint32_t left = s->len, part = s->len / s->segs;
	uint64_t at = s->data;
	unsigned int n = 0;

	put(&d[n++], PLAY_GPA + AT_HEADERS + slot % 256 * 16, 16, VRING_DESC_F_NEXT, 0);
	while (left) {
		uint32_t len = left < 2 * part ? left : part;

		put(&d[n++], at, len, data_flags, 0);
		at += len;
		left -= len;
	}
	put(&d[n++], PLAY_GPA + AT_STATUS + slot % 256 * 16, append ? 9 : 1, VRING_DESC_F_WRITE,
	    0);
	return n;
}

/* a[0]: queue and type, a[1]: sector, a[2]: shape, a[3]: error */
long play_req(struct target *t, const uint32_t *a)
{
	unsigned int q = a[0] % PLAY_QUEUES, type = types[(a[0] >> 4) % 16], i, n;
	struct play_queue *pq = &t->queue[q];
	unsigned int slot = t->requests++;
	struct vring_desc *ring = desc_of(t, q), chain[8];
	uint64_t table = AT_TABLES + slot % 64 * 256;
	struct shape s;
	uint16_t head, at, next;

	shape_of(&s, type, a[2]);
	put_header(t, slot, type, sector_of(a[1]));
	t->mem[AT_STATUS + slot % 256 * 16] = STATUS_POISON;
	n = fill(chain, &s, slot, type == VIRTIO_BLK_T_ZONE_APPEND);
	if (s.indirect) {
		for (i = 0; i < n; i++)
			chain[i].next = htole16(i + 1);
		if (!(a[3] & 3))
			spoil(&chain[(a[3] >> 2) % n], a[3]);
		memcpy(t->mem + table, chain, n * sizeof(chain[0]));
		head = take_desc(pq);
		put(&ring[head], PLAY_GPA + table, n * sizeof(chain[0]), VRING_DESC_F_INDIRECT, 0);
	} else {
		head = take_desc(pq);
		for (i = 0, at = head; i < n; i++, at = next) {
			next = i + 1 < n ? take_desc(pq) : 0;
			chain[i].next = htole16(next);
			if (!(a[3] & 3) && i == (a[3] >> 2) % n)
				spoil(&chain[i], a[3]);
			ring[at] = chain[i];
		}
	}
	play_avail(t, (uint32_t[]){ q, head, 0, 0 });
	if (a[3] >> 30)
		play_kick(t, q);
	return 0;
}

long play_garbage(struct target *t, const uint32_t *a)
{
	struct rng rng = { a[1] };
	unsigned int q = a[0] % PLAY_QUEUES, i;

	for (i = 0; i < 256; i++)
		put(&desc_of(t, q)[i], gpa_of(rng_next(&rng)), edge_len(rng_next(&rng)),
		    rng_below(&rng, 8), rng_below(&rng, t->queue[q].num + 1));
	for (i = 0; i < 1 + a[2] % 16; i++)
		play_avail(t, (uint32_t[]){ q, rng_next(&rng), 0, 0 });
	return 0;
}

long play_avail_idx(struct target *t, const uint32_t *a)
{
	unsigned int q = a[0] % PLAY_QUEUES;

	t->queue[q].avail_idx += a[1];
	store16(&avail_of(t, q)->idx, t->queue[q].avail_idx);
	return 0;
}

long play_event(struct target *t, const uint32_t *a)
{
	unsigned int q = a[0] % PLAY_QUEUES, num = t->queue[q].num % 512;
	struct vring_avail *avail = avail_of(t, q);

	store16(&avail->flags, a[1]);
	store16(&avail->ring[num], a[2]);
	return 0;
}

long play_kick(struct target *t, unsigned int q)
{
	uint64_t one = 1;

	return write(t->queue[q % PLAY_QUEUES].kick, &one, sizeof(one)) < 0;
}
