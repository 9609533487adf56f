// SPDX-License-Identifier: GPL-2.0
/* Control groups */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backend.h"
#include "cgroup.h"

#define ROOT	"/sys/fs/cgroup"

const char *cgroup_make(struct cgroup *c)
{
	c->dir[0] = '\0';
	if (put_attr(ROOT, "cgroup.subtree_control", "+io +memory"))
		return "no cgroup2 with io and memory on " ROOT;
	snprintf(c->dir, sizeof(c->dir), ROOT "/vhost-test-%d", getpid());
	if (mkdir(c->dir, 0755)) {
		c->dir[0] = '\0';
		return "no control group can be created";
	}
	return NULL;
}

const char *cgroup_join(const struct cgroup *c)
{
	return put_attr(c->dir, "cgroup.procs", "0") ? "the control group can't be entered" : NULL;
}

const char *cgroup_enter(struct cgroup *c)
{
	const char *why = cgroup_make(c);

	return why ? why : cgroup_join(c);
}

void cgroup_leave(struct cgroup *c)
{
	unsigned int tries;
	char pid[16];

	if (!c->dir[0])
		return;
	snprintf(pid, sizeof(pid), "%d", getpid());
	put_attr(ROOT, "cgroup.procs", pid);
	/* kernel threads in the group may still be exiting */
	for (tries = 0; rmdir(c->dir) && errno == EBUSY && tries < 100; tries++)
		usleep(10000);
	c->dir[0] = '\0';
}

int cgroup_io_max(struct cgroup *c, dev_t dev, const char *limit)
{
	char text[128];

	snprintf(text, sizeof(text), "%u:%u %s", major(dev), minor(dev), limit);
	return put_attr(c->dir, "io.max", text);
}

static uint64_t field(const char *line, const char *name)
{
	const char *at = strstr(line, name);
	unsigned long long v = 0;

	if (at)
		sscanf(at + strlen(name), "=%llu", &v);
	return v;
}

struct io_stat cgroup_io_stat(struct cgroup *c, dev_t dev)
{
	struct io_stat s = { 0 };
	char path[256], line[512], want[32];
	FILE *f;

	snprintf(path, sizeof(path), "%s/io.stat", c->dir);
	snprintf(want, sizeof(want), "%u:%u ", major(dev), minor(dev));
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, want, strlen(want)))
			continue;
		s.rbytes = field(line, "rbytes");
		s.wbytes = field(line, "wbytes");
		s.dbytes = field(line, "dbytes");
	}
	if (f)
		fclose(f);
	return s;
}
