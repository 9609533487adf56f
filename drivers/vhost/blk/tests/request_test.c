// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of request.c: checks of requests and their ranges, and operations
 * on arrays of segments.
 */
#include <kunit/test.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/vhost_blk.h>
#include <linux/virtio_blk.h>

#include "../request.h"

#define HEADER	sizeof(struct virtio_blk_outhdr)

#define ALL_OPS	U32_MAX

/* Operations that need no feature */
#define BASIC_OPS	(BIT(VHOST_BLK_OP_READ) | BIT(VHOST_BLK_OP_WRITE) | \
			 BIT(VHOST_BLK_OP_FLUSH) | BIT(VHOST_BLK_OP_GET_ID))

static const struct vhost_blk_limits disk_512 = {
	.capacity = 1000, .block_sectors = 1, .op_mask = ALL_OPS,
	.range_sectors = VHOST_BLK_MAX_RANGE_SECTORS,
};

static const struct vhost_blk_limits disk_4k = {
	.capacity = 1000, .block_sectors = 8, .op_mask = ALL_OPS,
	.range_sectors = VHOST_BLK_MAX_RANGE_SECTORS,
};

static const struct vhost_blk_limits disk_ro = {
	.capacity = 1000, .block_sectors = 1, .op_mask = ALL_OPS,
	.ro = true,
};

static const struct vhost_blk_limits disk_huge = {
	.capacity = U64_MAX, .block_sectors = 1, .op_mask = ALL_OPS,
	.range_sectors = VHOST_BLK_MAX_RANGE_SECTORS,
};

static const struct vhost_blk_limits disk_slow = {
	.capacity = U64_MAX, .block_sectors = 1, .op_mask = ALL_OPS,
	.range_sectors = 65536,
};

static const struct vhost_blk_limits disk_zoned = {
	.capacity = 1000, .block_sectors = 1, .op_mask = ALL_OPS,
	.zone_sectors = 128, .append_sectors = 64,
};

static const struct vhost_blk_limits disk_zoned_ro = {
	.capacity = 1000, .block_sectors = 1, .op_mask = ALL_OPS,
	.zone_sectors = 128, .append_sectors = 64, .ro = true,
};

static const struct vhost_blk_limits disk_zoned_no_append = {
	.capacity = 1000, .block_sectors = 1, .op_mask = ALL_OPS,
	.zone_sectors = 128,
};

static const struct vhost_blk_limits disk_basic = {
	.capacity = 1000, .block_sectors = 1, .op_mask = BASIC_OPS,
};

static const struct vhost_blk_limits disk_empty = {
	.capacity = 0, .block_sectors = 1, .op_mask = ALL_OPS,
};

/**
 * struct parse_case - a request and the expected result of vhost_blk_parse()
 * @name: name of the case in the log
 * @limits: limits of the disk
 * @type: type in the header
 * @sector: sector in the header
 * @out: readable bytes after the header
 * @in: writable bytes before the status byte
 * @status: expected status
 * @op: expected operation, if @status is VIRTIO_BLK_S_OK
 */
struct parse_case {
	const char *name;
	const struct vhost_blk_limits *limits;
	u32 type;
	u64 sector;
	u64 out;
	u64 in;
	u8 status;
	enum vhost_blk_op op;
};

#define READ_CASE(n, disk, s, bytes, st)	{ .name = n, .limits = disk, \
	.type = VIRTIO_BLK_T_IN, .sector = s, .in = bytes, \
	.status = VIRTIO_BLK_S_##st, .op = VHOST_BLK_OP_READ }
#define WRITE_CASE(n, disk, s, bytes, st)	{ .name = n, .limits = disk, \
	.type = VIRTIO_BLK_T_OUT, .sector = s, .out = bytes, \
	.status = VIRTIO_BLK_S_##st, .op = VHOST_BLK_OP_WRITE }
