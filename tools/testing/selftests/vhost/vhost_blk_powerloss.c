// SPDX-License-Identifier: GPL-2.0
/*
 * The FLUSH rule (5.2.6.2): the power of the backend is cut at random moments
 * under load, and no data that was acknowledged as stable may be lost.
 * Controls show that a cut does lose data that was not.
 */
#define _GNU_SOURCE
#include <sys/uio.h>
#include <time.h>

#include "power.h"
#include "ranges.h"
#include "suite.h"

#define WCE	BIT64(VIRTIO_BLK_F_CONFIG_WCE)
#define FLUSH	BIT64(VIRTIO_BLK_F_FLUSH)
#define DEPTH	40

FIXTURE(powerloss) {
	struct power p;
	struct ledger l;
	struct rng rng;
};

FIXTURE_VARIANT(powerloss) {
	struct power_opts opts;
};

FIXTURE_VARIANT_ADD(powerloss, bdev) {
	.opts = { .direct = true },
};

FIXTURE_VARIANT_ADD(powerloss, file_direct) {
	.opts = { .file = true, .direct = true },
};

FIXTURE_VARIANT_ADD(powerloss, file_buffered) {
	.opts = { .file = true },
};

FIXTURE_SETUP(powerloss)
{
	const char *why;

	if (!guest_has_device())
		SKIP(return, NO_DEVICE);
	if (model_wanted())
		SKIP(return, "the model device has no write cache");
	why = power_open(&self->p, &variant->opts);
	if (why)
		SKIP(return, "%s", why);
	ledger_init(&self->l, self->p.disk.size);
	self->rng.state = rng_seed_from_env();
	TH_LOG("VHOST_TEST_SEED=%llu", (unsigned long long)self->rng.state);
	ASSERT_WELL(ledger_write(&self->l, self->p.disk.fd));
}

FIXTURE_TEARDOWN(powerloss)
{
	power_close(&self->p);
	ledger_free(&self->l);
}

struct job {
	struct request *write;
	struct request *zeroes;
	int slot;
	bool is_zeroes;
	uint64_t seq;		/* of the submission; 0: no request */
};

/*
 * dm-log-writes logs the data of a flush when that flush completes, even if a
 * later flush without any data completes before it.  So data that is
 * acknowledged while another flushing request is in flight may be missing from
 * the log for a moment.  Either only one such request is sent at a time, and
 * acknowledged data counts at once; or it counts once all those requests have
 * completed.
 */
enum counting {
	COUNT_FLUSHED,		/* once a flush by the guest has completed */
	COUNT_AT_ONCE,
	COUNT_LATER,
};

struct load {
	struct guest g;
	struct power *p;
	struct ledger *l;
	struct rng *rng;
	struct job job[DEPTH];
	struct request *flush;
	bool flushing;
	bool flushes;		/* the guest sends flushes */
	enum counting counting;
	unsigned int depth;
	bool zeroes;		/* one is in flight; a flush may follow it */
	uint64_t seq;
	uint64_t *until;	/* for each slot: the last request to wait for */
	unsigned int idle[DEPTH];
	unsigned int nidle;
	unsigned int acked;
	unsigned int flushed;
};

static struct request *prepare(struct guest *g, uint32_t type, uint32_t len, uint64_t tag)
{
	struct request *q = request_new(g, type, 0, len);

	q->tag = tag;
	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, tag);
	return q;
}

static const char *load_start(struct load *l, uint64_t features_off, int writeback)
{
	struct guest_opts opts = {
		.backend = &l->p->disk, .num = 256, .features_off = features_off,
	};
	const char *why;
	unsigned int i;

	guest_init(&l->g, &opts);
	why = guest_boot(&l->g);
	if (!why && guest_set_writeback(&l->g, writeback))
		why = "SET_CONFIG fails";
	for (i = 0; i < DEPTH; i++) {
		l->job[i].write = prepare(&l->g, VIRTIO_BLK_T_OUT, SLOT_BYTES, i);
		l->job[i].zeroes = prepare(&l->g, VIRTIO_BLK_T_WRITE_ZEROES,
					   sizeof(struct range), i);
		l->idle[l->nidle++] = i;
	}
	l->until = calloc(l->l->n, sizeof(*l->until));
	l->flush = prepare(&l->g, VIRTIO_BLK_T_FLUSH, 0, DEPTH);
	return why;
}

