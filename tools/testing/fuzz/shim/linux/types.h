/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel types and byte order functions that request.c uses, in userspace */
#ifndef FUZZ_SHIM_TYPES_H
#define FUZZ_SHIM_TYPES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include_next <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#define __user
#define le32_to_cpu(x)	le32toh(x)
#define le64_to_cpu(x)	le64toh(x)

#endif
