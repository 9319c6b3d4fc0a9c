/* The steward of a pod that serves many jobs: it keeps workers ready, each a runner for one job (runner.c) in a sandbox of its own.
 *
 * A worker speaks with its steward over a socket of records, which is the worker's --control-fd: the byte 'R' when it is ready, its
 * end when the worker is not wanted any more, and besides that a question and a notice: */
#ifndef RUNNER_STEWARD_H
#define RUNNER_STEWARD_H

#include <rw/uuid.h>

#include "options.h"

enum steward_request_type {
    STEWARD_READY = 'R',
    STEWARD_TAKE = 'T',  /* a proved scheduler has brought a job: may it be taken? The answer is one byte */
    STEWARD_ENDED = 'E', /* all of the job's code is dead, and its result leaves next: its place is free */
};

enum steward_answer { STEWARD_YES = 'Y', STEWARD_NO = 'N' };

struct steward_request { /* of READY only the first byte is sent */
    uint8_t type;
    struct rw_uuid lease_id; /* take */
};

/* Returns the program's exit status: 0 when all uses were served or nobody wanted the pod any more; else by the error. */
int steward_run(const struct options *options);

#endif
