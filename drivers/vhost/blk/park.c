// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decides what happens to requests whose I/O has failed, by the policy of
 * VHOST_BLK_SET_ERROR_POLICY, and keeps the list of parked requests.
 *
 * Of a parked request only the descriptor head is kept.  It is not in flight:
 * nothing of its memory is pinned, and a stop does not wait for it.  The next
 * start reads its chain again and executes it as a new request.
 */
#include <linux/bitmap.h>
#include <linux/errseq.h>
#include <linux/eventfd.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "internal.h"
#include "trace.h"

/*
 * Check whether the policy applies to an error.  Errors of zone requests are
 * reported, because most can have no other reason than the request itself, and
 * an append that is done twice leaves its data in the zone twice.  Guest memory
 * that cannot be accessed is an error of the guest.
 */
static bool vblk_policy_applies(enum vhost_blk_op op, int error)
{
	switch (op) {
	case VHOST_BLK_OP_READ:
	case VHOST_BLK_OP_WRITE:
	case VHOST_BLK_OP_FLUSH:
	case VHOST_BLK_OP_DISCARD:
	case VHOST_BLK_OP_WRITE_ZEROES:
	case VHOST_BLK_OP_SECURE_ERASE:
		return error != -EFAULT;
	default:
		return false;
	}
}

/*
 * Check whether a stable write must fail again, because data of it or of other
 * writes is lost: an error of writeback of a file, or a failed flush, which
 * zeroes end with.  The guest has to learn that, as it does from a flush that
 * fails.
 */
static bool vblk_lost_data(const struct vhost_blk_req *req)
{
	const struct vhost_blk_be *be = req->be;
	bool zeroes = req->cmd.op == VHOST_BLK_OP_WRITE_ZEROES;

	if (!req->io.fua || (!zeroes && req->cmd.op != VHOST_BLK_OP_WRITE))
		return false;
	if (zeroes && READ_ONCE(be->flush_error))
		return true;
	return !be->bdev && errseq_check(&be->mapping->wb_err, be->wb_err);
}

/*
 * Check whether an error may be ignored.  With ECANCELED (an ioctl was waiting)
 * and ENOMEM the device itself has given up a request, maybe before any I/O.
 */
static bool vblk_may_ignore(int error)
{
	return error != -ECANCELED && error != -ENOMEM;
}

/**
 * vhost_blk_choose_action - get the action for a failed request
 * @policy: the policy
 * @op: operation of the request
 * @error: negative errno that the guest would see as VIRTIO_BLK_S_IOERR
 *
 * A failed flush is reported: it fails again until a backend is attached, and the
 * data of completed writes may be lost then.
 *
 * Return: the action; VHOST_BLK_ERROR_REPORT if the policy does not apply.
 */
enum vhost_blk_error_action
vhost_blk_choose_action(const struct vhost_blk_error_policy *policy,
			enum vhost_blk_op op, int error)
{
	bool nospace = error == -ENOSPC;
	enum vhost_blk_error_action action;

	if (!vblk_policy_applies(op, error) || op == VHOST_BLK_OP_FLUSH)
		return VHOST_BLK_ERROR_REPORT;
	if (op == VHOST_BLK_OP_READ)
		action = nospace ? policy->read_nospace : policy->read;
	else
		action = nospace ? policy->write_nospace : policy->write;
	if (action == VHOST_BLK_ERROR_IGNORE && !vblk_may_ignore(error))
		return VHOST_BLK_ERROR_REPORT;
	return action;
}

/* Get the index in q->parked.heads of the parked request number @i. */
static unsigned int vblk_slot(const struct vhost_blk_parked *parked, unsigned int i)
{
	return (parked->first + i) & (parked->size - 1);
}

/*
 * Add a request to the list.  There is room for it: the list has an element for
 * each head, and no head is in it twice, because it is in flight or parked.
 */
static void vblk_park(struct vhost_blk_req *req)
{
	struct vhost_blk_queue *q = req->q;
	struct vhost_blk_parked *parked = &q->parked;

	parked->heads[vblk_slot(parked, parked->nr)] = req->head;
	WRITE_ONCE(parked->nr, parked->nr + 1);
	vhost_blk_queue_event(q, VHOST_BLK_EVENT_PARK);
}

