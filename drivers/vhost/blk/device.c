// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module, the device node /dev/vhost-blk, its open and its ioctls.
 *
 * An ioctl of the vhost core that needs nothing special is passed on by
 * vblk_core_ioctl().  Documentation/virt/vhost-blk/uapi.rst describes all
 * ioctls.
 */
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vhost_iotlb.h>
#include <linux/workqueue.h>

#include "internal.h"
#include "stats.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Number of the last device, see vhost_blk.id */
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
	vhost_blk_flush_init(blk);
	vhost_blk_error_init(blk);
	blk->writeback = true;
	file->private_data = blk;
	return 0;
}

/*
 * Replace the backend by @new, which may be NULL, and close the old one.  No
 * queue takes chains, and no request is in flight.
 */
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
 * Flush the old backend of a swap.
 *
 * Return: 0; -EINTR; -EOWNERDEAD; or -ENOTRECOVERABLE for an error of the flush.
 * Its errno would look like an error of the new backend, and neither a flush nor
 * an attach returns ENOTRECOVERABLE otherwise.
 */
static int vblk_flush_old_backend(struct vhost_blk *blk)
{
	int ret = vhost_blk_flush(blk);

	return !ret || ret == -EINTR || ret == -EOWNERDEAD ? ret : -ENOTRECOVERABLE;
}

/*
 * Allocate what the queues that are not stopped need for a new backend.  No
 * request is in flight.
 *
 * Return: 0, -ENOMEM, or -EINTR if the caller is being killed.
 */
static int vblk_prepare_queues(struct vhost_blk *blk, const struct vhost_blk_be *new)
{
	struct vhost_blk_queue *q;
	unsigned int i;
	int ret = 0;

	for (i = 0; new->rmw && i < VHOST_BLK_MAX_QUEUES && !ret; i++) {
		q = &blk->queues[i];
		if (vhost_blk_stopped(q))
			continue;
		if (mutex_lock_killable(&q->vq.mutex))
			return -EINTR;
		ret = vhost_blk_rmw_alloc(q, new);
		mutex_unlock(&q->vq.mutex);
	}
	return ret;
}

/*
 * Replace the backend once no request is in flight.  If the device runs, the
 * old one is flushed first, because the guest's next flush goes to the new one.
 */
static long vblk_replace_backend(struct vhost_blk *blk, struct vhost_blk_be *new)
{
	long ret = vhost_blk_pause(blk);

	if (ret)
		return ret;
	ret = vhost_blk_running(blk) ? vblk_flush_old_backend(blk) :
				       vhost_blk_wait_for_flush(blk);
	if (!ret && new)
		ret = vblk_prepare_queues(blk, new);
	if (!ret && blk->be && new && blk->features)
		vhost_blk_backend_keep_limits(new, blk->be);
	if (!ret)
		vblk_swap_backend(blk, new);
	vhost_blk_resume(blk);
	return ret;
}

/* Get the kind of backend that @file is.  Return: NULL if it is none. */
static const struct vhost_blk_backend_ops *vblk_backend_ops(const struct file *file)
{
	umode_t mode = file_inode(file)->i_mode;

	if (S_ISBLK(mode))
		return &vhost_blk_bdev_ops;
	if (S_ISREG(mode))
		return &vhost_blk_file_ops;
	return NULL;
}

/* Return: the backend that arg->fd names, or an ERR_PTR. */
static struct vhost_blk_be *vblk_open_backend(const struct vhost_blk_backend *arg)
{
	const struct vhost_blk_backend_ops *ops;
	struct file *file = fget(arg->fd);
	struct vhost_blk_be *be;
	int ret;

	if (!file)
		return ERR_PTR(-EBADF);
	ops = vblk_backend_ops(file);
	be = ops ? vhost_blk_backend_open(file, ops, arg) : ERR_PTR(-EINVAL);
	fput(file);
	if (IS_ERR(be))
		return be;
	ret = vhost_blk_rmw_attach(be);
	if (!ret)
		return be;
	vhost_blk_backend_close(be);
	return ERR_PTR(ret);
}

