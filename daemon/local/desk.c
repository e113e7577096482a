/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The desk's table of methods, and those that only read or pass on an order. Every answer that needs the
 * store is given when the store has answered.
 */
#include "daemon/local/desk-private.h"

#include "base/clock.h"
#include "base/metric.h"
#include "daemon/net/attributes.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define MAX_ROWS   1000
#define ALL_STATES 0xFFu
#define SWEEP_S    60
#define LOOK_MS    1000

/* small answers */

void desk_fail(DoorCall *call, BaseError code, const char *format, ...)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    va_list arguments;

    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    error = g_error_new_literal(BASE_ERROR, (int)code, text);
    door_call_fail(call, error);
}

static bool has_spooled_bytes(const Transfer *transfer)
{
    return transfer->data_kept && transfer->spool_name != NULL &&
           (transfer->direction == DIRECTION_SEND || transfer->direction == DIRECTION_OFFER);
}

static GVariant *describe(const Desk *self, const Transfer *stored, bool with_owner)
{
    uint64_t progress = 0;
    const Transfer *newest = queue_find(self->queue, stored->id, &progress);
    const Transfer *t = newest != NULL ? newest : stored;
    g_autofree char *diag =
            t->diag_code != 0 ? g_strdup_printf("%u-%03u", t->diag_type, t->diag_code) : NULL;
    g_autofree char *owner =
            with_owner && has_spooled_bytes(t)
                    ? spool_dup_attribute(self->spool, t->spool_name, DESCRIPTION_OWNER)
                    : NULL;
    bool moves = newest != NULL || (t->state == TRANSFER_RUNNING &&
                                    self->host.find_incoming(t->id, &progress, self->host.data));
    Description description = {
            .id = t->id,
            .direction = transfer_direction_name(t->direction),
            .state = transfer_state_name(t->state),
            .partner = t->partner,
            .path = t->path,
            .file_name = t->file_name,
            .file_type = t->file_type,
            .transfer_id = t->transfer_id,
            .size_bytes = t->size_bytes,
            .wire_bytes = t->wire_bytes,
            .articles = t->articles,
            .mode = t->mode,
            .mtime_us = t->mtime_us,
            .created_us = t->created_us,
            .updated_us = t->updated_us,
            .finished_us = t->finished_us,
            .attempts = t->attempts,
            .next_retry_us = t->next_retry_us,
            .diag = diag,
            .cause = t->cause != 0 ? base_error_name((BaseError)(t->cause - 1)) : NULL,
            .error = t->error,
            .sha256 = t->sha256,
            .peer = t->peer,
            .data_kept = t->data_kept ||
                         (t->direction == DIRECTION_RECEIVE && t->state == TRANSFER_DONE),
            .progress_bytes = moves                       ? progress
                              : t->state == TRANSFER_DONE ? t->size_bytes
                                                          : 0,
            .owner = owner,
    };

    return description_new(&description);
}

GVariant *desk_describe(const Desk *self, const Transfer *transfer)
{
    return describe(self, transfer, false);
}

GVariant *desk_describe_tuple(const Desk *self, const Transfer *transfer)
{
    return g_variant_new("(@" DESCRIPTION_TYPE ")", desk_describe(self, transfer));
}

const Partner *desk_find_partner(const Desk *self, const char *name, GError **error)
{
    const Partner *partner = config_find_partner(self->config, name);

    if (partner == NULL)
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no partner '%s'", name);
    else if (!partner->enabled)
        g_set_error(error, BASE_ERROR, BASE_ERROR_REFUSED, "partner '%s' is disabled", name);
    else
        return partner;
    return NULL;
}

bool desk_check_enabled(const Partner *partner, const VirtualFile *file, GError **error)
{
    if (file->enabled)
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_REFUSED,
                "virtual file '%s' of partner '%s' is disabled", file->pattern, partner->name);
    return false;
}

int desk_open_bytes(const Desk *self, const Transfer *transfer, GError **error)
{
    if (transfer->direction == DIRECTION_RECEIVE)
        return spool_open_inbox(self->spool, transfer->partner, transfer->path, error);
    if (transfer->data_kept && transfer->spool_name != NULL)
        return spool_open_data(self->spool, transfer->spool_name, O_RDONLY, error);
    g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND,
                "the bytes of transfer %" G_GINT64_FORMAT " are not kept any more", transfer->id);
    return -1;
}

