/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every route, once: method, path, who may see it, the role it needs, its body, its handler. Aliases of PeSIT Wizard
 * are rows with the same operation. openapi.yaml, docs/api.md and the tests are held against these rows.
 */
#include "admin/admin-private.h"

#include <string.h>

#define SEGMENTS_MAX 12

#define ALL    FAMILY_ALL
#define SERVER FAMILY_SERVER
#define CLIENT FAMILY_CLIENT
#define BOTH   (FAMILY_SERVER | FAMILY_CLIENT)
#define FLEET  FAMILY_ADMIN

/* clang-format off */
const Route ROUTES[] = {
    { "GET", "/health/live", ALL, ROLE_PUBLIC, BODY_NONE, health_live, "live", "Whether the main loop turns", health_live_at_once },
    { "GET", "/health/ready", ALL, ROLE_PUBLIC, BODY_NONE, health_ready, "ready", "Each dependency with its state, within a second", health_ready_at_once },
    { "GET", "/actuator/health", ALL, ROLE_PUBLIC, BODY_NONE, health_ready, "ready", "Alias of /health/ready", health_ready_at_once },
    { "GET", "/actuator/health/liveness", ALL, ROLE_PUBLIC, BODY_NONE, health_live, "live", "Alias of /health/live", health_live_at_once },
    { "GET", "/actuator/health/readiness", ALL, ROLE_PUBLIC, BODY_NONE, health_ready, "ready", "Alias of /health/ready", health_ready_at_once },
    { "GET", "/actuator/info", ALL, ROLE_VIEWER, BODY_NONE, health_info, "info", "Name and version" },
    { "GET", "/metrics", ALL, ROLE_VIEWER, BODY_NONE, health_metrics, "metrics", "For Prometheus" },
    { "GET", "/actuator/prometheus", ALL, ROLE_VIEWER, BODY_NONE, health_metrics, "metrics", "Alias of /metrics" },
    { "GET", "/openapi.yaml", ALL, ROLE_VIEWER, BODY_NONE, openapi_show, "openapi", "This contract" },
    { "GET", "/api/v1/me", ALL, ROLE_PARTNER, BODY_NONE, auth_show_me, "me", "Who the credential is" },
    { "GET", "/api/v1/status", ALL, ROLE_VIEWER, BODY_NONE, service_status, "status", "The daemon in numbers" },
    { "GET", "/api/v1/config", BOTH, ROLE_VIEWER, BODY_NONE, overview_config, "config", "What the daemon is" },
    { "GET", "/api/v1/system/info", ALL, ROLE_VIEWER, BODY_NONE, overview_system, "system", "The daemon and its machine" },
    { "GET", "/api/v1/dashboard", BOTH, ROLE_VIEWER, BODY_NONE, overview_dashboard, "dashboard", "Today in numbers" },
    { "GET", "/api/v1/dashboard/stats", BOTH, ROLE_VIEWER, BODY_NONE, overview_dashboard, "dashboard", "Alias" },
    { "GET", "/api/cluster/status", SERVER, ROLE_VIEWER, BODY_NONE, overview_cluster, "clusterStatus", "The daemons that share the schema" },
    { "GET", "/api/cluster/members", SERVER, ROLE_VIEWER, BODY_NONE, overview_members, "clusterMembers", "Each of them" },
    { "GET", "/api/cluster/leader", SERVER, ROLE_VIEWER, BODY_NONE, overview_leader, "clusterLeader", "Who is alone leads; of several none does" },
    { "GET", "/api/cluster/ownership", SERVER, ROLE_VIEWER, BODY_NONE, overview_ownership, "clusterOwnership", "Listeners that are open, and whose" },
    { "GET", "/api/v1/backup", SERVER, ROLE_ADMIN, BODY_NONE, overview_backups, "backups", "Always empty: who asks for a backup gets it" },
    { "POST", "/api/v1/backup", SERVER, ROLE_ADMIN, BODY_NONE, overview_back_up, "backUp", "Configuration, sealed, and store in one file" },
    { "POST", "/api/v1/reload", SERVER, ROLE_ADMIN, BODY_NONE, service_reload, "reload", "Reads the configuration again" },
    { "GET", "/api/v1/events", BOTH, ROLE_PARTNER, BODY_NONE, events_open, "events", "Changes of transfers as server-sent events" },

    { "GET", "/api/v1/apikeys", ALL, ROLE_ADMIN, BODY_NONE, credentials_list_keys, "keys", "Keys, without their secrets" },
    { "GET", "/api/v1/apikeys/active", ALL, ROLE_ADMIN, BODY_NONE, credentials_list_active_keys, "activeKeys", "Those that hold still" },
    { "POST", "/api/v1/apikeys", ALL, ROLE_ADMIN, BODY_JSON, credentials_create_key, "createKey", "A new key, shown once; or a client certificate" },
    { "GET", "/api/v1/apikeys/{id}", ALL, ROLE_ADMIN, BODY_NONE, credentials_show_key, "key", "One key" },
    { "PUT", "/api/v1/apikeys/{id}", ALL, ROLE_ADMIN, BODY_JSON, credentials_update_key, "updateKey", "Changes the fields that are given" },
    { "DELETE", "/api/v1/apikeys/{id}", ALL, ROLE_ADMIN, BODY_NONE, credentials_remove_key, "removeKey", "The key holds no longer" },
    { "POST", "/api/v1/apikeys/{id}/revoke", ALL, ROLE_ADMIN, BODY_NONE, credentials_remove_key, "removeKey", "Alias of DELETE" },
    { "POST", "/api/v1/apikeys/{id}/regenerate", ALL, ROLE_ADMIN, BODY_NONE, credentials_regenerate_key, "regenerateKey", "Other bytes for the same key, shown once; its id is new" },
    { "GET", "/api/v1/users", ALL, ROLE_ADMIN, BODY_NONE, credentials_list_users, "users", "Users" },
    { "POST", "/api/v1/users", ALL, ROLE_ADMIN, BODY_JSON, credentials_create_user, "createUser", "A user with a password" },
    { "GET", "/api/v1/users/{name}", ALL, ROLE_ADMIN, BODY_NONE, credentials_show_user, "user", "One user" },
    { "PUT", "/api/v1/users/{name}", ALL, ROLE_ADMIN, BODY_JSON, credentials_update_user, "updateUser", "Changes the fields that are given, or the password" },
    { "DELETE", "/api/v1/users/{name}", ALL, ROLE_ADMIN, BODY_NONE, credentials_remove_user, "removeUser", "The user is gone" },
    { "GET", "/api/v1/audit", ALL, ROLE_ADMIN, BODY_NONE, audit_list, "audit", "Who did what" },
    { "GET", "/api/v1/audit/search", ALL, ROLE_ADMIN, BODY_NONE, audit_list, "audit", "Alias" },
    { "GET", "/api/v1/audit/recent", ALL, ROLE_ADMIN, BODY_NONE, audit_list_recent, "recentAudit", "The last rows" },
    { "GET", "/api/v1/audit/failures", ALL, ROLE_ADMIN, BODY_NONE, audit_list_failures, "auditFailures", "What did not go well" },
    { "GET", "/api/v1/audit/security", ALL, ROLE_ADMIN, BODY_NONE, audit_list_security, "auditSecurity", "Keys, users, certificates" },
    { "GET", "/api/v1/audit/transfers", ALL, ROLE_ADMIN, BODY_NONE, audit_list_transfers, "auditTransfers", "Transfers and what was done with them" },
    { "GET", "/api/v1/audit/user/{username}", ALL, ROLE_ADMIN, BODY_NONE, audit_list_user, "auditOfUser", "What somebody did: key:NAME, user:NAME, uid:N, partner:NAME" },
    { "GET", "/api/v1/audit/category/{category}", ALL, ROLE_ADMIN, BODY_NONE, audit_list_category, "auditOfCategory", "TRANSFER, SECURITY, CONFIGURATION or SYSTEM" },
    { "GET", "/api/v1/audit/stats", ALL, ROLE_ADMIN, BODY_NONE, audit_statistics, "auditStatistics", "The last 1000 rows in numbers" },
    { "GET", "/api/v1/audit/verify", ALL, ROLE_ADMIN, BODY_NONE, audit_verify, "verifyAudit", "Whether the trail is whole" },

    { "GET", "/api/servers", SERVER, ROLE_VIEWER, BODY_NONE, listeners_list, "listeners", "PeSIT listeners" },
    { "POST", "/api/servers", SERVER, ROLE_ADMIN, BODY_JSON, listeners_create, "createListener", "A new listener, in the store" },
    { "GET", "/api/servers/{id}", SERVER, ROLE_VIEWER, BODY_NONE, listeners_show, "listener", "One listener" },
    { "PUT", "/api/servers/{id}", SERVER, ROLE_ADMIN, BODY_JSON, listeners_update, "updateListener", "Changes the fields that are given" },
    { "DELETE", "/api/servers/{id}", SERVER, ROLE_ADMIN, BODY_NONE, listeners_remove, "removeListener", "The listener is gone" },
    { "GET", "/api/servers/{id}/status", SERVER, ROLE_VIEWER, BODY_NONE, listeners_status, "listenerStatus", "Whether it listens" },
    { "POST", "/api/servers/{id}/start", SERVER, ROLE_OPERATOR, BODY_NONE, listeners_start, "startListener", "Opens its socket" },
    { "POST", "/api/servers/{id}/stop", SERVER, ROLE_OPERATOR, BODY_NONE, listeners_stop, "stopListener", "Closes its socket; connections stay" },
    { "GET", "/api/v1/config/partners", SERVER, ROLE_VIEWER, BODY_NONE, partners_list, "partners", "Partners with their virtual files" },
    { "GET", "/api/partners", SERVER, ROLE_VIEWER, BODY_NONE, partners_list, "partners", "Alias" },
    { "POST", "/api/v1/config/partners", SERVER, ROLE_ADMIN, BODY_JSON, partners_create, "createPartner", "A new partner, in the store" },
    { "POST", "/api/partners", SERVER, ROLE_ADMIN, BODY_JSON, partners_create, "createPartner", "Alias" },
    { "GET", "/api/v1/config/partners/{id}", SERVER, ROLE_VIEWER, BODY_NONE, partners_show, "partner", "One partner" },
    { "GET", "/api/partners/{id}", SERVER, ROLE_VIEWER, BODY_NONE, partners_show, "partner", "Alias" },
    { "PUT", "/api/v1/config/partners/{id}", SERVER, ROLE_ADMIN, BODY_JSON, partners_update, "updatePartner", "Changes the fields that are given" },
    { "PUT", "/api/partners/{id}", SERVER, ROLE_ADMIN, BODY_JSON, partners_update, "updatePartner", "Alias" },
    { "POST", "/api/partners/{id}/password", SERVER, ROLE_ADMIN, BODY_JSON, partners_update, "updatePartner", "Alias: password alone" },
    { "DELETE", "/api/v1/config/partners/{id}", SERVER, ROLE_ADMIN, BODY_NONE, partners_remove, "removePartner", "The partner is gone, with its virtual files" },
    { "DELETE", "/api/partners/{id}", SERVER, ROLE_ADMIN, BODY_NONE, partners_remove, "removePartner", "Alias" },
    { "GET", "/api/v1/partners", BOTH, ROLE_VIEWER, BODY_NONE, partners_list, "partners", "Alias" },
    { "POST", "/api/v1/partners", BOTH, ROLE_ADMIN, BODY_JSON, partners_create, "createPartner", "Alias" },
    { "GET", "/api/v1/partners/active", BOTH, ROLE_VIEWER, BODY_NONE, partners_list_enabled, "enabledPartners", "Those that are enabled" },
    { "GET", "/api/v1/partners/search", BOTH, ROLE_VIEWER, BODY_NONE, partners_search, "searchPartners", "Those that have a text in name or description" },
    { "GET", "/api/v1/partners/stats", BOTH, ROLE_VIEWER, BODY_NONE, partners_statistics, "partnerStatistics", "Partners in numbers" },
    { "GET", "/api/v1/partners/{partner}/certificates", BOTH, ROLE_VIEWER, BODY_NONE, certificates_list_partner, "certificatesOfPartner", "Alias" },
    { "GET", "/api/v1/partners/{id}/audit", BOTH, ROLE_ADMIN, BODY_NONE, audit_list_partner, "auditOfPartner", "What was done with it, and its transfers" },
    { "GET", "/api/v1/partners/{id}", BOTH, ROLE_VIEWER, BODY_NONE, partners_show, "partner", "Alias" },
    { "PUT", "/api/v1/partners/{id}", BOTH, ROLE_ADMIN, BODY_JSON, partners_update, "updatePartner", "Alias" },
    { "DELETE", "/api/v1/partners/{id}", BOTH, ROLE_ADMIN, BODY_NONE, partners_remove, "removePartner", "Alias" },
    { "POST", "/api/v1/partners/{id}/activate", BOTH, ROLE_ADMIN, BODY_NONE, partners_enable, "enablePartner", "It is let in and called" },
    { "POST", "/api/v1/partners/{id}/deactivate", BOTH, ROLE_ADMIN, BODY_NONE, partners_disable, "disablePartner", "It is neither let in nor called" },
    { "POST", "/api/v1/partners/{id}/test", BOTH, ROLE_OPERATOR, BODY_NONE, servers_test, "testPartner", "Alias" },
    { "GET", "/api/v1/partners/{id}/files", BOTH, ROLE_VIEWER, BODY_NONE, files_list_of_partner, "filesOfPartner", "Its virtual files" },
    { "POST", "/api/v1/partners/{id}/files", BOTH, ROLE_ADMIN, BODY_JSON, files_create_of_partner, "createFile", "Alias: of this partner" },
    { "GET", "/api/v1/partners/{id}/transfers", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list_partner, "transfersOfPartner", "Alias" },
    { "GET", "/api/v1/config/files", SERVER, ROLE_VIEWER, BODY_NONE, files_list, "files", "Virtual files" },
    { "GET", "/api/virtual-files", SERVER, ROLE_VIEWER, BODY_NONE, files_list, "files", "Alias" },
    { "POST", "/api/v1/config/files", SERVER, ROLE_ADMIN, BODY_JSON, files_create, "createFile", "A new virtual file of a partner, in the store" },
    { "POST", "/api/virtual-files", SERVER, ROLE_ADMIN, BODY_JSON, files_create, "createFile", "Alias" },
    { "GET", "/api/v1/config/files/{id}", SERVER, ROLE_VIEWER, BODY_NONE, files_show, "file", "One virtual file: PARTNER%2FPATTERN" },
    { "GET", "/api/virtual-files/{id}", SERVER, ROLE_VIEWER, BODY_NONE, files_show, "file", "Alias" },
    { "PUT", "/api/v1/config/files/{id}", SERVER, ROLE_ADMIN, BODY_JSON, files_update, "updateFile", "Changes the fields that are given" },
    { "PUT", "/api/virtual-files/{id}", SERVER, ROLE_ADMIN, BODY_JSON, files_update, "updateFile", "Alias" },
    { "DELETE", "/api/v1/config/files/{id}", SERVER, ROLE_ADMIN, BODY_NONE, files_remove, "removeFile", "The virtual file is gone" },
    { "DELETE", "/api/virtual-files/{id}", SERVER, ROLE_ADMIN, BODY_NONE, files_remove, "removeFile", "Alias" },

    { "GET", "/api/v1/certificates", BOTH, ROLE_VIEWER, BODY_NONE, certificates_list, "certificates", "Keystores and truststores, without keys" },
    { "GET", "/api/v1/certificates/keystores", BOTH, ROLE_VIEWER, BODY_NONE, certificates_list_keystores, "keystores", "Certificates of ours that have a key" },
    { "POST", "/api/v1/certificates/keystores", BOTH, ROLE_ADMIN, BODY_FORM, certificates_import_keystore, "importKeystore", "Imports a certificate with its key: PKCS12 or PEM" },
    { "POST", "/api/v1/certificates/keystores/create", BOTH, ROLE_ADMIN, BODY_FORM, certificates_create_keystore, "createKeystore", "A new keystore with nothing in it" },
    { "GET", "/api/v1/certificates/keystores/default", BOTH, ROLE_VIEWER, BODY_NONE, certificates_show_default_keystore, "defaultKeystore", "For partners that name none" },
    { "GET", "/api/v1/certificates/truststores", BOTH, ROLE_VIEWER, BODY_NONE, certificates_list_truststores, "truststores", "Certificates that we trust" },
    { "POST", "/api/v1/certificates/truststores", BOTH, ROLE_ADMIN, BODY_FORM, certificates_import_truststore, "importTruststore", "Imports certificates to trust: PKCS12 or PEM" },
    { "POST", "/api/v1/certificates/truststores/create", BOTH, ROLE_ADMIN, BODY_FORM, certificates_create_truststore, "createTruststore", "A new truststore with nothing in it" },
    { "GET", "/api/v1/certificates/truststores/default", BOTH, ROLE_VIEWER, BODY_NONE, certificates_show_default_truststore, "defaultTruststore", "For partners that name none" },
    { "GET", "/api/v1/certificates/name/{name}", BOTH, ROLE_VIEWER, BODY_NONE, certificates_show_name, "certificatesByName", "One by its name" },
    { "GET", "/api/v1/certificates/expiring", BOTH, ROLE_VIEWER, BODY_NONE, certificates_list_expiring, "expiringCertificates", "Those that expire within days" },
    { "GET", "/api/v1/certificates/expired", BOTH, ROLE_VIEWER, BODY_NONE, certificates_list_expired, "expiredCertificates", "Those that have expired" },
    { "GET", "/api/v1/certificates/partner/{partner}", BOTH, ROLE_VIEWER, BODY_NONE, certificates_list_partner, "certificatesOfPartner", "Those made for a partner, or used by it" },
    { "GET", "/api/v1/certificates/stats", BOTH, ROLE_VIEWER, BODY_NONE, certificates_statistics, "certificateStatistics", "Certificates in numbers" },
    { "POST", "/api/v1/certificates/ca/initialize", BOTH, ROLE_ADMIN, BODY_FORM, ca_initialize, "initializeAuthority", "The private authority, made when there is none" },
    { "GET", "/api/v1/certificates/ca/certificate", BOTH, ROLE_VIEWER, BODY_NONE, ca_show, "authority", "The authority's certificate in PEM" },
    { "POST", "/api/v1/certificates/ca/csr", BOTH, ROLE_ADMIN, BODY_FORM, ca_request, "makeRequest", "A new key and its request to sign, shown once" },
    { "POST", "/api/v1/certificates/ca/sign", BOTH, ROLE_ADMIN, BODY_FORM, ca_sign, "signRequest", "Signs a request" },
    { "POST", "/api/v1/certificates/ca/partner/{partner}/generate", BOTH, ROLE_ADMIN, BODY_FORM, ca_generate, "generateCertificate", "A key and a signed certificate for a partner, shown once" },
    { "POST", "/api/v1/certificates/ca/verify", BOTH, ROLE_VIEWER, BODY_FORM, ca_verify, "verifyCertificate", "Whether the authority signed a certificate" },
    { "GET", "/api/v1/certificates/{id}", BOTH, ROLE_VIEWER, BODY_NONE, certificates_show, "certificate", "One by its id or its name" },
    { "PUT", "/api/v1/certificates/{id}", BOTH, ROLE_ADMIN, BODY_FORM, certificates_update, "updateCertificates", "Changes the fields that are given, or the file" },
    { "DELETE", "/api/v1/certificates/{id}", BOTH, ROLE_ADMIN, BODY_NONE, certificates_remove, "removeCertificates", "Removed; refused while somebody uses it" },
    { "GET", "/api/v1/certificates/{id}/info", BOTH, ROLE_VIEWER, BODY_NONE, certificates_show_info, "certificateInfo", "Its certificates in PEM, with their entries" },
    { "GET", "/api/v1/certificates/{id}/entries", BOTH, ROLE_VIEWER, BODY_NONE, certificates_show_entries, "certificateEntries", "What is in it, one by one" },
    { "DELETE", "/api/v1/certificates/{id}/entries/{alias}", BOTH, ROLE_ADMIN, BODY_NONE, certificates_remove_entry, "removeCertificateEntry", "Takes one out" },
    { "POST", "/api/v1/certificates/{id}/certificates", BOTH, ROLE_ADMIN, BODY_FORM, certificates_add, "addCertificate", "Puts a certificate in, under an alias" },
    { "POST", "/api/v1/certificates/{id}/keypair", BOTH, ROLE_ADMIN, BODY_FORM, certificates_put_pair, "putKeyPair", "Puts a certificate and its key in" },
    { "POST", "/api/v1/certificates/{id}/set-default", BOTH, ROLE_ADMIN, BODY_NONE, certificates_set_default, "setDefaultCertificates", "For partners that name none; the one before is no longer" },
    { "POST", "/api/v1/certificates/{id}/activate", BOTH, ROLE_ADMIN, BODY_NONE, certificates_activate, "activateCertificates", "It may be used" },
    { "POST", "/api/v1/certificates/{id}/deactivate", BOTH, ROLE_ADMIN, BODY_NONE, certificates_deactivate, "deactivateCertificates", "It may not be used; refused while somebody does" },
    { "POST", "/api/v1/certificates/{id}/validate", BOTH, ROLE_VIEWER, BODY_NONE, certificates_validate, "validateCertificates", "Whether key, chain and dates are good" },

    { "GET", "/api/v1/servers", CLIENT, ROLE_VIEWER, BODY_NONE, servers_list, "servers", "Partners that we can call" },
    { "POST", "/api/v1/servers", CLIENT, ROLE_ADMIN, BODY_JSON, partners_create, "createPartner", "Alias" },
    { "GET", "/api/v1/servers/default", CLIENT, ROLE_VIEWER, BODY_NONE, servers_show_default, "defaultServer", "The one that is meant where a request names none" },
    { "POST", "/api/v1/servers/{id}/default", CLIENT, ROLE_ADMIN, BODY_NONE, servers_set_default, "setDefaultServer", "From now on it is meant where a request names none" },
    { "GET", "/api/v1/servers/enabled", CLIENT, ROLE_VIEWER, BODY_NONE, servers_list_enabled, "enabledServers", "Those that are enabled" },
    { "GET", "/api/v1/servers/name/{id}", CLIENT, ROLE_VIEWER, BODY_NONE, partners_show, "partner", "Alias" },
    { "GET", "/api/v1/servers/{id}", CLIENT, ROLE_VIEWER, BODY_NONE, partners_show, "partner", "Alias" },
    { "PUT", "/api/v1/servers/{id}", CLIENT, ROLE_ADMIN, BODY_JSON, partners_update, "updatePartner", "Alias" },
    { "DELETE", "/api/v1/servers/{id}", CLIENT, ROLE_ADMIN, BODY_NONE, partners_remove, "removePartner", "Alias" },
    { "POST", "/api/v1/servers/{id}/test", CLIENT, ROLE_OPERATOR, BODY_NONE, servers_test, "testPartner", "Calls it: CONNECT and RELEASE, no file" },
    { "GET", "/api/v1/servers/{id}/tls", CLIENT, ROLE_VIEWER, BODY_NONE, partner_tls_show, "partnerTls", "What it has for TLS" },
    { "POST", "/api/v1/servers/{id}/tls/keystore", CLIENT, ROLE_ADMIN, BODY_FORM, partner_tls_put_keystore, "putPartnerKeystore", "Imports its keystore, and uses it" },
    { "DELETE", "/api/v1/servers/{id}/tls/keystore", CLIENT, ROLE_ADMIN, BODY_NONE, partner_tls_remove_keystore, "removePartnerKeystore", "It uses none" },
    { "POST", "/api/v1/servers/{id}/tls/truststore", CLIENT, ROLE_ADMIN, BODY_FORM, partner_tls_put_truststore, "putPartnerTruststore", "Imports its truststore, and uses it" },
    { "DELETE", "/api/v1/servers/{id}/tls/truststore", CLIENT, ROLE_ADMIN, BODY_NONE, partner_tls_remove_truststore, "removePartnerTruststore", "It uses none" },
    { "POST", "/api/servers/{id}/test", CLIENT, ROLE_OPERATOR, BODY_NONE, servers_test, "testPartner", "Alias" },
    { "POST", "/api/v1/config/partners/{id}/test", BOTH, ROLE_OPERATOR, BODY_NONE, servers_test, "testPartner", "Alias" },

    { "GET", "/api/v1/transfers", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list, "transfers", "Transfers, newest first" },
    { "GET", "/api/v1/transfers/search", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list, "transfers", "Alias" },
    { "GET", "/api/v1/transfers/history", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list, "transfers", "Alias" },
    { "GET", "/api/transfers", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list, "transfers", "Alias" },
    { "GET", "/api/v1/transfers/active", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list_active, "activeTransfers", "Those that have not ended" },
    { "GET", "/api/v1/transfers/active/server/{id}", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list_active_server, "activeTransfersOfServer", "Those that partners move now by a listener" },
    { "GET", "/api/v1/transfers/session/{session}", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list_session, "transfersOfSession", "Those of a PeSIT session" },
    { "GET", "/api/v1/transfers/correlation/{correlation}", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list_correlated, "correlatedTransfers", "Those that their caller named so" },
    { "GET", "/api/v1/transfers/retryable", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list_retryable, "retryableTransfers", "Those that retry would try" },
    { "GET", "/api/v1/transfers/resumable", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list_retryable, "retryableTransfers", "Alias" },
    { "GET", "/api/v1/transfers/status/{status}", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list_status, "transfersOfStatus", "Those of a status" },
    { "GET", "/api/v1/transfers/partner/{id}", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list_partner, "transfersOfPartner", "Those of a partner" },
    { "GET", "/api/v1/transfers/stats", BOTH, ROLE_PARTNER, BODY_NONE, transfers_statistics, "statistics", "Transfers in numbers" },
    { "GET", "/api/v1/transfers/statistics", BOTH, ROLE_PARTNER, BODY_NONE, transfers_statistics, "statistics", "Alias" },
    { "GET", "/api/v1/transfers/stats/daily", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list_days, "dailyStatistics", "Those that ended, by the day on which they began" },
    { "GET", "/api/v1/transfers/stats/partner/{id}", BOTH, ROLE_PARTNER, BODY_NONE, transfers_statistics, "statistics", "Of one partner" },
    { "POST", "/api/v1/transfers", CLIENT, ROLE_OPERATOR, BODY_JSON, transfers_create, "createTransfer", "Sends a file of this machine, or fetches one" },
    { "POST", "/api/v1/transfers/send", CLIENT, ROLE_OPERATOR, BODY_UPLOAD, transfers_send, "send", "Sends a file: uploaded, or of this machine" },
    { "POST", "/api/transfers/send", CLIENT, ROLE_OPERATOR, BODY_UPLOAD, transfers_send, "send", "Alias" },
    { "POST", "/api/v1/transfers/message", CLIENT, ROLE_OPERATOR, BODY_JSON, transfers_message, "sendMessage", "Says a message to a partner: CONNECT, MSG, RELEASE" },
    { "POST", "/api/v1/transfers/receive", CLIENT, ROLE_OPERATOR, BODY_JSON, transfers_receive, "receive", "Fetches a file from a partner" },
    { "POST", "/api/transfers/receive", CLIENT, ROLE_OPERATOR, BODY_JSON, transfers_receive, "receive", "Alias" },
    { "DELETE", "/api/v1/transfers/cleanup", BOTH, ROLE_ADMIN, BODY_NONE, transfers_clean, "cleanTransfers", "Those that ended so long ago go, with their bytes" },
    { "POST", "/api/v1/transfers/cleanup", BOTH, ROLE_ADMIN, BODY_NONE, transfers_clean, "cleanTransfers", "Alias of DELETE" },
    { "GET", "/api/v1/transfers/{id}", BOTH, ROLE_PARTNER, BODY_NONE, transfers_show, "transfer", "One transfer as it is now" },
    { "GET", "/api/transfers/{id}", BOTH, ROLE_PARTNER, BODY_NONE, transfers_show, "transfer", "Alias" },
    { "POST", "/api/v1/transfers/{id}/cancel", BOTH, ROLE_OPERATOR, BODY_NONE, transfers_cancel, "cancel", "Interrupts and cancels" },
    { "POST", "/api/v1/transfers/{id}/retry", BOTH, ROLE_OPERATOR, BODY_NONE, transfers_retry, "retry", "Tries again at once" },
    { "POST", "/api/v1/transfers/{id}/resume", BOTH, ROLE_OPERATOR, BODY_NONE, transfers_retry, "retry", "Alias of retry" },
    { "POST", "/api/v1/transfers/{id}/hold", BOTH, ROLE_OPERATOR, BODY_NONE, transfers_hold, "hold", "It waits until it is released; interrupted when it runs" },
    { "POST", "/api/v1/transfers/{id}/pause", BOTH, ROLE_OPERATOR, BODY_NONE, transfers_hold, "hold", "Alias of hold" },
    { "POST", "/api/v1/transfers/{id}/release", BOTH, ROLE_OPERATOR, BODY_NONE, transfers_release, "release", "What was held goes on" },
    { "POST", "/api/v1/transfers/{id}/replay", BOTH, ROLE_OPERATOR, BODY_NONE, transfers_replay, "replay", "Sends the same bytes as a new transfer" },
    { "GET", "/api/v1/transfers/{id}/retries", BOTH, ROLE_PARTNER, BODY_NONE, transfers_list_retries, "retries", "Its attempts so far, and the next" },
    { "GET", "/api/v1/transfers/{id}/download", BOTH, ROLE_PARTNER, BODY_NONE, transfers_download, "download", "Its bytes" },
    { "GET", "/api/transfers/{id}/download", BOTH, ROLE_PARTNER, BODY_NONE, transfers_download, "download", "Alias" },

    { "GET", "/api/v1/favorites", CLIENT, ROLE_VIEWER, BODY_NONE, favourites_list, "favorites", "Transfers that are wanted again and again" },
    { "POST", "/api/v1/favorites", CLIENT, ROLE_OPERATOR, BODY_JSON, favourites_create, "createFavorite", "A new favorite" },
    { "POST", "/api/v1/favorites/from-history/{id}", CLIENT, ROLE_OPERATOR, BODY_NONE, favourites_create_from_history, "createFavoriteFromHistory", "One that does what a transfer did" },
    { "GET", "/api/v1/favorites/{id}", CLIENT, ROLE_VIEWER, BODY_NONE, favourites_show, "favorite", "One favorite" },
    { "PUT", "/api/v1/favorites/{id}", CLIENT, ROLE_OPERATOR, BODY_JSON, favourites_update, "updateFavorite", "Changes the fields that are given" },
    { "DELETE", "/api/v1/favorites/{id}", CLIENT, ROLE_OPERATOR, BODY_NONE, favourites_remove, "removeFavorite", "The favorite is gone" },
    { "POST", "/api/v1/favorites/{id}/execute", CLIENT, ROLE_OPERATOR, BODY_NONE, favourites_execute, "executeFavorite", "Makes its transfer now" },
    { "GET", "/api/v1/schedules", CLIENT, ROLE_VIEWER, BODY_NONE, schedules_list, "schedules", "Transfers that are made by the clock" },
    { "POST", "/api/v1/schedules", CLIENT, ROLE_OPERATOR, BODY_JSON, schedules_create, "createSchedule", "A new schedule" },
    { "POST", "/api/v1/schedules/from-favorite/{id}", CLIENT, ROLE_OPERATOR, BODY_JSON, schedules_create_from_favourite, "createScheduleFromFavorite", "One that executes a favorite" },
    { "GET", "/api/v1/schedules/{id}", CLIENT, ROLE_VIEWER, BODY_NONE, schedules_show, "schedule", "One schedule, when it is due, and how its last run went" },
    { "PUT", "/api/v1/schedules/{id}", CLIENT, ROLE_OPERATOR, BODY_JSON, schedules_update, "updateSchedule", "Changes the fields that are given; it is due anew" },
    { "DELETE", "/api/v1/schedules/{id}", CLIENT, ROLE_OPERATOR, BODY_NONE, schedules_remove, "removeSchedule", "The schedule is gone" },
    { "POST", "/api/v1/schedules/{id}/toggle", CLIENT, ROLE_OPERATOR, BODY_NONE, schedules_toggle, "toggleSchedule", "Switches it off, or on" },
    { "POST", "/api/v1/schedules/{id}/run", CLIENT, ROLE_OPERATOR, BODY_NONE, schedules_run, "runSchedule", "Makes its transfer now, beside its due times" },
    { "GET", "/api/v1/jobs", CLIENT, ROLE_VIEWER, BODY_NONE, schedules_list, "schedules", "Alias" },
    { "POST", "/api/v1/jobs", CLIENT, ROLE_OPERATOR, BODY_JSON, schedules_create, "createSchedule", "Alias" },
    { "GET", "/api/v1/jobs/{id}", CLIENT, ROLE_VIEWER, BODY_NONE, schedules_show, "schedule", "Alias" },
    { "PUT", "/api/v1/jobs/{id}", CLIENT, ROLE_OPERATOR, BODY_JSON, schedules_update, "updateSchedule", "Alias" },
    { "DELETE", "/api/v1/jobs/{id}", CLIENT, ROLE_OPERATOR, BODY_NONE, schedules_remove, "removeSchedule", "Alias" },
    { "GET", "/api/v1/calendars", CLIENT, ROLE_VIEWER, BODY_NONE, calendars_list, "calendars", "Calendars of working days" },
    { "POST", "/api/v1/calendars", CLIENT, ROLE_OPERATOR, BODY_JSON, calendars_create, "createCalendar", "A new calendar" },
    { "GET", "/api/v1/calendars/default", CLIENT, ROLE_VIEWER, BODY_NONE, calendars_show_default, "defaultCalendar", "The one that schedules go by which name none" },
    { "GET", "/api/v1/calendars/{id}", CLIENT, ROLE_VIEWER, BODY_NONE, calendars_show, "calendar", "One calendar" },
    { "PUT", "/api/v1/calendars/{id}", CLIENT, ROLE_OPERATOR, BODY_JSON, calendars_update, "updateCalendar", "Changes the fields that are given" },
    { "DELETE", "/api/v1/calendars/{id}", CLIENT, ROLE_OPERATOR, BODY_NONE, calendars_remove, "removeCalendar", "The calendar is gone" },
    { "POST", "/api/v1/calendars/{id}/default", CLIENT, ROLE_OPERATOR, BODY_NONE, calendars_set_default, "setDefaultCalendar", "It is the default, and no other" },
    { "GET", "/api/v1/calendars/{id}/holidays", CLIENT, ROLE_VIEWER, BODY_NONE, calendars_list_holidays, "holidays", "Its holidays" },
    { "POST", "/api/v1/calendars/{id}/holidays", CLIENT, ROLE_OPERATOR, BODY_JSON, calendars_add_holiday, "addHoliday", "One more, or those of a set" },
    { "DELETE", "/api/v1/calendars/{id}/holidays/{date}", CLIENT, ROLE_OPERATOR, BODY_NONE, calendars_remove_holiday, "removeHoliday", "It is a holiday no longer" },

    { "GET", "/api/v1/clusters", FLEET, ROLE_VIEWER, BODY_NONE, records_list, "clusters", "Clusters" },
    { "POST", "/api/v1/clusters", FLEET, ROLE_ADMIN, BODY_JSON, clusters_create, "createCluster", "A new cluster, with its schema and its role" },
    { "GET", "/api/v1/clusters/{id}", FLEET, ROLE_VIEWER, BODY_NONE, records_show, "cluster", "One cluster" },
    { "PUT", "/api/v1/clusters/{id}", FLEET, ROLE_ADMIN, BODY_JSON, records_update, "updateCluster", "Replaces a cluster's record" },
    { "DELETE", "/api/v1/clusters/{id}", FLEET, ROLE_ADMIN, BODY_NONE, clusters_remove, "removeCluster", "Drops the cluster's role, its schema and its record" },
    { "POST", "/api/v1/clusters/{id}/credentials", FLEET, ROLE_ADMIN, BODY_NONE, clusters_renew_password, "renewClusterPassword", "Another password for the cluster's role, shown once" },
    { "POST", "/api/v1/clusters/{id}/deploy", FLEET, ROLE_ADMIN, BODY_NONE, records_undeployable, "deploy", "501 in this version" },
    { "GET", "/api/v1/clusters/{id}/deployment/status", FLEET, ROLE_VIEWER, BODY_NONE, records_undeployable, "deploymentStatus", "501 in this version" },
    { "GET", "/api/v1/clusters/{id}/pods", FLEET, ROLE_VIEWER, BODY_NONE, records_undeployable, "pods", "501 in this version" },
    { "GET", "/api/v1/clusters/{id}/pods/{pod}/logs", FLEET, ROLE_VIEWER, BODY_NONE, records_undeployable, "podLogs", "501 in this version" },
    { "GET", "/api/v1/clusters/{id}/partners", FLEET, ROLE_VIEWER, BODY_NONE, cluster_partners_list, "partners", "Those of a cluster, as its daemons have them" },
    { "POST", "/api/v1/clusters/{id}/partners", FLEET, ROLE_ADMIN, BODY_JSON, cluster_partners_create, "createPartner", "Alias" },
    { "GET", "/api/v1/clusters/{id}/partners/{partner}", FLEET, ROLE_VIEWER, BODY_NONE, cluster_partners_show, "partner", "Alias" },
    { "PUT", "/api/v1/clusters/{id}/partners/{partner}", FLEET, ROLE_ADMIN, BODY_JSON, cluster_partners_update, "updatePartner", "Alias" },
    { "DELETE", "/api/v1/clusters/{id}/partners/{partner}", FLEET, ROLE_ADMIN, BODY_NONE, cluster_partners_remove, "removePartner", "Alias" },
    { "GET", "/api/v1/clusters/{id}/virtual-files", FLEET, ROLE_VIEWER, BODY_NONE, cluster_files_list, "files", "Those of a cluster, as its daemons have them" },
    { "POST", "/api/v1/clusters/{id}/virtual-files", FLEET, ROLE_ADMIN, BODY_JSON, cluster_files_create, "createFile", "Alias" },
    { "GET", "/api/v1/clusters/{id}/virtual-files/{file}", FLEET, ROLE_VIEWER, BODY_NONE, cluster_files_show, "file", "Alias" },
    { "PUT", "/api/v1/clusters/{id}/virtual-files/{file}", FLEET, ROLE_ADMIN, BODY_JSON, cluster_files_update, "updateFile", "Alias" },
    { "DELETE", "/api/v1/clusters/{id}/virtual-files/{file}", FLEET, ROLE_ADMIN, BODY_NONE, cluster_files_remove, "removeFile", "Alias" },
    { "GET", "/api/v1/registries", FLEET, ROLE_VIEWER, BODY_NONE, records_list, "registries", "Container registries" },
    { "POST", "/api/v1/registries", FLEET, ROLE_ADMIN, BODY_JSON, records_create, "createRegistry", "A new registry" },
    { "GET", "/api/v1/registries/{id}", FLEET, ROLE_VIEWER, BODY_NONE, records_show, "registry", "One registry" },
    { "PUT", "/api/v1/registries/{id}", FLEET, ROLE_ADMIN, BODY_JSON, records_update, "updateRegistry", "Replaces a registry's record" },
    { "DELETE", "/api/v1/registries/{id}", FLEET, ROLE_ADMIN, BODY_NONE, records_remove, "removeRegistry", "Removes the record" },
    { "GET", "/api/v1/orchestrators", FLEET, ROLE_VIEWER, BODY_NONE, records_list, "orchestrators", "Container orchestrators" },
    { "POST", "/api/v1/orchestrators", FLEET, ROLE_ADMIN, BODY_JSON, records_create, "createOrchestrator", "A new orchestrator" },
    { "GET", "/api/v1/orchestrators/{id}", FLEET, ROLE_VIEWER, BODY_NONE, records_show, "orchestrator", "One orchestrator" },
    { "PUT", "/api/v1/orchestrators/{id}", FLEET, ROLE_ADMIN, BODY_JSON, records_update, "updateOrchestrator", "Replaces an orchestrator's record" },
    { "DELETE", "/api/v1/orchestrators/{id}", FLEET, ROLE_ADMIN, BODY_NONE, records_remove, "removeOrchestrator", "Removes the record" },
    { NULL },
};

