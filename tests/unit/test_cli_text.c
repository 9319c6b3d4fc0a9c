/* NUL characters in the server's JSON: guarded before parsing, restored when written out, everything else untouched. */
#include "support.h"

#include "text.h"

#define PRIVATE_USE "\xee\x80\x80" /* U+E000, the character that guards */

static void check_guard(const char *json, const char *expected)
{
    struct rw_error err = {0};
    RW_AUTO_BUFFER struct rw_buffer out;
    rw_buffer_init(&out, 4096);
    assert_ok(text_guard(rw_bytes_of(json, strlen(json)), &out, &err), &err);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
}

static void test_plain_json_is_left_alone(void **state)
{
    (void)state;
    check_guard("{\"a\": \"b\\n\\\"\\u0001\\\\\", \"c\": [1, true]}", "{\"a\": \"b\\n\\\"\\u0001\\\\\", \"c\": [1, true]}");
    check_guard("\"\\u00000\"", "\"" PRIVATE_USE "00\"");
    check_guard("\"\\U0000\"", "\"\\U0000\""); /* no escape of JSON's: for the parser to refuse */
    check_guard("\"\\", "\"\\");
    check_guard("\"\\u00", "\"\\u00");
}

static void test_nul_and_guard_are_marked(void **state)
{
    (void)state;
    check_guard("\"\\u0000\"", "\"" PRIVATE_USE "0\"");
    check_guard("\"" PRIVATE_USE "\"", "\"" PRIVATE_USE "1\"");
    check_guard("\"\\ue000\\uE000\"", "\"" PRIVATE_USE "1" PRIVATE_USE "1\"");
    check_guard("\"\\\\u0000\"", "\"\\\\u0000\""); /* an escaped backslash, then plain letters */
    check_guard("\"\\\\\\u0000\"", "\"\\\\" PRIVATE_USE "0\"");
}

static void test_restore_gives_the_bytes_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *bytes;
        size_t len;
    } cases[] = {
        {"", "", 0},
        {"plain", "plain", 5},
        {"a" PRIVATE_USE "0b", "a\0b", 3},
        {PRIVATE_USE "0" PRIVATE_USE "0", "\0\0", 2},
        {PRIVATE_USE "1" PRIVATE_USE "0", PRIVATE_USE "\0", 4},
        {PRIVATE_USE, PRIVATE_USE, 3}, /* never made by text_guard; must not read past the end */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rw_error err = {0};
        RW_AUTO_BUFFER struct rw_buffer out;
        rw_buffer_init(&out, 64);
        assert_ok(text_restore(cases[i].text, &out, &err), &err);
        assert_int_equal(out.len, cases[i].len);
        if (out.len > 0) {
            assert_memory_equal(out.data, cases[i].bytes, out.len);
        }
    }
}

static void test_bounds_hold(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO_BUFFER struct rw_buffer out;
    rw_buffer_init(&out, 4);
    assert_fails(text_guard(rw_bytes_of("\"\\u0000\"", 8), &out, &err), &err, TOO_LARGE, "");
    rw_buffer_clear(&out);
    assert_fails(text_restore("12345", &out, &err), &err, TOO_LARGE, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_json_is_left_alone),
        cmocka_unit_test(test_nul_and_guard_are_marked),
        cmocka_unit_test(test_restore_gives_the_bytes_back),
        cmocka_unit_test(test_bounds_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
