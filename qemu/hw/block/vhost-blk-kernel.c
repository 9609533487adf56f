/*
 * vhost-blk: ioctls of /dev/vhost-blk that QEMU's vhost core does not issue
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/virtio/vhost-blk.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "trace.h"

#include <linux/vhost_blk.h>
#include <sys/ioctl.h>

#define VHOST_BLK_DEV "/dev/vhost-blk"

/* Not in the linux-headers of QEMU 7.2 */
#ifndef VHOST_NEW_WORKER
struct vhost_worker_state {
    unsigned int worker_id;
};

struct vhost_vring_worker {
    unsigned int index;
    unsigned int worker_id;
};

#define VHOST_NEW_WORKER _IOR(VHOST_VIRTIO, 0x8, struct vhost_worker_state)
#define VHOST_ATTACH_VRING_WORKER _IOW(VHOST_VIRTIO, 0x15, \
                                       struct vhost_vring_worker)
#endif

/* Returns 0 or a negative errno. */
static int vhost_blk_ioctl(VHostBlk *s, unsigned long request, void *arg)
{
    return ioctl(s->vhostfd, request, arg) < 0 ? -errno : 0;
}

/* Clear the ring addresses of a queue, so that the kernel does not start it. */
int vhost_blk_clear_vring_addr(VHostBlk *s, unsigned int index)
{
    struct vhost_vring_addr none = { .index = index };

    return vhost_blk_ioctl(s, VHOST_SET_VRING_ADDR, &none);
}

/* Start or stop all queues.  A stop waits for the requests in flight. */
int vhost_blk_set_running(VHostBlk *s, int running)
{
    return vhost_blk_ioctl(s, VHOST_BLK_SET_RUNNING, &running);
}

/*
 * Read the descriptor heads of the parked requests of a stopped queue.  @count
 * is the size of the array, and set to the number of requests.  A kernel that
 * does not know the ioctl parks none.
 */
int vhost_blk_get_parked(VHostBlk *s, unsigned int index, uint16_t *heads,
                         uint32_t *count)
{
    struct vhost_blk_vring_parked arg = {
        .index = index,
        .count = *count,
        .heads = (uintptr_t)heads,
    };
    int ret = vhost_blk_ioctl(s, VHOST_BLK_GET_VRING_PARKED, &arg);

    *count = ret < 0 ? 0 : arg.count;
    return ret == -ENOTTY ? 0 : ret;
}

/* Replace the list of parked requests of a stopped queue. */
int vhost_blk_set_parked(VHostBlk *s, unsigned int index,
                         const uint16_t *heads, uint32_t count)
{
    struct vhost_blk_vring_parked arg = {
        .index = index,
        .count = count,
        .heads = (uintptr_t)heads,
    };

    return vhost_blk_ioctl(s, VHOST_BLK_SET_VRING_PARKED, &arg);
}

/* Start or stop one queue.  A stop waits for its requests in flight. */
int vhost_blk_set_vring_running(VHostBlk *s, unsigned int index, bool running)
{
    struct vhost_vring_state state = { .index = index, .num = running };

    return vhost_blk_ioctl(s, VHOST_BLK_SET_VRING_RUNNING, &state);
}

/* Read the configuration space of the file that the kernel has. */
int vhost_blk_read_config(VHostBlk *s, uint8_t *config)
{
    g_autofree struct vhost_vdpa_config *cfg =
        g_malloc0(sizeof(*cfg) + VHOST_BLK_CONFIG_SIZE);
    int ret;

    cfg->len = VHOST_BLK_CONFIG_SIZE;
    ret = vhost_blk_ioctl(s, VHOST_BLK_GET_CONFIG, cfg);
    if (!ret) {
        memcpy(config, cfg->buf, VHOST_BLK_CONFIG_SIZE);
    }
    return ret;
}

/*
 * Read the configuration space into s->config.  A driver that reads it in several
 * steps detects a change by the generation.
 */
