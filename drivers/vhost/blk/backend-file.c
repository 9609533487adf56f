// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 4b: regular files, direct or buffered as they were opened.
 *
 * The worker tries with IOCB_NOWAIT.  What that can't do, and a flush, is
 * left to a workqueue.
 */
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/stat.h>
#include <linux/uio.h>

#include "blk.h"

static void file_work(struct work_struct *work);

/* Alignment that direct I/O on the file wants, for offsets and for memory. */
static int direct_limits(struct vhost_blk_disk *disk)
{
	struct super_block *sb = file_inode(disk->file)->i_sb;
	struct kstat stat;
	int ret;

	disk->block_size = sb->s_bdev ? bdev_logical_block_size(sb->s_bdev) :
					SECTOR_SIZE;
	disk->mem_mask = disk->block_size - 1;

	ret = vfs_getattr(&disk->file->f_path, &stat, STATX_DIOALIGN,
			  AT_STATX_SYNC_AS_STAT);
	if (ret)
		return ret;
	if (!(stat.result_mask & STATX_DIOALIGN) || !stat.dio_offset_align)
		return 0;
	if (!is_power_of_2(stat.dio_offset_align))
		return -EOPNOTSUPP;
	disk->block_size = max_t(u32, stat.dio_offset_align, SECTOR_SIZE);
	disk->mem_mask = max(disk->block_size, stat.dio_mem_align) - 1;
	return 0;
}

static int file_open(struct vhost_blk_disk *disk)
{
	struct file *file = disk->file;

	if (!file->f_op->read_iter || (!disk->ro && !file->f_op->write_iter))
		return -EOPNOTSUPP;
	/* Every write would land at the end. */
	if (!disk->ro && (file->f_flags & O_APPEND))
		return -EINVAL;

	disk->block_size = SECTOR_SIZE;
	return file->f_flags & O_DIRECT ? direct_limits(disk) : 0;
}

static u64 file_capacity(const struct vhost_blk_disk *disk)
{
	return i_size_read(file_inode(disk->file)) >> SECTOR_SHIFT;
}

static void file_topology(const struct vhost_blk_disk *disk,
			  struct virtio_blk_config *config)
{
	u32 preferred = i_blocksize(file_inode(disk->file));

	if (preferred > disk->block_size)
		config->physical_block_exp =
			ilog2(preferred / disk->block_size);
	config->min_io_size =
		__cpu_to_virtio16(true, 1 << config->physical_block_exp);
}

static void punt(struct vhost_blk_req *req)
{
	INIT_WORK(&req->file.work, file_work);
	queue_work(vhost_blk_wq, &req->file.work);
}

/* Take in what one try brought; from any context. */
static void file_result(struct vhost_blk_req *req, long ret)
{
	bool nowait = req->file.iocb.ki_flags & IOCB_NOWAIT;

	if (ret > 0) {
		req->file.done += ret;
		if (req->file.done >= req->io.len)
			vhost_blk_req_done(req, 0);
		else
			punt(req);
		return;
	}
	/*
	 * File systems say in different ways that they can't do it without
	 * waiting; a true error comes again.
	 */
	if (nowait && (ret == -EAGAIN || ret == -EOPNOTSUPP || ret == -EINVAL))
		punt(req);
	else
		vhost_blk_req_done(req, ret ? ret : -EIO);
}

static void file_complete(struct kiocb *iocb, long ret)
{
	struct vhost_blk_req *req = container_of(iocb, struct vhost_blk_req,
						 file.iocb);

	if (req->io.op == VHOST_BLK_OP_WRITE)
		kiocb_end_write(iocb);
	file_result(req, ret);
}

/* Freeze protection; false where that would have to wait but must not. */
static bool start_write(struct kiocb *iocb)
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

static void file_rw(struct vhost_blk_req *req, int flags)
{
	struct vhost_blk_io *io = &req->io;
	struct kiocb *iocb = &req->file.iocb;
	struct file *file = req->disk->file;
	bool write = io->op == VHOST_BLK_OP_WRITE;
	struct iov_iter iter;
	ssize_t ret;

	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, io->bvec,
		      io->nr_bvec, io->len);
	iov_iter_advance(&iter, req->file.done);

	init_sync_kiocb(iocb, file);
	iocb->ki_pos = io->pos + req->file.done;
	iocb->ki_flags |= flags | (write && io->sync ? IOCB_DSYNC : 0);
	iocb->ki_complete = file_complete;

	if (write && !start_write(iocb)) {
		file_result(req, -EAGAIN);
		return;
	}
	if (write)
		ret = file->f_op->write_iter(iocb, &iter);
	else
		ret = file->f_op->read_iter(iocb, &iter);
	if (ret != -EIOCBQUEUED)
		file_complete(iocb, ret);
}

static void file_work(struct work_struct *work)
{
	struct vhost_blk_req *req = container_of(work, struct vhost_blk_req,
						 file.work);

	if (req->io.op == VHOST_BLK_OP_FLUSH)
		vhost_blk_req_done(req, vfs_fsync(req->disk->file, 1));
	else
		file_rw(req, 0);
}

static void file_submit(struct vhost_blk_req *req)
{
	req->file.done = 0;
	if (req->io.op != VHOST_BLK_OP_FLUSH &&
	    (req->disk->file->f_mode & FMODE_NOWAIT))
		file_rw(req, IOCB_NOWAIT);
	else
		punt(req);
}

const struct vhost_blk_ops vhost_blk_file_ops = {
	.open = file_open,
	.capacity = file_capacity,
	.topology = file_topology,
	.submit = file_submit,
};
