// SPDX-License-Identifier: GPL-2.0
/* The device in userspace: the requests of one queue, written from the specification */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model-impl.h"
#include "request.h"

#define MAX_PARTS	2048

struct part {
	uint8_t *p;
	uint32_t len;
};

struct chain {
	struct part part[MAX_PARTS];
	unsigned int nout;
	unsigned int nin;
	uint64_t out_len;
	uint64_t in_len;
	uint8_t *status;	/* last writable byte; NULL: outside of the memory table */
	bool unmapped;		/* a part is outside of the memory table */
};

static struct vhost_memory_region *find_region(struct model *m, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < m->nregions; i++)
		if (gpa - m->region[i].guest_phys_addr < m->region[i].memory_size)
			return &m->region[i];
	return NULL;
}

static uint8_t *pointer(struct vhost_memory_region *r, uint64_t gpa)
{
	return (uint8_t *)(uintptr_t)(r->userspace_addr + gpa - r->guest_phys_addr);
}

/* Add the memory of one descriptor, which may be in several regions. */
static bool add_parts(struct model *m, struct chain *c, uint64_t gpa, uint32_t len, bool in)
{
	uint64_t last = gpa + len - 1;
	struct vhost_memory_region *r;

	if (!in && c->in_len)
		return false;
	*(in ? &c->in_len : &c->out_len) += len;
	if (in && len) {
		r = last < gpa ? NULL : find_region(m, last);
		c->status = r ? pointer(r, last) : NULL;
	}
	while (len) {
		struct part *part = &c->part[c->nout + c->nin];
		uint64_t left;

		r = find_region(m, gpa);
		c->unmapped |= !r;
		if (!r)
			return true;
		if (c->nout + c->nin == MAX_PARTS)
			return false;
		left = r->guest_phys_addr + r->memory_size - gpa;
		part->p = pointer(r, gpa);
		part->len = len < left ? len : left;
		gpa += part->len;
		len -= part->len;
		*(in ? &c->nin : &c->nout) += 1;
	}
	return true;
}

static bool walk(struct model *m, struct chain *c, const struct vring_desc *table,
		 unsigned int num, unsigned int i, bool nested)
{
	unsigned int n;

	for (n = 0; n < num && i < num; n++) {
		const struct vring_desc *d = &table[i];
		uint16_t flags = le16toh(d->flags);
		uint32_t len = le32toh(d->len);

		if (flags & VRING_DESC_F_INDIRECT) {
			struct chain t = { .nout = 0 };

			if (nested || len % sizeof(*d) || !len || len > 65536 * sizeof(*d) ||
			    !add_parts(m, &t, le64toh(d->addr), len, false) || t.nout != 1 ||
			    t.unmapped)
				return false;
			if (!walk(m, c, (void *)t.part[0].p, len / sizeof(*d), 0, true))
				return false;
		} else if (!add_parts(m, c, le64toh(d->addr), len, flags & VRING_DESC_F_WRITE)) {
			return false;
		}
		if (!(flags & VRING_DESC_F_NEXT))
			return true;
		i = le16toh(d->next);
	}
	return false;
}

static void copy(struct chain *c, bool in, uint64_t off, uint8_t *buf, uint64_t len)
{
	unsigned int i = in ? c->nout : 0;
	unsigned int end = in ? c->nout + c->nin : c->nout;

	for (; i < end && len; i++) {
		uint64_t part;

		if (off >= c->part[i].len) {
			off -= c->part[i].len;
			continue;
		}
		part = c->part[i].len - off < len ? c->part[i].len - off : len;
		if (in)
			memcpy(c->part[i].p + off, buf, part);
		else
			memcpy(buf, c->part[i].p + off, part);
		buf += part;
		len -= part;
		off = 0;
	}
}

