/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of the script of a connection that we open, without jobs; and what a person can do about each failure. */
#include "daemon/net/probe.h"

#include "base/clock.h"
#include "base/error.h"
#include "daemon/net/connection-private.h"
#include "daemon/net/dialer.h"

#include <string.h>

#define RELEASE_US USEC_PER_SEC
#define VERSION_E  2
#define OUTBOUND   0xFFFF   /* PI 11 of a message that is about no file */
#define NUMBERS    0xFFFFFE /* PI 13 has 24 bits, and is never 0 */

typedef struct {
    Connection connection;
    int64_t began_us, connected_us, answered_us, deadline_us;
    char *tls;
    PesitAgreement agreement;
    unsigned version;
    PesitDiag diag;
    const char *step; /* that failed, or NULL */
    const char *hint;
    char *reply; /* PI 91 of what was answered, or NULL */
    bool said;
    GError *error;
} Probe;

static void fail(Probe *self, const char *step, BaseError code, const char *text, const char *hint)
{
    self->step = step;
    self->hint = hint;
    g_set_error_literal(&self->error, BASE_ERROR, (int)code, text);
}

/* TCP and TLS */

static const char *hint_of_call(const GError *error)
{
    switch (error->domain == BASE_ERROR ? (BaseError)error->code : BASE_ERROR_IO) {
    case BASE_ERROR_CONNECTION_REFUSED:
        return "nothing listens there: check address and port, and whether the partner's listener "
               "runs";
    case BASE_ERROR_UNKNOWN_HOST:
        return "the name has no address: check it, and this machine's resolver";
    case BASE_ERROR_TIMEOUT:
        return "nobody answers: a firewall may drop packets, or the address is wrong";
    case BASE_ERROR_UNTRUSTED:
        return "check tls.authorities, tls.host_name and tls.pin_sha256";
    case BASE_ERROR_EXPIRED:
        return "our certificate (tls.certificate) has expired";
    case BASE_ERROR_IO:
    case BASE_ERROR_NOT_FOUND:
    case BASE_ERROR_EXISTS:
    case BASE_ERROR_BUSY:
    case BASE_ERROR_REFUSED:
    case BASE_ERROR_INVALID:
    case BASE_ERROR_NO_SPACE:
    case BASE_ERROR_CANCELLED:
    case BASE_ERROR_UNREACHABLE:
    case BASE_ERROR_CONFLICT:
    case BASE_ERROR_PARTNER:
    case BASE_ERROR_COUNT:
        break;
    }
    return "the partner may not speak TLS there (tls.enabled), or want a certificate of ours";
}

static Stream *call(Probe *self)
{
    const Partner *partner = self->connection.partner;
    Stream *stream;

    if (partner->tls.enabled) {
        self->connection.tls = tls_context_new_client(&partner->tls, &self->error);
        if (self->connection.tls == NULL) {
            self->step = "tls";
            self->hint = "a file of ours cannot be used";
            return NULL;
        }
    }
    stream = dialer_connect(partner, self->connection.tls, self->deadline_us, &self->error);
    self->connected_us = clock_now_us();
    if (stream == NULL) {
        self->step = "call";
        self->hint = hint_of_call(self->error);
    } else {
        self->tls = stream_dup_description(stream);
    }
    return stream;
}

/* CONNECT */

