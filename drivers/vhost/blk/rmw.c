// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulates logical blocks that are smaller than those of the backend, for a
 * guest that was installed with them: a layer between the requests and the
 * backend, which only backends with such a guest have.
 *
 * Whole blocks of the backend go to it as they are.  For other data a thread of
 * the workqueue reads the blocks that a write changes in part, puts the data
 * between them and writes the result; or it reads whole blocks and copies the
 * part that was asked for.  The data is copied through memory of the thread.
 *
 * Each write locks its blocks (lock.c) from its submission until its I/O is
 * done, so that no other request changes a block between the read and the write.
 * A request that has to wait for a lock is in flight like any other.  The
 * workqueue continues with it, so the worker does not wait.
 *
 * Discard, zeroes and secure erase lock everything from their first to their
 * last range.  A discard leaves parts of blocks alone, because it is a hint.
 * Parts of blocks are zeroed as a write would do it.  They cannot be erased.
 */
#include <linux/bvec.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "internal.h"

/*
 * Bytes of the whole blocks that a thread reads or writes at a time, a multiple
 * of every block size
 */
#define VBLK_CHUNK		(128U * 1024)

#define VBLK_CHUNK_PAGES	DIV_ROUND_UP(VBLK_CHUNK, PAGE_SIZE)
#define VBLK_BLOCK_PAGES	DIV_ROUND_UP(VHOST_BLK_MAX_BLOCK_SIZE, PAGE_SIZE)

/**
 * struct vblk_buf - memory for the blocks of one request
 * @page: pages of a chunk, and then those of the last block of the request if
 *	that is not in the first chunk
 * @vec: vector for I/O to some of them
 */
struct vblk_buf {
	struct page *page[VBLK_CHUNK_PAGES + VBLK_BLOCK_PAGES];
	struct bio_vec vec[VBLK_CHUNK_PAGES];
};

/* Offset of the last block in struct vblk_buf */
#define VBLK_LAST_BLOCK		(VBLK_CHUNK_PAGES * PAGE_SIZE)

/**
 * struct vhost_blk_rmw - state of a backend with blocks larger than the guest's
 * @lower: operations of the backend itself
 * @locks: locks of its blocks
 * @reserve_mutex: held by the thread that uses @reserve
 * @reserve: memory for one request, for use if no other is available
 */
struct vhost_blk_rmw {
	const struct vhost_blk_backend_ops *lower;
	struct vhost_blk_locks locks;
	struct mutex reserve_mutex;	/* one user of reserve at a time */
	struct vblk_buf *reserve;
};

static void vblk_buf_free(struct vblk_buf *buf)
{
	unsigned int i;

	if (!buf)
		return;
	for (i = 0; i < ARRAY_SIZE(buf->page); i++)
		if (buf->page[i])
			__free_page(buf->page[i]);
	kfree(buf);
}

/* Allocate @nr pages from index @first on.  Return: false if that fails. */
static bool vblk_buf_fill(struct vblk_buf *buf, unsigned int first,
			  unsigned int nr, gfp_t gfp)
{
	for (; nr--; first++) {
		/* The driver of a disk may complete a read without data. */
		buf->page[first] = alloc_page(gfp | __GFP_ZERO);
		if (!buf->page[first])
			return false;
	}
	return true;
}

/*
 * Allocate memory for @span bytes of whole blocks of @block bytes.  Return: NULL
 * if that fails.
 */
static struct vblk_buf *vblk_buf_alloc(u64 span, u32 block, gfp_t gfp)
{
	struct vblk_buf *buf = kzalloc_obj(*buf, gfp);
	u32 chunk = min_t(u64, span, VBLK_CHUNK);
	u32 last = span > VBLK_CHUNK ? block : 0;

	if (buf && vblk_buf_fill(buf, 0, DIV_ROUND_UP(chunk, PAGE_SIZE), gfp) &&
	    vblk_buf_fill(buf, VBLK_CHUNK_PAGES, DIV_ROUND_UP(last, PAGE_SIZE),
			  gfp))
		return buf;
	vblk_buf_free(buf);
	return NULL;
}

