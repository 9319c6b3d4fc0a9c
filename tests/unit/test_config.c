/* Configuration files, the faults and their lines, and secrets. */
#include "support.h"

#include <rw/config.h>
#include <unistd.h>

struct sample {
    struct rw_config_log log;
    struct rw_config_http http;
    struct rw_config_database database;
    struct rw_config_broker broker;
    int32_t offset;
    char **names;
    unsigned n_names;
};

static const cyaml_schema_value_t name_value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 8)};
static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_MAPPING("log", CYAML_FLAG_OPTIONAL, struct sample, log, rw_config_log_fields),
    CYAML_FIELD_MAPPING("http", CYAML_FLAG_OPTIONAL, struct sample, http, rw_config_http_fields),
    CYAML_FIELD_MAPPING("database", CYAML_FLAG_OPTIONAL, struct sample, database, rw_config_database_fields),
    CYAML_FIELD_MAPPING("broker", CYAML_FLAG_OPTIONAL, struct sample, broker, rw_config_broker_fields),
    CYAML_FIELD_INT("offset", CYAML_FLAG_DEFAULT, struct sample, offset),
    CYAML_FIELD_SEQUENCE_COUNT("names", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct sample, names, n_names, &name_value, 0, 2),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct sample, fields)};

static void free_sample(void *sample)
{
    rw_config_free(&schema, sample);
}
RW_DEFINE_AUTO(void *, free_sample);

static int load(const char *text, size_t len, void **ret_sample, struct rw_error *err)
{
    write_file("sample.yaml", text, len);
    return rw_config_load("sample.yaml", &schema, ret_sample, err);
}

static void test_a_whole_file(void **state)
{
    (void)state;
    static const char text[] = "# comment\n"
                               "log: {level: debug}\n"
                               "http:\n  listen: \"[::1]:8080\"\n  threads: 3\n  connections_max: 10\n"
                               "  connections_per_ip_max: 4\n  request_timeout_ms: 99\n"
                               "database: {host: /run/pg, port: 6000, name: n, user: u, password_file: /p, connections: 2, "
                               "statement_timeout_ms: 5}\n"
                               "broker: {host: h, port: 1, vhost: v, user: u, password_file: /q, heartbeat_s: 7, tls: true, "
                               "tls_ca_file: /ca}\n"
                               "offset: -3\nnames: [a, \"b c\"]\n";
    struct rw_error err = {0};
    RW_AUTO(free_sample) void *loaded = NULL;
    assert_ok(load(text, strlen(text), &loaded, &err), &err);
    const struct sample *sample = loaded;
    assert_string_equal(sample->log.level, "debug");
    assert_string_equal(sample->http.listen, "[::1]:8080");
    assert_int_equal(sample->http.threads, 3);
    assert_int_equal(sample->http.connections_per_ip_max, 4);
    assert_string_equal(sample->database.host, "/run/pg");
    assert_int_equal(sample->database.port, 6000);
    assert_string_equal(sample->broker.tls_ca_file, "/ca");
    assert_true(sample->broker.tls);
    assert_int_equal(sample->offset, -3);
    assert_int_equal(sample->n_names, 2);
    assert_string_equal(sample->names[1], "b c");
}

static void test_defaults_fill_only_what_is_not_given(void **state)
{
    (void)state;
    static const char text[] = "offset: 0\nhttp: {threads: 9}\nbroker: {tls: true, vhost: mine}\n";
    struct rw_error err = {0};
    RW_AUTO(free_sample) void *loaded = NULL;
    assert_ok(load(text, strlen(text), &loaded, &err), &err);
    struct sample *sample = loaded;
    rw_config_log_defaults(&sample->log);
    rw_config_http_defaults(&sample->http, "127.0.0.1:8080");
    rw_config_database_defaults(&sample->database);
    rw_config_broker_defaults(&sample->broker);
    assert_string_equal(sample->log.level, "info");
    assert_string_equal(sample->http.listen, "127.0.0.1:8080");
    assert_int_equal(sample->http.threads, 9);
    assert_int_equal(sample->http.connections_per_ip_max, 0);
    assert_true(sample->http.connections_max > 0 && sample->http.request_timeout_ms > 0);
    assert_int_equal(sample->database.port, 5432);
    assert_null(sample->database.password_file);
    assert_int_equal(sample->broker.port, 5671);
    assert_string_equal(sample->broker.vhost, "mine");
    struct rw_config_broker plain = {0};
    rw_config_broker_defaults(&plain);
    assert_int_equal(plain.port, 5672);
    free(plain.host);
    free(plain.vhost);
    free(plain.user);
}

