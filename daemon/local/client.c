/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the local door offers, as calls: parameters in, values out. How they travel is in client-link.c.
 */
#include "daemon/local/client-private.h"

#include "base/error.h"
#include "daemon/local/description.h"

/* Returns new; NULL: error says why. */
static GVariant *take_result(DoorAnswer *answer)
{
    g_autoptr(DoorAnswer) owned = answer;

    return owned != NULL ? g_steal_pointer(&owned->value) : NULL;
}

static GVariant *call(Client *self, const char *name, GVariant *parameters, unsigned timeout_ms,
                      GError **error)
{
    return take_result(client_call(self, (ClientMethod){name, false, CLIENT_OURSELVES}, parameters,
                                   timeout_ms, error));
}

static bool call_done(Client *self, ClientMethod method, GVariant *parameters, unsigned timeout_ms,
                      GError **error)
{
    g_autoptr(DoorAnswer) answer = client_call(self, method, parameters, timeout_ms, error);

    return answer != NULL;
}

/* values */

void client_transfer_free(ClientTransfer *transfer)
{
    if (transfer == NULL)
        return;
    g_variant_unref(transfer->tuple);
    g_free(transfer);
}

static char *take_text(GVariantDict *dictionary, const char *key)
{
    char *text = NULL;

    return g_variant_dict_lookup(dictionary, key, "s", &text) ? text : g_strdup("");
}

static uint32_t take_u32(GVariantDict *dictionary, const char *key)
{
    uint32_t value = 0;

    return g_variant_dict_lookup(dictionary, key, "u", &value) ? value : 0;
}

static uint64_t take_u64(GVariantDict *dictionary, const char *key)
{
    uint64_t value = 0;

    return g_variant_dict_lookup(dictionary, key, "t", &value) ? value : 0;
}

static bool take_bool(GVariantDict *dictionary, const char *key)
{
    gboolean value = FALSE;

    return g_variant_dict_lookup(dictionary, key, "b", &value) && value;
}

/* tuple: taken; of its type: who calls has looked. */
static ClientTransfer *take_transfer(GVariant *tuple)
{
    ClientTransfer *transfer = g_new0(ClientTransfer, 1);

    (void)description_read(tuple, transfer);
    return transfer;
}

static void free_transfer(gpointer transfer)
{
    client_transfer_free(transfer);
}

/* The first value of an answer, when it is of a type. result: taken, or NULL. NULL: error says why. */
static GVariant *take_value(GVariant *result, const char *type, GError **error)
{
    g_autoptr(GVariant) owned = result;
    g_autoptr(GVariant) value = owned != NULL ? g_variant_get_child_value(owned, 0) : NULL;

    if (value == NULL || g_variant_is_of_type(value, G_VARIANT_TYPE(type)))
        return g_steal_pointer(&value);
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                "the daemon is of another version: it answers %s",
                g_variant_get_type_string(value));
    return NULL;
}

/* result: "(transfer…)" or NULL; taken. */
static ClientTransfer *take_first(GVariant *result, GError **error)
{
    GVariant *value = take_value(result, DESCRIPTION_TYPE, error);

    return value != NULL ? take_transfer(value) : NULL;
}

static GPtrArray *take_list(GVariant *result, GError **error)
{
    GPtrArray *transfers;
    g_autoptr(GVariant) list = take_value(result, "a" DESCRIPTION_TYPE, error);

    if (list == NULL)
        return NULL;
    transfers = g_ptr_array_new_with_free_func(free_transfer);
    for (gsize i = 0; i < g_variant_n_children(list); i++)
        g_ptr_array_add(transfers, take_transfer(g_variant_get_child_value(list, i)));
    return transfers;
}

static void free_file(gpointer data)
{
    ClientFile *file = data;

    g_free(file->pattern);
    g_free(file->mode);
    g_free(file->commit);
    g_free(file->ack);
    g_free(file->existing);
    g_free(file);
}

static void free_partner(gpointer data)
{
    ClientPartner *partner = data;

    g_free(partner->name);
    g_ptr_array_unref(partner->files);
    g_free(partner);
}

static ClientFile *take_file(GVariant *dictionary)
{
    ClientFile *file = g_new0(ClientFile, 1);
    GVariantDict all;

    g_variant_dict_init(&all, dictionary);
    file->pattern = take_text(&all, "pattern");
    file->mode = take_text(&all, "mode");
    file->commit = take_text(&all, "commit");
    file->ack = take_text(&all, "ack");
    file->existing = take_text(&all, "existing");
    file->wait_s = take_u32(&all, "wait_s");
    file->max_bytes = take_u64(&all, "max_bytes");
    file->allow_empty = take_bool(&all, "allow_empty");
    g_variant_dict_clear(&all);
    g_variant_unref(dictionary);
    return file;
}

