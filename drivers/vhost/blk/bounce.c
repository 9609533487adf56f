// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bounces data: copies it through pages of the queue if the backend cannot
 * access it in place.
 *
 * A queue has a fixed number of bounce pages, which bounds the memory that a
 * guest can make the host use.  Several requests can have pages at a time.  A
 * request moves its data window by window.  A large read or write gets at most
 * half of the pages, so that the data of one request can be copied while the
 * disk works for another.  A zone append is one I/O, so it gets as many pages as
 * it needs, even all of them.  A request that does not find enough free pages
 * stays on the ring with all chains behind it, so no request is overtaken
 * forever.
 *
 * Windows also divide writes at positions where the block layer can divide them
 * further, see vblk_window_bytes().
 *
 * The pages are allocated when the queue is started.  They are also the reserve
 * that reads and writes use when memory is short.
 */
#include <linux/blkdev.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "internal.h"
#include "stats.h"

/*
 * Additional alignment mask for appends.  The block layer cannot split an
 * append, so each segment must fit into one segment of the device.  Whole pages
 * do, and be->append_sectors limits their number.
 */
static u32 vblk_append_mask(enum vhost_blk_op op)
{
	return op == VHOST_BLK_OP_ZONE_APPEND ? ~PAGE_MASK : 0;
}

/*
 * Check whether data must not change while it is written, because the device
 * checks it against integrity data, or because mirrors or parity would differ.
 * Guests are free to change it.  A stacked device may get a member that
 * requires this at any time, so check per request; it costs two loads.
 */
static bool vblk_needs_stable(const struct vhost_blk_be *be,
			      enum vhost_blk_op op)
{
	if (op == VHOST_BLK_OP_READ)
		return false;
	return be->bdev ? bdev_stable_writes(be->bdev) : be->stable;
}

/**
 * vhost_blk_needs_bounce - check whether data must be bounced
 * @be: the backend
 * @cmd: the command; its operation moves data
 * @iov: the data
 * @nr: number of segments in @iov
 *
 * A write that does not start at a multiple of the write granularity of zones
 * is bounced, because only windows divide it correctly, see
 * vblk_window_bytes().  Data that rmw.c copies is not bounced.
 *
 * Return: true if the data must be bounced.
 */
bool vhost_blk_needs_bounce(const struct vhost_blk_be *be,
			    const struct vhost_blk_cmd *cmd,
			    const struct iovec *iov, unsigned int nr)
{
	enum vhost_blk_op op = cmd->op;
	u32 more = vblk_append_mask(op);
	unsigned long addr = 0, len = 0;

	if (!nr)
		return false;
	if (vblk_needs_stable(be, op))
		return true;
	if (op != VHOST_BLK_OP_READ)
		len = cmd->pos;
	while (nr--) {
		addr |= (unsigned long)iov[nr].iov_base;
		len |= iov[nr].iov_len;
	}
	if (!(addr & (be->addr_mask | more)) && !(len & (be->len_mask | more)))
		return false;
	return !vhost_blk_needs_rmw(be, cmd->pos, cmd->len);
}

/**
 * vhost_blk_bounce_free - free the bounce pages of a queue
 * @bounce: the pages, or NULL
 */
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
 * vhost_blk_bounce_alloc - allocate the bounce pages of a queue
 *
 * The pages are zeroed, because the driver of a disk may complete a read without
 * writing to them.  Later they contain only data of this queue.
 *
 * Return: the pages, or NULL if allocation fails.
 */
struct vhost_blk_bounce *vhost_blk_bounce_alloc(void)
{
	struct vhost_blk_bounce *b;
	unsigned int i;

	b = kvzalloc_obj(*b, VHOST_BLK_GFP);
	if (!b)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(b->bvec); i++) {
		b->bvec[i].bv_page = alloc_page(VHOST_BLK_GFP | __GFP_ZERO);
		if (!b->bvec[i].bv_page) {
			vhost_blk_bounce_free(b);
			return NULL;
		}
	}
	return b;
}

/*
 * Find @want contiguous free pages, or else the longest run of free pages.
 *
 * Return: the number of pages, 0 if none is free; @first is set if it is not 0.
 */
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

