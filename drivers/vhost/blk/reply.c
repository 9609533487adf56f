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
 * vhost_blk_response_send - copy the answer to the guest
 * @req: done, in the worker
 *
 * Return: 0 or -EFAULT.
 */
int vhost_blk_response_send(struct vhost_blk_req *req)
{
	struct vhost_blk_response *response = req->response;
	struct iov_iter iter;

	iov_iter_init(&iter, ITER_DEST, response->iov, response->nr_iov,
		      req->cmd.response);
	if (copy_to_iter(response->buf, response->len, &iter) != response->len)
		return -EFAULT;
	return 0;
}
