/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FUZZ_SHIM_LIMITS_H
#define FUZZ_SHIM_LIMITS_H

#define U32_MAX	(~0U)

#endif
