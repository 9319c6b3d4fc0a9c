/* Reads what matters of a pod and names its trouble, by tables of the reasons that kubelet, scheduler and controllers write. */
#include "kube_pod.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rw/encoding.h>
#include <rw/json.h>

#include "kube_stream.h"

static const struct {
    const char *name;
    bool is_lost;
    bool is_slow;
} troubles[_KUBE_TROUBLE_MAX] = {
#define KUBE_TROUBLE(name, text, is_lost, is_slow) [KUBE_TROUBLE_##name] = {(text), (is_lost), (is_slow)},
#include "kube_trouble.def"
#undef KUBE_TROUBLE
};

struct reason_row {
    const char *reason;
    enum kube_trouble trouble;
};

/* status.reason of the pod itself */
static const struct reason_row pod_reasons[] = {
    {"Evicted", KUBE_TROUBLE_EVICTED},           {"DeadlineExceeded", KUBE_TROUBLE_DEADLINE},
    {"NodeLost", KUBE_TROUBLE_NODE_LOST},        {"NodeAffinity", KUBE_TROUBLE_UNSCHEDULABLE},
    {"OutOfmemory", KUBE_TROUBLE_UNSCHEDULABLE}, {"OutOfcpu", KUBE_TROUBLE_UNSCHEDULABLE},
    {"OutOfpods", KUBE_TROUBLE_UNSCHEDULABLE},   {"Preempting", KUBE_TROUBLE_DISRUPTED},
    {"Terminated", KUBE_TROUBLE_DISRUPTED},      {"Shutdown", KUBE_TROUBLE_DISRUPTED},
};

/* status.containerStatuses[].state.waiting.reason */
static const struct reason_row waiting_reasons[] = {
    {"ImagePullBackOff", KUBE_TROUBLE_IMAGE},         {"ErrImagePull", KUBE_TROUBLE_IMAGE},
    {"ErrImageNeverPull", KUBE_TROUBLE_IMAGE},        {"InvalidImageName", KUBE_TROUBLE_IMAGE},
    {"ImageInspectError", KUBE_TROUBLE_IMAGE},        {"RegistryUnavailable", KUBE_TROUBLE_IMAGE},
    {"CreateContainerError", KUBE_TROUBLE_CONTAINER}, {"CreateContainerConfigError", KUBE_TROUBLE_CONTAINER},
    {"RunContainerError", KUBE_TROUBLE_CONTAINER},    {"CrashLoopBackOff", KUBE_TROUBLE_CONTAINER},
};

/* status.containerStatuses[].state.terminated.reason; any other is an exit */
static const struct reason_row terminated_reasons[] = {
    {"OOMKilled", KUBE_TROUBLE_OOM_KILLED},
    {"ContainerCannotRun", KUBE_TROUBLE_CONTAINER},
    {"StartError", KUBE_TROUBLE_CONTAINER},
};

const char *kube_trouble_name(enum kube_trouble trouble)
{
    return troubles[trouble].name;
}

bool kube_trouble_is_lost(enum kube_trouble trouble)
{
    return troubles[trouble].is_lost;
}

bool kube_trouble_is_slow(enum kube_trouble trouble)
{
    return troubles[trouble].is_slow;
}

static enum kube_trouble look_up(const struct reason_row *rows, size_t n_rows, const char *reason)
{
    for (size_t i = 0; reason && i < n_rows; i++) {
        if (strcmp(rows[i].reason, reason) == 0) {
            return rows[i].trouble;
        }
    }
    return KUBE_TROUBLE_NONE;
}

static void set_trouble(struct kube_pod *pod, enum kube_trouble trouble, const char *reason, const char *message)
{
    if (pod->trouble != KUBE_TROUBLE_NONE || trouble == KUBE_TROUBLE_NONE) {
        return;
    }
    pod->trouble = trouble;
    (void)snprintf(pod->detail, sizeof(pod->detail), "%s%s%s", reason ? reason : "", message && *message ? ": " : "",
                   message ? message : "");
    for (char *c = pod->detail; *c; c++) {
        *c = (unsigned char)*c < 0x20 ? ' ' : *c;
    }
}

