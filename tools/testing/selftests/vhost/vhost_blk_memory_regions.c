// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory as VMMs provide it: in hundreds of regions, and of each kind
 * that a process can map.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <linux/io_uring.h>
#include <unistd.h>

#include "dirty.h"
#include "mix.h"
#include "suite-disk.h"
#include "traffic.h"

#define MEM		(2U << 20)	/* so that it can be a huge page */
#define FIRST_GPA	0x100000000ULL
#define ZEROES		BIT64(VIRTIO_BLK_F_WRITE_ZEROES)

/* Return: how many regions a memory table may have on this host */
static unsigned int max_regions(void)
{
	FILE *f = fopen("/sys/module/vhost/parameters/max_mem_regions", "r");
	unsigned int n = 64;

	if (f) {
		if (fscanf(f, "%u", &n) != 1)
			n = 64;
		fclose(f);
	}
	return n;
}

/* Fill the table with @n adjacent regions of a few pages each. */
static uint64_t fill_table(struct guest *g, unsigned int n, struct rng *rng)
{
	uint64_t len = 0;

	while (g->nregions < n) {
		uint64_t part = (1 + rng_below(rng, 3)) * 4096;

		if (!guest_add_region(g, FIRST_GPA + len, part))
			abort();
		len += part;
	}
	return len;
}

static void swap_regions(struct guest *g, unsigned int a, unsigned int b)
{
	struct region was = g->region[a];

	g->region[a] = g->region[b];
	g->region[b] = was;
}

/* Hundreds of regions in any order, and requests that cross many of them */
TEST_F_TIMEOUT(disk, many, 120)
{
	unsigned int i, n = max_regions() < MAX_REGIONS ? max_regions() : MAX_REGIONS;
	struct guest_opts opts = {
		.backend = &self->b, .queues = 2, .mem = MEM, .features_on = ZEROES,
	};
	struct mix_opts mix = { .max_sectors = 200, .per_queue = 8, .area = FIRST_GPA };
	struct guest *g = &self->g;
	struct request *q;

	guest_init(g, &opts);
	mix.area_len = fill_table(g, n, &self->rng);
	/* the allocator uses the first region */
	for (i = n - 1; i > 1; i--)
		swap_regions(g, i, 1 + rng_below(&self->rng, i));
	ASSERT_WELL(guest_boot(g));
	TH_LOG("%u regions", n);
	for (i = 0; i < scaled(8, 3); i++)
		ASSERT_WELL(mix_round(g, &mix, &self->rng));
	/* one descriptor for all of them, or for as many as fit on the disk */
	for (i = 0; i < 2; i++) {
		uint64_t room = mix.area_len - 8192;
		uint32_t len = room < self->b.size ? room & ~511ULL : self->b.size;

		q = request_new(g, i ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, 0, len);
		request_cut_usual(q);
		request_place_at(q, FIRST_GPA + (i ? 0 : 512 - HDR_LEN),
				 FIRST_GPA + (i ? 512 : len + 4096));
		request_arm(q, 5);
		ASSERT_WELL(request_verify(&g->ring[0], q, VIRTIO_BLK_S_OK));
		request_free(q);
	}
}

/*
 * An indirect table that is contiguous for the guest and lies in three regions,
 * the middle one of which has half a descriptor
 */
TEST_F_TIMEOUT(disk, table_in_pieces, 60)
{
	static const uint32_t len[] = { 4096 - 8, 8, 4096 };
	struct guest_opts opts = { .backend = &self->b, .mem = MEM };
	struct guest *g = &self->g;
	uint64_t at = FIRST_GPA;
	unsigned int i, k;

	if (model_wanted())
		SKIP(return, "the model device does not accept such a table");
	guest_init(g, &opts);
	for (i = 0; i < ARRAY_SIZE(len); at += len[i++])
		ASSERT_NE(NULL, guest_add_region(g, at, len[i]));
	ASSERT_WELL(guest_boot(g));
	/* cut within each descriptor, and at an address without the usual alignment */
	for (k = 8; k < 6 * sizeof(struct vring_desc); k += 8) {
		for (i = 0; i < 2; i++) {
			uint64_t mark = g->bump;
			struct request *q;

			q = request_new_blocks(g, i ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, 8, 8192);
			request_cut_every(q, 2048);
			request_place(q, PLACE_ALIGNED, NULL);
			q->table = FIRST_GPA + 4096 - k;
			q->table_cap = q->nout + q->nin;
			request_set_indirect(q, true);
			request_arm(q, k);
			ASSERT_WELL(request_verify(&g->ring[0], q, VIRTIO_BLK_S_OK));
			request_free(q);
			guest_release(g, mark);
		}
	}
}

/*
 * Map the entries of an io_uring: adjacent pages that are one compound page,
 * like a huge page, and need no setup.  Return: NULL if this host has none.
 */
