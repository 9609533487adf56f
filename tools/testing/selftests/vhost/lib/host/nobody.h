/* SPDX-License-Identifier: GPL-2.0 */
/* A process of the user nobody that may open the device: the tests are root. */
#ifndef VHOST_TEST_NOBODY_H
#define VHOST_TEST_NOBODY_H

#include <stddef.h>

#include "guest.h"

#define NOBODY	65534

/* A node of the device that everybody may open, in /tmp; NULL, or why there is none */
const char *nobody_node(char *node, size_t len);
void become_nobody(void);
/* What nobody does in a process of its own. Returns its exit status. */
int as_nobody(int (*fn)(struct guest *g, const char *node), struct guest *g, const char *node);

#endif /* VHOST_TEST_NOBODY_H */
