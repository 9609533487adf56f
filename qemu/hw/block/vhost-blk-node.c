/*
 * vhost-blk: the block node that holds the data
 *
 * The kernel does the I/O on the file descriptor of a node of QEMU's block
 * layer, so requests bypass everything that other nodes or the BlockBackend
 * would do with them.  This file refuses nodes if that would matter, takes the
 * permissions and thereby the locks of the node, and keeps block jobs,
 * snapshots and the like away from it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/block_int.h"
#include "block/throttle-groups.h"
#include "hw/virtio/vhost-blk.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"

/* Moved in QEMU 10.0 */
#if VHOST_BLK_QEMU >= 1000
#include "qobject/qdict.h"
#include "system/block-backend.h"
#include "system/runstate.h"
#else
#include "qapi/qmp/qdict.h"
#include "sysemu/block-backend.h"
#include "sysemu/runstate.h"
#endif

#include <linux/blkzoned.h>
#include <sys/ioctl.h>

/* Not in QEMU 7.2, whose graph has no lock. */
#ifndef GRAPH_RDLOCK_GUARD_MAINLOOP
#define GRAPH_RDLOCK_GUARD_MAINLOOP() do { } while (0)
#endif

/* Return the value of the property "drive"; the caller frees it. */
char *vhost_blk_drive_name(BlockBackend *blk)
{
    BlockDriverState *bs = blk_bs(blk);
    const char *name = blk_name(blk);

    return g_strdup(*name || !bs ? name : bdrv_get_node_name(bs));
}

/*
 * Graph
 */

static bool vhost_blk_has_driver(BlockDriverState *bs, const char *driver)
{
    return bs->drv && !strcmp(bs->drv->format_name, driver);
}

/* Return the node of @bs that has the file, or NULL. */
static BlockDriverState *vhost_blk_file_node(BlockDriverState *bs)
{
    if (bs && vhost_blk_has_driver(bs, "raw")) {
        bs = bs->file ? bs->file->bs : NULL;
    }
    if (!bs || (!vhost_blk_has_driver(bs, "file") &&
                !vhost_blk_has_driver(bs, "host_device"))) {
        return NULL;
    }
    return bs;
}

/*
 * The file descriptor of a node.  It is the first member of struct BDRVRawState
 * of block/file-posix.c, which has no function that returns it.  add-to-tree.sh
 * checks that it is the first member.
 */
static int vhost_blk_file_fd(BlockDriverState *file)
{
    return *(int *)file->opaque;
}

/*
 * Called in the main thread, which is the only one that changes the graph.  That
 * includes the coroutine of an incoming migration, which must not lock the graph.
 */
static BlockDriverState *vhost_blk_backend_file(const VHostBlkBackend *backend)
{
    return vhost_blk_file_node(blk_bs(backend->blk));
}

/* Return the current file descriptor of the node, or -1. */
int vhost_blk_node_fd(const VHostBlkBackend *backend)
{
    BlockDriverState *file = vhost_blk_backend_file(backend);

    return file ? vhost_blk_file_fd(file) : -1;
}

/* Is the file of @blk that of @backend?  Then its locks conflict with these. */
bool vhost_blk_is_same_file(const VHostBlkBackend *backend, BlockBackend *blk)
{
    BlockDriverState *file = vhost_blk_file_node(blk_bs(blk));
    struct stat old, new;

    if (!file || fstat(vhost_blk_node_fd(backend), &old) < 0 ||
        fstat(vhost_blk_file_fd(file), &new) < 0) {
        return false;
    }
    if (S_ISBLK(new.st_mode)) {
        return S_ISBLK(old.st_mode) && old.st_rdev == new.st_rdev;
    }
    return old.st_dev == new.st_dev && old.st_ino == new.st_ino;
}

void vhost_blk_remember_options(VHostBlkBackend *backend)
{
    qobject_unref(backend->options);
    backend->options = qobject_ref(vhost_blk_backend_file(backend)->options);
}

