/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keystores and truststores of the store: listed, shown, and what every change of them needs. Changes: certificate-changes.c.
 * A number names one too: the time at which it was made.
 */
#include "admin/certificates.h"

#include "admin/draft.h"
#include "base/clock.h"

#include <string.h>

#define DAYS_MAX     36500
#define DAYS_DEFAULT 30
#define DAY_US       (INT64_C(86400) * 1000000)

/* asking */

GVariant *certificates_ask(Request *request, const char *name)
{
    g_autoptr(DoorAnswer) answer = request_ask(request, "Certificates", g_variant_new("(s)", name));

    return answer != NULL ? g_variant_get_child_value(answer->value, 0) : NULL;
}

static bool is_number(const char *id)
{
    return id[0] != '\0' && strspn(id, "0123456789") == strlen(id);
}

GVariant *certificates_find(Request *request, const char *id)
{
    g_autoptr(GVariant) all = certificates_ask(request, is_number(id) ? "" : id);
    int64_t number = g_ascii_strtoll(id, NULL, 10);

    if (all == NULL)
        return NULL;
    for (gsize i = 0; i < g_variant_n_children(all); i++) {
        GVariant *told = g_variant_get_child_value(all, i);

        if (!is_number(id) || value_number(told, "created_us") == number)
            return told;
        g_variant_unref(told);
    }
    request_problem(request, 404, "not-found", "id", "no certificates '%s'", id);
    return NULL;
}

/* writing */

GVariant *certificates_settings(GVariant *told)
{
    return g_variant_lookup_value(told, "settings", NULL);
}

GPtrArray *certificates_list_of(GVariant *told)
{
    g_autoptr(GVariant) settings = certificates_settings(told);
    const char *text = value_text(settings, "certificates");
    GPtrArray *list = certificate_list(text != NULL ? text : "", NULL);

    return list != NULL ? list : g_ptr_array_new();
}

bool certificates_are_keystore(GVariant *settings)
{
    return g_strcmp0(value_text(settings, "kind"), "truststore") != 0;
}

/* When the first of them expires; 0: there is none. */
static int64_t first_expiry_us(const GPtrArray *list)
{
    int64_t first_us = 0;

    for (guint i = 0; i < list->len; i++) {
        const Certificate *one = g_ptr_array_index(list, i);

        first_us = first_us == 0 ? one->expires_us : MIN(first_us, one->expires_us);
    }
    return first_us;
}

static void write_certificate(GString *out, const Certificate *one)
{
    json_text(out, "subjectDn", one != NULL ? one->subject : NULL);
    json_text(out, "issuerDn", one != NULL ? one->issuer : NULL);
    json_text(out, "serialNumber", one != NULL ? one->serial : NULL);
    json_time(out, "validFrom", one != NULL ? one->valid_from_us : 0);
    json_text(out, "fingerprint", one != NULL ? one->fingerprint : NULL);
    json_text(out, "keyAlgorithm", one != NULL ? one->algorithm : NULL);
}

static void write_users(GString *out, GVariant *told)
{
    g_autoptr(GVariant) users = g_variant_lookup_value(told, "users", G_VARIANT_TYPE_STRING_ARRAY);

    json_open(out, "usedBy", '[');
    for (gsize i = 0; users != NULL && i < g_variant_n_children(users); i++) {
        const char *user;

        g_variant_get_child(users, i, "&s", &user);
        json_text(out, NULL, user);
    }
    json_close(out, ']');
}

static void write_fields(GString *out, GVariant *told, const GPtrArray *list)
{
    g_autoptr(GVariant) settings = certificates_settings(told);

    json_number(out, "id", value_number(told, "created_us"));
    json_text(out, "name", value_text(told, "name"));
    json_text(out, "description", value_text(settings, "description"));
    json_text(out, "storeType", certificates_are_keystore(settings) ? "KEYSTORE" : "TRUSTSTORE");
    json_text(out, "format", value_text(settings, "format"));
    json_text(out, "purpose", value_text(settings, "purpose"));
    json_text(out, "partnerId", value_text(settings, "partner"));
    json_text(out, "keyAlias", value_text(settings, "alias"));
    json_bool(out, "hasPrivateKey", value_flag(told, "has_key"));
    json_bool(out, "active", value_flag(settings, "active"));
    json_bool(out, "isDefault", value_flag(settings, "is_default"));
    json_number(out, "entryCount", list->len);
    write_certificate(out, list->len > 0 ? g_ptr_array_index(list, 0) : NULL);
    json_time(out, "expiresAt", first_expiry_us(list));
    write_users(out, told);
    json_text(out, "fault", value_text(told, "fault"));
    json_number(out, "version", value_number(told, "version"));
    json_time(out, "createdAt", value_number(told, "created_us"));
    json_time(out, "updatedAt", value_number(told, "updated_us"));
}

