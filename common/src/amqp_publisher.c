/* The publisher: a bounded queue in front of a thread that writes, and reads the confirms later.
 *
 * What was written waits in a window of slots, found by delivery tag (they count from 1 on each connection). basic.return comes
 * before the ack of the same message and names it by a header of ours. Whoever is not confirmed in time, or is caught by an alarm of
 * the broker, is told UNKNOWN at once; its slot stays until the confirm, or the connection, is gone. */
#include "amqp_internal.h"

#include <string.h>
#include <sys/queue.h>

#include <rw/clock.h>

enum {
    WINDOW = 4096, /* unconfirmed at most; a power of two */
    WRITE_BATCH = 256,
    WRITE_BYTES_UNCHECKED = 32 * 1024, /* written between two looks at the socket's room */
    CONFIRM_TIMEOUT_MS = 30000,
    WAIT_MS = 1000,
};

struct message {
    TAILQ_ENTRY(message) link; /* while waiting */
    rw_amqp_published done;
    void *arg;
    int64_t begun_us;
    bool is_returned;
    bool is_mandatory;
    bool is_persistent;
    const char *exchange; /* these point behind the struct */
    const char *routing_key;
    const char *message_id;
    const char *traceparent;
    struct rw_bytes body;
};
TAILQ_HEAD(messages, message);

struct slot {
    bool is_used;
    struct message *message; /* NULL: told UNKNOWN already, only the confirm is awaited */
};

struct rw_amqp_publisher {
    struct amqp_worker worker; /* its lock also guards waiting and n_accepted */
    size_t queue_max;
    struct messages waiting;
    size_t n_accepted; /* not told their outcome yet */

    struct messages taken; /* the thread's own: to be written next */
    struct slot slots[WINDOW];
    uint64_t tag_first; /* oldest unconfirmed */
    uint64_t tag_next;
    struct amqp_content returned;
    struct rw_counter *outcomes[RW_PUBLISH_UNKNOWN + 1];
    struct rw_gauge *queue_gauge;
    struct rw_histogram *confirm_seconds;
};

/* ---- outcomes ---- */

static void tell(struct rw_amqp_publisher *publisher, struct message *message, enum rw_publish_outcome outcome)
{
    (void)pthread_mutex_lock(&publisher->worker.lock);
    publisher->n_accepted--;
    (void)pthread_mutex_unlock(&publisher->worker.lock);
    rw_gauge_add(publisher->queue_gauge, -1);
    rw_counter_add(publisher->outcomes[outcome], 1);
    if (outcome == RW_PUBLISH_CONFIRMED) {
        rw_histogram_observe(publisher->confirm_seconds, (double)(rw_monotonic_us() - message->begun_us) / 1e6);
    }
    rw_amqp_published done = message->done;
    void *arg = message->arg;
    free(message);
    if (done) {
        done(arg, outcome);
    }
}

static struct slot *slot_of(struct rw_amqp_publisher *publisher, uint64_t tag)
{
    return tag >= publisher->tag_first && tag < publisher->tag_next ? &publisher->slots[tag % WINDOW] : NULL;
}

static void settle_slot(struct rw_amqp_publisher *publisher, struct slot *slot, enum rw_publish_outcome outcome)
{
    struct message *message = rw_take(slot->message);
    slot->is_used = false;
    if (message) {
        tell(publisher, message, message->is_returned && outcome == RW_PUBLISH_CONFIRMED ? RW_PUBLISH_RETURNED : outcome);
    }
}

static void on_confirm(struct rw_amqp_publisher *publisher, uint64_t tag, bool is_multiple, enum rw_publish_outcome outcome)
{
    for (uint64_t at = is_multiple ? publisher->tag_first : tag; at <= tag; at++) {
        struct slot *slot = slot_of(publisher, at);
        if (slot && slot->is_used) {
            settle_slot(publisher, slot, outcome);
        }
    }
    while (publisher->tag_first < publisher->tag_next && !publisher->slots[publisher->tag_first % WINDOW].is_used) {
        publisher->tag_first++;
    }
}

/* Nobody waits longer for a broker that does not answer. */
static void give_up_before(struct rw_amqp_publisher *publisher, int64_t begun_before_us)
{
    for (uint64_t tag = publisher->tag_first; tag < publisher->tag_next; tag++) {
        struct slot *slot = &publisher->slots[tag % WINDOW];
        if (slot->message && slot->message->begun_us >= begun_before_us) {
            return; /* those behind are younger */
        }
        if (slot->message) {
            tell(publisher, rw_take(slot->message), RW_PUBLISH_UNKNOWN);
        }
    }
}