static uint8_t *map_piece(size_t len, int *fd)
{
	struct io_uring_params params = {};
	struct iovec iov = { .iov_len = 4096 };
	int probe[2];

	*fd = syscall(SYS_io_uring_setup, len / sizeof(struct io_uring_sqe), &params);
	if (*fd < 0)
		return NULL;
	iov.iov_base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, IORING_OFF_SQES);
	/* older kernels allow no I/O with this memory */
	if (iov.iov_base != MAP_FAILED && !pipe(probe)) {
		if (vmsplice(probe[1], &iov, 1, SPLICE_F_NONBLOCK) != 4096)
			iov.iov_base = MAP_FAILED;
		close(probe[0]);
		close(probe[1]);
	}
	if (iov.iov_base != MAP_FAILED)
		return iov.iov_base;
	close(*fd);
	return NULL;
}

/* I/O from one page of a compound page, and into one */
TEST_F_TIMEOUT(disk, one_piece, 60)
{
	static const uint32_t begins[] = { 0, 4096 - 512, 3 * 4096 + 512 };
	struct guest_opts opts = { .backend = &self->b, .mem = MEM };
	const size_t len = 256 << 10;
	struct guest *g = &self->g;
	unsigned int i;
	int fd;
	uint8_t *piece = map_piece(len, &fd);

	if (!piece)
		SKIP(return, "this kernel allows no I/O to the entries of an io_uring");
	guest_init(g, &opts);
	g->region[g->nregions++] = (struct region) { FIRST_GPA, len, piece };
	ASSERT_WELL(guest_boot(g));
	for (i = 0; i < 2 * ARRAY_SIZE(begins); i++) {
		uint32_t type = i & 1 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
		uint64_t data = FIRST_GPA + begins[i / 2];
		struct request *q = request_new(g, type, i * 256, 100 * 1024);

		request_cut_usual(q);
		request_place(q, PLACE_ALIGNED, NULL);
		/* after the header, or before the status */
		q->seg[1].gpa = data;
		request_arm(q, i);
		ASSERT_WELL(request_verify(&g->ring[0], q, VIRTIO_BLK_S_OK));
		request_free(q);
	}
	guest_close(g);
	/* there are no guard pages beside it */
	g->nregions--;
	munmap(piece, len);
	close(fd);
}

/*
 * Data that continues in the hole behind a region: the request fails, and
 * writes nothing.
 */
TEST_F_TIMEOUT(disk, hole, 60)
{
	struct guest_opts opts = { .backend = &self->b, .queues = 2, .mem = MEM };
	const uint8_t ioerr = VIRTIO_BLK_S_IOERR;
	struct guest *g = &self->g;
	unsigned int i, ms;

	guest_init(g, &opts);
	for (i = 0; i < 8; i++)
		ASSERT_NE(NULL, guest_add_region(g, FIRST_GPA + i * 4096 + (i > 5) * 4096, 4096));
	ASSERT_WELL(guest_boot(g));
	for (i = 0; i < 2; i++) {
		uint64_t hdr = guest_alloc(g, HDR_LEN, 16), status = guest_alloc(g, 1, 1);
		struct virtio_blk_outhdr h = {
			.type = htole32(i ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN),
		};

		guest_write(g, hdr, &h, sizeof(h));
		ring_put_desc(&g->ring[0], 0, hdr, HDR_LEN, VRING_DESC_F_NEXT, 1);
		ring_put_desc(&g->ring[0], 1, FIRST_GPA, 7 * 4096,
			      VRING_DESC_F_NEXT | (i ? 0 : VRING_DESC_F_WRITE), 2);
		ring_put_desc(&g->ring[0], 2, status, 1, VRING_DESC_F_WRITE, 0);
		guest_snapshot(g);
		guest_expect(g, status, &ioerr, 1);
		ring_add_raw(&g->ring[0], 0);
		ring_kick_now(&g->ring[0]);
		for (ms = 0; ms < 10000; ms++) {
			if (g->ring[0].used_idx != ring_device_idx(&g->ring[0]))
				break;
			usleep(1000);
		}
		ASSERT_TRUE(g->ring[0].used_idx != ring_device_idx(&g->ring[0]));
		g->ring[0].used_idx++;
		ASSERT_WELL(guest_compare(g));
		ASSERT_EQ(0, eventfd_drain(g->ring[0].err));
		ASSERT_WELL(guest_prove(g));
	}
}

