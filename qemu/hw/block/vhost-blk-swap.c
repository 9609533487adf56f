/*
 * vhost-blk: the properties "drive" and "path", which can be set at run time
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/qdev-properties-system.h"
#include "hw/virtio/vhost-blk.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "trace.h"

/* Moved in QEMU 10.0 */
#if VHOST_BLK_QEMU >= 1000
#include "system/block-backend.h"
#else
#include "sysemu/block-backend.h"
#endif

/*
 * Refuse a zoned backend if the guest was not offered VIRTIO_BLK_F_ZONED: its
 * driver would not keep to the write pointers.
 */
static bool vhost_blk_check_zones(VHostBlk *s, const VHostBlkBackend *backend,
                                  Error **errp)
{
    if (!vhost_blk_node_is_zoned(backend) ||
        virtio_has_feature(s->offered_features, VIRTIO_BLK_F_ZONED)) {
        return true;
    }
    error_setg(errp, "%s: '%s' is zoned, but the device was created with a "
               "backend that is not", backend->prop, backend->name);
    return false;
}

/* The kernel checks this while the device runs. */
static bool vhost_blk_check_flushed(VHostBlk *s, const VHostBlkBackend *backend,
                                    Error **errp)
{
    vhost_blk_keep_flush_error(s);
    if (!s->flush_error) {
        return true;
    }
    error_setg_errno(errp, ENOTRECOVERABLE, "%s: a flush of '%s' has failed",
                     backend->prop, s->backend->name);
    return false;
}

/*
 * Attach the new backend, unless its blocks are too large.  The kernel has to
 * have it to tell its blocks.  While the device runs, the kernel refuses larger
 * blocks than those of the old one, so no request goes to the wrong file.
 */
static bool vhost_blk_attach_new(VHostBlk *s, VHostBlkBackend *new,
                                 Error **errp)
{
    uint8_t config[VHOST_BLK_CONFIG_SIZE];

    if (!vhost_blk_attach(s, new, errp)) {
        return false;
    }
    if (vhost_blk_read_config(s, config) < 0 ||
        vhost_blk_check_block_size(s, new, config, errp)) {
        return true;
    }
    /* One that is not attached will be when the machine runs. */
    if (!s->backend->attached || !vhost_blk_attach(s, s->backend, NULL)) {
        vhost_blk_detach(s);
    }
    return false;
}

/* Replace the backend, see vhost_blk_swap(). */
static bool vhost_blk_replace(VHostBlk *s, BlockBackend *blk, const char *prop,
                              const char *name, Error **errp)
{
    VHostBlkBackend *old = s->backend;
    VHostBlkBackend *new = vhost_blk_open_backend(s, blk, prop, name, errp);

    if (!new) {
        return false;
    }
    if (!vhost_blk_check_zones(s, new, errp) ||
        !vhost_blk_check_flushed(s, new, errp) ||
        !vhost_blk_attach_new(s, new, errp)) {
        vhost_blk_close_backend(new);
        return false;
    }
    /* Closing the old node may call vhost_blk_node_changed(). */
    s->backend = new;
    s->drive = new->blk;
    blk = old->blk;
    vhost_blk_close_backend(old);
    blk_detach_dev(blk, DEVICE(s));
    vhost_blk_remove_fdset(s);
    vhost_blk_backend_changed(s);
    return true;
}

/* Let another node lock the file.  The kernel must not write to it meanwhile. */
static bool vhost_blk_yield_file(VHostBlk *s, Error **errp)
{
    int ret = vhost_dev_is_started(&s->dev) ? vhost_blk_pause(s) : 0;

    if (ret < 0) {
        error_setg_errno(errp, -ret, "could not stop the device");
        return false;
    }
    vhost_blk_flush(s);
    ret = vhost_blk_detach(s);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "could not detach '%s'", s->backend->name);
        return false;
    }
    return vhost_blk_drop_permissions(s->backend, errp);
}

