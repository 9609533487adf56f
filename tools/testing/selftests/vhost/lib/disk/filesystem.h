/* SPDX-License-Identifier: GPL-2.0 */
/* A file system of the test's own, if the test would harm a shared one */
#ifndef VHOST_TEST_FILESYSTEM_H
#define VHOST_TEST_FILESYSTEM_H

#include <stdint.h>

struct filesystem {
	char dir[64];		/* its mount point, or "" */
	char device[64];
	int image;		/* descriptor of the file below the loop device, else -1 */
	int loop;		/* descriptor of the loop device, else -1 */
};

/*
 * Create one on a block device, with options for mkfs.ext4 and mount().
 * Return: NULL, or what is missing
 */
const char *fs_on_device(struct filesystem *f, const char *device, const char *mkfs,
			 const char *options);
/* Create another type on a block device. */
const char *fs_type_on_device(struct filesystem *f, const char *type, const char *device,
			      const char *mkfs, const char *options);
/* Create one on a new loop device. */
const char *fs_on_loop(struct filesystem *f, uint64_t size, const char *mkfs,
		       const char *options);
/* Create another type, "btrfs" or "xfs", on a new loop device. */
const char *fs_of_type(struct filesystem *f, const char *type, uint64_t size,
		       const char *mkfs, const char *options);
/* chattr +C: files of a btrfs have no checksums, and are overwritten in place. */
const char *fs_set_nocow(const struct filesystem *f);
void fs_close(struct filesystem *f);

#endif /* VHOST_TEST_FILESYSTEM_H */
