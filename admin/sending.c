/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What begins a transfer: an upload that is complete, a file of this machine named by its path, a fetch, the bytes of an
 * earlier transfer. A named file is below one of the folders that the configuration allows, and is copied into the spool
 * before anything is said about it.
 */
#include "admin/admin-private.h"
#include "admin/once.h"

#include "base/clock.h"
#include "base/file.h"
#include "daemon/local/description.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES        (64u << 20) /* then we look whether the daemon stops */
#define NSEC_PER_MICROSEC 1000
#define PERMISSIONS       0777u

/* What a body says. Borrowed from it, but for the path. */
typedef struct {
    const char *partner_name, *path_name, *source_name; /* the fields that said it */
    const char *partner, *source;
    char *by_default; /* partner, when none was named */
    char *path;
    char *ignored; /* names of fields without effect, as JSON; NULL: none */
} Order;

static void order_clear(Order *order)
{
    g_free(order->path);
    g_free(order->by_default);
    g_free(order->ignored);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Order, order_clear)

static const char *const PATH[] = {"path", "virtualFile", "remoteFilename", "remotePath", NULL};
/* of what is fetched: where nothing else says what it is */
static const char *const FETCHED[] = {"path",       "virtualFile", "remoteFilename",
                                      "remotePath", "filename",    NULL};
static const char *const SOURCE[] = {"filename", "localPath", NULL};
static const char *const CONNECTION[] = {"sourceConnectionId", "destinationConnectionId", NULL};
static const char *const WITHOUT_EFFECT[] = {"chunkSize",
                                             "compression",
                                             "compressionEnabled",
                                             "priority",
                                             "fileType",
                                             "recordLength",
                                             "recordFormat",
                                             "crcEnabled",
                                             "sync",
                                             "syncPointsEnabled",
                                             "syncPointInterval",
                                             "resyncEnabled",
                                             "transferConfigId",
                                             "maxRetries",
                                             "retryDelayMs",
                                             NULL};
/* these too */
static const char *const FIELDS[] = {"partner",
                                     "server",
                                     "serverId",
                                     "partnerId",
                                     "path",
                                     "virtualFile",
                                     "remoteFilename",
                                     "remotePath",
                                     "fileName",
                                     "filename",
                                     "localPath",
                                     "direction",
                                     "correlationId",
                                     "password",
                                     "sourceConnectionId",
                                     "destinationConnectionId",
                                     "chunkSize",
                                     "compression",
                                     "compressionEnabled",
                                     "priority",
                                     "fileType",
                                     "recordLength",
                                     "recordFormat",
                                     "crcEnabled",
                                     "sync",
                                     "syncPointsEnabled",
                                     "syncPointInterval",
                                     "resyncEnabled",
                                     "transferConfigId",
                                     "maxRetries",
                                     "retryDelayMs",
                                     NULL};

/* answers */

/* described: of Commit or Fetch. */
static void answer_new(Request *request, GVariant *described, const Order *order)
{
    const Transfer named = {.correlation = request->correlation};
    GString *out = request_answer(request, 202);

    transfer_write(out, NULL, described, &named);
    request_note_ignored(request, order != NULL ? order->ignored : NULL);
    if (request->change == NULL)
        request_note_change(request, NULL, out->str);
}

static void answer_made(Request *request, const DoorAnswer *answer, const Order *order)
{
    g_autoptr(GVariant) described = g_variant_get_child_value(answer->value, 0);

    answer_new(request, described, order);
}

/* bytes into the spool */

static bool is_uncopied(int code)
{
    return code == EXDEV || code == EINVAL || code == EOPNOTSUPP || code == ENOSYS;
}

/* Within one filesystem it may share the bytes; from another the kernel moves them. */
static ssize_t copy_piece(int from, int to, size_t length, bool *plainly)
{
    ssize_t count = -1;

    if (!*plainly)
        count = copy_file_range(from, NULL, to, NULL, length, 0);
    if (*plainly || (count < 0 && is_uncopied(errno))) {
        *plainly = true;
        count = sendfile(to, from, NULL, length);
    }
    return count;
}

/* size: no more of it, however fast somebody writes behind us. */
static bool copy_bytes(Request *request, int from, int to, uint64_t size)
{
    g_autoptr(GError) error = NULL;
    bool plainly = false;
    ssize_t count = 0;

    do {
        size -= (uint64_t)MAX(count, 0);
        if (atomic_load(&request->admin->stopping)) {
            request_problem(request, 503, "busy", NULL, "the daemon is stopping");
            return false;
        }
        count = copy_piece(from, to, (size_t)MIN(size, COPY_BYTES), &plainly);
    } while (count > 0 || (count < 0 && errno == EINTR));
    if (count == 0 && fsync(to) == 0)
        return true;
    error_set_errno(&error, errno, "copy the bytes");
    request_fail(request, error);
    return false;
}

