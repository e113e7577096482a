/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks: an API key, a user with a password, or a certificate. A key is 256 random bits, so its SHA-256 is verifier
 * enough; a password is kept as Argon2id, computed by few threads because each takes 64 MiB. Hides libsodium.
 */
#include "admin/admin-private.h"

#include "base/clock.h"
#include "base/metric.h"
#include "base/secret.h"
#include "daemon/transfer/partner.h"

#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

#define KEY_BYTES      32
#define KEY_PREFIX     "pk_"
#define ID_LENGTH      16
#define FIRST_KEY_MIN  24
#define PASSWORD_MIN   12
#define PASSWORD_MAX   256
#define PAGE_MAX       1000
#define DUMMY_PASSWORD "nobody has this password"

static char *dup_digest(const char *text)
{
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

static bool equal_digests(const char *a, const char *b)
{
    size_t length = strlen(b);

    return strlen(a) == length && sodium_memcmp(a, b, length) == 0;
}

/* passwords */

typedef struct {
    char *password, *verifier; /* verifier NULL: make one */
    Reply *reply;              /* gchar *: the verifier when it is good, else NULL */
} Hashing;

static void run_hashing(gpointer data)
{
    Hashing *hashing = data;
    char made[crypto_pwhash_STRBYTES];
    const char *answer = NULL;

    if (hashing->verifier != NULL)
        answer = crypto_pwhash_str_verify(hashing->verifier, hashing->password,
                                          strlen(hashing->password)) == 0
                         ? hashing->verifier
                         : NULL;
    else if (crypto_pwhash_str(made, hashing->password, strlen(hashing->password),
                               crypto_pwhash_OPSLIMIT_INTERACTIVE,
                               crypto_pwhash_MEMLIMIT_INTERACTIVE) == 0)
        answer = made;
    reply_post(hashing->reply, g_strdup(answer));
    secret_free_text(hashing->password);
    g_free(hashing->verifier);
    reply_unref(hashing->reply);
    g_free(hashing);
}

/* The verifier when the password is good, or a new one when verifier is NULL. Returns new, or NULL. */
static char *hash(Admin *admin, const char *password, const char *verifier)
{
    g_autoptr(Reply) reply = reply_new(g_free);
    Hashing *hashing = g_new0(Hashing, 1);
    Job *job = g_new0(Job, 1);
    gpointer value = NULL;

    hashing->password = g_strdup(password);
    hashing->verifier = g_strdup(verifier);
    hashing->reply = reply_ref(reply);
    job->work = run_hashing;
    job->data = hashing;
    atomic_store(&job->given, true);
    (void)g_thread_pool_push(admin->hashers, job, NULL); /* queued at the least */
    (void)reply_wait(reply, INT64_MAX, &value);          /* it always answers */
    return value;
}

/* who is it */

static bool deny(Request *request, const char *why)
{
    metric_add(METRIC_LOGINS_FAILED, 1);
    request_problem(request, 401, "unauthenticated", NULL, "%s", why);
    request_add_header(request, "WWW-Authenticate", "ApiKey realm=\"pesitd\"");
    request_add_header(request, "WWW-Authenticate", "Basic realm=\"pesitd\", charset=\"UTF-8\"");
    return false;
}

static bool accepts_address(const char *list, const char *address)
{
    g_auto(GStrv) ranges = g_strsplit(list, ",", -1);
    Partner ruler = {.addresses = g_ptr_array_new()};
    bool accepted;

    for (size_t i = 0; ranges[i] != NULL; i++)
        g_ptr_array_add(ruler.addresses, g_strstrip(ranges[i]));
    accepted = ruler.addresses->len == 0 || partner_accepts_address(&ruler, address);
    g_ptr_array_unref(ruler.addresses);
    return accepted;
}

/* The record's role, unless it has expired or does not hold for this address. */
static bool adopt(Request *request, const Record *record, const Json *document, const char *kind)
{
    const char *role = "", *partner = NULL, *addresses = "";
    int64_t expires_us = 0;

    if (!json_get_text(document, "role", &role, NULL) ||
        !json_get_text(document, "partner", &partner, NULL) ||
        !json_get_text(document, "addresses", &addresses, NULL) ||
        !json_get_number(document, "expires_us", &expires_us, NULL) ||
        !role_parse(role, &request->identity.role))
        return deny(request, "the credential cannot be read");
    if (expires_us != 0 && expires_us <= clock_wall_us())
        return deny(request, "the credential has expired");
    if (!accepts_address(addresses, request->address))
        return deny(request, "the credential does not hold for this address");
    if (request->identity.role == ROLE_PARTNER && (partner == NULL || *partner == '\0'))
        return deny(request, "the credential names no partner");
    request->identity.name = g_strconcat(kind, ":", record->name, NULL);
    request->identity.partner = g_strdup(partner);
    return true;
}

/* 1: adopted or denied for good, told by ret_adopted; 0: no such credential. */
static Json *find(Request *request, const char *kind, const char *id, StoreResult **ret_result)
{
    const Record *record;

    *ret_result = request_execute(request, store_request_record_get(kind, id));
    if ((*ret_result)->error != NULL)
        return NULL;
    record = g_ptr_array_index((*ret_result)->records, 0);
    return json_read(record->document, strlen(record->document), NULL);
}

static bool is_away(const StoreResult *result)
{
    return result->error != NULL && result->error->code != BASE_ERROR_NOT_FOUND;
}

static bool identify_by_digest(Request *request, const char *kind, const char *id,
                               const char *digest)
{
    g_autoptr(StoreResult) result = NULL;
    g_autoptr(Json) document = find(request, "key", id, &result);
    const char *verifier = "";

    if (is_away(result)) {
        request_fail(request, result->error);
        return false;
    }
    if (document == NULL || !json_get_text(document, "verifier", &verifier, NULL) ||
        !equal_digests(verifier, digest))
        return deny(request, "the key is not known");
    return adopt(request, g_ptr_array_index(result->records, 0), document, kind);
}

static bool identify_key(Request *request, const char *key)
{
    g_autofree char *digest = dup_digest(key);
    g_autofree char *id = g_strndup(digest, ID_LENGTH);

    return identify_by_digest(request, "key", id, digest);
}

static bool identify_certificate(Request *request)
{
    g_autofree char *id = g_strdup_printf("c%.*s", ID_LENGTH, request->certificate);

    return identify_by_digest(request, "certificate", id, request->certificate);
}

/* A text with a secret in it is wiped when it goes. */
static void wipe(char **text)
{
    secret_free_text(*text);
}

static bool identify_user(Request *request, const char *encoded)
{
    gsize length = 0;
    __attribute__((cleanup(wipe))) char *decoded = (char *)g_base64_decode(encoded, &length);
    __attribute__((cleanup(wipe))) char *text = g_strndup(decoded, length);
    g_autoptr(StoreResult) result = NULL;
    g_autoptr(Json) document = NULL;
    g_autofree char *good = NULL;
    char *colon = strchr(text, ':');
    const char *verifier = NULL;

    if (colon == NULL || strlen(colon + 1) > PASSWORD_MAX ||
        !g_utf8_validate_len(decoded, length, NULL))
        return deny(request, "Basic: it must be NAME:PASSWORD in base64");
    *colon = '\0';
    document = find(request, "user", text, &result);
    if (is_away(result)) {
        request_fail(request, result->error);
        return false;
    }
    if (document == NULL || !json_get_text(document, "verifier", &verifier, NULL) ||
        verifier == NULL) {
        g_free(hash(request->admin, DUMMY_PASSWORD, NULL)); /* takes as long as a check */
        return deny(request, "user or password is wrong");
    }
    good = hash(request->admin, colon + 1, verifier);
    if (good == NULL)
        return deny(request, "user or password is wrong");
    return adopt(request, g_ptr_array_index(result->records, 0), document, "user");
}

bool auth_identify(Request *request)
{
    const char *shown = request->authorization;

    if (shown == NULL)
        return request->certificate != NULL
                       ? identify_certificate(request)
                       : deny(request, "show an API key, a user or a certificate");
    if (g_ascii_strncasecmp(shown, "ApiKey ", 7) == 0 ||
        g_ascii_strncasecmp(shown, "Bearer ", 7) == 0)
        return identify_key(request, shown + 7);
    if (g_ascii_strncasecmp(shown, "Basic ", 6) == 0)
        return identify_user(request, shown + 6);
    return deny(request, "Authorization: ApiKey, Bearer or Basic");
}

/* making credentials */

static bool check_rights(Request *request, Json *json, Json *document)
{
    static const char *const FIELDS[] = {"role", "partner", "description", NULL};
    g_autoptr(GError) error = NULL;
    g_autofree char *addresses = NULL;
    const char *role = NULL, *expires = NULL, *partner = NULL;
    g_auto(GStrv) ranges = NULL;
    Role parsed;

    for (size_t i = 0; FIELDS[i] != NULL; i++) {
        const char *text = NULL;

        if (!json_get_text(json, FIELDS[i], &text, &error))
            break;
        if (text != NULL)
            json_set_text(document, FIELDS[i], text);
    }
    if (error == NULL && json_get_text(json, "role", &role, &error) &&
        json_get_text(json, "partner", &partner, &error) &&
        json_get_text(json, "expiresAt", &expires, &error))
        (void)json_get_list(json, "allowedIps", &addresses, &error);
    if (error != NULL) {
        request_fail(request, error);
        return false;
    }
    if (role == NULL || !role_parse(role, &parsed)) {
        request_problem(request, 400, "invalid", "role",
                        "role: it must be admin, operator, viewer or partner");
        return false;
    }
    if (parsed == ROLE_PARTNER && (partner == NULL || *partner == '\0')) {
        request_problem(request, 400, "invalid", "partner", "partner: role partner needs its name");
        return false;
    }
    if (expires != NULL) {
        g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
        g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(expires, utc);

        if (time == NULL) {
            request_problem(request, 400, "invalid", "expiresAt",
                            "expiresAt: it must be a time as 2027-01-31T00:00:00Z");
            return false;
        }
        json_set_number(document, "expires_us", g_date_time_to_unix(time) * USEC_PER_SEC);
    }
    ranges = g_strsplit(addresses != NULL ? addresses : "", ",", -1);
    for (size_t i = 0; ranges[i] != NULL; i++) {
        uint8_t bytes[16];
        size_t length;
        unsigned bits;

        if (!partner_parse_range(g_strstrip(ranges[i]), bytes, &length, &bits)) {
            request_problem(request, 400, "invalid", "allowedIps",
                            "allowedIps: '%s' is no address or range", ranges[i]);
            return false;
        }
    }
    if (addresses != NULL)
        json_set_text(document, "addresses", addresses);
    return true;
}

static bool read_name(Request *request, const Json *json, const char **ret_name)
{
    g_autoptr(GError) error = NULL;

    if (!json_get_text(json, "name", ret_name, &error)) {
        request_fail(request, error);
        return false;
    }
    if (*ret_name != NULL && **ret_name != '\0' && strlen(*ret_name) <= 64 &&
        strpbrk(*ret_name, ":/") == NULL)
        return true;
    request_problem(request, 400, "invalid", "name",
                    "name: it must have 1 to 64 characters, without ':' and '/'");
    return false;
}

static char *make_key(void)
{
    unsigned char bytes[KEY_BYTES];
    char hex[2 * KEY_BYTES + 1];
    char *key;

    randombytes_buf(bytes, sizeof bytes);
    (void)sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes); /* fits */
    key = g_strconcat(KEY_PREFIX, hex, NULL);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(hex, sizeof hex);
    return key;
}

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

