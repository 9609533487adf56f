// SPDX-License-Identifier: GPL-2.0-only
/*
 * Feature bits and the configuration space, computed from the backend.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/eventfd.h>
#include <linux/uaccess.h>

#include "blk.h"

#define FEATURE(bit)	(1ULL << (bit))

static const u64 vhost_blk_module_features =
	FEATURE(VIRTIO_F_NOTIFY_ON_EMPTY) |
	FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
	FEATURE(VIRTIO_RING_F_EVENT_IDX) |
	FEATURE(VIRTIO_F_ANY_LAYOUT) |
	FEATURE(VIRTIO_F_VERSION_1) |
	FEATURE(VIRTIO_BLK_F_SIZE_MAX) |
	FEATURE(VIRTIO_BLK_F_SEG_MAX) |
	FEATURE(VIRTIO_BLK_F_RO) |
	FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
	FEATURE(VIRTIO_BLK_F_FLUSH) |
	FEATURE(VIRTIO_BLK_F_TOPOLOGY) |
	FEATURE(VIRTIO_BLK_F_MQ);

/**
 * vhost_blk_features - the bits on offer
 * @blk: the device, its mutex held
 *
 * Return: before a backend is attached all that the module can do, after that
 * all that this backend can.
 */
u64 vhost_blk_features(const struct vhost_blk *blk)
{
	u64 features = vhost_blk_module_features;

	if (blk->disk && !blk->disk->ro)
		features &= ~FEATURE(VIRTIO_BLK_F_RO);
	return features;
}

/**
 * vhost_blk_fill_config - the configuration space (5.2.4) as it is now
 * @blk: the device, its mutex held
 * @config: filled in
 */
void vhost_blk_fill_config(const struct vhost_blk *blk,
			   struct virtio_blk_config *config)
{
	struct vhost_blk_disk *disk = blk->disk;
	struct vhost_blk_limits limits;

	memset(config, 0, sizeof(*config));
	config->num_queues = __cpu_to_virtio16(true, VHOST_BLK_MAX_QUEUES);
	if (!disk)
		return;

	vhost_blk_disk_limits(disk, &limits);
	config->capacity = __cpu_to_virtio64(true, limits.capacity);
	config->size_max = __cpu_to_virtio32(true, VHOST_BLK_SIZE_MAX);
	config->seg_max = __cpu_to_virtio32(true, VHOST_BLK_SEG_MAX);
	config->blk_size = __cpu_to_virtio32(true, disk->block_size);
	config->wce = 1;
	disk->ops->topology(disk, config);
}

/* Check the window of a config ioctl; @argp is its argument. */
static long config_window(struct vhost_vdpa_config *window,
			  const void __user *argp)
{
	if (copy_from_user(window, argp, sizeof(*window)))
		return -EFAULT;
	if (!window->len || window->off > sizeof(struct virtio_blk_config) ||
	    window->len > sizeof(struct virtio_blk_config) - window->off)
		return -EINVAL;
	return 0;
}

/**
 * vhost_blk_get_config - VHOST_BLK_GET_CONFIG
 * @blk: the device, its mutex held
 * @argp: the ioctl's argument
 */
long vhost_blk_get_config(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_vdpa_config __user *user = argp;
	struct vhost_vdpa_config window;
	struct virtio_blk_config config;
	long ret = config_window(&window, argp);

	if (ret)
		return ret;
	vhost_blk_fill_config(blk, &config);
	if (copy_to_user(user->buf, (u8 *)&config + window.off, window.len))
		return -EFAULT;
	return 0;
}

/**
 * vhost_blk_set_config - VHOST_BLK_SET_CONFIG
 * @blk: the device, its mutex held
 * @argp: the ioctl's argument
 *
 * `writeback` is all that a driver may write (5.2.4), and that only where
 * VIRTIO_BLK_F_CONFIG_WCE is offered, which it isn't yet.
 */
long vhost_blk_set_config(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_vdpa_config window;
	long ret = config_window(&window, argp);

	if (ret)
		return ret;
	if (window.off != offsetof(struct virtio_blk_config, wce) ||
	    window.len != sizeof_field(struct virtio_blk_config, wce))
		return -EINVAL;
	return -EOPNOTSUPP;
}

/**
 * vhost_blk_set_config_call - VHOST_BLK_SET_CONFIG_CALL
 * @blk: the device, its mutex held
 * @argp: the ioctl's argument
 */
long vhost_blk_set_config_call(struct vhost_blk *blk, void __user *argp)
{
	struct eventfd_ctx *ctx = NULL;
	int fd;

	if (copy_from_user(&fd, argp, sizeof(fd)))
		return -EFAULT;
	if (fd != VHOST_FILE_UNBIND)
		ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);

	swap(ctx, blk->config_call);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}