#define VBLK_BACKEND_FLAGS	(VHOST_BLK_BACKEND_F_RO | \
				 VHOST_BLK_BACKEND_F_ANY_RANGE | \
				 VHOST_BLK_BACKEND_F_NO_UNMAP)

/* Return: 0, or -EINVAL if values that do not depend on the fd are invalid. */
static long vblk_check_backend(const struct vhost_blk_backend *arg)
{
	u32 block = arg->block_size;

	if ((arg->flags & ~VBLK_BACKEND_FLAGS) ||
	    memchr_inv(arg->reserved, 0, sizeof(arg->reserved)))
		return -EINVAL;
	if (block && (!is_power_of_2(block) || block < SECTOR_SIZE ||
		      block > VHOST_BLK_MAX_BLOCK_SIZE))
		return -EINVAL;
	return 0;
}

/* VHOST_BLK_SET_BACKEND: attach, swap or detach the backend */
static long vblk_set_backend(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_blk_backend arg;
	struct vhost_blk_be *be = NULL;
	long ret;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	ret = vblk_check_backend(&arg);
	if (ret)
		return ret;

	if (arg.fd == VHOST_FILE_UNBIND) {
		if (vhost_blk_running(blk))
			return -EBUSY;
	} else {
		ret = vhost_blk_create_workqueues(blk);
		if (ret)
			return ret;
		be = vblk_open_backend(&arg);
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

/* Finish a start, which has returned @ret.  Return: @ret. */
static long vblk_started(struct vhost_blk *blk, long ret)
{
	if (!ret)
		vhost_blk_capacity_poll_start(blk);
	vhost_blk_abandon_if_owner_exited(blk);
	return ret;
}

/* VHOST_BLK_SET_RUNNING: start or stop all queues */
static long vblk_set_running(struct vhost_blk *blk, void __user *argp)
{
	int running;

	if (copy_from_user(&running, argp, sizeof(running)))
		return -EFAULT;
	switch (running) {
	case 0:
		return vhost_blk_stop(blk);
	case 1:
		return blk->be ? vblk_started(blk, vhost_blk_start(blk)) : -ENODEV;
	default:
		return -EINVAL;
	}
}

/* VHOST_BLK_SET_VRING_RUNNING: start or stop one queue */
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
		if (!blk->be)
			return -ENODEV;
		return vblk_started(blk, vhost_blk_start_queue(blk, q));
	default:
		return -EINVAL;
	}
}

/* VHOST_BLK_FLUSH: flush the backend, in any state of the queues */
static long vblk_flush(struct vhost_blk *blk, void __user *argp)
{
	return blk->be ? vhost_blk_flush(blk) : -ENODEV;
}

/* Ioctls of the vhost core, which checks the owner if necessary */
static long vblk_core_ioctl(struct vhost_blk *blk, unsigned int cmd,
			    void __user *argp)
{
	long ret;

	if (_IOC_TYPE(cmd) != VHOST_VIRTIO)
		return -ENOIOCTLCMD;
	ret = vhost_dev_ioctl(&blk->dev, cmd, argp);
	if (ret == -ENOIOCTLCMD)
		ret = vhost_worker_ioctl(&blk->dev, cmd, argp);
	if (ret == -ENOIOCTLCMD)
		ret = vhost_vring_ioctl(&blk->dev, cmd, argp);
	return ret;
}

/* VHOST_SET_OWNER: bind the device to the caller */
static long vblk_set_owner(struct vhost_blk *blk, void __user *argp)
{
	long ret;

	/* A pending reset would discard the new owner's settings. */
	if (vhost_blk_owner_exited(blk))
		return -EBUSY;
	ret = vblk_core_ioctl(blk, VHOST_SET_OWNER, argp);
	if (!ret)
		vhost_blk_watch_owner(blk);
	return ret;
}

#ifdef CONFIG_VHOST_ENABLE_FORK_OWNER_CONTROL
/*
 * VHOST_GET_FORK_FROM_OWNER: as the core does, but without dev.mutex, because
 * any process with the file may call it
 */
