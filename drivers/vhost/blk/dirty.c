// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records which guest memory the requests in flight may write, and writes the
 * dirty log.
 *
 * Writes are recorded in two cases: for the dirty log, which must name every
 * byte that was written, by guest-physical address; and with an IOMMU, because
 * an invalidation has to wait for requests that may write to its range.
 */
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "internal.h"

/**
 * vhost_blk_alloc_tracking - allocate the memory that records writes
 * @q: the queue, stopped
 *
 * This is done when a queue is started, whether or not writes are recorded then:
 * QEMU switches the log on at the start of a migration, and versions before 9.1
 * abort if that fails.
 *
 * Return: 0 or -ENOMEM.
 */
int vhost_blk_alloc_tracking(struct vhost_blk_queue *q)
{
	if (!q->track)
		q->track = kvzalloc_obj(*q->track, VHOST_BLK_GFP);
	return q->track ? 0 : -ENOMEM;
}

/**
 * vhost_blk_set_tracking - switch the recording of writes on or off
 * @q: the queue, with requests but none in flight, its mutex held
 * @features: features acknowledged by the guest and the VMM
 */
void vhost_blk_set_tracking(struct vhost_blk_queue *q, u64 features)
{
	q->tracking = features & (1ULL << VHOST_F_LOG_ALL |
				  1ULL << VIRTIO_F_ACCESS_PLATFORM);
}

/**
 * vhost_blk_free_tracking - free the memory that records writes
 * @q: the queue, stopped
 */
void vhost_blk_free_tracking(struct vhost_blk_queue *q)
{
	kvfree(q->track);
	q->track = NULL;
}

/*
 * Record the writable ranges of a chain.  @log has the guest address and length
 * of each writable descriptor, as the vhost core returns them.  @iov has the
 * same bytes, split at each discontinuity of the owner's addresses.
 */
static void vblk_fill_write_ranges(struct vhost_blk_req *req,
				   const struct iovec *iov, unsigned int nr,
				   const struct vhost_log *log)
{
	struct vhost_blk_write_range *range = req->writes;
	u64 done = 0;

	req->nr_writes = nr;
	req->first_write = U64_MAX;
	req->last_write = 0;
	for (; nr--; iov++, range++) {
		range->addr = log->addr + done;
		range->base = iov->iov_base;
		range->len = iov->iov_len;
		req->first_write = min(req->first_write, range->addr);
		req->last_write = max(req->last_write,
				      range->addr + range->len - 1);
		done += iov->iov_len;
		if (done >= log->len) {
			log++;
			done = 0;
		}
	}
}

/**
 * vhost_blk_track_writes - record which guest memory a request may write
 * @req: the request, about to be in flight
 * @iov: writable segments of its chain, from vhost_get_vq_desc()
 * @nr: number of segments; q->track->log has the descriptors
 *
 * Succeeds if no request of the queue is in flight.
 *
 * Return: 0, or -EAGAIN if the request has to wait for memory.
 */
int vhost_blk_track_writes(struct vhost_blk_req *req, const struct iovec *iov,
			   unsigned int nr)
{
	struct vhost_blk_track *track = req->q->track;

	req->writes = req->inline_writes;
	if (nr > ARRAY_SIZE(req->inline_writes))
		req->writes = kvmalloc_array(nr, sizeof(*req->writes),
					     VHOST_BLK_GFP_KV);
	if (!req->writes && !req->q->inflight)
		req->writes = track->spare;
	if (!req->writes)
		return -EAGAIN;
	vblk_fill_write_ranges(req, iov, nr, track->log);
	return 0;
}

/**
 * vhost_blk_untrack_writes - drop the record of the writes of a request
 * @req: the request; need not have a record
 */
void vhost_blk_untrack_writes(struct vhost_blk_req *req)
{
	struct vhost_blk_track *track = req->q->track;

	if (req->writes != req->inline_writes &&
	    !(track && req->writes == track->spare))
		kvfree(req->writes);
	req->writes = NULL;
	req->nr_writes = 0;
}

