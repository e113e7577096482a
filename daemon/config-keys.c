/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key of the configuration, once: path, kind, range, default, unit, whether a reload applies it, where
 * it goes, and what it is for. The reader, the errors and the documentation walk these rows.
 */
#include "daemon/config-keys.h"

#include <glib.h>
#include <stddef.h>

static const char *const BACK_ENDS[] = {"sqlite", "postgres", NULL};
static const char *const LEVELS[] = {"error", "warning", "notice", "info", "debug", NULL};
static const char *const FORMATS[] = {"text", "json", NULL};
static const char *const CERTIFICATES[] = {"none", "optional", "required", NULL};
static const char *const FRAMINGS[] = {"auto", "prefixed", "raw", NULL};
static const char *const MODES[] = {"send", "fetch", "offer", "receive", NULL};
static const char *const RECORDS[] = {"binary", "binary-fixed", "text", "text-fixed", NULL};
static const char *const EMPTY_LINES[] = {"space", "zero", NULL};
static const char *const LONG_LINES[] = {"refuse", "truncate", NULL};
static const char *const LINE_ENDS[] = {"lf", "crlf", NULL};
static const char *const COMMITS[] = {"close", "rename", NULL};
static const char *const ACKS[] = {"spool", "sent", NULL};
static const char *const EXISTING[] = {"refuse", "replace", "number", NULL};
static const char *const CODES[] = {"ascii", "ebcdic", "binary", NULL};
static const char *const FAMILIES[] = {"all", "server", "client", "admin", NULL};
static const char *const STORE_KINDS[] = {"keystore", "truststore", NULL};
static const char *const VERSIONS[] = {"1.2", "1.3", NULL};

#define C(field) offsetof(Config, field)
#define L(field) offsetof(ListenerConfig, field)
#define A(field) offsetof(AdminListener, field)
#define P(field) offsetof(Partner, field)
#define V(field) offsetof(VirtualFile, field)
#define S(field) offsetof(CertificateStore, field)
#define DAY_S    86400

