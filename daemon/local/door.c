/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Unix socket's other end, over GDBus peer to peer without a bus. Who may connect is decided by the
 * socket's permission bits; the kernel says who called. Main loop only.
 */
#include "daemon/local/door.h"

#include "base/error.h"
#include "base/log.h"
#include "daemon/local/interface.h"
#include "daemon/local/lobby.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG           128
#define PEERS_OF_USER_MAX 512

struct DoorPeer {
    Door *door;
    GDBusConnection *connection;
    gulong closed_handler;
    unsigned uid;
};

struct DoorCall {
    DoorPeer *peer;
    GDBusMethodInvocation *invocation; /* NULL: from inside */
    unsigned uid;
    GVariant *parameters; /* from inside: kept as long as the call */
    Reply *reply;
};

struct Door {
    char *path;
    GSocketService *service;
    Lobby *lobby;
    GDBusNodeInfo *info;
    const DoorMethod *methods;
    gpointer data;
    void (*on_peer_closed)(DoorPeer *peer, gpointer data);
    GPtrArray *peers; /* DoorPeer * */
    DoorPeer inside;  /* the daemon itself */
    bool bound;
};

static void peer_free(gpointer data)
{
    DoorPeer *peer = data;

    g_signal_handler_disconnect(peer->connection, peer->closed_handler);
    g_object_unref(peer->connection);
    g_free(peer);
}

/* Who is let in may use the daemon; only root and its own user may administer it. */
static void run(const DoorMethod *row, DoorCall *call, GVariant *parameters, gpointer data)
{
    g_autoptr(GError) error = NULL;

    if (!row->trusted || call->uid == 0 || call->uid == (unsigned)geteuid()) {
        row->handler(call, parameters, data);
        return;
    }
    error = g_error_new(BASE_ERROR, BASE_ERROR_REFUSED,
                        "only root and the daemon's user may administer");
    door_call_fail(call, error);
}

static void on_method(GDBusConnection *connection, const char *sender, const char *path,
                      const char *interface, const char *method, GVariant *parameters,
                      GDBusMethodInvocation *invocation, gpointer data)
{
    DoorPeer *peer = data;

    (void)connection, (void)sender, (void)path, (void)interface;
    for (const DoorMethod *row = peer->door->methods; row->method != NULL; row++) {
        DoorCall *call;

        if (strcmp(row->method, method) != 0)
            continue;
        call = g_new0(DoorCall, 1);
        call->peer = peer;
        call->uid = peer->uid;
        call->invocation = invocation;
        run(row, call, parameters, peer->door->data);
        return;
    }
    g_dbus_method_invocation_return_error(invocation, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD,
                                          "no method '%s'", method);
}

static void on_closed(GDBusConnection *connection, gboolean vanished, GError *error, gpointer data)
{
    DoorPeer *peer = data;
    Door *door = peer->door;

    (void)connection, (void)vanished, (void)error;
    door->on_peer_closed(peer, door->data);
    g_ptr_array_remove_fast(door->peers, peer);
}

/* What the kernel noted when it connected, not what it said. */
static bool find_caller(GSocketConnection *stream, unsigned *ret_uid)
{
    GSocket *door = g_socket_connection_get_socket(stream);
    struct ucred caller;
    socklen_t length = sizeof caller;

    if (getsockopt(g_socket_get_fd(door), SOL_SOCKET, SO_PEERCRED, &caller, &length) != 0)
        return false;
    *ret_uid = caller.uid;
    return true;
}

static unsigned count_peers(const Door *self, unsigned uid)
{
    unsigned count = 0;

    for (guint i = 0; i < self->peers->len; i++)
        count += ((const DoorPeer *)g_ptr_array_index(self->peers, i))->uid == uid ? 1 : 0;
    return count;
}

static gboolean on_connection(GSocketService *service, GSocketConnection *stream, GObject *source,
                              gpointer data)
{
    const Door *self = data;
    const char *refusal = NULL;
    unsigned uid = 0;

    (void)service, (void)source;
    if (!find_caller(stream, &uid))
        refusal = "the peer shows no credentials";
    else if (count_peers(self, uid) >= PEERS_OF_USER_MAX)
        refusal = "too many connections of one user";
    else
        refusal = lobby_admit(self->lobby, stream, uid);
    if (refusal != NULL)
        log_event(LOG_DOOR_REFUSED, "REASON", refusal, NULL);
    return TRUE;
}

