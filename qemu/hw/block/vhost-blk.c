/*
 * vhost-blk: virtio-blk served by the host kernel's /dev/vhost-blk
 *
 * QEMU opens the backend, negotiates features and sets up the rings; the kernel
 * does the I/O.  Requests bypass QEMU's block layer, so only a drive that has
 * no image format, block jobs, throttling and the like is accepted: they would
 * silently not apply.
 *
 * The generic vhost ioctls are issued by QEMU's vhost core, those of
 * <linux/vhost_blk.h> by vhost-blk-kernel.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/block.h"
#include "hw/block/block.h"
#include "hw/qdev-properties.h"
#include "hw/qdev-properties-system.h"
#include "hw/virtio/vhost-blk.h"
#include "hw/virtio/vhost.h"
#include "hw/virtio/virtio-bus.h"
#include "hw/virtio/virtio.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "trace.h"

/* Moved in QEMU 10.0 */
#if VHOST_BLK_QEMU >= 1000
#include "system/block-backend.h"
#include "system/blockdev.h"
#include "system/runstate.h"
#include "system/system.h"
#else
#include "sysemu/block-backend.h"
#include "sysemu/blockdev.h"
#include "sysemu/runstate.h"
#include "sysemu/sysemu.h"
#endif

#include <linux/vhost_blk.h>

/* A request has at least a header, a status byte and data. */
#define VHOST_BLK_MIN_QUEUE_SIZE 4

/* The kernel accepts as many ranges in one discard. */
#define VHOST_BLK_MAX_DISCARD_SEGMENTS 256

/* The smallest page of an IOMMU, which may be smaller than the host's. */
#define VHOST_BLK_IOMMU_PAGE 4096

/* Suffix of the firmware path of the disk, after that of the PCI device. */
#define VHOST_BLK_BOOT_SUFFIX "/disk@0,0"

/*
 * Start and stop
 */

/*
 * Clear stale ring addresses: the current driver may use fewer queues than the
 * previous one did (SeaBIOS uses only the first).
 */
static int vhost_blk_clear_unused_vrings(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    int i, ret;

    for (i = 0; i < s->num_queues; i++) {
        if (virtio_queue_get_desc_addr(vdev, i)) {
            continue;
        }
        ret = vhost_blk_clear_vring_addr(s, i);
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

/* Start the queues, after vhost_dev_start() has set up the rings. */
static int vhost_blk_run(VHostBlk *s, Error **errp)
{
    int ret;

    ret = vhost_blk_clear_unused_vrings(s);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "could not clear the addresses of unused "
                         "queues");
        return ret;
    }
    ret = vhost_blk_sync_writeback(s);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "could not set the cache mode");
        return ret;
    }
    ret = vhost_blk_restore_requests(s);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "could not restore the parked requests");
        return ret;
    }
    /* The kernel also processes requests that are already in the rings. */
    ret = vhost_blk_set_running(s, 1);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "VHOST_BLK_SET_RUNNING failed");
    }
    return ret;
}

/*
 * vhost_virtqueue_stop() unmaps the rings of each queue that has an address,
 * mapped or not.  A driver can set an address later, so take it from queues that
 * are not mapped.
 */
static void vhost_blk_stop_dev(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    int i;

    for (i = 0; i < s->num_queues; i++) {
        if (!(s->mapped_queues & BIT_ULL(i))) {
            virtio_queue_set_rings(vdev, i, 0, 0, 0);
        }
    }
    s->mapped_queues = 0;
    vhost_dev_stop(&s->dev, vdev, true);
}

static int vhost_blk_start_dev(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    int i, ret;

    ret = vhost_dev_start(&s->dev, vdev, true);
    for (i = 0; ret >= 0 && i < s->num_queues; i++) {
        if (virtio_queue_get_desc_addr(vdev, i)) {
            s->mapped_queues |= BIT_ULL(i);
        }
    }
    return ret;
}

