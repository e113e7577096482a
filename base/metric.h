/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted where it happens, and how Prometheus reads it (text format 0.0.4). A table of counters, one
 * of gauges and one of histograms, all process-wide and atomic; labels are bounded by the tables. Any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    METRIC_CONNECTIONS_IN,
    METRIC_CONNECTIONS_OUT,
    METRIC_BYTES_RECEIVED,
    METRIC_BYTES_SENT,
    METRIC_FPDUS_RECEIVED,
    METRIC_FPDUS_SENT,
    METRIC_SYNC_POINTS_DURABLE,
    METRIC_SYNC_POINTS_ACKNOWLEDGED,
    METRIC_RESTARTS_IN,
    METRIC_RESTARTS_OUT,
    METRIC_TRANSFERS_DONE,
    METRIC_TRANSFERS_FAILED,
    METRIC_TRANSFERS_CANCELLED,
    METRIC_TRANSFERS_RETRIED,
    METRIC_RUNS_DONE,
    METRIC_RUNS_FAILED,
    METRIC_RUNS_CANCELLED,
    METRIC_RUNS_MISSED,
    METRIC_FILES_OVERDUE,
    METRIC_LOGINS_FAILED,
    METRIC_HTTP_REQUESTS,
    METRIC_HTTP_REFUSED,
    METRIC_COUNT,
} Metric;

/* Of one partner. */
typedef enum {
    METRIC_PARTNER_DONE,
    METRIC_PARTNER_FAILED,
    METRIC_PARTNER_CANCELLED,
    METRIC_PARTNER_RETRIED,
    METRIC_PARTNER_RECEIVED, /* bytes of files that are complete */
    METRIC_PARTNER_SENT,
    METRIC_PARTNER_COUNT,
} MetricPartner;

typedef enum { METRIC_COMMIT_US, METRIC_HISTOGRAM_COUNT } MetricHistogram;

void metric_add(Metric metric, uint64_t number);
uint64_t metric_read(Metric metric);
/* One refusal with a diagnostic, ours or the partner's; of more than 128 different ones the rest is "other". */
void metric_refusal(unsigned type, unsigned code);
/* Of more than 256 partners the rest is one, with the label "". */
void metric_partner(const char *partner, MetricPartner what, uint64_t number);
/* Operations of mounts by their name ("open"), and those that failed by the name of their errno: of more than 64
 * different ones the rest is "other". False: no such name. */
bool metric_mount(const char *operation, uint64_t number);
bool metric_mount_error(const char *name, uint64_t number);
void metric_observe(MetricHistogram histogram, int64_t us);
/* Appends all of the tables. */
void metric_write(GString *out);
/* One of several gauges that differ by a label. label: any text, borrowed. */
typedef struct {
    const char *label;
    double value;
} MetricGauge;
/* Appends them with their head; nothing when there is none. key: name of the label. */
void metric_write_gauges(GString *out, const char *name, const char *help, const char *key,
                         const MetricGauge *gauges, size_t count);
/* Appends one gauge with its head. */
void metric_write_gauge(GString *out, const char *name, const char *help, double value);
