/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as values, the order in which one is checked and run, and its questions to store and daemon. */
#include "admin/form.h"
#include "admin/list-order.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <stdatomic.h>
#include <string.h>

#define ASK_US   (60 * USEC_PER_SEC) /* for the daemon or its store */
#define SLICE_US 100000

#define CORRELATION_MAX 128
#define DAY_LENGTH      10 /* 2027-01-31 */

Request *request_new(Admin *admin, const char *method, const char *path)
{
    Request *self = g_new0(Request, 1);

    self->admin = admin;
    self->method = g_strdup(method);
    self->path = g_strdup(path);
    self->query = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    self->body = g_string_new(NULL);
    self->answer = g_string_new(NULL);
    self->headers = g_ptr_array_new_with_free_func(g_free);
    self->families = FAMILY_ALL;
    self->file_fd = -1;
    return self;
}

/* Passwords and keys do not stay behind in memory. */
static void wipe(Request *self)
{
    if (self->authorization != NULL)
        explicit_bzero(self->authorization, strlen(self->authorization));
    explicit_bzero(self->body->str, self->body->len);
    if (self->form != NULL) /* keys that were made, too */
        explicit_bzero(self->answer->str, self->answer->len);
}

void request_free(Request *self)
{
    if (self == NULL)
        return;
    wipe(self);
    upload_free(self->upload);
    form_free(self->form);
    for (size_t i = 0; i < REQUEST_PARAMETERS_MAX; i++)
        g_free(self->parameters[i]);
    g_hash_table_unref(self->query);
    g_string_free(self->body, TRUE);
    g_string_free(self->answer, TRUE);
    g_ptr_array_unref(self->headers);
    fd_clear(&self->file_fd);
    g_free(self->identity.name);
    g_free(self->identity.partner);
    g_free(self->method);
    g_free(self->path);
    g_free(self->authorization);
    g_free(self->content_type);
    g_free(self->range);
    g_free(self->if_match);
    g_free(self->if_none_match);
    g_free(self->if_range);
    g_free(self->last_event_id);
    g_free(self->idempotency_key);
    g_free(self->address);
    g_free(self->certificate);
    g_free(self->change);
    g_free(self->query_fault);
    g_free(self->correlation);
    g_free(self);
}

/* running */

static gint compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A filter that is misspelt would be no filter, and show everything. False: answered. */
static bool check_query(Request *self)
{
    g_auto(GStrv) known = g_strsplit(routes_query(self->route->operation), " ", -1);
    g_autofree gpointer *names = g_hash_table_get_keys_as_array(self->query, NULL);
    guint count = g_hash_table_size(self->query);

    if (self->query_fault != NULL) {
        request_problem(self, 400, "invalid", self->query_fault,
                        "%s: it is there twice, or no UTF-8", self->query_fault);
        return false;
    }
    qsort(names, count, sizeof *names, compare_texts);
    for (guint i = 0; i < count; i++) {
        const char *name = names[i];

        if (g_strv_contains((const char *const *)known, name))
            continue;
        request_problem(self, 400, "invalid", name, "%s: no such parameter here%s%s", name,
                        known[0] != NULL ? ": " : "", routes_query(self->route->operation));
        return false;
    }
    return true;
}

void request_take_query(Request *self, const char *name, const char *value)
{
    g_autofree char *key = g_uri_unescape_string(name, NULL);
    g_autofree char *text = g_uri_unescape_string(value != NULL ? value : "", NULL);

    if (key != NULL && g_utf8_validate(key, -1, NULL) && text != NULL &&
        g_utf8_validate(text, -1, NULL) && !g_hash_table_contains(self->query, key))
        g_hash_table_insert(self->query, g_steal_pointer(&key), g_steal_pointer(&text));
    else if (self->query_fault == NULL)
        self->query_fault = g_utf8_make_valid(key != NULL ? key : name, -1);
}

/* Many may be under way at once: it is asked again when the turn of this one comes. */
static bool identify(Request *self)
{
    bool good = logins_admit(self) && auth_identify(self);

    return good || self->status == 401 ? logins_count(self, good) : false;
}

bool request_authorize(Request *self)
{
    if (self->route->role == ROLE_PUBLIC || self->authenticated)
        return true;
    if (self->identity.name == NULL && !identify(self))
        return false;
    if (self->identity.role < self->route->role) {
        request_problem(self, 403, "forbidden", NULL, "'%s' is %s: this needs %s",
                        self->identity.name, role_name(self->identity.role),
                        role_name(self->route->role));
        return false;
    }
    self->authenticated = true;
    return check_query(self);
}

