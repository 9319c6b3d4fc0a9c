/* Landlock: a second fence around the file system and, by the kernel's level, around signals and TCP. Best effort: a kernel
 * without it loses this layer only. */
#ifndef RUNNER_LANDLOCK_H
#define RUNNER_LANDLOCK_H

#include <stdbool.h>

#include <rw/error.h>

/* The kernel's level, 0 when it has none. */
int landlock_level(void);
/* A rule set for the code: reads and executes below the system's folders, writes below the work folders, and TCP only when
 * has_network. Returns a descriptor (close on exec), or -1 with *err filled. Paths are looked up now. */
RW_NODISCARD int landlock_ruleset_for_code(bool has_network, struct rw_error *err);
/* A rule set for the runner once it is prepared: no file at all, except beneath the folders given (its cgroups). */
RW_NODISCARD int landlock_ruleset_for_runner(const int *dir_fds, unsigned n_dir_fds, struct rw_error *err);
/* Enter it for good; no_new_privs must be set. */
RW_NODISCARD int landlock_enter(int ruleset_fd, struct rw_error *err);

#endif
