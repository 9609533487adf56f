/* SPDX-License-Identifier: GPL-2.0 */
/* Macros and functions of all suites, on top of kselftest_harness.h */
#ifndef VHOST_TEST_SUITE_H
#define VHOST_TEST_SUITE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "batch.h"
#include "model.h"

#define NO_DEVICE	"no /dev/vhost-blk"

/* Checking functions return NULL, or an error message. */
#define ASSERT_WELL(check) do {						\
	const char *why_ = (check);					\
									\
	ASSERT_EQ(NULL, why_) {						\
		TH_LOG("%s", why_);					\
	}								\
} while (0)

/* Return: why a test of the driver cannot run here; @model: why not on the model device */
static inline const char *no_kernel(const char *model)
{
	if (!guest_has_device())
		return NO_DEVICE;
	return model_wanted() ? model : NULL;
}

/* The running kernel is older than this one. */
static inline bool kernel_before(unsigned int major, unsigned int minor)
{
	unsigned int a = 0, b = 0;
	struct utsname u;

	return !uname(&u) && sscanf(u.release, "%u.%u", &a, &b) == 2 &&
	       (a < major || (a == major && b < minor));
}

/*
 * The worker is a thread of the owner, not a kernel thread, which uses the
 * owner's memory after the owner has exited.
 */
static inline bool worker_is_thread(void)
{
	int fd = open(guest_device_path(), O_RDWR | O_CLOEXEC);
	uint8_t thread = 0;

	if (ioctl(fd, VHOST_GET_FORK_FROM_OWNER, &thread))
		thread = !kernel_before(6, 4);
	close(fd);
	return thread;
}

/* VHOST_TEST_SHORT: the form for slow hosts */
static inline unsigned int scaled(unsigned int full, unsigned int small)
{
	return getenv("VHOST_TEST_SHORT") ? small : full;
}

/* Boot the guest of a test whose fixture has `b` and `g`. */
#define BOOT(...) do {							\
	struct guest_opts opts_ = { .backend = &self->b, __VA_ARGS__ };	\
									\
	guest_init(&self->g, &opts_);					\
	ASSERT_WELL(guest_boot(&self->g));				\
} while (0)

#endif /* VHOST_TEST_SUITE_H */
