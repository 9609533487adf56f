// SPDX-License-Identifier: GPL-2.0
/* There is no firmware, so the addresses of the BARs are assigned here. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "virtio-pci.h"

#define CONFIG_ADDRESS	0xcf8
#define CONFIG_DATA	0xcfc
#define SLOTS		32
#define VENDOR_VIRTIO	0x1af4
#define WINDOW		0xe0000000ULL	/* above any memory these machines have */
#define WINDOW_BAR	0x100000ULL

static long pci_read(struct virtio_pci *v, unsigned int slot, unsigned int at, uint32_t *value)
{
	uint64_t word = 0;
	long ret = qtest_ask(&v->qtest, NULL, "outl %#x %#x", CONFIG_ADDRESS,
			     1U << 31 | slot << 11 | (at & ~3));

	if (!ret)
		ret = qtest_ask(&v->qtest, &word, "inl %#x", CONFIG_DATA);
	*value = word >> (at & 3) * 8;
	return ret;
}

/* @at: offset in the configuration space, a multiple of 4 */
static long pci_write(struct virtio_pci *v, unsigned int slot, unsigned int at, uint32_t value)
{
	long ret = qtest_ask(&v->qtest, NULL, "outl %#x %#x", CONFIG_ADDRESS,
			     1U << 31 | slot << 11 | at);

	return ret ? ret : qtest_ask(&v->qtest, NULL, "outl %#x %#x", CONFIG_DATA, value);
}

static long find_slot(struct virtio_pci *v, unsigned int *slot)
{
	uint32_t id;
	long ret;

	for (*slot = 0; *slot < SLOTS; (*slot)++) {
		ret = pci_read(v, *slot, PCI_VENDOR_ID, &id);
		if (ret)
			return ret;
		if ((id & 0xffff) == VENDOR_VIRTIO)
			return 0;
	}
	return -ENODEV;
}

/* Find the structure that a vendor capability describes, and set the BAR. */
static long take_capability(struct virtio_pci *v, unsigned int slot, unsigned int at)
{
	uint32_t head, bar, offset;
	uint64_t where;
	long ret;

	ret = pci_read(v, slot, at, &head);
	if (!ret)
		ret = pci_read(v, slot, at + VIRTIO_PCI_CAP_BAR, &bar);
	if (!ret)
		ret = pci_read(v, slot, at + VIRTIO_PCI_CAP_OFFSET, &offset);
	bar &= 0xff;
	if (ret || (head & 0xff) != PCI_CAP_ID_VNDR || bar > 5)
		return ret;
	where = WINDOW + bar * WINDOW_BAR + offset;
	switch (head >> 24) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		v->common = where;
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		v->isr = where;
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		v->config = where;
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		v->notify = where;
		return pci_read(v, slot, at + VIRTIO_PCI_NOTIFY_CAP_MULT, &v->notify_multiplier);
	default:
		return 0;
	}
	return pci_write(v, slot, PCI_BASE_ADDRESS_0 + bar * 4, WINDOW + bar * WINDOW_BAR);
}

