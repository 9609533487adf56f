// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device answers besides data and status: its id, a zone report, where
 * an append went.  It is made in kernel memory, in any context, and copied to
 * the guest by the worker.
 */
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uio.h>

#include "blk.h"

/**
 * vhost_blk_reply_prepare - make room for an answer
 * @req: its cmd is set
 * @iov: where it goes to, cmd.reply bytes
 * @nr: segments in @iov
 *
 * Return: 0 or -ENOMEM; req->reply is to be freed in either case.
 */
int vhost_blk_reply_prepare(struct vhost_blk_req *req, const struct iovec *iov,
			    unsigned int nr)
{
	struct vhost_blk_reply *reply;
	size_t head = struct_size(reply, iov, nr);

	/* What isn't filled in must not be an old secret. */
	reply = kvzalloc(head + req->cmd.reply,
			 GFP_NOIO | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!reply)
		return -ENOMEM;
	reply->buf = (void *)reply + head;
	reply->nr_iov = nr;
	memcpy(reply->iov, iov, nr * sizeof(*iov));
	req->reply = reply;
	return 0;
}

/**
 * vhost_blk_reply_set - the answer is a copy of something
 * @req: has a reply
 * @from: the answer
 * @len: its length; what is beyond the room is cut off
 */
void vhost_blk_reply_set(struct vhost_blk_req *req, const void *from, u32 len)
{
	req->reply->len = min(len, req->cmd.reply);
	memcpy(req->reply->buf, from, req->reply->len);
}

/**
 * vhost_blk_reply_send - copy the answer to the guest
 * @req: done, in the worker
 *
 * Return: 0 or -EFAULT.
 */
int vhost_blk_reply_send(struct vhost_blk_req *req)
{
	struct vhost_blk_reply *reply = req->reply;
	struct iov_iter iter;

	iov_iter_init(&iter, ITER_DEST, reply->iov, reply->nr_iov,
		      req->cmd.reply);
	if (copy_to_iter(reply->buf, reply->len, &iter) != reply->len)
		return -EFAULT;
	return 0;
}
