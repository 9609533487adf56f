// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backend for regular files, with direct or buffered I/O as the file was
 * opened.
 *
 * The worker submits reads and writes with IOCB_NOWAIT.  The workqueue does
 * those that cannot be done without waiting, stable writes, and requests
 * without data.
 */
#include <linux/blkdev.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/log2.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <linux/uio.h>

#include "internal.h"

static void vblk_file_retry(struct vhost_blk_req *req);

/*
 * Set the logical block size and the alignment of data for direct I/O.
 *
 * On XFS, blocks of a file may be shared with another file (reflink), and then
 * direct I/O can write whole blocks only.  As soon as the image is copied in
 * this way, its offset alignment for writes becomes the block size of the file
 * system.  But the partition table in the image is in units of the block size
 * that the image was created with.  So use the alignment for reads as logical
 * block size.  XFS writes parts of a block through the page cache, one such
 * write at a time.  It did so before Linux 6.14 too, which reported only the
 * alignment for reads.
 *
 * Return: 0; -EOPNOTSUPP if the alignment is not a power of two; or the errno
 * of vfs_getattr().
 */
static int vblk_file_direct_limits(struct vhost_blk_be *be)
{
	struct super_block *sb = file_inode(be->file)->i_sb;
	struct kstat stat;
	u32 align;
	int ret;

	be->block_size = sb->s_bdev ? bdev_logical_block_size(sb->s_bdev) :
					SECTOR_SIZE;
	vhost_blk_backend_set_align(be, 0, be->block_size);

	ret = vfs_getattr(&be->file->f_path, &stat,
			  STATX_DIOALIGN | STATX_DIO_READ_ALIGN,
			  AT_STATX_SYNC_AS_STAT);
	if (ret)
		return ret;
	if (!(stat.result_mask & STATX_DIOALIGN) || !stat.dio_offset_align)
		return 0;
	align = stat.dio_offset_align;
	if ((stat.result_mask & STATX_DIO_READ_ALIGN) &&
	    stat.dio_read_offset_align)
		align = stat.dio_read_offset_align;
	if (!is_power_of_2(align))
		return -EOPNOTSUPP;
	be->block_size = max_t(u32, align, SECTOR_SIZE);
	vhost_blk_backend_set_align(be, max(stat.dio_mem_align, 1U) - 1,
				    be->block_size);
	return 0;
}

/*
 * Set features and limits of discard and write zeroes.  A file system does not
 * report whether it can zero a range without writing it, so the limit is for
 * zeroes that are written.
 */
static void vblk_file_features(struct vhost_blk_be *be)
{
	u32 preferred = i_blocksize(file_inode(be->file));

	be->range_align = max3(preferred, be->block_size,
			       be->guest_block_size) / SECTOR_SIZE;
	be->features = 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
	be->max_zeroes_sectors =
		vhost_blk_clamp_range(be, VHOST_BLK_WRITTEN_SECTORS);
	if (!be->file->f_op->fallocate)
		return;
	be->features |= 1ULL << VIRTIO_BLK_F_DISCARD;
	be->max_discard_sectors = VHOST_BLK_MAX_RANGE_SECTORS;
	be->zeroes_unmap = true;
}

static int vblk_file_open(struct vhost_blk_be *be)
{
	struct file *file = be->file;
	int ret = 0;

	if (!file->f_op->read_iter || (!be->ro && !file->f_op->write_iter))
		return -EOPNOTSUPP;
	/*
	 * The open file description may be shared: an fcntl() by another
	 * process must neither send writes to the end of the file nor change
	 * the alignment of direct I/O.
	 */
	be->iocb_flags = file->f_iocb_flags;
	be->nowait = (file->f_mode & FMODE_NOWAIT) &&
		       !FMODE_FSNOTIFY_HSM(file->f_mode) &&
		       !FMODE_FSNOTIFY_ACCESS_PERM(file->f_mode);
	/* With O_APPEND each write would be at the end of the file. */
	if (!be->ro && (be->iocb_flags & IOCB_APPEND))
		return -EINVAL;
	/* With overlayfs the pages belong to the real inode. */
	be->mapping = d_real_inode(file_dentry(file))->i_mapping;
	be->wb_err = errseq_sample(&be->mapping->wb_err);

	be->block_size = SECTOR_SIZE;
	if (be->iocb_flags & IOCB_DIRECT) {
		be->stable = mapping_stable_writes(be->mapping);
		ret = vblk_file_direct_limits(be);
	}
	if (!ret)
		vblk_file_features(be);
	return ret;
}

