# SPDX-License-Identifier: GPL-2.0
#
# The commands of the project.  Inside a kernel tree, kbuild builds the driver in
# drivers/vhost/blk.

# The driver has the version number.
VERSION = $(shell sed -n 's/^MODULE_VERSION("\(.*\)");$$/\1/p' drivers/vhost/blk/device.c)

# The kernel to build the module for, and its build directory
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
# A directory with the vhost.h of that kernel; it is fetched if this is empty
VHOST_SRC ?=
DESTDIR ?=
OUT := build/$(KVER)
RUN := tools/testing/checks/run.py

ifneq (,$(filter command,$(origin GROUPS) $(origin SECONDS)))
$(error GROUPS= is now CHECKS=, and SECONDS= is DURATION=: bash has variables of these names)
endif

.PHONY: modules menuconfig olddefconfig help demo check install uninstall dkms clean distclean-cache

modules:
	tools/modules.sh build KVER=$(KVER) KDIR=$(KDIR) VHOST_SRC=$(VHOST_SRC) OUT=$(OUT)

menuconfig olddefconfig:
	tools/kconfig.sh $@ KDIR=$(KDIR)

help:
	@echo 'Two commands that do all their own set-up, as root on a Debian 12 machine:'
	@echo '  make demo       a guest runs fio on vhost-blk, next to QEMU'\''s own virtio-blk'
	@echo '  make check      all checks below; CHECKS="lint kunit" for some'
	@echo
	@echo 'On a host with module support:'
	@echo '  make            the module for the running kernel (KVER=, KDIR=, VHOST_SRC=)'
	@echo '  make menuconfig choose what "make" and tools/overlay.sh build (KVER=, KDIR=)'
	@echo '  make install    module, uapi header, udev rule (as root; DESTDIR=)'
	@echo '                  VMLINUX_BTF=FILE for a KVER= that is not the running kernel'
	@echo '  make uninstall  remove what make install has installed'
	@echo '  make dkms       install it through DKMS, to be rebuilt with each kernel'
	@echo
	@echo '  make clean            remove what was built in the checkout'
	@echo '  make distclean-cache  also what was built and fetched in the cache directory'
	@echo
	@$(RUN) --make-help || echo "The list of checks needs Python 3.11."

demo:
	tools/lib/packages.sh runner
	tools/testing/guests/demo.py

check:
	tools/lib/packages.sh runner
	$(RUN) $(CHECKS)

# Any other target is a check; make exports the parameters of the command line.
define run_check
tools/lib/packages.sh runner
$(RUN) --long $@
endef

.DEFAULT:
	$(run_check)

# make would take the directory of this name as up to date.
.PHONY: qemu
qemu:
	$(run_check)

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
