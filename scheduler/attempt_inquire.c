/* A runner that vanished in mid-job: did its pod run out of memory, which is the code's doing and a result, or was it lost, which is
 * a new attempt? The platform tells the pod-manager a moment after the connection broke, so it is asked again until it knows. The
 * lease is kept meanwhile: giving it back would end the pod, and with it the trace of what it died of. */
#include "attempt_internal.h"

#include <signal.h>
#include <stdio.h>

#include <rw/clock.h>

#include "runner_link.h"

enum { LOOK_FOR_MS = 5000, LOOK_AGAIN_MS = 100 };

static void record_memory_limit(struct attempt *attempt)
{
    attempt->result = (struct rw_run_result){
        .verdict = RW_VERDICT_MEMORY_LIMIT,
        .signal = SIGKILL,
        .reason = "the whole pod ran out of memory and was killed; what it used is not known, and output may be missing",
    };
    attempt_drop_pod(attempt, LEASE_FAILED);
    attempt_record(attempt);
}

static void lose(struct attempt *attempt, const char *pod_end)
{
    char loss[sizeof(attempt->loss)];
    (void)snprintf(loss, sizeof(loss), "%s", attempt->loss);
    (void)snprintf(attempt->loss, sizeof(attempt->loss), "%.180s (pod: %.60s)", loss, pod_end);
    attempt_drop_pod(attempt, LEASE_FAILED);
    attempt_lose(attempt);
}

static void look(uv_timer_t *timer);

static void looked(void *arg, enum lease_sight sight, const char *reason)
{
    struct attempt *attempt = arg;
    attempt->look = NULL;
    if (attempt_pod_end_is_memory(reason)) {
        record_memory_limit(attempt);
    } else if (sight == LEASE_SIGHT_ENDED) {
        lose(attempt, reason);
    } else if (sight == LEASE_SIGHT_UNKNOWN || rw_monotonic_ms() >= attempt->look_until_ms) {
        lose(attempt, "not known");
    } else {
        (void)uv_timer_start(&attempt->timer, look, LOOK_AGAIN_MS, 0);
    }
}

static void look(uv_timer_t *timer)
{
    struct attempt *attempt = timer->data;
    attempt->look = leases_look(attempt->context->leases, &attempt->lease.id, looked, attempt);
}

void attempt_inquire(struct attempt *attempt)
{
    attempt_enter(attempt, ATTEMPT_INQUIRING);
    runner_link_close(rw_take(attempt->link));
    attempt->finished_us = rw_realtime_us();
    attempt->look_until_ms = rw_monotonic_ms() + LOOK_FOR_MS;
    (void)uv_timer_start(&attempt->timer, look, 0, 0);
}
