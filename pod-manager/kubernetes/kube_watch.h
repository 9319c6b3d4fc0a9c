/* List, then watch: keeps a view of one kind of object current for as long as it is open. Restarts with back-off, lists again when the
 * server says that its version is too old (410, as a status or as an event) and every few minutes as a safety net. */
#ifndef KUBE_WATCH_H
#define KUBE_WATCH_H

#include "kube_client.h"

struct kube_watch;

struct kube_watch_events { /* objects are borrowed */
    /* A fresh list begins: what is not named by `present` until `listed` comes is gone. */
    void (*listing)(void *arg);
    void (*present)(void *arg, const cJSON *object); /* from a list, or added or modified since */
    void (*deleted)(void *arg, const cJSON *object);
    void (*listed)(void *arg);
    void (*state)(void *arg, bool is_current, const struct rw_error *err); /* the view is current, or why it is not */
    void *arg;
};

struct kube_watch_options {
    struct kube_client *client;
    uv_loop_t *loop;
    const char *path;  /* "/api/v1/namespaces/x/pods" */
    const char *query; /* "labelSelector=a%3Db", percent-encoded, or "" */
    uint32_t relist_ms;
    struct kube_watch_events events;
    struct rw_counter *n_restarts; /* may be NULL */
    struct rw_counter *n_lists;    /* may be NULL */
};

struct kube_watch *kube_watch_open(const struct kube_watch_options *options);
/* Cut the stream, as a network may; it comes back by itself. For tests. */
void kube_watch_cut(struct kube_watch *watch);
void kube_watch_close(struct kube_watch *watch); /* no events afterwards; the memory goes when the loop has closed the timer */

#endif
