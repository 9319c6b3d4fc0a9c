/* The views: pods with our label, and PodTemplates. What is seen first goes into the tables, then to the pods' lives. */
#include <stdio.h>
#include <string.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/json.h>
#include <rw/log.h>

#include "kube_stream.h"
#include "kubernetes.h"

/* Of PodTemplates: that one for every language, and with "-<language>" behind it the one for that language. */
static const char *const template_names[_RW_ISOLATION_MAX] = {[RW_ISOLATION_POD] = "runner", [RW_ISOLATION_SANDBOX] = "sandbox"};

/* ---- pods ---- */

static void on_pods_listing(void *arg)
{
    struct kubernetes *kubernetes = arg;
    for (struct kubernetes_pod *pod = kubernetes->pods; pod; pod = pod->hh.next) {
        pod->is_listed = false;
    }
}

static void take_pod(struct kubernetes *kubernetes, const struct kube_pod *read)
{
    struct kubernetes_pod *pod = NULL;
    HASH_FIND_STR(kubernetes->pods, read->name, pod);
    if (!pod) {
        pod = kubernetes_pod_add(kubernetes, read->name);
        pod->step = KUBERNETES_SEEN;
    }
    if (*pod->seen.uid && strcmp(pod->seen.uid, read->uid) != 0) {
        kubernetes_pod_vanished(pod); /* deleted, and made again by somebody under the same name */
        return;
    }
    pod->seen = *read;
    pod->is_in_view = pod->is_listed = true;
    if (pod->step == KUBERNETES_SEEN && kubernetes->is_active) {
        kubernetes_pod_adopt(pod);
    } else {
        kubernetes_pod_judge(pod);
    }
}

static void on_pod_present(void *arg, const cJSON *object)
{
    struct kube_pod read;
    struct rw_error err;
    if (kube_pod_read(object, &read, &err)) {
        rw_log_error(RW_LOG_WARNING, "cannot read a pod", &err);
        return;
    }
    take_pod(arg, &read);
    explicit_bzero(read.secret, sizeof(read.secret));
}

static void on_pod_deleted(void *arg, const cJSON *object)
{
    const struct kubernetes *kubernetes = arg;
    const char *name = rw_json_string(object, "metadata", "name", NULL);
    const char *uid = rw_json_string(object, "metadata", "uid", NULL);
    struct kubernetes_pod *pod = NULL;
    if (name && uid) {
        HASH_FIND_STR(kubernetes->pods, name, pod);
    }
    if (pod && (!*pod->seen.uid || strcmp(pod->seen.uid, uid) == 0)) {
        kubernetes_pod_vanished(pod);
    }
}

/* What was in the view and is not in the list is gone: the list is newer than whatever showed it. One that the view has not shown yet may
 * be younger than the list; a delete, if it comes to that, finds out. */
static void on_pods_listed(void *arg)
{
    struct kubernetes *kubernetes = arg;
    struct kubernetes_pod *pod = NULL;
    struct kubernetes_pod *next = NULL;
    HASH_ITER(hh, kubernetes->pods, pod, next)
    {
        if (pod->is_in_view && !pod->is_listed) {
            kubernetes_pod_vanished(pod);
        }
    }
    kubernetes->pods_view.is_listed = true;
}

/* ---- templates ---- */

static void remove_template(struct kubernetes *kubernetes, struct kubernetes_template *pod_template)
{
    HASH_DEL(kubernetes->templates, pod_template);
    cJSON_Delete(pod_template->object);
    free(pod_template);
}

static struct kubernetes_template *find_template(const struct kubernetes *kubernetes, const char *name)
{
    struct kubernetes_template *pod_template = NULL;
    if (name) {
        HASH_FIND_STR(kubernetes->templates, name, pod_template);
    }
    return pod_template;
}

const struct kubernetes_template *kubernetes_template_of(const struct kubernetes *kubernetes, const char *language,
                                                         enum rw_isolation isolation)
{
    char name[KUBE_NAME_BYTES];
    (void)snprintf(name, sizeof(name), "%s-%s", template_names[isolation], language);
    const struct kubernetes_template *own = find_template(kubernetes, name);
    return own ? own : find_template(kubernetes, template_names[isolation]);
}

static void on_templates_listing(void *arg)
{
    const struct kubernetes *kubernetes = arg;
    for (struct kubernetes_template *pod_template = kubernetes->templates; pod_template; pod_template = pod_template->hh.next) {
        pod_template->is_listed = false;
    }
}

static bool is_ours(const char *name)
{
    for (int level = 0; level < _RW_ISOLATION_MAX; level++) {
        size_t len = strlen(template_names[level]);
        if (strncmp(name, template_names[level], len) == 0 && (name[len] == '\0' || name[len] == '-')) {
            return true;
        }
    }
    return false;
}

