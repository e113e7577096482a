/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify on the folders of the watched files, because a file that is replaced by rename is another file. So is one in a
 * folder that is replaced, or behind a link: every name on the way is watched in the folder that holds it. Main loop
 * only.
 */
#include "daemon/watch.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define SETTLE_MS 200
#define EVENTS    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE)
#define LINKS_MAX 40 /* as the kernel follows */

struct Watch {
    Fd fd;
    guint source, timer;
    GHashTable *names; /* "WD/name" */
    void (*on_change)(gpointer data);
    gpointer data;
};

static gboolean on_settled(gpointer data)
{
    Watch *self = data;

    self->timer = 0;
    self->on_change(self->data);
    return G_SOURCE_REMOVE;
}

static void touch(Watch *self)
{
    if (self->timer != 0)
        g_source_remove(self->timer);
    self->timer = g_timeout_add(SETTLE_MS, on_settled, self);
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer data)
{
    Watch *self = data;
    _Alignas(struct inotify_event) char events[4096];
    ssize_t length = read(fd, events, sizeof events);

    (void)condition;
    for (ssize_t at = 0; at < length;) {
        const struct inotify_event *event =
                (const struct inotify_event *)(const void *)(events + at);
        g_autofree char *key =
                g_strdup_printf("%d/%s", event->wd, event->len > 0 ? event->name : "");

        if (g_hash_table_contains(self->names, key) || (event->mask & IN_Q_OVERFLOW) != 0)
            touch(self);
        at += (ssize_t)(sizeof *event + event->len);
    }
    return G_SOURCE_CONTINUE;
}

Watch *watch_new(void (*on_change)(gpointer data), gpointer data, GError **error)
{
    Watch *self;
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0) {
        error_set_errno(error, errno, "watch files");
        return NULL;
    }
    self = g_new0(Watch, 1);
    self->fd = fd;
    self->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->on_change = on_change;
    self->data = data;
    self->source = g_unix_fd_add(fd, G_IO_IN, on_readable, self);
    return self;
}

void watch_free(Watch *self)
{
    if (self == NULL)
        return;
    if (self->timer != 0)
        g_source_remove(self->timer);
    g_source_remove(self->source);
    fd_clear(&self->fd);
    g_hash_table_unref(self->names);
    g_free(self);
}

void watch_clear(Watch *self)
{
    g_hash_table_remove_all(
            self->names); /* the folders stay known to the kernel: most are added again */
}

static void watch_name(Watch *self, const char *folder, const char *name)
{
    int wd = inotify_add_watch(self->fd, folder[0] != '\0' ? folder : ".", EVENTS);

    if (wd >= 0) /* no such folder: the next reload adds it */
        g_hash_table_add(self->names, g_strdup_printf("%d/%s", wd, name));
}

/* The path where a link in a folder leads, with what followed the link. Returns new, NULL when it is no link. */
static char *follow(const char *folder, const char *link, const char *rest)
{
    g_autofree char *target = g_file_read_link(link, NULL);

    if (target == NULL)
        return NULL;
    if (g_path_is_absolute(target))
        return g_build_filename(target, rest, NULL);
    return g_build_filename(folder, target, rest, NULL);
}

/* Watches up to the first link in the path, or to its end. Returns where it goes on, new, or NULL. */
static char *watch_to_link(Watch *self, const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    g_autofree char *folder = g_strdup(path[0] == '/' ? "/" : "");

    for (guint i = 0; parts[i] != NULL; i++) {
        g_autofree char *name = NULL, *rest = NULL;
        char *next;

        if (parts[i][0] == '\0')
            continue;
        name = g_build_filename(folder, parts[i], NULL);
        rest = g_strjoinv("/", parts + i + 1);
        next = follow(folder, name, rest);
        watch_name(self, folder, parts[i]);
        if (next != NULL)
            return next;
        g_free(folder);
        folder = g_steal_pointer(&name);
    }
    return NULL;
}

void watch_add(Watch *self, const char *path)
{
    char *at = g_strdup(path);

    for (unsigned links = 0; at != NULL && links < LINKS_MAX; links++) {
        char *next = watch_to_link(self, at);

        g_free(at);
        at = next;
    }
    g_free(at);
}