#define ZONE_CASE(n, disk, t, s, o, i, st)	{ .name = n, .limits = disk, \
	.type = VIRTIO_BLK_T_##t, .sector = s, .out = o, .in = i, \
	.status = VIRTIO_BLK_S_##st, .op = VHOST_BLK_OP_##t }
#define RANGES_CASE(n, disk, t, bytes, st)	\
	ZONE_CASE(n, disk, t, U64_MAX, bytes, 0, st)
#define UNKNOWN_CASE(t)	{ .name = "type " #t, .limits = &disk_basic, \
	.type = t, .in = 512, .status = VIRTIO_BLK_S_UNSUPP }

static const struct parse_case parse_cases[] = {
	READ_CASE("read one sector", &disk_512, 0, 512, OK),
	READ_CASE("read the last sector", &disk_512, 999, 512, OK),
	READ_CASE("read everything", &disk_512, 0, 512000, OK),
	READ_CASE("read nothing", &disk_512, 0, 0, OK),
	READ_CASE("read nothing at the end", &disk_512, 1000, 0, OK),
	READ_CASE("read nothing past the end", &disk_512, 1001, 0, IOERR),
	READ_CASE("read past the end", &disk_512, 999, 1024, IOERR),
	READ_CASE("read from the end", &disk_512, 1000, 512, IOERR),
	READ_CASE("read more than there is", &disk_512, 0, 512512, IOERR),
	READ_CASE("sector wraps 64 bits", &disk_512, U64_MAX, 512, IOERR),
	READ_CASE("sector times 512 wraps", &disk_512, 1ULL << 55, 512, IOERR),
	READ_CASE("no whole sectors", &disk_512, 0, 511, IOERR),
	READ_CASE("one byte over", &disk_512, 0, 513, IOERR),
	READ_CASE("largest request", &disk_huge, 0, VHOST_BLK_MAX_BYTES, OK),
	READ_CASE("too large", &disk_huge, 0, VHOST_BLK_MAX_BYTES + 512, IOERR),
	READ_CASE("empty disk", &disk_empty, 0, 512, IOERR),
	READ_CASE("whole block", &disk_4k, 8, 4096, OK),
	READ_CASE("part of a block", &disk_4k, 8, 512, IOERR),
	READ_CASE("not at a block", &disk_4k, 4, 4096, IOERR),
	READ_CASE("read of read-only", &disk_ro, 0, 512, OK),
	WRITE_CASE("write one sector", &disk_512, 0, 512, OK),
	WRITE_CASE("write the last sector", &disk_512, 999, 512, OK),
	WRITE_CASE("write nothing", &disk_512, 0, 0, OK),
	WRITE_CASE("write past the end", &disk_512, 999, 1024, IOERR),
	WRITE_CASE("write with wrap", &disk_512, U64_MAX, 512, IOERR),
	WRITE_CASE("write no whole sectors", &disk_512, 0, 1000, IOERR),
	WRITE_CASE("write to read-only", &disk_ro, 0, 512, IOERR),
	WRITE_CASE("write nothing to read-only", &disk_ro, 0, 0, IOERR),
	{ .name = "flush", .limits = &disk_512, .type = VIRTIO_BLK_T_FLUSH,
	  .sector = U64_MAX, .op = VHOST_BLK_OP_FLUSH },
	{ .name = "flush of read-only", .limits = &disk_ro,
	  .type = VIRTIO_BLK_T_FLUSH, .op = VHOST_BLK_OP_FLUSH },
	{ .name = "get id", .limits = &disk_512, .type = VIRTIO_BLK_T_GET_ID,
	  .in = VHOST_BLK_SERIAL_LEN, .op = VHOST_BLK_OP_GET_ID },
	{ .name = "get id, much room", .limits = &disk_512,
	  .type = VIRTIO_BLK_T_GET_ID, .in = 4096, .op = VHOST_BLK_OP_GET_ID },
	{ .name = "get id, little room", .limits = &disk_512,
	  .type = VIRTIO_BLK_T_GET_ID, .in = 5, .op = VHOST_BLK_OP_GET_ID },
	RANGES_CASE("discard", &disk_512, DISCARD, 16, OK),
	RANGES_CASE("discard, many", &disk_512, DISCARD, 256 * 16, OK),
	RANGES_CASE("discard, too many", &disk_512, DISCARD, 257 * 16, IOERR),
	RANGES_CASE("discard of nothing", &disk_512, DISCARD, 0, IOERR),
	RANGES_CASE("half a range", &disk_512, DISCARD, 24, IOERR),
	RANGES_CASE("discard, read-only", &disk_ro, DISCARD, 16, IOERR),
	RANGES_CASE("discard, 2^64 bytes", &disk_512, DISCARD,
		    U64_MAX - 2 * HEADER + 1, IOERR),
	RANGES_CASE("zeroes", &disk_512, WRITE_ZEROES, 16 * 16, OK),
	RANGES_CASE("zeroes, too many", &disk_512, WRITE_ZEROES, 17 * 16,
		    IOERR),
	RANGES_CASE("zeroes, read-only", &disk_ro, WRITE_ZEROES, 16, IOERR),
	RANGES_CASE("erase", &disk_512, SECURE_ERASE, 256 * 16, OK),
	RANGES_CASE("erase, read-only", &disk_ro, SECURE_ERASE, 16, IOERR),
	ZONE_CASE("append", &disk_zoned, ZONE_APPEND, 128, 512, 8, OK),
	ZONE_CASE("append, most", &disk_zoned, ZONE_APPEND, 0, 32768, 8, OK),
	ZONE_CASE("append, too much", &disk_zoned, ZONE_APPEND, 0, 33280, 8,
		  ZONE_INVALID_CMD),
	ZONE_CASE("append of nothing", &disk_zoned, ZONE_APPEND, 0, 0, 8,
		  ZONE_INVALID_CMD),
	ZONE_CASE("append inside", &disk_zoned, ZONE_APPEND, 64, 512, 8,
		  ZONE_INVALID_CMD),
	ZONE_CASE("append past the end", &disk_zoned, ZONE_APPEND, 1024, 512, 8,
		  ZONE_INVALID_CMD),
	ZONE_CASE("append, no answer", &disk_zoned, ZONE_APPEND, 0, 512, 7,
		  IOERR),
	ZONE_CASE("append, part", &disk_zoned, ZONE_APPEND, 0, 100, 8, IOERR),
	ZONE_CASE("append, none possible", &disk_zoned_no_append, ZONE_APPEND,
		  0, 512, 8, UNSUPP),
	ZONE_CASE("append, read-only", &disk_zoned_ro, ZONE_APPEND, 0, 512, 8,
		  IOERR),
	ZONE_CASE("report", &disk_zoned, ZONE_REPORT, 0, 0, 128, OK),
	ZONE_CASE("report from inside", &disk_zoned, ZONE_REPORT, 999, 0, 128,
		  OK),
	ZONE_CASE("report, odd room", &disk_zoned, ZONE_REPORT, 0, 0, 255, OK),
	ZONE_CASE("report, all room", &disk_zoned, ZONE_REPORT, 0, 0, U32_MAX,
		  OK),
	ZONE_CASE("report, no room", &disk_zoned, ZONE_REPORT, 0, 0, 127,
		  ZONE_INVALID_CMD),
	ZONE_CASE("report past the end", &disk_zoned, ZONE_REPORT, 1000, 0, 128,
		  ZONE_INVALID_CMD),
	ZONE_CASE("report, read-only", &disk_zoned_ro, ZONE_REPORT, 0, 0, 128,
		  OK),
	ZONE_CASE("open", &disk_zoned, ZONE_OPEN, 128, 0, 0, OK),
	ZONE_CASE("open inside", &disk_zoned, ZONE_OPEN, 129, 0, 0,
		  ZONE_INVALID_CMD),
	ZONE_CASE("close", &disk_zoned, ZONE_CLOSE, 896, 0, 0, OK),
	ZONE_CASE("close past the end", &disk_zoned, ZONE_CLOSE, 1024, 0, 0,
		  ZONE_INVALID_CMD),
	ZONE_CASE("finish", &disk_zoned, ZONE_FINISH, 0, 0, 0, OK),
	ZONE_CASE("reset", &disk_zoned, ZONE_RESET, 0, 0, 0, OK),
	ZONE_CASE("reset, read-only", &disk_zoned_ro, ZONE_RESET, 0, 0, 0,
		  IOERR),
	ZONE_CASE("reset all", &disk_zoned, ZONE_RESET_ALL, U64_MAX, 0, 0, OK),
	UNKNOWN_CASE(2),
	UNKNOWN_CASE(3),
	UNKNOWN_CASE(5),
	UNKNOWN_CASE(VIRTIO_BLK_T_DISCARD),
	UNKNOWN_CASE(VIRTIO_BLK_T_WRITE_ZEROES),
	UNKNOWN_CASE(VIRTIO_BLK_T_SECURE_ERASE),
	UNKNOWN_CASE(VIRTIO_BLK_T_ZONE_APPEND),
	UNKNOWN_CASE(VIRTIO_BLK_T_ZONE_REPORT),
	UNKNOWN_CASE(VIRTIO_BLK_T_ZONE_RESET_ALL),
	UNKNOWN_CASE(10),
	UNKNOWN_CASE(0x80000000),
	UNKNOWN_CASE(U32_MAX),
};