void certificates_write(GString *out, const char *key, GVariant *told)
{
    g_autoptr(GPtrArray) list = certificates_list_of(told);

    json_open(out, key, '{');
    write_fields(out, told, list);
    json_close(out, '}');
}

/* lists */

typedef bool (*Filter)(GVariant *told, GVariant *settings, const GPtrArray *list,
                       gconstpointer wanted);

static void list(Request *request, Filter filter, gconstpointer wanted)
{
    g_autoptr(GVariant) all = certificates_ask(request, "");
    GString *out;

    if (all == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '[');
    for (gsize i = 0; i < g_variant_n_children(all); i++) {
        g_autoptr(GVariant) told = g_variant_get_child_value(all, i);
        g_autoptr(GVariant) settings = certificates_settings(told);
        g_autoptr(GPtrArray) certificates = certificates_list_of(told);

        if (filter != NULL && !filter(told, settings, certificates, wanted))
            continue;
        json_open(out, NULL, '{');
        write_fields(out, told, certificates);
        json_close(out, '}');
    }
    json_close(out, ']');
}

void certificates_list(Request *request)
{
    list(request, NULL, NULL);
}

typedef struct {
    bool keystore, active_only;
} Kind;

static bool is_of_kind(GVariant *told, GVariant *settings, const GPtrArray *certificates,
                       gconstpointer wanted)
{
    const Kind *kind = wanted;

    (void)told, (void)certificates;
    return certificates_are_keystore(settings) == kind->keystore &&
           (!kind->active_only || value_flag(settings, "active"));
}

static void list_kind(Request *request, bool keystore)
{
    const char *only = request_query(request, "activeOnly");
    Kind kind = {keystore, g_strcmp0(only, "false") != 0};

    if (only != NULL && strcmp(only, "true") != 0 && strcmp(only, "false") != 0)
        request_problem(request, 400, "invalid", "activeOnly",
                        "activeOnly: it must be true or false");
    else
        list(request, is_of_kind, &kind);
}

void certificates_list_keystores(Request *request)
{
    list_kind(request, true);
}

void certificates_list_truststores(Request *request)
{
    list_kind(request, false);
}

static bool expires_between(const GPtrArray *certificates, int64_t from_us, int64_t to_us)
{
    int64_t first_us = first_expiry_us(certificates);

    return first_us != 0 && first_us > from_us && first_us <= to_us;
}

static bool is_expiring(GVariant *told, GVariant *settings, const GPtrArray *certificates,
                        gconstpointer wanted)
{
    int64_t now_us = clock_wall_us();

    (void)told, (void)settings;
    return expires_between(certificates, now_us, now_us + *(const int64_t *)wanted * DAY_US);
}

void certificates_list_expiring(Request *request)
{
    int64_t days = DAYS_DEFAULT;

    if (request_query_number(request, "days", 0, DAYS_MAX, &days))
        list(request, is_expiring, &days);
}

static bool is_expired(GVariant *told, GVariant *settings, const GPtrArray *certificates,
                       gconstpointer wanted)
{
    (void)told, (void)settings, (void)wanted;
    return expires_between(certificates, 0, clock_wall_us());
}

void certificates_list_expired(Request *request)
{
    list(request, is_expired, NULL);
}

static bool is_of_partner(GVariant *told, GVariant *settings, const GPtrArray *certificates,
                          gconstpointer wanted)
{
    g_autoptr(GVariant) users = g_variant_lookup_value(told, "users", G_VARIANT_TYPE_STRING_ARRAY);
    g_autofree const char **names = users != NULL ? g_variant_get_strv(users, NULL) : NULL;
    g_autofree char *user = g_strdup_printf("partner '%s'", (const char *)wanted);

    (void)certificates;
    return g_strcmp0(value_text(settings, "partner"), wanted) == 0 ||
           (names != NULL && g_strv_contains(names, user));
}

void certificates_list_partner(Request *request)
{
    list(request, is_of_partner, request->parameters[0]);
}

/* one */

static void show(Request *request, GVariant *told)
{
    if (told == NULL)
        return;
    certificates_write(request_answer(request, 200), NULL, told);
    draft_add_etag(request, value_number(told, "version"));
}

void certificates_show(Request *request)
{
    g_autoptr(GVariant) told = certificates_find(request, request->parameters[0]);

    show(request, told);
}

