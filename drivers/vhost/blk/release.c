// SPDX-License-Identifier: GPL-2.0-only
/*
 * Release of a device: the last close, VHOST_RESET_OWNER and the exit of the
 * owner.
 *
 * The file holds a reference to the device, and so do each queue until its last
 * request has ended, and the flush of an ioctl until its end.  No thread waits
 * for them on behalf of a device whose owner has exited: the worker or the flush
 * drops the last reference, and then a work frees the rest.  Until then these
 * stay: the memory that requests have pinned, the backend's file with its locks,
 * this module, and the owner's address space if a worker that is a kernel thread
 * uses it.
 *
 * The file may stay open after the owner has exited.  Another process may have
 * it, or no process can close it because it is registered in an io_uring that
 * is mapped in the owner's memory, which the device keeps.  So the exit of the
 * owner takes over the reference of the file, and dropping the last reference
 * resets the device.  The reset gives the reference back to the file, or frees
 * the device if the file has been closed by then.
 */
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/wait_bit.h>

#include "internal.h"
#include "stats.h"

/*
 * Time in jiffies that an owner that exits waits for its requests.  Unless the
 * backend hangs they have ended by then.  So another VMM, started on the same
 * disk after this one was reaped, does not see late writes among its own.
 */
#define VBLK_LINGER	(4 * HZ)

/*
 * Interval in jiffies at which a thread that exits checks whether its process
 * exits
 */
#define VBLK_EXIT_CHECK	(HZ / 10)

static bool vblk_all_stopped(const struct vhost_blk *blk)
{
	return refcount_read(&blk->refs) == 1;
}

/* Report that the worker has done all work that was queued before. */
static void vblk_worker_flush(struct vhost_work *work)
{
	struct vhost_blk_queue *q = container_of(work, struct vhost_blk_queue,
						 worker_flush);

	WRITE_ONCE(q->worker_flushed, true);
	/* The queue is freed only after the worker has ended. */
	wake_up_all(&q->idle);
}

/*
 * Wait, in a kernel thread, until the workers have done all queued work.
 *
 * A worker that is a thread of the owner does nothing while the owner is
 * stopped (SIGSTOP).  The vhost core waits for the worker in uninterruptible
 * sleep, which is reported as a hung task after two minutes and may be
 * configured to panic.  So wait here first, in idle state.  If the process is
 * stopped between this wait and that of the core, the thread still waits in the
 * core.
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

/*
 * Wait for all threads and works that may still use the queues, which are
 * stopped.
 */
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
 * Free everything except the state of the vhost core.
 *
 * Return: the backend, or NULL.  The caller must close it, after releasing its
 * locks, because closing may wait for the file system.
 */
static struct vhost_blk_be *vblk_free_resources(struct vhost_blk *blk)
{
	struct vhost_blk_be *be = NULL;
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++)
		vhost_blk_queue_free(&blk->queues[i]);
	vhost_blk_counters_free(blk);
	mutex_lock(&blk->backend_mutex);
	swap(blk->be, be);
	mutex_unlock(&blk->backend_mutex);
	if (blk->config_call)
		eventfd_ctx_put(blk->config_call);
	blk->config_call = NULL;
	vhost_blk_error_reset(blk);
	WRITE_ONCE(blk->owner, 0);
	WRITE_ONCE(blk->features, 0);
	WRITE_ONCE(blk->writeback, true);
	return be;
}

/**
 * vhost_blk_shut_down - free everything except the state of the vhost core
 * @blk: the device, all its queues stopped, its mutex held
 *
 * Context: An ioctl.  Sleeps.
 */
void vhost_blk_shut_down(struct vhost_blk *blk)
{
	vblk_quiesce(blk);
	vhost_blk_backend_close(vblk_free_resources(blk));
}

/* Free a device whose queues are stopped and whose file is closed. */
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
 * Reset the device after its owner has exited, as VHOST_RESET_OWNER does.
 *
 * An ioctl of another process may hold the mutex for an unlimited time.  So
 * wait in interruptible sleep, which is not reported as a hung task.  Signals
 * do not interrupt a kernel thread.
 *
 * Return: true if the file is still open; then the caller must not use the
 * device.
 */
