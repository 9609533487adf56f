// SPDX-License-Identifier: GPL-2.0
/*
 * A virtio-blk device of a QEMU without a vCPU.  The lanes use eventfds, as with other
 * engines.  A thread does what KVM would do, together with QEMU's main loop: it writes
 * to the device's doorbell for a kick, and signals the eventfd of a lane for an
 * interrupt.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "virtio-blk.h"
#include "virtio-pci.h"

struct bridge {
	struct virtio_pci pci;
	struct device *dev;
	uint16_t seen[VIRTIO_PCI_MAX_QUEUES];	/* used index at the last interrupt */
	pthread_t thread;
	bool closing;
};

static long transport(struct guest *g, unsigned long cmd, void *arg)
{
	struct device *dev = (void *)((char *)g - offsetof(struct device, guest));
	struct bridge *b = dev->priv;

	return virtio_pci_ioctl(&b->pci, g, cmd, arg);
}

static void lost(struct bridge *b)
{
	if (__atomic_load_n(&b->closing, __ATOMIC_ACQUIRE))
		return;
	fprintf(stderr, "blkload: %s: QEMU closed the connection\n", b->dev->path);
	_exit(1);
}

static bool kick(struct bridge *b, unsigned int queue)
{
	eventfd_drain(b->dev->guest.ring[queue].kick);
	return qtest_send(&b->pci.qtest, "writew %#llx %#x",
			  (unsigned long long)b->pci.doorbell[queue], queue);
}

/*
 * All queues share one interrupt pin.  Reading the ISR has lowered it, so a later
 * completion raises it again.  Earlier completions are visible in the rings.
 */
static void interrupt(struct bridge *b)
{
	uint64_t one = 1;
	unsigned int i;

	for (i = 0; i < b->dev->guest.nrings; i++) {
		struct ring *r = &b->dev->guest.ring[i];
		uint16_t idx = ring_device_idx(r);

		if (idx != b->seen[i] && write(r->call, &one, sizeof(one)) != sizeof(one))
			lost(b);
		b->seen[i] = idx;
	}
}

/* Only the reply to a read of the ISR has a number; the reply to a kick has none. */
static bool take_line(struct bridge *b)
{
	const char *line = qtest_line(&b->pci.qtest);

	if (!line)
		return false;
	if (!strncmp(line, "IRQ raise ", 10))
		return qtest_send(&b->pci.qtest, "readb %#llx", (unsigned long long)b->pci.isr);
	if (!strncmp(line, "OK 0x", 5) && strtoull(line + 3, NULL, 16) & 1)
		interrupt(b);
	return true;
}

static void *bridge_thread(void *arg)
{
	struct bridge *b = arg;
	unsigned int i, n = b->dev->guest.nrings;
	struct pollfd p[VIRTIO_PCI_MAX_QUEUES + 1];
	bool ok = true;

	for (i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = b->dev->guest.ring[i].kick, .events = POLLIN };
	p[n] = (struct pollfd){ .fd = b->pci.qtest.fd, .events = POLLIN };
	while (ok && poll(p, n + 1, -1) > 0) {
		for (i = 0; ok && i < n; i++)
			if (p[i].revents)
				ok = kick(b, i);
		if (!ok || !p[n].revents)
			continue;
		do
			ok = take_line(b);
		while (ok && qtest_has_line(&b->pci.qtest));
	}
	lost(b);
	return NULL;
}

/* @dev->path: QEMU's qtest socket.  The file @dev->path.mem is the memory of the machine. */
static const char *open_device(struct device *dev)
{
	struct guest *g = &dev->guest;
	struct bridge *b = calloc(1, sizeof(*b));
	uint64_t sectors = 0;
	char memory[300];
	const char *why;
	long ret;

	snprintf(memory, sizeof(memory), "%s.mem", dev->path);
	dev->priv = b;
	b->dev = dev;
	vring_device(dev);
	g->transport = transport;
	ret = virtio_pci_open(&b->pci, dev->path, memory);
	if (!ret)
		ret = virtio_pci_capacity(&b->pci, &sectors);
	if (ret)
		return guest_say(g, "%s: %s", dev->path, strerror(-ret));
	why = virtio_blk_boot(dev, sectors);
	if (!why && pthread_create(&b->thread, NULL, bridge_thread, b))
		why = "cannot create a thread";
	return why;
}

static void close_device(struct device *dev)
{
	struct bridge *b = dev->priv;

	__atomic_store_n(&b->closing, true, __ATOMIC_RELEASE);
	shutdown(b->pci.qtest.fd, SHUT_RDWR);
	pthread_join(b->thread, NULL);
	virtio_pci_close(&b->pci);
	free(b);
	vring_close(dev);
}

const struct engine qemu_engine = {
	.name = "qemu",
	.open = open_device,
	.close = close_device,
	.main_is_guest = true,
	VIRTIO_BLK_ENGINE,
};
