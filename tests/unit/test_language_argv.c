/* From a template to an argv: every mark, nothing expanded twice, nothing taken for an option. */
#include "support.h"

#include <rw/language.h>

static const char *const sources[] = {"main.c", "-evil.c", "@list.c", "lib/-x.c"};
static const char *const options[] = {"-O2", "{entry}"};
static const char *const args[] = {"", "a b", "{args}", "$HOME", "-n"};

/* Expand with every input; what comes out joined by '|', owned by the caller. */
static char *expand(char *const *template_argv, size_t n_template, const char *entry)
{
    struct rw_error err = {0};
    const struct rw_argv_inputs inputs = {entry, sources, 4, options, 2, args, 5, 1048576};
    RW_AUTO(rw_strv_free) char **argv = NULL;
    size_t n = 0;
    assert_ok(rw_argv_expand(template_argv, n_template, &inputs, &argv, &n, &err), &err);
    assert_null(argv[n]);
    RW_AUTO_BUFFER struct rw_buffer joined;
    rw_buffer_init(&joined, 10000);
    for (size_t i = 0; i < n; i++) {
        assert_ok(rw_buffer_printf(&joined, &err, "%s%s", i ? "|" : "", argv[i]), &err);
    }
    assert_ok(rw_buffer_append(&joined, "", 1, &err), &err);
    return (char *)rw_take(joined.data);
}

static void test_templates(void **state)
{
    (void)state;
    static const struct {
        char element[48];
        const char *entry;
        const char *wanted;
    } rows[] = {
        {"{sources}", "x", "main.c|./-evil.c|./@list.c|lib/-x.c"},
        {"{options}", "x", "-O2|{entry}"},
        {"{args}", "x", "|a b|{args}|$HOME|-n"},
        {"{entry}", "main.py", "main.py"},
        {"{entry}", "-c", "./-c"},
        {"{entry}", "@x", "./@x"},
        {"--file={entry}", "-c", "--file=-c"},
        {"{entry_stem}", "Main.java", "Main"},
        {"{entry_stem}", "pkg.d/Main.java", "pkg.d/Main"},
        {"{entry_stem}", "pkg.d/Main", "pkg.d/Main"},
        {"{entry_stem}", "a.b.c", "a.b"},
        {"{entry_stem}", ".profile", ".profile"},
        {"{entry_stem}", "x/.profile", "x/.profile"},
        {"-o={entry_stem}.class,{entry}", "A.x", "-o=A.class,A.x"},
        {"-Xmx{memory_bytes}", "x", "-Xmx1048576"},
        {"{entry}{entry}", "{entry}", "{entry}{entry}"},
        {"{unknown} {entry", "x", "{unknown} {entry"},
        {"plain", NULL, "plain"},
        {"[{entry}]", NULL, "[]"},
        {"x{args}", "x", "x{args}"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        RW_AUTO_FREE char *element = rw_xstrdup(rows[i].element);
        RW_AUTO_FREE char *joined = expand(&element, 1, rows[i].entry);
        assert_string_equal(joined, rows[i].wanted);
    }
}

static void test_order_is_kept(void **state)
{
    (void)state;
    char program[] = "/bin/x", mark[] = "{options}", entry[] = "{entry}", dashes[] = "--";
    char *template_argv[] = {program, mark, entry, dashes};
    RW_AUTO_FREE char *joined = expand(template_argv, 4, "m");
    assert_string_equal(joined, "/bin/x|-O2|{entry}|m|--");
}

static void test_bounds(void **state)
{
    (void)state;
    struct rw_error err = {0};
    static const char *many[RW_JOB_ARGS_MAX + 1];
    char program[] = "/bin/x", mark[] = "{args}", entry[] = "{entry}";
    char *template_argv[] = {program, mark};
    RW_AUTO_FREE char *large = rw_xmalloc(RW_JOB_ARG_BYTES_MAX + 2);
    memset(large, 'a', RW_JOB_ARG_BYTES_MAX + 1);
    large[RW_JOB_ARG_BYTES_MAX + 1] = '\0';
    for (size_t i = 0; i <= RW_JOB_ARGS_MAX; i++) {
        many[i] = "x";
    }
    char **argv = NULL;
    size_t n = 0;
    struct rw_argv_inputs inputs = {.args = many, .n_args = RW_JOB_ARGS_MAX};
    assert_fails(rw_argv_expand(template_argv, 2, &inputs, &argv, &n, &err), &err, TOO_LARGE, "1024");
    assert_null(argv);
    inputs.n_args--;
    assert_ok(rw_argv_expand(template_argv, 2, &inputs, &argv, &n, &err), &err);
    assert_int_equal(n, RW_JOB_ARGS_MAX);
    rw_strv_free(argv);
    argv = NULL;
    many[0] = large;
    inputs.n_args = 1;
    assert_fails(rw_argv_expand(template_argv, 2, &inputs, &argv, &n, &err), &err, TOO_LARGE, "131071 bytes");
    char *entry_argv[] = {entry};
    inputs.entry = large;
    assert_fails(rw_argv_expand(entry_argv, 1, &inputs, &argv, &n, &err), &err, TOO_LARGE, "131071 bytes");
    assert_null(argv);
    assert_ok(rw_argv_expand(NULL, 0, &inputs, &argv, &n, &err), &err);
    assert_int_equal(n, 0);
    rw_strv_free(argv);
    rw_strv_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_order_is_kept),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests_name("language_argv", tests, NULL, NULL);
}