/* A staged copy of what a descriptor has. False: answered. */
static bool stage_copy(Request *request, int source, const char *partner, const char *path,
                       int64_t *ret_staging_id)
{
    g_autoptr(DoorAnswer) staged = NULL;
    gint64 staging_id = 0;
    struct stat stat;

    if (fstat(source, &stat) != 0) {
        request_problem(request, 500, "io", NULL, "the bytes cannot be read");
        return false;
    }
    staged = request_ask(request, "Stage", g_variant_new("(ssb)", partner, path, FALSE));
    if (staged == NULL)
        return false;
    g_variant_get(staged->value, "(xh)", &staging_id, NULL);
    *ret_staging_id = staging_id;
    if (copy_bytes(request, source, staged->fds[0], (uint64_t)stat.st_size))
        return true;
    upload_discard(request->admin, staging_id);
    return false;
}

/* NULL: answered. */
static DoorAnswer *commit_copy(Request *request, int64_t staging_id, const char *partner,
                               const char *path, uint32_t mode, int64_t mtime_us)
{
    GVariantBuilder attributes;
    DoorAnswer *answer;

    g_variant_builder_init(&attributes, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&attributes, "{sv}", "mode", g_variant_new_uint32(mode));
    g_variant_builder_add(&attributes, "{sv}", "mtime_us", g_variant_new_int64(mtime_us));
    answer = request_ask(request, "Commit",
                         g_variant_new("(xssa{sv})", staging_id, partner, path, &attributes));
    if (answer == NULL)
        upload_discard(request->admin, staging_id);
    return answer;
}

/* what a body says */

static bool refuse(Request *request, const char *field, const char *why)
{
    request_problem(request, 400, "invalid", field, "%s: %s", field, why);
    return false;
}

/* False: answered. */
static bool read_correlation(Request *request, const Json *json)
{
    static const char *const NAMES[] = {"correlationId", NULL};
    const char *name, *text = NULL;

    if (!request_read_text(request, json, NAMES, &name, &text))
        return false;
    return text == NULL || request_set_correlation(request, text);
}

/* Storage of other kinds is mounted: nothing is fetched from it for a request. */
static bool check_connections(Request *request, const Json *json)
{
    for (size_t i = 0; CONNECTION[i] != NULL; i++) {
        const char *const names[] = {CONNECTION[i], NULL};
        const char *name, *text = NULL;

        if (!request_read_text(request, json, names, &name, &text))
            return false;
        if (text != NULL && text[0] != '\0' && g_ascii_strcasecmp(text, "local") != 0)
            return refuse(request, name,
                          "there are no connectors: storage is mounted, 'local' is all");
    }
    return true;
}

/* NULL: answered. Returns new. */
static Json *read_body(Request *request)
{
    g_autoptr(Json) json = request_read_json(request, FIELDS);

    if (json == NULL)
        return NULL;
    if (json_has(json, "password")) {
        (void)refuse(request, "password",
                     "it belongs to the partner's configuration, not to a request");
        return NULL;
    }
    return g_steal_pointer(&json);
}

/* What has to be there. False: answered. */
static bool read_needed(Request *request, const Json *json, const char *const *names,
                        const char **ret_name, const char **ret_text)
{
    if (!request_read_text(request, json, names, ret_name, ret_text))
        return false;
    return *ret_text != NULL || refuse(request, names[0], "it is missing");
}

/* False: answered. */
static bool read_partner(Request *request, const Json *json, Order *order)
{
    if (!request_read_text(request, json, REQUEST_PARTNER, &order->partner_name, &order->partner))
        return false;
    if (order->partner != NULL)
        return true;
    order->partner = order->by_default = default_server_dup(request);
    if (order->partner == NULL && request->status == 0)
        return refuse(request, REQUEST_PARTNER[0], "it is missing, and no server is the default");
    return order->partner != NULL;
}

static bool ends_with(const char *path, const char *name)
{
    g_autofree char *base = g_path_get_basename(path);

    return strcmp(base, name) == 0;
}

