/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backups: one text file with the configuration, sealed, and all that the store holds, and its own checksum at the end.
 * It is made while the daemon runs, as of one moment, and goes back into an empty place on either back end. The spool and
 * the inbox are not in it, nor the key that seals. A line for each thing, its parts behind tabs; docs/operations.md.
 * Any thread but the main loop's.
 */
#pragma once

#include "daemon/config.h"
#include "daemon/store.h"

/* Where it comes from; all borrowed. */
typedef struct {
    const char *config_path;
    const Config *config;
    Store *store;
    const _Atomic bool *cancelled; /* looked at now and then */
} BackupSource;

/* Writes a backup into a file without a name below the spool. REFUSED: the configuration names no key_file. Returns its
 * descriptor, at its beginning, or -1. */
int backup_make(const BackupSource *source, GError **error);

/* Where it goes. */
typedef struct {
    const char *file; /* the backup */
    const char
            *folder; /* made, or empty: gets configuration, and store.db unless conninfo is given */
    const char *conninfo; /* PostgreSQL, or NULL */
    const char *schema;   /* there; made, or without anything in it */
    const char *key_file; /* with which it was sealed */
} BackupTarget;

/* Checks all before anything is made. INVALID: damaged, newer than this program, or sealed with another key. EXISTS: the
 * place is not empty. */
bool backup_restore(const BackupTarget *target, GError **error);