static bool changes(const Request *self)
{
    return strcmp(self->method, "GET") != 0 && strcmp(self->method, "HEAD") != 0;
}

/* What was asked, how it ended, and what is different; secrets are in bodies, so a body is never kept. */
static void write_audit(Request *self, const char *action, const char *intent)
{
    g_autoptr(GString) detail = g_string_new(self->change != NULL ? self->change : "{");
    AuditAct act;
    g_autoptr(GError) error = NULL;

    json_number(detail, "status", self->status);
    if (intent != NULL)
        json_text(detail, "request", intent_number(intent));
    json_close(detail, '}');
    act = (AuditAct){self->identity.name, self->address, action, self->path, detail->str};
    log_event(LOG_ADMIN_CHANGE, "ACTOR", self->identity.name, "ADDRESS", self->address, "ACTION",
              action, "OBJECT", self->path, NULL);
    if (!audit_append(self->admin->audit, &act, &error))
        log_event(LOG_STORE_FAILED, "REASON", error->message, NULL);
    else if (intent != NULL)
        intent_forget(self->admin, intent);
}

/* Transfers have rows of their own, from the store, when they end. */
static void run_audited(Request *self)
{
    g_autofree char *action = g_strconcat(self->method, " ", self->route->operation, NULL);
    g_autofree char *intent = self->route->body != BODY_UPLOAD ? intent_note(self, action) : NULL;

    self->doubtful = false;
    self->route->handler(self);
    write_audit(self, action, intent);
}

void request_run(Request *self)
{
    if (!request_authorize(self))
        return;
    if (changes(self) && self->route->role != ROLE_PUBLIC)
        run_audited(self);
    else if (list_order_is_asked(self))
        list_order_run(self);
    else
        self->route->handler(self);
}

/* reading */

const char *const REQUEST_PARTNER[] = {"partner", "server", "serverId", "partnerId", NULL};
const char *const REQUEST_PATH[] = {"path", "virtualFile", "remoteFilename", NULL};

const char *request_query(const Request *self, const char *name)
{
    return g_hash_table_lookup(self->query, name);
}

bool request_number(Request *self, const char *name, const char *text, int64_t min, int64_t max,
                    int64_t *value)
{
    gint64 number;

    if (text == NULL)
        return true;
    if (!g_ascii_string_to_signed(text, 10, min, max, &number, NULL)) {
        request_problem(self, 400, "invalid", name,
                        "%s is '%s': it must be %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, name,
                        text, min, max);
        return false;
    }
    *value = number;
    return true;
}

bool request_query_number(Request *self, const char *name, int64_t min, int64_t max, int64_t *value)
{
    return request_number(self, name, request_query(self, name), min, max, value);
}

bool request_query_time(Request *self, const char *name, const char *alias, int64_t *ret_us)
{
    const char *asked = request_query(self, name) != NULL ? name : alias;
    const char *text = request_query(self, asked);
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autofree char *whole = NULL;
    g_autoptr(GDateTime) time = NULL;

    if (text == NULL)
        return true;
    whole = strlen(text) == DAY_LENGTH ? g_strconcat(text, "T00:00:00Z", NULL) : g_strdup(text);
    time = g_date_time_new_from_iso8601(whole, utc);
    if (time == NULL) {
        request_problem(self, 400, "invalid", asked,
                        "%s is '%s': it must be a day or a time as 2027-01-31T00:00:00Z", asked,
                        text);
        return false;
    }
    *ret_us = g_date_time_to_unix(time) * USEC_PER_SEC;
    return true;
}

Json *request_read_json(Request *self, const char *const *names)
{
    g_autoptr(GError) error = NULL;
    Json *json = json_read(self->body->str, self->body->len, &error);
    const char *unknown;

    if (json == NULL) {
        request_fail(self, error);
        return NULL;
    }
    unknown = names != NULL ? json_find_unknown(json, names) : NULL;
    if (unknown == NULL)
        return json;
    request_problem(self, 400, "invalid", unknown, "%s: unknown field", unknown);
    json_free(json);
    return NULL;
}

bool request_read_text(Request *self, const Json *json, const char *const *names,
                       const char **ret_name, const char **ret_text)
{
    g_autoptr(GError) error = NULL;

    *ret_name = names[0];
    for (size_t i = 0; *ret_text == NULL && names[i] != NULL; i++) {
        if (!json_get_text(json, names[i], ret_text, &error)) {
            request_fail(self, error);
            return false;
        }
        if (*ret_text != NULL)
            *ret_name = names[i];
    }
    return true;
}

