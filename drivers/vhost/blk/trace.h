/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of vhost-blk, one for each step of a request.
 *
 * Errors that a guest can cause are reported here and never in the kernel log.
 * Documentation/virt/vhost-blk/uapi.rst describes the events.  The index of the
 * descriptor head is called id here, because the macros of perf define a
 * variable named head.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vhost_blk

#if !defined(VHOST_BLK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VHOST_BLK_TRACE_H

#include <linux/tracepoint.h>

#include "internal.h"

/*
 * Fields that every event begins with: the number of the device, which is
 * unique since the module was loaded; the process that called VHOST_SET_OWNER;
 * the process that opened the file; and the index of the queue.
 */
#ifndef VHOST_BLK_TRACE_QUEUE
#define VHOST_BLK_TRACE_QUEUE						\
	__field(u32, dev)						\
	__field(pid_t, owner)						\
	__field(pid_t, opener)						\
	__field(u16, queue)
#define VHOST_BLK_TRACE_ASSIGN(q) do {					\
	__entry->dev = to_vhost_blk(q)->id;				\
	__entry->owner = to_vhost_blk(q)->owner;			\
	__entry->opener = to_vhost_blk(q)->opener;			\
	__entry->queue = (q) - to_vhost_blk(q)->queues;			\
} while (0)
#define VHOST_BLK_TRACE_FORMAT	"dev=%u owner=%d opener=%d queue=%u"
#define VHOST_BLK_TRACE_ARGS	__entry->dev, __entry->owner, __entry->opener,	\
				__entry->queue
#endif

/* The worker has ended a round: requests and bytes of data that it took. */
TRACE_EVENT(vhost_blk_kick,
	TP_PROTO(const struct vhost_blk_queue *q, unsigned int requests, u64 bytes),
	TP_ARGS(q, requests, bytes),
	TP_STRUCT__entry(
		VHOST_BLK_TRACE_QUEUE
		__field(unsigned int, requests)
		__field(u64, bytes)
	),
	TP_fast_assign(
		VHOST_BLK_TRACE_ASSIGN(q);
		__entry->requests = requests;
		__entry->bytes = bytes;
	),
	TP_printk(VHOST_BLK_TRACE_FORMAT " requests=%u bytes=%llu",
		  VHOST_BLK_TRACE_ARGS, __entry->requests, __entry->bytes)
);

/*
 * A chain was taken.  The status is VIRTIO_BLK_S_OK if the request is valid.
 * Type and sector are 0 if the header could not be read.
 */
TRACE_EVENT(vhost_blk_request,
	TP_PROTO(const struct vhost_blk_queue *q, u16 id, u32 type, u64 sector, u8 status),
	TP_ARGS(q, id, type, sector, status),
	TP_STRUCT__entry(
		VHOST_BLK_TRACE_QUEUE
		__field(u64, sector)
		__field(u32, type)
		__field(u16, id)
		__field(u8, status)
	),
	TP_fast_assign(
		VHOST_BLK_TRACE_ASSIGN(q);
		__entry->sector = sector;
		__entry->type = type;
		__entry->id = id;
		__entry->status = status;
	),
	TP_printk(VHOST_BLK_TRACE_FORMAT " head=%u type=%u sector=%llu status=%u",
		  VHOST_BLK_TRACE_ARGS, __entry->id, __entry->type, __entry->sector,
		  __entry->status)
);