static u64 vblk_file_capacity(const struct vhost_blk_be *be)
{
	return i_size_read(file_inode(be->file)) >> SECTOR_SHIFT;
}

/*
 * Get the last writeback error since the backend was attached.
 *
 * fsync() reports an error once per open file description.  The description may
 * be shared with another process or the VMM, which may call fsync() first.  The
 * errseq of the mapping reports the error to every caller.  The file cannot be
 * opened again instead: this is not possible for every file (O_TMPFILE, memfd,
 * deleted on NFS), permissions may have changed, and an open has effects (FUSE,
 * leases).
 *
 * With O_DIRECT, zeroes may be written through the page cache, and so may data
 * if the file system cannot do direct I/O there, as in a hole on ext4 without
 * extents.
 */
static int vblk_file_wb_error(const struct vhost_blk_be *be)
{
	return errseq_check(&be->mapping->wb_err, be->wb_err);
}

static int vblk_file_flush(const struct vhost_blk_be *be)
{
	int ret = vfs_fsync(be->file, 1);

	return ret ? ret : vblk_file_wb_error(be);
}

static void vblk_file_config(const struct vhost_blk_be *be,
			     union vhost_blk_config *config)
{
	u32 preferred = max(i_blocksize(file_inode(be->file)), be->block_size);
	struct virtio_blk_config *v = &config->v;

	if (preferred > be->guest_block_size)
		v->physical_block_exp = ilog2(preferred / be->guest_block_size);
	v->min_io_size = vhost_blk_min_io(1U << v->physical_block_exp);
	vhost_blk_backend_range_config(be, v);
}

/*
 * Handle the result of one attempt, which no other thread uses any more: finish
 * the request, or continue in the workqueue.
 *
 * Context: Any.
 */
static void vblk_file_result(struct vhost_blk_req *req, long ret)
{
	bool nowait = req->file.iocb.ki_flags & IOCB_NOWAIT;

	if (ret > 0) {
		req->file.done += ret;
		if (req->file.done < req->io.len)
			vhost_blk_punt(req, vblk_file_retry);
		else if (req->io.op == VHOST_BLK_OP_WRITE && req->io.fua)
			/* Another write may have got the error of ours. */
			vhost_blk_req_done(req, vblk_file_wb_error(req->be));
		else
			vhost_blk_req_done(req, 0);
		return;
	}
	/*
	 * File systems use different errors for an attempt that would have to
	 * wait: for the disk, for memory, or for space that could be freed.  Try
	 * again in the workqueue; a real error comes again.
	 */
	if (nowait && (ret == 0 || ret == -EAGAIN || ret == -EOPNOTSUPP ||
		       ret == -EINVAL || ret == -ENOMEM || ret == -ENOSPC ||
		       ret == -EDQUOT))
		vhost_blk_punt(req, vblk_file_retry);
	else
		vhost_blk_req_done(req, ret ? ret : -EIO);
}

/*
 * Drop a reference to the iocb; the last one handles the result.  A queued
 * attempt may complete before its submitter has returned from the file system,
 * which still uses the iocb and the file, to update the access time and to
 * unlock the inode.  A thread of the workqueue holds no reference to either.
 */
static void vblk_file_put(struct vhost_blk_req *req)
{
	if (atomic_dec_and_test(&req->file.users))
		vblk_file_result(req, req->file.ret);
}

/* Completion of a queued attempt (-EIOCBQUEUED).  Context: Any. */
static void vblk_file_complete(struct kiocb *iocb, long ret)
{
	struct vhost_blk_req *req = container_of(iocb, struct vhost_blk_req,
						 file.iocb);

	if (req->io.op == VHOST_BLK_OP_WRITE)
		kiocb_end_write(iocb);
	req->file.ret = ret;
	vblk_file_put(req);
}

/*
 * Take freeze protection.  Return: false if that would have to wait and
 * IOCB_NOWAIT is set.
 */
static bool vblk_file_start_write(struct kiocb *iocb)
{
	struct super_block *sb = file_inode(iocb->ki_filp)->i_sb;

	if (!(iocb->ki_flags & IOCB_NOWAIT)) {
		kiocb_start_write(iocb);
		return true;
	}
	if (!sb_start_write_trylock(sb))
		return false;
	/* As in kiocb_start_write(): the completion releases it. */
	__sb_writers_release(sb, SB_FREEZE_WRITE);
	return true;
}

/*
 * Like vfs_iocb_iter_write(), with its checks of security modules and fsnotify,
 * but without waiting for a frozen file system if IOCB_NOWAIT is set.  From
 * Linux 6.8 on vfs_iocb_iter_write() takes freeze protection, and waits for it.
 *
 * Return: the number of bytes, -EIOCBQUEUED, or another negative errno.
 */
