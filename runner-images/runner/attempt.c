/* The attempt's states, per stage: STARTING -> RUNNING -> (STOPPING ->) end of the stage -> the next stage or OVER.
 *
 * Whatever happens inside, a stage ends: by the sandbox's EXITED, by its death, or by patience running out, which kills the sandbox
 * from outside. Verdicts are judge.c's. */
#include "attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/log.h>

enum { START_MS_MAX = 30000, STOP_MS_MAX = 10000, DESTROY_MS_MAX = 5000, MS = 1000 };

static void stage_ended(struct attempt *attempt);

static const struct rw_job_stage *stage_of(const struct attempt *attempt)
{
    return attempt->stage == RW_STAGE_COMPILE ? &attempt->job->compile : &attempt->job->run;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(rw_take_fd(fd));
    }
}

/* ---- pipes ---- */

/* Index of our end is the descriptor in the child: 0 is written by us, 1 and 2 are read. */
static int make_pipe(struct attempt_pipes *pipes, enum rw_stage stage, int fd, uid_t uid, gid_t gid, struct rw_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "pipe2");
    }
    int ours = fd == 0 ? ends[1] : ends[0];
    pipes->ours[stage][fd] = ours;
    pipes->childs[stage][fd] = fd == 0 ? ends[0] : ends[1];
    if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0 || (uid != (uid_t)-1 && fchown(ours, uid, gid) < 0)) {
        return rw_fail_sys(err, INTERNAL, errno, "preparing a pipe");
    }
    return 0;
}

int attempt_pipes_make(struct attempt_pipes *pipes, uid_t owner_uid, gid_t owner_gid, struct rw_error *err)
{
    memset(pipes, -1, sizeof(*pipes));
    for (int fd = 0; fd < ATTEMPT_FDS; fd++) {
        if (make_pipe(pipes, RW_STAGE_RUN, fd, owner_uid, owner_gid, err) < 0) {
            return -1;
        }
    }
    if (make_pipe(pipes, RW_STAGE_COMPILE, 1, owner_uid, owner_gid, err) < 0) {
        return -1;
    }
    int *compile = pipes->childs[RW_STAGE_COMPILE];
    compile[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    compile[2] = fcntl(compile[1], F_DUPFD_CLOEXEC, 0);
    return compile[0] < 0 || compile[2] < 0 ? rw_fail_sys(err, INTERNAL, errno, "the compiler's descriptors") : 0;
}

/* ---- stages ---- */

static void send_command(struct attempt *attempt, enum sandbox_command_type type, const int *fds, size_t n_fds)
{
    const struct sandbox_command command = {
        .type = type, .stage = attempt->stage, .memory_bytes = attempt->job ? stage_of(attempt)->limits.memory_bytes : 0};
    /* When the sandbox does not hear, LOST is on its way, and patience is behind that. */
    (void)attempt->sandbox->strategy->send(attempt->sandbox, &command, fds, n_fds, NULL);
}

static void arm(struct attempt *attempt, struct loop_timer *timer, int64_t at_us)
{
    loop_timer_clear(attempt->loop, timer);
    loop_timer_set(attempt->loop, timer, at_us);
}

/* End the stage; why is in the facts already. */
static void stop(struct attempt *attempt)
{
    if (attempt->state != ATTEMPT_STARTING && attempt->state != ATTEMPT_RUNNING) {
        return;
    }
    attempt->state = ATTEMPT_STOPPING;
    loop_timer_clear(attempt->loop, &attempt->wall);
    loop_timer_clear(attempt->loop, &attempt->tick);
    arm(attempt, &attempt->patience, rw_monotonic_us() + STOP_MS_MAX * MS);
    send_command(attempt, SANDBOX_COMMAND_KILL, NULL, 0);
}

static void output_exceeded(void *context)
{
    struct attempt *attempt = context;
    attempt->facts.is_output_exceeded = true;
    stop(attempt);
}

static void output_data(void *context, enum rw_stream stream, struct rw_bytes bytes)
{
    struct attempt *attempt = context;
    attempt->send(attempt->context, &(struct rw_message){.type = RW_MESSAGE_OUTPUT, .stream = stream, .data = bytes});
}

static void prepare_pumps(struct attempt *attempt)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(attempt->pumps); i++) {
        attempt->pumps[i] = (struct pump){.source.fd = -1,
                                          .stream = attempt->stage == RW_STAGE_COMPILE ? RW_STREAM_COMPILE
                                                    : i == 0                           ? RW_STREAM_STDOUT
                                                                                       : RW_STREAM_STDERR,
                                          .data = output_data,
                                          .exceeded = output_exceeded,
                                          .context = attempt};
    }
}

