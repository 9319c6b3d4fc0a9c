/* Requests as they should be, and as they should not: routing, targets, framing, bounds, tokens. */
#include "http_fixture.h"

static struct fixture *fixture;

static int start(void **state)
{
    (void)state;
    fixture = fixture_start(&(struct fixture_options){0});
    return 0;
}

static int start_with_token(void **state)
{
    (void)state;
    fixture = fixture_start(&(struct fixture_options){.token = "sesame"});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fixture_stop(fixture, 1000);
    return 0;
}

struct exchange {
    const char *request;
    int status;
    const char *part; /* of the reply; NULL: any */
    bool is_closed;
};

static void check(const struct exchange *exchanges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct reply *reply = rw_xcalloc(1, sizeof(*reply));
        fixture_ask(fixture, exchanges[i].request, reply);
        if (reply->status != exchanges[i].status || (exchanges[i].part && !strstr(reply->text, exchanges[i].part)) ||
            reply->is_closed != exchanges[i].is_closed) {
            fail_msg("request %zu:\n%s\nreply (%s):\n%s", i, exchanges[i].request, reply->is_closed ? "closed" : "kept",
                     reply->text);
        }
        free(reply);
    }
}

#define HOST "Host: x\r\n"

static void routes_and_parameters(void **state)
{
    static const struct exchange exchanges[] = {
        {"GET /echo/abc HTTP/1.1\r\n" HOST "\r\n", 200, "\r\n\r\nabc|-", false},
        {"GET /echo/a%20b?q=1%2F2+3&z=4 HTTP/1.1\r\n" HOST "\r\n", 200, "\r\n\r\na b|1/2 3", false},
        {"GET /echo/%2e%2e HTTP/1.1\r\n" HOST "\r\n", 200, "\r\n\r\n..|-", false},
        {"HEAD /echo/abc HTTP/1.1\r\n" HOST "\r\n", 200, "Content-Length: 5", false},
        {"GET /echo/abc HTTP/1.0\r\n\r\n", 200, "abc|-", true},
        {"POST /echo/abc HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 405, "Allow: GET, HEAD", false},
        {"GET /body HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: POST", false},
        {"GET /echo HTTP/1.1\r\n" HOST "\r\n", 404, "application/problem+json", false},
        {"GET /echo/ HTTP/1.1\r\n" HOST "\r\n", 404, NULL, false},
        {"GET /echo/a/b HTTP/1.1\r\n" HOST "\r\n", 404, NULL, false},
        {"GET /echo/a/ HTTP/1.1\r\n" HOST "\r\n", 404, NULL, false},
        {"GET / HTTP/1.1\r\n" HOST "\r\n", 404, NULL, false},
        {"GET /soon HTTP/1.1\r\n" HOST "\r\n", 200, "\r\n\r\nsoon", false},
        {"GET /error HTTP/1.1\r\n" HOST "\r\n", 422, "\"errors\":[{\"field\":\"files[2].name\",\"message\":\"must be short\"}]",
         false},
        {"POST /body HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 200, "{\"len\":5}", false},
        {"POST /body HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, "{\"len\":5}",
         false},
    };
    (void)state;
    check(exchanges, RW_ARRAY_SIZE(exchanges));
}

static void strange_targets_are_refused(void **state)
{
    static const struct exchange exchanges[] = {
        {"GET /echo/a%00b HTTP/1.1\r\n" HOST "\r\n", 400, NULL, true},
        {"GET /echo/a%0Ab HTTP/1.1\r\n" HOST "\r\n", 400, NULL, true},
        {"GET /echo/a%7f HTTP/1.1\r\n" HOST "\r\n", 400, NULL, true},
        {"GET /echo/a%2Fb HTTP/1.1\r\n" HOST "\r\n", 400, NULL, true},
        {"GET /echo/a%zz HTTP/1.1\r\n" HOST "\r\n", 400, NULL, true},
        {"GET /echo/a% HTTP/1.1\r\n" HOST "\r\n", 400, NULL, true},
        {"GET /echo/a?q=%00 HTTP/1.1\r\n" HOST "\r\n", 400, NULL, true},
        {"GET /echo/\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", 400, NULL, true},
        {"GET /echo/a#b HTTP/1.1\r\n" HOST "\r\n", 400, NULL, true},
        {"GET http://x/echo/a HTTP/1.1\r\n" HOST "\r\n", 400, NULL, true},
        {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 400, NULL, true},
        {"GET /echo/a HTTP/1.1\r\n\r\n", 400, NULL, true}, /* no Host */
        {"GET /echo/a HTTP/1.1\r\n" HOST HOST "\r\n", 400, NULL, true},
    };
    (void)state;
    check(exchanges, RW_ARRAY_SIZE(exchanges));
}

/* Each carries a second request in what one reading of the framing takes for the body; it must not be served. */
static void ambiguous_framing_is_refused(void **state)
{
#define SECOND "GET /echo/second HTTP/1.1\r\n" HOST "\r\n"
    static const char *const requests[] = {
        "POST /body HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SECOND,
        "POST /body HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" SECOND,
        "POST /body HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" SECOND,
        "POST /body HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" SECOND,
        "POST /body HTTP/1.1\r\n" HOST "Content-Length : 44\r\n\r\n" SECOND,
        "POST /body HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\nContent-Length: 44\r\n\r\n" SECOND,
        "POST /body HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" SECOND,
        "POST /body HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n" SECOND,
        "POST /body HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SECOND,
        "POST /body HTTP/1.1\r\n" HOST "Content-Length: +0\r\n\r\n" SECOND,
        "POST /body HTTP/1.1\r\n" HOST "Content-Length: 0x0\r\n\r\n" SECOND,
        "POST /body HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n" SECOND,
        "GET /echo/first HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SECOND,
        "POST /body HTTP/1.1\r\n" HOST "Content-Length: 0\r\nx\x01y: z\r\n\r\n" SECOND,
    };
    (void)state;
    for (size_t i = 0; i < RW_ARRAY_SIZE(requests); i++) {
        struct reply *reply = rw_xcalloc(1, sizeof(*reply));
        fixture_ask(fixture, requests[i], reply);
        if (reply->status != 400 || !reply->is_closed || strstr(reply->text, "second|")) {
            fail_msg("request %zu:\n%s\nreply (%s):\n%s", i, requests[i], reply->is_closed ? "closed" : "kept", reply->text);
        }
        free(reply);
    }
}

static void bodies_past_the_bound_are_refused(void **state)
{
    struct reply *reply = rw_xcalloc(1, sizeof(*reply));
    RW_AUTO_FREE char *body = rw_xcalloc(1, FIXTURE_BODY_MAX + 2);
    (void)state;
    memset(body, 'x', FIXTURE_BODY_MAX + 1);

    RW_AUTO_FREE char *fits = rw_xasprintf("POST /body HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n%.1000s", body);
    fixture_ask(fixture, fits, reply);
    assert_int_equal(reply->status, 200);
    assert_non_null(strstr(reply->text, "{\"len\":1000}"));

    RW_AUTO_FREE char *announced = rw_xasprintf("POST /body HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n%s", body);
    fixture_ask(fixture, announced, reply);
    assert_int_equal(reply->status, 413);
    assert_true(reply->is_closed);
    assert_non_null(strstr(reply->text, "Connection: close"));

    RW_AUTO_FREE char *chunked = rw_xasprintf(
        "POST /body HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3e9\r\n%s\r\n0\r\n\r\n", body);
    fixture_ask(fixture, chunked, reply);
    assert_int_equal(reply->status, 413);
    assert_true(reply->is_closed);

    /* Answered before the body was sent: it is far too long, or the client asked first. */
    fixture_ask(fixture, "POST /body HTTP/1.1\r\n" HOST "Content-Length: 99999999999\r\n\r\n", reply);
    assert_int_equal(reply->status, 413);
    assert_true(reply->is_closed);
    fixture_ask(fixture, "POST /body HTTP/1.1\r\n" HOST "Content-Length: 2000\r\nExpect: 100-continue\r\n\r\n", reply);
    assert_int_equal(reply->status, 413);
    assert_true(reply->is_closed);
    fixture_ask(fixture, "GET /echo/a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", reply);
    assert_int_equal(reply->status, 413);
    free(reply);
}

static void a_connection_serves_many_requests(void **state)
{
    RW_AUTO_FD int fd = fixture_connect(fixture);
    struct reply *reply = rw_xcalloc(1, sizeof(*reply));
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        fixture_send(fd, "GET /echo/again HTTP/1.1\r\n" HOST "\r\n");
        fixture_read(fd, 50, reply);
        assert_int_equal(reply->status, 200);
    }
    fixture_send(fd, "GET /echo/a HTTP/1.1\r\n" HOST "\r\nGET /nothing HTTP/1.1\r\n" HOST "\r\nGET /soon HTTP/1.1\r\n" HOST "\r\n");
    fixture_read(fd, 100, reply);
    assert_int_equal(count_of(reply->text, "HTTP/1.1 "), 3);
    assert_non_null(strstr(reply->text, "soon"));
    free(reply);
}

static void replies_carry_the_trace_and_safe_headers(void **state)
{
    struct reply *reply = rw_xcalloc(1, sizeof(*reply));
    (void)state;
    fixture_ask(fixture,
                "GET /echo/a HTTP/1.1\r\n" HOST "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
                reply);
    assert_non_null(strstr(reply->text, "X-Request-Id: 0af7651916cd43dd8448eb211c80319c"));
    assert_non_null(strstr(reply->text, "X-Good: value"));
    assert_null(strstr(reply->text, "X-Injected"));
    fixture_ask(fixture, "GET /nothing HTTP/1.1\r\n" HOST "traceparent: rubbish\r\n\r\n", reply);
    assert_non_null(strstr(reply->text, "\"request_id\":\""));
    free(reply);
}

static void too_many_headers_are_refused(void **state)
{
    RW_AUTO_BUFFER struct rw_buffer request = {0};
    struct reply *reply = rw_xcalloc(1, sizeof(*reply));
    struct rw_error err = {0};
    (void)state;
    rw_buffer_init(&request, 65536);
    assert_ok(rw_buffer_printf(&request, &err, "GET /echo/a HTTP/1.1\r\n" HOST), &err);
    for (unsigned i = 0; i < 200; i++) {
        assert_ok(rw_buffer_printf(&request, &err, "X-%u: y\r\n", i), &err);
    }
    assert_ok(rw_buffer_append(&request, "\r\n", 3, &err), &err);
    fixture_ask(fixture, (const char *)request.data, reply);
    assert_int_equal(reply->status, 400);
    assert_true(reply->is_closed);
    free(reply);
}

static void tokens_are_asked_for(void **state)
{
    static const struct exchange exchanges[] = {
        {"GET /echo/a HTTP/1.1\r\n" HOST "\r\n", 401, "WWW-Authenticate: Bearer", false},
        {"GET /echo/a HTTP/1.1\r\n" HOST "Authorization: Bearer sesam\r\n\r\n", 401, NULL, false},
        {"GET /echo/a HTTP/1.1\r\n" HOST "Authorization: Bearer sesame2\r\n\r\n", 401, NULL, false},
        {"GET /echo/a HTTP/1.1\r\n" HOST "Authorization: Basic sesame\r\n\r\n", 401, NULL, false},
        {"GET /echo/a HTTP/1.1\r\n" HOST "Authorization: Bearer \r\n\r\n", 401, NULL, false},
        {"GET /echo/a HTTP/1.1\r\n" HOST "Authorization: bearer sesame\r\n\r\n", 200, NULL, false},
        {"GET /healthz HTTP/1.1\r\n" HOST "\r\n", 200, NULL, false},
        {"GET /nothing HTTP/1.1\r\n" HOST "\r\n", 404, NULL, false},
    };
    (void)state;
    check(exchanges, RW_ARRAY_SIZE(exchanges));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(routes_and_parameters, start, stop),
        cmocka_unit_test_setup_teardown(strange_targets_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(ambiguous_framing_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(bodies_past_the_bound_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(a_connection_serves_many_requests, start, stop),
        cmocka_unit_test_setup_teardown(replies_carry_the_trace_and_safe_headers, start, stop),
        cmocka_unit_test_setup_teardown(too_many_headers_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(tokens_are_asked_for, start_with_token, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
