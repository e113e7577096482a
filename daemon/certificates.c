/* SPDX-License-Identifier: Apache-2.0 */
/* Describes what is in force, then what was left out because it does not fit. No key is told. */
#include "daemon/certificates.h"

#include "base/authority.h"
#include "base/certificate.h"
#include "base/error.h"

#include <string.h>

#define PURPOSE_AUTHORITY "CA"

static bool is_asked(const char *name, const char *asked)
{
    return asked[0] == '\0' || strcmp(name, asked) == 0;
}

static GVariant *list_users(const Config *config, const CertificateStore *store)
{
    g_autoptr(GPtrArray) users = config_list_users(config, store);

    return g_variant_new_strv((const char *const *)users->pdata, (gssize)users->len);
}

static bool key_fits(const CertificateStore *store)
{
    size_t length = 0;
    const char *key = store->key != NULL ? secret_get(store->key, &length) : NULL;

    return key != NULL && store->certificates != NULL &&
           certificate_check_key(store->certificates, key, length, NULL);
}

static GVariant *describe(const Config *config, const CertificateStore *store)
{
    GVariantDict d;

    g_variant_dict_init(&d, NULL);
    g_variant_dict_insert(&d, "name", "s", store->name);
    g_variant_dict_insert(&d, "version", "x", store->version);
    g_variant_dict_insert(&d, "created_us", "x", store->created_us);
    g_variant_dict_insert(&d, "updated_us", "x", store->updated_us);
    g_variant_dict_insert(&d, "has_key", "b", (gboolean)(store->key != NULL));
    g_variant_dict_insert(&d, "key_fits", "b", (gboolean)key_fits(store));
    g_variant_dict_insert_value(&d, "users", list_users(config, store));
    g_variant_dict_insert_value(&d, "settings",
                                config_describe_settings(SETTINGS_CERTIFICATES, store));
    return g_variant_dict_end(&d);
}

/* One that is in no configuration: it can be changed and removed. */
static GVariant *describe_left_out(const Definition *definition)
{
    GVariantDict d;

    g_variant_dict_init(&d, NULL);
    g_variant_dict_insert(&d, "name", "s", definition->pattern);
    g_variant_dict_insert(&d, "version", "x", definition->version);
    g_variant_dict_insert(&d, "created_us", "x", definition->created_us);
    g_variant_dict_insert(&d, "updated_us", "x", definition->updated_us);
    g_variant_dict_insert(&d, "fault", "s", definition->fault);
    g_variant_dict_insert_value(&d, "users", g_variant_new_strv(NULL, 0));
    g_variant_dict_insert_value(&d, "settings",
                                g_variant_new_array(G_VARIANT_TYPE("{sv}"), NULL, 0));
    return g_variant_dict_end(&d);
}

void certificates_describe(const Config *config, const Definitions *definitions, DoorCall *call,
                           GVariant *parameters)
{
    const GPtrArray *list = definitions_list(definitions);
    GVariantBuilder found;
    const char *asked;

    g_variant_get(parameters, "(&s)", &asked);
    g_variant_builder_init(&found, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < config->certificates->len; i++) {
        const CertificateStore *store = g_ptr_array_index(config->certificates, i);

        if (is_asked(store->name, asked))
            g_variant_builder_add_value(&found, describe(config, store));
    }
    for (guint i = 0; i < list->len; i++) {
        const Definition *definition = g_ptr_array_index(list, i);

        if (strcmp(definition->partner, DEFINITION_CERTIFICATES) == 0 && definition->left_out &&
            is_asked(definition->pattern, asked))
            g_variant_builder_add_value(&found, describe_left_out(definition));
    }
    door_call_return(call, g_variant_new("(aa{sv})", &found), NULL, 0);
}

static const CertificateStore *find_authority(const Config *config, GError **error)
{
    for (guint i = 0; i < config->certificates->len; i++) {
        const CertificateStore *store = g_ptr_array_index(config->certificates, i);

        if (store->kind == CERTIFICATES_KEYSTORE && store->active && store->key != NULL &&
            store->certificates != NULL && g_strcmp0(store->purpose, PURPOSE_AUTHORITY) == 0)
            return store;
    }
    g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT,
                "there is no authority: no active keystore has the purpose CA");
    return NULL;
}

void certificates_sign(const Config *config, DoorCall *call, GVariant *parameters)
{
    g_autoptr(GError) error = NULL;
    const CertificateStore *store = find_authority(config, &error);
    g_autofree char *certificate = NULL;
    AuthoritySigner signer = {NULL};
    guint32 purpose, days;
    const char *request;

    g_variant_get(parameters, "(&suu)", &request, &purpose, &days);
    if (store != NULL) {
        signer.certificate = store->certificates;
        signer.key = secret_get(store->key, &signer.key_length);
        certificate =
                authority_sign(&signer, request, (AuthorityPurpose)MIN(purpose, AUTHORITY_BOTH),
                               MIN(days, AUTHORITY_DAYS_MAX), &error);
    }
    if (certificate == NULL)
        door_call_fail(call, error);
    else
        door_call_return(call, g_variant_new("(ss)", certificate, store->certificates), NULL, 0);
}
