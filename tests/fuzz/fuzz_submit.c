/* The body of POST /submit, against the shipped languages: what is accepted is a job that decodes and keeps the language's limits;
 * what is refused for its fields names them. */
#include "fuzz.h"

#include "submission.h"

static const struct rw_catalogue *load_catalogue(void)
{
    struct rw_catalogue *catalogue = NULL;
    struct rw_error err = {0};
    HOLDS(rw_catalogue_load(RUNWAVE_SOURCE_DIR "/runner-images", &catalogue, &err) == 0);
    return catalogue;
}

static void check_job(const struct submission *submission)
{
    RW_AUTO(rw_job_free) struct rw_job *job = NULL;
    const struct rw_limits *max = &submission->language->limits_max;
    struct rw_error err = {0};
    HOLDS(rw_job_decode(rw_bytes_of(submission->job, submission->job_len), &job, &err) == 0);
#define IN_RANGE(field) HOLDS(job->run.limits.field >= 1 && job->run.limits.field <= max->field);
    RW_LIMITS(IN_RANGE)
#undef IN_RANGE
    HOLDS(job->n_files >= 1 && job->run.n_argv >= 1 && job->run.argv[0][0] == '/');
    for (size_t i = 0; i < job->n_files; i++) {
        HOLDS(job->files[i].name[0] != '-' && job->files[i].name[0] != '@');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rw_catalogue *catalogue;
    struct rw_field_errors errors = {0};
    struct submission submission = {0};
    struct rw_error err = {0};

    if (!catalogue) {
        catalogue = load_catalogue();
    }
    if (submission_parse(&(struct submission_rules){.catalogue = catalogue, .is_offered = {true}}, rw_bytes_of(data, size),
                         &submission, &errors, &err) == 0) {
        HOLDS(errors.count == 0);
        check_job(&submission);
        submission_done(&submission);
    } else {
        HOLDS(err.message[0] && (err.code == RW_ERR_FIELDS) == (errors.count > 0));
    }
    return 0;
}
