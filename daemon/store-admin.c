/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the administration: searches and sums over transfers, its records, and the audit trail.
 */
#include "daemon/store-private.h"

#include "base/clock.h"
#include "base/error.h"

#include <string.h>

#define ALL_BITS  0xFFFF
#define LOOKED_AT 2000 /* rows, of a search for a text: what it costs is bounded by them */
#define DAY_US    (24 * 3600 * (int64_t)USEC_PER_SEC)
#define LONG_DAYS 32 /* of a long sum */

/* values */

Record *record_new(const char *kind, const char *id, const char *name, const char *document)
{
    Record *record = g_new0(Record, 1);

    record->kind = g_strdup(kind);
    record->id = g_strdup(id);
    record->name = g_strdup(name);
    record->document = g_strdup(document);
    record->created_us = record->updated_us = clock_wall_us();
    return record;
}

Record *record_copy(const Record *record)
{
    Record *copy = record_new(record->kind, record->id, record->name, record->document);

    copy->created_us = record->created_us;
    copy->updated_us = record->updated_us;
    return copy;
}

void record_free(Record *record)
{
    if (record == NULL)
        return;
    g_free(record->kind);
    g_free(record->id);
    g_free(record->name);
    g_free(record->document);
    g_free(record);
}

AuditEntry *audit_entry_copy(const AuditEntry *entry)
{
    AuditEntry *copy = g_new0(AuditEntry, 1);

    copy->seq = entry->seq;
    copy->time_us = entry->time_us;
    copy->transfer_id = entry->transfer_id;
    copy->actor = g_strdup(entry->actor);
    copy->address = g_strdup(entry->address);
    copy->action = g_strdup(entry->action);
    copy->object = g_strdup(entry->object);
    copy->detail = g_strdup(entry->detail);
    copy->previous = g_strdup(entry->previous);
    copy->hash = g_strdup(entry->hash);
    return copy;
}

void audit_entry_free(AuditEntry *entry)
{
    if (entry == NULL)
        return;
    g_free(entry->actor);
    g_free(entry->address);
    g_free(entry->action);
    g_free(entry->object);
    g_free(entry->detail);
    g_free(entry->previous);
    g_free(entry->hash);
    g_free(entry);
}

/* transfers */

/* texts: partner or NULL, pattern; numbers: states, directions, before, from, to */
static bool start_page(const StoreRequest *self, Db *db, GError **error)
{
    const char *pattern = self->texts[1];

    if (!db_start(db, self->texts[0] != NULL ? SQL_TRANSFER_PAGE_OF_PARTNER : SQL_TRANSFER_PAGE,
                  error))
        return false;
    for (unsigned i = 0; i < G_N_ELEMENTS(self->numbers); i++)
        db_bind_number(db, i + 1, self->numbers[i]);
    db_bind_number(db, 6, pattern[0] != '\0' ? MAX(LOOKED_AT, self->limit) : self->limit);
    db_bind_text(db, 7, pattern);
    db_bind_number(db, 8, self->limit);
    if (self->texts[0] != NULL)
        db_bind_text(db, 9, self->texts[0]);
    return true;
}

static void finish_page(const StoreRequest *self, Db *db, StoreResult *result)
{
    uint32_t looked_at = self->texts[1][0] != '\0' ? MAX(LOOKED_AT, self->limit) : self->limit;
    int64_t last_id = 0;
    bool more = false;

    result->transfers = g_ptr_array_new_with_free_func((GDestroyNotify)transfer_free);
    while (db_step(db, &result->error) == DB_ROW) {
        last_id = db_number(db, 0);
        more = db_number(db, TRANSFER_COLUMNS + 1) == looked_at;
        if (db_number(db, TRANSFER_COLUMNS) == 1)
            g_ptr_array_add(result->transfers, transfer_read(db));
    }
    if (more || result->transfers->len == self->limit)
        result->number = (uint64_t)last_id;
}

StoreRequest *store_request_search(const StoreSearch *search)
{
    StoreRequest *self = store_request_new(start_page, finish_page);
    GString *pattern = g_string_new(NULL);

    if (search->text != NULL && search->text[0] != '\0') {
        g_string_append_c(pattern, '%');
        store_append_literal(pattern, search->text);
        g_string_append_c(pattern, '%');
    }
    if (search->partner != NULL && search->partner[0] != '\0')
        self->texts[0] = g_strdup(search->partner);
    self->texts[1] = g_string_free(pattern, FALSE);
    self->numbers[0] = search->states != 0 ? search->states : ALL_BITS;
    self->numbers[1] = search->directions != 0 ? search->directions : ALL_BITS;
    self->numbers[2] = search->before_id > 0 ? search->before_id : INT64_MAX;
    self->numbers[3] = search->from_us;
    self->numbers[4] = search->to_us > 0 ? search->to_us : INT64_MAX;
    self->limit = search->limit;
    return self;
}

