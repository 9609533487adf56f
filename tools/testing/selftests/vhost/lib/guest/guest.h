/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that is the guest of a vhost-blk device: it owns the memory, the
 * virtqueues and the eventfds, and drives the device as a virtio driver would.
 *
 * A function that checks something returns NULL for success, or a sentence with
 * the error.  A function that wraps a system call returns 0 or -errno.
 */
#ifndef VHOST_TEST_GUEST_H
#define VHOST_TEST_GUEST_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/vhost.h>
#include <linux/vhost_blk.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "backend.h"
#include "compat.h"

#define BIT64(n)	(1ULL << (n))
#define SECTOR		512
#define MAX_REGIONS	520
#define HOLE_GPA	0x7fff00000000ULL	/* outside of all memory tables */

struct dirty;
struct iommu;
struct model;
struct request;

/* Guest memory: one range of guest-physical addresses, between two guard pages */
struct region {
	uint64_t gpa;
	uint64_t len;
	uint8_t *hva;
	uint8_t *shadow;	/* expected content, see guest_snapshot() */
};

struct ring_stats {
	uint64_t added;		/* chains made available */
	uint64_t kicks;		/* kicks sent */
	uint64_t kicks_saved;	/* kicks suppressed by the device */
	uint64_t calls;		/* interrupts received: the sum of the eventfd's counts */
	uint64_t used;		/* chains taken from the used ring */
};

struct guest;

/* A split virtqueue, from the side of the driver */
struct ring {
	struct guest *guest;
	unsigned int index;
	unsigned int num;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint64_t used_gpa;
	uint16_t *free;			/* stack of unused descriptors */
	unsigned int nfree;
	uint16_t *next;			/* next descriptor in a chain that is in flight */
	struct request **inflight;	/* indexed by head */
	uint16_t avail_idx;		/* next entry to make available */
	uint16_t kicked_idx;		/* avail_idx at the last decision about a kick */
	uint16_t used_idx;		/* next entry to take */
	int kick;
	int call;
	int err;
	struct ring_stats stats;
	char why[160];			/* the last rule that the device broke */
};

enum stage {
	STAGE_NONE,
	STAGE_OPEN,
	STAGE_OWNED,
	STAGE_BACKEND,
	STAGE_FEATURES,
	STAGE_MEMORY,
	STAGE_RINGS,
	STAGE_RUNNING,
};

struct guest_opts {
	unsigned int queues;		/* 0: one */
	unsigned int num;		/* descriptors of a queue, 0: 128 */
	uint64_t mem;			/* bytes of region 0, 0: 8 MiB */
	uint64_t features_off;		/* features that are not acknowledged */
	uint64_t features_on;		/* additional features */
	uint32_t backend_flags;
	uint32_t block_size;		/* logical blocks of the disk; 0: those of the backend */
	const char *serial;		/* NULL: "vhost-blk-test" */
	struct backend *backend;
};

struct guest {
	int fd;
	struct model *model;		/* instead of fd, with VHOST_TEST_MODEL */
	/* Called instead of ioctl() if the device is not one of the kernel */
	long (*transport)(struct guest *g, unsigned long cmd, void *arg);
	enum stage stage;
	struct guest_opts opts;
	uint64_t offered;
	uint64_t features;
	struct region region[MAX_REGIONS];
	unsigned int nregions;
	uint64_t bump;			/* first free byte of region 0 */
	uint64_t painted;	/* bytes of region 0 with canaries */
	uint64_t data_start;		/* end of the rings in region 0 */
	struct ring *ring;
	unsigned int nrings;
	struct iommu *iommu;		/* NULL: the device uses physical addresses */
	struct dirty *dirty;		/* NULL: no log */
	char why[256];
};

/* guest.c: memory and bring-up */
void guest_init(struct guest *g, const struct guest_opts *opts);
long guest_enter(struct guest *g, enum stage stage);
const char *guest_boot_to(struct guest *g, enum stage stage);
const char *guest_boot(struct guest *g);
void guest_close(struct guest *g);
void guest_destroy(struct guest *g);
long guest_ioctl(struct guest *g, unsigned long cmd, void *arg);
long guest_set_backend(struct guest *g, int fd, uint32_t flags);
long guest_set_running(struct guest *g, int on);
long guest_set_mem_table(struct guest *g);
long guest_set_features(struct guest *g, uint64_t features);
const char *guest_prove(struct guest *g);
const char *guest_say(struct guest *g, const char *fmt, ...);
const char *guest_device_path(void);
bool guest_has_device(void);
uint64_t guest_known_features(void);

/* config.c */
long guest_get_config(struct guest *g, struct blk_config *config);
long guest_set_writeback(struct guest *g, uint8_t value);
long guest_config_call(struct guest *g, int fd);
uint64_t guest_offered(struct guest *g);

/* memory.c */
struct region *guest_add_region(struct guest *g, uint64_t gpa, uint64_t len);
void guest_free_memory(struct guest *g);
void *guest_ptr(struct guest *g, uint64_t gpa, uint64_t len);
uint64_t guest_alloc(struct guest *g, uint64_t len, uint64_t align);
void guest_release(struct guest *g, uint64_t mark);
void guest_read(struct guest *g, uint64_t gpa, void *to, uint64_t len);
void guest_write(struct guest *g, uint64_t gpa, const void *from, uint64_t len);
void guest_snapshot(struct guest *g);
void guest_expect(struct guest *g, uint64_t gpa, const void *from, uint64_t len);
const char *guest_compare(struct guest *g);
bool region_back(struct region *r, int fd);

/* ring.c */
const char *ring_init(struct ring *r, struct guest *g, unsigned int index);
long ring_setup(struct ring *r);
long ring_set_addr(struct ring *r);
long ring_set_base(struct ring *r, uint16_t base);
long ring_get_base(struct ring *r, uint16_t *base);
long ring_set_running(struct ring *r, int on);
/* Stop the queue; @base: the index at which it stopped */
long ring_stop(struct ring *r, uint16_t *base);
long ring_info(struct ring *r, struct vhost_blk_vring_info *info);
long ring_set_busyloop(struct ring *r, uint32_t us);
void ring_reset(struct ring *r, uint16_t base);
void ring_free(struct ring *r);
int ring_add(struct ring *r, struct request *q);
int ring_add_raw(struct ring *r, uint16_t head);
void ring_put_desc(struct ring *r, uint16_t i, uint64_t gpa, uint32_t len,
		   uint16_t flags, uint16_t next);
bool ring_wants_kick(struct ring *r);
void ring_kick(struct ring *r);
void ring_kick_now(struct ring *r);
struct request *ring_take(struct ring *r);
const char *ring_wait(struct ring *r, unsigned int n, int ms);
const char *ring_idle(struct ring *r, int ms);
uint16_t ring_device_idx(struct ring *r);
unsigned int ring_inflight(struct ring *r);

/* notify.c: suppression of notifications, and eventfds */
uint64_t eventfd_drain(int fd);
bool eventfd_wait(int fd, int ms);
uint64_t ring_calls(struct ring *r);
void ring_no_interrupt(struct ring *r, bool off);
void ring_set_used_event(struct ring *r, uint16_t idx);
bool ring_call_on(struct ring *r, uint16_t ahead);
void ring_call_off(struct ring *r);

static inline bool guest_has(const struct guest *g, unsigned int bit)
{
	return g->features & (1ULL << bit);
}

static inline uint16_t load16(const __virtio16 *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline void store16(__virtio16 *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELEASE);
}

#endif /* VHOST_TEST_GUEST_H */
