/* SPDX-License-Identifier: GPL-2.0 */
/* The device that is fuzzed, and the memory that it uses */
#ifndef FUZZ_DEVICE_EXEC_H
#define FUZZ_DEVICE_EXEC_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "device_op.h"

#define PAGE		4096U
#define PLAY_PAGES	64
#define PLAY_LEN	(PLAY_PAGES * PAGE)
#define PLAY_GPA	0x40000000ULL
#define PLAY_QUEUES	4
#define PLAY_DISKS	8
#define PLAY_FDS	8

/* Layout of the playground */
#define AT_QUEUE(q)	((q) * 4 * PAGE)
#define AT_HEADERS	(16 * PAGE)
#define AT_TABLES	(17 * PAGE)
#define AT_STATUS	(21 * PAGE)
#define AT_RANGES	(22 * PAGE)
#define AT_DATA		(24 * PAGE)

struct play_queue {
	unsigned int num;	/* the last value that was set */
	unsigned int next_desc;
	uint16_t avail_idx;
	int kick, call, err;
};

enum race {
	RACE_NONE,
	RACE_HEADERS,
	RACE_RINGS,
	RACE_PAGES,
	RACE_IOCTLS,
	RACE_COUNT
};

/*
 * The playground is mapped twice: @mem is the fuzzer's own and always present;
 * @view is used by the device, and its pages are removed and restored.
 */
struct target {
	int fd;
	int memfd;
	uint8_t *mem;
	uint8_t *view;
	struct play_queue queue[PLAY_QUEUES];
	struct backend disk[PLAY_DISKS];
	unsigned int ndisks;
	int file;		/* index of the disk that is resized */
	int bad;		/* index of the disk with bad blocks */
	int fds[PLAY_FDS];	/* descriptors of wrong kinds */
	uint64_t offered;
	unsigned int requests;
	bool view_changed;
	/* the second thread */
	pthread_t racer;
	sem_t race_begin;
	sem_t race_end;
	atomic_int race;
	uint32_t race_seed;
};

/* Return: NULL, or the reason why the device cannot be fuzzed here */
const char *target_init(struct target *t);
void target_destroy(struct target *t);
void target_open(struct target *t);
/* Stop the second thread, and close the device. */
void target_close(struct target *t);
/* Do an operation. Return: a number that stands for its result in the feedback */
long target_do(struct target *t, const struct op *op);

/* device_memory.c */
void play_fresh(struct target *t);
long play_protect(struct target *t, const uint32_t *a);
long play_table(struct target *t, const uint32_t *a);
long play_iotlb(struct target *t, const uint32_t *a);

/* device_ring.c */
long play_req(struct target *t, const uint32_t *a);
long play_desc(struct target *t, const uint32_t *a);
long play_indirect(struct target *t, const uint32_t *a);
long play_header(struct target *t, const uint32_t *a);
long play_range(struct target *t, const uint32_t *a);
long play_garbage(struct target *t, const uint32_t *a);
long play_avail(struct target *t, const uint32_t *a);
long play_avail_idx(struct target *t, const uint32_t *a);
long play_event(struct target *t, const uint32_t *a);
long play_kick(struct target *t, unsigned int q);

/* device_race.c */
void race_init(struct target *t);
void race_start(struct target *t, enum race what, uint32_t seed);
void race_stop(struct target *t);

/* Return: a number at an edge of some range, or @a itself */
uint64_t play_edge(uint32_t a);

#endif