static int64_t divide_up(int64_t number, int64_t by)
{
    return number / by + (number % by != 0 ? 1 : 0);
}

static bool start_statistics(const StoreRequest *self, Db *db, GError **error)
{
    int64_t since_us = MAX(self->numbers[0], 0);
    int64_t first_day = divide_up(since_us, DAY_US);

    if (!db_start(db, SQL_TRANSFER_STATISTICS, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_number(db, 2, since_us);
    db_bind_number(db, 3, first_day);
    db_bind_number(db, 4, first_day * DAY_US);
    db_bind_number(db, 5, divide_up(first_day, LONG_DAYS) * LONG_DAYS);
    return true;
}

static void finish_statistics(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    result->transfers = g_ptr_array_new_with_free_func((GDestroyNotify)transfer_free);
    while (db_step(db, &result->error) == DB_ROW) {
        Transfer *sum = transfer_new();

        sum->direction = (TransferDirection)db_number(db, 0);
        sum->state = (TransferState)db_number(db, 1);
        sum->articles = (uint64_t)db_number(db, 2);
        sum->size_bytes = (uint64_t)db_number(db, 3);
        g_ptr_array_add(result->transfers, sum);
    }
}

StoreRequest *store_request_statistics(const char *partner, int64_t since_us)
{
    StoreRequest *self = store_request_new(start_statistics, finish_statistics);

    self->texts[0] = g_strdup(partner != NULL ? partner : "");
    self->numbers[0] = since_us;
    return self;
}

static bool start_days(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_TRANSFER_DAYS, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_number(db, 2, self->numbers[0]);
    return true;
}

static void finish_days(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    result->transfers = g_ptr_array_new_with_free_func((GDestroyNotify)transfer_free);
    while (db_step(db, &result->error) == DB_ROW) {
        Transfer *sum = transfer_new();

        sum->created_us = db_number(db, 0) * DAY_US;
        sum->direction = (TransferDirection)(db_number(db, 1) / 8);
        sum->state = (TransferState)(db_number(db, 1) % 8);
        sum->articles = (uint64_t)db_number(db, 2);
        sum->size_bytes = (uint64_t)db_number(db, 3);
        g_ptr_array_add(result->transfers, sum);
    }
}

StoreRequest *store_request_days(const char *partner, int64_t since_us)
{
    StoreRequest *self = store_request_new(start_days, finish_days);

    self->texts[0] = g_strdup(partner != NULL ? partner : "");
    self->numbers[0] = divide_up(MAX(since_us, 0), DAY_US);
    return self;
}

static bool start_queue(const StoreRequest *self, Db *db, GError **error)
{
    (void)self;
    return db_start(db, SQL_TRANSFER_QUEUE, error);
}

static void finish_queue(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    result->transfers = g_ptr_array_new_with_free_func((GDestroyNotify)transfer_free);
    while (db_step(db, &result->error) == DB_ROW) {
        Transfer *sum = transfer_new();

        sum->state = (TransferState)db_number(db, 0);
        sum->articles = (uint64_t)db_number(db, 1);
        sum->created_us = db_number(db, 2);
        g_ptr_array_add(result->transfers, sum);
    }
}

StoreRequest *store_request_queue(void)
{
    return store_request_new(start_queue, finish_queue);
}

/* records */

static void finish_written(const StoreRequest *self, Db *db, StoreResult *result)
{
    DbStep step = db_step(db, &result->error);

    if (step == DB_DONE && self->numbers[0] != 0 && self->what != NULL)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_CONFLICT,
                    "%s was changed or removed meanwhile", self->what);
    else if (step == DB_DONE && self->what != NULL)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no %s", self->what);
    else if (step == DB_FAILED && result->error->code == BASE_ERROR_EXISTS &&
             self->record != NULL) {
        g_clear_error(&result->error);
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_EXISTS, "name: %s '%s' is there already",
                    self->record->kind, self->record->name);
    }
}

static bool start_record_insert(const StoreRequest *self, Db *db, GError **error)
{
    const Record *record = self->record;

    if (!db_start(db, SQL_RECORD_INSERT, error))
        return false;
    db_bind_text(db, 1, record->kind);
    db_bind_text(db, 2, record->id);
    db_bind_text(db, 3, record->name);
    db_bind_text(db, 4, record->document);
    db_bind_number(db, 5, record->created_us);
    db_bind_number(db, 6, record->updated_us);
    return true;
}

