/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must survive: transfers and counters, in words of the domain. One thread owns the database;
 * writes that wait are grouped into one transaction, and each caller hears after its commit. Calls
 * named store_… block until then and may be used from connection threads; the main loop uses
 * store_submit. Never logs.
 */
#pragma once

#include "base/mailbox.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    TRANSFER_STAGED,
    TRANSFER_QUEUED,
    TRANSFER_RUNNING,
    TRANSFER_WAITING, /* for a retry */
    TRANSFER_DONE,
    TRANSFER_FAILED,
    TRANSFER_CANCELLED,
} TransferState;

typedef enum {
    DIRECTION_SEND,    /* we call, CREATE */
    DIRECTION_FETCH,   /* we call, SELECT */
    DIRECTION_RECEIVE, /* partner calls, CREATE */
    DIRECTION_OFFER,   /* written here, waits for the partner's SELECT */
    DIRECTION_SERVE,   /* one SELECT by the partner of an offered file */
} TransferDirection;

/* One row. Strings are owned. */
typedef struct {
    int64_t id; /* 0 until stored */
    TransferDirection direction;
    TransferState state;
    char *partner;
    char *path;           /* below the partner's folder in the mount */
    char *file_name;      /* PI 12 */
    uint16_t file_type;   /* PI 11 */
    uint32_t transfer_id; /* PI 13 agreed with the partner */
    char *peer;           /* PI 3 of the other side's CONNECT, for incoming */
    char *client, *bank;  /* PI 61, 62, or NULL */
    uint64_t size_bytes;  /* local file */
    uint64_t wire_bytes;  /* PI 27 */
    uint64_t articles;    /* PI 28 */
    uint32_t mode;        /* permission bits shown in the mount */
    int64_t mtime_us;     /* wall */
    int64_t created_us, updated_us, finished_us; /* wall; finished 0 while not */
    uint32_t attempts;
    int64_t next_retry_us; /* wall, waiting, or queued for a partner's hours; else 0 */
    uint8_t diag_type;
    uint16_t diag_code;
    uint8_t cause;         /* why it failed without a diagnostic: BaseError + 1, 0 none */
    char *error;           /* text for people, or NULL */
    char *sha256;          /* hex, or NULL */
    char *spool_name;      /* folder of its bytes in the spool, or NULL */
    char *offer_path;      /* serve: path of the offer; else NULL */
    int64_t offer_id;      /* serve: its offer; else 0 */
    bool hidden;           /* removed from the mount's listing; history stays */
    bool data_kept;        /* spool still holds the bytes */
    uint64_t name_counter; /* what {counter} stands for in its names */
    char *actor,
            *origin; /* who had it made, "uid:N", "key:NAME", "partner:NAME", and from where; NULL: not known */
    char *correlation; /* what its caller names it by, or NULL */
    char *session;     /* of PeSIT, the last one that moved it; NULL: none yet */
    char *listener;    /* by which the partner came; NULL: we called */
    bool end_sent;     /* TRANS.END was sent: the partner may have it; never send as new */
} Transfer;

Transfer *transfer_new(void);
Transfer *transfer_copy(const Transfer *transfer);
void transfer_free(Transfer *transfer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Transfer, transfer_free)
const char *transfer_state_name(TransferState state); /* "queued", … */
const char *transfer_direction_name(TransferDirection direction);
bool transfer_state_parse(const char *text, TransferState *ret_state);
bool transfer_direction_parse(const char *text, TransferDirection *ret_direction);
bool transfer_state_is_final(TransferState state);

/* next_retry_us of a transfer that waits until somebody releases it: the last second that can be written. */
#define TRANSFER_HELD_US (INT64_C(253402300799) * 1000000)

/* What the administration keeps, by kind. Strings are owned. */
typedef struct {
    char *kind, *id; /* together unique */
    char *name;      /* unique in its kind */
    char *document;  /* JSON */
    int64_t created_us, updated_us;
} Record;

Record *record_new(const char *kind, const char *id, const char *name, const char *document);
Record *record_copy(const Record *record);
void record_free(Record *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Record, record_free)

