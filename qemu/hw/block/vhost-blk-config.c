/*
 * vhost-blk: the features and the configuration space that the guest sees
 *
 * Both come from the kernel.  QEMU adds what the kernel does not know, which is
 * the number and the size of the virtqueues, and applies the properties of the
 * device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/virtio/vhost-blk.h"
#include "hw/virtio/virtio-access.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "trace.h"

/* Moved in QEMU 10.0 */
#if VHOST_BLK_QEMU >= 1000
#include "system/runstate.h"
#else
#include "sysemu/runstate.h"
#endif

/* Features that are offered to the guest only if the kernel offers them. */
static const int vhost_blk_feature_bits[] = {
    VIRTIO_BLK_F_SIZE_MAX,
    VIRTIO_BLK_F_SEG_MAX,
    VIRTIO_BLK_F_GEOMETRY,
    VIRTIO_BLK_F_RO,
    VIRTIO_BLK_F_BLK_SIZE,
    VIRTIO_BLK_F_FLUSH,
    VIRTIO_BLK_F_TOPOLOGY,
    VIRTIO_BLK_F_CONFIG_WCE,
    VIRTIO_BLK_F_MQ,
    VIRTIO_BLK_F_DISCARD,
    VIRTIO_BLK_F_WRITE_ZEROES,
    VIRTIO_BLK_F_SECURE_ERASE,
    VIRTIO_BLK_F_ZONED,
    VIRTIO_F_NOTIFY_ON_EMPTY,
    VIRTIO_F_ANY_LAYOUT,
    VIRTIO_RING_F_INDIRECT_DESC,
    VIRTIO_RING_F_EVENT_IDX,
    VIRTIO_F_VERSION_1,
    VIRTIO_F_IOMMU_PLATFORM,
    VIRTIO_F_RING_PACKED,
    VIRTIO_F_IN_ORDER,
    VIRTIO_F_NOTIFICATION_DATA,
    VIRTIO_F_RING_RESET,
    VHOST_INVALID_FEATURE_BIT
};

/*
 * Features that this device passes on as the kernel offers them.  The kernel
 * offers VIRTIO_BLK_F_RO if the property readonly is on.
 */
static const int vhost_blk_kernel_bits[] = {
    VIRTIO_BLK_F_SIZE_MAX,
    VIRTIO_BLK_F_SEG_MAX,
    VIRTIO_BLK_F_GEOMETRY,
    VIRTIO_BLK_F_RO,
    VIRTIO_BLK_F_BLK_SIZE,
    VIRTIO_BLK_F_TOPOLOGY,
    VIRTIO_BLK_F_ZONED,
};

/*
 * Features that need code in the device, which it does not have.  They are not
 * offered even if a future kernel offers them.
 */
static const int vhost_blk_missing_bits[] = {
    VIRTIO_F_RING_PACKED,
    VIRTIO_F_IN_ORDER,
    VIRTIO_F_NOTIFICATION_DATA,
    VIRTIO_F_RING_RESET,
};

/* Clear the features that the kernel, the device or the node does not have. */
static uint64_t vhost_blk_limit_features(VHostBlk *s, uint64_t features)
{
    size_t i;

    features = vhost_get_features(&s->dev, vhost_blk_feature_bits, features);
    for (i = 0; i < ARRAY_SIZE(vhost_blk_missing_bits); i++) {
        virtio_clear_feature(&features, vhost_blk_missing_bits[i]);
    }
    if (!vhost_blk_node_unmaps(s->backend)) {
        virtio_clear_feature(&features, VIRTIO_BLK_F_DISCARD);
    }
    return features;
}

uint64_t vhost_blk_get_features(VirtIODevice *vdev, uint64_t features,
                                Error **errp)
{
    VHostBlk *s = VHOST_BLK(vdev);
    size_t i;

    features |= s->host_features;
    for (i = 0; i < ARRAY_SIZE(vhost_blk_kernel_bits); i++) {
        virtio_add_feature(&features, vhost_blk_kernel_bits[i]);
    }
    if (s->num_queues > 1) {
        virtio_add_feature(&features, VIRTIO_BLK_F_MQ);
    }
    virtio_add_feature(&features, VIRTIO_BLK_F_FLUSH);
    features = vhost_blk_limit_features(s, features);
    /* Always in writethrough mode: the guest has no reason to flush. */
    if (!s->wce &&
        !virtio_has_feature(features, VIRTIO_BLK_F_CONFIG_WCE)) {
        virtio_clear_feature(&features, VIRTIO_BLK_F_FLUSH);
    }
    if (virtio_has_feature(features, VIRTIO_BLK_F_ZONED) &&
        !virtio_has_feature(features, VIRTIO_F_VERSION_1)) {
        error_setg(errp, "disable-modern: a zoned backend requires virtio 1.0");
    }
    s->offered_features = features;
    return features;
}

