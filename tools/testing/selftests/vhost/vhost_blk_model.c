// SPDX-License-Identifier: GPL-2.0
/*
 * The tests of the tests: on a model of the device in userspace all checks
 * pass, and if a bug is planted in the model, the check for it fails.  Needs no
 * kernel driver.
 */
#include "suite.h"
#include "ranges.h"
#include "traffic.h"

struct planted {
	enum model_bug bug;
	const char *(*check)(struct guest *g);
	const char *says;		/* part of the message of the failing check */
	bool read_only;
	uint64_t features_off;
	uint64_t features_on;
};

static const char *usual(struct guest *g)
{
	return guest_prove(g);
}

static const char *range(struct guest *g)
{
	uint64_t end = g->opts.backend->size / SECTOR;

	return request_simple(&g->ring[0], VIRTIO_BLK_T_OUT, end, SECTOR, VIRTIO_BLK_S_IOERR);
}

static const char *range_read(struct guest *g)
{
	return request_simple(&g->ring[0], VIRTIO_BLK_T_IN, ~0ULL, SECTOR, VIRTIO_BLK_S_IOERR);
}

static const char *read_only(struct guest *g)
{
	return request_simple(&g->ring[0], VIRTIO_BLK_T_OUT, 0, SECTOR, VIRTIO_BLK_S_IOERR);
}

static const char *serial(struct guest *g)
{
	return request_simple(&g->ring[0], VIRTIO_BLK_T_GET_ID, 0, 20, VIRTIO_BLK_S_OK);
}

static const char *traffic(struct guest *g)
{
	struct traffic t = {
		.ring = &g->ring[0], .depth = 1, .total = 4000, .wait = WAIT_CALL,
		.patience_ms = 300,
	};

	return traffic_run(&t);
}

static const char *no_calls(struct guest *g)
{
	return check_call_none(&g->ring[0], 5);
}

static const char *call_once(struct guest *g)
{
	return check_call_once(&g->ring[0], 6, 3);
}

static const char *quiet(struct guest *g)
{
	struct traffic t = {
		.ring = &g->ring[0], .depth = 32, .total = 4000, .wait = WAIT_CALL,
		.kick_each = true,
	};
	const char *why = traffic_run(&t);

	return why || t.ring->stats.kicks_saved ? why : "no kick was saved";
}

static const char *broken(struct guest *g)
{
	struct ring *r = &g->ring[0];
	const char *why;

	ring_add_raw(r, r->num);
	ring_kick_now(r);
	why = check_broken(r);
	return why ? why : check_repaired(g);
}

static const char *vring_base(struct guest *g)
{
	uint16_t idx;
	const char *why = guest_prove(g);

	ring_get_base(&g->ring[0], &idx);
	if (!why && idx != g->ring[0].used_idx)
		why = "the base is not the used index";
	return why;
}

static const char *call_on_empty(struct guest *g)
{
	return check_call_on_empty(&g->ring[0]);
}

static const char *kicks(struct guest *g)
{
	const char *why = check_kick_wanted(&g->ring[0]);

	return why ? why : check_kick_spurious(&g->ring[0], 100);
}

static const char *zeroes(struct guest *g)
{
	return range_run(&g->ring[0], VIRTIO_BLK_T_WRITE_ZEROES, 100, 20, RANGE_UNMAP,
			 VIRTIO_BLK_S_OK);
}

static const char *several(struct guest *g)
{
	static const struct range r[] = { { 8, 8, 0 }, { 100, 3, 0 }, { 50, 1, 0 } };

	return ranges_run(&g->ring[0], VIRTIO_BLK_T_DISCARD, r, ARRAY_SIZE(r),
			  VIRTIO_BLK_S_OK);
}

static const char *one_bad(struct guest *g)
{
	uint64_t end = g->opts.backend->size / SECTOR;
	struct range r[] = { { 8, 8, 0 }, { 100, 3, 0 }, { end - 1, 2, 0 } };

	return ranges_run(&g->ring[0], VIRTIO_BLK_T_WRITE_ZEROES, r, ARRAY_SIZE(r),
			  VIRTIO_BLK_S_IOERR);
}

