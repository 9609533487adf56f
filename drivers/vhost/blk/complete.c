// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completes requests in the worker: writes the response, the status byte and
 * the used ring, and signals the guest.  Requests whose I/O ended at the same
 * time are completed together, with one update of the used ring and at most one
 * signal.
 *
 * A response is the reply of the device other than data and status: the ID, a
 * zone report, or the sector of a zone append.  It is built in kernel memory,
 * in any context, and the worker copies it to the guest.
 *
 * Section numbers are those of the VIRTIO specification, version 1.3.
 */
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "internal.h"
#include "stats.h"
#include "trace.h"

/**
 * vhost_blk_status - translate an errno to a virtio status (5.2.6)
 * @error: 0 or a negative errno
 * @zoned: the driver has acknowledged VIRTIO_BLK_F_ZONED
 *
 * Context: Any.
 *
 * Return: VIRTIO_BLK_S_*.
 */
u8 vhost_blk_status(int error, bool zoned)
{
	switch (error) {
	case 0:
		return VIRTIO_BLK_S_OK;
	case -EOPNOTSUPP:
		return VIRTIO_BLK_S_UNSUPP;
	/* errno of BLK_STS_ZONE_OPEN_RESOURCE, then of _ACTIVE_RESOURCE */
	case -ETOOMANYREFS:
		return zoned ? VIRTIO_BLK_S_ZONE_OPEN_RESOURCE :
			       VIRTIO_BLK_S_IOERR;
	case -EOVERFLOW:
		return zoned ? VIRTIO_BLK_S_ZONE_ACTIVE_RESOURCE :
			       VIRTIO_BLK_S_IOERR;
	default:
		return VIRTIO_BLK_S_IOERR;
	}
}

/**
 * vhost_blk_response_alloc - allocate the response of a request
 * @req: the request; cmd.response is not 0
 * @iov: destination in guest memory, cmd.response bytes
 * @nr: number of segments in @iov
 *
 * Context: The worker; sleeps.  vblk_release_req() frees the response.
 *
 * Return: 0 or -ENOMEM.
 */
int vhost_blk_response_alloc(struct vhost_blk_req *req, const struct iovec *iov,
			     unsigned int nr)
{
	struct vhost_blk_response *response;
	size_t head = struct_size(response, iov, nr);

	/* Zeroed: parts that are not filled in must not leak kernel memory. */
	response = kvzalloc(head + req->cmd.response, VHOST_BLK_GFP_KV);
	if (!response)
		return -ENOMEM;
	response->buf = (void *)response + head;
	response->nr_iov = nr;
	memcpy(response->iov, iov, nr * sizeof(*iov));
	req->response = response;
	return 0;
}

/**
 * vhost_blk_response_set - set the response of a request
 * @req: the request, which has a response
 * @from: the bytes
 * @len: number of bytes; those beyond cmd.response are cut off
 *
 * Context: Any.
 */
void vhost_blk_response_set(struct vhost_blk_req *req, const void *from, u32 len)
{
	req->response->len = min(len, req->cmd.response);
	memcpy(req->response->buf, from, req->response->len);
}

/* Copy the response to the guest.  Return: 0 or -EFAULT. */
static int vblk_response_send(struct vhost_blk_req *req)
{
	struct vhost_blk_response *response = req->response;
	struct iov_iter iter;

	iov_iter_init(&iter, ITER_DEST, response->iov, response->nr_iov,
		      req->cmd.response);
	if (copy_to_iter(response->buf, response->len, &iter) != response->len)
		return -EFAULT;
	return 0;
}

/**
 * vhost_blk_used_len - get the length for the used ring
 * @cmd: the command; only its room is valid if the request was not
 * @response_len: bytes of the response
 * @status: VIRTIO_BLK_S_*
 *
 * The device has written at least that many bytes from the start of the
 * writable part (2.7.8.2).  The status is the last writable byte, so it is
 * counted only if all bytes before it were written.
 *
 * Return: the length in bytes.
 */
u32 vhost_blk_used_len(const struct vhost_blk_cmd *cmd, u32 response_len,
		       u8 status)
{
	u32 written = 0;

	if (status == VIRTIO_BLK_S_OK)
		written = cmd->op == VHOST_BLK_OP_READ ? cmd->len : response_len;
	return written == cmd->room ? written + 1 : written;
}

/* Release the resources of a request and count it as no longer in flight. */
static void vblk_release_req(struct vhost_blk_req *req)
{
	struct vhost_blk_queue *q = req->q;

	if (req->bounced)
		vhost_blk_bounce_end(req);
	else
		vhost_blk_unmap(req);
	if (req->io.ranges)
		vhost_blk_free_ranges(req);
	/* Few requests have these, and kvfree(NULL) costs a call. */
	if (req->response) {
		kvfree(req->response);
		req->response = NULL;
	}
	if (req->writes)
		vhost_blk_untrack_writes(req);
	WRITE_ONCE(q->inflight, q->inflight - 1);
	q->inflight_bytes -= req->cmd.len;
}

/*
 * Determine the status of a request, and copy its response to the guest if it
 * was successful.
 */