/* questions to the store: one call, one request */

typedef struct {
    Desk *desk;
    DoorCall *call;
    bool from_mount; /* which shows whose files they are */
} Question;

static void ask_about(Desk *self, DoorCall *call, StoreRequest *request, StoreCallback on_result,
                      bool from_mount)
{
    Question *question = g_new0(Question, 1);

    question->desk = self;
    question->call = call;
    question->from_mount = from_mount;
    store_submit(self->store, request, on_result, question);
}

static void ask(Desk *self, DoorCall *call, StoreRequest *request, StoreCallback on_result)
{
    ask_about(self, call, request, on_result, false);
}

/* True: the answer was an error, and the caller has it. */
static bool answer_error(Question *question, StoreResult *result)
{
    if (result->error == NULL)
        return false;
    door_call_fail(question->call, result->error);
    store_result_free(result);
    g_free(question);
    return true;
}

/* True: another daemon of our schema has the transfer and its bytes, and the caller hears so. */
static bool answer_elsewhere(Question *question, StoreResult *result)
{
    if (result->elsewhere == NULL)
        return false;
    desk_fail(question->call, BASE_ERROR_CONFLICT,
              "transfer %" G_GINT64_FORMAT " is in the spool of daemon '%s': ask that one",
              result->transfer->id, result->elsewhere);
    store_result_free(result);
    g_free(question);
    return true;
}

/* True: another daemon of our schema has the transfer, and hears of the order. */
static bool pass_on(Question *question, StoreResult *result, const char *method)
{
    if (result->elsewhere == NULL)
        return false;
    if (question->desk->config->store_backend != STORE_POSTGRES) /* restored into a file */
        return answer_elsewhere(question, result);
    desk_pass_on(question->desk, question->call, result->elsewhere, method, result->transfer->id);
    store_result_free(result);
    g_free(question);
    return true;
}

static void answer_transfer(StoreResult *result, gpointer data)
{
    Question *question = data;

    if (answer_error(question, result))
        return;
    door_call_return(
            question->call,
            g_variant_new("(@" DESCRIPTION_TYPE ")",
                          describe(question->desk, result->transfer, question->from_mount)),
            NULL, 0);
    store_result_free(result);
    g_free(question);
}

static void answer_transfers(StoreResult *result, gpointer data)
{
    Question *question = data;
    GVariantBuilder list;

    if (answer_error(question, result))
        return;
    g_variant_builder_init(&list, G_VARIANT_TYPE("a" DESCRIPTION_TYPE));
    for (guint i = 0; i < result->transfers->len; i++)
        g_variant_builder_add_value(&list, describe(question->desk,
                                                    g_ptr_array_index(result->transfers, i),
                                                    question->from_mount));
    door_call_return(question->call, g_variant_new("(a" DESCRIPTION_TYPE ")", &list), NULL, 0);
    store_result_free(result);
    g_free(question);
}

/* Path under which a result is kept: "today" in a fetch folder is a date. Returns new. */
static char *canonical_path(const Desk *self, const char *name, const char *path)
{
    const Partner *partner = config_find_partner(self->config, name);
    const VirtualFile *file =
            partner != NULL ? rule_find_by_path(partner->files, path, false) : NULL;
    g_autofree char *base = g_path_get_basename(path);
    RuleContext context;
    char *canonical = NULL;

    if (file == NULL || file->mode != VIRTUAL_FILE_FETCH)
        return g_strdup(path);
    context = attributes_rule_context(partner, base, clock_wall_s());
    return rule_resolve_fetch(file, path, &context, &canonical, NULL) ? canonical : g_strdup(path);
}

bool desk_is_absent(const Desk *self, const char *partner, const char *path)
{
    const Partner *known =
            self->absence != NULL ? config_find_partner(self->config, partner) : NULL;

    /* what partners send or give is stored by their connections, which say nothing before */
    return known != NULL && rule_find_by_path(known->files, path, true) != NULL &&
           rule_find_by_path(known->files, path, false) == NULL &&
           queue_find_path(self->queue, partner, path) == NULL &&
           absence_is_sure(self->absence, partner, path);
}

