/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Unix socket's other end, over sd-bus peer to peer without a bus. Who may connect is decided by the socket's
 * permission bits; the kernel says who called, whatever the caller says of itself. Main loop only.
 */
#include "daemon/local/door.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "daemon/local/bus-source.h"
#include "daemon/local/bus.h"
#include "daemon/local/interface.h"
#include "daemon/local/marshal.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG       256
#define PEERS_MAX     1024
#define PEERS_OF_USER 512
#define GUESTS_MAX    128 /* who have not said who they are */
#define GUESTS_OF_USER                                                                             \
    32 /* the oldest makes room for the next: who says nothing keeps nobody out */
#define PATIENCE_MS    3000    /* with each of them */
#define UNREAD_MAX     10000   /* messages that a peer does not read: it hangs */
#define LAST_WORDS_US  1000000 /* what was answered before a stop still leaves */
#define PAUSE_MS       100     /* without descriptors */
#define USEC_IN_MS     1000
#define INTROSPECTABLE "org.freedesktop.DBus.Introspectable"

struct DoorPeer {
    Door *door;
    sd_bus *bus; /* NULL: the daemon itself */
    GSource *source;
    guint patience; /* source that ends it, 0: he has said who he is */
    unsigned uid;
};

struct DoorCall {
    const Door *door;
    DoorPeer *peer; /* gone when it has closed */
    const DoorMethod *method;
    sd_bus_message *message; /* NULL: from inside */
    unsigned uid;
    char *actor, *origin, *correlation;
    bool is_for_other; /* whom the caller named */
    GVariant *parameters;
    Reply *reply;  /* from inside, or NULL */
    DoorThen then; /* from inside, when there is no reply */
    gpointer then_data;
    /* what is answered once the audit trail has it */
    sd_bus_message *answer;
    GError *error; /* or NULL: it was done */
};

/* A method with the type of its parameters. */
typedef struct {
    const DoorMethod *row;
    char *type;
} Entrance;

struct Door {
    char *path;
    int socket;
    GSource *listening;    /* or the pause that it makes */
    GHashTable *entrances; /* of Entrance, by name */
    gpointer data;
    void (*on_peer_closed)(DoorPeer *peer, gpointer data);
    GPtrArray *peers;    /* DoorPeer * */
    DoorPeer inside;     /* the daemon itself */
    DoorAuditor auditor; /* or NULL */
    gpointer auditor_data;
    bool closing;
};

static void listen_on(Door *self);

static void entrance_free(gpointer data)
{
    Entrance *entrance = data;

    g_free(entrance->type);
    g_free(entrance);
}

