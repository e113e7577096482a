/* SPDX-License-Identifier: Apache-2.0 */
/* Counters by opcode and by errno, and what of each the daemon knows. Only the thread that tells reads what is told. */
#include "pesitfs/counts.h"

#include <linux/fuse.h>
#include <stdatomic.h>
#include <string.h>

#define ERRORS 256

/* clang-format off */
static const struct { uint32_t opcode; const char *name; } OPERATIONS[] = {
    { FUSE_LOOKUP, "lookup" }, { FUSE_GETATTR, "getattr" }, { FUSE_SETATTR, "setattr" }, { FUSE_MKNOD, "mknod" },
    { FUSE_MKDIR, "mkdir" }, { FUSE_UNLINK, "unlink" }, { FUSE_RMDIR, "rmdir" }, { FUSE_SYMLINK, "symlink" },
    { FUSE_RENAME, "rename" }, { FUSE_RENAME2, "rename" }, { FUSE_LINK, "link" }, { FUSE_CREATE, "create" },
    { FUSE_OPEN, "open" }, { FUSE_READ, "read" }, { FUSE_WRITE, "write" }, { FUSE_FLUSH, "flush" },
    { FUSE_RELEASE, "release" }, { FUSE_FSYNC, "fsync" }, { FUSE_FALLOCATE, "fallocate" }, { FUSE_OPENDIR, "opendir" },
    { FUSE_READDIR, "readdir" }, { FUSE_READDIRPLUS, "readdirplus" }, { FUSE_RELEASEDIR, "releasedir" },
    { FUSE_STATFS, "statfs" }, { FUSE_SETXATTR, "setxattr" }, { FUSE_GETXATTR, "getxattr" },
    { FUSE_LISTXATTR, "listxattr" }, { FUSE_REMOVEXATTR, "removexattr" },
};
/* clang-format on */

static _Atomic uint64_t operations[G_N_ELEMENTS(OPERATIONS)], errors[ERRORS];
static uint64_t operations_told[G_N_ELEMENTS(OPERATIONS)], errors_told[ERRORS];

void counts_take(uint32_t opcode)
{
    for (size_t i = 0; i < G_N_ELEMENTS(OPERATIONS); i++) {
        if (OPERATIONS[i].opcode == opcode) {
            (void)atomic_fetch_add_explicit(&operations[i], 1, memory_order_relaxed);
            return;
        }
    }
}

void counts_fail(int code)
{
    if (code > 0 && code < ERRORS)
        (void)atomic_fetch_add_explicit(&errors[code], 1, memory_order_relaxed);
}

/* ret_now: what is counted. Returns floating: a{st} of what is not told yet. */
static GVariant *gather_operations(uint64_t *ret_now)
{
    GVariantBuilder dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE("a{st}"));
    for (size_t i = 0; i < G_N_ELEMENTS(OPERATIONS); i++) {
        ret_now[i] = atomic_load_explicit(&operations[i], memory_order_relaxed);
        if (ret_now[i] != operations_told[i])
            g_variant_builder_add(&dict, "{st}", OPERATIONS[i].name,
                                  ret_now[i] - operations_told[i]);
    }
    return g_variant_builder_end(&dict);
}

static GVariant *gather_errors(uint64_t *ret_now)
{
    GVariantBuilder dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE("a{st}"));
    for (size_t i = 0; i < ERRORS; i++) {
        const char *name = strerrorname_np((int)i);

        ret_now[i] = atomic_load_explicit(&errors[i], memory_order_relaxed);
        if (ret_now[i] != errors_told[i] && name != NULL)
            g_variant_builder_add(&dict, "{st}", name, ret_now[i] - errors_told[i]);
    }
    return g_variant_builder_end(&dict);
}

void counts_tell(Client *client, unsigned timeout_ms)
{
    uint64_t operations_now[G_N_ELEMENTS(OPERATIONS)], errors_now[ERRORS];
    g_autoptr(GVariant) taken = g_variant_ref_sink(gather_operations(operations_now));
    g_autoptr(GVariant) failed = g_variant_ref_sink(gather_errors(errors_now));

    if (g_variant_n_children(taken) + g_variant_n_children(failed) == 0 ||
        !client_count(client, taken, failed, timeout_ms, NULL))
        return;
    memcpy(operations_told, operations_now, sizeof operations_told);
    memcpy(errors_told, errors_now, sizeof errors_told);
}
