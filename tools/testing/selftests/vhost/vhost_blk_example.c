// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest useful suite, to copy from when you write a new one.
 * Documentation/virt/vhost-blk/adding-a-test.rst explains it line by line.
 */
#include "suite-disk.h"

/* A flush succeeds, and data that was written before it reads back. */
TEST_F(disk, write_flush_read)
{
	struct ring *ring;

	BOOT(.queues = 2);
	ring = &self->g.ring[1];
	ASSERT_WELL(request_simple(ring, VIRTIO_BLK_T_OUT, 8, 4096, VIRTIO_BLK_S_OK));
	ASSERT_WELL(request_simple(ring, VIRTIO_BLK_T_FLUSH, 0, 0, VIRTIO_BLK_S_OK));
	ASSERT_WELL(request_simple(ring, VIRTIO_BLK_T_IN, 8, 4096, VIRTIO_BLK_S_OK));
}

/* A request that starts at the end of the disk fails and changes nothing. */
TEST_F(disk, past_the_end)
{
	uint64_t end = self->b.size / SECTOR;

	BOOT();
	ASSERT_WELL(request_simple(&self->g.ring[0], VIRTIO_BLK_T_OUT, end, 4096,
				   VIRTIO_BLK_S_IOERR));
}

TEST_HARNESS_MAIN