static long vblk_get_fork_from_owner(struct vhost_blk *blk, void __user *argp)
{
	return put_user((u8)READ_ONCE(blk->dev.fork_owner), (u8 __user *)argp);
}

/*
 * VHOST_SET_FORK_FROM_OWNER: as the core does, but any process with the file may
 * call it, so the argument is copied without dev.mutex.  A pending reset would
 * discard the setting.
 */
static long vblk_set_fork_from_owner(struct vhost_blk *blk, void __user *argp)
{
	long ret = 0;
	u8 kind;

	if (get_user(kind, (u8 __user *)argp))
		return -EFAULT;
	if (kind != VHOST_FORK_OWNER_TASK && kind != VHOST_FORK_OWNER_KTHREAD)
		return -EINVAL;
	if (mutex_lock_killable(&blk->dev.mutex))
		return -EINTR;
	if (vhost_dev_has_owner(&blk->dev) || vhost_blk_owner_exited(blk))
		ret = -EBUSY;
	else
		blk->dev.fork_owner = kind == VHOST_FORK_OWNER_TASK;
	mutex_unlock(&blk->dev.mutex);
	return ret;
}
#endif

/* VHOST_RESET_OWNER: stop the device and forget its owner and settings */
static long vblk_reset_owner(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_iotlb *umem = vhost_dev_reset_owner_prepare();
	long ret;

	if (!umem)
		return -ENOMEM;
	ret = vhost_blk_stop(blk) ?: vhost_blk_wait_for_flush(blk);
	if (ret) {
		vhost_iotlb_free(umem);
		return ret;
	}
	/* The exit of the owner wakes workers, which are freed below. */
	vhost_blk_unwatch_owner(blk);
	vhost_blk_shut_down(blk);
	vhost_dev_reset_owner(&blk->dev, umem);
	return 0;
}

/*
 * VHOST_SET_MEM_TABLE.  Requests in flight use addresses of the old table, and
 * userspace may map something else there once this returns.  So wait for them.
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

/* Check the argument of VHOST_SET_VRING_ADDR, as the core does. */
static long vblk_check_vring_addr(const struct vhost_vring_addr *arg)
{
	if (arg->flags & ~BIT(VHOST_VRING_F_LOG))
		return -EOPNOTSUPP;
	/* An address may have more bits than a pointer. */
	if ((unsigned long)arg->desc_user_addr != arg->desc_user_addr ||
	    (unsigned long)arg->avail_user_addr != arg->avail_user_addr ||
	    (unsigned long)arg->used_user_addr != arg->used_user_addr)
		return -EFAULT;
	if (!IS_ALIGNED(arg->avail_user_addr, VRING_AVAIL_ALIGN_SIZE) ||
	    !IS_ALIGNED(arg->used_user_addr, VRING_USED_ALIGN_SIZE) ||
	    !IS_ALIGNED(arg->log_guest_addr, VRING_USED_ALIGN_SIZE))
		return -EINVAL;
	return 0;
}

static bool vblk_same_rings(const struct vhost_virtqueue *vq,
			    const struct vhost_vring_addr *arg)
{
	return arg->desc_user_addr == (unsigned long)vq->desc &&
	       arg->avail_user_addr == (unsigned long)vq->avail &&
	       arg->used_user_addr == (unsigned long)vq->used;
}

/*
 * Set the addresses of a queue.  They are those that it has, unless it is
 * stopped.  A start checks the addresses, and drops mappings of the old ones.
 * The mutex of the queue is held.
 *
 * Return: 0, or -EINVAL if the queue is not stopped and cannot write its log.
 */
