/*
 * qtest for vhost-blk on virtio-mmio, in a machine without PCI
 *
 * The environment variable VHOST_QTEST_SECOND is the path of an image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"
#include "libqos/libqos-malloc.h"
#include "libqos/virtio-mmio.h"
#include "qapi/qmp/qdict.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_ids.h"
#include "standard-headers/linux/virtio_ring.h"

#define MEMORY (64ull << 20)
#define PAGE 4096

/* The transports of a microvm */
#define TRANSPORTS 0xfeb00000ull
#define TRANSPORT_SIZE 512
#define TRANSPORT_COUNT 24

typedef struct Test {
    QTestState *qts;
    QGuestAllocator alloc;
    QVirtioMMIODevice mmio;
    QVirtQueue *vq;
} Test;

static void find_device(Test *t)
{
    uint64_t address = TRANSPORTS;
    int i;

    for (i = 0; i < TRANSPORT_COUNT; i++, address += TRANSPORT_SIZE) {
        if (qtest_readl(t->qts, address + QVIRTIO_MMIO_DEVICE_ID) ==
            VIRTIO_ID_BLOCK) {
            qvirtio_mmio_init_device(&t->mmio, t->qts, address, PAGE);
            return;
        }
    }
    g_assert_not_reached();
}

static void start_driver(Test *t)
{
    QVirtioDevice *dev = &t->mmio.vdev;
    uint64_t features;

    qvirtio_start_device(dev);
    features = qvirtio_get_features(dev);
    g_assert_cmphex(features & (1ull << VIRTIO_BLK_F_FLUSH), !=, 0);
    qvirtio_set_features(dev, features & ~(QVIRTIO_F_BAD_FEATURE |
                                           1ull << VIRTIO_RING_F_EVENT_IDX));
    t->vq = qvirtqueue_setup(dev, &t->alloc, 0);
    qvirtio_set_driver_ok(dev);
}

/* Transfer the first sector, and wait for the interrupt. */
static uint64_t transfer(Test *t, uint32_t type, uint8_t byte)
{
    QVirtioDevice *dev = &t->mmio.vdev;
    uint64_t request = guest_alloc(&t->alloc, 16 + 512 + 1);
    bool in = type == VIRTIO_BLK_T_IN;
    uint32_t head;

    qtest_memset(t->qts, request, 0, 16);
    qtest_writel(t->qts, request, type);
    qtest_memset(t->qts, request + 16, byte, 512);
    qtest_writeb(t->qts, request + 528, 0xff);
    head = qvirtqueue_add(t->qts, t->vq, request, 16, false, true);
    qvirtqueue_add(t->qts, t->vq, request + 16, 512, in, true);
    qvirtqueue_add(t->qts, t->vq, request + 528, 1, true, false);
    qvirtqueue_kick(t->qts, dev, t->vq, head);
    qvirtio_wait_used_elem(t->qts, dev, t->vq, head, NULL,
                           30 * G_TIME_SPAN_SECOND);
    g_assert_cmpint(qtest_readb(t->qts, request + 528), ==, 0);
    return request + 16;
}

static void qmp_ok(Test *t, const char *command)
{
    qtest_qmp_assert_success(t->qts, "{ 'execute': %s }", command);
}

/* The driver writes and reads, also after a stop and after a reset. */
static void read_write(void)
{
    Test t = {};
    int i;

    t.qts = qtest_initf("-machine microvm -m 64 -nodefaults "
                        "-device vhost-blk,path=%s",
                        getenv("VHOST_QTEST_SECOND"));
    alloc_init(&t.alloc, 0, MEMORY / 2, MEMORY, PAGE);
    find_device(&t);
    for (i = 1; i < 3; i++) {
        start_driver(&t);
        transfer(&t, VIRTIO_BLK_T_OUT, i);
        qmp_ok(&t, "stop");
        qmp_ok(&t, "cont");
        g_assert_cmpint(qtest_readb(t.qts, transfer(&t, VIRTIO_BLK_T_IN, 0xff)),
                        ==, i);
        qvirtqueue_cleanup(t.mmio.vdev.bus, t.vq, &t.alloc);
    }
    qtest_quit(t.qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("vhost-blk/mmio", read_write);
    return g_test_run();
}
