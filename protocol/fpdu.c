/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of FPDU: for each type its octets on the wire, its name, and the places of its
 * template in wire order; then access to the values of one FPDU. Adding an FPDU is adding a template
 * and a row. The encoder and the decoder walk these rows and hold no list of their own.
 * Chapters 4.4, 4.7.1, 4.7.4 and annex E; 3.9 for what the secured profiles add.
 */
#include "protocol/catalogue.h"
#include "protocol/wire.h"

#include <string.h>

/* clang-format off */
#define M(pi) { 0, PESIT_PI_##pi, ITEM_MANDATORY }
#define O(pi) { 0, PESIT_PI_##pi, ITEM_OPTIONAL }
#define D(pi) { 0, PESIT_PI_##pi, ITEM_DEFAULTED }
#define F(pi) { 0, PESIT_PI_##pi, ITEM_FOREIGN }
#define IN(pgi, pi, status) { PESIT_PGI_##pgi, PESIT_PI_##pi, ITEM_##status }
#define GROUP(pgi, status) { PESIT_PGI_##pgi, 0, ITEM_##status }
#define END { 0, 0, ITEM_END }

/* PGI 9, 30, 40 and 50 where the file is described for the first time: all must be there */
#define FILE_NAME(need) \
    IN(FILE, REQUESTER, OPTIONAL), IN(FILE, SERVER, OPTIONAL), IN(FILE, FILE_TYPE, need), IN(FILE, FILE_NAME, need)
#define ATTRIBUTES(need) \
    IN(LOGICAL, ARTICLE_FORMAT, DEFAULTED), IN(LOGICAL, ARTICLE_LENGTH, need), \
    IN(LOGICAL, ORGANISATION, DEFAULTED), IN(LOGICAL, SIGNATURE_FLAG, FOREIGN), \
    IN(LOGICAL, SIT_SEAL, FOREIGN), IN(LOGICAL, LABEL, OPTIONAL), \
    IN(LOGICAL, KEY_LENGTH, CONDITIONAL), IN(LOGICAL, KEY_OFFSET, CONDITIONAL), \
    IN(PHYSICAL, SPACE_UNIT, DEFAULTED), IN(PHYSICAL, SPACE_MAX, need), \
    IN(HISTORICAL, CREATED, need), IN(HISTORICAL, EXTRACTED, OPTIONAL)

static const FpduItem CONNECT_ITEMS[] = {
    D(CRC), M(REQUESTER), M(SERVER), O(ACCESS_CONTROL), M(VERSION), D(SYNC_OPTION), M(ACCESS_TYPE),
    D(RESYNC), F(TIMEOUT), O(FREE_TEXT), END };
static const FpduItem ACONNECT_ITEMS[] = {
    O(ACCESS_CONTROL), M(VERSION), D(SYNC_OPTION), D(RESYNC), O(FREE_TEXT), END };
/* RCONNECT, RELEASE, DESELECT and its answer */
static const FpduItem OUTCOME_ITEMS[] = { M(DIAGNOSTIC), O(DIAGNOSTIC_TEXT), O(FREE_TEXT), END };
/* CRF and its answer, ACK(READ) */
static const FpduItem BARE_OUTCOME_ITEMS[] = { M(DIAGNOSTIC), O(DIAGNOSTIC_TEXT), END };
static const FpduItem RELCONF_ITEMS[] = { O(FREE_TEXT), END };
static const FpduItem ABORT_ITEMS[] = { M(DIAGNOSTIC), F(DIAGNOSTIC_TEXT), F(FREE_TEXT), END };
static const FpduItem CREATE_ITEMS[] = {
    FILE_NAME(MANDATORY), M(TRANSFER_ID), D(RESTARTED), D(DATA_CODE), M(PRIORITY), M(MAX_ENTITY),
    ATTRIBUTES(MANDATORY), O(CLIENT), O(BANK), F(FILE_ACCESS_CONTROL), F(AUTHENTICATION_TYPE),
    F(AUTHENTICATION), F(SEALING_TYPE), F(ENCRYPTION_TYPE), F(SIGNATURE_TYPE), F(ACCREDITATION),
    O(FREE_TEXT), END };
