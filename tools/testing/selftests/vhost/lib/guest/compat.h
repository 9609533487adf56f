/* SPDX-License-Identifier: GPL-2.0 */
/* Definitions that installed kernel headers may lack */
#ifndef VHOST_TEST_COMPAT_H
#define VHOST_TEST_COMPAT_H

#include <assert.h>
#include <stdint.h>
#include <linux/vhost.h>
#include <linux/virtio_blk.h>

#ifndef VHOST_NEW_WORKER	/* Linux 6.5 */
struct vhost_worker_state {
	unsigned int worker_id;
};

struct vhost_vring_worker {
	unsigned int index;
	unsigned int worker_id;
};

#define VHOST_NEW_WORKER	_IOR(VHOST_VIRTIO, 0x8, struct vhost_worker_state)
#define VHOST_FREE_WORKER	_IOW(VHOST_VIRTIO, 0x9, struct vhost_worker_state)
#define VHOST_ATTACH_VRING_WORKER	_IOW(VHOST_VIRTIO, 0x15, struct vhost_vring_worker)
#define VHOST_GET_VRING_WORKER	_IOWR(VHOST_VIRTIO, 0x16, struct vhost_vring_worker)
#endif

#ifndef VHOST_SET_FORK_FROM_OWNER	/* Linux 6.17 */
#define VHOST_SET_FORK_FROM_OWNER	_IOW(VHOST_VIRTIO, 0x84, uint8_t)
#define VHOST_GET_FORK_FROM_OWNER	_IOR(VHOST_VIRTIO, 0x85, uint8_t)
#endif

#ifndef VIRTIO_BLK_T_SECURE_ERASE	/* Linux 5.19 */
#define VIRTIO_BLK_F_SECURE_ERASE	16
#define VIRTIO_BLK_T_SECURE_ERASE	14
#endif

#ifndef VIRTIO_BLK_F_ZONED	/* Linux 6.3 */
#define VIRTIO_BLK_F_ZONED	17
#define VIRTIO_BLK_T_ZONE_APPEND	15
#define VIRTIO_BLK_T_ZONE_REPORT	16
#define VIRTIO_BLK_T_ZONE_OPEN		18
#define VIRTIO_BLK_T_ZONE_CLOSE		20
#define VIRTIO_BLK_T_ZONE_FINISH	22
#define VIRTIO_BLK_T_ZONE_RESET		24
#define VIRTIO_BLK_T_ZONE_RESET_ALL	26
#define VIRTIO_BLK_S_ZONE_INVALID_CMD		3
#define VIRTIO_BLK_S_ZONE_UNALIGNED_WP		4
#define VIRTIO_BLK_S_ZONE_OPEN_RESOURCE		5
#define VIRTIO_BLK_S_ZONE_ACTIVE_RESOURCE	6
#endif

/* Types and states of a zone */
#define ZT_CONV		1
#define ZT_SWR		2
#define ZS_NOT_WP	0
#define ZS_EMPTY	1
#define ZS_IOPEN	2
#define ZS_EOPEN	3
#define ZS_CLOSED	4
#define ZS_RDONLY	13
#define ZS_FULL		14
#define ZS_OFFLINE	15

/* from 5.2.6 of the specification; Linux has no header with it */
#define BLK_F_LIFETIME		15
#define BLK_T_GET_LIFETIME	10

/* The structures of 5.2.4 and 5.2.6; installed headers may have only parts of them. */
struct blk_config {
	uint64_t capacity;
	uint32_t size_max;
	uint32_t seg_max;
	struct {
		uint16_t cylinders;
		uint8_t heads;
		uint8_t sectors;
	} geometry;
	uint32_t blk_size;
	uint8_t physical_block_exp;
	uint8_t alignment_offset;
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint8_t writeback;
	uint8_t unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors;
	uint32_t max_discard_seg;
	uint32_t discard_sector_alignment;
	uint32_t max_write_zeroes_sectors;
	uint32_t max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
	uint32_t max_secure_erase_sectors;
	uint32_t max_secure_erase_seg;
	uint32_t secure_erase_sector_alignment;
	struct {
		uint32_t zone_sectors;
		uint32_t max_open_zones;
		uint32_t max_active_zones;
		uint32_t max_append_sectors;
		uint32_t write_granularity;
		uint8_t model;
		uint8_t unused2[3];
	} zoned;
};

struct blk_zone_desc {
	uint64_t z_cap;
	uint64_t z_start;
	uint64_t z_wp;
	uint8_t z_type;
	uint8_t z_state;
	uint8_t reserved[38];
};

struct blk_zone_report {
	uint64_t nr_zones;
	uint8_t reserved[56];
};

static_assert(sizeof(struct blk_config) == 96, "5.2.4");
static_assert(sizeof(struct blk_zone_desc) == 64, "5.2.6");
static_assert(sizeof(struct blk_zone_report) == 64, "5.2.6");

#endif /* VHOST_TEST_COMPAT_H */
