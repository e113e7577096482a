/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL behind db.h, by libpq. Statements are prepared when first used; those set aside travel in one
 * pipeline. One connection per schema and owner, held by an advisory lock, so that after a lost answer to
 * COMMIT the mark in store_writers tells for certain what happened.
 */
#include "sql/db-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMETERS_MAX 40
#define NAME_LENGTH    12
#define BATCH_MAX      128

/* What the next result of the pipeline belongs to. */
typedef enum { WAIT_REQUEST, WAIT_INTERNAL, WAIT_PREPARE } WaitKind;

typedef struct {
    WaitKind kind;
    SqlStatement statement;
} Wait;

typedef struct {
    Db base;
    PGconn *connection;
    char *conninfo, *password, *user, *role, *schema;
    char *owner; /* NULL: a guest */
    bool prepared[SQL_COUNT];
    /* the started statement */
    SqlStatement statement;
    char *text; /* of the caller's instead, or NULL */
    char *parameters[PARAMETERS_MAX];
    unsigned parameter_count;
    /* its result */
    PGresult *result;
    bool has_run; /* result is the statement's, even NULL */
    int row;
    /* the pipeline */
    GQueue waiting; /* Wait * */
    unsigned requests_waiting;
    bool piped, synced;
    /* commits */
    int64_t mark;
    bool uncertain; /* COMMIT was sent, its answer was lost */
    bool writes;
} PostgresDb;

typedef struct {
    const char *state; /* SQLSTATE, or its class */
    BaseError code;
} StateCode;

/* clang-format off */
static const StateCode CODES[] = {
    {"23505", BASE_ERROR_EXISTS}, {"23", BASE_ERROR_INVALID}, {"22", BASE_ERROR_INVALID},
    {"40", BASE_ERROR_BUSY}, {"55P03", BASE_ERROR_BUSY}, {"57014", BASE_ERROR_TIMEOUT},
    {"53100", BASE_ERROR_NO_SPACE}, {"42501", BASE_ERROR_REFUSED}, {"08", BASE_ERROR_UNREACHABLE},
    {"57P", BASE_ERROR_UNREACHABLE}, {"25006", BASE_ERROR_UNREACHABLE}, {"53", BASE_ERROR_UNREACHABLE},
    {NULL, BASE_ERROR_IO},
};
/* clang-format on */

static BaseError code_of_state(const char *state)
{
    const StateCode *row = CODES;

    while (row->state != NULL &&
           (state == NULL || strncmp(row->state, state, strlen(row->state)) != 0))
        row++;
    return row->code;
}

