/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending one file. Binary: the session lays out headers, preadv fills the room between them. Text: lines
 * are cut and copied as articles. One batch is one write on the socket; between two batches the socket
 * is looked at for acknowledgements and interruptions. procedures §10.2, §13.
 */
#include "daemon/net/sender.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "daemon/net/attributes.h"
#include "base/log.h"

#include <string.h>

#define TEXT_BYTES            (192u * 1024u)
#define DIAG_READ_ERROR       PESIT_DIAG(2, 213)
#define DIAG_ARTICLE_TOO_LONG PESIT_DIAG(2, 220)
#define DIAG_OTHER            PESIT_DIAG(2, 299)

struct Sender {
    Channel *channel;
    int fd;
    uint64_t size_bytes;
    uint64_t offset; /* next byte of the file to lay out */
    const VirtualFile *file;
    Context *context;
    Progress *progress;
    PesitTextRules rules;
    PesitBatch batch;
    bool ended; /* DTF.END given */
    bool progressed;
    Reply *gate; /* must be answered before DTF.END, or NULL */
    /* text only */
    uint8_t *text;
    size_t text_from, text_to;
    uint64_t text_offset; /* of text_to in the file */
    uint8_t *padding;
    const uint8_t *article; /* cut, not yet put */
    size_t article_length, article_taken;
};

static bool is_text(const VirtualFile *file)
{
    return file->format == RECORD_TEXT || file->format == RECORD_TEXT_FIXED;
}

Sender *sender_new(Channel *channel, int fd, uint64_t size_bytes, const VirtualFile *file,
                   Context *context, Progress *progress)
{
    Sender *self = g_new0(Sender, 1);
    PesitAgreement agreement;

    self->channel = channel;
    self->fd = fd;
    self->size_bytes = size_bytes;
    self->file = file;
    self->context = context;
    self->progress = progress;
    self->batch.buffer = g_malloc(CHANNEL_BATCH_BYTES);
    self->batch.capacity = CHANNEL_BATCH_BYTES;
    if (is_text(file)) {
        pesit_session_get_agreement(channel->session, &agreement);
        self->rules = attributes_text_rules(file, agreement.article_bytes);
        self->text = g_malloc(TEXT_BYTES);
        self->padding = g_malloc(PESIT_FPDU_MAX_BYTES);
    }
    return self;
}

void sender_free(Sender *self)
{
    if (self == NULL)
        return;
    reply_unref(self->gate);
    g_free(self->batch.buffer);
    g_free(self->text);
    g_free(self->padding);
    g_free(self);
}

void sender_start_at(Sender *self, const ContextPoint *point)
{
    self->offset = self->text_offset = point->offset;
}

void sender_set_gate(Sender *self, Reply *gate)
{
    self->gate = reply_ref(gate);
}

bool sender_has_progressed(const Sender *self)
{
    return self->progressed;
}

static bool set_short_read(GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_IO, "file became shorter while it was being sent");
    return false;
}

/* Reads the file into the room that the session left. */
static bool fill_slots(Sender *self, GError **error)
{
    struct iovec vectors[PESIT_BATCH_SLOTS];
    PesitBatch *batch = &self->batch;
    size_t got = 0;

    for (size_t i = 0; i < batch->slot_count; i++)
        vectors[i] = (struct iovec){batch->slots[i].bytes, batch->slots[i].length};
    if (!file_readv_at(self->fd, vectors, (int)batch->slot_count, (int64_t)self->offset, &got,
                       error))
        return false;
    return got == batch->slot_bytes || set_short_read(error);
}

/* Where each point of the batch stands in the file. Binary: what was laid out before it. */
static bool journal_points(Sender *self, GError **error)
{
    ContextPoint points[PESIT_BATCH_POINTS];
    const PesitBatch *batch = &self->batch;

    if (self->context == NULL || batch->point_count == 0)
        return true;
    for (size_t i = 0; i < batch->point_count; i++) {
        points[i] = (ContextPoint){.point = batch->points[i].point,
                                   .offset = batch->points[i].bytes,
                                   .bytes = batch->points[i].bytes,
                                   .articles = batch->points[i].articles};
    }
    return context_append(self->context, points, (unsigned)batch->point_count, error);
}

