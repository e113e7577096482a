/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files on their way from an application into the queue: checked when opened, staged, committed by rename
 * and row, or removed with the connection that staged them. Also rm and touch of what stands in the mount.
 */
#include "daemon/local/desk-private.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/net/attributes.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACTIVE (1u << TRANSFER_QUEUED | 1u << TRANSFER_RUNNING | 1u << TRANSFER_WAITING)

#define OWNER_BYTES 32

typedef struct {
    Desk *desk;
    int64_t id;
    DoorPeer *peer;
    char *key; /* in writers, or NULL (scratch) */
    bool committing;
} Staged;

void desk_stage_free(gpointer data)
{
    Staged *staged = data;

    if (staged->key != NULL)
        g_hash_table_remove(staged->desk->writers, staged->key);
    g_free(staged->key);
    g_free(staged);
}

static void forget(Desk *self, int64_t id)
{
    g_hash_table_remove(self->staged, &id);
}

static gboolean drop_one(gpointer key, gpointer value, gpointer peer)
{
    Staged *staged = value;

    (void)key;
    if (staged->peer != peer)
        return FALSE;
    staged->peer = NULL; /* a commit that runs goes on: its row decides */
    if (staged->committing)
        return FALSE;
    spool_discard_staged(staged->desk->spool, staged->id);
    return TRUE;
}

void desk_drop_staged(DoorPeer *peer, gpointer data)
{
    Desk *self = data;

    g_hash_table_foreach_remove(self->staged, drop_one, peer);
}

static gboolean drop_old(gpointer key, gpointer value, gpointer before_us)
{
    Staged *staged = value;
    g_auto(Fd) fd = spool_open_staged(staged->desk->spool, staged->id, NULL);
    struct stat stat;

    (void)key;
    if (staged->committing || fd < 0 || fstat(fd, &stat) != 0 ||
        stat.st_mtim.tv_sec * USEC_PER_SEC >= *(const int64_t *)before_us)
        return FALSE;
    spool_discard_staged(staged->desk->spool, staged->id);
    return TRUE;
}

void desk_sweep_staged(Desk *self)
{
    int64_t before_us = clock_wall_us() - (int64_t)self->config->staging_retention_s * USEC_PER_SEC;

    g_hash_table_foreach_remove(self->staged, drop_old, &before_us);
}

/* what may be written */

static const VirtualFile *find_rule(const Desk *self, const char *name, const char *path,
                                    const Partner **ret_partner, GError **error)
{
    const Partner *partner = desk_find_partner(self, name, error);
    const VirtualFile *file;

    if (partner == NULL)
        return NULL;
    file = rule_find_by_path(partner->files, path, true);
    if (file == NULL)
        g_set_error(error, BASE_ERROR, BASE_ERROR_REFUSED,
                    "no virtual file of partner '%s' takes '%s'", name, path);
    else if (!desk_check_enabled(partner, file, error))
        return NULL;
    *ret_partner = partner;
    return file;
}

/* PI 12 of a transfer, once PI 37 and PI 99 can be made too. */
static bool expand_names(const Partner *partner, const VirtualFile *file, Transfer *transfer,
                         GError **error)
{
    g_autofree char *base = g_path_get_basename(transfer->path);
    RuleContext context = attributes_transfer_context(partner, base, transfer);

    transfer->file_name = rule_expand(file->file_name, &context, ATTRIBUTES_FILE_NAME_BYTES, error);
    return transfer->file_name != NULL && attributes_check_texts(partner, file, &context, error);
}

/* Whether a path has names on the wire, with a counter of any number. */
static bool check_names(const Partner *partner, const VirtualFile *file, const char *path,
                        GError **error)
{
    g_autoptr(Transfer) transfer = transfer_new();

    transfer->path = g_strdup(path);
    transfer->created_us = clock_wall_us();
    transfer->name_counter = 1;
    return expand_names(partner, file, transfer, error);
}

/* What already stands at the path. False: it is in the way. */
static bool may_follow(const Desk *self, const VirtualFile *file, const Transfer *before,
                       GError **error)
{
    const Transfer *newest = queue_find(self->queue, before->id, NULL);
    TransferState state = newest != NULL ? newest->state : before->state;

    if (transfer_state_is_final(state))
        return true;
    if (state != TRANSFER_RUNNING && file->replace_queued)
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_BUSY,
                "'%s' of partner '%s' is still %s as transfer %" G_GINT64_FORMAT, before->path,
                before->partner, transfer_state_name(state), before->id);
    return false;
}

/* Stage */

typedef struct {
    Desk *desk;
    DoorCall *call;
    char *partner, *path;
    char *key;
    DoorPeer *peer;
} Staging;

