/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Structures, locks and prototypes of vhost-blk, the host half of virtio-blk.
 *
 * A request passes through these files in order: kick.c, request.c, map.c or
 * bounce.c, backend-bdev.c or backend-file.c, complete.c.  A file calls only
 * functions of files in lower layers; the Makefile lists the layers.
 *
 * Locks, outermost first:
 *
 *   vhost_dev.mutex
 *	Serializes ioctls: attaching a backend; start, stop and pause.
 *   vhost_blk.backend_mutex
 *	Protects vhost_blk.be and the memory of the counters for readers that do
 *	not take dev.mutex.
 *   vhost_virtqueue.mutex
 *	One per queue.  Protects the ring and the fields of struct
 *	vhost_blk_queue that are documented below.  The worker holds it while
 *	it takes chains and while it completes requests.
 *   vhost_blk.iotlb_sem
 *	The mappings of the IOTLB: read side to translate addresses, write
 *	side to change mappings.
 *
 *   vhost_blk.error_lock
 *	The error policy, and what has failed.  Taken for failed requests only.
 *
 * backend_mutex is never held together with vhost_virtqueue.mutex or iotlb_sem.
 *
 * The completion of the backend's I/O takes none of these locks.  It runs in
 * any context and only adds the request to vhost_blk_queue.done.
 */
#ifndef VHOST_BLK_INTERNAL_H
#define VHOST_BLK_INTERNAL_H

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/bitmap.h>
#include <linux/bvec.h>
#include <linux/cache.h>
#include <linux/cgroup.h>
#include <linux/completion.h>
#include <linux/errseq.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/uio.h>
#include <linux/vhost_blk.h>
#include <linux/virtio_blk.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "vhost.h"

#include "request.h"

struct cred;
struct mem_cgroup;
struct vhost_blk_be;
struct vhost_blk_counters;
struct vhost_blk_req;
struct vhost_blk_rmw;
union vhost_blk_config;

/*
 * Maximum number of segments of a chain.  A descriptor that crosses from one
 * region of the memory table into another is one segment in each.
 */
#define VHOST_BLK_MAX_IOV	(2 * VHOST_BLK_MAX_QUEUE_SIZE)

/*
 * virtio_blk_config.seg_max and .size_max.  Header and status of a chain take
 * two descriptors of the ring.
 */
#define VHOST_BLK_SEG_MAX	(VHOST_BLK_MAX_QUEUE_SIZE - 2)
#define VHOST_BLK_SIZE_MAX	(1024U * 1024)

/* Requests and bytes of one queue before the worker serves other queues. */
#define VHOST_BLK_WEIGHT	256
#define VHOST_BLK_BYTE_WEIGHT	(8 * 1024 * 1024)

/*
 * Maximum bytes of one queue in flight.  A single request may exceed it if no
 * other request of the queue is in flight.
 */
#define VHOST_BLK_MAX_INFLIGHT_BYTES	(256ULL * 1024 * 1024)

/*
 * Limits for zeroes that have to be written because the backend has no command
 * for them: sectors of one range, and bytes of one step.  They are small
 * because up to VHOST_BLK_MAX_PUNTED such steps, and VHOST_BLK_GRACE small
 * ones, have to end before a device can stop.
 */
#define VHOST_BLK_WRITTEN_SECTORS	(32U * 1024 * 1024 / SECTOR_SIZE)
#define VHOST_BLK_WRITTEN_STEP	(256U * 1024)

/*
 * Bytes of one step of a range that the backend executes without writing data.
 */
#define VHOST_BLK_RANGE_STEP	(32U * 1024 * 1024)

/* Bytes of one read or write that the workqueue does on a file. */
#define VHOST_BLK_PUNTED_STEP	(4U * 1024 * 1024)

/*
 * Maximum number of requests of a device that sleep in the backend at a time.
 */
#define VHOST_BLK_MAX_PUNTED	64

/*
 * Time in jiffies that an ioctl waits for zeroes, discards and zone requests
 * before they give up.  The timeout of a pause is longer than that of a stop: a
 * guest that stays within the limits it was offered should not see an error
 * because its memory table changes or its migration begins.
 */
#define VHOST_BLK_STOP_TIMEOUT		HZ
#define VHOST_BLK_PAUSE_TIMEOUT	(5 * HZ)

/*
 * Number of I/Os, of at most VHOST_BLK_GRACE_STEP bytes each, that a device
 * still does after that timeout.  A guest with a few small requests should not
 * see an error because its host is busy or its disk slow.  The number is low
 * enough that the ioctl ends soon for any guest.  A flush counts as
 * VHOST_BLK_GRACE_FLUSH I/Os.
 */
#define VHOST_BLK_GRACE			64
#define VHOST_BLK_GRACE_STEP		(64U * 1024)
#define VHOST_BLK_GRACE_FLUSH		4

/*
 * GFP flags of allocations that a VMM causes.  They are charged to the VMM.  If
 * one fails, at the limit of the control group or because memory is short, the
 * ioctl returns an error.  This is no reason to start the OOM killer or to
 * write to the kernel log.
 */
#define VHOST_BLK_GFP	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/*
 * GFP flags of allocations that a request causes.  With __GFP_RETRY_MAYFAIL or
 * __GFP_NORETRY the limit of the control group does not start its OOM killer,
 * whatever a guest sends.  VHOST_BLK_GFP_REQ is for kmalloc(), VHOST_BLK_GFP_KV
 * for kvmalloc(), which on older kernels retries vmalloc() forever if it gets
 * both GFP_NOIO and __GFP_RETRY_MAYFAIL.
 */
#define VHOST_BLK_GFP_REQ	(GFP_NOIO | __GFP_ACCOUNT | __GFP_RETRY_MAYFAIL | \
				 __GFP_NOWARN)
#define VHOST_BLK_GFP_KV	(GFP_NOIO | __GFP_ACCOUNT | __GFP_NORETRY | \
				 __GFP_NOWARN)

/* Vectors and write ranges that are part of struct vhost_blk_req */
#define VHOST_BLK_INLINE_BVECS	4
#define VHOST_BLK_INLINE_WRITES	2
/* Maximum number of pages that one call of pin_user_pages_fast() pins */
#define VHOST_BLK_PIN_BATCH	64
/* Bounce pages of a queue */
#define VHOST_BLK_BOUNCE_PAGES	64

