/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's decoder and encoder on lines of text, for the cases without a network: each line is
 * "lenient HEX" or "strict HEX", one message; the answer is the message encoded again in hex, or what was
 * wrong with it as "malformed 3/318". Data messages have no parameters: their header is encoded again.
 */
#include "protocol/fpdu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES (2 * PESIT_FPDU_MAX_BYTES + 64)

static size_t read_hex(const char *text, uint8_t *bytes, size_t capacity)
{
    size_t length = 0;
    unsigned octet;

    while (length < capacity && sscanf(text + 2 * length, "%2x", &octet) == 1)
        bytes[length++] = (uint8_t)octet;
    return length;
}

static void print_hex(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        printf("%02x", bytes[i]);
    printf("\n");
}

static void print_fault(PesitStatus status, PesitDiag diag)
{
    printf("%s %u/%03u\n", status == PESIT_MALFORMED ? "malformed" : "violation", diag.type,
           diag.code);
}

static void answer_data(uint8_t *bytes, size_t length)
{
    PesitFpduType type;
    PesitDiag diag;
    size_t announced;
    uint8_t dst, src;
    PesitStatus status = pesit_header_decode(bytes, &type, &announced, &dst, &src, &diag);

    if (status != PESIT_OK) {
        print_fault(status, diag);
        return;
    }
    bytes[0] = (uint8_t)(announced >> 8);
    bytes[1] = (uint8_t)announced;
    pesit_fpdu_to_wire(type, &bytes[2], &bytes[3]);
    bytes[4] = dst;
    bytes[5] = src;
    print_hex(bytes, length);
}

static void answer(const char *line)
{
    static uint8_t bytes[PESIT_FPDU_MAX_BYTES + 1], again[PESIT_FPDU_MAX_BYTES + 1];
    bool strict = strncmp(line, "strict", 6) == 0;
    const char *hex = strchr(line, ' ');
    size_t length = hex != NULL ? read_hex(hex + 1, bytes, sizeof bytes) : 0;
    size_t written = 0;
    PesitFpdu fpdu;
    PesitDiag diag = PESIT_DIAG_OK;
    PesitStatus status = pesit_fpdu_decode(bytes, length, strict, &fpdu, NULL, &diag);

    if (status == PESIT_MISUSE) {
        answer_data(bytes, length);
        return;
    }
    if (status != PESIT_OK) {
        print_fault(status, diag);
        return;
    }
    status = pesit_fpdu_encode(&fpdu, again, sizeof again, &written);
    if (status == PESIT_OK)
        print_hex(again, written);
    else
        printf("cannot be encoded: %d\n", (int)status);
}

int main(void)
{
    char *line = malloc(LINE_BYTES);

    if (line == NULL)
        return 1;
    while (fgets(line, LINE_BYTES, stdin) != NULL) {
        answer(line);
        if (fflush(stdout) != 0)
            break;
    }
    free(line);
    return 0;
}
