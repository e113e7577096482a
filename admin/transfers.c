/* SPDX-License-Identifier: Apache-2.0 */
/* Transfers over HTTP: what there is, what there was, and the verbs, which act on what runs. */
#include "admin/admin-private.h"
#include "admin/order.h"

#include "base/clock.h"
#include "daemon/local/description.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_MAX     1000
#define ANSWER_US    (7 * 86400 * USEC_PER_SEC)
#define COPY_BYTES   (1u << 30)
#define DAY_US       (86400 * USEC_PER_SEC)
#define DAYS_MAX     366
#define ONCE_KEY_MAX 255
#define ETAG_LENGTH  80
#define RANGE_LENGTH 96

/* the words of those who come from PeSIT Wizard, beside ours */
static const char *const STATUSES[] = {
        [TRANSFER_STAGED] = "INITIATED",    [TRANSFER_QUEUED] = "INITIATED",
        [TRANSFER_RUNNING] = "IN_PROGRESS", [TRANSFER_WAITING] = "RETRY_PENDING",
        [TRANSFER_DONE] = "COMPLETED",      [TRANSFER_FAILED] = "FAILED",
        [TRANSFER_CANCELLED] = "CANCELLED",
};

/* its other words, which we never answer: what it has interrupted, or taken, waits here */
static const struct {
    const char *word;
    TransferState state;
} ASKED[] = {{"INTERRUPTED", TRANSFER_WAITING}, {"PENDING", TRANSFER_QUEUED}};

#define STATUS_HELD "PAUSED"
#define ACTIVE                                                                                     \
    (1u << TRANSFER_STAGED | 1u << TRANSFER_QUEUED | 1u << TRANSFER_RUNNING |                      \
     1u << TRANSFER_WAITING)

static bool is_sending(TransferDirection direction)
{
    return direction != DIRECTION_FETCH && direction != DIRECTION_RECEIVE;
}

/* Until somebody releases it. */
static bool is_held(const Transfer *t, TransferState state)
{
    return state == TRANSFER_WAITING && t->next_retry_us == TRANSFER_HELD_US;
}

static void write_fields(GString *out, const Transfer *t, TransferState state, uint64_t progress)
{
    char diag[16];

    (void)snprintf(diag, sizeof diag, "%u-%03u", t->diag_type, t->diag_code); /* fits */
    json_number(out, "transferId", t->id);
    json_text(out, "state", transfer_state_name(state));
    json_text(out, "status", is_held(t, state) ? STATUS_HELD : STATUSES[state]);
    json_bool(out, "held", is_held(t, state));
    json_text(out, "mode", transfer_direction_name(t->direction));
    json_text(out, "direction", is_sending(t->direction) ? "SEND" : "RECEIVE");
    json_text(out, "partnerId", t->partner);
    json_text(out, "filename", t->path);
    json_text(out, "remoteFilename", t->file_name);
    json_number(out, "fileSize", (int64_t)t->size_bytes);
    json_number(out, "bytesTransferred", (int64_t)progress);
    json_number(out, "pesitTransferId", t->transfer_id);
    json_number(out, "attempts", t->attempts);
    json_time(out, "startedAt", t->created_us);
    json_time(out, "updatedAt", t->updated_us);
    json_time(out, "completedAt", t->finished_us);
    json_time(out, "nextRetryAt", is_held(t, state) ? 0 : t->next_retry_us);
    json_text(out, "errorCode", t->diag_code != 0 ? diag : NULL);
    json_text(out, "errorMessage", t->error);
    json_text(out, "checksum", t->sha256);
}

void transfer_write_stored(GString *out, const char *key, const Transfer *t)
{
    json_open(out, key, '{');
    write_fields(out, t, t->state, t->state == TRANSFER_DONE ? t->size_bytes : 0);
    json_close(out, '}');
}

