// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code that all kinds of backends share: attach and detach, limits, flushes,
 * and the workqueues that run operations that may sleep.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ioprio.h>
#include <linux/llist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "internal.h"
#include "trace.h"

/*
 * Set the numbers that identify the backend to userspace.  Those of a file come
 * from vfs_getattr_nosec(): with subvolumes of btrfs, st_dev is not the number
 * of the super block, and overlayfs has inode numbers of its own.
 *
 * Return: 0 or a negative errno.
 */
static int vblk_identify(struct vhost_blk_be *be)
{
	struct kstat stat;
	int ret;

	if (be->bdev) {
		be->dev = be->bdev->bd_dev;
		return 0;
	}
	ret = vfs_getattr_nosec(&be->file->f_path, &stat, STATX_INO,
				AT_STATX_SYNC_AS_STAT);
	if (ret)
		return ret;
	be->dev = stat.dev;
	be->ino = stat.ino;
	return 0;
}

/* Apply the flags that change features and limits of an open backend. */
static void vblk_apply_range_flags(struct vhost_blk_be *be, u32 flags)
{
	if ((flags & VHOST_BLK_BACKEND_F_ANY_RANGE) && !be->zone_sectors) {
		be->features |= BIT_ULL(VIRTIO_BLK_F_DISCARD) |
				BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES);
		be->max_discard_sectors = VHOST_BLK_MAX_RANGE_SECTORS;
		be->max_zeroes_sectors = VHOST_BLK_MAX_RANGE_SECTORS;
		be->zeroes_unmap = true;
	}
	be->no_unmap = flags & VHOST_BLK_BACKEND_F_NO_UNMAP;
	if (be->no_unmap)
		be->zeroes_unmap = false;
}

/*
 * Set the size of the guest's logical blocks, which the VMM may have chosen.  A
 * zoned device has limits in blocks of its own.
 *
 * Return: 0 or -EOPNOTSUPP.
 */
static int vblk_set_guest_block_size(struct vhost_blk_be *be)
{
	if (!be->guest_block_size)
		be->guest_block_size = be->block_size;
	if (be->guest_block_size != be->block_size && be->bdev &&
	    bdev_is_zoned(be->bdev))
		return -EOPNOTSUPP;
	be->capacity_mask = ~(u64)(max(be->guest_block_size, be->block_size) /
				   SECTOR_SIZE - 1);
	return 0;
}

/**
 * vhost_blk_backend_open - open the backend of VHOST_BLK_SET_BACKEND
 * @file: block device or regular file; the backend takes its own reference
 * @ops: the kind of backend that @file is
 * @arg: argument of the ioctl; its values are checked
 *
 * The backend uses the credentials and control groups of the caller.
 *
 * Return: the backend, or an ERR_PTR with an errno of VHOST_BLK_SET_BACKEND.
 */
struct vhost_blk_be *vhost_blk_backend_open(struct file *file,
					    const struct vhost_blk_backend_ops *ops,
					    const struct vhost_blk_backend *arg)
{
	struct vhost_blk_be *be;
	int ret;

	if (!(file->f_mode & FMODE_READ))
		return ERR_PTR(-EACCES);
	be = kzalloc_obj(*be, VHOST_BLK_GFP);
	if (!be)
		return ERR_PTR(-ENOMEM);

	be->file = get_file(file);
	be->ops = ops;
	be->ro = (arg->flags & VHOST_BLK_BACKEND_F_RO) ||
		   !(be->file->f_mode & FMODE_WRITE);
	be->guest_block_size = arg->block_size;
	memcpy(be->serial, arg->serial, sizeof(be->serial));
	vhost_blk_identity_get(&be->identity);

	ret = ops->open(be) ?: vblk_set_guest_block_size(be) ?: vblk_identify(be);
	if (ret)
		goto put_file;
	vblk_apply_range_flags(be, arg->flags);
	return be;

put_file:
	vhost_blk_identity_put(&be->identity);
	fput(be->file);
	kfree(be);
	return ERR_PTR(ret);
}

