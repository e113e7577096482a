/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about the configuration, its secrets, and backups; most need no daemon. */
#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"
#include "pesitctl/output.h"
#include "pesitctl/transfer.h"
#include "pesitctl/verb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_OF_PROGRAM "/proc/self/exe"
#define BACKUP_MS       (24 * 3600 * 1000)
#define BACKUP_MODE     0600
#define DEFAULT_CONFIG  "/etc/pesitfs/pesitd.conf"

/* pesitd knows its configuration: the one beside us, else the one in the path. New. */
static char *find_daemon(void)
{
    g_autofree char *self = g_file_read_link(PATH_OF_PROGRAM, NULL);
    g_autofree char *folder = g_path_get_dirname(self != NULL ? self : "/usr/bin/pesitctl");
    const char *const places[] = {"../sbin/pesitd", "../daemon/pesitd", "pesitd"};

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        char *program = g_build_filename(folder, places[i], NULL);

        if (access(program, X_OK) == 0)
            return program;
        g_free(program);
    }
    return g_strdup("pesitd");
}

/* Runs pesitd; ret_said: what it printed. What it complains of becomes the error. */
static bool run_daemon(const char *const *arguments, char **ret_said, GError **error)
{
    g_autofree char *program = find_daemon();
    g_autoptr(GPtrArray) command = g_ptr_array_new();
    g_autofree char *said = NULL, *complained = NULL;
    const char *prefix = "pesitd: ";
    const char *text;
    int status = 0;

    g_ptr_array_add(command, program);
    for (size_t i = 0; arguments[i] != NULL; i++)
        g_ptr_array_add(command, (char *)(uintptr_t)arguments[i]);
    g_ptr_array_add(command, NULL);
    if (!g_spawn_sync(NULL, (char **)command->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &said,
                      &complained, &status, error))
        return false;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        *ret_said = g_strdup(g_strstrip(said));
        return true;
    }
    text = g_strstrip(complained);
    g_set_error_literal(error, BASE_ERROR, BASE_ERROR_INVALID,
                        text + (g_str_has_prefix(text, prefix) ? strlen(prefix) : 0));
    return false;
}

int run_check_config(const Verb *verb, Options *options, char **arguments, GError **error)
{
    const char *file = arguments[0] != NULL ? arguments[0] : DEFAULT_CONFIG;
    const char *const command[] = {"--check-config", "--config", file, NULL};
    g_autofree char *said = NULL;

    (void)verb;
    if (!run_daemon(command, &said, error))
        return EXIT_LOCAL;
    if (options->json)
        print_json(stdout, json_pack("{ss sb ss}", "file", file, "valid", 1, "message", said));
    else
        puts(said);
    return EXIT_DONE;
}

int run_backup(const Verb *verb, Options *options, char **arguments, GError **error)
{
    g_auto(Fd) fd = client_back_up(options->client, BACKUP_MS, error);

    (void)verb;
    if (fd < 0 || !transfer_save(fd, arguments[0], BACKUP_MODE, error))
        return EXIT_LOCAL;
    if (options->json)
        print_json(stdout, json_pack("{ss}", "file", arguments[0]));
    return EXIT_DONE;
}

int run_restore(const Verb *verb, Options *options, char **arguments, GError **error)
{
    const char *command[12] = {"--restore", arguments[0], "--to",
                               options->to, "--key-file", options->key_file};
    g_autofree char *said = NULL;

    (void)verb;
    if (options->to == NULL || options->key_file == NULL ||
        (options->postgres != NULL) != (options->schema != NULL)) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "restore needs --to and --key-file; --postgres and --schema go together");
        return EXIT_WRONG;
    }
    if (options->postgres != NULL) {
        command[6] = "--postgres";
        command[7] = options->postgres;
        command[8] = "--schema";
        command[9] = options->schema;
    }
    if (!run_daemon(command, &said, error))
        return EXIT_LOCAL;
    if (options->json)
        print_json(stdout, json_pack("{ss ss}", "file", arguments[0], "folder", options->to));
    return EXIT_DONE;
}

static Secret *read_secret(GError **error)
{
    char line[256];
    Secret *secret;

    if (isatty(STDIN_FILENO))
        fprintf(stderr, "Password: ");
    if (fgets(line, sizeof line, stdin) == NULL || line[strcspn(line, "\n")] != '\n') {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "one line of at most %zu characters is expected on standard input",
                    sizeof line - 2);
        return NULL;
    }
    secret = secret_new(line, strcspn(line, "\n"));
    explicit_bzero(line, sizeof line);
    return secret;
}

static int print_made(const char *name, const char *text, bool json)
{
    if (text == NULL)
        return EXIT_LOCAL;
    if (json)
        print_json(stdout, json_pack("{ss}", name, text));
    else
        puts(text);
    return EXIT_DONE;
}

int run_seal(const Verb *verb, Options *options, char **arguments, GError **error)
{
    g_autoptr(SealKey) key = NULL;
    g_autoptr(Secret) secret = NULL;
    g_autofree char *text = NULL;

    (void)verb, (void)arguments;
    if (options->key_file == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "seal needs --key-file");
        return EXIT_WRONG;
    }
    if (access(options->key_file, F_OK) != 0 && !seal_key_create(options->key_file, error))
        return EXIT_LOCAL;
    key = seal_key_load(options->key_file, error);
    secret = key != NULL ? read_secret(error) : NULL;
    text = secret != NULL ? secret_seal(secret, key, error) : NULL;
    return print_made("sealed", text, options->json);
}

int run_verifier(const Verb *verb, Options *options, char **arguments, GError **error)
{
    g_autoptr(Secret) secret = read_secret(error);
    g_autofree char *text = secret != NULL ? secret_make_verifier(secret, error) : NULL;

    (void)verb, (void)arguments;
    return print_made("verifier", text, options->json);
}
