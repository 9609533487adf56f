// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the counters of the queues for userspace: VHOST_BLK_GET_STATS, and the
 * fdinfo of the file.
 *
 * A reader takes neither dev.mutex nor the mutex of a virtqueue, because another
 * thread may hold them while a disk hangs.  backend_mutex keeps the counters from
 * being freed.
 */
#include <linux/kernel.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "internal.h"
#include "stats.h"

static_assert(VHOST_BLK_NR_STATS <= VHOST_BLK_STATS_OPS);

/* All that are not here are VHOST_BLK_STAT_OTHER. */
const u8 vhost_blk_stat_of[VHOST_BLK_NR_OPS + 1] = {
	[VHOST_BLK_OP_READ] = VHOST_BLK_STAT_READ,
	[VHOST_BLK_OP_WRITE] = VHOST_BLK_STAT_WRITE,
	[VHOST_BLK_OP_ZONE_APPEND] = VHOST_BLK_STAT_WRITE,
	[VHOST_BLK_OP_FLUSH] = VHOST_BLK_STAT_FLUSH,
	[VHOST_BLK_OP_DISCARD] = VHOST_BLK_STAT_DISCARD,
	[VHOST_BLK_OP_SECURE_ERASE] = VHOST_BLK_STAT_DISCARD,
	[VHOST_BLK_OP_WRITE_ZEROES] = VHOST_BLK_STAT_WRITE_ZEROES,
};

/* Keys in fdinfo */
static const char *const vblk_stat_names[VHOST_BLK_NR_STATS] = {
	[VHOST_BLK_STAT_OTHER] = "other",
	[VHOST_BLK_STAT_READ] = "read",
	[VHOST_BLK_STAT_WRITE] = "write",
	[VHOST_BLK_STAT_FLUSH] = "flush",
	[VHOST_BLK_STAT_DISCARD] = "discard",
	[VHOST_BLK_STAT_WRITE_ZEROES] = "write-zeroes",
};

/* Without a default, so that the compiler warns if a state has no name. */
static const char *vblk_state_name(enum vhost_blk_queue_state state)
{
	switch (state) {
	case VHOST_BLK_QUEUE_STOPPED:
		return "stopped";
	case VHOST_BLK_QUEUE_RUNNING:
		return "running";
	case VHOST_BLK_QUEUE_PAUSED:
		return "paused";
	case VHOST_BLK_QUEUE_DRAINING:
		return "draining";
	case VHOST_BLK_QUEUE_BROKEN:
		return "broken";
	case VHOST_BLK_QUEUE_DEAD:
		return "dead";
	case VHOST_BLK_QUEUE_PARKED:
		return "parked";
	}
	return "unknown";
}

/**
 * vhost_blk_counters_alloc - allocate the counters of a queue
 * @q: the queue, about to be started
 *
 * Does nothing if the queue has them: they are kept while it is stopped.
 *
 * Return: 0 or -ENOMEM.
 */
int vhost_blk_counters_alloc(struct vhost_blk_queue *q)
{
	struct vhost_blk_counters *c;

	if (q->counters)
		return 0;
	c = kzalloc_obj(*c, VHOST_BLK_GFP);
	if (!c)
		return -ENOMEM;
	u64_stats_init(&c->syncp);
	/* Pairs with READ_ONCE() of the readers and their address dependency. */
	smp_store_release(&q->counters, c);
	return 0;
}

/**
 * vhost_blk_counters_free - free the counters of all queues
 * @blk: the device, all its queues stopped and not in use by any worker
 */
void vhost_blk_counters_free(struct vhost_blk *blk)
{
	unsigned int i;

	mutex_lock(&blk->backend_mutex);
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		kfree(blk->queues[i].counters);
		blk->queues[i].counters = NULL;
	}
	mutex_unlock(&blk->backend_mutex);
}

/* Read a counter that the worker may change. */
static u64 vblk_read_counter(const struct vhost_blk_counters *c,
			     const u64_stats_t *counter)
{
	unsigned int start;
	u64 value;

	do {
		start = u64_stats_fetch_begin(&c->syncp);
		value = u64_stats_read(counter);
	} while (u64_stats_fetch_retry(&c->syncp, start));
	return value;
}

/* Add the counters of one kind of requests to @to. */
static void vblk_add_op(const struct vhost_blk_counters *c, unsigned int stat,
			struct vhost_blk_op_stats *to)
{
	const struct vhost_blk_op_counters *op = &c->op[stat];
	unsigned int i;
	u64 nr;

