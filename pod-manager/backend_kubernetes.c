/* The kubernetes backend's table, and whether pods can be made: we lead, the anchor is there, and both views have been listed.
 *
 * Two instances at once do no harm (runners take one job, writes carry uids); one at a time leads by a Lease, so that there are not two
 * sets of pods. The one that leads adopts what it finds; the one that stops leading forgets its pods, which live on. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/encoding.h>
#include <rw/json.h>
#include <rw/log.h>
#include <rw/random.h>

#include "kube_stream.h"
#include "kubernetes.h"

enum { LEASE_DURATION_MS = 15000, LEASE_DEADLINE_MS = 10000, LEASE_RETRY_MS = 2000 }; /* as client-go has them */
enum { SHARED_MARK_S = 60 };
enum { ANCHOR_PERIOD_MS = 60000, ANCHOR_RETRY_MS = 2000, VIEW_PATIENCE_MS = 20000, CREATING_MAX_DEFAULT = 16 };

/* ---- configuration ---- */

static void set_default(char **text, const char *usual)
{
    if (!*text) {
        *text = rw_xstrdup(usual);
    }
}

struct number {
    const char *name;
    uint32_t *value;
    uint32_t usual;
    uint32_t min;
    uint32_t max;
};

static int kubernetes_prepare(struct manager_config *config, struct rw_error *err)
{
    struct kubernetes_config *kubernetes = &config->kubernetes;
    set_default(&kubernetes->instance, "runwave");
    set_default(&kubernetes->anchor, "runwave-runners");
    set_default(&kubernetes->lease, "runwave-pod-manager");
    const struct number numbers[] = {
        {"active_deadline_s", &kubernetes->active_deadline_s, 86400, 60, 604800},
        {"port", &kubernetes->port, 7000, 1, 65535},
        {"relist_ms", &kubernetes->relist_ms, 300000, 1000, 3600000},
        {"creating_max", &kubernetes->creating_max, CREATING_MAX_DEFAULT, 1, 10000},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(numbers); i++) {
        if (*numbers[i].value == 0) {
            *numbers[i].value = numbers[i].usual;
        }
        if (*numbers[i].value < numbers[i].min || *numbers[i].value > numbers[i].max) {
            return rw_fail(err, CONFIG, "kubernetes.%s: must be %u to %u", numbers[i].name, numbers[i].min, numbers[i].max);
        }
    }
    static const char label[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    if (strspn(kubernetes->instance, label) != strlen(kubernetes->instance) || kubernetes->instance[0] == '-') {
        return rw_fail(err, CONFIG, "kubernetes.instance: one word of a-z, 0-9 and '-', not beginning with '-'");
    }
    config->creating_max = kubernetes->creating_max;
    return 0;
}

void kubernetes_label(const char *language, char out[static BACKEND_NAME_BYTES])
{
    (void)snprintf(out, BACKEND_NAME_BYTES, "%s", language);
    for (char *at = strchr(out, '+'); at; at = strchr(at, '+')) {
        *at = 'p'; /* a label has no '+' */
    }
}

/* ---- whether pods can be made ---- */

static void tell_usable(struct kubernetes *kubernetes, bool is_usable, const char *detail)
{
    if (kubernetes->is_told && kubernetes->is_usable_told == is_usable && strcmp(kubernetes->told, detail) == 0) {
        return;
    }
    kubernetes->is_told = true;
    kubernetes->is_usable_told = is_usable;
    (void)snprintf(kubernetes->told, sizeof(kubernetes->told), "%s", detail);
    kubernetes->events.usable(kubernetes->events.arg, is_usable, is_usable ? NULL : kubernetes->told);
}

/* Why the view is of no use; NULL while it is, or while there is hope. Of templates an old view does. */
static const char *view_trouble(const struct kubernetes *kubernetes, const struct kubernetes_view *view)
{
    bool is_fresh = view == &kubernetes->templates_view || rw_monotonic_ms() - view->lost_ms < VIEW_PATIENCE_MS;
    if (view->is_current || (view->is_listed && is_fresh)) {
        return NULL;
    }
    return *view->trouble ? view->trouble : NULL;
}

static void activate(struct kubernetes *kubernetes)
{
    struct kubernetes_pod *pod = NULL;
    struct kubernetes_pod *next = NULL;
    kubernetes->is_active = true;
    HASH_ITER(hh, kubernetes->pods, pod, next)
    {
        if (pod->step == KUBERNETES_SEEN) {
            kubernetes_pod_adopt(pod);
        }
    }
}

static void deactivate(struct kubernetes *kubernetes)
{
    struct kubernetes_pod *pod = NULL;
    struct kubernetes_pod *next = NULL;
    kubernetes->is_active = false;
    HASH_ITER(hh, kubernetes->pods, pod, next)
    {
        kubernetes_pod_let_go(pod);
    }
}

void kubernetes_update(struct kubernetes *kubernetes)
{
    const char *pods_trouble = view_trouble(kubernetes, &kubernetes->pods_view);
    const char *templates_trouble = view_trouble(kubernetes, &kubernetes->templates_view);
    bool is_listed = kubernetes->pods_view.is_listed && kubernetes->templates_view.is_listed;
    char standby[KUBERNETES_TEXT_BYTES + 64];
    if (kubernetes->is_handing_over) {
        return;
    }
    /* Where only the renewal failed, nobody else has our pods yet: they are kept, and none is made, until somebody has taken the Lease. */
    bool is_followed = *kubernetes->holder && strcmp(kubernetes->holder, kubernetes->identity) != 0;
    if (kubernetes->is_active && !kubernetes->is_leading && is_followed) {
        tell_usable(kubernetes, false, "not leading any more"); /* first, so that none is made in the place of those that go */
        deactivate(kubernetes);
    }
    if (*kubernetes->anchor_trouble) {
        tell_usable(kubernetes, false, kubernetes->anchor_trouble);
    } else if (pods_trouble || templates_trouble) {
        tell_usable(kubernetes, false, pods_trouble ? pods_trouble : templates_trouble);
    } else if (kubernetes->is_elected && !kubernetes->is_leading) {
        (void)snprintf(standby, sizeof(standby), is_followed ? "standing by: %s leads" : "the Lease %s could not be renewed",
                       is_followed ? kubernetes->holder : kubernetes->config->lease);
        tell_usable(kubernetes, false, standby);
    } else if (kubernetes->is_leading && is_listed && *kubernetes->anchor_uid) {
        if (!kubernetes->is_active) {
            activate(kubernetes);
        }
        tell_usable(kubernetes, true, "");
    }
}

/* ---- the anchor ---- */

static void on_anchor(void *arg, const struct kube_answer *answer, const struct rw_error *err)
{
    struct kubernetes *kubernetes = arg;
    const char *uid = rw_json_string(answer->json, "metadata", "uid", NULL);
    kubernetes->anchor_call = NULL;
    kubernetes->anchor_at_ms = rw_monotonic_ms() + (err ? ANCHOR_RETRY_MS : ANCHOR_PERIOD_MS);
    if (!err && uid && strlen(uid) < sizeof(kubernetes->anchor_uid)) {
        (void)snprintf(kubernetes->anchor_uid, sizeof(kubernetes->anchor_uid), "%s", uid);
        kubernetes->anchor_trouble[0] = '\0';
    } else if (err && err->code == RW_ERR_NOT_FOUND) {
        kubernetes->anchor_uid[0] = '\0';
        (void)snprintf(kubernetes->anchor_trouble, sizeof(kubernetes->anchor_trouble),
                       "there is no ConfigMap %.100s in namespace %s, which owns the pods: apply k8s-config/",
                       kubernetes->config->anchor, kubernetes->namespace_);
    } else if (err && !*kubernetes->anchor_uid) {
        (void)snprintf(kubernetes->anchor_trouble, sizeof(kubernetes->anchor_trouble), "%s", err->message);
    }
    kubernetes_update(kubernetes);
}

static void read_anchor(struct kubernetes *kubernetes)
{
    RW_AUTO_FREE char *path = rw_xasprintf("/api/v1/namespaces/%s/configmaps/%s", kubernetes->namespace_,
                                           kubernetes->config->anchor);
    kubernetes->anchor_call = kube_client_call(
        kubernetes->client, &(struct kube_request){.method = "GET", .path = path, .timeout_ms = KUBERNETES_CALL_MS}, on_anchor,
        kubernetes);
}

/* ---- the election ---- */

static void on_leading(void *arg, bool is_leading, const char *holder)
{
    struct kubernetes *kubernetes = arg;
    kubernetes->is_leading = is_leading;
    kubernetes->is_elected = true;
    (void)snprintf(kubernetes->holder, sizeof(kubernetes->holder), "%s", holder);
    rw_gauge_set(kubernetes->leader, is_leading);
    rw_log(RW_LOG_INFO, is_leading ? "leading" : "not leading", RW_LOG_STR("identity", kubernetes->identity),
           RW_LOG_STR("holder", holder));
    kubernetes_update(kubernetes);
}

static void open_lease(struct kubernetes *kubernetes)
{
    char host[256] = "pod-manager";
    uint8_t random[4];
    (void)gethostname(host, sizeof(host) - 1);
    rw_random_bytes(random, sizeof(random));
    kubernetes->identity = rw_xasprintf("%.200s_%02x%02x%02x%02x", host, random[0], random[1], random[2], random[3]);
    kubernetes->lease = kube_lease_open(&(struct kube_lease_options){.client = kubernetes->client,
                                                                     .loop = kubernetes->loop,
                                                                     .namespace_ = kubernetes->namespace_,
                                                                     .name = kubernetes->config->lease,
                                                                     .identity = kubernetes->identity,
                                                                     .duration_ms = LEASE_DURATION_MS,
                                                                     .deadline_ms = LEASE_DEADLINE_MS,
                                                                     .retry_ms = LEASE_RETRY_MS,
                                                                     .changed = on_leading,
                                                                     .arg = kubernetes});
}

/* ---- the table ---- */

static int kubernetes_open(const struct backend_options *options, struct backend **ret_backend, struct rw_error *err)
{
    const struct kubernetes_config *config = &options->config->kubernetes;
    struct kube_credentials *credentials = NULL;
    struct kube_client *client = NULL;
    if (kube_credentials_load(config->kubeconfig, &credentials, err) ||
        kube_client_open(options->loop, credentials, options->metrics, &client, err)) {
        return -1;
    }
    struct kubernetes *kubernetes = rw_xcalloc(1, sizeof(*kubernetes));
    kubernetes->loop = options->loop;
    kubernetes->config = config;
    kubernetes->required = options->config->required;
    kubernetes->catalogue = options->config->cold ? NULL : options->catalogue;
    kubernetes->ready_timeout_ms = options->config->ready_timeout_ms;
    kubernetes->events = options->events;
    kubernetes->client = client;
    kubernetes->namespace_ = rw_xstrdup(config->namespace_ ? config->namespace_ : kube_client_namespace(client));
    kubernetes->pods_path = rw_xasprintf("/api/v1/namespaces/%s/pods", kubernetes->namespace_);
    kubernetes->note_tokens = 1;
    kubernetes->note_ms = rw_monotonic_ms();
    kubernetes->leader = rw_metrics_gauge(options->metrics, "runwave_pod_manager_leading", NULL,
                                          "1 while this pod-manager is the active one");
    kubernetes->notes_dropped = rw_metrics_counter(options->metrics, "runwave_kubernetes_events_dropped_total", NULL,
                                                   "Kubernetes Events not written: too many, or refused");
    open_lease(kubernetes);
    kubernetes_view_open(kubernetes, options->metrics);
    read_anchor(kubernetes);
    *ret_backend = (struct backend *)kubernetes;
    return 0;
}

static int kubernetes_create(struct backend *backend, const char *name, const struct backend_wish *wish, struct rw_error *err)
{
    return kubernetes_pod_create((struct kubernetes *)backend, name, wish, err);
}

static struct kubernetes_pod *find_pod(const struct kubernetes *kubernetes, const char *name)
{
    struct kubernetes_pod *pod = NULL;
    HASH_FIND_STR(kubernetes->pods, name, pod);
    return pod;
}

static void kubernetes_destroy(struct backend *backend, const char *name, enum backend_manner manner)
{
    const struct kubernetes *kubernetes = (const struct kubernetes *)backend;
    struct kubernetes_pod *pod = find_pod(kubernetes, name);
    (void)manner; /* a runner whose lease is over has nothing to say any more */
    if (pod && pod->is_ours && !kubernetes->is_handing_over) {
        kubernetes_pod_end(pod);
    }
}

static void kubernetes_mark_leased(struct backend *backend, const char *name, uint32_t deadline_ms)
{
    struct kubernetes_pod *pod = find_pod((const struct kubernetes *)backend, name);
    int64_t until_s = (rw_realtime_us() / 1000 + deadline_ms) / 1000;
    bool is_shared = pod && pod->seen.isolation == RW_ISOLATION_SANDBOX;
    if (pod && pod->is_ours && (!is_shared || until_s > pod->leased_until_s)) {
        /* Of a pod with many leases a change each would be too much: it is marked for a while longer. */
        pod->leased_until_s = until_s + (is_shared ? SHARED_MARK_S : 0);
        pod->wants_mark = true; /* from the tick: most tasks are over before, and need none */
    }
}

static void on_released(void *arg)
{
    deactivate(arg);
}

static void kubernetes_hand_over(struct backend *backend)
{
    struct kubernetes *kubernetes = (struct kubernetes *)backend;
    if (!kubernetes->is_handing_over) {
        kubernetes->is_handing_over = true;
        kube_lease_release(kubernetes->lease, on_released, kubernetes);
    }
}

static void kubernetes_list(struct backend *backend, void (*each)(void *arg, const struct backend_listed *pod), void *arg)
{
    const struct kubernetes *kubernetes = (const struct kubernetes *)backend;
    for (const struct kubernetes_pod *pod = kubernetes->pods; pod; pod = pod->hh.next) {
        struct backend_listed listed = {.pod = pod->seen.name};
        if (pod->is_ours) {
            each(arg, &listed);
        }
    }
}

static void kubernetes_tick(struct backend *backend, int64_t now_ms)
{
    struct kubernetes *kubernetes = (struct kubernetes *)backend;
    struct kubernetes_pod *pod = NULL;
    struct kubernetes_pod *next = NULL;
    HASH_ITER(hh, kubernetes->pods, pod, next)
    {
        kubernetes_pod_tick(pod, now_ms);
    }
    if (!kubernetes->anchor_call && now_ms >= kubernetes->anchor_at_ms) {
        read_anchor(kubernetes);
    }
    kubernetes_update(kubernetes);
}

static void kubernetes_close(struct backend *backend)
{
    struct kubernetes *kubernetes = (struct kubernetes *)backend;
    struct kubernetes_pod *pod = NULL;
    struct kubernetes_pod *next = NULL;
    kubernetes->is_handing_over = true;
    kubernetes_view_close(kubernetes);
    kube_lease_close(kubernetes->lease);
    kube_client_close(kubernetes->client);
    HASH_ITER(hh, kubernetes->pods, pod, next)
    {
        kubernetes_pod_free(pod);
    }
    free(kubernetes->namespace_);
    free(kubernetes->pods_path);
    free(kubernetes->identity);
    free(kubernetes);
}

const struct backend_class backend_kubernetes = {
    .name = "kubernetes",
    .has_sandbox_pods = true,
    .creating_max = CREATING_MAX_DEFAULT,
    .prepare = kubernetes_prepare,
    .open = kubernetes_open,
    .create = kubernetes_create,
    .destroy = kubernetes_destroy,
    .mark_leased = kubernetes_mark_leased,
    .hand_over = kubernetes_hand_over,
    .list = kubernetes_list,
    .tick = kubernetes_tick,
    .close = kubernetes_close,
};
