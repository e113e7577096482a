/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transfer as it crosses the door: a tuple with the fields of interface.xml in their order. A dictionary would name
 * each of them in each message, and a listing of some thousand files would take seconds. Any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Attribute of the bytes in the spool where the mount keeps whose file it is. */
#define DESCRIPTION_OWNER "user.pesit.owner"
#define DESCRIPTION_TYPE  "(xsssssuutttuxxxxuxsssssbts)"

/* Words of interface.xml. Texts are borrowed, never NULL when read; NULL is written as "". */
typedef struct {
    int64_t id;
    const char *direction; /* send fetch offer receive serve */
    const char *state;     /* staged queued running waiting done failed cancelled */
    const char *partner, *path, *file_name;
    uint32_t file_type, transfer_id;
    uint64_t size_bytes, wire_bytes, articles;
    uint32_t mode;
    int64_t mtime_us, created_us, updated_us, finished_us;
    uint32_t attempts;
    int64_t next_retry_us;
    const char *diag;  /* "2-226" or "" */
    const char *cause; /* BaseError as text: "unreachable", … or "" */
    const char *error; /* text for people or "" */
    const char *sha256, *peer;
    bool data_kept;
    uint64_t progress_bytes;
    const char *owner; /* what owner.c of the mount wrote beside the bytes, or "" */
    GVariant *tuple;   /* it was read from this, which keeps the texts */
} Description;

/* Floating. */
GVariant *description_new(const Description *self);
/* tuple: borrowed. False: it is of another type, of a daemon of another version. */
bool description_read(GVariant *tuple, Description *ret_self);
