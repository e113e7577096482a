/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one GError domain of the programs, and how errno becomes one of its codes. Any thread.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>

GQuark base_error_quark(void)
{
    static _Atomic GQuark known; /* the same whoever stores it first */
    GQuark quark = atomic_load_explicit(&known, memory_order_relaxed);

    if (quark == 0) {
        quark = g_quark_from_static_string("base-error-quark");
        atomic_store_explicit(&known, quark, memory_order_relaxed);
    }
    return quark;
}

static const char *const CODE_NAMES[BASE_ERROR_COUNT] = {
        [BASE_ERROR_IO] = "io",
        [BASE_ERROR_NOT_FOUND] = "not-found",
        [BASE_ERROR_EXISTS] = "exists",
        [BASE_ERROR_BUSY] = "busy",
        [BASE_ERROR_REFUSED] = "refused",
        [BASE_ERROR_INVALID] = "invalid",
        [BASE_ERROR_NO_SPACE] = "no-space",
        [BASE_ERROR_TIMEOUT] = "timeout",
        [BASE_ERROR_CANCELLED] = "cancelled",
        [BASE_ERROR_UNREACHABLE] = "unreachable",
        [BASE_ERROR_UNTRUSTED] = "untrusted",
        [BASE_ERROR_CONFLICT] = "conflict",
        [BASE_ERROR_PARTNER] = "partner",
        [BASE_ERROR_CONNECTION_REFUSED] = "connection-refused",
        [BASE_ERROR_UNKNOWN_HOST] = "unknown-host",
        [BASE_ERROR_EXPIRED] = "expired",
};

const char *base_error_name(BaseError code)
{
    return (unsigned)code < BASE_ERROR_COUNT ? CODE_NAMES[code] : "io";
}

bool base_error_from_name(const char *name, BaseError *ret_code)
{
    for (unsigned i = 0; i < BASE_ERROR_COUNT; i++) {
        if (g_strcmp0(name, CODE_NAMES[i]) == 0) {
            *ret_code = (BaseError)i;
            return true;
        }
    }
    return false;
}

static BaseError code_from_errno(int errno_value)
{
    switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
        return BASE_ERROR_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY:
        return BASE_ERROR_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return BASE_ERROR_NO_SPACE;
    case EACCES:
    case EPERM:
    case EXDEV:
    case ELOOP:
        return BASE_ERROR_REFUSED;
    case ETIMEDOUT:
        return BASE_ERROR_TIMEOUT;
    default:
        return BASE_ERROR_IO;
    }
}

void error_set_errno(GError **error, int errno_value, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list arguments;

    va_start(arguments, format);
    what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, BASE_ERROR, (int)code_from_errno(errno_value), "%s: %s", what,
                g_strerror(errno_value));
}
