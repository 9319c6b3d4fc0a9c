/* One pod's life. Calls are made one at a time a pod and repeated until their outcome is known: a create answered "already exists" was ours, names
 * being random; a delete answered "not found" is done.
 *
 * Events of the view come from inside the HTTP client, where calls may be made but not cancelled: nothing is freed but by the tick. */
#include <stdio.h>
#include <string.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/json.h>
#include <rw/log.h>
#include <rw/random.h>

#include "kube_stream.h"
#include "kubernetes.h"

enum { LEASE_SLACK_S = 5, LEASE_LONGEST_MS = 3600000 };
enum { RETRY_BASE_MS = 100, RETRY_MAX_MS = 5000, DELETE_AGAIN_MS = 3000, TELL_BEFORE_MS = 1000, UNREADY_MS = 5000 };

static enum backend_reason reason_of(const struct kube_pod *seen)
{
    static const enum backend_reason reasons[_KUBE_TROUBLE_MAX] = {
        [KUBE_TROUBLE_NONE] = BACKEND_DELETED,
        [KUBE_TROUBLE_OOM_KILLED] = BACKEND_OOM_KILLED,
        [KUBE_TROUBLE_EVICTED] = BACKEND_EVICTED,
        [KUBE_TROUBLE_DISRUPTED] = BACKEND_DISRUPTED,
        [KUBE_TROUBLE_DEADLINE] = BACKEND_DEADLINE,
        [KUBE_TROUBLE_NODE_LOST] = BACKEND_NODE_LOST,
        [KUBE_TROUBLE_EXITED] = BACKEND_EXITED,
        [KUBE_TROUBLE_DELETED] = BACKEND_DELETED,
        [KUBE_TROUBLE_IMAGE] = BACKEND_IMAGE,
        [KUBE_TROUBLE_CONTAINER] = BACKEND_CONTAINER,
        [KUBE_TROUBLE_UNSCHEDULABLE] = BACKEND_UNSCHEDULABLE,
        [KUBE_TROUBLE_QUOTA] = BACKEND_QUOTA,
    };
    /* A runner that ended well has told its result, whatever its control group saw on the way. */
    bool is_end = seen->trouble == KUBE_TROUBLE_EXITED || seen->trouble == KUBE_TROUBLE_OOM_KILLED;
    return is_end && seen->has_finished ? BACKEND_FINISHED : reasons[seen->trouble];
}

struct kubernetes_pod *kubernetes_pod_add(struct kubernetes *kubernetes, const char *name)
{
    struct kubernetes_pod *pod = rw_xcalloc(1, sizeof(*pod));
    pod->kubernetes = kubernetes;
    pod->born_ms = rw_monotonic_ms();
    (void)snprintf(pod->seen.name, sizeof(pod->seen.name), "%s", name);
    rw_backoff_init(&pod->backoff, RETRY_BASE_MS, RETRY_MAX_MS);
    HASH_ADD_STR(kubernetes->pods, seen.name, pod);
    return pod;
}

void kubernetes_pod_free(struct kubernetes_pod *pod)
{
    HASH_DEL(pod->kubernetes->pods, pod);
    explicit_bzero(pod->secret, sizeof(pod->secret));
    explicit_bzero(pod->seen.secret, sizeof(pod->seen.secret));
    free(pod);
}

static void set_reason(struct kubernetes_pod *pod, enum backend_reason reason, const char *detail)
{
    pod->reason = reason;
    (void)snprintf(pod->detail, sizeof(pod->detail), "%.*s", (int)sizeof(pod->detail) - 1, detail ? detail : "");
}

static void be_gone(struct kubernetes_pod *pod)
{
    const struct kubernetes *kubernetes = pod->kubernetes;
    bool was_ours = pod->is_ours;
    pod->step = KUBERNETES_OVER;
    pod->is_ours = false;
    pod->next_ms = 0;
    if (was_ours) {
        kubernetes->events.gone(kubernetes->events.arg, pod->seen.name, pod->reason, pod->detail);
    }
}

static void again(struct kubernetes_pod *pod, uint32_t delay_ms)
{
    pod->next_ms = rw_monotonic_ms() + (delay_ms ? delay_ms : rw_backoff_next_ms(&pod->backoff));
}

/* ---- deleting ---- */

