/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify on the folders of the watched files, because a file that is replaced by rename is another file.
 * Main loop only.
 */
#include "daemon/watch.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define SETTLE_MS    200
#define EVENTS       (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE)
#define SWAPPED_LINK "..data" /* of a mounted Secret or ConfigMap */

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

        if (g_hash_table_contains(self->names, key))
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

void watch_add(Watch *self, const char *path)
{
    g_autofree char *folder = path != NULL ? g_path_get_dirname(path) : NULL;
    g_autofree char *name = path != NULL ? g_path_get_basename(path) : NULL;
    int wd = path != NULL ? inotify_add_watch(self->fd, folder, EVENTS) : -1;

    if (wd < 0)
        return; /* no such folder: the next reload by signal adds it */
    g_hash_table_add(self->names, g_strdup_printf("%d/%s", wd, name));
    g_hash_table_add(self->names, g_strdup_printf("%d/%s", wd, SWAPPED_LINK));
}
