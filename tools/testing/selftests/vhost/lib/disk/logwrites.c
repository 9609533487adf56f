// SPDX-License-Identifier: GPL-2.0
/* Replay of a log of dm-log-writes */
#define _GNU_SOURCE
#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "logwrites.h"

#define LOG_MAGIC	0x6a736677736872ULL
#define LOG_FLUSH	1
#define LOG_FUA		2
#define LOG_DISCARD	4
#define LOG_MARK	8
#define SECTOR		512U
#define CHUNK		(1024U * 1024)

struct log_super {
	uint64_t magic;
	uint64_t version;
	uint64_t entries;
	uint32_t sector_size;
};

/* one sector, followed by its data */
struct log_entry {
	uint64_t sector;
	uint64_t sectors;
	uint64_t flags;
	uint64_t text_len;
	char text[SECTOR - 32];
};

/* Map memory for the whole log; only the parts that are read are allocated. */
static bool make_room(struct log_replay *r)
{
	if (posix_memalign((void **)&r->log, 4096, r->log_size))
		return false;
	r->image = calloc(1, r->size);
	return r->image;
}

/* Return: @len bytes at r->pos; NULL: the log ends before */
static const void *look(struct log_replay *r, uint64_t len)
{
	if (len > r->log_size - r->pos)
		return NULL;
	while (r->got < r->pos + len) {
		uint64_t left = r->log_size - r->got;
		ssize_t n = pread(r->fd, r->log + r->got, left < CHUNK ? left : CHUNK, r->got);

		if (n <= 0)
			return NULL;
		r->got += n;
	}
	return r->log + r->pos;
}

const char *log_open(struct log_replay *r, int fd, uint64_t log_size, uint64_t disk_size)
{
	const struct log_super *super;

	memset(r, 0, sizeof(*r));
	r->fd = fd;
	r->log_size = log_size;
	r->size = disk_size;
	if (!make_room(r))
		return "no memory for the log";
	super = look(r, SECTOR);
	if (!super)
		return "the log can't be read";
	if (le64toh(super->magic) != LOG_MAGIC || le32toh(super->sector_size) != SECTOR)
		return "not a log of dm-log-writes with sectors of 512 bytes";
	r->left = le64toh(super->entries);
	r->pos = SECTOR;
	return NULL;
}

static bool apply(struct log_replay *r, const struct log_entry *e)
{
	bool discard = le64toh(e->flags) & LOG_DISCARD;
	uint64_t at = le64toh(e->sector) * SECTOR, len = le64toh(e->sectors) * SECTOR;
	const void *data;

	if (at > r->size || len > r->size - at)
		return false;
	if (discard) {
		memset(r->image + at, 0, len);
		return true;
	}
	data = look(r, len);
	if (!data)
		return false;
	memcpy(r->image + at, data, len);
	r->pos += len;
	return true;
}

enum log_event log_step(struct log_replay *r, char *mark, size_t len)
{
	const struct log_entry *e;
	uint64_t flags, text;

	if (!r->left)
		return LOG_AT_END;
	e = look(r, SECTOR);
	if (!e)
		return LOG_BROKEN;
	flags = le64toh(e->flags);
	text = le64toh(e->text_len);
	r->left--;
	r->pos += SECTOR;
	if (flags & LOG_MARK) {
		snprintf(mark, len, "%.*s", text < sizeof(e->text) ? (int)text : 0, e->text);
		return LOG_MARKED;
	}
	if (!apply(r, e))
		return LOG_BROKEN;
	return flags & (LOG_FLUSH | LOG_FUA) ? LOG_FLUSHED : LOG_WRITTEN;
}

const char *log_forward(struct log_replay *r, const char *mark)
{
	char text[SECTOR];

	for (;;) {
		switch (log_step(r, text, sizeof(text))) {
		case LOG_BROKEN:
			return "an entry of the log cannot be read, or is invalid";
		case LOG_AT_END:
			return "the mark is not in the log";
		case LOG_MARKED:
			if (!strcmp(text, mark))
				return NULL;
			break;
		default:
			break;
		}
	}
}

void log_close(struct log_replay *r)
{
	free(r->log);
	free(r->image);
	memset(r, 0, sizeof(*r));
}
