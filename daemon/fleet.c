/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps, each a transaction of the database. Made: record (CREATING); roles and schema; the tables, as the cluster's
 * role; password and READY at once. Dropped: DROPPING and no login at once; what the role owns; schema, roles and record
 * at once. What is in a cluster's schema is only ever touched as its role, see sql/fleet.
 */
#include "daemon/fleet.h"

#include "base/clock.h"
#include "base/error.h"
#include "sql/db.h"
#include "sql/fleet.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#define ADMIN_SCHEMA   "admin"
#define CONSOLE_SUFFIX "_console"
#define PASSWORD_BYTES 32
#define STATE_CREATING "CREATING"
#define STATE_READY    "READY"
#define STATES_OPEN    ((1u << TRANSFER_DONE) - 1)
#define STATES_FINAL   (0xFFu ^ STATES_OPEN)
#define ALL_DIRECTIONS 0xFFFF
#define VISITS_MAX     6
#define AUDITS_MAX     1000 /* as the statement counts */
#define ANSWER_US      (10 * (int64_t)USEC_PER_SEC)
#define PAUSE_MIN_US   5000
#define PAUSE_MAX_US   100000
#define FORGOTTEN_US   (3600 * (int64_t)USEC_PER_SEC)

struct Fleet {
    char *conninfo, *password;
    _Atomic unsigned visits;
};

/* A call: its connection to the schema admin, which may be closed before it ends. */
typedef struct {
    Fleet *fleet; /* NULL: not begun */
    Db *db;
} Visit;

typedef struct {
    char *id, *schema, *state;
} Cluster;

static void cluster_clear(Cluster *cluster)
{
    g_free(cluster->id);
    g_free(cluster->schema);
    g_free(cluster->state);
    *cluster = (Cluster){NULL, NULL, NULL};
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Cluster, cluster_clear)

Fleet *fleet_new(const char *conninfo, const char *password)
{
    Fleet *self = g_new0(Fleet, 1);

    self->conninfo = g_strdup(conninfo);
    self->password = g_strdup(password);
    return self;
}

void fleet_wipe(char *password)
{
    if (password != NULL)
        explicit_bzero(password, strlen(password));
    g_free(password);
}

void fleet_free(Fleet *self)
{
    if (self == NULL)
        return;
    g_free(self->conninfo);
    fleet_wipe(self->password);
    g_free(self);
}

static void visit_clear(Visit *visit)
{
    db_close(visit->db);
    if (visit->fleet != NULL)
        (void)atomic_fetch_sub(&visit->fleet->visits, 1);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Visit, visit_clear)

/* statements */

