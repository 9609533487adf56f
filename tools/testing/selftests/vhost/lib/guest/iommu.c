// SPDX-License-Identifier: GPL-2.0
/* The VMM's side of the device IOTLB */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iommu.h"

static void shuffle(uint32_t *page, uint32_t first, uint32_t n, struct rng *rng)
{
	uint32_t i;

	for (i = n - 1; i > first; i--) {
		uint32_t k = first + rng_below(rng, i + 1 - first), was = page[i];

		page[i] = page[k];
		page[k] = was;
	}
}

void iommu_attach(struct guest *g, struct iommu *m, uint32_t page_size, bool v2,
		  struct rng *rng)
{
	struct region *r = &g->region[0];
	uint32_t i;

	memset(m, 0, sizeof(*m));
	m->base = IOMMU_BASE;
	m->page_size = page_size;
	m->npages = r->len / page_size;
	m->page = calloc(m->npages, sizeof(*m->page));
	m->perm = malloc(m->npages);
	m->known = calloc(m->npages, sizeof(*m->known));
	m->v2 = v2;
	m->chunk = 1;
	for (i = 0; i < m->npages; i++)
		m->page[i] = i;
	shuffle(m->page, g->data_start / page_size, m->npages, rng);
	memset(m->perm, VHOST_ACCESS_RW, m->npages);
	/* allocations are scattered over the region, so put canaries everywhere */
	memset(r->hva + g->data_start, 0xc5, r->len - g->data_start);
	g->painted = r->len;
	g->opts.features_on |= BIT64(VIRTIO_F_ACCESS_PLATFORM);
	g->iommu = m;
}

void iommu_free(struct guest *g, struct iommu *m)
{
	free(m->page);
	free(m->perm);
	free(m->known);
	g->iommu = NULL;
}

/*
 * Translate an address of the device to a guest-physical one; *len is cut at
 * the end of the page.
 */
uint64_t iommu_translate(struct guest *g, uint64_t addr, uint64_t *len)
{
	struct iommu *m = g->iommu;
	uint64_t off = addr - m->base, in = off % m->page_size;

	if (addr < m->base || off / m->page_size >= m->npages)
		return HOLE_GPA;
	if (*len > m->page_size - in)
		*len = m->page_size - in;
	return g->region[0].gpa + (uint64_t)m->page[off / m->page_size] * m->page_size + in;
}

long iommu_message(struct guest *g, uint8_t type, uint64_t iova, uint64_t size,
		   void *hva, uint8_t perm)
{
	struct vhost_iotlb_msg body = {
		.iova = iova, .size = size, .uaddr = (uintptr_t)hva,
		.perm = perm, .type = type,
	};
	struct vhost_msg_v2 two = { .type = VHOST_IOTLB_MSG_V2 };
	struct vhost_msg one = { .type = VHOST_IOTLB_MSG };
	void *msg = g->iommu->v2 ? (void *)&two : &one;
	size_t len = g->iommu->v2 ? sizeof(two) : sizeof(one);
	ssize_t ret;

	one.iotlb = body;
	two.iotlb = body;
	ret = write(g->fd, msg, len);
	if (ret < 0)
		return -errno;
	return ret == (ssize_t)len ? 0 : -EPROTO;
}

/* Send one message for each page, because the vhost core drops whole mappings. */
long iommu_update(struct guest *g, uint64_t off, uint64_t len)
{
	struct iommu *m = g->iommu;
	uint32_t i = off / m->page_size, end = (off + len + m->page_size - 1) / m->page_size;
	long ret = 0;

	for (; !ret && i < end; i++) {
		ret = iommu_message(g, VHOST_IOTLB_UPDATE, m->base + (uint64_t)i * m->page_size,
				    m->page_size,
				    g->region[0].hva + (uint64_t)m->page[i] * m->page_size,
				    m->perm[i]);
		m->known[i] = true;
		m->updates++;
	}
	return ret;
}

long iommu_invalidate(struct guest *g, uint64_t off, uint64_t len)
{
	struct iommu *m = g->iommu;

	memset(m->known + off / m->page_size, 0, (len + m->page_size - 1) / m->page_size);
	return iommu_message(g, VHOST_IOTLB_INVALIDATE, m->base + off, len, NULL, 0);
}

