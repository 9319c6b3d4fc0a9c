/* Events: see events.h. An event that the broker did not take comes back by mail and waits on a list; a timer sends the list
 * again. */
#include "events.h"

#include <stdio.h>

#include <utlist.h>

#include <rw/clock.h>
#include <rw/log.h>

enum { RETRY_MS = 200, KEEP_MS = 30000, KEPT_MAX = 4096 };

struct event {
    struct rw_mail mail;
    struct events *events;
    enum rw_task_state state;
    struct rw_uuid task_id;
    int64_t born_ms;
    struct event *prev;
    struct event *next;
};

struct events {
    uv_timer_t timer;
    struct rw_amqp_publisher *publisher;
    struct rw_mailbox *mailbox;
    struct scheduler_metrics *metrics;
    struct event *kept;
    size_t n_kept;
    bool is_closing;
};

static void retry(uv_timer_t *timer);

static void keep(struct event *event)
{
    struct events *events = event->events;
    if (events->is_closing || events->n_kept >= KEPT_MAX || rw_monotonic_ms() - event->born_ms > KEEP_MS) {
        rw_counter_add(events->metrics->events_lost, 1);
        free(event);
        return;
    }
    DL_APPEND(events->kept, event);
    if (events->n_kept++ == 0) {
        (void)uv_timer_start(&events->timer, retry, RETRY_MS, 0);
    }
}

static void come_back(struct rw_mail *mail)
{
    keep((struct event *)(void *)mail);
}

/* On the publisher's thread. */
static void published(void *arg, enum rw_publish_outcome outcome)
{
    struct event *event = arg;
    if (outcome == RW_PUBLISH_CONFIRMED) {
        free(event);
        return;
    }
    event->mail.run = come_back;
    rw_mailbox_post(event->events->mailbox, &event->mail);
}

static void publish(struct event *event)
{
    char id[RW_UUID_TEXT_BYTES];
    char routing_key[RW_UUID_TEXT_BYTES + 32];
    (void)rw_uuid_format(&event->task_id, id);
    (void)snprintf(routing_key, sizeof(routing_key), "final.%s.%s", rw_task_state_name(event->state), id);
    const struct rw_amqp_message message = {
        .exchange = RW_EXCHANGE_EVENTS,
        .routing_key = routing_key,
        .body = rw_bytes_of(id, RW_UUID_TEXT_BYTES - 1),
    };
    struct rw_error err;
    if (rw_amqp_publish(event->events->publisher, &message, published, event, &err) < 0) {
        keep(event);
    }
}

static void retry(uv_timer_t *timer)
{
    struct events *events = timer->data;
    struct event *kept = rw_take(events->kept);
    events->n_kept = 0;
    struct event *event;
    struct event *next;
    DL_FOREACH_SAFE(kept, event, next)
    {
        DL_DELETE(kept, event);
        publish(event);
    }
}

void events_final(struct events *events, enum rw_task_state state, const struct rw_uuid *task_id)
{
    struct event *event = rw_xcalloc(1, sizeof(*event));
    event->events = events;
    event->state = state;
    event->task_id = *task_id;
    event->born_ms = rw_monotonic_ms();
    publish(event);
}

struct events *events_new(uv_loop_t *loop, struct rw_amqp_publisher *publisher, struct rw_mailbox *mailbox,
                          struct scheduler_metrics *metrics)
{
    struct events *events = rw_xcalloc(1, sizeof(*events));
    events->publisher = publisher;
    events->mailbox = mailbox;
    events->metrics = metrics;
    (void)uv_timer_init(loop, &events->timer);
    events->timer.data = events;
    return events;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void events_close(struct events *events)
{
    if (!events) {
        return;
    }
    events->is_closing = true;
    struct event *event;
    struct event *next;
    DL_FOREACH_SAFE(events->kept, event, next)
    {
        DL_DELETE(events->kept, event);
        free(event);
    }
    uv_close((uv_handle_t *)&events->timer, on_closed);
}
