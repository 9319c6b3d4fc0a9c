/* The runner's life: PREPARING -> WAITING -> BUSY -> ANSWERED -> exit.
 *
 *   WAITING   the listener has the candidates; the first that proves itself is the scheduler
 *   BUSY      the attempt runs; the scheduler's connection carries its messages
 *   ANSWERED  the result is on its way; the sandbox is taken down while the scheduler reads */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/log.h>

#include "listener.h"
#include "pod.h"
#include "steward.h"

enum { ANSWER_MS_MAX = 30000, ASK_MS_MAX = 5000, READY_BYTE = 'R' };

struct runner {
    const struct options *options;
    uint8_t secret[RW_POD_SECRET_BYTES];
    struct loop loop;
    struct pod pod;
    struct listener listener;
    struct loop_source control;
    struct loop_source signals;
    struct peer *scheduler; /* NULL until one proved itself */
    struct attempt attempt;
    struct loop_timer take_down;
    bool is_answered;
};

/* ---- the steward, when this is a worker ---- */

static bool may_take(void *context, const struct peer *peer)
{
    struct runner *runner = context;
    struct steward_request request = {.type = STEWARD_TAKE, .lease_id = peer->link.lease_id};
    struct pollfd polled = {.fd = runner->control.fd, .events = POLLIN};
    uint8_t answer = STEWARD_NO;
    return send(polled.fd, &request, sizeof(request), MSG_NOSIGNAL) == sizeof(request) && poll(&polled, 1, ASK_MS_MAX) == 1 &&
           read(polled.fd, &answer, 1) == 1 && answer == STEWARD_YES;
}

static void tell_ended(const struct runner *runner)
{
    const struct steward_request request = {.type = STEWARD_ENDED};
    if (runner->options->is_worker && runner->control.fd >= 0) {
        (void)send(runner->control.fd, &request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT); /* or the exit says it */
    }
}

/* ---- the scheduler ---- */

static void send_message(void *context, const struct rw_message *message)
{
    struct runner *runner = context;
    if (message->type == RW_MESSAGE_RESULT) {
        tell_ended(runner); /* before anybody can give the next job because of this result */
    }
    link_send(&runner->scheduler->link, message);
    peer_flush(runner->scheduler);
}

/* Not at once: the attempt is still on the stack. */
static void attempt_finished(void *context)
{
    struct runner *runner = context;
    runner->is_answered = true;
    peer_finish(runner->scheduler, ANSWER_MS_MAX);
    loop_timer_set(&runner->loop, &runner->take_down, rw_monotonic_us());
}

static void take_down(void *context)
{
    struct runner *runner = context;
    attempt_done(&runner->attempt);
    pod_destroy(&runner->pod);
}

static void scheduler_event(void *context, struct peer *peer, enum link_event event, const struct rw_message *message)
{
    struct runner *runner = context;
    (void)peer;
    (void)message; /* stdin: the job brought all of it, what comes later has no reader */
    if (event == LINK_EVENT_CANCEL) {
        attempt_cancel(&runner->attempt);
    }
}

static void scheduler_closed(void *context, struct peer *peer)
{
    struct runner *runner = context;
    (void)peer;
    if (!runner->is_answered) {
        rw_log(RW_LOG_WARNING, "the scheduler went away in mid-job", RW_LOG_STR("pod", runner->options->pod));
    }
    loop_stop(&runner->loop, runner->is_answered ? 0 : rw_err_exit_code(RW_ERR_TIMEOUT));
}

static void job_taken(void *context, struct peer *peer, const struct rw_message *message)
{
    struct runner *runner = context;
    struct rw_error err = {0};
    int64_t received_us = rw_monotonic_us();
    sodium_memzero(runner->secret, sizeof(runner->secret));
    runner->scheduler = peer;
    peer->owner = (struct peer_owner){.event = scheduler_event, .closed = scheduler_closed, .context = runner};
    if (attempt_begin(&runner->attempt, message->job, received_us, &err) < 0) {
        rw_log_error(RW_LOG_ERROR, "the job is refused", &err, RW_LOG_STR("pod", runner->options->pod));
        peer_refuse(peer, "job");
    }
}

/* ---- others ---- */

static void handle_control(void *context, uint32_t events)
{
    struct runner *runner = context;
    uint8_t byte;
    (void)events;
    ssize_t n = read(runner->control.fd, &byte, 1);
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) {
        return;
    }
    loop_remove(&runner->loop, &runner->control);
    (void)close(rw_take_fd(&runner->control.fd));
    if (!runner->scheduler) {
        loop_stop(&runner->loop, 0); /* the pod-manager is gone, and nobody would know of this pod */
    }
}

