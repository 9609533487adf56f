// SPDX-License-Identifier: GPL-2.0
/* Compare the dirty log with all of guest memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dirty.h"
#include "iommu.h"

static uint8_t *map_bits(uint64_t len)
{
	uint64_t room = (len + 4095) & ~4095ULL;
	uint8_t *map = mmap(NULL, room + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED || mprotect(map, room, PROT_READ | PROT_WRITE))
		abort();
	return map;
}

void dirty_unmap(struct guest *g, uint8_t *bits)
{
	munmap(bits, ((g->dirty->len + 4095) & ~4095ULL) + 4096);
}

void dirty_attach(struct guest *g, struct dirty *d)
{
	uint64_t end = 0;
	unsigned int i;

	memset(d, 0, sizeof(*d));
	for (i = 0; i < g->nregions; i++) {
		struct region *r = &g->region[i];

		if (r->gpa + r->len > end)
			end = r->gpa + r->len;
		d->before[i] = malloc(r->len);
	}
	d->len = (end / LOG_PAGE + 7) / 8;
	d->bits = map_bits(d->len);
	d->may = calloc(1, d->len);
	g->dirty = d;
}

void dirty_free(struct guest *g)
{
	unsigned int i;

	if (!g->dirty)
		return;
	for (i = 0; i < MAX_REGIONS; i++)
		free(g->dirty->before[i]);
	free(g->dirty->may);
	dirty_unmap(g, g->dirty->bits);
	g->dirty = NULL;
}

long dirty_set_base(struct guest *g)
{
	uint64_t base = (uintptr_t)g->dirty->bits;

	return guest_ioctl(g, VHOST_SET_LOG_BASE, &base);
}

uint8_t *dirty_replace(struct guest *g)
{
	uint8_t *old = g->dirty->bits;

	g->dirty->bits = map_bits(g->dirty->len);
	return old;
}

/* First set the feature, then the flag of the rings, as QEMU does. */
long dirty_switch(struct guest *g, bool on)
{
	uint64_t bit = BIT64(VHOST_F_LOG_ALL);
	struct dirty *d = g->dirty;
	unsigned int i;
	long ret;

	ret = guest_set_features(g, on ? g->features | bit : g->features & ~bit);
	if (!on)
		g->dirty = NULL;
	for (i = 0; !ret && i < g->nrings; i++)
		ret = ring_set_addr(&g->ring[i]);
	g->dirty = d;
	return ret;
}

static bool get(const uint8_t *bits, uint64_t page)
{
	return __atomic_load_n(&bits[page / 8], __ATOMIC_ACQUIRE) & 1 << page % 8;
}

/* Pages that may be logged, by guest-physical address */
static void may_physical(struct dirty *d, uint64_t gpa, uint64_t len)
{
	uint64_t page;

	for (page = gpa / LOG_PAGE; len && page <= (gpa + len - 1) / LOG_PAGE; page++)
		d->may[page / 8] |= 1 << page % 8;
}

void dirty_may(struct guest *g, uint64_t addr, uint64_t len)
{
	while (len) {
		uint64_t part = len;
		uint64_t gpa = g->iommu ? iommu_translate(g, addr, &part) : addr;

		may_physical(g->dirty, gpa, part);
		addr += part;
		len -= part;
	}
}

/* Pages of the bytes [from, from + len) of the device-writable part */
static void may_stream(struct guest *g, const struct request *q, uint32_t from, uint32_t len)
{
	unsigned int i;

	for (i = q->nout; i < q->nout + q->nin && len; i++) {
		const struct seg *s = &q->seg[i];
		uint32_t part;

		if (from >= s->len) {
			from -= s->len;
			continue;
		}
		part = s->len - from < len ? s->len - from : len;
		dirty_may(g, s->gpa + from, part);
		len -= part;
		from = 0;
	}
}

void dirty_may_request(struct guest *g, const struct request *q, bool data)
{
	if (data)
		may_stream(g, q, 0, q->in_len - 1);
	may_stream(g, q, q->in_len - 1, 1);
}

void dirty_may_all(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < g->nregions; i++)
		may_physical(g->dirty, g->region[i].gpa, g->region[i].len);
}

static uint64_t used_len(const struct ring *r)
{
	return 6 + sizeof(struct vring_used_elem) * r->num;
}

void dirty_begin(struct guest *g)
{
	struct dirty *d = g->dirty;
	unsigned int i;

	memset(d->bits, 0, d->len);
	memset(d->may, 0, d->len);
	for (i = 0; i < g->nregions; i++)
		memcpy(d->before[i], g->region[i].hva, g->region[i].len);
	for (i = 0; i < g->nrings; i++)
		may_physical(d, g->ring[i].used_gpa, used_len(&g->ring[i]));
}

unsigned int dirty_count(struct guest *g)
{
	unsigned int n = 0;
	uint64_t page;

	for (page = 0; page < g->dirty->len * 8; page++)
		n += get(g->dirty->bits, page);
	return n;
}

static bool in_used_ring(struct guest *g, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < g->nrings; i++)
		if (gpa + LOG_PAGE > g->ring[i].used_gpa &&
		    gpa < g->ring[i].used_gpa + used_len(&g->ring[i]))
			return true;
	return false;
}

/* Of the rings, the device writes only the used ring. */
static bool is_drivers(struct guest *g, unsigned int region, uint64_t off)
{
	return !region && off < g->data_start && !in_used_ring(g, g->region[0].gpa + off);
}

/*
 * The vhost core writes the used index, flags and avail_event, and then logs them.  A guest that
 * looks at the index may see it before, and a page of the used ring is logged a moment later.
 * Data and status are logged before the index is written, so they are not waited for; and
 * nothing is, once the queues are stopped.
 */
static bool is_logged(struct guest *g, uint64_t gpa)
{
	struct dirty *d = g->dirty;
	unsigned int ms = d->stopped || !in_used_ring(g, gpa) ? 0 : 1000;

	while (!get(d->bits, gpa / LOG_PAGE)) {
		if (!ms--)
			return false;
		usleep(1000);
	}
	return true;
}

static const char *check_region(struct guest *g, unsigned int i)
{
	struct region *r = &g->region[i];
	struct dirty *d = g->dirty;
	uint64_t off;

	for (off = 0; off < r->len; off += LOG_PAGE) {
		if (!memcmp(d->before[i] + off, r->hva + off, LOG_PAGE) ||
		    is_drivers(g, i, off))
			continue;
		d->changed++;
		if (!is_logged(g, r->gpa + off))
			return guest_say(g, "the page at 0x%llx changed and is not logged",
					 (unsigned long long)(r->gpa + off));
	}
	return NULL;
}

const char *dirty_check(struct guest *g)
{
	struct dirty *d = g->dirty;
	const char *why = NULL;
	uint64_t page;
	unsigned int i;

	d->changed = 0;
	d->logged = 0;
	for (i = 0; !why && i < g->nregions; i++)
		why = check_region(g, i);
	for (page = 0; !why && page < d->len * 8; page++) {
		if (!get(d->bits, page))
			continue;
		d->logged++;
		if (!get(d->may, page))
			why = guest_say(g, "0x%llx is logged, but no request can have written it",
					(unsigned long long)page * LOG_PAGE);
	}
	return why;
}
