/*
 * qtest for vhost-blk-pci: devices that are refused when they are realized
 *
 * This test needs neither the kernel module nor root.  What comes later needs
 * the ioctls of /dev/vhost-blk, which no other file descriptor answers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"
#include "qapi/error.h"
#include "qapi/qmp/qdict.h"
#include "qapi/qmp/qjson.h"

/* Properties of a device, and a part of the message */
static const struct {
    const char *name;
    const char *properties;
    const char *message;
} refusals[] = {
    { "no-disk", "{}", "drive: missing" },
    { "no-drive", "{ 'drive': 'none' }", "'none'" },
    { "no-file", "{ 'path': '/no/such' }", "path: Could not open '/no/such'" },
    { "directory", "{ 'path': '/' }", "path: '/' is a directory" },
    { "character-device", "{ 'path': '/dev/null' }",
      "path: '/dev/null' is a character device" },
    { "two-disks", "{ 'path': 'x', 'fd': '9' }", "path: cannot be used" },
    { "path-and-drive", "{ 'path': 'x', 'drive': 'null' }",
      "drive: cannot be used" },
    { "fd", "{ 'fd': 'none' }", "fd: " },
    { "null-co", "{ 'drive': 'null' }", "driver 'null-co'" },
    { "direct", "{ 'drive': 'null', 'direct': 'on' }", "drive: cannot be used" },
    { "werror", "{ 'drive': 'null', 'werror': 'no' }", "werror" },
    { "queue-size", "{ 'drive': 'null', 'queue-size': 3 }", "queue-size: 3 " },
    { "num-queues", "{ 'drive': 'null', 'num-queues': 65 }",
      "num-queues: 65 " },
    { "workers", "{ 'drive': 'null', 'num-queues': 2, 'workers': 3 }",
      "workers: 3 " },
    { "serial", "{ 'drive': 'null', 'serial': '123456789012345678901' }",
      "serial: longer" },
    { "max-discard-sectors", "{ 'drive': 'null', 'max-discard-sectors': 0 }",
      "max-discard-sectors: 0 " },
};

static QTestState *start(void)
{
    return qtest_init("-machine pc -nodefaults "
                      "-blockdev null-co,node-name=null,size=1048576");
}

static void add_refused(QTestState *qts, QDict *arguments, const char *message)
{
    QDict *answer;
    const char *said;

    qdict_put_str(arguments, "driver", "vhost-blk-pci");
    answer = qtest_qmp(qts, "{ 'execute': 'device_add', 'arguments': %p }",
                       arguments);
    g_assert_true(qdict_haskey(answer, "error"));
    said = qdict_get_str(qdict_get_qdict(answer, "error"), "desc");
    if (!strstr(said, message)) {
        g_error("'%s' does not contain '%s'", said, message);
    }
    qobject_unref(answer);
}

static void refusal(const void *data)
{
    int i = GPOINTER_TO_INT(data);
    QTestState *qts = start();
    QObject *properties = qobject_from_json(refusals[i].properties,
                                            &error_abort);

    add_refused(qts, qobject_to(QDict, properties), refusals[i].message);
    qtest_quit(qts);
}

/* Give QEMU a descriptor of /dev/null, for one use as the property vhostfd. */
static void send_null(QTestState *qts)
{
    int fd = open("/dev/null", O_RDWR);
    QDict *answer;

    g_assert_cmpint(fd, >=, 0);
    answer = qtest_qmp_fds(qts, &fd, 1, "{ 'execute': 'getfd', 'arguments': "
                           "{ 'fdname': 'null' } }");
    g_assert_true(qdict_haskey(answer, "return"));
    qobject_unref(answer);
    close(fd);
}

/*
 * The disk is accepted, and /dev/vhost-blk is refused.  This leaves no lock, no
 * reference to the node and no node behind.
 */
static void clean_up(const char *property, const char *path)
{
    QTestState *qts = start();
    int i;

    qtest_qmp_assert_success(qts, "{ 'execute': 'blockdev-add', 'arguments': { "
                             "'driver': 'file', 'node-name': 'disk', "
                             "'filename': %s } }", path);
    for (i = 0; i < 3; i++) {
        QDict *arguments = qdict_new();

        send_null(qts);
        qdict_put_str(arguments, property, strcmp(property, "drive") ? path :
                                                                       "disk");
        qdict_put_str(arguments, "vhostfd", "null");
        add_refused(qts, arguments, "vhostfd: not a file descriptor of "
                    "/dev/vhost-blk");
    }
    qtest_qmp_assert_success(qts, "{ 'execute': 'blockdev-del', 'arguments': "
                             "{ 'node-name': 'disk' } }");
    qtest_quit(qts);
}

static void no_kernel(const void *property)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("vhost-blk-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, 1 << 20), ==, 0);
    close(fd);
    clean_up(property, path);
    unlink(path);
}

int main(int argc, char **argv)
{
    int i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(refusals); i++) {
        g_autofree char *name = g_strdup_printf("vhost-blk/refused/%s",
                                                refusals[i].name);

        qtest_add_data_func(name, GINT_TO_POINTER(i), refusal);
    }
    qtest_add_data_func("vhost-blk/no-kernel/drive", "drive", no_kernel);
    qtest_add_data_func("vhost-blk/no-kernel/path", "path", no_kernel);
    return g_test_run();
}
