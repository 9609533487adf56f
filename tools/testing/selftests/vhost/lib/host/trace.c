// SPDX-License-Identifier: GPL-2.0
/* Enable the driver's tracepoints, and read the recorded events. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backend.h"
#include "trace.h"

#define TRACEFS	"/sys/kernel/tracing"
#define EVENTS	TRACEFS "/events/vhost_blk"
#define BIO_EVENT	TRACEFS "/events/block/block_bio_queue"

/* Disable all events, and clear the buffer. */
static bool trace_reset(void)
{
	int fd;

	if (put_attr(EVENTS, "enable", "0"))
		return false;
	fd = open(TRACEFS "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

const char *trace_begin(const char *events)
{
	char list[128], file[64], *save, *name;

	if (access(TRACEFS "/trace", F_OK) &&
	    mount("tracefs", TRACEFS, "tracefs", 0, NULL))
		return "no tracefs in this kernel";
	if (access(EVENTS, F_OK))
		return "no tracepoints of vhost_blk in this kernel";
	if (!trace_reset() || put_attr(TRACEFS, "trace_clock", "mono") ||
	    put_attr(TRACEFS, "buffer_size_kb", "4096") || put_attr(TRACEFS, "tracing_on", "1"))
		return "tracefs can't be written";
	snprintf(list, sizeof(list), "%s", events);
	for (name = strtok_r(list, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		snprintf(file, sizeof(file), "vhost_blk_%s/enable", name);
		if (put_attr(EVENTS, file, "1"))
			return "no such tracepoint";
	}
	return NULL;
}

FILE *trace_end(void)
{
	put_attr(EVENTS, "enable", "0");
	return fopen(TRACEFS "/trace", "r");
}

/* "  task-pid [cpu] flags time: vhost_blk_name: fields" */
bool trace_next(FILE *f, struct trace_event *e)
{
	char line[512], *at, *name;

	while (fgets(line, sizeof(line), f)) {
		name = strstr(line, ": vhost_blk_");
		if (line[0] == '#' || !name)
			continue;
		*name = '\0';
		at = strrchr(line, ' ');
		e->time = at ? strtod(at, NULL) : 0;
		if (sscanf(name + strlen(": vhost_blk_"), "%31[^:]: %255[^\n]", e->name,
			   e->fields) == 2)
			return true;
	}
	return false;
}

uint64_t trace_field(const struct trace_event *e, const char *key)
{
	const char *at = e->fields;
	size_t len = strlen(key);

	while (at) {
		if (!strncmp(at, key, len) && at[len] == '=')
			return strtoull(at + len + 1, NULL, 10);
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return UINT64_MAX;
}

/*
 * Is the tracepoint enabled since boot?  Then it stays enabled, because in an
 * emulator the code of a running kernel should not be changed.
 */
static bool bios_switched;	/* false if it was enabled before */
static char bios_of[32];	/* the device, as the event prints it */

static bool bios_traced(void)
{
	char on = '0';
	int fd = open(BIO_EVENT "/enable", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, &on, 1) != 1)
		on = '0';
	close(fd);
	return on == '1';
}

const char *trace_bios_begin(dev_t dev)
{
	char filter[48];
	const char *why = trace_begin("");

	if (why)
		return why;
	/* in the kernel's format: MKDEV() */
	snprintf(filter, sizeof(filter), "dev == %u", major(dev) << 20 | minor(dev));
	snprintf(bios_of, sizeof(bios_of), " %u,%u ", major(dev), minor(dev));
	if (put_attr(BIO_EVENT, "filter", filter))
		return "no block_bio_queue tracepoint in this kernel";
	if (bios_traced())
		return NULL;
	bios_switched = true;
	return put_attr(BIO_EVENT, "enable", "1") ? "block_bio_queue can't be switched on" : NULL;
}

bool trace_worker_bio(unsigned int ms)
{
	char line[512];
	bool seen = false;
	FILE *f;

	for (; !seen && ms; ms--) {
		f = fopen(TRACEFS "/trace", "r");
		while (f && !seen && fgets(line, sizeof(line), f))
			seen = strstr(line, ": block_bio_queue: ") && strstr(line, bios_of) &&
			       strstr(line, "[kworker/");
		if (f)
			fclose(f);
		if (!seen)
			usleep(1000);
	}
	return seen;
}

FILE *trace_bios_end(void)
{
	if (bios_switched)
		put_attr(BIO_EVENT, "enable", "0");
	bios_switched = false;
	put_attr(BIO_EVENT, "filter", "0");
	return fopen(TRACEFS "/trace", "r");
}

/* "  task-pid [cpu] flags time: block_bio_queue: 252,0 WFS 8 + 8 [comm]" */
bool trace_next_bio(FILE *f, struct trace_bio *b)
{
	const char *name = ": block_bio_queue: ";
	unsigned long long sector;
	char line[512], *at;

	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, name);
		if (line[0] == '#' || !at || !strstr(at, bios_of) ||
		    sscanf(at + strlen(name), "%*s %15s %llu + %u", b->rwbs, &sector,
			   &b->sectors) != 3)
			continue;
		b->sector = sector;
		b->fua = strchr(b->rwbs + 1, 'F');
		return true;
	}
	return false;
}
