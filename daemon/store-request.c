/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be asked of the store: one builder per request and the statement behind it. Builders run on any
 * thread, the run functions on the store's.
 */
#include "daemon/store-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <string.h>

#define UPDATE_MASK_INDEX (TRANSFER_COLUMNS + 1)
#define ALL_BITS          0xFFFF
/* U+10FFFF: no name in UTF-8 sorts behind it */
#define LAST_CHARACTER "\xF4\x8F\xBF\xBF"

StoreRequest *store_request_new(StoreStart start, StoreFinish finish)
{
    StoreRequest *self = g_new0(StoreRequest, 1);

    self->start = start;
    self->finish = finish;
    return self;
}

StoreRequest *store_request_new_writing(StoreStart start, StoreFinish finish)
{
    StoreRequest *self = store_request_new(start, finish);

    self->writes = true;
    return self;
}

void store_request_free(StoreRequest *request)
{
    if (request == NULL)
        return;
    transfer_free(request->transfer);
    record_free(request->record);
    audit_entry_free(request->audit);
    schedule_free(request->schedule);
    for (size_t i = 0; i < G_N_ELEMENTS(request->texts); i++)
        g_free(request->texts[i]);
    g_free(request->what);
    for (size_t i = 0; i < request->folder_count; i++)
        fd_clear(&request->folder_fds[i]);
    reply_unref(request->reply);
    if (request->free_data != NULL)
        request->free_data(request->data);
    store_result_free(request->result);
    g_free(request);
}

static void take_folders(StoreRequest *self, const int *folder_fds, size_t n)
{
    for (size_t i = 0; i < n && i < STORE_FOLDERS_MAX; i++)
        self->folder_fds[self->folder_count++] = folder_fds[i];
}

/* rows into results */

static void finish_nothing(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    (void)db_step(db, &result->error); /* the error is in the result */
}

static void finish_one(const StoreRequest *self, Db *db, StoreResult *result)
{
    DbStep step = db_step(db, &result->error);

    if (step == DB_ROW)
        result->transfer = transfer_read(db);
    else if (step == DB_DONE)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "%s not found", self->what);
}

static void finish_all(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    result->transfers = g_ptr_array_new_with_free_func((GDestroyNotify)transfer_free);
    while (db_step(db, &result->error) == DB_ROW)
        g_ptr_array_add(result->transfers, transfer_read(db));
}

static void finish_number(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    if (db_step(db, &result->error) == DB_ROW)
        result->number = (uint64_t)db_number(db, 0);
}

/* writing rows */

static bool start_insert(const StoreRequest *self, Db *db, GError **error)
{
    self->transfer->updated_us = clock_wall_us();
    if (!db_start(db, SQL_TRANSFER_INSERT, error))
        return false;
    transfer_bind_values(db, self->transfer);
    db_bind_text(db, TRANSFER_COLUMNS, self->owner);
    return true;
}

static void finish_insert(const StoreRequest *self, Db *db, StoreResult *result)
{
    if (db_step(db, &result->error) != DB_ROW)
        return;
    result->transfer = transfer_copy(self->transfer);
    result->transfer->id = db_number(db, 0);
}

StoreRequest *store_request_insert(const Transfer *transfer, const int *folder_fds, size_t n)
{
    StoreRequest *self = store_request_new_writing(start_insert, finish_insert);

    self->inserts = true;
    self->transfer = transfer_copy(transfer);
    take_folders(self, folder_fds, n);
    return self;
}

static bool start_update(const StoreRequest *self, Db *db, GError **error)
{
    self->transfer->updated_us = clock_wall_us();
    if (!db_start(db, SQL_TRANSFER_UPDATE, error))
        return false;
    transfer_bind(db, self->transfer);
    db_bind_number(db, UPDATE_MASK_INDEX, self->numbers[0]);
    return true;
}

static void finish_update(const StoreRequest *self, Db *db, StoreResult *result)
{
    DbStep step = db_step(db, &result->error);

    if (step == DB_ROW)
        result->transfer = transfer_copy(self->transfer);
    else if (step == DB_DONE)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_CONFLICT,
                    "transfer %" G_GINT64_FORMAT " is not in a state that allows this",
                    self->transfer->id);
}

StoreRequest *store_request_update(const Transfer *transfer, unsigned expected_states,
                                   const int *folder_fds, size_t n)
{
    StoreRequest *self = store_request_new_writing(start_update, finish_update);

    self->transfer = transfer_copy(transfer);
    self->numbers[0] = expected_states;
    take_folders(self, folder_fds, n);
    return self;
}

static bool start_withdraw(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_WITHDRAW, error))
        return false;
    db_bind_number(db, 1, self->numbers[0]);
    db_bind_number(db, 2, clock_wall_us());
    return true;
}

