/* The plan of what a runner starts ahead of its job: two jobs of the default version without a program, as an api-server makes them
 * for a plain request with the one source file, no arguments, options or environment, and the default limits. The first is what a
 * fitting job looks like; the second what is started, which differs where a warm host takes the compiler's place. */
#include <rw/language.h>

#include <arpa/inet.h>
#include <sodium.h>
#include <string.h>

#include "language_internal.h"

static void copy_environment(const struct rw_language *language, struct rw_job_stage *stage)
{
    stage->env = rw_xcalloc(language->n_environment + 1, sizeof(*stage->env));
    for (unsigned i = 0; i < language->n_environment; i++) {
        stage->env[stage->n_env++] = rw_xstrdup(language->environment[i]);
    }
}

static int make_stage(const struct rw_language *language, char *const *argv, unsigned n_argv, const struct rw_limits *limits,
                      struct rw_job_stage *stage, struct rw_error *err)
{
    const char *const sources[] = {language->source_file, NULL};
    const struct rw_argv_inputs inputs = {
        .entry = language->source_file, .sources = sources, .n_sources = 1, .memory_bytes = limits->memory_bytes};
    stage->limits = *limits;
    copy_environment(language, stage);
    return rw_argv_expand(argv, n_argv, &inputs, &stage->argv, &stage->n_argv, err);
}

/* host: NULL: none. compile_argv: NULL: no such stage. *ret_data owned by the caller. */
static int make_job(const struct rw_language *language, const struct rw_language_version *version, char *const *compile_argv,
                    unsigned n_compile_argv, const char *host, uint8_t **ret_data, size_t *ret_len, struct rw_error *err)
{
    RW_AUTO(rw_job_free) struct rw_job *job = rw_xcalloc(1, sizeof(*job));
    job->language = rw_xstrdup(language->id);
    job->version = rw_xstrdup(version->version);
    job->files = rw_xcalloc(1, sizeof(*job->files));
    job->n_files = 1;
    job->files[0].name = rw_xstrdup(language->source_file);
    job->files[0].content = (uint8_t *)rw_xstrdup(host ? host : "");
    job->files[0].content_len = host ? strlen(host) : 0;
    job->has_compile = compile_argv != NULL;
    if (job->has_compile && make_stage(language, compile_argv, n_compile_argv, &language->compile_limits, &job->compile, err) < 0) {
        return -1;
    }
    return make_stage(language, version->run_argv, version->n_run_argv, &language->limits_default, &job->run, err) < 0
               ? -1
               : rw_job_encode(job, ret_data, ret_len, err);
}

int rw_language_plan(struct rw_language_entry *entry, struct rw_error *err)
{
    const struct rw_language *language = &entry->language;
    const struct rw_language_version *version = rw_language_version_find(language, NULL);
    RW_AUTO_FREE uint8_t *fits = NULL;
    RW_AUTO_FREE uint8_t *starts = NULL;
    size_t fits_len = 0;
    size_t starts_len = 0;
    if (!version || !version->warm) {
        return 0;
    }
    const struct rw_language_warm *warm = version->warm;
    if (make_job(language, version, version->compile_argv, version->n_compile_argv, NULL, &fits, &fits_len, err) < 0 ||
        make_job(language, version, warm->compile_argv, warm->n_compile_argv, warm->host, &starts, &starts_len, err) < 0) {
        return rw_error_wrap(err, "warm");
    }
    uint32_t first = htonl((uint32_t)fits_len);
    size_t len = sizeof(first) + fits_len + starts_len;
    RW_AUTO_FREE uint8_t *plan = rw_xcalloc(1, len);
    memcpy(plan, &first, sizeof(first));
    memcpy(plan + sizeof(first), fits, fits_len);
    memcpy(plan + sizeof(first) + fits_len, starts, starts_len);
    size_t text_len = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL);
    entry->warm_plan = rw_xcalloc(1, text_len);
    (void)sodium_bin2base64(entry->warm_plan, text_len, plan, len, sodium_base64_VARIANT_ORIGINAL);
    return 0;
}

const char *rw_language_warm_plan(const struct rw_language *language)
{
    return ((const struct rw_language_entry *)language)->warm_plan;
}