/* from the local door, which knows what runs */
void transfer_write(GString *out, const char *key, GVariant *described)
{
    g_autoptr(Transfer) t = transfer_new();
    Description d;

    if (!description_read(described, &d))
        return;
    t->id = d.id;
    (void)transfer_state_parse(d.state, &t->state);             /* the daemon's own words */
    (void)transfer_direction_parse(d.direction, &t->direction); /* same */
    t->partner = g_strdup(d.partner);
    t->path = g_strdup(d.path);
    t->file_name = g_strdup(d.file_name);
    t->size_bytes = d.size_bytes;
    t->transfer_id = d.transfer_id;
    t->attempts = d.attempts;
    t->created_us = d.created_us;
    t->updated_us = d.updated_us;
    t->finished_us = d.finished_us;
    t->next_retry_us = d.next_retry_us;
    if (d.diag[0] != '\0') {
        t->diag_type = (uint8_t)g_ascii_digit_value(d.diag[0]);
        t->diag_code = (uint16_t)g_ascii_strtoull(d.diag + 2, NULL, 10);
    }
    t->error = d.error[0] != '\0' ? g_strdup(d.error) : NULL;
    t->sha256 = d.sha256[0] != '\0' ? g_strdup(d.sha256) : NULL;
    json_open(out, key, '{');
    write_fields(out, t, t->state, d.progress_bytes);
    json_close(out, '}');
}

/* asking */

static const char *query_either(const Request *request, const char *name, const char *alias)
{
    const char *value = request_query(request, name);

    return value != NULL ? value : request_query(request, alias);
}

static bool parse_state(const char *text, unsigned *ret_mask)
{
    TransferState state;

    if (transfer_state_parse(text, &state)) {
        *ret_mask |= 1u << state;
        return true;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(STATUSES); i++) {
        if (strcmp(STATUSES[i], text) == 0)
            *ret_mask |= 1u << i;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(ASKED); i++) {
        if (strcmp(ASKED[i].word, text) == 0)
            *ret_mask |= 1u << ASKED[i].state;
    }
    return *ret_mask != 0;
}

static bool parse_direction(const char *text, unsigned *ret_mask)
{
    TransferDirection direction;

    if (transfer_direction_parse(text, &direction)) {
        *ret_mask |= 1u << direction;
        return true;
    }
    for (unsigned i = DIRECTION_SEND; i <= DIRECTION_SERVE; i++) {
        if (strcmp(text, is_sending((TransferDirection)i) ? "SEND" : "RECEIVE") == 0)
            *ret_mask |= 1u << i;
    }
    return *ret_mask != 0;
}

static bool query_mask(Request *request, const char *name, const char *text,
                       bool (*parse)(const char *text, unsigned *ret_mask), unsigned *ret_mask)
{
    g_auto(GStrv) words = g_strsplit(text != NULL ? text : "", ",", 16);

    for (size_t i = 0; words[i] != NULL; i++) {
        unsigned mask = 0;

        if (!parse(words[i], &mask)) {
            request_problem(request, 400, "invalid", name, "%s: no such word '%s'", name, words[i]);
            return false;
        }
        *ret_mask |= mask;
    }
    return true;
}

/* Whose transfers may be seen: a partner's own only, and who asks for another's is told so. False: answered. */
static bool choose_partner(Request *request, const char *wanted, const char **ret_partner)
{
    const char *own = request->identity.partner;

    *ret_partner = wanted;
    if (request->identity.role != ROLE_PARTNER)
        return true;
    *ret_partner = own;
    if (wanted == NULL || strcmp(wanted, own) == 0)
        return true;
    request_problem(request, 404, "not-found", "partner", "'%s' sees transfers of '%s' only",
                    request->identity.name, own);
    return false;
}

/* What a list is of, beside what the query asks for. */
typedef struct {
    const char *partner;
    unsigned states, directions;          /* masks; 0: all */
    bool (*is_wanted)(const Transfer *t); /* of what the store finds; NULL: all of it */
} Listing;

static bool is_paused(const Transfer *t)
{
    return is_held(t, t->state);
}

static bool is_retryable(const Transfer *t)
{
    return t->direction == DIRECTION_FETCH || t->data_kept || t->state == TRANSFER_WAITING;
}

