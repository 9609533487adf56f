/*
 * vhost-blk-ccw: the channel I/O transport of vhost-blk
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/vhost-blk.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "virtio-ccw.h"

#define TYPE_VHOST_BLK_CCW "vhost-blk-ccw"
OBJECT_DECLARE_SIMPLE_TYPE(VHostBlkCcw, VHOST_BLK_CCW)

struct VHostBlkCcw {
    VirtioCcwDevice parent_obj;
    VHostBlk vdev;
};

static VHostBlkProperty vhost_blk_ccw_properties[] = {
    DEFINE_PROP_UINT32("max_revision", VirtioCcwDevice, max_rev,
                       VIRTIO_CCW_MAX_REV),
    VHOST_BLK_PROPERTIES_END
};

static void vhost_blk_ccw_realize(VirtioCcwDevice *ccw, Error **errp)
{
    VHostBlkCcw *dev = VHOST_BLK_CCW(ccw);

    qdev_realize(DEVICE(&dev->vdev), BUS(&ccw->bus), errp);
}

static void vhost_blk_ccw_class_init(ObjectClass *klass,
                                     VHostBlkClassData *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    VirtIOCCWDeviceClass *k = VIRTIO_CCW_DEVICE_CLASS(klass);

    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
    device_class_set_props(dc, vhost_blk_ccw_properties);
    dc->desc = "virtio-blk served by the host kernel";
    k->realize = vhost_blk_ccw_realize;
}

static void vhost_blk_ccw_instance_init(Object *obj)
{
    VHostBlkCcw *dev = VHOST_BLK_CCW(obj);

    virtio_instance_init_common(obj, &dev->vdev, sizeof(dev->vdev),
                                TYPE_VHOST_BLK);
    object_property_add_alias(obj, "bootindex", OBJECT(&dev->vdev),
                              "bootindex");
}

static const TypeInfo vhost_blk_ccw_info = {
    .name = TYPE_VHOST_BLK_CCW,
    .parent = TYPE_VIRTIO_CCW_DEVICE,
    .instance_size = sizeof(VHostBlkCcw),
    .instance_init = vhost_blk_ccw_instance_init,
    .class_init = vhost_blk_ccw_class_init,
};

static void vhost_blk_ccw_register(void)
{
    type_register_static(&vhost_blk_ccw_info);
}

type_init(vhost_blk_ccw_register)
