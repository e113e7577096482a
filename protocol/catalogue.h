/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows behind fpdu.h, for the encoder and the decoder: what each FPDU carries, in wire order.
 * Private to the library. Chapter 4.7.4.
 */
#pragma once

#include "protocol/fpdu.h"

#define ITEMS_MAX 40

typedef enum {
    ITEM_END,
    ITEM_MANDATORY,
    ITEM_OPTIONAL,
    ITEM_RECEIVED,   /* other profiles send it: known, never sent */
} ItemStatus;

typedef struct {
    uint8_t pgi;     /* 0: not in a group */
    uint8_t pi;
    uint8_t status;  /* ItemStatus */
} FpduItem;

typedef struct {
    uint8_t phase;
    uint8_t code;
    const char *name;
    const char *chapter;
    FpduItem items[ITEMS_MAX];
} FpduRow;

extern const FpduRow FPDU_ROWS[PESIT_FPDU_COUNT];