#define PAGE       "before size limit sortBy sortDir page"
#define WHICH      "direction text filename from startDate to endDate"
#define IN_ORDER   " sortBy sortDir page"
#define OF_PARTNER "partner partnerId"
#define OF_STATUS  "status state"

#define SUBJECT    "commonName organization organizationalUnit country keyType"

/* What may stand behind the question mark, by operation; of the others nothing. */
static const struct { const char *operation, *names; } QUERIES[] = {
    { "keys", "after limit" IN_ORDER }, { "users", "after limit" IN_ORDER },
    { "audit", "after limit size username clientIp action eventType object from startTime to endTime category outcome partnerId" }, { "verifyAudit", "seq hash" },
    { "cleanTransfers", "olderThanDays" }, { "backUp", "dryRun" }, { "activeKeys", "after limit" IN_ORDER }, { "recentAudit", "after limit size" }, { "auditFailures", "after limit size" }, { "auditSecurity", "after limit size" },
    { "auditTransfers", "after limit size" }, { "auditOfUser", "after limit size" }, { "auditOfCategory", "after limit size" },
    { "partners", "partner after limit enabled" IN_ORDER }, { "enabledPartners", "partner after limit" IN_ORDER }, { "searchPartners", "q after limit enabled" IN_ORDER }, { "auditOfPartner", "after limit size" },
    { "servers", "partner after limit enabled" IN_ORDER }, { "enabledServers", "partner after limit" IN_ORDER },
    { "files", "partner after limit enabled" IN_ORDER }, { "filesOfPartner", "sortBy sortDir" }, { "testPartner", "timeout" },
    { "transfers", OF_PARTNER " " OF_STATUS " " WHICH " " PAGE }, { "transfersOfPartner", OF_STATUS " " WHICH " " PAGE },
    { "activeTransfers", OF_PARTNER " " WHICH " " PAGE }, { "retryableTransfers", OF_PARTNER " " WHICH " " PAGE },
    { "transfersOfStatus", OF_PARTNER " " WHICH " " PAGE },
    { "correlatedTransfers", "before size limit" }, { "transfersOfSession", "before size limit" },
    { "statistics", "partner partnerId from startDate" }, { "dailyStatistics", "partner partnerId days" },
    { "send", "partner server serverId partnerId path virtualFile remoteFilename correlationId" },
    { "favorites", "after limit sortBy" }, { "createFavoriteFromHistory", "name" }, { "schedules", "after limit" IN_ORDER }, { "calendars", "after limit" IN_ORDER },
    { "keystores", "activeOnly sortBy sortDir" }, { "truststores", "activeOnly sortBy sortDir" }, { "expiringCertificates", "days" },
    { "initializeAuthority", SUBJECT " validityDays" }, { "makeRequest", SUBJECT " names purpose" },
    { "signRequest", "purpose validityDays partnerId" },
    { "generateCertificate", "commonName purpose validityDays organization country keyType names format" },
    { "listeners", "sortBy sortDir" }, { "certificates", "sortBy sortDir" },
    { "clusters", "after limit" IN_ORDER }, { "removeCluster", "confirm force" }, { "registries", "after limit" IN_ORDER }, { "orchestrators", "after limit" IN_ORDER },
};
/* clang-format on */

