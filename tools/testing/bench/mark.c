// SPDX-License-Identifier: GPL-2.0
/*
 * Called when a period begins and when it ends, so that a profiler finds both by the
 * address of this function.  It is in a file of its own, so that it is not inlined.
 */
#include "load.h"

void profile_mark(void)
{
}
