/* SPDX-License-Identifier: Apache-2.0 */
/* The distance of Levenshtein, one row at a time. Pure; any thread. */
#include "base/spelling.h"

#include <glib.h>
#include <string.h>

#define LETTERS_MAX 32

unsigned spelling_distance(const char *a, const char *b)
{
    unsigned row[LETTERS_MAX + 1];
    size_t columns = MIN(strlen(b), (size_t)LETTERS_MAX);

    for (size_t j = 0; j <= columns; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i + 1;
        for (size_t j = 1; j <= columns; j++) {
            unsigned change = diagonal + (a[i] != b[j - 1]);

            diagonal = row[j];
            row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[columns];
}