static long vblk_apply_vring_addr(struct vhost_virtqueue *vq,
				  const struct vhost_vring_addr *arg)
{
	bool old_used = vq->log_used;
	u64 old_addr = vq->log_addr;

	vq->log_used = arg->flags & BIT(VHOST_VRING_F_LOG);
	vq->log_addr = arg->log_guest_addr;
	if (vhost_vq_get_backend(vq) && !vhost_vq_access_ok(vq)) {
		vq->log_used = old_used;
		vq->log_addr = old_addr;
		return -EINVAL;
	}
	vq->desc = u64_to_user_ptr(arg->desc_user_addr);
	vq->avail = u64_to_user_ptr(arg->avail_user_addr);
	vq->used = u64_to_user_ptr(arg->used_user_addr);
	return 0;
}

/*
 * VHOST_SET_VRING_ADDR.  Unless the queue is stopped, its addresses can be set
 * to the current ones only; QEMU does that to switch the log of the used ring.
 * The core is not called for any queue: it would read the argument again, and
 * another thread may have put the index of a running queue there by then.
 */
static long vblk_set_vring_addr(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_vring_addr arg;
	struct vhost_blk_queue *q;
	long ret;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	q = vhost_blk_queue_at(blk, arg.index);
	if (!q)
		return -ENOBUFS;
	/* Only ioctls start a queue, and they need dev.mutex. */
	if (!vhost_blk_stopped(q) && !vblk_same_rings(&q->vq, &arg))
		return -EBUSY;
	ret = vblk_check_vring_addr(&arg);
	if (ret)
		return ret;
	if (mutex_lock_killable(&q->vq.mutex))
		return -EINTR;
	ret = vblk_apply_vring_addr(&q->vq, &arg);
	mutex_unlock(&q->vq.mutex);
	return ret;
}

/*
 * VHOST_ATTACH_VRING_WORKER.  If a queue is stopped, the core does not flush
 * its old worker, and warns if work of the queue is still pending there.  That
 * is possible: a kick may have completed the last request before the worker ran
 * the work that was queued for that completion.
 */
static long vblk_attach_vring_worker(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_vring_worker arg;
	struct vhost_blk_queue *q;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	q = vhost_blk_queue_at(blk, arg.index);
	if (q && !vhost_blk_stopped(q))
		return -EBUSY;
	/*
	 * vhost_blk_req_done() or vhost_blk_abandon() may still be waking the
	 * worker, or have found that the old one was killed.
	 */
	synchronize_rcu();
	if (q)
		cancel_delayed_work_sync(&q->dead_worker_work);
	vhost_dev_flush(&blk->dev);
	return vblk_core_ioctl(blk, VHOST_ATTACH_VRING_WORKER, argp);
}

/*
 * VHOST_FREE_WORKER.  The core reads the index for VHOST_ATTACH_VRING_WORKER
 * again.  If another thread has changed it, the worker of a queue that was not
 * stopped has been replaced, and a thread may still be waking the old one.
 */
static long vblk_free_worker(struct vhost_blk *blk, void __user *argp)
{
	/* Pairs with rcu_read_lock() in vhost_vq_work_queue(). */
	synchronize_rcu();
	return vblk_core_ioctl(blk, VHOST_FREE_WORKER, argp);
}

/* Fill in the fields that describe the backend.  backend_mutex is held. */
static void vblk_backend_info(const struct vhost_blk_be *be,
			      struct vhost_blk_info *info)
{
	struct vhost_blk_limits limits = {};

	vhost_blk_backend_limits(be, &limits);
	info->flags = VHOST_BLK_INFO_F_BACKEND;
	if (limits.ro)
		info->flags |= VHOST_BLK_INFO_F_RO;
	if (be->bdev)
		info->flags |= VHOST_BLK_INFO_F_BLOCK_DEVICE;
	if (be->bdev || (be->iocb_flags & IOCB_DIRECT))
		info->flags |= VHOST_BLK_INFO_F_DIRECT;
	info->dev_major = MAJOR(be->dev);
	info->dev_minor = MINOR(be->dev);
	info->ino = be->ino;
	info->capacity = limits.capacity;
	info->block_size = be->block_size;
	info->flush_error = READ_ONCE(be->flush_error);
}

