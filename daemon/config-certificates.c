/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of the store in a configuration: what a side of TLS names there, or is given as the default, and who uses
 * which. Never logs. Any thread.
 */
#include "daemon/config-keys.h"

#include "base/certificate.h"

#include <string.h>

const CertificateStore *config_find_certificates(const Config *config, const char *name)
{
    for (guint i = 0; i < config->certificates->len; i++) {
        const CertificateStore *store = g_ptr_array_index(config->certificates, i);

        if (strcmp(store->name, name) == 0)
            return store;
    }
    return NULL;
}

static const char *name_kind(int kind)
{
    return kind == CERTIFICATES_KEYSTORE ? "keystore" : "truststore";
}

/* Why it cannot be used; NULL: it can. */
static const char *find_lack(const CertificateStore *store, int kind)
{
    return store->kind != kind                                             ? "is of the other kind"
           : !store->active                                                ? "is not active"
           : store->certificates == NULL || store->certificates[0] == '\0' ? "has no certificate"
           : kind == CERTIFICATES_KEYSTORE && store->key == NULL           ? "has no key"
                                                                           : NULL;
}

/* Of several the one that was made so last. */
static const CertificateStore *find_default(const Config *config, int kind)
{
    const CertificateStore *found = NULL;

    for (guint i = 0; i < config->certificates->len; i++) {
        const CertificateStore *store = g_ptr_array_index(config->certificates, i);

        if (store->is_default && find_lack(store, kind) == NULL &&
            (found == NULL || store->updated_us > found->updated_us))
            found = store;
    }
    return found;
}

static bool resolve(const Config *config, const char *key, const char *name, int kind,
                    const CertificateStore **ret_store, char **ret_fault)
{
    const CertificateStore *store = config_find_certificates(config, name);
    const char *lack = store != NULL ? find_lack(store, kind) : NULL;

    if (store == NULL)
        *ret_fault = g_strdup_printf("'%s': there is no %s '%s' in the store", key, name_kind(kind),
                                     name);
    else if (lack != NULL)
        *ret_fault = g_strdup_printf("'%s': '%s' %s", key, name, lack);
    else
        *ret_store = store;
    return *ret_fault == NULL;
}

bool config_resolve_tls(const Config *config, TlsSettings *tls, bool server, char **ret_fault)
{
    bool defaults = !server && tls->enabled;

    if (tls->keystore != NULL) {
        if (!resolve(config, "tls.keystore", tls->keystore, CERTIFICATES_KEYSTORE, &tls->own,
                     ret_fault))
            return false;
    } else if (defaults && tls->certificate == NULL) {
        tls->own = find_default(config, CERTIFICATES_KEYSTORE);
    }
    if (tls->truststore != NULL)
        return resolve(config, "tls.truststore", tls->truststore, CERTIFICATES_TRUSTSTORE,
                       &tls->trusted, ret_fault);
    if (defaults && tls->authorities == NULL && tls->pin_sha256 == NULL)
        tls->trusted = find_default(config, CERTIFICATES_TRUSTSTORE);
    return true;
}

/* Text of an error, new; NULL: it is well. */
static char *take_message(GError *error)
{
    char *message = error != NULL ? g_strdup(error->message) : NULL;

    g_clear_error(&error);
    return message;
}

char *config_check_certificates(const CertificateStore *store)
{
    g_autoptr(GPtrArray) list = NULL;
    GError *error = NULL;
    size_t length = 0;
    const char *key = store->key != NULL ? secret_get(store->key, &length) : NULL;

    if (strspn(store->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") !=
                strlen(store->name) ||
        strspn(store->name, "0123456789") == strlen(store->name))
        return g_strdup_printf("'name' is \"%s\": letters, digits, '.', '_' and '-' only, and not "
                               "digits alone",
                               store->name);
    if (store->certificates == NULL)
        return NULL;
    list = certificate_list(store->certificates, &error);
    if (list != NULL && store->kind == CERTIFICATES_KEYSTORE && key != NULL)
        (void)certificate_check_key(store->certificates, key, length, &error); /* error says it */
    return take_message(error);
}

static bool uses(const TlsSettings *tls, const CertificateStore *store)
{
    return tls->own == store || tls->trusted == store;
}

GPtrArray *config_list_users(const Config *config, const CertificateStore *store)
{
    GPtrArray *users = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < config->listeners->len; i++) {
        const ListenerConfig *listener = g_ptr_array_index(config->listeners, i);
        g_autofree char *id = uses(&listener->tls, store) ? config_name_listener(listener) : NULL;

        if (uses(&listener->tls, store))
            g_ptr_array_add(users,
                            g_strdup_printf("listener '%s'", id != NULL ? id : listener->address));
    }
    for (guint i = 0; i < config->partners->len; i++) {
        const Partner *partner = g_ptr_array_index(config->partners, i);

        if (uses(&partner->tls, store))
            g_ptr_array_add(users, g_strdup_printf("partner '%s'", partner->name));
    }
    return users;
}

static bool is_same_store(const CertificateStore *a, const CertificateStore *b)
{
    return a == b ||
           (a != NULL && b != NULL && strcmp(a->name, b->name) == 0 && a->version == b->version);
}

bool config_are_certificates_equal(const TlsSettings *a, const TlsSettings *b)
{
    return is_same_store(a->own, b->own) && is_same_store(a->trusted, b->trusted);
}