static void staging_free(Staging *staging)
{
    g_free(staging->partner);
    g_free(staging->path);
    g_free(staging->key);
    g_free(staging);
}

/* call: taken; key: taken, NULL for scratch. */
static void give_file(Desk *self, DoorCall *call, char *key)
{
    g_autoptr(GError) error = NULL;
    int64_t id = spool_next_name(self->spool);
    int fd = spool_stage(self->spool, id, &error);
    Staged *staged;

    if (fd < 0) {
        if (key != NULL)
            g_hash_table_remove(self->writers, key);
        g_free(key);
        door_call_fail(call, error);
        return;
    }
    staged = g_new0(Staged, 1);
    staged->desk = self;
    staged->id = id;
    staged->peer = door_call_peer(call);
    staged->key = key;
    g_hash_table_insert(self->staged, &staged->id, staged);
    door_call_return(call, g_variant_new("(xh)", id, 0), &fd, 1);
    (void)close(fd);
}

/* before: what stands there, or NULL. staging: taken. */
static void stage_after(Staging *staging, const VirtualFile *file, const Transfer *before,
                        const GError *failure)
{
    Desk *self = staging->desk;
    g_autoptr(GError) error = failure != NULL ? g_error_copy(failure) : NULL;

    if (error == NULL && before != NULL)
        (void)may_follow(self, file, before, &error);
    if (error != NULL) {
        g_hash_table_remove(self->writers, staging->key);
        door_call_fail(staging->call, error);
    } else {
        give_file(self, staging->call, g_steal_pointer(&staging->key));
    }
    staging_free(staging);
}

static void on_stage_looked_up(StoreResult *result, gpointer data)
{
    Staging *staging = data;
    g_autoptr(GError) error = NULL;
    const Partner *partner = NULL;
    const VirtualFile *file =
            find_rule(staging->desk, staging->partner, staging->path, &partner, &error);

    if (error == NULL && result->error != NULL && result->error->code != BASE_ERROR_NOT_FOUND)
        error = g_error_copy(result->error);
    stage_after(staging, file, result->transfer, error);
    store_result_free(result);
}

void desk_stage(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;
    g_autoptr(GError) error = NULL;
    const Partner *partner = NULL;
    const VirtualFile *file;
    const char *partner_name, *path;
    gboolean scratch;
    Staging *staging;

    g_variant_get(parameters, "(&s&sb)", &partner_name, &path, &scratch);
    if (scratch) {
        if (desk_find_partner(self, partner_name, &error) != NULL)
            give_file(self, call, NULL);
        else
            door_call_fail(call, error);
        return;
    }
    file = find_rule(self, partner_name, path, &partner, &error);
    if (file == NULL || !check_names(partner, file, path, &error)) {
        door_call_fail(call, error);
        return;
    }
    staging = g_new0(Staging, 1);
    staging->desk = self;
    staging->call = call;
    staging->partner = g_strdup(partner_name);
    staging->path = g_strdup(path);
    staging->key = g_strconcat(partner_name, "/", path, NULL);
    if (!g_hash_table_add(self->writers, g_strdup(staging->key))) {
        desk_fail(call, BASE_ERROR_BUSY, "'%s' of partner '%s' is being written", path,
                  partner_name);
        staging_free(staging);
        return;
    }
    if (file->mode == VIRTUAL_FILE_OFFER && !desk_is_absent(self, partner_name, path))
        store_submit(self->store, store_request_find_path(partner_name, path), on_stage_looked_up,
                     staging);
    else /* what is not over is in the queue; the commit looks into the store, where other daemons' are too */
        stage_after(staging, file, queue_find_path(self->queue, partner_name, path), NULL);
}

/* the file that a call names, when it is the caller's */
static Staged *find_staged(const Desk *self, DoorCall *call, int64_t id, GError **error)
{
    Staged *staged = g_hash_table_lookup(self->staged, &id);

    if (staged != NULL && staged->peer == door_call_peer(call) && !staged->committing)
        return staged;
    g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no staged file %" G_GINT64_FORMAT, id);
    return NULL;
}

void desk_discard(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;
    g_autoptr(GError) error = NULL;
    gint64 id;

    g_variant_get(parameters, "(x)", &id);
    if (find_staged(self, call, id, &error) == NULL) {
        door_call_fail(call, error);
        return;
    }
    spool_discard_staged(self->spool, id);
    forget(self, id);
    door_call_return(call, NULL, NULL, 0);
}

/* Commit: what stands there, then the counter, then rename and row */

