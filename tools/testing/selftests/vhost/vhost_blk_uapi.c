// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of vhost-blk: valid calls, wrong order and wrong values, each with
 * its errno.
 */
#define _GNU_SOURCE
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "suite-ioctl.h"

#define BAD_PTR		((void *)8)

static int set_fd(struct _test_data_ioctl *self, int fd)
{
	return -guest_set_backend(&self->g, fd, 0);
}

static void bad_backends(struct __test_metadata *_metadata, struct _test_data_ioctl *self)
{
	static const struct {
		const char *path;
		int flags;
		int err;
	} file[] = {
		{ "/", O_RDONLY | O_DIRECTORY, EINVAL },
		{ "/dev/null", O_RDWR, EINVAL },
		{ "/dev/zero", O_RDONLY, EINVAL },
		{ NULL, O_WRONLY, EACCES },
		{ NULL, O_PATH, EBADF },
	};
	int fd[2];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(file); i++) {
		fd[0] = open(file[i].path ? file[i].path : self->b.path, file[i].flags);
		ASSERT_LE(0, fd[0]);
		EXPECT_EQ(file[i].err, set_fd(self, fd[0]))
			TH_LOG("%s, flags %#o", file[i].path ? file[i].path : "the backend",
			       file[i].flags);
		close(fd[0]);
	}
	EXPECT_EQ(EBADF, set_fd(self, fd[0]));
	EXPECT_EQ(EBADF, set_fd(self, 100000));
	EXPECT_EQ(EBADF, set_fd(self, -2));
	ASSERT_EQ(0, pipe(fd));
	EXPECT_EQ(EINVAL, set_fd(self, fd[0]));
	EXPECT_EQ(EACCES, set_fd(self, fd[1]) == EINVAL ? EACCES : 0)
		TH_LOG("the writing end of a pipe");
	close(fd[0]);
	close(fd[1]);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	EXPECT_EQ(EINVAL, set_fd(self, fd[0]));
	close(fd[0]);
	close(fd[1]);
	fd[0] = eventfd(0, 0);
	EXPECT_EQ(EINVAL, set_fd(self, fd[0]));
	close(fd[0]);
	/* vhost-blk itself */
	EXPECT_EQ(EINVAL, set_fd(self, self->g.fd));
}

TEST_F(ioctl, backend_fd)
{
	UP_TO(STAGE_OWNED);
	bad_backends(_metadata, self);
	/* refused calls have left no backend attached */
	EXPECT_EQ(ENODEV, -guest_set_running(&self->g, 1));
	UP_TO(STAGE_RUNNING);
	bad_backends(_metadata, self);
	ASSERT_WELL(guest_prove(&self->g));
}

/* O_APPEND would move every write to the end of the file. */
TEST_F(ioctl, backend_append)
{
	struct backend file;
	int fd;

	ASSERT_WELL(backend_open(&file, BACKEND_FILE, false));
	UP_TO(STAGE_OWNED);
	fd = backend_reopen(&file, O_RDWR | O_APPEND);
	EXPECT_EQ(EINVAL, set_fd(self, fd));
	close(fd);
	backend_close(&file);
}

TEST_F(ioctl, backend_flags)
{
	struct vhost_blk_backend good = { .fd = self->b.fd }, bad;
	unsigned int i;

	UP_TO(STAGE_OWNED);
	for (i = 3; i < 32; i++) {
		bad = good;
		bad.flags = 1U << i;
		EXPECT_EQ(EINVAL, IOCTL(VHOST_BLK_SET_BACKEND, &bad))
			TH_LOG("flag %u", i);
	}
	for (i = 0; i < sizeof(bad.reserved); i++) {
		bad = good;
		bad.reserved[i] = 1;
		EXPECT_EQ(EINVAL, IOCTL(VHOST_BLK_SET_BACKEND, &bad))
			TH_LOG("reserved[%u]", i);
	}
	EXPECT_EQ(EFAULT, IOCTL(VHOST_BLK_SET_BACKEND, BAD_PTR));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_BLK_SET_BACKEND, NULL));
	/* also when it detaches the backend */
	bad = good;
	bad.fd = -1;
	bad.flags = 8;
	EXPECT_EQ(EINVAL, IOCTL(VHOST_BLK_SET_BACKEND, &bad));
}

TEST_F(ioctl, backend_detach)
{
	UP_TO(STAGE_OWNED);
	EXPECT_EQ(0, set_fd(self, -1));
	UP_TO(STAGE_RINGS);
	EXPECT_EQ(0, set_fd(self, -1));
	EXPECT_EQ(ENODEV, -guest_set_running(&self->g, 1));
	EXPECT_EQ(0, set_fd(self, self->b.fd));
	UP_TO(STAGE_RUNNING);
	EXPECT_EQ(EBUSY, set_fd(self, -1));
	EXPECT_EQ(0, -guest_set_running(&self->g, 0));
	EXPECT_EQ(0, set_fd(self, -1));
	EXPECT_EQ(0, set_fd(self, self->b.fd));
	EXPECT_EQ(0, -guest_set_running(&self->g, 1));
}

