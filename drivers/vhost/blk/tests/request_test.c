// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: from descriptors to a checked request.
 */
#include <kunit/test.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/vhost_blk.h>
#include <linux/virtio_blk.h>

#include "../request.h"

#define HEADER	sizeof(struct virtio_blk_outhdr)

static const struct vhost_blk_limits disk_512 = {
	.capacity = 1000, .block_sectors = 1,
};

static const struct vhost_blk_limits disk_4k = {
	.capacity = 1000, .block_sectors = 8,
};

static const struct vhost_blk_limits disk_ro = {
	.capacity = 1000, .block_sectors = 1, .ro = true,
};

static const struct vhost_blk_limits disk_huge = {
	.capacity = U64_MAX, .block_sectors = 1,
};

static const struct vhost_blk_limits disk_empty = {
	.capacity = 0, .block_sectors = 1,
};

/**
 * struct parse_case - one request and what is to come of it
 * @name: for the log
 * @limits: of the disk
 * @type: of the header
 * @sector: of the header
 * @out: readable bytes after the header
 * @in: writable bytes before the status
 * @status: expected
 * @op: expected where @status is OK
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
#define UNKNOWN_CASE(t)	{ .name = "type " #t, .limits = &disk_512, \
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
	UNKNOWN_CASE(2),
	UNKNOWN_CASE(3),
	UNKNOWN_CASE(5),
	UNKNOWN_CASE(VIRTIO_BLK_T_DISCARD),
	UNKNOWN_CASE(VIRTIO_BLK_T_WRITE_ZEROES),
	UNKNOWN_CASE(VIRTIO_BLK_T_SECURE_ERASE),
	UNKNOWN_CASE(0x80000000),
	UNKNOWN_CASE(U32_MAX),
};

static void describe(const struct parse_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(parse, parse_cases, describe);

/* Bytes of data that a case is to come out with. */
static u64 want_len(const struct parse_case *c)
{
	if (c->op == VHOST_BLK_OP_GET_ID)
		return min_t(u64, c->in, VHOST_BLK_SERIAL_LEN);
	return c->op == VHOST_BLK_OP_WRITE ? c->out : c->in;
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
	KUNIT_EXPECT_EQ(test, cmd.skip,
			c->op == VHOST_BLK_OP_WRITE ? HEADER : 0);
	if (c->op == VHOST_BLK_OP_READ || c->op == VHOST_BLK_OP_WRITE)
		KUNIT_EXPECT_EQ(test, cmd.pos, c->sector * 512);
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

/* Segments at addresses that nothing dereferences. */
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

static void check_trim(struct kunit *test, const size_t *lens, unsigned int nr,
		       unsigned int skip, unsigned int len)
{
	struct iovec iov[4], whole[4], *v = iov;
	unsigned int i, n, w = 0, at = skip;

	make_iov(iov, lens, nr);
	make_iov(whole, lens, nr);
	n = vhost_blk_iov_trim(&v, nr, skip, len);
	KUNIT_ASSERT_EQ(test, vhost_blk_iov_len(v, n), (u64)len);

	while (w < nr && at >= lens[w])
		at -= lens[w++];
	for (i = 0; i < n; i++, w++, at = 0) {
		KUNIT_ASSERT_GT(test, v[i].iov_len, (size_t)0);
		KUNIT_ASSERT_PTR_EQ(test, v[i].iov_base,
				    whole[w].iov_base + at);
	}
}

/* Every range of a few short segments, byte by byte. */
static void trim_test(struct kunit *test)
{
	const size_t lens[] = { 3, 1, 5, 2 };
	const unsigned int total = 11;
	unsigned int skip, len;

	for (skip = 0; skip <= total; skip++)
		for (len = 0; len <= total - skip; len++)
			check_trim(test, lens, 4, skip, len);
}

static struct kunit_case request_cases[] = {
	KUNIT_CASE_PARAM(parse_test, parse_gen_params),
	KUNIT_CASE(no_header_test),
	KUNIT_CASE(iov_len_test),
	KUNIT_CASE(status_slot_test),
	KUNIT_CASE(trim_test),
	{}
};

static struct kunit_suite request_suite = {
	.name = "vhost_blk_request",
	.test_cases = request_cases,
};

kunit_test_suites(&request_suite);
