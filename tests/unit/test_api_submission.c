/* From a request body to a job: what is accepted becomes exactly the job meant, what is wrong is named field by field. */
#include "support.h"

#include "submission.h"

static struct rw_catalogue *catalogue;

static const char plain_yaml[] =
    "id: plain\nname: Plain\naliases: [pl]\nsource_file: main.pl\nsource_extensions: [.pl]\n"
    "versions:\n  - {version: \"1.2.3\", default: true, probe: [/bin/true], run: [/bin/plain, \"{entry}\", \"{args}\"]}\n"
    "environment: [PATH=/bin, LANG=C.UTF-8]\n"
    "limits:\n"
    "  default: {cpu_ms: 1000, wall_ms: 2000, memory_bytes: 1000000, processes: 5, output_bytes: 1000, file_bytes: 1000,"
    " disk_bytes: 2000, open_files: 20}\n"
    "  maximum: {cpu_ms: 5000, wall_ms: 6000, memory_bytes: 2000000, processes: 9, output_bytes: 3000, file_bytes: 4000,"
    " disk_bytes: 5000, open_files: 30}\n"
    "pool: {warm: 1, max: 2}\nsample: hello\n";

static const char built_yaml[] =
    "id: built\nname: Built\nsource_file: main.b\nsource_extensions: [.b, .bb]\n"
    "versions:\n  - {version: \"7\", default: true, probe: [/bin/true],"
    " compile: [/bin/build, \"{options}\", \"{sources}\"], run: [/box/out, \"{args}\"]}\n"
    "environment: [PATH=/bin]\ncompile_options: ['-O[0-3]', '-D[A-Z]+']\n"
    "limits:\n"
    "  default: {cpu_ms: 1000, wall_ms: 2000, memory_bytes: 1000000, processes: 5, output_bytes: 1000, file_bytes: 1000,"
    " disk_bytes: 2000, open_files: 20}\n"
    "  maximum: {cpu_ms: 5000, wall_ms: 6000, memory_bytes: 2000000, processes: 9, output_bytes: 3000, file_bytes: 4000,"
    " disk_bytes: 5000, open_files: 30}\n"
    "  compile: {cpu_ms: 9000, wall_ms: 9000, memory_bytes: 3000000, processes: 9, output_bytes: 3000, file_bytes: 4000,"
    " disk_bytes: 5000, open_files: 30}\n"
    "pool: {warm: 1, max: 2}\nsample: hello\n";

static int load(void **state)
{
    struct rw_error err = {0};
    RW_AUTO_FREE char *folder = make_folder();
    RW_AUTO_FREE char *plain = rw_xasprintf("%s/plain", folder);
    RW_AUTO_FREE char *built = rw_xasprintf("%s/built", folder);
    RW_AUTO_FREE char *plain_file = rw_xasprintf("%s/language.yaml", plain);
    RW_AUTO_FREE char *built_file = rw_xasprintf("%s/language.yaml", built);
    (void)state;
    assert_int_equal(mkdir(plain, 0700), 0);
    assert_int_equal(mkdir(built, 0700), 0);
    write_text(plain_file, plain_yaml);
    write_text(built_file, built_yaml);
    assert_ok(rw_catalogue_load(folder, &catalogue, &err), &err);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    rw_catalogue_free(catalogue);
    return 0;
}

/* The job of a body that must be right; owned by the caller. */
static struct rw_job *accept(const char *body)
{
    struct rw_field_errors errors = {0};
    struct submission submission = {0};
    struct rw_job *job = NULL;
    struct rw_error err = {0};
    if (submission_parse(&(struct submission_rules){.catalogue = catalogue, .is_offered = {true}}, rw_bytes_of(body, strlen(body)),
                         &submission, &errors, &err)) {
        fail_msg("%s\n%s (%s: %s)", body, err.message, errors.count ? errors.items[0].field : "",
                 errors.count ? errors.items[0].message : "");
    }
    assert_ok(rw_job_decode(rw_bytes_of(submission.job, submission.job_len), &job, &err), &err);
    submission_done(&submission);
    return job;
}

