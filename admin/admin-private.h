/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of admin/ share. Private. */
#pragma once

#include "admin/request.h"

typedef struct Audit Audit;
typedef struct Events Events;
typedef struct Server Server;

typedef struct Health Health;
typedef struct Logins Logins;
struct Admin {
    AdminHost host;
    GRWLock folders_lock;
    GPtrArray *folders; /* char *: whose files may be sent by their path */
    GThreadPool *workers;
    GThreadPool *hashers; /* few: a password costs memory */
    GThreadPool *doctors; /* of health only: workers may all wait for a store that hangs */
    Audit *audit;
    Events *events;
    Health *health;
    Logins *logins;
    Server *server;
    guint ping, expiry, progress, sweep; /* sources */
    GHashTable *moved;                   /* int64_t id → int64_t bytes that were told */
    int64_t started_us;                  /* wall */
    _Atomic bool stopping;
    _Atomic unsigned active; /* jobs of workers, waiting ones too */
};

#define PARTNERS_PATH "/api/v1/config/partners"
#define FILES_PATH    "/api/v1/config/files"

/* A job for a worker. work: is called once. */
typedef struct {
    void (*work)(gpointer data);
    gpointer data;
    _Atomic bool given; /* what was written before it is seen after it */
} Job;
/* False: the administration ends. */
bool admin_push(Admin *self, void (*work)(gpointer data), gpointer data);
/* What is asked of our health: never behind anything else. */
bool admin_push_health(Admin *self, void (*work)(gpointer data), gpointer data);

/* routes.c */

extern const Route ROUTES[]; /* ended by a NULL method */
/* Sets route and parameters, those of the path that says most. False: answered (404, 405 with Allow, or what
 * OPTIONS asks). */
bool routes_match(Request *request);
/* Names of the query parameters that an operation knows, with a blank between them. */
const char *routes_query(const char *operation);
const char *role_name(Role role);
bool role_parse(const char *text, Role *ret_role);

/* auth.c */

/* Makes the first key; then checks what callers show. */
bool auth_start(Admin *self, GError **error);
/* Fills the identity; false: answered with 401. */
bool auth_identify(Request *request);
void auth_show_me(Request *request);
/* A new key, 256 random bits. Returns new. */
char *auth_make_key(void);
/* SHA-256 in hex: the verifier of a key. Returns new. */
char *auth_dup_digest(const char *text);
/* A verifier of a password: Argon2id; waits for its turn. NULL: no memory. Returns new. */
char *auth_make_verifier(Admin *admin, const char *password);

/* credentials.c: keys and users */

#define CREDENTIAL_ID_LENGTH    16
#define CREDENTIAL_PASSWORD_MAX 256

void credentials_list_keys(Request *request);
void credentials_list_active_keys(Request *request);
void credentials_create_key(Request *request);
void credentials_regenerate_key(Request *request);
void credentials_show_key(Request *request);
void credentials_update_key(Request *request);
void credentials_remove_key(Request *request);
void credentials_list_users(Request *request);
void credentials_create_user(Request *request);
void credentials_show_user(Request *request);
void credentials_update_user(Request *request);
void credentials_remove_user(Request *request);

/* logins.c: lock-outs */

Logins *logins_new(void);
void logins_free(Logins *self);
/* Whether what a request shows is looked at. False: answered with 429. Any thread. */
bool logins_admit(Request *request);
/* What it showed is good, or not. False: answered; with 429 either way when others have meanwhile failed too often. Any
 * thread. */
bool logins_count(Request *request, bool good);

/* audit.c */

Audit *audit_new(Store *store, GError **error);
void audit_free(Audit *self);
/* Who did what to which thing, from where. detail: JSON. Borrowed. */
typedef struct {
    const char *actor, *address, *action, *object, *detail;
} AuditAct;
typedef void (*AuditDone)(gpointer data);
/* Durable when it returns true. TIMEOUT: the store is away, and gets it when it is back. Worker thread. */
bool audit_append(Audit *self, const AuditAct *act, GError **error);
/* on_done, or NULL: as of admin_take_act. Any thread. */
void audit_post(Audit *self, const AuditAct *act, AuditDone on_done, gpointer data);
/* A transfer has ended, and the store says that its row is due: it is written soon, together with others. Any thread. */
void audit_note_end(Audit *self);
/* How long rows are kept; 0: for ever. Any thread. */
void audit_set_kept(Audit *self, uint32_t kept_s);
#define AUDIT_PRUNE                                                                                \
    "Prune" /* of the row that says that older ones are removed: seq and hash of the last */