static void vblk_fill_info(struct vhost_blk *blk, struct vhost_blk_info *info)
{
	*info = (struct vhost_blk_info){
		.running = vhost_blk_running(blk),
		.features = READ_ONCE(blk->features),
		.trace_dev = blk->id,
	};
	mutex_lock(&blk->backend_mutex);
	if (blk->be)
		vblk_backend_info(blk->be, info);
	mutex_unlock(&blk->backend_mutex);
}

/*
 * VHOST_BLK_GET_INFO.  Like VHOST_BLK_GET_VRING_INFO it does not take
 * dev.mutex: a VMM calls it because an ioctl of another thread, which holds
 * dev.mutex, does not return.
 */
static long vblk_get_info(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_blk_info info;

	vblk_fill_info(blk, &info);
	return copy_to_user(argp, &info, sizeof(info)) ? -EFAULT : 0;
}

/* VHOST_BLK_GET_VRING_INFO: state of a queue; without dev.mutex */
static long vblk_get_vring_info(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_blk_vring_info info;
	struct vhost_blk_queue *q;
	u32 index;

	if (get_user(index, (u32 __user *)argp))
		return -EFAULT;
	q = vhost_blk_queue_at(blk, index);
	if (!q)
		return -ENOBUFS;
	info = (struct vhost_blk_vring_info){
		.index = index,
		.state = vhost_blk_queue_state(q),
		.break_reason = READ_ONCE(q->break_reason),
		.break_error = READ_ONCE(q->break_error),
		.inflight = READ_ONCE(q->inflight),
		.parked = READ_ONCE(q->parked.nr),
	};
	vhost_blk_get_failure(q, &info);
	return copy_to_user(argp, &info, sizeof(info)) ? -EFAULT : 0;
}

/* VHOST_BLK_GET_STATS: counters of a queue; without dev.mutex */
static long vblk_get_stats(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_blk_vring_stats *stats;
	struct vhost_blk_queue *q;
	long ret = 0;
	u32 index;

	if (get_user(index, (u32 __user *)argp))
		return -EFAULT;
	q = vhost_blk_queue_at(blk, index);
	if (!q)
		return -ENOBUFS;
	stats = kzalloc_obj(*stats, VHOST_BLK_GFP);
	if (!stats)
		return -ENOMEM;
	stats->index = index;
	vhost_blk_read_counters(q, stats);
	if (copy_to_user(argp, stats, sizeof(*stats)))
		ret = -EFAULT;
	kfree(stats);
	return ret;
}

/* Information for tools that look at all disks of a host; without dev.mutex */
static void vblk_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct vhost_blk *blk = file->private_data;
	struct vhost_blk_info info;

	vblk_fill_info(blk, &info);
	vhost_blk_show_fdinfo(m, blk, &info);
}

/**
 * struct vblk_ioctl_def - an ioctl that is not passed on to the vhost core
 * @cmd: number of the ioctl
 * @flags: VBLK_IOCTL_*
 * @fn: implementation; argp is the argument of the ioctl.  Called with
 *	dev.mutex held unless @flags has VBLK_IOCTL_NOLOCK.  Return: 0 or a
 *	negative errno.
 * @u64_fn: implementation instead of @fn, if the argument is a u64.  Called
 *	with dev.mutex held.  The argument is copied without the mutex.
 *
 * A copy from or to userspace may take as long as another process likes
 * (userfaultfd, FUSE), and the reset of a device whose owner has exited waits
 * for the mutex.  So an ioctl that any process with the file may call has
 * VBLK_IOCTL_NOLOCK or @u64_fn.  A process that shares the owner's memory may
 * call all ioctls of the owner, of which most copy with the mutex held, and so
 * can delay the reset.
 */
struct vblk_ioctl_def {
	unsigned int cmd;
	unsigned int flags;
	long (*fn)(struct vhost_blk *blk, void __user *argp);
	long (*u64_fn)(struct vhost_blk *blk, u64 *arg);
};

/*
 * Do not take dev.mutex: another ioctl may hold it while it waits for requests.
 */