	for (i = 0; i < VHOST_BLK_STATS_BUCKETS; i++) {
		nr = vblk_read_counter(c, &op->latency[i]);
		to->latency[i] += nr;
		to->requests += nr;
	}
	to->bytes += vblk_read_counter(c, &op->bytes);
	to->errors += vblk_read_counter(c, &op->errors);
	to->invalid += vblk_read_counter(c, &op->invalid);
	to->time_ns += vblk_read_counter(c, &op->time_ns);
}

/**
 * vhost_blk_read_counters - read the counters of a queue
 * @q: the queue
 * @stats: filled in; must be zeroed
 *
 * Context: An ioctl.  Takes backend_mutex.
 */
void vhost_blk_read_counters(struct vhost_blk_queue *q,
			     struct vhost_blk_vring_stats *stats)
{
	struct mutex *mutex = &to_vhost_blk(q)->backend_mutex;
	const struct vhost_blk_counters *c;
	unsigned int i;

	mutex_lock(mutex);
	c = READ_ONCE(q->counters);
	if (c) {
		stats->rounds = vblk_read_counter(c, &c->rounds);
		stats->batches = vblk_read_counter(c, &c->batches);
		stats->bounced = vblk_read_counter(c, &c->bounced);
		stats->polls = vblk_read_counter(c, &c->polls);
		stats->poll_hits = vblk_read_counter(c, &c->poll_hits);
		stats->poll_ns = vblk_read_counter(c, &c->poll_ns);
		for (i = 0; i < VHOST_BLK_NR_STATS; i++)
			vblk_add_op(c, i, &stats->op[i]);
	}
	mutex_unlock(mutex);
}

/* Sum up the counters of one kind of requests of all queues. */
static void vblk_sum_op(struct vhost_blk *blk, unsigned int stat,
			struct vhost_blk_op_stats *sum)
{
	const struct vhost_blk_counters *c;
	unsigned int i;

	mutex_lock(&blk->backend_mutex);
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		c = READ_ONCE(blk->queues[i].counters);
		if (c)
			vblk_add_op(c, stat, sum);
	}
	mutex_unlock(&blk->backend_mutex);
}

static void vblk_show_queues(struct seq_file *m, const struct vhost_blk *blk)
{
	enum vhost_blk_queue_state state;
	unsigned int i, inflight = 0;

	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		state = vhost_blk_queue_state(&blk->queues[i]);
		if (state == VHOST_BLK_QUEUE_STOPPED)
			continue;
		seq_printf(m, "vhost-blk-queue-%u:\t%s\n", i,
			   vblk_state_name(state));
		inflight += READ_ONCE(blk->queues[i].inflight);
	}
	seq_printf(m, "vhost-blk-inflight:\t%u\n", inflight);
}

/**
 * vhost_blk_show_fdinfo - print the lines of a device in fdinfo
 * @m: the fdinfo
 * @blk: the device
 * @info: result of VHOST_BLK_GET_INFO
 *
 * Context: Any process with the right to read it.  Takes backend_mutex.
 */
void vhost_blk_show_fdinfo(struct seq_file *m, struct vhost_blk *blk,
			   const struct vhost_blk_info *info)
{
	struct vhost_blk_op_stats sum;
	const char *name;
	unsigned int i;

	seq_printf(m, "vhost-blk-trace-dev:\t%u\n", info->trace_dev);
	seq_printf(m, "vhost-blk-flags:\t%#x\n", info->flags);
	seq_printf(m, "vhost-blk-backend:\t%u:%u\n", info->dev_major,
		   info->dev_minor);
	seq_printf(m, "vhost-blk-ino:\t%llu\n", info->ino);
	seq_printf(m, "vhost-blk-capacity:\t%llu\n", info->capacity);
	seq_printf(m, "vhost-blk-flush-error:\t%d\n", info->flush_error);
	vblk_show_queues(m, blk);
	for (i = 0; i < VHOST_BLK_NR_STATS; i++) {
		name = vblk_stat_names[i];
		memset(&sum, 0, sizeof(sum));
		vblk_sum_op(blk, i, &sum);
		seq_printf(m, "vhost-blk-%s-requests:\t%llu\n", name, sum.requests);
		seq_printf(m, "vhost-blk-%s-bytes:\t%llu\n", name, sum.bytes);
		seq_printf(m, "vhost-blk-%s-errors:\t%llu\n", name, sum.errors);
		seq_printf(m, "vhost-blk-%s-invalid:\t%llu\n", name, sum.invalid);
		seq_printf(m, "vhost-blk-%s-ns:\t%llu\n", name, sum.time_ns);
	}
}
