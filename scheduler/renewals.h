/* Renewals: the leases of all attempts in the hand, renewed together in one statement. An attempt that the database does not
 * renew is fenced. Loop thread only. */
#ifndef SCHEDULER_RENEWALS_H
#define SCHEDULER_RENEWALS_H

#include "attempt.h"
#include "hand.h"

struct renewals;

/* hand, store and config are borrowed until close. */
struct renewals *renewals_start(uv_loop_t *loop, const struct scheduler_config *config, struct hand *hand, struct store *store);
void renewals_now(struct renewals *renewals);   /* the database is back: do not wait for the timer */
void renewals_close(struct renewals *renewals); /* after the store was closed */

#endif
