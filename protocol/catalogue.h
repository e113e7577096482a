/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows behind fpdu.h, for the encoder, the decoder and the trace: what each FPDU carries, in
 * wire order, which groups exist, and the checks both directions share. Private to the library.
 * Chapters 4.7.1 to 4.7.4. Constant data; any thread.
 */
#pragma once

#include "protocol/fpdu.h"

typedef enum {
    ITEM_END = 0,
    ITEM_MANDATORY,
    ITEM_OPTIONAL,
    ITEM_DEFAULTED,   /* absent: as if its default had been sent */
    ITEM_CONDITIONAL, /* the condition is the caller's business */
    ITEM_IN_GROUP,    /* mandatory when its group has any content */
    ITEM_FOREIGN,     /* of another profile or another hand: accepted, never sent */
} ItemStatus;

/* One place in a template. A row with pi 0 speaks of the group itself: MANDATORY when it must be
 * mentioned. The rows of a group stand together. */
typedef struct {
    uint8_t pgi; /* 0: not in a group */
    uint8_t pi;
    uint8_t status; /* ItemStatus */
} FpduItem;

typedef struct {
    uint8_t phase;
    uint8_t code;
    const char *name;
    const char *chapter;
    const FpduItem *items; /* up to ITEM_END */
} FpduRow;

typedef struct {
    uint8_t code;
    const char *name;
    const char *chapter;
} PgiRow;

/* Row of a type, its name NULL when the type is not one of the catalogue. Never NULL. */
const FpduRow *fpdu_row(PesitFpduType type);

/* Row of a group code, or NULL. */
const PgiRow *pgi_find(unsigned code);

/* Bit of a group in PesitFpdu.groups, 0 when the code is no group. */
uint32_t pgi_bit(unsigned code);

/* Row number i of the groups, NULL past the end. */
const PgiRow *pgi_at(size_t i);

/* First mandatory place that is not filled, or NULL. A refusal (negative ACK) needs PI 2 only.
 * mentioned: groups that count as there, bits as in PesitFpdu.groups. */
const FpduItem *fpdu_find_missing(const PesitFpdu *fpdu, uint32_t mentioned);

/* True for an ACK whose PI 2 says no: nothing but PI 2, 29 and 99 means anything then (§7.3 of
 * our message reference). */
bool fpdu_is_refusal(const PesitFpdu *fpdu);

/* Groups that have at least one parameter, bits as in PesitFpdu.groups. */
uint32_t fpdu_filled_groups(const PesitFpdu *fpdu);

/* Why a number may not be the value of a parameter, NULL when it may. Constant text. */
const char *pi_check_number(PesitPi pi, uint64_t number);

/* Why these bytes may not be the value of a text, date or opaque parameter, NULL when they may.
 * Lengths are not looked at, except a date's. Constant text. */
const char *pi_check_bytes(PesitPi pi, const uint8_t *bytes, size_t length);

/* True when PesitValue.number carries the value, false when PesitValue.bytes does. */
bool pi_is_number(const PesitPiRow *row);
