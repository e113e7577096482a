/* SPDX-License-Identifier: Apache-2.0 */
/* What pesitctl prints: columns for people, jansson for JSON. Main thread. */
#include "pesitctl/output.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* By ExitCode. */
static const char *const MEANINGS[] = {
        [EXIT_DONE] = "done",
        [EXIT_WRONG] = "wrong usage: verb, option or argument",
        [EXIT_PENDING] = "not ended in the time allowed; the transfer goes on",
        [EXIT_REFUSED] = "refused by the partner",
        [EXIT_LOCAL] = "failed here: rights, disk, configuration, input, store",
        [EXIT_UNREACHABLE] = "the partner cannot be reached",
        [EXIT_UNTRUSTED] = "the partner's identity is not trusted",
        [EXIT_CANCELLED] = "cancelled",
        [EXIT_UNKNOWN] = "no such transfer, partner or file",
        [EXIT_NO_DAEMON] = "the daemon cannot be reached",
};

const char *exit_meaning(int code)
{
    return code >= 0 && code < (int)G_N_ELEMENTS(MEANINGS) ? MEANINGS[code] : NULL;
}

ExitCode exit_code_of_error(const GError *error)
{
    switch (error->domain == BASE_ERROR ? (BaseError)error->code : BASE_ERROR_IO) {
    case BASE_ERROR_NOT_FOUND:
        return EXIT_UNKNOWN;
    case BASE_ERROR_PARTNER:
        return EXIT_REFUSED;
    case BASE_ERROR_UNREACHABLE:
    case BASE_ERROR_CONNECTION_REFUSED:
    case BASE_ERROR_UNKNOWN_HOST:
        return EXIT_UNREACHABLE;
    case BASE_ERROR_UNTRUSTED:
    case BASE_ERROR_EXPIRED:
        return EXIT_UNTRUSTED;
    case BASE_ERROR_CANCELLED:
        return EXIT_CANCELLED;
    case BASE_ERROR_TIMEOUT:
        return EXIT_PENDING;
    case BASE_ERROR_IO:
    case BASE_ERROR_EXISTS:
    case BASE_ERROR_BUSY:
    case BASE_ERROR_REFUSED:
    case BASE_ERROR_INVALID:
    case BASE_ERROR_NO_SPACE:
    case BASE_ERROR_CONFLICT:
    case BASE_ERROR_COUNT:
        break;
    }
    return EXIT_LOCAL;
}

ExitCode exit_code_of_call(const GError *error)
{
    return g_error_matches(error, BASE_ERROR, BASE_ERROR_UNREACHABLE) ? EXIT_NO_DAEMON
                                                                      : exit_code_of_error(error);
}

ExitCode exit_code_of(const ClientTransfer *transfer)
{
    g_autoptr(GError) error = NULL;
    BaseError cause;

    if (strcmp(transfer->state, "done") == 0)
        return EXIT_DONE;
    if (strcmp(transfer->state, "cancelled") == 0)
        return EXIT_CANCELLED;
    if (strcmp(transfer->state, "failed") != 0)
        return EXIT_PENDING;
    if (!base_error_from_name(transfer->cause, &cause))
        return transfer->diag[0] != '\0' ? EXIT_REFUSED : EXIT_LOCAL;
    error = g_error_new_literal(BASE_ERROR, (int)cause, transfer->error);
    return exit_code_of_error(error);
}