/* Refills the text buffer. False on error; at end of file nothing is added. */
static bool refill_text(Sender *self, GError **error)
{
    size_t kept = self->text_to - self->text_from;
    uint64_t left = self->size_bytes - self->text_offset;
    struct iovec vector;
    size_t got = 0;

    memmove(self->text, self->text + self->text_from, kept);
    self->text_from = 0;
    self->text_to = kept;
    vector = (struct iovec){self->text + kept, (size_t)MIN(left, (uint64_t)(TEXT_BYTES - kept))};
    if (vector.iov_len == 0)
        return true;
    if (!file_readv_at(self->fd, &vector, 1, (int64_t)self->text_offset, &got, error))
        return false;
    if (got == 0)
        return set_short_read(error);
    self->text_to += got;
    self->text_offset += got;
    return true;
}

typedef enum { CUT_ARTICLE, CUT_END, CUT_FAILED } CutResult;

static CutResult cut_article(Sender *self, PesitDiag *ret_diag, GError **error)
{
    for (;;) {
        bool at_end = self->text_offset == self->size_bytes;
        size_t length = self->text_to - self->text_from;
        PesitStatus status;

        status = pesit_article_cut(&self->rules, self->text + self->text_from, length, at_end,
                                   self->padding, &self->article, &self->article_length,
                                   &self->article_taken);
        if (status == PESIT_OK)
            return CUT_ARTICLE;
        if (status == PESIT_LIMIT || (status == PESIT_NEED_MORE && length >= TEXT_BYTES)) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                        "line at offset %" G_GUINT64_FORMAT " is longer than the record length %u",
                        self->offset, self->rules.article_bytes);
            *ret_diag = DIAG_ARTICLE_TOO_LONG;
            return CUT_FAILED;
        }
        if (at_end)
            return CUT_END;
        if (!refill_text(self, error)) {
            *ret_diag = DIAG_READ_ERROR;
            return CUT_FAILED;
        }
    }
}

/* Notes where a point that put_article placed before this article stands in the file. */
static bool journal_text_point(Sender *self, size_t known_points, GError **error)
{
    const PesitBatch *batch = &self->batch;
    ContextPoint point;

    if (self->context == NULL || batch->point_count == known_points)
        return true;
    point = (ContextPoint){.point = batch->points[known_points].point,
                           .offset = self->offset,
                           .bytes = batch->points[known_points].bytes,
                           .articles = batch->points[known_points].articles};
    return context_append(self->context, &point, 1, error);
}

/* Fills a batch with lines. */
static PesitStatus plan_text(Sender *self, PesitDiag *ret_diag, GError **error)
{
    PesitStatus status = PESIT_OK;

    while (status == PESIT_OK) {
        size_t known_points = self->batch.point_count;

        if (self->article == NULL) {
            CutResult cut = cut_article(self, ret_diag, error);

            if (cut == CUT_FAILED)
                return PESIT_MALFORMED;
            if (cut == CUT_END)
                break;
        }
        status = pesit_session_put_article(self->channel->session, &self->batch, self->article,
                                           self->article_length, clock_now_us());
        if (!journal_text_point(self, known_points, error)) {
            *ret_diag = DIAG_OTHER;
            return PESIT_MALFORMED;
        }
        if (status == PESIT_OK) {
            self->text_from += self->article_taken;
            self->offset += self->article_taken;
            self->article = NULL;
        }
    }
    pesit_session_close_batch(self->channel->session, &self->batch);
    return self->batch.used > 0 ? PESIT_OK : status;
}

