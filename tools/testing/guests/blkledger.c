// SPDX-License-Identifier: GPL-2.0
/*
 * blkledger run DISK OFFSET THREADS MIB
 *	Write and read a range of a disk until SIGTERM, record every write, and then
 *	print what the range must contain.  Each thread owns NR_SLOTS slots; a write
 *	fills one of them with data that is derived from a new sequence number.  One
 *	more thread dirties MIB of memory.
 *
 * blkledger check DISK OFFSET
 *	Read the output of "run" from stdin, and check that the disk has this data.
 *
 * A write that is lost, done twice, or done late leaves the data of an old sequence
 * number in a slot.  The data of a read is checked only when its buffer is used again:
 * if a migration did not send a page that the device has written, the page has its old
 * contents by that time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NR_SLOTS	32
#define SLOT_SIZE	8192
#define NR_BUFFERS	64
#define MAX_THREADS	16
#define PAGE		4096
#define WORDS		(SLOT_SIZE / sizeof(uint64_t))

/* The data of a read; @seq is 0 before the first one. */
struct buffer {
	uint64_t *data;
	unsigned int slot;
	uint64_t seq;
};

struct account {
	pthread_t thread;
	int fd;
	off_t offset;
	unsigned int id;
	unsigned int random;
	uint64_t last[NR_SLOTS];
	struct buffer buffers[NR_BUFFERS];
	uint64_t *out;
	unsigned long writes, reads, flushes, errors;
};

struct memory {
	pthread_t thread;
	unsigned char *bytes;
	size_t pages;
	unsigned long rounds, errors;
};

static atomic_int stopping;

static void stop(int signal)
{
	(void)signal;
	stopping = 1;
}

static void *allocate(size_t size)
{
	void *p;

	if (posix_memalign(&p, PAGE, size)) {
		fprintf(stderr, "blkledger: no memory\n");
		exit(2);
	}
	memset(p, 0, size);
	return p;
}

static uint64_t word(unsigned int id, unsigned int slot, uint64_t seq,
		     unsigned int i)
{
	uint64_t x = seq << 24 | (uint64_t)id << 16 | slot;

	return (x + i) * 0x9e3779b97f4a7c15ULL;
}

static void fill(uint64_t *data, unsigned int id, unsigned int slot,
		 uint64_t seq)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		data[i] = word(id, slot, seq, i);
}

/* Return: the number of wrong words. */
static unsigned int compare(const uint64_t *data, unsigned int id,
			    unsigned int slot, uint64_t seq, const char *when)
{
	unsigned int i, bad = 0, first = 0;
	uint64_t old;

	for (i = 0; i < WORDS; i++)
		if (data[i] != word(id, slot, seq, i) && !bad++)
			first = i;
	if (!bad)
		return 0;
	printf("blkledger: %s: thread %u slot %u seq %llu: %u wrong words, first %u (%016llx)\n",
	       when, id, slot, (unsigned long long)seq, bad, first,
	       (unsigned long long)data[first]);
	for (old = seq; old && seq - old < 64; old--)
		if (data[first] == word(id, slot, old, first))
			printf("blkledger: it is from seq %llu\n",
			       (unsigned long long)old);
	return bad;
}

static off_t place(const struct account *a, unsigned int slot)
{
	return a->offset + ((off_t)a->id * NR_SLOTS + slot) * SLOT_SIZE;
}

static void failed(struct account *a, const char *what, ssize_t ret)
{
	printf("blkledger: thread %u: %s returned %zd: %s\n", a->id, what, ret,
	       ret < 0 ? strerror(errno) : "short");
	a->errors++;
}

static void write_slot(struct account *a, unsigned int slot)
{
	ssize_t ret;

	fill(a->out, a->id, slot, a->last[slot] + 1);
	ret = pwrite(a->fd, a->out, SLOT_SIZE, place(a, slot));
	a->writes++;
	if (ret == SLOT_SIZE)
		a->last[slot]++;
	else
		failed(a, "pwrite", ret);
	if (a->writes % 32 == 0) {
		a->flushes++;
		if (fdatasync(a->fd))
			failed(a, "fdatasync", -1);
	}
}

static void check_buffer(struct account *a, struct buffer *b, const char *when)
{
	if (b->seq && compare(b->data, a->id, b->slot, b->seq, when))
		a->errors++;
	b->seq = 0;
}

static void read_slot(struct account *a, unsigned int slot, struct buffer *b)
{
	ssize_t ret;

	check_buffer(a, b, "a buffer read into earlier");
	ret = pread(a->fd, b->data, SLOT_SIZE, place(a, slot));
	a->reads++;
	if (ret != SLOT_SIZE) {
		failed(a, "pread", ret);
		return;
	}
	b->slot = slot;
	b->seq = a->last[slot];
}

