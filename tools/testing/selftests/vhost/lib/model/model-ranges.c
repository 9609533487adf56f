// SPDX-License-Identifier: GPL-2.0
/* The device in userspace: DISCARD and WRITE_ZEROES, both of which write zeroes. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model-impl.h"
#include "ranges.h"

static bool negotiated(struct model *m, uint32_t type)
{
	unsigned int bit = type == VIRTIO_BLK_T_DISCARD ? VIRTIO_BLK_F_DISCARD :
			   VIRTIO_BLK_F_WRITE_ZEROES;

	return m->bug == BUG_RANGE_FEATURE || m->features >> bit & 1;
}

static bool known_flags(struct model *m, uint32_t type, uint32_t flags)
{
	if (m->bug == BUG_RANGE_FLAGS)
		return true;
	return !(flags & ~(type == VIRTIO_BLK_T_DISCARD ? 0U : RANGE_UNMAP));
}

static bool inside(struct model *m, const struct range *r)
{
	uint64_t end = m->size / SECTOR;

	if (m->bug == BUG_RANGE_END)
		return r->sector <= end;
	return r->sectors <= RANGE_MAX_SECTORS && r->sectors <= end &&
	       r->sector <= end - r->sectors;
}

static bool zero(struct model *m, uint64_t sector, uint64_t sectors)
{
	uint64_t end = m->size / SECTOR;
	void *zeroes;
	bool ok;

	if (m->bug == BUG_ZERO_SHORT && sectors)
		sectors--;
	if (m->bug == BUG_ZERO_LONG)
		sectors++;
	if (sectors > end - sector)
		sectors = end - sector;
	if (posix_memalign(&zeroes, 4096, sectors * SECTOR + 1))
		return false;
	memset(zeroes, 0, sectors * SECTOR);
	ok = pwrite(m->backend, zeroes, sectors * SECTOR, sector * SECTOR) ==
	     (ssize_t)(sectors * SECTOR);
	free(zeroes);
	return ok;
}

static uint8_t check(struct model *m, uint32_t type, const struct range *r, uint64_t n)
{
	uint64_t i;

	for (i = 0; i < n; i++)
		if (!known_flags(m, type, le32toh(r[i].flags)))
			return VIRTIO_BLK_S_UNSUPP;
	for (i = 0; i < n; i++)
		if (!inside(m, &r[i]))
			return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

uint8_t model_ranges(struct model *m, uint32_t type, const uint8_t *data, uint64_t len)
{
	const struct range *r = (const struct range *)data;
	uint64_t i, n = len / sizeof(*r);
	uint8_t status;

	if (!negotiated(m, type))
		return VIRTIO_BLK_S_UNSUPP;
	if (m->read_only || !n || len % sizeof(*r) ||
	    n > (type == VIRTIO_BLK_T_DISCARD ? 256 : 16))
		return VIRTIO_BLK_S_IOERR;
	status = check(m, type, r, n);
	if (status != VIRTIO_BLK_S_OK && m->bug != BUG_RANGE_EARLY)
		return status;
	if (m->bug == BUG_FIRST_RANGE)
		n = 1;
	for (i = 0; i < n && inside(m, &r[i]); i++)
		if (!zero(m, r[i].sector, r[i].sectors))
			return VIRTIO_BLK_S_IOERR;
	return status;
}
