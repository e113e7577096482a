/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and their keys as texts in PEM: read from what people have (PEM, PKCS12), described, and checked against
 * each other. In a text of several the own one comes first; "friendlyName: NAME" before one of them is its alias.
 * Hides OpenSSL. Never logs. Any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One certificate, for people. Strings are owned. */
typedef struct {
    char *alias;                       /* or NULL */
    char *subject, *issuer;            /* "CN=bank,O=Bank", RFC 2253 */
    char *serial;                      /* hex */
    char *fingerprint;                 /* SHA-256 of the DER, hex */
    char *algorithm;                   /* of its key: "RSA 2048" */
    int64_t valid_from_us, expires_us; /* wall */
    bool is_authority;
    char *pem;
} Certificate;

void certificate_free(Certificate *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Certificate, certificate_free)
/* All of a text in PEM, in their order; what is none is passed over. INVALID: one cannot be read. Returns new. */
GPtrArray *certificate_list(const char *pem, GError **error);
/* When the first of them expires, wall; 0: there is none. */
int64_t certificate_first_expiry_us(const char *pem);
/* With their aliases, as a text in PEM. certificates: of Certificate. Returns new. */
char *certificate_format(const GPtrArray *certificates);

/* reading */

typedef enum {
    CERTIFICATE_FORMAT_ANY,
    CERTIFICATE_FORMAT_PEM,
    CERTIFICATE_FORMAT_PKCS12
} CertificateFormat;

/* Whether bytes are a keystore of Java, which is not read. */
bool certificate_is_java(const void *bytes, size_t length);

typedef struct {
    const void *bytes;
    size_t length;
    CertificateFormat format; /* ANY: found out */
    const char *password;     /* of the store, or of the key in PEM; or NULL */
} CertificateSource;

/* What was in it. */
typedef struct {
    char *certificates; /* in PEM, the key's own first; "" when there is none */
    char *key;          /* in PEM, not encrypted; NULL: there is none */
    CertificateFormat format;
} CertificateBundle;

/* source: borrowed. REFUSED: the password is missing or wrong; INVALID: it is damaged, or the key is of no certificate in it.
 * Returns new. */
CertificateBundle *certificate_bundle_read(const CertificateSource *source, GError **error);
/* The key is overwritten. */
void certificate_bundle_free(CertificateBundle *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CertificateBundle, certificate_bundle_free)

/* checking */

/* The key belongs to the first certificate. INVALID: it does not, or cannot be read. */
bool certificate_check_key(const char *certificates, const char *key, size_t key_length,
                           GError **error);
/* From the first certificate on each is signed by another in the text, up to one that signed itself, or is in authorities,
 * or among the system's; dates are not looked at. authorities: NULL: none. INVALID: says where the chain breaks. */
bool certificate_check_chain(const char *certificates, const char *authorities, GError **error);
/* The first certificate was signed by an authority, and both are in their time. INVALID: says why not. */
bool certificate_check_signed(const char *certificate, const char *authority, GError **error);
