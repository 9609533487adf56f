// SPDX-License-Identifier: GPL-2.0
/* Processes of the unprivileged user "nobody" */
#define _GNU_SOURCE
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nobody.h"

const char *nobody_node(char *node, size_t len)
{
	struct stat st;

	snprintf(node, len, "/tmp/vhost-test-node-%d", getpid());
	if (stat("/dev/vhost-blk", &st) || mknod(node, S_IFCHR | 0666, st.st_rdev) ||
	    chmod(node, 0666))
		return "no device node can be created in /tmp";
	return NULL;
}

void become_nobody(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		_exit(90);
}

int as_nobody(int (*fn)(struct guest *g, const char *node), struct guest *g, const char *node)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		become_nobody();
		_exit(fn(g, node));
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ?
	       WEXITSTATUS(status) : 91;
}
