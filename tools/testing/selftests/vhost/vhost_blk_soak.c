// SPDX-License-Identifier: GPL-2.0
/*
 * Soak: VHOST_SOAK_VMS (8) processes run for VHOST_SOAK_SECONDS (60).  Each
 * uses a device with one to four queues and two disks of different kinds, and
 * verifies everything it reads.  Meanwhile it stops, swaps, resizes, resets,
 * reopens, changes memory tables, exits and is killed.  VHOST_TEST_SEED repeats
 * the decisions, but not the exact moment at which a process is killed.
 *
 * Prints TAP on stdout, and a progress line every 30 seconds on stderr.  In the
 * end every disk must hold the expected data, and the kernel must not use more
 * memory than after the warm-up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "flat.h"
#include "soak.h"

#define PROGRESS	30	/* seconds between two progress lines */
#define REST		600	/* seconds between two measurements of memory */
#define LIFE		2000	/* a process is killed after at most this many requests, */
#define EARLY_MS	200	/* or after at most this time */
#define STALL		90	/* seconds without a completed request: it hangs */

enum { DISK_NULLB, DISK_DIRECT, DISK_LOOP, DISK_BUFFERED, DISK_RAM, DISKS };

struct watch {
	uint64_t kill_at;	/* number of requests at which it is killed */
	uint64_t kill_ms;	/* time at which it is killed; 0: not by time */
	uint64_t requests;	/* at the last check */
	time_t moved;		/* time of the last progress */
};

static struct soak *soak;
static struct backend backend[SOAK_VMS][2];
static struct watch watch[SOAK_VMS];
static unsigned int nvms;
static struct rng rng;
static uint64_t seed;
static struct timespec began;

static unsigned int from_env(const char *name, unsigned int fallback, unsigned int most)
{
	const char *text = getenv(name);
	unsigned int n = text ? strtoul(text, NULL, 0) : fallback;

	return n < 1 ? 1 : n > most ? most : n;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (t.tv_sec - began.tv_sec) * 1000 + (t.tv_nsec - began.tv_nsec) / 1000000;
}

static const char *open_ram(struct backend *b, unsigned int nr)
{
	struct backend_opts opts = { .kind = BACKEND_NAMED, .direct = true, .blank = true };
	char path[32];

	snprintf(path, sizeof(path), "/dev/ram%u", nr);
	/* opening the node creates the device */
	if (access(path, F_OK) && mknod(path, S_IFBLK | 0600, makedev(1, nr)))
		return "no ramdisk";
	opts.path = path;
	return backend_open_as(b, &opts);
}

static const char *open_kind(struct backend *b, unsigned int kind, unsigned int nr)
{
	struct backend_opts opts = { .direct = kind != DISK_BUFFERED, .size = SOAK_BYTES,
				     .blank = true };

	switch (kind) {
	case DISK_RAM:
		return open_ram(b, nr);
	case DISK_NULLB:
		opts.kind = BACKEND_NULLB;
		break;
	case DISK_LOOP:
		opts.kind = BACKEND_LOOP;
		break;
	default:
		opts.kind = BACKEND_FILE;
	}
	return backend_open_as(b, &opts);
}

/* Write the whole disk, so that its memory is allocated before the first measurement. */
static const char *blank(struct backend *b)
{
	const size_t part = 65536;
	uint64_t off;
	void *zeroes;

	if (posix_memalign(&zeroes, 4096, part))
		return "no memory";
	memset(zeroes, 0, part);
	for (off = 0; off < SOAK_BYTES; off += part)
		if (pwrite(b->check_fd, zeroes, part, off) != (ssize_t)part)
			break;
	free(zeroes);
	return off < SOAK_BYTES || fsync(b->check_fd) ? "a disk can't be written" : NULL;
}

static const char *make_disk(struct soak_disk *d, struct backend *b, unsigned int kind,
			     unsigned int nr)
{
	const char *why = open_kind(b, kind, nr);

	if (!why)
		why = blank(b);
	if (why)
		return why;
	d->kind = b->kind;
	d->direct = b->direct;
	d->loop = b->loop;
	d->file = b->loop_file >= 0 ? b->loop_file : b->kind == BACKEND_FILE ? b->check_fd : -1;
	memcpy(d->path, b->path, sizeof(d->path));
	return NULL;
}