/* clang-format off */
static const ConfigKey ROOT_KEYS[] = {
    { "node", KEY_TEXT, 1, 24, NULL, "", true, C(node_name), NULL, "our own name; default of local_identifier" },
    { "paths.spool", KEY_PATH, 0, 0, "/var/lib/pesitfs/spool", "", false, C(spool_path), NULL, "files in transit" },
    { "paths.inbox", KEY_PATH, 0, 0, "/var/lib/pesitfs/inbox", "", false, C(inbox_path), NULL, "complete received files, on the spool's filesystem" },
    { "paths.socket", KEY_PATH, 0, 0, "/run/pesitd/pesitd.sock", "", false, C(socket_path), NULL, "the local door of pesitfs and pesitctl" },
    { "paths.socket_mode", KEY_MODE, 0, 0777, "0660", "", false, C(socket_mode), NULL, "permission bits of the socket" },
    { "paths.store", KEY_PATH, 0, 0, NULL, "", false, C(store_path), NULL, "older name of store.path" },
    { "paths.key_file", KEY_PATH, 0, 0, NULL, "", true, C(key_file), NULL, "key of sealed passwords" },
    { "store.backend", KEY_CHOICE, 0, 0, "sqlite", "", false, C(store_backend), BACK_ENDS, "a file of ours, or a schema in a PostgreSQL database" },
    { "store.path", KEY_PATH, 0, 0, NULL, "", false, C(store_path), NULL, "SQLite file; default /var/lib/pesitfs/store.db" },
    { "store.conninfo", KEY_TEXT, 1, 2000, NULL, "", false, C(store_conninfo), NULL, "PostgreSQL, as libpq takes it: \"host=db dbname=pesitwizard\" or postgresql://…; PG* variables say the rest" },
    { "store.password", KEY_SECRET, 0, 0, NULL, "", true, C(store_password), NULL, "PostgreSQL: of the user, from the next connection on; else libpq looks where it always does" },
    { "store.schema", KEY_TEXT, 1, 63, "cluster_local", "", false, C(store_schema), NULL, "PostgreSQL: the cluster's schema, made when missing; a-z, 0-9 and _" },
    { "store.owner", KEY_TEXT, 1, 63, NULL, "", false, C(store_owner), NULL, "PostgreSQL: our name among the daemons that share the schema" },
    { "store.wait_ms", KEY_U32, 0, 3600000, "10000", "ms", false, C(store_wait_ms), NULL, "how long what runs waits for a database that went away" },
    { "log.level", KEY_CHOICE, 0, 0, "notice", "", true, C(log_level), LEVELS, "what is logged" },
    { "log.format", KEY_CHOICE, 0, 0, "text", "", true, C(log_format), FORMATS, "text for people, json for machines" },
    { "limits.connections", KEY_U32, 1, 100000, "512", "", true, C(max_connections), NULL, "PeSIT connections in all" },
    { "limits.unauthenticated", KEY_U32, 1, 100000, "128", "", true, C(max_unauthenticated), NULL, "connections before CONNECT, in all; above it the oldest is closed" },
    { "limits.unauthenticated_per_address", KEY_U32, 1, 100000, "16", "", true, C(max_unauthenticated_per_address), NULL, "connections before CONNECT, per address; above it the oldest is closed" },
    { "limits.spool_reserve_mb", KEY_MB, 0, 1 << 30, "256", "MiB", false, C(spool_reserve_bytes), NULL, "kept free on the spool's filesystem" },
    { "retention.staging_s", KEY_U32, 60, 365 * DAY_S, "86400", "s", true, C(staging_retention_s), NULL, "files being written" },
    { "retention.history_s", KEY_U32, 60, 3650 * DAY_S, "2592000", "s", true, C(history_retention_s), NULL, "data of finished transfers" },
    { "retention.rows_s", KEY_U32, 0, 10000 * DAY_S, "0", "s", true, C(rows_retention_s), NULL, "history of transfers that ended; 0: for ever" },
    { "retention.rows", KEY_U32, 0, UINT32_MAX, "0", "", true, C(rows_max), NULL, "transfers in the history, the oldest go first; 0: no limit" },
    { "retention.repeat_s", KEY_U32, 60, 3650 * DAY_S, "604800", "s", true, C(repeat_retention_s), NULL, "at least so long a repeat of a received file is known as one" },
    { "retention.audit_s", KEY_U32, 0, 10000 * DAY_S, "0", "s", true, C(audit_retention_s), NULL, "rows of the audit trail; 0: for ever" },
    { "timers.accept_ms", KEY_U32, 0, 3600000, "30000", "ms", true, C(accept_ms), NULL, "TCP open to CONNECT complete, TLS included" },
    { "timers.connect_ms", KEY_U32, 0, 3600000, "60000", "ms", true, C(connect_ms), NULL, "our call: TCP, TLS, and the answer to CONNECT" },
    { "timers.protocol_ms", KEY_U32, 0, 3600000, "120000", "ms", true, C(protocol_ms), NULL, "Tp: waiting for the partner's next FPDU; 0: for ever" },
    { "timers.protocol_long_ms", KEY_U32, 0, 36000000, "600000", "ms", true, C(protocol_long_ms), NULL, "waiting for ACK of CREATE, SELECT, TRANS.END, CRF" },
    { "timers.idle_ms", KEY_U32, 0, 36000000, "300000", "ms", true, C(idle_ms), NULL, "Td: connected partner without a file" },
    { "timers.release_ms", KEY_U32, 0, 3600000, "10000", "ms", true, C(release_ms), NULL, "Tr: until the partner closes" },
    { "timers.drain_ms", KEY_U32, 0, 36000000, "30000", "ms", true, C(drain_ms), NULL, "running transfers after SIGTERM" },
    { "timers.min_rate_bytes_per_s", KEY_U32, 0, 1 << 30, "100", "B/s", true, C(min_rate_bytes_per_s), NULL, "slower data is broken off; 0: never" },
    { "server.read_supported", KEY_BOOL, 0, 0, "true", "", true, C(read_supported), NULL, "partners may SELECT" },
    { "server.sync_required", KEY_BOOL, 0, 0, "false", "", true, C(sync_required), NULL, "refuse connections without synchronisation points" },
    { "admin.listeners", KEY_GROUPS, 0, 16, NULL, "", false, C(admin_listeners), NULL, "addresses of the administration API, docs/api.md; none: off" },
    { "admin.first_key", KEY_SECRET, 0, 0, NULL, "", false, C(admin_first_key), NULL, "API key of an administrator, stored when there is none yet" },
    { "admin.database.conninfo", KEY_TEXT, 1, 2000, NULL, "", false, C(admin_conninfo), NULL, "PostgreSQL, as libpq takes it: where the API makes and drops clusters, docs/store.md; none: clusters are records" },
    { "admin.database.password", KEY_SECRET, 0, 0, NULL, "", true, C(admin_password), NULL, "of its user, who has CREATEROLE and CREATE on the database; else libpq looks where it always does" },
    { "admin.send_directories", KEY_FOLDERS, 0, 0, NULL, "", true, C(admin_send_directories), NULL, "whose files a request may send by their path, with all that is below: [\"/var/lib/batch/out\"]; none: bytes are uploaded" },
    { "admin.requests_per_s", KEY_U32, 1, 1000000, "100", "", false, C(admin_rate_per_s), NULL, "requests of one address, health and metrics apart" },
    { "admin.connections", KEY_U32, 1, 10000, "1024", "", false, C(admin_connections), NULL, "of the administration, in all; a stream of events is one" },
    { "admin.connections_per_address", KEY_U32, 1, 10000, "640", "", false, C(admin_connections_per_address), NULL, "of them, from one address" },
    { "listeners", KEY_GROUPS, 0, 64, NULL, "", true, C(listeners), NULL, "where partners call in" },
    { "partners", KEY_GROUPS, 0, 100000, NULL, "", true, C(partners), NULL, "the partners" },
    { NULL },
};