/*
 * Get memory for @span bytes of whole blocks.  If memory is short, waits until
 * no other request uses the reserve.  Those wait for nothing but the disk.
 */
static struct vblk_buf *vblk_buf_get(const struct vhost_blk_be *be, u64 span)
{
	struct vblk_buf *buf = vblk_buf_alloc(span, be->block_size,
					      VHOST_BLK_GFP_REQ);

	if (buf)
		return buf;
	/*
	 * The disk may hang.  An interruptible sleep is not reported as a hung
	 * task, and signals do not interrupt a kernel thread.
	 */
	while (mutex_lock_interruptible(&be->rmw->reserve_mutex))
		;
	return be->rmw->reserve;
}

static void vblk_buf_put(const struct vhost_blk_be *be, struct vblk_buf *buf)
{
	if (buf == be->rmw->reserve)
		mutex_unlock(&be->rmw->reserve_mutex);
	else
		vblk_buf_free(buf);
}

/* Bytes from @offset on, at most @len, that are in one page of the buffer */
static u32 vblk_buf_part(u32 offset, u32 len)
{
	return min_t(u32, len, PAGE_SIZE - offset_in_page(offset));
}

/*
 * Read or write @len bytes of the buffer, which are whole blocks.  Return: 0 or
 * a negative errno.
 */
static int vblk_buf_io(struct vhost_blk_req *req, enum vhost_blk_op op,
		       struct vblk_buf *buf, u32 offset, u64 pos, u32 len)
{
	unsigned int nr = 0;
	u32 left = len, part;

	/*
	 * Another VMM may use the disk once the queue is dead: write nothing
	 * that was read before.
	 */
	if (vhost_blk_dead(req->q))
		return -ECANCELED;
	for (; left; left -= part, offset += part) {
		part = vblk_buf_part(offset, left);
		bvec_set_page(&buf->vec[nr++], buf->page[offset / PAGE_SIZE],
			      part, offset_in_page(offset));
	}
	return req->be->rmw->lower->rw(req, op, pos, buf->vec, nr, len);
}

/*
 * Copy @len bytes from @iter to the buffer, or zero them if @iter is NULL.
 * Return: 0 or -EFAULT.
 */
static int vblk_buf_set(struct vblk_buf *buf, u32 offset, u32 len,
			struct iov_iter *iter)
{
	u32 part;

	for (; len; len -= part, offset += part) {
		struct page *page = buf->page[offset / PAGE_SIZE];

		part = vblk_buf_part(offset, len);
		if (!iter)
			memzero_page(page, offset_in_page(offset), part);
		else if (copy_page_from_iter(page, offset_in_page(offset), part,
					     iter) != part)
			return -EFAULT;
	}
	return 0;
}

/* Copy @len bytes from the buffer to @iter.  Return: 0 or -EFAULT. */
static int vblk_buf_return(const struct vblk_buf *buf, u32 offset, u32 len,
			   struct iov_iter *iter)
{
	u32 part;

	for (; len; len -= part, offset += part) {
		part = vblk_buf_part(offset, len);
		if (copy_page_to_iter(buf->page[offset / PAGE_SIZE],
				      offset_in_page(offset), part, iter) != part)
			return -EFAULT;
	}
	return 0;
}

/* Copy the last block, of @len bytes, to its place in the chunk. */
static void vblk_buf_put_last(struct vblk_buf *buf, u32 offset, u32 len)
{
	u32 from = VBLK_LAST_BLOCK, part;

	for (; len; len -= part, offset += part, from += part) {
		part = vblk_buf_part(offset, len);
		memcpy_page(buf->page[offset / PAGE_SIZE], offset_in_page(offset),
			    buf->page[from / PAGE_SIZE], offset_in_page(from),
			    part);
	}
}

/**
 * struct vblk_span - blocks that contain the data of a request
 * @pos: first byte of the data
 * @end: end of the data
 * @first: first byte of the blocks
 * @last: end of the blocks
 * @block: size of a block
 */
