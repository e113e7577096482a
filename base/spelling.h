/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody may have meant by a word that is not known: keys of a configuration, verbs, options. Any thread. */
#pragma once

/* How many letters must be changed, added or taken away to make b of a; only 32 of b are looked at. */
unsigned spelling_distance(const char *a, const char *b);
