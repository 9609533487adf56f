// SPDX-License-Identifier: GPL-2.0
/* Fuzzes /dev/vhost-blk; see usage(). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "device_exec.h"
#include "device_kcov.h"
#include "device_watch.h"

#define CORPUS_MAX	2048
#define PROGRESS_S	10
#define GOOD_SIZE	0x100000

static const char * const text[] = {
	"Usage: device_fuzz [OPTION...]",
	"",
	"Runs random sequences of ioctls, ring changes, kicks and memory changes on",
	"/dev/vhost-blk, and keeps those that reach new code (by KCOV) or a new result",
	"of an ioctl.  From time to time the device, after a reset, and a new device",
	"must serve valid requests, and the disk must hold their data.",
	"",
	"  --seconds N   run for this time (60)",
	"  --runs N      run this number of sequences",
	"  --seed N      seed of the random numbers; the default is random and printed",
	"  --no-guide    use neither KCOV nor a corpus, so that a seed repeats a run",
	"  --replay FILE run this sequence, --runs times (1)",
	"  --every N     sequences between two checks with valid requests (64)",
	"  --save DIR    save the corpus, the current sequence, and the findings",
	"",
	"Exit 0: no findings.  1: findings.  2: cannot run here.  3: a hang.",
};

static struct {
	unsigned long seconds, runs, every;
	uint64_t seed;
	bool guide;
	const char *replay;
	const char *save;
} opt = { .seconds = 60, .every = 64, .guide = true };

static struct target target;
static struct guest good;
static struct backend good_disk;
static struct seq current;
static struct seq *corpus[CORPUS_MAX];
static unsigned int ncorpus;
static unsigned long sequences, operations, proofs, findings, begin;

static void usage(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(text); i++)
		printf("%s\n", text[i]);
}

/* Seconds since the program started */
static unsigned long seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec - begin;
}

static void save(const char *name, unsigned long n, const char *why)
{
	char path[512];
	FILE *f;

	if (!opt.save)
		return;
	snprintf(path, sizeof(path), "%s/%s-%05lu", opt.save, name, n);
	f = fopen(path, "we");
	if (!f) {
		perror(path);
		return;
	}
	if (why)
		fprintf(f, "# %s\n# seed %llu\n", why, (unsigned long long)opt.seed);
	seq_print(&current, f);
	fclose(f);
}

static void found(const char *why)
{
	printf("# FOUND in sequence %lu, seed %llu: %s\n", sequences,
	       (unsigned long long)opt.seed, why);
	seq_print(&current, stdout);
	fflush(stdout);
	save("found", findings++, why);
}

/* The file survives a panic of the host, if DIR is a directory of the real machine. */
static void save_current(void)
{
	static int fd = -1;
	static char *buf;
	static size_t len;
	char path[512];
	FILE *f;

	if (!opt.save)
		return;
	if (fd < 0) {
		snprintf(path, sizeof(path), "%s/current", opt.save);
		fd = open(path, O_WRONLY | O_CREAT | O_DSYNC | O_CLOEXEC, 0644);
	}
	f = open_memstream(&buf, &len);
	seq_print(&current, f);
	fclose(f);
	if (pwrite(fd, buf, len, 0) != (ssize_t)len || ftruncate(fd, len))
		perror(path);
	free(buf);
}

static void save_places(void)
{
	char path[512];
	FILE *f;

	if (!opt.save || !kcov_total())
		return;
	snprintf(path, sizeof(path), "%s/places", opt.save);
	f = fopen(path, "we");
	if (!f) {
		perror(path);
		return;
	}
	kcov_print(f);
	fclose(f);
}

static const char *prove_on(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < g->nrings; i++) {
		ring_reset(&g->ring[i], 0);
		eventfd_drain(g->ring[i].err);
		eventfd_drain(g->ring[i].call);
		eventfd_drain(g->ring[i].kick);
	}
	return guest_prove(g);
}

/* Send valid requests, to the mishandled device and to a new one. */
static const char *prove(struct target *t)
{
	static char why[512];
	const char *bad;
	long ret;

	race_stop(t);
	/* Without an owner, features can be acknowledged but not withdrawn. */
	ioctl(t->fd, VHOST_SET_OWNER, NULL);
	ret = ioctl(t->fd, VHOST_RESET_OWNER, NULL) ? errno : 0;
	if (ret) {
		snprintf(why, sizeof(why), "RESET_OWNER: %s", strerror(ret));
		return why;
	}
	good.fd = t->fd;
	t->fd = -1;
	good.stage = STAGE_OPEN;
	bad = prove_on(&good);
	guest_close(&good);
	if (bad) {
		snprintf(why, sizeof(why), "on the same device, reset: %s", bad);
		return why;
	}
	bad = prove_on(&good);
	guest_close(&good);
	if (!bad)
		bad = backend_compare_all(&good_disk);
	proofs++;
	if (!bad)
		return NULL;
	snprintf(why, sizeof(why), "on a fresh device: %s", bad);
	return why;
}

