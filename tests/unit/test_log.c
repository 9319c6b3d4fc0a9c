/* The log, read back from standard error: every line must be JSON that cJSON takes. */
#include "support.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <rw/bytes.h>
#include <rw/log.h>
#include <unistd.h>

/* Standard error goes to a file while a test writes, so that nothing blocks however much it is. */
struct capture {
    int saved;
    char text[600 * 1024];
    size_t len;
};

static void begin_capture(struct capture *capture)
{
    (void)fflush(stderr);
    capture->saved = dup(STDERR_FILENO);
    int fd = open("log.txt", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    assert_true(fd >= 0 && capture->saved >= 0);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    (void)close(fd);
}

static void end_capture(struct capture *capture)
{
    ssize_t got = pread(STDERR_FILENO, capture->text, sizeof(capture->text) - 1, 0);
    (void)dup2(capture->saved, STDERR_FILENO);
    (void)close(capture->saved);
    assert_true(got >= 0);
    capture->len = (size_t)got;
    capture->text[got] = '\0';
}

static cJSON *parse_line(const char *text)
{
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithOpts(text, &end, false);
    if (!json || *end != '\n') {
        fail_msg("not a line of JSON: %.300s", text);
    }
    return json;
}

/* The only line that statement writes, as JSON in variable json. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared */
#define LOGGED(json, statement)                                                                                                    \
    static struct capture json##_capture;                                                                                          \
    begin_capture(&json##_capture);                                                                                                \
    statement;                                                                                                                     \
    end_capture(&json##_capture);                                                                                                  \
    __attribute__((cleanup(free_json))) cJSON *json = parse_line(json##_capture.text)
/* NOLINTEND(bugprone-macro-parentheses) */

static void free_json(cJSON **json)
{
    cJSON_Delete(*json);
}

static const char *text_of(const cJSON *json, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
    assert_non_null(text);
    return text;
}

static void test_a_line_has_everything(void **state)
{
    (void)state;
    rw_log_setup("scheduler", RW_LOG_INFO);
    LOGGED(json,
           rw_log(RW_LOG_WARNING, "task recorded", RW_LOG_STR("task_id", "abc"), RW_LOG_INT("attempt", -2),
                  RW_LOG_FLOAT("seconds", 0.25), RW_LOG_BOOL("late", true), RW_LOG_STR("nothing", NULL), RW_LOG_FLOAT("odd", NAN)));
    assert_int_equal(strlen(text_of(json, "time")), 27);
    assert_string_equal(text_of(json, "level"), "warning");
    assert_string_equal(text_of(json, "daemon"), "scheduler");
    assert_string_equal(text_of(json, "message"), "task recorded");
    assert_string_equal(text_of(json, "task_id"), "abc");
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "attempt")) == -2);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "seconds")) == 0.25);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "late")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(json, "nothing")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(json, "odd")));
    assert_int_equal(cJSON_GetArraySize(json), 10);
    assert_null(strchr(json_capture.text, '\n')[1] ? "second line" : NULL);
}

static void test_levels_below_the_lowest_are_left_out(void **state)
{
    (void)state;
    static struct capture capture;
    rw_log_setup("x", RW_LOG_WARNING);
    begin_capture(&capture);
    rw_log(RW_LOG_DEBUG, "a");
    rw_log(RW_LOG_INFO, "b");
    rw_log((enum rw_log_level)99, "c");
    rw_log(RW_LOG_ERROR, "d");
    end_capture(&capture);
    assert_null(strstr(capture.text, "\"a\""));
    assert_null(strstr(capture.text, "\"b\""));
    assert_null(strstr(capture.text, "\"c\""));
    assert_non_null(strstr(capture.text, "\"d\""));
}

static void test_strings_are_escaped(void **state)
{
    (void)state;
    rw_log_setup("x", RW_LOG_DEBUG);
    LOGGED(json, rw_log(RW_LOG_INFO, "q\" b\\ n\n t\t \x01 \x7f \xC3\xA9 \xF0\x9F\x98\x80"));
    assert_string_equal(text_of(json, "message"), "q\" b\\ n\n t\t \x01 \x7f \xC3\xA9 \xF0\x9F\x98\x80");
    for (size_t i = 0; i + 1 < json_capture.len; i++) { /* cJSON would take control characters */
        assert_true((unsigned char)json_capture.text[i] >= 0x20 && json_capture.text[i] != 0x7F);
    }
}

static void test_what_is_not_utf8_becomes_the_replacement(void **state)
{
    (void)state;
    rw_log_setup("x", RW_LOG_DEBUG);
    LOGGED(json, rw_log(RW_LOG_INFO, "\xFF-\xC3-\xED\xA0\x80-\xC0\x80-\xE2\x82"));
    assert_string_equal(text_of(json, "message"), "\xEF\xBF\xBD-\xEF\xBF\xBD-\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD-"
                                                  "\xEF\xBF\xBD\xEF\xBF\xBD-\xEF\xBF\xBD\xEF\xBF\xBD");
}

