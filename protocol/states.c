/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transition tables T1 to T10 of chapter 4.8, requester and server. The data FPDUs share one row (DTF).
 * Resynchronisation is never agreed to (PI 23 = 0): RESYN is the protocol error of chapter 4.8.2, except where
 * everything is dropped until ACK(IDT).
 */
#include "protocol/states.h"

typedef enum {
    GUARD_NONE,
    GUARD_POSITIVE,
    GUARD_NEGATIVE,
    GUARD_MAY_OPEN,     /* not ab */
    GUARD_MAY_WRITE,    /* not ab, not dr */
    GUARD_MAY_READ,     /* not ab, dr */
    GUARD_SYNCHRONISED, /* ck */
} Guard;

typedef struct {
    State state;
    Move move;
    PesitFpduType type;
    Guard guard;
    TransitionKind kind;
    State next;
    const char *table;
} Row;

#define S       MOVE_SEND
#define R       MOVE_RECEIVE
#define F(name) PESIT_FPDU_##name
#define T(state, move, fpdu, guard, next, table)                                                   \
    {                                                                                              \
        STATE_##state, move, F(fpdu), GUARD_##guard, TRANSITION_TAKE, STATE_##next, table          \
    }
#define D(state, move, fpdu, table)                                                                \
    {                                                                                              \
        STATE_##state, move, F(fpdu), GUARD_NONE, TRANSITION_DROP, STATE_##state, table            \
    }

