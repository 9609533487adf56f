// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 3, for data whose segments the backend can't take where they lie: it
 * is copied through pages of the queue's own, a window at a time.
 *
 * Well-behaved guests hardly ever need it, so a queue has one set of pages
 * and one such request at a time; that bounds the memory that a guest can
 * make the host spend.  The pages are there from the start: they are also the
 * reserve of a queue, by which reads and writes go on while memory is short.
 */
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "blk.h"

#define WINDOW_BYTES	(VHOST_BLK_BOUNCE_PAGES * PAGE_SIZE)

/*
 * The block layer can't split an append, so each segment of it has to be one
 * of the device's own: whole pages are, and there are few enough of them
 * (disk->append_sectors).
 */
static u32 vhost_blk_append_mask(enum vhost_blk_op op)
{
	return op == VHOST_BLK_OP_ZONE_APPEND ? ~PAGE_MASK : 0;
}

/**
 * vhost_blk_must_bounce - is any segment out of line for the backend?
 * @disk: the backend
 * @op: the operation
 * @iov: the data
 * @nr: segments in @iov
 */
bool vhost_blk_must_bounce(const struct vhost_blk_disk *disk,
			   enum vhost_blk_op op, const struct iovec *iov,
			   unsigned int nr)
{
	u32 more = vhost_blk_append_mask(op);
	unsigned long addr = 0, len = 0;

	while (nr--) {
		addr |= (unsigned long)iov[nr].iov_base;
		len |= iov[nr].iov_len;
	}
	return (addr & (disk->addr_mask | more)) ||
	       (len & (disk->len_mask | more));
}

void vhost_blk_bounce_free(struct vhost_blk_bounce *bounce)
{
	unsigned int i;

	if (!bounce)
		return;
	for (i = 0; i < ARRAY_SIZE(bounce->pages); i++)
		if (bounce->pages[i])
			__free_page(bounce->pages[i]);
	kvfree(bounce);
}

/**
 * vhost_blk_bounce_alloc - have the pages of a queue
 *
 * Return: NULL where there is no memory.
 */
struct vhost_blk_bounce *vhost_blk_bounce_alloc(void)
{
	struct vhost_blk_bounce *b;
	unsigned int i;

	b = kvzalloc_obj(*b, VHOST_BLK_GFP);
	if (!b)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(b->pages); i++) {
		b->pages[i] = alloc_page(VHOST_BLK_GFP);
		if (!b->pages[i]) {
			vhost_blk_bounce_free(b);
			return NULL;
		}
	}
	return b;
}

/* Copy @len bytes between the guest and the pages, from their start. */
static int copy_window(struct vhost_blk_bounce *b, u32 len, bool to_guest)
{
	unsigned int i;

	for (i = 0; len; i++) {
		u32 bytes = min_t(u32, len, PAGE_SIZE);
		size_t copied;

		if (to_guest)
			copied = copy_page_to_iter(b->pages[i], 0, bytes,
						   &b->iter);
		else
			copied = copy_page_from_iter(b->pages[i], 0, bytes,
						     &b->iter);
		if (copied != bytes)
			return -EFAULT;
		len -= bytes;
	}
	return 0;
}

/* Make the next window what req->io is to do. */
static int fill_window(struct vhost_blk_req *req)
{
	struct vhost_blk_bounce *b = req->q->bounce;
	struct vhost_blk_io *io = &req->io;
	u32 left = min_t(u64, iov_iter_count(&b->iter), WINDOW_BYTES);

	io->len = left;
	io->bvec = b->bvec;
	for (io->nr_bvec = 0; left; io->nr_bvec++) {
		struct bio_vec *bv = &b->bvec[io->nr_bvec];

		bv->bv_page = b->pages[io->nr_bvec];
		bv->bv_offset = 0;
		bv->bv_len = min_t(u32, left, PAGE_SIZE);
		left -= bv->bv_len;
	}
	return io->op == VHOST_BLK_OP_READ ? 0 : copy_window(b, io->len, false);
}

/**
 * vhost_blk_bounce_start - prepare the first window of a request
 * @req: its io.op and io.pos are set
 * @iov: its data, copied
 * @nr: segments in @iov, at most VHOST_BLK_MAX_IOV
 *
 * The caller has seen to it that no other request of the queue bounces.
 * Return: 0 or an error; vhost_blk_bounce_end() is owed in either case.
 */
int vhost_blk_bounce_start(struct vhost_blk_req *req, const struct iovec *iov,
			   unsigned int nr)
{
	bool read = req->io.op == VHOST_BLK_OP_READ;
	struct vhost_blk_bounce *b = req->q->bounce;

	b->req = req;
	memcpy(b->iov, iov, nr * sizeof(*iov));
	iov_iter_init(&b->iter, read ? ITER_DEST : ITER_SOURCE, b->iov, nr,
		      req->cmd.len);
	return fill_window(req);
}

/**
 * vhost_blk_bounce_next - go on with a request whose window is done
 * @req: the request, in the worker, with the mutex of its queue held; its
 *	error is set where something goes wrong here
 *
 * Return: true where a further window has been submitted, false where the
 * request is complete.
 */
bool vhost_blk_bounce_next(struct vhost_blk_req *req)
{
	struct vhost_blk_bounce *b = req->q->bounce;
	struct vhost_blk_io *io = &req->io;

	if (!io->nr_bvec)
		return false;
	if (!req->error && io->op == VHOST_BLK_OP_READ)
		req->error = copy_window(b, io->len, true);
	if (!req->error && iov_iter_count(&b->iter)) {
		io->pos += io->len;
		req->error = fill_window(req);
		if (!req->error) {
			req->disk->ops->submit(req);
			return true;
		}
	}
	return false;
}

/**
 * vhost_blk_bounce_end - give the pages back to the queue
 * @req: a request for which vhost_blk_bounce_start() was called
 */
void vhost_blk_bounce_end(struct vhost_blk_req *req)
{
	struct vhost_blk_bounce *b = req->q->bounce;

	req->io.bvec = NULL;
	req->io.nr_bvec = 0;
	if (b->req == req)
		b->req = NULL;
}
