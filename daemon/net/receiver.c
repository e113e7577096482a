/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving one file. Binary pieces are gathered and written with one pwritev per receive buffer; text is
 * joined with its line ends in a buffer of its own. One sync serves several points: a whole window when that
 * is little data (the sync itself is what costs), three quarters of one when it is much (the partner
 * sends the rest meanwhile), or what there is when nothing more comes. procedures §10.3, §11.2.
 */
#include "daemon/net/receiver.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/metric.h"
#include "base/file.h"
#include "daemon/net/attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define VECTORS_MAX          1024
#define TEXT_BYTES           (256u * 1024u)
#define ALLOCATE_AHEAD_BYTES (16u * 1024u * 1024u)
#define FREQUENT_POINTS_KB   1024u
#define POINTS_MAX           256
#define START_BYTES          (4u * 1024u * 1024u)
#define WHOLE_WINDOW_KB      1024u /* more than this is worth receiving while another sync runs */
#define NO_WINDOW_POINTS     16u   /* a group when nothing is acknowledged */
#define PATIENCE_US          1000  /* for the rest of a group, when the socket is empty */
#define TRY_AGAIN_SYNCS      64u   /* a partner that stopped early may have been slow only once */
#define DIAG_IO_ERROR        PESIT_DIAG(2, 213)
#define DIAG_SPACE           PESIT_DIAG(2, 219)

struct Receiver {
    Channel *channel;
    int fd;
    Context *context;
    Progress *progress;
    PesitTextRules rules;
    bool text_format;
    bool allocate_ahead;
    uint64_t announced_bytes, max_bytes, allocated_bytes;
    uint64_t offset;        /* of the file, all written below it */
    uint64_t started_bytes; /* on their way to the disk */
    struct iovec vectors[VECTORS_MAX];
    int vector_count;
    uint64_t gathered_bytes;
    uint8_t *text;
    size_t text_length, pending_blanks;
    ContextPoint points[POINTS_MAX]; /* received, not yet durable */
    unsigned point_count;
    uint8_t window;
    unsigned group;      /* points that one sync serves */
    unsigned expected;   /* points after which this partner waits: the group, or less as observed */
    unsigned syncs;      /* since expected was the group */
    int64_t patience_us; /* monotonic, until when the rest of a group may come; 0: not waiting */
    GError *failure;
    PesitDiag failure_diag;
    bool failed;
};

static void on_fill(void *data);
static int64_t on_idle(void *data);

static unsigned choose_group(const PesitAgreement *agreement)
{
    if (agreement->sync_window == 0)
        return NO_WINDOW_POINTS;
    if ((uint32_t)agreement->sync_window * agreement->sync_interval_kb <= WHOLE_WINDOW_KB)
        return agreement->sync_window;
    return MAX(agreement->sync_window * 3u / 4u, 1u);
}

Receiver *receiver_new(Channel *channel, int fd, const VirtualFile *file, Context *context,
                       Progress *progress, uint64_t announced_bytes, uint64_t max_bytes)
{
    Receiver *self = g_new0(Receiver, 1);
    PesitAgreement agreement;

    pesit_session_get_agreement(channel->session, &agreement);
    self->channel = channel;
    self->fd = fd;
    self->context = context;
    self->progress = progress;
    self->announced_bytes = announced_bytes;
    self->max_bytes = max_bytes;
    self->window = agreement.sync_window;
    self->group = self->expected = choose_group(&agreement);
    self->allocate_ahead =
            agreement.sync_interval_kb > 0 && agreement.sync_interval_kb <= FREQUENT_POINTS_KB;
    self->text_format = file->format == RECORD_TEXT || file->format == RECORD_TEXT_FIXED;
    if (self->text_format) {
        self->rules = attributes_text_rules(file, agreement.article_bytes);
        self->text = g_malloc(TEXT_BYTES);
    }
    channel->on_fill = on_fill;
    channel->on_idle = on_idle;
    channel->on_fill_data = self;
    return self;
}