static const ConfigKey LISTENER_KEYS[] = {
    { "address", KEY_TEXT, 1, 64, "0.0.0.0", "", true, L(address), NULL, "to bind" },
    { "port", KEY_U16, 0, 65535, "5000", "", true, L(port), NULL, "0: any free one" },
    { "name", KEY_TEXT, 1, 64, NULL, "", true, L(name), NULL, "its serverId in the API; default: address and port" },
    { "description", KEY_TEXT, 0, 255, NULL, "", true, L(description), NULL, "for people" },
    { "auto_start", KEY_BOOL, 0, 0, "true", "", true, L(auto_start), NULL, "false: it is opened when somebody starts it" },
    { "max_connections", KEY_U32, 0, 100000, "0", "", true, L(max_connections), NULL, "of those that came by it; 0: limits.connections alone" },
    { "tls.certificate", KEY_PATH, 0, 0, NULL, "", true, L(tls.certificate), NULL, "our chain in PEM; makes the listener TLS" },
    { "tls.key", KEY_PATH, 0, 0, NULL, "", true, L(tls.key), NULL, "its key in PEM" },
    { "tls.authorities", KEY_PATH, 0, 0, NULL, "", true, L(tls.authorities), NULL, "who may sign client certificates" },
    { "tls.keystore", KEY_TEXT, 1, 64, NULL, "", true, L(tls.keystore), NULL, "keystore of the store by its name, instead of tls.certificate and tls.key" },
    { "tls.truststore", KEY_TEXT, 1, 64, NULL, "", true, L(tls.truststore), NULL, "truststore of the store by its name, instead of tls.authorities" },
    { "tls.client_certificate", KEY_CHOICE, 0, 0, "none", "", true, L(tls.client_certificate), CERTIFICATES, "whether clients show one" },
    { "tls.min_version", KEY_VERSION, 0, 0, "1.2", "", true, L(tls.min_version), VERSIONS, "oldest TLS accepted" },
    { NULL },
};

