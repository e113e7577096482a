/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data on their way out: headers, counts and points are laid out in the caller's batch; file bytes go into
 * the room between them. Binary files are planned without being seen, text articles are copied.
 * procedures §10.2 and §13.4; chapters 3.7, 4.4.20 to 4.4.22, 4.5.
 */
#include "protocol/session-private.h"
#include "protocol/wire.h"

#define ARTICLES_MAX             255
#define SYN_MAX_BYTES            11
#define POINT_MAX                999999
#define KB                       1024u
#define SYNC_UNDEFINED           0xFFFF
#define UNDEFINED_INTERVAL_BYTES (1024u * KB)
#define LENGTH_BYTES             2

void pesit_batch_clear(PesitBatch *batch)
{
    batch->used = 0;
    batch->slot_count = 0;
    batch->slot_bytes = 0;
    batch->point_count = 0;
    batch->window_full = false;
    batch->entity_at = SIZE_MAX;
    batch->fpdu_at = SIZE_MAX;
    batch->fpdu_articles = 0;
}

static void put_number16(uint8_t *at, size_t number)
{
    at[0] = (uint8_t)(number >> 8);
    at[1] = (uint8_t)number;
}

static size_t prefix_bytes(const PesitSession *self)
{
    return self->framing == PESIT_FRAMING_PREFIXED ? PREFIX_BYTES : 0;
}

/* Ends the multi-article DTF being filled. */
static void close_fpdu(PesitBatch *batch)
{
    if (batch->fpdu_at == SIZE_MAX)
        return;
    put_number16(batch->buffer + batch->fpdu_at, batch->used - batch->fpdu_at);
    batch->buffer[batch->fpdu_at + 5] = (uint8_t)batch->fpdu_articles;
    if (batch->fpdu_articles == 1) {
        /* one article travels without its length: the count octet may not be 1 */
        uint8_t *content = batch->buffer + batch->fpdu_at + PESIT_HEADER_BYTES;
        size_t length = batch->used - batch->fpdu_at - PESIT_HEADER_BYTES - LENGTH_BYTES;

        if (length > 0) {
            memmove(content, content + LENGTH_BYTES, length);
            if (batch->slot_count > 0 &&
                batch->slots[batch->slot_count - 1].bytes == content + LENGTH_BYTES)
                batch->slots[batch->slot_count - 1].bytes = content; /* not filled yet */
            batch->used -= LENGTH_BYTES;
            put_number16(batch->buffer + batch->fpdu_at, batch->used - batch->fpdu_at);
            batch->buffer[batch->fpdu_at + 5] = 0;
        }
    }
    batch->fpdu_at = SIZE_MAX;
    batch->fpdu_articles = 0;
}

static void close_entity(const PesitSession *self, PesitBatch *batch)
{
    close_fpdu(batch);
    if (batch->entity_at != SIZE_MAX && prefix_bytes(self) > 0)
        put_number16(batch->buffer + batch->entity_at,
                     batch->used - batch->entity_at - PREFIX_BYTES);
    batch->entity_at = SIZE_MAX;
}

void pesit_session_close_batch(PesitSession *self, PesitBatch *batch)
{
    close_entity(self, batch);
}

/* Bytes that the open entity (or a new one) can still take, header of an FPDU not counted. */
static size_t entity_room(const PesitSession *self, const PesitBatch *batch)
{
    size_t used, room, buffer_room = batch->capacity - batch->used;

    if (batch->entity_at == SIZE_MAX) {
        room = self->max_entity;
        buffer_room = buffer_room > prefix_bytes(self) ? buffer_room - prefix_bytes(self) : 0;
    } else {
        used = batch->used - batch->entity_at - prefix_bytes(self);
        room = used < self->max_entity ? self->max_entity - used : 0;
    }
    return room < buffer_room ? room : buffer_room;
}

static void open_entity_if_needed(const PesitSession *self, PesitBatch *batch)
{
    if (batch->entity_at != SIZE_MAX)
        return;
    batch->entity_at = batch->used;
    batch->used += prefix_bytes(self);
}

