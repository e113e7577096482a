/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records, and how a cluster is made, in steps that are a transaction of the database each: record (CREATING); roles and
 * schema; the tables, as the cluster's role; password and READY at once. What is in a cluster's schema is only ever touched
 * as its role, see sql/fleet.
 */
#include "daemon/fleet-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#define ADMIN_SCHEMA   "admin"
#define CONSOLE_SUFFIX "_console"
#define PASSWORD_BYTES 32
#define STATE_READY    "READY"
#define VISITS_MAX     6

void fleet_cluster_clear(FleetCluster *cluster)
{
    g_free(cluster->id);
    g_free(cluster->schema);
    g_free(cluster->state);
    *cluster = (FleetCluster){NULL, NULL, NULL};
}

Fleet *fleet_new(const char *conninfo, const char *password)
{
    Fleet *self = g_new0(Fleet, 1);

    self->conninfo = g_strdup(conninfo);
    (void)pthread_mutex_init(&self->lock, NULL); /* no attributes: cannot fail */
    self->password = g_strdup(password);
    return self;
}

void fleet_free(Fleet *self)
{
    if (self == NULL)
        return;
    g_free(self->conninfo);
    secret_free_text(self->password);
    (void)pthread_mutex_destroy(&self->lock); /* nobody has it */
    g_free(self);
}

void fleet_set_password(Fleet *self, const char *password)
{
    char *fresh = g_strdup(password), *old;

    (void)pthread_mutex_lock(&self->lock);
    old = self->password;
    self->password = fresh;
    (void)pthread_mutex_unlock(&self->lock);
    secret_free_text(old);
}

/* Returns new, for secret_free_text. */
static char *dup_password(Fleet *self)
{
    char *password;

    (void)pthread_mutex_lock(&self->lock);
    password = g_strdup(self->password);
    (void)pthread_mutex_unlock(&self->lock);
    return password;
}

void fleet_visit_clear(FleetVisit *visit)
{
    db_close(visit->db);
    if (visit->fleet != NULL)
        (void)atomic_fetch_sub(&visit->fleet->visits, 1);
}

/* statements */

static Db *open_admin(Fleet *self, GError **error)
{
    char *password = dup_password(self);
    DbTarget target = {.kind = DB_POSTGRES,
                       .conninfo = self->conninfo,
                       .password = password,
                       .schema = ADMIN_SCHEMA,
                       .migrations = SQL_FLEET_MIGRATIONS};
    GError *failure = NULL;
    Db *db = db_open(&target, &failure);

    secret_free_text(password);
    if (db == NULL && failure->code == BASE_ERROR_REFUSED)
        g_set_error(error, BASE_ERROR, BASE_ERROR_REFUSED,
                    "%s: the user of admin.database needs GRANT CREATE ON DATABASE, and what is in "
                    "schema " ADMIN_SCHEMA " must be its own",
                    failure->message);
    else if (db == NULL)
        g_propagate_error(error, g_steal_pointer(&failure));
    g_clear_error(&failure);
    return db;
}

Db *fleet_begin(Fleet *self, FleetVisit *visit, GError **error)
{
    visit->fleet = self;
    if (atomic_fetch_add(&self->visits, 1) < VISITS_MAX)
        visit->db = open_admin(self, error);
    else
        g_set_error(error, BASE_ERROR, BASE_ERROR_BUSY,
                    "%d requests about clusters are under way: try again", VISITS_MAX);
    return visit->db;
}

DbStep fleet_run(Db *db, FleetStatement statement, const char *first, const char *second,
                 GError **error)
{
    if (!db_start_text(db, FLEET_STATEMENTS[statement], error))
        return DB_FAILED;
    if (first != NULL)
        db_bind_text(db, 1, first);
    if (second != NULL)
        db_bind_text(db, 2, second);
    return db_step(db, error);
}

bool fleet_call(Db *db, FleetStatement statement, const char *first, const char *second,
                GError **error)
{
    return fleet_run(db, statement, first, second, error) != DB_FAILED;
}

static bool look_up(Db *db, FleetStatement statement, const char *value, FleetCluster *cluster,
                    GError **error)
{
    DbStep step = fleet_run(db, statement, value, NULL, error);

    fleet_cluster_clear(cluster);
    if (step == DB_DONE)
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no cluster '%s'", value);
    if (step != DB_ROW)
        return false;
    cluster->id = g_strdup(db_text(db, 0));
    cluster->schema = g_strdup(db_text(db, 1));
    cluster->state = g_strdup(db_text(db, 2));
    return true;
}

bool fleet_take(Db *db, const char *whose, FleetCluster *cluster, GError **error)
{
    g_autofree char *id = g_strdup(whose);

    if (!look_up(db, FLEET_FIND_ID, id, cluster, error))
        return false;
    if (!fleet_call(db, FLEET_LOCK, cluster->schema, NULL, error)) {
        g_prefix_error(error, "another request is about cluster '%s': ", id);
        return false;
    }
    return look_up(db, FLEET_FIND_ID, id, cluster, error); /* as it is now */
}

