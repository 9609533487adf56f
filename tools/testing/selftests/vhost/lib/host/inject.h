/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's fault injection: allocations that fail, copies to and from this
 * process, and requests of a disk.
 */
#ifndef VHOST_TEST_INJECT_H
#define VHOST_TEST_INJECT_H

#include <stdbool.h>
#include <sys/types.h>

enum fault {
	FAULT_SLAB,		/* kmalloc and its kin */
	FAULT_PAGE,		/* pages for the kernel itself */
	FAULT_USERCOPY,
	FAULT_REQUEST,		/* of the disks that fault_disk() names */
	FAULTS
};

/* NULL, or why none can be injected here. All is off, and says nothing to the log. */
const char *faults_open(void);
void faults_close(void);

/* The nth chance for a fault in a thread, of whatever kind, is one... */
void fault_nth(pid_t tid, unsigned int n);
/* ... and has it come?  It won't any more. */
bool fault_was_hit(void);

/* Percent of all chances; of this process's threads alone, if they are @marked */
void fault_often(enum fault kind, unsigned int percent, bool marked);
void fault_mark(pid_t tid, bool on);
int fault_disk(const char *path, bool on);

/* The device's worker, a thread of this process; 0: it is none (before Linux 6.4) */
pid_t worker_tid(void);

#endif /* VHOST_TEST_INJECT_H */