static const ConfigKey ADMIN_LISTENER_KEYS[] = {
    { "family", KEY_CHOICE, 0, 0, "all", "", false, A(family), FAMILIES, "which part of the API is served there" },
    { "address", KEY_TEXT, 1, 64, "127.0.0.1", "", false, A(listener.address), NULL, "to bind" },
    { "port", KEY_U16, 0, 65535, "8080", "", false, A(listener.port), NULL, "0: any free one" },
    { "plain", KEY_BOOL, 0, 0, "false", "", false, A(plain), NULL, "no TLS although others than this machine can reach it" },
    { "tls.certificate", KEY_PATH, 0, 0, NULL, "", false, A(listener.tls.certificate), NULL, "our chain in PEM; makes the address TLS" },
    { "tls.key", KEY_PATH, 0, 0, NULL, "", false, A(listener.tls.key), NULL, "its key in PEM" },
    { "tls.authorities", KEY_PATH, 0, 0, NULL, "", false, A(listener.tls.authorities), NULL, "who may sign client certificates" },
    { "tls.client_certificate", KEY_CHOICE, 0, 0, "none", "", false, A(listener.tls.client_certificate), CERTIFICATES, "whether callers show one" },
    { "tls.min_version", KEY_VERSION, 0, 0, "1.2", "", false, A(listener.tls.min_version), VERSIONS, "oldest TLS accepted" },
    { NULL },
};

