/* SPDX-License-Identifier: GPL-2.0 */
/* A request of virtio-blk in a slot, for each engine whose device is one */
#ifndef VHOST_BENCH_VIRTIO_BLK_H
#define VHOST_BENCH_VIRTIO_BLK_H

#include "load.h"

#define VIRTIO_BLK_ENGINE		\
	.prepare = virtio_blk_prepare,	\
	.add = virtio_blk_add,		\
	.ok = virtio_blk_ok,		\
	VRING_ENGINE

/* Start a device that is open and has reported its size. */
const char *virtio_blk_boot(struct device *dev, uint64_t sectors);
const char *virtio_blk_prepare(struct lane *l, struct slot *s);
void virtio_blk_add(struct lane *l, struct slot *s, bool write);
bool virtio_blk_ok(const struct lane *l, const struct slot *s);

#endif /* VHOST_BENCH_VIRTIO_BLK_H */
