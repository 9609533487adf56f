// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O in the owner's name: what a kernel thread does for a backend is charged
 * to the control groups of the process that attached it, and has the priority
 * of the worker.
 *
 * Where the worker is a thread of the owner (Linux 6.4 and newer) what it does
 * is charged, and throttled, without any of this; the workqueue and the worker
 * of older kernels are nobody's.
 */
#include <linux/cgroup.h>
#include <linux/ioprio.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>

#include "blk.h"

/**
 * vhost_blk_owner_get - take note of the caller's control groups
 * @owner: filled in
 */
void vhost_blk_owner_get(struct vhost_blk_owner *owner)
{
#ifdef CONFIG_BLK_CGROUP
	owner->blkcg = task_get_css(current, io_cgrp_id);
#endif
	owner->memcg = get_mem_cgroup_from_mm(current->mm);
}

void vhost_blk_owner_put(struct vhost_blk_owner *owner)
{
	if (owner->blkcg)
		css_put(owner->blkcg);
	mem_cgroup_put(owner->memcg);
}

/**
 * vhost_blk_owner_begin - act for an owner from here on
 * @owner: the owner; may be gone before vhost_blk_owner_end()
 *
 * Return: what vhost_blk_owner_end() is to be given.
 */
struct mem_cgroup *vhost_blk_owner_begin(const struct vhost_blk_owner *owner)
{
	if (!(current->flags & PF_KTHREAD))
		return NULL;
	kthread_associate_blkcg(owner->blkcg);
	return set_active_memcg(owner->memcg);
}

/**
 * vhost_blk_owner_end - act for oneself again
 * @before: of vhost_blk_owner_begin()
 */
void vhost_blk_owner_end(struct mem_cgroup *before)
{
	if (!(current->flags & PF_KTHREAD))
		return;
	set_active_memcg(before);
	kthread_associate_blkcg(NULL);
}

static void punted_work(struct work_struct *work)
{
	struct vhost_blk_req *req = container_of(work, struct vhost_blk_req,
						 work);
	int ioprio = get_current_ioprio();
	struct mem_cgroup *before;

	before = vhost_blk_owner_begin(&req->disk->owner);
	/* Where there is no memory for it, it is done all the same. */
	set_task_ioprio(current, req->io.ioprio);
	req->punted(req);
	set_task_ioprio(current, ioprio);
	vhost_blk_owner_end(before);
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
	struct vhost_blk *blk = container_of(req->q->vq.dev, struct vhost_blk,
					     dev);

	req->punted = fn;
	INIT_WORK(&req->work, punted_work);
	queue_work(blk->wq, &req->work);
}