StoreRequest *store_request_withdraw(int64_t id)
{
    StoreRequest *self = store_request_new_writing(start_withdraw, finish_nothing);

    self->numbers[0] = id;
    return self;
}

StoreRequest *store_request_set_patient(StoreRequest *request)
{
    request->patient = true;
    return request;
}

StoreRequest *store_request_set_glance(StoreRequest *request)
{
    request->glance = !request->writes;
    return request;
}

static bool start_hide_path(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_HIDE_PATH, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->texts[1]);
    db_bind_number(db, 3, self->numbers[0]);
    db_bind_number(db, 4, clock_wall_us());
    return true;
}

StoreRequest *store_request_hide_path(const char *partner, const char *path, int64_t before_id)
{
    StoreRequest *self = store_request_new_writing(start_hide_path, finish_nothing);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(path);
    self->numbers[0] = before_id;
    return self;
}

/* reading rows */

static bool start_get(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_GET, error))
        return false;
    db_bind_number(db, 1, self->numbers[0]);
    return true;
}

static void finish_get(const StoreRequest *self, Db *db, StoreResult *result)
{
    finish_one(self, db, result);
    if (result->transfer != NULL && g_strcmp0(db_text(db, TRANSFER_COLUMNS), self->owner) != 0)
        result->elsewhere = g_strdup(db_text(db, TRANSFER_COLUMNS));
}

StoreRequest *store_request_get(int64_t id)
{
    StoreRequest *self = store_request_new(start_get, finish_get);

    self->numbers[0] = id;
    self->what = g_strdup_printf("transfer %" G_GINT64_FORMAT, id);
    return self;
}

static bool start_find_path(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_FIND_PATH, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->texts[1]);
    return true;
}

StoreRequest *store_request_find_path(const char *partner, const char *path)
{
    StoreRequest *self = store_request_new(start_find_path, finish_one);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(path);
    self->what = g_strdup(path);
    return self;
}

static bool start_last_at_path(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_LAST_AT_PATH, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->texts[1]);
    return true;
}

StoreRequest *store_request_last_at_path(const char *partner, const char *path)
{
    StoreRequest *self = store_request_new(start_last_at_path, finish_one);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(path);
    self->what = g_strdup(path);
    return self;
}

void store_append_literal(GString *pattern, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '%' || *at == '_' || *at == '\\')
            g_string_append_c(pattern, '\\');
        g_string_append_c(pattern, *at);
    }
}

/* Between what paths those below a folder lie: after the first, before the second. Both new. */
static void find_span(const char *folder, char **ret_below, char **ret_behind)
{
    bool root = folder[0] == '\0';

    *ret_below = root ? g_strdup("") : g_strconcat(folder, "/", NULL);
    *ret_behind =
            root ? g_strdup(LAST_CHARACTER) : g_strconcat(folder, "0", NULL); /* '0' follows '/' */
}