/* The backend gets I/O: position and length in bytes, and number of vectors. */
TRACE_EVENT(vhost_blk_submit,
	TP_PROTO(const struct vhost_blk_queue *q, u16 id, u64 pos, u32 len,
		 unsigned int nr_bvec, bool bounced),
	TP_ARGS(q, id, pos, len, nr_bvec, bounced),
	TP_STRUCT__entry(
		VHOST_BLK_TRACE_QUEUE
		__field(u64, pos)
		__field(u32, len)
		__field(unsigned int, nr_bvec)
		__field(u16, id)
		__field(bool, bounced)
	),
	TP_fast_assign(
		VHOST_BLK_TRACE_ASSIGN(q);
		__entry->pos = pos;
		__entry->len = len;
		__entry->nr_bvec = nr_bvec;
		__entry->id = id;
		__entry->bounced = bounced;
	),
	TP_printk(VHOST_BLK_TRACE_FORMAT " head=%u pos=%llu len=%u bvecs=%u bounced=%d",
		  VHOST_BLK_TRACE_ARGS, __entry->id, __entry->pos, __entry->len,
		  __entry->nr_bvec, __entry->bounced)
);

/*
 * The I/O of vhost_blk_submit is done.  A bounced request has one pair of these
 * two events for each of its windows, one pair after the other.  A request that
 * did not reach the backend has only this event.
 */
TRACE_EVENT(vhost_blk_done,
	TP_PROTO(const struct vhost_blk_queue *q, u16 id, int error),
	TP_ARGS(q, id, error),
	TP_STRUCT__entry(
		VHOST_BLK_TRACE_QUEUE
		__field(int, error)
		__field(u16, id)
	),
	TP_fast_assign(
		VHOST_BLK_TRACE_ASSIGN(q);
		__entry->error = error;
		__entry->id = id;
	),
	TP_printk(VHOST_BLK_TRACE_FORMAT " head=%u error=%d",
		  VHOST_BLK_TRACE_ARGS, __entry->id, __entry->error)
);

/* The status and the used length of a request have been determined. */
TRACE_EVENT(vhost_blk_complete,
	TP_PROTO(const struct vhost_blk_queue *q, u16 id, u8 status, u32 used_len),
	TP_ARGS(q, id, status, used_len),
	TP_STRUCT__entry(
		VHOST_BLK_TRACE_QUEUE
		__field(u32, used_len)
		__field(u16, id)
		__field(u8, status)
	),
	TP_fast_assign(
		VHOST_BLK_TRACE_ASSIGN(q);
		__entry->used_len = used_len;
		__entry->id = id;
		__entry->status = status;
	),
	TP_printk(VHOST_BLK_TRACE_FORMAT " head=%u status=%u used=%u", VHOST_BLK_TRACE_ARGS,
		  __entry->id, __entry->status, __entry->used_len)
);

/* The I/O of a request has failed: errno, and enum vhost_blk_error_action. */
TRACE_EVENT(vhost_blk_failed,
	TP_PROTO(const struct vhost_blk_queue *q, u16 id, int error, unsigned int action),
	TP_ARGS(q, id, error, action),
	TP_STRUCT__entry(
		VHOST_BLK_TRACE_QUEUE
		__field(int, error)
		__field(unsigned int, action)
		__field(u16, id)
	),
	TP_fast_assign(
		VHOST_BLK_TRACE_ASSIGN(q);
		__entry->error = error;
		__entry->action = action;
		__entry->id = id;
	),
	TP_printk(VHOST_BLK_TRACE_FORMAT " head=%u error=%d action=%u",
		  VHOST_BLK_TRACE_ARGS, __entry->id, __entry->error, __entry->action)
);

/* A queue breaks: enum vhost_blk_break_reason, and a negative errno or 0. */
TRACE_EVENT(vhost_blk_break,
	TP_PROTO(const struct vhost_blk_queue *q, unsigned int reason, int error),
	TP_ARGS(q, reason, error),
	TP_STRUCT__entry(
		VHOST_BLK_TRACE_QUEUE
		__field(unsigned int, reason)
		__field(int, error)
	),
	TP_fast_assign(
		VHOST_BLK_TRACE_ASSIGN(q);
		__entry->reason = reason;
		__entry->error = error;
	),
	TP_printk(VHOST_BLK_TRACE_FORMAT " reason=%u error=%d", VHOST_BLK_TRACE_ARGS,
		  __entry->reason, __entry->error)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
