/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL behind tls.h. Settings become a context once; each connection gets a channel. Whether a certificate
 * is trusted is decided by OpenSSL against the authorities, or by the pin of the peer's public key, which
 * replaces them.
 */
#include "daemon/net/tls.h"

#include "base/clock.h"
#include "base/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#define CIPHERS       "ECDHE+AESGCM:ECDHE+CHACHA20"
#define DIGEST_BYTES  32
#define USEC_PER_MSEC 1000

struct TlsContext {
    _Atomic unsigned references;
    SSL_CTX *handle;
    char *host_name;
    char *pin_sha256;
};

struct TlsChannel {
    SSL *handle;
    int fd;
};

/* contexts */

static const char *last_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;

    return text != NULL ? text : "unknown reason";
}

static bool set_invalid(const char *what, const char *path, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s '%s': %s", what, path, last_reason());
    return false;
}

static BIO *open_text(const char *text, size_t length)
{
    BIO *bio = BIO_new_mem_buf(text, (int)length);

    if (bio == NULL)
        g_error("TLS: out of memory");
    return bio;
}

/* The first is our own, the others are sent with it. */
static bool use_chain(SSL_CTX *handle, BIO *bio)
{
    X509 *one = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    bool used = one != NULL && SSL_CTX_use_certificate(handle, one) == 1;

    X509_free(one);
    while (used && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        used = SSL_CTX_add0_chain_cert(handle, one) == 1; /* taken */
    return used;
}

static bool use_key(SSL_CTX *handle, const Secret *secret)
{
    size_t length = 0;
    const char *text = secret_get(secret, &length);
    BIO *bio = open_text(text, length);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    bool used = key != NULL && SSL_CTX_use_PrivateKey(handle, key) == 1 &&
                SSL_CTX_check_private_key(handle) == 1;

    EVP_PKEY_free(key);
    BIO_free(bio);
    return used;
}

static bool load_own_of_store(SSL_CTX *handle, const CertificateStore *store, GError **error)
{
    BIO *bio = open_text(store->certificates, strlen(store->certificates));
    bool loaded = use_chain(handle, bio);

    BIO_free(bio);
    ERR_clear_error(); /* the end of a text is an error */
    return (loaded && use_key(handle, store->key)) || set_invalid("keystore", store->name, error);
}

static bool load_trusted_of_store(SSL_CTX *handle, const CertificateStore *store, bool server,
                                  GError **error)
{
    BIO *bio = open_text(store->certificates, strlen(store->certificates));
    unsigned count = 0;
    X509 *one;

    while ((one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(handle), one) == 1 &&
            (!server || SSL_CTX_add_client_CA(handle, one) == 1))
            count++;
        X509_free(one);
    }
    BIO_free(bio);
    ERR_clear_error(); /* as above */
    return count > 0 || set_invalid("truststore", store->name, error);
}

static bool load_own(SSL_CTX *handle, const TlsSettings *settings, GError **error)
{
    if (settings->own != NULL)
        return load_own_of_store(handle, settings->own, error);
    if (settings->certificate == NULL)
        return true;
    if (SSL_CTX_use_certificate_chain_file(handle, settings->certificate) != 1)
        return set_invalid("certificate", settings->certificate, error);
    if (settings->key == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "certificate '%s' has no key",
                    settings->certificate);
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(handle, settings->key, SSL_FILETYPE_PEM) != 1)
        return set_invalid("key", settings->key, error);
    return SSL_CTX_check_private_key(handle) == 1 || set_invalid("key", settings->key, error);
}

static bool load_authorities(SSL_CTX *handle, const TlsSettings *settings, bool server,
                             GError **error)
{
    if (settings->trusted != NULL)
        return load_trusted_of_store(handle, settings->trusted, server, error);
    if (settings->authorities == NULL) {
        if (!server)
            (void)SSL_CTX_set_default_verify_paths(handle); /* none: nothing is trusted */
        return true;
    }
    if (SSL_CTX_load_verify_file(handle, settings->authorities) != 1)
        return set_invalid("authorities", settings->authorities, error);
    if (server)
        SSL_CTX_set_client_CA_list(handle, SSL_load_client_CA_file(settings->authorities));
    return true;
}

