/*
 * vhost-blk: the properties "path" and "fd", short forms of a block node
 *
 * They open a node of the driver file or host_device, as -blockdev does, and
 * attach the device to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/block_int.h"
#include "hw/virtio/vhost-blk.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-misc.h"
#include "qapi/qapi-types-misc.h"
#include "qapi/util.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"

/* Moved in QEMU 10.0 */
#if VHOST_BLK_QEMU >= 1000
#include "qobject/qdict.h"
#include "system/block-backend.h"
#else
#include "qapi/qmp/qdict.h"
#include "sysemu/block-backend.h"
#endif

#include <linux/fs.h>
#include <sys/ioctl.h>

#define FDSET "/dev/fdset/"

/* A file, before its node is opened. */
typedef struct VHostBlkFile {
    const char *prop;       /* "path" or "fd", for messages */
    const char *name;       /* the value of that property */
    const char *path;       /* of the node */
    mode_t mode;
    bool direct;
    bool readonly;          /* the node is opened read-only */
} VHostBlkFile;

/* @mode is st_mode of @name, the value of the property @prop. */
bool vhost_blk_check_type(const char *prop, const char *name, mode_t mode,
                          Error **errp)
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

static bool vhost_blk_refuse_read_only(const VHostBlkFile *file, int error,
                                       Error **errp)
{
    ERRP_GUARD();

    if (error) {
        error_setg(errp, "%s: Could not open '%s' for writing: %s", file->prop,
                   file->name, strerror(error));
    } else {
        error_setg(errp, "%s: '%s' is read-only", file->prop, file->name);
    }
    error_append_hint(errp, "readonly=on makes a read-only disk.\n");
    return false;
}

/*
 * The node must be opened with the flags that the descriptor has: opening an
 * fdset sets the flags of the node on the descriptor that another process
 * passed, whose I/O would no longer be direct.
 */
static bool vhost_blk_examine_fd(VHostBlk *s, VHostBlkFile *file, int fd,
                                 Error **errp)
{
    int flags = fcntl(fd, F_GETFL);
    int protected = 0;
    struct stat st;

    if (flags < 0 || fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "%s: could not stat '%s'", file->prop,
                         file->name);
        return false;
    }
    file->mode = st.st_mode;
    file->direct = flags & O_DIRECT;
    file->readonly = (flags & O_ACCMODE) == O_RDONLY;
    if (!vhost_blk_check_type(file->prop, file->name, st.st_mode, errp)) {
        return false;
    }
    if ((flags & O_ACCMODE) == O_WRONLY) {
        error_setg(errp, "%s: '%s' is open write-only, but the device must "
                   "read from it", file->prop, file->name);
        return false;
    }
    if (s->readonly) {
        return true;
    }
    if (file->readonly) {
        return vhost_blk_refuse_read_only(file, 0, errp);
    }
    if (S_ISBLK(st.st_mode) && ioctl(fd, BLKROGET, &protected) == 0 &&
        protected) {
        return vhost_blk_refuse_read_only(file, 0, errp);
    }
    return true;
}

/* Find the descriptor of an fdset that a node would use. */
static int vhost_blk_find_in_fdset(VHostBlk *s, const char *path)
{
    g_autoptr(FdsetInfoList) sets = qmp_query_fdsets(NULL);
    FdsetInfoList *set;
    FdsetFdInfoList *entry;
    int64_t id = qemu_parse_fd(path + strlen(FDSET));
    int found = -1;

    for (set = sets; set; set = set->next) {
        for (entry = set->value->fds; entry && set->value->fdset_id == id;
             entry = entry->next) {
            int flags = fcntl(entry->value->fd, F_GETFL) & O_ACCMODE;

            if (found < 0 || flags == (s->readonly ? O_RDONLY : O_RDWR)) {
                found = entry->value->fd;
            }
        }
    }
    return found;
}

static bool vhost_blk_examine_fdset(VHostBlk *s, VHostBlkFile *file,
                                    Error **errp)
{
    int fd = vhost_blk_find_in_fdset(s, file->path);

    if (fd < 0) {
        error_setg(errp, "%s: '%s' has no file descriptor", file->prop,
                   file->path);
        return false;
    }
    if (!vhost_blk_examine_fd(s, file, fd, errp)) {
        return false;
    }
    if (s->direct != ON_OFF_AUTO_AUTO &&
        file->direct != (s->direct == ON_OFF_AUTO_ON)) {
        error_setg(errp, "direct: '%s' was opened %s O_DIRECT", file->path,
                   file->direct ? "with" : "without");
        return false;
    }
    return true;
}

