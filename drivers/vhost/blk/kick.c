// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes chains from the available ring and starts their requests, when the
 * guest kicks or when the worker polls.  After a start the requests that were
 * parked come first.  A round ends when the ring is empty, when the queue has
 * had its share of the worker, or when the next chain has to wait.
 *
 * With VHOST_SET_VRING_BUSYLOOP_TIMEOUT the worker polls an empty ring for a
 * while before it enables notifications and sleeps.  This saves the guest a
 * kick and the worker a wake-up.  The polling time is adaptive: twice the time
 * that the last chain took to arrive, or 0 if that chain took longer than the
 * timeout.
 *
 * Polling ends if another task wants the CPU or if the worker has other work,
 * for example completions.  The mutex of the queue is released after each
 * slice, because a stop may be waiting for it.
 */
#include <linux/blkdev.h>
#include <linux/ioprio.h>
#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "internal.h"
#include "stats.h"
#include "trace.h"

/* Maximum number of chains for which the time is read once */
#define VBLK_CLOCK_CHAINS	16

/* Time in ns to poll with the mutex held, and minimum polling time in ns */
#define VBLK_POLL_SLICE_NS	(50 * NSEC_PER_USEC)
#define VBLK_POLL_MIN_NS	(4 * NSEC_PER_USEC)

/*
 * Copy a header that is not in one segment.  Not inlined, because the kernel may
 * be built to clear all variables of a function, here the iterator.
 *
 * Return: false if the header is incomplete or unreadable.
 */
static noinline bool vblk_copy_split_header(struct vhost_blk_queue *q,
					    unsigned int out, u64 readable,
					    struct virtio_blk_outhdr *raw)
{
	struct iov_iter iter;

	/* Limit the count: @readable has 64 bits, size_t may have 32. */
	iov_iter_init(&iter, ITER_SOURCE, q->iov, out,
		      min_t(u64, readable, sizeof(*raw)));
	return copy_from_iter_full(raw, sizeof(*raw), &iter);
}

/*
 * Read the header once.  Return: @hdr, or NULL if it is incomplete or
 * unreadable.
 */
static const struct vhost_blk_header *vblk_read_header(struct vhost_blk_queue *q,
						       unsigned int out,
						       u64 readable,
						       struct vhost_blk_header *hdr)
{
	struct virtio_blk_outhdr raw;

	if (likely(out && q->iov->iov_len >= sizeof(raw))) {
		if (copy_from_user(&raw, q->iov->iov_base, sizeof(raw)))
			return NULL;
	} else if (!vblk_copy_split_header(q, out, readable, &raw)) {
		return NULL;
	}
	hdr->type = vhost32_to_cpu(&q->vq, raw.type);
	hdr->sector = vhost64_to_cpu(&q->vq, raw.sector);
	return hdr;
}

/*
 * Get the segments of the data or of the array of ranges, after the chain was
 * trimmed.
 */
static const struct iovec *vblk_data_of(const struct vhost_blk_chain *chain,
					const struct vhost_blk_cmd *cmd,
					unsigned int *nr)
{
	bool read = cmd->op == VHOST_BLK_OP_READ;

	*nr = read ? chain->nr_in : chain->nr_out;
	return read ? chain->in : chain->out;
}

/*
 * Check whether the data of a request must be bounced: the backend cannot
 * access it in place, no memory is available for a vector of its pages, or they
 * were pinned too often when the chain was put back.
 */
static bool vblk_choose_bounce(struct vhost_blk_req *req,
			       const struct vhost_blk_be *be,
			       const struct vhost_blk_cmd *cmd,
			       const struct vhost_blk_chain *chain)
{
	const struct iovec *data;
	unsigned int nr;

	if (!vhost_blk_op_moves_data(cmd->op))
		return false;
	if (unlikely(req->q->bounce_next) && cmd->len)
		return true;
	data = vblk_data_of(chain, cmd, &nr);
	return vhost_blk_needs_bounce(be, cmd, data, nr) ||
	       !vhost_blk_map_alloc(req, data, nr);
}

/*
 * Prepare the I/O of a valid request: check it against its zone, allocate the
 * response, and read the ranges or map or bounce the data.
 *
 * Return: 0; -EBUSY if the request has to wait for bounce pages; or another
 * negative errno.  req->status is set if the request fails otherwise.
 */