/* The condition of that type, NULL when there is none. */
static const cJSON *condition_of(const cJSON *object, const char *type)
{
    const cJSON *condition;
    cJSON_ArrayForEach(condition, rw_json_at(object, "status", "conditions", NULL))
    {
        const char *name = rw_json_string(condition, "type", NULL);
        if (name && strcmp(name, type) == 0) {
            return condition;
        }
    }
    return NULL;
}

static bool condition_is(const cJSON *condition, const char *status)
{
    const char *value = rw_json_string(condition, "status", NULL);
    return value && strcmp(value, status) == 0;
}

static void read_containers(const cJSON *object, struct kube_pod *pod)
{
    const cJSON *status;
    cJSON_ArrayForEach(status, rw_json_at(object, "status", "containerStatuses", NULL))
    {
        const cJSON *terminated = rw_json_at(status, "state", "terminated", NULL);
        if (cJSON_IsObject(terminated)) {
            const char *reason = rw_json_string(terminated, "reason", NULL);
            const cJSON *exit_code = rw_json_at(terminated, "exitCode", NULL);
            pod->has_finished = cJSON_IsNumber(exit_code) && exit_code->valuedouble == 0;
            enum kube_trouble trouble = look_up(terminated_reasons, RW_ARRAY_SIZE(terminated_reasons), reason);
            set_trouble(pod, trouble == KUBE_TROUBLE_NONE ? KUBE_TROUBLE_EXITED : trouble, reason,
                        rw_json_string(terminated, "message", NULL));
        }
        const char *reason = rw_json_string(status, "state", "waiting", "reason", NULL);
        set_trouble(pod, look_up(waiting_reasons, RW_ARRAY_SIZE(waiting_reasons), reason), reason,
                    rw_json_string(status, "state", "waiting", "message", NULL));
    }
}

static void read_trouble(const cJSON *object, struct kube_pod *pod)
{
    /* A container's OOM kill says more than the pod's phase, and an eviction says more than the exit it caused. */
    const char *reason = rw_json_string(object, "status", "reason", NULL);
    set_trouble(pod, look_up(pod_reasons, RW_ARRAY_SIZE(pod_reasons), reason), reason,
                rw_json_string(object, "status", "message", NULL));
    read_containers(object, pod);
    const cJSON *disrupted = condition_of(object, "DisruptionTarget");
    if (condition_is(disrupted, "True")) {
        set_trouble(pod, KUBE_TROUBLE_DISRUPTED, rw_json_string(disrupted, "reason", NULL),
                    rw_json_string(disrupted, "message", NULL));
    }
    const cJSON *ready = condition_of(object, "Ready");
    if (condition_is(ready, "Unknown")) {
        set_trouble(pod, KUBE_TROUBLE_NODE_LOST, rw_json_string(ready, "reason", NULL), rw_json_string(ready, "message", NULL));
    }
    const char *phase = rw_json_string(object, "status", "phase", NULL);
    if (phase && (strcmp(phase, "Failed") == 0 || strcmp(phase, "Succeeded") == 0)) {
        set_trouble(pod, KUBE_TROUBLE_EXITED, phase, NULL);
    }
    const cJSON *scheduled = condition_of(object, "PodScheduled");
    if (condition_is(scheduled, "False")) {
        set_trouble(pod, KUBE_TROUBLE_UNSCHEDULABLE, rw_json_string(scheduled, "reason", NULL),
                    rw_json_string(scheduled, "message", NULL));
    }
    if (pod->is_deleting) {
        set_trouble(pod, KUBE_TROUBLE_DELETED, "deletionTimestamp", NULL);
    }
    pod->is_ready = condition_is(ready, "True") && !kube_trouble_is_lost(pod->trouble);
}

