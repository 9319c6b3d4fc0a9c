/* The job's files, created beneath the work folder before any of the code runs. */
#ifndef RUNNER_FILES_H
#define RUNNER_FILES_H

#include <rw/job.h>

/* Create every file with its parent folders below work_fd, as the calling thread's file system uid. Every step is resolved
 * beneath the descriptor, through no link. FIELDS for a name that is not permitted, doubled or in conflict; IO otherwise. */
RW_NODISCARD int files_write(int work_fd, const struct rw_job *job, struct rw_error *err);

#endif
