/*
 * vhost-blk: requests that have been taken from the rings but not completed
 *
 * The kernel parks a request that has failed, if the error policy says so, and
 * tries it again when its queue is started.  In the migration stream such
 * requests are those of virtio-blk, which has a list of them as well: for each
 * one a byte that is not 0, the number of the queue if there are several, and a
 * VirtQueueElement.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/virtio/vhost-blk.h"
#include "hw/virtio/virtio-access.h"
#include "migration/qemu-file.h"
#include "migration/qemu-file-types.h"
#include "qemu/error-report.h"
#include "standard-headers/linux/virtio_ring.h"

/* Moved in QEMU 10.0 */
#if VHOST_BLK_QEMU >= 1000
#include "system/dma.h"
#else
#include "sysemu/dma.h"
#endif

#include <linux/vhost_blk.h>

/* Descriptor heads of the parked requests of one queue */
struct VHostBlkHeads {
    uint32_t count;
    uint16_t head[VHOST_BLK_MAX_QUEUE_SIZE];
};

/*
 * Save
 */

/* The memory of a request, as virtqueue_pop() returns it */
typedef struct VHostBlkElement {
    VirtQueueElement elem;
    hwaddr addr[2][VIRTQUEUE_MAX_SIZE];
    struct iovec iov[2][VIRTQUEUE_MAX_SIZE];
    unsigned int num[2];
} VHostBlkElement;

/*
 * Add a descriptor.  The destination maps each segment in one piece, so divide
 * it where the memory is not contiguous in QEMU.
 */
static bool vhost_blk_add_segment(VirtIODevice *vdev, VHostBlkElement *e,
                                  const struct vring_desc *desc)
{
    bool in = desc->flags & VRING_DESC_F_WRITE;
    DMADirection dir = in ? DMA_DIRECTION_FROM_DEVICE :
                            DMA_DIRECTION_TO_DEVICE;
    hwaddr addr = desc->addr, left = desc->len;

    while (left) {
        dma_addr_t len = left;
        void *at = dma_memory_map(vdev->dma_as, addr, &len, dir,
                                  MEMTXATTRS_UNSPECIFIED);

        if (!at || e->num[in] == VIRTQUEUE_MAX_SIZE) {
            return false;
        }
        dma_memory_unmap(vdev->dma_as, at, len, dir, 0);
        e->addr[in][e->num[in]] = addr;
        e->iov[in][e->num[in]++].iov_len = len;
        addr += len;
        left -= len;
    }
    return true;
}

static bool vhost_blk_read_desc(VirtIODevice *vdev, hwaddr table,
                                unsigned int index, struct vring_desc *desc)
{
    if (dma_memory_read(vdev->dma_as, table + index * sizeof(*desc), desc,
                        sizeof(*desc), MEMTXATTRS_UNSPECIFIED) != MEMTX_OK) {
        return false;
    }
    virtio_tswap64s(vdev, &desc->addr);
    virtio_tswap32s(vdev, &desc->len);
    virtio_tswap16s(vdev, &desc->flags);
    virtio_tswap16s(vdev, &desc->next);
    return true;
}

/* Read the descriptors of a table from @index on, and indirect ones. */
static bool vhost_blk_read_chain(VirtIODevice *vdev, hwaddr table,
                                 unsigned int size, unsigned int index,
                                 bool indirect, VHostBlkElement *e)
{
    struct vring_desc desc;
    unsigned int i;

    /* A chain with more descriptors than the table has a loop. */
    for (i = 0; i < size; i++) {
        if (index >= size || !vhost_blk_read_desc(vdev, table, index, &desc)) {
            return false;
        }
        if (desc.flags & VRING_DESC_F_INDIRECT) {
            /* It is the last one (VIRTIO 1.3, 2.7.5.3.1). */
            return !indirect && !(desc.len % sizeof(desc)) &&
                   vhost_blk_read_chain(vdev, desc.addr,
                                        desc.len / sizeof(desc), 0, true, e);
        }
        if (!vhost_blk_add_segment(vdev, e, &desc)) {
            return false;
        }
        if (!(desc.flags & VRING_DESC_F_NEXT)) {
            return true;
        }
        index = desc.next;
    }
    return false;
}

static bool vhost_blk_save_request(VHostBlk *s, QEMUFile *f,
                                   unsigned int queue, uint16_t head)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    g_autofree VHostBlkElement *e = g_new0(VHostBlkElement, 1);

    if (!vhost_blk_read_chain(vdev, virtio_queue_get_desc_addr(vdev, queue),
                              virtio_queue_get_num(vdev, queue), head, false,
                              e)) {
        return false;
    }
    e->elem.index = head;
    e->elem.ndescs = 1;
    e->elem.out_num = e->num[false];
    e->elem.in_num = e->num[true];
    e->elem.out_addr = e->addr[false];
    e->elem.in_addr = e->addr[true];
    e->elem.out_sg = e->iov[false];
    e->elem.in_sg = e->iov[true];

    qemu_put_sbyte(f, 1);
    if (s->num_queues > 1) {
        qemu_put_be32(f, queue);
    }
    qemu_put_virtqueue_element(vdev, f, &e->elem);
    return true;
}

