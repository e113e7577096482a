/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of what is counted. Adding a counter is adding a row. */
#include "base/metric.h"

#include <stdatomic.h>
#include <string.h>

#define REFUSALS_MAX    128
#define PARTNERS_MAX    256
#define ERRORS_MAX      64
#define NAME_MAX_LENGTH 20 /* of an errno */
#define BUCKETS         10

typedef struct {
    const char *name, *labels, *help;
} MetricRow;

/* clang-format off */
static const MetricRow ROWS[METRIC_COUNT] = { /* rows of one name are neighbours */
    [METRIC_CONNECTIONS_IN]      = { "pesit_connections_total", "direction=\"in\"", "PeSIT connections opened" },
    [METRIC_CONNECTIONS_OUT]     = { "pesit_connections_total", "direction=\"out\"", NULL },
    [METRIC_BYTES_RECEIVED]      = { "pesit_wire_bytes_total", "direction=\"in\"", "bytes on PeSIT connections, headers included" },
    [METRIC_BYTES_SENT]          = { "pesit_wire_bytes_total", "direction=\"out\"", NULL },
    [METRIC_FPDUS_RECEIVED]      = { "pesit_fpdus_total", "direction=\"in\"", "FPDUs of sessions" },
    [METRIC_FPDUS_SENT]          = { "pesit_fpdus_total", "direction=\"out\"", NULL },
    [METRIC_SYNC_POINTS_DURABLE] = { "pesit_sync_points_total", "direction=\"in\"", "synchronisation points: made durable here, acknowledged by partners" },
    [METRIC_SYNC_POINTS_ACKNOWLEDGED] = { "pesit_sync_points_total", "direction=\"out\"", NULL },
    [METRIC_RESTARTS_IN]         = { "pesit_restarts_total", "direction=\"in\"", "transfers that went on where an earlier attempt had ended" },
    [METRIC_RESTARTS_OUT]        = { "pesit_restarts_total", "direction=\"out\"", NULL },
    [METRIC_TRANSFERS_DONE]      = { "pesit_transfers_total", "state=\"done\"", "transfers that ended" },
    [METRIC_TRANSFERS_FAILED]    = { "pesit_transfers_total", "state=\"failed\"", NULL },
    [METRIC_TRANSFERS_CANCELLED] = { "pesit_transfers_total", "state=\"cancelled\"", NULL },
    [METRIC_TRANSFERS_RETRIED]   = { "pesit_retries_total", NULL, "transfers put back to be tried again" },
    [METRIC_RUNS_DONE]           = { "pesit_schedule_runs_total", "state=\"done\"", "runs of schedules that ended" },
    [METRIC_RUNS_FAILED]         = { "pesit_schedule_runs_total", "state=\"failed\"", NULL },
    [METRIC_RUNS_CANCELLED]      = { "pesit_schedule_runs_total", "state=\"cancelled\"", NULL },
    [METRIC_RUNS_MISSED]         = { "pesit_schedule_missed_total", NULL, "due times of schedules that were passed over" },
    [METRIC_FILES_OVERDUE]       = { "pesit_files_overdue_total", NULL, "cut-offs by which an expected file had not come" },
    [METRIC_LOGINS_FAILED]       = { "pesit_admin_logins_failed_total", NULL, "credentials that the administration did not accept" },
    [METRIC_HTTP_REQUESTS]       = { "pesit_admin_requests_total", NULL, "requests of the administration answered" },
    [METRIC_HTTP_REFUSED]        = { "pesit_admin_limited_total", NULL, "requests refused by a rate limit or a lock-out" },
};

static const MetricRow HISTOGRAMS[METRIC_HISTOGRAM_COUNT] = {
    [METRIC_COMMIT_US] = { "pesit_store_commit_seconds", NULL, "duration of commits of the store" },
};
/* clang-format on */

/* as the kernel asks for them; those that are not here are not counted */
static const char *const OPERATIONS[] = {
        "lookup",     "getattr", "setattr",  "mknod",     "mkdir",     "unlink",      "rmdir",
        "symlink",    "rename",  "link",     "create",    "open",      "read",        "write",
        "flush",      "release", "fsync",    "fallocate", "opendir",   "readdir",     "readdirplus",
        "releasedir", "statfs",  "setxattr", "getxattr",  "listxattr", "removexattr",
};

static const int64_t BOUNDS_US[BUCKETS] = {500,   1000,   2500,   5000,    10000,
                                           25000, 100000, 500000, 2000000, 10000000};

static _Atomic uint64_t counters[METRIC_COUNT];
static _Atomic uint64_t buckets[METRIC_HISTOGRAM_COUNT][BUCKETS + 1];
static _Atomic uint64_t sums_us[METRIC_HISTOGRAM_COUNT];

/* What is counted by a label that comes up: a row is taken by the first who counts in it, and stays. */
typedef struct {
    _Atomic(const char *) label; /* interned; NULL: free */
    _Atomic uint64_t counts[METRIC_PARTNER_COUNT];
} LabelRow;

static LabelRow refusals[REFUSALS_MAX + 1]; /* the last of each is the rest */
static LabelRow partners[PARTNERS_MAX + 1];
static LabelRow mount_errors[ERRORS_MAX + 1];
static _Atomic uint64_t mount_operations[G_N_ELEMENTS(OPERATIONS)];

