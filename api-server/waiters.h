/* Clients that read a task, at once or when it is final. One entry a task, however many clients: reads are shared, and the event
 * that a task is final wakes all. Loop thread only. */
#ifndef API_WAITERS_H
#define API_WAITERS_H

#include "api.h"

struct wait {
    bool is_given; /* ?wait= stood there: 202 instead of 200 while the task is not final */
    uint32_t ms;
};

enum client_kind {
    CLIENT_RESULT, /* GET /result: told the whole row */
    CLIENT_SUBMIT, /* POST /submit: told the whole row when final, else what 202 says */
};

RW_NODISCARD int waiters_open(struct api *api, struct waiters **ret_waiters, struct rw_error *err);
/* Takes the request over. has_to_read: whether the task may be final already; a task just born cannot be. */
void waiters_add(struct waiters *waiters, const struct rw_uuid *id, struct rw_http_request *request, enum client_kind kind,
                 const struct wait *wait, bool has_to_read);
/* Whether anyone waits; any thread. An event may be dropped while nobody does: who comes later reads first. */
bool waiters_is_empty(const struct waiters *waiters);
/* encoded: the row that came with the event, for rw_task_row_decode; empty, or not to be understood: the row is read. */
void waiters_task_is_final(struct waiters *waiters, const struct rw_uuid *id, struct rw_bytes encoded);
void waiters_read_all(struct waiters *waiters);   /* events may have been missed */
void waiters_expire_all(struct waiters *waiters); /* as if every wait had run out */
void waiters_close(struct waiters *waiters);      /* after the database was closed: who is left is told so */

#endif
