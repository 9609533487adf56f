// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's vhost-scsi: LUN 0 of the target whose WWPN is the path of the device.
 * The first two queues are for control and events, and are not used.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/virtio_scsi.h>

#include "load.h"

#define FIRST_QUEUE	2
#define TARGET		1	/* tag of the target portal group */

static long set_endpoint(struct device *dev)
{
	struct vhost_scsi_target target = { .vhost_tpgt = 0 };

	snprintf(target.vhost_wwpn, sizeof(target.vhost_wwpn), "%s", dev->path);
	return guest_ioctl(&dev->guest, VHOST_SCSI_SET_ENDPOINT, &target);
}

/* The target is attached last, at the point at which vhost-blk would be started. */
static const char *open_device(struct device *dev)
{
	struct guest *g = &dev->guest;
	const char *why;
	long ret;

	if (!dev->load->size)
		return "vhost-scsi needs --size";
	dev->size = dev->load->size;
	vring_device(dev);
	g->fd = open("/dev/vhost-scsi", O_RDWR | O_CLOEXEC);
	if (g->fd < 0)
		return "cannot open /dev/vhost-scsi";
	ret = guest_ioctl(g, VHOST_SET_OWNER, NULL);
	if (ret)
		return guest_say(g, "SET_OWNER: %s", strerror(-ret));
	/* The feature bits below 24 are those of virtio-scsi. */
	g->opts.features_off |= BIT64(24) - 1;
	g->stage = STAGE_BACKEND;
	why = guest_boot_to(g, STAGE_RINGS);
	if (!why)
		why = kernel_workers(dev);
	if (why)
		return why;
	ret = set_endpoint(dev);
	return ret ? guest_say(g, "%s: %s", dev->path, strerror(-ret)) : vring_started(dev);
}

static const char *prepare(struct lane *l, struct slot *s)
{
	struct virtio_scsi_cmd_req *h;
	const char *why;

	why = vring_slot(l, s, sizeof(*h), sizeof(struct virtio_scsi_cmd_resp), true);
	h = s->header;
	h->lun[0] = 1;
	h->lun[1] = TARGET;
	h->lun[2] = 0x40;
	return why;
}

static void put_be32(uint8_t *to, uint32_t value)
{
	value = htobe32(value);
	memcpy(to, &value, sizeof(value));
}

/* READ(10) or WRITE(10), in blocks of 512 bytes */
static void add(struct lane *l, struct slot *s, bool write)
{
	uint32_t sectors = l->load->block / SECTOR;
	struct virtio_scsi_cmd_req *h = s->header;
	struct virtio_scsi_cmd_resp *resp = s->status;

	h->tag = s->nr;
	h->cdb[0] = write ? 0x2a : 0x28;
	put_be32(h->cdb + 2, s->block * sectors);
	h->cdb[7] = sectors >> 8;
	h->cdb[8] = sectors;
	resp->response = STATUS_POISON;
	vring_add(l, s);
}

static bool ok(const struct lane *l, const struct slot *s)
{
	const struct virtio_scsi_cmd_resp *resp = s->status;

	(void)l;
	return resp->response == VIRTIO_SCSI_S_OK && !resp->status && !resp->resid;
}

const struct engine vhost_scsi_engine = {
	.name = "vhost-scsi",
	.first_queue = FIRST_QUEUE,
	.open = open_device,
	.close = vring_close,
	.prepare = prepare,
	.add = add,
	.ok = ok,
	VRING_ENGINE,
};
