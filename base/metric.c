/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of what is counted. Adding a counter is adding a row. */
#include "base/metric.h"

#include <stdatomic.h>
#include <stdbool.h>

#define REFUSALS_MAX 128
#define BUCKETS      10

typedef struct {
    const char *name, *labels, *help;
} MetricRow;

/* clang-format off */
static const MetricRow ROWS[METRIC_COUNT] = { /* rows of one name are neighbours */
    [METRIC_CONNECTIONS_IN]      = { "pesit_connections_total", "direction=\"in\"", "PeSIT connections opened" },
    [METRIC_CONNECTIONS_OUT]     = { "pesit_connections_total", "direction=\"out\"", NULL },
    [METRIC_BYTES_RECEIVED]      = { "pesit_wire_bytes_total", "direction=\"in\"", "bytes on PeSIT connections, headers included" },
    [METRIC_BYTES_SENT]          = { "pesit_wire_bytes_total", "direction=\"out\"", NULL },
    [METRIC_SYNC_POINTS]         = { "pesit_sync_points_total", NULL, "synchronisation points made durable" },
    [METRIC_TRANSFERS_DONE]      = { "pesit_transfers_total", "state=\"done\"", "transfers that ended" },
    [METRIC_TRANSFERS_FAILED]    = { "pesit_transfers_total", "state=\"failed\"", NULL },
    [METRIC_TRANSFERS_CANCELLED] = { "pesit_transfers_total", "state=\"cancelled\"", NULL },
    [METRIC_TRANSFERS_RETRIED]   = { "pesit_retries_total", NULL, "transfers put back to be tried again" },
    [METRIC_LOGINS_FAILED]       = { "pesit_admin_logins_failed_total", NULL, "credentials that the administration did not accept" },
    [METRIC_HTTP_REQUESTS]       = { "pesit_admin_requests_total", NULL, "requests of the administration answered" },
    [METRIC_HTTP_REFUSED]        = { "pesit_admin_limited_total", NULL, "requests refused by a rate limit or a lock-out" },
};

static const MetricRow HISTOGRAMS[METRIC_HISTOGRAM_COUNT] = {
    [METRIC_COMMIT_US] = { "pesit_store_commit_seconds", NULL, "duration of commits of the store" },
};
/* clang-format on */

static const int64_t BOUNDS_US[BUCKETS] = {500,   1000,   2500,   5000,    10000,
                                           25000, 100000, 500000, 2000000, 10000000};

static _Atomic uint64_t counters[METRIC_COUNT];
static _Atomic uint64_t buckets[METRIC_HISTOGRAM_COUNT][BUCKETS + 1];
static _Atomic uint64_t sums_us[METRIC_HISTOGRAM_COUNT];
static struct {
    _Atomic unsigned diag; /* type * 1000 + code; 0: free */
    _Atomic uint64_t count;
} refusals[REFUSALS_MAX];
static _Atomic uint64_t other_refusals;

void metric_add(Metric metric, uint64_t number)
{
    (void)atomic_fetch_add_explicit(&counters[metric], number, memory_order_relaxed);
}

uint64_t metric_read(Metric metric)
{
    return atomic_load_explicit(&counters[metric], memory_order_relaxed);
}

void metric_refusal(unsigned type, unsigned code)
{
    unsigned diag = type * 1000 + code;

    for (size_t i = 0; i < REFUSALS_MAX; i++) {
        unsigned seen = 0;

        if (atomic_compare_exchange_strong(&refusals[i].diag, &seen, diag) || seen == diag) {
            (void)atomic_fetch_add(&refusals[i].count, 1);
            return;
        }
    }
    (void)atomic_fetch_add(&other_refusals, 1);
}

void metric_observe(MetricHistogram histogram, int64_t us)
{
    size_t i = 0;

    while (i < BUCKETS && us > BOUNDS_US[i])
        i++;
    (void)atomic_fetch_add(&buckets[histogram][i], 1);
    (void)atomic_fetch_add(&sums_us[histogram], (uint64_t)MAX(us, 0));
}

static void write_head(GString *out, const char *name, const char *help, const char *kind)
{
    g_string_append_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void write_refusals(GString *out)
{
    write_head(out, "pesit_refusals_total", "refusals by diagnostic, ours and partners'",
               "counter");
    for (size_t i = 0; i < REFUSALS_MAX; i++) {
        unsigned diag = atomic_load(&refusals[i].diag);

        if (diag == 0)
            break;
        g_string_append_printf(
                out, "pesit_refusals_total{diagnostic=\"%u-%03u\"} %" G_GUINT64_FORMAT "\n",
                diag / 1000, diag % 1000, atomic_load(&refusals[i].count));
    }
    g_string_append_printf(out,
                           "pesit_refusals_total{diagnostic=\"other\"} %" G_GUINT64_FORMAT "\n",
                           atomic_load(&other_refusals));
}

static void write_histogram(GString *out, size_t h)
{
    const char *name = HISTOGRAMS[h].name;
    uint64_t count = 0;

    write_head(out, name, HISTOGRAMS[h].help, "histogram");
    for (size_t i = 0; i <= BUCKETS; i++) {
        char bound[G_ASCII_DTOSTR_BUF_SIZE] = "+Inf";

        count += atomic_load(&buckets[h][i]);
        if (i < BUCKETS)
            (void)g_ascii_formatd(bound, sizeof bound, "%g", (double)BOUNDS_US[i] / 1e6);
        g_string_append_printf(out, "%s_bucket{le=\"%s\"} %" G_GUINT64_FORMAT "\n", name, bound,
                               count);
    }
    g_string_append_printf(out, "%s_sum %.6f\n%s_count %" G_GUINT64_FORMAT "\n", name,
                           (double)atomic_load(&sums_us[h]) / 1e6, name, count);
}

void metric_write(GString *out)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const MetricRow *row = &ROWS[i];

        if (row->help != NULL)
            write_head(out, row->name, row->help, "counter");
        g_string_append_printf(out, "%s%s%s%s %" G_GUINT64_FORMAT "\n", row->name,
                               row->labels != NULL ? "{" : "",
                               row->labels != NULL ? row->labels : "",
                               row->labels != NULL ? "}" : "", metric_read((Metric)i));
    }
    write_refusals(out);
    for (size_t i = 0; i < METRIC_HISTOGRAM_COUNT; i++)
        write_histogram(out, i);
}

void metric_write_gauge(GString *out, const char *name, const char *help, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    write_head(out, name, help, "gauge");
    g_string_append_printf(out, "%s %s\n", name,
                           g_ascii_formatd(text, sizeof text, "%.15g", value));
}
