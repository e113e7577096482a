/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon as a whole, for dashboards; and the daemons that share its schema. */
#include "admin/admin-private.h"

#include "base/clock.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define DAY_US     (86400 * USEC_PER_SEC)
#define POSTGRESQL "PostgreSQL"

static void write_common(GString *out, const Request *request, GVariant *status)
{
    json_text(out, "name", "pesitd");
    json_text(out, "version", value_text(status, "version"));
    json_text(out, "node", value_text(status, "node"));
    json_text(out, "state", value_text(status, "state"));
    json_text(out, "database", request->admin->host.database);
    json_text(out, "clusterName", request->admin->host.schema);
    json_time(out, "startedAt", value_number(status, "started_us"));
}

/* What a client needs to know of what it talks to; the daemon's configuration is a file. */
void overview_config(Request *request)
{
    g_autoptr(GVariant) status = service_get_status(request);
    GString *out;

    if (status == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    write_common(out, request, status);
    json_text(out, "configurationFile", value_text(status, "config"));
    json_number(out, "requestsPerSecond", request->admin->host.requests_per_s);
    json_open(out, "sendDirectories", '[');
    g_rw_lock_reader_lock(&request->admin->folders_lock);
    for (guint i = 0; i < request->admin->folders->len; i++)
        json_text(out, NULL, g_ptr_array_index(request->admin->folders, i));
    g_rw_lock_reader_unlock(&request->admin->folders_lock);
    json_close(out, ']');
    json_close(out, '}');
}

void overview_system(Request *request)
{
    g_autoptr(GVariant) status = service_get_status(request);
    struct utsname system;
    guint64 available = 0, total = 0;
    GString *out;

    if (status == NULL)
        return;
    g_variant_lookup(status, "spool_available_bytes", "t", &available);
    g_variant_lookup(status, "spool_total_bytes", "t", &total);
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    write_common(out, request, status);
    if (uname(&system) == 0) {
        json_text(out, "operatingSystem", system.sysname);
        json_text(out, "kernel", system.release);
        json_text(out, "architecture", system.machine);
    }
    json_number(out, "processors", (int64_t)g_get_num_processors());
    json_number(out, "pid", value_count(status, "pid"));
    json_number(out, "uptimeSeconds",
                (clock_wall_us() - value_number(status, "started_us")) / USEC_PER_SEC);
    json_number(out, "spoolAvailableBytes", (int64_t)available);
    json_number(out, "spoolTotalBytes", (int64_t)total);
    json_close(out, '}');
}

static void write_listeners(GString *out, GVariant *status)
{
    g_autoptr(GVariant) listeners =
            g_variant_lookup_value(status, "listeners", G_VARIANT_TYPE("aa{sv}"));
    gsize total = listeners != NULL ? g_variant_n_children(listeners) : 0;
    int64_t running = 0;

    for (gsize i = 0; i < total; i++) {
        g_autoptr(GVariant) listener = g_variant_get_child_value(listeners, i);

        running += value_flag(listener, "running");
    }
    json_number(out, "listeners", (int64_t)total);
    json_number(out, "runningListeners", running);
}

static void write_today(GString *out, const GPtrArray *sums)
{
    int64_t counts[TRANSFER_CANCELLED + 1] = {0}, bytes = 0;

    for (guint i = 0; i < sums->len; i++) {
        const Transfer *sum = g_ptr_array_index(sums, i);

        counts[sum->state] += (int64_t)sum->articles;
        bytes += sum->state == TRANSFER_DONE ? (int64_t)sum->size_bytes : 0;
    }
    json_number(out, "completedToday", counts[TRANSFER_DONE]);
    json_number(out, "failedToday", counts[TRANSFER_FAILED]);
    json_number(out, "cancelledToday", counts[TRANSFER_CANCELLED]);
    json_number(out, "bytesToday", bytes);
}

void overview_dashboard(Request *request)
{
    g_autoptr(GVariant) status = service_get_status(request);
    int64_t today_us = clock_wall_us() / DAY_US * DAY_US;
    g_autoptr(StoreResult) today =
            status != NULL ? request_store(request, store_request_days(NULL, today_us)) : NULL;
    guint64 available = 0;
    GString *out;

    if (today == NULL)
        return;
    g_variant_lookup(status, "spool_available_bytes", "t", &available);
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    write_common(out, request, status);
    json_number(out, "activeTransfers", value_count(status, "running"));
    json_number(out, "queuedTransfers", value_count(status, "queued"));
    json_number(out, "waitingTransfers", value_count(status, "waiting"));
    json_number(out, "connections", value_count(status, "connections"));
    write_today(out, today->transfers);
    write_listeners(out, status);
    json_number(out, "spoolAvailableBytes", (int64_t)available);
    json_close(out, '}');
}

/* the daemons of a schema */

typedef struct {
    GVariant *status;
    StoreResult *found; /* NULL: a file is nobody else's */
    const char *us;
    unsigned running;
} Members;

static void members_clear(Members *members)
{
    if (members->status != NULL)
        g_variant_unref(members->status);
    store_result_free(members->found);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Members, members_clear)

/* False: answered. */
static bool find_members(Request *request, Members *members)
{
    members->status = service_get_status(request);
    if (members->status == NULL)
        return false;
    members->us = value_text(members->status, "node");
    members->running = 1;
    if (strcmp(request->admin->host.database, POSTGRESQL) != 0)
        return true;
    members->found = request_store(request, store_request_members());
    if (members->found == NULL)
        return false;
    members->us = value_text(members->status, "owner");
    if (members->us == NULL || members->us[0] == '\0')
        members->us = value_text(members->status, "node"); /* a schema of its own */
    members->running = 0;
    for (guint i = 0; i < members->found->records->len; i++) {
        const Record *member = g_ptr_array_index(members->found->records, i);

        members->running += strcmp(member->document, "UP") == 0;
    }
    return true;
}

static void write_member(GString *out, const char *name, const char *state, int64_t seen_us,
                         bool ours)
{
    json_open(out, NULL, '{');
    json_text(out, "nodeName", name);
    json_text(out, "status", state);
    json_time(out, "lastCommitAt", seen_us);
    json_bool(out, "self", ours);
    json_close(out, '}');
}

static void write_members(GString *out, const char *key, const Members *members)
{
    json_open(out, key, '[');
    if (members->found == NULL)
        write_member(out, members->us, "UP", 0, true);
    for (guint i = 0; members->found != NULL && i < members->found->records->len; i++) {
        const Record *member = g_ptr_array_index(members->found->records, i);
        const char *name = member->id[0] != '\0' ? member->id : members->us;

        write_member(out, name, member->document, member->updated_us,
                     g_strcmp0(name, members->us) == 0);
    }
    json_close(out, ']');
}

/* Who is alone does everything. Of several each listens, sends what was given to it, and none leads. */
static void write_leader(GString *out, const Members *members)
{
    json_bool(out, "isLeader", members->running == 1);
    json_text(out, "leader", members->running == 1 ? members->us : NULL);
    json_text(out, "nodeName", members->us);
}

void overview_cluster(Request *request)
{
    g_auto(Members) members = {NULL};
    GString *out;

    if (!find_members(request, &members))
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_text(out, "clusterName", request->admin->host.schema);
    write_leader(out, &members);
    json_number(out, "memberCount", members.running);
    write_members(out, "members", &members);
    json_close(out, '}');
}

void overview_members(Request *request)
{
    g_auto(Members) members = {NULL};

    if (find_members(request, &members))
        write_members(request_answer(request, 200), NULL, &members);
}

void overview_leader(Request *request)
{
    g_auto(Members) members = {NULL};
    GString *out;

    if (!find_members(request, &members))
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    write_leader(out, &members);
    json_close(out, '}');
}

/* Each daemon has sockets of its own: those of this one that are open. */
void overview_ownership(Request *request)
{
    g_auto(Members) members = {NULL};
    g_autoptr(GVariant) listeners = NULL;
    GString *out;

    if (!find_members(request, &members))
        return;
    listeners = g_variant_lookup_value(members.status, "listeners", G_VARIANT_TYPE("aa{sv}"));
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    for (gsize i = 0; listeners != NULL && i < g_variant_n_children(listeners); i++) {
        g_autoptr(GVariant) listener = g_variant_get_child_value(listeners, i);

        if (value_flag(listener, "running"))
            json_text(out, value_text(listener, "id"), members.us);
    }
    json_close(out, '}');
}

/* backups */

/* None stays here: who asks for one gets it. */
void overview_backups(Request *request)
{
    GString *out = request_answer(request, 200);

    json_open(out, NULL, '[');
    json_close(out, ']');
}

static void answer_backup(Request *request, DoorAnswer *answer, uint64_t size)
{
    (void)request_answer(request, 200);
    request->type = "application/octet-stream";
    request->file_length = size;
    request->file_fd = answer->fds[0];
    answer->fds[0] = -1;
    request_add_header(request, "Content-Disposition", "attachment; filename=\"pesitd.backup\"");
}

static void answer_size(Request *request, uint64_t size)
{
    GString *out = request_answer(request, 200);

    json_open(out, NULL, '{');
    json_bool(out, "dryRun", true);
    json_number(out, "size", (int64_t)size);
    json_close(out, '}');
}

/* Made whole before it is given, sealed as pesitctl backup does it. */
void overview_back_up(Request *request)
{
    const char *dry = request_query(request, "dryRun");
    g_autoptr(DoorAnswer) answer = NULL;
    struct stat stat;

    if (dry != NULL && strcmp(dry, "true") != 0 && strcmp(dry, "false") != 0) {
        request_problem(request, 400, "invalid", "dryRun", "dryRun: it must be true or false");
        return;
    }
    answer = request_ask(request, "Backup", g_variant_new("()"));
    if (answer == NULL) {
        if (request->status == 403) /* not who asks is refused */
            request_problem(request, 409, "conflict", NULL,
                            "the configuration names no paths.key_file to seal a backup with");
        return;
    }
    if (answer->fd_count != 1 || fstat(answer->fds[0], &stat) != 0)
        request_problem(request, 500, "io", NULL, "the backup cannot be read");
    else if (g_strcmp0(dry, "true") == 0)
        answer_size(request, (uint64_t)stat.st_size);
    else
        answer_backup(request, answer, (uint64_t)stat.st_size);
}
