/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a request that defines a partner, a virtual file or a listener, as keys of the configuration: our own keys as they
 * are, or in camel case, and the fields of PeSIT Wizard with what they mean here. Belongs to one thread.
 */
#pragma once

#include "admin/admin-private.h"

typedef struct Draft Draft;
typedef enum { DRAFT_PARTNER, DRAFT_FILE, DRAFT_LISTENER } DraftKind;

/* Reads the body. name, pattern: of what is changed; NULL: it is created, and the body names it. NULL: answered.
 * Returns new. */
Draft *draft_read(Request *request, DraftKind kind, const char *name, const char *pattern);
void draft_free(Draft *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Draft, draft_free)

/* Borrowed. pattern: NULL of a partner; of a listener its name, and the partner is "". */
const char *draft_partner(const Draft *self);
const char *draft_pattern(const Draft *self);
/* The keys that change, as Define takes them. Borrowed. */
GVariant *draft_settings(const Draft *self);
/* key → the field that the caller wrote. Borrowed. */
GHashTable *draft_fields(const Draft *self);
/* A list of the fields that were written; of those that have no effect here, nothing when there are none. */
void draft_write_fields(const Draft *self, GString *out, const char *key);
void draft_write_ignored(const Draft *self, GString *out, const char *key);

/* answers */

/* Makes the change: version 0 is new, -1 any. False: answered. */
bool draft_define(Request *request, const Draft *draft, int64_t version);
/* For the audit. before, after: JSON, or NULL; draft: NULL of a removal. */
void draft_note(Request *request, const Draft *draft, const GString *before, const GString *after);
/* one: JSON; the fields without effect are added. */
void draft_answer(Request *request, unsigned status, const Draft *draft, const char *one);
/* The version as ETag, nothing for 0. */
void draft_add_etag(Request *request, int64_t version);
/* If-Match against a version. False: answered. */
bool draft_check_match(Request *request, int64_t version);
