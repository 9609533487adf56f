/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver's half of virtio over PCI (VIRTIO 1.3, 4.1), in a QEMU without a vCPU.
 * Its operations correspond to the vhost ioctls, so virtio_pci_ioctl() takes the place
 * of ioctl().
 */
#ifndef VHOST_BENCH_VIRTIO_PCI_H
#define VHOST_BENCH_VIRTIO_PCI_H

#include "guest.h"
#include "qtest.h"

#define VIRTIO_PCI_MAX_QUEUES	64

struct virtio_pci {
	struct qtest qtest;
	int memory;		/* file that is the memory of the machine */
	/* Addresses of the structures of 4.1.4, in the memory of the machine */
	uint64_t common;
	uint64_t isr;
	uint64_t config;
	uint64_t notify;
	uint32_t notify_multiplier;
	uint64_t doorbell[VIRTIO_PCI_MAX_QUEUES];	/* set when the device is started */
};

/* Open the first virtio device behind the qtest socket @socket; returns 0 or -errno. */
long virtio_pci_open(struct virtio_pci *v, const char *socket, const char *memory);
void virtio_pci_close(struct virtio_pci *v);
/* Do what the ioctl does with a device of the kernel; returns 0 or -errno. */
long virtio_pci_ioctl(struct virtio_pci *v, struct guest *g, unsigned long cmd, void *arg);
/* Read the first field of the configuration space; returns 0 or -errno. */
long virtio_pci_capacity(struct virtio_pci *v, uint64_t *sectors);

#endif /* VHOST_BENCH_VIRTIO_PCI_H */