static void describe(const struct parse_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(parse, parse_cases, describe);

/* Expected length of the data or the array of ranges, in bytes */
static u64 want_len(const struct parse_case *c)
{
	if (c->op == VHOST_BLK_OP_READ)
		return c->in;
	return vhost_blk_op_moves_data(c->op) || vhost_blk_op_has_ranges(c->op) ?
		       c->out : 0;
}

/* Expected maximum length of the response, in bytes */
static u64 want_reply(const struct parse_case *c)
{
	switch (c->op) {
	case VHOST_BLK_OP_GET_ID:
		return min_t(u64, c->in, VHOST_BLK_SERIAL_LEN);
	case VHOST_BLK_OP_ZONE_APPEND:
		return 8;
	case VHOST_BLK_OP_ZONE_REPORT:
		return min_t(u64, c->in / 64 * 64, 64 + 64 * 1024);
	default:
		return 0;
	}
}

static void parse_test(struct kunit *test)
{
	const struct parse_case *c = test->param_value;
	struct vhost_blk_header hdr = { .type = c->type, .sector = c->sector };
	struct vhost_blk_cmd cmd;

	KUNIT_ASSERT_EQ(test, c->status,
			vhost_blk_parse(&hdr, HEADER + c->out, c->in + 1,
					c->limits, &cmd));
	if (c->status != VIRTIO_BLK_S_OK)
		return;
	KUNIT_EXPECT_EQ(test, c->op, cmd.op);
	KUNIT_EXPECT_EQ(test, want_len(c), (u64)cmd.len);
	KUNIT_EXPECT_EQ(test, want_reply(c), (u64)cmd.response);
	if (c->sector < 1000)
		KUNIT_EXPECT_EQ(test, cmd.pos, c->sector * 512);
}

/**
 * struct range_case - two ranges and the expected result of their check
 * @name: name of the case in the log
 * @limits: limits of the disk
 * @op: operation of the request
 * @raw: the ranges
 * @status: expected status
 */
struct range_case {
	const char *name;
	const struct vhost_blk_limits *limits;
	enum vhost_blk_op op;
	struct virtio_blk_discard_write_zeroes raw[2];
	u8 status;
};

#define RANGE(s, n, f)	{ cpu_to_le64(s), cpu_to_le32(n), cpu_to_le32(f) }
#define PAIR_CASE(n, disk, o, a, b, st)	{ .name = n, .limits = disk, \
	.op = VHOST_BLK_OP_##o, .raw = { a, b }, .status = VIRTIO_BLK_S_##st }
#define GOOD	RANGE(0, 8, 0)

#define ONE(...)	__VA_ARGS__

static const struct range_case range_cases[] = {
	PAIR_CASE("two", &disk_512, DISCARD, ONE(GOOD), ONE(RANGE(1, 999, 0)),
		  OK),
	PAIR_CASE("an empty one", &disk_512, DISCARD, ONE(GOOD),
		  ONE(RANGE(1000, 0, 0)), OK),
	PAIR_CASE("past the end", &disk_512, DISCARD, ONE(GOOD),
		  ONE(RANGE(1, 1000, 0)), IOERR),
	PAIR_CASE("the first is bad", &disk_512, WRITE_ZEROES,
		  ONE(RANGE(1000, 1, 0)), ONE(GOOD), IOERR),
	PAIR_CASE("sector wraps", &disk_512, SECURE_ERASE, ONE(GOOD),
		  ONE(RANGE(U64_MAX, 1, 0)), IOERR),
	PAIR_CASE("sum wraps", &disk_huge, DISCARD, ONE(GOOD),
		  ONE(RANGE(U64_MAX, 8, 0)), IOERR),
	PAIR_CASE("longest", &disk_huge, DISCARD, ONE(GOOD),
		  ONE(RANGE(0, VHOST_BLK_MAX_RANGE_SECTORS, 0)), OK),
	PAIR_CASE("too long", &disk_huge, DISCARD, ONE(GOOD),
		  ONE(RANGE(0, VHOST_BLK_MAX_RANGE_SECTORS + 1, 0)), IOERR),
	PAIR_CASE("longest zeroes", &disk_slow, WRITE_ZEROES, ONE(GOOD),
		  ONE(RANGE(0, 65536, 0)), OK),
	PAIR_CASE("more than advertised", &disk_slow, WRITE_ZEROES, ONE(GOOD),
		  ONE(RANGE(0, 65537, 0)), IOERR),
	PAIR_CASE("part of a block", &disk_4k, WRITE_ZEROES, ONE(GOOD),
		  ONE(RANGE(8, 4, 0)), IOERR),
	PAIR_CASE("not at a block", &disk_4k, WRITE_ZEROES, ONE(GOOD),
		  ONE(RANGE(4, 8, 0)), IOERR),
	PAIR_CASE("zeroes, unmap", &disk_512, WRITE_ZEROES, ONE(GOOD),
		  ONE(RANGE(8, 8, 1)), OK),
	PAIR_CASE("discard, unmap", &disk_512, DISCARD, ONE(GOOD),
		  ONE(RANGE(8, 8, 1)), UNSUPP),
	PAIR_CASE("erase, unmap", &disk_512, SECURE_ERASE, ONE(GOOD),
		  ONE(RANGE(8, 8, 1)), UNSUPP),
	PAIR_CASE("zeroes, another flag", &disk_512, WRITE_ZEROES,
		  ONE(RANGE(8, 8, 3)), ONE(GOOD), UNSUPP),
	PAIR_CASE("the highest flag", &disk_512, DISCARD,
		  ONE(RANGE(8, 8, 0x80000000)), ONE(GOOD), UNSUPP),
	PAIR_CASE("flag and range", &disk_512, DISCARD,
		  ONE(RANGE(5000, 8, 0)), ONE(RANGE(8, 8, 2)), UNSUPP),
};

static void describe_range(const struct range_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(ranges, range_cases, describe_range);

static void ranges_test(struct kunit *test)
{
	const struct range_case *c = test->param_value;
	struct vhost_blk_range got[2];
	unsigned int i;

	KUNIT_ASSERT_EQ(test, c->status,
			vhost_blk_parse_ranges(c->raw, 2, c->op, c->limits,
					       got));
	if (c->status != VIRTIO_BLK_S_OK)
		return;
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, got[i].pos,
				le64_to_cpu(c->raw[i].sector) * 512);
		KUNIT_EXPECT_EQ(test, got[i].len,
				le32_to_cpu(c->raw[i].num_sectors) * 512ULL);
		KUNIT_EXPECT_EQ(test, got[i].unmap, c->raw[i].flags != 0);
	}
}

