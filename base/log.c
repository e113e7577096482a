/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured log: the table of events, and the two ways to write one. A line is built whole and written
 * by one write, so that threads never mix their lines. It does not rotate or send anything. Any thread.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/journal.h"

#define MESSAGE_ID_DIGITS 32

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *name;
    LogLevel level;
    const char *message;
} EventRow;

/* clang-format off */
static const EventRow EVENTS[LOG_EVENT_COUNT] = {
    [LOG_STARTED]                = { "started",                LOG_LEVEL_NOTICE,  "started" },
    [LOG_STOPPING]               = { "stopping",               LOG_LEVEL_NOTICE,  "stopping" },
    [LOG_STOPPED]                = { "stopped",                LOG_LEVEL_NOTICE,  "stopped" },
    [LOG_CONFIG_LOADED]          = { "config-loaded",          LOG_LEVEL_NOTICE,  "configuration loaded" },
    [LOG_DEFINITION_UNFIT]       = { "definition-unfit",       LOG_LEVEL_ERROR,   "a definition of the store does not fit, and is not in force" },
    [LOG_CERTIFICATE_EXPIRES]    = { "certificate-expires",    LOG_LEVEL_WARNING, "a certificate expires within 30 days, or has expired" },
    [LOG_CONFIG_REFUSED]         = { "config-refused",         LOG_LEVEL_ERROR,   "configuration refused, the old one stays" },
    [LOG_CONFIG_NEEDS_RESTART]   = { "config-needs-restart",   LOG_LEVEL_WARNING, "needs a restart" },
    [LOG_LISTENING]              = { "listening",              LOG_LEVEL_NOTICE,  "listening" },
    [LOG_NOT_LISTENING]          = { "not-listening",          LOG_LEVEL_NOTICE,  "no longer listening" },
    [LOG_ADMIN_LISTENING]        = { "admin-listening",        LOG_LEVEL_NOTICE,  "listening for the administration" },
    [LOG_ADMIN_REFUSED]          = { "admin-refused",          LOG_LEVEL_WARNING, "administration refused" },
    [LOG_ADMIN_CHANGE]           = { "admin-change",           LOG_LEVEL_NOTICE,  "changed by the administration" },
    [LOG_LOGIN_LOCKED]           = { "login-locked",           LOG_LEVEL_WARNING, "too many failed logins, no more of them for a while" },
    [LOG_LISTEN_FAILED]          = { "listen-failed",          LOG_LEVEL_ERROR,   "cannot listen" },
    [LOG_SOCKET_UNUSED]          = { "socket-unused",          LOG_LEVEL_WARNING, "nobody serves a socket of the service manager" },
    [LOG_CONNECTION_OPENED]      = { "connection-opened",      LOG_LEVEL_INFO,    "connection opened" },
    [LOG_CONNECTION_REFUSED]     = { "connection-refused",     LOG_LEVEL_WARNING, "connection refused" },
    [LOG_CONNECTION_CLOSED]      = { "connection-closed",      LOG_LEVEL_INFO,    "connection closed" },
    [LOG_CONNECTION_FAILED]      = { "connection-failed",      LOG_LEVEL_WARNING, "connection failed" },
    [LOG_AUTHENTICATION_FAILED]  = { "authentication-failed",  LOG_LEVEL_WARNING, "authentication failed" },
    [LOG_PEER_REMARK]            = { "peer-remark",            LOG_LEVEL_INFO,    "tolerated from the partner" },
    [LOG_TRANSFER_QUEUED]        = { "transfer-queued",        LOG_LEVEL_NOTICE,  "transfer queued" },
    [LOG_TRANSFER_STARTED]       = { "transfer-started",       LOG_LEVEL_NOTICE,  "transfer started" },
    [LOG_TRANSFER_DONE]          = { "transfer-done",          LOG_LEVEL_NOTICE,  "transfer done" },
    [LOG_TRANSFER_FAILED]        = { "transfer-failed",        LOG_LEVEL_ERROR,   "transfer failed" },
    [LOG_TRANSFER_WAITING]       = { "transfer-waiting",       LOG_LEVEL_WARNING, "transfer waits for a retry" },
    [LOG_TRANSFER_HELD]          = { "transfer-held",          LOG_LEVEL_NOTICE,  "transfer waits for its partner" },
    [LOG_TRANSFER_CANCELLED]     = { "transfer-cancelled",     LOG_LEVEL_NOTICE,  "transfer cancelled" },
    [LOG_TRANSFER_REFUSED]       = { "transfer-refused",       LOG_LEVEL_WARNING, "transfer refused" },
    [LOG_TRANSFER_REPEATED]      = { "transfer-repeated",      LOG_LEVEL_NOTICE,  "transfer repeated by the partner, answered again" },
    [LOG_SCHEDULE_RUN]           = { "schedule-run",           LOG_LEVEL_NOTICE,  "schedule runs" },
    [LOG_SCHEDULE_FAILED]        = { "schedule-failed",        LOG_LEVEL_ERROR,   "a run of a schedule failed" },
    [LOG_SCHEDULE_MISSED]        = { "schedule-missed",        LOG_LEVEL_WARNING, "schedule was due, and was not run" },
    [LOG_FILE_OVERDUE]           = { "file-overdue",           LOG_LEVEL_WARNING, "a file that was expected has not come" },
    [LOG_STORE_FAILED]           = { "store-failed",           LOG_LEVEL_ERROR,   "store failed" },
    [LOG_STORE_LOST]             = { "store-lost",             LOG_LEVEL_ERROR,   "store away, waiting for it" },
    [LOG_STORE_FULL]             = { "store-full",             LOG_LEVEL_ERROR,   "store's disk is full, what ends waits for room" },
    [LOG_STORE_BACK]             = { "store-back",             LOG_LEVEL_NOTICE,  "store back" },
    [LOG_SPOOL_RECOVERED]        = { "spool-recovered",        LOG_LEVEL_NOTICE,  "spool recovered" },
    [LOG_DOOR_OPENED]            = { "door-opened",            LOG_LEVEL_INFO,    "local door open" },
    [LOG_DOOR_REFUSED]           = { "door-refused",           LOG_LEVEL_WARNING, "local caller refused" },
    [LOG_FPDU]                   = { "fpdu",                   LOG_LEVEL_DEBUG,   "fpdu" },
    [LOG_MOUNTED]                = { "mounted",                LOG_LEVEL_NOTICE,  "mounted" },
    [LOG_UNMOUNTED]              = { "unmounted",              LOG_LEVEL_NOTICE,  "unmounted" },
    [LOG_WRITER_UNSEEN]          = { "writer-unseen",          LOG_LEVEL_WARNING, "a writer in another container cannot be seen" },
    [LOG_MOUNT_OPERATION_FAILED] = { "mount-operation-failed", LOG_LEVEL_INFO,    "operation failed" },
    [LOG_LATE_COMMIT_FAILED]     = { "late-commit-failed",     LOG_LEVEL_ERROR,   "a file was not sent, and no close could say so" },
    [LOG_LATE_WRITE_REFUSED]     = { "late-write-refused",     LOG_LEVEL_WARNING, "write after the file was taken refused" },
    [LOG_INTERNAL]               = { "internal",               LOG_LEVEL_ERROR,   "internal fault" },
};
/* clang-format on */

