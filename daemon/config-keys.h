/* SPDX-License-Identifier: Apache-2.0 */
/* The table of configuration keys. Private to config.c, config-keys.c and config-compare.c. */
#pragma once

#include "daemon/config.h"

typedef enum {
    KEY_TEXT,   /* char * */
    KEY_PATH,   /* char *, relative to the configuration's folder */
    KEY_SECRET, /* Secret * in any of its text forms */
    KEY_BOOL,   /* bool */
    KEY_U8,
    KEY_U16,
    KEY_U32,
    KEY_MB,        /* uint64_t of bytes, written in MiB */
    KEY_MODE,      /* uint32_t, written in octal as text */
    KEY_CHOICE,    /* int; choices name the values 0, 1, … */
    KEY_ADDRESSES, /* GPtrArray of char * */
    KEY_FOLDERS,   /* GPtrArray of char *, absolute */
    KEY_DELAYS,    /* GArray of uint32_t */
    KEY_ZONE,      /* GTimeZone * */
    KEY_PROFILE,   /* PesitProfile, the whole row */
    KEY_VERSION,   /* uint16_t 0x0303 … by choice */
    KEY_CODE,      /* uint8_t: PI 16 by choice */
    KEY_GROUPS,    /* a list of groups of another scope */
} KeyKind;

/* fallback: default as text, NULL for none (text NULL) or "" for set elsewhere. */
typedef struct {
    const char *path; /* below its scope, dots between groups */
    KeyKind kind;
    int64_t min, max;
    const char *fallback;
    const char *unit;
    bool reloadable;
    size_t offset;
    const char *const *choices;
    const char *summary;
} ConfigKey;

typedef struct {
    const char *name;      /* of the scope in messages and documentation: "", "listeners.[]", … */
    const ConfigKey *keys; /* ended by a NULL path */
} ConfigScope;

extern const ConfigScope CONFIG_ROOT, CONFIG_LISTENER, CONFIG_ADMIN_LISTENER, CONFIG_PARTNER,
        CONFIG_FILE, CONFIG_CERTIFICATES;

/* Finds what a side of TLS names in the store, or the default ones; server: only what it names. False: ret_fault says
 * why it cannot be used, new. */
bool config_resolve_tls(const Config *config, TlsSettings *tls, bool server, char **ret_fault);
/* What is wrong with a store of certificates by itself, new; NULL: nothing. */
char *config_check_certificates(const CertificateStore *store);
/* Whether both sides of TLS have the same certificates of the store, unchanged. */
bool config_are_certificates_equal(const TlsSettings *a, const TlsSettings *b);

/* Whether a key has the same value in two objects of its scope; true for lists of groups. */
bool config_key_is_equal(const ConfigKey *key, const void *left, const void *right);
/* Gives a key of `to`, of a scope's object, the value of `from`; not for lists. */
void config_key_copy(const ConfigKey *key, const void *from, void *to);
/* Whether two lists of groups of a scope have the same values in the same order. */
bool config_are_groups_equal(const ConfigScope *scope, const GPtrArray *a, const GPtrArray *b);
