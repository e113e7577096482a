/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, client certificates and users: made, shown, changed and removed. What is secret of them is shown once, by the
 * answer that makes it, and kept as a verifier. Who they are when they ask: auth.c.
 */
#include "admin/admin-private.h"

#include "base/clock.h"
#include "daemon/transfer/partner.h"

#include <string.h>

#define DIGEST_LENGTH   64
#define NAME_MAX_LENGTH 64
#define TEXT_MAX        255
#define PASSWORD_MIN    12
#define PAGE_MAX        1000
#define ROLES_SAID      "it must be admin, operator, viewer or partner"

/* what a body says */

static bool refuse(Request *request, const char *field, const char *why)
{
    request_problem(request, 400, "invalid", field, "%s: %s", field, why);
    return false;
}

/* PeSIT Wizard calls a viewer USER. */
static bool parse_role(const char *text, Role *ret_role)
{
    return role_parse(g_ascii_strcasecmp(text, "USER") == 0 ? "viewer" : text, ret_role);
}

/* "role", or the highest of "roles". */
static bool take_role(Request *request, const Json *json, Json *document)
{
    static const char *const NAMES[] = {"role", NULL};
    g_autofree char *list = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) words = NULL;
    const char *field, *text = NULL;
    Role role = ROLE_PUBLIC, one;

    if (!request_read_text(request, json, NAMES, &field, &text))
        return false;
    if (!json_get_list(json, "roles", &list, &error)) {
        request_fail(request, error);
        return false;
    }
    if (text == NULL && list != NULL)
        field = "roles";
    words = g_strsplit(text != NULL ? text : list != NULL ? list : "", ",", -1);
    for (size_t i = 0; words[i] != NULL; i++) {
        if (!parse_role(words[i], &one))
            return refuse(request, field, ROLES_SAID);
        role = MAX(role, one);
    }
    if (role != ROLE_PUBLIC)
        json_set_text(document, "role", role_name(role));
    else if (text != NULL || list != NULL || !json_has(document, "role"))
        return refuse(request, field, ROLES_SAID);
    return true;
}

/* A partner belongs to the role partner, and the role to a partner. */
static bool take_partner(Request *request, const Json *json, Json *document)
{
    static const char *const NAMES[] = {"partner", "partnerId", NULL};
    const char *field, *text = NULL, *role = NULL, *partner = NULL;

    if (!request_read_text(request, json, NAMES, &field, &text))
        return false;
    if (text != NULL)
        json_set_text(document, "partner", text);
    else if (json_has_null(json, "partner") || json_has_null(json, "partnerId"))
        json_remove(document, "partner");
    (void)json_get_text(document, "role", &role, NULL); /* ours */
    (void)json_get_text(document, "partner", &partner, NULL);
    if (g_strcmp0(role, role_name(ROLE_PARTNER)) != 0)
        return partner == NULL ||
               refuse(request, field, "it limits the role partner, and no other");
    return (partner != NULL && *partner != '\0') ||
           refuse(request, field, "role partner needs its name");
}

static bool take_end(Request *request, const Json *json, Json *document)
{
    static const char *const NAMES[] = {"expiresAt", NULL};
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) time = NULL;
    const char *field, *text = NULL;

    if (!request_read_text(request, json, NAMES, &field, &text))
        return false;
    if (text == NULL) {
        if (json_has_null(json, field))
            json_remove(document, "expires_us");
        return true;
    }
    time = g_date_time_new_from_iso8601(text, utc);
    if (time == NULL)
        return refuse(request, field, "it must be a time as 2027-01-31T00:00:00Z");
    if (g_date_time_to_unix(time) <= clock_wall_us() / USEC_PER_SEC)
        return refuse(request, field, "it is over already");
    json_set_number(document, "expires_us", g_date_time_to_unix(time) * USEC_PER_SEC);
    return true;
}

static bool take_addresses(Request *request, const Json *json, Json *document)
{
    g_autofree char *addresses = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) ranges = NULL;
    uint8_t bytes[16];
    size_t length;
    unsigned bits;

    if (!json_get_list(json, "allowedIps", &addresses, &error)) {
        request_fail(request, error);
        return false;
    }
    ranges = g_strsplit(addresses != NULL ? addresses : "", ",", -1);
    for (size_t i = 0; ranges[i] != NULL; i++) {
        if (partner_parse_range(g_strstrip(ranges[i]), bytes, &length, &bits))
            continue;
        request_problem(request, 400, "invalid", "allowedIps",
                        "allowedIps: '%s' is no address or range", ranges[i]);
        return false;
    }
    if (addresses != NULL)
        json_set_text(document, "addresses", addresses);
    else if (json_has_null(json, "allowedIps"))
        json_remove(document, "addresses");
    return true;
}

