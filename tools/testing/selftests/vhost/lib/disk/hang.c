// SPDX-License-Identifier: GPL-2.0
/* Backends that hang */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>

#include "hang.h"

/* Freeze only a file system that is there for the tests. */
static const char *open_mount(struct hang *h)
{
	char dir[sizeof(h->disk.path)], up[sizeof(dir) + 4];
	struct stat st, above;
	char *slash;

	strcpy(dir, h->disk.path);
	slash = strrchr(dir, '/');
	*slash = '\0';
	snprintf(up, sizeof(up), "%s/..", dir);
	if (stat(dir, &st) || stat(up, &above) || st.st_dev == above.st_dev)
		return "the files are not on a file system of their own";
	h->frozen = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->frozen < 0)
		return "the directory of the files can't be opened";
	/* some file systems, such as tmpfs, cannot be frozen */
	if (ioctl(h->frozen, FIFREEZE, 0) || ioctl(h->frozen, FITHAW, 0))
		return "the file system of the files can't be frozen";
	return NULL;
}

static const char *open_dm(struct hang *h, const struct backend_opts *below)
{
	struct backend_opts opts = { .kind = BACKEND_NAMED, .direct = true };
	const char *why = backend_open_as(&h->below, below);
	char params[256];

	if (why)
		return why;
	snprintf(params, sizeof(params), "%s 0", h->below.path);
	why = dm_create(&h->dm, h->below.size / 512, "linear", params);
	if (why)
		return why;
	opts.path = h->dm.path;
	return backend_open_as(&h->disk, &opts);
}

const char *hang_on(struct hang *h)
{
	const char *why = NULL;

	if (h->frozen >= 0)
		why = ioctl(h->frozen, FIFREEZE, 0) ? "FIFREEZE fails" : NULL;
	else
		why = dm_suspend(&h->dm);
	h->on = !why;
	return why;
}

const char *hang_off(struct hang *h)
{
	h->on = false;
	if (h->frozen >= 0)
		return ioctl(h->frozen, FITHAW, 0) ? "FITHAW fails" : NULL;
	return dm_resume(&h->dm);
}

void *hang_map_page(const struct hang *h, off_t pos)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, h->disk.fd, pos);

	if (page == MAP_FAILED || fsync(h->disk.fd) ||
	    posix_fadvise(h->disk.fd, 0, 0, POSIX_FADV_DONTNEED))
		return NULL;
	return page;
}

void hang_close(struct hang *h)
{
	if (h->on)
		hang_off(h);
	backend_close(&h->disk);
	if (h->top.control >= 0)
		dm_remove(&h->top);
	if (h->dm.control >= 0)
		dm_remove(&h->dm);
	backend_close(&h->below);
	if (h->frozen >= 0)
		close(h->frozen);
}

static void none(struct hang *h)
{
	memset(h, 0, sizeof(*h));
	h->frozen = -1;
	h->dm.control = -1;
	h->top.control = -1;
	backend_none(&h->disk);
	h->below = h->disk;
}

const char *hang_open(struct hang *h, bool file)
{
	const struct backend_opts disk = { .kind = BACKEND_BDEV, .direct = true };
	const char *why;

	none(h);
	if (file)
		why = backend_open(&h->disk, BACKEND_FILE, false);
	else
		why = open_dm(h, &disk);
	if (!why && file)
		why = open_mount(h);
	if (why)
		hang_close(h);
	return why;
}

static const char *open_bdev(struct hang *h, const struct backend_opts *disk)
{
	const char *why;

	none(h);
	why = open_dm(h, disk);
	if (why)
		hang_close(h);
	return why;
}

const char *hang_open_cached(struct hang *h)
{
	static const struct nullb_attr cached[] = { { "cache_size", "1" }, { NULL, NULL } };
	/* without null_blk a loop device, which has a cache */
	const struct backend_opts disk = {
		.kind = BACKEND_BDEV, .direct = true, .nullb = cached,
	};

	return open_bdev(h, &disk);
}

const char *hang_open_4096(struct hang *h)
{
	static const struct nullb_attr large[] = { { "blocksize", "4096" }, { NULL, NULL } };
	const struct backend_opts disk = {
		.kind = BACKEND_NULLB, .direct = true, .nullb = large,
	};

	return open_bdev(h, &disk);
}

/* Put a device above the one that hangs. */
static const char *open_top(struct hang *h)
{
	struct backend_opts opts = {
		.kind = BACKEND_NAMED, .direct = true, .path = h->top.path, .blank = true,
	};
	uint64_t good = h->below.size - BAD_SECTORS * 512;
	char params[256];
	const char *why;

	snprintf(params, sizeof(params), "%s 0", h->dm.path);
	why = dm_create_bad(&h->top, h->below.size / 512, BAD_SECTORS, "linear", params);
	if (why)
		return why;
	backend_close(&h->disk);
	backend_none(&h->disk);
	why = backend_open_as(&h->disk, &opts);
	if (why)
		return why;
	h->disk.writable = good;
	return backend_adopt(&h->disk, 0, good);
}

const char *hang_open_bad(struct hang *h)
{
	const char *why = hang_open_cached(h);

	if (why)
		return why;
	why = open_top(h);
	if (why)
		hang_close(h);
	return why;
}