/*
 * Bounce pages of one read or write: maximum, and minimum to start it.  A zone
 * append has one page for each page of its data.
 */
#define VHOST_BLK_WINDOW_MAX	(VHOST_BLK_BOUNCE_PAGES / 2)
#define VHOST_BLK_WINDOW_MIN	(VHOST_BLK_BOUNCE_PAGES / 4)

/**
 * struct vhost_blk_backend_ops - operations of one kind of backend
 * @open: fill in the fields of a backend that depend on its kind.  @file, @ops,
 *	@ro, @identity and @serial are set.  Return: 0 or a negative errno,
 *	which VHOST_BLK_SET_BACKEND returns.  May sleep.
 * @capacity: current size in sectors of 512 bytes, which may change at any
 *	time.  Does not sleep.
 * @flush: write completed writes to stable storage.  Return: 0 or a negative
 *	errno.  Sleeps.  Called by vhost_blk_backend_flush() only.
 * @config: fill in the fields of the configuration space (5.2.4) that only the
 *	kind of backend knows.  Called with backend_mutex held; does not sleep.
 * @submit: start req->io.  Called by the worker of the queue with the mutex of
 *	the virtqueue held.  Must not wait for the I/O nor, as far as the
 *	backend can avoid it, for resources.  It cannot avoid throttling by
 *	io.cost and io.latency, which happens before the block layer looks at
 *	REQ_NOWAIT, nor that a file system waits for a tag of its disk in
 *	direct I/O, nor that XFS writes back all files to find space for a
 *	buffered write to a full file system.  rmw.c calls it in the workqueue,
 *	too, without the mutex.  Calls vhost_blk_req_done() exactly once, in any
 *	context.
 * @rw: read or write whole blocks for a request, which may be another operation.
 *	@bvec has @nr elements with @len bytes in total.  Return: 0 or a
 *	negative errno.  Sleeps.  Called in the workqueue.
 * @unlock: called by vhost_blk_req_done() if req->locked; see rmw.c
 * @close: free what belongs to the kind of backend; may be NULL
 */
struct vhost_blk_backend_ops {
	int (*open)(struct vhost_blk_be *be);
	u64 (*capacity)(const struct vhost_blk_be *be);
	int (*flush)(const struct vhost_blk_be *be);
	void (*config)(const struct vhost_blk_be *be,
		       union vhost_blk_config *config);
	void (*submit)(struct vhost_blk_req *req);
	int (*rw)(struct vhost_blk_req *req, enum vhost_blk_op op, u64 pos,
		  struct bio_vec *bvec, unsigned int nr, u32 len);
	void (*unlock)(struct vhost_blk_req *req);
	void (*close)(struct vhost_blk_be *be);
};

/**
 * struct vhost_blk_identity - credentials and control groups of backend I/O
 * @blkcg: control group of the io controller, or NULL
 * @memcg: control group of the memory controller, or NULL
 * @cred: credentials of the process that attached the backend, at that time
 */
struct vhost_blk_identity {
	struct cgroup_subsys_state *blkcg;
	struct mem_cgroup *memcg;
	const struct cred *cred;
};

/**
 * struct vhost_blk_saved_identity - identity of a thread, to be restored
 * @cred: credentials of the thread, or NULL if nothing was replaced
 * @memcg: previous active memory control group; valid if @kthread is set
 * @kthread: the control groups were replaced and have to be restored
 */
struct vhost_blk_saved_identity {
	const struct cred *cred;
	struct mem_cgroup *memcg;
	bool kthread;
};

/**
 * struct vhost_blk_be - an attached backend
 * @ops: operations of this kind of backend
 * @file: the block device or regular file; the backend has its own reference
 * @bdev: the block device, valid while @file is held; NULL for a regular file
 * @mapping: page cache of the block device, or the mapping that holds the data
 *	of the regular file
 * @identity: credentials and control groups that the I/O is done with
 * @dev: number of the block device, or st_dev of the regular file
 * @ino: st_ino of the regular file, 0 for a block device
 * @wb_err: errseq sample of @mapping at the time of the attach
 * @iocb_flags: IOCB_* flags of @file at the time of the attach; a later fcntl()
 *	has no effect
 * @nowait: IOCB_NOWAIT works, and no fanotify listener can make it wait
 * @max_discard_sectors: maximum sectors of one range of a discard, 0 if the
 *	backend cannot discard.  Set at the attach, and not lower than before a
 *	swap (vhost_blk_backend_keep_limits()).
 * @max_zeroes_sectors: maximum sectors of one range of zeroes, likewise
 * @max_erase_sectors: maximum sectors of one range of a secure erase, likewise
 * @range_align: recommended alignment of discards in sectors, not 0
 * @range_offset: sectors between the last boundary of @range_align on the disk
 *	and the start of the partition; 0 for a whole disk
 * @zeroes_unmap: a write of zeroes may deallocate
 * @no_unmap: VHOST_BLK_BACKEND_F_NO_UNMAP
 * @flush_error: errno of the first flush that failed, or 0; see
 *	vhost_blk_backend_flushed()
 * @ro: the backend is read-only
 * @features: VIRTIO_BLK_F_* bits that depend on the backend, except
 *	VIRTIO_BLK_F_RO
 * @zone_sectors: sectors of a zone, a power of two; 0 if there are no zones
 * @write_granularity: write granularity of a zoned device, in bytes, a power of
 *	two, at least @block_size
 * @append_sectors: maximum sectors of a zone append
 * @block_size: size of a logical block of the backend in bytes, a power of two,
 *	at least 512
 * @guest_block_size: size of a logical block of the guest's disk, likewise
 * @capacity_mask: bits of the capacity in sectors that count: it is rounded down
 *	to whole blocks of both sizes
 * @rmw: state for blocks of the guest that are smaller than those of the
 *	backend, otherwise NULL
 * @addr_mask: bits that must be 0 in the address of every segment of data; if
 *	one is set, the data is bounced
 * @len_mask: bits that must be 0 in the length of every segment, likewise; also
 *	in the position of a write.  One less than the size of a unit: a logical
 *	block or, if that is larger, the write granularity
 * @nowait_len: maximum bytes of a bio that is submitted with REQ_NOWAIT; 0 if
 *	the device does not support that
 * @nowait_vecs: maximum number of vectors of such a bio
 * @stable: data of a regular file must not change while it is written
 * @serial: reply to VIRTIO_BLK_T_GET_ID
 *
 * All fields except @flush_error are constant once the backend is attached.
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
	bool no_unmap;
	int flush_error;
	bool ro;
	u64 features;
	u32 zone_sectors;
	u32 write_granularity;
	u32 append_sectors;
	u32 block_size;
	u32 guest_block_size;
	u64 capacity_mask;
	struct vhost_blk_rmw *rmw;
	u32 addr_mask;
	u32 len_mask;
	u32 nowait_len;
	u32 nowait_vecs;
	bool stable;
	u8 serial[VHOST_BLK_SERIAL_LEN];
};

/**
 * struct vhost_blk_io - I/O for a backend
 * @pos: offset in the backend, in bytes
 * @bvec: pages of the data, @len bytes, if @op moves data
 * @ranges: ranges of discard, write zeroes and secure erase, otherwise NULL
 * @len: length of the data in bytes
 * @nr_bvec: number of elements in @bvec
 * @nr_ranges: number of elements in @ranges
 * @op: the operation; never VHOST_BLK_OP_GET_ID
 * @ioprio: I/O priority of the worker that took the request
 * @fua: written data must be stable when the I/O completes (5.2.6.2)
 * @spared: vhost_blk_should_abort_step() has allowed the request to finish
 *	although an ioctl waits for it
 */