static const char *flags(struct guest *g)
{
	return range_run(&g->ring[0], VIRTIO_BLK_T_DISCARD, 8, 8, RANGE_UNMAP,
			 VIRTIO_BLK_S_UNSUPP);
}

static const char *not_negotiated(struct guest *g)
{
	return range_run(&g->ring[0], VIRTIO_BLK_T_DISCARD, 8, 8, 0, VIRTIO_BLK_S_UNSUPP);
}

#define NO_DISCARD	BIT64(VIRTIO_BLK_F_DISCARD)
#define NO_EVENT_IDX	BIT64(VIRTIO_RING_F_EVENT_IDX)
#define ON_EMPTY	BIT64(VIRTIO_F_NOTIFY_ON_EMPTY)

static const struct planted planted[] = {
	{ BUG_SECTOR_ADVANCE, usual, "backend" },
	{ BUG_OVERRUN, usual, "guest memory" },
	{ BUG_USED_LEN, usual, "used.len" },
	{ BUG_STATUS, usual, "status" },
	{ BUG_TWICE, usual, "more is used" },
	{ BUG_READ_ONLY, read_only, "status", .read_only = true },
	{ BUG_RANGE, range, "status" },
	{ BUG_RANGE, range_read, "status" },
	{ BUG_SERIAL, serial, "guest memory" },
	{ BUG_LOST_CALL, traffic, "lost interrupt" },
	{ BUG_LOST_CALL, traffic, "lost interrupt", .features_off = NO_EVENT_IDX },
	{ BUG_ALWAYS_CALL, no_calls, "interrupts are off" },
	{ BUG_ALWAYS_CALL, no_calls, "interrupts are off", .features_off = NO_EVENT_IDX },
	{ BUG_ALWAYS_CALL, call_once, "used_event" },
	{ BUG_LOST_KICK, traffic, "lost kick", .features_off = NO_EVENT_IDX },
	{ BUG_NEVER_QUIET, quiet, "no kick was saved", .features_off = NO_EVENT_IDX },
	{ BUG_NO_ERROR, broken, "not signalled" },
	{ BUG_BASE, vring_base, "base" },
	{ BUG_ZERO_SHORT, zeroes, "backend" },
	{ BUG_ZERO_LONG, zeroes, "backend" },
	{ BUG_FIRST_RANGE, several, "backend" },
	{ BUG_RANGE_END, one_bad, "status" },
	{ BUG_RANGE_EARLY, one_bad, "backend" },
	{ BUG_RANGE_FLAGS, flags, "status" },
	{ BUG_RANGE_FEATURE, not_negotiated, "status", .features_off = NO_DISCARD },
	/* without a bug all checks pass */
	{ BUG_NONE, usual }, { BUG_NONE, range }, { BUG_NONE, range_read },
	{ BUG_NONE, read_only, .read_only = true }, { BUG_NONE, serial },
	{ BUG_NONE, traffic }, { BUG_NONE, traffic, .features_off = NO_EVENT_IDX },
	{ BUG_NONE, no_calls }, { BUG_NONE, no_calls, .features_off = NO_EVENT_IDX },
	{ BUG_NONE, call_once }, { BUG_NONE, quiet },
	{ BUG_NONE, quiet, .features_off = NO_EVENT_IDX },
	{ BUG_NONE, broken }, { BUG_NONE, vring_base }, { BUG_NONE, kicks },
	{ BUG_NONE, kicks, .features_off = NO_EVENT_IDX },
	{ BUG_NONE, call_on_empty, .features_on = ON_EMPTY },
	{ BUG_NONE, zeroes }, { BUG_NONE, several }, { BUG_NONE, one_bad },
	{ BUG_NONE, flags }, { BUG_NONE, not_negotiated, .features_off = NO_DISCARD },
};

FIXTURE(model) {
	struct backend b;
	struct guest g;
};

FIXTURE_SETUP(model)
{
	const char *why = backend_open(&self->b, BACKEND_FILE, false);

	ASSERT_EQ(NULL, why)
		TH_LOG("%s", why);
}