static u8 vblk_final_status(struct vhost_blk_req *req, u32 *response_len)
{
	u8 status = req->status;

	if (status != VIRTIO_BLK_S_OK || !req->response)
		return status;
	if (vblk_response_send(req))
		return VIRTIO_BLK_S_IOERR;
	*response_len = req->response->len;
	return status;
}

/*
 * Bytes for the dirty log: a failed request may have written any of its bytes.
 */
static u32 vblk_bytes_written(const struct vhost_blk_req *req, u32 response_len)
{
	if (req->cmd.op == VHOST_BLK_OP_READ)
		return req->cmd.len;
	return req->error ? req->cmd.response : response_len;
}

/* Add the data or response, and the status byte, to the dirty log. */
static int vblk_log_completion(struct vhost_blk_req *req, u32 written)
{
	u64 room = 0;
	unsigned int i;
	int ret = 0;

	if (!vhost_has_feature(&req->q->vq, VHOST_F_LOG_ALL) || !req->nr_writes)
		return 0;
	for (i = 0; i < req->nr_writes; i++)
		room += req->writes[i].len;
	if (written)
		ret = vhost_blk_log_writes(req, 0, written);
	return ret ? ret : vhost_blk_log_writes(req, room - 1, 1);
}

/*
 * Set the status of a request that ended with an errno, and apply the error
 * policy if it is an error of the backend.
 *
 * Return: true if the request was parked.
 */
static bool vblk_park_failed(struct vhost_blk_req *req)
{
	int ret;

	req->status = vhost_blk_status(req->error,
				       vhost_blk_knows_zones(req->q->op_mask));
	if (req->status != VIRTIO_BLK_S_IOERR)
		return false;
	switch (vhost_blk_req_failed(req)) {
	case VHOST_BLK_ERROR_PARK:
		/* A read may have written some of its data. */
		ret = vhost_blk_log_writes(req, 0, vblk_bytes_written(req, 0));
		if (ret)
			vhost_blk_break(req->q, VHOST_BLK_BREAK_LOG, ret);
		return true;
	case VHOST_BLK_ERROR_IGNORE:
		req->status = VIRTIO_BLK_S_OK;
		return false;
	default:
		return false;
	}
}

/*
 * Write the status of a request to the guest, log what the device has written,
 * and fill in the entry for the used ring.  @now: time, for the counters.
 *
 * Return: false if the request was parked, or if that fails, then the queue is
 * broken.
 */
static bool vblk_complete_req(struct vhost_blk_req *req,
			      struct vring_used_elem *used, u64 now)
{
	struct vhost_virtqueue *vq = &req->q->vq;
	u32 len, response_len = 0;
	u8 status;
	int ret;

	if (req->error && vblk_park_failed(req))
		return false;
	status = vblk_final_status(req, &response_len);
	vhost_blk_count_req(req, status, now);
	len = vhost_blk_used_len(&req->cmd, response_len, status);
	trace_vhost_blk_complete(req->q, req->head, status, len);
	ret = put_user(status, req->status_slot);
	if (ret) {
		vhost_blk_break(req->q, VHOST_BLK_BREAK_STATUS, ret);
		return false;
	}
	ret = vblk_log_completion(req, vblk_bytes_written(req, response_len));
	if (ret) {
		vhost_blk_break(req->q, VHOST_BLK_BREAK_LOG, ret);
		return false;
	}
	used->id = cpu_to_vhost32(vq, req->head);
	used->len = cpu_to_vhost32(vq, len);
	return true;
}

/* Continue a bounced request.  Return: true if another window was submitted. */
static bool vblk_bounce_more(struct vhost_blk_req *req)
{
	struct vhost_blk_saved_identity saved;
	bool more;

	vhost_blk_assume_identity(&saved, &req->be->identity);
	more = vhost_blk_bounce_next(req);
	vhost_blk_restore_identity(&saved);
	return more;
}

/*
 * Check whether guest memory may be written.  If not, the owner may use that
 * memory for another purpose by now.
 */
static bool vblk_may_complete(const struct vhost_blk_queue *q)
{
	enum vhost_blk_queue_state state = vhost_blk_queue_state(q);

	return state != VHOST_BLK_QUEUE_STOPPED && state != VHOST_BLK_QUEUE_DEAD;
}

/*
 * Complete all done requests.  vq->heads has room for every request of a queue.
 * Requests of a dead queue are released without a completion.  A queue may die
 * in the loop, also while data are copied.
 */
static void vblk_complete_done(struct vhost_blk_queue *q)
{
	struct llist_node *list = llist_reverse_order(llist_del_all(&q->done));
	struct vhost_blk_req *req, *next;
	u64 now = ktime_get_ns();

	llist_for_each_entry_safe(req, next, list, done_node) {
		if (req->bounced && vblk_may_complete(q) && vblk_bounce_more(req))
			continue;
		if (vblk_may_complete(q) &&
		    vblk_complete_req(req, &q->vq.heads[q->nr_used], now))
			q->nr_used++;
		else
			req->busy = false;
		vblk_release_req(req);
	}
}

