// SPDX-License-Identifier: GPL-2.0
/* An ext4 of the test's own. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "backend.h"
#include "filesystem.h"

static void reset(struct filesystem *f)
{
	memset(f, 0, sizeof(*f));
	f->image = -1;
	f->loop = -1;
}

static const char *make(struct filesystem *f, const char *mkfs, const char *options)
{
	char command[256];

	setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 0);
	if (system("command -v mkfs.ext4 >/dev/null 2>&1"))
		return "no mkfs.ext4";
	snprintf(command, sizeof(command), "mkfs.ext4 -q -F -b 4096 %s %s >&2", mkfs, f->device);
	if (system(command))
		return "mkfs.ext4 fails";
	strcpy(f->dir, "/tmp/vhost-test-fs-XXXXXX");
	if (!mkdtemp(f->dir)) {
		f->dir[0] = '\0';
		return "no directory can be made in /tmp";
	}
	if (!mount(f->device, f->dir, "ext4", 0, options))
		return NULL;
	rmdir(f->dir);
	f->dir[0] = '\0';
	return "the ext4 can't be mounted";
}

const char *fs_on_device(struct filesystem *f, const char *device, const char *mkfs,
			 const char *options)
{
	reset(f);
	snprintf(f->device, sizeof(f->device), "%s", device);
	return make(f, mkfs, options);
}

const char *fs_on_loop(struct filesystem *f, uint64_t size, const char *mkfs,
		       const char *options)
{
	char path[] = "/tmp/vhost-test-image-XXXXXX";

	reset(f);
	f->image = mkostemp(path, O_CLOEXEC);
	if (f->image < 0)
		return "no file can be made in /tmp";
	unlink(path);
	if (ftruncate(f->image, size))
		return "no room in /tmp";
	f->loop = loop_attach(f->image, 0, f->device, sizeof(f->device));
	return f->loop < 0 ? "no loop device" : make(f, mkfs, options);
}

void fs_close(struct filesystem *f)
{
	if (f->dir[0]) {
		umount(f->dir);
		rmdir(f->dir);
	}
	if (f->loop >= 0)
		loop_detach(f->loop);
	if (f->image >= 0)
		close(f->image);
	reset(f);
}
