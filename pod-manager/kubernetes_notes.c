/* What is written beside the pods' life, and never waited for: labels of leased pods, and Events, so that `kubectl describe` tells what
 * we know. Both are bounded: labels by how many are under way, the rest waiting for the tick; Events by a rate, the rest counted. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/json.h>

#include "kubernetes.h"

enum { MARKS_MAX = 8, NOTES_MAX = 8, NOTES_BURST = 20 };

static const double notes_per_s = 2;

/* ---- labels ---- */

static void on_marked(void *arg, const struct kube_answer *answer, const struct rw_error *err)
{
    struct kubernetes_pod *pod = arg;
    (void)answer;
    (void)err; /* a pod that looks warm and is not: whoever takes over finds that its runner refuses */
    pod->mark = NULL;
    pod->kubernetes->n_marks--;
}

void kubernetes_mark(struct kubernetes_pod *pod)
{
    struct kubernetes *kubernetes = pod->kubernetes;
    if (kubernetes->n_marks >= MARKS_MAX) {
        return;
    }
    RW_AUTO_FREE char *path = rw_xasprintf("%s/%s", kubernetes->pods_path, pod->seen.name);
    RW_AUTO(cJSON_Delete) cJSON *body = cJSON_CreateObject();
    cJSON *metadata = cJSON_AddObjectToObject(body, "metadata");
    cJSON_AddStringToObject(metadata, "uid", pod->seen.uid); /* of another pod of that name: 409 */
    cJSON_AddStringToObject(cJSON_AddObjectToObject(metadata, "labels"), KUBE_LABEL_STATE, "leased");
    RW_AUTO_FREE char *until = rw_xasprintf("%lld", (long long)pod->leased_until_s);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(metadata, "annotations"), KUBE_ANNOTATION_UNTIL, until);
    pod->wants_mark = false;
    kubernetes->n_marks++;
    pod->mark = kube_client_call(
        kubernetes->client,
        &(struct kube_request){
            .method = "PATCH", .path = path, .body = body, .content = KUBE_MERGE_PATCH, .timeout_ms = KUBERNETES_CALL_MS},
        on_marked, pod);
}

/* ---- Events ---- */

static bool take_token(struct kubernetes *kubernetes)
{
    int64_t now_ms = rw_monotonic_ms();
    double tokens = kubernetes->note_tokens + (double)(now_ms - kubernetes->note_ms) / 1000 * notes_per_s;
    kubernetes->note_tokens = tokens < NOTES_BURST ? tokens : NOTES_BURST;
    kubernetes->note_ms = now_ms;
    if (kubernetes->note_tokens < 1 || kubernetes->n_notes >= NOTES_MAX) {
        rw_counter_add(kubernetes->notes_dropped, 1);
        return false;
    }
    kubernetes->note_tokens -= 1;
    return true;
}

static void on_noted(void *arg, const struct kube_answer *answer, const struct rw_error *err)
{
    struct kubernetes *kubernetes = arg;
    (void)answer;
    kubernetes->n_notes--;
    if (err) {
        rw_counter_add(kubernetes->notes_dropped, 1);
    }
}

/* "oom_killed" as Kubernetes writes reasons: "OomKilled". */
static void camel(const char *name, char out[static 64])
{
    bool is_first = true;
    size_t len = 0;
    for (; *name && len < 63; name++) {
        if (*name != '_') {
            out[len++] = is_first ? (char)toupper((unsigned char)*name) : *name;
        }
        is_first = *name == '_';
    }
    out[len] = '\0';
}

/* About the pod, or about the anchor where no pod has come to be. */
static void add_subject(const struct kubernetes_pod *pod, cJSON *event)
{
    const struct kubernetes *kubernetes = pod->kubernetes;
    bool is_there = *pod->seen.uid != '\0';
    cJSON *subject = cJSON_AddObjectToObject(event, "involvedObject");
    cJSON_AddStringToObject(subject, "apiVersion", "v1");
    cJSON_AddStringToObject(subject, "kind", is_there ? "Pod" : "ConfigMap");
    cJSON_AddStringToObject(subject, "namespace", kubernetes->namespace_);
    cJSON_AddStringToObject(subject, "name", is_there ? pod->seen.name : kubernetes->config->anchor);
    cJSON_AddStringToObject(subject, "uid", is_there ? pod->seen.uid : kubernetes->anchor_uid);
}

void kubernetes_note_trouble(struct kubernetes_pod *pod, enum backend_reason reason, const char *detail)
{
    struct kubernetes *kubernetes = pod->kubernetes;
    char camel_reason[64];
    char now[RW_RFC3339_BYTES];
    if (!take_token(kubernetes)) {
        return;
    }
    camel(backend_reason_name(reason), camel_reason);
    (void)rw_format_rfc3339(rw_realtime_us() / 1000000 * 1000000, now);
    RW_AUTO_FREE char *path = rw_xasprintf("/api/v1/namespaces/%s/events", kubernetes->namespace_);
    RW_AUTO_FREE char *prefix = rw_xasprintf("%s.", pod->seen.name);
    RW_AUTO_FREE char *message = rw_xasprintf("%s: %s", pod->seen.name, detail);
    RW_AUTO(cJSON_Delete) cJSON *event = cJSON_CreateObject();
    cJSON *metadata = cJSON_AddObjectToObject(event, "metadata");
    cJSON_AddStringToObject(metadata, "generateName", prefix);
    cJSON_AddStringToObject(metadata, "namespace", kubernetes->namespace_);
    add_subject(pod, event);
    cJSON_AddStringToObject(event, "type", "Warning");
    cJSON_AddStringToObject(event, "reason", camel_reason);
    cJSON_AddStringToObject(event, "message", message);
    cJSON_AddStringToObject(event, "firstTimestamp", now);
    cJSON_AddStringToObject(event, "lastTimestamp", now);
    cJSON_AddNumberToObject(event, "count", 1);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(event, "source"), "component", "runwave-pod-manager");
    kubernetes->n_notes++;
    (void)kube_client_call(kubernetes->client,
                           &(struct kube_request){.method = "POST", .path = path, .body = event, .timeout_ms = KUBERNETES_CALL_MS},
                           on_noted, kubernetes);
}
