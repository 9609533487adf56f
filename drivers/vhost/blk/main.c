// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost-blk: virtio-blk in the host kernel.  Module and device node.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/workqueue.h>

#include "blk.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct workqueue_struct *vhost_blk_wq;

static struct miscdevice vblk_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vhost-blk",
	.fops = &vhost_blk_fops,
};

static int __init vblk_init(void)
{
	int ret;

	/* Guests may be what memory is being written back to: WQ_MEM_RECLAIM. */
	vhost_blk_wq = alloc_workqueue("vhost_blk",
				       WQ_UNBOUND | WQ_MEM_RECLAIM | WQ_SYSFS,
				       0);
	if (!vhost_blk_wq)
		return -ENOMEM;

	/*
	 * Not WQ_MEM_RECLAIM: it frees address spaces, which may wait for
	 * anything.  What memory waits for is done before, elsewhere.
	 */
	vhost_blk_release_wq = alloc_workqueue("vhost_blk_end",
					       WQ_UNBOUND | WQ_SYSFS, WQ_MAX_ACTIVE);
	if (!vhost_blk_release_wq) {
		ret = -ENOMEM;
		goto destroy_wq;
	}

	ret = misc_register(&vblk_misc);
	if (ret)
		goto destroy_end_wq;
	return 0;

destroy_end_wq:
	destroy_workqueue(vhost_blk_release_wq);
destroy_wq:
	destroy_workqueue(vhost_blk_wq);
	return ret;
}
module_init(vblk_init);

static void __exit vblk_exit(void)
{
	misc_deregister(&vblk_misc);
	destroy_workqueue(vhost_blk_release_wq);
	destroy_workqueue(vhost_blk_wq);
}
module_exit(vblk_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Host kernel accelerator for virtio-blk");
