// SPDX-License-Identifier: GPL-2.0
/* /dev/vhost-blk */
#include <stdio.h>
#include <string.h>

#include "virtio-blk.h"

static const char *make_workers(struct device *dev)
{
	const struct load *load = dev->load;
	struct vhost_worker_state worker;
	unsigned int i;
	long ret;

	for (i = 1; i < load->workers && i < load->queues; i++) {
		struct vhost_vring_worker attach;
		unsigned int queue;

		ret = guest_ioctl(&dev->guest, VHOST_NEW_WORKER, &worker);
		for (queue = i; !ret && queue < load->queues; queue += load->workers) {
			attach.index = queue;
			attach.worker_id = worker.worker_id;
			ret = guest_ioctl(&dev->guest, VHOST_ATTACH_VRING_WORKER, &attach);
		}
		if (ret)
			return guest_say(&dev->guest, "more workers: %s", strerror(-ret));
	}
	return NULL;
}

static const char *set_polling(struct device *dev)
{
	struct vhost_vring_state state = { .num = dev->load->poll_us };
	unsigned int i;
	long ret = 0;

	for (i = 0; !ret && dev->load->poll_us && i < dev->load->queues; i++) {
		state.index = i;
		ret = guest_ioctl(&dev->guest, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &state);
	}
	return ret ? guest_say(&dev->guest, "busy polling: %s", strerror(-ret)) : NULL;
}

static const char *open_device(struct device *dev)
{
	const char *why = backing_open(dev);

	if (why)
		return why;
	vring_device(dev);
	why = guest_boot_to(&dev->guest, STAGE_RINGS);
	if (!why)
		why = make_workers(dev);
	if (!why)
		why = set_polling(dev);
	if (!why)
		why = guest_boot(&dev->guest);
	return why ? why : vring_started(dev);
}

static void close_device(struct device *dev)
{
	guest_destroy(&dev->guest);
}

const struct engine vhost_blk_engine = {
	.name = "vhost-blk",
	.open = open_device,
	.close = close_device,
	.prepare = virtio_blk_prepare,
	.add = virtio_blk_add,
	.push = vring_push,
	.take = vring_take,
	.wait = vring_wait,
	.ok = virtio_blk_ok,
	.totals = vring_totals,
};