/* For the audit. Returns new. */
static GString *describe_credential(const Record *record)
{
    GString *text = g_string_new(NULL);

    json_open(text, NULL, '{');
    write_credential(text, record);
    json_close(text, '}');
    return text;
}

static void insert_credential(Request *request, const Record *record, const char *key)
{
    g_autoptr(StoreResult) result = request_store(request, store_request_record_insert(record));
    g_autoptr(GString) after = NULL;
    GString *out;

    if (result == NULL)
        return;
    after = describe_credential(record);
    request_note_change(request, NULL, after->str);
    out = request_answer(request, 201);
    json_open(out, NULL, '{');
    write_credential(out, record);
    if (key != NULL)
        json_text(out, "key", key);
    json_close(out, '}');
}

void auth_create_key(Request *request)
{
    static const char *const NAMES[] = {
            "name",       "role",        "partner",           "expiresAt",
            "allowedIps", "description", "certificateSha256", NULL};
    g_autoptr(Json) json = request_read_json(request, NAMES);
    g_autoptr(Json) document = json_read("{}", 2, NULL);
    g_autoptr(Record) record = NULL;
    g_autofree char *key = NULL, *digest = NULL, *id = NULL, *text = NULL;
    const char *name = NULL, *certificate = NULL;

    if (json == NULL || !read_name(request, json, &name) || !check_rights(request, json, document))
        return;
    if (!json_get_text(json, "certificateSha256", &certificate, NULL) ||
        (certificate != NULL && strspn(certificate, "0123456789abcdef") != 64)) {
        request_problem(request, 400, "invalid", "certificateSha256",
                        "certificateSha256: it must have 64 hexadecimal digits in lower case");
        return;
    }
    if (certificate == NULL) {
        key = make_key();
        digest = dup_digest(key);
        id = g_strndup(digest, ID_LENGTH);
    } else {
        digest = g_strdup(certificate);
        id = g_strdup_printf("c%.*s", ID_LENGTH, certificate);
    }
    json_set_text(document, "verifier", digest);
    text = json_dup_text(document);
    record = record_new("key", id, name, text);
    insert_credential(request, record, key);
}