/* some answer with the file's identifier, as the service tables of 3.6.3 say */
static const FpduItem ACK_CREATE_ITEMS[] = {
    M(DIAGNOSTIC), IN(FILE, REQUESTER, FOREIGN), IN(FILE, SERVER, FOREIGN), IN(FILE, FILE_TYPE, FOREIGN),
    IN(FILE, FILE_NAME, FOREIGN), O(TRANSFER_ID), M(MAX_ENTITY), O(DIAGNOSTIC_TEXT), F(SERVER_TIME),
    F(AUTHENTICATION), F(ACCREDITATION), F(SECOND_ACCREDITATION), O(FREE_TEXT), END };
static const FpduItem SELECT_ITEMS[] = {
    GROUP(FILE, MANDATORY), FILE_NAME(IN_GROUP), M(TRANSFER_ID), D(ATTRIBUTES_REQUESTED), D(RESTARTED),
    M(PRIORITY), M(MAX_ENTITY), F(CLIENT), F(BANK), F(FILE_ACCESS_CONTROL), F(AUTHENTICATION_TYPE),
    F(AUTHENTICATION), F(SEALING_TYPE), F(ENCRYPTION_TYPE), F(SIGNATURE_TYPE), F(ACCREDITATION),
    O(FREE_TEXT), END };
static const FpduItem ACK_SELECT_ITEMS[] = {
    M(DIAGNOSTIC), GROUP(FILE, MANDATORY), FILE_NAME(IN_GROUP), M(TRANSFER_ID), D(DATA_CODE),
    M(MAX_ENTITY), O(DIAGNOSTIC_TEXT), ATTRIBUTES(IN_GROUP), F(CLIENT), F(BANK), F(SERVER_TIME),
    F(AUTHENTICATION), F(ACCREDITATION), F(SECOND_ACCREDITATION), O(FREE_TEXT), END };
static const FpduItem ORF_ITEMS[] = {
    D(COMPRESSION), F(AUTHENTICATION), F(SEALING), F(ENCRYPTION), F(ACCREDITATION),
    F(SECOND_ACCREDITATION), END };
static const FpduItem ACK_ORF_ITEMS[] = {
    M(DIAGNOSTIC), D(COMPRESSION), O(DIAGNOSTIC_TEXT), F(SEALING), F(ENCRYPTION), END };
static const FpduItem POINT_ITEMS[] = { M(RESTART_POINT), END }; /* READ, ACK(RESYN) */
static const FpduItem EMPTY_ITEMS[] = { END };
/* ACK(WRITE), RESYN */
static const FpduItem OUTCOME_POINT_ITEMS[] = { M(DIAGNOSTIC), M(RESTART_POINT), O(DIAGNOSTIC_TEXT), END };
static const FpduItem TRANS_END_ITEMS[] = { O(BYTE_COUNT), O(ARTICLE_COUNT), F(SIGNATURE_RECEIPT), END };
static const FpduItem ACK_TRANS_END_ITEMS[] = {
    M(DIAGNOSTIC), O(BYTE_COUNT), O(ARTICLE_COUNT), O(DIAGNOSTIC_TEXT), F(SIGNATURE_RECEIPT), END };
static const FpduItem DTF_END_ITEMS[] = {
    M(DIAGNOSTIC), O(DIAGNOSTIC_TEXT), F(SEAL), F(SIGNATURE), F(SECOND_SIGNATURE), END };
static const FpduItem SYN_ITEMS[] = { M(SYNC_NUMBER), F(SEAL), END };
static const FpduItem ACK_SYN_ITEMS[] = { M(SYNC_NUMBER), END };
static const FpduItem IDT_ITEMS[] = { M(DIAGNOSTIC), M(END_CODE), O(DIAGNOSTIC_TEXT), END };
/* empty in the specification; one client puts a diagnostic there */
static const FpduItem ACK_IDT_ITEMS[] = { F(DIAGNOSTIC), END };
/* PI 17 is not in the list, one partner insists on it */
#define MESSAGE_HEAD \
    FILE_NAME(MANDATORY), M(TRANSFER_ID), D(ATTRIBUTES_REQUESTED), D(DATA_CODE), O(PRIORITY), \
    IN(HISTORICAL, CREATED, OPTIONAL), O(CLIENT), O(BANK), F(SEALING_TYPE), F(SEALING), F(SIGNATURE_TYPE)
static const FpduItem MSG_ITEMS[] = {
    MESSAGE_HEAD, F(SEAL), F(SIGNATURE), F(ACCREDITATION), F(SIGNATURE_RECEIPT), O(MESSAGE), END };