/* The pin is checked after the handshake: the chain may be anything. */
static int accept_any(int preverified, X509_STORE_CTX *store)
{
    (void)preverified;
    (void)store;
    return 1;
}

static void set_verification(SSL_CTX *handle, const TlsSettings *settings, bool server)
{
    int mode = SSL_VERIFY_PEER;

    if (server && settings->client_certificate == CLIENT_CERTIFICATE_NONE)
        mode = SSL_VERIFY_NONE;
    else if (server && settings->client_certificate == CLIENT_CERTIFICATE_REQUIRED)
        mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(handle, mode, !server && settings->pin_sha256 != NULL ? accept_any : NULL);
}

static TlsContext *context_new(const SSL_METHOD *method, const TlsSettings *settings, bool server,
                               GError **error)
{
    g_autoptr(TlsContext) self = g_new0(TlsContext, 1);

    atomic_init(&self->references, 1);
    ERR_clear_error();
    self->handle = SSL_CTX_new(method);
    if (self->handle == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "TLS: %s", last_reason());
        return NULL;
    }
    (void)SSL_CTX_set_min_proto_version(self->handle, settings->min_version != 0
                                                              ? settings->min_version
                                                              : TLS1_2_VERSION); /* known */
    (void)SSL_CTX_set_cipher_list(self->handle, CIPHERS);                        /* constant */
    (void)SSL_CTX_set_options(self->handle, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                                    SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(self->handle, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                                 SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(self->handle, 1);
    SSL_CTX_set_default_read_buffer_len(self->handle, 64 * 1024);
    (void)SSL_CTX_set_session_id_context(self->handle, (const unsigned char *)"pesit",
                                         5); /* short enough */
    if (!load_own(self->handle, settings, error) ||
        !load_authorities(self->handle, settings, server, error))
        return NULL;
    set_verification(self->handle, settings, server);
    self->host_name = g_strdup(settings->host_name);
    self->pin_sha256 = g_strdup(settings->pin_sha256);
    return g_steal_pointer(&self);
}

TlsContext *tls_context_new_server(const TlsSettings *settings, GError **error)
{
    if (settings->certificate == NULL && settings->own == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "a TLS listener needs a certificate");
        return NULL;
    }
    return context_new(TLS_server_method(), settings, true, error);
}

TlsContext *tls_context_new_client(const TlsSettings *settings, GError **error)
{
    return context_new(TLS_client_method(), settings, false, error);
}

TlsContext *tls_context_ref(TlsContext *self)
{
    atomic_fetch_add(&self->references, 1);
    return self;
}

void tls_context_unref(TlsContext *self)
{
    if (self == NULL || atomic_fetch_sub(&self->references, 1) != 1)
        return;
    SSL_CTX_free(self->handle);
    g_free(self->host_name);
    g_free(self->pin_sha256);
    g_free(self);
}

/* channels */

static char *dup_hex(const unsigned char *digest)
{
    GString *text = g_string_sized_new(DIGEST_BYTES * 2);

    for (size_t i = 0; i < DIGEST_BYTES; i++)
        g_string_append_printf(text, "%02x", digest[i]);
    return g_string_free(text, FALSE);
}

/* Waits for what OpenSSL wants. */
static bool wait_for(TlsChannel *self, int ssl_error, int64_t deadline_us, GError **error)
{
    struct pollfd fd = {.fd = self->fd,
                        .events = ssl_error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};

    for (;;) {
        int64_t left_us = deadline_us - clock_now_us();
        int n;

        if (left_us <= 0) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_TIMEOUT,
                        "the partner does not go on with TLS in time");
            return false;
        }
        n = poll(&fd, 1, (int)MIN(left_us / USEC_PER_MSEC + 1, (int64_t)INT32_MAX));
        if (n > 0 || (n < 0 && errno != EINTR))
            return true;
    }
}

/* The peer told us by an alert that it does not accept our certificate, or wants one. With TLS 1.3 that comes
 * after the handshake, in the place of the first bytes. */
