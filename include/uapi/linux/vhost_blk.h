/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Userspace interface of /dev/vhost-blk, the in-kernel virtio-blk device.
 *
 * A file descriptor of /dev/vhost-blk is one virtio block device.  It takes
 * every generic vhost ioctl of <linux/vhost.h> and the ones below.  The order
 * of a start is: VHOST_SET_OWNER, VHOST_BLK_SET_BACKEND, VHOST_SET_FEATURES,
 * VHOST_SET_MEM_TABLE, VHOST_SET_VRING_* for each queue,
 * VHOST_BLK_SET_RUNNING(1).
 *
 * Section numbers are those of the Virtual I/O Device (VIRTIO) specification,
 * version 1.3.
 */
#ifndef _UAPI_LINUX_VHOST_BLK_H
#define _UAPI_LINUX_VHOST_BLK_H

#include <linux/types.h>
#include <linux/vhost.h>

/* Virtqueues of one device; virtio_blk_config.num_queues is this many. */
#define VHOST_BLK_MAX_QUEUES	64

/* Descriptors in one virtqueue, at most (a power of two, 2.7). */
#define VHOST_BLK_MAX_QUEUE_SIZE	1024

/* Bytes of the string that VIRTIO_BLK_T_GET_ID returns (5.2.6). */
#define VHOST_BLK_SERIAL_LEN	20

/*
 * Refuse what would change the backend, whatever the mode of its fd:
 * VIRTIO_BLK_F_RO is offered and such requests end in VIRTIO_BLK_S_IOERR
 * (5.2.6.2).
 */
#define VHOST_BLK_BACKEND_F_RO	(1U << 0)

/**
 * struct vhost_blk_backend - what holds the data of the device
 * @fd: an open block device or regular file, -1 for none
 * @flags: VHOST_BLK_BACKEND_F_*; any other bit is EINVAL
 * @serial: answer to VIRTIO_BLK_T_GET_ID, zero padded; no NUL is needed where
 *	it fills all of its bytes
 * @reserved: zero, else EINVAL
 */
struct vhost_blk_backend {
	__s32 fd;
	__u32 flags;
	__u8 serial[VHOST_BLK_SERIAL_LEN];
	__u8 reserved[36];
};

/*
 * Attach, replace or (fd -1) detach the backend.  The kernel keeps its own
 * reference; the caller may close the fd.  While the device runs this is a
 * swap: requests in flight finish on the old backend, which is then flushed,
 * and all later ones go to the new one.  Detaching while the device runs: EBUSY.
 *
 * A backend that is open for reading alone, or whose block device is
 * read-only, is attached as with VHOST_BLK_BACKEND_F_RO.
 *
 * EBADF: no such fd.  EACCES: open for writing alone.  EINVAL: unknown flag,
 * nonzero @reserved, neither a block device nor a regular file, or a file open
 * with O_APPEND that is not to be read-only.  ENODEV: the block device is gone.
 * ENOMEM.  ENOTRECOVERABLE: the device runs, and a flush of the old backend has
 * failed, now or before; it stays.  EOPNOTSUPP: the file can't do asynchronous
 * I/O by iterator; or, while features are negotiated, the new backend lacks one
 * of them (a read-only one where VIRTIO_BLK_F_RO was not acknowledged), or has
 * larger logical blocks, or other zones or fewer of them open or active; or its
 * zones are not a power of two of sectors.  EPERM: the caller is not the owner.
 *
 * An error of a flush, whoever asked for it, fails every later flush until a
 * backend is attached anew.  The flags of the file (O_DIRECT) are those of now.
 * I/O is done with the credentials that the caller has now, whoever opened the
 * file.  What kernel threads do for the backend is charged to the control groups
 * that the caller is in now.
 */
#define VHOST_BLK_SET_BACKEND	_IOW(VHOST_VIRTIO, 0x50, \
				     struct vhost_blk_backend)

