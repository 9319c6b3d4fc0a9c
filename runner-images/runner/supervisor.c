/* The supervisor. The stage is over when its main process has ended: then all others are killed at once, whatever they hold open,
 * and only when the last one is reaped is the stage's end reported. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rw/auto.h>
#include <rw/clock.h>

#include "../warm/hold.h"
#include "files.h"

enum { REAPED_IN_A_ROW_MAX = 256, TRIM_ABOVE_BYTES = 256 * 1024 };

static void report_failed(struct supervisor *supervisor, enum sandbox_report_type type, int sys_errno, const char *message)
{
    struct sandbox_report report = {.type = type, .sys_errno = sys_errno};
    (void)snprintf(report.message, sizeof(report.message), "%.*s", (int)sizeof(report.message) - 1, message);
    supervisor->config.report(supervisor->config.context, &report);
}

static int watch(struct supervisor *supervisor, int fd, struct rw_error *err)
{
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "epoll_ctl");
    }
    return 0;
}

int supervisor_init(struct supervisor *supervisor, const struct supervisor_config *config, struct rw_error *err)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    *supervisor = (struct supervisor){.config = *config, .record_fd = -1, .signal_fd = -1};
    warm_init(&supervisor->warm);
    supervisor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (supervisor->epoll_fd < 0 || sigprocmask(SIG_BLOCK, &child, NULL) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "epoll_create1");
    }
    supervisor->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (supervisor->signal_fd < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "signalfd");
    }
    return watch(supervisor, supervisor->signal_fd, err);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(rw_take_fd(fd));
    }
}

static void kill_processes(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->table.n; i++) {
        (void)kill(supervisor->table.processes[i].pid, SIGKILL);
    }
}

static bool waits_for_its_job(const struct supervisor *supervisor, pid_t pid)
{
    const struct warm_process *processes = supervisor->warm.processes;
    return pid > 0 && ((processes[RW_STAGE_COMPILE].is_due && processes[RW_STAGE_COMPILE].pid == pid) ||
                       (processes[RW_STAGE_RUN].is_due && processes[RW_STAGE_RUN].pid == pid));
}

/* Without those that wait for a later stage: nothing of this one's has touched them. */
static void read_table(struct supervisor *supervisor)
{
    struct process_table *table = &supervisor->table;
    process_table_read(supervisor->config.proc_fd, getpid(), !supervisor->config.is_pid_1, table);
    size_t n = 0;
    for (size_t i = 0; i < table->n; i++) {
        if (!waits_for_its_job(supervisor, table->processes[i].pid)) {
            table->processes[n++] = table->processes[i];
        }
    }
    table->n = n;
}

void supervisor_done(struct supervisor *supervisor)
{
    for (size_t i = 0; i < _RW_STAGE_MAX; i++) {
        pid_t pid = supervisor->warm.processes[i].pid;
        if (pid > 0) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
        }
    }
    warm_done(&supervisor->warm);
    close_fd(&supervisor->record_fd);
    close_fd(&supervisor->signal_fd);
    close_fd(&supervisor->epoll_fd);
    rw_job_free(rw_take(supervisor->job));
    process_table_done(&supervisor->table);
}

void supervisor_kill_all(struct supervisor *supervisor)
{
    if (supervisor->config.is_pid_1) {
        (void)kill(-1, SIGKILL);
        return;
    }
    process_table_read(supervisor->config.proc_fd, getpid(), true, &supervisor->table);
    kill_processes(supervisor);
}

static bool has_waiting(const struct supervisor *supervisor)
{
    return waits_for_its_job(supervisor, supervisor->warm.processes[RW_STAGE_COMPILE].pid) ||
           waits_for_its_job(supervisor, supervisor->warm.processes[RW_STAGE_RUN].pid);
}

/* Every process of the stage. Returns whether there were any, as far as that can be told. */
static bool kill_stage(struct supervisor *supervisor)
{
    if (!has_waiting(supervisor)) {
        supervisor_kill_all(supervisor);
        return true;
    }
    read_table(supervisor);
    kill_processes(supervisor);
    return supervisor->table.n > 0;
}

/* ---- job ---- */

/* *ret_bytes: to be unmapped. */
static int map_bytes(int fd, struct rw_bytes *ret_bytes, struct rw_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > RW_JOB_BYTES_MAX) {
        return rw_fail_sys(err, PROTOCOL, errno, "the job's bytes");
    }
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        return rw_fail_sys(err, INTERNAL, errno, "mapping the job");
    }
    *ret_bytes = rw_bytes_of(bytes, (size_t)st.st_size);
    return 0;
}

