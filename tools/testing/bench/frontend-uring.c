// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring on the backing device in the host, without a guest: the limit for the other
 * frontends.  One system call submits a batch, and another one waits if nothing has
 * completed yet.  Buffers and files are not registered.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/io_uring.h>

#include "load.h"

struct uring {
	int fd;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned int *sq_tail, *sq_array, *cq_head, *cq_tail;
	unsigned int sq_mask, cq_mask;
	unsigned int queued;		/* not submitted yet */
};

static void *map(int fd, size_t len, uint64_t off)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, off);

	return p == MAP_FAILED ? NULL : p;
}

static struct uring *uring_new(unsigned int depth)
{
	struct uring *u = calloc(1, sizeof(*u));
	struct io_uring_params p = { 0 };
	uint8_t *sq, *cq;

	u->fd = syscall(__NR_io_uring_setup, depth, &p);
	if (u->fd < 0)
		return NULL;
	sq = map(u->fd, p.sq_off.array + p.sq_entries * sizeof(unsigned int), IORING_OFF_SQ_RING);
	cq = map(u->fd, p.cq_off.cqes + p.cq_entries * sizeof(*u->cqes), IORING_OFF_CQ_RING);
	u->sqes = map(u->fd, p.sq_entries * sizeof(*u->sqes), IORING_OFF_SQES);
	if (!sq || !cq || !u->sqes)
		return NULL;
	u->sq_tail = (unsigned int *)(sq + p.sq_off.tail);
	u->sq_array = (unsigned int *)(sq + p.sq_off.array);
	u->sq_mask = *(unsigned int *)(sq + p.sq_off.ring_mask);
	u->cq_head = (unsigned int *)(cq + p.cq_off.head);
	u->cq_tail = (unsigned int *)(cq + p.cq_off.tail);
	u->cq_mask = *(unsigned int *)(cq + p.cq_off.ring_mask);
	u->cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
	return u;
}

/* @s->status holds the result of the request, an int. */
static const char *prepare(struct lane *l, struct slot *s)
{
	if (!l->priv)
		l->priv = uring_new(l->load->depth);
	s->status = calloc(1, sizeof(int));
	if (!l->priv || !s->status || posix_memalign((void **)&s->data, 4096, l->load->block))
		return "io_uring_setup() or an allocation failed";
	memset(s->data, 0, l->load->block);
	return NULL;
}

static void add(struct lane *l, struct slot *s, bool write)
{
	struct uring *u = l->priv;
	unsigned int tail = *u->sq_tail, i = tail & u->sq_mask;

	u->sqes[i] = (struct io_uring_sqe){
		.opcode = write ? IORING_OP_WRITE : IORING_OP_READ,
		.fd = l->dev->backend.fd,
		.addr = (uintptr_t)s->data,
		.len = l->load->block,
		.off = s->block * l->load->block,
		.user_data = s->nr,
	};
	u->sq_array[i] = i;
	__atomic_store_n(u->sq_tail, tail + 1, __ATOMIC_RELEASE);
	u->queued++;
}

static void enter(struct lane *l, unsigned int wait)
{
	struct uring *u = l->priv;
	int n;

	do {
		n = syscall(__NR_io_uring_enter, u->fd, u->queued, wait,
			    wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
	} while (n < 0 && errno == EINTR);
	l->count.kicks++;
	if (n < 0 || (unsigned int)n != u->queued)
		l->why = "io_uring_enter() failed";
	u->queued = 0;
}

static void push(struct lane *l)
{
	enter(l, 0);
}

static struct slot *take(struct lane *l)
{
	struct uring *u = l->priv;
	unsigned int head = *u->cq_head;
	struct slot *s;

	if (head == __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE))
		return NULL;
	s = &l->slot[u->cqes[head & u->cq_mask].user_data];
	*(int *)s->status = u->cqes[head & u->cq_mask].res;
	__atomic_store_n(u->cq_head, head + 1, __ATOMIC_RELEASE);
	return s;
}

static void wait(struct lane *l)
{
	enter(l, 1);
	l->count.waits++;
}

static bool ok(const struct lane *l, const struct slot *s)
{
	return *(int *)s->status == (int)l->load->block;
}

static const char *totals(const struct lane *l)
{
	const struct uring *u = l->priv;

	if (*u->sq_tail != (unsigned int)l->count.done || *u->cq_head != *u->sq_tail ||
	    *u->cq_tail != *u->cq_head)
		return "the numbers of requests sent, completed and counted differ";
	return NULL;
}

const struct engine uring_engine = {
	.name = "uring",
	.open = backing_open,
	.close = backing_close,
	.prepare = prepare,
	.add = add,
	.push = push,
	.take = take,
	.wait = wait,
	.ok = ok,
	.totals = totals,
};