static bool is_about_certificate(unsigned long code)
{
    switch (ERR_GET_REASON(code) - SSL_AD_REASON_OFFSET) {
    case SSL3_AD_NO_CERTIFICATE:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

/* Refused by an alert: because its time is over, or for another reason. */
static void set_refused(TlsChannel *self, unsigned long code, GError **error)
{
    X509 *own = SSL_get_certificate(self->handle);
    bool expired = own != NULL && X509_cmp_current_time(X509_get0_notAfter(own)) < 0;

    g_set_error(error, BASE_ERROR, expired ? BASE_ERROR_EXPIRED : BASE_ERROR_UNTRUSTED,
                "the partner does not accept our certificate%s: %s",
                expired ? ", which has expired" : "", ERR_reason_error_string(code));
}

static void set_broken(TlsChannel *self, int ssl_error, int errno_value, GError **error)
{
    unsigned long code = ERR_peek_last_error();

    if (ssl_error == SSL_ERROR_SSL && is_about_certificate(code))
        set_refused(self, code, error);
    else
        g_set_error(error, BASE_ERROR, BASE_ERROR_UNREACHABLE, "TLS: %s",
                    ssl_error == SSL_ERROR_SSL ? last_reason() : g_strerror(errno_value));
}

static void set_handshake_error(TlsChannel *self, int ssl_error, int errno_value, GError **error)
{
    long verified = SSL_get_verify_result(self->handle);
    unsigned long code = ERR_peek_error();

    /* with a pin the chain may be anything: then it is not what failed */
    if (verified != X509_V_OK && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        g_set_error(error, BASE_ERROR, BASE_ERROR_UNTRUSTED,
                    "the partner's certificate is not accepted: %s",
                    X509_verify_cert_error_string(verified));
    else if (ssl_error == SSL_ERROR_SSL && is_about_certificate(code))
        set_refused(self, code, error);
    else if (ssl_error == SSL_ERROR_SSL && code != 0)
        g_set_error(error, BASE_ERROR, BASE_ERROR_UNTRUSTED, "TLS handshake: %s",
                    ERR_reason_error_string(code));
    else
        g_set_error(error, BASE_ERROR, BASE_ERROR_UNREACHABLE, "TLS handshake: %s",
                    errno_value != 0 ? g_strerror(errno_value)
                                     : "the partner closed the connection");
}

static bool shake_hands(TlsChannel *self, int64_t deadline_us, GError **error)
{
    for (;;) {
        int result, ssl_error, errno_value;

        ERR_clear_error();
        errno = 0;
        result = SSL_do_handshake(self->handle);
        errno_value = errno;
        if (result == 1)
            return true;
        ssl_error = SSL_get_error(self->handle, result);
        if (ssl_error != SSL_ERROR_WANT_READ && ssl_error != SSL_ERROR_WANT_WRITE) {
            set_handshake_error(self, ssl_error, errno_value, error);
            return false;
        }
        if (!wait_for(self, ssl_error, deadline_us, error))
            return false;
    }
}

static TlsChannel *channel_new(TlsContext *context, int fd)
{
    TlsChannel *self = g_new0(TlsChannel, 1);

    self->fd = fd;
    self->handle = SSL_new(context->handle);
    if (self->handle == NULL || SSL_set_fd(self->handle, fd) != 1)
        g_error("TLS: out of memory");
    return self;
}

static bool set_host(TlsChannel *self, const char *host)
{
    struct in6_addr address;
    bool numeric =
            inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;

    if (numeric)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(self->handle), host) == 1;
    /* the control takes no const; it copies */
    return SSL_set1_host(self->handle, host) == 1 &&
           SSL_ctrl(self->handle, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (void *)(uintptr_t)host) == 1;
}

/* The peer's public key is the one that was agreed. */
static bool check_pin(TlsChannel *self, const char *pin, GError **error)
{
    X509 *certificate = SSL_get0_peer_certificate(self->handle);
    unsigned char *encoded = NULL;
    unsigned char digest[DIGEST_BYTES];
    g_autofree char *hex = NULL;
    int length;

    if (pin == NULL)
        return true;
    length =
            certificate != NULL ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &encoded) : -1;
    if (length > 0 && EVP_Digest(encoded, (size_t)length, digest, NULL, EVP_sha256(), NULL) == 1)
        hex = dup_hex(digest);
    OPENSSL_free(encoded);
    if (hex != NULL && g_ascii_strcasecmp(hex, pin) == 0)
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_UNTRUSTED,
                "the partner's public key is not the pinned one (it is %s)",
                hex != NULL ? hex : "unreadable");
    return false;
}

