/* The job and its MessagePack form. What decoding refuses, encoding refuses too, by the same check, so that a job which was
 * stored can be run. docs/runner-protocol.md describes the bytes. */
#include <rw/job.h>

#include <string.h>

#include "msgpack_io.h"
#include "utf8.h"

enum { NAME_BYTES_MAX = 64 /* of language and version */, VALUES_MAX = 8192 };

/* Limits stay below 2^53: exact in JSON, and a number of milliseconds can be turned into microseconds without a second thought. */
static const uint64_t LIMIT_MAX = (uint64_t)1 << 53;

static void free_stage(struct rw_job_stage *stage)
{
    for (size_t i = 0; stage->argv && i < stage->n_argv; i++) {
        free(stage->argv[i]);
    }
    for (size_t i = 0; stage->env && i < stage->n_env; i++) {
        free(stage->env[i]);
    }
    free(stage->argv);
    free(stage->env);
}

void rw_job_free(struct rw_job *job)
{
    if (!job) {
        return;
    }
    for (size_t i = 0; job->files && i < job->n_files; i++) {
        free(job->files[i].name);
        free(job->files[i].content);
    }
    free_stage(&job->compile);
    free_stage(&job->run);
    free(job->files);
    free(job->stdin_data);
    free(job->language);
    free(job->version);
    free(job);
}

int rw_job_file_name_check(const char *name, size_t len, struct rw_error *err)
{
    if (len == 0 || len > RW_JOB_FILE_NAME_BYTES_MAX) {
        return rw_fail(err, FIELDS, "must have 1 to %d bytes", RW_JOB_FILE_NAME_BYTES_MAX);
    }
    if (!rw_utf8_is_all(name, len)) {
        return rw_fail(err, FIELDS, "must be UTF-8 without NUL");
    }
    for (size_t start = 0; start <= len;) {
        const char *slash = memchr(name + start, '/', len - start);
        size_t part_len = (slash ? (size_t)(slash - name) : len) - start;
        if (part_len == 0) {
            return rw_fail(err, FIELDS, "must be a relative path without empty parts");
        }
        if (memcmp(name + start, "..", part_len < 2 ? part_len : 2) == 0 && part_len <= 2) {
            return rw_fail(err, FIELDS, "must not hold \".\" or \"..\" as a part");
        }
        start += part_len + 1;
    }
    return 0;
}

/* Order of paths with '/' before every other byte, so that a folder is followed at once by what is in it. */
static int compare_paths(const void *left, const void *right)
{
    const char *a = *(const char *const *)left;
    const char *b = *(const char *const *)right;
    while (*a && *a == *b) {
        a++;
        b++;
    }
    int rank_a = *a == '/' ? 1 : *a ? 2 + (unsigned char)*a : 0;
    int rank_b = *b == '/' ? 1 : *b ? 2 + (unsigned char)*b : 0;
    return rank_a - rank_b;
}

static int check_files(const struct rw_job *job, struct rw_error *err)
{
    if (job->n_files == 0 || job->n_files > RW_JOB_FILES_MAX) {
        return rw_fail(err, FIELDS, "files: must be 1 to %d", RW_JOB_FILES_MAX);
    }
    const char *names[RW_JOB_FILES_MAX];
    for (size_t i = 0; i < job->n_files; i++) {
        names[i] = job->files[i].name;
        if (rw_job_file_name_check(names[i], strlen(names[i]), err) < 0) {
            return rw_error_wrap(err, "files[%zu].name", i);
        }
    }
    qsort(names, job->n_files, sizeof(names[0]), compare_paths);
    for (size_t i = 1; i < job->n_files; i++) {
        size_t len = strlen(names[i - 1]);
        if (strncmp(names[i - 1], names[i], len) == 0 && (names[i][len] == '\0' || names[i][len] == '/')) {
            return rw_fail(err, FIELDS, "files: two of one name, or one is a folder of another: %.100s", names[i - 1]);
        }
    }
    return 0;
}