struct vhost_blk_io {
	u64 pos;
	struct bio_vec *bvec;
	struct vhost_blk_range *ranges;
	u32 len;
	unsigned int nr_bvec;
	unsigned int nr_ranges;
	enum vhost_blk_op op;
	u16 ioprio;
	bool fua;
	bool spared;
};

/**
 * struct vhost_blk_file_io - state of a read or write of a regular file
 * @iocb: the iocb of the current attempt
 * @ret: result of the current attempt, if it was queued
 * @users: references to @iocb: one of its submitter, one of its completion
 * @done: bytes that earlier attempts have done
 */
struct vhost_blk_file_io {
	struct kiocb iocb;
	long ret;
	atomic_t users;
	u32 done;
};

/**
 * struct vhost_blk_response - response of a device other than data and status
 * @buf: the response, stored behind @iov; it has vhost_blk_cmd.response bytes
 * @len: bytes of @buf that are valid
 * @nr_iov: number of segments in @iov
 * @iov: destination in guest memory
 */
struct vhost_blk_response {
	void *buf;
	u32 len;
	unsigned int nr_iov;
	struct iovec iov[];
};

/**
 * struct vhost_blk_write_range - guest memory that a request may write
 * @addr: guest-physical address, or I/O virtual address with an IOMMU
 * @base: address of this memory in the owner
 * @len: length in bytes, not 0
 */
struct vhost_blk_write_range {
	u64 addr;
	void __user *base;
	u64 len;
};

/**
 * struct vhost_blk_track - memory of a queue that records writes, see dirty.c
 * @log: writable descriptors of the chain that is being parsed
 * @spare: write ranges of one request, for use if no memory is available while
 *	no request is in flight
 */
struct vhost_blk_track {
	struct vhost_log log[VHOST_BLK_MAX_IOV];
	struct vhost_blk_write_range spare[VHOST_BLK_MAX_IOV];
};

/**
 * struct vhost_blk_req - a request; there is one per descriptor head of a queue
 * @done_node: entry in vhost_blk_queue.done
 * @submit_node: entry in vhost_blk_queue.to_submit; not in use at the same time
 *	as @done_node
 * @q: the queue
 * @be: the backend that @io is submitted to
 * @status_slot: address of the status byte in the owner
 * @cmd: the checked command
 * @head: index of the descriptor head
 * @status: VIRTIO_BLK_S_*, the status of the request if @error is 0
 * @busy: in flight, or completed and not yet in the used ring
 * @error: 0 or the negative errno of the I/O; set before the request is added
 *	to q->done
 * @io: the I/O that the backend does; one window of it if @bounced
 * @writes: writable ranges of the chain; NULL if they are not recorded
 * @nr_writes: number of elements in @writes
 * @bounced: the data is copied through pages of q->bounce
 * @locked: the request has locked blocks in q->locks, or waits for that
 * @taken_ns: time of ktime_get_ns() at which the chain was taken; 0 if the
 *	request was refused
 * @bio: bio of a block device
 * @file: state of the I/O on a regular file
 * @response: response other than data and status, or NULL
 * @inline_bvec: memory of io.bvec, if it has few elements
 * @window: current window of a bounced request
 * @more_bios: bios after @bio, if @io has more than BIO_MAX_VECS vectors
 * @bios: number of these bios, and of @bio, that have not completed, and one
 *	for their submitter
 * @zeroes: bytes of zeroes that @io may have to write; part of
 *	q->inflight_bytes
 * @punted: function that @work calls
 * @work: work in a workqueue of the device
 * @first_write: lowest address in @writes
 * @last_write: highest address in @writes, inclusive
 * @inline_writes: memory of @writes, if it has few elements
 *
 * Members are in the order of their use.  With cache lines of 64 bytes and
 * 64-bit pointers, a read of one block of a block device touches only the first
 * five lines.
 */
struct vhost_blk_req {
	union {
		struct llist_node done_node;
		struct llist_node submit_node;
	};
	struct vhost_blk_queue *q;
	struct vhost_blk_be *be;
	u8 __user *status_slot;
	struct vhost_blk_cmd cmd;
	u16 head;
	u8 status;
	bool busy;
	int error;

	struct vhost_blk_io io;
	struct vhost_blk_write_range *writes;
	unsigned int nr_writes;
	bool bounced;
	bool locked;

	u64 taken_ns;
	union {
		struct bio bio;
		struct vhost_blk_file_io file;
	};

	struct vhost_blk_response *response;
	struct bio_vec inline_bvec[VHOST_BLK_INLINE_BVECS];

	/* The following members are not used by every request. */
	struct vhost_blk_window *window;
	struct bio *more_bios;
	atomic_t bios;
	u64 zeroes;
	void (*punted)(struct vhost_blk_req *req);
	struct work_struct work;
	u64 first_write;
	u64 last_write;
	struct vhost_blk_write_range inline_writes[VHOST_BLK_INLINE_WRITES];
} ____cacheline_aligned_in_smp;

/**
 * struct vhost_blk_window - part of a bounced request that is in flight
 * @iter: guest memory whose data has not been copied yet
 * @first: index of the first bounce page in vhost_blk_bounce.bvec
 * @nr: number of bounce pages
 * @iov: guest memory of all of the request's data
 */
