/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pesitctl: an operator's words to the daemon, over the local door. A table of commands; each prints for
 * people, or JSON with --json. Exit codes say how a transfer stands: see EXITS in output.h.
 */
#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"
#include "daemon/local/client.h"
#include "pesitctl/admin.h"
#include "pesitctl/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CALL_MS         10000
#define POLL_MS         500
#define DEFAULT_WAIT    600 /* s */
#define COPY_BYTES      (1 << 20)
#define PATH_OF_PROGRAM "/proc/self/exe"

typedef struct {
    char *socket, *partner, *output, *key_file;
    char **states, **directions;
    gboolean json, version, no_wait;
    int limit, wait_s;
    gint64 before;
    Client *client;
} Options;

typedef struct {
    const char *name, *arguments, *summary;
    int min, max; /* arguments */
    bool local;   /* needs no daemon */
    int (*run)(Options *options, char **arguments, GError **error);
} Command;

static bool parse_id(const char *text, int64_t *ret_id, GError **error)
{
    char *end = NULL;

    errno = 0;
    *ret_id = g_ascii_strtoll(text, &end, 10);
    if (errno == 0 && *end == '\0' && *ret_id > 0)
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' is no number of a transfer", text);
    return false;
}

/* asking */

static int run_status(Options *options, char **arguments, GError **error)
{
    g_autoptr(GVariant) status = client_status(options->client, CALL_MS, error);

    (void)arguments;
    if (status == NULL)
        return EXIT_LOCAL;
    print_status(status, options->json);
    return EXIT_DONE;
}

static int run_transfers(Options *options, char **arguments, GError **error)
{
    g_autoptr(GPtrArray) transfers =
            client_history(options->client, options->partner, (const char *const *)options->states,
                           (const char *const *)options->directions, options->before,
                           (uint32_t)options->limit, CALL_MS, error);

    (void)arguments;
    if (transfers == NULL)
        return EXIT_LOCAL;
    print_transfers(transfers, options->json);
    return EXIT_DONE;
}

static int run_show(Options *options, char **arguments, GError **error)
{
    g_autoptr(ClientTransfer) transfer = NULL;
    int64_t id;

    if (!parse_id(arguments[0], &id, error))
        return EXIT_WRONG;
    transfer = client_get(options->client, id, CALL_MS, error);
    if (transfer == NULL)
        return EXIT_LOCAL;
    print_transfer(transfer, options->json);
    return EXIT_DONE;
}

/* waiting */

/* Until the transfer is final or the time is over, with a line of progress on a terminal. */
static int wait_for(Options *options, int64_t id, GError **error)
{
    int64_t until_us = g_get_monotonic_time() + (int64_t)options->wait_s * G_USEC_PER_SEC;

    for (;;) {
        int64_t left_ms = (until_us - g_get_monotonic_time()) / 1000;
        g_autoptr(ClientTransfer) transfer =
                client_wait(options->client, id, (unsigned)CLAMP(left_ms, 1, POLL_MS), NULL, error);

        if (transfer == NULL) {
            print_progress(NULL);
            return EXIT_LOCAL;
        }
        if (exit_code_of(transfer) != EXIT_PENDING || left_ms <= POLL_MS) {
            print_progress(NULL);
            print_transfer(transfer, options->json);
            return (int)exit_code_of(transfer);
        }
        print_progress(transfer);
        if (strcmp(transfer->state, "waiting") == 0)
            g_usleep(POLL_MS * 1000); /* the answer came at once: it is a retry that is far off */
    }
}

static int run_wait(Options *options, char **arguments, GError **error)
{
    int64_t id;

    return parse_id(arguments[0], &id, error) ? wait_for(options, id, error) : EXIT_WRONG;
}

/* sending and fetching */

static bool copy_bytes(int from, int to, const char *name, GError **error)
{
    g_autofree char *buffer = NULL;
    int64_t at = 0;

    for (;;) {
        ssize_t count = copy_file_range(from, NULL, to, NULL, 1u << 30, 0);

        if (count == 0)
            return true;
        if (count < 0)
            break;
        at += count;
    }
    buffer = g_malloc(COPY_BYTES); /* another filesystem, a pipe */
    for (;;) {
        ssize_t count = read(from, buffer, COPY_BYTES);

        if (count == 0)
            return true;
        if (count < 0) {
            error_set_errno(error, errno, "read '%s'", name);
            return false;
        }
        if (!file_write_at(to, buffer, (size_t)count, at, error))
            return false;
        at += count;
    }
}

