// SPDX-License-Identifier: GPL-2.0
/*
 * The credentials of the guest's I/O are those of the process that attached the
 * backend.  If that process lacks a permission, or if its pwrite() has a side
 * effect, this applies to the guest too.  Root opens the image, as a management
 * daemon does, and a process of the unprivileged user "nobody" attaches it, as
 * the VMM does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/quota.h>
#include <sys/stat.h>

#include "filesystem.h"
#include "nobody.h"
#include "ranges.h"
#include "suite.h"

#define T_OUT		VIRTIO_BLK_T_OUT
#define T_ZEROES	VIRTIO_BLK_T_WRITE_ZEROES
#define T_DISCARD	VIRTIO_BLK_T_DISCARD
#define S_OK		VIRTIO_BLK_S_OK
#define S_IOERR		VIRTIO_BLK_S_IOERR
#define HOLE		(BACKEND_SIZE / 2 / SECTOR)

FIXTURE(creds) {
	struct filesystem fs;
	struct backend b;
	struct guest g;
	char node[64];
};

FIXTURE_VARIANT(creds) {
	bool direct;
};

FIXTURE_VARIANT_ADD(creds, direct) {
	.direct = true,
};

FIXTURE_VARIANT_ADD(creds, buffered) {
	.direct = false,
};

FIXTURE_SETUP(creds)
{
	const char *why = no_kernel("the model device is not in the kernel");

	self->fs.image = -1;
	self->fs.loop = -1;
	if (!why)
		why = nobody_node(self->node, sizeof(self->node));
	if (why)
		SKIP(return, "%s", why);
}

FIXTURE_TEARDOWN(creds)
{
	guest_destroy(&self->g);
	backend_close(&self->b);
	fs_close(&self->fs);
	unlink(self->node);
}

/*
 * A sparse file that belongs to "nobody" on a new ext4; only root may create
 * files there.
 */
static const char *open_file(struct filesystem *fs, struct backend *b, bool direct,
			     const char *mkfs, const char *options)
{
	struct backend_opts opts = {
		.kind = BACKEND_FILE, .direct = direct, .dir = fs->dir, .blank = true,
	};
	const char *why = fs_on_loop(fs, 32 << 20, mkfs, options);

	if (why)
		return why;
	if (chmod(fs->dir, 0777))
		return "chmod of the mount fails";
	why = backend_open_as(b, &opts);
	if (!why && fchown(b->check_fd, NOBODY, NOBODY))
		why = "chown of the image fails";
	return why;
}

/* Result of a pwrite() into the hole by the process itself; 0: success */
static int own_write(struct guest *g)
{
	struct backend *b = g->opts.backend;
	void *data = b->scratch;

	memset(data, 0x77, 4096);
	return pwrite(b->fd, data, 4096, BACKEND_SIZE / 4) == 4096 ? 0 : errno;
}

/* Fill the file system up, except for the blocks that are reserved for root. */
static int fill_up(struct guest *g)
{
	char path[256];
	int fd;

	strcpy(path, g->opts.backend->path);
	strcpy(strrchr(path, '/'), "/filler");
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	if (fd < 0)
		return errno;
	while (write(fd, g->opts.backend->scratch, 4096) == 4096)
		;
	return errno == ENOSPC || errno == EDQUOT ? 0 : errno;
}

static const char *boot_as(struct guest *g, const char *node)
{
	setenv("VHOST_TEST_DEV", node, 1);
	return guest_boot(g);
}

static int said(const char *why)
{
	if (why)
		fprintf(stderr, "# %s\n", why);
	return !!why;
}

/*
 * In the unprivileged process: where its own pwrite() fails, the guest's
 * requests fail too.
 */