/*
 * 1: check the rings of every queue that has addresses, start them and serve
 * what is already available; queues without addresses are skipped.  A second
 * 1 starts the queues that were given addresses since.  0: stop; returns when
 * no request is in flight and everything completed is in the used rings.
 *
 * EBUSY: requests of an interrupted stop are still in flight.  EINTR: the
 * caller is being killed; the queues that have not stopped are
 * VHOST_BLK_QUEUE_DEAD.  EINVAL: neither 0 nor 1, or a ring larger than
 * VHOST_BLK_MAX_QUEUE_SIZE.  ENODEV: no backend.  EFAULT: a ring or the log is
 * not in accessible memory.  ENOMEM.  EOWNERDEAD: the worker was killed,
 * or the owner has ended.
 * EPERM: not the owner.
 */
#define VHOST_BLK_SET_RUNNING	_IOW(VHOST_VIRTIO, 0x51, int)

/*
 * Read or write the struct virtio_blk_config (5.2.4) of the device, in the
 * layout of struct vhost_vdpa_config: .off and .len in bytes, both inside the
 * 96 bytes up to the end of the field `zoned`, on every kernel.  All fields are
 * little endian.  Before a backend is attached it reads as zero but for
 * num_queues and writeback.
 *
 * SET_CONFIG takes only .off and .len that name the field `writeback`, with
 * the value 0 or 1, at any time.  It is 1 until it is set, and 0 from a
 * VHOST_SET_FEATURES on that has VIRTIO_BLK_F_CONFIG_WCE but not
 * VIRTIO_BLK_F_FLUSH (5.2.5.2).  It counts where VIRTIO_BLK_F_CONFIG_WCE was
 * acknowledged; without that, writes are stable when they complete unless
 * VIRTIO_BLK_F_FLUSH was (5.2.6.2).  When a change to 0 returns, every write
 * that had completed before is stable.
 *
 * EINVAL: outside the config space, a field that can't be set, or a value that
 * is neither 0 nor 1.  EIO, ENOSPC and the like: what was written before could
 * not be made stable; `writeback` is as it was.  EPERM: SET_CONFIG, and the
 * caller is not the owner.
 */
#define VHOST_BLK_GET_CONFIG	_IOR(VHOST_VIRTIO, 0x52, \
				     struct vhost_vdpa_config)
#define VHOST_BLK_SET_CONFIG	_IOW(VHOST_VIRTIO, 0x53, \
				     struct vhost_vdpa_config)

/*
 * Signal this eventfd whenever the capacity has changed, so that the VMM can
 * raise a configuration change notification (4.1.5.4).  -1 takes it away.
 *
 * The capacity changes by VHOST_BLK_SET_BACKEND, or because the file or block
 * device grew or shrank, which is seen within about a second while the device
 * runs, and at its start.  Requests are always checked against the size of the
 * moment.
 *
 * EBADF: no such fd.  EINVAL: not an eventfd.
 */
#define VHOST_BLK_SET_CONFIG_CALL	_IOW(VHOST_VIRTIO, 0x54, int)

/*
 * The same as VHOST_BLK_SET_RUNNING for one queue: .index names it, .num is 0
 * or 1.  A queue without addresses stays as it is.
 *
 * ENOBUFS: no such queue; and the errors of VHOST_BLK_SET_RUNNING.
 */
#define VHOST_BLK_SET_VRING_RUNNING	_IOW(VHOST_VIRTIO, 0x55, \
					     struct vhost_vring_state)

#define VHOST_BLK_INFO_F_BACKEND	(1U << 0)	/* one is attached */
#define VHOST_BLK_INFO_F_RO		(1U << 1)	/* which can't be changed */
#define VHOST_BLK_INFO_F_BLOCK_DEVICE	(1U << 2)	/* not a regular file */
#define VHOST_BLK_INFO_F_DIRECT		(1U << 3)	/* past the page cache */

/**
 * struct vhost_blk_info - what VHOST_BLK_GET_INFO returns
 * @flags: VHOST_BLK_INFO_F_*
 * @running: 1 if any queue is not VHOST_BLK_QUEUE_STOPPED, else 0; a queue that is
 *	broken or dead counts too
 * @features: acknowledged by VHOST_SET_FEATURES
 * @capacity: of the backend now, in sectors of 512 bytes
 * @ino: inode number of a regular file, as stat() had it at the attach, else 0
 * @dev_major: of the block device, or of the file system that has the file, as
 *	stat() had it
 * @dev_minor: of the same
 * @block_size: logical block in bytes
 * @flush_error: a negative errno of the first flush of the backend that failed, or
 *	0; it stays until a backend is attached anew
 * @trace_dev: the number that tracepoints have as `dev`; with a backend or without
 * @reserved: zero
 *
 * Without a backend all that describes it is zero.
 */