/* Who did what. Rows of a writer are numbered from 1 without gaps; hash: see admin/audit.c. */
typedef struct {
    int64_t seq, time_us;
    int64_t transfer_id; /* whose end it tells; 0: of nothing that was due */
    char *actor, *address, *action, *object, *detail, *previous, *hash;
} AuditEntry;

AuditEntry *audit_entry_copy(const AuditEntry *entry);
void audit_entry_free(AuditEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AuditEntry, audit_entry_free)

typedef struct Store Store;

/* lifecycle */

/* Where the store is: an SQLite file, or a schema of a PostgreSQL database. */
typedef struct {
    const char *path;     /* SQLite: the file */
    const char *conninfo; /* PostgreSQL: libpq's text or URI, may be empty; NULL: SQLite */
    const char *password; /* PostgreSQL; NULL: libpq looks where it always does */
    const char *schema;   /* PostgreSQL */
    const char *owner;    /* PostgreSQL: our name among the daemons of the schema; NULL: "" */
    uint32_t wait_ms;     /* how long requests wait for a database that went away */
} StoreSettings;

/* Opens (creates) the database, migrates it, starts the thread. settings: copied. INVALID: newer than this
 * program. BUSY: another daemon has it. UNREACHABLE: there is none. */
Store *store_open(const StoreSettings *settings, GError **error);
/* Of the database's user, shown from the next connection on; "": libpq looks where it always does. PostgreSQL only. Any
 * thread. */
void store_set_password(Store *self, const char *password);

typedef enum {
    STORE_CHANGED, /* a row was changed by another daemon on the schema, a definition by any: table and key */
    STORE_LOST, /* the database is away; text: why */
    STORE_FULL, /* no room on its disk; patient writes wait; text: what it said */
    STORE_BACK, /* it is back or has room, and anything may have changed */
} StoreNews;

/* Called in the main loop. table: of STORE_CHANGED only, else NULL. */
typedef void (*StoreWatcher)(StoreNews news, const char *table, const char *text, gpointer data);
void store_watch(Store *self, StoreWatcher on_change, gpointer data);
/* Finishes what is queued, stops the thread, closes. */
void store_close(Store *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Store, store_close)

/* In the place of a partner's name: this is a store of certificates. No partner has such a name. */
#define DEFINITION_CERTIFICATES ":certificates"

/* A partner, a virtual file, a listener or a store of certificates that is in the store: the keys of its group in the
 * configuration file, as text ('address = "bank.example"; port = 5000;'). Its name, or its pattern, is not among them. Strings
 * are owned. */
typedef struct {
    char *partner; /* "": this is a listener; DEFINITION_CERTIFICATES */
    char *pattern; /* of the virtual file, name of the listener; NULL: this is the partner itself */
    char *settings;
    int64_t version;                /* 1, and one more with each change */
    int64_t created_us, updated_us; /* wall */
    /* not in the store: why it does not fit the configuration, NULL: it does; a partner that does not is there, disabled, or
     * left out if it cannot even be that */
    char *fault;
    bool left_out;
} Definition;

/* Strings are copied. Returns new. */
Definition *definition_new(const char *partner, const char *pattern, const char *settings);
void definition_free(Definition *definition);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Definition, definition_free)

/* What a console asks of this cluster, a request of the administration API; or a daemon on the schema of another: a method of
 * the local door, with the transfer's number as path and from where it came as body. Strings are owned. */
typedef struct {
    char *id, *actor, *method, *path, *body;
    char *if_match;  /* or NULL */
    char *owner;     /* whom it is for, NULL: any daemon */
    unsigned status; /* 0: not answered */
    char *answer;
} Inquiry;
void inquiry_free(Inquiry *inquiry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Inquiry, inquiry_free)

/* One request; built by the functions below, run on the store thread inside a transaction that may
 * hold others. */
typedef struct StoreRequest StoreRequest;