struct vblk_span {
	u64 pos;
	u64 end;
	u64 first;
	u64 last;
	u32 block;
};

static struct vblk_span vblk_span_of(const struct vhost_blk_be *be, u64 pos,
				     u64 len)
{
	u64 block = be->block_size;

	return (struct vblk_span){
		.pos = pos,
		.end = pos + len,
		.first = round_down(pos, block),
		.last = round_up(pos + len, block),
		.block = block,
	};
}

/*
 * Read the first and the last block of a span, if the data covers them in part
 * only.  Nothing has been written yet, so the request can fail without effect.
 *
 * Return: 0 or a negative errno.
 */
static int vblk_read_edges(struct vhost_blk_req *req, struct vblk_buf *buf,
			   const struct vblk_span *s)
{
	const enum vhost_blk_op op = VHOST_BLK_OP_READ;
	bool head = s->pos != s->first, tail = s->end != s->last;
	u64 len = s->last - s->first;
	u32 last = len > VBLK_CHUNK ? VBLK_LAST_BLOCK : len - s->block;
	int ret = 0;

	if (len == s->block || (head && tail && len == 2 * s->block))
		return vblk_buf_io(req, op, buf, 0, s->first, len);
	if (head)
		ret = vblk_buf_io(req, op, buf, 0, s->first, s->block);
	if (tail && !ret)
		ret = vblk_buf_io(req, op, buf, last, s->last - s->block,
				  s->block);
	return ret;
}

/* Write one chunk of a span, from @start on.  Return: 0 or a negative errno. */
static int vblk_write_chunk(struct vhost_blk_req *req, struct vblk_buf *buf,
			    const struct vblk_span *s, u64 start,
			    struct iov_iter *iter)
{
	u32 len = min_t(u64, s->last - start, VBLK_CHUNK);
	u64 from = max(s->pos, start), to = min(s->end, start + len);
	int ret;

	if (to < start + len && s->last - s->first > VBLK_CHUNK)
		vblk_buf_put_last(buf, len - s->block, s->block);
	ret = vblk_buf_set(buf, from - start, to - from, iter);
	return ret ? ret : vblk_buf_io(req, VHOST_BLK_OP_WRITE, buf, 0, start, len);
}

/*
 * Write data that is not whole blocks: @len bytes of @iter at @pos, or zeroes if
 * @iter is NULL.
 *
 * Return: 0; -ECANCELED if the queue is dead; or another negative errno.
 */
static int vblk_change(struct vhost_blk_req *req, u64 pos, u64 len,
		       struct iov_iter *iter)
{
	struct vblk_span s = vblk_span_of(req->be, pos, len);
	struct vblk_buf *buf = vblk_buf_get(req->be, s.last - s.first);
	u64 start;
	int ret;

	ret = vblk_read_edges(req, buf, &s);
	for (start = s.first; start < s.last && !ret; start += VBLK_CHUNK)
		ret = vblk_write_chunk(req, buf, &s, start, iter);
	vblk_buf_put(req->be, buf);
	return ret;
}

/* Write data that is not whole blocks.  Runs in the workqueue. */
static void vblk_rmw_write(struct vhost_blk_req *req)
{
	struct vhost_blk_io *io = &req->io;
	struct iov_iter iter;

	iov_iter_bvec(&iter, ITER_SOURCE, io->bvec, io->nr_bvec, io->len);
	vhost_blk_req_done(req, vblk_change(req, io->pos, io->len, &iter));
}

/* Read data that is not whole blocks.  Runs in the workqueue. */
static void vblk_rmw_read(struct vhost_blk_req *req)
{
	struct vhost_blk_io *io = &req->io;
	struct vblk_span s = vblk_span_of(req->be, io->pos, io->len);
	struct vblk_buf *buf = vblk_buf_get(req->be, s.last - s.first);
	struct iov_iter iter;
	u64 start, from, to;
	int ret = 0;
	u32 len;

	iov_iter_bvec(&iter, ITER_DEST, io->bvec, io->nr_bvec, io->len);
	for (start = s.first; start < s.last && !ret; start += VBLK_CHUNK) {
		len = min_t(u64, s.last - start, VBLK_CHUNK);
		from = max(s.pos, start);
		to = min(s.end, start + len);
		ret = vblk_buf_io(req, io->op, buf, 0, start, len) ?:
		      vblk_buf_return(buf, from - start, to - from, &iter);
	}
	vblk_buf_put(req->be, buf);
	vhost_blk_req_done(req, ret);
}