/* clang-format off */
static const Row REQUESTER[] = {
    T(IDLE, S, CONNECT, NONE, CONNECTING, "T1"),
    T(CONNECTING, R, ACONNECT, NONE, CONNECTED, "T1"),
    T(CONNECTING, R, RCONNECT, NONE, OVER, "T1"),
    T(CONNECTED, S, RELEASE, NONE, RELEASING, "T1"),
    T(RELEASING, R, RELCONF, NONE, OVER, "T1"),
    T(CONNECTED, S, CREATE, NONE, CREATING, "T3"),
    T(CONNECTED, S, SELECT, NONE, SELECTING, "T3"),
    T(CREATING, R, ACK_CREATE, POSITIVE, SELECTED, "T3"),
    T(CREATING, R, ACK_CREATE, NEGATIVE, CONNECTED, "T3"),
    T(SELECTING, R, ACK_SELECT, POSITIVE, SELECTED, "T3"),
    T(SELECTING, R, ACK_SELECT, NEGATIVE, CONNECTED, "T3"),
    T(SELECTED, S, DESELECT, NONE, DESELECTING, "T3"),
    T(DESELECTING, R, ACK_DESELECT, NONE, CONNECTED, "T3"),
    T(SELECTED, S, ORF, MAY_OPEN, OPENING, "T5"),
    T(OPENING, R, ACK_ORF, POSITIVE, OPEN, "T5"),
    T(OPENING, R, ACK_ORF, NEGATIVE, SELECTED, "T5"),
    T(OPEN, S, CRF, NONE, CLOSING, "T5"),
    T(CLOSING, R, ACK_CRF, NONE, SELECTED, "T5"),
    T(OPEN, S, WRITE, MAY_WRITE, WRITE_STARTING, "T7"),
    T(WRITE_STARTING, R, ACK_WRITE, POSITIVE, WRITING, "T7"),
    T(WRITE_STARTING, R, ACK_WRITE, NEGATIVE, OPEN, "T7"),
    T(WRITING, S, DTF, NONE, WRITING, "T7"),
    T(WRITING, S, SYN, SYNCHRONISED, WRITING, "T7"),
    T(WRITING, R, ACK_SYN, SYNCHRONISED, WRITING, "T7"),
    D(WRITE_IDT_SENT, R, ACK_SYN, "T7"),
    D(WRITE_IDT_RECEIVED, R, ACK_SYN, "T7"),
    T(WRITE_ENDED, R, ACK_SYN, SYNCHRONISED, WRITE_ENDED, "T7"),
    D(WRITE_ENDING, R, ACK_SYN, "T7"),
    T(WRITING, S, DTF_END, NONE, WRITE_ENDED, "T7"),
    T(WRITE_ENDED, S, TRANS_END, NONE, WRITE_ENDING, "T7"),
    T(WRITE_ENDING, R, ACK_TRANS_END, NONE, OPEN, "T7"),
    D(WRITE_IDT_SENT, R, ACK_TRANS_END, "T7"),
    D(WRITE_IDT_SENT, R, RESYN, "T7"),
    D(WRITE_IDT_SENT, R, ACK_RESYN, "T7"),
    T(WRITING, S, IDT, NONE, WRITE_IDT_SENT, "T7"),
    T(WRITE_ENDED, S, IDT, NONE, WRITE_IDT_SENT, "T7"),
    T(WRITE_ENDING, S, IDT, NONE, WRITE_IDT_SENT, "T7"),
    T(WRITE_IDT_SENT, R, ACK_IDT, NONE, OPEN, "T7"),
    T(WRITING, R, IDT, NONE, WRITE_IDT_RECEIVED, "T7"),
    T(WRITE_ENDED, R, IDT, NONE, WRITE_IDT_RECEIVED, "T7"),
    T(WRITE_ENDING, R, IDT, NONE, WRITE_IDT_RECEIVED, "T7"),
    D(WRITE_IDT_SENT, R, IDT, "T7"),
    D(WRITE_IDT_RECEIVED, R, IDT, "T7"),
    T(WRITE_IDT_RECEIVED, S, ACK_IDT, NONE, OPEN, "T7"),
    T(OPEN, S, READ, MAY_READ, READ_STARTING, "T9"),
    T(READ_STARTING, R, ACK_READ, POSITIVE, READING, "T9"),
    T(READ_STARTING, R, ACK_READ, NEGATIVE, OPEN, "T9"),
    T(READING, R, DTF, NONE, READING, "T9"),
    D(READ_IDT_SENT, R, DTF, "T9"),
    T(READING, R, SYN, SYNCHRONISED, READING, "T9"),
    D(READ_IDT_SENT, R, SYN, "T9"),
    T(READING, S, ACK_SYN, SYNCHRONISED, READING, "T9"),
    T(READING, R, DTF_END, NONE, READ_ENDED, "T9"),
    D(READ_IDT_SENT, R, DTF_END, "T9"),
    T(READ_ENDED, S, TRANS_END, NONE, READ_ENDING, "T9"),
    T(READ_ENDING, R, ACK_TRANS_END, NONE, OPEN, "T9"),
    D(READ_IDT_SENT, R, ACK_TRANS_END, "T9"),
    D(READ_IDT_SENT, R, RESYN, "T9"),
    D(READ_IDT_SENT, R, ACK_RESYN, "T9"),
    T(READING, S, IDT, NONE, READ_IDT_SENT, "T9"),
    T(READ_ENDED, S, IDT, NONE, READ_IDT_SENT, "T9"),
    T(READ_ENDING, S, IDT, NONE, READ_IDT_SENT, "T9"),
    T(READ_IDT_SENT, R, ACK_IDT, NONE, OPEN, "T9"),
    T(READING, R, IDT, NONE, READ_IDT_RECEIVED, "T9"),
    T(READ_ENDED, R, IDT, NONE, READ_IDT_RECEIVED, "T9"),
    T(READ_ENDING, R, IDT, NONE, READ_IDT_RECEIVED, "T9"),
    D(READ_IDT_SENT, R, IDT, "T9"),
    D(READ_IDT_RECEIVED, R, IDT, "T9"),
    T(READ_IDT_RECEIVED, S, ACK_IDT, NONE, OPEN, "T9"),
    T(CONNECTED, S, MSG, NONE, MESSAGE, "4.4.31"),
    T(MESSAGE, R, ACK_MSG, NONE, CONNECTED, "4.4.32"),
};

