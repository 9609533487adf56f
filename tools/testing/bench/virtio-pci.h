/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver's half of virtio over PCI (virtio 1.3, 4.1), in a QEMU without a vCPU.
 * What it has to say are the vhost ioctls in other words, so it takes ioctls.
 */
#ifndef VHOST_BENCH_VIRTIO_PCI_H
#define VHOST_BENCH_VIRTIO_PCI_H

#include "guest.h"
#include "qtest.h"

#define VIRTIO_PCI_MAX_QUEUES	64

struct virtio_pci {
	struct qtest qtest;
	int memory;		/* the file that is QEMU's memory */
	/* Where the structures of 4.1.4 are, in the machine's memory */
	uint64_t common;
	uint64_t isr;
	uint64_t config;
	uint64_t notify;
	uint32_t notify_multiplier;
	uint64_t doorbell[VIRTIO_PCI_MAX_QUEUES];	/* once the device runs */
};

/* The first virtio device of the machine whose qtest is @socket; 0 or -errno */
long virtio_pci_open(struct virtio_pci *v, const char *socket, const char *memory);
void virtio_pci_close(struct virtio_pci *v);
/* What an ioctl is for a device of the kernel */
long virtio_pci_ioctl(struct virtio_pci *v, struct guest *g, unsigned long cmd, void *arg);
/* The first field of a disk's configuration */
long virtio_pci_capacity(struct virtio_pci *v, uint64_t *sectors);

#endif /* VHOST_BENCH_VIRTIO_PCI_H */