StoreRequest *store_request_record_insert(const Record *record)
{
    StoreRequest *self = store_request_new_writing(start_record_insert, finish_written);

    self->record = record_copy(record);
    return self;
}

static bool start_record_update(const StoreRequest *self, Db *db, GError **error)
{
    const Record *record = self->record;

    if (!db_start(db, SQL_RECORD_UPDATE, error))
        return false;
    db_bind_text(db, 1, record->kind);
    db_bind_text(db, 2, record->id);
    db_bind_text(db, 3, record->name);
    db_bind_text(db, 4, record->document);
    db_bind_number(db, 5, clock_wall_us());
    db_bind_number(db, 6, self->numbers[0]);
    return true;
}

StoreRequest *store_request_record_update(const Record *record, int64_t before_us)
{
    StoreRequest *self = store_request_new_writing(start_record_update, finish_written);

    self->record = record_copy(record);
    self->numbers[0] = before_us;
    self->what = g_strdup_printf("%s '%s'", record->kind, record->id);
    return self;
}

static bool start_record_rename(const StoreRequest *self, Db *db, GError **error)
{
    const Record *record = self->record;

    if (!db_start(db, SQL_RECORD_RENAME, error))
        return false;
    db_bind_text(db, 1, record->kind);
    db_bind_text(db, 2, self->texts[0]);
    db_bind_text(db, 3, record->id);
    db_bind_text(db, 4, record->document);
    db_bind_number(db, 5, clock_wall_us());
    db_bind_number(db, 6, self->numbers[0]);
    return true;
}

StoreRequest *store_request_record_rename(const Record *record, const char *id, int64_t before_us)
{
    StoreRequest *self = store_request_new_writing(start_record_rename, finish_written);

    self->record = record_copy(record);
    self->texts[0] = g_strdup(id);
    self->numbers[0] = before_us;
    self->what = g_strdup_printf("%s '%s'", record->kind, id);
    return self;
}

static bool start_record_key(const StoreRequest *self, SqlStatement statement, Db *db,
                             GError **error)
{
    if (!db_start(db, statement, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->texts[1]);
    return true;
}

static bool start_record_get(const StoreRequest *self, Db *db, GError **error)
{
    return start_record_key(self, SQL_RECORD_GET, db, error);
}

static bool start_record_remove(const StoreRequest *self, Db *db, GError **error)
{
    if (!start_record_key(self, SQL_RECORD_REMOVE, db, error))
        return false;
    db_bind_number(db, 3, self->numbers[0]);
    return true;
}

static bool start_record_list(const StoreRequest *self, Db *db, GError **error)
{
    if (!start_record_key(self, SQL_RECORD_LIST, db, error))
        return false;
    db_bind_number(db, 3, self->limit);
    return true;
}

static void finish_records(const StoreRequest *self, Db *db, StoreResult *result)
{
    result->records = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    while (db_step(db, &result->error) == DB_ROW) {
        Record *record = record_new(db_text(db, 0), db_text(db, 1), db_text(db, 2), db_text(db, 3));

        record->created_us = db_number(db, 4);
        record->updated_us = db_number(db, 5);
        g_ptr_array_add(result->records, record);
    }
    if (result->error == NULL && self->what != NULL && result->records->len == 0)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no %s", self->what);
}

static bool start_members(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_MEMBER_LIST, error))
        return false;
    db_bind_text(db, 1, self->owner);
    return true;
}

StoreRequest *store_request_members(void)
{
    return store_request_new(start_members, finish_records);
}

StoreRequest *store_request_record_get(const char *kind, const char *id)
{
    StoreRequest *self = store_request_new(start_record_get, finish_records);

    self->texts[0] = g_strdup(kind);
    self->texts[1] = g_strdup(id);
    self->what = g_strdup_printf("%s '%s'", kind, id);
    return self;
}

StoreRequest *store_request_record_list(const char *kind, const char *after, uint32_t limit)
{
    StoreRequest *self = store_request_new(start_record_list, finish_records);

    self->texts[0] = g_strdup(kind);
    self->texts[1] = g_strdup(after);
    self->limit = limit;
    return self;
}