/* Number of pages that a window for @len bytes should have */
static unsigned int vblk_window_pages(enum vhost_blk_op op, u64 len)
{
	u64 pages = DIV_ROUND_UP(len, PAGE_SIZE);

	/* An append is one write and must fit into one window. */
	return min_t(u64, pages, op == VHOST_BLK_OP_ZONE_APPEND ?
				 VHOST_BLK_BOUNCE_PAGES : VHOST_BLK_WINDOW_MAX);
}

/*
 * Reserve pages for the first window of @len bytes.  Return: false if too few
 * are free, then none is reserved.
 */
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

/*
 * Allocate a window with room for @nr segments; use the spare one if no memory
 * is available.  Return: NULL if the spare one is in use, too.
 */
static struct vhost_blk_window *vblk_window_alloc(struct vhost_blk_bounce *b,
						  unsigned int nr)
{
	struct vhost_blk_window *w;

	w = kvmalloc(sizeof(*w) + nr * sizeof(*w->iov), VHOST_BLK_GFP_KV);
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
 * vhost_blk_bounce_reserve - reserve bounce pages for a request
 * @req: the request
 * @cmd: its command
 * @iov: its data; the array is copied
 * @nr: number of segments in @iov, at most VHOST_BLK_MAX_IOV
 *
 * Succeeds if no other request of the queue is in flight, so that one request
 * can always proceed.
 *
 * Context: The worker, with the mutex of the queue held.
 *
 * Return: true, then the caller must call vhost_blk_bounce_end(); or false if
 * the request must wait until others have ended.
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

/*
 * Copy @len bytes between guest memory and the pages of the window.  Return: 0
 * or -EFAULT.
 */
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

/*
 * Number of bytes of the next window, 0 if it has no room for a unit of the
 * backend.
 *
 * The block layer divides a write to a zoned device into multiples of the write
 * granularity, counted from the start of the write.  It does so at the end of a
 * zone and at the maximum size of a request.  If the write does not start at a
 * multiple of the granularity, there may be no multiple that is small enough.
 * Then Linux 6.1 has a BUG(), 6.12 does not divide the write, and 7.3 fails it.
 * So the first window of such a write ends at a multiple of the granularity, and
 * is smaller than that.  All other windows start at one.
 */
static u32 vblk_window_bytes(const struct vhost_blk_req *req)
{
	const struct vhost_blk_window *w = req->window;
	u64 total = iov_iter_count(&w->iter);
	u32 bytes = min_t(u64, total, w->nr * PAGE_SIZE);
	u32 unit = req->be->len_mask + 1;
	u32 offset = req->io.pos & req->be->len_mask;

	if (offset && req->io.op != VHOST_BLK_OP_READ)
		return min(bytes, unit - offset);
	return bytes < total ? round_down(bytes, unit) : bytes;
}

/*
 * Set req->io to the next window of the data, and copy the data of a write.
 *
 * Return: 0; -EFAULT; or -EIO if the window has no room for a unit of the
 * backend.
 */
static int vblk_fill_window(struct vhost_blk_req *req)
{
	struct vhost_blk_bounce *b = req->q->bounce;
	struct vhost_blk_window *w = req->window;
	struct vhost_blk_io *io = &req->io;
	u32 left = vblk_window_bytes(req);

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
 * @req: the request; io.op and io.pos are set, and it has pages
 *
 * Return: 0 or a negative errno.
 */
int vhost_blk_bounce_start(struct vhost_blk_req *req)
{
	vhost_blk_count(req->q, &req->q->counters->bounced, 1);
	return vblk_fill_window(req);
}

/*
 * Prepare the next window, which may have more or fewer pages than the last
 * one.  Return: 0 or a negative errno.
 */
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
 * vhost_blk_bounce_next - submit the next window of a bounced request
 * @req: the request, whose window is done; req->error is set on failure
 *
 * A failed window ends the request.  It has failed if req->error or, for an
 * error that depends on a zone, req->status is set.
 *
 * Context: The worker, with the mutex of the queue held.
 *
 * Return: true if another window was submitted, false if the request is done.
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
	req->error = vhost_blk_backend_refuses(req->be, io->op) ?
		     -EIO : vblk_next_window(req);
	if (req->error)
		return false;
	vhost_blk_backend_submit(req);
	return true;
}

/**
 * vhost_blk_bounce_end - return the pages of a request to its queue
 * @req: the request, after vhost_blk_bounce_reserve() has returned true
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
