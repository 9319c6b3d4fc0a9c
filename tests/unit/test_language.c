/* The language catalogue: the shipped languages load, every violation is refused, and looking up. A faulty language.yaml is the
 * good one with one text replaced. */
#include "support.h"

#include <unistd.h>

#include <rw/language.h>

static const char good[] =
    "id: demo\n"
    "name: Demo\n"
    "aliases: [dm, demo2]\n"
    "source_file: main.dm\n"
    "source_extensions: [.dm, .dmh]\n"
    "versions:\n"
    "  - version: \"3.9.1\"\n"
    "    probe: [/usr/bin/dm, --version]\n"
    "    run: [/usr/bin/dm, \"{entry}\", \"{args}\"]\n"
    "  - version: \"3.11.2\"\n"
    "    default: true\n"
    "    probe: [/usr/bin/dm, --version]\n"
    "    compile: [/usr/bin/dmc, \"-m{memory_bytes}\", \"{options}\", \"{sources}\"]\n"
    "    run: [/usr/bin/dm, \"{entry_stem}\", \"{args}\"]\n"
    "  - {version: \"30.1\", probe: [/usr/bin/dm30], run: [/usr/bin/dm30]}\n"
    "environment: [\"PATH=/usr/bin:/bin\", \"A_1=\"]\n"
    "compile_options: ['-O[0-3]', '-D[A-Z]+(=.*)?|-g']\n"
    "limits:\n"
    "  default: {cpu_ms: 1, wall_ms: 2, memory_bytes: 3, processes: 4, output_bytes: 5, file_bytes: 6, "
    "disk_bytes: 7, open_files: 8}\n"
    "  maximum: {cpu_ms: 11, wall_ms: 12, memory_bytes: 13, processes: 14, output_bytes: 15, file_bytes: 16, "
    "disk_bytes: 17, open_files: 18}\n"
    "  compile: {cpu_ms: 21, wall_ms: 22, memory_bytes: 23, processes: 24, output_bytes: 25, file_bytes: 26, "
    "disk_bytes: 27, open_files: 28}\n"
    "pool: {warm: 1, max: 2}\n"
    "sample: hello\n";

/* text with the one place of from replaced by to; owned by the caller. */
static char *replaced(const char *text, const char *from, const char *to)
{
    const char *place = strstr(text, from);
    assert_non_null(place);
    return rw_xasprintf("%.*s%s%s", (int)(place - text), text, to, place + strlen(from));
}

static void put_language(const char *dir, const char *folder, const char *text)
{
    RW_AUTO_FREE char *path = rw_xasprintf("%s/%s", dir, folder);
    RW_AUTO_FREE char *file = rw_xasprintf("%s/language.yaml", path);
    (void)mkdir(path, 0700);
    write_text(file, text);
}

static void test_everything_of_a_language(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO_FREE char *dir = make_folder();
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
    put_language(dir, "demo", good);
    assert_ok(rw_catalogue_load(dir, &catalogue, &err), &err);
    assert_int_equal(rw_catalogue_count(catalogue), 1);
    assert_null(rw_catalogue_at(catalogue, 1));
    const struct rw_language *language = rw_catalogue_at(catalogue, 0);
    assert_string_equal(language->name, "Demo");
    assert_string_equal(language->source_file, "main.dm");
    assert_int_equal(language->n_source_extensions, 2);
    assert_int_equal(language->n_versions, 3);
    assert_null(language->versions[0].compile_argv);
    assert_int_equal(language->versions[1].n_compile_argv, 4);
    assert_string_equal(language->versions[1].compile_argv[0], "/usr/bin/dmc");
    assert_string_equal(language->versions[1].run_argv[1], "{entry_stem}");
    assert_string_equal(language->environment[1], "A_1=");
    static const struct rw_limits limits[] = {
        {1, 2, 3, 4, 5, 6, 7, 8}, {11, 12, 13, 14, 15, 16, 17, 18}, {21, 22, 23, 24, 25, 26, 27, 28}};
    assert_memory_equal(&language->limits_default, &limits[0], sizeof(limits[0]));
    assert_memory_equal(&language->limits_max, &limits[1], sizeof(limits[0]));
    assert_memory_equal(&language->compile_limits, &limits[2], sizeof(limits[0]));
    assert_int_equal(language->pool.warm, 1);
    assert_int_equal(language->pool.max, 2);
    assert_string_equal(language->sample, "hello");
}