static void a_source_becomes_a_job(void **state)
{
    RW_AUTO(rw_job_free)
    struct rw_job *job = accept("{\"language\":\"pl\",\"source\":\"x = 1\\n\",\"args\":[\"-a\",\"\",\"b c\"]}");
    (void)state;
    assert_string_equal(job->language, "plain");
    assert_string_equal(job->version, "1.2.3");
    assert_int_equal(job->n_files, 1);
    assert_string_equal(job->files[0].name, "main.pl");
    assert_int_equal(job->files[0].content_len, 6);
    assert_memory_equal(job->files[0].content, "x = 1\n", 6);
    assert_false(job->has_compile);
    assert_int_equal(job->run.n_argv, 5);
    assert_string_equal(job->run.argv[0], "/bin/plain");
    assert_string_equal(job->run.argv[1], "main.pl");
    assert_string_equal(job->run.argv[2], "-a");
    assert_string_equal(job->run.argv[3], "");
    assert_string_equal(job->run.argv[4], "b c");
    assert_int_equal(job->run.n_env, 2);
    assert_int_equal(job->stdin_len, 0);
    assert_int_equal(job->run.limits.cpu_ms, 1000);
    assert_int_equal(job->run.limits.open_files, 20);
}

static void everything_given_is_in_the_job(void **state)
{
    RW_AUTO(rw_job_free)
    struct rw_job *job = accept(
        "{\"language\":\"built\",\"version\":\"7\",\"entry\":\"b.bb\",\"stdin\":\"AAH/\",\"stdin_encoding\":"
        "\"base64\",\"files\":[{\"name\":\"lib/a.b\",\"content\":\"\"},{\"name\":\"b.bb\",\"content\":"
        "\"aGk=\",\"encoding\":\"base64\"},{\"name\":\"data.txt\",\"content\":\"\xc3\xa9\",\"encoding\":\"utf8\"}],"
        "\"compile\":{\"options\":[\"-O2\",\"-DX\"]},\"env\":{\"_A1\":\"v=w\",\"B\":\"\"},\"limits\":{\"cpu_ms\":"
        "5000,\"wall_ms\":1,\"memory_bytes\":2000000,\"processes\":9,\"output_bytes\":3000,\"file_bytes\":4000}}");
    (void)state;
    assert_int_equal(job->n_files, 3);
    assert_int_equal(job->files[0].content_len, 0);
    assert_memory_equal(job->files[1].content, "hi", 2);
    assert_int_equal(job->files[2].content_len, 2);
    assert_int_equal(job->stdin_len, 3);
    assert_memory_equal(job->stdin_data, "\x00\x01\xff", 3);
    assert_true(job->has_compile);
    static const char *const compile[] = {"/bin/build", "-O2", "-DX", "lib/a.b", "b.bb"};
    assert_int_equal(job->compile.n_argv, RW_ARRAY_SIZE(compile));
    for (size_t i = 0; i < RW_ARRAY_SIZE(compile); i++) {
        assert_string_equal(job->compile.argv[i], compile[i]);
    }
    assert_int_equal(job->compile.n_env, 1);
    assert_int_equal(job->compile.limits.cpu_ms, 9000);
    assert_int_equal(job->run.n_env, 3);
    assert_string_equal(job->run.env[1], "_A1=v=w");
    assert_string_equal(job->run.env[2], "B=");
    assert_int_equal(job->run.limits.cpu_ms, 5000);
    assert_int_equal(job->run.limits.wall_ms, 1);
    assert_int_equal(job->run.limits.disk_bytes, 2000);
}

static void entry_defaults(void **state)
{
    static const struct {
        const char *body;
        const char *entry;
    } cases[] = {
        {"{\"language\":\"plain\",\"files\":[{\"name\":\"a.pl\",\"content\":\"\"},{\"name\":\"main.pl\",\"content\":\"\"}]}",
         "main.pl"},
        {"{\"language\":\"plain\",\"files\":[{\"name\":\"a.pl\",\"content\":\"\"},{\"name\":\"b.pl\",\"content\":\"\"}]}", "a.pl"},
        {"{\"language\":\"plain\",\"entry\":\"b.pl\",\"files\":[{\"name\":\"a.pl\",\"content\":\"\"},{\"name\":\"b.pl\","
         "\"content\":\"\"}]}",
         "b.pl"},
        {"{\"language\":\"plain\",\"entry\":\"main.pl\",\"source\":\"\"}", "main.pl"},
        {"{\"language\":\"plain\",\"source\":\"\",\"entry\":null,\"version\":null,\"args\":null}", "main.pl"},
    };
    (void)state;
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        RW_AUTO(rw_job_free) struct rw_job *job = accept(cases[i].body);
        assert_string_equal(job->run.argv[1], cases[i].entry);
    }
}