/*
 * Return the features that the driver has accepted, without those that only
 * QEMU's transport knows.
 */
uint64_t vhost_blk_acked_features(VHostBlk *s)
{
    uint64_t known = 0;
    size_t i;

    for (i = 0; vhost_blk_feature_bits[i] != VHOST_INVALID_FEATURE_BIT; i++) {
        virtio_add_feature(&known, vhost_blk_feature_bits[i]);
    }
    return VIRTIO_DEVICE(s)->guest_features & known;
}

/*
 * The kernel offers VIRTIO_BLK_F_ZONED only for host-managed zoned devices.  A
 * driver that does not accept it cannot use such a device, so FEATURES_OK must
 * fail (VIRTIO 1.3, 5.2.5.2).
 */
int vhost_blk_validate_features(VirtIODevice *vdev)
{
    if (!virtio_host_has_feature(vdev, VIRTIO_BLK_F_ZONED)) {
        return 0;
    }
    return virtio_vdev_has_feature(vdev, VIRTIO_BLK_F_ZONED) &&
           virtio_vdev_has_feature(vdev, VIRTIO_F_VERSION_1) ? 0 : -EINVAL;
}

/*
 * Set the cache mode that a driver finds after it has negotiated its features.
 * A device reset calls this with no features.  With CONFIG_WCE but without
 * FLUSH, the mode is writethrough (VIRTIO 1.3, 5.2.5.2).
 *
 * The kernel reports changes of the capacity only while the device runs, so this
 * is the time to read what a new driver will see.
 */
void vhost_blk_set_features(VirtIODevice *vdev, uint64_t features)
{
    VHostBlk *s = VHOST_BLK(vdev);

    if (s->backend && s->backend->attached) {
        vhost_blk_fetch_config(s);
    }
    s->writeback = s->wce &&
                   (!virtio_has_feature(features, VIRTIO_BLK_F_CONFIG_WCE) ||
                    virtio_has_feature(features, VIRTIO_BLK_F_FLUSH));
}

/*
 * Configuration space
 */

/* Apply the properties that override values of the kernel; @cfg is little endian. */
static void vhost_blk_override_config(VHostBlk *s,
                                      struct virtio_blk_config *cfg)
{
    uint32_t sectors;

    if (s->geometry.cyls) {
        stw_le_p(&cfg->geometry.cylinders, s->geometry.cyls);
        cfg->geometry.heads = s->geometry.heads;
        cfg->geometry.sectors = s->geometry.secs;
    }
    sectors = ldl_le_p(&cfg->max_discard_sectors);
    stl_le_p(&cfg->max_discard_sectors, MIN(sectors, s->max_discard_sectors));
    sectors = ldl_le_p(&cfg->max_write_zeroes_sectors);
    stl_le_p(&cfg->max_write_zeroes_sectors,
             MIN(sectors, s->max_write_zeroes_sectors));
}

/* Swap the bytes of all fields of struct virtio_blk_config of VIRTIO 1.3. */
static void vhost_blk_swap_config(uint8_t *config)
{
    static const uint8_t sizes[] = {
        8, 4, 4, 2, 1, 1, 4,        /* capacity to blk_size */
        1, 1, 2, 4, 1, 1, 2,        /* physical_block_exp to num_queues */
        4, 4, 4, 4, 4, 1, 1, 1, 1,  /* max_discard_sectors to unused1 */
        4, 4, 4,                    /* max_secure_erase_sectors and others */
        4, 4, 4, 4, 4, 1, 1, 1, 1,  /* zoned */
    };
    size_t i, j;

    for (i = 0; i < ARRAY_SIZE(sizes); config += sizes[i++]) {
        for (j = 0; j < sizes[i] / 2; j++) {
            uint8_t byte = config[j];

            config[j] = config[sizes[i] - 1 - j];
            config[sizes[i] - 1 - j] = byte;
        }
    }
}

