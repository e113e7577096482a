/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets in memory and at rest, with OpenSSL's primitives: AES-256-GCM for sealing, PBKDF2-SHA256 for
 * verifiers, CRYPTO_memcmp for comparing. Text forms are in the header. Any thread.
 */
#include "base/secret.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define KEY_BYTES       32
#define KEYS_MAX        8
#define NONCE_BYTES     12
#define TAG_BYTES       16
#define SALT_BYTES      16
#define DIGEST_BYTES    32
#define ITERATIONS      20000
#define SECRET_FILE_MAX 4096
#define SEALED_PREFIX   "sealed:"
#define VERIFIER_PREFIX "verifier:"
#define FILE_PREFIX     "file:"
#define BASE64          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

struct Secret {
    _Atomic unsigned references;
    bool verifier;
    size_t length;
    unsigned char salt[SALT_BYTES];
    char *bytes; /* clear text, or the digest of a verifier */
};

struct SealKey {
    size_t count;
    unsigned char bytes[KEYS_MAX][KEY_BYTES]; /* the first seals */
};

Secret *secret_new(const void *bytes, size_t length)
{
    Secret *self = g_new0(Secret, 1);

    atomic_init(&self->references, 1);
    self->bytes = g_malloc0(length + 1);
    memcpy(self->bytes, bytes, length);
    self->length = length;
    return self;
}

Secret *secret_ref(Secret *self)
{
    atomic_fetch_add(&self->references, 1);
    return self;
}

void secret_unref(Secret *self)
{
    if (self == NULL || atomic_fetch_sub(&self->references, 1) != 1)
        return;
    OPENSSL_cleanse(self->bytes, self->length);
    g_free(self->bytes);
    g_free(self);
}

const char *secret_get(const Secret *self, size_t *ret_length)
{
    *ret_length = self->verifier ? 0 : self->length;
    return self->verifier ? NULL : self->bytes;
}

bool secret_is_verifier(const Secret *self)
{
    return self->verifier;
}

static size_t trimmed_length(const char *bytes, size_t length, bool blanks)
{
    while (blanks && length > 0 && bytes[length - 1] == ' ')
        length--;
    return length;
}

static bool derive(const char *bytes, size_t length, const unsigned char *salt,
                   unsigned char digest[DIGEST_BYTES])
{
    return PKCS5_PBKDF2_HMAC(bytes, (int)length, salt, SALT_BYTES, ITERATIONS, EVP_sha256(),
                             DIGEST_BYTES, digest) == 1;
}

bool secret_equals(const Secret *self, const void *bytes, size_t length, bool blanks)
{
    static const unsigned char DUMMY_SALT[SALT_BYTES];
    unsigned char digest[DIGEST_BYTES], expected[DIGEST_BYTES];
    const unsigned char *salt = self != NULL && self->verifier ? self->salt : DUMMY_SALT;
    bool derived;

    /* the same work for every kind of secret, also for none: the time tells nothing */
    derived = derive(bytes, trimmed_length(bytes, length, blanks), salt, digest);
    if (self == NULL)
        return false;
    if (self->verifier)
        return derived && CRYPTO_memcmp(digest, self->bytes, DIGEST_BYTES) == 0;
    return derived &&
           derive(self->bytes, trimmed_length(self->bytes, self->length, blanks), salt, expected) &&
           CRYPTO_memcmp(digest, expected, DIGEST_BYTES) == 0;
}

bool secret_is_same(const Secret *a, const Secret *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->verifier == b->verifier && a->length == b->length &&
           memcmp(a->salt, b->salt, SALT_BYTES) == 0 &&
           CRYPTO_memcmp(a->bytes, b->bytes, a->length) == 0;
}

static bool take_key(SealKey *self, char *line)
{
    gsize length = 0;
    g_autofree guchar *bytes = g_base64_decode(g_strstrip(line), &length);
    bool taken = length == KEY_BYTES && self->count < KEYS_MAX;

    if (taken)
        memcpy(self->bytes[self->count++], bytes, KEY_BYTES);
    OPENSSL_cleanse(bytes, length);
    return taken;
}

SealKey *seal_key_load(const char *path, GError **error)
{
    g_autofree char *text = file_read_all(AT_FDCWD, path, SECRET_FILE_MAX, NULL, error);
    g_autoptr(SealKey) self = g_new0(SealKey, 1);
    char *rest = text;
    bool good = true;

    if (text == NULL)
        return NULL;
    while (good && rest != NULL) {
        char *line = strsep(&rest, "\n");

        good = g_strstrip(line)[0] == '\0' || take_key(self, line);
        OPENSSL_cleanse(line, strlen(line));
    }
    if (good && self->count > 0)
        return g_steal_pointer(&self);
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                "key file '%s' does not hold 32 bytes in base64", path);
    return NULL;
}

