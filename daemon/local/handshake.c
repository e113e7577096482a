/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXTERNAL sends credentials along, which GLib refuses when the process that sent them cannot be seen from here, as
 * between two containers. ANONYMOUS serves then: the door asks the kernel who called, whatever was said. Cookies in a
 * home folder are no use to anybody.
 */
#include "daemon/local/handshake.h"

#include <string.h>

static gboolean on_mechanism(GDBusAuthObserver *observer, const char *mechanism, gpointer data)
{
    (void)observer, (void)data;
    return strcmp(mechanism, "EXTERNAL") == 0 || strcmp(mechanism, "ANONYMOUS") == 0;
}

GDBusAuthObserver *handshake_new_observer(void)
{
    GDBusAuthObserver *observer = g_dbus_auth_observer_new();

    g_signal_connect(observer, "allow-mechanism", G_CALLBACK(on_mechanism), NULL);
    return observer;
}
