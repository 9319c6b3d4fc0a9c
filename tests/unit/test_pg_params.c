/* Parameters and results in the binary format, without a server: the bytes on the wire, and results made by hand. */
#include "support.h"

#include "pg_internal.h"

static void integers_are_in_network_order(void **state)
{
    (void)state;
    struct rw_pg_params params = {.count = 0};
    rw_pg_param_int4(&params, -2);
    rw_pg_param_int8(&params, 0x0102030405060708);
    rw_pg_param_bool(&params, true);
    rw_pg_param_timestamp(&params, (int64_t)946684801 * 1000000);
    assert_int_equal(params.count, 4);
    assert_int_equal(params.lengths[0], 4);
    assert_memory_equal(params.values[0], "\xff\xff\xff\xfe", 4);
    assert_int_equal(params.lengths[1], 8);
    assert_memory_equal(params.values[1], "\1\2\3\4\5\6\7\10", 8);
    assert_int_equal(params.lengths[2], 1);
    assert_memory_equal(params.values[2], "\1", 1);
    assert_memory_equal(params.values[3], "\0\0\0\0\0\x0f\x42\x40", 8); /* one second after 2000-01-01 */
}

static void null_and_empty_are_two_things(void **state)
{
    (void)state;
    struct rw_pg_params params = {.count = 0};
    rw_pg_param_null(&params);
    rw_pg_param_text(&params, NULL);
    rw_pg_param_timestamp(&params, -1);
    rw_pg_param_text(&params, "");
    rw_pg_param_bytes(&params, rw_bytes_of(NULL, 0));
    for (int i = 0; i < 3; i++) {
        assert_null(params.values[i]);
    }
    for (int i = 3; i < 5; i++) {
        assert_non_null(params.values[i]);
        assert_int_equal(params.lengths[i], 0);
    }
}

static void a_copy_lives_on_its_own(void **state)
{
    (void)state;
    char bytes[] = {'a', '\0', 'b'};
    struct rw_pg_params params = {.count = 0};
    rw_pg_param_bytes(&params, rw_bytes_of(bytes, sizeof(bytes)));
    rw_pg_param_null(&params);
    rw_pg_param_int4(&params, 1);
    rw_pg_param_text(&params, "");
    RW_AUTO_FREE struct pg_params_copy *copy = pg_params_copy(&params);
    memset(bytes, 'x', sizeof(bytes));
    memset(&params, 0xee, sizeof(params));
    assert_int_equal(copy->count, 4);
    assert_int_equal(copy->lengths[0], 3);
    assert_memory_equal(copy->values[0], "a\0b", 3);
    assert_null(copy->values[1]);
    assert_memory_equal(copy->values[2], "\0\0\0\1", 4);
    assert_non_null(copy->values[3]);
    assert_int_equal(copy->lengths[3], 0);
}

static void uuid_arrays_have_postgresqls_form(void **state)
{
    (void)state;
    struct rw_error err;
    RW_AUTO_BUFFER struct rw_buffer buffer;
    rw_buffer_init(&buffer, 64);
    struct rw_pg_params params = {.count = 0};
    const struct rw_uuid uuids[] = {{.bytes = {1}}, {.bytes = {2}}, {.bytes = {3}}};
    assert_ok(rw_pg_param_uuid_array(&params, uuids, 2, &buffer, &err), &err);
    const uint8_t wanted[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x0b, 0x86, 0, 0,  0, 2, 0, 0, 0, 1, 0, 0, 0, 16, 1, 0, 0, 0, 0, 0,
                              0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0,    0, 16, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0};
    assert_int_equal(params.lengths[0], sizeof(wanted));
    assert_memory_equal(params.values[0], wanted, sizeof(wanted));
    params.count = 0;
    assert_ok(rw_pg_param_uuid_array(&params, NULL, 0, &buffer, &err), &err);
    assert_int_equal(params.lengths[0], 12); /* no dimensions */
    params.count = 0;
    assert_fails(rw_pg_param_uuid_array(&params, uuids, 3, &buffer, &err), &err, TOO_LARGE, "");
    assert_int_equal(params.count, 0);
}

/* One row; a NULL value is SQL's NULL. */
static PGresult *make_result(int n, const char *const *values, const int *lengths)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[8] = {{.name = (char *)(uintptr_t) "c", .format = 1}};
    for (int i = 0; i < n; i++) {
        columns[i] = columns[0];
    }
    assert_int_equal(PQsetResultAttrs(result, n, columns), 1);
    for (int i = 0; i < n; i++) {
        assert_int_equal(PQsetvalue(result, 0, i, (char *)(uintptr_t)values[i], values[i] ? lengths[i] : -1), 1);
    }
    return result;
}

