/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pesitd: reads its arguments and its configuration, then runs the service. Exit codes: 0 stopped in order,
 * 1 could not start, 2 wrong arguments or configuration.
 */
#include "admin/admin.h"
#include "base/error.h"
#include "base/log.h"
#include "base/secret.h"
#include "daemon/backup.h"
#include "daemon/fleet.h"
#include "daemon/net/front.h"
#include "daemon/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXIT_USAGE     2
#define DEFAULT_CONFIG "/etc/pesitfs/pesitd.conf"
#define FIRST_KEY      "PESIT_API_KEY_ADMIN" /* beside admin.first_key, for containers */

typedef struct {
    char *config;
    int ready_fd;
    gboolean check;
    gboolean list_keys, list_routes, list_events;
    gboolean version;
    char *restore, *to, *postgres, *schema, *key_file;
} Arguments;

static bool parse_arguments(int *argc, char ***argv, Arguments *arguments, GError **error)
{
    const GOptionEntry entries[] = {
            {"config", 'c', 0, G_OPTION_ARG_FILENAME, &arguments->config,
             "Configuration (" DEFAULT_CONFIG ")", "FILE"},
            {"ready-fd", 0, 0, G_OPTION_ARG_INT, &arguments->ready_fd,
             "Write READY to this descriptor once started", "N"},
            {"check-config", 0, 0, G_OPTION_ARG_NONE, &arguments->check,
             "Check the configuration and exit", NULL},
            {"list-keys", 0, 0, G_OPTION_ARG_NONE, &arguments->list_keys,
             "Print every configuration key and exit", NULL},
            {"list-routes", 0, 0, G_OPTION_ARG_NONE, &arguments->list_routes,
             "Print every route of the administration and exit", NULL},
            {"restore", 0, 0, G_OPTION_ARG_FILENAME, &arguments->restore,
             "Restore a backup and exit", "FILE"},
            {"to", 0, 0, G_OPTION_ARG_FILENAME, &arguments->to,
             "With --restore: an empty folder for configuration and store", "FOLDER"},
            {"key-file", 0, 0, G_OPTION_ARG_FILENAME, &arguments->key_file,
             "With --restore: the key of the sealed secrets", "FILE"},
            {"postgres", 0, 0, G_OPTION_ARG_STRING, &arguments->postgres,
             "With --restore: the store goes to PostgreSQL", "CONNINFO"},
            {"schema", 0, 0, G_OPTION_ARG_STRING, &arguments->schema,
             "With --postgres: the schema there", "NAME"},
            {"list-events", 0, 0, G_OPTION_ARG_NONE, &arguments->list_events,
             "Print every event of the log and exit", NULL},
            {"version", 0, 0, G_OPTION_ARG_NONE, &arguments->version, "Print the version and exit",
             NULL},
            {NULL},
    };
    GOptionContext *context = g_option_context_new(NULL);
    bool parsed;

    g_option_context_set_summary(context,
                                 "Transfers files with PeSIT partners.\n"
                                 "SIGHUP reads the configuration again, SIGTERM drains and stops.");
    g_option_context_add_main_entries(context, entries, NULL);
    parsed = g_option_context_parse(context, argc, argv, error);
    g_option_context_free(context);
    if (parsed && *argc > 1) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "unknown argument '%s'",
                    (*argv)[1]);
        return false;
    }
    return parsed;
}

/* the administration and the service, made known to each other */

typedef struct {
    Handed *handed;
    Service *service;
    Fleet *fleet; /* NULL: clusters are records */
    Admin *admin;
    Front *front;
    char *schema, *owner; /* a reload does not change them */
} Daemon;

static bool ask_service(const char *method, GVariant *parameters, const DoorCaller *caller,
                        Reply *reply, gpointer data)
{
    return service_ask(((Daemon *)data)->service, method, parameters, caller, reply);
}

static int64_t heartbeat_us(gpointer data)
{
    return service_heartbeat_us(((Daemon *)data)->service);
}

static void each_running(AdminVisitor visit, gpointer visitor, gpointer data)
{
    service_each_running(((Daemon *)data)->service, visit, visitor);
}

static void on_change(const Transfer *transfer, bool ours, gpointer data)
{
    admin_take_change(((Daemon *)data)->admin, transfer, ours);
}

static void on_removed(const GPtrArray *transfers, gpointer data)
{
    admin_take_removal(((Daemon *)data)->admin, transfers);
}

static void on_admin_connection(int fd, const FrontCaller *caller, gpointer data)
{
    static const unsigned FAMILIES[] = {
            [ADMIN_FAMILY_ALL] = FAMILY_ALL,
            [ADMIN_FAMILY_SERVER] = FAMILY_SERVER,
            [ADMIN_FAMILY_CLIENT] = FAMILY_CLIENT,
            [ADMIN_FAMILY_ADMIN] = FAMILY_ADMIN,
    };

    admin_take_connection(((Daemon *)data)->admin, fd, FAMILIES[caller->family], caller->address,
                          caller->certificate_sha256);
}

