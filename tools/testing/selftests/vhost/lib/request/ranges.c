// SPDX-License-Identifier: GPL-2.0
/* Requests whose data is an array of ranges (5.2.6). */
#include <stdlib.h>
#include <string.h>

#include "ranges.h"

bool ranges_type(uint32_t type)
{
	return type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES ||
	       type == VIRTIO_BLK_T_SECURE_ERASE;
}

unsigned int ranges_feature(uint32_t type)
{
	switch (type) {
	case VIRTIO_BLK_T_DISCARD:
		return VIRTIO_BLK_F_DISCARD;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return VIRTIO_BLK_F_WRITE_ZEROES;
	}
	return VIRTIO_BLK_F_SECURE_ERASE;
}

uint8_t ranges_status(struct guest *g, uint32_t type)
{
	return guest_has(g, ranges_feature(type)) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_UNSUPP;
}

struct request *ranges_new(struct guest *g, uint32_t type, uint32_t len)
{
	/* the sector of the header has no meaning: use one that is on no disk */
	return request_new(g, type, ~0ULL, len);
}

void ranges_arm(struct request *q, const struct range *r)
{
	request_arm(q, 0);
	request_put_data(q, r);
}

static bool inside(const struct backend *b, const struct range *r)
{
	uint64_t end = b->size / SECTOR;

	return r->sectors <= end && r->sector <= end - r->sectors;
}

void ranges_expect(struct request *q)
{
	struct backend *b = q->guest->opts.backend;
	unsigned int i;

	for (i = 0; i < q->len / sizeof(struct range); i++) {
		const struct range *r = (const struct range *)q->data + i;
		uint64_t len = (uint64_t)r->sectors * SECTOR;

		/* if the device accepts a range outside the disk, the status is wrong */
		if (!inside(b, r))
			continue;
		if (q->type == VIRTIO_BLK_T_DISCARD && !b->deterministic)
			backend_adopt(b, r->sector * SECTOR, len);
		else
			memset(b->model + r->sector * SECTOR,
			       q->type == VIRTIO_BLK_T_SECURE_ERASE ? b->erased : 0, len);
	}
}

/*
 * Compare each of the ranges and a block on either side; for a range outside,
 * the start of the disk.
 */
const char *ranges_compare(struct request *q)
{
	struct backend *b = q->guest->opts.backend;
	const char *why = NULL;
	unsigned int i;

	for (i = 0; !why && i < q->len / sizeof(struct range); i++) {
		const struct range *r = (const struct range *)q->data + i;
		bool in = inside(b, r);

		why = backend_compare_near(b, in ? r->sector * SECTOR : 0,
					   in ? (uint64_t)r->sectors * SECTOR : 0, 4096);
	}
	return why;
}

const char *ranges_run(struct ring *r, uint32_t type, const struct range *range,
		       unsigned int n, uint8_t expect)
{
	struct guest *g = r->guest;
	uint64_t mark = g->bump;
	struct request *q = ranges_new(g, type, n * sizeof(*range));
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	ranges_arm(q, range);
	why = request_verify(r, q, expect);
	request_free(q);
	guest_release(g, mark);
	return why;
}

const char *range_run(struct ring *r, uint32_t type, uint64_t sector, uint32_t sectors,
		      uint32_t flags, uint8_t expect)
{
	struct range range = { sector, sectors, flags };

	return ranges_run(r, type, &range, 1, expect);
}
