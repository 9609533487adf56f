/* SPDX-License-Identifier: GPL-2.0 */
/* A control group (version 2) of this process alone, with the io controller. */
#ifndef VHOST_TEST_CGROUP_H
#define VHOST_TEST_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup {
	char dir[128];		/* "": there is none */
};

struct io_stat {
	uint64_t rbytes;
	uint64_t wbytes;
	uint64_t dbytes;
};

/* Makes one and moves this process there. NULL, or what is missing */
const char *cgroup_enter(struct cgroup *c);
/* The same in two steps, for a child: it joins what its parent has made. */
const char *cgroup_make(struct cgroup *c);
const char *cgroup_join(const struct cgroup *c);
void cgroup_leave(struct cgroup *c);
/* io.max of one device: @limit as the file wants it, "wbps=max" for none */
int cgroup_io_max(struct cgroup *c, dev_t dev, const char *limit);
struct io_stat cgroup_io_stat(struct cgroup *c, dev_t dev);

#endif /* VHOST_TEST_CGROUP_H */
