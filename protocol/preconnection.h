/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message of 24 EBCDIC octets that may precede CONNECT, and its answer ACK0 or NAK0. It is not an FPDU and
 * decides nothing: who the partner is, CONNECT tells. messages §1.3, specification chapter 3.8.2. Private to
 * the library.
 */
#pragma once

#include "protocol/session-private.h"

/* Whether two octets may begin the message. */
bool preconnection_begins(const uint8_t *bytes);
/* Server: takes the message, with or without a length before it, and queues ACK0 alike. NEED_MORE: not whole
 * yet.  VIOLATION: a second one; the session is over. */
PesitStatus preconnection_answer(PesitSession *self, const uint8_t *bytes, size_t length,
                                 size_t *ret_taken);
/* Requester: queues the message, made of PI 3 and PI 5 of CONNECT. What is queued behind it is held until
 * preconnection_take_answer has seen ACK0. */
void preconnection_propose(PesitSession *self, const PesitFpdu *connect);
/* Requester: takes the answer. VIOLATION: NAK0, or none; the session is over and CONNECT was never sent. */
PesitStatus preconnection_take_answer(PesitSession *self, const uint8_t *bytes, size_t length,
                                      size_t *ret_taken);
