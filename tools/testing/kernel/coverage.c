// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coverage in UML: tells the kernel's gcov of the objects of this driver, which
 * elsewhere is done by constructors.
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
