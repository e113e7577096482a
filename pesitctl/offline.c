/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about configuration and its secrets that need no daemon. */
#include "base/error.h"
#include "base/secret.h"
#include "pesitctl/output.h"
#include "pesitctl/verb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_OF_PROGRAM "/proc/self/exe"
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

int run_check_config(const Verb *verb, Options *options, char **arguments, GError **error)
{
    const char *file = arguments[0] != NULL ? arguments[0] : DEFAULT_CONFIG;
    g_autofree char *program = find_daemon();
    const char *const command[] = {program, "--check-config", "--config", file, NULL};
    g_autofree char *said = NULL, *complained = NULL;
    const char *text;
    int status = 0;
    bool valid;

    (void)verb;
    if (!g_spawn_sync(NULL, (char **)(uintptr_t)command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                      &said, &complained, &status, error))
        return EXIT_LOCAL;
    valid = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    text = g_strstrip(valid ? said : complained);
    if (!valid) {
        const char *prefix = "pesitd: ";

        g_set_error_literal(error, BASE_ERROR, BASE_ERROR_INVALID,
                            text + (g_str_has_prefix(text, prefix) ? strlen(prefix) : 0));
        return EXIT_LOCAL;
    }
    if (options->json)
        print_json(stdout, json_pack("{ss sb ss}", "file", file, "valid", 1, "message", text));
    else
        puts(text);
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
