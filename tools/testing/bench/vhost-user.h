/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The frontend's half of the vhost-user protocol.  Its messages are the vhost
 * ioctls with another transport, so it takes ioctls.
 */
#ifndef VHOST_BENCH_VHOST_USER_H
#define VHOST_BENCH_VHOST_USER_H

#include "guest.h"

/* Connects to @path and agrees on the protocol; 0 or -errno */
long vhost_user_open(struct guest *g, const char *path);
/* In the place of ioctl() */
long vhost_user_ioctl(struct guest *g, unsigned long cmd, void *arg);
long vhost_user_capacity(struct guest *g, uint64_t *sectors);

#endif /* VHOST_BENCH_VHOST_USER_H */
