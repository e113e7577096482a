/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reason codes of PI 2 in words, for people. Annex D; and the codes outside it that products send
 * (some from ETEBAC 5, some of their own, in part contradictory), which are shown as vendor codes
 * and never sent. What to do about a code is not here.
 */
#include "protocol/fpdu.h"

typedef struct {
    uint16_t code;
    const char *text;
} DiagRow;

#define VENDOR "vendor code"

/* ascending */
/* clang-format off */
static const DiagRow DIAG_ROWS[] = {
    { 0, "success" },
    { 100, "transmission error" },
    { 139, VENDOR ": invalid file attributes" },
    { 200, "insufficient file characteristics" },
    { 201, "system resources temporarily short" },
    { 202, "user resources temporarily short" },
    { 203, "transfer not of sufficient priority" },
    { 204, "file already exists" },
    { 205, "file does not exist" },
    { 206, "would exceed the disk quota" },
    { 207, "file busy" },
    { 208, "file not old enough" },
    { 209, "message type not accepted" },
    { 210, "presentation context negotiation failed" },
    { 211, "cannot open the file" },
    { 212, "cannot close the file normally" },
    { 213, "blocking input/output error" },
    { 214, "restart point negotiation failed" },
    { 215, "system-specific error" },
    { 216, "voluntary early stop" },
    { 217, "too many synchronisation points not acknowledged" },
    { 218, "resynchronisation impossible" },
    { 219, "file space exhausted" },
    { 220, "article longer than expected" },
    { 221, "end-of-transmission delay expired" },
    { 222, "too much data without a synchronisation point" },
    { 223, "abnormal end of transfer" },
    { 224, "file larger than announced" },
    { 225, "receiving application congested, the file was received" },
    { 226, "transfer refused" },
    { 227, VENDOR ": restart refused" },
    { 228, VENDOR ": file type not supported, or restart refused" },
    { 229, VENDOR ": file type not for this direction, or restart refused" },
    { 230, VENDOR ": file type not for this application, or restart refused" },
    { 231, VENDOR ": transfer identifier not unique" },
    { 232, VENDOR ": coding does not go with the file type" },
    { 233, VENDOR ": restart context not available" },
    { 234, VENDOR ": entity size does not go with the record" },
    { 235, VENDOR ": record format does not go with the type" },
    { 236, VENDOR ": record length does not go with the type" },
    { 237, VENDOR ": client identifier wrong" },
    { 238, VENDOR ": client not authorised" },
    { 239, VENDOR ": client and bank do not go together" },
    { 240, VENDOR ": client not authorised on the server" },
    { 241, VENDOR ": bank not authorised on the server" },
    { 242, VENDOR ": old password invalid" },
    { 243, VENDOR ": new password invalid" },
    { 245, VENDOR ": incorrect file length" },
    { 246, VENDOR ": no such file for this client" },
    { 247, VENDOR ": no such file on the server" },
    { 248, VENDOR ": identifier type not supported" },
    { 249, VENDOR ": nominative reference not supported" },
    { 250, VENDOR ": file already transferred" },
    { 251, VENDOR ": reference type not supported" },
    { 252, VENDOR ": start date too old" },
    { 253, VENDOR ": bad dates" },
    { 254, VENDOR ": file service closed" },
    { 299, "other error about the file" },
    { 300, "local communication system congested" },
    { 301, "called identifier unknown" },
    { 302, "called party not attached" },
    { 303, "remote communication system congested, too many connections" },
    { 304, "requester not authorised" },
    { 305, "SELECT negotiation failed" },
    { 306, "RESYN negotiation failed" },
    { 307, "SYNC negotiation failed" },
    { 308, "version not supported" },
    { 309, "too many connections for this partner" },
    { 310, "network incident" },
    { 311, "remote PeSIT protocol error" },
    { 312, "closed by the user" },
    { 313, "idle timer expired" },
    { 314, "unused connection closed for another" },
    { 315, "negotiation failure" },
    { 316, "closed by administration" },
    { 317, "timer expired" },
    { 318, "mandatory parameter missing or illegal content" },
    { 319, "byte or article count wrong" },
    { 320, "too many resynchronisations" },
    { 321, "call the rescue number" },
    { 322, "call back later" },
    { 323, VENDOR ": CRC does not go with the connection" },
    { 324, VENDOR ": bad requester identifier" },
    { 325, VENDOR ": old password invalid" },
    { 326, VENDOR ": new password invalid" },
    { 327, VENDOR ": receive access closed" },
    { 328, VENDOR ": receive access not supported" },
    { 329, VENDOR ": send access closed" },
    { 330, VENDOR ": send access not supported" },
    { 331, VENDOR ": timer too large" },
    { 332, VENDOR ": write not negotiated" },
    { 333, VENDOR ": read not negotiated" },
    { 334, VENDOR ": reverse charging refused" },
    { 335, VENDOR ": caller number refused" },
    { 336, VENDOR ": server date refused" },
    { 399, "other error about the connection" },
};
/* clang-format on */

const char *pesit_diag_text(PesitDiag diag)
{
    for (size_t i = 0; i < sizeof DIAG_ROWS / sizeof *DIAG_ROWS; i++) {
        if (DIAG_ROWS[i].code == diag.code)
            return DIAG_ROWS[i].text;
    }
    return VENDOR;
}
