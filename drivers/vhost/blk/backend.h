/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage 4: what holds the data, a block device or a regular file.
 */
#ifndef VHOST_BLK_BACKEND_H
#define VHOST_BLK_BACKEND_H

#include <linux/errseq.h>
#include <linux/fs.h>
#include <linux/types.h>
#include <linux/vhost_blk.h>
#include <linux/virtio_blk.h>

#include "request.h"

struct cgroup_subsys_state;
struct cred;
struct mem_cgroup;
struct vhost_blk_req;
struct vhost_blk_be;
struct vhost_blk_limits;
union vhost_blk_config;

/**
 * struct vhost_blk_backend_ops - a kind of backend
 * @open: fill in the rest of a disk whose @file is set; may refuse
 * @capacity: current size in sectors of 512 bytes; may change at any time
 * @flush: make stable what has been written; sleeps.  Called by
 *	vhost_blk_backend_flush() only.
 * @config: fill in what the device knows beyond its block size
 * @submit: start req->io.  It is called from the worker of the queue with the
 *	mutex of the virtqueue held, must not wait for the I/O or, if the
 *	backend can tell, for resources, and calls vhost_blk_req_done() exactly
 *	once, from any context.
 */
struct vhost_blk_backend_ops {
	int (*open)(struct vhost_blk_be *be);
	u64 (*capacity)(const struct vhost_blk_be *be);
	int (*flush)(const struct vhost_blk_be *be);
	void (*config)(const struct vhost_blk_be *be,
		       union vhost_blk_config *config);
	void (*submit)(struct vhost_blk_req *req);
};

/**
 * struct vhost_blk_identity - in whose name the I/O of a backend is done
 * @blkcg: the io controller's group, or NULL
 * @memcg: the memory controller's, or NULL
 * @cred: credentials of the process that attached the backend
 */
struct vhost_blk_identity {
	struct cgroup_subsys_state *blkcg;
	struct mem_cgroup *memcg;
	const struct cred *cred;
};

/**
 * struct vhost_blk_saved_identity - what vhost_blk_assume_identity() has replaced
 * @cred: the thread's own credentials, or NULL if they are the owner's anyway
 * @memcg: the active memory control group of before
 * @kthread: control groups are to be restored too
 */
struct vhost_blk_saved_identity {
	const struct cred *cred;
	struct mem_cgroup *memcg;
	bool kthread;
};

/**
 * struct vhost_blk_be - an attached backend; constant once it is open, except
 *	for @flush_error
 * @ops: the kind
 * @file: our own reference
 * @bdev: of a block device, and then as long as @file lives
 * @identity: in whose name the I/O is done
 * @dev: number of the block device, or of the file system as stat() has it
 * @ino: of a regular file, as stat() has it, else 0
 * @mapping: page cache of the block device, or that holds the data of a
 *	regular file
 * @wb_err: errors of @mapping before the backend was attached
 * @iocb_flags: IOCB_* of @file when it was attached, whatever fcntl() does later
 * @nowait: IOCB_NOWAIT works, and no fanotify listener can make it wait
 * @max_discard_sectors: maximum sectors of one range to discard, 0 if the backend
 *	can't, when it was attached; what the guest was told before a swap, if
 *	that is more
 * @max_zeroes_sectors: likewise, of one range to zero
 * @max_erase_sectors: likewise, of one range to erase securely
 * @range_align: sectors that discards should be aligned to, not 0
 * @range_offset: sectors of a granule of @range_align that lie in front of the
 *	start of a partition
 * @zeroes_unmap: zeroes may deallocate
 * @flush_error: errno of the first flush that failed, or 0
 * @ro: nothing may be changed
 * @features: bits of virtio-blk that depend on the backend
 * @zone_sectors: sectors in a zone, 0 for none
 * @write_granularity: of a zoned device, in bytes, a power of two
 * @append_sectors: sectors of one zone append, at most
 * @block_size: logical block in bytes, a power of two from 512 up
 * @addr_mask: bits that must be 0 in the address of every segment of data
 * @len_mask: bits that must be 0 in its length; if either mask is violated
 *	the data is bounced
 * @nowait_len: bytes of a bio that is submitted with REQ_NOWAIT, at most; 0 if
 *	the device has no REQ_NOWAIT
 * @nowait_vecs: vectors of such a bio, at most
 * @stable: a file, for which data must not change while it is written
 * @serial: answer to VIRTIO_BLK_T_GET_ID
 */