static void handle_signals(void *context, uint32_t events)
{
    struct runner *runner = context;
    (void)events;
    rw_log(RW_LOG_INFO, "stopped by a signal", RW_LOG_STR("pod", runner->options->pod));
    loop_stop(&runner->loop, 0);
}

static int watch_signals(struct runner *runner, struct rw_error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return rw_fail_sys(err, INTERNAL, errno, "signals");
    }
    runner->signals = (struct loop_source){
        .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .handle = handle_signals, .context = runner};
    if (runner->signals.fd < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "signalfd");
    }
    loop_add(&runner->loop, &runner->signals, EPOLLIN);
    return 0;
}

static int watch_control(struct runner *runner, struct rw_error *err)
{
    const char ready = READY_BYTE;
    runner->control = (struct loop_source){.fd = runner->options->control_fd, .handle = handle_control, .context = runner};
    if (runner->control.fd < 0) {
        return 0;
    }
    if (fcntl(runner->control.fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(runner->control.fd, F_SETFL, O_NONBLOCK) < 0 ||
        write(runner->control.fd, &ready, 1) != 1) {
        return rw_fail_sys(err, IO, errno, "--control-fd");
    }
    loop_add(&runner->loop, &runner->control, EPOLLIN);
    return 0;
}

/* ---- preparing ---- */

static int lock_down(struct runner *runner, struct rw_error *err)
{
    RW_AUTO_FREE char *path = runner->listener.unix_path ? rw_xstrdup(runner->listener.unix_path) : NULL;
    RW_AUTO_FD int dir_fd = path ? open(dirname(path), O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    return pod_lock_down(&runner->pod, dir_fd, err);
}

static void init_attempt(struct runner *runner)
{
    runner->attempt = (struct attempt){.loop = &runner->loop,
                                       .sandbox = &runner->pod.sandbox,
                                       .pipes = runner->pod.pipes,
                                       .send = send_message,
                                       .finished = attempt_finished,
                                       .context = runner};
    memset(&runner->pod.pipes, -1, sizeof(runner->pod.pipes)); /* the attempt's now */
    attempt_init(&runner->attempt, runner->pod.has_cgroup ? &runner->pod.cgroup : NULL);
}

/* The sandbox before everything else: its init must not inherit the secret. */
static int prepare(struct runner *runner, struct rw_error *err)
{
    int64_t began_us = rw_monotonic_us();
    if (pod_prepare(&runner->pod, runner->options, err) < 0) {
        return -1;
    }
    int fd = listener_open(runner->options->listen, &runner->listener.unix_path, err);
    if (fd < 0 || options_read_secret(runner->options, runner->secret, err) < 0) {
        return -1;
    }
    options_wipe_environment();
    if (loop_init(&runner->loop, err) < 0 || watch_signals(runner, err) < 0) {
        return -1;
    }
    init_attempt(runner);
    runner->take_down = (struct loop_timer){.handle = take_down, .context = runner};
    runner->listener.taken = job_taken;
    runner->listener.is_shared = runner->options->is_worker;
    runner->listener.may_take = runner->options->is_worker ? may_take : NULL;
    runner->listener.context = runner;
    listener_start(&runner->listener, &runner->loop, fd, runner->secret);
    if (lock_down(runner, err) < 0 || watch_control(runner, err) < 0) {
        return -1;
    }
    rw_log(RW_LOG_DEBUG, "ready", RW_LOG_STR("pod", runner->options->pod), RW_LOG_INT("prepared_us", rw_monotonic_us() - began_us));
    return 0;
}

int runner_run(const struct options *options)
{
    struct rw_error err = {0};
    struct runner *runner = rw_xcalloc(1, sizeof(*runner));
    runner->options = options;
    if (prepare(runner, &err) < 0) {
        rw_log_error(RW_LOG_ERROR, "the pod cannot be prepared", &err, RW_LOG_STR("pod", options->pod));
        pod_destroy(&runner->pod);
        return rw_err_exit_code(err.code);
    }
    int status = loop_run(&runner->loop);
    listener_stop(&runner->listener);
    peer_free(runner->scheduler);
    take_down(runner);
    sodium_memzero(runner->secret, sizeof(runner->secret));
    loop_done(&runner->loop);
    free(runner);
    return status;
}
