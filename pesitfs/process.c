/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc tells of the process that closes a file. The kernel closes the files of a process that dies, and a shell
 * closes the copies of a descriptor that it made for a command: neither is the application's close.
 */
#include "pesitfs/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 64
#define LINK_BYTES 4096
#define TEXT_BYTES 4096
#define PF_SIGNALED_BIT                                                                            \
    0x400 /* of flags: some signal ended this thread, if only its group's orderly end */
#define FIELD_STATE     3 /* in /proc/PID/stat, the first after the name's parenthesis */
#define FIELD_FLAGS     9
#define FIELD_EXIT_CODE 52
#define SIGNAL_MASK     0x7F

/* The kernel makes such a file at the first read, whole when there is room. False: nothing can be read. */
static bool read_process(pid_t pid, const char *file, char text[TEXT_BYTES])
{
    char path[PATH_BYTES];
    ssize_t length;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file); /* fits */
    fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return false;
    length = read(fd, text, TEXT_BYTES - 1);
    (void)close(fd);
    text[MAX(length, 0)] = '\0';
    return length > 0;
}

pid_t process_group(pid_t pid)
{
    char status[TEXT_BYTES];
    const char *line = read_process(pid, "status", status) ? strstr(status, "\nTgid:") : NULL;

    return line != NULL ? (pid_t)g_ascii_strtoll(line + strlen("\nTgid:"), NULL, 10) : 0;
}

/* at: the parenthesis after the name. */
static uint64_t read_field(const char *at, unsigned wanted)
{
    for (unsigned field = FIELD_STATE; at != NULL && field <= wanted; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? g_ascii_strtoull(at + 1, NULL, 10) : 0;
}

bool process_is_killed(pid_t pid)
{
    char stat[TEXT_BYTES];
    const char *name_end = read_process(pid, "stat", stat) ? strrchr(stat, ')') : NULL;

    if (name_end == NULL || (read_field(name_end, FIELD_FLAGS) & PF_SIGNALED_BIT) == 0)
        return false;
    /* the code is shown to root and to the same user only; unknown counts as killed */
    return (read_field(name_end, FIELD_EXIT_CODE) & SIGNAL_MASK) != 0 || geteuid() != 0;
}

static bool is_named(const char *target, size_t length, const char *name)
{
    size_t name_length = strlen(name);

    return length > name_length && target[length - name_length - 1] == '/' &&
           memcmp(target + length - name_length, name, name_length) == 0;
}

static bool has_inode(pid_t group, const char *fd, const uint64_t inodes[2])
{
    g_autofree char *file = g_strconcat("fdinfo/", fd, NULL);
    char info[TEXT_BYTES];
    const char *line = read_process(group, file, info) ? strstr(info, "\nino:") : NULL;
    uint64_t inode = line != NULL ? g_ascii_strtoull(line + strlen("\nino:"), NULL, 10) : 0;

    return line != NULL && (inode == inodes[0] || inode == inodes[1]);
}

bool process_has_open(pid_t group, const char *name, const uint64_t inodes[2])
{
    char path[PATH_BYTES], target[LINK_BYTES];
    bool found = false;
    DIR *folder;

    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)group); /* fits */
    folder = group > 0 ? opendir(path) : NULL;
    if (folder == NULL)
        return false;
    for (const struct dirent *entry = readdir(folder); entry != NULL && !found;
         entry = readdir(folder)) {
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target);

        found = length > 0 && is_named(target, (size_t)length, name) &&
                has_inode(group, entry->d_name, inodes);
    }
    (void)closedir(folder);
    return found;
}
