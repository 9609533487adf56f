// SPDX-License-Identifier: GPL-2.0
/* Ledger of a disk whose power is cut */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger.h"

#define WORDS	(SECTOR / sizeof(uint64_t))

void ledger_init(struct ledger *l, uint64_t bytes)
{
	memset(l, 0, sizeof(*l));
	l->n = bytes / SLOT_BYTES;
	l->slot = calloc(l->n, sizeof(*l->slot));
	l->snapshot = calloc(l->n, sizeof(*l->snapshot));
}

void ledger_copy(struct ledger *l, const struct ledger *from)
{
	ledger_init(l, (uint64_t)from->n * SLOT_BYTES);
	memcpy(l->slot, from->slot, l->n * sizeof(*l->slot));
}

void ledger_free(struct ledger *l)
{
	free(l->slot);
	free(l->snapshot);
	memset(l, 0, sizeof(*l));
}

/* Each word tells its sector and its generation, and is never 0. */
static uint64_t word(uint64_t sector, unsigned int gen)
{
	return 0xabULL << 56 | (uint64_t)gen << 40 | sector;
}

void ledger_data(unsigned int i, unsigned int gen, void *data)
{
	uint64_t *to = data;
	unsigned int k;

	for (k = 0; k < SLOT_SECTORS * WORDS; k++)
		to[k] = word((uint64_t)i * SLOT_SECTORS + k / WORDS, gen);
}

#define PART_SLOTS	64

static void *aligned(void)
{
	void *buf;

	if (posix_memalign(&buf, 4096, PART_SLOTS * SLOT_BYTES))
		abort();
	return buf;
}

const char *ledger_write(struct ledger *l, int fd)
{
	const char *why = NULL;
	uint8_t *buf = aligned();
	unsigned int i, k;

	for (i = 0; !why && i < l->n; i += PART_SLOTS) {
		for (k = 0; k < PART_SLOTS; k++)
			ledger_data(i + k, 0, buf + k * SLOT_BYTES);
		if (pwrite(fd, buf, PART_SLOTS * SLOT_BYTES, (off_t)i * SLOT_BYTES) < 0)
			why = "the disk can't be filled";
	}
	free(buf);
	return why || !fsync(fd) ? why : "fsync of the fresh disk fails";
}

/* Pick a slot with nothing in flight and generations left; -1: none was found */
int ledger_pick(struct ledger *l, struct rng *rng)
{
	unsigned int tries;

	for (tries = 0; tries < 64; tries++) {
		unsigned int i = rng_below(rng, l->n);

		if (!l->slot[i].busy && l->slot[i].sent + 1 < SLOT_GENERATIONS)
			return i;
	}
	return -1;
}

void ledger_snapshot(struct ledger *l)
{
	unsigned int i;

	for (i = 0; i < l->n; i++)
		l->snapshot[i] = l->slot[i].acked;
}

/* The flush that was sent at the time of the snapshot is complete. */
void ledger_flushed(struct ledger *l)
{
	unsigned int i;

	for (i = 0; i < l->n; i++)
		if (l->slot[i].stable < l->snapshot[i])
			l->slot[i].stable = l->snapshot[i];
}

void ledger_all_stable(struct ledger *l)
{
	ledger_snapshot(l);
	ledger_flushed(l);
}

static bool whole(const uint64_t *sector, uint64_t value)
{
	unsigned int k;

	for (k = 0; k < WORDS; k++)
		if (sector[k] != value)
			return false;
	return true;
}

/*
 * Return: the youngest generation that the data of the sector can be; -1: none
 * that was sent
 */
static int generation(const struct slot *s, uint64_t number, const uint64_t *sector)
{
	int gen;

	for (gen = s->sent; gen >= 0; gen--) {
		uint64_t value = s->zeroed >> gen & 1 ? 0 : word(number, gen);

		if (whole(sector, value))
			return gen;
	}
	return -1;
}

static const char *check_sector(struct ledger *l, unsigned int i, unsigned int k,
				const uint64_t *sector)
{
	const struct slot *s = &l->slot[i];
	uint64_t number = (uint64_t)i * SLOT_SECTORS + k;
	int gen = generation(s, number, sector);

	if (gen >= 0 && gen < s->acked)
		l->lost++;
	if (gen >= s->stable)
		return NULL;
	snprintf(l->why, sizeof(l->why),
		 "sector %llu is of generation %d (0x%llx), but %u%s is stable (acked %u, sent %u)",
		 (unsigned long long)number, gen, (unsigned long long)sector[0], s->stable,
		 s->zeroed >> s->stable & 1 ? " (zeroes)" : "", s->acked, s->sent);
	return l->why;
}

const char *ledger_check(struct ledger *l, int fd)
{
	const ssize_t part = PART_SLOTS * SLOT_BYTES;
	const char *why = NULL;
	uint64_t *buf = aligned();
	unsigned int i, k;

	for (i = 0; !why && i < l->n; i += PART_SLOTS) {
		if (pread(fd, buf, part, (off_t)i * SLOT_BYTES) != part)
			why = "the disk can't be read after the cut";
		for (k = 0; !why && k < PART_SLOTS * SLOT_SECTORS; k++)
			why = check_sector(l, i + k / SLOT_SECTORS, k % SLOT_SECTORS,
					   buf + k * WORDS);
	}
	free(buf);
	return why;
}