struct vhost_blk_be {
	const struct vhost_blk_backend_ops *ops;
	struct file *file;
	struct block_device *bdev;
	struct address_space *mapping;
	struct vhost_blk_identity identity;
	dev_t dev;
	u64 ino;
	errseq_t wb_err;
	int iocb_flags;
	bool nowait;
	u32 max_discard_sectors;
	u32 max_zeroes_sectors;
	u32 max_erase_sectors;
	u32 range_align;
	u32 range_offset;
	bool zeroes_unmap;
	int flush_error;
	bool ro;
	u64 features;
	u32 zone_sectors;
	u32 write_granularity;
	u32 append_sectors;
	u32 block_size;
	u32 addr_mask;
	u32 len_mask;
	u32 nowait_len;
	u32 nowait_vecs;
	bool stable;
	u8 serial[VHOST_BLK_SERIAL_LEN];
};

extern const struct vhost_blk_backend_ops vhost_blk_bdev_ops;
extern const struct vhost_blk_backend_ops vhost_blk_file_ops;

/* owner.c APIs: */
void vhost_blk_identity_get(struct vhost_blk_identity *identity);
void vhost_blk_identity_put(struct vhost_blk_identity *identity);
void vhost_blk_assume_identity(struct vhost_blk_saved_identity *saved,
			       const struct vhost_blk_identity *identity);
void vhost_blk_restore_identity(const struct vhost_blk_saved_identity *saved);

/* zone.c APIs: */
int vhost_blk_zone_open(struct vhost_blk_be *be);
void vhost_blk_zone_config(const struct vhost_blk_be *be,
			   union vhost_blk_config *config);
bool vhost_blk_zone_may_replace(const struct vhost_blk_be *be,
				const struct vhost_blk_be *old);
u8 vhost_blk_zone_check(const struct vhost_blk_req *req,
			const struct vhost_blk_limits *limits);
int vhost_blk_zone_control(struct vhost_blk_req *req);
void vhost_blk_zone_map_error(struct vhost_blk_req *req);

/* backend.c APIs: */
struct vhost_blk_be *vhost_blk_backend_open(const struct vhost_blk_backend *arg);
void vhost_blk_backend_close(struct vhost_blk_be *be);
int vhost_blk_backend_flush(struct vhost_blk_be *be);
int vhost_blk_backend_flushed(struct vhost_blk_be *be, int error);
u32 vhost_blk_clamp_range(const struct vhost_blk_be *be, u32 sectors);
__virtio16 vhost_blk_min_io(u32 blocks);
void vhost_blk_backend_keep_limits(struct vhost_blk_be *be,
				   const struct vhost_blk_be *old);
u32 vhost_blk_backend_max_range(const struct vhost_blk_be *be,
				enum vhost_blk_op op);
bool vhost_blk_backend_writes_zeroes(const struct vhost_blk_be *be);
void vhost_blk_backend_range_config(const struct vhost_blk_be *be,
				    struct virtio_blk_config *config);
void vhost_blk_backend_set_align(struct vhost_blk_be *be, u32 dma_mask,
				 u32 unit);
bool vhost_blk_backend_outgrown(const struct vhost_blk_be *be);
void vhost_blk_backend_limits(const struct vhost_blk_be *be,
			      struct vhost_blk_limits *limits);

#endif
