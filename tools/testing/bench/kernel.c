// SPDX-License-Identifier: GPL-2.0
/* Workers and busy polling: ioctls that are the same for each vhost device of the kernel */
#include <string.h>

#include "load.h"

/* Worker i % workers serves queue i.  The device has one worker already. */
const char *kernel_workers(struct device *dev)
{
	const struct load *load = dev->load;
	struct vhost_worker_state worker;
	unsigned int i;
	long ret;

	for (i = 1; i < load->workers && i < load->queues; i++) {
		struct vhost_vring_worker attach;
		unsigned int queue;

		ret = guest_ioctl(&dev->guest, VHOST_NEW_WORKER, &worker);
		for (queue = i; !ret && queue < load->queues; queue += load->workers) {
			attach.index = dev->engine->first_queue + queue;
			attach.worker_id = worker.worker_id;
			ret = guest_ioctl(&dev->guest, VHOST_ATTACH_VRING_WORKER, &attach);
		}
		if (ret)
			return guest_say(&dev->guest, "cannot add a worker: %s", strerror(-ret));
	}
	return NULL;
}

const char *kernel_polling(struct device *dev)
{
	struct ring *ring = &dev->guest.ring[dev->engine->first_queue];
	unsigned int i;
	long ret = 0;

	for (i = 0; !ret && dev->load->poll_us && i < dev->load->queues; i++)
		ret = ring_set_busyloop(&ring[i], dev->load->poll_us);
	return ret ? guest_say(&dev->guest, "cannot set busy polling: %s", strerror(-ret)) : NULL;
}
