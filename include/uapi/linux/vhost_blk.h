/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Userspace interface of /dev/vhost-blk, the in-kernel virtio-blk device.
 *
 * An open file of /dev/vhost-blk is one virtio block device.  It accepts the
 * generic vhost ioctls of <linux/vhost.h> and the ioctls below.  A device is
 * started in this order: VHOST_SET_OWNER, VHOST_BLK_SET_BACKEND,
 * VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE, VHOST_SET_VRING_* for each queue,
 * VHOST_BLK_SET_RUNNING(1).
 *
 * Errors of every ioctl below: EFAULT if the argument cannot be read or
 * written; EPERM if the caller's memory is not that of the process that called
 * VHOST_SET_OWNER, except for the VHOST_BLK_GET_* ioctls other than
 * VHOST_BLK_GET_VRING_PARKED, which any process may call; EINTR if the caller is
 * being killed while it waits for requests.
 *
 * Documentation/virt/vhost-blk/uapi.rst has more; states.rst has a table of
 * what each ioctl does in each state of a queue.  Section numbers are those of
 * the Virtual I/O Device (VIRTIO) specification, version 1.3.
 */
#ifndef _UAPI_LINUX_VHOST_BLK_H
#define _UAPI_LINUX_VHOST_BLK_H

#include <linux/types.h>
#include <linux/vhost.h>

/* Virtqueues of a device; virtio_blk_config.num_queues has this value */
#define VHOST_BLK_MAX_QUEUES	64

/* Maximum number of descriptors in one virtqueue, a power of two (2.7) */
#define VHOST_BLK_MAX_QUEUE_SIZE	1024

/* Largest value of vhost_blk_backend.block_size, in bytes */
#define VHOST_BLK_MAX_BLOCK_SIZE	65536

/* Length of the string that VIRTIO_BLK_T_GET_ID returns, in bytes (5.2.6) */
#define VHOST_BLK_SERIAL_LEN	20

/*
 * Make the disk read-only, whatever the mode of the fd: VIRTIO_BLK_F_RO is
 * offered, and requests that would change the disk end in VIRTIO_BLK_S_IOERR
 * (5.2.6.2).
 */
#define VHOST_BLK_BACKEND_F_RO	(1U << 0)

/*
 * Offer VIRTIO_BLK_F_DISCARD and VIRTIO_BLK_F_WRITE_ZEROES, and accept ranges of
 * up to 4 GiB, whatever the backend supports, so that the VMM can give all of
 * them the same configuration space.  A discard that the backend cannot do
 * succeeds without effect.  No effect on zoned backends.
 */
#define VHOST_BLK_BACKEND_F_ANY_RANGE	(1U << 1)

/*
 * Deallocate nothing: discards succeed without effect, and write zeroes ignore
 * the flag unmap.
 */
#define VHOST_BLK_BACKEND_F_NO_UNMAP	(1U << 2)

/**
 * struct vhost_blk_backend - argument of VHOST_BLK_SET_BACKEND
 * @fd: open block device or regular file that holds the data; -1 detaches
 * @flags: VHOST_BLK_BACKEND_F_*; any other bit is EINVAL
 * @serial: reply to VIRTIO_BLK_T_GET_ID, padded with zeroes; a serial number of
 *	20 bytes has no terminating NUL
 * @block_size: logical block size of the guest's disk in bytes: a power of two
 *	from 512 to VHOST_BLK_MAX_BLOCK_SIZE, otherwise EINVAL; or 0 for that of
 *	the backend
 * @reserved: must be zero, otherwise EINVAL
 *
 * @block_size becomes virtio_blk_config.blk_size.  If the backend has larger
 * blocks, the kernel reads, modifies and writes those that the guest writes in
 * part.  Each of them is changed by one request at a time.  Writes by others
 * than this device are not taken into account.
 */
struct vhost_blk_backend {
	__s32 fd;
	__u32 flags;
	__u8 serial[VHOST_BLK_SERIAL_LEN];
	__u32 block_size;
	__u8 reserved[32];
};

