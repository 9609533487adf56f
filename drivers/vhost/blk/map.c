// SPDX-License-Identifier: GPL-2.0-only
/*
 * Turns guest memory into kernel objects: pins the pages of data into a vector,
 * and reads the ranges of discard, write zeroes and secure erase.  The ranges
 * are read once, and all of them are checked before any is executed.
 *
 * Data that the backend cannot access in place goes through bounce.c instead.
 */
#include <linux/bio.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "internal.h"

/* Number of pages that @len bytes at @addr touch */
static unsigned int vblk_pages_of(unsigned long addr, size_t len)
{
	return DIV_ROUND_UP(offset_in_page(addr) + len, PAGE_SIZE);
}

/*
 * Check whether @page follows @bv in one folio, so that one element and one
 * unpin are enough for both.
 */
static bool vblk_contiguous(const struct bio_vec *bv, struct page *page)
{
	unsigned int end = bv->bv_offset + bv->bv_len;

	return PAGE_ALIGNED(end) &&
	       page_to_pfn(bv->bv_page) + end / PAGE_SIZE ==
	       page_to_pfn(page) &&
	       page_folio(bv->bv_page) == page_folio(page);
}

/* Append pinned pages to the vector of the request. */
static void vblk_append_pages(struct vhost_blk_io *io, struct page **pages,
			      unsigned int nr, unsigned int offset, size_t len)
{
	struct bio_vec *bv;
	unsigned int i, bytes;

	for (i = 0; i < nr; i++, len -= bytes, offset = 0) {
		bytes = min_t(size_t, len, PAGE_SIZE - offset);
		bv = io->nr_bvec ? &io->bvec[io->nr_bvec - 1] : NULL;
		if (bv && !offset && vblk_contiguous(bv, pages[i])) {
			bv->bv_len += bytes;
			continue;
		}
		io->bvec[io->nr_bvec++] = (struct bio_vec){
			.bv_page = pages[i],
			.bv_offset = offset,
			.bv_len = bytes,
		};
	}
}

/*
 * Maximum reference count of a pinned page.  Each pin of a small page counts as
 * 1024 references, and the counter overflows at 2^31.  A guest could otherwise
 * use one page in millions of segments, on disks whose backends hang.  Data in
 * such a page is bounced, because another guest may have the page too.
 */
#define VBLK_MAX_REFS	((int)BIT(30))

static bool vblk_pinned_too_often(struct page **pages, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (unlikely(page_count(pages[i]) > VBLK_MAX_REFS))
			return true;
	return false;
}

/*
 * Pin the pages of a segment.  Return: 0, or a negative errno with some pages
 * of it pinned, which vhost_blk_unmap() unpins.
 */
static int vblk_pin_segment(struct vhost_blk_req *req, const struct iovec *iov)
{
	unsigned int gup = req->io.op == VHOST_BLK_OP_READ ? FOLL_WRITE : 0;
	unsigned long addr = (unsigned long)iov->iov_base;
	struct page **pages = req->q->pages;
	size_t left = iov->iov_len;

	while (left) {
		unsigned int offset = offset_in_page(addr);
		size_t len;
		int nr;

		nr = min_t(unsigned int, vblk_pages_of(addr, left),
			   VHOST_BLK_PIN_BATCH);
		nr = pin_user_pages_fast(addr & PAGE_MASK, nr, gup, pages);
		if (nr <= 0)
			return nr ? nr : -EFAULT;
		len = min_t(size_t, left, nr * PAGE_SIZE - offset);
		vblk_append_pages(&req->io, pages, nr, offset, len);
		if (vblk_pinned_too_often(pages, nr))
			return -EBUSY;
		addr += len;
		left -= len;
	}
	return 0;
}

/*
 * Number of bios that a request needs in addition to the first.  Each except
 * the last gets BIO_MAX_VECS vectors, or a few less if a block is larger than a
 * page.
 */
static unsigned int vblk_extra_bios(unsigned int nr_pages)
{
	return nr_pages > BIO_MAX_VECS ? nr_pages / (BIO_MAX_VECS / 2) : 0;
}

