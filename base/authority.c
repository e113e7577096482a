/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's key generation, PKCS10 and signing behind authority.h. */
#include "base/authority.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#define SERIAL_BYTES  16
#define DAY_S         86400L
#define CLOCK_DRIFT_S 300L /* a partner's clock may be behind ours */
#define PKCS12_ROUNDS 100000

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_REQ, X509_REQ_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_NAME, X509_NAME_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_EXTENSION, X509_EXTENSION_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PKCS12, PKCS12_free)

static bool set_failed(const char *what, GError **error)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;

    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: %s", what,
                text != NULL ? text : "unknown reason");
    ERR_clear_error();
    return false;
}

static char *take_text(BIO *bio)
{
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);

    return g_strndup(data, length > 0 ? (gsize)length : 0);
}

static EVP_PKEY *open_key(const char *key, size_t length, GError **error)
{
    g_autoptr(BIO) bio = BIO_new_mem_buf(key, (int)length);
    EVP_PKEY *opened = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    if (opened == NULL)
        (void)set_failed("the private key cannot be read", error);
    return opened;
}

static X509 *open_certificate(const char *pem, GError **error)
{
    g_autoptr(BIO) bio = BIO_new_mem_buf(pem, -1);
    X509 *opened = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    if (opened == NULL)
        (void)set_failed("the certificate cannot be read", error);
    return opened;
}

static char *format_certificate(X509 *certificate)
{
    g_autoptr(BIO) bio = BIO_new(BIO_s_mem());

    (void)PEM_write_bio_X509(bio, certificate); /* memory */
    return take_text(bio);
}

/* keys */

char *authority_make_key(const char *kind, GError **error)
{
    g_autoptr(EVP_PKEY) key = NULL;
    g_autoptr(BIO) bio = NULL;

    ERR_clear_error();
    if (strcmp(kind, "EC") == 0) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    } else if (strcmp(kind, "RSA2048") == 0 || strcmp(kind, "RSA3072") == 0 ||
               strcmp(kind, "RSA4096") == 0) {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA",
                                (size_t)g_ascii_strtoull(kind + strlen("RSA"), NULL, 10));
    } else {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "keyType: it must be EC, RSA2048, RSA3072 or RSA4096");
        return NULL;
    }
    bio = BIO_new(BIO_s_secmem());
    if (key != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
        return take_text(bio);
    (void)set_failed("a key cannot be made", error);
    return NULL;
}

/* names */

static bool add_part(X509_NAME *name, const char *part, const char *value)
{
    return value == NULL || value[0] == '\0' ||
           X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8, (const unsigned char *)value, -1,
                                      -1, 0) == 1;
}

static X509_NAME *make_name(const AuthoritySubject *subject, GError **error)
{
    g_autoptr(X509_NAME) name = X509_NAME_new();

    if (add_part(name, "C", subject->country) && add_part(name, "O", subject->organization) &&
        add_part(name, "OU", subject->unit) && add_part(name, "CN", subject->common_name))
        return g_steal_pointer(&name);
    (void)set_failed("the subject cannot be written", error);
    return NULL;
}

static bool is_host(const char *text)
{
    return strchr(text, '.') != NULL &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*") ==
                   strlen(text);
}

static bool is_address(const char *text)
{
    unsigned char bytes[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* "DNS:a,IP:127.0.0.1" of a list of names; NULL: there is none. INVALID: one is neither. Returns new. */
static bool format_names(const char *names, char **ret_text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(names, ",", -1);
    g_autoptr(GString) text = g_string_new(NULL);

    for (size_t i = 0; parts[i] != NULL; i++) {
        const char *part = g_strstrip(parts[i]);
        bool address = is_address(part);

        if (part[0] == '\0')
            continue;
        if (!address && !is_host(part) && strcmp(part, "localhost") != 0) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                        "names: '%s' is no name of a host and no address", part);
            return false;
        }
        g_string_append_printf(text, "%s%s:%s", text->len > 0 ? "," : "", address ? "IP" : "DNS",
                               part);
    }
    *ret_text = text->len > 0 ? g_strdup(text->str) : NULL;
    return true;
}

static X509_EXTENSION *make_extension(X509V3_CTX *context, int nid, const char *value)
{
    return X509V3_EXT_nconf_nid(NULL, context, nid, value);
}

