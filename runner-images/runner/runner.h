/* The runner's one task: prepare, wait for one proved connection, run its job, answer, exit. */
#ifndef RUNNER_RUNNER_H
#define RUNNER_RUNNER_H

#include "options.h"

/* Returns the program's exit status: 0 when the job was answered or nobody wanted the pod any more; 75 when the scheduler was lost
 * in mid-job; else by the error. Logs what goes wrong. */
int runner_run(const struct options *options);

#endif