static void results_are_read(void **state)
{
    (void)state;
    const char *const values[] = {
        "\xff\xff\xff\xfe", "\1\2\3\4\5\6\7\10", "\1", "a\0b", NULL, "\xff\xfe", "\x7f\xff\xff\xff\xff\xff\xff\xff"};
    const int lengths[] = {4, 8, 1, 3, 0, 2, 8};
    RW_AUTO(PQclear) PGresult *result = make_result(7, values, lengths);
    assert_int_equal(rw_pg_int4(result, 0, 0), -2);
    assert_int_equal(rw_pg_int8(result, 0, 0), -2); /* a narrower column widens */
    assert_true(rw_pg_int8(result, 0, 1) == 0x0102030405060708);
    assert_true(rw_pg_bool(result, 0, 2));
    struct rw_bytes bytes = rw_pg_bytes(result, 0, 3);
    assert_int_equal(bytes.len, 3);
    assert_memory_equal(bytes.data, "a\0b", 3);
    assert_true(rw_pg_is_null(result, 0, 4));
    assert_false(rw_pg_is_null(result, 0, 3));
    assert_null(rw_pg_text(result, 0, 4));
    assert_int_equal(rw_pg_int4(result, 0, 4), 0);
    assert_int_equal(rw_pg_timestamp_us(result, 0, 4), -1);
    assert_int_equal(rw_pg_int4(result, 0, 5), -2);
    assert_true(rw_pg_timestamp_us(result, 0, 1) == 0x0102030405060708 + (int64_t)946684800 * 1000000);
    assert_true(rw_pg_timestamp_us(result, 0, 6) == INT64_MAX); /* 'infinity' */
    assert_int_equal(rw_pg_rows(result), 1);
}

static void messages_become_one_line(void **state)
{
    (void)state;
    const struct {
        const char *message;
        const char *wanted;
    } cases[] = {
        {"connection failed: refused\n\tIs the server running?\n", "connection failed: refused Is the server running?"},
        {"", ""},
        {NULL, ""},
        {"\n\n", ""},
        {"0123456789012345678901234567890123456789012345678901234567890123456789",
         "012345678901234567890123456789012345678901234567890123456789012"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        char line[64];
        pg_one_line(cases[i].message, line, sizeof(line));
        assert_string_equal(line, cases[i].wanted);
    }
}

static const char *keyword(const struct pg_keywords *keywords, const char *key)
{
    for (size_t i = 0; keywords->keys[i]; i++) {
        if (strcmp(keywords->keys[i], key) == 0) {
            return keywords->values[i];
        }
    }
    return NULL;
}

static void connections_are_bounded_in_time(void **state)
{
    (void)state;
    struct rw_config_database config = {.host = (char *)(uintptr_t) "db", .port = 5433, .name = (char *)(uintptr_t) "runwave"};
    struct pg_keywords keywords;
    pg_keywords_fill(&keywords, &config, "secret", "10.0.0.1", "api", 1234);
    assert_string_equal(keyword(&keywords, "host"), "db");
    assert_string_equal(keyword(&keywords, "hostaddr"), "10.0.0.1");
    assert_string_equal(keyword(&keywords, "port"), "5433");
    assert_string_equal(keyword(&keywords, "password"), "secret");
    assert_string_equal(keyword(&keywords, "options"), "-c statement_timeout=1234");
    assert_non_null(keyword(&keywords, "tcp_user_timeout"));
    assert_non_null(keyword(&keywords, "keepalives_idle"));
    assert_string_equal(keyword(&keywords, "target_session_attrs"), "read-write"); /* the last: none fell off the end */
    assert_string_equal(keyword(&keywords, "gssencmode"), "disable");
    assert_null(keyword(&keywords, "user"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_in_network_order),
        cmocka_unit_test(null_and_empty_are_two_things),
        cmocka_unit_test(a_copy_lives_on_its_own),
        cmocka_unit_test(uuid_arrays_have_postgresqls_form),
        cmocka_unit_test(results_are_read),
        cmocka_unit_test(messages_become_one_line),
        cmocka_unit_test(connections_are_bounded_in_time),
    };
    return cmocka_run_group_tests_name("pg_params", tests, NULL, NULL);
}
