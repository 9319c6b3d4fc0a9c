/* An attempt: see attempt.h.
 *
 * Where it waits: in each state exactly one thing is under way, a statement, a request for a pod, a link to a runner, or the
 * timer before the next try; its answer moves the attempt on. So there is one owner of what comes next, and ending is the same
 * everywhere: drop the one thing, give the lease back, tell the owner. Statements cannot be dropped, so states with a statement
 * under way end only by its answer. Timers are closed, and the memory freed, by the loop. */
#include "attempt_internal.h"

#include <stdio.h>
#include <string.h>

#include <rw/clock.h>

#include "runner_link.h"

enum { RETURN_DELAY_MS = 5000 /* before a task is published again that no pod could be found for */ };

/* The stage that a state's time counts as; the others are not measured. */
static const enum metrics_stage stages[_ATTEMPT_STATE_MAX] = {
    [ATTEMPT_CLAIMING] = METRICS_CLAIM,       [ATTEMPT_LEASING] = METRICS_LEASE,    [ATTEMPT_CONNECTING] = METRICS_CONNECT,
    [ATTEMPT_RUNNING] = METRICS_RUN,          [ATTEMPT_RECORDING] = METRICS_RECORD, [ATTEMPT_LOSING] = _METRICS_STAGE_MAX,
    [ATTEMPT_RETURNING] = _METRICS_STAGE_MAX, [ATTEMPT_ENDED] = _METRICS_STAGE_MAX, [ATTEMPT_INQUIRING] = _METRICS_STAGE_MAX,
};

void attempt_enter(struct attempt *attempt, enum attempt_state to)
{
    if (!attempt_transition_is_permitted(attempt->state, to)) {
        attempt_log(RW_LOG_ERROR, attempt, "impossible transition", RW_LOG_STR("from", attempt_state_name(attempt->state)),
                    RW_LOG_STR("to", attempt_state_name(to)));
        abort(); /* a mistake in the program; every crash is safe */
    }
    int64_t now_us = rw_monotonic_us();
    if (stages[attempt->state] != _METRICS_STAGE_MAX) {
        rw_histogram_observe(attempt->context->metrics->stages[stages[attempt->state]],
                             (double)(now_us - attempt->entered_us) / 1e6);
    }
    attempt->entered_us = now_us;
    attempt->state = to;
}

static void set_pod(struct attempt *attempt, bool has_pod)
{
    attempt->context->pod(attempt->context->owner, attempt, has_pod);
}

void attempt_drop_pod(struct attempt *attempt, enum lease_outcome outcome)
{
    leases_abandon(rw_take(attempt->lease_request));
    leases_look_away(rw_take(attempt->look));
    runner_link_close(rw_take(attempt->link));
    if (attempt->has_lease) {
        leases_release(attempt->context->leases, &attempt->lease.id, outcome);
        memset(&attempt->lease, 0, sizeof(attempt->lease));
        attempt->has_lease = false;
        set_pod(attempt, false);
    }
}

void attempt_forget_outputs(struct attempt *attempt)
{
    for (enum rw_stream s = 0; s < _RW_STREAM_MAX; s++) {
        rw_buffer_clear(&attempt->outputs[s]);
    }
    attempt->output_bytes = 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct attempt *attempt = handle->data;
    for (enum rw_stream s = 0; s < _RW_STREAM_MAX; s++) {
        rw_buffer_done(&attempt->outputs[s]);
    }
    free(attempt->language_id);
    free(attempt->isolation);
    free(attempt->version);
    free(attempt->job);
    free(attempt);
}

void attempt_end(struct attempt *attempt, bool is_settled)
{
    attempt_enter(attempt, ATTEMPT_ENDED);
    attempt_drop_pod(attempt, LEASE_USED);
    uv_close((uv_handle_t *)&attempt->timer, on_closed);
    attempt->context->over(attempt->context->owner, attempt, is_settled);
}

void attempt_again(struct attempt *attempt, uv_timer_cb next)
{
    (void)uv_timer_start(&attempt->timer, next, rw_backoff_next_ms(&attempt->backoff), 0);
}

/* ---- a pod and its runner ---- */

static void ask_for_pod(uv_timer_t *timer);

static void lease_again(struct attempt *attempt)
{
    if (attempt->is_draining) {
        attempt_return(attempt, 0);
        return;
    }
    if (attempt->state != ATTEMPT_LEASING) {
        attempt_enter(attempt, ATTEMPT_LEASING);
    }
    attempt_again(attempt, ask_for_pod);
}

static void another_pod(struct attempt *attempt)
{
    attempt_forget_outputs(attempt);
    if (++attempt->n_pods_failed >= ATTEMPT_PODS_FAILED_MAX && !attempt->is_draining) {
        attempt_log(RW_LOG_WARNING, attempt, "no pod could be used, returning the task",
                    RW_LOG_INT("pods", attempt->n_pods_failed));
        attempt_return(attempt, RETURN_DELAY_MS);
        return;
    }
    lease_again(attempt);
}

