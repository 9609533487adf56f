/* SPDX-License-Identifier: GPL-2.0 */
/* The log of the kernel, to know that it has no line about a disk */
#ifndef VHOST_TEST_KLOG_H
#define VHOST_TEST_KLOG_H

struct backend;

/* Return: a descriptor that reads lines from now on, or -1 */
int klog_open(void);
/* Return: a line about the disk since the last call, or NULL */
const char *klog_about(int klog, const struct backend *b);

#endif /* VHOST_TEST_KLOG_H */