const char *routes_query(const char *operation)
{
    for (size_t i = 0; i < G_N_ELEMENTS(QUERIES); i++) {
        if (strcmp(QUERIES[i].operation, operation) == 0)
            return QUERIES[i].names;
    }
    return "";
}

static const char *const ROLES[] = {"public", "partner", "viewer", "operator", "admin"};

const char *role_name(Role role)
{
    return ROLES[role];
}

bool role_parse(const char *text, Role *ret_role)
{
    for (unsigned i = ROLE_PARTNER; i <= ROLE_ADMIN; i++) {
        if (g_ascii_strcasecmp(text, ROLES[i]) == 0) {
            *ret_role = (Role)i;
            return true;
        }
    }
    return false;
}

/* The end of the segment that begins at `at`; NULL: it does not match. Most differ at once: all routes are looked at for
 * each request. */
static const char *pass(const char *at, const char *segment)
{
    if (*at == '{')
        return *segment != '\0' ? at + strcspn(at, "/") : NULL;
    while (*segment != '\0' && *segment == *at && *at != '/') {
        at++;
        segment++;
    }
    return *segment == '\0' && (*at == '/' || *at == '\0') ? at : NULL;
}

/* segments: decoded. */
static bool match(const Route *route, char **segments)
{
    const char *at = route->path;
    size_t i = 0;

    for (; segments[i] != NULL; i++) {
        at = pass(at, segments[i]);
        if (at == NULL)
            return false;
        if (*at == '\0')
            break;
        at++;
    }
    return *at == '\0' && segments[i] != NULL && segments[i + 1] == NULL;
}