static void source_end(GSource **source)
{
    if (*source == NULL)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static void peer_free(gpointer data)
{
    DoorPeer *peer = data;

    source_end(&peer->source);
    if (peer->patience != 0)
        g_source_remove(peer->patience);
    sd_bus_close_unref(peer->bus);
    g_free(peer);
}

/* parameters: floating or taken. caller: NULL: the peer. */
static DoorCall *call_new(DoorPeer *peer, const DoorMethod *method, GVariant *parameters,
                          const DoorCaller *caller)
{
    DoorCall *call = g_new0(DoorCall, 1);

    call->door = peer->door;
    call->peer = peer;
    call->method = method;
    call->uid = peer->uid;
    call->parameters = g_variant_ref_sink(parameters);
    call->actor = caller != NULL ? g_strdup(caller->actor) : g_strdup_printf("uid:%u", peer->uid);
    call->origin = g_strdup(caller != NULL ? caller->origin : "local");
    call->correlation = caller != NULL ? g_strdup(caller->correlation) : NULL;
    return call;
}

static bool is_trusted(unsigned uid)
{
    return uid == 0 || uid == (unsigned)geteuid();
}

/* Whom a call is made for; only who may do all himself can speak for others. */
static void speak_for(DoorCall *call, const char *destination)
{
    guint64 uid = 0;

    if (destination == NULL || !g_str_has_prefix(destination, BUS_FOR_USER) ||
        !is_trusted(call->uid) ||
        !g_ascii_string_to_unsigned(destination + strlen(BUS_FOR_USER), 10, 0, G_MAXUINT32 - 1,
                                    &uid, NULL))
        return;
    g_free(call->actor);
    g_free(call->origin);
    call->actor = g_strdup_printf("uid:%" G_GUINT64_FORMAT, uid);
    call->origin = g_strdup_printf("mount of uid:%u", call->uid);
    call->is_for_other = true;
}

static void call_free(DoorCall *call)
{
    sd_bus_message_unref(call->message);
    sd_bus_message_unref(call->answer);
    g_clear_error(&call->error);
    g_free(call->actor);
    g_free(call->origin);
    g_free(call->correlation);
    if (call->reply != NULL)
        reply_unref(call->reply);
    g_variant_unref(call->parameters);
    g_free(call);
}

/* Who is let in may use the daemon; only root and its own user may administer it. call: taken. */
static void run(const DoorMethod *row, DoorCall *call, gpointer data)
{
    g_autoptr(GError) error = NULL;

    if (!row->trusted || is_trusted(call->uid)) {
        row->handler(call, call->parameters, data);
        return;
    }
    error = g_error_new(BASE_ERROR, BASE_ERROR_REFUSED,
                        "only root and the daemon's user may administer");
    door_call_fail(call, error);
}

static int introspect(sd_bus_message *message)
{
    return sd_bus_reply_method_return(message, "s", LOCAL_INTERFACE[0]);
}

static int on_message(sd_bus_message *message, void *data, sd_bus_error *ret_error)
{
    DoorPeer *peer = data;
    Door *door = peer->door;
    const char *name = sd_bus_message_get_member(message);
    const Entrance *entrance = name != NULL ? g_hash_table_lookup(door->entrances, name) : NULL;
    g_autoptr(DoorAnswer) parameters = NULL;
    DoorCall *call;

    if (sd_bus_message_is_method_call(message, INTROSPECTABLE, "Introspect") > 0)
        return introspect(message);
    if (door->closing)
        return 1; /* no answer */
    if (sd_bus_message_is_method_call(message, DOOR_INTERFACE, NULL) <= 0)
        return 0;
    if (entrance == NULL)
        return sd_bus_error_setf(ret_error, SD_BUS_ERROR_UNKNOWN_METHOD, "no method '%s'", name);
    parameters = marshal_read(message);
    if (parameters->error != NULL ||
        !g_variant_is_of_type(parameters->value, G_VARIANT_TYPE(entrance->type)))
        return sd_bus_error_setf(ret_error, SD_BUS_ERROR_INVALID_ARGS, "%s takes %s, not (%s)",
                                 name, entrance->type, sd_bus_message_get_signature(message, true));
    call = call_new(peer, entrance->row, parameters->value, NULL);
    call->message = sd_bus_message_ref(message);
    speak_for(call, sd_bus_message_get_destination(message));
    run(entrance->row, call, door->data);
    return 1;
}

static void on_closed(gpointer data)
{
    DoorPeer *peer = data;
    Door *door = peer->door;

    door->on_peer_closed(peer, door->data);
    g_ptr_array_remove(door->peers, peer); /* the oldest stay first */
}

/* What the kernel noted when it connected. */
static bool find_caller(int fd, unsigned *ret_uid)
{
    struct ucred caller;
    socklen_t length = sizeof caller;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &caller, &length) != 0)
        return false;
    *ret_uid = caller.uid;
    return true;
}

/* fd: taken. Negative errno. */
static int start_bus(DoorPeer *peer, int fd)
{
    sd_id128_t id;
    int failure = bus_new(fd, &peer->bus);

    if (failure >= 0)
        failure = sd_id128_randomize(&id);
    if (failure >= 0)
        failure = sd_bus_set_server(peer->bus, true, id);
    if (failure >= 0)
        failure = sd_bus_add_object(peer->bus, NULL, DOOR_OBJECT, on_message, peer);
    return failure >= 0 ? sd_bus_start(peer->bus) : failure;
}

