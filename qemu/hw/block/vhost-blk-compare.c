/*
 * vhost-blk: comparison of the device with that of the source of a migration
 *
 * The source may be virtio-blk, or another version of this device.  The guest
 * goes on with the features and the configuration space that it was given
 * there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/block.h"
#include "hw/virtio/vhost-blk.h"
#include "hw/virtio/virtio-access.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "standard-headers/linux/virtio_blk.h"

#define VHOST_BLK_FEATURE(name) { name, #name }

static const struct {
    unsigned int bit;
    const char *name;
} vhost_blk_feature_names[] = {
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_BARRIER),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_SIZE_MAX),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_SEG_MAX),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_GEOMETRY),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_RO),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_BLK_SIZE),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_SCSI),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_FLUSH),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_TOPOLOGY),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_CONFIG_WCE),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_MQ),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_DISCARD),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_SECURE_ERASE),
    VHOST_BLK_FEATURE(VIRTIO_BLK_F_ZONED),
    VHOST_BLK_FEATURE(VIRTIO_F_NOTIFY_ON_EMPTY),
    VHOST_BLK_FEATURE(VIRTIO_F_ANY_LAYOUT),
    VHOST_BLK_FEATURE(VIRTIO_RING_F_INDIRECT_DESC),
    VHOST_BLK_FEATURE(VIRTIO_RING_F_EVENT_IDX),
    VHOST_BLK_FEATURE(VIRTIO_F_VERSION_1),
    VHOST_BLK_FEATURE(VIRTIO_F_IOMMU_PLATFORM),
    VHOST_BLK_FEATURE(VIRTIO_F_RING_PACKED),
    VHOST_BLK_FEATURE(VIRTIO_F_IN_ORDER),
    VHOST_BLK_FEATURE(VIRTIO_F_RING_RESET),
};

static const char *vhost_blk_feature_name(unsigned int bit)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(vhost_blk_feature_names); i++) {
        if (vhost_blk_feature_names[i].bit == bit) {
            return vhost_blk_feature_names[i].name;
        }
    }
    return "unknown";
}

/*
 * Report the features of the guest that the device does not offer.  QEMU's core
 * fails the migration then, but prints only the bits.
 */
void vhost_blk_compare_features(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    uint64_t missing = vdev->guest_features & ~vdev->host_features;
    unsigned int bit;

    for (bit = 0; bit < 64; bit++) {
        if (virtio_has_feature(missing, bit)) {
            error_report("vhost-blk: '%s': the guest uses the feature %s "
                         "(bit %u), which the device does not have here",
                         s->backend->name, vhost_blk_feature_name(bit), bit);
        }
    }
}

#define VHOST_BLK_ALWAYS 64

#define VHOST_BLK_FIELD(field, feature, property) \
    { #field, property, offsetof(struct virtio_blk_config, field), \
      sizeof_field(struct virtio_blk_config, field), feature }

/*
 * Fields that must not change while the guest has the feature.  The geometry is
 * not among them: its default depends on the partition table, and only old
 * programs use it.
 */
static const struct {
    const char *name;
    const char *property;
    size_t offset;
    size_t size;
    unsigned int feature;
} vhost_blk_fields[] = {
    VHOST_BLK_FIELD(num_queues, VHOST_BLK_ALWAYS, "num-queues"),
    VHOST_BLK_FIELD(seg_max, VIRTIO_BLK_F_SEG_MAX,
                    "queue-size, seg-max-adjust"),
    VHOST_BLK_FIELD(blk_size, VIRTIO_BLK_F_BLK_SIZE, "logical_block_size"),
    VHOST_BLK_FIELD(physical_block_exp, VIRTIO_BLK_F_TOPOLOGY,
                    "physical_block_size"),
    VHOST_BLK_FIELD(alignment_offset, VIRTIO_BLK_F_TOPOLOGY,
                    "backend_defaults"),
    VHOST_BLK_FIELD(min_io_size, VIRTIO_BLK_F_TOPOLOGY, "min_io_size"),
    VHOST_BLK_FIELD(opt_io_size, VIRTIO_BLK_F_TOPOLOGY, "opt_io_size"),
    VHOST_BLK_FIELD(max_discard_sectors, VIRTIO_BLK_F_DISCARD,
                    "max-discard-sectors"),
    VHOST_BLK_FIELD(max_discard_seg, VIRTIO_BLK_F_DISCARD,
                    "max-discard-segments"),
    VHOST_BLK_FIELD(discard_sector_alignment, VIRTIO_BLK_F_DISCARD,
                    "discard_granularity"),
    VHOST_BLK_FIELD(max_write_zeroes_sectors, VIRTIO_BLK_F_WRITE_ZEROES,
                    "max-write-zeroes-sectors"),
    VHOST_BLK_FIELD(max_write_zeroes_seg, VIRTIO_BLK_F_WRITE_ZEROES, ""),
};

static uint64_t vhost_blk_read_field(VirtIODevice *vdev, const uint8_t *at,
                                     size_t size)
{
    switch (size) {
    case sizeof(uint8_t):
        return *at;
    case sizeof(uint16_t):
        return virtio_lduw_p(vdev, at);
    default:
        return virtio_ldl_p(vdev, at);
    }
}

/*
 * The guest is told of a disk that has grown.  The size is not that of the
 * kernel, which may not have the file yet.
 */
static bool vhost_blk_compare_capacity(VHostBlk *s, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    uint64_t before = virtio_ldq_p(vdev, vdev->config);
    off_t size = lseek(vhost_blk_node_fd(s->backend), 0, SEEK_END);

    if (size < 0 || size / BDRV_SECTOR_SIZE >= before) {
        return true;
    }
    error_setg(errp, "'%s' has %jd sectors, but the guest knows a disk of %"
               PRIu64, s->backend->name, (intmax_t)(size / BDRV_SECTOR_SIZE),
               before);
    return false;
}

/*
 * Compare the configuration space that the guest has read at the source with
 * that of this device.
 */
bool vhost_blk_compare_config(VHostBlk *s, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    struct virtio_blk_config *before = vdev->config;
    g_autofree uint8_t *here = g_malloc0(VHOST_BLK_CONFIG_SIZE);
    g_autoptr(GString) differ = g_string_new(NULL);
    size_t i;

    /* Until a driver has read any field, all of them are 0. */
    if (!virtio_ldl_p(vdev, &before->blk_size)) {
        return true;
    }
    vhost_blk_get_config(vdev, here);
    for (i = 0; i < ARRAY_SIZE(vhost_blk_fields); i++) {
        size_t at = vhost_blk_fields[i].offset;
        size_t size = vhost_blk_fields[i].size;
        unsigned int feature = vhost_blk_fields[i].feature;
        uint64_t a, b;

        if (at + size > vdev->config_len || (feature != VHOST_BLK_ALWAYS &&
            !virtio_vdev_has_feature(vdev, feature))) {
            continue;
        }
        a = vhost_blk_read_field(vdev, (uint8_t *)vdev->config + at, size);
        b = vhost_blk_read_field(vdev, here + at, size);
        if (a != b) {
            g_string_append_printf(differ, "%s%s is %" PRIu64 " here and %"
                                   PRIu64 " there (%s)",
                                   differ->len ? "; " : "",
                                   vhost_blk_fields[i].name, b, a,
                                   vhost_blk_fields[i].property);
        }
    }
    if (differ->len) {
        error_setg(errp, "'%s' differs from the disk of the guest at the "
                   "source: %s", s->backend->name, differ->str);
        return false;
    }
    return vhost_blk_compare_capacity(s, errp);
}
