/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One virtio-blk request: what the device reads (header, data of a write), what
 * it writes (data of a read, status), and how both are cut into descriptors
 */
#ifndef VHOST_TEST_REQUEST_H
#define VHOST_TEST_REQUEST_H

#include "guest.h"

#define HDR_LEN		16
#define STATUS_POISON	0xee

struct seg {
	uint64_t gpa;
	uint32_t len;
};

struct request {
	struct guest *guest;
	uint32_t type;
	uint64_t sector;
	uint32_t len;		/* bytes of data */
	bool data_in;		/* the data is device-writable */
	uint32_t out_len;	/* header, and data unless data_in */
	uint32_t in_len;	/* data if data_in, and status */
	struct seg *seg;	/* nout device-readable segments, then nin device-writable ones */
	unsigned int nout;
	unsigned int nin;
	unsigned int cap;
	bool indirect;
	unsigned int direct;	/* if indirect: direct segments before the table */
	uint16_t table_flags;	/* flags of the table's descriptor besides F_INDIRECT */
	uint64_t table;		/* of descriptors, if indirect */
	unsigned int table_cap;
	uint8_t *data;		/* data of an OUT, len bytes */
	/* the outcome */
	uint16_t head;
	uint32_t used_len;
	unsigned int done;
	uint64_t tag;		/* for use by the test */
};

enum place {
	PLACE_PACKED,		/* each stream contiguous */
	PLACE_SCATTER,		/* each segment elsewhere, at any byte */
	PLACE_ALIGNED,		/* each segment at a sector boundary */
};

/* A generator that is seeded, so that a printed seed repeats a run */
struct rng {
	uint64_t state;
};

uint64_t rng_next(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n);
void rng_fill(struct rng *r, void *to, size_t len);
uint64_t rng_seed_from_env(void);

struct request *request_new(struct guest *g, uint32_t type, uint64_t sector,
			    uint32_t len);
/* request_new() in whole logical blocks: the sector rounded down, the length up */
struct request *request_new_blocks(struct guest *g, uint32_t type, uint64_t sector,
				   uint32_t len);
void request_free(struct request *q);
void request_cut(struct request *q, const uint32_t *out_cut, unsigned int nout,
		 const uint32_t *in_cut, unsigned int nin);
void request_cut_usual(struct request *q);
void request_cut_every(struct request *q, uint32_t step);
void request_cut_random(struct request *q, struct rng *r, unsigned int max_segs);
void request_place(struct request *q, enum place how, struct rng *r);
void request_place_at(struct request *q, uint64_t out_gpa, uint64_t in_gpa);
void request_set_indirect(struct request *q, bool on);
void request_arm(struct request *q, uint64_t seed);
void request_put_data(struct request *q, const void *data);
void request_rearm(struct request *q);
uint16_t request_seg_flags(const struct request *q, unsigned int i);
void request_set_type(struct request *q, uint32_t type);
void request_set_sector(struct request *q, uint64_t sector);
uint8_t request_status(const struct request *q);
void request_read_in(const struct request *q, void *to);

/* Add the request, kick, and wait for it. */
const char *request_run(struct ring *r, struct request *q, int ms);
const char *request_outcome(struct request *q, uint8_t status);
/* After the run: check status, used length, guest memory and the backend. */
const char *request_check(struct request *q, uint8_t status);

/*
 * Take a snapshot, run a request that was cut, placed and armed, and check it.
 * @expect: the status that it must have
 */
const char *request_verify(struct ring *r, struct request *q, uint8_t expect);
/* Run a request in the usual three descriptors, and check it. */
const char *request_simple(struct ring *r, uint32_t type, uint64_t sector,
			   uint32_t len, uint8_t expect);
/* Like request_simple(), for a disk that fails: only the status is checked. */
const char *request_ends(struct ring *r, uint32_t type, uint64_t sector, uint32_t len,
			 uint8_t status);

#endif /* VHOST_TEST_REQUEST_H */