/*
 * Was the file's node reopened after its file was last attached?  Each reopen
 * replaces the options.  The number of the file descriptor may be the same.
 */
bool vhost_blk_node_reopened(const VHostBlkBackend *backend)
{
    return vhost_blk_backend_file(backend)->options != backend->options;
}

/* An inactive node belongs to another QEMU, before or after a migration. */
bool vhost_blk_node_is_active(const VHostBlkBackend *backend)
{
    BlockDriverState *bs = blk_bs(backend->blk);

    return bs && !(bs->open_flags & BDRV_O_INACTIVE);
}

/* Does the block layer execute discards?  Without discard=unmap it does not. */
bool vhost_blk_node_unmaps(const VHostBlkBackend *backend)
{
    BlockDriverState *bs = blk_bs(backend->blk);
    BlockDriverState *file = vhost_blk_backend_file(backend);

    return file && (bs->open_flags & file->open_flags & BDRV_O_UNMAP);
}

/* The kernel gives access to the zones of a zoned block device. */
bool vhost_blk_node_is_zoned(const VHostBlkBackend *backend)
{
    uint32_t sectors = 0;

    /* The zone size is 0 if the block device is not zoned. */
    return ioctl(vhost_blk_node_fd(backend), BLKGETZONESZ, &sectors) == 0 &&
           sectors;
}

/* Return what a node does with requests that the kernel would not do, or NULL. */
static const char *vhost_blk_extra_function(BlockDriverState *bs)
{
    if (bdrv_get_aio_context(bs) != qemu_get_aio_context()) {
        return "an iothread";
    }
    if (bs->probed) {
        return "a format that was probed";
    }
    if (qatomic_read(&bs->copy_on_read)) {
        return "copy-on-read";
    }
    if (bs->detect_zeroes != BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF) {
        return "detect-zeroes";
    }
    if (bs->open_flags & BDRV_O_NO_FLUSH) {
        return "cache.no-flush (cache=unsafe)";
    }
    if (!QLIST_EMPTY(&bs->dirty_bitmaps)) {
        return "a dirty bitmap";
    }
    return NULL;
}

static bool vhost_blk_check_node(VHostBlkBackend *backend, BlockDriverState *bs,
                                 Error **errp)
{
    ERRP_GUARD();
    const char *what = vhost_blk_extra_function(bs);
    int op;

    if (what) {
        error_setg(errp, "%s: node '%s' has %s, which vhost-blk does not "
                   "support", backend->prop, bdrv_get_node_name(bs), what);
        error_append_hint(errp, "Remove it, or use virtio-blk-pci.  For a "
                          "probed format, specify raw.\n");
        return false;
    }
    /* Block jobs, and other devices of this kind, block operations. */
    for (op = 0; op < BLOCK_OP_TYPE_MAX; op++) {
        if (bdrv_op_is_blocked(bs, op, errp)) {
            error_prepend(errp, "%s: ", backend->prop);
            return false;
        }
    }
    return true;
}

/* Check the nodes between the device and the file, and the file. */
static bool vhost_blk_check_graph(VHostBlkBackend *backend, Error **errp)
{
    ERRP_GUARD();
    GRAPH_RDLOCK_GUARD_MAINLOOP();
    BlockDriverState *bs = blk_bs(backend->blk);
    BlockDriverState *file = vhost_blk_file_node(bs);

    if (!bs) {
        error_setg(errp, "%s: '%s' has no medium", backend->prop,
                   backend->name);
        return false;
    }
    if (!file) {
        bool raw = vhost_blk_has_driver(bs, "raw");
        BlockDriverState *other = raw && bs->file ? bs->file->bs : bs;

        error_setg(errp, "%s: node '%s' has the driver '%s', which vhost-blk "
                   "does not support", backend->prop,
                   bdrv_get_node_name(other),
                   other->drv ? other->drv->format_name : "none");
        error_append_hint(errp, "A disk is a node of the driver file or "
                          "host_device, or raw directly above one.\n");
        return false;
    }
    if (bs != file && (qdict_haskey(bs->options, "offset") ||
                       qdict_haskey(bs->options, "size"))) {
        error_setg(errp, "%s: node '%s' has an offset or a size, which "
                   "vhost-blk does not support", backend->prop,
                   bdrv_get_node_name(bs));
        return false;
    }
    return vhost_blk_check_node(backend, bs, errp) &&
           (bs == file || vhost_blk_check_node(backend, file, errp));
}