/**
 * vhost_blk_backend_close - close a backend that is not in use
 * @be: the backend, or NULL
 *
 * One work of the host closes all files that kernel threads release with
 * fput().  Closing may wait for the file system, for example for a FUSE server
 * that has to give up a lock, and then no other of these files is closed.  So a
 * kernel thread closes the file here.
 *
 * Context: Sleeps.  The caller must not hold a mutex that others wait for.
 */
void vhost_blk_backend_close(struct vhost_blk_be *be)
{
	if (!be)
		return;
	if (be->ops->close)
		be->ops->close(be);
	vhost_blk_identity_put(&be->identity);
	if (current->flags & PF_KTHREAD)
		__fput_sync(be->file);
	else
		fput(be->file);
	kfree(be);
}

/**
 * vhost_blk_backend_flushed - record the result of a flush
 * @be: the backend
 * @error: result of the flush, 0 or a negative errno
 *
 * An error of a flush is permanent.  The kernel reports a failed writeback once
 * and then marks the pages clean, and a disk may do so with its cache.  So a
 * later flush that succeeds does not mean that the data is stable.  The guest
 * may not even have seen the error, if an ioctl requested the flush.
 *
 * No signal interrupts a flush, but a FUSE server may answer with EINTR.  An
 * ioctl must not return that: it would mean that its caller is being killed.
 *
 * Context: Any.
 *
 * Return: 0, or the errno of the first flush that has failed since the backend
 * was attached.
 */
int vhost_blk_backend_flushed(struct vhost_blk_be *be, int error)
{
	if (error == -EINTR)
		error = -EIO;
	if (unlikely(error))
		cmpxchg(&be->flush_error, 0, error);
	return READ_ONCE(be->flush_error);
}

/**
 * vhost_blk_backend_flush - flush a backend
 * @be: the backend
 *
 * Does nothing for a read-only backend, because nothing was written and some
 * file systems have no fsync() for one.  Uses the credentials of the backend.
 *
 * Context: A workqueue.  Sleeps.
 *
 * Return: as vhost_blk_backend_flushed().
 */
int vhost_blk_backend_flush(struct vhost_blk_be *be)
{
	struct vhost_blk_saved_identity saved;
	int error;

	if (be->ro)
		return 0;
	vhost_blk_assume_identity(&saved, &be->identity);
	error = be->ops->flush(be);
	vhost_blk_restore_identity(&saved);
	return vhost_blk_backend_flushed(be, error);
}

static void vblk_flush_work(struct work_struct *work)
{
	struct vhost_blk *blk = container_of(work, struct vhost_blk, flush_work);

	blk->flush_result = vhost_blk_backend_flush(blk->be);
	/* A waiter may hold dev.mutex, which the release of the device takes. */
	complete_all(&blk->flush_done);
	vhost_blk_put(blk);
}

/**
 * vhost_blk_flush_init - initialize the flushes of ioctls
 * @blk: the device, at open
 */
void vhost_blk_flush_init(struct vhost_blk *blk)
{
	INIT_WORK(&blk->flush_work, vblk_flush_work);
	init_completion(&blk->flush_done);
	complete_all(&blk->flush_done);
}

/**
 * vhost_blk_wait_for_flush - wait for a flush that an ioctl has begun
 * @blk: the device, its mutex held
 *
 * To be called before the backend is replaced, or the workqueues are flushed: the
 * caller of that ioctl may have been killed.
 *
 * Return: 0, or -EINTR if the caller is being killed.
 */
int vhost_blk_wait_for_flush(struct vhost_blk *blk)
{
	return wait_for_completion_killable(&blk->flush_done) ? -EINTR : 0;
}

/**
 * vhost_blk_flush - flush the backend in an ioctl
 * @blk: the device, with a backend, its mutex held
 *
 * A work does it, and has a reference to the device, so that the caller can be
 * killed while the disk hangs.  The flush of an earlier caller that was killed
 * does not count, because requests may have completed since it began.
 *
 * Return: 0; -EINTR if the caller is being killed; -EOWNERDEAD if the owner has
 * exited; or the error of the flush, see vhost_blk_backend_flushed().
 */