static void refuse(const char *reason)
{
    log_event(LOG_DOOR_REFUSED, "REASON", reason, NULL);
}

/* Its source sees that it has ended. */
static void send_away(DoorPeer *peer)
{
    sd_bus_close(peer->bus);
}

static bool is_guest(const DoorPeer *peer)
{
    return sd_bus_is_ready(peer->bus) <= 0;
}

static gboolean on_patience_over(gpointer data)
{
    DoorPeer *peer = data;

    peer->patience = 0;
    if (is_guest(peer))
        send_away(peer);
    return G_SOURCE_REMOVE;
}

/* NULL, or why there is no room for one more of a user. */
static const char *make_room(Door *self, unsigned uid)
{
    unsigned of_user = 0, guests = 0, guests_of_user = 0;
    DoorPeer *oldest = NULL;

    for (guint i = 0; i < self->peers->len; i++) {
        DoorPeer *peer = g_ptr_array_index(self->peers, i);
        bool guest = is_guest(peer), open = sd_bus_is_open(peer->bus) > 0;

        of_user += peer->uid == uid && open;
        guests += guest && open;
        if (!guest || !open || peer->uid != uid)
            continue;
        guests_of_user++;
        oldest = oldest != NULL ? oldest : peer;
    }
    if (self->peers->len >= PEERS_MAX)
        return "too many connections";
    if (of_user >= PEERS_OF_USER)
        return "too many connections of one user";
    if (guests_of_user >= GUESTS_OF_USER)
        send_away(oldest);
    else if (guests >= GUESTS_MAX)
        return "too many callers that have not said who they are";
    return NULL;
}

/* fd: taken. */
static void welcome(Door *self, int fd)
{
    unsigned uid = 0;
    const char *refusal =
            find_caller(fd, &uid) ? make_room(self, uid) : "the peer shows no credentials";
    DoorPeer *peer;
    int failure;

    if (refusal != NULL) {
        refuse(refusal);
        (void)close(fd);
        return;
    }
    peer = g_new0(DoorPeer, 1);
    peer->door = self;
    peer->uid = uid;
    failure = start_bus(peer, fd);
    if (failure < 0) {
        if (failure != -ECONNRESET && failure != -EPIPE) /* it only looked whether we are here */
            refuse(g_strerror(-failure));
        peer_free(peer);
        return;
    }
    peer->source = bus_source_new(peer->bus, on_closed, peer);
    peer->patience = g_timeout_add(PATIENCE_MS, on_patience_over, peer);
    g_ptr_array_add(self->peers, peer);
}

static gboolean on_pause_over(gpointer data)
{
    Door *self = data;

    g_clear_pointer(&self->listening, g_source_unref);
    listen_on(self);
    return G_SOURCE_REMOVE;
}

/* Without descriptors, connections would be announced again and again. */
static void pause_listening(Door *self)
{
    source_end(&self->listening);
    self->listening = g_timeout_source_new(PAUSE_MS);
    g_source_set_callback(self->listening, on_pause_over, self, NULL);
    g_source_attach(self->listening, NULL);
}

static gboolean on_connection(gint socket, GIOCondition condition, gpointer data)
{
    Door *self = data;
    int fd = accept4(socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)condition;
    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
        return G_SOURCE_CONTINUE;
    if (fd < 0) {
        refuse(g_strerror(errno));
        pause_listening(self);
        return G_SOURCE_REMOVE;
    }
    welcome(self, fd);
    return G_SOURCE_CONTINUE;
}

static void listen_on(Door *self)
{
    self->listening = g_unix_fd_source_new(self->socket, G_IO_IN);
    g_source_set_callback(self->listening, G_SOURCE_FUNC(on_connection), self, NULL);
    g_source_attach(self->listening, NULL);
}

