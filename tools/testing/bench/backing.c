// SPDX-License-Identifier: GPL-2.0
/* The backing device: a block device or a file, opened as a VMM would do it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>

#include "load.h"

void device_size(struct device *dev, uint64_t bytes)
{
	uint64_t most = dev->load->size;

	dev->size = most && most < bytes ? most : bytes;
}

const char *backing_open(struct device *dev)
{
	const struct load *load = dev->load;
	int flags = O_RDWR | O_CLOEXEC | (load->buffered ? 0 : O_DIRECT);
	struct backend *b = &dev->backend;
	struct stat st;

	b->fd = open(dev->path, flags);
	if (b->fd < 0 || fstat(b->fd, &st)) {
		snprintf(dev->why, sizeof(dev->why), "%s: %s", dev->path, strerror(errno));
		return dev->why;
	}
	b->size = st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(b->fd, BLKGETSIZE64, &b->size))
		return "BLKGETSIZE64";
	device_size(dev, b->size);
	return NULL;
}

void backing_close(struct device *dev)
{
	close(dev->backend.fd);
}