static const Row SERVER[] = {
    T(IDLE, R, CONNECT, NONE, CONNECTING, "T2"),
    T(CONNECTING, S, ACONNECT, NONE, CONNECTED, "T2"),
    T(CONNECTING, S, RCONNECT, NONE, OVER, "T2"),
    T(CONNECTED, R, RELEASE, NONE, RELEASING, "T2"),
    T(RELEASING, S, RELCONF, NONE, OVER, "T2"),
    T(CONNECTED, R, CREATE, NONE, CREATING, "T4"),
    T(CONNECTED, R, SELECT, NONE, SELECTING, "T4"),
    T(CREATING, S, ACK_CREATE, POSITIVE, SELECTED, "T4"),
    T(CREATING, S, ACK_CREATE, NEGATIVE, CONNECTED, "T4"),
    T(SELECTING, S, ACK_SELECT, POSITIVE, SELECTED, "T4"),
    T(SELECTING, S, ACK_SELECT, NEGATIVE, CONNECTED, "T4"),
    T(SELECTED, R, DESELECT, NONE, DESELECTING, "T4"),
    T(DESELECTING, S, ACK_DESELECT, NONE, CONNECTED, "T4"),
    T(SELECTED, R, ORF, MAY_OPEN, OPENING, "T6"),
    T(OPENING, S, ACK_ORF, POSITIVE, OPEN, "T6"),
    T(OPENING, S, ACK_ORF, NEGATIVE, SELECTED, "T6"),
    T(OPEN, R, CRF, NONE, CLOSING, "T6"),
    T(CLOSING, S, ACK_CRF, NONE, SELECTED, "T6"),
    T(OPEN, R, WRITE, MAY_WRITE, WRITE_STARTING, "T8"),
    T(WRITE_STARTING, S, ACK_WRITE, POSITIVE, WRITING, "T8"),
    T(WRITE_STARTING, S, ACK_WRITE, NEGATIVE, OPEN, "T8"),
    T(WRITING, R, DTF, NONE, WRITING, "T8"),
    D(WRITE_IDT_SENT, R, DTF, "T8"),
    T(WRITING, R, SYN, SYNCHRONISED, WRITING, "T8"),
    D(WRITE_IDT_SENT, R, SYN, "T8"),
    T(WRITING, S, ACK_SYN, SYNCHRONISED, WRITING, "T8"),
    T(WRITE_ENDED, S, ACK_SYN, SYNCHRONISED, WRITE_ENDED, "T8"),
    T(WRITING, R, DTF_END, NONE, WRITE_ENDED, "T8"),
    D(WRITE_IDT_SENT, R, DTF_END, "T8"),
    T(WRITE_ENDED, R, TRANS_END, NONE, WRITE_ENDING, "T8"),
    D(WRITE_IDT_SENT, R, TRANS_END, "T8"),
    D(WRITE_IDT_SENT, R, RESYN, "T8"),
    D(WRITE_IDT_SENT, R, ACK_RESYN, "T8"),
    T(WRITE_ENDING, S, ACK_TRANS_END, NONE, OPEN, "T8"),
    T(WRITING, S, IDT, NONE, WRITE_IDT_SENT, "T8"),
    T(WRITE_ENDED, S, IDT, NONE, WRITE_IDT_SENT, "T8"),
    T(WRITE_ENDING, S, IDT, NONE, WRITE_IDT_SENT, "T8"),
    T(WRITE_IDT_SENT, R, ACK_IDT, NONE, OPEN, "T8"),
    T(WRITING, R, IDT, NONE, WRITE_IDT_RECEIVED, "T8"),
    T(WRITE_ENDED, R, IDT, NONE, WRITE_IDT_RECEIVED, "T8"),
    T(WRITE_ENDING, R, IDT, NONE, WRITE_IDT_RECEIVED, "T8"),
    T(WRITE_IDT_SENT, R, IDT, NONE, WRITE_IDT_RECEIVED, "T8"),
    D(WRITE_IDT_RECEIVED, R, IDT, "T8"),
    T(WRITE_IDT_RECEIVED, S, ACK_IDT, NONE, OPEN, "T8"),
    T(OPEN, R, IDT, NONE, OPEN, "T8"),
    T(OPEN, S, ACK_IDT, NONE, OPEN, "T8"),
    T(OPEN, R, READ, MAY_READ, READ_STARTING, "T10"),
    T(READ_STARTING, S, ACK_READ, POSITIVE, READING, "T10"),
    T(READ_STARTING, S, ACK_READ, NEGATIVE, OPEN, "T10"),
    T(READING, S, DTF, NONE, READING, "T10"),
    T(READING, S, SYN, SYNCHRONISED, READING, "T10"),
    T(READING, R, ACK_SYN, SYNCHRONISED, READING, "T10"),
    D(READ_IDT_SENT, R, ACK_SYN, "T10"),
    D(READ_IDT_RECEIVED, R, ACK_SYN, "T10"),
    D(READ_ENDED, R, ACK_SYN, "T10"),
    D(READ_ENDING, R, ACK_SYN, "T10"),
    T(READING, S, DTF_END, NONE, READ_ENDED, "T10"),
    T(READ_ENDED, R, TRANS_END, NONE, READ_ENDING, "T10"),
    D(READ_IDT_SENT, R, TRANS_END, "T10"),
    D(READ_IDT_SENT, R, RESYN, "T10"),
    D(READ_IDT_SENT, R, ACK_RESYN, "T10"),
    T(READ_ENDING, S, ACK_TRANS_END, NONE, OPEN, "T10"),
    T(READING, S, IDT, NONE, READ_IDT_SENT, "T10"),
    T(READ_ENDED, S, IDT, NONE, READ_IDT_SENT, "T10"),
    T(READ_ENDING, S, IDT, NONE, READ_IDT_SENT, "T10"),
    T(READ_IDT_SENT, R, ACK_IDT, NONE, OPEN, "T10"),
    T(READING, R, IDT, NONE, READ_IDT_RECEIVED, "T10"),
    T(READ_ENDED, R, IDT, NONE, READ_IDT_RECEIVED, "T10"),
    T(READ_ENDING, R, IDT, NONE, READ_IDT_RECEIVED, "T10"),
    T(READ_IDT_SENT, R, IDT, NONE, READ_IDT_RECEIVED, "T10"),
    D(READ_IDT_RECEIVED, R, IDT, "T10"),
    T(READ_IDT_RECEIVED, S, ACK_IDT, NONE, OPEN, "T10"),
    T(CONNECTED, R, MSG, NONE, MESSAGE, "4.4.31"),
    T(CONNECTED, R, MSGDM, NONE, MESSAGE_PARTS, "4.4.31.2"),
    D(MESSAGE_PARTS, R, MSGMM, "4.4.31.2"),
    T(MESSAGE_PARTS, R, MSGFM, NONE, MESSAGE, "4.4.31.2"),
    T(MESSAGE, S, ACK_MSG, NONE, CONNECTED, "4.4.32"),
};

