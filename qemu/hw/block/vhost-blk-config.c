/*
 * vhost-blk: the features and the configuration space that the guest sees
 *
 * Both are the kernel's but for what it can't know: how many queues there are,
 * their size, and what the properties of the device take away.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/virtio/vhost-blk.h"
#include "hw/virtio/virtio-access.h"
#include "qapi/error.h"
#include "qemu/error-report.h"

/* Offered to the guest only where the kernel offers them too. */
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

/* What the kernel decides alone; no property of this device masks them. */
static const int vhost_blk_kernel_bits[] = {
    VIRTIO_BLK_F_SIZE_MAX,
    VIRTIO_BLK_F_SEG_MAX,
    VIRTIO_BLK_F_GEOMETRY,
    VIRTIO_BLK_F_RO,
    VIRTIO_BLK_F_BLK_SIZE,
    VIRTIO_BLK_F_TOPOLOGY,
    VIRTIO_BLK_F_ZONED,
};

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
    features = vhost_get_features(&s->dev, vhost_blk_feature_bits, features);
    /* A cache that nobody can switch on needs no flush. */
    if (s->write_cache == ON_OFF_AUTO_OFF &&
        !virtio_has_feature(features, VIRTIO_BLK_F_CONFIG_WCE)) {
        virtio_clear_feature(&features, VIRTIO_BLK_F_FLUSH);
    }
    if (virtio_has_feature(features, VIRTIO_BLK_F_ZONED) &&
        !virtio_has_feature(features, VIRTIO_F_VERSION_1)) {
        error_setg(errp, "disable-modern: a zoned backend requires virtio 1.0; "
                   "use disable-modern=off");
    }
    s->offered_features = features;
    return features;
}

/*
 * The kernel offers ZONED for host-managed devices alone, and to a driver that
 * doesn't know of zones they are of no use: virtio 5.2.5.2 wants FEATURES_OK to
 * fail, and no ZONED without it.
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
 * What a driver finds when it has negotiated its features; a reset negotiates
 * none.  Without FLUSH it starts in writethrough mode (virtio 5.2.5.2).
 */
void vhost_blk_set_features(VirtIODevice *vdev, uint64_t features)
{
    VHostBlk *s = VHOST_BLK(vdev);

    s->writeback = s->write_cache != ON_OFF_AUTO_OFF &&
                   (!virtio_has_feature(features, VIRTIO_BLK_F_CONFIG_WCE) ||
                    virtio_has_feature(features, VIRTIO_BLK_F_FLUSH));
}

/*
 * Configuration space
 */

/* What the properties change. */
static void vhost_blk_override_config(VHostBlk *s,
                                      struct virtio_blk_config *cfg)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    uint32_t sectors;

    if (s->geometry.cyls) {
        virtio_stw_p(vdev, &cfg->geometry.cylinders, s->geometry.cyls);
        cfg->geometry.heads = s->geometry.heads;
        cfg->geometry.sectors = s->geometry.secs;
    }
    sectors = virtio_ldl_p(vdev, &cfg->max_discard_sectors);
    virtio_stl_p(vdev, &cfg->max_discard_sectors,
                 MIN(sectors, s->max_discard_sectors));
    sectors = virtio_ldl_p(vdev, &cfg->max_write_zeroes_sectors);
    virtio_stl_p(vdev, &cfg->max_write_zeroes_sectors,
                 MIN(sectors, s->max_write_zeroes_sectors));
}

void vhost_blk_get_config(VirtIODevice *vdev, uint8_t *config)
{
    VHostBlk *s = VHOST_BLK(vdev);
    struct virtio_blk_config *cfg = (struct virtio_blk_config *)config;
    uint8_t last[VHOST_BLK_CONFIG_SIZE];
    uint32_t seg_max;

    /*
     * The size may change while nothing runs and nobody says so.  Drivers read
     * it in two halves, which belong together in the same generation.
     */
    memcpy(last, s->config, sizeof(last));
    if (vhost_blk_fetch_config(s) == 0 &&
        memcmp(last, s->config, sizeof(last))) {
        vdev->generation++;
    }
    memcpy(config, s->config, VHOST_BLK_CONFIG_SIZE);

    /*
     * The kernel knows neither how many of its queues are in use nor their
     * size, and a chain may not be longer than its queue (virtio 2.7.5.3.1).
     */
    virtio_stw_p(vdev, &cfg->num_queues, s->num_queues);
    seg_max = MIN(virtio_ldl_p(vdev, &cfg->seg_max), s->queue_size - 2u);
    virtio_stl_p(vdev, &cfg->seg_max, seg_max);
    cfg->wce = s->writeback;
    vhost_blk_override_config(s, cfg);
}

/* Without CONFIG_WCE the kernel goes by FLUSH alone. */
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

    /* The guest may write any byte; this is the one that has a meaning. */
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
        /* The driver reads back what holds. */
        error_report("vhost-blk: '%s': could not switch to %s mode: %s",
                     s->backend.name,
                     cfg->wce ? "writeback" : "writethrough",
                     strerror(-ret));
        s->writeback = old;
    }
}

void vhost_blk_config_changed(EventNotifier *n)
{
    VHostBlk *s = container_of(n, VHostBlk, config_notifier);

    if (event_notifier_test_and_clear(n)) {
        virtio_notify_config(VIRTIO_DEVICE(s));
    }
}

/*
 * A new backend has all that the driver has negotiated, or the kernel would
 * not have taken it.  What else it lacks is not offered to the next driver.
 */
void vhost_blk_backend_changed(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    uint8_t before[VHOST_BLK_CONFIG_SIZE];
    int ret;

    memcpy(before, s->config, sizeof(before));
    ret = vhost_blk_refresh_config(s);
    if (ret < 0) {
        error_report("vhost-blk: '%s': could not read the new features and "
                     "configuration: %s", s->backend.name, strerror(-ret));
        return;
    }
    vdev->host_features &= ~s->offered_features;
    vdev->host_features |= vhost_get_features(&s->dev, vhost_blk_feature_bits,
                                              s->offered_features);
    if (memcmp(before, s->config, sizeof(before))) {
        vdev->generation++;
        virtio_notify_config(vdev);
    }
}