static void load_end(struct load *l)
{
	unsigned int i;

	for (i = 0; i < DEPTH; i++) {
		request_free(l->job[i].write);
		request_free(l->job[i].zeroes);
	}
	request_free(l->flush);
	free(l->until);
	guest_destroy(&l->g);
}

static void send_job(struct load *l, struct job *j)
{
	struct slot *s = &l->l->slot[j->slot];
	bool zeroes = rng_below(l->rng, 6) == 0 && !(l->zeroes && l->counting == COUNT_AT_ONCE);
	struct request *q = zeroes ? j->zeroes : j->write;
	struct range range = { (uint64_t)j->slot * SLOT_SECTORS, SLOT_SECTORS, 0 };
	uint8_t data[SLOT_BYTES];

	j->seq = ++l->seq;
	j->is_zeroes = zeroes;
	l->zeroes |= zeroes;
	s->busy = true;
	s->sent++;
	if (zeroes) {
		s->zeroed |= 1ULL << s->sent;
		request_put_data(q, &range);
	} else {
		ledger_data(j->slot, s->sent, data);
		request_set_sector(q, range.sector);
		request_put_data(q, data);
	}
	request_rearm(q);
	if (ring_add(&l->g.ring[0], q))
		abort();
}

static void submit(struct load *l)
{
	while (l->nidle > DEPTH - l->depth) {
		struct job *j = &l->job[l->idle[l->nidle - 1]];

		if (l->flushes && !l->flushing && rng_below(l->rng, 32) == 0) {
			ledger_snapshot(l->l);
			request_rearm(l->flush);
			l->flushing = true;
			if (ring_add(&l->g.ring[0], l->flush))
				abort();
		}
		j->slot = ledger_pick(l->l, l->rng);
		if (j->slot < 0)
			break;
		l->nidle--;
		send_job(l, j);
	}
	ring_kick(&l->g.ring[0]);
}

/*
 * COUNT_LATER: data is stable if it was acknowledged before any request in
 * flight was sent.
 */
static void count_late(struct load *l)
{
	uint64_t oldest = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < DEPTH; i++)
		if (l->job[i].seq && l->job[i].seq < oldest)
			oldest = l->job[i].seq;
	for (i = 0; i < l->l->n; i++)
		if (l->until[i] && l->until[i] < oldest) {
			l->l->slot[i].stable = l->l->slot[i].acked;
			l->until[i] = 0;
		}
}

static void acknowledge(struct load *l, struct job *j)
{
	struct slot *s = &l->l->slot[j->slot];

	s->busy = false;
	s->acked = s->sent;
	if (l->counting == COUNT_AT_ONCE)
		s->stable = s->sent;
	else if (l->counting == COUNT_LATER)
		l->until[j->slot] = l->seq;
	if (j->is_zeroes)
		l->zeroes = false;
	j->seq = 0;
	l->acked++;
}

static const char *complete(struct load *l, struct request *q)
{
	if (request_status(q) != VIRTIO_BLK_S_OK)
		return guest_say(&l->g, "status %u of type %u", request_status(q), q->type);
	if (q == l->flush) {
		l->flushing = false;
		l->flushed++;
		ledger_flushed(l->l);
		return NULL;
	}
	acknowledge(l, &l->job[q->tag]);
	l->idle[l->nidle++] = q->tag;
	return NULL;
}