/* Make two disks of different kinds; each pair of kinds occurs in turn. */
static const char *make_disks(struct soak_vm *vm)
{
	unsigned int step = 1 + vm->nr / DISKS, i;
	const char *why = NULL;

	for (i = 0; !why && i < 2; i++) {
		unsigned int kind = (vm->nr + i * step) % DISKS;

		why = make_disk(&vm->disk[i], &backend[vm->nr][i], kind, 2 * vm->nr + i);
		printf("# vm %u disk %u: %s %s%s\n", vm->nr, i, vm->disk[i].path,
		       vm->disk[i].direct ? "direct" : "buffered",
		       vm->disk[i].file >= 0 ? ", resized" : "");
	}
	return why;
}

static void spawn(struct soak_vm *vm)
{
	struct watch *w = &watch[vm->nr];
	uint64_t own;
	pid_t pid;

	vm->lives++;
	own = seed ^ (uint64_t)(vm->nr + 1) << 48 ^ (uint64_t)vm->lives << 24;
	fflush(stdout);
	vm->count[SOAK_STARTS]++;
	w->kill_at = vm->count[SOAK_REQUESTS] + rng_below(&rng, LIFE);
	w->kill_ms = rng_below(&rng, 4) ? 0 : now_ms() + rng_below(&rng, EARLY_MS);
	w->moved = time(NULL);
	/* the child needs vm->pid too */
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		soak_live(soak, vm, own);
	}
	vm->pid = pid;
}

/* Return: false if the process found an error, or died otherwise than by our signal */
static bool reap(struct soak_vm *vm, bool wait)
{
	int status;

	if (!vm->pid || waitpid(vm->pid, &status, wait ? 0 : WNOHANG) != vm->pid)
		return true;
	vm->pid = 0;
	if (vm->why[0])
		return false;
	if (!(WIFEXITED(status) && !WEXITSTATUS(status)) &&
	    !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
		soak_say(vm, "the process ended with status 0x%x", status);
		return false;
	}
	return true;
}

static bool stalled(struct soak_vm *vm)
{
	struct watch *w = &watch[vm->nr];
	uint64_t n = vm->count[SOAK_REQUESTS];

	if (n != w->requests)
		w->moved = time(NULL);
	w->requests = n;
	if (time(NULL) - w->moved < STALL)
		return false;
	soak_say(vm, "no request has completed for %u s", STALL);
	return true;
}

static bool must_die(struct soak_vm *vm)
{
	struct watch *w = &watch[vm->nr];

	return vm->count[SOAK_REQUESTS] > w->kill_at || (w->kill_ms && now_ms() >= w->kill_ms);
}

static bool look_after(struct soak_vm *vm)
{
	if (!reap(vm, false))
		return false;
	if (!vm->pid) {
		spawn(vm);
	} else if (must_die(vm)) {
		kill(vm->pid, SIGKILL);
		vm->count[SOAK_KILLS]++;
		if (!reap(vm, true))
			return false;
		spawn(vm);
	}
	return !stalled(vm);
}

static uint64_t sum(enum soak_count what)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < nvms; i++)
		n += soak->vm[i].count[what];
	return n;
}

static unsigned int latest(void)
{
	unsigned int ms = 0, i;

	for (i = 0; i < nvms; i++)
		if (soak->vm[i].latest > ms)
			ms = soak->vm[i].latest;
	return ms;
}

#define SUM(what)	((unsigned long long)sum(SOAK_ ## what))

static void say_counts(FILE *to, const char *when)
{
	fprintf(to, "# %s %llu s: %llu requests (%llu flushes), ", when,
		(unsigned long long)now_ms() / 1000, SUM(REQUESTS), SUM(FLUSHES));
	fprintf(to, "%llu MiB written, %llu MiB verified, ", SUM(WRITTEN) >> 20, SUM(READ) >> 20);
	fprintf(to, "stops %llu, of one queue %llu, resets %llu, reopens %llu, swaps %llu, ",
		SUM(STOPS), SUM(BASES), SUM(RESETS), SUM(REOPENS), SUM(SWAPS));
	fprintf(to, "resizes %llu, tables %llu, cache modes %llu, ", SUM(RESIZES), SUM(TABLES),
		SUM(MODES));
	fprintf(to, "processes %llu, exits %llu, kills %llu ", SUM(STARTS), SUM(EXITS),
		SUM(KILLS));
	fprintf(to, "(sectors in flight then: %llu old, %llu new; ", SUM(OLD), SUM(NEW));
	fprintf(to, "disks in use for longer %llu, up to %u ms)\n", SUM(LATE), latest());
	fflush(to);
}