static void test_the_shipped_languages(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
    assert_ok(rw_catalogue_load(RUNWAVE_SOURCE_DIR "/runner-images", &catalogue, &err), &err);
    static const char *const ids[] = {"bash", "c", "cpp", "java", "javascript", "python"};
    for (size_t i = 0; i < RW_ARRAY_SIZE(ids); i++) {
        const struct rw_language *language = rw_catalogue_find(catalogue, ids[i]);
        assert_non_null(language);
        RW_AUTO_FREE char *sample = rw_xasprintf("%s/runner-images/%s/cases/%s/case.yaml", RUNWAVE_SOURCE_DIR, ids[i],
                                                 language->sample);
        assert_int_equal(access(sample, R_OK), 0);
    }
    assert_ptr_equal(rw_catalogue_find(catalogue, "py"), rw_catalogue_find(catalogue, "python"));
    assert_null(rw_catalogue_find(catalogue, "Python"));
    assert_null(rw_catalogue_find(catalogue, "runner"));
}

/* The example that docs/adding-a-language.md shows is one that loads. */
static void test_the_documented_example(void **state)
{
    (void)state;
    static char text[64 * 1024];
    struct rw_error err = {0};
    RW_AUTO_FREE char *dir = make_folder();
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
    FILE *file = fopen(RUNWAVE_SOURCE_DIR "/docs/adding-a-language.md", "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    char *begin = strstr(text, "```yaml\n");
    assert_non_null(begin);
    begin += strlen("```yaml\n");
    char *end = strstr(begin, "```");
    assert_non_null(end);
    *end = '\0';
    put_language(dir, "demo", begin);
    assert_ok(rw_catalogue_load(dir, &catalogue, &err), &err);
}

static const struct {
    const char *from;
    const char *to;
    const char *part;
} violations[] = {
    /* by the schema, with the line */
    {"name: Demo\n", "", "Missing required mapping field: name"},
    {"name: Demo", "name: \"\"", "language.yaml:2: STRING length < 1"},
    {"name: Demo", "naem: Demo", "language.yaml:2: unknown key \"naem\""},
    {"default: true", "default: yes", "language.yaml:11: \"yes\" is neither true nor false"},
    {"default: {cpu_ms: 1,", "default: {", "Missing required mapping field: cpu_ms"},
    {"default: {cpu_ms: 1,", "default: {cpu_ms: 1, nice: 3,", "language.yaml:19: unknown key \"nice\""},
    {"cpu_ms: 1,", "cpu_ms: -1,", "language.yaml:19: \"-1\" is not a whole number"},
    {"cpu_ms: 1,", "cpu_ms: 1s,", "\"1s\" is not a whole number"},
    {"source_extensions: [.dm, .dmh]", "source_extensions: []", "language.yaml:5: Insufficient entries"},
    {"probe: [/usr/bin/dm, --version]", "probe: []", "language.yaml:8: Insufficient entries"},
    {"sample: hello\n", "sample: hello\nsample: hello\n", "a second time"},
    /* names */
    {"id: demo", "id: other", "\"other\" stands in the folder \"demo\""},
    {"id: demo", "id: Demo", "id: \"Demo\" does not match"},
    {"id: demo", "id: 1demo", "does not match"},
    {"id: demo", "id: de.mo", "does not match"},
    {"[dm, demo2]", "[DM]", "aliases[0]: \"DM\" does not match"},
    {"[dm, demo2]", "[\"d m\"]", "does not match"},
    {"[dm, demo2]", "[demo]", "aliases[0]: \"demo\" stands twice"},
    {"[dm, demo2]", "[a, b, a]", "aliases[2]: \"a\" stands twice"},
    {"sample: hello", "sample: ../x", "sample: \"../x\" does not match"},
    /* sources */
    {"source_file: main.dm", "source_file: ../main.dm", "source_file: must not hold"},
    {"source_file: main.dm", "source_file: main.py", "has none of the source_extensions"},
    {"[.dm, .dmh]", "[dm]", "source_extensions[0]: \"dm\" must begin with a dot"},
    /* versions */
    {"    default: true\n", "", "exactly one must have default: true"},
    {"- version: \"3.9.1\"\n", "- version: \"3.9.1\"\n    default: true\n", "exactly one must have default: true"},
    {"\"30.1\"", "\"3.9.1\"", "versions[2]: \"3.9.1\" stands twice"},
    {"\"30.1\"", "\"30 1\"", "versions[2]: version: \"30 1\""},
    {"run: [/usr/bin/dm30]", "run: [dm30]", "versions[2]: run: must begin with an absolute path"},
    {"probe: [/usr/bin/dm30]", "probe: [dm30]", "versions[2]: probe: must begin with an absolute path"},
    {"compile: [/usr/bin/dmc,", "compile: [dmc,", "versions[1]: compile: must begin with an absolute path"},
    {"\"{entry_stem}\"", "\"{entries}\"", "run: \"{entries}\" is not known"},
    {"\"{entry_stem}\"", "\"-x{args}\"", "\"{args}\" is not known, or must be an element of its own"},
    {"\"{sources}\"", "\"{source}\"", "compile: \"{source}\" is not known"},
    /* environment and options */
    {"\"A_1=\"", "\"A_1\"", "environment[1]: \"A_1\" is not NAME=VALUE"},
    {"\"A_1=\"", "\"=x\"", "is not NAME=VALUE"},
    {"\"A_1=\"", "\"1A=x\"", "is not NAME=VALUE"},
    {"\"A_1=\"", "\"A-B=x\"", "is not NAME=VALUE"},
    {"\"A_1=\"", "\"PATH=\"", "environment[1]: PATH stands twice"},
    {"'-O[0-3]'", "'-O[0-3'", "compile_options[0]: \"-O[0-3\""},
    {"'-O[0-3]'", "'-O(0'", "compile_options[0]"},
    {"'-O[0-3]'", "'a)(b'", "compile_options[0]: \"a)(b\""},
    /* limits and pool */
    {"cpu_ms: 1,", "cpu_ms: 0,", "limits: cpu_ms must be 1 to 2^53"},
    {"open_files: 8", "open_files: 19", "limits: default open_files is above the maximum"},
    {"open_files: 18", "open_files: 9007199254740993", "limits: open_files must be 1 to 2^53"},
    {"open_files: 28", "open_files: 0", "limits: compile open_files must be 1 to 2^53"},
    {"wall_ms: 22", "wall_ms: 9007199254740993", "limits: compile wall_ms must be 1 to 2^53"},
    {"warm: 1, max: 2", "warm: 3, max: 2", "pool: max must be at least 1 and not below warm"},
    {"warm: 1, max: 2", "warm: 0, max: 0", "pool: max must be at least 1"},
};

static void test_violations(void **state)
{
    (void)state;
    RW_AUTO_FREE char *dir = make_folder();
    for (size_t i = 0; i < RW_ARRAY_SIZE(violations); i++) {
        struct rw_error err = {0};
        struct rw_catalogue *catalogue = NULL;
        RW_AUTO_FREE char *text = replaced(good, violations[i].from, violations[i].to);
        put_language(dir, "demo", text);
        if (rw_catalogue_load(dir, &catalogue, &err) == 0) {
            fail_msg("accepted: %s", violations[i].to);
        }
        assert_fails(-1, &err, CONFIG, violations[i].part);
        assert_non_null(strstr(err.message, "/demo/language.yaml"));
        assert_null(catalogue);
    }
}

static void test_compiling_needs_limits_and_the_other_way_round(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct rw_catalogue *catalogue = NULL;
    RW_AUTO_FREE char *dir = make_folder();
    const char *compile_limits = strstr(good, "  compile: {cpu_ms");
    RW_AUTO_FREE char *without_limits = rw_xasprintf("%.*s%s", (int)(compile_limits - good), good, strstr(good, "pool:"));
    put_language(dir, "demo", without_limits);
    assert_fails(rw_catalogue_load(dir, &catalogue, &err), &err, CONFIG, "limits: compile cpu_ms must be 1 to 2^53");
    RW_AUTO_FREE char *interpreted = replaced(
        good, "    compile: [/usr/bin/dmc, \"-m{memory_bytes}\", \"{options}\", \"{sources}\"]\n", "");
    put_language(dir, "demo", interpreted);
    assert_fails(rw_catalogue_load(dir, &catalogue, &err), &err, CONFIG, "limits: compile: no version compiles");
    const char *rest = strstr(interpreted, "  compile: {cpu_ms");
    RW_AUTO_FREE char *with_options = rw_xasprintf("%.*s%s", (int)(rest - interpreted), interpreted, strstr(good, "pool:"));
    put_language(dir, "demo", with_options);
    assert_fails(rw_catalogue_load(dir, &catalogue, &err), &err, CONFIG, "compile_options: no version compiles");
}

static void test_names_are_used_once_in_all(void **state)
{
    (void)state;
    static const struct {
        const char *aliases;
        const char *part; /* of the message of whichever folder is read second */
    } rows[] = {{"[demo]", "\"demo\" is also a name of language"}, {"[x, dm]", "\"dm\" is also a name of language"}};
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        struct rw_error err = {0};
        struct rw_catalogue *catalogue = NULL;
        RW_AUTO_FREE char *dir = make_folder();
        RW_AUTO_FREE char *renamed = replaced(good, "id: demo", "id: other");
        RW_AUTO_FREE char *other = replaced(renamed, "[dm, demo2]", rows[i].aliases);
        put_language(dir, "demo", good);
        put_language(dir, "other", other);
        assert_fails(rw_catalogue_load(dir, &catalogue, &err), &err, CONFIG, rows[i].part);
    }
}

