/* Leases: the calls to the pod-manager (docs/lease-api.md), and whether it answers at all. Loop thread only. */
#ifndef SCHEDULER_LEASES_H
#define SCHEDULER_LEASES_H

#include <rw/http_client.h>
#include <rw/runner_protocol.h>

#include "attempt_rules.h"
#include "config.h"

enum { LEASE_NAME_BYTES = 128, LEASE_ADDRESS_BYTES = 256 };

struct lease {
    struct rw_uuid id;
    char pod[LEASE_NAME_BYTES];
    char address[LEASE_ADDRESS_BYTES];
    uint8_t secret[RW_POD_SECRET_BYTES];
};

struct leases;
struct lease_request;
struct lease_look;

/* on_state: the pod-manager answers, or does not (any more). token: NULL when none is asked; borrowed until close. */
RW_NODISCARD int leases_open(uv_loop_t *loop, const struct scheduler_config *config, const char *token,
                             void (*on_state)(void *arg, bool is_answering), void *arg, struct leases **ret_leases,
                             struct rw_error *err);
/* Exactly once a request unless it was abandoned. lease NULL: failure says what happened, err in detail. */
typedef void (*lease_answered)(void *arg, const struct lease *lease, enum attempt_failure failure, const struct rw_error *err);
struct lease_wish { /* borrowed during the call */
    const char *language;
    const char *isolation; /* "": what the pod-manager usually gives */
    const struct rw_uuid *task_id;
    int32_t attempt;
};
/* done may be called before it returns only if it returns NULL. */
struct lease_request *leases_acquire(struct leases *leases, const struct lease_wish *wish, lease_answered done, void *arg);
/* The answer is not wanted any more: a lease that still comes goes back unused. (Breaking the call off would leave a pod leased
 * to nobody.) */
void leases_abandon(struct lease_request *request);
/* The lease's pod was sent its job: the pod-manager is told with the next probe, and lets the lease live to its deadline. A lease
 * of which it hears nothing (its scheduler was killed before) ends soon after it was granted. */
void leases_started(struct leases *leases, const struct rw_uuid *id);
/* What GET /leases/:lease_id says. */
enum lease_sight {
    LEASE_SIGHT_NONE,    /* no sensible answer */
    LEASE_SIGHT_UNKNOWN, /* the pod-manager does not know the lease (any more) */
    LEASE_SIGHT_SERVES,  /* its pod serves, as far as is known */
    LEASE_SIGHT_ENDED,
};
/* Exactly once a look unless it was given up. reason: why the pod ended (pod-manager/backend_reason.def), borrowed; NULL: it has
 * not. */
typedef void (*lease_looked)(void *arg, enum lease_sight sight, const char *reason);
/* done is called before it returns only if it returns NULL. */
struct lease_look *leases_look(struct leases *leases, const struct rw_uuid *id, lease_looked done, void *arg);
void leases_look_away(struct lease_look *look); /* the answer is not wanted any more; NULL is fine */
/* Give back; repeated a few times when the pod-manager does not answer (after that the lease ends at its deadline). */
void leases_release(struct leases *leases, const struct rw_uuid *id, enum lease_outcome outcome);
/* Requests abandoned and releases under way: what a drain waits for. */
size_t leases_pending(const struct leases *leases);
void leases_close(struct leases *leases);

#endif