static void op_mask_test(struct kunit *test)
{
	static const struct {
		u8 feature;
		u32 ops;
	} cases[] = {
		{ VIRTIO_BLK_F_RO, 0 },
		{ VIRTIO_BLK_F_FLUSH, 0 },
		{ VIRTIO_BLK_F_DISCARD, BIT(VHOST_BLK_OP_DISCARD) },
		{ VIRTIO_BLK_F_WRITE_ZEROES, BIT(VHOST_BLK_OP_WRITE_ZEROES) },
		{ VIRTIO_BLK_F_SECURE_ERASE, BIT(VHOST_BLK_OP_SECURE_ERASE) },
		{ VIRTIO_BLK_F_ZONED, BIT(VHOST_BLK_OP_ZONE_APPEND) |
				      BIT(VHOST_BLK_OP_ZONE_REPORT) |
				      BIT(VHOST_BLK_OP_ZONE_OPEN) |
				      BIT(VHOST_BLK_OP_ZONE_CLOSE) |
				      BIT(VHOST_BLK_OP_ZONE_FINISH) |
				      BIT(VHOST_BLK_OP_ZONE_RESET) |
				      BIT(VHOST_BLK_OP_ZONE_RESET_ALL) },
	};
	u64 features = 0;
	u32 ops = BASIC_OPS;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, ops, vhost_blk_op_mask(0));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		KUNIT_EXPECT_EQ(test, BASIC_OPS | cases[i].ops,
				vhost_blk_op_mask(BIT_ULL(cases[i].feature)));
		features |= BIT_ULL(cases[i].feature);
		ops |= cases[i].ops;
		KUNIT_EXPECT_EQ(test, ops, vhost_blk_op_mask(features));
	}
}