static int vblk_prepare(struct vhost_blk_req *req, struct vhost_blk_chain *chain,
			const struct vhost_blk_limits *limits)
{
	const struct iovec *data;
	unsigned int nr;
	int ret = 0;

	req->io = (struct vhost_blk_io){
		.op = req->cmd.op,
		.pos = req->cmd.pos,
		.len = req->cmd.len,
		.bvec = req->io.bvec,
		.ioprio = req->q->ioprio,
		.fua = req->q->writethrough,
	};
	req->status = vhost_blk_zone_check(req, limits);
	if (req->status != VIRTIO_BLK_S_OK)
		return 0;
	if (req->cmd.response)
		ret = vhost_blk_response_alloc(req, chain->in, chain->nr_in);
	if (ret || !req->cmd.len)
		return ret;
	data = vblk_data_of(chain, &req->cmd, &nr);
	if (vhost_blk_op_has_ranges(req->cmd.op))
		return vhost_blk_read_ranges(req, limits, data, nr);
	if (req->bounced)
		return vhost_blk_bounce_start(req);
	ret = vhost_blk_map(req, data, nr);
	/* Maybe another guest has pinned a page that both share: copy the data. */
	if (unlikely(ret == -EBUSY) &&
	    vhost_blk_bounce_reserve(req, &req->cmd, data, nr)) {
		req->bounced = true;
		ret = vhost_blk_bounce_start(req);
	}
	return ret;
}

/*
 * Undo vblk_begin_req() for a request that has to wait for bounce pages, which
 * other requests of the queue have.  The next attempt does not pin its pages
 * again.
 */
static int vblk_put_back(struct vhost_blk_req *req)
{
	struct vhost_blk_queue *q = req->q;

	kvfree(req->response);
	req->response = NULL;
	vhost_blk_untrack_writes(req);
	WRITE_ONCE(q->inflight, q->inflight - 1);
	q->inflight_bytes -= req->cmd.len;
	req->busy = false;
	q->bounce_next = true;
	return -EAGAIN;
}

/*
 * Execute a request after vblk_prepare(), or complete it with @error or a
 * status other than VIRTIO_BLK_S_OK.  Ends in vhost_blk_req_done(), maybe later.
 */
static void vblk_execute(struct vhost_blk_req *req, int error)
{
	const struct vhost_blk_cmd *cmd = &req->cmd;

	if (error || req->status != VIRTIO_BLK_S_OK) {
		if (!error)
			req->taken_ns = 0;
		vhost_blk_req_done(req, error);
		return;
	}
	if (cmd->op == VHOST_BLK_OP_GET_ID) {
		if (req->response)
			vhost_blk_response_set(req, req->be->serial,
					       VHOST_BLK_SERIAL_LEN);
		vhost_blk_req_done(req, 0);
		return;
	}
	if (vhost_blk_op_moves_data(cmd->op) && !cmd->len) {
		vhost_blk_req_done(req, 0);
		return;
	}
	vhost_blk_backend_submit(req);
}

/*
 * Check the limits on bytes in flight, and reserve bounce pages if @bounced.
 * Succeeds if no other request of the queue is in flight.
 */
static bool vblk_admit(struct vhost_blk_req *req, const struct vhost_blk_cmd *cmd,
		       const struct vhost_blk_chain *chain, bool bounced)
{
	struct vhost_blk_queue *q = req->q;
	const struct iovec *data;
	unsigned int nr;

	if (q->inflight &&
	    q->inflight_bytes + cmd->len > VHOST_BLK_MAX_INFLIGHT_BYTES)
		return false;
	if (likely(!bounced))
		return true;
	data = vblk_data_of(chain, cmd, &nr);
	return vhost_blk_bounce_reserve(req, cmd, data, nr);
}

/* Count a request as in flight. */
static void vblk_begin_req(struct vhost_blk_req *req, struct vhost_blk_be *be,
			   const struct vhost_blk_cmd *cmd, u8 status)
{
	struct vhost_blk_queue *q = req->q;

	q->bounce_next = false;
	req->busy = true;
	req->be = be;
	req->cmd = *cmd;
	req->status = status;
	WRITE_ONCE(q->inflight, q->inflight + 1);
	q->inflight_bytes += cmd->len;
}

/**
 * struct vblk_round - chains that the worker takes from a queue in one round
 * @requests: number of chains taken
 * @bytes: bytes of their data
 * @until: end of the round, in jiffies
 * @now_ns: time of ktime_get_ns() at one of the last chains, for the counters
 */