struct vhost_blk_window {
	struct iov_iter iter;
	unsigned int first;
	unsigned int nr;
	struct iovec *iov;
};

/**
 * struct vhost_blk_bounce - bounce pages of a queue, see bounce.c
 * @in_use: one bit per page: a request has it
 * @bvec: the pages; offset and length are those of the current window
 * @spare: window of one request, for use if no memory is available
 * @spare_in_use: a request has @spare
 * @spare_iov: memory for spare.iov
 */
struct vhost_blk_bounce {
	DECLARE_BITMAP(in_use, VHOST_BLK_BOUNCE_PAGES);
	struct bio_vec bvec[VHOST_BLK_BOUNCE_PAGES];
	struct vhost_blk_window spare;
	bool spare_in_use;
	struct iovec spare_iov[VHOST_BLK_MAX_IOV];
};

/**
 * struct vhost_blk_lock - blocks that a request is going to change, see lock.c
 * @rb: entry in vhost_blk_locks.tree
 * @first: first block
 * @last: last block
 * @subtree_last: largest @last in the subtree of @rb
 * @node: entry in vhost_blk_locks.waiting, or in a list of locks that were
 *	granted
 * @req: the request
 * @blockers: number of earlier locks in the tree that conflict with this one
 * @exclusive: conflicts with every lock of the same blocks, not only with
 *	exclusive ones
 */
struct vhost_blk_lock {
	struct rb_node rb;
	u64 first;
	u64 last;
	u64 subtree_last;
	struct list_head node;
	struct vhost_blk_req *req;
	unsigned int blockers;
	bool exclusive;
};

/**
 * struct vhost_blk_locks - locks of the blocks of a backend
 * @lock: protects this structure and the locks in it
 * @tree: locks that were granted, or that wait for others in the tree
 * @waiting: locks that wait for room in @tree, in the order of their requests
 * @nr: number of locks in @tree
 */
struct vhost_blk_locks {
	spinlock_t lock;	/* protects the tree and the list */
	struct rb_root_cached tree;
	struct list_head waiting;
	unsigned int nr;
};

/**
 * enum vhost_blk_event - an event that may change the state of a queue
 * @VHOST_BLK_EVENT_START: the queue is started
 * @VHOST_BLK_EVENT_PAUSE: an ioctl waits for the requests in flight
 * @VHOST_BLK_EVENT_RESUME: that ioctl ends
 * @VHOST_BLK_EVENT_STOP: an ioctl or the last close stops the queue
 * @VHOST_BLK_EVENT_BREAK: a chain cannot be completed, or guest memory cannot
 *	be written
 * @VHOST_BLK_EVENT_ABANDON: completions can no longer be delivered
 * @VHOST_BLK_EVENT_DRAINED: the last request in flight has ended
 * @VHOST_BLK_EVENT_PARK: a request has been parked
 * @VHOST_BLK_NR_EVENTS: number of events
 *
 * See vhost_blk_queue_event().
 */
enum vhost_blk_event {
	VHOST_BLK_EVENT_START,
	VHOST_BLK_EVENT_PAUSE,
	VHOST_BLK_EVENT_RESUME,
	VHOST_BLK_EVENT_STOP,
	VHOST_BLK_EVENT_BREAK,
	VHOST_BLK_EVENT_ABANDON,
	VHOST_BLK_EVENT_DRAINED,
	VHOST_BLK_EVENT_PARK,
	VHOST_BLK_NR_EVENTS,
};

/**
 * struct vhost_blk_parked - parked requests of a queue, see park.c
 * @heads: their heads, in the order in which they are retried; a ring of @size
 *	elements, or NULL
 * @size: a power of two; at least the size of the virtqueue while it is started
 * @first: index of the first element in use
 * @nr: number of elements in use
 */
struct vhost_blk_parked {
	u16 *heads;
	unsigned int size;
	unsigned int first;
	unsigned int nr;
};

/**
 * struct vhost_blk_failure - description of a failed request
 * @sector: first sector of a read or write, otherwise 0
 * @type: VIRTIO_BLK_T_*
 * @error: negative errno, or 0 if no request has failed since the last start
 * @action: enum vhost_blk_error_action that was taken
 */
struct vhost_blk_failure {
	u64 sector;
	u32 type;
	int error;
	u32 action;
};

/**
 * struct vhost_blk_queue - a virtqueue
 * @vq: the virtqueue of the vhost core.  Its private_data is set in every state
 *	except VHOST_BLK_QUEUE_STOPPED, so that the core checks new addresses,
 *	and refuses a new size or base, until no request can complete any more.
 * @state: enum vhost_blk_queue_state, written by vhost_blk_queue_event() only
 * @deadline: time in jiffies at which long requests give up, 0 for none; see
 *	vhost_blk_should_abort()
 * @iov: segments of the chain that is being parsed
 * @pages: pages of the segment that is being pinned
 * @reqs: one request per descriptor head; does not change while started
 * @nr_reqs: number of @reqs
 * @inflight: number of requests in flight
 * @inflight_bytes: bytes of their data, and of zeroes that they may have to
 *	write
 * @break_reason: enum vhost_blk_break_reason, kept until the next start
 * @break_error: negative errno that belongs to @break_reason, or 0
 * @parked: requests that a start retries
 * @failures: number of requests that the error policy was applied to
 * @failure: the first of them that was parked since the last start, or else the
 *	last one
 * @throttled: a chain waits on the ring until @inflight_bytes is lower or pages
 *	of @bounce are free
 * @bounce_next: that chain was put back because its pages are pinned too often:
 *	bounce its data
 * @writethrough: every write must be stable when it completes (5.2.6.2)
 * @ioprio: I/O priority of the worker
 * @op_mask: BIT(VHOST_BLK_OP_*) of the operations that the driver may use
 * @tracking: the write ranges of requests are recorded, see dirty.c
 * @track: memory for that; allocated by the first start that needs it
 * @idle_since: time of ktime_get_ns() at which the ring was found empty or
 *	requests were completed; 0 if the next chain is not measured, see kick.c
 * @poll_ns: time in nanoseconds for which an empty ring is polled, see kick.c
 * @nr_used: entries in vq.heads that are not in the used ring yet
 * @bounce: bounce pages; allocated by the first start
 * @counters: counters, see stats.h; allocated by the first start, and kept while
 *	the queue is stopped.  Readers hold backend_mutex.
 * @locks: one lock per request, for backends with @rmw; NULL until the first of
 *	them is used
 * @nr_locks: number of @locks
 * @to_submit: requests of vhost_blk_punt_in_order()
 * @submit_work: submits the requests of @to_submit
 * @done: requests whose I/O is done; the backend adds them, the worker removes
 *	them
 * @batching: the worker will check @done soon and need not be woken
 * @done_work: vhost_blk_done_work(), run by the worker
 * @dead_worker_work: vhost_blk_dead_worker_work(), run by a workqueue if the
 *	worker has been killed
 * @idle: woken when a request has ended, when the queue has stopped, and when
 *	@worker_flushed is set
 * @worker_flush: work for the worker that sets @worker_flushed
 * @worker_flushed: the worker has done all work that was queued before
 *	@worker_flush
 *
 * Protected by vq.mutex, except @state, @deadline, @to_submit, @submit_work,
 * @done, @batching, @done_work, @dead_worker_work, @idle, @worker_flush and
 * @worker_flushed.  A thread that waits for requests reads @inflight without
 * vq.mutex.  VHOST_BLK_GET_VRING_INFO reads @inflight, @parked.nr,
 * @break_reason and @break_error without it.  @failures and @failure are
 * protected by vhost_blk.error_lock.
 */