/* Until then, start and kill processes. Return: false if one found an error */
static bool load_until(uint64_t end_ms)
{
	static uint64_t next = PROGRESS * 1000;
	unsigned int i;

	soak->rest = false;
	while (now_ms() < end_ms) {
		for (i = 0; i < nvms; i++)
			if (!look_after(&soak->vm[i]))
				return false;
		if (now_ms() >= next) {
			say_counts(stderr, "after");
			next += PROGRESS * 1000;
		}
		usleep(10000);
	}
	return true;
}

/* Let all processes exit by themselves, with nothing in flight. */
static bool rest(void)
{
	uint64_t end = now_ms() + STALL * 1000;
	unsigned int i, left = nvms;
	bool good = true;

	__atomic_store_n(&soak->rest, true, __ATOMIC_RELAXED);
	while (left && now_ms() < end) {
		for (i = left = 0; i < nvms; i++) {
			good &= reap(&soak->vm[i], false);
			left += soak->vm[i].pid != 0;
		}
		usleep(10000);
	}
	for (i = 0; i < nvms; i++) {
		if (!soak->vm[i].pid)
			continue;
		good = false;
		soak_say(&soak->vm[i], "the process does not exit");
		kill(soak->vm[i].pid, SIGKILL);
		reap(&soak->vm[i], true);
	}
	return good;
}

/* Read the disks directly: no sector is in flight now. */
static bool check_disks(void)
{
	bool good = true;
	unsigned int i, k;

	for (i = 0; i < nvms; i++)
		for (k = 0; k < 2; k++) {
			struct soak_disk *d = &soak->vm[i].disk[k];
			int fd = soak_open(d);

			if (soak_lock(&soak->vm[i], d, fd) || soak_resolve(&soak->vm[i], d, fd))
				good = false;
			close(fd);
		}
	return good;
}

static void say_why(void)
{
	unsigned int i;

	for (i = 0; i < nvms; i++)
		if (soak->vm[i].why[0])
			printf("# vm %u, life %u: %s\n", i, soak->vm[i].lives, soak->vm[i].why);
}

static void result(unsigned int n, const char *what, bool good)
{
	printf("%sok %u %s\n", good ? "" : "not ", n, what);
	fflush(stdout);
}

/*
 * Load and rests in turn.  The first load is short: memory that is allocated
 * once is allocated then.
 */
static bool run(unsigned int seconds, struct flat *first, struct flat *last, const char **why)
{
	uint64_t end = now_ms() + seconds * 1000ULL;
	uint64_t until = now_ms() + (seconds < 480 ? seconds / 4 : 120) * 1000ULL;
	bool good = true, warm = false;

	for (*why = NULL; good && !*why; until = until + REST * 1000 < end ? until + REST * 1000 :
									    end) {
		good = load_until(until);
		good &= rest();
		*why = flat_measure(last);
		if (!warm)
			*first = *last;
		warm = true;
		printf("# memory after %llu s: used %ld kB, slab objects %ld kB\n",
		       (unsigned long long)now_ms() / 1000, last->used, last->slab);
		if (until >= end)
			break;
	}
	return good;
}

static const char *set_up(void)
{
	const char *why = NULL;
	unsigned int i;

	soak = mmap(NULL, sizeof(*soak), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		    0);
	if (soak == MAP_FAILED)
		return "no memory";
	for (i = 0; !why && i < nvms; i++) {
		soak->vm[i].nr = i;
		why = make_disks(&soak->vm[i]);
	}
	return why;
}

int main(void)
{
	unsigned int seconds = from_env("VHOST_SOAK_SECONDS", 60, 1000000), i;
	static struct flat first, last;
	const char *why;
	bool good, disks, flat;

	nvms = from_env("VHOST_SOAK_VMS", 8, SOAK_VMS);
	seed = rng_seed_from_env();
	rng.state = seed;
	clock_gettime(CLOCK_MONOTONIC, &began);
	printf("TAP version 13\n1..3\n# VHOST_TEST_SEED=%llu, %u processes, %u s\n",
	       (unsigned long long)seed, nvms, seconds);
	fflush(stdout);
	why = set_up();
	if (why) {
		printf("Bail out! %s\n", why);
		return 1;
	}
	good = run(seconds, &first, &last, &why);
	disks = check_disks();
	say_counts(stdout, "at the end");
	say_why();
	result(1, "every request ends as it must", good);
	result(2, "every disk holds what it must", disks);
	if (why)
		printf("# memory: %s\n", why);
	flat = !why && flat_check(&first, &last);
	result(3, "memory is as after the warm-up", flat);
	for (i = 0; i < nvms; i++) {
		backend_close(&backend[i][0]);
		backend_close(&backend[i][1]);
	}
	return good && disks && flat ? 0 : 1;
}