void desk_end_absence(const Desk *self, const char *partner, const char *path)
{
    if (self->absence != NULL)
        absence_end(self->absence, partner, path);
}

static void find(DoorCall *call, GVariant *parameters, gpointer data)
{
    g_autofree char *canonical = NULL;
    const char *partner, *path;

    g_variant_get(parameters, "(&s&s)", &partner, &path);
    canonical = canonical_path(data, partner, path);
    if (desk_is_absent(data, partner, canonical)) {
        desk_fail(call, BASE_ERROR_NOT_FOUND, "%s not found", canonical);
        return;
    }
    ask_about(data, call, store_request_set_glance(store_request_find_path(partner, canonical)),
              answer_transfer, true);
}

static void last(DoorCall *call, GVariant *parameters, gpointer data)
{
    g_autofree char *canonical = NULL;
    const char *partner, *path;

    g_variant_get(parameters, "(&s&s)", &partner, &path);
    canonical = canonical_path(data, partner, path);
    ask(data, call, store_request_set_glance(store_request_last_at_path(partner, canonical)),
        answer_transfer);
}

static void list(DoorCall *call, GVariant *parameters, gpointer data)
{
    const char *partner, *folder, *after;
    guint32 limit;

    g_variant_get(parameters, "(&s&s&su)", &partner, &folder, &after, &limit);
    ask_about(data, call,
              store_request_set_glance(store_request_list_folder(partner, folder, ALL_STATES,
                                                                 after[0] != '\0' ? after : NULL,
                                                                 MIN(limit, MAX_ROWS))),
              answer_transfers, true);
}

static void get(DoorCall *call, GVariant *parameters, gpointer data)
{
    gint64 id;

    g_variant_get(parameters, "(x)", &id);
    ask(data, call, store_request_get(id), answer_transfer);
}

static void answer_open(StoreResult *result, gpointer data)
{
    Question *question = data;
    g_autoptr(GError) error = NULL;
    int fd;

    if (answer_error(question, result) || answer_elsewhere(question, result))
        return;
    fd = desk_open_bytes(question->desk, result->transfer, &error);
    if (fd < 0) {
        door_call_fail(question->call, error);
    } else {
        door_call_return(question->call, g_variant_new("(h)", 0), &fd, 1);
        (void)close(fd);
    }
    store_result_free(result);
    g_free(question);
}

static void open_file(DoorCall *call, GVariant *parameters, gpointer data)
{
    gint64 id;

    g_variant_get(parameters, "(x)", &id);
    ask(data, call, store_request_get(id), answer_open);
}

typedef bool (*NameParser)(const char *text, unsigned *ret_bit);

static bool parse_state_bit(const char *text, unsigned *ret_bit)
{
    TransferState state;

    if (!transfer_state_parse(text, &state))
        return false;
    *ret_bit = 1u << state;
    return true;
}

static bool parse_direction_bit(const char *text, unsigned *ret_bit)
{
    TransferDirection direction;

    if (!transfer_direction_parse(text, &direction))
        return false;
    *ret_bit = 1u << direction;
    return true;
}

/* A list of names in a filter as a mask; 0 when the filter is not there. */
static bool parse_mask(GVariant *filters, const char *key, NameParser parse, unsigned *ret_mask,
                       GError **error)
{
    g_autofree const char **names = NULL;

    *ret_mask = 0;
    if (!g_variant_lookup(filters, key, "^a&s", &names))
        return true;
    for (size_t i = 0; names[i] != NULL; i++) {
        unsigned bit;

        if (!parse(names[i], &bit)) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: no such name '%s'", key,
                        names[i]);
            return false;
        }
        *ret_mask |= bit;
    }
    return true;
}

static void history(DoorCall *call, GVariant *parameters, gpointer data)
{
    g_autoptr(GVariant) filters = g_variant_get_child_value(parameters, 0);
    g_autoptr(GError) error = NULL;
    unsigned states, directions;
    const char *partner = NULL;
    gint64 before_id = 0;
    guint32 limit = 50;

    g_variant_lookup(filters, "partner", "&s", &partner);
    g_variant_lookup(filters, "before_id", "x", &before_id);
    g_variant_lookup(filters, "limit", "u", &limit);
    if (!parse_mask(filters, "states", parse_state_bit, &states, &error) ||
        !parse_mask(filters, "directions", parse_direction_bit, &directions, &error)) {
        door_call_fail(call, error);
        return;
    }
    ask(data, call,
        store_request_history(partner, states, directions, before_id, MIN(limit, MAX_ROWS)),
        answer_transfers);
}

