/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A load generator that is the guest.  A lane keeps one queue of one device
 * busy, in a thread of its own as a vCPU would; what a lane talks to is an
 * engine: a virtqueue, or io_uring for what the host itself can do.
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
	char **path;			/* of the devices, in turns */
	unsigned int npaths;
	bool write;
	bool sequential;
	bool buffered;			/* files are not opened with O_DIRECT */
	bool verify;
	const char *check;		/* where the data is looked at; NULL: path */
	bool spin;			/* lanes don't sleep */
	bool single;			/* each request is pushed by itself */
	unsigned int think_ns;		/* that the guest works before each */
	bool direct_desc;		/* no indirect descriptors */
	unsigned int block;		/* bytes of a request */
	unsigned int segment;		/* bytes of a descriptor of data */
	unsigned int depth;		/* requests in flight, by queue */
	unsigned int queues;
	unsigned int devices;
	unsigned int workers;
	unsigned int poll_us;
	unsigned int ring;		/* descriptors of a queue */
	uint64_t size;			/* bytes of a device that are used; 0: all */
	uint64_t warm;			/* requests by queue before the first period */
	uint64_t requests[MAX_PERIODS];	/* by queue, one for each period */
	unsigned int nperiods;
	double seconds;			/* instead of a number of requests */
	int vmm[16];			/* processes whose CPU time counts too */
	unsigned int nvmm;
	const char *label;
};

/* One request's memory, used again and again */
struct slot {
	struct request *q;		/* for the rings of the selftests' guest */
	void *header;
	uint8_t *data;			/* load->block bytes, in one piece */
	void *status;
	unsigned int nr;
	uint64_t turn;			/* verify, sequential: of its own blocks */
	uint64_t block;			/* where it goes to, in blocks */
	uint64_t begin;			/* clock_now() when it was sent */
};

struct lane;
struct device;

struct engine {
	const char *name;
	unsigned int first_queue;	/* with requests */
	bool main_is_guest;		/* the VMM's main loop stands for KVM */
	/* The device as far as its queues; NULL, or what is wrong. */
	const char *(*open)(struct device *dev);
	void (*close)(struct device *dev);
	/* Memory of one slot */
	const char *(*prepare)(struct lane *l, struct slot *s);
	/* Queue the request; push() makes what was queued known. */
	void (*add)(struct lane *l, struct slot *s, bool write);
	void (*push)(struct lane *l);
	/* Something that completed, or NULL */
	struct slot *(*take)(struct lane *l);
	/* Sleep until something completes. */
	void (*wait)(struct lane *l);
	/* Did it succeed? */
	bool (*ok)(const struct lane *l, const struct slot *s);
	/* With nothing in flight: what is counted adds up; NULL, or what is wrong. */
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
	void *priv;			/* of the engine */
	char why[256];
};

/* What happened in a lane since it was made */
struct lane_count {
	uint64_t done;
	uint64_t kicks;
	uint64_t calls;			/* the sum of the eventfd's counts */
	uint64_t waits;			/* times that it slept */
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
	uint64_t first_block;		/* the part of the device that is this lane's */
	uint64_t blocks;
	uint64_t next;			/* sequential: the next block of it */
	uint64_t random;
	uint32_t *generation;		/* verify: of what each block was last written with */
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

/* pattern.c: which block is next, and what is in it */
void pattern_init(struct lane *l);
void pattern_aim(struct lane *l, struct slot *s);
void pattern_fill(struct lane *l, struct slot *s);
bool pattern_check(const struct lane *l, const struct slot *s);

/* verify.c */
const char *verify_prefill(struct lane *l);
const char *verify_read_back(struct lane *l);

/* vring.c: the virtqueue part of the engines that have one */
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

/* kernel.c: what a server in the kernel is asked for */
const char *kernel_workers(struct device *dev);
const char *kernel_polling(struct device *dev);

/* backing.c */
/* A device has so much; of that, as much as is to be used */
void device_size(struct device *dev, uint64_t bytes);
const char *backing_open(struct device *dev);
void backing_close(struct device *dev);

#endif /* VHOST_BENCH_LOAD_H */