static void take_waiting(struct rw_amqp_publisher *publisher)
{
    (void)pthread_mutex_lock(&publisher->worker.lock);
    TAILQ_CONCAT(&publisher->taken, &publisher->waiting, link);
    (void)pthread_mutex_unlock(&publisher->worker.lock);
}

static void give_up_all(struct rw_amqp_publisher *publisher)
{
    give_up_before(publisher, INT64_MAX);
    take_waiting(publisher);
    struct message *message = NULL;
    while ((message = TAILQ_FIRST(&publisher->taken))) {
        TAILQ_REMOVE(&publisher->taken, message, link);
        tell(publisher, message, RW_PUBLISH_UNKNOWN);
    }
}

/* ---- writing ---- */

static int write_message(struct rw_amqp_publisher *publisher, struct message *message)
{
    amqp_table_entry_t headers[] = {
        {.key = amqp_cstring_bytes(AMQP_SEQUENCE_HEADER),
         .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = (int64_t)publisher->tag_next}},
        {.key = amqp_cstring_bytes("traceparent"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(message->traceparent)}},
    };
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG,
        .headers = {.num_entries = message->traceparent[0] ? 2 : 1, .entries = headers},
        .delivery_mode = message->is_persistent ? AMQP_DELIVERY_PERSISTENT : AMQP_DELIVERY_NONPERSISTENT,
    };
    if (message->message_id[0]) {
        properties._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
        properties.message_id = amqp_cstring_bytes(message->message_id);
    }
    const amqp_bytes_t body = {.len = message->body.len, .bytes = (void *)(uintptr_t)message->body.data};
    int status = amqp_basic_publish(publisher->worker.state, AMQP_SETUP_CHANNEL, amqp_cstring_bytes(message->exchange),
                                    amqp_cstring_bytes(message->routing_key), message->is_mandatory, 0, &properties, body);
    return amqp_worker_check_status(&publisher->worker, status, "publishing");
}

/* Writes what is taken, as far as window and socket permit; true when something is left for want of room in the socket. */
static bool write_taken(struct rw_amqp_publisher *publisher)
{
    size_t unchecked = WRITE_BYTES_UNCHECKED;
    for (int n = 0; n < WRITE_BATCH && !publisher->worker.is_broken; n++) {
        struct message *message = TAILQ_FIRST(&publisher->taken);
        if (!message || publisher->tag_next - publisher->tag_first == WINDOW) {
            return false;
        }
        size_t cost = message->body.len + 1024; /* frames, names, headers */
        if (unchecked + cost > WRITE_BYTES_UNCHECKED) {
            if (!amqp_worker_can_write(&publisher->worker)) {
                return true;
            }
            unchecked = 0;
        }
        unchecked += cost;
        TAILQ_REMOVE(&publisher->taken, message, link);
        /* In its slot before it is written: a write that fails half-way has an unknown outcome. */
        publisher->slots[publisher->tag_next % WINDOW] = (struct slot){.is_used = true, .message = message};
        int rc = write_message(publisher, message);
        publisher->tag_next++;
        if (rc != 0) {
            return false;
        }
    }
    return !TAILQ_EMPTY(&publisher->taken);
}

/* ---- reading ---- */

static void on_method(struct rw_amqp_publisher *publisher, const amqp_method_t *method)
{
    if (method->id == AMQP_BASIC_ACK_METHOD) {
        const amqp_basic_ack_t *ack = method->decoded;
        on_confirm(publisher, ack->delivery_tag, ack->multiple != 0, RW_PUBLISH_CONFIRMED);
    } else if (method->id == AMQP_BASIC_NACK_METHOD) {
        const amqp_basic_nack_t *nack = method->decoded;
        on_confirm(publisher, nack->delivery_tag, nack->multiple != 0, RW_PUBLISH_REFUSED);
    }
}

