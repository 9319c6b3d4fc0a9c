/* Strict JSON: what is refused before cJSON sees it, and what is written that cJSON cannot carry. */
#include "support.h"

#include <rw/clock.h>
#include <rw/json.h>

static const struct rw_json_limits limits = {.bytes_max = 4096, .depth_max = 4, .values_max = 20};
static const struct rw_json_limits wide = {.bytes_max = 64 << 20, .depth_max = 100000, .values_max = 10000000};

static int parse(const char *text, cJSON **ret_json, struct rw_error *err)
{
    /* A copy of exactly its size, so that a sanitizer sees a read past its end. */
    size_t len = strlen(text);
    RW_AUTO_FREE char *copy = rw_xmemdup(text, len);
    return rw_json_parse(rw_bytes_of(copy, len), &limits, ret_json, err);
}

static void test_what_is_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *printed;
    } rows[] = {
        {"{}", "{}"},
        {" [ ] \r\n\t", "[]"},
        {"true", "true"},
        {"null", "null"},
        {"\"\"", "\"\""},
        {"{\"a\":[1,{\"b\":false}],\"A\":null}", "{\"a\":[1,{\"b\":false}],\"A\":null}"},
        {"[0,-0,1.5,-2e3,1E+2,0.1e-1]", "[0,-0,1.5,-2000,100,0.01]"},
        {"9007199254740992", NULL},
        {"-9007199254740992", NULL},
        {"1e300", NULL},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\xC3\xA9\xF0\x9F\x98\x80\""},
        {"\"\xC3\xA9 \x7F\"", NULL},
        {"[[[[]]]]", "[[[[]]]]"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        struct rw_error err = {0};
        RW_AUTO(cJSON_Delete) cJSON *json = NULL;
        assert_ok(parse(rows[i].text, &json, &err), &err);
        if (rows[i].printed) {
            size_t len;
            RW_AUTO_FREE char *printed = rw_json_print(json, &len);
            assert_string_equal(printed, rows[i].printed);
            assert_int_equal(len, strlen(printed));
        }
    }
}

static const struct {
    const char *text;
    const char *part;
} refused[] = {
    {"", "a value is expected at byte 0"},
    {"  ", "at byte 2"},
    {"nul", "a value is expected at byte 0"},
    {"truex", "after the document at byte 4"},
    {"{} {}", "after the document at byte 3"},
    {"\xEF\xBB\xBF{}", "at byte 0"}, /* a byte order mark */
    {"'a'", "at byte 0"},
    {"[1,]", "at byte 3"},
    {"[1 2]", "a comma or the end is expected at byte 3"},
    {"[1}", "at byte 2"},
    {"{\"a\":1]", "at byte 6"},
    {"{\"a\"}", "a colon is expected at byte 4"},
    {"{\"a\":}", "at byte 5"},
    {"{a:1}", "a key is expected at byte 1"},
    {"{1:1}", "a key is expected"},
    {"{\"a\":1,}", "a key is expected"},
    {"[", "at byte 1"},
    {"{", "at byte 1"},
    {"[1", "at byte 2"},
    {"\"a", "string without end at byte 2"},
    {"\"a\nb\"", "control character"},
    {"\"\x01\"", "control character"},
    {"\"\\x41\"", "unknown escape"},
    {"\"\\", "unknown escape"},
    {"\"\\u12\"", "four hexadecimal digits"},
    {"\"\\u12g4\"", "four hexadecimal digits"},
    {"\"a\\u0000b\"", "u0000"},
    {"{\"\\u0000\":1}", "u0000"},
    {"\"\\ud800\"", "lone surrogate"},
    {"\"\\udc00\"", "lone surrogate"},
    {"\"\\ud800\\u0041\"", "lone surrogate"},
    {"\"\\ud800\\ud800\"", "lone surrogate"},
    {"\"\\ud800x\"", "lone surrogate"},
    {"\"\\udc00\\udc00\"", "lone surrogate"},
    {"\"\xFF\"", "malformed UTF-8 at byte 1"},
    {"\"ab\xED\xA0\x80\"", "malformed UTF-8 at byte 3"},
    {"\"\xC0\x80\"", "malformed UTF-8"},
    {"01", "not a number"},
    {"-", "not a number"},
    {"+1", "a value is expected"},
    {".5", "a value is expected"},
    {"1.", "not a number"},
    {"1e", "not a number"},
    {"1e+", "not a number"},
    {"0x10", "after the document"},
    {"NaN", "a value is expected"},
    {"Infinity", "a value is expected"},
    {"-Infinity", "not a number"},
    {"1e999", "out of range"},
    {"-1e999", "out of range"},
    {"9007199254740993", "2^53"},
    {"-9007199254740993", "2^53"},
    {"99999999999999999999999", "2^53"},
    {"0.00000000000000000000000000000000000000000000000000000000000001", "too long"},
    {"[[[[[]]]]]", "nested too deep at byte 4"},
    {"{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}", "nested too deep"},
    {"[0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9]", "too many values"},
    {"{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1}", "too many values"},
    {"{\"a\":1,\"a\":2}", "\"a\" stands twice"},
    {"{\"a\":1,\"\\u0061\":2}", "\"a\" stands twice"},
    {"[{\"x\":{\"\":1,\"b\":2,\"\":3}}]", "\"\" stands twice"},
};

