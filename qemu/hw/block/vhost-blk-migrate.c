/*
 * vhost-blk: stops of the machine, migration, and changes of the node
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/virtio/vhost-blk.h"
#include "hw/virtio/virtio-access.h"
#include "migration/migration.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "trace.h"

/* Moved in QEMU 10.0 */
#if VHOST_BLK_QEMU >= 1000
#include "system/runstate.h"
#else
#include "sysemu/runstate.h"
#endif

/* QEMU 9.1 has no block migration ("migrate -b"). */
#if VHOST_BLK_QEMU < 901
#include "migration/register.h"
#if VHOST_BLK_QEMU < 801
#define migrate_block() migrate_use_block()
#else
#include "migration/options.h"
#endif
#endif

/*
 * Changes of the node
 */

/*
 * Remember an error of a flush, which the kernel forgets when another file is
 * attached.  Data that the guest wrote may be lost, so neither a migration nor
 * a swap may succeed.
 */
void vhost_blk_keep_flush_error(VHostBlk *s)
{
    if (!s->flush_error) {
        s->flush_error = vhost_blk_flush_error(s);
    }
}

/* Give the kernel the file descriptor that the node has now. */
static bool vhost_blk_follow_node(VHostBlk *s, Error **errp)
{
    vhost_blk_keep_flush_error(s);
    return vhost_blk_attach(s, s->backend, errp);
}

/* Stop the machine as virtio-blk does with werror=stop; "cont" tries again. */
void vhost_blk_stop_machine(VHostBlk *s, Error *err)
{
    error_reportf_err(err, "vhost-blk: ");
    qemu_system_vmstop_request_prepare();
    qemu_system_vmstop_request(RUN_STATE_IO_ERROR);
}

/* Called after the node was drained: it may have been reopened or inactivated. */
void vhost_blk_node_changed(void *opaque)
{
    VHostBlk *s = opaque;
    Error *err = NULL;

    if (!DEVICE(s)->realized || !s->backend) {
        return;
    }
    if (!vhost_blk_node_is_active(s->backend)) {
        if (runstate_is_running() || vhost_dev_is_started(&s->dev)) {
            error_setg(&err, "'%s' was inactivated while the guest runs",
                       s->backend->name);
            vhost_blk_stop_machine(s, err);
        } else {
            vhost_blk_detach(s);
        }
        return;
    }
    /* Detached: vhost_blk_prepare() attaches the file. */
    if (!s->backend->attached) {
        return;
    }
    if (vhost_blk_node_reopened(s->backend) &&
        !vhost_blk_follow_node(s, &err)) {
        error_reportf_err(err, "vhost-blk: the options of '%s' have no effect: ",
                          s->backend->name);
    }
    vhost_blk_backend_changed(s);
}

/*
 * State of the machine
 */

/*
 * Attach the file unless the kernel has it, and read its configuration.  A kernel
 * without a file does not know which block size the guest uses.
 */
static bool vhost_blk_attach_again(VHostBlk *s, Error **errp)
{
    int ret;

    if (!s->backend->attached && !vhost_blk_follow_node(s, errp)) {
        return false;
    }
    /* Attaching the file has set it. */
    event_notifier_test_and_clear(&s->config_notifier);
    ret = vhost_blk_fetch_config(s);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "%s: could not read the configuration of "
                         "'%s'", s->backend->prop, s->backend->name);
    } else if (vhost_blk_check_block_size(s, s->backend, s->config, errp)) {
        return true;
    }
    vhost_blk_detach(s);
    return false;
}

/* Get everything that the device needs to run, unless it has it. */
bool vhost_blk_prepare(VHostBlk *s, Error **errp)
{
    if (!vhost_blk_node_is_active(s->backend)) {
        error_setg(errp, "'%s' is inactive", s->backend->name);
        return false;
    }
    /*
     * The activation at the end of an incoming migration lets others write,
     * and QEMU only reports it if that cannot be changed when the machine runs.
     */
    if (s->unlocked && !vhost_blk_take_permissions(s->backend, errp)) {
        return false;
    }
    s->unlocked = false;
    return vhost_blk_claim(s->backend, errp) && vhost_blk_attach_again(s, errp);
}

/*
 * Flush the file, as a stopped machine may continue on another host, where
 * writes that are still in caches of this host must be visible.  That of an
 * inactive node was flushed when the machine stopped.
 *
 * The kernel keeps an error, so the guest's next flush fails if the machine
 * continues here.  An error of fdatasync() is reported only once.
 */
void vhost_blk_flush(VHostBlk *s)
{
    vhost_blk_keep_flush_error(s);
    if (s->flush_error || !s->backend->attached ||
        !vhost_blk_node_is_active(s->backend)) {
        return;
    }
    s->flush_error = vhost_blk_flush_backend(s);
    if (!s->flush_error) {
        return;
    }
    error_report("vhost-blk: could not flush '%s': %s", s->backend->name,
                 strerror(-s->flush_error));
}