static bool vblk_reset_device(struct vhost_blk *blk)
{
	struct vhost_iotlb *umem = vhost_dev_reset_owner_prepare();
	struct vhost_blk_be *be;

	while (mutex_lock_interruptible(&blk->dev.mutex))
		;
	vblk_quiesce(blk);
	/* Without memory for a table, only the kind of worker is not reset. */
	if (umem)
		vhost_dev_reset_owner(&blk->dev, umem);
	else
		vhost_dev_cleanup(&blk->dev);
	be = vblk_free_resources(blk);
	refcount_set(&blk->refs, 1);
	mutex_unlock(&blk->dev.mutex);
	/* The next owner must find the backend free. */
	vhost_blk_backend_close(be);
	return atomic_cmpxchg(&blk->life, VHOST_BLK_OWNER_EXITED,
			      VHOST_BLK_OPEN) == VHOST_BLK_OWNER_EXITED;
}

/*
 * Drop the owner's address space before the last request has ended.  A worker
 * that is a thread of the owner has a reference of its own while it runs, and
 * nothing else uses the memory of a dead queue.  The address space may have what
 * the request waits for, as the last reference to the connection of a FUSE
 * server.
 */
static void vblk_drop_memory(struct vhost_blk *blk)
{
	struct mm_struct *mm = NULL;

	/* As in vblk_reset_device() */
	while (mutex_lock_interruptible(&blk->dev.mutex))
		;
	if (vhost_blk_worker_is_thread(&blk->dev))
		swap(blk->dev.mm, mm);
	mutex_unlock(&blk->dev.mutex);
	if (mm)
		mmput(mm);
}

/*
 * Drop the memory of a device whose requests were abandoned, and the reference
 * of its file; or reset or free a device after its last reference was dropped.
 */
static void vblk_release_device(struct vhost_blk *blk)
{
	if (blk->abandoned) {
		blk->abandoned = false;
		vblk_drop_memory(blk);
		vhost_blk_put(blk);
	} else if (!vhost_blk_owner_exited(blk) || !vblk_reset_device(blk)) {
		vblk_destroy(blk);
	}
}

static int vblk_release_thread(void *blk)
{
	vblk_release_device(blk);
	module_put_and_kthread_exit(0);
	return 0;
}

/*
 * Start a kernel thread to release a device.  The release waits for a worker
 * whose process is stopped until the process continues, and the end of an
 * address space waits for I/O of that process.  With a thread of its own, no
 * device delays the release of another.
 */
static void vblk_release_work(struct work_struct *work)
{
	struct vhost_blk *blk = container_of(work, struct vhost_blk, release_work);
	struct task_struct *thread;

	thread = kthread_run(vblk_release_thread, blk, "vhost-blk-end");
	if (!IS_ERR(thread))
		return;
	vblk_release_device(blk);
	/*
	 * The removal of the module waits for the workqueue and so for this
	 * work.
	 */
	module_put(THIS_MODULE);
}

/*
 * Drop the reference of the file, after all requests were abandoned.  If some
 * are in flight, a thread drops the owner's memory first.
 */
static void vblk_put_abandoned(struct vhost_blk *blk)
{
	/* For the release */
	__module_get(THIS_MODULE);
	if (vblk_all_stopped(blk)) {
		vhost_blk_put(blk);
		return;
	}
	/* For the thread */
	__module_get(THIS_MODULE);
	blk->abandoned = true;
	queue_work(vhost_blk_release_wq, &blk->release_work);
}

/* Check whether all threads of a process have exited. */
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

/*
 * Callback for the pidfd notification of the owner's exit.  Interrupts are off.
 */
static int vblk_owner_wake(struct wait_queue_entry *entry, unsigned int mode,
			   int flags, void *key)
{
	struct vhost_blk *blk = container_of(entry, struct vhost_blk, owner_watch);

	if (vblk_group_exited(blk->owner_pid)) {
		list_del_init(&entry->entry);
		/* queue_work() orders this before the work, even if pending. */
		WRITE_ONCE(blk->owner_gone, true);
		queue_work(vhost_blk_release_wq, &blk->owner_exit);
	}
	return 0;
}

/*
 * Abandon the requests of an owner that exits or has exited.  Must not wait for
 * dev.mutex, because its holder may be waiting for this work.
 */
static void vblk_owner_exit_work(struct work_struct *work)
{
	struct vhost_blk *blk = container_of(work, struct vhost_blk, owner_exit);

	/*
	 * Not set yet: this work is queued again when the owner has exited.
	 * Not set any more: it was, while the last run had not read it yet.
	 */
	if (!xchg(&blk->owner_gone, false)) {
		vhost_blk_abandon(blk);
		return;
	}
	/*
	 * Full barrier: pairs with the start of a queue, see
	 * vhost_blk_abandon_if_owner_exited().
	 */
	atomic_xchg(&blk->life, VHOST_BLK_OWNER_EXITED);
	/*
	 * The file still has a reference to the module: its last close waits
	 * for this work.
	 */
	vhost_blk_abandon(blk);
	vblk_put_abandoned(blk);
}

