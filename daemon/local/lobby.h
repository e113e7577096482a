/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where callers of the local door wait while they say who they are: D-Bus' greeting is read by a thread for each, so both
 * their number and their time are bounded. Main loop only.
 */
#pragma once

#include <gio/gio.h>

typedef struct Lobby Lobby;

/* uid: of who called, as the kernel noted it. connection: borrowed; it reads no message before it is told to. */
typedef void (*LobbyGreeted)(GDBusConnection *connection, unsigned uid, gpointer data);

/* Returns new. */
Lobby *lobby_new(LobbyGreeted on_greeted, gpointer data);
/* Who waits is sent away. */
void lobby_free(Lobby *self);
/* Takes in who has just connected. NULL, or why he is sent away. */
const char *lobby_admit(Lobby *self, GSocketConnection *stream, unsigned uid);