size_t seal_key_count(const SealKey *self)
{
    return self->count;
}

/* A new key, as a line; NULL: no random bytes. */
static char *make_line(void)
{
    unsigned char bytes[KEY_BYTES];
    g_autofree char *text = NULL;
    char *line;

    if (RAND_bytes(bytes, KEY_BYTES) != 1)
        return NULL;
    text = g_base64_encode(bytes, KEY_BYTES);
    line = g_strconcat(text, "\n", NULL);
    OPENSSL_cleanse(bytes, KEY_BYTES);
    OPENSSL_cleanse(text, strlen(text));
    return line;
}

bool seal_key_create(const char *path, GError **error)
{
    g_autofree char *line = NULL;
    g_auto(Fd) fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    bool written;

    if (fd < 0) {
        error_set_errno(error, errno, "create key file '%s'", path);
        return false;
    }
    line = make_line();
    if (line == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_IO, "no random bytes for key file '%s'", path);
        return false;
    }
    written = file_write_at(fd, line, strlen(line), 0, error);
    OPENSSL_cleanse(line, strlen(line));
    if (!written)
        return false;
    if (fsync(fd) == 0)
        return file_sync_parent(AT_FDCWD, path, error); /* what it seals must not outlive it */
    error_set_errno(error, errno, "sync key file '%s'", path);
    return false;
}

bool seal_key_add(const char *path, GError **error)
{
    g_autofree char *old = file_read_all(AT_FDCWD, path, SECRET_FILE_MAX, NULL, error);
    g_autofree char *line = old != NULL ? make_line() : NULL;
    g_autofree char *both = line != NULL ? g_strconcat(line, old, NULL) : NULL;
    bool added;

    if (old == NULL)
        return false;
    if (both == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_IO, "no random bytes for key file '%s'", path);
        return false;
    }
    added = file_replace_alike(path, both, strlen(both), error);
    OPENSSL_cleanse(old, strlen(old));
    OPENSSL_cleanse(line, strlen(line));
    OPENSSL_cleanse(both, strlen(both));
    return added;
}

bool seal_key_drop_old(const char *path, GError **error)
{
    g_autofree char *text = file_read_all(AT_FDCWD, path, SECRET_FILE_MAX, NULL, error);
    bool dropped;

    if (text == NULL)
        return false;
    dropped = file_replace_alike(path, text, MIN(strcspn(text, "\n") + 1, strlen(text)), error);
    OPENSSL_cleanse(text, strlen(text));
    return dropped;
}

void seal_key_free(SealKey *self)
{
    if (self == NULL)
        return;
    OPENSSL_cleanse(self, sizeof *self);
    g_free(self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

/* Encrypts in place behind the nonce; the tag comes last. */
static bool encrypt(const SealKey *key, unsigned char *sealed, const Secret *secret)
{
    g_autoptr(EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new();
    int length = 0;

    return RAND_bytes(sealed, NONCE_BYTES) == 1 &&
           EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes[0], sealed) == 1 &&
           EVP_EncryptUpdate(context, sealed + NONCE_BYTES, &length,
                             (const unsigned char *)secret->bytes, (int)secret->length) == 1 &&
           EVP_EncryptFinal_ex(context, sealed + NONCE_BYTES + length, &length) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES,
                               sealed + NONCE_BYTES + secret->length) == 1;
}

char *secret_seal(const Secret *self, const SealKey *key, GError **error)
{
    size_t length = NONCE_BYTES + self->length + TAG_BYTES;
    g_autofree unsigned char *sealed = g_malloc0(length);
    g_autofree char *text = NULL;

    if (self->verifier || !encrypt(key, sealed, self)) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "secret cannot be sealed");
        return NULL;
    }
    text = g_base64_encode(sealed, length);
    return g_strconcat(SEALED_PREFIX, text, NULL);
}

static Secret *unseal(const unsigned char *sealed, size_t length, const unsigned char *key)
{
    g_autoptr(EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new();
    size_t body = length - NONCE_BYTES - TAG_BYTES;
    g_autofree unsigned char *clear = g_malloc0(body + 1);
    unsigned char tag[TAG_BYTES];
    int written = 0;
    Secret *secret;

    memcpy(tag, sealed + length - TAG_BYTES, TAG_BYTES);
    if (EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, sealed) != 1 ||
        EVP_DecryptUpdate(context, clear, &written, sealed + NONCE_BYTES, (int)body) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) != 1 ||
        EVP_DecryptFinal_ex(context, clear + written, &written) != 1)
        return NULL;
    secret = secret_new(clear, body);
    OPENSSL_cleanse(clear, body);
    return secret;
}

