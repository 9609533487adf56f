/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between the kernel that the sources are written for and the
 * kernels down to 6.1 that they are built for.  Included before all other
 * headers, except if the driver is part of a current kernel tree.
 */
#ifndef VHOST_BLK_COMPAT_H
#define VHOST_BLK_COMPAT_H

#include <linux/slab.h>
#include <linux/version.h>

#ifndef kzalloc_obj
#define kzalloc_obj(obj, gfp)	kzalloc(sizeof(obj), gfp)
#define kvzalloc_obj(obj, gfp)	kvzalloc(sizeof(obj), gfp)
#endif

/* Linux 6.3 added zoned devices to virtio-blk (VIRTIO 1.3, 5.2). */
#include <linux/virtio_blk.h>

#ifndef VIRTIO_BLK_F_ZONED
#define VIRTIO_BLK_F_ZONED		17

#define VIRTIO_BLK_T_ZONE_APPEND	15
#define VIRTIO_BLK_T_ZONE_REPORT	16
#define VIRTIO_BLK_T_ZONE_OPEN		18
#define VIRTIO_BLK_T_ZONE_CLOSE		20
#define VIRTIO_BLK_T_ZONE_FINISH	22
#define VIRTIO_BLK_T_ZONE_RESET		24
#define VIRTIO_BLK_T_ZONE_RESET_ALL	26

#define VIRTIO_BLK_S_ZONE_INVALID_CMD	3
#define VIRTIO_BLK_S_ZONE_UNALIGNED_WP	4
#define VIRTIO_BLK_S_ZONE_OPEN_RESOURCE	5
#define VIRTIO_BLK_S_ZONE_ACTIVE_RESOURCE 6

#define VIRTIO_BLK_Z_HM			1

#define VIRTIO_BLK_ZT_CONV		1
#define VIRTIO_BLK_ZT_SWR		2
#define VIRTIO_BLK_ZT_SWP		3

#define VIRTIO_BLK_ZS_NOT_WP		0
#define VIRTIO_BLK_ZS_EMPTY		1
#define VIRTIO_BLK_ZS_IOPEN		2
#define VIRTIO_BLK_ZS_EOPEN		3
#define VIRTIO_BLK_ZS_CLOSED		4
#define VIRTIO_BLK_ZS_RDONLY		13
#define VIRTIO_BLK_ZS_FULL		14
#define VIRTIO_BLK_ZS_OFFLINE		15

struct virtio_blk_zoned_characteristics {
	__virtio32 zone_sectors;
	__virtio32 max_open_zones;
	__virtio32 max_active_zones;
	__virtio32 max_append_sectors;
	__virtio32 write_granularity;
	__u8 model;
	__u8 unused2[3];
};

struct virtio_blk_zone_descriptor {
	__virtio64 z_cap;
	__virtio64 z_start;
	__virtio64 z_wp;
	__u8 z_type;
	__u8 z_state;
	__u8 reserved[38];
};

struct virtio_blk_zone_report {
	__virtio64 nr_zones;
	__u8 reserved[56];
	struct virtio_blk_zone_descriptor zones[];
};
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#include "vhost.h"

#define vhost_init_device_iotlb(dev) vhost_init_device_iotlb(dev, true)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#include <linux/sched.h>

/* Workers of the vhost core are kernel threads. */
#ifndef PF_USER_WORKER
#define PF_USER_WORKER	0
#endif

#define vhost_blk_worker_is_thread(dev) false
#endif

/* Since Linux 6.17, and in updates of older series, the VMM can choose. */
#include <linux/vhost.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0) && \
	!defined(VHOST_SET_FORK_FROM_OWNER)
#define vhost_blk_worker_is_thread(dev) true
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#include <linux/errno.h>

#include "vhost.h"

/*
 * There is one worker per device, which exists while the device has an owner.
 */
static inline bool vhost_blk_vq_work_queue(struct vhost_virtqueue *vq,
					   struct vhost_work *work)
{
	if (!vq->dev->worker)
		return false;
	vhost_work_queue(vq->dev, work);
	return true;
}

#define vhost_vq_work_queue vhost_blk_vq_work_queue
#define vhost_blk_vq_has_worker(vq) ((vq)->dev->worker)
#define vhost_vq_has_work(vq) vhost_has_work((vq)->dev)

