/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host half of virtio-blk.  A request passes through these files in order:
 * kick.c, request.c, map.c or bounce.c, backend-*.c, complete.c.
 *
 * A file calls functions of lower layers only; the Makefile has the layers.
 *
 * Locks, outermost first:
 *   vhost_dev.mutex	ioctls: what is attached, started, paused
 *   vhost_virtqueue.mutex	one queue: its ring and everything that is
 *			said below to be protected by it.  Held by the worker
 *			while it takes requests and while it completes them.
 *   vhost_blk.iotlb_sem	the IOTLB: for reading where addresses are
 *			translated, for writing where it changes
 * Completion of the backend's I/O takes neither: it comes from any context
 * and only puts the request on vhost_blk_queue.done.
 */
#ifndef VHOST_BLK_INTERNAL_H
#define VHOST_BLK_INTERNAL_H

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/bitmap.h>
#include <linux/bvec.h>
#include <linux/cache.h>
#include <linux/cgroup.h>
#include <linux/errseq.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
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
struct vhost_blk_req;
union vhost_blk_config;

/*
 * Segments of one chain: a descriptor that crosses from one memory region
 * into the next takes two.
 */
#define VHOST_BLK_MAX_IOV	(2 * VHOST_BLK_MAX_QUEUE_SIZE)

/* virtio_blk_config.seg_max and .size_max; a chain has header and status. */
#define VHOST_BLK_SEG_MAX	(VHOST_BLK_MAX_QUEUE_SIZE - 2)
#define VHOST_BLK_SIZE_MAX	(1024U * 1024)

/* Requests, and bytes, of one queue before another queue gets its turn. */
#define VHOST_BLK_WEIGHT	256
#define VHOST_BLK_BYTE_WEIGHT	(8 * 1024 * 1024)

/* Bytes of one queue in flight; one request may exceed it, alone. */
#define VHOST_BLK_MAX_INFLIGHT_BYTES	(256ULL * 1024 * 1024)

/*
 * Zeroes that the backend can't make by itself are written: maximum sectors in
 * one range, and bytes at a time.  That is little, since as many steps as
 * VHOST_BLK_MAX_PUNTED, and VHOST_BLK_GRACE small ones, have to end before a
 * device can stop.
 */
#define VHOST_BLK_WRITTEN_SECTORS	(32U * 1024 * 1024 / SECTOR_SIZE)
#define VHOST_BLK_WRITTEN_STEP	(256U * 1024)

/* Bytes at a time of ranges that the backend can do by itself. */
#define VHOST_BLK_RANGE_STEP	(32U * 1024 * 1024)

/* Bytes of a read or write of a file that the workqueue does at a time. */
#define VHOST_BLK_PUNTED_STEP	(4U * 1024 * 1024)

/* Requests of one device that sleep in the backend at a time. */
#define VHOST_BLK_MAX_PUNTED	64

/*
 * How long an ioctl waits for zeroes, discards and zone requests before they
 * give up, in jiffies.  A pause waits longer than a stop: a guest that asks for no more than
 * it was offered should not see an error when its memory changes or its
 * migration begins.
 */
#define VHOST_BLK_STOP_TIMEOUT		HZ
#define VHOST_BLK_PAUSE_TIMEOUT	(5 * HZ)

/*
 * I/Os of at most VHOST_BLK_GRACE_STEP bytes that a device still does after
 * that.  A guest with a few small requests should not see an error because its
 * host is busy, or its disk slow, at that moment; and they are few enough for
 * the ioctl to end soon, whatever the guest asks for.  A flush counts as several.
 */
#define VHOST_BLK_GRACE			64
#define VHOST_BLK_GRACE_STEP		(64U * 1024)
#define VHOST_BLK_GRACE_FLUSH		4

/*
 * What a VMM makes the kernel allocate is charged to it.  Where it gets none,
 * by its own limit or for want of memory, that is an error of its ioctl, no
 * case for the OOM killer or the kernel log.
 */
#define VHOST_BLK_GFP	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

#define VHOST_BLK_INLINE_BVECS	4
#define VHOST_BLK_INLINE_WRITES	2
#define VHOST_BLK_PIN_BATCH	64
#define VHOST_BLK_BOUNCE_PAGES	64

/* Pages that one request bounces at a time: at most, and at least to begin. */
#define VHOST_BLK_WINDOW_MAX	(VHOST_BLK_BOUNCE_PAGES / 2)
#define VHOST_BLK_WINDOW_MIN	(VHOST_BLK_BOUNCE_PAGES / 4)

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