static int check_strings(char *const *strings, size_t count, const char *what, struct rw_error *err)
{
    if (count > RW_JOB_ARGS_MAX) {
        return rw_fail(err, FIELDS, "%s: more than %d elements", what, RW_JOB_ARGS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (strlen(strings[i]) > RW_JOB_ARG_BYTES_MAX) {
            return rw_fail(err, FIELDS, "%s[%zu]: more than %d bytes", what, i, RW_JOB_ARG_BYTES_MAX);
        }
    }
    return 0;
}

static int check_stage(const struct rw_job_stage *stage, struct rw_error *err)
{
    if (check_strings(stage->argv, stage->n_argv, "argv", err) < 0 || check_strings(stage->env, stage->n_env, "env", err) < 0) {
        return -1;
    }
    if (stage->n_argv == 0 || stage->argv[0][0] != '/') {
        return rw_fail(err, FIELDS, "argv: must begin with an absolute path");
    }
    for (size_t i = 0; i < stage->n_env; i++) {
        if (stage->env[i][0] == '=' || !strchr(stage->env[i], '=')) {
            return rw_fail(err, FIELDS, "env[%zu]: must be KEY=VALUE", i);
        }
    }
#define RW_LIMIT(field)                                                                                                            \
    if (stage->limits.field == 0 || stage->limits.field > LIMIT_MAX) {                                                             \
        return rw_fail(err, FIELDS, "limits.%s: must be 1 to 2^53", #field);                                                       \
    }
    RW_LIMITS(RW_LIMIT)
#undef RW_LIMIT
    return 0;
}

static int check_name(const char *name, const char *what, struct rw_error *err)
{
    size_t len = strlen(name);
    return len >= 1 && len <= NAME_BYTES_MAX && rw_utf8_is_all(name, len)
               ? 0
               : rw_fail(err, FIELDS, "%s: must be UTF-8 of 1 to %d bytes", what, NAME_BYTES_MAX);
}

static int check_job(const struct rw_job *job, struct rw_error *err)
{
    if (check_name(job->language, "language", err) < 0 || check_name(job->version, "version", err) < 0 ||
        check_files(job, err) < 0) {
        return -1;
    }
    if (check_stage(&job->run, err) < 0) {
        return rw_error_wrap(err, "run");
    }
    if (job->has_compile && check_stage(&job->compile, err) < 0) {
        return rw_error_wrap(err, "compile");
    }
    return 0;
}

/* An argument is text where it can be, for those who look at a job, and bytes else. */
static void pack_strings(struct rw_packer *packer, const char *key, char *const *strings, size_t count)
{
    rw_pack_text(packer, key);
    rw_pack_array(packer, count);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(strings[i]);
        if (rw_utf8_is_all(strings[i], len)) {
            rw_pack_text(packer, strings[i]);
        } else {
            rw_pack_bin(packer, strings[i], len);
        }
    }
}

enum {
#define RW_LIMIT(field) LIMIT_##field,
    RW_LIMITS(RW_LIMIT)
#undef RW_LIMIT
        N_LIMITS
};

static void pack_stage(struct rw_packer *packer, const char *key, const struct rw_job_stage *stage)
{
    rw_pack_text(packer, key);
    rw_pack_map(packer, 3);
    pack_strings(packer, "argv", stage->argv, stage->n_argv);
    pack_strings(packer, "env", stage->env, stage->n_env);
    rw_pack_text(packer, "limits");
    rw_pack_map(packer, N_LIMITS);
#define RW_LIMIT(field)                                                                                                            \
    rw_pack_text(packer, #field);                                                                                                  \
    rw_pack_uint(packer, stage->limits.field);
    RW_LIMITS(RW_LIMIT)
#undef RW_LIMIT
}

int rw_job_encode(const struct rw_job *job, uint8_t **ret_data, size_t *ret_len, struct rw_error *err)
{
    if (check_job(job, err) < 0) {
        return -1;
    }
    RW_AUTO_BUFFER struct rw_buffer out;
    rw_buffer_init(&out, RW_JOB_BYTES_MAX);
    struct rw_packer packer;
    rw_packer_init(&packer, &out, err);
    rw_pack_map(&packer, job->has_compile ? 6 : 5);
    rw_pack_text(&packer, "language");
    rw_pack_text(&packer, job->language);
    rw_pack_text(&packer, "version");
    rw_pack_text(&packer, job->version);
    rw_pack_text(&packer, "files");
    rw_pack_array(&packer, job->n_files);
    for (size_t i = 0; i < job->n_files; i++) {
        rw_pack_map(&packer, 2);
        rw_pack_text(&packer, "name");
        rw_pack_text(&packer, job->files[i].name);
        rw_pack_text(&packer, "content");
        rw_pack_bin(&packer, job->files[i].content, job->files[i].content_len);
    }
    rw_pack_text(&packer, "stdin");
    rw_pack_bin(&packer, job->stdin_data, job->stdin_len);
    pack_stage(&packer, "run", &job->run);
    if (job->has_compile) {
        pack_stage(&packer, "compile", &job->compile);
    }
    if (packer.has_failed) {
        return rw_error_wrap(err, "job");
    }
    *ret_data = rw_take(out.data);
    *ret_len = out.len;
    return 0;
}

/* A string or byte string as owned C string. */
static int take_string(const msgpack_object *object, char **ret_text, struct rw_error *err)
{
    if (object->type != MSGPACK_OBJECT_STR && object->type != MSGPACK_OBJECT_BIN) {
        return rw_fail(err, PROTOCOL, "a string is expected");
    }
    struct rw_bytes bytes = object->type == MSGPACK_OBJECT_STR ? rw_bytes_of(object->via.str.ptr, object->via.str.size)
                                                               : rw_bytes_of(object->via.bin.ptr, object->via.bin.size);
    if (memchr(bytes.data, '\0', bytes.len)) {
        return rw_fail(err, PROTOCOL, "a string holds NUL");
    }
    *ret_text = rw_xstrndup((const char *)bytes.data, bytes.len);
    return 0;
}

/* What was taken stands in *strings and *count even on failure, so that the job's free function releases it. */
static int take_strings(const msgpack_object *object, char ***strings, size_t *count, struct rw_error *err)
{
    uint32_t n = object->via.array.size;
    if (n > RW_JOB_ARGS_MAX) {
        return rw_fail(err, PROTOCOL, "more than %d strings", RW_JOB_ARGS_MAX);
    }
    *strings = rw_xcalloc((size_t)n + 1, sizeof(**strings));
    *count = n;
    for (uint32_t i = 0; i < n; i++) {
        if (take_string(&object->via.array.ptr[i], &(*strings)[i], err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int take_limits(const msgpack_object *object, struct rw_limits *limits, struct rw_error *err)
{
    static const struct rw_unpack_key keys[N_LIMITS] = {
#define RW_LIMIT(field) [LIMIT_##field] = {#field, MSGPACK_OBJECT_POSITIVE_INTEGER, false},
        RW_LIMITS(RW_LIMIT)
#undef RW_LIMIT
    };
    const msgpack_object *values[N_LIMITS];
    if (rw_unpack_map(object, keys, N_LIMITS, values, err) < 0) {
        return -1;
    }
#define RW_LIMIT(field) limits->field = values[LIMIT_##field]->via.u64;
    RW_LIMITS(RW_LIMIT)
#undef RW_LIMIT
    return 0;
}

static int take_stage(const msgpack_object *object, struct rw_job_stage *stage, struct rw_error *err)
{
    enum { ARGV, ENV, STAGE_LIMITS, N_KEYS };
    static const struct rw_unpack_key keys[N_KEYS] = {
        [ARGV] = {"argv", MSGPACK_OBJECT_ARRAY, false},
        [ENV] = {"env", MSGPACK_OBJECT_ARRAY, false},
        [STAGE_LIMITS] = {"limits", MSGPACK_OBJECT_MAP, false},
    };
    const msgpack_object *values[N_KEYS];
    if (rw_unpack_map(object, keys, N_KEYS, values, err) < 0 || take_strings(values[ARGV], &stage->argv, &stage->n_argv, err) < 0 ||
        take_strings(values[ENV], &stage->env, &stage->n_env, err) < 0) {
        return -1;
    }
    return take_limits(values[STAGE_LIMITS], &stage->limits, err);
}

static int take_files(const msgpack_object *object, struct rw_job *job, struct rw_error *err)
{
    enum { NAME, CONTENT, N_KEYS };
    static const struct rw_unpack_key keys[N_KEYS] = {
        [NAME] = {"name", MSGPACK_OBJECT_STR, false},
        [CONTENT] = {"content", MSGPACK_OBJECT_BIN, false},
    };
    uint32_t n = object->via.array.size;
    if (n > RW_JOB_FILES_MAX) {
        return rw_fail(err, PROTOCOL, "more than %d files", RW_JOB_FILES_MAX);
    }
    job->files = rw_xcalloc(n, sizeof(*job->files));
    job->n_files = n;
    for (uint32_t i = 0; i < n; i++) {
        const msgpack_object *values[N_KEYS];
        if (rw_unpack_map(&object->via.array.ptr[i], keys, N_KEYS, values, err) < 0 ||
            take_string(values[NAME], &job->files[i].name, err) < 0) {
            return -1;
        }
        job->files[i].content = rw_xmemdup(values[CONTENT]->via.bin.ptr, values[CONTENT]->via.bin.size);
        job->files[i].content_len = values[CONTENT]->via.bin.size;
    }
    return 0;
}

static int take_job(const msgpack_object *object, struct rw_job *job, struct rw_error *err)
{
    enum { LANGUAGE, VERSION, FILES, STDIN, RUN, COMPILE, N_KEYS };
    static const struct rw_unpack_key keys[N_KEYS] = {
        [LANGUAGE] = {"language", MSGPACK_OBJECT_STR, false}, [VERSION] = {"version", MSGPACK_OBJECT_STR, false},
        [FILES] = {"files", MSGPACK_OBJECT_ARRAY, false},     [STDIN] = {"stdin", MSGPACK_OBJECT_BIN, false},
        [RUN] = {"run", MSGPACK_OBJECT_MAP, false},           [COMPILE] = {"compile", MSGPACK_OBJECT_MAP, true},
    };
    const msgpack_object *values[N_KEYS];
    if (rw_unpack_map(object, keys, N_KEYS, values, err) < 0 || take_string(values[LANGUAGE], &job->language, err) < 0 ||
        take_string(values[VERSION], &job->version, err) < 0 || take_files(values[FILES], job, err) < 0 ||
        take_stage(values[RUN], &job->run, err) < 0) {
        return -1;
    }
    job->stdin_data = rw_xmemdup(values[STDIN]->via.bin.ptr, values[STDIN]->via.bin.size);
    job->stdin_len = values[STDIN]->via.bin.size;
    job->has_compile = values[COMPILE] != NULL;
    return job->has_compile ? take_stage(values[COMPILE], &job->compile, err) : 0;
}

int rw_job_decode(struct rw_bytes bytes, struct rw_job **ret_job, struct rw_error *err)
{
    static const struct rw_unpack_limits limits = {.depth_max = 3, .values_max = VALUES_MAX};
    if (bytes.len > RW_JOB_BYTES_MAX) {
        return rw_fail(err, PROTOCOL, "a job of more than %d bytes", RW_JOB_BYTES_MAX);
    }
    RW_AUTO_UNPACKED msgpack_unpacked unpacked = {0};
    if (rw_unpack(bytes, &limits, &unpacked, err) < 0) {
        return rw_error_wrap(err, "job");
    }
    RW_AUTO(rw_job_free) struct rw_job *job = rw_xcalloc(1, sizeof(*job));
    if (take_job(&unpacked.data, job, err) < 0 || check_job(job, err) < 0) {
        if (err) {
            err->code = RW_ERR_PROTOCOL;
        }
        return rw_error_wrap(err, "job");
    }
    *ret_job = rw_take(job);
    return 0;
}