static long take_capabilities(struct virtio_pci *v, unsigned int slot)
{
	unsigned int left = 48;		/* ends a circular list */
	uint32_t at;
	long ret = pci_read(v, slot, PCI_CAPABILITY_LIST, &at);

	for (at &= 0xfc; !ret && at && left--; at = at >> 8 & 0xfc) {
		ret = take_capability(v, slot, at);
		if (!ret)
			ret = pci_read(v, slot, at, &at);
	}
	if (!ret && (!v->common || !v->isr || !v->config || !v->notify))
		ret = -EPROTO;
	if (!ret)
		ret = pci_write(v, slot, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return ret;
}

long virtio_pci_open(struct virtio_pci *v, const char *socket, const char *memory)
{
	unsigned int slot;
	long ret;

	v->memory = open(memory, O_RDWR | O_CLOEXEC);
	if (v->memory < 0)
		return -errno;
	ret = qtest_open(&v->qtest, socket);
	if (!ret)
		ret = find_slot(v, &slot);
	if (!ret)
		ret = take_capabilities(v, slot);
	/* MSI-X is not enabled, so the device uses a pin of the IOAPIC. */
	if (!ret)
		ret = qtest_ask(&v->qtest, NULL, "irq_intercept_in ioapic");
	return ret;
}

void virtio_pci_close(struct virtio_pci *v)
{
	close(v->qtest.fd);
	close(v->memory);
}

long virtio_pci_capacity(struct virtio_pci *v, uint64_t *sectors)
{
	return qtest_ask(&v->qtest, sectors, "readq %#llx", (unsigned long long)v->config);
}

/* @size: b, w, l or q */
static long common_read(struct virtio_pci *v, char size, unsigned int at, uint64_t *value)
{
	return qtest_ask(&v->qtest, value, "read%c %#llx", size,
			 (unsigned long long)v->common + at);
}

static long common_write(struct virtio_pci *v, char size, unsigned int at, uint64_t value)
{
	return qtest_ask(&v->qtest, NULL, "write%c %#llx %#llx", size,
			 (unsigned long long)v->common + at, (unsigned long long)value);
}

static long reset(struct virtio_pci *v)
{
	long ret = common_write(v, 'b', VIRTIO_PCI_COMMON_STATUS, 0);

	if (!ret)
		ret = common_write(v, 'b', VIRTIO_PCI_COMMON_STATUS,
				   VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	return ret;
}

static long get_features(struct virtio_pci *v, uint64_t *features)
{
	uint64_t half[2];
	unsigned int i;
	long ret = 0;

	for (i = 0; !ret && i < 2; i++) {
		ret = common_write(v, 'l', VIRTIO_PCI_COMMON_DFSELECT, i);
		if (!ret)
			ret = common_read(v, 'l', VIRTIO_PCI_COMMON_DF, &half[i]);
	}
	if (!ret)
		*features = half[0] | half[1] << 32;
	return ret;
}

static long set_features(struct virtio_pci *v, uint64_t features)
{
	uint64_t status;
	unsigned int i;
	long ret = 0;

	for (i = 0; !ret && i < 2; i++) {
		ret = common_write(v, 'l', VIRTIO_PCI_COMMON_GFSELECT, i);
		if (!ret)
			ret = common_write(v, 'l', VIRTIO_PCI_COMMON_GF,
					   features >> i * 32 & UINT32_MAX);
	}
	if (!ret)
		ret = common_write(v, 'b', VIRTIO_PCI_COMMON_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE |
				   VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
	if (!ret)
		ret = common_read(v, 'b', VIRTIO_PCI_COMMON_STATUS, &status);
	return ret ? ret : status & VIRTIO_CONFIG_S_FEATURES_OK ? 0 : -EOPNOTSUPP;
}

static long select_queue(struct virtio_pci *v, unsigned int index)
{
	return common_write(v, 'w', VIRTIO_PCI_COMMON_Q_SELECT, index);
}

static long set_num(struct virtio_pci *v, const struct vhost_vring_state *s)
{
	long ret = select_queue(v, s->index);

	return ret ? ret : common_write(v, 'w', VIRTIO_PCI_COMMON_Q_SIZE, s->num);
}

/* @a has addresses of this process; the device needs guest physical addresses. */
static long set_addr(struct virtio_pci *v, const struct guest *g, const struct vhost_vring_addr *a)
{
	static const unsigned int at[] = {
		VIRTIO_PCI_COMMON_Q_DESCLO, VIRTIO_PCI_COMMON_Q_AVAILLO, VIRTIO_PCI_COMMON_Q_USEDLO,
	};
	const uint64_t part[] = { a->desc_user_addr, a->avail_user_addr, a->used_user_addr };
	const struct region *r = &g->region[0];
	long ret = select_queue(v, a->index);
	unsigned int i;

	for (i = 0; !ret && i < 3; i++) {
		uint64_t gpa = part[i] - (uintptr_t)r->hva + r->gpa;

		ret = common_write(v, 'l', at[i], gpa & UINT32_MAX);
		if (!ret)
			ret = common_write(v, 'l', at[i] + 4, gpa >> 32);
	}
	return ret;
}

/* Map the guest's only region from the file that is the memory of the machine. */
static long set_mem_table(struct virtio_pci *v, struct guest *g)
{
	struct region *r = &g->region[0];
	struct stat st;

	if (fstat(v->memory, &st))
		return -errno;
	if ((uint64_t)st.st_size < r->gpa + r->len)
		return -ENOMEM;
	if (mmap(r->hva, r->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, v->memory,
		 r->gpa) != r->hva)
		return -errno;
	/* It may contain data of an earlier run. */
	memset(r->hva, 0, r->len);
	return 0;
}

static long run(struct virtio_pci *v, unsigned int queues)
{
	uint64_t offset;
	unsigned int i;
	long ret = 0;

	for (i = 0; !ret && i < queues; i++) {
		ret = select_queue(v, i);
		if (!ret)
			ret = common_write(v, 'w', VIRTIO_PCI_COMMON_Q_ENABLE, 1);
		if (!ret)
			ret = common_read(v, 'w', VIRTIO_PCI_COMMON_Q_NOFF, &offset);
		v->doorbell[i] = v->notify + offset * v->notify_multiplier;
	}
	if (!ret)
		ret = common_write(v, 'b', VIRTIO_PCI_COMMON_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE |
				   VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
				   VIRTIO_CONFIG_S_DRIVER_OK);
	return ret;
}

long virtio_pci_ioctl(struct virtio_pci *v, struct guest *g, unsigned long cmd, void *arg)
{
	switch (cmd) {
	case VHOST_SET_OWNER:
		return reset(v);
	case VHOST_GET_FEATURES:
		return get_features(v, arg);
	case VHOST_SET_FEATURES:
		return set_features(v, *(uint64_t *)arg);
	case VHOST_SET_MEM_TABLE:
		return set_mem_table(v, g);
	case VHOST_SET_VRING_NUM:
		return set_num(v, arg);
	case VHOST_SET_VRING_ADDR:
		return set_addr(v, g, arg);
	case VHOST_BLK_SET_RUNNING:
		return run(v, g->nrings);
	case VHOST_BLK_SET_BACKEND:	/* QEMU has opened it */
	case VHOST_SET_VRING_BASE:	/* 0 after a reset */
	case VHOST_SET_VRING_KICK:	/* the thread that uses qtest has these */
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
		return 0;
	default:
		return -ENOTTY;
	}
}