/* Transfer data; @pos is the position in the file. */
static bool transfer(struct model *m, struct chain *c, bool in, uint64_t pos, uint64_t len)
{
	void *buf;
	bool ok;

	if (posix_memalign(&buf, 4096, len + 4096))
		return false;
	if (in) {
		ok = pread(m->backend, buf, len, pos) == (ssize_t)len;
		if (ok)
			copy(c, true, 0, buf, len);
	} else {
		copy(c, false, HDR_LEN, buf, len);
		ok = pwrite(m->backend, buf, len, pos) == (ssize_t)len;
		if (m->bug == BUG_SECTOR_ADVANCE && len > SECTOR)
			ok = pwrite(m->backend, buf, SECTOR, pos + SECTOR) == SECTOR;
	}
	free(buf);
	return ok;
}

static uint8_t data_request(struct model *m, struct chain *c, bool in, uint64_t sector,
			    uint64_t len)
{
	uint64_t end = m->size / SECTOR;

	if (!in && m->read_only && m->bug != BUG_READ_ONLY)
		return VIRTIO_BLK_S_IOERR;
	if (len % SECTOR)
		return VIRTIO_BLK_S_IOERR;
	if ((len / SECTOR > end || sector > end - len / SECTOR)) {
		if (m->bug != BUG_RANGE)
			return VIRTIO_BLK_S_IOERR;
		sector %= end - len / SECTOR;
	}
	if (!len)
		return VIRTIO_BLK_S_OK;
	return transfer(m, c, in, sector * SECTOR, len) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static uint8_t get_id(struct model *m, struct chain *c, uint64_t len)
{
	uint8_t id[VHOST_BLK_SERIAL_LEN];

	memcpy(id, m->serial, sizeof(id));
	if (m->bug == BUG_SERIAL)
		id[sizeof(id) - 1] = '\0';
	copy(c, true, 0, id, len < sizeof(id) ? len : sizeof(id));
	return VIRTIO_BLK_S_OK;
}

static uint8_t range_request(struct model *m, struct chain *c, uint32_t type, uint64_t len)
{
	uint8_t *data = malloc(len ? len : 1);
	uint8_t status;

	copy(c, false, HDR_LEN, data, len);
	status = model_ranges(m, type, data, len);
	free(data);
	return status;
}

/* Return: false if the chain cannot be completed */
static bool handle(struct model *m, struct chain *c, uint32_t *used)
{
	struct virtio_blk_outhdr h;
	uint8_t status = VIRTIO_BLK_S_IOERR;
	uint64_t data, written = 0;

	if (!c->in_len)
		return false;
	data = c->in_len - 1;
	if (c->unmapped) {
		if (!c->status)
			return false;
		*c->status = status;
		*used = !data;
		return true;
	}
	if (c->out_len >= sizeof(h)) {
		copy(c, false, 0, (uint8_t *)&h, sizeof(h));
		switch (le32toh(h.type)) {
		case VIRTIO_BLK_T_IN:
			status = data_request(m, c, true, le64toh(h.sector), data);
			break;
		case VIRTIO_BLK_T_OUT:
			status = data_request(m, c, false, le64toh(h.sector),
					      c->out_len - sizeof(h));
			break;
		case VIRTIO_BLK_T_FLUSH:
			status = fsync(m->backend) ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
			break;
		case VIRTIO_BLK_T_GET_ID:
			status = get_id(m, c, data);
			break;
		case VIRTIO_BLK_T_DISCARD:
		case VIRTIO_BLK_T_WRITE_ZEROES:
			status = range_request(m, c, le32toh(h.type), c->out_len - sizeof(h));
			break;
		default:
			status = VIRTIO_BLK_S_UNSUPP;
		}
		if (status == VIRTIO_BLK_S_OK && le32toh(h.type) == VIRTIO_BLK_T_IN)
			written = data;
		if (status == VIRTIO_BLK_S_OK && le32toh(h.type) == VIRTIO_BLK_T_GET_ID)
			written = data < VHOST_BLK_SERIAL_LEN ? data : VHOST_BLK_SERIAL_LEN;
	}
	*used = written + (written == data);
	if (m->bug == BUG_STATUS)
		status = VIRTIO_BLK_S_IOERR;
	copy(c, true, data, &status, 1);
	if (m->bug == BUG_OVERRUN)
		c->part[c->nout + c->nin - 1].p[c->part[c->nout + c->nin - 1].len] = 0x42;
	if (m->bug == BUG_USED_LEN)
		*used -= 1;
	return true;
}

static void put_used(struct model *m, struct model_queue *q, uint16_t head, uint32_t len)
{
	uint16_t idx = load16(&q->used->idx);
	struct vring_used_elem *e = &q->used->ring[idx % q->num];

	e->id = htole32(head);
	e->len = htole32(len);
	store16(&q->used->idx, idx + 1);
	if (m->bug == BUG_TWICE) {
		q->used->ring[(idx + 1) % q->num] = *e;
		store16(&q->used->idx, idx + 2);
	}
}

static bool event_idx(struct model *m)
{
	return m->features & BIT64(VIRTIO_RING_F_EVENT_IDX);
}

static bool driver_wants_call(struct model *m, struct model_queue *q)
{
	uint16_t new = load16(&q->used->idx), old = q->signalled;
	bool valid = q->signalled_valid;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (m->features & BIT64(VIRTIO_F_NOTIFY_ON_EMPTY) &&
	    load16(&q->avail->idx) == q->last_avail)
		return true;
	if (m->bug == BUG_ALWAYS_CALL)
		return true;
	if (!event_idx(m))
		return !(load16(&q->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	q->signalled = new;
	q->signalled_valid = true;
	return !valid || vring_need_event(load16(&q->avail->ring[q->num]), new, old);
}

static void signal_call(struct model *m, struct model_queue *q)
{
	uint64_t one = 1;

	if (!driver_wants_call(m, q))
		return;
	if (m->bug == BUG_LOST_CALL && ++q->signals % 64 == 0)
		return;
	if (write(q->call, &one, sizeof(one)) < 0)
		abort();
}

static void break_queue(struct model *m, struct model_queue *q)
{
	uint64_t one = 1;

	q->broken = true;
	if (m->bug != BUG_NO_ERROR && write(q->err, &one, sizeof(one)) < 0)
		abort();
}

static void want_kicks(struct model *m, struct model_queue *q, bool on)
{
	if (m->bug == BUG_NEVER_QUIET)
		on = true;
	if (!event_idx(m))
		store16(&q->used->flags, on ? 0 : VRING_USED_F_NO_NOTIFY);
	else if (on)
		store16((__virtio16 *)&q->used->ring[q->num],
			m->bug == BUG_NEVER_QUIET ? load16(&q->avail->idx) : q->last_avail);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static bool serve_one(struct model *m, struct model_queue *q)
{
	uint16_t head = le16toh(q->avail->ring[q->last_avail % q->num]);
	struct chain *c = calloc(1, sizeof(*c));
	uint32_t used;
	bool ok;

	ok = (uint16_t)(load16(&q->avail->idx) - q->last_avail) <= q->num &&
	     head < q->num && walk(m, c, q->desc, q->num, head, false) && handle(m, c, &used);
	if (ok) {
		q->last_avail++;
		put_used(m, q, head, used);
		signal_call(m, q);
	} else {
		break_queue(m, q);
	}
	free(c);
	return ok;
}

/* The caller holds the lock. */
void model_serve(struct model *m, struct model_queue *q)
{
	do {
		if (q->broken)
			return;
		want_kicks(m, q, false);
		while (load16(&q->avail->idx) != q->last_avail)
			if (!serve_one(m, q))
				return;
		if (m->bug == BUG_LOST_KICK)
			usleep(200);
		want_kicks(m, q, true);
	} while (m->bug != BUG_LOST_KICK && load16(&q->avail->idx) != q->last_avail);
}