bool fleet_check_ready(const FleetCluster *cluster, GError **error)
{
    if (strcmp(cluster->state, STATE_READY) == 0)
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT, "cluster '%s' is %s, not %s", cluster->id,
                cluster->state, STATE_READY);
    return false;
}

/* records */

static FleetTable table_of(const char *kind)
{
    return strcmp(kind, "cluster") == 0    ? FLEET_CLUSTERS
           : strcmp(kind, "registry") == 0 ? FLEET_REGISTRIES
                                           : FLEET_ORCHESTRATORS;
}

static bool start_record(Db *db, const char *kind, FleetRecordStatement statement, GError **error)
{
    return db_start_text(db, FLEET_RECORD_STATEMENTS[table_of(kind)][statement], error);
}

static Record *read_record(Db *db, const char *kind)
{
    Record *record = record_new(kind, db_text(db, 0), db_text(db, 1), db_text(db, 2));

    record->created_us = db_number(db, 3);
    record->updated_us = db_number(db, 4);
    return record;
}

GPtrArray *fleet_list(Fleet *self, const char *kind, const char *after, uint32_t limit,
                      GError **error)
{
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    g_auto(FleetVisit) visit = {NULL, NULL};
    Db *db = fleet_begin(self, &visit, error);
    DbStep step;

    if (db == NULL || !start_record(db, kind, FLEET_RECORD_LIST, error))
        return NULL;
    db_bind_text(db, 1, after);
    db_bind_number(db, 2, limit);
    while ((step = db_step(db, error)) == DB_ROW)
        g_ptr_array_add(records, read_record(db, kind));
    return step == DB_DONE ? g_steal_pointer(&records) : NULL;
}

static Record *get_record(Db *db, const char *kind, const char *id, GError **error)
{
    DbStep step;

    if (!start_record(db, kind, FLEET_RECORD_GET, error))
        return NULL;
    db_bind_text(db, 1, id);
    step = db_step(db, error);
    if (step == DB_DONE)
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no %s '%s'", kind, id);
    return step == DB_ROW ? read_record(db, kind) : NULL;
}

Record *fleet_get(Fleet *self, const char *kind, const char *id, GError **error)
{
    g_auto(FleetVisit) visit = {NULL, NULL};
    Db *db = fleet_begin(self, &visit, error);

    return db != NULL ? get_record(db, kind, id, error) : NULL;
}

/* Of all that holds it, another record can only have the name. */
static void complain_exists(const Record *record, GError **error)
{
    g_clear_error(error);
    g_set_error(error, BASE_ERROR, BASE_ERROR_EXISTS, "name: %s '%s' is there already",
                record->kind, record->name);
}

/* DB_DONE: nothing was written. */
static DbStep write_record(Db *db, const Record *record, FleetRecordStatement statement,
                           int64_t before_us, GError **error)
{
    GError *failure = NULL;
    DbStep step = DB_FAILED;

    if (!start_record(db, record->kind, statement, error))
        return DB_FAILED;
    db_bind_text(db, 1, record->id);
    db_bind_text(db, 2, record->name);
    db_bind_text(db, 3, record->document);
    db_bind_number(db, 4, clock_wall_us());
    if (statement == FLEET_RECORD_UPDATE)
        db_bind_number(db, 5, before_us);
    step = db_step(db, &failure);
    if (failure != NULL && failure->code == BASE_ERROR_EXISTS)
        complain_exists(record, &failure);
    if (failure != NULL)
        g_propagate_error(error, failure);
    return step;
}

bool fleet_insert(Fleet *self, const Record *record, GError **error)
{
    g_auto(FleetVisit) visit = {NULL, NULL};
    Db *db = fleet_begin(self, &visit, error);
    DbStep step = db != NULL ? write_record(db, record, FLEET_RECORD_INSERT, 0, error) : DB_FAILED;

    if (step == DB_DONE)
        complain_exists(record, error);
    return step == DB_ROW;
}

static void complain_changed(const Record *record, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT, "%s '%s' was changed or removed meanwhile",
                record->kind, record->id);
}

bool fleet_update(Fleet *self, const Record *record, int64_t before_us, GError **error)
{
    g_auto(FleetVisit) visit = {NULL, NULL};
    Db *db = fleet_begin(self, &visit, error);
    DbStep step = db != NULL ? write_record(db, record, FLEET_RECORD_UPDATE, before_us, error)
                             : DB_FAILED;

    if (step == DB_DONE)
        complain_changed(record, error);
    return step == DB_ROW;
}

bool fleet_remove(Fleet *self, const Record *before, GError **error)
{
    g_auto(FleetVisit) visit = {NULL, NULL};
    Db *db = fleet_begin(self, &visit, error);
    DbStep step;

    if (db == NULL || !start_record(db, before->kind, FLEET_RECORD_REMOVE, error))
        return false;
    db_bind_text(db, 1, before->id);
    db_bind_number(db, 2, before->updated_us);
    step = db_step(db, error);
    if (step == DB_DONE)
        complain_changed(before, error);
    return step == DB_ROW;
}

