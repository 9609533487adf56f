/* SPDX-License-Identifier: GPL-2.0 */
/* DISCARD, WRITE_ZEROES and SECURE_ERASE: requests whose data is an array of ranges. */
#ifndef VHOST_TEST_RANGES_H
#define VHOST_TEST_RANGES_H

#include "request.h"

#define RANGE_UNMAP	1
/* limit of one segment, see Documentation/virt/vhost-blk/uapi.rst */
#define RANGE_MAX_SECTORS	(8U * 1024 * 1024)
#define RANGE_WRITTEN_SECTORS	(64U * 1024)

/* As the device reads it: little endian, as the hosts of the tests */
struct range {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};

bool ranges_type(uint32_t type);
unsigned int ranges_feature(uint32_t type);
/* Expected status of a valid request of this type: OK if negotiated */
uint8_t ranges_status(struct guest *g, uint32_t type);
/* Make a request with @len bytes of data, to be cut and placed. */
struct request *ranges_new(struct guest *g, uint32_t type, uint32_t len);
/* Used instead of request_arm() */
void ranges_arm(struct request *q, const struct range *r);
/* Update the model by a request that succeeded. */
void ranges_expect(struct request *q);
const char *ranges_compare(struct request *q);

/* Run a request in the usual three descriptors, and check it. */
const char *ranges_run(struct ring *r, uint32_t type, const struct range *range,
		       unsigned int n, uint8_t expect);
const char *range_run(struct ring *r, uint32_t type, uint64_t sector, uint32_t sectors,
		      uint32_t flags, uint8_t expect);

#endif /* VHOST_TEST_RANGES_H */
