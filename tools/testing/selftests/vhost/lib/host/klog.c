// SPDX-License-Identifier: GPL-2.0
/* The log of the kernel */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "klog.h"

int klog_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && lseek(fd, 0, SEEK_END) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

const char *klog_about(int klog, const struct backend *b)
{
	static char record[8192];
	const char *name = strrchr(b->path, '/') + 1;
	ssize_t len;

	for (;;) {
		len = read(klog, record, sizeof(record) - 1);
		if (len < 0 && errno == EPIPE)
			continue;
		if (len <= 0)
			return NULL;
		record[len] = '\0';
		if (strstr(record, name))
			return record;
	}
}
