/* A pod as the API server shows it, or as somebody with its rights has made it: whatever is in it, what is read keeps its bounds. The same
 * text as a PodTemplate: what is made of it keeps RunWave's promises. */
#include "fuzz.h"

#include <string.h>

#include <rw/auto.h>
#include <rw/json.h>

#include "kube_pod.h"
#include "kube_stream.h"

enum { TEXT_BYTES_MAX = 64 * 1024 };

static void check_text(const char *text, size_t size)
{
    HOLDS(memchr(text, '\0', size));
}

static void check_pod(const cJSON *json)
{
    static struct kube_pod pod;
    struct rw_error err = {0};
    if (kube_pod_read(json, &pod, &err) < 0) {
        HOLDS(err.code == RW_ERR_PROTOCOL);
        return;
    }
    check_text(pod.name, sizeof(pod.name));
    check_text(pod.uid, sizeof(pod.uid));
    check_text(pod.resource_version, sizeof(pod.resource_version));
    check_text(pod.ip, sizeof(pod.ip));
    check_text(pod.language, sizeof(pod.language));
    check_text(pod.template_version, sizeof(pod.template_version));
    check_text(pod.detail, sizeof(pod.detail));
    HOLDS(*pod.name && *pod.uid && *pod.resource_version && pod.trouble < _KUBE_TROUBLE_MAX);
    HOLDS(!pod.is_ready || !kube_trouble_is_lost(pod.trouble));
    HOLDS(strpbrk(pod.detail, "\n\r\t") == NULL);
}

static void check_made(const cJSON *json)
{
    static const uint8_t secret[RW_POD_SECRET_BYTES] = {1};
    struct kube_pod_making making = {.name = "python-0",
                                     .language = "python",
                                     .instance = "runwave",
                                     .secret = secret,
                                     .anchor_name = "anchor",
                                     .anchor_uid = "uid",
                                     .active_deadline_s = 60};
    struct rw_error err = {0};
    RW_AUTO(cJSON_Delete) cJSON *pod = NULL;
    if (kube_pod_make(json, &making, &pod, &err) < 0) {
        HOLDS(err.code == RW_ERR_CONFIG && !pod);
        return;
    }
    const char *restart = rw_json_string(pod, "spec", "restartPolicy", NULL);
    HOLDS(restart && strcmp(restart, "Never") == 0);
    HOLDS(cJSON_IsFalse(rw_json_at(pod, "spec", "automountServiceAccountToken", NULL)));
    HOLDS(cJSON_IsFalse(rw_json_at(pod, "spec", "enableServiceLinks", NULL)));
    HOLDS(cJSON_GetArraySize(rw_json_at(pod, "metadata", "ownerReferences", NULL)) == 1);
    HOLDS(strcmp(rw_json_string(pod, "metadata", "name", NULL), "python-0") == 0);
    HOLDS(strcmp(rw_json_string(pod, "metadata", "labels", KUBE_LABEL_MANAGED, NULL), "runwave") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    struct rw_error err = {0};
    if (size > TEXT_BYTES_MAX || kube_json_parse(rw_bytes_of(data, size), &json, &err) < 0) {
        return 0;
    }
    check_pod(json);
    check_made(json);
    return 0;
}
