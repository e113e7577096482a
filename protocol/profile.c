/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partner products as rows of switches, each row with what was observed of the product. A partner of
 * another kind, or of another setting, changes single switches in the configuration. PI 23 is never
 * proposed: resynchronisation would have to be carried out when the peer asks for it.
 * procedures §16 and §18, messages §16.
 */
#include "protocol/profile.h"

#include <string.h>

/* clang-format off */
static const PesitProfile PROFILES[] = {
    {
        .name = "standard",
        .description = "the specification as written, over TCP with a length before each entity",
        .framing = PESIT_FRAMING_PREFIXED,
        .sync_interval_kb = 4096,
        .sync_window = 4,
        .max_entity_bytes = 32750,
        .multi_article = true,
        .segmentation = true,
        .concatenation = true,
        .restart = true,
        .resend_unknown = true,
        .free_text_max = 254,
    },
    {
        .name = "connect-express",
        .description = "IBM Sterling Connect:Express; its own points are every 32 KB, window 2, and it packs "
                       "articles, segments and several FPDUs into one entity",
        .framing = PESIT_FRAMING_PREFIXED,
        .sync_interval_kb = 32,
        .sync_window = 2,
        .max_entity_bytes = 32750,
        .multi_article = true,
        .segmentation = true,
        .concatenation = true,
        .restart = true,
        .free_text_max = 254,
    },
    {
        .name = "cft",
        .description = "Axway Transfer CFT; expects the 24-byte message before CONNECT, the flow in PI 12 and the "
                       "file's name in PI 37, and shows the text of PI 29",
        .framing = PESIT_FRAMING_PREFIXED,
        .preconnection = true,
        .sync_interval_kb = 32767,
        .sync_window = 3,
        .max_entity_bytes = 32750,
        .multi_article = true,
        .segmentation = true,
        .concatenation = true,
        .send_diagnostic_text = true,
        .label_is_name = true,
        .restart = true,
        .free_text_max = 254,
    },
    {
        /* nothing of it was observed: the settings that any receiver must bear */
        .name = "waarp",
        .description = "Waarp Gateway; one article in each data message and one message in each entity",
        .framing = PESIT_FRAMING_PREFIXED,
        .sync_interval_kb = 1024,
        .sync_window = 4,
        .max_entity_bytes = 32750,
        .restart = true,
        .free_text_max = 254,
    },
    {
        /* no points: each costs it 300 ms, and it takes a restart point for a byte offset. It takes the
         * mere presence of PI 7 and PI 23 for a wish, and answers window 2 and resynchronisation 1.
         * ACK(SELECT) gives back PI 13 of SELECT, also when that is 0.
         * 4096: when it sends, more than 255 short articles in one DTF would wrap its count octet */
        .name = "pesit-wizard",
        .description = "PeSIT Wizard (Java); refuses what it does not list, reads ABORT as units only, cannot "
                       "restart, takes segments for articles and answers each point after 300 ms",
        .framing = PESIT_FRAMING_PREFIXED,
        .max_entity_bytes = 4096,
        .abort_as_units = true,
        .omit_defaults = true,
        .select_names_id = true,
        .size_in_bytes = true,
        .free_text_max = 254,
    },
    {
        /* window and interval as shipped; strict about order, lengths and lists, as we send anyway */
        .name = "pesit-wizard-rs",
        .description = "PeSIT Wizard's rewrite in Rust; reads ABORT as units only, refuses unlisted "
                       "parameters and compares both counts",
        .framing = PESIT_FRAMING_PREFIXED,
        .sync_interval_kb = 1024,
        .sync_window = 4,
        .max_entity_bytes = 32750,
        .multi_article = true,
        .segmentation = true,
        .abort_as_units = true,
        .restart = true,
        .free_text_max = 254,
    },
};
/* clang-format on */

const PesitProfile *pesit_profile_at(size_t i)
{
    return i < sizeof PROFILES / sizeof *PROFILES ? &PROFILES[i] : NULL;
}

const PesitProfile *pesit_profile_find(const char *name)
{
    for (size_t i = 0; i < sizeof PROFILES / sizeof *PROFILES; i++) {
        if (strcmp(PROFILES[i].name, name) == 0)
            return &PROFILES[i];
    }
    return NULL;
}