static const FpduItem MSGDM_ITEMS[] = { MESSAGE_HEAD, F(ACCREDITATION), M(MESSAGE), END };
static const FpduItem MSGMM_ITEMS[] = { M(MESSAGE), END };
static const FpduItem MSGFM_ITEMS[] = { F(SEAL), F(SIGNATURE), M(MESSAGE), END };
static const FpduItem ACK_MSG_ITEMS[] = {
    M(DIAGNOSTIC), O(TRANSFER_ID), D(DATA_CODE), O(DIAGNOSTIC_TEXT), F(SIGNATURE), F(ACCREDITATION),
    F(SIGNATURE_RECEIPT), O(MESSAGE), END };

/* type, phase octet, type octet, name, chapter, template. No two types share a type octet. */
#define FPDU_LIST(X) \
    X(CONNECT,       0x40, 0x20, "CONNECT",        "4.7.4",     CONNECT_ITEMS) \
    X(ACONNECT,      0x40, 0x21, "ACONNECT",       "4.7.4",     ACONNECT_ITEMS) \
    X(RCONNECT,      0x40, 0x22, "RCONNECT",       "4.7.4",     OUTCOME_ITEMS) \
    X(RELEASE,       0x40, 0x23, "RELEASE",        "4.7.4",     OUTCOME_ITEMS) \
    X(RELCONF,       0x40, 0x24, "RELCONF",        "4.7.4",     RELCONF_ITEMS) \
    X(ABORT,         0x40, 0x25, "ABORT",          "4.7.4 (6)", ABORT_ITEMS) \
    X(CREATE,        0xC0, 0x11, "CREATE",         "4.7.4",     CREATE_ITEMS) \
    X(ACK_CREATE,    0xC0, 0x30, "ACK(CREATE)",    "4.7.4",     ACK_CREATE_ITEMS) \
    X(SELECT,        0xC0, 0x12, "SELECT",         "4.7.4",     SELECT_ITEMS) \
    X(ACK_SELECT,    0xC0, 0x31, "ACK(SELECT)",    "4.7.4",     ACK_SELECT_ITEMS) \
    X(DESELECT,      0xC0, 0x13, "DESELECT",       "4.7.4",     OUTCOME_ITEMS) \
    X(ACK_DESELECT,  0xC0, 0x32, "ACK(DESELECT)",  "4.7.4",     OUTCOME_ITEMS) \
    X(ORF,           0xC0, 0x14, "ORF",            "4.7.4",     ORF_ITEMS) \
    X(ACK_ORF,       0xC0, 0x33, "ACK(ORF)",       "4.7.4",     ACK_ORF_ITEMS) \
    X(CRF,           0xC0, 0x15, "CRF",            "4.7.4",     BARE_OUTCOME_ITEMS) \
    X(ACK_CRF,       0xC0, 0x34, "ACK(CRF)",       "4.7.4",     BARE_OUTCOME_ITEMS) \
    X(READ,          0xC0, 0x01, "READ",           "4.7.4",     POINT_ITEMS) \
    X(ACK_READ,      0xC0, 0x35, "ACK(READ)",      "4.7.4",     BARE_OUTCOME_ITEMS) \
    X(WRITE,         0xC0, 0x02, "WRITE",          "4.7.4",     EMPTY_ITEMS) \
    X(ACK_WRITE,     0xC0, 0x36, "ACK(WRITE)",     "4.7.4",     OUTCOME_POINT_ITEMS) \
    X(TRANS_END,     0xC0, 0x08, "TRANS.END",      "4.7.4",     TRANS_END_ITEMS) \
    X(ACK_TRANS_END, 0xC0, 0x37, "ACK(TRANS.END)", "4.7.4",     ACK_TRANS_END_ITEMS) \
    X(DTF,           0x00, 0x00, "DTF",            "4.4.20",    EMPTY_ITEMS) \
    X(DTFDA,         0x00, 0x41, "DTFDA",          "4.4.20.3",  EMPTY_ITEMS) \
    X(DTFMA,         0x00, 0x40, "DTFMA",          "4.4.20.3",  EMPTY_ITEMS) \
    X(DTFFA,         0x00, 0x42, "DTFFA",          "4.4.20.3",  EMPTY_ITEMS) \
    X(DTF_END,       0xC0, 0x04, "DTF.END",        "4.7.4",     DTF_END_ITEMS) \
    X(SYN,           0xC0, 0x03, "SYN",            "4.4.22",    SYN_ITEMS) \
    X(ACK_SYN,       0xC0, 0x38, "ACK(SYN)",       "4.4.23",    ACK_SYN_ITEMS) \
    X(RESYN,         0xC0, 0x05, "RESYN",          "4.4.24",    OUTCOME_POINT_ITEMS) \
    X(ACK_RESYN,     0xC0, 0x39, "ACK(RESYN)",     "4.4.25",    POINT_ITEMS) \
    X(IDT,           0xC0, 0x06, "IDT",            "4.7.4",     IDT_ITEMS) \
    X(ACK_IDT,       0xC0, 0x3A, "ACK(IDT)",       "4.7.4",     ACK_IDT_ITEMS) \
    X(MSG,           0xC0, 0x16, "MSG",            "4.4.31",    MSG_ITEMS) \
    X(MSGDM,         0xC0, 0x17, "MSGDM",          "4.4.31.2",  MSGDM_ITEMS) \
    X(MSGMM,         0xC0, 0x18, "MSGMM",          "4.4.31.2",  MSGMM_ITEMS) \
    X(MSGFM,         0xC0, 0x19, "MSGFM",          "4.4.31.2",  MSGFM_ITEMS) \
    X(ACK_MSG,       0xC0, 0x3B, "ACK(MSG)",       "4.4.32",    ACK_MSG_ITEMS)

