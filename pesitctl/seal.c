/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another sealing key, in steps each of which leaves a state that works: the new key goes before the old one in the key
 * file; what is sealed is sealed again, in the store by the daemon, in files here; only when the daemon has read all of it
 * the old key goes. A key file with several keys is an earlier run that was interrupted: it is finished.
 */
#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"
#include "pesitctl/output.h"
#include "pesitctl/verb.h"

#include <fcntl.h>
#include <string.h>

#define CALL_MS     60000
#define FILE_MAX    (16 << 20)
#define ROUNDS_MAX  10
#define KEYS_SEALED 1 /* in a key file that is not being changed */

static SealKey *load_with_new(const char *path, GError **error)
{
    g_autoptr(SealKey) key = seal_key_load(path, error);

    if (key == NULL)
        return NULL;
    if (seal_key_count(key) > KEYS_SEALED)
        return g_steal_pointer(&key);
    return seal_key_add(path, error) ? seal_key_load(path, error) : NULL;
}

static bool seal_file(const char *path, const SealKey *key, unsigned *changed, GError **error)
{
    g_autofree char *text = file_read_all(AT_FDCWD, path, FILE_MAX, NULL, error);
    g_autofree char *again = NULL;
    unsigned count = 0;

    if (text == NULL)
        return false;
    again = secret_seal_again(text, key, &count, error);
    *changed += count;
    return again != NULL && (count == 0 || file_replace_alike(path, again, strlen(again), error));
}

static bool seal_files(char *const *files, const SealKey *key, unsigned *changed, GError **error)
{
    for (size_t i = 0; files[i] != NULL; i++) {
        if (!seal_file(files[i], key, changed, error))
            return false;
    }
    return true;
}

/* Until a round finds nothing: somebody may change a partner meanwhile. */
static bool seal_store(Client *client, unsigned *changed, GError **error)
{
    uint32_t count = 1;

    for (unsigned round = 0; count > 0 && round < ROUNDS_MAX; round++) {
        if (!client_reseal(client, CALL_MS, &count, error))
            return false;
        *changed += count;
    }
    if (count == 0)
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_BUSY,
                "the store is changed all the time: run it again");
    return false;
}

static bool rotate(Client *client, char *const *seals, unsigned changed[2], GError **error)
{
    g_autoptr(SealKey) key = load_with_new(seals[0], error);

    return key != NULL && client_reload(client, CALL_MS, error) &&
           seal_store(client, &changed[0], error) &&
           seal_files(seals + 1, key, &changed[1], error) &&
           client_reload(client, CALL_MS, error) && seal_key_drop_old(seals[0], error) &&
           client_reload(client, CALL_MS, error);
}

int run_rotate_seal(const Verb *verb, Options *options, char **arguments, GError **error)
{
    g_auto(GStrv) seals = client_seals(options->client, CALL_MS, error);
    unsigned changed[2] = {0};

    (void)verb, (void)arguments;
    if (seals == NULL)
        return EXIT_LOCAL;
    if (seals[0][0] == '\0') {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "the daemon's configuration has no paths.key_file");
        return EXIT_LOCAL;
    }
    if (!rotate(options->client, seals, changed, error))
        return EXIT_LOCAL;
    if (options->json)
        print_json(stdout, json_pack("{ss si si}", "key_file", seals[0], "store", (int)changed[0],
                                     "files", (int)changed[1]));
    else
        printf("%s: new key, %u secrets of the store and %u of files sealed with it\n", seals[0],
               changed[0], changed[1]);
    return EXIT_DONE;
}
