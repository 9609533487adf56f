/* SPDX-License-Identifier: GPL-2.0 */
/* A control group (version 2) with the io controller for this process */
#ifndef VHOST_TEST_CGROUP_H
#define VHOST_TEST_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup {
	char dir[128];		/* "": no group */
};

struct io_stat {
	uint64_t rbytes;
	uint64_t wbytes;
	uint64_t dbytes;
};

/* Make a group and move this process into it. Return: NULL, or what is missing */
const char *cgroup_enter(struct cgroup *c);
/* cgroup_enter() in two steps: the parent makes the group, and a child joins it. */
const char *cgroup_make(struct cgroup *c);
const char *cgroup_join(const struct cgroup *c);
void cgroup_leave(struct cgroup *c);
/* Set io.max of one device. @limit: in the format of the file; "wbps=max": no limit */
int cgroup_io_max(struct cgroup *c, dev_t dev, const char *limit);
struct io_stat cgroup_io_stat(struct cgroup *c, dev_t dev);

#endif /* VHOST_TEST_CGROUP_H */
