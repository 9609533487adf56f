// SPDX-License-Identifier: GPL-2.0
/* The driver's side of a split virtqueue (virtio 1.3, 2.7) */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "iommu.h"
#include "request.h"

static const char *ring_say(struct ring *r, const char *what, unsigned int id)
{
	snprintf(r->why, sizeof(r->why), "queue %u: %s (%u)", r->index, what, id);
	return r->why;
}

const char *ring_init(struct ring *r, struct guest *g, unsigned int index)
{
	unsigned int num = g->opts.num;
	uint64_t desc, avail, used;

	memset(r, 0, sizeof(*r));
	r->guest = g;
	r->index = index;
	r->num = num;
	desc = guest_alloc(g, sizeof(struct vring_desc) * num, 4096);
	avail = guest_alloc(g, 6 + 2 * num, 2);
	used = guest_alloc(g, 6 + sizeof(struct vring_used_elem) * num, 4096);
	r->desc = guest_ptr(g, desc, 1);
	r->avail = guest_ptr(g, avail, 1);
	r->used = guest_ptr(g, used, 1);
	r->used_gpa = used;
	r->free = calloc(num, sizeof(*r->free));
	r->next = calloc(num, sizeof(*r->next));
	r->inflight = calloc(num, sizeof(*r->inflight));
	r->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r->err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (r->kick < 0 || r->call < 0 || r->err < 0)
		return "no eventfd";
	ring_reset(r, 0);
	return NULL;
}

/*
 * Forget all requests in flight; both indices start at @base. The device must
 * be stopped.
 */
void ring_reset(struct ring *r, uint16_t base)
{
	unsigned int i;

	memset(r->desc, 0, sizeof(*r->desc) * r->num);
	memset(r->avail, 0, 6 + 2 * r->num);
	memset(r->used, 0, 6 + sizeof(struct vring_used_elem) * r->num);
	memset(r->inflight, 0, sizeof(*r->inflight) * r->num);
	r->nfree = r->num;
	for (i = 0; i < r->num; i++)
		r->free[i] = r->num - 1 - i;
	r->avail_idx = base;
	r->kicked_idx = base;
	r->used_idx = base;
	store16(&r->avail->idx, base);
	store16(&r->used->idx, base);
	r->why[0] = '\0';
}

void ring_free(struct ring *r)
{
	close(r->kick);
	close(r->call);
	close(r->err);
	free(r->free);
	free(r->next);
	free(r->inflight);
	memset(r, 0, sizeof(*r));
}

long ring_set_base(struct ring *r, uint16_t base)
{
	struct vhost_vring_state s = { .index = r->index, .num = base };

	return guest_ioctl(r->guest, VHOST_SET_VRING_BASE, &s);
}

long ring_set_busyloop(struct ring *r, uint32_t us)
{
	struct vhost_vring_state s = { .index = r->index, .num = us };

	return guest_ioctl(r->guest, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &s);
}

long ring_get_base(struct ring *r, uint16_t *base)
{
	struct vhost_vring_state s = { .index = r->index };
	long ret = guest_ioctl(r->guest, VHOST_GET_VRING_BASE, &s);

	*base = s.num;
	return ret;
}

long ring_set_running(struct ring *r, int on)
{
	struct vhost_vring_state s = { .index = r->index, .num = on };

	return guest_ioctl(r->guest, VHOST_BLK_SET_VRING_RUNNING, &s);
}

long ring_stop(struct ring *r, uint16_t *base)
{
	long ret = ring_set_running(r, 0);

	return ret ? ret : ring_get_base(r, base);
}

long ring_info(struct ring *r, struct vhost_blk_vring_info *info)
{
	*info = (struct vhost_blk_vring_info) { .index = r->index };
	return guest_ioctl(r->guest, VHOST_BLK_GET_VRING_INFO, info);
}

/* Address of a part of the ring, as it is given to the device */
static uint64_t device_addr(struct ring *r, const void *part)
{
	const struct region *mem = &r->guest->region[0];

	if (r->guest->iommu)
		return r->guest->iommu->base + ((const uint8_t *)part - mem->hva);
	return (uintptr_t)part;
}

long ring_set_addr(struct ring *r)
{
	struct vhost_vring_addr addr = {
		.index = r->index,
		.flags = r->guest->dirty ? 1 << VHOST_VRING_F_LOG : 0,
		.desc_user_addr = device_addr(r, r->desc),
		.avail_user_addr = device_addr(r, r->avail),
		.used_user_addr = device_addr(r, r->used),
		.log_guest_addr = r->used_gpa,
	};

	return guest_ioctl(r->guest, VHOST_SET_VRING_ADDR, &addr);
}

/* Set the addresses, base and eventfds of the ring; the base is the used index. */
long ring_setup(struct ring *r)
{
	struct vhost_vring_state num = { .index = r->index, .num = r->num };
	struct vhost_vring_file file = { .index = r->index };
	static const unsigned long cmd[] = {
		VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,
	};
	const int fd[] = { r->kick, r->call, r->err };
	unsigned int i;
	long ret;

	ret = guest_ioctl(r->guest, VHOST_SET_VRING_NUM, &num);
	if (!ret)
		ret = ring_set_base(r, r->used_idx);
	if (!ret)
		ret = ring_set_addr(r);
	for (i = 0; !ret && i < 3; i++) {
		file.fd = fd[i];
		ret = guest_ioctl(r->guest, cmd[i], &file);
	}
	return ret;
}

