/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets in memory and at rest. A Secret is cleared when freed and never meets a format string.
 * At rest: sealed with AES-256-GCM under a key file, or as a verifier that can only be compared.
 * Text forms, as written in configuration and store:
 *   "sealed:BASE64"     nonce, ciphertext, tag under the key file
 *   "verifier:BASE64"   salt and PBKDF2-SHA256 digest: can be checked, not read
 *   "file:/path"        first line of a file
 *   anything else       clear text
 * The only OpenSSL outside TLS. Any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Secret Secret;

/* bytes: copied. Returns new, one reference (atomic count). */
Secret *secret_new(const void *bytes, size_t length);
Secret *secret_ref(Secret *self);
void secret_unref(Secret *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Secret, secret_unref)
/* Borrowed. Not NUL-terminated; NULL for a verifier. */
const char *secret_get(const Secret *self, size_t *ret_length);
/* True when the secret can only be compared (a verifier). */
bool secret_is_verifier(const Secret *self);
/* Compares in time that depends on lengths only; trailing blanks are not significant when
 * `blanks` is true (PI 5). self NULL: spends the same time on a dummy and answers false. */
bool secret_equals(const Secret *self, const void *bytes, size_t length, bool blanks);

/* Whether two are the same secret in the same form; NULL is the same as NULL only. */
bool secret_is_same(const Secret *a, const Secret *b);

/* The key file: 32 random bytes in base64, one line. While keys are changed it has the new one first, which seals, and
 * below it the old ones, which only open. */
typedef struct SealKey SealKey;
SealKey *seal_key_load(const char *path, GError **error);
/* Makes a new key file (mode 0600). EXISTS when it is there. */
bool seal_key_create(const char *path, GError **error);
void seal_key_free(SealKey *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SealKey, seal_key_free)
/* How many keys a file has. */
size_t seal_key_count(const SealKey *self);
/* Puts a new key before those of a file. */
bool seal_key_add(const char *path, GError **error);
/* Leaves the first key only. */
bool seal_key_drop_old(const char *path, GError **error);
/* Every "sealed:…" in a text that another key than the first opens is sealed with the first. What none opens stays. Returns
 * new; ret_changed: how many. */
char *secret_seal_again(const char *text, const SealKey *key, unsigned *ret_changed,
                        GError **error);
/* "sealed:…" of a secret. Returns new. */
char *secret_seal(const Secret *self, const SealKey *key, GError **error);
/* "verifier:…" of a secret. Returns new. */
char *secret_make_verifier(const Secret *self, GError **error);
/* Reads any of the text forms. key: may be NULL when nothing is sealed. INVALID: cannot be read. */
Secret *secret_parse(const char *text, const SealKey *key, GError **error);

/* Frees a text with a secret in it, which is overwritten first. NULL: none. Any thread. */
void secret_free_text(char *text);
