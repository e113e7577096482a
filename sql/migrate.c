/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Migrations one by one, each in a transaction with the row that says so; no two processes run one at the
 * same time. What was applied must be what the program has, text for text; more than that is a newer
 * program's, and refused.
 */
#include "sql/db-private.h"

#include "base/clock.h"
#include "base/error.h"

#include <string.h>

static const char TABLE[] =
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        "version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, "
        "applied_us BIGINT NOT NULL)";

static unsigned count_known(const Db *self)
{
    unsigned count = 0;

    while (self->migrations[count].name != NULL)
        count++;
    return count;
}

static bool record(Db *self, unsigned version, GError **error)
{
    const SqlMigration *migration = &self->migrations[version - 1];

    if (!db_start(self, SQL_MIGRATION_INSERT, error))
        return false;
    db_bind_number(self, 1, version);
    db_bind_text(self, 2, migration->name);
    db_bind_text(self, 3, migration->sha256);
    db_bind_number(self, 4, clock_wall_us());
    return db_step(self, error) == DB_DONE && (self->backend->mark_version == NULL ||
                                               self->backend->mark_version(self, version, error));
}

static bool refuse_newer(const Db *self, unsigned version, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                "%s has schema version %u, this program knows up to %u: install the newer program",
                self->name, version, count_known(self));
    return false;
}

/* Files of programs that only counted: what they applied is recorded as if it had been then. */
static bool adopt(Db *self, GError **error)
{
    unsigned marked = 0;

    if (self->backend->read_marked_version == NULL)
        return true;
    if (!self->backend->read_marked_version(self, &marked, error))
        return false;
    if (marked > count_known(self))
        return refuse_newer(self, marked, error);
    for (unsigned version = self->version + 1; version <= marked; version++) {
        if (!record(self, version, error))
            return false;
        self->version = version;
    }
    return true;
}

static bool check_applied(Db *self, unsigned version, GError **error)
{
    const SqlMigration *known = &self->migrations[version - 1];
    const char *name = db_text(self, 1), *sha256 = db_text(self, 2);

    if (g_strcmp0(known->name, name) == 0 && g_strcmp0(known->sha256, sha256) == 0)
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                "%s: migration %u was applied as '%s' with another text than this program's '%s'",
                self->name, version, name, known->name);
    return false;
}

static bool read_applied(Db *self, GError **error)
{
    unsigned known = count_known(self), newest = 0;
    bool right = true;
    DbStep step;

    if (!db_start(self, SQL_MIGRATION_LIST, error))
        return false;
    while ((step = db_step(self, right ? error : NULL)) == DB_ROW) {
        newest = (unsigned)db_number(self, 0);
        right = right && (newest > known || check_applied(self, newest, error));
    }
    if (step == DB_FAILED || !right)
        return false;
    self->version = newest;
    return newest <= known || refuse_newer(self, newest, error);
}

/* One transaction: reads what is there, and applies at most one migration. */
static bool migrate_once(Db *self, bool *ret_more, GError **error)
{
    unsigned version;

    if (!self->backend->run_script(self, TABLE, error) || !read_applied(self, error) ||
        !adopt(self, error))
        return false;
    version = self->version + 1;
    *ret_more = version <= count_known(self);
    if (!*ret_more)
        return true;
    if (!self->backend->run_script(self, self->migrations[version - 1].texts[self->kind], error)) {
        g_prefix_error(error, "migration '%s': ", self->migrations[version - 1].name);
        return false;
    }
    return record(self, version, error);
}

bool db_migrate(Db *self, GError **error)
{
    bool more = true;

    while (more) {
        if (!self->backend->begin_migration(self, error))
            return false;
        if (!migrate_once(self, &more, error)) {
            db_rollback(self);
            return false;
        }
        if (!db_commit(self, error))
            return false;
    }
    return true;
}
