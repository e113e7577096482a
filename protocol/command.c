/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the local side asks to send: requests and answers. The session fills in what is its own business
 * (identifiers, negotiated values, counters) and completes the mandatory parameters of refusals.
 * Chapters 3.6, 4.7.4, 4.8.
 */
#include "protocol/preconnection.h"
#include "protocol/session-private.h"

static bool is_answer(PesitFpduType type)
{
    switch ((int)type) {
    case PESIT_FPDU_RCONNECT:
    case PESIT_FPDU_ACK_CREATE:
    case PESIT_FPDU_ACK_SELECT:
    case PESIT_FPDU_ACK_DESELECT:
    case PESIT_FPDU_ACK_ORF:
    case PESIT_FPDU_ACK_CRF:
    case PESIT_FPDU_ACK_READ:
    case PESIT_FPDU_ACK_WRITE:
    case PESIT_FPDU_ACK_TRANS_END:
    case PESIT_FPDU_ACK_MSG:
    case PESIT_FPDU_RELEASE:
    case PESIT_FPDU_DESELECT:
    case PESIT_FPDU_CRF:
    case PESIT_FPDU_DTF_END:
    case PESIT_FPDU_IDT:
        return true;
    default:
        return false;
    }
}

static uint16_t smaller(uint64_t a, uint64_t b)
{
    return (uint16_t)(a < b ? a : b);
}

static void fill_connect(PesitSession *self, PesitFpdu *fpdu)
{
    fpdu->id_src = self->own_id;
    pesit_fpdu_set_number(fpdu, PESIT_PI_VERSION, 2);
    self->proposed_interval_kb = self->options.sync_interval_kb;
    self->proposed_window = self->options.sync_interval_kb != 0 ? self->options.sync_window : 0;
    if (self->proposed_interval_kb != 0 || !self->options.omit_defaults)
        pesit_fpdu_set_sync(fpdu, self->proposed_interval_kb, self->proposed_window);
    if (self->options.resync || !self->options.omit_defaults)
        pesit_fpdu_set_number(fpdu, PESIT_PI_RESYNC, self->options.resync ? 1 : 0);
    self->access = (PesitAccess)pesit_fpdu_number(fpdu, PESIT_PI_ACCESS_TYPE, PESIT_ACCESS_MIXED);
    pesit_fpdu_set_number(fpdu, PESIT_PI_ACCESS_TYPE, self->access);
}

static void fill_aconnect(PesitSession *self, PesitFpdu *fpdu)
{
    uint16_t own = self->options.sync_interval_kb;
    uint16_t proposed = self->proposed_interval_kb;

    fpdu->id_src = self->own_id;
    self->accepted = true;
    self->interval_kb =
            proposed == 0 || own == 0 ? 0 : smaller(proposed, own); /* FFFF is the largest */
    self->window = self->interval_kb == 0
                           ? 0
                           : (uint8_t)smaller(self->proposed_window, self->options.sync_window);
    self->facts.synchronised = self->interval_kb != 0;
    pesit_fpdu_set_number(fpdu, PESIT_PI_VERSION, 2);
    pesit_fpdu_set_sync(fpdu, self->interval_kb, self->window);
    pesit_fpdu_set_number(fpdu, PESIT_PI_RESYNC, 0);
}

static void fill_selection(PesitSession *self, PesitFpdu *fpdu)
{
    self->proposed_entity =
            smaller(pesit_fpdu_number(fpdu, PESIT_PI_MAX_ENTITY, self->options.max_entity_bytes),
                    self->options.max_entity_bytes);
    pesit_fpdu_set_number(fpdu, PESIT_PI_MAX_ENTITY, self->proposed_entity);
    self->facts.reading = fpdu->type == PESIT_FPDU_SELECT;
    self->facts.stopped_early = false;
    self->restarting = pesit_fpdu_number(fpdu, PESIT_PI_RESTARTED, 0) == 1;
    self->article_bytes = (uint16_t)pesit_fpdu_number(fpdu, PESIT_PI_ARTICLE_LENGTH, 0);
    self->article_fixed = pesit_fpdu_number(fpdu, PESIT_PI_ARTICLE_FORMAT, 0x80) == 0;
}

/* PI 25 never above what was proposed; a refusal still carries the mandatory list. */
static void fill_selection_answer(PesitSession *self, PesitFpdu *fpdu)
{
    uint16_t entity = smaller(self->proposed_entity, self->options.max_entity_bytes);

    if (self->facts.positive)
        self->max_entity = entity;
    pesit_fpdu_set_number(fpdu, PESIT_PI_MAX_ENTITY, entity);
    if (fpdu->type != PESIT_FPDU_ACK_SELECT)
        return;
    if (!pesit_fpdu_has(fpdu, PESIT_PI_TRANSFER_ID)) {
        uint64_t asked = pesit_fpdu_number(&self->fpdu, PESIT_PI_TRANSFER_ID, 0);

        pesit_fpdu_set_number(fpdu, PESIT_PI_TRANSFER_ID, asked != 0 ? asked : 1); /* never 0 */
    }
    if (!pesit_fpdu_has(fpdu, PESIT_PI_FILE_TYPE))
        pesit_fpdu_set_number(fpdu, PESIT_PI_FILE_TYPE,
                              pesit_fpdu_number(&self->fpdu, PESIT_PI_FILE_TYPE, 0));
    if (!pesit_fpdu_has(fpdu, PESIT_PI_FILE_NAME)) {
        size_t length;
        const uint8_t *name = pesit_fpdu_bytes(&self->fpdu, PESIT_PI_FILE_NAME, &length);

        pesit_fpdu_set_bytes(fpdu, PESIT_PI_FILE_NAME, name, length);
    }
    self->article_bytes = (uint16_t)pesit_fpdu_number(fpdu, PESIT_PI_ARTICLE_LENGTH, 0);
    self->article_fixed = pesit_fpdu_number(fpdu, PESIT_PI_ARTICLE_FORMAT, 0x80) == 0;
}

