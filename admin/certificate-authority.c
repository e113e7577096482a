/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private authority: a keystore of the store whose purpose is CA. Its key stays in the daemon, which signs; keys of
 * others are made here, handed over in one answer, and not kept.
 */
#include "admin/certificates.h"

#include "base/authority.h"
#include "base/secret.h"

#include <string.h>

#define AUTHORITY_NAME   "ca"
#define TRUST_NAME       "ca-truststore"
#define AUTHORITY_DAYS   3650
#define CERTIFICATE_DAYS 365
#define DEFAULT_KEY      "RSA2048" /* what old products of partners read */
#define DEFAULT_SUBJECT  "pesitfs authority"

/* NULL: there is none, or answered. Returns new. */
static GVariant *find_authority(Request *request)
{
    g_autoptr(GVariant) all = certificates_ask(request, "");

    for (gsize i = 0; all != NULL && i < g_variant_n_children(all); i++) {
        g_autoptr(GVariant) told = g_variant_get_child_value(all, i);
        g_autoptr(GVariant) settings = certificates_settings(told);

        if (certificates_are_keystore(settings) && value_flag(settings, "active") &&
            value_flag(told, "has_key") &&
            g_strcmp0(value_text(settings, "purpose"), PURPOSE_AUTHORITY) == 0)
            return g_steal_pointer(&told);
    }
    return NULL;
}

/* NULL: answered. Returns new. */
static GVariant *need_authority(Request *request)
{
    GVariant *told = find_authority(request);

    if (told == NULL && request->status == 0)
        request_problem(
                request, 409, "conflict", NULL,
                "there is no authority: POST /api/v1/certificates/ca/initialize, or import a "
                "keystore with the purpose CA");
    return told;
}

static void set_text(GVariantDict *settings, const char *key, const char *value)
{
    g_variant_dict_insert(settings, key, "s", value);
}

static AuthoritySubject read_subject(Request *request, const char *fallback)
{
    const char *name = form_text(request, "commonName");

    return (AuthoritySubject){name != NULL && name[0] != '\0' ? name : fallback,
                              form_text(request, "organizationalUnit"),
                              form_text(request, "organization"), form_text(request, "country")};
}

/* False: answered. */
static bool read_purpose(Request *request, AuthorityPurpose *ret_purpose)
{
    const char *text = form_text(request, "purpose");

    if (text == NULL || strcmp(text, "CLIENT") == 0)
        *ret_purpose = AUTHORITY_CLIENT;
    else if (strcmp(text, "SERVER") == 0)
        *ret_purpose = AUTHORITY_SERVER;
    else if (strcmp(text, "BOTH") == 0)
        *ret_purpose = AUTHORITY_BOTH;
    else
        request_problem(request, 400, "invalid", "purpose",
                        "purpose: it must be CLIENT, SERVER or BOTH");
    return request->status == 0;
}

static void fail(Request *request, const GError *error, const char *field)
{
    if (field != NULL && strchr(error->message, ':') == NULL)
        request_problem(request, 400, "invalid", field, "%s: %s", field, error->message);
    else
        request_fail(request, error);
}

/* the authority itself */

static bool define_root(Request *request, const char *certificate, const char *key)
{
    g_auto(GVariantDict) own = G_VARIANT_DICT_INIT(NULL), trust = G_VARIANT_DICT_INIT(NULL);
    g_autofree char *named = g_strconcat("friendlyName: " AUTHORITY_NAME "\n", certificate, NULL);

    set_text(&own, "kind", "keystore");
    set_text(&own, "description", "private authority");
    set_text(&own, "purpose", PURPOSE_AUTHORITY);
    set_text(&own, "format", "PEM");
    set_text(&own, "alias", AUTHORITY_NAME);
    set_text(&own, "certificates", certificate);
    set_text(&own, "key", key);
    set_text(&trust, "kind", "truststore");
    set_text(&trust, "description", "certificates of the private authority are trusted");
    set_text(&trust, "purpose", PURPOSE_AUTHORITY);
    set_text(&trust, "format", "PEM");
    set_text(&trust, "certificates", named);
    return certificates_define(request, TRUST_NAME, &trust, 0) &&
           certificates_define(request, AUTHORITY_NAME, &own, 0);
}