/* Of a row's number, fields and the hash before it. Returns new. Any thread. */
char *audit_dup_hash(const AuditEntry *entry);

/* intents.c */

/* Before something is changed. action: as the audit trail will call it. NULL: the store does not take it now. Returns new, its
 * id. Worker thread. */
char *intent_note(Request *request, const char *action);
/* What the row of the audit trail says in "request". Borrowed from id. */
const char *intent_number(const char *id);
/* The trail has it. */
void intent_forget(Admin *admin, const char *id);
/* At the start: what was left behind gets its row. Main thread. */
bool intents_settle(Admin *admin, GError **error);

/* audit-trail.c */

void audit_list(Request *request);
void audit_list_recent(Request *request);
void audit_list_failures(Request *request);
void audit_list_category(Request *request);
void audit_list_security(Request *request);
void audit_list_transfers(Request *request);
void audit_list_user(Request *request);
void audit_list_partner(Request *request);
void audit_statistics(Request *request);
void audit_verify(Request *request);

/* events.c */

typedef struct Feed Feed;
Events *events_new(void);
void events_free(Events *self);
void events_publish(Events *self, const char *partner, const char *name, const char *data);
/* Whoever reads a feed. Both are called with a lock held and must not wait: sleep when there is nothing, from within
 * feed_read; wake once after it, when there may be something. */
typedef struct {
    void (*sleep)(gpointer data);
    void (*wake)(gpointer data);
    gpointer data;
} FeedOwner;
/* after: id of the last event seen, 0: only new ones. partner: only of this one, NULL: all. NULL: too many.
 * Returns new. */
Feed *feed_new(Events *events, uint64_t after, const char *partner, const FeedOwner *owner);
void feed_free(Feed *self);
/* Copies what is there, at most capacity; 0: nothing now; -1: over. */
ssize_t feed_read(Feed *self, char *buffer, size_t capacity);
void events_stop(Events *self);
/* Somebody hears them. */
bool events_are_read(Events *self);
/* texts: partner, "" for all → GBytes of whole events without number. */
void events_tell_progress(Events *self, GHashTable *texts);
/* All feeds get a comment, so that dead ones are found. */
void events_ping(Events *self);
void events_open(Request *request);

/* health.c */

Health *health_new(void);
void health_free(Health *self);

void health_live(Request *request);
bool health_live_at_once(Request *request);
void health_ready(Request *request);
/* From what was found a moment ago. False: there is none, a worker has to look. */
bool health_ready_at_once(Request *request);
void health_all(Request *request);
void health_metrics(Request *request);
void health_info(Request *request);

/* openapi.c: the contract, embedded */

void openapi_show(Request *request);

/* transfers.c */

/* stored: its row, for what the door does not tell; or NULL. */
void transfer_write(GString *out, const char *key, GVariant *transfer, const Transfer *stored);
void transfer_write_stored(GString *out, const char *key, const Transfer *t);
void transfers_list(Request *request);
void transfers_list_active(Request *request);
void transfers_list_status(Request *request);
void transfers_list_partner(Request *request);
void transfers_list_retryable(Request *request);
void transfers_list_correlated(Request *request);
void transfers_list_session(Request *request);
void transfers_list_active_server(Request *request);
void transfers_statistics(Request *request);
void transfers_list_days(Request *request);

/* transfer-verbs.c */

/* The transfer as it is now; what another partner's is not there. NULL: answered. Returns new. */
GVariant *transfer_get(Request *request, int64_t *ret_id);
void transfer_answer(Request *request, unsigned status, int64_t id, GVariant *described);
/* For the audit: how it stood, and stands. */
void transfer_note_order(Request *request, GVariant *before, GVariant *after);
void transfers_show(Request *request);
void transfers_list_retries(Request *request);
void transfers_cancel(Request *request);
void transfers_retry(Request *request);
void transfers_hold(Request *request);
void transfers_release(Request *request);
void transfers_download(Request *request);
/* Those that ended long ago. */
void transfers_clean(Request *request);

