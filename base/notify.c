/* SPDX-License-Identifier: Apache-2.0 */
/* The words of systemd that we need, by its own library. */
#include "base/notify.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define PATIENCE_US 10000000

void notify_manager(const char *state)
{
    /* a manager that does not hear lets its own time run out and says so */
    (void)sd_notify(false, state);
}

bool notify_store_descriptor(int fd, const char *name)
{
    g_autofree char *state = g_strconcat("FDSTORE=1\nFDNAME=", name, NULL);

    return sd_pid_notify_with_fds(0, false, state, &fd, 1) > 0 &&
           sd_notify_barrier(false, PATIENCE_US) > 0;
}

int notify_take_descriptor(const char *name)
{
    g_autofree char *state = g_strconcat("FDSTOREREMOVE=1\nFDNAME=", name, NULL);
    char **names = NULL;
    int count = sd_listen_fds_with_names(false, &names), found = -1;

    for (int i = 0; i < count; i++) {
        if (found < 0 && strcmp(names[i], name) == 0)
            found = SD_LISTEN_FDS_START + i;
        free(names[i]);
    }
    free(names);
    if (found >= 0)
        notify_manager(state);
    return found;
}
