// SPDX-License-Identifier: GPL-2.0
/*
 * fscrash run NAME DIR COUNT
 *	In the guest: do COUNT operations that write or unlink a file below DIR and
 *	fsync it, and print "crash NAME SLOT GEN" after each.  SLOT and GEN determine
 *	what operation GEN of file SLOT does.
 *
 * fscrash mark NAME...
 *	On the host: copy stdin, which is the output of the guest, to stdout, and
 *	write a mark with SLOT and GEN of each such line to the log of the
 *	dm-log-writes device NAME.
 *
 * fscrash replay LOG BYTES TARGET FIRST STEP COUNT
 *	On the host: rebuild images of the disk of BYTES bytes as it was after flush
 *	FIRST, FIRST + STEP and so on, and write COUNT images to TARGET, one after the
 *	other from offset 1 MiB.  TARGET must be blank.  Image 1 is the disk at the
 *	first mark.  Prints for each image its number and SLOT:GEN of the files that
 *	were stable before the next flush, and at the end the number of flushes.
 *
 * fscrash check DIR SLOT:GEN...
 *	Check that each file has content GEN or newer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dm.h"
#include "logwrites.h"

#define SLOTS		24
#define WORKERS		3
#define SECTOR		512
#define MAX_BYTES	(32 * SECTOR)
#define CHUNK		65536

enum op { OP_UNLINK, OP_REPLACE, OP_CREATE, OP_FSYNC, OP_FDATASYNC, OP_DSYNC, OP_MSYNC };

static const char *dir;
static atomic_int left;		/* operations */

static void die(const char *what)
{
	printf("fscrash: %s: %s\n", what, strerror(errno));
	exit(2);
}

static unsigned int hash(unsigned int slot, unsigned int gen)
{
	uint64_t x = ((uint64_t)gen << 8 | slot) * 0x9e3779b97f4a7c15ULL;

	return x >> 33;
}

/*
 * Return: whether file @slot does not exist after operation @gen.  This is never so after
 * two operations in a row.
 */
static bool gone(unsigned int slot, unsigned int gen)
{
	bool is = true;
	unsigned int g;

	for (g = 1; g <= gen; g++)
		is = !is && hash(slot, g) % 6 == 0;
	return is;
}

static enum op operation(unsigned int slot, unsigned int gen)
{
	static const enum op change[] = {
		OP_REPLACE, OP_FSYNC, OP_FDATASYNC, OP_DSYNC, OP_MSYNC,
	};

	if (gone(slot, gen))
		return OP_UNLINK;
	if (gone(slot, gen - 1))
		return hash(slot, gen) & 8 ? OP_CREATE : OP_REPLACE;
	return change[hash(slot, gen) / 16 % 5];
}

static size_t length(unsigned int slot)
{
	return (1 + slot * 11 % 32) * SECTOR;
}

/* Return: the value of each word of a sector. */
static uint64_t word(unsigned int slot, unsigned int gen, unsigned int sector)
{
	return 0xc5ULL << 56 | (uint64_t)slot << 40 | (uint64_t)sector << 32 | gen;
}

static void fill(unsigned int slot, unsigned int gen, uint64_t *data)
{
	size_t i, n = length(slot) / sizeof(*data);

	for (i = 0; i < n; i++)
		data[i] = word(slot, gen, i / (SECTOR / sizeof(*data)));
}

static void sync_dir(void)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	if (fd < 0 || fsync(fd))
		die("fsync of the directory");
	close(fd);
}

static void write_file(const char *name, int flags, unsigned int slot, unsigned int gen)
{
	uint64_t data[MAX_BYTES / sizeof(uint64_t)];
	int fd = open(name, O_WRONLY | flags, 0644);

	fill(slot, gen, data);
	if (fd < 0 || write(fd, data, length(slot)) != (ssize_t)length(slot))
		die(name);
	if (operation(slot, gen) == OP_FDATASYNC ? fdatasync(fd) :
	    flags & O_DSYNC ? 0 : fsync(fd))
		die("fsync");
	close(fd);
}

static void write_mapped(const char *name, unsigned int slot, unsigned int gen)
{
	size_t len = length(slot);
	int fd = open(name, O_RDWR);
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd < 0 || map == MAP_FAILED)
		die(name);
	fill(slot, gen, map);
	if (msync(map, len, MS_SYNC))
		die("msync");
	munmap(map, len);
	close(fd);
}