/*
 * Undo vhost_blk_yield_file(), for the backend that the device has now.  If
 * another process has locked the old one, the machine stops.
 */
static void vhost_blk_take_file(VHostBlk *s)
{
    Error *err = NULL;
    int ret;

    if (!s->backend->attached && vhost_blk_node_is_active(s->backend)) {
        s->unlocked = true;
        if (!vhost_blk_prepare(s, &err)) {
            vhost_blk_stop_machine(s, err);
            return;
        }
    }
    ret = vhost_dev_is_started(&s->dev) ? vhost_blk_set_running(s, 1) : 0;
    if (ret < 0) {
        error_setg_errno(&err, -ret, "could not start the device");
        vhost_blk_stop_machine(s, err);
    }
}

/*
 * Replace the backend by the node of @blk, to which the device is attached.
 * The kernel completes the requests in flight on the old backend first.  On
 * failure the old backend stays as it was, and @blk is detached.
 *
 * The new node may have the same file, to open it again.
 */
static bool vhost_blk_swap(VHostBlk *s, BlockBackend *blk, const char *prop,
                           const char *name, Error **errp)
{
    bool yield = !s->ro && !s->conf.share_rw && s->backend->attached &&
                 vhost_blk_is_same_file(s->backend, blk);
    bool swapped;

    trace_vhost_blk_swap(s->backend->name, name, yield);
    swapped = (!yield || vhost_blk_yield_file(s, errp)) &&
              vhost_blk_replace(s, blk, prop, name, errp);
    if (!swapped) {
        blk_detach_dev(blk, DEVICE(s));
    }
    if (yield) {
        vhost_blk_take_file(s);
    }
    return swapped;
}

/* The other properties that chose the old backend no longer do. */
static void vhost_blk_forget_names(VHostBlk *s)
{
    g_free(s->path);
    s->path = NULL;
    g_free(s->fd_name);
    s->fd_name = NULL;
}

/*
 * drive
 */

static void vhost_blk_get_drive(Object *obj, Visitor *v, const char *name,
                                void *opaque, Error **errp)
{
    qdev_prop_drive.get(obj, v, name, opaque, errp);
}

/* QEMU's own function would replace the node behind the kernel's back. */
static void vhost_blk_set_drive(Object *obj, Visitor *v, const char *name,
                                void *opaque, Error **errp)
{
    ERRP_GUARD();
    VHostBlk *s = VHOST_BLK(obj);
    BlockBackend *old = s->drive, *new;
    g_autofree char *value = NULL;

    if (!DEVICE(obj)->realized) {
        qdev_prop_drive.set(obj, v, name, opaque, errp);
        return;
    }
    s->drive = NULL;
    qdev_prop_drive.set(obj, v, name, opaque, errp);
    new = s->drive;
    s->drive = old;
    if (*errp) {
        return;
    }
    if (!new) {
        error_setg(errp, "drive: the disk cannot be removed");
        return;
    }
    value = vhost_blk_drive_name(new);
    if (vhost_blk_swap(s, new, "drive", value, errp)) {
        vhost_blk_forget_names(s);
    }
}

static void vhost_blk_release_drive(Object *obj, const char *name, void *opaque)
{
    qdev_prop_drive.release(obj, name, opaque);
}

const PropertyInfo vhost_blk_prop_drive = {
    .VHOST_BLK_PROPERTY_TYPE = "str",
    .description = "Node name or ID of a raw disk; can be set at run time",
    .realized_set_allowed = true,
    .get = vhost_blk_get_drive,
    .set = vhost_blk_set_drive,
    .release = vhost_blk_release_drive,
};

/*
 * path
 */

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
    BlockBackend *blk;
    char *path;

    if (!visit_type_str(v, name, &path, errp)) {
        return;
    }
    if (DEVICE(obj)->realized) {
        blk = vhost_blk_open_path(s, path, errp);
        if (!blk || !vhost_blk_swap(s, blk, "path", path, errp)) {
            g_free(path);
            return;
        }
        vhost_blk_forget_names(s);
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