static void on_deleted(void *arg, const struct kube_answer *answer, const struct rw_error *err)
{
    struct kubernetes_pod *pod = arg;
    (void)answer;
    pod->call = NULL;
    if (pod->step != KUBERNETES_ENDING) {
        return;
    }
    if (err && (err->code == RW_ERR_NOT_FOUND || err->code == RW_ERR_CONFLICT)) { /* conflict: the name is another pod's by now */
        be_gone(pod);
    } else if (err) {
        rw_log_error(RW_LOG_WARNING, "cannot delete a pod", err, RW_LOG_STR("pod", pod->seen.name));
        again(pod, 0);
    } else {
        again(pod, DELETE_AGAIN_MS); /* unless the view says before that it is gone */
    }
}

static void send_delete(struct kubernetes_pod *pod)
{
    RW_AUTO(cJSON_Delete) cJSON *body = cJSON_CreateObject();
    RW_AUTO_FREE char *path = rw_xasprintf("%s/%s", pod->kubernetes->pods_path, pod->seen.name);
    cJSON_AddStringToObject(body, "apiVersion", "v1");
    cJSON_AddStringToObject(body, "kind", "DeleteOptions");
    cJSON_AddNumberToObject(body, "gracePeriodSeconds", 0);
    if (*pod->seen.uid) {
        cJSON_AddStringToObject(cJSON_AddObjectToObject(body, "preconditions"), "uid", pod->seen.uid);
    }
    pod->next_ms = 0;
    pod->call = kube_client_call(
        pod->kubernetes->client,
        &(struct kube_request){.method = "DELETE", .path = path, .body = body, .timeout_ms = KUBERNETES_CALL_MS}, on_deleted, pod);
}

static void end(struct kubernetes_pod *pod)
{
    pod->step = KUBERNETES_ENDING;
    rw_backoff_reset(&pod->backoff);
    if (!pod->call) { /* else its answer comes first */
        send_delete(pod);
    }
}

void kubernetes_pod_end(struct kubernetes_pod *pod)
{
    if (pod->step == KUBERNETES_REFUSED) {
        set_reason(pod, BACKEND_DESTROYED, NULL);
    } else if (pod->step == KUBERNETES_CREATING || pod->step == KUBERNETES_LIVING || pod->step == KUBERNETES_SEEN) {
        set_reason(pod, BACKEND_DESTROYED, NULL);
        end(pod);
    }
}

/* It serves no longer: say so, and remove it. */
static void fail(struct kubernetes_pod *pod, enum backend_reason reason, const char *detail)
{
    const struct kubernetes *kubernetes = pod->kubernetes;
    set_reason(pod, reason, detail);
    if (reason != BACKEND_FINISHED) {
        kubernetes_note_trouble(pod, reason, pod->detail);
    }
    end(pod);
    kubernetes->events.failed(kubernetes->events.arg, pod->seen.name, reason, pod->detail);
}

/* ---- creating ---- */

/* What a refusal means. The outcome of everything that is not here is not known. */
static bool is_refused(const struct rw_error *err, enum backend_reason *ret_reason)
{
    static const struct {
        enum rw_err code;
        enum backend_reason reason;
    } rows[] = {
        {RW_ERR_FORBIDDEN, BACKEND_FORBIDDEN},    {RW_ERR_FIELDS, BACKEND_MISCONFIGURED}, {RW_ERR_NOT_FOUND, BACKEND_MISCONFIGURED},
        {RW_ERR_PROTOCOL, BACKEND_MISCONFIGURED}, {RW_ERR_UNAUTHORIZED, BACKEND_REFUSED}, {RW_ERR_CONFLICT, BACKEND_REFUSED},
        {RW_ERR_OVERLOADED, BACKEND_REFUSED},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(rows); i++) {
        if (rows[i].code == err->code) {
            bool is_quota = err->code == RW_ERR_FORBIDDEN && strstr(err->message, "exceeded quota");
            *ret_reason = is_quota ? BACKEND_QUOTA : rows[i].reason;
            return true;
        }
    }
    return false;
}

