// SPDX-License-Identifier: GPL-2.0
/* The device in userspace: its ioctls and its thread. Requests are in model-io.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model-impl.h"

static int model_mode = -1;
static enum model_bug model_bug;

bool model_wanted(void)
{
	if (model_mode < 0)
		model_mode = getenv("VHOST_TEST_MODEL") ? 1 : 0;
	return model_mode;
}

void model_want(bool on, enum model_bug bug)
{
	model_mode = on;
	model_bug = bug;
}

const char *model_bug_name(enum model_bug bug)
{
	static const char * const name[BUG_COUNT] = {
		"none", "sector advance", "overrun", "used.len", "status", "twice",
		"read-only", "range", "lost call", "always call", "lost kick",
		"never quiet", "no error", "base", "serial", "zero short", "zero long",
		"first range", "range end", "range early", "range flags", "range feature",
	};

	return name[bug];
}

static void *model_thread(void *arg)
{
	struct pollfd p[GUEST_MAX_QUEUES + 1];
	struct model *m = arg;
	unsigned int i;

	for (;;) {
		for (i = 0; i < GUEST_MAX_QUEUES; i++) {
			p[i].fd = m->q[i].set ? m->q[i].kick : -1;
			p[i].events = POLLIN;
		}
		p[i].fd = m->wake;
		p[i].events = POLLIN;
		if (poll(p, GUEST_MAX_QUEUES + 1, -1) < 0)
			continue;
		if (p[i].revents)
			eventfd_drain(m->wake);
		if (m->quit)
			return NULL;
		pthread_mutex_lock(&m->lock);
		for (i = 0; i < GUEST_MAX_QUEUES; i++) {
			if (p[i].fd >= 0 && p[i].revents && m->q[i].run) {
				eventfd_drain(p[i].fd);
				model_serve(m, &m->q[i]);
			}
		}
		pthread_mutex_unlock(&m->lock);
	}
}

struct model *model_new(void)
{
	struct model *m = calloc(1, sizeof(*m));

	m->backend = -1;
	m->bug = model_bug;
	m->wake = eventfd(0, EFD_NONBLOCK);
	pthread_mutex_init(&m->lock, NULL);
	if (pthread_create(&m->thread, NULL, model_thread, m))
		abort();
	return m;
}

static void wake(struct model *m)
{
	uint64_t one = 1;

	if (write(m->wake, &one, sizeof(one)) < 0)
		abort();
}

void model_free(struct model *m)
{
	m->quit = true;
	wake(m);
	pthread_join(m->thread, NULL);
	close(m->wake);
	if (m->backend >= 0)
		close(m->backend);
	free(m);
}

static long set_backend(struct model *m, const struct vhost_blk_backend *b)
{
	struct stat st;

	if (fstat(b->fd, &st))
		return -EBADF;
	if (m->backend >= 0)
		close(m->backend);
	m->backend = dup(b->fd);
	m->size = lseek(m->backend, 0, SEEK_END);
	m->read_only = b->flags & VHOST_BLK_BACKEND_F_RO;
	memcpy(m->serial, b->serial, sizeof(m->serial));
	return 0;
}

/* neither configuration space nor zones */
uint64_t model_offered(struct model *m)
{
	uint64_t f = guest_known_features() | BIT64(VIRTIO_F_NOTIFY_ON_EMPTY);

	f &= ~(BIT64(VIRTIO_BLK_F_CONFIG_WCE) | BIT64(VIRTIO_BLK_F_GEOMETRY) |
	       BIT64(VIRTIO_BLK_F_SECURE_ERASE) | BIT64(VIRTIO_BLK_F_ZONED));
	return m->read_only ? f : f & ~(BIT64(VIRTIO_BLK_F_RO));
}

static long set_memory(struct model *m, const struct vhost_memory *t)
{
	if (t->nregions > MAX_REGIONS)
		return -E2BIG;
	m->nregions = t->nregions;
	memcpy(m->region, t->regions, t->nregions * sizeof(t->regions[0]));
	return 0;
}

static long set_vring_running(struct model *m, struct model_queue *q, int on)
{
	if (on && m->backend < 0)
		return -ENODEV;
	if (on && !q->run && q->set)
		q->broken = false;
	q->run = on && q->set;
	q->signalled_valid = false;
	if (q->run)
		model_serve(m, q);
	return 0;
}

static long set_running(struct model *m, int on)
{
	unsigned int i;
	long ret = 0;

	for (i = 0; i < GUEST_MAX_QUEUES && !ret; i++)
		ret = set_vring_running(m, &m->q[i], on);
	return ret;
}

static long vring(struct model *m, unsigned long cmd, void *arg)
{
	struct vhost_vring_state *s = arg;
	struct vhost_vring_file *f = arg;
	struct vhost_vring_addr *a = arg;
	struct model_queue *q;

	if (s->index >= GUEST_MAX_QUEUES)
		return -ENOBUFS;
	q = &m->q[s->index];
	switch (cmd) {
	case VHOST_SET_VRING_NUM:
		q->num = s->num;
		return 0;
	case VHOST_SET_VRING_BASE:
		q->last_avail = s->num;
		return 0;
	case VHOST_GET_VRING_BASE:
		s->num = (uint16_t)(q->last_avail - (m->bug == BUG_BASE));
		return 0;
	case VHOST_BLK_SET_VRING_RUNNING:
		return set_vring_running(m, q, s->num);
	case VHOST_SET_VRING_ADDR:
		q->desc = (void *)(uintptr_t)a->desc_user_addr;
		q->avail = (void *)(uintptr_t)a->avail_user_addr;
		q->used = (void *)(uintptr_t)a->used_user_addr;
		q->set = true;
		return 0;
	case VHOST_SET_VRING_KICK:
		q->kick = f->fd;
		return 0;
	case VHOST_SET_VRING_CALL:
		q->call = f->fd;
		return 0;
	case VHOST_SET_VRING_ERR:
		q->err = f->fd;
		return 0;
	}
	return -ENOTTY;
}

static long dispatch(struct model *m, unsigned long cmd, void *arg)
{
	switch (cmd) {
	case VHOST_SET_OWNER:
		return 0;
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = model_offered(m);
		return 0;
	case VHOST_SET_FEATURES:
		m->features = *(uint64_t *)arg;
		return m->features & ~model_offered(m) ? -EOPNOTSUPP : 0;
	case VHOST_SET_MEM_TABLE:
		return set_memory(m, arg);
	case VHOST_BLK_SET_BACKEND:
		return set_backend(m, arg);
	case VHOST_BLK_SET_RUNNING:
		return set_running(m, *(int *)arg);
	}
	return vring(m, cmd, arg);
}

long model_ioctl(struct model *m, unsigned long cmd, void *arg)
{
	long ret;

	pthread_mutex_lock(&m->lock);
	ret = dispatch(m, cmd, arg);
	pthread_mutex_unlock(&m->lock);
	wake(m);
	return ret;
}