static const char *const NAMES[STATE_COUNT][2] = {
    [STATE_IDLE] = { "CN01", "CN01" },               [STATE_CONNECTING] = { "CN02A", "CN02B" },
    [STATE_CONNECTED] = { "CN03", "CN03" },          [STATE_RELEASING] = { "CN04A", "CN04B" },
    [STATE_CREATING] = { "SF01A", "SF01B" },         [STATE_SELECTING] = { "SF02A", "SF02B" },
    [STATE_SELECTED] = { "SF03", "SF03" },           [STATE_DESELECTING] = { "SF04A", "SF04B" },
    [STATE_OPENING] = { "OF01A", "OF01B" },          [STATE_OPEN] = { "OF02", "OF02" },
    [STATE_CLOSING] = { "OF03A", "OF03B" },          [STATE_WRITE_STARTING] = { "TDE01A", "TDE01B" },
    [STATE_WRITING] = { "TDE02A", "TDE02B" },        [STATE_WRITE_IDT_SENT] = { "TDE05", "TDE05" },
    [STATE_WRITE_IDT_RECEIVED] = { "TDE06", "TDE06" }, [STATE_WRITE_ENDED] = { "TDE07", "TDE07" },
    [STATE_WRITE_ENDING] = { "TDE08A", "TDE08B" },   [STATE_READ_STARTING] = { "TDL01A", "TDL01B" },
    [STATE_READING] = { "TDL02A", "TDL02B" },        [STATE_READ_IDT_SENT] = { "TDL05", "TDL05" },
    [STATE_READ_IDT_RECEIVED] = { "TDL06", "TDL06" }, [STATE_READ_ENDED] = { "TDL07", "TDL07" },
    [STATE_READ_ENDING] = { "TDL08A", "TDL08B" },    [STATE_MESSAGE_PARTS] = { "MG01A", "MG01B" },
    [STATE_MESSAGE] = { "MG04A", "MG04B" },          [STATE_OVER] = { "CN01", "CN01" },
};
/* clang-format on */

static bool is_allowed(Guard guard, const StateFacts *facts)
{
    switch (guard) {
    case GUARD_NONE:
        return true;
    case GUARD_POSITIVE:
        return facts->positive;
    case GUARD_NEGATIVE:
        return !facts->positive;
    case GUARD_MAY_OPEN:
        return !facts->stopped_early;
    case GUARD_MAY_WRITE:
        return !facts->stopped_early && !facts->reading;
    case GUARD_MAY_READ:
        return !facts->stopped_early && facts->reading;
    case GUARD_SYNCHRONISED:
        return facts->synchronised;
    }
    return false;
}

TransitionKind states_find(PesitRole role, State state, Move move, PesitFpduType type,
                           const StateFacts *facts, State *ret_next)
{
    const Row *rows = role == PESIT_ROLE_REQUESTER ? REQUESTER : SERVER;
    size_t count = role == PESIT_ROLE_REQUESTER ? sizeof REQUESTER / sizeof *REQUESTER
                                                : sizeof SERVER / sizeof *SERVER;

    for (size_t i = 0; i < count; i++) {
        const Row *row = &rows[i];

        if (row->state != state || row->move != move || row->type != type ||
            !is_allowed(row->guard, facts))
            continue;
        *ret_next = row->next;
        return row->kind;
    }
    return TRANSITION_NONE;
}

const char *states_name(PesitRole role, State state)
{
    return NAMES[state][role];
}
