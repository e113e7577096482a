/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from the peer: entities are found and checked whole, then taken FPDU by FPDU; each is checked
 * against the header rules, the state table, the codec and the negotiation rules, and becomes an event.
 * Data become pieces that point into the caller's buffer. Chapters 3.7, 4.3, 4.5, 4.7, 4.8.
 */
#include "protocol/preconnection.h"
#include "protocol/session-private.h"
#include "protocol/wire.h"

#define DIAG_PROTOCOL       PESIT_DIAG(3, 311)
#define DIAG_STRUCTURE      PESIT_DIAG(3, 318)
#define DIAG_NEGOTIATION    PESIT_DIAG(3, 315)
#define DIAG_COUNTS         PESIT_DIAG(3, 319)
#define DIAG_WINDOW         PESIT_DIAG(2, 217)
#define DIAG_ARTICLE        PESIT_DIAG(2, 220)
#define DIAG_INTERVAL       PESIT_DIAG(2, 222)
#define DETECT_BYTES        6 /* up to the type octet of a prefixed message */
#define PRECONNECTION_BYTES 24
#define SYNC_UNDEFINED      0xFFFF
#define KB                  1024u

/* framing */

/* Not PeSIT: nothing valid can be answered. */
static PesitStatus close_silently(PesitSession *self)
{
    session_add_event(self, PESIT_EVENT_LOST)->text = "not PeSIT";
    self->state = STATE_OVER;
    self->close_now = true;
    return PESIT_VIOLATION;
}

/* messages §1.2: the first bytes tell how entities are delimited. */
static PesitStatus detect_framing(PesitSession *self, const uint8_t *bytes, size_t length,
                                  size_t *ret_taken)
{
    size_t outer, inner;

    if (length < DETECT_BYTES)
        return PESIT_NEED_MORE;
    outer = (size_t)wire_number(bytes, 2);
    inner = (size_t)wire_number(bytes + 2, 2);
    if (preconnection_begins(bytes) ||
        (outer == PRECONNECTION_BYTES && preconnection_begins(bytes + PREFIX_BYTES)))
        return preconnection_answer(self, bytes, length, ret_taken);
    if (pesit_fpdu_from_wire(bytes[4], bytes[5]) != PESIT_FPDU_NONE &&
        inner >= PESIT_HEADER_BYTES && (outer == inner || outer == inner + 2))
        self->framing = PESIT_FRAMING_PREFIXED;
    else if (pesit_fpdu_from_wire(bytes[2], bytes[3]) != PESIT_FPDU_NONE &&
             outer >= PESIT_HEADER_BYTES)
        self->framing = PESIT_FRAMING_RAW;
    else
        return close_silently(self);
    return PESIT_OK;
}

/* The FPDUs of an entity must tile it exactly, and only some may share it. */
static PesitStatus check_tiling(PesitSession *self, const uint8_t *entity, size_t length)
{
    size_t at = 0;
    unsigned count = 0;
    bool single_found = false, data_found = false;

    while (at < length) {
        PesitFpduType type;
        PesitDiag diag;
        size_t fpdu_length;
        uint8_t dst, src;

        if (length - at < PESIT_HEADER_BYTES)
            return session_fail(self, DIAG_STRUCTURE, "bytes left over in an entity");
        if (pesit_header_decode(entity + at, &type, &fpdu_length, &dst, &src, &diag) != PESIT_OK)
            return session_fail(self, diag, "unknown message or wrong phase octet");
        if (fpdu_length > length - at)
            return session_fail(self, DIAG_STRUCTURE, "message longer than its entity");
        single_found = single_found || !pesit_fpdu_can_concatenate(type);
        data_found = data_found || pesit_fpdu_is_data(type);
        at += fpdu_length;
        count++;
    }
    if (count > 1 && single_found) {
        /* stray bytes that happen to look like a header are a length error, not a concatenation */
        return session_fail(self, DIAG_PROTOCOL, "messages that may not share an entity");
    }
    if (data_found && length > self->max_entity)
        return session_fail(self, DIAG_PROTOCOL, "entity larger than agreed");
    return PESIT_OK;
}

