// SPDX-License-Identifier: GPL-2.0
/* Memory of the kernel, from /proc/meminfo and /proc/slabinfo */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "flat.h"

/*
 * Objects that a cache may have more than after the warm-up.  A leak of one
 * object per stop, swap or exit is hundreds of objects in the shortest run.
 */
#define MAX_OBJECTS	64
#define MAX_SHARE	20		/* or this fraction of its objects: one in MAX_SHARE */
#define MAX_USED	4096		/* KiB */
#define KTHREADD	2		/* its pid */
#define MAX_IDLE	8		/* kworkers */
#define IDLE_TIMEOUT	360		/* s; the kernel's IDLE_WORKER_TIMEOUT is 300 */

/* Free objects that KASAN holds back, and empty slabs. */
static void shrink_slabs(void)
{
	DIR *dir = opendir("/sys/kernel/slab");
	struct dirent *d;
	char path[300];

	while (dir && (d = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s", d->d_name);
		if (d->d_name[0] != '.')
			put_attr(path, "shrink", "1");
	}
	if (dir)
		closedir(dir);
}

static void settle(void)
{
	unsigned int i;

	sync();
	/* objects are freed by RCU, by work items, and by work items of those */
	for (i = 0; i < 3; i++) {
		sleep(1);
		put_attr("/proc/sys/vm", "drop_caches", "3");
		shrink_slabs();
	}
	/* fails without kmemleak; the host's init reads the reports */
	if (!access("/sys/kernel/debug/kmemleak", W_OK))
		put_attr("/sys/kernel/debug", "kmemleak", "scan");
}

static const char *read_meminfo(struct flat *f)
{
	FILE *file = fopen("/proc/meminfo", "re");
	long total = 0, value;
	char name[40];

	if (!file)
		return "no /proc/meminfo";
	while (fscanf(file, "%39[^:]: %ld kB ", name, &value) >= 1) {
		if (!strcmp(name, "MemTotal"))
			total = value;
		else if (!strcmp(name, "MemFree") || !strcmp(name, "Buffers") ||
			 !strcmp(name, "Cached") || !strcmp(name, "SReclaimable"))
			f->used -= value;
		else if (!strcmp(name, "SUnreclaim"))
			f->unreclaimable = value;
		else if (!strcmp(name, "KernelStack"))
			f->stacks = value;
		else if (!strcmp(name, "VmallocUsed"))
			f->vmalloc = value;
	}
	fclose(file);
	f->used += total;
	return total ? NULL : "/proc/meminfo lacks a value";
}

/* Free pages that CPUs keep for themselves are not in MemFree. */
static const char *read_percpu_free(struct flat *f)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	char line[256];
	long pages;

	if (!file)
		return "no /proc/zoneinfo";
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " count: %ld", &pages) == 1)
			f->percpu_free += pages * (sysconf(_SC_PAGESIZE) / 1024);
	fclose(file);
	f->used -= f->percpu_free;
	return NULL;
}

static const char *read_slabinfo(struct flat *f)
{
	FILE *file = fopen("/proc/slabinfo", "re");
	char line[512];
	long bytes = 0;

	if (!file)
		return "no /proc/slabinfo";
	while (fgets(line, sizeof(line), file)) {
		struct flat_cache *c = &f->cache[f->n];

		if (f->n == FLAT_CACHES ||
		    sscanf(line, "%47s %ld %*d %ld", c->name, &c->objects, &c->size) != 3)
			continue;
		bytes += c->objects * c->size;
		f->n++;
	}
	fclose(file);
	f->slab = bytes / 1024;
	return f->n ? NULL : "/proc/slabinfo is empty";
}

