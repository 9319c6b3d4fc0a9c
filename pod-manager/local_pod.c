/* One pod of the local backend, from its socket to its end.
 *
 * The runner gets the listening socket, the pod's secret and its end of the control pair as descriptors, nothing else: no path it
 * would have to open, no secret in arguments or environment. It reports 'R' on the control pair once it can take a job. It leads a
 * session of its own, so that a Ctrl-C in a terminal drains the pod-manager and does not kill jobs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/random.h>

#include "local.h"

#define SOCKET_PATH_BYTES sizeof(((struct sockaddr_un *)NULL)->sun_path)

enum { BACKLOG = 16, ARGV_MAX = 24 };

/* Owner only from the first moment on: the mode is set on the descriptor before bind makes the file. */
static int listen_on(const char *path, struct rw_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    RW_AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)&address, sizeof(address)) || listen(fd, BACKLOG)) {
        return rw_fail_sys(err, IO, errno, "listen on %s", path);
    }
    return rw_take_fd(&fd);
}

/* The reading end of a pipe that holds the secret. */
static int secret_pipe(const uint8_t secret[static RW_POD_SECRET_BYTES], struct rw_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) {
        return rw_fail_sys(err, IO, errno, "make a pipe");
    }
    ssize_t n = write(ends[1], secret, RW_POD_SECRET_BYTES); /* fits into the pipe */
    (void)close(ends[1]);
    if (n != RW_POD_SECRET_BYTES) {
        (void)close(ends[0]);
        return rw_fail_sys(err, IO, errno, "write to a pipe");
    }
    return ends[0];
}

static void socket_path(const struct local_pod *pod, char out[static SOCKET_PATH_BYTES])
{
    (void)snprintf(out, SOCKET_PATH_BYTES, "%s/%s", pod->local->run_dir, pod->socket_name);
}

static void forget(struct local_pod *pod)
{
    struct local *local = pod->local;
    explicit_bzero(pod->secret, sizeof(pod->secret));
    free(pod);
    local_closed_one(local);
}

static void on_closed(uv_handle_t *handle)
{
    struct local_pod *pod = handle->data;
    if (--pod->n_handles == 0) {
        forget(pod);
    }
}

static void close_control(struct local_pod *pod)
{
    if (!pod->is_control_closing) {
        pod->is_control_closing = true;
        uv_close((uv_handle_t *)&pod->control, on_closed);
    }
}

/* Nothing of it runs any more: take back what it had. */
static void remove_traces(struct local_pod *pod)
{
    (void)unlinkat(pod->local->run_dir_fd, pod->socket_name, 0);
    local_record_remove(pod->local, pod->name);
    local_block_give(pod->local, pod->block);
    HASH_DEL(pod->local->pods, pod);
}

static void close_handles(struct local_pod *pod)
{
    close_control(pod);
    uv_close((uv_handle_t *)&pod->end, on_closed); /* libuv stops looking at the descriptor at once */
    (void)close(pod->pidfd);
}

static void be_gone(struct local_pod *pod)
{
    const struct backend_events *events = &pod->local->events;
    remove_traces(pod);
    close_handles(pod);
    if (!pod->is_silent) {
        events->gone(events->arg, pod->name, pod->reason, pod->detail);
    }
}

static void on_swept(void *arg, const struct local_said *said)
{
    (void)said; /* a sweep that failed was told; the pod is gone all the same */
    be_gone(arg);
}

