/* The HTTP client against a scripted server in a thread: it answers, stays silent, cuts off and closes as the path says. */
#include "support.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <rw/clock.h>
#include <rw/http_client.h>

enum { CONNECTIONS_MAX = 64, BIG_BYTES = 300000 };

/* ---- the server: one thread, poll over its connections ---- */

struct connection {
    int fd;
    unsigned number;
    size_t len;
    char request[8192];
};

struct server {
    int listener;
    uint16_t port;
    pthread_t thread;
    atomic_bool is_stopping;
    atomic_uint n_connections;
    atomic_uint n_requests;
    unsigned n_open;
    struct connection connections[CONNECTIONS_MAX];
};

static void send_text(int fd, const char *text)
{
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void send_answer(int fd, const char *status, const char *headers, const char *body)
{
    RW_AUTO_FREE char *text = rw_xasprintf("HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body), headers, body);
    send_text(fd, text);
}

static void send_big(int fd)
{
    RW_AUTO_FREE char *body = rw_xcalloc(1, BIG_BYTES + 1);
    memset(body, 'b', BIG_BYTES);
    send_answer(fd, "200 OK", "", body);
}

/* false: close the connection. */
static bool answer(struct server *server, struct connection *connection)
{
    char method[16] = "";
    char path[64] = "";
    (void)sscanf(connection->request, "%15s %63s", method, path);
    atomic_fetch_add(&server->n_requests, 1);
    const char *body = strstr(connection->request, "\r\n\r\n") + 4;
    if (strcmp(path, "/echo") == 0) {
        const char *mark = strcasestr(connection->request, "\r\nX-Mark: ");
        RW_AUTO_FREE char *text = rw_xasprintf("%s connection=%u mark=%.3s expect=%d body=%s", method, connection->number,
                                               mark ? mark + 10 : "", strcasestr(connection->request, "\r\nExpect:") != NULL, body);
        send_answer(connection->fd, "200 OK", "", strcmp(method, "HEAD") == 0 ? "" : text);
    } else if (strcmp(path, "/missing") == 0) {
        send_answer(connection->fd, "404 Not Found", "Retry-After: 7\r\n", "no");
    } else if (strcmp(path, "/redirect") == 0) {
        send_answer(connection->fd, "302 Found", "Location: /echo\r\n", "");
    } else if (strcmp(path, "/big") == 0) {
        send_big(connection->fd);
    } else if (strcmp(path, "/cut") == 0) {
        send_text(connection->fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        return false;
    }
    return true; /* "/silent": no answer */
}

static bool read_request(struct server *server, struct connection *connection)
{
    ssize_t n = recv(connection->fd, connection->request + connection->len, sizeof(connection->request) - 1 - connection->len, 0);
    if (n <= 0) {
        return false;
    }
    connection->len += (size_t)n;
    connection->request[connection->len] = '\0';
    const char *end = strstr(connection->request, "\r\n\r\n");
    const char *length = strcasestr(connection->request, "\r\nContent-Length: ");
    size_t body_len = length ? strtoul(length + 18, NULL, 10) : 0;
    if (!end || connection->len < (size_t)(end + 4 - connection->request) + body_len) {
        return true;
    }
    bool is_kept = answer(server, connection);
    connection->len = 0;
    return is_kept;
}

static void accept_one(struct server *server)
{
    int fd = accept(server->listener, NULL, NULL);
    if (fd >= 0 && server->n_open < CONNECTIONS_MAX) {
        server->connections[server->n_open++] = (struct connection){.fd = fd,
                                                                    .number = atomic_fetch_add(&server->n_connections, 1)};
    }
}

static void *serve(void *arg)
{
    struct server *server = arg;
    while (!atomic_load(&server->is_stopping)) {
        struct pollfd fds[CONNECTIONS_MAX + 1] = {{.fd = server->listener, .events = POLLIN}};
        unsigned n = server->n_open;
        for (unsigned i = 0; i < n; i++) {
            fds[i + 1] = (struct pollfd){.fd = server->connections[i].fd, .events = POLLIN};
        }
        (void)poll(fds, n + 1, 20);
        for (unsigned i = n; i-- > 0;) {
            if (fds[i + 1].revents && !read_request(server, &server->connections[i])) {
                (void)close(server->connections[i].fd);
                server->connections[i] = server->connections[--server->n_open];
            }
        }
        if (fds[0].revents) {
            accept_one(server);
        }
    }
    for (unsigned i = 0; i < server->n_open; i++) {
        (void)close(server->connections[i].fd);
    }
    return NULL;
}

static void server_start(struct server *server, const char *unix_path)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    server->listener = socket(unix_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listener >= 0);
    if (unix_path) {
        (void)snprintf(local.sun_path, sizeof(local.sun_path), "%s", unix_path);
        assert_int_equal(bind(server->listener, (struct sockaddr *)&local, sizeof(local)), 0);
    } else {
        socklen_t len = sizeof(inet);
        assert_int_equal(bind(server->listener, (struct sockaddr *)&inet, sizeof(inet)), 0);
        assert_int_equal(getsockname(server->listener, (struct sockaddr *)&inet, &len), 0);
        server->port = ntohs(inet.sin_port);
    }
    assert_int_equal(listen(server->listener, 64), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    atomic_store(&server->is_stopping, true);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
}

/* ---- the client's side ---- */

struct fixture {
    struct server server;
    uv_loop_t loop;
    struct rw_http_client *client;
    unsigned n_answers;
};

struct answered {
    struct fixture *fixture;
    unsigned n_calls;
    int status;
    uint32_t retry_after_s;
    enum rw_err code;
    size_t len;
    size_t streamed;     /* bytes given to on_data */
    size_t streamed_max; /* on_data has enough then; 0: never */
    char body[256];
    char message[RW_ERROR_MESSAGE_BYTES];
};

static int setup(void **state)
{
    struct fixture *fixture = rw_xcalloc(1, sizeof(*fixture));
    server_start(&fixture->server, NULL);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    struct rw_error err;
    assert_ok(rw_http_client_open(&fixture->loop, &fixture->client, &err), &err);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    rw_http_client_close(fixture->client);
    (void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
    int rc = uv_loop_close(&fixture->loop); /* a handle left open makes it fail */
    server_stop(&fixture->server);
    free(fixture);
    return rc;
}

static void on_answer(void *arg, const struct rw_http_answer *answer, const struct rw_error *err)
{
    struct answered *answered = arg;
    struct rw_bytes body = answer->body;
    answered->n_calls++;
    answered->status = answer->status;
    answered->retry_after_s = answer->retry_after_s;
    answered->code = err ? err->code : RW_OK;
    answered->len = body.len;
    (void)snprintf(answered->body, sizeof(answered->body), "%.*s", (int)body.len, body.data ? (const char *)body.data : "");
    (void)snprintf(answered->message, sizeof(answered->message), "%s", err ? err->message : "");
    answered->fixture->n_answers++;
}

static struct rw_http_call *call_with(struct fixture *fixture, const char *path, struct rw_http_call_options options,
                                      struct answered *answered)
{
    char url[128];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", fixture->server.port, path);
    options.url = options.url ? options.url : url;
    options.method = options.method ? options.method : "GET";
    options.timeout_ms = options.timeout_ms ? options.timeout_ms : 20000;
    options.response_bytes_max = options.response_bytes_max ? options.response_bytes_max : 1000;
    struct rw_http_call *call = NULL;
    struct rw_error err;
    *answered = (struct answered){.fixture = fixture};
    assert_ok(rw_http_client_call(fixture->client, &options, on_answer, answered, &call, &err), &err);
    assert_int_equal(answered->n_calls, 0); /* never from inside */
    return call;
}

static void run_until(struct fixture *fixture, unsigned wanted)
{
    while (fixture->n_answers < wanted) {
        (void)uv_run(&fixture->loop, UV_RUN_ONCE); /* one that never comes ends with the test's time */
    }
}

static struct answered call_and_wait(struct fixture *fixture, const char *path, struct rw_http_call_options options)
{
    struct answered answered;
    unsigned before = fixture->n_answers;
    (void)call_with(fixture, path, options, &answered);
    run_until(fixture, before + 1);
    assert_int_equal(answered.n_calls, 1);
    return answered;
}

static void bodies_and_headers_go_both_ways(void **state)
{
    static const char *const headers[] = {"X-Mark: abc", "Content-Type: application/json", NULL};
    struct answered answered = call_and_wait(
        *state, "/echo", (struct rw_http_call_options){.method = "POST", .headers = headers, .body = rw_bytes_of("{}", 2)});
    assert_int_equal(answered.code, RW_OK);
    assert_int_equal(answered.status, 200);
    assert_string_equal(answered.body, "POST connection=0 mark=abc expect=0 body={}");
    answered = call_and_wait(*state, "/echo", (struct rw_http_call_options){.method = "DELETE"});
    assert_string_equal(answered.body, "DELETE connection=0 mark= expect=0 body=");
    answered = call_and_wait(*state, "/echo", (struct rw_http_call_options){.method = "POST"});
    assert_string_equal(answered.body, "POST connection=0 mark= expect=0 body=");
    answered = call_and_wait(*state, "/missing", (struct rw_http_call_options){.method = "GET"});
    assert_int_equal(answered.code, RW_OK); /* any status is an answer */
    assert_int_equal(answered.status, 404);
    assert_string_equal(answered.body, "no");
    assert_int_equal(answered.retry_after_s, 7);
}

static void one_connection_serves_calls_in_a_row(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(call_and_wait(fixture, "/echo", (struct rw_http_call_options){.method = "GET"}).status, 200);
    }
    assert_int_equal(fixture->server.n_connections, 1);
    assert_int_equal(fixture->server.n_requests, 50);
}

static void calls_run_side_by_side(void **state)
{
    struct fixture *fixture = *state;
    struct answered answered[20];
    struct answered silent;
    (void)call_with(fixture, "/silent", (struct rw_http_call_options){.method = "GET"}, &silent);
    for (int i = 0; i < 20; i++) {
        (void)call_with(fixture, "/echo", (struct rw_http_call_options){.method = "GET"}, &answered[i]);
    }
    run_until(fixture, 20);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(answered[i].status, 200);
    }
    assert_int_equal(silent.n_calls, 0);
}

static void redirects_are_not_followed(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(call_and_wait(fixture, "/redirect", (struct rw_http_call_options){.method = "GET"}).status, 302);
    assert_int_equal(fixture->server.n_requests, 1);
}

static void a_large_answer_is_cut_off(void **state)
{
    struct answered answered = call_and_wait(*state, "/big", (struct rw_http_call_options){.response_bytes_max = BIG_BYTES - 1});
    assert_int_equal(answered.code, RW_ERR_TOO_LARGE);
    answered = call_and_wait(*state, "/big", (struct rw_http_call_options){.response_bytes_max = BIG_BYTES});
    assert_int_equal(answered.code, RW_OK);
    assert_int_equal(answered.len, BIG_BYTES);
}

static bool on_data(void *arg, struct rw_bytes data)
{
    struct answered *answered = arg;
    answered->streamed += data.len;
    return answered->streamed_max == 0 || answered->streamed < answered->streamed_max;
}

static void an_answer_may_be_read_as_it_comes(void **state)
{
    struct fixture *fixture = *state;
    struct answered answered = call_and_wait(fixture, "/big", (struct rw_http_call_options){.on_data = on_data});
    assert_int_equal(answered.code, RW_OK); /* although it is larger than what may be collected */
    assert_int_equal(answered.streamed, BIG_BYTES);
    assert_int_equal(answered.len, 0);
    answered = call_and_wait(fixture, "/missing", (struct rw_http_call_options){.on_data = on_data});
    assert_int_equal(answered.streamed, 0);
    assert_string_equal(answered.body, "no"); /* what went wrong is collected */
    unsigned before = fixture->n_answers;
    (void)call_with(fixture, "/big", (struct rw_http_call_options){.on_data = on_data}, &answered);
    answered.streamed_max = 1;
    run_until(fixture, before + 1);
    assert_int_equal(answered.code, RW_ERR_CANCELLED);
    assert_true(answered.streamed < BIG_BYTES);
}

static void an_answer_that_breaks_off_is_unknown(void **state)
{
    assert_int_equal(call_and_wait(*state, "/cut", (struct rw_http_call_options){.method = "GET"}).code, RW_ERR_IO);
}

static void silence_times_out(void **state)
{
    int64_t begin_ms = rw_monotonic_ms();
    struct answered answered = call_and_wait(*state, "/silent", (struct rw_http_call_options){.timeout_ms = 300});
    assert_int_equal(answered.code, RW_ERR_TIMEOUT);
    assert_true(rw_monotonic_ms() - begin_ms >= 290);
}

static void nobody_listening_is_unavailable(void **state)
{
    struct answered answered = call_and_wait(*state, "", (struct rw_http_call_options){.url = "http://127.0.0.1:1/"});
    assert_int_equal(answered.code, RW_ERR_UNAVAILABLE);
    assert_non_null(strstr(answered.message, "127.0.0.1:1"));
    answered = call_and_wait(*state, "", (struct rw_http_call_options){.url = "http://x/", .unix_socket = "./no-such-socket"});
    assert_int_equal(answered.code, RW_ERR_UNAVAILABLE);
}

static void other_protocols_are_refused(void **state)
{
    write_text("readable.txt", "readable");
    RW_AUTO_FREE char *path = realpath("readable.txt", NULL);
    assert_non_null(path);
    RW_AUTO_FREE char *url = rw_xasprintf("file://%s", path);
    struct answered answered = call_and_wait(*state, "", (struct rw_http_call_options){.url = url});
    assert_int_not_equal(answered.code, RW_OK);
    assert_int_equal(answered.len, 0);
}

static void the_environments_proxy_is_not_used(void **state)
{
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(call_and_wait(*state, "/echo", (struct rw_http_call_options){.method = "GET"}).status, 200);
    (void)unsetenv("http_proxy");
}

static void a_unix_socket_serves_too(void **state)
{
    static struct server local;
    local = (struct server){.listener = -1};
    (void)unlink("http-client.sock");
    server_start(&local, "http-client.sock");
    struct answered answered = call_and_wait(
        *state, "", (struct rw_http_call_options){.url = "http://pod-manager/echo", .unix_socket = "http-client.sock"});
    assert_int_equal(answered.status, 200);
    assert_int_equal(local.n_requests, 1);
    server_stop(&local);
}

static void a_cancelled_call_is_never_answered(void **state)
{
    struct fixture *fixture = *state;
    struct answered cancelled;
    struct answered other;
    struct rw_http_call *call = call_with(fixture, "/echo", (struct rw_http_call_options){.method = "GET"}, &cancelled);
    (void)call_with(fixture, "/echo", (struct rw_http_call_options){.method = "GET"}, &other);
    rw_http_call_cancel(call);
    run_until(fixture, 1);
    call = call_with(fixture, "/silent", (struct rw_http_call_options){.timeout_ms = 50}, &cancelled);
    for (int i = 0; i < 5; i++) {
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    rw_http_call_cancel(call); /* under way */
    (void)call_and_wait(fixture, "/silent", (struct rw_http_call_options){.timeout_ms = 100});
    assert_int_equal(cancelled.n_calls, 0);
    assert_int_equal(other.n_calls, 1);
}

struct chain {
    struct fixture *fixture;
    struct rw_http_call *victim;
    unsigned n_left;
};

static void next_of_chain(void *arg, const struct rw_http_answer *answer, const struct rw_error *err)
{
    struct chain *chain = arg;
    assert_null(err);
    assert_int_equal(answer->status, 200);
    rw_http_call_cancel(rw_take(chain->victim));
    if (--chain->n_left == 0) {
        rw_http_client_close(rw_take(chain->fixture->client)); /* with calls under way */
        chain->fixture->n_answers++;
        return;
    }
    char url[64];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/echo", chain->fixture->server.port);
    const struct rw_http_call_options options = {.method = "GET", .url = url, .timeout_ms = 20000, .response_bytes_max = 1000};
    assert_int_equal(rw_http_client_call(chain->fixture->client, &options, next_of_chain, chain, NULL, NULL), 0);
}

static void an_answer_may_call_cancel_and_close(void **state)
{
    struct fixture *fixture = *state;
    struct answered silent;
    struct answered pending;
    struct chain chain = {.fixture = fixture, .n_left = 20};
    chain.victim = call_with(fixture, "/silent", (struct rw_http_call_options){.method = "GET"}, &silent);
    (void)call_with(fixture, "/silent", (struct rw_http_call_options){.method = "GET"}, &pending);
    char url[64];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/echo", fixture->server.port);
    const struct rw_http_call_options options = {.method = "GET", .url = url, .timeout_ms = 20000, .response_bytes_max = 1000};
    assert_int_equal(rw_http_client_call(fixture->client, &options, next_of_chain, &chain, NULL, NULL), 0);
    run_until(fixture, 1);
    assert_int_equal(silent.n_calls, 0);
    assert_int_equal(pending.n_calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bodies_and_headers_go_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(one_connection_serves_calls_in_a_row, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_run_side_by_side, setup, teardown),
        cmocka_unit_test_setup_teardown(redirects_are_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_answer_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_may_be_read_as_it_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_that_breaks_off_is_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(silence_times_out, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_listening_is_unavailable, setup, teardown),
        cmocka_unit_test_setup_teardown(other_protocols_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_environments_proxy_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(a_unix_socket_serves_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cancelled_call_is_never_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_may_call_cancel_and_close, setup, teardown),
    };
    return cmocka_run_group_tests_name("http_client", tests, NULL, NULL);
}
