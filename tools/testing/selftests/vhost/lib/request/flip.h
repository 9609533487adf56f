/* SPDX-License-Identifier: GPL-2.0 */
/* A guest that changes data while it is written */
#ifndef VHOST_TEST_FLIP_H
#define VHOST_TEST_FLIP_H

#include "request.h"

/*
 * Write @len bytes to one place @writes times, one write after the other, while
 * a thread changes the data all the time.  Return: NULL if each of them
 * succeeds
 */
const char *flip_writes(struct ring *r, uint64_t sector, uint32_t len, unsigned int writes);

#endif /* VHOST_TEST_FLIP_H */
