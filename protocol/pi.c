/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of parameters (PI) and of their groups (PGI): kind, lengths, what is secret, which
 * values the protocol forbids. What a parameter does is not here. Adding one is adding a row.
 * Chapters 4.7.2.2, 4.7.3 and, for 71 to 83, 3.9 and annex C.
 */
#include "protocol/catalogue.h"

#define DATE_BYTES         12
#define ENTITY_MIN_BYTES   7 /* a header and one byte; PI 25 below it is refused with 3/318 */
#define RECEIVED_MAX_BYTES 65535
#define LABEL_MAX_RECEIVED RECEIVED_MAX_BYTES /* 512 is met: products of one vendor among them */

#define NUMBER PESIT_KIND_NUMBER
#define SYMBOL PESIT_KIND_SYMBOL
#define MASK   PESIT_KIND_MASK
#define TEXT   PESIT_KIND_TEXT
#define DATE   PESIT_KIND_DATE
#define PACKED PESIT_KIND_PACKED
#define BYTES  PESIT_KIND_BYTES
#define CH     "4.7.3"

/* clang-format off */
/* kind, shortest and longest as sent, longest received (0: as sent), secret, greatest value, name, chapter */
static const PesitPiRow PI_ROWS[PESIT_PI_COUNT] = {
    [PESIT_PI_CRC]                  = { SYMBOL,  1,    1, 0, false, 1, "crc", CH },
    [PESIT_PI_DIAGNOSTIC]           = { PACKED,  3,    3, 0, false, 0, "diagnostic", CH },
    [PESIT_PI_REQUESTER]            = { TEXT,    1,   24, 0, false, 0, "requester", CH },
    [PESIT_PI_SERVER]               = { TEXT,    1,   24, 0, false, 0, "server", CH },
    [PESIT_PI_ACCESS_CONTROL]       = { TEXT,    1,   16, 0, true,  0, "access control", CH },
    /* declared text of 2, sent by everyone as one binary byte */
    [PESIT_PI_VERSION]              = { NUMBER,  1,    1, 2, false, 0, "version", CH },
    [PESIT_PI_SYNC_OPTION]          = { PACKED,  3,    3, 0, false, 0, "sync option", CH },
    [PESIT_PI_FILE_TYPE]            = { NUMBER,  1,    2, 0, false, 0, "file type", CH },
    [PESIT_PI_FILE_NAME]            = { TEXT,    1,   76, 0, false, 0, "file name", "3.8.2" },
    [PESIT_PI_TRANSFER_ID]          = { NUMBER,  1,    3, 0, false, 0, "transfer id", CH },
    [PESIT_PI_ATTRIBUTES_REQUESTED] = { MASK,    1,    1, 0, false, 0, "attributes requested", CH },
    [PESIT_PI_RESTARTED]            = { SYMBOL,  1,    1, 0, false, 1, "restarted", CH },
    [PESIT_PI_DATA_CODE]            = { SYMBOL,  1,    1, 0, false, 2, "data code", CH },
    [PESIT_PI_PRIORITY]             = { SYMBOL,  1,    1, 0, false, 0, "priority", CH },
    [PESIT_PI_RESTART_POINT]        = { NUMBER,  1,    3, 0, false, 0, "restart point", CH },
    [PESIT_PI_END_CODE]             = { SYMBOL,  1,    1, 0, false, 0, "end code", CH },
    [PESIT_PI_SYNC_NUMBER]          = { NUMBER,  1,    3, 0, false, 0, "sync number", CH },
    [PESIT_PI_COMPRESSION]          = { PACKED,  2,    2, 0, false, 0, "compression", CH },
    [PESIT_PI_ACCESS_TYPE]          = { SYMBOL,  1,    1, 0, false, 2, "access type", CH },
    [PESIT_PI_RESYNC]               = { SYMBOL,  1,    1, 0, false, 1, "resync", CH },
    [PESIT_PI_MAX_ENTITY]           = { NUMBER,  1,    2, 0, false, 0, "max entity", CH },
    [PESIT_PI_TIMEOUT]              = { NUMBER,  1,    2, 0, false, 0, "timeout", CH },
    [PESIT_PI_BYTE_COUNT]           = { NUMBER,  1,    8, 0, false, 0, "byte count", CH },
    [PESIT_PI_ARTICLE_COUNT]        = { NUMBER,  1,    4, 0, false, 0, "article count", CH },
    [PESIT_PI_DIAGNOSTIC_TEXT]      = { BYTES,   1,  254, 0, false, 0, "diagnostic text", CH },
    [PESIT_PI_ARTICLE_FORMAT]       = { MASK,    1,    1, 0, false, 0, "article format", CH },
    [PESIT_PI_ARTICLE_LENGTH]       = { NUMBER,  1,    2, 0, false, 0, "article length", CH },
    [PESIT_PI_ORGANISATION]         = { SYMBOL,  1,    1, 0, false, 2, "organisation", CH },
    [PESIT_PI_SIGNATURE_FLAG]       = { NUMBER,  1,    2, 0, false, 0, "signature flag", CH },
    [PESIT_PI_SIT_SEAL]             = { BYTES,   1,   64, 0, false, 0, "SIT seal", CH },
    [PESIT_PI_LABEL]                = { TEXT,    1,   80, LABEL_MAX_RECEIVED, false, 0, "label", CH },
    [PESIT_PI_KEY_LENGTH]           = { NUMBER,  1,    2, 0, false, 0, "key length", CH },
    [PESIT_PI_KEY_OFFSET]           = { NUMBER,  1,    2, 0, false, 0, "key offset", CH },
    [PESIT_PI_SPACE_UNIT]           = { SYMBOL,  1,    1, 0, false, 1, "space unit", CH },
    [PESIT_PI_SPACE_MAX]            = { NUMBER,  1,    4, 0, false, 0, "space max", CH },
    [PESIT_PI_CREATED]              = { DATE,   12,   12, 0, false, 0, "created", CH },
    [PESIT_PI_EXTRACTED]            = { DATE,   12,   12, 0, false, 0, "extracted", CH },
    [PESIT_PI_CLIENT]               = { TEXT,    1,   24, 0, false, 0, "client", CH },
    [PESIT_PI_BANK]                 = { TEXT,    1,   24, 0, false, 0, "bank", CH },
    [PESIT_PI_FILE_ACCESS_CONTROL]  = { TEXT,    1,   16, 0, true,  0, "file access control", CH },
    [PESIT_PI_SERVER_TIME]          = { DATE,   12,   12, 0, false, 0, "server time", CH },
    [PESIT_PI_AUTHENTICATION_TYPE]  = { BYTES,   3,    3, 0, false, 0, "authentication type", CH },
    [PESIT_PI_AUTHENTICATION]       = { BYTES,   1,   72, 0, true,  0, "authentication", CH },
    [PESIT_PI_SEALING_TYPE]         = { BYTES,   4,    4, 0, false, 0, "sealing type", CH },
    [PESIT_PI_SEALING]              = { BYTES,   1,   64, 0, true,  0, "sealing", CH },
    [PESIT_PI_ENCRYPTION_TYPE]      = { BYTES,   4,    4, 0, false, 0, "encryption type", CH },
    [PESIT_PI_ENCRYPTION]           = { BYTES,   1,   64, 0, true,  0, "encryption", CH },
    [PESIT_PI_SIGNATURE_TYPE]       = { BYTES,   4,    4, 0, false, 0, "signature type", CH },
    [PESIT_PI_SEAL]                 = { BYTES,   4,    8, 0, false, 0, "seal", CH },
    [PESIT_PI_SIGNATURE]            = { BYTES,   4,   64, 0, false, 0, "signature", CH },
    [PESIT_PI_ACCREDITATION]        = { BYTES,   1,  168, 0, false, 0, "accreditation", CH },
    [PESIT_PI_SIGNATURE_RECEIPT]    = { BYTES,   1,   64, 0, false, 0, "signature receipt", CH },
    [PESIT_PI_SECOND_SIGNATURE]     = { BYTES,   1,   64, 0, false, 0, "second signature", CH },
    [PESIT_PI_SECOND_ACCREDITATION] = { BYTES,   1,  168, 0, false, 0, "second accreditation", CH },
    [PESIT_PI_MESSAGE]              = { BYTES,   1, 4096, RECEIVED_MAX_BYTES, false, 0, "message", CH },
    /* opaque; as text because some fill it with blanks, which then mean nothing */
    [PESIT_PI_FREE_TEXT]            = { TEXT,    1,  254, RECEIVED_MAX_BYTES, false, 0, "free text", CH },
};

