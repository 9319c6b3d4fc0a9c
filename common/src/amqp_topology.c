/* Exchanges and queues. Declared again at every connection: whoever comes first makes them, the others find them equal.
 *
 * The arguments can never be changed in place (the broker refuses an unequal declaration), so only what the promise rests on
 * stands here; limits that people tune belong in policies. */
#include "amqp_internal.h"

#include <stdio.h>

enum { DELIVERY_LIMIT = 20 };

char *rw_queue_name(const char *language, enum rw_priority priority, char out[static RW_QUEUE_NAME_BYTES])
{
    static const char *const suffixes[_RW_PRIORITY_MAX] = {
        [RW_PRIORITY_HIGH] = ".high", [RW_PRIORITY_NORMAL] = "", [RW_PRIORITY_LOW] = ".low"};
    (void)snprintf(out, RW_QUEUE_NAME_BYTES, RW_EXCHANGE_TASKS ".%s%s", language, suffixes[priority]);
    return out;
}

static int declare_exchange(struct amqp_worker *worker, const char *name, const char *type)
{
    (void)amqp_exchange_declare(worker->state, AMQP_SETUP_CHANNEL, amqp_cstring_bytes(name), amqp_cstring_bytes(type), 0, 1, 0, 0,
                                amqp_empty_table);
    return amqp_worker_check_rpc(worker, "declaring an exchange");
}

static int declare_queue(struct amqp_worker *worker, const char *name, amqp_table_t arguments, const char *exchange,
                         const char *routing_key)
{
    (void)amqp_queue_declare(worker->state, AMQP_SETUP_CHANNEL, amqp_cstring_bytes(name), 0, 1, 0, 0, arguments);
    if (amqp_worker_check_rpc(worker, "declaring a queue") != 0) {
        return -1;
    }
    (void)amqp_queue_bind(worker->state, AMQP_SETUP_CHANNEL, amqp_cstring_bytes(name), amqp_cstring_bytes(exchange),
                          amqp_cstring_bytes(routing_key), amqp_empty_table);
    return amqp_worker_check_rpc(worker, "binding a queue");
}

static amqp_table_entry_t text_argument(const char *key, const char *value)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
                                .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value)}};
}

static int declare_task_queues(struct amqp_worker *worker, const char *language)
{
    /* At-least-once dead letters need reject-publish, else the broker silently falls back to at-most-once. */
    amqp_table_entry_t entries[] = {
        text_argument("x-queue-type", "quorum"),
        text_argument("x-dead-letter-exchange", RW_EXCHANGE_DEAD),
        text_argument("x-dead-letter-strategy", "at-least-once"),
        text_argument("x-overflow", "reject-publish"),
        {.key = amqp_cstring_bytes("x-delivery-limit"), .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = DELIVERY_LIMIT}},
    };
    const amqp_table_t arguments = {.num_entries = RW_ARRAY_SIZE(entries), .entries = entries};
    for (int priority = 0; priority < _RW_PRIORITY_MAX; priority++) {
        char name[RW_QUEUE_NAME_BYTES];
        (void)rw_queue_name(language, (enum rw_priority)priority, name);
        if (declare_queue(worker, name, arguments, RW_EXCHANGE_TASKS, name) != 0) {
            return -1;
        }
    }
    return 0;
}

int amqp_topology_declare(struct amqp_worker *worker)
{
    static const struct {
        const char *name;
        const char *type;
    } exchanges[] = {
        {RW_EXCHANGE_TASKS, "direct"},
        {RW_EXCHANGE_DEAD, "fanout"},
        {RW_EXCHANGE_EVENTS, "topic"},
        {RW_EXCHANGE_CONTROL, "fanout"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(exchanges); i++) {
        if (declare_exchange(worker, exchanges[i].name, exchanges[i].type) != 0) {
            return -1;
        }
    }
    /* The dead letters' queue first: a dead letter without a queue would wait minutes for its next try. */
    amqp_table_entry_t quorum = text_argument("x-queue-type", "quorum");
    const amqp_table_t arguments = {.num_entries = 1, .entries = &quorum};
    if (declare_queue(worker, RW_QUEUE_DEAD, arguments, RW_EXCHANGE_DEAD, "") != 0) {
        return -1;
    }
    for (size_t i = 0; i < worker->options.n_languages; i++) {
        if (declare_task_queues(worker, worker->options.languages[i]) != 0) {
            return -1;
        }
    }
    amqp_worker_release_buffers(worker);
    return 0;
}
