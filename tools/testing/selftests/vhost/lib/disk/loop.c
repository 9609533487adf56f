// SPDX-License-Identifier: GPL-2.0
/* Loop devices */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/loop.h>

#include "backend.h"

int loop_attach(int backing, unsigned int block_size, char *path, size_t len)
{
	struct loop_config config = {
		.block_size = block_size, .info.lo_flags = LO_FLAGS_AUTOCLEAR,
	};
	int ctl, nr, loop, ret = -1;

	ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (ctl < 0)
		return -errno;
	nr = ioctl(ctl, LOOP_CTL_GET_FREE);
	close(ctl);
	if (nr < 0)
		return -errno;
	snprintf(path, len, "/dev/loop%d", nr);
	loop = open(path, O_RDWR | O_CLOEXEC);
	config.fd = backing;
	if (loop >= 0)
		ret = ioctl(loop, LOOP_CONFIGURE, &config);
	if (ret) {
		if (loop >= 0)
			close(loop);
		return -EIO;
	}
	/* stays open until loop_detach(), because the last close clears it */
	return loop;
}

void loop_detach(int loop)
{
	ioctl(loop, LOOP_CLR_FD);
	close(loop);
}