/* Finds the next whole entity. ret_taken: the prefix. */
static PesitStatus open_entity(PesitSession *self, const uint8_t *bytes, size_t length,
                               size_t *ret_taken)
{
    size_t prefix = self->framing == PESIT_FRAMING_PREFIXED ? PREFIX_BYTES : 0;
    size_t entity;
    PesitStatus status;

    if (length < 2)
        return PESIT_NEED_MORE;
    entity = (size_t)wire_number(bytes, 2);
    if (entity < PESIT_HEADER_BYTES)
        return session_fail(self, DIAG_STRUCTURE, "entity shorter than a header");
    if (length < prefix + entity)
        return PESIT_NEED_MORE;
    status = check_tiling(self, bytes + prefix, entity);
    if (status != PESIT_OK)
        return status;
    self->entity_left = entity;
    *ret_taken = prefix;
    return PESIT_OK;
}

/* header rules, chapter 4.7.1 */

static bool are_ids_right(const PesitSession *self, PesitFpduType type, uint8_t dst, uint8_t src)
{
    if (type == PESIT_FPDU_CONNECT)
        return dst == 0 && src != 0;
    if (type == PESIT_FPDU_ABORT)
        return (dst == 0 || dst == self->own_id) &&
               (src == 0 || self->peer_id == 0 || src == self->peer_id);
    if (dst != self->own_id)
        return false;
    if (type == PESIT_FPDU_ACONNECT)
        return src != 0;
    if (type == PESIT_FPDU_RELEASE || type == PESIT_FPDU_RELCONF)
        return src == self->peer_id;
    return true;
}

static void add_remark(PesitSession *self, PesitFpduType type, unsigned pi, const char *text)
{
    PesitEvent *event = session_add_event(self, PESIT_EVENT_REMARK);

    event->type = type;
    event->pi = pi;
    event->text = text;
}

/* negotiation, chapter 3.7 */

static PesitStatus take_connect(PesitSession *self, const PesitFpdu *fpdu)
{
    /* it came without: entities with check octets do not get here, they do not tile */
    if (pesit_fpdu_number(fpdu, PESIT_PI_CRC, 0) != 0)
        return session_fail(self, DIAG_STRUCTURE, "check octets announced and absent");
    self->access = (PesitAccess)pesit_fpdu_number(fpdu, PESIT_PI_ACCESS_TYPE, PESIT_ACCESS_WRITE);
    pesit_fpdu_sync(fpdu, &self->proposed_interval_kb, &self->proposed_window);
    return PESIT_OK;
}

static PesitStatus take_aconnect(PesitSession *self, const PesitFpdu *fpdu)
{
    uint16_t interval_kb;
    uint8_t window;

    self->peer_id = fpdu->id_src;
    pesit_fpdu_sync(fpdu, &interval_kb, &window);
    if (pesit_fpdu_number(fpdu, PESIT_PI_VERSION, 0) != 2)
        return session_fail(self, DIAG_NEGOTIATION, "the partner answered another version");
    if (interval_kb > self->proposed_interval_kb ||
        (interval_kb != 0 && window > self->proposed_window))
        return session_fail(self, DIAG_NEGOTIATION,
                            "the partner raised the synchronisation option");
    if (pesit_fpdu_number(fpdu, PESIT_PI_RESYNC, 0) != 0 && !self->options.resync)
        return session_fail(self, DIAG_NEGOTIATION,
                            "the partner raised the resynchronisation option");
    self->interval_kb = interval_kb;
    self->window = interval_kb != 0 ? window : 0;
    self->facts.synchronised = interval_kb != 0;
    return PESIT_OK;
}

static void take_attributes(PesitSession *self, const PesitFpdu *fpdu)
{
    self->article_bytes = (uint16_t)pesit_fpdu_number(fpdu, PESIT_PI_ARTICLE_LENGTH, 0);
    self->article_fixed = pesit_fpdu_number(fpdu, PESIT_PI_ARTICLE_FORMAT, 0x80) == 0;
}

