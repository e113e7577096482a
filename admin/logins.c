/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a credential is looked at, and what follows from how that ended. Failures are counted for the address and, where a
 * password is guessed at, for the account; a good login clears its own account's and nobody else's. Keys and
 * certificates cannot be guessed: one that was good from an address stays welcome there while the address is locked, so
 * that a broken client does not shut out those beside it.
 */
#include "admin/admin-private.h"

#include "admin/lockout.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MAX           10000
#define FORGIVE_ACCOUNT_US G_TIME_SPAN_HOUR
#define FORGIVE_PLACE_US   G_TIME_SPAN_MINUTE
#define NAME_SHOWN         64
#define KNOWN_MAX          10000
#define KNOWN_US           (24 * G_TIME_SPAN_HOUR)

struct Logins {
    Lockout *accounts, *places;
    pthread_mutex_t lock;
    GHashTable *known; /* "CREDENTIAL PLACE" → int64_t when it was last good */
};

Logins *logins_new(void)
{
    Logins *self = g_new0(Logins, 1);

    self->accounts = lockout_new(ROWS_MAX, FORGIVE_ACCOUNT_US);
    self->places = lockout_new(ROWS_MAX, FORGIVE_PLACE_US);
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail */
    self->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return self;
}

void logins_free(Logins *self)
{
    if (self == NULL)
        return;
    lockout_free(self->accounts);
    lockout_free(self->places);
    g_hash_table_unref(self->known);
    (void)pthread_mutex_destroy(&self->lock); /* nobody has it */
    g_free(self);
}

/* keys and certificates that were good */

static gboolean is_old(gpointer key, gpointer value, gpointer data)
{
    (void)key;
    return *(const int64_t *)data - *(const int64_t *)value > KNOWN_US;
}

/* Only who has a good key can fill it. */
static void remember(Logins *self, const char *pair)
{
    int64_t now_us = clock_now_us();

    (void)pthread_mutex_lock(&self->lock);
    if (g_hash_table_size(self->known) >= KNOWN_MAX)
        (void)g_hash_table_foreach_remove(self->known, is_old, &now_us);
    if (g_hash_table_size(self->known) < KNOWN_MAX || g_hash_table_contains(self->known, pair))
        g_hash_table_replace(self->known, g_strdup(pair), g_memdup2(&now_us, sizeof now_us));
    (void)pthread_mutex_unlock(&self->lock);
}

static void forget(Logins *self, const char *pair)
{
    (void)pthread_mutex_lock(&self->lock);
    (void)g_hash_table_remove(self->known, pair); /* it may not be there */
    (void)pthread_mutex_unlock(&self->lock);
}

static bool is_known(Logins *self, const char *pair)
{
    int64_t now_us = clock_now_us();
    const int64_t *good_us;
    bool known;

    (void)pthread_mutex_lock(&self->lock);
    good_us = g_hash_table_lookup(self->known, pair);
    known = good_us != NULL && now_us - *good_us <= KNOWN_US;
    (void)pthread_mutex_unlock(&self->lock);
    return known;
}

/* who tries */

/* The name of Basic, NULL for others. Returns new. */
static char *dup_account(const char *authorization)
{
    gsize length = 0;
    g_autofree guchar *decoded = NULL;
    const guchar *colon;
    char *account = NULL;

    if (authorization == NULL || g_ascii_strncasecmp(authorization, "Basic ", 6) != 0)
        return NULL;
    decoded = g_base64_decode(authorization + 6, &length);
    colon = length > 0 ? memchr(decoded, ':', length) : NULL;
    if (colon != NULL)
        account = g_strdup_printf("%.*s", (int)MIN(colon - decoded, NAME_SHOWN), decoded);
    explicit_bzero(decoded, length);
    return account;
}

/* A digest: the credential itself is not kept. Returns new. */
static char *dup_pair(const Request *request, const char *place)
{
    const char *shown =
            request->authorization != NULL ? request->authorization : request->certificate;
    g_autofree char *digest =
            g_compute_checksum_for_string(G_CHECKSUM_SHA256, shown != NULL ? shown : "", -1);

    return g_strconcat(digest, " ", place, NULL);
}

static void refuse(Request *request, int64_t left_us)
{
    char seconds[24];

    (void)snprintf(seconds, sizeof seconds, "%" G_GINT64_FORMAT,
                   left_us / USEC_PER_SEC + 1); /* fits */
    metric_add(METRIC_HTTP_REFUSED, 1);
    g_ptr_array_set_size(request->headers, 0); /* another answer may have been there */
    request_problem(request, 429, "locked", NULL, "too many failed logins: wait %s s", seconds);
    request_add_header(request, "Retry-After", seconds);
}

static int64_t left_of_account_us(Logins *self, const char *account)
{
    return account != NULL ? lockout_left_us(self->accounts, account, clock_now_us()) : 0;
}

bool logins_admit(Request *request)
{
    Logins *self = request->admin->logins;
    g_autofree char *place = lockout_dup_place(request->address);
    g_autofree char *account = dup_account(request->authorization);
    g_autofree char *pair = NULL;
    int64_t left_us = lockout_left_us(self->places, place, clock_now_us());

    if (left_us > 0 && account == NULL) {
        pair = dup_pair(request, place);
        if (is_known(self, pair))
            left_us = 0;
    }
    left_us = MAX(left_us, left_of_account_us(self, account));
    if (left_us > 0)
        refuse(request, left_us);
    return left_us <= 0;
}

static void tell(const char *place, const char *account, int64_t left_us)
{
    char seconds[24];

    if (left_us <= 0)
        return;
    (void)snprintf(seconds, sizeof seconds, "%" G_GINT64_FORMAT, left_us / USEC_PER_SEC); /* fits */
    log_event(LOG_LOGIN_LOCKED, account != NULL ? "ACCOUNT" : "ADDRESS",
              account != NULL ? account : place, "SECONDS", seconds, NULL);
}

/* Counts it for both. Returns how long one of them was refused already: what was found out is not told. */
static int64_t count_failure(Logins *self, const char *place, const char *account)
{
    int64_t now_us = clock_now_us(), place_us = 0, account_us = 0;
    bool place_counted = lockout_fail(self->places, place, now_us, &place_us);
    bool account_counted =
            account == NULL || lockout_fail(self->accounts, account, now_us, &account_us);

    if (place_counted)
        tell(place, NULL, place_us);
    if (account_counted)
        tell(NULL, account, account_us);
    return MAX(place_counted ? 0 : place_us, account_counted ? 0 : account_us);
}

/* A good password that comes when others have failed too often is as good as none. */
static int64_t count_success(Logins *self, const char *place, const char *account)
{
    int64_t left_us = MAX(lockout_left_us(self->places, place, clock_now_us()),
                          left_of_account_us(self, account));

    if (left_us == 0)
        lockout_forgive(self->accounts, account);
    return left_us;
}

bool logins_count(Request *request, bool good)
{
    Logins *self = request->admin->logins;
    g_autofree char *place = lockout_dup_place(request->address);
    g_autofree char *account = dup_account(request->authorization);
    g_autofree char *pair = dup_pair(request, place);
    int64_t left_us = 0;

    if (request->authorization == NULL && request->certificate == NULL)
        return good; /* nothing was guessed */
    if (!good) {
        forget(self, pair);
        left_us = count_failure(self, place, account);
    } else if (account == NULL) {
        remember(self, pair);
    } else {
        left_us = count_success(self, place, account);
    }
    if (left_us > 0)
        refuse(request, left_us);
    return good && left_us == 0;
}
