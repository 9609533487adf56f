// SPDX-License-Identifier: GPL-2.0
/* Build requests in guest memory, in any layout, and check their outcome. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ranges.h"

static void seg_push(struct request *q, uint32_t len)
{
	unsigned int n = q->nout + q->nin;

	if (n == q->cap) {
		q->cap = q->cap ? 2 * q->cap : 8;
		q->seg = realloc(q->seg, q->cap * sizeof(*q->seg));
	}
	q->seg[n].gpa = 0;
	q->seg[n].len = len;
}

static bool type_reads(uint32_t type)
{
	return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID ||
	       type == VIRTIO_BLK_T_ZONE_REPORT;
}

/* Bytes that the device writes before the status of a request with outgoing data */
static uint32_t type_result(uint32_t type)
{
	return type == VIRTIO_BLK_T_ZONE_APPEND ? sizeof(uint64_t) : 0;
}

/* @len bytes of data; if the type neither reads nor writes, the data is device-readable. */
struct request *request_new(struct guest *g, uint32_t type, uint64_t sector,
			    uint32_t len)
{
	struct request *q = calloc(1, sizeof(*q));

	q->guest = g;
	q->type = type;
	q->sector = sector;
	q->len = len;
	q->data_in = type_reads(type);
	q->out_len = HDR_LEN + (q->data_in ? 0 : len);
	q->in_len = 1 + (q->data_in ? len : type_result(type));
	q->data = malloc(len ? len : 1);
	return q;
}

struct request *request_new_blocks(struct guest *g, uint32_t type, uint64_t sector,
				   uint32_t len)
{
	const struct backend *b = g->opts.backend;

	return request_new(g, type, backend_down(b, sector), backend_up_bytes(b, len));
}

void request_free(struct request *q)
{
	free(q->seg);
	free(q->data);
	free(q);
}

static unsigned int cut_stream(struct request *q, uint32_t len, const uint32_t *cut,
			       unsigned int n, unsigned int *count)
{
	uint32_t at = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		seg_push(q, cut[i] - at);
		(*count)++;
		at = cut[i];
	}
	seg_push(q, len - at);
	(*count)++;
	return *count;
}

/* Cut both streams at these ascending offsets; equal ones make empty descriptors. */
void request_cut(struct request *q, const uint32_t *out_cut, unsigned int nout,
		 const uint32_t *in_cut, unsigned int nin)
{
	q->nout = 0;
	q->nin = 0;
	cut_stream(q, q->out_len, out_cut, nout, &q->nout);
	cut_stream(q, q->in_len, in_cut, nin, &q->nin);
}

/* Header, data and status in one descriptor each, as Linux does it */
void request_cut_usual(struct request *q)
{
	uint32_t out = HDR_LEN, in = q->in_len - 1;

	request_cut(q, &out, q->out_len > HDR_LEN, &in, q->in_len > 1);
}

