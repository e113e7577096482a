/* SPDX-License-Identifier: Apache-2.0 */
/* Partner products as rows of switches; the reasons are in the descriptions. procedures §16, §18. */
#include "protocol/profile.h"

#include <string.h>

/* clang-format off */
static const PesitProfile PROFILES[] = {
    { .name = "standard", .framing = PESIT_FRAMING_PREFIXED, .sync_interval_kb = 4096, .sync_window = 4,
      .max_entity_bytes = 32750, .multi_article = true, .segmentation = true, .concatenation = true,
      .restart = true, .free_text_max = 254,
      .description = "the specification as written" },
    { .name = "connect-express", .framing = PESIT_FRAMING_PREFIXED, .sync_interval_kb = 32, .sync_window = 2,
      .max_entity_bytes = 32750, .multi_article = true, .segmentation = true, .concatenation = true,
      .restart = true, .free_text_max = 254,
      .description = "points every 32 KB, window 2; sends one article with the count octet set" },
    { .name = "cft", .framing = PESIT_FRAMING_PREFIXED, .preconnection = true, .sync_interval_kb = 32767,
      .sync_window = 3, .max_entity_bytes = 32750, .multi_article = true, .segmentation = true,
      .concatenation = true, .label_is_name = true, .restart = true, .free_text_max = 254,
      .description = "flow identifier in PI 12, file name in PI 37; sends a pre-connection message" },
    { .name = "waarp", .framing = PESIT_FRAMING_PREFIXED, .sync_interval_kb = 1024, .sync_window = 4,
      .max_entity_bytes = 32750, .multi_article = false, .segmentation = false, .concatenation = false,
      .restart = true, .free_text_max = 254,
      .description = "one article per entity" },
    { .name = "pesit-wizard", .framing = PESIT_FRAMING_PREFIXED, .sync_interval_kb = 0, .sync_window = 0,
      .max_entity_bytes = 32750, .multi_article = false, .segmentation = false, .concatenation = false,
      .abort_as_units = true, .restart = false, .free_text_max = 254,
      .description = "cannot parse a bare ABORT, a restart or what it does not list" },
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