static ssize_t vblk_file_write(struct kiocb *iocb, struct iov_iter *iter)
{
	struct file *file = iocb->ki_filp;
	ssize_t ret;

	ret = rw_verify_area(WRITE, file, &iocb->ki_pos, iov_iter_count(iter));
	if (ret)
		return ret;
	if (!vblk_file_start_write(iocb))
		return -EAGAIN;
	ret = file->f_op->write_iter(iocb, iter);
	if (ret == -EIOCBQUEUED)
		return ret;
	kiocb_end_write(iocb);
	if (ret > 0)
		fsnotify_modify(file);
	return ret;
}

/* Start an attempt of a read or write; @flags are added to the IOCB_* flags. */
static void vblk_file_rw(struct vhost_blk_req *req, int flags)
{
	const struct vhost_blk_be *be = req->be;
	struct vhost_blk_io *io = &req->io;
	struct kiocb *iocb = &req->file.iocb;
	bool write = io->op == VHOST_BLK_OP_WRITE;
	struct iov_iter iter;
	ssize_t ret;

	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, io->bvec,
		      io->nr_bvec, io->len);
	iov_iter_advance(&iter, req->file.done);
	/*
	 * One step at a time; vblk_file_result() punts the next one, which is
	 * dropped if the queue is dead by then.
	 */
	if (!(flags & IOCB_NOWAIT))
		iov_iter_truncate(&iter, VHOST_BLK_PUNTED_STEP);

	*iocb = (struct kiocb){
		.ki_filp = be->file,
		.ki_pos = io->pos + req->file.done,
		.ki_complete = vblk_file_complete,
		.ki_flags = be->iocb_flags | flags |
			    (write && io->fua ? IOCB_DSYNC : 0),
		.ki_ioprio = io->ioprio,
	};
	atomic_set(&req->file.users, 2);
	if (write)
		ret = vblk_file_write(iocb, &iter);
	else
		ret = vfs_iocb_iter_read(be->file, iocb, &iter);
	if (ret == -EIOCBQUEUED)
		vblk_file_put(req);
	else
		vblk_file_result(req, ret);
}

/* Start an attempt that may wait.  Runs in the workqueue. */
static void vblk_file_retry(struct vhost_blk_req *req)
{
	vblk_file_rw(req, 0);
}

/*
 * Write zeroes as data.  Return: 0, -ECANCELED if the request gave up, or
 * another negative errno.
 */
static int vblk_file_write_zeroes(struct vhost_blk_req *req, u64 pos, u64 left)
{
	struct kiocb iocb = {
		.ki_filp = req->be->file,
		.ki_pos = pos,
		.ki_flags = req->be->iocb_flags,
		.ki_ioprio = req->io.ioprio,
	};
	struct bio_vec bvec[16];
	struct iov_iter iter;
	unsigned int i;
	ssize_t ret;

	for (i = 0; i < ARRAY_SIZE(bvec); i++)
		bvec_set_page(&bvec[i], ZERO_PAGE(0), PAGE_SIZE, 0);
	while (left) {
		size_t len = min_t(u64, left, ARRAY_SIZE(bvec) * PAGE_SIZE);

		if (vhost_blk_should_abort_step(req))
			return -ECANCELED;
		iov_iter_bvec(&iter, ITER_SOURCE, bvec, ARRAY_SIZE(bvec), len);
		ret = vblk_file_write(&iocb, &iter);
		if (ret <= 0)
			return ret ? ret : -EIO;
		left -= ret;
		cond_resched();
	}
	return 0;
}

/* Zero one step of a range.  Return: 0 or a negative errno. */
static int vblk_file_zero(struct vhost_blk_req *req,
			  const struct vhost_blk_range *range)
{
	int mode = range->unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	struct file *file = req->be->file;
	int ret = -EOPNOTSUPP;

	if (file->f_op->fallocate)
		ret = vfs_fallocate(file, mode | FALLOC_FL_KEEP_SIZE, range->pos,
				    range->len);
	if (ret == -EOPNOTSUPP)
		ret = vblk_file_write_zeroes(req, range->pos, range->len);
	return ret;
}

/* Execute one step of a range.  Return: 0 or a negative errno. */
static int vblk_file_range(struct vhost_blk_req *req,
			   const struct vhost_blk_range *range)
{
	int ret;

	if (req->io.op == VHOST_BLK_OP_WRITE_ZEROES)
		return vblk_file_zero(req, range);
	ret = vfs_fallocate(req->be->file,
			    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    range->pos, range->len);
	/* Not every file system can punch holes, and a discard is a hint. */
	return ret == -EOPNOTSUPP ? 0 : ret;
}

