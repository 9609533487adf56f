// SPDX-License-Identifier: GPL-2.0
/*
 * Where a profiler looks: called when a period begins and when it ends.  In a file
 * of its own, so that there is a call.
 */
#include "load.h"

void profile_mark(void)
{
}