/* Answers of a request; which one is set depends on the request. Owned by the receiver of it. */
typedef struct {
    GError *error; /* NULL: done and durable. UNREACHABLE: the database is away, nothing is done */
    Transfer *transfer;     /* or NULL */
    GPtrArray *transfers;   /* of Transfer, or NULL */
    GPtrArray *names;       /* of char *, or NULL */
    GPtrArray *records;     /* of Record, or NULL */
    GPtrArray *audits;      /* of AuditEntry, or NULL */
    GPtrArray *definitions; /* of Definition, or NULL */
    GPtrArray *schedules;   /* of Schedule (store-schedule.h), or NULL */
    Inquiry *inquiry;       /* or NULL */
    char *elsewhere; /* of store_request_get: the daemon whose the transfer is, when we are not it; or NULL */
    uint64_t number;
} StoreResult;
void store_result_free(StoreResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StoreResult, store_result_free)

/* requests */

/* New row; result: transfer with its id. transfer: copied.
 * folders_fd: descriptors to fsync before the commit (closed by the store), array of n, may be 0. */
StoreRequest *store_request_insert(const Transfer *transfer, const int *folder_fds, size_t n);
/* Changes a row: writes every field of `transfer` if its state is still one of expected_states (bit mask
 * 1 << TransferState). CONFLICT otherwise. folder_fds as above. Result: transfer as stored. */
StoreRequest *store_request_update(const Transfer *transfer, unsigned expected_states,
                                   const int *folder_fds, size_t n);
/* Removes older versions of a path from the mount: final rows and offers with a smaller id. */
StoreRequest *store_request_hide_path(const char *partner, const char *path, int64_t before_id);
/* Row by id. NOT_FOUND. */
StoreRequest *store_request_get(int64_t id);
/* Newest visible row of a path of the mount (not hidden, not cancelled). NOT_FOUND. */
StoreRequest *store_request_find_path(const char *partner, const char *path);
/* The newest transfer at a path, also one that failed and is not shown there. */
StoreRequest *store_request_last_at_path(const char *partner, const char *path);
/* Paths of visible rows below a folder of the mount, ordered, after `after` (NULL: from the start), at most limit; one may
 * come several times, and those deeper too. result: names. */
StoreRequest *store_request_list_names(const char *partner, const char *folder, const char *after,
                                       uint32_t limit);
/* Visible rows below a folder of the mount, newest per path, ordered by path, after `after` (exclusive,
 * NULL: from the start), at most limit. Directions: bit mask 1 << TransferDirection. */
StoreRequest *store_request_list_folder(const char *partner, const char *folder,
                                        unsigned directions, const char *after, uint32_t limit);
/* Newest offered row that a partner may SELECT by PI 11 and 12, not hidden; a generic name ('*' and '?' as
 * wild cards) chooses the oldest not yet served, behind after_id. NOT_FOUND. */
StoreRequest *store_request_find_offer(const char *partner, uint16_t file_type,
                                       const char *file_name, int64_t after_id);
/* Completed incoming transfer with this identity, for repeats of a lost answer. NOT_FOUND. */
StoreRequest *store_request_find_received(const char *partner, const char *peer, uint16_t file_type,
                                          const char *file_name, uint32_t transfer_id,
                                          const char *client, const char *bank);
/* History, newest first: filters may be NULL / 0; before_id: what is older than this transfer (0: the newest).
 * Result: transfers; number: the before_id that goes on, 0: there is no more. */
StoreRequest *store_request_history(const char *partner, unsigned states, unsigned directions,
                                    int64_t before_id, uint32_t limit);
/* Those with a correlation, or of a session of PeSIT; newest first, at most limit. partner: or NULL. before_id: as above. Result:
 * transfers. */
StoreRequest *store_request_correlated(const char *correlation, const char *partner,
                                       int64_t before_id, uint32_t limit);
StoreRequest *store_request_session(const char *session, const char *partner, int64_t before_id,
                                    uint32_t limit);
