/*
 * vhost-blk-pci: the PCI transport of vhost-blk
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/vhost-blk.h"
#include "hw/virtio/virtio-pci.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "qom/object.h"
#include "standard-headers/linux/virtio_pci.h"

#include <linux/vhost_blk.h>

#define TYPE_VHOST_BLK_PCI "vhost-blk-pci-base"
OBJECT_DECLARE_SIMPLE_TYPE(VHostBlkPCI, VHOST_BLK_PCI)

struct VHostBlkPCI {
    VirtIOPCIProxy parent_obj;
    VHostBlk vdev;
};

static VHostBlkProperty vhost_blk_pci_properties[] = {
    DEFINE_PROP_UINT32("class", VirtIOPCIProxy, class_code, 0),
    DEFINE_PROP_UINT32("vectors", VirtIOPCIProxy, nvectors,
                       DEV_NVECTORS_UNSPECIFIED),
    VHOST_BLK_PROPERTIES_END
};

static void vhost_blk_pci_realize(VirtIOPCIProxy *proxy, Error **errp)
{
    VHostBlkPCI *dev = VHOST_BLK_PCI(proxy);
    VHostBlk *s = &dev->vdev;

    if (s->num_queues == VHOST_BLK_AUTO_NUM_QUEUES) {
        s->num_queues = MIN(virtio_pci_optimal_num_queues(0),
                            VHOST_BLK_MAX_QUEUES);
    }
    /* One vector per queue, and one for configuration changes. */
    if (proxy->nvectors == DEV_NVECTORS_UNSPECIFIED) {
        proxy->nvectors = s->num_queues + 1;
    }
    qdev_realize(DEVICE(s), BUS(&proxy->bus), errp);
}

static void vhost_blk_pci_class_init(ObjectClass *klass,
                                     VHostBlkClassData *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    VirtioPCIClass *k = VIRTIO_PCI_CLASS(klass);
    PCIDeviceClass *pdc = PCI_DEVICE_CLASS(klass);

    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
    device_class_set_props(dc, vhost_blk_pci_properties);
    dc->desc = "virtio-blk served by the host kernel";
    k->realize = vhost_blk_pci_realize;
    pdc->vendor_id = PCI_VENDOR_ID_REDHAT_QUMRANET;
    pdc->device_id = PCI_DEVICE_ID_VIRTIO_BLOCK;
    pdc->revision = VIRTIO_PCI_ABI_VERSION;
    pdc->class_id = PCI_CLASS_STORAGE_SCSI;
}

static void vhost_blk_pci_instance_init(Object *obj)
{
    VHostBlkPCI *dev = VHOST_BLK_PCI(obj);

    virtio_instance_init_common(obj, &dev->vdev, sizeof(dev->vdev),
                                TYPE_VHOST_BLK);
    object_property_add_alias(obj, "bootindex", OBJECT(&dev->vdev),
                              "bootindex");
}

static const VirtioPCIDeviceTypeInfo vhost_blk_pci_info = {
    .base_name = TYPE_VHOST_BLK_PCI,
    .generic_name = "vhost-blk-pci",
    .transitional_name = "vhost-blk-pci-transitional",
    .non_transitional_name = "vhost-blk-pci-non-transitional",
    .instance_size = sizeof(VHostBlkPCI),
    .instance_init = vhost_blk_pci_instance_init,
    .class_init = vhost_blk_pci_class_init,
};

static void vhost_blk_pci_register(void)
{
    virtio_pci_types_register(&vhost_blk_pci_info);
}

type_init(vhost_blk_pci_register)
