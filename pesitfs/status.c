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
    unsigned code; /* of PI 2; its first digit says what it is about */
    int errno_value;
} DiagErrno;

/* clang-format off */
static const DiagErrno DIAGNOSTICS[] = {
    { 100, EBADMSG },
    { 200, EINVAL },
    { 201, EAGAIN },
    { 202, EAGAIN },
    { 203, EAGAIN },
    { 204, EEXIST },
    { 205, ENOENT },
    { 206, EDQUOT },
    { 207, EBUSY },
    { 208, ESTALE },
    { 209, EOPNOTSUPP },
    { 210, EPROTONOSUPPORT },
    { 211, EREMOTEIO },
    { 212, EREMOTEIO },
    { 213, EREMOTEIO },
    { 214, EPROTONOSUPPORT },
    { 215, EREMOTEIO },
    { 216, ECANCELED },
    { 217, EPROTO },
    { 218, EIO },
    { 219, EDQUOT },
    { 220, EMSGSIZE },
    { 221, ETIMEDOUT },
    { 222, EPROTO },
    { 223, EIO },
    { 224, EFBIG },
    { 225, EAGAIN },
    { 226, EACCES },
    { 227, EIO },
    { 228, EIO },
    { 229, EIO },
    { 230, EIO },
    { 231, EEXIST },
    { 232, EINVAL },
    { 233, EIO },
    { 234, EMSGSIZE },
    { 235, EINVAL },
    { 236, EMSGSIZE },
    { 237, EACCES },
    { 238, EACCES },
    { 239, EACCES },
    { 240, EACCES },
    { 241, EACCES },
    { 242, EACCES },
    { 243, EACCES },
    { 245, EINVAL },
    { 246, ENOENT },
    { 247, ENOENT },
    { 248, EOPNOTSUPP },
    { 249, EOPNOTSUPP },
    { 250, EEXIST },
    { 251, EOPNOTSUPP },
    { 252, ESTALE },
    { 253, EINVAL },
    { 254, EAGAIN },
    { 299, EIO },
    { 300, EAGAIN },
    { 301, ENXIO },
    { 302, ENXIO },
    { 303, EAGAIN },
    { 304, EACCES },
    { 305, EPROTONOSUPPORT },
    { 306, EPROTONOSUPPORT },
    { 307, EPROTONOSUPPORT },
    { 308, EPROTONOSUPPORT },
    { 309, EAGAIN },
    { 310, ECONNRESET },
    { 311, EPROTO },
    { 312, ECANCELED },
    { 313, ETIMEDOUT },
    { 314, EAGAIN },
    { 315, EPROTONOSUPPORT },
    { 316, ECANCELED },
    { 317, ETIMEDOUT },
    { 318, EPROTO },
    { 319, EPROTO },
    { 320, EPROTO },
    { 321, ENXIO },
    { 322, EAGAIN },
    { 323, EPROTONOSUPPORT },
    { 324, EACCES },
    { 325, EACCES },
    { 326, EACCES },
    { 327, EACCES },
    { 328, EPROTONOSUPPORT },
    { 329, EACCES },
    { 330, EPROTONOSUPPORT },
    { 331, EPROTONOSUPPORT },
    { 332, EPROTONOSUPPORT },
    { 333, EPROTONOSUPPORT },
    { 334, EACCES },
    { 335, EACCES },
    { 336, EPROTO },
    { 399, EIO },
};
/* clang-format on */

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
    case BASE_ERROR_CONNECTION_REFUSED:
        return ECONNREFUSED;
    case BASE_ERROR_UNKNOWN_HOST:
        return EHOSTDOWN;
    case BASE_ERROR_UNTRUSTED:
        return EKEYREJECTED;
    case BASE_ERROR_EXPIRED:
        return EKEYEXPIRED;
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

/* Why it has ended, or waits for another attempt; 0 when nothing is said. */
static int errno_of_reason(const ClientTransfer *transfer)
{
    const char *dash = strchr(transfer->diag, '-');
    unsigned code = dash != NULL ? (unsigned)g_ascii_strtoull(dash + 1, NULL, 10) : 0;
    BaseError cause;

    for (size_t i = 0; i < G_N_ELEMENTS(DIAGNOSTICS); i++) {
        if (DIAGNOSTICS[i].code == code)
            return DIAGNOSTICS[i].errno_value;
    }
    return base_error_from_name(transfer->cause, &cause) ? errno_of_code(cause, false) : 0;
}

int status_errno(const ClientTransfer *transfer)
{
    int reason = errno_of_reason(transfer);

    if (strcmp(transfer->state, "done") == 0)
        return 0;
    if (strcmp(transfer->state, "cancelled") == 0)
        return ECANCELED;
    if (strcmp(transfer->state, "failed") == 0)
        return reason != 0 ? reason : EIO;
    /* it goes on; the reason is that of the attempt that failed */
    return strcmp(transfer->state, "waiting") == 0 && reason != 0 ? reason : ETIMEDOUT;
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
