// SPDX-License-Identifier: GPL-2.0
/* Zone reports and appends */
#include <stdlib.h>
#include <string.h>

#include "zones.h"

static bool is_zero(const uint8_t *p, size_t len)
{
	while (len && !*p) {
		p++;
		len--;
	}
	return !len;
}

static const char *parse(struct guest *g, const uint8_t *in, uint32_t len, struct zones *z)
{
	const struct blk_zone_report *head = (const struct blk_zone_report *)in;
	uint64_t i, room = (len - sizeof(*head)) / sizeof(struct blk_zone_desc);

	z->n = le64toh(head->nr_zones);
	if (z->n > room || z->n > MAX_ZONES)
		return guest_say(g, "%llu zones reported, but there is room for %llu",
				 (unsigned long long)z->n, (unsigned long long)room);
	if (!is_zero(head->reserved, sizeof(head->reserved)))
		return "the reserved bytes of a report are not zero";
	memcpy(z->zone, head + 1, z->n * sizeof(z->zone[0]));
	for (i = 0; i < z->n; i++)
		if (!is_zero(z->zone[i].reserved, sizeof(z->zone[i].reserved)))
			return "the reserved bytes of a zone are not zero";
	return NULL;
}

const char *zones_report(struct ring *r, uint64_t sector, uint32_t len, const uint32_t *cut,
			 struct zones *z, uint8_t expect)
{
	struct guest *g = r->guest;
	uint64_t mark = g->bump;
	struct request *q = request_new(g, VIRTIO_BLK_T_ZONE_REPORT, sector, len);
	uint8_t *in = malloc(len ? len : 1);
	const char *why;

	if (cut)
		request_cut(q, NULL, 0, cut, 1);
	else
		request_cut_usual(q);
	request_place(q, PLACE_PACKED, NULL);
	request_arm(q, 0);
	why = request_verify(r, q, expect);
	if (!why && expect == VIRTIO_BLK_S_OK) {
		request_read_in(q, in);
		why = parse(g, in, len, z);
	}
	free(in);
	request_free(q);
	guest_release(g, mark);
	return why;
}

const char *zone_is(struct ring *r, uint64_t start, uint8_t state, int64_t written)
{
	struct zones z;
	const char *why;

	why = zones_report(r, start, 128, NULL, &z, VIRTIO_BLK_S_OK);
	if (why)
		return why;
	if (z.n != 1 || le64toh(z.zone[0].z_start) != start)
		return guest_say(r->guest, "a report of zone %llu has zone %llu",
				 (unsigned long long)start,
				 (unsigned long long)le64toh(z.zone[0].z_start));
	if (z.zone[0].z_state != state)
		return guest_say(r->guest, "zone %llu is in state %u, must be %u",
				 (unsigned long long)start, z.zone[0].z_state, state);
	if (written >= 0 && le64toh(z.zone[0].z_wp) != start + written)
		return guest_say(r->guest, "zone %llu: write pointer at %llu, must be %llu",
				 (unsigned long long)start,
				 (unsigned long long)le64toh(z.zone[0].z_wp),
				 (unsigned long long)start + written);
	return NULL;
}

const char *zone_append(struct ring *r, uint64_t start, uint32_t len, enum place how,
			struct rng *rng, uint8_t expect, uint64_t *at)
{
	struct guest *g = r->guest;
	uint64_t mark = g->bump;
	struct request *q = request_new(g, VIRTIO_BLK_T_ZONE_APPEND, start, len);
	const char *why;

	if (rng)
		request_cut_random(q, rng, 8);
	else
		request_cut_usual(q);
	request_place(q, how, rng);
	request_arm(q, start * 31 + len);
	why = request_verify(r, q, expect);
	if (!why && expect == VIRTIO_BLK_S_OK) {
		request_read_in(q, at);
		*at = le64toh(*at);
		if (*at >= g->opts.backend->size / SECTOR)
			why = "an append was placed past the end";
		else
			why = backend_compare(g->opts.backend, *at * SECTOR, len);
	}
	request_free(q);
	guest_release(g, mark);
	return why;
}

struct request *zone_request(struct guest *g, uint32_t type, uint64_t sector)
{
	struct request *q = request_new(g, type, sector, 0);

	request_cut_usual(q);
	request_place(q, PLACE_PACKED, NULL);
	request_set_indirect(q, guest_has(g, VIRTIO_RING_F_INDIRECT_DESC));
	request_arm(q, 1);
	return q;
}
