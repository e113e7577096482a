/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pesitctl: an operator's words to the daemon, over the local door. Finds the verb, runs it, and tells its error;
 * what can be said is the table of verb.c, what an exit code means is that of output.c.
 */
#include "pesitctl/arguments.h"
#include "pesitctl/output.h"

#include <stdio.h>

#define DEFAULT_LIMIT 50
#define DEFAULT_WAIT  600 /* s */

/* text: taken, NULL: nothing. */
static int print_text(char *text)
{
    g_autofree char *owned = text;

    if (owned == NULL)
        return EXIT_WRONG;
    printf("%s", owned);
    return EXIT_DONE;
}

/* "pesitctl help VERB", "pesitctl VERB --help", "pesitctl --help". */
static int print_help(char **words, GError **error)
{
    if (words[0] != NULL && g_str_equal(words[0], "help"))
        words++;
    return print_text(words[0] == NULL ? verb_describe_all() : verb_describe(words, error));
}

static void open_client(Options *options)
{
    options->client = client_new(options->socket != NULL ? options->socket : CLIENT_DEFAULT_SOCKET);
}

static int list_names(Options *options, GError **error)
{
    int code;

    open_client(options);
    code = names_print(options->client, error);
    return code == EXIT_LOCAL ? (int)exit_code_of_call(*error) : code;
}

static int run_verb(const Order *order, Options *options, GError **error)
{
    int code;

    if (!order->verb->local)
        open_client(options);
    code = order->verb->run(order->verb, options, order->rest, error);
    return code == EXIT_LOCAL && *error != NULL ? (int)exit_code_of_call(*error) : code;
}

static int run(const Order *order, Options *options, GError **error)
{
    if (options->list_verbs)
        return print_text(verb_list());
    if (options->list_names)
        return list_names(options, error);
    if (options->version)
        return print_text(g_strdup("pesitctl " PESITFS_VERSION "\n"));
    if (order->verb == NULL)
        return print_help(order->words, error);
    return run_verb(order, options, error);
}

int main(int argc, char **argv)
{
    Options options = {.limit = DEFAULT_LIMIT, .wait_s = DEFAULT_WAIT};
    g_autoptr(GError) error = NULL;
    Order order = {NULL};
    int code = EXIT_WRONG;

    if (arguments_parse(argc, argv, &options, &order, &error))
        code = run(&order, &options, &error);
    if (fflush(stdout) != 0 && code == EXIT_DONE) {
        perror("pesitctl: standard output");
        code = EXIT_LOCAL;
    }
    if (error != NULL)
        print_error(error, code, options.json);
    options_clear(&options);
    return code;
}
