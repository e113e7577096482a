/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a transfer stands, in the words of the filesystem: errno and extended attributes. One table of
 * diagnostics; docs/errno.md says the same for people.
 */
#include "pesitfs/mount.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *diag;
    int errno_value;
} DiagErrno;

static const DiagErrno DIAGNOSTICS[] = {
        {"3-301", ENXIO},           {"3-302", ENXIO},           {"3-304", EACCES},
        {"3-310", ECONNRESET},      {"3-303", EAGAIN},          {"3-309", EAGAIN},
        {"3-322", EAGAIN},          {"2-201", EAGAIN},          {"2-202", EAGAIN},
        {"2-203", EAGAIN},          {"2-225", EAGAIN},          {"3-317", ETIMEDOUT},
        {"2-221", ETIMEDOUT},       {"3-305", EPROTONOSUPPORT}, {"3-308", EPROTONOSUPPORT},
        {"3-315", EPROTONOSUPPORT}, {"2-210", EPROTONOSUPPORT}, {"2-214", EPROTONOSUPPORT},
        {"3-311", EPROTO},          {"3-318", EPROTO},          {"3-319", EPROTO},
        {"3-320", EPROTO},          {"2-204", EEXIST},          {"2-205", ENOENT},
        {"2-206", EDQUOT},          {"2-219", EDQUOT},          {"2-207", EBUSY},
        {"2-208", ESTALE},          {"2-200", EINVAL},          {"2-220", EMSGSIZE},
        {"2-224", EFBIG},           {"2-209", EOPNOTSUPP},      {"2-211", EREMOTEIO},
        {"2-212", EREMOTEIO},       {"2-213", EREMOTEIO},       {"2-215", EREMOTEIO},
        {"2-216", ECANCELED},       {"3-312", ECANCELED},       {"3-316", ECANCELED},
        {"2-226", EACCES},
};

static int errno_of_code(BaseError code, bool of_daemon)
{
    switch (code) {
    case BASE_ERROR_NOT_FOUND:
        return ENOENT;
    case BASE_ERROR_EXISTS:
        return EEXIST;
    case BASE_ERROR_BUSY:
    case BASE_ERROR_CONFLICT:
        return EBUSY;
    case BASE_ERROR_REFUSED:
        return EACCES;
    case BASE_ERROR_INVALID:
        return EINVAL;
    case BASE_ERROR_NO_SPACE:
        return ENOSPC;
    case BASE_ERROR_TIMEOUT:
        return ETIMEDOUT;
    case BASE_ERROR_CANCELLED:
        return of_daemon ? EINTR : ECANCELED;
    case BASE_ERROR_UNREACHABLE:
        return of_daemon ? EAGAIN : EHOSTUNREACH;
    case BASE_ERROR_UNTRUSTED:
        return EKEYREJECTED;
    case BASE_ERROR_PARTNER:
    case BASE_ERROR_IO:
    case BASE_ERROR_COUNT:
        break;
    }
    return EIO;
}

int status_errno_of_error(const GError *error)
{
    return errno_of_code(error->domain == BASE_ERROR ? (BaseError)error->code : BASE_ERROR_IO,
                         true);
}

int status_errno(const ClientTransfer *transfer)
{
    BaseError cause;

    if (strcmp(transfer->state, "done") == 0)
        return 0;
    if (strcmp(transfer->state, "cancelled") == 0)
        return ECANCELED;
    if (strcmp(transfer->state, "failed") != 0)
        return ETIMEDOUT;
    for (size_t i = 0; i < G_N_ELEMENTS(DIAGNOSTICS); i++) {
        if (strcmp(DIAGNOSTICS[i].diag, transfer->diag) == 0)
            return DIAGNOSTICS[i].errno_value;
    }
    return base_error_from_name(transfer->cause, &cause) ? errno_of_code(cause, false) : EIO;
}

/* attributes */

typedef enum {
    VALUE_STATE,
    VALUE_ID,
    VALUE_DIAG,
    VALUE_ERROR,
    VALUE_ATTEMPTS,
    VALUE_NEXT_RETRY,
    VALUE_BYTES,
    VALUE_FINISHED,
    VALUE_FILE_NAME,
    VALUE_SHA256,
    VALUE_COUNT
} Value;

/* one text, as listxattr wants it; the order is that of Value */
static const char NAMES[] = "user.pesit.state\0user.pesit.transfer_id\0user.pesit.diag\0"
                            "user.pesit.error\0user.pesit.attempts\0user.pesit.next_retry\0"
                            "user.pesit.bytes\0user.pesit.finished_at\0user.pesit.file_name\0"
                            "user.pesit.sha256\0"; /* an empty name ends it */

const char *status_names(void)
{
    return NAMES;
}

static char *format_time(int64_t wall_us)
{
    return wall_us != 0 ? clock_format_iso(wall_us) : NULL;
}

static char *format_text(const char *text)
{
    return text[0] != '\0' ? g_strdup(text) : NULL;
}

char *status_value(const ClientTransfer *transfer, const char *name)
{
    const char *at = NAMES;
    unsigned value = 0;

    while (value < VALUE_COUNT && strcmp(at, name) != 0) {
        at += strlen(at) + 1;
        value++;
    }
    switch ((Value)value) {
    case VALUE_STATE:
        return g_ascii_strup(transfer->state, -1);
    case VALUE_ID:
        return g_strdup_printf("%" G_GINT64_FORMAT, transfer->id);
    case VALUE_DIAG:
        return format_text(transfer->diag);
    case VALUE_ERROR:
        return format_text(transfer->error);
    case VALUE_ATTEMPTS:
        return g_strdup_printf("%u", transfer->attempts);
    case VALUE_NEXT_RETRY:
        return format_time(transfer->next_retry_us);
    case VALUE_BYTES:
        return g_strdup_printf("%" G_GUINT64_FORMAT, transfer->progress_bytes);
    case VALUE_FINISHED:
        return format_time(transfer->finished_us);
    case VALUE_FILE_NAME:
        return format_text(transfer->file_name);
    case VALUE_SHA256:
        return format_text(transfer->sha256);
    case VALUE_COUNT:
        break;
    }
    return NULL;
}