int vhost_blk_flush(struct vhost_blk *blk)
{
	int ret = vhost_blk_wait_for_flush(blk);

	if (ret)
		return ret;
	if (!refcount_inc_not_zero(&blk->refs))
		return -EOWNERDEAD;
	/*
	 * Pairs with the barrier in vblk_owner_exit_work(): either the exit is
	 * seen here, or it finds the reference and drops the owner's memory.
	 */
	smp_mb__after_atomic();
	if (vhost_blk_owner_exited(blk)) {
		vhost_blk_put(blk);
		return -EOWNERDEAD;
	}
	reinit_completion(&blk->flush_done);
	queue_work(blk->wq, &blk->flush_work);
	ret = vhost_blk_wait_for_flush(blk);
	return ret ? ret : blk->flush_result;
}

/**
 * vhost_blk_clamp_range - limit the length of a range that is advertised
 * @be: the backend; its block sizes are set
 * @sectors: maximum sectors that the device can do at a time, not 0
 *
 * Return: the limit in sectors, at least one logical block.  0 would mean that
 * the operation is not supported, although its feature is offered.
 */
u32 vhost_blk_clamp_range(const struct vhost_blk_be *be, u32 sectors)
{
	return clamp(sectors,
		     max(be->block_size, be->guest_block_size) / SECTOR_SIZE,
		     VHOST_BLK_MAX_RANGE_SECTORS);
}

/**
 * vhost_blk_min_io - get the value of min_io_size in the configuration space
 * @blocks: minimum I/O size in logical blocks
 *
 * The field has 16 bits.  If the size does not fit, for example the stripe of a
 * RAID or a page of hugetlbfs, use the largest power of two that fits and
 * divides it.
 *
 * Return: @blocks or that power of two, little endian (5.2.4).
 */
__virtio16 vhost_blk_min_io(u32 blocks)
{
	if (blocks > U16_MAX)
		blocks = min_t(u32, blocks & -blocks, BIT(15));
	return __cpu_to_virtio16(true, blocks);
}

/*
 * The new limit, not lower than the old one; 0 if the operation is not
 * supported
 */
static u32 vblk_kept_limit(u32 now, u32 before)
{
	return now ? max(now, before) : 0;
}

/**
 * vhost_blk_backend_keep_limits - do not lower limits of ranges in a swap
 * @be: the new backend
 * @old: the old backend
 *
 * The driver uses the limits that it has read.
 */
void vhost_blk_backend_keep_limits(struct vhost_blk_be *be,
				   const struct vhost_blk_be *old)
{
	be->max_discard_sectors = vblk_kept_limit(be->max_discard_sectors,
						  old->max_discard_sectors);
	be->max_zeroes_sectors = vblk_kept_limit(be->max_zeroes_sectors,
						 old->max_zeroes_sectors);
	be->max_erase_sectors = vblk_kept_limit(be->max_erase_sectors,
						old->max_erase_sectors);
}

/**
 * vhost_blk_backend_max_range - get the advertised length of a range
 * @be: the backend
 * @op: an operation that has ranges
 *
 * Return: the maximum number of sectors of one range.
 */
u32 vhost_blk_backend_max_range(const struct vhost_blk_be *be,
				enum vhost_blk_op op)
{
	switch (op) {
	case VHOST_BLK_OP_DISCARD:
		return be->max_discard_sectors;
	case VHOST_BLK_OP_WRITE_ZEROES:
		return be->max_zeroes_sectors;
	case VHOST_BLK_OP_SECURE_ERASE:
		return be->max_erase_sectors;
	default:
		return 0;
	}
}

/**
 * vhost_blk_backend_writes_zeroes - check whether zeroes may have to be written
 * @be: the backend
 *
 * Some file systems have no FALLOC_FL_ZERO_RANGE, which is known only after a
 * call.  A device may find out at any time that it has no command for zeroes.
 *
 * Context: Any.
 *
 * Return: true if zeroes may have to be written as data.
 */
bool vhost_blk_backend_writes_zeroes(const struct vhost_blk_be *be)
{
	return !be->bdev || !bdev_write_zeroes_sectors(be->bdev);
}

