/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host half of virtio-blk.  A request's way is the way of the files:
 * kick.c, request.c, map.c (or bounce.c), backend-*.c, complete.c.
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
#ifndef VHOST_BLK_H
#define VHOST_BLK_H

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/bitmap.h>
#include <linux/bvec.h>
#include <linux/fs.h>
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

#include "backend.h"
#include "request.h"

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
#define VHOST_BLK_STOP_PATIENCE		HZ
#define VHOST_BLK_PAUSE_PATIENCE	(5 * HZ)

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
#define VHOST_BLK_INLINE_SPANS	2
#define VHOST_BLK_PIN_BATCH	64
#define VHOST_BLK_BOUNCE_PAGES	64

/* Pages that one request bounces at a time: at most, and at least to begin. */
#define VHOST_BLK_WINDOW_MAX	(VHOST_BLK_BOUNCE_PAGES / 2)
#define VHOST_BLK_WINDOW_MIN	(VHOST_BLK_BOUNCE_PAGES / 4)

/**
 * struct vhost_blk_io - the I/O that a backend is to do
 * @op: the operation; never VHOST_BLK_OP_GET_ID
 * @pos: offset in the backend, in bytes
 * @len: in bytes
 * @bvec: @len bytes of pages, where data is moved
 * @nr_bvec: how many
 * @ranges: of the operations that have them, else NULL
 * @nr_ranges: how many
 * @ioprio: of the worker that took the request
 * @sync: what is written is to be stable when it completes (5.2.6.2)
 * @spared: it is done to the end although an ioctl has waited long enough
 */
