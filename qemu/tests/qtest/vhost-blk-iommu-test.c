/*
 * qtest for vhost-blk-pci behind an IOMMU whose guest switches ATS
 *
 * With ATS the guest invalidates the device IOTLB, and without it only the IOTLB
 * of the IOMMU.  The kernel has to be told in both cases.
 *
 * The environment variable VHOST_QTEST_SECOND is the path of an image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_regs.h"
#include "libqos/malloc-pc.h"
#include "libqos/pci-pc.h"
#include "libqos/virtio-pci.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ring.h"

#define MEMORY (64ull << 20)
/* I/O virtual address of the data; other memory is mapped to itself. */
#define DATA MEMORY

/* The secondary bus of the root port is bus 1, and the device has function 0. */
#define PORT QPCI_DEVFN(4, 0)
#define DISK 0x100

#define MMCONFIG 0xb0000000ull
#define HOST_BRIDGE_PCIEXBAR 0x60

/* Registers of the IOMMU, and bits of its command register */
#define VTD 0xfed90000ull
#define VTD_GCMD 0x18
#define VTD_GSTS 0x1c
#define VTD_RTADDR 0x20
#define VTD_IQT 0x88
#define VTD_IQA 0x90
#define VTD_TE (1u << 31)
#define VTD_SRTP (1u << 30)
#define VTD_QIE (1u << 26)

#define DOMAIN 1
#define READ_WRITE 3
#define LARGE_PAGE (1 << 7)
#define LARGE_SIZE (2ull << 20)

typedef struct Test {
    QTestState *qts;
    QGuestAllocator alloc;
    QPCIBus *bus;
    QVirtioPCIDevice *pci;
    QVirtQueue *vq;
    uint64_t ats;           /* address of the control register of ATS */
    uint64_t data_entry;    /* address of the page table entry of DATA */
    uint64_t queue;         /* of invalidations */
    int invalidations;
    int requests;
} Test;

static uint64_t new_page(Test *t)
{
    uint64_t page = guest_alloc(&t->alloc, 4096);

    g_assert_cmphex(page & 4095, ==, 0);
    qtest_memset(t->qts, page, 0, 4096);
    return page;
}

/* Build the tables of a domain of three levels; return the root table. */
static uint64_t make_tables(Test *t)
{
    uint64_t root = new_page(t), context = new_page(t), top = new_page(t);
    uint64_t middle = new_page(t), last = new_page(t), low = new_page(t);
    int i;

    /* present; the device may have a TLB; three levels */
    qtest_writeq(t->qts, root + 16, context | 1);
    qtest_writeq(t->qts, context, top | 1 << 2 | 1);
    qtest_writeq(t->qts, context + 8, DOMAIN << 8 | 1);
    qtest_writeq(t->qts, top, middle | READ_WRITE);
    /* QEMU passes translations on as they are, but a part of this is no memory. */
    qtest_writeq(t->qts, middle, low | READ_WRITE);
    for (i = 0; i < LARGE_SIZE / 4096; i++) {
        qtest_writeq(t->qts, low + 8 * i, i * 4096 | READ_WRITE);
    }
    for (i = 1; i < MEMORY / LARGE_SIZE; i++) {
        qtest_writeq(t->qts, middle + 8 * i,
                     i * LARGE_SIZE | LARGE_PAGE | READ_WRITE);
    }
    qtest_writeq(t->qts, middle + 8 * i, last | READ_WRITE);
    t->data_entry = last;
    return root;
}

static void command(Test *t, uint32_t bits)
{
    qtest_writel(t->qts, VTD + VTD_GCMD, bits);
    g_assert_cmphex(qtest_readl(t->qts, VTD + VTD_GSTS) & bits, ==, bits);
}

static void start_iommu(Test *t)
{
    qtest_writeq(t->qts, VTD + VTD_RTADDR, make_tables(t));
    command(t, VTD_SRTP);
    t->queue = new_page(t);
    qtest_writeq(t->qts, VTD + VTD_IQA, t->queue);
    command(t, VTD_QIE);
    command(t, VTD_QIE | VTD_TE);
}

/* Map DATA to another page, and invalidate the IOTLB, but no device IOTLB. */
static void map_data(Test *t, uint64_t page)
{
    uint64_t entry = t->queue + 16 * t->invalidations++;

    qtest_writeq(t->qts, t->data_entry, page | READ_WRITE);
    /* invalidation of the IOTLB, one page of a domain */
    qtest_writeq(t->qts, entry, (uint64_t)DOMAIN << 16 | 3 << 4 | 2);
    qtest_writeq(t->qts, entry + 8, DATA);
    qtest_writeq(t->qts, VTD + VTD_IQT, 16 * t->invalidations);
}

