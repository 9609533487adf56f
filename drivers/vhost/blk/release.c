// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a device: its last close, a reset of its owner, or the owner's end.
 *
 * The file holds a reference, and so does each queue until its last request
 * has ended.  No thread waits for requests on behalf of a device whose owner
 * is gone: the worker drops the last reference, and then a work frees what is
 * left.  Until then the memory that requests have pinned, the owner's address
 * space, the backend's file with its locks, and this module stay.
 *
 * The file may stay open when its owner has ended, in another process or where
 * nobody can close it: in an io_uring that is mapped in the owner's memory, which
 * the device keeps.  So the end of the owner takes the reference of the file, and
 * the last one resets the device.  It gives the reference back to the file, or
 * frees the device if that has been closed in the meantime.
 */
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/wait_bit.h>

#include "internal.h"

/*
 * How long a process that exits waits for its requests.  Unless the backend
 * hangs they have ended by then, so that another VMM that is started on the
 * same disk once this one was reaped doesn't find its writes among its own.
 */
#define VBLK_LINGER	(4 * HZ)

static void vblk_worker_flush(struct vhost_work *work)
{
	struct vhost_blk_queue *q = container_of(work, struct vhost_blk_queue,
						 worker_flush);

	WRITE_ONCE(q->worker_flushed, true);
	/* The queue stays until the worker has ended. */
	wake_up_all(&q->idle);
}

/*
 * A worker that is a thread of a process that is stopped does nothing until the
 * process goes on.  The vhost core waits for it as one waits for a disk: for more
 * than two minutes it is reported as a task that hangs, which may be a panic.  So a
 * kernel thread waits here first, idle.  A process that is stopped between this and
 * the core's wait has the thread wait there.
 */
static void vblk_flush_workers(struct vhost_blk *blk)
{
	struct vhost_blk_queue *q;
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		q = &blk->queues[i];
		vhost_work_init(&q->worker_flush, vblk_worker_flush);
		q->worker_flushed = false;
		if (!vhost_vq_work_queue(&q->vq, &q->worker_flush))
			q->worker_flushed = true;
	}
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		q = &blk->queues[i];
		wait_event_idle(q->idle, READ_ONCE(q->worker_flushed));
	}
}

/* All queues are stopped: wait for those who are about to leave them. */
static void vblk_quiesce(struct vhost_blk *blk)
{
	unsigned int i;

	vhost_blk_capacity_poll_end(blk);
	/* Pairs with rcu_read_lock() in vhost_blk_req_done(). */
	synchronize_rcu();
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		cancel_delayed_work_sync(&blk->queues[i].dead_worker_work);
	if (current->flags & PF_KTHREAD)
		vblk_flush_workers(blk);
	vhost_dev_stop(&blk->dev);
	vhost_blk_flush_workqueues(blk);
}

/*
 * Give back all but what the vhost core has, and the disk, which is the caller's
 * to close: that may wait for its file system, so nothing should wait for it.
 */
static struct vhost_blk_be *vblk_free_resources(struct vhost_blk *blk)
{
	struct vhost_blk_be *be = NULL;
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		vhost_blk_queue_free(&blk->queues[i]);
	mutex_lock(&blk->backend_mutex);
	swap(blk->be, be);
	mutex_unlock(&blk->backend_mutex);
	if (blk->config_call)
		eventfd_ctx_put(blk->config_call);
	blk->config_call = NULL;
	WRITE_ONCE(blk->features, 0);
	WRITE_ONCE(blk->writeback, true);
	return be;
}

/**
 * vhost_blk_shut_down - free what the driver has, not the vhost core
 * @blk: the device, all its queues stopped, its mutex held
 */
void vhost_blk_shut_down(struct vhost_blk *blk)
{
	vblk_quiesce(blk);
	vhost_blk_backend_close(vblk_free_resources(blk));
}

static void vblk_destroy(struct vhost_blk *blk)
{
	struct vhost_blk_be *be;

	vblk_quiesce(blk);
	vhost_dev_cleanup(&blk->dev);
	be = vblk_free_resources(blk);
	if (blk->submit_wq)
		destroy_workqueue(blk->submit_wq);
	if (blk->wq)
		destroy_workqueue(blk->wq);
	kvfree(blk);
	vhost_blk_backend_close(be);
}

