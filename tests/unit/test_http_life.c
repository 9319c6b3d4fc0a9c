/* The server over time: answers from other threads, deadlines, connection limits, quiescing, stopping. */
#include "http_fixture.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rw/clock.h>

#define HOST "Host: x\r\n"

static struct reply *new_reply(void)
{
    return rw_xcalloc(1, sizeof(struct reply));
}

static void late_answers_arrive(void **state)
{
    enum { CLIENTS = 50 };
    struct fixture *fixture = fixture_start(&(struct fixture_options){0});
    RW_AUTO_FREE struct reply *reply = new_reply();
    int fds[CLIENTS];
    (void)state;
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = fixture_connect(fixture);
        fixture_send(fds[i], "GET /late HTTP/1.1\r\n" HOST "\r\n");
    }
    fixture_wait_late(fixture, CLIENTS);
    assert_int_equal(fixture_answer_late(fixture), CLIENTS);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fixture_read(fds[i], 20, reply);
        assert_int_equal(reply->status, 200);
        assert_non_null(strstr(reply->text, "\r\n\r\nlate"));
        (void)close(fds[i]);
    }
    fixture_stop(fixture, 1000);
}

static void answers_share_a_content(void **state)
{
    enum { CLIENTS = 10, LEN = 100000 };
    struct fixture *fixture = fixture_start(&(struct fixture_options){0});
    RW_AUTO_FREE struct reply *reply = new_reply();
    atomic_size_t alive = 0;
    int fds[CLIENTS];
    (void)state;
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = fixture_connect(fixture);
        fixture_send(fds[i], "GET /late HTTP/1.1\r\n" HOST "\r\n");
    }
    fixture_wait_late(fixture, CLIENTS);
    struct rw_http_content *content = rw_http_content_new(rw_xcalloc(1, LEN), LEN, &alive);
    for (unsigned i = 0; i < CLIENTS; i++) {
        rw_http_set_header(fixture->late[i], "X-Own", "yes");
        rw_http_reply_content(fixture->late[i], 200, "text/plain", content);
    }
    fixture->n_late = 0;
    assert_int_equal(alive, LEN); /* ours is one of the references; theirs may be gone already */
    rw_http_content_unref(content);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fixture_read(fds[i], 20, reply);
        assert_int_equal(reply->status, 200);
        assert_non_null(strstr(reply->text, "X-Own: yes"));
        (void)close(fds[i]);
    }
    fixture_stop(fixture, 1000);
    assert_int_equal(alive, 0);
}

/* The answer races with the suspension. */
static void answers_from_another_thread_are_never_lost(void **state)
{
    enum { ROUNDS = 500 };
    struct fixture *fixture = fixture_start(&(struct fixture_options){0});
    RW_AUTO_FD int fd = fixture_connect(fixture);
    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char text[1024] = "";
        size_t len = 0;
        fixture_send(fd, "GET /soon HTTP/1.1\r\n" HOST "\r\n");
        while (!strstr(text, "\r\n\r\nsoon")) {
            struct pollfd poller = {.fd = fd, .events = POLLIN};
            assert_int_equal(poll(&poller, 1, 5000), 1);
            ssize_t got = read(fd, text + len, sizeof(text) - 1 - len);
            assert_true(got > 0);
            len += (size_t)got;
        }
    }
    fixture_stop(fixture, 1000);
}

/* One byte at a time, so that no timeout of inactivity would ever end it. Returns after how many ms the server cut it off. */
static int64_t drip(const struct fixture *fixture, const char *head)
{
    RW_AUTO_FD int fd = fixture_connect(fixture);
    int64_t began_ms = rw_monotonic_ms();
    fixture_send(fd, head);
    while (rw_monotonic_ms() - began_ms < 5000) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        if (poll(&poller, 1, 50) > 0) {
            char byte;
            if (read(fd, &byte, 1) <= 0) {
                break;
            }
        }
        fixture_send(fd, "x");
    }
    return rw_monotonic_ms() - began_ms;
}