void receiver_free(Receiver *self)
{
    if (self == NULL)
        return;
    self->channel->on_fill = NULL;
    g_clear_error(&self->failure);
    g_free(self->text);
    g_free(self);
}

/* Keeps the first failure; what comes after it is dropped. */
static bool fail(Receiver *self, GError *error)
{
    if (self->failure == NULL) {
        self->failure_diag = g_error_matches(error, BASE_ERROR, BASE_ERROR_NO_SPACE)
                                     ? DIAG_SPACE
                                     : DIAG_IO_ERROR;
        self->failure = error;
        self->failed = true;
        /* the owner of the loop must hear of it even when the partner is silent */
        atomic_store(&self->channel->attention, true);
    } else {
        g_error_free(error);
    }
    return false;
}

static bool check_size(Receiver *self, uint64_t end)
{
    if (self->max_bytes == 0 || end <= self->max_bytes)
        return true;
    return fail(self, g_error_new(BASE_ERROR, BASE_ERROR_NO_SPACE,
                                  "file grows above the limit of %" G_GUINT64_FORMAT " bytes",
                                  self->max_bytes));
}

/* Allocates in front of the data: a sync that does not change the size is much cheaper. */
static void allocate(Receiver *self, uint64_t end)
{
    if (!self->allocate_ahead || end <= self->allocated_bytes)
        return;
    if (fallocate(self->fd, 0, (off_t)self->offset,
                  (off_t)(end - self->offset + ALLOCATE_AHEAD_BYTES)) == 0)
        self->allocated_bytes = end + ALLOCATE_AHEAD_BYTES;
    else
        self->allocate_ahead = false; /* only a help; the write itself will tell */
}

static bool write_gathered(Receiver *self)
{
    GError *error = NULL;
    uint64_t end = self->offset + self->gathered_bytes;
    int count = self->vector_count;

    self->vector_count = 0;
    self->gathered_bytes = 0;
    if (count == 0 || self->failed)
        return !self->failed;
    if (!check_size(self, end))
        return false;
    allocate(self, end);
    if (!file_writev_at(self->fd, self->vectors, count, (int64_t)self->offset, &error))
        return fail(self, error);
    self->offset = end;
    atomic_store_explicit(&self->progress->bytes, end, memory_order_relaxed);
    return true;
}

static bool write_text(Receiver *self)
{
    if (self->text_length == 0)
        return !self->failed;
    self->vectors[0] = (struct iovec){self->text, self->text_length};
    self->vector_count = 1;
    self->gathered_bytes = self->text_length;
    self->text_length = 0;
    return write_gathered(self);
}

static bool write_out(Receiver *self)
{
    return self->text_format ? write_text(self) : write_gathered(self);
}

static void take_text_piece(Receiver *self, const PesitPiece *piece)
{
    size_t written = 0;

    if (piece->first)
        self->pending_blanks = 0;
    while (pesit_article_join(&self->rules, piece->bytes, piece->length, piece->last,
                              &self->pending_blanks, self->text + self->text_length,
                              TEXT_BYTES - self->text_length, &written) == PESIT_LIMIT) {
        if (self->text_length == 0 || !write_text(self))
            return;
    }
    self->text_length += written;
}

static void take_pieces(Receiver *self, const PesitEvent *event)
{
    for (size_t i = 0; i < event->count; i++) {
        const PesitPiece *piece = &event->pieces[i];

        if (self->text_format) {
            take_text_piece(self, piece);
            continue;
        }
        if (piece->length == 0)
            continue;
        if (self->vector_count == VECTORS_MAX && !write_gathered(self))
            return;
        /* the vector type has no const; writing never changes the bytes */
        self->vectors[self->vector_count++] =
                (struct iovec){(void *)(uintptr_t)piece->bytes, piece->length};
        self->gathered_bytes += piece->length;
    }
}