struct vhost_blk_info {
	__u32 flags;
	__u32 running;
	__u64 features;
	__u64 capacity;
	__u64 ino;
	__u32 dev_major;
	__u32 dev_minor;
	__u32 block_size;
	__s32 flush_error;
	__u32 trace_dev;
	__u32 reserved[11];
};

/* Never waits for requests.  EFAULT. */
#define VHOST_BLK_GET_INFO	_IOR(VHOST_VIRTIO, 0x56, struct vhost_blk_info)

/**
 * enum vhost_blk_queue_state - states of a queue
 * @VHOST_BLK_QUEUE_STOPPED: nothing is in flight; addresses, size, base and
 *	worker can be changed
 * @VHOST_BLK_QUEUE_RUNNING: takes chains and completes requests
 * @VHOST_BLK_QUEUE_PAUSED: completes requests while an ioctl waits for them,
 *	then runs again
 * @VHOST_BLK_QUEUE_DRAINING: completes requests, then stops
 * @VHOST_BLK_QUEUE_BROKEN: completes requests, takes no more until it has been
 *	stopped and started
 * @VHOST_BLK_QUEUE_DEAD: requests in flight end without an answer, then the
 *	queue stops
 * @VHOST_BLK_NR_QUEUE_STATES: how many there are
 */
enum vhost_blk_queue_state {
	VHOST_BLK_QUEUE_STOPPED,
	VHOST_BLK_QUEUE_RUNNING,
	VHOST_BLK_QUEUE_PAUSED,
	VHOST_BLK_QUEUE_DRAINING,
	VHOST_BLK_QUEUE_BROKEN,
	VHOST_BLK_QUEUE_DEAD,
	VHOST_BLK_NR_QUEUE_STATES,
};

/**
 * enum vhost_blk_break_reason - why a queue is VHOST_BLK_QUEUE_BROKEN
 * @VHOST_BLK_BREAK_NONE: it is not, and has not been since its last start
 * @VHOST_BLK_BREAK_CHAIN: a descriptor that points nowhere, a loop, an index
 *	past the end of the ring
 * @VHOST_BLK_BREAK_NO_STATUS: a chain without a writable byte
 * @VHOST_BLK_BREAK_HEAD_BUSY: a head was made available while in flight
 * @VHOST_BLK_BREAK_STATUS: a status byte can't be written
 * @VHOST_BLK_BREAK_LOG: the dirty log can't be written
 * @VHOST_BLK_BREAK_USED: the used ring can't be written
 */
enum vhost_blk_break_reason {
	VHOST_BLK_BREAK_NONE,
	VHOST_BLK_BREAK_CHAIN,
	VHOST_BLK_BREAK_NO_STATUS,
	VHOST_BLK_BREAK_HEAD_BUSY,
	VHOST_BLK_BREAK_STATUS,
	VHOST_BLK_BREAK_LOG,
	VHOST_BLK_BREAK_USED,
};

/**
 * struct vhost_blk_vring_info - what VHOST_BLK_GET_VRING_INFO returns
 * @index: in: the queue
 * @state: out: enum vhost_blk_queue_state
 * @break_reason: out: enum vhost_blk_break_reason, the first since the last
 *	start; it can be read after the queue has been stopped too
 * @break_error: out: a negative errno that goes with @break_reason, or 0
 * @inflight: out: requests in flight
 * @reserved: out: zero
 */
struct vhost_blk_vring_info {
	__u32 index;
	__u32 state;
	__u32 break_reason;
	__s32 break_error;
	__u32 inflight;
	__u32 reserved[11];
};

/* Never waits for requests.  ENOBUFS: no such queue.  EFAULT. */
#define VHOST_BLK_GET_VRING_INFO	_IOWR(VHOST_VIRTIO, 0x57, \
					      struct vhost_blk_vring_info)

#endif /* _UAPI_LINUX_VHOST_BLK_H */