static const ConfigKey PARTNER_KEYS[] = {
    { "name", KEY_TEXT, 1, 64, "", "", true, P(name), NULL, "its folder in the mount" },
    { "description", KEY_TEXT, 0, 255, NULL, "", true, P(description), NULL, "for people" },
    { "enabled", KEY_BOOL, 0, 0, "true", "", true, P(enabled), NULL, "false: neither called nor let in; what is queued for it waits" },
    { "identifier", KEY_TEXT, 1, 24, "", "", true, P(identifier), NULL, "its PeSIT name (PI 3 when it calls, PI 4 when we call)" },
    { "local_identifier", KEY_TEXT, 1, 24, NULL, "", true, P(local_identifier), NULL, "our PeSIT name towards it; default: node" },
    { "password_received", KEY_SECRET, 0, PARTNER_PASSWORD_MAX, NULL, "", true, P(password_received), NULL, "what it presents when it calls" },
    { "password_sent", KEY_SECRET, 0, PARTNER_PASSWORD_MAX, NULL, "", true, P(password_sent), NULL, "what we present" },
    { "password_expected", KEY_SECRET, 0, PARTNER_PASSWORD_MAX, NULL, "", true, P(password_expected), NULL, "what it must answer when we call" },
    { "address", KEY_TEXT, 1, 255, NULL, "", true, P(address), NULL, "host to call; without it we never call" },
    { "port", KEY_U16, 1, 65535, "5000", "", true, P(port), NULL, "port to call" },
    { "tls.enabled", KEY_BOOL, 0, 0, "false", "", true, P(tls.enabled), NULL, "call over TLS" },
    { "tls.authorities", KEY_PATH, 0, 0, NULL, "", true, P(tls.authorities), NULL, "who may sign its certificate; default: the system's" },
    { "tls.certificate", KEY_PATH, 0, 0, NULL, "", true, P(tls.certificate), NULL, "our chain for mutual TLS" },
    { "tls.key", KEY_PATH, 0, 0, NULL, "", true, P(tls.key), NULL, "its key" },
    { "tls.keystore", KEY_TEXT, 1, 64, NULL, "", true, P(tls.keystore), NULL, "keystore of the store by its name, instead of tls.certificate and tls.key; default: the default one, if any" },
    { "tls.truststore", KEY_TEXT, 1, 64, NULL, "", true, P(tls.truststore), NULL, "truststore of the store by its name, instead of tls.authorities; default: the default one, if any" },
    { "tls.host_name", KEY_TEXT, 1, 255, NULL, "", true, P(tls.host_name), NULL, "name to check instead of the address" },
    { "tls.pin_sha256", KEY_TEXT, 64, 64, NULL, "", true, P(tls.pin_sha256), NULL, "SHA-256 of its public key in hex, instead of authorities" },
    { "tls.min_version", KEY_VERSION, 0, 0, "1.2", "", true, P(tls.min_version), VERSIONS, "oldest TLS accepted" },
    { "client_certificate_sha256", KEY_TEXT, 64, 64, NULL, "", true, P(client_certificate_sha256), NULL, "certificate it must show when it calls, SHA-256 in hex" },
    { "addresses", KEY_ADDRESSES, 0, 256, NULL, "", true, P(addresses), NULL, "from where it may call: \"192.0.2.7\", \"2001:db8::/32\"" },
    { "profile", KEY_PROFILE, 0, 0, "standard", "", true, P(profile), NULL, "how its product speaks; the keys below change single habits" },
    { "framing", KEY_CHOICE, 0, 0, "", "", true, P(profile.framing), FRAMINGS, "length before each entity; default: the profile's" },
    { "preconnection", KEY_BOOL, 0, 0, "", "", true, P(profile.preconnection), NULL, "send the 24-byte message first" },
    { "sync_interval_kb", KEY_U16, 0, 65535, "", "KiB", true, P(profile.sync_interval_kb), NULL, "PI 7: 0 none, 65535 undefined" },
    { "sync_window", KEY_U8, 0, 16, "", "", true, P(profile.sync_window), NULL, "points not yet acknowledged" },
    { "max_entity_bytes", KEY_U16, 128, 65535, "", "B", true, P(profile.max_entity_bytes), NULL, "PI 25" },
    { "multi_article", KEY_BOOL, 0, 0, "", "", true, P(profile.multi_article), NULL, "several articles in a DTF" },
    { "segmentation", KEY_BOOL, 0, 0, "", "", true, P(profile.segmentation), NULL, "articles longer than an entity" },
    { "concatenation", KEY_BOOL, 0, 0, "", "", true, P(profile.concatenation), NULL, "several FPDUs in an entity" },
    { "strict", KEY_BOOL, 0, 0, "", "", true, P(profile.strict), NULL, "refuse what is otherwise tolerated" },
    { "abort_as_units", KEY_BOOL, 0, 0, "", "", true, P(profile.abort_as_units), NULL, "PI 2 of ABORT as a unit" },
    { "omit_defaults", KEY_BOOL, 0, 0, "", "", true, P(profile.omit_defaults), NULL, "no PI 7 and PI 23 in CONNECT where nothing is asked" },
    { "select_names_id", KEY_BOOL, 0, 0, "", "", true, P(profile.select_names_id), NULL, "PI 13 of SELECT is a number of ours instead of 0" },
    { "label_is_name", KEY_BOOL, 0, 0, "", "", true, P(profile.label_is_name), NULL, "PI 37 is the file's name, PI 12 its flow: label is \"{name}\" where a virtual file has none" },
    { "size_in_bytes", KEY_BOOL, 0, 0, "", "", true, P(profile.size_in_bytes), NULL, "its PI 42 counts bytes, not KB" },
    { "restart", KEY_BOOL, 0, 0, "", "", true, P(profile.restart), NULL, "PI 15 may be 1" },
    { "resend_unknown", KEY_BOOL, 0, 0, "", "", true, P(profile.resend_unknown), NULL, "a restart it does not know (2/214) is sent as a new transfer" },
    { "may_write", KEY_BOOL, 0, 0, "true", "", true, P(may_write), NULL, "it may push files to us" },
    { "may_read", KEY_BOOL, 0, 0, "true", "", true, P(may_read), NULL, "it may fetch what we offer" },
    { "max_connections", KEY_U32, 1, 10000, "8", "", true, P(max_connections), NULL, "in both directions" },
    { "outgoing_connections", KEY_U32, 1, 10000, "4", "", true, P(outgoing_connections), NULL, "of which we open" },
    { "time_zone", KEY_ZONE, 0, 0, "UTC", "", true, P(zone), NULL, "of dates in templates and PI 51" },
    { "retry_attempts", KEY_U32, 1, 1000, "5", "", true, P(retry_attempts), NULL, "without progress, the first included" },
    { "retry_delays_s", KEY_DELAYS, 0, 604800, NULL, "s", true, P(retry_delays_s), NULL, "the last repeats; default [60, 120, 300, 600, 1200]" },
    { "idle_s", KEY_U32, 0, 3600, "30", "s", true, P(idle_s), NULL, "an unused connection of ours is released" },
    { "active_hours", KEY_TEXT, 11, 11, NULL, "", true, P(active_hours), NULL, "\"08:00-20:00\" in its time zone; what is queued waits for them" },
    { "files", KEY_GROUPS, 0, 10000, NULL, "", true, P(files), NULL, "the virtual files" },
    { NULL },
};