static uint8_t *put_header(PesitSession *self, PesitBatch *batch, PesitFpduType type,
                           size_t content)
{
    uint8_t *at = batch->buffer + batch->used;
    uint8_t phase, code;

    pesit_fpdu_to_wire(type, &phase, &code);
    put_number16(at, PESIT_HEADER_BYTES + content);
    at[2] = phase;
    at[3] = code;
    at[4] = self->peer_id;
    at[5] = 0;
    batch->used += PESIT_HEADER_BYTES;
    self->counts.sent++;
    return batch->buffer + batch->used;
}

/* Where the next `length` data bytes belong: a slot for the caller, or a copy. */
static void put_content(PesitBatch *batch, const uint8_t *source, size_t length)
{
    uint8_t *at = batch->buffer + batch->used;

    if (source != NULL) {
        memcpy(at, source, length);
    } else {
        batch->slots[batch->slot_count++] = (PesitSlot){at, length};
        batch->slot_bytes += length;
    }
    batch->used += length;
}

static uint64_t interval_bytes(const PesitSession *self)
{
    if (self->interval_kb == SYNC_UNDEFINED)
        return UNDEFINED_INTERVAL_BYTES; /* the sender decides; longer than any article */
    return (uint64_t)self->interval_kb * KB;
}

static bool is_point_due(const PesitSession *self, size_t article)
{
    return self->facts.synchronised && self->since > 0 &&
           self->since + article > interval_bytes(self);
}

static bool is_window_full(const PesitSession *self)
{
    return self->facts.synchronised && self->window > 0 &&
           self->last_point - self->last_acked >= self->window;
}

/* SYN before the article that would exceed the interval. False: no room. */
static bool put_point(PesitSession *self, PesitBatch *batch)
{
    uint32_t point = self->last_point + 1;
    size_t digits = point > 0xFFFF ? 3 : point > 0xFF ? 2 : 1;
    uint8_t *at;

    if (batch->point_count == PESIT_BATCH_POINTS || point > POINT_MAX)
        return false;
    close_fpdu(batch);
    if (!self->options.concatenation || entity_room(self, batch) < SYN_MAX_BYTES)
        close_entity(self, batch);
    if (entity_room(self, batch) < SYN_MAX_BYTES)
        return false;
    open_entity_if_needed(self, batch);
    at = put_header(self, batch, PESIT_FPDU_SYN, LENGTH_BYTES + digits);
    at[0] = PESIT_PI_SYNC_NUMBER;
    at[1] = (uint8_t)digits;
    for (size_t i = 0; i < digits; i++)
        at[2 + i] = (uint8_t)(point >> (8 * (digits - 1 - i)));
    batch->used += LENGTH_BYTES + digits;
    batch->points[batch->point_count++] = (PesitSentPoint){point, self->bytes, self->articles};
    self->last_point = point;
    self->since = 0;
    if (!self->options.concatenation)
        close_entity(self, batch);
    return true;
}

static void count_article(PesitSession *self, size_t length)
{
    self->bytes += length;
    self->since += length;
    self->articles++;
}

/* Joins a multi-article DTF, opening one when needed. False: it does not fit here. */
static bool put_packed(PesitSession *self, PesitBatch *batch, const uint8_t *source, size_t length)
{
    size_t need = LENGTH_BYTES + length + (batch->fpdu_at == SIZE_MAX ? PESIT_HEADER_BYTES : 0);

    if (batch->fpdu_articles == ARTICLES_MAX) {
        close_fpdu(batch);
        if (!self->options.concatenation)
            close_entity(self, batch);
        need = PESIT_HEADER_BYTES + LENGTH_BYTES + length;
    }
    if (entity_room(self, batch) < need)
        return false;
    open_entity_if_needed(self, batch);
    if (batch->fpdu_at == SIZE_MAX) {
        batch->fpdu_at = batch->used;
        (void)put_header(self, batch, PESIT_FPDU_DTF, 0); /* filled in when closed */
    }
    put_number16(batch->buffer + batch->used, length);
    batch->used += LENGTH_BYTES;
    put_content(batch, source, length);
    batch->fpdu_articles++;
    return true;
}

static bool put_single(PesitSession *self, PesitBatch *batch, const uint8_t *source, size_t length)
{
    close_fpdu(batch);
    if (!self->options.concatenation)
        close_entity(self, batch);
    if (entity_room(self, batch) < PESIT_HEADER_BYTES + length)
        return false;
    open_entity_if_needed(self, batch);
    (void)put_header(self, batch, PESIT_FPDU_DTF, length); /* content follows */
    put_content(batch, source, length);
    return true;
}