/* Of a path that matched. parameters: new. */
static void take_parameters(const char *path, char **segments, char **ret_parameters)
{
    size_t count = 0;

    for (size_t i = 0; segments[i] != NULL; i++) {
        if (path[0] == '{' && count < REQUEST_PARAMETERS_MAX)
            ret_parameters[count++] = g_strdup(segments[i]);
        path += strcspn(path, "/");
        path += *path == '/';
    }
}

/* Segments of a path, each decoded by itself, so that an escaped slash is a part of one. What is no UTF-8, or has an
 * escaped NUL, names nothing. */
static char **split(const char *path)
{
    char **segments = g_strsplit(path, "/", SEGMENTS_MAX);

    for (size_t i = 0; segments[i] != NULL; i++) {
        char *decoded = g_uri_unescape_string(segments[i], NULL);

        g_free(segments[i]);
        segments[i] =
                decoded != NULL && g_utf8_validate(decoded, -1, NULL) ? decoded : g_strdup("");
        if (segments[i] != decoded)
            g_free(decoded);
    }
    return segments;
}

/* Whether a path that matched says more than another that did: the first segment of which one is a literal and the
 * other a parameter decides. */
static bool is_closer(const char *path, const char *other)
{
    while (*path != '\0' && *other != '\0') {
        if ((*path == '{') != (*other == '{'))
            return *other == '{';
        path += strcspn(path, "/");
        path += *path == '/';
        other += strcspn(other, "/");
        other += *other == '/';
    }
    return false;
}

