// SPDX-License-Identifier: GPL-2.0
/*
 * A TCG plugin of QEMU that counts how often each block of instructions is executed
 * between two calls of a function of the program that is profiled.
 *
 *   -plugin profile.so,out=FILE,mark=ADDRESS
 *
 * Each call of the function at ADDRESS writes a line to FILE for each block that was
 * executed since the previous call: number of the call, address of the block, number of
 * its instructions, number of executions.  For machines with one CPU.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <qemu-plugin.h>

#define BUCKETS	65536

/* QEMU may translate a block again; all its translations share one of these. */
struct block {
	struct block *next;
	uint64_t addr;
	uint64_t insns;
	uint64_t runs;
	uint64_t before;	/* runs at the last mark */
};

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static struct block *table[BUCKETS];
static uint64_t mark;
static unsigned int marks;
static FILE *out;

static struct block *find(uint64_t addr, uint64_t insns)
{
	struct block **head = &table[(addr ^ addr >> 16) % BUCKETS];
	struct block *b;

	for (b = *head; b; b = b->next)
		if (b->addr == addr && b->insns == insns)
			return b;
	b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	b->addr = addr;
	b->insns = insns;
	b->next = *head;
	*head = b;
	return b;
}

static void put_all(unsigned int cpu, void *unused)
{
	struct block *b;
	unsigned int i;

	(void)cpu;
	(void)unused;
	marks++;
	for (i = 0; i < BUCKETS; i++) {
		for (b = table[i]; b; b = b->next) {
			if (b->runs != b->before)
				fprintf(out, "%u %llx %llu %llu\n", marks,
					(unsigned long long)b->addr,
					(unsigned long long)b->insns,
					(unsigned long long)(b->runs - b->before));
			b->before = b->runs;
		}
	}
	fflush(out);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uint64_t addr = qemu_plugin_tb_vaddr(tb);
	struct block *b = find(addr, qemu_plugin_tb_n_insns(tb));

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &b->runs, 1);
	if (addr == mark)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, put_all, QEMU_PLUGIN_CB_NO_REGS, NULL);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
					   char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
		else if (!strncmp(argv[i], "mark=", 5))
			mark = strtoull(argv[i] + 5, NULL, 16);
	}
	if (!out || !mark) {
		fprintf(stderr, "profile: the arguments out=FILE and mark=ADDRESS are required\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