#ifndef VHOST_ATTACH_VRING_WORKER
struct vhost_worker_state {
	unsigned int worker_id;
};

#define VHOST_FREE_WORKER _IOW(VHOST_VIRTIO, 0x9, struct vhost_worker_state)

struct vhost_vring_worker {
	unsigned int index;
	unsigned int worker_id;
};

#define VHOST_ATTACH_VRING_WORKER \
	_IOW(VHOST_VIRTIO, 0x15, struct vhost_vring_worker)
#endif

static inline long vhost_worker_ioctl(struct vhost_dev *dev, unsigned int ioctl,
				      void __user *argp)
{
	return -ENOIOCTLCMD;
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#include <linux/eventfd.h>
#include <linux/fs.h>

static inline void vhost_blk_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}

/*
 * The macro accepts the second argument that vq_err() of the old vhost.h
 * passes.
 */
#define eventfd_signal(ctx, ...) vhost_blk_eventfd_signal(ctx)

#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
#include <linux/blkdev.h>

/* Before 6.9 there are host-aware devices, which need no sequential writes. */
#define bdev_is_zoned(bdev) (bdev_zoned_model(bdev) == BLK_ZONED_HM)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#include <linux/bitops.h>
#include <linux/blkdev.h>
#include <linux/percpu-refcount.h>

/*
 * Check whether a zone is known to be conventional, or else to be sequential.
 *
 * Disks have a bitmap of conventional zones; it is NULL if there are none.  It
 * is replaced while the queue is frozen.  A bio-based disk may lack it
 * although there are such zones, and device mapper frees it at any time.
 */
static inline bool vhost_blk_zone_known(struct block_device *bdev,
					sector_t sector, bool conventional)
{
#ifdef CONFIG_BLK_DEV_ZONED
	struct request_queue *queue = bdev_get_queue(bdev);
	struct gendisk *disk = bdev->bd_disk;
	unsigned int zone;
	bool found;

	if (!queue_is_mq(queue) ||
	    !percpu_ref_tryget_live(&queue->q_usage_counter))
		return false;
	zone = bdev_is_zoned(bdev) ? disk_zone_no(disk, sector) : UINT_MAX;
	found = zone < disk->nr_zones &&
		conventional == (disk->conv_zones_bitmap &&
				 test_bit(zone, disk->conv_zones_bitmap));
	percpu_ref_put(&queue->q_usage_counter);
	return found;
#else
	return false;
#endif
}

#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#include <linux/bitops.h>
#include <linux/blkdev.h>
#include <linux/rcupdate.h>

/*
 * Check whether a zone is known to be conventional, or else to be sequential.
 *
 * Disks have a bitmap of conventional zones; it is NULL if there are none.  A
 * bio-based disk may lack it although there are such zones.
 */
static inline bool vhost_blk_zone_known(struct block_device *bdev,
					sector_t sector, bool conventional)
{
#ifdef CONFIG_BLK_DEV_ZONED
	struct gendisk *disk = bdev->bd_disk;
	const unsigned long *bitmap;
	unsigned int zone;

	if (!bdev_is_zoned(bdev))
		return false;
	zone = disk_zone_no(disk, sector);
	guard(rcu)();
	bitmap = rcu_dereference(disk->conv_zones_bitmap);
	if (zone >= disk->nr_zones ||
	    (!bitmap && !queue_is_mq(bdev_get_queue(bdev))))
		return false;
	return conventional == (bitmap && test_bit(zone, bitmap));
#else
	return false;
#endif
}

#elif LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)
#include <linux/blkdev.h>

/*
 * Check whether a zone is known to be conventional, or else to be sequential.
 * The zones of a bio-based disk may all count as sequential.
 */
static inline bool vhost_blk_zone_known(struct block_device *bdev,
					sector_t sector, bool conventional)
{
	bool seq = bdev_zone_is_seq(bdev, sector);

	return conventional ? !seq : seq && queue_is_mq(bdev_get_queue(bdev));
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)
#define vhost_blk_zone_is_conv(bdev, sector) \
	vhost_blk_zone_known(bdev, sector, true)
#define vhost_blk_zone_is_seq(bdev, sector) \
	vhost_blk_zone_known(bdev, sector, false)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#include <linux/blkdev.h>
#include <linux/minmax.h>