void vhost_blk_get_config(VirtIODevice *vdev, uint8_t *config)
{
    VHostBlk *s = VHOST_BLK(vdev);
    struct virtio_blk_config *cfg = (struct virtio_blk_config *)config;
    uint32_t seg_max;

    memcpy(config, s->config, VHOST_BLK_CONFIG_SIZE);

    /*
     * The kernel knows neither how many queues are in use nor their size.  A
     * descriptor chain must not be longer than the queue (VIRTIO 1.3,
     * 2.7.5.3.1); two of the descriptors are the header and the status.
     */
    stw_le_p(&cfg->num_queues, s->num_queues);
    seg_max = MIN(ldl_le_p(&cfg->seg_max), s->queue_size - 2u);
    stl_le_p(&cfg->seg_max, seg_max);
    cfg->wce = s->writeback;
    vhost_blk_override_config(s, cfg);
    /* For a legacy driver, the byte order is that of the guest. */
    if (virtio_access_is_big_endian(vdev)) {
        vhost_blk_swap_config(config);
    }
}

/*
 * Send the cache mode to the kernel.  Without CONFIG_WCE, the kernel derives it
 * from FLUSH.
 */
int vhost_blk_sync_writeback(VHostBlk *s)
{
    if (!virtio_vdev_has_feature(VIRTIO_DEVICE(s), VIRTIO_BLK_F_CONFIG_WCE)) {
        return 0;
    }
    return vhost_blk_set_writeback(s, s->writeback);
}

void vhost_blk_set_config(VirtIODevice *vdev, const uint8_t *config)
{
    VHostBlk *s = VHOST_BLK(vdev);
    const struct virtio_blk_config *cfg =
        (const struct virtio_blk_config *)config;
    bool old = s->writeback;
    int ret;

    /* wce is the only field that the guest may change. */
    if (!cfg->wce == !old ||
        !virtio_vdev_has_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE)) {
        return;
    }
    s->writeback = cfg->wce;
    if (!vhost_dev_is_started(&s->dev)) {
        return;
    }
    ret = vhost_blk_sync_writeback(s);
    if (ret < 0) {
        /* The guest may try this as often as it likes. */
        error_report_once_cond(&s->reported_wce,
                               "vhost-blk: '%s': could not switch to %s mode: "
                               "%s", s->backend->name,
                               cfg->wce ? "writeback" : "writethrough",
                               strerror(-ret));
        /* The driver reads the field again and finds the old mode. */
        s->writeback = old;
    }
}

/*
 * Notify the driver if the configuration space is not the one that it has read.
 * If the machine is stopped, this is done when it continues, maybe elsewhere.
 */
void vhost_blk_notify_config(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    struct virtio_blk_config *last = (void *)vdev->config;
    uint8_t now[VHOST_BLK_CONFIG_SIZE];
    struct virtio_blk_config *cfg = (void *)now;

    if (!runstate_is_running()) {
        return;
    }
    vhost_blk_get_config(vdev, now);
    /* Only the driver changes the cache mode. */
    cfg->wce = last->wce;
    if (memcmp(now, last, sizeof(now))) {
        trace_vhost_blk_notify_config(s->backend->name, ldq_le_p(s->config));
        virtio_notify_config(vdev);
    }
}

void vhost_blk_config_changed(EventNotifier *n)
{
    VHostBlk *s = container_of(n, VHostBlk, config_notifier);

    /* Detaching the file is a change of the capacity, too. */
    if (event_notifier_test_and_clear(n) && s->backend->attached &&
        vhost_blk_fetch_config(s) == 0) {
        vhost_blk_notify_config(s);
    }
}

/*
 * Update the features and the configuration space after the backend has been
 * replaced.  The kernel has checked that the new backend has all negotiated
 * features.  Other features that it lacks are no longer offered after the next
 * device reset; features that it has in addition are not offered.
 */
void vhost_blk_backend_changed(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    int ret;

    ret = vhost_blk_refresh_config(s);
    if (ret < 0) {
        error_report("vhost-blk: '%s': could not read the new features and "
                     "configuration: %s", s->backend->name, strerror(-ret));
        return;
    }
    vdev->host_features &= ~s->offered_features;
    vdev->host_features |= vhost_blk_limit_features(s, s->offered_features);
    vhost_blk_notify_config(s);
}
