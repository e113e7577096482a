/* SPDX-License-Identifier: Apache-2.0 */
/* Drives deploy/quickstart/postgres.sh. */
#include "tests/unit/postgres.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct Postgres {
    char *folder;
    char *conninfo;
};

/* What the script prints. Returns new. */
static char *run_script(const Postgres *self, const char *action)
{
    g_autofree char *script =
            g_build_filename(g_getenv("SOURCE_ROOT"), "deploy", "quickstart", "postgres.sh", NULL);
    const char *const arguments[] = {script, action, self->folder, NULL};
    g_autofree char *owner = g_strdup_printf("%d", (int)getpid());
    g_auto(GStrv) environment = g_environ_setenv(g_get_environ(), "POSTGRES_OWNER", owner, TRUE);
    GError *error = NULL;
    char *output = NULL;
    int status = 0;

    g_spawn_sync(NULL, (char **)(uintptr_t)arguments, environment, G_SPAWN_DEFAULT, NULL, NULL,
                 &output, NULL, &status, &error);
    g_assert_no_error(error);
    g_assert_true(g_spawn_check_wait_status(status, &error));
    return g_strchomp(output);
}

Postgres *postgres_start(void)
{
    Postgres *self = g_new0(Postgres, 1);

    self->folder = g_dir_make_tmp("pg-XXXXXX", NULL);
    self->conninfo = run_script(self, "start");
    return self;
}

const char *postgres_conninfo(const Postgres *self)
{
    return self->conninfo;
}

void postgres_start_again(Postgres *self)
{
    g_free(run_script(self, "start"));
}

void postgres_kill(Postgres *self)
{
    g_autofree char *text = run_script(self, "pid");
    GPid pid = (GPid)strtol(text, NULL, 10);

    g_assert_cmpint(pid, >, 1);
    g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    while (kill(pid, 0) == 0) /* its children see its end and leave */
        g_usleep(1000);
}

void postgres_stop(Postgres *self)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", self->folder);

    g_free(run_script(self, "stop"));
    g_assert_cmpint(system(command), ==, 0);
    g_free(self->folder);
    g_free(self->conninfo);
    g_free(self);
}
