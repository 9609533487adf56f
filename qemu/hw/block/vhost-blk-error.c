/*
 * vhost-blk: requests whose I/O fails (werror and rerror)
 *
 * The kernel reports an error to the guest, ignores it, or parks the request
 * and retries it when the device is started again.  It signals an eventfd, and
 * this file does what virtio-blk would do: it sends BLOCK_IO_ERROR, sets the
 * I/O status of the drive and stops the machine.  "cont" starts the device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/virtio/vhost-blk.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"

/* Moved in QEMU 10.0 */
#if VHOST_BLK_QEMU >= 1000
#include "system/block-backend.h"
#else
#include "sysemu/block-backend.h"
#endif

#include <linux/vhost_blk.h>

/*
 * Make @blk handle errors as werror and rerror say; what they do not say is
 * left as -drive has it.
 */
void vhost_blk_set_on_error(VHostBlk *s, BlockBackend *blk)
{
    BlockdevOnError rerror = s->rerror;
    BlockdevOnError werror = s->werror;

    if (rerror == BLOCKDEV_ON_ERROR_AUTO) {
        rerror = blk_get_on_error(blk, true);
    }
    if (werror == BLOCKDEV_ON_ERROR_AUTO) {
        werror = blk_get_on_error(blk, false);
    }
    blk_set_on_error(blk, rerror, werror);
    blk_iostatus_enable(blk);
}

static uint32_t vhost_blk_kernel_action(BlockBackend *blk, bool is_read,
                                        int error)
{
    switch (blk_get_error_action(blk, is_read, error)) {
    case BLOCK_ERROR_ACTION_STOP:
        return VHOST_BLK_ERROR_PARK;
    case BLOCK_ERROR_ACTION_IGNORE:
        return VHOST_BLK_ERROR_IGNORE;
    default:
        return VHOST_BLK_ERROR_REPORT;
    }
}

/* Send the policy of @blk to the kernel.  Return 0 or a negative errno. */
int vhost_blk_sync_error_policy(VHostBlk *s, BlockBackend *blk)
{
    struct vhost_blk_error_policy policy = {
        .read = vhost_blk_kernel_action(blk, true, EIO),
        .read_nospace = vhost_blk_kernel_action(blk, true, ENOSPC),
        .write = vhost_blk_kernel_action(blk, false, EIO),
        .write_nospace = vhost_blk_kernel_action(blk, false, ENOSPC),
        .fd = event_notifier_get_fd(&s->error_notifier),
    };

    return vhost_blk_set_error_policy(s, &policy);
}

static BlockErrorAction vhost_blk_qemu_action(uint32_t action)
{
    switch (action) {
    case VHOST_BLK_ERROR_PARK:
        return BLOCK_ERROR_ACTION_STOP;
    case VHOST_BLK_ERROR_IGNORE:
        return BLOCK_ERROR_ACTION_IGNORE;
    default:
        return BLOCK_ERROR_ACTION_REPORT;
    }
}

/*
 * Report the failures of a queue since the last call, as one.  The kernel
 * forgets what has failed when the queue is started.
 */
static void vhost_blk_report_failures(VHostBlk *s, int index)
{
    struct vhost_blk_vring_info info;

    if (vhost_blk_get_vring_info(s, index, &info) < 0 ||
        info.failures == s->failures[index]) {
        return;
    }
    s->failures[index] = info.failures;
    blk_error_action(s->backend->blk, vhost_blk_qemu_action(info.failed_action),
                     info.failed_type == VIRTIO_BLK_T_IN,
                     info.failed_error ? -info.failed_error : EIO);
}

/* Also called when the device was stopped, before it may migrate. */
void vhost_blk_check_failures(VHostBlk *s)
{
    int i;

    for (i = 0; s->backend && i < s->num_queues; i++) {
        vhost_blk_report_failures(s, i);
    }
}

static void vhost_blk_request_failed(EventNotifier *n)
{
    VHostBlk *s = container_of(n, VHostBlk, error_notifier);

    if (event_notifier_test_and_clear(n)) {
        vhost_blk_check_failures(s);
    }
}

/* Forget the requests that the kernel would retry. */
void vhost_blk_drop_parked(VHostBlk *s)
{
    int i, ret;

    for (i = 0; i < s->num_queues; i++) {
        ret = vhost_blk_clear_parked(s, i);
        if (ret < 0) {
            error_report("vhost-blk: '%s': could not drop the failed requests "
                         "of queue %d: %s", s->backend->name, i,
                         strerror(-ret));
        }
    }
}

bool vhost_blk_init_errors(VHostBlk *s, Error **errp)
{
    int ret = event_notifier_init(&s->error_notifier, 0);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "could not create an eventfd for failed "
                         "requests");
        return false;
    }
    s->failures = g_new0(uint64_t, s->num_queues);
    event_notifier_set_handler(&s->error_notifier, vhost_blk_request_failed);
    return true;
}

void vhost_blk_cleanup_errors(VHostBlk *s)
{
    event_notifier_set_handler(&s->error_notifier, NULL);
    event_notifier_cleanup(&s->error_notifier);
    g_free(s->failures);
}