static void read_confirms(struct rw_amqp_publisher *publisher)
{
    struct amqp_worker *worker = &publisher->worker;
    amqp_frame_t frame;
    while (amqp_worker_next_frame(worker, &frame) > 0) {
        bool is_method = frame.frame_type == AMQP_FRAME_METHOD;
        if (is_method && frame.payload.method.id != AMQP_BASIC_RETURN_METHOD) {
            on_method(publisher, &frame.payload.method);
        } else if (frame.channel == AMQP_SETUP_CHANNEL) {
            int rc = amqp_content_feed(&publisher->returned, &frame);
            if (rc < 0) {
                amqp_worker_break(worker, "reading from the broker", "frame out of place");
            }
            struct slot *slot = rc == 1 ? slot_of(publisher, (uint64_t)publisher->returned.sequence) : NULL;
            if (slot && slot->message) {
                slot->message->is_returned = true;
            }
        }
        amqp_worker_release_buffers(worker);
    }
}

/* ---- the thread ---- */

static int publisher_set_up(struct amqp_worker *worker)
{
    struct rw_amqp_publisher *publisher = (struct rw_amqp_publisher *)worker;
    publisher->tag_first = 1;
    publisher->tag_next = 1;
    memset(publisher->slots, 0, sizeof(publisher->slots));
    amqp_content_done(&publisher->returned);
    amqp_content_init(&publisher->returned);
    (void)amqp_confirm_select(worker->state, AMQP_SETUP_CHANNEL);
    return amqp_worker_check_rpc(worker, "asking for confirms");
}

static bool is_drained(const struct rw_amqp_publisher *publisher)
{
    return TAILQ_EMPTY(&publisher->taken) && publisher->tag_first == publisher->tag_next;
}

static void publisher_serve(struct amqp_worker *worker)
{
    struct rw_amqp_publisher *publisher = (struct rw_amqp_publisher *)worker;
    while (!worker->is_broken) {
        take_waiting(publisher);
        bool wants_write = !worker->is_blocked && write_taken(publisher);
        read_confirms(publisher);
        give_up_before(publisher, rw_monotonic_us() - (int64_t)CONFIRM_TIMEOUT_MS * 1000);
        if (worker->is_blocked) {
            give_up_all(publisher);
        }
        if (publisher->tag_next - publisher->tag_first == WINDOW && !publisher->slots[publisher->tag_first % WINDOW].message) {
            amqp_worker_break(worker, "publishing", "the broker confirms nothing");
        }
        int64_t deadline_ms = 0;
        int64_t wait_ms = WAIT_MS;
        if (amqp_worker_is_stopping(worker, &deadline_ms)) {
            wait_ms = deadline_ms - rw_monotonic_ms();
            if (is_drained(publisher) || wait_ms <= 0) {
                return;
            }
        }
        if (!worker->is_broken) {
            amqp_worker_wait(worker, wants_write, wait_ms);
        }
    }
}

static void publisher_lost(struct amqp_worker *worker)
{
    give_up_all((struct rw_amqp_publisher *)worker);
}

static const struct amqp_role publisher_role = {
    .name = "publisher",
    .thread_name = "rw-publisher",
    .set_up = publisher_set_up,
    .serve = publisher_serve,
    .lost = publisher_lost,
};

/* ---- the callers' side ---- */

static void register_metrics(struct rw_amqp_publisher *publisher, const struct rw_amqp_options *options)
{
    static const char *const names[] = {
        [RW_PUBLISH_CONFIRMED] = "confirmed",
        [RW_PUBLISH_RETURNED] = "returned",
        [RW_PUBLISH_REFUSED] = "refused",
        [RW_PUBLISH_UNKNOWN] = "unknown",
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(names); i++) {
        RW_AUTO_FREE char *labels = rw_xasprintf("connection=\"%s\",outcome=\"%s\"", options->connection_name, names[i]);
        publisher->outcomes[i] = rw_metrics_counter(options->metrics, "runwave_broker_published_total", labels,
                                                    "Messages handed to the broker.");
    }
    RW_AUTO_FREE char *labels = rw_xasprintf("connection=\"%s\"", options->connection_name);
    publisher->queue_gauge = rw_metrics_gauge(options->metrics, "runwave_broker_publish_queue_length", labels,
                                              "Messages waiting to be written or confirmed.");
    publisher->confirm_seconds = rw_metrics_histogram(options->metrics, "runwave_broker_confirm_seconds", labels,
                                                      "From the call to the broker's confirm.", rw_metrics_seconds_bounds,
                                                      rw_metrics_n_seconds_bounds);
}

