// SPDX-License-Identifier: GPL-2.0
/* The command line */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

static const char help[] =
	"Usage: blkload [OPTION...] PATH...\n"
	"\n"
	"Keeps the queues of block devices busy, as a guest would, and prints one line of\n"
	"JSON for each period.  The meaning of PATH depends on the frontend:\n"
	"  vhost-blk, uring   the backing device: a block device or a file\n"
	"  wake               the same, but only its size is used: two threads wake each other\n"
	"  vhost-user         the socket of a vhost-user-blk server\n"
	"  vhost-scsi         the WWPN of a target, of which LUN 0 is used\n"
	"  qemu               the qtest socket of a QEMU with a virtio-blk device on PCI; the\n"
	"                     file PATH.mem must be its memory, and --vmm its pid\n"
	"Several devices use the paths in turn.  --write and --verify DESTROY THE DATA.\n"
	"\n"
	"  --frontend NAME    vhost-blk (default), vhost-user, vhost-scsi, qemu, uring,\n"
	"                     wake\n"
	"  --write            write instead of read\n"
	"  --sequential       sequential instead of random blocks\n"
	"  --block BYTES      size of a request (4096)\n"
	"  --segment BYTES    size of a descriptor of data (4096)\n"
	"  --depth N          requests in flight per queue (1)\n"
	"  --queues N         queues per device, each with a thread that drives it (1)\n"
	"  --devices N        number of devices (1)\n"
	"  --workers N        vhost workers per device (1)\n"
	"  --poll-us N        busy polling time for VHOST_SET_VRING_BUSYLOOP_TIMEOUT (0)\n"
	"  --spin             poll for completions with interrupts off, instead of sleeping\n"
	"  --single           notify the device per request instead of per batch\n"
	"  --think NS         CPU time that the guest uses before each request (0)\n"
	"  --ring N           descriptors per queue (256)\n"
	"  --direct-desc      no indirect descriptors\n"
	"  --buffered         open PATH without O_DIRECT\n"
	"  --size BYTES       part of each device to use (all of it)\n"
	"  --seconds S        duration of the period (1)\n"
	"  --requests N,...   instead of --seconds: requests per queue, for each period\n"
	"  --warm N           requests per queue before the first period (100)\n"
	"  --verify           verify all data that is read, and at the end all of the device\n"
	"  --check PATH       path for verifying the data, if PATH cannot be opened\n"
	"  --vmm PID          process whose CPU time is counted as that of the VMM\n"
	"  --label TEXT       text to print in each line\n";

enum {
	OPT_FRONTEND, OPT_WRITE, OPT_SEQUENTIAL, OPT_BLOCK, OPT_SEGMENT, OPT_DEPTH,
	OPT_QUEUES, OPT_DEVICES, OPT_WORKERS, OPT_POLL, OPT_SPIN, OPT_SINGLE, OPT_THINK,
	OPT_RING, OPT_DIRECT_DESC, OPT_BUFFERED, OPT_SIZE, OPT_SECONDS, OPT_REQUESTS,
	OPT_WARM, OPT_VERIFY, OPT_CHECK, OPT_VMM, OPT_LABEL, OPT_HELP,
};

static const struct option option[] = {
	{ "frontend", 1, NULL, OPT_FRONTEND }, { "write", 0, NULL, OPT_WRITE },
	{ "sequential", 0, NULL, OPT_SEQUENTIAL }, { "block", 1, NULL, OPT_BLOCK },
	{ "segment", 1, NULL, OPT_SEGMENT }, { "depth", 1, NULL, OPT_DEPTH },
	{ "queues", 1, NULL, OPT_QUEUES }, { "devices", 1, NULL, OPT_DEVICES },
	{ "workers", 1, NULL, OPT_WORKERS }, { "poll-us", 1, NULL, OPT_POLL },
	{ "spin", 0, NULL, OPT_SPIN }, { "single", 0, NULL, OPT_SINGLE },
	{ "think", 1, NULL, OPT_THINK }, { "ring", 1, NULL, OPT_RING },
	{ "direct-desc", 0, NULL, OPT_DIRECT_DESC },
	{ "buffered", 0, NULL, OPT_BUFFERED }, { "size", 1, NULL, OPT_SIZE },
	{ "seconds", 1, NULL, OPT_SECONDS }, { "requests", 1, NULL, OPT_REQUESTS },
	{ "warm", 1, NULL, OPT_WARM }, { "verify", 0, NULL, OPT_VERIFY },
	{ "check", 1, NULL, OPT_CHECK }, { "vmm", 1, NULL, OPT_VMM },
	{ "label", 1, NULL, OPT_LABEL }, { "help", 0, NULL, OPT_HELP }, { NULL, 0, NULL, 0 },
};