static bool start_list_folder(const StoreRequest *self, Db *db, GError **error)
{
    g_autofree char *below = NULL, *behind = NULL;
    g_autoptr(GString) deeper = g_string_new(NULL);

    find_span(self->texts[1], &below, &behind);
    store_append_literal(deeper, below);
    g_string_append(deeper, "%/%");
    if (!db_start(db, SQL_TRANSFER_LIST_FOLDER, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, below);
    db_bind_text(db, 3, behind);
    db_bind_text(db, 4, deeper->str);
    db_bind_text(db, 5, self->texts[2] != NULL ? self->texts[2] : "");
    db_bind_number(db, 6, self->numbers[0]);
    db_bind_number(db, 7, self->numbers[1]);
    return true;
}

static bool start_list_names(const StoreRequest *self, Db *db, GError **error)
{
    g_autofree char *below = NULL, *behind = NULL;

    find_span(self->texts[1], &below, &behind);
    if (!db_start(db, SQL_TRANSFER_LIST_NAMES, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->texts[2] != NULL ? self->texts[2] : below);
    db_bind_text(db, 3, behind);
    db_bind_number(db, 4, self->limit);
    return true;
}

static void finish_names(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    result->names = g_ptr_array_new_with_free_func(g_free);
    while (db_step(db, &result->error) == DB_ROW)
        g_ptr_array_add(result->names, g_strdup(db_text(db, 0)));
}

StoreRequest *store_request_list_names(const char *partner, const char *folder, const char *after,
                                       uint32_t limit)
{
    StoreRequest *self = store_request_new(start_list_names, finish_names);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(folder);
    self->texts[2] = g_strdup(after);
    self->limit = limit;
    return self;
}

StoreRequest *store_request_list_folder(const char *partner, const char *folder,
                                        unsigned directions, const char *after, uint32_t limit)
{
    StoreRequest *self = store_request_new(start_list_folder, finish_all);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(folder);
    self->texts[2] = g_strdup(after);
    self->numbers[0] = directions;
    self->numbers[1] = limit;
    return self;
}

static bool start_find_offer(const StoreRequest *self, Db *db, GError **error)
{
    const char *name = self->texts[1];
    bool generic = strpbrk(name, "*?") != NULL;
    g_autoptr(GString) pattern = g_string_new(NULL);

    for (const char *at = name; generic && *at != '\0'; at++) {
        char one[] = {*at, '\0'};

        if (*at == '*' || *at == '?')
            g_string_append_c(pattern, *at == '*' ? '%' : '_');
        else
            store_append_literal(pattern, one);
    }
    if (!db_start(db, generic ? SQL_TRANSFER_FIND_OFFER_GENERIC : SQL_TRANSFER_FIND_OFFER, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, generic ? pattern->str : name);
    db_bind_number(db, 3, self->numbers[0]);
    db_bind_text(db, 4, self->owner);
    if (generic)
        db_bind_number(db, 5, self->numbers[1]);
    return true;
}

StoreRequest *store_request_find_offer(const char *partner, uint16_t file_type,
                                       const char *file_name, int64_t after_id)
{
    StoreRequest *self = store_request_new(start_find_offer, finish_one);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(file_name);
    self->numbers[0] = file_type;
    self->numbers[1] = after_id;
    self->what = g_strdup(file_name);
    return self;
}

static bool start_find_received(const StoreRequest *self, Db *db, GError **error)
{
    const Transfer *wanted = self->transfer;

    if (!db_start(db, SQL_TRANSFER_FIND_RECEIVED, error))
        return false;
    db_bind_text(db, 1, wanted->partner);
    db_bind_text(db, 2, wanted->file_name);
    db_bind_number(db, 3, wanted->transfer_id);
    db_bind_text(db, 4, wanted->peer);
    db_bind_number(db, 5, wanted->file_type);
    db_bind_text(db, 6, wanted->client != NULL ? wanted->client : "");
    db_bind_text(db, 7, wanted->bank != NULL ? wanted->bank : "");
    return true;
}

StoreRequest *store_request_find_received(const char *partner, const char *peer, uint16_t file_type,
                                          const char *file_name, uint32_t transfer_id,
                                          const char *client, const char *bank)
{
    StoreRequest *self = store_request_new(start_find_received, finish_one);

    self->transfer = transfer_new();
    self->transfer->partner = g_strdup(partner);
    self->transfer->peer = g_strdup(peer);
    self->transfer->file_type = file_type;
    self->transfer->file_name = g_strdup(file_name);
    self->transfer->transfer_id = transfer_id;
    self->transfer->client = g_strdup(client);
    self->transfer->bank = g_strdup(bank);
    self->what = g_strdup("earlier transfer");
    return self;
}

StoreRequest *store_request_history(const char *partner, unsigned states, unsigned directions,
                                    int64_t before_id, uint32_t limit)
{
    StoreSearch search = {.partner = partner,
                          .states = states,
                          .directions = directions,
                          .before_id = before_id,
                          .limit = limit};

    return store_request_search(&search);
}

static bool start_correlated(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, (SqlStatement)self->numbers[2], error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->texts[1]);
    db_bind_number(db, 3, self->numbers[0]);
    db_bind_number(db, 4, self->numbers[1]);
    return true;
}

static StoreRequest *new_correlated(SqlStatement statement, const char *name, const char *partner,
                                    int64_t before_id, uint32_t limit)
{
    StoreRequest *self = store_request_new(start_correlated, finish_all);

    self->texts[0] = g_strdup(name);
    self->texts[1] = g_strdup(partner != NULL ? partner : "");
    self->numbers[0] = before_id > 0 ? before_id : INT64_MAX;
    self->numbers[1] = limit;
    self->numbers[2] = statement;
    return self;
}

StoreRequest *store_request_correlated(const char *correlation, const char *partner,
                                       int64_t before_id, uint32_t limit)
{
    return new_correlated(SQL_TRANSFER_LIST_CORRELATION, correlation, partner, before_id, limit);
}

StoreRequest *store_request_session(const char *session, const char *partner, int64_t before_id,
                                    uint32_t limit)
{
    return new_correlated(SQL_TRANSFER_LIST_SESSION, session, partner, before_id, limit);
}

static bool start_unfinished(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_UNFINISHED, error))
        return false;
    db_bind_text(db, 1, self->owner);
    return true;
}

StoreRequest *store_request_unfinished(void)
{
    return store_request_new(start_unfinished, finish_all);
}

static bool start_served(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_SERVED, error))
        return false;
    db_bind_text(db, 1, self->owner);
    return true;
}

StoreRequest *store_request_served(void)
{
    return store_request_new(start_served, finish_all);
}

static bool start_audit_due(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_AUDIT_DUE, error))
        return false;
    db_bind_text(db, 1, self->owner);
    db_bind_number(db, 2, self->limit);
    return true;
}