/* Data in descriptors of @step bytes; header and status in one each */
void request_cut_every(struct request *q, uint32_t step)
{
	unsigned int i, n = q->len ? (q->len + step - 1) / step : 0;
	uint32_t *cut = calloc(n + 1, sizeof(*cut));

	for (i = 0; i < n; i++)
		cut[i] = i * step + (q->data_in ? step : HDR_LEN);
	if (n && q->data_in)
		cut[n - 1] = q->len;
	request_cut(q, cut, q->data_in ? 0 : n, cut, q->data_in ? n : 0);
	free(cut);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static unsigned int random_cuts(struct rng *r, uint32_t len, unsigned int max,
				uint32_t *cut)
{
	unsigned int i, kept = 0, n = rng_below(r, max);

	for (i = 0; i < n && len > 1; i++)
		cut[i] = 1 + rng_below(r, len - 1);
	n = i;
	qsort(cut, n, sizeof(*cut), by_value);
	for (i = 0; i < n; i++)
		if (!kept || cut[i] != cut[kept - 1])
			cut[kept++] = cut[i];
	return kept;
}

void request_cut_random(struct request *q, struct rng *r, unsigned int max_segs)
{
	unsigned int half = max_segs / 2, nout, nin;
	uint32_t *out = calloc(half + 1, sizeof(*out));
	uint32_t *in = calloc(half + 1, sizeof(*in));

	nout = random_cuts(r, q->out_len, half, out);
	nin = random_cuts(r, q->in_len, half, in);
	request_cut(q, out, nout, in, nin);
	free(out);
	free(in);
}

void request_place_at(struct request *q, uint64_t out_gpa, uint64_t in_gpa)
{
	unsigned int i;

	for (i = 0; i < q->nout + q->nin; i++) {
		uint64_t *at = i < q->nout ? &out_gpa : &in_gpa;

		q->seg[i].gpa = *at;
		*at += q->seg[i].len;
	}
}

void request_place(struct request *q, enum place how, struct rng *r)
{
	struct guest *g = q->guest;
	uint64_t out;
	unsigned int i;

	if (how == PLACE_PACKED) {
		guest_alloc(g, 64, 1);
		out = guest_alloc(g, q->out_len, 1);
		guest_alloc(g, 64, 1);
		request_place_at(q, out, guest_alloc(g, q->in_len, 1));
		return;
	}
	for (i = 0; i < q->nout + q->nin; i++) {
		guest_alloc(g, 1 + (r ? rng_below(r, 100) : 16), 1);
		q->seg[i].gpa = guest_alloc(g, q->seg[i].len,
					    how == PLACE_ALIGNED ? SECTOR : 1);
	}
}

/* Call it after placing the request, before arming it. */
void request_set_indirect(struct request *q, bool on)
{
	unsigned int n = q->nout + q->nin;

	if (on && q->table_cap < n) {
		q->table = guest_alloc(q->guest, n * sizeof(struct vring_desc), 16);
		q->table_cap = n;
	}
	q->indirect = on;
}

uint16_t request_seg_flags(const struct request *q, unsigned int i)
{
	uint16_t flags = i >= q->nout ? VRING_DESC_F_WRITE : 0;

	if (i + 1 < q->nout + q->nin)
		flags |= VRING_DESC_F_NEXT;
	return flags;
}

static void write_table(struct request *q)
{
	unsigned int i, n = q->nout + q->nin - q->direct;

	for (i = 0; i < n; i++) {
		const struct seg *s = &q->seg[q->direct + i];
		struct vring_desc d = {
			.addr = htole64(s->gpa),
			.len = htole32(s->len),
			.flags = htole16(request_seg_flags(q, q->direct + i)),
			.next = htole16(i + 1 < n ? i + 1 : 0),
		};

		guest_write(q->guest, q->table + i * sizeof(d), &d, sizeof(d));
	}
}

/* Copy between a buffer and a part of one of the two streams, through the segments. */
static void stream_copy(const struct request *q, bool in, uint32_t off, void *buf,
			uint32_t len, bool to_guest)
{
	unsigned int i = in ? q->nout : 0;
	unsigned int end = in ? q->nout + q->nin : q->nout;

	for (; i < end && len; i++) {
		const struct seg *s = &q->seg[i];
		uint32_t part;

		if (off >= s->len) {
			off -= s->len;
			continue;
		}
		part = s->len - off < len ? s->len - off : len;
		if (to_guest)
			guest_write(q->guest, s->gpa + off, buf, part);
		else
			guest_read(q->guest, s->gpa + off, buf, part);
		buf = (char *)buf + part;
		len -= part;
		off = 0;
	}
}

static void write_header(struct request *q)
{
	struct virtio_blk_outhdr h = {
		.type = htole32(q->type),
		.sector = htole64(q->sector),
	};

	stream_copy(q, false, 0, &h, q->out_len < sizeof(h) ? q->out_len : sizeof(h), true);
}

static void poison_in(struct request *q)
{
	uint8_t *poison = malloc(q->in_len);

	memset(poison, STATUS_POISON, q->in_len);
	stream_copy(q, true, 0, poison, q->in_len, true);
	free(poison);
}

/* Write the header, the data and a poisoned status into guest memory. */
void request_arm(struct request *q, uint64_t seed)
{
	struct rng r = { seed };

	write_header(q);
	if (!q->data_in && q->out_len > HDR_LEN) {
		rng_fill(&r, q->data, q->len);
		stream_copy(q, false, HDR_LEN, q->data, q->len, true);
	}
	poison_in(q);
	if (q->indirect)
		write_table(q);
	q->done = 0;
}

/* Set the data that the device reads; call it after arming the request. */
void request_put_data(struct request *q, const void *data)
{
	memcpy(q->data, data, q->len);
	stream_copy(q, false, HDR_LEN, q->data, q->len, true);
}

/* Prepare the buffers for another use: only poison the status again. */
void request_rearm(struct request *q)
{
	uint8_t poison = STATUS_POISON;

	stream_copy(q, true, q->in_len - 1, &poison, 1, true);
	q->done = 0;
}

void request_set_sector(struct request *q, uint64_t sector)
{
	q->sector = sector;
	write_header(q);
}

void request_set_type(struct request *q, uint32_t type)
{
	q->type = type;
	write_header(q);
}

uint8_t request_status(const struct request *q)
{
	uint8_t status;

	stream_copy(q, true, q->in_len - 1, &status, 1, false);
	return status;
}

void request_read_in(const struct request *q, void *to)
{
	stream_copy(q, true, 0, to, q->in_len - 1, false);
}

/* Tell the shadow what the device-writable stream must hold now. */
static void expect_in(struct request *q, const void *data, uint32_t len, uint8_t status)
{
	uint8_t *in = malloc(q->in_len);
	uint32_t off = 0;
	unsigned int i;

	memset(in, STATUS_POISON, q->in_len);
	if (len)
		memcpy(in, data, len);
	in[q->in_len - 1] = status;
	for (i = q->nout; i < q->nout + q->nin; i++) {
		guest_expect(q->guest, q->seg[i].gpa, in + off, q->seg[i].len);
		off += q->seg[i].len;
	}
	free(in);
}

/* The device chooses the sector of an append; the caller checks it. */
static void append_expect(struct request *q)
{
	struct backend *b = q->guest->opts.backend;
	uint64_t sector;

	request_read_in(q, &sector);
	expect_in(q, &sector, sizeof(sector), VIRTIO_BLK_S_OK);
	sector = le64toh(sector);
	if (sector < b->size / SECTOR && q->len <= b->size - sector * SECTOR)
		backend_model_write(b, sector * SECTOR, q->data, q->len);
}

/* Length of a report, computed from its header */
static uint32_t report_len(const struct request *q)
{
	struct blk_zone_report r = { 0 };
	uint64_t n, fit = (q->len - sizeof(r)) / sizeof(struct blk_zone_desc);

	if (q->len < sizeof(r))
		return 0;
	stream_copy(q, true, 0, &r, sizeof(r), false);
	n = le64toh(r.nr_zones);
	return sizeof(r) + (n < fit ? n : fit) * sizeof(struct blk_zone_desc);
}

/* The caller checks the content of a report; check that nothing after it was written. */
static void report_expect(struct request *q)
{
	uint8_t *in = malloc(q->in_len);

	request_read_in(q, in);
	expect_in(q, in, report_len(q), VIRTIO_BLK_S_OK);
	free(in);
}

static void expect_ok(struct request *q)
{
	struct backend *b = q->guest->opts.backend;
	const char *serial = q->guest->opts.serial ?: "vhost-blk-test";
	char id[VIRTIO_BLK_ID_BYTES] = "";

	switch (q->type) {
	case VIRTIO_BLK_T_IN:
		expect_in(q, b->model + q->sector * SECTOR, q->len, VIRTIO_BLK_S_OK);
		return;
	case VIRTIO_BLK_T_OUT:
		backend_model_write(b, q->sector * SECTOR, q->data, q->len);
		break;
	case VIRTIO_BLK_T_GET_ID:
		memcpy(id, serial, strnlen(serial, sizeof(id)));
		expect_in(q, id, q->len < sizeof(id) ? q->len : sizeof(id), VIRTIO_BLK_S_OK);
		return;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
	case VIRTIO_BLK_T_SECURE_ERASE:
		ranges_expect(q);
		break;
	case VIRTIO_BLK_T_ZONE_APPEND:
		append_expect(q);
		return;
	case VIRTIO_BLK_T_ZONE_REPORT:
		report_expect(q);
		return;
	}
	expect_in(q, NULL, 0, VIRTIO_BLK_S_OK);
}

/*
 * Return: number of bytes written at the start of the device-writable stream,
 * whose last byte is the status
 */
static uint32_t used_len(const struct request *q, uint8_t status)
{
	uint32_t room = q->in_len - 1, written = room;

	if (status != VIRTIO_BLK_S_OK)
		written = 0;
	else if (q->type == VIRTIO_BLK_T_ZONE_REPORT)
		written = report_len(q);
	else if (q->type == VIRTIO_BLK_T_GET_ID && room > VIRTIO_BLK_ID_BYTES)
		written = VIRTIO_BLK_ID_BYTES;
	return written == room ? q->in_len : written;
}

/*
 * Does the request write to zones that must be written in order?  A write past
 * the end of the disk does not.
 */
static bool writes_in_order(const struct request *q)
{
	const struct backend *b = q->guest->opts.backend;
	uint64_t end = q->sector * SECTOR + q->len;

	return end > b->writable && end <= b->size;
}

/*
 * The status of a request that a test expects to succeed, on any backend: writes
 * to zones are refused, because backend_open() has filled all of them.
 */
static uint8_t expected_status(const struct request *q, uint8_t status)
{
	if (status != VIRTIO_BLK_S_OK || q->type != VIRTIO_BLK_T_OUT)
		return status;
	if (!writes_in_order(q))
		return status;
	return guest_has(q->guest, VIRTIO_BLK_F_ZONED) ? VIRTIO_BLK_S_ZONE_INVALID_CMD :
							VIRTIO_BLK_S_IOERR;
}

/* Check the status and the used length; update the shadow and the model. */
const char *request_outcome(struct request *q, uint8_t status)
{
	struct guest *g = q->guest;
	uint32_t used;

	status = expected_status(q, status);
	used = used_len(q, status);
	if (q->done != 1)
		return guest_say(g, "completed %u times", q->done);
	if (request_status(q) != status)
		return guest_say(g, "type %u sector %llu len %u: status %u, must be %u",
				 q->type, (unsigned long long)q->sector, q->len,
				 request_status(q), status);
	if (q->used_len != used)
		return guest_say(g, "type %u sector %llu len %u: used.len %u, must be %u",
				 q->type, (unsigned long long)q->sector, q->len,
				 q->used_len, used);
	if (status == VIRTIO_BLK_S_OK)
		expect_ok(q);
	else
		expect_in(q, NULL, 0, status);
	return NULL;
}

/* guest_snapshot() must have been called before the run. */
const char *request_check(struct request *q, uint8_t status)
{
	struct guest *g = q->guest;
	const char *why = request_outcome(q, status);

	if (!why)
		why = guest_compare(g);
	if (!why && q->type == VIRTIO_BLK_T_OUT)
		why = backend_compare(g->opts.backend, q->sector * SECTOR, q->len);
	if (!why && ranges_type(q->type))
		why = ranges_compare(q);
	return why;
}

const char *request_run(struct ring *r, struct request *q, int ms)
{
	if (ring_add(r, q))
		return guest_say(r->guest, "the ring is full");
	ring_kick(r);
	return ring_wait(r, 1, ms);
}

const char *request_verify(struct ring *r, struct request *q, uint8_t expect)
{
	const char *why;

	guest_snapshot(r->guest);
	why = request_run(r, q, 20000);
	return why ? why : request_check(q, expect);
}

const char *request_simple(struct ring *r, uint32_t type, uint64_t sector,
			   uint32_t len, uint8_t expect)
{
	static uint64_t seed = 1;
	struct guest *g = r->guest;
	uint64_t mark = g->bump;
	struct request *q = request_new(g, type, sector, len);
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, seed++);
	why = request_verify(r, q, expect);
	request_free(q);
	guest_release(g, mark);
	return why;
}

const char *request_ends(struct ring *r, uint32_t type, uint64_t sector, uint32_t len,
			 uint8_t status)
{
	struct guest *g = r->guest;
	uint64_t mark = g->bump;
	struct request *q = request_new(g, type, sector, len);
	const char *why;

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, sector);
	why = request_run(r, q, 60000);
	if (!why && q->done != 1)
		why = guest_say(g, "completed %u times", q->done);
	if (!why && request_status(q) != status)
		why = guest_say(g, "type %u, sector %llu, %u bytes: status %u, must be %u",
				type, (unsigned long long)sector, len, request_status(q), status);
	request_free(q);
	guest_release(g, mark);
	return why;
}
