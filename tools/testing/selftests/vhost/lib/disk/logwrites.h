/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The log of dm-log-writes
 * (Documentation/admin-guide/device-mapper/log-writes.rst of the kernel): it
 * has each write, once the write was flushed or carried FUA.
 */
#ifndef VHOST_TEST_LOGWRITES_H
#define VHOST_TEST_LOGWRITES_H

#include <stddef.h>
#include <stdint.h>

/* A complete log, and the disk at one position of it */
struct log_replay {
	int fd;
	uint8_t *log;
	uint64_t log_size;
	uint64_t got;		/* bytes of the log that were read */
	uint64_t pos;
	uint64_t left;		/* remaining entries */
	uint8_t *image;
	uint64_t size;
};

enum log_event {
	LOG_BROKEN = -1,	/* an entry that cannot be read, or is invalid */
	LOG_AT_END,
	LOG_WRITTEN,
	LOG_FLUSHED,		/* a flush, or a write with FUA: a possible place of a power cut */
	LOG_MARKED,
};

/* The disk was blank at the start of the log. Return: NULL, or an error message. */
const char *log_open(struct log_replay *r, int fd, uint64_t log_size, uint64_t disk_size);
/* Replay one entry. @mark: the text of a mark, truncated to @len */
enum log_event log_step(struct log_replay *r, char *mark, size_t len);
/* Replay up to the next mark with this name. */
const char *log_forward(struct log_replay *r, const char *mark);
void log_close(struct log_replay *r);

#endif /* VHOST_TEST_LOGWRITES_H */
