/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small form: named texts and files of a request, whichever way they came (multipart, URL-encoded, or an object of JSON).
 * Held in memory, bounded, and overwritten when it goes: there may be passwords and keys in it. One thread at a time.
 */
#pragma once

#include "admin/admin-private.h"

#define FORM_BODY_MAX (512u * 1024u)

Form *form_new(void);
void form_free(Form *self);
/* Called by the server, as the pieces come. False: it is too much. */
bool form_add_part(Form *self, const UploadPart *part);

/* Takes what the body says, if it is JSON, and the query parameters; then all names must be among these, ended by NULL.
 * False: answered. */
bool form_read(Request *request, const char *const *names);
/* NULL: it is not there. Borrowed. */
const char *form_text(const Request *request, const char *name);
/* Missing: ret_value stays. False: answered. */
bool form_flag(Request *request, const char *name, bool *ret_value);
bool form_number(Request *request, const char *name, int64_t min, int64_t max, int64_t *ret_value);
/* The bytes of a file; of JSON its text, or those that NAME followed by Base64 encodes. NULL: it is not there. Borrowed. */
const void *form_file(const Request *request, const char *name, size_t *ret_length);
