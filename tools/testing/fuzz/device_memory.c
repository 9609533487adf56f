// SPDX-License-Identifier: GPL-2.0
/* Memory of the device: tables of regions, IOTLB messages, pages that are removed */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device_exec.h"

#define HALF	(PLAY_LEN / 2)

/* Restore the changed parts of the device's view. */
void play_fresh(struct target *t)
{
	memset(t->mem, 0, PLAY_LEN);
	if (!t->view_changed)
		return;
	if (mmap(t->view, PLAY_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, t->memfd,
		 0) == MAP_FAILED)
		perror("device_fuzz: mmap");
	t->view_changed = false;
}

static int change_view(struct target *t, const uint32_t *a)
{
	unsigned int page = a[1] % PLAY_PAGES, n = 1 + a[2] % 4;
	uint8_t *at = t->view + page * PAGE;
	size_t len = (page + n > PLAY_PAGES ? PLAY_PAGES - page : n) * PAGE;
	const int fixed = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS;

	t->view_changed = true;
	/*
	 * No MADV_REMOVE: UML's flush_tlb_mm() walks the mappings without the
	 * lock of the mm then, which lockdep reports once, and is off
	 * afterwards.
	 */
	switch (a[0] % 7) {
	case 0:
		return mprotect(at, len, PROT_READ);
	case 1:
		return mprotect(at, len, PROT_NONE);
	case 2:
		return munmap(at, len);
	case 3:
		return madvise(at, len, MADV_DONTNEED);
	case 4:	/* other memory, which the fuzzer does not write */
		return mmap(at, len, PROT_READ | PROT_WRITE, fixed, -1, 0) == MAP_FAILED;
	case 5:	/* other pages of the playground */
		return mmap(at, len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, t->memfd,
			    a[3] % (PLAY_PAGES - 4) * PAGE) == MAP_FAILED;
	default:
		return mmap(at, len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, t->memfd,
			    page * PAGE) == MAP_FAILED;
	}
}

long play_protect(struct target *t, const uint32_t *a)
{
	return change_view(t, a) ? errno : 0;
}

struct table {
	struct vhost_memory m;
	struct vhost_memory_region r[PLAY_PAGES + 1];
};

static void add_region(struct target *t, struct table *table, uint64_t off, uint64_t len)
{
	table->r[table->m.nregions++] = (struct vhost_memory_region){
		.guest_phys_addr = PLAY_GPA + off,
		.memory_size = len,
		.userspace_addr = (uintptr_t)t->view + off,
	};
}

static void spoil_table(struct table *table, uint32_t how, uint32_t a)
{
	struct vhost_memory_region *r = &table->r[a % table->m.nregions];

	switch (how) {
	case 5:
		r->memory_size = play_edge(a);
		break;
	case 6:
		r->guest_phys_addr = play_edge(a);
		break;
	case 7:
		r->userspace_addr = play_edge(a);
		break;
	case 8:
		r->flags_padding = a;
		break;
	case 9:
		table->m.nregions = a;
		break;
	case 10:
		table->m.padding = a;
		break;
	default:
		r->guest_phys_addr = 0;
		r->memory_size = ~0ULL;
	}
}

/* Valid tables: whole, halves, with a hole, page by page, shifted. Then invalid ones. */
long play_table(struct target *t, const uint32_t *a)
{
	struct table table = {};
	uint32_t how = a[0] % 12;
	unsigned int i;

	switch (how) {
	case 1:
		add_region(t, &table, 0, HALF);
		add_region(t, &table, HALF, HALF);
		break;
	case 2:
		add_region(t, &table, 0, HALF);
		add_region(t, &table, HALF + PAGE, HALF - PAGE);
		break;
	case 3:
		for (i = 0; i < PLAY_PAGES; i++)
			add_region(t, &table, i * PAGE, PAGE);
		break;
	case 4:
		add_region(t, &table, 0, HALF);
		table.r[0].userspace_addr += a[1] % HALF;
		break;
	default:
		add_region(t, &table, 0, PLAY_LEN);
		if (how)
			spoil_table(&table, how, a[1]);
	}
	return ioctl(t->fd, VHOST_SET_MEM_TABLE, &table) ? errno : 0;
}

long play_iotlb(struct target *t, const uint32_t *a)
{
	unsigned int page = a[1] % PLAY_PAGES;
	struct vhost_iotlb_msg body = {
		.iova = PLAY_GPA + page * PAGE,
		.size = (1 + a[2] % (PLAY_PAGES - page)) * PAGE,
		.uaddr = (uintptr_t)t->view + page * PAGE,
		.perm = a[3] & 8 ? a[3] >> 4 : VHOST_ACCESS_RW,
		.type = a[0] & 1 ? VHOST_IOTLB_INVALIDATE : VHOST_IOTLB_UPDATE,
	};
	struct vhost_msg_v2 two = { .type = VHOST_IOTLB_MSG_V2 };
	struct vhost_msg one = { .type = VHOST_IOTLB_MSG };
	ssize_t ret;

	switch (a[0] >> 1 & 15) {
	case 0:
		body.iova = play_edge(a[1]);
		break;
	case 1:
		body.size = play_edge(a[2]);
		break;
	case 2:
		body.uaddr = play_edge(a[3]);
		break;
	case 3:
		body.type = a[3];
		break;
	case 4:
		two.type = a[3];
		break;
	}
	one.iotlb = body;
	two.iotlb = body;
	if (a[0] & 32)
		ret = write(t->fd, &one, a[0] & 64 ? a[3] % sizeof(one) : sizeof(one));
	else
		ret = write(t->fd, &two, a[0] & 64 ? a[3] % sizeof(two) : sizeof(two));
	return ret < 0 ? errno : 0;
}
