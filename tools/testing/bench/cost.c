// SPDX-License-Identifier: GPL-2.0
/* Reads CPU times, idle time and context switches from the kernel. */
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

/* The kernel's encoding of CPU clocks, for which libc has no macros */
#define PROCESS_CLOCK(pid)	((clockid_t)(~(unsigned int)(pid) << 3 | 2))
#define THREAD_CLOCK(tid)	((clockid_t)(~(unsigned int)(tid) << 3 | 6))

/* The process that a worker is a thread of; before Linux 6.4 it is a kernel thread. */
enum owner { NOBODY, OURS, VMMS };

struct cost_sources {
	struct worker {
		enum owner owner;
		int pid;
		int tid;
	} worker[MAX_WORKERS];
	unsigned int workers;
	int vmm[MAX_VMM];
	unsigned int nvmm;
	bool main_apart;
	int stat;
};

static bool read_line(const char *path, char *line, size_t len)
{
	FILE *file = fopen(path, "r");
	bool ok;

	if (!file)
		return false;
	ok = fgets(line, len, file);
	fclose(file);
	line[ok ? strcspn(line, "\n") : 0] = '\0';
	return ok;
}

/*
 * The CPU clock of a thread in another process cannot be read.  schedstat has its CPU
 * time in nanoseconds.  If the kernel has no schedstat, use stat, which has it in ticks.
 */
static uint64_t thread_ns(int pid, int tid)
{
	unsigned long long user, system;
	char path[64], line[1024];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, tid);
	if (read_line(path, line, sizeof(line)))
		return strtoull(line, NULL, 10);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	at = read_line(path, line, sizeof(line)) ? strrchr(line, ')') : NULL;
	if (!at || sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
			  &system) != 2)
		return 0;
	return (user + system) * (1000000000ULL / sysconf(_SC_CLK_TCK));
}

static uint64_t worker_ns(const struct worker *w)
{
	switch (w->owner) {
	case NOBODY:
		return clock_ns(PROCESS_CLOCK(w->tid));
	case OURS:
		return clock_ns(THREAD_CLOCK(w->tid));
	default:
		return thread_ns(w->pid, w->tid);
	}
}

/* The name of a worker is vhost-PID, with the pid of the process that owns the device. */
static void find_workers(struct cost_sources *s, const char *dir, int pid, enum owner owner)
{
	char name[32], path[300], comm[32];
	struct dirent *entry;
	DIR *d = opendir(dir);

	snprintf(name, sizeof(name), "vhost-%d", pid);
	while (d && (entry = readdir(d)) && s->workers < MAX_WORKERS) {
		snprintf(path, sizeof(path), "%s/%s/comm", dir, entry->d_name);
		if (isdigit(entry->d_name[0]) && read_line(path, comm, sizeof(comm)) &&
		    !strcmp(comm, name))
			s->worker[s->workers++] = (struct worker){
				owner, pid, atoi(entry->d_name)
			};
	}
	if (d)
		closedir(d);
}

static void find_workers_of(struct cost_sources *s, int pid, enum owner owner)
{
	unsigned int before = s->workers;
	char dir[64];

	snprintf(dir, sizeof(dir), "/proc/%d/task", pid);
	find_workers(s, dir, pid, owner);
	if (s->workers == before)
		find_workers(s, "/proc", pid, NOBODY);
}

struct cost_sources *cost_open(const int *vmm, unsigned int nvmm, bool main_apart)
{
	struct cost_sources *s = calloc(1, sizeof(*s));
	unsigned int i;

	s->stat = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	if (s->stat < 0) {
		free(s);
		return NULL;
	}
	s->main_apart = main_apart;
	find_workers_of(s, getpid(), OURS);
	for (i = 0; i < nvmm && i < MAX_VMM; i++) {
		s->vmm[s->nvmm++] = vmm[i];
		find_workers_of(s, vmm[i], VMMS);
	}
	return s;
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
	c->process_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (i = 0; i < s->nvmm; i++) {
		c->vmm_ns += clock_ns(PROCESS_CLOCK(s->vmm[i]));
		if (s->main_apart)
			c->main_ns += thread_ns(s->vmm[i], s->vmm[i]);
	}
	c->vmm_ns -= c->main_ns;
	for (i = 0; i < s->workers; i++) {
		uint64_t ns = worker_ns(&s->worker[i]);

		c->worker_ns += ns;
		if (s->worker[i].owner == OURS)
			c->process_ns -= ns;
		else if (s->worker[i].owner == VMMS)
			c->vmm_ns -= ns;
	}
	c->wall_ns = clock_ns(CLOCK_MONOTONIC);
	c->clock = clock_now();
}
