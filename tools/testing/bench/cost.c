// SPDX-License-Identifier: GPL-2.0
/* Where the kernel says what was spent. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "cost.h"

#define MAX_WORKERS	256
#define MAX_VMM		16

/* The kernel's encoding of CPU clocks, which libc has no name for */
#define PROCESS_CLOCK(pid)	((clockid_t)(~(unsigned int)(pid) << 3 | 2))
#define THREAD_CLOCK(tid)	((clockid_t)(~(unsigned int)(tid) << 3 | 6))

struct cost_sources {
	clockid_t worker[MAX_WORKERS];
	unsigned int workers;
	int inside;
	clockid_t vmm[MAX_VMM];
	unsigned int nvmm;
	int stat;
};

static int read_comm(const char *dir, const char *id, char *comm, size_t len)
{
	char path[300];
	FILE *file;
	int ok;

	snprintf(path, sizeof(path), "%s/%s/comm", dir, id);
	file = fopen(path, "r");
	if (!file)
		return 0;
	ok = !!fgets(comm, len, file);
	fclose(file);
	comm[strcspn(comm, "\n")] = '\0';
	return ok;
}

/* Workers are called vhost-PID, after the owner. */
static void find_workers(struct cost_sources *s, const char *dir, int inside)
{
	char name[32], comm[32];
	struct dirent *entry;
	DIR *d = opendir(dir);

	snprintf(name, sizeof(name), "vhost-%d", getpid());
	while (d && (entry = readdir(d))) {
		int id = atoi(entry->d_name);

		if (!isdigit(entry->d_name[0]) || s->workers == MAX_WORKERS ||
		    !read_comm(dir, entry->d_name, comm, sizeof(comm)) || strcmp(comm, name))
			continue;
		s->worker[s->workers++] = inside ? THREAD_CLOCK(id) : PROCESS_CLOCK(id);
	}
	if (d)
		closedir(d);
}

struct cost_sources *cost_open(const int *vmm, unsigned int nvmm)
{
	struct cost_sources *s = calloc(1, sizeof(*s));
	unsigned int i;

	s->stat = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	if (s->stat < 0) {
		free(s);
		return NULL;
	}
	find_workers(s, "/proc/self/task", 1);
	s->inside = s->workers > 0;
	if (!s->workers)
		find_workers(s, "/proc", 0);
	for (i = 0; i < nvmm && i < MAX_VMM; i++)
		s->vmm[s->nvmm++] = PROCESS_CLOCK(vmm[i]);
	return s;
}

int cost_workers_inside(const struct cost_sources *s)
{
	return s->inside;
}

int cost_workers(const struct cost_sources *s)
{
	return s->workers;
}

static void read_stat(const struct cost_sources *s, struct cost *c)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq, n;
	uint64_t tick = 1000000000ULL / sysconf(_SC_CLK_TCK);
	static char text[1 << 16];
	ssize_t len = pread(s->stat, text, sizeof(text) - 1, 0);
	const char *at;

	if (len <= 0)
		return;
	text[len] = '\0';
	if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
		   &iowait, &irq, &softirq) == 7) {
		c->idle_ns = (idle + iowait) * tick;
		c->irq_ns = (irq + softirq) * tick;
	}
	at = strstr(text, "\nctxt ");
	if (at && sscanf(at, " ctxt %llu", &n) == 1)
		c->switches = n;
}

void cost_read(const struct cost_sources *s, struct cost *c)
{
	unsigned int i;

	memset(c, 0, sizeof(*c));
	read_stat(s, c);
	for (i = 0; i < s->workers; i++)
		c->worker_ns += clock_ns(s->worker[i]);
	for (i = 0; i < s->nvmm; i++)
		c->vmm_ns += clock_ns(s->vmm[i]);
	c->process_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	c->wall_ns = clock_ns(CLOCK_MONOTONIC);
	c->clock = clock_now();
}
