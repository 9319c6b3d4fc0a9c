/* Cutting a stream into frames. */
#include "support.h"

#include <rw/frame.h>

static void assert_next(struct rw_frame_reader *reader, const char *wanted)
{
    struct rw_error err = {0};
    struct rw_bytes payload = {0};
    int outcome = rw_frame_reader_next(reader, &payload, &err);
    assert_int_equal(outcome, wanted ? 1 : 0);
    if (wanted) {
        assert_int_equal(payload.len, strlen(wanted));
        assert_memory_equal(payload.data, wanted, payload.len);
    }
}

static void test_a_header_is_big_endian(void **state)
{
    (void)state;
    uint8_t header[RW_FRAME_HEADER_BYTES];
    rw_frame_header(0x01020304, header);
    assert_memory_equal(header, "\1\2\3\4", 4);
}

static void test_frames_in_one_read(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct rw_frame_reader reader;
    rw_frame_reader_init(&reader, 100);
    assert_next(&reader, NULL);
    assert_ok(rw_frame_reader_feed(&reader, rw_bytes_of("\0\0\0\3abc\0\0\0\1x\0\0", 14), &err), &err);
    assert_next(&reader, "abc");
    assert_next(&reader, "x");
    assert_next(&reader, NULL);
    assert_ok(rw_frame_reader_feed(&reader, rw_bytes_of("\0\2yz", 4), &err), &err);
    assert_next(&reader, "yz");
    assert_next(&reader, NULL);
    rw_frame_reader_done(&reader);
}

static void test_frames_byte_by_byte(void **state)
{
    (void)state;
    static const char stream[] = "\0\0\0\5hello\0\0\0\1!\0\0\0\2ok";
    struct rw_error err = {0};
    struct rw_frame_reader reader;
    size_t n_frames = 0;
    rw_frame_reader_init(&reader, 5);
    for (size_t i = 0; i + 1 < sizeof(stream); i++) {
        struct rw_bytes payload;
        assert_ok(rw_frame_reader_feed(&reader, rw_bytes_of(stream + i, 1), &err), &err);
        n_frames += rw_frame_reader_next(&reader, &payload, &err) == 1;
    }
    assert_int_equal(n_frames, 3);
    rw_frame_reader_done(&reader);
}

static void test_lengths_out_of_range_are_refused_at_once(void **state)
{
    (void)state;
    static const char *const headers[] = {"\0\0\0\0", "\0\0\0\x65", "\xFF\xFF\xFF\xFF"};
    for (size_t i = 0; i < RW_ARRAY_SIZE(headers); i++) {
        struct rw_error err = {0};
        struct rw_frame_reader reader;
        struct rw_bytes payload;
        rw_frame_reader_init(&reader, 100);
        assert_fails(rw_frame_reader_feed(&reader, rw_bytes_of(headers[i], 4), &err), &err, PROTOCOL, "1 to 100");
        assert_true(reader.buffer.capacity < 1024);
        assert_fails(rw_frame_reader_next(&reader, &payload, &err), &err, PROTOCOL, "1 to 100");
        rw_frame_reader_done(&reader);
        /* The same behind a good frame, where only next can see it. */
        rw_frame_reader_init(&reader, 100);
        char both[9] = {0, 0, 0, 1, 'x'};
        memcpy(both + 5, headers[i], 4);
        assert_ok(rw_frame_reader_feed(&reader, rw_bytes_of(both, 9), &err), &err);
        assert_next(&reader, "x");
        assert_fails(rw_frame_reader_next(&reader, &payload, &err), &err, PROTOCOL, "1 to 100");
        rw_frame_reader_done(&reader);
    }
}

static void test_the_longest_frame(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct rw_frame_reader reader;
    RW_AUTO_FREE char *large = rw_xmalloc(100000);
    memset(large, 'a', 100000);
    rw_frame_reader_init(&reader, 100000);
    uint8_t header[4];
    rw_frame_header(100000, header);
    assert_ok(rw_frame_reader_feed(&reader, rw_bytes_of(header, 4), &err), &err);
    assert_ok(rw_frame_reader_feed(&reader, rw_bytes_of(large, 99999), &err), &err);
    assert_next(&reader, NULL);
    assert_ok(rw_frame_reader_feed(&reader, rw_bytes_of(large, 1), &err), &err);
    struct rw_bytes payload;
    assert_int_equal(rw_frame_reader_next(&reader, &payload, &err), 1);
    assert_int_equal(payload.len, 100000);
    rw_frame_reader_done(&reader);
}

static void test_a_reader_that_nobody_empties_is_bounded(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct rw_frame_reader reader;
    RW_AUTO_FREE char *chunk = rw_xcalloc(1, 65536);
    chunk[3] = 100;
    rw_frame_reader_init(&reader, 100);
    int outcome = 0;
    for (size_t i = 0; i < 20 && outcome == 0; i++) {
        outcome = rw_frame_reader_feed(&reader, rw_bytes_of(chunk, 65536), &err);
    }
    assert_fails(outcome, &err, TOO_LARGE, "more than");
    rw_frame_reader_done(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_header_is_big_endian), cmocka_unit_test(test_frames_in_one_read),
        cmocka_unit_test(test_frames_byte_by_byte),    cmocka_unit_test(test_lengths_out_of_range_are_refused_at_once),
        cmocka_unit_test(test_the_longest_frame),      cmocka_unit_test(test_a_reader_that_nobody_empties_is_bounded),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