static void on_greeted(GDBusConnection *connection, unsigned uid, gpointer data)
{
    static const GDBusInterfaceVTable TABLE = {.method_call = on_method};
    Door *self = data;
    DoorPeer *peer = g_new0(DoorPeer, 1);

    peer->door = self;
    peer->connection = g_object_ref(connection);
    peer->uid = uid;
    peer->closed_handler = g_signal_connect(connection, "closed", G_CALLBACK(on_closed), peer);
    g_ptr_array_add(self->peers, peer);
    /* cannot fail: the path is free on a new connection */
    (void)g_dbus_connection_register_object(connection, DOOR_OBJECT, self->info->interfaces[0],
                                            &TABLE, peer, NULL, NULL);
    g_dbus_connection_start_message_processing(connection);
}

/* A socket left by a daemon that was killed is removed; one that answers belongs to somebody. */
static bool clear_path(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat stat;
    int fd;
    bool answers;

    if (strlen(path) >= sizeof address.sun_path) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "paths.socket: '%s' is longer than %zu bytes", path,
                    sizeof address.sun_path - 1);
        return false;
    }
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error_set_errno(error, errno, "open a socket");
        return false;
    }
    answers = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    (void)close(fd);
    if (answers) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_BUSY, "another daemon answers at '%s'", path);
        return false;
    }
    if (lstat(path, &stat) == 0 && !S_ISSOCK(stat.st_mode)) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_EXISTS, "paths.socket: '%s' is no socket", path);
        return false;
    }
    if (unlink(path) == 0 || errno == ENOENT)
        return true;
    error_set_errno(error, errno, "remove '%s'", path);
    return false;
}

static bool listen_at(Door *self, unsigned mode, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(self->path);
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(self->path);
    mode_t before;
    bool listens;

    if (g_mkdir_with_parents(folder, 0755) != 0) {
        error_set_errno(error, errno, "make the folder '%s'", folder);
        return false;
    }
    before = umask(0177); /* nobody else between bind and chmod */
    listens = g_socket_listener_add_address(G_SOCKET_LISTENER(self->service), address,
                                            G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL,
                                            NULL, error);
    (void)umask(before);
    if (!listens) {
        g_prefix_error(error, "paths.socket: ");
        return false;
    }
    self->bound = true;
    if (chmod(self->path, (mode_t)mode) != 0) {
        error_set_errno(error, errno, "chmod '%s'", self->path);
        return false;
    }
    g_signal_connect(self->service, "incoming", G_CALLBACK(on_connection), self);
    g_socket_service_start(self->service);
    return true;
}

Door *door_open(const char *socket_path, unsigned socket_mode, const DoorMethod *methods,
                gpointer data, void (*on_peer_closed)(DoorPeer *peer, gpointer data),
                GError **error)
{
    Door *self = g_new0(Door, 1);

    self->path = g_strdup(socket_path);
    self->methods = methods;
    self->data = data;
    self->on_peer_closed = on_peer_closed;
    self->inside = (DoorPeer){.door = self, .uid = (unsigned)geteuid()};
    self->peers = g_ptr_array_new_with_free_func(peer_free);
    self->lobby = lobby_new(on_greeted, self);
    self->service = g_socket_service_new();
    g_socket_service_stop(self->service); /* it begins when the socket has its rights */
    g_socket_listener_set_backlog(G_SOCKET_LISTENER(self->service), BACKLOG);
    self->info = g_dbus_node_info_new_for_xml(LOCAL_INTERFACE[0], error);
    if (self->info == NULL || !clear_path(socket_path, error) ||
        !listen_at(self, socket_mode, error)) {
        door_close(self);
        return NULL;
    }
    log_event(LOG_DOOR_OPENED, "PATH", socket_path, NULL);
    return self;
}

void door_close(Door *self)
{
    if (self == NULL)
        return;
    g_socket_service_stop(self->service);
    g_socket_listener_close(G_SOCKET_LISTENER(self->service));
    g_object_unref(self->service);
    if (self->bound)
        (void)unlink(self->path); /* ours: we listened there */
    lobby_free(self->lobby);
    for (guint i = 0; i < self->peers->len; i++) {
        DoorPeer *peer = g_ptr_array_index(self->peers, i);

        /* what was answered last still leaves */
        (void)g_dbus_connection_flush_sync(peer->connection, NULL, NULL);
        g_signal_handler_block(peer->connection, peer->closed_handler);
        (void)g_dbus_connection_close_sync(peer->connection, NULL, NULL);
    }
    g_ptr_array_unref(self->peers);
    g_clear_pointer(&self->info, g_dbus_node_info_unref);
    g_free(self->path);
    g_free(self);
}