static void unmap_bytes(struct rw_bytes bytes)
{
    (void)munmap((void *)(uintptr_t)bytes.data, bytes.len);
}

static int map_job(int fd, struct rw_job **ret_job, struct rw_error *err)
{
    struct rw_bytes bytes;
    if (map_bytes(fd, &bytes, err) < 0) {
        return -1;
    }
    int status = rw_job_decode(bytes, ret_job, err);
    unmap_bytes(bytes);
    return status;
}

/* The code's children are copies of this process: what it holds counts in their peak, so the contents go at once. */
static void forget_contents(struct rw_job *job)
{
    size_t total = 0;
    for (size_t i = 0; i < job->n_files; i++) {
        total += job->files[i].content_len;
        free(rw_take(job->files[i].content));
        job->files[i].content_len = 0;
    }
    total += job->stdin_len;
    free(rw_take(job->stdin_data));
    job->stdin_len = 0;
    if (total > TRIM_ABOVE_BYTES) {
        (void)malloc_trim(0);
    }
}

static int limit_disk(struct supervisor *supervisor, uint64_t disk_bytes, struct rw_error *err)
{
    return supervisor->config.limit_disk ? supervisor->config.limit_disk(supervisor->config.context, disk_bytes, err) : 0;
}

/* As the code's own uid, so that the files are its, and so that its limits hold. */
static int write_files(struct supervisor *supervisor, struct rw_error *err)
{
    bool switches = supervisor->config.policy.switches_ids;
    if (switches) {
        (void)setfsgid(SANDBOX_GID);
        (void)setfsuid(SANDBOX_UID);
    }
    mode_t mask = umask(0);
    int status = files_write(supervisor->config.work_fd, supervisor->job, err);
    (void)umask(mask);
    if (switches) {
        (void)setfsuid(0);
        (void)setfsgid(0);
    }
    return status;
}

static void take_job(struct supervisor *supervisor, int fd)
{
    struct rw_error err = {0};
    rw_job_free(rw_take(supervisor->job));
    if (map_job(fd, &supervisor->job, &err) < 0 ||
        limit_disk(supervisor,
                   supervisor->job->has_compile ? supervisor->job->compile.limits.disk_bytes
                                                : supervisor->job->run.limits.disk_bytes,
                   &err) < 0 ||
        write_files(supervisor, &err) < 0) {
        rw_job_free(rw_take(supervisor->job)); /* so that no stage of it can start */
        report_failed(supervisor, SANDBOX_REPORT_FAILED, err.sys_errno, err.message);
        return;
    }
    forget_contents(supervisor->job);
}

/* ---- ahead of the job ---- */

static void take_plan(struct supervisor *supervisor, const int *fds, size_t n_fds)
{
    struct rw_error err = {0};
    struct rw_bytes bytes;
    if (n_fds != SANDBOX_FDS_MAX || map_bytes(fds[0], &bytes, &err) < 0) {
        report_failed(supervisor, SANDBOX_REPORT_FAILED, err.sys_errno, "no plan");
        return;
    }
    int library_fd = fcntl(fds[1], F_DUPFD_CLOEXEC, 0);
    int host_fd = fcntl(fds[2], F_DUPFD_CLOEXEC, 0);
    if (library_fd < 0 || host_fd < 0 || warm_set_plan(&supervisor->warm, bytes, library_fd, host_fd, &err) < 0) {
        report_failed(supervisor, SANDBOX_REPORT_FAILED, err.sys_errno, err.message);
    }
    unmap_bytes(bytes);
}

static int start_ahead(struct supervisor *supervisor, enum rw_stage stage, const int *fds, struct rw_error *err)
{
    struct warm *warm = &supervisor->warm;
    struct warm_process *process = &warm->processes[stage];
    const struct rw_job_stage *what = warm_stage(warm, stage);
    int pair[2];
    if (!what || process->is_due || what->limits.open_files < HOLD_FDS_END) {
        return rw_fail(err, UNSUPPORTED, "nothing to start ahead");
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "socketpair");
    }
    process->channel_fd = pair[0];
    pid_t pid = fork();
    if (pid == 0) {
        bool has_host = stage == RW_STAGE_COMPILE && warm->starts->files[0].content_len > 0;
        const struct launch_ahead ahead = {
            .channel_fd = pair[1], .library_fd = warm->library_fd, .host_fd = has_host ? warm->host_fd : -1};
        launch(&supervisor->config.policy, what, fds, -1, &ahead);
    }
    int fork_errno = errno;
    (void)close(pair[1]);
    if (pid < 0) {
        warm_close_channel(process);
        return rw_fail_sys(err, INTERNAL, fork_errno, "fork");
    }
    process->pid = pid;
    process->is_due = true;
    return watch(supervisor, process->channel_fd, err);
}