#define VBLK_IOCTL_NOLOCK	BIT(0)
/* Only a process with the owner's memory may call it. */
#define VBLK_IOCTL_OWNER	BIT(1)
/* Likewise, but any process may call it while the device has no owner. */
#define VBLK_IOCTL_SETUP	BIT(2)

static const struct vblk_ioctl_def vblk_ioctls[] = {
	{ VHOST_BLK_GET_CONFIG, VBLK_IOCTL_NOLOCK, vhost_blk_get_config },
	{ VHOST_BLK_GET_INFO, VBLK_IOCTL_NOLOCK, vblk_get_info },
	{ VHOST_BLK_GET_VRING_INFO, VBLK_IOCTL_NOLOCK, vblk_get_vring_info },
	{ VHOST_BLK_GET_STATS, VBLK_IOCTL_NOLOCK, vblk_get_stats },
	{ VHOST_BLK_SET_BACKEND, VBLK_IOCTL_OWNER, vblk_set_backend },
	{ VHOST_BLK_SET_RUNNING, VBLK_IOCTL_OWNER, vblk_set_running },
	{ VHOST_BLK_SET_VRING_RUNNING, VBLK_IOCTL_OWNER, vblk_set_vring_running },
	{ VHOST_BLK_SET_CONFIG, VBLK_IOCTL_OWNER, vhost_blk_set_config },
	{ VHOST_BLK_SET_CONFIG_CALL, VBLK_IOCTL_OWNER, vhost_blk_set_config_call },
	{ VHOST_BLK_FLUSH, VBLK_IOCTL_OWNER, vblk_flush },
	{ VHOST_BLK_SET_ERROR_POLICY, VBLK_IOCTL_OWNER, vhost_blk_set_error_policy },
	{ VHOST_BLK_GET_VRING_PARKED, VBLK_IOCTL_OWNER, vhost_blk_get_vring_parked },
	{ VHOST_BLK_SET_VRING_PARKED, VBLK_IOCTL_OWNER, vhost_blk_set_vring_parked },
	{ VHOST_GET_FEATURES, .u64_fn = vhost_blk_get_features },
	{ VHOST_SET_FEATURES, VBLK_IOCTL_SETUP, .u64_fn = vhost_blk_set_features },
	{ VHOST_GET_BACKEND_FEATURES, .u64_fn = vhost_blk_get_backend_features },
	{ VHOST_SET_BACKEND_FEATURES, VBLK_IOCTL_SETUP,
	  .u64_fn = vhost_blk_set_backend_features },
#ifdef CONFIG_VHOST_ENABLE_FORK_OWNER_CONTROL
	{ VHOST_GET_FORK_FROM_OWNER, VBLK_IOCTL_NOLOCK, vblk_get_fork_from_owner },
	{ VHOST_SET_FORK_FROM_OWNER, VBLK_IOCTL_NOLOCK, vblk_set_fork_from_owner },
#endif
	{ VHOST_SET_OWNER, 0, vblk_set_owner },
	{ VHOST_RESET_OWNER, VBLK_IOCTL_OWNER, vblk_reset_owner },
	{ VHOST_SET_MEM_TABLE, VBLK_IOCTL_OWNER, vblk_set_mem_table },
	{ VHOST_SET_VRING_ADDR, VBLK_IOCTL_OWNER, vblk_set_vring_addr },
	{ VHOST_ATTACH_VRING_WORKER, VBLK_IOCTL_OWNER, vblk_attach_vring_worker },
	{ VHOST_FREE_WORKER, VBLK_IOCTL_OWNER, vblk_free_worker },
};

static const struct vblk_ioctl_def *vblk_find_ioctl(unsigned int cmd)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vblk_ioctls); i++)
		if (vblk_ioctls[i].cmd == cmd)
			return &vblk_ioctls[i];
	return NULL;
}

/* Check the caller of an ioctl that has VBLK_IOCTL_SETUP. */
static long vblk_check_setup(struct vhost_blk *blk)
{
	if (!vhost_dev_has_owner(&blk->dev) && !vhost_blk_owner_exited(blk))
		return 0;
	return vhost_dev_check_owner(&blk->dev);
}