static void on_created(void *arg, const struct kube_answer *answer, const struct rw_error *err)
{
    struct kubernetes_pod *pod = arg;
    enum backend_reason reason = BACKEND_REFUSED;
    pod->call = NULL;
    if (!err && !*pod->seen.uid) {
        const char *uid = rw_json_string(answer->json, "metadata", "uid", NULL);
        (void)snprintf(pod->seen.uid, sizeof(pod->seen.uid), "%s", uid ? uid : "");
    }
    bool is_there = !err || strcmp(answer->reason, "AlreadyExists") == 0;
    if (pod->step == KUBERNETES_ENDING) {
        send_delete(pod);
    } else if (pod->step != KUBERNETES_CREATING) {
        return;
    } else if (is_there) {
        pod->step = KUBERNETES_LIVING;
        rw_backoff_reset(&pod->backoff);
    } else if (pod->is_in_view) {
        pod->step = KUBERNETES_LIVING; /* the answer was lost, the pod is there */
    } else if (is_refused(err, &reason)) {
        set_reason(pod, reason, err->message);
        kubernetes_note_trouble(pod, reason, pod->detail);
        be_gone(pod);
    } else {
        again(pod, 0);
    }
}

static int make(const struct kubernetes_pod *pod, cJSON **ret_body, struct rw_error *err)
{
    const struct kubernetes *kubernetes = pod->kubernetes;
    const struct kubernetes_template *pod_template = kubernetes_template_of(kubernetes, pod->seen.language, pod->seen.isolation);
    if (!pod_template) {
        return rw_fail(err, CONFIG, "there is no PodTemplate for %s at the isolation level %s in namespace %s", pod->seen.language,
                       rw_isolation_name(pod->seen.isolation), kubernetes->namespace_);
    }
    const struct rw_language *language = kubernetes->catalogue ? rw_catalogue_find(kubernetes->catalogue, pod->seen.language)
                                                               : NULL;
    struct kube_pod_making making = {
        .name = pod->seen.name,
        .language = pod->seen.language,
        .isolation = pod->seen.isolation,
        .slots = pod->slots,
        .uses = pod->uses,
        .instance = kubernetes->config->instance,
        .secret = pod->secret,
        .required = kubernetes->required,
        .plan = language ? rw_language_warm_plan(language) : NULL,
        .anchor_name = kubernetes->config->anchor,
        .anchor_uid = kubernetes->anchor_uid,
        .active_deadline_s = kubernetes->config->active_deadline_s,
    };
    return kube_pod_make(pod_template->object, &making, ret_body, err);
}

static int send_create(struct kubernetes_pod *pod, struct rw_error *err)
{
    RW_AUTO(cJSON_Delete) cJSON *body = NULL;
    if (make(pod, &body, err)) {
        return -1;
    }
    pod->next_ms = 0;
    pod->call = kube_client_call(
        pod->kubernetes->client,
        &(struct kube_request){
            .method = "POST", .path = pod->kubernetes->pods_path, .body = body, .timeout_ms = KUBERNETES_CALL_MS},
        on_created, pod);
    return 0;
}

int kubernetes_pod_create(struct kubernetes *kubernetes, const char *name, const struct backend_wish *wish, struct rw_error *err)
{
    struct kubernetes_pod *known = NULL;
    struct rw_error making;
    HASH_FIND_STR(kubernetes->pods, name, known);
    if (!kubernetes->is_active) {
        return rw_fail(err, UNAVAILABLE, "this pod-manager does not lead");
    }
    if (known) {
        return rw_fail(err, CONFLICT, "there is a pod of the name %s already", name);
    }
    struct kubernetes_pod *pod = kubernetes_pod_add(kubernetes, name);
    char label[BACKEND_NAME_BYTES];
    kubernetes_label(wish->language, label);
    (void)snprintf(pod->seen.language, sizeof(pod->seen.language), "%s", label);
    pod->seen.isolation = wish->isolation;
    pod->slots = wish->slots;
    pod->uses = wish->uses;
    rw_random_bytes(pod->secret, sizeof(pod->secret));
    pod->is_ours = true;
    pod->step = KUBERNETES_CREATING;
    if (send_create(pod, &making)) { /* told from the tick, with its reason */
        set_reason(pod, BACKEND_MISCONFIGURED, making.message);
        pod->step = KUBERNETES_REFUSED;
    }
    return 0;
}

/* ---- what the view shows ---- */

/* One that an earlier instance has made is as old as the API server says, as far as the clocks agree. */
static void take_age(struct kubernetes_pod *pod)
{
    int64_t age_ms = rw_realtime_us() / 1000 - pod->seen.created_s * 1000;
    if (pod->seen.created_s && age_ms > 0) {
        pod->born_ms = rw_monotonic_ms() - age_ms;
    }
}

