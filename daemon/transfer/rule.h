/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual files: how names in the mount and names on the wire (PI 12, 37, 51, 99) belong together,
 * and how the bytes become articles. Plain values and pure functions; time and counters are
 * parameters. Values are immutable once loaded; any thread.
 */
#pragma once

#include "protocol/article.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    VIRTUAL_FILE_SEND,    /* writing calls the partner (CREATE) */
    VIRTUAL_FILE_FETCH,   /* reading calls the partner (SELECT) */
    VIRTUAL_FILE_OFFER,   /* written files wait for the partner's SELECT */
    VIRTUAL_FILE_RECEIVE, /* the partner pushes to us (CREATE) */
} VirtualFileMode;

typedef enum {
    RECORD_BINARY,       /* stream: "undefined", PI 31 variable, articles of record_length */
    RECORD_BINARY_FIXED, /* PI 31 fixed */
    RECORD_TEXT,         /* lines, PI 31 variable */
    RECORD_TEXT_FIXED,   /* lines padded, PI 31 fixed */
} RecordFormat;

typedef enum { COMMIT_ON_CLOSE, COMMIT_ON_RENAME } CommitMode;
typedef enum { ACK_SPOOL, ACK_SENT } AckMode;
typedef enum { EXISTING_REFUSE, EXISTING_REPLACE, EXISTING_NUMBER } ExistingPolicy;

typedef struct {
    char *pattern;     /* path below the partner's folder: with * and ?, as in a shell */
    char *description; /* for people, or NULL */
    bool enabled;      /* false: what matches is refused, or waits */
    VirtualFileMode mode;
    char *file_name;    /* PI 12 template, default "{name}" */
    char *label;        /* PI 37 template or NULL */
    char *free_text;    /* PI 99 template or NULL */
    uint16_t file_type; /* PI 11 */
    uint8_t data_code;  /* PI 16: 0 ASCII, 2 binary */
    uint8_t priority;   /* PI 17: 0..2 */
    RecordFormat format;
    uint16_t record_length; /* PI 32; 0: automatic for binary streams */
    PesitEmptyLine empty_line;
    PesitLongLine long_line;
    PesitLineEnd line_end;
    bool trim;
    CommitMode commit;
    AckMode ack;
    uint32_t wait_s;         /* ack = sent: how long close() waits at most */
    uint64_t max_bytes;      /* refuse larger files, 0: no limit */
    ExistingPolicy existing; /* receive: the target is already there */
    bool allow_empty;        /* send a file closed without a byte */
    bool replace_queued;     /* a new version replaces one still queued */
    char *client;            /* PI 61 or NULL */
    char *bank;              /* PI 62 or NULL */
} VirtualFile;

void virtual_file_free(VirtualFile *file);

/* What a template may use. */
typedef struct {
    const char *name;    /* last component of the path in the mount, or NULL */
    const char *partner; /* partner's name */
    int64_t wall_s;      /* time for {date…}, {time…} */
    GTimeZone *zone;     /* partner's zone */
    uint64_t counter;    /* {counter}, {counter:N} */
} RuleContext;

/* Checks a template at load: unknown words, unbalanced braces. INVALID names the culprit. */
bool rule_check_template(const char *text, GError **error);
/* True when the template uses {counter}. */
bool rule_uses_counter(const VirtualFile *file);
/* Expands a template into a PeSIT value of at most max_bytes. INVALID: alphabet or length. Returns new. */
char *rule_expand(const char *text, const RuleContext *context, size_t max_bytes, GError **error);

/* The virtual file of a path below the partner's folder for writing (send, offer) or reading (fetch,
 * receive); NULL when none. files: array of VirtualFile. The first match wins, exact before pattern. */
const VirtualFile *rule_find_by_path(GPtrArray *files, const char *path, bool for_writing);

/* Resolves a name of a fetch folder whose file_name has a date or a time: "today", "yesterday", "latest" or
 * "YYYY-MM-DD" set the date of the context, and {name} is that date (of *ret_path, which must live on); any other
 * name, and every name of another folder, is taken as {name}. ret_path: canonical path under which the result is kept. */
bool rule_resolve_fetch(const VirtualFile *file, const char *path, RuleContext *context,
                        char **ret_path, GError **error);

/* The virtual file that a partner names on the wire: for_create true: receive; false: offer.
 * file_name: PI 12, NUL-terminated and already known to hold no NUL. ret_path: where it belongs
 * below the partner's folder (receive), confined to the safe alphabet (no separator, no leading dot,
 * no control character). NULL when none; INVALID when the name is unsafe. */
const VirtualFile *rule_find_by_wire(GPtrArray *files, unsigned file_type, const char *file_name,
                                     const char *label, const RuleContext *context, bool for_create,
                                     char **ret_path, GError **error);
