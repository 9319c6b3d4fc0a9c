/* The parts of a submission, between submission.c and submission_parts.c. */
#ifndef API_SUBMISSION_INTERNAL_H
#define API_SUBMISSION_INTERNAL_H

#include "submission.h"

struct request { /* the body's members, borrowed from its JSON; NULL when absent */
    const char *language;
    const char *version;
    const char *isolation;
    const char *source;
    const cJSON *files;
    const char *entry;
    const char *stdin_text;
    const char *stdin_encoding;
    const cJSON *args;
    const cJSON *env;
    const cJSON *compile;
    const cJSON *limits;
};

struct strings {        /* a list of texts, borrowed from the JSON */
    const char **items; /* owned */
    size_t count;
};

static inline void strings_donep(struct strings *strings)
{
    free(strings->items);
}

/* Each reports its faults and may leave its output incomplete when there are any. */
void parts_files(const struct rw_language *language, const struct request *request, struct rw_job *job,
                 struct rw_field_errors *errors);
const char *parts_entry(const struct rw_language *language, const struct request *request, const struct rw_job *job,
                        struct rw_field_errors *errors);
void parts_stdin(const struct request *request, struct rw_job *job, struct rw_field_errors *errors);
void parts_strings(const cJSON *array, const char *field, struct strings *ret_strings, struct rw_field_errors *errors);
void parts_options(const struct rw_language *language, const struct rw_language_version *version, const struct request *request,
                   struct strings *ret_options, struct rw_field_errors *errors);
void parts_limits(const struct rw_language *language, const cJSON *limits, struct rw_limits *ret_limits,
                  struct rw_field_errors *errors);
/* "KEY=VALUE" of the language, and of the request when it is not NULL. */
void parts_env(const struct rw_language *language, const cJSON *env, struct rw_job_stage *stage, struct rw_field_errors *errors);

#endif