/* Get the heads that the kernel has, or will be given at the next start. */
static int vhost_blk_get_heads(VHostBlk *s, unsigned int queue,
                               VHostBlkHeads *heads)
{
    heads->count = VHOST_BLK_MAX_QUEUE_SIZE;
    if (s->parked) {
        *heads = s->parked[queue];
        return 0;
    }
    return vhost_blk_get_parked(s, queue, heads->head, &heads->count);
}

/* Save the list of parked requests.  A byte that is 0 is its end. */
void vhost_blk_save_requests(VirtIODevice *vdev, QEMUFile *f)
{
    VHostBlk *s = VHOST_BLK(vdev);
    VHostBlkHeads heads;
    unsigned int queue, i;
    int ret = 0;

    for (queue = 0; queue < s->num_queues && !ret; queue++) {
        ret = vhost_blk_get_heads(s, queue, &heads);
        if (ret < 0) {
            error_report("vhost-blk: '%s': could not get the parked requests "
                         "of queue %u: %s", s->backend->name, queue,
                         strerror(-ret));
        }
        for (i = 0; i < heads.count && !ret; i++) {
            if (!vhost_blk_save_request(s, f, queue, heads.head[i])) {
                error_report("vhost-blk: '%s': a parked request of queue %u "
                             "cannot be read", s->backend->name, queue);
                ret = -EINVAL;
            }
        }
    }
    if (ret < 0) {
        qemu_file_set_error(f, ret);
    }
    qemu_put_sbyte(f, 0);
}

/*
 * Load
 */

static void vhost_blk_unmap_element(VirtIODevice *vdev, VirtQueueElement *elem)
{
    unsigned int i;

    for (i = 0; i < elem->in_num; i++) {
        dma_memory_unmap(vdev->dma_as, elem->in_sg[i].iov_base,
                         elem->in_sg[i].iov_len, DMA_DIRECTION_FROM_DEVICE, 0);
    }
    for (i = 0; i < elem->out_num; i++) {
        dma_memory_unmap(vdev->dma_as, elem->out_sg[i].iov_base,
                         elem->out_sg[i].iov_len, DMA_DIRECTION_TO_DEVICE, 0);
    }
}

/* The kernel reads the request again from its descriptors, so keep the head. */
static int vhost_blk_load_request(VHostBlk *s, QEMUFile *f)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    unsigned int queue = s->num_queues > 1 ? qemu_get_be32(f) : 0;
    g_autofree VirtQueueElement *elem = NULL;
    VHostBlkHeads *heads;

    if (queue >= s->num_queues) {
        error_report("vhost-blk: '%s': a request of queue %u, but the device "
                     "has %u queues (num-queues)", s->backend->name, queue,
                     s->num_queues);
        return -EINVAL;
    }
    elem = qemu_get_virtqueue_element(vdev, f, sizeof(*elem));
    vhost_blk_unmap_element(vdev, elem);
    heads = &s->parked[queue];
    if (elem->index >= virtio_queue_get_num(vdev, queue) ||
        heads->count == VHOST_BLK_MAX_QUEUE_SIZE) {
        error_report("vhost-blk: '%s': the requests of queue %u are invalid",
                     s->backend->name, queue);
        return -EINVAL;
    }
    heads->head[heads->count++] = elem->index;
    return 0;
}

/* The list is given to the kernel at the next start. */
int vhost_blk_load_requests(VirtIODevice *vdev, QEMUFile *f, int version)
{
    VHostBlk *s = VHOST_BLK(vdev);
    int ret = 0;

    vhost_blk_forget_requests(s);
    while (qemu_get_sbyte(f)) {
        if (!s->parked) {
            ret = vhost_blk_clear_parked(s, 0);
            s->parked = g_new0(VHostBlkHeads, s->num_queues);
        }
        if (ret < 0) {
            error_report("vhost-blk: '%s': the source has requests that have "
                         "failed and wait to be tried again, which the kernel "
                         "cannot take: %s", s->backend->name, strerror(-ret));
            return ret;
        }
        ret = vhost_blk_load_request(s, f);
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

/* Give the kernel the list that was loaded; the queues have their size. */
int vhost_blk_restore_requests(VHostBlk *s)
{
    unsigned int i;
    int ret = 0;

    for (i = 0; s->parked && i < s->num_queues && !ret; i++) {
        if (s->parked[i].count) {
            ret = vhost_blk_set_parked(s, i, s->parked[i].head,
                                       s->parked[i].count);
        }
    }
    if (!ret) {
        vhost_blk_forget_requests(s);
    }
    return ret;
}

void vhost_blk_forget_requests(VHostBlk *s)
{
    g_free(s->parked);
    s->parked = NULL;
}

/* The driver has reset a queue, and does not expect its requests any more. */
int vhost_blk_drop_requests(VHostBlk *s, unsigned int queue)
{
    if (s->parked) {
        s->parked[queue].count = 0;
    }
    return vhost_blk_clear_parked(s, queue);
}
