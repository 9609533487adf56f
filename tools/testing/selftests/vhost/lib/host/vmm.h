/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VMM in a process of its own, which can be killed.  It has its own control
 * group, and a shared lock (flock) on the file that it attaches.
 */
#ifndef VHOST_TEST_VMM_H
#define VHOST_TEST_VMM_H

#include <sys/types.h>

#include "request.h"

#define VMM_MEM	(16U << 20)

struct vmm_opts {
	struct backend *backend;
	unsigned int queues;		/* 0: one */
	unsigned int per_queue;		/* requests in flight; 0: 16 */
	uint32_t block_size;		/* logical blocks of the disk; 0: those of the backend */
	bool writes_only;
	int memory;			/* fd of a file that is the guest's memory; 0: none */
	void (*then)(struct guest *g);	/* called with the requests in flight; NULL: wait */
};

struct vmm {
	pid_t pid;
	int said;	/* pipe: the process writes a byte at each step */
	int go;
	char cgroup[128];
	char why[160];
};

/* Start a VMM, which boots and waits. */
const char *vmm_start(struct vmm *v, const struct vmm_opts *opts);
/* Let it send its requests, and call opts->then(). */
const char *vmm_load(struct vmm *v);
/*
 * Check that a request left to the workqueue sleeps in the backend within @ms.
 * Requests that no thread of the workqueue has started are dropped when the
 * VMM is killed, and with many VMMs the kernel needs time to create the
 * threads.
 */
const char *vmm_sleeps(struct vmm *v, int ms);
/* Return: has opts->then() returned within @ms? */
bool vmm_said(struct vmm *v, int ms);
/* Check that it exits within @ms. */
const char *vmm_gone(struct vmm *v, int ms);
const char *vmm_kill(struct vmm *v, int ms);
/* Return: memory charged to it, alive or dead, in bytes; -1: unknown */
long long vmm_memory(const struct vmm *v);
/* Remove the control group of a VMM that has exited. */
void vmm_forget(struct vmm *v);

#endif /* VHOST_TEST_VMM_H */