/* Not before the start is told, because a stage's output comes after it. */
static void start_pumps(struct attempt *attempt)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(attempt->pumps); i++) {
        int *ours = &attempt->pipes.ours[attempt->stage][i + 1];
        if (*ours >= 0) {
            pump_start(&attempt->pumps[i], attempt->loop, rw_take_fd(ours), stage_of(attempt)->limits.output_bytes);
        }
    }
}

/* Something on our side went wrong before the stage could start. */
static void stage_failed(struct attempt *attempt, const char *message)
{
    if (attempt->facts.message[0] == '\0') {
        (void)snprintf(attempt->facts.message, sizeof(attempt->facts.message), "%.*s", SANDBOX_MESSAGE_BYTES - 1, message);
    }
    attempt->facts.is_programs_fault = false;
    stage_ended(attempt);
}

static void begin_stage(struct attempt *attempt, enum rw_stage stage)
{
    struct rw_error err = {0};
    attempt->stage = stage;
    attempt->state = ATTEMPT_STARTING;
    attempt->facts = (struct stage_facts){0};
    attempt->exited = (struct rw_usage){0};
    const struct rw_limits *limits = &stage_of(attempt)->limits;
    prepare_pumps(attempt);
    if (attempt->meter.cgroup && cgroup_limit(attempt->meter.cgroup, limits->memory_bytes, limits->processes, &err) < 0) {
        stage_failed(attempt, err.message);
        return;
    }
    meter_stage_begins(&attempt->meter);
    arm(attempt, &attempt->patience, rw_monotonic_us() + START_MS_MAX * MS);
    send_command(attempt, SANDBOX_COMMAND_SPAWN, attempt->pipes.childs[stage], ATTEMPT_FDS);
}

/* Once the stage has them; until then they may have to be given again. */
static void close_childs(struct attempt *attempt)
{
    for (int fd = 0; fd < ATTEMPT_FDS; fd++) {
        close_fd(&attempt->pipes.childs[attempt->stage][fd]);
    }
}

/* What was started ahead is gone, and nothing has been started yet: what it may have written is nobody's. */
static void start_cold(struct attempt *attempt)
{
    char room[4096];
    rw_log(RW_LOG_INFO, "a cold start: what was started ahead does not fit, or has ended",
           RW_LOG_STR("stage", attempt->stage == RW_STAGE_COMPILE ? "compile" : "run"));
    if (attempt->state != ATTEMPT_STARTING) {
        stage_ended(attempt); /* cancelled meanwhile */
        return;
    }
    for (int fd = 1; fd < ATTEMPT_FDS; fd++) {
        int ours = attempt->pipes.ours[attempt->stage][fd];
        while (ours >= 0 && read(ours, room, sizeof(room)) > 0) {
        }
    }
    send_command(attempt, SANDBOX_COMMAND_SPAWN, attempt->pipes.childs[attempt->stage], ATTEMPT_FDS);
}

/* Reasons go out as text, and may name a client's file: anything unusual becomes a question mark. */
static void make_printable(char *text)
{
    for (; *text; text++) {
        if (*text < ' ' || *text > '~') {
            *text = '?';
        }
    }
}

static void finish(struct attempt *attempt)
{
    attempt->state = ATTEMPT_OVER;
    make_printable(attempt->result.reason);
    attempt->send(attempt->context, &(struct rw_message){.type = RW_MESSAGE_RESULT, .result = attempt->result});
    attempt->finished(attempt->context);
}

static void stage_ended(struct attempt *attempt)
{
    struct rw_run_result *result = &attempt->result;
    const struct rw_limits *limits = &stage_of(attempt)->limits;
    attempt->state = ATTEMPT_STOPPING; /* what is found in the pipes now cannot stop it again */
    loop_timer_clear(attempt->loop, &attempt->wall);
    loop_timer_clear(attempt->loop, &attempt->tick);
    loop_timer_clear(attempt->loop, &attempt->patience);
    feeder_stop(&attempt->feeder);
    close_childs(attempt);
    for (size_t i = 0; i < RW_ARRAY_SIZE(attempt->pumps); i++) {
        pump_drain(&attempt->pumps[i]);
        result->truncated[attempt->pumps[i].stream] |= attempt->pumps[i].is_exceeded;
    }
    meter_check(&attempt->meter, limits, &attempt->facts);
    meter_stage_ended(&attempt->meter, &attempt->exited, &attempt->facts);
    judge_settle(&attempt->facts, limits, cgroup_has(attempt->meter.cgroup, CGROUP_MEMORY));
    if (attempt->stage == RW_STAGE_RUN) {
        result->run = attempt->facts.usage;
        judge_run(&attempt->facts, limits, result);
        finish(attempt);
        return;
    }
    result->has_compile = true;
    result->compile = attempt->facts.usage;
    if (!judge_compile(&attempt->facts, limits, result)) {
        finish(attempt);
        return;
    }
    begin_stage(attempt, RW_STAGE_RUN);
}