/* orders */

static void answer_requeued(StoreResult *result, gpointer data)
{
    Question *question = data;

    if (answer_error(question, result))
        return;
    queue_add(question->desk->queue, g_steal_pointer(&result->transfer));
    door_call_return(question->call, NULL, NULL, 0);
    store_result_free(result);
    g_free(question);
}

/* A transfer that had failed for good is queued again, when its bytes are still there. */
static void requeue(StoreResult *result, gpointer data)
{
    Question *question = data;
    Transfer *transfer;

    if (answer_error(question, result) || pass_on(question, result, "Retry"))
        return;
    transfer = result->transfer;
    if ((transfer->direction != DIRECTION_SEND && transfer->direction != DIRECTION_FETCH) ||
        (transfer->state != TRANSFER_FAILED && transfer->state != TRANSFER_CANCELLED)) {
        desk_fail(question->call, BASE_ERROR_CONFLICT,
                  "transfer %" G_GINT64_FORMAT " is a %s, %s: only a send or fetch that failed or "
                  "was cancelled can be tried again",
                  transfer->id, transfer_direction_name(transfer->direction),
                  transfer_state_name(transfer->state));
    } else if (transfer->direction == DIRECTION_SEND && !transfer->data_kept) {
        desk_fail(question->call, BASE_ERROR_NOT_FOUND,
                  "the bytes of transfer %" G_GINT64_FORMAT " are not kept any more", transfer->id);
    } else {
        unsigned before = 1u << transfer->state;

        transfer->state = TRANSFER_QUEUED;
        transfer->attempts = 0;
        transfer->finished_us = 0;
        transfer->hidden = false;
        transfer->end_sent = false;
        transfer->diag_code = transfer->diag_type = 0;
        transfer->cause = 0;
        g_clear_pointer(&transfer->error, g_free);
        desk_end_absence(question->desk, transfer->partner, transfer->path);
        ask(question->desk, question->call, store_request_update(transfer, before, NULL, 0),
            answer_requeued);
    }
    store_result_free(result);
    g_free(question);
}

static void retry(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;
    gint64 id;

    g_variant_get(parameters, "(x)", &id);
    if (queue_retry(self->queue, id, NULL))
        door_call_return(call, NULL, NULL, 0);
    else
        ask(self, call, store_request_get(id), requeue);
}

static void refuse_to_hold(StoreResult *result, gpointer data)
{
    Question *question = data;

    if (answer_error(question, result) || pass_on(question, result, "Hold"))
        return;
    desk_fail(question->call, BASE_ERROR_CONFLICT,
              "transfer %" G_GINT64_FORMAT " is not waiting or running", result->transfer->id);
    store_result_free(result);
    g_free(question);
}

static void hold(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;
    gint64 id;

    g_variant_get(parameters, "(x)", &id);
    if (queue_hold(self->queue, id, NULL))
        door_call_return(call, NULL, NULL, 0);
    else
        ask(self, call, store_request_get(id), refuse_to_hold);
}

static void answer_cancelled(StoreResult *result, gpointer data)
{
    Question *question = data;

    if (answer_error(question, result))
        return;
    question->desk->host.take_change(result->transfer, question->desk->host.data);
    door_call_return(question->call, NULL, NULL, 0);
    store_result_free(result);
    g_free(question);
}

/* An offer that nobody has taken yet, or what a partner that called in does; all else that is final stays. */
static void cancel_unqueued(StoreResult *result, gpointer data)
{
    Question *question = data;
    Transfer *transfer;

    if (answer_error(question, result) || pass_on(question, result, "Cancel"))
        return;
    transfer = result->transfer;
    if (transfer->direction == DIRECTION_OFFER && transfer->state == TRANSFER_QUEUED) {
        transfer->state = TRANSFER_CANCELLED;
        transfer->finished_us = clock_wall_us();
        ask(question->desk, question->call,
            store_request_update(transfer, 1u << TRANSFER_QUEUED, NULL, 0), answer_cancelled);
    } else if (transfer->state == TRANSFER_RUNNING && (transfer->direction == DIRECTION_RECEIVE ||
                                                       transfer->direction == DIRECTION_SERVE)) {
        question->desk->host.cancel_incoming(transfer->id, question->desk->host.data);
        door_call_return(question->call, NULL, NULL, 0);
    } else {
        desk_fail(question->call, BASE_ERROR_CONFLICT,
                  "transfer %" G_GINT64_FORMAT " is a %s, %s: nothing to cancel", transfer->id,
                  transfer_direction_name(transfer->direction),
                  transfer_state_name(transfer->state));
    }
    store_result_free(result);
    g_free(question);
}