static Db *open_admin(const Fleet *self, GError **error)
{
    DbTarget target = {.kind = DB_POSTGRES,
                       .conninfo = self->conninfo,
                       .password = self->password,
                       .schema = ADMIN_SCHEMA,
                       .migrations = SQL_FLEET_MIGRATIONS};
    GError *failure = NULL;
    Db *db = db_open(&target, &failure);

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

/* A database that does not answer keeps few of the threads that call. NULL: error. The visit has the connection. */
static Db *begin_visit(Fleet *self, Visit *visit, GError **error)
{
    visit->fleet = self;
    if (atomic_fetch_add(&self->visits, 1) < VISITS_MAX)
        visit->db = open_admin(self, error);
    else
        g_set_error(error, BASE_ERROR, BASE_ERROR_BUSY,
                    "%d requests about clusters are under way: try again", VISITS_MAX);
    return visit->db;
}

/* Runs a text up to its first row. second: NULL: there is none. */
static DbStep run(Db *db, FleetStatement statement, const char *first, const char *second,
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

static bool call(Db *db, FleetStatement statement, const char *first, const char *second,
                 GError **error)
{
    return run(db, statement, first, second, error) != DB_FAILED;
}

static bool look_up(Db *db, FleetStatement statement, const char *value, Cluster *cluster,
                    GError **error)
{
    DbStep step = run(db, statement, value, NULL, error);

    cluster_clear(cluster);
    if (step == DB_DONE)
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no cluster '%s'", value);
    if (step != DB_ROW)
        return false;
    cluster->id = g_strdup(db_text(db, 0));
    cluster->schema = g_strdup(db_text(db, 1));
    cluster->state = g_strdup(db_text(db, 2));
    return true;
}

/* Nobody else does anything with it while this connection is open. id: may be the cluster's own. */
static bool take(Db *db, const char *whose, Cluster *cluster, GError **error)
{
    g_autofree char *id = g_strdup(whose);

    if (!look_up(db, FLEET_FIND_ID, id, cluster, error))
        return false;
    if (!call(db, FLEET_LOCK, cluster->schema, NULL, error)) {
        g_prefix_error(error, "another request is about cluster '%s': ", id);
        return false;
    }
    return look_up(db, FLEET_FIND_ID, id, cluster, error); /* as it is now */
}

static bool check_ready(const Cluster *cluster, GError **error)
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
    g_auto(Visit) visit = {NULL, NULL};
    Db *db = begin_visit(self, &visit, error);
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
    g_auto(Visit) visit = {NULL, NULL};
    Db *db = begin_visit(self, &visit, error);

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
                           GError **error)
{
    GError *failure = NULL;
    DbStep step = DB_FAILED;

    if (!start_record(db, record->kind, statement, error))
        return DB_FAILED;
    db_bind_text(db, 1, record->id);
    db_bind_text(db, 2, record->name);
    db_bind_text(db, 3, record->document);
    db_bind_number(db, 4, clock_wall_us());
    step = db_step(db, &failure);
    if (failure != NULL && failure->code == BASE_ERROR_EXISTS)
        complain_exists(record, &failure);
    if (failure != NULL)
        g_propagate_error(error, failure);
    return step;
}

bool fleet_insert(Fleet *self, const Record *record, GError **error)
{
    g_auto(Visit) visit = {NULL, NULL};
    Db *db = begin_visit(self, &visit, error);
    DbStep step = db != NULL ? write_record(db, record, FLEET_RECORD_INSERT, error) : DB_FAILED;

    if (step == DB_DONE)
        complain_exists(record, error);
    return step == DB_ROW;
}

bool fleet_update(Fleet *self, const Record *record, GError **error)
{
    g_auto(Visit) visit = {NULL, NULL};
    Db *db = begin_visit(self, &visit, error);
    DbStep step = db != NULL ? write_record(db, record, FLEET_RECORD_UPDATE, error) : DB_FAILED;

    if (step == DB_DONE)
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no %s '%s'", record->kind,
                    record->id);
    return step == DB_ROW;
}

bool fleet_remove(Fleet *self, const char *kind, const char *id, GError **error)
{
    g_auto(Visit) visit = {NULL, NULL};
    Db *db = begin_visit(self, &visit, error);
    DbStep step;

    if (db == NULL || !start_record(db, kind, FLEET_RECORD_REMOVE, error))
        return false;
    db_bind_text(db, 1, id);
    step = db_step(db, error);
    if (step == DB_DONE)
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no %s '%s'", kind, id);
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

    return verifier != NULL && call(db, statement, schema, verifier, error);
}

/* A connection inside a cluster that is taken, with the rights of its role. make: its tables too. Returns new. */
static Db *enter(Fleet *self, Db *db, const char *schema, bool make, GError **error)
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
        if (!call(db, FLEET_CLOSE_CONSOLE, schema, NULL, inside != NULL ? error : NULL))
            g_clear_pointer(&inside, db_close);
    }
    fleet_wipe(password);
    return g_steal_pointer(&inside);
}

/* making */

/* The record that is to be made: a new one, or one that an earlier call began, with what is wanted now. Of two calls at once
 * either may go on with it, and the other finds it made. */
