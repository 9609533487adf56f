/* SPDX-License-Identifier: GPL-2.0-only */
/* Symbols of the compiler, which has no header for them */
#ifndef VHOST_BLK_COVERAGE_H
#define VHOST_BLK_COVERAGE_H

struct gcov_info;

/* One entry per object, from -fprofile-info-section */
extern struct gcov_info *__start_vhost_blk_counts[];
extern struct gcov_info *__stop_vhost_blk_counts[];

void __gcov_init(struct gcov_info *info);

#endif
