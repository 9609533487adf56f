/*
 * QTest of what virtio 5.2.5.2 asks of vhost-blk-pci and no Linux guest tries
 *
 * The environment names an image (VHOST_QTEST_SECOND) and a host-managed zoned
 * block device (VHOST_QTEST_ZONED).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest-single.h"
#include "qemu/module.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "libqos/qgraph.h"
#include "libqos/virtio-blk.h"

#define F_ZONED (1ull << 17)
#define F_FLUSH (1ull << VIRTIO_BLK_F_FLUSH)
#define F_CONFIG_WCE (1ull << VIRTIO_BLK_F_CONFIG_WCE)

/* Of virtio 1.3's struct virtio_blk_config. */
#define WRITEBACK 32
#define ZONED_MODEL 92
#define CONFIG_SIZE 96

static QVirtioDevice *device_of(void *obj)
{
    QVirtioBlkPCI *blk = obj;

    return &blk->pci_vdev.vdev;
}

/* Returns whether the device sets FEATURES_OK. */
static bool negotiate(QVirtioDevice *dev, uint64_t features)
{
    qvirtio_start_device(dev);
    dev->features = features & ~QVIRTIO_F_BAD_FEATURE;
    dev->bus->set_features(dev, dev->features);
    dev->bus->set_status(dev, dev->bus->get_status(dev) |
                              VIRTIO_CONFIG_S_FEATURES_OK);
    dev->features_negotiated = true;
    return dev->bus->get_status(dev) & VIRTIO_CONFIG_S_FEATURES_OK;
}

static void writeback(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = device_of(obj);
    uint64_t features = qvirtio_get_features(dev);

    g_assert_cmphex(features & F_FLUSH, ==, F_FLUSH);
    g_assert_cmphex(features & F_CONFIG_WCE, ==, F_CONFIG_WCE);

    g_assert_true(negotiate(dev, features & ~F_FLUSH));
    g_assert_cmpint(qvirtio_config_readb(dev, WRITEBACK), ==, 0);
    g_assert_true(negotiate(dev, features));
    g_assert_cmpint(qvirtio_config_readb(dev, WRITEBACK), ==, 1);
}

static void config_size(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = device_of(obj);

    g_assert_true(negotiate(dev, qvirtio_get_features(dev)));
    g_assert_cmphex(qvirtio_config_readb(dev, CONFIG_SIZE - 1), ==, 0);
    g_assert_cmphex(qvirtio_config_readb(dev, CONFIG_SIZE), ==, 0xff);
}

static void zoned(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = device_of(obj);
    uint64_t features = qvirtio_get_features(dev);

    g_assert_cmphex(features & F_ZONED, ==, F_ZONED);
    g_assert_cmphex(features & (1ull << VIRTIO_BLK_F_DISCARD), ==, 0);

    g_assert_false(negotiate(dev, features & ~F_ZONED));
    g_assert_true(negotiate(dev, features));
    g_assert_cmpint(qvirtio_config_readb(dev, ZONED_MODEL), ==, 1);
}

/* Instead of the image that QEMU's tests make and remove. */
static void *with_disk(GString *cmd_line, void *variable)
{
    g_string_replace(cmd_line, getenv("VHOST_QTEST_IMAGE"), getenv(variable),
                     0);
    return variable;
}

static void register_vhost_blk_test(void)
{
    QOSGraphTestOptions image = {
        .before = with_disk,
        .arg = (char *)"VHOST_QTEST_SECOND",
    };
    QOSGraphTestOptions zoned_disk = {
        .before = with_disk,
        .arg = (char *)"VHOST_QTEST_ZONED",
    };

    qos_add_test("writeback", "vhost-blk-pci", writeback, &image);
    qos_add_test("config-size", "vhost-blk-pci", config_size, &image);
    qos_add_test("zoned", "vhost-blk-pci", zoned, &zoned_disk);
}

libqos_init(register_vhost_blk_test);