struct refusal {
    const char *body;
    const char *fields; /* in order, each followed by a blank */
};

static void wrong_fields_are_named(void **state)
{
#define P "{\"language\":\"plain\",\"source\":\"\","
#define F "{\"language\":\"plain\",\"files\":["
    static const struct refusal refusals[] = {
        {"{}", "language "},
        {"{\"language\":\"plain\"}", "source "},
        {"{\"language\":\"klingon\",\"source\":\"\"}", "language "},
        {"{\"language\":\"Plain\",\"source\":\"\"}", "language "},
        {"{\"language\":\"c'); DROP TABLE tasks;--\",\"source\":\"\"}", "language "},
        {"{\"language\":7,\"source\":true}", "language source "},
        {P "\"version\":\"2\"}", "version "},
        {P "\"isolation\":\"vm\"}", "isolation "},
        {P "\"isolation\":\"sandbox\"}", "isolation "}, /* there is such a level, but not here */
        {P "\"version\":1}", "version "},
        {"{\"language\":\"plain\",\"source\":1}", "source "},
        {"{\"language\":\"plain\",\"files\":{}}", "files "},
        {P "\"sources\":1,\"x\":2}", "sources x "},
        {P "\"files\":[{\"name\":\"a\",\"content\":\"\"}]}", "source "},
        {P "\"entry\":\"other.pl\"}", "entry "},
        {P "\"stdin\":1}", "stdin "},
        {P "\"stdin\":\"a\",\"stdin_encoding\":\"base64\"}", "stdin "},
        {P "\"stdin\":\"a\",\"stdin_encoding\":\"hex\"}", "stdin_encoding "},
        {P "\"args\":\"a\"}", "args "},
        {P "\"args\":[1,\"a\",null]}", "args[0] args[2] "},
        {P "\"env\":[]}", "env "},
        {P "\"env\":{\"1A\":\"\",\"A-B\":\"\",\"\":\"\",\"A\":1,\"LD_PRELOAD\":\"x\",\"PATH\":\"/\"}}",
         "env env env env.A env.LD_PRELOAD env.PATH "},
        {P "\"compile\":{\"options\":[\"-O2\"]}}", "compile.options "},
        {P "\"compile\":{\"flags\":[]}}", "compile.flags "},
        {P "\"limits\":{\"cpu_ms\":5001,\"wall_ms\":0,\"memory_bytes\":-1,\"processes\":1.5,\"output_bytes\":\"9\",\"disk_bytes\":"
           "1}}",
         "limits.cpu_ms limits.wall_ms limits.memory_bytes limits.processes limits.output_bytes limits.disk_bytes "},
        {F "]}", "files "},
        {F "1]}", "files[0] "},
        {F "{}]}", "files[0].name files[0].content "},
        {F "{\"name\":\"a\",\"content\":\"\",\"mode\":1}]}", "files[0].mode "},
        {F "{\"name\":\"a\",\"content\":\"%%%\",\"encoding\":\"base64\"}]}", "files[0].content "},
        {F "{\"name\":\"a\",\"content\":\"\",\"encoding\":\"utf-16\"}]}", "files[0].encoding "},
        {F "{\"name\":\"/etc/passwd\",\"content\":\"\"},{\"name\":\"../x\",\"content\":\"\"},{\"name\":\"a/./b\",\"content\":\"\"},"
           "{\"name\":\"a//b\",\"content\":\"\"},{\"name\":\"a/\",\"content\":\"\"},{\"name\":\"-x\",\"content\":\"\"},"
           "{\"name\":\"@x\",\"content\":\"\"},{\"name\":\"\",\"content\":\"\"}]}",
         "files[0].name files[1].name files[2].name files[3].name files[4].name files[5].name files[6].name files[7].name "},
        {F "{\"name\":\"a\",\"content\":\"\"},{\"name\":\"a\",\"content\":\"\"}]}", "files[1].name "},
        {F "{\"name\":\"a\",\"content\":\"\"},{\"name\":\"a/b\",\"content\":\"\"}]}", "files[1].name "},
        {F "{\"name\":\"a/b\",\"content\":\"\"},{\"name\":\"a-\",\"content\":\"\"},{\"name\":\"a\",\"content\":\"\"}]}",
         "files[2].name "},
        {"{\"language\":\"built\",\"files\":[{\"name\":\"a.txt\",\"content\":\"\"}]}", "files "},
        {"{\"language\":\"built\",\"source\":\"\",\"compile\":{\"options\":[\"-O2\",\"-O9\",\"-fplugin=x\",3]}}",
         "compile.options[3] compile.options[1] compile.options[2] "},
        {"{\"language\":\"built\",\"source\":\"\",\"compile\":[]}", "compile "},
    };
    (void)state;
    for (size_t i = 0; i < RW_ARRAY_SIZE(refusals); i++) {
        struct rw_field_errors errors = {0};
        struct submission submission = {0};
        struct rw_error err = {0};
        char fields[1024] = "";
        assert_int_equal(submission_parse(&(struct submission_rules){.catalogue = catalogue, .is_offered = {true}},
                                          rw_bytes_of(refusals[i].body, strlen(refusals[i].body)), &submission, &errors, &err),
                         -1);
        assert_int_equal(err.code, RW_ERR_FIELDS);
        for (size_t j = 0; j < errors.count; j++) {
            size_t used = strlen(fields);
            (void)snprintf(fields + used, sizeof(fields) - used, "%s ", errors.items[j].field);
        }
        if (strcmp(fields, refusals[i].fields) != 0) {
            fail_msg("%s\nfields: %s\nwanted: %s", refusals[i].body, fields, refusals[i].fields);
        }
    }
}