static void do_operation(unsigned int slot, unsigned int gen)
{
	char name[200], tmp[200];

	snprintf(name, sizeof(name), "%s/file-%u", dir, slot);
	snprintf(tmp, sizeof(tmp), "%s/new-%u", dir, slot);
	switch (operation(slot, gen)) {
	case OP_UNLINK:
		if (unlink(name))
			die("unlink");
		sync_dir();
		break;
	case OP_REPLACE:
		write_file(tmp, O_CREAT | O_TRUNC, slot, gen);
		if (rename(tmp, name))
			die("rename");
		sync_dir();
		break;
	case OP_CREATE:
		/* ext4 and xfs make the name of a new file stable if the file is fsynced. */
		write_file(name, O_CREAT | O_EXCL, slot, gen);
		break;
	case OP_MSYNC:
		write_mapped(name, slot, gen);
		break;
	case OP_DSYNC:
		write_file(name, O_DSYNC, slot, gen);
		break;
	default:
		write_file(name, 0, slot, gen);
	}
}

struct worker {
	pthread_t thread;
	const char *name;
	unsigned int first;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int gen, slot;

	for (gen = 1; left > 0; gen++)
		for (slot = w->first; slot < SLOTS && left-- > 0; slot += WORKERS) {
			char line[64];
			int len = snprintf(line, sizeof(line), "crash %s %u %u\n", w->name, slot,
					   gen);

			do_operation(slot, gen);
			if (write(1, line, len) != len)
				exit(2);
		}
	return NULL;
}

/* Create, write and remove other files without fsync. */
static void *make_noise(void *arg)
{
	static char data[CHUNK];
	unsigned int i;
	char name[200];

	for (i = 0; left > 0; i++) {
		int fd;

		snprintf(name, sizeof(name), "%s/noise-%u", dir, i % 7);
		if (i % 3 == 2) {
			rmdir(name);
			unlink(name);
			if (i % 2)
				mkdir(name, 0755);
			continue;
		}
		fd = open(name, O_WRONLY | O_CREAT, 0644);
		if (fd < 0)
			continue;
		if (ftruncate(fd, i * 4093 % 300000) || write(fd, data, hash(0, i) % CHUNK) < 0)
			die("a file of noise");
		close(fd);
		usleep(20000);
	}
	return arg;
}

static int run(const char *name, int count)
{
	struct worker worker[WORKERS];
	pthread_t noisy;
	unsigned int i;

	left = count;
	/* Slot 99 is not a file: this line says that the file system is mounted. */
	printf("crash %s 99 0\n", name);
	fflush(stdout);
	if (pthread_create(&noisy, NULL, make_noise, NULL))
		die("thread");
	for (i = 0; i < WORKERS; i++) {
		worker[i].name = name;
		worker[i].first = i;
		if (pthread_create(&worker[i].thread, NULL, work, &worker[i]))
			die("thread");
	}
	for (i = 0; i < WORKERS; i++)
		pthread_join(worker[i].thread, NULL);
	pthread_join(noisy, NULL);
	return 0;
}

static int pass_on(char **names, int n)
{
	unsigned int slot, gen;
	char line[400], name[32], text[80];
	int i;

	while (fgets(line, sizeof(line), stdin)) {
		fputs(line, stdout);
		fflush(stdout);
		if (sscanf(line, "crash %31s %u %u", name, &slot, &gen) != 3)
			continue;
		for (i = 0; i < n && strcmp(names[i], name); i++)
			;
		if (i < n) {
			struct dm dm = { .control = open("/dev/mapper/control", O_RDWR) };

			snprintf(dm.name, sizeof(dm.name), "%s", name);
			snprintf(text, sizeof(text), "mark %u:%u", slot, gen);
			if (dm.control < 0 || dm_message(&dm, text))
				die("a mark for the log");
			close(dm.control);
		}
	}
	return 0;
}

/* Write the image to a blank part of @target. */
static void write_image(const struct log_replay *r, int target, off_t at)
{
	uint64_t pos;

	for (pos = 0; pos < r->size; pos += CHUNK) {
		const uint8_t *p = r->image + pos;

		if (!p[0] && !memcmp(p, p + 1, CHUNK - 1))
			continue;
		if (pwrite(target, p, CHUNK, at + pos) != CHUNK)
			die("write of an image");
	}
}

/* The disk after a flush, and the marks before the next flush */
struct state {
	unsigned int nr;	/* of the flush; 0 before the first mark */
	unsigned int first, step, left;
	bool chosen;		/* the image was written, print its files */
	unsigned int gen[SLOTS];
	off_t at;
};

static void end_state(struct state *s)
{
	unsigned int i;

	if (!s->chosen)
		return;
	s->chosen = false;
	printf("%u", s->nr);
	for (i = 0; i < SLOTS; i++)
		if (s->gen[i])
			printf(" %u:%u", i, s->gen[i]);
	printf("\n");
}

