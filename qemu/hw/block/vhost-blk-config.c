/*
 * vhost-blk: the features and the configuration space that the guest sees
 *
 * Both are those of QEMU's virtio-blk with the same properties, so that a guest
 * can be moved between the two.  Only the capacity, the zones and the limits of
 * secure erase come from the kernel.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/block.h"
#include "hw/block/block.h"
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

/* Fields that the header of QEMU 7.2 does not have: offset, and end */
#define VHOST_BLK_SECURE_ERASE_FIELDS 60
#define VHOST_BLK_ZONED_FIELDS 72

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
    VHOST_INVALID_FEATURE_BIT
};

/*
 * Features that need code in the device, which it does not have.  They are not
 * offered even if a future kernel offers them.
 */
static const int vhost_blk_missing_bits[] = {
    VIRTIO_F_RING_PACKED,
    VIRTIO_F_IN_ORDER,
    VIRTIO_F_NOTIFICATION_DATA,
};

/* Clear the features that the kernel or the device does not have. */
static uint64_t vhost_blk_limit_features(VHostBlk *s, uint64_t features)
{
    size_t i;

    features = vhost_get_features(&s->dev, vhost_blk_feature_bits, features);
    for (i = 0; i < ARRAY_SIZE(vhost_blk_missing_bits); i++) {
        virtio_clear_feature(&features, vhost_blk_missing_bits[i]);
    }
    return features;
}

/* The features of virtio-blk with the same properties */
static uint64_t vhost_blk_wanted_features(VHostBlk *s, uint64_t features)
{
    features |= s->host_features;
    virtio_add_feature(&features, VIRTIO_BLK_F_SEG_MAX);
    virtio_add_feature(&features, VIRTIO_BLK_F_GEOMETRY);
    virtio_add_feature(&features, VIRTIO_BLK_F_TOPOLOGY);
    virtio_add_feature(&features, VIRTIO_BLK_F_BLK_SIZE);
    /* SCSI requests are refused, but old drivers accept the feature. */
    if (!virtio_has_feature(features, VIRTIO_F_VERSION_1)) {
        virtio_clear_feature(&features, VIRTIO_F_ANY_LAYOUT);
        virtio_add_feature(&features, VIRTIO_BLK_F_SCSI);
    }
    /* Always in writethrough mode: the guest has no reason to flush. */
    if (s->wce || virtio_has_feature(features, VIRTIO_BLK_F_CONFIG_WCE)) {
        virtio_add_feature(&features, VIRTIO_BLK_F_FLUSH);
    }
    if (s->ro) {
        virtio_add_feature(&features, VIRTIO_BLK_F_RO);
    }
    if (s->num_queues > 1) {
        virtio_add_feature(&features, VIRTIO_BLK_F_MQ);
    }
    virtio_add_feature(&features, VIRTIO_BLK_F_ZONED);
    return features;
}