static void *account(void *arg)
{
	struct account *a = arg;
	unsigned int slot, i;

	for (slot = 0; slot < NR_SLOTS; slot++)
		write_slot(a, slot);
	while (!stopping && !a->errors) {
		slot = rand_r(&a->random) % NR_SLOTS;
		if (rand_r(&a->random) % 2)
			write_slot(a, slot);
		else
			read_slot(a, slot, &a->buffers[rand_r(&a->random) % NR_BUFFERS]);
		/* Leave CPU time for migration. */
		usleep(rand_r(&a->random) % 10000);
	}
	for (i = 0; i < NR_BUFFERS; i++)
		check_buffer(a, &a->buffers[i], "a buffer read into earlier");
	for (slot = 0; slot < NR_SLOTS; slot++) {
		read_slot(a, slot, &a->buffers[0]);
		check_buffer(a, &a->buffers[0], "at the end");
	}
	return NULL;
}

/* Each page has the number of the round that wrote it last. */
static void *dirty(void *arg)
{
	struct memory *m = arg;
	size_t i;

	for (; !stopping; m->rounds++) {
		for (i = 0; i < m->pages; i++) {
			unsigned long *p = (void *)(m->bytes + i * PAGE);

			if (*p != m->rounds) {
				printf("blkledger: page %zu is of round %lu, not %lu\n",
				       i, *p, m->rounds);
				m->errors++;
			}
			*p = m->rounds + 1;
			if (i % 64 == 63)
				usleep(2000);
		}
	}
	return NULL;
}

static void open_account(struct account *a, int fd, off_t offset, unsigned int id)
{
	unsigned int i;

	a->fd = fd;
	a->offset = offset;
	a->id = id;
	a->random = id + 1;
	a->out = allocate(SLOT_SIZE);
	/* Every second buffer is not page-aligned, so that it spans one more page. */
	for (i = 0; i < NR_BUFFERS; i++)
		a->buffers[i].data = (void *)((char *)allocate(SLOT_SIZE + PAGE) +
					      i % 2 * 512);
}

static unsigned long close_accounts(struct account *a, unsigned int nr,
				    const struct memory *m)
{
	unsigned long writes = 0, reads = 0, flushes = 0, errors = m->errors;
	unsigned int i, slot;

	for (i = 0; i < nr; i++, a++) {
		writes += a->writes;
		reads += a->reads;
		flushes += a->flushes;
		errors += a->errors;
		printf("last %u", i);
		for (slot = 0; slot < NR_SLOTS; slot++)
			printf(" %llu", (unsigned long long)a->last[slot]);
		printf("\n");
	}
	printf("blkledger: writes %lu reads %lu flushes %lu rounds %lu errors %lu\n",
	       writes, reads, flushes, m->rounds, errors);
	return errors;
}

static int run(int fd, off_t offset, unsigned int nr, size_t mib)
{
	static struct account accounts[MAX_THREADS];
	struct memory memory = { .pages = mib * 256 };
	unsigned int i;

	signal(SIGTERM, stop);
	memory.bytes = allocate(mib << 20);
	for (i = 0; i < nr; i++)
		open_account(&accounts[i], fd, offset, i);
	for (i = 0; i < nr; i++)
		if (pthread_create(&accounts[i].thread, NULL, account, &accounts[i]))
			return 2;
	if (pthread_create(&memory.thread, NULL, dirty, &memory))
		return 2;
	for (i = 0; i < nr; i++)
		pthread_join(accounts[i].thread, NULL);
	stopping = 1;
	pthread_join(memory.thread, NULL);
	return close_accounts(accounts, nr, &memory) ? 1 : 0;
}

/* Return: 0 if all slots have the recorded data. */
static int check(int fd, off_t offset)
{
	struct account a = { .fd = fd, .offset = offset };
	unsigned int slot, slots = 0;
	unsigned long long seq;
	uint64_t *data = allocate(SLOT_SIZE);

	while (scanf(" last %u", &a.id) == 1) {
		for (slot = 0; slot < NR_SLOTS; slot++, slots++) {
			if (scanf("%llu", &seq) != 1 || !seq)
				return 2;
			if (pread(fd, data, SLOT_SIZE, place(&a, slot)) != SLOT_SIZE)
				failed(&a, "pread", -1);
			else if (compare(data, a.id, slot, seq, "on the disk"))
				a.errors++;
		}
	}
	printf("blkledger: checked %u errors %lu\n", slots, a.errors);
	return a.errors || !slots;
}

int main(int argc, char **argv)
{
	unsigned int nr;
	int fd;

	if (argc == 4 && !strcmp(argv[1], "check")) {
		fd = open(argv[2], O_RDONLY | O_DIRECT);
		if (fd >= 0)
			return check(fd, atoll(argv[3]));
	} else if (argc == 6 && !strcmp(argv[1], "run")) {
		nr = atoi(argv[4]);
		if (!nr || nr > MAX_THREADS)
			return 2;
		fd = open(argv[2], O_RDWR | O_DIRECT);
		if (fd >= 0)
			return run(fd, atoll(argv[3]), nr, atoi(argv[5]));
	} else {
		fprintf(stderr,
			"usage: blkledger run DISK OFFSET THREADS MIB | check DISK OFFSET\n");
		return 2;
	}
	perror(argv[2]);
	return 2;
}