static PesitStatus take_selection(PesitSession *self, const PesitFpdu *fpdu)
{
    self->facts.reading = fpdu->type == PESIT_FPDU_SELECT;
    self->facts.stopped_early = false;
    self->proposed_entity = (uint16_t)pesit_fpdu_number(fpdu, PESIT_PI_MAX_ENTITY, 0);
    /* else the one above refuses it with 2/226 */
    if (self->options.strict &&
        self->access == (self->facts.reading ? PESIT_ACCESS_WRITE : PESIT_ACCESS_READ))
        return session_fail(self, DIAG_PROTOCOL, "selection against the access type");
    take_attributes(self, fpdu);
    if (fpdu->type == PESIT_FPDU_SELECT && pesit_fpdu_number(fpdu, PESIT_PI_RESTARTED, 0) == 1 &&
        pesit_fpdu_number(fpdu, PESIT_PI_TRANSFER_ID, 0) == 0)
        return session_fail(self, DIAG_STRUCTURE, "restart of transfer 0");
    return PESIT_OK;
}

static PesitStatus take_selection_answer(PesitSession *self, const PesitFpdu *fpdu)
{
    uint64_t entity = pesit_fpdu_number(fpdu, PESIT_PI_MAX_ENTITY, self->proposed_entity);

    if (!self->facts.positive)
        return PESIT_OK;
    if (entity > self->proposed_entity)
        return session_fail(self, DIAG_NEGOTIATION, "the partner raised the entity size");
    self->max_entity = (uint16_t)entity;
    if (fpdu->type != PESIT_FPDU_ACK_SELECT)
        return PESIT_OK;
    take_attributes(self, fpdu);
    if (pesit_fpdu_number(fpdu, PESIT_PI_TRANSFER_ID, 0) == 0)
        return session_fail(self, DIAG_STRUCTURE, "ACK(SELECT) without a transfer identifier");
    return PESIT_OK;
}

/* After a restart some products count from its point, others from the start of the file. §9.11 */
static bool is_count(uint64_t said, uint64_t all, uint64_t before)
{
    return said == all || said == all - before;
}

static PesitStatus check_counts(PesitSession *self, const PesitFpdu *fpdu)
{
    bool again = self->start_articles > 0;

    if (!is_count(pesit_fpdu_number(fpdu, PESIT_PI_BYTE_COUNT, self->bytes), self->bytes,
                  self->start_bytes)) {
        if (!again || self->options.strict)
            return session_fail(self, DIAG_COUNTS, "byte counts differ");
        add_remark(self, fpdu->type, PESIT_PI_BYTE_COUNT, "byte counts differ after a restart");
    }
    if (is_count(pesit_fpdu_number(fpdu, PESIT_PI_ARTICLE_COUNT, self->articles), self->articles,
                 self->start_articles))
        return PESIT_OK;
    if (self->options.strict)
        return session_fail(self, DIAG_COUNTS, "article counts differ");
    add_remark(self, fpdu->type, PESIT_PI_ARTICLE_COUNT, "article counts differ");
    return PESIT_OK;
}

static PesitStatus take_start_answer(PesitSession *self, const PesitFpdu *fpdu)
{
    if (self->facts.positive && fpdu->type == PESIT_FPDU_ACK_WRITE &&
        pesit_fpdu_number(fpdu, PESIT_PI_RESTART_POINT, 0) != 0 && !self->restarting)
        return session_fail(self, DIAG_NEGOTIATION, "restart point on a new transfer");
    session_reset_transfer(self);
    self->last_point = self->last_acked =
            (uint32_t)pesit_fpdu_number(fpdu, PESIT_PI_RESTART_POINT, 0);
    return PESIT_OK;
}

/* Rules of one received control FPDU, before its event. */
static PesitStatus apply_rules(PesitSession *self, const PesitFpdu *fpdu)
{
    switch ((int)fpdu->type) {
    case PESIT_FPDU_CONNECT:
        return take_connect(self, fpdu);
    case PESIT_FPDU_ACONNECT:
        return take_aconnect(self, fpdu);
    case PESIT_FPDU_CREATE:
    case PESIT_FPDU_SELECT:
        return take_selection(self, fpdu);
    case PESIT_FPDU_ACK_CREATE:
    case PESIT_FPDU_ACK_SELECT:
        return take_selection_answer(self, fpdu);
    case PESIT_FPDU_ACK_ORF:
        if (pesit_fpdu_number(fpdu, PESIT_PI_COMPRESSION, 0) >> 8 != 0)
            return session_fail(self, DIAG_NEGOTIATION, "compression was not proposed");
        return PESIT_OK;
    case PESIT_FPDU_ACK_WRITE:
    case PESIT_FPDU_ACK_READ:
        return take_start_answer(self, fpdu);
    case PESIT_FPDU_TRANS_END:
        return check_counts(self, fpdu);
    case PESIT_FPDU_ACK_TRANS_END:
        return self->facts.positive ? check_counts(self, fpdu) : PESIT_OK;
    case PESIT_FPDU_IDT:
        self->pending_end_code =
                (uint8_t)pesit_fpdu_number(fpdu, PESIT_PI_END_CODE, PESIT_END_ERROR);
        return PESIT_OK;
    case PESIT_FPDU_ACK_IDT:
        self->facts.stopped_early = self->pending_end_code != PESIT_END_ERROR;
        return PESIT_OK;
    case PESIT_FPDU_ACK_DESELECT:
        self->facts.stopped_early = false;
        self->max_entity = PESIT_FPDU_MAX_BYTES;
        return PESIT_OK;
    default:
        return PESIT_OK;
    }
}

