// SPDX-License-Identifier: GPL-2.0
/* The driver as a module */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "module.h"

int module_refs(void)
{
	FILE *f = fopen("/sys/module/vhost_blk/refcnt", "re");
	int refs = -1;

	if (f && fscanf(f, "%d", &refs) != 1)
		refs = -1;
	if (f)
		fclose(f);
	return refs;
}

long module_remove(void)
{
	return syscall(SYS_delete_module, "vhost_blk", O_NONBLOCK) ? -errno : 0;
}

int module_load(void)
{
	return system("modprobe ${VHOST_MODULES:+-d \"$VHOST_MODULES\"} vhost_blk");
}
