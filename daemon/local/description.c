/* SPDX-License-Identifier: Apache-2.0 */
/* A transfer as it crosses the door: written and read. */
#include "daemon/local/description.h"

#define BORROWED_TYPE "(x&s&s&s&s&suutttuxxxxux&s&s&s&s&sbt&s)"

static const char *text(const char *value)
{
    return value != NULL ? value : "";
}

GVariant *description_new(const Description *self)
{
    return g_variant_new(DESCRIPTION_TYPE, self->id, text(self->direction), text(self->state),
                         text(self->partner), text(self->path), text(self->file_name),
                         self->file_type, self->transfer_id, self->size_bytes, self->wire_bytes,
                         self->articles, self->mode, self->mtime_us, self->created_us,
                         self->updated_us, self->finished_us, self->attempts, self->next_retry_us,
                         text(self->diag), text(self->cause), text(self->error), text(self->sha256),
                         text(self->peer), (gboolean)self->data_kept, self->progress_bytes,
                         text(self->owner));
}

bool description_read(GVariant *tuple, Description *ret_self)
{
    Description *d = ret_self;
    gboolean data_kept = FALSE;

    if (!g_variant_is_of_type(tuple, G_VARIANT_TYPE(DESCRIPTION_TYPE)))
        return false;
    g_variant_get(tuple, BORROWED_TYPE, &d->id, &d->direction, &d->state, &d->partner, &d->path,
                  &d->file_name, &d->file_type, &d->transfer_id, &d->size_bytes, &d->wire_bytes,
                  &d->articles, &d->mode, &d->mtime_us, &d->created_us, &d->updated_us,
                  &d->finished_us, &d->attempts, &d->next_retry_us, &d->diag, &d->cause, &d->error,
                  &d->sha256, &d->peer, &data_kept, &d->progress_bytes, &d->owner);
    d->data_kept = data_kept;
    d->tuple = tuple;
    return true;
}
