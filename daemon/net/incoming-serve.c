/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A partner fetches a file that we offer: SELECT finds it, READ sends it. The row of each service is written
 * before the answer, because its number is the transfer identifier (PI 13). procedures §9.3, §14.5.
 * Connection's thread.
 */
#include "daemon/net/incoming.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "daemon/net/attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIAG_RESOURCES      PESIT_DIAG(2, 201)
#define DIAG_NOT_FOUND      PESIT_DIAG(2, 205)
#define DIAG_CANNOT_OPEN    PESIT_DIAG(2, 211)
#define DIAG_READ_ERROR     PESIT_DIAG(2, 213)
#define DIAG_NO_RESTART     PESIT_DIAG(2, 214)
#define DIAG_ABNORMAL_END   PESIT_DIAG(2, 223)
#define DIAG_REFUSED        PESIT_DIAG(2, 226)
#define DIAG_OTHER          PESIT_DIAG(2, 299)
#define TRANSFER_ID_MODULUS 0xFFFFFF
#define ENTITY_MIN_BYTES    128
#define OFFERS_MAX          1000 /* that are looked at for one that may be given */
#define GENERIC_CLAIM       "/*" /* the name of no file */

/* Whether the rule of an offer lets it be given. */
static bool may_give(Incoming *self, const Transfer *offer, const char **ret_reason)
{
    self->file = rule_find_by_path(self->connection->partner->files, offer->path, true);
    *ret_reason = "the virtual file of the offer is gone";
    if (self->file == NULL || self->file->mode != VIRTUAL_FILE_OFFER)
        return false;
    *ret_reason = "the virtual file of the offer is disabled";
    return self->file->enabled;
}

/* The offer of a name; of a generic one the first that may be given, of some. */
static PesitDiag look_for_offer(Incoming *self, const char *file_name, unsigned file_type,
                                bool generic, Transfer **ret_offer, const char **ret_reason)
{
    int64_t after_id = 0;

    *ret_reason = "no such file is offered";
    for (unsigned i = 0; i < (generic ? OFFERS_MAX : 1); i++) {
        g_autoptr(StoreResult) result =
                store_execute(self->connection->services->store,
                              store_request_find_offer(self->connection->partner->name,
                                                       (uint16_t)file_type, file_name, after_id));

        if (store_is_away(result->error)) {
            *ret_reason = "the store is away";
            return DIAG_RESOURCES;
        }
        if (result->error != NULL || result->transfer == NULL)
            return DIAG_NOT_FOUND;
        if (may_give(self, result->transfer, ret_reason)) {
            *ret_offer = g_steal_pointer(&result->transfer);
            return PESIT_DIAG_OK;
        }
        after_id = result->transfer->id;
    }
    return DIAG_NOT_FOUND;
}

/* The same answer for unknown, not allowed and not there. */
static PesitDiag find_offer(Incoming *self, const PesitFpdu *fpdu, Transfer **ret_offer,
                            const char **ret_reason)
{
    g_autofree char *file_name = incoming_dup_text(fpdu, PESIT_PI_FILE_NAME);
    bool generic = file_name != NULL && strpbrk(file_name, "*?") != NULL;
    PesitDiag diag = PESIT_DIAG_OK;

    *ret_reason = "the file name is not a name";
    if (file_name == NULL || file_name[0] == '\0')
        return DIAG_NOT_FOUND;
    *ret_reason = "the partner may not read";
    if (!self->connection->partner->may_read)
        return DIAG_NOT_FOUND;
    /* until our service of what is found is in the store, no other looks: one file would go out twice */
    if (generic)
        diag = incoming_claim(self, GENERIC_CLAIM, ret_reason);
    if (pesit_diag_is_negative(diag))
        return diag;
    return look_for_offer(self, file_name, (unsigned)pesit_fpdu_number(fpdu, PESIT_PI_FILE_TYPE, 0),
                          generic, ret_offer, ret_reason);
}

static PesitDiag open_offer(Incoming *self, const Transfer *offer, const char **ret_reason)
{
    struct stat stat;

    self->fd =
            spool_open_data(self->connection->services->spool, offer->spool_name, O_RDONLY, NULL);
    *ret_reason = "the bytes of the offer are gone";
    if (self->fd < 0 || fstat(self->fd, &stat) != 0)
        return DIAG_NOT_FOUND;
    self->size_bytes = (uint64_t)stat.st_size;
    *ret_reason = "the file's size does not suit its fixed records";
    if (!attributes_check_size(self->file, self->size_bytes, NULL))
        return DIAG_REFUSED;
    return PESIT_DIAG_OK;
}

