/* See http_fixture.h. */
#include "http_fixture.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rw/clock.h>
#include <rw/daemon.h>

static void handle_echo(void *ctx, struct rw_http_request *request)
{
    (void)ctx;
    const char *query = rw_http_query(request, "q");
    RW_AUTO_FREE char *text = rw_xasprintf("%s|%s", rw_http_param(request, "name"), query ? query : "-");
    rw_http_set_header(request, "X-Good", "value");
    rw_http_set_header(request, "X-Bad", "value\r\nX-Injected: yes");
    rw_http_reply(request, 200, "text/plain", rw_bytes_of(text, strlen(text)));
}

static void handle_body(void *ctx, struct rw_http_request *request)
{
    (void)ctx;
    cJSON *json = cJSON_CreateObject();
    rw_json_add_int(json, "len", (int64_t)rw_http_body(request).len);
    rw_http_reply_json(request, 200, json);
}

static void handle_late(void *ctx, struct rw_http_request *request)
{
    struct fixture *fixture = ctx;
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->late[fixture->n_late++] = request;
    (void)pthread_mutex_unlock(&fixture->lock);
}

static void *answer_soon(void *request)
{
    rw_http_reply(request, 200, "text/plain", rw_bytes_of("soon", 4));
    return NULL;
}

static void handle_soon(void *ctx, struct rw_http_request *request)
{
    (void)ctx;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_soon, request), 0);
    assert_int_equal(pthread_detach(thread), 0);
}

static void handle_big(void *ctx, struct rw_http_request *request)
{
    enum { BIG = 64 * 1024 * 1024 };
    (void)ctx;
    RW_AUTO_FREE char *big = rw_xcalloc(1, BIG);
    rw_http_reply(request, 200, "application/octet-stream", rw_bytes_of(big, BIG));
}

static void handle_error(void *ctx, struct rw_http_request *request)
{
    struct rw_error err = {0};
    struct rw_field_errors fields = {0};
    (void)ctx;
    rw_field_errors_add(&fields, "files[2].name", "must be short");
    (void)rw_error_set(&err, RW_ERR_FIELDS, 0, __func__, "one field is wrong");
    rw_http_reply_error(request, &err, &fields);
}

static void handle_healthz(void *ctx, struct rw_http_request *request)
{
    (void)ctx;
    rw_health_reply_alive(request);
}

static const struct rw_http_route routes[] = {
    {"GET", "/echo/:name", 0, handle_echo}, {"POST", "/body", FIXTURE_BODY_MAX, handle_body},
    {"GET", "/late", 0, handle_late},       {"GET", "/soon", 0, handle_soon},
    {"GET", "/big", 0, handle_big},         {"GET", "/error", 0, handle_error},
    {"GET", "/healthz", 0, handle_healthz},
};

struct fixture *fixture_start(const struct fixture_options *options)
{
    struct fixture *fixture = rw_xcalloc(1, sizeof(*fixture));
    struct rw_error err = {0};
    fixture->config.threads = 2;
    fixture->config.connections_max = options->connections_max ? options->connections_max : 100;
    fixture->config.connections_per_ip_max = options->connections_per_ip_max;
    fixture->config.request_timeout_ms = options->timeout_ms ? options->timeout_ms : 10000;
    fixture->config.listen = rw_xstrdup(options->listen ? options->listen : "127.0.0.1:0");
    fixture->metrics = rw_metrics_new();
    assert_int_equal(pthread_mutex_init(&fixture->lock, NULL), 0);
    const struct rw_http_server_options server = {
        .config = &fixture->config,
        .routes = routes,
        .n_routes = RW_ARRAY_SIZE(routes),
        .ctx = fixture,
        .metrics = fixture->metrics,
        .bearer_token = options->token,
    };
    assert_ok(rw_http_server_start(&server, &fixture->server, &err), &err);
    return fixture;
}

void fixture_stop(struct fixture *fixture, uint32_t drain_ms)
{
    rw_http_server_stop(fixture->server, drain_ms);
    (void)fixture_answer_late(fixture);
    rw_metrics_free(fixture->metrics);
    (void)pthread_mutex_destroy(&fixture->lock);
    free(fixture->config.listen);
    free(fixture);
}

size_t fixture_answer_late(struct fixture *fixture)
{
    (void)pthread_mutex_lock(&fixture->lock);
    size_t n_late = fixture->n_late;
    for (size_t i = 0; i < n_late; i++) {
        rw_http_reply(fixture->late[i], 200, "text/plain", rw_bytes_of("late", 4));
    }
    fixture->n_late = 0;
    (void)pthread_mutex_unlock(&fixture->lock);
    return n_late;
}

void fixture_wait_late(struct fixture *fixture, size_t n)
{
    for (unsigned i = 0; i < 500; i++) {
        (void)pthread_mutex_lock(&fixture->lock);
        bool is_there = fixture->n_late >= n;
        (void)pthread_mutex_unlock(&fixture->lock);
        if (is_there) {
            return;
        }
        (void)usleep(10000);
    }
    fail_msg("%zu requests did not arrive", n);
}

int fixture_connect(const struct fixture *fixture)
{
    uint16_t port = rw_http_server_port(fixture->server);
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (port != 0) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&in4, sizeof(in4)), 0);
        return fd;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", fixture->config.listen + strlen("unix:"));
    assert_int_equal(connect(fd, (const struct sockaddr *)&un, sizeof(un)), 0);
    return fd;
}

void fixture_send(int fd, const char *text)
{
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

void fixture_read(int fd, int quiet_ms, struct reply *ret_reply)
{
    int64_t until_ms = rw_monotonic_ms() + 5000;
    memset(ret_reply, 0, sizeof(*ret_reply));
    while (rw_monotonic_ms() < until_ms && ret_reply->len < sizeof(ret_reply->text) - 1) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        int timeout_ms = ret_reply->len > 0 ? quiet_ms : (int)(until_ms - rw_monotonic_ms());
        if (poll(&poller, 1, timeout_ms) <= 0) {
            break;
        }
        ssize_t got = read(fd, ret_reply->text + ret_reply->len, sizeof(ret_reply->text) - 1 - ret_reply->len);
        if (got <= 0) {
            ret_reply->is_closed = true;
            break;
        }
        ret_reply->len += (size_t)got;
    }
    (void)sscanf(ret_reply->text, "HTTP/1.1 %d", &ret_reply->status);
}

void fixture_ask(const struct fixture *fixture, const char *request, struct reply *ret_reply)
{
    RW_AUTO_FD int fd = fixture_connect(fixture);
    fixture_send(fd, request);
    fixture_read(fd, 100, ret_reply);
}

size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}
