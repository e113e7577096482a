/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A partner pushes a file to us: the checks of CREATE in their order, the data, and the promise that
 * ACK(TRANS.END) leaves only when the file is synced, its row committed and its name in place.
 * procedures §9.2, §9.10 d, §14.5. Connection's thread.
 */
#include "daemon/net/incoming.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metric.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DIAG_ATTRIBUTES    PESIT_DIAG(2, 200)
#define DIAG_RESOURCES     PESIT_DIAG(2, 201)
#define DIAG_EXISTS        PESIT_DIAG(2, 204)
#define DIAG_NO_ROOM       PESIT_DIAG(2, 206)
#define DIAG_IO_ERROR      PESIT_DIAG(2, 213)
#define DIAG_NO_RESTART    PESIT_DIAG(2, 214)
#define DIAG_SPACE         PESIT_DIAG(2, 219)
#define DIAG_ABNORMAL_END  PESIT_DIAG(2, 223)
#define DIAG_LARGER        PESIT_DIAG(2, 224)
#define DIAG_REFUSED       PESIT_DIAG(2, 226)
#define DIAG_OTHER         PESIT_DIAG(2, 299)
#define DATA_CODE_EBCDIC   1
#define UNIT_ARTICLES      1
#define ENTITY_MIN_BYTES   128
#define FORMAT_FIXED       0
#define INTERVAL_UNDEFINED 65535
#define RECEIVED_MODE      0640
#define NUMBERS_MAX        9999
/* up to here the row is written while data flows, and waited for at the end only */
#define SMALL_KB          1024
#define SMALL_PATIENCE_US 20000

/* checks: each returns 0/000 or why not; §14.5 gives the order */

static PesitDiag check_names(Incoming *self, const PesitFpdu *fpdu, char **ret_path,
                             const char **ret_reason)
{
    const Partner *partner = self->connection->partner;
    g_autofree char *file_name = incoming_dup_text(fpdu, PESIT_PI_FILE_NAME);
    g_autofree char *label = incoming_dup_text(fpdu, PESIT_PI_LABEL);
    g_autofree char *bank = incoming_dup_text(fpdu, PESIT_PI_BANK);
    RuleContext context = {
            .partner = partner->name, .wall_s = clock_wall_s(), .zone = partner->zone};

    *ret_reason = "the file name is not a name";
    if (file_name == NULL || file_name[0] == '\0')
        return DIAG_REFUSED;
    *ret_reason = "no virtual file receives this name";
    self->file = rule_find_by_wire(partner->files,
                                   (unsigned)pesit_fpdu_number(fpdu, PESIT_PI_FILE_TYPE, 0),
                                   file_name, label, &context, true, ret_path, NULL);
    if (self->file == NULL || !partner->may_write)
        return DIAG_REFUSED;
    *ret_reason = "the virtual file is disabled";
    if (!self->file->enabled)
        return DIAG_REFUSED;
    *ret_reason = "files for another receiver are not relayed";
    if (bank != NULL && bank[0] != '\0' && g_strcmp0(bank, partner->local_identifier) != 0 &&
        g_strcmp0(bank, self->connection->config->node_name) != 0 &&
        g_strcmp0(bank, self->file->bank) != 0)
        return DIAG_REFUSED;
    return PESIT_DIAG_OK;
}

/* A repeat of what is complete here already: the answer to TRANS.END was lost. Claimed before it is looked for: what
 * another connection is just completing must not be told unknown. §9.10 d */