#define ROW(type, phase, code, name, chapter, items) [PESIT_FPDU_##type] = { phase, code, name, chapter, items },
#define BY_CODE(type, phase, code, name, chapter, items) [code] = PESIT_FPDU_##type,
static const FpduRow FPDU_ROWS[PESIT_FPDU_COUNT] = { [PESIT_FPDU_NONE] = { .items = EMPTY_ITEMS }, FPDU_LIST(ROW) };
static const uint8_t TYPES_BY_CODE[] = { FPDU_LIST(BY_CODE) };
/* clang-format on */

const FpduRow *fpdu_row(PesitFpduType type)
{
    return &FPDU_ROWS[(unsigned)type < PESIT_FPDU_COUNT ? type : PESIT_FPDU_NONE];
}

const char *pesit_fpdu_name(PesitFpduType type)
{
    const char *name = fpdu_row(type)->name;

    return name != NULL ? name : "?";
}

PesitFpduType pesit_fpdu_from_wire(uint8_t phase, uint8_t code)
{
    PesitFpduType type = code < sizeof TYPES_BY_CODE ? TYPES_BY_CODE[code] : PESIT_FPDU_NONE;

    return type != PESIT_FPDU_NONE && FPDU_ROWS[type].phase == phase ? type : PESIT_FPDU_NONE;
}

void pesit_fpdu_to_wire(PesitFpduType type, uint8_t *ret_phase, uint8_t *ret_code)
{
    *ret_phase = fpdu_row(type)->phase;
    *ret_code = fpdu_row(type)->code;
}

bool pesit_fpdu_is_data(PesitFpduType type)
{
    return type == PESIT_FPDU_DTF || type == PESIT_FPDU_DTFDA || type == PESIT_FPDU_DTFMA ||
           type == PESIT_FPDU_DTFFA;
}

bool pesit_fpdu_can_concatenate(PesitFpduType type)
{
    return pesit_fpdu_is_data(type) || type == PESIT_FPDU_DTF_END || type == PESIT_FPDU_SYN;
}

/* Type octets 30 to 3B are the confirmations, and only they. Annex E. */
static bool is_confirmation(PesitFpduType type)
{
    return (fpdu_row(type)->code & 0xF0) == 0x30;
}

bool fpdu_is_refusal(const PesitFpdu *fpdu)
{
    return is_confirmation(fpdu->type) && pesit_diag_is_negative(pesit_fpdu_diag(fpdu));
}

uint32_t fpdu_filled_groups(const PesitFpdu *fpdu)
{
    uint32_t groups = 0;

    for (const FpduItem *item = fpdu_row(fpdu->type)->items; item->status != ITEM_END; item++) {
        if (item->pgi != 0 && item->pi != 0 && pesit_fpdu_has(fpdu, item->pi))
            groups |= pgi_bit(item->pgi);
    }
    return groups;
}

static bool is_filled(const PesitFpdu *fpdu, const FpduItem *item, uint32_t filled,
                      uint32_t mentioned)
{
    if (item->status == ITEM_MANDATORY && item->pi == 0)
        return ((filled | mentioned) & pgi_bit(item->pgi)) != 0;
    if (item->status == ITEM_IN_GROUP && (filled & pgi_bit(item->pgi)) == 0)
        return true;
    if (item->status == ITEM_MANDATORY || item->status == ITEM_IN_GROUP)
        return pesit_fpdu_has(fpdu, item->pi);
    return true;
}

