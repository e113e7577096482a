/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's X.509, PEM and PKCS12 behind certificate.h. */
#include "base/certificate.h"

#include "base/error.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#define ALIAS_PREFIX "friendlyName: "
#define PEM_BEGIN    "-----BEGIN CERTIFICATE-----"
#define DIGEST_BYTES 32
#define USEC         INT64_C(1000000)
#define MAGIC_BYTES  4

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PKCS12, PKCS12_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_STORE, X509_STORE_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509_STORE_CTX, X509_STORE_CTX_free)

static const char *last_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;

    return text != NULL ? text : "unknown reason";
}

static bool set_invalid(const char *what, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: %s", what, last_reason());
    return false;
}

static BIO *open_bytes(const void *bytes, size_t length)
{
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);

    if (bio == NULL)
        g_error("certificates: out of memory");
    return bio;
}

static BIO *open_text(const char *text)
{
    return open_bytes(text, strlen(text));
}

static char *take_text(BIO *bio)
{
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);

    return g_strndup(data, length > 0 ? (gsize)length : 0);
}

static void free_x509(gpointer data)
{
    X509_free(data);
}

/* The error queue is left empty: the end of a text is an error for OpenSSL. Returns new, of X509. */
static GPtrArray *read_all(const char *pem, GError **error)
{
    g_autoptr(BIO) bio = open_text(pem);
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(free_x509);
    X509 *one;

    ERR_clear_error();
    while ((one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        g_ptr_array_add(found, one);
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        (void)set_invalid("a certificate cannot be read", error);
        return NULL;
    }
    ERR_clear_error();
    return g_steal_pointer(&found);
}

/* describing */

void certificate_free(Certificate *self)
{
    if (self == NULL)
        return;
    g_free(self->alias);
    g_free(self->subject);
    g_free(self->issuer);
    g_free(self->serial);
    g_free(self->fingerprint);
    g_free(self->algorithm);
    g_free(self->pem);
    g_free(self);
}

static char *format_name(const X509_NAME *name)
{
    g_autoptr(BIO) bio = BIO_new(BIO_s_mem());

    (void)X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB); /* memory */
    return take_text(bio);
}

static char *format_serial(const X509 *one)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(one), NULL);
    char *digits = number != NULL ? BN_bn2hex(number) : NULL;
    char *text = g_ascii_strdown(digits != NULL ? digits : "", -1);

    OPENSSL_free(digits);
    BN_free(number);
    return text;
}

static char *format_fingerprint(const X509 *one)
{
    GString *text = g_string_new(NULL);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    (void)X509_digest(one, EVP_sha256(), digest, &length); /* length stays 0 */
    for (unsigned i = 0; i < length; i++)
        g_string_append_printf(text, "%02x", digest[i]);
    return g_string_free(text, FALSE);
}

static char *format_algorithm(X509 *one)
{
    EVP_PKEY *key = X509_get0_pubkey(one);
    const char *name = key != NULL ? EVP_PKEY_get0_type_name(key) : NULL;

    return g_strdup_printf("%s %d", name != NULL ? name : "unknown",
                           key != NULL ? EVP_PKEY_get_bits(key) : 0);
}

static int64_t read_time(const ASN1_TIME *time)
{
    struct tm parts;
    g_autoptr(GDateTime) utc = NULL;

    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return 0;
    utc = g_date_time_new_utc(parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                              parts.tm_min, parts.tm_sec);
    return utc != NULL ? g_date_time_to_unix(utc) * USEC : 0;
}

static char *format_pem(X509 *one)
{
    g_autoptr(BIO) bio = BIO_new(BIO_s_mem());

    (void)PEM_write_bio_X509(bio, one); /* memory */
    return take_text(bio);
}

static Certificate *describe(X509 *one)
{
    Certificate *self = g_new0(Certificate, 1);

    self->subject = format_name(X509_get_subject_name(one));
    self->issuer = format_name(X509_get_issuer_name(one));
    self->serial = format_serial(one);
    self->fingerprint = format_fingerprint(one);
    self->algorithm = format_algorithm(one);
    self->valid_from_us = read_time(X509_get0_notBefore(one));
    self->expires_us = read_time(X509_get0_notAfter(one));
    self->is_authority = X509_check_ca(one) > 0;
    self->pem = format_pem(one);
    return self;
}

/* The alias in front of each BEGIN line, in order; NULL where there is none. Returns new. */
static GPtrArray *list_aliases(const char *pem)
{
    GPtrArray *aliases = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) lines = g_strsplit(pem, "\n", -1);
    char *alias = NULL;

    for (size_t i = 0; lines[i] != NULL; i++) {
        const char *line = g_strstrip(lines[i]);

        if (g_str_has_prefix(line, ALIAS_PREFIX)) {
            g_free(alias);
            alias = g_strdup(line + strlen(ALIAS_PREFIX));
        } else if (strcmp(line, PEM_BEGIN) == 0) {
            g_ptr_array_add(aliases, g_steal_pointer(&alias));
        }
    }
    g_free(alias);
    return aliases;
}