/*
 * Attach, replace or (fd -1) detach the backend.  The kernel takes its own
 * reference; the caller may close the fd.
 *
 * While the device runs this is a swap: requests in flight complete on the old
 * backend, which is then flushed, and later requests go to the new one.
 *
 * A backend that is open for reading only, or whose block device is read-only,
 * is attached as with VHOST_BLK_BACKEND_F_RO.
 *
 * The flags of the file (O_DIRECT) count as they are at the time of the call.
 * I/O is done with the credentials that the caller has at that time, not with
 * those of the process that opened the file.  The work of kernel threads for
 * the backend is charged to the control groups that the caller is in.
 *
 * An error of a flush is permanent: all later flushes fail until a backend is
 * attached again.
 *
 * Errors:
 *   EACCES		the fd is not open for reading
 *   EBADF		no such fd, or opened with O_PATH
 *   EBUSY		@fd is -1 and the device is not stopped
 *   EINVAL		unknown flag, invalid @block_size, nonzero @reserved,
 *			neither a block device nor a regular file, or a
 *			writable file opened with O_APPEND
 *   ENODEV		the block device has been removed
 *   ENOMEM		no memory for the backend, its workqueues, or what the
 *			queues need for blocks smaller than the backend's
 *   ENOTRECOVERABLE	the device runs, and a flush of the old backend has
 *			failed, now or earlier; the old backend stays
 *   EOPNOTSUPP		the file cannot do asynchronous I/O; the alignment of
 *			its direct I/O is not a power of two; a zoned device
 *			cannot report its zones, its zone size or write
 *			granularity is not a power of two, or the granularity
 *			is more than 16 pages or more than an I/O can have;
 *			@block_size is not the block size of a zoned device, or
 *			is smaller than blocks of more than
 *			VHOST_BLK_MAX_BLOCK_SIZE; or
 *			features are negotiated and the new backend lacks one of
 *			them, is read-only although the old one is not and
 *			VIRTIO_BLK_F_RO was not acknowledged, would give the
 *			guest larger logical blocks, is zoned although
 *			VIRTIO_BLK_F_ZONED was not acknowledged, or has other
 *			zones or lower limits on them
 *   others		the attributes of the file cannot be read, or dirty
 *			pages of the block device cannot be written
 */
#define VHOST_BLK_SET_BACKEND	_IOW(VHOST_VIRTIO, 0x50, \
				     struct vhost_blk_backend)

/*
 * 1: start every stopped queue that has addresses, and serve the chains that
 * are already available.  Queues without addresses are skipped; a second call
 * starts those that were given addresses since.  If one queue cannot be
 * started, none is.
 *
 * 0: stop all queues.  Returns when no request is in flight and everything
 * completed is in the used rings.
 *
 * Errors:
 *   EBUSY	requests of an interrupted stop are still in flight
 *   EFAULT	a ring or the log is not in accessible memory, or there is no
 *		memory table
 *   EINTR	the caller is being killed; queues that have not stopped are
 *		VHOST_BLK_QUEUE_DEAD
 *   EINVAL	neither 0 nor 1, a ring larger than VHOST_BLK_MAX_QUEUE_SIZE, or
 *		a parked request whose head is not less than the size of its ring
 *   ENODEV	no backend is attached
 *   ENOMEM	no memory for the requests of a queue
 *   EOWNERDEAD	the worker was killed, or the owner has exited
 */
#define VHOST_BLK_SET_RUNNING	_IOW(VHOST_VIRTIO, 0x51, int)

/*
 * Read or write the struct virtio_blk_config (5.2.4) of the device, in the
 * layout of struct vhost_vdpa_config: .off and .len in bytes, both inside the
 * 96 bytes up to the end of the field `zoned`, on every kernel.  All fields are
 * little endian.  Before a backend is attached all of them are zero, except
 * num_queues and writeback.
 *
 * SET_CONFIG accepts only the field `writeback`, with the value 0 or 1, at any
 * time.  It is 1 until it is set.  It becomes 0 when VHOST_SET_FEATURES
 * acknowledges VIRTIO_F_VERSION_1 and VIRTIO_BLK_F_CONFIG_WCE, but not
 * VIRTIO_BLK_F_FLUSH (5.2.5.2).  It takes effect if VIRTIO_BLK_F_CONFIG_WCE was
 * acknowledged.  Without that feature, writes are stable when they complete
 * unless VIRTIO_BLK_F_FLUSH was acknowledged (5.2.6.2).  When a change to 0
 * returns, all writes that had completed before are stable.
 *
 * Errors:
 *   EINVAL	.off and .len are outside the configuration space or .len is 0;
 *		or SET_CONFIG of another field, or of a value other than 0 and 1
 *   EIO, ENOSPC and others
 *		SET_CONFIG: earlier writes could not be made stable; `writeback`
 *		is unchanged
 */
