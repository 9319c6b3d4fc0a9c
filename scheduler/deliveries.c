/* Deliveries: see deliveries.h. The thread side (delivered, connected, disconnected) only copies and posts; all else is on the
 * loop. */
#include "deliveries.h"

#include <ctype.h>
#include <string.h>

enum { EXCERPT_BYTES = 64, DEAD_PREFETCH = 32 };

struct deliveries {
    struct deliveries_options options;
    char (*queues)[RW_QUEUE_NAME_BYTES];
    struct rw_amqp_subscription *subscriptions; /* language * _RW_PRIORITY_MAX + priority; the dead letters last */
    size_t n_subscriptions;
    struct rw_amqp_consumer *consumer;
    bool is_stopped;
};

enum note_kind { NOTE_DELIVERY, NOTE_CONNECTED, NOTE_DISCONNECTED };

struct note { /* from the consumer's thread to the loop */
    struct rw_mail mail;
    struct deliveries *deliveries;
    enum note_kind kind;
    struct delivery_ref ref;
    struct rw_uuid id;
    bool is_malformed;
    size_t body_len;
    char excerpt[EXCERPT_BYTES * 4 + 1];
};

static bool is_dead_letter(const struct deliveries *deliveries, size_t subscription)
{
    return subscription == deliveries->n_subscriptions - 1;
}

/* A bounded excerpt of foreign bytes in which only printable ASCII stands for itself. */
static void make_excerpt(struct rw_bytes body, char out[static EXCERPT_BYTES * 4 + 1])
{
    static const char hex[] = "0123456789abcdef";
    size_t used = 0;
    for (size_t i = 0; i < body.len && i < EXCERPT_BYTES; i++) {
        uint8_t byte = body.data[i];
        if (byte < 0x80 && isprint(byte) && byte != '\\') {
            out[used++] = (char)byte;
            continue;
        }
        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = hex[byte >> 4];
        out[used++] = hex[byte & 15];
    }
    out[used] = '\0';
}

static void malformed(struct note *note)
{
    struct deliveries *deliveries = note->deliveries;
    rw_counter_add(deliveries->options.metrics->malformed, 1);
    rw_log(RW_LOG_ERROR, "message is not a task's id, dropped",
           RW_LOG_STR("queue", deliveries->subscriptions[note->ref.subscription].queue), RW_LOG_INT("bytes", note->body_len),
           RW_LOG_STR("excerpt", note->excerpt));
    deliveries_ack(deliveries, &note->ref);
}

static void dispatch(struct note *note)
{
    const struct deliveries_callbacks *callbacks = &note->deliveries->options.callbacks;
    if (note->kind != NOTE_DELIVERY) {
        callbacks->connection(callbacks->arg, note->kind == NOTE_CONNECTED);
    } else if (note->is_malformed) {
        malformed(note);
    } else if (is_dead_letter(note->deliveries, note->ref.subscription)) {
        callbacks->dead(callbacks->arg, &note->id, &note->ref);
    } else {
        callbacks->task(callbacks->arg, &note->id, note->ref.subscription / _RW_PRIORITY_MAX,
                        (enum rw_priority)(note->ref.subscription % _RW_PRIORITY_MAX), &note->ref);
    }
}

static void run_note(struct rw_mail *mail)
{
    struct note *note = (struct note *)(void *)mail;
    if (!note->deliveries->is_stopped) {
        dispatch(note);
    }
    free(note);
}

static struct note *new_note(struct deliveries *deliveries, enum note_kind kind)
{
    struct note *note = rw_xcalloc(1, sizeof(*note));
    note->mail.run = run_note;
    note->deliveries = deliveries;
    note->kind = kind;
    return note;
}

