/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a capture, finds out whether it is text, and keeps for each line of text where its bytes begin. */
#include "pesitctl/capture.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CAPTURE_MAX (256u << 20)
#define CHUNK_BYTES (64u << 10)
#define BLANKS      " \t\r"

static bool read_all(GByteArray *bytes, const char *name, GError **error)
{
    bool standard = name == NULL || strcmp(name, "-") == 0;
    g_auto(Fd) file = standard ? -1 : open(name, O_RDONLY | O_CLOEXEC);
    guint8 chunk[CHUNK_BYTES];

    if (!standard && file < 0) {
        error_set_errno(error, errno, "open '%s'", name);
        return false;
    }
    for (;;) {
        ssize_t count = read(standard ? STDIN_FILENO : file, chunk, sizeof chunk);

        if (count < 0) {
            error_set_errno(error, errno, "read '%s'", standard ? "standard input" : name);
            return false;
        }
        if (count == 0)
            return true;
        if (bytes->len + (size_t)count > CAPTURE_MAX) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "more than %u MiB: cut the capture",
                        CAPTURE_MAX >> 20);
            return false;
        }
        g_byte_array_append(bytes, chunk, (guint)count);
    }
}

/* FPDUs hold octets below the blank in their header, lines of text do not. */
static bool is_text(const GByteArray *bytes)
{
    for (guint i = 0; i < bytes->len; i++) {
        guint8 byte = bytes->data[i];

        if (byte < ' ' && byte != '\t' && byte != '\r' && byte != '\n')
            return false;
    }
    return true;
}

/* One line of text, without its end. */
static bool parse_line(Capture *self, const char *text, unsigned number, GError **error)
{
    const char *at = text + strspn(text, " \t");
    bool marked = *at == '<' || *at == '>';
    CaptureLine line = {self->bytes->len, number, marked ? *at : ' '};

    at += marked ? 1 : 0;
    at += strspn(at, BLANKS);
    while (*at != '\0' && *at != '#') {
        int high = g_ascii_xdigit_value(at[0]);
        int low = high >= 0 ? g_ascii_xdigit_value(at[1]) : -1;
        guint8 byte = (guint8)(high * 16 + low);

        if (low < 0) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                        "offset %u (line %u column %zu): no byte in hexadecimal", self->bytes->len,
                        number, (size_t)(at - text) + 1);
            return false;
        }
        g_byte_array_append(self->bytes, &byte, 1);
        at += 2;
        at += strspn(at, BLANKS);
    }
    if (self->bytes->len > line.offset)
        g_array_append_val(self->lines, line);
    return true;
}

/* The text's bytes take the place of the text. */
static bool parse_text(Capture *self, GError **error)
{
    g_autofree char *text = g_strndup((const char *)self->bytes->data, self->bytes->len);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    g_byte_array_set_size(self->bytes, 0);
    for (unsigned i = 0; lines[i] != NULL; i++) {
        if (!parse_line(self, lines[i], i + 1, error))
            return false;
    }
    return true;
}

bool capture_read(Capture *ret_capture, const char *name, GError **error)
{
    g_auto(Capture) capture = {g_byte_array_new(), g_array_new(FALSE, FALSE, sizeof(CaptureLine))};

    if (!read_all(capture.bytes, name, error) ||
        (capture.bytes->len > 0 && is_text(capture.bytes) && !parse_text(&capture, error)))
        return false;
    if (capture.bytes->len == 0) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "nothing to decode");
        return false;
    }
    *ret_capture = capture;
    capture = (Capture){NULL};
    return true;
}

void capture_clear(Capture *self)
{
    g_clear_pointer(&self->bytes, g_byte_array_unref);
    g_clear_pointer(&self->lines, g_array_unref);
}

const CaptureLine *capture_find_line(const Capture *self, size_t offset)
{
    guint from = 0, to = self->lines->len;

    while (to - from > 1) {
        guint middle = from + (to - from) / 2;

        if (g_array_index(self->lines, CaptureLine, middle).offset <= offset)
            from = middle;
        else
            to = middle;
    }
    return to > from ? &g_array_index(self->lines, CaptureLine, from) : NULL;
}