/* A backend is identified by the numbers of stat(). */
TEST_F(ioctl, backend_named)
{
	const enum backend_kind kinds[] = { BACKEND_FILE, BACKEND_BDEV };
	struct vhost_blk_info info;
	struct backend b;
	struct stat st;
	unsigned int i;
	bool file;

	UP_TO(STAGE_OWNED);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		ASSERT_WELL(backend_open(&b, kinds[i], false));
		ASSERT_EQ(0, fstat(b.fd, &st));
		file = S_ISREG(st.st_mode);
		ASSERT_EQ(0, set_fd(self, b.fd));
		ASSERT_EQ(0, IOCTL(VHOST_BLK_GET_INFO, &info));
		EXPECT_EQ(file ? st.st_ino : 0, info.ino);
		EXPECT_EQ(major(file ? st.st_dev : st.st_rdev), info.dev_major);
		EXPECT_EQ(minor(file ? st.st_dev : st.st_rdev), info.dev_minor);
		EXPECT_EQ(0, info.flush_error);
		EXPECT_NE(0, info.trace_dev);
		for (size_t k = 0; k < ARRAY_SIZE(info.reserved); k++)
			EXPECT_EQ(0, info.reserved[k]);
		ASSERT_EQ(0, set_fd(self, -1));
		backend_close(&b);
	}
}

/* The kernel has its own reference. */
TEST_F(ioctl, backend_fd_closed)
{
	UP_TO(STAGE_RUNNING);
	close(self->b.fd);
	self->b.fd = -1;
	ASSERT_WELL(guest_prove(&self->g));
}

TEST_F(ioctl, running)
{
	static const int bad[] = { 2, -1, 1 << 30, -2147483647 };
	unsigned int i;

	UP_TO(STAGE_OWNED);
	EXPECT_EQ(ENODEV, -guest_set_running(&self->g, 1));
	EXPECT_EQ(0, -guest_set_running(&self->g, 0));
	UP_TO(STAGE_BACKEND);
	/* queues without addresses are skipped */
	EXPECT_EQ(0, -guest_set_running(&self->g, 1));
	EXPECT_EQ(0, -guest_set_running(&self->g, 0));
	UP_TO(STAGE_RINGS);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(EINVAL, -guest_set_running(&self->g, bad[i]));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_BLK_SET_RUNNING, BAD_PTR));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, -guest_set_running(&self->g, 1));
		EXPECT_EQ(0, -guest_set_running(&self->g, 1));
		ASSERT_WELL(guest_prove(&self->g));
		EXPECT_EQ(0, -guest_set_running(&self->g, 0));
		EXPECT_EQ(0, -guest_set_running(&self->g, 0));
		self->g.stage = STAGE_RINGS;
	}
}

/* Firmware sets up only queue 0; the driver after it adds the others. */
TEST_F(ioctl, queue_by_queue)
{
	struct guest *g = &self->g;

	UP_TO(STAGE_MEMORY);
	ASSERT_EQ(0, -ring_setup(&g->ring[0]));
	ASSERT_EQ(0, -guest_set_running(g, 1));
	ASSERT_WELL(request_simple(&g->ring[0], VIRTIO_BLK_T_IN, 0, 512, VIRTIO_BLK_S_OK));
	ASSERT_EQ(0, -ring_setup(&g->ring[1]));
	ASSERT_EQ(0, -guest_set_running(g, 1));
	g->stage = STAGE_RUNNING;
	ASSERT_WELL(guest_prove(g));
}

static int config(struct _test_data_ioctl *self, unsigned long cmd, uint32_t off, uint32_t len)
{
	struct {
		struct vhost_vdpa_config c;
		uint8_t space[256];
	} arg = { .c = { .off = off, .len = len } };

	return IOCTL(cmd, &arg);
}

/* The header at the end of memory is readable, but the buffer after it is not. */
static int config_at_the_end(struct _test_data_ioctl *self, unsigned long cmd, uint32_t off,
			     uint32_t len)
{
	size_t page = sysconf(_SC_PAGESIZE);
	uint8_t *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vhost_vdpa_config *c = (void *)(p + page - sizeof(*c));
	int ret;

	if (p == MAP_FAILED || munmap(p + page, page))
		abort();
	*c = (struct vhost_vdpa_config) { .off = off, .len = len };
	ret = IOCTL(cmd, c);
	munmap(p, page);
	return ret;
}