#define VHOST_BLK_GET_CONFIG	_IOR(VHOST_VIRTIO, 0x52, \
				     struct vhost_vdpa_config)
#define VHOST_BLK_SET_CONFIG	_IOW(VHOST_VIRTIO, 0x53, \
				     struct vhost_vdpa_config)

/*
 * Set the eventfd that is signalled when the capacity changes, so that the VMM
 * can send a configuration change notification (4.1.5.4).  -1 removes it.
 *
 * The capacity changes by VHOST_BLK_SET_BACKEND, or because the file or block
 * device has grown or shrunk.  The device notices the latter at its start, and
 * within about a second while it runs.  Requests are always checked against
 * the current size.
 *
 * Errors:
 *   EBADF	no such fd
 *   EINVAL	not an eventfd
 */
#define VHOST_BLK_SET_CONFIG_CALL	_IOW(VHOST_VIRTIO, 0x54, int)

/*
 * Start (.num is 1) or stop (0) the one queue .index, as VHOST_BLK_SET_RUNNING
 * does for all.  A queue without addresses is left as it is.
 *
 * Errors: those of VHOST_BLK_SET_RUNNING, and
 *   ENOBUFS	no such queue
 */
#define VHOST_BLK_SET_VRING_RUNNING	_IOW(VHOST_VIRTIO, 0x55, \
					     struct vhost_vring_state)

/* vhost_blk_info.flags: */
#define VHOST_BLK_INFO_F_BACKEND	(1U << 0)	/* one is attached */
#define VHOST_BLK_INFO_F_RO		(1U << 1)	/* not writable */
#define VHOST_BLK_INFO_F_BLOCK_DEVICE	(1U << 2)	/* not a regular file */
#define VHOST_BLK_INFO_F_DIRECT		(1U << 3)	/* no page cache */

/**
 * struct vhost_blk_info - result of VHOST_BLK_GET_INFO
 * @flags: VHOST_BLK_INFO_F_*
 * @running: 1 if any queue is not VHOST_BLK_QUEUE_STOPPED, including broken and
 *	dead queues; otherwise 0
 * @features: features acknowledged by VHOST_SET_FEATURES
 * @capacity: current size of the backend, in sectors of 512 bytes
 * @ino: inode number of a regular file, as stat() returned it when it was
 *	attached; 0 for a block device
 * @dev_major: major number of the block device, or of the file system that the
 *	file is on, as stat() returned it
 * @dev_minor: minor number of that device
 * @block_size: size of a logical block of the backend, in bytes; the guest's is
 *	virtio_blk_config.blk_size
 * @flush_error: negative errno of the first flush of the backend that failed,
 *	or 0; kept until a backend is attached again
 * @trace_dev: value of the field `dev` of the tracepoints; valid without a
 *	backend too
 * @reserved: zero
 *
 * Without a backend, all fields that describe it are zero.
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

/*
 * Read what is attached, and whether the device runs.  Never waits for
 * requests, nor for an ioctl that does.
 */
#define VHOST_BLK_GET_INFO	_IOR(VHOST_VIRTIO, 0x56, struct vhost_blk_info)

/**
 * enum vhost_blk_queue_state - states of a queue
 * @VHOST_BLK_QUEUE_STOPPED: no request is in flight; addresses, size, base and
 *	worker can be changed
 * @VHOST_BLK_QUEUE_RUNNING: takes chains and completes requests
 * @VHOST_BLK_QUEUE_PAUSED: completes requests while an ioctl waits for them,
 *	and will run again
 * @VHOST_BLK_QUEUE_DRAINING: completes requests, then stops
 * @VHOST_BLK_QUEUE_BROKEN: completes requests, but takes no chains until it has
 *	been stopped and started
 * @VHOST_BLK_QUEUE_DEAD: requests in flight end without a completion, then the
 *	queue stops
 * @VHOST_BLK_QUEUE_PARKED: a request has been parked, see
 *	VHOST_BLK_SET_ERROR_POLICY; completes requests, but takes no chains until
 *	it has been stopped and started
 */
