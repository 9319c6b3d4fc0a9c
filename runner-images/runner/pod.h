/* What is made before a job arrives: filter, cgroup, pipes, sandbox; and what is given up once it is made. */
#ifndef RUNNER_POD_H
#define RUNNER_POD_H

#include "attempt.h"
#include "options.h"

struct pod {
    struct layers layers; /* in force */
    struct sandbox sandbox;
    struct sandbox_config config;
    struct cgroup cgroup;
    bool has_cgroup;
    struct attempt_pipes pipes;
};

/* A cgroup that cannot be had is no failure unless it is required. UNSUPPORTED when a layer is not to be had. On failure nothing is left behind. */
RW_NODISCARD int pod_prepare(struct pod *pod, const struct options *options, struct rw_error *err);
/* Drop the privileges that a prepared pod's runner does not need. keep_dir_fd: a folder it may still write to (to remove its
 * socket), -1: none. */
RW_NODISCARD int pod_lock_down(const struct pod *pod, int keep_dir_fd, struct rw_error *err);
void pod_destroy(struct pod *pod);
/* Print what can be had here as JSON; returns the program's exit status. */
int pod_probe(const struct options *options);

#endif
