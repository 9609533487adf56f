/* SPDX-License-Identifier: GPL-2.0 */
/* The fixture of the ioctl tests: at the end the device must still work. */
#ifndef VHOST_TEST_SUITE_IOCTL_H
#define VHOST_TEST_SUITE_IOCTL_H

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "compat.h"
#include "suite.h"

FIXTURE(ioctl) {
	struct backend b;
	struct guest g;
};

FIXTURE_SETUP(ioctl)
{
	struct guest_opts opts = { .backend = &self->b, .queues = 2 };
	const char *why;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device does not check its ioctls");
	why = backend_open(&self->b, BACKEND_BDEV, true);
	if (why)
		SKIP(return, "%s", why);
	guest_init(&self->g, &opts);
	ASSERT_WELL(guest_boot_to(&self->g, STAGE_OPEN));
}

/* After each test: the device can be booted from its present stage, and it works. */
FIXTURE_TEARDOWN(ioctl)
{
	const char *why = guest_prove(&self->g);

	if (why)
		EXPECT_EQ(NULL, why)
			TH_LOG("not usable afterwards: %s", why);
	guest_destroy(&self->g);
	backend_close(&self->b);
}

#define UP_TO(stage)	ASSERT_WELL(guest_boot_to(&self->g, stage))
/* errno of an ioctl; 0: success */
#define IOCTL(cmd, arg)	(-guest_ioctl(&self->g, cmd, arg))

#endif /* VHOST_TEST_SUITE_IOCTL_H */
