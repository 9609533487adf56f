/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FUZZ_REQUEST_ENTRY_H
#define FUZZ_REQUEST_ENTRY_H

#include <linux/types.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* The Makefile gives it the name that libFuzzer wants. */
int fuzz_one(const u8 *data, size_t size);

#endif