/* The words of a status; PAUSED are some of those that wait. */
static bool take_status(Request *request, const char *name, const char *text, Listing *listing)
{
    if (g_strcmp0(text, STATUS_HELD) == 0) {
        listing->states = 1u << TRANSFER_WAITING;
        listing->is_wanted = is_paused;
        return true;
    }
    return text == NULL || query_mask(request, name, text, parse_state, &listing->states);
}

static bool query_status(Request *request, const char *name, Listing *listing)
{
    return take_status(request, name, request_query(request, name), listing);
}

/* False: answered. */
static bool read_search(Request *request, Listing *listing, StoreSearch *search)
{
    int64_t limit = 50;

    search->text = query_either(request, "text", "filename");
    if (!choose_partner(request,
                        listing->partner != NULL ? listing->partner
                                                 : query_either(request, "partner", "partnerId"),
                        &search->partner) ||
        (listing->states == 0 &&
         !query_status(request, request_query(request, "status") != NULL ? "status" : "state",
                       listing)) ||
        !query_mask(request, "direction", request_query(request, "direction"), parse_direction,
                    &search->directions) ||
        !request_query_time(request, "from", "startDate", &search->from_us) ||
        !request_query_time(request, "to", "endDate", &search->to_us) ||
        !request_query_number(request, "before", 1, INT64_MAX, &search->before_id) ||
        !request_query_number(request, "size", 1, PAGE_MAX, &limit) ||
        !request_query_number(request, "limit", 1, PAGE_MAX, &limit))
        return false;
    search->states = listing->states;
    if (listing->directions != 0)
        search->directions = search->directions != 0 ? search->directions & listing->directions
                                                     : listing->directions;
    search->limit = (uint32_t)limit;
    return true;
}

/* The rows from an index on, at most limit. */
static void write_rows(GString *out, const GPtrArray *rows, guint from, uint32_t limit)
{
    int64_t count = 0;

    json_open(out, "content", '[');
    for (guint i = from; i < rows->len && count < limit; i++, count++)
        transfer_write_stored(out, NULL, g_ptr_array_index(rows, i));
    json_close(out, ']');
    json_number(out, "size", count);
}

static void drop_unwanted(const Listing *listing, GPtrArray *rows)
{
    for (guint i = rows->len; listing->is_wanted != NULL && i > 0; i--) {
        if (!listing->is_wanted(g_ptr_array_index(rows, i - 1)))
            g_ptr_array_remove_index(rows, i - 1);
    }
}

/* All that match, when they are few enough to be found in one search. NULL: answered. Returns new. */
static GPtrArray *find_all(Request *request, const Listing *listing, StoreSearch *search)
{
    g_autoptr(StoreResult) found = NULL;

    search->limit = ORDER_ROWS_MAX + 1;
    found = request_store(request, store_request_search(search));
    if (found == NULL)
        return NULL;
    if (found->number == 0) {
        drop_unwanted(listing, found->transfers);
        return g_steal_pointer(&found->transfers);
    }
    request_problem(request, 400, "invalid", "sortBy",
                    "sortBy: more than %d match, or have to be looked at: say which by from, to, "
                    "partner, status, direction",
                    ORDER_ROWS_MAX);
    return NULL;
}

static void list_ordered(Request *request, const Order *order, const Listing *listing,
                         StoreSearch *search)
{
    uint32_t size = search->limit;
    g_autoptr(GPtrArray) all = NULL;
    GString *out;

    if (search->before_id != 0) {
        request_problem(request, 400, "invalid", "before",
                        "before: it goes on in the order of time only; here page says which");
        return;
    }
    all = find_all(request, listing, search);
    if (all == NULL)
        return;
    order_sort(order, all);
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    write_rows(out, all, (guint)MIN(order->page * size, all->len), size);
    json_number(out, "page", order->page);
    json_number(out, "totalElements", all->len);
    json_close(out, '}');
}

