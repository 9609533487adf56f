# SPDX-License-Identifier: GPL-2.0
#
# The commands of the project.  What builds the driver inside a kernel tree is
# in drivers/vhost/blk.

VERSION := 0.1

# The kernel to build the module for, and where it is installed
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
# A directory with the vhost.h of that kernel; fetched where it is not given
VHOST_SRC ?=
DESTDIR ?=
# How often `make migrate` goes there and back
LOOPS ?= 50
# How many VMMs `make kills` kills
KILLS ?= 500
# How long `make fuzz` runs each of the two fuzzers, and where that of the device
SECONDS ?= 600
FUZZ_HOST ?= uml-7.3
# How long `make soak` takes, where, and with how many guests
MINUTES ?= 60
SOAK_HOST ?= uml-7.3
VMS ?= 8
# How many files `make crash` fsyncs, and how many flushes it looks at (0: all)
FILES ?= 600
FLUSHES ?= 0
CRASH_HOST ?= uml-7.3-fast
OUT := build/$(KVER)
# What a test host needs that is not User-Mode Linux
host-packages = $(if $(filter uml-%,$(1)),,tcg abi)

.PHONY: modules help demo check lint kunit selftest bench bench-quick profile migrate memory swap \
	fuzz soak kcsan inject kills coverage crash geometry install uninstall dkms clean distclean-cache

modules:
	tools/modules.sh build KVER=$(KVER) KDIR=$(KDIR) VHOST_SRC=$(VHOST_SRC) OUT=$(OUT)

help:
	@echo 'Two commands that do all their own set-up, as root on a Debian 12 machine:'
	@echo '  make demo       a guest runs fio on vhost-blk, next to QEMU'\''s own virtio-blk'
	@echo '  make check      all tests; GROUPS="lint kunit" for some'
	@echo
	@echo 'On a host with module support:'
	@echo '  make            the module for the running kernel (KVER=, KDIR=, VHOST_SRC=)'
	@echo '  make install    module, uapi header, udev rule (as root; DESTDIR=)'
	@echo '                  VMLINUX_BTF=FILE for a KVER= that is not the running kernel'
	@echo '  make uninstall  remove what make install has installed'
	@echo '  make dkms       install it through DKMS, to be rebuilt with each kernel'
	@echo
	@echo 'Parts of make check:'
	@echo '  make lint       checkpatch, sparse, W=1, shellcheck'
	@echo '  make kunit      unit tests in a User-Mode-Linux host'
	@echo '  make selftest   the selftests in every test host'
	@echo
	@echo 'How fast it is:'
	@echo '  make bench        all contenders in turns; DEV=/dev/nvme0n1 on a real machine,'
	@echo '                    which loses what is on it'
	@echo '  make bench-quick  instructions by request, and a few figures of time; 5 minutes'
	@echo '  make profile      where the instructions go, by function; PROFILE="--depth 32"'
	@echo
	@echo 'Longer than what make check has of them:'
	@echo '  make fuzz       request.c and the device fuzzed, each for SECONDS=600, the device in'
	@echo '                  FUZZ_HOST=uml-7.3 (or x86-7.3-debug: two CPUs)'
	@echo '  make migrate    live migration of a guest under load, LOOPS=50 times there and back'
	@echo '  make memory     guests behind an IOMMU, and whose memory comes and goes'
	@echo '  make swap       a guest that swaps on vhost-blk, on a host without free memory'
	@echo '  make inject     every point of failure of every ioctl in turn'
	@echo '  make kills      VMMs killed at any moment, KILLS=500'
	@echo '  make coverage   lines of the driver that the tests run, and why the rest are not'
	@echo '  make soak       guests that verify, stop, swap, resize and are killed, for MINUTES=60;'
	@echo '                  VMS=8 of them, in SOAK_HOST=uml-7.3 (or x86-7.3-debug)'
	@echo '  make kcsan      data races: the selftests that have several things going on, and'
	@echo '                  SECONDS=60 of the soak, on an x86 kernel with KCSAN in QEMU'
	@echo '  make crash      what each flush of ext4 and xfs leaves, while FILES=600 are fsynced on'
	@echo '                  each; FLUSHES=0 (all), CRASH_HOST=uml-7.3-fast'
	@echo '  make geometry   the selftests on block devices, file systems and stacked devices of all'
	@echo '                  geometries, in pairs; GEOMETRY="kind=raid5 fs=xfs --list" for some'
	@echo
	@echo '  make clean            what was built in the checkout'
	@echo '  make distclean-cache  also what was built and fetched in the cache directory'

demo:
	tools/testing/guests/demo.sh

check:
	tools/testing/checks/check.sh $(GROUPS)

lint kunit selftest:
	tools/testing/checks/check.sh $@

fuzz:
	tools/lib/packages.sh kernel selftest fuzz $(call host-packages,$(FUZZ_HOST))
	tools/testing/checks/fuzz.sh --seconds $(SECONDS) --host $(FUZZ_HOST)

bench:
	tools/testing/bench/bench.sh $(if $(DEV),--dev $(DEV)) $(BENCH)

profile:
	tools/testing/bench/profile.sh $(PROFILE)

bench-quick:
	tools/testing/bench/quick.sh

migrate:
	tools/testing/guests/guest-test.sh --host uml-7.3-fast --timeout $$((900 + $(LOOPS) * 60)) migrate.py --loops $(LOOPS)

soak:
	tools/lib/packages.sh kernel selftest $(call host-packages,$(SOAK_HOST))
	tools/testing/checks/soak.sh --minutes $(MINUTES) --vms $(VMS) $(SOAK_HOST)

kcsan: SECONDS = 60
kcsan:
	tools/lib/packages.sh kernel selftest tcg
	tools/testing/checks/kcsan.sh --seconds $(SECONDS)

inject:
	tools/testing/checks/inject.sh

coverage:
	tools/testing/checks/coverage.sh

crash:
	VHOST_CRASH_FILES=$(FILES) VHOST_CRASH_EXT4=$(FLUSHES) VHOST_CRASH_XFS=$(FLUSHES) \
		tools/testing/guests/e2e.sh crash $(CRASH_HOST)

geometry:
	tools/lib/packages.sh kernel selftest tcg abi geometry
	tools/testing/checks/geometry.sh $(GEOMETRY)

memory:
	tools/testing/guests/guest-test.sh --mem 3G memory.py

swap:
	tools/testing/guests/guest-test.sh --mem 1G --timeout 2400 --disks swap swap.py

kills:
	tools/testing/checks/kills.sh --kills $(KILLS)

install: modules
	tools/modules.sh install KVER=$(KVER) OUT=$(OUT) DESTDIR=$(DESTDIR)

uninstall:
	tools/modules.sh uninstall KVER=$(KVER) DESTDIR=$(DESTDIR)

dkms:
	packaging/dkms-install.sh $(VERSION)

clean:
	tools/clean.sh

distclean-cache: clean
	tools/clean.sh --cache
