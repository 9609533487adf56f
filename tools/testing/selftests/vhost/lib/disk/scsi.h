/* SPDX-License-Identifier: GPL-2.0 */
/* A SCSI disk of scsi_debug */
#ifndef VHOST_TEST_SCSI_H
#define VHOST_TEST_SCSI_H

struct scsi {
	char path[64];		/* its device node */
};

/* Return: NULL, or the reason why there is none here */
const char *scsi_open(struct scsi *s);
/* Remove the disk from the kernel. Return: 0 or -errno */
int scsi_delete(struct scsi *s);
void scsi_close(struct scsi *s);
/*
 * Load the module with other parameters; "": those of the test hosts.  Return:
 * NULL, or the reason why this is not possible here
 */
const char *scsi_load(const char *params);
/* Set a parameter of scsi_debug. Return: 0 or -errno */
int scsi_param(const char *name, const char *value);

#endif /* VHOST_TEST_SCSI_H */
