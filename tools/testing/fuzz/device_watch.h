/* SPDX-License-Identifier: GPL-2.0 */
/* What the fuzzer looks at besides answers: the kernel log, and whether it goes on */
#ifndef FUZZ_DEVICE_WATCH_H
#define FUZZ_DEVICE_WATCH_H

#include <stdbool.h>

/* From now on; false: it can't be read. */
bool klog_begin(void);
/* A line that reports something, since the last call; NULL: none */
const char *klog_report(void);

/*
 * Another thread calls @hang and ends the program where nothing is done for
 * long: no operation ends, and neither this process nor its vhost workers, which
 * are threads of it, use any CPU.  On a slow machine they do, and are waited for,
 * unless the kernel has reported something.
 */
void watch_begin(void (*hang)(const char *why));
/* An operation has ended. */
void watch_progress(void);

#endif
