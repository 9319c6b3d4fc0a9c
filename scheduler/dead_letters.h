/* Dead letters: task messages that the broker gave up. A task that is still queued becomes dead, by compare-and-set; any other
 * is none of the dead letters' business. Loop thread only. */
#ifndef SCHEDULER_DEAD_LETTERS_H
#define SCHEDULER_DEAD_LETTERS_H

#include "deliveries.h"
#include "events.h"
#include "store.h"

struct dead_letters;

struct dead_letters *dead_letters_new(uv_loop_t *loop, struct store *store, struct events *events,
                                      struct scheduler_metrics *metrics);
/* The consumer starts after this exists. */
void dead_letters_take(struct dead_letters *letters, struct deliveries *deliveries, const struct rw_uuid *id,
                       const struct delivery_ref *ref);
void dead_letters_close(struct dead_letters *letters); /* after the store was closed */

#endif
