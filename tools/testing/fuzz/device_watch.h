/* SPDX-License-Identifier: GPL-2.0 */
/* Watch the kernel log, and detect hangs. */
#ifndef FUZZ_DEVICE_WATCH_H
#define FUZZ_DEVICE_WATCH_H

#include <stdbool.h>

/* Start to read the log. Return: false if it cannot be read */
bool klog_begin(void);
/* Return: a line with a report since the last call; NULL: there is none */
const char *klog_report(void);

/*
 * Start a thread that calls @hang and ends the program after a long time
 * without any progress: no operation completes, and neither this process nor
 * its vhost workers, which are its threads, use CPU time.  On a slow machine
 * they do use it, and the watchdog waits, unless the kernel has reported an
 * error.
 */
void watch_begin(void (*hang)(const char *why));
/* An operation is complete. */
void watch_progress(void);

#endif