TlsChannel *tls_accept(TlsContext *context, int fd, int64_t deadline_us, GError **error)
{
    g_autoptr(TlsChannel) self = channel_new(context, fd);

    SSL_set_accept_state(self->handle);
    return shake_hands(self, deadline_us, error) ? g_steal_pointer(&self) : NULL;
}

TlsChannel *tls_connect(TlsContext *context, int fd, const char *host, int64_t deadline_us,
                        GError **error)
{
    g_autoptr(TlsChannel) self = channel_new(context, fd);
    const char *name = context->host_name != NULL ? context->host_name : host;

    SSL_set_connect_state(self->handle);
    if (context->pin_sha256 == NULL && !set_host(self, name)) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' cannot be checked as a host name",
                    name);
        return NULL;
    }
    if (!shake_hands(self, deadline_us, error) || !check_pin(self, context->pin_sha256, error))
        return NULL;
    return g_steal_pointer(&self);
}

void tls_free(TlsChannel *self)
{
    if (self == NULL)
        return;
    ERR_clear_error();
    if (SSL_is_init_finished(self->handle))
        (void)SSL_shutdown(self->handle); /* a courtesy: the socket closes next */
    SSL_free(self->handle);
    g_free(self);
}

TlsResult tls_receive(TlsChannel *self, uint8_t *buffer, size_t capacity, size_t *ret_length,
                      GError **error)
{
    size_t total = 0;

    while (total < capacity) {
        size_t got = 0;
        int result, ssl_error, errno_value;

        ERR_clear_error();
        errno = 0;
        result = SSL_read_ex(self->handle, buffer + total, capacity - total, &got);
        errno_value = errno;
        if (result == 1) {
            total += got;
            continue;
        }
        ssl_error = SSL_get_error(self->handle, result);
        *ret_length = total;
        if (total > 0)
            return TLS_DATA;
        if (ssl_error == SSL_ERROR_WANT_READ || ssl_error == SSL_ERROR_WANT_WRITE)
            return TLS_NOTHING;
        if (ssl_error == SSL_ERROR_ZERO_RETURN)
            return TLS_END;
        set_broken(self, ssl_error, errno_value, error);
        return TLS_ERROR;
    }
    *ret_length = total;
    return TLS_DATA;
}

bool tls_send(TlsChannel *self, const uint8_t *bytes, size_t length, int64_t deadline_us,
              GError **error)
{
    size_t sent = 0;

    while (sent < length) {
        size_t got = 0;
        int result, ssl_error, errno_value;

        ERR_clear_error();
        errno = 0;
        result = SSL_write_ex(self->handle, bytes + sent, length - sent, &got);
        errno_value = errno;
        if (result == 1) {
            sent += got;
            continue;
        }
        ssl_error = SSL_get_error(self->handle, result);
        if (ssl_error != SSL_ERROR_WANT_READ && ssl_error != SSL_ERROR_WANT_WRITE) {
            set_broken(self, ssl_error, errno_value, error);
            return false;
        }
        if (!wait_for(self, ssl_error, deadline_us, error))
            return false;
    }
    return true;
}

bool tls_has_pending(const TlsChannel *self)
{
    return SSL_has_pending(self->handle) == 1;
}

char *tls_dup_peer_certificate(const TlsChannel *self)
{
    X509 *certificate = SSL_get0_peer_certificate(self->handle);
    unsigned char digest[DIGEST_BYTES];

    if (certificate == NULL || X509_digest(certificate, EVP_sha256(), digest, NULL) != 1)
        return NULL;
    return dup_hex(digest);
}

char *tls_dup_description(const TlsChannel *self)
{
    return g_strdup_printf("%s %s", SSL_get_version(self->handle),
                           SSL_get_cipher_name(self->handle));
}
