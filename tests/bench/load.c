/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many who watch: asks the administration whether it is ready, at a rate, over connections that stay open, and keeps
 * streams of events open, until the input ends. Prints READY once all is running, then answers per second, the
 * slowest answer in milliseconds, and bytes of events.
 * Usage: load PORT KEY RATE STREAMS
 */
#include "tests/bench/bare.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define ASKERS       16
#define BUFFER_BYTES 8192
#define REQUEST      "GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"

typedef struct {
    int fd;
    bool stream, busy, begun;
    double asked; /* seconds */
    size_t length;
    char answer[BUFFER_BYTES];
} Link;

static Link *links;
static int epoll_fd, link_count;
static unsigned long asked, answered, event_bytes;
static double slowest;

static void watch(Link *link, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};

    link->fd = fd;
    bare_check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static void open_link(Link *link, int port, const char *key, bool stream)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char request[512];

    bare_check(fd, "socket");
    bare_check(connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
    bare_check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "TCP_NODELAY");
    link->stream = stream;
    watch(link, fd);
    if (!stream)
        return;
    snprintf(request, sizeof request,
             "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\n\r\n", key);
    bare_write(fd, request, strlen(request));
}

static void ask(Link *link)
{
    link->busy = true;
    link->asked = bare_now();
    link->length = 0;
    asked++;
    bare_write(link->fd, REQUEST, sizeof REQUEST - 1);
}

static bool is_whole(const Link *link)
{
    const char *end = strstr(link->answer, "\r\n\r\n");
    const char *length = strcasestr(link->answer, "\r\nContent-Length:");

    return end != NULL && length != NULL &&
           link->length >= (size_t)(end + 4 - link->answer) + strtoul(length + 17, NULL, 10);
}

static void take(Link *link)
{
    ssize_t count = read(link->fd, link->answer + link->length, BUFFER_BYTES - 1 - link->length);

    if (count <= 0)
        bare_fail(link->stream ? "a stream of events ended" : "a connection ended");
    if (link->stream) {
        if (!link->begun && strncmp(link->answer, "HTTP/1.1 200", 12) != 0)
            bare_fail("a stream of events was refused");
        link->begun = true;
        event_bytes += (unsigned long)count;
        return;
    }
    link->length += (size_t)count;
    link->answer[link->length] = '\0';
    if (!is_whole(link))
        return;
    if (strncmp(link->answer, "HTTP/1.1 200", 12) != 0)
        bare_fail("it is not ready");
    if (bare_now() - link->asked > slowest)
        slowest = bare_now() - link->asked;
    link->busy = false;
    answered++;
}

static bool has_begun(void)
{
    bool begun = answered > 0;

    for (int i = ASKERS; i < link_count; i++)
        begun = begun && links[i].begun;
    return begun;
}

/* False: the input has ended. */
static bool turn(int wait_ms)
{
    struct epoll_event events[64];
    int count = epoll_wait(epoll_fd, events, 64, wait_ms);

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == NULL)
            return false;
        take(events[i].data.ptr);
    }
    return true;
}

static void ask_until(unsigned long due)
{
    for (int i = 0; i < ASKERS && asked < due; i++) {
        if (!links[i].busy)
            ask(&links[i]);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event input = {.events = EPOLLIN | EPOLLHUP};
    int rate = argc == 5 ? atoi(argv[3]) : 0;
    double start;

    if (rate < 1)
        bare_fail("usage: load PORT KEY RATE STREAMS");
    link_count = ASKERS + atoi(argv[4]);
    links = calloc((size_t)link_count, sizeof *links);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bare_check(epoll_fd, "epoll");
    for (int i = 0; i < link_count; i++)
        open_link(&links[i], atoi(argv[1]), argv[2], i >= ASKERS);
    ask(&links[0]);
    while (!has_begun())
        (void)turn(-1);
    printf("READY\n");
    fflush(stdout);
    bare_check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input), "epoll_ctl");
    asked = answered = 0;
    slowest = 0;
    start = bare_now();
    do
        ask_until((unsigned long)((bare_now() - start) * rate));
    while (turn(1));
    printf("%.0f %.3f %lu\n", (double)answered / (bare_now() - start), slowest * 1000, event_bytes);
    return EXIT_SUCCESS;
}
