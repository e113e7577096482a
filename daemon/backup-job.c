/* SPDX-License-Identifier: Apache-2.0 */
/* A thread makes it; the main loop answers. */
#include "daemon/backup-job.h"

#include "base/error.h"
#include "base/file.h"
#include "daemon/backup.h"

#include <stdatomic.h>

struct BackupJob {
    char *config_path;
    Config *config;
    Store *store;
    DoorCall *call;
    void (*on_end)(gpointer data);
    gpointer data;
    GThread *thread;
    guint end; /* source that the thread leaves */
    _Atomic bool cancelled;
    Fd fd;
    GError *error;
};

static void finish(BackupJob *self)
{
    if (self->fd >= 0)
        door_call_return(self->call, g_variant_new("(h)", 0), &self->fd, 1);
    else
        door_call_fail(self->call, self->error);
    g_clear_error(&self->error);
    fd_clear(&self->fd);
    config_unref(self->config);
    g_free(self->config_path);
    g_free(self);
}

static gboolean on_made(gpointer data)
{
    BackupJob *self = data;

    (void)g_thread_join(self->thread); /* nothing is returned */
    self->on_end(self->data);
    finish(self);
    return G_SOURCE_REMOVE;
}

static gpointer make(gpointer data)
{
    BackupJob *self = data;
    BackupSource source = {self->config_path, self->config, self->store, &self->cancelled};

    self->fd = backup_make(&source, &self->error);
    self->end = g_idle_add(on_made, self);
    return NULL;
}

BackupJob *backup_job_new(const char *config_path, Config *config, Store *store, DoorCall *call,
                          void (*on_end)(gpointer data), gpointer data)
{
    BackupJob *self = g_new0(BackupJob, 1);

    self->config_path = g_strdup(config_path);
    self->config = config_ref(config);
    self->store = store;
    self->call = call;
    self->on_end = on_end;
    self->data = data;
    self->fd = -1;
    atomic_init(&self->cancelled, false);
    self->thread = g_thread_new("backup", make, self);
    return self;
}

void backup_job_free(BackupJob *self)
{
    if (self == NULL)
        return;
    atomic_store(&self->cancelled, true);
    (void)g_thread_join(self->thread); /* nothing is returned */
    g_source_remove(self->end);
    finish(self);
}
