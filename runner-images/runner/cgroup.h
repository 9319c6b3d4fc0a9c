/* A cgroup of a sandbox's own, of version 2 or 1, wherever the runner may write: exact limits and exact accounting.
 *
 * Each of memory, pids and cpu is used where it can be had; what is missing the caller measures otherwise. Every file is opened
 * when the group is made, so that nothing is looked up once a job is there. */
#ifndef RUNNER_CGROUP_H
#define RUNNER_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <rw/error.h>

enum cgroup_controller { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU, _CGROUP_CONTROLLER_MAX };

enum { CGROUP_PLACES_MAX = 4, CGROUP_NAME_BYTES_MAX = 128 };

/* A hierarchy that has some of the controllers, and where in it this process is. */
struct cgroup_place {
    int version;
    unsigned controllers; /* bits of enum cgroup_controller; version 2: candidates, what is enabled shows when it is used */
    char mount[PATH_MAX]; /* where the hierarchy is mounted */
    char base[PATH_MAX];  /* this process's own folder in it */
};

enum cgroup_file {
    CGROUP_FILE_PROCS,
    CGROUP_FILE_MEMORY_MAX,
    CGROUP_FILE_SWAP_MAX,
    CGROUP_FILE_SOCKETS_MAX,
    CGROUP_FILE_MEMORY_PEAK,
    CGROUP_FILE_MEMORY_EVENTS,
    CGROUP_FILE_PIDS_MAX,
    CGROUP_FILE_PIDS_NOW,
    CGROUP_FILE_PIDS_PEAK,
    CGROUP_FILE_CPU,
    _CGROUP_FILE_MAX
};

struct cgroup {
    unsigned controllers; /* in force */
    int version;
    unsigned n_folders;
    struct cgroup_folder {
        char name[CGROUP_NAME_BYTES_MAX + 1]; /* relative to base_fd */
        unsigned controllers;
        int base_fd;
        int procs_fd;
    } folders[CGROUP_PLACES_MAX];
    int files[_CGROUP_FILE_MAX]; /* -1: not there */
};

struct cgroup_reading { /* zeros for controllers that are not in force */
    uint64_t cpu_us;    /* user and system together: version 1 only guesses the parts, by clock ticks */
    uint64_t memory_peak_bytes;
    uint64_t oom_kills;
    uint64_t processes;      /* at this moment */
    uint64_t processes_peak; /* 0: the kernel does not tell */
};

static inline bool cgroup_has(const struct cgroup *cgroup, enum cgroup_controller controller)
{
    return cgroup && (cgroup->controllers & (1U << controller)) != 0;
}

/* A relative path of parts in [A-Za-z0-9._-], none of them "." or ".."; INVALID otherwise. */
RW_NODISCARD int cgroup_name_check(const char *name, struct rw_error *err);
/* Pure: where this process is, from the texts of /proc/self/mountinfo and /proc/self/cgroup. Returns the number of places. */
unsigned cgroup_places_parse(const char *mountinfo, const char *self, struct cgroup_place places[static CGROUP_PLACES_MAX]);

/* Make the group `name` beneath this process's own in every hierarchy where that is permitted. UNSUPPORTED when there is none. */
RW_NODISCARD int cgroup_create(const char *name, struct cgroup *ret_cgroup, struct rw_error *err);
RW_NODISCARD int cgroup_attach(const struct cgroup *cgroup, pid_t pid, struct rw_error *err);
/* Set the limits of a stage, and start its peaks anew where the kernel can. */
RW_NODISCARD int cgroup_limit(const struct cgroup *cgroup, uint64_t memory_bytes, uint64_t processes, struct rw_error *err);
void cgroup_read(const struct cgroup *cgroup, struct cgroup_reading *ret_reading);
/* Remove the folders, and those above that were made for them and are empty now; the processes in them must be ending. Waits a
 * little for that. Closes everything. */
void cgroup_remove(struct cgroup *cgroup);
/* Kill what is in the group of that name, beneath this process's own, and remove it. For whoever outlives the runner. */
RW_NODISCARD int cgroup_sweep(const char *name, struct rw_error *err);

#endif