/**
 * struct vhost_blk_io - the I/O that a backend is to do
 * @pos: offset in the backend, in bytes
 * @bvec: @len bytes of pages, where data is moved
 * @ranges: of the operations that have them, else NULL
 * @len: in bytes
 * @nr_bvec: how many
 * @nr_ranges: how many
 * @op: the operation; never VHOST_BLK_OP_GET_ID
 * @ioprio: of the worker that took the request
 * @fua: what is written is to be stable when it completes (5.2.6.2)
 * @spared: it is done to the end although an ioctl has waited long enough
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
 * struct vhost_blk_file_io - what backend-file.c keeps for a request
 * @iocb: of the current try
 * @ret: what that try brought, if it was queued
 * @users: of @iocb: its submitter and its completion
 * @done: bytes done by earlier tries
 */
struct vhost_blk_file_io {
	struct kiocb iocb;
	long ret;
	atomic_t users;
	u32 done;
};

/**
 * struct vhost_blk_response - what the device answers besides data and status
 * @buf: the answer, behind @iov; vhost_blk_cmd.response bytes of room
 * @len: bytes of it so far
 * @nr_iov: segments in @iov
 * @iov: where it goes to in guest memory
 */
struct vhost_blk_response {
	void *buf;
	u32 len;
	unsigned int nr_iov;
	struct iovec iov[];
};

/**
 * struct vhost_blk_write_range - a piece of guest memory that may be written
 * @addr: address in the guest: physical, or what its IOMMU makes of that
 * @base: the same in the owner
 * @len: in bytes, not 0
 */
struct vhost_blk_write_range {
	u64 addr;
	void __user *base;
	u64 len;
};

/**
 * struct vhost_blk_track - what dirty.c keeps for a queue
 * @log: writable descriptors of the chain being parsed
 * @spare: for a request that finds no memory while nothing is in flight
 */
struct vhost_blk_track {
	struct vhost_log log[VHOST_BLK_MAX_IOV];
	struct vhost_blk_write_range spare[VHOST_BLK_MAX_IOV];
};

/**
 * struct vhost_blk_req - a request, one for each descriptor head of a queue
 * @done_node: in vhost_blk_queue.done
 * @submit_node: in vhost_blk_queue.to_submit, before that
 * @q: the queue
 * @be: where @io goes to
 * @status_slot: where it gets it
 * @cmd: what the guest asked for
 * @head: its descriptor head
 * @status: VIRTIO_BLK_S_*: what the guest gets where @error is 0
 * @busy: in flight, or done but not in the used ring yet
 * @error: 0 or the errno of the I/O; set before the request is on q->done
 * @io: what is being done for it
 * @writes: the writable part of its chain, while that is tracked
 * @nr_writes: how many
 * @bounced: data goes through pages of q->bounce
 * @bio: backend-bdev.c's
 * @file: backend-file.c's
 * @response: NULL where @cmd has none
 * @inline_bvec: of @io, where they are enough
 * @window: of a request that is bounced
 * @more_bios: bios beyond @bio, if @io may have more than BIO_MAX_VECS vectors
 * @bios: of those bios, how many have not completed yet
 * @zeroes: bytes that @io may have to write besides @cmd.len
 * @punted: what is done in the workqueue
 * @work: runs @punted
 * @first_write: first address in @writes
 * @last_write: last address in @writes
 * @inline_writes: of @writes, where they are enough
 *
 * Ordered by use: with 64 bytes in a cache line and 64-bit pointers the first
 * five lines are all that reading a block of a block device touches.
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

	union {
		struct bio bio;
		struct vhost_blk_file_io file;
	};

	struct vhost_blk_response *response;
	struct bio_vec inline_bvec[VHOST_BLK_INLINE_BVECS];

	/* Not used by every request from here on */
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
 * struct vhost_blk_window - the part of a bounced request that is being moved
 * @iter: the data that has not been copied yet, in guest memory
 * @first: first page in vhost_blk_bounce.bvec
 * @nr: pages from there on that are this request's
 * @iov: all of its data
 */
struct vhost_blk_window {
	struct iov_iter iter;
	unsigned int first;
	unsigned int nr;
	struct iovec *iov;
};

/**
 * struct vhost_blk_bounce - pages of a queue for data that the backend can't
 *	access in place, or for whose vector no memory was available
 * @in_use: pages that a request has
 * @bvec: the pages; offset and length are those of the window
 * @spare: for one request that gets no memory for its window
 * @spare_in_use: it is in use
 * @spare_iov: of @spare
 */
