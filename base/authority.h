/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A private authority: keys, requests to sign, signed certificates, and PKCS12 to hand them over, as texts in PEM. Which
 * authority there is and where its key is kept is not known here. Hides OpenSSL. Never logs. Any thread; a new key of RSA
 * takes its time.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#define AUTHORITY_DAYS_MAX 7300

typedef struct {
    const char *common_name;
    const char *unit, *organization, *country; /* or NULL */
} AuthoritySubject;

/* What a certificate is for; others than an authority's are for TLS. */
typedef enum { AUTHORITY_CLIENT, AUTHORITY_SERVER, AUTHORITY_BOTH } AuthorityPurpose;

/* A new key: "EC" (P-256), "RSA2048", "RSA3072", "RSA4096". INVALID: another. Returns new, for secret_free_text. */
char *authority_make_key(const char *kind, GError **error);
/* A request to sign. names: of hosts and addresses, with a comma between, or NULL: the common name when it looks like a
 * host's. INVALID. Returns new. */
char *authority_make_request(const char *key, const AuthoritySubject *subject, const char *names,
                             GError **error);
/* The certificate of an authority, signed by itself. Returns new. */
char *authority_make_root(const char *key, const AuthoritySubject *subject, unsigned days,
                          GError **error);

typedef struct {
    const char *certificate; /* of the authority */
    const char *key;         /* its key, key_length bytes */
    size_t key_length;
} AuthoritySigner;

/* Signs what a request asks: its key, its subject and the names of hosts in it, nothing else. The certificate ends with
 * the authority's at the latest. INVALID: the request is damaged or was not signed with its own key. Returns new. */
char *authority_sign(const AuthoritySigner *signer, const char *request, AuthorityPurpose purpose,
                     unsigned days, GError **error);
/* certificates: own first. Returns new, ret_length bytes. */
void *authority_make_pkcs12(const char *certificates, const char *key, const char *password,
                            const char *alias, size_t *ret_length, GError **error);
