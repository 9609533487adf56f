// SPDX-License-Identifier: GPL-2.0
/*
 * The common part of engines with a virtqueue.  Notifications are used as in Linux's
 * driver: it decides about a kick once per batch of requests.  Interrupts are off from
 * the first completion until the used ring is empty.  Then they are on, and the ring is
 * read again before the lane sleeps.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

static struct ring *ring_of(const struct lane *l)
{
	return &l->dev->guest.ring[l->ring_index];
}

/* Initialize a guest with memory for all requests. */
void vring_device(struct device *dev)
{
	const struct load *load = dev->load;
	unsigned int queues = load->queues + dev->engine->first_queue;
	uint64_t requests = (uint64_t)load->queues * load->depth;
	unsigned int segs = load->block / load->segment + 2;
	struct guest_opts opts = {
		.queues = queues,
		.num = load->ring,
		.mem = (8 << 20) + requests * (load->block + 4096 + segs * 16) +
		       queues * 64 * 1024,
		.features_off = load->direct_desc ? BIT64(VIRTIO_RING_F_INDIRECT_DESC) : 0,
		.backend = &dev->backend,
	};

	guest_init(&dev->guest, &opts);
}

/*
 * A lane sleeps in read().  A server may make the eventfds non-blocking when it gets
 * them, so make them blocking after that.
 */
const char *vring_started(struct device *dev)
{
	unsigned int i;

	for (i = 0; i < dev->guest.nrings; i++) {
		int call = dev->guest.ring[i].call;

		/* Without --spin, vring_wait() does this after the first interrupt. */
		if (dev->load->spin)
			ring_call_off(&dev->guest.ring[i]);
		if (fcntl(call, F_SETFL, fcntl(call, F_GETFL) & ~O_NONBLOCK))
			return "cannot make an eventfd blocking";
	}
	return NULL;
}

void vring_close(struct device *dev)
{
	guest_destroy(&dev->guest);
}

static void push_seg(struct request *q, uint64_t gpa, uint32_t len, bool in)
{
	q->seg[q->nout + q->nin] = (struct seg){ gpa, len };
	if (in)
		q->nin++;
	else
		q->nout++;
}

static void write_table(struct request *q)
{
	unsigned int i, n = q->nout + q->nin;
	struct vring_desc *table;

	q->table = guest_alloc(q->guest, n * sizeof(*table), 16);
	table = guest_ptr(q->guest, q->table, n * sizeof(*table));
	for (i = 0; i < n; i++)
		table[i] = (struct vring_desc){
			.addr = htole64(q->seg[i].gpa), .len = htole32(q->seg[i].len),
			.flags = htole16(request_seg_flags(q, i)),
			.next = htole16(i + 1 < n ? i + 1 : 0),
		};
	q->indirect = true;
}

/*
 * Build a chain of header, data and status.  The status of a read comes after the data
 * in virtio-blk, and before it in virtio-scsi.
 */
const char *vring_slot(struct lane *l, struct slot *s, uint32_t header, uint32_t status,
		       bool status_first)
{
	const struct load *load = l->load;
	struct guest *g = &l->dev->guest;
	struct request *q = calloc(1, sizeof(*q));
	uint64_t small = guest_alloc(g, header + status, 64);
	uint64_t data = guest_alloc(g, load->block, 4096);
	uint32_t at;

	q->guest = g;
	q->seg = calloc(load->block / load->segment + 3, sizeof(*q->seg));
	q->tag = s->nr;
	push_seg(q, small, header, false);
	if (status_first && !load->write)
		push_seg(q, small + header, status, true);
	for (at = 0; at < load->block; at += load->segment)
		push_seg(q, data + at, load->segment, !load->write);
	if (!status_first || load->write)
		push_seg(q, small + header, status, true);
	s->q = q;
	s->header = guest_ptr(g, small, header);
	s->status = guest_ptr(g, small + header, status);
	s->data = guest_ptr(g, data, load->block);
	memset(s->header, 0, header);
	if (guest_has(g, VIRTIO_RING_F_INDIRECT_DESC))
		write_table(q);
	return NULL;
}

void vring_add(struct lane *l, struct slot *s)
{
	if (ring_add(ring_of(l), s->q))
		l->why = "the ring is too small for this queue depth";
}

void vring_push(struct lane *l)
{
	struct ring *r = ring_of(l);

	ring_kick(r);
	l->count.kicks = r->stats.kicks;
}

struct slot *vring_take(struct lane *l)
{
	struct ring *r = ring_of(l);
	struct request *q = ring_take(r);

	if (q)
		return &l->slot[q->tag];
	if (r->why[0])
		l->why = r->why;
	return NULL;
}

void vring_wait(struct lane *l)
{
	struct ring *r = ring_of(l);
	uint64_t n;

	if (!ring_call_on(r, 0)) {
		if (read(r->call, &n, sizeof(n)) != sizeof(n)) {
			l->why = "cannot read from the call eventfd";
			return;
		}
		l->count.calls += n;
		l->count.waits++;
	}
	ring_call_off(r);
}

const char *vring_totals(const struct lane *l)
{
	struct ring *r = ring_of(l);

	if (r->stats.added != l->count.done || r->stats.used != l->count.done)
		return "the numbers of requests sent, completed and counted differ";
	if (ring_inflight(r) || ring_device_idx(r) != r->used_idx ||
	    r->used_idx != (uint16_t)l->count.done)
		return "the used index differs from the number of requests";
	if (r->stats.kicks + r->stats.kicks_saved > l->count.done ||
	    l->count.waits > l->count.calls)
		return "there were more kicks than requests, or fewer interrupts than sleeps";
	return NULL;
}
