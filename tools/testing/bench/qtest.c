// SPDX-License-Identifier: GPL-2.0
/* The protocol is described in QEMU's softmmu/qtest.c (system/qtest.c since 9.0). */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qtest.h"

long qtest_open(struct qtest *q, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	memset(q, 0, sizeof(*q));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (q->fd < 0 || connect(q->fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	return 0;
}

static bool send_list(struct qtest *q, const char *fmt, va_list ap)
{
	char line[128];
	int len = vsnprintf(line, sizeof(line) - 1, fmt, ap);

	line[len++] = '\n';
	return send(q->fd, line, len, MSG_NOSIGNAL) == len;
}

bool qtest_send(struct qtest *q, const char *fmt, ...)
{
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = send_list(q, fmt, ap);
	va_end(ap);
	return ok;
}

bool qtest_has_line(const struct qtest *q)
{
	return memchr(q->text + q->at, '\n', q->len - q->at);
}

const char *qtest_line(struct qtest *q)
{
	char *line, *end;
	ssize_t n;

	while (!qtest_has_line(q)) {
		memmove(q->text, q->text + q->at, q->len - q->at);
		q->len -= q->at;
		q->at = 0;
		n = recv(q->fd, q->text + q->len, sizeof(q->text) - q->len, 0);
		if (n <= 0)
			return NULL;
		q->len += n;
	}
	line = q->text + q->at;
	end = memchr(line, '\n', q->len - q->at);
	*end = '\0';
	q->at = end + 1 - q->text;
	return line;
}

long qtest_ask(struct qtest *q, uint64_t *answer, const char *fmt, ...)
{
	const char *line;
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = send_list(q, fmt, ap);
	va_end(ap);
	if (!ok)
		return -EPIPE;
	do
		line = qtest_line(q);
	while (line && !strncmp(line, "IRQ ", 4));
	if (!line)
		return -EPIPE;
	if (strncmp(line, "OK", 2))
		return -EPROTO;
	if (answer)
		*answer = strtoull(line + 2, NULL, 0);
	return 0;
}