static void cancel(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;
    gint64 id;

    g_variant_get(parameters, "(x)", &id);
    if (queue_cancel(self->queue, id, NULL))
        door_call_return(call, NULL, NULL, 0);
    else
        ask(self, call, store_request_get(id), cancel_unqueued);
}

static void reload(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;
    g_autoptr(GError) error = NULL;

    (void)parameters;
    if (self->host.reload(self->host.data, &error))
        door_call_return(call, NULL, NULL, 0);
    else
        door_call_fail(call, error);
}

static void administer(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;

    self->host.administer(call, parameters, self->host.data);
}

static void backup(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;

    (void)parameters;
    self->host.backup(call, self->host.data);
}

static void describe_seals(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;

    (void)parameters;
    self->host.describe_seals(call, self->host.data);
}

static void reseal(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;

    (void)parameters;
    self->host.reseal(call, self->host.data);
}

static void describe_definitions(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;

    self->host.describe_definitions(call, parameters, self->host.data);
}

static void define(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;

    self->host.define(call, parameters, self->host.data);
}

static void undefine(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;

    self->host.undefine(call, parameters, self->host.data);
}

static void describe_certificates(DoorCall *call, GVariant *parameters, gpointer data)
{
    const Desk *self = data;

    self->host.describe_certificates(call, parameters, self->host.data);
}

static void describe_expiries(DoorCall *call, GVariant *parameters, gpointer data)
{
    const Desk *self = data;

    (void)parameters;
    self->host.describe_expiries(call, self->host.data);
}

static void sign_certificate(DoorCall *call, GVariant *parameters, gpointer data)
{
    const Desk *self = data;

    self->host.sign(call, parameters, self->host.data);
}

static void clean(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;
    gint64 before_us;

    g_variant_get(parameters, "(x)", &before_us);
    self->host.clean(before_us, self->host.data);
    door_call_return(call, NULL, NULL, 0);
}

static void test_partner(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;

    self->host.test_partner(call, parameters, self->host.data);
}

static void listen_or_not(DoorCall *call, GVariant *parameters, gpointer data)
{
    Desk *self = data;
    g_autoptr(GError) error = NULL;
    gboolean start;
    const char *id;

    g_variant_get(parameters, "(&sb)", &id, &start);
    if (self->host.listen(id, start, &error, self->host.data))
        door_call_return(call, NULL, NULL, 0);
    else
        door_call_fail(call, error);
}

void desk_ask(Desk *self, const char *method, GVariant *parameters, const DoorCaller *caller,
              Reply *reply)
{
    door_call_inside(self->door, method, parameters, caller, reply);
}

void desk_set_auditor(Desk *self, DoorAuditor auditor, gpointer data)
{
    door_set_auditor(self->door, auditor, data);
}

/* the house */

static GVariant *describe_file(const VirtualFile *file)
{
    static const char *const MODES[] = {"send", "fetch", "offer", "receive"};
    static const char *const EXISTING[] = {"refuse", "replace", "number"};
    GVariantDict d;

    g_variant_dict_init(&d, NULL);
    g_variant_dict_insert(&d, "pattern", "s", file->pattern);
    g_variant_dict_insert(&d, "mode", "s", MODES[file->mode]);
    g_variant_dict_insert(&d, "commit", "s", file->commit == COMMIT_ON_RENAME ? "rename" : "close");
    g_variant_dict_insert(&d, "ack", "s", file->ack == ACK_SENT ? "sent" : "spool");
    g_variant_dict_insert(&d, "existing", "s", EXISTING[file->existing]);
    g_variant_dict_insert(&d, "wait_s", "u", file->wait_s);
    g_variant_dict_insert(&d, "max_bytes", "t", file->max_bytes);
    g_variant_dict_insert(&d, "allow_empty", "b", (gboolean)file->allow_empty);
    return g_variant_dict_end(&d);
}