static int vhost_blk_start(VHostBlk *s, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    BusState *bus = qdev_get_parent_bus(DEVICE(s));
    VirtioBusClass *k = VIRTIO_BUS_GET_CLASS(bus);
    int ret;

    if (!k->set_guest_notifiers) {
        error_setg(errp, "the virtio transport does not support guest "
                   "notifiers");
        return -ENOSYS;
    }
    /* A legacy driver does not set FEATURES_OK, so check it here. */
    if (vhost_blk_validate_features(vdev) < 0) {
        error_setg(errp, "the driver did not negotiate VIRTIO_BLK_F_ZONED, "
                   "which a zoned backend requires");
        return -EINVAL;
    }
    ret = vhost_dev_enable_notifiers(&s->dev, vdev);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "could not enable host notifiers");
        return ret;
    }

    ret = k->set_guest_notifiers(bus->parent, s->num_queues, true);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "could not set up guest notifiers");
        goto disable_notifiers;
    }

    s->dev.acked_features = vhost_blk_acked_features(s);
    ret = vhost_blk_start_dev(s);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "could not set up the rings");
        goto unset_guest_notifiers;
    }

    ret = vhost_blk_run(s, errp);
    if (ret < 0) {
        goto stop_dev;
    }
    return 0;

stop_dev:
    vhost_blk_stop_dev(s);
unset_guest_notifiers:
    k->set_guest_notifiers(bus->parent, s->num_queues, false);
disable_notifiers:
    vhost_dev_disable_notifiers(&s->dev, vdev);
    return ret;
}

static void vhost_blk_preload_ring(VHostBlk *s, hwaddr addr, hwaddr size,
                                   bool write)
{
    hwaddr page = QEMU_ALIGN_DOWN(addr, VHOST_BLK_IOMMU_PAGE);

    for (; page < addr + size; page += VHOST_BLK_IOMMU_PAGE) {
        /* Pages that the guest has unmapped stay unmapped in the kernel. */
        vhost_device_iotlb_miss(&s->dev, page, write);
    }
}

/*
 * Load the IOTLB entries of the rings into the kernel before a stop.  The
 * thread that waits for the stop is the one that handles IOTLB misses, so it
 * could not handle those of the last completions.
 */
static void vhost_blk_preload_rings(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    int i;

    if (!virtio_bus_device_iommu_enabled(vdev) ||
        !virtio_vdev_has_feature(vdev, VIRTIO_F_IOMMU_PLATFORM)) {
        return;
    }
    for (i = 0; i < s->num_queues; i++) {
        struct vhost_virtqueue *vq = &s->vhost_vqs[i];

        if (virtio_queue_get_desc_addr(vdev, i)) {
            vhost_blk_preload_ring(s, vq->desc_phys, vq->desc_size, false);
            vhost_blk_preload_ring(s, vq->avail_phys, vq->avail_size, false);
            vhost_blk_preload_ring(s, vq->used_phys, vq->used_size, true);
        }
    }
}

/* Stop the queues, and wait until no request is in flight. */
int vhost_blk_pause(VHostBlk *s)
{
    vhost_blk_preload_rings(s);
    return vhost_blk_set_running(s, 0);
}

/*
 * Raise the interrupts of completions whose vectors the guest has masked.  They
 * are pending in the notifiers of the vhost core, which do not migrate; the
 * pending bits of the vectors do.
 */
static void vhost_blk_notify_masked(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    int i;

    if (vdev->vm_running) {
        return;
    }
    for (i = 0; i < s->num_queues; i++) {
        if (vhost_virtqueue_pending(&s->dev, i)) {
            virtio_notify(vdev, s->virtqs[i]);
        }
    }
}

static void vhost_blk_stop(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    BusState *bus = qdev_get_parent_bus(DEVICE(s));
    VirtioBusClass *k = VIRTIO_BUS_GET_CLASS(bus);
    int ret;

    /*
     * If the guest resets the device, it expects no completions, and may have
     * unmapped the rings.
     */
    ret = vdev->vm_running ? vhost_blk_set_running(s, 0) : vhost_blk_pause(s);
    trace_vhost_blk_stop(s->backend->name, ret);
    if (ret < 0) {
        error_report("vhost-blk: '%s': could not stop the device: %s",
                     s->backend->name, strerror(-ret));
    }
    vhost_blk_check_failures(s);
    vhost_blk_stop_dev(s);
    ret = k->set_guest_notifiers(bus->parent, s->num_queues, false);
    if (ret < 0) {
        error_report("vhost-blk: '%s': could not remove guest notifiers: %s",
                     s->backend->name, strerror(-ret));
    }
    vhost_blk_notify_masked(s);
    vhost_dev_disable_notifiers(&s->dev, vdev);
}

static void vhost_blk_report_start_error(void *opaque)
{
    VHostBlk *s = opaque;
    VirtIODevice *vdev = VIRTIO_DEVICE(s);

    /* Unless the driver has reset the device since. */
    if (vdev->broken && DEVICE(s)->realized) {
        virtio_error(vdev, "vhost-blk: '%s': could not start the device: %s",
                     s->backend->name, error_get_pretty(s->start_error));
    }
    error_free(s->start_error);
    s->start_error = NULL;
    object_unref(OBJECT(s));
}

