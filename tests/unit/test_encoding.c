/* Text encodings; and the base library's own UTF-8 step held against libunistring. */
#include "support.h"

#include <rw/encoding.h>

#include "../../common/src/utf8.h"

static bool is_valid(const void *data, size_t len)
{
    return rw_utf8_is_valid(rw_bytes_of(data, len));
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(is_valid(NULL, 0));
    assert_true(is_valid("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 10));
    assert_true(is_valid("a\0b", 3));
    assert_true(is_valid("\xF4\x8F\xBF\xBF", 4));  /* U+10FFFF */
    assert_false(is_valid("\xF4\x90\x80\x80", 4)); /* past it */
    assert_false(is_valid("\xC0\x80", 2));         /* overlong */
    assert_false(is_valid("\xE0\x9F\xBF", 3));     /* overlong */
    assert_false(is_valid("\xED\xA0\x80", 3));     /* surrogate */
    assert_false(is_valid("\xE2\x82", 2));         /* cut */
    assert_false(is_valid("\x80", 1));
    assert_true(rw_utf8_is_text(rw_bytes_of("abc", 3)));
    assert_true(rw_utf8_is_text(rw_bytes_of(NULL, 0)));
    assert_false(rw_utf8_is_text(rw_bytes_of("a\0b", 3)));
    assert_false(rw_utf8_is_text(rw_bytes_of("\xFF", 1)));
}

/* Whether stepping through the bytes and the library find the same. */
static void assert_agreed(const uint8_t *data, size_t len)
{
    size_t place = 0;
    for (size_t step = 1; step && place < len; place += step) {
        step = rw_utf8_step(data + place, len - place);
    }
    if ((place == len) != is_valid(data, len)) {
        fail_msg("%02x %02x.. of %zu bytes: %zu", data[0], len > 1 ? data[1] : 0, len, place);
    }
}

static void test_the_own_step_agrees_with_the_library(void **state)
{
    (void)state;
    static const uint8_t ends[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
    uint8_t data[4];
    for (unsigned first = 0; first < 256; first++) {
        data[0] = (uint8_t)first;
        assert_agreed(data, 1);
        for (unsigned second = 0; second < 256; second++) {
            data[1] = (uint8_t)second;
            assert_agreed(data, 2);
            for (size_t i = 0; i < RW_ARRAY_SIZE(ends) * RW_ARRAY_SIZE(ends); i++) {
                data[2] = ends[i / RW_ARRAY_SIZE(ends)];
                data[3] = ends[i % RW_ARRAY_SIZE(ends)];
                assert_agreed(data, 3);
                assert_agreed(data, 4);
            }
        }
    }
}

static void test_base64_of_the_rfc(void **state)
{
    (void)state;
    static const struct {
        const char *plain;
        const char *encoded;
    } rows[] = {{"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"},
                {"\xFB\xFF", "+/8="}};
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        struct rw_error err = {0};
        RW_AUTO_FREE char *encoded = rw_base64_encode(rw_bytes_of(rows[i].plain, strlen(rows[i].plain)));
        RW_AUTO_FREE uint8_t *decoded = NULL;
        size_t len = 42;
        assert_string_equal(encoded, rows[i].encoded);
        assert_ok(rw_base64_decode(encoded, strlen(encoded), &decoded, &len, &err), &err);
        assert_non_null(decoded);
        assert_int_equal(len, strlen(rows[i].plain));
        assert_memory_equal(decoded, rows[i].plain, len);
    }
    RW_AUTO_FREE char *nothing = rw_base64_encode(rw_bytes_of(NULL, 0));
    assert_string_equal(nothing, "");
}

static void test_what_is_no_base64(void **state)
{
    (void)state;
    static const char *const bad[] = {"Zg",   "Zg=",      "Zg==\n", "Zm9v Zm9v", "Zm9v\nZm9", "=",          "====",
                                      "Zh==", "Zm9v====", "Z===",   "-_8=",      "Zm9vZ=9v",  "\xC3\xA9==", "Zg==Zg=="};
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        struct rw_error err = {0};
        uint8_t *data = NULL;
        size_t len = 42;
        if (rw_base64_decode(bad[i], strlen(bad[i]), &data, &len, &err) == 0) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_int_equal(err.code, RW_ERR_INVALID);
        assert_null(data);
        assert_int_equal(len, 42);
    }
    struct rw_error err = {0};
    uint8_t *data = NULL;
    size_t len;
    assert_fails(rw_base64_decode("Zm\0v", 4, &data, &len, &err), &err, INVALID, "base64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_the_own_step_agrees_with_the_library),
        cmocka_unit_test(test_base64_of_the_rfc),
        cmocka_unit_test(test_what_is_no_base64),
    };
    return cmocka_run_group_tests_name("encoding", tests, NULL, NULL);
}
