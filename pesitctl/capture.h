/* SPDX-License-Identifier: Apache-2.0 */
/* A capture as bytes, whether it came as bytes or as hexadecimal text. Main thread. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    GByteArray *bytes;
    GArray *lines; /* of CaptureLine, by offset; empty of a capture that came as bytes */
} Capture;

typedef struct {
    size_t offset;   /* of its first byte */
    unsigned number; /* in the text, from 1 */
    char direction;  /* '<' to the server, '>' from it, ' ' unknown */
} CaptureLine;

/* Reads a file, standard input when name is NULL or "-". Text: hexadecimal digits, blanks between bytes if any,
 * a direction in front of a line, # before a comment. INVALID: neither, too large, or nothing in it. */
bool capture_read(Capture *ret_capture, const char *name, GError **error);
void capture_clear(Capture *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Capture, capture_clear)
/* Line that a byte came from; NULL of a capture that came as bytes. */
const CaptureLine *capture_find_line(const Capture *self, size_t offset);