/*
 * Start the device; if that fails, it is broken until the driver resets it.
 * DEVICE_NEEDS_RESET is set by a bottom half, because the caller of
 * vhost_blk_set_status() sets the status when that function returns.
 */
static void vhost_blk_try_start(VHostBlk *s)
{
    Error *err = NULL;
    int ret;

    ret = vhost_blk_start(s, &err);
    trace_vhost_blk_start(s->backend->name, ret);
    if (ret == 0) {
        return;
    }
    VIRTIO_DEVICE(s)->broken = true;
    if (s->start_error) {
        error_free(err);
        return;
    }
    s->start_error = err;
    object_ref(OBJECT(s));
    aio_bh_schedule_oneshot(qemu_get_aio_context(),
                            vhost_blk_report_start_error, s);
}

/* Called after the device was stopped: the driver knows no requests any more. */
static void vhost_blk_reset(VirtIODevice *vdev)
{
    VHostBlk *s = VHOST_BLK(vdev);

    vhost_blk_forget_requests(s);
    vhost_blk_drop_parked(s);
}

static bool vhost_blk_may_start(VHostBlk *s)
{
    return !VIRTIO_DEVICE(s)->broken && !s->unusable &&
           vhost_blk_node_is_active(s->backend);
}

static VHostBlkStatus vhost_blk_set_status(VirtIODevice *vdev, uint8_t status)
{
    VHostBlk *s = VHOST_BLK(vdev);
    /* A legacy driver may have started the device before DRIVER_OK. */
    bool kicked = vdev->vm_running && status && vdev->started;
    bool start = vhost_blk_may_start(s) &&
                 (kicked || virtio_device_should_start(vdev, status));

    if (start != vhost_dev_is_started(&s->dev)) {
        if (start) {
            vhost_blk_try_start(s);
        } else {
            vhost_blk_stop(s);
        }
    }
    return VHOST_BLK_STATUS_OK;
}

/* Only called before the start; afterwards, kicks go to the kernel. */
static void vhost_blk_handle_output(VirtIODevice *vdev, VirtQueue *vq)
{
    VHostBlk *s = VHOST_BLK(vdev);

    /* Some legacy drivers kick before they set DRIVER_OK. */
    if (vdev->start_on_kick && !vhost_dev_is_started(&s->dev) &&
        vhost_blk_may_start(s)) {
        vhost_blk_try_start(s);
    }
}

/* The driver resets one queue (VIRTIO_F_RING_RESET). */
static void vhost_blk_queue_reset(VirtIODevice *vdev, uint32_t index)
{
    VHostBlk *s = VHOST_BLK(vdev);
    int ret;

    if (!vhost_dev_is_started(&s->dev) || index >= s->num_queues ||
        !(s->mapped_queues & BIT_ULL(index))) {
        return;
    }
    ret = vhost_blk_set_vring_running(s, index, false);
    s->mapped_queues &= ~BIT_ULL(index);
    vhost_virtqueue_stop(&s->dev, vdev, &s->vhost_vqs[index], index);
    if (!ret) {
        ret = vhost_blk_drop_requests(s, index);
    }
    if (!ret) {
        ret = vhost_blk_clear_vring_addr(s, index);
    }
    if (ret < 0) {
        virtio_error(vdev, "vhost-blk: '%s': could not reset queue %u: %s",
                     s->backend->name, index, strerror(-ret));
    }
}

/* Also called before the device is started, which starts all queues. */
static void vhost_blk_queue_enable(VirtIODevice *vdev, uint32_t index)
{
    VHostBlk *s = VHOST_BLK(vdev);
    int ret;

    if (!vhost_dev_is_started(&s->dev) || index >= s->num_queues) {
        return;
    }
    if (s->mapped_queues & BIT_ULL(index)) {
        virtio_error(vdev, "vhost-blk: '%s': queue %u is enabled already",
                     s->backend->name, index);
        return;
    }
    ret = vhost_virtqueue_start(&s->dev, vdev, &s->vhost_vqs[index], index);
    if (ret < 0) {
        virtio_queue_set_rings(vdev, index, 0, 0, 0);
    } else if (virtio_queue_get_desc_addr(vdev, index)) {
        s->mapped_queues |= BIT_ULL(index);
        ret = vhost_blk_set_vring_running(s, index, true);
    }
    if (ret < 0) {
        virtio_error(vdev, "vhost-blk: '%s': could not start queue %u: %s",
                     s->backend->name, index, strerror(-ret));
    }
}

