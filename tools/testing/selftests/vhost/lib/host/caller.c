// SPDX-License-Identifier: GPL-2.0
/* A thread that calls VHOST_SET_VRING_CALL */
#define _GNU_SOURCE
#include <unistd.h>

#include "caller.h"

static void *set_call(void *arg)
{
	struct caller *c = arg;
	struct vhost_vring_file f = { .index = 0, .fd = c->guest->ring[0].call };

	c->ret = guest_ioctl(c->guest, VHOST_SET_VRING_CALL, &f);
	__atomic_store_n(&c->returned, true, __ATOMIC_RELEASE);
	return NULL;
}

int caller_start(struct caller *c, struct guest *g)
{
	c->guest = g;
	c->returned = false;
	return pthread_create(&c->thread, NULL, set_call, c);
}

bool caller_returns(struct caller *c, unsigned int ms)
{
	while (ms-- && !__atomic_load_n(&c->returned, __ATOMIC_ACQUIRE))
		usleep(1000);
	return __atomic_load_n(&c->returned, __ATOMIC_ACQUIRE);
}

void caller_join(struct caller *c)
{
	pthread_join(c->thread, NULL);
}