/* Find out whether the file can be opened with O_DIRECT. */
static bool vhost_blk_choose_direct(VHostBlk *s, VHostBlkFile *file,
                                    Error **errp)
{
    ERRP_GUARD();
    int fd;

    file->direct = s->direct != ON_OFF_AUTO_OFF;
    if (!file->direct || S_ISBLK(file->mode)) {
        return true;
    }
    fd = open(file->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    if (errno != EINVAL) {
        return true;
    }
    if (s->direct == ON_OFF_AUTO_ON) {
        error_setg(errp, "direct: the file system of '%s' does not support "
                   "O_DIRECT", file->path);
        error_append_hint(errp, "Use direct=off.\n");
        return false;
    }
    warn_report("vhost-blk: the file system of '%s' does not support O_DIRECT, "
                "so I/O is buffered; use direct=off to request this explicitly",
                file->path);
    file->direct = false;
    return true;
}

/*
 * Check a file before it is opened: opening a pipe would block, opening a tape
 * has side effects, and messages can say what to do.
 */
static bool vhost_blk_examine_path(VHostBlk *s, VHostBlkFile *file,
                                   Error **errp)
{
    ERRP_GUARD();
    struct stat st;
    int fd, protected = 0;

    if (strstart(file->path, FDSET, NULL)) {
        return vhost_blk_examine_fdset(s, file, errp);
    }
    if (stat(file->path, &st) < 0) {
        error_setg_file_open(errp, errno, file->path);
        error_prepend(errp, "path: ");
        return false;
    }
    if (!vhost_blk_check_type("path", file->path, st.st_mode, errp)) {
        return false;
    }
    file->mode = st.st_mode;
    file->readonly = s->readonly;
    if (!s->readonly && access(file->path, W_OK) < 0 &&
        access(file->path, R_OK) == 0) {
        return vhost_blk_refuse_read_only(file, errno, errp);
    }
    fd = S_ISBLK(st.st_mode) && !s->readonly ?
         open(file->path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        ioctl(fd, BLKROGET, &protected);
        close(fd);
    }
    if (protected) {
        return vhost_blk_refuse_read_only(file, 0, errp);
    }
    return vhost_blk_choose_direct(s, file, errp);
}

/* Open a node, and attach the device to it. */
static BlockBackend *vhost_blk_open_node(VHostBlk *s, const VHostBlkFile *file,
                                         Error **errp)
{
    ERRP_GUARD();
    QDict *options = qdict_new();
    BlockDriverState *bs;
    BlockBackend *blk;

    qdict_put_str(options, "driver",
                  S_ISBLK(file->mode) ? "host_device" : "file");
    qdict_put_str(options, "filename", file->path);
    qdict_put_str(options, "locking", OnOffAuto_str(s->locking));
    qdict_put_str(options, BDRV_OPT_DISCARD, "unmap");
    qdict_put_bool(options, BDRV_OPT_CACHE_DIRECT, file->direct);
    qdict_put_bool(options, BDRV_OPT_READ_ONLY, file->readonly);
    bs = bds_tree_init(options, errp);
    if (!bs) {
        error_prepend(errp, "%s: ", file->prop);
        return NULL;
    }
    blk = blk_new(qemu_get_aio_context(), 0, BLK_PERM_ALL);
    if (blk_insert_bs(blk, bs, errp) < 0) {
        blk_unref(blk);
        blk = NULL;
    } else {
        blk_attach_dev(blk, DEVICE(s));
        blk_unref(blk);
    }
    bdrv_unref(bs);
    return blk;
}

/* Open the node of the property "path"; the device is attached to it. */
BlockBackend *vhost_blk_open_path(VHostBlk *s, const char *path, Error **errp)
{
    VHostBlkFile file = { .prop = "path", .name = path, .path = path };

    if (!vhost_blk_examine_path(s, &file, errp)) {
        return NULL;
    }
    return vhost_blk_open_node(s, &file, errp);
}

/* QEMU 8.0: the name of an fdset is NULL if there is none. */
static AddfdInfo *vhost_blk_add_fd(int fd, Error **errp)
{
#if VHOST_BLK_QEMU >= 800
    return monitor_fdset_add_fd(fd, false, -1, NULL, errp);
#else
    return monitor_fdset_add_fd(fd, false, -1, false, NULL, errp);
#endif
}

/*
 * Open the node of the property "fd"; the device is attached to it.  A node is
 * given a descriptor as an fdset, which is removed with the device.
 */
BlockBackend *vhost_blk_open_fd(VHostBlk *s, Error **errp)
{
    VHostBlkFile file = { .prop = "fd", .name = s->fd_name };
    g_autoptr(AddfdInfo) info = NULL;
    g_autofree char *path = NULL;
    BlockBackend *blk;
    int fd = vhost_blk_get_fd_param("fd", s->fd_name, errp);

    if (fd < 0) {
        return NULL;
    }
    info = vhost_blk_examine_fd(s, &file, fd, errp) ?
           vhost_blk_add_fd(fd, errp) : NULL;
    if (!info) {
        close(fd);
        return NULL;
    }
    path = g_strdup_printf(FDSET "%" PRId64, info->fdset_id);
    file.path = path;
    s->fdset = info->fdset_id;
    blk = vhost_blk_open_node(s, &file, errp);
    if (!blk) {
        vhost_blk_remove_fdset(s);
    }
    return blk;
}

/* Close the descriptor of the property "fd", after the node is closed. */
void vhost_blk_remove_fdset(VHostBlk *s)
{
    if (s->fdset >= 0) {
        qmp_remove_fd(s->fdset, false, 0, NULL);
    }
    s->fdset = -1;
}

/* Close the node of the property "path" or "fd". */
void vhost_blk_close_file(VHostBlk *s)
{
    if (s->drive && (s->path || s->fd_name)) {
        blk_detach_dev(s->drive, DEVICE(s));
        s->drive = NULL;
    }
    vhost_blk_remove_fdset(s);
}