struct vhost_blk_queue {
	struct vhost_virtqueue vq;

	atomic_t state;
	unsigned long deadline;
	struct iovec *iov;
	struct page *pages[VHOST_BLK_PIN_BATCH];
	struct vhost_blk_req *reqs;
	unsigned int nr_reqs;
	unsigned int inflight;
	u64 inflight_bytes;
	u32 break_reason;
	int break_error;
	struct vhost_blk_parked parked;
	u64 failures;
	struct vhost_blk_failure failure;
	bool throttled;
	bool bounce_next;
	bool writethrough;
	u16 ioprio;
	u32 op_mask;
	bool tracking;
	struct vhost_blk_track *track;
	u64 idle_since;
	u64 poll_ns;
	unsigned int nr_used;
	struct vhost_blk_bounce *bounce;
	struct vhost_blk_counters *counters;
	struct vhost_blk_lock *locks;
	unsigned int nr_locks;

	struct llist_head to_submit;
	struct work_struct submit_work;
	struct llist_head done;
	bool batching;
	struct vhost_work done_work;
	struct delayed_work dead_worker_work;
	wait_queue_head_t idle;
	struct vhost_work worker_flush;
	bool worker_flushed;
};

/**
 * enum vhost_blk_life - use of a device by its file and its owner
 * @VHOST_BLK_OPEN: the file is open, and the owner, if any, has not exited
 * @VHOST_BLK_OWNER_EXITED: the owner has exited; the device will be reset
 * @VHOST_BLK_CLOSED: the file is closed; the device will be freed
 *
 * See release.c.
 */
enum vhost_blk_life {
	VHOST_BLK_OPEN,
	VHOST_BLK_OWNER_EXITED,
	VHOST_BLK_CLOSED,
};

/**
 * struct vhost_blk - a device, which is one open file of /dev/vhost-blk
 * @dev: the device of the vhost core
 * @id: number of the device since the module was loaded, for tracepoints
 * @opener: process that opened the file, for tracepoints
 * @vqs: the virtqueues of @queues, for the vhost core
 * @grace: number of I/Os that the device may still do while an ioctl waits, see
 *	vhost_blk_should_abort_step()
 * @wq: runs backend operations that may sleep.  Each device has its own, so
 *	that a backend that hangs, or a guest with many such requests, does not
 *	delay other devices.  Created with the first backend, with dev.mutex
 *	held.
 * @submit_wq: submits I/O that may wait for a tag of a block device, in one
 *	thread per queue.  Created like @wq.
 * @be: the attached backend, or NULL.  Written with dev.mutex and
 *	@backend_mutex held, while no queue takes chains and no request is in
 *	flight.
 * @backend_mutex: protects @be, and vhost_blk_queue.counters from being freed,
 *	for readers that do not take dev.mutex; held only while fields are read
 * @flush_work: flushes @be for an ioctl, which holds dev.mutex and may be killed
 * @flush_done: completed unless @flush_work is queued or runs
 * @flush_result: 0 or the errno of the last flush by @flush_work
 * @iotlb_sem: protects the mappings of the IOTLB
 * @iotlb_entries: parameter max_iotlb_entries of vhost when the IOTLB was created
 * @features: features acknowledged by the guest; protected by dev.mutex
 * @writeback: field of the configuration space; protected by dev.mutex
 * @capacity: last capacity reported to the guest, in sectors; protected by
 *	dev.mutex
 * @capacity_poll: work that compares @capacity with that of the backend
 * @capacity_polled: @capacity_poll requeues itself; set by a start with
 *	dev.mutex held
 * @config_call: eventfd to signal when the configuration changes, or NULL;
 *	protected by dev.mutex
 * @error_lock: protects @error_policy and @error_call, and the failures of the
 *	queues; taken for requests that have failed only
 * @error_policy: the actions of VHOST_BLK_SET_ERROR_POLICY
 * @error_call: eventfd to signal when a request has failed, or NULL
 * @refs: one reference per queue that is not stopped, one of @flush_work while
 *	it is queued or runs, and one that is dropped when the file is closed or
 *	the owner exits.  Dropping the last one resets or frees the device.
 * @release_work: resets or frees the device after the last reference was
 *	dropped, unless the process that closed the file does; or, if @abandoned,
 *	drops the memory of the owner and the reference of the file
 * @abandoned: requests were abandoned, and @release_work has the reference of
 *	the file
 * @life: enum vhost_blk_life
 * @owner: process that owns the device, or 0, for tracepoints and to tell whether
 *	the owner exits; read without dev.mutex
 * @owner_pid: thread group of the owner, or NULL; written with dev.mutex held
 * @owner_watch: entry in the wait queue that reports that the owner has exited
 * @owner_gone: @owner_watch has reported that; cleared by a new owner
 * @owner_exit: work that abandons the requests then, and before, while the
 *	owner closes its devices
 * @linger_until: time in jiffies until which an owner that exits waits for the
 *	requests of all its devices; 0 before it closes the first of them
 * @queues: all queues that the device can have; a start skips those without
 *	addresses
 */