struct vblk_round {
	unsigned int requests;
	u64 bytes;
	unsigned long until;
	u64 now_ns;
};

/*
 * Start the request of a chain.
 *
 * Return: 0; -EAGAIN if the request has to wait, then the caller must put the
 * chain back; or another negative errno if the chain cannot be completed, then
 * the queue is broken.
 */
static int vblk_handle_chain(struct vhost_blk_queue *q, struct vhost_blk_be *be,
			     unsigned int head, struct vhost_blk_chain *chain,
			     struct vblk_round *round)
{
	u64 readable = vhost_blk_iov_len(chain->out, chain->nr_out);
	u64 writable = vhost_blk_iov_len(chain->in, chain->nr_in);
	u8 __user *slot = vhost_blk_status_slot(chain->in, chain->nr_in);
	struct vhost_blk_limits limits = { .op_mask = q->op_mask };
	struct vhost_blk_header hdr = {};
	struct vhost_blk_cmd cmd;
	struct vhost_blk_req *req;
	bool bounced = false;
	u8 status;
	int ret = 0;

	req = &q->reqs[array_index_nospec(head, q->nr_reqs)];
	if (req->busy || !slot) {
		vhost_blk_break(q, slot ? VHOST_BLK_BREAK_HEAD_BUSY :
					  VHOST_BLK_BREAK_NO_STATUS, 0);
		return -EINVAL;
	}
	if (q->tracking) {
		ret = vhost_blk_track_writes(req, chain->in, chain->nr_in);
		if (ret)
			return ret;
	}

	vhost_blk_backend_limits(be, &limits);
	status = vhost_blk_parse(vblk_read_header(q, chain->nr_out, readable, &hdr),
				 readable, writable + chain->unmapped, &limits,
				 &cmd);
	if (status == VIRTIO_BLK_S_OK) {
		vhost_blk_trim_chain(chain, &cmd);
		bounced = vblk_choose_bounce(req, be, &cmd, chain);
		if (!vblk_admit(req, &cmd, chain, bounced)) {
			vhost_blk_unmap(req);
			vhost_blk_untrack_writes(req);
			return -EAGAIN;
		}
	}

	if (round->requests % VBLK_CLOCK_CHAINS == VBLK_CLOCK_CHAINS - 1)
		round->now_ns = ktime_get_ns();
	vblk_begin_req(req, be, &cmd, status);
	req->taken_ns = round->now_ns;
	req->bounced = bounced;
	req->status_slot = slot;
	if (status == VIRTIO_BLK_S_OK)
		ret = vblk_prepare(req, chain, &limits);
	if (unlikely(ret == -EBUSY))
		return vblk_put_back(req);
	round->requests++;
	round->bytes += cmd.len;
	trace_vhost_blk_request(q, head, hdr.type, hdr.sector, status);
	vblk_execute(req, ret);
	return 0;
}

/*
 * Get the next chain.
 *
 * Return: its head; vq->num if the ring is empty; -EAGAIN if the VMM has been
 * asked for a mapping (IOTLB miss); or another negative errno if the queue must
 * break.
 */
static int vblk_get_chain(struct vhost_blk_queue *q,
			  struct vhost_blk_chain *chain)
{
	struct vhost_log *log = q->tracking ? q->track->log : NULL;
	struct eventfd_ctx *error_ctx = q->vq.error_ctx;
	unsigned int nr_log;
	int head, ret;

	/*
	 * The core signals the error eventfd for every error.  Suppress that,
	 * because not every error breaks the queue; vhost_blk_break() signals
	 * those that do.
	 */
	q->vq.error_ctx = NULL;
	head = vhost_get_vq_desc(&q->vq, q->iov, VHOST_BLK_MAX_IOV,
				 &chain->nr_out, &chain->nr_in, log, &nr_log);
	q->vq.error_ctx = error_ctx;
	chain->unmapped = 0;
	if (unlikely(head < 0 && head != -EAGAIN)) {
		ret = vhost_blk_unmapped_chain(q, chain);
		/*
		 * On failure keep the errno of the core, which is more
		 * specific.
		 */
		if (ret >= 0)
			head = ret;
	}
	chain->out = q->iov;
	chain->in = q->iov + chain->nr_out;
	return head;
}

/*
 * Check whether the worker may take another chain.
 *
 * When a worker is killed, the vhost core runs the work that is left once more,
 * after it has detached the queues and taken the signal.  Take no chains then.
 */
