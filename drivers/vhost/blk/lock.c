// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks of the blocks that requests change, for backends whose blocks are
 * larger than those of the guest, see rmw.c.
 *
 * A request that changes part of a block locks it exclusively: between its read
 * and its write of the block no other request may change it.  A request that
 * changes whole blocks takes a shared lock, so such requests do not wait for
 * each other.
 *
 * Locks that conflict are granted in the order in which they were requested.  A
 * lock counts the earlier ones in the tree that conflict with it, and is granted
 * when that number is 0.  So no lock is overtaken forever, and as each request
 * has one lock, there is no deadlock.
 *
 * The tree has at most VBLK_MAX_LOCKS locks, because adding or removing one may
 * look at all of them, with interrupts off.  More locks wait for room in the
 * tree, in order.
 */
#include <linux/interval_tree_generic.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>

#include "internal.h"

#define VBLK_MAX_LOCKS	512

#define VBLK_FIRST(lock)	((lock)->first)
#define VBLK_LAST(lock)		((lock)->last)

INTERVAL_TREE_DEFINE(struct vhost_blk_lock, rb, u64, subtree_last, VBLK_FIRST,
		     VBLK_LAST, static, vblk_lock_tree)

/**
 * vhost_blk_locks_init - initialize the locks of a backend
 * @locks: the locks
 */
void vhost_blk_locks_init(struct vhost_blk_locks *locks)
{
	spin_lock_init(&locks->lock);
	locks->tree = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&locks->waiting);
	locks->nr = 0;
}

static bool vblk_locks_conflict(const struct vhost_blk_lock *a,
				const struct vhost_blk_lock *b)
{
	return a->exclusive || b->exclusive;
}

/* Add a lock to the tree.  Return: true if it is granted. */
static bool vblk_lock_insert(struct vhost_blk_locks *locks,
			     struct vhost_blk_lock *lock)
{
	struct vhost_blk_lock *other;

	lock->blockers = 0;
	other = vblk_lock_tree_iter_first(&locks->tree, lock->first, lock->last);
	for (; other; other = vblk_lock_tree_iter_next(other, lock->first,
						       lock->last))
		if (vblk_locks_conflict(lock, other))
			lock->blockers++;
	vblk_lock_tree_insert(lock, &locks->tree);
	locks->nr++;
	return !lock->blockers;
}

/*
 * Remove a lock from the tree, and add those that are granted by that to
 * @granted.  All locks in the tree that conflict with it are later ones.
 */
static void vblk_lock_remove(struct vhost_blk_locks *locks,
			     struct vhost_blk_lock *lock,
			     struct list_head *granted)
{
	struct vhost_blk_lock *other;

	vblk_lock_tree_remove(lock, &locks->tree);
	locks->nr--;
	other = vblk_lock_tree_iter_first(&locks->tree, lock->first, lock->last);
	for (; other; other = vblk_lock_tree_iter_next(other, lock->first,
						       lock->last))
		if (vblk_locks_conflict(lock, other) && !--other->blockers)
			list_add_tail(&other->node, granted);
}

/**
 * vhost_blk_lock_blocks - lock blocks, or begin to wait for them
 * @locks: locks of the backend
 * @lock: the lock; first, last and exclusive are set
 *
 * Context: Any.  Does not sleep.
 *
 * Return: true if the lock is granted; otherwise a later call of
 * vhost_blk_unlock_blocks() will grant it.
 */
bool vhost_blk_lock_blocks(struct vhost_blk_locks *locks,
			   struct vhost_blk_lock *lock)
{
	unsigned long flags;
	bool granted = false;

	spin_lock_irqsave(&locks->lock, flags);
	if (locks->nr < VBLK_MAX_LOCKS && list_empty(&locks->waiting))
		granted = vblk_lock_insert(locks, lock);
	else
		list_add_tail(&lock->node, &locks->waiting);
	spin_unlock_irqrestore(&locks->lock, flags);
	return granted;
}

/**
 * vhost_blk_unlock_blocks - unlock blocks
 * @locks: locks of the backend
 * @lock: a lock that was granted
 * @granted: list to which the locks that are granted now are added, by their
 *	node
 *
 * Context: Any.  Does not sleep.
 */
void vhost_blk_unlock_blocks(struct vhost_blk_locks *locks,
			     struct vhost_blk_lock *lock,
			     struct list_head *granted)
{
	struct vhost_blk_lock *next;
	unsigned long flags;

	spin_lock_irqsave(&locks->lock, flags);
	vblk_lock_remove(locks, lock, granted);
	while (locks->nr < VBLK_MAX_LOCKS && !list_empty(&locks->waiting)) {
		next = list_first_entry(&locks->waiting, struct vhost_blk_lock,
					node);
		list_del(&next->node);
		if (vblk_lock_insert(locks, next))
			list_add_tail(&next->node, granted);
	}
	spin_unlock_irqrestore(&locks->lock, flags);
}