static void test_a_peer_may_send_inexact_integers(void **state)
{
    (void)state;
    static const struct rw_json_limits inexact = {.bytes_max = 64, .depth_max = 1, .values_max = 1, .is_inexact = true};
    static const char text[] = "1763942400123456789";
    struct rw_error err = {0};
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    assert_ok(rw_json_parse(rw_bytes_of(text, sizeof(text) - 1), &inexact, &json, &err), &err);
    assert_true(json->valuedouble > 1.7e18 && json->valuedouble < 1.8e18);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < RW_ARRAY_SIZE(refused); i++) {
        struct rw_error err = {0};
        cJSON *json = NULL;
        if (parse(refused[i].text, &json, &err) == 0) {
            fail_msg("accepted: %s", refused[i].text);
        }
        assert_fails(-1, &err, INVALID, refused[i].part);
        assert_null(json);
    }
}

static void test_nul_and_size(void **state)
{
    (void)state;
    struct rw_error err = {0};
    cJSON *json = NULL;
    assert_fails(rw_json_parse(rw_bytes_of("{}\0", 3), &limits, &json, &err), &err, INVALID, "NUL or malformed UTF-8 at byte 2");
    assert_fails(rw_json_parse(rw_bytes_of("\"a\0\"", 4), &limits, &json, &err), &err, INVALID, "at byte 2");
    RW_AUTO_FREE char *spaces = rw_xmalloc(4097);
    memset(spaces, ' ', 4097);
    spaces[0] = '1';
    assert_fails(rw_json_parse(rw_bytes_of(spaces, 4097), &limits, &json, &err), &err, TOO_LARGE, "4096");
    assert_ok(rw_json_parse(rw_bytes_of(spaces, 4096), &limits, &json, &err), &err);
    cJSON_Delete(json);
}

static void test_keys_of_other_case_are_other_keys(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    assert_ok(parse("{\"key\":1,\"KEY\":2}", &json, &err), &err);
    assert_int_equal(cJSON_GetArraySize(json), 2);
}

