/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The frontend's half of the vhost-user protocol.  Its messages correspond to the vhost
 * ioctls, so vhost_user_ioctl() takes the place of ioctl().
 */
#ifndef VHOST_BENCH_VHOST_USER_H
#define VHOST_BENCH_VHOST_USER_H

#include "guest.h"

/* Connect to @path and negotiate the protocol; returns 0 or -errno. */
long vhost_user_open(struct guest *g, const char *path);
/* Send an ioctl as a message; returns 0 or -errno. */
long vhost_user_ioctl(struct guest *g, unsigned long cmd, void *arg);
long vhost_user_capacity(struct guest *g, uint64_t *sectors);

#endif /* VHOST_BENCH_VHOST_USER_H */
