/* SPDX-License-Identifier: Apache-2.0 */
/* Idempotency-Key: reserved in the store before anything is done, with the answer for whoever asks again. */
#include "admin/once.h"

#include "admin/admin-private.h"
#include "base/clock.h"

#include <string.h>

#define ANSWER_US    (7 * 86400 * USEC_PER_SEC)
#define ONCE_KEY_MAX 255

void once_clear(Once *once)
{
    g_free(once->id);
    g_free(once->print);
}
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

bool once_reserve(Request *request, const char *what, Once *ret_once)
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

void once_settle(Request *request, const Once *once)
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
