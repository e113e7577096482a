/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured log: an event of the table, with fields; as text for people or JSON lines, on stderr. Where that is the journal of
 * systemd, text goes there by its own protocol: the line for people, each field as PESIT_NAME, the event and its MESSAGE_ID.
 * Fields are UPPER_CASE and machine-read. Secrets and file contents never come here. Any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
} LogLevel;
typedef enum { LOG_FORMAT_TEXT, LOG_FORMAT_JSON } LogFormat;

/* One row per kind of event in log.c: name, level, message. Adding an event is adding a row. */
typedef enum {
    LOG_STARTED,
    LOG_STOPPING,
    LOG_STOPPED,
    LOG_CONFIG_LOADED,
    LOG_CONFIG_REFUSED,
    LOG_DEFINITION_UNFIT,
    LOG_CERTIFICATE_EXPIRES,
    LOG_CONFIG_NEEDS_RESTART,
    LOG_LISTENING,
    LOG_NOT_LISTENING,
    LOG_ADMIN_LISTENING,
    LOG_ADMIN_REFUSED,
    LOG_ADMIN_CHANGE,
    LOG_LOGIN_LOCKED,
    LOG_LISTEN_FAILED,
    LOG_SOCKET_UNUSED,
    LOG_CONNECTION_OPENED,
    LOG_CONNECTION_REFUSED,
    LOG_CONNECTION_CLOSED,
    LOG_CONNECTION_FAILED,
    LOG_AUTHENTICATION_FAILED,
    LOG_PEER_REMARK,
    LOG_TRANSFER_QUEUED,
    LOG_TRANSFER_STARTED,
    LOG_TRANSFER_DONE,
    LOG_TRANSFER_FAILED,
    LOG_TRANSFER_WAITING,
    LOG_TRANSFER_HELD,
    LOG_TRANSFER_CANCELLED,
    LOG_TRANSFER_REFUSED,
    LOG_TRANSFER_REPEATED,
    LOG_SCHEDULE_RUN,
    LOG_SCHEDULE_FAILED,
    LOG_SCHEDULE_MISSED,
    LOG_FILE_OVERDUE,
    LOG_STORE_FAILED,
    LOG_STORE_LOST,
    LOG_STORE_FULL,
    LOG_STORE_BACK,
    LOG_SPOOL_RECOVERED,
    LOG_DOOR_OPENED,
    LOG_DOOR_REFUSED,
    LOG_FPDU,
    LOG_MOUNTED,
    LOG_UNMOUNTED,
    LOG_WRITER_UNSEEN,
    LOG_MOUNT_OPERATION_FAILED,
    LOG_LATE_COMMIT_FAILED,
    LOG_LATE_WRITE_REFUSED,
    LOG_INTERNAL,
    LOG_EVENT_COUNT,
} LogEvent;

/* Sets what is written; before it: notice and above as text. */
void log_configure(LogLevel level, LogFormat format);
bool log_is_enabled(LogEvent event);
/* Fields: pairs of name and C string, ended by NULL; a NULL value skips its pair. Non-printable bytes
 * are escaped. */
void log_event(LogEvent event, ...) G_GNUC_NULL_TERMINATED;
/* A number as a field, NULL for 0: nothing to tell. */
#define LOG_NUMBER_BYTES 24
const char *log_number(char buffer[LOG_NUMBER_BYTES], int64_t number);
/* Each event with its level, its MESSAGE_ID and its message, a line each. Returns new. */
char *log_describe_events(void);
/* Level by name: "error", "warning", "notice", "info", "debug"; false when unknown. */
bool log_level_parse(const char *text, LogLevel *ret_level);