static int run_send(Options *options, char **arguments, GError **error)
{
    const char *partner = arguments[0], *name = arguments[1];
    g_autofree char *base = g_path_get_basename(name);
    g_autofree char *path =
            arguments[2] != NULL ? g_strdup(arguments[2]) : g_strconcat("out/", base, NULL);
    g_auto(Fd) from = open(name, O_RDONLY | O_CLOEXEC);
    g_auto(Fd) to = -1;
    g_autoptr(ClientTransfer) transfer = NULL;
    struct stat stat;
    int64_t id;

    if (from < 0 || fstat(from, &stat) != 0) {
        error_set_errno(error, errno, "open '%s'", name);
        return EXIT_LOCAL;
    }
    to = client_stage(options->client, partner, path, false, CALL_MS, &id, error);
    if (to < 0 || !copy_bytes(from, to, name, error))
        return EXIT_LOCAL;
    if (fdatasync(to) != 0) {
        error_set_errno(error, errno, "sync the staged file");
        return EXIT_LOCAL;
    }
    transfer = client_commit(options->client, id, partner, path, stat.st_mode & 0777,
                             (int64_t)stat.st_mtim.tv_sec * G_USEC_PER_SEC, false, CALL_MS, error);
    if (transfer == NULL)
        return EXIT_LOCAL;
    if (!options->no_wait && strcmp(transfer->direction, "send") == 0)
        return wait_for(options, transfer->id, error);
    print_transfer(transfer, options->json);
    return EXIT_DONE;
}

static int run_fetch(Options *options, char **arguments, GError **error)
{
    g_auto(Fd) from = -1;
    g_auto(Fd) to = -1;
    g_autoptr(ClientTransfer) transfer =
            client_fetch(options->client, arguments[0], arguments[1],
                         (unsigned)options->wait_s * 1000, NULL, &from, error);

    if (transfer == NULL)
        return EXIT_LOCAL;
    if (from < 0) {
        print_transfer(transfer, options->json);
        return (int)exit_code_of(transfer);
    }
    if (options->output == NULL)
        return copy_bytes(from, STDOUT_FILENO, transfer->path, error) ? EXIT_DONE : EXIT_LOCAL;
    to = open(options->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (to < 0) {
        error_set_errno(error, errno, "create '%s'", options->output);
        return EXIT_LOCAL;
    }
    if (!copy_bytes(from, to, options->output, error))
        return EXIT_LOCAL;
    if (fsync(to) != 0) {
        error_set_errno(error, errno, "sync '%s'", options->output);
        return EXIT_LOCAL;
    }
    print_transfer(transfer, options->json);
    return EXIT_DONE;
}

/* orders */

static int run_retry(Options *options, char **arguments, GError **error)
{
    int64_t id;

    if (!parse_id(arguments[0], &id, error))
        return EXIT_WRONG;
    return client_retry(options->client, id, CALL_MS, error) ? EXIT_DONE : EXIT_LOCAL;
}

static int run_cancel(Options *options, char **arguments, GError **error)
{
    int64_t id;

    if (!parse_id(arguments[0], &id, error))
        return EXIT_WRONG;
    return client_cancel(options->client, id, CALL_MS, error) ? EXIT_DONE : EXIT_LOCAL;
}

static int run_reload(Options *options, char **arguments, GError **error)
{
    (void)arguments;
    return client_reload(options->client, CALL_MS, error) ? EXIT_DONE : EXIT_LOCAL;
}

/* the administration */

static int run_key(Options *options, char **arguments, GError **error)
{
    return admin_run(options->client, "key", arguments, options->json, error);
}

static int run_audit(Options *options, char **arguments, GError **error)
{
    return admin_run(options->client, "audit", arguments, options->json, error);
}

static int run_partner(Options *options, char **arguments, GError **error)
{
    return admin_run(options->client, "partner", arguments, options->json, error);
}

static int run_file(Options *options, char **arguments, GError **error)
{
    return admin_run(options->client, "file", arguments, options->json, error);
}

static int run_cluster(Options *options, char **arguments, GError **error)
{
    return admin_run(options->client, "cluster", arguments, options->json, error);
}

static int run_api(Options *options, char **arguments, GError **error)
{
    return admin_run(options->client, "api", arguments, options->json, error);
}

/* without the daemon */

/* pesitd knows its configuration: the one beside us, else the one in the path. */
static int run_check_config(Options *options, char **arguments, GError **error)
{
    g_autofree char *self = g_file_read_link(PATH_OF_PROGRAM, NULL);
    g_autofree char *folder = g_path_get_dirname(self != NULL ? self : "/usr/bin/pesitctl");
    const char *const places[] = {"../sbin/pesitd", "../daemon/pesitd", "pesitd"};
    const char *file = arguments[0] != NULL ? arguments[0] : "/etc/pesitfs/pesitd.conf";

    (void)options;
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree char *program = g_build_filename(folder, places[i], NULL);

        if (access(program, X_OK) == 0)
            (void)execl(program, "pesitd", "--check-config", "--config", file, (char *)NULL);
    }
    (void)execlp("pesitd", "pesitd", "--check-config", "--config", file, (char *)NULL);
    error_set_errno(error, errno, "run pesitd");
    return EXIT_LOCAL;
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

static int run_seal(Options *options, char **arguments, GError **error)
{
    g_autoptr(SealKey) key = NULL;
    g_autoptr(Secret) secret = NULL;
    g_autofree char *text = NULL;

    (void)arguments;
    if (options->key_file == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "seal needs --key-file");
        return EXIT_WRONG;
    }
    if (access(options->key_file, F_OK) != 0 && !seal_key_create(options->key_file, error))
        return EXIT_LOCAL;
    key = seal_key_load(options->key_file, error);
    secret = key != NULL ? read_secret(error) : NULL;
    text = secret != NULL ? secret_seal(secret, key, error) : NULL;
    if (text == NULL)
        return EXIT_LOCAL;
    printf("%s\n", text);
    return EXIT_DONE;
}

