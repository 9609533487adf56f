// SPDX-License-Identifier: GPL-2.0
/* scsi_debug, built in or as a module */
#define _GNU_SOURCE
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "scsi.h"

#define DRIVER	"/sys/bus/pseudo/drivers/scsi_debug"
#define DISKS	DRIVER "/adapter*/host*/target*/*:*/block/sd*"

int scsi_param(const char *name, const char *value)
{
	return put_attr("/sys/module/scsi_debug/parameters", name, value);
}

const char *scsi_load(const char *params)
{
	char command[256];
	unsigned int tries;
	glob_t found;

	if (access(DRIVER, F_OK))
		return "no scsi_debug";
	if (access("/sys/module/scsi_debug/initstate", F_OK))
		return "scsi_debug is built in, so its parameters cannot be changed";
	/* the last user of a disk that has been removed may be a moment behind */
	for (tries = 0; tries < 500 && !glob("/sys/class/scsi_device/*", 0, NULL, &found);
	     tries++) {
		globfree(&found);
		usleep(10000);
	}
	snprintf(command, sizeof(command),
		 "rmmod scsi_debug && modprobe ${VHOST_MODULES:+-d \"$VHOST_MODULES\"} %s %s",
		 "scsi_debug add_host=0", params);
	return system(command) ? "scsi_debug can't be loaded with other parameters" : NULL;
}

const char *scsi_open(struct scsi *s)
{
	unsigned int tries;
	glob_t found;
	int fd;

	if (access(DRIVER, F_OK))
		return "no scsi_debug";
	if (put_attr(DRIVER, "add_host", "1"))
		return "scsi_debug cannot add a host";
	/* it is looked for in the background */
	for (tries = 0; tries < 1000; tries++) {
		if (!glob(DISKS, 0, NULL, &found)) {
			snprintf(s->path, sizeof(s->path), "/dev/%s",
				 strrchr(found.gl_pathv[0], '/') + 1);
			globfree(&found);
			fd = open(s->path, O_RDWR | O_CLOEXEC);
			if (fd >= 0) {
				close(fd);
				return NULL;
			}
		}
		usleep(10000);
	}
	put_attr(DRIVER, "add_host", "-1");
	return "scsi_debug has no disk";
}

int scsi_delete(struct scsi *s)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "/sys/block/%s/device", strrchr(s->path, '/') + 1);
	return put_attr(dir, "delete", "1");
}

void scsi_close(struct scsi *s)
{
	s->path[0] = '\0';
	put_attr(DRIVER, "add_host", "-1");
}
