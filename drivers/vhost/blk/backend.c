// SPDX-License-Identifier: GPL-2.0-only
/*
 * What all backends have in common: attaching one, its limits and flushes, and
 * the workqueues that run what may sleep.
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

/*
 * What userspace finds the backend by.  The number of the file system is not that
 * of stat() with subvolumes of btrfs, and overlayfs has inodes of its own.
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

/**
 * vhost_blk_backend_open - attach what VHOST_BLK_SET_BACKEND names
 * @file: the block device or file; the backend takes a reference of its own
 * @ops: the kind of backend that @file is
 * @arg: argument of the ioctl, flags and reserve already checked
 *
 * Return: the backend, or an ERR_PTR with an errno of the uapi.
 */
struct vhost_blk_be *vhost_blk_backend_open(struct file *file,
					    const struct vhost_blk_backend_ops *ops,
					    const struct vhost_blk_backend *arg)
{
	struct vhost_blk_be *be;
	int ret;

	if (!(file->f_mode & FMODE_READ))
		return ERR_PTR(-EACCES);
	be = kzalloc_obj(*be, GFP_KERNEL_ACCOUNT);
	if (!be)
		return ERR_PTR(-ENOMEM);

	be->file = get_file(file);
	be->ops = ops;
	be->ro = (arg->flags & VHOST_BLK_BACKEND_F_RO) ||
		   !(be->file->f_mode & FMODE_WRITE);
	memcpy(be->serial, arg->serial, sizeof(be->serial));
	vhost_blk_identity_get(&be->identity);

	ret = ops->open(be) ?: vblk_identify(be);
	if (ret)
		goto put_file;
	return be;

put_file:
	vhost_blk_identity_put(&be->identity);
	fput(be->file);
	kfree(be);
	return ERR_PTR(ret);
}

/**
 * vhost_blk_backend_close - detach a backend that nothing uses any more
 * @be: may be NULL
 *
 * What fput() drops in a kernel thread is closed by one work for the whole host.
 * Closing may wait for the file system, a FUSE server that has to give up a lock
 * for example: then no kernel thread's file is closed any more.  So a kernel
 * thread closes the file itself; no mutex that others wait for may be held.
 */
void vhost_blk_backend_close(struct vhost_blk_be *be)
{
	if (!be)
		return;
	vhost_blk_identity_put(&be->identity);
	if (current->flags & PF_KTHREAD)
		__fput_sync(be->file);
	else
		fput(be->file);
	kfree(be);
}

/**
 * vhost_blk_backend_flushed - the outcome of a flush
 * @be: the backend
 * @error: what the flush ended in, 0 or a negative errno
 *
 * An error of a flush stays.  The kernel reports a failed writeback once and
 * then takes the pages for clean, and a disk may treat its cache alike: a later
 * flush that succeeds doesn't mean that the data is stable.  Whoever met the
 * error may not have been the guest either (a swap, VHOST_BLK_SET_CONFIG).  An
 * interrupted flush lost nothing: it is not an error of the backend.
 *
 * Context: any.
 * Return: 0, or the errno of the first flush that failed since the backend was
 * attached.
 */
int vhost_blk_backend_flushed(struct vhost_blk_be *be, int error)
{
	int before = READ_ONCE(be->flush_error);

	if (likely(!error) || before)
		return before;
	if (error != -EINTR && error != -ERESTARTSYS)
		cmpxchg(&be->flush_error, 0, error);
	return error;
}

/**
 * vhost_blk_backend_flush - make stable what has been written to a backend
 * @be: the backend
 *
 * Sleeps.  Nothing has been written to a read-only backend, and not every file
 * system has an fsync() for one.
 *
 * Return: as vhost_blk_backend_flushed().
 */
int vhost_blk_backend_flush(struct vhost_blk_be *be)
{
	if (be->ro)
		return 0;
	return vhost_blk_backend_flushed(be, be->ops->flush(be));
}

/**
 * vhost_blk_clamp_range - maximum length of a range, for the configuration space
 * @be: the backend, its block_size set
 * @sectors: what the device can do at a time, not 0
 *
 * Return: sectors, at least one logical block: 0 would say that the operation
 * is not supported, and its feature that it is.
 */
u32 vhost_blk_clamp_range(const struct vhost_blk_be *be, u32 sectors)
{
	return clamp(sectors, be->block_size / SECTOR_SIZE,
		     VHOST_BLK_MAX_RANGE_SECTORS);
}

/**
 * vhost_blk_min_io - minimum I/O size, for the configuration space
 * @blocks: logical blocks
 *
 * The field has 16 bits.  Of a size that does not fit, as the stripe of a RAID or a
 * page of hugetlbfs, the largest power of two that divides it is told.
 *
 * Return: @blocks or that power of two, little endian (5.2.4).
 */
__virtio16 vhost_blk_min_io(u32 blocks)
{
	if (blocks > U16_MAX)
		blocks = min_t(u32, blocks & -blocks, BIT(15));
	return __cpu_to_virtio16(true, blocks);
}