uint64_t vhost_blk_get_features(VirtIODevice *vdev, uint64_t features,
                                Error **errp)
{
    VHostBlk *s = VHOST_BLK(vdev);

    features = vhost_blk_wanted_features(s, features);
    features = vhost_blk_limit_features(s, features);
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
 * The load of a migration calls this with the features that the device has, and
 * guest_features still has those of the source.
 *
 * The kernel reports changes of the capacity only while the device runs, so this
 * is the time to read what a new driver will see.
 */
void vhost_blk_set_features(VirtIODevice *vdev, uint64_t features)
{
    VHostBlk *s = VHOST_BLK(vdev);

    if (s->loading) {
        vhost_blk_compare_features(s);
    }
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

/*
 * The length of the configuration space, which is part of the migration stream:
 * as that of virtio-blk, and long enough for secure erase.
 */
size_t vhost_blk_config_size(VHostBlk *s)
{
    if (vhost_blk_node_is_zoned(s->backend)) {
        return VHOST_BLK_CONFIG_SIZE;
    }
    if (virtio_has_feature(s->host_features, VIRTIO_BLK_F_SECURE_ERASE)) {
        return VHOST_BLK_ZONED_FIELDS;
    }
    if (virtio_has_feature(s->host_features, VIRTIO_BLK_F_WRITE_ZEROES)) {
        return endof(struct virtio_blk_config, write_zeroes_may_unmap);
    }
    if (virtio_has_feature(s->host_features, VIRTIO_BLK_F_DISCARD)) {
        return endof(struct virtio_blk_config, discard_sector_alignment);
    }
    return offsetof(struct virtio_blk_config, max_discard_sectors);
}

static void vhost_blk_fill_sizes(VHostBlk *s, struct virtio_blk_config *cfg)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    const struct virtio_blk_config *kernel = (const void *)s->config;
    const BlockConf *conf = &s->conf;
    uint32_t block = conf->logical_block_size;
    uint64_t length = le64_to_cpu(kernel->capacity) * BDRV_SECTOR_SIZE;

    virtio_stq_p(vdev, &cfg->capacity, le64_to_cpu(kernel->capacity));
    virtio_stl_p(vdev, &cfg->blk_size, block);
    cfg->physical_block_exp = get_physical_block_exp(&s->conf);
    virtio_stw_p(vdev, &cfg->min_io_size, conf->min_io_size / block);
    virtio_stl_p(vdev, &cfg->opt_io_size, conf->opt_io_size / block);
    if (conf->backend_defaults == ON_OFF_AUTO_ON) {
        cfg->alignment_offset = kernel->alignment_offset;
    }
    virtio_stw_p(vdev, &cfg->geometry.cylinders, conf->cyls);
    cfg->geometry.heads = conf->heads;
    cfg->geometry.sectors = conf->secs;
    /* virtio-blk makes the capacity by this geometry a multiple of blocks. */
    if (length && length / conf->heads / conf->secs % block) {
        cfg->geometry.sectors &= ~(block / BDRV_SECTOR_SIZE - 1);
    }
}

static void vhost_blk_fill_ranges(VHostBlk *s, struct virtio_blk_config *cfg)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    uint32_t granularity = s->conf.discard_granularity;

    if (granularity == -1) {
        granularity = s->conf.logical_block_size;
    }
    if (virtio_host_has_feature(vdev, VIRTIO_BLK_F_DISCARD)) {
        virtio_stl_p(vdev, &cfg->max_discard_sectors, s->max_discard_sectors);
        virtio_stl_p(vdev, &cfg->max_discard_seg, s->max_discard_segments);
        virtio_stl_p(vdev, &cfg->discard_sector_alignment,
                     granularity / BDRV_SECTOR_SIZE);
    }
    if (virtio_host_has_feature(vdev, VIRTIO_BLK_F_WRITE_ZEROES)) {
        virtio_stl_p(vdev, &cfg->max_write_zeroes_sectors,
                     s->max_write_zeroes_sectors);
        virtio_stl_p(vdev, &cfg->max_write_zeroes_seg, 1);
        cfg->write_zeroes_may_unmap = 1;
    }
}

/* Fill in the configuration space, with s->config for what the kernel knows. */
static void vhost_blk_fill_config(VHostBlk *s, uint8_t *config)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    struct virtio_blk_config *cfg = (struct virtio_blk_config *)config;

    memset(config, 0, VHOST_BLK_CONFIG_SIZE);
    vhost_blk_fill_sizes(s, cfg);
    vhost_blk_fill_ranges(s, cfg);
    /*
     * A descriptor chain must not be longer than the queue (VIRTIO 1.3,
     * 2.7.5.3.1); two of the descriptors are the header and the status.
     */
    virtio_stl_p(vdev, &cfg->seg_max,
                 s->seg_max_adjust ? s->queue_size - 2 : 128 - 2);
    virtio_stw_p(vdev, &cfg->num_queues, s->num_queues);
    cfg->wce = s->writeback;
    /* Only drivers of virtio 1.0 read these. */
    memcpy(config + VHOST_BLK_SECURE_ERASE_FIELDS,
           s->config + VHOST_BLK_SECURE_ERASE_FIELDS,
           VHOST_BLK_CONFIG_SIZE - VHOST_BLK_SECURE_ERASE_FIELDS);
}

