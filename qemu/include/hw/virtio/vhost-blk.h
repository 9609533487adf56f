/*
 * vhost-blk: virtio-blk served by the host kernel's /dev/vhost-blk
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_VIRTIO_VHOST_BLK_H
#define HW_VIRTIO_VHOST_BLK_H

#include "hw/block/block.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/vhost.h"
#include "hw/virtio/virtio.h"
#include "migration/vmstate.h"
#include "qapi/qapi-types-block-core.h"
#include "qapi/qapi-types-run-state.h"
#include "qemu/event_notifier.h"
#include "qemu/notify.h"
#include "qom/object.h"
#include "standard-headers/linux/virtio_blk.h"

/*
 * Differences between the QEMU versions that this source builds with.  The
 * headers that moved in QEMU 10.0 are the only ones elsewhere.
 */

#define VHOST_BLK_QEMU (QEMU_VERSION_MAJOR * 100 + QEMU_VERSION_MINOR)

/* QEMU 10.0: property tables are const and have no end marker. */
#ifdef DEFINE_PROP_END_OF_LIST
typedef Property VHostBlkProperty;
#define VHOST_BLK_PROPERTIES_END DEFINE_PROP_END_OF_LIST()
#else
typedef const Property VHostBlkProperty;
#define VHOST_BLK_PROPERTIES_END
#endif

/* QEMU 10.0: PropertyInfo.name was renamed to type. */
#if VHOST_BLK_QEMU >= 1000
#define VHOST_BLK_PROPERTY_TYPE type
#else
#define VHOST_BLK_PROPERTY_TYPE name
#endif

/* QEMU 10.1: class_init() takes const data, set_status() returns an int. */
#if VHOST_BLK_QEMU >= 1001
typedef const void VHostBlkClassData;
typedef int VHostBlkStatus;
#define VHOST_BLK_STATUS_OK 0
#else
typedef void VHostBlkClassData;
typedef void VHostBlkStatus;
#define VHOST_BLK_STATUS_OK
#endif

/* Not in the headers of QEMU 7.2 */
#ifndef VIRTIO_BLK_F_SECURE_ERASE
#define VIRTIO_BLK_F_SECURE_ERASE 16
#endif
#ifndef VIRTIO_BLK_F_ZONED
#define VIRTIO_BLK_F_ZONED 17
#endif
#ifndef VIRTIO_F_NOTIFICATION_DATA
#define VIRTIO_F_NOTIFICATION_DATA 38
#endif

/*
 * The name of the virtio-bus type must not be "vhost-blk-device": QEMU's
 * compatibility properties set a property of that type, which this device does
 * not have, so that machine types up to 4.1 would abort.
 */
#define TYPE_VHOST_BLK "vhost-blk"
OBJECT_DECLARE_SIMPLE_TYPE(VHostBlk, VHOST_BLK)

struct vhost_blk_error_policy;
struct vhost_blk_vring_info;

/* num-queues not given: one per vCPU, if the transport supports it. */
#define VHOST_BLK_AUTO_NUM_QUEUES UINT16_MAX
/* workers not given: one per queue, if the kernel supports it. */
#define VHOST_BLK_AUTO_WORKERS UINT16_MAX

/*
 * Size in bytes of the configuration space that the kernel has: all of struct
 * virtio_blk_config of VIRTIO 1.3, of which the headers of QEMU 7.2 have the
 * first 60 bytes.  That of the guest is shorter, see vhost_blk_config_size().
 */
#define VHOST_BLK_CONFIG_SIZE 96

/* A block device or regular file that holds the data: a node of QEMU's. */
typedef struct VHostBlkBackend {
    VHostBlk *device;
    const char *prop;       /* "drive", "path" or "fd" */
    char *name;             /* the value of that property */
    BlockBackend *blk;
    int claim_fd;           /* holds O_EXCL of a block device, or -1 */
    bool is_bdev;
    /* The kernel has the file, and the node was active when it got it. */
    bool attached;
    /* The options of the file's node when the file was last attached */
    QDict *options;
    Error *blocker;         /* why block jobs and others are refused */
    Notifier removed;       /* of the node from the BlockBackend */
} VHostBlkBackend;

typedef struct VHostBlkHeads VHostBlkHeads;

struct VHostBlk {
    VirtIODevice parent_obj;

