/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file (libconfig syntax) as immutable values. Every key is a row of one table
 * {path, kind, min, max, default, unit, reloadable}; unknown or wrong keys are errors with file, line
 * and the nearest known key. A reload builds a new value; holders keep the old one by reference.
 * Never logs. Any thread may read; load on any thread.
 */
#pragma once

#include "base/log.h"
#include "daemon/store.h"
#include "daemon/transfer/partner.h"

typedef struct {
    char *name;               /* serverId of the API, or NULL: address and port are */
    char *description;        /* for people, or NULL */
    char *address;            /* to bind */
    uint16_t port;            /* 0: any free one */
    bool auto_start;          /* false: until somebody starts it */
    uint32_t max_connections; /* of those that came by it; 0: no limit of its own */
    int64_t version;          /* of its definition in the store, 0: of the file */
    TlsSettings tls;
} ListenerConfig;

/* Which part of the administration API an address serves; health and metrics are in each. */
typedef enum {
    ADMIN_FAMILY_ALL,
    ADMIN_FAMILY_SERVER,
    ADMIN_FAMILY_CLIENT,
    ADMIN_FAMILY_ADMIN
} AdminFamily;

typedef struct {
    ListenerConfig listener;
    AdminFamily family;
    bool plain; /* without TLS although others than this machine can reach it */
} AdminListener;

typedef enum { STORE_SQLITE, STORE_POSTGRES } StoreBackend;

typedef struct {
    char *node_name; /* default local_identifier of partners */
    char *spool_path;
    char *inbox_path;     /* received files: inbox_path/PARTNER/path */
    char *socket_path;    /* the local door */
    uint32_t socket_mode; /* permission bits */
    StoreBackend store_backend;
    char *store_path;       /* SQLite file */
    Secret *store_password; /* PostgreSQL, or NULL */
    char *store_conninfo;   /* PostgreSQL: libpq's text or URI; NULL: all from PG* */
    char *store_schema;     /* PostgreSQL */
    char *store_owner;      /* PostgreSQL: who we are among the daemons of the schema; NULL: "" */
    uint32_t store_wait_ms; /* for a database that went away */
    char *key_file;         /* seals secrets; or NULL */
    LogLevel log_level;
    LogFormat log_format;
    uint32_t max_connections;
    uint32_t max_unauthenticated; /* in all */
    uint32_t max_unauthenticated_per_address;
    uint64_t spool_reserve_bytes; /* kept free on the spool's filesystem */
    uint32_t staging_retention_s;
    uint32_t history_retention_s; /* data of finished transfers */
    uint32_t rows_retention_s;    /* their rows; 0: for ever */
    uint32_t rows_max;            /* in the history; 0: no limit */
    uint32_t repeat_retention_s;  /* rows of received files */
    uint32_t audit_retention_s;   /* rows of the audit trail; 0: for ever */
    uint32_t drain_ms;            /* SIGTERM: running transfers may go on so long */
    uint32_t accept_ms, connect_ms, protocol_ms, protocol_long_ms, idle_ms,
            release_ms; /* timers, §12 */
    uint32_t min_rate_bytes_per_s;
    bool read_supported; /* server: SELECT by partners */
    bool sync_required;
    GPtrArray *listeners;              /* ListenerConfig * */
    GPtrArray *admin_listeners;        /* AdminListener *: empty: no administration over HTTP */
    GPtrArray *admin_send_directories; /* char *: absolute */
    Secret *admin_first_key;           /* becomes the first key when there is none; or NULL */
    char *admin_conninfo;              /* PostgreSQL database of clusters; NULL: they are records */
    Secret *admin_password;            /* of its user, or NULL */
    uint32_t admin_rate_per_s;         /* requests per address */
    uint32_t admin_connections;
    uint32_t admin_connections_per_address;
    GPtrArray *partners;     /* Partner * */
    GPtrArray *certificates; /* CertificateStore *: of the store */
    bool needs_store; /* something names certificates of the store, and the store was not read with it */
    GPtrArray *
            files; /* char *: other files whose contents are in here: secrets, their key, what is included */
    char *restart_keys; /* names of keys that have other values in the file; NULL: none */
} Config;

/* Reads and checks a file. INVALID: "FILE:LINE: …" names the key and the nearest known one.
 * Returns new, one reference. */
Config *config_load(const char *path, GError **error);
/* The same with the partners, virtual files and listeners of the store after those of the file: under the same rules,
 * and nothing may be in both. definitions: of Definition, partners first; NULL: none. */
Config *config_load_with(const char *path, const GPtrArray *definitions, GError **error);
/* The same for a daemon that runs: keys that need a restart stay as running has them, and those that would have
 * changed are named in restart_keys. */
Config *config_load_again(const char *path, const GPtrArray *definitions, const Config *running,
                          GError **error);
Config *config_ref(Config *config);
void config_unref(Config *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_unref)

/* NULL when unknown. Borrowed from config. */
const Partner *config_find_partner(const Config *config, const char *name);
/* By PI 3 of CONNECT. */
const Partner *config_find_partner_by_identifier(const Config *config, const char *identifier);
/* Whether a partner is called, let in or served otherwise in one than in the other: any key of it or of its virtual
 * files, or it is only in one. */
bool config_is_partner_changed(const Config *before, const Config *after, const char *name);
/* NULL when unknown. Borrowed from config. */
const CertificateStore *config_find_certificates(const Config *config, const char *name);
/* Who uses certificates of the store, by name or as the default: "partner 'X'", "listener 'Y'". Of char *. Returns new. */
GPtrArray *config_list_users(const Config *config, const CertificateStore *store);

/* settings of the store */

typedef enum {
    SETTINGS_PARTNER,
    SETTINGS_FILE,
    SETTINGS_LISTENER,
    SETTINGS_CERTIFICATES
} SettingsKind;

/* "partner 'X'", for complaints: those of config_load_with about a definition begin with "store, " and this. Returns
 * new. */
char *config_name_definition(const char *partner, const char *pattern);
/* What a listener is called: its name, else address and port; NULL: neither is known. Returns new. */
char *config_name_listener(const ListenerConfig *listener);
/* Lays changes over the settings of a definition. changes: a dictionary of paths of keys ("tls.enabled") and values:
 * s, b, x, as, ax, a text of any of them, or () to remove the key. Clear passwords are sealed, or become verifiers
 * where they are only compared. INVALID: "KEY: …". Values are not looked at: see config_load_with. Returns new. */
char *config_change_settings(const Config *running, SettingsKind kind, const char *settings,
                             GVariant *changes, GError **error);
/* All keys of a Partner, VirtualFile, ListenerConfig or CertificateStore that have a value, a{sv} as above; no secret. Floating. */
GVariant *config_describe_settings(SettingsKind kind, const void *object);
/* Names of those secrets that are set, as. Floating. */
GVariant *config_list_secrets(SettingsKind kind, const void *object);
bool config_is_key(SettingsKind kind, const char *path);
/* The key table as Markdown, for people and for docs/configuration.md. Returns new. */
char *config_describe_keys(void);