/* A folder of theirs and a name in it, or one path with or without the name again; ours begin with no slash. */
static bool read_path(Request *request, const Json *json, const char *const *names, Order *order)
{
    static const char *const NAME[] = {"fileName", NULL};
    const char *name, *path = NULL, *last = NULL;

    if (!read_needed(request, json, names, &order->path_name, &path) ||
        !request_read_text(request, json, NAME, &name, &last))
        return false;
    if (last != NULL && strcmp(order->path_name, "remotePath") != 0)
        return refuse(request, name, "it goes with remotePath");
    if (strcmp(order->path_name, "remotePath") == 0)
        path += strspn(path, "/");
    order->path = last == NULL || ends_with(path, last) ? g_strdup(path)
                  : path[0] == '\0'                     ? g_strdup(last)
                  : g_str_has_suffix(path, "/")         ? g_strconcat(path, last, NULL)
                                                        : g_strconcat(path, "/", last, NULL);
    return true;
}

/* False: answered. */
static bool read_order(Request *request, const Json *json, const char *const *path_names,
                       Order *order)
{
    if (!read_partner(request, json, order) || !read_path(request, json, path_names, order) ||
        !read_correlation(request, json) || !check_connections(request, json))
        return false;
    order->ignored = json_dup_present(json, WITHOUT_EFFECT);
    return true;
}

/* a file of this machine */

/* The longest of the folders that a path is below, or NULL. Returns new. */
static char *dup_folder(Admin *admin, const char *path, bool *ret_any)
{
    const char *found = NULL;
    char *copy;

    g_rw_lock_reader_lock(&admin->folders_lock);
    *ret_any = admin->folders->len > 0;
    for (guint i = 0; i < admin->folders->len; i++) {
        const char *folder = g_ptr_array_index(admin->folders, i);
        size_t length = strlen(folder);

        while (length > 0 && folder[length - 1] == '/')
            length--;
        if (strncmp(path, folder, length) == 0 && path[length] == '/' &&
            (found == NULL || length > strlen(found)))
            found = folder;
    }
    copy = g_strdup(found);
    g_rw_lock_reader_unlock(&admin->folders_lock);
    return copy;
}

static const char *name_in(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    while (length > 0 && folder[length - 1] == '/')
        length--;
    path += length;
    return path + strspn(path, "/");
}