/* entering a cluster */

/* Of a role: random, in letters that need no quoting anywhere. Returns new. */
static char *make_password(GError **error)
{
    unsigned char bytes[PASSWORD_BYTES];
    char *text;

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_IO, "no random bytes for a password");
        return NULL;
    }
    text = g_base64_encode(bytes, sizeof bytes);
    explicit_bzero(bytes, sizeof bytes);
    g_strdelimit(text, "+", '-');
    g_strdelimit(text, "/", '_');
    text[strcspn(text, "=")] = '\0';
    return text;
}

/* Runs a statement that takes a role's new password. */
static bool give_password(Db *db, FleetStatement statement, const char *schema, const char *role,
                          const char *password, GError **error)
{
    g_autofree char *verifier = db_make_verifier(db, role, password, error);

    return verifier != NULL && fleet_call(db, statement, schema, verifier, error);
}

Db *fleet_enter(Fleet *self, Db *db, const char *schema, bool make, GError **error)
{
    g_autofree char *user = g_strconcat(schema, CONSOLE_SUFFIX, NULL);
    char *password = make_password(error);
    DbTarget target = {.kind = DB_POSTGRES,
                       .conninfo = self->conninfo,
                       .password = password,
                       .user = user,
                       .role = schema,
                       .schema = schema,
                       .migrations = SQL_CLUSTER_MIGRATIONS};
    g_autoptr(Db) inside = NULL;

    if (password != NULL && give_password(db, FLEET_OPEN_CONSOLE, schema, user, password, error)) {
        inside = make ? db_open(&target, error) : db_open_unmigrated(&target, error);
        if (!fleet_call(db, FLEET_CLOSE_CONSOLE, schema, NULL, inside != NULL ? error : NULL))
            g_clear_pointer(&inside, db_close);
    }
    secret_free_text(password);
    return g_steal_pointer(&inside);
}

/* making */

/* The record that is to be made: a new one, or one that an earlier call began, with what is wanted now. Of two calls at once
 * either may go on with it, and the other finds it made. */
static bool begin(Db *db, const Record *wanted, FleetCluster *cluster, GError **error)
{
    g_autoptr(Record) fresh = NULL;
    DbStep step = write_record(db, wanted, FLEET_RECORD_INSERT, 0, error);

    if (step == DB_FAILED || !look_up(db, FLEET_FIND_NAME, wanted->name, cluster, error) ||
        !fleet_take(db, cluster->id, cluster, error))
        return false;
    if (strcmp(cluster->state, STATE_CREATING) != 0) {
        complain_exists(wanted, error);
        return false;
    }
    if (step == DB_ROW)
        return true;
    fresh = record_new(wanted->kind, cluster->id, wanted->name, wanted->document);
    return write_record(db, fresh, FLEET_RECORD_UPDATE, 0, error) == DB_ROW;
}

static bool make_tables(Fleet *self, Db *db, const char *schema, GError **error)
{
    g_autoptr(Db) inside = fleet_enter(self, db, schema, true, error);

    return inside != NULL;
}

static char *give_new_password(Db *db, const char *schema, GError **error)
{
    char *password = make_password(error);

    if (password != NULL && give_password(db, FLEET_GIVE_PASSWORD, schema, schema, password, error))
        return password;
    secret_free_text(password);
    return NULL;
}

Record *fleet_create(Fleet *self, const Record *wanted, char **ret_password, GError **error)
{
    g_auto(FleetVisit) visit = {NULL, NULL};
    Db *db = fleet_begin(self, &visit, error);
    g_auto(FleetCluster) cluster = {NULL, NULL, NULL};
    Record *record;
    char *password;

    if (db == NULL || !fleet_call(db, FLEET_CHECK_RIGHTS, NULL, NULL, error) ||
        !begin(db, wanted, &cluster, error) ||
        !fleet_call(db, FLEET_MAKE, cluster.schema, NULL, error) ||
        !make_tables(self, db, cluster.schema, error))
        return NULL;
    password = give_new_password(db, cluster.schema, error);
    record = password != NULL ? get_record(db, wanted->kind, cluster.id, error) : NULL;
    if (record != NULL)
        *ret_password = g_steal_pointer(&password);
    secret_free_text(password);
    return record;
}

char *fleet_renew_password(Fleet *self, const char *id, GError **error)
{
    g_auto(FleetVisit) visit = {NULL, NULL};
    Db *db = fleet_begin(self, &visit, error);
    g_auto(FleetCluster) cluster = {NULL, NULL, NULL};

    if (db == NULL || !fleet_take(db, id, &cluster, error) || !fleet_check_ready(&cluster, error))
        return NULL;
    return give_new_password(db, cluster.schema, error);
}
