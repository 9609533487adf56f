// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O in the owner's name: the worker and the workqueue act with the
 * credentials of the process that attached the backend, and charge its control
 * groups.
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
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>

#include "internal.h"

/**
 * vhost_blk_identity_get - take note of the caller's credentials and control groups
 * @identity: filled in
 */
void vhost_blk_identity_get(struct vhost_blk_identity *identity)
{
	identity->blkcg = vhost_blk_get_blkcg();
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
