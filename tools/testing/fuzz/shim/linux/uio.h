/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FUZZ_SHIM_UIO_H
#define FUZZ_SHIM_UIO_H

#include <sys/uio.h>

#endif