static ClientPartner *take_partner(GVariant *dictionary)
{
    ClientPartner *partner = g_new0(ClientPartner, 1);
    g_autoptr(GVariant) files =
            g_variant_lookup_value(dictionary, "files", G_VARIANT_TYPE("aa{sv}"));
    GVariantDict all;

    g_variant_dict_init(&all, dictionary);
    partner->name = take_text(&all, "name");
    partner->enabled = take_bool(&all, "enabled");
    partner->files = g_ptr_array_new_with_free_func(free_file);
    for (gsize i = 0; files != NULL && i < g_variant_n_children(files); i++)
        g_ptr_array_add(partner->files, take_file(g_variant_get_child_value(files, i)));
    g_variant_dict_clear(&all);
    g_variant_unref(dictionary);
    return partner;
}

/* calls */

GPtrArray *client_load_tree(Client *self, unsigned timeout_ms, uint64_t *ret_generation,
                            GError **error)
{
    g_autoptr(GVariant) result = call(self, "Tree", NULL, timeout_ms, error);
    g_autoptr(GVariant) list = NULL;
    GPtrArray *partners;

    if (result == NULL)
        return NULL;
    g_variant_get_child(result, 0, "t", ret_generation);
    list = g_variant_get_child_value(result, 1);
    partners = g_ptr_array_new_with_free_func(free_partner);
    for (gsize i = 0; i < g_variant_n_children(list); i++)
        g_ptr_array_add(partners, take_partner(g_variant_get_child_value(list, i)));
    return partners;
}

/* The descriptor of an answer, the caller's; -1: error says why. */
static int take_fd(DoorAnswer *answer, GError **error)
{
    int fd = answer->fd_count > 0 ? answer->fds[0] : -1;

    answer->fds[0] = -1;
    if (fd < 0)
        g_set_error(error, BASE_ERROR, BASE_ERROR_IO, "the daemon passed no descriptor");
    return fd;
}

/* The one descriptor that a method answers. */
static int call_for_fd(Client *self, const char *name, GVariant *parameters, unsigned timeout_ms,
                       GError **error)
{
    g_autoptr(DoorAnswer) answer = client_call(self, (ClientMethod){name, false, CLIENT_OURSELVES},
                                               parameters, timeout_ms, error);

    return answer != NULL ? take_fd(answer, error) : -1;
}

int client_stage(Client *self, const char *partner, const char *path, bool scratch,
                 unsigned timeout_ms, int64_t *ret_staging_id, GError **error)
{
    g_autoptr(DoorAnswer) answer =
            client_call(self, (ClientMethod){"Stage", false, CLIENT_OURSELVES},
                        g_variant_new("(ssb)", partner, path, scratch), timeout_ms, error);

    if (answer == NULL)
        return -1;
    g_variant_get_child(answer->value, 0, "x", ret_staging_id);
    return take_fd(answer, error);
}

ClientTransfer *client_commit(Client *self, int64_t staging_id, const char *partner,
                              const char *path, uint32_t mode, int64_t mtime_us, bool noreplace,
                              uint32_t for_uid, unsigned timeout_ms, GError **error)
{
    GVariantDict attributes;

    g_variant_dict_init(&attributes, NULL);
    g_variant_dict_insert(&attributes, "mode", "u", mode);
    g_variant_dict_insert(&attributes, "mtime_us", "x", mtime_us);
    g_variant_dict_insert(&attributes, "noreplace", "b", noreplace);
    return take_first(take_result(client_call(self, (ClientMethod){"Commit", true, for_uid},
                                              g_variant_new("(xss@a{sv})", staging_id, partner,
                                                            path, g_variant_dict_end(&attributes)),
                                              timeout_ms, error)),
                      error);
}

void client_discard(Client *self, int64_t staging_id)
{
    client_tell(self, "Discard", g_variant_new("(x)", staging_id));
}

ClientTransfer *client_wait(Client *self, int64_t id, unsigned wait_ms, GError **error)
{
    return take_first(call(self, "Wait", g_variant_new("(xu)", id, wait_ms),
                           wait_ms + CLIENT_GRACE_MS, error),
                      error);
}

