/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogues: parameters, FPDU types with what each may carry in wire order, and access to the values
 * of one FPDU. Adding a parameter or an FPDU is adding a row. Chapters 4.7.1 to 4.7.4 and annex E.
 */
#include "protocol/catalogue.h"

#include <string.h>

/* clang-format off */
static const PesitPiRow PI_ROWS[PESIT_PI_COUNT] = {
    /*                                 kind               min max  received secret max_value name */
    [PESIT_PI_CRC]                  = { PESIT_KIND_SYMBOL, 1, 1,    0,    false, 1, "crc", "4.7.3 PI 1" },
    [PESIT_PI_DIAGNOSTIC]           = { PESIT_KIND_PACKED, 3, 3,    0,    false, 0, "diagnostic", "4.7.3 PI 2" },
    [PESIT_PI_REQUESTER]            = { PESIT_KIND_TEXT,   1, 24,   0,    false, 0, "requester", "4.7.3 PI 3" },
    [PESIT_PI_SERVER]               = { PESIT_KIND_TEXT,   1, 24,   0,    false, 0, "server", "4.7.3 PI 4" },
    [PESIT_PI_ACCESS_CONTROL]       = { PESIT_KIND_TEXT,   1, 16,   0,    true,  0, "access control", "4.7.3 PI 5" },
    [PESIT_PI_VERSION]              = { PESIT_KIND_NUMBER, 1, 1,    2,    false, 0, "version", "4.7.3 PI 6" },
    [PESIT_PI_SYNC_OPTION]          = { PESIT_KIND_PACKED, 3, 3,    0,    false, 0, "sync option", "4.7.3 PI 7" },
    [PESIT_PI_FILE_TYPE]            = { PESIT_KIND_NUMBER, 1, 2,    0,    false, 0, "file type", "4.7.3 PI 11" },
    [PESIT_PI_FILE_NAME]            = { PESIT_KIND_TEXT,   1, 76,   0,    false, 0, "file name", "4.7.3 PI 12" },
    [PESIT_PI_TRANSFER_ID]          = { PESIT_KIND_NUMBER, 1, 3,    0,    false, 0, "transfer id", "4.7.3 PI 13" },
    [PESIT_PI_ATTRIBUTES_REQUESTED] = { PESIT_KIND_MASK,   1, 1,    0,    false, 0, "attributes requested", "4.7.3 PI 14" },
    [PESIT_PI_RESTARTED]            = { PESIT_KIND_SYMBOL, 1, 1,    0,    false, 1, "restarted", "4.7.3 PI 15" },
    [PESIT_PI_DATA_CODE]            = { PESIT_KIND_SYMBOL, 1, 1,    0,    false, 2, "data code", "4.7.3 PI 16" },
    [PESIT_PI_PRIORITY]             = { PESIT_KIND_SYMBOL, 1, 1,    0,    false, 0, "priority", "4.7.3 PI 17" },
    [PESIT_PI_RESTART_POINT]        = { PESIT_KIND_NUMBER, 1, 3,    0,    false, 0, "restart point", "4.7.3 PI 18" },
    [PESIT_PI_END_CODE]             = { PESIT_KIND_SYMBOL, 1, 1,    0,    false, 0, "end code", "4.7.3 PI 19" },
    [PESIT_PI_SYNC_NUMBER]          = { PESIT_KIND_NUMBER, 1, 3,    0,    false, 0, "sync number", "4.7.3 PI 20" },
    [PESIT_PI_COMPRESSION]          = { PESIT_KIND_PACKED, 2, 2,    0,    false, 0, "compression", "4.7.3 PI 21" },
    [PESIT_PI_ACCESS_TYPE]          = { PESIT_KIND_SYMBOL, 1, 1,    0,    false, 2, "access type", "4.7.3 PI 22" },
    [PESIT_PI_RESYNC]               = { PESIT_KIND_SYMBOL, 1, 1,    0,    false, 1, "resync", "4.7.3 PI 23" },
    [PESIT_PI_MAX_ENTITY]           = { PESIT_KIND_NUMBER, 1, 2,    0,    false, 0, "max entity", "4.7.3 PI 25" },
    [PESIT_PI_TIMEOUT]              = { PESIT_KIND_NUMBER, 1, 2,    0,    false, 0, "timeout", "4.7.3 PI 26" },
    [PESIT_PI_BYTE_COUNT]           = { PESIT_KIND_NUMBER, 1, 8,    0,    false, 0, "byte count", "4.7.3 PI 27" },
    [PESIT_PI_ARTICLE_COUNT]        = { PESIT_KIND_NUMBER, 1, 4,    0,    false, 0, "article count", "4.7.3 PI 28" },
    [PESIT_PI_DIAGNOSTIC_TEXT]      = { PESIT_KIND_BYTES,  1, 254,  65535, false, 0, "diagnostic text", "4.7.3 PI 29" },
    [PESIT_PI_ARTICLE_FORMAT]       = { PESIT_KIND_MASK,   1, 1,    0,    false, 0, "article format", "4.7.3 PI 31" },
    [PESIT_PI_ARTICLE_LENGTH]       = { PESIT_KIND_NUMBER, 1, 2,    0,    false, 0, "article length", "4.7.3 PI 32" },
    [PESIT_PI_ORGANISATION]         = { PESIT_KIND_SYMBOL, 1, 1,    0,    false, 2, "organisation", "4.7.3 PI 33" },
    [PESIT_PI_SIGNATURE_FLAG]       = { PESIT_KIND_NUMBER, 1, 2,    0,    false, 0, "signature flag", "4.7.3 PI 34" },
    [PESIT_PI_SIT_SEAL]             = { PESIT_KIND_BYTES,  1, 64,   0,    false, 0, "SIT seal", "4.7.3 PI 36" },
    [PESIT_PI_LABEL]                = { PESIT_KIND_TEXT,   1, 80,   512,  false, 0, "label", "4.7.3 PI 37" },
    [PESIT_PI_KEY_LENGTH]           = { PESIT_KIND_NUMBER, 1, 2,    0,    false, 0, "key length", "4.7.3 PI 38" },
    [PESIT_PI_KEY_OFFSET]           = { PESIT_KIND_NUMBER, 1, 2,    0,    false, 0, "key offset", "4.7.3 PI 39" },
    [PESIT_PI_SPACE_UNIT]           = { PESIT_KIND_SYMBOL, 1, 1,    0,    false, 1, "space unit", "4.7.3 PI 41" },
    [PESIT_PI_SPACE_MAX]            = { PESIT_KIND_NUMBER, 1, 4,    0,    false, 0, "space max", "4.7.3 PI 42" },
    [PESIT_PI_CREATED]              = { PESIT_KIND_DATE,   12, 12,  0,    false, 0, "created", "4.7.3 PI 51" },
    [PESIT_PI_EXTRACTED]            = { PESIT_KIND_DATE,   12, 12,  0,    false, 0, "extracted", "4.7.3 PI 52" },
    [PESIT_PI_CLIENT]               = { PESIT_KIND_TEXT,   1, 24,   0,    false, 0, "client", "4.7.3 PI 61" },
    [PESIT_PI_BANK]                 = { PESIT_KIND_TEXT,   1, 24,   0,    false, 0, "bank", "4.7.3 PI 62" },
    [PESIT_PI_FILE_ACCESS_CONTROL]  = { PESIT_KIND_TEXT,   1, 16,   0,    true,  0, "file access control", "4.7.3 PI 63" },
    [PESIT_PI_SERVER_TIME]          = { PESIT_KIND_DATE,   12, 12,  0,    false, 0, "server time", "4.7.3 PI 64" },
    [PESIT_PI_AUTHENTICATION_TYPE]  = { PESIT_KIND_BYTES,  3, 3,    0,    false, 0, "authentication type", "4.7.3 PI 71" },
    [PESIT_PI_AUTHENTICATION]       = { PESIT_KIND_BYTES,  1, 255,  0,    true,  0, "authentication", "4.7.3 PI 72" },
    [PESIT_PI_SEALING_TYPE]         = { PESIT_KIND_BYTES,  1, 4,    0,    false, 0, "sealing type", "4.7.3 PI 73" },
    [PESIT_PI_SEALING]              = { PESIT_KIND_BYTES,  1, 255,  0,    true,  0, "sealing", "4.7.3 PI 74" },
    [PESIT_PI_ENCRYPTION_TYPE]      = { PESIT_KIND_BYTES,  1, 4,    0,    false, 0, "encryption type", "4.7.3 PI 75" },
    [PESIT_PI_ENCRYPTION]           = { PESIT_KIND_BYTES,  1, 255,  0,    true,  0, "encryption", "4.7.3 PI 76" },
    [PESIT_PI_SIGNATURE_TYPE]       = { PESIT_KIND_BYTES,  1, 4,    0,    false, 0, "signature type", "4.7.3 PI 77" },
    [PESIT_PI_SEAL]                 = { PESIT_KIND_BYTES,  4, 8,    0,    false, 0, "seal", "4.7.3 PI 78" },
    [PESIT_PI_SIGNATURE]            = { PESIT_KIND_BYTES,  1, 64,   0,    false, 0, "signature", "4.7.3 PI 79" },
    [PESIT_PI_ACCREDITATION]        = { PESIT_KIND_BYTES,  1, 168,  0,    false, 0, "accreditation", "4.7.3 PI 80" },
    [PESIT_PI_SIGNATURE_RECEIPT]    = { PESIT_KIND_BYTES,  1, 64,   0,    false, 0, "signature receipt", "4.7.3 PI 81" },
    [PESIT_PI_SECOND_SIGNATURE]     = { PESIT_KIND_BYTES,  1, 64,   0,    false, 0, "second signature", "4.7.3 PI 82" },
    [PESIT_PI_SECOND_ACCREDITATION] = { PESIT_KIND_BYTES,  1, 168,  0,    false, 0, "second accreditation", "4.7.3 PI 83" },
    [PESIT_PI_MESSAGE]              = { PESIT_KIND_BYTES,  1, 4096, 65535, false, 0, "message", "4.7.3 PI 91" },
    [PESIT_PI_FREE_TEXT]            = { PESIT_KIND_TEXT,   1, 254,  65535, false, 0, "free text", "4.7.3 PI 99" },
};

