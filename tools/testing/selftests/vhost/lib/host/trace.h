/* SPDX-License-Identifier: GPL-2.0 */
/* The driver's tracepoints, read from tracefs. */
#ifndef VHOST_TEST_TRACE_H
#define VHOST_TEST_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* One event, in the order in which they were recorded */
struct trace_event {
	char name[32];		/* without "vhost_blk_" */
	double time;		/* in seconds */
	char fields[256];	/* as the event prints them: key=value ... */
};

/* Record these events ("kick submit") from now on.  NULL, or why that can't be here */
const char *trace_begin(const char *events);
/* Record no more; the events can be read until the next trace_begin(). */
FILE *trace_end(void);
bool trace_next(FILE *f, struct trace_event *e);
/* The number behind "key="; UINT64_MAX if the event has no such field */
uint64_t trace_field(const struct trace_event *e, const char *key);

/* A bio as the block layer has got it */
struct trace_bio {
	char rwbs[16];		/* see blk_fill_rwbs() of the kernel */
	uint64_t sector;
	unsigned int sectors;
	bool fua;		/* it reads or writes, with REQ_FUA */
};

/*
 * Record the bios of a block device from now on.  NULL, or why that can't be here.
 * If the device has no write cache, the block layer drops FUA before.
 */
const char *trace_bios_begin(dev_t dev);
/* Has a kernel worker submitted one since?  Waits for it. */
bool trace_worker_bio(unsigned int ms);
FILE *trace_bios_end(void);
bool trace_next_bio(FILE *f, struct trace_bio *b);

#endif /* VHOST_TEST_TRACE_H */
