/* The pools: which pods there should be, who gets them, and in which order. Pure: time comes in, actions come out; no clock, no
 * I/O, no logging. The manager tells what happened (pools_pod_ready, ...), asks pools_decide for actions, and carries them out.
 *
 * A pod has slots: how many leases it holds at a time (1 where one task has the pod for itself), and uses: how many it serves in
 * its life. Demand is counted in slots, room in pods. What always holds, and the random tests check:
 *   - a pod never holds more leases than it has slots, nor serves more than its uses;
 *   - pods of every phase together are never more than the pool's max, nor all pools' more than pods_max;
 *   - leases of one pool are granted in the order in which they came to wait;
 *   - every waiting lease is granted or rejected exactly once; a pod is created once, destroyed at most once, and forgotten when
 *     gone. */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rw/auto.h>
#include <rw/backoff.h>
#include <rw/error.h>

#include "scale.h"

enum pool_phase {
    POOL_CREATING, /* asked for, not ready yet */
    POOL_WARM,     /* ready, no lease */
    POOL_LEASED,   /* at least one lease */
    POOL_ENDING,   /* being destroyed, or found unusable; not gone yet */
    _POOL_PHASE_MAX
};
const char *pool_phase_name(enum pool_phase phase);

enum pool_why {
    POOL_WHY_NONE,
    POOL_WHY_TIMEOUT,     /* reject: no pod came free in time */
    POOL_WHY_DRAIN,       /* reject, destroy: stopping */
    POOL_WHY_USED,        /* destroy: has served its leases */
    POOL_WHY_BROKEN,      /* destroy: its lease ended badly */
    POOL_WHY_NEVER_READY, /* destroy: did not become ready in time */
    POOL_WHY_SHRINK,      /* destroy: more than wanted */
    POOL_WHY_RECLAIM,     /* destroy: makes room for a pool where leases wait and no pod is */
    POOL_WHY_STALE,       /* destroy: pods are made otherwise by now, and another one is there in its place */
    _POOL_WHY_MAX
};
const char *pool_why_name(enum pool_why why);

struct pool_limits {
    uint32_t warm;  /* leases that can be granted at once, always */
    uint32_t max;   /* pods at most, of every phase */
    uint32_t slots; /* leases a pod holds at a time, at least 1 */
    uint32_t uses;  /* leases a pod serves in its life; 0: no end */
};

struct pools_rules {
    uint32_t pods_max;         /* all pools together */
    uint32_t creating_max;     /* pods in the making at a time, all pools together; 0: no bound */
    uint32_t waiting_max;      /* leases waiting, all pools together */
    uint32_t ready_timeout_ms; /* a pod not ready by then has failed */
    uint32_t retry_base_ms;    /* back-off of creating after pods failed */
    uint32_t retry_max_ms;
    struct scale_rules scale;
};

struct pool;

struct pool_pod {
    struct pool_pod *prev, *next;           /* among those of its phase */
    struct pool_pod *open_prev, *open_next; /* among those with a free slot, or among those whose destruction is to be told */
    struct pool *pool;
    enum pool_phase phase;
    uint32_t leases;
    uint32_t served;
    int64_t created_ms;
    int64_t since_ms;  /* in this phase */
    enum pool_why why; /* once it is to be destroyed */
    bool is_doomed;    /* to be destroyed, and no action has said so yet */
    bool is_adopted;   /* made by an earlier instance: its age is not known */
    bool is_stale;     /* to be replaced */
    bool is_broken;    /* takes no new lease, and goes when its last one ends */
    void *user;        /* the manager's own */
};

struct pool_waiter {
    struct pool_waiter *prev, *next;
    int64_t since_ms;
    int64_t until_ms;
    void *user;
};

