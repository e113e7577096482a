/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fresh list is made beside the old one. Sockets of addresses that stay change hands; the others are opened
 * first, and only then the old list goes. Where a new address overlaps an old one on the same port ("0.0.0.0" after
 * "127.0.0.1") the old socket has to go first, and comes back when the new one cannot be had. Main loop only.
 */
#include "daemon/entrances.h"

#include "base/log.h"
#include "daemon/net/listener.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Config *config;
    const ListenerConfig *settings; /* in config */
    TlsContext *tls;                /* NULL: plain */
    Listener *listener;             /* NULL: in other hands */
} Entrance;

struct Entrances {
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
    g_free(entrance);
}

static void log_entrance(LogEvent event, const Entrance *entrance)
{
    char port[8];

    (void)snprintf(port, sizeof port, "%u", listener_port(entrance->listener)); /* fits */
    log_event(event, "ADDRESS", entrance->settings->address, "PORT", port, "TLS",
              entrance->tls != NULL ? "yes" : "no", NULL);
}

Entrances *entrances_new(EntranceCallback on_accept, gpointer data)
{
    Entrances *self = g_new0(Entrances, 1);

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
    TlsContext *tls = NULL;

    for (guint i = 0; i < self->list->len; i++) {
        const Entrance *entrance = g_ptr_array_index(self->list, i);

        if (entrance->listener == listener)
            tls = entrance->tls;
    }
    self->on_accept(fd, address, tls, self->data);
}

/* making the fresh list */

static bool add_entrance(GPtrArray *list, Config *config, const ListenerConfig *settings,
                         GError **error)
{
    Entrance *entrance = g_new0(Entrance, 1);

    g_ptr_array_add(list, entrance);
    entrance->config = config_ref(config);
    entrance->settings = settings;
    if (settings->tls.enabled)
        entrance->tls = tls_context_new_server(&settings->tls, error);
    return entrance->tls != NULL || !settings->tls.enabled;
}

static bool is_place_of(const ListenerConfig *wanted, const Entrance *old)
{
    return strcmp(old->settings->address, wanted->address) == 0 &&
           (wanted->port == old->settings->port || wanted->port == listener_port(old->listener));
}

/* The old entrance of each fresh one, NULL where the place is new; each old one once. */
static GPtrArray *match(const GPtrArray *old, const GPtrArray *fresh)
{
    GPtrArray *matches = g_ptr_array_new();

    for (guint i = 0; i < fresh->len; i++) {
        const Entrance *wanted = g_ptr_array_index(fresh, i);
        Entrance *found = NULL;

        for (guint j = 0; j < old->len && found == NULL; j++) {
            Entrance *entrance = g_ptr_array_index(old, j);

            if (entrance->listener != NULL && is_place_of(wanted->settings, entrance) &&
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
        log_entrance(LOG_NOT_LISTENING, entrance);
        g_clear_pointer(&entrance->listener, listener_close);
        made = true;
    }
    return made;
}

static bool open_new(Entrances *self, GPtrArray *fresh, const GPtrArray *matches, GError **error)
{
    for (guint i = 0; i < fresh->len; i++) {
        Entrance *entrance = g_ptr_array_index(fresh, i);
        const ListenerConfig *settings = entrance->settings;

        if (g_ptr_array_index(matches, i) != NULL)
            continue;
        entrance->listener = listener_open(settings, on_accept, self, error);
        if (entrance->listener == NULL && make_way(self, matches, settings->port)) {
            g_clear_error(error);
            entrance->listener = listener_open(settings, on_accept, self, error);
        }
        if (entrance->listener == NULL)
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

        if (entrance->listener != NULL)
            continue;
        entrance->listener = listener_open(entrance->settings, on_accept, self, &error);
        if (entrance->listener == NULL)
            log_event(LOG_LISTEN_FAILED, "REASON", error->message, NULL);
        else
            log_entrance(LOG_LISTENING, entrance);
    }
}

static void change_hands(GPtrArray *fresh, const GPtrArray *matches)
{
    for (guint i = 0; i < fresh->len; i++) {
        Entrance *entrance = g_ptr_array_index(fresh, i), *old = g_ptr_array_index(matches, i);

        if (old != NULL)
            entrance->listener = g_steal_pointer(&old->listener);
        if (old == NULL || (old->tls == NULL) != (entrance->tls == NULL))
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
        if (!add_entrance(fresh, config, g_ptr_array_index(config->listeners, i), error))
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
    return true;
}

void entrances_describe(const Entrances *self, GVariantBuilder *list)
{
    for (guint i = 0; i < self->list->len; i++) {
        const Entrance *entrance = g_ptr_array_index(self->list, i);
        GVariantDict d;

        if (entrance->listener == NULL)
            continue;
        g_variant_dict_init(&d, NULL);
        g_variant_dict_insert(&d, "address", "s", entrance->settings->address);
        g_variant_dict_insert(&d, "port", "u", (guint32)listener_port(entrance->listener));
        g_variant_dict_insert(&d, "tls", "b", (gboolean)(entrance->tls != NULL));
        g_variant_builder_add_value(list, g_variant_dict_end(&d));
    }
}
