/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hand-over between threads: a bounded-by-use queue of owned messages. The only place with locks.
 * Built on pthread mutex and condition, which ThreadSanitizer understands. A mailbox can wake a
 * sleeping thread (mailbox_wait), a poll loop (mailbox_fd) or a GLib main loop (mailbox_attach).
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Mailbox Mailbox;

/* free_message: how to free messages still inside when the mailbox goes. Returns new, one reference. */
Mailbox *mailbox_new(GDestroyNotify free_message);
/* Shared by reference count, so that a sender may outlive the receiver. Any thread. */
Mailbox *mailbox_ref(Mailbox *self);
void mailbox_unref(Mailbox *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Mailbox, mailbox_unref)

/* Puts a message in. message: taken. False when the mailbox is closed: the message was freed. Any thread. */
bool mailbox_post(Mailbox *self, gpointer message);
/* Takes the oldest message, NULL when there is none. Receiver's thread; the message is the caller's. */
gpointer mailbox_take(Mailbox *self);
/* Waits for a message until deadline_us (monotonic, INT64_MAX: for ever). NULL: time ran out, or closed. */
gpointer mailbox_wait(Mailbox *self, int64_t deadline_us);
/* Descriptor that is readable while messages are inside; for poll. Created on first use. Borrowed. */
int mailbox_fd(Mailbox *self);
/* No message is accepted from now on; wakes the receiver. */
void mailbox_close(Mailbox *self);
/* True once closed; messages may still be inside. */
bool mailbox_is_closed(Mailbox *self);

/* Calls on_message for each message in the loop of `context` (NULL: default). message: taken by it.
 * Returns the id of the source; removing it ends delivery. */
guint mailbox_attach(Mailbox *self, GMainContext *context,
                     void (*on_message)(gpointer message, gpointer data), gpointer data);

/* One answer to wait for: a message carries a Reply, the other side posts into it once. */
typedef struct Reply Reply;
Reply *reply_new(GDestroyNotify free_value);
Reply *reply_ref(Reply *self);
void reply_unref(Reply *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reply, reply_unref)
/* value: taken, may be NULL. */
void reply_post(Reply *self, gpointer value);
/* Waits. False when the time ran out: a late answer is then freed. ret_value: the caller's. */
bool reply_wait(Reply *self, int64_t deadline_us, gpointer *ret_value);