/* All rows that are not final (staged, queued, running, waiting): for the start. */
StoreRequest *store_request_unfinished(void);
/* Our offers that still wait although a partner has taken them: a stop came between. Result: transfers. */
StoreRequest *store_request_served(void);
/* Next value of a named counter, from 1, persisted, never given twice: "pi13/PARTNER", "name/PARTNER/…". */
StoreRequest *store_request_count(const char *counter);
/* Finished rows whose data may go: finished before a wall time and data_kept; at most limit. */
StoreRequest *store_request_expired(int64_t before_us, uint32_t limit);
/* Newest row of this daemon whose bytes have, or had, this name in the spool. NOT_FOUND. */
StoreRequest *store_request_find_spool(const char *name);
/* Rows by number, after one; at most limit. */
StoreRequest *store_request_oldest(int64_t after_id, uint32_t limit);
/* Removes a final row of this daemon whose data are gone; NOT_FOUND: it is not such a row, or the offer that it served can
 * still be given out, or its end is not in the audit trail yet. Result: number, the id. */
StoreRequest *store_request_remove(int64_t id);
/* Number of rows in some states of some directions (bit masks): result.number. */
StoreRequest *store_request_tally(unsigned states, unsigned directions);
/* Persisted secret text of a partner (changed passwords): set and get; result.transfer->error holds the
 * text on get. value NULL removes. */
StoreRequest *store_request_set_secret(const char *partner, const char *kind, const char *value);
StoreRequest *store_request_get_secret(const char *partner, const char *kind);

/* As history, between two wall times (from inclusive, to exclusive; 0: open), text: part of path or PI 12. A search for a
 * text looks at some thousand rows: its page may be short, even empty, and number says where to go on. */
typedef struct {
    const char *partner, *text;
    unsigned states, directions;
    int64_t before_id, from_us, to_us;
    uint32_t limit;
} StoreSearch;
StoreRequest *store_request_search(const StoreSearch *search);
/* Per direction and state of what was created since: a Transfer whose articles is the number of rows and whose
 * size_bytes is their sum, 0 while they are not final. partner: NULL for all. */
StoreRequest *store_request_statistics(const char *partner, int64_t since_us);
/* The same of what ended, for each whole day of UTC since, the oldest first; created_us is its beginning. */
StoreRequest *store_request_days(const char *partner, int64_t since_us);
/* Per state of what is not final, without offers: a Transfer whose articles is the number of rows and whose created_us is
 * that of the oldest. */
StoreRequest *store_request_queue(void);
/* A backup that was put into this store: its name, the document says who did it. */
#define RECORD_RESTORED "restored"
/* What a daemon is about to change; of no other daemon, so none comes out of a backup. */
#define RECORD_INTENT "intent"
/* record: copied. insert: EXISTS when id or name is taken; update: NOT_FOUND. */
StoreRequest *store_request_record_insert(const Record *record);
/* before_us: when it was changed last, as it was read; 0: whatever it is now. NOT_FOUND, CONFLICT: it was changed, or
 * removed, since. */
StoreRequest *store_request_record_update(const Record *record, int64_t before_us);
/* The same record under another id. record: copied, id: what it was. */
StoreRequest *store_request_record_rename(const Record *record, const char *id, int64_t before_us);
/* The daemons that write, or wrote, this schema; result: records, id: store.owner, document: UP or DOWN, updated_us: its last
 * commit. PostgreSQL only. */
StoreRequest *store_request_members(void);
/* Result: records with one element. NOT_FOUND. */
StoreRequest *store_request_record_get(const char *kind, const char *id);
/* By id, after `after` (exclusive, "": from the start). */
StoreRequest *store_request_record_list(const char *kind, const char *after, uint32_t limit);
/* As store_request_record_update. */
StoreRequest *store_request_record_remove(const char *kind, const char *id, int64_t before_us);
/* Removes those of a kind that were not changed since a wall time. */
StoreRequest *store_request_record_expire(const char *kind, int64_t before_us);
/* entry: copied. The rows are those of this daemon (store.owner). EXISTS, CONFLICT: another process wrote this number, or
 * the row before it is not there. */
StoreRequest *store_request_audit_append(const AuditEntry *entry);
StoreRequest *store_request_audit_list(int64_t after_seq, uint32_t limit);
StoreRequest *store_request_audit_last(void);
/* This daemon's transfers that have ended and have no row of the audit trail yet: the append of a row with their number
 * settles it in one transaction. Result: transfers, by number. */
