/* SPDX-License-Identifier: Apache-2.0 */
/* The audit trail as it is read: its rows, and whether each follows the one before it. */
#include "admin/admin-private.h"

#include <string.h>

#define PAGE     500
#define PAGE_MAX 1000

/* PeSIT Wizard's words for what a row is about. */
static const char *const CATEGORIES[] = {"TRANSFER", "SECURITY", "CONFIGURATION", "SYSTEM"};
typedef enum {
    CATEGORY_TRANSFER,
    CATEGORY_SECURITY,
    CATEGORY_CONFIGURATION,
    CATEGORY_SYSTEM
} Category;
#define CATEGORY_ANY G_N_ELEMENTS(CATEGORIES)

/* What the query asks for; texts: NULL for all. */
typedef struct {
    const char *actor, *address, *action, *object, *partner;
    int64_t from_us, to_us; /* 0: open */
    unsigned category;      /* CATEGORY_ANY: all */
    bool failures;          /* what went well is left out */
} Filter;

static Category category_of(const AuditEntry *entry)
{
    static const char *const SECURITY[] = {"/api/v1/apikeys", "/api/v1/users",
                                           "/api/v1/certificates", "/api/v1/secrets"};

    if (g_str_has_prefix(entry->action, "transfer ") || strstr(entry->object, "/transfers") != NULL)
        return CATEGORY_TRANSFER;
    for (size_t i = 0; i < G_N_ELEMENTS(SECURITY); i++) {
        if (g_str_has_prefix(entry->object, SECURITY[i]))
            return CATEGORY_SECURITY;
    }
    return entry->object[0] == '/' && strcmp(entry->action, AUDIT_PRUNE) != 0
                   ? CATEGORY_CONFIGURATION
                   : CATEGORY_SYSTEM;
}

/* A transfer that did not arrive, a request that was refused, an act that failed. */
static bool has_failed(const AuditEntry *entry)
{
    g_autoptr(Json) detail = NULL;
    const char *error = NULL;
    int64_t status = 0;

    if (g_str_has_prefix(entry->action, "transfer "))
        return strcmp(entry->action, "transfer done") != 0;
    detail = json_read(entry->detail, strlen(entry->detail), NULL);
    return detail != NULL && json_get_number(detail, "status", &status, NULL) &&
           json_get_text(detail, "error", &error, NULL) && (status >= 400 || error != NULL);
}

/* False: answered. */
static bool read_category(Request *request, const char *name, const char *text, Filter *filter)
{
    filter->category = CATEGORY_ANY;
    for (unsigned i = 0; text != NULL && i < CATEGORY_ANY; i++) {
        if (g_ascii_strcasecmp(text, CATEGORIES[i]) == 0)
            filter->category = i;
    }
    if (text == NULL || filter->category != CATEGORY_ANY)
        return true;
    request_problem(request, 400, "invalid", name,
                    "%s: '%s' is none of TRANSFER, SECURITY, CONFIGURATION, SYSTEM", name, text);
    return false;
}

/* False: answered. */
static bool read_outcome(Request *request, Filter *filter)
{
    const char *text = request_query(request, "outcome");

    filter->failures = text != NULL && g_ascii_strcasecmp(text, "FAILURE") == 0;
    if (text == NULL || filter->failures)
        return true;
    request_problem(request, 400, "invalid", "outcome",
                    "outcome: it must be FAILURE, or not there");
    return false;
}

static bool read_filter(Request *request, Filter *filter)
{
    filter->actor = request_query(request, "username");
    filter->address = request_query(request, "clientIp");
    filter->action = request_query(request, "action");
    if (filter->action == NULL)
        filter->action = request_query(request, "eventType");
    filter->object = request_query(request, "object");
    filter->partner = request_query(request, "partnerId");
    return request_query_time(request, "from", "startTime", &filter->from_us) &&
           request_query_time(request, "to", "endTime", &filter->to_us) &&
           read_category(request, "category", request_query(request, "category"), filter) &&
           read_outcome(request, filter);
}

/* A transfer of its, or what was done to it. */
static bool is_about(const AuditEntry *entry, const char *partner)
{
    g_autofree char *end = g_strconcat("/", partner, NULL);
    g_autoptr(GString) said = g_string_new(NULL);

    if (g_str_has_suffix(entry->object, end))
        return true;
    json_open(said, NULL, '{');
    json_text(said, "partnerId", partner);
    return strstr(entry->detail, said->str + 1) != NULL;
}

static bool is_wanted(const Filter *filter, const AuditEntry *entry)
{
    return (filter->actor == NULL || strcmp(entry->actor, filter->actor) == 0) &&
           (filter->address == NULL || strcmp(entry->address, filter->address) == 0) &&
           (filter->action == NULL || strstr(entry->action, filter->action) != NULL) &&
           (filter->object == NULL || strstr(entry->object, filter->object) != NULL) &&
           entry->time_us >= filter->from_us &&
           (filter->to_us == 0 || entry->time_us < filter->to_us) &&
           (filter->category == CATEGORY_ANY || category_of(entry) == filter->category) &&
           (!filter->failures || has_failed(entry)) &&
           (filter->partner == NULL || is_about(entry, filter->partner));
}