static void make_root(Request *request)
{
    const char *kind =
            form_text(request, "keyType") != NULL ? form_text(request, "keyType") : DEFAULT_KEY;
    AuthoritySubject subject = read_subject(request, DEFAULT_SUBJECT);
    int64_t days = AUTHORITY_DAYS;
    g_autofree char *certificate = NULL;
    g_autoptr(GError) error = NULL;
    char *key;

    if (!form_number(request, "validityDays", 1, AUTHORITY_DAYS_MAX, &days))
        return;
    key = authority_make_key(kind, &error);
    if (key != NULL)
        certificate = authority_make_root(key, &subject, (unsigned)days, &error);
    if (certificate == NULL)
        fail(request, error, "commonName");
    else if (define_root(request, certificate, key))
        (void)certificates_answer(request, 200, AUTHORITY_NAME, NULL); /* answered either way */
    secret_free_text(key);
}

void ca_initialize(Request *request)
{
    static const char *const NAMES[] = {"commonName", "organization", "organizationalUnit",
                                        "country",    "keyType",      "validityDays",
                                        NULL};
    g_autoptr(GVariant) there = NULL;

    if (!form_read(request, NAMES))
        return;
    there = find_authority(request);
    if (there != NULL) /* who asks again gets the same */
        certificates_write(request_answer(request, 200), NULL, there);
    else if (request->status == 0)
        make_root(request);
}

void ca_show(Request *request)
{
    g_autoptr(GVariant) told = need_authority(request);
    g_autoptr(GVariant) settings = told != NULL ? certificates_settings(told) : NULL;

    if (told == NULL)
        return;
    g_string_append(request_answer(request, 200), value_text(settings, "certificates"));
    request->type = "application/x-pem-file";
    request_add_header(request, "Content-Disposition", "attachment; filename=ca-certificate.pem");
}

/* requests */

/* A new key, and the request to sign of it. False: answered. ret_key: for secret_free_text. */
static bool make_request(Request *request, const AuthoritySubject *subject, char **ret_key,
                         char **ret_request)
{
    const char *kind =
            form_text(request, "keyType") != NULL ? form_text(request, "keyType") : DEFAULT_KEY;
    g_autoptr(GError) error = NULL;
    char *key, *made = NULL;

    if (subject->common_name == NULL) {
        request_problem(request, 400, "invalid", "commonName", "commonName: it is missing");
        return false;
    }
    key = authority_make_key(kind, &error);
    if (key != NULL)
        made = authority_make_request(key, subject, form_text(request, "names"), &error);
    if (made == NULL) {
        fail(request, error, "commonName");
        secret_free_text(key);
        return false;
    }
    *ret_key = key;
    *ret_request = made;
    return true;
}

void ca_request(Request *request)
{
    static const char *const NAMES[] = {"commonName",
                                        "organization",
                                        "organizationalUnit",
                                        "country",
                                        "keyType",
                                        "names",
                                        "purpose",
                                        NULL};
    AuthorityPurpose purpose = AUTHORITY_CLIENT;
    AuthoritySubject subject;
    g_autofree char *made = NULL;
    char *key = NULL;
    GString *out;

    if (!form_read(request, NAMES) || !read_purpose(request, &purpose))
        return;
    subject = read_subject(request, NULL);
    if (!make_request(request, &subject, &key, &made))
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_text(out, "csrPem", made);
    json_text(out, "privateKeyPem", key);
    json_text(out, "commonName", subject.common_name);
    json_text(out, "purpose",
              form_text(request, "purpose") != NULL ? form_text(request, "purpose") : "CLIENT");
    json_close(out, '}');
    secret_free_text(key);
}

