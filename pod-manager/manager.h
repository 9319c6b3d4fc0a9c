/* The manager: the one struct that owns the loop's things - pools, lease book, backend - and carries out what the pools decide.
 *
 *   manager.c          leases, decisions, life
 *   manager_pods.c     pods: creations, destructions, the backend's events
 *   manager_metrics.c  what of it is shown
 *   janitor.c          the one periodic timer
 *   http.c             the lease API; other threads, which reach the manager through a mailbox
 *
 * All calls on the loop's thread. */
#ifndef MANAGER_H
#define MANAGER_H

#include <uv.h>

#include <rw/daemon.h>
#include <rw/language.h>
#include <rw/metrics.h>

#include "backend.h"
#include "config.h"
#include "leases.h"
#include "pool.h"

enum manager_outcome { MANAGER_USED, MANAGER_UNUSED, MANAGER_FAILED, MANAGER_DEADLINE, MANAGER_LOST, _MANAGER_OUTCOME_MAX };
const char *manager_outcome_name(enum manager_outcome outcome);

struct manager_pod {
    UT_hash_handle hh;               /* by name */
    struct manager_pod *prev, *next; /* among those that the backend has not been asked for yet */
    char name[BACKEND_NAME_BYTES];
    struct pool_pod *pool_pod;
    bool is_queued;
    bool has_failed; /* the backend said so */
    char *address;   /* once ready */
    uint8_t secret[RW_POD_SECRET_BYTES];
    struct lease *leases;
};

struct manager_grant { /* borrowed during the call */
    const struct rw_uuid *lease_id;
    const char *pod;
    const char *address;
    const uint8_t *secret;
};

/* A wish for a lease. Exactly one of granted and refused is called, which owns the request from then on. */
struct manager_request {
    size_t pool; /* its index: see manager_find_pool */
    uint32_t wait_ms;
    uint32_t deadline_ms;
    int64_t attempt;
    char task_id[RW_UUID_TEXT_BYTES];
    int64_t wanted_us;                                       /* since when, monotonic */
    bool (*has_left)(const struct manager_request *request); /* nobody is there any more to take a lease */
    void (*granted)(struct manager_request *request, const struct manager_grant *grant);
    void (*refused)(struct manager_request *request, const struct rw_error *err);
};

struct manager_pool_metrics {
    struct rw_gauge *pods[_POOL_PHASE_MAX];
    struct rw_gauge *target;
    struct rw_gauge *target_floor;
    struct rw_gauge *target_arrivals;
    struct rw_gauge *target_waiting;
    struct rw_gauge *leases;
    struct rw_counter *granted;
    struct rw_counter *refused[_POOL_WHY_MAX]; /* by why; those that are reasons to reject */
    struct rw_counter *overloaded;
    struct rw_counter *left;
    struct rw_counter *ended[_MANAGER_OUTCOME_MAX];
    struct rw_histogram *lease_wait;
    struct rw_counter *creates;
    struct rw_counter *failures[_BACKEND_REASON_MAX];
    struct rw_histogram *warm_up;
};

struct manager_pool {
    const struct rw_language *language; /* borrowed from the catalogue */
    enum rw_isolation isolation;
    struct manager_pool_metrics metrics;
    char failure[160]; /* why creating failed last */
};

struct manager {
    uv_loop_t *loop;
    const struct manager_config *config;
    const struct rw_catalogue *catalogue;
    struct rw_health *health;
    const struct backend_class *class;
    struct backend *backend;
    struct pools *pools;
    struct pool_actions actions;
    struct lease_book leases;
    struct manager_pod *pods;
    struct manager_pod *queue; /* pods to be created, one a turn of the loop, so that a lease never waits for several */
    uv_idle_t creator;
    uv_timer_t janitor;
    struct rw_metrics *metrics;   /* borrowed */
    struct rw_gauge *layers;      /* NULL: not known yet */
    struct manager_pool *by_pool; /* by the pools' index: a language at a level that is offered */
    size_t n_pools;
    bool is_usable_known;
    bool is_usable;
    int64_t drain_until_ms; /* 0: not draining */
    int64_t empty_since_ms; /* while draining: since when there are no pods; 0: there are */
    bool is_drained;
    void (*drained)(void *arg);
    void *drained_arg;
};

struct manager_options {
    uv_loop_t *loop;
    const struct manager_config *config; /* borrowed until freed, as all here */
    const struct rw_catalogue *catalogue;
    const struct backend_class *class;
    struct rw_metrics *metrics;
    struct rw_health *health;
    void (*drained)(void *arg); /* once after manager_drain */
    void *drained_arg;
};

RW_NODISCARD int manager_open(const struct manager_options *options, struct manager **ret_manager, struct rw_error *err);
/* The pool of that language at that level; NULL for the level: the usual one. NOT_FOUND: no such language; UNSUPPORTED: the level is
 * not offered, or there is none of that name. */
RW_NODISCARD int manager_find_pool(const struct manager *manager, const char *language, const char *isolation, size_t *ret_pool,
                                   struct rw_error *err);
void manager_want_lease(struct manager *manager, struct manager_request *request);
/* The lease's pod was sent its job; a lease that is not known (any more) is no fault. */
void manager_start_lease(struct manager *manager, const struct rw_uuid *id);
/* NOT_FOUND when the lease is not known (any more). */
RW_NODISCARD int manager_end_lease(struct manager *manager, const struct rw_uuid *id, enum manager_outcome outcome,
                                   struct rw_error *err);
/* No more leases; leased pods get drain_ms; `drained` is called when no pod is left, at the latest soon after. */
void manager_drain(struct manager *manager);
/* What time brings: called by the janitor. */
void manager_tick(struct manager *manager, int64_t now_ms);
void manager_close(struct manager *manager); /* closes its handles */
void manager_free(struct manager *manager);  /* after the loop has closed them */

/* manager_metrics.c */
void manager_metrics_register(struct manager *manager, struct rw_metrics *metrics);
void manager_metrics_layers(struct manager *manager, const char *layers);
void manager_metrics_update(struct manager *manager);
void manager_health_update(struct manager *manager);

/* janitor.c */
RW_NODISCARD int janitor_start(struct manager *manager, struct rw_error *err);
void janitor_close(struct manager *manager);

#endif