/* Return the address of the control register of ATS. */
static uint64_t find_ats(Test *t)
{
    uint64_t config = MMCONFIG + (DISK << 12);
    uint32_t offset = PCI_CFG_SPACE_SIZE, header;

    for (;;) {
        header = qtest_readl(t->qts, config + offset);
        if (PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_ATS) {
            return config + offset + PCI_ATS_CTRL;
        }
        offset = PCI_EXT_CAP_NEXT(header);
        g_assert_cmphex(offset, !=, 0);
    }
}

static void set_ats(Test *t, bool enable)
{
    qtest_writew(t->qts, t->ats, enable ? PCI_ATS_CTRL_ENABLE : 0);
}

static void find_device(Test *t)
{
    QPCIAddress disk = { .devfn = DISK };
    QPCIDevice *host = qpci_device_find(t->bus, 0);
    QPCIDevice *port = qpci_device_find(t->bus, PORT);

    qpci_config_writel(host, HOST_BRIDGE_PCIEXBAR, MMCONFIG | 1);
    qpci_config_writel(port, PCI_PRIMARY_BUS, 0x00010100);
    qpci_config_writel(port, PCI_MEMORY_BASE, 0xeff0e000);
    qpci_config_writew(port, PCI_COMMAND,
                       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    g_free(host);
    g_free(port);
    t->pci = virtio_pci_new(t->bus, &disk);
    g_assert_nonnull(t->pci);
    qvirtio_pci_device_enable(t->pci);
    t->ats = find_ats(t);
}

static void start_device(Test *t)
{
    QVirtioDevice *dev = &t->pci->vdev;
    uint64_t features;

    qvirtio_start_device(dev);
    features = qvirtio_get_features(dev);
    g_assert_cmphex(features & (1ull << VIRTIO_F_IOMMU_PLATFORM), !=, 0);
    qvirtio_set_features(dev, features & ~(QVIRTIO_F_BAD_FEATURE |
                                           1ull << VIRTIO_RING_F_EVENT_IDX));
    t->vq = qvirtqueue_setup(dev, &t->alloc, 0);
    qvirtio_set_driver_ok(dev);
}

/* Read the first sector to DATA; @page must get it. */
static void read_sector(Test *t, uint64_t page)
{
    uint64_t request = guest_alloc(&t->alloc, 17);
    gint64 end = g_get_monotonic_time() + 30 * G_TIME_SPAN_SECOND;
    uint32_t head;

    qtest_memset(t->qts, page, 0xff, 512);
    qtest_memset(t->qts, request, 0, 16);
    qtest_writeb(t->qts, request + 16, 0xff);
    head = qvirtqueue_add(t->qts, t->vq, request, 16, false, true);
    qvirtqueue_add(t->qts, t->vq, DATA, 512, true, true);
    qvirtqueue_add(t->qts, t->vq, request + 16, 1, true, false);
    qvirtqueue_kick(t->qts, &t->pci->vdev, t->vq, head);
    t->requests++;
    while (qtest_readw(t->qts, t->vq->used + 2) != t->requests) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
    g_assert_cmpint(qtest_readb(t->qts, request + 16), ==, 0);
    g_assert_cmpint(qtest_readb(t->qts, page), ==, 0);
    guest_free(&t->alloc, request);
}

/* The guest switches ATS off, and invalidates no device IOTLB from then on. */
static void ats_off(void)
{
    Test t = {};
    uint64_t before, after;

    t.qts = qtest_initf("-machine q35 -m 64 -nodefaults "
                        "-device intel-iommu,intremap=off,device-iotlb=on "
                        "-device pcie-root-port,id=rp,addr=4.0,chassis=1 "
                        "-device vhost-blk-pci,bus=rp,path=%s,ats=on,"
                        "iommu_platform=on,disable-legacy=on",
                        getenv("VHOST_QTEST_SECOND"));
    pc_alloc_init(&t.alloc, t.qts, 0);
    t.bus = qpci_new_pc(t.qts, &t.alloc);
    before = new_page(&t);
    after = new_page(&t);
    find_device(&t);
    start_iommu(&t);
    set_ats(&t, true);
    start_device(&t);
    map_data(&t, before);
    read_sector(&t, before);

    set_ats(&t, false);
    map_data(&t, after);
    read_sector(&t, after);
    map_data(&t, before);
    read_sector(&t, before);

    qvirtqueue_cleanup(t.pci->vdev.bus, t.vq, &t.alloc);
    qpci_free_pc(t.bus);
    alloc_destroy(&t.alloc);
    g_free(t.pci->pdev);
    g_free(t.pci);
    qtest_quit(t.qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("vhost-blk/ats-off", ats_off);
    return g_test_run();
}
