/* The scheduler's side of a connection to a pod: what whoever answers at its address may send, and, when the first byte is odd, what
 * a runner may that has proved itself and was given a job. The second byte cuts the stream into pieces. Whatever comes, the link
 * ends with one result or one failure, and with no call after that. */
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rw/frame.h>

#include "runner_link.h"

enum { WAIT_MS = 60000, HELLO_BYTES_MAX = 4096 };

struct scene {
    uv_loop_t loop;
    int listen_fd;
    struct lease lease;
};

struct heard {
    struct runner_link *link;
    bool is_proved;
    unsigned n_ends;
};

static void on_proved(void *arg)
{
    struct heard *heard = arg;
    HOLDS(!heard->is_proved && heard->n_ends == 0);
    heard->is_proved = true;
    struct rw_uuid task_id = {{0}};
    struct rw_trace trace = {{0}};
    HOLDS(runner_link_send_job(heard->link, &task_id, 1, &trace, rw_bytes_of("job", 3), WAIT_MS, NULL) == 0);
}

static void on_started(void *arg, enum rw_stage stage)
{
    const struct heard *heard = arg;
    HOLDS(heard->is_proved && heard->n_ends == 0 && (int)stage >= 0 && stage < _RW_STAGE_MAX);
}

static void on_output(void *arg, enum rw_stream stream, struct rw_bytes data)
{
    const struct heard *heard = arg;
    HOLDS(heard->is_proved && heard->n_ends == 0 && (int)stream >= 0 && stream < _RW_STREAM_MAX);
    HOLDS(data.len <= RW_OUTPUT_CHUNK_BYTES_MAX);
}

static void on_result(void *arg, const struct rw_run_result *result)
{
    struct heard *heard = arg;
    HOLDS(heard->is_proved && heard->n_ends++ == 0 && (int)result->verdict >= 0 && result->verdict < _RW_VERDICT_MAX);
    runner_link_close(heard->link);
}

static void on_failed(void *arg, enum attempt_failure failure, const struct rw_error *err)
{
    struct heard *heard = arg;
    HOLDS(heard->n_ends++ == 0 && failure < _FAILURE_MAX && err->message[0]);
    runner_link_close(heard->link);
}

static const struct runner_link_callbacks callbacks = {
    .proved = on_proved, .started = on_started, .output = on_output, .result = on_result, .failed = on_failed};

/* One listening socket for all inputs; its file goes at once. */
static struct scene *scene_open(void)
{
    static struct scene scene = {.listen_fd = -1};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (scene.listen_fd >= 0) {
        return &scene;
    }
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/runwave-fuzz-%d", getpid());
    (void)snprintf(scene.lease.address, sizeof(scene.lease.address), "unix:%s", address.sun_path);
    (void)unlink(address.sun_path);
    scene.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HOLDS(bind(scene.listen_fd, (const struct sockaddr *)&address, sizeof(address)) == 0 && listen(scene.listen_fd, 1) == 0);
    HOLDS(uv_loop_init(&scene.loop) == 0);
    return &scene;
}

static void scene_remove_file(void)
{
    (void)unlink(scene_open()->lease.address + strlen("unix:"));
}

/* The runner's half of the proof, as docs/runner-protocol.md has it. */
static void prove(const struct scene *scene, int fd, struct rw_bytes hello)
{
    static const uint8_t nonce[RW_NONCE_BYTES];
    uint8_t proof[RW_PROOF_BYTES];
    struct rw_message message;
    RW_AUTO_BUFFER struct rw_buffer answer;
    rw_buffer_init(&answer, HELLO_BYTES_MAX);
    HOLDS(rw_message_decode(hello, &message, NULL) == 0 && message.type == RW_MESSAGE_HELLO);
    rw_proof_make(scene->lease.secret, RW_ROLE_RUNNER, message.nonce.data, nonce, &scene->lease.id, proof);
    const struct rw_message own = {
        .type = RW_MESSAGE_HELLO, .nonce = rw_bytes_of(nonce, sizeof(nonce)), .proof = rw_bytes_of(proof, sizeof(proof))};
    HOLDS(rw_message_encode(&own, &answer, NULL) == 0);
    HOLDS(write(fd, answer.data, answer.len) == (ssize_t)answer.len);
}

static void speak(struct scene *scene, struct heard *heard, int fd, const uint8_t *data, size_t size)
{
    uint8_t hello[HELLO_BYTES_MAX];
    size_t piece = (size_t)data[1] + 1;
    if ((data[0] & 1) != 0) {
        ssize_t len = read(fd, hello, sizeof(hello));
        HOLDS(len > RW_FRAME_HEADER_BYTES);
        prove(scene, fd, rw_bytes_of(hello + RW_FRAME_HEADER_BYTES, (size_t)len - RW_FRAME_HEADER_BYTES));
        while (!heard->is_proved) {
            (void)uv_run(&scene->loop, UV_RUN_ONCE);
        }
    }
    for (size_t at = 2; at < size && heard->n_ends == 0; at += piece) {
        ssize_t sent = send(fd, data + at, size - at < piece ? size - at : piece, MSG_NOSIGNAL);
        HOLDS(sent > 0);
        (void)uv_run(&scene->loop, UV_RUN_NOWAIT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_begun;
    struct scene *scene = scene_open();
    struct heard heard = {.link = NULL};
    if (!is_begun) {
        is_begun = true;
        (void)atexit(scene_remove_file);
    }
    if (size < 2) {
        return 0;
    }
    HOLDS(runner_link_open(&scene->loop, &scene->lease, WAIT_MS, &callbacks, &heard, &heard.link, NULL) == 0);
    int fd = accept(scene->listen_fd, NULL, NULL);
    HOLDS(fd >= 0);
    (void)uv_run(&scene->loop, UV_RUN_NOWAIT); /* it is connected, and says hello */
    speak(scene, &heard, fd, data, size);
    (void)shutdown(fd, SHUT_RDWR);
    (void)uv_run(&scene->loop, UV_RUN_DEFAULT); /* until the link has closed its handles */
    (void)close(fd);
    HOLDS(heard.n_ends == 1);
    return 0;
}