StoreRequest *store_request_audit_due(uint32_t limit);
/* The last of the oldest rows, of which none is younger than a wall time, looking at so many. Result: audits, with one
 * element, or none. */
StoreRequest *store_request_audit_old(int64_t before_us, uint32_t limit);
/* Removes the oldest rows, up to a number and not more than limit. Result: number, how many. */
StoreRequest *store_request_audit_remove(int64_t through_seq, uint32_t limit);

/* partners, virtual files, listeners and stores of certificates; check a change with config_load before it is made */

/* All of them, partners first, stores of certificates last, by name; result: definitions. */
StoreRequest *store_request_definitions(void);
/* Creates (version 0) or changes the one that has this version, at its updated_us, 0: now. definition: copied. Result: number,
 * the new version. EXISTS, CONFLICT. The watcher hears of the change, here and in every daemon on the schema. */
StoreRequest *store_request_define(const Definition *definition, int64_t version);
/* Removes the one that has this version; a partner's virtual files are removed one by one. CONFLICT. */
StoreRequest *store_request_undefine(const char *partner, const char *pattern, int64_t version);

/* Takes what a console asks, so that no other daemon does; result: inquiry. NOT_FOUND: one did. PostgreSQL only. */
StoreRequest *store_request_take_inquiry(const char *id);
/* Leaves one for its owner. */
StoreRequest *store_request_leave_inquiry(const Inquiry *inquiry);
/* What was answered; result: inquiry with status and answer. NOT_FOUND: nothing yet. */
StoreRequest *store_request_answered_inquiry(const char *id);
/* Takes it back. NOT_FOUND: somebody has taken it. */
StoreRequest *store_request_retract_inquiry(const char *id);
/* It goes, and so do those that others left behind before a wall time. */
StoreRequest *store_request_forget_inquiry(const char *id, int64_t before_us);
StoreRequest *store_request_answer_inquiry(const char *id, unsigned status, const char *answer);

/* Copies some more of an SQLite store to a file; number: 1 when the copy is whole. PostgreSQL needs none: 1 at once. BUSY:
 * try again. One copy at a time. */
StoreRequest *store_request_copy(const char *path);

/* Whether a request failed because the database is away or its disk is full: it is right to ask again later. */
bool store_is_away(const GError *error);

/* running them */

/* The request waits for a database that is away, or for room on its disk, however long; others fail with
 * UNREACHABLE after wait_ms, with NO_SPACE at once. Returns request. */
StoreRequest *store_request_set_patient(StoreRequest *request);
/* A question about what is there now: it sees all whose answer was delivered, and does not wait for other writes that are
 * under way. Takes and returns request. */
StoreRequest *store_request_set_glance(StoreRequest *request);

/* Runs a request and waits for it. request: taken. Returns new, never NULL. Not on the main loop. */
StoreResult *store_execute(Store *self, StoreRequest *request);
/* Runs a request; on_result is called in the default main loop's thread. request: taken. result: taken by
 * on_result. Requests from one thread run in order. Any thread. */
typedef void (*StoreCallback)(StoreResult *result, gpointer data);
void store_submit(Store *self, StoreRequest *request, StoreCallback on_result, gpointer data);
/* The same with data that on_result takes; free_data is for a store that is closed before. */
void store_submit_owned(Store *self, StoreRequest *request, StoreCallback on_result, gpointer data,
                        GDestroyNotify free_data);
/* Starts a request; its StoreResult arrives in the reply (reply_wait), so that the caller can go on while
 * it commits. request: taken. Returns new. Any thread. */
Reply *store_begin(Store *self, StoreRequest *request);
/* Runs a request, patiently, and forgets its result, but counts failures for store_failures. Any thread. */
void store_post(Store *self, StoreRequest *request);
/* Whether no other process can write it. Any thread. */
bool store_is_private(const Store *self);
/* Errors of posted requests so far, newest text; NULL when none. Returns new. */
char *store_dup_last_failure(Store *self);
