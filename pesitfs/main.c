/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pesitfs: mounts the partners of a daemon. Exit codes: 0 unmounted in order, 1 could not mount, 2 wrong
 * arguments.
 */
#include "base/log.h"
#include "base/notify.h"
#include "pesitfs/change.h"
#include "pesitfs/counts.h"
#include "pesitfs/loop.h"
#include "pesitfs/mount.h"
#include "pesitfs/waiting.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define TELL_MS    500

#define DESCRIPTOR "pesitfs" /* its name at the service manager */

typedef struct {
    char *socket, *options;
    int ready_fd, uid, gid;
    gboolean foreground, version;
    gboolean hand_over, handed;
    const char *mountpoint;
} Arguments;

static bool parse_arguments(int *argc, char ***argv, Arguments *arguments, GError **error)
{
    const GOptionEntry entries[] = {
            {"socket", 's', 0, G_OPTION_ARG_FILENAME, &arguments->socket,
             "The daemon's socket (" CLIENT_DEFAULT_SOCKET ")", "PATH"},
            {"foreground", 'f', 0, G_OPTION_ARG_NONE, &arguments->foreground,
             "Stay in the foreground", NULL},
            {"option", 'o', 0, G_OPTION_ARG_STRING, &arguments->options,
             "Mount options of FUSE, comma-separated", "OPTIONS"},
            {"uid", 0, 0, G_OPTION_ARG_INT, &arguments->uid, "Owner of folders and files", "UID"},
            {"gid", 0, 0, G_OPTION_ARG_INT, &arguments->gid, "Group of folders and files", "GID"},
            {"ready-fd", 0, 0, G_OPTION_ARG_INT, &arguments->ready_fd,
             "Write READY to this descriptor once mounted", "N"},
            {"hand-over", 0, 0, G_OPTION_ARG_NONE, &arguments->hand_over,
             "Mount for a process that has no right to, by way of the service manager, and exit",
             NULL},
            {"handed", 0, 0, G_OPTION_ARG_NONE, &arguments->handed,
             "Serve what --hand-over has mounted", NULL},
            {"version", 0, 0, G_OPTION_ARG_NONE, &arguments->version, "Print the version and exit",
             NULL},
            {NULL},
    };
    GOptionContext *context = g_option_context_new("MOUNTPOINT");
    bool parsed;

    g_option_context_set_summary(context,
                                 "Mounts the partners of pesitd as folders: cp sends, cat fetches, "
                                 "exit codes tell the truth.\nSIGTERM unmounts.");
    g_option_context_add_main_entries(context, entries, NULL);
    parsed = g_option_context_parse(context, argc, argv, error);
    g_option_context_free(context);
    if (parsed && !arguments->version && *argc != 2) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "exactly one mount point is expected");
        return false;
    }
    arguments->mountpoint = parsed ? (*argv)[1] : NULL;
    return parsed;
}

static struct fuse_session *open_session(Mount *mount, const Arguments *arguments)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    g_autofree char *options = g_strconcat(
            "fsname=pesitfs,subtype=pesitfs,default_permissions,nosuid,nodev,noexec,noatime",
            geteuid() == 0 ? ",allow_other" : "", arguments->options != NULL ? "," : "",
            arguments->options != NULL ? arguments->options : "", NULL);
    struct fuse_session *session = NULL;

    if (fuse_opt_add_arg(&args, "pesitfs") == 0 && fuse_opt_add_arg(&args, "-o") == 0 &&
        fuse_opt_add_arg(&args, options) == 0)
        session = fuse_session_new(&args, &MOUNT_OPS, sizeof MOUNT_OPS, mount);
    fuse_opt_free_args(&args);
    return session;
}

/* Somebody must listen, or the mount would show nothing and say nothing. */
static bool reach_daemon(const char *path)
{
    if (client_is_answered(path))
        return true;
    fprintf(stderr, "pesitfs: cannot reach the daemon at '%s': %s\n", path, g_strerror(errno));
    return false;
}

static void on_stop(void *data)
{
    waiting_end(data);
}

static void on_tick(void *data)
{
    counts_tell(((Mount *)data)->client, TELL_MS);
}