static bool take_description(Request *request, const Json *json, Json *document)
{
    static const char *const NAMES[] = {"description", NULL};
    const char *field, *text = NULL;

    if (!request_read_text(request, json, NAMES, &field, &text))
        return false;
    if (text != NULL && strlen(text) > TEXT_MAX)
        return refuse(request, field, "it may have 255 characters");
    if (text != NULL)
        json_set_text(document, field, text);
    else if (json_has_null(json, field))
        json_remove(document, field);
    return true;
}

/* Lays what the body says over the document. False: answered. */
static bool take_rights(Request *request, const Json *json, Json *document)
{
    return take_role(request, json, document) && take_partner(request, json, document) &&
           take_end(request, json, document) && take_addresses(request, json, document) &&
           take_description(request, json, document);
}

static bool is_name(const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++) {
        if (g_ascii_iscntrl(text[i]) || text[i] == ':' || text[i] == '/')
            return false;
    }
    return length > 0 && length <= NAME_MAX_LENGTH && text[0] != ' ' && text[length - 1] != ' ';
}

/* ret_name: unchanged when it is not there. */
static bool read_name(Request *request, const Json *json, const char **ret_name)
{
    static const char *const NAMES[] = {"name", NULL};
    const char *field, *text = NULL;

    if (!request_read_text(request, json, NAMES, &field, &text))
        return false;
    if (text != NULL)
        *ret_name = text;
    return (*ret_name != NULL && is_name(*ret_name)) ||
           refuse(request, field,
                  "it must have 1 to 64 characters, without ':' and '/', none of them a control "
                  "character and no blank at an end");
}

/* A verifier of the password. NULL: answered. Returns new. */
static char *read_password(Request *request, const Json *json)
{
    const char *password = "";
    char *verifier;

    if (!json_get_text(json, "password", &password, NULL) || strlen(password) < PASSWORD_MIN ||
        strlen(password) > CREDENTIAL_PASSWORD_MAX) {
        request_problem(request, 400, "invalid", "password",
                        "password: it must have %d to %d bytes", PASSWORD_MIN,
                        CREDENTIAL_PASSWORD_MAX);
        return NULL;
    }
    verifier = auth_make_verifier(request->admin, password);
    if (verifier == NULL)
        request_problem(request, 503, "busy", NULL, "no memory for a password now");
    return verifier;
}

/* showing */

static void write_credential(GString *out, const Record *record)
{
    g_autoptr(Json) document = json_read(record->document, strlen(record->document), NULL);
    const char *role = NULL, *partner = NULL, *addresses = NULL, *description = NULL;
    int64_t expires_us = 0;

    if (document != NULL) {
        (void)json_get_text(document, "role", &role, NULL); /* shown as null */
        (void)json_get_text(document, "partner", &partner, NULL);
        (void)json_get_text(document, "addresses", &addresses, NULL);
        (void)json_get_text(document, "description", &description, NULL);
        (void)json_get_number(document, "expires_us", &expires_us, NULL);
    }
    json_text(out, "id", record->id);
    json_text(out, "name", record->name);
    json_text(out, "role", role);
    json_text(out, "partner", partner);
    json_text(out, "allowedIps", addresses);
    json_text(out, "description", description);
    json_time(out, "expiresAt", expires_us);
    json_time(out, "createdAt", record->created_us);
}

/* key: NULL: none is shown. Returns new. */
static GString *describe(const Record *record, const char *key)
{
    GString *text = g_string_new(NULL);

    json_open(text, NULL, '{');
    write_credential(text, record);
    if (key != NULL)
        json_text(text, "key", key);
    json_close(text, '}');
    return text;
}

static bool is_active(const Record *record)
{
    g_autoptr(Json) document = json_read(record->document, strlen(record->document), NULL);
    int64_t expires_us = 0;

    if (document != NULL)
        (void)json_get_number(document, "expires_us", &expires_us, NULL); /* none: for ever */
    return expires_us == 0 || expires_us > clock_wall_us();
}

