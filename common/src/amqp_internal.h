/* What publisher and consumer share. amqp_connection.c: the thread that owns one connection, and waiting on it. amqp_topology.c:
 * exchanges and queues. amqp_content.c: putting a message together from frames. */
#ifndef RW_AMQP_INTERNAL_H
#define RW_AMQP_INTERNAL_H

#include <amqp.h>
#include <pthread.h>
#include <stdatomic.h>

#include <rw/amqp.h>
#include <rw/backoff.h>

/* ---- the thread and its connection ---- */

struct amqp_worker;
struct amqp_role { /* what makes a worker a publisher or a consumer; all on the worker's thread */
    const char *name;
    const char *thread_name;
    int (*set_up)(struct amqp_worker *worker); /* channels and consumers, after the topology; -1: noted, try again */
    void (*serve)(struct amqp_worker *worker); /* until the connection breaks or the worker is to stop */
    void (*lost)(struct amqp_worker *worker);  /* after serve, or after a failed attempt: nothing under way will be answered */
};

struct amqp_worker { /* first member of publisher and consumer */
    const struct amqp_role *role;
    struct rw_amqp_options options;
    pthread_t thread;
    int wake_fd; /* eventfd */
    atomic_bool is_connected;
    pthread_mutex_t lock; /* guards the rest up to the blank line, and what publisher and consumer say */
    bool is_stopping;
    int64_t stop_deadline_ms;
    int socket_fd; /* -1: none; for shutdown(2) by stop, which ends a blocking call of the library at once */
    char last_error[RW_ERROR_MESSAGE_BYTES];

    amqp_connection_state_t state; /* NULL: none */
    bool is_broken;
    bool is_blocked; /* the broker takes nothing for now: memory or disk alarm */
    struct rw_backoff backoff;
    struct rw_gauge *connected_gauge;
};

RW_NODISCARD int amqp_worker_init(struct amqp_worker *worker, const struct amqp_role *role, const struct rw_amqp_options *options,
                                  struct rw_error *err);
RW_NODISCARD int amqp_worker_start(struct amqp_worker *worker, struct rw_error *err);
void amqp_worker_wake(struct amqp_worker *worker); /* any thread */
bool amqp_worker_is_stopping(struct amqp_worker *worker, int64_t *ret_deadline_ms);
void amqp_worker_stop(struct amqp_worker *worker, uint32_t drain_ms); /* joins */
void amqp_worker_done(struct amqp_worker *worker);
void amqp_worker_copy_error(struct amqp_worker *worker, char *out, size_t out_size); /* any thread */

/* The worker's thread only. */
void amqp_worker_break(struct amqp_worker *worker, const char *what, const char *detail); /* noted; serve ends */
/* The next frame without waiting: 1, 0 when there is none, -1 when the connection is broken. What concerns the connection
 * itself (close, blocked, heartbeats) is dealt with inside. */
int amqp_worker_next_frame(struct amqp_worker *worker, amqp_frame_t *ret_frame);
void amqp_worker_release_buffers(struct amqp_worker *worker);
/* Waits for something to read, for room to write where wanted, for a wake, at most timeout_ms and as heartbeats allow. */
void amqp_worker_wait(struct amqp_worker *worker, bool wants_write, int64_t timeout_ms);
/* Whether a message of moderate size can be written without blocking. */
bool amqp_worker_can_write(struct amqp_worker *worker);
/* 0, or -1 with the broker's words noted when the newest call failed. */
int amqp_worker_check(struct amqp_worker *worker, amqp_rpc_reply_t reply, const char *what);
int amqp_worker_check_rpc(struct amqp_worker *worker, const char *what); /* the same of amqp_get_rpc_reply */
int amqp_worker_check_status(struct amqp_worker *worker, int status, const char *what);

enum { AMQP_SETUP_CHANNEL = 1 };
int amqp_topology_declare(struct amqp_worker *worker); /* on AMQP_SETUP_CHANNEL */

/* ---- a message from frames ---- */

enum { AMQP_BODY_BYTES_MAX = 128 * 1024, AMQP_NAME_BYTES = 256 };

struct amqp_content {            /* of one channel */
    amqp_method_number_t method; /* basic.deliver or basic.return; 0: between messages */
    bool has_header;
    uint64_t tag; /* deliver */
    bool is_redelivered;
    char routing_key[AMQP_NAME_BYTES];
    struct rw_trace trace; /* header traceparent; empty when absent */
    int64_t sequence;      /* header AMQP_SEQUENCE_HEADER; -1 when absent */
    uint64_t body_left;
    struct rw_buffer body;
};

#define AMQP_SEQUENCE_HEADER "publish-sequence"

void amqp_content_init(struct amqp_content *content);
void amqp_content_done(struct amqp_content *content);
/* Feed one frame of the channel: 1 when a message is complete (it is valid until the next feed), 0 when not, -1 when the frame has
 * no place here. Methods other than basic.deliver and basic.return are not for it. */
int amqp_content_feed(struct amqp_content *content, const amqp_frame_t *frame);

#endif
