// SPDX-License-Identifier: GPL-2.0
/*
 * Only drivers/vhost/blk is instrumented (tools/testing/kernel), so every
 * address is in the driver.  KCOV traces the thread that enables it.  Calls by
 * the vhost core in a worker go to the "remote" buffer of the caller of
 * SET_OWNER.  Code in the driver's workqueues and in interrupts is not seen.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kcov.h>

#include "device_kcov.h"

#define WORDS		(64 << 10)
#define TABLE		0x10000	/* a power of two, many more than there are places */
#define HANDLE		0x766862ULL	/* "vhb", of KCOV_SUBSYSTEM_COMMON */

static uint64_t *own, *remote;
static uint64_t places[TABLE], features[TABLE];
static unsigned int nr_places;

/* Return: true if @key is new. Nothing is added to a full table. */
static bool add(uint64_t *table, uint64_t key)
{
	uint64_t at = key * 0x9e3779b97f4a7c15ULL >> 48;
	unsigned int i;

	for (i = 0; i < TABLE; i++, at++) {
		uint64_t *slot = &table[at % TABLE];

		if (*slot == key)
			return false;
		if (!*slot) {
			*slot = key;
			return true;
		}
	}
	return false;
}

static uint64_t *open_buffer(int *fd)
{
	void *p;

	*fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (*fd < 0 || ioctl(*fd, KCOV_INIT_TRACE, WORDS))
		return NULL;
	p = mmap(NULL, WORDS * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

bool kcov_begin(void)
{
	struct kcov_remote_arg arg = {
		.trace_mode = KCOV_TRACE_PC,
		.area_size = WORDS,
		.common_handle = HANDLE,
	};
	int fd;

	own = open_buffer(&fd);
	if (!own || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		return false;
	remote = open_buffer(&fd);
	return remote && !ioctl(fd, KCOV_REMOTE_ENABLE, &arg);
}

static void reset(uint64_t *buffer)
{
	if (buffer)
		__atomic_store_n(buffer, 0, __ATOMIC_RELAXED);
}

void kcov_reset(void)
{
	reset(own);
	reset(remote);
}

static unsigned int collect(const uint64_t *buffer)
{
	uint64_t n = buffer ? __atomic_load_n(buffer, __ATOMIC_RELAXED) : 0, i;
	unsigned int new = 0;

	for (i = 1; i <= n && i < WORDS; i++)
		new += buffer[i] && add(places, buffer[i]);
	return new;
}

unsigned int kcov_collect(void)
{
	unsigned int new = collect(own) + collect(remote);

	nr_places += new;
	return new;
}

unsigned int kcov_total(void)
{
	return nr_places;
}

bool feature_seen(uint64_t what)
{
	return add(features, what + 1);
}

void kcov_print(FILE *f)
{
	unsigned int i;

	for (i = 0; i < TABLE; i++)
		if (places[i])
			fprintf(f, "0x%llx\n", (unsigned long long)places[i]);
}