ClientTransfer *client_find(Client *self, const char *partner, const char *path,
                            unsigned timeout_ms, GError **error)
{
    return take_first(call(self, "Find", g_variant_new("(ss)", partner, path), timeout_ms, error),
                      error);
}

ClientTransfer *client_find_last(Client *self, const char *partner, const char *path,
                                 unsigned timeout_ms, GError **error)
{
    return take_first(call(self, "Last", g_variant_new("(ss)", partner, path), timeout_ms, error),
                      error);
}

GPtrArray *client_list(Client *self, const char *partner, const char *folder, const char *after,
                       uint32_t limit, unsigned timeout_ms, GError **error)
{
    return take_list(call(self, "List", g_variant_new("(sssu)", partner, folder, after, limit),
                          timeout_ms, error),
                     error);
}

int client_open(Client *self, int64_t id, unsigned timeout_ms, GError **error)
{
    return call_for_fd(self, "Open", g_variant_new("(x)", id), timeout_ms, error);
}

/* answer: borrowed, but for its descriptor. ret_fd: -1 without one. */
static ClientTransfer *take_fetched(DoorAnswer *answer, int *ret_fd, GError **error)
{
    if (answer->fd_count > 0) {
        *ret_fd = answer->fds[0];
        answer->fds[0] = -1;
    }
    return take_first(g_steal_pointer(&answer->value), error);
}

ClientTransfer *client_fetch(Client *self, const char *partner, const char *path, unsigned wait_ms,
                             int *ret_fd, GError **error)
{
    g_autoptr(DoorAnswer) answer = client_call(
            self, (ClientMethod){"Fetch", false, CLIENT_OURSELVES},
            g_variant_new("(ssu)", partner, path, wait_ms), wait_ms + CLIENT_GRACE_MS, error);

    *ret_fd = -1;
    return answer != NULL ? take_fetched(answer, ret_fd, error) : NULL;
}

bool client_remove(Client *self, const char *partner, const char *path, uint32_t for_uid,
                   unsigned timeout_ms, GError **error)
{
    return call_done(self, (ClientMethod){"Remove", true, for_uid},
                     g_variant_new("(ss)", partner, path), timeout_ms, error);
}

bool client_touch(Client *self, int64_t id, const uint32_t *mode, const int64_t *mtime_us,
                  unsigned timeout_ms, GError **error)
{
    GVariantDict attributes;

    g_variant_dict_init(&attributes, NULL);
    if (mode != NULL)
        g_variant_dict_insert(&attributes, "mode", "u", *mode);
    if (mtime_us != NULL)
        g_variant_dict_insert(&attributes, "mtime_us", "x", *mtime_us);
    return call_done(self, (ClientMethod){"Touch", false, CLIENT_OURSELVES},
                     g_variant_new("(x@a{sv})", id, g_variant_dict_end(&attributes)), timeout_ms,
                     error);
}

bool client_space(Client *self, unsigned timeout_ms, uint64_t *ret_total, uint64_t *ret_available,
                  GError **error)
{
    g_autoptr(GVariant) result = call(self, "Space", NULL, timeout_ms, error);

    if (result == NULL)
        return false;
    g_variant_get(result, "(tt)", ret_total, ret_available);
    return true;
}

bool client_count(Client *self, GVariant *operations, GVariant *errors, unsigned timeout_ms,
                  GError **error)
{
    g_autoptr(GVariant) result = call(
            self, "Count", g_variant_new("(@a{st}@a{st})", operations, errors), timeout_ms, error);

    return result != NULL;
}

GPtrArray *client_history(Client *self, const char *partner, const char *const *states,
                          const char *const *directions, int64_t before_id, uint32_t limit,
                          unsigned timeout_ms, GError **error)
{
    GVariantDict filters;

    g_variant_dict_init(&filters, NULL);
    if (partner != NULL)
        g_variant_dict_insert(&filters, "partner", "s", partner);
    if (states != NULL)
        g_variant_dict_insert_value(&filters, "states", g_variant_new_strv(states, -1));
    if (directions != NULL)
        g_variant_dict_insert_value(&filters, "directions", g_variant_new_strv(directions, -1));
    g_variant_dict_insert(&filters, "before_id", "x", before_id);
    g_variant_dict_insert(&filters, "limit", "u", limit);
    return take_list(call(self, "History", g_variant_new("(@a{sv})", g_variant_dict_end(&filters)),
                          timeout_ms, error),
                     error);
}