static const ConfigKey FILE_KEYS[] = {
    { "pattern", KEY_TEXT, 1, 255, "", "", true, V(pattern), NULL, "path below the partner's folder, * and ? as in a shell" },
    { "description", KEY_TEXT, 0, 255, NULL, "", true, V(description), NULL, "for people" },
    { "enabled", KEY_BOOL, 0, 0, "true", "", true, V(enabled), NULL, "false: nothing new is taken by it, and what is queued waits" },
    { "mode", KEY_CHOICE, 0, 0, "", "", true, V(mode), MODES, "who calls, and which way the file goes" },
    { "file_name", KEY_TEXT, 1, 255, "{name}", "", true, V(file_name), NULL, "PI 12, a template" },
    { "label", KEY_TEXT, 1, 255, NULL, "", true, V(label), NULL, "PI 37, a template" },
    { "free_text", KEY_TEXT, 1, 254, NULL, "", true, V(free_text), NULL, "PI 99, a template" },
    { "file_type", KEY_U16, 0, 65535, "0", "", true, V(file_type), NULL, "PI 11" },
    { "data_code", KEY_CODE, 0, 0, "", "", true, V(data_code), CODES, "PI 16; default by format" },
    { "priority", KEY_U8, 0, 2, "0", "", true, V(priority), NULL, "PI 17; 0 is sent first, 2 last" },
    { "format", KEY_CHOICE, 0, 0, "binary", "", true, V(format), RECORDS, "how bytes become articles" },
    { "record_length", KEY_U16, 0, 65535, "0", "B", true, V(record_length), NULL, "PI 32; 0: chosen" },
    { "empty_line", KEY_CHOICE, 0, 0, "space", "", true, V(empty_line), EMPTY_LINES, "an empty line is sent as" },
    { "long_line", KEY_CHOICE, 0, 0, "refuse", "", true, V(long_line), LONG_LINES, "a line longer than the record" },
    { "line_end", KEY_CHOICE, 0, 0, "lf", "", true, V(line_end), LINE_ENDS, "of received lines" },
    { "trim", KEY_BOOL, 0, 0, "false", "", true, V(trim), NULL, "remove the blanks that pad received records" },
    { "commit", KEY_CHOICE, 0, 0, "close", "", true, V(commit), COMMITS, "a file is complete when closed, or when renamed" },
    { "ack", KEY_CHOICE, 0, 0, "sent", "", true, V(ack), ACKS, "close() answers when sent, or when spooled" },
    { "wait_s", KEY_U32, 1, 86400, "600", "s", true, V(wait_s), NULL, "how long close() waits" },
    { "max_mb", KEY_MB, 0, 1 << 30, "0", "MiB", true, V(max_bytes), NULL, "larger files are refused; 0: no limit" },
    { "existing", KEY_CHOICE, 0, 0, "refuse", "", true, V(existing), EXISTING, "a received file that is there already" },
    { "allow_empty", KEY_BOOL, 0, 0, "false", "", true, V(allow_empty), NULL, "send files without a byte" },
    { "replace_queued", KEY_BOOL, 0, 0, "false", "", true, V(replace_queued), NULL, "a new version replaces one not yet sent" },
    { "client", KEY_TEXT, 1, 24, NULL, "", true, V(client), NULL, "PI 61" },
    { "bank", KEY_TEXT, 1, 24, NULL, "", true, V(bank), NULL, "PI 62" },
    { NULL },
};
/* of the store only: no file has them */
static const ConfigKey CERTIFICATES_KEYS[] = {
    { "name", KEY_TEXT, 1, 64, NULL, "", true, S(name), NULL, "what partners and listeners call it" },
    { "kind", KEY_CHOICE, 0, 0, "keystore", "", true, S(kind), STORE_KINDS, "a certificate of ours with its key, or those that we trust" },
    { "description", KEY_TEXT, 0, 255, NULL, "", true, S(description), NULL, "for people" },
    { "format", KEY_TEXT, 0, 16, NULL, "", true, S(format), NULL, "what was read: PEM, PKCS12" },
    { "purpose", KEY_TEXT, 0, 16, NULL, "", true, S(purpose), NULL, "SERVER, CLIENT, CA, …" },
    { "partner", KEY_TEXT, 0, 64, NULL, "", true, S(partner), NULL, "for whom it is" },
    { "alias", KEY_TEXT, 0, 255, NULL, "", true, S(alias), NULL, "of the key" },
    { "active", KEY_BOOL, 0, 0, "true", "", true, S(active), NULL, "false: nobody may use it" },
    { "is_default", KEY_BOOL, 0, 0, "false", "", true, S(is_default), NULL, "for those who name none" },
    { "certificates", KEY_TEXT, 0, 0, NULL, "", true, S(certificates), NULL, "PEM, the own one first" },
    { "key", KEY_SECRET, 0, 0, NULL, "", true, S(key), NULL, "PEM, sealed" },
    { NULL },
};
/* clang-format on */

