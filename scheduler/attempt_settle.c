/* How an attempt settles what became of it with the database: recorded, lost, returned, or found fenced. Every statement may be
 * repeated, and is, until its outcome is known: a result at hand waits here for as long as the database is away. */
#include "attempt_internal.h"

#include <rw/clock.h>

enum { RECORD_REFUSALS_MAX = 10 };

void attempt_become_fenced(struct attempt *attempt)
{
    rw_counter_add(attempt->context->metrics->fenced, 1);
    attempt_log(RW_LOG_WARNING, attempt, "fenced: the task is not this attempt's any more",
                RW_LOG_STR("state", attempt_state_name(attempt->state)));
    bool has_job = attempt->state == ATTEMPT_RUNNING || attempt->state == ATTEMPT_INQUIRING;
    attempt_drop_pod(attempt, has_job ? LEASE_USED : LEASE_UNUSED);
    attempt_end(attempt, true);
}

static void retry_change(struct attempt *attempt, uv_timer_cb again_by, const struct rw_error *err)
{
    rw_log_error(RW_LOG_WARNING, "the database did not settle it, trying again", err, RW_LOG_STR("task_id", attempt->task_id_text),
                 RW_LOG_INT("attempt", attempt->number), RW_LOG_STR("trace_id", attempt->trace_id),
                 RW_LOG_STR("state", attempt_state_name(attempt->state)));
    attempt_again(attempt, again_by);
}

static void send_return(uv_timer_t *timer);
static void send_loss(uv_timer_t *timer);
static void send_record(uv_timer_t *timer);

static void returned(void *arg, enum store_outcome outcome, const struct rw_error *err)
{
    struct attempt *attempt = arg;
    if (outcome == STORE_UNSURE || outcome == STORE_REFUSED) {
        retry_change(attempt, send_return, err);
        return;
    }
    if (outcome == STORE_DONE) {
        rw_counter_add(attempt->context->metrics->returned[attempt->language], 1);
        attempt_log(RW_LOG_INFO, attempt, "task returned, its job was not sent");
    }
    attempt_end(attempt, outcome != STORE_CLOSING);
}

static void send_return(uv_timer_t *timer)
{
    struct attempt *attempt = timer->data;
    store_return(attempt->context->store, &attempt->task_id, attempt->fence, attempt->return_delay_ms, returned, attempt);
}

void attempt_return(struct attempt *attempt, uint32_t delay_ms)
{
    (void)uv_timer_stop(&attempt->timer);
    attempt_drop_pod(attempt, LEASE_UNUSED);
    attempt_enter(attempt, ATTEMPT_RETURNING);
    attempt->return_delay_ms = delay_ms;
    rw_backoff_reset(&attempt->backoff);
    send_return(&attempt->timer);
}

static void lost(void *arg, enum store_outcome outcome, const struct rw_error *err)
{
    struct attempt *attempt = arg;
    if (outcome == STORE_UNSURE || outcome == STORE_REFUSED) {
        retry_change(attempt, send_loss, err);
        return;
    }
    if (outcome == STORE_FENCED) {
        attempt_become_fenced(attempt);
        return;
    }
    if (outcome != STORE_CLOSING) {
        rw_counter_add(attempt->context->metrics->lost[attempt->language], 1);
        attempt_log(RW_LOG_WARNING, attempt,
                    outcome == STORE_DEAD ? "last attempt lost, task dead" : "attempt lost, task queued again",
                    RW_LOG_STR("reason", attempt->loss));
    }
    if (outcome == STORE_DEAD) {
        rw_counter_add(attempt->context->metrics->dead[attempt->language], 1);
        events_final(attempt->context->events, RW_TASK_DEAD, &attempt->task_id);
    }
    attempt_end(attempt, outcome != STORE_CLOSING);
}

static void send_loss(uv_timer_t *timer)
{
    struct attempt *attempt = timer->data;
    store_lose(attempt->context->store, &attempt->task_id, attempt->fence, attempt->loss, lost, attempt);
}

void attempt_lose(struct attempt *attempt)
{
    (void)uv_timer_stop(&attempt->timer);
    attempt_enter(attempt, ATTEMPT_LOSING);
    attempt_forget_outputs(attempt);
    rw_backoff_reset(&attempt->backoff);
    send_loss(&attempt->timer);
}

static int64_t or_unknown(bool is_known, uint64_t value)
{
    return is_known ? (int64_t)(value < INT64_MAX ? value : INT64_MAX) : -1;
}