static void list(Request *request, Listing listing)
{
    StoreSearch search = {.limit = 0};
    Order order;
    g_autoptr(StoreResult) result = NULL;
    GString *out;

    if (!order_read(request, &order) || !read_search(request, &listing, &search))
        return;
    if (!order_is_plain(&order)) {
        list_ordered(request, &order, &listing, &search);
        return;
    }
    result = request_store(request, store_request_search(&search));
    if (result == NULL)
        return;
    drop_unwanted(&listing, result->transfers);
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    write_rows(out, result->transfers, 0, search.limit);
    if (result->number != 0)
        json_number(out, "next", (int64_t)result->number);
    json_close(out, '}');
}

void transfers_list(Request *request)
{
    list(request, (Listing){0});
}

void transfers_list_active(Request *request)
{
    list(request, (Listing){.states = ACTIVE});
}

void transfers_list_status(Request *request)
{
    Listing listing = {0};

    if (take_status(request, "status", request->parameters[0], &listing))
        list(request, listing);
}

void transfers_list_partner(Request *request)
{
    list(request, (Listing){.partner = request->parameters[0]});
}

void transfers_list_retryable(Request *request)
{
    list(request, (Listing){.states = 1u << TRANSFER_WAITING | 1u << TRANSFER_FAILED |
                                      1u << TRANSFER_CANCELLED,
                            .directions = 1u << DIRECTION_SEND | 1u << DIRECTION_FETCH,
                            .is_wanted = is_retryable});
}

static bool read_id(Request *request, int64_t *ret_id)
{
    const char *text = request->parameters[0];

    if (g_ascii_string_to_signed(text, 10, 1, G_MAXINT64, ret_id, NULL))
        return true;
    request_problem(request, 404, "not-found", "id", "no transfer '%s'", text);
    return false;
}

/* The transfer as it is now; what another partner's is not there. NULL: answered. Returns new. */
static GVariant *get_transfer(Request *request, int64_t *ret_id)
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

static void answer_transfer(Request *request, unsigned status, GVariant *described)
{
    GString *out = request_answer(request, status);

    transfer_write(out, NULL, described);
}

void transfers_show(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = get_transfer(request, &id);

    if (described != NULL)
        answer_transfer(request, 200, described);
}

