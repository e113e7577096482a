/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves one file to another folder through a TCP connection on loopback, two processes, in frames of 64 KiB;
 * the receiver syncs, renames, syncs the folder, then answers one byte. With a certificate: over TLS 1.3.
 * Usage: bare-move FILE FOLDER [CERTIFICATE KEY]
 */
#include "tests/bench/bare.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define FRAME_BYTES  65536u
#define HEADER_BYTES 4u

typedef struct {
    int fd;
    SSL *tls; /* NULL: plain */
} Wire;

static void wire_send(const Wire *self, const void *bytes, size_t length)
{
    size_t done = 0;

    if (self->tls == NULL) {
        bare_write(self->fd, bytes, length);
    } else if (SSL_write_ex(self->tls, bytes, length, &done) != 1) {
        bare_fail("SSL_write_ex");
    }
}

/* False at the end of the stream. */
static int wire_receive(const Wire *self, void *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        size_t got = 0;

        if (self->tls == NULL) {
            ssize_t count = recv(self->fd, (char *)bytes + done, length - done, 0);

            bare_check((int)count, "recv");
            got = (size_t)count;
        } else if (SSL_read_ex(self->tls, (char *)bytes + done, length - done, &got) != 1) {
            got = 0;
        }
        if (got == 0)
            return 0;
        done += got;
    }
    return 1;
}

static void start_tls(Wire *self, SSL_CTX *context, int server)
{
    self->tls = SSL_new(context);
    if (self->tls == NULL || SSL_set_fd(self->tls, self->fd) != 1 ||
        (server ? SSL_accept(self->tls) : SSL_connect(self->tls)) != 1)
        bare_fail("TLS handshake");
}

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
        start_tls(&wire, context, 1);
    receive_file(&wire, folder);
}

static SSL_CTX *make_context(const SSL_METHOD *method, char **files)
{
    SSL_CTX *context = SSL_CTX_new(method);

    if (context == NULL ||
        (files != NULL && (SSL_CTX_use_certificate_chain_file(context, files[0]) != 1 ||
                           SSL_CTX_use_PrivateKey_file(context, files[1], SSL_FILETYPE_PEM) != 1)))
        bare_fail("certificate");
    return context;
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
        serve(listener, argc == 5 ? make_context(TLS_server_method(), argv + 3) : NULL, argv[2]);
        return EXIT_SUCCESS;
    }
    start = bare_now();
    wire.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bare_check(connect(wire.fd, (struct sockaddr *)&address, sizeof address), "connect");
    bare_check(setsockopt(wire.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "no delay");
    if (argc == 5)
        start_tls(&wire, make_context(TLS_client_method(), NULL), 0);
    send_file(&wire, argv[1]);
    printf("%.6f\n", bare_now() - start);
    if (waitpid(child, &status, 0) != child || status != 0)
        bare_fail("receiver");
    return EXIT_SUCCESS;
}