struct vhost_blk {
	struct vhost_dev dev;
	u32 id;
	pid_t opener;
	struct vhost_virtqueue *vqs[VHOST_BLK_MAX_QUEUES];
	atomic_t grace;
	struct workqueue_struct *wq;
	struct workqueue_struct *submit_wq;
	struct vhost_blk_be *be;
	struct mutex backend_mutex;	/* for readers without dev.mutex */
	struct work_struct flush_work;
	struct completion flush_done;
	int flush_result;
	struct rw_semaphore iotlb_sem;
	unsigned int iotlb_entries;
	u64 features;
	bool writeback;
	u64 capacity;
	struct delayed_work capacity_poll;
	bool capacity_polled;
	struct eventfd_ctx *config_call;
	spinlock_t error_lock;	/* protects error_policy, error_call */
	struct vhost_blk_error_policy error_policy;
	struct eventfd_ctx *error_call;
	refcount_t refs;
	struct work_struct release_work;
	bool abandoned;
	atomic_t life;
	pid_t owner;
	struct pid *owner_pid;
	struct wait_queue_entry owner_watch;
	bool owner_gone;
	struct work_struct owner_exit;
	unsigned long linger_until;
	struct vhost_blk_queue queues[VHOST_BLK_MAX_QUEUES];
};

/*
 * struct virtio_blk_config of Linux 6.3 and later; that of older kernels ends
 * before .zoned.
 */
union vhost_blk_config {
	struct virtio_blk_config v;
	struct {
		u8 before_zoned[72];
		struct virtio_blk_zoned_characteristics zoned;
	};
};

static_assert(sizeof(union vhost_blk_config) == 96);

static inline struct vhost_blk_queue *to_vhost_blk_queue(struct vhost_virtqueue *vq)
{
	return container_of(vq, struct vhost_blk_queue, vq);
}

#ifndef vhost_blk_vq_has_worker
/* False if the worker was a thread of a process that has been killed */
static inline bool vhost_blk_vq_has_worker(const struct vhost_virtqueue *vq)
{
	return rcu_access_pointer(vq->worker);
}
#endif

#ifndef vhost_blk_worker_is_thread
/* The workers are threads of the owner, not kernel threads. */
static inline bool vhost_blk_worker_is_thread(const struct vhost_dev *dev)
{
	return dev->fork_owner;
}
#endif

static inline struct vhost_blk *to_vhost_blk(const struct vhost_blk_queue *q)
{
	return container_of(q->vq.dev, struct vhost_blk, dev);
}

/* Acquire: fields that a start or resume has set are seen with the state. */
static inline enum vhost_blk_queue_state
vhost_blk_queue_state(const struct vhost_blk_queue *q)
{
	return atomic_read_acquire(&q->state);
}

static inline bool vhost_blk_stopped(const struct vhost_blk_queue *q)
{
	return vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_STOPPED;
}

/*
 * Lock the mappings of the IOTLB, for code that translates addresses or follows
 * pointers to mappings.  The mutex of the queue is held.
 */
static inline void vhost_blk_iotlb_lock(struct vhost_blk_queue *q)
{
	if (q->vq.iotlb)
		down_read(&to_vhost_blk(q)->iotlb_sem);
}

static inline void vhost_blk_iotlb_unlock(struct vhost_blk_queue *q)
{
	if (q->vq.iotlb)
		up_read(&to_vhost_blk(q)->iotlb_sem);
}

#ifndef vhost_blk_clear_miss
/*
 * Allow a queue to send another miss: the vhost core keeps one at a time.
 * dev->iotlb_lock is held.
 */
static inline void vhost_blk_clear_miss(struct vhost_virtqueue *vq)
{
	vq->iotlb_miss = NULL;
}

/*
 * Record the miss that a queue is about to send.  Return: false if it has sent
 * one already.  dev->iotlb_lock is held.
 */
static inline bool vhost_blk_record_miss(struct vhost_virtqueue *vq,
					 struct vhost_msg_node *node)
{
	if (vq->iotlb_miss)
		return false;
	vq->iotlb_miss = node;
	return true;
}
#endif

/* The caller's control group of the io controller, with a reference, or NULL */
static inline struct cgroup_subsys_state *vhost_blk_get_blkcg(void)
{
#ifdef CONFIG_BLK_CGROUP
	return task_get_css(current, io_cgrp_id);
#else
	return NULL;
#endif
}

/* Maximum time in ns that the VMM lets the worker poll an empty ring, or 0 */
static inline u64 vhost_blk_poll_timeout_ns(const struct vhost_blk_queue *q)
{
	return (u64)READ_ONCE(q->vq.busyloop_timeout) * NSEC_PER_USEC;
}

/* The owner has exited, and the device has not been reset yet. */
static inline bool vhost_blk_owner_exited(const struct vhost_blk *blk)
{
	return atomic_read(&blk->life) == VHOST_BLK_OWNER_EXITED;
}

/*
 * The requests of the queue end without a completion, so the rest of their I/O
 * need not be done.
 */
static inline bool vhost_blk_dead(const struct vhost_blk_queue *q)
{
	return vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_DEAD;
}

/*
 * The data of a read or write are not whole blocks of the backend, although they
 * are whole blocks of the guest's disk.  Then rmw.c copies them.
 */
static inline bool vhost_blk_needs_rmw(const struct vhost_blk_be *be, u64 pos,
				       u32 len)
{
	return be->rmw && ((pos | len) & (be->block_size - 1));
}

/* identity.c APIs: */
void vhost_blk_identity_get(struct vhost_blk_identity *identity);
void vhost_blk_identity_put(struct vhost_blk_identity *identity);
void vhost_blk_assume_identity(struct vhost_blk_saved_identity *saved,
			       const struct vhost_blk_identity *identity);
void vhost_blk_restore_identity(const struct vhost_blk_saved_identity *saved);

/* dirty.c APIs: */
int vhost_blk_alloc_tracking(struct vhost_blk_queue *q);
void vhost_blk_set_tracking(struct vhost_blk_queue *q, u64 features);
void vhost_blk_free_tracking(struct vhost_blk_queue *q);
int vhost_blk_track_writes(struct vhost_blk_req *req, const struct iovec *iov,
			   unsigned int nr);
void vhost_blk_untrack_writes(struct vhost_blk_req *req);
int vhost_blk_log_writes(struct vhost_blk_req *req, u64 off, u64 len);
bool vhost_blk_writes_overlap(const struct vhost_blk_queue *q, u64 first, u64 last);