static void fill_counts(PesitSession *self, PesitFpdu *fpdu)
{
    pesit_fpdu_set_number(fpdu, PESIT_PI_BYTE_COUNT, self->bytes);
    pesit_fpdu_set_number(fpdu, PESIT_PI_ARTICLE_COUNT, self->articles & UINT32_MAX);
}

static void fill_start(PesitSession *self, PesitFpdu *fpdu, const PesitCommand *command)
{
    session_reset_transfer(self);
    self->last_point = self->last_acked = command->point;
    pesit_session_set_start(self, command->bytes, command->articles);
    if (fpdu->type != PESIT_FPDU_ACK_READ)
        pesit_fpdu_set_number(fpdu, PESIT_PI_RESTART_POINT, command->point);
}

static void fill(PesitSession *self, PesitFpdu *fpdu, const PesitCommand *command)
{
    switch ((int)fpdu->type) {
    case PESIT_FPDU_CONNECT:
        fill_connect(self, fpdu);
        break;
    case PESIT_FPDU_ACONNECT:
        fill_aconnect(self, fpdu);
        break;
    case PESIT_FPDU_RELEASE:
    case PESIT_FPDU_RELCONF:
        fpdu->id_src = self->own_id;
        break;
    case PESIT_FPDU_CREATE:
    case PESIT_FPDU_SELECT:
        fill_selection(self, fpdu);
        break;
    case PESIT_FPDU_ACK_CREATE:
    case PESIT_FPDU_ACK_SELECT:
        fill_selection_answer(self, fpdu);
        break;
    case PESIT_FPDU_ACK_ORF:
        pesit_fpdu_set_number(fpdu, PESIT_PI_COMPRESSION, 0);
        break;
    case PESIT_FPDU_READ:
    case PESIT_FPDU_ACK_WRITE:
    case PESIT_FPDU_ACK_READ:
        fill_start(self, fpdu, command);
        break;
    case PESIT_FPDU_TRANS_END:
    case PESIT_FPDU_ACK_TRANS_END:
        fill_counts(self, fpdu);
        break;
    case PESIT_FPDU_IDT:
        self->pending_end_code = command->end_code;
        pesit_fpdu_set_number(fpdu, PESIT_PI_END_CODE, command->end_code);
        break;
    case PESIT_FPDU_ACK_IDT:
        self->facts.stopped_early = self->pending_end_code == PESIT_END_SUSPENDED ||
                                    self->pending_end_code == PESIT_END_CANCELLED_SERVER ||
                                    self->pending_end_code == PESIT_END_CANCELLED_REQUESTER;
        break;
    default:
        break;
    }
}

static PesitStatus acknowledge_point(PesitSession *self, const PesitCommand *command)
{
    PesitFpdu fpdu;
    TransitionKind kind;

    if (command->point > self->last_point)
        return PESIT_MISUSE;
    if (self->window == 0 || command->point <= self->last_acked ||
        !session_advance(self, MOVE_SEND, PESIT_FPDU_ACK_SYN, &kind))
        return PESIT_OK; /* nothing to say, or too late to say it */
    self->last_acked = command->point;
    pesit_fpdu_init(&fpdu, PESIT_FPDU_ACK_SYN);
    fpdu.id_dst = self->peer_id;
    pesit_fpdu_set_number(&fpdu, PESIT_PI_SYNC_NUMBER, command->point);
    return session_send(self, &fpdu);
}

PesitStatus pesit_session_command(PesitSession *self, const PesitCommand *command, int64_t now_us)
{
    PesitFpdu fpdu;
    TransitionKind kind;
    PesitStatus status;
    State before = self->state;

    self->now_us = now_us;
    if (self->state == STATE_OVER)
        return PESIT_MISUSE;
    if (command->type == PESIT_FPDU_ABORT) {
        (void)session_fail(self, command->diag, "asked for"); /* the caller asked: not an event */
        self->event_count--;
        return PESIT_OK;
    }
    if (command->type == PESIT_FPDU_ACK_SYN)
        return acknowledge_point(self, command);
    self->facts.positive = !pesit_diag_is_negative(command->diag);
    if (!session_advance(self, MOVE_SEND, command->type, &kind))
        return PESIT_MISUSE;
    if (command->params != NULL)
        fpdu = *command->params;
    else
        pesit_fpdu_init(&fpdu, command->type);
    fpdu.type = command->type;
    fpdu.id_dst = command->type == PESIT_FPDU_CONNECT ? 0 : self->peer_id;
    fpdu.id_src = 0;
    if (is_answer(command->type))
        pesit_fpdu_set_diag(&fpdu, command->diag);
    fill(self, &fpdu, command);
    if (command->type == PESIT_FPDU_CONNECT && self->options.preconnection)
        preconnection_propose(self, &fpdu);
    status = session_send(self, &fpdu);
    if (status != PESIT_OK) {
        self->state = before; /* nothing left the session */
        session_arm(self);
    }
    return status;
}
