/* SPDX-License-Identifier: GPL-2.0 */
/* The driver as a module. */
#ifndef VHOST_TEST_MODULE_H
#define VHOST_TEST_MODULE_H

/* References to it; -1: it is built in */
int module_refs(void);
/* 0 or -errno */
long module_remove(void);
/* 0: it is there */
int module_load(void);

#endif /* VHOST_TEST_MODULE_H */
