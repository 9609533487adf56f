/* SPDX-License-Identifier: GPL-2.0 */
/* A guest that changes data which is being written. */
#ifndef VHOST_TEST_FLIP_H
#define VHOST_TEST_FLIP_H

#include "request.h"

/*
 * The same write of @len bytes, @writes times, one after the other, while a thread
 * changes its data all the time.  Return: NULL if each of them ends well.
 */
const char *flip_writes(struct ring *r, uint64_t sector, uint32_t len, unsigned int writes);

#endif /* VHOST_TEST_FLIP_H */