#define M(pi) { 0, (pi), ITEM_MANDATORY }
#define O(pi) { 0, (pi), ITEM_OPTIONAL }
#define R(pi) { 0, (pi), ITEM_RECEIVED }
#define GM(pgi, pi) { (pgi), (pi), ITEM_MANDATORY }
#define GO(pgi, pi) { (pgi), (pi), ITEM_OPTIONAL }
#define END { 0, 0, ITEM_END }
#define FILE_NAMES GO(9, 3), GO(9, 4), GM(9, 11), GM(9, 12)
#define FILE_ATTRIBUTES GO(30, 31), GM(30, 32), GO(30, 33), GO(30, 37), GO(30, 38), GO(30, 39), \
                        GO(40, 41), GM(40, 42), GM(50, 51), GO(50, 52)
#define SECURED R(71), R(72), R(73), R(74), R(75), R(76), R(77), R(78), R(79), R(80), R(81), R(82), R(83)

/* Items in wire order. RECEIVED: known from other profiles, never sent. Chapter 4.7.4. */
const FpduRow FPDU_ROWS[PESIT_FPDU_COUNT] = {
    [PESIT_FPDU_CONNECT]       = { 0x40, 0x20, "CONNECT", "4.4.1", { O(1), M(3), M(4), O(5), M(6), O(7), M(22), O(23), R(26), O(99), END } },
    [PESIT_FPDU_ACONNECT]      = { 0x40, 0x21, "ACONNECT", "4.4.2", { O(5), M(6), O(7), O(23), O(99), END } },
    [PESIT_FPDU_RCONNECT]      = { 0x40, 0x22, "RCONNECT", "4.4.3", { M(2), O(29), O(99), END } },
    [PESIT_FPDU_RELEASE]       = { 0x40, 0x23, "RELEASE", "4.4.26", { M(2), O(29), O(99), END } },
    [PESIT_FPDU_RELCONF]       = { 0x40, 0x24, "RELCONF", "4.4.27", { O(99), END } },
    [PESIT_FPDU_ABORT]         = { 0x40, 0x25, "ABORT", "4.4.28", { M(2), R(29), R(99), END } },
    [PESIT_FPDU_CREATE]        = { 0xC0, 0x11, "CREATE", "4.4.4", { FILE_NAMES, M(13), O(15), O(16), M(17), M(25), FILE_ATTRIBUTES, O(61), O(62), R(63), SECURED, O(99), END } },
    [PESIT_FPDU_ACK_CREATE]    = { 0xC0, 0x30, "ACK(CREATE)", "4.4.5", { M(2), R(11), R(12), O(13), M(25), O(29), R(64), SECURED, O(99), END } },
    [PESIT_FPDU_SELECT]        = { 0xC0, 0x12, "SELECT", "4.4.6", { FILE_NAMES, M(13), O(14), O(15), R(16), M(17), M(25), R(61), R(62), R(63), SECURED, O(99), END } },
    [PESIT_FPDU_ACK_SELECT]    = { 0xC0, 0x31, "ACK(SELECT)", "4.4.7", { M(2), FILE_NAMES, M(13), O(16), M(25), O(29), GO(30, 31), GO(30, 32), GO(30, 33), GO(30, 37), GO(30, 38), GO(30, 39), GO(40, 41), GO(40, 42), GO(50, 51), GO(50, 52), R(61), R(62), R(64), SECURED, O(99), END } },
    [PESIT_FPDU_DESELECT]      = { 0xC0, 0x13, "DESELECT", "4.4.8", { M(2), O(29), O(99), END } },
    [PESIT_FPDU_ACK_DESELECT]  = { 0xC0, 0x32, "ACK(DESELECT)", "4.4.9", { M(2), O(29), O(99), END } },
    [PESIT_FPDU_ORF]           = { 0xC0, 0x14, "ORF", "4.4.10", { O(21), SECURED, END } },
    [PESIT_FPDU_ACK_ORF]       = { 0xC0, 0x33, "ACK(ORF)", "4.4.11", { M(2), O(21), O(29), SECURED, END } },
    [PESIT_FPDU_CRF]           = { 0xC0, 0x15, "CRF", "4.4.12", { M(2), O(29), END } },
    [PESIT_FPDU_ACK_CRF]       = { 0xC0, 0x34, "ACK(CRF)", "4.4.13", { M(2), O(29), END } },
    [PESIT_FPDU_READ]          = { 0xC0, 0x01, "READ", "4.4.14", { M(18), END } },
    [PESIT_FPDU_ACK_READ]      = { 0xC0, 0x35, "ACK(READ)", "4.4.15", { M(2), O(29), END } },
    [PESIT_FPDU_WRITE]         = { 0xC0, 0x02, "WRITE", "4.4.16", { END } },
    [PESIT_FPDU_ACK_WRITE]     = { 0xC0, 0x36, "ACK(WRITE)", "4.4.17", { M(2), M(18), O(29), END } },
    [PESIT_FPDU_TRANS_END]     = { 0xC0, 0x08, "TRANS.END", "4.4.18", { O(27), O(28), R(81), END } },
    [PESIT_FPDU_ACK_TRANS_END] = { 0xC0, 0x37, "ACK(TRANS.END)", "4.4.19", { M(2), O(27), O(28), O(29), R(81), END } },
    [PESIT_FPDU_DTF]           = { 0x00, 0x00, "DTF", "4.4.20", { END } },
    [PESIT_FPDU_DTFDA]         = { 0x00, 0x41, "DTFDA", "4.4.20.3", { END } },
    [PESIT_FPDU_DTFMA]         = { 0x00, 0x40, "DTFMA", "4.4.20.3", { END } },
    [PESIT_FPDU_DTFFA]         = { 0x00, 0x42, "DTFFA", "4.4.20.3", { END } },
    [PESIT_FPDU_DTF_END]       = { 0xC0, 0x04, "DTF.END", "4.4.21", { M(2), O(29), R(78), R(79), R(82), END } },
    [PESIT_FPDU_SYN]           = { 0xC0, 0x03, "SYN", "4.4.22", { M(20), R(78), END } },
    [PESIT_FPDU_ACK_SYN]       = { 0xC0, 0x38, "ACK(SYN)", "4.4.23", { M(20), END } },
    [PESIT_FPDU_RESYN]         = { 0xC0, 0x05, "RESYN", "4.4.24", { M(2), M(18), O(29), END } },
    [PESIT_FPDU_ACK_RESYN]     = { 0xC0, 0x39, "ACK(RESYN)", "4.4.25", { M(18), END } },
    [PESIT_FPDU_IDT]           = { 0xC0, 0x06, "IDT", "4.4.29", { M(2), M(19), O(29), END } },
    [PESIT_FPDU_ACK_IDT]       = { 0xC0, 0x3A, "ACK(IDT)", "4.4.30", { R(2), END } },
    [PESIT_FPDU_MSG]           = { 0xC0, 0x16, "MSG", "4.4.31", { FILE_NAMES, M(13), O(14), O(16), O(17), GO(50, 51), O(61), O(62), SECURED, O(91), END } },
    [PESIT_FPDU_MSGDM]         = { 0xC0, 0x17, "MSGDM", "4.4.31.2", { FILE_NAMES, M(13), O(14), O(16), O(17), GO(50, 51), O(61), O(62), SECURED, M(91), END } },
    [PESIT_FPDU_MSGMM]         = { 0xC0, 0x18, "MSGMM", "4.4.31.2", { M(91), END } },
    [PESIT_FPDU_MSGFM]         = { 0xC0, 0x19, "MSGFM", "4.4.31.2", { R(78), R(79), M(91), END } },
    [PESIT_FPDU_ACK_MSG]       = { 0xC0, 0x3B, "ACK(MSG)", "4.4.32", { M(2), O(13), O(16), O(29), R(79), R(80), R(81), O(91), END } },
};
/* clang-format on */