static void (*const actions[_ACTION_MAX])(struct attempt *) = {
    [ACTION_LEASE_AGAIN] = lease_again,
    [ACTION_ANOTHER_POD] = another_pod,
    [ACTION_LOSE] = attempt_lose,
    [ACTION_INQUIRE] = attempt_inquire,
};

/* Plain ASCII, because a cut text of a runner's need not be UTF-8 any more. */
void attempt_note_loss(struct attempt *attempt, const char *name, const char *message)
{
    (void)snprintf(attempt->loss, sizeof(attempt->loss), "%s: %.200s", name, message);
    for (char *at = attempt->loss; *at; at++) {
        *at = *at >= ' ' && *at <= '~' ? *at : '?';
    }
}

void attempt_fail(struct attempt *attempt, enum attempt_failure failure, const struct rw_error *err)
{
    const struct attempt_remedy *remedy = attempt_remedy(failure);
    rw_counter_add(attempt->context->metrics->failures[failure], 1);
    rw_log_error(remedy->level, "attempt failed on its way", err, RW_LOG_STR("task_id", attempt->task_id_text),
                 RW_LOG_INT("attempt", attempt->number), RW_LOG_STR("trace_id", attempt->trace_id),
                 RW_LOG_STR("failure", remedy->name), RW_LOG_STR("pod", attempt->has_lease ? attempt->lease.pod : NULL),
                 RW_LOG_STR("state", attempt_state_name(attempt->state)));
    attempt_note_loss(attempt, remedy->name, err->message);
    if (remedy->action != ACTION_INQUIRE) {
        attempt_drop_pod(attempt, remedy->lease_outcome);
    }
    actions[remedy->action](attempt);
}

static void on_link_proved(void *arg)
{
    struct attempt *attempt = arg;
    const struct scheduler_config *config = attempt->context->config;
    struct rw_error err;
    if (runner_link_send_job(attempt->link, &attempt->task_id, (uint32_t)attempt->number, &attempt->trace,
                             rw_bytes_of(attempt->job, attempt->job_len), config->attempt_max_ms + config->attempt_grace_ms,
                             &err) < 0) {
        attempt_fail(attempt, err.code == RW_ERR_TOO_LARGE ? FAILURE_JOB_UNSENDABLE : FAILURE_POD_UNREACHABLE, &err);
        return;
    }
    attempt->job_sent_us = rw_realtime_us();
    leases_started(attempt->context->leases, &attempt->lease.id);
    attempt_enter(attempt, ATTEMPT_RUNNING);
}

static void on_link_started(void *arg, enum rw_stage stage)
{
    struct attempt *attempt = arg;
    if (stage == RW_STAGE_RUN) {
        attempt->started_us = rw_realtime_us();
    }
}

static void on_link_output(void *arg, enum rw_stream stream, struct rw_bytes data)
{
    struct attempt *attempt = arg;
    struct rw_error err;
    if (data.len > attempt->context->config->attempt_output_bytes_max - attempt->output_bytes) {
        (void)rw_fail(&err, TOO_LARGE, "more than %u bytes of output", attempt->context->config->attempt_output_bytes_max);
        attempt_fail(attempt, FAILURE_RUNNER_FLOODED, &err);
        return;
    }
    attempt->output_bytes += rw_buffer_append_some(&attempt->outputs[stream], data.data, data.len);
}

static void on_link_result(void *arg, const struct rw_run_result *result)
{
    struct attempt *attempt = arg;
    attempt->result = *result;
    attempt->is_measured = true;
    attempt->finished_us = rw_realtime_us();
    attempt_drop_pod(attempt, LEASE_USED);
    attempt_record(attempt);
}

static void on_link_failed(void *arg, enum attempt_failure failure, const struct rw_error *err)
{
    attempt_fail(arg, failure, err);
}

static const struct runner_link_callbacks link_callbacks = {
    .proved = on_link_proved,
    .started = on_link_started,
    .output = on_link_output,
    .result = on_link_result,
    .failed = on_link_failed,
};

static void leased(void *arg, const struct lease *lease, enum attempt_failure failure, const struct rw_error *lease_err)
{
    struct attempt *attempt = arg;
    attempt->lease_request = NULL;
    if (!lease) {
        if (rw_monotonic_us() - attempt->asked_us >= (int64_t)attempt->context->config->pod_wait_ms * 1000) {
            rw_backoff_reset(&attempt->backoff); /* the wait at the pod-manager was the pause */
        }
        attempt_fail(attempt, failure, lease_err);
        return;
    }
    attempt->lease = *lease;
    attempt->has_lease = true;
    attempt->leased_us = rw_realtime_us();
    set_pod(attempt, true);
    attempt_enter(attempt, ATTEMPT_CONNECTING);
    struct rw_error err;
    if (runner_link_open(attempt->context->loop, lease, attempt->context->config->hello_ms, &link_callbacks, attempt,
                         &attempt->link, &err) < 0) {
        attempt_fail(attempt, FAILURE_POD_UNREACHABLE, &err);
    }
}

