/* Events: "this task is final", told to whichever api-server has a client waiting, with its row where that is small. Transient: the
 * row in the database is the truth, an event only saves a waiting client time. While the broker hiccups a bounded number is kept and sent again. Loop thread only. */
#ifndef SCHEDULER_EVENTS_H
#define SCHEDULER_EVENTS_H

#include <rw/amqp.h>
#include <rw/mailbox.h>
#include <rw/task_row.h>
#include <rw/uuid.h>

#include "metrics.h"

struct events;

struct events *events_new(uv_loop_t *loop, struct rw_amqp_publisher *publisher, struct rw_mailbox *mailbox,
                          struct scheduler_metrics *metrics);
void events_final(struct events *events, enum rw_task_state state, const struct rw_uuid *task_id);
/* The same with the row, as the database has it; left out where it is larger than RW_EVENT_ROW_BYTES_MAX. */
void events_final_row(struct events *events, const struct rw_uuid *task_id, const struct rw_task_row *row);
/* After the publisher was stopped and before the mailbox is closed; the memory goes when the loop has closed the handle and the
 * mail under way was run. */
void events_close(struct events *events);

#endif