static const char *hint_of_diag(PesitDiag diag)
{
    static const struct {
        unsigned code;
        const char *hint;
    } HINTS[] = {
            {301, "it does not know one of the names: check identifier (its) and local_identifier "
                  "(ours)"},
            {302, "it knows the name, and does not serve it now"},
            {303, "it has too many connections: try later"},
            {304, "it does not let us in: check password_sent and local_identifier"},
            {308, "it speaks another version of the protocol"},
            {309, "it allows us fewer connections at a time: see outgoing_connections"},
            {307,
             "it does not take our synchronisation points: see sync_interval_kb and sync_window"},
            {313, "it does not understand our CONNECT: see profile and strict"},
            {318, "it does not understand our CONNECT: see profile"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(HINTS); i++) {
        if (diag.type == 3 && diag.code == HINTS[i].code)
            return HINTS[i].hint;
    }
    return NULL;
}

static void take_refusal(Probe *self, PesitDiag diag, const char *verb)
{
    g_autofree char *text = g_strdup_printf("partner %s: %u/%03u %s", verb, diag.type, diag.code,
                                            pesit_diag_text(diag));

    self->diag = diag;
    fail(self, "connect", BASE_ERROR_PARTNER, text, hint_of_diag(diag));
}

static void take_silence(Probe *self, BaseError code, const PesitEvent *event)
{
    const char *reason = event != NULL ? connection_reason(&self->connection, event) : NULL;
    g_autofree char *text =
            event == NULL
                    ? g_strdup("the partner does not answer CONNECT")
                    : g_strconcat("the partner closed the connection instead of answering CONNECT",
                                  reason != NULL ? ": " : NULL, reason, NULL);

    fail(self, "connect", code, text,
         "it may want TLS (tls.enabled), another framing, a message first (preconnection), or "
         "calls from other addresses");
}

static void take_answer(Probe *self, const PesitEvent *event)
{
    switch (event->kind) {
    case PESIT_EVENT_CONFIRMATION:
        if (!event->positive) {
            take_refusal(self, event->diag, "refused the connection");
            break;
        }
        self->version = (unsigned)pesit_fpdu_number(event->fpdu, PESIT_PI_VERSION, VERSION_E);
        pesit_session_get_agreement(self->connection.channel->session, &self->agreement);
        if (!outgoing_check_password(&self->connection, event->fpdu))
            fail(self, "connect", BASE_ERROR_UNTRUSTED,
                 "the partner's answer does not carry the expected password",
                 "check password_expected");
        break;
    case PESIT_EVENT_ABORTED:
        take_refusal(self, event->diag, "aborted the connection");
        break;
    case PESIT_EVENT_FAILED:
        self->diag = event->diag;
        fail(self, "connect", BASE_ERROR_UNREACHABLE, event->text,
             "what it answered is no good PeSIT: see profile, framing, and pesitctl decode");
        break;
    case PESIT_EVENT_INDICATION:
    case PESIT_EVENT_PIECES:
    case PESIT_EVENT_POINT:
    case PESIT_EVENT_POINT_ACKED:
    case PESIT_EVENT_DATA_END:
    case PESIT_EVENT_INTERRUPTING:
    case PESIT_EVENT_REMARK:
    case PESIT_EVENT_LOST:
        take_silence(self, BASE_ERROR_UNREACHABLE, event);
        break;
    }
}

static void connect_session(Probe *self)
{
    PesitEvent event;
    ChannelResult result;

    if (!outgoing_command_connect(&self->connection)) {
        fail(self, "connect", BASE_ERROR_INVALID, "the session took no CONNECT: see the log", NULL);
        return;
    }
    do {
        result = channel_next(self->connection.channel, self->deadline_us, &event);
    } while (result == CHANNEL_EVENT && event.kind == PESIT_EVENT_REMARK);
    self->answered_us = clock_now_us();
    if (result == CHANNEL_TIME)
        take_silence(self, BASE_ERROR_TIMEOUT, NULL);
    else
        take_answer(self, &event);
}

/* MSG */

static void take_message_answer(Probe *self, const PesitEvent *event)
{
    g_autofree char *text = NULL;
    size_t length = 0;
    const uint8_t *reply;

    if (event->kind != PESIT_EVENT_CONFIRMATION) {
        take_answer(self, event); /* aborted, failed, lost */
        self->step = "message";
        return;
    }
    if (event->positive) {
        reply = pesit_fpdu_bytes(event->fpdu, PESIT_PI_MESSAGE, &length);
        self->reply = reply != NULL ? g_utf8_make_valid((const char *)reply, (gssize)length) : NULL;
        return;
    }
    text = g_strdup_printf("partner refused the message: %u/%03u %s", event->diag.type,
                           event->diag.code, pesit_diag_text(event->diag));
    self->diag = event->diag;
    fail(self, "message", BASE_ERROR_PARTNER, text,
         event->diag.code == 209 ? "it takes no messages: send a file" : NULL);
}

static void say(Probe *self, const ProbeMessage *message)
{
    PesitFpdu fpdu;
    PesitCommand command = {.type = PESIT_FPDU_MSG, .params = &fpdu};
    Channel *channel = self->connection.channel;
    ChannelResult result;
    PesitEvent event;

    pesit_fpdu_init(&fpdu, PESIT_FPDU_MSG);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_FILE_TYPE, OUTBOUND);
    pesit_fpdu_set_text(&fpdu, PESIT_PI_FILE_NAME, message->name);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_TRANSFER_ID,
                          1 + (uint64_t)g_random_int_range(0, NUMBERS));
    pesit_fpdu_set_number(&fpdu, PESIT_PI_ATTRIBUTES_REQUESTED, 1); /* an answer is welcome */
    pesit_fpdu_set_number(&fpdu, PESIT_PI_PRIORITY, 0);
    pesit_fpdu_set_text(&fpdu, PESIT_PI_MESSAGE, message->text);
    if (pesit_session_command(channel->session, &command, clock_now_us()) != PESIT_OK) {
        fail(self, "message", BASE_ERROR_INVALID, "the session took no message: see the log", NULL);
        return;
    }
    do {
        result = channel_next(channel, self->deadline_us, &event);
    } while (result == CHANNEL_EVENT && event.kind == PESIT_EVENT_REMARK);
    self->answered_us = clock_now_us();
    if (result == CHANNEL_TIME)
        fail(self, "message", BASE_ERROR_TIMEOUT, "the partner does not answer the message", NULL);
    else
        take_message_answer(self, &event);
}

