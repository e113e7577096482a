/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths at which nothing can stand. A new name is looked up before its file is made, and again when it is committed; the
 * store would be asked each time only to say no, behind the commits that it is busy with. So the names of a folder that is
 * asked for often are gathered once: what is not among them is not there. A name that was there once stays: whoever meets one
 * asks the store. Only for a store that no other daemon writes. Main loop only.
 */
#pragma once

#include "daemon/store.h"

typedef struct Absence Absence;

/* store: borrowed. */
Absence *absence_new(Store *store);
void absence_free(Absence *self);
/* True: nothing stands there. False: ask the store. Counts as a question about the folder. */
bool absence_is_sure(Absence *self, const char *partner, const char *path);
/* From now on something may stand there. To be called before it is asked of the store. */
void absence_end(Absence *self, const char *partner, const char *path);
/* Nothing is known any more. */
void absence_forget(Absence *self);
