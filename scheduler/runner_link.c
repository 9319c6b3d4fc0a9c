/* The link to one runner: see runner_link.h. Which messages are permitted depends on the phase alone, and stands in a table. A
 * failed write is not reported by itself: whatever the runner still said (that it is taken, say) is read first, and the end of
 * the stream tells the rest. */
#include "runner_link.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>
#include <sys/un.h>

#include <rw/frame.h>
#include <rw/random.h>

enum {
    /* A frame from a runner holds one chunk of output at most. */
    RUNNER_FRAME_BYTES_MAX = RW_OUTPUT_CHUNK_BYTES_MAX + 4096,
    KEEPALIVE_S = 15,
};

enum phase { PHASE_HELLO, PHASE_PROVED, PHASE_JOB, PHASE_OVER, _PHASE_MAX };

struct runner_link {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } socket;
    uv_timer_t timer;
    uv_connect_t connect;
    int connect_status; /* of a connect that failed at once */
    unsigned n_handles;
    bool is_closed;
    enum phase phase;
    struct lease lease;
    uint8_t nonce[RW_NONCE_BYTES];
    uint8_t runner_nonce[RW_NONCE_BYTES];
    struct rw_frame_reader reader;
    uint8_t chunk[RUNNER_FRAME_BYTES_MAX];
    const struct runner_link_callbacks *callbacks;
    void *arg;
};

struct write {
    uv_write_t request;
    struct rw_buffer buffer;
};

/* ---- ends ---- */

static void fail(struct runner_link *link, enum attempt_failure failure, const struct rw_error *err)
{
    if (link->phase != PHASE_OVER && !link->is_closed) {
        link->phase = PHASE_OVER;
        link->callbacks->failed(link->arg, failure, err);
    }
}

/* Before the job was sent a failure is the pod's, afterwards the attempt is lost with it. */
static void fail_by_phase(struct runner_link *link, enum attempt_failure of_pod, enum attempt_failure of_attempt,
                          const struct rw_error *err)
{
    fail(link, link->phase == PHASE_JOB ? of_attempt : of_pod, err);
}

static void garbled(struct runner_link *link, const struct rw_error *err)
{
    fail_by_phase(link, FAILURE_POD_GARBLED, FAILURE_RUNNER_GARBLED, err);
}

static void on_timeout(uv_timer_t *timer)
{
    struct runner_link *link = timer->data;
    struct rw_error err;
    (void)rw_fail(&err, TIMEOUT, "%s", link->phase == PHASE_JOB ? "no result in time" : "the runner did not prove itself in time");
    fail_by_phase(link, FAILURE_POD_SILENT, FAILURE_RUNNER_OVERTIME, &err);
}

static void on_closed(uv_handle_t *handle)
{
    struct runner_link *link = handle->data;
    if (--link->n_handles == 0) {
        rw_frame_reader_done(&link->reader);
        sodium_memzero(&link->lease, sizeof(link->lease));
        free(link);
    }
}

void runner_link_close(struct runner_link *link)
{
    if (link && !link->is_closed) {
        link->is_closed = true;
        uv_close(&link->socket.handle, on_closed);
        uv_close((uv_handle_t *)&link->timer, on_closed);
    }
}

/* ---- writing ---- */

static void written(uv_write_t *request, int status)
{
    (void)status;
    struct write *sent = request->data;
    rw_buffer_done(&sent->buffer);
    free(sent);
}

static int send_message(struct runner_link *link, const struct rw_message *message, struct rw_error *err)
{
    struct write *sent = rw_xcalloc(1, sizeof(*sent));
    sent->request.data = sent;
    rw_buffer_init(&sent->buffer, RW_FRAME_HEADER_BYTES + RW_FRAME_BYTES_MAX);
    int rc = rw_message_encode(message, &sent->buffer, err);
    if (rc == 0) {
        uv_buf_t view = uv_buf_init((char *)sent->buffer.data, (unsigned)sent->buffer.len);
        int uv_rc = uv_write(&sent->request, &link->socket.stream, &view, 1, written);
        rc = uv_rc == 0 ? 0 : rw_fail_sys(err, IO, -uv_rc, "write to the runner");
    }
    if (rc < 0) {
        written(&sent->request, 0);
    }
    return rc;
}

