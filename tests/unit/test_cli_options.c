/* The client's command line: what each command takes, what is refused, and what the defaults are. */
#include "support.h"

#include <stdlib.h>

#include "options.h"

enum { WORDS_MAX = 16 };

/* Parse a command line given as words; getopt reorders, so the array is made afresh. */
static int parse(const char *const *words, struct cli_options *options, struct rw_error *err)
{
    char *argv[WORDS_MAX + 1] = {NULL};
    int argc = 0;
    while (words[argc]) {
        argc++;
    }
    memcpy(argv, words, (size_t)argc * sizeof(*words));
    return options_parse(argc, argv, options, err);
}

#define PARSE(options, err, ...) parse((const char *const[]){"runwave", __VA_ARGS__, NULL}, options, err)

static void test_submit_takes_every_option(void **state)
{
    (void)state;
    struct cli_options options;
    struct rw_error err = {0};
    assert_int_equal(PARSE(&options, &err, "submit", "main.c", "-l", "c", "--version=12", "util.c", "-a", "-x", "--arg", "y", "-e",
                           "A=1", "--json"),
                     0);
    assert_int_equal(options.command, CLI_SUBMIT);
    assert_string_equal(options.language, "c");
    assert_string_equal(options.version, "12");
    assert_int_equal(options.operands.count, 2);
    assert_string_equal(options.operands.items[0], "main.c");
    assert_string_equal(options.operands.items[1], "util.c");
    assert_int_equal(options.args.count, 2);
    assert_string_equal(options.args.items[0], "-x");
    assert_string_equal(options.args.items[1], "y");
    assert_string_equal(options.env.items[0], "A=1");
    assert_true(options.is_json);
    assert_int_equal(options.wait_s, 60);
}

static void test_options_of_the_compiler_and_limits(void **state)
{
    (void)state;
    struct cli_options options;
    struct rw_error err = {0};
    assert_int_equal(PARSE(&options, &err, "submit", "-", "-o", "-O2", "--limit", "wall_ms=5", "-i", "in.txt", "-w", "0"), 0);
    assert_string_equal(options.operands.items[0], "-");
    assert_string_equal(options.compile_options.items[0], "-O2");
    assert_string_equal(options.limits.items[0], "wall_ms=5");
    assert_string_equal(options.stdin_path, "in.txt");
    assert_int_equal(options.wait_s, 0);
}

static void test_result_waits_only_when_told(void **state)
{
    (void)state;
    struct cli_options options;
    struct rw_error err = {0};
    assert_int_equal(PARSE(&options, &err, "result", "id"), 0);
    assert_int_equal(options.command, CLI_RESULT);
    assert_int_equal(options.wait_s, 0);
    assert_int_equal(PARSE(&options, &err, "result", "id", "--wait", "86400"), 0);
    assert_int_equal(options.wait_s, 86400);
}

static void test_server_from_option_environment_or_default(void **state)
{
    (void)state;
    struct cli_options options;
    struct rw_error err = {0};
    unsetenv("RUNWAVE_SERVER");
    assert_int_equal(PARSE(&options, &err, "health"), 0);
    assert_string_equal(options.server, "http://127.0.0.1:8080");
    setenv("RUNWAVE_SERVER", "http://there:1", 1);
    assert_int_equal(PARSE(&options, &err, "health"), 0);
    assert_string_equal(options.server, "http://there:1");
    assert_int_equal(PARSE(&options, &err, "health", "-s", "unix:/run/api.sock"), 0);
    assert_string_equal(options.server, "unix:/run/api.sock");
    unsetenv("RUNWAVE_SERVER");
}

static void test_help_and_version(void **state)
{
    (void)state;
    struct cli_options options;
    struct rw_error err = {0};
    static const char *const words[] = {"help", "--help", "-h"};
    for (size_t i = 0; i < RW_ARRAY_SIZE(words); i++) {
        assert_int_equal(PARSE(&options, &err, words[i]), 0);
        assert_true(options.is_help);
    }
    assert_int_equal(PARSE(&options, &err, "submit", "--help"), 0); /* though its FILE is missing */
    assert_true(options.is_help);
    assert_int_equal(PARSE(&options, &err, "--version"), 0);
    assert_true(options.is_version);
}

static void test_wrong_command_lines_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *words[6];
        const char *message; /* a part of it */
    } cases[] = {
        {{"runwave"}, "command is missing"},
        {{"runwave", "fetch"}, "no such command 'fetch'"},
        {{"runwave", "submit"}, "usage: runwave submit FILE..."},
        {{"runwave", "result"}, "usage: runwave result ID"},
        {{"runwave", "result", "a", "b"}, "usage"},
        {{"runwave", "health", "x"}, "usage"},
        {{"runwave", "submit", "a", "--speed"}, "no such option '--speed'"},
        {{"runwave", "result", "a", "--arg", "b"}, "no such option '--arg'"},
        {{"runwave", "result", "a", "-a"}, "no such option '-a'"},
        {{"runwave", "submit", "a", "--arg"}, "a value is missing after '--arg'"},
        {{"runwave", "submit", "a", "-w", "x"}, "--wait wants whole seconds"},
        {{"runwave", "submit", "a", "-w", ""}, "--wait wants whole seconds"},
        {{"runwave", "submit", "a", "-w", "-1"}, "--wait wants whole seconds"},
        {{"runwave", "submit", "a", "-w", "86401"}, "--wait wants whole seconds"},
        {{"runwave", "submit", "a", "-w", "99999999999999999999"}, "--wait wants whole seconds"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        struct cli_options options;
        struct rw_error err = {0};
        const char *words[WORDS_MAX + 1] = {NULL};
        memcpy(words, cases[i].words, sizeof(cases[i].words));
        assert_int_equal(parse(words, &options, &err), -1);
        assert_int_equal(err.code, RW_ERR_INVALID);
        if (!strstr(err.message, cases[i].message)) {
            fail_msg("case %zu: '%s' does not tell '%s'", i, err.message, cases[i].message);
        }
    }
}

static void test_lists_are_bounded(void **state)
{
    (void)state;
    enum { MANY = RW_JOB_ARGS_MAX + 1 };
    char *argv[2 + 2 * MANY + 1];
    int argc = 0;
    char words[][8] = {"runwave", "submit", "-a", "x"};
    argv[argc++] = words[0];
    argv[argc++] = words[1];
    for (int i = 0; i < MANY; i++) {
        argv[argc++] = words[2];
        argv[argc++] = words[3];
    }
    argv[argc] = NULL;
    struct cli_options options;
    struct rw_error err = {0};
    assert_int_equal(options_parse(argc, argv, &options, &err), -1);
    assert_int_equal(err.code, RW_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_submit_takes_every_option),
        cmocka_unit_test(test_options_of_the_compiler_and_limits),
        cmocka_unit_test(test_result_waits_only_when_told),
        cmocka_unit_test(test_server_from_option_environment_or_default),
        cmocka_unit_test(test_help_and_version),
        cmocka_unit_test(test_wrong_command_lines_are_refused),
        cmocka_unit_test(test_lists_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