void ring_put_desc(struct ring *r, uint16_t i, uint64_t gpa, uint32_t len,
		   uint16_t flags, uint16_t next)
{
	r->desc[i].addr = htole64(gpa);
	r->desc[i].len = htole32(len);
	r->desc[i].flags = htole16(flags);
	r->desc[i].next = htole16(next);
}

/* Number of ring descriptors that a request needs */
static unsigned int chain_len(const struct request *q)
{
	return q->indirect ? q->direct + 1 : q->nout + q->nin;
}

static void put_table(struct ring *r, uint16_t at, const struct request *q)
{
	uint32_t len = (q->nout + q->nin - q->direct) * sizeof(struct vring_desc);

	ring_put_desc(r, at, q->table, len, VRING_DESC_F_INDIRECT | q->table_flags, 0);
}

static void put_chain(struct ring *r, uint16_t head, struct request *q)
{
	unsigned int i, n = chain_len(q);
	uint16_t at = head;

	for (i = 0; i < n; i++) {
		uint16_t next = i + 1 < n ? r->free[--r->nfree] : 0;

		if (q->indirect && i == q->direct)
			put_table(r, at, q);
		else
			ring_put_desc(r, at, q->seg[i].gpa, q->seg[i].len,
				      request_seg_flags(q, i), next);
		r->next[at] = next;
		at = next;
	}
}

/* Make a head available that the caller built by ring_put_desc(), without any check. */
int ring_add_raw(struct ring *r, uint16_t head)
{
	r->avail->ring[r->avail_idx % r->num] = htole16(head);
	r->avail_idx++;
	/* pairs with the device's barrier after it read avail->idx */
	store16(&r->avail->idx, r->avail_idx);
	r->stats.added++;
	return 0;
}

/*
 * Make the request available.  Return: -ENOSPC if the ring is full; nothing has
 * changed then
 */
int ring_add(struct ring *r, struct request *q)
{
	uint16_t head;

	if (chain_len(q) > r->nfree)
		return -ENOSPC;
	head = r->free[--r->nfree];
	put_chain(r, head, q);
	q->head = head;
	q->done = 0;
	r->inflight[head] = q;
	return ring_add_raw(r, head);
}

static void put_back(struct ring *r, struct request *q)
{
	unsigned int i, n = chain_len(q);
	uint16_t at = q->head;

	for (i = 0; i < n; i++) {
		r->free[r->nfree++] = at;
		at = r->next[at];
	}
}

/* Return: the present used index of the device */
uint16_t ring_device_idx(struct ring *r)
{
	return load16(&r->used->idx);
}

unsigned int ring_inflight(struct ring *r)
{
	return (uint16_t)(r->avail_idx - r->used_idx);
}

/*
 * Take one completion.  Return: NULL if there is none, or if the device broke a
 * rule; then r->why says which
 */
struct request *ring_take(struct ring *r)
{
	struct vring_used_elem *e;
	struct request *q;
	uint32_t id;
	uint16_t idx = ring_device_idx(r);

	if (idx == r->used_idx)
		return NULL;
	if ((uint16_t)(idx - r->used_idx) > ring_inflight(r)) {
		ring_say(r, "more is used than was made available", idx);
		return NULL;
	}
	/* load16() is an acquire: the element is read after the index */
	e = &r->used->ring[r->used_idx % r->num];
	id = le32toh(e->id);
	if (id >= r->num || !r->inflight[id]) {
		ring_say(r, "a head was used that is not in flight", id);
		return NULL;
	}
	q = r->inflight[id];
	r->inflight[id] = NULL;
	q->used_len = le32toh(e->len);
	q->done++;
	put_back(r, q);
	r->used_idx++;
	r->stats.used++;
	return q;
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Wait for @n completions without interrupts: poll the used index. */
const char *ring_wait(struct ring *r, unsigned int n, int ms)
{
	long end = now_ms() + ms;
	unsigned int spins = 0;

	while (n) {
		if (ring_take(r)) {
			n--;
			continue;
		}
		if (r->why[0])
			return r->why;
		if (eventfd_drain(r->err))
			return ring_say(r, "error eventfd, completions missing", n);
		if (now_ms() > end)
			return ring_say(r, "timeout, completions missing", n);
		if (r->guest->iommu)
			iommu_serve(r->guest);
		/* first yield, because a sleep may take a tick if timers are coarse */
		if (++spins < 300)
			sched_yield();
		else
			usleep(1000);
	}
	return NULL;
}

/* Check that nothing completes for @ms. */
const char *ring_idle(struct ring *r, int ms)
{
	long end = now_ms() + ms;

	while (now_ms() < end) {
		if (ring_device_idx(r) != r->used_idx)
			return ring_say(r, "a request completed that must not complete",
					ring_device_idx(r));
		usleep(1000);
	}
	return NULL;
}
