/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keystores and truststores are imported, made empty and filled, changed, checked and removed: read here, and put into the
 * store by the daemon, which seals the key and refuses what would leave somebody without.
 */
#include "admin/certificates.h"

#include "admin/draft.h"
#include "base/clock.h"

#include <string.h>

#define ANY_VERSION (-1)
#define JAVA_ADVICE                                                                                \
    "a keystore of Java (JKS) is not read: write it anew with keytool -importkeystore "            \
    "-srckeystore FILE -destkeystore FILE.p12 -deststoretype PKCS12, and import that"

/* files */

static void refuse_java(Request *request, const char *field)
{
    request_problem(request, 422, "unsupported-format", field, "%s: %s", field, JAVA_ADVICE);
}

/* False: answered. */
static bool read_format(Request *request, CertificateFormat *ret_format)
{
    const char *text = form_text(request, "format");

    if (text == NULL)
        return true;
    if (g_ascii_strcasecmp(text, "JKS") == 0 || g_ascii_strcasecmp(text, "JCEKS") == 0)
        refuse_java(request, "format");
    else if (g_ascii_strcasecmp(text, "PEM") == 0)
        *ret_format = CERTIFICATE_FORMAT_PEM;
    else if (g_ascii_strcasecmp(text, "PKCS12") == 0)
        *ret_format = CERTIFICATE_FORMAT_PKCS12;
    else
        request_problem(request, 400, "invalid", "format", "format: it must be PKCS12 or PEM");
    return request->status == 0;
}

CertificateBundle *certificates_read(Request *request, const char *field, const char *password)
{
    CertificateSource source = {.password = password};
    g_autoptr(GError) error = NULL;
    CertificateBundle *bundle;

    source.bytes = form_file(request, field, &source.length);
    if (!read_format(request, &source.format))
        return NULL;
    if (source.bytes == NULL || source.length == 0) {
        request_problem(request, 400, "invalid", field, "%s: it is missing", field);
        return NULL;
    }
    if (certificate_is_java(source.bytes, source.length)) {
        refuse_java(request, field);
        return NULL;
    }
    bundle = certificate_bundle_read(&source, &error);
    if (bundle == NULL && error->code == BASE_ERROR_REFUSED)
        request_problem(request, 400, "invalid", "storePassword", "storePassword: %s",
                        error->message);
    else if (bundle == NULL)
        request_problem(request, 400, "invalid", field, "%s: %s", field, error->message);
    return bundle;
}

static void set_text(GVariantDict *settings, const char *key, const char *value)
{
    if (value != NULL)
        g_variant_dict_insert(settings, key, "s", value);
}

/* Each certificate of a truststore has a name by which it can be taken out. */
static char *name_all(const char *text)
{
    g_autoptr(GPtrArray) list = certificate_list(text, NULL);

    for (guint i = 0; i < list->len; i++) {
        Certificate *one = g_ptr_array_index(list, i);

        if (one->alias == NULL)
            one->alias = g_strdup_printf("certificate-%u", i + 1);
    }
    return certificate_format(list);
}

/* The alias that a keystore's key is said to have, and has. False: answered. */
static bool put_alias(Request *request, GVariantDict *settings, const CertificateBundle *bundle)
{
    g_autoptr(GPtrArray) list = certificate_list(bundle->certificates, NULL);
    const Certificate *own = list->len > 0 ? g_ptr_array_index(list, 0) : NULL;
    const char *said = form_text(request, "keyAlias") != NULL ? form_text(request, "keyAlias")
                                                              : form_text(request, "alias");
    const char *found = own != NULL ? own->alias : NULL;

    if (said != NULL && found != NULL && bundle->format == CERTIFICATE_FORMAT_PKCS12 &&
        g_ascii_strcasecmp(said, found) != 0) {
        request_problem(request, 400, "invalid", "keyAlias", "keyAlias: the key in it is '%s'",
                        found);
        return false;
    }
    set_text(settings, "alias", said != NULL ? said : found != NULL ? found : "key");
    return true;
}