static void slow_requests_are_cut_off(void **state)
{
    enum { TIMEOUT_MS = 400 };
    struct fixture *fixture = fixture_start(&(struct fixture_options){.timeout_ms = TIMEOUT_MS});
    static const char *const heads[] = {
        "",
        "GET /echo/",
        "GET /echo/a HTTP/1.1\r\n" HOST "X: ",
        "POST /body HTTP/1.1\r\n" HOST "Content-Length: 900\r\n\r\n",
        "GET /echo/a HTTP/1.1\r\n" HOST "\r\n", /* the next request on the connection */
    };
    (void)state;
    for (size_t i = 0; i < RW_ARRAY_SIZE(heads); i++) {
        int64_t took_ms = drip(fixture, heads[i]);
        assert_in_range(took_ms, TIMEOUT_MS - 50, 2 * TIMEOUT_MS + 700);
    }
    fixture_stop(fixture, 1000);
}

static void slow_readers_are_cut_off(void **state)
{
    struct fixture *fixture = fixture_start(&(struct fixture_options){.timeout_ms = 400});
    RW_AUTO_FD int fd = fixture_connect(fixture);
    size_t total = 0;
    (void)state;
    fixture_send(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poller, 1, 10000), 1);
    (void)usleep(1200 * 1000); /* takes nothing: the rest of the 64 MB is still at the server */
    for (;;) {
        static char buffer[65536];
        ssize_t got = read(fd, buffer, sizeof(buffer));
        if (got <= 0) {
            break;
        }
        total += (size_t)got;
    }
    assert_true(total < 64 * 1024 * 1024);
    fixture_stop(fixture, 1000);
}

static void handlers_have_no_deadline(void **state)
{
    struct fixture *fixture = fixture_start(&(struct fixture_options){.timeout_ms = 300});
    RW_AUTO_FREE struct reply *reply = new_reply();
    RW_AUTO_FD int fd = fixture_connect(fixture);
    (void)state;
    fixture_send(fd, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    (void)usleep(1000 * 1000);
    assert_int_equal(fixture_answer_late(fixture), 1);
    fixture_read(fd, 20, reply);
    assert_int_equal(reply->status, 200);
    fixture_stop(fixture, 1000);
}

static void connections_are_limited(void **state)
{
    struct fixture *fixture = fixture_start(&(struct fixture_options){.connections_max = 2});
    RW_AUTO_FREE struct reply *reply = new_reply();
    int fds[3];
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        fds[i] = fixture_connect(fixture);
        fixture_send(fds[i], "GET /echo/a HTTP/1.1\r\n" HOST "\r\n");
        (void)usleep(50 * 1000);
    }
    for (unsigned i = 0; i < 2; i++) {
        fixture_read(fds[i], 20, reply);
        assert_int_equal(reply->status, 200);
    }
    struct pollfd third = {.fd = fds[2], .events = POLLIN};
    assert_int_equal(poll(&third, 1, 300), 0); /* waits to be accepted */
    (void)close(fds[0]);
    fixture_read(fds[2], 20, reply);
    assert_int_equal(reply->status, 200);
    (void)close(fds[1]);
    (void)close(fds[2]);
    fixture_stop(fixture, 1000);
}

static void connections_from_one_address_are_limited(void **state)
{
    struct fixture *fixture = fixture_start(&(struct fixture_options){.connections_per_ip_max = 2, .connections_max = 3});
    RW_AUTO_FREE struct reply *reply = new_reply();
    (void)state;
    RW_AUTO_FD int first = fixture_connect(fixture); /* takes a place, says nothing */
    RW_AUTO_FD int second = fixture_connect(fixture);
    assert_true(first >= 0);
    for (unsigned i = 0; i < 10; i++) { /* more than connections_max: refused ones do not count for ever */
        fixture_ask(fixture, "GET /echo/a HTTP/1.1\r\n" HOST "\r\n", reply);
        assert_int_equal(reply->status, 0);
        assert_true(reply->is_closed);
    }
    fixture_send(second, "GET /echo/a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    fixture_read(second, 20, reply);
    assert_int_equal(reply->status, 200);
    /* The server counts the connection until it has cleaned up, which is a moment after its last byte. */
    reply->status = 0;
    for (unsigned tries = 0; reply->status != 200 && tries < 500; tries++) {
        (void)usleep(10 * 1000);
        fixture_ask(fixture, "GET /echo/a HTTP/1.1\r\n" HOST "\r\n", reply);
    }
    assert_int_equal(reply->status, 200);
    fixture_stop(fixture, 1000);
}

static void leave_socket(const char *path)
{
    RW_AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)unlink(path);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
}

