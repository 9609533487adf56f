// SPDX-License-Identifier: GPL-2.0
/* /dev/vhost-blk */
#include <stdio.h>
#include <string.h>

#include "load.h"

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

	if (!why)
		why = vring_device(dev, 0);
	if (!why)
		why = guest_boot_to(&dev->guest, STAGE_RINGS);
	if (!why)
		why = make_workers(dev);
	if (!why)
		why = set_polling(dev);
	return why ? why : guest_boot(&dev->guest);
}

static void close_device(struct device *dev)
{
	guest_destroy(&dev->guest);
}

static const char *prepare(struct lane *l, struct slot *s)
{
	return vring_slot(l, s, HDR_LEN, 1, false);
}

static void add(struct lane *l, struct slot *s, bool write)
{
	struct virtio_blk_outhdr *h = s->header;

	h->type = htole32(write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
	h->sector = htole64(s->block * (l->load->block / SECTOR));
	*(uint8_t *)s->status = STATUS_POISON;
	vring_add(l, s);
}

static bool ok(const struct lane *l, const struct slot *s)
{
	uint32_t used = 1 + (l->load->write ? 0 : l->load->block);

	return *(uint8_t *)s->status == VIRTIO_BLK_S_OK && s->q->used_len == used;
}

const struct engine vhost_blk_engine = {
	.name = "vhost-blk",
	.open = open_device,
	.close = close_device,
	.prepare = prepare,
	.add = add,
	.push = vring_push,
	.take = vring_take,
	.wait = vring_wait,
	.ok = ok,
	.totals = vring_totals,
};