FIXTURE_TEARDOWN(model)
{
	backend_close(&self->b);
}

static const char *run_planted(struct guest *g, struct backend *b, const struct planted *p)
{
	struct guest_opts opts = {
		.backend = b, .serial = "abcdefghijklmnopqrst",
		.features_off = p->features_off, .features_on = p->features_on,
		.backend_flags = p->read_only ? VHOST_BLK_BACKEND_F_RO : 0,
	};
	const char *why;

	model_want(true, p->bug);
	guest_init(g, &opts);
	why = guest_boot(g);
	return why ? why : p->check(g);
}

TEST_F_TIMEOUT(model, bugs_are_noticed, 300)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(planted); i++) {
		const struct planted *p = &planted[i];
		const char *why = run_planted(&self->g, &self->b, p);

		if (!p->says) {
			EXPECT_EQ(NULL, why)
				TH_LOG("no bug, entry %u: %s", i, why);
		} else {
			ASSERT_NE(NULL, why)
				TH_LOG("bug \"%s\" (entry %u) went unnoticed",
				       model_bug_name(p->bug), i);
			EXPECT_NE(NULL, strstr(why, p->says))
				TH_LOG("bug \"%s\" (entry %u) shows as \"%s\", must be \"%s\"",
				       model_bug_name(p->bug), i, why, p->says);
		}
		guest_destroy(&self->g);
		/* a planted bug may have damaged the backend */
		backend_close(&self->b);
		ASSERT_WELL(backend_open(&self->b, BACKEND_FILE, false));
	}
}

/* There is a check for every planted bug. */
TEST(bugs_are_planted)
{
	unsigned int bug, i;

	for (bug = BUG_NONE; bug < BUG_COUNT; bug++) {
		for (i = 0; i < ARRAY_SIZE(planted) && planted[i].bug != bug; i++)
			;
		EXPECT_LT(i, ARRAY_SIZE(planted))
			TH_LOG("nothing checks for \"%s\"", model_bug_name(bug));
	}
}

/* A byte that changes without the device is found, in guest memory and on the backend. */
TEST_F(model, changes_are_noticed)
{
	struct guest_opts opts = { .backend = &self->b };
	struct guest *g = &self->g;
	uint64_t at;
	char byte = 0x33;

	model_want(true, BUG_NONE);
	guest_init(g, &opts);
	ASSERT_WELL(guest_boot(g));
	at = guest_alloc(g, 100, 1);
	guest_snapshot(g);
	ASSERT_WELL(guest_compare(g));
	guest_write(g, at + 99, &byte, 1);
	ASSERT_NE(NULL, guest_compare(g));
	ASSERT_WELL(backend_compare_all(&self->b));
	ASSERT_EQ(1, pwrite(self->b.check_fd, &byte, 1, 5000));
	ASSERT_NE(NULL, backend_compare_all(&self->b));
	ASSERT_NE(NULL, backend_compare(&self->b, 0, 512));
	guest_destroy(g);
}

/* A test that expects the wrong status of a request fails. */
TEST_F(model, expectations_are_checked)
{
	struct guest_opts opts = { .backend = &self->b };
	struct guest *g = &self->g;
	uint64_t end = self->b.size / SECTOR;
	struct ring *r;

	model_want(true, BUG_NONE);
	guest_init(g, &opts);
	ASSERT_WELL(guest_boot(g));
	r = &g->ring[0];
	EXPECT_NE(NULL, request_simple(r, VIRTIO_BLK_T_OUT, end, 4096, VIRTIO_BLK_S_OK));
	EXPECT_NE(NULL, request_simple(r, VIRTIO_BLK_T_OUT, end - 1, 4096, VIRTIO_BLK_S_OK));
	EXPECT_NE(NULL, request_simple(r, VIRTIO_BLK_T_IN, end, 4096, VIRTIO_BLK_S_OK));
	EXPECT_NE(NULL, request_simple(r, VIRTIO_BLK_T_OUT, 0, 4096, VIRTIO_BLK_S_IOERR));
	guest_destroy(g);
}

TEST_HARNESS_MAIN