static void publisher_free(struct rw_amqp_publisher *publisher)
{
    amqp_worker_done(&publisher->worker);
    amqp_content_done(&publisher->returned);
    free(publisher);
}

int rw_amqp_publisher_start(const struct rw_amqp_options *options, size_t queue_max, struct rw_amqp_publisher **ret_publisher,
                            struct rw_error *err)
{
    struct rw_amqp_publisher *publisher = rw_xcalloc(1, sizeof(*publisher));
    TAILQ_INIT(&publisher->waiting);
    TAILQ_INIT(&publisher->taken);
    amqp_content_init(&publisher->returned);
    publisher->queue_max = queue_max;
    if (amqp_worker_init(&publisher->worker, &publisher_role, options, err) != 0) {
        free(publisher);
        return -1;
    }
    register_metrics(publisher, options);
    if (amqp_worker_start(&publisher->worker, err) != 0) {
        publisher_free(publisher);
        return -1;
    }
    *ret_publisher = publisher;
    return 0;
}

static const char *put_text(char **at, const char *text)
{
    char *put = *at;
    *at = stpcpy(put, text ? text : "") + 1;
    return put;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 1;
}

static struct message *message_copy(const struct rw_amqp_message *from, rw_amqp_published done, void *arg)
{
    struct message *message = rw_xmalloc(sizeof(*message) + text_size(from->exchange) + text_size(from->routing_key) +
                                         text_size(from->message_id) + text_size(from->traceparent) + from->body.len);
    char *at = (char *)(message + 1);
    *message = (struct message){
        .done = done,
        .arg = arg,
        .begun_us = rw_monotonic_us(),
        .is_mandatory = from->is_mandatory,
        .is_persistent = from->is_persistent,
        .exchange = put_text(&at, from->exchange),
        .routing_key = put_text(&at, from->routing_key),
        .message_id = put_text(&at, from->message_id),
        .traceparent = put_text(&at, from->traceparent),
    };
    if (from->body.len > 0) {
        memcpy(at, from->body.data, from->body.len);
    }
    message->body = rw_bytes_of(at, from->body.len);
    return message;
}

int rw_amqp_publish(struct rw_amqp_publisher *publisher, const struct rw_amqp_message *from, rw_amqp_published done, void *arg,
                    struct rw_error *err)
{
    if (from->body.len > AMQP_BODY_BYTES_MAX || text_size(from->exchange) > AMQP_NAME_BYTES ||
        text_size(from->routing_key) > AMQP_NAME_BYTES || text_size(from->message_id) > AMQP_NAME_BYTES) {
        return rw_fail(err, TOO_LARGE, "message for %.64s", from->exchange);
    }
    struct amqp_worker *worker = &publisher->worker;
    struct message *message = message_copy(from, done, arg);
    (void)pthread_mutex_lock(&worker->lock);
    bool is_connected = atomic_load(&worker->is_connected) && !worker->is_stopping;
    bool is_accepted = is_connected && publisher->n_accepted < publisher->queue_max;
    bool was_empty = TAILQ_EMPTY(&publisher->waiting);
    if (is_accepted) {
        TAILQ_INSERT_TAIL(&publisher->waiting, message, link);
        publisher->n_accepted++;
        rw_gauge_add(publisher->queue_gauge, 1);
    }
    (void)pthread_mutex_unlock(&worker->lock);
    if (is_accepted && was_empty) {
        amqp_worker_wake(worker);
    }
    if (!is_accepted) {
        free(message);
        return is_connected ? rw_fail(err, OVERLOADED, "%zu messages wait for the broker", publisher->queue_max)
                            : rw_fail(err, UNAVAILABLE, "the broker is not connected");
    }
    return 0;
}

bool rw_amqp_publisher_is_connected(const struct rw_amqp_publisher *publisher)
{
    return atomic_load(&publisher->worker.is_connected);
}

void rw_amqp_publisher_last_error(struct rw_amqp_publisher *publisher, char out[static RW_ERROR_MESSAGE_BYTES])
{
    amqp_worker_copy_error(&publisher->worker, out, RW_ERROR_MESSAGE_BYTES);
}

void rw_amqp_publisher_stop(struct rw_amqp_publisher *publisher, uint32_t drain_ms)
{
    if (publisher) {
        amqp_worker_stop(&publisher->worker, drain_ms);
        publisher_free(publisher);
    }
}
