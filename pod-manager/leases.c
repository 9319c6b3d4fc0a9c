/* The lease book: a hash by id, and a bound below which no deadline lies, so that looking for overdue ones is free most of the
 * time. */
#include "leases.h"

#include <stdlib.h>

void leases_init(struct lease_book *book)
{
    *book = (struct lease_book){.next_deadline_ms = INT64_MAX};
}

void leases_done(struct lease_book *book)
{
    struct lease *lease = NULL;
    struct lease *next = NULL;
    HASH_ITER(hh, book->by_id, lease, next)
    {
        leases_remove(book, lease);
    }
}

void leases_add(struct lease_book *book, struct lease *lease)
{
    HASH_ADD(hh, book->by_id, id, sizeof(lease->id), lease);
    if (lease->deadline_ms < book->next_deadline_ms) {
        book->next_deadline_ms = lease->deadline_ms;
    }
}

struct lease *leases_find(struct lease_book *book, const struct rw_uuid *id)
{
    struct lease *lease = NULL;
    HASH_FIND(hh, book->by_id, id, sizeof(*id), lease);
    return lease;
}

void leases_remove(struct lease_book *book, struct lease *lease)
{
    HASH_DEL(book->by_id, lease);
    free(lease);
}

void leases_start(struct lease *lease)
{
    if (lease->pod) {
        lease->deadline_ms = lease->started_deadline_ms;
    }
}

void leases_linger(struct lease_book *book, struct lease *lease, int64_t now_ms)
{
    lease->pod = NULL;
    if (now_ms + LEASES_LINGER_MS < lease->deadline_ms) {
        lease->deadline_ms = now_ms + LEASES_LINGER_MS;
    }
    if (lease->deadline_ms < book->next_deadline_ms) {
        book->next_deadline_ms = lease->deadline_ms;
    }
}

struct lease *leases_overdue(struct lease_book *book, int64_t now_ms)
{
    if (now_ms < book->next_deadline_ms) {
        return NULL;
    }
    book->next_deadline_ms = INT64_MAX;
    for (struct lease *lease = book->by_id; lease; lease = lease->hh.next) {
        if (lease->deadline_ms <= now_ms) {
            book->next_deadline_ms = now_ms; /* there may be more */
            return lease;
        }
        if (lease->deadline_ms < book->next_deadline_ms) {
            book->next_deadline_ms = lease->deadline_ms;
        }
    }
    return NULL;
}