/* signing */

typedef struct {
    char *certificate, *authority; /* PEM */
} Signed;

static void signed_clear(Signed *self)
{
    g_free(self->certificate);
    g_free(self->authority);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Signed, signed_clear)

static bool sign(Request *request, const char *asked, AuthorityPurpose purpose, int64_t days,
                 Signed *ret_signed)
{
    g_autoptr(DoorAnswer) answer = request_ask(
            request, "Sign", g_variant_new("(suu)", asked, (guint32)purpose, (guint32)days));

    if (answer == NULL)
        return false;
    g_variant_get(answer->value, "(ss)", &ret_signed->certificate, &ret_signed->authority);
    return true;
}

static void write_signed(GString *out, const Signed *made, const char *partner)
{
    g_autoptr(GPtrArray) list = certificate_list(made->certificate, NULL);
    const Certificate *one = list != NULL && list->len > 0 ? g_ptr_array_index(list, 0) : NULL;

    json_text(out, "subjectDn", one != NULL ? one->subject : NULL);
    json_text(out, "serialNumber", one != NULL ? one->serial : NULL);
    json_text(out, "fingerprint", one != NULL ? one->fingerprint : NULL);
    json_time(out, "expiresAt", one != NULL ? one->expires_us : 0);
    json_text(out, "partnerId", partner);
}

/* The trail says which certificates were signed; no key is in it. */
static void note(Request *request, const Signed *made, const char *partner)
{
    g_autoptr(GString) after = g_string_new(NULL);

    json_open(after, NULL, '{');
    write_signed(after, made, partner);
    json_close(after, '}');
    request_note_change(request, NULL, after->str);
}

void ca_sign(Request *request)
{
    static const char *const NAMES[] = {"csrPem", "purpose", "validityDays", "partnerId", NULL};
    AuthorityPurpose purpose = AUTHORITY_CLIENT;
    int64_t days = CERTIFICATE_DAYS;
    g_auto(Signed) made = {NULL};
    const char *asked;
    GString *out;

    if (!form_read(request, NAMES) || !read_purpose(request, &purpose) ||
        !form_number(request, "validityDays", 1, AUTHORITY_DAYS_MAX, &days))
        return;
    asked = form_text(request, "csrPem");
    if (asked == NULL) {
        request_problem(request, 400, "invalid", "csrPem", "csrPem: it is missing");
        return;
    }
    if (!sign(request, asked, purpose, days, &made))
        return;
    note(request, &made, form_text(request, "partnerId"));
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_text(out, "certificatePem", made.certificate);
    json_text(out, "caCertificatePem", made.authority);
    write_signed(out, &made, form_text(request, "partnerId"));
    json_close(out, '}');
}

/* all at once, for a partner */

typedef struct {
    const char *format;   /* "PKCS12" or "PEM" */
    const char *password; /* of the PKCS12, or NULL: one is made */
    const char *alias;
} Handover;

/* False: answered. */
static bool read_handover(Request *request, Handover *ret_handover)
{
    const char *format = form_text(request, "format");
    const char *password = form_text(request, "password");

    *ret_handover = (Handover){format != NULL ? format : "PKCS12", password,
                               form_text(request, "commonName")};
    if (strcmp(ret_handover->format, "PKCS12") != 0 && strcmp(ret_handover->format, "PEM") != 0)
        request_problem(request, 400, "invalid", "format", "format: it must be PKCS12 or PEM");
    else if (password != NULL && password[0] == '\0')
        request_problem(request, 400, "invalid", "password", "password: it is empty");
    return request->status == 0;
}

