// SPDX-License-Identifier: GPL-2.0
/*
 * Disks that go away while requests are in flight: they are unplugged, or the
 * server of an NBD exits.  Every request completes, later ones fail at once,
 * and after a stop the same device accepts another disk.  If the server only
 * stops reading, the device works, except for its requests.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/nbd.h>

#include "caller.h"
#include "scsi.h"
#include "suite-faults.h"

#define NBD_DISK	"/dev/nbd0"
#define NBD_BYTES	BACKEND_SIZE

/* Remove the disk by @go with requests in flight; all of them must complete. */
static const char *fly_until(struct guest *g, struct rng *rng, int (*go)(void *), void *arg)
{
	struct batch_opts opts = { .per_queue = 40 };
	struct batch b;
	const char *why;

	batch_build(&b, g, &opts, rng);
	why = batch_submit(&b);
	usleep(rng_below(rng, 20000));
	if (!why && go(arg))
		why = "the disk cannot be removed";
	if (!why)
		why = batch_wait(&b, 60000);
	if (!why && batch_failed(&b) < 0)
		why = "a request has a status other than OK and IOERR";
	batch_free(&b);
	return why;
}

/* Replace the removed disk by another, which needs a stop. */
static const char *exchange(struct guest *g, struct backend *other)
{
	const char *why = backend_open(other, BACKEND_FILE, false);

	if (why)
		return why;
	if (guest_set_running(g, 0))
		return "SET_RUNNING 0 fails";
	if (guest_set_backend(g, -1, 0) || guest_set_backend(g, other->fd, 0))
		return "SET_BACKEND fails";
	g->opts.backend = other;
	if (guest_set_running(g, 1))
		return "SET_RUNNING 1 fails";
	return guest_prove(g);
}

/* The disk is removed: no request that needs it succeeds any more. */
static const char *check_gone(struct guest *g)
{
	struct ring *r = &g->ring[0];
	const char *why = request_ends(r, T_IN, 8, 8 * SECTOR, S_IOERR);

	return why ? why : request_ends(r, T_OUT, 8, 8 * SECTOR, S_IOERR);
}

static int power_off(void *arg)
{
	struct backend *b = arg;

	return nullb_put(b, "power", "0");
}

TEST_F_TIMEOUT(faults, null_blk, 60)
{
	static const struct nullb_attr slow[] = {
		{ "irqmode", "2" }, { "completion_nsec", "20000000" }, { NULL, NULL },
	};
	struct backend_opts disk = { .kind = BACKEND_NULLB, .direct = true, .nullb = slow };
	unsigned int i;

	for (i = 0; i < scaled(6, 2); i++) {
		const char *why = backend_open_as(&self->b, &disk);
		struct backend other;

		if (why)
			SKIP(return, "%s", why);
		BOOT(.queues = 2);
		ASSERT_WELL(fly_until(&self->g, &self->rng, power_off, &self->b));
		ASSERT_WELL(check_gone(&self->g));
		/*
		 * the backend of a running device is flushed before the swap,
		 * and that fails
		 */
		ASSERT_WELL(exchange(&self->g, &other));
		guest_destroy(&self->g);
		backend_close(&other);
		backend_close(&self->b);
	}
}

static int pull_out(void *arg)
{
	return scsi_delete(arg);
}

TEST_F_TIMEOUT(faults, scsi, 90)
{
	struct scsi s;
	struct backend_opts disk = { .kind = BACKEND_NAMED, .direct = true, .path = s.path };
	struct backend other;
	const char *why = scsi_open(&s);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(backend_open_as(&self->b, &disk));
	BOOT(.queues = 2);
	ASSERT_EQ(0, scsi_param("ndelay", "20000000"));
	ASSERT_WELL(fly_until(&self->g, &self->rng, pull_out, &s));
	ASSERT_WELL(check_gone(&self->g));
	ENDS(T_FLUSH, 0, 0, S_IOERR);
	ASSERT_WELL(exchange(&self->g, &other));
	guest_destroy(&self->g);
	backend_close(&other);
	backend_close(&self->b);
	ASSERT_EQ(0, scsi_param("ndelay", "0"));
	scsi_close(&s);
}

/* A server with the old NBD handshake, whose disk is memory of this process */
struct server {
	int sock[2];		/* one end for this process, one for the kernel */
	int nbd;
	uint8_t *data;
	unsigned int left;	/* requests to serve before it exits; UINT_MAX: no limit */
	bool idle;		/* it does not read the data of writes */
	pthread_t serves;
	pthread_t does_it;
};

