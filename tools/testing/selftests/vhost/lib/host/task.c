// SPDX-License-Identifier: GPL-2.0
/* States of threads */
#define _GNU_SOURCE
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "task.h"

#define STEP	5	/* ms between two looks */
#define LOOKS	10

/* Read the name and the state of a thread. */
static bool read_stat(pid_t tid, char *name, size_t len, char *state)
{
	char path[48], stat[160] = "", *open, *close = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(stat, sizeof(stat), f))
		stat[0] = '\0';
	fclose(f);
	open = strchr(stat, '(');
	if (open)
		close = strrchr(open, ')');
	if (!close || strlen(close) < 3)
		return false;
	*state = close[2];
	*close = '\0';
	snprintf(name, len, "%s", open + 1);
	return true;
}

char task_state(pid_t tid)
{
	char name[32], state;

	return read_stat(tid, name, sizeof(name), &state) ? state : 0;
}

bool task_sleeps(pid_t tid, int ms)
{
	int looks = 0;

	for (; tid && ms > 0 && looks < LOOKS; ms -= STEP) {
		looks = task_state(tid) == 'D' ? looks + 1 : 0;
		usleep(STEP * 1000);
	}
	return looks == LOOKS;
}

/* Return: the thread of this name in a directory of /proc, or 0 */
static pid_t find(const char *path, const char *name)
{
	DIR *dir = opendir(path);
	char found[32], state;
	struct dirent *e;
	pid_t tid = 0;

	while (dir && !tid && (e = readdir(dir)))
		if (read_stat(atoi(e->d_name), found, sizeof(found), &state) &&
		    !strcmp(found, name))
			tid = atoi(e->d_name);
	if (dir)
		closedir(dir);
	return tid;
}

/* From Linux 6.4 on it is a thread of the owner, before it is a kernel thread. */
static pid_t find_worker(pid_t owner)
{
	char path[48], name[32];
	pid_t tid;

	snprintf(path, sizeof(path), "/proc/%d/task", owner);
	snprintf(name, sizeof(name), "vhost-%d", owner);
	tid = find(path, name);
	return tid ? tid : find("/proc", name);
}

bool worker_sleeps(pid_t owner, int ms)
{
	return task_sleeps(find_worker(owner), ms);
}

static bool run_on(pid_t tid, int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return !sched_setaffinity(tid, sizeof(cpus), &cpus);
}

bool worker_split(void)
{
	pid_t tid = find_worker(getpid());

	return tid && run_on(tid, 1) && run_on(0, 0);
}