static json_t *transfer_to_json(const ClientTransfer *t)
{
    return json_pack("{sI ss ss ss ss ss si si sI sI sI sI si sI sI sI sI si sI ss ss ss ss ss sb}",
                     "id", (json_int_t)t->id, "direction", t->direction, "state", t->state,
                     "partner", t->partner, "path", t->path, "file_name", t->file_name, "file_type",
                     (int)t->file_type, "transfer_id", (int)t->transfer_id, "size_bytes",
                     (json_int_t)t->size_bytes, "wire_bytes", (json_int_t)t->wire_bytes, "articles",
                     (json_int_t)t->articles, "progress_bytes", (json_int_t)t->progress_bytes,
                     "mode", (int)t->mode, "mtime_us", (json_int_t)t->mtime_us, "created_us",
                     (json_int_t)t->created_us, "updated_us", (json_int_t)t->updated_us,
                     "finished_us", (json_int_t)t->finished_us, "attempts", (int)t->attempts,
                     "next_retry_us", (json_int_t)t->next_retry_us, "diag", t->diag, "cause",
                     t->cause, "error", t->error, "sha256", t->sha256, "peer", t->peer, "data_kept",
                     (int)t->data_kept);
}

void print_json(FILE *file, json_t *json)
{
    (void)json_dumpf(json, file, JSON_INDENT(2)); /* a closed output shows at exit */
    (void)fputc('\n', file);
    json_decref(json);
}

void print_error(const GError *error, int code, bool json)
{
    const char *cause =
            base_error_name(error->domain == BASE_ERROR ? (BaseError)error->code : BASE_ERROR_IO);

    if (json)
        print_json(stderr, json_pack("{ss ss si}", "error", error->message, "cause", cause,
                                     "exit_code", code));
    else
        fprintf(stderr, "pesitctl: %s\n%s", error->message,
                code == EXIT_WRONG ? "Try pesitctl --help.\n" : "");
}

void print_transfers(GPtrArray *transfers, bool json)
{
    if (json) {
        json_t *list = json_array();

        for (guint i = 0; i < transfers->len; i++)
            (void)json_array_append_new(list, transfer_to_json(g_ptr_array_index(transfers, i)));
        print_json(stdout, list);
        return;
    }
    printf("%8s  %-8s %-10s %-16s %-28s %12s  %-7s %s\n", "ID", "WAY", "STATE", "PARTNER", "PATH",
           "BYTES", "DIAG", "UPDATED");
    for (guint i = 0; i < transfers->len; i++) {
        const ClientTransfer *t = g_ptr_array_index(transfers, i);
        g_autofree char *updated = clock_format_iso(t->updated_us);

        printf("%8" G_GINT64_FORMAT "  %-8s %-10s %-16s %-28s %12" G_GUINT64_FORMAT
               "  %-7s %.19sZ%s%s\n",
               t->id, t->direction, t->state, t->partner, t->path, t->size_bytes, t->diag, updated,
               t->error[0] != '\0' ? "  " : "", t->error);
    }
}

static void print_time(FILE *file, const char *name, int64_t wall_us)
{
    g_autofree char *text = wall_us != 0 ? clock_format_iso(wall_us) : NULL;

    if (text != NULL)
        fprintf(file, "%-12s %s\n", name, text);
}

static void print_text(FILE *file, const char *name, const char *text)
{
    if (text[0] != '\0')
        fprintf(file, "%-12s %s\n", name, text);
}

void print_transfer(FILE *file, const ClientTransfer *t, bool json)
{
    if (json) {
        print_json(file, transfer_to_json(t));
        return;
    }
    fprintf(file, "%-12s %" G_GINT64_FORMAT "\n", "transfer", t->id);
    print_text(file, "direction", t->direction);
    print_text(file, "state", t->state);
    print_text(file, "partner", t->partner);
    print_text(file, "path", t->path);
    print_text(file, "file name", t->file_name);
    fprintf(file,
            "%-12s %" G_GUINT64_FORMAT " (%" G_GUINT64_FORMAT " on the wire, %" G_GUINT64_FORMAT
            " articles)\n",
            "bytes", t->size_bytes, t->wire_bytes, t->articles);
    fprintf(file, "%-12s %u\n", "attempts", t->attempts);
    print_text(file, "diagnostic", t->diag);
    print_text(file, "cause", t->cause);
    print_text(file, "error", t->error);
    print_time(file, "created", t->created_us);
    print_time(file, "updated", t->updated_us);
    print_time(file, "finished", t->finished_us);
    print_time(file, "next retry", t->next_retry_us);
}

