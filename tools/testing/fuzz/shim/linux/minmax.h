/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FUZZ_SHIM_MINMAX_H
#define FUZZ_SHIM_MINMAX_H

#define min_t(type, x, y) ({		\
	type x_ = (x);			\
	type y_ = (y);			\
					\
	x_ < y_ ? x_ : y_;		\
})

#endif