static PesitDiag check_articles(Incoming *self, const PesitFpdu *fpdu, const char **ret_reason)
{
    const PesitProfile *profile = &self->connection->partner->profile;
    uint64_t entity = MIN(pesit_fpdu_number(fpdu, PESIT_PI_MAX_ENTITY, profile->max_entity_bytes),
                          (uint64_t)profile->max_entity_bytes);
    PesitAgreement agreement;

    *ret_reason = "the entity size is too small";
    if (entity < ENTITY_MIN_BYTES)
        return DIAG_REFUSED;
    pesit_session_get_agreement(self->channel->session, &agreement);
    self->article_bytes =
            attributes_article_bytes(self->file, (unsigned)entity, agreement.sync_interval_kb);
    *ret_reason = "an article does not fit in the entity size";
    if (!profile->segmentation && (uint64_t)self->article_bytes + PESIT_HEADER_BYTES > entity)
        return DIAG_REFUSED;
    *ret_reason = "an article does not fit between two synchronisation points";
    if (agreement.sync_interval_kb > 0 &&
        self->article_bytes > agreement.sync_interval_kb * ATTRIBUTES_KB)
        return DIAG_REFUSED;
    return PESIT_DIAG_OK;
}

static PesitDiag check_select(Incoming *self, const PesitFpdu *fpdu, Transfer **ret_offer,
                              const char **ret_reason)
{
    PesitDiag diag = incoming_check_selection(self, fpdu, ret_reason);

    if (pesit_diag_is_negative(diag))
        return diag;
    *ret_reason = "nothing to restart is known";
    if (pesit_fpdu_number(fpdu, PESIT_PI_RESTARTED, 0) != 0)
        return DIAG_NO_RESTART;
    diag = find_offer(self, fpdu, ret_offer, ret_reason);
    if (!pesit_diag_is_negative(diag))
        diag = open_offer(self, *ret_offer, ret_reason);
    if (!pesit_diag_is_negative(diag))
        diag = check_articles(self, fpdu, ret_reason);
    return diag;
}

/* The row of this service; its number names the transfer. */
static bool record_service(Incoming *self, const PesitFpdu *fpdu, const Transfer *offer,
                           GError **error)
{
    Transfer *transfer = incoming_new_transfer(self, DIRECTION_SERVE, fpdu);

    self->transfer = transfer;
    g_free(transfer->file_name);
    transfer->file_name = g_strdup(offer->file_name);
    transfer->file_type = offer->file_type;
    transfer->path = g_strdup(offer->path);
    transfer->offer_path = g_strdup(offer->path);
    transfer->offer_id = offer->id;
    transfer->mode = offer->mode;
    transfer->mtime_us = offer->mtime_us;
    transfer->name_counter = offer->name_counter;
    transfer->size_bytes = self->size_bytes;
    self->inserting =
            store_begin(self->connection->services->store, store_request_insert(transfer, NULL, 0));
    if (!incoming_settle_insert(self, error))
        return false;
    transfer->transfer_id = (uint32_t)((transfer->id - 1) % TRANSFER_ID_MODULUS) + 1;
    return true;
}

static bool answer_select(Incoming *self, const Transfer *offer)
{
    const Partner *partner = self->connection->partner;
    g_autofree char *name = g_path_get_basename(self->transfer->path);
    g_auto(Attributes) attributes = {0};
    RuleContext context = attributes_transfer_context(partner, name, offer);
    PesitFpdu fpdu;

    pesit_fpdu_init(&fpdu, PESIT_FPDU_ACK_SELECT);
    attributes_fill(&fpdu, partner, self->file, self->transfer, self->article_bytes,
                    self->size_bytes, &context, &attributes);
    return incoming_answer(self, PESIT_FPDU_ACK_SELECT, &fpdu, PESIT_DIAG_OK);
}

static bool give_up(Incoming *self, PesitDiag diag, const char *reason)
{
    bool refused = incoming_refuse(self, PESIT_FPDU_ACK_SELECT, diag, reason);

    self->settled = true; /* there is no row to write */
    incoming_forget(self);
    return refused && false;
}

