/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners, partners and virtual files as the daemon has them now. */
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

/* partners */

static void write_file(GString *out, const char *partner, GVariant *file)
{
    static const char *const TEXTS[] = {"pattern", "mode", "commit", "ack", "existing", NULL};
    guint64 max_bytes = 0;
    guint32 wait_s = 0;
    const char *pattern = "";
    g_autofree char *id = NULL;

    g_variant_lookup(file, "pattern", "&s", &pattern);
    g_variant_lookup(file, "max_bytes", "t", &max_bytes);
    g_variant_lookup(file, "wait_s", "u", &wait_s);
    id = g_strconcat(partner, "/", pattern, NULL);
    json_open(out, NULL, '{');
    json_text(out, "id", id);
    json_text(out, "partnerId", partner);
    for (size_t i = 0; TEXTS[i] != NULL; i++) {
        const char *text = NULL;

        g_variant_lookup(file, TEXTS[i], "&s", &text);
        json_text(out, TEXTS[i], text);
    }
    json_number(out, "maxFileSize", (gint64)max_bytes);
    json_number(out, "waitSeconds", wait_s);
    json_close(out, '}');
}

static void write_files(GString *out, const char *name, GVariant *partner)
{
    g_autoptr(GVariantIter) files = NULL;
    GVariant *file;

    if (!g_variant_lookup(partner, "files", "aa{sv}", &files))
        return;
    while ((file = g_variant_iter_next_value(files)) != NULL) {
        write_file(out, name, file);
        g_variant_unref(file);
    }
}

static void write_partner(GString *out, const char *name, GVariant *partner)
{
    gboolean enabled = FALSE;

    g_variant_lookup(partner, "enabled", "b", &enabled);
    json_open(out, NULL, '{');
    json_text(out, "id", name);
    json_text(out, "name", name);
    json_bool(out, "enabled", enabled);
    json_open(out, "virtualFiles", '[');
    write_files(out, name, partner);
    json_close(out, ']');
    json_close(out, '}');
}

/* Calls write for each partner (only: NULL for all). Returns how many; -1: answered with an error. */
static int each_partner(Request *request, const char *only, GString *out,
                        void (*write)(GString *out, const char *name, GVariant *partner))
{
    g_autoptr(DoorAnswer) answer = request_ask(request, "Tree", g_variant_new("()"));
    g_autoptr(GVariantIter) partners = NULL;
    GVariant *partner;
    int count = 0;

    if (answer == NULL)
        return -1;
    g_variant_get(answer->value, "(taa{sv})", NULL, &partners);
    while ((partner = g_variant_iter_next_value(partners)) != NULL) {
        const char *name = "";

        g_variant_lookup(partner, "name", "&s", &name);
        if (only == NULL || strcmp(only, name) == 0) {
            write(out, name, partner);
            count++;
        }
        g_variant_unref(partner);
    }
    return count;
}

static void list_partners(Request *request,
                          void (*write)(GString *out, const char *name, GVariant *partner))
{
    g_autoptr(GString) list = g_string_new(NULL);

    json_open(list, NULL, '[');
    if (each_partner(request, request_query(request, "partner"), list, write) < 0)
        return;
    json_close(list, ']');
    g_string_append(request_answer(request, 200), list->str);
}

void partners_list(Request *request)
{
    list_partners(request, write_partner);
}

void files_list(Request *request)
{
    list_partners(request, write_files);
}

void partners_show(Request *request)
{
    g_autoptr(GString) one = g_string_new(NULL);
    int count = each_partner(request, request->parameters[0], one, write_partner);

    if (count == 0)
        request_problem(request, 404, "not-found", "id", "no partner '%s'", request->parameters[0]);
    else if (count > 0)
        g_string_append(request_answer(request, 200), one->str);
}
