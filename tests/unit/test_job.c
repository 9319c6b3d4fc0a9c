/* The job's MessagePack form: there and back, and everything that is refused. Faulty jobs are made with msgpack-c by hand where
 * the encoder would refuse to. */
#include "support.h"

#include <msgpack.h>

#include "job_sample.h"

static void assert_same_stage(const struct rw_job_stage *left, const struct rw_job_stage *right)
{
    assert_int_equal(left->n_argv, right->n_argv);
    for (size_t i = 0; i < left->n_argv; i++) {
        assert_string_equal(left->argv[i], right->argv[i]);
    }
    assert_null(right->argv[right->n_argv]);
    assert_int_equal(left->n_env, right->n_env);
    for (size_t i = 0; i < left->n_env; i++) {
        assert_string_equal(left->env[i], right->env[i]);
    }
    assert_null(right->env[right->n_env]);
    assert_memory_equal(&left->limits, &right->limits, sizeof(left->limits));
}

static void assert_same_job(const struct rw_job *left, const struct rw_job *right)
{
    assert_string_equal(left->language, right->language);
    assert_string_equal(left->version, right->version);
    assert_int_equal(left->n_files, right->n_files);
    for (size_t i = 0; i < left->n_files; i++) {
        assert_string_equal(left->files[i].name, right->files[i].name);
        assert_int_equal(left->files[i].content_len, right->files[i].content_len);
        assert_memory_equal(left->files[i].content, right->files[i].content, left->files[i].content_len);
    }
    assert_int_equal(left->stdin_len, right->stdin_len);
    assert_memory_equal(left->stdin_data, right->stdin_data, left->stdin_len);
    assert_same_stage(&left->run, &right->run);
    assert_int_equal(left->has_compile, right->has_compile);
    if (left->has_compile) {
        assert_same_stage(&left->compile, &right->compile);
    }
}

static void test_there_and_back(void **state)
{
    (void)state;
    for (int has_compile = 0; has_compile < 2; has_compile++) {
        struct job_sample sample;
        struct rw_error err = {0};
        struct rw_job *job = job_sample(&sample);
        RW_AUTO(rw_job_free) struct rw_job *decoded = NULL;
        RW_AUTO_FREE uint8_t *data = NULL;
        size_t len;
        job->has_compile = has_compile;
        assert_ok(rw_job_encode(job, &data, &len, &err), &err);
        assert_ok(rw_job_decode(rw_bytes_of(data, len), &decoded, &err), &err);
        assert_same_job(job, decoded);
    }
}

static void test_every_cut_is_refused(void **state)
{
    (void)state;
    struct job_sample sample;
    struct rw_error err = {0};
    RW_AUTO_FREE uint8_t *data = NULL;
    size_t len;
    assert_ok(rw_job_encode(job_sample(&sample), &data, &len, &err), &err);
    for (size_t cut = 0; cut < len; cut++) {
        struct rw_job *job = NULL;
        RW_AUTO_FREE uint8_t *copy = rw_xmemdup(data, cut); /* of its own, so that a sanitizer sees a read past its end */
        assert_int_equal(rw_job_decode(rw_bytes_of(copy, cut), &job, &err), -1);
        assert_int_equal(err.code, RW_ERR_PROTOCOL);
        assert_null(job);
    }
    RW_AUTO_FREE uint8_t *longer = rw_xcalloc(1, len + 1);
    struct rw_job *job = NULL;
    memcpy(longer, data, len);
    assert_fails(rw_job_decode(rw_bytes_of(longer, len + 1), &job, &err), &err, PROTOCOL, "after the MessagePack");
}

/* Each byte changed to several values: decoding either refuses or gives a job that can be encoded. */
static void test_no_changed_byte_does_harm(void **state)
{
    (void)state;
    static const uint8_t values[] = {0x00, 0x01, 0x7F, 0x80, 0x90, 0xC0, 0xC1, 0xDC, 0xDD, 0xDF, 0xFF};
    struct job_sample sample;
    struct rw_error err = {0};
    RW_AUTO_FREE uint8_t *data = NULL;
    size_t len;
    assert_ok(rw_job_encode(job_sample(&sample), &data, &len, &err), &err);
    for (size_t i = 0; i < len * sizeof(values); i++) {
        RW_AUTO_FREE uint8_t *copy = rw_xmemdup(data, len);
        RW_AUTO(rw_job_free) struct rw_job *job = NULL;
        copy[i / sizeof(values)] = values[i % sizeof(values)];
        if (rw_job_decode(rw_bytes_of(copy, len), &job, &err) == 0) {
            RW_AUTO_FREE uint8_t *again = NULL;
            size_t again_len;
            assert_ok(rw_job_encode(job, &again, &again_len, &err), &err);
        }
    }
}

