/* Life-cycle events from the schedulers: "this task is final". Whoever waits for it is served by a read of its row. */
#ifndef API_EVENTS_H
#define API_EVENTS_H

#include "api.h"

/* The callbacks run on the consumer's thread and post to the loop. */
RW_NODISCARD int events_start(struct api *api, const struct rw_amqp_options *options, struct rw_error *err);

#endif
