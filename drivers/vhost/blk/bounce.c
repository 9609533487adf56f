// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data whose segments the backend can't access in place is copied through pages
 * of the queue, a window at a time.
 *
 * A queue has a fixed number of such pages, and as many requests at a time as
 * find some; that bounds the memory that a guest can make the host spend.  A
 * large request gets half of them at most, so that copying for one goes on
 * while the disk is at work for another.  A request that finds too few stays
 * on the ring, and so does what is behind it: no request is overtaken forever.
 *
 * The pages are there from the start: they are also the reserve of a queue, by
 * which reads and writes go on while memory is short.
 */
#include <linux/blkdev.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "internal.h"
#include "trace.h"

/*
 * The block layer can't split an append, so each segment of it has to be one
 * of the device's own: whole pages are, and there are few enough of them
 * (disk->append_sectors).
 */
static u32 vblk_append_mask(enum vhost_blk_op op)
{
	return op == VHOST_BLK_OP_ZONE_APPEND ? ~PAGE_MASK : 0;
}

/*
 * Must data not change while it is being written?  The disk checks it against
 * integrity data, or a mirror or parity would differ, but guests are free to
 * change it.  A stacked device may get a member that needs this at any time, so
 * ask per request; it costs two loads.
 */
static bool vblk_needs_stable(const struct vhost_blk_be *be,
			      enum vhost_blk_op op)
{
	if (op == VHOST_BLK_OP_READ)
		return false;
	return be->bdev ? bdev_stable_writes(be->bdev) : be->stable;
}

/**
 * vhost_blk_needs_bounce - can the backend not access the data in place?
 * @be: the backend
 * @op: the operation
 * @iov: the data
 * @nr: segments in @iov
 */
bool vhost_blk_needs_bounce(const struct vhost_blk_be *be,
			    enum vhost_blk_op op, const struct iovec *iov,
			    unsigned int nr)
{
	u32 more = vblk_append_mask(op);
	unsigned long addr = 0, len = 0;

	if (nr && vblk_needs_stable(be, op))
		return true;
	while (nr--) {
		addr |= (unsigned long)iov[nr].iov_base;
		len |= iov[nr].iov_len;
	}
	return (addr & (be->addr_mask | more)) ||
	       (len & (be->len_mask | more));
}

void vhost_blk_bounce_free(struct vhost_blk_bounce *bounce)
{
	unsigned int i;

	if (!bounce)
		return;
	for (i = 0; i < ARRAY_SIZE(bounce->bvec); i++)
		if (bounce->bvec[i].bv_page)
			__free_page(bounce->bvec[i].bv_page);
	kvfree(bounce);
}

/**
 * vhost_blk_bounce_alloc - allocate the pages of a queue
 *
 * Return: NULL if there is no memory.
 */
struct vhost_blk_bounce *vhost_blk_bounce_alloc(void)
{
	struct vhost_blk_bounce *b;
	unsigned int i;

	b = kvzalloc_obj(*b, VHOST_BLK_GFP);
	if (!b)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(b->bvec); i++) {
		b->bvec[i].bv_page = alloc_page(VHOST_BLK_GFP);
		if (!b->bvec[i].bv_page) {
			vhost_blk_bounce_free(b);
			return NULL;
		}
	}
	return b;
}

/* Find @want free pages in a row, or else the longest row that there is. */
static unsigned int vblk_find_pages(const struct vhost_blk_bounce *b,
				    unsigned int want, unsigned int *first)
{
	unsigned int start, end, best = 0;

	for_each_clear_bitrange(start, end, b->in_use, VHOST_BLK_BOUNCE_PAGES) {
		if (end - start <= best)
			continue;
		best = end - start;
		*first = start;
		if (best >= want)
			return want;
	}
	return best;
}

/* The pages that a window for @len bytes should have. */
static unsigned int vblk_window_pages(enum vhost_blk_op op, u64 len)
{
	u64 pages = DIV_ROUND_UP(len, PAGE_SIZE);

	/* An append is one write, so it can't go on in a second window. */
	return min_t(u64, pages, op == VHOST_BLK_OP_ZONE_APPEND ?
				 VHOST_BLK_BOUNCE_PAGES : VHOST_BLK_WINDOW_MAX);
}

/* Take pages for @len bytes.  Return: false, with none, if there are too few. */
static bool vblk_reserve_pages(struct vhost_blk_bounce *b,
			       struct vhost_blk_window *w,
			       enum vhost_blk_op op, u64 len)
{
	unsigned int want = vblk_window_pages(op, len);
	unsigned int least = op == VHOST_BLK_OP_ZONE_APPEND ?
			     want : min(want, VHOST_BLK_WINDOW_MIN);

	w->nr = vblk_find_pages(b, want, &w->first);
	if (w->nr < least)
		return false;
	bitmap_set(b->in_use, w->first, w->nr);
	return true;
}

static struct vhost_blk_window *vblk_window_alloc(struct vhost_blk_bounce *b,
						  unsigned int nr)
{
	struct vhost_blk_window *w;

	w = kvmalloc(sizeof(*w) + nr * sizeof(*w->iov),
		     GFP_NOIO | __GFP_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);
	if (w) {
		w->iov = (struct iovec *)(w + 1);
	} else if (!b->spare_in_use) {
		b->spare_in_use = true;
		w = &b->spare;
		w->iov = b->spare_iov;
	}
	return w;
}

static void vblk_window_free(struct vhost_blk_bounce *b,
			     struct vhost_blk_window *w)
{
	if (w == &b->spare)
		b->spare_in_use = false;
	else
		kvfree(w);
}

