/* What the kernel costs: the reference's messages with epoll and timerfd, one write a tick and no more.
 *
 * No server to use: it takes a request to arrive in one piece, and all clients to ask for one speed.
 * Build: cc -O2 -o floor floor.c. Usage: floor PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 1 << 16, QUEUED = 1 << 17, BATCH = 512, SHORT_FRAME = 125 };
enum kind { REQUEST, WEBSOCKET, SSE };

struct connection {
    enum kind kind;
    unsigned opened; /* counts the connections that had this file, so that old ticks are known */
};

struct tick {
    double due;
    int file;
    unsigned opened;
};

/* Ticks of one period, in the order in which they are due. */
struct queue {
    double period;
    unsigned first, last;
    struct tick ticks[QUEUED];
};

static struct connection connections[FILES];
static struct queue messages, statuses;
static int poller, timer, highest;

static const char *WEBSOCKET_STATUSES[] = {"Real-time sync active", "WebSocket health: Excellent",
    "Low latency confirmed", "Bidirectional ready", "Connection stable", "Data stream flowing"};
static const char *SSE_STATUSES[] = {"Processing data...", "Server load: Normal",
    "Database sync completed", "Cache refreshed", "Monitoring active", "System health: Good"};

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* Write a message as a frame or as an event; what the kernel does not take at once is dropped. */
static void send_text(int file, const char *text) {
    char json[SHORT_FRAME + 1], wire[SHORT_FRAME + 16];
    int length = snprintf(json, sizeof json, "{\"message\":\"%s\",\"sentAt\":%.3f}", text,
        seconds(CLOCK_REALTIME) * 1e3);
    if (length > SHORT_FRAME) return;
    if (connections[file].kind == SSE) {
        length = snprintf(wire, sizeof wire, "data: %s\n\n", json);
    } else {
        wire[0] = (char)0x81; /* FIN and text, RFC 6455 section 5.2 */
        wire[1] = (char)length;
        memcpy(wire + 2, json, length);
        length += 2;
    }
    if (write(file, wire, length) < 0) return;
}

static void push(struct queue *queue, double due, int file) {
    queue->ticks[queue->last++ % QUEUED] = (struct tick){due, file, connections[file].opened};
}

static void arm(void) {
    double due = 0;
    struct queue *queues[] = {&messages, &statuses};
    for (int i = 0; i < 2; i++) {
        struct queue *queue = queues[i];
        if (queue->first == queue->last) continue;
        double head = queue->ticks[queue->first % QUEUED].due;
        if (due == 0 || head < due) due = head;
    }
    struct itimerspec at = {.it_value = {(time_t)due, (long)((due - (time_t)due) * 1e9)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void serve(struct queue *queue, int status) {
    while (queue->first != queue->last) {
        struct tick tick = queue->ticks[queue->first % QUEUED];
        if (tick.due > seconds(CLOCK_MONOTONIC)) return;
        queue->first++;
        struct connection *to = &connections[tick.file];
        if (to->opened != tick.opened || to->kind == REQUEST) continue;
        char text[64];
        if (status)
            send_text(tick.file, (to->kind == SSE ? SSE_STATUSES : WEBSOCKET_STATUSES)[rand() % 6]);
        else {
            snprintf(text, sizeof text, "%s Message %d", to->kind == SSE ? "SSE" : "WebSocket", rand() % 1000);
            send_text(tick.file, text);
        }
        push(queue, tick.due + queue->period, tick.file);
    }
}

static void start(int file, const char *request) {
    /* The benchmark's client has one key, and this is its answer (RFC 6455 section 4.2.2). */
    static const char upgrade[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Accept: HY1E1ZaQPHGWrTFDrAFTsd7+awA=\r\n\r\n";
    static const char stream[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        "Cache-Control: no-cache\r\n\r\n";
    int websocket = strstr(request, "Upgrade: websocket") != NULL;
    connections[file].kind = websocket ? WEBSOCKET : SSE;
    const char *head = websocket ? upgrade : stream;
    if (write(file, head, strlen(head)) < 0) return;
    send_text(file, websocket ? "WebSocket connection established" : "SSE connection established");
    if (strstr(request, "producers=")) return;
    const char *asked = strstr(request, "speed=");
    double speed = asked ? atof(asked + 6) : 1, now = seconds(CLOCK_MONOTONIC);
    messages.period = 2 / speed;
    statuses.period = (websocket ? 3 : 5) / speed;
    push(&messages, now + messages.period, file);
    push(&statuses, now + statuses.period, file);
    arm();
}

static void publish(int file, char *request) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    char *text = strstr(request, "\"message\": \"");
    if (text) {
        text += strlen("\"message\": \"");
        text[strcspn(text, "\"")] = 0;
        for (int to = 0; to <= highest; to++)
            if (connections[to].kind != REQUEST) send_text(to, text);
    }
    if (write(file, answer, strlen(answer)) < 0) return;
}

static void forget(int file) {
    connections[file].kind = REQUEST;
    connections[file].opened++;
    close(file);
}

/* Answer short masked text frames with an echo, and a closing frame with the end. */
static void echo(int file, unsigned char *data, ssize_t length) {
    for (ssize_t at = 0; at + 6 <= length;) {
        int size = data[at + 1] & 0x7f;
        unsigned char *key = data + at + 2, *body = key + 4;
        if (size > SHORT_FRAME || at + 6 + size > length) return;
        if ((data[at] & 0x0f) == 8) return forget(file);
        if ((data[at] & 0x0f) == 1) {
            char text[SHORT_FRAME + 16];
            int start = snprintf(text, sizeof text, "Echo: ");
            for (int i = 0; i < size; i++) text[start + i] = (char)(body[i] ^ key[i % 4]);
            text[start + size] = 0;
            send_text(file, text);
        }
        at += 6 + size;
    }
}

static void receive(int file) {
    static char data[1 << 16];
    ssize_t length = read(file, data, sizeof data - 1);
    if (length <= 0) return forget(file);
    data[length] = 0;
    if (connections[file].kind == WEBSOCKET)
        echo(file, (unsigned char *)data, length);
    else if (strncmp(data, "POST", 4) == 0)
        publish(file, data);
    else if (connections[file].kind == REQUEST)
        start(file, data);
}

static void watch(int file) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = file};
    epoll_ctl(poller, EPOLL_CTL_ADD, file, &event);
}

static void accept_all(int listener) {
    int file, on = 1;
    while ((file = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (file >= FILES) {
            close(file);
            continue;
        }
        if (file > highest) highest = file;
        setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(file);
    }
}

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(count > 1 ? atoi(arguments[1]) : 0),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("floor");
        return 1;
    }
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    watch(listener);
    watch(timer);
    for (;;) {
        struct epoll_event events[BATCH];
        int ready = epoll_wait(poller, events, BATCH, -1);
        for (int i = 0; i < ready; i++) {
            int file = events[i].data.fd;
            if (file == listener) {
                accept_all(listener);
            } else if (file == timer) {
                uint64_t times;
                if (read(timer, &times, sizeof times) < 0) continue;
                serve(&messages, 0);
                serve(&statuses, 1);
                arm();
            } else {
                receive(file);
            }
        }
    }
}
