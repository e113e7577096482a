/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keystore and the truststore of one partner that we call: uploaded, they go into the store under the partner's name,
 * and the partner uses them; removed, it uses none.
 */
#include "admin/certificates.h"

#include <string.h>

#define ANY_VERSION (-1)

typedef struct {
    const char *key;        /* of the partner */
    const char *files[2];   /* keys that stand for files in its place */
    const char *end, *kind; /* of the name in the store; there */
    const char *title;
    bool keystore;
} Side;

static const Side KEYSTORE = {
        "tls.keystore", {"tls.certificate", "tls.key"}, "-keystore", "keystore", "Keystore", true};
static const Side TRUSTSTORE = {"tls.truststore", {"tls.authorities", NULL},
                                "-truststore",    "truststore",
                                "Truststore",     false};

/* The partner of the path. NULL: answered. Returns new. */
static GVariant *find_partner(Request *request)
{
    const char *name = request->parameters[0];
    g_autoptr(DoorAnswer) answer =
            request_ask(request, "Describe", g_variant_new("(ssus)", name, "", (guint32)1, ""));
    g_autoptr(GVariant) found = answer != NULL ? g_variant_get_child_value(answer->value, 0) : NULL;

    if (found == NULL)
        return NULL;
    if (g_variant_n_children(found) > 0)
        return g_variant_get_child_value(found, 0);
    request_problem(request, 404, "not-found", "id", "no partner '%s'", name);
    return NULL;
}

/* One that can be changed. NULL: answered. */
static GVariant *find_writable(Request *request)
{
    g_autoptr(GVariant) partner = find_partner(request);

    if (partner == NULL || g_strcmp0(value_text(partner, "source"), "store") == 0)
        return g_steal_pointer(&partner);
    request_problem(
            request, 409, "conflict", "id",
            "partner '%s' is defined in the configuration file: name a keystore of the store "
            "there, then reload",
            request->parameters[0]);
    return NULL;
}

static void write_status(GString *out, GVariant *partner)
{
    g_autoptr(GVariant) settings = g_variant_lookup_value(partner, "settings", NULL);
    const char *keystore = value_text(settings, "tls.keystore");
    const char *truststore = value_text(settings, "tls.truststore");

    json_open(out, NULL, '{');
    json_bool(out, "tlsEnabled", value_flag(settings, "tls.enabled"));
    json_bool(out, "keystoreConfigured",
              keystore != NULL || value_text(settings, "tls.certificate") != NULL);
    json_bool(out, "truststoreConfigured",
              truststore != NULL || value_text(settings, "tls.authorities") != NULL);
    json_text(out, "keystore", keystore);
    json_text(out, "truststore", truststore);
    json_close(out, '}');
}

void partner_tls_show(Request *request)
{
    g_autoptr(GVariant) partner = find_partner(request);

    if (partner != NULL)
        write_status(request_answer(request, 200), partner);
}

/* The partner uses what is in the store under a name, NULL: nothing. False: answered. */
static bool use(Request *request, const Side *side, const char *name)
{
    GVariantDict change;
    g_autoptr(DoorAnswer) answer = NULL;

    g_variant_dict_init(&change, NULL);
    for (size_t i = 0; name != NULL && i < G_N_ELEMENTS(side->files); i++) {
        if (side->files[i] != NULL)
            g_variant_dict_insert_value(&change, side->files[i], g_variant_new_tuple(NULL, 0));
    }
    g_variant_dict_insert_value(&change, side->key,
                                name != NULL ? g_variant_new_string(name)
                                             : g_variant_new_tuple(NULL, 0));
    answer = request_ask(request, "Define",
                         g_variant_new("(ss@a{sv}x)", request->parameters[0], "",
                                       g_variant_dict_end(&change), (gint64)ANY_VERSION));
    return answer != NULL;
}

/* Whether the store has a name. False and a status: answered. */
static bool is_there(Request *request, const char *name)
{
    g_autoptr(GVariant) found = certificates_ask(request, name);

    return found != NULL && g_variant_n_children(found) > 0;
}

static void note(Request *request, GVariant *before)
{
    g_autoptr(GVariant) after = find_partner(request);
    g_autoptr(GString) was = g_string_new(NULL), is = g_string_new(NULL);

    if (after == NULL)
        return;
    write_status(was, before);
    write_status(is, after);
    request_note_change(request, was->str, is->str);
}

static void answer_uploaded(Request *request, const Side *side, const CertificateBundle *bundle)
{
    g_autoptr(GPtrArray) list = certificate_list(bundle->certificates, NULL);
    const Certificate *one = g_ptr_array_index(list, 0);
    g_autofree char *message =
            g_strdup_printf("%s uploaded and validated successfully", side->title);
    GString *out = request_answer(request, 200);

    json_open(out, NULL, '{');
    json_bool(out, "success", true);
    json_text(out, "message", message);
    json_text(out, "certSubject", one->subject);
    json_time(out, "certExpiry", one->expires_us);
    json_close(out, '}');
}

static void upload(Request *request, const Side *side)
{
    static const char *const NAMES[] = {"file", "password", "format", NULL};
    g_auto(GVariantDict) settings = G_VARIANT_DICT_INIT(NULL);
    g_autoptr(CertificateBundle) bundle = NULL;
    g_autoptr(GVariant) partner = NULL;
    g_autofree char *name = g_strconcat(request->parameters[0], side->end, NULL);
    bool there;

    if (!form_read(request, NAMES) || (partner = find_writable(request)) == NULL)
        return;
    bundle = certificates_read(request, "file", form_text(request, "password"));
    if (bundle == NULL || !certificates_put(request, &settings, "file", side->keystore, bundle))
        return;
    there = is_there(request, name);
    if (request->status != 0)
        return;
    g_variant_dict_insert(&settings, "kind", "s", side->kind);
    g_variant_dict_insert(&settings, "partner", "s", request->parameters[0]);
    g_variant_dict_insert(&settings, "active", "b", TRUE);
    if (!certificates_define(request, name, &settings, there ? ANY_VERSION : 0) ||
        !use(request, side, name))
        return;
    note(request, partner);
    if (request->status == 0)
        answer_uploaded(request, side, bundle);
}

void partner_tls_put_keystore(Request *request)
{
    upload(request, &KEYSTORE);
}

void partner_tls_put_truststore(Request *request)
{
    upload(request, &TRUSTSTORE);
}

static void remove_side(Request *request, const Side *side)
{
    g_autoptr(GVariant) partner = find_writable(request);
    g_autofree char *name = g_strconcat(request->parameters[0], side->end, NULL);
    g_autofree char *message = g_strdup_printf("%s removed", side->title);
    GString *out;

    if (partner == NULL || !use(request, side, NULL))
        return;
    if (is_there(request, name) && !certificates_undefine(request, name, ANY_VERSION))
        return;
    if (request->status == 0)
        note(request, partner);
    if (request->status != 0)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_bool(out, "success", true);
    json_text(out, "message", message);
    json_close(out, '}');
}

void partner_tls_remove_keystore(Request *request)
{
    remove_side(request, &KEYSTORE);
}

void partner_tls_remove_truststore(Request *request)
{
    remove_side(request, &TRUSTSTORE);
}
