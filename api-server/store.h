/* The api-server's statements, and a task's row as they read it. */
#ifndef API_STORE_H
#define API_STORE_H

#include <rw/pg.h>
#include <rw/task_row.h>

enum store_statement {
    STORE_INSERT,  /* $1 id, $2 language, $3 version, $4 isolation, $5 traceparent, $6 job; safe to repeat */
    STORE_READ,    /* $1 id */
    STORE_MARK,    /* $1 ids whose publish was confirmed, $2 lost_after_ms */
    STORE_BACKLOG, /* $1 where to stop counting */
    _STORE_MAX
};

extern const struct rw_pg_statement store_statements[_STORE_MAX];

/* How large the outputs of row 0 of a STORE_READ are, all together. */
size_t store_row_bytes(const PGresult *result);
/* Row 0 of a STORE_READ. */
void store_read_row(const PGresult *result, struct rw_task_row *ret_row);

#endif
