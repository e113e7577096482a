/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes one HTTP request as it comes and writes its body to a file: prints its port, reads the head, says 100 to who
 * waits for it, writes what follows, syncs, renames, syncs the folder, answers 202. It looks for no form in the body.
 * With a certificate: behind TLS.
 * Usage: bare-upload FOLDER [CERTIFICATE KEY]
 */
#include "tests/bench/wire.h"

#include <arpa/inet.h>

#define HEAD_MAX    8192
#define PIECE_BYTES 65536u
#define CONTINUE    "HTTP/1.1 100 Continue\r\n\r\n"
#define ACCEPTED    "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"

/* Until the empty line; what is already there of the body stays behind it. Returns where the body begins. */
static size_t read_head(const Wire *wire, char *head, size_t *ret_length)
{
    const char *end = NULL;

    for (*ret_length = 0; end == NULL;) {
        size_t count = wire_receive_some(wire, head + *ret_length, HEAD_MAX - *ret_length);

        if (count == 0)
            bare_fail("the head of the request");
        *ret_length += count;
        head[*ret_length] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    return (size_t)(end - head) + 4;
}

static void receive_body(const Wire *wire, int file, size_t length)
{
    char *piece = malloc(PIECE_BYTES);

    if (piece == NULL)
        bare_fail("malloc");
    while (length > 0) {
        size_t count = wire_receive_some(wire, piece, PIECE_BYTES);

        if (count == 0)
            bare_fail("the body");
        bare_write(file, piece, count);
        length -= count;
    }
    free(piece);
}

static void serve(const Wire *wire, int folder)
{
    int file = openat(folder, "upload.tmp", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0640);
    char head[HEAD_MAX + 1];
    size_t have = 0, begin = read_head(wire, head, &have);
    const char *length = strcasestr(head, "\r\nContent-Length:");

    bare_check(file, "create");
    if (length == NULL)
        bare_fail("no Content-Length");
    if (strcasestr(head, "\r\nExpect:") != NULL)
        wire_send(wire, CONTINUE, sizeof CONTINUE - 1);
    bare_write(file, head + begin, have - begin);
    receive_body(wire, file, strtoul(length + 17, NULL, 10) - (have - begin));
    bare_check(fsync(file), "fsync");
    bare_check(renameat(folder, "upload.tmp", folder, "upload"), "rename");
    bare_check(fsync(folder), "fsync of the folder");
    wire_send(wire, ACCEPTED, sizeof ACCEPTED - 1);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    Wire wire = {.fd = -1};

    if (argc != 2 && argc != 4)
        bare_fail("usage: bare-upload FOLDER [CERTIFICATE KEY]");
    bare_check(listener, "socket");
    bare_check(bind(listener, (struct sockaddr *)&address, length), "bind");
    bare_check(listen(listener, 1), "listen");
    bare_check(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    wire.fd = accept(listener, NULL, NULL);
    bare_check(wire.fd, "accept");
    if (argc == 4)
        wire_start_tls(&wire, wire_new_context(TLS_server_method(), argv + 2), 1);
    serve(&wire, bare_open_folder(argv[1]));
    return EXIT_SUCCESS;
}
