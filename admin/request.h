/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its answer, apart from HTTP. A handler reads the request and fills the answer; it runs on a worker
 * thread and may wait for the store and the daemon. Private to admin/.
 */
#pragma once

#include "admin/admin.h"
#include "admin/json.h"

#include "base/error.h"

#define REQUEST_PARAMETERS_MAX 3
#define REQUEST_BODY_MAX       (64u * 1024u)

/* Each may do what those before it may. A partner sees its own transfers only. */
typedef enum { ROLE_PUBLIC, ROLE_PARTNER, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN } Role;

typedef struct {
    Role role;
    char *name;    /* "key:NAME", "user:NAME", "certificate:NAME", "uid:N" */
    char *partner; /* ROLE_PARTNER: whose transfers */
} Identity;

typedef struct Request Request;
typedef struct Upload Upload;
typedef struct Form Form;

typedef enum {
    BODY_NONE,
    BODY_JSON,   /* optional where the handler does not ask for it */
    BODY_FORM,   /* a small form in any of its encodings, or JSON; see form.h */
    BODY_UPLOAD, /* multipart/form-data or the bytes themselves, straight into the spool */
} BodyKind;

typedef struct {
    const char *method, *path;
    unsigned families;
    Role role;
    BodyKind body;
    void (*handler)(Request *request);
    const char *operation; /* operationId of openapi.yaml; aliases share it */
    const char *summary;
    bool (*at_once)(
            Request *
                    request); /* public routes only: answers when nothing has to be waited for; or NULL */
} Route;

/* Which field the daemon means, by how its complaint begins; the last one begins with "". */
typedef struct {
    const char *begin;
    const char *field;
} Suspect;

struct Request {
    Admin *admin;
    const Route *route;
    char *method, *path;
    char *parameters[REQUEST_PARAMETERS_MAX]; /* of the path, decoded */
    GHashTable *query;                        /* char * → char * */
    char *query_fault;                        /* a parameter that cannot be taken, or NULL */
    char *authorization, *content_type, *range, *if_match, *if_none_match, *if_range;
    char *last_event_id, *idempotency_key;
    char *address, *certificate;
    unsigned families;
    GString *body;
    Upload *upload; /* BODY_UPLOAD */
    Form *form;     /* BODY_FORM */
    Identity identity;
    bool authenticated;
    GHashTable *fields; /* what problems name → what the caller wrote; borrowed, NULL: the same */
    const Suspect *suspects; /* borrowed, or NULL */
    char *change;            /* for the audit: an object of JSON without its end, or NULL */
    char *correlation;       /* what is made is called so, or NULL */
    bool doubtful;           /* the daemon was asked, and nobody knows whether it did it */
    /* the answer */
    unsigned status;
    GString *answer;
    const char *type;
    GPtrArray *headers; /* char *: name, value, … */
    int file_fd;        /* or -1: the answer is a piece of this file */
    uint64_t file_offset, file_length;
    bool events; /* the answer is the stream of events */
};

Request *request_new(Admin *admin, const char *method, const char *path);
void request_free(Request *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Request, request_free)

/* Authenticates, checks the role, runs the handler, writes the audit row of what changes. Worker thread. */
void request_run(Request *self);
/* Authenticates and checks the role; false: the answer says why not. Worker thread. */
bool request_authorize(Request *self);

/* reading */

/* Adds a query parameter as it came. value: NULL: it has none. */
void request_take_query(Request *self, const char *name, const char *value);
/* Value of a query parameter, NULL when missing. Borrowed. */
const char *request_query(const Request *self, const char *name);
/* A number in a range, fallback when missing; false: answered. */
bool request_query_number(Request *self, const char *name, int64_t min, int64_t max,
                          int64_t *value);
/* The same of any text that stands for a number; NULL: missing. */
bool request_number(Request *self, const char *name, const char *text, int64_t min, int64_t max,
                    int64_t *value);
/* A day or a time as wall time, under either name; missing: unchanged; false: answered. */
bool request_query_time(Request *self, const char *name, const char *alias, int64_t *ret_us);
/* Body as an object; NULL: answered. names: of the fields allowed, ended by NULL; or NULL. Returns new. */
Json *request_read_json(Request *self, const char *const *names);
/* The text of the first of the names that has one, borrowed from json; ret_name: which, or the first. None: ret_text stays.
 * False: answered. */
bool request_read_text(Request *self, const Json *json, const char *const *names,
                       const char **ret_name, const char **ret_text);

/* Whether a list of entity tags names one, or is "*". etag: NULL: it has none. */
bool request_names_etag(const char *list, const char *etag);

/* The fields that name a partner, and a path of its, ended by NULL. Of PeSIT Wizard's server says who is called, and
 * partnerId who calls: us, beside a server. */
extern const char *const REQUEST_PARTNER[];
extern const char *const REQUEST_PATH[];
/* What is made from here on is called so; false: answered. */
bool request_set_correlation(Request *self, const char *text);

/* answering */

/* An answer of JSON: the caller writes into the string. */
GString *request_answer(Request *self, unsigned status);
void request_add_header(Request *self, const char *name, const char *value);
/* Adds the names of fields without effect, as JSON, to an answer that is an object. ignored: NULL: none are. */
void request_note_ignored(Request *self, const char *ignored);
/* For the audit row: what was changed, as it was before and is after. JSON without secrets, NULL or "": was not, or is
 * not, there. */
void request_note_change(Request *self, const char *before, const char *after);
/* problem.c: application/problem+json. field: the culprit, or NULL. */
void request_problem(Request *self, unsigned status, const char *type, const char *field,
                     const char *format, ...) G_GNUC_PRINTF(5, 6);
/* By the table of problem.c. A text "FIELD: …" of an INVALID error names its field. */
void request_fail(Request *self, const GError *error);

/* the daemon and the store */

/* Asks a method of the local door. parameters: floating. NULL: answered. Returns new. */
DoorAnswer *request_ask(Request *self, const char *method, GVariant *parameters);
/* What a dictionary of the local door says of a key: s, b, x, u. Nothing: NULL, false, 0. Texts are borrowed. */
const char *value_text(GVariant *values, const char *key);
bool value_flag(GVariant *values, const char *key);
int64_t value_number(GVariant *values, const char *key);
uint32_t value_count(GVariant *values, const char *key);
/* Runs a request of the store, as store_execute, but not for ever: TIMEOUT. */
StoreResult *request_execute(Request *self, StoreRequest *request);
/* Runs a request of the store. request: taken. NULL: answered with its error. Returns new. */
StoreResult *request_store(Request *self, StoreRequest *request);
