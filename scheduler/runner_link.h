/* The link to one runner: a socket, frames, the order of the messages, the proofs (docs/runner-protocol.md). Loop thread only.
 *
 * It calls back until the first `result` or `failed`, and never again after runner_link_close. Callbacks may close the link. */
#ifndef SCHEDULER_RUNNER_LINK_H
#define SCHEDULER_RUNNER_LINK_H

#include <uv.h>

#include "attempt_rules.h"
#include "leases.h"

struct runner_link;

struct runner_link_callbacks {
    void (*proved)(void *arg); /* the runner knows the pod's secret: the job may be sent */
    void (*started)(void *arg, enum rw_stage stage);
    void (*output)(void *arg, enum rw_stream stream, struct rw_bytes data); /* data borrowed */
    void (*result)(void *arg, const struct rw_run_result *result);          /* borrowed */
    void (*failed)(void *arg, enum attempt_failure failure, const struct rw_error *err);
};

/* Connects to the lease's address ("unix:PATH" or "tcp:ADDRESS:PORT" with a numeric address) and says hello. The runner has
 * hello_ms from now to prove itself. lease is copied; callbacks are static. INVALID for a bad address, IO. */
RW_NODISCARD int runner_link_open(uv_loop_t *loop, const struct lease *lease, uint32_t hello_ms,
                                  const struct runner_link_callbacks *callbacks, void *arg, struct runner_link **ret_link,
                                  struct rw_error *err);
/* Inside or after `proved`, once. The result has to come within attempt_ms. TOO_LARGE when the job does not fit, IO. */
RW_NODISCARD int runner_link_send_job(struct runner_link *link, const struct rw_uuid *task_id, uint32_t attempt,
                                      const struct rw_trace *trace, struct rw_bytes job, uint32_t attempt_ms, struct rw_error *err);
/* Closes the connection: a runner with a job kills it. The memory goes when the loop has closed the handles. */
void runner_link_close(struct runner_link *link);

#endif