static GVariant *describe_partner(const Partner *partner)
{
    GVariantBuilder files;
    GVariantDict d;

    g_variant_builder_init(&files, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < partner->files->len; i++)
        g_variant_builder_add_value(&files, describe_file(g_ptr_array_index(partner->files, i)));
    g_variant_dict_init(&d, NULL);
    g_variant_dict_insert(&d, "name", "s", partner->name);
    g_variant_dict_insert(&d, "enabled", "b", (gboolean)partner->enabled);
    g_variant_dict_insert_value(&d, "files", g_variant_builder_end(&files));
    return g_variant_dict_end(&d);
}

static void tree(DoorCall *call, GVariant *parameters, gpointer data)
{
    const Desk *self = data;
    GVariantBuilder partners;

    (void)parameters;
    g_variant_builder_init(&partners, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < self->config->partners->len; i++)
        g_variant_builder_add_value(&partners,
                                    describe_partner(g_ptr_array_index(self->config->partners, i)));
    door_call_return(call, g_variant_new("(taa{sv})", self->generation, &partners), NULL, 0);
}

static void space(DoorCall *call, GVariant *parameters, gpointer data)
{
    const Desk *self = data;
    g_autoptr(GError) error = NULL;
    uint64_t total, available;

    (void)parameters;
    if (spool_space(self->spool, &total, &available, &error))
        door_call_return(call, g_variant_new("(tt)", total, available), NULL, 0);
    else
        door_call_fail(call, error);
}

static void count_each(GVariant *counts, bool (*take)(const char *name, uint64_t number))
{
    GVariantIter iterator;
    const char *name;
    guint64 number;

    g_variant_iter_init(&iterator, counts);
    while (g_variant_iter_next(&iterator, "{&st}", &name, &number))
        (void)take(name, number); /* a mount of another version may have other names */
}

static void count(DoorCall *call, GVariant *parameters, gpointer data)
{
    g_autoptr(GVariant) operations = g_variant_get_child_value(parameters, 0);
    g_autoptr(GVariant) errors = g_variant_get_child_value(parameters, 1);

    (void)data;
    count_each(operations, metric_mount);
    count_each(errors, metric_mount_error);
    door_call_return(call, NULL, NULL, 0);
}

/* Asks the store for next to nothing, and does not wait long for it: who asks how we are wants to know just then. */
typedef struct {
    const Desk *desk;
    DoorCall *call; /* NULL: answered */
    guint timer;
} Look;

/* store: NULL: nobody looked. */
static GVariant *describe_status(const Desk *self, const char *store)
{
    g_autoptr(GError) error = NULL;
    uint64_t total = 0, available = 0;
    GVariantDict status;

    g_variant_dict_init(&status, NULL);
    self->host.describe(&status, self->host.data);
    if (!spool_space(self->spool, &total, &available, &error))
        g_variant_dict_insert(&status, "spool_error", "s", error->message);
    g_variant_dict_insert(&status, "spool_available_bytes", "t", available);
    g_variant_dict_insert(&status, "spool_total_bytes", "t", total);
    if (store != NULL)
        g_variant_dict_insert(&status, "store", "s", store);
    return g_variant_new("(@a{sv})", g_variant_dict_end(&status));
}

static void look(DoorCall *call, GVariant *parameters, gpointer data)
{
    (void)parameters;
    door_call_return(call, describe_status(data, NULL), NULL, 0);
}

static void answer_status(Look *look, const char *store)
{
    door_call_return(look->call, describe_status(look->desk, store), NULL, 0);
    look->call = NULL;
}

static gboolean on_look_over(gpointer data)
{
    Look *look = data;

    look->timer = 0;
    answer_status(look, "it does not answer");
    return G_SOURCE_REMOVE;
}

static void on_looked(StoreResult *result, gpointer data)
{
    Look *look = data;

    if (look->call != NULL) {
        g_source_remove(look->timer);
        answer_status(look, result->error != NULL ? result->error->message : "ok");
    }
    store_result_free(result);
    g_free(look);
}