static const char *reap(struct load *l)
{
	struct ring *r = &l->g.ring[0];
	const char *why = NULL;
	struct request *q;
	bool any = false;

	while (!why && (q = ring_take(r))) {
		why = complete(l, q);
		any = true;
	}
	if (!any)
		usleep(100);
	if (l->counting == COUNT_LATER)
		count_late(l);
	return why ? why : r->why[0] ? r->why : NULL;
}

/* Run until @n more requests are complete, with as many as possible in flight. */
static const char *run(struct load *l, unsigned int n)
{
	time_t end = time(NULL) + 60;
	const char *why = NULL;

	for (n += l->acked; !why && l->acked < n;) {
		submit(l);
		why = reap(l);
		if (time(NULL) > end)
			why = "the load does not end within a minute";
	}
	return why;
}

static const char *drain(struct load *l)
{
	time_t end = time(NULL) + 60;
	const char *why = NULL;

	while (!why && ring_inflight(&l->g.ring[0])) {
		why = reap(l);
		if (time(NULL) > end)
			why = "the load does not end within a minute";
	}
	return why;
}

struct mode {
	const char *name;
	uint64_t features_off;
	int writeback;
	bool flushes;
	bool stable;		/* completed writes are stable */
	bool switched;		/* switch to writethrough before the second cut */
	bool must_lose;
};

static const struct mode mode[] = {
	{ .name = "writethrough", .stable = true },
	{ .name = "neither flush nor wce", .features_off = WCE | FLUSH, .writeback = 1,
	  .stable = true },
	/* writeback keeps the value of SET_FEATURES, which is 0 */
	{ .name = "wce without flush", .features_off = FLUSH, .stable = true },
	{ .name = "writeback", .writeback = 1, .flushes = true },
	/* FLUSH without CONFIG_WCE means a writeback cache */
	{ .name = "flush without wce", .features_off = WCE, .writeback = 1, .flushes = true },
	/* control: without a flush some data is lost, so the other modes can fail */
	{ .name = "never flushed", .writeback = 1, .must_lose = true },
	{ .name = "switched under load", .writeback = 1, .switched = true },
};

#define MAX_CUTS	3	/* cuts in each mode */

/* For every other cut of a file, whose writes flush too, have many requests in flight. */
static void choose(struct load *l, unsigned int cut)
{
	bool file = l->p->opts.file;

	l->counting = file && cut & 1 ? COUNT_LATER : COUNT_AT_ONCE;
	l->depth = file && !(cut & 1) ? 1 : DEPTH;
}

static const char *switch_mode(struct load *l)
{
	/* requests in flight complete before the flush, or start after the switch */
	if (guest_set_writeback(&l->g, 0))
		return "SET_CONFIG fails under load";
	ledger_all_stable(l->l);
	return NULL;
}

/* Run a load with some cuts; record the ledger at each cut. */
static const char *life(struct load *l, const struct mode *m, struct ledger *at,
			unsigned int cuts)
{
	const char *why = load_start(l, m->features_off, m->writeback);
	unsigned int i;

	for (i = 0; i < cuts; i++) {
		if (!why && m->switched && i == 1)
			why = switch_mode(l);
		if (m->stable || (m->switched && i)) {
			if (!why)
				why = drain(l);
			choose(l, i);
		}
		if (!why)
			why = run(l, 10 + rng_below(l->rng, 2 * l->depth));
		/* a flush that is sent now comes after all acknowledged requests */
		while (!why && m->flushes && l->flushed <= i)
			why = run(l, 10);
		ledger_copy(&at[i], l->l);
		if (!why)
			why = power_cut(l->p);
	}
	return why ? why : drain(l);
}

/* Keep a message, whose buffer is about to be freed. */
static const char *keep(const struct mode *m, const char *why)
{
	static char text[300];

	if (!why)
		return NULL;
	snprintf(text, sizeof(text), "%s: %s", m->name, why);
	return text;
}

static const char *live(struct power *p, struct ledger *books, struct rng *rng,
			const struct mode *m, struct ledger *at, unsigned int cuts)
{
	struct load l = {
		.p = p, .l = books, .rng = rng, .flushes = m->flushes, .depth = DEPTH,
	};
	const char *why = keep(m, life(&l, m, at, cuts));

	load_end(&l);
	return why;
}

