/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local door seen from outside. One shared connection, made when needed and made again when the daemon
 * comes back; its lock is held only to swap the pointer. Signals arrive in a thread of the client's own.
 */
#include "daemon/local/client.h"

#include "base/clock.h"
#include "base/error.h"
#include "daemon/local/interface.h"

#include <gio/gunixfdlist.h>
#include <pthread.h>
#include <string.h>

#define RETRY_US   50000
#define USEC_IN_MS 1000
#define GRACE_MS   5000 /* beyond the time that the daemon itself was given */

struct Client {
    char *address;
    pthread_mutex_t lock; /* of connection */
    GDBusConnection *connection;
    void (*on_change)(const char *partner, const char *path, gpointer data);
    gpointer data;
    GThread *thread; /* hears signals, or NULL */
    GMainContext *context;
    GCancellable *stop;
};

Client *client_new(const char *socket_path)
{
    Client *self = g_new0(Client, 1);
    g_autofree char *escaped = g_dbus_address_escape_value(socket_path);

    self->address = g_strconcat("unix:path=", escaped, NULL);
    pthread_mutex_init(&self->lock, NULL);
    self->stop = g_cancellable_new();
    return self;
}

void client_free(Client *self)
{
    if (self == NULL)
        return;
    g_cancellable_cancel(self->stop);
    if (self->thread != NULL) {
        g_main_context_wakeup(self->context);
        g_thread_join(self->thread);
        g_main_context_unref(self->context);
    }
    if (self->connection != NULL) {
        (void)g_dbus_connection_close_sync(self->connection, NULL, NULL);
        g_object_unref(self->connection);
    }
    g_object_unref(self->stop);
    pthread_mutex_destroy(&self->lock);
    g_free(self->address);
    g_free(self);
}

/* the connection */

static GDBusConnection *ref_connection(Client *self, GError **error)
{
    GDBusConnection *connection = NULL;

    pthread_mutex_lock(&self->lock);
    if (self->connection != NULL && g_dbus_connection_is_closed(self->connection))
        g_clear_object(&self->connection);
    if (self->connection == NULL) {
        self->connection = g_dbus_connection_new_for_address_sync(
                self->address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, error);
        if (self->connection != NULL)
            g_dbus_connection_set_exit_on_close(self->connection, FALSE);
    }
    if (self->connection != NULL)
        connection = g_object_ref(self->connection);
    pthread_mutex_unlock(&self->lock);
    return connection;
}

/* The daemon's error as ours. */
static void take_error(GError **error, GError *from)
{
    g_autofree char *name = g_dbus_error_get_remote_error(from);
    BaseError code = BASE_ERROR_IO;

    if (name != NULL && g_str_has_prefix(name, DOOR_ERROR_PREFIX)) {
        g_autofree char *tail = g_strdelimit(g_strdup(name + strlen(DOOR_ERROR_PREFIX)), "_", '-');

        (void)base_error_from_name(tail, &code); /* unknown: IO */
        g_dbus_error_strip_remote_error(from);
    } else if (g_error_matches(from, G_IO_ERROR, G_IO_ERROR_TIMED_OUT)) {
        code = BASE_ERROR_TIMEOUT;
    } else if (g_error_matches(from, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        code = BASE_ERROR_CANCELLED;
    } else if (name == NULL) {
        code = BASE_ERROR_UNREACHABLE;
    }
    g_set_error_literal(error, BASE_ERROR, (int)code, from->message);
    g_error_free(from);
}

typedef struct {
    const char *method;
    bool once; /* not to be said twice: its effect cannot be known when the answer is lost */
} Method;

/* Calls; connects and waits for the daemon until the deadline. parameters: floating. */
static GVariant *call_with_fds(Client *self, Method method, GVariant *parameters,
                               unsigned timeout_ms, GCancellable *cancellable,
                               GUnixFDList **ret_fds, GError **error)
{
    g_autoptr(GVariant) owned = parameters != NULL ? g_variant_ref_sink(parameters) : NULL;
    int64_t deadline_us = clock_now_us() + (int64_t)timeout_ms * USEC_IN_MS;

    for (;;) {
        GError *failure = NULL;
        g_autoptr(GDBusConnection) connection = ref_connection(self, &failure);
        int64_t left_us = deadline_us - clock_now_us();
        bool sent = connection != NULL;

        if (connection != NULL) {
            GVariant *result = g_dbus_connection_call_with_unix_fd_list_sync(
                    connection, NULL, DOOR_OBJECT, DOOR_INTERFACE, method.method, owned, NULL,
                    G_DBUS_CALL_FLAGS_NONE, (int)MAX(left_us / USEC_IN_MS, 1), NULL, ret_fds,
                    cancellable, &failure);

            if (result != NULL)
                return result;
            if (!g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CLOSED) || method.once) {
                take_error(error, failure);
                return NULL;
            }
        }
        if (clock_now_us() + RETRY_US >= deadline_us ||
            (cancellable != NULL && g_cancellable_is_cancelled(cancellable))) {
            bool cancelled = cancellable != NULL && g_cancellable_is_cancelled(cancellable);

            g_set_error(error, BASE_ERROR,
                        cancelled ? BASE_ERROR_CANCELLED : BASE_ERROR_UNREACHABLE,
                        "%s the daemon: %s", sent ? "lost" : "cannot reach", failure->message);
            g_error_free(failure);
            return NULL;
        }
        g_error_free(failure);
        g_usleep(RETRY_US);
    }
}

