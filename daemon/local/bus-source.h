/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of sd-bus in the main loop of GLib. Main loop only. */
#pragma once

#include <glib.h>
#include <systemd/sd-bus.h>

/* Processes what comes in and sends what waits, some messages at a time. on_closed: called once when the connection
 * has ended, by the peer or by an error; it may destroy the source. bus: borrowed. Returns new, attached; ended by
 * g_source_destroy() and g_source_unref(). */
GSource *bus_source_new(sd_bus *bus, void (*on_closed)(gpointer data), gpointer data);
