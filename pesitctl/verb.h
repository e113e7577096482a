/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pesitctl can be asked: one table of verbs and one of options, from which arguments are checked, help and
 * the list for completion are made. docs/pesitctl.md and deploy/completion are held against them by lint.
 * Constant data; main thread.
 */
#pragma once

#include "daemon/local/client.h"

#include <stddef.h>

/* As given on the command line; defaults where not. */
typedef struct {
    char *socket, *partner, *output, *key_file, *to, *postgres, *schema;
    char **states, **directions; /* ended by NULL, or NULL */
    bool json, help, version, no_wait, list_verbs, list_names;
    int64_t limit, wait_s, before;
    Client *client; /* NULL for a verb that needs no daemon */
} Options;

typedef enum {
    OPTION_FLAG,    /* bool */
    OPTION_TEXT,    /* char * */
    OPTION_CHOICES, /* char **: may be repeated, of the words in choices */
    OPTION_NUMBER,  /* int64_t, min to max */
} OptionKind;

typedef struct {
    const char *name;
    char letter;       /* 0: none */
    bool everywhere;   /* goes with every verb */
    const char *value; /* what follows it, NULL of a flag */
    OptionKind kind;
    size_t offset; /* in Options */
    int64_t min, max;
    const char *summary;
    const char *choices; /* blanks between; NULL: any text */
} Option;

/* Ended by a NULL name. */
extern const Option OPTIONS[];

#define VERB_FIELDS_MAX 3

/* A verb that is a request of the administration API. Arguments go into the fields of the body or the query by
 * order; where the path has "{}" they, or the first of them, stand there, with slashes between. */
typedef struct {
    const char *method, *path;
    const char *fields[VERB_FIELDS_MAX];
    const char *queries[VERB_FIELDS_MAX];
    const char *body; /* said always, or NULL */
    size_t names; /* so many arguments stand in the path, the others are the query or KEY=VALUE; 0: all */
    bool typed; /* of KEY=VALUE: numbers, true, false and lists are sent as such */
} AdminRequest;

typedef struct Verb Verb;
struct Verb {
    const char *name;      /* one word, or noun and verb: "key create" */
    const char *arguments; /* "PARTNER FILE [PATH]" */
    const char
            *options; /* names of those it takes beside those that go everywhere, "wait no-wait" */
    const char *summary; /* one line */
    const char *help;    /* the rest of its help, lines ended by newlines; NULL: nothing to add */
    int min, max;        /* number of arguments */
    bool local;          /* needs no daemon */
    /* Does it, prints, and returns the exit code; arguments ended by NULL. An error is for main to tell. */
    int (*run)(const Verb *verb, Options *options, char **arguments, GError **error);
    AdminRequest request; /* of admin_run only */
};

/* Ended by a NULL name. */
extern const Verb VERBS[];

/* looking up */

/* Row of the option so named, NULL when there is none. */
const Option *option_find(const char *name);
/* The nearest name of an option, for a complaint. Never NULL. */
const char *option_nearest(const char *name);
/* Whether a verb takes an option. */
bool verb_takes(const Verb *verb, const Option *option);
/* Verb that the first words name. ret_words: 1 or 2, how many they are. INVALID: none, or several; the nearest
 * or the possible ones are named. words: ended by NULL. */
const Verb *verb_find(char **words, size_t *ret_words, GError **error);

/* texts, all new */

/* Every verb on a line, the options, the exit codes. */
char *verb_describe_all(void);
/* Help of the verb or of the group ("key") that words name; NULL and INVALID as verb_find. */
char *verb_describe(char **words, GError **error);
/* "usage: pesitctl NAME ARGUMENTS". */
char *verb_usage(const Verb *verb);
/* For programs: a line of every verb, tabs between name, arguments, its own options and summary; then lines
 * "option", name, value, "everywhere" or nothing, summary, letter and choices;
 * then lines "exit", number and meaning. */
char *verb_list(void);

/* names.c: partners, virtual files and listeners of the daemon, a line each, for programs: "partner", name; "file", partner,
 * pattern; "listener", id; for who administers it also "certificate", name. */
int names_print(Client *client, GError **error);

/* handlers, each as Verb.run */

int run_status(const Verb *verb, Options *options, char **arguments, GError **error);
int run_transfers(const Verb *verb, Options *options, char **arguments, GError **error);
int run_show(const Verb *verb, Options *options, char **arguments, GError **error);
int run_send(const Verb *verb, Options *options, char **arguments, GError **error);
int run_fetch(const Verb *verb, Options *options, char **arguments, GError **error);
int run_wait(const Verb *verb, Options *options, char **arguments, GError **error);
int run_retry(const Verb *verb, Options *options, char **arguments, GError **error);
int run_cancel(const Verb *verb, Options *options, char **arguments, GError **error);
int run_reload(const Verb *verb, Options *options, char **arguments, GError **error);
int run_admin(const Verb *verb, Options *options, char **arguments, GError **error);
int run_define(const Verb *verb, Options *options, char **arguments, GError **error);
int run_search(const Verb *verb, Options *options, char **arguments, GError **error);
int run_certificate(const Verb *verb, Options *options, char **arguments, GError **error);
int run_api(const Verb *verb, Options *options, char **arguments, GError **error);
int run_check_config(const Verb *verb, Options *options, char **arguments, GError **error);
int run_seal(const Verb *verb, Options *options, char **arguments, GError **error);
int run_verifier(const Verb *verb, Options *options, char **arguments, GError **error);
int run_rotate_seal(const Verb *verb, Options *options, char **arguments, GError **error);
int run_backup(const Verb *verb, Options *options, char **arguments, GError **error);
int run_restore(const Verb *verb, Options *options, char **arguments, GError **error);
int run_decode(const Verb *verb, Options *options, char **arguments, GError **error);