bool certificates_put(Request *request, GVariantDict *settings, const char *field, bool keystore,
                      const CertificateBundle *bundle)
{
    g_autofree char *named = NULL;

    if (bundle->certificates[0] == '\0') {
        request_problem(request, 400, "invalid", field, "%s: there is no certificate in it", field);
        return false;
    }
    if (keystore && bundle->key == NULL) {
        request_problem(request, 400, "invalid", field, "%s: there is no private key in it", field);
        return false;
    }
    named = keystore ? NULL : name_all(bundle->certificates);
    set_text(settings, "certificates", keystore ? bundle->certificates : named);
    set_text(settings, "format", bundle->format == CERTIFICATE_FORMAT_PEM ? "PEM" : "PKCS12");
    if (!keystore)
        return true;
    set_text(settings, "key", bundle->key);
    return put_alias(request, settings, bundle);
}

/* changes */

static GHashTable *list_fields(void)
{
    static const char *const ROWS[][2] = {{"key", "file"},
                                          {"certificates", "file"},
                                          {"alias", "keyAlias"},
                                          {"partner", "partnerId"},
                                          {"is_default", "isDefault"}};
    GHashTable *fields = g_hash_table_new(g_str_hash, g_str_equal);

    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++)
        g_hash_table_insert(fields, (gpointer)(uintptr_t)ROWS[i][0],
                            (gpointer)(uintptr_t)ROWS[i][1]);
    return fields;
}

bool certificates_define(Request *request, const char *name, GVariantDict *settings,
                         int64_t version)
{
    g_autoptr(GHashTable) fields = list_fields();
    g_autoptr(DoorAnswer) answer = NULL;

    request->fields = fields;
    answer = request_ask(request, "Define",
                         g_variant_new("(ss@a{sv}x)", DEFINITION_CERTIFICATES, name,
                                       g_variant_dict_end(settings), version));
    request->fields = NULL;
    return answer != NULL;
}

bool certificates_undefine(Request *request, const char *name, int64_t version)
{
    g_autoptr(DoorAnswer) answer = request_ask(
            request, "Undefine", g_variant_new("(ssx)", DEFINITION_CERTIFICATES, name, version));

    return answer != NULL;
}

bool certificates_clear_defaults(Request *request, const char *name, bool keystore)
{
    g_autoptr(GVariant) all = certificates_ask(request, "");

    for (gsize i = 0; all != NULL && i < g_variant_n_children(all); i++) {
        g_autoptr(GVariant) told = g_variant_get_child_value(all, i);
        g_autoptr(GVariant) settings = certificates_settings(told);
        const char *other = value_text(told, "name");
        GVariantDict change;

        if (strcmp(other, name) == 0 || !value_flag(settings, "is_default") ||
            certificates_are_keystore(settings) != keystore)
            continue;
        g_variant_dict_init(&change, NULL);
        g_variant_dict_insert(&change, "is_default", "b", FALSE);
        if (!certificates_define(request, other, &change, ANY_VERSION))
            return false;
    }
    return all != NULL;
}

bool certificates_answer(Request *request, unsigned status, const char *name, GVariant *before)
{
    g_autoptr(GVariant) told = certificates_find(request, name);
    g_autoptr(GString) was = g_string_new(NULL), is = g_string_new(NULL);

    if (told == NULL)
        return false;
    if (before != NULL)
        certificates_write(was, NULL, before);
    certificates_write(is, NULL, told);
    request_note_change(request, was->str, is->str);
    g_string_append(request_answer(request, status), is->str);
    draft_add_etag(request, value_number(told, "version"));
    return true;
}

/* The one of the path, when it may be changed as the caller thinks. NULL: answered. Returns new. */
static GVariant *find_writable(Request *request)
{
    g_autoptr(GVariant) told = certificates_find(request, request->parameters[0]);

    return told != NULL && draft_check_match(request, value_number(told, "version"))
                   ? g_steal_pointer(&told)
                   : NULL;
}

/* The version that a change is based on: what the caller named, else any. */
static int64_t base_version(const Request *request, GVariant *told)
{
    return request->if_match != NULL ? value_number(told, "version") : ANY_VERSION;
}

/* made */

