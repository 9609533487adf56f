/* SPDX-License-Identifier: GPL-2.0 */
/* Coverage of the driver, by KCOV if the kernel has it */
#ifndef FUZZ_DEVICE_KCOV_H
#define FUZZ_DEVICE_KCOV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Trace the calling thread, and the vhost workers of each device whose
 * SET_OWNER it calls.  Return: false if the kernel has no KCOV
 */
bool kcov_begin(void);
void kcov_reset(void);
/*
 * Return: number of places, or values of feature_seen(), that are new since the
 * program started
 */
unsigned int kcov_collect(void);
unsigned int kcov_total(void);
/* Count another property of a run like a place. Return: is it new? */
bool feature_seen(uint64_t what);
/* Print all addresses, one per line. */
void kcov_print(FILE *f);

#endif