/* Describe a failure to the VMM.  error_lock is held. */
static void vblk_record_failure(const struct vhost_blk_req *req,
				enum vhost_blk_error_action action)
{
	struct vhost_blk_queue *q = req->q;

	q->failures++;
	if (q->failure.error && q->failure.action == VHOST_BLK_ERROR_PARK)
		return;
	q->failure = (struct vhost_blk_failure){
		.sector = req->cmd.pos >> SECTOR_SHIFT,
		.type = req->cmd.op,
		.error = req->error,
		.action = action,
	};
}

/**
 * vhost_blk_req_failed - apply the error policy to a request
 * @req: the request, whose req->error the guest would see as VIRTIO_BLK_S_IOERR;
 *	the mutex of its queue is held
 *
 * Parks the request if that is the action, and signals the eventfd.
 *
 * Return: the action.
 */
enum vhost_blk_error_action vhost_blk_req_failed(struct vhost_blk_req *req)
{
	struct vhost_blk *blk = to_vhost_blk(req->q);
	enum vhost_blk_error_action action;

	if (!vblk_policy_applies(req->cmd.op, req->error))
		return VHOST_BLK_ERROR_REPORT;
	spin_lock(&blk->error_lock);
	action = vhost_blk_choose_action(&blk->error_policy, req->cmd.op,
					 req->error);
	if (vblk_lost_data(req))
		action = VHOST_BLK_ERROR_REPORT;
	trace_vhost_blk_failed(req->q, req->head, req->error, action);
	vblk_record_failure(req, action);
	if (action == VHOST_BLK_ERROR_PARK)
		vblk_park(req);
	if (blk->error_call)
		eventfd_signal(blk->error_call);
	spin_unlock(&blk->error_lock);
	return action;
}

/**
 * vhost_blk_first_parked - get the parked request that is retried next
 * @q: the queue, which has parked requests; its mutex is held
 *
 * Return: its head, which is less than the size of the queue.
 */
unsigned int vhost_blk_first_parked(const struct vhost_blk_queue *q)
{
	return q->parked.heads[q->parked.first];
}

/**
 * vhost_blk_unpark_first - remove the first request from the list
 * @q: the queue, which has parked requests; its mutex is held
 */
void vhost_blk_unpark_first(struct vhost_blk_queue *q)
{
	q->parked.first = vblk_slot(&q->parked, 1);
	WRITE_ONCE(q->parked.nr, q->parked.nr - 1);
}

/**
 * vhost_blk_park_first - put a request back at the start of the list
 * @q: the queue, its mutex held
 * @head: the head that vhost_blk_unpark_first() has removed
 */
void vhost_blk_park_first(struct vhost_blk_queue *q, unsigned int head)
{
	struct vhost_blk_parked *parked = &q->parked;

	parked->first = vblk_slot(parked, parked->size - 1);
	parked->heads[parked->first] = head;
	WRITE_ONCE(parked->nr, parked->nr + 1);
}

/**
 * vhost_blk_prepare_parking - make room for all requests of a queue
 * @q: the queue, stopped, its mutex held
 *
 * Return: 0, -ENOMEM, or -EINVAL if a parked head is not one of the queue.
 */
int vhost_blk_prepare_parking(struct vhost_blk_queue *q)
{
	struct vhost_blk_parked *old = &q->parked;
	struct vhost_blk_parked new = { .size = q->vq.num, .nr = old->nr };
	unsigned int i;

	if (new.size == old->size)
		return 0;
	for (i = 0; i < old->nr; i++)
		if (old->heads[vblk_slot(old, i)] >= new.size)
			return -EINVAL;
	new.heads = kvmalloc_array(new.size, sizeof(*new.heads), VHOST_BLK_GFP);
	if (!new.heads)
		return -ENOMEM;
	/* The heads are different, so they fit. */
	for (i = 0; i < old->nr; i++)
		new.heads[i] = old->heads[vblk_slot(old, i)];
	kvfree(old->heads);
	*old = new;
	return 0;
}

