// SPDX-License-Identifier: GPL-2.0
/* Fault injection, by its files in debugfs and procfs */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "inject.h"

static const char * const dirs[FAULTS] = {
	[FAULT_SLAB] = "/sys/kernel/debug/failslab",
	[FAULT_PAGE] = "/sys/kernel/debug/fail_page_alloc",
	[FAULT_USERCOPY] = "/sys/kernel/debug/fail_usercopy",
	[FAULT_REQUEST] = "/sys/kernel/debug/fail_make_request",
};

static const char *prepare(void)
{
	unsigned int i;

	for (i = 0; i < FAULTS; i++)
		if (put_attr(dirs[i], "verbose", "0") || put_attr(dirs[i], "probability", "0") ||
		    put_attr(dirs[i], "times", "-1") || put_attr(dirs[i], "task-filter", "N"))
			return "this kernel has no fault injection (uml-7.3 has it)";
	/* most of the device's allocations may sleep; also let single pages fail */
	if (put_attr(dirs[FAULT_SLAB], "ignore-gfp-wait", "N") ||
	    put_attr(dirs[FAULT_PAGE], "ignore-gfp-wait", "N") ||
	    put_attr(dirs[FAULT_PAGE], "min-order", "0"))
		return "fault injection lacks an attribute";
	return NULL;
}

const char *faults_open(void)
{
	return prepare();
}

void faults_close(void)
{
	unsigned int i;

	for (i = 0; i < FAULTS; i++)
		fault_often(i, 0, false);
	put_attr(dirs[FAULT_SLAB], "ignore-gfp-wait", "Y");
	put_attr(dirs[FAULT_PAGE], "ignore-gfp-wait", "Y");
	put_attr(dirs[FAULT_PAGE], "min-order", "1");
}

/* kept open, because open() has possible faults of its own */
static int nth_fd = -1;

static void put_nth(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	/* this write may be what fails */
	while (pwrite(nth_fd, text, len, 0) != len && errno == EFAULT)
		;
}

void fault_nth(pid_t tid, unsigned int n)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", tid);
	nth_fd = open(path, O_RDWR | O_CLOEXEC);
	put_nth(n);
}

/* If reading the file fails, no earlier fault happened. */
bool fault_was_hit(void)
{
	char text[16] = "";
	ssize_t len = pread(nth_fd, text, sizeof(text) - 1, 0);

	put_nth(0);
	close(nth_fd);
	return len > 0 && !atoi(text);
}

/*
 * Write in this order.  Otherwise all allocations in the kernel fail for a
 * moment, which no process survives.
 */
void fault_often(enum fault kind, unsigned int percent, bool marked)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", percent);
	put_attr(dirs[kind], "probability", "0");
	put_attr(dirs[kind], "task-filter", marked ? "Y" : "N");
	if (percent)
		put_attr(dirs[kind], "probability", text);
}

void fault_mark(pid_t tid, bool on)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "/proc/self/task/%d", tid);
	put_attr(dir, "make-it-fail", on ? "1" : "0");
}

int fault_disk(const char *path, bool on)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "/sys/block/%s", strrchr(path, '/') + 1);
	return put_attr(dir, "make-it-fail", on ? "1" : "0");
}

static bool is_worker(const char *tid)
{
	char path[64], name[32] = "", want[32];
	int fd;

	snprintf(want, sizeof(want), "vhost-%d", getpid());
	snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	close(fd);
	return !strncmp(name, want, strlen(want));
}

pid_t worker_tid(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	pid_t tid = 0;

	while (d && !tid && (e = readdir(d)))
		if (is_worker(e->d_name))
			tid = atoi(e->d_name);
	if (d)
		closedir(d);
	return tid;
}