static void assert_encode_fails(const struct rw_job *job, const char *part)
{
    struct rw_error err = {0};
    uint8_t *data = NULL;
    size_t len = 42;
    assert_fails(rw_job_encode(job, &data, &len, &err), &err, FIELDS, part);
    assert_null(data);
    assert_int_equal(len, 42);
}

static void test_what_cannot_be_encoded(void **state)
{
    (void)state;
    struct job_sample sample;
    static char relative[] = "gcc", no_equals[] = "A", no_key[] = "=x", empty[] = "";
    RW_AUTO_FREE char *long_text = rw_xmalloc(RW_JOB_ARG_BYTES_MAX + 2);
    memset(long_text, 'a', RW_JOB_ARG_BYTES_MAX + 1);
    long_text[RW_JOB_ARG_BYTES_MAX + 1] = '\0';

    job_sample(&sample)->language = empty;
    assert_encode_fails(&sample.job, "language");
    job_sample(&sample)->version = long_text;
    assert_encode_fails(&sample.job, "version");
    job_sample(&sample)->n_files = 0;
    assert_encode_fails(&sample.job, "files");
    job_sample(&sample)->run.n_argv = 0;
    assert_encode_fails(&sample.job, "run: argv");
    job_sample(&sample)->compile.argv[0] = relative;
    assert_encode_fails(&sample.job, "compile: argv: must begin with an absolute");
    job_sample(&sample)->run.argv[1] = long_text;
    assert_encode_fails(&sample.job, "argv[1]");
    job_sample(&sample)->run.env[1] = no_equals;
    assert_encode_fails(&sample.job, "env[1]");
    job_sample(&sample)->run.env[0] = no_key;
    assert_encode_fails(&sample.job, "env[0]");
    job_sample(&sample)->run.limits.disk_bytes = 0;
    assert_encode_fails(&sample.job, "disk_bytes");
    job_sample(&sample)->compile.limits.open_files = (1ULL << 53) + 1;
    assert_encode_fails(&sample.job, "open_files");
    job_sample(&sample)->files[1].name = sample.files[0].name;
    assert_encode_fails(&sample.job, "two of one name");
}

static void test_a_file_is_no_folder_of_another(void **state)
{
    (void)state;
    static const struct {
        const char *names[4];
        bool is_good;
    } rows[] = {
        {{"a", "a.b", "a/b"}, false},    {{"a/b", "a-b", "a"}, false},  {{"a/b/c", "a/b", "x"}, false},
        {{"a/b", "a.b", "a-b/c"}, true}, {{"a/b", "a/bc", "ab"}, true}, {{"b/a", "a/b", "a/c"}, true},
        {{"a", "b", "a"}, false},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        struct job_sample sample;
        struct rw_error err = {0};
        struct rw_job *job = job_sample(&sample);
        struct rw_job_file files[3] = {{0}};
        RW_AUTO_FREE uint8_t *data = NULL;
        size_t len;
        char names[3][16];
        for (size_t k = 0; k < 3; k++) {
            (void)snprintf(names[k], sizeof(names[k]), "%s", rows[i].names[k]);
            files[k].name = names[k];
        }
        job->files = files;
        job->n_files = 3;
        assert_int_equal(rw_job_encode(job, &data, &len, &err), rows[i].is_good ? 0 : -1);
    }
}

static void test_too_much_in_all(void **state)
{
    (void)state;
    struct job_sample sample;
    struct rw_error err = {0};
    uint8_t *data = NULL;
    size_t len;
    RW_AUTO_FREE uint8_t *large = rw_xcalloc(1, RW_JOB_BYTES_MAX);
    struct rw_job *job = job_sample(&sample);
    job->files[0].content = large;
    job->files[0].content_len = RW_JOB_BYTES_MAX;
    assert_fails(rw_job_encode(job, &data, &len, &err), &err, TOO_LARGE, "job");
    assert_null(data);
    struct rw_job *decoded = NULL;
    RW_AUTO_FREE uint8_t *larger = rw_xcalloc(1, RW_JOB_BYTES_MAX + 1);
    assert_fails(rw_job_decode(rw_bytes_of(larger, RW_JOB_BYTES_MAX + 1), &decoded, &err), &err, PROTOCOL, "a job of more than");
}