static void begin_state(struct state *s, const struct log_replay *r, int target)
{
	s->nr++;
	if (!s->left || s->nr < s->first || (s->nr - s->first) % s->step)
		return;
	write_image(r, target, s->at);
	s->at += r->size;
	s->left--;
	s->chosen = true;
}

static void take_mark(struct state *s, const char *text)
{
	unsigned int slot, gen;

	if (sscanf(text, "%u:%u", &slot, &gen) == 2 && slot < SLOTS)
		s->gen[slot] = gen;
}

static int replay(char **argv)
{
	struct state s = {
		.first = atoi(argv[3]), .step = atoi(argv[4]), .left = atoi(argv[5]),
		.at = 1 << 20,
	};
	int log = open(argv[0], O_RDONLY), target = open(argv[2], O_RDWR);
	enum log_event event;
	struct log_replay r;
	const char *why;
	char text[80];

	if (log < 0 || target < 0)
		die("open");
	why = log_open(&r, log, lseek(log, 0, SEEK_END), strtoull(argv[1], NULL, 0));
	if (why)
		die(why);
	while ((event = log_step(&r, text, sizeof(text))) > LOG_AT_END) {
		if (event == LOG_MARKED)
			take_mark(&s, text);
		else
			end_state(&s);
		if ((event == LOG_MARKED && !s.nr) || (event == LOG_FLUSHED && s.nr))
			begin_state(&s, &r, target);
	}
	if (event == LOG_BROKEN)
		die("the log makes no sense");
	end_state(&s);
	printf("flushes %u\n", s.nr);
	return fsync(target) ? 2 : 0;
}

/* Return: whether the sector has content @gen or one of the next two. */
static bool good_sector(unsigned int slot, unsigned int gen, unsigned int sector,
			const uint64_t *data)
{
	unsigned int i, g;

	for (g = gen; g <= gen + 2; g++) {
		for (i = 0; i < SECTOR / sizeof(*data); i++)
			if (data[i] != word(slot, g, sector))
				break;
		if (i == SECTOR / sizeof(*data))
			return true;
	}
	return false;
}

static int check_file(unsigned int slot, unsigned int gen)
{
	uint64_t data[MAX_BYTES / sizeof(uint64_t) + 1];
	/* If operation @gen unlinked it, a new file that is not fsynced yet may be incomplete. */
	bool partial = gone(slot, gen);
	unsigned int sector;
	char name[200];
	ssize_t got;
	int fd;

	snprintf(name, sizeof(name), "%s/file-%u", dir, slot);
	fd = open(name, O_RDONLY);
	if (fd < 0 && errno == ENOENT) {
		if (gone(slot, gen) || gone(slot, gen + 1))
			return 0;
		printf("fscrash: file %u of operation %u is lost\n", slot, gen);
		return 1;
	}
	got = fd < 0 ? -1 : read(fd, data, sizeof(data));
	if (fd >= 0)
		close(fd);
	if (partial && got >= 0 && got <= (ssize_t)length(slot)) {
		if (got < SECTOR || data[0] != word(slot, gen - 1, 0))
			return 0;
		printf("fscrash: file %u is back after operation %u\n", slot, gen);
		return 1;
	}
	if (got != (ssize_t)length(slot)) {
		printf("fscrash: file %u of operation %u has %zd bytes, not %zu\n", slot, gen,
		       got, length(slot));
		return 1;
	}
	for (sector = 0; sector < length(slot) / SECTOR; sector++) {
		const uint64_t *at = data + sector * SECTOR / sizeof(*data);

		if (!good_sector(slot, gen, sector, at)) {
			printf("fscrash: file %u of operation %u has 0x%llx in sector %u\n", slot,
			       gen, (unsigned long long)*at, sector);
			return 1;
		}
	}
	return 0;
}

static int check(char **files, int n)
{
	unsigned int slot, gen;
	int i, bad = 0;

	for (i = 0; i < n; i++) {
		if (sscanf(files[i], "%u:%u", &slot, &gen) != 2 || slot >= SLOTS)
			return 2;
		bad += check_file(slot, gen);
	}
	printf("fscrash: %d files, %d bad\n", n, bad);
	return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "run") && argc == 5) {
		dir = argv[3];
		return run(argv[2], atoi(argv[4]));
	}
	if (!strcmp(what, "mark") && argc > 2)
		return pass_on(argv + 2, argc - 2);
	if (!strcmp(what, "replay") && argc == 8)
		return replay(argv + 2);
	if (!strcmp(what, "check") && argc > 2) {
		dir = argv[2];
		return check(argv + 3, argc - 3);
	}
	fprintf(stderr, "usage: fscrash run|mark|replay|check …, see the source\n");
	return 2;
}
