/*
 * qtest for vhost-blk-pci: rules of VIRTIO 1.3, 5.2.5.2, 2.5.3 and 2.1.2, that no
 * Linux guest exercises
 *
 * The environment variables VHOST_QTEST_SECOND and VHOST_QTEST_THIRD are the
 * paths of images, VHOST_QTEST_BLOCK that of a block device, and
 * VHOST_QTEST_ZONED that of a host-managed zoned one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest-single.h"
#include "hw/pci/pci_regs.h"
#include "qapi/qmp/qdict.h"
#include "qemu/bswap.h"
#include "qemu/module.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_pci.h"
#include "libqos/qgraph.h"
#include "libqos/virtio-blk.h"
#include "libqos/virtio-pci.h"

#define F_ZONED (1ull << 17)
#define F_FLUSH (1ull << VIRTIO_BLK_F_FLUSH)
#define F_DISCARD (1ull << VIRTIO_BLK_F_DISCARD)
#define F_RING_RESET (1ull << VIRTIO_F_RING_RESET)
#define F_CONFIG_WCE (1ull << VIRTIO_BLK_F_CONFIG_WCE)
#define F_EVENT_IDX (1ull << VIRTIO_RING_F_EVENT_IDX)

/* Offsets in, and size of, struct virtio_blk_config of VIRTIO 1.3 */
#define WRITEBACK 32
#define MAY_UNMAP 56
#define ZONED_MODEL 92
#define ZONED_CONFIG_SIZE 96
/* That of QEMU's virtio-blk, which has no fields after this one */
#define CONFIG_SIZE (MAY_UNMAP + 1)

#define TIMEOUT_US (30 * 1000 * 1000)

#define SMALL (16ull << 20)
/* The low half of its number of sectors is that of SMALL. */
#define LARGE (SMALL + (512ull << 32))

static QVirtioDevice *get_vdev(void *obj)
{
    QVirtioBlkPCI *blk = obj;

    return &blk->pci_vdev.vdev;
}

/* Returns whether the device sets FEATURES_OK. */
static bool negotiate_all(QVirtioDevice *dev, uint64_t features)
{
    qvirtio_start_device(dev);
    dev->features = features;
    dev->bus->set_features(dev, dev->features);
    dev->bus->set_status(dev, dev->bus->get_status(dev) |
                              VIRTIO_CONFIG_S_FEATURES_OK);
    dev->features_negotiated = true;
    return dev->bus->get_status(dev) & VIRTIO_CONFIG_S_FEATURES_OK;
}

