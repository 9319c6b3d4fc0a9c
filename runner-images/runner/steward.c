/* The steward's life: it tries once whether a sandbox can be made here, opens the socket, keeps workers, and ends when its uses are
 * served or nobody wants it any more.
 *
 *   worker   forked ──► PREPARING ──'R'──► IDLE ──'T' and yes──► BUSY ──'E'──► ENDING ──► exits: the place is free
 *                                                                 │
 *   killed in whatever state ────────────────────────────────────►└──► SWEEPING ──► the place is free
 *
 * It keeps its privileges, because it makes sandboxes, and therefore reads nothing that a stranger could have written: it never
 * accepts a connection, and what it reads from workers are single bytes and ids. A worker that fails costs its own job only. */
#include "steward.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rw/auto.h>
#include <rw/backoff.h>
#include <rw/clock.h>
#include <rw/log.h>

#include "listener.h"
#include "pod.h"
#include "steward_book.h"
#include "steward_worker.h"

enum { RETRY_BASE_MS = 100, RETRY_MAX_MS = 10000, MS = 1000 };

struct steward {
    const struct options *options;
    uint8_t secret[RW_POD_SECRET_BYTES];
    struct loop loop;
    struct steward_book book;
    struct steward_worker workers[STEWARD_PLACES_MAX];
    int listen_fd;
    char *unix_path; /* to be unlinked at the end; NULL: none */
    struct loop_source control;
    struct loop_source signals;
    struct loop_timer retry;
    struct rw_backoff backoff;
    int64_t retry_at_us; /* no worker is started before that */
    bool is_ready;
};

static void decide(struct steward *steward);

/* ---- workers ---- */

static void dismiss(struct steward_worker *worker)
{
    if (worker->source.fd >= 0) {
        loop_remove(&worker->steward->loop, &worker->source);
        (void)close(rw_take_fd(&worker->source.fd));
    }
}

static void report_ready(struct steward *steward)
{
    const char ready = STEWARD_READY;
    if (!steward->is_ready && steward->control.fd >= 0) {
        (void)send(steward->control.fd, &ready, 1, MSG_NOSIGNAL | MSG_DONTWAIT); /* whoever does not hear it finds us late */
    }
    steward->is_ready = true;
}

static void worker_ready(struct steward_worker *worker)
{
    struct steward *steward = worker->steward;
    steward_book_set(&steward->book, worker->place, STEWARD_PLACE_IDLE);
    rw_backoff_reset(&steward->backoff);
    report_ready(steward);
    if (steward->book.is_draining) {
        dismiss(worker);
    }
}

static void worker_asks(struct steward_worker *worker, const struct rw_uuid *lease_id)
{
    const uint8_t answer = steward_book_take(&worker->steward->book, worker->place, lease_id) ? STEWARD_YES : STEWARD_NO;
    (void)send(worker->source.fd, &answer, 1, MSG_NOSIGNAL | MSG_DONTWAIT); /* when it cannot be heard its end follows */
}

