/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters of a queue.  The worker counts with the mutex of the virtqueue held;
 * stats.c reads the counters without it.
 */
#ifndef VHOST_BLK_STATS_H
#define VHOST_BLK_STATS_H

#include <linux/bitops.h>
#include <linux/minmax.h>
#include <linux/u64_stats_sync.h>
#include <linux/virtio_blk.h>

#include "internal.h"

struct seq_file;

#define VHOST_BLK_NR_STATS	(VHOST_BLK_STAT_WRITE_ZEROES + 1)

/**
 * struct vhost_blk_op_counters - counters of one kind of requests
 * @latency: requests that have succeeded, by latency
 * @bytes: their bytes
 * @time_ns: sum of their latencies
 * @errors: requests that have failed
 * @invalid: requests that were refused
 */
struct vhost_blk_op_counters {
	u64_stats_t latency[VHOST_BLK_STATS_BUCKETS];
	u64_stats_t bytes;
	u64_stats_t time_ns;
	u64_stats_t errors;
	u64_stats_t invalid;
};

/**
 * struct vhost_blk_counters - counters of a queue, see VHOST_BLK_GET_STATS
 * @syncp: protects the counters of a 32-bit kernel from being read in part
 * @rounds: see struct vhost_blk_vring_stats
 * @batches: likewise
 * @bounced: likewise
 * @polls: likewise
 * @poll_hits: likewise
 * @poll_ns: likewise
 * @op: counters by enum vhost_blk_stat
 */
struct vhost_blk_counters {
	struct u64_stats_sync syncp;
	u64_stats_t rounds;
	u64_stats_t batches;
	u64_stats_t bounced;
	u64_stats_t polls;
	u64_stats_t poll_hits;
	u64_stats_t poll_ns;
	struct vhost_blk_op_counters op[VHOST_BLK_NR_STATS];
};

/* enum vhost_blk_stat by operation; VHOST_BLK_NR_OPS: an unknown type */
extern const u8 vhost_blk_stat_of[VHOST_BLK_NR_OPS + 1];

/* Get the element of vhost_blk_op_stats.latency for a latency in ns. */
static inline unsigned int vhost_blk_latency_bucket(u64 ns)
{
	return min_t(unsigned int, fls64(ns >> 10), VHOST_BLK_STATS_BUCKETS - 1);
}

/* Like u64_stats_add(), which takes an unsigned long. */
static inline void vhost_blk_add_u64(u64_stats_t *counter, u64 value)
{
	if (IS_ENABLED(CONFIG_64BIT))
		u64_stats_add(counter, value);
	else
		u64_stats_set(counter, u64_stats_read(counter) + value);
}

static inline u64 vhost_blk_range_bytes(const struct vhost_blk_io *io)
{
	unsigned int i;
	u64 bytes = 0;

	for (i = 0; i < io->nr_ranges; i++)
		bytes += io->ranges[i].len;
	return bytes;
}

/**
 * vhost_blk_count_req - count a request that completes
 * @req: the request, whose ranges have not been freed yet
 * @status: VIRTIO_BLK_S_*
 * @now: time of ktime_get_ns()
 *
 * Context: The worker, with the mutex of the virtqueue held.
 */
static inline void vhost_blk_count_req(const struct vhost_blk_req *req, u8 status,
				       u64 now)
{
	struct vhost_blk_counters *c = req->q->counters;
	struct vhost_blk_op_counters *op = &c->op[vhost_blk_stat_of[req->cmd.op]];
	unsigned long flags = u64_stats_update_begin_irqsave(&c->syncp);

	if (likely(status == VIRTIO_BLK_S_OK)) {
		u64 ns = now - req->taken_ns;

		u64_stats_inc(&op->latency[vhost_blk_latency_bucket(ns)]);
		vhost_blk_add_u64(&op->time_ns, ns);
		vhost_blk_add_u64(&op->bytes, unlikely(req->io.ranges) ?
				  vhost_blk_range_bytes(&req->io) : req->cmd.len);
	} else if (!req->taken_ns) {
		u64_stats_inc(&op->invalid);
	} else {
		u64_stats_inc(&op->errors);
	}
	u64_stats_update_end_irqrestore(&c->syncp, flags);
}

/*
 * Add @n to @counter, one of q->counters, in the worker with the mutex of the
 * virtqueue held.
 */
static inline void vhost_blk_count(struct vhost_blk_queue *q,
				   u64_stats_t *counter, unsigned long n)
{
	struct vhost_blk_counters *c = q->counters;
	unsigned long flags = u64_stats_update_begin_irqsave(&c->syncp);

	u64_stats_add(counter, n);
	u64_stats_update_end_irqrestore(&c->syncp, flags);
}

/* stats.c APIs: */
int vhost_blk_counters_alloc(struct vhost_blk_queue *q);
void vhost_blk_counters_free(struct vhost_blk *blk);
void vhost_blk_read_counters(struct vhost_blk_queue *q,
			     struct vhost_blk_vring_stats *stats);
void vhost_blk_show_fdinfo(struct seq_file *m, struct vhost_blk *blk,
			   const struct vhost_blk_info *info);

#endif
