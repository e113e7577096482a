/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may connect: the checks of CONNECT in the order of procedures §14.2. To a peer that has not proved
 * who it is, every refusal is the same 3/304 after the same work; the reason goes to our log only.
 */
#include "daemon/net/connection-private.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

#define PASSWORD_BYTES            8
#define VERSION_E                 2
#define DIAG_NOT_AUTHORISED       PESIT_DIAG(3, 304)
#define DIAG_SERVER_UNKNOWN       PESIT_DIAG(3, 301)
#define DIAG_READ_UNSUPPORTED     PESIT_DIAG(3, 305)
#define DIAG_SYNC_REQUIRED        PESIT_DIAG(3, 307)
#define DIAG_VERSION              PESIT_DIAG(3, 308)
#define DIAG_TOO_MANY_FOR_PARTNER PESIT_DIAG(3, 309)
#define DIAG_TOO_MANY             PESIT_DIAG(3, 303)
#define DIAG_STOPPING             PESIT_DIAG(3, 312)

static char *dup_text(const PesitFpdu *fpdu, PesitPi pi)
{
    size_t length = 0;
    const uint8_t *bytes = pesit_fpdu_bytes(fpdu, pi, &length);

    return bytes == NULL || memchr(bytes, 0, length) != NULL
                   ? NULL
                   : g_strndup((const char *)bytes, length);
}

/* The secret in force: a password changed by the partner wins over the configuration. ret_known: false when
 * the store cannot say whether there is one. */
static Secret *find_password(Connection *self, const Partner *partner, bool *ret_known)
{
    g_autoptr(StoreResult) result = NULL;

    result = store_execute(self->services->store,
                           store_request_get_secret(partner->name, "password_received"));
    *ret_known = result->error == NULL;
    if (result->error == NULL && result->transfer != NULL && result->transfer->error != NULL) {
        Secret *changed = secret_parse(result->transfer->error, NULL, NULL);

        if (changed != NULL)
            return changed;
    }
    return *ret_known && partner->password_received != NULL ? secret_ref(partner->password_received)
                                                            : NULL;
}

static bool check_password(Connection *self, const Partner *partner, const uint8_t *bytes,
                           size_t length, bool *ret_known)
{
    g_autoptr(Secret) expected = partner != NULL ? find_password(self, partner, ret_known) : NULL;
    size_t own = MIN(length, (size_t)PASSWORD_BYTES);

    if (partner != NULL && expected == NULL)
        return *ret_known;
    return secret_equals(expected, bytes != NULL ? bytes : (const uint8_t *)"", own, true);
}

/* Octets 9 to 16 of PI 5: the new password is durable before the answer leaves. */
static bool change_password(Connection *self, const Partner *partner, const uint8_t *bytes,
                            size_t length)
{
    g_autoptr(Secret) changed = NULL;
    g_autoptr(StoreResult) result = NULL;
    g_autofree char *verifier = NULL;

    while (length > 0 && bytes[length - 1] == ' ')
        length--;
    if (length == 0 || partner->password_received == NULL)
        return false;
    changed = secret_new(bytes, length);
    verifier = secret_make_verifier(changed, NULL);
    if (verifier == NULL)
        return false;
    result = store_execute(self->services->store,
                           store_request_set_secret(partner->name, "password_received", verifier));
    return result->error == NULL;
}

static const char *find_identity_fault(Connection *self, const Partner *partner)
{
    g_autofree char *certificate = NULL;

    if (partner == NULL)
        return "unknown partner";
    if (!partner->enabled)
        return "partner is disabled";
    if (!partner_is_open_at(partner, clock_wall_s()))
        return "outside the partner's hours";
    if (!partner_accepts_address(partner, self->address))
        return "address is not in the partner's list";
    if (partner->client_certificate_sha256 == NULL)
        return NULL;
    certificate = stream_dup_peer_certificate(self->channel->stream);
    if (certificate == NULL ||
        g_ascii_strcasecmp(certificate, partner->client_certificate_sha256) != 0)
        return "client certificate is not the partner's";
    return NULL;
}

