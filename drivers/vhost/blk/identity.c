// SPDX-License-Identifier: GPL-2.0-only
/*
 * Credentials and control groups of backend I/O: the worker and the workqueues
 * use the credentials of the process that attached the backend, and charge its
 * control groups.
 *
 * The credentials are those of the caller of VHOST_BLK_SET_BACKEND, not those
 * that the file was opened with.  A privileged process may open the image and
 * pass the descriptor to an unprivileged VMM.  A write() by that VMM is limited
 * by the VMM's quota, cannot use reserved blocks, and clears set-user-ID bits;
 * this must hold for writes of the guest too.  Whether the file may be written
 * was checked when it was opened, as for any descriptor.
 *
 * If the worker is a thread of the owner (the default from Linux 6.4 on), it is
 * in the owner's control groups already.  It has the credentials that the owner
 * had at VHOST_SET_OWNER, which are replaced if they differ.
 */
#include <linux/blkdev.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>

#include "internal.h"

/**
 * vhost_blk_identity_get - get the credentials and control groups of the caller
 * @identity: filled in, with references
 */
void vhost_blk_identity_get(struct vhost_blk_identity *identity)
{
	identity->blkcg = vhost_blk_get_blkcg();
	identity->memcg = get_mem_cgroup_from_mm(current->mm);
	identity->cred = get_current_cred();
}

/**
 * vhost_blk_identity_put - drop the references of vhost_blk_identity_get()
 * @identity: the credentials and control groups
 */
void vhost_blk_identity_put(struct vhost_blk_identity *identity)
{
	if (identity->blkcg)
		css_put(identity->blkcg);
	mem_cgroup_put(identity->memcg);
	put_cred(identity->cred);
}

/**
 * vhost_blk_assume_identity - use credentials and control groups of a backend
 * @saved: filled in, for vhost_blk_restore_identity()
 * @identity: that of the backend; may be freed before it is restored
 *
 * Calls for the same backend may nest: the inner pair changes nothing.  A
 * kernel thread has the credentials of a user process only between these calls,
 * so equal credentials mean an inner call.
 *
 * Context: The worker or a workqueue.  A thread of a process keeps its control
 * groups.
 */
void vhost_blk_assume_identity(struct vhost_blk_saved_identity *saved,
			       const struct vhost_blk_identity *identity)
{
	*saved = (struct vhost_blk_saved_identity){};
	if (likely(current_cred() == identity->cred))
		return;
	/*
	 * A reference of our own, because the backend may be freed before the
	 * end.
	 */
	saved->cred = override_creds(get_cred(identity->cred));
	saved->kthread = current->flags & PF_KTHREAD;
	if (!saved->kthread)
		return;
	kthread_associate_blkcg(identity->blkcg);
	saved->memcg = set_active_memcg(identity->memcg);
}

/**
 * vhost_blk_restore_identity - undo vhost_blk_assume_identity()
 * @saved: filled in by vhost_blk_assume_identity()
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
