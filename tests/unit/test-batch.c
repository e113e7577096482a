/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Articles laid out in entities, read back by a reader that knows nothing of the writer: whole articles in the order
 * they were given, forms as agreed, no entity too long, points where they are due. Sizes around every boundary of
 * packing. procedures §10.2 and §13.4.
 */
#include "protocol/session-private.h"

#include <glib.h>
#include <string.h>

#define BUFFER_BYTES (1u << 20)
#define HEADER       PESIT_HEADER_BYTES

typedef struct {
    uint16_t max_entity;
    bool prefixed, multi_article, segmentation, concatenation;
    uint16_t interval_kb; /* 0: no points */
} Agreed;

typedef struct {
    Agreed agreed;
    PesitSession *session;
    PesitBatch *batch;
    uint8_t *buffer;
    GByteArray *sent; /* what would be on the wire */
    /* read back */
    GArray *lengths; /* of articles, size_t */
    GByteArray *data;
    unsigned entities, messages, points, packed, singles, segments;
    uint64_t since;
    size_t open; /* bytes of the article being put together from segments, 0: none */
} Layout;

static Layout *layout_new(Agreed agreed)
{
    Layout *self = g_new0(Layout, 1);
    PesitSessionOptions options = {.role = PESIT_ROLE_REQUESTER,
                                   .framing = agreed.prefixed ? PESIT_FRAMING_PREFIXED
                                                              : PESIT_FRAMING_RAW,
                                   .own_id = 1,
                                   .multi_article = agreed.multi_article,
                                   .segmentation = agreed.segmentation,
                                   .concatenation = agreed.concatenation,
                                   .max_entity_bytes = agreed.max_entity};

    self->agreed = agreed;
    self->session = pesit_session_new(&options, 0);
    self->session->state = STATE_WRITING;
    self->session->peer_id = 0x61;
    self->session->max_entity = agreed.max_entity;
    self->session->interval_kb = agreed.interval_kb;
    self->session->facts.synchronised = agreed.interval_kb != 0;
    self->buffer = g_malloc(BUFFER_BYTES);
    self->batch = g_new0(PesitBatch, 1);
    self->batch->buffer = self->buffer;
    self->batch->capacity = BUFFER_BYTES;
    pesit_batch_clear(self->batch);
    self->sent = g_byte_array_new();
    self->lengths = g_array_new(FALSE, FALSE, sizeof(size_t));
    self->data = g_byte_array_new();
    return self;
}