static void on_end(uv_poll_t *poll, int poll_status, int events)
{
    struct local_pod *pod = poll->data;
    int exit_status = 0;
    int signal = 0;
    (void)poll_status;
    (void)events;
    if (!local_reap(pod->pidfd, &exit_status, &signal)) {
        return;
    }
    (void)uv_poll_stop(poll);
    pod->has_exited = true;
    pod->kill_at_ms = 0;
    pod->reason = signal ? BACKEND_SIGNALLED : (exit_status ? BACKEND_EXITED : BACKEND_FINISHED);
    if (pod->is_doomed) {
        pod->reason = BACKEND_DESTROYED;
    }
    if (signal) {
        (void)snprintf(pod->detail, sizeof(pod->detail), "runner killed by signal %d", signal);
    } else {
        (void)snprintf(pod->detail, sizeof(pod->detail), "runner exited with status %d", exit_status);
    }
    bool is_clean = exit_status == 0 && signal == 0;
    if (is_clean || !pod->cgroup[0]) {
        be_gone(pod);
    } else {
        local_helper_sweep(pod->local, pod->cgroup, on_swept, pod);
    }
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct local_pod *pod = handle->data;
    *buf = uv_buf_init(pod->room, sizeof(pod->room));
}

static void on_control(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct local_pod *pod = stream->data;
    if (n == 0) {
        return;
    }
    (void)uv_read_stop(stream); /* one byte is all there is to say; after end of file the exit follows */
    if (n < 0 || buf->base[0] != 'R' || pod->is_doomed) {
        return;
    }
    char address[SOCKET_PATH_BYTES + 8] = "unix:";
    socket_path(pod, address + strlen(address));
    struct backend_ready info = {.address = address, .secret = pod->secret};
    pod->local->events.ready(pod->local->events.arg, pod->name, &info);
}

enum { FD_LISTEN, FD_SECRET, FD_CONTROL, N_FDS }; /* descriptors in the runner, from LOCAL_FD_FIRST on */

/* The machine has the tools of every language, and the job says which are run; the language is what is started ahead of it. */
static const char *plan_for(const struct local *local, const char *name)
{
    const struct rw_language *language = local->catalogue ? rw_catalogue_find(local->catalogue, name) : NULL;
    return language ? rw_language_warm_plan(language) : NULL;
}

static int spawn(struct local_pod *pod, const struct backend_wish *wish, const int fds[static N_FDS], struct rw_error *err)
{
    const struct local_config *config = pod->local->config;
    char uid_base[16];
    char slots[16];
    char uses[16];
    const char *argv[ARGV_MAX] = {config->runner, "--pod", pod->name,   "--listen",     "fd:3", "--secret-fd", "4",
                                  "--control-fd", "5",     "--sandbox", config->sandbox};
    size_t n = 11;
    if (pod->block >= 0) {
        (void)snprintf(uid_base, sizeof(uid_base), "%u", config->uid_base + pod->local->ids_per_block * (unsigned)pod->block);
        argv[n++] = "--uid-base";
        argv[n++] = uid_base;
    }
    if (pod->cgroup[0]) {
        argv[n++] = "--cgroup";
        argv[n++] = pod->cgroup;
    }
    if (pod->local->required[0]) {
        argv[n++] = "--require";
        argv[n++] = pod->local->required;
    }
    if (wish->isolation == RW_ISOLATION_SANDBOX) {
        (void)snprintf(slots, sizeof(slots), "%u", (unsigned)wish->slots);
        (void)snprintf(uses, sizeof(uses), "%u", (unsigned)wish->uses);
        argv[n++] = "--slots";
        argv[n++] = slots;
        argv[n++] = "--uses";
        argv[n++] = uses;
    }
    const char *plan = plan_for(pod->local, wish->language);
    if (plan) {
        argv[n++] = "--warm";
        argv[n++] = plan;
    }
    return local_spawn(argv, fds, N_FDS, &pod->pid, &pod->pidfd, err);
}

/* Our ends of what the runner was given, on the loop. */
static int watch(struct local_pod *pod, int *control_fd, struct rw_error *err)
{
    uv_loop_t *loop = pod->local->loop;
    pod->n_handles = 2;
    pod->control.data = pod;
    pod->end.data = pod;
    (void)uv_pipe_init(loop, &pod->control, 0);
    int failed = uv_poll_init(loop, &pod->end, pod->pidfd);
    failed = failed ? failed : uv_poll_start(&pod->end, UV_READABLE, on_end);
    failed = failed ? failed : uv_pipe_open(&pod->control, *control_fd);
    if (!failed) {
        (void)rw_take_fd(control_fd);
        failed = uv_read_start((uv_stream_t *)&pod->control, give_room, on_control);
    }
    return failed ? rw_fail_sys(err, IO, -failed, "watch a runner") : 0;
}

