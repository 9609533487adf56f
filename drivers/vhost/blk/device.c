// SPDX-License-Identifier: GPL-2.0-only
/*
 * One open of /dev/vhost-blk: open and the ioctls.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vhost_iotlb.h>
#include <linux/workqueue.h>

#include "blk.h"

/* For the tracepoints */
static atomic_t vblk_last_id = ATOMIC_INIT(0);

static int vblk_open(struct inode *inode, struct file *file)
{
	struct vhost_blk *blk;
	unsigned int i;

	blk = kvzalloc_obj(*blk, VHOST_BLK_GFP);
	if (!blk)
		return -ENOMEM;
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		vhost_blk_queue_init(&blk->queues[i]);
		blk->vqs[i] = &blk->queues[i].vq;
	}
	vhost_dev_init(&blk->dev, blk->vqs, VHOST_BLK_MAX_QUEUES, UIO_MAXIOV,
		       VHOST_BLK_WEIGHT, VHOST_BLK_BYTE_WEIGHT, true,
		       vhost_blk_iotlb_msg);
	init_rwsem(&blk->iotlb_sem);
	mutex_init(&blk->backend_mutex);
	blk->id = atomic_inc_return(&vblk_last_id);
	blk->opener = task_tgid_nr(current);
	vhost_blk_capacity_init(blk);
	vhost_blk_release_init(blk);
	blk->writeback = true;
	file->private_data = blk;
	return 0;
}

/* While the device runs, the VMM may switch the dirty log and no more. */
static long vblk_check_features(struct vhost_blk *blk, u64 features, bool running)
{
	u64 log = 1ULL << VHOST_F_LOG_ALL;
	/*
	 * After a swap to a writable backend it is not offered any more.  But
	 * the driver goes on that has acknowledged it, or one that was booted
	 * since and has been offered it by the VMM, as the one before.
	 */
	u64 ro = 1ULL << VIRTIO_BLK_F_RO;

	if (features & ~(vhost_blk_features(blk) | ro))
		return -EOPNOTSUPP;
	if (running && (features ^ blk->features) & ~log)
		return -EBUSY;
	if (features & log && !vhost_log_access_ok(&blk->dev))
		return -EFAULT;
	return 0;
}

/*
 * A driver that can't flush starts with writethrough (5.2.5.2); for a legacy one
 * no feature changes the mode (5.2.5.3).
 */
static bool vblk_starts_writethrough(u64 features)
{
	return (features & (1ULL << VIRTIO_F_VERSION_1)) &&
	       (features & (1ULL << VIRTIO_BLK_F_CONFIG_WCE)) &&
	       !(features & (1ULL << VIRTIO_BLK_F_FLUSH));
}

/*
 * Requests that were taken before the log was on don't know what they will
 * have written: they are waited for.
 */
static long vblk_set_features(struct vhost_blk *blk, void __user *argp)
{
	bool running = vhost_blk_running(blk);
	u64 features;
	long ret;

	if (copy_from_user(&features, argp, sizeof(features)))
		return -EFAULT;
	ret = vblk_check_features(blk, features, running);
	if (ret || (running && features == blk->features))
		return ret;
	ret = vhost_blk_pause(blk);
	if (ret)
		return ret;
	if (!running)
		ret = vhost_blk_iotlb_set(blk, features);
	if (!ret)
		ret = vhost_blk_ack_features(blk, features);
	if (!ret && !running && vblk_starts_writethrough(features))
		WRITE_ONCE(blk->writeback, false);
	vhost_blk_resume(blk);
	return ret;
}

static long vblk_get_features(struct vhost_blk *blk, void __user *argp)
{
	u64 features = vhost_blk_features(blk);

	return copy_to_user(argp, &features, sizeof(features)) ? -EFAULT : 0;
}

static const u64 vblk_backend_bits = 1ULL << VHOST_BACKEND_F_IOTLB_MSG_V2;

