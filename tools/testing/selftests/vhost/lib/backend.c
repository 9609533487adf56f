// SPDX-License-Identifier: GPL-2.0
/* What holds the data, and what it must hold. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static const char *make_file(struct backend *b, uint64_t size)
{
	static unsigned int count;
	int fd;

	snprintf(b->path, sizeof(b->path), "%s/vhost-test-%d-%u", test_dir(), getpid(),
		 count++);
	fd = open(b->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return say(b, "create");
	b->unlink = true;
	if (ftruncate(fd, size)) {
		close(fd);
		return say(b, "truncate");
	}
	close(fd);
	return NULL;
}

static const char *find_bdev(struct backend *b)
{
	const char *env = getenv("VHOST_TEST_BDEV");
	char file[sizeof(b->path)];
	const char *why;

	if (env) {
		snprintf(b->path, sizeof(b->path), "%s", env);
		return NULL;
	}
	if (!nullb_create(b, 0))
		return NULL;
	why = make_file(b, BACKEND_SIZE);
	if (why)
		return why;
	memcpy(file, b->path, sizeof(file));
	b->loop = loop_attach(file, b->path, sizeof(b->path));
	unlink(file);
	b->unlink = false;
	return b->loop < 0 ? "no block device: no VHOST_TEST_BDEV, null_blk or loop" : NULL;
}

static const char *find_slow(struct backend *b)
{
	const char *env = getenv("VHOST_TEST_SLOW_BDEV");

	if (!env)
		return nullb_create(b, SLOW_NSEC);
	snprintf(b->path, sizeof(b->path), "%s", env);
	return NULL;
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
		return say(b, "the tests want 1 to 256 MiB");
	}
	return NULL;
}

static const char *fill(struct backend *b)
{
	uint64_t off, part;
	struct rng r = { 0x5eed };

	if (posix_memalign((void **)&b->scratch, 4096, SCRATCH))
		return "no memory";
	b->model = malloc(b->size);
	rng_fill(&r, b->model, b->size);
	for (off = 0; off < b->size; off += part) {
		part = b->size - off < SCRATCH ? b->size - off : SCRATCH;
		memcpy(b->scratch, b->model + off, part);
		if (pwrite(b->check_fd, b->scratch, part, off) != (ssize_t)part)
			return say(b, "write");
	}
	return fsync(b->check_fd) ? say(b, "fsync") : NULL;
}

/* Another fd of the same backing, for the device. -errno: can't be opened so. */
int backend_reopen(struct backend *b, int flags)
{
	int fd = open(b->path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

const char *backend_open_sized(struct backend *b, enum backend_kind kind,
			       bool direct, uint64_t size)
{
	bool file = kind == BACKEND_FILE;
	const char *why;

	memset(b, 0, sizeof(*b));
	b->kind = kind;
	b->direct = direct;
	b->fd = -1;
	b->loop = -1;
	b->check_fd = -1;
	if (kind == BACKEND_SLOW)
		why = find_slow(b);
	else
		why = file ? make_file(b, size) : find_bdev(b);
	if (why)
		goto fail;
	b->fd = open(b->path, O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0));
	b->check_fd = open(b->path, O_RDWR | O_CLOEXEC | (file ? 0 : O_DIRECT));
	if (b->fd < 0 || b->check_fd < 0)
		why = say(b, direct ? "open with O_DIRECT" : "open");
	if (!why)
		why = measure(b);
	if (!why)
		why = fill(b);
	if (!why)
		return NULL;
fail:
	/* The caller says it before it closes: the text is in *b or constant */
	if (b->fd >= 0 || b->check_fd >= 0 || b->unlink || b->nullb[0])
		backend_close(b);
	return why;
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
	if (b->nullb[0])
		nullb_remove(b);
	free(b->model);
	free(b->scratch);
	b->fd = -1;
	b->check_fd = -1;
	b->loop = -1;
	b->unlink = false;
	b->model = NULL;
	b->scratch = NULL;
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
		 "backing at byte %llu (sector %llu) is 0x%02x, must be 0x%02x",
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

const char *backend_compare(struct backend *b, uint64_t off, uint64_t len)
{
	uint64_t from, to;

	/* A request that must fail may name any place at all */
	if (off >= b->size)
		off = b->size - 1;
	if (len > b->size - off)
		len = b->size - off;
	from = off < AROUND ? 0 : off - AROUND;
	to = (off + len + AROUND) & ~4095ULL;
	return compare(b, from & ~4095ULL, to < b->size ? to : b->size);
}

const char *backend_compare_all(struct backend *b)
{
	return compare(b, 0, b->size);
}