static bool write_pkcs12(Request *request, GString *out, const Handover *how, const Signed *made,
                         const char *key)
{
    g_autofree char *chain = g_strconcat(made->certificate, made->authority, NULL);
    g_autofree char *own = how->password == NULL ? auth_make_key() : NULL;
    const char *password = own != NULL ? own : how->password;
    g_autoptr(GError) error = NULL;
    g_autofree void *bytes = NULL;
    g_autofree char *encoded = NULL;
    size_t length = 0;

    bytes = authority_make_pkcs12(chain, key, password, how->alias, &length, &error);
    if (bytes == NULL) {
        request_fail(request, error);
        return false;
    }
    encoded = g_base64_encode(bytes, length);
    json_text(out, "pkcs12", encoded);
    json_text(out, "password", own);
    explicit_bzero(bytes, length);
    return true;
}

static void hand_over(Request *request, const Handover *how, const Signed *made, const char *key)
{
    const char *partner = request->parameters[0];
    g_autoptr(GString) out = g_string_new(NULL);
    bool written = true;

    json_open(out, NULL, '{');
    write_signed(out, made, partner);
    json_text(out, "format", how->format);
    json_text(out, "certificatePem", made->certificate);
    json_text(out, "caCertificatePem", made->authority);
    if (strcmp(how->format, "PEM") == 0)
        json_text(out, "privateKeyPem", key);
    else
        written = write_pkcs12(request, out, how, made, key);
    json_close(out, '}');
    if (!written)
        return;
    note(request, made, partner);
    g_string_append(request_answer(request, 201), out->str);
    explicit_bzero(out->str, out->len);
}

static bool is_partner(Request *request, const char *name)
{
    g_autoptr(DoorAnswer) answer =
            request_ask(request, "Describe", g_variant_new("(ssus)", name, "", (guint32)1, ""));
    g_autoptr(GVariant) found = answer != NULL ? g_variant_get_child_value(answer->value, 0) : NULL;

    if (found != NULL && g_variant_n_children(found) == 0)
        request_problem(request, 404, "not-found", "partner", "no partner '%s'", name);
    return request->status == 0;
}

void ca_generate(Request *request)
{
    static const char *const NAMES[] = {"commonName", "purpose", "validityDays", "organization",
                                        "country",    "keyType", "names",        "format",
                                        "password",   NULL};
    const char *partner = request->parameters[0];
    AuthorityPurpose purpose = AUTHORITY_CLIENT;
    int64_t days = CERTIFICATE_DAYS;
    g_auto(Signed) made = {NULL};
    g_autofree char *asked = NULL;
    AuthoritySubject subject;
    Handover how;
    char *key = NULL;

    if (!form_read(request, NAMES) || !read_purpose(request, &purpose) ||
        !read_handover(request, &how) ||
        !form_number(request, "validityDays", 1, AUTHORITY_DAYS_MAX, &days) ||
        !is_partner(request, partner))
        return;
    subject = read_subject(request, partner);
    subject.unit = partner;
    if (how.alias == NULL)
        how.alias = subject.common_name;
    if (!make_request(request, &subject, &key, &asked))
        return;
    if (sign(request, asked, purpose, days, &made))
        hand_over(request, &how, &made, key);
    secret_free_text(key);
}

/* checking */

void ca_verify(Request *request)
{
    static const char *const NAMES[] = {"certificatePem", NULL};
    g_autoptr(GVariant) told = NULL, settings = NULL;
    g_autoptr(GError) error = NULL;
    const char *certificate;
    GString *out;
    bool good;

    if (!form_read(request, NAMES))
        return;
    certificate = form_text(request, "certificatePem");
    if (certificate == NULL) {
        request_problem(request, 400, "invalid", "certificatePem", "certificatePem: it is missing");
        return;
    }
    told = need_authority(request);
    if (told == NULL)
        return;
    settings = certificates_settings(told);
    good = certificate_check_signed(certificate, value_text(settings, "certificates"), &error);
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_bool(out, "valid", good);
    json_text(out, good ? "message" : "error",
              good ? "Certificate is valid and signed by our CA" : error->message);
    json_close(out, '}');
}