bool request_names_etag(const char *list, const char *etag)
{
    g_auto(GStrv) tags = g_strsplit(list, ",", 16);

    for (size_t i = 0; tags[i] != NULL; i++) {
        const char *tag = g_strstrip(tags[i]);

        if (strcmp(tag, "*") == 0 || g_strcmp0(tag, etag) == 0)
            return true;
    }
    return false;
}

bool request_set_correlation(Request *self, const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == '\x7f')
            length = 0;
    }
    if (length == 0 || length > CORRELATION_MAX || !g_utf8_validate(text, -1, NULL)) {
        request_problem(self, 400, "invalid", "correlationId",
                        "correlationId: it must have 1 to %d bytes of UTF-8, none of control",
                        CORRELATION_MAX);
        return false;
    }
    g_free(self->correlation);
    self->correlation = g_strdup(text);
    return true;
}

/* answering */

GString *request_answer(Request *self, unsigned status)
{
    self->status = status;
    self->type = "application/json";
    g_string_truncate(self->answer, 0);
    return self->answer;
}

void request_add_header(Request *self, const char *name, const char *value)
{
    g_ptr_array_add(self->headers, g_strdup(name));
    g_ptr_array_add(self->headers, g_strdup(value));
}

void request_note_ignored(Request *self, const char *ignored)
{
    if (ignored == NULL)
        return;
    g_string_truncate(self->answer, self->answer->len - 1); /* its end */
    json_raw(self->answer, "ignored", ignored);
    json_close(self->answer, '}');
}

void request_note_change(Request *self, const char *before, const char *after)
{
    GString *change = g_string_new("{");

    json_raw(change, "before", before != NULL && *before != '\0' ? before : "null");
    json_raw(change, "after", after != NULL && *after != '\0' ? after : "null");
    g_free(self->change);
    self->change = g_string_free(change, FALSE);
}

/* the daemon and the store */

/* A wait in slices: who stops the daemon does not wait for it. */
static bool await(Request *self, Reply *reply, gpointer *ret_value)
{
    int64_t until_us = clock_now_us() + ASK_US;

    while (clock_now_us() < until_us && !atomic_load(&self->admin->stopping)) {
        if (reply_wait(reply, clock_now_us() + SLICE_US, ret_value))
            return true;
    }
    return reply_wait(reply, clock_now_us() + SLICE_US, ret_value);
}

DoorAnswer *request_ask(Request *self, const char *method, GVariant *parameters)
{
    const AdminHost *host = &self->admin->host;
    const DoorCaller caller = {self->identity.name, self->address, self->correlation};
    g_autoptr(Reply) reply = reply_new((GDestroyNotify)door_answer_free);
    gpointer value = NULL;
    DoorAnswer *answer;

    if (!host->ask(method, parameters, &caller, reply, host->data) || !await(self, reply, &value)) {
        self->doubtful = true;
        request_problem(self, 503, "busy", NULL, "the daemon did not answer in time");
        return NULL;
    }
    answer = value;
    if (answer->error == NULL)
        return answer;
    request_fail(self, answer->error);
    door_answer_free(answer);
    return NULL;
}

const char *value_text(GVariant *values, const char *key)
{
    const char *text = NULL;

    g_variant_lookup(values, key, "&s", &text);
    return text;
}

bool value_flag(GVariant *values, const char *key)
{
    gboolean flag = FALSE;

    g_variant_lookup(values, key, "b", &flag);
    return flag;
}

int64_t value_number(GVariant *values, const char *key)
{
    gint64 number = 0;

    g_variant_lookup(values, key, "x", &number);
    return number;
}

uint32_t value_count(GVariant *values, const char *key)
{
    guint32 count = 0;

    g_variant_lookup(values, key, "u", &count);
    return count;
}

StoreResult *request_execute(Request *self, StoreRequest *request)
{
    g_autoptr(Reply) reply = store_begin(self->admin->host.store, request);
    gpointer value = NULL;
    StoreResult *late;

    if (await(self, reply, &value))
        return value;
    self->doubtful = true;
    late = g_new0(StoreResult, 1);
    late->error = g_error_new(BASE_ERROR, BASE_ERROR_TIMEOUT, "the store does not answer");
    return late;
}

StoreResult *request_store(Request *self, StoreRequest *request)
{
    StoreResult *result = request_execute(self, request);

    if (result->error == NULL)
        return result;
    request_fail(self, result->error);
    store_result_free(result);
    return NULL;
}
