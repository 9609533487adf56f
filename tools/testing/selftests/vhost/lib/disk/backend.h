/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Backends: the storage of the device under test, and a model of what it must
 * hold.  A check reads the backend through a separate file descriptor and
 * compares.
 */
#ifndef VHOST_TEST_BACKEND_H
#define VHOST_TEST_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#define BACKEND_SIZE	(4U << 20)

enum backend_kind {
	BACKEND_FILE,
	BACKEND_BDEV,
	BACKEND_SLOW,		/* a block device whose requests take a long time */
	BACKEND_NULLB,		/* a null_blk device that the test creates */
	BACKEND_LOOP,		/* a loop device that the test creates */
	BACKEND_ERASE,		/* the disk of CONFIG_VHOST_BLK_ERASE_DISK */
	BACKEND_NAMED,		/* a block device of the caller, see @path */
};

/* An attribute in a null_blk's configfs directory, written before power-on */
struct nullb_attr {
	const char *name;
	const char *value;
};

struct backend_opts {
	enum backend_kind kind;
	bool direct;
	uint64_t size;			/* 0: BACKEND_SIZE */
	const char *dir;		/* directory of a file; NULL: VHOST_TEST_DIR */
	const char *path;		/* for BACKEND_NAMED */
	const struct nullb_attr *nullb;	/* additional attributes; ends with a NULL name */
	unsigned int block_size;	/* of a loop device; 0: 512 */
	bool blank;			/* do not write the pattern: the backend reads as zeroes */
};

struct backend {
	enum backend_kind kind;
	bool direct;
	int fd;			/* for the device */
	int check_fd;		/* for the checks only */
	uint64_t size;
	uint32_t block;		/* bytes of a logical block; once attached, from GET_CONFIG */
	uint64_t writable;	/* bytes from the start that can be written in any order */
	uint8_t *model;
	uint8_t *scratch;
	char path[192];
	char why[512];
	bool unlink;
	bool deterministic;	/* discarded sectors read as zeroes */
	uint8_t erased;		/* value of the bytes of securely erased sectors */
	int loop;		/* the loop device of this backend, else -1 */
	int loop_file;		/* the file below it, else -1 */
	char nullb[128];	/* configfs directory of the null_blk of this backend, else "" */
};

/*
 * Return: NULL, or the reason why there is no such backend here; the caller
 * then skips.  The backend is filled with a pattern that is different in each
 * sector.
 */
const char *backend_open(struct backend *b, enum backend_kind kind, bool direct);
const char *backend_open_sized(struct backend *b, enum backend_kind kind,
			       bool direct, uint64_t size);
const char *backend_open_as(struct backend *b, const struct backend_opts *opts);
/* Nothing is open: backend_close() may be called although backend_open() was not */
void backend_none(struct backend *b);
void backend_close(struct backend *b);
int backend_reopen(struct backend *b, int flags);

/*
 * Locks (flock) of the file.  The kernel holds a lock as long as a process or a
 * device has the description of the file that was locked.  Another description
 * shows whether that is so.
 *
 * Set b->fd to a new description with a shared lock, for a VMM in a process of
 * its own.  Return: NULL, or why this fails
 */
const char *backend_reopen_locked(struct backend *b, int flags);
/* Has a description other than that of @fd the lock? */
bool backend_in_use(int fd);
/* Wait until none has it.  Return: has that happened within @ms? */
bool backend_let_go(int fd, unsigned int ms);

/* After a change of the size: adapt the model; new sectors are what they read as. */
const char *backend_resized(struct backend *b);
void backend_model_write(struct backend *b, uint64_t off, const void *data,
			 size_t len);
/* Compare the backend with the model: @len bytes at @off, and 64 KiB on either side. */
const char *backend_compare(struct backend *b, uint64_t off, uint64_t len);
const char *backend_compare_near(struct backend *b, uint64_t off, uint64_t len,
				 uint64_t around);
const char *backend_compare_all(struct backend *b);
/* Take the present content of the backend into the model. */
const char *backend_adopt(struct backend *b, uint64_t off, uint64_t len);
/* @sectors, or @len in bytes, rounded down or up to whole logical blocks */
uint64_t backend_down(const struct backend *b, uint64_t sectors);
uint64_t backend_up(const struct backend *b, uint64_t sectors);
uint32_t backend_up_bytes(const struct backend *b, uint32_t len);
/* A number from the queue/ (or other) directory of the block device; -1: there is none */
long long backend_sysfs(struct backend *b, const char *attr);

/* loop.c */
int loop_attach(int backing, unsigned int block_size, char *path, size_t len);
void loop_detach(int loop);

/* null_blk.c */
#define SLOW_NSEC	20000000	/* time of a request of a BACKEND_SLOW */

/* @size is in bytes, whole MiB; @extra may be NULL */
const char *nullb_create(struct backend *b, uint64_t size, unsigned int delay_ns,
			 const struct nullb_attr *extra);
int nullb_put(struct backend *b, const char *name, const char *value);
const char *nullb_path(struct backend *b);
void nullb_remove(struct backend *b);

/* Reset sequential zones. Return: offset of the first one; -1 and errno on error */
int zones_reset(struct backend *b);

int put_attr(const char *dir, const char *name, const char *value);

#endif /* VHOST_TEST_BACKEND_H */
