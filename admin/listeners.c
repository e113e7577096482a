/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners, as they are, started and stopped, and written into the store by the daemon; and the daemon as a whole. */
#include "admin/draft.h"

#include <string.h>

GVariant *service_get_status(Request *request)
{
    g_autoptr(DoorAnswer) answer = request_ask(request, "Status", g_variant_new("()"));

    return answer != NULL ? g_variant_get_child_value(answer->value, 0) : NULL;
}

/* PeSIT listeners */

static const char *state_of(GVariant *listener)
{
    const char *failure = value_text(listener, "failure");

    return value_flag(listener, "running")         ? "RUNNING"
           : failure != NULL && failure[0] != '\0' ? "ERROR"
                                                   : "STOPPED";
}

static void write_state(GString *out, GVariant *listener)
{
    const char *failure = value_text(listener, "failure");

    json_text(out, "serverId", value_text(listener, "id"));
    json_number(out, "port", value_count(listener, "port"));
    json_text(out, "status", state_of(listener));
    json_bool(out, "running", value_flag(listener, "running"));
    json_number(out, "activeConnections", value_count(listener, "connections"));
    json_text(out, "error", failure != NULL && failure[0] != '\0' ? failure : NULL);
}

static void write_listener(GString *out, GVariant *listener)
{
    g_autoptr(GVariant) settings = g_variant_lookup_value(listener, "settings", NULL);
    int64_t version = value_number(listener, "version");

    json_open(out, NULL, '{');
    write_state(out, listener);
    json_text(out, "bindAddress", value_text(listener, "address"));
    json_bool(out, "tls", value_flag(listener, "tls"));
    json_bool(out, "autoStart", value_flag(settings, "auto_start"));
    json_number(out, "maxConnections", value_number(settings, "max_connections"));
    json_text(out, "description", value_text(settings, "description"));
    json_text(out, "source", version > 0 ? "store" : "file");
    json_number(out, "version", version);
    json_settings(out, "settings", settings);
    json_close(out, '}');
}

/* NULL: answered. Returns new. */
static GVariant *get_listeners(Request *request)
{
    g_autoptr(GVariant) status = service_get_status(request);

    return status != NULL ? g_variant_lookup_value(status, "listeners", G_VARIANT_TYPE("aa{sv}"))
                          : NULL;
}

void listeners_list(Request *request)
{
    g_autoptr(GVariant) listeners = get_listeners(request);
    GString *out;

    if (listeners == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '[');
    for (gsize i = 0; i < g_variant_n_children(listeners); i++) {
        g_autoptr(GVariant) listener = g_variant_get_child_value(listeners, i);

        write_listener(out, listener);
    }
    json_close(out, ']');
}

/* The one that is named. NULL: answered. Returns new. */
static GVariant *get_listener(Request *request, const char *id)
{
    g_autoptr(GVariant) listeners = get_listeners(request);

    if (listeners == NULL)
        return NULL;
    for (gsize i = 0; i < g_variant_n_children(listeners); i++) {
        GVariant *listener = g_variant_get_child_value(listeners, i);

        if (g_strcmp0(value_text(listener, "id"), id) == 0)
            return listener;
        g_variant_unref(listener);
    }
    request_problem(request, 404, "not-found", "id", "no listener '%s'", id);
    return NULL;
}

void listeners_show(Request *request)
{
    g_autoptr(GVariant) listener = get_listener(request, request->parameters[0]);

    if (listener == NULL)
        return;
    write_listener(request_answer(request, 200), listener);
    draft_add_etag(request, value_number(listener, "version"));
}

static void answer_state(Request *request, GVariant *listener)
{
    GString *out = request_answer(request, 200);

    json_open(out, NULL, '{');
    write_state(out, listener);
    json_close(out, '}');
}

void listeners_status(Request *request)
{
    g_autoptr(GVariant) listener = get_listener(request, request->parameters[0]);

    if (listener != NULL)
        answer_state(request, listener);
}