static const PgiRow PGI_ROWS[] = {
    { PESIT_PGI_FILE,       "file",       "4.7.2.2" },
    { PESIT_PGI_LOGICAL,    "logical",    "4.7.2.2" },
    { PESIT_PGI_PHYSICAL,   "physical",   "4.7.2.2" },
    { PESIT_PGI_HISTORICAL, "historical", "4.7.2.2" },
};
/* clang-format on */

const PesitPiRow *pesit_pi_find(unsigned code)
{
    return code < PESIT_PI_COUNT && PI_ROWS[code].name != NULL ? &PI_ROWS[code] : NULL;
}

const PgiRow *pgi_at(size_t i)
{
    return i < sizeof PGI_ROWS / sizeof *PGI_ROWS ? &PGI_ROWS[i] : NULL;
}

const PgiRow *pgi_find(unsigned code)
{
    uint32_t bit = pgi_bit(code);

    for (size_t i = 0; bit != 0 && i < sizeof PGI_ROWS / sizeof *PGI_ROWS; i++) {
        if (PGI_ROWS[i].code == code)
            return &PGI_ROWS[i];
    }
    return NULL;
}

uint32_t pgi_bit(unsigned code)
{
    switch (code) {
    case PESIT_PGI_FILE:
        return 1;
    case PESIT_PGI_LOGICAL:
        return 2;
    case PESIT_PGI_PHYSICAL:
        return 4;
    case PESIT_PGI_HISTORICAL:
        return 8;
    default:
        return 0;
    }
}