static void vhost_blk_guest_notifier_mask(VirtIODevice *vdev, int idx,
                                          bool mask)
{
    VHostBlk *s = VHOST_BLK(vdev);

    /* A negative index is the configuration interrupt, which QEMU raises. */
    if (idx >= 0) {
        vhost_virtqueue_mask(&s->dev, vdev, idx, mask);
    }
}

static bool vhost_blk_guest_notifier_pending(VirtIODevice *vdev, int idx)
{
    VHostBlk *s = VHOST_BLK(vdev);

    return idx >= 0 && vhost_virtqueue_pending(&s->dev, idx);
}

/*
 * Replaces the handler of the vhost core, which only prints a message.  The
 * kernel completes no further requests of the queue.
 */
static void vhost_blk_queue_broken(EventNotifier *n)
{
    struct vhost_virtqueue *vq =
        container_of(n, struct vhost_virtqueue, error_notifier);
    VHostBlk *s = container_of(vq->dev, VHostBlk, dev);
    int index = vq - s->vhost_vqs;

    if (event_notifier_test_and_clear(n) && vhost_dev_is_started(&s->dev)) {
        const char *reason = vhost_blk_break_reason(s, index);

        trace_vhost_blk_broken(s->backend->name, index, reason);
        virtio_error(VIRTIO_DEVICE(s), "vhost-blk: '%s': queue %d is broken: "
                     "%s", s->backend->name, index, reason);
    }
}

static void vhost_blk_watch_queues(VHostBlk *s)
{
    int i;

    for (i = 0; i < s->num_queues; i++) {
        event_notifier_set_handler(&s->vhost_vqs[i].error_notifier,
                                   vhost_blk_queue_broken);
    }
}

static struct vhost_dev *vhost_blk_get_vhost(VirtIODevice *vdev)
{
    return &VHOST_BLK(vdev)->dev;
}

/*
 * Realize and unrealize
 */

static bool vhost_blk_check_backend(VHostBlk *s, Error **errp)
{
    ERRP_GUARD();

    if (!s->drive && !s->path && !s->fd_name) {
        error_setg(errp, "drive: missing");
        error_append_hint(errp, "Specify a block device or raw image with "
                          "drive, path or fd.\n");
    } else if (s->path && s->fd_name) {
        error_setg(errp, "path: cannot be used together with fd");
    } else if (s->drive && (s->path || s->fd_name)) {
        error_setg(errp, "drive: cannot be used together with path or fd");
    } else if (s->drive && (s->direct != ON_OFF_AUTO_AUTO ||
                            s->locking != ON_OFF_AUTO_AUTO)) {
        error_setg(errp, "drive: cannot be used together with direct or "
                   "locking");
        error_append_hint(errp, "Set cache.direct or locking on the node.\n");
    } else {
        return true;
    }
    return false;
}

static bool vhost_blk_check_range(const char *prop, uint32_t value,
                                  uint32_t max, Error **errp)
{
    if (value && value <= max) {
        return true;
    }
    error_setg(errp, "%s: %u is not between 1 and %u", prop, value, max);
    return false;
}

/* The limits of discards and of write zeroes */
static bool vhost_blk_check_ranges(VHostBlk *s, Error **errp)
{
    bool discard = virtio_has_feature(s->host_features, VIRTIO_BLK_F_DISCARD);
    bool zeroes = virtio_has_feature(s->host_features,
                                     VIRTIO_BLK_F_WRITE_ZEROES);

    return (!discard ||
            (vhost_blk_check_range("max-discard-sectors",
                                   s->max_discard_sectors,
                                   BDRV_REQUEST_MAX_SECTORS, errp) &&
             vhost_blk_check_range("max-discard-segments",
                                   s->max_discard_segments,
                                   VHOST_BLK_MAX_DISCARD_SEGMENTS, errp))) &&
           (!zeroes ||
            vhost_blk_check_range("max-write-zeroes-sectors",
                                  s->max_write_zeroes_sectors,
                                  BDRV_REQUEST_MAX_SECTORS, errp));
}

