/* SPDX-License-Identifier: GPL-2.0 */
/* The driver's tracepoints, read from tracefs */
#ifndef VHOST_TEST_TRACE_H
#define VHOST_TEST_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* One event; events are read in the order in which they were recorded. */
struct trace_event {
	char name[32];		/* without "vhost_blk_" */
	double time;		/* in seconds */
	char fields[256];	/* as printed by the event: key=value ... */
};

/*
 * Record these events ("kick submit") from now on.  Return: NULL, or the reason
 * why this is not possible here
 */
const char *trace_begin(const char *events);
/* Stop recording; the events can be read until the next trace_begin(). */
FILE *trace_end(void);
bool trace_next(FILE *f, struct trace_event *e);
/* Return: the number after "key="; UINT64_MAX: the event has no such field */
uint64_t trace_field(const struct trace_event *e, const char *key);

/* A bio as it arrived at the block layer */
struct trace_bio {
	char rwbs[16];		/* see blk_fill_rwbs() of the kernel */
	uint64_t sector;
	unsigned int sectors;
	bool fua;		/* a read or write with REQ_FUA */
};

/*
 * Record the bios of a block device from now on.  If the device has no write
 * cache, the block layer drops FUA before.  Return: NULL, or the reason why
 * this is not possible here
 */
const char *trace_bios_begin(dev_t dev);
/* Has a kernel worker submitted one since?  Waits for it. */
bool trace_worker_bio(unsigned int ms);
FILE *trace_bios_end(void);
bool trace_next_bio(FILE *f, struct trace_bio *b);

#endif /* VHOST_TEST_TRACE_H */
