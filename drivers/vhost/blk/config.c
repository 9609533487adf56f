// SPDX-License-Identifier: GPL-2.0-only
/*
 * Feature bits and the configuration space, which are computed from the
 * backend, and notification of the VMM when the capacity has changed.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/eventfd.h>
#include <linux/math64.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "internal.h"

/* Features that do not depend on the backend */
static const u64 vblk_module_features =
	BIT_ULL(VHOST_F_LOG_ALL) |
	BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) |
	BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY) |
	BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |
	BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |
	BIT_ULL(VIRTIO_F_ANY_LAYOUT) |
	BIT_ULL(VIRTIO_F_VERSION_1) |
	BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) |
	BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |
	BIT_ULL(VIRTIO_BLK_F_GEOMETRY) |
	BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) |
	BIT_ULL(VIRTIO_BLK_F_FLUSH) |
	BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) |
	BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE) |
	BIT_ULL(VIRTIO_BLK_F_MQ);

/* Features that depend on the backend */
static const u64 vblk_backend_features =
	BIT_ULL(VIRTIO_BLK_F_RO) |
	BIT_ULL(VIRTIO_BLK_F_DISCARD) |
	BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES) |
	BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE) |
	BIT_ULL(VIRTIO_BLK_F_ZONED);

/* Features of @be, VIRTIO_BLK_F_RO included */
static u64 vblk_features_of(const struct vhost_blk_be *be)
{
	return be->features | (be->ro ? BIT_ULL(VIRTIO_BLK_F_RO) : 0);
}

/*
 * Features that VHOST_GET_FEATURES returns: all of the module before a backend
 * is attached, those of the backend after that.  dev.mutex is held.
 */
static u64 vblk_offered_features(const struct vhost_blk *blk)
{
	return vblk_module_features |
	       (blk->be ? vblk_features_of(blk->be) : vblk_backend_features);
}

/**
 * vhost_blk_backend_compatible - check a backend against negotiated features
 * @blk: the device, its mutex held
 * @be: the new backend
 *
 * Before features are negotiated, any backend is compatible.  A writable
 * backend may replace a read-only one; the guest is not told.
 *
 * Return: true if the guest can use @be with the features that it has.
 */
bool vhost_blk_backend_compatible(const struct vhost_blk *blk,
				  const struct vhost_blk_be *be)
{
	u64 ro = BIT_ULL(VIRTIO_BLK_F_RO), known = blk->features;

	if (!known)
		return true;
	if (blk->be && be->guest_block_size > blk->be->guest_block_size)
		return false;
	if (be->ro && !(known & ro) && !(blk->be && blk->be->ro))
		return false;
	/*
	 * A driver without that feature would not write at the write pointers.
	 */
	if (be->features & ~known & BIT_ULL(VIRTIO_BLK_F_ZONED))
		return false;
	if (be->zone_sectors && blk->be && blk->be->zone_sectors &&
	    !vhost_blk_zone_may_replace(be, blk->be))
		return false;
	return !(known & vblk_backend_features & ~ro & ~be->features);
}

/*
 * Check features that are to be set.  While the device runs, only the dirty log
 * can be switched.
 *
 * Return: 0, -EOPNOTSUPP, -EBUSY or -EFAULT.
 */
static long vblk_check_features(struct vhost_blk *blk, u64 features, bool running)
{
	u64 log = 1ULL << VHOST_F_LOG_ALL;
	/*
	 * Not offered after a swap to a writable backend.  But the driver may
	 * have acknowledged it before, or the VMM may still offer it to the
	 * next driver.
	 */
	u64 ro = 1ULL << VIRTIO_BLK_F_RO;

	if (features & ~(vblk_offered_features(blk) | ro))
		return -EOPNOTSUPP;
	if (running && (features ^ blk->features) & ~log)
		return -EBUSY;
	if (features & log && !vhost_log_access_ok(&blk->dev))
		return -EFAULT;
	return 0;
}

/*
 * A driver that cannot flush starts in writethrough mode (5.2.5.2).  For a
 * legacy driver no feature changes the mode (5.2.5.3).
 */
static bool vblk_starts_writethrough(u64 features)
{
	return (features & (1ULL << VIRTIO_F_VERSION_1)) &&
	       (features & (1ULL << VIRTIO_BLK_F_CONFIG_WCE)) &&
	       !(features & (1ULL << VIRTIO_BLK_F_FLUSH));
}

/*
 * Set the acknowledged features of a queue.  For a stopped queue this must not
 * fail, because the translation of its addresses has been switched already.
 * The wait is short: no thread holds its mutex for long without dev.mutex.
 *
 * Return: 0, or -EINTR if the caller is being killed.
 */
