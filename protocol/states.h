/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transition tables of a connection: state, what is sent or received, guard, next state. No row means
 * the specified protocol error. Chapter 4.8. Private to the library; pure.
 */
#pragma once

#include "protocol/types.h"

/* The specification's codes; A and B states are told apart by the role. */
typedef enum {
    STATE_IDLE,               /* CN01 */
    STATE_CONNECTING,         /* CN02A, CN02B */
    STATE_CONNECTED,          /* CN03 */
    STATE_RELEASING,          /* CN04A, CN04B */
    STATE_CREATING,           /* SF01A, SF01B */
    STATE_SELECTING,          /* SF02A, SF02B */
    STATE_SELECTED,           /* SF03 */
    STATE_DESELECTING,        /* SF04A, SF04B */
    STATE_OPENING,            /* OF01A, OF01B */
    STATE_OPEN,               /* OF02 */
    STATE_CLOSING,            /* OF03A, OF03B */
    STATE_WRITE_STARTING,     /* TDE01A, TDE01B */
    STATE_WRITING,            /* TDE02A, TDE02B */
    STATE_WRITE_IDT_SENT,     /* TDE05 */
    STATE_WRITE_IDT_RECEIVED, /* TDE06 */
    STATE_WRITE_ENDED,        /* TDE07 */
    STATE_WRITE_ENDING,       /* TDE08A, TDE08B */
    STATE_READ_STARTING,      /* TDL01A, TDL01B */
    STATE_READING,            /* TDL02A, TDL02B */
    STATE_READ_IDT_SENT,      /* TDL05 */
    STATE_READ_IDT_RECEIVED,  /* TDL06 */
    STATE_READ_ENDED,         /* TDL07 */
    STATE_READ_ENDING,        /* TDL08A, TDL08B */
    STATE_MESSAGE_PARTS,      /* MG01B */
    STATE_MESSAGE,            /* MG04A, MG04B */
    STATE_OVER,               /* CN01 again, the transport still to be closed */
    STATE_COUNT,
} State;

typedef enum { MOVE_SEND, MOVE_RECEIVE } Move;

/* Facts that guards ask for. */
typedef struct {
    bool stopped_early; /* ab */
    bool reading;       /* dr: the selection came by SELECT */
    bool synchronised;  /* ck */
    bool positive;      /* sign of the acknowledgement */
} StateFacts;

typedef enum { TRANSITION_NONE, TRANSITION_TAKE, TRANSITION_DROP } TransitionKind;

/* Looks the row up. NONE: a protocol error. DROP: consumed without effect. */
TransitionKind states_find(PesitRole role, State state, Move move, PesitFpduType type,
                           const StateFacts *facts, State *ret_next);
/* "TDE02A": the specification's code. */
const char *states_name(PesitRole role, State state);
