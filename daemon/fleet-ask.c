/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request of the administration is left in a cluster's schema for one of its daemons, and its answer is waited for. Only
 * they know the cluster's configuration file and have its key.
 */
#include "daemon/fleet-private.h"

#include "base/clock.h"
#include "base/error.h"

#define ANSWER_US    (10 * (int64_t)USEC_PER_SEC)
#define PAUSE_MIN_US 5000
#define PAUSE_MAX_US 100000
#define FORGOTTEN_US (3600 * (int64_t)USEC_PER_SEC)

/* A connection inside a cluster that has daemons who can answer. Returns new. */
static Db *enter_alive(Fleet *self, FleetVisit *visit, const char *id, GError **error)
{
    Db *db = fleet_begin(self, visit, error);
    g_autoptr(Db) inside = NULL;
    g_auto(FleetCluster) cluster = {NULL, NULL, NULL};
    DbStep step;

    if (db == NULL || !fleet_take(db, id, &cluster, error) || !fleet_check_ready(&cluster, error) ||
        fleet_run(db, FLEET_COUNT_SESSIONS, cluster.schema, NULL, error) != DB_ROW)
        return NULL;
    if (db_number(db, 0) == 0) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_UNREACHABLE,
                    "no daemon of cluster '%s' is connected to the database", id);
        return NULL;
    }
    inside = fleet_enter(self, db, cluster.schema, false, error);
    g_clear_pointer(&visit->db, db_close); /* others may go on with it */
    step = inside != NULL ? fleet_run(inside, FLEET_HAS_INQUIRIES, NULL, NULL, error) : DB_FAILED;
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
    DbStep step = fleet_run(inside, FLEET_INQUIRY_RETRACT, id, NULL, error);

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
    g_auto(FleetVisit) visit = {NULL, NULL};
    g_autoptr(Db) inside = enter_alive(self, &visit, id, error);
    int64_t until_us = clock_now_us() + ANSWER_US, pause_us = PAUSE_MIN_US;
    DbStep step;

    if (inside == NULL || !put_inquiry(inside, inquiry, error))
        return false;
    while ((step = fleet_run(inside, FLEET_INQUIRY_ANSWER, inquiry->id, NULL, error)) == DB_DONE) {
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
