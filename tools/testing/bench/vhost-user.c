// SPDX-License-Identifier: GPL-2.0
/* The protocol is specified in docs/interop/vhost-user.rst of QEMU. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "vhost-user.h"

enum {
	GET_FEATURES = 1, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 5, SET_VRING_NUM = 8,
	SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL,
	SET_VRING_ERR, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
};

#define VERSION			1
#define NEED_REPLY		8
#define PROTOCOL_FEATURES	30	/* number of the feature bit */
#define PROTOCOL_MQ		0
#define PROTOCOL_REPLY_ACK	3
#define PROTOCOL_CONFIG		9

/* On the wire the payload follows the 12 bytes of the header. */
struct message {
	uint32_t request;
	uint32_t flags;
	uint32_t size;		/* of the payload */
	union {
		uint64_t u64;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct {
			uint32_t nregions;
			uint32_t padding;
			uint64_t gpa;
			uint64_t size;
			uint64_t user;
			uint64_t offset;
		} memory;
		struct {
			uint32_t offset;
			uint32_t size;
			uint32_t flags;
			uint32_t capacity[2];	/* only the first field; servers differ in others */
		} config;
	};
};

#define HEADER	12

static long send_message(struct guest *g, struct message *m, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov[] = { { m, HEADER }, { &m->u64, m->size } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *c;

	if (fd >= 0) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(g->fd, &msg, MSG_NOSIGNAL) != (ssize_t)(HEADER + m->size))
		return errno ? -errno : -EIO;
	return 0;
}

static bool receive_all(struct guest *g, void *to, uint32_t len)
{
	return !len || recv(g->fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

static long receive(struct guest *g, struct message *m)
{
	if (!receive_all(g, m, HEADER) || m->size > sizeof(*m) - offsetof(struct message, u64) ||
	    !receive_all(g, &m->u64, m->size))
		return -EIO;
	return 0;
}

static long get(struct guest *g, struct message *m, uint32_t request, uint32_t size)
{
	long ret;

	m->request = request;
	m->flags = VERSION;
	m->size = size;
	ret = send_message(g, m, -1);
	return ret ? ret : receive(g, m);
}

/* With PROTOCOL_REPLY_ACK the server acknowledges every request. */
static long set(struct guest *g, struct message *m, uint32_t request, uint32_t size, int fd)
{
	long ret;

	m->request = request;
	m->flags = VERSION | NEED_REPLY;
	m->size = size;
	ret = send_message(g, m, fd);
	if (!ret)
		ret = receive(g, m);
	return ret ? ret : m->u64 ? -EIO : 0;
}

long vhost_user_open(struct guest *g, const char *path)
{
	uint64_t wanted = BIT64(PROTOCOL_MQ) | BIT64(PROTOCOL_REPLY_ACK) | BIT64(PROTOCOL_CONFIG);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 20 };
	struct message m;
	long ret;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	g->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (g->fd < 0 || connect(g->fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    setsockopt(g->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		return -errno;
	ret = get(g, &m, GET_FEATURES, 0);
	if (!ret && !(m.u64 & BIT64(PROTOCOL_FEATURES)))
		return -EPROTO;
	if (!ret)
		ret = get(g, &m, GET_PROTOCOL_FEATURES, 0);
	if (!ret && (m.u64 & wanted) != wanted)
		return -EPROTO;
	if (ret)
		return ret;
	m = (struct message){
		.request = SET_PROTOCOL_FEATURES, .flags = VERSION, .size = 8, .u64 = wanted,
	};
	return send_message(g, &m, -1);
}

long vhost_user_capacity(struct guest *g, uint64_t *sectors)
{
	struct message m = { .config.size = sizeof(m.config.capacity) };
	long ret = get(g, &m, GET_CONFIG, sizeof(m.config));

	if (!ret && m.size != sizeof(m.config))
		ret = -EPROTO;
	memcpy(sectors, m.config.capacity, sizeof(*sectors));
	return ret;
}

/* Back the guest's only memory region with a memfd, which the server maps. */
static long set_mem_table(struct guest *g)
{
	struct region *r = &g->region[0];
	struct message m = { .memory = {
		.nregions = 1, .gpa = r->gpa, .size = r->len, .user = (uintptr_t)r->hva,
	} };
	int fd = memfd_create("guest", MFD_CLOEXEC);
	long ret;

	if (fd < 0 || ftruncate(fd, r->len) || !region_back(r, fd))
		return -errno;
	ret = set(g, &m, SET_MEM_TABLE, sizeof(m.memory), fd);
	close(fd);
	return ret;
}

static long set_file(struct guest *g, uint32_t request, const struct vhost_vring_file *file)
{
	struct message m = { .u64 = file->index };

	return set(g, &m, request, sizeof(m.u64), file->fd);
}

static long enable_rings(struct guest *g)
{
	unsigned int i;
	long ret = 0;

	for (i = 0; !ret && i < g->nrings; i++) {
		struct message m = { .state = { .index = i, .num = 1 } };

		ret = set(g, &m, SET_VRING_ENABLE, sizeof(m.state), -1);
	}
	return ret;
}

static long get_features(struct guest *g, uint64_t *features)
{
	struct message m;
	long ret = get(g, &m, GET_FEATURES, 0);

	*features = m.u64;
	return ret;
}

static long set_features(struct guest *g, uint64_t features)
{
	struct message m = { .u64 = features | BIT64(PROTOCOL_FEATURES) };

	return set(g, &m, SET_FEATURES, sizeof(m.u64), -1);
}

static long set_ring(struct guest *g, uint32_t request, const void *arg, uint32_t size)
{
	struct message m = { 0 };

	memcpy(&m.u64, arg, size);
	return set(g, &m, request, size, -1);
}

long vhost_user_ioctl(struct guest *g, unsigned long cmd, void *arg)
{
	struct message none = { 0 };

	switch (cmd) {
	case VHOST_BLK_SET_BACKEND:	/* the server has opened it */
		return 0;
	case VHOST_SET_OWNER:
		return set(g, &none, SET_OWNER, 0, -1);
	case VHOST_GET_FEATURES:
		return get_features(g, arg);
	case VHOST_SET_FEATURES:
		return set_features(g, *(uint64_t *)arg);
	case VHOST_SET_MEM_TABLE:
		return set_mem_table(g);
	case VHOST_SET_VRING_NUM:
		return set_ring(g, SET_VRING_NUM, arg, sizeof(struct vhost_vring_state));
	case VHOST_SET_VRING_BASE:
		return set_ring(g, SET_VRING_BASE, arg, sizeof(struct vhost_vring_state));
	case VHOST_SET_VRING_ADDR:
		return set_ring(g, SET_VRING_ADDR, arg, sizeof(struct vhost_vring_addr));
	case VHOST_SET_VRING_KICK:
		return set_file(g, SET_VRING_KICK, arg);
	case VHOST_SET_VRING_CALL:
		return set_file(g, SET_VRING_CALL, arg);
	case VHOST_SET_VRING_ERR:
		return set_file(g, SET_VRING_ERR, arg);
	case VHOST_BLK_SET_RUNNING:
		return enable_rings(g);
	default:
		return -ENOTTY;
	}
}
