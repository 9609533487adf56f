// SPDX-License-Identifier: GPL-2.0
/* VMMs as processes */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "batch.h"
#include "cgroup.h"
#include "vmm.h"

static void say(int fd)
{
	if (write(fd, "", 1) != 1)
		_exit(1);
}

static void die(const char *why)
{
	fprintf(stderr, "# VMM: %s\n", why);
	_exit(1);
}

static const char *boot(struct guest *g, struct backend *b, const struct vmm_opts *opts)
{
	struct guest_opts guest = {
		.backend = b, .queues = opts->queues, .mem = VMM_MEM,
		.block_size = opts->block_size,
	};
	struct cgroup c;
	const char *why = cgroup_enter(&c);

	if (why)
		return why;
	*b = *opts->backend;
	why = backend_reopen_locked(b, O_RDWR | (b->direct ? O_DIRECT : 0));
	if (why)
		return why;
	guest_init(g, &guest);
	if (opts->memory && !region_back(&g->region[0], opts->memory))
		return "the memory can't be mapped";
	memset(g->region[0].hva + g->data_start, 0x5a, VMM_MEM - g->data_start);
	return guest_boot(g);
}

static void run(const struct vmm_opts *opts, int said, int go)
{
	struct batch_opts fill = {
		.per_queue = opts->per_queue ? opts->per_queue : 16,
		.writes_only = opts->writes_only,
	};
	struct rng rng = { 0x600d };
	struct backend b;
	struct batch batch;
	struct guest g;
	const char *why;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	why = boot(&g, &b, opts);
	if (why)
		die(why);
	batch_build(&batch, &g, &fill, &rng);
	say(said);
	if (read(go, &byte, 1) != 1)
		die("the process has exited");
	why = batch_submit(&batch);
	if (why)
		die(why);
	/* time for the device to take them */
	usleep(100000);
	say(said);
	if (opts->then) {
		opts->then(&g);
		say(said);
	}
	for (;;)
		pause();
}

bool vmm_said(struct vmm *v, int ms)
{
	struct pollfd p = { .fd = v->said, .events = POLLIN };
	char byte;

	return poll(&p, 1, ms) == 1 && read(v->said, &byte, 1) == 1;
}

const char *vmm_start(struct vmm *v, const struct vmm_opts *opts)
{
	int said[2], go[2];

	if (pipe2(said, O_CLOEXEC) || pipe2(go, O_CLOEXEC))
		return "no pipe";
	v->pid = fork();
	if (!v->pid) {
		close(said[0]);
		close(go[1]);
		run(opts, said[1], go[0]);
	}
	close(said[1]);
	close(go[0]);
	v->said = said[0];
	v->go = go[1];
	snprintf(v->cgroup, sizeof(v->cgroup), "/sys/fs/cgroup/vhost-test-%d", v->pid);
	return vmm_said(v, 60000) ? NULL : "the VMM does not boot";
}

const char *vmm_load(struct vmm *v)
{
	if (write(v->go, "", 1) != 1 || !vmm_said(v, 60000))
		return "the VMM has no requests in flight";
	return NULL;
}

/* Does this process sleep uninterruptibly in a request of @v? */
static bool sleeps_for(const struct vmm *v, const char *pid)
{
	char path[300], stat[160] = "", name[48];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	snprintf(name, sizeof(name), "+vhost-blk-%d) D ", v->pid);
	f = fopen(path, "re");
	if (f && !fgets(stat, sizeof(stat), f))
		stat[0] = '\0';
	if (f)
		fclose(f);
	return strstr(stat, name);
}

static bool has_sleeper(const struct vmm *v)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	bool found = false;

	while (dir && !found && (e = readdir(dir)))
		found = *e->d_name >= '1' && *e->d_name <= '9' && sleeps_for(v, e->d_name);
	if (dir)
		closedir(dir);
	return found;
}

const char *vmm_sleeps(struct vmm *v, int ms)
{
	int i;

	for (i = 0; i < ms / 10; i++) {
		if (has_sleeper(v))
			return NULL;
		usleep(10000);
	}
	return "no request of the VMM sleeps in the backend";
}

const char *vmm_gone(struct vmm *v, int ms)
{
	int i, status;

	for (i = 0; i < ms / 10; i++) {
		if (waitpid(v->pid, &status, WNOHANG) == v->pid) {
			close(v->said);
			close(v->go);
			v->pid = 0;
			return NULL;
		}
		usleep(10000);
	}
	snprintf(v->why, sizeof(v->why), "the VMM has not exited after %d ms", ms);
	return v->why;
}

const char *vmm_kill(struct vmm *v, int ms)
{
	if (kill(v->pid, SIGKILL))
		return "kill fails";
	return vmm_gone(v, ms);
}

long long vmm_memory(const struct vmm *v)
{
	char path[160];
	long long bytes;
	FILE *f;

	snprintf(path, sizeof(path), "%s/memory.current", v->cgroup);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%lld", &bytes) != 1)
		bytes = -1;
	if (f)
		fclose(f);
	return bytes;
}

void vmm_forget(struct vmm *v)
{
	unsigned int tries;

	/* in older kernels the worker is in the group, and exits last */
	for (tries = 0; rmdir(v->cgroup) && errno == EBUSY && tries < 500; tries++)
		usleep(10000);
}