GPtrArray *certificate_list(const char *pem, GError **error)
{
    g_autoptr(GPtrArray) found = read_all(pem, error);
    g_autoptr(GPtrArray) aliases = list_aliases(pem);
    GPtrArray *list;

    if (found == NULL)
        return NULL;
    list = g_ptr_array_new_with_free_func((GDestroyNotify)certificate_free);
    for (guint i = 0; i < found->len; i++) {
        Certificate *one = describe(g_ptr_array_index(found, i));

        if (i < aliases->len)
            one->alias = g_strdup(g_ptr_array_index(aliases, i));
        g_ptr_array_add(list, one);
    }
    return list;
}

int64_t certificate_first_expiry_us(const char *pem)
{
    g_autoptr(GPtrArray) list = certificate_list(pem, NULL);
    int64_t first_us = 0;

    for (guint i = 0; list != NULL && i < list->len; i++) {
        const Certificate *one = g_ptr_array_index(list, i);

        if (first_us == 0 || one->expires_us < first_us)
            first_us = one->expires_us;
    }
    return first_us;
}

char *certificate_format(const GPtrArray *certificates)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < certificates->len; i++) {
        const Certificate *one = g_ptr_array_index(certificates, i);

        if (one->alias != NULL) {
            g_autofree char *line = g_strdelimit(g_strdup(one->alias), "\r\n", ' ');

            g_string_append_printf(text, ALIAS_PREFIX "%s\n", line);
        }
        g_string_append(text, one->pem);
    }
    return g_string_free(text, FALSE);
}

/* reading */

bool certificate_is_java(const void *bytes, size_t length)
{
    static const unsigned char JKS[MAGIC_BYTES] = {0xFE, 0xED, 0xFE, 0xED},
                               JCEKS[MAGIC_BYTES] = {0xCE, 0xCE, 0xCE, 0xCE};

    return length >= MAGIC_BYTES &&
           (memcmp(bytes, JKS, MAGIC_BYTES) == 0 || memcmp(bytes, JCEKS, MAGIC_BYTES) == 0);
}

void certificate_bundle_free(CertificateBundle *self)
{
    if (self == NULL)
        return;
    g_free(self->certificates);
    if (self->key != NULL)
        OPENSSL_cleanse(self->key, strlen(self->key));
    g_free(self->key);
    g_free(self);
}

static char *format_key(const EVP_PKEY *key)
{
    g_autoptr(BIO) bio = BIO_new(BIO_s_secmem());

    (void)PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL); /* memory */
    return take_text(bio);
}

/* The key's own first, the others as they came. own: NULL: as they came. */
static GPtrArray *describe_all(const GPtrArray *found, const EVP_PKEY *key, GError **error)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)certificate_free);
    bool matched = false;

    for (guint i = 0; i < found->len; i++) {
        X509 *one = g_ptr_array_index(found, i);
        bool own = key != NULL && !matched && X509_check_private_key(one, key) == 1;
        int length = 0;
        const unsigned char *alias = X509_alias_get0(one, &length);
        Certificate *described = describe(one);

        if (alias != NULL && length > 0 && g_utf8_validate((const char *)alias, length, NULL))
            described->alias = g_strndup((const char *)alias, (gsize)length);
        g_ptr_array_insert(list, own ? 0 : -1, described);
        matched = matched || own;
    }
    ERR_clear_error();
    if (key == NULL || matched || found->len == 0)
        return list;
    g_ptr_array_unref(list);
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                "the private key belongs to none of the certificates");
    return NULL;
}

/* found: borrowed; key: or NULL. */
static CertificateBundle *bundle_new(const GPtrArray *found, const EVP_PKEY *key, const char *texts,
                                     GError **error)
{
    g_autoptr(GPtrArray) list = describe_all(found, key, error);
    g_autoptr(GPtrArray) aliases = texts != NULL ? list_aliases(texts) : NULL;
    CertificateBundle *self;

    if (list == NULL)
        return NULL;
    for (guint i = 0; aliases != NULL && key == NULL && i < MIN(aliases->len, list->len); i++)
        ((Certificate *)g_ptr_array_index(list, i))->alias =
                g_strdup(g_ptr_array_index(aliases, i));
    self = g_new0(CertificateBundle, 1);
    self->certificates = certificate_format(list);
    self->key = key != NULL ? format_key(key) : NULL;
    self->format = texts != NULL ? CERTIFICATE_FORMAT_PEM : CERTIFICATE_FORMAT_PKCS12;
    return self;
}