static void layout_free(Layout *self)
{
    pesit_session_free(self->session);
    g_free(self->batch);
    g_free(self->buffer);
    g_byte_array_unref(self->sent);
    g_array_unref(self->lengths);
    g_byte_array_unref(self->data);
    g_free(self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Layout, layout_free)

/* reading back */

static void take_article(Layout *self, const uint8_t *bytes, size_t length)
{
    g_array_append_val(self->lengths, length);
    g_byte_array_append(self->data, bytes, (guint)length);
    self->since += length;
    if (self->agreed.interval_kb != 0) /* one article alone may be longer */
        g_assert_true(self->since <= self->agreed.interval_kb * UINT64_C(1024) ||
                      self->since == length);
}

static void take_packed(Layout *self, const uint8_t *content, size_t length, unsigned count)
{
    size_t at = 0;

    g_assert_true(self->agreed.multi_article);
    self->packed++;
    for (unsigned i = 0; i < count; i++) {
        size_t article;

        g_assert_cmpuint(at + 2, <=, length);
        article = content[at] * 256u + content[at + 1];
        g_assert_cmpuint(at + 2 + article, <=, length);
        take_article(self, content + at + 2, article);
        at += 2 + article;
    }
    g_assert_cmpuint(at, ==, length);
}

static void take_segment(Layout *self, PesitFpduType type, const uint8_t *content, size_t length)
{
    g_assert_true(self->agreed.segmentation);
    g_assert_cmpuint(length, >, 0);
    g_assert_cmpint(self->open != 0, ==, type != PESIT_FPDU_DTFDA);
    g_byte_array_append(self->data, content, (guint)length);
    self->open += length;
    self->segments++;
    if (type != PESIT_FPDU_DTFFA)
        return;
    g_array_append_val(self->lengths, self->open);
    self->since += self->open;
    self->open = 0;
}

static void take_message(Layout *self, const uint8_t *message, size_t length)
{
    PesitFpduType type = pesit_fpdu_from_wire(message[2], message[3]);
    const uint8_t *content = message + HEADER;

    self->messages++;
    g_assert_cmpuint(message[4], ==, 0x61);
    if (type == PESIT_FPDU_SYN) {
        uint32_t number = 0;

        g_assert_cmpuint(content[0], ==, PESIT_PI_SYNC_NUMBER);
        for (unsigned i = 0; i < content[1]; i++)
            number = number << 8 | content[2 + i];
        g_assert_cmpuint(number, ==, self->points + 1);
        g_assert_cmpuint(self->open, ==, 0);
        self->points++;
        self->since = 0;
    } else if (type != PESIT_FPDU_DTF) {
        g_assert_cmpuint(message[5], ==, 0);
        take_segment(self, type, content, length - HEADER);
    } else if (message[5] == 0) {
        g_assert_cmpuint(length, >, HEADER); /* empty data messages are not allowed */
        self->singles++;
        take_article(self, content, length - HEADER);
    } else {
        take_packed(self, content, length - HEADER, message[5]);
    }
}

static void read_back(Layout *self)
{
    const uint8_t *bytes = self->sent->data;
    size_t at = 0;

    while (at < self->sent->len) {
        size_t entity, end;
        unsigned inside = 0;

        if (self->agreed.prefixed) {
            entity = bytes[at] * 256u + bytes[at + 1];
            at += 2;
        } else {
            entity = bytes[at] * 256u + bytes[at + 1]; /* of the message: no borders of entities */
        }
        g_assert_cmpuint(entity, <=, self->agreed.max_entity);
        end = at + entity;
        g_assert_cmpuint(end, <=, self->sent->len);
        self->entities++;
        while (at < end) {
            size_t length = bytes[at] * 256u + bytes[at + 1];

            g_assert_cmpuint(length, >=, HEADER);
            g_assert_cmpuint(at + length, <=, end);
            take_message(self, bytes + at, length);
            at += length;
            inside++;
        }
        g_assert_true(inside == 1 || self->agreed.concatenation);
    }
    g_assert_cmpuint(self->open, ==, 0);
}

/* writing */

static void fill(uint8_t *bytes, size_t from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)((from + i) * 7 + (from + i) / 256);
}

static void send(Layout *self)
{
    pesit_session_close_batch(self->session, self->batch);
    g_byte_array_append(self->sent, self->buffer, (guint)self->batch->used);
    pesit_batch_clear(self->batch);
}

/* Puts articles of the same length; their bytes go on from one to the next. */
static void put(Layout *self, size_t length, size_t count)
{
    g_autofree uint8_t *article = g_malloc(MAX(length, 1));

    for (size_t i = 0; i < count; i++) {
        PesitStatus status;

        fill(article, i * length, length);
        status = pesit_session_put_article(self->session, self->batch, article, length, 0);
        if (status == PESIT_LIMIT) {
            g_assert_false(self->batch->window_full);
            send(self);
            status = pesit_session_put_article(self->session, self->batch, article, length, 0);
        }
        g_assert_cmpint(status, ==, PESIT_OK);
    }
    send(self);
}

static void check(Layout *self, size_t length, size_t count)
{
    g_autofree uint8_t *expected = g_malloc(MAX(length * count, 1));

    read_back(self);
    g_assert_cmpuint(self->lengths->len, ==, count);
    for (guint i = 0; i < count; i++)
        g_assert_cmpuint(g_array_index(self->lengths, size_t, i), ==, length);
    fill(expected, 0, length * count);
    g_assert_cmpmem(self->data->data, self->data->len, expected, length * count);
    g_assert_cmpuint(self->session->articles, ==, count);
    g_assert_cmpuint(self->session->bytes, ==, length * count);
}