struct vhost_blk_bounce {
	DECLARE_BITMAP(in_use, VHOST_BLK_BOUNCE_PAGES);
	struct bio_vec bvec[VHOST_BLK_BOUNCE_PAGES];
	struct vhost_blk_window spare;
	bool spare_in_use;
	struct iovec spare_iov[VHOST_BLK_MAX_IOV];
};

/* What changes the state of a queue, see state.c. */
enum vhost_blk_event {
	VHOST_BLK_EVENT_START,
	VHOST_BLK_EVENT_PAUSE,
	VHOST_BLK_EVENT_RESUME,
	VHOST_BLK_EVENT_STOP,
	VHOST_BLK_EVENT_BREAK,
	VHOST_BLK_EVENT_ABANDON,	/* the result can't be seen any more */
	VHOST_BLK_EVENT_DRAINED,	/* the last request in flight has ended */
	VHOST_BLK_NR_EVENTS,
};

/**
 * struct vhost_blk_queue - a virtqueue
 * @vq: the vhost core's part; its private_data is set in every state but
 *	VHOST_BLK_QUEUE_STOPPED, so that the core checks new addresses and
 *	refuses new sizes and bases for as long as a request may complete
 * @state: enum vhost_blk_queue_state, changed by vhost_blk_queue_event() only
 * @deadline: when requests that take long give up, in jiffies, or 0; see
 *	vhost_blk_should_abort()
 * @iov: of the chain being parsed
 * @pages: of the segment being pinned
 * @reqs: one for each descriptor head; fixed while started
 * @nr_reqs: number of @reqs
 * @inflight: requests taken and not done
 * @inflight_bytes: their data, and zeroes that they may have to write
 * @break_reason: enum vhost_blk_break_reason, kept until the next start
 * @break_error: the errno that goes with it, or 0
 * @throttled: chains are waiting for @inflight_bytes or @bounce
 * @writethrough: every write is to be stable when it completes
 * @ioprio: of the worker
 * @op_mask: bits of the operations that the driver has negotiated
 * @tracking: what requests may write is recorded, see dirty.c
 * @track: NULL before the first time
 * @idle_since: when the ring was found empty, or the guest was answered, in
 *	nanoseconds of ktime; 0 where neither matters
 * @poll_ns: how long an empty ring is looked at, see kick.c
 * @nr_used: entries in vq.heads that the used ring doesn't have yet
 * @bounce: NULL before the first start
 * @to_submit: requests of vhost_blk_punt_in_order()
 * @submit_work: empties it
 * @done: requests whose I/O is done, by the backend; emptied by the worker
 * @batching: the worker is about to look at @done by itself
 * @done_work: the worker's part of completion
 * @dead_worker_work: the same where the worker has been killed
 * @idle: woken when a request has ended, the queue has stopped, or
 *	@worker_flushed is set
 * @worker_flush: tells that the worker has done all that was queued before
 * @worker_flushed: it has
 *
 * All but @state, @deadline, @to_submit, @submit_work, @done, @batching,
 * @done_work, @dead_worker_work, @idle, @worker_flush and @worker_flushed is
 * protected by vq.mutex; who waits for requests reads @inflight without it, and
 * VHOST_BLK_GET_VRING_INFO that, @break_reason and @break_error.
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
	bool throttled;
	bool writethrough;
	u16 ioprio;
	u32 op_mask;
	bool tracking;
	struct vhost_blk_track *track;
	u64 idle_since;
	u64 poll_ns;
	unsigned int nr_used;
	struct vhost_blk_bounce *bounce;

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

/* Whose a device is, see release.c. */
enum vhost_blk_life {
	VHOST_BLK_OPEN,		/* the file's, and its owner's if it has one */
	VHOST_BLK_OWNER_EXITED,	/* nobody's until it is reset; the file is open */
	VHOST_BLK_CLOSED,	/* nobody's until it is freed */
};