int vhost_blk_fetch_config(VHostBlk *s)
{
    uint8_t now[VHOST_BLK_CONFIG_SIZE];
    int ret = vhost_blk_read_config(s, now);

    if (ret < 0) {
        return ret;
    }
    if (memcmp(s->config, now, sizeof(now))) {
        memcpy(s->config, now, sizeof(now));
        VIRTIO_DEVICE(s)->generation++;
    }
    return 0;
}

/* Read the state of a queue. */
int vhost_blk_get_vring_info(VHostBlk *s, unsigned int index,
                             struct vhost_blk_vring_info *info)
{
    *info = (struct vhost_blk_vring_info) { .index = index };
    return vhost_blk_ioctl(s, VHOST_BLK_GET_VRING_INFO, info);
}

int vhost_blk_set_error_policy(VHostBlk *s,
                               struct vhost_blk_error_policy *policy)
{
    return vhost_blk_ioctl(s, VHOST_BLK_SET_ERROR_POLICY, policy);
}

/* Drop the parked requests of a queue, which is stopped. */
int vhost_blk_clear_parked(VHostBlk *s, unsigned int index)
{
    struct vhost_blk_vring_parked none = { .index = index };

    return vhost_blk_ioctl(s, VHOST_BLK_SET_VRING_PARKED, &none);
}

/* Return why a queue is broken, for messages. */
const char *vhost_blk_break_reason(VHostBlk *s, unsigned int index)
{
    static const char *const reasons[] = {
        [VHOST_BLK_BREAK_NONE] = "unknown reason",
        [VHOST_BLK_BREAK_CHAIN] = "a descriptor chain cannot be read",
        [VHOST_BLK_BREAK_NO_STATUS] = "a descriptor chain has no writable byte",
        [VHOST_BLK_BREAK_HEAD_BUSY] = "a descriptor was made available twice",
        [VHOST_BLK_BREAK_STATUS] = "a status byte cannot be written",
        [VHOST_BLK_BREAK_LOG] = "the dirty log cannot be written",
        [VHOST_BLK_BREAK_USED] = "the used ring cannot be written",
    };
    struct vhost_blk_vring_info info;

    if (vhost_blk_get_vring_info(s, index, &info) < 0 ||
        info.break_reason >= ARRAY_SIZE(reasons)) {
        return reasons[VHOST_BLK_BREAK_NONE];
    }
    return reasons[info.break_reason];
}

/* Flush the backend.  The kernel keeps an error of the flush. */
int vhost_blk_flush_backend(VHostBlk *s)
{
    return vhost_blk_ioctl(s, VHOST_BLK_FLUSH, NULL);
}

/* Return the error of a flush of the backend, which the kernel keeps, or 0. */
int vhost_blk_flush_error(VHostBlk *s)
{
    struct vhost_blk_info info;

    return vhost_blk_ioctl(s, VHOST_BLK_GET_INFO, &info) < 0 ? 0
                                                             : info.flush_error;
}

int vhost_blk_set_writeback(VHostBlk *s, bool writeback)
{
    g_autofree struct vhost_vdpa_config *cfg = g_malloc0(sizeof(*cfg) + 1);

    cfg->off = offsetof(struct virtio_blk_config, wce);
    cfg->len = 1;
    cfg->buf[0] = writeback;
    return vhost_blk_ioctl(s, VHOST_BLK_SET_CONFIG, cfg);
}

