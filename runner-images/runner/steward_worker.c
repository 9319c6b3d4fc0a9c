/* Forking workers. What a child inherits by being forked and must not have - the other workers' sockets, the steward's loop, the
 * pod's secret - goes before it does anything else; the secret reaches it once more through a pipe, read after its sandbox is made,
 * as every runner's. */
#include "steward_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rw/auto.h>
#include <rw/log.h>

#include "runner.h"

enum { NAME_BYTES = 256, TEXT_BYTES = 16, KILL_ROUNDS = 200, KILL_PAUSE_US = 5000 };

static void cgroup_of(const struct options *options, uint32_t place, char name[static NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "%s/%u", options->cgroup, place);
}

static uid_t uid_base_of(const struct options *options, uint32_t place)
{
    return options->uid_base + 2 * place;
}

/* Everything above standard error but these few; -1: no such. */
static void close_all_but(const int *kept, size_t n)
{
    unsigned from = STDERR_FILENO + 1;
    for (;;) {
        unsigned next = ~0U;
        for (size_t i = 0; i < n; i++) {
            if (kept[i] >= (int)from && (unsigned)kept[i] < next) {
                next = (unsigned)kept[i];
            }
        }
        if (next > from) {
            (void)close_range(from, next - 1, 0);
        }
        if (next == ~0U) {
            return;
        }
        from = next + 1;
    }
}

/* A child of the steward's dies with it, however that dies, and hears no signal meant for it. */
static void part_from(pid_t steward)
{
    sigset_t none;
    sigemptyset(&none);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != steward || setpgid(0, 0) < 0 ||
        sigprocmask(SIG_SETMASK, &none, NULL) < 0) {
        _exit(1);
    }
}

static _Noreturn void work(const struct steward_worker_options *worker, int secret_fd, int control_fd)
{
    char listen[TEXT_BYTES];
    char cgroup[NAME_BYTES];
    const int kept[] = {worker->listen_fd, secret_fd, control_fd};
    struct options options = *worker->options;
    sodium_memzero(worker->secret, RW_POD_SECRET_BYTES);
    close_all_but(kept, RW_ARRAY_SIZE(kept));
    (void)snprintf(listen, sizeof(listen), "fd:%d", worker->listen_fd);
    options.listen = listen;
    options.secret_fd = secret_fd;
    options.control_fd = control_fd;
    options.is_worker = true;
    if (options.has_uid_base) {
        options.uid_base = uid_base_of(&options, worker->place);
    }
    if (options.cgroup) {
        cgroup_of(worker->options, worker->place, cgroup);
        options.cgroup = cgroup;
    }
    _exit(runner_run(&options));
}

int steward_worker_start(const struct steward_worker_options *worker, pid_t *ret_pid, int *ret_fd, struct rw_error *err)
{
    int pair[2];
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "socketpair");
    }
    RW_AUTO_FD int ours = pair[0];
    RW_AUTO_FD int theirs = pair[1];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "pipe2");
    }
    RW_AUTO_FD int secret_fd = ends[0];
    ssize_t n = write(ends[1], worker->secret, RW_POD_SECRET_BYTES); /* fits into the pipe */
    (void)close(ends[1]);
    if (n != RW_POD_SECRET_BYTES) {
        return rw_fail_sys(err, INTERNAL, errno, "writing to a pipe");
    }
    pid_t steward = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        part_from(steward);
        work(worker, secret_fd, theirs);
    }
    if (pid < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "fork");
    }
    *ret_pid = pid;
    *ret_fd = rw_take_fd(&ours);
    return 0;
}

/* Only where the place has uids that nobody else has. As that uid, because then the kernel finds the processes. It ends with the
 * sweeper: the place's next user must not meet it. */
static void kill_uid(uid_t uid)
{
    pid_t sweeper = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(0, NULL) < 0 || setresuid(uid, uid, uid) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
            getppid() != sweeper) {
            _exit(1);
        }
        for (int i = 0; i < KILL_ROUNDS && kill(-1, SIGKILL) == 0; i++) {
            (void)usleep(KILL_PAUSE_US);
        }
        _exit(0);
    }
    if (pid > 0) {
        (void)waitpid(pid, NULL, 0);
    }
}

int steward_worker_sweep(const struct options *options, uint32_t place, pid_t *ret_pid, struct rw_error *err)
{
    char cgroup[NAME_BYTES];
    struct rw_error sweep_err = {0};
    pid_t steward = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "fork");
    }
    if (pid > 0) {
        *ret_pid = pid;
        return 0;
    }
    part_from(steward);
    close_all_but(NULL, 0);
    if (options->cgroup) {
        cgroup_of(options, place, cgroup);
        if (cgroup_sweep(cgroup, &sweep_err) < 0) {
            rw_log_error(RW_LOG_WARNING, "a killed worker's cgroup cannot be swept", &sweep_err, RW_LOG_STR("pod", options->pod));
        }
    }
    if (options->has_uid_base && geteuid() == 0) {
        kill_uid(uid_base_of(options, place) + 1);
        kill_uid(uid_base_of(options, place));
    }
    _exit(0);
}
