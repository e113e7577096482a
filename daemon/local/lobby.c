/* SPDX-License-Identifier: Apache-2.0 */
/* A guest has a thread that greets him and a timer that ends it by closing his socket. The oldest of a user who has too
 * many makes room for his next, so that who says nothing keeps nobody out. */
#include "daemon/local/lobby.h"

#include "daemon/local/handshake.h"

#include <stdbool.h>
#include <sys/socket.h>

#define GUESTS_MAX         64
#define GUESTS_OF_USER_MAX 8
#define PATIENCE_MS        3000

typedef struct {
    Lobby *lobby;
    GSocketConnection *stream;
    unsigned uid;
    GThread *thread;
    guint timer;
    bool leaving; /* his socket is closed */
    /* the thread's, then the main loop's */
    GDBusConnection *connection; /* NULL: he said nothing sensible */
    guint end;                   /* source that the thread leaves */
} Guest;

struct Lobby {
    char *guid;
    GPtrArray *guests; /* Guest *, the oldest first */
    LobbyGreeted on_greeted;
    gpointer data;
};

static void send_away(Guest *guest)
{
    GSocket *socket = g_socket_connection_get_socket(guest->stream);

    guest->leaving = true;
    (void)shutdown(g_socket_get_fd(socket), SHUT_RDWR); /* gone already: the same */
}

static gboolean on_patience_over(gpointer data)
{
    Guest *guest = data;

    guest->timer = 0;
    send_away(guest);
    return G_SOURCE_REMOVE;
}

static void guest_free(Guest *guest)
{
    if (guest->timer != 0)
        g_source_remove(guest->timer);
    if (guest->connection != NULL)
        g_object_unref(guest->connection);
    g_object_unref(guest->stream);
    g_free(guest);
}

static gboolean on_end(gpointer data)
{
    Guest *guest = data;
    const Lobby *lobby = guest->lobby;

    (void)g_thread_join(guest->thread); /* nothing is returned */
    g_ptr_array_remove(lobby->guests, guest);
    if (guest->connection != NULL && !guest->leaving)
        lobby->on_greeted(guest->connection, guest->uid, lobby->data);
    guest_free(guest);
    return G_SOURCE_REMOVE;
}

static gpointer greet(gpointer data)
{
    const GDBusConnectionFlags flags = G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER |
                                       G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_ALLOW_ANONYMOUS |
                                       G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING;
    g_autoptr(GDBusAuthObserver) observer = handshake_new_observer();
    Guest *guest = data;

    guest->connection = g_dbus_connection_new_sync(G_IO_STREAM(guest->stream), guest->lobby->guid,
                                                   flags, observer, NULL, NULL);
    guest->end = g_idle_add(on_end, guest);
    return NULL;
}

Lobby *lobby_new(LobbyGreeted on_greeted, gpointer data)
{
    Lobby *self = g_new0(Lobby, 1);

    self->guid = g_dbus_generate_guid();
    self->guests = g_ptr_array_new();
    self->on_greeted = on_greeted;
    self->data = data;
    return self;
}

void lobby_free(Lobby *self)
{
    if (self == NULL)
        return;
    for (guint i = 0; i < self->guests->len; i++)
        send_away(g_ptr_array_index(self->guests, i));
    for (guint i = 0; i < self->guests->len; i++) {
        Guest *guest = g_ptr_array_index(self->guests, i);

        (void)g_thread_join(guest->thread); /* it has left its source now */
        g_source_remove(guest->end);
        guest_free(guest);
    }
    g_ptr_array_unref(self->guests);
    g_free(self->guid);
    g_free(self);
}

/* Those who are still waited for: all, or of a user. ret_oldest: of him. */
static unsigned count_guests(const Lobby *self, unsigned uid, unsigned *ret_of_user,
                             Guest **ret_oldest)
{
    unsigned count = 0;

    *ret_of_user = 0;
    *ret_oldest = NULL;
    for (guint i = 0; i < self->guests->len; i++) {
        Guest *guest = g_ptr_array_index(self->guests, i);

        count++;
        if (guest->uid != uid || guest->leaving)
            continue;
        (*ret_of_user)++;
        if (*ret_oldest == NULL)
            *ret_oldest = guest;
    }
    return count;
}

const char *lobby_admit(Lobby *self, GSocketConnection *stream, unsigned uid)
{
    Guest *guest, *oldest;
    unsigned of_user;

    if (count_guests(self, uid, &of_user, &oldest) >= GUESTS_MAX)
        return "too many callers that have not said who they are";
    if (of_user >= GUESTS_OF_USER_MAX)
        send_away(oldest);
    guest = g_new0(Guest, 1);
    guest->lobby = self;
    guest->stream = g_object_ref(stream);
    guest->uid = uid;
    guest->thread = g_thread_try_new("greeting", greet, guest, NULL);
    if (guest->thread == NULL) {
        g_object_unref(guest->stream);
        g_free(guest);
        return "no thread can be made";
    }
    guest->timer = g_timeout_add(PATIENCE_MS, on_patience_over, guest);
    g_ptr_array_add(self->guests, guest);
    return NULL;
}
