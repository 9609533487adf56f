/*
 * qtest for vhost-blk-pci: rules of VIRTIO 1.3, 5.2.5.2, 2.5.3 and 2.1.2, that no
 * Linux guest exercises
 *
 * The environment variables VHOST_QTEST_SECOND and VHOST_QTEST_THIRD are the
 * paths of images, and VHOST_QTEST_ZONED that of a host-managed zoned block
 * device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest-single.h"
#include "qapi/qmp/qdict.h"
#include "qemu/module.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_pci.h"
#include "libqos/qgraph.h"
#include "libqos/virtio-blk.h"

#define F_ZONED (1ull << 17)
#define F_FLUSH (1ull << VIRTIO_BLK_F_FLUSH)
#define F_DISCARD (1ull << VIRTIO_BLK_F_DISCARD)
#define F_WRITE_ZEROES (1ull << VIRTIO_BLK_F_WRITE_ZEROES)
#define F_CONFIG_WCE (1ull << VIRTIO_BLK_F_CONFIG_WCE)

/* Offsets in, and size of, struct virtio_blk_config of VIRTIO 1.3 */
#define WRITEBACK 32
#define MAY_UNMAP 56
#define ZONED_MODEL 92
#define CONFIG_SIZE 96

#define SMALL (16ull << 20)
/* The low half of its number of sectors is that of SMALL. */
#define LARGE (SMALL + (512ull << 32))

static QVirtioDevice *get_vdev(void *obj)
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
    QVirtioDevice *dev = get_vdev(obj);
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
    QVirtioDevice *dev = get_vdev(obj);

    g_assert_true(negotiate(dev, qvirtio_get_features(dev)));
    g_assert_cmphex(qvirtio_config_readb(dev, CONFIG_SIZE - 1), ==, 0);
    g_assert_cmphex(qvirtio_config_readb(dev, CONFIG_SIZE), ==, 0xff);
}

static char *machine_status(void)
{
    QDict *answer = qtest_qmp(global_qtest, "{ 'execute': 'query-status' }");
    char *status = g_strdup(qdict_get_str(qdict_get_qdict(answer, "return"),
                                          "status"));

    qobject_unref(answer);
    return status;
}

static void wait_for_status(const char *expected)
{
    gint64 end = g_get_monotonic_time() + 30 * G_TIME_SPAN_SECOND;
    bool found = false;

    while (!found) {
        g_autofree char *status = machine_status();

        found = !strcmp(status, expected);
        g_assert_true(found || g_get_monotonic_time() < end);
        g_usleep(found ? 0 : 1000);
    }
}

static void qmp_ok(const char *command)
{
    qtest_qmp_assert_success(global_qtest, "{ 'execute': %s }", command);
}

/* Save the state of the machine. */
static void save(const char *path)
{
    g_autofree char *uri = g_strdup_printf("exec:cat >%s", path);

    qtest_qmp_assert_success(global_qtest, "{ 'execute': 'migrate', "
                             "'arguments': { 'uri': %s } }", uri);
    wait_for_status("postmigrate");
}

static void zoned(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = get_vdev(obj);
    uint64_t features = qvirtio_get_features(dev);

    g_assert_cmphex(features & F_ZONED, ==, F_ZONED);
    g_assert_cmphex(features & (1ull << VIRTIO_BLK_F_DISCARD), ==, 0);

    g_assert_false(negotiate(dev, features & ~F_ZONED));
    save("/dev/null");
    qmp_ok("cont");
    /* A machine that cannot continue stops a moment later. */
    g_usleep(500 * 1000);
    wait_for_status("running");
    g_assert_true(negotiate(dev, features));
    g_assert_cmpint(qvirtio_config_readb(dev, ZONED_MODEL), ==, 1);
}

static uint8_t generation_of(void *obj)
{
    QVirtioPCIDevice *pci = &((QVirtioBlkPCI *)obj)->pci_vdev;

    return qpci_io_readb(pci->pdev, pci->bar, pci->common_cfg_offset +
                         offsetof(struct virtio_pci_common_cfg,
                                  config_generation));
}

static void resize(uint64_t size)
{
    g_assert_cmpint(truncate(getenv("VHOST_QTEST_SECOND"), size), ==, 0);
}

/* The capacity is read in two halves, and the size changes between them. */
static void read_torn(void *obj, uint64_t from, uint64_t to, bool high_first)
{
    QVirtioDevice *dev = get_vdev(obj);
    uint8_t before, after;

    resize(from);
    qvirtio_config_readl(dev, 0);
    before = generation_of(obj);
    qvirtio_config_readl(dev, high_first ? 4 : 0);
    resize(to);
    qvirtio_config_readl(dev, high_first ? 0 : 4);
    after = generation_of(obj);
    g_assert_cmpint(after, !=, before);

    /* The driver reads again, and now it is whole. */
    g_assert_cmphex(qvirtio_config_readl(dev, 0), ==, (uint32_t)(to / 512));
    g_assert_cmphex(qvirtio_config_readl(dev, 4), ==, to / 512 >> 32);
    g_assert_cmpint(generation_of(obj), ==, after);
}

static void generation(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = get_vdev(obj);
    int i;

    g_assert_true(negotiate(dev, qvirtio_get_features(dev)));
    for (i = 0; i < 4; i++) {
        read_torn(obj, SMALL, LARGE, i & 1);
        read_torn(obj, LARGE, SMALL, i & 1);
    }
}

