/* From a request body to a job: the members by table, then the parts, then the command lines. Every fault found is reported by the
 * name of its field; a limit above the language's maximum is one of them, nothing is clamped in silence. */
#include "submission_internal.h"

#include <string.h>

/* What a name may have at most; the body's own bound holds for the rest. */
enum { VERSION_BYTES_MAX = 32, ISOLATION_BYTES_MAX = 16, ENCODING_BYTES_MAX = 8 };

#define MEMBER(key, json_type, required, low, high, member)                                                                        \
    {                                                                                                                              \
        .name = (key), .type = (json_type), .is_required = (required), .min = (low), .max = (high),                                \
        .offset = offsetof(struct request, member), .offset_present = SIZE_MAX                                                     \
    }

static const struct rw_json_field members[] = {
    MEMBER("language", RW_JSON_STRING, true, 1, RW_LANGUAGE_ID_BYTES_MAX, language),
    MEMBER("version", RW_JSON_STRING, false, 1, VERSION_BYTES_MAX, version),
    MEMBER("isolation", RW_JSON_STRING, false, 1, ISOLATION_BYTES_MAX, isolation),
    MEMBER("source", RW_JSON_STRING, false, 0, RW_JOB_BYTES_MAX, source),
    MEMBER("files", RW_JSON_ARRAY, false, 1, RW_JOB_FILES_MAX, files),
    MEMBER("entry", RW_JSON_STRING, false, 1, RW_JOB_FILE_NAME_BYTES_MAX, entry),
    MEMBER("stdin", RW_JSON_STRING, false, 0, RW_JOB_BYTES_MAX, stdin_text),
    MEMBER("stdin_encoding", RW_JSON_STRING, false, 1, ENCODING_BYTES_MAX, stdin_encoding),
    MEMBER("args", RW_JSON_ARRAY, false, 0, RW_JOB_ARGS_MAX, args),
    MEMBER("env", RW_JSON_OBJECT, false, 0, RW_JOB_ARGS_MAX, env),
    MEMBER("compile", RW_JSON_OBJECT, false, 0, 16, compile),
    MEMBER("limits", RW_JSON_OBJECT, false, 0, 16, limits),
};

void submission_done(struct submission *submission)
{
    free(submission->job);
    submission->job = NULL;
}

static int parse_body(struct rw_bytes body, cJSON **ret_json, struct rw_error *err)
{
    const struct rw_json_limits limits = {
        .bytes_max = body.len, .depth_max = SUBMISSION_DEPTH_MAX, .values_max = SUBMISSION_VALUES_MAX};
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;

    if (body.len == 0) {
        return rw_fail(err, INVALID, "the body is empty: a JSON object is expected");
    }
    if (rw_json_parse(body, &limits, &json, err)) {
        return -1;
    }
    if (!cJSON_IsObject(json)) {
        return rw_fail(err, INVALID, "the body must be a JSON object");
    }
    *ret_json = rw_take(json);
    return 0;
}

static void find_language(const struct rw_catalogue *catalogue, const struct request *request, struct submission *submission,
                          struct rw_field_errors *errors)
{
    if (!request->language) {
        return; /* its absence is reported already */
    }
    submission->language = rw_catalogue_find(catalogue, request->language);
    if (!submission->language) {
        rw_field_errors_add(errors, "language", "is not known; GET /languages lists those that are");
        return;
    }
    submission->version = rw_language_version_find(submission->language, request->version);
    if (!submission->version) {
        rw_field_errors_add(errors, "version", "is not offered; GET /languages lists those that are");
    }
}

static void find_isolation(const struct submission_rules *rules, const struct request *request, struct submission *submission,
                           struct rw_field_errors *errors)
{
    enum rw_isolation level = request->isolation ? rw_isolation_parse(request->isolation) : _RW_ISOLATION_INVALID;
    submission->isolation = level == _RW_ISOLATION_INVALID ? "" : rw_isolation_name(level);
    if (request->isolation && (level == _RW_ISOLATION_INVALID || !rules->is_offered[level])) {
        rw_field_errors_add(errors, "isolation", "is not offered here; the levels are pod and sandbox");
    }
}

