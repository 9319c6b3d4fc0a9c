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
    size_t row_len;
    uint8_t row[]; /* encoded */
};

static void run_event(struct rw_mail *mail)
{
    struct event_mail *event = (struct event_mail *)mail;
    if (event->is_reconnected) {
        waiters_read_all(event->api->waiters);
    } else {
        waiters_task_is_final(event->api->waiters, &event->id, rw_bytes_of(event->row, event->row_len));
    }
    free(event);
}

static struct event_mail *new_mail(struct api *api, struct rw_bytes row)
{
    struct event_mail *event = rw_xcalloc(1, sizeof(*event) + row.len);
    event->mail.run = run_event;
    event->api = api;
    event->row_len = row.len;
    if (row.len > 0) {
        memcpy(event->row, row.data, row.len);
    }
    return event;
}

static void on_delivered(void *arg, const struct rw_amqp_delivery *delivery)
{
    struct api *api = arg;
    char text[RW_UUID_TEXT_BYTES] = "";
    struct rw_uuid id;

    if (waiters_is_empty(api->waiters)) {
        return;
    }
    if (delivery->body.len >= sizeof(text) - 1) {
        memcpy(text, delivery->body.data, sizeof(text) - 1);
    }
    size_t row_len = delivery->body.len - (sizeof(text) - 1);
    if (rw_uuid_parse(text, &id, NULL) || row_len > RW_EVENT_ROW_BYTES_MAX) {
        rw_log(RW_LOG_WARNING, "an event does not begin with a task's id, or is too large",
               RW_LOG_STR("routing_key", delivery->routing_key));
        return;
    }
    struct event_mail *event = new_mail(api, rw_bytes_of(delivery->body.data + sizeof(text) - 1, row_len));
    event->id = id;
    rw_mailbox_post(api->mailbox, &event->mail);
}

static void on_connected(void *arg, uint64_t generation)
{
    struct api *api = arg;
    rw_log(RW_LOG_INFO, "events connected", RW_LOG_INT("generation", generation));
    struct event_mail *event = new_mail(api, rw_bytes_of(NULL, 0));
    event->is_reconnected = true;
    rw_mailbox_post(api->mailbox, &event->mail);
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
