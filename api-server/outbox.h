/* The way of a task's id to the broker: published once its row is committed, the row marked once the broker has confirmed. What
 * fails on that way is left to the scheduler's sweep, which finds the row still due. Loop thread, unless said otherwise. */
#ifndef API_OUTBOX_H
#define API_OUTBOX_H

#include "api.h"

RW_NODISCARD int outbox_open(struct api *api, struct outbox **ret_outbox, struct rw_error *err);
/* Whether a further task may be taken: false while the broker is away and backlog_max rows wait for it. */
bool outbox_has_room(const struct outbox *outbox);
void outbox_publish(struct outbox *outbox, const struct rw_uuid *id, const char *language, const struct rw_trace *trace);
/* Mark what was confirmed; false when there is nothing to mark nor being marked. */
bool outbox_flush(struct outbox *outbox);
/* Stops the publisher, which sends what it has for at most drain_ms; what is published from now on is left to the sweep. */
void outbox_stop(struct outbox *outbox, uint32_t drain_ms);
void outbox_close(struct outbox *outbox); /* after outbox_stop; frees it when the loop has closed its handles */

#endif
