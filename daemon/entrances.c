/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fresh list is made beside the old one. Sockets of addresses that stay change hands; the others are opened
 * first, and only then the old list goes. Where a new address overlaps an old one on the same port ("0.0.0.0" after
 * "127.0.0.1") the old socket has to go first, and comes back when the new one cannot be had. Main loop only.
 */
#include "daemon/entrances.h"

#include "base/error.h"
#include "base/log.h"
#include "daemon/net/listener.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Config *config;
    const ListenerConfig *settings; /* in config */
    TlsContext *tls;                /* NULL: plain */
    Listener *listener;             /* NULL: in other hands, or stopped */
    char *id;                       /* its name, or address and port; NULL: the port is not known */
    uint16_t port;                  /* the last one that was bound, 0: never */
    bool stopped;                   /* nobody has started it, or somebody stopped it */
    char *failure;                  /* why it could not be opened, or NULL */
} Entrance;

struct Entrances {
    Handed *handed;
    bool is_leaving;
    EntranceCallback on_accept;
    gpointer data;
    GPtrArray *list; /* Entrance * */
};

static void entrance_free(gpointer data)
{
    Entrance *entrance = data;

    listener_close(entrance->listener);
    tls_context_unref(entrance->tls);
    config_unref(entrance->config);
    g_free(entrance->id);
    g_free(entrance->failure);
    g_free(entrance);
}

static void log_entrance(LogEvent event, const Entrance *entrance)
{
    char port[8];

    (void)snprintf(port, sizeof port, "%u", listener_port(entrance->listener)); /* fits */
    log_event(event, "ADDRESS", entrance->settings->address, "PORT", port, "TLS",
              entrance->tls != NULL ? "yes" : "no", NULL);
}

Entrances *entrances_new(Handed *handed, EntranceCallback on_accept, gpointer data)
{
    Entrances *self = g_new0(Entrances, 1);

    self->handed = handed;
    self->on_accept = on_accept;
    self->data = data;
    self->list = g_ptr_array_new_with_free_func(entrance_free);
    return self;
}

void entrances_free(Entrances *self)
{
    if (self == NULL)
        return;
    g_ptr_array_unref(self->list);
    g_free(self);
}

static void on_accept(Listener *listener, int fd, const char *address, gpointer data)
{
    const Entrances *self = data;
    EntranceInfo info = {"", 0, NULL};

    for (guint i = 0; i < self->list->len; i++) {
        const Entrance *entrance = g_ptr_array_index(self->list, i);

        if (entrance->listener == listener)
            info = (EntranceInfo){entrance->id, entrance->settings->max_connections, entrance->tls};
    }
    self->on_accept(fd, address, &info, self->data);
}

/* opening and closing one */

static bool make_tls(Entrance *entrance, GError **error)
{
    const TlsSettings *settings = &entrance->settings->tls;

    if (settings->enabled && entrance->tls == NULL)
        entrance->tls = tls_context_new_server(settings, error);
    return entrance->tls != NULL || !settings->enabled;
}

static void note_port(Entrance *entrance)
{
    const ListenerConfig *settings = entrance->settings;

    entrance->port = listener_port(entrance->listener);
    g_clear_pointer(&entrance->failure, g_free);
    if (entrance->id == NULL)
        entrance->id = settings->name != NULL
                               ? g_strdup(settings->name)
                               : g_strdup_printf("%s:%u", settings->address, entrance->port);
}

static bool open_socket(Entrances *self, Entrance *entrance, GError **error)
{
    entrance->listener = listener_open(entrance->settings, self->handed, on_accept, self, error);
    if (entrance->listener == NULL)
        return false;
    note_port(entrance);
    return true;
}

static void close_socket(Entrance *entrance)
{
    log_entrance(LOG_NOT_LISTENING, entrance);
    g_clear_pointer(&entrance->listener, listener_close);
}

/* What is of the store is told as it is, and keeps nothing else from being in force. */
static bool forgive(Entrance *entrance, GError **error)
{
    if (entrance->settings->version == 0)
        return false;
    log_event(LOG_LISTEN_FAILED, "REASON", (*error)->message, NULL);
    g_free(entrance->failure);
    entrance->failure = g_strdup((*error)->message);
    g_clear_error(error);
    return true;
}

/* making the fresh list */

static bool is_place_of(const ListenerConfig *wanted, const Entrance *old)
{
    return strcmp(old->settings->address, wanted->address) == 0 &&
           (wanted->port == old->settings->port || wanted->port == old->port);
}

