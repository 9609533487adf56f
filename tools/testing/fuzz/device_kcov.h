/* SPDX-License-Identifier: GPL-2.0 */
/* What of the driver was reached: by KCOV where the kernel has it */
#ifndef FUZZ_DEVICE_KCOV_H
#define FUZZ_DEVICE_KCOV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * False: there is none.  Traces the calling thread, and the vhost workers of
 * every device whose SET_OWNER that thread calls.
 */
bool kcov_begin(void);
void kcov_reset(void);
/* How many places (or values of feature_seen()) are new since the program began */
unsigned int kcov_collect(void);
unsigned int kcov_total(void);
/* Something else that a run may be the first to do; counts as a place of its own. */
bool feature_seen(uint64_t what);
/* All addresses, one a line */
void kcov_print(FILE *f);

#endif
