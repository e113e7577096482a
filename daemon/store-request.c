/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be asked of the store: one builder per request and the statement behind it. Builders run on any
 * thread, the run functions on the store's.
 */
#include "daemon/store-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <string.h>

#define UPDATE_MASK_INDEX (TRANSFER_COLUMNS + 1)
#define ALL_BITS          0xFFFF

static StoreRequest *request_new(void (*run)(const StoreRequest *self, Db *db, StoreResult *result))
{
    StoreRequest *self = g_new0(StoreRequest, 1);

    self->run = run;
    return self;
}

void store_request_free(StoreRequest *request)
{
    if (request == NULL)
        return;
    transfer_free(request->transfer);
    for (size_t i = 0; i < G_N_ELEMENTS(request->texts); i++)
        g_free(request->texts[i]);
    for (size_t i = 0; i < request->folder_count; i++)
        fd_clear(&request->folder_fds[i]);
    reply_unref(request->reply);
    store_result_free(request->result);
    g_free(request);
}

static void take_folders(StoreRequest *self, const int *folder_fds, size_t n)
{
    for (size_t i = 0; i < n && i < STORE_FOLDERS_MAX; i++)
        self->folder_fds[self->folder_count++] = folder_fds[i];
}

/* rows into results */

static void read_one(Db *db, StoreResult *result, const char *what)
{
    DbStep step = db_step(db, &result->error);

    if (step == DB_ROW)
        result->transfer = transfer_read(db);
    else if (step == DB_DONE)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "%s not found", what);
}

static void read_all(Db *db, StoreResult *result)
{
    DbStep step;

    result->transfers = g_ptr_array_new_with_free_func((GDestroyNotify)transfer_free);
    while ((step = db_step(db, &result->error)) == DB_ROW)
        g_ptr_array_add(result->transfers, transfer_read(db));
}

static void read_number(Db *db, StoreResult *result)
{
    if (db_step(db, &result->error) == DB_ROW)
        result->number = (uint64_t)db_number(db, 0);
}

/* writing rows */

static void run_insert(const StoreRequest *self, Db *db, StoreResult *result)
{
    self->transfer->updated_us = clock_wall_us();
    if (!db_start(db, SQL_TRANSFER_INSERT, &result->error))
        return;
    transfer_bind(db, self->transfer);
    if (db_step(db, &result->error) != DB_ROW)
        return;
    result->transfer = transfer_copy(self->transfer);
    result->transfer->id = db_number(db, 0);
}

StoreRequest *store_request_insert(const Transfer *transfer, const int *folder_fds, size_t n)
{
    StoreRequest *self = request_new(run_insert);

    self->transfer = transfer_copy(transfer);
    take_folders(self, folder_fds, n);
    return self;
}

static void run_update(const StoreRequest *self, Db *db, StoreResult *result)
{
    DbStep step;

    self->transfer->updated_us = clock_wall_us();
    if (!db_start(db, SQL_TRANSFER_UPDATE, &result->error))
        return;
    transfer_bind(db, self->transfer);
    db_bind_number(db, UPDATE_MASK_INDEX, self->numbers[0]);
    step = db_step(db, &result->error);
    if (step == DB_ROW)
        result->transfer = transfer_copy(self->transfer);
    else if (step == DB_DONE)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_CONFLICT,
                    "transfer %" G_GINT64_FORMAT " is not in a state that allows this",
                    self->transfer->id);
}

StoreRequest *store_request_update(const Transfer *transfer, unsigned expected_states,
                                   const int *folder_fds, size_t n)
{
    StoreRequest *self = request_new(run_update);

    self->transfer = transfer_copy(transfer);
    self->numbers[0] = expected_states;
    take_folders(self, folder_fds, n);
    return self;
}

static void run_hide_path(const StoreRequest *self, Db *db, StoreResult *result)
{
    if (!db_start(db, SQL_TRANSFER_HIDE_PATH, &result->error))
        return;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->texts[1]);
    db_bind_number(db, 3, self->numbers[0]);
    (void)db_step(db, &result->error); /* the error says it */
}

StoreRequest *store_request_hide_path(const char *partner, const char *path, int64_t before_id)
{
    StoreRequest *self = request_new(run_hide_path);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(path);
    self->numbers[0] = before_id;
    return self;
}

/* reading rows */

