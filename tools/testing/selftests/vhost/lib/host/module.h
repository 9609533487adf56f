/* SPDX-License-Identifier: GPL-2.0 */
/* The driver as a module */
#ifndef VHOST_TEST_MODULE_H
#define VHOST_TEST_MODULE_H

/* Return: number of references; -1: the driver is built in */
int module_refs(void);
/* Return: 0 or -errno */
long module_remove(void);
/* Return: 0 if the module is loaded */
int module_load(void);

#endif /* VHOST_TEST_MODULE_H */