    /* Properties; drive is also set by path and fd, as is conf.blk */
    BlockBackend *drive;
    BlockConf conf;
    char *path;
    char *fd_name;
    char *vhostfd_name;
    char *serial;
    uint64_t host_features;
    uint32_t poll_us;
    uint16_t num_queues;
    uint16_t queue_size;
    uint16_t workers;
    bool readonly;
    OnOffAuto direct;
    OnOffAuto locking;
    bool seg_max_adjust;
    BlockdevOnError rerror;
    BlockdevOnError werror;
    uint32_t max_discard_sectors;
    uint32_t max_discard_segments;
    uint32_t max_write_zeroes_sectors;
    char *iothread;         /* never set, see vhost_blk_prop_iothread */

    VHostBlkBackend *backend;
    /* The fdset of the property "fd", or -1 */
    int64_t fdset;
    /* Called after the node may have been reopened */
    QEMUBH *node_bh;
    /* The property readonly, or the drive is read-only */
    bool ro;
    /* The cache mode after a reset, of write-cache or of the drive */
    bool wce;
    /*
     * The permissions of the node have to be taken before the machine runs: an
     * incoming migration has not been completed yet, or a swap has lost them.
     */
    bool unlocked;
    /* The state of an incoming migration is being loaded. */
    bool loading;
    /* Heads of each queue that the kernel is given at the next start, or NULL */
    VHostBlkHeads *parked;
    /* The backend could not be locked when the machine continued. */
    bool unusable;
    /* Negative errno of a flush that failed, or 0 */
    int flush_error;
    int vhostfd;
    /* Why the device could not be started, until it is reported. */
    Error *start_error;
    VMChangeStateEntry *vm_state_handler;

    struct vhost_dev dev;
    struct vhost_virtqueue *vhost_vqs;
    /* A bit for each queue whose rings vhost_virtqueue_start() has mapped */
    uint64_t mapped_queues;
    VirtQueue **virtqs;
    EventNotifier config_notifier;
    /* Signalled when a request has failed */
    EventNotifier error_notifier;
    /* For each queue, the failed requests that were reported */
    uint64_t *failures;

    /* Last result of vhost_blk_fetch_config(), little endian, of the kernel */
    uint8_t config[VHOST_BLK_CONFIG_SIZE];
    /* Features that were offered to the guest with the first backend. */
    uint64_t offered_features;

    /*
     * The cache mode: true is writeback.  It is kept here because the guest
     * accesses it before the device is started, and because it migrates.  It
     * is sent to the kernel at each start and each change.
     */
    bool writeback;
    /* An error of a change of the mode has been reported. */
    bool reported_wce;
};

/* vhost-blk.c */
int vhost_blk_pause(VHostBlk *s);

/* vhost-blk-config.c */
size_t vhost_blk_config_size(VHostBlk *s);
uint32_t vhost_blk_block_size(VHostBlk *s, const VHostBlkBackend *backend);
bool vhost_blk_choose_block_sizes(VHostBlk *s, Error **errp);
bool vhost_blk_check_block_size(VHostBlk *s, const VHostBlkBackend *backend,
                                const uint8_t *config, Error **errp);
bool vhost_blk_check_features(VHostBlk *s, Error **errp);
uint64_t vhost_blk_get_features(VirtIODevice *vdev, uint64_t features,
                                Error **errp);
uint64_t vhost_blk_acked_features(VHostBlk *s);
int vhost_blk_validate_features(VirtIODevice *vdev);
void vhost_blk_set_features(VirtIODevice *vdev, uint64_t features);
int vhost_blk_sync_writeback(VHostBlk *s);
void vhost_blk_get_config(VirtIODevice *vdev, uint8_t *config);
void vhost_blk_set_config(VirtIODevice *vdev, const uint8_t *config);
void vhost_blk_notify_config(VHostBlk *s);
void vhost_blk_config_changed(EventNotifier *n);
void vhost_blk_backend_changed(VHostBlk *s);

/* vhost-blk-node.c */
VHostBlkBackend *vhost_blk_open_backend(VHostBlk *s, BlockBackend *blk,
                                        const char *prop, const char *name,
                                        Error **errp);
void vhost_blk_close_backend(VHostBlkBackend *backend);
char *vhost_blk_drive_name(BlockBackend *blk);
bool vhost_blk_take_permissions(VHostBlkBackend *backend, Error **errp);
bool vhost_blk_drop_permissions(VHostBlkBackend *backend, Error **errp);
bool vhost_blk_claim(VHostBlkBackend *backend, Error **errp);
void vhost_blk_unclaim(VHostBlkBackend *backend);
int vhost_blk_node_fd(const VHostBlkBackend *backend);
bool vhost_blk_is_same_file(const VHostBlkBackend *backend, BlockBackend *blk);
void vhost_blk_remember_options(VHostBlkBackend *backend);
bool vhost_blk_node_reopened(const VHostBlkBackend *backend);
bool vhost_blk_node_is_active(const VHostBlkBackend *backend);
bool vhost_blk_node_unmaps(const VHostBlkBackend *backend);
bool vhost_blk_node_is_zoned(const VHostBlkBackend *backend);