/* A socket left by a daemon that was killed is removed; one that answers belongs to somebody. */
static bool clear_path(const char *path, GError **error)
{
    int fd = bus_reach(path), failure = errno;
    struct stat stat;

    if (fd >= 0)
        (void)close(fd);
    if (fd >= 0 || failure == EAGAIN) /* or has no time to accept */
        g_set_error(error, BASE_ERROR, BASE_ERROR_BUSY, "another daemon answers at '%s'", path);
    else if (failure == ENAMETOOLONG)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "paths.socket: '%s' is longer than %zu bytes", path,
                    sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
    else if (lstat(path, &stat) == 0 && !S_ISSOCK(stat.st_mode))
        g_set_error(error, BASE_ERROR, BASE_ERROR_EXISTS, "paths.socket: '%s' is no socket", path);
    else if (failure != ENOENT && failure != ECONNREFUSED)
        error_set_errno(error, failure, "paths.socket: look who is at '%s'", path);
    else if (unlink(path) == 0 || errno == ENOENT)
        return true;
    else
        error_set_errno(error, errno, "remove '%s'", path);
    return false;
}

static bool bind_at(int fd, const char *path, unsigned mode, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mode_t before = umask(0177); /* nobody else between bind and chmod */
    int failure;

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    failure = bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ? errno : 0;
    (void)umask(before);
    if (failure != 0) {
        error_set_errno(error, failure, "paths.socket: bind '%s'", path);
        return false;
    }
    if (listen(fd, BACKLOG) == 0 && chmod(path, (mode_t)mode) == 0)
        return true;
    error_set_errno(error, errno, "paths.socket: open '%s'", path);
    return false;
}

static bool listen_at(Door *self, unsigned mode, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(self->path);

    if (g_mkdir_with_parents(folder, 0755) != 0) {
        error_set_errno(error, errno, "make the folder '%s'", folder);
        return false;
    }
    self->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (self->socket < 0) {
        error_set_errno(error, errno, "open a socket");
        return false;
    }
    if (!bind_at(self->socket, self->path, mode, error))
        return false;
    listen_on(self);
    return true;
}

/* The type of a method's parameters as one tuple. Returns new. */
static char *parameters_type(GDBusMethodInfo *method)
{
    GString *type = g_string_new("(");

    for (GDBusArgInfo **argument = method->in_args; argument != NULL && *argument != NULL;
         argument++)
        g_string_append(type, (*argument)->signature);
    return g_string_free(g_string_append_c(type, ')'), FALSE);
}

static bool read_interface(Door *self, const DoorMethod *methods, GError **error)
{
    GDBusNodeInfo *info = g_dbus_node_info_new_for_xml(LOCAL_INTERFACE[0], error);

    if (info == NULL)
        return false;
    for (const DoorMethod *row = methods; row->method != NULL; row++) {
        GDBusMethodInfo *method =
                g_dbus_interface_info_lookup_method(info->interfaces[0], row->method);
        Entrance *entrance = g_new0(Entrance, 1);

        g_assert(method != NULL); /* the table is ours */
        entrance->row = row;
        entrance->type = parameters_type(method);
        g_hash_table_insert(self->entrances, g_strdup(row->method), entrance);
    }
    g_dbus_node_info_unref(info);
    return true;
}

Door *door_open(const char *socket_path, unsigned socket_mode, const DoorMethod *methods,
                gpointer data, void (*on_peer_closed)(DoorPeer *peer, gpointer data),
                GError **error)
{
    Door *self = g_new0(Door, 1);

    self->path = g_strdup(socket_path);
    self->socket = -1;
    self->data = data;
    self->on_peer_closed = on_peer_closed;
    self->inside = (DoorPeer){.door = self, .uid = (unsigned)geteuid()};
    self->peers = g_ptr_array_new_with_free_func(peer_free);
    self->entrances = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entrance_free);
    if (!read_interface(self, methods, error) || !clear_path(socket_path, error) ||
        !listen_at(self, socket_mode, error)) {
        door_close(self);
        return NULL;
    }
    log_event(LOG_DOOR_OPENED, "PATH", socket_path, NULL);
    return self;
}

