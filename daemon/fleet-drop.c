/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a cluster is dropped, in steps that are a transaction of the database each: DROPPING and no login at once; what its
 * role owns, as that role; schema, roles and record at once.
 */
#include "daemon/fleet-private.h"

#include "base/error.h"

#include <string.h>

#define STATES_OPEN    ((1u << TRANSFER_DONE) - 1)
#define STATES_FINAL   (0xFFu ^ STATES_OPEN)
#define ALL_DIRECTIONS 0xFFFF
#define AUDITS_MAX     1000 /* as the statement counts */

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
    DbStep step = fleet_run(inside, FLEET_HAS_TABLES, NULL, NULL, error);

    if (step != DB_ROW)
        return step == DB_DONE;
    if (fleet_run(inside, FLEET_COUNT_CONTENT, NULL, NULL, error) != DB_ROW)
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
    if (fleet_run(db, FLEET_COUNT_SESSIONS, schema, NULL, error) != DB_ROW)
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
        return fleet_call(db, FLEET_SHUT, schema, NULL, error);
    if (!count_use(db, inside, schema, use, error) || !may_lose(use, loss, error) ||
        !fleet_call(db, FLEET_SHUT, schema, NULL, error))
        return false;
    if (count_use(db, inside, schema, use, error) && may_lose(use, loss, error))
        return true;
    (void)fleet_call(db, FLEET_REOPEN, schema, NULL,
                     NULL); /* the first error counts; a repeat tries again */
    return false;
}

static bool empty(Db *inside, GError **error)
{
    return fleet_call(inside, FLEET_END_SESSIONS, NULL, NULL, error) &&
           fleet_call(inside, FLEET_DROP_OWNED, NULL, NULL, error);
}

/* Whether there is something that others may have used, behind a door that opens. */
static bool look_inside(Fleet *self, Db *db, const FleetCluster *cluster, Db **ret_inside,
                        GError **error)
{
    DbStep made = fleet_run(db, FLEET_IS_MADE, cluster->schema, NULL, error);

    *ret_inside = NULL;
    if (made == DB_FAILED || strcmp(cluster->state, STATE_CREATING) == 0 || made == DB_DONE)
        return made != DB_FAILED;
    *ret_inside = fleet_enter(self, db, cluster->schema, false, error);
    return *ret_inside != NULL;
}

bool fleet_drop(Fleet *self, const char *id, FleetLoss loss, FleetUse *ret_use, GError **error)
{
    g_auto(FleetVisit) visit = {NULL, NULL};
    Db *db = fleet_begin(self, &visit, error);
    g_autoptr(Db) inside = NULL;
    g_auto(FleetCluster) cluster = {NULL, NULL, NULL};

    *ret_use = (FleetUse){0, 0, 0, 0, 0, false};
    if (db == NULL || !fleet_take(db, id, &cluster, error) ||
        !look_inside(self, db, &cluster, &inside, error) ||
        !shut(db, inside, cluster.schema, loss, ret_use, error) ||
        (inside != NULL && !empty(inside, error)))
        return false;
    g_clear_pointer(&inside, db_close);
    return fleet_call(db, FLEET_DROP, cluster.schema, NULL, error);
}
