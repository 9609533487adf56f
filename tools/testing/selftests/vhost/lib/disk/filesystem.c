// SPDX-License-Identifier: GPL-2.0
/* File systems that the tests create */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>
#include <linux/fs.h>

#include "backend.h"
#include "filesystem.h"

static void reset(struct filesystem *f)
{
	memset(f, 0, sizeof(*f));
	f->image = -1;
	f->loop = -1;
}

/* Options of mkfs.TYPE for a small file system, without questions */
static const char *mkfs_options(const char *type)
{
	if (!strcmp(type, "ext4"))
		return "-q -F -b 4096";
	/* less than 109 MiB, with separate block groups for data and metadata */
	if (!strcmp(type, "btrfs"))
		return "-q -f --mixed";
	/* without these options mkfs.xfs refuses sizes below 300 MiB */
	if (!strcmp(type, "xfs")) {
		setenv("TEST_DIR", "1", 1);
		setenv("TEST_DEV", "1", 1);
		setenv("QA_CHECK_FS", "1", 1);
		return "-q -f -m reflink=1";
	}
	return "-q -f";
}

static const char *make(struct filesystem *f, const char *type, const char *mkfs,
			const char *options)
{
	static char why[64];
	char command[256];

	setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 0);
	snprintf(command, sizeof(command), "command -v mkfs.%s >/dev/null 2>&1", type);
	snprintf(why, sizeof(why), "no mkfs.%s", type);
	if (system(command))
		return why;
	snprintf(command, sizeof(command), "mkfs.%s %s %s %s >&2", type, mkfs_options(type),
		 mkfs, f->device);
	snprintf(why, sizeof(why), "mkfs.%s fails", type);
	if (system(command))
		return why;
	strcpy(f->dir, "/tmp/vhost-test-fs-XXXXXX");
	if (!mkdtemp(f->dir)) {
		f->dir[0] = '\0';
		return "no directory can be created in /tmp";
	}
	if (!mount(f->device, f->dir, type, 0, options))
		return NULL;
	snprintf(why, sizeof(why), errno == ENODEV ? "no %s in this kernel" :
						     "the %s can't be mounted", type);
	rmdir(f->dir);
	f->dir[0] = '\0';
	return why;
}

const char *fs_type_on_device(struct filesystem *f, const char *type, const char *device,
			      const char *mkfs, const char *options)
{
	reset(f);
	snprintf(f->device, sizeof(f->device), "%s", device);
	return make(f, type, mkfs, options);
}

const char *fs_on_device(struct filesystem *f, const char *device, const char *mkfs,
			 const char *options)
{
	return fs_type_on_device(f, "ext4", device, mkfs, options);
}

const char *fs_of_type(struct filesystem *f, const char *type, uint64_t size,
		       const char *mkfs, const char *options)
{
	char path[] = "/tmp/vhost-test-image-XXXXXX";

	reset(f);
	f->image = mkostemp(path, O_CLOEXEC);
	if (f->image < 0)
		return "no file can be created in /tmp";
	unlink(path);
	if (ftruncate(f->image, size))
		return "no room in /tmp";
	f->loop = loop_attach(f->image, 0, f->device, sizeof(f->device));
	return f->loop < 0 ? "no loop device" : make(f, type, mkfs, options);
}

const char *fs_on_loop(struct filesystem *f, uint64_t size, const char *mkfs,
		       const char *options)
{
	return fs_of_type(f, "ext4", size, mkfs, options);
}

const char *fs_set_nocow(const struct filesystem *f)
{
	int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), flags = 0;
	bool set;

	set = !ioctl(fd, FS_IOC_GETFLAGS, &flags);
	flags |= FS_NOCOW_FL;
	set = set && !ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
	return set ? NULL : "no chattr +C";
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
