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
#include <sys/uio.h>
#include <unistd.h>

#define RECORD_BYTES 32
#define FILL_BYTES   65536
#define FILE_MODE    0600
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
    int folder_fd; /* the spool's */
    char *name;
    Fd fd; /* -1 until the first point: most files are small and never have one */
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

static bool open_file(Context *self, int flags, const char *doing, GError **error)
{
    self->fd =
            openat(self->folder_fd, self->name, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (self->fd < 0)
        error_set_errno(error, errno, "%s", doing);
    return self->fd >= 0;
}

static Context *context_new(int folder_fd, const char *name)
{
    Context *self = g_new0(Context, 1);

    self->fd = -1;
    self->folder_fd = folder_fd;
    self->name = g_strdup(name);
    return self;
}

Context *context_create(int folder_fd, const char *name, GError **error)
{
    if (unlinkat(folder_fd, name, 0) != 0 && errno != ENOENT) {
        error_set_errno(error, errno, "remove an old restart journal");
        return NULL;
    }
    return context_new(folder_fd, name);
}

Context *context_open(int folder_fd, const char *name, GError **error)
{
    g_autoptr(Context) self = context_new(folder_fd, name);
    struct stat stat;
    Record record;

    if (!open_file(self, 0, "open restart journal", error))
        return NULL;
    if (fstat(self->fd, &stat) != 0) {
        error_set_errno(error, errno, "stat restart journal");
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
    g_free(self->name);
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

/* Lays out the records and makes room for them. ret_grown: the file's size has changed. Returns new. */
static Record *make_records(Context *self, const ContextPoint *points, unsigned count,
                            bool *ret_grown, GError **error)
{
    g_autofree Record *records = g_new0(Record, count);
    int64_t end = ((int64_t)points[0].point - 1 + count) * RECORD_BYTES;
    int64_t filled_bytes = self->filled_bytes;

    if (self->fd < 0 && !open_file(self, O_CREAT | O_TRUNC, "create restart journal", error))
        return NULL;
    for (unsigned i = 0; i < count; i++) {
        records[i] = (Record){.point = points[i].point,
                              .offset = points[i].offset,
                              .bytes = points[i].bytes,
                              .articles = points[i].articles};
        records[i].check = record_check(&records[i]);
    }
    if (!fill_ahead(self, end, error))
        return NULL;
    *ret_grown = self->filled_bytes != filled_bytes;
    return g_steal_pointer(&records);
}

bool context_append(Context *self, const ContextPoint *points, unsigned count, GError **error)
{
    g_autofree Record *records = NULL;
    bool grown;

    if (count == 0)
        return true;
    records = make_records(self, points, count, &grown, error);
    if (records == NULL || !file_write_at(self->fd, records, count * sizeof *records,
                                          (int64_t)(points[0].point - 1) * RECORD_BYTES, error))
        return false;
    self->last_point = points[count - 1].point;
    return true;
}

bool context_append_durably(Context *self, const ContextPoint *points, unsigned count,
                            GError **error)
{
    g_autofree Record *records = NULL;
    struct iovec vector;
    bool grown;

    if (count == 0)
        return true;
    records = make_records(self, points, count, &grown, error);
    if (records == NULL)
        return false;
    vector = (struct iovec){records, count * sizeof *records};
    /* one write that is on the disk when it returns; zeros that are new need a whole sync */
    if (pwritev2(self->fd, &vector, 1, (off_t)(points[0].point - 1) * RECORD_BYTES,
                 grown ? 0 : RWF_DSYNC) != (ssize_t)vector.iov_len ||
        (grown && fdatasync(self->fd) != 0)) {
        error_set_errno(error, errno, "write restart journal");
        return false;
    }
    self->last_point = points[count - 1].point;
    return true;
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