static bool begin(Db *db, const Record *wanted, Cluster *cluster, GError **error)
{
    g_autoptr(Record) fresh = NULL;
    DbStep step = write_record(db, wanted, FLEET_RECORD_INSERT, error);

    if (step == DB_FAILED || !look_up(db, FLEET_FIND_NAME, wanted->name, cluster, error) ||
        !take(db, cluster->id, cluster, error))
        return false;
    if (strcmp(cluster->state, STATE_CREATING) != 0) {
        complain_exists(wanted, error);
        return false;
    }
    if (step == DB_ROW)
        return true;
    fresh = record_new(wanted->kind, cluster->id, wanted->name, wanted->document);
    return write_record(db, fresh, FLEET_RECORD_UPDATE, error) == DB_ROW;
}

static bool make_tables(Fleet *self, Db *db, const char *schema, GError **error)
{
    g_autoptr(Db) inside = enter(self, db, schema, true, error);

    return inside != NULL;
}

static char *give_new_password(Db *db, const char *schema, GError **error)
{
    char *password = make_password(error);

    if (password != NULL && give_password(db, FLEET_GIVE_PASSWORD, schema, schema, password, error))
        return password;
    fleet_wipe(password);
    return NULL;
}

Record *fleet_create(Fleet *self, const Record *wanted, char **ret_password, GError **error)
{
    g_auto(Visit) visit = {NULL, NULL};
    Db *db = begin_visit(self, &visit, error);
    g_auto(Cluster) cluster = {NULL, NULL, NULL};
    Record *record;
    char *password;

    if (db == NULL || !call(db, FLEET_CHECK_RIGHTS, NULL, NULL, error) ||
        !begin(db, wanted, &cluster, error) || !call(db, FLEET_MAKE, cluster.schema, NULL, error) ||
        !make_tables(self, db, cluster.schema, error))
        return NULL;
    password = give_new_password(db, cluster.schema, error);
    record = password != NULL ? get_record(db, wanted->kind, cluster.id, error) : NULL;
    if (record != NULL)
        *ret_password = g_steal_pointer(&password);
    fleet_wipe(password);
    return record;
}

char *fleet_renew_password(Fleet *self, const char *id, GError **error)
{
    g_auto(Visit) visit = {NULL, NULL};
    Db *db = begin_visit(self, &visit, error);
    g_auto(Cluster) cluster = {NULL, NULL, NULL};

    if (db == NULL || !take(db, id, &cluster, error) || !check_ready(&cluster, error))
        return NULL;
    return give_new_password(db, cluster.schema, error);
}

/* asking */

/* A connection inside a cluster that has daemons who can answer. Returns new. */
static Db *enter_alive(Fleet *self, Visit *visit, const char *id, GError **error)
{
    Db *db = begin_visit(self, visit, error);
    g_autoptr(Db) inside = NULL;
    g_auto(Cluster) cluster = {NULL, NULL, NULL};
    DbStep step;

    if (db == NULL || !take(db, id, &cluster, error) || !check_ready(&cluster, error) ||
        run(db, FLEET_COUNT_SESSIONS, cluster.schema, NULL, error) != DB_ROW)
        return NULL;
    if (db_number(db, 0) == 0) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_UNREACHABLE,
                    "no daemon of cluster '%s' is connected to the database", id);
        return NULL;
    }
    inside = enter(self, db, cluster.schema, false, error);
    g_clear_pointer(&visit->db, db_close); /* others may go on with it */
    step = inside != NULL ? run(inside, FLEET_HAS_INQUIRIES, NULL, NULL, error) : DB_FAILED;
    if (step == DB_DONE)
        g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT,
                    "the daemons of cluster '%s' are of an older version", id);
    return step == DB_ROW ? g_steal_pointer(&inside) : NULL;
}