static void run_get(const StoreRequest *self, Db *db, StoreResult *result)
{
    g_autofree char *what = g_strdup_printf("transfer %" G_GINT64_FORMAT, self->numbers[0]);

    if (!db_start(db, SQL_TRANSFER_GET, &result->error))
        return;
    db_bind_number(db, 1, self->numbers[0]);
    read_one(db, result, what);
}

StoreRequest *store_request_get(int64_t id)
{
    StoreRequest *self = request_new(run_get);

    self->numbers[0] = id;
    return self;
}

static void run_find_path(const StoreRequest *self, Db *db, StoreResult *result)
{
    if (!db_start(db, SQL_TRANSFER_FIND_PATH, &result->error))
        return;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->texts[1]);
    read_one(db, result, self->texts[1]);
}

StoreRequest *store_request_find_path(const char *partner, const char *path)
{
    StoreRequest *self = request_new(run_find_path);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(path);
    return self;
}

/* Appends text so that LIKE … ESCAPE '\' takes it literally. */
static void append_literal(GString *pattern, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '%' || *at == '_' || *at == '\\')
            g_string_append_c(pattern, '\\');
        g_string_append_c(pattern, *at);
    }
}

static void run_list_folder(const StoreRequest *self, Db *db, StoreResult *result)
{
    const char *folder = self->texts[1];
    bool root = folder[0] == '\0';
    g_autofree char *below = root ? g_strdup("") : g_strconcat(folder, "/", NULL);
    g_autofree char *behind =
            root ? g_strdup("\xFF") : g_strconcat(folder, "0", NULL); /* '0' follows '/' */
    g_autoptr(GString) deeper = g_string_new(NULL);

    append_literal(deeper, below);
    g_string_append(deeper, "%/%");
    if (!db_start(db, SQL_TRANSFER_LIST_FOLDER, &result->error))
        return;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, below);
    db_bind_text(db, 3, behind);
    db_bind_text(db, 4, deeper->str);
    db_bind_text(db, 5, self->texts[2] != NULL ? self->texts[2] : "");
    db_bind_number(db, 6, self->numbers[0]);
    db_bind_number(db, 7, self->numbers[1]);
    read_all(db, result);
}

StoreRequest *store_request_list_folder(const char *partner, const char *folder,
                                        unsigned directions, const char *after, uint32_t limit)
{
    StoreRequest *self = request_new(run_list_folder);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(folder);
    self->texts[2] = g_strdup(after);
    self->numbers[0] = directions;
    self->numbers[1] = limit;
    return self;
}

static void run_find_offer(const StoreRequest *self, Db *db, StoreResult *result)
{
    const char *name = self->texts[1];
    bool generic = strpbrk(name, "*?") != NULL;
    g_autoptr(GString) pattern = g_string_new(NULL);

    for (const char *at = name; generic && *at != '\0'; at++) {
        char one[] = {*at, '\0'};

        if (*at == '*' || *at == '?')
            g_string_append_c(pattern, *at == '*' ? '%' : '_');
        else
            append_literal(pattern, one);
    }
    if (!db_start(db, generic ? SQL_TRANSFER_FIND_OFFER_GENERIC : SQL_TRANSFER_FIND_OFFER,
                  &result->error))
        return;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, generic ? pattern->str : name);
    db_bind_number(db, 3, self->numbers[0]);
    read_one(db, result, name);
}

StoreRequest *store_request_find_offer(const char *partner, uint16_t file_type,
                                       const char *file_name)
{
    StoreRequest *self = request_new(run_find_offer);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(file_name);
    self->numbers[0] = file_type;
    return self;
}

static void run_find_received(const StoreRequest *self, Db *db, StoreResult *result)
{
    const Transfer *wanted = self->transfer;

    if (!db_start(db, SQL_TRANSFER_FIND_RECEIVED, &result->error))
        return;
    db_bind_text(db, 1, wanted->partner);
    db_bind_text(db, 2, wanted->file_name);
    db_bind_number(db, 3, wanted->transfer_id);
    db_bind_text(db, 4, wanted->peer);
    db_bind_number(db, 5, wanted->file_type);
    db_bind_text(db, 6, wanted->client != NULL ? wanted->client : "");
    db_bind_text(db, 7, wanted->bank != NULL ? wanted->bank : "");
    read_one(db, result, "earlier transfer");
}

