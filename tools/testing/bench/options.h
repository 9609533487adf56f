/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VHOST_BENCH_OPTIONS_H
#define VHOST_BENCH_OPTIONS_H

#include "load.h"

/* Ends the program for --help, and if an argument is wrong. */
void options_parse(struct load *load, int argc, char **argv);

#endif /* VHOST_BENCH_OPTIONS_H */