static bool vhost_blk_check_properties(VHostBlk *s, Error **errp)
{
    ERRP_GUARD();

    if (s->num_queues == VHOST_BLK_AUTO_NUM_QUEUES) {
        s->num_queues = 1;
    }
    if (!vhost_blk_check_backend(s, errp)) {
        return false;
    }
    if (s->fd_name && s->direct != ON_OFF_AUTO_AUTO) {
        error_setg(errp, "direct: cannot be used together with fd");
        error_append_hint(errp, "Open the descriptor with or without "
                          "O_DIRECT.\n");
    } else if (!s->num_queues || s->num_queues > VHOST_BLK_MAX_QUEUES) {
        error_setg(errp, "num-queues: %u is not between 1 and %u",
                   s->num_queues, VHOST_BLK_MAX_QUEUES);
    } else if (s->queue_size < VHOST_BLK_MIN_QUEUE_SIZE ||
               s->queue_size > VHOST_BLK_MAX_QUEUE_SIZE ||
               !is_power_of_2(s->queue_size)) {
        error_setg(errp, "queue-size: %u is not a power of two between %u "
                   "and %u", s->queue_size, VHOST_BLK_MIN_QUEUE_SIZE,
                   VHOST_BLK_MAX_QUEUE_SIZE);
    } else if (s->workers != VHOST_BLK_AUTO_WORKERS &&
               (!s->workers || s->workers > s->num_queues)) {
        error_setg(errp, "workers: %u is not between 1 and num-queues (%u)",
                   s->workers, s->num_queues);
    } else if (s->serial && strlen(s->serial) > VHOST_BLK_SERIAL_LEN) {
        error_setg(errp, "serial: longer than %d bytes", VHOST_BLK_SERIAL_LEN);
    } else {
        return vhost_blk_check_ranges(s, errp);
    }
    return false;
}

static void vhost_blk_create_queues(VHostBlk *s)
{
    int i;

    s->virtqs = g_new(VirtQueue *, s->num_queues);
    for (i = 0; i < s->num_queues; i++) {
        s->virtqs[i] = virtio_add_queue(VIRTIO_DEVICE(s), s->queue_size,
                                        vhost_blk_handle_output);
    }
    s->vhost_vqs = g_new0(struct vhost_virtqueue, s->num_queues);
    s->dev.vqs = s->vhost_vqs;
    s->dev.nvqs = s->num_queues;
    s->dev.vq_index = 0;
    s->dev.vq_index_end = s->num_queues;
}

static void vhost_blk_delete_queues(VHostBlk *s)
{
    int i;

    for (i = 0; i < s->num_queues; i++) {
        virtio_delete_queue(s->virtqs[i]);
    }
    g_free(s->vhost_vqs);
    g_free(s->virtqs);
}

/* Open the node of path or fd if one of them is given, and use it. */
static bool vhost_blk_realize_backend(VHostBlk *s, Error **errp)
{
    g_autofree char *name = NULL;
    const char *prop = s->path ? "path" : s->fd_name ? "fd" : "drive";

    if (s->path) {
        s->drive = vhost_blk_open_path(s, s->path, errp);
    } else if (s->fd_name) {
        s->drive = vhost_blk_open_fd(s, errp);
    }
    if (!s->drive) {
        return false;
    }
    name = g_strdup(s->path ?: s->fd_name);
    if (!name) {
        name = vhost_blk_drive_name(s->drive);
    }
    s->conf.blk = s->drive;
    s->unlocked = runstate_check(RUN_STATE_INMIGRATE);
    s->ro = s->readonly ||
            (!s->path && !s->fd_name && !blk_supports_write_perm(s->drive));
    s->wce = s->conf.wce == ON_OFF_AUTO_AUTO ?
             blk_enable_write_cache(s->drive) :
             s->conf.wce == ON_OFF_AUTO_ON;
    blk_set_enable_write_cache(s->drive, s->wce);
    s->backend = vhost_blk_open_backend(s, s->drive, prop, name, errp);
    if (!s->backend) {
        vhost_blk_close_file(s);
    }
    return s->backend;
}

static void vhost_blk_unrealize_backend(VHostBlk *s)
{
    VHostBlkBackend *backend = s->backend;

    /* Closing the node may call vhost_blk_node_changed(). */
    s->backend = NULL;
    vhost_blk_close_backend(backend);
    vhost_blk_close_file(s);
}