/* state.c APIs: */
extern struct workqueue_struct *vhost_blk_release_wq;

struct vhost_blk_queue *vhost_blk_queue_at(struct vhost_blk *blk, u32 index);
bool vhost_blk_queue_event(struct vhost_blk_queue *q, enum vhost_blk_event event);
void vhost_blk_set_deadline(struct vhost_blk_queue *q, unsigned long timeout);
bool vhost_blk_should_abort(const struct vhost_blk_queue *q);
bool vhost_blk_should_abort_step(struct vhost_blk_req *req);
void vhost_blk_break(struct vhost_blk_queue *q,
		     enum vhost_blk_break_reason reason, int error);
void vhost_blk_put(struct vhost_blk *blk);
void vhost_blk_queue_drained(struct vhost_blk_queue *q);
void vhost_blk_queue_dead_worker(struct vhost_blk_queue *q, unsigned long delay);
void vhost_blk_wake_worker(struct vhost_blk_queue *q);
void vhost_blk_req_done(struct vhost_blk_req *req, int error);
void vhost_blk_batch_begin(struct vhost_blk_queue *q);
void vhost_blk_batch_end(struct vhost_blk_queue *q);

/* backend.c APIs: */
struct vhost_blk_be *vhost_blk_backend_open(struct file *file,
					    const struct vhost_blk_backend_ops *ops,
					    const struct vhost_blk_backend *arg);
void vhost_blk_backend_close(struct vhost_blk_be *be);
int vhost_blk_backend_flushed(struct vhost_blk_be *be, int error);
int vhost_blk_backend_flush(struct vhost_blk_be *be);
void vhost_blk_flush_init(struct vhost_blk *blk);
int vhost_blk_wait_for_flush(struct vhost_blk *blk);
int vhost_blk_flush(struct vhost_blk *blk);
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
bool vhost_blk_backend_refuses(const struct vhost_blk_be *be,
			       enum vhost_blk_op op);
void vhost_blk_backend_limits(const struct vhost_blk_be *be,
			      struct vhost_blk_limits *limits);
int vhost_blk_create_workqueues(struct vhost_blk *blk);
void vhost_blk_punt(struct vhost_blk_req *req,
		    void (*fn)(struct vhost_blk_req *req));
void vhost_blk_punt_always(struct vhost_blk_req *req,
			   void (*fn)(struct vhost_blk_req *req));
void vhost_blk_backend_submit(struct vhost_blk_req *req);
void vhost_blk_submit_work(struct work_struct *work);
void vhost_blk_punt_in_order(struct vhost_blk_req *req,
			     void (*fn)(struct vhost_blk_req *req));
void vhost_blk_flush_workqueues(struct vhost_blk *blk);
int vhost_blk_submit_unmerged(struct block_device *bdev, enum req_op op,
			      sector_t sector, u32 bytes);

/* map.c APIs: */
bool vhost_blk_map_alloc(struct vhost_blk_req *req, const struct iovec *iov,
			 unsigned int nr);
int vhost_blk_map(struct vhost_blk_req *req, const struct iovec *iov,
		  unsigned int nr);
void vhost_blk_unmap(struct vhost_blk_req *req);
void vhost_blk_free_ranges(struct vhost_blk_req *req);
int vhost_blk_read_ranges(struct vhost_blk_req *req,
			  const struct vhost_blk_limits *limits,
			  const struct iovec *iov, unsigned int nr);
int vhost_blk_do_ranges(struct vhost_blk_req *req,
			int (*do_range)(struct vhost_blk_req *req,
					const struct vhost_blk_range *range),
			u64 step);

/* lock.c APIs: */
void vhost_blk_locks_init(struct vhost_blk_locks *locks);
bool vhost_blk_lock_blocks(struct vhost_blk_locks *locks,
			   struct vhost_blk_lock *lock);
void vhost_blk_unlock_blocks(struct vhost_blk_locks *locks,
			     struct vhost_blk_lock *lock,
			     struct list_head *granted);

/* rmw.c APIs: */
int vhost_blk_rmw_attach(struct vhost_blk_be *be);
int vhost_blk_rmw_alloc(struct vhost_blk_queue *q, const struct vhost_blk_be *be);
int vhost_blk_rmw_range(struct vhost_blk_req *req,
			const struct vhost_blk_range *range,
			int (*do_range)(struct vhost_blk_req *req,
					const struct vhost_blk_range *range));

/* bounce.c APIs: */
struct vhost_blk_bounce *vhost_blk_bounce_alloc(void);
void vhost_blk_bounce_free(struct vhost_blk_bounce *bounce);
bool vhost_blk_needs_bounce(const struct vhost_blk_be *be,
			    const struct vhost_blk_cmd *cmd,
			    const struct iovec *iov, unsigned int nr);
bool vhost_blk_bounce_reserve(struct vhost_blk_req *req,
			      const struct vhost_blk_cmd *cmd,
			      const struct iovec *iov, unsigned int nr);
int vhost_blk_bounce_start(struct vhost_blk_req *req);
bool vhost_blk_bounce_next(struct vhost_blk_req *req);
void vhost_blk_bounce_end(struct vhost_blk_req *req);

/* chain.c APIs: */
int vhost_blk_read_chain(struct vhost_blk_queue *q, unsigned int head,
			 struct vhost_blk_chain *chain);
int vhost_blk_unmapped_chain(struct vhost_blk_queue *q,
			     struct vhost_blk_chain *chain);

/* translate.c APIs: */
int vhost_blk_iotlb_set(struct vhost_blk *blk, u64 features);
void vhost_blk_iotlb_drop_misses(struct vhost_blk_queue *q);
void vhost_blk_iotlb_miss(struct vhost_blk_queue *q, u64 iova, u8 access);
int vhost_blk_iotlb_msg(struct vhost_dev *dev, u32 asid,
			struct vhost_iotlb_msg *msg);
ssize_t vhost_blk_fop_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t vhost_blk_fop_write_iter(struct kiocb *iocb, struct iov_iter *from);
__poll_t vhost_blk_fop_poll(struct file *file, poll_table *wait);

/* complete.c APIs: */
u8 vhost_blk_status(int error, bool zoned);
int vhost_blk_response_alloc(struct vhost_blk_req *req, const struct iovec *iov,
			     unsigned int nr);
