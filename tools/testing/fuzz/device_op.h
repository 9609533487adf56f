/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sequences of operations on /dev/vhost-blk.  Each operation is a code and four
 * numbers.  All numbers are valid; device_exec.c defines their meaning.
 */
#ifndef FUZZ_DEVICE_OP_H
#define FUZZ_DEVICE_OP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "request.h"

enum op_code {
	OP_boot,	/* all calls of a start, for some queues on some backend */
	OP_owner,	/* SET_OWNER */
	OP_reset_owner,	/* RESET_OWNER */
	OP_features,	/* SET_FEATURES */
	OP_backend_features,	/* SET_BACKEND_FEATURES */
	OP_backend,	/* SET_BACKEND */
	OP_running,	/* SET_RUNNING */
	OP_mem,	/* SET_MEM_TABLE, valid or invalid */
	OP_num,	/* SET_VRING_NUM */
	OP_base,	/* SET_VRING_BASE */
	OP_get_base,	/* GET_VRING_BASE */
	OP_vring_running,	/* SET_VRING_RUNNING */
	OP_info,	/* GET_INFO, GET_VRING_INFO, GET_STATS */
	OP_policy,	/* SET_ERROR_POLICY */
	OP_parked,	/* GET_VRING_PARKED, SET_VRING_PARKED */
	OP_bad,	/* part of a disk fails, or works again */
	OP_addr,	/* SET_VRING_ADDR, valid or invalid */
	OP_vring_fd,	/* SET_VRING_KICK, _CALL or _ERR, valid or invalid */
	OP_vring_state,	/* endianness and busy loop */
	OP_log,	/* SET_LOG_BASE, SET_LOG_FD */
	OP_config,	/* GET_CONFIG, SET_CONFIG */
	OP_flush,	/* FLUSH */
	OP_config_call,	/* SET_CONFIG_CALL */
	OP_worker,	/* the ioctls of workers */
	OP_any_ioctl,	/* any number, with any argument */
	OP_iotlb,	/* a message to the IOTLB, valid or invalid */
	OP_iotlb_read,	/* read the misses of the device */
	OP_protect,	/* change or remove a page of the device's view */
	OP_req,	/* a request, valid or nearly so */
	OP_desc,	/* one descriptor */
	OP_table,	/* one entry of an indirect table */
	OP_header,	/* one request header */
	OP_range,	/* one range of a discard */
	OP_garbage,	/* random bytes in all of a ring */
	OP_avail,	/* make a head available */
	OP_avail_idx,	/* let the index jump */
	OP_event,	/* flags and event index of the rings */
	OP_kick,	/* kick a queue */
	OP_wait,	/* let the device work */
	OP_resize,	/* truncate or extend the file */
	OP_reopen,	/* close the device, open another */
	OP_race,	/* another thread makes changes from now on */
	OP_COUNT
};

#define OP_ARGS		4
#define SEQ_MAX		96

struct op {
	enum op_code code;
	uint32_t a[OP_ARGS];
};

struct seq {
	unsigned int n;
	struct op op[SEQ_MAX];
};

void seq_random(struct seq *s, struct rng *rng);
/* Change @s, or splice it with @other. */
void seq_mutate(struct seq *s, const struct seq *other, struct rng *rng);
/*
 * Write the sequence as text, one operation per line; seq_read() returns false
 * if the text is invalid.
 */
void seq_print(const struct seq *s, FILE *f);
bool seq_read(struct seq *s, FILE *f);

#endif
