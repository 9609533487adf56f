/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One tracepoint for each stage of a request: what a guest can cause is to be
 * seen here, never in the kernel log.  A descriptor head is called id, since
 * the perf glue around each event has a `head` of its own.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vhost_blk

#if !defined(VHOST_BLK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VHOST_BLK_TRACE_H

#include <linux/tracepoint.h>

struct vhost_blk_queue;

TRACE_EVENT(vhost_blk_kick,
	TP_PROTO(const void *q, unsigned int requests, u64 bytes),
	TP_ARGS(q, requests, bytes),
	TP_STRUCT__entry(
		__field(const void *, q)
		__field(unsigned int, requests)
		__field(u64, bytes)
	),
	TP_fast_assign(
		__entry->q = q;
		__entry->requests = requests;
		__entry->bytes = bytes;
	),
	TP_printk("queue=%p requests=%u bytes=%llu", __entry->q,
		  __entry->requests, __entry->bytes)
);

TRACE_EVENT(vhost_blk_request,
	TP_PROTO(const void *q, u16 id, u32 type, u64 sector, u8 status),
	TP_ARGS(q, id, type, sector, status),
	TP_STRUCT__entry(
		__field(const void *, q)
		__field(u64, sector)
		__field(u32, type)
		__field(u16, id)
		__field(u8, status)
	),
	TP_fast_assign(
		__entry->q = q;
		__entry->sector = sector;
		__entry->type = type;
		__entry->id = id;
		__entry->status = status;
	),
	TP_printk("queue=%p head=%u type=%u sector=%llu status=%u", __entry->q,
		  __entry->id, __entry->type, __entry->sector,
		  __entry->status)
);

TRACE_EVENT(vhost_blk_submit,
	TP_PROTO(const void *q, u16 id, u64 pos, u32 len,
		 unsigned int nr_bvec, bool bounced),
	TP_ARGS(q, id, pos, len, nr_bvec, bounced),
	TP_STRUCT__entry(
		__field(const void *, q)
		__field(u64, pos)
		__field(u32, len)
		__field(unsigned int, nr_bvec)
		__field(u16, id)
		__field(bool, bounced)
	),
	TP_fast_assign(
		__entry->q = q;
		__entry->pos = pos;
		__entry->len = len;
		__entry->nr_bvec = nr_bvec;
		__entry->id = id;
		__entry->bounced = bounced;
	),
	TP_printk("queue=%p head=%u pos=%llu len=%u bvecs=%u bounced=%d",
		  __entry->q, __entry->id, __entry->pos, __entry->len,
		  __entry->nr_bvec, __entry->bounced)
);

TRACE_EVENT(vhost_blk_complete,
	TP_PROTO(const void *q, u16 id, u8 status, u32 used_len),
	TP_ARGS(q, id, status, used_len),
	TP_STRUCT__entry(
		__field(const void *, q)
		__field(u32, used_len)
		__field(u16, id)
		__field(u8, status)
	),
	TP_fast_assign(
		__entry->q = q;
		__entry->used_len = used_len;
		__entry->id = id;
		__entry->status = status;
	),
	TP_printk("queue=%p head=%u status=%u used=%u", __entry->q,
		  __entry->id, __entry->status, __entry->used_len)
);

TRACE_EVENT(vhost_blk_break,
	TP_PROTO(const void *q),
	TP_ARGS(q),
	TP_STRUCT__entry(__field(const void *, q)),
	TP_fast_assign(__entry->q = q;),
	TP_printk("queue=%p", __entry->q)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
