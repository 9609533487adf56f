// SPDX-License-Identifier: GPL-2.0
/* Guest memory: regions with guard pages, an allocator, and a shadow copy */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "iommu.h"

#define CANARY		0xc5
#define HUGE_PAGE	(2UL << 20)
#define COMPARE_SLACK	65536	/* bytes after the last allocation that are compared too */

static size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/*
 * Map memory between guard pages.  If huge pages may back it, it is aligned to
 * one.  Return: NULL on error
 */
static uint8_t *map_guarded(uint64_t len)
{
	size_t guard = page_size(), slack = len % HUGE_PAGE ? 0 : HUGE_PAGE;
	uint8_t *map, *mem, *end;

	map = mmap(NULL, len + 2 * guard + slack, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	mem = map + guard;
	if (slack)
		mem += -(uintptr_t)mem % HUGE_PAGE;
	end = map + len + 2 * guard + slack;
	if (mem - guard > map)
		munmap(map, mem - guard - map);
	if (end > mem + len + guard)
		munmap(mem + len + guard, end - (mem + len + guard));
	return mprotect(mem, len, PROT_READ | PROT_WRITE) ? NULL : mem;
}

struct region *guest_add_region(struct guest *g, uint64_t gpa, uint64_t len)
{
	struct region *r = &g->region[g->nregions];
	uint8_t *mem;

	if (g->nregions == MAX_REGIONS)
		return NULL;
	mem = map_guarded(len);
	if (!mem)
		return NULL;
	r->gpa = gpa;
	r->len = len;
	r->hva = mem;
	r->shadow = NULL;
	/* region 0 is large; guest_alloc() fills the part that is used */
	if (g->nregions)
		memset(r->hva, CANARY, len);
	g->nregions++;
	return r;
}

/* Replace the memory by that of a file; the content is lost. */
bool region_back(struct region *r, int fd)
{
	return mmap(r->hva, r->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		    0) == r->hva;
}

void guest_free_memory(struct guest *g)
{
	size_t guard = page_size();

	while (g->nregions) {
		struct region *r = &g->region[--g->nregions];

		munmap(r->hva - guard, r->len + 2 * guard);
		free(r->shadow);
	}
}

/*
 * Find the part of [addr, addr + len) that is in one region and, behind an
 * IOMMU, in one of its pages; *len is cut to it.
 */
static struct region *find_region(struct guest *g, uint64_t addr, uint64_t *len,
				  uint64_t *off)
{
	unsigned int i;

	if (g->iommu)
		addr = iommu_translate(g, addr, len);
	for (i = 0; i < g->nregions; i++) {
		struct region *r = &g->region[i];
		uint64_t left;

		if (addr < r->gpa || addr - r->gpa >= r->len)
			continue;
		*off = addr - r->gpa;
		left = r->len - *off;
		if (*len > left)
			*len = left;
		return r;
	}
	return NULL;
}

void *guest_ptr(struct guest *g, uint64_t gpa, uint64_t len)
{
	uint64_t part = len, off;
	struct region *r = find_region(g, gpa, &part, &off);

	if (!r || part < len)
		return NULL;
	return r->hva + off;
}

/* Write canaries into the part that guest_compare() checks. */
static void paint(struct guest *g)
{
	struct region *r = &g->region[0];
	uint64_t end = r->len - g->bump > COMPARE_SLACK ? g->bump + COMPARE_SLACK : r->len;

	if (g->painted >= end)
		return;
	memset(r->hva + g->painted, CANARY, end - g->painted);
	g->painted = end;
}

uint64_t guest_alloc(struct guest *g, uint64_t len, uint64_t align)
{
	struct region *r = &g->region[0];
	uint64_t at = (g->bump + align - 1) / align * align;

	if (at > r->len || len > r->len - at) {
		fprintf(stderr, "# the guest is out of memory: %llu bytes of %llu are used\n",
			(unsigned long long)g->bump, (unsigned long long)r->len);
		abort();
	}
	g->bump = at + len;
	paint(g);
	return (g->iommu ? g->iommu->base : r->gpa) + at;
}

void guest_release(struct guest *g, uint64_t mark)
{
	g->bump = mark;
}

void guest_read(struct guest *g, uint64_t gpa, void *to, uint64_t len)
{
	while (len) {
		uint64_t part = len, off;
		struct region *r = find_region(g, gpa, &part, &off);

		if (!r)
			abort();
		memcpy(to, r->hva + off, part);
		to = (char *)to + part;
		gpa += part;
		len -= part;
	}
}

void guest_write(struct guest *g, uint64_t gpa, const void *from, uint64_t len)
{
	while (len) {
		uint64_t part = len, off;
		struct region *r = find_region(g, gpa, &part, &off);

		if (!r)
			abort();
		memcpy(r->hva + off, from, part);
		from = (const char *)from + part;
		gpa += part;
		len -= part;
	}
}

/* Part of a region that a test may use: the rings at the start have other checks */
static void compared_part(struct guest *g, unsigned int i, uint64_t *start, uint64_t *end)
{
	struct region *r = &g->region[i];

	*start = i ? 0 : g->data_start;
	*end = r->len;
	/* behind an IOMMU, allocations are scattered over the whole region */
	if (!i && !g->iommu && r->len - g->bump > COMPARE_SLACK)
		*end = g->bump + COMPARE_SLACK;
}

/* Remember all of guest memory: from now on the device may only write expected bytes. */
void guest_snapshot(struct guest *g)
{
	uint64_t start, end;
	unsigned int i;

	for (i = 0; i < g->nregions; i++) {
		struct region *r = &g->region[i];

		if (!r->shadow)
			r->shadow = malloc(r->len);
		compared_part(g, i, &start, &end);
		memcpy(r->shadow + start, r->hva + start, end - start);
	}
}

/* The device is expected to write these bytes there. */
void guest_expect(struct guest *g, uint64_t gpa, const void *from, uint64_t len)
{
	while (len) {
		uint64_t part = len, off;
		struct region *r = find_region(g, gpa, &part, &off);

		if (!r)
			abort();
		memcpy(r->shadow + off, from, part);
		from = (const char *)from + part;
		gpa += part;
		len -= part;
	}
}

const char *guest_compare(struct guest *g)
{
	uint64_t start, end, k;
	unsigned int i;

	for (i = 0; i < g->nregions; i++) {
		struct region *r = &g->region[i];

		compared_part(g, i, &start, &end);
		if (!memcmp(r->shadow + start, r->hva + start, end - start))
			continue;
		for (k = start; r->shadow[k] == r->hva[k]; k++)
			;
		return guest_say(g, "guest memory at 0x%llx is 0x%02x, must be 0x%02x",
				 (unsigned long long)(r->gpa + k), r->hva[k], r->shadow[k]);
	}
	return NULL;
}