static void test_languages_are_sorted_and_other_folders_passed_over(void **state)
{
    (void)state;
    static const char *const ids[] = {"zz", "aa", "mm"};
    struct rw_error err = {0};
    RW_AUTO_FREE char *dir = make_folder();
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
    for (size_t i = 0; i < RW_ARRAY_SIZE(ids); i++) {
        RW_AUTO_FREE char *id = rw_xasprintf("id: %s", ids[i]);
        RW_AUTO_FREE char *aliases = rw_xasprintf("[also-%s]", ids[i]);
        RW_AUTO_FREE char *renamed = replaced(good, "id: demo", id);
        RW_AUTO_FREE char *text = replaced(renamed, "[dm, demo2]", aliases);
        put_language(dir, ids[i], text);
    }
    RW_AUTO_FREE char *other = rw_xasprintf("%s/runner", dir);
    RW_AUTO_FREE char *file = rw_xasprintf("%s/README.md", dir);
    assert_int_equal(mkdir(other, 0700), 0);
    write_text(file, "x");
    put_language(dir, ".hidden", "nonsense");
    assert_ok(rw_catalogue_load(dir, &catalogue, &err), &err);
    assert_int_equal(rw_catalogue_count(catalogue), 3);
    assert_string_equal(rw_catalogue_at(catalogue, 0)->id, "aa");
    assert_string_equal(rw_catalogue_at(catalogue, 1)->id, "mm");
    assert_string_equal(rw_catalogue_at(catalogue, 2)->id, "zz");
    assert_ptr_equal(rw_catalogue_find(catalogue, "also-mm"), rw_catalogue_at(catalogue, 1));
}