struct vhost_blk_io {
	enum vhost_blk_op op;
	u64 pos;
	u32 len;
	struct bio_vec *bvec;
	unsigned int nr_bvec;
	struct vhost_blk_range *ranges;
	unsigned int nr_ranges;
	u16 ioprio;
	bool sync;
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
 * struct vhost_blk_reply - what the device answers besides data and status
 * @buf: the answer, behind @iov; vhost_blk_cmd.reply bytes of room
 * @len: bytes of it so far
 * @nr_iov: segments in @iov
 * @iov: where it goes to in guest memory
 */
struct vhost_blk_reply {
	void *buf;
	u32 len;
	unsigned int nr_iov;
	struct iovec iov[];
};

/**
 * struct vhost_blk_span - a piece of guest memory that may be written
 * @addr: address in the guest: physical, or what its IOMMU makes of that
 * @base: the same in the owner
 * @len: in bytes, not 0
 */
struct vhost_blk_span {
	u64 addr;
	void __user *base;
	u64 len;
};

/**
 * struct vhost_blk_track - what track.c keeps for a queue
 * @log: writable descriptors of the chain being parsed
 * @spare: for a request that finds no memory while nothing is in flight
 */
struct vhost_blk_track {
	struct vhost_log log[VHOST_BLK_MAX_IOV];
	struct vhost_blk_span spare[VHOST_BLK_MAX_IOV];
};

/**
 * struct vhost_blk_req - a request, one for each descriptor head of a queue
 * @done_node: in vhost_blk_queue.done
 * @submit_node: in vhost_blk_queue.to_submit, before that
 * @q: the queue
 * @disk: where @io goes to
 * @head: its descriptor head
 * @busy: in flight, or done but not in the used ring yet
 * @bounced: data goes through pages of q->bounce
 * @error: 0 or the errno of the I/O; set before the request is on q->done
 * @status: VIRTIO_BLK_S_*: what the guest gets where @error is 0
 * @status_slot: where it gets it
 * @spans: the writable part of its chain, while that is tracked
 * @nr_spans: how many
 * @span_first: first address in @spans
 * @span_last: last address in @spans
 * @inline_spans: of @spans, where they are enough
 * @cmd: what the guest asked for
 * @io: what is being done for it
 * @reply: NULL where @cmd has none
 * @zeroes: bytes that @io may have to write besides @cmd.len
 * @work: runs @punted
 * @punted: what is done in the workqueue
 * @inline_bvec: of @io, where they are enough
 * @window: of a request that is bounced
 * @more_bios: bios beyond @bio, if @io may have more than BIO_MAX_VECS vectors
 * @bios: of those bios, how many have not completed yet
 * @bio: backend-bdev.c's
 * @file: backend-file.c's
 */
struct vhost_blk_req {
	union {
		struct llist_node done_node;
		struct llist_node submit_node;
	};
	struct vhost_blk_queue *q;
	struct vhost_blk_disk *disk;
	u16 head;
	bool busy;
	bool bounced;
	u8 status;
	int error;
	u8 __user *status_slot;
	struct vhost_blk_span *spans;
	unsigned int nr_spans;
	u64 span_first;
	u64 span_last;
	struct vhost_blk_span inline_spans[VHOST_BLK_INLINE_SPANS];
	struct vhost_blk_cmd cmd;
	struct vhost_blk_io io;
	struct vhost_blk_reply *reply;
	u64 zeroes;
	struct work_struct work;
	void (*punted)(struct vhost_blk_req *req);
	struct bio_vec inline_bvec[VHOST_BLK_INLINE_BVECS];
	struct vhost_blk_window *window;
	struct bio *more_bios;
	atomic_t bios;
	union {
		struct bio bio;
		struct vhost_blk_file_io file;
	};
};

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
 * @taken: pages that a request has
 * @bvec: the pages; offset and length are those of the window
 * @spare: for one request that gets no memory for its window
 * @spare_taken: it is in use
 * @spare_iov: of @spare
 */
struct vhost_blk_bounce {
	DECLARE_BITMAP(taken, VHOST_BLK_BOUNCE_PAGES);
	struct bio_vec bvec[VHOST_BLK_BOUNCE_PAGES];
	struct vhost_blk_window spare;
	bool spare_taken;
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
 * @hurry_at: when requests that take long give up, in jiffies, or 0; see
 *	vhost_blk_must_hurry()
 * @iov: of the chain being parsed
 * @pages: of the segment being pinned
 * @reqs: one for each descriptor head, @nr_reqs of them; fixed while started
 * @inflight: requests taken and not done
 * @inflight_bytes: their data, and zeroes that they may have to write
 * @break_reason: enum vhost_blk_break_reason, kept until the next start
 * @break_error: the errno that goes with it, or 0
 * @starved: chains are waiting for @inflight_bytes or @bounce
 * @sync: every write is to be stable when it completes
 * @ioprio: of the worker
 * @ops: bits of the operations that the driver has negotiated
 * @tracking: what requests may write is recorded, see track.c
 * @track: NULL before the first time
 * @idle_since: when the ring was found empty, or the guest was answered, in
 *	nanoseconds of ktime; 0 where neither matters
 * @poll_ns: how long an empty ring is looked at, see busyloop.c
 * @nr_used: entries in vq.heads that the used ring doesn't have yet
 * @bounce: NULL before the first start
 * @to_submit: requests of vhost_blk_punt_in_order()
 * @submit_work: empties it
 * @done: requests whose I/O is done, by the backend; emptied by the worker
 * @serving: the worker is about to look at @done by itself
 * @done_work: the worker's part of completion
 * @orphan_work: the same where the worker has been killed
 * @idle: woken when a request has ended, or the queue has stopped, or @passed
 * @pass_work: tells that the worker has done all that was queued before
 * @passed: it has
 *
 * All but @state, @hurry_at, @to_submit, @submit_work, @done, @serving,
 * @done_work, @orphan_work, @idle, @pass_work and @passed is protected by
 * vq.mutex; who waits for requests reads @inflight without it, and
 * VHOST_BLK_GET_VRING_INFO that, @break_reason and @break_error.
 */
struct vhost_blk_queue {
	struct vhost_virtqueue vq;

	atomic_t state;
	unsigned long hurry_at;
	struct iovec *iov;
	struct page *pages[VHOST_BLK_PIN_BATCH];
	struct vhost_blk_req *reqs;
	unsigned int nr_reqs;
	unsigned int inflight;
	u64 inflight_bytes;
	u32 break_reason;
	int break_error;
	bool starved;
	bool sync;
	u16 ioprio;
	u32 ops;
	bool tracking;
	struct vhost_blk_track *track;
	u64 idle_since;
	u64 poll_ns;
	unsigned int nr_used;
	struct vhost_blk_bounce *bounce;

