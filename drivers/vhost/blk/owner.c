// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O in the owner's name: the worker and the workqueue act with the
 * credentials of the process that attached the backend, charge its control
 * groups, and use the I/O priority of the worker.
 *
 * The credentials are those of the process that calls VHOST_BLK_SET_BACKEND, not
 * those that the file was opened with.  A privileged process may have opened
 * the image and passed the descriptor to an unprivileged VMM; a write() by that
 * VMM would be bound by the VMM's own quota, could not use reserved blocks, and
 * would clear set-user-ID bits.  So is what the guest writes.  The file's mode
 * (read-only or not) was checked when it was opened, as for any descriptor.
 *
 * If the worker is a thread of the owner (Linux 6.4 and newer), it is a member
 * of the owner's control groups already; its credentials are those of the
 * process at VHOST_SET_OWNER, and are replaced if they differ.
 */
#include <linux/blkdev.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/ioprio.h>
#include <linux/kthread.h>
#include <linux/llist.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>

#include "blk.h"

/**
 * vhost_blk_identity_get - take note of the caller's credentials and control groups
 * @identity: filled in
 */
void vhost_blk_identity_get(struct vhost_blk_identity *identity)
{
#ifdef CONFIG_BLK_CGROUP
	identity->blkcg = task_get_css(current, io_cgrp_id);
#endif
	identity->memcg = get_mem_cgroup_from_mm(current->mm);
	identity->cred = get_current_cred();
}

void vhost_blk_identity_put(struct vhost_blk_identity *identity)
{
	if (identity->blkcg)
		css_put(identity->blkcg);
	mem_cgroup_put(identity->memcg);
	put_cred(identity->cred);
}

/**
 * vhost_blk_assume_identity - act for an owner from here on
 * @saved: filled in, for vhost_blk_restore_identity()
 * @identity: the owner; may be freed before vhost_blk_restore_identity()
 *
 * Calls for the same owner may nest: the inner pair changes nothing.  A kernel
 * thread has the credentials of a user process only while it acts for one, so
 * that is what tells an inner call.
 */
void vhost_blk_assume_identity(struct vhost_blk_saved_identity *saved,
			       const struct vhost_blk_identity *identity)
{
	*saved = (struct vhost_blk_saved_identity){};
	if (likely(current_cred() == identity->cred))
		return;
	/* Has its own reference, since the owner may be freed before the end. */
	saved->cred = override_creds(get_cred(identity->cred));
	saved->kthread = current->flags & PF_KTHREAD;
	if (!saved->kthread)
		return;
	kthread_associate_blkcg(identity->blkcg);
	saved->memcg = set_active_memcg(identity->memcg);
}

/**
 * vhost_blk_restore_identity - act for oneself again
 * @saved: of vhost_blk_assume_identity()
 */
void vhost_blk_restore_identity(const struct vhost_blk_saved_identity *saved)
{
	if (!saved->cred)
		return;
	if (saved->kthread) {
		set_active_memcg(saved->memcg);
		kthread_associate_blkcg(NULL);
	}
	put_cred(revert_creds(saved->cred));
}

static void vblk_run_punted(struct vhost_blk_req *req, bool drop)
{
	int ioprio = get_current_ioprio(), wanted = req->io.ioprio;
	struct vhost_blk_saved_identity saved;

	/*
	 * If set_task_ioprio() fails, the I/O is done with the wrong priority.
	 * It needs the kernel thread's own credentials.
	 */
	if (ioprio != wanted)
		set_task_ioprio(current, wanted);
	vhost_blk_assume_identity(&saved, &req->be->identity);
	if (drop)
		vhost_blk_req_done(req, -ECANCELED);
	else
		req->punted(req);
	vhost_blk_restore_identity(&saved);
	if (ioprio != wanted)
		set_task_ioprio(current, ioprio);
}

/* Once the owner is dead another VMM may have the disk. */
static void vblk_punted_work(struct work_struct *work)
{
	struct vhost_blk_req *req = container_of(work, struct vhost_blk_req,
						 work);

	vblk_run_punted(req, vhost_blk_dead(req->q));
}

static void vblk_punted_always_work(struct work_struct *work)
{
	vblk_run_punted(container_of(work, struct vhost_blk_req, work),
			false);
}

/**
 * vhost_blk_punt - leave to the workqueue what has to sleep
 * @req: the request, not in the hands of anybody else
 * @fn: ends in vhost_blk_req_done()
 *
 * Context: any.
 */
void vhost_blk_punt(struct vhost_blk_req *req,
		    void (*fn)(struct vhost_blk_req *req))
{
	req->punted = fn;
	INIT_WORK(&req->work, vblk_punted_work);
	queue_work(to_vhost_blk(req->q)->wq, &req->work);
}

/**
 * vhost_blk_punt_always - leave to the workqueue what remains to be done for I/O
 *	that has ended
 * @req: the request, as for vhost_blk_punt()
 * @fn: changes nothing on the disk; ends in vhost_blk_req_done()
 *
 * It is done even if the queue is dead: the host has to see what was written.
 *
 * Context: any.
 */
void vhost_blk_punt_always(struct vhost_blk_req *req,
			   void (*fn)(struct vhost_blk_req *req))
{
	req->punted = fn;
	INIT_WORK(&req->work, vblk_punted_always_work);
	queue_work(to_vhost_blk(req->q)->wq, &req->work);
}

/**
 * vhost_blk_submit_work - submit what was left to the thread of a queue
 * @work: vhost_blk_queue.submit_work
 *
 * With one plug, as the worker has it.  The queue may be freed once the last
 * request is done, but for the workqueue, which is waited for.
 */
void vhost_blk_submit_work(struct work_struct *work)
{
	struct vhost_blk_queue *q = container_of(work, struct vhost_blk_queue,
						 submit_work);
	struct vhost_blk_req *req, *next;
	struct llist_node *list;
	struct blk_plug plug;

	list = llist_reverse_order(llist_del_all(&q->to_submit));
	blk_start_plug(&plug);
	llist_for_each_entry_safe(req, next, list, submit_node)
		vblk_run_punted(req, vhost_blk_dead(q));
	blk_finish_plug(&plug);
}

/**
 * vhost_blk_punt_in_order - leave to one thread of the queue what may wait for a
 *	tag
 * @req: the request, as for vhost_blk_punt()
 * @fn: submits it; ends in vhost_blk_req_done()
 *
 * Many threads would get no more tags.  Those that wait behind the first are
 * dropped if their queue dies; one that waits in the block layer can't be.  All
 * that the thread finds is one batch: where each request is left to it, waking
 * it is most of the cost.
 *
 * Context: any.
 */
void vhost_blk_punt_in_order(struct vhost_blk_req *req,
			     void (*fn)(struct vhost_blk_req *req))
{
	struct vhost_blk_queue *q = req->q;

	req->punted = fn;
	if (llist_add(&req->submit_node, &q->to_submit))
		queue_work(to_vhost_blk(q)->submit_wq, &q->submit_work);
}

/**
 * vhost_blk_flush_workqueues - wait for what threads do after the last request
 * @blk: the device, nothing in flight
 *
 * A plug is finished once all the requests below it were submitted, so perhaps
 * after the last of them is done, and stacked devices (md) have callbacks there
 * that look at the device.  So before the backend is closed.  There is nothing
 * else that the threads have left to do: this does not wait for the backend.
 */
void vhost_blk_flush_workqueues(struct vhost_blk *blk)
{
	if (blk->submit_wq)
		flush_workqueue(blk->submit_wq);
	if (blk->wq)
		flush_workqueue(blk->wq);
}
