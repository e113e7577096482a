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
#define FIRST_KEY_MIN  24
#define DUMMY_PASSWORD "nobody has this password"

char *auth_dup_digest(const char *text)
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

char *auth_make_verifier(Admin *admin, const char *password)
{
    return hash(admin, password, NULL);
}

char *auth_make_key(void)
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
    g_autofree char *digest = auth_dup_digest(key);
    g_autofree char *id = g_strndup(digest, CREDENTIAL_ID_LENGTH);

    return identify_by_digest(request, "key", id, digest);
}

static bool identify_certificate(Request *request)
{
    g_autofree char *id = g_strdup_printf("c%.*s", CREDENTIAL_ID_LENGTH, request->certificate);

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

    if (colon == NULL || strlen(colon + 1) > CREDENTIAL_PASSWORD_MAX ||
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
    digest = auth_dup_digest(key);
    id = g_strndup(digest, CREDENTIAL_ID_LENGTH);
    text = g_strdup_printf("{\"role\":\"admin\",\"verifier\":\"%s\"}", digest);
    record = record_new("key", id, "first", text);
    stored = store_execute(self->host.store, store_request_record_insert(record));
    /* there already: another daemon of our schema starts at the same moment */
    if (stored->error == NULL || stored->error->code == BASE_ERROR_EXISTS)
        return true;
    g_propagate_error(error, g_steal_pointer(&stored->error));
    return false;
}
