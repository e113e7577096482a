/* SPDX-License-Identifier: Apache-2.0 */
/* The seam: every call goes to the back end that was opened. */
#include "sql/db-private.h"

Db *db_open(const DbTarget *target, GError **error)
{
    g_autoptr(Db) self =
            target->kind == DB_SQLITE ? sqlite_open(target, error) : postgres_open(target, error);

    if (self == NULL || !db_migrate(self, error))
        return NULL;
    return g_steal_pointer(&self);
}

Db *db_open_unmigrated(const DbTarget *target, GError **error)
{
    return target->kind == DB_SQLITE ? sqlite_open(target, error) : postgres_open(target, error);
}

void db_close(Db *self)
{
    if (self != NULL)
        self->backend->close(self);
}

unsigned db_version(const Db *self)
{
    return self->version;
}

bool db_start(Db *self, SqlStatement statement, GError **error)
{
    return self->backend->start(self, statement, error);
}

void db_bind_number(Db *self, unsigned index, int64_t number)
{
    self->backend->bind_number(self, index, number);
}

void db_bind_text(Db *self, unsigned index, const char *text)
{
    self->backend->bind_text(self, index, text);
}

DbStep db_step(Db *self, GError **error)
{
    return self->backend->step(self, error);
}

int64_t db_number(Db *self, unsigned column)
{
    return self->backend->number(self, column);
}

const char *db_text(Db *self, unsigned column)
{
    return self->backend->text(self, column);
}

bool db_run(Db *self, SqlStatement statement, GError **error)
{
    DbStep step;

    if (!db_start(self, statement, error))
        return false;
    do {
        step = db_step(self, error);
    } while (step == DB_ROW);
    return step == DB_DONE;
}

bool db_start_text(Db *self, const char *text, GError **error)
{
    return self->backend->start_text(self, text, error);
}

bool db_run_text(Db *self, const char *text, GError **error)
{
    DbStep step;

    if (!db_start_text(self, text, error))
        return false;
    do {
        step = db_step(self, error);
    } while (step == DB_ROW);
    return step == DB_DONE;
}

unsigned db_column_count(Db *self)
{
    return self->backend->column_count(self);
}

const char *db_column_name(Db *self, unsigned column)
{
    return self->backend->column_name(self, column);
}

bool db_copy_step(Db *self, const char *path, bool *ret_done, GError **error)
{
    if (self->backend->copy_step != NULL)
        return self->backend->copy_step(self, path, ret_done, error);
    *ret_done = true;
    return true;
}

unsigned db_batch_limit(const Db *self)
{
    return self->batch_limit;
}

bool db_defer(Db *self, GError **error)
{
    return self->backend->defer(self, error);
}

void db_resume(Db *self)
{
    self->backend->resume(self);
}

bool db_begin(Db *self, bool writes, GError **error)
{
    self->doomed = false;
    return self->backend->begin(self, writes, error);
}

bool db_commit(Db *self, GError **error)
{
    return self->backend->commit(self, error);
}

void db_rollback(Db *self)
{
    self->backend->rollback(self);
    self->doomed = false;
}

bool db_is_doomed(const Db *self)
{
    return self->doomed;
}

char *db_make_verifier(Db *self, const char *role, const char *password, GError **error)
{
    return self->backend->make_verifier(self, role, password, error);
}

bool db_is_lost(const Db *self)
{
    return self->lost;
}

void db_set_password(Db *self, const char *password)
{
    self->backend->set_password(self, password);
}

bool db_reconnect(Db *self, bool *ret_committed, GError **error)
{
    return self->backend->reconnect(self, ret_committed, error);
}

int db_fd(const Db *self)
{
    return self->backend->fd(self);
}

char *db_take_notice(Db *self)
{
    return self->backend->take_notice(self);
}