/* The path of the table that is meant: "send" is no transfer's number, whatever the method. NULL: none. */
static const char *find_path(const Request *request, char **segments)
{
    const char *found = NULL;

    for (const Route *route = ROUTES; route->method != NULL; route++) {
        if ((route->families & request->families) != 0 && match(route, segments) &&
            (found == NULL || is_closer(route->path, found)))
            found = route->path;
    }
    return found;
}

static const Route *find_route(const Request *request, const char *path)
{
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;

    for (const Route *route = ROUTES; route->method != NULL; route++) {
        if ((route->families & request->families) != 0 && strcmp(route->path, path) == 0 &&
            strcmp(route->method, method) == 0)
            return route;
    }
    return NULL;
}

/* Each method is at most one row of a path. Returns new. */
static GString *list_methods(const Request *request, const char *path)
{
    GString *methods = g_string_new(NULL);

    for (const Route *route = ROUTES; route->method != NULL; route++) {
        if ((route->families & request->families) == 0 || strcmp(route->path, path) != 0)
            continue;
        g_string_append_printf(methods, "%s, ", route->method);
        if (strcmp(route->method, "GET") == 0)
            g_string_append(methods, "HEAD, ");
    }
    return g_string_append(methods, "OPTIONS");
}

bool routes_match(Request *request)
{
    g_auto(GStrv) segments = split(request->path);
    const char *path = find_path(request, segments);
    g_autoptr(GString) methods = NULL;

    if (path == NULL) {
        request_problem(request, 404, "not-found", NULL, "nothing at '%s'", request->path);
        return false;
    }
    request->route = find_route(request, path);
    if (request->route != NULL) {
        take_parameters(path, segments, request->parameters);
        return true;
    }
    methods = list_methods(request, path);
    if (strcmp(request->method, "OPTIONS") == 0)
        (void)request_answer(request, 204);
    else
        request_problem(request, 405, "method", NULL, "'%s' takes %s", request->path, methods->str);
    request_add_header(request, "Allow", methods->str);
    return false;
}

char *admin_describe_routes(void)
{
    GString *text = g_string_new("| Method | Path | Family | Role | Operation | What |\n"
                                 "|---|---|---|---|---|---|\n");

    for (const Route *route = ROUTES; route->method != NULL; route++) {
        g_string_append_printf(text, "| %s | `%s` | %s%s%s | %s | %s | %s |\n", route->method,
                               route->path, (route->families & FAMILY_SERVER) != 0 ? "server " : "",
                               (route->families & FAMILY_CLIENT) != 0 ? "client " : "",
                               (route->families & FAMILY_ADMIN) != 0 ? "admin" : "",
                               role_name(route->role), route->operation, route->summary);
    }
    return g_string_free(text, FALSE);
}