enum vhost_blk_queue_state {
	VHOST_BLK_QUEUE_STOPPED,
	VHOST_BLK_QUEUE_RUNNING,
	VHOST_BLK_QUEUE_PAUSED,
	VHOST_BLK_QUEUE_DRAINING,
	VHOST_BLK_QUEUE_BROKEN,
	VHOST_BLK_QUEUE_DEAD,
	VHOST_BLK_QUEUE_PARKED,
};

/**
 * enum vhost_blk_break_reason - why a queue is VHOST_BLK_QUEUE_BROKEN
 * @VHOST_BLK_BREAK_NONE: the queue has not been broken since its last start
 * @VHOST_BLK_BREAK_CHAIN: a chain cannot be read: a descriptor outside the
 *	memory table whose status byte is out of reach, a loop, too many
 *	segments, or an index past the end of the ring
 * @VHOST_BLK_BREAK_NO_STATUS: a chain has no writable byte
 * @VHOST_BLK_BREAK_HEAD_BUSY: a descriptor head was made available while it was
 *	in flight
 * @VHOST_BLK_BREAK_STATUS: a status byte cannot be written
 * @VHOST_BLK_BREAK_LOG: the dirty log cannot be written
 * @VHOST_BLK_BREAK_USED: the used ring cannot be written
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
 * enum vhost_blk_error_action - what happens to a request whose I/O has failed
 * @VHOST_BLK_ERROR_REPORT: it completes with the error
 * @VHOST_BLK_ERROR_IGNORE: it completes with VIRTIO_BLK_S_OK
 * @VHOST_BLK_ERROR_PARK: it is parked: it does not complete, and its queue
 *	becomes VHOST_BLK_QUEUE_PARKED
 */
enum vhost_blk_error_action {
	VHOST_BLK_ERROR_REPORT,
	VHOST_BLK_ERROR_IGNORE,
	VHOST_BLK_ERROR_PARK,
};

/**
 * struct vhost_blk_vring_info - argument of VHOST_BLK_GET_VRING_INFO
 * @index: in: number of the queue
 * @state: out: enum vhost_blk_queue_state
 * @break_reason: out: enum vhost_blk_break_reason; the first reason since the
 *	last start, also after the queue has been stopped
 * @break_error: out: negative errno that goes with @break_reason, or 0
 * @inflight: out: number of requests in flight, without those that are parked
 * @parked: out: number of parked requests
 * @failures: out: number of requests that VHOST_BLK_SET_ERROR_POLICY applied to
 *	since VHOST_SET_OWNER, whatever the action; they may include several
 *	attempts of the same request
 * @failed_sector: out: first sector of a read or write that has failed, 0 for
 *	other requests: of the first request that was parked since the last
 *	start, or, if none was, of the last one that failed
 * @failed_type: out: type of that request, VIRTIO_BLK_T_*
 * @failed_error: out: negative errno of that request; 0 if none has failed
 *	since the last start
 * @failed_action: out: enum vhost_blk_error_action that was taken
 * @reserved: out: zero
 */
struct vhost_blk_vring_info {
	__u32 index;
	__u32 state;
	__u32 break_reason;
	__s32 break_error;
	__u32 inflight;
	__u32 parked;
	__u64 failures;
	__u64 failed_sector;
	__u32 failed_type;
	__s32 failed_error;
	__u32 failed_action;
	__u32 reserved[11];
};

/*
 * Read the state of a queue.  Never waits for requests, nor for an ioctl that
 * does.
 *
 * Errors:
 *   ENOBUFS	no such queue
 */
#define VHOST_BLK_GET_VRING_INFO	_IOWR(VHOST_VIRTIO, 0x57, \
					      struct vhost_blk_vring_info)

/*
 * Flush the backend, in any state of the queues: when it returns 0, all writes
 * that had completed when it was called are stable.  It does not wait for
 * requests in flight.  A read-only backend is not flushed.
 *
 * A VMM flushes a stopped device with this ioctl and not by its own fsync(): an
 * error of this flush is permanent, as that of any other, so the guest's next
 * flush fails too.  fsync() may report the error to the VMM alone.
 *
 * Errors:
 *   EINTR	the caller is being killed; the flush continues
 *   ENODEV	no backend is attached
 *   EOWNERDEAD	the owner has exited
 *   EIO, ENOSPC and others
 *		error of this flush or of an earlier one: vhost_blk_info.flush_error
 */
