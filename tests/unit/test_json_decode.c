/* The table-driven decoder: every fault is told, by field and in words. */
#include "support.h"

#include <rw/json.h>

struct target {
    const char *text;
    int64_t number;
    bool flag;
    const cJSON *list;
    const cJSON *map;
    bool has_number;
};

static const struct rw_json_field fields[] = {
    {"text", RW_JSON_STRING, true, 1, 4, offsetof(struct target, text), SIZE_MAX},
    {"number", RW_JSON_INT, false, -5, 9007199254740992.0, offsetof(struct target, number), offsetof(struct target, has_number)},
    {"flag", RW_JSON_BOOL, false, 0, 0, offsetof(struct target, flag), SIZE_MAX},
    {"list", RW_JSON_ARRAY, false, 1, 2, offsetof(struct target, list), SIZE_MAX},
    {"map", RW_JSON_OBJECT, false, 0, 1, offsetof(struct target, map), SIZE_MAX},
};

static const struct target untouched = {.text = "before", .number = 77, .flag = true};

static void decode(const char *text, const char *prefix, struct target *target, struct rw_field_errors *errors)
{
    RW_AUTO(cJSON_Delete) cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    *target = untouched;
    errors->count = 0;
    rw_json_decode(json, prefix, fields, RW_ARRAY_SIZE(fields), target, errors);
}

static void test_a_right_object(void **state)
{
    (void)state;
    RW_AUTO(cJSON_Delete) cJSON *json = cJSON_Parse("{\"text\":\"abcd\",\"number\":-5,\"flag\":false,\"list\":[1],\"map\":{}}");
    struct target target = untouched;
    struct rw_field_errors errors = {0};
    rw_json_decode(json, "", fields, RW_ARRAY_SIZE(fields), &target, &errors);
    assert_int_equal(errors.count, 0);
    assert_string_equal(target.text, "abcd");
    assert_int_equal(target.number, -5);
    assert_true(target.has_number);
    assert_false(target.flag);
    assert_int_equal(cJSON_GetArraySize(target.list), 1);
    assert_true(cJSON_IsObject(target.map));
}

static void test_absent_members_touch_nothing(void **state)
{
    (void)state;
    struct target target;
    struct rw_field_errors errors;
    decode("{\"text\":\"a\",\"number\":null,\"flag\":null}", "", &target, &errors);
    assert_int_equal(errors.count, 0);
    assert_int_equal(target.number, 77);
    assert_false(target.has_number);
    assert_true(target.flag);
    assert_null(target.list);
}

static void test_integers_are_exact(void **state)
{
    (void)state;
    struct target target;
    struct rw_field_errors errors;
    decode("{\"text\":\"a\",\"number\":9007199254740991}", "", &target, &errors);
    assert_int_equal(errors.count, 0);
    assert_int_equal(target.number, 9007199254740991);
}

static void test_faults_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *field;
        const char *message;
    } rows[] = {
        {"{}", "limits.text", "is required"},
        {"{\"text\":null}", "limits.text", "is required"},
        {"{\"text\":1}", "limits.text", "must be a string"},
        {"{\"text\":\"\"}", "limits.text", "must be a string of 1 to 4 bytes"},
        {"{\"text\":\"abcde\"}", "limits.text", "must be a string of 1 to 4 bytes"},
        {"{\"text\":\"a\",\"number\":1.5}", "limits.number", "must be a whole number"},
        {"{\"text\":\"a\",\"number\":\"1\"}", "limits.number", "must be a whole number"},
        {"{\"text\":\"a\",\"number\":-6}", "limits.number", "must be a whole number from -5 to 9007199254740992"},
        {"{\"text\":\"a\",\"number\":1e300}", "limits.number", "must be a whole number from -5 to 9007199254740992"},
        {"{\"text\":\"a\",\"flag\":0}", "limits.flag", "must be true or false"},
        {"{\"text\":\"a\",\"list\":{}}", "limits.list", "must be an array"},
        {"{\"text\":\"a\",\"list\":[]}", "limits.list", "must be an array of 1 to 2 elements"},
        {"{\"text\":\"a\",\"list\":[1,2,3]}", "limits.list", "must be an array of 1 to 2 elements"},
        {"{\"text\":\"a\",\"map\":[]}", "limits.map", "must be an object"},
        {"{\"text\":\"a\",\"map\":{\"a\":1,\"b\":1}}", "limits.map", "must be an object of 0 to 1 members"},
        {"{\"text\":\"a\",\"Text\":\"a\"}", "limits.Text", "is not known"},
        {"[]", "limits", "must be an object"},
        {"7", "limits", "must be an object"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        struct target target;
        struct rw_field_errors errors;
        decode(rows[i].text, "limits.", &target, &errors);
        assert_int_equal(errors.count, 1);
        assert_string_equal(errors.items[0].field, rows[i].field);
        assert_string_equal(errors.items[0].message, rows[i].message);
        assert_int_equal(target.number, 77);
        assert_true(target.flag);
        assert_null(target.list);
    }
}

static void test_every_fault_is_told(void **state)
{
    (void)state;
    struct target target;
    struct rw_field_errors errors;
    decode("{\"number\":\"x\",\"flag\":1,\"zzz\":null}", "", &target, &errors);
    assert_int_equal(errors.count, 4);
    assert_string_equal(errors.items[0].field, "number");
    assert_string_equal(errors.items[1].field, "flag");
    assert_string_equal(errors.items[2].field, "zzz");
    assert_string_equal(errors.items[3].field, "text");
}

static void test_faults_are_bounded(void **state)
{
    (void)state;
    struct rw_field_errors errors = {0};
    char name[400];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (int i = 0; i < 40; i++) {
        rw_field_errors_add(&errors, name, "%s %d", name, i);
    }
    assert_int_equal(errors.count, RW_FIELD_ERRORS_MAX);
    assert_int_equal(strlen(errors.items[15].field), sizeof(errors.items[15].field) - 1);
    assert_int_equal(strlen(errors.items[15].message), sizeof(errors.items[15].message) - 1);
    errors.count = 0;
    rw_field_errors_add(&errors, "files[2].name", "must be at most %d bytes", 255);
    assert_string_equal(errors.items[0].field, "files[2].name");
    assert_string_equal(errors.items[0].message, "must be at most 255 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_right_object),      cmocka_unit_test(test_absent_members_touch_nothing),
        cmocka_unit_test(test_integers_are_exact),  cmocka_unit_test(test_faults_in_words),
        cmocka_unit_test(test_every_fault_is_told), cmocka_unit_test(test_faults_are_bounded),
    };
    return cmocka_run_group_tests_name("json_decode", tests, NULL, NULL);
}
