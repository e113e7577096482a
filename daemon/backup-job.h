/* SPDX-License-Identifier: Apache-2.0 */
/* A backup that is made for a caller of the local door while the daemon goes on. Main loop only. */
#pragma once

#include "daemon/config.h"
#include "daemon/local/door.h"
#include "daemon/store.h"

typedef struct BackupJob BackupJob;

/* call: taken, and ended with the backup's descriptor. on_end: called then, before the job is gone; nothing is called after
 * backup_job_free. config: referenced; the others: borrowed. Returns new. */
BackupJob *backup_job_new(const char *config_path, Config *config, Store *store, DoorCall *call,
                          void (*on_end)(gpointer data), gpointer data);
/* Breaks it off. */
void backup_job_free(BackupJob *self);