StoreRequest *store_request_audit_due(uint32_t limit)
{
    StoreRequest *self = store_request_new(start_audit_due, finish_all);

    self->limit = limit;
    return self;
}

static bool start_expired(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_EXPIRED, error))
        return false;
    db_bind_number(db, 1, self->numbers[0]);
    db_bind_number(db, 2, self->numbers[1]);
    db_bind_text(db, 3, self->owner);
    return true;
}

StoreRequest *store_request_expired(int64_t before_us, uint32_t limit)
{
    StoreRequest *self = store_request_new(start_expired, finish_all);

    self->numbers[0] = before_us;
    self->numbers[1] = limit;
    return self;
}

static bool start_find_spool(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_FIND_SPOOL, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->owner);
    return true;
}

StoreRequest *store_request_find_spool(const char *name)
{
    StoreRequest *self = store_request_new(start_find_spool, finish_one);

    self->texts[0] = g_strdup(name);
    self->what = g_strdup(name);
    return self;
}

static bool start_oldest(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_OLDEST, error))
        return false;
    db_bind_number(db, 1, self->numbers[0]);
    db_bind_number(db, 2, self->numbers[1]);
    return true;
}

StoreRequest *store_request_oldest(int64_t after_id, uint32_t limit)
{
    StoreRequest *self = store_request_new(start_oldest, finish_all);

    self->numbers[0] = after_id;
    self->numbers[1] = limit;
    return self;
}

static bool start_remove(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_REMOVE, error))
        return false;
    db_bind_number(db, 1, self->numbers[0]);
    db_bind_text(db, 2, self->owner);
    return true;
}

static void finish_remove(const StoreRequest *self, Db *db, StoreResult *result)
{
    if (db_step(db, &result->error) == DB_DONE)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_NOT_FOUND,
                    "transfer %" G_GINT64_FORMAT " is not to be removed", self->numbers[0]);
    result->number = (uint64_t)self->numbers[0];
}

StoreRequest *store_request_remove(int64_t id)
{
    StoreRequest *self = store_request_new_writing(start_remove, finish_remove);

    self->numbers[0] = id;
    return self;
}

static bool start_tally(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_TALLY, error))
        return false;
    db_bind_number(db, 1, self->numbers[0]);
    db_bind_number(db, 2, self->numbers[1]);
    return true;
}

StoreRequest *store_request_tally(unsigned states, unsigned directions)
{
    StoreRequest *self = store_request_new(start_tally, finish_number);

    self->numbers[0] = states != 0 ? states : ALL_BITS;
    self->numbers[1] = directions != 0 ? directions : ALL_BITS;
    return self;
}

/* a copy of the store */

static bool start_copy(const StoreRequest *self, Db *db, GError **error)
{
    (void)self;
    return db_start(db, SQL_MIGRATION_LIST, error); /* a batch has a statement for each request */
}

static void finish_copy(const StoreRequest *self, Db *db, StoreResult *result)
{
    bool done = false;

    while (db_step(db, &result->error) == DB_ROW)
        continue;
    if (result->error == NULL && db_copy_step(db, self->texts[0], &done, &result->error))
        result->number = done ? 1 : 0;
}

StoreRequest *store_request_copy(const char *path)
{
    StoreRequest *self = store_request_new(start_copy, finish_copy);

    self->texts[0] = g_strdup(path);
    self->alone = true;
    return self;
}

/* counters and secrets */

static bool start_count(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_COUNTER_NEXT, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    return true;
}

StoreRequest *store_request_count(const char *counter)
{
    StoreRequest *self = store_request_new_writing(start_count, finish_number);

    self->texts[0] = g_strdup(counter);
    return self;
}

static bool start_set_secret(const StoreRequest *self, Db *db, GError **error)
{
    const char *value = self->texts[2];

    if (!db_start(db, value != NULL ? SQL_SECRET_SET : SQL_SECRET_REMOVE, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->texts[1]);
    if (value != NULL)
        db_bind_text(db, 3, value);
    return true;
}

StoreRequest *store_request_set_secret(const char *partner, const char *kind, const char *value)
{
    StoreRequest *self = store_request_new_writing(start_set_secret, finish_nothing);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(kind);
    self->texts[2] = g_strdup(value);
    return self;
}

static bool start_get_secret(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_SECRET_GET, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->texts[1]);
    return true;
}

static void finish_get_secret(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    if (db_step(db, &result->error) != DB_ROW)
        return;
    result->transfer = transfer_new();
    result->transfer->error = g_strdup(db_text(db, 0));
}

StoreRequest *store_request_get_secret(const char *partner, const char *kind)
{
    StoreRequest *self = store_request_new(start_get_secret, finish_get_secret);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(kind);
    return self;
}