bool pi_is_number(const PesitPiRow *row)
{
    return row->kind == PESIT_KIND_NUMBER || row->kind == PESIT_KIND_SYMBOL ||
           row->kind == PESIT_KIND_MASK || row->kind == PESIT_KIND_PACKED;
}

/* First byte: no or yes; second: which. "no" leaves the second without meaning. Annex A.1. */
static bool is_compression(uint64_t number)
{
    uint64_t used = number >> 8;
    uint64_t how = number & 0xFF;

    return used <= 1 && how <= 3 && !(used == 1 && how == 0);
}

const char *pi_check_number(PesitPi pi, uint64_t number)
{
    const PesitPiRow *row = &PI_ROWS[pi];
    bool fits = row->max_bytes >= sizeof number || number >> (8 * row->max_bytes) == 0;

    if (!fits)
        return "number too long";
    if (row->max_value != 0 && number > row->max_value)
        return "illegal value";
    if (pi == PESIT_PI_COMPRESSION && !is_compression(number))
        return "illegal value";
    if (pi == PESIT_PI_MAX_ENTITY && number < ENTITY_MIN_BYTES)
        return "entity size too small";
    return NULL;
}

/* Twelve digits, or twelve blanks for a date that is not known. */
static bool is_date(const uint8_t *bytes)
{
    size_t blanks = 0, digits = 0;

    for (size_t i = 0; i < DATE_BYTES; i++) {
        blanks += bytes[i] == ' ';
        digits += bytes[i] >= '0' && bytes[i] <= '9';
    }
    return blanks == DATE_BYTES || digits == DATE_BYTES;
}

const char *pi_check_bytes(PesitPi pi, const uint8_t *bytes, size_t length)
{
    if (PI_ROWS[pi].kind == PESIT_KIND_DATE && (length != DATE_BYTES || !is_date(bytes)))
        return "not a date";
    return NULL;
}