void certificates_show_name(Request *request)
{
    g_autoptr(GVariant) all = certificates_ask(request, request->parameters[0]);
    g_autoptr(GVariant) told =
            all != NULL && g_variant_n_children(all) > 0 ? g_variant_get_child_value(all, 0) : NULL;

    if (all != NULL && told == NULL)
        request_problem(request, 404, "not-found", "name", "no certificates '%s'",
                        request->parameters[0]);
    show(request, told);
}

static void show_default(Request *request, bool keystore)
{
    g_autoptr(GVariant) all = certificates_ask(request, "");

    if (all == NULL)
        return;
    for (gsize i = 0; i < g_variant_n_children(all); i++) {
        g_autoptr(GVariant) told = g_variant_get_child_value(all, i);
        g_autoptr(GVariant) settings = certificates_settings(told);

        if (value_flag(settings, "is_default") && value_flag(settings, "active") &&
            certificates_are_keystore(settings) == keystore) {
            show(request, told);
            return;
        }
    }
    request_problem(request, 404, "not-found", NULL, "no %s is the default one",
                    keystore ? "keystore" : "truststore");
}

void certificates_show_default_keystore(Request *request)
{
    show_default(request, true);
}

void certificates_show_default_truststore(Request *request)
{
    show_default(request, false);
}

static const char *type_of_entry(GVariant *told, guint position, const Certificate *one)
{
    return position == 0 && value_flag(told, "has_key") ? "key"
           : one->is_authority                          ? "authority"
                                                        : "certificate";
}

static void write_entries(GString *out, const char *key, GVariant *told)
{
    g_autoptr(GPtrArray) certificates = certificates_list_of(told);
    g_autoptr(GVariant) settings = certificates_settings(told);

    json_open(out, key, '[');
    for (guint i = 0; i < certificates->len; i++) {
        const Certificate *one = g_ptr_array_index(certificates, i);
        const char *alias =
                i == 0 && value_flag(told, "has_key") ? value_text(settings, "alias") : one->alias;

        json_open(out, NULL, '{');
        json_text(out, "alias", alias);
        json_text(out, "type", type_of_entry(told, i, one));
        write_certificate(out, one);
        json_time(out, "expiresAt", one->expires_us);
        json_close(out, '}');
    }
    json_close(out, ']');
}

void certificates_show_entries(Request *request)
{
    g_autoptr(GVariant) told = certificates_find(request, request->parameters[0]);

    if (told != NULL)
        write_entries(request_answer(request, 200), NULL, told);
}

void certificates_show_info(Request *request)
{
    g_autoptr(GVariant) told = certificates_find(request, request->parameters[0]);
    g_autoptr(GPtrArray) certificates = told != NULL ? certificates_list_of(told) : NULL;
    g_autofree char *pem = NULL;
    GString *out;

    if (told == NULL)
        return;
    pem = certificate_format(certificates);
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    write_certificate(out, certificates->len > 0 ? g_ptr_array_index(certificates, 0) : NULL);
    json_time(out, "expiresAt", first_expiry_us(certificates));
    json_number(out, "daysUntilExpiry",
                certificates->len > 0 ? (first_expiry_us(certificates) - clock_wall_us()) / DAY_US
                                      : 0);
    json_bool(out, "hasPrivateKey", value_flag(told, "has_key"));
    json_text(out, "certificatesPem", pem);
    write_entries(out, "entries", told);
    json_close(out, '}');
}

void certificates_statistics(Request *request)
{
    g_autoptr(GVariant) all = certificates_ask(request, "");
    int64_t now_us = clock_wall_us(), counts[5] = {0};
    GString *out;

    if (all == NULL)
        return;
    for (gsize i = 0; i < g_variant_n_children(all); i++) {
        g_autoptr(GVariant) told = g_variant_get_child_value(all, i);
        g_autoptr(GVariant) settings = certificates_settings(told);
        g_autoptr(GPtrArray) certificates = certificates_list_of(told);

        if (value_flag(settings, "active"))
            counts[certificates_are_keystore(settings) ? 0 : 1]++;
        counts[2] += expires_between(certificates, 0, now_us);
        counts[3] += expires_between(certificates, now_us, now_us + 30 * DAY_US);
        counts[4] += expires_between(certificates, now_us, now_us + 7 * DAY_US);
    }
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_number(out, "totalKeystores", counts[0]);
    json_number(out, "totalTruststores", counts[1]);
    json_number(out, "expiredCount", counts[2]);
    json_number(out, "expiringIn30Days", counts[3]);
    json_number(out, "expiringIn7Days", counts[4]);
    json_close(out, '}');
}
