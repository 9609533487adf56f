/*
 * vhost-blk: opening what backs the device, and keeping others away from it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/virtio/vhost-blk.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"

/* 10.0 moved it. */
#if VHOST_BLK_QEMU >= 1000
#include "system/runstate.h"
#else
#include "sysemu/runstate.h"
#endif

#include <linux/blkzoned.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

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

static int vhost_blk_open_path(VHostBlk *s, const char *path, Error **errp)
{
    int flags = s->readonly ? O_RDONLY : O_RDWR;
    struct stat st;
    int fd;

    /* Opening a pipe would wait, and opening a tape has side effects. */
    if (!strstart(path, "/dev/fdset/", NULL)) {
        if (stat(path, &st) < 0) {
            error_setg_file_open(errp, errno, path);
            error_prepend(errp, "path: ");
            return -1;
        }
        if (!vhost_blk_check_type("path", st.st_mode, errp)) {
            return -1;
        }
        /* Block devices bypass the page cache in any case. */
        if (S_ISREG(st.st_mode) && s->direct != ON_OFF_AUTO_OFF) {
            fd = qemu_open(path, flags | O_DIRECT, NULL);
            if (fd >= 0 || errno != EINVAL) {
                goto opened;
            }
            if (s->direct == ON_OFF_AUTO_ON) {
                error_setg(errp, "direct: the filesystem of '%s' has no "
                           "O_DIRECT", path);
                return -1;
            }
            warn_report("vhost-blk: the filesystem of '%s' has no O_DIRECT: "
                        "I/O is buffered (direct=off says so)", path);
        }
    }
    fd = qemu_open(path, flags, NULL);

opened:
    if (fd < 0) {
        bool ro_helps = (errno == EROFS || errno == EACCES) && !s->readonly &&
                        access(path, R_OK) == 0;

        error_setg_errno(errp, errno, "path: Could not open '%s'%s", path,
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

static bool vhost_blk_check_access(VHostBlk *s, const VHostBlkBacking *backing,
                                   Error **errp)
{
    int access = fcntl(backing->fd, F_GETFL) & O_ACCMODE;
    int protected = access == O_RDONLY;

    if (access == O_WRONLY) {
        error_setg(errp, "%s: open for writing alone", backing->prop);
        return false;
    }
    if (backing->is_bdev && !protected &&
        ioctl(backing->fd, BLKROGET, &protected) < 0) {
        error_setg_errno(errp, errno, "%s: BLKROGET", backing->prop);
        return false;
    }
    if (protected && !s->readonly) {
        error_setg(errp, "%s: '%s' is %s; readonly=on is needed",
                   backing->prop, backing->name, access == O_RDONLY ?
                   "open for reading alone" : "read-only");
        return false;
    }
    return true;
}

/* Nobody else writes; where we write, nobody else reads either. */
static int vhost_blk_lock_file(int fd, bool readonly)
{
    int ret;

    if (!readonly) {
        return qemu_lock_fd(fd, LOCK_DOES(0), LOCK_END - LOCK_DOES(0), true);
    }
    ret = qemu_lock_fd(fd, LOCK_DOES(USE_READ), 1, false);
    if (!ret) {
        ret = qemu_lock_fd(fd, LOCK_FORBIDS(USE_WRITE), 1, false);
    }
    if (!ret) {
        ret = qemu_lock_fd_test(fd, LOCK_DOES(USE_WRITE), 1, true);
    }
    if (!ret) {
        ret = qemu_lock_fd_test(fd, LOCK_FORBIDS(USE_READ), 1, true);
    }
    return ret;
}

/* O_EXCL is for one opener alone: a second descriptor holds it. */
static int vhost_blk_claim_bdev(VHostBlkBacking *backing)
{
    g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", backing->fd);

    backing->claim_fd = open(self, O_RDONLY | O_EXCL | O_CLOEXEC);
    return backing->claim_fd < 0 ? -errno : 0;
}

static bool vhost_blk_wants_claim(VHostBlk *s, const VHostBlkBacking *backing)
{
    if (s->exclusive != ON_OFF_AUTO_AUTO) {
        return s->exclusive == ON_OFF_AUTO_ON;
    }
    /*
     * Until an incoming migration is complete the file is its source's.  Any
     * number of readers may share a block device.
     */
    return !runstate_check(RUN_STATE_INMIGRATE) &&
           !(backing->is_bdev && s->readonly);
}

/* Keep others away, where that is wanted and not so already. */
bool vhost_blk_claim_backing(VHostBlk *s, VHostBlkBacking *backing,
                             Error **errp)
{
    int ret;

    if (backing->claimed || !vhost_blk_wants_claim(s, backing)) {
        return true;
    }
    ret = backing->is_bdev ? vhost_blk_claim_bdev(backing)
                           : vhost_blk_lock_file(backing->fd, s->readonly);
    backing->claimed = ret == 0;
    if (ret < 0 && !backing->is_bdev) {
        qemu_unlock_fd(backing->fd, LOCK_DOES(0), LOCK_END - LOCK_DOES(0));
    }
    if (ret == -EBUSY || ret == -EAGAIN || ret == -EACCES) {
        error_setg(errp, "exclusive: '%s' is in use already%s "
                   "(exclusive=off shares it)", backing->name,
                   backing->is_bdev ?
                   ", mounted, or part of another device" : "");
    } else if (ret < 0) {
        error_setg_errno(errp, -ret, "exclusive: '%s' can't be locked",
                         backing->name);
    }
    return ret == 0;
}

/* Whoever takes over the machine may claim it now. */
void vhost_blk_unclaim_backing(VHostBlkBacking *backing)
{
    if (backing->claim_fd >= 0) {
        close(backing->claim_fd);
        backing->claim_fd = -1;
    } else if (backing->claimed) {
        qemu_unlock_fd(backing->fd, LOCK_DOES(0), LOCK_END - LOCK_DOES(0));
    }
    backing->claimed = false;
}

/* Opens what backing->name stands for; on failure nothing stays open. */
bool vhost_blk_open_backing(VHostBlk *s, VHostBlkBacking *backing,
                            Error **errp)
{
    bool is_path = !strcmp(backing->prop, "path");
    struct stat st;

    backing->claim_fd = -1;
    backing->claimed = false;
    backing->fd = is_path ? vhost_blk_open_path(s, backing->name, errp)
                          : vhost_blk_take_fd("fd", backing->name, errp);
    if (backing->fd < 0) {
        return false;
    }
    if (fstat(backing->fd, &st) < 0) {
        error_setg_errno(errp, errno, "%s: fstat", backing->prop);
        goto close_backing;
    }
    backing->is_bdev = S_ISBLK(st.st_mode);
    if (vhost_blk_check_type(backing->prop, st.st_mode, errp) &&
        vhost_blk_check_access(s, backing, errp) &&
        vhost_blk_claim_backing(s, backing, errp)) {
        return true;
    }
close_backing:
    vhost_blk_close_backing(backing);
    return false;
}

void vhost_blk_close_backing(VHostBlkBacking *backing)
{
    vhost_blk_unclaim_backing(backing);
    if (backing->fd >= 0) {
        qemu_close(backing->fd);
    }
    backing->fd = -1;
}

/*
 * The property "path", which may be set at run time
 */

/*
 * A driver that was not offered zones would write where it likes.  What says
 * that there are some is their size.
 */
static bool vhost_blk_check_zones(VHostBlk *s, const VHostBlkBacking *backing,
                                  Error **errp)
{
    uint32_t sectors = 0;

    if (ioctl(backing->fd, BLKGETZONESZ, &sectors) < 0 || !sectors ||
        virtio_has_feature(s->offered_features, VIRTIO_BLK_F_ZONED)) {
        return true;
    }
    error_setg(errp, "%s: '%s' is zoned, and the disk was not when it was "
               "added", backing->prop, backing->name);
    return false;
}

/* The kernel drains and replaces; until it has agreed the old one stays. */
static bool vhost_blk_swap(VHostBlk *s, const char *path, Error **errp)
{
    VHostBlkBacking new = { .prop = "path", .name = path };

    if (!vhost_blk_open_backing(s, &new, errp)) {
        return false;
    }
    if (!vhost_blk_check_zones(s, &new, errp) ||
        !vhost_blk_attach(s, &new, errp)) {
        vhost_blk_close_backing(&new);
        return false;
    }
    vhost_blk_close_backing(&s->backing);
    s->backing = new;
    vhost_blk_backing_changed(s);
    return true;
}

static void vhost_blk_get_path(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    VHostBlk *s = VHOST_BLK(obj);
    char *path = s->path ?: (char *)"";

    visit_type_str(v, name, &path, errp);
}

static void vhost_blk_set_path(Object *obj, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    VHostBlk *s = VHOST_BLK(obj);
    char *path;

    if (!visit_type_str(v, name, &path, errp)) {
        return;
    }
    if (DEVICE(obj)->realized) {
        if (!vhost_blk_swap(s, path, errp)) {
            g_free(path);
            return;
        }
        /* In case it was this that named the old one. */
        g_free(s->fd_name);
        s->fd_name = NULL;
    }
    g_free(s->path);
    s->path = path;
}

static void vhost_blk_release_path(Object *obj, const char *name, void *opaque)
{
    g_free(VHOST_BLK(obj)->path);
}

const PropertyInfo vhost_blk_prop_path = {
    .VHOST_BLK_PROPERTY_TYPE = "str",
    .description = "Block device or raw image; can be set at run time",
    .realized_set_allowed = true,
    .get = vhost_blk_get_path,
    .set = vhost_blk_set_path,
    .release = vhost_blk_release_path,
};