ClientTransfer *client_get(Client *self, int64_t id, unsigned timeout_ms, GError **error)
{
    return take_first(call(self, "Get", g_variant_new("(x)", id), timeout_ms, error), error);
}

bool client_retry(Client *self, int64_t id, uint32_t for_uid, unsigned timeout_ms, GError **error)
{
    return call_done(self, (ClientMethod){"Retry", true, for_uid}, g_variant_new("(x)", id),
                     timeout_ms, error);
}

bool client_cancel(Client *self, int64_t id, uint32_t for_uid, unsigned timeout_ms, GError **error)
{
    return call_done(self, (ClientMethod){"Cancel", true, for_uid}, g_variant_new("(x)", id),
                     timeout_ms, error);
}

GVariant *client_status(Client *self, unsigned timeout_ms, GError **error)
{
    g_autoptr(GVariant) result = call(self, "Status", NULL, timeout_ms, error);

    return result != NULL ? g_variant_get_child_value(result, 0) : NULL;
}

bool client_reload(Client *self, unsigned timeout_ms, GError **error)
{
    return call_done(self, (ClientMethod){"Reload", true, CLIENT_OURSELVES}, NULL, timeout_ms,
                     error);
}

char *client_administer(Client *self, const char *const request[3], unsigned *ret_status,
                        unsigned timeout_ms, GError **error)
{
    g_autoptr(GVariant) result =
            call(self, "Administer", g_variant_new("(sss)", request[0], request[1], request[2]),
                 timeout_ms, error);
    guint32 status = 0;
    char *answer = NULL;

    if (result == NULL)
        return NULL;
    g_variant_get(result, "(us)", &status, &answer);
    *ret_status = status;
    return answer;
}

char **client_seals(Client *self, unsigned timeout_ms, GError **error)
{
    g_autoptr(GVariant) result = call(self, "Seals", NULL, timeout_ms, error);
    g_autoptr(GVariant) files = NULL;
    const char *key_file;
    char **list;
    gsize count;

    if (result == NULL)
        return NULL;
    g_variant_get(result, "(&s@as)", &key_file, &files);
    count = g_variant_n_children(files);
    list = g_new0(char *, count + 2);
    list[0] = g_strdup(key_file);
    for (gsize i = 0; i < count; i++)
        g_variant_get_child(files, i, "s", &list[i + 1]);
    return list;
}

bool client_reseal(Client *self, unsigned timeout_ms, uint32_t *ret_changed, GError **error)
{
    g_autoptr(GVariant) result = call(self, "Reseal", NULL, timeout_ms, error);

    if (result == NULL)
        return false;
    g_variant_get(result, "(u)", ret_changed);
    return true;
}

int client_back_up(Client *self, unsigned timeout_ms, GError **error)
{
    return call_for_fd(self, "Backup", NULL, timeout_ms, error);
}

/* calls that take long */

static void answer_waiting(ClientPending *pending, DoorAnswer *answer)
{
    g_autoptr(GError) error = g_steal_pointer(&answer->error);
    ClientTransfer *transfer = NULL;
    int fd = -1;

    if (error == NULL)
        transfer = take_fetched(answer, &fd, &error);
    pending->done(transfer, fd, error, pending->data);
}

static GVariant *wait_parameters(const ClientPending *pending, unsigned remaining_ms)
{
    return g_variant_new("(xu)", pending->id, remaining_ms);
}

static GVariant *fetch_parameters(const ClientPending *pending, unsigned remaining_ms)
{
    return g_variant_new("(ssu)", pending->partner, pending->path, remaining_ms);
}

ClientPending *client_pending_new(ClientDone done, gpointer data)
{
    ClientPending *pending = g_new0(ClientPending, 1);

    pending->done = done;
    pending->data = data;
    pending->answer = answer_waiting;
    return pending;
}

void client_begin_wait(Client *self, ClientPending *pending, int64_t id, unsigned wait_ms)
{
    pending->method = (ClientMethod){"Wait", false, CLIENT_OURSELVES};
    pending->parameters = wait_parameters;
    pending->id = id;
    client_begin(self, pending, wait_ms);
}

void client_begin_fetch(Client *self, ClientPending *pending, const char *partner, const char *path,
                        uint32_t for_uid, unsigned wait_ms)
{
    pending->method = (ClientMethod){"Fetch", false, for_uid};
    pending->parameters = fetch_parameters;
    pending->partner = g_strdup(partner);
    pending->path = g_strdup(path);
    client_begin(self, pending, wait_ms);
}