typedef struct {
    Daemon *daemon;
    DoorCall *call;
} LocalCall;

static void on_answered(unsigned status, const char *answer, gpointer data)
{
    LocalCall *local = data;

    service_return(local->daemon->service, local->call, g_variant_new("(us)", status, answer));
    g_free(local);
}

static void administer(DoorCall *call, GVariant *parameters, gpointer data)
{
    Daemon *self = data;
    g_autofree char *actor = g_strdup_printf("uid:%u", door_call_uid(call));
    const char *method, *path, *body;
    LocalCall *local;

    g_variant_get(parameters, "(&s&s&s)", &method, &path, &body);
    local = g_new0(LocalCall, 1);
    local->daemon = self;
    local->call = call;
    admin_run(self->admin, method, path, body, actor, on_answered, local);
}

typedef struct {
    Daemon *daemon;
    char *id;
} Inquired;

static void on_inquiry_answered(unsigned status, const char *answer, gpointer data)
{
    Inquired *inquired = data;

    service_answer(inquired->daemon->service, inquired->id, status, answer);
    g_free(inquired->id);
    g_free(inquired);
}

static void inquire(const Inquiry *inquiry, gpointer data)
{
    Daemon *self = data;
    Inquired *inquired = g_new0(Inquired, 1);

    inquired->daemon = self;
    inquired->id = g_strdup(inquiry->id);
    admin_run_inquiry(self->admin, inquiry, on_inquiry_answered, inquired);
}

static void on_audited(gpointer data)
{
    LocalCall *local = data;

    service_complete(local->daemon->service, local->call);
    g_free(local);
}

static void audit(DoorCall *call, const DoorAct *act, gpointer data)
{
    Daemon *self = data;
    LocalCall *local = g_new0(LocalCall, 1);
    const AdminAct done = {act->actor, act->origin, act->method, act->what,
                           act->error != NULL ? act->error->message : NULL};

    local->daemon = self;
    local->call = call;
    admin_take_act(self->admin, &done, on_audited, local);
}

typedef struct {
    Daemon *daemon;
    char *id;
} Attended;

static void on_attended(bool moved, gpointer data)
{
    Attended *attended = data;

    service_take_schedule_back(attended->daemon->service, attended->id, moved);
    g_free(attended->id);
    g_free(attended);
}

static bool attend(const char *schedule_id, gpointer data)
{
    Daemon *self = data;
    Attended *attended = g_new0(Attended, 1);

    attended->daemon = self;
    attended->id = g_strdup(schedule_id);
    if (admin_attend_schedule(self->admin, schedule_id, on_attended, attended))
        return true;
    g_free(attended->id);
    g_free(attended);
    return false;
}

static bool renew(GError **error, gpointer data)
{
    Daemon *self = data;

    return self->front == NULL || front_renew(self->front, error);
}

static char *dup_first_key(const Config *config)
{
    const char *variable = getenv(FIRST_KEY);
    size_t length = 0;
    const char *key =
            config->admin_first_key != NULL ? secret_get(config->admin_first_key, &length) : NULL;

    return key != NULL ? g_strndup(key, length) : g_strdup(variable);
}

/* Returns new, for secret_free_text. */
static char *dup_fleet_password(const Config *config)
{
    size_t length = 0;
    const char *secret =
            config->admin_password != NULL ? secret_get(config->admin_password, &length) : NULL;

    return secret != NULL ? g_strndup(secret, length) : NULL;
}

static void reloaded(const Config *config, gpointer data)
{
    const Daemon *self = data;
    char *password = dup_fleet_password(config);

    admin_set_audit_kept(self->admin, config->audit_retention_s);
    admin_set_send_folders(self->admin, config->admin_send_directories);
    if (self->fleet != NULL)
        fleet_set_password(self->fleet, password);
    secret_free_text(password);
}

static Fleet *new_fleet(const Config *config)
{
    char *password = dup_fleet_password(config);
    Fleet *fleet =
            config->admin_conninfo != NULL ? fleet_new(config->admin_conninfo, password) : NULL;

    secret_free_text(password);
    return fleet;
}