static GVariant *call(Client *self, const char *name, GVariant *parameters, unsigned timeout_ms,
                      GError **error)
{
    return call_with_fds(self, (Method){name, false}, parameters, timeout_ms, NULL, NULL, error);
}

static bool call_done(Client *self, Method method, GVariant *parameters, unsigned timeout_ms,
                      GError **error)
{
    g_autoptr(GVariant) result =
            call_with_fds(self, method, parameters, timeout_ms, NULL, NULL, error);

    return result != NULL;
}

/* values */

void client_transfer_free(ClientTransfer *transfer)
{
    if (transfer == NULL)
        return;
    g_free(transfer->direction);
    g_free(transfer->state);
    g_free(transfer->partner);
    g_free(transfer->path);
    g_free(transfer->file_name);
    g_free(transfer->diag);
    g_free(transfer->cause);
    g_free(transfer->error);
    g_free(transfer->sha256);
    g_free(transfer->peer);
    g_free(transfer);
}

static char *take_text(GVariant *dictionary, const char *key)
{
    char *text = NULL;

    return g_variant_lookup(dictionary, key, "s", &text) ? text : g_strdup("");
}

static uint32_t take_u32(GVariant *dictionary, const char *key)
{
    uint32_t value = 0;

    return g_variant_lookup(dictionary, key, "u", &value) ? value : 0;
}

static uint64_t take_u64(GVariant *dictionary, const char *key)
{
    uint64_t value = 0;

    return g_variant_lookup(dictionary, key, "t", &value) ? value : 0;
}

static int64_t take_i64(GVariant *dictionary, const char *key)
{
    int64_t value = 0;

    return g_variant_lookup(dictionary, key, "x", &value) ? value : 0;
}

static bool take_bool(GVariant *dictionary, const char *key)
{
    gboolean value = FALSE;

    return g_variant_lookup(dictionary, key, "b", &value) && value;
}

/* dictionary: taken. */
static ClientTransfer *take_transfer(GVariant *dictionary)
{
    ClientTransfer *transfer = g_new0(ClientTransfer, 1);

    transfer->id = take_i64(dictionary, "id");
    transfer->direction = take_text(dictionary, "direction");
    transfer->state = take_text(dictionary, "state");
    transfer->partner = take_text(dictionary, "partner");
    transfer->path = take_text(dictionary, "path");
    transfer->file_name = take_text(dictionary, "file_name");
    transfer->file_type = take_u32(dictionary, "file_type");
    transfer->transfer_id = take_u32(dictionary, "transfer_id");
    transfer->size_bytes = take_u64(dictionary, "size_bytes");
    transfer->wire_bytes = take_u64(dictionary, "wire_bytes");
    transfer->articles = take_u64(dictionary, "articles");
    transfer->progress_bytes = take_u64(dictionary, "progress_bytes");
    transfer->mode = take_u32(dictionary, "mode");
    transfer->mtime_us = take_i64(dictionary, "mtime_us");
    transfer->created_us = take_i64(dictionary, "created_us");
    transfer->updated_us = take_i64(dictionary, "updated_us");
    transfer->finished_us = take_i64(dictionary, "finished_us");
    transfer->attempts = take_u32(dictionary, "attempts");
    transfer->next_retry_us = take_i64(dictionary, "next_retry_us");
    transfer->diag = take_text(dictionary, "diag");
    transfer->cause = take_text(dictionary, "cause");
    transfer->error = take_text(dictionary, "error");
    transfer->sha256 = take_text(dictionary, "sha256");
    transfer->peer = take_text(dictionary, "peer");
    transfer->data_kept = take_bool(dictionary, "data_kept");
    g_variant_unref(dictionary);
    return transfer;
}

