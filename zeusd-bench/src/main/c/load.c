/*
 * The load generator: one thread, the same for every daemon.
 *
 *   load [OPTIONS] MODE ADDRESS REQUEST...
 *
 * ADDRESS is /path/of/a/socket or 127.0.0.1:4938, REQUEST is such as "GET /time"; of several, each
 * connection sends them in turn. The modes:
 *   first    one request to a daemon that need not listen yet: connecting is tried anew every half
 *            millisecond
 *   serial   one keep-alive connection, one request after the other
 *   connect  the same with a new connection for each request; connecting counts
 *   paced    CONNS keep-alive connections in turn, RATE requests a second on a fixed schedule; a
 *            request's time counts from when it was due, so a daemon that stalls cannot hide what it
 *            held up
 *   many     CONNS keep-alive connections, each with one request under way at any time
 *   stream   CONNS streams of server-sent events; what is timed is the arrival of each event minus
 *            the timestamp_ms in it
 *
 *   -c CONNS    connections of paced, many and stream (1)
 *   -n COUNT    end after so many requests or events
 *   -s SECONDS  end after this time, but not without an answer
 *   -i          stream: print "ready" when each stream has had an event, and end when stdin does
 *               (one of these three must be given, but for first)
 *   -w SECONDS  stream: events of the first SECONDS are not counted (0)
 *   -z RATE     paced: requests a second (100)
 *   -H HEADER   a line of each request, such as "Authorization: Bearer x"
 *   -p PID      the daemon, whose CPU time and memory are read
 *
 * Prints one line: count, seconds, per_second, p50_us, p90_us, p99_us, max_us, bytes (of one response;
 * of a stream: per event), and with -p cpu_us (the daemon's per request or event). first prints only
 * answered_ns, when that was by CLOCK_MONOTONIC. stream adds events_per_read, and with -p rss_before_kib (before the first connection) and rss_after_kib (at the
 * end, all streams open). Anything but a 200 ends it with status 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull

struct request {
    size_t len;
    char text[8192];
};

struct conn {
    int fd, len, has_head, has_event;
    unsigned sent; /* how many requests */
    uint64_t sent_ns;
    char buf[16384];
};

static const char *mode, *address;
static int conns = 1, pid;
static long max_count;
static double max_seconds, warm_seconds, rate = 100;
static int until_stdin_ends, stdin_has_ended, awaits_start;

static struct request *requests;
static unsigned request_count;
static int response_len;

/* What was timed, in microseconds. */
static float *times;
static size_t count, capacity;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static double wall_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fail(const char *what) {
    fprintf(stderr, "load: %s %s: %s\n", mode, address, what);
    exit(1);
}

static void fail_errno(const char *what) {
    fprintf(stderr, "load: %s %s: %s: %s\n", mode, address, what, strerror(errno));
    exit(1);
}

static void add_time(double us) {
    if (count == capacity) {
        capacity = capacity ? 2 * capacity : 1 << 16;
        times = realloc(times, capacity * sizeof *times);
        if (!times)
            fail_errno("memory");
    }
    times[count++] = (float)us;
}

/* ---- The daemon's costs ---- */

/* CPU time of all threads of the daemon, those that have ended included; exact, not in ticks. */
static double daemon_cpu_us(void) {
    clockid_t clock;
    struct timespec t;
    if (!pid)
        return 0;
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
        fail("the process of -p is gone");
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static long daemon_rss_kib(void) {
    char path[64];
    long pages;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        fail("the memory of the process of -p cannot be read");
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* ---- Connections ---- */

static int dial_unix(void) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(address) >= sizeof to.sun_path)
        fail("the path is too long for a socket");
    strcpy(to.sun_path, address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    while (connect(fd, (struct sockaddr *)&to, sizeof to)) {
        int is_absent = errno == ENOENT || errno == ECONNREFUSED;
        if (errno != EAGAIN /* the daemon's backlog is full */ && !(awaits_start && is_absent))
            fail_errno("connect");
        usleep(500);
    }
    return fd;
}

static int dial_tcp(void) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    const char *colon = strrchr(address, ':');
    char host[64];
    int one = 1;
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
        fail("not an IPv4 address and port");
    to.sin_port = htons((uint16_t)atoi(colon + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to))
        fail_errno("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static int dial(void) {
    return address[0] == '/' ? dial_unix() : dial_tcp();
}

static void send_request(struct conn *c) {
    const struct request *next = &requests[c->sent++ % request_count];
    if (write(c->fd, next->text, next->len) != (ssize_t)next->len)
        fail_errno("write");
}

/* How much arrived on top of what is in the buffer; 0: nothing by now. The text stays terminated. */
static int receive(struct conn *c) {
    ssize_t got = read(c->fd, c->buf + c->len, sizeof c->buf - 1 - (size_t)c->len);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < 0)
        fail_errno("read");
    if (got == 0)
        fail(c->len == sizeof c->buf - 1 ? "a response or line is too long"
                                         : "the daemon closed the connection");
    c->len += (int)got;
    c->buf[c->len] = 0;
    return (int)got;
}