static bool is_word(const char *text)
{
    return text[0] != '\0' && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == strlen(text);
}

/* What is said of a new one beside its file. False: answered. */
static bool put_description(Request *request, GVariantDict *settings, bool keystore)
{
    const char *purpose = form_text(request, "purpose");
    bool is_default = false;

    if (purpose != NULL && !is_word(purpose)) {
        request_problem(request, 400, "invalid", "purpose",
                        "purpose: it must be SERVER, CLIENT, BOTH or CA");
        return false;
    }
    if (!form_flag(request, "isDefault", &is_default))
        return false;
    set_text(settings, "kind", keystore ? "keystore" : "truststore");
    set_text(settings, "description", form_text(request, "description"));
    set_text(settings, "purpose",
             purpose != NULL ? purpose
             : keystore      ? "SERVER"
                             : PURPOSE_AUTHORITY);
    set_text(settings, "partner", form_text(request, "partnerId"));
    g_variant_dict_insert(settings, "is_default", "b", (gboolean)is_default);
    return true;
}

static const char *read_name(Request *request)
{
    const char *name = form_text(request, "name");

    if (name == NULL || name[0] == '\0')
        request_problem(request, 400, "invalid", "name", "name: it is missing");
    return request->status == 0 ? name : NULL;
}

static void end_new(Request *request, const char *name, bool keystore)
{
    const char *is_default = form_text(request, "isDefault");
    g_autofree char *where = g_strconcat("/api/v1/certificates/", name, NULL);

    if (g_strcmp0(is_default, "true") == 0 && !certificates_clear_defaults(request, name, keystore))
        return;
    if (certificates_answer(request, 201, name, NULL))
        request_add_header(request, "Location", where);
}

static void import(Request *request, bool keystore)
{
    static const char *const NAMES[] = {"file",          "name",        "description", "format",
                                        "storePassword", "keyPassword", "keyAlias",    "purpose",
                                        "partnerId",     "isDefault",   NULL};
    g_auto(GVariantDict) settings = G_VARIANT_DICT_INIT(NULL);
    g_autoptr(CertificateBundle) bundle = NULL;
    const char *name, *password;

    if (!form_read(request, NAMES) || (name = read_name(request)) == NULL)
        return;
    password = form_text(request, "storePassword");
    bundle = certificates_read(request, "file",
                               password != NULL ? password : form_text(request, "keyPassword"));
    if (bundle != NULL && certificates_put(request, &settings, "file", keystore, bundle) &&
        put_description(request, &settings, keystore) &&
        certificates_define(request, name, &settings, 0))
        end_new(request, name, keystore);
}

void certificates_import_keystore(Request *request)
{
    import(request, true);
}

void certificates_import_truststore(Request *request)
{
    import(request, false);
}

/* What protects a file of theirs is not needed: keys are sealed. */
static void create(Request *request, bool keystore)
{
    static const char *const NAMES[] = {"name",    "description", "format",    "storePassword",
                                        "purpose", "partnerId",   "isDefault", NULL};
    g_auto(GVariantDict) settings = G_VARIANT_DICT_INIT(NULL);
    CertificateFormat format = CERTIFICATE_FORMAT_ANY;
    const char *name;

    if (!form_read(request, NAMES) || (name = read_name(request)) == NULL ||
        !read_format(request, &format) || !put_description(request, &settings, keystore))
        return;
    set_text(&settings, "format", format == CERTIFICATE_FORMAT_PEM ? "PEM" : "PKCS12");
    if (certificates_define(request, name, &settings, 0))
        end_new(request, name, keystore);
}

void certificates_create_keystore(Request *request)
{
    create(request, true);
}

void certificates_create_truststore(Request *request)
{
    create(request, false);
}

/* changed */

static bool put_flags(Request *request, GVariantDict *change)
{
    static const char *const FLAGS[][2] = {{"active", "active"}, {"isDefault", "is_default"}};

    for (size_t i = 0; i < G_N_ELEMENTS(FLAGS); i++) {
        bool value = false;

        if (form_text(request, FLAGS[i][0]) == NULL)
            continue;
        if (!form_flag(request, FLAGS[i][0], &value))
            return false;
        g_variant_dict_insert(change, FLAGS[i][1], "b", (gboolean)value);
    }
    return true;
}

