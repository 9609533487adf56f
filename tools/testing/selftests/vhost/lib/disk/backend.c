// SPDX-License-Identifier: GPL-2.0
/* Backends, and the model of what each must hold. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>

#include "request.h"

#define AROUND		65536U
#define SCRATCH		(256U << 10)
#define MAX_SIZE	(256ULL << 20)

static const char *say(struct backend *b, const char *what)
{
	snprintf(b->why, sizeof(b->why), "%s: %s: %s", b->path, what, strerror(errno));
	return b->why;
}

static const char *test_dir(void)
{
	const char *dir = getenv("VHOST_TEST_DIR");

	return dir ? dir : "/tmp";
}

/* VHOST_TEST_FILE: files are "written" at first, all of them, "sparse" or "preallocated". */
static bool file_is(const char *what)
{
	const char *env = getenv("VHOST_TEST_FILE");

	return !strcmp(env ? env : "written", what);
}

static const char *make_file(struct backend *b, const char *dir, uint64_t size)
{
	static unsigned int count;
	int fd;

	snprintf(b->path, sizeof(b->path), "%s/vhost-test-%d-%u", dir ? dir : test_dir(),
		 getpid(), count++);
	fd = open(b->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return say(b, "create");
	b->unlink = true;
	if (ftruncate(fd, size) ||
	    (file_is("preallocated") && fallocate(fd, 0, 0, size))) {
		close(fd);
		return say(b, "truncate or allocate");
	}
	close(fd);
	return NULL;
}

static const char *make_loop(struct backend *b, const struct backend_opts *opts)
{
	char file[sizeof(b->path)];
	const char *why = make_file(b, opts->dir, opts->size);

	if (why)
		return why;
	memcpy(file, b->path, sizeof(file));
	b->loop_file = open(file, O_RDWR | O_CLOEXEC);
	b->loop = loop_attach(b->loop_file, opts->block_size, b->path, sizeof(b->path));
	unlink(file);
	b->unlink = false;
	b->deterministic = true;
	return b->loop < 0 ? "no loop device" : NULL;
}

static const char *make_nullb(struct backend *b, const struct backend_opts *opts,
			      unsigned int delay_ns)
{
	b->deterministic = true;
	return nullb_create(b, opts->size, delay_ns, opts->nullb);
}

static const char *find_bdev(struct backend *b, const struct backend_opts *opts)
{
	const char *env = getenv("VHOST_TEST_BDEV");

	if (env) {
		snprintf(b->path, sizeof(b->path), "%s", env);
		return NULL;
	}
	return make_nullb(b, opts, 0) ? make_loop(b, opts) : NULL;
}

static const char *find_slow(struct backend *b, const struct backend_opts *opts)
{
	const char *env = getenv("VHOST_TEST_SLOW_BDEV");

	if (!env)
		return make_nullb(b, opts, SLOW_NSEC);
	snprintf(b->path, sizeof(b->path), "%s", env);
	return NULL;
}

static const char *find_erase(struct backend *b)
{
	snprintf(b->path, sizeof(b->path), "/dev/vhost-blk-erase");
	b->erased = 0xe5;
	return access(b->path, F_OK) ? "no disk with secure erase (CONFIG_VHOST_BLK_ERASE_DISK)" :
				       NULL;
}

static const char *find(struct backend *b, const struct backend_opts *opts)
{
	switch (opts->kind) {
	case BACKEND_FILE:
		b->deterministic = true;
		return make_file(b, opts->dir, opts->size);
	case BACKEND_BDEV:
		return find_bdev(b, opts);
	case BACKEND_SLOW:
		return find_slow(b, opts);
	case BACKEND_NULLB:
		return make_nullb(b, opts, 0);
	case BACKEND_LOOP:
		return make_loop(b, opts);
	case BACKEND_ERASE:
		return find_erase(b);
	case BACKEND_NAMED:
		snprintf(b->path, sizeof(b->path), "%s", opts->path);
		return NULL;
	}
	return "unknown kind of backend";
}

static const char *measure(struct backend *b)
{
	struct stat st;

	if (fstat(b->fd, &st))
		return say(b, "stat");
	b->size = st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(b->fd, BLKGETSIZE64, &b->size))
		return say(b, "BLKGETSIZE64");
	if (b->size < 1 << 20 || b->size > MAX_SIZE) {
		errno = EFBIG;
		return say(b, "the size must be 1 to 256 MiB");
	}
	b->block = SECTOR;
	b->writable = b->size;
	if (S_ISBLK(st.st_mode) && ioctl(b->fd, BLKSSZGET, &b->block))
		return say(b, "BLKSSZGET");
	return NULL;
}

