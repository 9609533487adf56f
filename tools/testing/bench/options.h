/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VHOST_BENCH_OPTIONS_H
#define VHOST_BENCH_OPTIONS_H

#include "load.h"

/* Ends the program where the command line is wrong or --help. */
void options_parse(struct load *load, int argc, char **argv);

#endif /* VHOST_BENCH_OPTIONS_H */
