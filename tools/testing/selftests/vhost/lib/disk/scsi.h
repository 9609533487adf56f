/* SPDX-License-Identifier: GPL-2.0 */
/* A SCSI disk of scsi_debug's. */
#ifndef VHOST_TEST_SCSI_H
#define VHOST_TEST_SCSI_H

struct scsi {
	char path[64];		/* its node in /dev */
};

/* NULL, or why there is none here */
const char *scsi_open(struct scsi *s);
/* Pulled out, as far as the kernel knows: 0 or -errno */
int scsi_delete(struct scsi *s);
void scsi_close(struct scsi *s);
/*
 * The module again, with other parameters; "" for those of the test hosts.
 * NULL, or why that can't be done here
 */
const char *scsi_load(const char *params);
/* Of scsi_debug as a whole: 0 or -errno */
int scsi_param(const char *name, const char *value);

#endif /* VHOST_TEST_SCSI_H */