static void on_template_present(void *arg, const cJSON *object)
{
    struct kubernetes *kubernetes = arg;
    const char *name = rw_json_string(object, "metadata", "name", NULL);
    if (!name || strlen(name) >= KUBE_NAME_BYTES || !is_ours(name)) {
        return;
    }
    struct kubernetes_template *pod_template = find_template(kubernetes, name);
    if (!pod_template) {
        pod_template = rw_xcalloc(1, sizeof(*pod_template));
        (void)snprintf(pod_template->name, sizeof(pod_template->name), "%s", name);
        HASH_ADD_STR(kubernetes->templates, name, pod_template);
    }
    cJSON_Delete(pod_template->object);
    pod_template->object = cJSON_Duplicate(object, true);
    pod_template->is_listed = true;
    kube_template_version(object, pod_template->version);
}

static void on_template_deleted(void *arg, const cJSON *object)
{
    struct kubernetes *kubernetes = arg;
    struct kubernetes_template *pod_template = find_template(kubernetes, rw_json_string(object, "metadata", "name", NULL));
    if (pod_template) {
        remove_template(kubernetes, pod_template);
    }
}

static void on_templates_listed(void *arg)
{
    struct kubernetes *kubernetes = arg;
    struct kubernetes_template *pod_template = NULL;
    struct kubernetes_template *next = NULL;
    HASH_ITER(hh, kubernetes->templates, pod_template, next)
    {
        if (!pod_template->is_listed) {
            remove_template(kubernetes, pod_template);
        }
    }
    kubernetes->templates_view.is_listed = true;
}

/* ---- both ---- */

static void take_state(struct kubernetes *kubernetes, struct kubernetes_view *view, bool is_current, const struct rw_error *err)
{
    if (view->is_current && !is_current) {
        view->lost_ms = rw_monotonic_ms();
    }
    view->is_current = is_current;
    (void)snprintf(view->trouble, sizeof(view->trouble), "%s", err ? err->message : "");
    if (err) {
        rw_log_error(RW_LOG_WARNING, "lost the view of the cluster", err);
    }
    kubernetes_update(kubernetes);
}

static void on_pods_state(void *arg, bool is_current, const struct rw_error *err)
{
    struct kubernetes *kubernetes = arg;
    take_state(kubernetes, &kubernetes->pods_view, is_current, err);
}

static void on_templates_state(void *arg, bool is_current, const struct rw_error *err)
{
    struct kubernetes *kubernetes = arg;
    take_state(kubernetes, &kubernetes->templates_view, is_current, err);
}

static struct kube_watch *open_watch(struct kubernetes *kubernetes, const char *path, const char *query, const char *labels,
                                     const struct kube_watch_events *events, struct rw_metrics *metrics)
{
    struct kube_watch_options options = {
        .client = kubernetes->client,
        .loop = kubernetes->loop,
        .path = path,
        .query = query,
        .relist_ms = kubernetes->config->relist_ms,
        .events = *events,
        .n_restarts = rw_metrics_counter(metrics, "runwave_kubernetes_watch_ends_total", labels, "Watch streams that ended"),
        .n_lists = rw_metrics_counter(metrics, "runwave_kubernetes_lists_total", labels, "Lists begun"),
    };
    options.events.arg = kubernetes;
    return kube_watch_open(&options);
}

void kubernetes_view_open(struct kubernetes *kubernetes, struct rw_metrics *metrics)
{
    static const struct kube_watch_events pods = {.listing = on_pods_listing,
                                                  .present = on_pod_present,
                                                  .deleted = on_pod_deleted,
                                                  .listed = on_pods_listed,
                                                  .state = on_pods_state};
    static const struct kube_watch_events templates = {.listing = on_templates_listing,
                                                       .present = on_template_present,
                                                       .deleted = on_template_deleted,
                                                       .listed = on_templates_listed,
                                                       .state = on_templates_state};
    RW_AUTO_FREE char *selector = rw_xasprintf("%s=%s", KUBE_LABEL_MANAGED, kubernetes->config->instance);
    RW_AUTO_FREE char *encoded = kube_encode(selector);
    RW_AUTO_FREE char *query = rw_xasprintf("labelSelector=%s", encoded);
    RW_AUTO_FREE char *path = rw_xasprintf("/api/v1/namespaces/%s/podtemplates", kubernetes->namespace_);
    kubernetes->pods_view.watch = open_watch(kubernetes, kubernetes->pods_path, query, "kind=\"pods\"", &pods, metrics);
    kubernetes->templates_view.watch = open_watch(kubernetes, path, "", "kind=\"podtemplates\"", &templates, metrics);
}

void kubernetes_view_close(struct kubernetes *kubernetes)
{
    struct kubernetes_template *pod_template = NULL;
    struct kubernetes_template *next = NULL;
    kube_watch_close(kubernetes->pods_view.watch);
    kube_watch_close(kubernetes->templates_view.watch);
    HASH_ITER(hh, kubernetes->templates, pod_template, next)
    {
        remove_template(kubernetes, pod_template);
    }
}