/**
 * vhost_blk_free_parked - forget the parked requests and failures of a queue
 * @q: the queue, stopped, and not in use by any thread but
 *	VHOST_BLK_GET_VRING_INFO
 */
void vhost_blk_free_parked(struct vhost_blk_queue *q)
{
	struct vhost_blk *blk = to_vhost_blk(q);

	kvfree(q->parked.heads);
	WRITE_ONCE(q->parked.nr, 0);
	q->parked.heads = NULL;
	q->parked.size = 0;
	spin_lock(&blk->error_lock);
	q->failures = 0;
	q->failure.error = 0;
	spin_unlock(&blk->error_lock);
}

/**
 * vhost_blk_forget_failure - forget which request has failed
 * @q: the queue, about to start
 */
void vhost_blk_forget_failure(struct vhost_blk_queue *q)
{
	struct vhost_blk *blk = to_vhost_blk(q);

	spin_lock(&blk->error_lock);
	q->failure.error = 0;
	spin_unlock(&blk->error_lock);
}

/**
 * vhost_blk_get_failure - describe the failures of a queue
 * @q: the queue
 * @info: fields that begin with "fail" are filled in
 */
void vhost_blk_get_failure(struct vhost_blk_queue *q,
			   struct vhost_blk_vring_info *info)
{
	struct vhost_blk *blk = to_vhost_blk(q);

	spin_lock(&blk->error_lock);
	info->failures = q->failures;
	if (q->failure.error) {
		info->failed_sector = q->failure.sector;
		info->failed_type = q->failure.type;
		info->failed_error = q->failure.error;
		info->failed_action = q->failure.action;
	}
	spin_unlock(&blk->error_lock);
}

/**
 * vhost_blk_error_init - initialize the error policy
 * @blk: the device, zeroed
 */
void vhost_blk_error_init(struct vhost_blk *blk)
{
	/* The policy is zeroed, which reports all errors. */
	BUILD_BUG_ON(VHOST_BLK_ERROR_REPORT);
	spin_lock_init(&blk->error_lock);
}

/* Replace the policy.  @ctx: the eventfd, with a reference, or NULL */
static void vblk_replace_policy(struct vhost_blk *blk,
				const struct vhost_blk_error_policy *policy,
				struct eventfd_ctx *ctx)
{
	spin_lock(&blk->error_lock);
	blk->error_policy = *policy;
	swap(blk->error_call, ctx);
	spin_unlock(&blk->error_lock);
	if (ctx)
		eventfd_ctx_put(ctx);
}

/**
 * vhost_blk_error_reset - report all errors, as before the first policy
 * @blk: the device, all its queues stopped
 */
void vhost_blk_error_reset(struct vhost_blk *blk)
{
	static const struct vhost_blk_error_policy report;

	vblk_replace_policy(blk, &report, NULL);
}

static bool vblk_is_action(u32 action)
{
	return action <= VHOST_BLK_ERROR_PARK;
}

/**
 * vhost_blk_set_error_policy - VHOST_BLK_SET_ERROR_POLICY
 * @blk: the device, its mutex held
 * @argp: struct vhost_blk_error_policy
 *
 * Return: 0 or a negative errno.
 */