/* Sends what waits, as long as the peer reads it; a call that comes now gets no answer. */
static void finish_words(DoorPeer *peer, int64_t deadline_us)
{
    uint64_t waiting = 0;
    int64_t left_us = deadline_us - clock_now_us();

    while (sd_bus_get_n_queued_write(peer->bus, &waiting) >= 0 && waiting > 0 && left_us > 0) {
        struct pollfd writable = {.fd = sd_bus_get_fd(peer->bus), .events = POLLOUT};

        if (poll(&writable, 1, (int)(left_us / USEC_IN_MS) + 1) < 0 && errno != EINTR)
            return;
        if (sd_bus_process(peer->bus, NULL) < 0)
            return;
        left_us = deadline_us - clock_now_us();
    }
}

void door_close(Door *self)
{
    int64_t deadline_us = clock_now_us() + LAST_WORDS_US;

    if (self == NULL)
        return;
    self->closing = true;
    source_end(&self->listening);
    if (self->socket >= 0) {
        (void)close(self->socket);
        (void)unlink(self->path); /* ours: we listened there */
    }
    for (guint i = 0; i < self->peers->len; i++)
        finish_words(g_ptr_array_index(self->peers, i), deadline_us);
    g_ptr_array_unref(self->peers);
    g_hash_table_unref(self->entrances);
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

const char *door_call_actor(DoorCall *call)
{
    return call->actor;
}

const char *door_call_origin(DoorCall *call)
{
    return call->origin;
}

const char *door_call_correlation(DoorCall *call)
{
    return call->correlation;
}

bool door_call_is_trusted(DoorCall *call)
{
    return call->message != NULL && is_trusted(call->uid);
}

bool door_call_is_for_other(DoorCall *call)
{
    return call->is_for_other;
}

static void answer_inside(DoorCall *call, DoorAnswer *answer)
{
    if (call->then != NULL)
        call->then(answer, call->then_data);
    else
        reply_post(call->reply, answer);
    call_free(call);
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

static DoorCall *call_new_inside(Door *self, const Entrance *entrance, GVariant *parameters,
                                 const DoorCaller *caller)
{
    static const DoorCaller OURSELVES = {"pesitd", "local", NULL};

    return call_new(&self->inside, entrance != NULL ? entrance->row : NULL, parameters,
                    caller != NULL ? caller : &OURSELVES);
}

static void run_inside(Door *self, const Entrance *entrance, DoorCall *call)
{
    if (entrance != NULL)
        run(entrance->row, call, self->data);
    else
        return_inside(call, NULL, NULL, 0);
}

void door_call_inside(Door *self, const char *method, GVariant *parameters,
                      const DoorCaller *caller, Reply *reply)
{
    const Entrance *entrance = g_hash_table_lookup(self->entrances, method);
    DoorCall *call = call_new_inside(self, entrance, parameters, caller);

    call->reply = reply_ref(reply);
    run_inside(self, entrance, call);
}

void door_call_inside_then(Door *self, const char *method, GVariant *parameters,
                           const DoorCaller *caller, DoorThen then, gpointer data)
{
    const Entrance *entrance = g_hash_table_lookup(self->entrances, method);
    DoorCall *call = call_new_inside(self, entrance, parameters, caller);

    call->then = then;
    call->then_data = data;
    run_inside(self, entrance, call);
}

/* the audit trail */

void door_set_auditor(Door *self, DoorAuditor auditor, gpointer data)
{
    self->auditor = auditor;
    self->auditor_data = data;
}

/* The texts and numbers of the parameters in a line: what else is in them may be secret. Returns new. */
static char *dup_what(GVariant *parameters)
{
    GString *what = g_string_new(NULL);

    for (gsize i = 0; i < g_variant_n_children(parameters); i++) {
        g_autoptr(GVariant) part = g_variant_get_child_value(parameters, i);

        if (g_variant_is_of_type(part, G_VARIANT_TYPE_STRING))
            g_string_append_printf(what, "%s%s", i > 0 ? "/" : "",
                                   g_variant_get_string(part, NULL));
        else if (g_variant_is_of_type(part, G_VARIANT_TYPE_INT64))
            g_string_append_printf(what, "%s%" G_GINT64_FORMAT, i > 0 ? "/" : "",
                                   g_variant_get_int64(part));
    }
    return g_string_free(what, FALSE);
}

static void finish_outside(DoorCall *call)
{
    const Door *door = call->door;

    if (call->method->audited && door->auditor != NULL) {
        g_autofree char *what = dup_what(call->parameters);
        const DoorAct act = {call->actor, call->origin, call->method->method, what, call->error};

        door->auditor(call, &act, door->auditor_data);
    } else {
        door_call_complete(call);
    }
}

void door_call_complete(DoorCall *call)
{
    if (call->answer != NULL) /* to a peer that has gone it is no use to anybody */
        (void)sd_bus_send(NULL, call->answer, NULL);
    call_free(call);
}

void door_call_return(DoorCall *call, GVariant *value, const int *fds, size_t n)
{
    g_autoptr(GVariant) owned = value != NULL ? g_variant_ref_sink(value) : NULL;
    int failure;

    if (call->message == NULL) {
        return_inside(call, owned, fds, n);
        return;
    }
    failure = sd_bus_message_new_method_return(call->message, &call->answer);
    if (failure >= 0)
        failure = marshal_append(call->answer, owned, fds, n);
    if (failure < 0 && failure != -ENOTCONN) {
        g_autoptr(GError) error = g_error_new(BASE_ERROR, BASE_ERROR_IO, "hand over an answer: %s",
                                              g_strerror(-failure));

        call->answer = sd_bus_message_unref(call->answer);
        door_call_fail(call, error);
        return;
    }
    finish_outside(call);
}

static void fail_inside(DoorCall *call, const GError *error)
{
    DoorAnswer *answer = g_new0(DoorAnswer, 1);

    answer->error = g_error_copy(error);
    answer_inside(call, answer);
}

void door_call_fail(DoorCall *call, const GError *error)
{
    BaseError code = error->domain == BASE_ERROR ? (BaseError)error->code : BASE_ERROR_IO;
    g_autofree char *name = g_strconcat(DOOR_ERROR_PREFIX, base_error_name(code), NULL);
    g_autofree char *text = g_utf8_make_valid(error->message, -1); /* names of files may not be */

    if (call->message == NULL) {
        fail_inside(call, error);
        return;
    }
    g_strdelimit(name, "-", '_'); /* not allowed in names of errors */
    (void)sd_bus_message_new_method_errorf(call->message, &call->answer, name, "%s",
                                           text); /* out of memory: no answer */
    call->error = g_error_copy(error);
    finish_outside(call);
}

static void emit_to(DoorPeer *peer, const char *signal, GVariant *parameters)
{
    sd_bus_message *message = NULL;
    uint64_t unread = 0;

    if (sd_bus_message_new_signal(peer->bus, &message, DOOR_OBJECT, DOOR_INTERFACE, signal) >= 0 &&
        marshal_append(message, parameters, NULL, 0) >= 0)
        (void)sd_bus_send(peer->bus, message, NULL); /* a peer that goes now hears nothing: right */
    sd_bus_message_unref(message);
    if (sd_bus_get_n_queued_write(peer->bus, &unread) >= 0 && unread > UNREAD_MAX) {
        refuse("it does not read what it is told");
        send_away(peer);
    }
}

void door_emit(Door *self, const char *signal, GVariant *parameters)
{
    g_autoptr(GVariant) owned = g_variant_ref_sink(parameters);

    for (guint i = 0; i < self->peers->len; i++)
        emit_to(g_ptr_array_index(self->peers, i), signal, owned);
}
