/* What the store's files share: the statements, the struct, and the context of one call. Inside scheduler/store*.c only. */
#ifndef SCHEDULER_STORE_INTERNAL_H
#define SCHEDULER_STORE_INTERNAL_H

#include "store.h"

enum store_statement {
    STORE_SQL_CLAIM,
    STORE_SQL_RECORD,
    STORE_SQL_LOSE,
    STORE_SQL_RETURN,
    STORE_SQL_READ,
    STORE_SQL_RENEW,
    STORE_SQL_SWEEP,
    STORE_SQL_MARK,
    STORE_SQL_RECONCILE,
    STORE_SQL_BURY,
    _STORE_SQL_MAX
};

extern const struct rw_pg_statement store_sql[_STORE_SQL_MAX];

struct store {
    struct rw_pg *pg;
    char *owner;
    uint32_t lease_ms;
    uint32_t lost_after_ms;
};

enum { STORE_TIMEOUT_MS = 10000 };

/* STORE_CLOSING, STORE_REFUSED or STORE_UNSURE. */
enum store_outcome store_outcome_of(const struct rw_error *err);

#endif