static void set_error(PostgresDb *self, const PGresult *result, const char *doing, GError **error)
{
    const char *text = result != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    BaseError code =
            code_of_state(result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL);
    g_autofree char *words =
            g_strdup(text != NULL ? text : PQerrorMessage(self->connection)); /* ends with \n */

    if (PQstatus(self->connection) == CONNECTION_BAD || code == BASE_ERROR_UNREACHABLE) {
        self->base.lost = true;
        code = BASE_ERROR_UNREACHABLE;
    }
    self->base.doomed = true;
    if (result != NULL && PQresultStatus(result) == PGRES_PIPELINE_ABORTED)
        g_set_error(error, BASE_ERROR, (int)code, "%s: %s: another statement failed before",
                    self->base.name, doing);
    else
        g_set_error(error, BASE_ERROR, (int)code, "%s: %s: %s", self->base.name, doing,
                    g_strchomp(words));
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

static void clear_result(PostgresDb *self)
{
    PQclear(self->result);
    self->result = NULL;
    self->has_run = false;
    self->row = -1;
}

/* A text of its own, outside any pipeline. ret_value: the first column of the first row, new, or NULL. */
static bool run_text(PostgresDb *self, const char *text, const char *parameter, char **ret_value,
                     GError **error)
{
    const char *const values[] = {parameter};
    PGresult *result =
            parameter != NULL ? PQexecParams(self->connection, text, 1, NULL, values, NULL, NULL, 0)
                              : PQexec(self->connection, text);
    bool good = is_good(result);

    if (!good)
        set_error(self, result, text, error);
    else if (ret_value != NULL)
        *ret_value = PQntuples(result) > 0 ? g_strdup(PQgetvalue(result, 0, 0)) : NULL;
    PQclear(result);
    return good;
}

/* the pipeline */

static void push_wait(PostgresDb *self, WaitKind kind, SqlStatement statement)
{
    Wait *wait = g_new(Wait, 1);

    *wait = (Wait){kind, statement};
    g_queue_push_tail(&self->waiting, wait);
    if (kind == WAIT_REQUEST)
        self->requests_waiting++;
}

static bool enter_pipeline(PostgresDb *self, GError **error)
{
    if (self->piped)
        return true;
    if (self->base.lost || PQenterPipelineMode(self->connection) != 1) {
        set_error(self, NULL, "begin a batch", error);
        return false;
    }
    self->piped = true;
    return true;
}

static void name_statement(SqlStatement statement, char name[NAME_LENGTH])
{
    (void)snprintf(name, NAME_LENGTH, "s%u", (unsigned)statement); /* fits */
}

/* Sends a statement into the pipeline, and before its first use its text. */
static bool send_statement(PostgresDb *self, WaitKind kind, SqlStatement statement, unsigned count,
                           const char *const *parameters, GError **error)
{
    char name[NAME_LENGTH];

    name_statement(statement, name);
    if (!enter_pipeline(self, error))
        return false;
    if (!self->prepared[statement]) {
        if (PQsendPrepare(self->connection, name, SQL_STATEMENTS[statement], 0, NULL) != 1) {
            set_error(self, NULL, "prepare a statement", error);
            return false;
        }
        self->prepared[statement] = true;
        push_wait(self, WAIT_PREPARE, statement);
    }
    if (PQsendQueryPrepared(self->connection, name, (int)count, parameters, NULL, NULL, 0) != 1) {
        set_error(self, NULL, "send a statement", error);
        return false;
    }
    push_wait(self, kind, statement);
    return true;
}

/* The result of one statement in the pipeline; NULL when the server has gone. */
static PGresult *read_result(PostgresDb *self)
{
    PGresult *result = PQgetResult(self->connection);
    PGresult *end = result != NULL ? PQgetResult(self->connection) : NULL;

    PQclear(end); /* NULL parts the statements' results; else the connection is broken */
    return result;
}

static void leave_pipeline(PostgresDb *self)
{
    PGresult *sync;
    bool left;

    if (!g_queue_is_empty(&self->waiting) || !self->piped)
        return;
    if (!self->synced)
        (void)PQpipelineSync(self->connection); /* a failure shows below */
    sync = PQgetResult(self->connection);
    left = PQresultStatus(sync) == PGRES_PIPELINE_SYNC && PQexitPipelineMode(self->connection) == 1;
    PQclear(sync);
    if (!left)
        self->base.lost = self->base.doomed = true;
    self->piped = self->synced = false;
}

/* Takes what stands before the next request's result; leaves that of the request. */
static void take_internal(PostgresDb *self)
{
    while (!g_queue_is_empty(&self->waiting)) {
        const Wait *next = g_queue_peek_head(&self->waiting);
        g_autofree Wait *wait = NULL;
        PGresult *result;

        if (next->kind == WAIT_REQUEST)
            return;
        wait = g_queue_pop_head(&self->waiting);
        result = read_result(self);
        if (!is_good(result)) {
            self->base.doomed = true;
            self->prepared[wait->statement] =
                    self->prepared[wait->statement] && wait->kind != WAIT_PREPARE;
        }
        PQclear(result);
    }
}

static void sync_pipeline(PostgresDb *self)
{
    if (!self->piped || self->synced)
        return;
    if (PQpipelineSync(self->connection) != 1)
        self->base.lost = self->base.doomed = true;
    self->synced = true;
}

/* The transaction's beginning is in the pipeline and no request followed it there. */
static void finish_pipeline(PostgresDb *self)
{
    sync_pipeline(self);
    take_internal(self);
    leave_pipeline(self);
}

/* statements */

static bool postgres_start(Db *db, SqlStatement statement, GError **error)
{
    PostgresDb *self = (PostgresDb *)db;

    (void)error;
    clear_result(self);
    for (unsigned i = 0; i < self->parameter_count; i++)
        g_clear_pointer(&self->parameters[i], g_free);
    self->parameter_count = 0;
    self->statement = statement;
    g_clear_pointer(&self->text, g_free);
    return true;
}

static bool postgres_start_text(Db *db, const char *text, GError **error)
{
    PostgresDb *self = (PostgresDb *)db;

    if (!postgres_start(db, SQL_COUNT, error))
        return false;
    self->text = g_strdup(text);
    return true;
}

static unsigned postgres_column_count(Db *db)
{
    return (unsigned)PQnfields(((PostgresDb *)db)->result);
}

static const char *postgres_column_name(Db *db, unsigned column)
{
    return PQfname(((PostgresDb *)db)->result, (int)column);
}

static void bind(PostgresDb *self, unsigned index, char *value)
{
    self->parameters[index - 1] = value;
    self->parameter_count = MAX(self->parameter_count, index);
}

static void postgres_bind_number(Db *db, unsigned index, int64_t number)
{
    bind((PostgresDb *)db, index, g_strdup_printf("%" G_GINT64_FORMAT, number));
}

static void postgres_bind_text(Db *db, unsigned index, const char *text)
{
    bind((PostgresDb *)db, index, g_strdup(text));
}

static const char *const *parameters_of(PostgresDb *self)
{
    return (const char *const *)self->parameters;
}

static bool postgres_defer(Db *db, GError **error)
{
    PostgresDb *self = (PostgresDb *)db;

    return send_statement(self, WAIT_REQUEST, self->statement, self->parameter_count,
                          parameters_of(self), error);
}

static void postgres_resume(Db *db)
{
    PostgresDb *self = (PostgresDb *)db;
    g_autofree Wait *wait = NULL;

    clear_result(self);
    sync_pipeline(self);
    take_internal(self);
    wait = g_queue_pop_head(&self->waiting);
    self->requests_waiting--;
    self->statement = wait->statement;
    self->result = read_result(self);
    self->has_run = true;
    if (self->requests_waiting == 0) {
        take_internal(self);
        leave_pipeline(self);
    }
}

/* Outside a pipeline: the statement alone. */
static void run_statement(PostgresDb *self)
{
    char name[NAME_LENGTH];

    finish_pipeline(self);
    self->has_run = true;
    if (self->text != NULL) {
        self->result = PQexecParams(self->connection, self->text, (int)self->parameter_count, NULL,
                                    parameters_of(self), NULL, NULL, 0);
        return;
    }
    name_statement(self->statement, name);
    self->result = self->prepared[self->statement]
                           ? PQexecPrepared(self->connection, name, (int)self->parameter_count,
                                            parameters_of(self), NULL, NULL, 0)
                           : PQexecParams(self->connection, SQL_STATEMENTS[self->statement],
                                          (int)self->parameter_count, NULL, parameters_of(self),
                                          NULL, NULL, 0);
}

static DbStep postgres_step(Db *db, GError **error)
{
    PostgresDb *self = (PostgresDb *)db;

    if (!self->has_run)
        run_statement(self);
    if (!is_good(self->result)) {
        set_error(self, self->result, "run a statement", error);
        return DB_FAILED;
    }
    self->row++;
    return self->row < PQntuples(self->result) ? DB_ROW : DB_DONE;
}

static int64_t postgres_number(Db *db, unsigned column)
{
    const PostgresDb *self = (const PostgresDb *)db;

    return strtoll(PQgetvalue(self->result, self->row, (int)column), NULL, 10);
}

static const char *postgres_text(Db *db, unsigned column)
{
    const PostgresDb *self = (const PostgresDb *)db;

    return PQgetisnull(self->result, self->row, (int)column) == 1
                   ? NULL
                   : PQgetvalue(self->result, self->row, (int)column);
}

/* transactions */

static bool postgres_begin(Db *db, bool writes, GError **error)
{
    PostgresDb *self = (PostgresDb *)db;
    char mark[24], now[24];
    const char *const parameters[] = {self->owner, mark, now};

    self->writes = writes;
    if (!send_statement(self, WAIT_INTERNAL, SQL_BEGIN, 0, NULL, error))
        return false;
    if (!writes || self->owner == NULL)
        return true;
    self->mark++;
    (void)snprintf(mark, sizeof mark, "%" G_GINT64_FORMAT, self->mark);    /* fits */
    (void)snprintf(now, sizeof now, "%" G_GINT64_FORMAT, clock_wall_us()); /* fits */
    return send_statement(self, WAIT_INTERNAL, SQL_WRITER_MARK, 3, parameters, error);
}

static bool postgres_commit(Db *db, GError **error)
{
    PostgresDb *self = (PostgresDb *)db;
    PGresult *result;
    bool committed;

    clear_result(self);
    finish_pipeline(self);
    self->uncertain = self->writes && self->owner != NULL && !self->base.lost;
    result = PQexec(self->connection, "COMMIT");
    /* a transaction in which something failed says ROLLBACK */
    committed = is_good(result) && strcmp(PQcmdStatus(result), "COMMIT") == 0;
    if (!committed && is_good(result))
        g_set_error(error, BASE_ERROR, BASE_ERROR_IO, "%s: the transaction was rolled back",
                    self->base.name);
    else if (!committed)
        set_error(self, result, "commit", error);
    self->uncertain = self->uncertain && self->base.lost;
    PQclear(result);
    return committed;
}

static void postgres_rollback(Db *db)
{
    PostgresDb *self = (PostgresDb *)db;

    clear_result(self);
    finish_pipeline(self);
    (void)run_text(self, "ROLLBACK", NULL, NULL, NULL); /* the first error counts */
}

/* migrations */

static bool postgres_begin_migration(Db *db, GError **error)
{
    PostgresDb *self = (PostgresDb *)db;

    self->writes = false;
    return run_text(self, "BEGIN", NULL, NULL, error) &&
           run_text(self,
                    "SELECT pg_advisory_xact_lock(hashtextextended('migrate ' || "
                    "current_database() || ' ' || $1, 0))",
                    self->schema, NULL, error);
}

static bool postgres_run_script(Db *db, const char *text, GError **error)
{
    return run_text((PostgresDb *)db, text, NULL, NULL, error);
}

/* the connection */

static void ignore_notice(void *data, const char *message)
{
    (void)data;
    (void)message;
}

/* A default of ours gives way to the caller's text, and to the environment. */
static void connect_to(PostgresDb *self)
{
    static const struct {
        const char *keyword, *value, *variable;
    } DEFAULTS[] = {{"application_name", "pesitd", "PGAPPNAME"},
                    {"connect_timeout", "5", "PGCONNECT_TIMEOUT"},
                    {"sslmode", "verify-full", "PGSSLMODE"},
                    {"target_session_attrs", "read-write", "PGTARGETSESSIONATTRS"},
                    {"keepalives_idle", "5", NULL},
                    {"keepalives_interval", "2", NULL},
                    {"keepalives_count", "3", NULL},
                    {"tcp_user_timeout", "10000", NULL}};
    const char *keywords[G_N_ELEMENTS(DEFAULTS) + 5] = {NULL};
    const char *values[G_N_ELEMENTS(DEFAULTS) + 5] = {NULL};
    size_t count = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(DEFAULTS); i++) {
        if (DEFAULTS[i].variable != NULL && getenv(DEFAULTS[i].variable) != NULL)
            continue;
        keywords[count] = DEFAULTS[i].keyword;
        values[count++] = DEFAULTS[i].value;
    }
    keywords[count] = "dbname"; /* expanded: goes before what stands above */
    values[count++] = self->conninfo;
    keywords[count] = "user"; /* NULL: not said here */
    values[count++] = self->user;
    keywords[count] = "password"; /* the same */
    values[count++] = self->password;
    keywords[count] = "client_encoding";
    values[count] = "UTF8";
    self->connection = PQconnectdbParams(keywords, values, 1);
}

