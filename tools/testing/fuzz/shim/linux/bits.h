/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FUZZ_SHIM_BITS_H
#define FUZZ_SHIM_BITS_H

#define BIT(n)	(1UL << (n))

#endif