void kubernetes_pod_adopt(struct kubernetes_pod *pod)
{
    const struct kubernetes *kubernetes = pod->kubernetes;
    if (pod->seen.is_deleting || kube_trouble_is_lost(pod->seen.trouble) || !pod->seen.has_secret || !*pod->seen.language) {
        set_reason(pod, reason_of(&pod->seen), pod->seen.detail);
        end(pod); /* nobody's, and of no use */
        return;
    }
    memcpy(pod->secret, pod->seen.secret, sizeof(pod->secret));
    pod->is_ours = pod->is_adopted = true;
    pod->leased_until_s = pod->seen.leased_until_s;
    take_age(pod);
    pod->step = KUBERNETES_LIVING;
    rw_log(RW_LOG_INFO, "adopting a pod", RW_LOG_STR("pod", pod->seen.name), RW_LOG_BOOL("leased", pod->seen.is_leased));
    const struct backend_adopted info = {
        .language = pod->seen.language, .isolation = pod->seen.isolation, .is_leased = pod->seen.is_leased};
    kubernetes->events.adopted(kubernetes->events.arg, pod->seen.name, &info);
    if (pod->step == KUBERNETES_LIVING) {
        kubernetes_pod_judge(pod);
    }
}

void kubernetes_pod_let_go(struct kubernetes_pod *pod)
{
    enum kubernetes_step step = pod->step;
    if (pod->is_ours) {
        set_reason(pod, BACKEND_HANDED_OVER, NULL);
        be_gone(pod);
    }
    if (step == KUBERNETES_ENDING) { /* nobody has a use for it any more: it goes on being deleted */
        set_reason(pod, BACKEND_DESTROYED, NULL);
        pod->step = step;
        again(pod, 0);
    }
    pod->is_adopted = false;
    pod->is_ready_told = pod->is_stale_told = pod->wants_mark = false;
}

static void be_ready(struct kubernetes_pod *pod)
{
    const struct kubernetes *kubernetes = pod->kubernetes;
    RW_AUTO_FREE char *address = strchr(pod->seen.ip, ':') ? rw_xasprintf("tcp:[%s]:%u", pod->seen.ip, kubernetes->config->port)
                                                           : rw_xasprintf("tcp:%s:%u", pod->seen.ip, kubernetes->config->port);
    struct backend_ready info = {.address = address, .secret = pod->secret};
    pod->is_ready_told = true;
    kubernetes->events.ready(kubernetes->events.arg, pod->seen.name, &info);
}

void kubernetes_pod_judge(struct kubernetes_pod *pod)
{
    if (!pod->is_ours || (pod->step != KUBERNETES_LIVING && pod->step != KUBERNETES_CREATING)) {
        return;
    }
    if (kube_trouble_is_lost(pod->seen.trouble)) {
        fail(pod, reason_of(&pod->seen), pod->seen.detail);
    } else if (pod->seen.is_ready && *pod->seen.ip && !pod->is_ready_told) {
        be_ready(pod);
    }
    if (!pod->is_ready_told || pod->seen.is_ready) {
        pod->unready_ms = 0;
    } else if (!pod->unready_ms) {
        pod->unready_ms = rw_monotonic_ms();
    }
}

void kubernetes_pod_vanished(struct kubernetes_pod *pod)
{
    pod->is_in_view = false;
    if (pod->step == KUBERNETES_CREATING || pod->step == KUBERNETES_LIVING) {
        set_reason(pod, reason_of(&pod->seen), pod->seen.detail);
        be_gone(pod);
    } else if (pod->step == KUBERNETES_ENDING) {
        be_gone(pod);
    } else if (pod->step == KUBERNETES_SEEN) {
        pod->step = KUBERNETES_OVER;
    }
}

/* ---- time ---- */

/* The pool would give it up in a moment as never ready: we know better why. */
static void check_making(struct kubernetes_pod *pod, int64_t now_ms)
{
    bool is_slow = pod->is_ours && !pod->is_ready_told && !pod->seen.is_leased && kube_trouble_is_slow(pod->seen.trouble);
    if (!is_slow) {
        return;
    }
    if (!pod->is_trouble_noted) {
        pod->is_trouble_noted = true;
        kubernetes_note_trouble(pod, reason_of(&pod->seen), pod->seen.detail);
    }
    if (now_ms - pod->born_ms >= (int64_t)pod->kubernetes->ready_timeout_ms - TELL_BEFORE_MS) {
        fail(pod, reason_of(&pod->seen), pod->seen.detail);
    }
}

