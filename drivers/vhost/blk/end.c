// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a device: its last close, or a reset of its owner.
 *
 * What may have to wait for the backend is done by a work, so that a process
 * that is killed isn't kept by a backend that hangs.  Once that work is done
 * the process that closes the file frees what is left; one that can't wait so
 * long leaves that to the work too, and goes.  Then the memory that requests
 * in flight have pinned, the owner's address space, the backend's file with
 * its locks, and this module stay until the backend lets go.
 */
#include <linux/completion.h>
#include <linux/eventfd.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "blk.h"

/*
 * What a process that is exiting allows its requests.  All but a hanging
 * backend is done by then, so that whoever kills a VMM to start another on the
 * same disk doesn't find writes of the first among those of the second.
 */
#define LINGER	(4 * HZ)

struct workqueue_struct *vhost_blk_end_wq;

/* All that may wait for the backend. */
static void quiesce(struct vhost_blk *blk)
{
	vhost_blk_stop(blk);
	vhost_blk_resize_end(blk);
	vhost_blk_drain_uninterruptible(blk);
	vhost_dev_stop(&blk->dev);
}

/* Give back all but what the vhost core has. */
static void give_back(struct vhost_blk *blk)
{
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		vhost_blk_queue_free(&blk->queues[i]);
	vhost_blk_disk_close(blk->disk);
	blk->disk = NULL;
	if (blk->config_call)
		eventfd_ctx_put(blk->config_call);
	blk->config_call = NULL;
	blk->features = 0;
	blk->writeback = true;
}

/**
 * vhost_blk_shut_down - stop, drain, and give back what the vhost core hasn't
 * @blk: the device, nothing in flight but what completes by itself
 */
void vhost_blk_shut_down(struct vhost_blk *blk)
{
	quiesce(blk);
	give_back(blk);
}

static void destroy(struct vhost_blk *blk)
{
	give_back(blk);
	vhost_dev_cleanup(&blk->dev);
	destroy_workqueue(blk->wq);
	kvfree(blk);
}

static void end_work(struct work_struct *work)
{
	struct vhost_blk *blk = container_of(work, struct vhost_blk, end);

	quiesce(blk);
	if (!atomic_xchg(&blk->ended, 1)) {
		complete(&blk->quiet);
		return;
	}
	destroy(blk);
	/* Removal of the module waits for the workqueue, so for our return. */
	module_put(THIS_MODULE);
}

void vhost_blk_end_init(struct vhost_blk *blk)
{
	INIT_WORK(&blk->end, end_work);
	init_completion(&blk->quiet);
}

/*
 * A process that lives on may use its memory for something else, and may be
 * killed: it waits as long as it takes.
 */
static bool linger(struct vhost_blk *blk)
{
	/* It closes files of others as well. */
	if (current->flags & PF_KTHREAD)
		return false;
	if (!(current->flags & PF_EXITING) &&
	    !wait_for_completion_killable(&blk->quiet))
		return true;
	return wait_for_completion_timeout(&blk->quiet, LINGER);
}

/* Return: false where the work is to do it all. */
static bool wait_until_quiet(struct vhost_blk *blk)
{
	if (linger(blk))
		return true;
	/* For the work; the file's reference goes when we return. */
	__module_get(THIS_MODULE);
	if (!atomic_xchg(&blk->ended, 1))
		return false;
	module_put(THIS_MODULE);
	wait_for_completion(&blk->quiet);
	return true;
}

int vhost_blk_release(struct inode *inode, struct file *file)
{
	struct vhost_blk *blk = file->private_data;

	queue_work(vhost_blk_end_wq, &blk->end);
	if (wait_until_quiet(blk))
		destroy(blk);
	return 0;
}