/*
 * As VHOST_RESET_OWNER does.  Another process may be in an ioctl, for as long as it
 * likes: what waits for the mutex must not look like a task that hangs.  Nothing
 * interrupts a kernel thread.
 *
 * Return: true if the device is the file's again, and not to be touched.
 */
static bool vblk_reset_device(struct vhost_blk *blk)
{
	struct vhost_blk_be *be;
	bool open;

	while (mutex_lock_interruptible(&blk->dev.mutex))
		;
	vblk_quiesce(blk);
	vhost_dev_cleanup(&blk->dev);
	be = vblk_free_resources(blk);
	refcount_set(&blk->refs, 1);
	mutex_unlock(&blk->dev.mutex);
	open = atomic_cmpxchg(&blk->life, VHOST_BLK_OWNER_EXITED,
			      VHOST_BLK_OPEN) == VHOST_BLK_OWNER_EXITED;
	vhost_blk_backend_close(be);
	return open;
}

static void vblk_release_device(struct vhost_blk *blk)
{
	if (!vhost_blk_owner_exited(blk) || !vblk_reset_device(blk))
		vblk_destroy(blk);
}

static int vblk_release_thread(void *blk)
{
	vblk_release_device(blk);
	module_put_and_kthread_exit(0);
	return 0;
}

/*
 * A worker that is a thread of a process that is stopped is waited for until the
 * process goes on, and the end of an address space for its own I/O.  So each
 * device has a thread for that: others must not wait behind it.
 */
static void vblk_release_work(struct work_struct *work)
{
	struct vhost_blk *blk = container_of(work, struct vhost_blk, release_work);
	struct task_struct *thread;

	thread = kthread_run(vblk_release_thread, blk, "vhost-blk-end");
	if (!IS_ERR(thread))
		return;
	vblk_release_device(blk);
	/* Removal of the module waits for the workqueue, so for our return. */
	module_put(THIS_MODULE);
}

/* All of its threads are dead: nobody is left to close its descriptors. */
static bool vblk_group_exited(struct pid *pid)
{
	struct task_struct *leader;
	bool ended;

	rcu_read_lock();
	leader = pid_task(pid, PIDTYPE_TGID);
	ended = !leader || (READ_ONCE(leader->exit_state) && thread_group_empty(leader));
	rcu_read_unlock();
	return ended;
}

/* The kernel tells those who poll a pidfd of the owner.  Interrupts are off. */
static int vblk_owner_wake(struct wait_queue_entry *entry, unsigned int mode,
			   int flags, void *key)
{
	struct vhost_blk *blk = container_of(entry, struct vhost_blk, owner_watch);

	if (vblk_group_exited(blk->owner_pid)) {
		list_del_init(&entry->entry);
		queue_work(vhost_blk_release_wq, &blk->owner_exit);
	}
	return 0;
}

/* Must not wait for dev.mutex: who has it may be waiting for this. */
static void vblk_owner_exit_work(struct work_struct *work)
{
	struct vhost_blk *blk = container_of(work, struct vhost_blk, owner_exit);

	/*
	 * Full barrier: pairs with the start of a queue, see
	 * vhost_blk_abandon_if_owner_exited().
	 */
	atomic_xchg(&blk->life, VHOST_BLK_OWNER_EXITED);
	/* For the end; the file has one, and its last close waits for us. */
	__module_get(THIS_MODULE);
	vhost_blk_abandon(blk);
	vhost_blk_put(blk);
}

void vhost_blk_release_init(struct vhost_blk *blk)
{
	INIT_WORK(&blk->release_work, vblk_release_work);
	INIT_WORK(&blk->owner_exit, vblk_owner_exit_work);
	init_waitqueue_func_entry(&blk->owner_watch, vblk_owner_wake);
	INIT_LIST_HEAD(&blk->owner_watch.entry);
	atomic_set(&blk->life, VHOST_BLK_OPEN);
	refcount_set(&blk->refs, 1);
}