static void report_of_stage(struct supervisor *supervisor, enum sandbox_report_type type, enum rw_stage stage, const char *message)
{
    struct sandbox_report report = {.type = type, .stage = stage};
    (void)snprintf(report.message, sizeof(report.message), "%.*s", (int)sizeof(report.message) - 1, message);
    supervisor->config.report(supervisor->config.context, &report);
}

static void start_stage_ahead(struct supervisor *supervisor, enum rw_stage stage, const int *fds, size_t n_fds)
{
    struct rw_error err = {0};
    if (n_fds != SANDBOX_FDS_MAX || start_ahead(supervisor, stage, fds, &err) < 0) {
        report_of_stage(supervisor, SANDBOX_REPORT_UNHELD, stage, err.message);
    }
}

/* What the hold says: that the runtime is up. */
static void read_channels(struct supervisor *supervisor)
{
    for (int stage = 0; stage < _RW_STAGE_MAX; stage++) {
        struct warm_process *process = &supervisor->warm.processes[stage];
        uint8_t byte = 0;
        ssize_t n = process->channel_fd < 0 ? -1 : recv(process->channel_fd, &byte, 1, MSG_DONTWAIT);
        if (n == 0) {
            warm_close_channel(process); /* its end follows */
        } else if (n == 1 && byte == HOLD_HELD_BYTE) {
            process->is_held = true;
            report_of_stage(supervisor, SANDBOX_REPORT_HELD, (enum rw_stage)stage, "");
        }
    }
}

/* One that was started ahead has ended without a job. The runner must hear of it in any case before the stage is started cold,
 * because the pipes may hold last words of it. */
static bool ahead_ended(struct supervisor *supervisor, pid_t pid)
{
    for (int stage = 0; stage < _RW_STAGE_MAX; stage++) {
        struct warm_process *process = &supervisor->warm.processes[stage];
        if (process->pid == pid) {
            process->pid = 0;
            warm_close_channel(process);
            report_of_stage(supervisor, process->is_due ? SANDBOX_REPORT_UNHELD : SANDBOX_REPORT_COLD, (enum rw_stage)stage,
                            "it ended by itself");
            return true;
        }
    }
    return false;
}

/* ---- stage ---- */

static int spawn(struct supervisor *supervisor, const struct rw_job_stage *stage, const int *fds, struct rw_error *err)
{
    int records[2];
    if (limit_disk(supervisor, stage->limits.disk_bytes, err) < 0) {
        return -1;
    }
    if (pipe2(records, O_CLOEXEC | O_NONBLOCK) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "pipe2");
    }
    pid_t pid = fork();
    if (pid == 0) {
        launch(&supervisor->config.policy, stage, fds, records[1], NULL);
    }
    int fork_errno = errno;
    (void)close(records[1]);
    supervisor->record_fd = records[0];
    if (pid < 0) {
        close_fd(&supervisor->record_fd);
        return rw_fail_sys(err, INTERNAL, fork_errno, "fork");
    }
    supervisor->main_pid = pid;
    supervisor->state = SUPERVISOR_STARTING;
    supervisor->exited = (struct sandbox_report){.type = SANDBOX_REPORT_EXITED};
    supervisor->exec_at_us = 0;
    supervisor->used_before_us = 0;
    return watch(supervisor, supervisor->record_fd, err);
}

static uint64_t threads_waiting(const struct supervisor *supervisor)
{
    uint64_t n = 0;
    for (int stage = 0; stage < _RW_STAGE_MAX; stage++) {
        const struct warm_process *waiting = &supervisor->warm.processes[stage];
        struct process process;
        if (waiting->is_due && waiting->pid > 0 && process_read(supervisor->config.proc_fd, waiting->pid, &process)) {
            n += process.threads;
        }
    }
    return n;
}

static uint64_t processor_time_us(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) < 0) {
        return 0;
    }
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

/* The process that waits becomes the stage's. From here on it is as any other. */
static void adopt(struct supervisor *supervisor, struct warm_process *process)
{
    supervisor->main_pid = process->pid;
    supervisor->exited = (struct sandbox_report){.type = SANDBOX_REPORT_EXITED};
    supervisor->state = SUPERVISOR_RUNNING;
    process->pid = 0;
    warm_close_channel(process);
}

static bool reap(struct supervisor *supervisor);