static void test_a_long_string_is_cut(void **state)
{
    (void)state;
    char text[5001];
    memset(text, 'a', 5000);
    text[5000] = '\0';
    rw_log_setup("x", RW_LOG_DEBUG);
    LOGGED(json, rw_log(RW_LOG_INFO, text, RW_LOG_INT("after", 1)));
    assert_int_equal(strlen(text_of(json, "message")), 4096);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "truncated")));
    assert_non_null(cJSON_GetObjectItem(json, "after"));
}

/* Six bytes out of each in: 2700 are nearly a line. The letters behind move every field across the line's end. */
static void test_a_line_never_exceeds_its_bound(void **state)
{
    (void)state;
    char text[4097];
    static struct capture capture;
    rw_log_setup("x", RW_LOG_DEBUG);
    for (size_t n_letters = 0; n_letters < 200; n_letters++) {
        memset(text, 1, 2680);
        memset(text + 2680, 'a', n_letters);
        text[2680 + n_letters] = '\0';
        begin_capture(&capture);
        rw_log(RW_LOG_INFO, "m", RW_LOG_STR("first", text), RW_LOG_STR("second", "2"), RW_LOG_INT("third", 3));
        end_capture(&capture);
        assert_true(capture.len <= 16 * 1024);
        __attribute__((cleanup(free_json))) cJSON *json = parse_line(capture.text);
        bool is_first_whole = strlen(text_of(json, "first")) == 2680 + n_letters;
        bool is_whole = is_first_whole && cJSON_GetObjectItem(json, "second") && cJSON_GetObjectItem(json, "third");
        assert_int_equal(is_whole, !cJSON_GetObjectItem(json, "truncated"));
        assert_true(n_letters > 30 || is_whole);
        assert_true(n_letters < 180 || !is_whole);
    }
}

static void test_an_error_as_fields(void **state)
{
    (void)state;
    struct rw_error err = {0};
    (void)rw_fail_sys(&err, IO, ENOENT, "open x");
    rw_log_setup("x", RW_LOG_DEBUG);
    LOGGED(json, rw_log_error(RW_LOG_ERROR, "failed", &err, RW_LOG_INT("more", 1)));
    assert_string_equal(text_of(json, "error"), "io");
    assert_string_equal(text_of(json, "error_message"), "open x: No such file or directory");
    assert_string_equal(text_of(json, "error_where"), "test_an_error_as_fields");
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "errno")) == ENOENT);
    assert_non_null(cJSON_GetObjectItem(json, "more"));
}

static void test_errno_is_left_alone(void **state)
{
    (void)state;
    rw_log_setup("x", RW_LOG_DEBUG);
    int saved = dup(STDERR_FILENO);
    (void)close(STDERR_FILENO);
    errno = 42;
    rw_log(RW_LOG_INFO, "nobody reads this");
    int after = errno;
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    assert_int_equal(after, 42);
}

static void *write_many(void *letter)
{
    char text[200];
    memset(text, *(const char *)letter, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (size_t i = 0; i < 300; i++) {
        rw_log(RW_LOG_INFO, text);
    }
    return NULL;
}

static void test_lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    static struct capture capture;
    static char letters[] = "abcd";
    pthread_t threads[4];
    rw_log_setup("x", RW_LOG_DEBUG);
    begin_capture(&capture);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &letters[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    end_capture(&capture);
    size_t n_lines = 0;
    for (const char *line = capture.text; *line; line = strchr(line, '\n') + 1) {
        __attribute__((cleanup(free_json))) cJSON *json = parse_line(line);
        const char *message = text_of(json, "message");
        assert_int_equal(strspn(message, (char[]){message[0], '\0'}), 199);
        n_lines++;
    }
    assert_int_equal(n_lines, 1200);
}

static void test_levels_by_name(void **state)
{
    (void)state;
    struct rw_error err = {0};
    enum rw_log_level level = RW_LOG_DEBUG;
    assert_ok(rw_log_level_parse("warning", &level, &err), &err);
    assert_int_equal(level, RW_LOG_WARNING);
    assert_fails(rw_log_level_parse("loud", &level, &err), &err, INVALID, "loud");
    assert_fails(rw_log_level_parse("", &level, &err), &err, INVALID, "debug, info");
    assert_int_equal(level, RW_LOG_WARNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_has_everything),       cmocka_unit_test(test_levels_below_the_lowest_are_left_out),
        cmocka_unit_test(test_strings_are_escaped),         cmocka_unit_test(test_what_is_not_utf8_becomes_the_replacement),
        cmocka_unit_test(test_a_long_string_is_cut),        cmocka_unit_test(test_a_line_never_exceeds_its_bound),
        cmocka_unit_test(test_an_error_as_fields),          cmocka_unit_test(test_errno_is_left_alone),
        cmocka_unit_test(test_lines_of_threads_do_not_mix), cmocka_unit_test(test_levels_by_name),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
