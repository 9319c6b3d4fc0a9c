/* Backends: what makes pods. One file with one table of functions, registered by one line in backend_registry.c;
 * docs/adding-a-backend.md says how, tests/conformance runs the same cases against each.
 *
 * Everything happens on the loop's thread. Nothing blocks: create and destroy start something, events tell what came of it, later,
 * never from inside a call of the table. A pod has one name for its whole life, given by the manager and never used again.
 *
 * The life of a pod that create accepted:
 *
 *     create ──► ready ──► failed ──► gone     gone comes exactly once and last: nothing of the pod is left, its room may be used.
 *        └─────────┴─────────┴─────────┘       ready and failed come at most once each, and may be left out.
 *
 * `failed` says that the pod can serve no longer while something of it still is there (a container to be removed, a node that does
 * not answer); the backend removes it by itself. After destroy neither ready nor failed comes any more. */
#ifndef BACKEND_H
#define BACKEND_H

#include <uv.h>

#include <rw/error.h>
#include <rw/isolation.h>
#include <rw/language.h>
#include <rw/metrics.h>
#include <rw/runner_protocol.h>

enum { BACKEND_NAME_BYTES = 64 }; /* of a pod: a DNS label with its NUL, so that every backend can use it as it is */

enum backend_reason {
#define BACKEND_REASON(name, text) BACKEND_##name,
#include "backend_reason.def"
#undef BACKEND_REASON
    _BACKEND_REASON_MAX
};
const char *backend_reason_name(enum backend_reason reason);

struct backend_ready {     /* all borrowed during the event */
    const char *address;   /* "unix:PATH" or "tcp:HOST:PORT" */
    const uint8_t *secret; /* RW_POD_SECRET_BYTES: known to this pod's runner alone */
};

struct backend_adopted {
    const char *language; /* as given to create, '+' perhaps become 'p' */
    enum rw_isolation isolation;
    bool is_leased;
};

struct backend_events {
    void (*ready)(void *arg, const char *pod, const struct backend_ready *info);
    void (*failed)(void *arg, const char *pod, enum backend_reason reason, const char *detail);
    void (*gone)(void *arg, const char *pod, enum backend_reason reason, const char *detail);
    /* Whether pods can be made at all. The backend says so once after open, and again whenever it changes. detail: one line for
     * people, what is wrong and how to mend it; NULL while usable. */
    void (*usable)(void *arg, bool is_usable, const char *detail);
    /* Which layers of the sandbox are in force, in the words of runwave-runner --require; whenever that is found out. */
    void (*layers)(void *arg, const char *layers);
    /* A pod that an earlier instance has made is ours from now on, as if create had made it: `ready` may follow (not when it is leased), and
     * `gone` will. Only from backends whose pods outlive the manager. */
    void (*adopted)(void *arg, const char *pod, const struct backend_adopted *info);
    /* Pods of its language are made otherwise by now: it is to be replaced when no lease needs it. Once a pod. */
    void (*stale)(void *arg, const char *pod);
    void *arg;
};

struct backend_wish { /* what kind of pod; borrowed during the call */
    const char *language;
    enum rw_isolation isolation;
    uint32_t slots; /* attempts at a time; 1 at the level pod */
    uint32_t uses;  /* attempts in its life; 0: no end; 1 at the level pod */
};

struct backend_listed {
    const char *pod;
    int64_t process; /* the runner's process id on this machine; 0 where there is none to be seen */
};

enum backend_manner {
    BACKEND_GENTLY, /* it may end by itself for a moment; its lease is over, or it never had one */
    BACKEND_AT_ONCE,
};

struct manager_config;
struct backend; /* what a backend makes of it is its own */

struct backend_options {
    uv_loop_t *loop;
    const struct manager_config *config; /* borrowed until closed, as the catalogue */
    const struct rw_catalogue *catalogue;
    struct rw_metrics *metrics; /* for metrics of its own */
    struct backend_events events;
};

struct backend_class {
    const char *name;      /* in the configuration: `backend: local` */
    bool has_sandbox_pods; /* can make pods of the isolation level sandbox, too */
    uint32_t creating_max; /* pods in the making at a time; 0: no bound. prepare may set config->creating_max instead */
    /* Defaults and checks of the backend's own section of the configuration. CONFIG. */
    int (*prepare)(struct manager_config *config, struct rw_error *err);
    /* Removes what an earlier instance has left, or takes it over. */
    int (*open)(const struct backend_options *options, struct backend **ret_backend, struct rw_error *err);
    /* -1: there is no such pod and no event will come. */
    int (*create)(struct backend *backend, const char *pod, const struct backend_wish *wish, struct rw_error *err);
    /* A name that is not known (any more) is no fault. Safe to repeat, also to go from gently to at once. */
    void (*destroy)(struct backend *backend, const char *pod, enum backend_manner manner);
    /* Optional. The pod has been leased: for those who look at the platform, and for the instance that comes after this one. */
    void (*mark_leased)(struct backend *backend, const char *pod, uint32_t deadline_ms);
    /* Optional. The manager is stopping: another instance may take the pods over. `gone` (handed over) comes for each soon; until then
     * destroy does nothing any more. Without it, the manager destroys its pods when it stops. */
    void (*hand_over)(struct backend *backend);
    /* Every pod that is not gone. */
    void (*list)(struct backend *backend, void (*each)(void *arg, const struct backend_listed *pod), void *arg);
    /* Now and then, about every 100 ms: the backend's own deadlines. */
    void (*tick)(struct backend *backend, int64_t now_ms);
    /* Closes every handle; pods that are left are killed, or stay to be adopted, without events. The memory goes when the loop has
     * closed the handles. */
    void (*close)(struct backend *backend);
};

/* backend_registry.c. NULL: unknown. */
const struct backend_class *backend_find(const char *name);
const struct backend_class *backend_at(size_t index); /* NULL past the last */

#endif