static void ask_for_pod(uv_timer_t *timer)
{
    struct attempt *attempt = timer->data;
    attempt->asked_us = rw_monotonic_us();
    const struct lease_wish wish = {.language = attempt->language_id,
                                    .isolation = attempt->isolation,
                                    .task_id = &attempt->task_id,
                                    .attempt = attempt->number};
    attempt->lease_request = leases_acquire(attempt->context->leases, &wish, leased, attempt);
}

/* ---- the claim ---- */

static void send_claim(uv_timer_t *timer);

static void take_claim(struct attempt *attempt, const struct store_claim *claim)
{
    attempt->number = claim->attempt;
    attempt->fence = claim->fence;
    attempt->language_id = rw_xstrdup(claim->language);
    attempt->version = rw_xstrdup(claim->version);
    attempt->isolation = rw_xstrdup(claim->isolation);
    attempt->submitted_us = claim->submitted_us;
    attempt->claimed_us = claim->claimed_us;
    attempt->job = rw_xmemdup(claim->job.data, claim->job.len);
    attempt->job_len = claim->job.len;
    struct rw_trace parent;
    if (rw_trace_parse(claim->traceparent, &parent, NULL) == 0) {
        rw_trace_child(&parent, &attempt->trace);
    } else {
        rw_trace_new(&attempt->trace);
    }
    rw_trace_id(&attempt->trace, attempt->trace_id);
    if (claim->attempt == 1) {
        rw_histogram_observe(attempt->context->metrics->stages[METRICS_QUEUED],
                             (double)(claim->claimed_us - claim->submitted_us) / 1e6);
    }
}

static void claimed(void *arg, const struct store_claim *claim, const struct rw_error *err)
{
    struct attempt *attempt = arg;
    if (err && err->code != RW_ERR_CANCELLED && !attempt->is_draining) {
        rw_log_error(RW_LOG_WARNING, "could not claim, trying again", err, RW_LOG_STR("task_id", attempt->task_id_text));
        attempt_again(attempt, send_claim);
        return;
    }
    if (!claim) {
        if (!err) {
            rw_counter_add(attempt->context->metrics->not_claimed, 1);
        }
        attempt_end(attempt, !err);
        return;
    }
    take_claim(attempt, claim);
    rw_backoff_reset(&attempt->backoff);
    if (attempt->is_draining) {
        attempt_return(attempt, 0);
        return;
    }
    attempt_enter(attempt, ATTEMPT_LEASING);
    ask_for_pod(&attempt->timer);
}

static void send_claim(uv_timer_t *timer)
{
    struct attempt *attempt = timer->data;
    store_claim(attempt->context->store, &attempt->task_id, claimed, attempt);
}

/* ---- from outside ---- */

struct attempt *attempt_start(const struct attempt_context *context, const struct rw_uuid *task_id, size_t language, void *subject)
{
    struct attempt *attempt = rw_xcalloc(1, sizeof(*attempt));
    attempt->context = context;
    attempt->subject = subject;
    attempt->language = language;
    attempt->task_id = *task_id;
    (void)rw_uuid_format(task_id, attempt->task_id_text);
    attempt->leased_us = attempt->job_sent_us = attempt->started_us = attempt->finished_us = -1;
    attempt->entered_us = rw_monotonic_us();
    rw_backoff_init(&attempt->backoff, 20, 3000);
    for (enum rw_stream s = 0; s < _RW_STREAM_MAX; s++) {
        rw_buffer_init(&attempt->outputs[s], context->config->attempt_output_bytes_max);
    }
    (void)uv_timer_init(context->loop, &attempt->timer);
    attempt->timer.data = attempt;
    send_claim(&attempt->timer);
    return attempt;
}

void *attempt_subject(const struct attempt *attempt)
{
    return attempt->subject;
}

bool attempt_holding(const struct attempt *attempt, struct store_holding *ret_holding)
{
    *ret_holding = (struct store_holding){.id = attempt->task_id, .fence = attempt->fence};
    return attempt->state != ATTEMPT_CLAIMING && attempt->state != ATTEMPT_ENDED;
}

void attempt_fenced(struct attempt *attempt, int64_t fence)
{
    if (attempt->fence == fence && attempt_state_is_fenceable(attempt->state)) {
        attempt_become_fenced(attempt);
    }
}

void attempt_drain(struct attempt *attempt)
{
    attempt->is_draining = true;
    if (attempt->state == ATTEMPT_LEASING || attempt->state == ATTEMPT_CONNECTING) {
        attempt_return(attempt, 0);
    }
}

void attempt_give_up(struct attempt *attempt)
{
    if (attempt->state == ATTEMPT_RUNNING || attempt->state == ATTEMPT_INQUIRING) {
        struct rw_error err;
        (void)rw_fail(&err, CANCELLED, "the scheduler stopped while the code ran");
        attempt_fail(attempt, FAILURE_STOPPED, &err);
    }
}

void attempt_abandon(struct attempt *attempt)
{
    attempt_end(attempt, false);
}