/* As a ConfigMap is mounted: its keys are files beside one another. */
static void test_a_language_may_be_a_file(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO_FREE char *dir = make_folder();
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
    RW_AUTO_FREE char *file = rw_xasprintf("%s/demo.language.yaml", dir);
    RW_AUTO_FREE char *other = rw_xasprintf("%s/other.yaml", dir);
    write_text(file, good);
    write_text(other, "nonsense");
    assert_ok(rw_catalogue_load(dir, &catalogue, &err), &err);
    assert_int_equal(rw_catalogue_count(catalogue), 1);
    assert_string_equal(rw_catalogue_at(catalogue, 0)->id, "demo");
    RW_AUTO_FREE char *misnamed = rw_xasprintf("%s/dem.language.yaml", dir);
    struct rw_catalogue *none = NULL;
    write_text(misnamed, good);
    assert_fails(rw_catalogue_load(dir, &none, &err), &err, CONFIG, "language.yaml");
}

static void test_no_languages(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct rw_catalogue *catalogue = NULL;
    RW_AUTO_FREE char *dir = make_folder();
    assert_fails(rw_catalogue_load(dir, &catalogue, &err), &err, CONFIG, "no language");
    assert_fails(rw_catalogue_load("absent", &catalogue, &err), &err, CONFIG, "open folder absent: No such file");
    for (int i = 0; i <= RW_LANGUAGES_MAX; i++) {
        RW_AUTO_FREE char *folder = rw_xasprintf("l%d", i);
        RW_AUTO_FREE char *id = rw_xasprintf("id: l%d", i);
        RW_AUTO_FREE char *renamed = replaced(good, "id: demo", id);
        RW_AUTO_FREE char *text = replaced(renamed, "[dm, demo2]", "[]");
        put_language(dir, folder, text);
    }
    assert_fails(rw_catalogue_load(dir, &catalogue, &err), &err, CONFIG, "more than 64 languages");
    rw_catalogue_free(NULL);
}