void vhost_blk_response_set(struct vhost_blk_req *req, const void *from, u32 len);
u32 vhost_blk_used_len(const struct vhost_blk_cmd *cmd, u32 response_len,
		       u8 status);
void vhost_blk_flush_used(struct vhost_blk_queue *q);
void vhost_blk_process_done(struct vhost_blk_queue *q);
void vhost_blk_done_work(struct vhost_work *work);
void vhost_blk_dead_worker_work(struct work_struct *work);

/* park.c APIs: */
enum vhost_blk_error_action
vhost_blk_choose_action(const struct vhost_blk_error_policy *policy,
			enum vhost_blk_op op, int error);
enum vhost_blk_error_action vhost_blk_req_failed(struct vhost_blk_req *req);
unsigned int vhost_blk_first_parked(const struct vhost_blk_queue *q);
void vhost_blk_unpark_first(struct vhost_blk_queue *q);
void vhost_blk_park_first(struct vhost_blk_queue *q, unsigned int head);
int vhost_blk_prepare_parking(struct vhost_blk_queue *q);
void vhost_blk_free_parked(struct vhost_blk_queue *q);
void vhost_blk_forget_failure(struct vhost_blk_queue *q);
void vhost_blk_get_failure(struct vhost_blk_queue *q,
			   struct vhost_blk_vring_info *info);
void vhost_blk_error_init(struct vhost_blk *blk);
void vhost_blk_error_reset(struct vhost_blk *blk);
long vhost_blk_set_error_policy(struct vhost_blk *blk, void __user *argp);
long vhost_blk_get_vring_parked(struct vhost_blk *blk, void __user *argp);
long vhost_blk_set_vring_parked(struct vhost_blk *blk, void __user *argp);

/* zone.c APIs: */
#ifdef CONFIG_BLK_DEV_ZONED
int vhost_blk_zone_open(struct vhost_blk_be *be);
void vhost_blk_zone_config(const struct vhost_blk_be *be,
			   union vhost_blk_config *config);
bool vhost_blk_zone_may_replace(const struct vhost_blk_be *be,
				const struct vhost_blk_be *old);
bool vhost_blk_zone_outgrown(const struct vhost_blk_req *req);
u8 vhost_blk_zone_check(const struct vhost_blk_req *req,
			const struct vhost_blk_limits *limits);
int vhost_blk_zone_control(struct vhost_blk_req *req, sector_t *reset);
bool vhost_blk_zone_must_report(const struct vhost_blk_req *req, int error);
void vhost_blk_zone_map_error(struct vhost_blk_req *req);
#else
static inline int vhost_blk_zone_open(struct vhost_blk_be *be)
{
	return 0;
}

static inline void vhost_blk_zone_config(const struct vhost_blk_be *be,
					 union vhost_blk_config *config)
{
}

static inline bool vhost_blk_zone_may_replace(const struct vhost_blk_be *be,
					      const struct vhost_blk_be *old)
{
	return true;
}

static inline bool vhost_blk_zone_outgrown(const struct vhost_blk_req *req)
{
	return false;
}

static inline u8 vhost_blk_zone_check(const struct vhost_blk_req *req,
				      const struct vhost_blk_limits *limits)
{
	return VIRTIO_BLK_S_OK;
}

static inline bool vhost_blk_zone_must_report(const struct vhost_blk_req *req,
					      int error)
{
	return false;
}

static inline void vhost_blk_zone_map_error(struct vhost_blk_req *req)
{
	vhost_blk_req_done(req, -EIO);
}

static inline int vhost_blk_zone_control(struct vhost_blk_req *req,
					 sector_t *reset)
{
	return -EOPNOTSUPP;
}
#endif

/* backend-bdev.c APIs: */
extern const struct vhost_blk_backend_ops vhost_blk_bdev_ops;

/* backend-file.c APIs: */
extern const struct vhost_blk_backend_ops vhost_blk_file_ops;

/* kick.c APIs: */
void vhost_blk_handle_kick(struct vhost_work *work);

/* queue.c APIs: */
void vhost_blk_queue_init(struct vhost_blk_queue *q);
void vhost_blk_queue_free(struct vhost_blk_queue *q);
int vhost_blk_start(struct vhost_blk *blk);
int vhost_blk_start_queue(struct vhost_blk *blk, struct vhost_blk_queue *q);
void vhost_blk_begin_stop(struct vhost_blk *blk);
int vhost_blk_stop(struct vhost_blk *blk);
int vhost_blk_stop_queue(struct vhost_blk_queue *q);
void vhost_blk_abandon(struct vhost_blk *blk);
void vhost_blk_abandon_if_owner_exited(struct vhost_blk *blk);
int vhost_blk_pause(struct vhost_blk *blk);
void vhost_blk_resume(struct vhost_blk *blk);
bool vhost_blk_running(const struct vhost_blk *blk);

/* config.c APIs: */
extern struct workqueue_struct *vhost_blk_capacity_wq;

bool vhost_blk_backend_compatible(const struct vhost_blk *blk,
				  const struct vhost_blk_be *be);
long vhost_blk_set_features(struct vhost_blk *blk, u64 *arg);
long vhost_blk_get_features(struct vhost_blk *blk, u64 *arg);
long vhost_blk_set_backend_features(struct vhost_blk *blk, u64 *arg);
long vhost_blk_get_backend_features(struct vhost_blk *blk, u64 *arg);
long vhost_blk_get_config(struct vhost_blk *blk, void __user *argp);
long vhost_blk_set_config(struct vhost_blk *blk, void __user *argp);
long vhost_blk_set_config_call(struct vhost_blk *blk, void __user *argp);
void vhost_blk_capacity_init(struct vhost_blk *blk);
void vhost_blk_capacity_check(struct vhost_blk *blk);
void vhost_blk_capacity_poll_start(struct vhost_blk *blk);
void vhost_blk_capacity_poll_end(struct vhost_blk *blk);

/* release.c APIs: */
void vhost_blk_release_init(struct vhost_blk *blk);
void vhost_blk_watch_owner(struct vhost_blk *blk);
void vhost_blk_unwatch_owner(struct vhost_blk *blk);
void vhost_blk_shut_down(struct vhost_blk *blk);
int vhost_blk_fop_flush(struct file *file, fl_owner_t id);
int vhost_blk_fop_release(struct inode *inode, struct file *file);

#endif
