// SPDX-License-Identifier: GPL-2.0
/* A vhost-user-blk server, such as qemu-storage-daemon */
#include <string.h>

#include "vhost-user.h"
#include "virtio-blk.h"

static const char *open_device(struct device *dev)
{
	struct guest *g = &dev->guest;
	uint64_t sectors;
	long ret;

	vring_device(dev);
	g->transport = vhost_user_ioctl;
	ret = vhost_user_open(g, dev->path);
	if (!ret)
		ret = vhost_user_capacity(g, &sectors);
	if (ret)
		return guest_say(g, "%s: %s", dev->path, strerror(-ret));
	return virtio_blk_boot(dev, sectors);
}

const struct engine vhost_user_engine = {
	.name = "vhost-user",
	.open = open_device,
	.close = vring_close,
	VIRTIO_BLK_ENGINE,
};
