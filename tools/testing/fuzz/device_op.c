// SPDX-License-Identifier: GPL-2.0
/* Sequences of operations: generate, mutate, write and read them. */
#include <stdlib.h>
#include <string.h>

#include "device_op.h"

/* Name of each operation in files, and its relative frequency */
static const struct {
	const char *name;
	uint8_t weight;
} ops[OP_COUNT] = {
	[OP_boot] = { "boot", 3 },
	[OP_owner] = { "owner", 1 },
	[OP_reset_owner] = { "reset_owner", 1 },
	[OP_features] = { "features", 2 },
	[OP_backend_features] = { "backend_features", 1 },
	[OP_backend] = { "backend", 3 },
	[OP_running] = { "running", 6 },
	[OP_mem] = { "mem", 4 },
	[OP_num] = { "num", 2 },
	[OP_base] = { "base", 2 },
	[OP_get_base] = { "get_base", 1 },
	[OP_vring_running] = { "vring_running", 4 },
	[OP_info] = { "info", 1 },
	[OP_policy] = { "policy", 2 },
	[OP_parked] = { "parked", 3 },
	[OP_bad] = { "bad", 1 },
	[OP_addr] = { "addr", 4 },
	[OP_vring_fd] = { "vring_fd", 3 },
	[OP_vring_state] = { "vring_state", 1 },
	[OP_log] = { "log", 2 },
	[OP_config] = { "config", 3 },
	[OP_flush] = { "flush", 1 },
	[OP_config_call] = { "config_call", 1 },
	[OP_worker] = { "worker", 2 },
	[OP_any_ioctl] = { "any_ioctl", 2 },
	[OP_iotlb] = { "iotlb", 5 },
	[OP_iotlb_read] = { "iotlb_read", 1 },
	[OP_protect] = { "protect", 3 },
	[OP_req] = { "req", 24 },
	[OP_desc] = { "desc", 6 },
	[OP_table] = { "table", 3 },
	[OP_header] = { "header", 4 },
	[OP_range] = { "range", 3 },
	[OP_garbage] = { "garbage", 2 },
	[OP_avail] = { "avail", 5 },
	[OP_avail_idx] = { "avail_idx", 2 },
	[OP_event] = { "event", 2 },
	[OP_kick] = { "kick", 10 },
	[OP_wait] = { "wait", 6 },
	[OP_resize] = { "resize", 1 },
	[OP_reopen] = { "reopen", 1 },
	[OP_race] = { "race", 4 },
};

static enum op_code random_code(struct rng *rng)
{
	static unsigned int sum;
	unsigned int i, at;

	if (!sum)
		for (i = 0; i < OP_COUNT; i++)
			sum += ops[i].weight;
	at = rng_below(rng, sum);
	for (i = 0; at >= ops[i].weight; i++)
		at -= ops[i].weight;
	return i;
}

/* Small numbers occur often, because tables are indexed by them. */
static uint32_t random_arg(struct rng *rng)
{
	uint32_t v = rng_next(rng) >> 16;

	switch (rng_below(rng, 8)) {
	case 0:
		return 0;
	case 1:
		return v % 4;
	case 2:
		return v % 64;
	default:
		return v;
	}
}

static void random_op(struct op *op, struct rng *rng)
{
	unsigned int i;

	op->code = random_code(rng);
	for (i = 0; i < OP_ARGS; i++)
		op->a[i] = random_arg(rng);
}

void seq_random(struct seq *s, struct rng *rng)
{
	unsigned int i;

	s->n = 8 + rng_below(rng, SEQ_MAX * 2 / 3);
	for (i = 0; i < s->n; i++)
		random_op(&s->op[i], rng);
	/* Most sequences boot the device first, because little can be found otherwise. */
	if (rng_below(rng, 8))
		s->op[0].code = OP_boot;
}

static void insert(struct seq *s, unsigned int at, const struct op *op, unsigned int n)
{
	if (n > SEQ_MAX - s->n)
		n = SEQ_MAX - s->n;
	memmove(&s->op[at + n], &s->op[at], (s->n - at) * sizeof(*op));
	memmove(&s->op[at], op, n * sizeof(*op));
	s->n += n;
}

static void mutate_once(struct seq *s, const struct seq *other, struct rng *rng)
{
	unsigned int at = rng_below(rng, s->n), from = rng_below(rng, other->n);
	struct op op = s->op[at];

	switch (rng_below(rng, 6)) {
	case 0:
		random_op(&op, rng);
		insert(s, at, &op, 1);
		break;
	case 1:
		if (s->n > 1) {
			memmove(&s->op[at], &s->op[at + 1], (s->n - at - 1) * sizeof(op));
			s->n--;
		}
		break;
	case 2:
		s->op[at].a[rng_below(rng, OP_ARGS)] = random_arg(rng);
		break;
	case 3:
		s->op[at].a[rng_below(rng, OP_ARGS)] ^= 1U << rng_below(rng, 32);
		break;
	case 4:
		insert(s, rng_below(rng, s->n + 1), &op, 1);
		break;
	default:
		insert(s, at, &other->op[from], 1 + rng_below(rng, other->n - from));
	}
}

void seq_mutate(struct seq *s, const struct seq *other, struct rng *rng)
{
	unsigned int n = 1 + rng_below(rng, 5);

	while (n--)
		mutate_once(s, other, rng);
}

void seq_print(const struct seq *s, FILE *f)
{
	unsigned int i;

	for (i = 0; i < s->n; i++) {
		const struct op *op = &s->op[i];

		fprintf(f, "%s %u %u %u %u\n", ops[op->code].name, op->a[0], op->a[1],
			op->a[2], op->a[3]);
	}
}

static bool read_op(struct op *op, const char *line)
{
	char name[32];
	unsigned int i;

	if (sscanf(line, "%31s %u %u %u %u", name, &op->a[0], &op->a[1], &op->a[2],
		   &op->a[3]) != 5)
		return false;
	for (i = 0; i < OP_COUNT && strcmp(name, ops[i].name); i++)
		;
	op->code = i;
	return i < OP_COUNT;
}

bool seq_read(struct seq *s, FILE *f)
{
	char line[160];

	s->n = 0;
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (s->n == SEQ_MAX || !read_op(&s->op[s->n], line)) {
			fprintf(stderr, "device_fuzz: not an operation: %s", line);
			return false;
		}
		s->n++;
	}
	return s->n;
}