static const char *look(struct power *p, struct ledger *at, unsigned int n)
{
	int fd = power_after(p, n);
	const char *why;

	if (fd < 0)
		return p->why;
	why = ledger_check(at, fd);
	close(fd);
	return why;
}

static const char *look_at_mode(struct power *p, const struct mode *m, struct ledger *at,
				unsigned int first, unsigned int cuts)
{
	unsigned int i, lost = 0;
	const char *why = NULL;

	for (i = 0; !why && i < cuts; i++) {
		why = look(p, &at[i], first + i);
		lost += at[i].lost;
	}
	printf("# %s: %u cuts, %u sectors lost\n", m->name, cuts, lost);
	if (!why && m->must_lose && !lost)
		why = "no data was lost, so the cuts show nothing";
	return keep(m, why);
}

/* One disk; each mode has a guest of its own. */
TEST_F_TIMEOUT(powerloss, every_mode, 300)
{
	unsigned int cuts = variant->opts.file ? 2 : scaled(MAX_CUTS, 2);
	struct ledger at[ARRAY_SIZE(mode)][MAX_CUTS] = { 0 };
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(mode); i++)
		ASSERT_WELL(live(&self->p, &self->l, &self->rng, &mode[i], at[i], cuts));
	ASSERT_WELL(power_stop(&self->p));
	for (i = 0; i < ARRAY_SIZE(mode); i++)
		ASSERT_WELL(look_at_mode(&self->p, &mode[i], at[i], i * cuts, cuts));
	/* at the end nothing is lost: the log is complete */
	ASSERT_WELL(look(&self->p, &self->l, POWER_END));
	EXPECT_EQ(0, self->l.lost);
	for (i = 0; i < ARRAY_SIZE(mode); i++)
		for (k = 0; k < cuts; k++)
			ledger_free(&at[i][k]);
}

static const char *put(struct ledger *l, int fd, unsigned int i, int flags)
{
	struct slot *s = &l->slot[i];
	struct iovec iov = { .iov_len = SLOT_BYTES };
	const char *why = NULL;

	if (posix_memalign(&iov.iov_base, 4096, SLOT_BYTES))
		return "no memory";
	ledger_data(i, ++s->sent, iov.iov_base);
	if (pwritev2(fd, &iov, 1, (off_t)i * SLOT_BYTES, flags) != SLOT_BYTES)
		why = "pwrite fails";
	free(iov.iov_base);
	s->acked = s->sent;
	return why;
}

/*
 * Control, without the device under test: a cut drops data that was not
 * flushed, and no other.
 */
TEST_F(powerloss, cut)
{
	struct ledger *l = &self->l, at;
	int fd = self->p.disk.fd;
	unsigned int i;

	for (i = 0; i < 20; i++)
		ASSERT_WELL(put(l, fd, i, 0));
	ASSERT_EQ(0, fdatasync(fd));
	ledger_all_stable(l);
	for (i = 20; i < 40; i++) {
		ASSERT_WELL(put(l, fd, i, RWF_DSYNC));
		l->slot[i].stable = l->slot[i].sent;
	}
	for (i = 0; i < 60; i += 2)
		ASSERT_WELL(put(l, fd, i, 0));
	ledger_copy(&at, l);
	ASSERT_WELL(power_cut(&self->p));
	ASSERT_WELL(power_stop(&self->p));
	ASSERT_WELL(look(&self->p, &at, 0));
	/* a file system may flush by its own timer in between */
	EXPECT_NE(0, at.lost);
	if (!variant->opts.file)
		EXPECT_EQ(30 * SLOT_SECTORS, at.lost);
	ASSERT_WELL(look(&self->p, l, POWER_END));
	EXPECT_EQ(0, l->lost);
	ledger_free(&at);
}

TEST_HARNESS_MAIN