/* DTFDA, DTFMA…, DTFFA; only when the whole article fits in the batch. */
static bool put_segmented(PesitSession *self, PesitBatch *batch, const uint8_t *source,
                          size_t length)
{
    size_t segment_max = self->max_entity - PESIT_HEADER_BYTES;
    size_t count = (length + segment_max - 1) / segment_max;
    size_t at = 0;

    close_entity(self, batch);
    if (batch->capacity - batch->used < length + count * (PREFIX_BYTES + PESIT_HEADER_BYTES) ||
        batch->slot_count + count > PESIT_BATCH_SLOTS)
        return false;
    while (at < length) {
        size_t segment = length - at < segment_max ? length - at : segment_max;
        PesitFpduType type = at == 0                  ? PESIT_FPDU_DTFDA
                             : at + segment == length ? PESIT_FPDU_DTFFA
                                                      : PESIT_FPDU_DTFMA;

        open_entity_if_needed(self, batch);
        (void)put_header(self, batch, type, segment); /* content follows */
        put_content(batch, source != NULL ? source + at : NULL, segment);
        close_entity(self, batch);
        at += segment;
    }
    return true;
}

static bool is_sending(const PesitSession *self)
{
    return session_is_sender(self) &&
           (self->state == STATE_WRITING || self->state == STATE_READING);
}

/* One article in the form that suits. source NULL: leaves a slot. */
static PesitStatus put_one(PesitSession *self, PesitBatch *batch, const uint8_t *source,
                           size_t length)
{
    bool small = length + PESIT_HEADER_BYTES + LENGTH_BYTES <= self->max_entity / 2u;
    bool fits = length + PESIT_HEADER_BYTES <= self->max_entity;
    bool packed =
            (self->options.multi_article && small) || (length == 0 && self->options.multi_article);
    bool done;

    if ((!fits && !self->options.segmentation) || (length == 0 && !packed))
        return PESIT_MISUSE;
    if (is_point_due(self, length) && !put_point(self, batch))
        return PESIT_LIMIT;
    if (is_window_full(self)) {
        batch->window_full = true;
        return PESIT_LIMIT;
    }
    if (batch->slot_count == PESIT_BATCH_SLOTS)
        return PESIT_LIMIT;
    if (!fits) {
        done = put_segmented(self, batch, source, length);
    } else {
        done = packed ? put_packed(self, batch, source, length)
                      : put_single(self, batch, source, length);
        if (!done) { /* a fresh entity */
            close_entity(self, batch);
            done = packed ? put_packed(self, batch, source, length)
                          : put_single(self, batch, source, length);
        }
    }
    if (!done)
        return PESIT_LIMIT;
    count_article(self, length);
    return PESIT_OK;
}

static void arm_window(PesitSession *self, const PesitBatch *batch)
{
    int64_t timeout_us = self->options.timers.protocol_us;

    self->deadline_us =
            batch->window_full && timeout_us > 0 ? self->now_us + timeout_us : INT64_MAX;
}

PesitStatus pesit_session_plan_data(PesitSession *self, PesitBatch *batch, uint64_t remaining_bytes,
                                    int64_t now_us)
{
    size_t article =
            self->article_bytes != 0 ? self->article_bytes : self->max_entity - PESIT_HEADER_BYTES;
    PesitStatus status = PESIT_OK;

    self->now_us = now_us;
    if (!is_sending(self) || remaining_bytes == 0)
        return PESIT_MISUSE;
    while (remaining_bytes > 0) {
        size_t length = remaining_bytes < article ? (size_t)remaining_bytes : article;

        status = put_one(self, batch, NULL, length);
        if (status != PESIT_OK)
            break;
        remaining_bytes -= length;
    }
    close_entity(self, batch);
    arm_window(self, batch);
    return batch->slot_count > 0 || batch->used > 0 ? PESIT_OK : status;
}

PesitStatus pesit_session_put_article(PesitSession *self, PesitBatch *batch, const uint8_t *article,
                                      size_t length, int64_t now_us)
{
    PesitStatus status;

    self->now_us = now_us;
    if (!is_sending(self) || (self->article_bytes != 0 && length > self->article_bytes))
        return PESIT_MISUSE;
    status = put_one(self, batch, article, length);
    arm_window(self, batch);
    return status;
}