static void test_counts_at_their_bounds(void **state)
{
    (void)state;
    struct job_sample sample;
    struct rw_error err = {0};
    RW_AUTO_FREE char **argv = rw_xcalloc(RW_JOB_ARGS_MAX + 2, sizeof(*argv));
    RW_AUTO_FREE struct rw_job_file *files = rw_xcalloc(RW_JOB_FILES_MAX + 1, sizeof(*files));
    RW_AUTO_FREE char(*names)[8] = rw_xcalloc(RW_JOB_FILES_MAX + 1, sizeof(*names));
    struct rw_job *job = job_sample(&sample);
    for (size_t i = 0; i < RW_JOB_ARGS_MAX + 1; i++) {
        argv[i] = job->run.argv[0];
    }
    for (size_t i = 0; i < RW_JOB_FILES_MAX + 1; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "f%zu", i);
        files[i].name = names[i];
    }
    job->run.argv = job->compile.argv = argv;
    job->run.n_argv = job->compile.n_argv = RW_JOB_ARGS_MAX;
    job->run.env = job->compile.env = argv;
    for (size_t i = 0; i < RW_JOB_ARGS_MAX + 1; i++) {
        static char variable[] = "/A=b";
        argv[i] = variable;
    }
    job->run.n_env = job->compile.n_env = RW_JOB_ARGS_MAX;
    job->files = files;
    job->n_files = RW_JOB_FILES_MAX;
    RW_AUTO_FREE uint8_t *data = NULL;
    RW_AUTO(rw_job_free) struct rw_job *decoded = NULL;
    size_t len;
    assert_ok(rw_job_encode(job, &data, &len, &err), &err);
    assert_ok(rw_job_decode(rw_bytes_of(data, len), &decoded, &err), &err);
    assert_same_job(job, decoded);
    job->n_files++;
    assert_encode_fails(job, "files: must be 1 to 256");
    job->n_files--;
    job->run.n_argv++;
    assert_encode_fails(job, "more than 1024");
}

/* Documents the encoder would not make. */

static void pack_text(msgpack_packer *packer, const char *text)
{
    (void)msgpack_pack_str_with_body(packer, text, strlen(text));
}

static void pack_stage(msgpack_packer *packer, bool has_nul)
{
    (void)msgpack_pack_map(packer, 3);
    pack_text(packer, "env");
    (void)msgpack_pack_array(packer, 0);
    pack_text(packer, "argv");
    (void)msgpack_pack_array(packer, 2);
    pack_text(packer, "/x");
    (void)msgpack_pack_str_with_body(packer, "a\0b", has_nul ? 3 : 1);
    pack_text(packer, "limits");
    (void)msgpack_pack_map(packer, 8);
#define RW_LIMIT(field)                                                                                                            \
    pack_text(packer, #field);                                                                                                     \
    (void)msgpack_pack_int(packer, 1);
    RW_LIMITS(RW_LIMIT)
#undef RW_LIMIT
}

enum flaw { NONE, UNKNOWN_KEY, DOUBLED_KEY, MISSING_KEY, WRONG_TYPE, NUL_IN_ARGUMENT, DOT_DOT, N_FLAWS };

static void pack_job(msgpack_sbuffer *out, enum flaw flaw)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, msgpack_sbuffer_write);
    bool has_one_more = flaw == UNKNOWN_KEY || flaw == DOUBLED_KEY;
    (void)msgpack_pack_map(&packer, flaw == MISSING_KEY ? 4 : has_one_more ? 6 : 5);
    pack_text(&packer, "language");
    pack_text(&packer, "c");
    if (flaw != MISSING_KEY) {
        pack_text(&packer, "version");
        pack_text(&packer, "1");
    }
    pack_text(&packer, "files");
    (void)msgpack_pack_array(&packer, 1);
    (void)msgpack_pack_map(&packer, 2);
    pack_text(&packer, "name");
    pack_text(&packer, flaw == DOT_DOT ? "../x" : "x");
    pack_text(&packer, "content");
    (void)msgpack_pack_bin_with_body(&packer, "", 0);
    pack_text(&packer, "stdin");
    (void)(flaw == WRONG_TYPE ? msgpack_pack_int(&packer, 3) : msgpack_pack_bin_with_body(&packer, "hi", 2));
    pack_text(&packer, "run");
    pack_stage(&packer, flaw == NUL_IN_ARGUMENT);
    if (flaw == UNKNOWN_KEY || flaw == DOUBLED_KEY) {
        pack_text(&packer, flaw == UNKNOWN_KEY ? "extra" : "language");
        pack_text(&packer, "c");
    }
}