/* A table that is too long is refused, and the old one stays in effect. */
TEST_F(disk, too_many)
{
	struct guest_opts opts = { .backend = &self->b, .mem = MEM };
	unsigned int i, n = max_regions() + 1;
	struct vhost_memory *table = calloc(1, sizeof(*table) + n * sizeof(table->regions[0]));
	struct guest *g = &self->g;

	guest_init(g, &opts);
	ASSERT_WELL(guest_boot(g));
	for (i = 0; i < n; i++) {
		table->regions[i].guest_phys_addr = FIRST_GPA + i * 4096;
		table->regions[i].memory_size = 4096;
		table->regions[i].userspace_addr = (uintptr_t)g->region[0].hva;
	}
	table->nregions = n;
	EXPECT_EQ(-E2BIG, guest_ioctl(g, VHOST_SET_MEM_TABLE, table));
	ASSERT_WELL(guest_prove(g));
	table->nregions = n - 1;
	EXPECT_EQ(0, guest_ioctl(g, VHOST_SET_MEM_TABLE, table));
	EXPECT_EQ(0, guest_set_mem_table(g));
	ASSERT_WELL(guest_prove(g));
	free(table);
}

enum memory {
	MEMORY_ANONYMOUS,
	MEMORY_MEMFD,
	MEMORY_HUGE,
	MEMORY_TMPFS,
	MEMORY_FILE,
};

FIXTURE(memory) {
	int fd;
};

FIXTURE_VARIANT(memory) {
	enum memory kind;
};

FIXTURE_VARIANT_ADD(memory, anonymous) { .kind = MEMORY_ANONYMOUS };
FIXTURE_VARIANT_ADD(memory, memfd) { .kind = MEMORY_MEMFD };
FIXTURE_VARIANT_ADD(memory, huge) { .kind = MEMORY_HUGE };
FIXTURE_VARIANT_ADD(memory, tmpfs) { .kind = MEMORY_TMPFS };
FIXTURE_VARIANT_ADD(memory, file) { .kind = MEMORY_FILE };

/* Open a file without a name. */
static int hidden_file(const char *dir)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/vhost-test-memory-%d", dir, getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	unlink(path);
	return fd;
}

static int memory_open(enum memory kind)
{
	const char *dir = getenv("VHOST_TEST_DIR");

	switch (kind) {
	case MEMORY_MEMFD:
		return memfd_create("vhost-test", MFD_CLOEXEC);
	case MEMORY_HUGE:
		return memfd_create("vhost-test", MFD_CLOEXEC | MFD_HUGETLB);
	case MEMORY_TMPFS:
		return hidden_file("/dev/shm");
	case MEMORY_FILE:
		return hidden_file(dir ? dir : "/tmp");
	default:
		return -1;
	}
}

FIXTURE_SETUP(memory)
{
	void *probe;

	self->fd = -1;
	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (variant->kind == MEMORY_ANONYMOUS)
		return;
	self->fd = memory_open(variant->kind);
	if (self->fd < 0 && variant->kind == MEMORY_HUGE)
		SKIP(return, "no huge pages here: %s", strerror(errno));
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, MEM));
	probe = mmap(NULL, MEM, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	if (probe == MAP_FAILED && variant->kind == MEMORY_HUGE)
		SKIP(return, "no huge page is reserved (vm.nr_hugepages): %s", strerror(errno));
	ASSERT_NE(MAP_FAILED, probe);
	munmap(probe, MEM);
}

FIXTURE_TEARDOWN(memory)
{
	if (self->fd >= 0)
		close(self->fd);
}

/* Use memory of this kind for all of the guest, including the rings. */
static const char *use_memory(int fd, enum backend_kind kind, bool direct, struct rng *rng)
{
	struct guest_opts opts = { .queues = 2, .mem = MEM, .features_on = ZEROES };
	struct mix_opts mix = { .per_queue = 10 };
	struct backend b;
	struct guest g;
	const char *why = backend_open(&b, kind, direct);
	unsigned int i;

	if (why)
		return why;
	opts.backend = &b;
	guest_init(&g, &opts);
	if (fd >= 0 && !region_back(&g.region[0], fd))
		why = "mmap of the guest's memory fails";
	g.painted = g.data_start;
	for (i = 0; !why && i < g.nrings; i++)
		ring_reset(&g.ring[i], 0);
	if (!why)
		why = guest_boot(&g);
	for (i = 0; !why && i < scaled(3, 2); i++)
		why = mix_round(&g, &mix, rng);
	if (!why)
		why = backend_compare_all(&b);
	if (why)
		printf("# %s backend, %s: %s\n", kind == BACKEND_FILE ? "file" : "bdev",
		       direct ? "direct" : "buffered", why);
	guest_destroy(&g);
	backend_close(&b);
	return why ? "this kind of memory does not work" : NULL;
}

TEST_F_TIMEOUT(memory, backings, 120)
{
	struct rng rng = { rng_seed_from_env() };
	unsigned int i;

	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)rng.state);
	for (i = 0; i < 4; i++)
		ASSERT_WELL(use_memory(self->fd, i & 1 ? BACKEND_FILE : BACKEND_BDEV, i & 2,
				       &rng));
}

TEST_HARNESS_MAIN
