/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that ask the daemon for what it knows, and those that order something about it. */
#include "base/error.h"
#include "pesitctl/output.h"
#include "pesitctl/transfer.h"

#include <errno.h>

#define CALL_MS 10000

bool transfer_parse_id(const char *text, int64_t *ret_id, GError **error)
{
    char *end = NULL;
    int64_t id;

    errno = 0;
    id = g_ascii_strtoll(text, &end, 10);
    if (errno == 0 && *end == '\0' && id > 0) {
        *ret_id = id;
        return true;
    }
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' is no number of a transfer", text);
    return false;
}

int run_status(const Verb *verb, Options *options, char **arguments, GError **error)
{
    g_autoptr(GVariant) status = client_status(options->client, CALL_MS, error);

    (void)verb, (void)arguments;
    if (status == NULL)
        return EXIT_LOCAL;
    print_status(status, options->json);
    return EXIT_DONE;
}

int run_transfers(const Verb *verb, Options *options, char **arguments, GError **error)
{
    g_autoptr(GPtrArray) transfers =
            client_history(options->client, options->partner, (const char *const *)options->states,
                           (const char *const *)options->directions, options->before,
                           (uint32_t)options->limit, CALL_MS, error);

    (void)verb, (void)arguments;
    if (transfers == NULL)
        return EXIT_LOCAL;
    print_transfers(transfers, options->json);
    return EXIT_DONE;
}

static int show(Options *options, int64_t id, GError **error)
{
    g_autoptr(ClientTransfer) transfer = client_get(options->client, id, CALL_MS, error);

    if (transfer == NULL)
        return EXIT_LOCAL;
    print_transfer(stdout, transfer, options->json);
    return EXIT_DONE;
}

int run_show(const Verb *verb, Options *options, char **arguments, GError **error)
{
    int64_t id;

    (void)verb;
    return transfer_parse_id(arguments[0], &id, error) ? show(options, id, error) : EXIT_WRONG;
}

typedef bool (*Order)(Client *client, int64_t id, uint32_t for_uid, unsigned timeout_ms,
                      GError **error);

/* Silent for people; programs want to know how it stands then. */
static int order(Order give, Options *options, const char *text, GError **error)
{
    int64_t id;

    if (!transfer_parse_id(text, &id, error))
        return EXIT_WRONG;
    if (!give(options->client, id, CLIENT_OURSELVES, CALL_MS, error))
        return EXIT_LOCAL;
    return options->json ? show(options, id, error) : EXIT_DONE;
}

int run_retry(const Verb *verb, Options *options, char **arguments, GError **error)
{
    (void)verb;
    return order(client_retry, options, arguments[0], error);
}

int run_cancel(const Verb *verb, Options *options, char **arguments, GError **error)
{
    (void)verb;
    return order(client_cancel, options, arguments[0], error);
}

int run_reload(const Verb *verb, Options *options, char **arguments, GError **error)
{
    g_autoptr(GVariant) status = NULL;
    const char *restart = "";

    (void)verb, (void)arguments;
    if (!client_reload(options->client, CALL_MS, error))
        return EXIT_LOCAL;
    status = client_status(options->client, CALL_MS, error);
    if (status == NULL)
        return EXIT_LOCAL;
    g_variant_lookup(status, "needs_restart", "&s", &restart);
    if (options->json)
        print_json(stdout, json_pack("{sbss}", "reloaded", 1, "needs_restart", restart));
    else if (restart[0] != '\0')
        printf("needs a restart: %s\n", restart);
    return EXIT_DONE;
}