/**
 * vhost_blk_bounce_reserve - take pages for a request that has to be bounced
 * @req: the request
 * @cmd: what it asks for
 * @iov: its data, copied
 * @nr: segments in @iov, at most VHOST_BLK_MAX_IOV
 *
 * Succeeds if nothing else of the queue is in flight, so that one request can
 * always go on.
 *
 * Return: true, with vhost_blk_bounce_end() owed, or false if the request has
 * to wait until others are done.
 */
bool vhost_blk_bounce_reserve(struct vhost_blk_req *req,
			      const struct vhost_blk_cmd *cmd,
			      const struct iovec *iov, unsigned int nr)
{
	bool read = cmd->op == VHOST_BLK_OP_READ;
	struct vhost_blk_bounce *b = req->q->bounce;
	struct vhost_blk_window *w;

	w = vblk_window_alloc(b, nr);
	if (!w)
		return false;
	if (!vblk_reserve_pages(b, w, cmd->op, cmd->len)) {
		vblk_window_free(b, w);
		return false;
	}
	memcpy(w->iov, iov, nr * sizeof(*iov));
	iov_iter_init(&w->iter, read ? ITER_DEST : ITER_SOURCE, w->iov, nr,
		      cmd->len);
	req->window = w;
	return true;
}

/* Copy @len bytes between the guest and the pages of a window. */
static int vblk_copy_window(struct vhost_blk_req *req, u32 len, bool to_guest)
{
	struct bio_vec *bv = &req->q->bounce->bvec[req->window->first];
	struct iov_iter *iter = &req->window->iter;

	for (; len; bv++) {
		u32 bytes = min_t(u32, len, PAGE_SIZE);
		size_t copied;

		if (to_guest)
			copied = copy_page_to_iter(bv->bv_page, 0, bytes, iter);
		else
			copied = copy_page_from_iter(bv->bv_page, 0, bytes,
						     iter);
		if (copied != bytes)
			return -EFAULT;
		len -= bytes;
	}
	return 0;
}

/* Make the next window what req->io is to do. */
static int vblk_fill_window(struct vhost_blk_req *req)
{
	struct vhost_blk_bounce *b = req->q->bounce;
	struct vhost_blk_window *w = req->window;
	struct vhost_blk_io *io = &req->io;
	u64 total = iov_iter_count(&w->iter);
	u32 left = min_t(u64, total, w->nr * PAGE_SIZE);

	if (left < total)
		left = round_down(left, req->be->block_size);
	if (!left)
		return -EIO;
	io->len = left;
	io->bvec = &b->bvec[w->first];
	for (io->nr_bvec = 0; left; io->nr_bvec++) {
		struct bio_vec *bv = &io->bvec[io->nr_bvec];

		bv->bv_offset = 0;
		bv->bv_len = min_t(u32, left, PAGE_SIZE);
		left -= bv->bv_len;
	}
	return io->op == VHOST_BLK_OP_READ ? 0 :
					     vblk_copy_window(req, io->len, false);
}

/**
 * vhost_blk_bounce_start - prepare the first window of a request
 * @req: its io.op and io.pos are set, and it has pages
 *
 * Return: 0 or an error.
 */
int vhost_blk_bounce_start(struct vhost_blk_req *req)
{
	return vblk_fill_window(req);
}

/* The next window may have more pages, or fewer, than the last one. */
static int vblk_next_window(struct vhost_blk_req *req)
{
	struct vhost_blk_bounce *b = req->q->bounce;
	struct vhost_blk_window *w = req->window;
	u64 left = iov_iter_count(&w->iter);
	unsigned int want = vblk_window_pages(req->io.op, left);

	bitmap_clear(b->in_use, w->first, w->nr);
	w->nr = vblk_find_pages(b, want, &w->first);
	bitmap_set(b->in_use, w->first, w->nr);
	return vblk_fill_window(req);
}

/**
 * vhost_blk_bounce_next - go on with a request whose window is done
 * @req: the request, in the worker, with the mutex of its queue held; its
 *	error is set if something goes wrong here
 *
 * A failed window ends the request, whether it has an error or (of a zone) a
 * status.
 *
 * Return: true if a further window has been submitted, false if the request
 * is complete.
 */
bool vhost_blk_bounce_next(struct vhost_blk_req *req)
{
	struct vhost_blk_io *io = &req->io;

	if (!io->nr_bvec || req->error || req->status != VIRTIO_BLK_S_OK)
		return false;
	if (io->op == VHOST_BLK_OP_READ)
		req->error = vblk_copy_window(req, io->len, true);
	if (req->error || !iov_iter_count(&req->window->iter))
		return false;
	io->pos += io->len;
	req->error = vhost_blk_backend_outgrown(req->be) ?
		     -EIO : vblk_next_window(req);
	if (req->error)
		return false;
	trace_vhost_blk_submit(req->q, req->head, io->pos, io->len, io->nr_bvec,
			       true);
	req->be->ops->submit(req);
	return true;
}

/**
 * vhost_blk_bounce_end - give the pages back to the queue
 * @req: a request for which vhost_blk_bounce_reserve() was true
 */
void vhost_blk_bounce_end(struct vhost_blk_req *req)
{
	struct vhost_blk_bounce *b = req->q->bounce;
	struct vhost_blk_window *w = req->window;

	bitmap_clear(b->in_use, w->first, w->nr);
	vblk_window_free(b, w);
	req->window = NULL;
	req->io.bvec = NULL;
	req->io.nr_bvec = 0;
}