static bool is_request(PesitFpduType type)
{
    return type == PESIT_FPDU_CONNECT || type == PESIT_FPDU_RELEASE || type == PESIT_FPDU_CREATE ||
           type == PESIT_FPDU_SELECT || type == PESIT_FPDU_DESELECT || type == PESIT_FPDU_ORF ||
           type == PESIT_FPDU_CRF || type == PESIT_FPDU_READ || type == PESIT_FPDU_WRITE ||
           type == PESIT_FPDU_TRANS_END || type == PESIT_FPDU_IDT || type == PESIT_FPDU_MSG ||
           type == PESIT_FPDU_MSGFM;
}

static void add_control_event(PesitSession *self, const PesitFpdu *fpdu)
{
    PesitEvent *event = session_add_event(self, is_request(fpdu->type) ? PESIT_EVENT_INDICATION
                                                                       : PESIT_EVENT_CONFIRMATION);

    event->type = fpdu->type;
    event->fpdu = fpdu;
    event->diag = pesit_fpdu_diag(fpdu);
    event->positive = self->facts.positive && fpdu->type != PESIT_FPDU_RCONNECT;
    event->end_code = self->pending_end_code;
    event->point = (uint32_t)pesit_fpdu_number(fpdu, PESIT_PI_RESTART_POINT, 0);
}

/* data phase */

void session_interrupt(PesitSession *self, PesitDiag diag)
{
    PesitFpdu fpdu;
    PesitEvent *event;
    TransitionKind kind;

    if (!session_advance(self, MOVE_SEND, PESIT_FPDU_IDT, &kind))
        return;
    self->pending_end_code = self->options.role == PESIT_ROLE_SERVER
                                     ? PESIT_END_CANCELLED_SERVER
                                     : PESIT_END_CANCELLED_REQUESTER;
    pesit_fpdu_init(&fpdu, PESIT_FPDU_IDT);
    fpdu.id_dst = self->peer_id;
    pesit_fpdu_set_diag(&fpdu, diag);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_END_CODE, self->pending_end_code);
    (void)session_send(self, &fpdu); /* a short FPDU: there is always room for it */
    event = session_add_event(self, PESIT_EVENT_INTERRUPTING);
    event->diag = diag;
    event->end_code = self->pending_end_code;
}

static PesitStatus take_syn(PesitSession *self, const PesitFpdu *fpdu)
{
    uint32_t point = (uint32_t)pesit_fpdu_number(fpdu, PESIT_PI_SYNC_NUMBER, 0);
    PesitEvent *event;

    if (self->in_article || point != self->last_point + 1)
        return session_fail(self, DIAG_PROTOCOL, "synchronisation point out of sequence");
    if (self->window > 0 && point - self->last_acked > self->window) {
        session_interrupt(self, DIAG_WINDOW);
        return PESIT_OK;
    }
    self->last_point = point;
    self->since = 0;
    event = session_add_event(self, PESIT_EVENT_POINT);
    event->point = point;
    return PESIT_OK;
}

static PesitStatus take_ack_syn(PesitSession *self, const PesitFpdu *fpdu)
{
    uint32_t point = (uint32_t)pesit_fpdu_number(fpdu, PESIT_PI_SYNC_NUMBER, 0);

    if (point > self->last_point)
        return session_fail(self, DIAG_PROTOCOL, "acknowledgement of a point that was not sent");
    if (point <= self->last_acked || self->window == 0)
        return PESIT_OK;
    self->counts.acknowledged += point - self->last_acked;
    self->last_acked = point;
    session_add_event(self, PESIT_EVENT_POINT_ACKED)->point = point;
    return PESIT_OK;
}