static void test_documents_of_other_hands(void **state)
{
    (void)state;
    static const char *const words[N_FLAWS] = {
        [UNKNOWN_KEY] = "unknown key",
        [DOUBLED_KEY] = "language is doubled",
        [MISSING_KEY] = "version is missing",
        [WRONG_TYPE] = "stdin is of another type",
        [NUL_IN_ARGUMENT] = "NUL",
        [DOT_DOT] = "files[0].name",
    };
    for (int flaw = NONE; flaw < N_FLAWS; flaw++) {
        struct rw_error err = {0};
        RW_AUTO(rw_job_free) struct rw_job *job = NULL;
        msgpack_sbuffer out;
        msgpack_sbuffer_init(&out);
        pack_job(&out, (enum flaw)flaw);
        int outcome = rw_job_decode(rw_bytes_of(out.data, out.size), &job, &err);
        msgpack_sbuffer_destroy(&out);
        if (flaw == NONE) {
            assert_ok(outcome, &err);
            assert_string_equal(job->run.argv[1], "a");
        } else {
            assert_fails(outcome, &err, PROTOCOL, words[flaw]);
        }
    }
}

static void test_file_names(void **state)
{
    (void)state;
    static const char *const good[] = {"a",  "main.c",   "a/b/c", "...",     "..a",  "a..",
                                       "-x", "\xC4\x8D", "a b",   ".hidden", "a\\b", ".a/b"};
    static const char *const bad[] = {"",    "/",   "/a",   "a/",   "a//b",   ".",    "..",
                                      "./a", "a/.", "../a", "a/..", "a/../b", "\xFF", "a/\xC0\x80"};
    struct rw_error err = {0};
    char name[RW_JOB_FILE_NAME_BYTES_MAX + 2];
    for (size_t i = 0; i < RW_ARRAY_SIZE(good); i++) {
        assert_ok(rw_job_file_name_check(good[i], strlen(good[i]), &err), &err);
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        assert_fails(rw_job_file_name_check(bad[i], strlen(bad[i]), &err), &err, FIELDS, "must");
    }
    assert_fails(rw_job_file_name_check("a\0b", 3, &err), &err, FIELDS, "NUL");
    assert_fails(rw_job_file_name_check("a//b", 4, &err), &err, FIELDS, "empty parts");
    memset(name, 'x', sizeof(name));
    assert_ok(rw_job_file_name_check(name, RW_JOB_FILE_NAME_BYTES_MAX, &err), &err);
    assert_fails(rw_job_file_name_check(name, RW_JOB_FILE_NAME_BYTES_MAX + 1, &err), &err, FIELDS, "255");
}

static void test_announced_counts_take_no_memory(void **state)
{
    (void)state;
    static const char *const bombs[] = {
        "\xDD\xFF\xFF\xFF\xFF",             /* array of 2^32 - 1 */
        "\xDF\xFF\xFF\xFF\xFF",             /* map of 2^32 - 1 */
        "\xC6\xFF\xFF\xFF\xFF",             /* bytes */
        "\x91\x91\x91\x91\x91\x91\x91\x91", /* depth */
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(bombs); i++) {
        struct rw_error err = {0};
        struct rw_job *job = NULL;
        assert_fails(rw_job_decode(rw_bytes_of(bombs[i], strlen(bombs[i])), &job, &err), &err, PROTOCOL, "MessagePack");
    }
    rw_job_free(NULL);
}

static void test_more_values_than_a_job_can_have(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct rw_job *job = NULL;
    uint8_t data[3 + 9000] = {0xDC, 9000 >> 8, 9000 & 0xFF};
    assert_fails(rw_job_decode(rw_bytes_of(data, sizeof(data)), &job, &err), &err, PROTOCOL, "more than 8192 MessagePack values");
}

/* Whoever reads a job in another language gets text where it is text. */
static void test_arguments_that_are_no_text_are_bytes(void **state)
{
    (void)state;
    struct job_sample sample;
    struct rw_error err = {0};
    RW_AUTO_FREE uint8_t *data = NULL;
    size_t len;
    assert_ok(rw_job_encode(job_sample(&sample), &data, &len, &err), &err);
    assert_non_null(memmem(data, len, "\xC4\x02\xFF\x01", 4));
    assert_non_null(memmem(data, len, "\xA6main.c", 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_no_changed_byte_does_harm),
        cmocka_unit_test(test_what_cannot_be_encoded),
        cmocka_unit_test(test_a_file_is_no_folder_of_another),
        cmocka_unit_test(test_too_much_in_all),
        cmocka_unit_test(test_counts_at_their_bounds),
        cmocka_unit_test(test_documents_of_other_hands),
        cmocka_unit_test(test_file_names),
        cmocka_unit_test(test_announced_counts_take_no_memory),
        cmocka_unit_test(test_more_values_than_a_job_can_have),
        cmocka_unit_test(test_arguments_that_are_no_text_are_bytes),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