DoorPeer *door_call_peer(DoorCall *call)
{
    return call->peer;
}

unsigned door_call_uid(DoorCall *call)
{
    return call->uid;
}

void door_answer_free(DoorAnswer *answer)
{
    if (answer == NULL)
        return;
    for (size_t i = 0; i < answer->fd_count; i++) {
        if (answer->fds[i] >= 0)
            (void)close(answer->fds[i]);
    }
    if (answer->value != NULL)
        g_variant_unref(answer->value);
    g_clear_error(&answer->error);
    g_free(answer);
}

static void answer_inside(DoorCall *call, DoorAnswer *answer)
{
    reply_post(call->reply, answer);
    reply_unref(call->reply);
    g_variant_unref(call->parameters);
    g_free(call);
}

static void return_inside(DoorCall *call, GVariant *value, const int *fds, size_t n)
{
    DoorAnswer *answer = g_new0(DoorAnswer, 1);

    answer->value = value != NULL ? g_variant_ref_sink(value) : NULL;
    for (size_t i = 0; i < n && i < ANSWER_FDS_MAX; i++) {
        int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

        answer->fds[answer->fd_count++] = copy;
        if (copy < 0 && answer->error == NULL)
            error_set_errno(&answer->error, errno, "hand over a descriptor");
    }
    answer_inside(call, answer);
}

void door_call_inside(Door *self, const char *method, GVariant *parameters, Reply *reply)
{
    DoorCall *call = g_new0(DoorCall, 1);

    call->peer = &self->inside;
    call->uid = self->inside.uid;
    call->parameters = g_variant_ref_sink(parameters);
    call->reply = reply_ref(reply);
    for (const DoorMethod *row = self->methods; row->method != NULL; row++) {
        if (strcmp(row->method, method) == 0) {
            run(row, call, call->parameters, self->data);
            return;
        }
    }
    return_inside(call, NULL, NULL, 0);
}

void door_call_return(DoorCall *call, GVariant *value, const int *fds, size_t n)
{
    g_autoptr(GUnixFDList) list = n > 0 ? g_unix_fd_list_new() : NULL;
    g_autoptr(GVariant) owned = value != NULL ? g_variant_ref_sink(value) : NULL;
    g_autoptr(GError) error = NULL;

    if (call->invocation == NULL) {
        return_inside(call, owned, fds, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (g_unix_fd_list_append(list, fds[i], &error) < 0) {
            g_autoptr(GError) own = g_error_new(BASE_ERROR, BASE_ERROR_IO,
                                                "hand over a descriptor: %s", error->message);

            door_call_fail(call, own);
            return;
        }
    }
    g_dbus_method_invocation_return_value_with_unix_fd_list(call->invocation, owned, list);
    g_free(call);
}

void door_call_fail(DoorCall *call, const GError *error)
{
    BaseError code = error->domain == BASE_ERROR ? (BaseError)error->code : BASE_ERROR_IO;
    g_autofree char *name = g_strconcat(DOOR_ERROR_PREFIX, base_error_name(code), NULL);

    if (call->invocation == NULL) {
        DoorAnswer *answer = g_new0(DoorAnswer, 1);

        answer->error = g_error_copy(error);
        answer_inside(call, answer);
        return;
    }
    g_strdelimit(name, "-", '_'); /* not allowed in names of errors */
    g_dbus_method_invocation_return_dbus_error(call->invocation, name, error->message);
    g_free(call);
}

void door_emit(Door *self, const char *signal, GVariant *parameters)
{
    g_autoptr(GVariant) owned = g_variant_ref_sink(parameters);

    for (guint i = 0; i < self->peers->len; i++) {
        DoorPeer *peer = g_ptr_array_index(self->peers, i);

        /* a peer that goes now hears nothing: right */
        (void)g_dbus_connection_emit_signal(peer->connection, NULL, DOOR_OBJECT, DOOR_INTERFACE,
                                            signal, owned, NULL);
    }
}
