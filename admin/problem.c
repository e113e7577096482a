/* SPDX-License-Identifier: Apache-2.0 */
/* Errors as problem documents (RFC 9457): one table from the codes of base/error.h to statuses and stable types. */
#include "admin/request.h"

#include <stdarg.h>
#include <string.h>

#define TYPE_PREFIX "urn:pesitfs:problem:"

/* clang-format off */
static const struct { unsigned status; const char *type; } CODES[BASE_ERROR_COUNT] = {
    [BASE_ERROR_IO]                 = { 500, "io" },
    [BASE_ERROR_NOT_FOUND]          = { 404, "not-found" },
    [BASE_ERROR_EXISTS]             = { 409, "exists" },
    [BASE_ERROR_BUSY]               = { 503, "busy" },
    [BASE_ERROR_REFUSED]            = { 403, "refused" },
    [BASE_ERROR_INVALID]            = { 400, "invalid" },
    [BASE_ERROR_NO_SPACE]           = { 507, "no-space" },
    [BASE_ERROR_TIMEOUT]            = { 504, "timeout" },
    [BASE_ERROR_CANCELLED]          = { 503, "cancelled" },
    [BASE_ERROR_UNREACHABLE]        = { 503, "unreachable" },
    [BASE_ERROR_UNTRUSTED]          = { 502, "untrusted" },
    [BASE_ERROR_CONFLICT]           = { 409, "conflict" },
    [BASE_ERROR_PARTNER]            = { 502, "partner" },
    [BASE_ERROR_CONNECTION_REFUSED] = { 502, "connection-refused" },
    [BASE_ERROR_UNKNOWN_HOST]       = { 502, "unknown-host" },
    [BASE_ERROR_EXPIRED]            = { 502, "expired" },
};
/* clang-format on */

void request_problem(Request *self, unsigned status, const char *type, const char *field,
                     const char *format, ...)
{
    g_autofree char *name = g_strconcat(TYPE_PREFIX, type, NULL);
    g_autofree char *detail = NULL;
    va_list arguments;

    va_start(arguments, format);
    detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    self->status = status;
    self->type = "application/problem+json";
    g_string_truncate(self->answer, 0);
    json_open(self->answer, NULL, '{');
    json_text(self->answer, "type", name);
    json_text(self->answer, "title", type);
    json_number(self->answer, "status", status);
    json_text(self->answer, "detail", detail);
    if (field != NULL)
        json_text(self->answer, "field", field);
    json_close(self->answer, '}');
}

/* What is not there is what the path names, when it names one thing. Returns new, or NULL. */
static char *dup_path_field(const Request *self)
{
    const char *path = self->route != NULL ? self->route->path : "";
    const char *open = strchr(path, '{');

    return open != NULL && strchr(open + 1, '{') == NULL
                   ? g_strndup(open + 1, strcspn(open + 1, "}"))
                   : NULL;
}

/* What is wrong with the daemon itself is no fault of a field. NULL: none is suspected. */
static const char *find_suspect(const Request *self, unsigned code, const char *message)
{
    const Suspect *suspect = self->suspects;

    if (suspect == NULL ||
        (code != BASE_ERROR_NOT_FOUND && code != BASE_ERROR_REFUSED && code != BASE_ERROR_INVALID &&
         code != BASE_ERROR_EXISTS && code != BASE_ERROR_BUSY))
        return NULL;
    while (!g_str_has_prefix(message, suspect->begin))
        suspect++;
    return suspect->field;
}

void request_fail(Request *self, const GError *error)
{
    unsigned code =
            error->domain == BASE_ERROR && error->code >= 0 && error->code < BASE_ERROR_COUNT
                    ? (unsigned)error->code
                    : BASE_ERROR_IO;
    const char *colon = strchr(error->message, ':');
    size_t length = colon != NULL ? (size_t)(colon - error->message) : 0;
    g_autofree char *field = NULL;
    const char *suspect = find_suspect(self, code, error->message);
    const char *written;

    if (suspect != NULL && code == BASE_ERROR_BUSY)
        code = BASE_ERROR_CONFLICT; /* the file is, and not we */
    if (suspect != NULL)
        field = g_strdup(suspect);
    else if ((code == BASE_ERROR_INVALID || code == BASE_ERROR_EXISTS) && length > 0 &&
             strcspn(error->message, " '\"") > length)
        field = g_strndup(error->message, length);
    else if (code == BASE_ERROR_NOT_FOUND)
        field = dup_path_field(self);
    written =
            field != NULL && self->fields != NULL ? g_hash_table_lookup(self->fields, field) : NULL;
    request_problem(self, CODES[code].status, CODES[code].type, written != NULL ? written : field,
                    "%s", error->message);
}
