/* What the client sends: the files' names and contents, and the language it guesses. */
#include "support.h"

#include "request.h"
#include "source.h"

static char *folder; /* with the files below, for the tests that read */

static int make_files(void **state)
{
    (void)state;
    folder = make_folder();
    RW_AUTO_FREE char *main_path = rw_xasprintf("%s/main.py", folder);
    RW_AUTO_FREE char *data_path = rw_xasprintf("%s/data.bin", folder);
    write_text(main_path, "print('\xc3\xbc')\n");
    write_file(data_path, "\xff\x00", 2);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    free(folder);
    return 0;
}

static void test_names_are_relative_to_the_first_file(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        /* first, path, name */
        {"main.py", "main.py", "main.py"},
        {"src/main.py", "src/main.py", "main.py"},
        {"src/main.py", "src/lib/util.py", "lib/util.py"},
        {"src/main.py", "src/./util.py", "util.py"},
        {"src/main.py", "other/util.py", "util.py"},
        {"main.py", "lib/util.py", "lib/util.py"},
        {"main.py", "../util.py", "util.py"},
        {"main.py", "/abs/util.py", "util.py"},
        {"/abs/main.py", "/abs/lib/util.py", "lib/util.py"},
        {"./main.py", "./lib/util.py", "lib/util.py"},
        {"main.py", "./lib/util.py", "lib/util.py"},
        {"a/main.py", "a/../b/util.py", "util.py"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        assert_string_equal(source_name(cases[i][0], cases[i][1]), cases[i][2]);
    }
}

static void test_language_by_extension(void **state)
{
    (void)state;
    RW_AUTO(cJSON_Delete)
    cJSON *languages = cJSON_Parse("{\"languages\":[{\"id\":\"c\",\"source_extensions\":[\".c\",\".h\"]},"
                                   "{\"id\":\"cpp\",\"source_extensions\":[\".cpp\",\".h\"]},{\"id\":\"odd\"},{}]}");
    assert_non_null(languages);
    const char *language = NULL;
    struct rw_error err = {0};
    assert_ok(request_guess_language(languages, "dir.c/x.cpp", &language, &err), &err);
    assert_string_equal(language, "cpp");
    assert_ok(request_guess_language(languages, "x.c", &language, &err), &err);
    assert_string_equal(language, "c");
    assert_fails(request_guess_language(languages, "x.h", &language, &err), &err, CONFLICT, "");
    assert_fails(request_guess_language(languages, "x.py", &language, &err), &err, NOT_FOUND, "");
    assert_int_equal(request_guess_language(languages, ".c", &language, &err), -1);
}

static void test_request_of_files(void **state)
{
    (void)state;
    RW_AUTO_FREE char *main_path = rw_xasprintf("%s/main.py", folder);
    RW_AUTO_FREE char *data_path = rw_xasprintf("%s/data.bin", folder);
    struct cli_options options = {
        .version = "3",
        .isolation = "sandbox",
        .stdin_path = data_path,
        .operands = {.items = {main_path, data_path}, .count = 2},
        .args = {.items = {"a", ""}, .count = 2},
        .env = {.items = {"A=1", "B=x=y", "A=2"}, .count = 3},
        .compile_options = {.items = {"-O2"}, .count = 1},
        .limits = {.items = {"wall_ms=9007199254740993"}, .count = 1},
    };
    RW_AUTO(cJSON_Delete) cJSON *body = NULL;
    struct rw_error err = {0};
    assert_ok(request_build(&options, "python", &body, &err), &err);
    RW_AUTO_FREE char *text = rw_json_print(body, NULL);
    assert_string_equal(text,
                        "{\"language\":\"python\",\"version\":\"3\",\"isolation\":\"sandbox\",\"files\":[{\"name\":\"main.py\","
                        "\"content\":\"print('\xc3\xbc')\\n\"},"
                        "{\"name\":\"data.bin\",\"content\":\"/wA=\",\"encoding\":\"base64\"}],\"entry\":\"main.py\","
                        "\"stdin\":\"/wA=\",\"stdin_encoding\":\"base64\",\"env\":{\"B\":\"x=y\",\"A\":\"2\"},"
                        "\"limits\":{\"wall_ms\":9007199254740993},\"args\":[\"a\",\"\"],\"compile\":{\"options\":[\"-O2\"]}}");
}

static void check_refused(struct cli_options *options, enum rw_err code)
{
    RW_AUTO(cJSON_Delete) cJSON *body = NULL;
    struct rw_error err = {0};
    assert_int_equal(request_build(options, "python", &body, &err), -1);
    assert_int_equal(err.code, code);
    assert_null(body);
}

static void test_wrong_requests_are_refused(void **state)
{
    (void)state;
    RW_AUTO_FREE char *main_path = rw_xasprintf("%s/main.py", folder);
    RW_AUTO_FREE char *missing_path = rw_xasprintf("%s/missing.py", folder);
    static const char *const env_wrong[] = {"A", "=1", ""};
    static const char *const limits_wrong[] = {"wall_ms", "wall_ms=", "wall_ms=1s", "wall_ms=99999999999999999999"};
    for (size_t i = 0; i < RW_ARRAY_SIZE(env_wrong); i++) {
        struct cli_options options = {.operands = {.items = {main_path}, .count = 1}, .env = {.items = {env_wrong[i]}, .count = 1}};
        check_refused(&options, RW_ERR_INVALID);
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(limits_wrong); i++) {
        struct cli_options options = {.operands = {.items = {main_path}, .count = 1},
                                      .limits = {.items = {limits_wrong[i]}, .count = 1}};
        check_refused(&options, RW_ERR_INVALID);
    }
    struct cli_options missing = {.operands = {.items = {missing_path}, .count = 1}};
    check_refused(&missing, RW_ERR_NOT_FOUND);
    struct cli_options endless = {.operands = {.items = {"/dev/zero"}, .count = 1}};
    check_refused(&endless, RW_ERR_TOO_LARGE);
    struct cli_options twice = {.stdin_path = "-", .operands = {.items = {"-"}, .count = 1}};
    check_refused(&twice, RW_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_relative_to_the_first_file),
        cmocka_unit_test(test_language_by_extension),
        cmocka_unit_test(test_request_of_files),
        cmocka_unit_test(test_wrong_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