static PesitDiag check_restart(Incoming *self, const PesitFpdu *fpdu, const char *path,
                               const char **ret_reason)
{
    const Partner *partner = self->connection->partner;
    g_autofree char *file_name = incoming_dup_text(fpdu, PESIT_PI_FILE_NAME);
    g_autofree char *client = incoming_dup_text(fpdu, PESIT_PI_CLIENT);
    g_autofree char *bank = incoming_dup_text(fpdu, PESIT_PI_BANK);
    g_autoptr(StoreResult) result = NULL;
    PesitDiag diag;

    if (pesit_fpdu_number(fpdu, PESIT_PI_RESTARTED, 0) == 0)
        return PESIT_DIAG_OK;
    diag = incoming_claim(self, path, ret_reason);
    if (pesit_diag_is_negative(diag))
        return diag;
    result = store_execute(
            self->connection->services->store,
            store_request_find_received(
                    partner->name, partner->identifier,
                    (uint16_t)pesit_fpdu_number(fpdu, PESIT_PI_FILE_TYPE, 0), file_name,
                    (uint32_t)pesit_fpdu_number(fpdu, PESIT_PI_TRANSFER_ID, 0), client, bank));
    *ret_reason = "the store is away";
    if (store_is_away(result->error))
        return DIAG_RESOURCES;
    *ret_reason = "nothing to restart is known";
    if (result->error != NULL || result->transfer == NULL)
        return DIAG_NO_RESTART;
    self->repeated = true;
    metric_add(METRIC_RESTARTS_IN, 1);
    self->earlier_bytes = result->transfer->wire_bytes;
    return PESIT_DIAG_OK;
}