static int no_room(struct guest *g, const char *node)
{
	const struct range hole = { HOLE, 8, 0 };
	const char *why;
	int err;

	if (fill_up(g))
		return said("the file system cannot be filled up");
	err = own_write(g);
	if (err != ENOSPC && err != EDQUOT)
		return said(guest_say(g, "pwrite() by the unprivileged user: %s", strerror(err)));
	why = boot_as(g, node);
	if (!why)
		why = request_simple(&g->ring[0], T_OUT, HOLE, 4096, S_IOERR);
	if (!why)
		why = ranges_run(&g->ring[0], T_ZEROES, &hole, 1, S_IOERR);
	/* a segment at an odd address is bounced, and so is its next window */
	if (!why)
		why = request_simple(&g->ring[0], T_OUT, HOLE + 64, 128 * 4096, S_IOERR);
	return said(why);
}

/* The guest of an unprivileged VMM cannot use blocks that are reserved for root. */
TEST_F_TIMEOUT(creds, reserved_blocks, 60)
{
	struct guest_opts opts = { .backend = &self->b,
				   .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES) };
	const char *why = open_file(&self->fs, &self->b, variant->direct, "-m 20", "");

	if (why)
		SKIP(return, "%s", why);
	guest_init(&self->g, &opts);
	EXPECT_EQ(0, as_nobody(no_room, &self->g, self->node));
	/* root can write to them: so some were reserved */
	EXPECT_EQ(4096, pwrite(self->b.check_fd, self->b.scratch, 4096, HOLE * SECTOR));
}

/* The quota of the VMM's user limits the guest too. */
TEST_F_TIMEOUT(creds, quota, 60)
{
	struct guest_opts opts = { .backend = &self->b,
				   .features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES) };
	struct dqblk limit = { .dqb_bhardlimit = 512, .dqb_valid = QIF_BLIMITS };
	const char *why = open_file(&self->fs, &self->b, variant->direct,
				    "-O quota -E quotatype=usrquota", "usrquota");

	if (why)
		SKIP(return, "with quota: %s", why);
	ASSERT_EQ(0, quotactl(QCMD(Q_SETQUOTA, USRQUOTA), self->fs.device, NOBODY,
			      (void *)&limit));
	guest_init(&self->g, &opts);
	EXPECT_EQ(0, as_nobody(no_room, &self->g, self->node));
}

/* In the unprivileged process; the mode is set to 4777 again before each step. */
static int clears_suid(struct guest *g, const char *node)
{
	static const uint32_t type[] = { T_OUT, T_OUT, T_ZEROES, T_DISCARD };
	struct backend *b = g->opts.backend;
	const char *why = boot_as(g, node);
	struct stat st;
	unsigned int i;

	for (i = 0; !why && i < ARRAY_SIZE(type); i++) {
		/* first a hole, then data that was written */
		const struct range range = { HOLE, 8, 0 };

		if (chmod(b->path, 04777))
			return said("chmod by the unprivileged user fails");
		if (type[i] == T_OUT)
			why = request_simple(&g->ring[0], T_OUT, HOLE, 4096, S_OK);
		else
			why = ranges_run(&g->ring[0], type[i], &range, 1, S_OK);
		if (!why && (stat(b->path, &st) || (st.st_mode & 07777) != 0777))
			why = guest_say(g, "mode %o after request %u, of type %u",
					st.st_mode & 07777, i, type[i]);
	}
	return said(why);
}

/*
 * A write by an unprivileged process clears the set-user-ID bit; a write by its
 * guest must do so too.
 */
TEST_F_TIMEOUT(creds, suid, 60)
{
	struct guest_opts opts = {
		.backend = &self->b,
		.features_on = BIT64(VIRTIO_BLK_F_WRITE_ZEROES) | BIT64(VIRTIO_BLK_F_DISCARD),
	};
	const char *why = open_file(&self->fs, &self->b, variant->direct, "", "");

	if (why)
		SKIP(return, "%s", why);
	guest_init(&self->g, &opts);
	EXPECT_EQ(0, as_nobody(clears_suid, &self->g, self->node));
}

TEST_HARNESS_MAIN