long vhost_blk_set_error_policy(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_blk_error_policy policy;
	struct eventfd_ctx *ctx = NULL;

	if (copy_from_user(&policy, argp, sizeof(policy)))
		return -EFAULT;
	if (!vblk_is_action(policy.read) || !vblk_is_action(policy.read_nospace) ||
	    !vblk_is_action(policy.write) || !vblk_is_action(policy.write_nospace) ||
	    memchr_inv(policy.reserved, 0, sizeof(policy.reserved)))
		return -EINVAL;
	if (policy.fd != VHOST_FILE_UNBIND)
		ctx = eventfd_ctx_fdget(policy.fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	vblk_replace_policy(blk, &policy, ctx);
	return 0;
}

/*
 * Copy the argument of an ioctl for the list of a queue, which must be stopped.
 * Return: the queue or an ERR_PTR.
 */
static struct vhost_blk_queue *vblk_parked_arg(struct vhost_blk *blk,
					       void __user *argp,
					       struct vhost_blk_vring_parked *arg)
{
	struct vhost_blk_queue *q;

	if (copy_from_user(arg, argp, sizeof(*arg)))
		return ERR_PTR(-EFAULT);
	if (memchr_inv(arg->reserved, 0, sizeof(arg->reserved)))
		return ERR_PTR(-EINVAL);
	q = vhost_blk_queue_at(blk, arg->index);
	if (!q)
		return ERR_PTR(-ENOBUFS);
	/* Only ioctls start a queue, and they need dev.mutex. */
	return vhost_blk_stopped(q) ? q : ERR_PTR(-EBUSY);
}

/**
 * vhost_blk_get_vring_parked - VHOST_BLK_GET_VRING_PARKED
 * @blk: the device, its mutex held
 * @argp: struct vhost_blk_vring_parked
 *
 * Return: 0 or a negative errno.
 */
long vhost_blk_get_vring_parked(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_blk_vring_parked arg;
	struct vhost_blk_queue *q = vblk_parked_arg(blk, argp, &arg);
	u16 __user *to = u64_to_user_ptr(arg.heads);
	unsigned int i, room;
	long ret = 0;

	if (IS_ERR(q))
		return PTR_ERR(q);
	if (mutex_lock_killable(&q->vq.mutex))
		return -EINTR;
	room = min(arg.count, q->parked.nr);
	arg.count = q->parked.nr;
	for (i = 0; i < room && !ret; i++)
		ret = put_user(q->parked.heads[vblk_slot(&q->parked, i)], to + i);
	mutex_unlock(&q->vq.mutex);
	if (!ret && copy_to_user(argp, &arg, sizeof(arg)))
		ret = -EFAULT;
	return ret;
}

/* Check that all heads are different and less than @num. */
static bool vblk_heads_ok(const u16 *heads, unsigned int count, unsigned int num)
{
	DECLARE_BITMAP(found, VHOST_BLK_MAX_QUEUE_SIZE) = {};
	unsigned int i;

	for (i = 0; i < count; i++)
		if (heads[i] >= num || __test_and_set_bit(heads[i], found))
			return false;
	return true;
}

/* Replace the list of a stopped queue.  Return: 0, -EINTR or -ENOMEM. */
static long vblk_replace_parked(struct vhost_blk_queue *q, const u16 *heads,
				unsigned int count)
{
	long ret;

	if (mutex_lock_killable(&q->vq.mutex))
		return -EINTR;
	WRITE_ONCE(q->parked.nr, 0);
	ret = vhost_blk_prepare_parking(q);
	if (!ret) {
		memcpy(q->parked.heads, heads, count * sizeof(*heads));
		q->parked.first = 0;
		WRITE_ONCE(q->parked.nr, count);
	}
	mutex_unlock(&q->vq.mutex);
	return ret;
}

/**
 * vhost_blk_set_vring_parked - VHOST_BLK_SET_VRING_PARKED
 * @blk: the device, its mutex held
 * @argp: struct vhost_blk_vring_parked
 *
 * Return: 0 or a negative errno.
 */
long vhost_blk_set_vring_parked(struct vhost_blk *blk, void __user *argp)
{
	struct vhost_blk_vring_parked arg;
	struct vhost_blk_queue *q = vblk_parked_arg(blk, argp, &arg);
	long ret = 0;
	u16 *heads;

	if (IS_ERR(q))
		return PTR_ERR(q);
	if (q->vq.num > VHOST_BLK_MAX_QUEUE_SIZE || arg.count > q->vq.num)
		return -EINVAL;
	heads = kmalloc_array(arg.count, sizeof(*heads), VHOST_BLK_GFP);
	if (!heads)
		return -ENOMEM;
	if (copy_from_user(heads, u64_to_user_ptr(arg.heads),
			   arg.count * sizeof(*heads)))
		ret = -EFAULT;
	else if (!vblk_heads_ok(heads, arg.count, q->vq.num))
		ret = -EINVAL;
	else
		ret = vblk_replace_parked(q, heads, arg.count);
	kfree(heads);
	return ret;
}
