/* RabbitMQ: a publisher and a consumer, each a thread with a connection of its own (librabbitmq connections are not shared between
 * threads, and confirms do not mix with deliveries). Both reconnect with back-off and declare the topology again each time. */
#ifndef RW_AMQP_H
#define RW_AMQP_H

#include <rw/auto.h>
#include <rw/bytes.h>
#include <rw/config.h>
#include <rw/metrics.h>
#include <rw/trace.h>

/* Names, fixed by the architecture. */
#define RW_EXCHANGE_TASKS   "runwave.tasks"   /* direct, durable; routing key: the queue's name */
#define RW_EXCHANGE_DEAD    "runwave.dead"    /* fanout, durable */
#define RW_EXCHANGE_EVENTS  "runwave.events"  /* topic */
#define RW_EXCHANGE_CONTROL "runwave.control" /* fanout */
#define RW_QUEUE_DEAD       "runwave.dead"    /* quorum */
enum { RW_QUEUE_NAME_BYTES = 64 };
/* The body of a final event: the task's id as text, and behind it, where it is no larger than this, its row (rw/task_row.h). */
enum { RW_EVENT_ROW_BYTES_MAX = 8192 };

enum rw_priority { RW_PRIORITY_HIGH, RW_PRIORITY_NORMAL, RW_PRIORITY_LOW, _RW_PRIORITY_MAX };

/* "runwave.tasks.python", with ".high" or ".low" behind; returns out. */
char *rw_queue_name(const char *language, enum rw_priority priority, char out[static RW_QUEUE_NAME_BYTES]);

struct rw_amqp_options {
    const struct rw_config_broker *config; /* borrowed until stop */
    const char *password;                  /* borrowed until stop */
    const char *connection_name;           /* static; shown in the broker's list */
    const char *const *languages; /* ids whose queues are declared (quorum, dead letters to RW_EXCHANGE_DEAD at-least-once);
                                     borrowed until stop */
    size_t n_languages;
    struct rw_metrics *metrics;
};

/* ---- publishing ---- */

enum rw_publish_outcome {
    RW_PUBLISH_CONFIRMED,
    RW_PUBLISH_RETURNED, /* no queue took it (mandatory) */
    RW_PUBLISH_REFUSED,  /* nack */
    RW_PUBLISH_UNKNOWN,  /* the connection broke, or the publisher stopped, before the confirm */
};

struct rw_amqp_message {
    const char *exchange;
    const char *routing_key;
    struct rw_bytes body;
    const char *message_id;  /* may be NULL */
    const char *traceparent; /* may be NULL; header "traceparent" */
    bool is_mandatory;
    bool is_persistent;
};

struct rw_amqp_publisher;
/* On the publisher's thread, exactly once a message accepted by rw_amqp_publish; must not block. */
typedef void (*rw_amqp_published)(void *arg, enum rw_publish_outcome outcome);

RW_NODISCARD int rw_amqp_publisher_start(const struct rw_amqp_options *options, size_t queue_max,
                                         struct rw_amqp_publisher **ret_publisher, struct rw_error *err);
/* Any thread; copies the message. OVERLOADED when queue_max messages wait, UNAVAILABLE while there is no connection (an event
 * nobody can hear, or a task that the sweep will publish: nothing is kept in memory for a broker that is away). done may be
 * NULL. */
RW_NODISCARD int rw_amqp_publish(struct rw_amqp_publisher *publisher, const struct rw_amqp_message *message, rw_amqp_published done,
                                 void *arg, struct rw_error *err);
/* false also while the broker takes no messages (memory or disk alarm). */
bool rw_amqp_publisher_is_connected(const struct rw_amqp_publisher *publisher);
/* Why the newest connection could not be made or broke, one line without secrets; "" when none has. Any thread. */
void rw_amqp_publisher_last_error(struct rw_amqp_publisher *publisher, char out[static RW_ERROR_MESSAGE_BYTES]);
/* Sends what waits and reads the confirms for at most drain_ms, then closes and joins the thread. */
void rw_amqp_publisher_stop(struct rw_amqp_publisher *publisher, uint32_t drain_ms);

/* ---- consuming ---- */

struct rw_amqp_subscription {
    const char *queue;       /* static or borrowed until stop; NULL: an exclusive, auto-deleted queue of the broker's naming */
    const char *exchange;    /* what the exclusive queue is bound to */
    const char *binding_key; /* with which pattern */
    uint16_t prefetch;       /* deliveries not yet settled at most; exclusive queues need no settling */
};

struct rw_amqp_delivery {
    size_t subscription; /* index */
    uint64_t generation; /* of the connection: a settlement of an older one is dropped, the broker delivers again by itself */
    uint64_t tag;
    struct rw_bytes body;    /* borrowed during the callback */
    const char *routing_key; /* borrowed during the callback */
    struct rw_trace trace;   /* empty when there was none */
    bool is_redelivered;
};

struct rw_amqp_consumer;
struct rw_amqp_consumer_callbacks { /* all on the consumer's thread; must not block */
    void (*delivered)(void *arg, const struct rw_amqp_delivery *delivery);
    void (*connected)(void *arg, uint64_t generation); /* may be NULL: after every (re)connection, subscriptions in place */
    void (*disconnected)(void *arg);                   /* may be NULL: unsettled deliveries of this generation are void */
    void *arg;
};

enum rw_settlement { RW_SETTLE_ACK, RW_SETTLE_REQUEUE, RW_SETTLE_DEAD };

RW_NODISCARD int rw_amqp_consumer_start(const struct rw_amqp_options *options, const struct rw_amqp_subscription *subscriptions,
                                        size_t n_subscriptions, const struct rw_amqp_consumer_callbacks *callbacks,
                                        struct rw_amqp_consumer **ret_consumer, struct rw_error *err);
/* Any thread. */
void rw_amqp_settle(struct rw_amqp_consumer *consumer, size_t subscription, uint64_t generation, uint64_t tag,
                    enum rw_settlement settlement);
/* Any thread: stop taking new deliveries from named queues (basic.cancel; what is on its way is given back); settling goes on, and
 * so do exclusive queues. For draining. */
void rw_amqp_consumer_cancel(struct rw_amqp_consumer *consumer);
bool rw_amqp_consumer_is_connected(const struct rw_amqp_consumer *consumer);
void rw_amqp_consumer_last_error(struct rw_amqp_consumer *consumer, char out[static RW_ERROR_MESSAGE_BYTES]); /* as above */
/* Sends waiting settlements, closes, joins the thread. */
void rw_amqp_consumer_stop(struct rw_amqp_consumer *consumer);

#endif
