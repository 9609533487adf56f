/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What holds the data of the device under test, and a model of what it must
 * hold: checked by reading it through a file descriptor of our own.
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
	BACKEND_SLOW,		/* a block device whose requests take a while */
};

struct backend {
	enum backend_kind kind;
	bool direct;
	int fd;			/* handed to the device */
	int check_fd;		/* read by us alone */
	uint64_t size;
	uint8_t *model;
	uint8_t *scratch;
	char path[192];
	char why[512];
	bool unlink;
	int loop;		/* number of our own loop device, else -1 */
	char nullb[128];	/* configfs directory of our own null_blk, else "" */
};

/*
 * Returns NULL, or why there is no such backing here; the caller skips then.
 * The backing starts with a pattern that is different in each sector.
 */
const char *backend_open(struct backend *b, enum backend_kind kind, bool direct);
const char *backend_open_sized(struct backend *b, enum backend_kind kind,
			       bool direct, uint64_t size);
void backend_close(struct backend *b);
int backend_reopen(struct backend *b, int flags);

void backend_model_write(struct backend *b, uint64_t off, const void *data,
			 size_t len);
/* Compare the backing with the model: @len bytes at @off and 64 KiB either side. */
const char *backend_compare(struct backend *b, uint64_t off, uint64_t len);
const char *backend_compare_all(struct backend *b);

/* blockdev.c: block devices of our own */
#define SLOW_NSEC	20000000	/* what a request of a BACKEND_SLOW takes */

int loop_attach(const char *file, char *path, size_t len);
void loop_detach(int nr);
const char *nullb_create(struct backend *b, unsigned int delay_ns);
void nullb_remove(struct backend *b);

#endif /* VHOST_TEST_BACKEND_H */
