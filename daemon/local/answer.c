/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer holds is let go here. */
#include "daemon/local/answer.h"

#include <unistd.h>

void door_answer_free(DoorAnswer *answer)
{
    if (answer == NULL)
        return;
    for (size_t i = 0; i < answer->fd_count; i++) {
        if (answer->fds[i] >= 0)
            (void)close(answer->fds[i]);
    }
    if (answer->value != NULL)
        g_variant_unref(answer->value);
    g_clear_error(&answer->error);
    g_free(answer);
}
