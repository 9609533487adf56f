// SPDX-License-Identifier: GPL-2.0
/* The kernel's vhost-blk, /dev/vhost-blk */
#include "virtio-blk.h"

static const char *open_device(struct device *dev)
{
	const char *why = backing_open(dev);

	if (why)
		return why;
	vring_device(dev);
	why = guest_boot_to(&dev->guest, STAGE_RINGS);
	if (!why)
		why = kernel_workers(dev);
	if (!why)
		why = kernel_polling(dev);
	if (!why)
		why = guest_boot(&dev->guest);
	return why ? why : vring_started(dev);
}

const struct engine vhost_blk_engine = {
	.name = "vhost-blk",
	.open = open_device,
	.close = vring_close,
	VIRTIO_BLK_ENGINE,
};