static void status(DoorCall *call, GVariant *parameters, gpointer data)
{
    const Desk *self = data;
    Look *look = g_new0(Look, 1);

    (void)parameters;
    look->desk = self;
    look->call = call;
    look->timer = g_timeout_add(LOOK_MS, on_look_over, look);
    store_submit(self->store, store_request_set_glance(store_request_record_list("health", "", 1)),
                 on_looked, look);
}

/* life */

static const DoorMethod METHODS[] = {
        {"Tree", tree, false, false},
        {"Stage", desk_stage, false, false},
        {"Commit", desk_commit, false, false},
        {"Wait", desk_wait, false, false},
        {"Discard", desk_discard, false, false},
        {"Find", find, false, false},
        {"Last", last, false, false},
        {"List", list, false, false},
        {"Open", open_file, false, false},
        {"Fetch", desk_fetch, false, false},
        {"FetchAnew", desk_fetch_anew, true, false},
        {"Space", space, false, false},
        {"Count", count, false, false},
        {"Remove", desk_remove, false, true},
        {"Touch", desk_touch, false, false},
        {"History", history, false, false},
        {"Get", get, false, false},
        {"Retry", retry, false, true},
        {"Cancel", cancel, false, true},
        {"Hold", hold, true, true},
        {"Status", status, false, false},
        {"Look", look, false, false},
        {"Reload", reload, false, true},
        {"Administer", administer, true, false},
        {"Backup", backup, true, true},
        {"Seals", describe_seals, true, false},
        {"Reseal", reseal, true, true},
        {"Describe", describe_definitions, true, false},
        {"Define", define, true, true},
        {"Undefine", undefine, true, true},
        {"Clean", clean, true, true},
        {"Certificates", describe_certificates, true, false},
        {"Sign", sign_certificate, true, true},
        {"Expiries", describe_expiries, false, false},
        {"Test", test_partner, true, true},
        {"Say", test_partner, true, true},
        {"Listen", listen_or_not, true, true},
        {NULL, NULL, false, false},
};

static gboolean on_sweep(gpointer data)
{
    desk_sweep_staged(data);
    return G_SOURCE_CONTINUE;
}

Desk *desk_open(const ConnectionServices *services, Config *config, Queue *queue,
                const DeskHost *host, GError **error)
{
    Desk *self = g_new0(Desk, 1);

    self->store = services->store;
    self->spool = services->spool;
    self->queue = queue;
    self->config = config_ref(config);
    self->host = *host;
    self->generation = (uint64_t)clock_wall_us(); /* differs from an earlier daemon's */
    self->staged = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, desk_stage_free);
    self->writers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->waiters = g_ptr_array_new_with_free_func(desk_waiter_free);
    self->passed_on = g_ptr_array_new_with_free_func(desk_passed_on_free);
    self->fetching = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    self->changes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->absence = store_is_private(self->store) ? absence_new(self->store) : NULL;
    self->door = door_open(config->socket_path, config->socket_mode, METHODS, self,
                           desk_drop_staged, error);
    if (self->door == NULL) {
        desk_close(self);
        return NULL;
    }
    self->sweeper = g_timeout_add_seconds(SWEEP_S, on_sweep, self);
    return self;
}

void desk_close(Desk *self)
{
    if (self == NULL)
        return;
    if (self->sweeper != 0)
        g_source_remove(self->sweeper);
    if (self->moment != 0)
        g_source_remove(self->moment);
    g_ptr_array_unref(self->waiters);
    g_ptr_array_unref(self->passed_on);
    door_close(self->door);
    g_hash_table_unref(self->staged);
    g_hash_table_unref(self->writers);
    g_hash_table_unref(self->fetching);
    g_hash_table_unref(self->changes);
    absence_free(self->absence);
    config_unref(self->config);
    g_free(self);
}

void desk_set_config(Desk *self, Config *config)
{
    config_unref(self->config);
    self->config = config_ref(config);
    self->generation++;
    if (self->absence != NULL)
        absence_forget(self->absence);
    desk_sweep_staged(self);
    door_emit(self->door, "TreeChanged", g_variant_new("(t)", self->generation));
}

void desk_take_change(Desk *self, const Transfer *transfer)
{
    desk_tell_waiters(self, transfer);
    desk_emit_change(self, transfer->partner, transfer->path);
}