#define VHOST_BLK_FLUSH		_IO(VHOST_VIRTIO, 0x58)

/**
 * enum vhost_blk_stat - kinds of requests in VHOST_BLK_GET_STATS
 * @VHOST_BLK_STAT_OTHER: IDs, reports and states of zones, and requests of a type
 *	that the device does not know
 * @VHOST_BLK_STAT_READ: reads
 * @VHOST_BLK_STAT_WRITE: writes, and appends to zones
 * @VHOST_BLK_STAT_FLUSH: flushes
 * @VHOST_BLK_STAT_DISCARD: discards and secure erases
 * @VHOST_BLK_STAT_WRITE_ZEROES: writes of zeroes
 */
enum vhost_blk_stat {
	VHOST_BLK_STAT_OTHER,
	VHOST_BLK_STAT_READ,
	VHOST_BLK_STAT_WRITE,
	VHOST_BLK_STAT_FLUSH,
	VHOST_BLK_STAT_DISCARD,
	VHOST_BLK_STAT_WRITE_ZEROES,
};

/* Elements of vhost_blk_vring_stats.op; more kinds may be added. */
#define VHOST_BLK_STATS_OPS	8

/* Elements of vhost_blk_op_stats.latency */
#define VHOST_BLK_STATS_BUCKETS	32

/**
 * struct vhost_blk_op_stats - counters of one kind of requests of a queue
 * @requests: requests that have succeeded: the sum of @latency
 * @bytes: bytes that these have read, written, discarded or zeroed
 * @errors: requests that have failed
 * @invalid: requests that were refused and not executed: of an unknown type,
 *	past the end, not aligned, for the wrong zone, or a write to a read-only
 *	disk
 * @time_ns: sum of the latencies of the requests that have succeeded, in ns
 * @reserved: zero
 * @latency: number of requests by latency: element 0 counts those of less than
 *	1024 ns, element i those of at least 2^(i + 9) and less than 2^(i + 10)
 *	ns; the last one has no upper limit
 *
 * The latency of a request is the time from when the worker takes its chain
 * until it completes it.  It may include the time that the worker needed for up
 * to 15 chains before it.
 */
struct vhost_blk_op_stats {
	__u64 requests;
	__u64 bytes;
	__u64 errors;
	__u64 invalid;
	__u64 time_ns;
	__u64 reserved[3];
	__u64 latency[VHOST_BLK_STATS_BUCKETS];
};

/**
 * struct vhost_blk_vring_stats - argument of VHOST_BLK_GET_STATS
 * @index: in: number of the queue
 * @reserved: out: zero
 * @rounds: out: rounds of the worker, each after a kick of the guest, after a
 *	completion for which a chain had to wait, or to continue
 * @batches: out: updates of the used ring, each of which may signal the guest
 *	once
 * @bounced: out: requests whose data was copied, because the backend cannot
 *	access it in place
 * @polls: out: times that the worker has polled the empty ring
 * @poll_hits: out: times that this has found a chain or a completion
 * @poll_ns: out: time that the worker has polled, in ns
 * @reserved2: out: zero
 * @op: out: counters by enum vhost_blk_stat; the rest are zero
 */
struct vhost_blk_vring_stats {
	__u32 index;
	__u32 reserved;
	__u64 rounds;
	__u64 batches;
	__u64 bounced;
	__u64 polls;
	__u64 poll_hits;
	__u64 poll_ns;
	__u64 reserved2[9];
	struct vhost_blk_op_stats op[VHOST_BLK_STATS_OPS];
};

/*
 * Read the counters of a queue, which begin at its first start.  A stop and a
 * swap of the backend keep them; VHOST_RESET_OWNER and the exit of the owner
 * clear them.  A request is counted when it completes, and not if it ends
 * without a completion.  The counters are read while the worker counts, so those
 * of a request may be seen in part.
 *
 * Never waits for requests, nor for an ioctl that does.  The fdinfo of the file
 * has the sums of all queues.
 *
 * Errors:
 *   ENOBUFS	no such queue
 *   ENOMEM	no memory for the result
 */
#define VHOST_BLK_GET_STATS	_IOWR(VHOST_VIRTIO, 0x59, \
				      struct vhost_blk_vring_stats)
