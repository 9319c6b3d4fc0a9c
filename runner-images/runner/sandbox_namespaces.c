/* The strategy "namespaces": the sandbox's init is cloned into fresh user, process, mount, network, IPC, UTS and cgroup namespaces
 * and driven over a socket. The runner stays outside: the code can neither see nor signal it. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rw/auto.h>
#include <rw/clock.h>

#include "channel.h"
#include "init.h"

enum { PREPARE_MS_MAX = 10000 };

struct namespaces {
    pid_t pid;
    int pid_fd;
    int socket_fd;
    bool is_lost; /* LOST was handed out */
};

/* Why the kernel said no, and what to change. */
static int refuse_clone(int sys_errno, struct rw_error *err)
{
    static const struct {
        const char *path;
        char refusing;
        const char *remedy;
    } switches[] = {
        {"/proc/sys/kernel/unprivileged_userns_clone", '0', "sysctl kernel.unprivileged_userns_clone=1"},
        {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", '1', "sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
        {"/proc/sys/user/max_user_namespaces", '0', "sysctl user.max_user_namespaces=10000"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(switches); i++) {
        char value = '\0';
        RW_AUTO_FD int fd = open(switches[i].path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && read(fd, &value, 1) == 1 && value == switches[i].refusing) {
            return rw_fail_sys(err, UNSUPPORTED, sys_errno, "namespaces are switched off; as root: %s", switches[i].remedy);
        }
    }
    return rw_fail_sys(err, UNSUPPORTED, sys_errno,
                       "namespaces are refused (in a container: permit user namespaces in its seccomp profile, or use --sandbox "
                       "container)");
}

static int write_map(pid_t pid, const char *name, uid_t base, struct rw_error *err)
{
    char path[64];
    char text[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    int len = snprintf(text, sizeof(text), "0 %u 1\n%d %u 1\n", base, SANDBOX_UID, base + 1);
    RW_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, (size_t)len) != len) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "mapping the ids %u and %u into the sandbox", base, base + 1);
    }
    return 0;
}

static int clone_init(struct namespaces *self, const struct sandbox_config *config, struct rw_error *err)
{
    enum { FLAGS = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD };
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "socketpair");
    }
    /* The plain system call: fork cannot make namespaces, and clone with a stack of its own is not needed. The first three arguments
     * are alike on all architectures. */
    long pid = syscall(SYS_clone, FLAGS | SIGCHLD, NULL, &self->pid_fd, NULL, NULL);
    if (pid == 0) {
        init_main(config, pair[1]);
    }
    int clone_errno = errno;
    (void)close(pair[1]);
    self->socket_fd = pair[0];
    if (pid < 0) {
        return refuse_clone(clone_errno, err);
    }
    self->pid = (pid_t)pid;
    return fcntl(self->pid_fd, F_SETFD, FD_CLOEXEC) < 0 ? rw_fail_sys(err, INTERNAL, errno, "fcntl") : 0;
}

static int namespaces_send(struct sandbox *sandbox, const struct sandbox_command *command, const int *fds, size_t n_fds,
                           struct rw_error *err)
{
    struct namespaces *self = sandbox->state;
    return channel_send(self->socket_fd, command, sizeof(*command), fds, n_fds, err);
}

static int namespaces_receive(struct sandbox *sandbox, struct sandbox_report *ret_report)
{
    struct namespaces *self = sandbox->state;
    int fds[SANDBOX_FDS_MAX];
    size_t n_fds;
    if (self->is_lost) {
        return 0;
    }
    int status = channel_receive(self->socket_fd, ret_report, sizeof(*ret_report), fds, &n_fds);
    if (status < 0) {
        *ret_report = (struct sandbox_report){.type = SANDBOX_REPORT_LOST};
        self->is_lost = true;
        return 1;
    }
    return status;
}

static int await_ready(struct sandbox *sandbox, struct rw_error *err)
{
    struct sandbox_report report;
    int64_t deadline_ms = rw_monotonic_ms() + PREPARE_MS_MAX;
    for (int64_t left_ms; (left_ms = deadline_ms - rw_monotonic_ms()) > 0;) {
        struct pollfd polled = {.fd = sandbox->event_fd, .events = POLLIN};
        if (poll(&polled, 1, (int)left_ms) <= 0 || namespaces_receive(sandbox, &report) == 0) {
            continue;
        }
        if (report.type == SANDBOX_REPORT_READY) {
            return 0;
        }
        if (report.type == SANDBOX_REPORT_FAILED) {
            return rw_fail(err, UNSUPPORTED, "%s", report.message);
        }
        return rw_fail(err, INTERNAL, "the sandbox's init ended while it was being prepared");
    }
    return rw_fail(err, TIMEOUT, "the sandbox was not prepared within %d ms", PREPARE_MS_MAX);
}

static int build(struct sandbox *sandbox, const struct sandbox_config *config, struct rw_error *err)
{
    struct namespaces *self = sandbox->state;
    if (clone_init(self, config, err) < 0) {
        return -1;
    }
    sandbox->event_fd = self->socket_fd;
    if (config->is_root && (write_map(self->pid, "uid_map", config->uid_base, err) < 0 ||
                            write_map(self->pid, "gid_map", config->uid_base, err) < 0)) {
        return -1;
    }
    if (config->cgroup && cgroup_attach(config->cgroup, self->pid, err) < 0) {
        return -1;
    }
    struct sandbox_command command = {.type = SANDBOX_COMMAND_BUILD};
    return namespaces_send(sandbox, &command, NULL, 0, err) < 0 ? -1 : await_ready(sandbox, err);
}

static int reap_init(struct namespaces *self, int timeout_ms)
{
    struct pollfd polled = {.fd = self->pid_fd, .events = POLLIN};
    if (poll(&polled, 1, timeout_ms) <= 0) {
        return -1;
    }
    (void)waitpid(self->pid, NULL, 0);
    self->pid = 0;
    return 0;
}

static void namespaces_destroy(struct sandbox *sandbox, int timeout_ms)
{
    struct namespaces *self = sandbox->state;
    if (!self) {
        return;
    }
    if (self->pid > 0) {
        /* Without CAP_KILL the kill fails, and the closed socket and the parent death signal do the work. */
        (void)syscall(SYS_pidfd_send_signal, self->pid_fd, SIGKILL, NULL, 0);
        (void)shutdown(self->socket_fd, SHUT_RDWR);
        (void)reap_init(self, timeout_ms);
    }
    if (self->pid_fd >= 0) {
        (void)close(self->pid_fd);
    }
    if (self->socket_fd >= 0) {
        (void)close(self->socket_fd);
    }
    free(self);
    sandbox->state = NULL;
    sandbox->event_fd = -1;
}

static int namespaces_prepare(struct sandbox *sandbox, const struct sandbox_config *config, struct rw_error *err)
{
    struct namespaces *self = rw_xcalloc(1, sizeof(*self));
    *self = (struct namespaces){.pid_fd = -1, .socket_fd = -1};
    *sandbox = (struct sandbox){.strategy = &sandbox_namespaces, .event_fd = -1, .state = self};
    if (build(sandbox, config, err) < 0) {
        namespaces_destroy(sandbox, PREPARE_MS_MAX);
        return -1;
    }
    return 0;
}

const struct sandbox_strategy sandbox_namespaces = {
    .name = "namespaces",
    .has_own_network = true,
    .prepare = namespaces_prepare,
    .send = namespaces_send,
    .receive = namespaces_receive,
    .destroy = namespaces_destroy,
};