static void unix_sockets_serve_too(void **state)
{
    RW_AUTO_FREE struct reply *reply = new_reply();
    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        leave_socket("socket"); /* as a server that crashed does */
        struct fixture *fixture = fixture_start(&(struct fixture_options){.listen = "unix:socket"});
        fixture_ask(fixture, "GET /echo/unix HTTP/1.1\r\n" HOST "\r\n", reply);
        assert_int_equal(reply->status, 200);
        fixture_stop(fixture, 1000);
    }
}

static void expect_no_start(char *listen, const char *part)
{
    struct rw_config_http config = {.listen = listen, .threads = 1, .connections_max = 1, .request_timeout_ms = 1000};
    struct rw_metrics *metrics = rw_metrics_new();
    const struct rw_http_server_options options = {.config = &config, .metrics = metrics};
    struct rw_http_server *server = NULL;
    struct rw_error err = {0};
    assert_fails(rw_http_server_start(&options, &server, &err), &err, CONFIG, part);
    rw_metrics_free(metrics);
}

static void wrong_addresses_are_refused(void **state)
{
    static const char *const wrong[] = {"nonsense", "127.0.0.1:", "127.0.0.1:http", "unix:"};
    struct fixture *fixture = fixture_start(&(struct fixture_options){.listen = "unix:taken"});
    (void)state;
    expect_no_start(fixture->config.listen, "another server");
    fixture_stop(fixture, 1000);
    for (size_t i = 0; i < RW_ARRAY_SIZE(wrong); i++) {
        RW_AUTO_FREE char *listen = rw_xstrdup(wrong[i]);
        expect_no_start(listen, "");
    }
}

static void quiescing_closes_the_door(void **state)
{
    struct fixture *fixture = fixture_start(&(struct fixture_options){0});
    RW_AUTO_FREE struct reply *reply = new_reply();
    RW_AUTO_FD int open_fd = fixture_connect(fixture);
    (void)state;
    fixture_send(open_fd, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    fixture_wait_late(fixture, 1);
    rw_http_server_quiesce(fixture->server);
    (void)usleep(100 * 1000);
    uint16_t port = rw_http_server_port(fixture->server);
    RW_AUTO_FREE char *address = rw_xasprintf("127.0.0.1:%u", port);
    struct fixture *next = fixture_start(&(struct fixture_options){.listen = address}); /* the port is free again */
    fixture_stop(next, 100);
    assert_int_equal(fixture_answer_late(fixture), 1);
    fixture_read(open_fd, 100, reply);
    assert_int_equal(reply->status, 200);
    assert_non_null(strstr(reply->text, "Connection: close"));
    assert_true(reply->is_closed);
    fixture_stop(fixture, 1000);
}

static void stopping_answers_who_waits(void **state)
{
    enum { CLIENTS = 20 };
    struct fixture *fixture = fixture_start(&(struct fixture_options){0});
    RW_AUTO_FREE struct reply *reply = new_reply();
    int fds[CLIENTS];
    (void)state;
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = fixture_connect(fixture);
        fixture_send(fds[i], "GET /late HTTP/1.1\r\n" HOST "\r\n");
    }
    fixture_wait_late(fixture, CLIENTS);
    int64_t began_ms = rw_monotonic_ms();
    fixture_stop(fixture, 200); /* their owners answer only after the server is gone */
    assert_true(rw_monotonic_ms() - began_ms < 2000);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fixture_read(fds[i], 20, reply);
        assert_int_equal(reply->status, 503);
        assert_non_null(strstr(reply->text, "Retry-After: 1"));
        assert_true(reply->is_closed);
        (void)close(fds[i]);
    }
}