/* The one that a fresh one takes the place of: of its name, or without a name of its place. */
static const Entrance *find_former(const Entrances *self, const ListenerConfig *settings)
{
    for (guint i = 0; i < self->list->len; i++) {
        const Entrance *old = g_ptr_array_index(self->list, i);

        if (g_strcmp0(old->settings->name, settings->name) == 0 &&
            (settings->name != NULL || is_place_of(settings, old)))
            return old;
    }
    return NULL;
}

static bool add_entrance(const Entrances *self, GPtrArray *list, Config *config,
                         const ListenerConfig *settings, GError **error)
{
    const Entrance *former = find_former(self, settings);
    Entrance *entrance = g_new0(Entrance, 1);

    g_ptr_array_add(list, entrance);
    entrance->config = config_ref(config);
    entrance->settings = settings;
    entrance->stopped = former != NULL ? former->stopped : !settings->auto_start;
    entrance->id = settings->name == NULL && former != NULL ? g_strdup(former->id)
                                                            : config_name_listener(settings);
    if (former != NULL)
        entrance->port = former->port;
    return entrance->stopped || make_tls(entrance, error) || forgive(entrance, error);
}

/* The old entrance of each fresh one whose socket it takes, NULL where there is none; each old one once. */
static GPtrArray *match(const GPtrArray *old, const GPtrArray *fresh)
{
    GPtrArray *matches = g_ptr_array_new();

    for (guint i = 0; i < fresh->len; i++) {
        const Entrance *wanted = g_ptr_array_index(fresh, i);
        Entrance *found = NULL;

        for (guint j = 0; j < old->len && found == NULL; j++) {
            Entrance *entrance = g_ptr_array_index(old, j);

            if (entrance->listener != NULL && !wanted->stopped && wanted->failure == NULL &&
                is_place_of(wanted->settings, entrance) &&
                !g_ptr_array_find(matches, entrance, NULL))
                found = entrance;
        }
        g_ptr_array_add(matches, found);
    }
    return matches;
}

/* Closes the sockets of a port that nobody keeps. True when there were any. */
static bool make_way(const Entrances *self, const GPtrArray *matches, uint16_t port)
{
    bool made = false;

    for (guint i = 0; i < self->list->len; i++) {
        Entrance *entrance = g_ptr_array_index(self->list, i);

        if (entrance->listener == NULL || listener_port(entrance->listener) != port ||
            g_ptr_array_find((GPtrArray *)(uintptr_t)matches, entrance, NULL))
            continue;
        close_socket(entrance);
        made = true;
    }
    return made;
}

/* Where an old one is in the way it goes first. */
static bool open_one(Entrances *self, const GPtrArray *matches, Entrance *entrance, GError **error)
{
    if (open_socket(self, entrance, error))
        return true;
    if (!make_way(self, matches, entrance->settings->port))
        return false;
    g_clear_error(error);
    return open_socket(self, entrance, error);
}

static bool open_new(Entrances *self, GPtrArray *fresh, const GPtrArray *matches, GError **error)
{
    for (guint i = 0; i < fresh->len; i++) {
        Entrance *entrance = g_ptr_array_index(fresh, i);

        if (g_ptr_array_index(matches, i) != NULL || entrance->stopped || entrance->failure != NULL)
            continue;
        if (!open_one(self, matches, entrance, error) && !forgive(entrance, error))
            return false;
    }
    return true;
}

/* What made way in vain comes back. */
static void come_back(Entrances *self)
{
    for (guint i = 0; i < self->list->len; i++) {
        Entrance *entrance = g_ptr_array_index(self->list, i);
        g_autoptr(GError) error = NULL;

        if (entrance->listener != NULL || entrance->stopped || entrance->failure != NULL)
            continue;
        if (open_socket(self, entrance, &error)) {
            log_entrance(LOG_LISTENING, entrance);
            continue;
        }
        log_event(LOG_LISTEN_FAILED, "REASON", error->message, NULL);
        g_free(entrance->failure);
        entrance->failure = g_strdup(error->message);
    }
}

static void change_hands(GPtrArray *fresh, const GPtrArray *matches)
{
    for (guint i = 0; i < fresh->len; i++) {
        Entrance *entrance = g_ptr_array_index(fresh, i), *old = g_ptr_array_index(matches, i);

        if (old != NULL) {
            entrance->listener = g_steal_pointer(&old->listener);
            note_port(entrance);
        }
        if (entrance->listener != NULL &&
            (old == NULL || (old->tls == NULL) != (entrance->tls == NULL)))
            log_entrance(LOG_LISTENING, entrance);
    }
}

