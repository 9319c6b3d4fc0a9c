/* A request body of POST /submit, made into a job that may run. Pure: bytes and the catalogue in, a job or a list of faults out. */
#ifndef API_SUBMISSION_H
#define API_SUBMISSION_H

#include <rw/isolation.h>
#include <rw/json.h>
#include <rw/language.h>

enum { SUBMISSION_DEPTH_MAX = 16, SUBMISSION_VALUES_MAX = 16384 };

struct submission_rules {
    const struct rw_catalogue *catalogue;
    bool is_offered[_RW_ISOLATION_MAX]; /* isolation levels that a task may ask for */
};

struct submission {
    const struct rw_language *language; /* the catalogue's */
    const struct rw_language_version *version;
    const char *isolation; /* static; "": whatever pods are usually made as */
    uint8_t *job;          /* owned; encoded */
    size_t job_len;
};

void submission_done(struct submission *submission);

/* INVALID: not JSON, or not an object. FIELDS: see errors, which is emptied first. TOO_LARGE: the job would be. */
RW_NODISCARD int submission_parse(const struct submission_rules *rules, struct rw_bytes body, struct submission *ret_submission,
                                  struct rw_field_errors *errors, struct rw_error *err);

#endif