static void wait_for_needs_reset(QVirtioDevice *dev)
{
    gint64 end = g_get_monotonic_time() + 30 * G_TIME_SPAN_SECOND;

    while (!(dev->bus->get_status(dev) & VIRTIO_CONFIG_S_NEEDS_RESET)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
}

/* A chain without a byte that the device may write cannot be completed. */
static void broken_chain(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = get_vdev(obj);
    QVirtQueue *vq;
    uint64_t header;
    uint32_t head;

    g_assert_true(negotiate(dev, qvirtio_get_features(dev)));
    vq = qvirtqueue_setup(dev, alloc, 0);
    qvirtio_set_driver_ok(dev);
    header = guest_alloc(alloc, 16);
    head = qvirtqueue_add(global_qtest, vq, header, 16, false, false);
    qvirtqueue_kick(global_qtest, dev, vq, head);
    wait_for_needs_reset(dev);

    /* A reset repairs it. */
    g_assert_true(negotiate(dev, dev->features));
    g_assert_cmphex(dev->bus->get_status(dev) & VIRTIO_CONFIG_S_NEEDS_RESET,
                    ==, 0);
    guest_free(alloc, header);
    qvirtqueue_cleanup(dev->bus, vq, alloc);
}

/* The rings are not in memory, so the device cannot be started. */
static void bad_rings(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioPCIDevice *pci = &((QVirtioBlkPCI *)obj)->pci_vdev;
    QVirtioDevice *dev = get_vdev(obj);
    QVirtQueue *vq;
    QDict *answer;

    g_assert_true(negotiate(dev, qvirtio_get_features(dev)));
    vq = qvirtqueue_setup(dev, alloc, 0);
    vq->desc += 1ull << 40;
    vq->avail += 1ull << 40;
    vq->used += 1ull << 40;
    dev->bus->queue_select(dev, 0);
    dev->bus->set_queue_address(dev, vq);
    qpci_io_writew(pci->pdev, pci->bar, pci->common_cfg_offset +
                   offsetof(struct virtio_pci_common_cfg, queue_enable), 1);
    dev->bus->set_status(dev, dev->bus->get_status(dev) |
                              VIRTIO_CONFIG_S_DRIVER_OK);
    wait_for_needs_reset(dev);
    /* Only the device is broken: the machine still runs. */
    answer = qtest_qmp(global_qtest, "{ 'execute': 'query-status' }");
    g_assert_true(qdict_get_bool(qdict_get_qdict(answer, "return"), "running"));
    qobject_unref(answer);
}

/* Returns whether the disk is replaced by the node @name. */
static bool swap(const char *name)
{
    QDict *answer = qtest_qmp(global_qtest, "{ 'execute': 'qom-set', "
                              "'arguments': { 'path': '/machine/peripheral/drv0',"
                              " 'property': 'drive', 'value': %s } }", name);
    bool swapped = qdict_haskey(answer, "return");

    qobject_unref(answer);
    return swapped;
}

static void add_node(const char *name, const char *file, const char *discard)
{
    qtest_qmp_assert_success(global_qtest, "{ 'execute': 'blockdev-add', "
                             "'arguments': { 'driver': 'file', 'node-name': %s,"
                             " 'filename': %s, 'discard': %s } }", name, file,
                             discard);
}

/* A node without discard=unmap ignores discards, which the kernel would not. */
static void discard(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = get_vdev(obj);
    uint64_t features = qvirtio_get_features(dev);
    uint8_t before;

    add_node("ignores", getenv("VHOST_QTEST_THIRD"), "ignore");
    add_node("unmaps", getenv("VHOST_QTEST_SECOND"), "unmap");
    g_assert_cmphex(features & F_DISCARD, ==, F_DISCARD);
    g_assert_true(negotiate(dev, features));
    g_assert_false(swap("ignores"));

    /* Write zeroes may unmap as well, if the driver was told so. */
    g_assert_true(negotiate(dev, features & ~F_DISCARD));
    g_assert_cmpint(qvirtio_config_readb(dev, MAY_UNMAP), ==, 1);
    g_assert_false(swap("ignores"));

    g_assert_true(negotiate(dev, features & ~(F_DISCARD | F_WRITE_ZEROES)));
    g_assert_true(swap("ignores"));
    g_assert_cmphex(qvirtio_get_features(dev), ==, features & ~F_DISCARD);
    g_assert_cmpint(qvirtio_config_readb(dev, MAY_UNMAP), ==, 0);

    /* The driver can tell that the field has changed. */
    before = generation_of(obj);
    g_assert_true(swap("unmaps"));
    g_assert_cmpint(generation_of(obj), !=, before);
    g_assert_cmpint(qvirtio_config_readb(dev, MAY_UNMAP), ==, 1);
}

/*
 * Use the disk that the environment variable @variable names, instead of the
 * image that QEMU's tests create and remove.
 */
static void *use_disk(GString *cmd_line, void *variable)
{
    g_string_replace(cmd_line, getenv("VHOST_QTEST_IMAGE"), getenv(variable),
                     0);
    return variable;
}

static void register_vhost_blk_test(void)
{
    QOSGraphTestOptions image = {
        .before = use_disk,
        .arg = (char *)"VHOST_QTEST_SECOND",
    };
    QOSGraphTestOptions zoned_disk = {
        .before = use_disk,
        .arg = (char *)"VHOST_QTEST_ZONED",
    };

    qos_add_test("writeback", "vhost-blk-pci", writeback, &image);
    qos_add_test("generation", "vhost-blk-pci", generation, &image);
    qos_add_test("discard", "vhost-blk-pci", discard, &image);
    qos_add_test("broken-chain", "vhost-blk-pci", broken_chain, &image);
    qos_add_test("bad-rings", "vhost-blk-pci", bad_rings, &image);
    qos_add_test("config-size", "vhost-blk-pci", config_size, &image);
    qos_add_test("zoned", "vhost-blk-pci", zoned, &zoned_disk);
}

libqos_init(register_vhost_blk_test);