const ConfigScope CONFIG_CERTIFICATES = {"certificates.[].", CERTIFICATES_KEYS};
const ConfigScope CONFIG_ROOT = {"", ROOT_KEYS};
const ConfigScope CONFIG_LISTENER = {"listeners.[].", LISTENER_KEYS};
const ConfigScope CONFIG_ADMIN_LISTENER = {"admin.listeners.[].", ADMIN_LISTENER_KEYS};
const ConfigScope CONFIG_PARTNER = {"partners.[].", PARTNER_KEYS};
const ConfigScope CONFIG_FILE = {"partners.[].files.[].", FILE_KEYS};

static const char *kind_name(KeyKind kind)
{
    switch (kind) {
    case KEY_TEXT:
        return "text";
    case KEY_PATH:
        return "path";
    case KEY_SECRET:
        return "secret";
    case KEY_BOOL:
        return "true or false";
    case KEY_U8:
    case KEY_U16:
    case KEY_U32:
    case KEY_MB:
        return "number";
    case KEY_MODE:
        return "octal text";
    case KEY_ADDRESSES:
        return "list of addresses";
    case KEY_FOLDERS:
        return "list of absolute paths";
    case KEY_DELAYS:
        return "list of numbers";
    case KEY_ZONE:
        return "time zone";
    case KEY_PROFILE:
        return "profile";
    case KEY_CHOICE:
    case KEY_VERSION:
    case KEY_CODE:
        return "choice";
    case KEY_GROUPS:
        return "list of groups";
    }
    return "";
}

static void describe_range(GString *text, const ConfigKey *key)
{
    if (key->choices != NULL) {
        for (int i = 0; key->choices[i] != NULL; i++)
            g_string_append_printf(text, "%s`%s`", i > 0 ? ", " : "", key->choices[i]);
    } else if ((key->kind == KEY_TEXT || key->kind == KEY_SECRET) && key->max > 0) {
        g_string_append_printf(text, "%" G_GINT64_FORMAT " to %" G_GINT64_FORMAT " characters",
                               key->min, key->max);
    } else if (key->max > 0 && key->kind != KEY_MODE && key->kind != KEY_GROUPS &&
               key->kind != KEY_ADDRESSES && key->kind != KEY_FOLDERS) {
        g_string_append_printf(text, "%" G_GINT64_FORMAT " to %" G_GINT64_FORMAT " %s", key->min,
                               key->max, key->unit);
    }
}

char *config_describe_keys(void)
{
    static const ConfigScope *const SCOPES[] = {&CONFIG_ROOT, &CONFIG_ADMIN_LISTENER,
                                                &CONFIG_LISTENER, &CONFIG_PARTNER, &CONFIG_FILE};
    GString *text = g_string_new(
            "| Key | Kind | Range | Default | Reload | Meaning |\n|---|---|---|---|---|---|\n");

    for (size_t i = 0; i < G_N_ELEMENTS(SCOPES); i++) {
        for (const ConfigKey *key = SCOPES[i]->keys; key->path != NULL; key++) {
            const char *fallback = key->fallback != NULL ? key->fallback : "";

            g_string_append_printf(text, "| `%s%s` | %s | ", SCOPES[i]->name, key->path,
                                   kind_name(key->kind));
            describe_range(text, key);
            g_string_append_printf(text, " | %s | %s | %s |\n", fallback,
                                   key->reloadable ? "yes" : "restart", key->summary);
        }
    }
    return g_string_free(text, FALSE);
}