static const char *fill(struct backend *b, bool blank)
{
	uint64_t off, part;
	struct rng r = { 0x5eed };

	if (posix_memalign((void **)&b->scratch, 4096, SCRATCH))
		return "no memory";
	b->model = calloc(1, b->size);
	if (blank)
		return NULL;
	if (b->kind != BACKEND_FILE && zones_reset(b))
		return say(b, "reset of the zones");
	rng_fill(&r, b->model, b->size);
	for (off = 0; off < b->size; off += part) {
		part = b->size - off < SCRATCH ? b->size - off : SCRATCH;
		memcpy(b->scratch, b->model + off, part);
		if (pwrite(b->check_fd, b->scratch, part, off) != (ssize_t)part)
			return say(b, "write");
	}
	return fsync(b->check_fd) ? say(b, "fsync") : NULL;
}

/* Open the backend once more, for the device. Return: -errno if it cannot be opened so. */
int backend_reopen(struct backend *b, int flags)
{
	int fd = open(b->path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

const char *backend_reopen_locked(struct backend *b, int flags)
{
	b->fd = backend_reopen(b, flags);
	return b->fd < 0 || flock(b->fd, LOCK_SH) ? "the backend can't be opened or locked" : NULL;
}

bool backend_in_use(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) || flock(fd, LOCK_UN);
}

bool backend_let_go(int fd, unsigned int ms)
{
	unsigned int waited;

	for (waited = 0; backend_in_use(fd); waited += 10) {
		if (waited >= ms)
			return false;
		usleep(10000);
	}
	return true;
}

void backend_none(struct backend *b)
{
	b->fd = -1;
	b->check_fd = -1;
	b->loop = -1;
	b->loop_file = -1;
}

const char *backend_open_as(struct backend *b, const struct backend_opts *want)
{
	struct backend_opts opts = *want;
	bool file = opts.kind == BACKEND_FILE;
	const char *why;

	if (!opts.size)
		opts.size = BACKEND_SIZE;
	memset(b, 0, sizeof(*b));
	b->kind = opts.kind;
	b->direct = opts.direct;
	backend_none(b);
	why = find(b, &opts);
	if (why)
		goto fail;
	b->fd = open(b->path, O_RDWR | O_CLOEXEC | (opts.direct ? O_DIRECT : 0));
	b->check_fd = open(b->path, O_RDWR | O_CLOEXEC | (file ? 0 : O_DIRECT));
	if (b->fd < 0 || b->check_fd < 0)
		why = say(b, opts.direct ? "open with O_DIRECT" : "open");
	if (!why)
		why = measure(b);
	if (!why)
		why = fill(b, opts.blank || (file && !file_is("written")));
	if (!why)
		return NULL;
fail:
	/* The caller reports the error before it closes: the text is in *b or constant */
	backend_close(b);
	return why;
}

const char *backend_open_sized(struct backend *b, enum backend_kind kind,
			       bool direct, uint64_t size)
{
	struct backend_opts opts = { .kind = kind, .direct = direct, .size = size };

	return backend_open_as(b, &opts);
}

const char *backend_open(struct backend *b, enum backend_kind kind, bool direct)
{
	return backend_open_sized(b, kind, direct, BACKEND_SIZE);
}

void backend_close(struct backend *b)
{
	if (b->fd >= 0)
		close(b->fd);
	if (b->check_fd >= 0)
		close(b->check_fd);
	if (b->unlink)
		unlink(b->path);
	if (b->loop >= 0)
		loop_detach(b->loop);
	if (b->loop_file >= 0)
		close(b->loop_file);
	if (b->nullb[0])
		nullb_remove(b);
	free(b->model);
	free(b->scratch);
	backend_none(b);
	b->unlink = false;
	b->model = NULL;
	b->scratch = NULL;
}

uint64_t backend_down(const struct backend *b, uint64_t sectors)
{
	return sectors - sectors % (b->block / SECTOR);
}

uint64_t backend_up(const struct backend *b, uint64_t sectors)
{
	return backend_down(b, sectors + b->block / SECTOR - 1);
}

uint32_t backend_up_bytes(const struct backend *b, uint32_t len)
{
	return (len + b->block - 1) / b->block * b->block;
}

void backend_model_write(struct backend *b, uint64_t off, const void *data, size_t len)
{
	memcpy(b->model + off, data, len);
}

static const char *compare_part(struct backend *b, uint64_t from, uint64_t to)
{
	uint64_t k;

	if (pread(b->check_fd, b->scratch, to - from, from) != (ssize_t)(to - from))
		return say(b, "read");
	if (!memcmp(b->scratch, b->model + from, to - from))
		return NULL;
	for (k = from; b->scratch[k - from] == b->model[k]; k++)
		;
	snprintf(b->why, sizeof(b->why),
		 "backend at byte %llu (sector %llu) is 0x%02x, must be 0x%02x",
		 (unsigned long long)k, (unsigned long long)k / SECTOR,
		 b->scratch[k - from], b->model[k]);
	return b->why;
}

static const char *compare(struct backend *b, uint64_t from, uint64_t to)
{
	const char *why = NULL;
	uint64_t part;

	for (; !why && from < to; from += part) {
		part = to - from < SCRATCH ? to - from : SCRATCH;
		why = compare_part(b, from, from + part);
	}
	return why;
}

const char *backend_compare_near(struct backend *b, uint64_t off, uint64_t len,
				 uint64_t around)
{
	uint64_t from, to;

	/* a request that must fail may name any offset */
	if (off >= b->size)
		off = b->size - 1;
	if (len > b->size - off)
		len = b->size - off;
	from = off < around ? 0 : off - around;
	to = (off + len + around) & ~4095ULL;
	return compare(b, from & ~4095ULL, to < b->size ? to : b->size);
}

const char *backend_compare(struct backend *b, uint64_t off, uint64_t len)
{
	return backend_compare_near(b, off, len, AROUND);
}

const char *backend_compare_all(struct backend *b)
{
	return compare(b, 0, b->size);
}

/*
 * The scratch buffer has @part bytes of the backend from @from on; copy those
 * that are in the range to the model.
 */
static void copy_overlap(struct backend *b, uint64_t from, uint64_t part, uint64_t off,
			 uint64_t len)
{
	uint64_t start = from > off ? from : off;
	uint64_t end = from + part < off + len ? from + part : off + len;

	memcpy(b->model + start, b->scratch + (start - from), end - start);
}

const char *backend_adopt(struct backend *b, uint64_t off, uint64_t len)
{
	uint64_t from = off & ~4095ULL, end = (off + len + 4095) & ~4095ULL, part;

	if (end > b->size)
		end = b->size;
	for (; from < end; from += part) {
		part = end - from < SCRATCH ? end - from : SCRATCH;
		if (pread(b->check_fd, b->scratch, part, from) != (ssize_t)part)
			return say(b, "read");
		copy_overlap(b, from, part, off, len);
	}
	return NULL;
}

const char *backend_resized(struct backend *b)
{
	uint64_t old = b->size;
	const char *why = measure(b);

	if (why || b->size <= old)
		return why;
	b->model = realloc(b->model, b->size);
	return backend_adopt(b, old, b->size - old);
}