static u32 vblk_kept_limit(u32 now, u32 before)
{
	return now ? max(now, before) : 0;
}

/**
 * vhost_blk_backend_keep_limits - keep promises across a swap
 * @be: the new backend
 * @old: the one that the guest has
 *
 * The driver goes by the limits that it has read.
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
 * vhost_blk_backend_max_range - maximum sectors in one range, as advertised
 * @be: the backend
 * @op: an operation that has ranges
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
 * vhost_blk_backend_writes_zeroes - may zeroes have to be written one by one?
 * @be: the backend
 *
 * Not all file systems have FALLOC_FL_ZERO_RANGE, and none tells before it is
 * tried.  A device may find out that it can't, at any time.
 */
bool vhost_blk_backend_writes_zeroes(const struct vhost_blk_be *be)
{
	return !be->bdev || !bdev_write_zeroes_sectors(be->bdev);
}

/**
 * vhost_blk_backend_range_config - limits of discard, zeroes and secure erase
 * @be: the backend
 * @config: filled in (5.2.4)
 *
 * The limits are those of the attach.  If the device can do less by now, the
 * kernel splits ranges, writes zeroes, or doesn't discard.
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
 * @dma_mask: bits that must be 0 in an address, as the device asks for it
 * @unit: bytes that a vector has to be a multiple of: a logical block, or what a
 *	zone is written in
 *
 * The block layer, integrity code, dm targets and drivers expect each vector of
 * a bio to be a whole number of logical blocks.  Linux 6.1 has a BUG() if it
 * can't split a bio at a block, and writes one integrity tuple too many for
 * each vector that is less than a block.  So the length of a segment has to be
 * a multiple of the block.
 *
 * The address has to be aligned to the block as well, even if the device can
 * do DMA to any address: a segment is split into vectors at the end of
 * a page whose successor is somewhere else in memory.  A block of 4096 bytes at offset 512
 * of a page would become a vector of 3584 and one of 512 bytes.  A block of
 * more than a page is cut at the ends of pages in any case; the kernels that
 * support such blocks can handle that.
 */
void vhost_blk_backend_set_align(struct vhost_blk_be *be, u32 dma_mask, u32 unit)
{
	be->len_mask = unit - 1;
	be->addr_mask = dma_mask | (be->len_mask & ~PAGE_MASK);
}

/**
 * vhost_blk_backend_outgrown - do requests not fit the device any more?
 * @be: the backend
 *
 * The limits of a block device may change while it is attached: another table
 * of device mapper, a namespace that was formatted, LOOP_SET_BLOCK_SIZE.  The
 * guest was told of the blocks of the attach, and the alignment of its segments
 * is checked against those.  Pieces of larger blocks must not reach the device,
 * see vhost_blk_backend_set_align().
 */
bool vhost_blk_backend_outgrown(const struct vhost_blk_be *be)
{
	return unlikely(be->bdev &&
			bdev_logical_block_size(be->bdev) > be->block_size);
}

/**
 * vhost_blk_backend_limits - what requests are to be checked against
 * @be: the backend
 * @limits: filled in, but for its ops, as of now: size and write protection
 *	may change.  A block device in use as swap must not be written, either.
 *	The size is 0 for as long as its blocks are larger than the guest knows.
 */
void vhost_blk_backend_limits(const struct vhost_blk_be *be,
			      struct vhost_blk_limits *limits)
{
	limits->block_sectors = be->block_size / SECTOR_SIZE;
	limits->capacity = round_down(be->ops->capacity(be),
				      limits->block_sectors);
	if (vhost_blk_backend_outgrown(be))
		limits->capacity = 0;
	limits->zone_sectors = be->zone_sectors;
	limits->append_sectors = be->append_sectors;
	limits->ro = be->ro ||
		     (be->bdev && (bdev_read_only(be->bdev) ||
				   IS_SWAPFILE(be->mapping->host)));
}

/*
 * The first backend brings the workqueue.  Not WQ_MEM_RECLAIM, as with loop: file
 * systems flush workqueues of their own that aren't, which the kernel warns
 * about, and its rescuer is a kernel thread that nobody is charged for.
 * Hibernation must not see files change after its image was taken.
 */
int vhost_blk_create_workqueues(struct vhost_blk *blk)
{
	if (!blk->submit_wq)
		blk->submit_wq = alloc_workqueue("vhost-blk-submit-%d",
						 WQ_UNBOUND | WQ_FREEZABLE,
						 VHOST_BLK_MAX_QUEUES,
						 task_tgid_nr(current));
	if (!blk->wq)
		blk->wq = alloc_workqueue("vhost-blk-%d",
					  WQ_UNBOUND | WQ_FREEZABLE,
					  VHOST_BLK_MAX_PUNTED,
					  task_tgid_nr(current));
	return blk->wq && blk->submit_wq ? 0 : -ENOMEM;
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