static void free_transfer(gpointer transfer)
{
    client_transfer_free(transfer);
}

/* result: "(a{sv}…)" or NULL; taken. */
static ClientTransfer *take_first(GVariant *result)
{
    ClientTransfer *transfer;

    if (result == NULL)
        return NULL;
    transfer = take_transfer(g_variant_get_child_value(result, 0));
    g_variant_unref(result);
    return transfer;
}

static GPtrArray *take_list(GVariant *result)
{
    GPtrArray *transfers;
    g_autoptr(GVariant) list = NULL;

    if (result == NULL)
        return NULL;
    list = g_variant_get_child_value(result, 0);
    transfers = g_ptr_array_new_with_free_func(free_transfer);
    for (gsize i = 0; i < g_variant_n_children(list); i++)
        g_ptr_array_add(transfers, take_transfer(g_variant_get_child_value(list, i)));
    g_variant_unref(result);
    return transfers;
}

static void free_file(gpointer data)
{
    ClientFile *file = data;

    g_free(file->pattern);
    g_free(file->mode);
    g_free(file->commit);
    g_free(file->ack);
    g_free(file->existing);
    g_free(file);
}

static void free_partner(gpointer data)
{
    ClientPartner *partner = data;

    g_free(partner->name);
    g_ptr_array_unref(partner->files);
    g_free(partner);
}

static ClientPartner *take_partner(GVariant *dictionary)
{
    ClientPartner *partner = g_new0(ClientPartner, 1);
    g_autoptr(GVariant) files =
            g_variant_lookup_value(dictionary, "files", G_VARIANT_TYPE("aa{sv}"));

    partner->name = take_text(dictionary, "name");
    partner->enabled = take_bool(dictionary, "enabled");
    partner->files = g_ptr_array_new_with_free_func(free_file);
    for (gsize i = 0; files != NULL && i < g_variant_n_children(files); i++) {
        g_autoptr(GVariant) row = g_variant_get_child_value(files, i);
        ClientFile *file = g_new0(ClientFile, 1);

        file->pattern = take_text(row, "pattern");
        file->mode = take_text(row, "mode");
        file->commit = take_text(row, "commit");
        file->ack = take_text(row, "ack");
        file->existing = take_text(row, "existing");
        file->wait_s = take_u32(row, "wait_s");
        file->allow_empty = take_bool(row, "allow_empty");
        g_ptr_array_add(partner->files, file);
    }
    g_variant_unref(dictionary);
    return partner;
}

/* calls */

GPtrArray *client_load_tree(Client *self, unsigned timeout_ms, uint64_t *ret_generation,
                            GError **error)
{
    g_autoptr(GVariant) result = call(self, "Tree", NULL, timeout_ms, error);
    g_autoptr(GVariant) list = NULL;
    GPtrArray *partners;

    if (result == NULL)
        return NULL;
    g_variant_get_child(result, 0, "t", ret_generation);
    list = g_variant_get_child_value(result, 1);
    partners = g_ptr_array_new_with_free_func(free_partner);
    for (gsize i = 0; i < g_variant_n_children(list); i++)
        g_ptr_array_add(partners, take_partner(g_variant_get_child_value(list, i)));
    return partners;
}

/* The descriptor that a handle of a result names. */
static int take_fd(GUnixFDList *fds, int index, GError **error)
{
    GError *failure = NULL;
    int fd = fds != NULL ? g_unix_fd_list_get(fds, index, &failure) : -1;

    if (fd < 0) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_IO, "the daemon passed no descriptor%s%s",
                    failure != NULL ? ": " : "", failure != NULL ? failure->message : "");
        g_clear_error(&failure);
    }
    return fd;
}

int client_stage(Client *self, const char *partner, const char *path, bool scratch,
                 unsigned timeout_ms, int64_t *ret_staging_id, GError **error)
{
    g_autoptr(GUnixFDList) fds = NULL;
    g_autoptr(GVariant) result = call_with_fds(self, (Method){"Stage", true},
                                               g_variant_new("(ssb)", partner, path, scratch),
                                               timeout_ms, NULL, &fds, error);
    gint32 handle = 0;

    if (result == NULL)
        return -1;
    g_variant_get(result, "(xh)", ret_staging_id, &handle);
    return take_fd(fds, handle, error);
}

