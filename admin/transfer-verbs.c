/* SPDX-License-Identifier: Apache-2.0 */
/* One transfer over HTTP: as it is, the verbs, which act on what runs, its bytes, and how one is begun. */
#include "admin/admin-private.h"

#include "base/clock.h"
#include "daemon/local/description.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_US    (7 * 86400 * USEC_PER_SEC)
#define COPY_BYTES   (1u << 30)
#define ONCE_KEY_MAX 255
#define ETAG_LENGTH  80
#define RANGE_LENGTH 96

static bool read_id(Request *request, int64_t *ret_id)
{
    const char *text = request->parameters[0];

    if (g_ascii_string_to_signed(text, 10, 1, G_MAXINT64, ret_id, NULL))
        return true;
    request_problem(request, 404, "not-found", "id", "no transfer '%s'", text);
    return false;
}

/* The transfer as it is now; what another partner's is not there. NULL: answered. Returns new. */
static GVariant *get_transfer(Request *request, int64_t *ret_id)
{
    g_autoptr(DoorAnswer) answer = NULL;
    g_autoptr(GVariant) described = NULL;
    Description d;

    if (!read_id(request, ret_id))
        return NULL;
    answer = request_ask(request, "Get", g_variant_new("(x)", *ret_id));
    if (answer == NULL)
        return NULL;
    described = g_variant_get_child_value(answer->value, 0);
    if (!description_read(described, &d) || (request->identity.role == ROLE_PARTNER &&
                                             strcmp(request->identity.partner, d.partner) != 0)) {
        request_problem(request, 404, "not-found", "id", "transfer %" PRId64 " not found", *ret_id);
        return NULL;
    }
    return g_steal_pointer(&described);
}

static void answer_transfer(Request *request, unsigned status, GVariant *described)
{
    GString *out = request_answer(request, status);

    transfer_write(out, NULL, described);
}

void transfers_show(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = get_transfer(request, &id);

    if (described != NULL)
        answer_transfer(request, 200, described);
}

/* What is known of its attempts. */
void transfers_list_retries(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = get_transfer(request, &id);
    Description d;
    bool held;
    GString *out;

    if (described == NULL || !description_read(described, &d))
        return;
    held = d.next_retry_us == TRANSFER_HELD_US;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_number(out, "transferId", id);
    json_text(out, "state", d.state);
    json_number(out, "attempts", d.attempts);
    json_bool(out, "held", held);
    json_time(out, "nextRetryAt", held ? 0 : d.next_retry_us);
    json_text(out, "errorCode", d.diag[0] != '\0' ? d.diag : NULL);
    json_text(out, "errorMessage", d.error[0] != '\0' ? d.error : NULL);
    json_close(out, '}');
}

/* ordering */

/* How it stood, and stands. */
static void note_order(Request *request, GVariant *before, GVariant *after)
{
    g_autoptr(GString) was = g_string_new(NULL), is = g_string_new(NULL);

    transfer_write(was, NULL, before);
    transfer_write(is, NULL, after);
    request_note_change(request, was->str, is->str);
}

static void order(Request *request, const char *method)
{
    int64_t id;
    g_autoptr(GVariant) before = get_transfer(request, &id), after = NULL;
    g_autoptr(DoorAnswer) answer = NULL;

    if (before == NULL)
        return;
    answer = request_ask(request, method, g_variant_new("(x)", id));
    if (answer == NULL)
        return;
    after = get_transfer(request, &id);
    if (after == NULL)
        return;
    note_order(request, before, after);
    answer_transfer(request, 202, after);
}

void transfers_cancel(Request *request)
{
    order(request, "Cancel");
}

void transfers_retry(Request *request)
{
    order(request, "Retry");
}

void transfers_hold(Request *request)
{
    order(request, "Hold");
}

void transfers_release(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = get_transfer(request, &id);
    Description d;

    if (described == NULL || !description_read(described, &d))
        return;
    if (d.next_retry_us == TRANSFER_HELD_US)
        order(request, "Retry");
    else
        request_problem(request, 409, "conflict", NULL, "transfer %" PRId64 " is not held", id);
}

/* bytes out of the spool */