static void log_gone(const Entrances *self)
{
    for (guint i = 0; i < self->list->len; i++) {
        const Entrance *entrance = g_ptr_array_index(self->list, i);

        if (entrance->listener != NULL)
            log_entrance(LOG_NOT_LISTENING, entrance);
    }
}

bool entrances_apply(Entrances *self, Config *config, GError **error)
{
    g_autoptr(GPtrArray) fresh = g_ptr_array_new_with_free_func(entrance_free);
    g_autoptr(GPtrArray) matches = NULL;

    for (guint i = 0; i < config->listeners->len; i++) {
        if (!add_entrance(self, fresh, config, g_ptr_array_index(config->listeners, i), error))
            return false;
    }
    matches = match(self->list, fresh);
    if (!open_new(self, fresh, matches, error)) {
        g_ptr_array_set_size(fresh, 0); /* their sockets may be in the way */
        come_back(self);
        return false;
    }
    change_hands(fresh, matches);
    log_gone(self);
    g_ptr_array_unref(self->list);
    self->list = g_steal_pointer(&fresh);
    if (self->is_leaving)
        entrances_leave(self);
    return true;
}

/* by order */

static Entrance *find(const Entrances *self, const char *id, GError **error)
{
    for (guint i = 0; i < self->list->len; i++) {
        Entrance *entrance = g_ptr_array_index(self->list, i);

        if (g_strcmp0(entrance->id, id) == 0)
            return entrance;
    }
    g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no listener '%s'", id);
    return NULL;
}

bool entrances_start(Entrances *self, const char *id, GError **error)
{
    Entrance *entrance = find(self, id, error);

    if (entrance == NULL)
        return false;
    if (entrance->listener != NULL)
        return true;
    if (!make_tls(entrance, error))
        return false;
    if (!open_socket(self, entrance, error)) {
        (*error)->code = BASE_ERROR_CONFLICT; /* somebody has the place, or it is none of ours */
        return false;
    }
    entrance->stopped = false;
    log_entrance(LOG_LISTENING, entrance);
    return true;
}

bool entrances_stop(Entrances *self, const char *id, GError **error)
{
    Entrance *entrance = find(self, id, error);

    if (entrance == NULL)
        return false;
    if (entrance->listener != NULL)
        close_socket(entrance);
    entrance->stopped = true;
    g_clear_pointer(&entrance->failure, g_free);
    return true;
}

static GVariant *describe(const Entrance *entrance, unsigned connections)
{
    const ListenerConfig *settings = entrance->settings;
    GVariantDict d;

    g_variant_dict_init(&d, NULL);
    g_variant_dict_insert(&d, "id", "s", entrance->id != NULL ? entrance->id : "");
    g_variant_dict_insert(&d, "address", "s", settings->address);
    g_variant_dict_insert(&d, "port", "u",
                          (guint32)(entrance->listener != NULL ? entrance->port : settings->port));
    g_variant_dict_insert(&d, "tls", "b", (gboolean)settings->tls.enabled);
    g_variant_dict_insert(&d, "running", "b", (gboolean)(entrance->listener != NULL));
    g_variant_dict_insert(&d, "stopped", "b", (gboolean)entrance->stopped);
    g_variant_dict_insert(&d, "failure", "s", entrance->failure != NULL ? entrance->failure : "");
    g_variant_dict_insert(&d, "connections", "u", (guint32)connections);
    g_variant_dict_insert(&d, "version", "x", settings->version);
    g_variant_dict_insert_value(&d, "settings",
                                config_describe_settings(SETTINGS_LISTENER, settings));
    return g_variant_dict_end(&d);
}

void entrances_leave(Entrances *self)
{
    self->is_leaving = true;
    for (guint i = 0; i < self->list->len; i++) {
        Entrance *entrance = g_ptr_array_index(self->list, i);

        if (entrance->listener != NULL && listener_is_handed(entrance->listener))
            g_clear_pointer(&entrance->listener, listener_close);
    }
}

void entrances_describe(const Entrances *self, EntranceCounter count, gpointer data,
                        GVariantBuilder *list)
{
    for (guint i = 0; i < self->list->len; i++) {
        const Entrance *entrance = g_ptr_array_index(self->list, i);

        g_variant_builder_add_value(
                list, describe(entrance, entrance->id != NULL ? count(entrance->id, data) : 0));
    }
}
