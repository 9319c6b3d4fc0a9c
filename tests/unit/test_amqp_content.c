/* Messages put together from frames: any split of the body, foreign headers, and frames that have no place. */
#include "support.h"

#include "amqp_internal.h"

static amqp_bytes_t text_bytes(const char *text)
{
    return amqp_cstring_bytes(text);
}

static int feed_deliver(struct amqp_content *content, const char *routing_key, uint64_t tag)
{
    amqp_basic_deliver_t deliver = {.delivery_tag = tag, .redelivered = 1, .routing_key = text_bytes(routing_key)};
    const amqp_frame_t frame = {.frame_type = AMQP_FRAME_METHOD,
                                .payload.method = {.id = AMQP_BASIC_DELIVER_METHOD, .decoded = &deliver}};
    return amqp_content_feed(content, &frame);
}

static int feed_header(struct amqp_content *content, uint64_t body_size, amqp_table_entry_t *entries, int n_entries)
{
    amqp_basic_properties_t properties = {._flags = n_entries > 0 ? AMQP_BASIC_HEADERS_FLAG : 0,
                                          .headers = {.num_entries = n_entries, .entries = entries}};
    const amqp_frame_t frame = {
        .frame_type = AMQP_FRAME_HEADER,
        .payload.properties = {.class_id = AMQP_BASIC_CLASS, .body_size = body_size, .decoded = &properties}};
    return amqp_content_feed(content, &frame);
}

static int feed_body(struct amqp_content *content, const char *bytes, size_t len)
{
    const amqp_frame_t frame = {.frame_type = AMQP_FRAME_BODY,
                                .payload.body_fragment = {.len = len, .bytes = (void *)(uintptr_t)bytes}};
    return amqp_content_feed(content, &frame);
}

static void a_body_may_come_in_any_pieces(void **state)
{
    (void)state;
    struct amqp_content content;
    amqp_content_init(&content);
    for (size_t cut = 1; cut < 10; cut++) {
        assert_int_equal(feed_deliver(&content, "key", cut), 0);
        assert_int_equal(feed_header(&content, 10, NULL, 0), 0);
        assert_int_equal(feed_body(&content, "0123456789", cut), 0);
        assert_int_equal(feed_body(&content, &"0123456789"[cut], 10 - cut), 1);
        assert_int_equal(content.tag, cut);
        assert_true(content.is_redelivered);
        assert_string_equal(content.routing_key, "key");
        assert_int_equal(content.body.len, 10);
        assert_memory_equal(content.body.data, "0123456789", 10);
        assert_string_equal(content.trace.traceparent, "");
        assert_int_equal(content.sequence, -1);
    }
    amqp_content_done(&content);
}

static void an_empty_body_ends_with_its_header(void **state)
{
    (void)state;
    struct amqp_content content;
    amqp_content_init(&content);
    assert_int_equal(feed_deliver(&content, "key", 1), 0);
    assert_int_equal(feed_header(&content, 0, NULL, 0), 1);
    assert_int_equal(content.body.len, 0);
    amqp_content_done(&content);
}

static void our_headers_are_read_and_foreign_ones_not(void **state)
{
    (void)state;
    const char *good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const struct {
        const char *text;
        uint8_t kind;
        const char *wanted;
    } cases[] = {
        {good, AMQP_FIELD_KIND_UTF8, good},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x", AMQP_FIELD_KIND_UTF8, ""},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", AMQP_FIELD_KIND_UTF8, ""},
        {"", AMQP_FIELD_KIND_UTF8, ""},
        {good, AMQP_FIELD_KIND_BYTES, ""},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        struct amqp_content content;
        amqp_content_init(&content);
        amqp_table_entry_t entries[] = {
            {.key = text_bytes("x-death"), .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = 3}},
            {.key = text_bytes("traceparent"), .value = {.kind = cases[i].kind, .value.bytes = text_bytes(cases[i].text)}},
            {.key = text_bytes(AMQP_SEQUENCE_HEADER), .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = 42}},
        };
        assert_int_equal(feed_deliver(&content, "key", 1), 0);
        assert_int_equal(feed_header(&content, 0, entries, RW_ARRAY_SIZE(entries)), 1);
        assert_string_equal(content.trace.traceparent, cases[i].wanted);
        assert_int_equal(content.sequence, 42);
        amqp_content_done(&content);
    }
}

static void frames_without_a_place_are_refused(void **state)
{
    (void)state;
    struct amqp_content content;
    amqp_content_init(&content);
    assert_int_equal(feed_header(&content, 1, NULL, 0), -1);
    assert_int_equal(feed_body(&content, "x", 1), -1);
    assert_int_equal(feed_deliver(&content, "key", 1), 0);
    assert_int_equal(feed_body(&content, "x", 1), -1);
    assert_int_equal(feed_deliver(&content, "key", 2), -1); /* in the middle of another */
    assert_int_equal(feed_header(&content, 2, NULL, 0), 0);
    assert_int_equal(feed_header(&content, 2, NULL, 0), -1);
    assert_int_equal(feed_body(&content, "xyz", 3), -1); /* more than announced */
    assert_int_equal(feed_body(&content, "xy", 2), 1);
    assert_int_equal(feed_body(&content, "z", 1), -1);
    const amqp_frame_t heartbeat = {.frame_type = AMQP_FRAME_HEARTBEAT};
    assert_int_equal(amqp_content_feed(&content, &heartbeat), -1);
    amqp_content_done(&content);
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    struct amqp_content content;
    amqp_content_init(&content);
    char key[400];
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    assert_int_equal(feed_deliver(&content, key, 1), 0);
    assert_int_equal(strlen(content.routing_key), AMQP_NAME_BYTES - 1);
    assert_int_equal(feed_header(&content, AMQP_BODY_BYTES_MAX + 1, NULL, 0), -1);
    assert_int_equal(feed_header(&content, UINT64_MAX, NULL, 0), -1);
    amqp_content_done(&content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_may_come_in_any_pieces),
        cmocka_unit_test(an_empty_body_ends_with_its_header),
        cmocka_unit_test(our_headers_are_read_and_foreign_ones_not),
        cmocka_unit_test(frames_without_a_place_are_refused),
        cmocka_unit_test(sizes_are_bounded),
    };
    return cmocka_run_group_tests_name("amqp_content", tests, NULL, NULL);
}