static bool negotiate(QVirtioDevice *dev, uint64_t features)
{
    return negotiate_all(dev, features & ~QVIRTIO_F_BAD_FEATURE);
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
    g_assert_cmphex(qvirtio_config_readb(dev, CONFIG_SIZE - 1), ==, 1);
    g_assert_cmphex(qvirtio_config_readb(dev, CONFIG_SIZE), ==, 0xff);
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
    g_assert_cmphex(qvirtio_config_readb(dev, ZONED_CONFIG_SIZE - 1), ==, 0);
    g_assert_cmphex(qvirtio_config_readb(dev, ZONED_CONFIG_SIZE), ==, 0xff);
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

static uint64_t capacity(QVirtioDevice *dev)
{
    return qvirtio_config_readl(dev, 0) |
           (uint64_t)qvirtio_config_readl(dev, 4) << 32;
}

/*
 * The capacity is read in two halves, and the size changes between them.  The
 * driver finds the old capacity, or another generation.
 */
static void read_torn(void *obj, uint64_t from, uint64_t to, bool high_first)
{
    QVirtioDevice *dev = get_vdev(obj);
    uint8_t before = generation_of(obj);
    uint64_t low, high;

    low = high_first ? 0 : qvirtio_config_readl(dev, 0);
    high = qvirtio_config_readl(dev, 4);
    resize(to);
    low = high_first ? qvirtio_config_readl(dev, 0) : low;
    high = high_first ? high : qvirtio_config_readl(dev, 4);
    if (generation_of(obj) == before) {
        g_assert_cmphex(low | high << 32, ==, from / 512);
    }
}

static void generation(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = get_vdev(obj);
    gint64 end = g_get_monotonic_time() + 30 * G_TIME_SPAN_SECOND;
    uint64_t features = qvirtio_get_features(dev);
    uint64_t size[] = { SMALL, LARGE };
    uint8_t before;
    QVirtQueue *vq;
    int i;

    /* Before the device runs, a driver finds the capacity when it begins. */
    for (i = 0; i < 4; i++) {
        resize(size[i & 1]);
        before = generation_of(obj);
        g_assert_true(negotiate(dev, features));
        g_assert_cmphex(capacity(dev), ==, size[i & 1] / 512);
        g_assert_true(!i || generation_of(obj) != before);
        read_torn(obj, size[i & 1], size[!(i & 1)], i & 2);
    }
    /* A device that runs notices it, and also when it is started. */
    g_assert_true(negotiate(dev, features));
    resize(LARGE);
    vq = qvirtqueue_setup(dev, alloc, 0);
    qvirtio_set_driver_ok(dev);
    for (i = 1; i < 4; i++) {
        before = generation_of(obj);
        while (capacity(dev) != size[i & 1] / 512) {
            g_assert_cmpint(g_get_monotonic_time(), <, end);
            g_usleep(1000);
        }
        g_assert_true(i == 1 || generation_of(obj) != before);
        read_torn(obj, size[i & 1], size[!(i & 1)], i & 2);
    }
    qvirtqueue_cleanup(dev->bus, vq, alloc);
}

static void wait_for_needs_reset(QVirtioDevice *dev)
{
    gint64 end = g_get_monotonic_time() + 30 * G_TIME_SPAN_SECOND;

    while (!(dev->bus->get_status(dev) & VIRTIO_CONFIG_S_NEEDS_RESET)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
}

/* The driver reads the first sector; return the address of the request. */
static uint64_t send_read(QVirtioDevice *dev, QVirtQueue *vq,
                          QGuestAllocator *alloc)
{
    uint64_t addr = guest_alloc(alloc, 16 + 512 + 1);
    uint32_t head;

    qtest_memset(global_qtest, addr, 0, 16);
    qtest_memset(global_qtest, addr + 16, 0xff, 513);
    head = qvirtqueue_add(global_qtest, vq, addr, 16, false, true);
    qvirtqueue_add(global_qtest, vq, addr + 16, 512, true, true);
    qvirtqueue_add(global_qtest, vq, addr + 528, 1, true, false);
    qvirtqueue_kick(global_qtest, dev, vq, head);
    return addr;
}

static uint16_t used_entries(QVirtQueue *vq)
{
    return qtest_readw(global_qtest, vq->used + 2);
}

/* Wait without a look at the interrupts. */
static void wait_for_used(QVirtQueue *vq, uint16_t entries)
{
    gint64 end = g_get_monotonic_time() + 30 * G_TIME_SPAN_SECOND;

    while (used_entries(vq) != entries) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
}

/* Read the first sector, as the request number @number of the queue. */
static void read_sector(QVirtioDevice *dev, QVirtQueue *vq,
                        QGuestAllocator *alloc, uint16_t number)
{
    uint64_t addr = send_read(dev, vq, alloc);

    wait_for_used(vq, number);
    g_assert_cmpint(qtest_readb(global_qtest, addr + 528), ==, 0);
    guest_free(alloc, addr);
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
    wait_for_status("running");
}

/* A feature of QEMU's transport, which the kernel does not know */
static void transport_feature(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = get_vdev(obj);
    QVirtQueue *vq;

    g_assert_true(negotiate_all(dev, QVIRTIO_F_BAD_FEATURE |
                                (qvirtio_get_features(dev) & ~F_EVENT_IDX)));
    vq = qvirtqueue_setup(dev, alloc, 0);
    qvirtio_set_driver_ok(dev);
    read_sector(dev, vq, alloc, 1);
    qvirtqueue_cleanup(dev->bus, vq, alloc);
}

/*
 * The interrupt of a completion whose vector is masked becomes a pending bit when
 * the machine stops, so that it is migrated.
 */
static void masked_vector(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioPCIDevice *pci = &((QVirtioBlkPCI *)obj)->pci_vdev;
    QVirtioDevice *dev = get_vdev(obj);
    QVirtQueue *vq;
    uint64_t control;

    qpci_msix_enable(pci->pdev);
    g_assert_true(negotiate(dev, qvirtio_get_features(dev) & ~F_EVENT_IDX));
    vq = qvirtqueue_setup(dev, alloc, 0);
    qvirtqueue_pci_msix_setup(pci, (QVirtQueuePCI *)vq, alloc, 1);
    qvirtio_set_driver_ok(dev);
    control = pci->pdev->msix_table_off + PCI_MSIX_ENTRY_SIZE +
              PCI_MSIX_ENTRY_VECTOR_CTRL;
    qpci_io_writel(pci->pdev, pci->pdev->msix_table_bar, control,
                   PCI_MSIX_ENTRY_CTRL_MASKBIT);
    read_sector(dev, vq, alloc, 1);
    qmp_ok("stop");
    g_assert_true(qpci_msix_pending(pci->pdev, 1));
    qmp_ok("cont");
    qpci_msix_disable(pci->pdev);
    qvirtqueue_cleanup(dev->bus, vq, alloc);
}

/* Set up a legacy device, except for DRIVER_OK. */
static QVirtQueue *legacy_driver(QVirtioDevice *dev, QGuestAllocator *alloc)
{
    uint64_t features = qvirtio_get_features(dev);

    g_assert_cmphex(features & (1ull << VIRTIO_F_VERSION_1), ==, 0);
    qvirtio_start_device(dev);
    qvirtio_set_features(dev, features & ~(QVIRTIO_F_BAD_FEATURE | F_EVENT_IDX));
    return qvirtqueue_setup(dev, alloc, 0);
}

/* Some legacy drivers read from the disk before they set DRIVER_OK. */
static void early_kick(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = get_vdev(obj);
    QVirtQueue *vq = legacy_driver(dev, alloc);

    read_sector(dev, vq, alloc, 1);
    qmp_ok("stop");
    qmp_ok("cont");
    read_sector(dev, vq, alloc, 2);
    save("/dev/null");
    qmp_ok("cont");
    read_sector(dev, vq, alloc, 3);
    qvirtio_set_driver_ok(dev);
    read_sector(dev, vq, alloc, 4);
    qvirtqueue_cleanup(dev->bus, vq, alloc);
}

static bool is_started(void)
{
    QDict *answer = qtest_qmp(global_qtest, "{ 'execute': "
                              "'x-query-virtio-status', 'arguments': { 'path': "
                              "'/machine/peripheral/drv0/virtio-backend' } }");
    bool started = qdict_get_bool(qdict_get_qdict(answer, "return"),
                                  "vhost-started");

    qobject_unref(answer);
    return started;
}

/* A kick does not start a device whose disk another process has claimed. */
static void early_kick_unusable(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = get_vdev(obj);
    QVirtQueue *vq = legacy_driver(dev, alloc);
    int fd;

    save("/dev/null");
    fd = open(getenv("VHOST_QTEST_BLOCK"), O_RDWR | O_EXCL);
    g_assert_cmpint(fd, >=, 0);
    qmp_ok("cont");
    wait_for_status("io-error");
    guest_free(alloc, send_read(dev, vq, alloc));
    g_assert_false(is_started());
    g_assert_cmpint(used_entries(vq), ==, 0);
    close(fd);

    qmp_ok("cont");
    wait_for_status("running");
    dev->bus->virtqueue_kick(dev, vq);
    wait_for_used(vq, 1);
    g_assert_true(is_started());
    qvirtqueue_cleanup(dev->bus, vq, alloc);
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

/* Send a request without a response, and return its status. */
static uint8_t request(QVirtioDevice *dev, QGuestAllocator *alloc,
                       QVirtQueue *vq, uint32_t type, const void *data,
                       size_t len)
{
    struct virtio_blk_outhdr header = { .type = cpu_to_le32(type) };
    uint64_t addr = guest_alloc(alloc, sizeof(header) + len + 1);
    uint64_t status_addr = addr + sizeof(header) + len;
    uint8_t status = 0xff;
    uint32_t head;

    qtest_memwrite(global_qtest, addr, &header, sizeof(header));
    if (len) {
        qtest_memwrite(global_qtest, addr + sizeof(header), data, len);
    }
    qtest_memwrite(global_qtest, status_addr, &status, 1);
    head = qvirtqueue_add(global_qtest, vq, addr, sizeof(header) + len, false,
                          true);
    qvirtqueue_add(global_qtest, vq, status_addr, 1, true, false);
    qvirtqueue_kick(global_qtest, dev, vq, head);
    qvirtio_wait_used_elem(global_qtest, dev, vq, head, NULL, TIMEOUT_US);
    status = qtest_readb(global_qtest, status_addr);
    guest_free(alloc, addr);
    return status;
}

/* Discard the first MiB, and return whether the file has no data there then. */
static bool discards(QVirtioDevice *dev, QGuestAllocator *alloc,
                     QVirtQueue *vq, const char *file)
{
    struct virtio_blk_discard_write_zeroes range = {
        .num_sectors = cpu_to_le32(2048),
    };
    g_autofree char *data = g_malloc(1 << 20);
    uint8_t first;
    int fd = open(file, O_RDWR);

    g_assert_cmpint(fd, >=, 0);
    memset(data, 0xaa, 1 << 20);
    g_assert_cmpint(pwrite(fd, data, 1 << 20, 0), ==, 1 << 20);
    g_assert_cmpint(fdatasync(fd), ==, 0);
    g_assert_cmpint(request(dev, alloc, vq, VIRTIO_BLK_T_DISCARD, &range,
                            sizeof(range)), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(pread(fd, &first, 1, 0), ==, 1);
    close(fd);
    return !first;
}

/* A node without discard=unmap ignores discards, which the driver cannot tell. */
static void discard(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = get_vdev(obj);
    uint64_t features = qvirtio_get_features(dev);
    QVirtQueue *vq;

    add_node("ignores", getenv("VHOST_QTEST_THIRD"), "ignore");
    add_node("unmaps", getenv("VHOST_QTEST_SECOND"), "unmap");
    g_assert_cmphex(features & F_DISCARD, ==, F_DISCARD);
    g_assert_true(swap("ignores"));
    g_assert_cmphex(qvirtio_get_features(dev), ==, features);

    g_assert_true(negotiate(dev, features & ~F_EVENT_IDX));
    vq = qvirtqueue_setup(dev, alloc, 0);
    qvirtio_set_driver_ok(dev);
    g_assert_cmpint(qvirtio_config_readb(dev, MAY_UNMAP), ==, 1);
    g_assert_false(discards(dev, alloc, vq, getenv("VHOST_QTEST_THIRD")));
    g_assert_true(swap("unmaps"));
    g_assert_true(discards(dev, alloc, vq, getenv("VHOST_QTEST_SECOND")));
    qvirtqueue_cleanup(dev->bus, vq, alloc);
}

static void reset_queue(void *obj)
{
    QVirtioPCIDevice *pci = &((QVirtioBlkPCI *)obj)->pci_vdev;
    QVirtioDevice *dev = get_vdev(obj);
    uint64_t reset = pci->common_cfg_offset + VIRTIO_PCI_COMMON_Q_RESET;

    dev->bus->queue_select(dev, 0);
    qpci_io_writew(pci->pdev, pci->bar, reset, 1);
    g_assert_cmpint(qpci_io_readw(pci->pdev, pci->bar, reset), ==, 0);
}

/* After the reset of a queue, the driver can set up other rings for it. */
static void queue_reset(void *obj, void *data, QGuestAllocator *alloc)
{
    QVirtioDevice *dev = get_vdev(obj);
    uint64_t features = qvirtio_get_features(dev);
    QVirtQueue *vq, *other;

    g_assert_cmphex(features & F_RING_RESET, ==, F_RING_RESET);
    g_assert_true(negotiate(dev, features & ~F_EVENT_IDX));
    vq = qvirtqueue_setup(dev, alloc, 0);
    qvirtio_set_driver_ok(dev);
    g_assert_cmpint(request(dev, alloc, vq, VIRTIO_BLK_T_FLUSH, NULL, 0), ==,
                    VIRTIO_BLK_S_OK);
    reset_queue(obj);
    other = qvirtqueue_setup(dev, alloc, 0);
    g_assert_cmpint(request(dev, alloc, other, VIRTIO_BLK_T_FLUSH, NULL, 0), ==,
                    VIRTIO_BLK_S_OK);
    qvirtqueue_cleanup(dev->bus, vq, alloc);
    qvirtqueue_cleanup(dev->bus, other, alloc);
}

/* Enable a queue with rings anywhere, and a size that may be invalid. */
static void enable_queue(void *obj, uint16_t index, uint16_t size)
{
    QVirtioPCIDevice *pci = &((QVirtioBlkPCI *)obj)->pci_vdev;
    QVirtioDevice *dev = get_vdev(obj);
    uint64_t common = pci->common_cfg_offset;

    dev->bus->queue_select(dev, index);
    qpci_io_writew(pci->pdev, pci->bar, common + VIRTIO_PCI_COMMON_Q_SIZE, size);
    qpci_io_writel(pci->pdev, pci->bar, common + VIRTIO_PCI_COMMON_Q_DESCLO,
                   0x100000);
    qpci_io_writel(pci->pdev, pci->bar, common + VIRTIO_PCI_COMMON_Q_AVAILLO,
                   0x101000);
    qpci_io_writel(pci->pdev, pci->bar, common + VIRTIO_PCI_COMMON_Q_USEDLO,
                   0x102000);
    qpci_io_writew(pci->pdev, pci->bar, common + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
}

/*
 * A queue that cannot be enabled, or is enabled twice, breaks the device.  It
 * must not be unmapped when the device stops: that ends QEMU.
 */
static void bad_queue_enable(void *obj, void *data, QGuestAllocator *alloc)
{
    static const struct { uint16_t index, size; bool reset; } cases[] = {
        { 0, 3, true }, { 0, 64, false }, { 1, 3, false },
    };
    QVirtioDevice *dev = get_vdev(obj);
    uint64_t features = qvirtio_get_features(dev);
    QVirtQueue *vq;
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        g_assert_true(negotiate(dev, features & ~F_EVENT_IDX));
        vq = qvirtqueue_setup(dev, alloc, 0);
        qvirtio_set_driver_ok(dev);
        if (cases[i].reset) {
            reset_queue(obj);
        }
        enable_queue(obj, cases[i].index, cases[i].size);
        g_assert_cmphex(dev->bus->get_status(dev) & VIRTIO_CONFIG_S_NEEDS_RESET,
                        ==, VIRTIO_CONFIG_S_NEEDS_RESET);
        qvirtio_reset(dev);
        qvirtqueue_cleanup(dev->bus, vq, alloc);
    }
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

static void *use_legacy_disk(GString *cmd_line, void *variable)
{
    g_string_replace(cmd_line, "id=drv0", "id=drv0,disable-modern=on", 0);
    return use_disk(cmd_line, variable);
}

static void *use_two_queues(GString *cmd_line, void *variable)
{
    g_string_replace(cmd_line, "id=drv0", "id=drv0,num-queues=2", 0);
    return use_disk(cmd_line, variable);
}

static void register_vhost_blk_test(void)
{
    QOSGraphTestOptions two_queues = {
        .before = use_two_queues,
        .arg = (char *)"VHOST_QTEST_SECOND",
    };
    QOSGraphTestOptions image = {
        .before = use_disk,
        .arg = (char *)"VHOST_QTEST_SECOND",
    };
    QOSGraphTestOptions legacy = {
        .before = use_legacy_disk,
        .arg = (char *)"VHOST_QTEST_SECOND",
    };
    QOSGraphTestOptions legacy_block = {
        .before = use_legacy_disk,
        .arg = (char *)"VHOST_QTEST_BLOCK",
    };
    QOSGraphTestOptions zoned_disk = {
        .before = use_disk,
        .arg = (char *)"VHOST_QTEST_ZONED",
    };

    qos_add_test("writeback", "vhost-blk-pci", writeback, &image);
    qos_add_test("generation", "vhost-blk-pci", generation, &image);
    qos_add_test("discard", "vhost-blk-pci", discard, &image);
    qos_add_test("queue-reset", "vhost-blk-pci", queue_reset, &image);
    qos_add_test("bad-queue-enable", "vhost-blk-pci", bad_queue_enable,
                 &two_queues);
    qos_add_test("broken-chain", "vhost-blk-pci", broken_chain, &image);
    qos_add_test("bad-rings", "vhost-blk-pci", bad_rings, &image);
    qos_add_test("transport-feature", "vhost-blk-pci", transport_feature,
                 &image);
    qos_add_test("masked-vector", "vhost-blk-pci", masked_vector, &image);
    qos_add_test("early-kick", "vhost-blk-pci", early_kick, &legacy);
    qos_add_test("early-kick-unusable", "vhost-blk-pci", early_kick_unusable,
                 &legacy_block);
    qos_add_test("config-size", "vhost-blk-pci", config_size, &image);
    qos_add_test("zoned", "vhost-blk-pci", zoned, &zoned_disk);
}

libqos_init(register_vhost_blk_test);
