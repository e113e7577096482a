/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides of the message before CONNECT. Its octets are EBCDIC whatever the files are; the few letters that
 * names and passwords use are the same in all its code pages. messages §1.3.
 */
#include "protocol/preconnection.h"

#include <string.h>

#define MESSAGE_BYTES 24
#define FIELD_BYTES   8
#define BLANK         0x40

static const uint8_t ACCEPTED[] = {0xC1, 0xC3, 0xD2, 0xF0};                            /* ACK0 */
static const uint8_t REFUSED[] = {0xD5, 0xC1, 0xD2, 0xF0};                             /* NAK0 */
static const uint8_t PROTOCOL[] = {0xD7, 0xC5, 0xE2, 0xC9, 0xE3, BLANK, BLANK, BLANK}; /* PESIT */

/* from: the first of a run of ASCII characters; to: its EBCDIC octet. */
typedef struct {
    char from, count;
    uint8_t to;
} Run;

static const Run RUNS[] = {
        {'A', 9, 0xC1}, {'J', 9, 0xD1},  {'S', 8, 0xE2}, {'a', 9, 0x81},  {'j', 9, 0x91},
        {'s', 8, 0xA2}, {'0', 10, 0xF0}, {'.', 1, 0x4B}, {'<', 1, 0x4C},  {'(', 1, 0x4D},
        {'+', 1, 0x4E}, {'&', 1, 0x50},  {'*', 1, 0x5C}, {')', 1, 0x5D},  {';', 1, 0x5E},
        {'-', 1, 0x60}, {'/', 1, 0x61},  {',', 1, 0x6B}, {'%', 1, 0x6C},  {'_', 1, 0x6D},
        {'>', 1, 0x6E}, {'?', 1, 0x6F},  {':', 1, 0x7A}, {'\'', 1, 0x7D}, {'=', 1, 0x7E},
        {'"', 1, 0x7F},
};

bool preconnection_begins(const uint8_t *bytes)
{
    return bytes[0] == PROTOCOL[0] && (bytes[1] == PROTOCOL[1] || bytes[1] == 0x85 /* e */);
}

size_t pesit_preconnection_find(const uint8_t *bytes, size_t length, const char **ret_name)
{
    if (length >= MESSAGE_BYTES && preconnection_begins(bytes)) {
        *ret_name = "message before CONNECT";
        return MESSAGE_BYTES;
    }
    if (length < sizeof ACCEPTED)
        return 0;
    if (memcmp(bytes, ACCEPTED, sizeof ACCEPTED) == 0)
        *ret_name = "ACK0";
    else if (memcmp(bytes, REFUSED, sizeof REFUSED) == 0)
        *ret_name = "NAK0";
    else
        return 0;
    return sizeof ACCEPTED;
}

/* A character that EBCDIC's pages do not agree on becomes a blank: CONNECT decides anyway. */
static uint8_t to_ebcdic(uint8_t character)
{
    for (size_t i = 0; i < sizeof RUNS / sizeof *RUNS; i++) {
        const Run *run = &RUNS[i];

        if (character >= (uint8_t)run->from && character < run->from + run->count)
            return (uint8_t)(run->to + (character - (uint8_t)run->from));
    }
    return BLANK;
}

static void put(PesitSession *self, const uint8_t *bytes, size_t length, bool prefixed)
{
    if (prefixed) {
        self->output[self->output_to++] = 0;
        self->output[self->output_to++] = (uint8_t)length;
    }
    memcpy(self->output + self->output_to, bytes, length);
    self->output_to += length;
}

static PesitStatus end(PesitSession *self, const char *text)
{
    session_add_event(self, PESIT_EVENT_LOST)->text = text;
    self->output_to = self->output_from; /* nothing of it may leave */
    self->held_from = 0;
    self->state = STATE_OVER;
    self->close_now = true;
    return PESIT_VIOLATION;
}

PesitStatus preconnection_answer(PesitSession *self, const uint8_t *bytes, size_t length,
                                 size_t *ret_taken)
{
    size_t prefix = preconnection_begins(bytes) ? 0 : PREFIX_BYTES;

    if (length < prefix + MESSAGE_BYTES)
        return PESIT_NEED_MORE;
    if (self->preconnected)
        return end(self, "not PeSIT");
    self->preconnected = true;
    *ret_taken = prefix + MESSAGE_BYTES;
    put(self, ACCEPTED, sizeof ACCEPTED, prefix > 0);
    session_arm(self);
    return PESIT_OK;
}

static void fill_field(uint8_t *field, const PesitFpdu *connect, PesitPi pi)
{
    size_t length = 0;
    const uint8_t *bytes = pesit_fpdu_bytes(connect, pi, &length);

    for (size_t i = 0; i < FIELD_BYTES && i < length; i++)
        field[i] = to_ebcdic(bytes[i]);
}

void preconnection_propose(PesitSession *self, const PesitFpdu *connect)
{
    uint8_t message[MESSAGE_BYTES];

    memset(message, BLANK, sizeof message);
    memcpy(message, PROTOCOL, sizeof PROTOCOL);
    fill_field(message + FIELD_BYTES, connect, PESIT_PI_REQUESTER);
    fill_field(message + FIELD_BYTES + FIELD_BYTES, connect, PESIT_PI_ACCESS_CONTROL);
    put(self, message, sizeof message, self->framing == PESIT_FRAMING_PREFIXED);
    self->held_from = self->output_to;
}

PesitStatus preconnection_take_answer(PesitSession *self, const uint8_t *bytes, size_t length,
                                      size_t *ret_taken)
{
    size_t prefix = bytes[0] == 0 ? PREFIX_BYTES : 0; /* as it came, whatever ours was */

    if (length < prefix + sizeof ACCEPTED)
        return PESIT_NEED_MORE;
    if (memcmp(bytes + prefix, REFUSED, sizeof REFUSED) == 0)
        return end(self, "the partner refused the message before CONNECT (NAK0)");
    if (memcmp(bytes + prefix, ACCEPTED, sizeof ACCEPTED) != 0)
        return end(self, "the partner did not answer the message before CONNECT with ACK0");
    *ret_taken = prefix + sizeof ACCEPTED;
    self->held_from = 0;
    session_arm(self);
    return PESIT_OK;
}