void vhost_blk_get_config(VirtIODevice *vdev, uint8_t *config)
{
    VHostBlk *s = VHOST_BLK(vdev);
    uint8_t all[VHOST_BLK_CONFIG_SIZE];

    vhost_blk_fill_config(s, all);
    memcpy(config, all, vdev->config_len);
}

/*
 * The sizes that the kernel reports for the backend are the defaults of a zoned
 * device, as in QEMU 10.0, and with backend_defaults=on.
 */
static void vhost_blk_use_backend_sizes(VHostBlk *s)
{
    const struct virtio_blk_config *kernel = (const void *)s->config;
    uint32_t block = le32_to_cpu(kernel->blk_size);
    BlockConf *conf = &s->conf;
    uint32_t granularity = le32_to_cpu(kernel->discard_sector_alignment);

    if (!conf->logical_block_size) {
        conf->logical_block_size = block;
    }
    if (!conf->physical_block_size) {
        conf->physical_block_size = block << kernel->physical_block_exp;
    }
    if (conf->backend_defaults != ON_OFF_AUTO_ON) {
        return;
    }
    if (!conf->min_io_size) {
        conf->min_io_size = le16_to_cpu(kernel->min_io_size) * block;
    }
    if (!conf->opt_io_size) {
        conf->opt_io_size = le32_to_cpu(kernel->opt_io_size) * block;
    }
    if (conf->discard_granularity == -1 && granularity) {
        conf->discard_granularity = granularity * BDRV_SECTOR_SIZE;
    }
}

/*
 * Return the logical block size that the kernel gives the guest: it emulates
 * blocks that are smaller than those of @backend, except for zoned disks.  0
 * stands for the size of @backend, from which the default of the property is
 * taken with backend_defaults=on.
 */
uint32_t vhost_blk_block_size(VHostBlk *s, const VHostBlkBackend *backend)
{
    const BlockConf *conf = &s->conf;

    if (vhost_blk_node_is_zoned(backend)) {
        return 0;
    }
    if (conf->logical_block_size) {
        return conf->logical_block_size;
    }
    return conf->backend_defaults == ON_OFF_AUTO_ON ? 0 : BDRV_SECTOR_SIZE;
}

/*
 * Check the block size of @backend, whose configuration space in the kernel is
 * @config.  The kernel fails requests that are not whole blocks.  It emulates
 * smaller blocks than those of @backend, but not on a zoned disk.
 */
bool vhost_blk_check_block_size(VHostBlk *s, const VHostBlkBackend *backend,
                                const uint8_t *config, Error **errp)
{
    ERRP_GUARD();
    const struct virtio_blk_config *kernel = (const void *)config;
    uint32_t block = le32_to_cpu(kernel->blk_size);

    if (block <= s->conf.logical_block_size) {
        return true;
    }
    error_setg(errp, "logical_block_size: the logical blocks of '%s' have %u "
               "bytes, more than %u", backend->name, block,
               s->conf.logical_block_size);
    error_append_hint(errp, "A zoned disk needs logical_block_size=%u.\n",
                      block);
    return false;
}

/* Set the block sizes that were not given, and check them. */
bool vhost_blk_choose_block_sizes(VHostBlk *s, Error **errp)
{
    ERRP_GUARD();

    if (s->conf.backend_defaults == ON_OFF_AUTO_ON ||
        (s->conf.backend_defaults == ON_OFF_AUTO_AUTO &&
         vhost_blk_node_is_zoned(s->backend))) {
        vhost_blk_use_backend_sizes(s);
    }
    return blkconf_blocksizes(&s->conf, errp) &&
           vhost_blk_check_block_size(s, s->backend, s->config, errp);
}

/* Refuse what was requested and the host cannot do. */
bool vhost_blk_check_features(VHostBlk *s, Error **errp)
{
    if (virtio_has_feature(s->host_features, VIRTIO_BLK_F_SECURE_ERASE) &&
        !virtio_has_feature(s->dev.features, VIRTIO_BLK_F_SECURE_ERASE)) {
        error_setg(errp, "secure-erase: '%s' does not support it",
                   s->backend->name);
        return false;
    }
    return true;
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
    if (memcmp(now, last, vdev->config_len)) {
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