static void check_status(const struct conn *c, const char *head) {
    if (strncmp(head, "HTTP/1.1 200", 12)) {
        const char *text = requests[(c->sent - 1) % request_count].text;
        fprintf(stderr, "load: %s %s: %.*s: %.300s\n", mode, address, (int)strcspn(text, "\r"), text, head);
        exit(1);
    }
}

/* Whether the buffer holds the whole response; if so, it is taken out. */
static int take_response(struct conn *c) {
    const char *end = strstr(c->buf, "\r\n\r\n");
    if (!end)
        return 0;
    const char *length = strcasestr(c->buf, "\r\ncontent-length:");
    int total = (int)(end + 4 - c->buf) + (length && length < end ? atoi(length + 17) : 0);
    if (c->len < total)
        return 0;
    check_status(c, c->buf);
    response_len = total;
    c->len = 0;
    return 1;
}

/* ---- The modes ---- */

static uint64_t start_ns;
static double start_cpu_us;

static void start_clock(void) {
    count = 0;
    start_cpu_us = daemon_cpu_us();
    start_ns = now_ns();
}

/* Not before there is something to report. */
static int is_over(void) {
    return count
        && (stdin_has_ended || (max_count && count >= (size_t)max_count)
            || (max_seconds > 0 && now_ns() - start_ns >= (uint64_t)(max_seconds * 1e9)));
}

static int compare_times(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The percentile by nearest rank, of sorted times. */
static double percentile(double percent) {
    double rank = percent / 100 * (double)count;
    size_t index = (size_t)rank;
    return times[index > 0 && (double)index == rank ? index - 1 : index];
}

static void report(double bytes_each) {
    double seconds = (double)(now_ns() - start_ns) / 1e9;
    double cpu_us = daemon_cpu_us() - start_cpu_us;
    qsort(times, count, sizeof *times, compare_times);
    printf("count=%zu seconds=%.4f per_second=%.2f p50_us=%.2f p90_us=%.2f p99_us=%.2f max_us=%.2f"
           " bytes=%.1f", count, seconds, (double)count / seconds, percentile(50), percentile(90),
           percentile(99), times[count - 1], bytes_each);
    if (pid)
        printf(" cpu_us=%.4f", cpu_us / (double)count);
}

static void exchange(struct conn *c) {
    send_request(c);
    do {
        receive(c);
    } while (!take_response(c));
}

static void run_first(void) {
    static struct conn c;
    awaits_start = 1;
    c.fd = dial();
    exchange(&c);
    printf("answered_ns=%llu", (unsigned long long)now_ns());
}

static void run_serial(void) {
    static struct conn c;
    c.fd = dial();
    start_clock();
    while (!is_over()) {
        uint64_t t = now_ns();
        exchange(&c);
        add_time((double)(now_ns() - t) / 1e3);
    }
    report(response_len);
}

static struct conn *new_conns(void) {
    struct conn *all = calloc((size_t)conns, sizeof *all);
    if (!all)
        fail_errno("memory");
    return all;
}

static void run_connect(void) {
    static struct conn c;
    start_clock();
    while (!is_over()) {
        uint64_t t = now_ns();
        c.fd = dial();
        exchange(&c);
        add_time((double)(now_ns() - t) / 1e3);
        close(c.fd);
    }
    report(response_len);
}

static void run_paced(void) {
    struct conn *all = new_conns();
    for (int i = 0; i < conns; i++)
        all[i].fd = dial();
    start_clock();
    uint64_t period_ns = (uint64_t)(1e9 / rate), due_ns = start_ns;
    while (!is_over()) {
        due_ns += period_ns;
        struct timespec until = {(time_t)(due_ns / NS_PER_S), (long)(due_ns % NS_PER_S)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
        }
        exchange(&all[count % (size_t)conns]);
        add_time((double)(now_ns() - due_ns) / 1e3);
    }
    report(response_len);
}

/* Opens all connections, to be waited for together. */
static struct conn *dial_all(int epoll) {
    struct conn *all = new_conns();
    for (int i = 0; i < conns; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        all[i].fd = dial();
        fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    return all;
}

static void start_request(struct conn *c) {
    c->sent_ns = now_ns();
    send_request(c);
}

static void run_many(void) {
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct conn *all = dial_all(epoll);
    start_clock();
    for (int i = 0; i < conns; i++)
        start_request(&all[i]);
    while (!is_over()) {
        int ready = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < ready; i++) {
            struct conn *c = events[i].data.ptr;
            if (receive(c) && take_response(c)) {
                add_time((double)(now_ns() - c->sent_ns) / 1e3);
                start_request(c);
            }
        }
    }
    report(response_len);
}

static int streams_ready;

/* Takes the complete lines out of the buffer, and times the events among them. */
static void take_events(struct conn *c) {
    double arrival_ms = wall_ms();
    char *line = c->buf, *end;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        if (!c->has_head) {
            check_status(c, line);
            c->has_head = 1;
        }
        if (!strncmp(line, "data: ", 6)) {
            const char *stamp = strstr(line, "\"timestamp_ms\":");
            if (!stamp)
                fail("an event has no timestamp_ms");
            add_time((arrival_ms - strtod(stamp + 15, NULL)) * 1e3);
            streams_ready += !c->has_event;
            c->has_event = 1;
        }
        line = end + 1;
    }
    c->len -= (int)(line - c->buf);
    memmove(c->buf, line, (size_t)c->len + 1);
}

