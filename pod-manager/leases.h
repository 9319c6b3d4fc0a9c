/* The lease book: who holds which pod until when. Pure: time comes in.
 *
 * A lease whose pod is gone already stays in the book for a moment, so that its holder's DELETE finds it. */
#ifndef LEASES_H
#define LEASES_H

#include <uthash.h>

#include <rw/uuid.h>

enum { LEASES_LINGER_MS = 10000 };

struct lease {
    UT_hash_handle hh;         /* by id */
    struct lease *prev, *next; /* among those of its pod */
    struct rw_uuid id;
    void *pod;              /* the manager's; NULL: gone */
    const char *end_reason; /* why its pod serves no longer, static; NULL: it does */
    size_t pool;            /* its index */
    int64_t granted_ms;
    int64_t deadline_ms;              /* soon after the grant, until its holder says that it has begun */
    int64_t started_deadline_ms;      /* from then on */
    int64_t attempt;                  /* for logs */
    char task_id[RW_UUID_TEXT_BYTES]; /* for logs; "" when not told */
};

struct lease_book {
    struct lease *by_id;
    int64_t next_deadline_ms; /* none is over before that */
};

void leases_init(struct lease_book *book);
void leases_done(struct lease_book *book); /* frees what is left */
/* Takes the lease, which must be heap memory. */
void leases_add(struct lease_book *book, struct lease *lease);
struct lease *leases_find(struct lease_book *book, const struct rw_uuid *id); /* borrowed; NULL: not known */
void leases_remove(struct lease_book *book, struct lease *lease);             /* frees it */
void leases_start(struct lease *lease);
void leases_linger(struct lease_book *book, struct lease *lease, int64_t now_ms);
/* A lease whose deadline is over; NULL: none. Borrowed: the caller removes it. */
struct lease *leases_overdue(struct lease_book *book, int64_t now_ms);

#endif