/* IF NOT EXISTS does not help two that begin together: one of them fails on the catalogue's key. */
static bool create_schema(PostgresDb *self, GError **error)
{
    char *name = PQescapeIdentifier(self->connection, self->schema, strlen(self->schema));
    g_autofree char *create = g_strconcat("CREATE SCHEMA IF NOT EXISTS ", name, NULL);

    PQfreemem(name);
    if (!run_text(self, "BEGIN", NULL, NULL, error))
        return false;
    if (run_text(self,
                 "SELECT pg_advisory_xact_lock(hashtextextended('create ' || current_database() || "
                 "' ' || $1, 0))",
                 self->schema, NULL, error) &&
        run_text(self, create, NULL, NULL, error) && run_text(self, "COMMIT", NULL, NULL, error))
        return true;
    (void)run_text(self, "ROLLBACK", NULL, NULL, NULL); /* the first error counts */
    return false;
}

static bool use_schema(PostgresDb *self, GError **error)
{
    g_autofree char *found = NULL;

    if (!run_text(self, "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = $1",
                  self->schema, &found, error))
        return false;
    if (found == NULL && !create_schema(self, error))
        return false;
    return run_text(self, "SELECT set_config('search_path', quote_ident($1), false)", self->schema,
                    NULL, error);
}