static int copy_text(char *out, size_t size, const char *text, const char *what, struct rw_error *err)
{
    if (!text || !*text || strlen(text) >= size) {
        return rw_fail(err, PROTOCOL, "pod without a usable %s", what);
    }
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static void copy_optional(char *out, size_t size, const char *text)
{
    if (text && strlen(text) < size) {
        memcpy(out, text, strlen(text) + 1);
    }
}

/* The secret was given to the pod when it was made; a manager that takes over finds it there again. */
static void read_secret(const cJSON *object, struct kube_pod *pod)
{
    const cJSON *container;
    const cJSON *variable;
    cJSON_ArrayForEach(container, rw_json_at(object, "spec", "containers", NULL))
    {
        cJSON_ArrayForEach(variable, rw_json_at(container, "env", NULL))
        {
            const char *name = rw_json_string(variable, "name", NULL);
            const char *value = rw_json_string(variable, "value", NULL);
            if (!name || !value || strcmp(name, KUBE_ENV_SECRET) != 0) {
                continue;
            }
            RW_AUTO_FREE uint8_t *secret = NULL;
            size_t len = 0;
            if (rw_base64_decode(value, strlen(value), &secret, &len, NULL) == 0 && len == RW_POD_SECRET_BYTES) {
                memcpy(pod->secret, secret, len);
                pod->has_secret = true;
            }
        }
    }
}

/* Kubernetes writes its times in one way: "2026-01-31T12:00:00Z". */
static int64_t seconds_of(const char *text)
{
    struct tm parts = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts) : NULL;
    time_t seconds = rest && *rest == '\0' ? timegm(&parts) : 0;
    return seconds > 0 ? (int64_t)seconds : 0;
}

int kube_pod_read(const cJSON *object, struct kube_pod *ret_pod, struct rw_error *err)
{
    struct kube_pod pod = {.trouble = KUBE_TROUBLE_NONE};
    const cJSON *metadata = rw_json_at(object, "metadata", NULL);
    if (copy_text(pod.name, sizeof(pod.name), rw_json_string(metadata, "name", NULL), "name", err) < 0 ||
        copy_text(pod.uid, sizeof(pod.uid), rw_json_string(metadata, "uid", NULL), "uid", err) < 0 ||
        copy_text(pod.resource_version, sizeof(pod.resource_version), rw_json_string(metadata, "resourceVersion", NULL),
                  "resourceVersion", err) < 0) {
        return -1;
    }
    copy_optional(pod.ip, sizeof(pod.ip), rw_json_string(object, "status", "podIP", NULL));
    copy_optional(pod.language, sizeof(pod.language), rw_json_string(metadata, "labels", KUBE_LABEL_LANGUAGE, NULL));
    copy_optional(pod.template_version, sizeof(pod.template_version),
                  rw_json_string(metadata, "annotations", KUBE_ANNOTATION_TEMPLATE, NULL));
    const char *isolation = rw_json_string(metadata, "labels", KUBE_LABEL_ISOLATION, NULL);
    enum rw_isolation level = isolation ? rw_isolation_parse(isolation) : RW_ISOLATION_POD;
    pod.isolation = level == _RW_ISOLATION_INVALID ? RW_ISOLATION_POD : level;
    const char *until = rw_json_string(metadata, "annotations", KUBE_ANNOTATION_UNTIL, NULL);
    pod.leased_until_s = until && strlen(until) < 12 && strspn(until, "0123456789") == strlen(until) ? strtoll(until, NULL, 10) : 0;
    pod.created_s = seconds_of(rw_json_string(metadata, "creationTimestamp", NULL));
    const char *state = rw_json_string(metadata, "labels", KUBE_LABEL_STATE, NULL);
    pod.is_leased = state && strcmp(state, "leased") == 0;
    pod.is_deleting = rw_json_string(metadata, "deletionTimestamp", NULL) != NULL;
    read_secret(object, &pod);
    read_trouble(object, &pod);
    *ret_pod = pod;
    return 0;
}