/* Open /dev/vhost-blk, or use the descriptor of the property "vhostfd". */
bool vhost_blk_open_vhost(VHostBlk *s, Error **errp)
{
    ERRP_GUARD();
    int ret;

    if (s->vhostfd_name) {
        s->vhostfd = vhost_blk_get_fd_param("vhostfd", s->vhostfd_name, errp);
        if (s->vhostfd < 0) {
            return false;
        }
    } else {
        s->vhostfd = open(VHOST_BLK_DEV, O_RDWR | O_CLOEXEC);
        if (s->vhostfd < 0) {
            ret = errno;
            error_setg(errp, "vhostfd: could not open " VHOST_BLK_DEV ": %s",
                       strerror(ret));
            if (ret == ENOENT || ret == ENXIO || ret == ENODEV) {
                error_append_hint(errp, "Is the kernel module vhost_blk "
                                  "loaded?\n");
            }
            return false;
        }
    }

    ret = vhost_blk_fetch_config(s);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "vhostfd: not a file descriptor of "
                         VHOST_BLK_DEV);
        goto close_vhost;
    }
    /* The vhost core reads IOTLB misses from it until there are none left. */
    if (!g_unix_set_fd_nonblocking(s->vhostfd, true, NULL)) {
        error_setg_errno(errp, errno, "vhostfd: could not set O_NONBLOCK");
        goto close_vhost;
    }
    return true;

close_vhost:
    close(s->vhostfd);
    s->vhostfd = -1;
    return false;
}

/*
 * Create worker number @w of @workers, and attach its queues: queue i is served
 * by worker i % @workers.
 */
static int vhost_blk_create_worker(VHostBlk *s, int w, int workers)
{
    struct vhost_worker_state worker = {};
    int i, ret;

    ret = vhost_blk_ioctl(s, VHOST_NEW_WORKER, &worker);
    for (i = w; !ret && i < s->num_queues; i += workers) {
        struct vhost_vring_worker attach = {
            .index = i,
            .worker_id = worker.worker_id,
        };

        ret = vhost_blk_ioctl(s, VHOST_ATTACH_VRING_WORKER, &attach);
    }
    return ret;
}

/*
 * Create the workers.  VHOST_SET_OWNER has created worker 0, which serves all
 * queues that are not attached to another worker.
 */
bool vhost_blk_create_workers(VHostBlk *s, Error **errp)
{
    ERRP_GUARD();
    bool wanted = s->workers != VHOST_BLK_AUTO_WORKERS;
    int workers = wanted ? s->workers : s->num_queues;
    int w, ret;

    for (w = 1; w < workers; w++) {
        ret = vhost_blk_create_worker(s, w, workers);
        if (!ret) {
            continue;
        }
        if (ret == -ENOTTY && wanted) {
            error_setg(errp, "workers: this kernel supports only one worker "
                       "per device");
            error_append_hint(errp, "More require Linux 6.5 or newer.\n");
        } else if (wanted) {
            error_setg_errno(errp, -ret, "workers: could not create worker "
                             "%d of %d", w + 1, workers);
        } else if (ret != -ENOTTY) {
            warn_report("vhost-blk: '%s': could not create one worker per "
                        "queue, using %d workers for %d queues: %s",
                        s->backend->name, w, workers, strerror(-ret));
        }
        return !wanted;
    }
    return true;
}

/* Set how long the workers poll an empty queue. */
bool vhost_blk_set_polling(VHostBlk *s, Error **errp)
{
    int i, ret;

    for (i = 0; s->poll_us && i < s->num_queues; i++) {
        struct vhost_vring_state state = { .index = i, .num = s->poll_us };

        ret = vhost_blk_ioctl(s, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &state);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "poll-us: the kernel does not accept "
                             "%u", s->poll_us);
            return false;
        }
    }
    return true;
}

/* Have @changed called when the configuration space changes. */
bool vhost_blk_init_config_notifier(VHostBlk *s,
                                    EventNotifierHandler *changed,
                                    Error **errp)
{
    int fd, ret;

    ret = event_notifier_init(&s->config_notifier, 0);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "could not create an eventfd for "
                         "configuration changes");
        return false;
    }
    fd = event_notifier_get_fd(&s->config_notifier);
    ret = vhost_blk_ioctl(s, VHOST_BLK_SET_CONFIG_CALL, &fd);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "VHOST_BLK_SET_CONFIG_CALL failed");
        event_notifier_cleanup(&s->config_notifier);
        return false;
    }
    event_notifier_set_handler(&s->config_notifier, changed);
    return true;
}