/**
 * struct vhost_blk_error_policy - argument of VHOST_BLK_SET_ERROR_POLICY
 * @read: enum vhost_blk_error_action for reads, if the error is not ENOSPC
 * @read_nospace: likewise, if the error is ENOSPC
 * @write: enum vhost_blk_error_action for writes, flushes, discards, writes of
 *	zeroes and secure erases, if the error is not ENOSPC
 * @write_nospace: likewise, if the error is ENOSPC
 * @fd: eventfd that is signalled when such a request fails; a request that is
 *	parked is parked by then; -1 for none
 * @reserved: must be zero, otherwise EINVAL
 */
struct vhost_blk_error_policy {
	__u32 read;
	__u32 read_nospace;
	__u32 write;
	__u32 write_nospace;
	__s32 fd;
	__u32 reserved[11];
};

/*
 * Set what happens to requests whose I/O fails, at any time.  It applies to
 * requests that fail after this ioctl returns.  Before the first call, and
 * after VHOST_RESET_OWNER, every error is reported and no eventfd is signalled.
 *
 * An error that a retry cannot change is reported, but signals the eventfd and is
 * counted: that of a flush, and of a stable write to a file whose writeback has
 * failed.  So are ECANCELED and ENOMEM instead of being ignored.
 *
 * Only errors of the backend count.  These are always reported: requests that
 * the device refuses, guest memory that cannot be accessed,
 * VIRTIO_BLK_S_UNSUPP, and errors of zone requests (append, report, and changes
 * of a zone's state).
 *
 * A parked request is not in flight: the device does not access its memory any
 * more.  Its queue takes no more chains.  Other requests in flight complete, or
 * are parked too.  A queue that fails a request while it is being stopped
 * becomes VHOST_BLK_QUEUE_STOPPED, with the request parked.
 *
 * The start of a queue retries its parked requests, in the order in which they
 * failed, before it takes chains from the available ring.  Each is read again
 * from its descriptor head, as a new request.  To let them fail, set another
 * policy before the start.  Parked requests are dropped, without a completion,
 * when the queue is VHOST_BLK_QUEUE_DEAD, when the device is reset, and by
 * VHOST_BLK_SET_VRING_PARKED.
 *
 * Errors:
 *   EBADF	no such fd
 *   EINVAL	an action that is no enum vhost_blk_error_action, nonzero
 *		@reserved, or not an eventfd
 */
#define VHOST_BLK_SET_ERROR_POLICY	_IOW(VHOST_VIRTIO, 0x5a, \
					     struct vhost_blk_error_policy)

/**
 * struct vhost_blk_vring_parked - argument of VHOST_BLK_GET_VRING_PARKED and
 *	VHOST_BLK_SET_VRING_PARKED
 * @index: number of the queue
 * @count: GET: in: number of heads that fit in the array, out: number of parked
 *	requests; SET: number of heads in the array
 * @heads: address of an array of __u16, the descriptor heads of the parked
 *	requests in the order in which a start retries them
 * @reserved: must be zero, otherwise EINVAL
 */
struct vhost_blk_vring_parked {
	__u32 index;
	__u32 count;
	__u64 heads;
	__u32 reserved[4];
};

/*
 * Read or replace the list of parked requests of a stopped queue.  GET writes
 * as many heads as fit, so a caller with too small an array finds @count larger
 * than it was.
 *
 * A VMM that migrates a guest reads the list after the stop.  At the
 * destination it sets the list after VHOST_SET_VRING_NUM and before the start:
 * VHOST_GET_VRING_BASE counts parked requests as taken.  A VMM that resets the
 * guest's device sets an empty list.
 *
 * Errors:
 *   EBUSY	the queue is not stopped
 *   EINVAL	nonzero @reserved; SET: a head that is not less than the size of
 *		the queue, or is in the list twice, or more heads than that size,
 *		or a queue larger than VHOST_BLK_MAX_QUEUE_SIZE
 *   ENOBUFS	no such queue
 *   ENOMEM	SET: no memory for the list
 */
#define VHOST_BLK_GET_VRING_PARKED	_IOWR(VHOST_VIRTIO, 0x5b, \
					      struct vhost_blk_vring_parked)
#define VHOST_BLK_SET_VRING_PARKED	_IOW(VHOST_VIRTIO, 0x5c, \
					     struct vhost_blk_vring_parked)

#endif /* _UAPI_LINUX_VHOST_BLK_H */