static void vhost_blk_realize(DeviceState *dev, Error **errp)
{
    ERRP_GUARD();
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    VHostBlk *s = VHOST_BLK(dev);
    int ret;

    s->vhostfd = -1;
    s->fdset = -1;
    if (!vhost_blk_check_properties(s, errp)) {
        return;
    }
    s->node_bh = qemu_bh_new(vhost_blk_node_changed, s);
    if (!vhost_blk_realize_backend(s, errp)) {
        goto delete_bh;
    }
    if (!blkconf_geometry(&s->conf, NULL, UINT16_MAX, UINT8_MAX, UINT8_MAX,
                          errp) ||
        !vhost_blk_open_vhost(s, errp)) {
        goto close_backend;
    }

    virtio_init(vdev, VIRTIO_ID_BLOCK, vhost_blk_config_size(s));
    vhost_blk_create_queues(s);
    vhost_blk_set_features(vdev, 0);

    /* Takes ownership of vhostfd, and closes it on failure. */
    ret = vhost_dev_init(&s->dev, (void *)(uintptr_t)s->vhostfd,
                         VHOST_BACKEND_TYPE_KERNEL, 0, errp);
    if (ret < 0) {
        error_prepend(errp, "vhostfd: ");
        goto delete_queues;
    }
    vhost_blk_watch_queues(s);
    if (!vhost_blk_init_errors(s, errp)) {
        goto cleanup_dev;
    }
    if (!vhost_blk_create_workers(s, errp) || !vhost_blk_set_polling(s, errp) ||
        !vhost_blk_attach(s, s->backend, errp)) {
        goto cleanup_errors;
    }
    ret = vhost_blk_refresh_config(s);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "vhostfd: could not read the features and "
                         "configuration");
        goto cleanup_errors;
    }
    if (!vhost_blk_choose_block_sizes(s, errp) ||
        !vhost_blk_check_features(s, errp) ||
        !vhost_blk_init_config_notifier(s, vhost_blk_config_changed, errp)) {
        goto cleanup_errors;
    }
    add_boot_device_lchs(dev, VHOST_BLK_BOOT_SUFFIX, s->conf.lcyls,
                         s->conf.lheads, s->conf.lsecs);
    s->vm_state_handler =
        qemu_add_vm_change_state_handler(vhost_blk_vm_state_changed, s);
    vhost_blk_register_migration(s);
    return;

cleanup_errors:
    vhost_blk_cleanup_errors(s);
cleanup_dev:
    vhost_dev_cleanup(&s->dev);
delete_queues:
    s->vhostfd = -1;
    vhost_blk_delete_queues(s);
    virtio_cleanup(vdev);
close_backend:
    vhost_blk_unrealize_backend(s);
delete_bh:
    qemu_bh_delete(s->node_bh);
}

static void vhost_blk_unrealize(DeviceState *dev)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    VHostBlk *s = VHOST_BLK(dev);

    /* Stops the device and waits until no request is in flight. */
    virtio_set_status(vdev, 0);
    vhost_blk_unregister_migration(s);
    vhost_blk_forget_requests(s);
    qemu_del_vm_change_state_handler(s->vm_state_handler);
    del_boot_device_lchs(dev, VHOST_BLK_BOOT_SUFFIX);
    vhost_blk_cleanup_config_notifier(s);
    vhost_blk_cleanup_errors(s);
    vhost_dev_cleanup(&s->dev);
    s->vhostfd = -1;
    vhost_blk_delete_queues(s);
    virtio_cleanup(vdev);
    blockdev_mark_auto_del(s->drive);
    vhost_blk_unrealize_backend(s);
    qemu_bh_delete(s->node_bh);
}

static void vhost_blk_instance_init(Object *obj)
{
    VHostBlk *s = VHOST_BLK(obj);

    device_add_bootindex_property(obj, &s->conf.bootindex, "bootindex",
                                  VHOST_BLK_BOOT_SUFFIX, DEVICE(obj));
}

static void vhost_blk_set_iothread(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    ERRP_GUARD();

    error_setg(errp, "%s: not supported; threads of the kernel serve the "
               "virtqueues", name);
    error_append_hint(errp, "workers=N sets their number.\n");
}

static void vhost_blk_get_iothread(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    char *none = (char *)"";

    visit_type_str(v, name, &none, errp);
}

static const PropertyInfo vhost_blk_prop_iothread = {
    .VHOST_BLK_PROPERTY_TYPE = "str",
    .get = vhost_blk_get_iothread,
    .set = vhost_blk_set_iothread,
};

