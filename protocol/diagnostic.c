/* SPDX-License-Identifier: Apache-2.0 */
/* Reason codes of PI 2 in words, for people. Annex D. */
#include "protocol/fpdu.h"

typedef struct {
    uint16_t code;
    const char *text;
} DiagRow;

/* clang-format off */
static const DiagRow DIAGNOSTICS[] = {
    { 0, "success" }, { 100, "transmission error" }, { 200, "insufficient file characteristics" },
    { 201, "system resources temporarily short" }, { 202, "user resources temporarily short" },
    { 203, "transfer not of sufficient priority" }, { 204, "file already exists" },
    { 205, "file does not exist" }, { 206, "would exceed the disk quota" }, { 207, "file busy" },
    { 208, "file not old enough" }, { 209, "message type not accepted" },
    { 210, "presentation context negotiation failed" }, { 211, "cannot open the file" },
    { 212, "cannot close the file normally" }, { 213, "blocking input/output error" },
    { 214, "restart point negotiation failed" }, { 215, "system-specific error" },
    { 216, "voluntary early stop" }, { 217, "too many points not acknowledged" },
    { 218, "resynchronisation impossible" }, { 219, "file space exhausted" },
    { 220, "article longer than expected" }, { 221, "end of transmission delay expired" },
    { 222, "too much data without a synchronisation point" }, { 223, "abnormal end of transfer" },
    { 224, "file larger than announced" }, { 225, "receiving application congested, file received" },
    { 226, "transfer refused" }, { 299, "other" }, { 300, "local communication system congested" },
    { 301, "called identifier unknown" }, { 302, "called party not attached" },
    { 303, "too many connections" }, { 304, "requester not authorised" },
    { 305, "SELECT negotiation failed" }, { 306, "RESYN negotiation failed" },
    { 307, "SYNC negotiation failed" }, { 308, "version not supported" },
    { 309, "too many connections for this partner" }, { 310, "network incident" },
    { 311, "remote protocol error" }, { 312, "closed by the user" }, { 313, "idle timer expired" },
    { 314, "unused connection closed for another" }, { 315, "negotiation failure" },
    { 316, "closed by administration" }, { 317, "timer expired" },
    { 318, "mandatory parameter missing or illegal content" },
    { 319, "byte or article count wrong" }, { 320, "too many resynchronisations" },
    { 321, "call the rescue number" }, { 322, "call back later" }, { 399, "other" },
};
/* clang-format on */

const char *pesit_diag_text(PesitDiag diag)
{
    for (size_t i = 0; i < sizeof DIAGNOSTICS / sizeof *DIAGNOSTICS; i++) {
        if (DIAGNOSTICS[i].code == diag.code)
            return DIAGNOSTICS[i].text;
    }
    return "vendor code";
}