/* 255 is what the count octet can say. */
static void test_counts(void)
{
    static const struct {
        size_t count;
        unsigned packed, singles;
    } CASES[] = {{1, 0, 1},   {2, 1, 0},   {254, 1, 0}, {255, 1, 0},
                 {256, 1, 1}, {257, 2, 0}, {510, 2, 0}, {511, 2, 1}};

    for (int form = 0; form < 4; form++) {
        for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
            Agreed agreed = {.max_entity = 4096,
                             .multi_article = true,
                             .prefixed = (form & 1) != 0,
                             .concatenation = (form & 2) != 0};
            g_autoptr(Layout) layout = layout_new(agreed);

            put(layout, 1, CASES[i].count);
            check(layout, 1, CASES[i].count);
            g_assert_cmpuint(layout->packed, ==, CASES[i].packed);
            g_assert_cmpuint(layout->singles, ==, CASES[i].singles);
        }
    }
}

/* Every length around every border, in every form. */
static void test_lengths(void)
{
    static const uint16_t ENTITIES[] = {128, 129, 4096, 32750, 65535};

    for (size_t e = 0; e < G_N_ELEMENTS(ENTITIES); e++) {
        size_t max = ENTITIES[e];
        size_t around[] = {1,
                           2,
                           max / 3,
                           max / 2 - HEADER - 2,
                           max / 2,
                           max - HEADER - 2,
                           max - HEADER,
                           2 * (max - HEADER)};

        for (size_t i = 0; i < G_N_ELEMENTS(around); i++) {
            for (size_t length = around[i] > 2 ? around[i] - 2 : 1;
                 length <= around[i] + 2 && length <= 65535; length++) {
                for (int form = 0; form < 16; form++) {
                    Agreed agreed = {.max_entity = ENTITIES[e],
                                     .multi_article = (form & 1) != 0,
                                     .prefixed = (form & 2) != 0,
                                     .concatenation = (form & 4) != 0,
                                     .segmentation = true,
                                     .interval_kb = (form & 8) != 0 ? 1 : 0};
                    g_autoptr(Layout) layout = layout_new(agreed);

                    put(layout, length, 5);
                    check(layout, length, 5);
                    if (length + HEADER <= max)
                        g_assert_cmpuint(layout->segments, ==, 0);
                    else
                        g_assert_cmpuint(layout->segments, ==,
                                         5 * ((length + max - HEADER - 1) / (max - HEADER)));
                }
            }
        }
    }
}

static void test_what_cannot_go(void)
{
    static uint8_t article[200];
    Agreed agreed = {.max_entity = 128, .prefixed = true};
    g_autoptr(Layout) plain = layout_new(agreed);
    g_autoptr(Layout) limited = layout_new(agreed);

    g_assert_cmpint(pesit_session_put_article(plain->session, plain->batch, article, 122, 0), ==,
                    PESIT_OK);
    g_assert_cmpint(pesit_session_put_article(plain->session, plain->batch, article, 123, 0), ==,
                    PESIT_MISUSE);
    g_assert_cmpint(pesit_session_put_article(plain->session, plain->batch, article, 0, 0), ==,
                    PESIT_MISUSE);
    limited->session->article_bytes = 10;
    g_assert_cmpint(pesit_session_put_article(limited->session, limited->batch, article, 10, 0), ==,
                    PESIT_OK);
    g_assert_cmpint(pesit_session_put_article(limited->session, limited->batch, article, 11, 0), ==,
                    PESIT_MISUSE);
    limited->session->state = STATE_OPEN;
    g_assert_cmpint(pesit_session_put_article(limited->session, limited->batch, article, 10, 0), ==,
                    PESIT_MISUSE);
}

/* Empty articles travel only among others. */
static void test_empty(void)
{
    Agreed agreed = {.max_entity = 4096, .multi_article = true, .prefixed = true};

    for (size_t count = 1; count <= 600; count += 119) {
        g_autoptr(Layout) layout = layout_new(agreed);

        put(layout, 0, count);
        check(layout, 0, count);
        g_assert_cmpuint(layout->singles, ==, 0);
    }
}