/* requests */

static bool add_names(X509_REQ *request, const char *names, GError **error)
{
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    X509V3_CTX context;
    X509_EXTENSION *extension;
    bool added = false;

    X509V3_set_ctx(&context, NULL, NULL, request, NULL, 0);
    extension = make_extension(&context, NID_subject_alt_name, names);
    if (extension != NULL && sk_X509_EXTENSION_push(extensions, extension) > 0)
        added = X509_REQ_add_extensions(request, extensions) == 1;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return added || set_failed("the names cannot be written", error);
}

static bool sign_request(X509_REQ *request, EVP_PKEY *key, GError **error)
{
    return (X509_REQ_set_version(request, 0) == 1 && X509_REQ_set_pubkey(request, key) == 1 &&
            X509_REQ_sign(request, key, EVP_sha256()) > 0) ||
           set_failed("the request cannot be signed", error);
}

char *authority_make_request(const char *key, const AuthoritySubject *subject, const char *names,
                             GError **error)
{
    g_autoptr(EVP_PKEY) opened = open_key(key, strlen(key), error);
    g_autoptr(X509_NAME) name = opened != NULL ? make_name(subject, error) : NULL;
    g_autoptr(X509_REQ) request = X509_REQ_new();
    g_autoptr(BIO) bio = BIO_new(BIO_s_mem());
    g_autofree char *alternatives = NULL;
    const char *wanted = names != NULL ? names
                         : is_host(subject->common_name) || is_address(subject->common_name)
                                 ? subject->common_name
                                 : "";

    if (name == NULL || !format_names(wanted, &alternatives, error))
        return NULL;
    if (X509_REQ_set_subject_name(request, name) != 1) {
        (void)set_failed("the subject cannot be written", error);
        return NULL;
    }
    if ((alternatives != NULL && !add_names(request, alternatives, error)) ||
        !sign_request(request, opened, error))
        return NULL;
    (void)PEM_write_bio_X509_REQ(bio, request); /* memory */
    return take_text(bio);
}

/* certificates */

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[SERIAL_BYTES];
    BIGNUM *number;
    bool set;

    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] &= 0x7F; /* it is positive */
    number = BN_bin2bn(bytes, sizeof bytes, NULL);
    set = BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return set;
}

static bool set_days(X509 *certificate, unsigned days)
{
    return X509_gmtime_adj(X509_getm_notBefore(certificate), -CLOCK_DRIFT_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), (long)days * DAY_S) != NULL;
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    g_autoptr(X509_EXTENSION) extension = NULL;
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = make_extension(&context, nid, value);
    return extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
}

char *authority_make_root(const char *key, const AuthoritySubject *subject, unsigned days,
                          GError **error)
{
    g_autoptr(EVP_PKEY) opened = open_key(key, strlen(key), error);
    g_autoptr(X509_NAME) name = opened != NULL ? make_name(subject, error) : NULL;
    g_autoptr(X509) root = X509_new();

    if (name == NULL)
        return NULL;
    if (X509_set_version(root, X509_VERSION_3) == 1 && set_serial(root) && set_days(root, days) &&
        X509_set_subject_name(root, name) == 1 && X509_set_issuer_name(root, name) == 1 &&
        X509_set_pubkey(root, opened) == 1 &&
        add_extension(root, root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(root, root, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(root, root, NID_subject_key_identifier, "hash") &&
        add_extension(root, root, NID_authority_key_identifier, "keyid:always") &&
        X509_sign(root, opened, EVP_sha256()) > 0)
        return format_certificate(root);
    (void)set_failed("the authority's certificate cannot be made", error);
    return NULL;
}

/* The names of hosts that a request asks for. Others of its extensions are not taken: it could call itself an authority. */
static bool copy_names(X509_REQ *request, X509 *certificate)
{
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    bool copied = true;

    for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++) {
        X509_EXTENSION *extension = sk_X509_EXTENSION_value(extensions, i);

        if (OBJ_obj2nid(X509_EXTENSION_get_object(extension)) == NID_subject_alt_name)
            copied = copied && X509_add_ext(certificate, extension, -1) == 1;
    }
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return copied;
}

static bool fill(X509 *certificate, X509_REQ *request, X509 *issuer, AuthorityPurpose purpose)
{
    static const char *const USES[] = {[AUTHORITY_CLIENT] = "clientAuth",
                                       [AUTHORITY_SERVER] = "serverAuth",
                                       [AUTHORITY_BOTH] = "serverAuth,clientAuth"};

    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           X509_set_subject_name(certificate, X509_REQ_get_subject_name(request)) == 1 &&
           X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
           X509_set_pubkey(certificate, X509_REQ_get0_pubkey(request)) == 1 &&
           add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, issuer, NID_key_usage,
                         "critical,digitalSignature,keyEncipherment") &&
           add_extension(certificate, issuer, NID_ext_key_usage, USES[purpose]) &&
           add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always") &&
           copy_names(request, certificate);
}