/**
 * vhost_blk_map_alloc - allocate the vector for the data of a request
 * @req: the request, about to be in flight
 * @iov: its data
 * @nr: number of segments in @iov
 *
 * Allocates without retries, because the caller can bounce the data instead.
 *
 * Return: true, then the caller must call vhost_blk_unmap(); or false if no
 * memory is available.
 */
bool vhost_blk_map_alloc(struct vhost_blk_req *req, const struct iovec *iov,
			 unsigned int nr)
{
	unsigned int i, nr_pages = 0;
	size_t size;

	for (i = 0; i < nr; i++)
		nr_pages += vblk_pages_of((unsigned long)iov[i].iov_base,
					  iov[i].iov_len);
	req->io.bvec = req->inline_bvec;
	if (nr_pages <= ARRAY_SIZE(req->inline_bvec))
		return true;
	size = array_size(nr_pages, sizeof(*req->io.bvec));
	size = size_add(size, array_size(vblk_extra_bios(nr_pages),
					 sizeof(*req->more_bios)));
	req->io.bvec = kvmalloc(size, VHOST_BLK_GFP_KV);
	req->more_bios = (struct bio *)(req->io.bvec + nr_pages);
	return req->io.bvec;
}

/**
 * vhost_blk_map - pin the data of a request
 * @req: the request; io.op and io.len are set, and the vector is allocated
 * @iov: its data, io.len bytes
 * @nr: number of segments in @iov
 *
 * Context: The worker; sleeps.
 *
 * Return: 0, or a negative errno with nothing pinned and no vector: -EBUSY if a
 * page is pinned too often, then the data can be bounced.
 */
int vhost_blk_map(struct vhost_blk_req *req, const struct iovec *iov,
		  unsigned int nr)
{
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++) {
		ret = vblk_pin_segment(req, &iov[i]);
		if (ret) {
			vhost_blk_unmap(req);
			return ret;
		}
	}
	return 0;
}

/**
 * vhost_blk_unmap - unpin the data of a request and free its vector
 * @req: the request; may have nothing pinned
 *
 * Marks pages dirty that were read into.
 *
 * Context: Sleeps.
 */
void vhost_blk_unmap(struct vhost_blk_req *req)
{
	struct vhost_blk_io *io = &req->io;
	bool dirty = io->op == VHOST_BLK_OP_READ;
	unsigned int i;

	for (i = 0; i < io->nr_bvec; i++)
		unpin_user_page_range_dirty_lock(io->bvec[i].bv_page,
						 vblk_pages_of(io->bvec[i].bv_offset,
							       io->bvec[i].bv_len),
						 dirty);
	if (io->bvec != req->inline_bvec)
		kvfree(io->bvec);
	io->bvec = NULL;
	io->nr_bvec = 0;
}

/*
 * Count zeroes that may have to be written as bytes in flight, as if the guest
 * had written them.  Their number is known only after the ranges were read, so
 * the last request that was admitted may exceed VHOST_BLK_MAX_INFLIGHT_BYTES.
 */
static void vblk_charge_zeroes(struct vhost_blk_req *req)
{
	struct vhost_blk_io *io = &req->io;
	unsigned int i;

	if (io->op != VHOST_BLK_OP_WRITE_ZEROES ||
	    !vhost_blk_backend_writes_zeroes(req->be))
		return;
	for (i = 0; i < io->nr_ranges; i++)
		req->zeroes += io->ranges[i].len;
	req->q->inflight_bytes += req->zeroes;
}

/**
 * vhost_blk_free_ranges - free the ranges of a request
 * @req: the request, the mutex of its queue held
 */
void vhost_blk_free_ranges(struct vhost_blk_req *req)
{
	req->q->inflight_bytes -= req->zeroes;
	req->zeroes = 0;
	kfree(req->io.ranges);
	req->io.ranges = NULL;
}

/**
 * vhost_blk_read_ranges - read and check the ranges of a request
 * @req: the request; its cmd is set.  Sets req->io.ranges, and req->status if a
 *	range is invalid.
 * @limits: current limits of the backend
 * @iov: the array of ranges in guest memory, cmd.len bytes
 * @nr: number of segments in @iov
 *
 * Context: The worker, with the mutex of the queue held.
 *
 * Return: 0 or a negative errno.  The caller must call vhost_blk_free_ranges()
 * in either case.
 */