/**
 * vhost_blk_backend_range_config - fill in limits of discard, zeroes and erase
 * @be: the backend
 * @config: the configuration space (5.2.4)
 *
 * The limits are those of the time of the attach.  If the device supports less
 * now, the kernel splits ranges, writes zeroes, or does not discard.
 */
void vhost_blk_backend_range_config(const struct vhost_blk_be *be,
				    struct virtio_blk_config *config)
{
	u32 discard = be->max_discard_sectors;
	u32 zeroes = be->max_zeroes_sectors;
	u32 erase = be->max_erase_sectors;

	if (discard) {
		config->max_discard_sectors = __cpu_to_virtio32(true, discard);
		config->max_discard_seg =
			__cpu_to_virtio32(true, VHOST_BLK_MAX_RANGES);
		config->discard_sector_alignment =
			__cpu_to_virtio32(true, be->range_align);
	}
	if (zeroes) {
		config->max_write_zeroes_sectors =
			__cpu_to_virtio32(true, zeroes);
		config->max_write_zeroes_seg =
			__cpu_to_virtio32(true, VHOST_BLK_MAX_ZEROES);
		config->write_zeroes_may_unmap = be->zeroes_unmap;
	}
	if (erase) {
		config->max_secure_erase_sectors =
			__cpu_to_virtio32(true, erase);
		config->max_secure_erase_seg =
			__cpu_to_virtio32(true, VHOST_BLK_MAX_RANGES);
		config->secure_erase_sector_alignment =
			__cpu_to_virtio32(true, be->range_align);
	}
}

/**
 * vhost_blk_backend_set_align - set the alignment of segments for direct I/O
 * @be: the backend
 * @dma_mask: bits that must be 0 in an address, for DMA
 * @unit: bytes that the length of a vector must be a multiple of: a logical
 *	block, or the write granularity of zones
 *
 * The block layer, the integrity code, device mapper targets and drivers expect
 * each vector of a bio to be a whole number of logical blocks.  Linux 6.1 has a
 * BUG() if it cannot split a bio at a block, and writes one integrity tuple too
 * many for each vector that is shorter than a block.  So the length of a
 * segment must be a multiple of the block.
 *
 * The address must be aligned to the block too, even if the device can do DMA
 * to any address.  A segment is split into vectors at the end of a page if the
 * next page is not contiguous in memory.  A block of 4096 bytes at offset 512
 * of a page would become a vector of 3584 bytes and one of 512 bytes.  A block
 * that is larger than a page is split at the ends of pages in any case; the
 * kernels that support such blocks can handle that.
 */
void vhost_blk_backend_set_align(struct vhost_blk_be *be, u32 dma_mask, u32 unit)
{
	be->len_mask = unit - 1;
	be->addr_mask = dma_mask | (be->len_mask & ~PAGE_MASK);
}

/*
 * Check whether the blocks of the device are larger than when it was attached.
 *
 * The limits of a block device may change while it is attached: by another
 * table of device mapper, by a format of an NVMe namespace, or by
 * LOOP_SET_BLOCK_SIZE.  The guest uses the block size of the attach, and the
 * alignment of segments is checked against that.  Parts of larger blocks must
 * not reach the device, see vhost_blk_backend_set_align().
 */
static bool vblk_backend_outgrown(const struct vhost_blk_be *be)
{
	return unlikely(be->bdev &&
			bdev_logical_block_size(be->bdev) > be->block_size);
}

/*
 * Check whether the backend must not be written.  Write protection may change
 * at any time.  A block device that is in use as swap is read-only.
 */
static bool vblk_backend_read_only(const struct vhost_blk_be *be)
{
	return be->ro || (be->bdev && (bdev_read_only(be->bdev) ||
				       IS_SWAPFILE(be->mapping->host)));
}

/**
 * vhost_blk_backend_refuses - check again whether a backend takes a request
 * @be: the backend
 * @op: operation of a request that was checked some time ago
 *
 * Context: Any.
 *
 * Return: true if the request must fail.
 */