/* vhost-blk-error.c */
void vhost_blk_set_on_error(VHostBlk *s, BlockBackend *blk);
int vhost_blk_sync_error_policy(VHostBlk *s, BlockBackend *blk);
void vhost_blk_check_failures(VHostBlk *s);
void vhost_blk_drop_parked(VHostBlk *s);
bool vhost_blk_init_errors(VHostBlk *s, Error **errp);
void vhost_blk_cleanup_errors(VHostBlk *s);

/* vhost-blk-file.c */
bool vhost_blk_check_type(const char *prop, const char *name, mode_t mode,
                          Error **errp);
int vhost_blk_get_fd_param(const char *prop, const char *name, Error **errp);
BlockBackend *vhost_blk_open_path(VHostBlk *s, const char *path, Error **errp);
BlockBackend *vhost_blk_open_fd(VHostBlk *s, Error **errp);
void vhost_blk_remove_fdset(VHostBlk *s);
void vhost_blk_close_file(VHostBlk *s);

/* vhost-blk-swap.c */
extern const PropertyInfo vhost_blk_prop_drive;
extern const PropertyInfo vhost_blk_prop_path;

/* vhost-blk-migrate.c */
extern const VMStateDescription vhost_blk_vmstate;
void vhost_blk_keep_flush_error(VHostBlk *s);
void vhost_blk_stop_machine(VHostBlk *s, Error *err);
void vhost_blk_node_changed(void *opaque);
bool vhost_blk_prepare(VHostBlk *s, Error **errp);
void vhost_blk_flush(VHostBlk *s);
void vhost_blk_vm_state_changed(void *opaque, bool running, RunState state);
void vhost_blk_register_migration(VHostBlk *s);
void vhost_blk_unregister_migration(VHostBlk *s);

/* vhost-blk-compare.c */
void vhost_blk_compare_features(VHostBlk *s);
bool vhost_blk_compare_config(VHostBlk *s, Error **errp);

/* vhost-blk-parked.c */
void vhost_blk_save_requests(VirtIODevice *vdev, QEMUFile *f);
int vhost_blk_load_requests(VirtIODevice *vdev, QEMUFile *f, int version);
int vhost_blk_restore_requests(VHostBlk *s);
void vhost_blk_forget_requests(VHostBlk *s);
int vhost_blk_drop_requests(VHostBlk *s, unsigned int queue);

/* vhost-blk-kernel.c: functions that return int return 0 or -errno */
bool vhost_blk_open_vhost(VHostBlk *s, Error **errp);
bool vhost_blk_create_workers(VHostBlk *s, Error **errp);
bool vhost_blk_set_polling(VHostBlk *s, Error **errp);
bool vhost_blk_attach(VHostBlk *s, VHostBlkBackend *backend, Error **errp);
int vhost_blk_detach(VHostBlk *s);
int vhost_blk_refresh_config(VHostBlk *s);
bool vhost_blk_init_config_notifier(VHostBlk *s,
                                    EventNotifierHandler *changed,
                                    Error **errp);
void vhost_blk_cleanup_config_notifier(VHostBlk *s);
int vhost_blk_read_config(VHostBlk *s, uint8_t *config);
int vhost_blk_fetch_config(VHostBlk *s);
int vhost_blk_flush_backend(VHostBlk *s);
int vhost_blk_flush_error(VHostBlk *s);
const char *vhost_blk_break_reason(VHostBlk *s, unsigned int index);
int vhost_blk_set_writeback(VHostBlk *s, bool writeback);
int vhost_blk_get_parked(VHostBlk *s, unsigned int index, uint16_t *heads,
                         uint32_t *count);
int vhost_blk_set_parked(VHostBlk *s, unsigned int index,
                         const uint16_t *heads, uint32_t count);
int vhost_blk_clear_vring_addr(VHostBlk *s, unsigned int index);
int vhost_blk_set_running(VHostBlk *s, int running);
int vhost_blk_set_error_policy(VHostBlk *s,
                               struct vhost_blk_error_policy *policy);
int vhost_blk_get_vring_info(VHostBlk *s, unsigned int index,
                             struct vhost_blk_vring_info *info);
int vhost_blk_clear_parked(VHostBlk *s, unsigned int index);
int vhost_blk_set_vring_running(VHostBlk *s, unsigned int index, bool running);

#endif