const PesitPiRow *
pesit_pi_find(unsigned code)
{
    return code < PESIT_PI_COUNT && PI_ROWS[code].name != NULL ? &PI_ROWS[code] : NULL;
}

const char *
pesit_fpdu_name(PesitFpduType type)
{
    return (unsigned)type < PESIT_FPDU_COUNT && FPDU_ROWS[type].name != NULL ? FPDU_ROWS[type].name : "?";
}

PesitFpduType
pesit_fpdu_from_wire(uint8_t phase, uint8_t code)
{
    for (unsigned i = PESIT_FPDU_NONE + 1; i < PESIT_FPDU_COUNT; i++) {
        if (FPDU_ROWS[i].phase == phase && FPDU_ROWS[i].code == code)
            return (PesitFpduType)i;
    }
    return PESIT_FPDU_NONE;
}

void
pesit_fpdu_to_wire(PesitFpduType type, uint8_t *ret_phase, uint8_t *ret_code)
{
    *ret_phase = FPDU_ROWS[type].phase;
    *ret_code = FPDU_ROWS[type].code;
}

bool
pesit_fpdu_is_data(PesitFpduType type)
{
    return type == PESIT_FPDU_DTF || type == PESIT_FPDU_DTFDA || type == PESIT_FPDU_DTFMA ||
           type == PESIT_FPDU_DTFFA;
}

