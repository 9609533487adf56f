// SPDX-License-Identifier: GPL-2.0
/* The second thread: change memory that the device is reading. */
#include <sched.h>
#include <sys/ioctl.h>

#include "device_exec.h"

static void race_ioctl(struct target *t, struct rng *rng)
{
	uint32_t a[OP_ARGS] = {}, i;
	struct op op = {};
	static const enum op_code code[] = {
		OP_running, OP_vring_running, OP_mem, OP_info, OP_get_base, OP_backend,
		OP_config, OP_iotlb, OP_features, OP_kick, OP_vring_fd, OP_addr, OP_worker,
		OP_iotlb_read, OP_log, OP_base, OP_flush, OP_policy, OP_parked, OP_bad,
	};

	for (i = 0; i < OP_ARGS; i++)
		a[i] = rng_below(rng, 64);
	op.code = code[rng_below(rng, ARRAY_SIZE(code))];
	op.a[0] = a[0];
	op.a[1] = a[1];
	op.a[2] = a[2];
	target_do(t, &op);
}

static void race_once(struct target *t, enum race what, struct rng *rng)
{
	uint32_t a[OP_ARGS], i;

	for (i = 0; i < OP_ARGS; i++)
		a[i] = rng_next(rng);
	switch (what) {
	case RACE_HEADERS:
		play_header(t, a);
		play_range(t, a);
		break;
	case RACE_RINGS:
		play_desc(t, a);
		play_indirect(t, a);
		if (!(a[0] >> 16 & 15))
			play_event(t, a);
		break;
	case RACE_PAGES:
		play_protect(t, a);
		break;
	default:
		race_ioctl(t, rng);
	}
}

static void *racer(void *arg)
{
	struct target *t = arg;

	for (;;) {
		struct rng rng;
		int what;

		sem_wait(&t->race_begin);
		rng.state = t->race_seed;
		for (;;) {
			what = atomic_load(&t->race);
			if (what == RACE_NONE)
				break;
			race_once(t, what, &rng);
			sched_yield();
		}
		sem_post(&t->race_end);
	}
	return NULL;
}

void race_init(struct target *t)
{
	sem_init(&t->race_begin, 0, 0);
	sem_init(&t->race_end, 0, 0);
	pthread_create(&t->racer, NULL, racer, t);
}

void race_start(struct target *t, enum race what, uint32_t seed)
{
	race_stop(t);
	if (what == RACE_NONE)
		return;
	t->race_seed = seed;
	atomic_store(&t->race, what);
	sem_post(&t->race_begin);
}

void race_stop(struct target *t)
{
	if (atomic_exchange(&t->race, RACE_NONE) != RACE_NONE)
		sem_wait(&t->race_end);
}