int vhost_blk_read_ranges(struct vhost_blk_req *req,
			  const struct vhost_blk_limits *limits,
			  const struct iovec *iov, unsigned int nr)
{
	struct vhost_blk_limits range_limits = *limits;
	struct virtio_blk_discard_write_zeroes *raw;
	struct vhost_blk_io *io = &req->io;
	u32 len = req->cmd.len;
	struct iov_iter iter;
	int ret = -ENOMEM;

	req->zeroes = 0;
	io->nr_ranges = len / sizeof(*raw);
	io->ranges = kmalloc_array(io->nr_ranges, sizeof(*io->ranges),
				   VHOST_BLK_GFP_REQ);
	raw = kmalloc(len, VHOST_BLK_GFP_REQ);
	if (!io->ranges || !raw)
		goto free_raw;

	ret = -EFAULT;
	iov_iter_init(&iter, ITER_SOURCE, iov, nr, len);
	if (!copy_from_iter_full(raw, len, &iter))
		goto free_raw;
	range_limits.range_sectors = vhost_blk_backend_max_range(req->be, io->op);
	/* Parts of the backend's blocks can be zeroed, but not erased. */
	if (io->op == VHOST_BLK_OP_SECURE_ERASE)
		range_limits.block_sectors =
			max_t(u32, limits->block_sectors,
			      req->be->block_size / SECTOR_SIZE);
	req->status = vhost_blk_parse_ranges(raw, io->nr_ranges, io->op,
					     &range_limits, io->ranges);
	if (req->status == VIRTIO_BLK_S_OK)
		vblk_charge_zeroes(req);
	ret = 0;
free_raw:
	kfree(raw);
	return ret;
}

/*
 * Execute a range in steps.  A step ends at a multiple of the step size,
 * counted from the start of the disk that a partition is on, so that granules
 * of the backend are not divided.  A discard that gives up succeeds, because it
 * is a hint.
 */
static int vblk_do_range(struct vhost_blk_req *req,
			 const struct vhost_blk_range *range,
			 int (*do_range)(struct vhost_blk_req *req,
					 const struct vhost_blk_range *range),
			 u64 step)
{
	u64 before = (u64)req->be->range_offset * SECTOR_SIZE;
	struct vhost_blk_range part = *range;
	u64 offset, left;
	int ret = 0;

	if (req->be->no_unmap) {
		if (req->io.op == VHOST_BLK_OP_DISCARD)
			return 0;
		part.unmap = false;
	}
	for (left = range->len; left && !ret; left -= part.len) {
		if (vhost_blk_should_abort_step(req))
			return req->io.op == VHOST_BLK_OP_DISCARD ?
			       0 : -ECANCELED;
		div64_u64_rem(part.pos + before, step, &offset);
		part.len = min(left, step - offset);
		ret = req->be->rmw ? vhost_blk_rmw_range(req, &part, do_range) :
				     do_range(req, &part);
		part.pos += part.len;
	}
	return ret;
}

/**
 * vhost_blk_do_ranges - execute the ranges of a request one after the other
 * @req: the request
 * @do_range: executes a range that is not empty.  Return: 0 or a negative
 *	errno.
 * @step: maximum bytes that @do_range gets at a time
 *
 * Before each step, vhost_blk_should_abort_step() may end the request.  Zeroes
 * are flushed at the end if they must be stable (5.2.6.2).
 *
 * Context: Workqueue; sleeps.
 *
 * Return: 0, -ECANCELED if the request gave up, or the first error.
 */
int vhost_blk_do_ranges(struct vhost_blk_req *req,
			int (*do_range)(struct vhost_blk_req *req,
					const struct vhost_blk_range *range),
			u64 step)
{
	struct vhost_blk_io *io = &req->io;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < io->nr_ranges && !ret; i++)
		ret = vblk_do_range(req, &io->ranges[i], do_range, step);
	if (!ret && io->fua && io->op == VHOST_BLK_OP_WRITE_ZEROES)
		ret = vhost_blk_backend_flush(req->be);
	return ret;
}