static void *answer_while_stopping(void *arg)
{
    struct fixture *fixture = arg;
    (void)usleep(100 * 1000);
    (void)fixture_answer_late(fixture);
    return NULL;
}

/* Owners answer at the very time at which the server answers in their place. */
static void answers_may_race_with_stopping(void **state)
{
    RW_AUTO_FREE struct reply *reply = new_reply();
    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        struct fixture *fixture = fixture_start(&(struct fixture_options){0});
        pthread_t thread;
        int fds[20];
        for (size_t i = 0; i < RW_ARRAY_SIZE(fds); i++) {
            fds[i] = fixture_connect(fixture);
            fixture_send(fds[i], "GET /late HTTP/1.1\r\n" HOST "\r\n");
        }
        fixture_wait_late(fixture, RW_ARRAY_SIZE(fds));
        assert_int_equal(pthread_create(&thread, NULL, answer_while_stopping, fixture), 0);
        rw_http_server_stop(fixture->server, 100);
        assert_int_equal(pthread_join(thread, NULL), 0);
        fixture->server = NULL;
        for (size_t i = 0; i < RW_ARRAY_SIZE(fds); i++) {
            fixture_read(fds[i], 20, reply);
            assert_true(reply->status == 200 || reply->status == 503);
            (void)close(fds[i]);
        }
        fixture_stop(fixture, 0);
    }
}

static void clients_that_leave_do_no_harm(void **state)
{
    struct fixture *fixture = fixture_start(&(struct fixture_options){0});
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        RW_AUTO_FD int fd = fixture_connect(fixture);
        fixture_send(fd, "GET /late HTTP/1.1\r\n" HOST "\r\n");
        fixture_wait_late(fixture, i + 1);
    }
    assert_int_equal(fixture_answer_late(fixture), 20);
    fixture_stop(fixture, 1000);
}

static bool leaves_within(struct rw_http_request *request, unsigned ms_max)
{
    for (unsigned ms = 0; ms < ms_max && !rw_http_client_left(request); ms++) {
        (void)usleep(1000);
    }
    return rw_http_client_left(request);
}

static void a_client_that_left_is_noticed_when_asked_for(void **state)
{
    struct fixture *fixture = fixture_start(&(struct fixture_options){0});
    int leaving = fixture_connect(fixture);
    RW_AUTO_FD int staying = fixture_connect(fixture);
    RW_AUTO_FD int talking = fixture_connect(fixture);
    (void)state;
    fixture_send(leaving, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    fixture_wait_late(fixture, 1);
    fixture_send(staying, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    fixture_wait_late(fixture, 2);
    fixture_send(talking,
                 "GET /late HTTP/1.1\r\n" HOST "\r\nGET /late HTTP/1.1\r\n" HOST "\r\n"); /* the next one is sent already */
    fixture_wait_late(fixture, 3);
    assert_false(rw_http_client_left(fixture->late[0]));
    (void)close(leaving);
    assert_true(leaves_within(fixture->late[0], 2000));
    assert_false(rw_http_client_left(fixture->late[1]));
    assert_false(rw_http_client_left(fixture->late[2]));
    assert_int_equal(fixture_answer_late(fixture), 3);
    fixture_stop(fixture, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_answers_arrive),
        cmocka_unit_test(answers_share_a_content),
        cmocka_unit_test(answers_from_another_thread_are_never_lost),
        cmocka_unit_test(slow_requests_are_cut_off),
        cmocka_unit_test(slow_readers_are_cut_off),
        cmocka_unit_test(handlers_have_no_deadline),
        cmocka_unit_test(connections_are_limited),
        cmocka_unit_test(connections_from_one_address_are_limited),
        cmocka_unit_test(unix_sockets_serve_too),
        cmocka_unit_test(wrong_addresses_are_refused),
        cmocka_unit_test(quiescing_closes_the_door),
        cmocka_unit_test(stopping_answers_who_waits),
        cmocka_unit_test(answers_may_race_with_stopping),
        cmocka_unit_test(clients_that_leave_do_no_harm),
        cmocka_unit_test(a_client_that_left_is_noticed_when_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
