/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves one file to another folder through a TCP connection on loopback, two processes, in frames of 64 KiB;
 * the receiver syncs, renames, syncs the folder, then answers one byte. With a certificate: over TLS 1.3.
 * Usage: bare-move FILE FOLDER [CERTIFICATE KEY]
 */
#include "tests/bench/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/wait.h>

#define FRAME_BYTES  65536u
#define HEADER_BYTES 4u

static void receive_file(Wire *wire, const char *folder)
{
    int folder_fd = bare_open_folder(folder);
    int fd = openat(folder_fd, "received.tmp", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0640);
    uint8_t *frame = malloc(FRAME_BYTES);
    uint32_t header;

    bare_check(fd, "create");
    if (frame == NULL)
        bare_fail("malloc");
    while (wire_receive(wire, &header, HEADER_BYTES) && ntohl(header) != 0) {
        if (!wire_receive(wire, frame, ntohl(header)))
            bare_fail("receive");
        bare_write(fd, frame, ntohl(header));
    }
    bare_check(fsync(fd), "fsync");
    bare_check(renameat(folder_fd, "received.tmp", folder_fd, "received"), "rename");
    bare_check(fsync(folder_fd), "fsync of the folder");
    wire_send(wire, "A", 1);
}

static void send_file(Wire *wire, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *frame = malloc(HEADER_BYTES + FRAME_BYTES);
    uint32_t header;
    ssize_t count;
    char answer;

    bare_check(fd, path);
    if (frame == NULL)
        bare_fail("malloc");
    do {
        count = read(fd, frame + HEADER_BYTES, FRAME_BYTES);
        bare_check((int)count, "read");
        header = htonl((uint32_t)count);
        memcpy(frame, &header, HEADER_BYTES);
        wire_send(wire, frame, HEADER_BYTES + (size_t)count);
    } while (count > 0);
    if (!wire_receive(wire, &answer, 1))
        bare_fail("no answer");
}

static int listen_somewhere(struct sockaddr_in *ret_address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof *ret_address;

    memset(ret_address, 0, sizeof *ret_address);
    ret_address->sin_family = AF_INET;
    ret_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bare_check(fd, "socket");
    bare_check(bind(fd, (struct sockaddr *)ret_address, sizeof *ret_address), "bind");
    bare_check(listen(fd, 1), "listen");
    bare_check(getsockname(fd, (struct sockaddr *)ret_address, &length), "getsockname");
    return fd;
}

static void serve(int listener, SSL_CTX *context, const char *folder)
{
    Wire wire = {.fd = accept(listener, NULL, NULL)};

    bare_check(wire.fd, "accept");
    if (context != NULL)
        wire_start_tls(&wire, context, 1);
    receive_file(&wire, folder);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    int listener = listen_somewhere(&address), status = 0, one = 1;
    Wire wire = {.fd = -1};
    double start;
    pid_t child;

    if (argc != 3 && argc != 5)
        bare_fail("usage: bare-move FILE FOLDER [CERTIFICATE KEY]");
    child = fork();
    bare_check(child, "fork");
    if (child == 0) {
        serve(listener, argc == 5 ? wire_new_context(TLS_server_method(), argv + 3) : NULL,
              argv[2]);
        return EXIT_SUCCESS;
    }
    start = bare_now();
    wire.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bare_check(connect(wire.fd, (struct sockaddr *)&address, sizeof address), "connect");
    bare_check(setsockopt(wire.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "no delay");
    if (argc == 5)
        wire_start_tls(&wire, wire_new_context(TLS_client_method(), NULL), 0);
    send_file(&wire, argv[1]);
    printf("%.6f\n", bare_now() - start);
    if (waitpid(child, &status, 0) != child || status != 0)
        bare_fail("receiver");
    return EXIT_SUCCESS;
}