static void test_finding_a_version(void **state)
{
    (void)state;
    static const struct {
        const char *wanted;
        const char *found;
    } rows[] = {{NULL, "3.11.2"},     {"", "3.11.2"}, {"3", "3.11.2"}, {"3.9", "3.9.1"}, {"3.11", "3.11.2"},
                {"3.11.2", "3.11.2"}, {"30", "30.1"}, {"3.1", NULL},   {"3.11.", NULL},  {"4", NULL},
                {"3.9.1.0", NULL},    {".", NULL},    {"0", NULL}};
    struct rw_error err = {0};
    RW_AUTO_FREE char *dir = make_folder();
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
    put_language(dir, "demo", good);
    assert_ok(rw_catalogue_load(dir, &catalogue, &err), &err);
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        const struct rw_language_version *version = rw_language_version_find(rw_catalogue_at(catalogue, 0), rows[i].wanted);
        if (rows[i].found) {
            assert_non_null(version);
            assert_string_equal(version->version, rows[i].found);
        } else {
            assert_null(version);
        }
    }
}

static void test_options(void **state)
{
    (void)state;
    static const char *const permitted[] = {"-O0", "-O3", "-g", "-DX", "-DX=1", "-DX=a b", "-DX="};
    static const char *const refused[] = {"",       "-O4", "-O",  "x-O1", "-O1x",   "-O1\n",
                                          "-DX=\n", "-D",  "-Dx", "-gx",  "-O1 -g", "-fplugin=x"};
    struct rw_error err = {0};
    RW_AUTO_FREE char *dir = make_folder();
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
    put_language(dir, "demo", good);
    assert_ok(rw_catalogue_load(dir, &catalogue, &err), &err);
    const struct rw_language *language = rw_catalogue_at(catalogue, 0);
    for (size_t i = 0; i < RW_ARRAY_SIZE(permitted); i++) {
        assert_true(rw_language_option_is_permitted(language, permitted[i]));
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(refused); i++) {
        assert_false(rw_language_option_is_permitted(language, refused[i]));
    }
    char option[258] = "-DX=";
    memset(option + 4, 'a', 252);
    assert_true(rw_language_option_is_permitted(language, option));
    option[256] = 'a';
    assert_false(rw_language_option_is_permitted(language, option));
}

/* What the compilers' lists must never let through: loading code, response files, other files of the machine. */
static void test_dangerous_options_of_the_shipped_languages(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "-fplugin=./x.so", "-B.",      "-wrapper", "-wrapper=sh", "@file",    "-specs=x",   "--specs=x",
        "-I/etc",          "-I../x",   "-include", "-x",          "-o",       "-Wl,-rpath", "-Wl,--script",
        "-Wp,-imacros,/x", "-Xlinker", "-L/etc",   "-processor",  "-J-Xmx1g", "-cp",        "-l/etc/x"};
    struct rw_error err = {0};
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
    assert_ok(rw_catalogue_load(RUNWAVE_SOURCE_DIR "/runner-images", &catalogue, &err), &err);
    for (size_t i = 0; i < rw_catalogue_count(catalogue); i++) {
        for (size_t k = 0; k < RW_ARRAY_SIZE(refused); k++) {
            if (rw_language_option_is_permitted(rw_catalogue_at(catalogue, i), refused[k])) {
                fail_msg("%s permits %s", rw_catalogue_at(catalogue, i)->id, refused[k]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_of_a_language),
        cmocka_unit_test(test_the_shipped_languages),
        cmocka_unit_test(test_the_documented_example),
        cmocka_unit_test(test_violations),
        cmocka_unit_test(test_compiling_needs_limits_and_the_other_way_round),
        cmocka_unit_test(test_names_are_used_once_in_all),
        cmocka_unit_test(test_languages_are_sorted_and_other_folders_passed_over),
        cmocka_unit_test(test_a_language_may_be_a_file),
        cmocka_unit_test(test_no_languages),
        cmocka_unit_test(test_finding_a_version),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_dangerous_options_of_the_shipped_languages),
    };
    return cmocka_run_group_tests_name("language", tests, NULL, NULL);
}
