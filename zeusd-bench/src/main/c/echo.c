/*
 * The floor: a server that does nothing but answer, on the same kind of socket as a daemon.
 *
 *   echo ADDRESS BYTES
 *
 * ADDRESS is /path/of/a/socket or such as 127.0.0.1:4938. Whatever arrives, which is taken for one
 * request, is answered with one fixed response of BYTES in all. One thread, one epoll loop.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int listen_at(const char *address) {
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in port = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int is_unix = address[0] == '/', one = 1;
    int listener = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    snprintf(path.sun_path, sizeof path.sun_path, "%s", address);
    if (!is_unix)
        port.sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (is_unix ? bind(listener, (struct sockaddr *)&path, sizeof path)
                : bind(listener, (struct sockaddr *)&port, sizeof port))
        fail("echo: bind");
    if (listen(listener, 1024))
        fail("echo: listen");
    return listener;
}

/* A response of so many bytes, filled up in its body. */
static char *make_response(size_t bytes) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: %04zu\r\n\r\n";
    size_t head_len = (size_t)snprintf(NULL, 0, head, (size_t)0);
    if (bytes < head_len || bytes - head_len > 9999) {
        fprintf(stderr, "echo: a response has %zu to %zu bytes\n", head_len, head_len + 9999);
        exit(2);
    }
    char *response = malloc(bytes + 1);
    memset(response, 'x', bytes);
    snprintf(response, bytes + 1, head, bytes - head_len);
    response[head_len] = 'x'; /* where snprintf put its end */
    return response;
}

int main(int argc, char **argv) {
    if (argc != 3 || !strpbrk(argv[1], "/:")) {
        fprintf(stderr, "echo: usage: echo ADDRESS BYTES\n");
        return 2;
    }
    size_t length = (size_t)atol(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    const char *response = make_response(length);
    int listener = listen_at(argv[1]);
    int epoll = epoll_create1(0);
    struct epoll_event events[64], interest = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &interest);
    for (;;) {
        int ready = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            static char request[65536];
            int fd = events[i].data.fd, one = 1;
            if (fd == listener) {
                interest.data.fd = accept(listener, NULL, NULL);
                setsockopt(interest.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                epoll_ctl(epoll, EPOLL_CTL_ADD, interest.data.fd, &interest);
            } else if (read(fd, request, sizeof request) <= 0
                       || write(fd, response, length) != (ssize_t)length) {
                close(fd);
            }
        }
    }
}
