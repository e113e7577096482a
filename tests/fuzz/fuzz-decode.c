/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder on any bytes: it never crashes, what it accepts it can encode again, and the trace always ends.
 */
#include "protocol/fpdu.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static uint8_t again[PESIT_FPDU_MAX_BYTES];
    char text[256];

    (void)pesit_fpdu_format(bytes, length, text, sizeof text); /* the length does not matter */
    for (int strict = 0; strict < 2; strict++) {
        PesitFpdu fpdu, second;
        PesitRemarks remarks;
        PesitDiag diag;
        size_t written = 0;

        if (pesit_fpdu_decode(bytes, length, strict != 0, &fpdu, &remarks, &diag) != PESIT_OK)
            continue;
        if (strict == 0)
            continue;
        /* what is right to the letter comes back the same */
        if (pesit_fpdu_encode(&fpdu, again, sizeof again, &written) == PESIT_OK &&
            pesit_fpdu_decode(again, written, true, &second, &remarks, &diag) != PESIT_OK)
            abort();
    }
    return 0;
}