static void delivered(void *arg, const struct rw_amqp_delivery *delivery)
{
    struct deliveries *deliveries = arg;
    struct note *note = new_note(deliveries, NOTE_DELIVERY);
    note->ref = (struct delivery_ref){
        .is_valid = true, .subscription = delivery->subscription, .generation = delivery->generation, .tag = delivery->tag};
    char text[RW_UUID_TEXT_BYTES] = "";
    if (delivery->body.len == RW_UUID_TEXT_BYTES - 1) {
        memcpy(text, delivery->body.data, RW_UUID_TEXT_BYTES - 1);
    }
    note->is_malformed = rw_uuid_parse(text, &note->id, NULL) < 0;
    if (note->is_malformed) {
        note->body_len = delivery->body.len;
        make_excerpt(delivery->body, note->excerpt);
    }
    rw_mailbox_post(deliveries->options.mailbox, &note->mail);
}

static void connected(void *arg, uint64_t generation)
{
    (void)generation;
    struct deliveries *deliveries = arg;
    rw_mailbox_post(deliveries->options.mailbox, &new_note(deliveries, NOTE_CONNECTED)->mail);
}

static void disconnected(void *arg)
{
    struct deliveries *deliveries = arg;
    rw_mailbox_post(deliveries->options.mailbox, &new_note(deliveries, NOTE_DISCONNECTED)->mail);
}

static void subscribe(struct deliveries *deliveries)
{
    const struct deliveries_options *options = &deliveries->options;
    size_t n_languages = rw_catalogue_count(options->catalogue);
    size_t n_queues = n_languages * _RW_PRIORITY_MAX;
    deliveries->queues = rw_xcalloc(n_queues, sizeof(*deliveries->queues));
    deliveries->subscriptions = rw_xcalloc(n_queues + 1, sizeof(*deliveries->subscriptions));
    for (size_t i = 0; i < n_queues; i++) {
        const struct rw_language *language = rw_catalogue_at(options->catalogue, i / _RW_PRIORITY_MAX);
        enum rw_priority priority = (enum rw_priority)(i % _RW_PRIORITY_MAX);
        deliveries->subscriptions[i].queue = rw_queue_name(language->id, priority, deliveries->queues[i]);
        deliveries->subscriptions[i].prefetch = options->prefetch;
    }
    deliveries->subscriptions[n_queues].queue = RW_QUEUE_DEAD;
    deliveries->subscriptions[n_queues].prefetch = DEAD_PREFETCH;
    deliveries->n_subscriptions = n_queues + 1;
}

int deliveries_start(const struct deliveries_options *options, struct deliveries **ret_deliveries, struct rw_error *err)
{
    struct deliveries *deliveries = rw_xcalloc(1, sizeof(*deliveries));
    deliveries->options = *options;
    subscribe(deliveries);
    const struct rw_amqp_consumer_callbacks callbacks = {
        .delivered = delivered, .connected = connected, .disconnected = disconnected, .arg = deliveries};
    if (rw_amqp_consumer_start(options->amqp, deliveries->subscriptions, deliveries->n_subscriptions, &callbacks,
                               &deliveries->consumer, err) < 0) {
        deliveries_free(deliveries);
        return -1;
    }
    *ret_deliveries = deliveries;
    return 0;
}

void deliveries_ack(struct deliveries *deliveries, const struct delivery_ref *ref)
{
    if (ref->is_valid && !deliveries->is_stopped) {
        rw_amqp_settle(deliveries->consumer, ref->subscription, ref->generation, ref->tag, RW_SETTLE_ACK);
    }
}

void deliveries_last_error(const struct deliveries *deliveries, char out[static RW_ERROR_MESSAGE_BYTES])
{
    rw_amqp_consumer_last_error(deliveries->consumer, out);
}

void deliveries_cancel(struct deliveries *deliveries)
{
    if (deliveries) {
        rw_amqp_consumer_cancel(deliveries->consumer);
    }
}

void deliveries_stop(struct deliveries *deliveries)
{
    if (deliveries && !deliveries->is_stopped) {
        rw_amqp_consumer_stop(rw_take(deliveries->consumer));
        deliveries->is_stopped = true;
    }
}

void deliveries_free(struct deliveries *deliveries)
{
    if (deliveries) {
        free(deliveries->queues);
        free(deliveries->subscriptions);
        free(deliveries);
    }
}