static const char *const LEVEL_NAMES[] = {"error", "warning", "notice", "info", "debug"};

/* the log sink: the one global of this file */
static _Atomic int configured_level = LOG_LEVEL_NOTICE;
static _Atomic int configured_format = LOG_FORMAT_TEXT;

void log_configure(LogLevel level, LogFormat format)
{
    atomic_store(&configured_level, (int)level);
    atomic_store(&configured_format, (int)format);
}

bool log_is_enabled(LogEvent event)
{
    return (int)EVENTS[event].level <= atomic_load(&configured_level);
}

bool log_level_parse(const char *text, LogLevel *ret_level)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(LEVEL_NAMES); i++) {
        if (strcmp(text, LEVEL_NAMES[i]) == 0) {
            *ret_level = (LogLevel)i;
            return true;
        }
    }
    return false;
}

static void append_escaped(GString *line, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            g_string_append_printf(line, "\\%c", *at);
        else if (*at < 0x20 || *at >= 0x7F)
            g_string_append_printf(line, "\\u%04x", *at);
        else
            g_string_append_c(line, (char)*at);
    }
}

static void append_field(GString *line, LogFormat format, const char *name, const char *value)
{
    bool plain = value[0] != '\0' && strpbrk(value, " \"\\=\n\t") == NULL;

    if (format == LOG_FORMAT_JSON)
        g_string_append_printf(line, ",\"%s\":\"", name);
    else
        g_string_append_printf(line, " %s=%s", name, plain ? "" : "\"");
    append_escaped(line, value);
    if (format == LOG_FORMAT_JSON || !plain)
        g_string_append_c(line, '"');
}

