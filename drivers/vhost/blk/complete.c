// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completion by the worker: the response, the status byte, the used ring, the
 * signal.  Requests that finished together are completed together: one update
 * of the used ring and at most one signal.
 *
 * The response is what a device answers besides data and status: its id, a
 * zone report, where an append went.  It is made in kernel memory, in any
 * context, and copied to the guest by the worker.
 */
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
#include "trace.h"

/**
 * vhost_blk_status - the one table from errno to virtio status
 * @error: 0 or a negative errno
 * @zoned: of a device with zones
 */
u8 vhost_blk_status(int error, bool zoned)
{
	switch (error) {
	case 0:
		return VIRTIO_BLK_S_OK;
	case -EOPNOTSUPP:
		return VIRTIO_BLK_S_UNSUPP;
	/* BLK_STS_ZONE_OPEN_RESOURCE and BLK_STS_ZONE_ACTIVE_RESOURCE */
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
 * vhost_blk_response_alloc - make room for an answer
 * @req: its cmd is set
 * @iov: where it goes to, cmd.response bytes
 * @nr: segments in @iov
 *
 * Return: 0 or -ENOMEM; req->response is to be freed in either case.
 */
int vhost_blk_response_alloc(struct vhost_blk_req *req, const struct iovec *iov,
			     unsigned int nr)
{
	struct vhost_blk_response *response;
	size_t head = struct_size(response, iov, nr);

	/* What isn't filled in must not be an old secret. */
	response = kvzalloc(head + req->cmd.response,
			    GFP_NOIO | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!response)
		return -ENOMEM;
	response->buf = (void *)response + head;
	response->nr_iov = nr;
	memcpy(response->iov, iov, nr * sizeof(*iov));
	req->response = response;
	return 0;
}

/**
 * vhost_blk_response_set - the answer is a copy of something
 * @req: has a reply
 * @from: the answer
 * @len: its length; what is beyond the room is cut off
 */
void vhost_blk_response_set(struct vhost_blk_req *req, const void *from, u32 len)
{
	req->response->len = min(len, req->cmd.response);
	memcpy(req->response->buf, from, req->response->len);
}

/**
 * vblk_response_send - copy the answer to the guest
 * @req: done, in the worker
 *
 * Return: 0 or -EFAULT.
 */
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
 * vhost_blk_used_len - length for the used ring
 * @cmd: the command; its room has to be set
 * @response_len: bytes of the reply
 * @status: VIRTIO_BLK_S_*
 *
 * The device has written at least that many bytes from the start of the
 * writable part (2.7.8.2).  The status is its last byte, so it counts only if
 * everything in front of it was written.
 */
u32 vhost_blk_used_len(const struct vhost_blk_cmd *cmd, u32 response_len,
		       u8 status)
{
	u32 written = 0;

	if (status == VIRTIO_BLK_S_OK)
		written = cmd->op == VHOST_BLK_OP_READ ? cmd->len : response_len;
	return written == cmd->room ? written + 1 : written;
}

static void vblk_release_req(struct vhost_blk_req *req)
{
	struct vhost_blk_queue *q = req->q;

	if (req->bounced)
		vhost_blk_bounce_end(req);
	else
		vhost_blk_unmap(req);
	if (req->io.ranges)
		vhost_blk_free_ranges(req);
	kvfree(req->response);
	req->response = NULL;
	vhost_blk_untrack_writes(req);
	WRITE_ONCE(q->inflight, q->inflight - 1);
	q->inflight_bytes -= req->cmd.len;
}

/* The status of a request whose answer, where it has one, is with the guest. */
static u8 vblk_final_status(struct vhost_blk_req *req, u32 *response_len)
{
	u8 status = req->status;

	if (req->error)
		status = vhost_blk_status(req->error,
					  vhost_blk_knows_zones(req->q->op_mask));
	if (status != VIRTIO_BLK_S_OK || !req->response)
		return status;
	if (vblk_response_send(req))
		return VIRTIO_BLK_S_IOERR;
	*response_len = req->response->len;
	return status;
}

/* Of a request that failed any byte may have been written all the same. */
static u32 vblk_bytes_written(const struct vhost_blk_req *req, u32 response_len)
{
	if (req->cmd.op == VHOST_BLK_OP_READ)
		return req->cmd.len;
	return req->error ? req->cmd.response : response_len;
}

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

/* Write the status of a request and its entry for the used ring, or break. */
static bool vblk_complete_req(struct vhost_blk_req *req,
			      struct vring_used_elem *used)
{
	struct vhost_virtqueue *vq = &req->q->vq;
	u32 len, response_len = 0;
	u8 status;
	int ret;

	status = vblk_final_status(req, &response_len);
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

/* A request that is bounced may have more windows. */
static bool vblk_bounce_more(struct vhost_blk_req *req)
{
	struct vhost_blk_saved_identity saved;
	bool more;

	vhost_blk_assume_identity(&saved, &req->be->identity);
	more = vhost_blk_bounce_next(req);
	vhost_blk_restore_identity(&saved);
	return more;
}

static void vblk_drop_completions(struct vhost_blk_queue *q)
{
	struct vhost_blk_req *req, *next;

	llist_for_each_entry_safe(req, next, llist_del_all(&q->done),
				  done_node) {
		req->busy = false;
		vblk_release_req(req);
	}
}

/* Take all that is done; vq->heads has room for every request of a queue. */
static void vblk_complete_done(struct vhost_blk_queue *q)
{
	struct llist_node *list = llist_reverse_order(llist_del_all(&q->done));
	struct vhost_blk_req *req, *next;

	llist_for_each_entry_safe(req, next, list, done_node) {
		if (req->bounced && vblk_bounce_more(req))
			continue;
		if (vblk_complete_req(req, &q->vq.heads[q->nr_used]))
			q->nr_used++;
		else
			req->busy = false;
		vblk_release_req(req);
	}
}

/* May the memory of the guest be written?  Otherwise it may be anything by now. */
static bool vblk_may_complete(const struct vhost_blk_queue *q)
{
	enum vhost_blk_queue_state state = vhost_blk_queue_state(q);

	return state != VHOST_BLK_QUEUE_STOPPED && state != VHOST_BLK_QUEUE_DEAD;
}

/*
 * Some requests have just been completed, and the guest may soon have others:
 * begin to poll, see kick.c.
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
 * vhost_blk_flush_used - put what has been answered into the used ring
 * @q: the queue, its mutex held
 *
 * Behind an IOMMU the ring may be out of reach for now.  Then the vhost core
 * asks for it, and the answer comes as a kick, which tries again.
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
	ret = vhost_add_used_n(vq, vq->heads, NULL, nr);
	if (ret)
		vhost_blk_break(q, VHOST_BLK_BREAK_USED, ret);
	else
		vhost_signal(vq->dev, vq);
	vblk_restart_polling(q);
}

/* Let chains that found no room try again, and wake who waits for requests. */
static void vblk_after_completions(struct vhost_blk_queue *q)
{
	if (q->throttled && vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_RUNNING)
		vhost_poll_queue(&q->vq.poll);
	if (wq_has_sleeper(&q->idle))
		wake_up_all(&q->idle);
}

/**
 * vhost_blk_process_done - the worker's part of completion
 * @q: the queue, its mutex held, and no change to translations possible
 */
void vhost_blk_process_done(struct vhost_blk_queue *q)
{
	struct blk_plug plug;

	if (llist_empty(&q->done))
		return;
	if (vblk_may_complete(q)) {
		blk_start_plug(&plug);
		vblk_complete_done(q);
		blk_finish_plug(&plug);
		vhost_blk_flush_used(q);
	} else {
		vblk_drop_completions(q);
	}
	vblk_after_completions(q);
}

/**
 * vhost_blk_done_work - the worker's part of completion and of a stop
 * @work: vhost_blk_queue.done_work
 */
void vhost_blk_done_work(struct vhost_work *work)
{
	struct vhost_blk_queue *q = container_of(work, struct vhost_blk_queue,
						 done_work);

	mutex_lock(&q->vq.mutex);
	vhost_blk_iotlb_lock(q);
	vhost_blk_process_done(q);
	/* Behind an IOMMU the VMM may have mapped the used ring just now. */
	vhost_blk_flush_used(q);
	vhost_blk_iotlb_unlock(q);
	vhost_blk_queue_drained(q);
	mutex_unlock(&q->vq.mutex);
}

/**
 * vhost_blk_dead_worker_work - completion and stop after the worker was killed
 * @work: vhost_blk_queue.dead_worker_work
 *
 * The owner's memory is out of reach here, but it is to be unpinned, and an
 * ioctl may be waiting.  The mutex may be held by an ioctl of the vhost core that
 * reads memory of a process and waits for it, so there is no hurry to look again.
 *
 * By now the queue may have another worker: a request that was done tells the
 * workqueue only after it is in the list that an ioctl or that worker empties.
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
	if (vhost_vq_work_queue(&q->vq, &q->done_work)) {
		mutex_unlock(&q->vq.mutex);
		return;
	}
	vhost_blk_queue_event(q, VHOST_BLK_EVENT_ABANDON);
	vblk_drop_completions(q);
	vblk_after_completions(q);
	vhost_blk_queue_drained(q);
	mutex_unlock(&q->vq.mutex);
}