/* "bytes=A-B", "bytes=A-", "bytes=-N"; anything else: the whole, as RFC 9110 allows. False: not satisfiable. */
static bool parse_range(const char *text, uint64_t size, uint64_t *offset, uint64_t *length,
                        bool *ret_partial)
{
    uint64_t from = 0, to = 0;
    int end = 0;

    *offset = 0;
    *length = size;
    *ret_partial = false;
    if (text == NULL || strchr(text, ',') != NULL)
        return true;
    if (sscanf(text, "bytes=-%" SCNu64 "%n", &to, &end) == 1 && text[end] == '\0') {
        *length = MIN(to, size);
        *offset = size - *length;
    } else if (sscanf(text, "bytes=%" SCNu64 "-%" SCNu64 "%n", &from, &to, &end) == 2 &&
               text[end] == '\0' && from <= to) {
        *offset = from;
        *length = from < size ? MIN(to, size - 1) - from + 1 : 0;
    } else if (g_str_has_suffix(text, "-") && sscanf(text, "bytes=%" SCNu64, &from) == 1) {
        *offset = from;
        *length = from < size ? size - from : 0;
    } else {
        return true;
    }
    *ret_partial = true;
    return *length > 0;
}

/* What was received is replaced by what is received next at its path: its bytes are those of this ETag only. */
static void make_etag(const Request *request, const struct stat *stat, char etag[ETAG_LENGTH])
{
    (void)snprintf(etag, ETAG_LENGTH, "\"%s-%" PRIx64 "-%" PRIx64 ".%" PRIx64 "\"",
                   request->parameters[0], (uint64_t)stat->st_size, (uint64_t)stat->st_mtim.tv_sec,
                   (uint64_t)stat->st_mtim.tv_nsec); /* ids are short */
}

/* The conditions of RFC 9110 §13, in its order. False: answered. */
static bool check_conditions(Request *request, const char *etag)
{
    if (request->if_match != NULL && !request_names_etag(request->if_match, etag)) {
        request_problem(request, 412, "precondition", "If-Match", "the bytes are %s now", etag);
        return false;
    }
    if (request->if_none_match != NULL && request_names_etag(request->if_none_match, etag)) {
        (void)request_answer(request, 304);
        return false;
    }
    /* who goes on with what he has not the beginning of gets the whole */
    if (request->if_range != NULL && strcmp(request->if_range, etag) != 0)
        g_clear_pointer(&request->range, g_free);
    return true;
}

static void answer_bytes(Request *request, DoorAnswer *answer, const struct stat *stat)
{
    char etag[ETAG_LENGTH], range[RANGE_LENGTH];
    uint64_t size = (uint64_t)stat->st_size;
    bool partial;

    make_etag(request, stat, etag);
    request_add_header(request, "ETag", etag);
    request_add_header(request, "Accept-Ranges", "bytes");
    if (!check_conditions(request, etag))
        return;
    if (!parse_range(request->range, size, &request->file_offset, &request->file_length,
                     &partial)) {
        request_problem(request, 416, "range", "Range", "the file has %" PRIu64 " bytes", size);
        (void)snprintf(range, sizeof range, "bytes */%" PRIu64, size); /* fits */
        request_add_header(request, "Content-Range", range);
        return;
    }
    (void)request_answer(request, partial ? 206 : 200);
    request->type = "application/octet-stream";
    if (partial) {
        (void)snprintf(range, sizeof range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
                       request->file_offset, request->file_offset + request->file_length - 1,
                       size); /* fits */
        request_add_header(request, "Content-Range", range);
    }
    request->file_fd = answer->fds[0];
    answer->fds[0] = -1;
}

void transfers_download(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = get_transfer(request, &id);
    g_autoptr(DoorAnswer) answer = NULL;
    struct stat stat;

    if (described == NULL)
        return;
    answer = request_ask(request, "Open", g_variant_new("(x)", id));
    if (answer == NULL)
        return;
    if (answer->fd_count != 1 || fstat(answer->fds[0], &stat) != 0)
        request_problem(request, 500, "io", NULL,
                        "the bytes of transfer %" PRId64 " cannot be read", id);
    else
        answer_bytes(request, answer, &stat);
}

/* sending and receiving */

/* answer: of Commit or Fetch. */
static void answer_new(Request *request, const DoorAnswer *answer)
{
    g_autoptr(GVariant) described = g_variant_get_child_value(answer->value, 0);

    answer_transfer(request, 202, described);
    request_note_change(request, NULL, request->answer->str);
}

/* A key that a caller gave. In the store, under its id: the print of what was asked, and behind a line's end what was
 * answered. */