/* Complete all done requests, with one plug for the windows that follow. */
static void vblk_complete_plugged(struct vhost_blk_queue *q)
{
	struct blk_plug plug;

	blk_start_plug(&plug);
	vblk_complete_done(q);
	blk_finish_plug(&plug);
}

/*
 * Start to poll the ring: requests have just been completed, so the guest may
 * soon add others.  See kick.c.
 */
static void vblk_restart_polling(struct vhost_blk_queue *q)
{
	if (!vhost_blk_poll_timeout_ns(q))
		return;
	q->idle_since = ktime_get_ns();
	if (q->poll_ns && !q->batching &&
	    vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_RUNNING)
		vhost_poll_queue(&q->vq.poll);
}

/**
 * vhost_blk_flush_used - add completed requests to the used ring
 * @q: the queue, its mutex and, with an IOMMU, iotlb_sem held
 *
 * With an IOMMU the used ring may not be mapped.  Then the vhost core sends a
 * miss, and the VMM's update queues poll.work, which calls this function again.
 */
void vhost_blk_flush_used(struct vhost_blk_queue *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	unsigned int i, nr = q->nr_used;
	int ret;

	if (!nr || !vblk_may_complete(q) || !vq_meta_prefetch(vq))
		return;
	q->nr_used = 0;
	for (i = 0; i < nr; i++)
		q->reqs[vhost32_to_cpu(vq, vq->heads[i].id)].busy = false;
	vhost_blk_count(q, &q->counters->batches, 1);
	ret = vhost_add_used_n(vq, vq->heads, NULL, nr);
	if (ret)
		vhost_blk_break(q, VHOST_BLK_BREAK_USED, ret);
	else
		vhost_signal(vq->dev, vq);
	vblk_restart_polling(q);
}

/* Retry throttled chains, and wake threads that wait for requests. */
static void vblk_after_completions(struct vhost_blk_queue *q)
{
	if (q->throttled && vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_RUNNING)
		vhost_poll_queue(&q->vq.poll);
	if (wq_has_sleeper(&q->idle))
		wake_up_all(&q->idle);
}

/**
 * vhost_blk_process_done - complete or drop the done requests of a queue
 * @q: the queue, its mutex and, with an IOMMU, iotlb_sem held
 *
 * Context: The worker.
 */
void vhost_blk_process_done(struct vhost_blk_queue *q)
{
	if (llist_empty(&q->done))
		return;
	/* Only a bounced request may continue, and submit more I/O. */
	if (likely(bitmap_empty(q->bounce->in_use, VHOST_BLK_BOUNCE_PAGES)))
		vblk_complete_done(q);
	else
		vblk_complete_plugged(q);
	vhost_blk_flush_used(q);
	vblk_after_completions(q);
}

/**
 * vhost_blk_done_work - complete done requests, and finish a stop
 * @work: vhost_blk_queue.done_work
 *
 * Context: The worker.  Takes the mutex of the virtqueue and iotlb_sem.
 */
void vhost_blk_done_work(struct vhost_work *work)
{
	struct vhost_blk_queue *q = container_of(work, struct vhost_blk_queue,
						 done_work);

	mutex_lock(&q->vq.mutex);
	vhost_blk_iotlb_lock(q);
	vhost_blk_process_done(q);
	/* Entries may be left from a time when the used ring was not mapped. */
	vhost_blk_flush_used(q);
	vhost_blk_iotlb_unlock(q);
	vhost_blk_queue_drained(q);
	mutex_unlock(&q->vq.mutex);
}

/**
 * vhost_blk_dead_worker_work - drop requests whose worker was killed
 * @work: vhost_blk_queue.dead_worker_work
 *
 * The owner's memory cannot be accessed here, but it must be unpinned, and an
 * ioctl may be waiting for the requests.  An ioctl of the vhost core may hold
 * the mutex while it reads memory of a process, which can take any time.  So
 * try again later instead of waiting for the mutex.
 *
 * The queue may have a new worker by now: vhost_blk_wake_worker() schedules
 * this work only after the request is on the list, which an ioctl or the new
 * worker empties.
 *
 * Context: Workqueue.
 */
void vhost_blk_dead_worker_work(struct work_struct *work)
{
	struct vhost_blk_queue *q = container_of(to_delayed_work(work),
						 struct vhost_blk_queue,
						 dead_worker_work);

	if (!mutex_trylock(&q->vq.mutex)) {
		vhost_blk_queue_dead_worker(q, HZ / 50);
		return;
	}
	/*
	 * A worker that only stopped queues use can be freed, and then the core
	 * drops its work.
	 */
	if (vhost_blk_stopped(q) || vhost_vq_work_queue(&q->vq, &q->done_work)) {
		mutex_unlock(&q->vq.mutex);
		return;
	}
	/* Dead: a completion here would write to the memory of another process. */
	vhost_blk_queue_event(q, VHOST_BLK_EVENT_ABANDON);
	vblk_complete_done(q);
	vblk_after_completions(q);
	vhost_blk_queue_drained(q);
	mutex_unlock(&q->vq.mutex);
}
