/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What favourites and schedules have in common: a transfer that is wanted, as fields of a document, and how it is made, by the
 * same handlers that requests about transfers have; and documents that are read, changed and kept with a version. Private to
 * admin/.
 */
#pragma once

#include "admin/draft.h"
#include "daemon/store-schedule.h"

#define PLAN_PAGE_MAX 1000

typedef struct {
    const char *partner, *path;
    const char *filename; /* of this machine, sent; or NULL */
    int64_t replay_of;    /* the transfer whose bytes are sent; 0: none */
    bool sends;
} Plan;

/* fields */

typedef enum {
    FIELD_TEXT,
    FIELD_NUMBER, /* min to max */
    FIELD_BOOL,
    FIELD_WORD, /* one of words */
    FIELD_TIME, /* "08:30" */
    FIELD_LIST, /* of texts or numbers; whoever reads it checks it */
} PlanFieldKind;

typedef struct {
    const char *name;
    PlanFieldKind kind;
    int64_t min, max;
    const char *words;
    const char *
            aliases; /* blanks between; those of texts, the first that is there counts, before the name */
} PlanField;

/* The body, strict: each field of its kind and under its own name, those without effect taken away and named in ret_ignored (JSON,
 * or NULL; new). fields: ended by a NULL name. NULL: answered. Returns new. */
Json *plan_read_body(Request *request, const PlanField *fields, char **ret_ignored);
/* Puts what a body says over a document: null takes a field away. */
void plan_merge(Json *document, Json *body, const PlanField *fields);
/* Needs a name. INVALID. */
bool plan_check_name(const Json *document, const char **ret_name, GError **error);

/* the transfer */

/* What both have: partnerId, direction, path, filename, replayOf. */
/* clang-format off */
#define PLAN_FIELDS                                                                                                 \
    { "name", FIELD_TEXT, 0, 0, NULL, NULL }, { "description", FIELD_TEXT, 0, 0, NULL, NULL },                      \
    { "partnerId", FIELD_TEXT, 0, 0, NULL, "partner server serverId" },                                             \
    { "direction", FIELD_WORD, 0, 0, "SEND RECEIVE", NULL },                                                        \
    { "path", FIELD_TEXT, 0, 0, NULL, "path virtualFile remoteFilename" },                                          \
    { "filename", FIELD_TEXT, 0, 0, NULL, "filename localPath" }, { "replayOf", FIELD_NUMBER, 1, INT64_MAX, NULL, NULL }
/* clang-format on */
/* Fills what a transfer that is sent again says by itself. False: answered. */
bool plan_complete(Request *request, Json *document);
/* Borrowed from the document. INVALID. */
bool plan_read(const Json *document, Plan *ret_plan, GError **error);
/* Makes the transfer for who asks. Answered: with the transfer as it is, or the problem that says why not, and then 0. */
int64_t plan_execute(Request *request, const Plan *plan);

/* documents: records whose version counts their changes */

/* The record of an id, or of a name, with its document; NULL: answered. Both new. */
Record *plan_document_get(Request *request, const char *kind, const char *id, Json **ret_document);
/* False: answered. document: gets its version. */
bool plan_document_insert(Request *request, Record *record, Json *document);
bool plan_document_update(Request *request, Record *record, Json *document);
bool plan_document_remove(Request *request, const Record *record);
int64_t plan_document_version(const Json *document);
/* Tells who listens to events what was done to a thing. what: "favorite", "schedule", "calendar". */
void plan_tell(Request *request, const char *what, const char *id, const char *name,
               const char *change);

/* schedules.c */

/* False: answered; visit answers too when it says no. */
typedef bool (*ScheduleVisitor)(Request *request, const Schedule *schedule, const Json *document,
                                gpointer data);
bool schedules_each(Request *request, ScheduleVisitor visit, gpointer data);
/* Whether no schedule names this id in a field; false: answered with the first that does. how: "uses it". */
bool schedules_check_unused(Request *request, const char *field, const char *id, const char *how);