static void test_faults_name_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *part;
    } rows[] = {
        {"", ":1: the file is empty"},
        {"# only a comment\n", "the file is empty"},
        {"offset: 1\nbogus: 2\n", "sample.yaml:2: unknown key \"bogus\""},
        {"offset: 1\nhttp:\n  threads: 1\n\n  thread: 2\n", "sample.yaml:5: unknown key \"thread\""},
        {"offset: 1\nOffset: 1\n", ":2: unknown key \"Offset\""},
        {"offset: 1\nlog: {}\noffset: 2\n", "sample.yaml:3: key \"offset\" stands here a second time"},
        {"offset: 12abc\n", "sample.yaml:1: \"12abc\" is not a whole number"},
        {"offset: 10s\n", "is not a whole number"},
        {"offset: 0x10\n", "is not a whole number"},
        {"offset: 010\n", "is not a whole number"},
        {"offset: 1.0\n", "is not a whole number"},
        {"offset: +1\n", "is not a whole number"},
        {"offset:\n", "is not a whole number"},
        {"offset: \"-\"\n", "is not a whole number"},
        {"offset: ~\n", "is not a whole number"},
        {"offset: [1]\n", ":1: a single value is expected"},
        {"offset: 99999999999\n", "sample.yaml:1: "},
        {"offset: 1\nhttp:\n  threads: -1\n", "sample.yaml:3: \"-1\" is not a whole number"},
        {"offset: 1\nhttp:\n  threads: 4294967296\n", "sample.yaml:3: "},
        {"offset: 1\nhttp:\n  listen: x\n  threads: 4294967296\n", "sample.yaml:4: "},
        {"offset: 1\nhttp: [1]\n", "sample.yaml:2: a map of keys is expected"},
        {"offset: 1\nhttp:\n", ":2: a map of keys is expected"},
        {"offset: 1\nbroker:\n  tls: maybe\n", "sample.yaml:3: \"maybe\" is neither true nor false"},
        {"offset: 1\nbroker:\n  tls: yes\n", "neither true nor false"},
        {"offset: 1\nbroker:\n  tls: 1\n", "neither true nor false"},
        {"offset: 1\nnames: x\n", ":2: a list is expected"},
        {"offset: 1\nnames:\n  - [a]\n", ":3: a single value is expected"},
        {"offset: 1\nnames: [a, b, c]\n", "sample.yaml:2: Excessive entries"},
        {"offset: 1\nnames: [123456789]\n", "STRING length > 8"},
        {"offset: 1\nlog: {level: \"\"}\n", "STRING length < 1"},
        {"log: {level: info}\n", "Missing required mapping field: offset"},
        {"offset: &a 1\nnames: [*a]\n", ":2: aliases are not used here"},
        {"offset: 1\n---\noffset: 2\n", ":2: a second document"},
        {"[offset]\n", ":1: a map of keys is expected"},
        {"offset\n", ":1: a map of keys is expected"},
        {"? [a]\n: 1\n", "a key is expected"},
        {"offset: {1\n", "sample.yaml:"},
        {"offset: 1\n\tlog: {}\n", "sample.yaml:2: "},
        {"offset: 1\nnames: [\"\xFF\"]\n", "sample.yaml:"},
        {"offset: 1\nnames: [\"a\\0b\"]\n", ":2: a value holds NUL"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        struct rw_error err = {0};
        void *loaded = NULL;
        if (load(rows[i].text, strlen(rows[i].text), &loaded, &err) == 0) {
            fail_msg("accepted: %s", rows[i].text);
        }
        assert_fails(-1, &err, CONFIG, rows[i].part);
        assert_null(loaded);
    }
}

static void test_files_that_are_none(void **state)
{
    (void)state;
    struct rw_error err = {0};
    void *loaded = NULL;
    assert_fails(rw_config_load("absent.yaml", &schema, &loaded, &err), &err, CONFIG, "open absent.yaml: No such file");
    assert_fails(rw_config_load(".", &schema, &loaded, &err), &err, CONFIG, "read .: Is a directory");
    RW_AUTO_FREE char *large = rw_xmalloc(1024 * 1024 + 1);
    memset(large, '#', 1024 * 1024 + 1);
    assert_fails(load(large, 1024 * 1024 + 1, &loaded, &err), &err, CONFIG, "more than 1048576 bytes");
    rw_config_free(&schema, NULL);
}

static void write_secret(const void *data, size_t len, unsigned mode)
{
    (void)unlink("secret");
    write_file("secret", data, len);
    assert_int_equal(chmod("secret", mode), 0);
}