static void no_header_test(struct kunit *test)
{
	struct vhost_blk_header hdr = { .type = VIRTIO_BLK_T_IN };
	struct vhost_blk_cmd cmd;

	KUNIT_EXPECT_EQ(test, (u8)VIRTIO_BLK_S_IOERR,
			vhost_blk_parse(NULL, HEADER, 513, &disk_512, &cmd));
	KUNIT_EXPECT_EQ(test, (u8)VIRTIO_BLK_S_IOERR,
			vhost_blk_parse(&hdr, HEADER - 1, 513, &disk_512,
					&cmd));
}

/* Make segments at addresses that are never dereferenced. */
static void make_iov(struct iovec *iov, const size_t *lens, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		iov[i].iov_base = (void __user *)(0x10000UL * (i + 1));
		iov[i].iov_len = lens[i];
	}
}

static void iov_len_test(struct kunit *test)
{
	const size_t lens[] = { 1, 0, U32_MAX, U32_MAX };
	struct iovec iov[4];

	make_iov(iov, lens, 4);
	KUNIT_EXPECT_EQ(test, vhost_blk_iov_len(iov, 0), 0ULL);
	KUNIT_EXPECT_EQ(test, vhost_blk_iov_len(iov, 4), 1 + 2ULL * U32_MAX);
}