/* Threads of vhost are not counted since Linux 6.4: they belong to the process of the VMM. */
static const char *read_kthreads(struct flat *f)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;

	f->kthreads = 0;
	f->idle = 0;
	if (!dir)
		return "no /proc";
	while ((d = readdir(dir))) {
		char path[300], comm[64] = "", state;
		unsigned int parent;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%s/stat", d->d_name);
		file = d->d_name[0] >= '0' && d->d_name[0] <= '9' ? fopen(path, "re") : NULL;
		if (!file)
			continue;
		if (fscanf(file, "%*d (%63[^)]) %c %u", comm, &state, &parent) == 3 &&
		    parent == KTHREADD) {
			f->kthreads++;
			f->idle += !strncmp(comm, "kworker/", 8) && state == 'I';
		}
		fclose(file);
	}
	closedir(dir);
	return NULL;
}

const char *flat_measure(struct flat *f)
{
	const char *why;

	memset(f, 0, sizeof(*f));
	settle();
	why = read_meminfo(f);
	if (!why)
		why = read_percpu_free(f);
	if (!why)
		why = read_kthreads(f);
	return why ? why : read_slabinfo(f);
}

static const struct flat_cache *find(const struct flat *f, const char *name)
{
	static const struct flat_cache none;
	unsigned int i;

	for (i = 0; i < f->n; i++)
		if (!strcmp(f->cache[i].name, name))
			return &f->cache[i];
	return &none;
}

/* Pools in which the sanitizers keep data about objects that are counted themselves */
static bool is_bookkeeping(const char *name)
{
	return !strcmp(name, "debug_objects_cache") || !strcmp(name, "kmemleak_object");
}

static bool compare_cache(const struct flat_cache *was, const struct flat_cache *is)
{
	long more = is->objects - was->objects;
	bool bad = more > MAX_OBJECTS && more > was->objects / MAX_SHARE &&
		   !is_bookkeeping(is->name);

	if (bad || more > MAX_OBJECTS)
		printf("# memory: %s: %ld objects, then %ld%s\n", is->name, was->objects,
		       is->objects, bad ? ": too many" : "");
	return !bad;
}

static bool compare(const struct flat *first, const struct flat *last)
{
	bool flat = last->used - first->used <= MAX_USED;
	unsigned int i;

	for (i = 0; i < last->n; i++)
		flat &= compare_cache(find(first, last->cache[i].name), &last->cache[i]);
	printf("# memory: used %ld kB, then %ld (%+ld, may be %+d)\n", first->used, last->used,
	       last->used - first->used, MAX_USED);
	printf("# memory: slab objects %ld kB, then %ld (%+ld); SUnreclaim %ld kB, then %ld\n",
	       first->slab, last->slab, last->slab - first->slab, first->unreclaimable,
	       last->unreclaimable);
	printf("# memory: kernel stacks %ld kB, then %ld; vmalloc %ld kB, then %ld\n",
	       first->stacks, last->stacks, first->vmalloc, last->vmalloc);
	printf("# memory: free pages of CPUs %ld kB, then %ld\n", first->percpu_free,
	       last->percpu_free);
	printf("# memory: kernel threads %u, then %u; idle kworkers %u, then %u\n",
	       first->kthreads, last->kthreads, first->idle, last->idle);
	return flat;
}

/* Return: NULL, or the reason why memory cannot be measured again */
static const char *outlast_workers(const struct flat *first, struct flat *last)
{
	const char *why = NULL;
	unsigned int s;

	printf("# memory: wait for the end of idle kworkers\n");
	fflush(stdout);
	for (s = 0; !why && last->idle > first->idle + MAX_IDLE && s < IDLE_TIMEOUT; s += 10) {
		sleep(10);
		why = read_kthreads(last);
	}
	return why ? why : flat_measure(last);
}

bool flat_check(const struct flat *first, struct flat *last)
{
	const char *why;

	if (compare(first, last))
		return true;
	if (last->idle <= first->idle + MAX_IDLE)
		return false;
	why = outlast_workers(first, last);
	if (why)
		printf("# memory: %s\n", why);
	return !why && compare(first, last);
}
