/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The restart journal of one transfer. Point n is record n - 1 of the file, so that finding a point
 * is one read and a rewritten point (after a restart) replaces its record. The file is filled with
 * zeros ahead: a sync then changes no size and costs a third. procedures §11.
 */
#include "daemon/transfer/context.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTEXT_FILE "context"
#define RECORD_BYTES 32
#define FILL_BYTES   65536
#define FNV_OFFSET   2166136261u
#define FNV_PRIME    16777619u

typedef struct {
    uint32_t point;
    uint32_t check;
    uint64_t offset;
    uint64_t bytes;
    uint64_t articles;
} Record;

_Static_assert(sizeof(Record) == RECORD_BYTES, "journal record");

struct Context {
    Fd fd;
    int64_t filled_bytes;
    uint32_t last_point;
};

static uint32_t record_check(const Record *record)
{
    Record copy = *record;
    const unsigned char *bytes = (const unsigned char *)&copy;
    uint32_t hash = FNV_OFFSET;

    copy.check = 0;
    for (size_t i = 0; i < sizeof copy; i++)
        hash = (hash ^ bytes[i]) * FNV_PRIME;
    return hash;
}

static bool read_record(Context *self, uint32_t point, Record *ret_record)
{
    Record record;
    off_t at = (off_t)(point - 1) * RECORD_BYTES;

    if (point == 0 || pread(self->fd, &record, sizeof record, at) != (ssize_t)sizeof record)
        return false;
    if (record.point != point || record.check != record_check(&record))
        return false;
    *ret_record = record;
    return true;
}

Context *context_create(int folder_fd, GError **error)
{
    g_autoptr(Context) self = g_new0(Context, 1);

    self->fd = openat(folder_fd, CONTEXT_FILE, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC | O_NOFOLLOW,
                      0600);
    if (self->fd < 0) {
        error_set_errno(error, errno, "create restart journal");
        return NULL;
    }
    return g_steal_pointer(&self);
}

Context *context_open(int folder_fd, GError **error)
{
    g_autoptr(Context) self = g_new0(Context, 1);
    struct stat stat;
    Record record;

    self->fd = openat(folder_fd, CONTEXT_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (self->fd < 0 || fstat(self->fd, &stat) != 0) {
        error_set_errno(error, errno, "open restart journal");
        return NULL;
    }
    self->filled_bytes = stat.st_size;
    while (read_record(self, self->last_point + 1, &record))
        self->last_point++;
    return g_steal_pointer(&self);
}

void context_close(Context *self)
{
    if (self == NULL)
        return;
    fd_clear(&self->fd);
    g_free(self);
}

static bool fill_ahead(Context *self, int64_t end, GError **error)
{
    static const unsigned char zeros[FILL_BYTES];

    while (self->filled_bytes < end) {
        if (!file_write_at(self->fd, zeros, sizeof zeros, self->filled_bytes, error))
            return false;
        self->filled_bytes += FILL_BYTES;
    }
    return true;
}

bool context_append(Context *self, const ContextPoint *points, unsigned count, GError **error)
{
    g_autofree Record *records = NULL;
    int64_t at;

    if (count == 0)
        return true;
    records = g_new0(Record, count);
    for (unsigned i = 0; i < count; i++) {
        records[i] = (Record){.point = points[i].point,
                              .offset = points[i].offset,
                              .bytes = points[i].bytes,
                              .articles = points[i].articles};
        records[i].check = record_check(&records[i]);
    }
    at = (int64_t)(points[0].point - 1) * RECORD_BYTES;
    if (!fill_ahead(self, at + (int64_t)count * RECORD_BYTES, error) ||
        !file_write_at(self->fd, records, count * sizeof *records, at, error))
        return false;
    self->last_point = points[count - 1].point;
    return true;
}

bool context_sync(Context *self, GError **error)
{
    if (fdatasync(self->fd) == 0)
        return true;
    error_set_errno(error, errno, "sync restart journal");
    return false;
}

bool context_find(Context *self, uint32_t point, ContextPoint *ret_point)
{
    Record record;

    if (point == 0) {
        *ret_point = (ContextPoint){0};
        return true;
    }
    if (point > self->last_point || !read_record(self, point, &record))
        return false;
    *ret_point = (ContextPoint){record.point, record.offset, record.bytes, record.articles};
    return true;
}

bool context_last(Context *self, ContextPoint *ret_point)
{
    return self->last_point > 0 && context_find(self, self->last_point, ret_point);
}