/* A mount whose process was killed answers nothing, and would refuse a new one. */
static void clear_mountpoint(const char *path)
{
    struct stat stat_there;

    if (stat(path, &stat_there) != 0 && errno == ENOTCONN && umount2(path, MNT_DETACH) != 0)
        fprintf(stderr, "pesitfs: cannot unmount what a killed process left at '%s': %s\n", path,
                g_strerror(errno));
}

/* The manager has the mount's descriptor when this ends, and nobody else: it gives it to who is started next. */
static int hand_over(struct fuse_session *session, const char *mountpoint)
{
    if (fuse_session_mount(session, mountpoint) != 0)
        return EXIT_FAILURE;
    if (notify_store_descriptor(fuse_session_fd(session), DESCRIPTOR))
        return EXIT_SUCCESS;
    fprintf(stderr, "pesitfs: no service manager keeps the mount\n");
    fuse_session_unmount(session);
    return EXIT_FAILURE;
}

static bool mount_session(struct fuse_session *session, const Arguments *arguments)
{
    int fd = arguments->handed ? notify_take_descriptor(DESCRIPTOR) : -1;
    g_autofree char *name = fd >= 0 ? g_strdup_printf("/dev/fd/%d", fd) : NULL;

    if (!arguments->handed)
        return fuse_session_mount(session, arguments->mountpoint) == 0;
    if (fd < 0)
        fprintf(stderr, "pesitfs: no mount was handed over\n");
    return fd >= 0 && fuse_session_mount(session, name) == 0;
}

static int run(Mount *mount, const Arguments *arguments)
{
    struct fuse_session *session = open_session(mount, arguments);
    int code = EXIT_FAILURE;

    if (session == NULL)
        return EXIT_USAGE; /* libfuse has said which option */
    mount->session = session;
    loop_block_signals();
    if (!arguments->handed)
        clear_mountpoint(arguments->mountpoint);
    if (arguments->hand_over) {
        code = hand_over(session, arguments->mountpoint);
    } else if (mount_session(session, arguments)) {
        if (fuse_daemonize(arguments->foreground) == 0) {
            client_set_on_change(mount->client, change_take, mount);
            log_event(LOG_MOUNTED, "PATH", arguments->mountpoint, NULL);
            if (arguments->ready_fd >= 0 && write(arguments->ready_fd, "READY\n", 6) != 6)
                fprintf(stderr, "pesitfs: cannot tell readiness: %s\n", g_strerror(errno));
            notify_manager("READY=1");
            code = loop_run(session, &(LoopHooks){on_tick, on_stop, mount}) ? EXIT_SUCCESS
                                                                            : EXIT_FAILURE;
            on_tick(mount); /* the last of it */
        }
        fuse_session_unmount(session);
        log_event(LOG_UNMOUNTED, "PATH", arguments->mountpoint, NULL);
    }
    fuse_session_destroy(session);
    return code;
}

int main(int argc, char **argv)
{
    Arguments arguments = {.ready_fd = -1, .uid = (int)geteuid(), .gid = (int)getegid()};
    g_autoptr(GError) error = NULL;
    g_autofree char *socket = NULL, *mountpoint = NULL;
    Mount mount = {0};
    int code = EXIT_FAILURE;

    if (!parse_arguments(&argc, &argv, &arguments, &error)) {
        fprintf(stderr, "pesitfs: %s\nTry pesitfs --help.\n", error->message);
        return EXIT_USAGE;
    }
    if (arguments.version) {
        printf("pesitfs %s\n", PESITFS_VERSION);
        return EXIT_SUCCESS;
    }
    /* the program leaves its folder when it is mounted */
    socket = g_canonicalize_filename(
            arguments.socket != NULL ? arguments.socket : CLIENT_DEFAULT_SOCKET, NULL);
    mountpoint = g_canonicalize_filename(arguments.mountpoint, NULL);
    arguments.mountpoint = mountpoint;
    (void)signal(SIGPIPE, SIG_IGN);
    mount.uid = (uid_t)arguments.uid;
    mount.gid = (gid_t)arguments.gid;
    mount_init(&mount, client_new(socket));
    if (arguments.hand_over || reach_daemon(socket))
        code = run(&mount, &arguments);
    client_free(g_steal_pointer(&mount.client));
    mount_clear(&mount);
    g_free(arguments.options);
    g_free(arguments.socket);
    return code;
}
