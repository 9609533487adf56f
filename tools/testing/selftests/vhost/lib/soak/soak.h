/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Soak: processes that are guests and VMMs at the same time, killed and
 * restarted by a controller.  The expected content of every sector is in memory
 * that all processes share, so that it survives them.
 */
#ifndef VHOST_TEST_SOAK_H
#define VHOST_TEST_SOAK_H

#include <sys/types.h>

#include "request.h"

#define SOAK_VMS	16
#define SOAK_SECTORS	4096U			/* of a large disk */
#define SOAK_SMALL	(SOAK_SECTORS / 2)	/* of a disk after a shrink */
#define SOAK_BYTES	((uint64_t)SOAK_SECTORS * SECTOR)
#define SOAK_ZEROES	0x80000000U		/* flag of a generation: zeroes */
#define SOAK_MAX	32U			/* sectors of a request */
#define SOAK_PATIENCE_MS	60000

/*
 * Generations: each change by a guest has a number, 0 is the blank disk.  acked
 * != sent: a change is in flight, or was when the process died.
 */
struct soak_sector {
	uint32_t acked;
	uint32_t sent;
};

struct soak_disk {
	enum backend_kind kind;
	bool direct;
	char path[192];
	int loop;		/* loop device to be resized, else -1 */
	int file;		/* file to be resized, else -1 */
	bool shrinking;		/* sectors from SOAK_SMALL on may be zeroes already */
	struct soak_sector sector[SOAK_SECTORS];
};

enum soak_count {
	SOAK_REQUESTS,
	SOAK_READ,		/* bytes that were read and correct */
	SOAK_WRITTEN,
	SOAK_FLUSHES,
	SOAK_STOPS,
	SOAK_BASES,
	SOAK_RESETS,
	SOAK_REOPENS,
	SOAK_SWAPS,
	SOAK_RESIZES,
	SOAK_TABLES,
	SOAK_MODES,
	SOAK_STARTS,		/* processes started */
	SOAK_EXITS,		/* processes that exited by themselves with requests in flight */
	SOAK_KILLS,
	SOAK_OLD,		/* sectors in flight at a death that have old data */
	SOAK_NEW,		/* sectors in flight at a death that have new data */
	SOAK_LATE,		/* disks still locked after their process was reaped */
	SOAK_COUNTS
};

struct soak_vm {
	unsigned int nr;
	pid_t pid;
	unsigned int lives;
	uint32_t gen;		/* the last generation in use */
	struct soak_disk disk[2];
	uint64_t count[SOAK_COUNTS];
	unsigned int latest;	/* longest wait for such a disk, in ms */
	char why[300];		/* error message, or empty */
};

struct soak {
	bool rest;		/* the processes must exit */
	struct soak_vm vm[SOAK_VMS];
};

/* soak-disk.c */
void soak_content(const struct soak_vm *vm, unsigned int sector, uint32_t gen, void *data);
bool soak_is(const struct soak_vm *vm, unsigned int sector, uint32_t gen, const void *data);
int soak_open(const struct soak_disk *d);
/* Lock the disk: wait until the device of a dead process has released it. */
const char *soak_lock(struct soak_vm *vm, const struct soak_disk *d, int fd);
/* Find out the content of sectors that the dead process left undecided. */
const char *soak_resolve(struct soak_vm *vm, struct soak_disk *d, int fd);
unsigned int soak_size(const struct soak_disk *d, int fd);
/* Complete a resize that a dead process left incomplete. */
const char *soak_repair(const struct soak_disk *d);
const char *soak_truncate(const struct soak_disk *d, unsigned int sectors);
const char *soak_say(struct soak_vm *vm, const char *fmt, ...);

/* soak-io.c: requests, and the checks of their results */
#define SOAK_JOBS	48U
#define SOAK_COLD	24U	/* jobs with memory in the region of the rings */

struct soak_job {
	struct request *q;	/* NULL: idle */
	uint64_t window;	/* start of the job's memory in its region */
	unsigned int region;
	unsigned int first, n;	/* sectors; n is 0 for a flush */
	uint32_t gen;
	bool either;		/* was in flight while the backend was swapped */
};

enum soak_which {
	SOAK_ALL,
	SOAK_HOT,	/* requests with memory in the region that is unplugged */
	SOAK_TAIL,	/* requests to sectors that a shrink cuts off */
	SOAK_ZEROING,
};

struct soak_load {
	struct soak_vm *vm;
	struct guest g;
	struct rng rng;
	struct soak_job job[SOAK_JOBS];
	bool busy[SOAK_SECTORS];
	int fd[2];		/* descriptors of the two disks */
	uint8_t *buffer;	/* for reading the disks directly */
	unsigned int now;	/* index of the attached disk */
	unsigned int limit;	/* sectors that may be used */
	unsigned int inflight;
	bool hot;		/* the second region may be used */
};

void soak_load_init(struct soak_load *l);
void soak_submit(struct soak_load *l);
/* Take completed requests; if there are none, wait for one. */
const char *soak_reap(struct soak_load *l);
/* Wait until no such request is in flight; others continue. */
const char *soak_quiesce(struct soak_load *l, enum soak_which which);
/* Nothing else is in flight. Send a request of one sector, and check its status. */
const char *soak_probe(struct soak_load *l, uint32_t type, unsigned int sector, uint8_t status);

/* soak-vm.c: the life of a process; does not return */
void soak_live(struct soak *s, struct soak_vm *vm, uint64_t seed);

#endif /* VHOST_TEST_SOAK_H */
