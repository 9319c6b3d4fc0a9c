/* A sorted array: tags come in ascending order and there are never more than the prefetch. Deliveries settled out of order leave it
 * at once, so one slow task among thousands of quick ones costs one place. */
#include "amqp_outstanding.h"

#include <rw/auto.h>

enum mark { MARK_NONE, MARK_ACKED, MARK_DROPPED };

struct amqp_outstanding_entry {
    uint64_t tag;
    enum mark mark;
};

void amqp_outstanding_init(struct amqp_outstanding *outstanding, size_t capacity)
{
    *outstanding = (struct amqp_outstanding){
        .entries = rw_xcalloc(capacity + 1, sizeof(*outstanding->entries)),
        .acks = rw_xcalloc(capacity + 1, sizeof(*outstanding->acks)),
        .capacity = capacity,
    };
}

void amqp_outstanding_done(struct amqp_outstanding *outstanding)
{
    free(outstanding->entries);
    free(outstanding->acks);
    *outstanding = (struct amqp_outstanding){.entries = NULL};
}

void amqp_outstanding_clear(struct amqp_outstanding *outstanding)
{
    outstanding->n = 0;
}

bool amqp_outstanding_add(struct amqp_outstanding *outstanding, uint64_t tag)
{
    size_t n = outstanding->n;
    if (n == outstanding->capacity || (n > 0 && tag <= outstanding->entries[n - 1].tag)) {
        return false;
    }
    outstanding->entries[outstanding->n++] = (struct amqp_outstanding_entry){.tag = tag, .mark = MARK_NONE};
    return true;
}

static int compare_tags(const void *left, const void *right)
{
    const struct amqp_outstanding_entry *a = left;
    const struct amqp_outstanding_entry *b = right;
    return (a->tag > b->tag) - (a->tag < b->tag);
}

static bool set_mark(struct amqp_outstanding *outstanding, uint64_t tag, enum mark mark)
{
    const struct amqp_outstanding_entry key = {.tag = tag};
    struct amqp_outstanding_entry *entry = bsearch(&key, outstanding->entries, outstanding->n, sizeof(key), compare_tags);
    if (!entry || entry->mark != MARK_NONE) {
        return false;
    }
    entry->mark = mark;
    return true;
}

bool amqp_outstanding_ack(struct amqp_outstanding *outstanding, uint64_t tag)
{
    return set_mark(outstanding, tag, MARK_ACKED);
}

bool amqp_outstanding_drop(struct amqp_outstanding *outstanding, uint64_t tag)
{
    return set_mark(outstanding, tag, MARK_DROPPED);
}

const struct amqp_ack *amqp_outstanding_collect(struct amqp_outstanding *outstanding, size_t *ret_n)
{
    size_t n_acks = 0;
    size_t n_left = 0;
    for (size_t i = 0; i < outstanding->n; i++) {
        const struct amqp_outstanding_entry entry = outstanding->entries[i];
        if (entry.mark == MARK_NONE) {
            outstanding->entries[n_left++] = entry;
        } else if (entry.mark == MARK_ACKED && n_left == 0 && n_acks > 0) {
            /* Nothing older is unsettled: one ack covers all so far. Its tag is acked by this very frame, as the broker demands. */
            outstanding->acks[0] = (struct amqp_ack){.tag = entry.tag, .is_multiple = true};
        } else if (entry.mark == MARK_ACKED) {
            outstanding->acks[n_acks++] = (struct amqp_ack){.tag = entry.tag, .is_multiple = false};
        }
    }
    outstanding->n = n_left;
    *ret_n = n_acks;
    return outstanding->acks;
}