/* OpenSSL would ask at the terminal. */
static int give_password(char *buffer, int size, int writing, void *data)
{
    const char *password = data;
    size_t length = password != NULL ? strlen(password) : 0;

    (void)writing;
    if (password == NULL || length > (size_t)size)
        return -1;
    memcpy(buffer, password, length);
    return (int)length;
}

static CertificateBundle *read_pem(const CertificateSource *source, GError **error)
{
    g_autofree char *text = g_strndup(source->bytes, source->length);
    g_autoptr(GPtrArray) found = read_all(text, error);
    g_autoptr(BIO) bio = open_text(text);
    g_autoptr(EVP_PKEY) key = NULL;
    CertificateBundle *bundle = NULL;

    if (found != NULL) {
        key = PEM_read_bio_PrivateKey(bio, NULL, give_password,
                                      (void *)(uintptr_t)source->password);
        if (key == NULL && strstr(text, "PRIVATE KEY-----") != NULL)
            g_set_error(error, BASE_ERROR, BASE_ERROR_REFUSED,
                        "the private key does not open%s: %s",
                        source->password == NULL ? " without a password" : "", last_reason());
        else if (key == NULL && found->len == 0)
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                        "there is neither a certificate nor a key in it");
        else
            bundle = bundle_new(found, key, text, error);
    }
    ERR_clear_error();
    OPENSSL_cleanse(text, source->length);
    return bundle;
}

/* False without an error: it is encrypted in a way that only old libraries know. */
static bool open_pkcs12(PKCS12 *store, const char *password, EVP_PKEY **ret_key,
                        GPtrArray *ret_found, GError **error)
{
    X509 *own = NULL;
    STACK_OF(X509) *others = NULL;

    if (PKCS12_mac_present(store) && PKCS12_verify_mac(store, password, -1) != 1 &&
        (password[0] != '\0' || PKCS12_verify_mac(store, NULL, 0) != 1)) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_REFUSED, "the password does not open it");
        return false;
    }
    if (PKCS12_parse(store, password, ret_key, &own, &others) != 1)
        return false;
    if (own != NULL)
        g_ptr_array_add(ret_found, own);
    for (int i = 0; i < sk_X509_num(others); i++)
        g_ptr_array_add(ret_found, sk_X509_value(others, i));
    sk_X509_free(others); /* what was in it has been taken */
    return true;
}

/* library: where algorithms are looked for; NULL: where they always are. NULL without an error: as above. */
static CertificateBundle *read_pkcs12_with(const CertificateSource *source, OSSL_LIB_CTX *library,
                                           GError **error)
{
    g_autoptr(BIO) bio = open_bytes(source->bytes, source->length);
    g_autoptr(PKCS12) fresh = PKCS12_init_ex(NID_pkcs7_data, library, NULL);
    PKCS12 *store = d2i_PKCS12_bio(bio, &fresh); /* the same, or NULL */
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(free_x509);
    g_autoptr(EVP_PKEY) key = NULL;

    if (store == NULL)
        (void)set_invalid("it is no PKCS12", error);
    else if (open_pkcs12(store, source->password != NULL ? source->password : "", &key, found,
                         error))
        return bundle_new(found, key, NULL, error);
    return NULL;
}

/* RC2 and the like, as old Java and Windows write them: only to read, and in a library of its own, so that nothing else
 * comes to use them. */
static CertificateBundle *read_old_pkcs12(const CertificateSource *source, GError **error)
{
    OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
    OSSL_PROVIDER *current = OSSL_PROVIDER_load(library, "default");
    OSSL_PROVIDER *old = OSSL_PROVIDER_load(library, "legacy");
    CertificateBundle *bundle =
            current != NULL && old != NULL ? read_pkcs12_with(source, library, error) : NULL;

    if (bundle == NULL && (error == NULL || *error == NULL))
        g_set_error(
                error, BASE_ERROR, BASE_ERROR_INVALID,
                "it is damaged, or encrypted in a way that is not supported any more (%s): write "
                "it anew with openssl pkcs12, or keytool -importkeystore of a current Java",
                last_reason());
    if (old != NULL)
        (void)OSSL_PROVIDER_unload(old);
    if (current != NULL)
        (void)OSSL_PROVIDER_unload(current);
    OSSL_LIB_CTX_free(library);
    return bundle;
}