static bool has_extension(const struct rw_language *language, const char *name)
{
    size_t len = strlen(name);
    for (unsigned i = 0; i < language->n_source_extensions; i++) {
        size_t extension_len = strlen(language->source_extensions[i]);
        if (len > extension_len && strcmp(name + len - extension_len, language->source_extensions[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool wants_sources(char *const *argv, unsigned n_argv)
{
    for (unsigned i = 0; i < n_argv; i++) {
        if (strcmp(argv[i], "{sources}") == 0) {
            return true;
        }
    }
    return false;
}

static void expand(char *const *template_argv, unsigned n_template, const struct rw_argv_inputs *inputs, const char *field,
                   struct rw_job_stage *stage, struct rw_field_errors *errors)
{
    struct rw_error err = {0};
    if (rw_argv_expand(template_argv, n_template, inputs, &stage->argv, &stage->n_argv, &err)) {
        rw_field_errors_add(errors, field, "%s", err.message);
    }
}

/* The command lines, from the version's templates. */
static void build_stages(const struct submission *submission, const char *entry, const struct strings *args,
                         const struct strings *options, struct rw_job *job, struct rw_field_errors *errors)
{
    const struct rw_language_version *version = submission->version;
    RW_AUTO_FREE const char **sources = rw_xcalloc(job->n_files + 1, sizeof(*sources));
    struct rw_argv_inputs inputs = {.entry = entry,
                                    .sources = sources,
                                    .options = options->items,
                                    .n_options = options->count,
                                    .args = args->items,
                                    .n_args = args->count};

    for (size_t i = 0; i < job->n_files; i++) {
        if (has_extension(submission->language, job->files[i].name)) {
            sources[inputs.n_sources++] = job->files[i].name;
        }
    }
    if (version->compile_argv) {
        job->has_compile = true;
        job->compile.limits = submission->language->compile_limits;
        if (inputs.n_sources == 0 && wants_sources(version->compile_argv, version->n_compile_argv)) {
            rw_field_errors_add(errors, "files", "none has a name that ends like a source file of this language");
        }
        inputs.memory_bytes = job->compile.limits.memory_bytes;
        expand(version->compile_argv, version->n_compile_argv, &inputs, "files", &job->compile, errors);
        parts_env(submission->language, NULL, &job->compile, errors);
    }
    inputs.memory_bytes = job->run.limits.memory_bytes;
    expand(version->run_argv, version->n_run_argv, &inputs, "args", &job->run, errors);
}

static void build_job(const struct submission *submission, const struct request *request, struct rw_job *job,
                      struct rw_field_errors *errors)
{
    const struct rw_language *language = submission->language;
    __attribute__((cleanup(strings_donep))) struct strings args = {0};
    __attribute__((cleanup(strings_donep))) struct strings options = {0};

    job->language = rw_xstrdup(language->id);
    job->version = rw_xstrdup(submission->version->version);
    parts_files(language, request, job, errors);
    const char *entry = parts_entry(language, request, job, errors);
    parts_stdin(request, job, errors);
    parts_strings(request->args, "args", &args, errors);
    parts_options(language, submission->version, request, &options, errors);
    parts_limits(language, request->limits, &job->run.limits, errors);
    parts_env(language, request->env, &job->run, errors);
    if (errors->count == 0) {
        build_stages(submission, entry, &args, &options, job, errors);
    }
}

int submission_parse(const struct submission_rules *rules, struct rw_bytes body, struct submission *ret_submission,
                     struct rw_field_errors *errors, struct rw_error *err)
{
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    RW_AUTO(rw_job_free) struct rw_job *job = rw_xcalloc(1, sizeof(*job));
    struct submission submission = {0};
    struct request request = {0};

    errors->count = 0;
    if (parse_body(body, &json, err)) {
        return -1;
    }
    rw_json_decode(json, "", members, RW_ARRAY_SIZE(members), &request, errors);
    find_isolation(rules, &request, &submission, errors);
    find_language(rules->catalogue, &request, &submission, errors);
    if (submission.language && submission.version) {
        build_job(&submission, &request, job, errors);
    }
    if (errors->count > 0) {
        return rw_fail(err, FIELDS, "%zu %s of the request %s wrong; see errors", errors->count,
                       errors->count == 1 ? "field" : "fields", errors->count == 1 ? "is" : "are");
    }
    if (rw_job_encode(job, &submission.job, &submission.job_len, err)) {
        return -1;
    }
    *ret_submission = submission;
    return 0;
}