/**
 * vhost_blk_rmw_range - execute a range that may have parts of blocks
 * @req: discard, write zeroes or secure erase, which has locked its blocks
 * @range: the range, not empty
 * @do_range: executes a range of whole blocks, see vhost_blk_do_ranges()
 *
 * Context: Workqueue; sleeps.
 *
 * Return: 0 or a negative errno.
 */
int vhost_blk_rmw_range(struct vhost_blk_req *req,
			const struct vhost_blk_range *range,
			int (*do_range)(struct vhost_blk_req *req,
					const struct vhost_blk_range *range))
{
	u64 block = req->be->block_size, end = range->pos + range->len;
	struct vhost_blk_range whole = *range;
	bool zero = req->io.op == VHOST_BLK_OP_WRITE_ZEROES;
	u64 last = round_down(end, block);
	int ret = 0;

	whole.pos = round_up(range->pos, block);
	whole.len = last > whole.pos ? last - whole.pos : 0;
	/* One part of a block, or two that adjoin */
	if (!whole.len)
		return zero ? vblk_change(req, range->pos, range->len, NULL) : 0;
	if (zero && range->pos < whole.pos)
		ret = vblk_change(req, range->pos, whole.pos - range->pos, NULL);
	if (!ret)
		ret = do_range(req, &whole);
	if (zero && !ret && last < end)
		ret = vblk_change(req, last, end - last, NULL);
	return ret;
}

/*
 * Set the blocks that a request changes: all from its first to its last range.
 *
 * Return: false if it changes none.
 */
static bool vblk_set_lock(const struct vhost_blk_req *req,
			  struct vhost_blk_lock *lock)
{
	const struct vhost_blk_io *io = &req->io;
	const struct vhost_blk_range data = { .pos = io->pos, .len = io->len };
	const struct vhost_blk_range *range = io->ranges ?: &data;
	unsigned int nr = io->ranges ? io->nr_ranges : 1;
	u32 shift = ilog2(req->be->block_size);
	u64 pos = U64_MAX, end = 0, parts = 0;

	for (; nr--; range++) {
		if (!range->len)
			continue;
		pos = min(pos, range->pos);
		end = max(end, range->pos + range->len);
		parts |= range->pos | range->len;
	}
	if (pos >= end)
		return false;
	lock->first = pos >> shift;
	lock->last = (end - 1) >> shift;
	/* A discard does not change parts of blocks. */
	lock->exclusive = io->op != VHOST_BLK_OP_DISCARD &&
			  (parts & (req->be->block_size - 1));
	return true;
}

/* The request has data that is not whole blocks. */
static bool vblk_rmw_data(const struct vhost_blk_req *req)
{
	const struct vhost_blk_io *io = &req->io;

	return io->nr_bvec && vhost_blk_needs_rmw(req->be, io->pos, io->len);
}

/*
 * Continue with a request that has waited for its lock.  Runs in the workqueue.
 */
static void vblk_rmw_granted(struct vhost_blk_req *req)
{
	if (vhost_blk_backend_refuses(req->be, req->io.op))
		vhost_blk_req_done(req, -EIO);
	else if (vblk_rmw_data(req))
		vblk_rmw_write(req);
	else
		req->be->rmw->lower->submit(req);
}

/* Unlock the blocks of a request, whose I/O is done.  Context: Any. */
static void vblk_rmw_unlock(struct vhost_blk_req *req)
{
	struct vhost_blk_lock *lock = &req->q->locks[req->head], *next;
	LIST_HEAD(granted);

	req->locked = false;
	vhost_blk_unlock_blocks(&req->be->rmw->locks, lock, &granted);
	list_for_each_entry_safe(lock, next, &granted, node)
		vhost_blk_punt(lock->req, vblk_rmw_granted);
}