static bool start_admin(Daemon *self, GError **error)
{
    Config *config = service_config(self->service);
    g_autofree char *first_key = dup_first_key(config);
    AdminHost host;
    ServiceHooks hooks = {on_change, on_removed, administer, renew, reloaded,
                          inquire,   audit,      attend,     self};

    self->fleet = new_fleet(config);
    host = (AdminHost){.store = service_store(self->service),
                       .ask = ask_service,
                       .heartbeat_us = heartbeat_us,
                       .each_running = each_running,
                       .data = self,
                       .first_key = first_key,
                       .fleet = self->fleet,
                       .database =
                               config->store_backend == STORE_POSTGRES ? "PostgreSQL" : "SQLite",
                       .owner = self->owner,
                       .schema = self->schema,
                       .requests_per_s = config->admin_rate_per_s,
                       .connections = config->admin_connections,
                       .connections_per_address = config->admin_connections_per_address};
    self->admin = admin_start(&host, error);
    if (self->admin == NULL)
        return false;
    admin_set_audit_kept(self->admin, config->audit_retention_s);
    admin_set_send_folders(self->admin, config->admin_send_directories);
    service_resume(self->service); /* who looks on is told of what comes after */
    service_set_hooks(self->service, &hooks);
    self->front = front_open(config, self->handed, on_admin_connection, self, error);
    return self->front != NULL;
}

static void stop_admin(Daemon *self)
{
    const ServiceHooks nobody = {NULL};

    front_stop(self->front);
    if (self->service != NULL)
        service_set_hooks(self->service, &nobody);
    admin_stop(self->admin);
    front_close(self->front);
    fleet_free(self->fleet);
}

/* Who calls there waits for nothing. */
static void tell_unused(const Handed *handed)
{
    guint position = 0;

    for (char *unused; (unused = handed_next_unused(handed, &position)) != NULL; g_free(unused))
        log_event(LOG_SOCKET_UNUSED, "SOCKET", unused, NULL);
}

static bool start(Daemon *self, const char *path, Config *config, int ready_fd, GError **error)
{
    self->service = service_start(path, config, self->handed, error);
    if (self->service == NULL || !start_admin(self, error))
        return false;
    tell_unused(self->handed);
    return service_tell_ready(self->service, ready_fd, error);
}

static int run(const char *path, Config *config, int ready_fd)
{
    g_autoptr(GError) error = NULL;
    Daemon self = {.handed = handed_take(),
                   .schema = g_strdup(config->store_schema),
                   .owner = g_strdup(config->store_owner)};
    bool started;

    log_configure(config->log_level, config->log_format);
    (void)signal(SIGPIPE, SIG_IGN); /* a lost partner is an error of its write, not our end */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* secrets are in memory: no core dump */
    started = start(&self, path, config, ready_fd, &error);
    if (started)
        service_run(self.service);
    else
        fprintf(stderr, "pesitd: %s\n", error->message);
    stop_admin(&self);
    service_stop(self.service);
    handed_free(self.handed);
    g_free(self.schema);
    g_free(self.owner);
    return started ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int restore(const Arguments *arguments)
{
    BackupTarget target = {arguments->restore, arguments->to, arguments->postgres,
                           arguments->schema, arguments->key_file};
    g_autoptr(GError) error = NULL;

    if (target.folder == NULL || target.key_file == NULL ||
        (target.conninfo != NULL) != (target.schema != NULL)) {
        fprintf(stderr, "pesitd: --restore needs --to and --key-file; --postgres and --schema go "
                        "together\n");
        return EXIT_USAGE;
    }
    if (!backup_restore(&target, &error)) {
        fprintf(stderr, "pesitd: %s\n", error->message);
        return EXIT_FAILURE;
    }
    printf("restored '%s' to '%s'\n", target.file, target.folder);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    Arguments arguments = {.ready_fd = -1};
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    Config *config;

    if (!parse_arguments(&argc, &argv, &arguments, &error)) {
        fprintf(stderr, "pesitd: %s\nTry pesitd --help.\n", error->message);
        g_free(arguments.config);
        return EXIT_USAGE;
    }
    path = arguments.config != NULL ? arguments.config : g_strdup(DEFAULT_CONFIG);
    if (arguments.version) {
        printf("pesitd %s\n", PESITFS_VERSION);
        return EXIT_SUCCESS;
    }
    if (arguments.list_keys) {
        g_autofree char *keys = config_describe_keys();

        printf("%s", keys);
        return EXIT_SUCCESS;
    }
    if (arguments.list_routes) {
        g_autofree char *routes = admin_describe_routes();

        printf("%s", routes);
        return EXIT_SUCCESS;
    }
    if (arguments.list_events) {
        g_autofree char *events = log_describe_events();

        printf("%s", events);
        return EXIT_SUCCESS;
    }
    if (arguments.restore != NULL) {
        int code = restore(&arguments);

        g_free(arguments.restore);
        g_free(arguments.to);
        g_free(arguments.postgres);
        g_free(arguments.schema);
        g_free(arguments.key_file);
        return code;
    }
    config = config_load(path, &error);
    if (config == NULL) {
        fprintf(stderr, "pesitd: %s\n", error->message);
        return EXIT_USAGE;
    }
    if (!arguments.check)
        return run(path, config, arguments.ready_fd);
    printf("%s: %u listeners, %u partners: good\n", path, config->listeners->len,
           config->partners->len);
    config_unref(config);
    return EXIT_SUCCESS;
}
