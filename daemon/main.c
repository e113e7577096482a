/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pesitd: reads its arguments and its configuration, then runs the service. Exit codes: 0 stopped in order,
 * 1 could not start, 2 wrong arguments or configuration.
 */
#include "base/log.h"
#include "daemon/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define EXIT_USAGE     2
#define DEFAULT_CONFIG "/etc/pesitfs/pesitd.conf"

typedef struct {
    char *config;
    int ready_fd;
    gboolean check;
    gboolean list_keys;
    gboolean version;
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

static int run(const char *path, Config *config, int ready_fd)
{
    g_autoptr(GError) error = NULL;
    Service *service;

    log_configure(config->log_level, config->log_format);
    (void)signal(SIGPIPE, SIG_IGN); /* a lost partner is an error of its write, not our end */
    service = service_start(path, config, ready_fd, &error);
    if (service == NULL) {
        fprintf(stderr, "pesitd: %s\n", error->message);
        return EXIT_FAILURE;
    }
    service_run(service);
    service_stop(service);
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