static bool put_file(Request *request, GVariantDict *change, bool keystore)
{
    g_autoptr(CertificateBundle) bundle = NULL;
    const char *password = form_text(request, "storePassword");
    size_t length;

    if (form_file(request, "file", &length) == NULL) {
        set_text(change, "alias", form_text(request, "keyAlias"));
        return true;
    }
    bundle = certificates_read(request, "file",
                               password != NULL ? password : form_text(request, "keyPassword"));
    return bundle != NULL && certificates_put(request, change, "file", keystore, bundle);
}

void certificates_update(Request *request)
{
    static const char *const NAMES[] = {"file",        "description", "format", "storePassword",
                                        "keyPassword", "keyAlias",    "active", "isDefault",
                                        "purpose",     "partnerId",   NULL};
    g_auto(GVariantDict) change = G_VARIANT_DICT_INIT(NULL);
    g_autoptr(GVariant) told = NULL, settings = NULL;
    const char *name, *purpose;
    bool keystore;

    if (!form_read(request, NAMES) || (told = find_writable(request)) == NULL)
        return;
    name = value_text(told, "name");
    settings = certificates_settings(told);
    keystore = certificates_are_keystore(settings);
    purpose = form_text(request, "purpose");
    if (purpose != NULL && !is_word(purpose)) {
        request_problem(request, 400, "invalid", "purpose",
                        "purpose: it must be SERVER, CLIENT, BOTH or CA");
        return;
    }
    set_text(&change, "description", form_text(request, "description"));
    set_text(&change, "purpose", purpose);
    set_text(&change, "partner", form_text(request, "partnerId"));
    if (put_flags(request, &change) && put_file(request, &change, keystore) &&
        certificates_define(request, name, &change, base_version(request, told)) &&
        (g_strcmp0(form_text(request, "isDefault"), "true") != 0 ||
         certificates_clear_defaults(request, name, keystore)))
        (void)certificates_answer(request, 200, name, told); /* answered either way */
}

static void set_flag(Request *request, const char *key, bool value)
{
    g_auto(GVariantDict) change = G_VARIANT_DICT_INIT(NULL);
    g_autoptr(GVariant) told = find_writable(request);
    g_autoptr(GVariant) settings = told != NULL ? certificates_settings(told) : NULL;
    const char *name;

    if (told == NULL)
        return;
    name = value_text(told, "name");
    g_variant_dict_insert(&change, key, "b", (gboolean)value);
    if (certificates_define(request, name, &change, base_version(request, told)) &&
        (strcmp(key, "is_default") != 0 ||
         certificates_clear_defaults(request, name, certificates_are_keystore(settings))))
        (void)certificates_answer(request, 200, name, told); /* answered either way */
}

void certificates_set_default(Request *request)
{
    set_flag(request, "is_default", true);
}

void certificates_activate(Request *request)
{
    set_flag(request, "active", true);
}

void certificates_deactivate(Request *request)
{
    set_flag(request, "active", false);
}

void certificates_remove(Request *request)
{
    g_autoptr(GVariant) told = find_writable(request);
    g_autoptr(GString) before = g_string_new(NULL);

    if (told == NULL ||
        !certificates_undefine(request, value_text(told, "name"), base_version(request, told)))
        return;
    certificates_write(before, NULL, told);
    request_note_change(request, before->str, NULL);
    (void)request_answer(request, 204);
}

/* entries */

/* Puts a list in the place of what was there, based on what was read. */
static void replace_list(Request *request, GVariant *told, const GPtrArray *list, bool drop_key)
{
    g_auto(GVariantDict) change = G_VARIANT_DICT_INIT(NULL);
    const char *name = value_text(told, "name");
    g_autofree char *text = certificate_format(list);

    if (list->len > 0)
        set_text(&change, "certificates", text);
    else
        g_variant_dict_insert_value(&change, "certificates", g_variant_new_tuple(NULL, 0));
    if (drop_key) {
        g_variant_dict_insert_value(&change, "key", g_variant_new_tuple(NULL, 0));
        g_variant_dict_insert_value(&change, "alias", g_variant_new_tuple(NULL, 0));
    }
    if (certificates_define(request, name, &change, value_number(told, "version")))
        (void)certificates_answer(request, 200, name, told); /* answered either way */
}

