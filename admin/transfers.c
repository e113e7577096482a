/* SPDX-License-Identifier: Apache-2.0 */
/* Transfers over HTTP: how one is shown, lists of what there is and what there was, and their numbers. */
#include "admin/admin-private.h"
#include "admin/order.h"

#include "base/clock.h"
#include "daemon/local/description.h"

#include <stdio.h>
#include <string.h>

#define PAGE_MAX 1000
#define DAY_US   (86400 * USEC_PER_SEC)
#define DAYS_MAX 366

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
    json_text(out, "correlationId", t->correlation);
    json_text(out, "sessionId", t->session);
    json_text(out, "serverId", t->listener);
}

void transfer_write_stored(GString *out, const char *key, const Transfer *t)
{
    json_open(out, key, '{');
    write_fields(out, t, t->state, t->state == TRANSFER_DONE ? t->size_bytes : 0);
    json_close(out, '}');
}

/* from the local door, which knows what runs */
void transfer_write(GString *out, const char *key, GVariant *described, const Transfer *stored)
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
    t->correlation = stored != NULL ? g_strdup(stored->correlation) : NULL;
    t->session = stored != NULL ? g_strdup(stored->session) : NULL;
    t->listener = stored != NULL ? g_strdup(stored->listener) : NULL;
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

/* Few have one name: no filter but whose they are. */
static void list_named(Request *request,
                       StoreRequest *(*find)(const char *name, const char *partner,
                                             int64_t before_id, uint32_t limit))
{
    const char *partner = NULL;
    int64_t before_id = 0, limit = 50;
    g_autoptr(StoreResult) found = NULL;
    GString *out;

    if (!choose_partner(request, NULL, &partner) ||
        !request_query_number(request, "before", 1, INT64_MAX, &before_id) ||
        !request_query_number(request, "size", 1, PAGE_MAX, &limit) ||
        !request_query_number(request, "limit", 1, PAGE_MAX, &limit))
        return;
    found = request_store(request,
                          find(request->parameters[0], partner, before_id, (uint32_t)limit + 1));
    if (found == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    write_rows(out, found->transfers, 0, (uint32_t)limit);
    if (found->transfers->len > limit)
        json_number(out, "next",
                    ((const Transfer *)g_ptr_array_index(found->transfers, limit - 1))->id);
    json_close(out, '}');
}

void transfers_list_correlated(Request *request)
{
    list_named(request, store_request_correlated);
}

void transfers_list_session(Request *request)
{
    list_named(request, store_request_session);
}

static bool came_by(const Transfer *t, const char *listener)
{
    return g_strcmp0(t->listener, listener) == 0;
}

/* Those that partners move now by a listener: as many as it has connections, so one page has them all. */
void transfers_list_active_server(Request *request)
{
    StoreSearch search = {.states = ACTIVE,
                          .directions = 1u << DIRECTION_RECEIVE | 1u << DIRECTION_SERVE,
                          .limit = ORDER_ROWS_MAX};
    g_autoptr(StoreResult) found = NULL;
    GString *out;

    if (!choose_partner(request, NULL, &search.partner))
        return;
    found = request_store(request, store_request_search(&search));
    if (found == NULL)
        return;
    for (guint i = found->transfers->len; i > 0; i--) {
        if (!came_by(g_ptr_array_index(found->transfers, i - 1), request->parameters[0]))
            g_ptr_array_remove_index(found->transfers, i - 1);
    }
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    write_rows(out, found->transfers, 0, ORDER_ROWS_MAX);
    json_close(out, '}');
}

void transfers_list_retryable(Request *request)
{
    list(request, (Listing){.states = 1u << TRANSFER_WAITING | 1u << TRANSFER_FAILED |
                                      1u << TRANSFER_CANCELLED,
                            .directions = 1u << DIRECTION_SEND | 1u << DIRECTION_FETCH,
                            .is_wanted = is_retryable});
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