static PesitDiag check_attributes(const Incoming *self, const PesitFpdu *fpdu,
                                  const char **ret_reason)
{
    const PesitProfile *profile = &self->connection->partner->profile;
    uint64_t article = pesit_fpdu_number(fpdu, PESIT_PI_ARTICLE_LENGTH, 0);
    uint64_t entity = MIN(pesit_fpdu_number(fpdu, PESIT_PI_MAX_ENTITY, 0),
                          (uint64_t)profile->max_entity_bytes);
    PesitAgreement agreement;

    *ret_reason = "the articles' length is 0";
    if (article == 0)
        return DIAG_ATTRIBUTES;
    *ret_reason = "only sequential files are supported";
    if (pesit_fpdu_number(fpdu, PESIT_PI_ORGANISATION, 0) != 0 ||
        pesit_fpdu_number(fpdu, PESIT_PI_KEY_LENGTH, 0) != 0)
        return DIAG_ATTRIBUTES;
    *ret_reason = "a size in articles needs fixed articles";
    if (pesit_fpdu_number(fpdu, PESIT_PI_SPACE_UNIT, 0) == UNIT_ARTICLES &&
        pesit_fpdu_number(fpdu, PESIT_PI_ARTICLE_FORMAT, FORMAT_FIXED) != FORMAT_FIXED)
        return DIAG_ATTRIBUTES;
    *ret_reason = "EBCDIC text is not supported";
    if (pesit_fpdu_number(fpdu, PESIT_PI_DATA_CODE, 0) == DATA_CODE_EBCDIC &&
        (self->file->format == RECORD_TEXT || self->file->format == RECORD_TEXT_FIXED))
        return DIAG_REFUSED;
    pesit_session_get_agreement(self->channel->session, &agreement);
    *ret_reason = "an article does not fit between two synchronisation points";
    if (agreement.sync_interval_kb > 0 && agreement.sync_interval_kb < INTERVAL_UNDEFINED &&
        article > (uint64_t)agreement.sync_interval_kb * 1024)
        return DIAG_REFUSED;
    *ret_reason = "the entity size is too small";
    if (entity < ENTITY_MIN_BYTES ||
        (!profile->segmentation && entity < article + PESIT_HEADER_BYTES))
        return DIAG_REFUSED;
    return PESIT_DIAG_OK;
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product = 0;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static PesitDiag check_size(Incoming *self, const PesitFpdu *fpdu, const char **ret_reason)
{
    uint64_t available = 0, bytes;

    self->announced = pesit_fpdu_number(fpdu, PESIT_PI_SPACE_MAX, 0);
    self->announced_articles = pesit_fpdu_number(fpdu, PESIT_PI_SPACE_UNIT, 0) == UNIT_ARTICLES;
    bytes = multiply(self->announced, self->announced_articles
                                              ? pesit_fpdu_number(fpdu, PESIT_PI_ARTICLE_LENGTH, 0)
                                              : 1024);
    *ret_reason = "the announced size is above the limit of the virtual file";
    if (self->file->max_bytes != 0 && bytes > self->file->max_bytes + 1023)
        return DIAG_NO_ROOM;
    *ret_reason = "the announced size is above the free space";
    if (spool_space(self->connection->services->spool, NULL, &available, NULL) && bytes > available)
        return DIAG_NO_ROOM;
    return PESIT_DIAG_OK;
}

/* With EXISTING_NUMBER the next free "name.N" that nobody else is about to take. */
static PesitDiag claim_number(Incoming *self, char **path, const char **ret_reason)
{
    Spool *spool = self->connection->services->spool;
    const char *partner = self->connection->partner->name;
    PesitDiag diag = DIAG_EXISTS;

    *ret_reason = "the file is there already, with every number";
    for (unsigned number = 0; number <= NUMBERS_MAX; number++) {
        g_autofree char *candidate =
                number == 0 ? g_strdup(*path) : g_strdup_printf("%s.%u", *path, number);

        if (spool_inbox_has(spool, partner, candidate))
            continue;
        diag = incoming_claim(self, candidate, ret_reason);
        if (diag.code == DIAG_IN_USE.code)
            continue;
        if (!pesit_diag_is_negative(diag)) {
            g_free(*path);
            *path = g_steal_pointer(&candidate);
        }
        return diag;
    }
    return diag;
}

static PesitDiag check_target(Incoming *self, char **path, const char **ret_reason)
{
    const Connection *connection = self->connection;

    if (self->repeated)
        return PESIT_DIAG_OK;
    *ret_reason = "the file's folder here is closed or leads elsewhere";
    if (!spool_check_inbox(connection->services->spool, connection->partner->name, *path, NULL))
        return DIAG_REFUSED;
    if (self->file->existing == EXISTING_NUMBER)
        return claim_number(self, path, ret_reason);
    *ret_reason = "the file is there already";
    if (self->file->existing != EXISTING_REPLACE &&
        spool_inbox_has(connection->services->spool, connection->partner->name, *path))
        return DIAG_EXISTS;
    return incoming_claim(self, *path, ret_reason);
}

static PesitDiag check_create(Incoming *self, const PesitFpdu *fpdu, char **ret_path,
                              const char **ret_reason)
{
    PesitDiag diag = incoming_check_selection(self, fpdu, ret_reason);

    if (!pesit_diag_is_negative(diag))
        diag = check_names(self, fpdu, ret_path, ret_reason);
    if (!pesit_diag_is_negative(diag))
        diag = check_restart(self, fpdu, *ret_path, ret_reason);
    if (!pesit_diag_is_negative(diag))
        diag = check_attributes(self, fpdu, ret_reason);
    if (!pesit_diag_is_negative(diag))
        diag = check_size(self, fpdu, ret_reason);
    /* last: the claim is held from here on */
    if (!pesit_diag_is_negative(diag))
        diag = check_target(self, ret_path, ret_reason);
    return diag;
}

/* CREATE */

static bool open_target(Incoming *self, GError **error)
{
    Spool *spool = self->connection->services->spool;

    self->transfer->spool_name = g_strdup_printf("%" G_GINT64_FORMAT, spool_next_name(spool));
    self->fd = spool_create(spool, self->transfer->spool_name, error);
    if (self->fd < 0)
        return false;
    self->context = spool_create_context(spool, self->transfer->spool_name, error);
    return self->context != NULL;
}

static void log_start(const Incoming *self)
{
    char id[LOG_NUMBER_BYTES];

    log_event(LOG_TRANSFER_STARTED, "TRANSFER", log_number(id, self->transfer->id), "CONNECTION",
              self->connection->label, "PARTNER", self->transfer->partner, "DIRECTION",
              transfer_direction_name(self->transfer->direction), "PATH", self->transfer->path,
              "FILE", self->transfer->file_name, NULL);
}

/* A refusal that comes after something was taken. */
static bool give_up(Incoming *self, PesitFpduType type, PesitDiag diag, const char *reason)
{
    bool refused = incoming_refuse(self, type, diag, reason);

    self->settled = true; /* there is no row to write */
    incoming_forget(self);
    return refused && false;
}

/* Its row is written once, with its end, unless that takes long. */
static bool is_small(const Incoming *self)
{
    return self->announced != 0 && self->announced <= SMALL_KB && !self->announced_articles;
}

bool incoming_take_create(Incoming *self, const PesitFpdu *fpdu)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    const char *reason = NULL;
    PesitDiag diag = check_create(self, fpdu, &path, &reason);

    if (pesit_diag_is_negative(diag))
        return give_up(self, PESIT_FPDU_ACK_CREATE, diag, reason);
    self->transfer = incoming_new_transfer(self, DIRECTION_RECEIVE, fpdu);
    self->transfer->path = g_steal_pointer(&path);
    self->transfer->mode = RECEIVED_MODE;
    self->progress = progress_new();
    if (!open_target(self, &error))
        return give_up(self, PESIT_FPDU_ACK_CREATE,
                       g_error_matches(error, BASE_ERROR, BASE_ERROR_NO_SPACE) ? DIAG_NO_ROOM
                                                                               : DIAG_RESOURCES,
                       error->message);
    self->selected = true;
    if (is_small(self))
        self->insert_us = clock_now_us() + SMALL_PATIENCE_US;
    else
        incoming_begin_insert(self);
    log_start(self);
    return incoming_answer(self, PESIT_FPDU_ACK_CREATE, NULL, PESIT_DIAG_OK);
}

