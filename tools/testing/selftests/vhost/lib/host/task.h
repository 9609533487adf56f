/* SPDX-License-Identifier: GPL-2.0 */
/* States of threads, to know that a system call waits */
#ifndef VHOST_TEST_TASK_H
#define VHOST_TEST_TASK_H

#include <stdbool.h>
#include <sys/types.h>

/* Return: letter of the state in /proc, for example 'D' or 'Z'; 0: there is no such thread */
char task_state(pid_t tid);
/*
 * Wait until a thread sleeps uninterruptibly for 50 ms at a stretch: it waits
 * for a page of a disk that hangs, or for a mutex that another thread holds.
 */
bool task_sleeps(pid_t tid, int ms);
/* Wait until the worker of a device that @owner owns sleeps so */
bool worker_sleeps(pid_t owner, int ms);
/* Let the worker of the caller's device run on CPU 1, and the caller on CPU 0. */
bool worker_split(void);

#endif /* VHOST_TEST_TASK_H */