/* Nothing of its own takes a warm pod's readiness away, so it is its node that is not heard of: the cluster says so long before it
 * gives the pods up. A leased one may still serve, and whoever talks to it notices if not. A kubelet that starts looks at every pod
 * anew, hence the patience. */
static void check_node(struct kubernetes_pod *pod, int64_t now_ms)
{
    bool is_leased = pod->seen.is_leased || pod->leased_until_s || pod->wants_mark;
    if (pod->is_ours && pod->unready_ms && !is_leased && now_ms - pod->unready_ms >= UNREADY_MS) {
        fail(pod, BACKEND_NODE_LOST, "a warm pod that is not ready any more");
    }
}

/* Made from a template that is not the current one, or so old that its deadline comes near. */
static void check_age(struct kubernetes_pod *pod, int64_t now_ms)
{
    const struct kubernetes *kubernetes = pod->kubernetes;
    const struct kubernetes_template *pod_template = kubernetes_template_of(kubernetes, pod->seen.language, pod->seen.isolation);
    bool is_other = pod_template && strcmp(pod_template->version, pod->seen.template_version) != 0;
    bool is_old = now_ms - pod->born_ms >= (int64_t)kubernetes->config->active_deadline_s * 500;
    if (pod->is_ours && !pod->is_stale_told && (is_other || is_old)) {
        pod->is_stale_told = true;
        rw_log(RW_LOG_INFO, "a pod is to be replaced", RW_LOG_STR("pod", pod->seen.name),
               RW_LOG_STR("why", is_other ? "its PodTemplate has changed" : "its deadline comes near"));
        kubernetes->events.stale(kubernetes->events.arg, pod->seen.name);
    }
}

/* A lease of an earlier instance, which nobody here can end, is over at its deadline. */
static void check_lease(struct kubernetes_pod *pod, int64_t now_ms)
{
    int64_t until_s = pod->leased_until_s;
    bool is_over = until_s ? rw_realtime_us() / 1000000 > until_s + LEASE_SLACK_S : now_ms - pod->born_ms > LEASE_LONGEST_MS;
    if (pod->is_ours && pod->is_adopted && pod->seen.is_leased && is_over) {
        fail(pod, BACKEND_DEADLINE, "the lease that an earlier instance gave is over");
    }
}

static void take_step(struct kubernetes_pod *pod)
{
    struct rw_error err;
    if (pod->step == KUBERNETES_ENDING) {
        send_delete(pod);
    } else if (pod->step == KUBERNETES_CREATING && send_create(pod, &err)) {
        again(pod, 0); /* an earlier try may have made it, so it is not over yet */
    }
}

void kubernetes_pod_tick(struct kubernetes_pod *pod, int64_t now_ms)
{
    if (pod->step == KUBERNETES_REFUSED) {
        be_gone(pod);
    }
    if (pod->step == KUBERNETES_OVER && pod->reason == BACKEND_HANDED_OVER && pod->is_in_view && !pod->call) {
        pod->step = KUBERNETES_SEEN;
    }
    if (pod->step == KUBERNETES_OVER && !pod->is_in_view && !pod->call && !pod->mark) {
        kubernetes_pod_free(pod);
        return;
    }
    if (pod->next_ms && now_ms >= pod->next_ms && !pod->call) {
        take_step(pod);
    }
    if (pod->step == KUBERNETES_LIVING && pod->is_in_view) {
        check_making(pod, now_ms);
    }
    if (pod->step == KUBERNETES_LIVING && pod->is_in_view) {
        check_node(pod, now_ms);
    }
    if (pod->step == KUBERNETES_LIVING && pod->is_in_view) {
        check_age(pod, now_ms);
    }
    if (pod->step == KUBERNETES_LIVING && pod->is_in_view) {
        check_lease(pod, now_ms);
    }
    if (pod->wants_mark && !pod->mark && pod->step == KUBERNETES_LIVING && pod->is_in_view) {
        kubernetes_mark(pod);
    }
}
