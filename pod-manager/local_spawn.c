/* Starting a runner: posix_spawn instead of uv_spawn. A pod is made for every task, and a fork that copies the daemon's page tables costs four
 * times as much and stops the loop for as long. The end comes as a readable pidfd, which also names the process for good: no signal ever
 * goes to a process id that was given away again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include <rw/auto.h>

#include "local.h"

enum { FD_MIN = 16 }; /* above every number a descriptor gets in the child, so that dup2 there never meets one it still needs */

/* All signals at their defaults and unblocked, and a session of its own. */
static void set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all;
    sigset_t none;
    (void)sigfillset(&all);
    (void)sigemptyset(&none);
    (void)posix_spawnattr_setsigdefault(attributes, &all);
    (void)posix_spawnattr_setsigmask(attributes, &none);
    (void)posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
}

static int set_files(posix_spawn_file_actions_t *files, const int *fds, size_t n_fds)
{
    int failed = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    failed = failed ? failed : posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    for (size_t i = 0; i < n_fds && !failed; i++) {
        failed = posix_spawn_file_actions_adddup2(files, fds[i], LOCAL_FD_FIRST + (int)i);
    }
    return failed;
}

static int spawn(const char *const *argv, const int *fds, size_t n_fds, pid_t *ret_pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    char path[] = "PATH=/usr/bin:/bin";
    char *env[] = {path, NULL};
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_init(&attributes);
    set_attributes(&attributes);
    int failed = set_files(&files, fds, n_fds);
    failed = failed ? failed : posix_spawn(ret_pid, argv[0], &files, &attributes, (char *const *)(uintptr_t)argv, env);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&files);
    return failed;
}

int local_spawn(const char *const *argv, const int *fds, size_t n_fds, pid_t *ret_pid, int *ret_pidfd, struct rw_error *err)
{
    enum { FDS_MAX = 4 };
    int high[FDS_MAX] = {0};
    pid_t pid = 0;
    int failed = 0;
    for (size_t i = 0; i < n_fds; i++) {
        high[i] = fds[i] >= FD_MIN ? fds[i] : fcntl(fds[i], F_DUPFD_CLOEXEC, FD_MIN);
        failed = high[i] < 0 ? errno : failed;
    }
    failed = failed ? failed : spawn(argv, high, n_fds, &pid);
    for (size_t i = 0; i < n_fds; i++) {
        if (high[i] != fds[i] && high[i] >= 0) {
            (void)close(high[i]);
        }
    }
    if (failed) {
        return rw_fail_sys(err, UNAVAILABLE, failed, "run %s", argv[0]);
    }
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        (void)rw_fail_sys(err, UNSUPPORTED, errno, "pidfd_open");
        (void)kill(pid, SIGKILL); /* our own child, not waited for yet: the number is still its */
        (void)waitpid(pid, NULL, 0);
        return -1;
    }
    *ret_pid = pid;
    *ret_pidfd = pidfd;
    return 0;
}

void local_kill(int pidfd)
{
    (void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
}

bool local_reap(int pidfd, int *ret_exit_status, int *ret_signal)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) || info.si_pid == 0) {
        return false;
    }
    bool has_exited = info.si_code == CLD_EXITED;
    *ret_exit_status = has_exited ? info.si_status : 0;
    *ret_signal = has_exited ? 0 : info.si_status;
    return true;
}