static void wrong(const char *what)
{
	fprintf(stderr, "blkload: %s; see --help\n", what);
	exit(2);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (end == text || *end || n < min || n > max)
		wrong(text);
	return n;
}

static void parse_requests(struct load *load, char *list)
{
	char *word;

	load->nperiods = 0;
	for (word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		if (load->nperiods == MAX_PERIODS)
			wrong("too many periods");
		load->requests[load->nperiods++] = number(word, 1, 1ULL << 40);
	}
	load->seconds = 0;
}

/* Options without an argument, or whose argument is not one integer */
static void take_text(struct load *load, int opt, char *arg)
{
	switch (opt) {
	case OPT_FRONTEND:
		load->frontend = arg;
		break;
	case OPT_WRITE:
		load->write = true;
		break;
	case OPT_SEQUENTIAL:
		load->sequential = true;
		break;
	case OPT_SPIN:
		load->spin = true;
		break;
	case OPT_SINGLE:
		load->single = true;
		break;
	case OPT_DIRECT_DESC:
		load->direct_desc = true;
		break;
	case OPT_BUFFERED:
		load->buffered = true;
		break;
	case OPT_VERIFY:
		load->verify = true;
		break;
	case OPT_CHECK:
		load->check = arg;
		break;
	case OPT_LABEL:
		load->label = arg;
		break;
	case OPT_REQUESTS:
		parse_requests(load, arg);
		break;
	case OPT_SECONDS:
		load->seconds = strtod(arg, NULL);
		break;
	case OPT_HELP:
		fputs(help, stdout);
		exit(0);
	default:
		exit(2);
	}
}

static void take_option(struct load *load, int opt, char *arg)
{
	switch (opt) {
	case OPT_BLOCK:
		load->block = number(arg, SECTOR, 1 << 20);
		break;
	case OPT_SEGMENT:
		load->segment = number(arg, SECTOR, 1 << 20);
		break;
	case OPT_DEPTH:
		load->depth = number(arg, 1, 1024);
		break;
	case OPT_QUEUES:
		load->queues = number(arg, 1, 64);
		break;
	case OPT_DEVICES:
		load->devices = number(arg, 1, MAX_DEVICES);
		break;
	case OPT_WORKERS:
		load->workers = number(arg, 1, 64);
		break;
	case OPT_POLL:
		load->poll_us = number(arg, 0, 1000000);
		break;
	case OPT_THINK:
		load->think_ns = number(arg, 0, 1000000);
		break;
	case OPT_RING:
		load->ring = number(arg, 2, 1024);
		break;
	case OPT_SIZE:
		load->size = number(arg, SECTOR, 1ULL << 62);
		break;
	case OPT_WARM:
		load->warm = number(arg, 0, 1ULL << 40);
		break;
	case OPT_VMM:
		if (load->nvmm == ARRAY_SIZE(load->vmm))
			wrong("too many processes");
		load->vmm[load->nvmm++] = number(arg, 1, 1 << 30);
		break;
	default:
		take_text(load, opt, arg);
	}
}

void options_parse(struct load *load, int argc, char **argv)
{
	int opt;

	*load = (struct load){
		.frontend = "vhost-blk", .block = 4096, .segment = 4096, .depth = 1, .queues = 1,
		.devices = 1, .workers = 1, .ring = 256, .warm = 100, .nperiods = 1,
		.seconds = 1, .label = "",
	};
	while ((opt = getopt_long(argc, argv, "", option, NULL)) != -1)
		take_option(load, opt, optarg);
	if (optind == argc)
		wrong("PATH is missing");
	if (load->segment > load->block)
		load->segment = load->block;
	if (load->block % SECTOR || load->block % load->segment)
		wrong("--block must be a multiple of 512 and of --segment");
	if (load->ring & (load->ring - 1))
		wrong("--ring must be a power of two");
	if (load->seconds < 0 || (!load->seconds && !load->requests[0]))
		wrong("--seconds must be more than 0");
	load->path = argv + optind;
	load->npaths = argc - optind;
	if (load->verify && load->devices > load->npaths)
		wrong("--verify needs a PATH per device");
}
