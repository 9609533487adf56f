// SPDX-License-Identifier: GPL-2.0-only
/*
 * From guest memory to kernel objects: pages of data become bio_vecs by pinning,
 * the list of ranges of a discard, write zeroes or secure erase is read once and
 * all of it is checked before anything is done.  Data that the backend can't
 * take where it lies goes through bounce.c instead.
 */
#include <linux/bio.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "internal.h"

static unsigned int vblk_pages_of(unsigned long addr, size_t len)
{
	return DIV_ROUND_UP(offset_in_page(addr) + len, PAGE_SIZE);
}

/* Does @page continue @bv, so that one bvec and one unpin serve for both? */
static bool vblk_contiguous(const struct bio_vec *bv, struct page *page)
{
	unsigned int end = bv->bv_offset + bv->bv_len;

	return PAGE_ALIGNED(end) &&
	       page_to_pfn(bv->bv_page) + end / PAGE_SIZE ==
	       page_to_pfn(page) &&
	       page_folio(bv->bv_page) == page_folio(page);
}

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
 * A small page counts each pin as 1024 references, of 2^31.  A guest could give
 * the same one to millions of segments, of all its disks that hang.
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
 * Each bio but the last one gets BIO_MAX_VECS vectors, or a few less if a block
 * is larger than a page.
 */
static unsigned int vblk_extra_bios(unsigned int nr_pages)
{
	return nr_pages > BIO_MAX_VECS ? nr_pages / (BIO_MAX_VECS / 2) : 0;
}

/**
 * vhost_blk_map_alloc - make room for the pages of a request
 * @req: a request that is about to be in flight
 * @iov: its data
 * @nr: segments in @iov
 *
 * Return: true, with vhost_blk_unmap() owed, or false where memory is short.
 * Not hard to please, since the data may be bounced instead.
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
	req->io.bvec = kvmalloc(size, GFP_NOIO | __GFP_ACCOUNT |
				      __GFP_NORETRY | __GFP_NOWARN);
	req->more_bios = (struct bio *)(req->io.bvec + nr_pages);
	return req->io.bvec;
}

/**
 * vhost_blk_map - pin the data of a request
 * @req: its io.op and io.len are set, and there is room for its pages
 * @iov: the data, io.len bytes of it
 * @nr: segments in @iov
 *
 * Return: 0, or an error, with nothing left pinned.
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
 * vhost_blk_unmap - undo vhost_blk_map()
 * @req: the request; may have nothing mapped
 *
 * Sleeps.  Pages that were read into are marked dirty.
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
 * Zeroes that may have to be written count against the bytes that a queue may
 * have in flight, as if the guest had written them.  They are known only once
 * the list has been read, so the last request that was admitted may exceed
 * VHOST_BLK_MAX_INFLIGHT_BYTES.
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
 * vhost_blk_free_ranges - undo vhost_blk_read_ranges()
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
 * vhost_blk_read_ranges - from guest memory to req->io.ranges
 * @req: its cmd is set; req->status is changed where a range is refused
 * @limits: of the backend
 * @iov: the list, cmd.len bytes of it
 * @nr: segments in @iov
 *
 * Return: 0 or an error; vhost_blk_free_ranges() is owed in either case.
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
				   GFP_NOIO | __GFP_ACCOUNT | __GFP_NOWARN);
	raw = kmalloc(len, GFP_NOIO | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!io->ranges || !raw)
		goto free_raw;

	ret = -EFAULT;
	iov_iter_init(&iter, ITER_SOURCE, iov, nr, len);
	if (!copy_from_iter_full(raw, len, &iter))
		goto free_raw;
	range_limits.range_sectors = vhost_blk_backend_max_range(req->be, io->op);
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
 * A step ends at a multiple of its size, counted from the start of the disk that
 * a partition is on, so that granules of the backend stay whole.  A discard is a
 * hint, and needn't be done to the end.
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

	for (left = range->len; left && !ret; left -= part.len) {
		if (vhost_blk_should_abort_step(req))
			return req->io.op == VHOST_BLK_OP_DISCARD ?
			       0 : -ECANCELED;
		div64_u64_rem(part.pos + before, step, &offset);
		part.len = min(left, step - offset);
		ret = do_range(req, &part);
		part.pos += part.len;
	}
	return ret;
}

/**
 * vhost_blk_do_ranges - do what is to be done to ranges, one after the other
 * @req: the request; sleeps
 * @do_range: does it to a range, which isn't empty
 * @step: maximum bytes for @do_range; before each step it is checked whether
 *	anybody still waits for the request
 *
 * Return: 0, or the error that ended it; -ECANCELED if it was given up.
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