/* Counts received data. False: a limit was broken and IDT sent. */
static bool count_data(PesitSession *self, size_t length)
{
    uint64_t slack = self->options.check_slack_bytes == UINT32_MAX
                             ? self->article_bytes
                             : self->options.check_slack_bytes;

    self->bytes += length;
    self->since += length;
    if (self->interval_kb == 0 || self->interval_kb == SYNC_UNDEFINED ||
        self->since <= (uint64_t)self->interval_kb * KB + slack)
        return true;
    session_interrupt(self, DIAG_INTERVAL);
    return false;
}

static bool is_article_right(const PesitSession *self, uint64_t length)
{
    if (self->article_bytes == 0)
        return true;
    return self->article_fixed ? length == self->article_bytes : length <= self->article_bytes;
}

static void add_pieces(PesitSession *self, size_t count)
{
    PesitEvent *event;

    if (count == 0)
        return;
    event = session_add_event(self, PESIT_EVENT_PIECES);
    event->pieces = self->pieces;
    event->count = count;
}

/* Hands out up to PIECES_MAX articles of a multi-article DTF. Returns the bytes consumed. */
static size_t take_articles(PesitSession *self, const uint8_t *bytes)
{
    size_t at = 0, count = 0;

    while (self->articles_left > 0 && count < PIECES_MAX) {
        size_t length = (size_t)wire_number(bytes + at, 2);

        self->pieces[count++] = (PesitPiece){bytes + at + 2, (uint32_t)length, true, true};
        at += 2 + length;
        self->articles_left -= 2 + length;
        self->articles++;
        if (!is_article_right(self, length)) {
            session_interrupt(self, DIAG_ARTICLE);
            self->articles_left = 0;
            return at;
        }
        if (!count_data(self, length)) {
            self->articles_left = 0;
            return at;
        }
    }
    add_pieces(self, count);
    return at;
}

/* Number of articles when prefixed lengths tile the content, 0 when they do not. */
static size_t count_articles(const uint8_t *bytes, size_t length)
{
    size_t at = 0, count = 0;

    while (at < length) {
        if (length - at < 2)
            return 0;
        at += 2 + (size_t)wire_number(bytes + at, 2);
        count++;
    }
    return at == length ? count : 0;
}

static PesitStatus take_single(PesitSession *self, PesitFpduType type, const uint8_t *bytes,
                               size_t length)
{
    bool first = type == PESIT_FPDU_DTF || type == PESIT_FPDU_DTFDA;
    bool last = type == PESIT_FPDU_DTF || type == PESIT_FPDU_DTFFA;

    if (first == self->in_article)
        return session_fail(self, DIAG_PROTOCOL, "segment of an article out of sequence");
    self->in_article = !last;
    self->article_so_far = first ? length : self->article_so_far + length;
    if (last ? !is_article_right(self, self->article_so_far)
             : self->article_bytes != 0 && self->article_so_far > self->article_bytes) {
        session_interrupt(self, DIAG_ARTICLE);
        return PESIT_OK;
    }
    self->articles += last ? 1 : 0;
    if (!count_data(self, length))
        return PESIT_OK;
    self->pieces[0] = (PesitPiece){bytes, (uint32_t)length, first, last};
    add_pieces(self, 1);
    return PESIT_OK;
}

/* fpdu: header included. ret_taken: how much of it was consumed. */
static PesitStatus take_data(PesitSession *self, PesitFpduType type, const uint8_t *fpdu,
                             size_t length, size_t *ret_taken)
{
    const uint8_t *content = fpdu + PESIT_HEADER_BYTES;
    size_t content_length = length - PESIT_HEADER_BYTES;
    unsigned announced = fpdu[5];
    size_t count;

    *ret_taken = length;
    if (content_length == 0) {
        if (self->options.strict)
            return session_fail(self, DIAG_STRUCTURE, "data message without data");
        add_remark(self, type, 0, "data message without data");
        return PESIT_OK;
    }
    if (type != PESIT_FPDU_DTF || announced == 0)
        return take_single(self, type, content, content_length);
    if (self->in_article)
        return session_fail(self, DIAG_PROTOCOL, "segment of an article out of sequence");
    count = count_articles(content, content_length);
    if (announced == 1 && (count != 1 || content_length < 3)) {
        add_remark(self, type, 0, "count octet 1 on a single article");
        return take_single(self, type, content, content_length);
    }
    if (count == 0)
        return session_fail(self, DIAG_STRUCTURE, "article lengths do not fill the message");
    if (count != announced) {
        if (self->options.strict)
            return session_fail(self, DIAG_STRUCTURE, "article count octet is wrong");
        add_remark(self, type, 0, "article count octet is wrong");
    }
    self->articles_left = content_length;
    *ret_taken = PESIT_HEADER_BYTES + take_articles(self, content);
    if (self->articles_left == 0)
        *ret_taken = length;
    return PESIT_OK;
}

