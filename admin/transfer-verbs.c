/* SPDX-License-Identifier: Apache-2.0 */
/* One transfer over HTTP: as it is, the verbs, which act on what runs, and its bytes. */
#include "admin/admin-private.h"

#include "base/clock.h"
#include "daemon/local/description.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAYS_MAX     36500
#define DAY_US       (86400 * USEC_PER_SEC)
#define ETAG_LENGTH  80
#define RANGE_LENGTH 96

static bool read_id(Request *request, int64_t *ret_id)
{
    const char *text = request->parameters[0];

    if (g_ascii_string_to_signed(text, 10, 1, G_MAXINT64, ret_id, NULL))
        return true;
    request_problem(request, 404, "not-found", "id", "no transfer '%s'", text);
    return false;
}

GVariant *transfer_get(Request *request, int64_t *ret_id)
{
    g_autoptr(DoorAnswer) answer = NULL;
    g_autoptr(GVariant) described = NULL;
    Description d;

    if (!read_id(request, ret_id))
        return NULL;
    answer = request_ask(request, "Get", g_variant_new("(x)", *ret_id));
    if (answer == NULL)
        return NULL;
    described = g_variant_get_child_value(answer->value, 0);
    if (!description_read(described, &d) || (request->identity.role == ROLE_PARTNER &&
                                             strcmp(request->identity.partner, d.partner) != 0)) {
        request_problem(request, 404, "not-found", "id", "transfer %" PRId64 " not found", *ret_id);
        return NULL;
    }
    return g_steal_pointer(&described);
}

void transfer_answer(Request *request, unsigned status, int64_t id, GVariant *described)
{
    g_autoptr(StoreResult) stored = request_execute(request, store_request_get(id));
    GString *out = request_answer(request, status);

    transfer_write(out, NULL, described, stored->transfer);
}

void transfers_show(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = transfer_get(request, &id);

    if (described != NULL)
        transfer_answer(request, 200, id, described);
}

/* What is known of its attempts. */
void transfers_list_retries(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = transfer_get(request, &id);
    Description d;
    bool held;
    GString *out;

    if (described == NULL || !description_read(described, &d))
        return;
    held = d.next_retry_us == TRANSFER_HELD_US;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_number(out, "transferId", id);
    json_text(out, "state", d.state);
    json_number(out, "attempts", d.attempts);
    json_bool(out, "held", held);
    json_time(out, "nextRetryAt", held ? 0 : d.next_retry_us);
    json_text(out, "errorCode", d.diag[0] != '\0' ? d.diag : NULL);
    json_text(out, "errorMessage", d.error[0] != '\0' ? d.error : NULL);
    json_close(out, '}');
}

/* ordering */

void transfer_note_order(Request *request, GVariant *before, GVariant *after)
{
    g_autoptr(GString) was = g_string_new(NULL), is = g_string_new(NULL);

    transfer_write(was, NULL, before, NULL);
    transfer_write(is, NULL, after, NULL);
    request_note_change(request, was->str, is->str);
}

static void order(Request *request, const char *method)
{
    int64_t id;
    g_autoptr(GVariant) before = transfer_get(request, &id), after = NULL;
    g_autoptr(DoorAnswer) answer = NULL;

    if (before == NULL)
        return;
    answer = request_ask(request, method, g_variant_new("(x)", id));
    if (answer == NULL)
        return;
    after = transfer_get(request, &id);
    if (after == NULL)
        return;
    transfer_note_order(request, before, after);
    transfer_answer(request, 202, id, after);
}

void transfers_cancel(Request *request)
{
    order(request, "Cancel");
}

void transfers_retry(Request *request)
{
    order(request, "Retry");
}

void transfers_hold(Request *request)
{
    order(request, "Hold");
}

void transfers_release(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = transfer_get(request, &id);
    Description d;

    if (described == NULL || !description_read(described, &d))
        return;
    if (d.next_retry_us == TRANSFER_HELD_US)
        order(request, "Retry");
    else
        request_problem(request, 409, "conflict", NULL, "transfer %" PRId64 " is not held", id);
}

/* bytes out of the spool */

