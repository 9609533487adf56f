// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a device: its last close, or a reset of its owner.
 *
 * The file holds a reference, and so does each queue until its last request
 * has ended.  No thread waits for requests on behalf of a device whose owner
 * is gone: the worker drops the last reference, and then a work frees what is
 * left.  Until then the memory that requests have pinned, the owner's address
 * space, the backend's file with its locks, and this module stay.
 */
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "blk.h"

/*
 * How long a process that exits waits for its requests.  Unless the backend
 * hangs they have ended by then, so that another VMM that is started on the
 * same disk once this one was reaped doesn't find its writes among its own.
 */
#define LINGER	(4 * HZ)

struct workqueue_struct *vhost_blk_end_wq;

/* All queues are stopped: wait for those who are about to leave them. */
static void vblk_quiesce(struct vhost_blk *blk)
{
	unsigned int i;

	vhost_blk_resize_end(blk);
	/* Pairs with rcu_read_lock() in vhost_blk_req_done(). */
	synchronize_rcu();
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		cancel_delayed_work_sync(&blk->queues[i].orphan_work);
	vhost_dev_stop(&blk->dev);
}

/* Give back all but what the vhost core has. */
static void vblk_give_back(struct vhost_blk *blk)
{
	struct vhost_blk_disk *disk = NULL;
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		vhost_blk_queue_free(&blk->queues[i]);
	mutex_lock(&blk->disk_mutex);
	swap(blk->disk, disk);
	mutex_unlock(&blk->disk_mutex);
	vhost_blk_disk_close(disk);
	if (blk->config_call)
		eventfd_ctx_put(blk->config_call);
	blk->config_call = NULL;
	WRITE_ONCE(blk->features, 0);
	WRITE_ONCE(blk->writeback, true);
}

/**
 * vhost_blk_shut_down - free what the driver has, not the vhost core
 * @blk: the device, all its queues stopped, its mutex held
 */
void vhost_blk_shut_down(struct vhost_blk *blk)
{
	vblk_quiesce(blk);
	vblk_give_back(blk);
}

static void vblk_destroy(struct vhost_blk *blk)
{
	vblk_quiesce(blk);
	vhost_dev_cleanup(&blk->dev);
	vblk_give_back(blk);
	if (blk->submit_wq)
		destroy_workqueue(blk->submit_wq);
	if (blk->wq)
		destroy_workqueue(blk->wq);
	kvfree(blk);
}

static int vblk_end_thread(void *blk)
{
	vblk_destroy(blk);
	module_put_and_kthread_exit(0);
	return 0;
}

/*
 * A worker that is a thread of a process that is stopped is waited for until the
 * process goes on, and the end of an address space for its own I/O.  So each
 * device has a thread for that: others must not wait behind it.
 */
static void vblk_end_work(struct work_struct *work)
{
	struct vhost_blk *blk = container_of(work, struct vhost_blk, end);
	struct task_struct *thread;

	thread = kthread_run(vblk_end_thread, blk, "vhost-blk-end");
	if (!IS_ERR(thread))
		return;
	vblk_destroy(blk);
	/* Removal of the module waits for the workqueue, so for our return. */
	module_put(THIS_MODULE);
}

void vhost_blk_end_init(struct vhost_blk *blk)
{
	INIT_WORK(&blk->end, vblk_end_work);
	refcount_set(&blk->refs, 1);
}

/**
 * vhost_blk_put - drop a reference to a device
 * @blk: the device; not to be touched afterwards, but by a caller that the
 *	device's end waits for
 *
 * Context: any.
 */
void vhost_blk_put(struct vhost_blk *blk)
{
	/* The address is not followed: @blk may be freed by then. */
	refcount_t *refs = &blk->refs;

	if (refcount_dec_and_test(refs)) {
		queue_work(vhost_blk_end_wq, &blk->end);
		return;
	}
	/* Pairs with set_current_state() in wait_var_event(). */
	smp_mb();
	wake_up_var(refs);
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
		blk->linger_until = jiffies + LINGER;
	left = blk->linger_until - jiffies;
	return wait_var_event_timeout(&blk->refs, vblk_all_stopped(blk),
				      max(left, 0L));
}

static bool vblk_owner_exits(const struct vhost_blk *blk)
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
	if (blk->linger_until || vblk_owner_exits(blk))
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
 * vhost_blk_flush - a descriptor of the device is closed
 * @file: the device's
 * @id: not used
 *
 * A process that exits closes all its descriptors before any of their files is
 * released.  If it is the owner its requests are given up here, so that it waits
 * for all its disks together, not for one after the other.
 */
int vhost_blk_flush(struct file *file, fl_owner_t id)
{
	struct vhost_blk *blk = file->private_data;

	if (vblk_owner_exits(blk) && file_count(file) == 1) {
		vhost_blk_abandon(blk);
		blk->linger_until = jiffies + LINGER;
	}
	return 0;
}

int vhost_blk_release(struct inode *inode, struct file *file)
{
	struct vhost_blk *blk = file->private_data;

	if (vblk_wait_for_requests(blk)) {
		vblk_destroy(blk);
		return 0;
	}
	/* For the work; the file's reference to the module is dropped on return. */
	__module_get(THIS_MODULE);
	vhost_blk_put(blk);
	return 0;
}
