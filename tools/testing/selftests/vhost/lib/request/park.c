// SPDX-License-Identifier: GPL-2.0
/* The error policy, and lists of parked requests */
#include <unistd.h>

#include "park.h"

long park_policy(struct guest *g, uint32_t action, uint32_t nospace, int fd)
{
	struct vhost_blk_error_policy policy = {
		.read = action, .write = action,
		.read_nospace = nospace, .write_nospace = nospace, .fd = fd,
	};

	return guest_ioctl(g, VHOST_BLK_SET_ERROR_POLICY, &policy);
}

long park_get(struct ring *r, uint16_t *heads, uint32_t *count)
{
	struct vhost_blk_vring_parked arg = {
		.index = r->index, .count = *count, .heads = (uintptr_t)heads,
	};
	long ret = guest_ioctl(r->guest, VHOST_BLK_GET_VRING_PARKED, &arg);

	*count = arg.count;
	return ret;
}

long park_set(struct ring *r, const uint16_t *heads, uint32_t count)
{
	struct vhost_blk_vring_parked arg = {
		.index = r->index, .count = count, .heads = (uintptr_t)heads,
	};

	return guest_ioctl(r->guest, VHOST_BLK_SET_VRING_PARKED, &arg);
}

const char *park_wait(struct ring *r, unsigned int state, unsigned int n)
{
	struct vhost_blk_vring_info info = {};
	unsigned int ms;

	for (ms = 0; ms < 10000; ms++) {
		if (ring_info(r, &info))
			return "GET_VRING_INFO fails";
		if (info.state == state && info.parked == n && !info.inflight)
			return NULL;
		usleep(1000);
	}
	return guest_say(r->guest, "queue %u: state %u, %u parked, %u in flight; must be %u, %u, 0",
			 r->index, info.state, info.parked, info.inflight, state, n);
}

const char *park_retry(struct ring *r)
{
	if (ring_set_running(r, 0))
		return guest_say(r->guest, "queue %u: cannot be stopped", r->index);
	if (ring_set_running(r, 1))
		return guest_say(r->guest, "queue %u: cannot be started", r->index);
	return NULL;
}
