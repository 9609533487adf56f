/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Soak: processes that are guests and VMMs at once, killed and started again by
 * a controller.  What every sector must hold is in memory that they all share,
 * so that it outlives them.
 */
#ifndef VHOST_TEST_SOAK_H
#define VHOST_TEST_SOAK_H

#include <sys/types.h>

#include "request.h"

#define SOAK_VMS	16
#define SOAK_SECTORS	4096U			/* of a disk that is large */
#define SOAK_SMALL	(SOAK_SECTORS / 2)	/* what is left after a shrink */
#define SOAK_BYTES	((uint64_t)SOAK_SECTORS * SECTOR)
#define SOAK_ZEROES	0x80000000U		/* a generation that is zeroes */
#define SOAK_MAX	32U			/* sectors of a request */
#define SOAK_PATIENCE_MS	60000

/*
 * Generations: each change of a guest has a number of its own, 0 is the blank
 * disk.  acked != sent: a change is in flight, or was when the process died.
 */
struct soak_sector {
	uint32_t acked;
	uint32_t sent;
};

struct soak_disk {
	enum backend_kind kind;
	bool direct;
	char path[192];
	int loop;		/* to be resized: the loop device, else -1 */
	int file;		/* the file that is resized, else -1 */
	bool shrinking;		/* sectors from SOAK_SMALL on may be zeroes already */
	struct soak_sector sector[SOAK_SECTORS];
};

enum soak_count {
	SOAK_REQUESTS,
	SOAK_READ,		/* bytes read and found right */
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
	SOAK_STARTS,		/* of processes */
	SOAK_EXITS,		/* of their own, with requests in flight */
	SOAK_KILLS,
	SOAK_OLD,		/* sectors in flight at a death that are as before */
	SOAK_NEW,		/* that are as written */
	SOAK_LATE,		/* disks in use when their process had been reaped */
	SOAK_COUNTS
};

struct soak_vm {
	unsigned int nr;
	pid_t pid;
	unsigned int lives;
	uint32_t gen;		/* the last one that was given out */
	struct soak_disk disk[2];
	uint64_t count[SOAK_COUNTS];
	unsigned int latest;	/* ms that such a disk was waited for, at most */
	char why[300];		/* not empty: what is wrong */
};

struct soak {
	bool rest;		/* processes are to end */
	struct soak_vm vm[SOAK_VMS];
};

/* soak-disk.c */
void soak_content(const struct soak_vm *vm, unsigned int sector, uint32_t gen, void *data);
bool soak_is(const struct soak_vm *vm, unsigned int sector, uint32_t gen, const void *data);
int soak_open(const struct soak_disk *d);
/* Lock it: waits until a device of a dead process has let it go. */
const char *soak_lock(struct soak_vm *vm, const struct soak_disk *d, int fd);
/* Sectors of which the process that died can't say what they are. */
const char *soak_resolve(struct soak_vm *vm, struct soak_disk *d, int fd);
unsigned int soak_size(const struct soak_disk *d, int fd);
/* A resize that a dead process left half done is done. */
const char *soak_repair(const struct soak_disk *d);
const char *soak_truncate(const struct soak_disk *d, unsigned int sectors);
const char *soak_say(struct soak_vm *vm, const char *fmt, ...);

/* soak-io.c: requests, and what they must bring */
#define SOAK_JOBS	48U
#define SOAK_COLD	24U	/* of them have their memory where the rings are */

struct soak_job {
	struct request *q;	/* NULL: idle */
	uint64_t window;	/* of the job's memory, from the start of its region */
	unsigned int region;
	unsigned int first, n;	/* sectors, none for a flush */
	uint32_t gen;
	bool either;		/* was in flight while the backend was swapped */
};

enum soak_which {
	SOAK_ALL,
	SOAK_HOT,	/* with memory in the region that comes and goes */
	SOAK_TAIL,	/* with sectors that a shrink cuts off */
	SOAK_ZEROING,
};

struct soak_load {
	struct soak_vm *vm;
	struct guest g;
	struct rng rng;
	struct soak_job job[SOAK_JOBS];
	bool busy[SOAK_SECTORS];
	int fd[2];		/* of the two disks */
	uint8_t *buffer;	/* to read them directly */
	unsigned int now;	/* the one that is attached */
	unsigned int limit;	/* sectors that may be used */
	unsigned int inflight;
	bool hot;		/* the second region may be used */
};

void soak_load_init(struct soak_load *l);
void soak_submit(struct soak_load *l);
/* Take what is complete; wait for it if there is nothing. */
const char *soak_reap(struct soak_load *l);
/* Until no such request is in flight; others go on. */
const char *soak_quiesce(struct soak_load *l, enum soak_which which);
/* Nothing else is in flight.  A request of this one sector must end with this status. */
const char *soak_probe(struct soak_load *l, uint32_t type, unsigned int sector, uint8_t status);

/* soak-vm.c: the life of a process; does not return */
void soak_live(struct soak *s, struct soak_vm *vm, uint64_t seed);

#endif /* VHOST_TEST_SOAK_H */