/* "bytes=A-B", "bytes=A-", "bytes=-N"; anything else: the whole, as RFC 9110 allows. False: not satisfiable. */
static bool parse_range(const char *text, uint64_t size, uint64_t *offset, uint64_t *length,
                        bool *ret_partial)
{
    uint64_t from = 0, to = 0;
    int end = 0;

    *offset = 0;
    *length = size;
    *ret_partial = false;
    if (text == NULL || strchr(text, ',') != NULL)
        return true;
    if (sscanf(text, "bytes=-%" SCNu64 "%n", &to, &end) == 1 && text[end] == '\0') {
        *length = MIN(to, size);
        *offset = size - *length;
    } else if (sscanf(text, "bytes=%" SCNu64 "-%" SCNu64 "%n", &from, &to, &end) == 2 &&
               text[end] == '\0' && from <= to) {
        *offset = from;
        *length = from < size ? MIN(to, size - 1) - from + 1 : 0;
    } else if (g_str_has_suffix(text, "-") && sscanf(text, "bytes=%" SCNu64, &from) == 1) {
        *offset = from;
        *length = from < size ? size - from : 0;
    } else {
        return true;
    }
    *ret_partial = true;
    return *length > 0;
}

/* What was received is replaced by what is received next at its path: its bytes are those of this ETag only. */
static void make_etag(const Request *request, const struct stat *stat, char etag[ETAG_LENGTH])
{
    (void)snprintf(etag, ETAG_LENGTH, "\"%s-%" PRIx64 "-%" PRIx64 ".%" PRIx64 "\"",
                   request->parameters[0], (uint64_t)stat->st_size, (uint64_t)stat->st_mtim.tv_sec,
                   (uint64_t)stat->st_mtim.tv_nsec); /* ids are short */
}

/* The conditions of RFC 9110 §13, in its order. False: answered. */
static bool check_conditions(Request *request, const char *etag)
{
    if (request->if_match != NULL && !request_names_etag(request->if_match, etag)) {
        request_problem(request, 412, "precondition", "If-Match", "the bytes are %s now", etag);
        return false;
    }
    if (request->if_none_match != NULL && request_names_etag(request->if_none_match, etag)) {
        (void)request_answer(request, 304);
        return false;
    }
    /* who goes on with what he has not the beginning of gets the whole */
    if (request->if_range != NULL && strcmp(request->if_range, etag) != 0)
        g_clear_pointer(&request->range, g_free);
    return true;
}

static void answer_bytes(Request *request, DoorAnswer *answer, const struct stat *stat)
{
    char etag[ETAG_LENGTH], range[RANGE_LENGTH];
    uint64_t size = (uint64_t)stat->st_size;
    bool partial;

    make_etag(request, stat, etag);
    request_add_header(request, "ETag", etag);
    request_add_header(request, "Accept-Ranges", "bytes");
    if (!check_conditions(request, etag))
        return;
    if (!parse_range(request->range, size, &request->file_offset, &request->file_length,
                     &partial)) {
        request_problem(request, 416, "range", "Range", "the file has %" PRIu64 " bytes", size);
        (void)snprintf(range, sizeof range, "bytes */%" PRIu64, size); /* fits */
        request_add_header(request, "Content-Range", range);
        return;
    }
    (void)request_answer(request, partial ? 206 : 200);
    request->type = "application/octet-stream";
    if (partial) {
        (void)snprintf(range, sizeof range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
                       request->file_offset, request->file_offset + request->file_length - 1,
                       size); /* fits */
        request_add_header(request, "Content-Range", range);
    }
    request->file_fd = answer->fds[0];
    answer->fds[0] = -1;
}

void transfers_download(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = transfer_get(request, &id);
    g_autoptr(DoorAnswer) answer = NULL;
    struct stat stat;

    if (described == NULL)
        return;
    answer = request_ask(request, "Open", g_variant_new("(x)", id));
    if (answer == NULL)
        return;
    if (answer->fd_count != 1 || fstat(answer->fds[0], &stat) != 0)
        request_problem(request, 500, "io", NULL,
                        "the bytes of transfer %" PRId64 " cannot be read", id);
    else
        answer_bytes(request, answer, &stat);
}

/* history that is not wanted any more */

void transfers_clean(Request *request)
{
    g_autoptr(DoorAnswer) answer = NULL;
    int64_t days = 0, before_us;
    GString *out;

    if (!request_query_number(request, "olderThanDays", 1, DAYS_MAX, &days))
        return;
    if (days == 0) {
        request_problem(request, 400, "invalid", "olderThanDays", "olderThanDays: it is missing");
        return;
    }
    before_us = clock_wall_us() - days * DAY_US;
    answer = request_ask(request, "Clean", g_variant_new("(x)", before_us));
    if (answer == NULL)
        return;
    out = request_answer(request, 202);
    json_open(out, NULL, '{');
    json_number(out, "olderThanDays", days);
    json_time(out, "before", before_us);
    json_close(out, '}');
    request_note_change(request, NULL, out->str);
}