/* Check what the BlockBackend, that is -drive, would do with requests. */
static bool vhost_blk_check_drive(VHostBlkBackend *backend, Error **errp)
{
    ERRP_GUARD();

    if (!blk_get_public(backend->blk)->throttle_group_member.throttle_state) {
        return true;
    }
    error_setg(errp, "%s: '%s' has throttling, which vhost-blk does not "
               "support", backend->prop, backend->name);
    error_append_hint(errp, "io.max of a control group limits its I/O.\n");
    return false;
}

/*
 * Permissions
 */

/*
 * An inactive node with auto-read-only is open read-only until it is activated.
 * The kernel has to get a descriptor that can be written, as it offers features
 * of a read-only disk otherwise.
 */
static bool vhost_blk_make_writable(VHostBlkBackend *backend, Error **errp)
{
    ERRP_GUARD();
    BlockDriverState *file = vhost_blk_backend_file(backend);
    QDict *options;

    if (!(file->open_flags & BDRV_O_AUTO_RDONLY) || backend->device->ro ||
        vhost_blk_node_is_active(backend)) {
        return true;
    }
    options = qdict_new();
    qdict_put_bool(options, BDRV_OPT_AUTO_READ_ONLY, false);
    if (bdrv_reopen(file, options, true, errp) < 0) {
        error_prepend(errp, "%s: ", backend->prop);
        return false;
    }
    return true;
}

/*
 * Take the permissions that virtio-blk takes, except that no one else may write
 * unchanged data: such a write is not serialized with those of the kernel.
 * While the node is inactive, this only tells the BlockBackend what to take
 * when the node is activated.
 */
bool vhost_blk_take_permissions(VHostBlkBackend *backend, Error **errp)
{
    ERRP_GUARD();
    VHostBlk *s = backend->device;
    uint64_t perm = BLK_PERM_CONSISTENT_READ;
    uint64_t shared = BLK_PERM_CONSISTENT_READ | BLK_PERM_RESIZE;

    if (!s->ro) {
        perm |= BLK_PERM_WRITE;
    }
    if (s->conf.share_rw) {
        shared |= BLK_PERM_WRITE | BLK_PERM_WRITE_UNCHANGED;
    }
    if (blk_set_perm(backend->blk, perm, shared, errp) < 0) {
        error_prepend(errp, "%s: '%s' cannot be used: ", backend->prop,
                      backend->name);
        return false;
    }
    return true;
}

/* Give up the permissions, and the locks with them, and the claim. */
bool vhost_blk_drop_permissions(VHostBlkBackend *backend, Error **errp)
{
    if (blk_set_perm(backend->blk, 0, BLK_PERM_ALL, errp) < 0) {
        return false;
    }
    vhost_blk_unclaim(backend);
    return true;
}

static bool vhost_blk_should_claim(const VHostBlkBackend *backend)
{
    BlockDriverState *file = vhost_blk_backend_file(backend);
    const char *locking = qdict_get_try_str(file->options, "locking");

    /* A block device may have any number of readers. */
    return backend->claim_fd < 0 && backend->is_bdev &&
           !backend->device->ro && !backend->device->conf.share_rw &&
           g_strcmp0(locking, "off");
}

/*
 * A QEMU that got the descriptor from another process may not be allowed to
 * open the device.  The locks of the node remain.
 */