/* As a read of what was just recorded finds it. */
static struct rw_task_row recorded_row(const struct attempt *attempt, int64_t ended_us)
{
    const struct rw_run_result *result = &attempt->result;
    bool has_compile = result->has_compile;
    return (struct rw_task_row){
        .state = RW_TASK_DONE,
        .language = attempt->language_id,
        .version = attempt->version,
        .attempt = attempt->number,
        .submitted_us = attempt->submitted_us,
        .claimed_us = attempt->claimed_us,
        .ended_us = ended_us,
        .has_result = true,
        .verdict = result->verdict,
        .has_exit_code = result->has_exit_code,
        .exit_code = result->exit_code,
        .signal = result->signal,
        .stdout_bytes = rw_buffer_view(&attempt->outputs[RW_STREAM_STDOUT]),
        .stderr_bytes = rw_buffer_view(&attempt->outputs[RW_STREAM_STDERR]),
        .compile_output = rw_buffer_view(&attempt->outputs[RW_STREAM_COMPILE]),
        .stdout_truncated = result->truncated[RW_STREAM_STDOUT],
        .stderr_truncated = result->truncated[RW_STREAM_STDERR],
        .compile_truncated = result->truncated[RW_STREAM_COMPILE],
        .reason = result->reason,
        .wall_us = or_unknown(attempt->is_measured, result->run.wall_us),
        .cpu_us = or_unknown(attempt->is_measured, result->run.cpu_user_us + result->run.cpu_system_us),
        .memory_bytes = or_unknown(attempt->is_measured, result->run.memory_bytes),
        .compile_wall_us = or_unknown(has_compile, result->compile.wall_us),
        .compile_cpu_us = or_unknown(has_compile, result->compile.cpu_user_us + result->compile.cpu_system_us),
        .compile_memory_bytes = or_unknown(has_compile, result->compile.memory_bytes),
        .leased_us = attempt->leased_us,
        .job_sent_us = attempt->job_sent_us,
        .started_us = attempt->started_us,
        .finished_us = attempt->finished_us,
    };
}

static void tell_done(struct attempt *attempt, int64_t ended_us)
{
    struct rw_task_row row = recorded_row(attempt, ended_us);
    if (ended_us >= 0) {
        events_final_row(attempt->context->events, &attempt->task_id, &row);
    } else {
        events_final(attempt->context->events, RW_TASK_DONE, &attempt->task_id);
    }
}

static void recorded(void *arg, enum store_outcome outcome, int64_t ended_us, const struct rw_error *err)
{
    struct attempt *attempt = arg;
    switch (outcome) {
    case STORE_DONE:
        rw_counter_add(attempt->context->metrics->verdicts[attempt->language][attempt->result.verdict], 1);
        attempt_log(RW_LOG_INFO, attempt, "task done", RW_LOG_STR("verdict", rw_verdict_name(attempt->result.verdict)));
        tell_done(attempt, ended_us);
        attempt_end(attempt, true);
        return;
    case STORE_UNSURE:
        retry_change(attempt, send_record, err);
        return;
    case STORE_REFUSED:
        if (++attempt->n_refusals < RECORD_REFUSALS_MAX) {
            retry_change(attempt, send_record, err);
        } else {
            attempt_fail(attempt, FAILURE_RECORD_REFUSED, err);
        }
        return;
    case STORE_CLOSING:
        attempt_end(attempt, false);
        return;
    case STORE_DEAD:
    case STORE_FENCED:
    default:
        attempt_become_fenced(attempt);
        return;
    }
}

static void send_record(uv_timer_t *timer)
{
    struct attempt *attempt = timer->data;
    struct store_result result = {
        .run = &attempt->result,
        .is_measured = attempt->is_measured,
        .leased_us = attempt->leased_us,
        .job_sent_us = attempt->job_sent_us,
        .started_us = attempt->started_us,
        .finished_us = attempt->finished_us,
    };
    for (enum rw_stream s = 0; s < _RW_STREAM_MAX; s++) {
        result.outputs[s] = rw_buffer_view(&attempt->outputs[s]);
    }
    store_record(attempt->context->store, &attempt->task_id, attempt->fence, &result, recorded, attempt);
}

void attempt_record(struct attempt *attempt)
{
    attempt_enter(attempt, ATTEMPT_RECORDING);
    rw_backoff_reset(&attempt->backoff);
    send_record(&attempt->timer);
}