/* No stack is used up whatever the caller permits, and a wide object costs no quadratic time. */
static void test_hostile_shapes(void **state)
{
    (void)state;
    enum { DEPTH = 1000000, KEYS = 200000 };
    struct rw_error err = {0};
    cJSON *json = NULL;
    RW_AUTO_FREE char *deep = rw_xmalloc(DEPTH);
    memset(deep, '[', DEPTH);
    assert_fails(rw_json_parse(rw_bytes_of(deep, DEPTH), &wide, &json, &err), &err, INVALID, "nested too deep");

    RW_AUTO_BUFFER struct rw_buffer text;
    rw_buffer_init(&text, 64 << 20);
    for (size_t i = 0; i < KEYS; i++) {
        assert_ok(rw_buffer_printf(&text, &err, "%c\"%zu\":1", i ? ',' : '{', i), &err);
    }
    assert_ok(rw_buffer_append(&text, ",\"0\":2}", 7, &err), &err);
    int64_t before_ms = rw_monotonic_ms();
    assert_fails(rw_json_parse(rw_buffer_view(&text), &wide, &json, &err), &err, INVALID, "\"0\" stands twice");
    assert_true(rw_monotonic_ms() - before_ms < 10000); /* comparing all pairs takes minutes */
}

static void assert_printed(const cJSON *json, const char *wanted)
{
    RW_AUTO_FREE char *printed = rw_json_print(json, NULL);
    assert_string_equal(printed, wanted);
}

static void test_writing_text(void **state)
{
    (void)state;
    RW_AUTO(cJSON_Delete) cJSON *json = cJSON_CreateObject();
    rw_json_add_text(json, "nul", rw_bytes_of("a\0b", 3));
    rw_json_add_text(json, "empty", rw_bytes_of(NULL, 0));
    rw_json_add_text(json, "all", rw_bytes_of("\"\\/\b\f\n\r\t\x1F\x7F\xC3\xA9", 12));
    rw_json_add_string(json, "string", "x\xFFy");
    rw_json_add_string(json, "none", NULL);
    assert_printed(json, "{\"nul\":\"a\\u0000b\",\"empty\":\"\",\"all\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u001f\\u007f\xC3\xA9\","
                         "\"string\":\"x\xEF\xBF\xBDy\",\"none\":null}");
}

static void test_writing_bytes(void **state)
{
    (void)state;
    RW_AUTO(cJSON_Delete) cJSON *json = cJSON_CreateObject();
    rw_json_add_bytes(json, "text", rw_bytes_of("a\0\n", 3));
    rw_json_add_bytes(json, "bytes", rw_bytes_of("\xFF\xFE", 2));
    rw_json_add_bytes(json, "none", rw_bytes_of(NULL, 0));
    assert_printed(json, "{\"text\":\"a\\u0000\\n\",\"bytes\":\"//4=\",\"bytes_encoding\":\"base64\",\"none\":\"\"}");
}

static void test_writing_integers(void **state)
{
    (void)state;
    RW_AUTO(cJSON_Delete) cJSON *json = cJSON_CreateObject();
    rw_json_add_int(json, "max", INT64_MAX);
    rw_json_add_int(json, "min", INT64_MIN);
    rw_json_add_int(json, "zero", 0);
    rw_json_add_int(json, "odd", 9007199254740993);
    assert_printed(json, "{\"max\":9223372036854775807,\"min\":-9223372036854775808,\"zero\":0,\"odd\":9007199254740993}");
}

/* Every byte value, alone and beside others: what is written can be read again. */
static void test_what_is_written_can_be_read(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 128; i++) {
        struct rw_error err = {0};
        char text[4] = {'a', (char)i, 'b', '\0'};
        RW_AUTO(cJSON_Delete) cJSON *json = cJSON_CreateObject();
        RW_AUTO(cJSON_Delete) cJSON *again = NULL;
        rw_json_add_string(json, "k", text);
        RW_AUTO_FREE char *printed = rw_json_print(json, NULL);
        assert_ok(parse(printed, &again, &err), &err);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(again, "k")), text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_accepted),
        cmocka_unit_test(test_a_peer_may_send_inexact_integers),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_nul_and_size),
        cmocka_unit_test(test_keys_of_other_case_are_other_keys),
        cmocka_unit_test(test_hostile_shapes),
        cmocka_unit_test(test_writing_text),
        cmocka_unit_test(test_writing_bytes),
        cmocka_unit_test(test_writing_integers),
        cmocka_unit_test(test_what_is_written_can_be_read),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
