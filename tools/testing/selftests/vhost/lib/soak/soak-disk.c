// SPDX-License-Identifier: GPL-2.0
/* Disks of the soak: content by generation, and the state after a process has died */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>
#include <linux/loop.h>

#include "soak.h"

#define WORDS	(SECTOR / sizeof(uint64_t))
#define CHUNK	128U	/* sectors */

const char *soak_say(struct soak_vm *vm, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(vm->why, sizeof(vm->why), fmt, args);
	va_end(args);
	return vm->why;
}

/* Each word tells its guest, sector and generation, and is never 0. */
static uint64_t word(const struct soak_vm *vm, unsigned int sector, uint32_t gen)
{
	if (!gen || gen & SOAK_ZEROES)
		return 0;
	return (uint64_t)(0xa0 | vm->nr) << 56 | (uint64_t)gen << 16 | sector;
}

void soak_content(const struct soak_vm *vm, unsigned int sector, uint32_t gen, void *data)
{
	uint64_t *to = data, w = word(vm, sector, gen);
	unsigned int k;

	for (k = 0; k < WORDS; k++)
		to[k] = w;
}

bool soak_is(const struct soak_vm *vm, unsigned int sector, uint32_t gen, const void *data)
{
	uint64_t w = word(vm, sector, gen);
	unsigned int k;

	for (k = 0; k < WORDS; k++)
		if (memcmp((const uint8_t *)data + k * sizeof(w), &w, sizeof(w)))
			return false;
	return true;
}

/* Open the disk with the flags that the device uses, so that both see the same data. */
int soak_open(const struct soak_disk *d)
{
	return open(d->path, O_RDWR | O_CLOEXEC | (d->direct ? O_DIRECT : 0));
}

/*
 * An owner that is killed waits for its requests, but not longer than 4 s.
 * After that only its locks tell whether writes may still arrive, see "When
 * the backend hangs" in uapi.rst.  On a busy host they do.
 */
const char *soak_lock(struct soak_vm *vm, const struct soak_disk *d, int fd)
{
	unsigned int ms = 0;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (!ms)
			vm->count[SOAK_LATE]++;
		if (++ms > SOAK_PATIENCE_MS)
			return soak_say(vm, "%s is in use after the exit of its process", d->path);
		usleep(1000);
	}
	if (ms > vm->latest)
		vm->latest = ms;
	return NULL;
}

unsigned int soak_size(const struct soak_disk *d, int fd)
{
	uint64_t bytes = 0;
	struct stat st;

	if (d->kind == BACKEND_FILE) {
		if (!fstat(fd, &st))
			bytes = st.st_size;
	} else if (ioctl(fd, BLKGETSIZE64, &bytes)) {
		bytes = 0;
	}
	/* only a part of a ramdisk is used */
	return bytes < SOAK_BYTES ? bytes / SECTOR : SOAK_SECTORS;
}

const char *soak_truncate(const struct soak_disk *d, unsigned int sectors)
{
	if (ftruncate(d->file, (off_t)sectors * SECTOR))
		return "ftruncate fails";
	if (d->loop >= 0 && ioctl(d->loop, LOOP_SET_CAPACITY))
		return "LOOP_SET_CAPACITY fails";
	return NULL;
}

const char *soak_repair(const struct soak_disk *d)
{
	return d->loop >= 0 && ioctl(d->loop, LOOP_SET_CAPACITY) ? "LOOP_SET_CAPACITY fails" :
								   NULL;
}

static const char *resolve_sector(struct soak_vm *vm, struct soak_disk *d, unsigned int i,
				  const uint64_t *data)
{
	struct soak_sector *s = &d->sector[i];
	bool cut = d->shrinking && i >= SOAK_SMALL;

	if (s->acked != s->sent && soak_is(vm, i, s->sent, data)) {
		vm->count[SOAK_NEW]++;
		s->acked = s->sent;
	} else if (soak_is(vm, i, s->acked, data)) {
		vm->count[SOAK_OLD] += s->acked != s->sent;
		s->sent = s->acked;
	} else if (cut && soak_is(vm, i, 0, data)) {
		s->acked = 0;
		s->sent = 0;
	} else {
		return soak_say(vm, "%s: sector %u is 0x%llx, must be of generation 0x%x or 0x%x",
				d->path, i, (unsigned long long)data[0], s->acked, s->sent);
	}
	return NULL;
}

const char *soak_resolve(struct soak_vm *vm, struct soak_disk *d, int fd)
{
	unsigned int size = soak_size(d, fd), i, k;
	const char *why = NULL;
	uint64_t *buf;

	if (posix_memalign((void **)&buf, 4096, CHUNK * SECTOR))
		return "no memory";
	for (i = 0; !why && i < size; i += CHUNK) {
		if (pread(fd, buf, CHUNK * SECTOR, (off_t)i * SECTOR) != (ssize_t)CHUNK * SECTOR)
			why = soak_say(vm, "%s can't be read at sector %u", d->path, i);
		for (k = 0; !why && k < CHUNK; k++)
			why = resolve_sector(vm, d, i + k, buf + k * WORDS);
	}
	/* sectors that were cut off are zeroes when the disk grows again */
	for (; !why && i < SOAK_SECTORS; i++)
		d->sector[i] = (struct soak_sector){ 0, 0 };
	if (!why)
		d->shrinking = false;
	free(buf);
	return why;
}