/* RELEASE, or ABORT; the partner need not take long over it. A refused message ends nothing. */
static void leave(Probe *self)
{
    bool good = self->error == NULL || g_strcmp0(self->step, "message") == 0;
    PesitCommand command = {.type = good ? PESIT_FPDU_RELEASE : PESIT_FPDU_ABORT,
                            .diag = good ? PESIT_DIAG_OK : PESIT_DIAG(3, 304)};
    Channel *channel = self->connection.channel;
    int64_t until_us = clock_now_us() + RELEASE_US;
    ChannelResult result = CHANNEL_EVENT;
    PesitEvent event;

    if (pesit_session_is_finished(channel->session) ||
        pesit_session_command(channel->session, &command, clock_now_us()) != PESIT_OK)
        return;
    while (result != CHANNEL_OVER && result != CHANNEL_TIME)
        result = channel_next(channel, until_us, &event);
}

/* telling */

static void insert_agreement(GVariantDict *d, const Probe *self)
{
    const PesitAgreement *agreed = &self->agreement;

    g_variant_dict_insert(d, "version", "u", (guint32)self->version);
    g_variant_dict_insert(d, "framing", "s",
                          agreed->framing == PESIT_FRAMING_PREFIXED ? "prefixed" : "raw");
    g_variant_dict_insert(d, "sync_interval_kb", "u", (guint32)agreed->sync_interval_kb);
    g_variant_dict_insert(d, "sync_window", "u", (guint32)agreed->sync_window);
    g_variant_dict_insert(d, "resync", "b", (gboolean)agreed->resync);
}

static GVariant *describe(const Probe *self)
{
    g_autofree char *diag = self->diag.code != 0
                                    ? g_strdup_printf("%u-%03u", self->diag.type, self->diag.code)
                                    : g_strdup("");
    g_autofree char *message = g_utf8_make_valid(self->error != NULL ? self->error->message
                                                 : self->said        ? "the message was taken"
                                                                     : "connected and released",
                                                 -1);
    GVariantDict d;

    g_variant_dict_init(&d, NULL);
    g_variant_dict_insert(&d, "success", "b", (gboolean)(self->error == NULL));
    g_variant_dict_insert(&d, "message", "s", message);
    g_variant_dict_insert(&d, "step", "s", self->step != NULL ? self->step : "");
    g_variant_dict_insert(&d, "cause", "s",
                          self->error != NULL ? base_error_name((BaseError)self->error->code) : "");
    g_variant_dict_insert(&d, "diag", "s", diag);
    g_variant_dict_insert(&d, "hint", "s", self->hint != NULL ? self->hint : "");
    g_variant_dict_insert(&d, "tls", "s", self->tls != NULL ? self->tls : "");
    g_variant_dict_insert(&d, "connect_us", "x", self->connected_us - self->began_us);
    if (self->answered_us != 0)
        g_variant_dict_insert(&d, "answer_us", "x", self->answered_us - self->connected_us);
    if (self->reply != NULL)
        g_variant_dict_insert(&d, "reply", "s", self->reply);
    if (self->version != 0)
        insert_agreement(&d, self);
    return g_variant_dict_end(&d);
}

GVariant *probe_partner(Config *config, const Partner *partner, const ProbeMessage *message,
                        int64_t deadline_us)
{
    char label[] = "test";
    Probe self = {.connection = {.config = config, .partner = partner, .label = label, .fd = -1},
                  .began_us = clock_now_us(),
                  .deadline_us = deadline_us};
    g_autoptr(Mailbox) orders = mailbox_new(NULL); /* nobody gives any */
    GVariant *told;
    Stream *stream = call(&self);

    self.connection.orders = orders;
    if (stream != NULL) {
        (void)connection_open_channel(&self.connection, stream, PESIT_ROLE_REQUESTER);
        connect_session(&self);
        self.said = self.error == NULL && message != NULL;
        if (self.said)
            say(&self, message);
        leave(&self);
    }
    told = describe(&self);
    channel_free(self.connection.channel);
    tls_context_unref(self.connection.tls);
    g_clear_error(&self.error);
    g_free(self.tls);
    g_free(self.reply);
    return told;
}