typedef struct {
    Desk *desk;
    DoorCall *call;
    int64_t staging_id;
    bool noreplace;
    Transfer *transfer;
    Transfer *replaced; /* an offer that waited at the path, or NULL */
} Committing;

static void committing_free(Committing *committing)
{
    transfer_free(committing->transfer);
    transfer_free(committing->replaced);
    g_free(committing);
}

static void fail_commit(Committing *committing, const GError *error)
{
    Staged *staged = g_hash_table_lookup(committing->desk->staged, &committing->staging_id);

    if (staged != NULL) {
        staged->committing = false;
        if (staged->peer == NULL) { /* its connection went meanwhile */
            spool_discard_staged(committing->desk->spool, staged->id);
            forget(committing->desk, staged->id);
        }
    }
    door_call_fail(committing->call, error);
    committing_free(committing);
}

static void tell(const Desk *self, const Transfer *transfer)
{
    self->host.take_change(transfer, self->host.data);
}

static void on_retired(StoreResult *result, gpointer data)
{
    if (result->error == NULL)
        tell(data, result->transfer);
    else if (result->error->code != BASE_ERROR_CONFLICT)
        log_event(LOG_STORE_FAILED, "REASON", result->error->message, NULL);
    store_result_free(result); /* a conflict: a partner has taken it meanwhile */
}

/* What was offered before is not given to anybody any more, and its bytes go with its time. */
static void retire(Desk *self, Transfer *offer)
{
    offer->state = TRANSFER_CANCELLED;
    offer->finished_us = clock_wall_us();
    store_submit(
            self->store,
            store_request_set_patient(store_request_update(offer, 1u << TRANSFER_QUEUED, NULL, 0)),
            on_retired, self);
}

static void on_committed(StoreResult *result, gpointer data)
{
    Committing *committing = data;
    Desk *self = committing->desk;

    forget(self, committing->staging_id);
    if (result->error != NULL) {
        spool_remove(self->spool, committing->transfer->spool_name);
        fail_commit(committing, result->error);
    } else {
        if (committing->replaced != NULL)
            retire(self, committing->replaced);
        if (result->transfer->direction == DIRECTION_SEND) {
            desk_emit_change(self, result->transfer->partner, result->transfer->path);
            queue_add(self->queue, transfer_copy(result->transfer));
        } else {
            tell(self, result->transfer);
        }
        door_call_return(committing->call, desk_describe_tuple(self, result->transfer), NULL, 0);
        committing_free(committing);
    }
    store_result_free(result);
}

static void insert(Committing *committing)
{
    Desk *self = committing->desk;
    Transfer *transfer = committing->transfer;
    g_autoptr(GError) error = NULL;
    int folder_fd;

    transfer->spool_name = g_strdup_printf("%" G_GINT64_FORMAT, committing->staging_id);
    folder_fd = spool_commit_staged(self->spool, committing->staging_id, &error);
    if (folder_fd < 0) {
        fail_commit(committing, error);
        return;
    }
    store_submit(self->store, store_request_insert(transfer, &folder_fd, 1), on_committed,
                 committing);
}

static void on_counted(StoreResult *result, gpointer data)
{
    Committing *committing = data;
    Transfer *transfer = committing->transfer;
    g_autoptr(GError) error = NULL;
    const Partner *partner = NULL;
    const VirtualFile *file =
            find_rule(committing->desk, transfer->partner, transfer->path, &partner, &error);

    transfer->name_counter = result->error == NULL ? result->number : 0;
    if (result->error != NULL)
        fail_commit(committing, result->error);
    else if (file == NULL || !expand_names(partner, file, transfer, &error))
        fail_commit(committing, error);
    else
        insert(committing);
    store_result_free(result);
}

/* Nothing is in the way any more. */
static void name_and_insert(Committing *committing, const Partner *partner, const VirtualFile *file)
{
    Desk *self = committing->desk;
    g_autoptr(GError) error = NULL;

    desk_end_absence(self, committing->transfer->partner, committing->transfer->path);
    if (rule_uses_counter(file)) {
        g_autofree char *counter = g_strdup_printf("name/%s/%s", partner->name, file->pattern);

        store_submit(self->store, store_request_count(counter), on_counted, committing);
    } else if (expand_names(partner, file, committing->transfer, &error)) {
        insert(committing);
    } else {
        fail_commit(committing, error);
    }
}

