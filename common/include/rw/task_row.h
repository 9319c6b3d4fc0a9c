/* Everything a client may read of a task, and its way in a final event: a scheduler that has recorded a small result sends it
 * along, so that an api-server whose client waits needs not read what was just written. */
#ifndef RW_TASK_ROW_H
#define RW_TASK_ROW_H

#include <rw/bytes.h>
#include <rw/task.h>

/* Texts and bytes are borrowed. Times are microseconds since the epoch, -1 when not (yet) there. */
struct rw_task_row {
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

enum { RW_TASK_ROW_TEXT_BYTES = 512 };

struct rw_task_row_texts { /* room for the texts of a decoded row */
    char language[RW_TASK_ROW_TEXT_BYTES];
    char version[RW_TASK_ROW_TEXT_BYTES];
    char reason[RW_TASK_ROW_TEXT_BYTES];
};

/* Append one MessagePack map. TOO_LARGE. */
RW_NODISCARD int rw_task_row_encode(const struct rw_task_row *row, struct rw_buffer *out, struct rw_error *err);
/* Bytes are borrowed from `bytes`, texts from *texts. Keys that it does not know are passed over, so that programs of two versions
 * understand each other. PROTOCOL when it is no row of a final task. */
RW_NODISCARD int rw_task_row_decode(struct rw_bytes bytes, struct rw_task_row *ret_row, struct rw_task_row_texts *texts,
                                    struct rw_error *err);

#endif