int runner_link_send_job(struct runner_link *link, const struct rw_uuid *task_id, uint32_t attempt, const struct rw_trace *trace,
                         struct rw_bytes job, uint32_t attempt_ms, struct rw_error *err)
{
    uint8_t proof[RW_PROOF_BYTES];
    rw_proof_make(link->lease.secret, RW_ROLE_SCHEDULER, link->nonce, link->runner_nonce, &link->lease.id, proof);
    const struct rw_message message = {
        .type = RW_MESSAGE_JOB,
        .proof = rw_bytes_of(proof, sizeof(proof)),
        .task_id = *task_id,
        .attempt = attempt,
        .trace = *trace,
        .job = job,
    };
    if (send_message(link, &message, err) < 0) {
        return -1;
    }
    link->phase = PHASE_JOB;
    (void)uv_timer_start(&link->timer, on_timeout, attempt_ms, 0);
    return 0;
}

/* ---- reading ---- */

static void on_hello(struct runner_link *link, const struct rw_message *message)
{
    struct rw_error err;
    memcpy(link->runner_nonce, message->nonce.data, RW_NONCE_BYTES);
    if (!rw_proof_check(link->lease.secret, RW_ROLE_RUNNER, link->nonce, link->runner_nonce, &link->lease.id, message->proof)) {
        (void)rw_fail(&err, PROTOCOL, "whoever answers at the pod's address does not know its secret");
        fail(link, FAILURE_POD_IMPOSTOR, &err);
        return;
    }
    (void)uv_timer_stop(&link->timer);
    link->phase = PHASE_PROVED;
    link->callbacks->proved(link->arg);
}

static void on_started(struct runner_link *link, const struct rw_message *message)
{
    link->callbacks->started(link->arg, message->stage);
}

static void on_output(struct runner_link *link, const struct rw_message *message)
{
    link->callbacks->output(link->arg, message->stream, message->data);
}

static void on_result(struct runner_link *link, const struct rw_message *message)
{
    link->phase = PHASE_OVER;
    link->callbacks->result(link->arg, &message->result);
}

static void on_refused(struct runner_link *link, const struct rw_message *message)
{
    struct rw_error err;
    (void)rw_fail(&err, UNAVAILABLE, "the runner refused: %.64s", message->reason);
    fail(link, attempt_refusal(message->reason, link->phase == PHASE_JOB), &err);
}

static void (*const handlers[_PHASE_MAX][_RW_MESSAGE_MAX])(struct runner_link *, const struct rw_message *) = {
    [PHASE_HELLO] = {[RW_MESSAGE_HELLO] = on_hello, [RW_MESSAGE_REFUSED] = on_refused},
    [PHASE_PROVED] = {[RW_MESSAGE_REFUSED] = on_refused},
    [PHASE_JOB] = {[RW_MESSAGE_STARTED] = on_started,
                   [RW_MESSAGE_OUTPUT] = on_output,
                   [RW_MESSAGE_RESULT] = on_result,
                   [RW_MESSAGE_REFUSED] = on_refused},
};

static void handle_payload(struct runner_link *link, struct rw_bytes payload)
{
    struct rw_message message;
    struct rw_error err;
    if (rw_message_decode(payload, &message, &err) < 0) {
        garbled(link, &err);
    } else if (!handlers[link->phase][message.type]) {
        (void)rw_fail(&err, PROTOCOL, "message of type %d out of order", (int)message.type);
        garbled(link, &err);
    } else {
        handlers[link->phase][message.type](link, &message);
    }
}

static void read_frames(struct runner_link *link, struct rw_bytes bytes)
{
    struct rw_error err;
    if (rw_frame_reader_feed(&link->reader, bytes, &err) < 0) {
        garbled(link, &err);
        return;
    }
    struct rw_bytes payload;
    int rc = 0;
    while (!link->is_closed && link->phase != PHASE_OVER && (rc = rw_frame_reader_next(&link->reader, &payload, &err)) == 1) {
        handle_payload(link, payload);
    }
    if (rc < 0) {
        garbled(link, &err);
    }
}