static void handle_worker(void *context, uint32_t events)
{
    struct steward_worker *worker = context;
    struct steward *steward = worker->steward;
    struct steward_request request = {0};
    (void)events;
    ssize_t n = recv(worker->source.fd, &request, sizeof(request), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    enum steward_state state = steward->book.places[worker->place];
    if (n <= 0) {
        dismiss(worker); /* its exit follows */
    } else if (request.type == STEWARD_READY && state == STEWARD_PLACE_PREPARING) {
        worker_ready(worker);
    } else if (request.type == STEWARD_TAKE && n == sizeof(request)) {
        worker_asks(worker, &request.lease_id);
    } else if (request.type == STEWARD_ENDED && state == STEWARD_PLACE_BUSY) {
        steward_book_set(&steward->book, worker->place, STEWARD_PLACE_ENDING);
    }
    decide(steward);
}

static void back_off(struct steward *steward)
{
    steward->retry_at_us = rw_monotonic_us() + (int64_t)rw_backoff_next_ms(&steward->backoff) * MS;
    loop_timer_set(&steward->loop, &steward->retry, steward->retry_at_us);
}

static void start_worker(struct steward *steward)
{
    struct rw_error err = {0};
    uint32_t place = steward_book_free_place(&steward->book);
    struct steward_worker *worker = &steward->workers[place];
    const struct steward_worker_options options = {
        .options = steward->options, .place = place, .listen_fd = steward->listen_fd, .secret = steward->secret};
    int fd = -1;
    if (steward_worker_start(&options, &worker->pid, &fd, &err) < 0) {
        rw_log_error(RW_LOG_ERROR, "a worker cannot be started", &err, RW_LOG_STR("pod", steward->options->pod));
        back_off(steward);
        return;
    }
    worker->source = (struct loop_source){.fd = fd, .handle = handle_worker, .context = worker};
    loop_add(&steward->loop, &worker->source, EPOLLIN);
    steward_book_set(&steward->book, place, STEWARD_PLACE_PREPARING);
}

/* A worker that exits has cleaned up after itself. One that was killed has not; nor has a sweeper that was killed. */
static void worker_ended(struct steward_worker *worker, int status)
{
    struct steward *steward = worker->steward;
    struct rw_error err = {0};
    enum steward_state state = steward->book.places[worker->place];
    dismiss(worker);
    worker->pid = 0;
    if (WIFSIGNALED(status)) {
        rw_log(RW_LOG_WARNING, state == STEWARD_PLACE_SWEEPING ? "a sweeper was killed" : "a worker was killed",
               RW_LOG_STR("pod", steward->options->pod), RW_LOG_INT("signal", WTERMSIG(status)),
               RW_LOG_BOOL("had_job", state == STEWARD_PLACE_BUSY));
        if (steward_worker_sweep(steward->options, worker->place, &worker->pid, &err) < 0) {
            rw_log_error(RW_LOG_ERROR, "a killed worker's place cannot be swept", &err);
        } else {
            steward_book_set(&steward->book, worker->place, STEWARD_PLACE_SWEEPING);
        }
    } else {
        steward_book_set(&steward->book, worker->place, STEWARD_PLACE_FREE);
    }
    if (steward->book.is_draining || (state != STEWARD_PLACE_PREPARING && state != STEWARD_PLACE_IDLE)) {
        return;
    }
    if (!steward->is_ready) { /* as a runner that cannot prepare: the pod is of no use */
        loop_stop(&steward->loop, WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1);
    }
    back_off(steward);
}

static void reap(struct steward *steward)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (uint32_t i = 0; i < 2 * steward->book.slots; i++) {
            if (steward->workers[i].pid == pid) {
                worker_ended(&steward->workers[i], status);
                break;
            }
        }
    }
    decide(steward);
}

/* ---- decisions ---- */

static void decide(struct steward *steward)
{
    int64_t now_us = rw_monotonic_us();
    while (now_us >= steward->retry_at_us && steward_book_missing(&steward->book) > 0) {
        start_worker(steward);
    }
    if (steward_book_is_over(&steward->book)) {
        loop_stop(&steward->loop, 0);
    }
}

static void retry(void *context)
{
    decide(context);
}

/* No more jobs: idle workers go, the others when they have answered. Those in the making go when they are ready. */
static void drain(struct steward *steward)
{
    steward->book.is_draining = true;
    for (uint32_t i = 0; i < 2 * steward->book.slots; i++) {
        if (steward->book.places[i] == STEWARD_PLACE_IDLE) {
            dismiss(&steward->workers[i]);
        }
    }
    decide(steward);
}

static void handle_control(void *context, uint32_t events)
{
    struct steward *steward = context;
    uint8_t byte;
    (void)events;
    ssize_t n = read(steward->control.fd, &byte, 1);
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) {
        return;
    }
    loop_remove(&steward->loop, &steward->control);
    (void)close(rw_take_fd(&steward->control.fd));
    drain(steward);
}

