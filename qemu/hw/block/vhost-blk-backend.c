/*
 * vhost-blk: open the backend, and lock it against other users
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

/* Moved in QEMU 10.0 */
#if VHOST_BLK_QEMU >= 1000
#include "system/runstate.h"
#else
#include "sysemu/runstate.h"
#endif

#include <linux/blkzoned.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

/*
 * The lock protocol of block/file-posix.c for image files.  A user of a file
 * locks the byte LOCK_PERM(p) if it uses the permission p, and the byte
 * LOCK_UNSHARED(p) if no other user may have the permission p.  Following the
 * protocol makes this device and QEMU's block layer respect each other's locks
 * on files.
 */
enum { PERM_READ, PERM_WRITE };
#define LOCK_PERM(perm) (100 + (perm))
#define LOCK_UNSHARED(perm) (200 + (perm))
#define LOCK_END 300

/* @mode is st_mode of @name, the value of the property @prop. */
static bool vhost_blk_check_type(const char *prop, const char *name,
                                 mode_t mode, Error **errp)
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
    error_setg(errp, "%s: '%s' is a %s, not a block device or regular file",
               prop, name, what);
    return false;
}

static int vhost_blk_open_path(VHostBlk *s, const char *path, Error **errp)
{
    ERRP_GUARD();
    int flags = s->readonly ? O_RDONLY : O_RDWR;
    bool direct = false;
    struct stat st;
    int fd;

    /*
     * Check the type before the open: opening a pipe would block, and opening
     * a tape has side effects.
     */
    if (!strstart(path, "/dev/fdset/", NULL)) {
        if (stat(path, &st) < 0) {
            error_setg_file_open(errp, errno, path);
            error_prepend(errp, "path: ");
            return -1;
        }
        if (!vhost_blk_check_type("path", path, st.st_mode, errp)) {
            return -1;
        }
        /* The kernel bypasses the page cache of a block device anyway. */
        direct = S_ISREG(st.st_mode) && s->direct != ON_OFF_AUTO_OFF;
    }

    fd = qemu_open(path, direct ? flags | O_DIRECT : flags, NULL);
    if (fd < 0 && direct && errno == EINVAL) {
        if (s->direct == ON_OFF_AUTO_ON) {
            error_setg(errp, "direct: the file system of '%s' does not support "
                       "O_DIRECT; use direct=off", path);
            return -1;
        }
        warn_report("vhost-blk: the file system of '%s' does not support "
                    "O_DIRECT, so I/O is buffered; use direct=off to request "
                    "this explicitly", path);
        fd = qemu_open(path, flags, NULL);
    }
    if (fd < 0) {
        int err = errno;

        if ((err == EROFS || err == EACCES) && !s->readonly &&
            access(path, R_OK) == 0) {
            error_setg(errp, "path: Could not open '%s' for writing: %s; use "
                       "readonly=on for a read-only disk", path,
                       strerror(err));
        } else {
            error_setg_errno(errp, err, "path: Could not open '%s'", path);
        }
    }
    return fd;
}

/*
 * Get the file descriptor that @name stands for: a number, or a name that was
 * passed to getfd.  @prop is the name of the property, for error messages.
 */
int vhost_blk_get_fd_param(const char *prop, const char *name, Error **errp)
{
    ERRP_GUARD();
    int fd = monitor_fd_param(monitor_cur(), name, errp);

    if (fd < 0) {
        error_prepend(errp, "%s: ", prop);
        return -1;
    }
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        error_setg_errno(errp, errno, "%s: could not set FD_CLOEXEC on '%s'",
                         prop, name);
        return -1;
    }
    return fd;
}

static bool vhost_blk_check_access(VHostBlk *s, const VHostBlkBackend *backend,
                                   Error **errp)
{
    int access = fcntl(backend->fd, F_GETFL) & O_ACCMODE;
    int protected = access == O_RDONLY;

    if (access == O_WRONLY) {
        error_setg(errp, "%s: '%s' is open write-only, but the device must "
                   "read from it", backend->prop, backend->name);
        return false;
    }
    if (backend->is_bdev && !protected &&
        ioctl(backend->fd, BLKROGET, &protected) < 0) {
        error_setg_errno(errp, errno, "%s: could not determine whether '%s' "
                         "is read-only", backend->prop, backend->name);
        return false;
    }
    if (protected && !s->readonly) {
        error_setg(errp, "%s: '%s' is %s; use readonly=on",
                   backend->prop, backend->name,
                   access == O_RDONLY ? "open read-only" : "read-only");
        return false;
    }
    return true;
}

/*
 * Lock out other writers and, unless @readonly, other readers.  Returns 0 or a
 * negative errno; after an error, some of the bytes may still be locked.
 */
static int vhost_blk_lock_file(int fd, bool readonly)
{
    int ret;

    if (!readonly) {
        return qemu_lock_fd(fd, LOCK_PERM(0), LOCK_END - LOCK_PERM(0), true);
    }
    ret = qemu_lock_fd(fd, LOCK_PERM(PERM_READ), 1, false);
    if (!ret) {
        ret = qemu_lock_fd(fd, LOCK_UNSHARED(PERM_WRITE), 1, false);
    }
    if (!ret) {
        ret = qemu_lock_fd_test(fd, LOCK_PERM(PERM_WRITE), 1, true);
    }
    if (!ret) {
        ret = qemu_lock_fd_test(fd, LOCK_UNSHARED(PERM_READ), 1, true);
    }
    return ret;
}

/*
 * Claim a block device with O_EXCL.  A second descriptor holds the claim, so
 * that it can be released while backend->fd stays open.
 */