static int run_verifier(Options *options, char **arguments, GError **error)
{
    g_autoptr(Secret) secret = read_secret(error);
    g_autofree char *text = secret != NULL ? secret_make_verifier(secret, error) : NULL;

    (void)options, (void)arguments;
    if (text == NULL)
        return EXIT_LOCAL;
    printf("%s\n", text);
    return EXIT_DONE;
}

static const Command COMMANDS[] = {
        {"status", "", "the daemon, its listeners, what runs", 0, 0, false, run_status},
        {"transfers", "", "history, newest first (--partner --state --direction --limit --before)",
         0, 0, false, run_transfers},
        {"show", "ID", "all that is known of one transfer", 1, 1, false, run_show},
        {"send", "PARTNER FILE [PATH]", "send a file as PATH (default: out/FILE) and wait", 2, 3,
         false, run_send},
        {"fetch", "PARTNER PATH", "fetch a file to --output or standard output", 2, 2, false,
         run_fetch},
        {"wait", "ID", "wait until a transfer has ended (--wait seconds)", 1, 1, false, run_wait},
        {"retry", "ID", "try a waiting, failed or cancelled transfer now", 1, 1, false, run_retry},
        {"cancel", "ID", "cancel a transfer", 1, 1, false, run_cancel},
        {"reload", "", "read the configuration and certificates again", 0, 0, false, run_reload},
        {"key", "create NAME ROLE [PARTNER] | list | remove ID",
         "API keys; roles: admin, operator, viewer, partner", 1, 4, false, run_key},
        {"audit", "list [AFTER] | verify [SEQ HASH]", "the audit trail, and whether it is whole", 1,
         3, false, run_audit},
        {"partner", "list | show NAME", "partners as the daemon has them", 1, 2, false,
         run_partner},
        {"file", "list", "virtual files as the daemon has them", 1, 1, false, run_file},
        {"cluster", "list | show ID | create NAME | remove ID", "records of clusters", 1, 2, false,
         run_cluster},
        {"api", "METHOD PATH [JSON]", "any request of the administration API, docs/api.md", 2, 3,
         false, run_api},
        {"check-config", "[FILE]", "check a configuration file", 0, 1, true, run_check_config},
        {"seal", "", "seal a password from standard input with --key-file (made if missing)", 0, 0,
         true, run_seal},
        {"verifier", "", "make a verifier of a password from standard input", 0, 0, true,
         run_verifier},
};