static void urge(struct steward *steward)
{
    for (uint32_t i = 0; i < 2 * steward->book.slots; i++) {
        if (steward->workers[i].pid > 0 && steward->book.places[i] != STEWARD_PLACE_SWEEPING) {
            (void)kill(steward->workers[i].pid, SIGTERM);
        }
    }
}

/* The first signal drains, the next one ends the workers, too. */
static void handle_signals(void *context, uint32_t events)
{
    struct steward *steward = context;
    struct signalfd_siginfo info;
    bool has_children = false;
    (void)events;
    while (read(steward->signals.fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            has_children = true;
        } else if (steward->book.is_draining) {
            urge(steward);
        } else {
            rw_log(RW_LOG_INFO, "draining after a signal", RW_LOG_STR("pod", steward->options->pod),
                   RW_LOG_INT("jobs", steward->book.counts[STEWARD_PLACE_BUSY]));
            drain(steward);
        }
    }
    if (has_children) {
        reap(steward);
    }
}

/* ---- starting ---- */

static int watch(struct steward *steward, struct rw_error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    /* As the reaper of its offspring it sees a killed worker's sandbox end, too. */
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "signals");
    }
    steward->signals = (struct loop_source){
        .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .handle = handle_signals, .context = steward};
    steward->control = (struct loop_source){.fd = steward->options->control_fd, .handle = handle_control, .context = steward};
    if (steward->signals.fd < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "signalfd");
    }
    loop_add(&steward->loop, &steward->signals, EPOLLIN);
    if (steward->control.fd >= 0) {
        if (fcntl(steward->control.fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(steward->control.fd, F_SETFL, O_NONBLOCK) < 0) {
            return rw_fail_sys(err, IO, errno, "--control-fd");
        }
        loop_add(&steward->loop, &steward->control, EPOLLIN);
    }
    return 0;
}

/* A sandbox is made and thrown away, before there is a secret and before anybody can connect: whether it can be had shows now. */
static int try_sandbox(const struct options *options, struct rw_error *err)
{
    struct pod pod;
    struct options tried = *options;
    RW_AUTO_FREE char *cgroup = options->cgroup ? rw_xasprintf("%s/0", options->cgroup) : NULL;
    tried.cgroup = cgroup;
    tried.warm = NULL; /* it takes time, and is nothing that a sandbox could lack */
    if (pod_prepare(&pod, &tried, err) < 0) {
        return -1;
    }
    pod_destroy(&pod);
    return 0;
}

static int start(struct steward *steward, struct rw_error *err)
{
    const struct options *options = steward->options;
    if (try_sandbox(options, err) < 0) {
        return -1;
    }
    steward->listen_fd = listener_open(options->listen, &steward->unix_path, err);
    if (steward->listen_fd < 0 || options_read_secret(options, steward->secret, err) < 0) {
        return -1;
    }
    options_wipe_environment();
    steward_book_init(&steward->book, options->slots, options->uses);
    rw_backoff_init(&steward->backoff, RETRY_BASE_MS, RETRY_MAX_MS);
    steward->retry = (struct loop_timer){.handle = retry, .context = steward};
    for (uint32_t i = 0; i < 2 * options->slots; i++) {
        steward->workers[i] = (struct steward_worker){.steward = steward, .place = i, .source.fd = -1};
    }
    return loop_init(&steward->loop, err) < 0 || watch(steward, err) < 0 ? -1 : 0;
}

int steward_run(const struct options *options)
{
    struct rw_error err = {0};
    struct steward *steward = rw_xcalloc(1, sizeof(*steward));
    steward->options = options;
    if (start(steward, &err) < 0) {
        rw_log_error(RW_LOG_ERROR, "the pod cannot be prepared", &err, RW_LOG_STR("pod", options->pod));
        return rw_err_exit_code(err.code);
    }
    decide(steward);
    int status = loop_run(&steward->loop);
    if (steward->unix_path) {
        (void)unlink(steward->unix_path);
    }
    sodium_memzero(steward->secret, sizeof(steward->secret));
    loop_done(&steward->loop);
    free(steward->unix_path);
    free(steward);
    return status;
}