static CertificateBundle *read_pkcs12(const CertificateSource *source, GError **error)
{
    GError *fault = NULL;
    CertificateBundle *bundle = read_pkcs12_with(source, NULL, &fault);

    if (bundle == NULL && fault == NULL)
        bundle = read_old_pkcs12(source, error);
    else if (fault != NULL)
        g_propagate_error(error, fault);
    ERR_clear_error();
    return bundle;
}

CertificateBundle *certificate_bundle_read(const CertificateSource *source, GError **error)
{
    bool text = g_strstr_len(source->bytes, (gssize)source->length, "-----BEGIN ") != NULL;

    ERR_clear_error();
    if (certificate_is_java(source->bytes, source->length)) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "it is a keystore of Java (JKS)");
        return NULL;
    }
    if (source->format == CERTIFICATE_FORMAT_PEM && !text) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "it is no PEM");
        return NULL;
    }
    return source->format == CERTIFICATE_FORMAT_PEM ||
                           (source->format == CERTIFICATE_FORMAT_ANY && text)
                   ? read_pem(source, error)
                   : read_pkcs12(source, error);
}

/* checking */

bool certificate_check_key(const char *certificates, const char *key, size_t key_length,
                           GError **error)
{
    g_autoptr(GPtrArray) found = read_all(certificates, error);
    g_autoptr(BIO) bio = open_bytes(key, key_length);
    g_autoptr(EVP_PKEY) opened = NULL;

    if (found == NULL)
        return false;
    opened = PEM_read_bio_PrivateKey(bio, NULL, give_password, NULL);
    if (opened == NULL)
        return set_invalid("the private key cannot be read", error);
    if (found->len > 0 && X509_check_private_key(g_ptr_array_index(found, 0), opened) == 1)
        return true;
    ERR_clear_error();
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                "the private key does not belong to the certificate");
    return false;
}

static bool is_signed_by(X509 *one, X509 *issuer)
{
    bool good = X509_check_issued(issuer, one) == X509_V_OK &&
                X509_verify(one, X509_get0_pubkey(issuer)) == 1;

    ERR_clear_error();
    return good;
}

static X509 *find_issuer(X509 *one, const GPtrArray *candidates)
{
    for (guint i = 0; i < candidates->len; i++) {
        if (is_signed_by(one, g_ptr_array_index(candidates, i)))
            return g_ptr_array_index(candidates, i);
    }
    return NULL;
}

/* One whose certificate is among the system's authorities. */
static bool is_known_to_system(X509 *one)
{
    g_autoptr(X509_STORE) store = X509_STORE_new();
    g_autoptr(X509_STORE_CTX) context = X509_STORE_CTX_new();
    g_autoptr(X509) issuer = NULL;
    bool known = X509_STORE_set_default_paths(store) == 1 &&
                 X509_STORE_CTX_init(context, store, one, NULL) == 1 &&
                 X509_STORE_CTX_get1_issuer(&issuer, context, one) == 1 &&
                 is_signed_by(one, issuer);

    ERR_clear_error();
    return known;
}

bool certificate_check_chain(const char *certificates, const char *authorities, GError **error)
{
    g_autoptr(GPtrArray) found = read_all(certificates, error);
    g_autoptr(GPtrArray) others =
            found != NULL ? read_all(authorities != NULL ? authorities : "", error) : NULL;
    X509 *one = found != NULL && found->len > 0 ? g_ptr_array_index(found, 0) : NULL;

    if (others == NULL)
        return false;
    for (guint steps = 0; one != NULL && !is_signed_by(one, one) && steps <= found->len; steps++) {
        X509 *issuer = find_issuer(one, found);
        g_autofree char *name = NULL;

        if (issuer == NULL && (find_issuer(one, others) != NULL || is_known_to_system(one)))
            return true;
        if (issuer == NULL) {
            name = format_name(X509_get_issuer_name(one));
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                        "the chain ends before its authority: '%s' is not there", name);
            return false;
        }
        one = issuer;
    }
    return true;
}

bool certificate_check_signed(const char *certificate, const char *authority, GError **error)
{
    g_autoptr(GPtrArray) found = read_all(certificate, error);
    g_autoptr(GPtrArray) signers = found != NULL ? read_all(authority, error) : NULL;
    g_autoptr(X509_STORE) store = X509_STORE_new();
    g_autoptr(X509_STORE_CTX) context = X509_STORE_CTX_new();
    bool good;

    if (signers == NULL)
        return false;
    if (found->len == 0 || signers->len == 0) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "there is no certificate in it");
        return false;
    }
    good = X509_STORE_add_cert(store, g_ptr_array_index(signers, 0)) == 1 &&
           X509_STORE_CTX_init(context, store, g_ptr_array_index(found, 0), NULL) == 1;
    good = good && X509_verify_cert(context) == 1;
    if (!good)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s",
                    X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
    ERR_clear_error();
    return good;
}