/* one FPDU */

static PesitStatus take_abort(PesitSession *self, const PesitFpdu *fpdu)
{
    PesitEvent *event = session_add_event(self, PESIT_EVENT_ABORTED);

    event->type = PESIT_FPDU_ABORT;
    event->diag = pesit_fpdu_diag(fpdu);
    self->state = STATE_OVER; /* every phase is closed: chapter 4.4.28 */
    self->close_now = true;
    self->output_from = self->output_to = 0;
    return PESIT_OK;
}

static void add_remarks(PesitSession *self, PesitFpduType type)
{
    for (unsigned i = 0; i < self->remarks.count && i < 3; i++)
        add_remark(self, type, self->remarks.rows[i].pi, self->remarks.rows[i].what);
}

static PesitStatus take_positioned(PesitSession *self, PesitFpdu *fpdu)
{
    switch ((int)fpdu->type) {
    case PESIT_FPDU_SYN:
        return take_syn(self, fpdu);
    case PESIT_FPDU_ACK_SYN:
        return take_ack_syn(self, fpdu);
    case PESIT_FPDU_DTF_END: {
        PesitEvent *event;

        if (self->in_article)
            return session_fail(self, DIAG_PROTOCOL, "end of data inside an article");
        event = session_add_event(self, PESIT_EVENT_DATA_END);
        event->diag = pesit_fpdu_diag(fpdu);
        return PESIT_OK;
    }
    default:
        return PESIT_VIOLATION;
    }
}

static PesitStatus take_control(PesitSession *self, const uint8_t *bytes, size_t length)
{
    PesitFpdu *fpdu = &self->fpdu;
    PesitDiag diag;
    TransitionKind kind;
    PesitStatus status;
    bool positioned;

    if (pesit_fpdu_decode(bytes, length, self->options.strict, fpdu, &self->remarks, &diag) !=
        PESIT_OK) {
        (void)session_fail(self, diag,
                           self->remarks.count > 0
                                   ? self->remarks.rows[self->remarks.count - 1].what
                                   : "malformed message"); /* see MALFORMED */
        return PESIT_MALFORMED;
    }
    add_remarks(self, fpdu->type);
    if (fpdu->type == PESIT_FPDU_ABORT)
        return take_abort(self, fpdu);
    self->facts.positive = !pesit_diag_is_negative(pesit_fpdu_diag(fpdu));
    if (!session_advance(self, MOVE_RECEIVE, fpdu->type, &kind))
        return session_fail(self, DIAG_PROTOCOL, "message not allowed in this state");
    if (kind == TRANSITION_DROP)
        return PESIT_OK;
    positioned = fpdu->type == PESIT_FPDU_SYN || fpdu->type == PESIT_FPDU_ACK_SYN ||
                 fpdu->type == PESIT_FPDU_DTF_END;
    if (positioned)
        return take_positioned(self, fpdu);
    status = apply_rules(self, fpdu);
    if (status != PESIT_OK || fpdu->type == PESIT_FPDU_MSGDM || fpdu->type == PESIT_FPDU_MSGMM)
        return status;
    add_control_event(self, fpdu);
    if (fpdu->type == PESIT_FPDU_RCONNECT || fpdu->type == PESIT_FPDU_RELCONF)
        self->close_now = true;
    return PESIT_OK;
}

/* What lay behind a request when it was taken did not wait for the answer. Most of it is judged in the state
 * after the answer, as if it had; an interruption of data that were not agreed to yet is not. */
