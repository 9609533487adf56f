/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VMM in a process of its own, to be killed.  It has a control group of its
 * own, and a shared lock (flock) on the file that it attaches.
 */
#ifndef VHOST_TEST_VMM_H
#define VHOST_TEST_VMM_H

#include <sys/types.h>

#include "request.h"

#define VMM_MEM	(16U << 20)

struct vmm_opts {
	struct backend *backend;
	unsigned int queues;		/* 0: 1 */
	unsigned int per_queue;		/* requests in flight, 0: 16 */
	bool writes_only;
	int memory;			/* an fd that is the guest's memory, 0: none */
	void (*then)(struct guest *g);	/* once they are in flight; NULL: wait */
};

struct vmm {
	pid_t pid;
	int said;	/* a byte at each step */
	int go;
	char cgroup[128];
	char why[160];
};

/* Boots it, and it waits. */
const char *vmm_start(struct vmm *v, const struct vmm_opts *opts);
/* Its requests go to the device; opts->then() is called. */
const char *vmm_load(struct vmm *v);
/*
 * A request left to the workqueue must sleep in the backend within @ms.  One that no
 * thread of the workqueue has begun is dropped when the VMM is killed, and with many
 * VMMs the kernel needs time to make the threads.
 */
const char *vmm_sleeps(struct vmm *v, int ms);
/* Has opts->then() returned, within @ms? */
bool vmm_said(struct vmm *v, int ms);
/* It must be gone within @ms. */
const char *vmm_gone(struct vmm *v, int ms);
const char *vmm_kill(struct vmm *v, int ms);
/* What is charged to it, dead or alive, in bytes; -1: there is no such figure */
long long vmm_memory(const struct vmm *v);
/* Away with its control group; the process is gone. */
void vmm_forget(struct vmm *v);

#endif /* VHOST_TEST_VMM_H */
