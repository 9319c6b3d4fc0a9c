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
    struct rw_buffer body; /* the task's id as text, and its row behind it */
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

static void event_free(struct event *event)
{
    rw_buffer_done(&event->body);
    free(event);
}

static void keep(struct event *event)
{
    struct events *events = event->events;
    if (events->is_closing || events->n_kept >= KEPT_MAX || rw_monotonic_ms() - event->born_ms > KEEP_MS) {
        rw_counter_add(events->metrics->events_lost, 1);
        event_free(event);
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
        event_free(event);
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
        .body = rw_buffer_view(&event->body),
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

static struct event *new_event(struct events *events, enum rw_task_state state, const struct rw_uuid *task_id)
{
    char id[RW_UUID_TEXT_BYTES];
    struct event *event = rw_xcalloc(1, sizeof(*event));
    event->events = events;
    event->state = state;
    event->task_id = *task_id;
    event->born_ms = rw_monotonic_ms();
    rw_buffer_init(&event->body, RW_UUID_TEXT_BYTES + RW_EVENT_ROW_BYTES_MAX);
    (void)rw_buffer_append_some(&event->body, rw_uuid_format(task_id, id), RW_UUID_TEXT_BYTES - 1);
    return event;
}

void events_final(struct events *events, enum rw_task_state state, const struct rw_uuid *task_id)
{
    publish(new_event(events, state, task_id));
}

void events_final_row(struct events *events, const struct rw_uuid *task_id, const struct rw_task_row *row)
{
    struct rw_error err;
    RW_AUTO_BUFFER struct rw_buffer encoded = {0};
    struct event *event = new_event(events, row->state, task_id);
    rw_buffer_init(&encoded, RW_EVENT_ROW_BYTES_MAX);
    if (rw_task_row_encode(row, &encoded, &err) == 0) {
        (void)rw_buffer_append_some(&event->body, encoded.data, encoded.len); /* there is room */
    }
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
        event_free(event);
    }
    uv_close((uv_handle_t *)&events->timer, on_closed);
}