static bool is_too_early(const PesitSession *self, PesitFpduType type)
{
    if (!self->too_early || type == PESIT_FPDU_ABORT)
        return false;
    if (type == PESIT_FPDU_IDT)
        return self->state == STATE_WRITING || self->state == STATE_READING;
    return self->options.strict;
}

static bool is_answer_owed(const PesitSession *self)
{
    switch (self->state) {
    case STATE_CONNECTING:
    case STATE_RELEASING:
    case STATE_CREATING:
    case STATE_SELECTING:
    case STATE_DESELECTING:
    case STATE_OPENING:
    case STATE_CLOSING:
    case STATE_WRITE_STARTING:
    case STATE_WRITE_ENDING:
    case STATE_READ_STARTING:
    case STATE_READ_ENDING:
    case STATE_MESSAGE:
        return self->options.role == PESIT_ROLE_SERVER;
    case STATE_IDLE:
    case STATE_CONNECTED:
    case STATE_SELECTED:
    case STATE_OPEN:
    case STATE_WRITING:
    case STATE_WRITE_IDT_SENT:
    case STATE_WRITE_IDT_RECEIVED:
    case STATE_WRITE_ENDED:
    case STATE_READING:
    case STATE_READ_IDT_SENT:
    case STATE_READ_IDT_RECEIVED:
    case STATE_READ_ENDED:
    case STATE_MESSAGE_PARTS:
    case STATE_OVER:
    case STATE_COUNT:
        break;
    }
    return false;
}

static PesitStatus take_fpdu(PesitSession *self, const uint8_t *bytes, size_t *ret_taken)
{
    PesitFpduType type;
    PesitDiag diag;
    size_t length;
    uint8_t dst, src;
    TransitionKind kind;
    PesitStatus status = pesit_header_decode(bytes, &type, &length, &dst, &src, &diag);

    if (status != PESIT_OK) /* tiling has checked it */
        return session_fail(self, diag, "broken header");
    *ret_taken = length;
    self->counts.received++;
    if (type == PESIT_FPDU_CONNECT && self->state == STATE_IDLE)
        self->peer_id = src; /* from here on an ABORT can be addressed */
    if (!are_ids_right(self, type, dst, src))
        return session_fail(self, DIAG_PROTOCOL, "wrong connection identifier");
    if (is_too_early(self, type))
        return session_fail(self, DIAG_PROTOCOL, "message sent before the answer to the last one");
    self->too_early = false;
    if (!pesit_fpdu_is_data(type))
        return take_control(self, bytes, length);
    if (!session_advance(self, MOVE_RECEIVE, type, &kind))
        return session_fail(self, DIAG_PROTOCOL, "data not allowed in this state");
    if (kind == TRANSITION_DROP)
        return PESIT_OK;
    return take_data(self, type, bytes, length, ret_taken);
}

PesitStatus pesit_session_receive(PesitSession *self, const uint8_t *bytes, size_t length,
                                  int64_t now_us, size_t *ret_taken)
{
    size_t taken = 0;
    PesitStatus status;

    *ret_taken = 0;
    self->now_us = now_us;
    if (self->event_count > 0)
        return PESIT_LIMIT;
    if (self->state == STATE_OVER) {
        *ret_taken = length; /* after ABORT, RCONNECT or RELCONF: discarded until the peer closes */
        return length > 0 ? PESIT_OK : PESIT_NEED_MORE;
    }
    if (length == 0)
        return PESIT_NEED_MORE;
    if (self->held_from != 0)
        return preconnection_take_answer(self, bytes, length, ret_taken);
    if (self->framing == PESIT_FRAMING_AUTO) {
        status = detect_framing(self, bytes, length, ret_taken);
        if (status != PESIT_OK || *ret_taken > 0)
            return status;
    }
    if (self->articles_left > 0) {
        *ret_taken = take_articles(self, bytes);
        self->entity_left -= *ret_taken;
        return PESIT_OK;
    }
    if (self->entity_left == 0) {
        status = open_entity(self, bytes, length, ret_taken);
        if (status != PESIT_OK)
            return status;
    }
    status = take_fpdu(self, bytes + *ret_taken, &taken);
    self->entity_left -= taken <= self->entity_left ? taken : self->entity_left;
    *ret_taken += taken;
    self->too_early = *ret_taken < length && is_answer_owed(self);
    return status;
}