/* A point comes before the article that would make it too much, not before the one that fills it. */
static void test_points(void)
{
    static const struct {
        size_t length, count;
        unsigned points;
    } CASES[] = {{1024, 1, 0}, {1024, 2, 1}, {512, 2, 0},  {512, 3, 1}, {512, 5, 2}, {1023, 2, 1},
                 {1, 1024, 0}, {1, 1025, 1}, {1025, 3, 2}, {341, 3, 0}, {342, 3, 1}};

    for (int form = 0; form < 4; form++) {
        for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
            Agreed agreed = {.max_entity = 4096,
                             .prefixed = true,
                             .multi_article = (form & 1) != 0,
                             .concatenation = (form & 2) != 0,
                             .interval_kb = 1};
            g_autoptr(Layout) layout = layout_new(agreed);

            put(layout, CASES[i].length, CASES[i].count);
            check(layout, CASES[i].length, CASES[i].count);
            g_assert_cmpuint(layout->points, ==, CASES[i].points);
        }
    }
}

/* The number of a point takes one, two, then three octets; past 999999 there is none. */
static void test_point_numbers(void)
{
    static const uint32_t LAST[] = {254, 255, 65534, 65535, 999998};
    static uint8_t article[1024];

    for (size_t i = 0; i < G_N_ELEMENTS(LAST); i++) {
        Agreed agreed = {.max_entity = 4096, .prefixed = true, .interval_kb = 1};
        g_autoptr(Layout) layout = layout_new(agreed);

        layout->session->last_point = layout->points = LAST[i];
        layout->session->last_acked = LAST[i];
        put(layout, 1024, 2);
        read_back(layout);
        g_assert_cmpuint(layout->points, ==, LAST[i] + 1);
        if (LAST[i] == 999998)
            g_assert_cmpint(
                    pesit_session_put_article(layout->session, layout->batch, article, 1024, 0), ==,
                    PESIT_LIMIT);
    }
}

/* Slots of a binary file: laid out without being seen, then filled. */
static void test_slots(void)
{
    static const uint16_t RECORDS[] = {0, 1, 2, 60, 2040, 4090, 4091, 9000};

    for (size_t i = 0; i < G_N_ELEMENTS(RECORDS); i++) {
        for (int form = 0; form < 4; form++) {
            Agreed agreed = {.max_entity = 4096,
                             .prefixed = true,
                             .segmentation = true,
                             .multi_article = (form & 1) != 0,
                             .concatenation = (form & 2) != 0,
                             .interval_kb = 32};
            g_autoptr(Layout) layout = layout_new(agreed);
            size_t done = 0, size = 100001;
            g_autofree uint8_t *expected = g_malloc(size);

            layout->session->article_bytes = RECORDS[i];
            while (done < size) {
                g_assert_cmpint(
                        pesit_session_plan_data(layout->session, layout->batch, size - done, 0), ==,
                        PESIT_OK);
                for (size_t slot = 0; slot < layout->batch->slot_count; slot++) {
                    fill(layout->batch->slots[slot].bytes, done, layout->batch->slots[slot].length);
                    done += layout->batch->slots[slot].length;
                }
                send(layout);
            }
            read_back(layout);
            fill(expected, 0, size);
            g_assert_cmpmem(layout->data->data, layout->data->len, expected, size);
            for (guint at = 0; RECORDS[i] != 0 && at + 1 < layout->lengths->len; at++)
                g_assert_cmpuint(g_array_index(layout->lengths, size_t, at), ==, RECORDS[i]);
            g_assert_cmpuint(layout->points, >=, RECORDS[i] == 1 ? 3 : 2);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/batch/counts", test_counts);
    g_test_add_func("/batch/lengths", test_lengths);
    g_test_add_func("/batch/what-cannot-go", test_what_cannot_go);
    g_test_add_func("/batch/empty", test_empty);
    g_test_add_func("/batch/points", test_points);
    g_test_add_func("/batch/point-numbers", test_point_numbers);
    g_test_add_func("/batch/slots", test_slots);
    return g_test_run();
}