typedef struct {
    char *id, *print; /* NULL: he gave none */
} Once;

static void once_clear(Once *once)
{
    g_free(once->id);
    g_free(once->print);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Once, once_clear)

/* What was answered under this key before. True: answered. */
static bool answer_again(Request *request, const Once *once)
{
    g_autoptr(StoreResult) result =
            request_execute(request, store_request_record_get("answer", once->id));
    const char *document, *answer;

    if (result->error != NULL)
        return false;
    document = ((const Record *)g_ptr_array_index(result->records, 0))->document;
    answer = strchr(document, '\n');
    if (!g_str_has_prefix(document, once->print)) {
        request_problem(request, 422, "idempotency", "Idempotency-Key",
                        "this key was given to another request");
    } else if (answer == NULL) {
        request_problem(request, 409, "conflict", "Idempotency-Key",
                        "a request with this key is under way, or nobody knows how it ended: see "
                        "the list of transfers");
    } else {
        g_string_append(request_answer(request, 202), answer + 1);
        request_add_header(request, "Idempotent-Replayed", "true");
    }
    return true;
}

static bool is_key(const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++) {
        if (!g_ascii_isprint(text[i]))
            return false;
    }
    return length > 0 && length <= ONCE_KEY_MAX;
}

/* Reserves the caller's Idempotency-Key. what: is asked. False: answered. */
static bool reserve(Request *request, const char *what, Once *ret_once)
{
    g_autofree char *whole = NULL;
    g_autoptr(Record) record = NULL;
    g_autoptr(StoreResult) result = NULL;

    if (request->idempotency_key == NULL)
        return true;
    if (!is_key(request->idempotency_key)) {
        request_problem(request, 400, "invalid", "Idempotency-Key",
                        "Idempotency-Key: it must have 1 to %d characters of ASCII", ONCE_KEY_MAX);
        return false;
    }
    whole = g_strjoin("\n", request->identity.name, request->route->operation,
                      request->idempotency_key, NULL);
    ret_once->id = g_compute_checksum_for_string(G_CHECKSUM_SHA256, whole, -1);
    ret_once->print = g_compute_checksum_for_string(G_CHECKSUM_SHA256, what, -1);
    record = record_new("answer", ret_once->id, ret_once->id, ret_once->print);
    result = request_execute(request, store_request_record_insert(record));
    if (result->error == NULL)
        return true;
    if (result->error->code != BASE_ERROR_EXISTS || !answer_again(request, ret_once))
        request_fail(request, result->error);
    return false;
}

/* The answer stays for repeats; a failure may be tried again, unless it may have been none. */
static void settle(Request *request, const Once *once)
{
    g_autofree char *document = NULL;
    g_autoptr(Record) record = NULL;

    if (once->id == NULL || request->doubtful)
        return;
    if (request->status != 202) {
        store_post(request->admin->host.store, store_request_record_remove("answer", once->id, 0));
        return;
    }
    document = g_strconcat(once->print, "\n", request->answer->str, NULL);
    record = record_new("answer", once->id, once->id, document);
    store_result_free(request_execute(request, store_request_record_update(record, 0)));
}

void transfers_forget_answers(Admin *admin)
{
    store_post(admin->host.store,
               store_request_record_expire("answer", clock_wall_us() - ANSWER_US));
}

void transfers_send(Request *request)
{
    g_autofree char *what = upload_describe(request->upload);
    g_auto(Once) once = {NULL};
    g_autoptr(DoorAnswer) answer = NULL;

    if (!reserve(request, what, &once))
        return;
    answer = upload_commit(request->upload);
    if (answer != NULL)
        answer_new(request, answer);
    settle(request, &once);
}

/* sending again */

static bool copy_bytes(Request *request, int from, int to)
{
    g_autoptr(GError) error = NULL;
    ssize_t count;

    do {
        count = copy_file_range(from, NULL, to, NULL, COPY_BYTES,
                                0); /* one spool, one filesystem */
    } while (count > 0 || (count < 0 && errno == EINTR));
    if (count == 0 && fsync(to) == 0)
        return true;
    error_set_errno(&error, errno, "copy the bytes");
    request_fail(request, error);
    return false;
}