/* Data first, then the journal, then the acknowledgement. */
static bool sync_points(Receiver *self)
{
    GError *error = NULL;
    unsigned count = self->point_count;
    PesitCommand command = {.type = PESIT_FPDU_ACK_SYN};

    if (count == 0)
        return true;
    self->point_count = 0;
    self->patience_us = 0;
    if (++self->syncs >= TRY_AGAIN_SYNCS) {
        self->syncs = 0;
        self->expected = self->group;
    }
    if (!write_out(self))
        return false;
    if (fdatasync(self->fd) != 0) {
        error_set_errno(&error, errno, "sync received data");
        return fail(self, error);
    }
    self->started_bytes = self->offset;
    if (self->context != NULL &&
        !context_append_durably(self->context, self->points, count, &error))
        return fail(self, error);
    metric_add(METRIC_SYNC_POINTS_DURABLE, count);
    command.point = self->points[count - 1].point;
    return self->window == 0 || channel_command(self->channel, &command);
}

/* Where the file will stand when all that waits is written. */
static uint64_t end_of_file(const Receiver *self)
{
    return self->offset + (self->text_format ? self->text_length : self->gathered_bytes);
}

static void take_point(Receiver *self, const PesitEvent *event)
{
    if (self->point_count == POINTS_MAX && !sync_points(self))
        return;
    self->points[self->point_count++] = (ContextPoint){.point = event->point,
                                                       .offset = end_of_file(self),
                                                       .bytes = event->bytes,
                                                       .articles = event->articles};
}

void receiver_take(Receiver *self, const PesitEvent *event)
{
    if (self->failed)
        return;
    if (event->kind == PESIT_EVENT_PIECES)
        take_pieces(self, event);
    else if (event->kind == PESIT_EVENT_POINT)
        take_point(self, event);
}

/* The sync that comes later finds less to do. */
static void start_disk(Receiver *self)
{
    if (self->offset == self->started_bytes)
        return;
    (void)sync_file_range(self->fd, (off_t)self->started_bytes,
                          (off_t)(self->offset - self->started_bytes),
                          SYNC_FILE_RANGE_WRITE); /* a hint */
    self->started_bytes = self->offset;
}

/* Before the buffer is used again: everything that points into it is written. */
static void on_fill(void *data)
{
    Receiver *self = data;

    if (self->failed || !write_out(self)) /* a failure is kept */
        return;
    if (self->point_count >= self->group)
        (void)sync_points(self); /* same */
    else if (self->point_count > 0 || self->offset - self->started_bytes >= START_BYTES)
        start_disk(self);
}

/* Nothing more is here: the rest of a group may come in a moment, or the partner waits for us. */
static int64_t on_idle(void *data)
{
    Receiver *self = data;
    int64_t now_us = clock_now_us();

    if (self->failed || self->point_count == 0)
        return INT64_MAX;
    self->expected = MAX(self->expected, self->point_count);
    if (self->point_count < self->expected && self->patience_us == 0)
        self->patience_us = now_us + PATIENCE_US;
    if (self->point_count < self->expected && now_us < self->patience_us)
        return self->patience_us;
    self->expected = self->point_count;
    (void)sync_points(self); /* a failure is kept */
    return 0;
}

bool receiver_take_failure(Receiver *self, PesitDiag *ret_diag, GError **error)
{
    if (self->failure == NULL)
        return false;
    *ret_diag = self->failure_diag;
    g_propagate_error(error, g_steal_pointer(&self->failure));
    return true;
}

bool receiver_finish(Receiver *self, uint64_t *ret_size, GError **error)
{
    PesitDiag diag;

    if (!write_out(self) || self->failed) {
        if (!receiver_take_failure(self, &diag, error))
            g_set_error(error, BASE_ERROR, BASE_ERROR_IO, "received data could not be written");
        return false;
    }
    if (self->allocated_bytes > self->offset && ftruncate(self->fd, (off_t)self->offset) != 0) {
        error_set_errno(error, errno, "cut what was allocated ahead");
        return false;
    }
    if (fsync(self->fd) != 0) {
        error_set_errno(error, errno, "sync received file");
        return false;
    }
    *ret_size = self->offset;
    return true;
}
