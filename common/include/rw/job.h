/* The job: everything a runner needs to run one attempt, as MessagePack bytes made once by the api-server, stored with the task,
 * and forwarded by the scheduler unread. The map's keys are documented in docs/runner-protocol.md; unknown keys are refused. */
#ifndef RW_JOB_H
#define RW_JOB_H

#include <stdint.h>

#include <rw/auto.h>
#include <rw/bytes.h>

/* Bounds that hold for every job, whatever a configuration says; decoding refuses more. */
enum {
    RW_JOB_FILES_MAX = 256,
    RW_JOB_FILE_NAME_BYTES_MAX = 255,
    RW_JOB_ARGS_MAX = 1024,            /* elements of one argv or one environment */
    RW_JOB_ARG_BYTES_MAX = 131072 - 1, /* the kernel's MAX_ARG_STRLEN, less the NUL */
    RW_JOB_BYTES_MAX = 16 * 1024 * 1024,
};

struct rw_limits { /* all of one stage (compile or run); 0 is never "unlimited", it is refused */
    uint64_t cpu_ms;
    uint64_t wall_ms;
    uint64_t memory_bytes;
    uint64_t processes;    /* processes and threads together */
    uint64_t output_bytes; /* each of stdout and stderr */
    uint64_t file_bytes;   /* the largest single file */
    uint64_t disk_bytes;   /* everything written to the sandbox's private folders */
    uint64_t open_files;
};

/* Table of the limit fields: RW_LIMIT(field, "name"); used by the job, language.yaml and the request alike. */
#define RW_LIMITS(X) X(cpu_ms) X(wall_ms) X(memory_bytes) X(processes) X(output_bytes) X(file_bytes) X(disk_bytes) X(open_files)

struct rw_job_file {
    char *name; /* relative path inside the work folder: '/'-separated, no empty, "." or ".." part, no NUL, UTF-8 */
    uint8_t *content;
    size_t content_len;
};

struct rw_job_stage {
    char **argv; /* NULL-terminated; argv[0] is an absolute path inside the sandbox */
    size_t n_argv;
    char **env; /* NULL-terminated "KEY=VALUE" */
    size_t n_env;
    struct rw_limits limits;
};

struct rw_job {
    char *language;
    char *version;
    struct rw_job_file *files;
    size_t n_files;
    uint8_t *stdin_data; /* of the run stage; the compile stage reads /dev/null */
    size_t stdin_len;
    bool has_compile;
    struct rw_job_stage compile;
    struct rw_job_stage run;
};

void rw_job_free(struct rw_job *job);
RW_DEFINE_AUTO(struct rw_job *, rw_job_free);
/* Whether a file name is safe to create beneath the work folder; FIELDS with the reason. */
RW_NODISCARD int rw_job_file_name_check(const char *name, size_t len, struct rw_error *err);
/* TOO_LARGE past RW_JOB_BYTES_MAX. *ret_data owned by the caller. */
RW_NODISCARD int rw_job_encode(const struct rw_job *job, uint8_t **ret_data, size_t *ret_len, struct rw_error *err);
/* PROTOCOL when the bytes are not exactly one well-formed job within the bounds. *ret_job owned by the caller. */
RW_NODISCARD int rw_job_decode(struct rw_bytes bytes, struct rw_job **ret_job, struct rw_error *err);

#endif