/* ---- clocks ---- */

static void stop_listening(struct attempt *attempt)
{
    if (attempt->reports.fd >= 0) {
        loop_remove(attempt->loop, &attempt->reports);
        attempt->reports.fd = -1;
    }
}

static void patience_ended(void *context)
{
    struct attempt *attempt = context;
    attempt->facts.is_lost = true;
    stop_listening(attempt);
    attempt->sandbox->strategy->destroy(attempt->sandbox, DESTROY_MS_MAX);
    stage_ended(attempt);
}

static void wall_passed(void *context)
{
    struct attempt *attempt = context;
    attempt->facts.is_wall_exceeded = true;
    stop(attempt);
}

static void judge_readings(struct attempt *attempt)
{
    const struct rw_limits *limits = &stage_of(attempt)->limits;
    if (attempt->state != ATTEMPT_RUNNING) {
        return;
    }
    meter_check(&attempt->meter, limits, &attempt->facts);
    if (attempt->facts.is_cpu_exceeded || attempt->facts.is_memory_exceeded) {
        stop(attempt);
        return;
    }
    arm(attempt, &attempt->tick, rw_monotonic_us() + meter_next_check_us(&attempt->meter, limits));
}

static void ticked(void *context)
{
    struct attempt *attempt = context;
    if (meter_needs_samples(&attempt->meter)) {
        send_command(attempt, SANDBOX_COMMAND_SAMPLE, NULL, 0); /* the sample arms the next tick */
    } else {
        judge_readings(attempt);
    }
}

/* ---- reports ---- */

static void code_started(struct attempt *attempt, const struct sandbox_report *report)
{
    int64_t at_us = report->at_us;
    attempt->facts.is_started = true;
    close_childs(attempt);
    meter_code_begins(&attempt->meter, report->usage.processes, report->waiting);
    if (attempt->stage == RW_STAGE_RUN) {
        attempt->result.run_started_after_us = at_us > attempt->received_us ? (uint64_t)(at_us - attempt->received_us) : 0;
    }
    attempt->send(attempt->context, &(struct rw_message){.type = RW_MESSAGE_STARTED, .stage = attempt->stage});
    start_pumps(attempt);
    if (attempt->state != ATTEMPT_STARTING) {
        return; /* to be stopped already */
    }
    attempt->state = ATTEMPT_RUNNING;
    loop_timer_clear(attempt->loop, &attempt->patience);
    arm(attempt, &attempt->wall, at_us + (int64_t)stage_of(attempt)->limits.wall_ms * MS);
    arm(attempt, &attempt->tick, rw_monotonic_us() + meter_next_check_us(&attempt->meter, &stage_of(attempt)->limits));
    int *input = &attempt->pipes.ours[attempt->stage][0];
    if (*input >= 0) {
        feeder_start(&attempt->feeder, attempt->loop, rw_take_fd(input), rw_take(attempt->job->stdin_data),
                     attempt->job->stdin_len);
    }
}

static void exec_failed(struct attempt *attempt, const struct sandbox_report *report)
{
    /* What the job brought or built, or how it is called, is the job's affair; a missing interpreter is ours. */
    const char *program = stage_of(attempt)->argv[0];
    attempt->facts.exec_errno = report->sys_errno;
    attempt->facts.is_programs_fault = report->sys_errno == E2BIG ||
                                       strncmp(program, SANDBOX_WORK_FOLDER "/", strlen(SANDBOX_WORK_FOLDER "/")) == 0;
    (void)snprintf(attempt->facts.message, sizeof(attempt->facts.message), "%s", report->message);
}

static void stage_exited(struct attempt *attempt, const struct sandbox_report *report)
{
    attempt->facts.has_ended = true;
    attempt->facts.has_exit_code = report->has_exit_code;
    attempt->facts.exit_code = report->exit_code;
    attempt->facts.signal = report->signal;
    attempt->exited = report->usage;
    stage_ended(attempt);
}

