/* SPDX-License-Identifier: GPL-2.0 */
/* Macros and functions of all suites, on top of kselftest_harness.h */
#ifndef VHOST_TEST_SUITE_H
#define VHOST_TEST_SUITE_H

#include <stdlib.h>

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
