/* The kubernetes backend: a pod is a Pod, made from a PodTemplate through the API server.
 *
 *   backend_kubernetes.c   the table; whether pods can be made: election, anchor, views
 *   kubernetes_pod.c       one pod's life: created, judged by what the view shows, deleted
 *   kubernetes_view.c      the views of pods and templates
 *   kubernetes_notes.c     what is written beside the pods' life: labels of leased ones, Events about troubles
 *   kubernetes/            the client; knows nothing of all this
 *
 * Every pod with our label is known here by name, ours or not: on gaining the Lease those that are there are adopted, on losing it all
 * are let go. A pod counts from create until the API server no longer has it: answers to our own calls and the watch both say so, whichever
 * comes first, so a view that lags behind can neither lose a pod nor make one too many. */
#ifndef KUBERNETES_H
#define KUBERNETES_H

#include <uthash.h>

#include <rw/backoff.h>

#include "backend.h"
#include "config.h"
#include "kube_lease.h"
#include "kube_pod.h"
#include "kube_watch.h"

enum { KUBERNETES_CALL_MS = 10000, KUBERNETES_TEXT_BYTES = 320 };

struct kubernetes;

enum kubernetes_step {
    KUBERNETES_SEEN,     /* by the view alone: another instance's, or not adopted yet */
    KUBERNETES_REFUSED,  /* cannot even be asked for: to be told in a moment */
    KUBERNETES_CREATING, /* asked for; the outcome is not known */
    KUBERNETES_LIVING,
    KUBERNETES_ENDING, /* asked to be deleted until it is gone */
    KUBERNETES_OVER,   /* gone has been told, or it is not ours any more; the view or a call may still speak of it */
};

struct kubernetes_pod {
    UT_hash_handle hh; /* by name */
    struct kubernetes *kubernetes;
    enum kubernetes_step step;
    struct kube_pod seen; /* as last read; the name always, the rest once it is in the view */
    uint32_t slots, uses; /* of one that is made here */
    uint8_t secret[RW_POD_SECRET_BYTES];
    struct kube_call *call;     /* create or delete, under way */
    struct kube_call *mark;     /* the label change, under way */
    struct rw_backoff backoff;  /* of the calls */
    int64_t next_ms;            /* when the call is to be made (again); 0: not at all */
    int64_t born_ms;            /* by our clock */
    enum backend_reason reason; /* once it has failed or is ending */
    char detail[KUBE_DETAIL_BYTES];
    int64_t unready_ms;     /* since when it is not ready any more although it was; 0: it is */
    int64_t leased_until_s; /* real time, of a lease that has been marked or adopted; 0: none */
    bool is_ours;           /* the manager knows it */
    bool is_adopted;
    bool is_in_view;
    bool is_listed; /* by the list under way */
    bool is_ready_told;
    bool is_stale_told;
    bool wants_mark;
    bool is_trouble_noted;
};

struct kubernetes_template {
    UT_hash_handle hh; /* by name */
    char name[KUBE_NAME_BYTES];
    char version[KUBE_UID_BYTES + KUBE_VERSION_BYTES];
    cJSON *object;
    bool is_listed;
};

struct kubernetes_view {
    struct kube_watch *watch;
    bool is_listed; /* at least once */
    bool is_current;
    int64_t lost_ms; /* since when it is not */
    char trouble[KUBERNETES_TEXT_BYTES];
};

struct kubernetes {
    uv_loop_t *loop;
    const struct kubernetes_config *config;
    const char *required;                 /* layers of the sandbox, for the runner; "": none */
    const struct rw_catalogue *catalogue; /* of what is started ahead; NULL: nothing is */
    uint32_t ready_timeout_ms;
    struct backend_events events;
    struct kube_client *client;
    struct kube_lease *lease;
    struct kube_call *anchor_call;
    char *namespace_;
    char *pods_path;
    char *identity;
    char anchor_uid[KUBE_UID_BYTES]; /* "": not known */
    char anchor_trouble[KUBERNETES_TEXT_BYTES];
    int64_t anchor_at_ms; /* when it is to be read */
    struct kubernetes_view pods_view;
    struct kubernetes_view templates_view;
    struct kubernetes_pod *pods;
    struct kubernetes_template *templates;
    char holder[KUBERNETES_TEXT_BYTES]; /* of the Lease */
    bool is_leading;
    bool is_elected; /* whether the election has said anything yet */
    bool is_active;  /* has adopted what is there, and makes pods */
    bool is_handing_over;
    bool is_told;
    bool is_usable_told;
    char told[KUBERNETES_TEXT_BYTES];
    unsigned n_notes; /* Events under way */
    unsigned n_marks;
    double note_tokens;
    int64_t note_ms;
    struct rw_gauge *leader;
    struct rw_counter *notes_dropped;
};

/* kubernetes_pod.c */
int kubernetes_pod_create(struct kubernetes *kubernetes, const char *name, const struct backend_wish *wish, struct rw_error *err);
void kubernetes_pod_end(struct kubernetes_pod *pod);                  /* destroy */
void kubernetes_pod_adopt(struct kubernetes_pod *pod);                /* one that is seen becomes ours */
void kubernetes_pod_let_go(struct kubernetes_pod *pod);               /* ours becomes somebody else's */
void kubernetes_pod_judge(struct kubernetes_pod *pod);                /* after `seen` has changed */
void kubernetes_pod_vanished(struct kubernetes_pod *pod);             /* from the view */
void kubernetes_pod_tick(struct kubernetes_pod *pod, int64_t now_ms); /* may free it */
struct kubernetes_pod *kubernetes_pod_add(struct kubernetes *kubernetes, const char *name);
void kubernetes_pod_free(struct kubernetes_pod *pod); /* no calls under way any more, or the client is closed */

/* kubernetes_view.c */
void kubernetes_view_open(struct kubernetes *kubernetes, struct rw_metrics *metrics);
void kubernetes_view_close(struct kubernetes *kubernetes);
/* The template that pods of a language at a level are made from: runner-<language>, else runner; at the level sandbox sandbox-<language>,
 * else sandbox. NULL: none. */
const struct kubernetes_template *kubernetes_template_of(const struct kubernetes *kubernetes, const char *language,
                                                         enum rw_isolation isolation);

/* kubernetes_notes.c */
void kubernetes_note_trouble(struct kubernetes_pod *pod, enum backend_reason reason, const char *detail); /* an Event */
void kubernetes_mark(struct kubernetes_pod *pod); /* its label says leased; later when too many are under way */

/* backend_kubernetes.c */
void kubernetes_update(struct kubernetes *kubernetes); /* something has changed that decides whether pods can be made */
void kubernetes_label(const char *language, char out[static BACKEND_NAME_BYTES]);

#endif
