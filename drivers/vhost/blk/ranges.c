// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 3, for requests whose data is a list of ranges: the list is read once,
 * and all of it is checked before anything is done.
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