bool
pesit_fpdu_can_concatenate(PesitFpduType type)
{
    return pesit_fpdu_is_data(type) || type == PESIT_FPDU_DTF_END || type == PESIT_FPDU_SYN;
}

void
pesit_fpdu_init(PesitFpdu *fpdu, PesitFpduType type)
{
    fpdu->type = type;
    fpdu->id_dst = 0;
    fpdu->id_src = 0;
    fpdu->present[0] = fpdu->present[1] = 0;
    fpdu->groups = 0;
}

bool
pesit_fpdu_has(const PesitFpdu *fpdu, PesitPi pi)
{
    return (fpdu->present[pi / 64] >> (pi % 64) & 1) != 0;
}

static PesitValue *
add_value(PesitFpdu *fpdu, PesitPi pi)
{
    fpdu->present[pi / 64] |= UINT64_C(1) << (pi % 64);
    fpdu->values[pi] = (PesitValue){ 0 };
    return &fpdu->values[pi];
}

static void
remove_value(PesitFpdu *fpdu, PesitPi pi)
{
    fpdu->present[pi / 64] &= ~(UINT64_C(1) << (pi % 64));
}

uint64_t
pesit_fpdu_number(const PesitFpdu *fpdu, PesitPi pi, uint64_t absent)
{
    return pesit_fpdu_has(fpdu, pi) ? fpdu->values[pi].number : absent;
}

