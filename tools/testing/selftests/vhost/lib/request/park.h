/* SPDX-License-Identifier: GPL-2.0 */
/* The error policy, and lists of parked requests */
#ifndef VHOST_TEST_PARK_H
#define VHOST_TEST_PARK_H

#include "request.h"

#define REPORT	VHOST_BLK_ERROR_REPORT
#define IGNORE	VHOST_BLK_ERROR_IGNORE
#define PARK	VHOST_BLK_ERROR_PARK

/* The same action for reads and writes, and @nospace for both if the error is ENOSPC */
long park_policy(struct guest *g, uint32_t action, uint32_t nospace, int fd);
/* @count: in: room in @heads; out: number of parked requests */
long park_get(struct ring *r, uint16_t *heads, uint32_t *count);
long park_set(struct ring *r, const uint16_t *heads, uint32_t count);
/* Wait until the queue has this state and @n parked requests, and none is in flight. */
const char *park_wait(struct ring *r, unsigned int state, unsigned int n);
/* Stop and start the queue. */
const char *park_retry(struct ring *r);

#endif /* VHOST_TEST_PARK_H */