void vhost_blk_cleanup_config_notifier(VHostBlk *s)
{
    int none = -1;

    vhost_blk_ioctl(s, VHOST_BLK_SET_CONFIG_CALL, &none);
    event_notifier_set_handler(&s->config_notifier, NULL);
    event_notifier_cleanup(&s->config_notifier);
}

/*
 * Return the features that the kernel checks a file against.  It forgets that a
 * file was read-only when the file is detached, and the driver may not know it.
 * A driver that does not know zones cannot start the device.
 */
static uint64_t vhost_blk_features_in_use(VHostBlk *s)
{
    uint64_t features = vhost_blk_acked_features(s);

    if (vhost_blk_validate_features(VIRTIO_DEVICE(s)) < 0) {
        return 0;
    }
    if (features && s->ro) {
        virtio_add_feature(&features, VIRTIO_BLK_F_RO);
    }
    return features;
}

/*
 * Make @backend the backend of the device, with the file descriptor that its
 * node has now; it replaces a previous one.
 */
bool vhost_blk_attach(VHostBlk *s, VHostBlkBackend *backend, Error **errp)
{
    ERRP_GUARD();
    struct vhost_blk_backend arg = {
        .fd = vhost_blk_node_fd(backend),
        .flags = VHOST_BLK_BACKEND_F_ANY_RANGE,
        .block_size = MIN(vhost_blk_block_size(s, backend),
                          VHOST_BLK_MAX_BLOCK_SIZE),
    };
    uint64_t features = vhost_blk_features_in_use(s);
    int ret = 0;

    if (s->ro) {
        arg.flags |= VHOST_BLK_BACKEND_F_RO;
    }
    if (!vhost_blk_node_unmaps(backend)) {
        arg.flags |= VHOST_BLK_BACKEND_F_NO_UNMAP;
    }
    vhost_blk_remember_options(backend);
    if (s->serial) {
        memcpy(arg.serial, s->serial, strlen(s->serial));
    }
    /*
     * The kernel checks the backend against the negotiated features.  Until
     * the device is started, it has those of the previous start.
     */
    if (!vhost_dev_is_started(&s->dev)) {
        ret = vhost_blk_ioctl(s, VHOST_SET_FEATURES, &features);
    }
    if (!ret) {
        ret = vhost_blk_ioctl(s, VHOST_BLK_SET_BACKEND, &arg);
    }
    if (!ret) {
        ret = vhost_blk_sync_error_policy(s, backend->blk);
    }
    trace_vhost_blk_attach(backend->name, arg.fd, features, ret);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "%s: the kernel does not accept '%s'",
                         backend->prop, backend->name);
        if (ret == -EOPNOTSUPP && features) {
            error_append_hint(errp, "It lacks a feature that the guest "
                              "uses.\n");
        }
        return false;
    }
    backend->attached = vhost_blk_node_is_active(backend);
    return true;
}

/*
 * Take the file from the kernel.  The node may have another file descriptor by
 * now, and the locks of the one that the kernel has would remain when those of
 * the node are released.  The device must be stopped.
 */
int vhost_blk_detach(VHostBlk *s)
{
    struct vhost_blk_backend none = { .fd = -1 };
    int ret = vhost_blk_ioctl(s, VHOST_BLK_SET_BACKEND, &none);

    trace_vhost_blk_detach(s->backend->name, ret);
    if (ret < 0) {
        error_report("vhost-blk: could not detach '%s': %s", s->backend->name,
                     strerror(-ret));
    } else {
        s->backend->attached = false;
    }
    return ret;
}

/* Read the features and the configuration space, which the backend changes. */
int vhost_blk_refresh_config(VHostBlk *s)
{
    int ret = vhost_blk_ioctl(s, VHOST_GET_FEATURES, &s->dev.features);

    return ret < 0 ? ret : vhost_blk_fetch_config(s);
}