/* An ioctl whose argument is a u64, which is copied without dev.mutex. */
static long vblk_u64_ioctl(struct vhost_blk *blk, const struct vblk_ioctl_def *def,
			   void __user *argp)
{
	u64 arg = 0;
	long ret = 0;

	if ((_IOC_DIR(def->cmd) & _IOC_WRITE) &&
	    copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	if (mutex_lock_killable(&blk->dev.mutex))
		return -EINTR;
	if (def->flags & VBLK_IOCTL_SETUP)
		ret = vblk_check_setup(blk);
	if (!ret)
		ret = def->u64_fn(blk, &arg);
	mutex_unlock(&blk->dev.mutex);
	if (!ret && (_IOC_DIR(def->cmd) & _IOC_READ) &&
	    copy_to_user(argp, &arg, sizeof(arg)))
		return -EFAULT;
	return ret;
}

static long vblk_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct vblk_ioctl_def *def = vblk_find_ioctl(cmd);
	struct vhost_blk *blk = file->private_data;
	void __user *argp = (void __user *)arg;
	long ret = 0;

	if (def && (def->flags & VBLK_IOCTL_NOLOCK))
		return def->fn(blk, argp);
	if (def && def->u64_fn)
		return vblk_u64_ioctl(blk, def, argp);
	/*
	 * Another thread may hold it while it waits for a backend that hangs.
	 */
	if (mutex_lock_killable(&blk->dev.mutex))
		return -EINTR;
	if (!def)
		ret = vblk_core_ioctl(blk, cmd, argp);
	else if (def->flags & VBLK_IOCTL_OWNER)
		ret = vhost_dev_check_owner(&blk->dev);
	if (def && !ret)
		ret = def->fn(blk, argp);
	mutex_unlock(&blk->dev.mutex);
	return ret;
}

static const struct file_operations vblk_fops = {
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
	.show_fdinfo = vblk_show_fdinfo,
};

/*
 * vhost-net and vhost-vsock have fixed minors, so their modules are loaded when
 * their nodes are opened.  The alias for that ("devname:") needs a fixed minor;
 * without one, depmod refuses it.  So this module has to be loaded before, see
 * modules-load.d(5).
 */
static struct miscdevice vblk_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vhost-blk",
	.fops = &vblk_fops,
};

static int __init vblk_init(void)
{
	int ret;

	/* Its works do not wait, and memory reclaim does not depend on them. */
	vhost_blk_capacity_wq = alloc_workqueue("vhost_blk",
						WQ_UNBOUND | WQ_SYSFS, 0);
	if (!vhost_blk_capacity_wq)
		return -ENOMEM;

	/*
	 * Not WQ_MEM_RECLAIM: it frees address spaces, which may wait for
	 * anything.  A rescuer would wait too.
	 */
	vhost_blk_release_wq = alloc_workqueue("vhost_blk_end",
					       WQ_UNBOUND | WQ_SYSFS, WQ_MAX_ACTIVE);
	if (!vhost_blk_release_wq) {
		ret = -ENOMEM;
		goto destroy_wq;
	}

	ret = misc_register(&vblk_misc);
	if (ret)
		goto destroy_release_wq;
	return 0;

destroy_release_wq:
	destroy_workqueue(vhost_blk_release_wq);
destroy_wq:
	destroy_workqueue(vhost_blk_capacity_wq);
	return ret;
}
module_init(vblk_init);

static void __exit vblk_exit(void)
{
	misc_deregister(&vblk_misc);
	destroy_workqueue(vhost_blk_release_wq);
	destroy_workqueue(vhost_blk_capacity_wq);
}
module_exit(vblk_exit);

MODULE_VERSION("0.1");
MODULE_LICENSE("GPL");
MODULE_AUTHOR("The vhost-blk developers");
MODULE_DESCRIPTION("Host kernel accelerator for virtio-blk");
