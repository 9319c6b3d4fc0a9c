/* The local backend: a pod is a runwave-runner process tree on this machine.
 *
 *   backend_local.c   the table of functions, whether pods can be made at all
 *   local_pod.c       one pod: socket, secret, process, readiness, end
 *   local_spawn.c     its process
 *   local_run_dir.c   the folder with sockets and records; what an earlier instance has left in it
 *   local_helper.c    short-lived runs of the runner program: --probe, --sweep-cgroup
 *
 * A pod that is being made has a socket and a record in run_dir: `<random>.sock`, which the pod-manager binds and hands to the
 * runner, and `<pod>.pod`, one line "pid start-time block cgroup" by which the next instance knows what a killed one has left. Both
 * go with the pod. Runners of a killed pod-manager that have a job finish it; until then they keep their user ids. */
#ifndef LOCAL_H
#define LOCAL_H

#include <sys/types.h>
#include <uthash.h>

#include "backend.h"
#include "config.h"

enum {
    LOCAL_SOCKET_NAME_BYTES = 18, /* 12 hex digits, ".sock", NUL */
    LOCAL_CGROUP_BYTES = 200,
    LOCAL_GRACE_MS = 300, /* for a runner that was asked gently */
};

struct local;
struct local_helper;

struct local_pod {
    UT_hash_handle hh; /* by name */
    struct local *local;
    char name[BACKEND_NAME_BYTES];
    char socket_name[LOCAL_SOCKET_NAME_BYTES];
    char cgroup[LOCAL_CGROUP_BYTES]; /* "": none */
    uint8_t secret[RW_POD_SECRET_BYTES];
    int block; /* of user ids; -1: none */
    pid_t pid;
    int pidfd;
    uv_poll_t end;      /* of the process: pidfd becomes readable */
    uv_pipe_t control;  /* our end; closing it tells the runner to end when it has no job */
    unsigned n_handles; /* to be closed before the memory goes */
    bool is_control_closing;
    bool is_doomed;
    bool is_silent; /* no events any more */
    bool has_exited;
    char room[8];               /* what is read from control is looked at at once */
    enum backend_reason reason; /* once it has exited */
    char detail[64];
    int64_t kill_at_ms; /* 0: no such time */
};

struct local_orphan { /* a runner of an earlier instance */
    struct local_orphan *prev, *next;
    struct local *local;
    bool is_sweeping; /* its process is gone, its control group goes */
    char name[BACKEND_NAME_BYTES];
    char cgroup[LOCAL_CGROUP_BYTES];
    pid_t pid;
    uint64_t start_time;
    int block;
    int64_t kill_at_ms;
};

struct local {
    uv_loop_t *loop;
    const struct local_config *config;
    const struct rw_catalogue *catalogue; /* of what is started ahead; NULL: nothing is */
    const char *required;                 /* layers, for the runner's --require; "": none */
    struct backend_events events;
    char *run_dir; /* absolute */
    int run_dir_fd;
    int lock_fd;
    bool *blocks;           /* of user ids, by number: taken ones */
    uint32_t ids_per_block; /* what a pod needs at most: two for each sandbox that it has at a time */
    int n_blocks;
    int next_block;
    struct local_pod *pods;
    struct local_orphan *orphans;
    int64_t orphans_at_ms; /* when to look after them again */
    struct local_helper *helpers;
    bool is_probing;
    int64_t probe_at_ms; /* when to probe again; 0: no need */
    bool is_closing;
    bool is_swept;   /* at close: the control group that held the pods' */
    unsigned n_open; /* pods and helpers whose handles are open */
};

/* local_pod.c */
int local_pod_start(struct local *local, const char *name, const struct backend_wish *wish, struct rw_error *err);
void local_pod_end(struct local_pod *pod, enum backend_manner manner);
void local_pod_tick(struct local_pod *pod, int64_t now_ms);

/* local_spawn.c. argv[0]: an absolute path. fds: what the child gets as LOCAL_FD_FIRST and on; besides them it has standard error
 * and a PATH, nothing else. *ret_pidfd owned by the caller. */
enum { LOCAL_FD_FIRST = 3 };
int local_spawn(const char *const *argv, const int *fds, size_t n_fds, pid_t *ret_pid, int *ret_pidfd, struct rw_error *err);
void local_kill(int pidfd);
bool local_reap(int pidfd, int *ret_exit_status, int *ret_signal); /* false: it still runs */

/* local_run_dir.c */
int local_run_dir_open(struct local *local, struct rw_error *err);
void local_run_dir_sweep(struct local *local); /* what an earlier instance has left */
void local_run_dir_tick(struct local *local, int64_t now_ms);
void local_run_dir_close(struct local *local);
int local_record_write(struct local *local, const struct local_pod *pod, struct rw_error *err);
void local_record_remove(struct local *local, const char *pod_name);
int local_block_take(struct local *local, struct rw_error *err); /* -1: none is left */
void local_block_give(struct local *local, int block);

/* local_helper.c */
struct local_said {     /* borrowed during the call back */
    int exit_status;    /* -1: it could not be run or had to be killed */
    const char *output; /* the first line of what it wrote to standard output, cut */
    const char *errors; /* to standard error */
};
typedef void (*local_helped)(void *arg, const struct local_said *said);
void local_helper_probe(struct local *local, local_helped done, void *arg);
void local_helper_sweep(struct local *local, const char *cgroup, local_helped done, void *arg); /* done may be NULL */
void local_helper_close(struct local *local); /* sweeps go on to their end, a probe does not */

/* backend_local.c: a pod or a helper has closed its handles. */
void local_closed_one(struct local *local);

#endif
