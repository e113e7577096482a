/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A partner product's habits as one row of switches. Nothing in the library tests a product's name:
 * it reads these switches. Rows: standard, connect-express, cft, waarp, pesit-wizard,
 * pesit-wizard-rs.
 * procedures §16 and §18. Constant data; any thread.
 */
#pragma once

#include "protocol/types.h"

typedef struct {
    const char *name;
    PesitFraming framing;      /* as requester; servers detect */
    bool preconnection;        /* as requester: send the 24-byte message before CONNECT */
    uint16_t sync_interval_kb; /* PI 7 proposed, 0 none, 65535 undefined */
    uint8_t sync_window;
    bool resync;               /* PI 23 proposed */
    uint16_t max_entity_bytes; /* PI 25 proposed and accepted at most */
    bool multi_article;        /* may send DTF with several articles */
    bool segmentation;         /* may send DTFDA … DTFFA when an article does not fit */
    bool concatenation;        /* may put several FPDUs in one entity */
    bool strict;               /* refuse what is otherwise tolerated */
    bool abort_as_units;       /* send ABORT with PI 2 as a unit instead of three bare bytes */
    bool omit_defaults;        /* leave PI 7 and PI 23 out of CONNECT where nothing is asked */
    bool select_names_id; /* PI 13 of SELECT is ours, not 0: the product answers what it was given */
    bool send_diagnostic_text; /* PI 29 with refusals */
    bool label_is_name; /* PI 37 carries the file's name, PI 12 the flow: labels are "{name}" */
    bool size_in_bytes; /* its PI 42 counts bytes where the specification says KB */
    bool restart;       /* PI 15 = 1 may be used with this partner */
    bool resend_unknown; /* a restart it does not know (2/214) means that it does not have the file */
    uint16_t free_text_max; /* PI 99 */
    const char *description;
} PesitProfile;

/* Row by name, NULL when unknown. */
const PesitProfile *pesit_profile_find(const char *name);
/* i-th row, NULL past the end; row 0 is `standard`. */
const PesitProfile *pesit_profile_at(size_t i);