const FpduItem *fpdu_find_missing(const PesitFpdu *fpdu, uint32_t mentioned)
{
    uint32_t filled = fpdu_filled_groups(fpdu);

    if (fpdu_is_refusal(fpdu))
        return NULL; /* PI 2 is there: it says no */
    for (const FpduItem *item = fpdu_row(fpdu->type)->items; item->status != ITEM_END; item++) {
        if (!is_filled(fpdu, item, filled, mentioned))
            return item;
    }
    return NULL;
}

/* values */

void pesit_fpdu_init(PesitFpdu *fpdu, PesitFpduType type)
{
    fpdu->type = type;
    fpdu->id_dst = 0;
    fpdu->id_src = 0;
    fpdu->present[0] = 0;
    fpdu->present[1] = 0;
    fpdu->groups = 0;
}

bool pesit_fpdu_has(const PesitFpdu *fpdu, PesitPi pi)
{
    return (fpdu->present[pi / 64] >> (pi % 64) & 1) != 0;
}

static PesitValue *add_value(PesitFpdu *fpdu, PesitPi pi)
{
    fpdu->present[pi / 64] |= UINT64_C(1) << (pi % 64);
    fpdu->values[pi] = (PesitValue){0};
    return &fpdu->values[pi];
}

uint64_t pesit_fpdu_number(const PesitFpdu *fpdu, PesitPi pi, uint64_t absent)
{
    return pesit_fpdu_has(fpdu, pi) ? fpdu->values[pi].number : absent;
}

const uint8_t *pesit_fpdu_bytes(const PesitFpdu *fpdu, PesitPi pi, size_t *ret_length)
{
    bool has = pesit_fpdu_has(fpdu, pi);

    *ret_length = has ? fpdu->values[pi].length : 0;
    return has ? fpdu->values[pi].bytes : NULL;
}

PesitDiag pesit_fpdu_diag(const PesitFpdu *fpdu)
{
    uint64_t number = pesit_fpdu_number(fpdu, PESIT_PI_DIAGNOSTIC, 0);

    return PESIT_DIAG((uint8_t)(number >> 16), (uint16_t)number);
}

void pesit_fpdu_set_number(PesitFpdu *fpdu, PesitPi pi, uint64_t number)
{
    add_value(fpdu, pi)->number = number;
}

void pesit_fpdu_set_bytes(PesitFpdu *fpdu, PesitPi pi, const void *bytes, size_t length)
{
    const PesitPiRow *row = pesit_pi_find(pi);
    PesitValue *value;

    if (row != NULL && row->kind == PESIT_KIND_TEXT)
        length = wire_trim_blanks(bytes, length);
    if (length == 0) {
        pesit_fpdu_remove(fpdu, pi);
        return;
    }
    value = add_value(fpdu, pi);
    value->bytes = bytes;
    value->length = (uint32_t)length;
}

void pesit_fpdu_set_text(PesitFpdu *fpdu, PesitPi pi, const char *text)
{
    pesit_fpdu_set_bytes(fpdu, pi, text, text != NULL ? strlen(text) : 0);
}

void pesit_fpdu_remove(PesitFpdu *fpdu, PesitPi pi)
{
    fpdu->present[pi / 64] &= ~(UINT64_C(1) << (pi % 64));
}

void pesit_fpdu_set_diag(PesitFpdu *fpdu, PesitDiag diag)
{
    pesit_fpdu_set_number(fpdu, PESIT_PI_DIAGNOSTIC, (uint64_t)diag.type << 16 | diag.code);
}

void pesit_fpdu_set_sync(PesitFpdu *fpdu, uint16_t interval_kb, uint8_t window)
{
    pesit_fpdu_set_number(fpdu, PESIT_PI_SYNC_OPTION, (uint64_t)interval_kb << 8 | window);
}

void pesit_fpdu_sync(const PesitFpdu *fpdu, uint16_t *ret_interval_kb, uint8_t *ret_window)
{
    uint64_t number = pesit_fpdu_number(fpdu, PESIT_PI_SYNC_OPTION, 0);

    *ret_interval_kb = (uint16_t)(number >> 8);
    *ret_window = (uint8_t)number;
}
