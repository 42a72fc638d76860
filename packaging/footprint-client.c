/*
 * The client of packaging/footprint: light, so that what is measured is the daemon.
 *
 *   footprint-client first SOCKET
 *       Asks for /time, anew every half millisecond, until the answer is 200, and prints when that was,
 *       in ns of CLOCK_MONOTONIC.
 *   footprint-client requests SOCKET CONNECTIONS COUNT RATE TARGET...
 *       COUNT requests over that many kept connections, one thread each, the targets in turn; RATE a
 *       second in all, 0 = one after the other. Prints the latencies' median, 99th percentile and
 *       maximum, in us.
 *   footprint-client streams SOCKET COUNT TARGET
 *       Holds that many streams open and reads them. Prints "ready" once each had an event, and when
 *       stdin ends the number of events.
 *
 * Any answer but 200, and any connection that ends, is an error: one line on stderr, status 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ULL
#define BUFFER 65536

static const char *socket_path;

static void fail(const char *what) {
    fprintf(stderr, "footprint-client: %s\n", what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns) {
    struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

/* -1 if nobody listens. */
static int try_connect(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(socket_path) >= sizeof address.sun_path)
        fail("the socket's path is too long");
    strcpy(address.sun_path, socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail(strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_or_fail(void) {
    int fd = try_connect();
    if (fd < 0)
        fail("cannot connect");
    return fd;
}

static void send_request(int fd, const char *target) {
    char request[512];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    if (length >= (int)sizeof request)
        fail("the target is too long");
    if (write(fd, request, (size_t)length) != length)
        fail("cannot send a request");
}

/* Reads one answer to its end: -1 if the connection ends before, else the status. */
static int read_answer(int fd) {
    char buffer[BUFFER + 1];
    size_t have = 0, need = 0;
    while (need == 0 || have < need) {
        ssize_t n = read(fd, buffer + have, BUFFER - have);
        if (n <= 0)
            return -1;
        have += (size_t)n;
        buffer[have] = 0;
        char *end = need == 0 ? strstr(buffer, "\r\n\r\n") : NULL;
        if (end != NULL) {
            const char *length = strcasestr(buffer, "\r\nContent-Length:");
            if (length == NULL || length > end)
                fail("an answer without Content-Length");
            need = (size_t)(end + 4 - buffer) + strtoul(length + 17, NULL, 10);
            if (need > BUFFER)
                fail("an answer is too large");
        }
    }
    return strncmp(buffer, "HTTP/1.1 ", 9) == 0 ? atoi(buffer + 9) : 0;
}

static void first(void) {
    for (;;) {
        int fd = try_connect();
        if (fd >= 0) {
            send_request(fd, "/time");
            int status = read_answer(fd);
            close(fd);
            if (status == 200) {
                printf("%llu\n", (unsigned long long)now_ns());
                return;
            }
        }
        sleep_until(now_ns() + 500000);
    }
}

struct worker {
    pthread_t thread;
    char **targets;
    int target_count;
    size_t count;
    uint64_t period_ns;
    uint32_t *latencies_ns;
};

static void *work(void *argument) {
    struct worker *worker = argument;
    int fd = connect_or_fail();
    uint64_t due = now_ns();
    for (size_t i = 0; i < worker->count; i++) {
        if (worker->period_ns > 0)
            sleep_until(due += worker->period_ns);
        const char *target = worker->targets[i % (size_t)worker->target_count];
        uint64_t start = now_ns();
        send_request(fd, target);
        if (read_answer(fd) != 200)
            fail(target);
        uint64_t took = now_ns() - start;
        worker->latencies_ns[i] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
    }
    close(fd);
    return NULL;
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void requests(int connections, size_t count, uint64_t rate, char **targets, int target_count) {
    if (connections < 1 || count < (size_t)connections)
        fail("needs at least one connection, and a request for each");
    size_t each = count / (size_t)connections, total = each * (size_t)connections;
    uint32_t *latencies_ns = calloc(total, sizeof *latencies_ns);
    struct worker *workers = calloc((size_t)connections, sizeof *workers);
    if (latencies_ns == NULL || workers == NULL)
        fail("out of memory");
    for (int i = 0; i < connections; i++) {
        workers[i] = (struct worker){
            .targets = targets,
            .target_count = target_count,
            .count = each,
            .period_ns = rate == 0 ? 0 : NS_PER_S * (uint64_t)connections / rate,
            .latencies_ns = latencies_ns + (size_t)i * each,
        };
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            fail("cannot start a thread");
    }
    for (int i = 0; i < connections; i++)
        pthread_join(workers[i].thread, NULL);
    qsort(latencies_ns, total, sizeof *latencies_ns, ascending);
    printf("%.1f %.1f %.1f\n", latencies_ns[total / 2] / 1e3, latencies_ns[total - total / 100 - 1] / 1e3,
           latencies_ns[total - 1] / 1e3);
}

/* An event in the sample dialect has exactly one brace that opens. */
static size_t count_events(const char *bytes, ssize_t length) {
    size_t events = 0;
    for (ssize_t i = 0; i < length; i++)
        events += bytes[i] == '{';
    return events;
}

static void streams(int count, const char *target) {
    static char buffer[BUFFER];
    size_t *events = calloc((size_t)count, sizeof *events), total = 0;
    int epoll = epoll_create1(EPOLL_CLOEXEC), waiting = count;
    int *fds = calloc((size_t)count, sizeof *fds), *headed = calloc((size_t)count, sizeof *headed);
    if (events == NULL || fds == NULL || headed == NULL || epoll < 0)
        fail("out of memory");
    for (int i = 0; i < count; i++) {
        fds[i] = connect_or_fail();
        send_request(fds[i], target);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
    }
    struct pollfd sources[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = epoll, .events = POLLIN}};
    while (poll(sources, 2, -1) >= 0 && sources[0].revents == 0) {
        struct epoll_event ready[64];
        int n = epoll_wait(epoll, ready, 64, 0);
        for (int i = 0; i < n; i++) {
            uint32_t stream = ready[i].data.u32;
            ssize_t length = read(fds[stream], buffer, sizeof buffer);
            if (length <= 0)
                fail("a stream ended");
            if (events[stream] == 0 && headed[stream]++ == 0 && strncmp(buffer, "HTTP/1.1 200 ", 13) != 0)
                fail("a stream is refused");
            size_t more = count_events(buffer, length);
            if (events[stream] == 0 && more > 0 && --waiting == 0) {
                printf("ready\n");
                fflush(stdout);
            }
            events[stream] += more;
            total += more;
        }
    }
    printf("%zu\n", total);
}

int main(int argc, char **argv) {
    if (argc >= 3) {
        socket_path = argv[2];
        if (strcmp(argv[1], "first") == 0 && argc == 3)
            return first(), 0;
        if (strcmp(argv[1], "requests") == 0 && argc >= 7)
            return requests(atoi(argv[3]), strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10), argv + 6,
                            argc - 6),
                   0;
        if (strcmp(argv[1], "streams") == 0 && argc == 5)
            return streams(atoi(argv[3]), argv[4]), 0;
    }
    fail("usage: see the top of footprint-client.c");
}
