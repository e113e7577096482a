/* SPDX-License-Identifier: Apache-2.0 */
/* From argv to a verb with its options and arguments, by the tables of verb.h. Main thread. */
#pragma once

#include "pesitctl/verb.h"

typedef struct {
    const Verb *verb; /* NULL: help, the version or the list is wanted */
    char **words;     /* of argv: the verb and what follows, ended by NULL */
    char **rest;      /* of argv: the verb's arguments, ended by NULL */
} Order;

/* Sorts argv: options may stand anywhere, "--" ends them. options: with their defaults, filled.
 * INVALID: an unknown option or verb, with the nearest; an option that is not the verb's; a number out of its
 * range; too few or too many arguments, with the usage. */
bool arguments_parse(int argc, char **argv, Options *options, Order *ret_order, GError **error);
/* Frees what arguments_parse has filled, and the client. */
void options_clear(Options *options);
