// SPDX-License-Identifier: GPL-2.0
/* Block devices of our own: null_blk by configfs, and loop. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/loop.h>

#include "backend.h"

#define NULLB_DIR	"/sys/kernel/config/nullb"

int loop_attach(const char *file, char *path, size_t len)
{
	struct loop_config config = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int ctl, nr, loop, backing, ret = -1;

	ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (ctl < 0)
		return -errno;
	nr = ioctl(ctl, LOOP_CTL_GET_FREE);
	close(ctl);
	if (nr < 0)
		return -errno;
	snprintf(path, len, "/dev/loop%d", nr);
	loop = open(path, O_RDWR | O_CLOEXEC);
	backing = open(file, O_RDWR | O_CLOEXEC);
	config.fd = backing;
	if (loop >= 0 && backing >= 0)
		ret = ioctl(loop, LOOP_CONFIGURE, &config);
	if (backing >= 0)
		close(backing);
	if (ret) {
		if (loop >= 0)
			close(loop);
		return -EIO;
	}
	/* Stays open until loop_detach(): the last close clears it */
	return loop;
}

void loop_detach(int loop)
{
	ioctl(loop, LOOP_CLR_FD);
	close(loop);
}

static int put(const char *dir, const char *name, const char *value)
{
	char path[256];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int get_index(const char *dir)
{
	char path[256], text[16] = "";
	int fd, nr = -1;

	snprintf(path, sizeof(path), "%s/index", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) > 0)
		nr = atoi(text);
	close(fd);
	return nr;
}

const char *nullb_create(struct backend *b, unsigned int delay_ns)
{
	static unsigned int count;
	char size[16], delay[16];
	const char *const attr[][2] = {
		{ "memory_backed", "1" }, { "blocksize", "512" }, { "size", size },
		{ "irqmode", delay_ns ? "2" : "0" }, { "completion_nsec", delay },
		{ "submit_queues", "1" }, { "hw_queue_depth", "128" },
		{ "power", "1" },
	};
	unsigned int i;

	snprintf(b->nullb, sizeof(b->nullb), NULLB_DIR "/vhost-test-%d-%u", getpid(), count++);
	if (mkdir(b->nullb, 0755)) {
		b->nullb[0] = '\0';
		return "no null_blk (CONFIG_BLK_DEV_NULL_BLK, configfs mounted)";
	}
	snprintf(size, sizeof(size), "%u", BACKEND_SIZE >> 20);
	snprintf(delay, sizeof(delay), "%u", delay_ns ? delay_ns : 10000);
	for (i = 0; i < ARRAY_SIZE(attr); i++) {
		if (put(b->nullb, attr[i][0], attr[i][1])) {
			nullb_remove(b);
			return "null_blk can't be memory backed here";
		}
	}
	/* Named after the directory; by its index where that was not yet so */
	snprintf(b->path, sizeof(b->path), "/dev/%s", strrchr(b->nullb, '/') + 1);
	if (!access(b->path, F_OK))
		return NULL;
	snprintf(b->path, sizeof(b->path), "/dev/nullb%d", get_index(b->nullb));
	if (!access(b->path, F_OK))
		return NULL;
	nullb_remove(b);
	return "null_blk made no device node";
}

void nullb_remove(struct backend *b)
{
	put(b->nullb, "power", "0");
	rmdir(b->nullb);
	b->nullb[0] = '\0';
}