static bool vblk_may_take(const struct vhost_blk_queue *q)
{
	return vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_RUNNING &&
	       !fatal_signal_pending(current) && vhost_blk_vq_has_worker(&q->vq);
}

/* Check whether the share of the worker, or the time of a round, is over. */
static bool vblk_round_over(struct vhost_virtqueue *vq,
			    const struct vblk_round *round)
{
	if (time_after(jiffies, round->until)) {
		vhost_poll_queue(&vq->poll);
		return true;
	}
	return vhost_exceeds_weight(vq, round->requests,
				    min_t(u64, round->bytes, INT_MAX));
}

/*
 * Get the chain of the first parked request, and take it off the list.
 *
 * Return: as vblk_get_chain().
 */
static noinline int vblk_get_parked(struct vhost_blk_queue *q,
				    struct vhost_blk_chain *chain)
{
	unsigned int head = vhost_blk_first_parked(q);
	int ret = vhost_blk_read_chain(q, head, chain);

	if (ret)
		return ret;
	vhost_blk_unpark_first(q);
	return head;
}

/*
 * Undo the taking of a chain whose request was not started because of @error.
 * A chain of the ring that breaks the queue is not taken again.
 */
static void vblk_return_chain(struct vhost_blk_queue *q, unsigned int head,
			      bool parked, int error)
{
	if (parked)
		vhost_blk_park_first(q, head);
	else if (error == -EAGAIN)
		vhost_discard_vq_desc(&q->vq, 1, 0);
	/* Completions queue poll.work: notifications stay off. */
	if (error == -EAGAIN)
		q->throttled = true;
}

/*
 * Update the polling time.  The guest has made a chain available, and
 * q->idle_since is not 0.
 */
static void vblk_poll_hit(struct vhost_blk_queue *q)
{
	u64 took, timeout;

	timeout = vhost_blk_poll_timeout_ns(q);
	took = ktime_get_ns() - q->idle_since;
	q->idle_since = 0;
	if (took > timeout)
		q->poll_ns = 0;
	else
		q->poll_ns = clamp(2 * took, min(VBLK_POLL_MIN_NS, timeout),
				   timeout);
}

/*
 * Take chains, first those of parked requests, until the ring is empty, the
 * weight of the vhost core is exceeded or the time of the round is over.  The
 * time is limited because each of a thousand chains may have an indirect table
 * with thousands of descriptors, while ioctls of the VMM wait for the mutex.
 *
 * Return: true if the ring is empty.
 */
static bool vblk_handle_chains(struct vhost_blk_queue *q, struct vhost_blk_be *be,
			       struct vblk_round *round)
{
	struct vhost_virtqueue *vq = &q->vq;
	struct vhost_blk_chain chain;
	int head, ret;
	bool parked;

	vhost_disable_notify(vq->dev, vq);
	do {
		if (!vblk_may_take(q))
			break;
		cond_resched();
		parked = q->parked.nr;
		head = unlikely(parked) ? vblk_get_parked(q, &chain) :
					  vblk_get_chain(q, &chain);
		/*
		 * The VMM has been asked for a mapping.  Its update queues
		 * poll.work.
		 */
		if (head == -EAGAIN)
			break;
		if (head < 0) {
			vhost_blk_break(q, VHOST_BLK_BREAK_CHAIN, head);
			break;
		}
		if (head == vq->num)
			return true;
		if (q->idle_since)
			vblk_poll_hit(q);
		ret = vblk_handle_chain(q, be, head, &chain, round);
		if (ret) {
			vblk_return_chain(q, head, parked, ret);
			break;
		}
	} while (!vblk_round_over(vq, round));
	return false;
}

/*
 * Poll an empty ring from *@now until @slice_end, and set *@now to the end.
 *
 * Return: 1 if a chain or a completion is pending; 0 if another task wants the
 * CPU; -EAGAIN if the worker has other work or the slice is over.
 */
static int vblk_poll_slice(struct vhost_blk_queue *q, u64 *now, u64 slice_end)
{
	struct vhost_virtqueue *vq = &q->vq;

	for (; *now < slice_end; *now = ktime_get_ns()) {
		if (!llist_empty(&q->done) ||
		    !vhost_vq_avail_empty(vq->dev, vq))
			return 1;
		if (vhost_vq_has_work(vq))
			break;
		if (!single_task_running() || need_resched())
			return 0;
		cpu_relax();
	}
	return -EAGAIN;
}

