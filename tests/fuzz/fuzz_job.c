/* A job's bytes: what decodes can be encoded, and the encoded form is stable. */
#include "fuzz.h"

#include <string.h>

#include <rw/job.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rw_error err = {0};
    RW_AUTO(rw_job_free) struct rw_job *job = NULL;
    RW_AUTO(rw_job_free) struct rw_job *again = NULL;
    RW_AUTO_FREE uint8_t *first = NULL;
    RW_AUTO_FREE uint8_t *second = NULL;
    size_t first_len, second_len;
    if (rw_job_decode(rw_bytes_of(data, size), &job, &err) < 0) {
        HOLDS(err.code == RW_ERR_PROTOCOL && err.message[0] && !job);
        return 0;
    }
    for (size_t i = 0; i < job->n_files; i++) {
        HOLDS(rw_job_file_name_check(job->files[i].name, strlen(job->files[i].name), &err) == 0);
        HOLDS(job->files[i].name[0] != '/' && strcmp(job->files[i].name, "..") != 0);
    }
    HOLDS(rw_job_encode(job, &first, &first_len, &err) == 0);
    HOLDS(rw_job_decode(rw_bytes_of(first, first_len), &again, &err) == 0);
    HOLDS(rw_job_encode(again, &second, &second_len, &err) == 0);
    HOLDS(first_len == second_len && memcmp(first, second, first_len) == 0);
    return 0;
}
