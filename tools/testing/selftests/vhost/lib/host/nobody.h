/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process of the unprivileged user "nobody" that may open the device; the
 * tests run as root.
 */
#ifndef VHOST_TEST_NOBODY_H
#define VHOST_TEST_NOBODY_H

#include <stddef.h>

#include "guest.h"

#define NOBODY	65534

/*
 * Make a device node in /tmp that all users may open.  Return: NULL, or the
 * reason of a failure
 */
const char *nobody_node(char *node, size_t len);
void become_nobody(void);
/* Run @fn as this user in a child process. Return: its exit status */
int as_nobody(int (*fn)(struct guest *g, const char *node), struct guest *g, const char *node);

#endif /* VHOST_TEST_NOBODY_H */
