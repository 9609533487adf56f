// SPDX-License-Identifier: GPL-2.0-only
/*
 * Feature bits and the configuration space, computed from the backend.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/eventfd.h>
#include <linux/math64.h>
#include <linux/uaccess.h>

#include "blk.h"

#define FEATURE(bit)	(1ULL << (bit))

static const u64 vblk_module_features =
	FEATURE(VHOST_F_LOG_ALL) |
	FEATURE(VIRTIO_F_ACCESS_PLATFORM) |
	FEATURE(VIRTIO_F_NOTIFY_ON_EMPTY) |
	FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
	FEATURE(VIRTIO_RING_F_EVENT_IDX) |
	FEATURE(VIRTIO_F_ANY_LAYOUT) |
	FEATURE(VIRTIO_F_VERSION_1) |
	FEATURE(VIRTIO_BLK_F_SIZE_MAX) |
	FEATURE(VIRTIO_BLK_F_SEG_MAX) |
	FEATURE(VIRTIO_BLK_F_GEOMETRY) |
	FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
	FEATURE(VIRTIO_BLK_F_FLUSH) |
	FEATURE(VIRTIO_BLK_F_TOPOLOGY) |
	FEATURE(VIRTIO_BLK_F_CONFIG_WCE) |
	FEATURE(VIRTIO_BLK_F_MQ);

/* Those that one backend has and another hasn't. */
static const u64 vblk_backend_features =
	FEATURE(VIRTIO_BLK_F_RO) |
	FEATURE(VIRTIO_BLK_F_DISCARD) |
	FEATURE(VIRTIO_BLK_F_WRITE_ZEROES) |
	FEATURE(VIRTIO_BLK_F_SECURE_ERASE) |
	FEATURE(VIRTIO_BLK_F_ZONED);

static u64 vblk_features_of(const struct vhost_blk_be *be)
{
	return be->features | (be->ro ? FEATURE(VIRTIO_BLK_F_RO) : 0);
}

/**
 * vhost_blk_features - the bits on offer
 * @blk: the device, its mutex held
 *
 * Return: before a backend is attached all that the module can do, after that
 * all that this backend can.
 */
u64 vhost_blk_features(const struct vhost_blk *blk)
{
	return vblk_module_features |
	       (blk->be ? vblk_features_of(blk->be) : vblk_backend_features);
}

/**
 * vhost_blk_backend_compatible - can a backend be what the guest believes it has?
 * @blk: the device, its mutex held
 * @be: the backend
 *
 * Nothing is believed before features are negotiated.  A guest that knows of
 * a read-only disk, or has one, needn't be told that it can be written now.
 */
bool vhost_blk_backend_compatible(const struct vhost_blk *blk,
				  const struct vhost_blk_be *be)
{
	u64 ro = FEATURE(VIRTIO_BLK_F_RO), known = blk->features;

	if (!known)
		return true;
	if (blk->be && be->block_size > blk->be->block_size)
		return false;
	if (be->ro && !(known & ro) && !(blk->be && blk->be->ro))
		return false;
	/* A driver that knows of no zones would write where it likes. */
	if (be->features & ~known & FEATURE(VIRTIO_BLK_F_ZONED))
		return false;
	if (be->zone_sectors && blk->be && blk->be->zone_sectors &&
	    !vhost_blk_zone_may_replace(be, blk->be))
		return false;
	return !(known & vblk_backend_features & ~ro & ~be->features);
}

/**
 * vhost_blk_op_mask - the operations that a driver may use
 * @features: that it has acknowledged
 */
u32 vhost_blk_op_mask(u64 features)
{
	u32 ops = VHOST_BLK_BASIC_OPS;

	if (features & FEATURE(VIRTIO_BLK_F_DISCARD))
		ops |= BIT(VHOST_BLK_OP_DISCARD);
	if (features & FEATURE(VIRTIO_BLK_F_WRITE_ZEROES))
		ops |= BIT(VHOST_BLK_OP_WRITE_ZEROES);
	if (features & FEATURE(VIRTIO_BLK_F_SECURE_ERASE))
		ops |= BIT(VHOST_BLK_OP_SECURE_ERASE);
	if (features & FEATURE(VIRTIO_BLK_F_ZONED))
		ops |= VHOST_BLK_ZONE_OPS;
	return ops;
}

/**
 * vhost_blk_writethrough - is each write to be stable when it completes (5.2.6.2)?
 * @blk: the device, its mutex held
 */