/* Called before the device is started, and after it has been stopped. */
void vhost_blk_vm_state_changed(void *opaque, bool running, RunState state)
{
    VHostBlk *s = opaque;
    Error *err = NULL;

    trace_vhost_blk_vm_state(s->backend->name, running, RunState_str(state));
    if (!running) {
        vhost_blk_flush(s);
        if (!vhost_blk_node_is_active(s->backend)) {
            vhost_blk_detach(s);
        }
        return;
    }
    s->unusable = !vhost_blk_prepare(s, &err);
    if (s->unusable) {
        vhost_blk_stop_machine(s, err);
        return;
    }
    /* The disk may have been resized meanwhile, or before it was migrated. */
    vhost_blk_notify_config(s);
}

/*
 * Migration
 */

/* Snapshots of the machine do not have the disk, unless it is read-only. */
static int vhost_blk_check_snapshot(VHostBlk *s, bool snapshot)
{
    if (!snapshot || s->ro) {
        return 0;
    }
    error_report("vhost-blk: '%s' does not support snapshots",
                 s->backend->name);
    return -ENOTSUP;
}

/*
 * Release the file and the claim before the state is sent, as the destination
 * locks the file when it has the state.  If the machine continues here instead,
 * vhost_blk_vm_state_changed() takes them again.  QEMU releases the locks of
 * the node before (QEMU 10.0) or after all devices are saved.
 */
static int vhost_blk_release(VHostBlk *s)
{
    int ret;

    /* A migration sends the state in a later status. */
    ret = vhost_blk_check_snapshot(
        s, migrate_get_current()->state == MIGRATION_STATUS_SETUP);
    if (ret < 0) {
        return ret;
    }
    /* QEMU 7.2 does not stop the devices of a machine that is suspended. */
    if (vhost_dev_is_started(&s->dev)) {
        error_report("vhost-blk: '%s' is in use", s->backend->name);
        return -EBUSY;
    }
    vhost_blk_flush(s);
    if (s->flush_error) {
        error_report("vhost-blk: a flush of '%s' has failed, so the machine "
                     "must not continue elsewhere: %s", s->backend->name,
                     strerror(-s->flush_error));
        return s->flush_error;
    }
    ret = vhost_blk_detach(s);
    if (ret < 0) {
        return ret;
    }
    vhost_blk_unclaim(s->backend);
    /* The stream has what the driver has read, and the mode may have changed. */
    ((struct virtio_blk_config *)VIRTIO_DEVICE(s)->config)->wce = s->writeback;
    return 0;
}

static int vhost_blk_pre_save(void *opaque)
{
    VHostBlk *s = opaque;
    int ret = vhost_blk_release(s);

    trace_vhost_blk_pre_save(s->backend->name, ret);
    return ret;
}

static int vhost_blk_pre_load(void *opaque)
{
    VHostBlk *s = opaque;
    int ret = vhost_blk_check_snapshot(s,
                                       !runstate_check(RUN_STATE_INMIGRATE));

    s->loading = !ret;
    return ret;
}

/*
 * The stream of virtio-blk does not have the cache mode, but the configuration
 * space that the driver has read or written last.
 */
static void vhost_blk_load_writeback(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    struct virtio_blk_config *config = vdev->config;

    if (config->blk_size &&
        virtio_vdev_has_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE)) {
        s->writeback = config->wce;
    }
}

static int vhost_blk_post_load(void *opaque, int version)
{
    VHostBlk *s = opaque;
    Error *err = NULL;

    s->loading = false;
    vhost_blk_load_writeback(s);
    if (vhost_blk_compare_config(s, &err) &&
        vhost_blk_claim(s->backend, &err)) {
        return 0;
    }
    error_reportf_err(err, "vhost-blk: ");
    return -EINVAL;
}

/* The format of virtio-blk, so that a guest can be moved between the two */
const VMStateDescription vhost_blk_vmstate = {
    .name = "virtio-blk",
    .minimum_version_id = 2,
    .version_id = 2,
    .pre_save = vhost_blk_pre_save,
    .pre_load = vhost_blk_pre_load,
    .post_load = vhost_blk_post_load,
    .fields = (VMStateField[]) {
        VMSTATE_VIRTIO_DEVICE,
        VMSTATE_END_OF_LIST()
    },
};

#if VHOST_BLK_QEMU < 901

/*
 * Block migration copies a disk while the guest writes to it, and would miss
 * what the kernel writes.  This pseudo device has nothing to save; it is asked
 * at the start of a migration.
 */
static bool vhost_blk_has_block_migration(void *opaque)
{
    VHostBlk *s = opaque;

    return !s->ro && migrate_block();
}

static int vhost_blk_refuse_block_migration(QEMUFile *f, void *opaque)
{
    VHostBlk *s = opaque;

    error_report("vhost-blk: '%s' does not support block migration",
                 s->backend->name);
    return -ENOTSUP;
}

static SaveVMHandlers vhost_blk_block_migration = {
    .is_active = vhost_blk_has_block_migration,
    .save_setup = vhost_blk_refuse_block_migration,
};

void vhost_blk_register_migration(VHostBlk *s)
{
    register_savevm_live("vhost-blk-no-block-migration",
                         VMSTATE_INSTANCE_ID_ANY, 1,
                         &vhost_blk_block_migration, s);
}

void vhost_blk_unregister_migration(VHostBlk *s)
{
    unregister_savevm(NULL, "vhost-blk-no-block-migration", s);
}

#else

void vhost_blk_register_migration(VHostBlk *s)
{
}

void vhost_blk_unregister_migration(VHostBlk *s)
{
}

#endif