StoreRequest *store_request_record_remove(const char *kind, const char *id, int64_t before_us)
{
    StoreRequest *self = store_request_new_writing(start_record_remove, finish_written);

    self->texts[0] = g_strdup(kind);
    self->texts[1] = g_strdup(id);
    self->what = g_strdup_printf("%s '%s'", kind, id);
    self->numbers[0] = before_us;
    return self;
}

static bool start_record_expire(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_RECORD_EXPIRE, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_number(db, 2, self->numbers[0]);
    return true;
}

StoreRequest *store_request_record_expire(const char *kind, int64_t before_us)
{
    StoreRequest *self = store_request_new_writing(start_record_expire, finish_written);

    self->texts[0] = g_strdup(kind);
    self->numbers[0] = before_us;
    return self;
}

/* audit */

static bool start_audit_append(const StoreRequest *self, Db *db, GError **error)
{
    const AuditEntry *entry = self->audit;
    const char *const texts[] = {entry->actor,  entry->address,  entry->action, entry->object,
                                 entry->detail, entry->previous, entry->hash};

    if (!db_start(db, SQL_AUDIT_INSERT, error))
        return false;
    db_bind_text(db, 1, self->owner);
    db_bind_number(db, 2, entry->seq);
    db_bind_number(db, 3, entry->time_us);
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        db_bind_text(db, 4 + i, texts[i]);
    db_bind_number(db, 4 + G_N_ELEMENTS(texts), entry->transfer_id);
    return true;
}

static void finish_audit_append(const StoreRequest *self, Db *db, StoreResult *result)
{
    if (db_step(db, &result->error) == DB_DONE)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_CONFLICT,
                    "row %" G_GINT64_FORMAT " of the audit trail has no row before it",
                    self->audit->seq);
}

StoreRequest *store_request_audit_append(const AuditEntry *entry)
{
    StoreRequest *self = store_request_new_writing(start_audit_append, finish_audit_append);

    self->audit = audit_entry_copy(entry);
    return self;
}

/* Rows of ours, by a number, so many. */
static bool start_audit_rows(const StoreRequest *self, SqlStatement statement, Db *db,
                             GError **error)
{
    if (!db_start(db, statement, error))
        return false;
    db_bind_text(db, 1, self->owner);
    db_bind_number(db, 2, self->numbers[0]);
    db_bind_number(db, 3, self->limit);
    return true;
}

static bool start_audit_list(const StoreRequest *self, Db *db, GError **error)
{
    return start_audit_rows(self, SQL_AUDIT_LIST, db, error);
}

static bool start_audit_last(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_AUDIT_LAST, error))
        return false;
    db_bind_text(db, 1, self->owner);
    db_bind_number(db, 2, 1);
    return true;
}

static void finish_audits(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    result->audits = g_ptr_array_new_with_free_func((GDestroyNotify)audit_entry_free);
    while (db_step(db, &result->error) == DB_ROW) {
        AuditEntry *entry = g_new0(AuditEntry, 1);
        char **const texts[] = {&entry->actor,  &entry->address,  &entry->action, &entry->object,
                                &entry->detail, &entry->previous, &entry->hash};

        entry->seq = db_number(db, 1);
        entry->time_us = db_number(db, 2);
        for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
            *texts[i] = g_strdup(db_text(db, 3 + i));
        g_ptr_array_add(result->audits, entry);
    }
}

StoreRequest *store_request_audit_list(int64_t after_seq, uint32_t limit)
{
    StoreRequest *self = store_request_new(start_audit_list, finish_audits);

    self->numbers[0] = after_seq;
    self->limit = limit;
    return self;
}

StoreRequest *store_request_audit_last(void)
{
    return store_request_new(start_audit_last, finish_audits);
}

static bool start_audit_old(const StoreRequest *self, Db *db, GError **error)
{
    return start_audit_rows(self, SQL_AUDIT_OLD, db, error);
}

StoreRequest *store_request_audit_old(int64_t before_us, uint32_t limit)
{
    StoreRequest *self = store_request_new(start_audit_old, finish_audits);

    self->numbers[0] = before_us;
    self->limit = limit;
    return self;
}

static bool start_audit_remove(const StoreRequest *self, Db *db, GError **error)
{
    return start_audit_rows(self, SQL_AUDIT_REMOVE, db, error);
}

static void finish_audit_remove(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    while (db_step(db, &result->error) == DB_ROW)
        result->number++;
}

StoreRequest *store_request_audit_remove(int64_t through_seq, uint32_t limit)
{
    StoreRequest *self = store_request_new_writing(start_audit_remove, finish_audit_remove);

    self->numbers[0] = through_seq;
    self->limit = limit;
    return self;
}