/**
 * vhost_blk_watch_owner - the caller is the owner from now on
 * @blk: the device, its mutex held; the last owner's end is over, if it had one
 */
void vhost_blk_watch_owner(struct vhost_blk *blk)
{
	vhost_blk_unwatch_owner(blk);
	blk->owner = task_tgid_nr(current);
	blk->linger_until = 0;
	blk->owner_pid = get_task_pid(current, PIDTYPE_TGID);
	add_wait_queue(&blk->owner_pid->wait_pidfd, &blk->owner_watch);
}

/**
 * vhost_blk_unwatch_owner - the end of the last owner is of no interest any more
 * @blk: the device, its mutex held, or its file closed
 *
 * If the owner has ended already its end goes on.
 */
void vhost_blk_unwatch_owner(struct vhost_blk *blk)
{
	if (!blk->owner_pid)
		return;
	remove_wait_queue(&blk->owner_pid->wait_pidfd, &blk->owner_watch);
	cancel_work_sync(&blk->owner_exit);
	put_pid(blk->owner_pid);
	blk->owner_pid = NULL;
}

static bool vblk_all_stopped(const struct vhost_blk *blk)
{
	return refcount_read(&blk->refs) == 1;
}

static bool vblk_linger(struct vhost_blk *blk)
{
	long left;

	vhost_blk_abandon(blk);
	if (!blk->linger_until)
		blk->linger_until = jiffies + VBLK_LINGER;
	left = blk->linger_until - jiffies;
	return wait_var_event_timeout(&blk->refs, vblk_all_stopped(blk),
				      max(left, 0L));
}

static bool vblk_owner_is_exiting(const struct vhost_blk *blk)
{
	return (current->flags & PF_EXITING) &&
	       task_tgid_nr(current) == blk->owner;
}

/*
 * Wait for requests on behalf of the owner only.  Another process that was sent
 * the descriptor, or a thread of the kernel, has nothing to do with them.
 *
 * Return: true if none is in flight any more.
 */
static bool vblk_wait_for_requests(struct vhost_blk *blk)
{
	/* Its last descriptor may have been in a socket's queue. */
	if (blk->linger_until || vblk_owner_is_exiting(blk))
		return vblk_linger(blk);
	if (blk->dev.mm && current->mm != blk->dev.mm) {
		vhost_blk_abandon(blk);
		return false;
	}
	/* Its memory is its own again when close() returns. */
	if (vhost_blk_stop(blk))
		return vblk_linger(blk);
	wait_var_event(&blk->refs, vblk_all_stopped(blk));
	return true;
}

/**
 * vhost_blk_fop_flush - a descriptor of the device is closed
 * @file: the device's
 * @id: not used
 *
 * A process that exits closes all its descriptors before any of their files is
 * released.  If it is the owner its requests are given up here, so that it waits
 * for all its disks together, not for one after the other.
 */
int vhost_blk_fop_flush(struct file *file, fl_owner_t id)
{
	struct vhost_blk *blk = file->private_data;

	if (vblk_owner_is_exiting(blk) && file_count(file) == 1) {
		vhost_blk_abandon(blk);
		blk->linger_until = jiffies + VBLK_LINGER;
	}
	return 0;
}

int vhost_blk_fop_release(struct inode *inode, struct file *file)
{
	struct vhost_blk *blk = file->private_data;

	vhost_blk_unwatch_owner(blk);
	/* The end of the owner has the reference, and one to the module. */
	if (atomic_cmpxchg(&blk->life, VHOST_BLK_OWNER_EXITED,
			   VHOST_BLK_CLOSED) == VHOST_BLK_OWNER_EXITED)
		return 0;
	if (vblk_wait_for_requests(blk)) {
		vblk_destroy(blk);
		return 0;
	}
	atomic_set(&blk->life, VHOST_BLK_CLOSED);
	/* For the work; the file's reference to the module is dropped on return. */
	__module_get(THIS_MODULE);
	vhost_blk_put(blk);
	return 0;
}