/*
 * Lock the blocks that a request changes.  Return: false if it has to wait, then
 * vblk_rmw_granted() continues with it.
 */
static bool vblk_rmw_lock(struct vhost_blk_req *req)
{
	struct vhost_blk_lock *lock = &req->q->locks[req->head];

	if (!vblk_set_lock(req, lock))
		return true;
	lock->req = req;
	/* As soon as the lock waits, another thread may grant it. */
	req->locked = true;
	return vhost_blk_lock_blocks(&req->be->rmw->locks, lock);
}

/* Operation submit: the worker, with the mutex of the queue held */
static void vblk_rmw_submit(struct vhost_blk_req *req)
{
	const struct vhost_blk_op_def *def = &vhost_blk_op_defs[req->io.op];
	bool write = def->flags & VHOST_BLK_OP_F_WRITE;

	if (write && !vblk_rmw_lock(req))
		return;
	if (vblk_rmw_data(req))
		vhost_blk_punt(req, write ? vblk_rmw_write : vblk_rmw_read);
	else
		req->be->rmw->lower->submit(req);
}

static u64 vblk_rmw_capacity(const struct vhost_blk_be *be)
{
	return be->rmw->lower->capacity(be);
}

static int vblk_rmw_flush(const struct vhost_blk_be *be)
{
	return be->rmw->lower->flush(be);
}

static void vblk_rmw_config(const struct vhost_blk_be *be,
			    union vhost_blk_config *config)
{
	be->rmw->lower->config(be, config);
}

static void vblk_rmw_close(struct vhost_blk_be *be)
{
	vblk_buf_free(be->rmw->reserve);
	kfree(be->rmw);
}

static const struct vhost_blk_backend_ops vblk_rmw_ops = {
	.capacity = vblk_rmw_capacity,
	.flush = vblk_rmw_flush,
	.config = vblk_rmw_config,
	.submit = vblk_rmw_submit,
	.unlock = vblk_rmw_unlock,
	.close = vblk_rmw_close,
};

/**
 * vhost_blk_rmw_attach - emulate the blocks of the guest if that is necessary
 * @be: the backend, just opened
 *
 * Does nothing if the blocks of the guest are not smaller than those of @be.
 *
 * Return: 0, -EOPNOTSUPP if the blocks of the backend are too large, or -ENOMEM.
 */
int vhost_blk_rmw_attach(struct vhost_blk_be *be)
{
	struct vhost_blk_rmw *rmw;

	if (be->guest_block_size >= be->block_size)
		return 0;
	if (be->block_size > VHOST_BLK_MAX_BLOCK_SIZE)
		return -EOPNOTSUPP;
	rmw = kzalloc_obj(*rmw, VHOST_BLK_GFP);
	if (!rmw)
		return -ENOMEM;
	rmw->reserve = vblk_buf_alloc(U64_MAX, be->block_size, VHOST_BLK_GFP);
	if (!rmw->reserve) {
		kfree(rmw);
		return -ENOMEM;
	}
	mutex_init(&rmw->reserve_mutex);
	vhost_blk_locks_init(&rmw->locks);
	rmw->lower = be->ops;
	be->rmw = rmw;
	be->ops = &vblk_rmw_ops;
	return 0;
}

/**
 * vhost_blk_rmw_alloc - allocate the locks of a queue
 * @q: the queue, no request in flight, its mutex held
 * @be: the backend that it will use
 *
 * Return: 0 or -ENOMEM.
 */
int vhost_blk_rmw_alloc(struct vhost_blk_queue *q, const struct vhost_blk_be *be)
{
	if (!be->rmw || q->nr_locks == q->nr_reqs)
		return 0;
	kvfree(q->locks);
	q->nr_locks = 0;
	q->locks = kvcalloc(q->nr_reqs, sizeof(*q->locks), VHOST_BLK_GFP);
	if (!q->locks)
		return -ENOMEM;
	q->nr_locks = q->nr_reqs;
	return 0;
}
