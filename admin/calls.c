/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to a partner that move no file: the test of a connection, and a message. */
#include "admin/admin-private.h"

#include <stdio.h>
#include <string.h>

#define TEST_S           10
#define TEST_S_MAX       50   /* less than a worker waits */
#define PESIT_VERSION_E  2    /* PI 6 */
#define MESSAGE_MAX      4096 /* PI 91 */
#define MESSAGE_NAME_MAX 76   /* PI 12 */

static void write_milliseconds(GString *out, const char *key, int64_t us)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%.3f", (double)us / 1000); /* fits */
    json_raw(out, key, text);
}

static void write_agreement(GString *out, GVariant *told)
{
    guint32 version = 0, interval_kb = 0, window = 0;

    if (!g_variant_lookup(told, "version", "u", &version)) {
        json_text(out, "serverVersion", NULL);
        return;
    }
    g_variant_lookup(told, "sync_interval_kb", "u", &interval_kb);
    g_variant_lookup(told, "sync_window", "u", &window);
    json_text(out, "serverVersion", version == PESIT_VERSION_E ? "PeSIT E" : "PeSIT D");
    json_open(out, "negotiated", '{');
    json_number(out, "protocolVersion", version);
    json_text(out, "framing", value_text(told, "framing"));
    json_number(out, "syncIntervalKb", interval_kb);
    json_number(out, "syncWindow", window);
    json_bool(out, "resync", value_flag(told, "resync"));
    json_close(out, '}');
}

static void write_test(GString *out, GVariant *told)
{
    static const char *const TEXTS[] = {"message", "step", "cause", "hint", "tls", NULL};
    int64_t connect_us = value_number(told, "connect_us"),
            answer_us = value_number(told, "answer_us");

    json_open(out, NULL, '{');
    json_bool(out, "success", value_flag(told, "success"));
    write_milliseconds(out, "latency", connect_us + answer_us);
    write_milliseconds(out, "connectMs", connect_us);
    write_milliseconds(out, "answerMs", answer_us);
    for (size_t i = 0; TEXTS[i] != NULL; i++) {
        const char *text = value_text(told, TEXTS[i]);

        json_text(out, TEXTS[i], text[0] != '\0' ? text : NULL);
    }
    json_text(out, "diagnostic",
              value_text(told, "diag")[0] != '\0' ? value_text(told, "diag") : NULL);
    write_agreement(out, told);
    if (value_text(told, "reply") != NULL)
        json_text(out, "reply", value_text(told, "reply"));
    json_close(out, '}');
}

/* False: answered. */
static bool check_message(Request *request, const char *field, const char *name, const char *text)
{
    if (text == NULL || text[0] == '\0' || strlen(text) > MESSAGE_MAX)
        request_problem(request, 400, "invalid", "message",
                        "message: it must have 1 to %d bytes of text", MESSAGE_MAX);
    else if (name[0] == '\0' || strlen(name) > MESSAGE_NAME_MAX)
        request_problem(request, 400, "invalid", field, "%s: it must have 1 to %d characters",
                        field, MESSAGE_NAME_MAX);
    else
        return true;
    return false;
}

/* Files go by send, and free text of CONNECT (PI 99) is the partner's configuration's. False: answered. */
static bool check_mode(Request *request, const Json *json)
{
    static const char *const NAMES[] = {"mode", NULL};
    const char *field, *mode = NULL;

    if (!request_read_text(request, json, NAMES, &field, &mode))
        return false;
    if (mode == NULL || strcmp(mode, "FPDU") == 0)
        return true;
    request_problem(request, 400, "invalid", field,
                    "mode: it is FPDU alone; a FILE is sent by /api/v1/transfers/send");
    return false;
}

/* What a body says; borrowed from it, but for what is by default. */
typedef struct {
    const char *partner_name, *partner, *name, *text;
    char *by_default;
} Message;

static void message_clear(Message *message)
{
    g_free(message->by_default);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Message, message_clear)

/* False: answered. */
static bool read_message(Request *request, const Json *json, Message *message)
{
    static const char *const TEXT[] = {"message", NULL};
    const char *name_field, *text_field, *name = NULL;

    if (!request_read_text(request, json, REQUEST_PARTNER, &message->partner_name,
                           &message->partner) ||
        !request_read_text(request, json, REQUEST_PATH, &name_field, &name) ||
        !request_read_text(request, json, TEXT, &text_field, &message->text) ||
        !check_mode(request, json))
        return false;
    message->name = name != NULL ? name : "MESSAGE";
    if (!check_message(request, name_field, message->name, message->text))
        return false;
    if (message->partner == NULL)
        message->partner = message->by_default = default_server_dup(request);
    if (message->partner == NULL && request->status == 0)
        request_problem(request, 400, "invalid", REQUEST_PARTNER[0],
                        "partner: it is missing, and no server is the default");
    return message->partner != NULL;
}

void transfers_message(Request *request)
{
    static const char *const NAMES[] = {"partner", "server",      "serverId",       "partnerId",
                                        "path",    "virtualFile", "remoteFilename", "message",
                                        "mode",    NULL};
    g_autoptr(Json) json = request_read_json(request, NAMES);
    g_auto(Message) message = {NULL};
    g_autoptr(DoorAnswer) answer = NULL;
    g_autoptr(GVariant) told = NULL;

    if (json == NULL || !read_message(request, json, &message))
        return;
    request->suspects = (const Suspect[]){{"", message.partner_name}};
    answer = request_ask(
            request, "Say",
            g_variant_new("(suss)", message.partner, TEST_S * 1000, message.name, message.text));
    request->suspects = NULL;
    if (answer == NULL)
        return;
    told = g_variant_get_child_value(answer->value, 0);
    write_test(request_answer(request, 200), told);
}

void servers_test(Request *request)
{
    g_autoptr(DoorAnswer) answer = NULL;
    g_autoptr(GVariant) told = NULL;
    int64_t timeout_s = TEST_S;

    if (!request_query_number(request, "timeout", 1, TEST_S_MAX, &timeout_s))
        return;
    answer = request_ask(request, "Test",
                         g_variant_new("(su)", request->parameters[0], (guint32)timeout_s * 1000));
    if (answer == NULL)
        return;
    told = g_variant_get_child_value(answer->value, 0);
    write_test(request_answer(request, 200), told);
}
