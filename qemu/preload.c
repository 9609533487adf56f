// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A part of vhost-blk.so, which build.sh --preload makes.  Programs that QEMU starts, for
 * example for a migration to "exec:", have none of its symbols, and would not start with
 * the device preloaded.
 */
#include <stdlib.h>

static void __attribute__((constructor)) preload_once(void)
{
	unsetenv("LD_PRELOAD");
}
