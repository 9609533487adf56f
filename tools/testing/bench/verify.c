// SPDX-License-Identifier: GPL-2.0
/* Writes the data before a run and verifies it afterwards, without using the device. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

static int open_check(const struct lane *l)
{
	const char *path = l->load->check ? l->load->check : l->dev->path;

	return open(path, O_RDWR | O_CLOEXEC | (l->load->buffered ? 0 : O_DIRECT));
}

/* Write or check each block of the lane. */
static const char *each_block(struct lane *l, bool write)
{
	uint32_t len = l->load->block;
	struct slot s = { 0 };
	const char *why = NULL;
	uint64_t i;
	ssize_t n;
	int fd = open_check(l);

	if (fd < 0 || posix_memalign((void **)&s.data, 4096, len))
		return "cannot open the path for verifying the data";
	memset(s.data, 0, len);
	for (i = 0; !why && i < l->blocks; i++) {
		s.block = l->first_block + i;
		if (write) {
			pattern_fill(l, &s);
			n = pwrite(fd, s.data, len, s.block * len);
		} else {
			n = pread(fd, s.data, len, s.block * len);
		}
		if (n != len)
			why = "cannot read or write the data to verify";
		else if (!write && !pattern_check(l, &s))
			why = "a block does not have the data that was written last";
	}
	free(s.data);
	close(fd);
	return why;
}

const char *verify_prefill(struct lane *l)
{
	return each_block(l, true);
}

const char *verify_read_back(struct lane *l)
{
	return each_block(l, false);
}