/* is_wanted: NULL: all. A page is of so many, of which it may show fewer. */
static void list_those(Request *request, const char *kind, bool (*is_wanted)(const Record *record))
{
    g_autoptr(StoreResult) result = NULL;
    const char *after = request_query(request, "after");
    int64_t limit = 100;
    GString *out;

    if (!request_query_number(request, "limit", 1, PAGE_MAX, &limit))
        return;
    result = request_store(
            request, store_request_record_list(kind, after != NULL ? after : "", (uint32_t)limit));
    if (result == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '[');
    for (guint i = 0; i < result->records->len; i++) {
        if (is_wanted != NULL && !is_wanted(g_ptr_array_index(result->records, i)))
            continue;
        json_open(out, NULL, '{');
        write_credential(out, g_ptr_array_index(result->records, i));
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void list(Request *request, const char *kind)
{
    list_those(request, kind, NULL);
}

void credentials_list_keys(Request *request)
{
    list(request, "key");
}

void credentials_list_active_keys(Request *request)
{
    list_those(request, "key", is_active);
}

void credentials_list_users(Request *request)
{
    list(request, "user");
}

static void show(Request *request, const char *kind)
{
    g_autoptr(StoreResult) result =
            request_store(request, store_request_record_get(kind, request->parameters[0]));
    const Record *record;
    g_autoptr(GString) text = NULL;

    if (result == NULL)
        return;
    record = g_ptr_array_index(result->records, 0);
    text = describe(record, NULL);
    g_string_append(request_answer(request, 200), text->str);
    record_add_etag(request, record);
}

void credentials_show_key(Request *request)
{
    show(request, "key");
}

void credentials_show_user(Request *request)
{
    show(request, "user");
}

/* making */

static void insert(Request *request, const Record *record, const char *key)
{
    g_autoptr(StoreResult) result = request_store(request, store_request_record_insert(record));
    g_autoptr(GString) after = NULL, told = NULL;

    if (result == NULL)
        return;
    after = describe(record, NULL);
    told = describe(record, key);
    request_note_change(request, NULL, after->str);
    g_string_append(request_answer(request, 201), told->str);
}

void credentials_create_key(Request *request)
{
    static const char *const NAMES[] = {
            "name",      "role",       "roles",       "partner",           "partnerId",
            "expiresAt", "allowedIps", "description", "certificateSha256", NULL};
    g_autoptr(Json) json = request_read_json(request, NAMES);
    g_autoptr(Json) document = json_read("{}", 2, NULL);
    g_autoptr(Record) record = NULL;
    g_autofree char *key = NULL, *digest = NULL, *id = NULL, *text = NULL;
    const char *name = NULL, *certificate = NULL;

    if (json == NULL || !read_name(request, json, &name) || !take_rights(request, json, document))
        return;
    if (!json_get_text(json, "certificateSha256", &certificate, NULL) ||
        (certificate != NULL && (strlen(certificate) != DIGEST_LENGTH ||
                                 strspn(certificate, "0123456789abcdef") != DIGEST_LENGTH))) {
        (void)refuse(request, "certificateSha256",
                     "it must have 64 hexadecimal digits in lower case");
        return;
    }
    key = certificate == NULL ? auth_make_key() : NULL;
    digest = certificate == NULL ? auth_dup_digest(key) : g_strdup(certificate);
    id = g_strdup_printf("%s%.*s", certificate != NULL ? "c" : "", CREDENTIAL_ID_LENGTH, digest);
    json_set_text(document, "verifier", digest);
    text = json_dup_text(document);
    record = record_new("key", id, name, text);
    insert(request, record, key);
}

void credentials_create_user(Request *request)
{
    static const char *const NAMES[] = {"name",        "password",  "role",      "roles",
                                        "partner",     "partnerId", "expiresAt", "allowedIps",
                                        "description", NULL};
    g_autoptr(Json) json = request_read_json(request, NAMES);
    g_autoptr(Json) document = json_read("{}", 2, NULL);
    g_autoptr(Record) record = NULL;
    g_autofree char *verifier = NULL, *text = NULL;
    const char *name = NULL;

    if (json == NULL || !read_name(request, json, &name) || !take_rights(request, json, document))
        return;
    verifier = read_password(request, json);
    if (verifier == NULL)
        return;
    json_set_text(document, "verifier", verifier);
    text = json_dup_text(document);
    record = record_new("user", name, name, text);
    insert(request, record, NULL);
}

/* changing */

/* As the path names it, when the caller knows it as it is. NULL: answered. */
static StoreResult *get(Request *request, const char *kind)
{
    g_autoptr(StoreResult) found =
            request_store(request, store_request_record_get(kind, request->parameters[0]));

    return found != NULL && record_check_match(request, g_ptr_array_index(found->records, 0))
                   ? g_steal_pointer(&found)
                   : NULL;
}

/* names: of the fields that change. */
static void update(Request *request, const char *kind, const char *const *names)
{
    g_autoptr(StoreResult) found = get(request, kind), stored = NULL;
    const Record *before = found != NULL ? g_ptr_array_index(found->records, 0) : NULL;
    g_autoptr(Json) json = before != NULL ? request_read_json(request, names) : NULL;
    g_autoptr(Json) document = NULL;
    g_autoptr(Record) after = NULL;
    g_autofree char *verifier = NULL, *text = NULL;
    g_autoptr(GString) was = NULL, is = NULL;
    const char *name;

    if (json == NULL)
        return;
    name = before->name;
    document = json_read(before->document, strlen(before->document), NULL);
    if (!read_name(request, json, &name) || !take_rights(request, json, document))
        return;
    if (json_has(json, "password")) {
        verifier = read_password(request, json);
        if (verifier == NULL)
            return;
        json_set_text(document, "verifier", verifier);
    }
    text = json_dup_text(document);
    after = record_new(kind, before->id, name, text);
    after->created_us = before->created_us;
    stored = record_change(request, store_request_record_update(after, before->updated_us));
    if (stored == NULL)
        return;
    was = describe(before, NULL);
    is = describe(after, NULL);
    request_note_change(request, was->str, is->str);
    g_string_append(request_answer(request, 200), is->str);
    record_add_etag(request, after);
}

void credentials_update_key(Request *request)
{
    static const char *const NAMES[] = {"name",       "role",        "roles",
                                        "partner",    "partnerId",   "expiresAt",
                                        "allowedIps", "description", NULL};

    update(request, "key", NAMES);
}

void credentials_update_user(Request *request)
{
    static const char *const NAMES[] = {"password",   "role",        "roles",
                                        "partner",    "partnerId",   "expiresAt",
                                        "allowedIps", "description", NULL};

    update(request, "user", NAMES);
}

/* The same key with other bytes: what it was holds no longer from the moment on when this is stored. */
static void renew(Request *request, const Record *before)
{
    g_autofree char *key = auth_make_key(), *digest = auth_dup_digest(key);
    g_autofree char *id = g_strndup(digest, CREDENTIAL_ID_LENGTH);
    g_autoptr(Json) document = json_read(before->document, strlen(before->document), NULL);
    g_autofree char *text = NULL;
    g_autoptr(Record) after = NULL;
    g_autoptr(StoreResult) stored = NULL;
    g_autoptr(GString) was = NULL, is = NULL, told = NULL;

    json_set_text(document, "verifier", digest);
    text = json_dup_text(document);
    after = record_new(before->kind, id, before->name, text);
    after->created_us = before->created_us;
    stored = record_change(request,
                           store_request_record_rename(after, before->id, before->updated_us));
    if (stored == NULL)
        return;
    was = describe(before, NULL);
    is = describe(after, NULL);
    told = describe(after, key);
    request_note_change(request, was->str, is->str);
    g_string_append(request_answer(request, 200), told->str);
}

void credentials_regenerate_key(Request *request)
{
    g_autoptr(StoreResult) found = get(request, "key");
    const Record *before = found != NULL ? g_ptr_array_index(found->records, 0) : NULL;

    if (before == NULL)
        return;
    if (before->id[0] == 'c' && strlen(before->id) > CREDENTIAL_ID_LENGTH)
        request_problem(request, 409, "conflict", "id",
                        "'%s' is a client's certificate: whoever issued it issues another",
                        before->name);
    else
        renew(request, before);
}

static const Record *before_of(const StoreResult *found)
{
    return g_ptr_array_index(found->records, 0);
}

static void remove_credential(Request *request, const char *kind)
{
    const char *id = request->parameters[0];
    g_autoptr(StoreResult) found = get(request, kind);
    g_autoptr(StoreResult) result =
            found != NULL ? record_change(request, store_request_record_remove(
                                                           kind, id, before_of(found)->updated_us))
                          : NULL;
    g_autoptr(GString) before = NULL;

    if (result == NULL)
        return;
    before = describe(g_ptr_array_index(found->records, 0), NULL);
    request_note_change(request, before->str, NULL);
    (void)request_answer(request, 204);
}

void credentials_remove_key(Request *request)
{
    remove_credential(request, "key");
}

void credentials_remove_user(Request *request)
{
    remove_credential(request, "user");
}