static void on_commit_looked_up(StoreResult *result, gpointer data)
{
    Committing *committing = data;
    Desk *self = committing->desk;
    const Transfer *transfer = committing->transfer;
    g_autoptr(GError) error = NULL;
    const Partner *partner = NULL;
    const VirtualFile *file = find_rule(self, transfer->partner, transfer->path, &partner, &error);

    if (error == NULL && result->error != NULL && result->error->code != BASE_ERROR_NOT_FOUND)
        error = g_error_copy(result->error);
    else if (file != NULL && result->error == NULL) {
        if (committing->noreplace)
            g_set_error(&error, BASE_ERROR, BASE_ERROR_EXISTS, "'%s' exists", transfer->path);
        else if (may_follow(self, file, result->transfer, &error) &&
                 !transfer_state_is_final(result->transfer->state) &&
                 !queue_cancel(self->queue, result->transfer->id, NULL) && /* ended meanwhile */
                 result->transfer->direction == DIRECTION_OFFER)
            committing->replaced = g_steal_pointer(&result->transfer);
    }
    store_result_free(result);
    if (error != NULL)
        fail_commit(committing, error);
    else
        name_and_insert(committing, partner, file);
}

/* The mount writes for others, and says for whom. One of an earlier version notes it beside the bytes only: "uid:gid".
 * Returns new. */
static char *dup_actor(DoorCall *call, int fd)
{
    char owner[OWNER_BYTES];
    ssize_t length = door_call_is_trusted(call) && !door_call_is_for_other(call)
                             ? fgetxattr(fd, DESCRIPTION_OWNER, owner, sizeof owner - 1)
                             : -1;

    if (length <= 0)
        return g_strdup(door_call_actor(call));
    owner[length] = '\0';
    return g_strdup_printf("uid:%.*s", (int)strspn(owner, "0123456789"), owner);
}

/* What the staged file says: how long it is, and whose. */
static bool read_staged(const Desk *self, const Committing *committing, GError **error)
{
    g_auto(Fd) fd = spool_open_staged(self->spool, committing->staging_id, error);
    struct stat stat;

    if (fd < 0)
        return false;
    if (fstat(fd, &stat) != 0) {
        error_set_errno(error, errno, "stat a staged file");
        return false;
    }
    committing->transfer->size_bytes = (uint64_t)stat.st_size;
    committing->transfer->actor = dup_actor(committing->call, fd);
    committing->transfer->origin = g_strdup(door_call_origin(committing->call));
    committing->transfer->correlation = g_strdup(door_call_correlation(committing->call));
    return true;
}

/* The rule that takes it, or NULL. */
static const VirtualFile *check_staged(const Desk *self, Committing *committing,
                                       const Partner **ret_partner, GError **error)
{
    Transfer *transfer = committing->transfer;
    const VirtualFile *file =
            find_rule(self, transfer->partner, transfer->path, ret_partner, error);

    if (file == NULL || !read_staged(self, committing, error))
        return NULL;
    if (transfer->size_bytes == 0 && !file->allow_empty) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' is empty: allow_empty is not set",
                    transfer->path);
        return NULL;
    }
    if (file->max_bytes != 0 && transfer->size_bytes > file->max_bytes) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "'%s' has %" G_GUINT64_FORMAT " bytes, max_mb allows %" G_GUINT64_FORMAT,
                    transfer->path, transfer->size_bytes, file->max_bytes);
        return NULL;
    }
    if (!attributes_check_size(file, transfer->size_bytes, error))
        return NULL;
    transfer->direction = file->mode == VIRTUAL_FILE_OFFER ? DIRECTION_OFFER : DIRECTION_SEND;
    transfer->file_type = file->file_type;
    return file;
}

void desk_commit(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) attributes = NULL;
    const char *partner, *path;
    gboolean noreplace = FALSE;
    guint32 mode = 0640;
    gint64 id, mtime_us = clock_wall_us();
    Committing *committing = g_new0(Committing, 1);
    const Partner *rules = NULL;
    const VirtualFile *file;
    Staged *staged;

    g_variant_get(parameters, "(x&s&s@a{sv})", &id, &partner, &path, &attributes);
    g_variant_lookup(attributes, "noreplace", "b", &noreplace);
    g_variant_lookup(attributes, "mode", "u", &mode);
    g_variant_lookup(attributes, "mtime_us", "x", &mtime_us);
    committing->desk = self;
    committing->call = call;
    committing->staging_id = id;
    committing->noreplace = noreplace;
    committing->transfer = transfer_new();
    committing->transfer->state = TRANSFER_QUEUED;
    committing->transfer->partner = g_strdup(partner);
    committing->transfer->path = g_strdup(path);
    committing->transfer->mode = mode & 0777;
    committing->transfer->mtime_us = mtime_us;
    committing->transfer->created_us = clock_wall_us();
    committing->transfer->data_kept = true;
    staged = find_staged(self, call, id, &error);
    file = staged != NULL ? check_staged(self, committing, &rules, &error) : NULL;
    if (file == NULL) {
        door_call_fail(call, error);
        committing_free(committing);
        return;
    }
    staged->committing = true;
    if (desk_is_absent(self, partner, path)) {
        name_and_insert(committing, rules, file);
        return;
    }
    store_submit(self->store, store_request_find_path(partner, path), on_commit_looked_up,
                 committing);
}

