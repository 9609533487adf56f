/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FUZZ_REQUEST_ENTRY_H
#define FUZZ_REQUEST_ENTRY_H

#include <linux/types.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* The Makefile renames it to the function that libFuzzer calls. */
int fuzz_one(const u8 *data, size_t size);

#endif