/* What is known of its attempts. */
void transfers_list_retries(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = get_transfer(request, &id);
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

void transfers_statistics(Request *request)
{
    const char *wanted = request->parameters[0] != NULL
                                 ? request->parameters[0]
                                 : query_either(request, "partner", "partnerId");
    const char *partner = NULL;
    g_autoptr(StoreResult) result = NULL;
    int64_t from_us = 0, total = 0, bytes = 0, counts[TRANSFER_CANCELLED + 1] = {0};
    GString *out;

    if (!choose_partner(request, wanted, &partner) ||
        !request_query_time(request, "from", "startDate", &from_us))
        return;
    result = request_store(request, store_request_statistics(partner, from_us));
    if (result == NULL)
        return;
    for (guint i = 0; i < result->transfers->len; i++) {
        const Transfer *sum = g_ptr_array_index(result->transfers, i);

        total += (int64_t)sum->articles;
        bytes += sum->state == TRANSFER_DONE ? (int64_t)sum->size_bytes : 0;
        counts[sum->state] += (int64_t)sum->articles;
    }
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_number(out, "totalTransfers", total);
    json_number(out, "completedTransfers", counts[TRANSFER_DONE]);
    json_number(out, "failedTransfers", counts[TRANSFER_FAILED]);
    json_number(out, "cancelledTransfers", counts[TRANSFER_CANCELLED]);
    json_number(out, "activeTransfers", counts[TRANSFER_RUNNING]);
    json_number(out, "pendingTransfers", counts[TRANSFER_QUEUED] + counts[TRANSFER_WAITING]);
    json_number(out, "totalBytesTransferred", bytes);
    json_close(out, '}');
}

/* The sums of one day, from the index on. Returns the index behind them. */
static guint write_day(GString *out, const GPtrArray *sums, guint from)
{
    int64_t day_us = ((const Transfer *)g_ptr_array_index(sums, from))->created_us;
    int64_t total = 0, bytes = 0, counts[TRANSFER_CANCELLED + 1] = {0};
    g_autoptr(GDateTime) day = g_date_time_new_from_unix_utc(day_us / USEC_PER_SEC);
    g_autofree char *date = g_date_time_format(day, "%Y-%m-%d");
    guint i = from;

    for (; i < sums->len; i++) {
        const Transfer *sum = g_ptr_array_index(sums, i);

        if (sum->created_us != day_us)
            break;
        total += (int64_t)sum->articles;
        bytes += sum->state == TRANSFER_DONE ? (int64_t)sum->size_bytes : 0;
        counts[sum->state] += (int64_t)sum->articles;
    }
    json_open(out, NULL, '{');
    json_text(out, "date", date);
    json_number(out, "totalTransfers", total);
    json_number(out, "completedTransfers", counts[TRANSFER_DONE]);
    json_number(out, "failedTransfers", counts[TRANSFER_FAILED]);
    json_number(out, "cancelledTransfers", counts[TRANSFER_CANCELLED]);
    json_number(out, "totalBytesTransferred", bytes);
    json_close(out, '}');
    return i;
}

void transfers_list_days(Request *request)
{
    const char *partner = NULL;
    int64_t days = 7, today_us = clock_wall_us() / DAY_US * DAY_US;
    g_autoptr(StoreResult) result = NULL;
    GString *out;

    if (!choose_partner(request, query_either(request, "partner", "partnerId"), &partner) ||
        !request_query_number(request, "days", 1, DAYS_MAX, &days))
        return;
    result = request_store(request, store_request_days(partner, today_us - (days - 1) * DAY_US));
    if (result == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '[');
    for (guint i = 0; i < result->transfers->len;)
        i = write_day(out, result->transfers, i);
    json_close(out, ']');
}

/* ordering */

/* How it stood, and stands. */
static void note_order(Request *request, GVariant *before, GVariant *after)
{
    g_autoptr(GString) was = g_string_new(NULL), is = g_string_new(NULL);

    transfer_write(was, NULL, before);
    transfer_write(is, NULL, after);
    request_note_change(request, was->str, is->str);
}

static void order(Request *request, const char *method)
{
    int64_t id;
    g_autoptr(GVariant) before = get_transfer(request, &id), after = NULL;
    g_autoptr(DoorAnswer) answer = NULL;

    if (before == NULL)
        return;
    answer = request_ask(request, method, g_variant_new("(x)", id));
    if (answer == NULL)
        return;
    after = get_transfer(request, &id);
    if (after == NULL)
        return;
    note_order(request, before, after);
    answer_transfer(request, 202, after);
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
    g_autoptr(GVariant) described = get_transfer(request, &id);
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
    g_autoptr(GVariant) described = get_transfer(request, &id);
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

/* sending and receiving */

/* answer: of Commit or Fetch. */
static void answer_new(Request *request, const DoorAnswer *answer)
{
    g_autoptr(GVariant) described = g_variant_get_child_value(answer->value, 0);

    answer_transfer(request, 202, described);
    request_note_change(request, NULL, request->answer->str);
}

/* A key that a caller gave. In the store, under its id: the print of what was asked, and behind a line's end what was
 * answered. */
typedef struct {
    char *id, *print; /* NULL: he gave none */
} Once;

static void once_clear(Once *once)
{
    g_free(once->id);
    g_free(once->print);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Once, once_clear)

/* What was answered under this key before. True: answered. */
static bool answer_again(Request *request, const Once *once)
{
    g_autoptr(StoreResult) result =
            request_execute(request, store_request_record_get("answer", once->id));
    const char *document, *answer;

    if (result->error != NULL)
        return false;
    document = ((const Record *)g_ptr_array_index(result->records, 0))->document;
    answer = strchr(document, '\n');
    if (!g_str_has_prefix(document, once->print)) {
        request_problem(request, 422, "idempotency", "Idempotency-Key",
                        "this key was given to another request");
    } else if (answer == NULL) {
        request_problem(request, 409, "conflict", "Idempotency-Key",
                        "a request with this key is under way, or nobody knows how it ended: see "
                        "the list of transfers");
    } else {
        g_string_append(request_answer(request, 202), answer + 1);
        request_add_header(request, "Idempotent-Replayed", "true");
    }
    return true;
}

static bool is_key(const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++) {
        if (!g_ascii_isprint(text[i]))
            return false;
    }
    return length > 0 && length <= ONCE_KEY_MAX;
}

/* Reserves the caller's Idempotency-Key. what: is asked. False: answered. */
static bool reserve(Request *request, const char *what, Once *ret_once)
{
    g_autofree char *whole = NULL;
    g_autoptr(Record) record = NULL;
    g_autoptr(StoreResult) result = NULL;

    if (request->idempotency_key == NULL)
        return true;
    if (!is_key(request->idempotency_key)) {
        request_problem(request, 400, "invalid", "Idempotency-Key",
                        "Idempotency-Key: it must have 1 to %d characters of ASCII", ONCE_KEY_MAX);
        return false;
    }
    whole = g_strjoin("\n", request->identity.name, request->route->operation,
                      request->idempotency_key, NULL);
    ret_once->id = g_compute_checksum_for_string(G_CHECKSUM_SHA256, whole, -1);
    ret_once->print = g_compute_checksum_for_string(G_CHECKSUM_SHA256, what, -1);
    record = record_new("answer", ret_once->id, ret_once->id, ret_once->print);
    result = request_execute(request, store_request_record_insert(record));
    if (result->error == NULL)
        return true;
    if (result->error->code != BASE_ERROR_EXISTS || !answer_again(request, ret_once))
        request_fail(request, result->error);
    return false;
}

/* The answer stays for repeats; a failure may be tried again, unless it may have been none. */
static void settle(Request *request, const Once *once)
{
    g_autofree char *document = NULL;
    g_autoptr(Record) record = NULL;

    if (once->id == NULL || request->doubtful)
        return;
    if (request->status != 202) {
        store_post(request->admin->host.store, store_request_record_remove("answer", once->id, 0));
        return;
    }
    document = g_strconcat(once->print, "\n", request->answer->str, NULL);
    record = record_new("answer", once->id, once->id, document);
    store_result_free(request_execute(request, store_request_record_update(record, 0)));
}

void transfers_forget_answers(Admin *admin)
{
    store_post(admin->host.store,
               store_request_record_expire("answer", clock_wall_us() - ANSWER_US));
}

void transfers_send(Request *request)
{
    g_autofree char *what = upload_describe(request->upload);
    g_auto(Once) once = {NULL};
    g_autoptr(DoorAnswer) answer = NULL;

    if (!reserve(request, what, &once))
        return;
    answer = upload_commit(request->upload);
    if (answer != NULL)
        answer_new(request, answer);
    settle(request, &once);
}

/* sending again */

static bool copy_bytes(Request *request, int from, int to)
{
    g_autoptr(GError) error = NULL;
    ssize_t count;

    do {
        count = copy_file_range(from, NULL, to, NULL, COPY_BYTES,
                                0); /* one spool, one filesystem */
    } while (count > 0 || (count < 0 && errno == EINTR));
    if (count == 0 && fsync(to) == 0)
        return true;
    error_set_errno(&error, errno, "copy the bytes");
    request_fail(request, error);
    return false;
}

/* A staged copy of the bytes of a transfer. False: answered. */
static bool stage_copy(Request *request, int64_t id, const char *partner, const char *path,
                       int64_t *ret_staging_id)
{
    g_autoptr(DoorAnswer) source = request_ask(request, "Open", g_variant_new("(x)", id));
    g_autoptr(DoorAnswer) staged = NULL;
    gint64 staging_id = 0;

    if (source == NULL)
        return false;
    staged = request_ask(request, "Stage", g_variant_new("(ssb)", partner, path, FALSE));
    if (staged == NULL)
        return false;
    g_variant_get(staged->value, "(xh)", &staging_id, NULL);
    *ret_staging_id = staging_id;
    if (copy_bytes(request, source->fds[0], staged->fds[0]))
        return true;
    upload_discard(request->admin, staging_id);
    return false;
}

static DoorAnswer *commit_copy(Request *request, const Description *of, int64_t staging_id)
{
    GVariantBuilder attributes;
    DoorAnswer *answer;

    g_variant_builder_init(&attributes, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&attributes, "{sv}", "mode", g_variant_new_uint32(of->mode));
    g_variant_builder_add(&attributes, "{sv}", "mtime_us", g_variant_new_int64(of->mtime_us));
    answer = request_ask(
            request, "Commit",
            g_variant_new("(xssa{sv})", staging_id, of->partner, of->path, &attributes));
    if (answer == NULL)
        upload_discard(request->admin, staging_id);
    return answer;
}

static void replay(Request *request, GVariant *described, int64_t id)
{
    Description d;
    g_autoptr(DoorAnswer) answer = NULL;
    g_autoptr(GVariant) fresh = NULL;
    int64_t staging_id = 0;

    if (!description_read(described, &d))
        return;
    if (strcmp(d.direction, "send") != 0 && strcmp(d.direction, "offer") != 0) {
        request_problem(request, 409, "conflict", NULL,
                        "transfer %" PRId64 " is a %s: only what was sent from here is sent again",
                        id, d.direction);
        return;
    }
    if (!stage_copy(request, id, d.partner, d.path, &staging_id))
        return;
    answer = commit_copy(request, &d, staging_id);
    if (answer == NULL)
        return;
    fresh = g_variant_get_child_value(answer->value, 0);
    note_order(request, described, fresh);
    answer_transfer(request, 202, fresh);
}

void transfers_replay(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = get_transfer(request, &id);
    g_auto(Once) once = {NULL};

    if (described == NULL || !reserve(request, request->parameters[0], &once))
        return;
    replay(request, described, id);
    settle(request, &once);
}

/* What has to be there. False: answered. */
static bool read_needed(Request *request, const Json *json, const char *const *names,
                        const char **ret_name, const char **ret_text)
{
    if (!request_read_text(request, json, names, ret_name, ret_text))
        return false;
    if (*ret_text != NULL)
        return true;
    request_problem(request, 400, "invalid", names[0], "%s: it is missing", names[0]);
    return false;
}

void transfers_receive(Request *request)
{
    /* of PeSIT Wizard's fields filename is where the bytes go: here only when nothing else says what they are */
    static const char *const NAMES[] = {"partner",  "server",      "serverId",       "partnerId",
                                        "path",     "virtualFile", "remoteFilename", "filename",
                                        "password", NULL};
    static const char *const PARTNER[] = {"partner", "server", "serverId", "partnerId", NULL};
    static const char *const PATH[] = {"path", "virtualFile", "remoteFilename", "filename", NULL};
    g_autoptr(Json) json = request_read_json(request, NAMES);
    g_autofree char *what = NULL;
    g_auto(Once) once = {NULL};
    g_autoptr(DoorAnswer) answer = NULL;
    const char *partner_name, *path_name, *partner = NULL, *path = NULL;

    if (json == NULL)
        return;
    if (json_has(json, "password")) {
        request_problem(request, 400, "invalid", "password",
                        "password: it belongs to the partner's configuration, not to a request");
        return;
    }
    if (!read_needed(request, json, PARTNER, &partner_name, &partner) ||
        !read_needed(request, json, PATH, &path_name, &path))
        return;
    what = g_strconcat(partner, "\n", path, NULL);
    if (!reserve(request, what, &once))
        return;
    request->suspects = (const Suspect[]){
            {"no partner", partner_name}, {"partner ", partner_name}, {"", path_name}};
    answer = request_ask(request, "Fetch", g_variant_new("(ssu)", partner, path, 1u));
    request->suspects = NULL;
    if (answer != NULL)
        answer_new(request, answer);
    settle(request, &once);
}