/* Return: did the sequence reach a new place? */
static bool run_current(struct target *t)
{
	const char *why = NULL;
	unsigned int i, new = 0;

	save_current();
	kcov_reset();
	target_open(t);
	for (i = 0; i < current.n; i++) {
		long ret = target_do(t, &current.op[i]);

		new += feature_seen((uint64_t)current.op[i].code << 32 | (uint32_t)ret);
		operations++;
		watch_progress();
	}
	sequences++;
	if (!(sequences % opt.every))
		why = prove(t);
	target_close(t);
	watch_progress();
	new += kcov_collect();
	if (why)
		found(why);
	why = klog_report();
	if (why)
		found(why);
	return new;
}

static void keep_current(struct rng *rng)
{
	unsigned int at = ncorpus;

	if (ncorpus < CORPUS_MAX)
		corpus[ncorpus++] = malloc(sizeof(current));
	else
		at = rng_below(rng, CORPUS_MAX);
	*corpus[at] = current;
	save("corpus", at, NULL);
}

static void next_sequence(struct rng *rng)
{
	if (!ncorpus || !rng_below(rng, 4)) {
		seq_random(&current, rng);
		return;
	}
	current = *corpus[rng_below(rng, ncorpus)];
	seq_mutate(&current, corpus[rng_below(rng, ncorpus)], rng);
	if (!current.n)
		seq_random(&current, rng);
}

static void report(const char *how)
{
	unsigned long s = seconds();

	printf("# %s%lu s: %lu sequences, %lu operations, %lu/s, %u places of the driver, ", how, s,
	       sequences, operations, operations / (s ? s : 1), kcov_total());
	printf("corpus %u, %lu proofs, %lu findings\n", ncorpus, proofs, findings);
	fflush(stdout);
}

/* Check the device after the last sequences, however few they are. */
static void prove_last(struct target *t)
{
	const char *why;

	target_open(t);
	why = prove(t);
	target_close(t);
	if (why)
		found(why);
}

static void fuzz(struct target *t)
{
	struct rng rng = { opt.seed };
	unsigned long next = PROGRESS_S;

	while (opt.runs ? sequences < opt.runs : seconds() < opt.seconds) {
		next_sequence(&rng);
		if (run_current(t) && opt.guide)
			keep_current(&rng);
		if (seconds() >= next) {
			report("");
			next = seconds() + PROGRESS_S;
		}
	}
	prove_last(t);
}

static int replay(struct target *t)
{
	FILE *f = fopen(opt.replay, "re");

	if (!f || !seq_read(&current, f)) {
		perror(opt.replay);
		return 2;
	}
	fclose(f);
	opt.every = 1;
	do {
		run_current(t);
	} while (sequences < opt.runs);
	return 0;
}

static void hang(const char *why)
{
	found(why);
	report("at the end: ");
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", 1, NULL, 't' }, { "runs", 1, NULL, 'n' }, { "seed", 1, NULL, 's' },
		{ "no-guide", 0, NULL, 'g' }, { "replay", 1, NULL, 'r' },
		{ "every", 1, NULL, 'e' }, { "save", 1, NULL, 'd' }, { "help", 0, NULL, 'h' },
		{ }
	};
	int c;

	opt.seed = rng_seed_from_env();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 't':
			opt.seconds = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			opt.runs = strtoul(optarg, NULL, 0);
			break;
		case 's':
			opt.seed = strtoull(optarg, NULL, 0);
			break;
		case 'g':
			opt.guide = false;
			break;
		case 'r':
			opt.replay = optarg;
			break;
		case 'e':
			opt.every = strtoul(optarg, NULL, 0);
			break;
		case 'd':
			opt.save = optarg;
			break;
		default:
			usage();
			exit(c == 'h' ? 0 : 2);
		}
	}
	if (!opt.every)
		opt.every = 1;
}

static const char *set_up(void)
{
	struct guest_opts opts = { .backend = &good_disk, .queues = 2, .num = 16, .mem = 1 << 20 };
	const char *why = target_init(&target);

	if (!why)
		why = backend_open_sized(&good_disk, BACKEND_BDEV, true, GOOD_SIZE);
	if (why)
		return why;
	guest_init(&good, &opts);
	return klog_begin() ? NULL : "no /dev/kmsg";
}

int main(int argc, char **argv)
{
	const char *why;
	int ret = 0;

	parse(argc, argv);
	setlinebuf(stdout);
	why = set_up();
	if (why) {
		fprintf(stderr, "device_fuzz: %s\n", why);
		return 2;
	}
	printf("# --seed %llu\n", (unsigned long long)opt.seed);
	if (!opt.guide || !kcov_begin())
		printf("# not guided by KCOV\n");
	watch_begin(hang);
	begin = seconds();
	if (opt.replay)
		ret = replay(&target);
	else
		fuzz(&target);
	report("at the end: ");
	save_places();
	guest_destroy(&good);
	backend_close(&good_disk);
	target_destroy(&target);
	return ret ? ret : findings != 0;
}