static void status_slot_test(struct kunit *test)
{
	const size_t lens[] = { 512, 1, 0, 0 };
	struct iovec iov[4];

	make_iov(iov, lens, 4);
	KUNIT_EXPECT_PTR_EQ(test, vhost_blk_status_slot(iov, 0),
			    (u8 __user *)NULL);
	KUNIT_EXPECT_PTR_EQ(test, vhost_blk_status_slot(iov, 1),
			    (u8 __user *)0x10000 + 511);
	KUNIT_EXPECT_PTR_EQ(test, vhost_blk_status_slot(iov, 2),
			    (u8 __user *)0x20000);
	KUNIT_EXPECT_PTR_EQ(test, vhost_blk_status_slot(iov, 4),
			    (u8 __user *)0x20000);
	KUNIT_EXPECT_PTR_EQ(test, vhost_blk_status_slot(iov + 2, 2),
			    (u8 __user *)NULL);
}

/* Trim an array and check that exactly the bytes of the range are left. */
static void check_trim(struct kunit *test, const size_t *lens, unsigned int nr,
		       unsigned int skip, unsigned int len)
{
	struct iovec iov[4], whole[4], *v = iov;
	unsigned int i, n, w = 0, at = skip;

	make_iov(iov, lens, nr);
	make_iov(whole, lens, nr);
	n = vhost_blk_trim_iov(&v, nr, skip, len);
	KUNIT_ASSERT_EQ(test, vhost_blk_iov_len(v, n), (u64)len);

	while (w < nr && at >= lens[w])
		at -= lens[w++];
	for (i = 0; i < n; i++, w++, at = 0) {
		if (!i || lens[w])
			KUNIT_ASSERT_GT(test, v[i].iov_len, (size_t)0);
		KUNIT_ASSERT_PTR_EQ(test, v[i].iov_base,
				    whole[w].iov_base + at);
	}
}