/**
 * struct vhost_blk - a device: one open of /dev/vhost-blk
 * @dev: the vhost core's part
 * @id: number of the device, for the tracepoints
 * @opener: process that opened it, for the tracepoints
 * @vqs: for the vhost core
 * @grace: what may be done although an ioctl has waited long enough, see
 *	vhost_blk_should_abort_step()
 * @wq: for what sleeps in the backend: a backend that hangs, or a guest that
 *	asks for much of it, is in nobody else's way.  NULL before the first
 *	backend is attached; protected by dev.mutex until then
 * @submit_wq: one thread for each queue, for what may wait for a tag of a block
 *	device; as @wq
 * @be: what is attached, or NULL; protected by dev.mutex, and constant while
 *	a queue takes chains or has requests in flight
 * @backend_mutex: protects @be too, for ioctls that do not wait for dev.mutex;
 *	held for as long as it takes to look at the backend
 * @iotlb_sem: translations, where there is an IOMMU
 * @features: acknowledged by the guest; protected by dev.mutex
 * @writeback: of the configuration space; protected by dev.mutex
 * @capacity: that the guest has been told of last; protected by dev.mutex
 * @capacity_poll: looks whether it still is
 * @capacity_polled: @capacity_poll looks again; set by a start with dev.mutex held
 * @config_call: signalled on a change of the configuration, or NULL;
 *	protected by dev.mutex
 * @refs: one for each queue that isn't stopped, and one until the file is closed
 *	or the owner has ended; the last one resets or frees the device
 * @release_work: does that, if the process that closed the file did not wait
 * @life: enum vhost_blk_life
 * @owner: process that called VHOST_SET_OWNER last
 * @owner_pid: its thread group, or NULL; changed with dev.mutex held
 * @owner_watch: tells when that has ended
 * @owner_exit: gives up the requests then
 * @linger_until: how long the owner waits for its requests when it exits, in
 *	jiffies; 0 until it has begun to
 * @queues: all that there may be; only those with addresses are started
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
	struct mutex backend_mutex;	/* @be, without dev.mutex */
	struct rw_semaphore iotlb_sem;
	u64 features;
	bool writeback;
	u64 capacity;
	struct delayed_work capacity_poll;
	bool capacity_polled;
	struct eventfd_ctx *config_call;
	refcount_t refs;
	struct work_struct release_work;
	atomic_t life;
	pid_t owner;
	struct pid *owner_pid;
	struct wait_queue_entry owner_watch;
	struct work_struct owner_exit;
	unsigned long linger_until;
	struct vhost_blk_queue queues[VHOST_BLK_MAX_QUEUES];
};

/*
 * struct virtio_blk_config as Linux has it from 6.3 on: the older one ends
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
/* Not if it was a thread of a process that has been killed. */
static inline bool vhost_blk_vq_has_worker(const struct vhost_virtqueue *vq)
{
	return rcu_access_pointer(vq->worker);
}
#endif

static inline struct vhost_blk *to_vhost_blk(const struct vhost_blk_queue *q)
{
	return container_of(q->vq.dev, struct vhost_blk, dev);
}

/* Acquire: what a resume or a start has set is seen along with the state. */
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
 * Around all that translates addresses, and follows pointers to mappings.  The
 * mutex of the queue is held.
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
/* A queue has one miss at a time; it may ask again. */
static inline void vhost_blk_clear_miss(struct vhost_msg_node *node)
{
	if (node->vq->iotlb_miss == node)
		node->vq->iotlb_miss = NULL;
}
#endif

/* The I/O controller's group of the caller, or NULL */
static inline struct cgroup_subsys_state *vhost_blk_get_blkcg(void)
{
#ifdef CONFIG_BLK_CGROUP
	return task_get_css(current, io_cgrp_id);
#else
	return NULL;
#endif
}

/* How long the VMM lets the worker poll an empty ring, 0 for not at all. */
static inline u64 vhost_blk_poll_timeout_ns(const struct vhost_blk_queue *q)
{
	return (u64)READ_ONCE(q->vq.busyloop_timeout) * NSEC_PER_USEC;
}

/* The owner has ended, and the device has not been reset yet. */
static inline bool vhost_blk_owner_exited(const struct vhost_blk *blk)
{
	return atomic_read(&blk->life) == VHOST_BLK_OWNER_EXITED;
}

/* Its requests end without an answer: what is left of them need not be done. */
static inline bool vhost_blk_dead(const struct vhost_blk_queue *q)
{
	return vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_DEAD;
}

/* cgroup.c APIs: */
void vhost_blk_identity_get(struct vhost_blk_identity *identity);
void vhost_blk_identity_put(struct vhost_blk_identity *identity);
void vhost_blk_assume_identity(struct vhost_blk_saved_identity *saved,
			       const struct vhost_blk_identity *identity);
void vhost_blk_restore_identity(const struct vhost_blk_saved_identity *saved);

/* dirty.c APIs: */
int vhost_blk_set_tracking(struct vhost_blk_queue *q, u64 features);
void vhost_blk_free_tracking(struct vhost_blk_queue *q);
int vhost_blk_track_writes(struct vhost_blk_req *req, const struct iovec *iov,
			   unsigned int nr);
void vhost_blk_untrack_writes(struct vhost_blk_req *req);
int vhost_blk_log_writes(struct vhost_blk_req *req, u64 off, u64 len);
bool vhost_blk_writes_overlap(const struct vhost_blk_queue *q, u64 first, u64 last);

