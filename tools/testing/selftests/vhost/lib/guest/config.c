// SPDX-License-Identifier: GPL-2.0
/* The configuration space, as a VMM reads and writes it */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "guest.h"

long guest_get_config(struct guest *g, struct blk_config *config)
{
	struct {
		struct vhost_vdpa_config c;
		uint8_t space[sizeof(*config)];
	} arg = { .c.len = sizeof(*config) };
	long ret = guest_ioctl(g, VHOST_BLK_GET_CONFIG, &arg);

	memcpy(config, arg.space, sizeof(*config));
	return ret;
}

long guest_set_writeback(struct guest *g, uint8_t value)
{
	struct {
		struct vhost_vdpa_config c;
		uint8_t byte;
	} arg = {
		.c = { .off = offsetof(struct blk_config, writeback), .len = 1 },
		.byte = value,
	};

	return guest_ioctl(g, VHOST_BLK_SET_CONFIG, &arg);
}

/* @fd: the eventfd for changes of the capacity; -1: none */
long guest_config_call(struct guest *g, int fd)
{
	return guest_ioctl(g, VHOST_BLK_SET_CONFIG_CALL, &fd);
}

uint64_t guest_offered(struct guest *g)
{
	uint64_t features = 0;

	guest_ioctl(g, VHOST_GET_FEATURES, &features);
	return features;
}