/* One daemon per schema and owner, until this connection ends. */
static bool take_possession(PostgresDb *self, GError **error)
{
    g_autofree char *whose = g_strconcat(self->schema, " ", self->owner, NULL);

    if (!run_text(self, "SET lock_timeout = '5s'", NULL, NULL, error))
        return false;
    if (!run_text(self,
                  "SELECT pg_advisory_lock(hashtextextended('own ' || current_database() || ' ' "
                  "|| $1, 0))",
                  whose, NULL, error)) {
        if (error != NULL && (*error)->code == BASE_ERROR_BUSY)
            g_prefix_error(error, "another process uses schema '%s' as owner '%s': ", self->schema,
                           self->owner);
        return false;
    }
    return run_text(self, "RESET lock_timeout", NULL, NULL, error);
}

/* The triggers keep sums for each writer. And every statement of ours has an index in whose order it reads few rows: the
 * planner, who does not know the parameters, is not to prefer reading a whole table. */
static bool name_writer(PostgresDb *self, GError **error)
{
    return run_text(self, "SELECT set_config('pesitfs.writer', $1, false)", self->owner, NULL,
                    error) &&
           run_text(self,
                    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = "
                    "off; "
                    "SET enable_bitmapscan = off; SET jit = off; SET plan_cache_mode = "
                    "force_generic_plan",
                    NULL, NULL, error);
}

