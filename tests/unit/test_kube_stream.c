/* The watch stream: however the network cuts and joins it, the same events come out; what is no event is refused. */
#include "support.h"

#include <rw/auto.h>
#include <rw/json.h>

#include <rw/random.h>

#include "kube_stream.h"

static const char three_events[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n"
                                   "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"b\"}}}\n"
                                   "\n"
                                   "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"name\":\"c\"}}}\n";

struct seen {
    char text[256];
    int stop_after; /* 0: never */
    int count;
};

static bool note(void *arg, const struct kube_event *event)
{
    struct seen *seen = arg;
    size_t len = strlen(seen->text);
    const char *name = rw_json_string(event->object, "metadata", "name", NULL);
    (void)snprintf(seen->text + len, sizeof(seen->text) - len, "%d%s;", (int)event->type, name ? name : "?");
    return ++seen->count != seen->stop_after;
}

static int feed(struct kube_stream *stream, const char *text, size_t len, struct seen *seen, struct rw_error *err)
{
    return kube_stream_feed(stream, rw_bytes_of(text, len), note, seen, err);
}

static void cuts_anywhere(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= strlen(three_events); cut++) {
        struct kube_stream stream;
        struct seen seen = {.text = ""};
        struct rw_error err;
        kube_stream_init(&stream);
        assert_int_equal(feed(&stream, three_events, cut, &seen, &err), 0);
        assert_int_equal(feed(&stream, three_events + cut, strlen(three_events) - cut, &seen, &err), 0);
        assert_string_equal(seen.text, "0a;1b;3c;");
        kube_stream_done(&stream);
    }
}

static void comes_in_random_pieces(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct kube_stream stream;
        struct seen seen = {.text = ""};
        struct rw_error err;
        kube_stream_init(&stream);
        for (size_t at = 0; at < strlen(three_events);) {
            size_t len = 1 + rw_random_below(40);
            len = len < strlen(three_events) - at ? len : strlen(three_events) - at;
            assert_int_equal(feed(&stream, three_events + at, len, &seen, &err), 0);
            at += len;
        }
        assert_string_equal(seen.text, "0a;1b;3c;");
        kube_stream_done(&stream);
    }
}

static void stops_when_told(void **state)
{
    (void)state;
    struct kube_stream stream;
    struct seen seen = {.text = "", .stop_after = 1};
    struct rw_error err;
    kube_stream_init(&stream);
    assert_int_equal(feed(&stream, three_events, strlen(three_events), &seen, &err), 0);
    assert_string_equal(seen.text, "0a;");
    kube_stream_done(&stream);
}

static void refuses_what_is_no_event(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"type\":\"ADDED\"}\n",
        "{\"object\":{}}\n",
        "{\"type\":\"TURNED\",\"object\":{}}\n",
        "[]\n",
        "nonsense\n",
        "{\"type\":7,\"object\":{}}\n",
        "{\"type\":\"ADDED\",\"object\":[]}\n",
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        struct kube_stream stream;
        struct seen seen = {.text = ""};
        struct rw_error err;
        kube_stream_init(&stream);
        assert_int_equal(feed(&stream, bad[i], strlen(bad[i]), &seen, &err), -1);
        assert_int_equal(err.code, RW_ERR_PROTOCOL);
        kube_stream_done(&stream);
    }
}

static void bounds_a_line(void **state)
{
    (void)state;
    struct kube_stream stream;
    struct seen seen = {.text = ""};
    struct rw_error err;
    static char block[1024 * 1024];
    memset(block, 'x', sizeof(block));
    kube_stream_init(&stream);
    int outcome = 0;
    size_t fed = 0;
    while (outcome == 0 && fed < 2 * (size_t)KUBE_OBJECT_BYTES_MAX) {
        outcome = feed(&stream, block, sizeof(block), &seen, &err);
        fed += sizeof(block);
    }
    assert_int_equal(outcome, -1);
    assert_int_equal(err.code, RW_ERR_TOO_LARGE);
    kube_stream_done(&stream);
}

static void encodes_for_queries(void **state)
{
    (void)state;
    RW_AUTO_FREE char *encoded = kube_encode("a=b,c d/\xC3\xA9-._~");
    assert_string_equal(encoded, "a%3Db%2Cc%20d%2F%C3%A9-._~");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_anywhere),   cmocka_unit_test(comes_in_random_pieces),
        cmocka_unit_test(stops_when_told), cmocka_unit_test(refuses_what_is_no_event),
        cmocka_unit_test(bounds_a_line),   cmocka_unit_test(encodes_for_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
