/* The plan of what is started ahead: two jobs, as an api-server would make them of a plain request; and what of it is refused. */
#include "support.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <unistd.h>

#include <rw/language.h>

static const char text[] =
    "id: demo\n"
    "name: Demo\n"
    "source_file: main.dm\n"
    "source_extensions: [.dm]\n"
    "versions:\n"
    "  - version: \"3.9\"\n"
    "    probe: [/usr/bin/dm]\n"
    "    run: [/usr/bin/old]\n"
    "    warm: {run: true}\n"
    "  - version: \"3.11\"\n"
    "    default: true\n"
    "    probe: [/usr/bin/dm]\n"
    "    compile: [/usr/bin/dmc, \"-m{memory_bytes}\", \"{options}\", \"{sources}\"]\n"
    "    run: [/usr/bin/dm, \"{entry_stem}\", \"{args}\"]\n"
    "    warm: {run: true, compile: [/usr/bin/host, \"-m{memory_bytes}\", \"{sources}\"], host: \"a text\"}\n"
    "environment: [\"A=b\"]\n"
    "limits:\n"
    "  default: {cpu_ms: 1, wall_ms: 2, memory_bytes: 3, processes: 4, output_bytes: 5, file_bytes: 6, disk_bytes: 7, open_files: "
    "8}\n"
    "  maximum: {cpu_ms: 11, wall_ms: 12, memory_bytes: 13, processes: 14, output_bytes: 15, file_bytes: 16, disk_bytes: 17, "
    "open_files: 18}\n"
    "  compile: {cpu_ms: 21, wall_ms: 22, memory_bytes: 23, processes: 24, output_bytes: 25, file_bytes: 26, disk_bytes: 27, "
    "open_files: 28}\n"
    "pool: {warm: 1, max: 2}\n"
    "sample: hello\n";
static const char warm_text[] =
    "    warm: {run: true, compile: [/usr/bin/host, \"-m{memory_bytes}\", \"{sources}\"], host: \"a text\"}\n";

/* The catalogue of the text with warm in the place of its default version's. */
static int load(const char *warm, struct rw_catalogue **ret_catalogue, struct rw_error *err)
{
    RW_AUTO_FREE char *dir = make_folder();
    RW_AUTO_FREE char *folder = rw_xasprintf("%s/demo", dir);
    RW_AUTO_FREE char *file = rw_xasprintf("%s/language.yaml", folder);
    const char *place = strstr(text, warm_text);
    assert_non_null(place);
    RW_AUTO_FREE char *changed = rw_xasprintf("%.*s%s%s", (int)(place - text), text, warm, place + strlen(warm_text));
    assert_int_equal(mkdir(folder, 0700), 0);
    write_text(file, changed);
    return rw_catalogue_load(dir, ret_catalogue, err);
}

static void assert_argv(const struct rw_job_stage *stage, const char *const *argv, size_t n)
{
    assert_int_equal(stage->n_argv, n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(stage->argv[i], argv[i]);
    }
    assert_int_equal(stage->n_env, 1);
    assert_string_equal(stage->env[0], "A=b");
}

static void test_the_plan(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
    RW_AUTO(rw_job_free) struct rw_job *fits = NULL;
    RW_AUTO(rw_job_free) struct rw_job *starts = NULL;
    uint8_t plan[4096];
    size_t len = 0;
    uint32_t first;
    assert_ok(load(warm_text, &catalogue, &err), &err);
    const char *encoded = rw_language_warm_plan(rw_catalogue_at(catalogue, 0));
    assert_non_null(encoded);
    assert_int_equal(
        sodium_base642bin(plan, sizeof(plan), encoded, strlen(encoded), NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL), 0);
    memcpy(&first, plan, sizeof(first));
    size_t first_len = ntohl(first);
    assert_ok(rw_job_decode(rw_bytes_of(plan + sizeof(first), first_len), &fits, &err), &err);
    assert_ok(rw_job_decode(rw_bytes_of(plan + sizeof(first) + first_len, len - sizeof(first) - first_len), &starts, &err), &err);

    assert_argv(&fits->compile, (const char *const[]){"/usr/bin/dmc", "-m23", "main.dm"}, 3);
    assert_argv(&starts->compile, (const char *const[]){"/usr/bin/host", "-m23", "main.dm"}, 3);
    assert_argv(&fits->run, (const char *const[]){"/usr/bin/dm", "main"}, 2);
    assert_argv(&starts->run, (const char *const[]){"/usr/bin/dm", "main"}, 2);
    assert_int_equal(fits->run.limits.memory_bytes, 3);
    assert_int_equal(starts->compile.limits.open_files, 28);
    assert_int_equal(fits->files[0].content_len, 0);
    assert_int_equal(starts->files[0].content_len, strlen("a text"));
    assert_memory_equal(starts->files[0].content, "a text", strlen("a text"));
}

static void test_a_compile_may_stay_cold(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
    assert_ok(load("    warm: {run: true}\n", &catalogue, &err), &err);
    assert_non_null(rw_language_warm_plan(rw_catalogue_at(catalogue, 0)));
}

static void test_only_the_default_version_counts(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
    assert_ok(load("", &catalogue, &err), &err);
    assert_null(rw_language_warm_plan(rw_catalogue_at(catalogue, 0)));
}

static void test_violations(void **state)
{
    (void)state;
    static const struct {
        const char *warm;
        const char *part;
    } rows[] = {
        {"    warm: {}\n", "run"},
        {"    warm: {run: false}\n", "run must be true"},
        {"    warm: {run: true, host: x}\n", "there is none"},
        {"    warm: {run: true, compile: []}\n", "Insufficient entries"},
        {"    warm: {run: true, compile: [host]}\n", "absolute path"},
        {"    warm: {run: true, compile: [/host, \"{nonsense}\"]}\n", "{nonsense}"},
        {"    warm: {run: true, walk: true}\n", "unknown key \"walk\""},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        struct rw_error err = {0};
        RW_AUTO(rw_catalogue_free) struct rw_catalogue *catalogue = NULL;
        assert_fails(load(rows[i].warm, &catalogue, &err), &err, CONFIG, rows[i].part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_plan),
        cmocka_unit_test(test_a_compile_may_stay_cold),
        cmocka_unit_test(test_only_the_default_version_counts),
        cmocka_unit_test(test_violations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