/* Nothing that it signed outlives an authority. */
static bool limit(X509 *certificate, X509 *issuer)
{
    const ASN1_TIME *end = X509_get0_notAfter(issuer);

    return ASN1_TIME_compare(X509_get0_notAfter(certificate), end) <= 0 ||
           X509_set1_notAfter(certificate, end) == 1;
}

static X509_REQ *open_request(const char *text, GError **error)
{
    g_autoptr(BIO) bio = BIO_new_mem_buf(text, -1);
    g_autoptr(X509_REQ) request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    EVP_PKEY *key = request != NULL ? X509_REQ_get0_pubkey(request) : NULL;

    if (request == NULL)
        (void)set_failed("csrPem: it is no request to sign", error);
    else if (key == NULL || X509_REQ_verify(request, key) != 1)
        (void)set_failed("csrPem: it was not signed with its own key", error);
    else
        return g_steal_pointer(&request);
    return NULL;
}

char *authority_sign(const AuthoritySigner *signer, const char *request, AuthorityPurpose purpose,
                     unsigned days, GError **error)
{
    g_autoptr(X509_REQ) asked = open_request(request, error);
    g_autoptr(X509) issuer = asked != NULL ? open_certificate(signer->certificate, error) : NULL;
    g_autoptr(EVP_PKEY) key =
            issuer != NULL ? open_key(signer->key, signer->key_length, error) : NULL;
    g_autoptr(X509) certificate = X509_new();

    if (key == NULL)
        return NULL;
    if (X509_cmp_current_time(X509_get0_notAfter(issuer)) < 0) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT,
                    "the authority's own certificate has expired");
        return NULL;
    }
    if (fill(certificate, asked, issuer, purpose) && set_days(certificate, days) &&
        limit(certificate, issuer) && X509_sign(certificate, key, EVP_sha256()) > 0)
        return format_certificate(certificate);
    (void)set_failed("the certificate cannot be signed", error);
    return NULL;
}

/* handing over */

static STACK_OF(X509) * open_rest(BIO *bio)
{
    STACK_OF(X509) *rest = sk_X509_new_null();
    X509 *one;

    while ((one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(rest, one) <= 0)
            X509_free(one);
    }
    ERR_clear_error();
    return rest;
}

void *authority_make_pkcs12(const char *certificates, const char *key, const char *password,
                            const char *alias, size_t *ret_length, GError **error)
{
    g_autoptr(EVP_PKEY) opened = open_key(key, strlen(key), error);
    g_autoptr(BIO) bio = BIO_new_mem_buf(certificates, -1);
    g_autoptr(X509) own = opened != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    STACK_OF(X509) *rest = open_rest(bio);
    g_autoptr(PKCS12) store = NULL;
    unsigned char *encoded = NULL;
    void *bytes = NULL;
    int length = 0;

    if (own != NULL)
        store = PKCS12_create(password, alias, opened, own, rest, 0, 0, PKCS12_ROUNDS,
                              PKCS12_ROUNDS, 0);
    sk_X509_pop_free(rest, X509_free);
    if (store != NULL)
        length = i2d_PKCS12(store, &encoded);
    if (length > 0) {
        bytes = g_memdup2(encoded, (gsize)length);
        *ret_length = (size_t)length;
    } else if (opened != NULL) {
        (void)set_failed("the PKCS12 cannot be made", error);
    }
    OPENSSL_free(encoded);
    return bytes;
}