TEST_F(ioctl, config_window)
{
	static const struct {
		uint32_t off, len;
		int err;
	} w[] = {
		{ 0, 8, 0 }, { 0, 96, 0 }, { 95, 1, 0 }, { 0, 1, 0 }, { 7, 5, 0 },
		{ 4096, 1, EINVAL }, { 0, 4096, EINVAL }, { 8, ~0U, EINVAL },
		{ ~0U, 1, EINVAL }, { ~0U, 2, EINVAL }, { 1U << 31, 1U << 31, EINVAL },
		{ ~0U, ~0U, EINVAL }, { 96, 1, EINVAL }, { 95, 2, EINVAL },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(w); i++)
		EXPECT_EQ(w[i].err, config(self, VHOST_BLK_GET_CONFIG, w[i].off, w[i].len))
			TH_LOG("off %u len %u", w[i].off, w[i].len);
	EXPECT_EQ(EFAULT, IOCTL(VHOST_BLK_GET_CONFIG, BAD_PTR));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_BLK_GET_CONFIG, NULL));
	UP_TO(STAGE_OWNED);
	EXPECT_EQ(EINVAL, config(self, VHOST_BLK_SET_CONFIG, 4096, 1));
	EXPECT_EQ(EINVAL, config(self, VHOST_BLK_SET_CONFIG, 8, ~0U));
	EXPECT_EQ(EINVAL, config(self, VHOST_BLK_SET_CONFIG, 0, 8));
	EXPECT_EQ(EINVAL, config(self, VHOST_BLK_SET_CONFIG, 32, 2));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_BLK_SET_CONFIG, BAD_PTR));
	EXPECT_EQ(EFAULT, config_at_the_end(self, VHOST_BLK_GET_CONFIG, 0, 8));
	EXPECT_EQ(EFAULT, config_at_the_end(self, VHOST_BLK_SET_CONFIG,
					    offsetof(struct virtio_blk_config, wce), 1));
}

TEST_F(ioctl, config_call)
{
	int p[2], fd = eventfd(0, 0);

	ASSERT_EQ(0, pipe(p));
	UP_TO(STAGE_OWNED);
	EXPECT_EQ(0, IOCTL(VHOST_BLK_SET_CONFIG_CALL, &fd));
	EXPECT_EQ(0, IOCTL(VHOST_BLK_SET_CONFIG_CALL, &fd));
	EXPECT_EQ(EINVAL, IOCTL(VHOST_BLK_SET_CONFIG_CALL, &p[0]));
	EXPECT_EQ(EBADF, IOCTL(VHOST_BLK_SET_CONFIG_CALL, &(int){ 1000 }));
	EXPECT_EQ(EBADF, IOCTL(VHOST_BLK_SET_CONFIG_CALL, &(int){ -2 }));
	EXPECT_EQ(EFAULT, IOCTL(VHOST_BLK_SET_CONFIG_CALL, BAD_PTR));
	EXPECT_EQ(0, IOCTL(VHOST_BLK_SET_CONFIG_CALL, &(int){ -1 }));
	EXPECT_EQ(0, IOCTL(VHOST_BLK_SET_CONFIG_CALL, &fd));
	close(fd);
	close(p[0]);
	close(p[1]);
}

/* In any stage with a backend; what it does in each state is tested by queue_states. */
TEST_F(ioctl, flush)
{
	struct backend file;
	int fd;

	UP_TO(STAGE_OWNED);
	EXPECT_EQ(ENODEV, IOCTL(VHOST_BLK_FLUSH, NULL));
	UP_TO(STAGE_BACKEND);
	EXPECT_EQ(0, IOCTL(VHOST_BLK_FLUSH, NULL));
	EXPECT_EQ(0, set_fd(self, -1));
	EXPECT_EQ(ENODEV, IOCTL(VHOST_BLK_FLUSH, NULL));
	ASSERT_WELL(backend_open(&file, BACKEND_FILE, false));
	fd = backend_reopen(&file, O_RDONLY);
	EXPECT_EQ(0, set_fd(self, fd));
	EXPECT_EQ(0, IOCTL(VHOST_BLK_FLUSH, NULL));
	close(fd);
	EXPECT_EQ(0, set_fd(self, file.fd));
	EXPECT_EQ(0, IOCTL(VHOST_BLK_FLUSH, NULL));
	EXPECT_EQ(0, set_fd(self, self->b.fd));
	UP_TO(STAGE_RUNNING);
	EXPECT_EQ(0, IOCTL(VHOST_BLK_FLUSH, NULL));
	backend_close(&file);
}

TEST_HARNESS_MAIN
