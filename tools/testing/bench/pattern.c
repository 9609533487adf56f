// SPDX-License-Identifier: GPL-2.0
/*
 * Choice of the next block, and contents of blocks.  Each lane uses a part of the device
 * that no other lane uses.  With --verify, each slot uses every depth-th block of that
 * part: a block is never in flight twice, so its content is known.
 */
#include <stdlib.h>
#include <string.h>

#include "load.h"

struct stamp {
	uint64_t block;
	uint32_t generation;
	uint32_t part;			/* of the block, in sectors */
};

void pattern_init(struct lane *l)
{
	const struct load *load = l->load;
	uint64_t total = l->dev->size / load->block;

	l->blocks = total / load->queues / load->depth * load->depth;
	l->first_block = l->index * l->blocks;
	l->random = 88172645463325252ULL + l->index;
	if (load->verify)
		l->generation = calloc(l->blocks ? l->blocks : 1, sizeof(*l->generation));
}

static uint64_t next_random(struct lane *l)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return l->random;
}

/* A number below @n without a division */
static uint64_t random_below(struct lane *l, uint64_t n)
{
	return ((next_random(l) >> 32) * n) >> 32;
}

void pattern_aim(struct lane *l, struct slot *s)
{
	unsigned int depth = l->load->depth;

	if (l->load->sequential && l->load->verify) {
		s->block = l->first_block + s->turn * depth + s->nr;
		s->turn = (s->turn + 1) * depth < l->blocks ? s->turn + 1 : 0;
	} else if (l->load->sequential) {
		s->block = l->first_block + l->next;
		l->next = l->next + 1 < l->blocks ? l->next + 1 : 0;
	} else if (l->load->verify) {
		s->block = l->first_block + random_below(l, l->blocks / depth) * depth + s->nr;
	} else {
		s->block = l->first_block + random_below(l, l->blocks);
	}
}

void pattern_fill(struct lane *l, struct slot *s)
{
	unsigned int i, n = l->load->block / SECTOR;
	struct stamp stamp = { s->block, ++l->generation[s->block - l->first_block], 0 };

	for (i = 0; i < n; i++) {
		stamp.part = i;
		memcpy(s->data + i * SECTOR, &stamp, sizeof(stamp));
		memcpy(s->data + (i + 1) * SECTOR - sizeof(stamp), &stamp, sizeof(stamp));
	}
}

bool pattern_check(const struct lane *l, const struct slot *s)
{
	unsigned int i, n = l->load->block / SECTOR;
	struct stamp stamp = { s->block, l->generation[s->block - l->first_block], 0 };

	for (i = 0; i < n; i++) {
		stamp.part = i;
		if (memcmp(s->data + i * SECTOR, &stamp, sizeof(stamp)) ||
		    memcmp(s->data + (i + 1) * SECTOR - sizeof(stamp), &stamp, sizeof(stamp)))
			return false;
	}
	return true;
}