bool vhost_blk_writethrough(const struct vhost_blk *blk)
{
	if (blk->features & FEATURE(VIRTIO_BLK_F_CONFIG_WCE))
		return !blk->writeback;
	return !(blk->features & FEATURE(VIRTIO_BLK_F_FLUSH));
}

/* Any will do for those who still ask: this is what disks used to say. */
static void vblk_fill_geometry(u64 capacity, struct virtio_blk_geometry *geometry)
{
	const unsigned int heads = 16, sectors = 63, most = 16383;
	u64 cylinders = div_u64(capacity, heads * sectors);

	geometry->heads = heads;
	geometry->sectors = sectors;
	geometry->cylinders =
		__cpu_to_virtio16(true, min_t(u64, cylinders, most));
}

/* The configuration space (5.2.4) as it is now.  backend_mutex is held. */
static void vblk_fill_config(const struct vhost_blk *blk,
			     union vhost_blk_config *config)
{
	const struct vhost_blk_be *be = blk->be;
	struct virtio_blk_config *v = &config->v;
	struct vhost_blk_limits limits;

	memset(config, 0, sizeof(*config));
	v->num_queues = __cpu_to_virtio16(true, VHOST_BLK_MAX_QUEUES);
	v->wce = READ_ONCE(blk->writeback);
	if (!be)
		return;

	vhost_blk_backend_limits(be, &limits);
	v->capacity = __cpu_to_virtio64(true, limits.capacity);
	v->size_max = __cpu_to_virtio32(true, VHOST_BLK_SIZE_MAX);
	v->seg_max = __cpu_to_virtio32(true, VHOST_BLK_SEG_MAX);
	v->blk_size = __cpu_to_virtio32(true, be->block_size);
	vblk_fill_geometry(limits.capacity, &v->geometry);
	be->ops->config(be, config);
}

/* Check the window of a config ioctl; @argp is its argument. */
static long vblk_config_window(struct vhost_vdpa_config *window,
			       const void __user *argp)
{
	if (copy_from_user(window, argp, sizeof(*window)))
		return -EFAULT;
	if (!window->len || window->off > sizeof(union vhost_blk_config) ||
	    window->len > sizeof(union vhost_blk_config) - window->off)
		return -EINVAL;
	return 0;
}

/**
 * vhost_blk_get_config - VHOST_BLK_GET_CONFIG
 * @blk: the device
 * @argp: the ioctl's argument
 */
long vhost_blk_get_config(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_vdpa_config __user *user = argp;
	struct vhost_vdpa_config window;
	union vhost_blk_config config;
	long ret = vblk_config_window(&window, argp);

	if (ret)
		return ret;
	mutex_lock(&blk->backend_mutex);
	vblk_fill_config(blk, &config);
	mutex_unlock(&blk->backend_mutex);
	if (copy_to_user(user->buf, (u8 *)&config + window.off, window.len))
		return -EFAULT;
	return 0;
}

/*
 * Once a driver believes in a writethrough cache it doesn't flush any more, so
 * what was completed before has to be made stable here.
 */
static long vblk_set_writeback(struct vhost_blk *blk, bool writeback)
{
	bool before = blk->writeback;
	long ret;

	if (writeback == before)
		return 0;
	ret = vhost_blk_pause(blk);
	if (ret)
		return ret;
	if (!writeback && blk->be)
		ret = vhost_blk_backend_flush(blk->be);
	if (!ret)
		WRITE_ONCE(blk->writeback, writeback);
	vhost_blk_resume(blk);
	return ret;
}

/**
 * vhost_blk_set_config - VHOST_BLK_SET_CONFIG
 * @blk: the device, its mutex held
 * @argp: the ioctl's argument
 *
 * `writeback` is all that a driver may write (5.2.4).
 */
long vhost_blk_set_config(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_vdpa_config __user *user = argp;
	struct vhost_vdpa_config window;
	long ret = vblk_config_window(&window, argp);
	u8 writeback;

	if (ret)
		return ret;
	if (window.off != offsetof(struct virtio_blk_config, wce) ||
	    window.len != sizeof_field(struct virtio_blk_config, wce))
		return -EINVAL;
	if (get_user(writeback, user->buf))
		return -EFAULT;
	return writeback > 1 ? -EINVAL : vblk_set_writeback(blk, writeback);
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