/**
 * vhost_blk_release_init - initialize references and the watch on the owner
 * @blk: the device, at open
 */
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
 * vhost_blk_watch_owner - make the caller the owner and watch for its exit
 * @blk: the device, its mutex held, not waiting for a reset
 */
void vhost_blk_watch_owner(struct vhost_blk *blk)
{
	vhost_blk_unwatch_owner(blk);
	WRITE_ONCE(blk->owner, task_tgid_nr(current));
	blk->linger_until = 0;
	blk->owner_gone = false;
	blk->owner_pid = get_task_pid(current, PIDTYPE_TGID);
	add_wait_queue(&blk->owner_pid->wait_pidfd, &blk->owner_watch);
}

/**
 * vhost_blk_unwatch_owner - stop watching for the exit of the owner
 * @blk: the device, its mutex held, or its file closed
 *
 * If the owner has exited already, its requests may have been abandoned and the
 * reset may be pending; this is not undone.  Sleeps until
 * vblk_owner_exit_work() is not running.
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

/* The caller is a thread of the owner. */
static bool vblk_is_owner(const struct vhost_blk *blk)
{
	return task_tgid_nr(current) == READ_ONCE(blk->owner);
}

/* The caller is a thread of the owner, and is exiting. */
static bool vblk_owner_thread_is_exiting(const struct vhost_blk *blk)
{
	return (current->flags & PF_EXITING) && vblk_is_owner(blk);
}

/*
 * All threads of the caller's process exit, not only the caller.  Workers do
 * not count: those of a device exit only when the device is released.
 */
static bool vblk_group_is_exiting(void)
{
	const unsigned int ignored = PF_EXITING | PF_IO_WORKER | PF_USER_WORKER;
	struct task_struct *thread;
	bool exiting = true;

	if (READ_ONCE(current->signal->flags) & SIGNAL_GROUP_EXIT)
		return true;
	rcu_read_lock();
	for_each_thread(current, thread)
		exiting = exiting && (READ_ONCE(thread->flags) & ignored);
	rcu_read_unlock();
	return exiting;
}

/*
 * Another thread of the caller's process waits in execve() for the end of the
 * caller.
 */
static bool vblk_group_is_replaced(void)
{
	return READ_ONCE(current->signal->group_exec_task);
}

/*
 * The caller, which is the owner, is in execve(), or the program is another one
 * than that which has set up the device.
 */
static bool vblk_is_new_program(const struct vhost_blk *blk)
{
	struct mm_struct *mm = READ_ONCE(blk->dev.mm);

	return current->in_execve || (mm && mm != current->mm);
}

/*
 * Set when a process that exits stops waiting, for all its devices together,
 * and let all their requests be abandoned.
 *
 * A device may be released much later than the first one: files in the queue of
 * a socket are closed one after the other.  All devices of an owner are in the
 * wait queue that reports its exit.
 */
static void vblk_set_linger(struct wait_queue_head *head, unsigned long until)
{
	struct wait_queue_entry *entry;
	struct vhost_blk *blk;
	unsigned long flags;

	spin_lock_irqsave(&head->lock, flags);
	list_for_each_entry(entry, &head->head, entry) {
		if (entry->func != vblk_owner_wake)
			continue;
		blk = container_of(entry, struct vhost_blk, owner_watch);
		if (READ_ONCE(blk->linger_until))
			continue;
		WRITE_ONCE(blk->linger_until, until);
		queue_work(vhost_blk_release_wq, &blk->owner_exit);
	}
	spin_unlock_irqrestore(&head->lock, flags);
}

/*
 * Abandon the requests of a device, of which the caller has the last reference.
 * The caller is a thread of the owner that exits, is being killed, or closes the
 * device in or after execve().
 */
static void vblk_abandon_at_exit(struct vhost_blk *blk)
{
	unsigned long until = (jiffies + VBLK_LINGER) ?: 1;

	vhost_blk_abandon(blk);
	if (READ_ONCE(blk->linger_until))
		return;
	WRITE_ONCE(blk->linger_until, until);
	if (vblk_group_is_exiting())
		vblk_set_linger(&task_tgid(current)->wait_pidfd, until);
}