static void write_entry(GString *out, const AuditEntry *entry)
{
    json_open(out, NULL, '{');
    json_number(out, "seq", entry->seq);
    json_time(out, "timestamp", entry->time_us);
    json_text(out, "username", entry->actor);
    json_text(out, "clientIp", entry->address);
    json_text(out, "action", entry->action);
    json_text(out, "object", entry->object);
    json_text(out, "category", CATEGORIES[category_of(entry)]);
    json_text(out, "outcome", has_failed(entry) ? "FAILURE" : "SUCCESS");
    json_text(out, "details", entry->detail);
    json_text(out, "hash", entry->hash);
    json_close(out, '}');
}

/* A page is of so many rows of the trail: with a filter it may show fewer. */
static void list(Request *request, const Filter *filter, int64_t after, int64_t limit)
{
    g_autoptr(StoreResult) result =
            request_store(request, store_request_audit_list(after, (uint32_t)limit));
    GString *out;

    if (result == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_open(out, "content", '[');
    for (guint i = 0; i < result->audits->len; i++) {
        const AuditEntry *entry = g_ptr_array_index(result->audits, i);

        after = entry->seq;
        if (is_wanted(filter, entry))
            write_entry(out, entry);
    }
    json_close(out, ']');
    if (result->audits->len == (guint)limit)
        json_number(out, "next", after);
    json_close(out, '}');
}

/* False: answered. */
static bool read_page(Request *request, int64_t *ret_after, int64_t *ret_limit)
{
    *ret_after = 0;
    *ret_limit = 100;
    return request_query_number(request, "after", 0, INT64_MAX, ret_after) &&
           request_query_number(request, "size", 1, PAGE_MAX, ret_limit) &&
           request_query_number(request, "limit", 1, PAGE_MAX, ret_limit);
}

void audit_list(Request *request)
{
    int64_t after, limit;
    Filter filter = {NULL};

    if (read_page(request, &after, &limit) && read_filter(request, &filter))
        list(request, &filter, after, limit);
}

/* The number of the last row; 0: none. False: answered. */
static bool find_last(Request *request, int64_t *ret_seq)
{
    g_autoptr(StoreResult) last = request_store(request, store_request_audit_last());

    if (last == NULL)
        return false;
    *ret_seq = last->audits->len > 0 ? ((const AuditEntry *)g_ptr_array_index(last->audits, 0))->seq
                                     : 0;
    return true;
}

/* The end of the trail: of a shorter one all of it. Without an order of its own: pages go on with what comes later. */
static void list_end(Request *request, Filter filter)
{
    int64_t after, limit, last;

    if (!read_page(request, &after, &limit) || !find_last(request, &last))
        return;
    if (request_query(request, "after") == NULL)
        after = MAX(last - limit, 0);
    list(request, &filter, after, limit);
}

void audit_list_recent(Request *request)
{
    list_end(request, (Filter){.category = CATEGORY_ANY});
}

/* All rows that are wanted, a page of the trail after the other. */
static void list_preset(Request *request, Filter filter)
{
    int64_t after, limit;

    if (read_page(request, &after, &limit))
        list(request, &filter, after, limit);
}

void audit_list_failures(Request *request)
{
    list_preset(request, (Filter){.category = CATEGORY_ANY, .failures = true});
}

void audit_list_security(Request *request)
{
    list_preset(request, (Filter){.category = CATEGORY_SECURITY});
}

void audit_list_transfers(Request *request)
{
    list_preset(request, (Filter){.category = CATEGORY_TRANSFER});
}

void audit_list_user(Request *request)
{
    list_preset(request, (Filter){.category = CATEGORY_ANY, .actor = request->parameters[0]});
}

void audit_list_partner(Request *request)
{
    list_preset(request, (Filter){.category = CATEGORY_ANY, .partner = request->parameters[0]});
}

void audit_list_category(Request *request)
{
    Filter filter = {NULL};

    if (read_category(request, "category", request->parameters[0], &filter))
        list_preset(request, filter);
}

/* Of the last rows: a trail may have millions. */
void audit_statistics(Request *request)
{
    int64_t last, counts[G_N_ELEMENTS(CATEGORIES)] = {0}, failures = 0, seen = 0;
    g_autoptr(StoreResult) page = NULL;
    GString *out;

    if (!find_last(request, &last))
        return;
    page = request_store(request, store_request_audit_list(MAX(last - PAGE_MAX, 0), PAGE_MAX));
    if (page == NULL)
        return;
    for (guint i = 0; i < page->audits->len; i++, seen++) {
        const AuditEntry *entry = g_ptr_array_index(page->audits, i);

        counts[category_of(entry)]++;
        failures += has_failed(entry);
    }
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_number(out, "lastSeq", last);
    json_number(out, "counted", seen);
    json_number(out, "failures", failures);
    json_open(out, "categories", '{');
    for (size_t i = 0; i < G_N_ELEMENTS(CATEGORIES); i++)
        json_number(out, CATEGORIES[i], counts[i]);
    json_close(out, '}');
    json_close(out, '}');
}

/* A trail that is walked along. */
typedef struct {
    int64_t seq; /* of the last row */
    char *hash;
    int64_t first;                   /* the first that is there; 0: none */
    char *before;                    /* hash of the one before it, as it says */
    int64_t removed;                 /* so far a row says that all were removed; 0: none does */
    int64_t wanted_seq;              /* a head that was noted; 0: none was */
    const char *wanted_hash, *wrong; /* wrong: or NULL */
    bool met;
} Walk;

static void walk_clear(Walk *self)
{
    g_free(self->hash);
    g_free(self->before);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Walk, walk_clear)

static void meet(Walk *self, int64_t seq, const char *hash)
{
    self->met = self->met || (self->wanted_seq != 0 && seq == self->wanted_seq &&
                              strcmp(hash, self->wanted_hash) == 0);
}

/* Rows before the first may be gone when a later one says so, and with which hash the last of them ended. */
static void take_removal(Walk *self, const AuditEntry *entry)
{
    g_autoptr(Json) detail = json_read(entry->detail, strlen(entry->detail), NULL);
    const char *hash = "";
    int64_t seq = 0;

    if (strcmp(entry->action, AUDIT_PRUNE) != 0 || detail == NULL ||
        !json_get_number(detail, "seq", &seq, NULL) || !json_get_text(detail, "hash", &hash, NULL))
        return;
    if (seq >= entry->seq || (seq == self->first - 1 && strcmp(hash, self->before) != 0)) {
        self->wrong = "it does not say truly what was removed";
        return;
    }
    self->removed = MAX(self->removed, seq);
    meet(self, seq, hash);
}

static void take_row(Walk *self, const AuditEntry *entry)
{
    g_autofree char *computed = audit_dup_hash(entry);

    if (self->first == 0) {
        self->first = entry->seq;
        self->before = g_strdup(entry->previous);
    } else if (entry->seq != self->seq + 1) {
        self->wrong = "a row before it is missing";
    } else if (strcmp(entry->previous, self->hash) != 0) {
        self->wrong = "it does not follow the row before it";
    }
    if (self->wrong == NULL && strcmp(entry->hash, computed) != 0)
        self->wrong = "it was changed";
    self->seq = entry->seq;
    g_free(self->hash);
    self->hash = g_strdup(entry->hash);
    meet(self, entry->seq, entry->hash);
    if (self->wrong == NULL)
        take_removal(self, entry);
}

static void end(Walk *self)
{
    if (self->wrong != NULL)
        return;
    if (self->first > 1 && self->removed < self->first - 1)
        self->wrong = "rows before the first are missing, and none says that they were removed";
    else if (self->first == 1 && self->before[0] != '\0')
        self->wrong = "the first row follows another";
    else if (self->wanted_seq != 0 && !self->met && self->wanted_seq <= self->removed)
        self->wrong = "the head that was noted is of a time that is not kept: note a newer one";
    else if (self->wanted_seq != 0 && !self->met)
        self->wrong =
                "the head that was noted is not in the trail: rows were cut off or written anew";
}

/* False: the request has its answer. */
static bool walk(Walk *self, Request *request)
{
    bool more = true;

    while (more && self->wrong == NULL) {
        g_autoptr(StoreResult) page =
                request_store(request, store_request_audit_list(self->seq, PAGE));

        if (page == NULL)
            return false;
        more = page->audits->len == PAGE;
        for (guint i = 0; i < page->audits->len && self->wrong == NULL; i++)
            take_row(self, g_ptr_array_index(page->audits, i));
    }
    end(self);
    return true;
}

void audit_verify(Request *request)
{
    g_auto(Walk) self = {.hash = g_strdup(""), .wanted_hash = request_query(request, "hash")};
    GString *out;

    if (!request_query_number(request, "seq", 1, INT64_MAX, &self.wanted_seq))
        return;
    if ((self.wanted_seq != 0) != (self.wanted_hash != NULL)) {
        request_problem(request, 400, "invalid", self.wanted_hash == NULL ? "hash" : "seq",
                        "seq and hash of a head that was noted go together");
        return;
    }
    if (!walk(&self, request))
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_bool(out, "valid", self.wrong == NULL);
    json_number(out, "seq", self.seq);
    json_text(out, "hash", self.hash);
    json_number(out, "firstSeq", self.first);
    json_text(out, "reason", self.wrong);
    json_close(out, '}');
}