static void what_is_not_an_object_is_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "[]",
        "1",
        "null",
        "{",
        "{} x",
        "{\"language\":\"plain\",\"language\":\"c\",\"source\":\"\"}",
        "{\"language\":\"plain\",\"source\":\"a\\u0000b\"}",
        "{\"language\":\"plain\",\"source\":\"\xff\"}",
        "{\"language\":\"plain\",\"source\":\"\\ud800\"}",
        "[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]",
        "{\"limits\":{\"cpu_ms\":1e999}}",
        "language=plain&source=x",
    };
    (void)state;
    for (size_t i = 0; i < RW_ARRAY_SIZE(bodies); i++) {
        struct rw_field_errors errors = {0};
        struct submission submission = {0};
        struct rw_error err = {0};
        if (submission_parse(&(struct submission_rules){.catalogue = catalogue, .is_offered = {true}},
                             rw_bytes_of(bodies[i], strlen(bodies[i])), &submission, &errors, &err) != -1 ||
            err.code != RW_ERR_INVALID) {
            fail_msg("%s: %s", bodies[i], rw_err_name(err.code));
        }
    }
}

static void every_list_is_bounded(void **state)
{
    enum { MANY = 2000 };
    RW_AUTO_BUFFER struct rw_buffer body = {0};
    struct rw_field_errors errors = {0};
    struct submission submission = {0};
    struct rw_error err = {0};
    (void)state;
    rw_buffer_init(&body, 1 << 20);
    assert_ok(rw_buffer_printf(&body, &err, "{\"language\":\"plain\",\"source\":\"\",\"args\":["), &err);
    for (unsigned i = 0; i < MANY; i++) {
        assert_ok(rw_buffer_printf(&body, &err, "%s\"a\"", i ? "," : ""), &err);
    }
    assert_ok(rw_buffer_printf(&body, &err, "]}"), &err);
    assert_int_equal(submission_parse(&(struct submission_rules){.catalogue = catalogue, .is_offered = {true}},
                                      rw_buffer_view(&body), &submission, &errors, &err),
                     -1);
    assert_int_equal(err.code, RW_ERR_FIELDS);
    assert_string_equal(errors.items[0].field, "args");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_becomes_a_job), cmocka_unit_test(everything_given_is_in_the_job),
        cmocka_unit_test(entry_defaults),         cmocka_unit_test(wrong_fields_are_named),
        cmocka_unit_test(every_list_is_bounded),  cmocka_unit_test(what_is_not_an_object_is_refused),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
