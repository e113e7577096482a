/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners, and the daemon as a whole, as they are now. */
#include "admin/admin-private.h"

#include <string.h>

static GVariant *get_status(Request *request)
{
    g_autoptr(DoorAnswer) answer = request_ask(request, "Status", g_variant_new("()"));

    return answer != NULL ? g_variant_get_child_value(answer->value, 0) : NULL;
}

static void write_listener(GString *out, GVariant *listener, const char *state, guint32 connections)
{
    const char *address = "";
    guint32 port = 0;
    gboolean tls = FALSE;
    g_autofree char *id = NULL;

    g_variant_lookup(listener, "address", "&s", &address);
    g_variant_lookup(listener, "port", "u", &port);
    g_variant_lookup(listener, "tls", "b", &tls);
    id = g_strdup_printf("%s:%u", address, port);
    json_open(out, NULL, '{');
    json_text(out, "serverId", id);
    json_text(out, "bindAddress", address);
    json_number(out, "port", port);
    json_bool(out, "tls", tls);
    json_text(out, "status", strcmp(state, "running") == 0 ? "RUNNING" : "STOPPING");
    json_bool(out, "running", strcmp(state, "running") == 0);
    json_number(out, "activeConnections", connections);
    json_close(out, '}');
}

void listeners_list(Request *request)
{
    g_autoptr(GVariant) status = get_status(request);
    g_autoptr(GVariantIter) iterator = NULL;
    const char *state = "";
    guint32 connections = 0;
    GVariant *listener;
    GString *out;

    if (status == NULL)
        return;
    g_variant_lookup(status, "state", "&s", &state);
    g_variant_lookup(status, "connections", "u", &connections);
    out = request_answer(request, 200);
    json_open(out, NULL, '[');
    if (g_variant_lookup(status, "listeners", "aa{sv}", &iterator)) {
        while ((listener = g_variant_iter_next_value(iterator)) != NULL) {
            write_listener(out, listener, state, connections);
            g_variant_unref(listener);
        }
    }
    json_close(out, ']');
}

void service_status(Request *request)
{
    static const char *const TEXTS[] = {"state", "version", "node", "store", NULL};
    static const char *const NUMBERS[] = {"pid",    "connections", "running",
                                          "queued", "waiting",     NULL};
    g_autoptr(GVariant) status = get_status(request);
    gint64 started_us = 0;
    guint64 available = 0;
    GString *out;

    if (status == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    for (size_t i = 0; TEXTS[i] != NULL; i++) {
        const char *text = NULL;

        g_variant_lookup(status, TEXTS[i], "&s", &text);
        json_text(out, TEXTS[i], text);
    }
    for (size_t i = 0; NUMBERS[i] != NULL; i++) {
        guint32 number = 0;

        g_variant_lookup(status, NUMBERS[i], "u", &number);
        json_number(out, NUMBERS[i], number);
    }
    g_variant_lookup(status, "started_us", "x", &started_us);
    g_variant_lookup(status, "spool_available_bytes", "t", &available);
    json_time(out, "startedAt", started_us);
    json_number(out, "spoolAvailableBytes", (gint64)available);
    json_close(out, '}');
}

void service_reload(Request *request)
{
    g_autoptr(DoorAnswer) answer = request_ask(request, "Reload", g_variant_new("()"));

    if (answer != NULL)
        (void)request_answer(request, 204);
}