static char *describe_commands(void)
{
    GString *text = g_string_new("Commands:\n");

    for (size_t i = 0; i < G_N_ELEMENTS(COMMANDS); i++) {
        g_autofree char *head = g_strconcat(COMMANDS[i].name, " ", COMMANDS[i].arguments, NULL);

        g_string_append_printf(text, "  %-27s %s\n", head, COMMANDS[i].summary);
    }
    g_string_append(text, "\nExit codes: 0 done, 1 wrong usage, 2 not ended yet, 3 refused by the "
                          "partner, 4 local error,\n5 unreachable, 6 not trusted, 7 cancelled, "
                          "8 no such thing.");
    return g_string_free(text, FALSE);
}

static bool parse_options(int *argc, char ***argv, Options *options, GError **error)
{
    const GOptionEntry entries[] = {
            {"socket", 's', 0, G_OPTION_ARG_FILENAME, &options->socket,
             "The daemon's socket (" CLIENT_DEFAULT_SOCKET ")", "PATH"},
            {"json", 'j', 0, G_OPTION_ARG_NONE, &options->json, "Print JSON", NULL},
            {"partner", 'p', 0, G_OPTION_ARG_STRING, &options->partner, "Only this partner",
             "NAME"},
            {"state", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->states,
             "Only this state; may be repeated", "STATE"},
            {"direction", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->directions,
             "Only this direction; may be repeated", "DIRECTION"},
            {"limit", 'n', 0, G_OPTION_ARG_INT, &options->limit, "At most so many (50)", "N"},
            {"before", 0, 0, G_OPTION_ARG_INT64, &options->before, "Only older than this transfer",
             "ID"},
            {"wait", 'w', 0, G_OPTION_ARG_INT, &options->wait_s, "Wait at most so long (600)",
             "SECONDS"},
            {"no-wait", 0, 0, G_OPTION_ARG_NONE, &options->no_wait, "send: only queue", NULL},
            {"output", 'o', 0, G_OPTION_ARG_FILENAME, &options->output, "fetch: write to", "FILE"},
            {"key-file", 0, 0, G_OPTION_ARG_FILENAME, &options->key_file, "seal: the key", "FILE"},
            {"version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL},
            {NULL},
    };
    g_autofree char *commands = describe_commands();
    GOptionContext *context = g_option_context_new("COMMAND [ARGUMENT…]");
    bool parsed;

    g_option_context_set_summary(context, commands);
    g_option_context_add_main_entries(context, entries, NULL);
    parsed = g_option_context_parse(context, argc, argv, error);
    g_option_context_free(context);
    if (parsed && (options->limit < 1 || options->limit > 1000 || options->wait_s < 0 ||
                   options->wait_s > 86400)) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "--limit is 1 to 1000, --wait is 0 to 86400");
        return false;
    }
    return parsed;
}

static const Command *find_command(int argc, char **argv, GError **error)
{
    for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(COMMANDS); i++) {
        const Command *command = &COMMANDS[i];

        if (strcmp(command->name, argv[1]) != 0)
            continue;
        if (argc - 2 >= command->min && argc - 2 <= command->max)
            return command;
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "usage: pesitctl %s %s", command->name,
                    command->arguments);
        return NULL;
    }
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s%s%s",
                argc > 1 ? "no command '" : "no command", argc > 1 ? argv[1] : "",
                argc > 1 ? "'" : "");
    return NULL;
}

static void free_options(Options *options)
{
    client_free(options->client);
    g_free(options->socket);
    g_free(options->partner);
    g_free(options->output);
    g_free(options->key_file);
    g_strfreev(options->states);
    g_strfreev(options->directions);
}

int main(int argc, char **argv)
{
    Options options = {.limit = 50, .wait_s = DEFAULT_WAIT};
    g_autoptr(GError) error = NULL;
    const Command *command = NULL;
    int code = EXIT_WRONG;

    if (parse_options(&argc, &argv, &options, &error)) {
        if (options.version) {
            printf("pesitctl %s\n", PESITFS_VERSION);
            free_options(&options);
            return EXIT_DONE;
        }
        command = find_command(argc, argv, &error);
    }
    if (command != NULL) {
        char *arguments[4] = {NULL};

        for (int i = 2; i < argc; i++)
            arguments[i - 2] = argv[i];
        if (!command->local)
            options.client =
                    client_new(options.socket != NULL ? options.socket : CLIENT_DEFAULT_SOCKET);
        code = command->run(&options, arguments, &error);
    }
    if (error != NULL) {
        fprintf(stderr, "pesitctl: %s\n%s", error->message,
                command == NULL ? "Try pesitctl --help.\n" : "");
        code = code == EXIT_LOCAL ? (int)exit_code_of_error(error) : code;
    }
    free_options(&options);
    return code;
}
