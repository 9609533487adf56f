/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's fault injection: failing allocations, failing copies to and from
 * this process, and failing requests of a disk
 */
#ifndef VHOST_TEST_INJECT_H
#define VHOST_TEST_INJECT_H

#include <stdbool.h>
#include <sys/types.h>

enum fault {
	FAULT_SLAB,		/* kmalloc() and the like */
	FAULT_PAGE,		/* pages for the kernel itself */
	FAULT_USERCOPY,
	FAULT_REQUEST,		/* of the disks named by fault_disk() */
	FAULTS
};

/*
 * Disable all faults, and their log messages.  Return: NULL, or the reason why
 * faults cannot be injected here
 */
const char *faults_open(void);
void faults_close(void);

/* Let the nth possible fault in a thread happen, whatever its kind. */
void fault_nth(pid_t tid, unsigned int n);
/* Has this fault happened? If not, cancel it. */
bool fault_was_hit(void);

/*
 * Let @percent of the possible faults happen; with @marked only in threads of
 * this process.
 */
void fault_often(enum fault kind, unsigned int percent, bool marked);
void fault_mark(pid_t tid, bool on);
int fault_disk(const char *path, bool on);

/*
 * Return: the device's worker, a thread of this process; 0: it is not one
 * (before Linux 6.4)
 */
pid_t worker_tid(void);

#endif /* VHOST_TEST_INJECT_H */