static void vhost_blk_warn_unclaimed(const VHostBlkBackend *backend, int error)
{
    if (error != EACCES && error != EPERM) {
        warn_report("vhost-blk: '%s' could not be opened with O_EXCL, so it may "
                    "be mounted: %s", backend->name, strerror(error));
    }
}

/*
 * Claim a block device with O_EXCL, which keeps mounts and stacked devices
 * away.  A second descriptor has the claim, because the node is opened without
 * it, and so that the claim can be released before a migration ends.
 */
bool vhost_blk_claim(VHostBlkBackend *backend, Error **errp)
{
    ERRP_GUARD();
    g_autofree char *self = NULL;

    if (!vhost_blk_should_claim(backend)) {
        return true;
    }
    self = g_strdup_printf("/proc/self/fd/%d", vhost_blk_node_fd(backend));
    backend->claim_fd = open(self, O_RDONLY | O_EXCL | O_CLOEXEC);
    if (backend->claim_fd >= 0) {
        return true;
    }
    if (errno != EBUSY) {
        vhost_blk_warn_unclaimed(backend, errno);
        return true;
    }
    error_setg(errp, "%s: '%s' is already in use, mounted, or part of another "
               "device", backend->prop, backend->name);
    error_append_hint(errp, "share-rw=on shares it with a cluster file system "
                      "or the like.\n");
    return false;
}

void vhost_blk_unclaim(VHostBlkBackend *backend)
{
    if (backend->claim_fd >= 0) {
        close(backend->claim_fd);
    }
    backend->claim_fd = -1;
}

/*
 * Operations
 */

/* Refuse operations that would miss what the kernel writes. */
static void vhost_blk_block_node(VHostBlkBackend *backend, BlockDriverState *bs)
{
    bdrv_op_block_all(bs, backend->blocker);
    bdrv_op_unblock(bs, BLOCK_OP_TYPE_RESIZE, backend->blocker);
}

static void vhost_blk_block_operations(VHostBlkBackend *backend)
{
    BlockDriverState *bs = blk_bs(backend->blk);
    BlockDriverState *file = vhost_blk_backend_file(backend);
    GRAPH_RDLOCK_GUARD_MAINLOOP();

    error_setg(&backend->blocker, "vhost-blk uses it, and its requests bypass "
               "QEMU's block layer");
    vhost_blk_block_node(backend, bs);
    if (file != bs) {
        vhost_blk_block_node(backend, file);
        /* blockdev-reopen must not put another file or node there. */
        bs->file->frozen = true;
    }
}

static void vhost_blk_unblock_operations(VHostBlkBackend *backend)
{
    BlockDriverState *bs = blk_bs(backend->blk);
    BlockDriverState *file = vhost_blk_backend_file(backend);
    GRAPH_RDLOCK_GUARD_MAINLOOP();

    if (!backend->blocker) {
        return;
    }
    bdrv_op_unblock_all(bs, backend->blocker);
    if (file != bs) {
        bs->file->frozen = false;
        bdrv_op_unblock_all(file, backend->blocker);
    }
    error_free(backend->blocker);
    backend->blocker = NULL;
}

/* The BlockBackend loses its node before QEMU exits. */
static void vhost_blk_node_removed(Notifier *notifier, void *data)
{
    VHostBlkBackend *backend =
        container_of(notifier, VHostBlkBackend, removed);

    vhost_blk_unblock_operations(backend);
    vhost_blk_unclaim(backend);
}

/* The node may have been reopened, or inactivated, while it was drained. */
static void vhost_blk_drained_end(void *opaque)
{
    VHostBlkBackend *backend = opaque;

    qemu_bh_schedule(backend->device->node_bh);
}

static void vhost_blk_node_resized(void *opaque)
{
    VHostBlkBackend *backend = opaque;

    event_notifier_set(&backend->device->config_notifier);
}