static bool put_inquiry(Db *inside, const Inquiry *inquiry, GError **error)
{
    if (!db_start_text(inside, FLEET_STATEMENTS[FLEET_INQUIRE], error))
        return false;
    db_bind_text(inside, 1, inquiry->id);
    db_bind_number(inside, 2, clock_wall_us());
    db_bind_text(inside, 3, inquiry->actor);
    db_bind_text(inside, 4, inquiry->method);
    db_bind_text(inside, 5, inquiry->path);
    db_bind_text(inside, 6, inquiry->body);
    db_bind_text(inside, 7, inquiry->if_match);
    return db_step(inside, error) != DB_FAILED;
}

/* What was asked goes, and what others left behind. */
static void forget_inquiry(Db *inside, const char *id)
{
    if (!db_start_text(inside, FLEET_STATEMENTS[FLEET_INQUIRY_FORGET], NULL))
        return;
    db_bind_text(inside, 1, id);
    db_bind_number(inside, 2, clock_wall_us() - FORGOTTEN_US);
    (void)db_step(inside, NULL); /* the next one does it */
}

static bool give_up(Db *inside, const char *id, GError **error)
{
    DbStep step = run(inside, FLEET_INQUIRY_RETRACT, id, NULL, error);

    if (step == DB_ROW)
        g_set_error(error, BASE_ERROR, BASE_ERROR_UNREACHABLE,
                    "no daemon of the cluster took the request: nothing was done");
    else if (step == DB_DONE)
        g_set_error(error, BASE_ERROR, BASE_ERROR_TIMEOUT,
                    "the daemon that took the request did not answer: it may have done it");
    return false;
}

bool fleet_ask(Fleet *self, const char *id, const Inquiry *inquiry, unsigned *ret_status,
               char **ret_answer, GError **error)
{
    g_auto(Visit) visit = {NULL, NULL};
    g_autoptr(Db) inside = enter_alive(self, &visit, id, error);
    int64_t until_us = clock_now_us() + ANSWER_US, pause_us = PAUSE_MIN_US;
    DbStep step;

    if (inside == NULL || !put_inquiry(inside, inquiry, error))
        return false;
    while ((step = run(inside, FLEET_INQUIRY_ANSWER, inquiry->id, NULL, error)) == DB_DONE) {
        if (clock_now_us() >= until_us)
            return give_up(inside, inquiry->id, error);
        g_usleep((gulong)pause_us);
        pause_us = MIN(pause_us * 2, PAUSE_MAX_US);
    }
    if (step != DB_ROW)
        return false;
    *ret_status = (unsigned)CLAMP(db_number(inside, 0), 200, 599);
    *ret_answer = g_strdup(db_text(inside, 1));
    forget_inquiry(inside, inquiry->id);
    return true;
}

/* dropping */

static bool tally(Db *inside, unsigned states, uint64_t *ret_count, GError **error)
{
    if (!db_start(inside, SQL_TRANSFER_TALLY, error))
        return false;
    db_bind_number(inside, 1, states);
    db_bind_number(inside, 2, ALL_DIRECTIONS);
    if (db_step(inside, error) != DB_ROW)
        return false;
    *ret_count = (uint64_t)db_number(inside, 0);
    return true;
}

/* Of the tables, if they are there. */
static bool count_content(Db *inside, FleetUse *use, GError **error)
{
    DbStep step = run(inside, FLEET_HAS_TABLES, NULL, NULL, error);

    if (step != DB_ROW)
        return step == DB_DONE;
    if (run(inside, FLEET_COUNT_CONTENT, NULL, NULL, error) != DB_ROW)
        return false;
    use->definitions = (uint64_t)db_number(inside, 0);
    use->audits = (uint64_t)db_number(inside, 1);
    return tally(inside, STATES_OPEN, &use->unfinished, error) &&
           tally(inside, STATES_FINAL, &use->ended, error);
}