static void run_stream(void) {
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    long rss_before_kib = pid ? daemon_rss_kib() : 0;
    struct conn *all = dial_all(epoll);
    for (int i = 0; i < conns; i++)
        send_request(&all[i]);
    struct epoll_event stdin_event = {.events = EPOLLIN, .data.ptr = NULL};
    if (until_stdin_ends && epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &stdin_event))
        fail_errno("stdin");
    uint64_t warm_until_ns = now_ns() + (uint64_t)(warm_seconds * 1e9);
    int warm = 1;
    double bytes = 0, reads = 0;
    start_clock();
    while (warm || !is_over()) {
        if (warm && now_ns() >= warm_until_ns) {
            warm = 0;
            bytes = reads = 0;
            start_clock();
        }
        int ready = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < ready; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c) {
                char ignored[64];
                stdin_has_ended = read(STDIN_FILENO, ignored, sizeof ignored) <= 0;
                if (stdin_has_ended && !count)
                    fail("no event before the end of stdin");
                continue;
            }
            int had_all = streams_ready == conns;
            bytes += receive(c);
            reads++;
            take_events(c);
            if (until_stdin_ends && !had_all && streams_ready == conns) {
                printf("ready\n");
                fflush(stdout);
            }
        }
    }
    long rss_after_kib = pid ? daemon_rss_kib() : 0;
    report(bytes / (double)count);
    printf(" events_per_read=%.2f", (double)count / reads);
    if (pid)
        printf(" rss_before_kib=%ld rss_after_kib=%ld", rss_before_kib, rss_after_kib);
}

/* ---- The command line ---- */

static void usage(void) {
    fprintf(stderr, "load: usage: load [-c CONNS] [-n COUNT] [-s SECONDS] [-i] [-w SECONDS] [-z RATE] [-p PID]"
                    " [-H HEADER]... first|serial|connect|paced|many|stream ADDRESS REQUEST...\n");
    exit(2);
}

static void make_request(struct request *request, const char *line, const char *headers) {
    int length = snprintf(request->text, sizeof request->text, "%s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n",
                          line, strncmp(line, "POST ", 5) ? "" : "Content-Length: 0\r\n", headers);
    if (length >= (int)sizeof request->text)
        fail("a request is too long");
    request->len = (size_t)length;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"first", run_first}, {"serial", run_serial}, {"connect", run_connect},
                 {"paced", run_paced}, {"many", run_many}, {"stream", run_stream}};
    static char headers[8192];
    int option;
    size_t used = 0, chosen = 0;
    while ((option = getopt(argc, argv, "+c:n:s:iw:z:p:H:")) != -1) {
        switch (option) {
        case 'c': conns = atoi(optarg); break;
        case 'n': max_count = atol(optarg); break;
        case 's': max_seconds = atof(optarg); break;
        case 'i': until_stdin_ends = 1; break;
        case 'w': warm_seconds = atof(optarg); break;
        case 'z': rate = atof(optarg); break;
        case 'p': pid = atoi(optarg); break;
        case 'H':
            used += (size_t)snprintf(headers + used, sizeof headers - used, "%s\r\n", optarg);
            if (used >= sizeof headers)
                usage();
            break;
        default: usage();
        }
    }
    if (argc - optind < 3 || conns < 1 || rate <= 0)
        usage();
    mode = argv[optind];
    address = argv[optind + 1];
    while (chosen < sizeof modes / sizeof *modes && strcmp(mode, modes[chosen].name))
        chosen++;
    if (chosen == sizeof modes / sizeof *modes
        || (modes[chosen].run != run_first && max_count <= 0 && max_seconds <= 0 && !until_stdin_ends))
        usage();
    request_count = (unsigned)(argc - optind - 2);
    requests = calloc(request_count, sizeof *requests);
    if (!requests)
        fail_errno("memory");
    for (unsigned i = 0; i < request_count; i++)
        make_request(&requests[i], argv[optind + 2 + (int)i], headers);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    modes[chosen].run();
    printf("\n");
}