void auth_create_user(Request *request)
{
    static const char *const NAMES[] = {"name",      "password",   "role",        "partner",
                                        "expiresAt", "allowedIps", "description", NULL};
    g_autoptr(Json) json = request_read_json(request, NAMES);
    g_autoptr(Json) document = json_read("{}", 2, NULL);
    g_autoptr(Record) record = NULL;
    g_autofree char *verifier = NULL, *text = NULL;
    const char *name = NULL, *password = "";

    if (json == NULL || !read_name(request, json, &name) || !check_rights(request, json, document))
        return;
    if (!json_get_text(json, "password", &password, NULL) || strlen(password) < PASSWORD_MIN ||
        strlen(password) > PASSWORD_MAX) {
        request_problem(request, 400, "invalid", "password",
                        "password: it must have %d to %d bytes", PASSWORD_MIN, PASSWORD_MAX);
        return;
    }
    verifier = hash(request->admin, password, NULL);
    if (verifier == NULL) {
        request_problem(request, 503, "busy", NULL, "no memory for a password now");
        return;
    }
    json_set_text(document, "verifier", verifier);
    text = json_dup_text(document);
    record = record_new("user", name, name, text);
    insert_credential(request, record, NULL);
}

static void list(Request *request, const char *kind)
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
        json_open(out, NULL, '{');
        write_credential(out, g_ptr_array_index(result->records, i));
        json_close(out, '}');
    }
    json_close(out, ']');
}

