/* SPDX-License-Identifier: GPL-2.0 */
/* Internals of the model device; not for the tests */
#ifndef VHOST_TEST_MODEL_IMPL_H
#define VHOST_TEST_MODEL_IMPL_H

#include <pthread.h>

#include "guest.h"
#include "model.h"

#define GUEST_MAX_QUEUES	VHOST_BLK_MAX_QUEUES

struct model_queue {
	bool set;
	bool run;
	bool broken;
	unsigned int num;
	uint16_t last_avail;
	uint16_t signalled;
	bool signalled_valid;
	int kick;
	int call;
	int err;
	unsigned int signals;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
};

struct model {
	pthread_t thread;
	pthread_mutex_t lock;
	int wake;
	bool quit;
	enum model_bug bug;
	uint64_t features;
	int backend;
	uint64_t size;
	bool read_only;
	uint8_t serial[VHOST_BLK_SERIAL_LEN];
	struct vhost_memory_region region[MAX_REGIONS];
	unsigned int nregions;
	struct model_queue q[GUEST_MAX_QUEUES];
};

void model_serve(struct model *m, struct model_queue *q);
uint64_t model_offered(struct model *m);
uint8_t model_ranges(struct model *m, uint32_t type, const uint8_t *data, uint64_t len);

#endif /* VHOST_TEST_MODEL_IMPL_H */
