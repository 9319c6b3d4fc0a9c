/* The strategy "container": for restricted pods in which no namespace can be made. The pod is the sandbox; the runner is its process 1
 * and supervises the code itself. The code has the runner's uid but cannot trace it or read its memory (not dumpable), cannot end it
 * (process 1), and is held by no_new_privs, the filter, Landlock and rlimits. It has no network of its own, so the filter permits
 * no internet socket. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <rw/auto.h>
#include <rw/clock.h>

#include "landlock.h"
#include "supervisor.h"

enum { REPORTS_MAX = 8, DESTROY_PAUSE_US = 1000 };

struct container {
    struct supervisor supervisor;
    struct sock_fprog filter;
    int work_fd;
    int proc_fd;
    int landlock_fd;
    int queued_fd; /* an eventfd: reports wait in the queue */
    struct sandbox_report reports[REPORTS_MAX];
    unsigned n_reports;
};

/* At most one sample is asked for at a time and a stage makes three reports, so the queue cannot run over. */
static void queue_report(void *context, const struct sandbox_report *report)
{
    struct container *self = context;
    if (self->n_reports < REPORTS_MAX) {
        self->reports[self->n_reports++] = *report;
        (void)eventfd_write(self->queued_fd, 1);
    }
}

static void container_destroy(struct sandbox *sandbox, int timeout_ms)
{
    struct container *self = sandbox->state;
    if (!self) {
        return;
    }
    int64_t deadline_ms = rw_monotonic_ms() + timeout_ms;
    while (self->supervisor.state != SUPERVISOR_IDLE && rw_monotonic_ms() < deadline_ms) {
        supervisor_kill_all(&self->supervisor);
        (void)usleep(DESTROY_PAUSE_US);
        supervisor_dispatch(&self->supervisor);
    }
    supervisor_done(&self->supervisor);
    const int fds[] = {self->work_fd, self->proc_fd, self->landlock_fd, self->queued_fd};
    for (size_t i = 0; i < RW_ARRAY_SIZE(fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    free(self);
    sandbox->state = NULL;
    sandbox->event_fd = -1;
}

static int open_places(struct container *self, struct rw_error *err)
{
    self->work_fd = open(SANDBOX_WORK_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->work_fd < 0 || faccessat(self->work_fd, ".", W_OK, 0) < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "the pod needs a writable " SANDBOX_WORK_FOLDER);
    }
    self->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    self->queued_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->landlock_fd = landlock_level() > 0 ? landlock_ruleset_for_code(false, err) : -1;
    if (self->proc_fd < 0 || self->queued_fd < 0) {
        return rw_fail_sys(err, UNSUPPORTED, errno, "opening /proc");
    }
    return 0;
}

/* RLIMIT_NPROC counts every process of the uid in this user namespace: the runner's own is not the code's. */
static uint64_t other_processes(int proc_fd)
{
    struct process_table table = {0};
    process_table_read(proc_fd, 0, false, &table);
    uint64_t n = table.n;
    process_table_done(&table);
    return n;
}

static int start(struct container *self, struct rw_error *err)
{
    if (open_places(self, err) < 0) {
        return -1;
    }
    /* Orphans come to us even where we are not process 1 (outside of a pod). */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "PR_SET_CHILD_SUBREAPER");
    }
    struct supervisor_config config = {
        .policy = {.extra_processes = other_processes(self->proc_fd),
                   .work_folder = SANDBOX_WORK_FOLDER,
                   .landlock_fd = self->landlock_fd,
                   .filter = &self->filter},
        .is_pid_1 = getpid() == 1,
        .work_fd = self->work_fd,
        .proc_fd = self->proc_fd,
        .report = queue_report,
        .context = self,
    };
    if (supervisor_init(&self->supervisor, &config, err) < 0) {
        return -1;
    }
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(self->supervisor.epoll_fd, EPOLL_CTL_ADD, self->queued_fd, &event) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "epoll_ctl");
    }
    return 0;
}

static int container_prepare(struct sandbox *sandbox, const struct sandbox_config *config, struct rw_error *err)
{
    struct container *self = rw_xcalloc(1, sizeof(*self));
    *self = (struct container){.filter = config->filter, .work_fd = -1, .proc_fd = -1, .landlock_fd = -1, .queued_fd = -1};
    self->supervisor.epoll_fd = self->supervisor.signal_fd = self->supervisor.record_fd = -1;
    *sandbox = (struct sandbox){.strategy = &sandbox_container, .event_fd = -1, .state = self};
    if (start(self, err) < 0) {
        container_destroy(sandbox, 0);
        return -1;
    }
    sandbox->event_fd = self->supervisor.epoll_fd;
    return 0;
}

static int container_send(struct sandbox *sandbox, const struct sandbox_command *command, const int *fds, size_t n_fds,
                          struct rw_error *err)
{
    struct container *self = sandbox->state;
    (void)err;
    supervisor_command(&self->supervisor, command, fds, n_fds);
    return 0;
}

static int container_receive(struct sandbox *sandbox, struct sandbox_report *ret_report)
{
    struct container *self = sandbox->state;
    if (self->n_reports == 0) {
        supervisor_dispatch(&self->supervisor);
    }
    if (self->n_reports == 0) {
        return 0;
    }
    *ret_report = self->reports[0];
    memmove(&self->reports[0], &self->reports[1], --self->n_reports * sizeof(self->reports[0]));
    if (self->n_reports == 0) {
        eventfd_t ignored;
        (void)eventfd_read(self->queued_fd, &ignored);
    }
    return 1;
}

const struct sandbox_strategy sandbox_container = {
    .name = "container",
    .has_own_network = false,
    .prepare = container_prepare,
    .send = container_send,
    .receive = container_receive,
    .destroy = container_destroy,
};