const uint8_t *
pesit_fpdu_bytes(const PesitFpdu *fpdu, PesitPi pi, size_t *ret_length)
{
    bool has = pesit_fpdu_has(fpdu, pi);

    *ret_length = has ? fpdu->values[pi].length : 0;
    return has ? fpdu->values[pi].bytes : NULL;
}

PesitDiag
pesit_fpdu_diag(const PesitFpdu *fpdu)
{
    uint64_t number = pesit_fpdu_number(fpdu, PESIT_PI_DIAGNOSTIC, 0);

    return PESIT_DIAG((uint8_t)(number >> 16), (uint16_t)number);
}

void
pesit_fpdu_set_number(PesitFpdu *fpdu, PesitPi pi, uint64_t number)
{
    add_value(fpdu, pi)->number = number;
}

void
pesit_fpdu_set_bytes(PesitFpdu *fpdu, PesitPi pi, const void *bytes, size_t length)
{
    PesitValue *value;

    if (length == 0) {
        remove_value(fpdu, pi);
        return;
    }
    value = add_value(fpdu, pi);
    value->bytes = bytes;
    value->length = (uint32_t)length;
}

void
pesit_fpdu_set_text(PesitFpdu *fpdu, PesitPi pi, const char *text)
{
    pesit_fpdu_set_bytes(fpdu, pi, text, text != NULL ? strlen(text) : 0);
}

void
pesit_fpdu_set_diag(PesitFpdu *fpdu, PesitDiag diag)
{
    pesit_fpdu_set_number(fpdu, PESIT_PI_DIAGNOSTIC, (uint64_t)diag.type << 16 | diag.code);
}

void
pesit_fpdu_set_sync(PesitFpdu *fpdu, uint16_t interval_kb, uint8_t window)
{
    pesit_fpdu_set_number(fpdu, PESIT_PI_SYNC_OPTION, (uint64_t)interval_kb << 8 | window);
}

void
pesit_fpdu_sync(const PesitFpdu *fpdu, uint16_t *ret_interval_kb, uint8_t *ret_window)
{
    uint64_t number = pesit_fpdu_number(fpdu, PESIT_PI_SYNC_OPTION, 0);

    *ret_interval_kb = (uint16_t)(number >> 8);
    *ret_window = (uint8_t)number;
}