static int vhost_blk_claim_bdev(VHostBlkBackend *backend)
{
    g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", backend->fd);

    backend->claim_fd = open(self, O_RDONLY | O_EXCL | O_CLOEXEC);
    return backend->claim_fd < 0 ? -errno : 0;
}

static bool vhost_blk_should_claim(VHostBlk *s, const VHostBlkBackend *backend)
{
    if (s->exclusive != ON_OFF_AUTO_AUTO) {
        return s->exclusive == ON_OFF_AUTO_ON;
    }
    /*
     * Until an incoming migration is complete, the backend belongs to the
     * source.  A block device may have any number of readers.
     */
    return !runstate_check(RUN_STATE_INMIGRATE) &&
           !(backend->is_bdev && s->readonly);
}

/*
 * Lock @backend against other users, if the property "exclusive" asks for it
 * and it is not locked yet.
 */
bool vhost_blk_claim_backend(VHostBlk *s, VHostBlkBackend *backend,
                             Error **errp)
{
    int ret;

    if (backend->claimed || !vhost_blk_should_claim(s, backend)) {
        return true;
    }
    ret = backend->is_bdev ? vhost_blk_claim_bdev(backend)
                           : vhost_blk_lock_file(backend->fd, s->readonly);
    backend->claimed = ret == 0;
    if (ret < 0 && !backend->is_bdev) {
        qemu_unlock_fd(backend->fd, LOCK_PERM(0), LOCK_END - LOCK_PERM(0));
    }
    if (ret == -EBUSY || ret == -EAGAIN || ret == -EACCES) {
        error_setg(errp, "exclusive: '%s' is already in use%s; use "
                   "exclusive=off to share it", backend->name,
                   backend->is_bdev ?
                   ", mounted, or part of another device" : "");
    } else if (ret < 0) {
        error_setg_errno(errp, -ret, "exclusive: could not lock '%s'",
                         backend->name);
    }
    return ret == 0;
}

/* Undo vhost_blk_claim_backend(), if it has locked anything. */
void vhost_blk_unclaim_backend(VHostBlkBackend *backend)
{
    if (backend->claim_fd >= 0) {
        close(backend->claim_fd);
        backend->claim_fd = -1;
    } else if (backend->claimed) {
        qemu_unlock_fd(backend->fd, LOCK_PERM(0), LOCK_END - LOCK_PERM(0));
    }
    backend->claimed = false;
}

/*
 * Open and lock the backend that backend->prop and backend->name describe.
 * Everything is closed again on failure.
 */
bool vhost_blk_open_backend(VHostBlk *s, VHostBlkBackend *backend,
                            Error **errp)
{
    bool is_path = !strcmp(backend->prop, "path");
    struct stat st;

    backend->claim_fd = -1;
    backend->claimed = false;
    backend->fd = is_path ? vhost_blk_open_path(s, backend->name, errp)
                          : vhost_blk_get_fd_param("fd", backend->name, errp);
    if (backend->fd < 0) {
        return false;
    }
    if (fstat(backend->fd, &st) < 0) {
        error_setg_errno(errp, errno, "%s: could not stat '%s'",
                         backend->prop, backend->name);
        goto close_backend;
    }
    backend->is_bdev = S_ISBLK(st.st_mode);
    if (vhost_blk_check_type(backend->prop, backend->name, st.st_mode,
                             errp) &&
        vhost_blk_check_access(s, backend, errp) &&
        vhost_blk_claim_backend(s, backend, errp)) {
        return true;
    }
close_backend:
    vhost_blk_close_backend(backend);
    return false;
}

void vhost_blk_close_backend(VHostBlkBackend *backend)
{
    vhost_blk_unclaim_backend(backend);
    if (backend->fd >= 0) {
        qemu_close(backend->fd);
    }
    backend->fd = -1;
}

/*
 * The property "path", which can be set at run time
 */

/*
 * Refuse a zoned backend if the guest was not offered VIRTIO_BLK_F_ZONED: its
 * driver would not keep to the write pointers.
 */
static bool vhost_blk_check_zones(VHostBlk *s, const VHostBlkBackend *backend,
                                  Error **errp)
{
    uint32_t sectors = 0;

    /* The zone size is 0 if the block device is not zoned. */
    if (ioctl(backend->fd, BLKGETZONESZ, &sectors) < 0 || !sectors ||
        virtio_has_feature(s->offered_features, VIRTIO_BLK_F_ZONED)) {
        return true;
    }
    error_setg(errp, "%s: '%s' is zoned, but the device was created with a "
               "backend that is not", backend->prop, backend->name);
    return false;
}

/*
 * Replace the backend by @path.  The kernel completes the requests in flight on
 * the old backend first.  On failure the old backend stays in use.
 */
static bool vhost_blk_replace_backend(VHostBlk *s, const char *path,
                                      Error **errp)
{
    VHostBlkBackend new = { .prop = "path", .name = path };

    if (!vhost_blk_open_backend(s, &new, errp)) {
        return false;
    }
    if (!vhost_blk_check_zones(s, &new, errp) ||
        !vhost_blk_attach(s, &new, errp)) {
        vhost_blk_close_backend(&new);
        return false;
    }
    vhost_blk_close_backend(&s->backend);
    s->backend = new;
    vhost_blk_backend_changed(s);
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
        if (!vhost_blk_replace_backend(s, path, errp)) {
            g_free(path);
            return;
        }
        /* The old backend may have been given by the property "fd". */
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
    .description = "Block device or raw image file; can be set at run time",
    .realized_set_allowed = true,
    .get = vhost_blk_get_path,
    .set = vhost_blk_set_path,
    .release = vhost_blk_release_path,
};
