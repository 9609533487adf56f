// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coverage of the driver in UML: registers its objects with the kernel's gcov,
 * which constructors do on other architectures.
 */
#include <linux/init.h>

#include "coverage.h"

static int __init vhost_blk_coverage(void)
{
	struct gcov_info **info;

	for (info = __start_vhost_blk_counts; info < __stop_vhost_blk_counts;
	     info++)
		__gcov_init(*info);
	return 0;
}
core_initcall(vhost_blk_coverage);