/*
 * Poll an empty ring.  Notifications are off, and no plug is held.
 *
 * Return: 1 if a chain or a completion is pending; 0 if notifications must be
 * enabled; -EAGAIN if the worker has other work or a slice is over, then
 * poll.work is queued.
 */
static int vblk_poll_ring(struct vhost_blk_queue *q)
{
	u64 window = min(q->poll_ns, vhost_blk_poll_timeout_ns(q));
	u64 begin, now, end;
	int ret;

	if (!window)
		return 0;
	begin = ktime_get_ns();
	if (!q->idle_since)
		q->idle_since = begin;
	end = q->idle_since + window;
	now = begin;
	ret = vblk_poll_slice(q, &now, min(end, now + VBLK_POLL_SLICE_NS));
	vhost_blk_count(q, &q->counters->polls, 1);
	vhost_blk_count(q, &q->counters->poll_hits, ret == 1);
	vhost_blk_count(q, &q->counters->poll_ns, now - begin);
	if (ret >= 0)
		return ret;
	if (now >= end)
		return 0;
	vhost_poll_queue(&q->vq.poll);
	return -EAGAIN;
}

/*
 * Check whether the guest has added chains to an empty ring.
 *
 * Return: true if so.  Otherwise notifications are on, or poll.work is queued.
 */
static bool vblk_ring_refilled(struct vhost_blk_queue *q)
{
	int ret = vblk_poll_ring(q);

	if (ret)
		return ret > 0;
	return vhost_enable_notify(q->vq.dev, &q->vq);
}

/* Take chains with one plug for all of them, see vblk_handle_chains(). */
static bool vblk_handle_plugged(struct vhost_blk_queue *q, struct vhost_blk_be *be,
				struct vblk_round *round)
{
	struct blk_plug plug;
	bool empty;

	round->now_ns = ktime_get_ns();
	blk_start_plug(&plug);
	empty = vblk_handle_chains(q, be, round);
	blk_finish_plug(&plug);
	return empty;
}

/* Serve a running queue for one round. */
static void vblk_handle_ring(struct vhost_blk_queue *q, struct vhost_blk_be *be)
{
	struct vblk_round round = { .until = jiffies + 1 };
	unsigned int rounds = 0;
	bool empty;

	q->throttled = false;
	q->ioprio = get_current_ioprio();
	vhost_blk_batch_begin(q);
	/*
	 * Limit the iterations: a guest that keeps adding chains could keep the
	 * worker here.
	 */
	do {
		empty = vblk_handle_plugged(q, be, &round);
		vhost_blk_process_done(q);
	} while (empty && vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_RUNNING &&
		 vblk_ring_refilled(q) &&
		 !vhost_exceeds_weight(&q->vq, ++rounds, 0));
	vhost_blk_batch_end(q);
	vhost_blk_count(q, &q->counters->rounds, 1);
	trace_vhost_blk_kick(q, round.requests, round.bytes);
}

/**
 * vhost_blk_handle_kick - serve a queue after a kick
 * @work: vhost_virtqueue.poll.work of the queue
 *
 * Also runs if the driver queues the work to continue with the ring.
 *
 * Context: The worker.  Takes the mutex of the virtqueue and iotlb_sem.
 */
void vhost_blk_handle_kick(struct vhost_work *work)
{
	struct vhost_virtqueue *vq = container_of(work, struct vhost_virtqueue,
						  poll.work);
	struct vhost_blk_queue *q = to_vhost_blk_queue(vq);
	struct vhost_blk_be *be;
	struct vhost_blk_saved_identity saved;

	mutex_lock(&vq->mutex);
	vhost_blk_iotlb_lock(q);
	if (vq->iotlb) {
		vhost_blk_iotlb_drop_misses(q);
		/* Entries from a time when the used ring was not mapped. */
		vhost_blk_flush_used(q);
	}
	if (vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_RUNNING &&
	    vq_meta_prefetch(vq)) {
		/*
		 * Does not change while the mutex is held, see
		 * vhost_blk_pause().
		 */
		be = to_vhost_blk(q)->be;
		vhost_blk_assume_identity(&saved, &be->identity);
		vblk_handle_ring(q, be);
		vhost_blk_restore_identity(&saved);
	}
	vhost_blk_iotlb_unlock(q);
	mutex_unlock(&vq->mutex);
}
