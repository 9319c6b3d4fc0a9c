/* Makes a pod from a PodTemplate. The template is the user's, changed with kubectl; what keeps RunWave's promises is set here. */
#include <stdio.h>
#include <string.h>

#include <rw/encoding.h>
#include <rw/json.h>

#include "kube_pod.h"
#include "kube_stream.h"

void kube_template_version(const cJSON *pod_template, char out[static KUBE_UID_BYTES + KUBE_VERSION_BYTES])
{
    const char *uid = rw_json_string(pod_template, "metadata", "uid", NULL);
    const char *version = rw_json_string(pod_template, "metadata", "resourceVersion", NULL);
    (void)snprintf(out, KUBE_UID_BYTES + KUBE_VERSION_BYTES, "%s.%s", uid ? uid : "", version ? version : "");
}

static cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* The object of that key, made when it is not there. */
static cJSON *object_of(cJSON *parent, const char *key)
{
    cJSON *found = member(parent, key);
    if (cJSON_IsObject(found)) {
        return found;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(parent, key);
    return cJSON_AddObjectToObject(parent, key);
}

static void put(cJSON *object, const char *key, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    cJSON_AddItemToObject(object, key, value);
}

static cJSON *runner_container(const cJSON *spec)
{
    cJSON *container;
    cJSON_ArrayForEach(container, member(spec, "containers"))
    {
        const char *name = rw_json_string(container, "name", NULL);
        if (name && strcmp(name, KUBE_RUNNER_CONTAINER) == 0) {
            return container;
        }
    }
    return NULL;
}

/* One template may serve every language: the placeholder in an image's name becomes the language. */
static void fill_images(cJSON *containers, const char *language)
{
    cJSON *container;
    cJSON_ArrayForEach(container, containers)
    {
        const char *image = rw_json_string(container, "image", NULL);
        const char *place = image ? strstr(image, KUBE_LANGUAGE_PLACEHOLDER) : NULL;
        if (place) {
            RW_AUTO_FREE char *filled = rw_xasprintf("%.*s%s%s", (int)(place - image), image, language,
                                                     place + strlen(KUBE_LANGUAGE_PLACEHOLDER));
            put(container, "image", cJSON_CreateString(filled));
        }
    }
}

static void set_variable(cJSON *container, const char *name, const char *value)
{
    cJSON *list = member(container, "env");
    if (!cJSON_IsArray(list)) {
        cJSON_DeleteItemFromObjectCaseSensitive(container, "env");
        list = cJSON_AddArrayToObject(container, "env");
    }
    for (int i = cJSON_GetArraySize(list) - 1; i >= 0; i--) {
        const char *have = rw_json_string(cJSON_GetArrayItem(list, i), "name", NULL);
        if (have && strcmp(have, name) == 0) {
            cJSON_DeleteItemFromArray(list, i);
        }
    }
    cJSON *variable = cJSON_CreateObject();
    cJSON_AddStringToObject(variable, "name", name);
    cJSON_AddStringToObject(variable, "value", value);
    cJSON_AddItemToArray(list, variable);
}

static void set_number(cJSON *container, const char *name, uint32_t value)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%u", (unsigned)value);
    set_variable(container, name, text);
}

static void set_metadata(cJSON *pod, const cJSON *pod_template, const struct kube_pod_making *making)
{
    cJSON *metadata = object_of(pod, "metadata");
    put(metadata, "name", cJSON_CreateString(making->name));
    cJSON *labels = object_of(metadata, "labels");
    put(labels, "app.kubernetes.io/part-of", cJSON_CreateString("runwave"));
    put(labels, "app.kubernetes.io/component", cJSON_CreateString("runner"));
    put(labels, KUBE_LABEL_MANAGED, cJSON_CreateString(making->instance));
    put(labels, KUBE_LABEL_LANGUAGE, cJSON_CreateString(making->language));
    put(labels, KUBE_LABEL_ISOLATION, cJSON_CreateString(rw_isolation_name(making->isolation)));
    put(labels, KUBE_LABEL_STATE, cJSON_CreateString("warm"));
    char version[KUBE_UID_BYTES + KUBE_VERSION_BYTES];
    kube_template_version(pod_template, version);
    put(object_of(metadata, "annotations"), KUBE_ANNOTATION_TEMPLATE, cJSON_CreateString(version));

    cJSON *owner = cJSON_CreateObject();
    cJSON_AddStringToObject(owner, "apiVersion", "v1");
    cJSON_AddStringToObject(owner, "kind", "ConfigMap");
    cJSON_AddStringToObject(owner, "name", making->anchor_name);
    cJSON_AddStringToObject(owner, "uid", making->anchor_uid);
    cJSON *owners = cJSON_CreateArray();
    cJSON_AddItemToArray(owners, owner);
    put(metadata, "ownerReferences", owners);
}

int kube_pod_make(const cJSON *pod_template, const struct kube_pod_making *making, cJSON **ret_pod, struct rw_error *err)
{
    const cJSON *body = rw_json_at(pod_template, "template", NULL);
    RW_AUTO(cJSON_Delete) cJSON *pod = cJSON_IsObject(body) ? cJSON_Duplicate(body, true) : cJSON_CreateObject();
    cJSON *spec = member(pod, "spec");
    cJSON *container = runner_container(spec);
    if (!container) {
        const char *name = rw_json_string(pod_template, "metadata", "name", NULL);
        return rw_fail(err, CONFIG, "PodTemplate %s has no container named %s", name ? name : "?", KUBE_RUNNER_CONTAINER);
    }
    put(pod, "apiVersion", cJSON_CreateString("v1"));
    put(pod, "kind", cJSON_CreateString("Pod"));
    set_metadata(pod, pod_template, making);
    put(spec, "restartPolicy", cJSON_CreateString("Never"));
    put(spec, "automountServiceAccountToken", cJSON_CreateFalse());
    put(spec, "enableServiceLinks", cJSON_CreateFalse());
    put(spec, "activeDeadlineSeconds", cJSON_CreateNumber(making->active_deadline_s));
    fill_images(member(spec, "containers"), making->language);
    fill_images(member(spec, "initContainers"), making->language);
    RW_AUTO_FREE char *secret = rw_base64_encode(rw_bytes_of(making->secret, RW_POD_SECRET_BYTES));
    set_variable(container, KUBE_ENV_SECRET, secret);
    set_variable(container, "RUNWAVE_POD", making->name);
    set_number(container, "RUNWAVE_SLOTS", making->slots); /* for the template's arguments: $(RUNWAVE_SLOTS) */
    set_number(container, "RUNWAVE_USES", making->uses);
    if (making->required && making->required[0]) {
        set_variable(container, "RUNWAVE_REQUIRE", making->required);
    }
    if (making->plan) {
        set_variable(container, "RUNWAVE_WARM", making->plan);
    }
    *ret_pod = rw_take(pod);
    return 0;
}