ClientTransfer *client_commit(Client *self, int64_t staging_id, const char *partner,
                              const char *path, uint32_t mode, int64_t mtime_us, bool noreplace,
                              unsigned timeout_ms, GError **error)
{
    GVariantDict attributes;

    g_variant_dict_init(&attributes, NULL);
    g_variant_dict_insert(&attributes, "mode", "u", mode);
    g_variant_dict_insert(&attributes, "mtime_us", "x", mtime_us);
    g_variant_dict_insert(&attributes, "noreplace", "b", noreplace);
    return take_first(call_with_fds(self, (Method){"Commit", true},
                                    g_variant_new("(xss@a{sv})", staging_id, partner, path,
                                                  g_variant_dict_end(&attributes)),
                                    timeout_ms, NULL, NULL, error));
}

bool client_discard(Client *self, int64_t staging_id, unsigned timeout_ms, GError **error)
{
    return call_done(self, (Method){"Discard", true}, g_variant_new("(x)", staging_id), timeout_ms,
                     error);
}

ClientTransfer *client_wait(Client *self, int64_t id, unsigned wait_ms, GCancellable *cancellable,
                            GError **error)
{
    return take_first(call_with_fds(self, (Method){"Wait", false},
                                    g_variant_new("(xu)", id, wait_ms), wait_ms + GRACE_MS,
                                    cancellable, NULL, error));
}

ClientTransfer *client_find(Client *self, const char *partner, const char *path,
                            unsigned timeout_ms, GError **error)
{
    return take_first(call(self, "Find", g_variant_new("(ss)", partner, path), timeout_ms, error));
}

GPtrArray *client_list(Client *self, const char *partner, const char *folder, const char *after,
                       uint32_t limit, unsigned timeout_ms, GError **error)
{
    return take_list(call(self, "List", g_variant_new("(sssu)", partner, folder, after, limit),
                          timeout_ms, error));
}

int client_open(Client *self, int64_t id, unsigned timeout_ms, GError **error)
{
    g_autoptr(GUnixFDList) fds = NULL;
    g_autoptr(GVariant) result = call_with_fds(
            self, (Method){"Open", false}, g_variant_new("(x)", id), timeout_ms, NULL, &fds, error);

    return result != NULL ? take_fd(fds, 0, error) : -1;
}

ClientTransfer *client_fetch(Client *self, const char *partner, const char *path, unsigned wait_ms,
                             GCancellable *cancellable, int *ret_fd, GError **error)
{
    g_autoptr(GUnixFDList) fds = NULL;
    GVariant *result = call_with_fds(self, (Method){"Fetch", false},
                                     g_variant_new("(ssu)", partner, path, wait_ms),
                                     wait_ms + GRACE_MS, cancellable, &fds, error);

    *ret_fd = -1;
    if (result != NULL && fds != NULL && g_unix_fd_list_get_length(fds) > 0)
        *ret_fd = g_unix_fd_list_get(fds, 0, NULL);
    return take_first(result);
}

bool client_remove(Client *self, const char *partner, const char *path, unsigned timeout_ms,
                   GError **error)
{
    return call_done(self, (Method){"Remove", true}, g_variant_new("(ss)", partner, path),
                     timeout_ms, error);
}

bool client_touch(Client *self, int64_t id, const uint32_t *mode, const int64_t *mtime_us,
                  unsigned timeout_ms, GError **error)
{
    GVariantDict attributes;

    g_variant_dict_init(&attributes, NULL);
    if (mode != NULL)
        g_variant_dict_insert(&attributes, "mode", "u", *mode);
    if (mtime_us != NULL)
        g_variant_dict_insert(&attributes, "mtime_us", "x", *mtime_us);
    return call_done(self, (Method){"Touch", false},
                     g_variant_new("(x@a{sv})", id, g_variant_dict_end(&attributes)), timeout_ms,
                     error);
}

bool client_space(Client *self, unsigned timeout_ms, uint64_t *ret_total, uint64_t *ret_available,
                  GError **error)
{
    g_autoptr(GVariant) result = call(self, "Space", NULL, timeout_ms, error);

    if (result == NULL)
        return false;
    g_variant_get(result, "(tt)", ret_total, ret_available);
    return true;
}

