# SPDX-License-Identifier: GPL-2.0-only
# tools/build-module.sh appends this to the driver's Makefile.
#
# Outside of a kernel tree, use the uapi header of this project, and vhost.h from
# VHOST_SRC, which is drivers/vhost of the source of exactly this kernel.  Packages
# of kernel headers do not contain it.
ccflags-y += -I$(src)/../../../include/uapi -I$(VHOST_SRC)
ccflags-y += -include $(src)/../../../compat/compat.h
ccflags-y += $(if $(shell grep -w iotlb_miss $(VHOST_SRC)/vhost.h),-DVHOST_BLK_CORE_RECORDS_MISS)