static int vblk_ack_queue_features(struct vhost_blk_queue *q, u64 features)
{
	if (vhost_blk_stopped(q))
		mutex_lock(&q->vq.mutex);
	else if (mutex_lock_killable(&q->vq.mutex))
		return -EINTR;
	q->vq.acked_features = features;
	mutex_unlock(&q->vq.mutex);
	return 0;
}

/*
 * Record the writes of a queue that is not stopped, as @features require.
 *
 * Return: 0, or -EINTR if the caller is being killed.
 */
static int vblk_track_queue(struct vhost_blk_queue *q, u64 features)
{
	if (vhost_blk_stopped(q))
		return 0;
	if (mutex_lock_killable(&q->vq.mutex))
		return -EINTR;
	vhost_blk_set_tracking(q, features);
	mutex_unlock(&q->vq.mutex);
	return 0;
}

/*
 * Set the features of the device and of its queues.  No request is in flight,
 * dev.mutex is held, and @features are checked.
 *
 * Return: 0, or -EINTR if the caller is being killed and the device runs.  Then
 * some queues may log their writes and others not, until features are set again.
 */
static int vblk_commit_features(struct vhost_blk *blk, u64 features)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES && !ret; i++)
		ret = vblk_track_queue(&blk->queues[i], features);
	for (i = 0; i < VHOST_BLK_MAX_QUEUES && !ret; i++)
		ret = vblk_ack_queue_features(&blk->queues[i], features);
	if (!ret)
		WRITE_ONCE(blk->features, features);
	return ret;
}

/**
 * vhost_blk_set_features - VHOST_SET_FEATURES
 * @blk: the device, its mutex held
 * @arg: the features
 *
 * Waits for requests in flight: those that were taken before the log was
 * switched on have not recorded what they may write.
 *
 * Return: 0 or a negative errno, see uapi.rst.
 */
long vhost_blk_set_features(struct vhost_blk *blk, u64 *arg)
{
	bool running = vhost_blk_running(blk);
	u64 features = *arg;
	long ret;

	ret = vblk_check_features(blk, features, running);
	if (ret || (running && features == blk->features))
		return ret;
	ret = vhost_blk_pause(blk);
	if (ret)
		return ret;
	if (!running)
		ret = vhost_blk_iotlb_set(blk, features);
	if (!ret)
		ret = vblk_commit_features(blk, features);
	if (!ret && !running && vblk_starts_writethrough(features))
		WRITE_ONCE(blk->writeback, false);
	vhost_blk_resume(blk);
	return ret;
}

/**
 * vhost_blk_get_features - VHOST_GET_FEATURES
 * @blk: the device, its mutex held
 * @arg: set to the features that the device offers
 *
 * Return: 0.
 */
long vhost_blk_get_features(struct vhost_blk *blk, u64 *arg)
{
	*arg = vblk_offered_features(blk);
	return 0;
}

static const u64 vblk_backend_bits = 1ULL << VHOST_BACKEND_F_IOTLB_MSG_V2;

/**
 * vhost_blk_get_backend_features - VHOST_GET_BACKEND_FEATURES
 * @blk: the device
 * @arg: set to the features of the vhost backend
 *
 * Return: 0.
 */
long vhost_blk_get_backend_features(struct vhost_blk *blk, u64 *arg)
{
	*arg = vblk_backend_bits;
	return 0;
}

/**
 * vhost_blk_set_backend_features - VHOST_SET_BACKEND_FEATURES
 * @blk: the device, its mutex held
 * @arg: the features
 *
 * Like vhost_set_backend_features(), except that a caller that waits for the
 * mutex of a queue can be killed.
 *
 * Return: 0, -EOPNOTSUPP or -EINTR.
 */
long vhost_blk_set_backend_features(struct vhost_blk *blk, u64 *arg)
{
	u64 features = *arg;
	unsigned int i;

	if (features & ~vblk_backend_bits)
		return -EOPNOTSUPP;
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		struct vhost_virtqueue *vq = &blk->queues[i].vq;

		if (mutex_lock_killable(&vq->mutex))
			return -EINTR;
		vq->acked_backend_features = features;
		mutex_unlock(&vq->mutex);
	}
	return 0;
}

/*
 * Legacy CHS geometry (5.2.4).  Any values are valid; use the usual 16 heads
 * and 63 sectors.
 */