static void give_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    (void)suggested;
    struct runner_link *link = handle->data;
    *ret_buf = uv_buf_init((char *)link->chunk, sizeof(link->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct runner_link *link = stream->data;
    if (n >= 0) {
        read_frames(link, rw_bytes_of(link->chunk, (size_t)n));
        return;
    }
    (void)uv_read_stop(stream);
    struct rw_error err;
    (void)rw_fail(&err, IO, "the runner is gone: %s", uv_strerror((int)n));
    fail_by_phase(link, FAILURE_POD_UNREACHABLE, FAILURE_RUNNER_VANISHED, &err);
}

/* ---- connecting ---- */

static void on_connected(uv_connect_t *request, int status)
{
    struct runner_link *link = request->data;
    if (link->is_closed || link->phase == PHASE_OVER) {
        return;
    }
    struct rw_error err;
    const struct rw_message hello = {
        .type = RW_MESSAGE_HELLO, .nonce = rw_bytes_of(link->nonce, sizeof(link->nonce)), .lease_id = link->lease.id};
    int rc = status == 0 ? uv_read_start(&link->socket.stream, give_chunk, on_read) : status;
    if (rc != 0) {
        (void)rw_fail_sys(&err, UNAVAILABLE, -rc, "connect to the runner");
        fail(link, FAILURE_POD_UNREACHABLE, &err);
    } else if (send_message(link, &hello, &err) < 0) {
        fail(link, FAILURE_POD_UNREACHABLE, &err);
    }
}

/* Told from the loop like any other failure, so that no callback comes out of runner_link_open. */
static void on_failed_at_once(uv_timer_t *timer)
{
    struct runner_link *link = timer->data;
    on_connected(&link->connect, link->connect_status);
}

static int connect_unix(uv_loop_t *loop, struct runner_link *link, const char *path, struct rw_error *err)
{
    if (path[0] == '\0' || strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        return rw_fail(err, INVALID, "socket path of %zu bytes", strlen(path));
    }
    (void)uv_pipe_init(loop, &link->socket.pipe, 0);
    uv_pipe_connect(&link->connect, &link->socket.pipe, path, on_connected);
    return 0;
}

/* "10.0.0.7:5000" or "[fd00::7]:5000". */
static int parse_tcp(const char *text, struct sockaddr_storage *ret_address, struct rw_error *err)
{
    char host[LEASE_ADDRESS_BYTES];
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!colon || end == colon + 1 || *end != '\0' || port == 0 || port > UINT16_MAX) {
        return rw_fail(err, INVALID, "address without a port: %.100s", text);
    }
    bool is_bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    int len = (int)(colon - text) - (is_bracketed ? 2 : 0);
    (void)snprintf(host, sizeof(host), "%.*s", len, is_bracketed ? text + 1 : text);
    int rc = is_bracketed ? uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)ret_address)
                          : uv_ip4_addr(host, (int)port, (struct sockaddr_in *)ret_address);
    return rc == 0 ? 0 : rw_fail(err, INVALID, "not a numeric address: %.100s", text);
}

static int connect_tcp(uv_loop_t *loop, struct runner_link *link, const char *text, struct rw_error *err)
{
    struct sockaddr_storage address;
    if (parse_tcp(text, &address, err) < 0) {
        return -1;
    }
    (void)uv_tcp_init(loop, &link->socket.tcp);
    (void)uv_tcp_nodelay(&link->socket.tcp, 1);
    (void)uv_tcp_keepalive(&link->socket.tcp, 1, KEEPALIVE_S);
    link->connect_status = uv_tcp_connect(&link->connect, &link->socket.tcp, (const struct sockaddr *)&address, on_connected);
    return 0;
}

static const struct {
    const char *prefix;
    int (*connect)(uv_loop_t *loop, struct runner_link *link, const char *rest, struct rw_error *err);
} address_kinds[] = {{"unix:", connect_unix}, {"tcp:", connect_tcp}};

static int connect_any(uv_loop_t *loop, struct runner_link *link, struct rw_error *err)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(address_kinds); i++) {
        size_t len = strlen(address_kinds[i].prefix);
        if (strncmp(link->lease.address, address_kinds[i].prefix, len) == 0) {
            return address_kinds[i].connect(loop, link, link->lease.address + len, err);
        }
    }
    return rw_fail(err, INVALID, "address of an unknown kind: %.100s", link->lease.address);
}

int runner_link_open(uv_loop_t *loop, const struct lease *lease, uint32_t hello_ms, const struct runner_link_callbacks *callbacks,
                     void *arg, struct runner_link **ret_link, struct rw_error *err)
{
    struct runner_link *link = rw_xcalloc(1, sizeof(*link));
    link->lease = *lease;
    link->callbacks = callbacks;
    link->arg = arg;
    link->connect.data = link;
    rw_random_bytes(link->nonce, sizeof(link->nonce));
    rw_frame_reader_init(&link->reader, RUNNER_FRAME_BYTES_MAX);
    if (connect_any(loop, link, err) < 0) {
        rw_frame_reader_done(&link->reader);
        sodium_memzero(&link->lease, sizeof(link->lease));
        free(link);
        return -1;
    }
    link->socket.handle.data = link;
    (void)uv_timer_init(loop, &link->timer);
    link->timer.data = link;
    link->n_handles = 2;
    bool has_failed = link->connect_status != 0;
    (void)uv_timer_start(&link->timer, has_failed ? on_failed_at_once : on_timeout, has_failed ? 0 : hello_ms, 0);
    *ret_link = link;
    return 0;
}
