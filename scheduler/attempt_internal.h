/* What the attempt's files share: the struct, and the moves each may make. Inside scheduler/attempt*.c only. */
#ifndef SCHEDULER_ATTEMPT_INTERNAL_H
#define SCHEDULER_ATTEMPT_INTERNAL_H

#include "attempt.h"

#include <rw/backoff.h>
#include <rw/log.h>

struct attempt {
    const struct attempt_context *context;
    void *subject;
    size_t language;
    enum attempt_state state;
    bool is_draining;

    struct rw_uuid task_id;
    char task_id_text[RW_UUID_TEXT_BYTES];
    char trace_id[RW_TRACE_ID_BYTES];
    int32_t number;
    int64_t fence;
    struct rw_trace trace;
    char *isolation;
    char *language_id;
    char *version;
    uint8_t *job;
    size_t job_len;

    uv_timer_t timer;
    struct rw_backoff backoff;
    unsigned n_pods_failed;
    unsigned n_refusals;
    struct lease_request *lease_request;
    struct lease_look *look;
    int64_t look_until_ms; /* monotonic */
    bool has_lease;
    struct lease lease;
    struct runner_link *link;

    struct rw_buffer outputs[_RW_STREAM_MAX];
    size_t output_bytes;
    struct rw_run_result result;
    bool is_measured; /* the result came from the runner, with what was used */
    uint32_t return_delay_ms;
    char loss[RW_ERROR_MESSAGE_BYTES]; /* why the attempt is lost */

    int64_t entered_us;   /* the state; monotonic */
    int64_t asked_us;     /* for a pod; monotonic */
    int64_t submitted_us; /* by the database's clock, as the next */
    int64_t claimed_us;
    int64_t leased_us; /* real time, -1: not reached */
    int64_t job_sent_us;
    int64_t started_us;
    int64_t finished_us;
};

#define attempt_log(level, attempt, message, ...)                                                                                  \
    rw_log((level), (message), RW_LOG_STR("task_id", (attempt)->task_id_text), RW_LOG_INT("attempt", (attempt)->number),           \
           RW_LOG_STR("trace_id", (attempt)->trace_id), ##__VA_ARGS__)

/* ---- attempt.c ---- */

/* The next state; aborts when the rules do not permit it. */
void attempt_enter(struct attempt *attempt, enum attempt_state to);
/* Let go of what the attempt waits for and holds of a pod. */
void attempt_drop_pod(struct attempt *attempt, enum lease_outcome outcome);
void attempt_forget_outputs(struct attempt *attempt);
/* After a pause, the next try. */
void attempt_again(struct attempt *attempt, uv_timer_cb next);
void attempt_end(struct attempt *attempt, bool is_settled);
/* Something went wrong: do what the rules say. err is required. */
void attempt_fail(struct attempt *attempt, enum attempt_failure failure, const struct rw_error *err);

/* Why the attempt is lost, for the task's result. */
void attempt_note_loss(struct attempt *attempt, const char *name, const char *message);

/* ---- attempt_inquire.c ---- */

/* The runner vanished in mid-job: find out why, then record or lose. */
void attempt_inquire(struct attempt *attempt);

/* ---- attempt_settle.c: each is repeated until the database has settled it, then ends the attempt ---- */

void attempt_record(struct attempt *attempt);
void attempt_lose(struct attempt *attempt);
void attempt_return(struct attempt *attempt, uint32_t delay_ms);
void attempt_become_fenced(struct attempt *attempt);

#endif