static void vblk_fill_geometry(u64 capacity, struct virtio_blk_geometry *geometry)
{
	const unsigned int heads = 16, sectors = 63, most = 16383;
	u64 cylinders = div_u64(capacity, heads * sectors);

	geometry->heads = heads;
	geometry->sectors = sectors;
	geometry->cylinders =
		__cpu_to_virtio16(true, min_t(u64, cylinders, most));
}

/* Fill in the current configuration space (5.2.4).  backend_mutex is held. */
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
	v->blk_size = __cpu_to_virtio32(true, be->guest_block_size);
	vblk_fill_geometry(limits.capacity, &v->geometry);
	be->ops->config(be, config);
}

/*
 * Read and check offset and length of a configuration ioctl.
 *
 * Return: 0, -EFAULT or -EINVAL.
 */
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
 * @blk: the device; its mutex is not needed
 * @argp: argument of the ioctl
 *
 * Return: 0, -EFAULT or -EINVAL.
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
 * Set the cache mode.  In writethrough mode a driver sends no flushes, so
 * writes that have completed before are made stable here.
 *
 * Return: 0, or -EINTR, -EOWNERDEAD or the error of the flush with the mode
 * unchanged.
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
		ret = vhost_blk_flush(blk);
	if (!ret)
		WRITE_ONCE(blk->writeback, writeback);
	vhost_blk_resume(blk);
	return ret;
}

/**
 * vhost_blk_set_config - VHOST_BLK_SET_CONFIG
 * @blk: the device, its mutex held
 * @argp: argument of the ioctl
 *
 * A driver may only write the field writeback (5.2.4).
 *
 * Return: 0, -EFAULT, -EINVAL, -EINTR, -EOWNERDEAD, or the error of a flush.
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
 * @argp: argument of the ioctl
 *
 * Return: 0, -EFAULT, -EBADF or -EINVAL.
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

/* Polls the capacity of all devices; its works do not wait for backends. */
struct workqueue_struct *vhost_blk_capacity_wq;

/*
 * Queue the next poll of the capacity.  When it has changed, the VMM notifies
 * the guest (live resize).
 *
 * The kernel has no notification of a change that works for both files and
 * block devices, so a running device is polled once a second.  Requests are
 * checked against the current capacity even before the guest knows it.
 *
 * The timer is rounded so that all devices of a host wake it up together.
 */
static void vblk_requeue_capacity_poll(struct vhost_blk *blk)
{
	queue_delayed_work(vhost_blk_capacity_wq, &blk->capacity_poll,
			   round_jiffies_relative(HZ));
}

static void vblk_capacity_poll_work(struct work_struct *work)
{
	struct vhost_blk *blk = container_of(to_delayed_work(work),
					     struct vhost_blk, capacity_poll);

	/* Do not wait: the holder may be in cancel_delayed_work_sync(). */
	if (!mutex_trylock(&blk->dev.mutex)) {
		vblk_requeue_capacity_poll(blk);
		return;
	}
	if (READ_ONCE(blk->capacity_polled)) {
		vhost_blk_capacity_check(blk);
		vblk_requeue_capacity_poll(blk);
	}
	mutex_unlock(&blk->dev.mutex);
}

/**
 * vhost_blk_capacity_init - initialize the poll of the capacity
 * @blk: the device, at open
 */
void vhost_blk_capacity_init(struct vhost_blk *blk)
{
	INIT_DELAYED_WORK(&blk->capacity_poll, vblk_capacity_poll_work);
}

/**
 * vhost_blk_capacity_check - signal the eventfd if the capacity has changed
 * @blk: the device, its mutex held
 */
void vhost_blk_capacity_check(struct vhost_blk *blk)
{
	struct vhost_blk_limits limits = {};

	if (blk->be)
		vhost_blk_backend_limits(blk->be, &limits);
	if (limits.capacity == blk->capacity)
		return;
	blk->capacity = limits.capacity;
	if (blk->config_call)
		eventfd_signal(blk->config_call);
}

/**
 * vhost_blk_capacity_poll_start - poll the capacity until the device is stopped
 * @blk: the device, its mutex held, after a start that may have started no
 *	queue
 */
void vhost_blk_capacity_poll_start(struct vhost_blk *blk)
{
	vhost_blk_capacity_check(blk);
	WRITE_ONCE(blk->capacity_polled, true);
	vblk_requeue_capacity_poll(blk);
}

/**
 * vhost_blk_capacity_poll_end - stop the poll of the capacity
 * @blk: the device, all its queues stopped; its mutex may be held
 *
 * Sleeps until the work is not running.
 */
void vhost_blk_capacity_poll_end(struct vhost_blk *blk)
{
	cancel_delayed_work_sync(&blk->capacity_poll);
}