static bool get_all(int fd, void *to, size_t len)
{
	return !len || recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

static bool put_all(int fd, const void *from, size_t len)
{
	return !len || send(fd, from, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct nbd_request req;

	while (__atomic_load_n(&s->left, __ATOMIC_SEQ_CST) &&
	       get_all(s->sock[0], &req, sizeof(req))) {
		struct nbd_reply reply = { .magic = htobe32(NBD_REPLY_MAGIC) };
		uint32_t type = be32toh(req.type) & 0xffff, len = be32toh(req.len);
		uint64_t from = be64toh(req.from);

		if (type == NBD_CMD_DISC || from > NBD_BYTES || len > NBD_BYTES - from)
			break;
		memcpy(reply.handle, req.handle, sizeof(reply.handle));
		while (__atomic_load_n(&s->idle, __ATOMIC_SEQ_CST))
			usleep(1000);
		if (type == NBD_CMD_WRITE && !get_all(s->sock[0], s->data + from, len))
			break;
		if (!put_all(s->sock[0], &reply, sizeof(reply)))
			break;
		if (type == NBD_CMD_READ && !put_all(s->sock[0], s->data + from, len))
			break;
		if (s->left != UINT_MAX)
			s->left--;
	}
	shutdown(s->sock[0], SHUT_RDWR);
	return NULL;
}

static void *do_it(void *arg)
{
	struct server *s = arg;

	/* returns when the connection is closed */
	ioctl(s->nbd, NBD_DO_IT);
	ioctl(s->nbd, NBD_CLEAR_SOCK);
	return NULL;
}

static const char *server_start(struct server *s)
{
	unsigned int tries;
	int fd = -1;

	s->nbd = open(NBD_DISK, O_RDWR | O_CLOEXEC);
	if (s->nbd < 0)
		return "no nbd";
	s->data = calloc(1, NBD_BYTES);
	s->left = UINT_MAX;
	s->idle = false;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s->sock))
		return "no socketpair";
	if (ioctl(s->nbd, NBD_SET_BLKSIZE, 512UL) ||
	    ioctl(s->nbd, NBD_SET_SIZE_BLOCKS, NBD_BYTES / 512UL) ||
	    ioctl(s->nbd, NBD_SET_FLAGS, (unsigned long)NBD_FLAG_SEND_FLUSH) ||
	    ioctl(s->nbd, NBD_SET_SOCK, s->sock[1]))
		return "nbd does not accept the socket";
	pthread_create(&s->serves, NULL, serve, s);
	pthread_create(&s->does_it, NULL, do_it, s);
	for (tries = 0; tries < 1000 && fd < 0; tries++) {
		char byte;

		usleep(10000);
		fd = open(NBD_DISK, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && pread(fd, &byte, 1, 0) != 1) {
			close(fd);
			fd = -1;
		}
	}
	close(fd);
	return fd < 0 ? "the nbd device does not appear" : NULL;
}

static int server_dies(void *arg)
{
	struct server *s = arg;

	return shutdown(s->sock[0], SHUT_RDWR);
}

static void server_end(struct server *s)
{
	shutdown(s->sock[0], SHUT_RDWR);
	pthread_join(s->serves, NULL);
	pthread_join(s->does_it, NULL);
	close(s->sock[0]);
	close(s->sock[1]);
	close(s->nbd);
	free(s->data);
}

static const struct backend_opts nbd_disk = {
	.kind = BACKEND_NAMED, .direct = true, .path = NBD_DISK,
};

/* The server exits with all requests unanswered, or within a request. */
TEST_F_TIMEOUT(faults, nbd, 90)
{
	unsigned int i;

	for (i = 0; i < scaled(6, 2); i++) {
		struct backend other;
		struct server s;
		const char *why = server_start(&s);

		if (why)
			SKIP(return, "%s", why);
		ASSERT_WELL(backend_open_as(&self->b, &nbd_disk));
		BOOT(.queues = 2);
		GOOD();
		if (i & 1)
			__atomic_store_n(&s.left, 20, __ATOMIC_SEQ_CST);
		ASSERT_WELL(fly_until(&self->g, &self->rng, server_dies, &s));
		ASSERT_WELL(check_gone(&self->g));
		ASSERT_WELL(exchange(&self->g, &other));
		guest_destroy(&self->g);
		backend_close(&other);
		backend_close(&self->b);
		server_end(&s);
	}
}

/*
 * The server stops reading from the connection, and a write does not fit into
 * it, so the driver waits when it gets the request.  The worker does not.
 */
TEST_F_TIMEOUT(faults, nbd_idle, 60)
{
	struct request *q, *id;
	struct caller c;
	struct server s;
	const char *why = server_start(&s);

	if (why)
		SKIP(return, "%s", why);
	ASSERT_WELL(backend_open_as(&self->b, &nbd_disk));
	BOOT(.queues = 2);
	GOOD();
	q = request_new(&self->g, T_OUT, 0, 512 << 10);
	request_cut_usual(q);
	request_place(q, PLACE_ALIGNED, NULL);
	request_arm(q, 1);
	id = request_new(&self->g, T_GET_ID, 0, 20);
	request_cut_usual(id);
	request_place(id, PLACE_ALIGNED, NULL);
	request_arm(id, 2);
	__atomic_store_n(&s.idle, true, __ATOMIC_SEQ_CST);
	ASSERT_LE(0, ring_add(&self->g.ring[0], q));
	ring_kick(&self->g.ring[0]);
	usleep(300000);
	EXPECT_EQ(self->g.ring[0].used_idx, ring_device_idx(&self->g.ring[0]))
		TH_LOG("the disk does not hang");
	EXPECT_EQ(NULL, request_run(&self->g.ring[1], id, 1000))
		TH_LOG("the worker does not serve the other queue");
	ASSERT_EQ(0, caller_start(&c, &self->g));
	EXPECT_TRUE(caller_returns(&c, 1000))
		TH_LOG("the worker holds the mutex of the queue");
	__atomic_store_n(&s.idle, false, __ATOMIC_SEQ_CST);
	caller_join(&c);
	EXPECT_EQ(0, c.ret);
	ASSERT_WELL(ring_wait(&self->g.ring[0], 1, 20000));
	EXPECT_EQ(S_OK, request_status(q));
	backend_model_write(&self->b, 0, q->data, q->len);
	/* late, if it has not completed */
	ASSERT_WELL(ring_wait(&self->g.ring[1], 1 - id->done, 20000));
	EXPECT_EQ(S_OK, request_status(id));
	request_free(q);
	request_free(id);
	ASSERT_WELL(backend_compare_all(&self->b));
	guest_destroy(&self->g);
	backend_close(&self->b);
	server_end(&s);
}

TEST_HARNESS_MAIN