/* inside: NULL: there is nothing to look into. */
static bool count_use(Db *db, Db *inside, const char *schema, FleetUse *use, GError **error)
{
    GError *failure = NULL;

    *use = (FleetUse){0, 0, 0, 0, 0, false};
    if (run(db, FLEET_COUNT_SESSIONS, schema, NULL, error) != DB_ROW)
        return false;
    use->sessions = (uint64_t)db_number(db, 0);
    if (inside == NULL || count_content(inside, use, &failure))
        return true;
    use->obscure = !store_is_away(failure);
    if (use->obscure)
        g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT,
                    "a schema that is not as it was made: %s", failure->message);
    else
        g_propagate_error(error, g_steal_pointer(&failure));
    g_clear_error(&failure);
    return false;
}

static bool may_lose(const FleetUse *use, FleetLoss loss, GError **error)
{
    bool used = use->sessions > 0 || use->unfinished > 0;
    bool filled = use->ended > 0 || use->definitions > 0 || use->audits > 0;

    if (!used && (loss == FLEET_LOSE_CONTENT || !filled))
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT,
                "%" G_GUINT64_FORMAT " connections of its daemons, %" G_GUINT64_FORMAT
                " unfinished transfers, %" G_GUINT64_FORMAT " ended ones, %" G_GUINT64_FORMAT
                " definitions, %" G_GUINT64_FORMAT "%s rows of its audit trail",
                use->sessions, use->unfinished, use->ended, use->definitions, use->audits,
                use->audits >= AUDITS_MAX ? " or more" : "");
    return false;
}

/* Daemons that came in between the first look and the closed door are seen by the second. Who may lose all need not
 * look: what is in a schema cannot prevent its end. */
static bool shut(Db *db, Db *inside, const char *schema, FleetLoss loss, FleetUse *use,
                 GError **error)
{
    if (loss == FLEET_LOSE_ALL)
        return call(db, FLEET_SHUT, schema, NULL, error);
    if (!count_use(db, inside, schema, use, error) || !may_lose(use, loss, error) ||
        !call(db, FLEET_SHUT, schema, NULL, error))
        return false;
    if (count_use(db, inside, schema, use, error) && may_lose(use, loss, error))
        return true;
    (void)call(db, FLEET_REOPEN, schema, NULL,
               NULL); /* the first error counts; a repeat tries again */
    return false;
}

static bool empty(Db *inside, GError **error)
{
    return call(inside, FLEET_END_SESSIONS, NULL, NULL, error) &&
           call(inside, FLEET_DROP_OWNED, NULL, NULL, error);
}

/* Whether there is something that others may have used, behind a door that opens. */
static bool look_inside(Fleet *self, Db *db, const Cluster *cluster, Db **ret_inside,
                        GError **error)
{
    DbStep made = run(db, FLEET_IS_MADE, cluster->schema, NULL, error);

    *ret_inside = NULL;
    if (made == DB_FAILED || strcmp(cluster->state, STATE_CREATING) == 0 || made == DB_DONE)
        return made != DB_FAILED;
    *ret_inside = enter(self, db, cluster->schema, false, error);
    return *ret_inside != NULL;
}

bool fleet_drop(Fleet *self, const char *id, FleetLoss loss, FleetUse *ret_use, GError **error)
{
    g_auto(Visit) visit = {NULL, NULL};
    Db *db = begin_visit(self, &visit, error);
    g_autoptr(Db) inside = NULL;
    g_auto(Cluster) cluster = {NULL, NULL, NULL};

    *ret_use = (FleetUse){0, 0, 0, 0, 0, false};
    if (db == NULL || !take(db, id, &cluster, error) ||
        !look_inside(self, db, &cluster, &inside, error) ||
        !shut(db, inside, cluster.schema, loss, ret_use, error) ||
        (inside != NULL && !empty(inside, error)))
        return false;
    g_clear_pointer(&inside, db_close);
    return call(db, FLEET_DROP, cluster.schema, NULL, error);
}