static PesitStatus plan_binary(Sender *self, PesitDiag *ret_diag, GError **error)
{
    uint64_t remaining = self->size_bytes - self->offset;
    PesitStatus status = PESIT_OK;

    if (remaining == 0)
        return PESIT_OK;
    status = pesit_session_plan_data(self->channel->session, &self->batch, remaining,
                                     clock_now_us());
    if (status != PESIT_OK)
        return status;
    *ret_diag = DIAG_READ_ERROR;
    if (!fill_slots(self, error) || !journal_points(self, error))
        return PESIT_MALFORMED;
    self->offset += self->batch.slot_bytes;
    return PESIT_OK;
}

static bool is_all_laid_out(const Sender *self)
{
    return self->offset == self->size_bytes && self->article == NULL;
}

/* Waits until the store knows that the partner may have the file. */
static bool pass_gate(Sender *self, GError **error)
{
    gpointer value = NULL;
    g_autoptr(StoreResult) result = NULL;

    if (self->gate == NULL)
        return true;
    if (!reply_wait(self->gate, INT64_MAX, &value))
        return true;
    result = value;
    g_clear_pointer(&self->gate, reply_unref);
    if (result == NULL || result->error == NULL)
        return true;
    g_propagate_prefixed_error(error, g_steal_pointer(&result->error), "record the transfer: ");
    return false;
}

static bool end_data(Sender *self, bool requester)
{
    PesitCommand data_end = {.type = PESIT_FPDU_DTF_END};
    PesitCommand transfer_end = {.type = PESIT_FPDU_TRANS_END};

    self->ended = true;
    return channel_command(self->channel, &data_end) &&
           (!requester || channel_command(self->channel, &transfer_end));
}

/* Handles what came meanwhile. True when the caller must see it. */
static bool take_event(Sender *self, ChannelResult result, const PesitEvent *event,
                       SenderResult *ret_result)
{
    if (result == CHANNEL_WAKE) {
        *ret_result = SENDER_WAKE;
        return true;
    }
    if (result == CHANNEL_TIME)
        return false;
    if (result == CHANNEL_EVENT && event->kind == PESIT_EVENT_POINT_ACKED) {
        self->progressed = true;
        return false;
    }
    if (result == CHANNEL_EVENT && event->kind == PESIT_EVENT_REMARK) {
        char id[LOG_NUMBER_BYTES];

        log_event(LOG_PEER_REMARK, "CONNECTION", self->channel->label, "TRANSFER",
                  log_number(id, self->channel->transfer_id), "REASON", event->text, NULL);
        return false;
    }
    *ret_result = SENDER_EVENT;
    return true;
}

static bool look_around(Sender *self, bool wait, PesitEvent *ret_event, SenderResult *ret_result)
{
    for (;;) {
        ChannelResult result = wait ? channel_next(self->channel, INT64_MAX, ret_event)
                                    : channel_poll(self->channel, ret_event);

        if (take_event(self, result, ret_event, ret_result))
            return true;
        if (result == CHANNEL_TIME || wait)
            return false;
    }
}

SenderResult sender_run(Sender *self, bool requester, PesitEvent *ret_event, PesitDiag *ret_diag,
                        GError **error)
{
    SenderResult seen;

    while (!self->ended) {
        PesitStatus status;

        if (look_around(self, false, ret_event, &seen))
            return seen;
        pesit_batch_clear(&self->batch);
        *ret_diag = DIAG_OTHER;
        status = is_text(self->file) ? plan_text(self, ret_diag, error)
                                     : plan_binary(self, ret_diag, error);
        if (status == PESIT_LIMIT) {
            if (look_around(self, true, ret_event, &seen))
                return seen;
            continue;
        }
        if (status != PESIT_OK) {
            if (error != NULL && *error == NULL)
                g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                            "an article does not fit in the agreed entity size");
            return SENDER_FAILED;
        }
        if (is_all_laid_out(self) && (!pass_gate(self, error) || !end_data(self, requester)))
            return SENDER_FAILED;
        (void)channel_send_batch(self->channel, &self->batch); /* a loss comes as an event */
        atomic_store_explicit(&self->progress->bytes, self->offset, memory_order_relaxed);
    }
    return SENDER_DONE;
}