void auth_list_keys(Request *request)
{
    list(request, "key");
}

void auth_list_users(Request *request)
{
    list(request, "user");
}

void auth_show_key(Request *request)
{
    g_autoptr(StoreResult) result =
            request_store(request, store_request_record_get("key", request->parameters[0]));
    GString *out;

    if (result == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    write_credential(out, g_ptr_array_index(result->records, 0));
    json_close(out, '}');
}

static void remove_credential(Request *request, const char *kind)
{
    const char *id = request->parameters[0];
    g_autoptr(StoreResult) found = request_store(request, store_request_record_get(kind, id));
    g_autoptr(StoreResult) result =
            found != NULL ? request_store(request, store_request_record_remove(kind, id)) : NULL;
    g_autoptr(GString) before = NULL;

    if (result == NULL)
        return;
    before = describe_credential(g_ptr_array_index(found->records, 0));
    request_note_change(request, before->str, NULL);
    (void)request_answer(request, 204);
}

void auth_remove_key(Request *request)
{
    remove_credential(request, "key");
}

void auth_remove_user(Request *request)
{
    remove_credential(request, "user");
}

void auth_show_me(Request *request)
{
    GString *out = request_answer(request, 200);

    json_open(out, NULL, '{');
    json_text(out, "name", request->identity.name);
    json_text(out, "role", role_name(request->identity.role));
    json_text(out, "partner", request->identity.partner);
    json_close(out, '}');
}

bool auth_start(Admin *self, GError **error)
{
    const char *key = self->host.first_key;
    g_autoptr(StoreResult) known = NULL, stored = NULL;
    g_autofree char *digest = NULL, *id = NULL, *text = NULL;
    g_autoptr(Record) record = NULL;

    if (sodium_init() < 0) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_IO, "libsodium cannot be used here");
        return false;
    }
    if (key == NULL)
        return true;
    known = store_execute(self->host.store, store_request_record_list("key", "", 1));
    if (known->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&known->error));
        return false;
    }
    if (known->records->len > 0)
        return true;
    if (strlen(key) < FIRST_KEY_MIN) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "admin.first_key: it must have at least %d characters", FIRST_KEY_MIN);
        return false;
    }
    digest = dup_digest(key);
    id = g_strndup(digest, ID_LENGTH);
    text = g_strdup_printf("{\"role\":\"admin\",\"verifier\":\"%s\"}", digest);
    record = record_new("key", id, "first", text);
    stored = store_execute(self->host.store, store_request_record_insert(record));
    if (stored->error == NULL)
        return true;
    g_propagate_error(error, g_steal_pointer(&stored->error));
    return false;
}
