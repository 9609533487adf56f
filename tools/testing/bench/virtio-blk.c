// SPDX-License-Identifier: GPL-2.0
/* Requests of virtio-blk: struct virtio_blk_outhdr, data, and a status byte */
#include "virtio-blk.h"

const char *virtio_blk_boot(struct device *dev, uint64_t sectors)
{
	const char *why;

	device_size(dev, sectors * SECTOR);
	dev->guest.stage = STAGE_OPEN;
	why = guest_boot(&dev->guest);
	return why ? why : vring_started(dev);
}

const char *virtio_blk_prepare(struct lane *l, struct slot *s)
{
	return vring_slot(l, s, HDR_LEN, 1, false);
}

void virtio_blk_add(struct lane *l, struct slot *s, bool write)
{
	struct virtio_blk_outhdr *h = s->header;

	h->type = htole32(write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
	h->sector = htole64(s->block * (l->load->block / SECTOR));
	*(uint8_t *)s->status = STATUS_POISON;
	vring_add(l, s);
}

bool virtio_blk_ok(const struct lane *l, const struct slot *s)
{
	uint32_t used = 1 + (l->load->write ? 0 : l->load->block);

	return *(uint8_t *)s->status == VIRTIO_BLK_S_OK && s->q->used_len == used;
}