/* Remove and Touch of what stands in the mount */

typedef struct {
    Desk *desk;
    DoorCall *call;
    bool cancelled; /* an offer, by this */
    bool has_mode, has_mtime;
    uint32_t mode;
    int64_t mtime_us;
} Change;

static void on_changed(StoreResult *result, gpointer data)
{
    Change *change = data;

    if (result->error != NULL) {
        door_call_fail(change->call, result->error);
    } else {
        if (change->cancelled)
            tell(change->desk, result->transfer);
        else
            desk_emit_change(change->desk, result->transfer->partner, result->transfer->path);
        door_call_return(change->call, NULL, NULL, 0);
    }
    store_result_free(result);
    g_free(change);
}

static void on_remove_found(StoreResult *result, gpointer data)
{
    Change *change = data;
    Desk *self = change->desk;
    g_autoptr(Transfer) transfer = g_steal_pointer(&result->transfer);
    const Transfer *newest = transfer != NULL ? queue_find(self->queue, transfer->id, NULL) : NULL;
    g_autoptr(GError) error = g_steal_pointer(&result->error);
    unsigned before;

    store_result_free(result);
    if (error == NULL && newest != NULL && newest->state == TRANSFER_RUNNING)
        g_set_error(&error, BASE_ERROR, BASE_ERROR_BUSY, "transfer %" G_GINT64_FORMAT " is running",
                    transfer->id);
    if (error == NULL && transfer->direction == DIRECTION_RECEIVE &&
        !spool_remove_inbox(self->spool, transfer->partner, transfer->path, &error) &&
        error->code == BASE_ERROR_NOT_FOUND)
        g_clear_error(&error); /* somebody took it out of the inbox: rm has what it wants */
    if (error != NULL) {
        door_call_fail(change->call, error);
        g_free(change);
        return;
    }
    before = 1u << transfer->state;
    if (newest != NULL) {
        (void)queue_cancel(self->queue, transfer->id, NULL); /* it was there a line ago */
        before = 1u << TRANSFER_CANCELLED;
    }
    change->cancelled = newest == NULL && transfer->state == TRANSFER_QUEUED;
    if (newest != NULL || transfer->state == TRANSFER_QUEUED) {
        transfer->state = TRANSFER_CANCELLED;
        transfer->finished_us = clock_wall_us();
    }
    transfer->hidden = true;
    store_post(self->store,
               store_request_hide_path(transfer->partner, transfer->path, transfer->id));
    store_submit(self->store, store_request_update(transfer, before, NULL, 0), on_changed, change);
}

void desk_remove(DoorCall *call, GVariant *parameters, gpointer data)
{
    Change *change = g_new0(Change, 1);
    const char *partner, *path;

    g_variant_get(parameters, "(&s&s)", &partner, &path);
    change->desk = data;
    change->call = call;
    store_submit(change->desk->store, store_request_find_path(partner, path), on_remove_found,
                 change);
}

static void on_touch_found(StoreResult *result, gpointer data)
{
    Change *change = data;
    Transfer *transfer = result->transfer;

    if (result->error != NULL) {
        door_call_fail(change->call, result->error);
        g_free(change);
    } else {
        if (change->has_mode)
            transfer->mode = change->mode & 0777;
        if (change->has_mtime)
            transfer->mtime_us = change->mtime_us;
        queue_touch(change->desk->queue, transfer->id, transfer->mode, transfer->mtime_us);
        store_submit(change->desk->store,
                     store_request_update(transfer, 1u << transfer->state, NULL, 0), on_changed,
                     change);
    }
    store_result_free(result);
}

void desk_touch(DoorCall *call, GVariant *parameters, gpointer data)
{
    Change *change = g_new0(Change, 1);
    g_autoptr(GVariant) attributes = NULL;
    gint64 id;

    g_variant_get(parameters, "(x@a{sv})", &id, &attributes);
    change->desk = data;
    change->call = call;
    change->has_mode = g_variant_lookup(attributes, "mode", "u", &change->mode);
    change->has_mtime = g_variant_lookup(attributes, "mtime_us", "x", &change->mtime_us);
    store_submit(change->desk->store, store_request_get(id), on_touch_found, change);
}