GPtrArray *client_history(Client *self, const char *partner, const char *const *states,
                          const char *const *directions, int64_t before_id, uint32_t limit,
                          unsigned timeout_ms, GError **error)
{
    GVariantDict filters;

    g_variant_dict_init(&filters, NULL);
    if (partner != NULL)
        g_variant_dict_insert(&filters, "partner", "s", partner);
    if (states != NULL)
        g_variant_dict_insert_value(&filters, "states", g_variant_new_strv(states, -1));
    if (directions != NULL)
        g_variant_dict_insert_value(&filters, "directions", g_variant_new_strv(directions, -1));
    g_variant_dict_insert(&filters, "before_id", "x", before_id);
    g_variant_dict_insert(&filters, "limit", "u", limit);
    return take_list(call(self, "History", g_variant_new("(@a{sv})", g_variant_dict_end(&filters)),
                          timeout_ms, error));
}

ClientTransfer *client_get(Client *self, int64_t id, unsigned timeout_ms, GError **error)
{
    return take_first(call(self, "Get", g_variant_new("(x)", id), timeout_ms, error));
}

bool client_retry(Client *self, int64_t id, unsigned timeout_ms, GError **error)
{
    return call_done(self, (Method){"Retry", true}, g_variant_new("(x)", id), timeout_ms, error);
}

bool client_cancel(Client *self, int64_t id, unsigned timeout_ms, GError **error)
{
    return call_done(self, (Method){"Cancel", true}, g_variant_new("(x)", id), timeout_ms, error);
}

GVariant *client_status(Client *self, unsigned timeout_ms, GError **error)
{
    g_autoptr(GVariant) result = call(self, "Status", NULL, timeout_ms, error);

    return result != NULL ? g_variant_get_child_value(result, 0) : NULL;
}

bool client_reload(Client *self, unsigned timeout_ms, GError **error)
{
    return call_done(self, (Method){"Reload", true}, NULL, timeout_ms, error);
}

/* signals */

static void on_signal(GDBusConnection *connection, const char *sender, const char *path,
                      const char *interface, const char *signal, GVariant *parameters,
                      gpointer data)
{
    Client *self = data;

    (void)connection, (void)sender, (void)path, (void)interface;
    if (strcmp(signal, "EntryChanged") == 0 &&
        g_variant_is_of_type(parameters, G_VARIANT_TYPE("(ss)"))) {
        const char *partner, *changed;

        g_variant_get(parameters, "(&s&s)", &partner, &changed);
        self->on_change(partner, changed, self->data);
    } else {
        self->on_change(NULL, NULL, self->data);
    }
}

static void on_closed(GDBusConnection *connection, gboolean vanished, GError *error, gpointer data)
{
    (void)connection, (void)vanished, (void)error;
    g_main_context_wakeup(data);
}

static gboolean wake(gpointer data)
{
    (void)data;
    return G_SOURCE_REMOVE;
}

/* Sleeps in the context, so that a stop wakes it. */
static void pause_us(Client *self, int64_t us)
{
    GSource *timer = g_timeout_source_new((guint)(us / USEC_IN_MS));

    g_source_set_callback(timer, wake, NULL, NULL);
    g_source_attach(timer, self->context);
    g_main_context_iteration(self->context, TRUE);
    g_source_destroy(timer);
    g_source_unref(timer);
}

static gpointer hear(gpointer data)
{
    Client *self = data;

    g_main_context_push_thread_default(self->context);
    while (!g_cancellable_is_cancelled(self->stop)) {
        g_autoptr(GDBusConnection) connection = ref_connection(self, NULL);
        gulong handler;
        guint subscription;

        if (connection == NULL) {
            pause_us(self, RETRY_US * 4);
            continue;
        }
        handler = g_signal_connect(connection, "closed", G_CALLBACK(on_closed), self->context);
        subscription = g_dbus_connection_signal_subscribe(
                connection, NULL, DOOR_INTERFACE, NULL, DOOR_OBJECT, NULL, G_DBUS_SIGNAL_FLAGS_NONE,
                on_signal, self, NULL);
        self->on_change(NULL, NULL, self->data);
        while (!g_cancellable_is_cancelled(self->stop) && !g_dbus_connection_is_closed(connection))
            g_main_context_iteration(self->context, TRUE);
        g_dbus_connection_signal_unsubscribe(connection, subscription);
        g_signal_handler_disconnect(connection, handler);
        while (g_main_context_iteration(self->context, FALSE))
            ;
    }
    g_main_context_pop_thread_default(self->context);
    return NULL;
}

void client_set_on_change(Client *self,
                          void (*on_change)(const char *partner, const char *path, gpointer data),
                          gpointer data)
{
    self->on_change = on_change;
    self->data = data;
    self->context = g_main_context_new();
    self->thread = g_thread_new("door", hear, self);
}
