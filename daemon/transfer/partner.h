/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A partner: who it is, how to reach it, how it proves itself, how its product speaks, what it may
 * do. Plain values, immutable once loaded; any thread.
 */
#pragma once

#include "base/secret.h"
#include "daemon/transfer/rule.h"
#include "protocol/profile.h"

#define PARTNER_PASSWORD_MAX 16 /* PI 5 */

typedef enum {
    CLIENT_CERTIFICATE_NONE,
    CLIENT_CERTIFICATE_OPTIONAL,
    CLIENT_CERTIFICATE_REQUIRED
} ClientCertificate;

/* Certificates of the store, as they came into it. Strings are owned. */
typedef struct {
    char *name, *description;                 /* description: or NULL */
    int kind;                                 /* CERTIFICATES_KEYSTORE, … */
    char *format, *purpose, *partner, *alias; /* as the caller said, for people; or NULL */
    bool active, is_default;
    char *certificates; /* PEM, base/certificate.h; NULL: there is none yet */
    Secret *key;        /* PEM; NULL: none */
    int64_t version, created_us, updated_us;
} CertificateStore;

enum { CERTIFICATES_KEYSTORE, CERTIFICATES_TRUSTSTORE };

void certificate_store_free(CertificateStore *store);

/* One side of TLS; paths are files in PEM. What is of the store is there beside what is in files. */
typedef struct {
    bool enabled;
    char *certificate; /* own chain, NULL: none (client) */
    char *key;
    char *authorities;           /* CA bundle; NULL: the system's (client only) */
    char *keystore, *truststore; /* names in the store, instead of the three before; or NULL */
    const CertificateStore *own,
            *trusted; /* those, or the default ones; in the same Config; or NULL */
    char *host_name;  /* client: name to check, NULL: the address */
    char *pin_sha256; /* client: SHA-256 of the peer's public key, hex; replaces the CA check */
    ClientCertificate client_certificate; /* server */
    uint16_t min_version;                 /* 0x0303 or 0x0304 */
} TlsSettings;

void tls_settings_clear(TlsSettings *settings);

typedef struct {
    char *name;        /* folder in the mount; [A-Za-z0-9._-], unique */
    char *description; /* for people, or NULL */
    bool enabled;
    char *identifier; /* the partner's own PeSIT name: PI 3 when it calls, PI 4 when we call */
    char *local_identifier;    /* our name towards it: PI 4 when it calls, PI 3 when we call */
    Secret *password_received; /* what it must present when it calls; NULL: none asked */
    Secret *password_sent;     /* what we present when we call, or answer; NULL: none */
    Secret *password_expected; /* what it must answer when we call; NULL: not checked */
    char *address;             /* host name or address; NULL: we never call it */
    uint16_t port;
    TlsSettings tls;                 /* when we call */
    char *client_certificate_sha256; /* binds it to a certificate (hex of the DER) when it calls; or NULL */
    GPtrArray *addresses;            /* char *: "192.0.2.7" or "192.0.2.0/24"; NULL: any */
    PesitProfile profile;            /* the row, with the partner's own settings laid over it */
    bool may_write, may_read;      /* as requester: CREATE, SELECT */
    uint32_t max_connections;      /* both directions */
    uint32_t outgoing_connections; /* of which we open at most */
    GTimeZone *zone;
    uint32_t retry_attempts; /* without progress, the first included */
    GArray *retry_delays_s;  /* uint32_t; the last repeats */
    uint32_t idle_s;         /* we release an unused connection after this */
    char *active_hours;      /* "HH:MM-HH:MM" in its zone, or NULL */
    GPtrArray *files;        /* VirtualFile * */
} Partner;

void partner_free(Partner *partner);
/* True now inside active_hours (always without them). */
bool partner_is_open_at(const Partner *partner, int64_t wall_s);
/* When active_hours begin next, as wall time; wall_s itself while they last. */
int64_t partner_next_opening(const Partner *partner, int64_t wall_s);
/* True when an address text may call in as this partner. */
bool partner_accepts_address(const Partner *partner, const char *address);
/* "HH:MM-HH:MM" as minutes of the day; false when it is no such text, or no minute is between them. */
bool partner_parse_hours(const char *text, unsigned *ret_from_minute, unsigned *ret_to_minute);
/* "192.0.2.0/24" or one address. ret_length: 4 or 16 bytes. */
bool partner_parse_range(const char *range, uint8_t ret_bytes[16], size_t *ret_length,
                         unsigned *ret_bits);