/* Requests without data; runs in the workqueue */
static void vblk_file_control(struct vhost_blk_req *req)
{
	int ret;

	if (req->io.op == VHOST_BLK_OP_FLUSH)
		ret = vhost_blk_backend_flush(req->be);
	else
		ret = vhost_blk_do_ranges(req, vblk_file_range,
					  VHOST_BLK_RANGE_STEP);
	vhost_blk_req_done(req, ret);
}

/*
 * Check whether a write must be stable when it completes: for the guest, or
 * because of O_DSYNC, "chattr +S" or "mount -o sync".  Such a write may end in
 * generic_write_sync(), which ignores IOCB_NOWAIT and waits for the disk:
 *
 * - A buffered write always does.
 * - A direct write does so in the submitter if its data is on the device before
 *   the submitter has returned, unless the device made it stable by FUA or has
 *   no volatile cache.  Neither that nor FUA is enough: the file system also
 *   syncs for an extent that was not written before or is shared, for times of
 *   the file that have changed, and for O_SYNC.  Only it knows.
 */
static bool vblk_file_syncs(const struct vhost_blk_req *req)
{
	const struct vhost_blk_be *be = req->be;

	return req->io.fua || (be->iocb_flags & IOCB_DSYNC) ||
	       IS_SYNC(be->mapping->host);
}

/*
 * Check whether the file system could wait for the disk in a write to the page
 * cache, although it knows IOCB_NOWAIT.  It waits for the end of writeback if
 * pages must be stable until then; btrfs always does, and it also reads the rest
 * of a block.
 */
static bool vblk_file_write_waits(const struct vhost_blk_be *be)
{
	return !(be->iocb_flags & IOCB_DIRECT) &&
	       (be->mapping->host->i_sb->s_magic == BTRFS_SUPER_MAGIC ||
		mapping_stable_writes(be->mapping));
}

/*
 * Flags of an attempt in the worker, or 0 if it must not be made.  Without
 * IOCB_NOIO a read from the page cache would start readahead, which waits for
 * tags of the disk and reads metadata.  Some direct reads use the page cache, too
 * (ext4 with data=journal, btrfs).
 */
static int vblk_file_nowait_flags(const struct vhost_blk_req *req)
{
	const struct vhost_blk_be *be = req->be;

	if (!be->nowait)
		return 0;
	if (req->io.op == VHOST_BLK_OP_READ)
		return IOCB_NOWAIT | IOCB_NOIO;
	return vblk_file_syncs(req) || vblk_file_write_waits(be) ? 0 : IOCB_NOWAIT;
}

static void vblk_file_submit(struct vhost_blk_req *req)
{
	int flags;

	if (!req->io.nr_bvec) {
		vhost_blk_punt(req, vblk_file_control);
		return;
	}
	req->file.done = 0;
	flags = vblk_file_nowait_flags(req);
	if (flags)
		vblk_file_rw(req, flags);
	else
		vhost_blk_punt(req, vblk_file_retry);
}

/* Read or write blocks.  Sleeps.  Return: 0 or a negative errno. */
static int vblk_file_rw_blocks(struct vhost_blk_req *req, enum vhost_blk_op op,
			       u64 pos, struct bio_vec *bvec, unsigned int nr,
			       u32 len)
{
	bool write = op == VHOST_BLK_OP_WRITE;
	struct file *file = req->be->file;
	struct kiocb iocb = {
		.ki_filp = file,
		.ki_pos = pos,
		.ki_flags = req->be->iocb_flags |
			    (write && req->io.fua ? IOCB_DSYNC : 0),
		.ki_ioprio = req->io.ioprio,
	};
	struct iov_iter iter;
	ssize_t ret;

	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, bvec, nr, len);
	while (iov_iter_count(&iter)) {
		ret = write ? vblk_file_write(&iocb, &iter) :
			      vfs_iocb_iter_read(file, &iocb, &iter);
		if (ret <= 0)
			return ret ? ret : -EIO;
	}
	/* Another write may have got the error of ours. */
	return write && req->io.fua ? vblk_file_wb_error(req->be) : 0;
}

const struct vhost_blk_backend_ops vhost_blk_file_ops = {
	.open = vblk_file_open,
	.capacity = vblk_file_capacity,
	.flush = vblk_file_flush,
	.config = vblk_file_config,
	.submit = vblk_file_submit,
	.rw = vblk_file_rw_blocks,
};
