/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the store that run on both back ends, each with a store of its own. */
#pragma once

#include "daemon/store.h"

typedef struct {
    char *folder, *path, *schema;
    StoreSettings settings;
    Store *store;
    GRand *random; /* the same numbers at each run */
} Both;

typedef struct {
    const char *name; /* "/pages" */
    void (*run)(Both *fixture, gconstpointer data);
    bool sqlite_only;
} BothTest;

/* Opens the fixture's store (again). */
void both_open(Both *fixture);
/* What main returns. tests: ended by a NULL name. */
int both_run(int *argc, char ***argv, const char *prefix, const BothTest *tests);