StoreRequest *store_request_find_received(const char *partner, const char *peer, uint16_t file_type,
                                          const char *file_name, uint32_t transfer_id,
                                          const char *client, const char *bank)
{
    StoreRequest *self = request_new(run_find_received);

    self->transfer = transfer_new();
    self->transfer->partner = g_strdup(partner);
    self->transfer->peer = g_strdup(peer);
    self->transfer->file_type = file_type;
    self->transfer->file_name = g_strdup(file_name);
    self->transfer->transfer_id = transfer_id;
    self->transfer->client = g_strdup(client);
    self->transfer->bank = g_strdup(bank);
    return self;
}

static void run_history(const StoreRequest *self, Db *db, StoreResult *result)
{
    if (!db_start(db, SQL_TRANSFER_HISTORY, &result->error))
        return;
    db_bind_text(db, 1, self->texts[0] != NULL ? self->texts[0] : "");
    for (unsigned i = 0; i < 4; i++)
        db_bind_number(db, i + 2, self->numbers[i]);
    read_all(db, result);
}

StoreRequest *store_request_history(const char *partner, unsigned states, unsigned directions,
                                    int64_t before_id, uint32_t limit)
{
    StoreRequest *self = request_new(run_history);

    self->texts[0] = g_strdup(partner);
    self->numbers[0] = states != 0 ? states : ALL_BITS;
    self->numbers[1] = directions != 0 ? directions : ALL_BITS;
    self->numbers[2] = before_id > 0 ? before_id : INT64_MAX;
    self->numbers[3] = limit;
    return self;
}

static void run_unfinished(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    if (db_start(db, SQL_TRANSFER_UNFINISHED, &result->error))
        read_all(db, result);
}

StoreRequest *store_request_unfinished(void)
{
    return request_new(run_unfinished);
}

static void run_expired(const StoreRequest *self, Db *db, StoreResult *result)
{
    if (!db_start(db, SQL_TRANSFER_EXPIRED, &result->error))
        return;
    db_bind_number(db, 1, self->numbers[0]);
    db_bind_number(db, 2, self->numbers[1]);
    read_all(db, result);
}

StoreRequest *store_request_expired(int64_t before_us, uint32_t limit)
{
    StoreRequest *self = request_new(run_expired);

    self->numbers[0] = before_us;
    self->numbers[1] = limit;
    return self;
}

static void run_tally(const StoreRequest *self, Db *db, StoreResult *result)
{
    if (!db_start(db, SQL_TRANSFER_TALLY, &result->error))
        return;
    db_bind_number(db, 1, self->numbers[0]);
    db_bind_number(db, 2, self->numbers[1]);
    read_number(db, result);
}

StoreRequest *store_request_tally(unsigned states, unsigned directions)
{
    StoreRequest *self = request_new(run_tally);

    self->numbers[0] = states != 0 ? states : ALL_BITS;
    self->numbers[1] = directions != 0 ? directions : ALL_BITS;
    return self;
}

/* counters and secrets */

static void run_count(const StoreRequest *self, Db *db, StoreResult *result)
{
    if (!db_start(db, SQL_COUNTER_NEXT, &result->error))
        return;
    db_bind_text(db, 1, self->texts[0]);
    read_number(db, result);
}

StoreRequest *store_request_count(const char *counter)
{
    StoreRequest *self = request_new(run_count);

    self->texts[0] = g_strdup(counter);
    return self;
}

static void run_set_secret(const StoreRequest *self, Db *db, StoreResult *result)
{
    const char *value = self->texts[2];

    if (!db_start(db, value != NULL ? SQL_SECRET_SET : SQL_SECRET_REMOVE, &result->error))
        return;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->texts[1]);
    if (value != NULL)
        db_bind_text(db, 3, value);
    (void)db_step(db, &result->error); /* the error is in the result */
}

StoreRequest *store_request_set_secret(const char *partner, const char *kind, const char *value)
{
    StoreRequest *self = request_new(run_set_secret);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(kind);
    self->texts[2] = g_strdup(value);
    return self;
}

static void run_get_secret(const StoreRequest *self, Db *db, StoreResult *result)
{
    if (!db_start(db, SQL_SECRET_GET, &result->error))
        return;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->texts[1]);
    if (db_step(db, &result->error) != DB_ROW)
        return;
    result->transfer = transfer_new();
    result->transfer->error = g_strdup(db_text(db, 0));
}

StoreRequest *store_request_get_secret(const char *partner, const char *kind)
{
    StoreRequest *self = request_new(run_get_secret);

    self->texts[0] = g_strdup(partner);
    self->texts[1] = g_strdup(kind);
    return self;
}