static void test_a_secret_from_a_file(void **state)
{
    (void)state;
    struct rw_error err = {0};
    static const struct {
        const char *content;
        const char *secret;
    } rows[] = {{"pass\n", "pass"}, {"pass", "pass"}, {" p \n\n", " p \n"}};
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        char *secret = NULL;
        write_secret(rows[i].content, strlen(rows[i].content), 0600);
        assert_ok(rw_secret_load("RUNWAVE_TEST_UNSET", "secret", &secret, &err), &err);
        assert_string_equal(secret, rows[i].secret);
        rw_secret_free(secret);
    }
    rw_secret_free(NULL);
}

static void test_the_environment_comes_first(void **state)
{
    (void)state;
    struct rw_error err = {0};
    char *secret = NULL;
    write_secret("file\n", 5, 0600);
    assert_int_equal(setenv("RUNWAVE_TEST_SECRET", "environment", 1), 0);
    assert_ok(rw_secret_load("RUNWAVE_TEST_SECRET", "secret", &secret, &err), &err);
    assert_string_equal(secret, "environment");
    rw_secret_free(secret);
    assert_non_null(getenv("RUNWAVE_TEST_SECRET"));
    assert_int_equal(setenv("RUNWAVE_TEST_SECRET", "", 1), 0);
    assert_ok(rw_secret_load("RUNWAVE_TEST_SECRET", "secret", &secret, &err), &err);
    assert_string_equal(secret, "file");
    rw_secret_free(secret);
    secret = NULL;
    RW_AUTO_FREE char *large = rw_xcalloc(1, RW_SECRET_BYTES_MAX + 2);
    memset(large, 'x', RW_SECRET_BYTES_MAX + 1);
    assert_int_equal(setenv("RUNWAVE_TEST_SECRET", large, 1), 0);
    assert_fails(rw_secret_load("RUNWAVE_TEST_SECRET", "secret", &secret, &err), &err, CONFIG, "at most 4096");
    assert_null(secret);
    assert_int_equal(unsetenv("RUNWAVE_TEST_SECRET"), 0);
}

static void test_secrets_that_are_refused(void **state)
{
    (void)state;
    struct rw_error err = {0};
    char *secret = NULL;
    static const unsigned modes[] = {0604, 0602, 0620, 0640, 0660, 0666, 0610, 0601};
    for (size_t i = 0; i < RW_ARRAY_SIZE(modes); i++) {
        write_secret("swordfish", 9, modes[i]);
        assert_fails(rw_secret_load(NULL, "secret", &secret, &err), &err, CONFIG, "chmod 600");
        assert_null(strstr(err.message, "swordfish"));
    }
    RW_AUTO_FREE char *large = rw_xmalloc(RW_SECRET_BYTES_MAX + 2);
    memset(large, 'x', RW_SECRET_BYTES_MAX + 2);
    write_secret(large, RW_SECRET_BYTES_MAX + 1, 0600);
    assert_fails(rw_secret_load(NULL, "secret", &secret, &err), &err, CONFIG, "1 to 4096 bytes");
    write_secret(large, RW_SECRET_BYTES_MAX + 2, 0600);
    assert_fails(rw_secret_load(NULL, "secret", &secret, &err), &err, CONFIG, "1 to 4096 bytes");
    write_secret("\n", 1, 0600);
    assert_fails(rw_secret_load(NULL, "secret", &secret, &err), &err, CONFIG, "1 to 4096 bytes");
    write_secret("a\0b", 3, 0600);
    assert_fails(rw_secret_load(NULL, "secret", &secret, &err), &err, CONFIG, "without NUL");
    assert_fails(rw_secret_load(NULL, "absent", &secret, &err), &err, CONFIG, "absent");
    assert_fails(rw_secret_load(NULL, "/dev/null", &secret, &err), &err, CONFIG, "not a regular file");
    assert_fails(rw_secret_load("RUNWAVE_TEST_UNSET", NULL, &secret, &err), &err, CONFIG, "neither RUNWAVE_TEST_UNSET is set");
    write_secret(large, RW_SECRET_BYTES_MAX, 0400);
    assert_ok(rw_secret_load(NULL, "secret", &secret, &err), &err);
    assert_int_equal(strlen(secret), RW_SECRET_BYTES_MAX);
    rw_secret_free(secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_file),
        cmocka_unit_test(test_defaults_fill_only_what_is_not_given),
        cmocka_unit_test(test_faults_name_file_and_line),
        cmocka_unit_test(test_files_that_are_none),
        cmocka_unit_test(test_a_secret_from_a_file),
        cmocka_unit_test(test_the_environment_comes_first),
        cmocka_unit_test(test_secrets_that_are_refused),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
