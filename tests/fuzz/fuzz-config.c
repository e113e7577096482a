/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration reader on any text: it is taken, or refused with one line that names the file; never a
 * crash, never a leak. Texts that name other files are left out: what they hold is not under test. The
 * templates of what is taken are expanded.
 */
#include "base/file.h"
#include "daemon/config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOON INT64_C(1795608000)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
const char *__lsan_default_suppressions(void);

/* libconfig's scanner keeps the text of a string that is not closed */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so";
}

static void expand(const Partner *partner)
{
    static const char *const NAMES[] = {"virement.xml", "", "..", "paie\xC3\xA9"};

    for (guint i = 0; i < partner->files->len; i++) {
        const VirtualFile *file = g_ptr_array_index(partner->files, i);

        for (size_t n = 0; n < G_N_ELEMENTS(NAMES); n++) {
            RuleContext context = {.name = NAMES[n],
                                   .partner = partner->name,
                                   .wall_s = NOON,
                                   .zone = partner->zone,
                                   .counter = 42};
            g_autofree char *value = rule_expand(file->file_name, &context, 76, NULL);

            g_autofree char *path = NULL;

            if (value != NULL && strlen(value) > 76)
                abort();
            if (value != NULL &&
                rule_find_by_wire(partner->files, file->file_type, value, NAMES[n], &context, true,
                                  &path, NULL) == NULL &&
                path != NULL)
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static int fd = -1;
    static char path[64];
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = NULL;

    if (fd < 0) {
        fd = memfd_create("config", MFD_CLOEXEC);
        (void)g_snprintf(path, sizeof path, "/proc/self/fd/%d", fd); /* fits */
    }
    if (memmem(bytes, length, "@include", 8) != NULL || memmem(bytes, length, "file:", 5) != NULL ||
        memmem(bytes, length, "key_file", 8) != NULL ||
        memmem(bytes, length, "time_zone", 9) != NULL)
        return 0;
    if (ftruncate(fd, 0) != 0 || !file_write_at(fd, bytes, length, 0, NULL))
        abort();
    config = config_load(path, &error);
    if ((config == NULL) != (error != NULL))
        abort();
    if (error != NULL && strstr(error->message, path) == NULL)
        abort(); /* whoever reads it must know which file is meant */
    for (guint i = 0; config != NULL && i < config->partners->len; i++)
        expand(g_ptr_array_index(config->partners, i));
    return 0;
}