bool incoming_take_select(Incoming *self, const PesitFpdu *fpdu)
{
    g_autoptr(Transfer) offer = NULL;
    g_autoptr(GError) error = NULL;
    char id[LOG_NUMBER_BYTES];
    const char *reason = NULL;
    PesitDiag diag;

    self->serving = true;
    diag = check_select(self, fpdu, &offer, &reason);
    if (pesit_diag_is_negative(diag))
        return give_up(self, diag, reason);
    if (!record_service(self, fpdu, offer, &error))
        return give_up(self, DIAG_RESOURCES,
                       error != NULL ? error->message : "the transfer cannot be recorded");
    incoming_unclaim(self);
    self->selected = true;
    self->progress = progress_new();
    (void)posix_fadvise(self->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint */
    log_event(LOG_TRANSFER_STARTED, "TRANSFER", log_number(id, self->transfer->id), "CONNECTION",
              self->connection->label, "PARTNER", self->transfer->partner, "DIRECTION",
              transfer_direction_name(self->transfer->direction), "PATH", self->transfer->path,
              "FILE", self->transfer->file_name, NULL);
    return answer_select(self, offer);
}

bool incoming_take_open(Incoming *self)
{
    struct stat stat;

    /* what was deleted since SELECT is not served although we still hold it */
    if (self->serving && (fstat(self->fd, &stat) != 0 || stat.st_nlink == 0))
        return incoming_refuse(self, PESIT_FPDU_ACK_ORF, DIAG_CANNOT_OPEN,
                               "the bytes of the offer are gone");
    return incoming_answer(self, PESIT_FPDU_ACK_ORF, NULL, PESIT_DIAG_OK);
}

bool incoming_take_read(Incoming *self, const PesitFpdu *fpdu)
{
    if (pesit_fpdu_number(fpdu, PESIT_PI_RESTART_POINT, 0) != 0)
        return incoming_refuse(self, PESIT_FPDU_ACK_READ, DIAG_NO_RESTART,
                               "restart point on a new transfer");
    if (self->settled)
        return incoming_refuse(self, PESIT_FPDU_ACK_READ, DIAG_OTHER, "the transfer has ended");
    self->stopped = self->sent = false;
    if (!incoming_answer(self, PESIT_FPDU_ACK_READ, NULL, PESIT_DIAG_OK))
        return false;
    connection_tell_incoming(self->connection, self->transfer, self->progress);
    self->sender =
            sender_new(self->channel, self->fd, self->size_bytes, self->file, NULL, self->progress);
    return true;
}

bool incoming_send(Incoming *self, PesitEvent *ret_event, bool *ret_wake)
{
    g_autoptr(GError) error = NULL;
    PesitDiag diag = DIAG_READ_ERROR;

    switch (sender_run(self->sender, false, ret_event, &diag, &error)) {
    case SENDER_DONE:
        self->sent = true;
        g_clear_pointer(&self->sender, sender_free);
        return false;
    case SENDER_WAKE:
        *ret_wake = true;
        return false;
    case SENDER_EVENT:
        if (ret_event->kind == PESIT_EVENT_INDICATION) /* IDT: no more data */
            g_clear_pointer(&self->sender, sender_free);
        return true;
    case SENDER_FAILED:
        incoming_remember_counts(self);
        (void)incoming_record(self, TRANSFER_FAILED, diag, error != NULL ? error->message : NULL,
                              NULL); /* counted by the store */
        incoming_interrupt(self, diag, PESIT_END_ERROR);
        g_clear_pointer(&self->sender, sender_free);
        return false;
    }
    return false;
}

bool incoming_end_serve(Incoming *self)
{
    g_autoptr(GError) error = NULL;
    char id[LOG_NUMBER_BYTES];

    if (self->settled)
        return incoming_refuse(self, PESIT_FPDU_ACK_TRANS_END, DIAG_ABNORMAL_END,
                               "the transfer has failed");
    incoming_remember_counts(self);
    if (!incoming_record(self, TRANSFER_DONE, PESIT_DIAG_OK, NULL, &error))
        log_event(LOG_STORE_FAILED, "TRANSFER", log_number(id, self->transfer->id), "CONNECTION",
                  self->connection->label, "REASON", error != NULL ? error->message : NULL, NULL);
    /* the partner has the file whatever we could write down */
    return incoming_answer(self, PESIT_FPDU_ACK_TRANS_END, NULL, PESIT_DIAG_OK);
}