static VHostBlkProperty vhost_blk_properties[] = {
    DEFINE_PROP("drive", VHostBlk, drive, vhost_blk_prop_drive, BlockBackend *),
    DEFINE_PROP("path", VHostBlk, path, vhost_blk_prop_path, char *),
    DEFINE_PROP_STRING("fd", VHostBlk, fd_name),
    DEFINE_PROP_STRING("vhostfd", VHostBlk, vhostfd_name),
    DEFINE_PROP_STRING("serial", VHostBlk, serial),
    DEFINE_PROP_BOOL("readonly", VHostBlk, readonly, false),
    DEFINE_PROP_ON_OFF_AUTO("direct", VHostBlk, direct, ON_OFF_AUTO_AUTO),
    DEFINE_PROP_ON_OFF_AUTO("locking", VHostBlk, locking, ON_OFF_AUTO_AUTO),
    DEFINE_PROP_BOOL("share-rw", VHostBlk, conf.share_rw, false),
    DEFINE_PROP_ON_OFF_AUTO("backend_defaults", VHostBlk,
                            conf.backend_defaults, ON_OFF_AUTO_AUTO),
    DEFINE_PROP_BLOCKSIZE("logical_block_size", VHostBlk,
                          conf.logical_block_size),
    DEFINE_PROP_BLOCKSIZE("physical_block_size", VHostBlk,
                          conf.physical_block_size),
    DEFINE_PROP_SIZE32("min_io_size", VHostBlk, conf.min_io_size, 0),
    DEFINE_PROP_SIZE32("opt_io_size", VHostBlk, conf.opt_io_size, 0),
    DEFINE_PROP_SIZE32("discard_granularity", VHostBlk,
                       conf.discard_granularity, -1),
    DEFINE_PROP_BLOCKDEV_ON_ERROR("rerror", VHostBlk, rerror,
                                  BLOCKDEV_ON_ERROR_AUTO),
    DEFINE_PROP_BLOCKDEV_ON_ERROR("werror", VHostBlk, werror,
                                  BLOCKDEV_ON_ERROR_AUTO),
    DEFINE_PROP_ON_OFF_AUTO("write-cache", VHostBlk, conf.wce,
                            ON_OFF_AUTO_AUTO),
    DEFINE_PROP_UINT16("num-queues", VHostBlk, num_queues,
                       VHOST_BLK_AUTO_NUM_QUEUES),
    DEFINE_PROP_UINT16("queue-size", VHostBlk, queue_size, 256),
    DEFINE_PROP_BOOL("seg-max-adjust", VHostBlk, seg_max_adjust, true),
    DEFINE_PROP_UINT16("workers", VHostBlk, workers, VHOST_BLK_AUTO_WORKERS),
    DEFINE_PROP_UINT32("poll-us", VHostBlk, poll_us, 0),
    DEFINE_BLOCK_CHS_PROPERTIES(VHostBlk, conf),
    DEFINE_PROP_UINT32("max-discard-sectors", VHostBlk, max_discard_sectors,
                       BDRV_REQUEST_MAX_SECTORS),
    DEFINE_PROP_UINT32("max-discard-segments", VHostBlk, max_discard_segments,
                       1),
    DEFINE_PROP_UINT32("max-write-zeroes-sectors", VHostBlk,
                       max_write_zeroes_sectors, BDRV_REQUEST_MAX_SECTORS),
    DEFINE_PROP_BIT64("config-wce", VHostBlk, host_features,
                      VIRTIO_BLK_F_CONFIG_WCE, true),
    DEFINE_PROP_BIT64("discard", VHostBlk, host_features,
                      VIRTIO_BLK_F_DISCARD, true),
    DEFINE_PROP_BIT64("write-zeroes", VHostBlk, host_features,
                      VIRTIO_BLK_F_WRITE_ZEROES, true),
    DEFINE_PROP_BIT64("secure-erase", VHostBlk, host_features,
                      VIRTIO_BLK_F_SECURE_ERASE, false),
    DEFINE_PROP("iothread", VHostBlk, iothread, vhost_blk_prop_iothread,
                char *),
    DEFINE_PROP("iothread-vq-mapping", VHostBlk, iothread,
                vhost_blk_prop_iothread, char *),
    VHOST_BLK_PROPERTIES_END
};

