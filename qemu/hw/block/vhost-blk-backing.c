/*
 * vhost-blk: opening what backs the device, and keeping others away from it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/virtio/vhost-blk.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"

/* 10.0 moved it. */
#if VHOST_BLK_QEMU >= 1000
#include "system/runstate.h"
#else
#include "sysemu/runstate.h"
#endif

/*
 * The bytes of an image file that QEMU's file driver locks: one of the first
 * hundred for each thing that a user of the file does, one of the second
 * hundred for each thing that it lets nobody else do.  Speaking the same
 * protocol keeps this device and QEMU's own block layer apart.
 */
enum { USE_READ, USE_WRITE };
#define LOCK_DOES(use) (100 + (use))
#define LOCK_FORBIDS(use) (200 + (use))
#define LOCK_END 300

/* Call with the mode of something that exists. */
static bool vhost_blk_check_type(const char *prop, mode_t mode, Error **errp)
{
    const char *what;

    switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFBLK:
        return true;
    case S_IFDIR:
        what = "directory";
        break;
    case S_IFCHR:
        what = "character device";
        break;
    case S_IFIFO:
        what = "pipe";
        break;
    case S_IFSOCK:
        what = "socket";
        break;
    default:
        what = "special file";
        break;
    }
    error_setg(errp, "%s: a %s; a block device or regular file is needed",
               prop, what);
    return false;
}

static int vhost_blk_open_path(VHostBlk *s, Error **errp)
{
    int flags = s->readonly ? O_RDONLY : O_RDWR;
    struct stat st;
    int fd;

    /* Opening a pipe would wait, and opening a tape has side effects. */
    if (!strstart(s->path, "/dev/fdset/", NULL)) {
        if (stat(s->path, &st) < 0) {
            error_setg_file_open(errp, errno, s->path);
            error_prepend(errp, "path: ");
            return -1;
        }
        if (!vhost_blk_check_type("path", st.st_mode, errp)) {
            return -1;
        }
        /* Block devices bypass the page cache in any case. */
        if (S_ISREG(st.st_mode) && s->direct != ON_OFF_AUTO_OFF) {
            fd = qemu_open(s->path, flags | O_DIRECT, NULL);
            if (fd >= 0 || errno != EINVAL) {
                goto opened;
            }
            if (s->direct == ON_OFF_AUTO_ON) {
                error_setg(errp, "direct: the filesystem of '%s' has no "
                           "O_DIRECT", s->path);
                return -1;
            }
            warn_report("vhost-blk: the filesystem of '%s' has no O_DIRECT: "
                        "I/O is buffered (direct=off says so)", s->path);
        }
    }
    fd = qemu_open(s->path, flags, NULL);

opened:
    if (fd < 0) {
        bool ro_helps = (errno == EROFS || errno == EACCES) && !s->readonly &&
                        access(s->path, R_OK) == 0;

        error_setg_errno(errp, errno, "path: Could not open '%s'%s", s->path,
                         ro_helps ? " for writing (readonly=on?)" : "");
    }
    return fd;
}

int vhost_blk_take_fd(const char *prop, const char *name, Error **errp)
{
    int fd = monitor_fd_param(monitor_cur(), name, errp);

    if (fd < 0) {
        error_prepend(errp, "%s: ", prop);
        return -1;
    }
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        error_setg_errno(errp, errno, "%s: '%s'", prop, name);
        return -1;
    }
    return fd;
}

static bool vhost_blk_check_access(VHostBlk *s, Error **errp)
{
    int mode = fcntl(s->fd, F_GETFL) & O_ACCMODE;

    if (mode == O_WRONLY) {
        error_setg(errp, "fd: open for writing alone");
        return false;
    }
    if (mode == O_RDONLY && !s->readonly) {
        error_setg(errp, "fd: open for reading alone; readonly=on is needed");
        return false;
    }
    return true;
}

/* Nobody else writes; where we write, nobody else reads either. */
static int vhost_blk_lock_file(VHostBlk *s)
{
    int ret;

    if (!s->readonly) {
        return qemu_lock_fd(s->fd, LOCK_DOES(0), LOCK_END - LOCK_DOES(0), true);
    }
    ret = qemu_lock_fd(s->fd, LOCK_DOES(USE_READ), 1, false);
    if (!ret) {
        ret = qemu_lock_fd(s->fd, LOCK_FORBIDS(USE_WRITE), 1, false);
    }
    if (!ret) {
        ret = qemu_lock_fd_test(s->fd, LOCK_DOES(USE_WRITE), 1, true);
    }
    if (!ret) {
        ret = qemu_lock_fd_test(s->fd, LOCK_FORBIDS(USE_READ), 1, true);
    }
    return ret;
}

/* O_EXCL is for one opener alone: a second descriptor holds it. */
static int vhost_blk_claim_bdev(VHostBlk *s)
{
    g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", s->fd);

    s->claim_fd = open(self, O_RDONLY | O_EXCL | O_CLOEXEC);
    return s->claim_fd < 0 ? -errno : 0;
}

static bool vhost_blk_claim(VHostBlk *s, mode_t mode, Error **errp)
{
    int ret;

    if (s->exclusive == ON_OFF_AUTO_OFF) {
        return true;
    }
    /*
     * Until an incoming migration is complete the file is its source's.  Any
     * number of readers may share a block device.
     */
    if (s->exclusive == ON_OFF_AUTO_AUTO &&
        (runstate_check(RUN_STATE_INMIGRATE) ||
         (S_ISBLK(mode) && s->readonly))) {
        return true;
    }

    ret = S_ISBLK(mode) ? vhost_blk_claim_bdev(s) : vhost_blk_lock_file(s);
    if (ret == -EBUSY || ret == -EAGAIN || ret == -EACCES) {
        error_setg(errp, "exclusive: '%s' is in use by another process%s "
                   "(exclusive=off shares it)",
                   s->path ? s->path : s->fd_name,
                   S_ISBLK(mode) ? ", mounted, or part of another device" : "");
    } else if (ret < 0) {
        error_setg_errno(errp, -ret, "exclusive: '%s' can't be locked",
                         s->path ? s->path : s->fd_name);
    }
    return ret == 0;
}

bool vhost_blk_open_backing(VHostBlk *s, Error **errp)
{
    const char *prop = s->path ? "path" : "fd";
    struct stat st;

    s->fd = s->path ? vhost_blk_open_path(s, errp)
                    : vhost_blk_take_fd("fd", s->fd_name, errp);
    if (s->fd < 0) {
        return false;
    }
    if (fstat(s->fd, &st) < 0) {
        error_setg_errno(errp, errno, "%s: fstat", prop);
        return false;
    }
    return vhost_blk_check_type(prop, st.st_mode, errp) &&
           vhost_blk_check_access(s, errp) &&
           vhost_blk_claim(s, st.st_mode, errp);
}

void vhost_blk_close_backing(VHostBlk *s)
{
    if (s->claim_fd >= 0) {
        close(s->claim_fd);
    }
    if (s->fd >= 0) {
        qemu_close(s->fd);
    }
    s->claim_fd = -1;
    s->fd = -1;
}
