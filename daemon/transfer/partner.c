/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partners as values: when they may be talked to and from where they may call. Pure but for the secrets
 * they hold; any thread.
 */
#include "daemon/transfer/partner.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define MINUTES_PER_HOUR 60
#define MINUTES_PER_DAY  (24 * MINUTES_PER_HOUR)
#define SECONDS_PER_HOUR 3600

void tls_settings_clear(TlsSettings *settings)
{
    g_free(settings->certificate);
    g_free(settings->key);
    g_free(settings->authorities);
    g_free(settings->keystore);
    g_free(settings->truststore);
    g_free(settings->host_name);
    g_free(settings->pin_sha256);
    *settings = (TlsSettings){0};
}

void certificate_store_free(CertificateStore *store)
{
    if (store == NULL)
        return;
    g_free(store->name);
    g_free(store->description);
    g_free(store->format);
    g_free(store->purpose);
    g_free(store->partner);
    g_free(store->alias);
    g_free(store->certificates);
    secret_unref(store->key);
    g_free(store);
}

void partner_free(Partner *partner)
{
    if (partner == NULL)
        return;
    tls_settings_clear(&partner->tls);
    secret_unref(partner->password_received);
    secret_unref(partner->password_sent);
    secret_unref(partner->password_expected);
    g_free(partner->name);
    g_free(partner->description);
    g_free(partner->identifier);
    g_free(partner->local_identifier);
    g_free(partner->address);
    g_free(partner->client_certificate_sha256);
    g_free(partner->active_hours);
    g_clear_pointer(&partner->addresses, g_ptr_array_unref);
    g_clear_pointer(&partner->retry_delays_s, g_array_unref);
    g_clear_pointer(&partner->files, g_ptr_array_unref);
    g_clear_pointer(&partner->zone, g_time_zone_unref);
    g_free(partner);
}

bool partner_parse_hours(const char *text, unsigned *ret_from_minute, unsigned *ret_to_minute)
{
    unsigned h1, m1, h2, m2;
    char end;

    if (sscanf(text, "%2u:%2u-%2u:%2u%c", &h1, &m1, &h2, &m2, &end) != 4)
        return false;
    if (h1 > 24 || h2 > 24 || m1 > 59 || m2 > 59 || (h1 == 24 && m1 > 0) || (h2 == 24 && m2 > 0))
        return false;
    *ret_from_minute = h1 * MINUTES_PER_HOUR + m1;
    *ret_to_minute = h2 * MINUTES_PER_HOUR + m2;
    return *ret_from_minute != *ret_to_minute &&
           (*ret_from_minute < MINUTES_PER_DAY || *ret_to_minute > 0);
}

bool partner_is_open_at(const Partner *partner, int64_t wall_s)
{
    g_autoptr(GDateTime) utc = NULL;
    g_autoptr(GDateTime) local = NULL;
    unsigned from, to, now;

    if (partner->active_hours == NULL || !partner_parse_hours(partner->active_hours, &from, &to))
        return true;
    utc = g_date_time_new_from_unix_utc(wall_s);
    local = g_date_time_to_timezone(utc, partner->zone);
    now = (unsigned)(g_date_time_get_hour(local) * MINUTES_PER_HOUR +
                     g_date_time_get_minute(local));
    /* from > to: over midnight */
    return from <= to ? now >= from && now < to : now >= from || now < to;
}

int64_t partner_next_opening(const Partner *partner, int64_t wall_s)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(wall_s);
    g_autoptr(GDateTime) local = NULL;
    unsigned from = 0, to;

    if (partner_is_open_at(partner, wall_s))
        return wall_s;
    (void)partner_parse_hours(partner->active_hours, &from, &to); /* closed: there are hours */
    local = g_date_time_to_timezone(utc, partner->zone);
    for (int day = 0; day < 3; day++) {
        g_autoptr(GDateTime) date = g_date_time_add_days(local, day);
        g_autoptr(GDateTime) opening = g_date_time_new(
                partner->zone, g_date_time_get_year(date), g_date_time_get_month(date),
                g_date_time_get_day_of_month(date), (gint)(from / MINUTES_PER_HOUR % 24),
                (gint)(from % MINUTES_PER_HOUR), 0);
        int64_t opening_s = g_date_time_to_unix(opening);

        if (opening_s > wall_s && partner_is_open_at(partner, opening_s))
            return opening_s;
    }
    return wall_s + SECONDS_PER_HOUR; /* the clock leaps over the hours: look again */
}

/* Bytes of an address, IPv4-mapped ones as IPv4. Returns 4, 16, or 0 when it is none. */
static size_t parse_address(const char *text, uint8_t bytes[16])
{
    static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

    if (inet_pton(AF_INET, text, bytes) == 1)
        return 4;
    if (inet_pton(AF_INET6, text, bytes) != 1)
        return 0;
    if (memcmp(bytes, MAPPED, sizeof MAPPED) != 0)
        return 16;
    memmove(bytes, bytes + sizeof MAPPED, 4);
    return 4;
}

bool partner_parse_range(const char *range, uint8_t ret_bytes[16], size_t *ret_length,
                         unsigned *ret_bits)
{
    g_auto(GStrv) parts = g_strsplit(range, "/", 2);
    guint64 bits;

    *ret_length = parts[0] == NULL ? 0 : parse_address(parts[0], ret_bytes); /* "" has no parts */
    *ret_bits = (unsigned)*ret_length * 8;
    if (*ret_length == 0)
        return false;
    if (parts[1] == NULL)
        return true;
    if (!g_ascii_string_to_unsigned(parts[1], 10, 0, *ret_bits, &bits, NULL))
        return false;
    *ret_bits = (unsigned)bits;
    return true;
}

static bool is_in_range(const char *range, const uint8_t *bytes, size_t length)
{
    uint8_t base[16];
    size_t base_length;
    unsigned bits, whole;

    if (!partner_parse_range(range, base, &base_length, &bits) || base_length != length)
        return false;
    whole = bits / 8;
    if (memcmp(base, bytes, whole) != 0)
        return false;
    return bits % 8 == 0 || ((base[whole] ^ bytes[whole]) >> (8 - bits % 8)) == 0;
}

bool partner_accepts_address(const Partner *partner, const char *address)
{
    uint8_t bytes[16];
    size_t length;

    if (partner->addresses == NULL || partner->addresses->len == 0)
        return true;
    length = parse_address(address, bytes);
    for (guint i = 0; length > 0 && i < partner->addresses->len; i++) {
        if (is_in_range(g_ptr_array_index(partner->addresses, i), bytes, length))
            return true;
    }
    return false;
}