static const char *complain(struct iommu *m, const char *what, uint64_t value)
{
	snprintf(m->why, sizeof(m->why), "%s (0x%llx)", what, (unsigned long long)value);
	return m->why;
}

bool iommu_read(struct guest *g, struct vhost_iotlb_msg *msg)
{
	struct iommu *m = g->iommu;
	union {
		struct vhost_msg one;
		struct vhost_msg_v2 two;
	} u;
	ssize_t want = m->v2 ? sizeof(u.two) : sizeof(u.one);
	ssize_t n = read(g->fd, &u, sizeof(u));

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n != want)
		complain(m, "the length of a miss is wrong", n);
	else if (u.one.type != (m->v2 ? VHOST_IOTLB_MSG_V2 : VHOST_IOTLB_MSG))
		complain(m, "the format of a miss is wrong", u.one.type);
	*msg = m->v2 ? u.two.iotlb : u.one.iotlb;
	if (n == want && msg->type != VHOST_IOTLB_MISS)
		complain(m, "a message that is not a miss", msg->type);
	return !m->why[0];
}

static void answer(struct guest *g, const struct vhost_iotlb_msg *msg)
{
	struct iommu *m = g->iommu;
	uint64_t off = msg->iova - m->base;
	uint32_t first = off / m->page_size, n = 1;

	if (off / m->page_size >= m->npages) {
		complain(m, "a miss for an address outside the address space", msg->iova);
		return;
	}
	m->misses++;
	if (!m->perm[first])
		return;
	while (n < m->chunk && first + n < m->npages && !m->known[first + n] &&
	       m->perm[first + n])
		n++;
	if (iommu_update(g, (uint64_t)first * m->page_size, (uint64_t)n * m->page_size))
		complain(m, "an update was refused", msg->iova);
}

/* Invalidate any pages, those of the rings included. */
static void invalidate_some(struct guest *g)
{
	struct iommu *m = g->iommu;
	uint32_t first = rng_below(&m->rng, m->npages);
	uint32_t n = 1 + rng_below(&m->rng, m->npages - first);

	m->calm = 0;
	if (iommu_invalidate(g, (uint64_t)first * m->page_size, (uint64_t)n * m->page_size))
		complain(m, "an invalidation was refused", first);
}

void iommu_serve(struct guest *g)
{
	struct iommu *m = g->iommu;
	unsigned int i;

	if (m->storm && ++m->calm >= m->storm)
		invalidate_some(g);
	while (m->nheld < IOMMU_BATCH && iommu_read(g, &m->held[m->nheld]))
		m->nheld++;
	if (!m->nheld || m->looks++ < m->late)
		return;
	for (i = 0; i < m->nheld; i++)
		answer(g, &m->held[m->reverse ? m->nheld - 1 - i : i]);
	m->nheld = 0;
	m->looks = 0;
}

bool iommu_wait_miss(struct guest *g, int ms)
{
	struct pollfd p = { .fd = g->fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents == POLLIN;
}

const char *iommu_boot(struct guest *g, bool all)
{
	uint64_t backend = g->iommu->v2 ? BIT64(VHOST_BACKEND_F_IOTLB_MSG_V2) : 0;
	const char *why = guest_boot_to(g, STAGE_OWNED);

	memset(g->iommu->known, 0, g->iommu->npages * sizeof(bool));
	if (!why && guest_ioctl(g, VHOST_SET_BACKEND_FEATURES, &backend))
		why = "SET_BACKEND_FEATURES fails";
	if (!why && fcntl(g->fd, F_SETFL, O_RDWR | O_NONBLOCK))
		why = "O_NONBLOCK cannot be set";
	if (!why)
		why = guest_boot_to(g, STAGE_RINGS);
	if (!why && !guest_has(g, VIRTIO_F_ACCESS_PLATFORM))
		why = "ACCESS_PLATFORM is not offered";
	if (!why && iommu_update(g, 0, all ? g->region[0].len : g->data_start))
		why = "the first update fails";
	return why ? why : guest_boot(g);
}