static long vblk_get_backend_features(void __user *argp)
{
	return copy_to_user(argp, &vblk_backend_bits,
			    sizeof(vblk_backend_bits)) ? -EFAULT : 0;
}

/* As vhost_set_backend_features(), which can't be killed while it waits. */
static long vblk_set_backend_features(struct vhost_blk *blk, void __user *argp)
{
	unsigned int i;
	u64 features;

	if (copy_from_user(&features, argp, sizeof(features)))
		return -EFAULT;
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
 * The first backend brings the workqueue.  Not WQ_MEM_RECLAIM, as with loop: file
 * systems flush workqueues of their own that aren't, which the kernel warns
 * about, and its rescuer is a kernel thread that nobody is charged for.
 * Hibernation must not see files change after its image was taken.
 */
static int vblk_create_workqueues(struct vhost_blk *blk)
{
	if (!blk->submit_wq)
		blk->submit_wq = alloc_workqueue("vhost-blk-submit-%d",
						 WQ_UNBOUND | WQ_FREEZABLE,
						 VHOST_BLK_MAX_QUEUES,
						 task_tgid_nr(current));
	if (!blk->wq)
		blk->wq = alloc_workqueue("vhost-blk-%d",
					  WQ_UNBOUND | WQ_FREEZABLE,
					  VHOST_BLK_MAX_PUNTED,
					  task_tgid_nr(current));
	return blk->wq && blk->submit_wq ? 0 : -ENOMEM;
}

/* No queue takes chains, and nothing is in flight. */
static void vblk_swap_backend(struct vhost_blk *blk, struct vhost_blk_be *new)
{
	vhost_blk_flush_workqueues(blk);
	mutex_lock(&blk->backend_mutex);
	swap(blk->be, new);
	mutex_unlock(&blk->backend_mutex);
	vhost_blk_backend_close(new);
	vhost_blk_capacity_check(blk);
}

/*
 * Not the errno of the flush: it would look like an error of the new backend, and
 * no flush or open ends in this one.
 */
static int vblk_flush_old_backend(struct vhost_blk_be *old)
{
	int ret = vhost_blk_backend_flush(old);

	return !ret || ret == -EINTR || ret == -ERESTARTSYS ? ret : -ENOTRECOVERABLE;
}

/* Flushes go to the new one from here on, so the old one has its last. */
static long vblk_replace_backend(struct vhost_blk *blk, struct vhost_blk_be *new)
{
	long ret = vhost_blk_pause(blk);

	if (ret)
		return ret;
	if (vhost_blk_running(blk))
		ret = vblk_flush_old_backend(blk->be);
	if (!ret && blk->be && new && blk->features)
		vhost_blk_backend_keep_limits(new, blk->be);
	if (!ret)
		vblk_swap_backend(blk, new);
	vhost_blk_resume(blk);
	return ret;
}

static long vblk_set_backend(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_blk_backend arg;
	struct vhost_blk_be *be = NULL;
	long ret;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	if ((arg.flags & ~VHOST_BLK_BACKEND_F_RO) ||
	    memchr_inv(arg.reserved, 0, sizeof(arg.reserved)))
		return -EINVAL;

	if (arg.fd == VHOST_FILE_UNBIND) {
		if (vhost_blk_running(blk))
			return -EBUSY;
	} else {
		ret = vblk_create_workqueues(blk);
		if (ret)
			return ret;
		be = vhost_blk_backend_open(&arg);
		if (IS_ERR(be))
			return PTR_ERR(be);
		if (!vhost_blk_backend_compatible(blk, be)) {
			vhost_blk_backend_close(be);
			return -EOPNOTSUPP;
		}
	}

	ret = vblk_replace_backend(blk, be);
	if (ret)
		vhost_blk_backend_close(be);
	return ret;
}

static long vblk_set_running(struct vhost_blk *blk, void __user *argp)
{
	int running;

	if (copy_from_user(&running, argp, sizeof(running)))
		return -EFAULT;
	switch (running) {
	case 0:
		return vhost_blk_stop(blk);
	case 1:
		return blk->be ? vhost_blk_start(blk) : -ENODEV;
	default:
		return -EINVAL;
	}
}

static long vblk_set_vring_running(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_vring_state arg;
	struct vhost_blk_queue *q;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	q = vhost_blk_queue_at(blk, arg.index);
	if (!q)
		return -ENOBUFS;
	switch (arg.num) {
	case 0:
		return vhost_blk_stop_queue(q);
	case 1:
		return blk->be ? vhost_blk_start_queue(blk, q) : -ENODEV;
	default:
		return -EINVAL;
	}
}

static long vblk_reset_owner(struct vhost_blk *blk)
{
	struct vhost_iotlb *umem = vhost_dev_reset_owner_prepare();
	long ret;

	if (!umem)
		return -ENOMEM;
	ret = vhost_blk_stop(blk);
	if (ret) {
		vhost_iotlb_free(umem);
		return ret;
	}
	vhost_blk_shut_down(blk);
	vhost_dev_reset_owner(&blk->dev, umem);
	vhost_blk_unwatch_owner(blk);
	return 0;
}

/*
 * Requests in flight know where the old table put their data, and userspace
 * may map something else there once this returns.
 */
static long vblk_set_mem_table(struct vhost_blk *blk, void __user *argp)
{
	long ret = vhost_blk_pause(blk);

	if (ret)
		return ret;
	ret = vhost_dev_ioctl(&blk->dev, VHOST_SET_MEM_TABLE, argp);
	vhost_blk_resume(blk);
	return ret;
}

/*
 * The addresses of a queue that isn't stopped stay as they are; QEMU sets them
 * again when it switches the log of the used ring.  Both this and the core
 * read the argument: who changes it in between gets what the core makes of
 * it, and that has been checked by the core, since private_data is set.
 */
static long vblk_check_vring_addr(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_vring_addr arg;
	struct vhost_blk_queue *q;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	q = vhost_blk_queue_at(blk, arg.index);
	if (!q || vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_STOPPED)
		return 0;
	if (arg.desc_user_addr == (unsigned long)q->vq.desc &&
	    arg.avail_user_addr == (unsigned long)q->vq.avail &&
	    arg.used_user_addr == (unsigned long)q->vq.used)
		return 0;
	return -EBUSY;
}

/*
 * The core does not flush the worker that a stopped queue leaves, and warns if
 * that has something queued.  A stopped queue may: what completed its last
 * request was found by a kick before.
 */
static long vblk_prepare_attach_worker(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_vring_worker arg;
	struct vhost_blk_queue *q;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	q = vhost_blk_queue_at(blk, arg.index);
	if (q && vhost_blk_queue_state(q) != VHOST_BLK_QUEUE_STOPPED)
		return -EBUSY;
	/* Who put the last request on the list may still be waking the worker. */
	synchronize_rcu();
	vhost_dev_flush(&blk->dev);
	return 0;
}

/* Return: 0 if the state allows what the vhost core is to do. */
static long vblk_prepare_core_ioctl(struct vhost_blk *blk, unsigned int cmd,
				    void __user *argp)
{
	switch (cmd) {
	case VHOST_SET_OWNER:
		/* The next one's must not be reset with the last one's. */
		return vhost_blk_owner_exited(blk) ? -EBUSY : 0;
	case VHOST_SET_VRING_ADDR:
		return vblk_check_vring_addr(blk, argp);
	case VHOST_ATTACH_VRING_WORKER:
		return vblk_prepare_attach_worker(blk, argp);
	default:
		return 0;
	}
}

static long vblk_core_ioctl(struct vhost_blk *blk, unsigned int cmd,
			    void __user *argp)
{
	long ret;

	if (_IOC_TYPE(cmd) != VHOST_VIRTIO)
		return -ENOIOCTLCMD;
	ret = vblk_prepare_core_ioctl(blk, cmd, argp);
	if (ret)
		return ret;
	ret = vhost_dev_ioctl(&blk->dev, cmd, argp);
	if (!ret && cmd == VHOST_SET_OWNER)
		vhost_blk_watch_owner(blk);
	if (ret == -ENOIOCTLCMD)
		ret = vhost_worker_ioctl(&blk->dev, cmd, argp);
	if (ret == -ENOIOCTLCMD)
		ret = vhost_vring_ioctl(&blk->dev, cmd, argp);
	return ret;
}

/* Those that only the owner may call. */
static long vblk_owner_ioctl(struct vhost_blk *blk, unsigned int cmd,
			     void __user *argp)
{
	long ret;

	switch (cmd) {
	case VHOST_BLK_SET_BACKEND:
	case VHOST_BLK_SET_RUNNING:
	case VHOST_BLK_SET_VRING_RUNNING:
	case VHOST_BLK_SET_CONFIG:
	case VHOST_BLK_SET_CONFIG_CALL:
	case VHOST_RESET_OWNER:
	case VHOST_SET_MEM_TABLE:
	case VHOST_SET_VRING_ADDR:
	case VHOST_ATTACH_VRING_WORKER:
		ret = vhost_dev_check_owner(&blk->dev);
		if (ret)
			return ret;
	}

	switch (cmd) {
	case VHOST_BLK_SET_BACKEND:
		return vblk_set_backend(blk, argp);
	case VHOST_BLK_SET_RUNNING:
		return vblk_set_running(blk, argp);
	case VHOST_BLK_SET_VRING_RUNNING:
		return vblk_set_vring_running(blk, argp);
	case VHOST_BLK_SET_CONFIG:
		return vhost_blk_set_config(blk, argp);
	case VHOST_BLK_SET_CONFIG_CALL:
		return vhost_blk_set_config_call(blk, argp);
	case VHOST_RESET_OWNER:
		return vblk_reset_owner(blk);
	case VHOST_SET_MEM_TABLE:
		return vblk_set_mem_table(blk, argp);
	default:
		return vblk_core_ioctl(blk, cmd, argp);
	}
}

static long vblk_ioctl(struct file *file, unsigned int cmd,
		       unsigned long arg)
{
	struct vhost_blk *blk = file->private_data;
	void __user *argp = (void __user *)arg;
	long ret;

	switch (cmd) {
	/* These do not wait for one that waits for requests. */
	case VHOST_BLK_GET_CONFIG:
		return vhost_blk_get_config(blk, argp);
	case VHOST_BLK_GET_INFO:
		return vhost_blk_get_info(blk, argp);
	case VHOST_BLK_GET_VRING_INFO:
		return vhost_blk_get_vring_info(blk, argp);
	}
	/* Another thread may be waiting for a device that hangs. */
	if (mutex_lock_killable(&blk->dev.mutex))
		return -EINTR;
	switch (cmd) {
	case VHOST_GET_FEATURES:
		ret = vblk_get_features(blk, argp);
		break;
	case VHOST_SET_FEATURES:
		ret = vblk_set_features(blk, argp);
		break;
	case VHOST_GET_BACKEND_FEATURES:
		ret = vblk_get_backend_features(argp);
		break;
	case VHOST_SET_BACKEND_FEATURES:
		ret = vblk_set_backend_features(blk, argp);
		break;
	default:
		ret = vblk_owner_ioctl(blk, cmd, argp);
	}
	mutex_unlock(&blk->dev.mutex);
	return ret;
}

const struct file_operations vhost_blk_fops = {
	.owner = THIS_MODULE,
	.open = vblk_open,
	.flush = vhost_blk_fop_flush,
	.release = vhost_blk_fop_release,
	.llseek = noop_llseek,
	.read_iter = vhost_blk_fop_read_iter,
	.write_iter = vhost_blk_fop_write_iter,
	.poll = vhost_blk_fop_poll,
	.unlocked_ioctl = vblk_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