static void listen_or_not(Request *request, gboolean start)
{
    const char *id = request->parameters[0];
    g_autoptr(GVariant) before = get_listener(request, id), after = NULL;
    g_autoptr(DoorAnswer) answer = NULL;
    g_autoptr(GString) was = g_string_new(NULL), is = g_string_new(NULL);

    if (before == NULL)
        return;
    answer = request_ask(request, "Listen", g_variant_new("(sb)", id, start));
    after = answer != NULL ? get_listener(request, id) : NULL;
    if (after == NULL)
        return;
    write_listener(was, before);
    write_listener(is, after);
    request_note_change(request, was->str, is->str);
    answer_state(request, after);
}

void listeners_start(Request *request)
{
    listen_or_not(request, TRUE);
}

void listeners_stop(Request *request)
{
    listen_or_not(request, FALSE);
}

/* writing */

void listeners_create(Request *request)
{
    g_autoptr(Draft) draft = draft_read(request, DRAFT_LISTENER, NULL, NULL);
    g_autoptr(GVariant) listener = NULL;
    g_autoptr(GString) after = g_string_new(NULL);
    g_autofree char *escaped = NULL, *where = NULL;

    if (draft == NULL || !draft_define(request, draft, 0))
        return;
    listener = get_listener(request, draft_pattern(draft));
    if (listener == NULL)
        return;
    write_listener(after, listener);
    draft_note(request, draft, NULL, after);
    draft_answer(request, 201, draft, after->str);
    escaped = g_uri_escape_string(draft_pattern(draft), NULL, FALSE);
    where = g_strconcat(request->path, "/", escaped, NULL);
    request_add_header(request, "Location", where);
    draft_add_etag(request, value_number(listener, "version"));
}

/* As it is, when it may be written as the caller thinks. NULL: answered. Returns new. */
static GVariant *get_writable(Request *request)
{
    g_autoptr(GVariant) listener = get_listener(request, request->parameters[0]);

    if (listener == NULL || !draft_check_match(request, value_number(listener, "version")))
        return NULL;
    if (value_number(listener, "version") > 0)
        return g_steal_pointer(&listener);
    request_problem(
            request, 409, "conflict", "id",
            "listener '%s' is defined in the configuration file: change it there, then reload",
            request->parameters[0]);
    return NULL;
}

/* The version that a change is based on: what the caller named, else any. */
static int64_t base_version(const Request *request, GVariant *listener)
{
    return request->if_match != NULL ? value_number(listener, "version") : -1;
}

void listeners_update(Request *request)
{
    g_autoptr(GVariant) listener = get_writable(request), changed = NULL;
    g_autoptr(GString) before = g_string_new(NULL), after = g_string_new(NULL);
    g_autoptr(Draft) draft = NULL;

    if (listener == NULL)
        return;
    draft = draft_read(request, DRAFT_LISTENER, "", request->parameters[0]);
    if (draft == NULL || !draft_define(request, draft, base_version(request, listener)))
        return;
    changed = get_listener(request, request->parameters[0]);
    if (changed == NULL)
        return;
    write_listener(before, listener);
    write_listener(after, changed);
    draft_note(request, draft, before, after);
    draft_answer(request, 200, draft, after->str);
    draft_add_etag(request, value_number(changed, "version"));
}

void listeners_remove(Request *request)
{
    g_autoptr(GVariant) listener = get_writable(request);
    g_autoptr(GString) before = g_string_new(NULL);
    g_autoptr(DoorAnswer) answer = NULL;

    if (listener == NULL)
        return;
    answer = request_ask(
            request, "Undefine",
            g_variant_new("(ssx)", "", request->parameters[0], base_version(request, listener)));
    if (answer == NULL)
        return;
    write_listener(before, listener);
    draft_note(request, NULL, before, NULL);
    (void)request_answer(request, 204);
}

/* the daemon */

void service_status(Request *request)
{
    static const char *const TEXTS[] = {"state", "version", "node", "store", NULL};
    static const char *const NUMBERS[] = {"pid",    "connections", "running",
                                          "queued", "waiting",     NULL};
    g_autoptr(GVariant) status = service_get_status(request);
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