static void take_report(struct attempt *attempt, const struct sandbox_report *report)
{
    if (attempt->state == ATTEMPT_IDLE || attempt->state == ATTEMPT_OVER) {
        return;
    }
    switch (report->type) {
    case SANDBOX_REPORT_STARTED:
        code_started(attempt, report);
        return;
    case SANDBOX_REPORT_EXEC_FAILED:
        exec_failed(attempt, report);
        return;
    case SANDBOX_REPORT_EXITED:
        stage_exited(attempt, report);
        return;
    case SANDBOX_REPORT_SAMPLE:
        meter_take_sample(&attempt->meter, &report->usage);
        judge_readings(attempt);
        return;
    case SANDBOX_REPORT_FAILED:
        stage_failed(attempt, report->message);
        return;
    case SANDBOX_REPORT_LOST:
        attempt->facts.is_lost = true;
        stage_ended(attempt);
        return;
    case SANDBOX_REPORT_COLD:
        start_cold(attempt);
        return;
    case SANDBOX_REPORT_READY:
    case SANDBOX_REPORT_HELD:
    case SANDBOX_REPORT_UNHELD:
        return;
    }
}

static void handle_reports(void *context, uint32_t events)
{
    struct attempt *attempt = context;
    struct sandbox_report report;
    (void)events;
    while (attempt->sandbox->state && attempt->sandbox->strategy->receive(attempt->sandbox, &report) == 1) {
        if (report.type == SANDBOX_REPORT_LOST) {
            stop_listening(attempt);
        }
        take_report(attempt, &report);
    }
}

/* ---- the attempt ---- */

void attempt_init(struct attempt *attempt, const struct cgroup *cgroup)
{
    attempt->state = ATTEMPT_IDLE;
    meter_init(&attempt->meter, cgroup);
    attempt->patience = (struct loop_timer){.handle = patience_ended, .context = attempt};
    attempt->wall = (struct loop_timer){.handle = wall_passed, .context = attempt};
    attempt->tick = (struct loop_timer){.handle = ticked, .context = attempt};
    attempt->reports = (struct loop_source){.fd = attempt->sandbox->event_fd, .handle = handle_reports, .context = attempt};
    loop_add(attempt->loop, &attempt->reports, EPOLLIN);
}

static int check_bounds(const struct rw_job *job, struct rw_error *err)
{
    uint64_t total = job->run.limits.output_bytes + (job->has_compile ? job->compile.limits.output_bytes : 0);
    if (job->run.limits.output_bytes > ATTEMPT_OUTPUT_BYTES_MAX || total > ATTEMPT_OUTPUT_BYTES_MAX) {
        return rw_fail(err, PROTOCOL, "an output limit of %" PRIu64 " bytes", total);
    }
    return 0;
}

/* The job's bytes go on as they came; the sandbox decodes them by the same rules. */
static int give_job(struct attempt *attempt, struct rw_bytes bytes, struct rw_error *err)
{
    RW_AUTO_FD int fd = memfd_create("job", MFD_CLOEXEC);
    if (fd < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "memfd_create");
    }
    for (size_t done = 0; done < bytes.len;) {
        ssize_t n = write(fd, bytes.data + done, bytes.len - done);
        if (n <= 0) {
            return rw_fail_sys(err, INTERNAL, errno, "passing the job on");
        }
        done += (size_t)n;
    }
    send_command(attempt, SANDBOX_COMMAND_JOB, &fd, 1);
    return 0;
}

int attempt_begin(struct attempt *attempt, struct rw_bytes job, int64_t received_us, struct rw_error *err)
{
    if (rw_job_decode(job, &attempt->job, err) < 0 || check_bounds(attempt->job, err) < 0 || give_job(attempt, job, err) < 0) {
        return -1;
    }
    attempt->received_us = received_us;
    begin_stage(attempt, attempt->job->has_compile ? RW_STAGE_COMPILE : RW_STAGE_RUN);
    return 0;
}

void attempt_cancel(struct attempt *attempt)
{
    attempt->facts.is_cancelled = true;
    stop(attempt);
}

void attempt_done(struct attempt *attempt)
{
    stop_listening(attempt);
    for (size_t i = 0; i < RW_ARRAY_SIZE(attempt->pumps); i++) {
        if (attempt->pumps[i].loop) {
            pump_drain(&attempt->pumps[i]);
        }
    }
    loop_timer_clear(attempt->loop, &attempt->patience);
    loop_timer_clear(attempt->loop, &attempt->wall);
    loop_timer_clear(attempt->loop, &attempt->tick);
    feeder_stop(&attempt->feeder);
    for (int stage = 0; stage < _RW_STAGE_MAX; stage++) {
        for (int fd = 0; fd < ATTEMPT_FDS; fd++) {
            close_fd(&attempt->pipes.childs[stage][fd]);
            close_fd(&attempt->pipes.ours[stage][fd]);
        }
    }
    rw_job_free(rw_take(attempt->job));
}