/*
 * Abandon the requests of an owner that exits, and wait for them until
 * VBLK_LINGER after the exit of the owner began to close its devices.
 *
 * Return: true if none is in flight.
 */
static bool vblk_linger(struct vhost_blk *blk)
{
	long left;

	vblk_abandon_at_exit(blk);
	left = READ_ONCE(blk->linger_until) - jiffies;
	return wait_var_event_timeout(&blk->refs, vblk_all_stopped(blk),
				      max(left, 0L));
}

/*
 * Wait for the requests of a thread of the owner that exits.  If the process
 * lives on, it uses the memory of the requests, so stop the queues as close()
 * does.  The thread can no longer get signals, so check whether the process
 * exits, too.
 *
 * Return: true if no request is in flight any more.
 */
static bool vblk_wait_in_exit(struct vhost_blk *blk)
{
	if (vblk_group_is_exiting())
		return vblk_linger(blk);
	vhost_blk_begin_stop(blk);
	while (!wait_var_event_timeout(&blk->refs, vblk_all_stopped(blk),
				       VBLK_EXIT_CHECK)) {
		if (vblk_group_is_exiting() || vblk_group_is_replaced())
			return vblk_linger(blk);
	}
	return true;
}

/*
 * Stop or abandon the queues at the last close.  Only the owner waits for the
 * requests, also if it exits and the last reference to the file was in the
 * queue of its socket.  They do not concern another process that was sent the
 * descriptor, or a kernel thread.
 *
 * Return: true if no request is in flight any more.
 */
static bool vblk_wait_for_requests(struct vhost_blk *blk)
{
	/* A thread that exits has no memory any more. */
	if (vblk_owner_thread_is_exiting(blk))
		return vblk_wait_in_exit(blk);
	if (blk->dev.mm && current->mm != blk->dev.mm) {
		/* In or after execve(): the new program may use the disk. */
		if (vblk_is_owner(blk))
			return vblk_linger(blk);
		vhost_blk_abandon(blk);
		return false;
	}
	/* The owner may reuse its memory as soon as close() returns. */
	if (!vhost_blk_stop(blk) &&
	    !wait_var_event_killable(&blk->refs, vblk_all_stopped(blk)))
		return true;
	return vblk_is_owner(blk) && vblk_linger(blk);
}

/**
 * vhost_blk_fop_flush - flush operation: a descriptor of the device is closed
 * @file: file of the device
 * @id: not used
 *
 * A process that exits closes all its descriptors before any of their files is
 * released, and execve() closes those with O_CLOEXEC so, while the process still
 * has its old memory.  If it is the owner, abandon its requests now, so that it
 * waits for all its devices together and not for one after the other.  Also, its
 * memory may change when files are released, as that of a userfaultfd does.
 *
 * An exit ends the requests of the owner even if other processes have the
 * descriptor.  execve() does so only if this is the last one.
 *
 * Return: 0.
 */
int vhost_blk_fop_flush(struct file *file, fl_owner_t id)
{
	struct vhost_blk *blk = file->private_data;

	if (!vblk_is_owner(blk))
		return 0;
	if (current->flags & PF_EXITING ? vblk_group_is_exiting() :
	    file_count(file) == 1 && vblk_is_new_program(blk))
		vblk_abandon_at_exit(blk);
	return 0;
}

/**
 * vhost_blk_fop_release - release operation: the last descriptor is closed
 * @inode: not used
 * @file: file of the device
 *
 * Frees the device, or leaves that to vblk_release_work() if requests are in
 * flight for which the caller does not wait.
 *
 * Return: 0.
 */
int vhost_blk_fop_release(struct inode *inode, struct file *file)
{
	struct vhost_blk *blk = file->private_data;

	vhost_blk_unwatch_owner(blk);
	/*
	 * The exit of the owner took over the reference, and one to the module.
	 */
	if (atomic_cmpxchg(&blk->life, VHOST_BLK_OWNER_EXITED,
			   VHOST_BLK_CLOSED) == VHOST_BLK_OWNER_EXITED)
		return 0;
	if (vblk_wait_for_requests(blk)) {
		vblk_destroy(blk);
		return 0;
	}
	atomic_set(&blk->life, VHOST_BLK_CLOSED);
	/* The file's reference to the module is dropped on return. */
	vblk_put_abandoned(blk);
	return 0;
}