/* False: the stage has to start cold, and can. What is still on its way to the hold is taken all the same, since it was to go that
 * way anyhow; but not a compiler's host, which has more to do before than the compiler itself. */
static bool take_ahead(struct supervisor *supervisor, enum rw_stage stage, const struct rw_job_stage *what, struct rw_error *err)
{
    struct warm_process *process = &supervisor->warm.processes[stage];
    if (!process->is_due) {
        return false;
    }
    (void)reap(supervisor); /* it may have ended */
    process->is_due = false;
    struct process before = {0};
    struct sandbox_report started = {.type = SANDBOX_REPORT_STARTED, .is_warm = true, .waiting = threads_waiting(supervisor)};
    if (process->pid > 0 && process_read(supervisor->config.proc_fd, process->pid, &before)) {
        started.usage.processes = before.threads;
        supervisor->used_before_us = processor_time_us(process->pid);
    }
    started.at_us = supervisor->exec_at_us = rw_monotonic_us();
    if (process->pid == 0) {
        report_of_stage(supervisor, SANDBOX_REPORT_COLD, stage, "");
    } else if ((process->is_held || stage == RW_STAGE_RUN) && warm_fits(&supervisor->warm, supervisor->job, stage) &&
               limit_disk(supervisor, what->limits.disk_bytes, err) == 0 &&
               warm_release(&supervisor->warm, stage, &supervisor->config.policy, &what->limits)) {
        adopt(supervisor, process);
        supervisor->config.report(supervisor->config.context, &started);
    } else {
        (void)kill(process->pid, SIGKILL); /* COLD follows when it is reaped */
    }
    return true;
}

static void spawn_stage(struct supervisor *supervisor, enum rw_stage stage, const int *fds, size_t n_fds)
{
    struct rw_error err = {0};
    if (!supervisor->job || supervisor->state != SUPERVISOR_IDLE || n_fds != SANDBOX_FDS_MAX) {
        report_failed(supervisor, SANDBOX_REPORT_FAILED, 0, "a stage out of turn");
        return;
    }
    const struct rw_job_stage *what = stage == RW_STAGE_COMPILE ? &supervisor->job->compile : &supervisor->job->run;
    if (!take_ahead(supervisor, stage, what, &err) && spawn(supervisor, what, fds, &err) < 0) {
        report_failed(supervisor, SANDBOX_REPORT_FAILED, err.sys_errno, err.message);
    }
}

static void report_launch_failure(struct supervisor *supervisor, const struct launch_record *record)
{
    char message[SANDBOX_MESSAGE_BYTES];
    (void)snprintf(message, sizeof(message), "cannot %s the program: %s", launch_step_name(record->step),
                   strerror(record->sys_errno));
    report_failed(supervisor, record->step == LAUNCH_EXEC ? SANDBOX_REPORT_EXEC_FAILED : SANDBOX_REPORT_FAILED, record->sys_errno,
                  message);
}

/* The records end when the exec closes the pipe, or the child's death does. */
static void read_records(struct supervisor *supervisor)
{
    struct launch_record record;
    ssize_t n;
    while (supervisor->record_fd >= 0 && (n = read(supervisor->record_fd, &record, sizeof(record))) >= 0) {
        if (n == sizeof(record) && record.step == LAUNCH_EXEC_NEXT) {
            supervisor->exec_at_us = record.at_us;
        } else if (n == sizeof(record)) {
            supervisor->exec_at_us = 0;
            supervisor->state = SUPERVISOR_RUNNING;
            report_launch_failure(supervisor, &record);
        } else {
            close_fd(&supervisor->record_fd);
        }
    }
    if (supervisor->record_fd < 0 && supervisor->state == SUPERVISOR_STARTING) {
        supervisor->state = SUPERVISOR_RUNNING;
        struct sandbox_report report = {
            .type = SANDBOX_REPORT_STARTED, .at_us = supervisor->exec_at_us, .waiting = threads_waiting(supervisor)};
        supervisor->config.report(supervisor->config.context, &report);
    }
}

static uint64_t timeval_us(struct timeval value)
{
    return (uint64_t)value.tv_sec * 1000000 + (uint64_t)value.tv_usec;
}

/* A reaped process brings its own use and that of every child it waited for. */
static void account(struct sandbox_report *exited, const struct rusage *usage)
{
    uint64_t resident_bytes = (uint64_t)usage->ru_maxrss * 1024;
    exited->usage.cpu_user_us += timeval_us(usage->ru_utime);
    exited->usage.cpu_system_us += timeval_us(usage->ru_stime);
    exited->usage.memory_bytes = resident_bytes > exited->usage.memory_bytes ? resident_bytes : exited->usage.memory_bytes;
}