struct pool {
    struct pool_limits limits;
    size_t index; /* of the language */
    struct pool_pod *pods[_POOL_PHASE_MAX];
    uint32_t n_pods[_POOL_PHASE_MAX];
    struct pool_pod *open; /* oldest first */
    uint32_t n_free;       /* free slots of the open ones */
    uint32_t n_leases;     /* of pods that are not on their way out */
    uint32_t n_stale;      /* stale pods that are not on their way out */
    struct pool_waiter *waiting;
    uint32_t n_waiting;
    int64_t expires_ms; /* no waiter gives up before that */
    struct scale_rate arrivals;
    struct scale_state scale;
    struct scale_decision decision; /* the last one */
    double warm_up_ms;              /* smoothed; 0: not known yet */
    struct rw_backoff retry;
    int64_t retry_at_ms; /* no pod is created before that */
};

struct pools {
    struct pools_rules rules;
    struct pool *pools; /* by index of the language */
    size_t n_pools;
    uint32_t n_pods; /* all pools, every phase */
    uint32_t n_creating;
    uint32_t n_waiting;
    struct pool_pod *doomed; /* to be destroyed, not told yet */
    bool is_usable;          /* whether the backend can make pods at all */
    bool is_draining;
};

enum pool_action_kind { POOL_GRANT, POOL_REJECT, POOL_CREATE, POOL_DESTROY };

struct pool_action {
    enum pool_action_kind kind;
    enum pool_why why;
    struct pool *pool;
    struct pool_pod *pod; /* grant, destroy, create: borrowed, until pools_pod_gone */
    void *waiter;         /* grant, reject: the user pointer given to pools_wait */
    int64_t waited_ms;    /* grant, reject */
};

struct pool_actions {
    struct pool_action *items;
    size_t count;
    size_t capacity;
};
void pool_actions_done(struct pool_actions *actions);

/* limits: one a language. */
struct pools *pools_new(const struct pools_rules *rules, const struct pool_limits *limits, size_t n_limits);
void pools_free(struct pools *pools);
RW_DEFINE_AUTO(struct pools *, pools_free);

/* A lease is wanted. OVERLOADED when waiting_max wait already, CANCELLED while draining; otherwise `user` comes back in a grant or
 * a reject exactly once. */
RW_NODISCARD int pools_wait(struct pools *pools, size_t index, int64_t now_ms, uint32_t wait_ms, void *user, struct rw_error *err);
/* A lease is given back. is_broken: the pod must not serve another one, whatever uses it has left; the leases that it holds besides
 * go on, because one that went wrong says nothing about its neighbours. */
void pools_lease_end(struct pools *pools, struct pool_pod *pod, bool is_broken, int64_t now_ms);

/* A grant that was not given out: as if it had never been. */
void pools_take_back(struct pools *pools, struct pool_pod *pod, int64_t now_ms);
/* A pod that an earlier instance has made joins the pool, whatever its bounds say: as one in the making (`ready` may follow), or, when it
 * is leased, as one whose single lease nobody here knows; that one ends when the backend says so, or by pools_lease_end. */
struct pool_pod *pools_pod_adopt(struct pools *pools, size_t index, bool is_leased, int64_t now_ms);
/* Pods are made otherwise by now: it is replaced when no lease needs it, one pod of a pool at a time. Until then it serves. */
void pools_pod_stale(struct pools *pools, struct pool_pod *pod);

/* What the backend reports. */
void pools_pod_ready(struct pools *pools, struct pool_pod *pod, int64_t now_ms);
/* It can serve no longer; the backend removes it, pools_pod_gone follows. Counts against creating when it held no lease. */
void pools_pod_failed(struct pools *pools, struct pool_pod *pod, int64_t now_ms);
/* Nothing is left of it: frees the pod. One that was not being destroyed counts as failed. */
void pools_pod_gone(struct pools *pools, struct pool_pod *pod, int64_t now_ms);

void pools_set_usable(struct pools *pools, bool is_usable);
void pools_drain(struct pools *pools); /* no more leases and no more pods; idle pods go, leased ones when their leases end */

/* Append what is to be done now, in the order: grants, rejects, creations, destructions. The state counts it as done. */
void pools_decide(struct pools *pools, int64_t now_ms, struct pool_actions *actions);

uint32_t pool_count(const struct pool *pool); /* pods of every phase */
bool pool_is_failing(const struct pool *pool);

#endif
