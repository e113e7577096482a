/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partners, virtual files, listeners and stores of certificates in the store: requests to list, create, change and remove them. A change names
 * the version that it is based on. What the settings say is not looked at here.
 */
#include "daemon/store-private.h"

#include "base/clock.h"
#include "base/error.h"

#include <string.h>

enum {
    COLUMN_PARTNER,
    COLUMN_PATTERN,
    COLUMN_SETTINGS,
    COLUMN_VERSION,
    COLUMN_CREATED,
    COLUMN_UPDATED
};

void definition_free(Definition *definition)
{
    if (definition == NULL)
        return;
    g_free(definition->partner);
    g_free(definition->pattern);
    g_free(definition->settings);
    g_free(definition->fault);
    g_free(definition);
}

Definition *definition_new(const char *partner, const char *pattern, const char *settings)
{
    Definition *definition = g_new0(Definition, 1);

    definition->partner = g_strdup(partner);
    definition->pattern = g_strdup(pattern);
    definition->settings = g_strdup(settings);
    return definition;
}

static Definition *read_definition(Db *db)
{
    const char *pattern = db_text(db, COLUMN_PATTERN);
    Definition *definition =
            definition_new(db_text(db, COLUMN_PARTNER), pattern, db_text(db, COLUMN_SETTINGS));

    definition->version = db_number(db, COLUMN_VERSION);
    definition->created_us = db_number(db, COLUMN_CREATED);
    definition->updated_us = db_number(db, COLUMN_UPDATED);
    return definition;
}

static void finish_definitions(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    result->definitions = g_ptr_array_new_with_free_func((GDestroyNotify)definition_free);
    while (db_step(db, &result->error) == DB_ROW)
        g_ptr_array_add(result->definitions, read_definition(db));
}

static bool start_definitions(const StoreRequest *self, Db *db, GError **error)
{
    (void)self;
    return db_start(db, SQL_DEFINITION_LIST, error);
}

StoreRequest *store_request_definitions(void)
{
    return store_request_new(start_definitions, finish_definitions);
}

typedef struct {
    const char *name, *table;
    SqlStatement insert, update, remove;
    bool has_partner, has_pattern; /* which parts of the key its rows have */
} Kind;

static const Kind KINDS[] = {
        {"partner", "partners", SQL_PARTNER_INSERT, SQL_PARTNER_UPDATE, SQL_PARTNER_DELETE, true,
         false},
        {"virtual file", "virtual_files", SQL_FILE_INSERT, SQL_FILE_UPDATE, SQL_FILE_DELETE, true,
         true},
        {"listener", "pesitwizard_server_configs", SQL_LISTENER_INSERT, SQL_LISTENER_UPDATE,
         SQL_LISTENER_DELETE, false, true},
        {"store of certificates", "certificate_stores", SQL_CERTIFICATES_INSERT,
         SQL_CERTIFICATES_UPDATE, SQL_CERTIFICATES_DELETE, false, true},
};

static const Kind *kind_of(const char *partner, const char *pattern)
{
    return pattern == NULL                                 ? &KINDS[0]
           : partner[0] == '\0'                            ? &KINDS[2]
           : strcmp(partner, DEFINITION_CERTIFICATES) == 0 ? &KINDS[3]
                                                           : &KINDS[1];
}

static const Kind *kind_of_request(const StoreRequest *self)
{
    return kind_of(self->texts[0], self->texts[1]);
}

static void finish_change(const StoreRequest *self, Db *db, StoreResult *result)
{
    DbStep step = db_step(db, &result->error);
    const char *name = self->texts[1] != NULL ? self->texts[1] : self->texts[0];

    if (step == DB_ROW)
        result->number = (uint64_t)db_number(db, 0);
    else if (step == DB_DONE && self->numbers[0] == 0)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_EXISTS, "%s '%s' exists",
                    kind_of_request(self)->name, name);
    else if (step == DB_DONE)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_CONFLICT,
                    "%s '%s' is not there, or was changed meanwhile", kind_of_request(self)->name,
                    name);
}

/* Binds the parts of the key that the rows have. Returns the next position. */
static unsigned bind_key(const StoreRequest *self, Db *db)
{
    const Kind *kind = kind_of_request(self);
    unsigned at = 1;

    if (kind->has_partner)
        db_bind_text(db, at++, self->texts[0]);
    if (kind->has_pattern)
        db_bind_text(db, at++, self->texts[1]);
    return at;
}

/* The key, then settings and time where the statement has them. */
static bool start_change(const StoreRequest *self, Db *db, GError **error)
{
    const Kind *kind = kind_of_request(self);
    bool creates = self->numbers[0] == 0;
    unsigned at;

    if (!db_start(db, creates ? kind->insert : kind->update, error))
        return false;
    at = bind_key(self, db);
    db_bind_text(db, at++, self->texts[2]);
    db_bind_number(db, at++, self->numbers[1] != 0 ? self->numbers[1] : clock_wall_us());
    if (!creates)
        db_bind_number(db, at, self->numbers[0]);
    return true;
}

static StoreRequest *new_change(StoreStart start, const Definition *definition, int64_t version)
{
    StoreRequest *self = store_request_new_writing(start, finish_change);

    self->texts[0] = g_strdup(definition->partner);
    self->texts[1] = g_strdup(definition->pattern);
    self->texts[2] = g_strdup(definition->settings);
    self->numbers[0] = version;
    self->numbers[1] = definition->updated_us;
    self->tells = kind_of(definition->partner, definition->pattern)->table;
    return self;
}

StoreRequest *store_request_define(const Definition *definition, int64_t version)
{
    return new_change(start_change, definition, version);
}

static bool start_removal(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, kind_of_request(self)->remove, error))
        return false;
    db_bind_number(db, bind_key(self, db), self->numbers[0]);
    return true;
}

StoreRequest *store_request_undefine(const char *partner, const char *pattern, int64_t version)
{
    const Definition key = {.partner = (char *)(uintptr_t)partner,
                            .pattern = (char *)(uintptr_t)pattern};

    return new_change(start_removal, &key, version);
}
