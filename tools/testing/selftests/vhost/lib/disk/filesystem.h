/* SPDX-License-Identifier: GPL-2.0 */
/* A file system of the test's own, for what must not happen to that of the run */
#ifndef VHOST_TEST_FILESYSTEM_H
#define VHOST_TEST_FILESYSTEM_H

#include <stdint.h>

struct filesystem {
	char dir[64];		/* where it is mounted, or "" */
	char device[64];
	int image;		/* file below the loop device, else -1 */
	int loop;		/* else -1 */
};

/* On a block device, with options for mkfs.ext4 and mount(). NULL, or what is missing */
const char *fs_on_device(struct filesystem *f, const char *device, const char *mkfs,
			 const char *options);
/* The same on a loop device of its own */
const char *fs_on_loop(struct filesystem *f, uint64_t size, const char *mkfs,
		       const char *options);
/* Another type than ext4, "btrfs" or "xfs", on a loop device too */
const char *fs_of_type(struct filesystem *f, const char *type, uint64_t size,
		       const char *mkfs, const char *options);
void fs_close(struct filesystem *f);

#endif /* VHOST_TEST_FILESYSTEM_H */