/* A staged copy of the bytes of a transfer. False: answered. */
static bool stage_copy(Request *request, int64_t id, const char *partner, const char *path,
                       int64_t *ret_staging_id)
{
    g_autoptr(DoorAnswer) source = request_ask(request, "Open", g_variant_new("(x)", id));
    g_autoptr(DoorAnswer) staged = NULL;
    gint64 staging_id = 0;

    if (source == NULL)
        return false;
    staged = request_ask(request, "Stage", g_variant_new("(ssb)", partner, path, FALSE));
    if (staged == NULL)
        return false;
    g_variant_get(staged->value, "(xh)", &staging_id, NULL);
    *ret_staging_id = staging_id;
    if (copy_bytes(request, source->fds[0], staged->fds[0]))
        return true;
    upload_discard(request->admin, staging_id);
    return false;
}

static DoorAnswer *commit_copy(Request *request, const Description *of, int64_t staging_id)
{
    GVariantBuilder attributes;
    DoorAnswer *answer;

    g_variant_builder_init(&attributes, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&attributes, "{sv}", "mode", g_variant_new_uint32(of->mode));
    g_variant_builder_add(&attributes, "{sv}", "mtime_us", g_variant_new_int64(of->mtime_us));
    answer = request_ask(
            request, "Commit",
            g_variant_new("(xssa{sv})", staging_id, of->partner, of->path, &attributes));
    if (answer == NULL)
        upload_discard(request->admin, staging_id);
    return answer;
}

static void replay(Request *request, GVariant *described, int64_t id)
{
    Description d;
    g_autoptr(DoorAnswer) answer = NULL;
    g_autoptr(GVariant) fresh = NULL;
    int64_t staging_id = 0;

    if (!description_read(described, &d))
        return;
    if (strcmp(d.direction, "send") != 0 && strcmp(d.direction, "offer") != 0) {
        request_problem(request, 409, "conflict", NULL,
                        "transfer %" PRId64 " is a %s: only what was sent from here is sent again",
                        id, d.direction);
        return;
    }
    if (!stage_copy(request, id, d.partner, d.path, &staging_id))
        return;
    answer = commit_copy(request, &d, staging_id);
    if (answer == NULL)
        return;
    fresh = g_variant_get_child_value(answer->value, 0);
    note_order(request, described, fresh);
    answer_transfer(request, 202, fresh);
}

void transfers_replay(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = get_transfer(request, &id);
    g_auto(Once) once = {NULL};

    if (described == NULL || !reserve(request, request->parameters[0], &once))
        return;
    replay(request, described, id);
    settle(request, &once);
}

/* What has to be there. False: answered. */
static bool read_needed(Request *request, const Json *json, const char *const *names,
                        const char **ret_name, const char **ret_text)
{
    if (!request_read_text(request, json, names, ret_name, ret_text))
        return false;
    if (*ret_text != NULL)
        return true;
    request_problem(request, 400, "invalid", names[0], "%s: it is missing", names[0]);
    return false;
}

void transfers_receive(Request *request)
{
    /* of PeSIT Wizard's fields filename is where the bytes go: here only when nothing else says what they are */
    static const char *const NAMES[] = {"partner",  "server",      "serverId",       "partnerId",
                                        "path",     "virtualFile", "remoteFilename", "filename",
                                        "password", NULL};
    static const char *const PARTNER[] = {"partner", "server", "serverId", "partnerId", NULL};
    static const char *const PATH[] = {"path", "virtualFile", "remoteFilename", "filename", NULL};
    g_autoptr(Json) json = request_read_json(request, NAMES);
    g_autofree char *what = NULL;
    g_auto(Once) once = {NULL};
    g_autoptr(DoorAnswer) answer = NULL;
    const char *partner_name, *path_name, *partner = NULL, *path = NULL;

    if (json == NULL)
        return;
    if (json_has(json, "password")) {
        request_problem(request, 400, "invalid", "password",
                        "password: it belongs to the partner's configuration, not to a request");
        return;
    }
    if (!read_needed(request, json, PARTNER, &partner_name, &partner) ||
        !read_needed(request, json, PATH, &path_name, &path))
        return;
    what = g_strconcat(partner, "\n", path, NULL);
    if (!reserve(request, what, &once))
        return;
    request->suspects = (const Suspect[]){
            {"no partner", partner_name}, {"partner ", partner_name}, {"", path_name}};
    answer = request_ask(request, "Fetch", g_variant_new("(ssu)", partner, path, 1u));
    request->suspects = NULL;
    if (answer != NULL)
        answer_new(request, answer);
    settle(request, &once);
}
