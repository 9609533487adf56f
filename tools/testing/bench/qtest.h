/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU without a vCPU (-accel qtest): a client of its socket reads and writes the
 * machine's ports and memory and is told of interrupts.
 */
#ifndef VHOST_BENCH_QTEST_H
#define VHOST_BENCH_QTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qtest {
	int fd;
	char text[1024];	/* received; what was not taken begins at @at */
	size_t at;
	size_t len;
};

/* 0 or -errno */
long qtest_open(struct qtest *q, const char *path);
/* A command, without waiting for its answer */
bool qtest_send(struct qtest *q, const char *fmt, ...);
/* The next line of QEMU's, waited for; NULL: it has gone */
const char *qtest_line(struct qtest *q);
/* Is there a whole line already? */
bool qtest_has_line(const struct qtest *q);
/* A command and its answer, which is "OK" and perhaps a number; 0 or -errno */
long qtest_ask(struct qtest *q, uint64_t *answer, const char *fmt, ...);

#endif /* VHOST_BENCH_QTEST_H */