/* data */

/* After an interruption that allows it: what came before counts for nothing. */
static bool start_over(Incoming *self, GError **error)
{
    g_clear_pointer(&self->receiver, receiver_free);
    g_clear_pointer(&self->context, context_close);
    self->context = spool_create_context(self->connection->services->spool,
                                         self->transfer->spool_name, error);
    if (self->context == NULL)
        return false;
    if (ftruncate(self->fd, 0) != 0) {
        error_set_errno(error, errno, "empty what was received");
        return false;
    }
    self->data_end = PESIT_DIAG_OK;
    self->stopped = false;
    return true;
}

bool incoming_take_write(Incoming *self)
{
    g_autoptr(GError) error = NULL;
    uint64_t bytes = self->announced_articles ? 0 : multiply(self->announced, 1024);

    if (self->settled)
        return incoming_refuse(self, PESIT_FPDU_ACK_WRITE, DIAG_OTHER, "the transfer has ended");
    if (self->receiver != NULL && !start_over(self, &error))
        return incoming_refuse(self, PESIT_FPDU_ACK_WRITE, DIAG_IO_ERROR, error->message);
    if (!is_small(self)) {
        if (!incoming_settle_insert(self, &error))
            return incoming_refuse(
                    self, PESIT_FPDU_ACK_WRITE, store_is_away(error) ? DIAG_RESOURCES : DIAG_OTHER,
                    error != NULL ? error->message : "the transfer cannot be recorded");
        if (!self->repeated)
            connection_tell_incoming(self->connection, self->transfer, self->progress);
    }
    if (!incoming_answer(self, PESIT_FPDU_ACK_WRITE, NULL, PESIT_DIAG_OK))
        return false;
    self->receiver = receiver_new(self->channel, self->fd, self->file, self->context,
                                  self->progress, bytes, self->file->max_bytes);
    return true;
}

void incoming_take_data(Incoming *self, const PesitEvent *event)
{
    g_autoptr(GError) error = NULL;
    PesitDiag diag = DIAG_OTHER;

    if (self->receiver == NULL || self->settled)
        return;
    if (event != NULL)
        receiver_take(self->receiver, event);
    if (!receiver_take_failure(self->receiver, &diag, &error))
        return;
    incoming_remember_counts(self);
    (void)incoming_record(self, TRANSFER_FAILED, diag, error->message,
                          NULL); /* counted by the store */
    incoming_interrupt(self, diag, PESIT_END_ERROR);
}

