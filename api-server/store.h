/* The api-server's statements, and a task's row as it reads it. */
#ifndef API_STORE_H
#define API_STORE_H

#include <rw/pg.h>
#include <rw/task.h>

enum store_statement {
    STORE_INSERT,  /* $1 id, $2 language, $3 version, $4 traceparent, $5 job; safe to repeat */
    STORE_READ,    /* $1 id */
    STORE_MARK,    /* $1 ids whose publish was confirmed, $2 lost_after_ms */
    STORE_BACKLOG, /* $1 where to stop counting */
    _STORE_MAX
};

extern const struct rw_pg_statement store_statements[_STORE_MAX];

/* Everything a client may read of a task. Texts and bytes are borrowed from the result. Times are microseconds since the epoch, -1
 * when not (yet) there. */
struct task_row {
    enum rw_task_state state;
    const char *language;
    const char *version;
    int32_t attempt;
    int64_t submitted_us;
    int64_t claimed_us;
    int64_t ended_us;
    bool has_result;         /* what follows */
    enum rw_verdict verdict; /* _RW_VERDICT_INVALID: none */
    bool has_exit_code;
    int32_t exit_code;
    int32_t signal; /* 0: none */
    struct rw_bytes stdout_bytes;
    struct rw_bytes stderr_bytes;
    struct rw_bytes compile_output;
    bool stdout_truncated;
    bool stderr_truncated;
    bool compile_truncated;
    const char *reason;
    int64_t wall_us; /* usage: -1 when not known */
    int64_t cpu_us;
    int64_t memory_bytes;
    int64_t compile_wall_us;
    int64_t compile_cpu_us;
    int64_t compile_memory_bytes;
    int64_t leased_us;
    int64_t job_sent_us;
    int64_t started_us;
    int64_t finished_us;
};

/* How large the outputs of row 0 of a STORE_READ are, all together. */
size_t store_row_bytes(const PGresult *result);
/* Row 0 of a STORE_READ. */
void store_read_row(const PGresult *result, struct task_row *ret_row);

#endif
