/* The sandbox's init, process 1 of the fresh namespaces: builds the mounts, gives up what it need not hold, then waits for commands
 * and supervises the code. When it ends, the kernel ends every process of the namespace; it ends when the runner does.
 *
 * The code cannot touch it: signals from within the namespace do not reach a process 1 without handlers, it is not dumpable (no
 * trace, no /proc/1/mem, environ or fd), it holds capabilities that the code lacks, and as root its uid is another. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rw/auto.h>

#include "channel.h"
#include "landlock.h"
#include "privileges.h"
#include "rootfs.h"
#include "supervisor.h"

/* For resizing the tmpfs; becoming the code's uid; writing as it; killing it; measuring it. */
static const uint64_t kept_capabilities = PRIVILEGE(CAP_SYS_ADMIN) | PRIVILEGE(CAP_SETUID) | PRIVILEGE(CAP_SETGID) |
                                          PRIVILEGE(CAP_KILL) | PRIVILEGE(CAP_SYS_PTRACE) | PRIVILEGE(CAP_DAC_READ_SEARCH);

struct init {
    const struct sandbox_config *config;
    int socket_fd;
    struct rootfs rootfs;
    struct supervisor supervisor;
};

static void send_report(void *context, const struct sandbox_report *report)
{
    struct init *init = context;
    if (channel_send(init->socket_fd, report, sizeof(*report), NULL, 0, NULL) < 0) {
        _exit(1); /* the runner is gone: so is this sandbox */
    }
}

/* Only the runner's socket survives, as descriptor 3; 0 to 2 are /dev/null. */
static int close_inherited(struct init *init, struct rw_error *err)
{
    int null_fd = open("/dev/null", O_RDWR);
    if (null_fd < 0 || dup2(init->socket_fd, 3) < 0 || fcntl(3, F_SETFD, FD_CLOEXEC) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "/dev/null");
    }
    init->socket_fd = 3;
    for (int fd = 0; fd < 3; fd++) {
        if (dup2(null_fd, fd) < 0) {
            return rw_fail_sys(err, INTERNAL, errno, "/dev/null");
        }
    }
    return close_range(4, ~0U, 0) < 0 ? rw_fail_sys(err, INTERNAL, errno, "close_range") : 0;
}

static int write_own_file(const char *path, const char *text, struct rw_error *err)
{
    RW_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "%s", path);
    }
    return 0;
}

/* An ordinary user may map its own ids only, from the inside. For that moment the process must be dumpable, because only then do
 * its files in /proc belong to it; no code is there yet. */
static int map_own_ids(uid_t uid, gid_t gid, struct rw_error *err)
{
    RW_AUTO_FREE char *uid_map = rw_xasprintf("%d %u 1\n", SANDBOX_UID, uid);
    RW_AUTO_FREE char *gid_map = rw_xasprintf("%d %u 1\n", SANDBOX_GID, gid);
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (write_own_file("/proc/self/setgroups", "deny", err) < 0 || write_own_file("/proc/self/uid_map", uid_map, err) < 0 ||
        write_own_file("/proc/self/gid_map", gid_map, err) < 0) {
        return -1;
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return 0;
}

static int become_init_user(const struct sandbox_config *config, struct rw_error *err)
{
    if (!config->is_root) {
        return map_own_ids(config->uid, config->gid, err);
    }
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "becoming the sandbox's root");
    }
    return 0;
}

static int raise_loopback(struct rw_error *err)
{
    RW_AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "raising the loopback interface");
    }
    return 0;
}

static int limit_disk(void *context, uint64_t disk_bytes, struct rw_error *err)
{
    struct init *init = context;
    return rootfs_limit_disk(&init->rootfs, disk_bytes, err);
}

static int start_supervisor(struct init *init, struct rw_error *err)
{
    struct supervisor_config config = {
        .policy = {.switches_ids = init->config->is_root,
                   .extra_processes = init->config->is_root ? 0 : 1, /* as an ordinary user init has the code's uid */
                   .work_folder = SANDBOX_WORK_FOLDER,
                   .landlock_fd = landlock_level() > 0 ? landlock_ruleset_for_code(true, err) : -1,
                   .filter = &init->config->filter},
        .is_pid_1 = true,
        .work_fd = init->rootfs.work_fd,
        .proc_fd = init->rootfs.proc_fd,
        .limit_disk = limit_disk,
        .report = send_report,
        .context = init,
    };
    return supervisor_init(&init->supervisor, &config, err);
}

static int build(struct init *init, struct rw_error *err)
{
    if (become_init_user(init->config, err) < 0) {
        return -1;
    }
    /* Set here, because changing ids clears both. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "prctl");
    }
    /* Now that the cgroup is joined, it becomes the root of the view. */
    if (unshare(CLONE_NEWCGROUP) < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "a cgroup namespace");
    }
    if (rootfs_build(&init->rootfs, err) < 0 || raise_loopback(err) < 0) {
        return -1;
    }
    if (sethostname("sandbox", strlen("sandbox")) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "sethostname");
    }
    return start_supervisor(init, err) < 0 ? -1 : privileges_keep(kept_capabilities, err);
}

static void build_and_report(struct init *init)
{
    struct rw_error err = {0};
    struct sandbox_report report = {.type = SANDBOX_REPORT_READY};
    bool is_built = build(init, &err) == 0;
    if (!is_built) {
        report.type = SANDBOX_REPORT_FAILED;
        report.sys_errno = err.sys_errno;
        (void)snprintf(report.message, sizeof(report.message), "%.*s", (int)sizeof(report.message) - 1, err.message);
    }
    send_report(init, &report);
    if (!is_built) {
        _exit(1);
    }
}

static void obey(struct init *init)
{
    struct sandbox_command command;
    int fds[SANDBOX_FDS_MAX];
    size_t n_fds;
    int status = channel_receive(init->socket_fd, &command, sizeof(command), fds, &n_fds);
    if (status < 0) {
        _exit(0); /* the runner is gone */
    }
    if (status == 0) {
        return;
    }
    if (command.type == SANDBOX_COMMAND_BUILD) {
        build_and_report(init);
    } else {
        supervisor_command(&init->supervisor, &command, fds, n_fds);
    }
    for (size_t i = 0; i < n_fds; i++) {
        (void)close(fds[i]);
    }
}

_Noreturn void init_main(const struct sandbox_config *config, int socket_fd)
{
    struct init init = {.config = config, .socket_fd = socket_fd, .supervisor = {.epoll_fd = -1}};
    struct rw_error err = {0};
    if (close_inherited(&init, &err) < 0) {
        _exit(1);
    }
    for (;;) {
        struct pollfd polled[] = {{.fd = init.socket_fd, .events = POLLIN}, {.fd = init.supervisor.epoll_fd, .events = POLLIN}};
        if (poll(polled, 2, -1) < 0 && errno != EINTR) {
            _exit(1);
        }
        if (polled[0].revents) {
            obey(&init);
        }
        if (polled[1].revents) {
            supervisor_dispatch(&init.supervisor);
        }
    }
}