/*
 * Write part of a range to the dirty log.
 *
 * With an IOMMU the vhost core looks up all regions of the memory table that
 * contain the owner's addresses and logs the bytes in each.  It continues
 * behind the shortest of them, and looks up again.  A region may have a single
 * byte, so one call could take very long: pass one page at a time, and stop if
 * the process is being killed or the queue is dead.
 *
 * Return: 0, -EINTR if stopped, or the error of the log.
 */
static int vblk_log_range(struct vhost_blk_queue *q,
			  const struct vhost_blk_write_range *range, u64 off,
			  u64 len)
{
	struct vhost_virtqueue *vq = &q->vq;
	struct vhost_log log;
	struct iovec iov;
	u64 part;
	int ret = 0;

	for (; len && !ret; len -= part, off += part) {
		part = len;
		if (vq->iotlb)
			part = min_t(u64, len, PAGE_SIZE -
				     offset_in_page(range->base + off));
		iov = (struct iovec){
			.iov_base = range->base + off, .iov_len = part,
		};
		log = (struct vhost_log){
			.addr = range->addr + off, .len = part,
		};
		if (vhost_blk_dead(q) || fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		ret = vhost_log_write(vq, &log, 1, part, &iov, 1);
	}
	return ret;
}

/**
 * vhost_blk_log_writes - write bytes of a request to the dirty log
 * @req: the request, with recorded writes
 * @off: first byte, counted over the writable segments of the chain
 * @len: number of bytes
 *
 * Does nothing unless VHOST_F_LOG_ALL is acknowledged.
 *
 * Context: The worker.
 *
 * Return: 0, or a negative errno if the log cannot be written.
 */
int vhost_blk_log_writes(struct vhost_blk_req *req, u64 off, u64 len)
{
	struct vhost_virtqueue *vq = &req->q->vq;
	unsigned int i;
	int ret = 0;

	if (!vhost_has_feature(vq, VHOST_F_LOG_ALL))
		return 0;
	for (i = 0; i < req->nr_writes && len && !ret; i++) {
		const struct vhost_blk_write_range *range = &req->writes[i];
		u64 part;

		if (off >= range->len) {
			off -= range->len;
			continue;
		}
		part = min(len, range->len - off);
		ret = vblk_log_range(req->q, range, off, part);
		len -= part;
		off = 0;
	}
	return ret;
}

/*
 * Maximum number of write ranges that one check compares.  A guest may have two
 * million of them in a queue.  Beyond this number, each request counts as one
 * range from its first to its last byte, so that the VMM may wait for it
 * unnecessarily.
 */
#define VBLK_MAX_RANGES_CHECKED	(16U * 1024)

static bool vblk_overlaps(const struct vhost_blk_req *req, u64 first, u64 last,
			  unsigned int *checked)
{
	const struct vhost_blk_write_range *range = req->writes;
	unsigned int i;

	if (req->first_write > last || req->last_write < first)
		return false;
	*checked += req->nr_writes;
	if (*checked > VBLK_MAX_RANGES_CHECKED)
		return true;
	for (i = 0; i < req->nr_writes; i++, range++)
		if (range->addr <= last && range->addr + range->len - 1 >= first)
			return true;
	return false;
}

/**
 * vhost_blk_writes_overlap - check whether requests may write to a range
 * @q: the queue, its mutex held
 * @first: first address, as in vhost_blk_write_range.addr
 * @last: last address, inclusive
 *
 * Return: true if a request in flight may write to the range, or if it would
 * take too long to find out.
 */
bool vhost_blk_writes_overlap(const struct vhost_blk_queue *q, u64 first, u64 last)
{
	unsigned int i, checked = 0, left = q->inflight;

	for (i = 0; i < q->nr_reqs && left; i++) {
		if (!q->reqs[i].nr_writes)
			continue;
		left--;
		if (vblk_overlaps(&q->reqs[i], first, last, &checked))
			return true;
	}
	return false;
}