char *secret_make_verifier(const Secret *self, GError **error)
{
    unsigned char bytes[SALT_BYTES + DIGEST_BYTES];
    g_autofree char *text = NULL;

    if (self->verifier || RAND_bytes(bytes, SALT_BYTES) != 1 ||
        !derive(self->bytes, self->length, bytes, bytes + SALT_BYTES)) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "verifier cannot be made");
        return NULL;
    }
    text = g_base64_encode(bytes, sizeof bytes);
    return g_strconcat(VERIFIER_PREFIX, text, NULL);
}

static Secret *parse_sealed(const char *text, const SealKey *key, GError **error)
{
    size_t length = 0;
    g_autofree guchar *bytes = g_base64_decode(text, &length);
    Secret *secret = NULL;

    if (key == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "a sealed secret needs a key file");
        return NULL;
    }
    for (size_t i = 0; secret == NULL && i < key->count; i++) {
        if (length >= NONCE_BYTES + TAG_BYTES) /* an empty secret is one */
            secret = unseal(bytes, length, key->bytes[i]);
    }
    if (secret == NULL)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "sealed secret does not open with this key file");
    return secret;
}

static bool is_newly_sealed(const char *text, const SealKey *key)
{
    g_autofree SealKey *first = g_new0(SealKey, 1);
    g_autoptr(Secret) opened = NULL;

    first->count = 1;
    memcpy(first->bytes[0], key->bytes[0], KEY_BYTES);
    opened = parse_sealed(text + strlen(SEALED_PREFIX), first, NULL);
    OPENSSL_cleanse(first, sizeof *first);
    return opened != NULL;
}

char *secret_seal_again(const char *text, const SealKey *key, unsigned *ret_changed, GError **error)
{
    g_autoptr(GString) again = g_string_new(NULL);
    unsigned changed = 0;
    const char *at = text, *found;

    while ((found = strstr(at, SEALED_PREFIX)) != NULL) {
        size_t length = strlen(SEALED_PREFIX) + strspn(found + strlen(SEALED_PREFIX), BASE64);
        g_autofree char *old = g_strndup(found, length);
        g_autoptr(Secret) secret = is_newly_sealed(old, key)
                                           ? NULL
                                           : parse_sealed(old + strlen(SEALED_PREFIX), key, NULL);
        g_autofree char *sealed = NULL;

        if (secret != NULL) {
            sealed = secret_seal(secret, key, error);
            if (sealed == NULL)
                return NULL;
            changed++;
        }
        g_string_append_len(again, at, found - at);
        g_string_append(again, sealed != NULL ? sealed : old);
        at = found + length;
    }
    g_string_append(again, at);
    *ret_changed = changed;
    return g_string_free(g_steal_pointer(&again), FALSE);
}

static Secret *parse_verifier(const char *text, GError **error)
{
    size_t length = 0;
    g_autofree guchar *bytes = g_base64_decode(text, &length);
    Secret *secret;

    if (length != SALT_BYTES + DIGEST_BYTES) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "verifier has a wrong length");
        return NULL;
    }
    secret = secret_new(bytes + SALT_BYTES, DIGEST_BYTES);
    memcpy(secret->salt, bytes, SALT_BYTES);
    secret->verifier = true;
    return secret;
}

static Secret *parse_file(const char *path, GError **error)
{
    g_autofree char *text = file_read_all(AT_FDCWD, path, SECRET_FILE_MAX, NULL, error);
    Secret *secret;

    if (text == NULL)
        return NULL;
    secret = secret_new(text, strcspn(text, "\r\n"));
    OPENSSL_cleanse(text, strlen(text));
    return secret;
}

Secret *secret_parse(const char *text, const SealKey *key, GError **error)
{
    if (g_str_has_prefix(text, SEALED_PREFIX))
        return parse_sealed(text + strlen(SEALED_PREFIX), key, error);
    if (g_str_has_prefix(text, VERIFIER_PREFIX))
        return parse_verifier(text + strlen(VERIFIER_PREFIX), error);
    if (g_str_has_prefix(text, FILE_PREFIX))
        return parse_file(text + strlen(FILE_PREFIX), error);
    return secret_new(text, strlen(text));
}

void secret_free_text(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    g_free(text);
}