	struct llist_head to_submit;
	struct work_struct submit_work;
	struct llist_head done;
	bool serving;
	struct vhost_work done_work;
	struct delayed_work orphan_work;
	wait_queue_head_t idle;
	struct vhost_work pass_work;
	bool passed;
};

/* Whose a device is, see end.c. */
enum vhost_blk_life {
	VHOST_BLK_OPEN,		/* the file's, and its owner's if it has one */
	VHOST_BLK_OWNER_ENDED,	/* nobody's until it is reset; the file is open */
	VHOST_BLK_CLOSED,	/* nobody's until it is freed */
};

/**
 * struct vhost_blk - a device: one open of /dev/vhost-blk
 * @dev: the vhost core's part
 * @id: number of the device, for the tracepoints
 * @opener: process that opened it, for the tracepoints
 * @vqs: for the vhost core
 * @grace: what may be done although an ioctl has waited long enough, see
 *	vhost_blk_take_grace()
 * @wq: for what sleeps in the backend: a backend that hangs, or a guest that
 *	asks for much of it, is in nobody else's way.  NULL before the first
 *	backend is attached; protected by dev.mutex until then
 * @submit_wq: one thread for each queue, for what may wait for a tag of a block
 *	device; as @wq
 * @disk: what is attached, or NULL; protected by dev.mutex, and constant while
 *	a queue takes chains or has requests in flight
 * @disk_mutex: protects @disk too, for ioctls that do not wait for dev.mutex;
 *	held for as long as it takes to look at the backend
 * @iotlb_sem: translations, where there is an IOMMU
 * @features: acknowledged by the guest; protected by dev.mutex
 * @writeback: of the configuration space; protected by dev.mutex
 * @capacity: that the guest has been told of last; protected by dev.mutex
 * @resize: looks whether it still is
 * @watched: @resize looks again; set by a start with dev.mutex held
 * @config_call: signalled on a change of the configuration, or NULL;
 *	protected by dev.mutex
 * @refs: one for each queue that isn't stopped, and one until the file is closed
 *	or the owner has ended; the last one resets or frees the device
 * @end: does that, if the process that closed the file did not wait
 * @life: enum vhost_blk_life
 * @owner: process that called VHOST_SET_OWNER last
 * @owner_pid: its thread group, or NULL; changed with dev.mutex held
 * @owner_watch: tells when that has ended
 * @owner_end: gives up the requests then
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
	struct vhost_blk_disk *disk;
	struct mutex disk_mutex;	/* @disk, without dev.mutex */
	struct rw_semaphore iotlb_sem;
	u64 features;
	bool writeback;
	u64 capacity;
	struct delayed_work resize;
	bool watched;
	struct eventfd_ctx *config_call;
	refcount_t refs;
	struct work_struct end;
	atomic_t life;
	pid_t owner;
	struct pid *owner_pid;
	struct wait_queue_entry owner_watch;
	struct work_struct owner_end;
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

/* None of their works waits for a backend. */
extern struct workqueue_struct *vhost_blk_wq;
extern struct workqueue_struct *vhost_blk_end_wq;

static inline struct vhost_blk_queue *to_queue(struct vhost_virtqueue *vq)
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

static inline struct vhost_blk *queue_to_blk(const struct vhost_blk_queue *q)
{
	return container_of(q->vq.dev, struct vhost_blk, dev);
}

/* Acquire: what a resume or a start has set is seen along with the state. */
static inline enum vhost_blk_queue_state
vhost_blk_queue_state(const struct vhost_blk_queue *q)
{
	return atomic_read_acquire(&q->state);
}

/*
 * Around all that translates addresses, and follows pointers to mappings.  The
 * mutex of the queue is held.
 */
static inline void vhost_blk_iotlb_lock(struct vhost_blk_queue *q)
{
	if (q->vq.iotlb)
		down_read(&queue_to_blk(q)->iotlb_sem);
}

static inline void vhost_blk_iotlb_unlock(struct vhost_blk_queue *q)
{
	if (q->vq.iotlb)
		up_read(&queue_to_blk(q)->iotlb_sem);
}

/* The owner has ended, and the device has not been reset yet. */
static inline bool vhost_blk_owner_ended(const struct vhost_blk *blk)
{
	return atomic_read(&blk->life) == VHOST_BLK_OWNER_ENDED;
}

/* Its requests end without an answer: what is left of them need not be done. */
static inline bool vhost_blk_dead(const struct vhost_blk_queue *q)
{
	return vhost_blk_queue_state(q) == VHOST_BLK_QUEUE_DEAD;
}

/* device.c APIs: */
extern const struct file_operations vhost_blk_fops;

/* state.c APIs: */
bool vhost_blk_queue_event(struct vhost_blk_queue *q, enum vhost_blk_event event);
void vhost_blk_hurry(struct vhost_blk_queue *q, unsigned long patience);
bool vhost_blk_must_hurry(const struct vhost_blk_queue *q);
bool vhost_blk_take_grace(struct vhost_blk *blk, u64 cost);

/* queue.c APIs: */
void vhost_blk_queue_init(struct vhost_blk_queue *q);
struct vhost_blk_queue *vhost_blk_queue_at(struct vhost_blk *blk, u32 index);
void vhost_blk_queue_free(struct vhost_blk_queue *q);
int vhost_blk_start(struct vhost_blk *blk);
int vhost_blk_start_queue(struct vhost_blk *blk, struct vhost_blk_queue *q);
int vhost_blk_stop(struct vhost_blk *blk);
int vhost_blk_stop_queue(struct vhost_blk_queue *q);
void vhost_blk_abandon(struct vhost_blk *blk);
int vhost_blk_pause(struct vhost_blk *blk);
void vhost_blk_resume(struct vhost_blk *blk);
int vhost_blk_ack_features(struct vhost_blk *blk, u64 features);
void vhost_blk_queue_drained(struct vhost_blk_queue *q);
bool vhost_blk_running(const struct vhost_blk *blk);

/* info.c APIs: */
long vhost_blk_get_info(struct vhost_blk *blk, void __user *argp);
long vhost_blk_get_vring_info(struct vhost_blk *blk, void __user *argp);

/* config.c APIs: */
u64 vhost_blk_features(const struct vhost_blk *blk);
bool vhost_blk_may_attach(const struct vhost_blk *blk,
			  const struct vhost_blk_disk *disk);
u32 vhost_blk_ops_of(u64 features);
bool vhost_blk_must_sync(const struct vhost_blk *blk);
long vhost_blk_get_config(struct vhost_blk *blk, void __user *argp);
long vhost_blk_set_config(struct vhost_blk *blk, void __user *argp);
long vhost_blk_set_config_call(struct vhost_blk *blk, void __user *argp);

/* resize.c APIs: */
void vhost_blk_resize_init(struct vhost_blk *blk);
void vhost_blk_resize_look(struct vhost_blk *blk);
void vhost_blk_resize_watch(struct vhost_blk *blk);
void vhost_blk_resize_end(struct vhost_blk *blk);

/* end.c APIs: */
void vhost_blk_end_init(struct vhost_blk *blk);
void vhost_blk_watch_owner(struct vhost_blk *blk);
void vhost_blk_unwatch_owner(struct vhost_blk *blk);
void vhost_blk_shut_down(struct vhost_blk *blk);
void vhost_blk_put(struct vhost_blk *blk);
int vhost_blk_flush(struct file *file, fl_owner_t id);
int vhost_blk_release(struct inode *inode, struct file *file);

/* busyloop.c APIs: */
void vhost_blk_busyloop_found(struct vhost_blk_queue *q);
void vhost_blk_busyloop_answered(struct vhost_blk_queue *q);
int vhost_blk_busyloop(struct vhost_blk_queue *q);

/* kick.c APIs: */
void vhost_blk_handle_kick(struct vhost_work *work);
void vhost_blk_break(struct vhost_blk_queue *q,
		     enum vhost_blk_break_reason reason, int error);

/* unmapped.c APIs: */
int vhost_blk_unmapped_chain(struct vhost_blk_queue *q,
			     struct vhost_blk_chain *chain);

/* map.c APIs: */
bool vhost_blk_map_room(struct vhost_blk_req *req, const struct iovec *iov,
			unsigned int nr);
int vhost_blk_map(struct vhost_blk_req *req, const struct iovec *iov,
		  unsigned int nr);
void vhost_blk_unmap(struct vhost_blk_req *req);

/* track.c APIs: */
int vhost_blk_track_set(struct vhost_blk_queue *q, u64 features);
void vhost_blk_track_free(struct vhost_blk_queue *q);
int vhost_blk_track(struct vhost_blk_req *req, const struct iovec *iov,
		    unsigned int nr);
void vhost_blk_untrack(struct vhost_blk_req *req);
int vhost_blk_log(struct vhost_blk_req *req, u64 off, u64 len);
bool vhost_blk_may_write(const struct vhost_blk_queue *q, u64 first, u64 last);

/* iotlb.c APIs: */
int vhost_blk_iotlb_set(struct vhost_blk *blk, u64 features);
void vhost_blk_iotlb_retry(struct vhost_blk_queue *q);
int vhost_blk_iotlb_msg(struct vhost_dev *dev, u32 asid,
			struct vhost_iotlb_msg *msg);
ssize_t vhost_blk_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t vhost_blk_write_iter(struct kiocb *iocb, struct iov_iter *from);
__poll_t vhost_blk_poll(struct file *file, poll_table *wait);

/* ranges.c APIs: */
int vhost_blk_read_ranges(struct vhost_blk_req *req,
			  const struct vhost_blk_limits *limits,
			  const struct iovec *iov, unsigned int nr);
void vhost_blk_free_ranges(struct vhost_blk_req *req);
bool vhost_blk_gives_up(struct vhost_blk_req *req);
int vhost_blk_submit_unmerged(struct block_device *bdev, enum req_op op,
			      sector_t sector, u32 bytes);
int vhost_blk_do_ranges(struct vhost_blk_req *req,
			int (*do_range)(struct vhost_blk_req *req,
					const struct vhost_blk_range *range),
			u64 step);

/* reply.c APIs: */
int vhost_blk_reply_prepare(struct vhost_blk_req *req, const struct iovec *iov,
			    unsigned int nr);
void vhost_blk_reply_set(struct vhost_blk_req *req, const void *from, u32 len);
int vhost_blk_reply_send(struct vhost_blk_req *req);

/* owner.c APIs: */
void vhost_blk_submit_work(struct work_struct *work);
void vhost_blk_punt_in_order(struct vhost_blk_req *req,
			     void (*fn)(struct vhost_blk_req *req));
void vhost_blk_punt(struct vhost_blk_req *req,
		    void (*fn)(struct vhost_blk_req *req));
void vhost_blk_punt_last(struct vhost_blk_req *req,
			 void (*fn)(struct vhost_blk_req *req));
void vhost_blk_works_flush(struct vhost_blk *blk);

/* bounce.c APIs: */
struct vhost_blk_bounce *vhost_blk_bounce_alloc(void);
bool vhost_blk_must_bounce(const struct vhost_blk_disk *disk,
			   enum vhost_blk_op op, const struct iovec *iov,
			   unsigned int nr);
bool vhost_blk_bounce_room(struct vhost_blk_req *req,
			   const struct vhost_blk_cmd *cmd,
			   const struct iovec *iov, unsigned int nr);
int vhost_blk_bounce_start(struct vhost_blk_req *req);
bool vhost_blk_bounce_next(struct vhost_blk_req *req);
void vhost_blk_bounce_end(struct vhost_blk_req *req);
void vhost_blk_bounce_free(struct vhost_blk_bounce *bounce);

/* pagecache.c APIs: */
bool vhost_blk_cache_concerned(const struct vhost_blk_req *req);
int vhost_blk_cache_before(const struct vhost_blk_disk *disk, bool read,
			   u64 pos, u64 len);
void vhost_blk_cache_after(const struct vhost_blk_disk *disk, u64 pos, u64 len);

/* complete.c APIs: */
u8 vhost_blk_status(int error, bool zoned);
u32 vhost_blk_used_len(const struct vhost_blk_cmd *cmd, u32 replied, u8 status);
void vhost_blk_req_done(struct vhost_blk_req *req, int error);
void vhost_blk_wake_worker(struct vhost_blk_queue *q);
void vhost_blk_serving_begins(struct vhost_blk_queue *q);
void vhost_blk_serving_ends(struct vhost_blk_queue *q);
void vhost_blk_publish(struct vhost_blk_queue *q);
void vhost_blk_answer_done(struct vhost_blk_queue *q);
void vhost_blk_done_work(struct vhost_work *work);
void vhost_blk_orphan_work(struct work_struct *work);

#endif