static void count(LabelRow *rows, size_t most, const char *label, size_t what, uint64_t number)
{
    const char *own = NULL;
    size_t i = 0;

    for (; i < most; i++) {
        const char *seen = atomic_load(&rows[i].label);

        if (seen == NULL) {
            own = own != NULL ? own : g_intern_string(label);
            if (atomic_compare_exchange_strong(&rows[i].label, &seen, own))
                break;
        }
        if (strcmp(seen, label) == 0)
            break;
    }
    (void)atomic_fetch_add(&rows[i].counts[what], number);
}

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
    char label[16];

    (void)g_snprintf(label, sizeof label, "%u-%03u", type, code); /* fits */
    count(refusals, REFUSALS_MAX, label, 0, 1);
}

void metric_partner(const char *partner, MetricPartner what, uint64_t number)
{
    count(partners, PARTNERS_MAX, partner, what, number);
}

bool metric_mount(const char *operation, uint64_t number)
{
    for (size_t i = 0; i < G_N_ELEMENTS(OPERATIONS); i++) {
        if (strcmp(OPERATIONS[i], operation) == 0) {
            (void)atomic_fetch_add(&mount_operations[i], number);
            return true;
        }
    }
    return false;
}

bool metric_mount_error(const char *name, uint64_t number)
{
    if (*name == '\0' || strlen(name) > NAME_MAX_LENGTH ||
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != strlen(name))
        return false;
    count(mount_errors, ERRORS_MAX, name, 0, number);
    return true;
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

static void write_row(GString *out, const char *name, const char *labels, uint64_t number)
{
    g_string_append_printf(out, "%s{%s} %" G_GUINT64_FORMAT "\n", name, labels, number);
}

/* key="LABEL" of each row that is taken, and of the rest. more: behind it, or "". */
static void write_rows(GString *out, const char *name, const LabelRow *rows, size_t most,
                       const char *key, const char *rest, size_t what, const char *more)
{
    for (size_t i = 0; i <= most; i++) {
        const char *label = i < most ? atomic_load(&rows[i].label) : rest;
        g_autofree char *labels = g_strdup_printf("%s=\"%s\"%s", key, label, more);

        if (label != NULL)
            write_row(out, name, labels, atomic_load(&rows[i].counts[what]));
    }
}

static void write_refusals(GString *out)
{
    write_head(out, "pesit_refusals_total", "refusals by diagnostic, ours and partners'",
               "counter");
    write_rows(out, "pesit_refusals_total", refusals, REFUSALS_MAX, "diagnostic", "other", 0, "");
}

static void write_partners(GString *out)
{
    static const char *const STATES[] = {
            [METRIC_PARTNER_DONE] = ",state=\"done\"",
            [METRIC_PARTNER_FAILED] = ",state=\"failed\"",
            [METRIC_PARTNER_CANCELLED] = ",state=\"cancelled\"",
            [METRIC_PARTNER_RETRIED] = ",state=\"retried\"",
    };

    write_head(out, "pesit_partner_transfers_total",
               "transfers of a partner that ended, or were put back to be tried again", "counter");
    for (size_t i = 0; i < G_N_ELEMENTS(STATES); i++)
        write_rows(out, "pesit_partner_transfers_total", partners, PARTNERS_MAX, "partner", "", i,
                   STATES[i]);
    write_head(out, "pesit_partner_bytes_total", "bytes of a partner's files that are complete",
               "counter");
    write_rows(out, "pesit_partner_bytes_total", partners, PARTNERS_MAX, "partner", "",
               METRIC_PARTNER_RECEIVED, ",direction=\"in\"");
    write_rows(out, "pesit_partner_bytes_total", partners, PARTNERS_MAX, "partner", "",
               METRIC_PARTNER_SENT, ",direction=\"out\"");
}

static void write_mounts(GString *out)
{
    write_head(out, "pesit_mount_operations_total", "operations of mounts of this daemon",
               "counter");
    for (size_t i = 0; i < G_N_ELEMENTS(OPERATIONS); i++) {
        g_autofree char *labels = g_strdup_printf("operation=\"%s\"", OPERATIONS[i]);

        write_row(out, "pesit_mount_operations_total", labels, atomic_load(&mount_operations[i]));
    }
    write_head(out, "pesit_mount_errors_total", "operations of mounts that failed, by errno",
               "counter");
    write_rows(out, "pesit_mount_errors_total", mount_errors, ERRORS_MAX, "errno", "other", 0, "");
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
    write_partners(out);
    write_mounts(out);
    for (size_t i = 0; i < METRIC_HISTOGRAM_COUNT; i++)
        write_histogram(out, i);
}

static void append_label(GString *out, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            g_string_append_c(out, '\\');
        if (*at == '\n')
            g_string_append(out, "\\n");
        else
            g_string_append_c(out, *at);
    }
}

void metric_write_gauges(GString *out, const char *name, const char *help, const char *key,
                         const MetricGauge *gauges, size_t count)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    if (count > 0)
        write_head(out, name, help, "gauge");
    for (size_t i = 0; i < count; i++) {
        g_string_append_printf(out, "%s{%s=\"", name, key);
        append_label(out, gauges[i].label);
        g_string_append_printf(out, "\"} %s\n",
                               g_ascii_formatd(text, sizeof text, "%.15g", gauges[i].value));
    }
}

void metric_write_gauge(GString *out, const char *name, const char *help, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    write_head(out, name, help, "gauge");
    g_string_append_printf(out, "%s %s\n", name,
                           g_ascii_formatd(text, sizeof text, "%.15g", value));
}
