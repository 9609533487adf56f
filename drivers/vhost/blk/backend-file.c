// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regular files, direct or buffered as they were opened.
 *
 * The worker tries with IOCB_NOWAIT.  What that can't do, and what moves no
 * data, is left to a workqueue.
 */
#include <linux/blkdev.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <linux/uio.h>

#include "internal.h"

static void vblk_file_retry(struct vhost_blk_req *req);

/*
 * Alignment that direct I/O on the file wants, for offsets and for memory.
 *
 * A block of a file on XFS may be shared with another file (reflink), and then
 * only whole blocks can be written directly.  The offset alignment becomes the
 * size of a block with the first copy that anybody makes of the image, but the
 * partition table in it counts in blocks of the size it was made with.  So the
 * logical block is what can be read.  XFS writes less than a block through the
 * page cache, one write of that kind at a time, as it did before Linux 6.14,
 * which told only of the alignment for reads.
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
 * Whether a file system can zero a range without writing it is known only once
 * it has been tried, so what is advertised is what can be written.
 */
static void vblk_file_features(struct vhost_blk_be *be)
{
	u32 preferred = i_blocksize(file_inode(be->file));

	be->range_align = max(preferred, be->block_size) / SECTOR_SIZE;
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
	 * The description may be shared: fcntl() of another process must
	 * neither send writes to the end of the file nor change what memory
	 * they may come from.
	 */
	be->iocb_flags = file->f_iocb_flags;
	be->nowait = (file->f_mode & FMODE_NOWAIT) &&
		       !FMODE_FSNOTIFY_HSM(file->f_mode) &&
		       !FMODE_FSNOTIFY_ACCESS_PERM(file->f_mode);
	/* Every write would land at the end. */
	if (!be->ro && (be->iocb_flags & IOCB_APPEND))
		return -EINVAL;
	/* On overlayfs the pages belong to the inode below. */
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
 * Writeback errors since the backend was attached.  fsync() reports an error once
 * for each open file description, which another process or the VMM may share
 * and use first.  The error sequence of the mapping can't be consumed so.  A
 * file of our own, opened again, would have the same effect, but not every
 * file can be (O_TMPFILE, memfd, deleted on NFS), permissions may have changed,
 * and an open has effects (FUSE, leases).  With O_DIRECT each write reports its
 * own error, but zeroes may go through the page cache.
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
	u32 preferred = i_blocksize(file_inode(be->file));
	struct virtio_blk_config *v = &config->v;

	if (preferred > be->block_size)
		v->physical_block_exp = ilog2(preferred / be->block_size);
	v->min_io_size = vhost_blk_min_io(1U << v->physical_block_exp);
	vhost_blk_backend_range_config(be, v);
}

/*
 * Take in what one try brought; from any context, once nobody uses the iocb any
 * more.
 */
static void vblk_file_result(struct vhost_blk_req *req, long ret)
{
	const struct kiocb *iocb = &req->file.iocb;
	bool nowait = iocb->ki_flags & IOCB_NOWAIT;

	if (ret > 0) {
		req->file.done += ret;
		if (req->file.done < req->io.len)
			vhost_blk_punt(req, vblk_file_retry);
		else if (req->io.op == VHOST_BLK_OP_WRITE && req->io.fua &&
			 !(iocb->ki_flags & IOCB_DIRECT))
			/* The error may have been reported to another write. */
			vhost_blk_req_done(req, vblk_file_wb_error(req->be));
		else
			vhost_blk_req_done(req, 0);
		return;
	}
	/*
	 * File systems say in different ways that they can't do it without
	 * waiting, for memory too; a true error comes again.
	 */
	if (nowait && (ret == -EAGAIN || ret == -EOPNOTSUPP ||
		       ret == -EINVAL || ret == -ENOMEM))
		vhost_blk_punt(req, vblk_file_retry);
	else
		vhost_blk_req_done(req, ret ? ret : -EIO);
}

/*
 * A try that was queued may complete before its submitter has returned from the
 * file system, which still needs the iocb and the file then, to update the
 * access time and to unlock the inode.  A thread of the workqueue holds nothing
 * that would keep either.  So the later one of both goes on.
 */
static void vblk_file_put(struct vhost_blk_req *req)
{
	if (atomic_dec_and_test(&req->file.users))
		vblk_file_result(req, req->file.ret);
}

/* Completion of what was queued (-EIOCBQUEUED); from any context. */
static void vblk_file_complete(struct kiocb *iocb, long ret)
{
	struct vhost_blk_req *req = container_of(iocb, struct vhost_blk_req,
						 file.iocb);

	if (req->io.op == VHOST_BLK_OP_WRITE)
		kiocb_end_write(iocb);
	req->file.ret = ret;
	vblk_file_put(req);
}

/* Freeze protection; false where that would have to wait but must not. */
static bool vblk_file_start_write(struct kiocb *iocb)
{
	struct super_block *sb = file_inode(iocb->ki_filp)->i_sb;

	if (!(iocb->ki_flags & IOCB_NOWAIT)) {
		kiocb_start_write(iocb);
		return true;
	}
	if (!sb_start_write_trylock(sb))
		return false;
	/* As kiocb_start_write() does: the completion ends it. */
	__sb_writers_release(sb, SB_FREEZE_WRITE);
	return true;
}

/*
 * What vfs_iocb_iter_write() does (security modules, fsnotify), but without
 * waiting for a frozen file system if IOCB_NOWAIT is set: from Linux 6.8 on that
 * function takes freeze protection by itself, and waits for it.
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
	/* vblk_file_result() goes on with the next part, unless nobody wants it. */
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

static void vblk_file_retry(struct vhost_blk_req *req)
{
	vblk_file_rw(req, 0);
}

/* Zeroes without the file system's help. */
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

static int vblk_file_range(struct vhost_blk_req *req,
			   const struct vhost_blk_range *range)
{
	int ret;

	if (req->io.op == VHOST_BLK_OP_WRITE_ZEROES)
		return vblk_file_zero(req, range);
	ret = vfs_fallocate(req->be->file,
			    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    range->pos, range->len);
	/* A discard is a hint, for a file system that can't take it too. */
	return ret == -EOPNOTSUPP ? 0 : ret;
}

/* Requests without a data payload. */
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

static void vblk_file_submit(struct vhost_blk_req *req)
{
	if (!req->io.nr_bvec) {
		vhost_blk_punt(req, vblk_file_control);
		return;
	}
	req->file.done = 0;
	if (req->be->nowait)
		vblk_file_rw(req, IOCB_NOWAIT);
	else
		vhost_blk_punt(req, vblk_file_retry);
}

const struct vhost_blk_backend_ops vhost_blk_file_ops = {
	.open = vblk_file_open,
	.capacity = vblk_file_capacity,
	.flush = vblk_file_flush,
	.config = vblk_file_config,
	.submit = vblk_file_submit,
};