/*
 * Device mapper passes appends on to a disk whose limits may have been lowered
 * since the table was loaded.  An append that exceeds them is a BUG().  A page
 * never does.  On a disk the block layer would split an append after the last
 * whole physical block that the maximum permits, and cannot.
 */
static inline unsigned int vhost_blk_max_append(struct block_device *bdev)
{
	unsigned int max = bdev_max_zone_append_sectors(bdev);
	unsigned int safe = max_t(unsigned int, PAGE_SIZE,
				  bdev_zone_write_granularity(bdev));
	unsigned int physical = bdev_physical_block_size(bdev) >> SECTOR_SHIFT;

	if (!queue_is_mq(bdev_get_queue(bdev)))
		return min(max, safe >> SECTOR_SHIFT);
	return round_down(max, physical) ?: max;
}

#define bdev_max_zone_append_sectors(bdev) vhost_blk_max_append(bdev)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#include <linux/dcache.h>
#include <linux/fileattr.h>
#include <linux/magic.h>
#include <linux/pagemap.h>

/*
 * btrfs writes checksums of its data, so the data must be stable, but Linux 6.1
 * does not set this for any of its mappings.  Files without copy-on-write, as
 * images of disks should be, have no checksums.
 */
static inline bool vhost_blk_mapping_stable(struct address_space *mapping)
{
	struct fileattr fa = {};
	struct dentry *dentry;
	bool nocow = false;

	if (mapping_stable_writes(mapping))
		return true;
	if (mapping->host->i_sb->s_magic != BTRFS_SUPER_MAGIC)
		return false;
	dentry = d_find_any_alias(mapping->host);
	if (dentry)
		nocow = !vfs_fileattr_get(dentry, &fa) &&
			(fa.flags & FS_NOCOW_FL);
	dput(dentry);
	return !nocow;
}

#define mapping_stable_writes(mapping) vhost_blk_mapping_stable(mapping)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/stat.h>

/* Direct I/O has one alignment for reads and writes. */
#ifndef STATX_DIO_READ_ALIGN
#define STATX_DIO_READ_ALIGN		0
#define dio_read_offset_align		dio_offset_align
#endif

/* It is not known whether a fanotify listener can make users of a file wait. */
#ifndef FMODE_FSNOTIFY_HSM
#define FMODE_FSNOTIFY_HSM(mode)	0
#endif
#ifndef FMODE_FSNOTIFY_ACCESS_PERM
#define FMODE_FSNOTIFY_ACCESS_PERM(mode) 0
#endif

/*
 * override_creds() takes its own reference, which revert_creds() drops.  Make
 * the first take over the caller's reference and the second return it, as they
 * do from 6.14 on.
 */
static inline const struct cred *vhost_blk_override_creds(const struct cred *cred)
{
	const struct cred *old = override_creds(cred);

	put_cred(cred);
	return old;
}

static inline const struct cred *vhost_blk_revert_creds(const struct cred *old)
{
	const struct cred *cred = get_current_cred();

	revert_creds(old);
	return cred;
}

#define override_creds vhost_blk_override_creds
#define revert_creds vhost_blk_revert_creds
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#include <linux/blkdev.h>

/*
 * MD passes REQ_NOWAIT on to its members, and handles a member that would have
 * to wait as one that has failed; raid5 also has a WARN.  Other bio-based
 * drivers may have an MD device below them.
 */
static inline bool vhost_blk_bdev_has_nowait(struct block_device *bdev)
{
	return queue_is_mq(bdev_get_queue(bdev)) && bdev_nowait(bdev);
}

#define bdev_nowait(bdev) vhost_blk_bdev_has_nowait(bdev)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#include "vhost.h"

/* Without VIRTIO_F_IN_ORDER the number of descriptors is not needed. */
#define vhost_add_used_n(vq, heads, nheads, count) \
	vhost_add_used_n(vq, heads, count)
#define vhost_discard_vq_desc(vq, nbufs, ndesc) \
	vhost_discard_vq_desc(vq, nbufs)
#endif

#ifndef VHOST_BLK_CORE_RECORDS_MISS
/*
 * Before Linux 7.3 a queue does not record whether it has sent a miss.  The
 * makefiles look into vhost.h, because a stable kernel may get that later.
 */
#define vhost_blk_clear_miss(vq) do { } while (0)
#define vhost_blk_record_miss(vq, node) true
#endif

#endif