void incoming_take_data_end(Incoming *self, const PesitEvent *event)
{
    g_autoptr(GError) error = NULL;
    PesitDiag diag;

    self->data_end = event->diag;
    if (self->receiver == NULL || self->settled || pesit_diag_is_negative(event->diag))
        return;
    incoming_remember_counts(self);
    if (receiver_finish(self->receiver, &self->transfer->size_bytes, &error))
        return;
    diag = g_error_matches(error, BASE_ERROR, BASE_ERROR_NO_SPACE) ? DIAG_SPACE : DIAG_IO_ERROR;
    (void)incoming_record(self, TRANSFER_FAILED, diag, error->message,
                          NULL); /* counted by the store */
    incoming_interrupt(self, diag, PESIT_END_ERROR);
}

/* the end */

static PesitDiag check_end(const Incoming *self, const char **ret_reason)
{
    const Transfer *transfer = self->transfer;
    uint64_t announced_bytes = multiply(self->announced, 1024);

    *ret_reason = "the partner could not send everything";
    if (pesit_diag_is_negative(self->data_end))
        return DIAG_ABNORMAL_END;
    *ret_reason = "the file is larger than announced";
    if (self->announced != 0 && (self->announced_articles ? transfer->articles > self->announced
                                                          : transfer->wire_bytes > announced_bytes))
        return DIAG_LARGER;
    *ret_reason = "the repeated file differs from what arrived before";
    if (self->repeated && transfer->wire_bytes != self->earlier_bytes)
        return DIAG_ABNORMAL_END;
    return PESIT_DIAG_OK;
}

/* Row first, then the name: what is found with a row but without a name at the start is published then. Both are
 * on the disk before the answer leaves (case 187). */
static bool complete(Incoming *self, GError **error)
{
    const Transfer *transfer = self->transfer;

    if (!incoming_record(self, TRANSFER_DONE, PESIT_DIAG_OK, NULL, error))
        return false;
    if (self->repeated)
        return true;
    if (!spool_publish(self->connection->services->spool, transfer->spool_name, transfer->partner,
                       transfer->path, self->file->existing == EXISTING_REPLACE,
                       &self->published_fd, error))
        return false;
    incoming_settle_name(self);
    return true;
}

/* The row said done, but the name could not be given: taken back. */
static void take_back(Incoming *self, PesitDiag diag, const char *text)
{
    if (self->transfer->state != TRANSFER_DONE || self->repeated)
        return;
    self->transfer->state = TRANSFER_FAILED;
    self->transfer->data_kept = false;
    self->transfer->diag_type = diag.type;
    self->transfer->diag_code = diag.code;
    g_free(self->transfer->error);
    self->transfer->error = g_strdup(text);
    store_post(self->connection->services->store,
               store_request_update(self->transfer, 1u << TRANSFER_DONE, NULL, 0));
}

bool incoming_end_receive(Incoming *self)
{
    g_autoptr(GError) error = NULL;
    const char *reason = NULL;
    PesitDiag diag = check_end(self, &reason);

    if (self->settled)
        return incoming_refuse(self, PESIT_FPDU_ACK_TRANS_END, DIAG_ABNORMAL_END,
                               "the transfer has failed");
    if (pesit_diag_is_negative(diag)) {
        (void)incoming_record(self, TRANSFER_FAILED, diag, reason, NULL); /* counted by the store */
        return incoming_refuse(self, PESIT_FPDU_ACK_TRANS_END, diag, reason);
    }
    if (complete(self, &error))
        return incoming_answer(self, PESIT_FPDU_ACK_TRANS_END, NULL, PESIT_DIAG_OK);
    diag = g_error_matches(error, BASE_ERROR, BASE_ERROR_EXISTS)    ? DIAG_EXISTS
           : g_error_matches(error, BASE_ERROR, BASE_ERROR_REFUSED) ? DIAG_REFUSED
           : store_is_away(error)                                   ? DIAG_RESOURCES
                                                                    : DIAG_OTHER;
    reason = error != NULL ? error->message : "the transfer cannot be recorded";
    take_back(self, diag, reason);
    return incoming_refuse(self, PESIT_FPDU_ACK_TRANS_END, diag, reason);
}