static bool listen_to_others(PostgresDb *self, GError **error)
{
    char *name = PQescapeIdentifier(self->connection, self->schema, strlen(self->schema));
    g_autofree char *text = g_strconcat("LISTEN ", name, NULL);

    PQfreemem(name);
    return run_text(self, text, NULL, NULL, error);
}

static bool take_role(PostgresDb *self, GError **error)
{
    return self->role == NULL ||
           run_text(self, "SELECT set_config('role', $1, false)", self->role, NULL, error);
}

static bool set_up_connection(PostgresDb *self, GError **error)
{
    PQsetNoticeProcessor(self->connection, ignore_notice, NULL);
    if (PQstatus(self->connection) != CONNECTION_OK) {
        set_error(self, NULL, "connect", error);
        return false;
    }
    if (!take_role(self, error) || !use_schema(self, error))
        return false;
    if (self->owner == NULL)
        return run_text(self, "SET lock_timeout = '5s'; SET statement_timeout = '10s'", NULL, NULL,
                        error);
    return take_possession(self, error) && name_writer(self, error) &&
           listen_to_others(self, error);
}

static void forget_connection(PostgresDb *self)
{
    clear_result(self);
    g_queue_clear_full(&self->waiting, g_free);
    self->requests_waiting = 0;
    self->piped = self->synced = false;
    memset(self->prepared, 0, sizeof self->prepared);
    PQfinish(self->connection);
    self->connection = NULL;
}

static bool read_mark(PostgresDb *self, bool *ret_committed, GError **error)
{
    g_autofree char *mark = NULL;

    *ret_committed = false;
    if (!self->uncertain)
        return true;
    if (!run_text(self, "SELECT mark FROM store_writers WHERE writer = $1", self->owner, &mark,
                  error))
        return false;
    *ret_committed = mark != NULL && g_ascii_strtoll(mark, NULL, 10) == self->mark;
    return true;
}