/* Of a plain file, opened without a wait and over no link. Returns its descriptor, or -1: answered. */
static int open_source(Request *request, const Order *order)
{
    bool any = false;
    g_autofree char *folder = dup_folder(request->admin, order->source, &any);
    g_autoptr(GError) error = NULL;
    g_auto(Fd) folder_fd = -1;
    int fd = -1;

    if (folder == NULL) {
        request_problem(
                request, 403, "refused", order->source_name,
                any ? "%s: '%s' is in none of the folders of admin.send_directories"
                    : "%s: '%s' is sent by its path only when pesitd.conf allows its folder: "
                      "admin.send_directories; or upload it",
                order->source_name, order->source);
        return -1;
    }
    folder_fd = file_open_folder(folder, false, 0, &error);
    if (folder_fd >= 0)
        fd = file_open_beneath(folder_fd, name_in(order->source, folder), O_RDONLY | O_NONBLOCK, 0,
                               &error);
    if (fd >= 0)
        return fd;
    request->suspects = (const Suspect[]){{"", order->source_name}};
    request_fail(request, error);
    request->suspects = NULL;
    return -1;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* A copy of a file that nobody wrote meanwhile. False: answered. */
static bool stage_source(Request *request, const Order *order, int fd, struct stat *ret_stat,
                         int64_t *ret_staging_id)
{
    struct stat after;

    if (fstat(fd, ret_stat) != 0 || !S_ISREG(ret_stat->st_mode))
        return refuse(request, order->source_name, "it is no plain file");
    request->suspects = (const Suspect[]){{"no partner", order->partner_name},
                                          {"partner ", order->partner_name},
                                          {"", order->path_name}};
    if (!stage_copy(request, fd, order->partner, order->path, ret_staging_id)) {
        request->suspects = NULL;
        return false;
    }
    request->suspects = NULL;
    if (fstat(fd, &after) == 0 && is_same(ret_stat, &after))
        return true;
    upload_discard(request->admin, *ret_staging_id);
    request_problem(request, 409, "conflict", order->source_name,
                    "%s: '%s' was written while it was read: nothing is sent", order->source_name,
                    order->source);
    return false;
}

static void send_source(Request *request, const Order *order)
{
    g_auto(Fd) fd = open_source(request, order);
    g_autoptr(DoorAnswer) answer = NULL;
    int64_t staging_id = 0;
    struct stat stat;

    if (fd < 0 || !stage_source(request, order, fd, &stat, &staging_id))
        return;
    answer = commit_copy(
            request, staging_id, order->partner, order->path, (uint32_t)stat.st_mode & PERMISSIONS,
            (int64_t)stat.st_mtim.tv_sec * USEC_PER_SEC + stat.st_mtim.tv_nsec / NSEC_PER_MICROSEC);
    if (answer != NULL)
        answer_made(request, answer, order);
}

static void send_by_path(Request *request, const Json *json)
{
    g_auto(Order) order = {NULL};
    g_auto(Once) once = {NULL};
    g_autofree char *what = NULL;

    if (!read_needed(request, json, SOURCE, &order.source_name, &order.source) ||
        !read_order(request, json, PATH, &order))
        return;
    what = g_strjoin("\n", order.partner, order.path, order.source, NULL);
    if (!once_reserve(request, what, &once))
        return;
    send_source(request, &order);
    once_settle(request, &once);
}

static void send_upload(Request *request)
{
    g_autofree char *what = upload_describe(request->upload);
    g_auto(Once) once = {NULL};
    g_autoptr(DoorAnswer) answer = NULL;

    if (!once_reserve(request, what, &once))
        return;
    answer = upload_commit(request->upload);
    if (answer != NULL)
        answer_made(request, answer, NULL);
    once_settle(request, &once);
}

/* Says where it goes when the caller thinks that it is the other way round. False: answered. */
static bool check_direction(Request *request, const Json *json, const char *ours)
{
    static const char *const NAMES[] = {"direction", NULL};
    const char *name, *text = NULL;

    if (!request_read_text(request, json, NAMES, &name, &text))
        return false;
    return text == NULL || strcmp(text, ours) == 0 ||
           refuse(request, name, "this path is for the other direction");
}

void transfers_send(Request *request)
{
    g_autoptr(Json) json = NULL;

    if (request->upload != NULL) {
        send_upload(request);
        return;
    }
    json = read_body(request);
    if (json != NULL && check_direction(request, json, "SEND"))
        send_by_path(request, json);
}

/* fetching */

static void fetch(Request *request, const Json *json)
{
    g_auto(Order) order = {NULL};
    g_auto(Once) once = {NULL};
    g_autofree char *what = NULL;
    g_autoptr(DoorAnswer) answer = NULL;

    if (!read_order(request, json, FETCHED, &order))
        return;
    what = g_strconcat(order.partner, "\n", order.path, NULL);
    if (!once_reserve(request, what, &once))
        return;
    request->suspects = (const Suspect[]){{"no partner", order.partner_name},
                                          {"partner ", order.partner_name},
                                          {"", order.path_name}};
    answer = request_ask(request, "FetchAnew",
                         g_variant_new("(ssu)", order.partner, order.path, 1u));
    request->suspects = NULL;
    if (answer != NULL)
        answer_made(request, answer, &order);
    once_settle(request, &once);
}

void transfers_receive(Request *request)
{
    g_autoptr(Json) json = read_body(request);

    if (json != NULL && check_direction(request, json, "RECEIVE"))
        fetch(request, json);
}

void transfers_create(Request *request)
{
    static const char *const NAMES[] = {"direction", NULL};
    g_autoptr(Json) json = read_body(request);
    const char *name, *direction = NULL;

    if (json == NULL || !read_needed(request, json, NAMES, &name, &direction))
        return;
    if (strcmp(direction, "SEND") == 0)
        send_by_path(request, json);
    else if (strcmp(direction, "RECEIVE") == 0)
        fetch(request, json);
    else
        (void)refuse(request, name, "it must be SEND or RECEIVE");
}

/* sending again */

static void replay(Request *request, GVariant *described, int64_t id)
{
    Description d;
    g_autoptr(DoorAnswer) source = NULL, answer = NULL;
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
    source = request_ask(request, "Open", g_variant_new("(x)", id));
    if (source == NULL || !stage_copy(request, source->fds[0], d.partner, d.path, &staging_id))
        return;
    answer = commit_copy(request, staging_id, d.partner, d.path, d.mode, d.mtime_us);
    if (answer == NULL)
        return;
    fresh = g_variant_get_child_value(answer->value, 0);
    transfer_note_order(request, described, fresh);
    answer_new(request, fresh, NULL);
}

void transfers_replay(Request *request)
{
    int64_t id;
    g_autoptr(GVariant) described = transfer_get(request, &id);
    g_auto(Once) once = {NULL};

    if (described == NULL || !once_reserve(request, request->parameters[0], &once))
        return;
    replay(request, described, id);
    once_settle(request, &once);
}
