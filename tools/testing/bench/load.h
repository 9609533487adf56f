/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A load generator that acts as the guest.  A lane keeps one queue of one device busy,
 * in a thread of its own, as a vCPU would.  It talks to an engine: a virtqueue, or
 * io_uring in the host for comparison.
 */
#ifndef VHOST_BENCH_LOAD_H
#define VHOST_BENCH_LOAD_H

#include <pthread.h>

#include "guest.h"
#include "histogram.h"
#include "request.h"

#define MAX_DEVICES	64
#define MAX_PERIODS	64

struct load {
	const char *frontend;
	char **path;			/* of the devices, used in turn */
	unsigned int npaths;
	bool write;
	bool sequential;
	bool buffered;			/* files are not opened with O_DIRECT */
	bool verify;
	const char *check;		/* path for verifying the data; NULL: @path */
	bool spin;			/* lanes don't sleep */
	bool single;			/* push after each request */
	unsigned int think_ns;		/* CPU time to use before each request */
	bool direct_desc;		/* no indirect descriptors */
	unsigned int block;		/* bytes of a request */
	unsigned int segment;		/* bytes of a descriptor of data */
	unsigned int depth;		/* requests in flight per queue */
	unsigned int queues;
	unsigned int devices;
	unsigned int workers;
	unsigned int poll_us;
	unsigned int ring;		/* descriptors of a queue */
	uint64_t size;			/* bytes of a device to use; 0: all */
	uint64_t warm;			/* requests per queue before the first period */
	uint64_t requests[MAX_PERIODS];	/* per queue, for each period */
	unsigned int nperiods;
	double seconds;			/* duration of a period, instead of @requests */
	int vmm[16];			/* pids whose CPU time is counted */
	unsigned int nvmm;
	const char *label;
};

/* The memory of one request; it is reused */
struct slot {
	struct request *q;		/* for engines with a virtqueue */
	void *header;
	uint8_t *data;			/* load->block contiguous bytes */
	void *status;
	unsigned int nr;
	uint64_t turn;			/* verify, sequential: index among its own blocks */
	uint64_t block;			/* position on the device, in blocks */
	uint64_t begin;			/* clock_now() when it was sent */
};

struct lane;
struct device;

struct engine {
	const char *name;
	unsigned int first_queue;	/* first queue with requests */
	bool main_is_guest;		/* the VMM's main loop acts as KVM */
	/* Open the device and set up its queues; returns NULL or an error message. */
	const char *(*open)(struct device *dev);
	void (*close)(struct device *dev);
	/* Allocate the memory of one slot. */
	const char *(*prepare)(struct lane *l, struct slot *s);
	/* Queue a request; push() notifies the device of queued requests. */
	void (*add)(struct lane *l, struct slot *s, bool write);
	void (*push)(struct lane *l);
	/* Returns a completed request, or NULL. */
	struct slot *(*take)(struct lane *l);
	/* Sleep until something completes. */
	void (*wait)(struct lane *l);
	/* Returns true if the request succeeded. */
	bool (*ok)(const struct lane *l, const struct slot *s);
	/* Check the counts with nothing in flight; returns NULL or an error message. */
	const char *(*totals)(const struct lane *l);
};

extern const struct engine vhost_blk_engine;
extern const struct engine vhost_user_engine;
extern const struct engine vhost_scsi_engine;
extern const struct engine qemu_engine;
extern const struct engine uring_engine;
extern const struct engine wake_engine;

struct device {
	const struct load *load;
	const struct engine *engine;
	const char *path;
	struct guest guest;
	struct backend backend;
	uint64_t size;
	void *priv;			/* for the engine */
	char why[256];
};

/* Counts of a lane since it was initialized */
struct lane_count {
	uint64_t done;
	uint64_t kicks;
	uint64_t calls;			/* interrupts: sum of the counts of the eventfd */
	uint64_t waits;			/* number of times that it slept */
};

struct lane {
	struct device *dev;
	const struct load *load;
	const struct engine *engine;
	unsigned int index;		/* of the queue in its device */
	unsigned int ring_index;
	void *priv;
	struct slot *slot;
	struct slot **spare;
	unsigned int nspare;
	uint64_t first_block;		/* of the part of the device that this lane uses */
	uint64_t blocks;
	uint64_t next;			/* sequential: next block in this part */
	uint64_t random;
	uint32_t *generation;		/* verify: of the last write of each block */
	uint64_t quota;			/* requests of this period */
	uint64_t sent;
	uint64_t got;
	struct lane_count count;
	struct histogram latency;
	const char *why;
	pthread_t thread;
};

/* mark.c */
void profile_mark(void);

/* lane.c */
const char *lane_init(struct lane *l, struct device *dev, unsigned int index);
void lane_run(struct lane *l);
void lanes_go(void);
void lanes_stop(void);

/* pattern.c: choice of the next block, and its contents */
void pattern_init(struct lane *l);
void pattern_aim(struct lane *l, struct slot *s);
void pattern_fill(struct lane *l, struct slot *s);
bool pattern_check(const struct lane *l, const struct slot *s);

/* verify.c */
const char *verify_prefill(struct lane *l);
const char *verify_read_back(struct lane *l);

/* vring.c: common part of the engines with a virtqueue */
#define VRING_ENGINE		\
	.push = vring_push,	\
	.take = vring_take,	\
	.wait = vring_wait,	\
	.totals = vring_totals

void vring_device(struct device *dev);
void vring_close(struct device *dev);
const char *vring_started(struct device *dev);
struct slot *vring_take(struct lane *l);
void vring_add(struct lane *l, struct slot *s);
void vring_push(struct lane *l);
void vring_wait(struct lane *l);
const char *vring_totals(const struct lane *l);
const char *vring_slot(struct lane *l, struct slot *s, uint32_t header, uint32_t status,
		       bool status_first);

/* kernel.c: settings of a vhost device in the kernel */
const char *kernel_workers(struct device *dev);
const char *kernel_polling(struct device *dev);

/* backing.c */
/* Set the size to @bytes, or to the part of it that --size allows. */
void device_size(struct device *dev, uint64_t bytes);
const char *backing_open(struct device *dev);
void backing_close(struct device *dev);

#endif /* VHOST_BENCH_LOAD_H */