/* Values of a status: texts, numbers, flags, lists of dictionaries. */
static json_t *variant_to_json(GVariant *value)
{
    json_t *json;

    if (g_variant_is_of_type(value, G_VARIANT_TYPE_VARIANT)) {
        g_autoptr(GVariant) inner = g_variant_get_variant(value);

        return variant_to_json(inner);
    }
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        return json_string(g_variant_get_string(value, NULL));
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
        return json_boolean(g_variant_get_boolean(value));
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32))
        return json_integer(g_variant_get_uint32(value));
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64))
        return json_integer((json_int_t)g_variant_get_uint64(value));
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT64))
        return json_integer(g_variant_get_int64(value));
    json = g_variant_is_of_type(value, G_VARIANT_TYPE_VARDICT) ? json_object() : json_array();
    for (gsize i = 0; i < g_variant_n_children(value); i++) {
        g_autoptr(GVariant) child = g_variant_get_child_value(value, i);

        if (json_is_object(json)) {
            g_autoptr(GVariant) key = g_variant_get_child_value(child, 0);
            g_autoptr(GVariant) item = g_variant_get_child_value(child, 1);

            (void)json_object_set_new(json, g_variant_get_string(key, NULL), variant_to_json(item));
        } else {
            (void)json_array_append_new(json, variant_to_json(child));
        }
    }
    return json;
}

void print_status(GVariant *status, bool json)
{
    json_t *values = variant_to_json(status);
    json_t *listeners, *listener;
    const char *restart, *node = json_string_value(json_object_get(values, "node"));
    size_t i;

    if (json) {
        print_json(stdout, values);
        return;
    }
    printf("%s: %s, version %s, process %lld, %s\n",
           node != NULL && node[0] != '\0' ? node : "a node without a name",
           json_string_value(json_object_get(values, "state")),
           json_string_value(json_object_get(values, "version")),
           (long long)json_integer_value(json_object_get(values, "pid")),
           json_string_value(json_object_get(values, "config")));
    listeners = json_object_get(values, "listeners");
    json_array_foreach(listeners, i, listener)
            printf("%s %s port %lld%s\n",
                   json_is_false(json_object_get(listener, "running")) ? "does not listen on"
                                                                       : "listens on",
                   json_string_value(json_object_get(listener, "address")),
                   (long long)json_integer_value(json_object_get(listener, "port")),
                   json_is_true(json_object_get(listener, "tls")) ? " (TLS)" : "");
    restart = json_string_value(json_object_get(values, "needs_restart"));
    if (restart != NULL && restart[0] != '\0')
        printf("needs a restart: %s\n", restart);
    printf("connections %lld, transfers running %lld, queued %lld, waiting for a retry %lld\n",
           (long long)json_integer_value(json_object_get(values, "connections")),
           (long long)json_integer_value(json_object_get(values, "running")),
           (long long)json_integer_value(json_object_get(values, "queued")),
           (long long)json_integer_value(json_object_get(values, "waiting")));
    printf("store %s, spool %lld MiB free\n", json_string_value(json_object_get(values, "store")),
           (long long)json_integer_value(json_object_get(values, "spool_available_bytes")) >> 20);
    json_decref(values);
}

void print_progress(const ClientTransfer *transfer)
{
    static bool shown;

    if (!isatty(STDERR_FILENO) || !isatty(STDOUT_FILENO))
        return;
    if (transfer != NULL)
        fprintf(stderr, "\r\033[K%s %s: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " bytes",
                transfer->state, transfer->path, transfer->progress_bytes, transfer->size_bytes);
    else if (shown)
        fprintf(stderr, "\r\033[K");
    shown = transfer != NULL;
}