bool vhost_blk_backend_refuses(const struct vhost_blk_be *be,
			       enum vhost_blk_op op)
{
	return vblk_backend_outgrown(be) ||
	       (op != VHOST_BLK_OP_READ && vblk_backend_read_only(be));
}

/**
 * vhost_blk_backend_limits - get the current limits of a backend
 * @be: the backend
 * @limits: filled in, except op_mask and range_sectors
 *
 * Size and write protection may change at any time.  The capacity is 0 while the
 * blocks of the device are larger than when it was attached.
 *
 * Context: Any.
 */
void vhost_blk_backend_limits(const struct vhost_blk_be *be,
			      struct vhost_blk_limits *limits)
{
	limits->block_sectors = be->guest_block_size / SECTOR_SIZE;
	limits->capacity = be->ops->capacity(be) & be->capacity_mask;
	if (vblk_backend_outgrown(be))
		limits->capacity = 0;
	limits->zone_sectors = be->zone_sectors;
	limits->append_sectors = be->append_sectors;
	limits->ro = vblk_backend_read_only(be);
}

/**
 * vhost_blk_create_workqueues - create the workqueues of a device
 * @blk: the device, its mutex held
 *
 * Called before the first backend is attached.  Does nothing if the workqueues
 * exist.
 *
 * As in the loop driver they are not WQ_MEM_RECLAIM: file systems flush
 * workqueues of their own that are not, which causes a warning of the kernel,
 * and the rescuer is a kernel thread whose work is charged to no control group.
 * They are WQ_FREEZABLE because files must not change after the image for
 * hibernation was taken.
 *
 * From Linux 6.9 on the maximum of an unbound workqueue is divided among the
 * NUMA nodes, by their CPUs.  A work of submit_wq may wait for a disk that hangs,
 * and must not keep those of other queues waiting.  There are two works per
 * queue, so the largest maximum (512 until it became 2048) is enough for four
 * nodes or for 16.  On a host with more, the owner's memory may stay pinned until
 * the disk works again, if all queues wait.
 *
 * Return: 0 or -ENOMEM.
 */
int vhost_blk_create_workqueues(struct vhost_blk *blk)
{
	if (!blk->submit_wq)
		blk->submit_wq = alloc_workqueue("vhost-blk-submit-%d",
						 WQ_UNBOUND | WQ_FREEZABLE,
						 WQ_MAX_ACTIVE,
						 task_tgid_nr(current));
	if (!blk->wq)
		blk->wq = alloc_workqueue("vhost-blk-%d",
					  WQ_UNBOUND | WQ_FREEZABLE,
					  VHOST_BLK_MAX_PUNTED,
					  task_tgid_nr(current));
	return blk->wq && blk->submit_wq ? 0 : -ENOMEM;
}

/*
 * Run a punted function with the priority and identity of its request, or end
 * the request with -ECANCELED if @drop.
 */
