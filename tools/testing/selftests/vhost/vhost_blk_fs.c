// SPDX-License-Identifier: GPL-2.0
/*
 * What single file systems do in their own way: btrfs has checksums of what is
 * written.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <linux/fs.h>

#include "filesystem.h"
#include "flip.h"
#include "suite.h"

#define T_IN	VIRTIO_BLK_T_IN
#define T_OUT	VIRTIO_BLK_T_OUT
#define S_OK	VIRTIO_BLK_S_OK

FIXTURE(btrfs) {
	struct filesystem fs;
	struct backend b;
	struct guest g;
};

FIXTURE_VARIANT(btrfs) {
	bool nocow;
};

FIXTURE_VARIANT_ADD(btrfs, checksums) {
	.nocow = false,
};

FIXTURE_VARIANT_ADD(btrfs, nocow) {
	.nocow = true,
};

/* Files in it are not copied on write, and have no checksums: chattr +C */
static const char *set_nocow(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), flags = 0;
	bool set;

	set = !ioctl(fd, FS_IOC_GETFLAGS, &flags);
	flags |= FS_NOCOW_FL;
	set = set && !ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
	return set ? NULL : "no chattr +C";
}

FIXTURE_SETUP(btrfs)
{
	struct backend_opts file = { .kind = BACKEND_FILE, .direct = true, .dir = self->fs.dir };
	const char *why = no_kernel("the model device copies all data first");

	self->fs.image = -1;
	self->fs.loop = -1;
	if (!why)
		why = fs_of_type(&self->fs, "btrfs", 64 << 20, "", "");
	if (!why && variant->nocow)
		why = set_nocow(self->fs.dir);
	if (!why)
		why = backend_open_as(&self->b, &file);
	if (why)
		SKIP(return, "%s", why);
	BOOT(.queues = 1);
}

FIXTURE_TEARDOWN(btrfs)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	fs_close(&self->fs);
}

/*
 * A guest may change data that is being written: what is there then is this or that,
 * and can be read.  Data that doesn't match its checksum can't.
 */
TEST_F_TIMEOUT(btrfs, stable, 300)
{
	static const uint32_t len[] = { 4096, 65536, 512 << 10 };
	struct ring *r = &self->g.ring[0];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(len); i++) {
		ASSERT_WELL(flip_writes(r, 64, len[i], scaled(100, 20)));
		ASSERT_WELL(request_ends(r, T_IN, 64, len[i], S_OK));
		ASSERT_WELL(backend_adopt(&self->b, 64 * SECTOR, len[i]));
	}
	ASSERT_WELL(backend_compare_all(&self->b));
}

TEST_HARNESS_MAIN
