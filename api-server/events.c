/* The consumer of runwave.events: an exclusive queue of this process, bound to every final event. An event lost with its connection
 * is made up for by reading every waited-for task once after each (re)connection. */
#include "events.h"

#include <string.h>

#include <rw/log.h>

#include "waiters.h"

struct event_mail {
    struct rw_mail mail;
    struct api *api;
    bool is_reconnected; /* else: the task of this id is final */
    struct rw_uuid id;
};

static void run_event(struct rw_mail *mail)
{
    struct event_mail *event = (struct event_mail *)mail;
    if (event->is_reconnected) {
        waiters_read_all(event->api->waiters);
    } else {
        waiters_task_is_final(event->api->waiters, &event->id);
    }
    free(event);
}

static void post(struct api *api, bool is_reconnected, const struct rw_uuid *id)
{
    struct event_mail *event = rw_xcalloc(1, sizeof(*event));
    event->mail.run = run_event;
    event->api = api;
    event->is_reconnected = is_reconnected;
    if (id) {
        event->id = *id;
    }
    rw_mailbox_post(api->mailbox, &event->mail);
}

static void on_delivered(void *arg, const struct rw_amqp_delivery *delivery)
{
    struct api *api = arg;
    char text[RW_UUID_TEXT_BYTES] = "";
    struct rw_uuid id;

    if (waiters_is_empty(api->waiters)) {
        return;
    }
    if (delivery->body.len == sizeof(text) - 1) {
        memcpy(text, delivery->body.data, sizeof(text) - 1);
    }
    if (rw_uuid_parse(text, &id, NULL)) {
        rw_log(RW_LOG_WARNING, "an event is not a task id", RW_LOG_STR("routing_key", delivery->routing_key));
        return;
    }
    post(api, false, &id);
}

static void on_connected(void *arg, uint64_t generation)
{
    struct api *api = arg;
    rw_log(RW_LOG_INFO, "events connected", RW_LOG_INT("generation", generation));
    post(api, true, NULL);
}

static void on_disconnected(void *arg)
{
    (void)arg;
    rw_log(RW_LOG_WARNING, "events disconnected");
}

int events_start(struct api *api, const struct rw_amqp_options *options, struct rw_error *err)
{
    enum { EVENTS_PREFETCH = 1000 };
    const struct rw_amqp_subscription subscription = {
        .exchange = RW_EXCHANGE_EVENTS, .binding_key = "final.#", .prefetch = EVENTS_PREFETCH};
    const struct rw_amqp_consumer_callbacks callbacks = {
        .delivered = on_delivered, .connected = on_connected, .disconnected = on_disconnected, .arg = api};
    return rw_amqp_consumer_start(options, &subscription, 1, &callbacks, &api->consumer, err);
}