/* sending.c: what begins transfers */

void transfers_send(Request *request);
void transfers_receive(Request *request);
/* Either, by the field direction. */
void transfers_create(Request *request);
void transfers_replay(Request *request);

/* once.c */

/* What was answered under an Idempotency-Key goes after a week. */
void transfers_forget_answers(Admin *admin);

/* favourites.c */

void favourites_list(Request *request);
void favourites_show(Request *request);
void favourites_create(Request *request);
void favourites_create_from_history(Request *request);
void favourites_update(Request *request);
void favourites_remove(Request *request);
void favourites_execute(Request *request);

/* schedules.c */

void schedules_list(Request *request);
void schedules_show(Request *request);
void schedules_create(Request *request);
void schedules_create_from_favourite(Request *request);
void schedules_update(Request *request);
void schedules_toggle(Request *request);
void schedules_run(Request *request);
void schedules_remove(Request *request);

/* calendars.c */

void calendars_list(Request *request);
void calendars_show(Request *request);
void calendars_show_default(Request *request);
void calendars_create(Request *request);
void calendars_update(Request *request);
void calendars_set_default(Request *request);
void calendars_remove(Request *request);
void calendars_list_holidays(Request *request);
void calendars_add_holiday(Request *request);
void calendars_remove_holiday(Request *request);
/* overview.c: the daemon and its like as a whole */

void overview_config(Request *request);
void overview_system(Request *request);
void overview_dashboard(Request *request);
void overview_cluster(Request *request);
void overview_members(Request *request);
void overview_leader(Request *request);
void overview_ownership(Request *request);
void overview_backups(Request *request);
void overview_back_up(Request *request);

/* listeners.c */

/* The daemon's own words for its state, a{sv}. NULL: answered. Returns new. */
GVariant *service_get_status(Request *request);
void listeners_list(Request *request);
void listeners_show(Request *request);
void listeners_status(Request *request);
void listeners_create(Request *request);
void listeners_update(Request *request);
void listeners_remove(Request *request);
void listeners_start(Request *request);
void listeners_stop(Request *request);
void service_reload(Request *request);
void service_status(Request *request);

/* certificates.c: lists and what is shown; certificate-changes.c: the others */

void certificates_list(Request *request);
void certificates_list_keystores(Request *request);
void certificates_list_truststores(Request *request);
void certificates_list_expiring(Request *request);
void certificates_list_expired(Request *request);
void certificates_list_partner(Request *request);
void certificates_show(Request *request);
void certificates_show_name(Request *request);
void certificates_show_default_keystore(Request *request);
void certificates_show_default_truststore(Request *request);
void certificates_show_entries(Request *request);
void certificates_show_info(Request *request);
void certificates_statistics(Request *request);
void certificates_import_keystore(Request *request);
void certificates_import_truststore(Request *request);
void certificates_create_keystore(Request *request);
void certificates_create_truststore(Request *request);
void certificates_update(Request *request);
void certificates_set_default(Request *request);
void certificates_activate(Request *request);
void certificates_deactivate(Request *request);
void certificates_validate(Request *request);
void certificates_remove(Request *request);
void certificates_add(Request *request);
void certificates_put_pair(Request *request);
void certificates_remove_entry(Request *request);

/* certificate-authority.c */

void ca_initialize(Request *request);
void ca_show(Request *request);
void ca_request(Request *request);
void ca_sign(Request *request);
void ca_generate(Request *request);
void ca_verify(Request *request);

/* partner-tls.c */

void partner_tls_show(Request *request);
void partner_tls_put_keystore(Request *request);
void partner_tls_put_truststore(Request *request);
void partner_tls_remove_keystore(Request *request);
void partner_tls_remove_truststore(Request *request);

/* partners.c */

