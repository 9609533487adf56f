/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Client of a QEMU without a vCPU (-accel qtest).  Through the socket it reads and writes
 * ports and memory of the machine, and is notified of interrupts.
 */
#ifndef VHOST_BENCH_QTEST_H
#define VHOST_BENCH_QTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qtest {
	int fd;
	char text[1024];	/* received bytes; those from @at on are not consumed yet */
	size_t at;
	size_t len;
};

/* Returns 0 or -errno. */
long qtest_open(struct qtest *q, const char *path);
/* Send a command without waiting for the reply; returns false on error. */
bool qtest_send(struct qtest *q, const char *fmt, ...);
/* Wait for the next line; returns NULL if QEMU closed the connection. */
const char *qtest_line(struct qtest *q);
/* Returns true if a complete line has been received. */
bool qtest_has_line(const struct qtest *q);
/* Send a command and wait for the reply, "OK" with an optional number; 0 or -errno */
long qtest_ask(struct qtest *q, uint64_t *answer, const char *fmt, ...);

#endif /* VHOST_BENCH_QTEST_H */
