/* SPDX-License-Identifier: Apache-2.0 */
/* getopt_long sorts; what it finds is laid into Options by the table. It knows no option by name. */
#include "pesitctl/arguments.h"

#include "base/error.h"
#include "base/spelling.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#define OPTIONS_MAX 32
#define LONG_BASE   256 /* beyond every letter */

typedef struct {
    struct option rows[OPTIONS_MAX + 1];
    char letters[2 * OPTIONS_MAX + 2];
    bool seen[OPTIONS_MAX];
} Table;

static void make_table(Table *table)
{
    size_t at = 0;

    *table = (Table){.letters = {':'}}; /* a missing value is told apart */
    for (size_t i = 0; OPTIONS[i].name != NULL && i < OPTIONS_MAX; i++) {
        const Option *option = &OPTIONS[i];

        table->rows[i] = (struct option){option->name,
                                         option->value != NULL ? required_argument : no_argument,
                                         NULL, LONG_BASE + (int)i};
        if (option->letter == '\0')
            continue;
        table->letters[++at] = option->letter;
        if (option->value != NULL)
            table->letters[++at] = ':';
    }
}

static bool set_number(const Option *option, const char *text, int64_t *number, GError **error)
{
    char *end = NULL;
    int64_t value;

    errno = 0;
    value = g_ascii_strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < option->min || value > option->max) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "--%s: '%s' is no number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                    option->name, text, option->min, option->max);
        return false;
    }
    *number = value;
    return true;
}

static void add_text(char ***list, const char *text)
{
    size_t count = *list != NULL ? g_strv_length(*list) : 0;

    *list = g_renew(char *, *list, count + 2);
    (*list)[count] = g_strdup(text);
    (*list)[count + 1] = NULL;
}

static bool add_choice(const Option *option, const char *text, char ***list, GError **error)
{
    g_auto(GStrv) choices = g_strsplit(option->choices, " ", -1);
    const char *nearest = choices[0];

    for (size_t i = 0; choices[i] != NULL; i++) {
        if (strcmp(choices[i], text) == 0) {
            add_text(list, text);
            return true;
        }
        if (spelling_distance(text, choices[i]) < spelling_distance(text, nearest))
            nearest = choices[i];
    }
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "--%s: no '%s', did you mean '%s'?",
                option->name, text, nearest);
    return false;
}

static bool set_option(Options *options, const Option *option, const char *text, GError **error)
{
    void *field = (char *)options + option->offset;

    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)field = true;
        break;
    case OPTION_TEXT:
        g_free(*(char **)field);
        *(char **)field = g_strdup(text);
        break;
    case OPTION_CHOICES:
        return add_choice(option, text, field, error);
    case OPTION_NUMBER:
        return set_number(option, text, field, error);
    }
    return true;
}

static size_t find_by_code(int code)
{
    size_t i = 0;

    if (code >= LONG_BASE)
        return (size_t)(code - LONG_BASE);
    while (OPTIONS[i].letter != code)
        i++;
    return i;
}

/* What getopt has stumbled over. */
static void complain(int code, char *const *argv, GError **error)
{
    const char *word = argv[optind - 1];
    g_autofree char *name = g_strndup(word, strcspn(word, "="));

    if (code == ':')
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' wants a value", word);
    else if (optopt >= LONG_BASE)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' takes no value", name);
    else if (optopt != 0)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "no option '-%c'", optopt);
    else
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "no option '%s', did you mean '--%s'?",
                    name, option_nearest(name + 2));
}

static bool parse_options(int argc, char **argv, Table *table, Options *options, GError **error)
{
    opterr = 0;
    for (;;) {
        int code = getopt_long(argc, argv, table->letters, table->rows, NULL);
        size_t i;

        if (code == -1)
            return true;
        if (code == '?' || code == ':') {
            complain(code, argv, error);
            return false;
        }
        i = find_by_code(code);
        table->seen[i] = true;
        if (!set_option(options, &OPTIONS[i], optarg, error))
            return false;
    }
}

static bool check_options(const Table *table, const Verb *verb, GError **error)
{
    for (size_t i = 0; OPTIONS[i].name != NULL; i++) {
        if (!table->seen[i] || verb_takes(verb, &OPTIONS[i]))
            continue;
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' takes no --%s", verb->name,
                    OPTIONS[i].name);
        return false;
    }
    return true;
}

bool arguments_parse(int argc, char **argv, Options *options, Order *ret_order, GError **error)
{
    Order order = {NULL};
    Table table;
    size_t words = 0;
    int count;

    make_table(&table);
    if (!parse_options(argc, argv, &table, options, error))
        return false;
    order.words = argv + optind;
    if (!options->help && !options->version && !options->list_verbs && !options->list_names &&
        (order.words[0] == NULL || strcmp(order.words[0], "help") != 0)) {
        order.verb = verb_find(order.words, &words, error);
        if (order.verb == NULL || !check_options(&table, order.verb, error))
            return false;
        order.rest = order.words + words;
        count = (int)g_strv_length(order.rest);
        if (count < order.verb->min || count > order.verb->max) {
            g_autofree char *usage = verb_usage(order.verb);

            g_set_error_literal(error, BASE_ERROR, BASE_ERROR_INVALID, usage);
            return false;
        }
    }
    *ret_order = order;
    return true;
}

void options_clear(Options *options)
{
    client_free(options->client);
    g_free(options->socket);
    g_free(options->partner);
    g_free(options->output);
    g_free(options->key_file);
    g_free(options->to);
    g_free(options->postgres);
    g_free(options->schema);
    g_strfreev(options->states);
    g_strfreev(options->directions);
    *options = (Options){NULL};
}
