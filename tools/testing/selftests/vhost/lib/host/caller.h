/* SPDX-License-Identifier: GPL-2.0 */
/* A thread that calls an ioctl that takes the mutex of the first queue */
#ifndef VHOST_TEST_CALLER_H
#define VHOST_TEST_CALLER_H

#include <pthread.h>
#include <stdbool.h>

#include "guest.h"

struct caller {
	pthread_t thread;
	struct guest *guest;
	long ret;		/* of the ioctl, once caller_join() has returned */
	bool returned;
};

int caller_start(struct caller *c, struct guest *g);
/* Return: true if the ioctl has returned, or does so in this time */
bool caller_returns(struct caller *c, unsigned int ms);
void caller_join(struct caller *c);

#endif /* VHOST_TEST_CALLER_H */