void partners_list(Request *request);
void partners_list_enabled(Request *request);
void partners_search(Request *request);
void partners_statistics(Request *request);
void partners_show(Request *request);
void partners_enable(Request *request);
void partners_disable(Request *request);
void partners_create(Request *request);
void partners_update(Request *request);
void partners_remove(Request *request);
void servers_list(Request *request);
void servers_list_enabled(Request *request);
void files_list(Request *request);
void files_list_of_partner(Request *request);
void files_create_of_partner(Request *request);
void files_show(Request *request);
void files_create(Request *request);
void files_update(Request *request);
void files_remove(Request *request);

/* calls.c */

void servers_test(Request *request);
void transfers_message(Request *request);

/* default-server.c */

/* NULL: there is none, or answered. Returns new. */
char *default_server_dup(Request *request);
void servers_show_default(Request *request);
void servers_set_default(Request *request);

/* clusters.c */

void clusters_create(Request *request);
void clusters_remove(Request *request);
void clusters_renew_password(Request *request);
void cluster_partners_list(Request *request);
void cluster_partners_create(Request *request);
void cluster_partners_show(Request *request);
void cluster_partners_update(Request *request);
void cluster_partners_remove(Request *request);
void cluster_files_list(Request *request);
void cluster_files_create(Request *request);
void cluster_files_show(Request *request);
void cluster_files_update(Request *request);
void cluster_files_remove(Request *request);

/* records.c: clusters, registries, orchestrators */

void records_list(Request *request);
void records_create(Request *request);
void records_show(Request *request);
void records_update(Request *request);
void records_remove(Request *request);
void records_undeployable(Request *request);
/* The body, checked field by field. NULL: answered. Returns new. */
Json *record_read(Request *request);
/* The ETag of what is written in a record; If-Match against it, false: answered. */
void record_add_etag(Request *request, const Record *record);
bool record_check_match(Request *request, const Record *record);
/* Asks the store for a change of what was read. NULL: answered, 412 when it was changed since and If-Match was given. */
StoreResult *record_change(Request *request, StoreRequest *asked);
/* Of a body that was checked. Returns new. */
Record *record_new_of(const Request *request, const char *id, const Json *body);
/* NULL: answered. Returns new. */
Record *record_get(Request *request, const char *kind, const char *id);
/* password: of a cluster's role, shown this once; or NULL. */
void record_write(GString *out, const Record *record, const char *password);
/* 201. document: for the audit. */
void record_answer_new(Request *request, const Record *record, const char *document,
                       const char *password);
/* As request_fail, for an error of fleet.h. */
void request_fail_fleet(Request *request, const GError *error);

/* upload.c: bytes of a request on their way into the spool; all but the append on a worker. */

Upload *upload_new(Request *request);
void upload_free(Upload *self);
/* A staged file that nobody commits goes; nobody waits for that. */
void upload_discard(Admin *admin, int64_t staging_id);
/* Called by the server. False: the body is wrong, upload_check says why. Never waits. */
bool upload_append(Upload *self, const char *bytes, size_t length);
/* A piece of a part of a form; offset: of it in its part. */
typedef struct {
    const char *name, *bytes;
    uint64_t offset;
    size_t length;
} UploadPart;
/* Called by the server, as the pieces come. What is wrong with a form is answered when it is used; upload_add_file: as
 * upload_append. */
void upload_add_part(Upload *self, const UploadPart *part);
bool upload_add_file(Upload *self, const UploadPart *part);
bool upload_is_full(const Upload *self);
/* Writes what is gathered. False: answered. */
bool upload_flush(Upload *self);
const char *upload_field(const Upload *self, const char *name);
/* What is sent where, for comparing. Returns new. */
char *upload_describe(const Upload *self);
/* Commits as a transfer of the fields partner and path. NULL: answered. */
DoorAnswer *upload_commit(Upload *self);

/* server.c */

Server *server_new(Admin *admin, const AdminHost *limits, GError **error);
/* Ends connections whose request does not come to its end in time. Any thread. */
void server_cut_slow(Server *self);
/* No new connection, streams end. */
void server_stop(Server *self);
void server_free(Server *self);
void server_add(Server *self, int fd, unsigned families, const char *address,
                const char *certificate);