/* Every possible range of a few short segments */
static void trim_test(struct kunit *test)
{
	const size_t lens[] = { 3, 1, 5, 2 }, empty[] = { 3, 0, 6, 2 };
	const unsigned int total = 11;
	unsigned int skip, len;

	for (skip = 0; skip <= total; skip++) {
		for (len = 0; len <= total - skip; len++) {
			check_trim(test, lens, 4, skip, len);
			check_trim(test, empty, 4, skip, len);
		}
	}
}

/* Header in two segments: what remains are data without header and status */
static void cut_test(struct kunit *test)
{
	const size_t lens[] = { 10, 506, 12, 500 };
	const struct vhost_blk_cmd write = {
		.op = VHOST_BLK_OP_WRITE, .len = 500,
	};
	const struct vhost_blk_cmd read = {
		.op = VHOST_BLK_OP_READ, .len = 511,
	};
	struct vhost_blk_chain chain;
	struct iovec iov[4];

	make_iov(iov, lens, 4);
	chain = (struct vhost_blk_chain){ iov, 2, iov + 2, 2 };
	vhost_blk_trim_chain(&chain, &write);
	KUNIT_EXPECT_EQ(test, chain.nr_out, 1U);
	KUNIT_EXPECT_PTR_EQ(test, chain.out->iov_base,
			    (void __user *)(0x20000UL + 6));
	KUNIT_EXPECT_EQ(test, chain.out->iov_len, (size_t)500);
	KUNIT_EXPECT_EQ(test, chain.nr_in, 0U);

	make_iov(iov, lens, 4);
	chain = (struct vhost_blk_chain){ iov, 2, iov + 2, 2 };
	vhost_blk_trim_chain(&chain, &read);
	KUNIT_EXPECT_EQ(test, chain.nr_out, 0U);
	KUNIT_EXPECT_EQ(test, chain.nr_in, 2U);
	KUNIT_EXPECT_EQ(test, chain.in[0].iov_len, (size_t)12);
	KUNIT_EXPECT_EQ(test, chain.in[1].iov_len, (size_t)499);
}

static struct kunit_case request_cases[] = {
	KUNIT_CASE_PARAM(parse_test, parse_gen_params),
	KUNIT_CASE_PARAM(ranges_test, ranges_gen_params),
	KUNIT_CASE(op_mask_test),
	KUNIT_CASE(no_header_test),
	KUNIT_CASE(iov_len_test),
	KUNIT_CASE(status_slot_test),
	KUNIT_CASE(trim_test),
	KUNIT_CASE(cut_test),
	{}
};

static struct kunit_suite request_suite = {
	.name = "vhost_blk_request",
	.test_cases = request_cases,
};

kunit_test_suites(&request_suite);