static void remove_alias(GPtrArray *list, const char *alias)
{
    for (guint i = list->len; i > 0; i--) {
        const Certificate *one = g_ptr_array_index(list, i - 1);

        if (g_strcmp0(one->alias, alias) == 0)
            g_ptr_array_remove_index(list, i - 1);
    }
}

/* Under the alias, or behind it a number when there are several. */
static void append_named(GPtrArray *list, GPtrArray *more, const char *alias)
{
    for (guint i = 0; i < more->len; i++) {
        Certificate *one = g_ptr_array_index(more, i);

        g_free(one->alias);
        one->alias = i == 0 ? g_strdup(alias) : g_strdup_printf("%s-%u", alias, i + 1);
        remove_alias(list, one->alias);
        g_ptr_array_add(list, one);
        more->pdata[i] = NULL;
    }
}

void certificates_add(Request *request)
{
    static const char *const NAMES[] = {"file", "alias", NULL};
    g_autoptr(CertificateBundle) bundle = NULL;
    g_autoptr(GVariant) told = NULL;
    g_autoptr(GPtrArray) list = NULL, more = NULL;
    const char *alias;

    if (!form_read(request, NAMES))
        return;
    alias = form_text(request, "alias");
    if (alias == NULL || alias[0] == '\0') {
        request_problem(request, 400, "invalid", "alias", "alias: it is missing");
        return;
    }
    told = find_writable(request);
    bundle = told != NULL ? certificates_read(request, "file", NULL) : NULL;
    if (bundle == NULL)
        return;
    if (bundle->certificates[0] == '\0') {
        request_problem(request, 400, "invalid", "file", "file: there is no certificate in it");
        return;
    }
    list = certificates_list_of(told);
    more = certificate_list(bundle->certificates, NULL);
    append_named(list, more, alias);
    replace_list(request, told, list, false);
}

static char *join(Request *request)
{
    size_t own_length = 0, key_length = 0;
    const char *own = form_file(request, "certificate", &own_length);
    const char *key = form_file(request, "privateKey", &key_length);
    GString *text;

    if (own == NULL || key == NULL) {
        const char *missing = own == NULL ? "certificate" : "privateKey";

        request_problem(request, 400, "invalid", missing, "%s: it is missing", missing);
        return NULL;
    }
    text = g_string_sized_new(own_length + key_length + 2);
    g_string_append_len(text, own, (gssize)own_length);
    g_string_append_c(text, '\n');
    g_string_append_len(text, key, (gssize)key_length);
    return g_string_free(text, FALSE);
}

/* Of two files in PEM. NULL: answered. */
static CertificateBundle *read_pair(Request *request)
{
    char *text = join(request);
    CertificateSource source = {.format = CERTIFICATE_FORMAT_PEM,
                                .password = form_text(request, "keyPassword")};
    g_autoptr(GError) error = NULL;
    CertificateBundle *bundle;

    if (text == NULL)
        return NULL;
    source.bytes = text;
    source.length = strlen(text);
    bundle = certificate_bundle_read(&source, &error);
    explicit_bzero(text, source.length);
    g_free(text);
    if (bundle == NULL)
        request_problem(request, 400, "invalid",
                        error->code == BASE_ERROR_REFUSED ? "keyPassword" : "privateKey", "%s: %s",
                        error->code == BASE_ERROR_REFUSED ? "keyPassword" : "privateKey",
                        error->message);
    return bundle;
}