static void vblk_run_punted(struct vhost_blk_req *req, bool drop)
{
	int ioprio = get_current_ioprio(), wanted = req->io.ioprio;
	struct vhost_blk_saved_identity saved;

	/*
	 * Best effort: if this fails, the I/O has the wrong priority.  It needs
	 * the kernel thread's own credentials, so it comes first.
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

/* If the queue is dead, another VMM may use the disk: drop the request. */
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
 * vhost_blk_punt - run an operation that may sleep in the workqueue
 * @req: the request, not in use by any other thread
 * @fn: the operation; ends in vhost_blk_req_done()
 *
 * The request ends with -ECANCELED and without @fn if its queue is dead by
 * then.
 *
 * Context: Any.
 */
void vhost_blk_punt(struct vhost_blk_req *req,
		    void (*fn)(struct vhost_blk_req *req))
{
	req->punted = fn;
	INIT_WORK(&req->work, vblk_punted_work);
	queue_work(to_vhost_blk(req->q)->wq, &req->work);
}

/**
 * vhost_blk_punt_always - run work after I/O in the workqueue
 * @req: the request, not in use by any other thread
 * @fn: the work, which does not change the disk; ends in vhost_blk_req_done()
 *
 * @fn is called even if the queue is dead, because the host's page cache must
 * not keep data that was overwritten.
 *
 * Context: Any.
 */
void vhost_blk_punt_always(struct vhost_blk_req *req,
			   void (*fn)(struct vhost_blk_req *req))
{
	req->punted = fn;
	INIT_WORK(&req->work, vblk_punted_always_work);
	queue_work(to_vhost_blk(req->q)->wq, &req->work);
}

/**
 * vhost_blk_backend_submit - start the I/O of a request, or of its next window
 * @req: the request, whose data are mapped or copied
 *
 * The queue may have died while the worker read guest memory.  Then another VMM
 * may use the disk, and the memory may have been replaced after the check of
 * the state, so that what was read is not what the guest wrote.
 *
 * Ends in vhost_blk_req_done(), maybe later.
 *
 * Context: The worker, with the mutex of the queue held.
 */
void vhost_blk_backend_submit(struct vhost_blk_req *req)
{
	const struct vhost_blk_io *io = &req->io;

	if (unlikely(vhost_blk_dead(req->q))) {
		vhost_blk_req_done(req, -ECANCELED);
		return;
	}
	trace_vhost_blk_submit(req->q, req->head, io->pos, io->len, io->nr_bvec,
			       req->bounced);
	req->be->ops->submit(req);
}

/**
 * vhost_blk_submit_work - submit the requests of vhost_blk_punt_in_order()
 * @work: vhost_blk_queue.submit_work
 *
 * Uses one plug for all of them, as the worker does.  The last request may be
 * done before the plug is finished, so the queue is freed only after this
 * workqueue was flushed.
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
 * vhost_blk_punt_in_order - submit a request in the submit thread of its queue
 * @req: the request, not in use by any other thread
 * @fn: submits the I/O and may wait for a tag; ends in vhost_blk_req_done()
 *
 * One thread per queue submits these requests in order, since more threads
 * would get no more tags.  If the queue dies, the requests behind the first are
 * dropped; one that waits in the block layer cannot be.  All requests that the
 * thread finds are one batch, because waking the thread is most of the cost if
 * each request is punted.
 *
 * Context: Any.
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
 * vhost_blk_flush_workqueues - wait for works to return after the last request
 * @blk: the device, no request in flight
 *
 * A plug is finished after all requests below it were submitted, possibly after
 * the last of them is done.  Stacked devices (md) have callbacks in plugs that
 * access the device.  So this must be called before the backend is closed.  The
 * works have nothing else left to do, so this does not wait for the backend.
 *
 * Context: Sleeps.
 */
void vhost_blk_flush_workqueues(struct vhost_blk *blk)
{
	if (blk->submit_wq)
		flush_workqueue(blk->submit_wq);
	if (blk->wq)
		flush_workqueue(blk->wq);
}

/**
 * vhost_blk_submit_unmerged - execute a request without data, never merged
 * @bdev: the block device
 * @op: operation
 * @sector: first sector; the caller has checked it
 * @bytes: length of an erase in bytes, 0 for an operation on zones
 *
 * blkdev_zone_mgmt() and blkdev_issue_secure_erase() let the block layer merge
 * such requests with their neighbours, in a plug, in a scheduler or while the
 * device is busy.  It takes two requests on one zone for neighbours, and ends in
 * a BUG() in blk_mq_end_request() when the device has completed the first.  Two
 * erases are counted as two segments: virtio_blk then sends two ranges and fills
 * in only one, if its device takes one range per request.
 *
 * Context: Sleeps.
 *
 * Return: 0 or a negative errno.
 */
int vhost_blk_submit_unmerged(struct block_device *bdev, enum req_op op,
			      sector_t sector, u32 bytes)
{
	struct bio bio;
	int ret;

	/* The block layer only warns, and a request may have waited for long. */
	if (bdev_read_only(bdev))
		return -EPERM;
	bio_init(&bio, bdev, NULL, 0, op | REQ_SYNC | REQ_NOMERGE);
	bio.bi_iter.bi_sector = sector;
	bio.bi_iter.bi_size = bytes;
	ret = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return ret;
}