static void write_line(GString *line)
{
    size_t done = 0;

    g_string_append_c(line, '\n');
    while (done < line->len) {
        ssize_t count = write(STDERR_FILENO, line->str + done, line->len - done);

        if (count <= 0)
            return; /* nowhere to tell it */
        done += (size_t)count;
    }
}

/* Known by it in a catalog, and for ever: it follows from the name alone. Returns new. */
static char *dup_message_id(const EventRow *row)
{
    g_autofree char *name = g_strconcat("pesitfs/", row->name, NULL);
    char *id = g_compute_checksum_for_string(G_CHECKSUM_SHA256, name, -1);

    id[MESSAGE_ID_DIGITS] = '\0';
    return id;
}

static char *dup_field(const char *name, const char *value)
{
    GString *field = g_string_new(name);

    append_escaped(field, value);
    return g_string_free(field, FALSE);
}

/* line: what people read. False: it is to be written as everywhere. */
static bool tell_journal(const EventRow *row, const char *line, va_list fields)
{
    static const unsigned PRIORITIES[] = {3, 4, 5, 6, 7}; /* of LogLevel */
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *id = dup_message_id(row);
    const char *name;

    g_ptr_array_add(parts, g_strconcat("MESSAGE=", line, NULL));
    g_ptr_array_add(parts, g_strdup_printf("PRIORITY=%u", PRIORITIES[row->level]));
    g_ptr_array_add(parts, g_strconcat("PESIT_EVENT=", row->name, NULL));
    g_ptr_array_add(parts, g_strconcat("MESSAGE_ID=", id, NULL));
    while ((name = va_arg(fields, const char *)) != NULL) {
        const char *value = va_arg(fields, const char *);
        g_autofree char *key = g_strconcat("PESIT_", name, "=", NULL);

        if (value != NULL && parts->len < JOURNAL_FIELDS_MAX)
            g_ptr_array_add(parts, dup_field(key, value));
    }
    return journal_send((char *const *)parts->pdata, parts->len);
}

static void append_fields(GString *line, LogFormat format, va_list fields)
{
    const char *name;

    while ((name = va_arg(fields, const char *)) != NULL) {
        const char *value = va_arg(fields, const char *);

        if (value != NULL)
            append_field(line, format, name, value);
    }
}

static GString *new_head(const EventRow *row, LogFormat format)
{
    g_autofree char *time = clock_format_iso(clock_wall_us());
    GString *line = g_string_sized_new(256);

    if (format == LOG_FORMAT_JSON)
        g_string_append_printf(
                line, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\",\"message\":\"%s\"", time,
                LEVEL_NAMES[row->level], row->name, row->message);
    else
        g_string_append_printf(line, "%s %s %s:", time, LEVEL_NAMES[row->level], row->message);
    return line;
}

void log_event(LogEvent event, ...)
{
    const EventRow *row = &EVENTS[event];
    LogFormat format = (LogFormat)atomic_load(&configured_format);
    g_autoptr(GString) line = NULL;
    bool told = false;
    va_list fields;

    if (!log_is_enabled(event))
        return;
    line = new_head(row, format);
    va_start(fields, event);
    append_fields(line, format, fields);
    va_end(fields);
    if (format == LOG_FORMAT_TEXT && journal_is_there()) {
        va_start(fields, event);
        told = tell_journal(row, strstr(line->str, row->message), fields);
        va_end(fields);
    }
    if (format == LOG_FORMAT_JSON)
        g_string_append_c(line, '}');
    if (!told)
        write_line(line);
}

const char *log_number(char buffer[LOG_NUMBER_BYTES], int64_t number)
{
    if (number == 0)
        return NULL;
    (void)g_snprintf(buffer, LOG_NUMBER_BYTES, "%" G_GINT64_FORMAT, number); /* fits */
    return buffer;
}

char *log_describe_events(void)
{
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < LOG_EVENT_COUNT; i++) {
        g_autofree char *id = dup_message_id(&EVENTS[i]);

        g_string_append_printf(text, "%s\t%s\t%s\t%s\n", EVENTS[i].name,
                               LEVEL_NAMES[EVENTS[i].level], id, EVENTS[i].message);
    }
    return g_string_free(text, FALSE);
}
