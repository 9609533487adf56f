// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests whose data is a list of ranges.  Stage 3: it is read once, and all of
 * it is checked before anything is done.  Stage 4: one after the other.
 */
#include <linux/slab.h>
#include <linux/uio.h>

#include "blk.h"

/**
 * vhost_blk_read_ranges - from guest memory to req->io.ranges
 * @req: its cmd is set; req->status is changed where a range is refused
 * @limits: of the backend
 * @iov: the list, cmd.len bytes of it
 * @nr: segments in @iov
 *
 * Return: 0 or an error; req->io.ranges is to be freed in either case.
 */
int vhost_blk_read_ranges(struct vhost_blk_req *req,
			  const struct vhost_blk_limits *limits,
			  const struct iovec *iov, unsigned int nr)
{
	struct virtio_blk_discard_write_zeroes *raw;
	struct vhost_blk_io *io = &req->io;
	u32 len = req->cmd.len;
	struct iov_iter iter;
	int ret = -ENOMEM;

	io->nr_ranges = len / sizeof(*raw);
	io->ranges = kmalloc_array(io->nr_ranges, sizeof(*io->ranges),
				   GFP_NOIO | __GFP_ACCOUNT | __GFP_NOWARN);
	raw = kmalloc(len, GFP_NOIO | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!io->ranges || !raw)
		goto free_raw;

	ret = -EFAULT;
	iov_iter_init(&iter, ITER_SOURCE, iov, nr, len);
	if (!copy_from_iter_full(raw, len, &iter))
		goto free_raw;
	req->status = vhost_blk_parse_ranges(raw, io->nr_ranges, io->op, limits,
					     io->ranges);
	ret = 0;
free_raw:
	kfree(raw);
	return ret;
}

/**
 * vhost_blk_do_ranges - do what is to be done to ranges, one after the other
 * @req: the request; sleeps
 * @do_range: to one of them, which isn't empty
 *
 * Return: 0, or the error that ended it.
 */
int vhost_blk_do_ranges(struct vhost_blk_req *req,
			int (*do_range)(const struct vhost_blk_disk *disk,
					enum vhost_blk_op op,
					const struct vhost_blk_range *range))
{
	struct vhost_blk_disk *disk = req->disk;
	struct vhost_blk_io *io = &req->io;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < io->nr_ranges && !ret; i++)
		if (io->ranges[i].len)
			ret = do_range(disk, io->op, &io->ranges[i]);
	if (!ret && io->sync && io->op == VHOST_BLK_OP_WRITE_ZEROES)
		ret = vhost_blk_disk_flush(disk);
	return ret;
}
