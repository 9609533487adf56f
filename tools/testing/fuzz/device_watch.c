// SPDX-License-Identifier: GPL-2.0
/* The kernel log, and a watchdog */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "device_watch.h"

#define HANG_S	40	/* seconds without CPU time and progress */
#define SLOW_S	600	/* seconds without progress */

static int klog = -1;
static char line[1024];
static atomic_ulong progress;
static void (*on_hang)(const char *why);

/*
 * The host judges by the full list (klog-check.sh); these lines tell which
 * sequence it was.
 */
static const char * const bad[] = {
	"WARNING:", "BUG:", "BUG ", "Oops", "Call Trace", "KASAN", "UBSAN", "ODEBUG",
	"INFO: task", "possible circular", "possible recursive", "inconsistent lock",
	"suspicious RCU", "general protection", "refcount_t", "Objects remaining",
	"list_add corruption", "list_del corruption", "sleeping function", "rcu_sched",
};

bool klog_begin(void)
{
	klog = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return klog >= 0 && lseek(klog, 0, SEEK_END) >= 0;
}

const char *klog_report(void)
{
	char next[sizeof(line)];
	bool found = false;
	ssize_t n;
	size_t i;

	line[0] = '\0';
	/*
	 * Read everything, because a report has many lines.  EPIPE means an
	 * overrun: continue.
	 */
	while ((n = read(klog, next, sizeof(next) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		next[n > 0 ? n : 0] = '\0';
		for (i = 0; !found && i < ARRAY_SIZE(bad); i++)
			found = strstr(next, bad[i]);
		if (found && !line[0])
			strcpy(line, next);
	}
	return found ? line : NULL;
}

/* CPU time of all threads so far, in ticks */
static unsigned long cpu_time(void)
{
	unsigned long user = 0, system = 0;
	char text[1024] = "";
	char *p;
	FILE *f = fopen("/proc/self/stat", "re");

	if (f && fgets(text, sizeof(text), f)) {
		p = strrchr(text, ')');
		if (p && sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
				&user, &system) != 2)
			user = 0;
	}
	if (f)
		fclose(f);
	return user + system;
}

static void print_file(const char *tid, const char *name)
{
	char path[320], text[2048];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%s/%s", tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n > 0) {
		text[n] = '\0';
		fprintf(stderr, "# thread %s %s: %s\n", tid, name, text);
	}
	close(fd);
}

static void print_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		print_file(e->d_name, "comm");
		print_file(e->d_name, "wchan");
		print_file(e->d_name, "stack");
	}
	if (d)
		closedir(d);
}

/* The watchdog itself uses less than a tick in ten seconds. */
static void *watch(void *arg)
{
	unsigned long was = 0, cpu = 0, idle_s = 0, stuck_s = 0;
	const char *report;

	(void)arg;
	for (;;) {
		unsigned long now = atomic_load(&progress), used;

		sleep(5);
		used = cpu_time();
		stuck_s = now == was ? stuck_s + 5 : 0;
		idle_s = now == was && used - cpu <= 1 ? idle_s + 5 : 0;
		if (stuck_s && !(stuck_s % 30))
			fprintf(stderr, "# no operation has ended for %lu s, %lu s of them idle\n",
				stuck_s, idle_s);
		report = stuck_s >= HANG_S ? klog_report() : NULL;
		if (report || idle_s >= HANG_S || stuck_s >= SLOW_S) {
			print_threads();
			on_hang(report ? report : idle_s >= HANG_S ? "a hang: nothing goes on" :
				"an operation that doesn't end");
			_exit(3);
		}
		was = now;
		cpu = used;
	}
	return NULL;
}

void watch_begin(void (*hang)(const char *why))
{
	pthread_t thread;

	on_hang = hang;
	pthread_create(&thread, NULL, watch, NULL);
}

void watch_progress(void)
{
	atomic_fetch_add(&progress, 1);
}