/* Shown by -device vhost-blk-pci,help and by qom-list-properties. */
static const struct {
    const char *name;
    const char *description;
} vhost_blk_descriptions[] = {
    { "fd", "Open backend: a file descriptor, or a name passed to getfd" },
    { "vhostfd", "Open /dev/vhost-blk: a file descriptor, or a name passed to "
                 "getfd" },
    { "serial", "Serial number that the guest reads, at most 20 bytes" },
    { "readonly", "Open the backend read-only and reject writes" },
    { "direct", "Open a file with O_DIRECT; auto: if the file system supports "
                "it" },
    { "locking", "Lock a path or fd against other users; auto is on" },
    { "share-rw", "Let others write, too" },
    { "rerror", "What to do if a read fails; auto: as the drive" },
    { "werror", "What to do if a write fails; auto: as the drive" },
    { "write-cache", "off: start in writethrough mode; auto: as the drive" },
    { "config-wce", "Let the guest switch the cache mode" },
    { "num-queues", "Number of virtqueues, 1 to 64; default: one per vCPU" },
    { "queue-size", "Descriptors per virtqueue, a power of two, 4 to 1024" },
    { "workers", "Kernel threads that serve the virtqueues; default: one per "
                 "virtqueue, or one before Linux 6.5" },
    { "poll-us", "Maximum time to busy-poll an empty virtqueue, in "
                 "microseconds; 0: do not poll" },
    { "seg-max-adjust", "off: 126 segments in a request, as old machine types; "
                        "on: as many as the virtqueue has room for" },
    { "discard", "Offer discard" },
    { "write-zeroes", "Offer write zeroes" },
    { "secure-erase", "Offer secure erase, which the backend must support" },
    { "max-discard-sectors", "Maximum of sectors in one discard segment" },
    { "max-discard-segments", "Maximum of segments in one discard" },
    { "max-write-zeroes-sectors", "Maximum of sectors in one write of zeroes" },
    { "backend_defaults", "on: block and I/O sizes that are not given are "
                          "those of the backend; auto: if it is zoned" },
    { "logical_block_size", "Default: 512" },
    { "physical_block_size", "Default: 512" },
    { "min_io_size", "Minimum I/O size in bytes; 0: none" },
    { "opt_io_size", "Optimal I/O size in bytes; 0: none" },
    { "discard_granularity", "In bytes; default: a logical block" },
    { "iothread", "Not supported, see workers" },
    { "iothread-vq-mapping", "Not supported, see workers" },
    { "cyls", "Cylinders of the geometry that the guest sees" },
    { "heads", "Heads of the geometry that the guest sees" },
    { "secs", "Sectors per track of the geometry that the guest sees" },
    { "lcyls", "Cylinders of the geometry that the BIOS uses" },
    { "lheads", "Heads of the geometry that the BIOS uses" },
    { "lsecs", "Sectors per track of the geometry that the BIOS uses" },
};

static void vhost_blk_class_init(ObjectClass *klass, VHostBlkClassData *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    VirtioDeviceClass *vdc = VIRTIO_DEVICE_CLASS(klass);
    size_t i;

    device_class_set_props(dc, vhost_blk_properties);
    for (i = 0; i < ARRAY_SIZE(vhost_blk_descriptions); i++) {
        object_class_property_set_description(
            klass, vhost_blk_descriptions[i].name,
            vhost_blk_descriptions[i].description);
    }
    dc->vmsd = &vhost_blk_vmstate;
    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
    vdc->realize = vhost_blk_realize;
    vdc->unrealize = vhost_blk_unrealize;
    vdc->get_config = vhost_blk_get_config;
    vdc->set_config = vhost_blk_set_config;
    vdc->get_features = vhost_blk_get_features;
    vdc->set_features = vhost_blk_set_features;
    vdc->validate_features = vhost_blk_validate_features;
    vdc->set_status = vhost_blk_set_status;
    vdc->reset = vhost_blk_reset;
    vdc->save = vhost_blk_save_requests;
    vdc->load = vhost_blk_load_requests;
    vdc->queue_reset = vhost_blk_queue_reset;
    vdc->queue_enable = vhost_blk_queue_enable;
    vdc->guest_notifier_mask = vhost_blk_guest_notifier_mask;
    vdc->guest_notifier_pending = vhost_blk_guest_notifier_pending;
    vdc->get_vhost = vhost_blk_get_vhost;
    vdc->toggle_device_iotlb = vhost_toggle_device_iotlb;
}

static const TypeInfo vhost_blk_info = {
    .name = TYPE_VHOST_BLK,
    .parent = TYPE_VIRTIO_DEVICE,
    .instance_size = sizeof(VHostBlk),
    .instance_init = vhost_blk_instance_init,
    .class_init = vhost_blk_class_init,
};

static void vhost_blk_register(void)
{
    type_register_static(&vhost_blk_info);
}

type_init(vhost_blk_register)
