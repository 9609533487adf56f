// SPDX-License-Identifier: GPL-2.0
/* Data that changes while it is written */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

#include "flip.h"

struct flipper {
	uint8_t *data;
	uint32_t len;
	bool stop;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;
	uint32_t i;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED))
		for (i = 0; i < f->len; i += 64)
			__atomic_fetch_xor(&f->data[i], 0x5a, __ATOMIC_RELAXED);
	return NULL;
}

const char *flip_writes(struct ring *r, uint64_t sector, uint32_t len, unsigned int writes)
{
	struct guest *g = r->guest;
	uint64_t mark = g->bump;
	struct request *q = request_new(g, VIRTIO_BLK_T_OUT, sector, len);
	struct flipper f = { .len = len };
	pthread_t thread;
	const char *why;
	unsigned int i;

	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	/* file systems write only whole blocks without a copy */
	q->seg[1].gpa = guest_alloc(g, len, 4096);
	request_arm(q, sector);
	f.data = guest_ptr(g, q->seg[1].gpa, len);
	if (pthread_create(&thread, NULL, flip, &f))
		abort();
	for (i = 0, why = NULL; !why && i < writes; i++) {
		request_rearm(q);
		why = request_run(r, q, 60000);
		if (!why && request_status(q) != VIRTIO_BLK_S_OK)
			why = guest_say(g, "write %u: status %u", i, request_status(q));
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	request_free(q);
	guest_release(g, mark);
	return why;
}