void certificates_put_pair(Request *request)
{
    static const char *const NAMES[] = {"certificate", "privateKey", "alias", "keyPassword", NULL};
    g_auto(GVariantDict) change = G_VARIANT_DICT_INIT(NULL);
    g_autoptr(CertificateBundle) bundle = NULL;
    g_autoptr(GVariant) told = NULL, settings = NULL;
    const char *name;

    if (!form_read(request, NAMES) || (told = find_writable(request)) == NULL)
        return;
    settings = certificates_settings(told);
    name = value_text(told, "name");
    if (!certificates_are_keystore(settings)) {
        request_problem(request, 409, "conflict", "id", "'%s' is a truststore", name);
        return;
    }
    bundle = read_pair(request);
    if (bundle != NULL && certificates_put(request, &change, "privateKey", true, bundle) &&
        certificates_define(request, name, &change, base_version(request, told)))
        (void)certificates_answer(request, 200, name, told); /* answered either way */
}

/* The key goes with all that was there to prove it. */
void certificates_remove_entry(Request *request)
{
    g_autoptr(GVariant) told = find_writable(request);
    g_autoptr(GVariant) settings = told != NULL ? certificates_settings(told) : NULL;
    const char *alias = request->parameters[1];
    g_autoptr(GPtrArray) list = NULL;
    guint before;

    if (told == NULL)
        return;
    list = certificates_list_of(told);
    before = list->len;
    if (value_flag(told, "has_key") && g_strcmp0(value_text(settings, "alias"), alias) == 0) {
        g_ptr_array_set_size(list, 0);
        replace_list(request, told, list, true);
        return;
    }
    remove_alias(list, alias);
    if (list->len < before)
        replace_list(request, told, list, false);
    else
        request_problem(request, 404, "not-found", "alias", "no entry '%s' in '%s'", alias,
                        value_text(told, "name"));
}

/* checked */

/* Every certificate of the truststores, for a chain that ends at one of them. Returns new. */
static char *list_authorities(Request *request)
{
    g_autoptr(GVariant) all = certificates_ask(request, "");
    GString *text = g_string_new(NULL);

    for (gsize i = 0; all != NULL && i < g_variant_n_children(all); i++) {
        g_autoptr(GVariant) told = g_variant_get_child_value(all, i);
        g_autoptr(GVariant) settings = certificates_settings(told);
        const char *pem = value_text(settings, "certificates");

        if (!certificates_are_keystore(settings) && pem != NULL)
            g_string_append(text, pem);
    }
    return g_string_free(text, FALSE);
}

static char *check_dates(const GPtrArray *list)
{
    int64_t now_us = clock_wall_us();

    for (guint i = 0; i < list->len; i++) {
        const Certificate *one = g_ptr_array_index(list, i);

        if (one->expires_us <= now_us)
            return g_strdup_printf("'%s' has expired", one->subject);
        if (one->valid_from_us > now_us)
            return g_strdup_printf("'%s' is not valid yet", one->subject);
    }
    return NULL;
}

/* Why it is not valid, new; NULL: it is. */
static char *find_fault(Request *request, GVariant *told)
{
    g_autoptr(GVariant) settings = certificates_settings(told);
    g_autoptr(GPtrArray) list = certificates_list_of(told);
    g_autofree char *authorities = NULL;
    g_autoptr(GError) error = NULL;

    if (value_text(told, "fault") != NULL)
        return g_strdup(value_text(told, "fault"));
    if (list->len == 0)
        return g_strdup("there is no certificate in it");
    if (!certificates_are_keystore(settings))
        return check_dates(list);
    if (!value_flag(told, "has_key"))
        return g_strdup("there is no private key in it");
    if (!value_flag(told, "key_fits"))
        return g_strdup("the private key does not belong to the certificate");
    authorities = list_authorities(request);
    if (!certificate_check_chain(value_text(settings, "certificates"), authorities, &error))
        return g_strdup(error->message);
    return check_dates(list);
}

void certificates_validate(Request *request)
{
    g_autoptr(GVariant) told = certificates_find(request, request->parameters[0]);
    g_autofree char *fault = NULL;
    GString *out;

    if (told == NULL)
        return;
    fault = find_fault(request, told);
    if (fault != NULL) {
        request_problem(request, 400, "invalid-certificate", "id", "Validation failed: %s", fault);
        return;
    }
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_bool(out, "valid", true);
    json_text(out, "message", "Certificate is valid");
    json_close(out, '}');
}
