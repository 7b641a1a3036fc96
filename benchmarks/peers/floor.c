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

enum { FILES = 1 << 16, BATCH = 512, SHORT_FRAME = 125 };
enum kind { REQUEST, WEBSOCKET, SSE };
enum producer { MESSAGE, STATUS, PRODUCERS };

/* When a connection gets its next message of a producer, and its neighbours in the order of that. */
struct tick {
    double due; /* seconds; 0 while it is in no queue */
    int before, after;
};

struct connection {
    enum kind kind;
    struct tick ticks[PRODUCERS];
};

/* All connections that get messages of a producer; file 0 is none. */
struct queue {
    double period;
    int first, last;
};

static struct connection connections[FILES];
static struct queue queues[PRODUCERS];
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

static void push(enum producer producer, double due, int file) {
    struct queue *queue = &queues[producer];
    connections[file].ticks[producer] = (struct tick){due, queue->last, 0};
    *(queue->last ? &connections[queue->last].ticks[producer].after : &queue->first) = file;
    queue->last = file;
}

static void take_out(enum producer producer, int file) {
    struct queue *queue = &queues[producer];
    struct tick *tick = &connections[file].ticks[producer];
    if (tick->due == 0) return;
    *(tick->before ? &connections[tick->before].ticks[producer].after : &queue->first) = tick->after;
    *(tick->after ? &connections[tick->after].ticks[producer].before : &queue->last) = tick->before;
    tick->due = 0;
}

static void arm(void) {
    double due = 0;
    for (int producer = 0; producer < PRODUCERS; producer++) {
        int first = queues[producer].first;
        double head = connections[first].ticks[producer].due;
        if (first && (due == 0 || head < due)) due = head;
    }
    struct itimerspec at = {.it_value = {(time_t)due, (long)((due - (time_t)due) * 1e9)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void serve(enum producer producer) {
    struct queue *queue = &queues[producer];
    while (queue->first) {
        int file = queue->first;
        double due = connections[file].ticks[producer].due;
        if (due > seconds(CLOCK_MONOTONIC)) return;
        int sse = connections[file].kind == SSE;
        if (producer == STATUS) {
            send_text(file, (sse ? SSE_STATUSES : WEBSOCKET_STATUSES)[rand() % 6]);
        } else {
            char text[64];
            snprintf(text, sizeof text, "%s Message %d", sse ? "SSE" : "WebSocket", rand() % 1000);
            send_text(file, text);
        }
        take_out(producer, file);
        push(producer, due + queue->period, file);
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
    queues[MESSAGE].period = 2 / speed;
    queues[STATUS].period = (websocket ? 3 : 5) / speed;
    for (int producer = 0; producer < PRODUCERS; producer++)
        push(producer, now + queues[producer].period, file);
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
    for (int producer = 0; producer < PRODUCERS; producer++) take_out(producer, file);
    connections[file].kind = REQUEST;
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
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(count > 1 ? atoi(arguments[1]) : 0)};
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
                serve(MESSAGE);
                serve(STATUS);
                arm();
            } else {
                receive(file);
            }
        }
    }
}