static const BlockDevOps vhost_blk_dev_ops = {
    .drained_end = vhost_blk_drained_end,
    .resize_cb = vhost_blk_node_resized,
};

/*
 * Open and close
 */

static bool vhost_blk_check_file(VHostBlkBackend *backend, Error **errp)
{
    struct stat st;

    if (fstat(vhost_blk_node_fd(backend), &st) < 0) {
        error_setg_errno(errp, errno, "%s: could not stat '%s'", backend->prop,
                         backend->name);
        return false;
    }
    backend->is_bdev = S_ISBLK(st.st_mode);
    return vhost_blk_check_type(backend->prop, backend->name, st.st_mode, errp);
}

/* The guest would read and write the image file itself. */
static void vhost_blk_warn_image(VHostBlkBackend *backend)
{
    char start[4];

    /* With the driver raw, the user has said that this is intended. */
    if (blk_bs(backend->blk) == vhost_blk_backend_file(backend) &&
        blk_pread(backend->blk, 0, sizeof(start), start, 0) >= 0 &&
        !memcmp(start, "QFI\xfb", sizeof(start))) {
        warn_report("vhost-blk: '%s' looks like a qcow2 image, but is used as a "
                    "raw disk", backend->name);
    }
}

static bool vhost_blk_take_node(VHostBlkBackend *backend, Error **errp)
{
    VHostBlk *s = backend->device;

    if (!vhost_blk_check_drive(backend, errp) ||
        !vhost_blk_check_graph(backend, errp)) {
        return false;
    }
    /* An inactive node is not locked.  vhost_blk_prepare() checks this, too. */
    if (runstate_is_running() && !vhost_blk_node_is_active(backend)) {
        error_setg(errp, "%s: '%s' is inactive", backend->prop, backend->name);
        return false;
    }
    if (!blk_supports_write_perm(backend->blk) && !s->ro) {
        error_setg(errp, "%s: '%s' is read-only", backend->prop,
                   backend->name);
        return false;
    }
    if (!vhost_blk_make_writable(backend, errp) ||
        !vhost_blk_take_permissions(backend, errp)) {
        return false;
    }
    if (!vhost_blk_check_file(backend, errp)) {
        return false;
    }
    /* Until an incoming migration is complete, it belongs to the source. */
    if (!vhost_blk_node_is_active(backend)) {
        return true;
    }
    vhost_blk_warn_image(backend);
    return vhost_blk_claim(backend, errp);
}

/*
 * Use the node of @blk, to which the device is attached.  @prop and @name are
 * the property that has chosen it and the value, for messages.  The caller has
 * to detach the device from @blk if this fails.
 */
VHostBlkBackend *vhost_blk_open_backend(VHostBlk *s, BlockBackend *blk,
                                        const char *prop, const char *name,
                                        Error **errp)
{
    VHostBlkBackend *backend = g_new0(VHostBlkBackend, 1);

    backend->device = s;
    backend->prop = prop;
    backend->name = g_strdup(name);
    backend->blk = blk;
    backend->claim_fd = -1;
    if (!vhost_blk_take_node(backend, errp)) {
        vhost_blk_unclaim(backend);
        g_free(backend->name);
        g_free(backend);
        return NULL;
    }
    vhost_blk_set_on_error(s, blk);
    vhost_blk_block_operations(backend);
    backend->removed.notify = vhost_blk_node_removed;
    blk_add_remove_bs_notifier(blk, &backend->removed);
    blk_set_dev_ops(blk, &vhost_blk_dev_ops, backend);
    return backend;
}

/* Undo vhost_blk_open_backend(); the device stays attached to the BlockBackend. */
void vhost_blk_close_backend(VHostBlkBackend *backend)
{
    blk_set_dev_ops(backend->blk, NULL, NULL);
    notifier_remove(&backend->removed);
    vhost_blk_unblock_operations(backend);
    vhost_blk_unclaim(backend);
    qobject_unref(backend->options);
    g_free(backend->name);
    g_free(backend);
}