static void log_refusal(Connection *self, const char *identifier, const char *reason)
{
    log_event(LOG_AUTHENTICATION_FAILED, "CONNECTION", self->label, "ADDRESS", self->address,
              "IDENTIFIER", identifier, "REASON", reason, NULL);
    /* the answer comes after the penalty of address and identifier */
    (void)connection_ask(self, NOTICE_REJECTED, identifier);
}

/* Steps 3 to 6: identity. */
static PesitDiag authenticate(Connection *self, const PesitFpdu *connect,
                              const Partner **ret_partner)
{
    g_autofree char *identifier = dup_text(connect, PESIT_PI_REQUESTER);
    const Partner *partner = NULL;
    size_t length = 0;
    const uint8_t *password = pesit_fpdu_bytes(connect, PESIT_PI_ACCESS_CONTROL, &length);
    const char *fault;
    bool password_right, known = true;

    if (identifier != NULL)
        partner = config_find_partner_by_identifier(self->config, identifier);
    fault = find_identity_fault(self, partner);
    password_right = check_password(self, partner, password, length, &known);
    if (!known) {
        log_event(LOG_CONNECTION_REFUSED, "CONNECTION", self->label, "ADDRESS", self->address,
                  "REASON", "the store is away", NULL);
        return DIAG_TOO_MANY;
    }
    if (fault == NULL && !password_right)
        fault = "wrong password";
    if (fault == NULL && length > PASSWORD_BYTES &&
        !change_password(self, partner, password + PASSWORD_BYTES, length - PASSWORD_BYTES))
        fault = "password cannot be changed";
    if (fault != NULL) {
        log_refusal(self, identifier, fault);
        return DIAG_NOT_AUTHORISED;
    }
    *ret_partner = partner;
    return PESIT_DIAG_OK;
}

static PesitDiag check_access(const Connection *self, const Partner *partner,
                              const PesitFpdu *connect)
{
    uint64_t access = pesit_fpdu_number(connect, PESIT_PI_ACCESS_TYPE, PESIT_ACCESS_WRITE);

    if (access == PESIT_ACCESS_READ && !self->config->read_supported)
        return DIAG_READ_UNSUPPORTED;
    if (access == PESIT_ACCESS_READ && !partner->may_read)
        return DIAG_NOT_AUTHORISED;
    if (access == PESIT_ACCESS_WRITE && !partner->may_write)
        return DIAG_NOT_AUTHORISED;
    if (access == PESIT_ACCESS_MIXED && !partner->may_read && !partner->may_write)
        return DIAG_NOT_AUTHORISED;
    return PESIT_DIAG_OK;
}

/* Step 10: what is offered, against what we insist on. */
static PesitDiag check_options(const Connection *self, const Partner *partner,
                               const PesitFpdu *connect)
{
    uint16_t interval_kb;
    uint8_t window;

    pesit_fpdu_sync(connect, &interval_kb, &window);
    if (self->config->sync_required && (interval_kb == 0 || partner->profile.sync_interval_kb == 0))
        return DIAG_SYNC_REQUIRED;
    return PESIT_DIAG_OK;
}

PesitDiag admission_check(Connection *self, const PesitFpdu *connect)
{
    g_autofree char *server = dup_text(connect, PESIT_PI_SERVER);
    const Partner *partner = NULL;
    PesitDiag diag;

    if (pesit_fpdu_number(connect, PESIT_PI_VERSION, 0) != VERSION_E)
        return DIAG_VERSION;
    diag = authenticate(self, connect, &partner);
    if (pesit_diag_is_negative(diag))
        return diag;
    if (g_strcmp0(server, partner->local_identifier) != 0)
        return DIAG_SERVER_UNKNOWN;
    diag = check_access(self, partner, connect);
    if (!pesit_diag_is_negative(diag))
        diag = check_options(self, partner, connect);
    if (pesit_diag_is_negative(diag))
        return diag;
    self->partner = partner;
    switch (connection_ask(self, NOTICE_ADMIT, NULL)) {
    case VERDICT_YES:
        self->admitted = true;
        return PESIT_DIAG_OK;
    case VERDICT_BUSY:
        return DIAG_TOO_MANY_FOR_PARTNER;
    case VERDICT_FULL:
        return DIAG_TOO_MANY;
    case VERDICT_STOPPING:
        return DIAG_STOPPING;
    }
    return DIAG_STOPPING;
}