static void forget_password(PostgresDb *self)
{
    g_clear_pointer(&self->password, secret_free_text);
}

static void postgres_set_password(Db *db, const char *password)
{
    PostgresDb *self = (PostgresDb *)db;

    forget_password(self);
    self->password = g_strdup(password); /* an empty one is none to libpq */
}

static bool postgres_reconnect(Db *db, bool *ret_committed, GError **error)
{
    PostgresDb *self = (PostgresDb *)db;

    forget_connection(self);
    connect_to(self);
    self->base.lost = self->base.doomed = false;
    if (!set_up_connection(self, error) || !read_mark(self, ret_committed, error)) {
        self->base.lost = true;
        return false;
    }
    self->uncertain = false;
    return true;
}

static char *postgres_make_verifier(Db *db, const char *role, const char *password, GError **error)
{
    PostgresDb *self = (PostgresDb *)db;
    char *made = PQencryptPasswordConn(self->connection, password, role, "scram-sha-256");
    char *verifier = g_strdup(made);

    if (made == NULL)
        set_error(self, NULL, "make a verifier", error);
    PQfreemem(made);
    return verifier;
}

static int postgres_fd(const Db *db)
{
    return PQsocket(((const PostgresDb *)db)->connection);
}

static char *postgres_take_notice(Db *db)
{
    PostgresDb *self = (PostgresDb *)db;
    char *text = NULL;
    PGnotify *notice;

    if (self->base.lost)
        return NULL;
    if (PQconsumeInput(self->connection) != 1)
        self->base.lost = true;
    while (text == NULL && (notice = PQnotifies(self->connection)) != NULL) {
        if (notice->be_pid != PQbackendPID(self->connection))
            text = g_strdup(notice->extra);
        PQfreemem(notice);
    }
    return text;
}

static void postgres_close(Db *db)
{
    PostgresDb *self = (PostgresDb *)db;

    forget_connection(self);
    for (unsigned i = 0; i < PARAMETERS_MAX; i++)
        g_free(self->parameters[i]);
    g_free(self->text);
    g_free(self->conninfo);
    forget_password(self);
    g_free(self->user);
    g_free(self->role);
    g_free(self->schema);
    g_free(self->owner);
    g_free(self->base.name);
    g_free(self);
}

static const DbBackend BACKEND = {
        .close = postgres_close,
        .start = postgres_start,
        .start_text = postgres_start_text,
        .column_count = postgres_column_count,
        .column_name = postgres_column_name,
        .bind_number = postgres_bind_number,
        .bind_text = postgres_bind_text,
        .step = postgres_step,
        .number = postgres_number,
        .text = postgres_text,
        .defer = postgres_defer,
        .resume = postgres_resume,
        .begin = postgres_begin,
        .commit = postgres_commit,
        .rollback = postgres_rollback,
        .begin_migration = postgres_begin_migration,
        .run_script = postgres_run_script,
        .make_verifier = postgres_make_verifier,
        .set_password = postgres_set_password,
        .reconnect = postgres_reconnect,
        .fd = postgres_fd,
        .take_notice = postgres_take_notice,
};

Db *postgres_open(const DbTarget *target, GError **error)
{
    PostgresDb *self = g_new0(PostgresDb, 1);
    g_autoptr(Db) base = &self->base;

    *base = (Db){.backend = &BACKEND,
                 .migrations = target->migrations,
                 .kind = DB_POSTGRES,
                 .batch_limit = BATCH_MAX,
                 .name = g_strdup_printf("database schema '%s'", target->schema)};
    self->conninfo = g_strdup(target->conninfo);
    self->password = g_strdup(target->password);
    self->user = g_strdup(target->user);
    self->role = g_strdup(target->role);
    self->schema = g_strdup(target->schema);
    self->owner = g_strdup(target->owner);
    self->mark = clock_wall_us();
    g_queue_init(&self->waiting);
    connect_to(self);
    if (!set_up_connection(self, error))
        return NULL;
    return g_steal_pointer(&base);
}