/* Less what was used before the job was there, parted as the whole is. */
static void forget_before(struct rw_usage *usage, uint64_t before_us)
{
    uint64_t total_us = usage->cpu_user_us + usage->cpu_system_us;
    uint64_t left_us = total_us > before_us ? total_us - before_us : 0;
    usage->cpu_user_us = total_us > 0 ? (uint64_t)((double)left_us * (double)usage->cpu_user_us / (double)total_us) : 0;
    usage->cpu_system_us = left_us - usage->cpu_user_us;
}

static void main_ended(struct supervisor *supervisor, int status)
{
    struct sandbox_report *exited = &supervisor->exited;
    int64_t now_us = rw_monotonic_us();
    read_records(supervisor); /* so that the start is reported before the end */
    exited->has_exit_code = WIFEXITED(status);
    exited->exit_code = exited->has_exit_code ? WEXITSTATUS(status) : 0;
    exited->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    exited->usage.wall_us = supervisor->exec_at_us ? (uint64_t)(now_us - supervisor->exec_at_us) : 0;
    supervisor->state = SUPERVISOR_ENDING;
    supervisor->main_pid = 0;
    (void)kill_stage(supervisor);
}

/* Bounded, so that a storm of dying children cannot keep commands waiting. Returns false when all children are gone. */
static bool reap(struct supervisor *supervisor)
{
    for (int i = 0; i < REAPED_IN_A_ROW_MAX; i++) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid <= 0) {
            return pid == 0;
        }
        if (ahead_ended(supervisor, pid)) {
            continue;
        }
        account(&supervisor->exited, &usage);
        if (pid == supervisor->main_pid) {
            forget_before(&supervisor->exited.usage, supervisor->used_before_us);
            main_ended(supervisor, status);
        }
    }
    (void)kill(getpid(), SIGCHLD); /* come back for the rest */
    return true;
}

void supervisor_dispatch(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signal_fd, &info, sizeof(info)) > 0) {
    }
    read_records(supervisor);
    read_channels(supervisor);
    bool has_children = reap(supervisor);
    if (supervisor->state != SUPERVISOR_ENDING) {
        return;
    }
    /* Again: what was forked while the table was read; with PID 1 and nothing that waits there is no such. */
    if (has_children && kill_stage(supervisor)) {
        return;
    }
    supervisor->state = SUPERVISOR_IDLE;
    supervisor->config.report(supervisor->config.context, &supervisor->exited);
}

/* ---- measuring ---- */

static void sample(struct supervisor *supervisor, uint64_t memory_bytes)
{
    struct sandbox_report report = {.type = SANDBOX_REPORT_SAMPLE};
    struct statvfs used;
    read_table(supervisor);
    process_table_usage(supervisor->config.proc_fd, &supervisor->table, memory_bytes, &report.usage);
    if (supervisor->main_pid > 0) {
        forget_before(&report.usage, supervisor->used_before_us);
    }
    report.usage.cpu_user_us += supervisor->exited.usage.cpu_user_us;
    report.usage.cpu_system_us += supervisor->exited.usage.cpu_system_us;
    /* The private folders are memory too, where they are a tmpfs of our own. */
    if (supervisor->config.limit_disk && fstatvfs(supervisor->config.work_fd, &used) == 0) {
        report.usage.memory_bytes += (used.f_blocks - used.f_bfree) * used.f_frsize;
    }
    supervisor->config.report(supervisor->config.context, &report);
}

void supervisor_command(struct supervisor *supervisor, const struct sandbox_command *command, const int *fds, size_t n_fds)
{
    switch (command->type) {
    case SANDBOX_COMMAND_PLAN:
        take_plan(supervisor, fds, n_fds);
        return;
    case SANDBOX_COMMAND_AHEAD:
        start_stage_ahead(supervisor, command->stage, fds, n_fds);
        return;
    case SANDBOX_COMMAND_JOB:
        take_job(supervisor, n_fds == 1 ? fds[0] : -1);
        return;
    case SANDBOX_COMMAND_SPAWN:
        spawn_stage(supervisor, command->stage, fds, n_fds);
        return;
    case SANDBOX_COMMAND_SAMPLE:
        sample(supervisor, command->memory_bytes);
        return;
    case SANDBOX_COMMAND_KILL:
        supervisor_kill_all(supervisor);
        return;
    case SANDBOX_COMMAND_BUILD:
        return;
    }
}