/* state.c APIs: */
extern struct workqueue_struct *vhost_blk_release_wq;

bool vhost_blk_queue_event(struct vhost_blk_queue *q, enum vhost_blk_event event);
void vhost_blk_set_deadline(struct vhost_blk_queue *q, unsigned long patience);
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
int vhost_blk_create_workqueues(struct vhost_blk *blk);
void vhost_blk_punt(struct vhost_blk_req *req,
		    void (*fn)(struct vhost_blk_req *req));
void vhost_blk_punt_always(struct vhost_blk_req *req,
			   void (*fn)(struct vhost_blk_req *req));
void vhost_blk_submit_work(struct work_struct *work);
void vhost_blk_punt_in_order(struct vhost_blk_req *req,
			     void (*fn)(struct vhost_blk_req *req));
void vhost_blk_flush_workqueues(struct vhost_blk *blk);

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

/* bounce.c APIs: */
struct vhost_blk_bounce *vhost_blk_bounce_alloc(void);
void vhost_blk_bounce_free(struct vhost_blk_bounce *bounce);
bool vhost_blk_needs_bounce(const struct vhost_blk_be *be,
			    enum vhost_blk_op op, const struct iovec *iov,
			    unsigned int nr);
bool vhost_blk_bounce_reserve(struct vhost_blk_req *req,
			      const struct vhost_blk_cmd *cmd,
			      const struct iovec *iov, unsigned int nr);
int vhost_blk_bounce_start(struct vhost_blk_req *req);
bool vhost_blk_bounce_next(struct vhost_blk_req *req);
void vhost_blk_bounce_end(struct vhost_blk_req *req);

/* translate.c APIs: */
int vhost_blk_iotlb_set(struct vhost_blk *blk, u64 features);
void vhost_blk_iotlb_drop_misses(struct vhost_blk_queue *q);
int vhost_blk_iotlb_msg(struct vhost_dev *dev, u32 asid,
			struct vhost_iotlb_msg *msg);
ssize_t vhost_blk_fop_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t vhost_blk_fop_write_iter(struct kiocb *iocb, struct iov_iter *from);
__poll_t vhost_blk_fop_poll(struct file *file, poll_table *wait);
int vhost_blk_unmapped_chain(struct vhost_blk_queue *q,
			     struct vhost_blk_chain *chain);

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

/* zone.c APIs: */
#ifdef CONFIG_BLK_DEV_ZONED
int vhost_blk_zone_open(struct vhost_blk_be *be);
void vhost_blk_zone_config(const struct vhost_blk_be *be,
			   union vhost_blk_config *config);
bool vhost_blk_zone_may_replace(const struct vhost_blk_be *be,
				const struct vhost_blk_be *old);
u8 vhost_blk_zone_check(const struct vhost_blk_req *req,
			const struct vhost_blk_limits *limits);
int vhost_blk_zone_control(struct vhost_blk_req *req, sector_t *reset);
bool vhost_blk_zone_has_status(const struct vhost_blk_req *req, int error);
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

static inline u8 vhost_blk_zone_check(const struct vhost_blk_req *req,
				      const struct vhost_blk_limits *limits)
{
	return VIRTIO_BLK_S_OK;
}

static inline bool vhost_blk_zone_has_status(const struct vhost_blk_req *req,
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
struct vhost_blk_queue *vhost_blk_queue_at(struct vhost_blk *blk, u32 index);
void vhost_blk_queue_free(struct vhost_blk_queue *q);
int vhost_blk_start(struct vhost_blk *blk);
int vhost_blk_start_queue(struct vhost_blk *blk, struct vhost_blk_queue *q);
int vhost_blk_stop(struct vhost_blk *blk);
int vhost_blk_stop_queue(struct vhost_blk_queue *q);
void vhost_blk_abandon(struct vhost_blk *blk);
void vhost_blk_abandon_if_owner_exited(struct vhost_blk *blk);
int vhost_blk_pause(struct vhost_blk *blk);
void vhost_blk_resume(struct vhost_blk *blk);
bool vhost_blk_running(const struct vhost_blk *blk);

/* config.c APIs: */
extern struct workqueue_struct *vhost_blk_wq;

bool vhost_blk_backend_compatible(const struct vhost_blk *blk,
				  const struct vhost_blk_be *be);
long vhost_blk_set_features(struct vhost_blk *blk, void __user *argp);
long vhost_blk_get_features(struct vhost_blk *blk, void __user *argp);
long vhost_blk_set_backend_features(struct vhost_blk *blk, void __user *argp);
long vhost_blk_get_backend_features(struct vhost_blk *blk, void __user *argp);
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
