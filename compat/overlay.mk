# SPDX-License-Identifier: GPL-2.0-only
# tools/overlay.sh appends this to the driver's Makefile, for kernels that are older
# than the one that the sources are written for.
ccflags-y += -include $(srctree)/drivers/vhost/blk/compat/compat.h
ccflags-y += $(if $(shell grep -w iotlb_miss $(srctree)/drivers/vhost/vhost.h),-DVHOST_BLK_CORE_RECORDS_MISS)