static int start_process(struct local_pod *pod, const struct backend_wish *wish, int *ret_control_fd, struct rw_error *err)
{
    char path[SOCKET_PATH_BYTES];
    int pair[2];
    socket_path(pod, path);
    RW_AUTO_FD int listen_fd = listen_on(path, err);
    RW_AUTO_FD int secret_fd = listen_fd >= 0 ? secret_pipe(pod->secret, err) : -1;
    if (secret_fd < 0) {
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
        return rw_fail_sys(err, IO, errno, "make a socket pair");
    }
    RW_AUTO_FD int ours = pair[0];
    RW_AUTO_FD int theirs = pair[1];
    const int fds[N_FDS] = {[FD_LISTEN] = listen_fd, [FD_SECRET] = secret_fd, [FD_CONTROL] = theirs};
    if (spawn(pod, wish, fds, err)) {
        return -1;
    }
    *ret_control_fd = rw_take_fd(&ours);
    return 0;
}

/* -1 with nothing left, or with a silent process that is waited for. */
static int start(struct local_pod *pod, const struct backend_wish *wish, struct rw_error *err)
{
    RW_AUTO_FD int control_fd = -1;
    if (start_process(pod, wish, &control_fd, err)) {
        remove_traces(pod);
        forget(pod);
        return -1;
    }
    if (watch(pod, &control_fd, err) || local_record_write(pod->local, pod, err)) {
        pod->is_silent = true;
        local_pod_end(pod, BACKEND_AT_ONCE);
        return -1;
    }
    return 0;
}

static void name_pod(struct local_pod *pod, const char *name)
{
    uint8_t random[6];
    rw_random_bytes(random, sizeof(random));
    (void)snprintf(pod->name, sizeof(pod->name), "%s", name);
    (void)snprintf(pod->socket_name, sizeof(pod->socket_name), "%02x%02x%02x%02x%02x%02x.sock", random[0], random[1], random[2],
                   random[3], random[4], random[5]);
    if (pod->local->config->cgroup[0]) {
        (void)snprintf(pod->cgroup, sizeof(pod->cgroup), "%s/%s", pod->local->config->cgroup, name);
    }
    rw_random_bytes(pod->secret, sizeof(pod->secret));
}

int local_pod_start(struct local *local, const char *name, const struct backend_wish *wish, struct rw_error *err)
{
    int block = local->config->uid_base ? local_block_take(local, err) : -1;
    if (local->config->uid_base && block < 0) {
        return -1;
    }
    struct local_pod *pod = rw_xcalloc(1, sizeof(*pod));
    pod->local = local;
    pod->block = block;
    pod->pidfd = -1;
    name_pod(pod, name);
    HASH_ADD_STR(local->pods, name, pod);
    local->n_open++;
    return start(pod, wish, err);
}

void local_pod_end(struct local_pod *pod, enum backend_manner manner)
{
    pod->is_doomed = true;
    close_control(pod);
    if (manner == BACKEND_AT_ONCE) {
        local_kill(pod->pidfd); /* its sandbox dies with it */
        pod->kill_at_ms = 0;
    } else if (!pod->kill_at_ms) {
        pod->kill_at_ms = rw_monotonic_ms() + LOCAL_GRACE_MS;
    }
}

void local_pod_tick(struct local_pod *pod, int64_t now_ms)
{
    if (pod->kill_at_ms && now_ms >= pod->kill_at_ms) {
        local_pod_end(pod, BACKEND_AT_ONCE);
    }
}
