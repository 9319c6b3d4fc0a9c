/* A steward's worker: the process, and its end of the socket between them. */
#ifndef RUNNER_STEWARD_WORKER_H
#define RUNNER_STEWARD_WORKER_H

#include "loop.h"
#include "options.h"

struct steward;

struct steward_worker { /* one a place */
    struct steward *steward;
    uint32_t place;
    pid_t pid; /* of the worker, or of the one that sweeps after it; 0: none */
    struct loop_source source;
};

struct steward_worker_options {
    const struct options *options; /* the pod's */
    uint32_t place;
    int listen_fd;
    uint8_t *secret; /* wiped in the child */
};

/* Fork a runner for one job into its place. *ret_fd owned by the caller. */
RW_NODISCARD int steward_worker_start(const struct steward_worker_options *worker, pid_t *ret_pid, int *ret_fd,
                                      struct rw_error *err);
/* Fork a process that ends and removes whatever a killed worker has left in its place. */
RW_NODISCARD int steward_worker_sweep(const struct options *options, uint32_t place, pid_t *ret_pid, struct rw_error *err);

#endif
