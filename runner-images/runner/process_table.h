/* The processes of a sandbox as /proc shows them: who there is, and what they use. The measure of last resort where no cgroup
 * counts, and the way to find descendants where no process namespace holds them. */
#ifndef RUNNER_PROCESS_TABLE_H
#define RUNNER_PROCESS_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <rw/runner_protocol.h>

enum { PROCESS_TABLE_MAX = 4096 };

struct process {
    pid_t pid;
    pid_t parent;
    uint64_t user_ticks; /* its own and its reaped children's */
    uint64_t system_ticks;
    uint64_t threads;
    uint64_t resident_bytes;
};

struct process_table {
    struct process *processes; /* owned; grows to PROCESS_TABLE_MAX */
    size_t n;
};

void process_table_done(struct process_table *table);
/* Parse the content of /proc/PID/stat; false when it is not one. */
bool process_parse_stat(const char *text, struct process *ret_process);
/* That one process; false when it is gone. */
bool process_read(int proc_fd, pid_t pid, struct process *ret_process);
/* Read every process but self. With only_descendants only those below self remain. Unreadable ones (just ended) are left out. */
void process_table_read(int proc_fd, pid_t self, bool only_descendants, struct process_table *table);
/* Sums over the table. When the resident sets exceed exact_above, shared pages are counted once instead (smaps_rollup, slower). */
void process_table_usage(int proc_fd, const struct process_table *table, uint64_t exact_above, struct rw_usage *ret_usage);

#endif
