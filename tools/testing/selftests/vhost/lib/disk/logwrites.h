/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The log of dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst
 * of the kernel): a write is in it once it was flushed, or carried FUA.
 */
#ifndef VHOST_TEST_LOGWRITES_H
#define VHOST_TEST_LOGWRITES_H

#include <stddef.h>
#include <stdint.h>

/* A log that is complete, and the disk as it is at one place of it */
struct log_replay {
	int fd;
	uint8_t *log;
	uint64_t log_size;
	uint64_t got;		/* bytes of it that were read */
	uint64_t pos;
	uint64_t left;		/* entries */
	uint8_t *image;
	uint64_t size;
};

enum log_event {
	LOG_BROKEN = -1,	/* an entry that can't be read, or makes no sense */
	LOG_AT_END,
	LOG_WRITTEN,
	LOG_FLUSHED,		/* by a flush, or a write with FUA: it is a point to stop at */
	LOG_MARKED,
};

/* The disk was blank at the start of the log.  All return NULL, or what is wrong. */
const char *log_open(struct log_replay *r, int fd, uint64_t log_size, uint64_t disk_size);
/* One entry; the text of a mark, which is cut to @len */
enum log_event log_step(struct log_replay *r, char *mark, size_t len);
/* On to the next mark of this name */
const char *log_forward(struct log_replay *r, const char *mark);
void log_close(struct log_replay *r);

#endif /* VHOST_TEST_LOGWRITES_H */
