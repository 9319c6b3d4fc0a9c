/* Pods as the API server shows them: what matters of one, and one made from a PodTemplate. Pure: JSON in, structs and JSON out. */
#ifndef KUBE_POD_H
#define KUBE_POD_H

#include <stdint.h>

#include <cjson/cJSON.h>

#include <rw/error.h>
#include <rw/isolation.h>
#include <rw/runner_protocol.h>

#define KUBE_LABEL_MANAGED        "runwave.dev/pool" /* = the manager's instance; what is listed and watched */
#define KUBE_LABEL_LANGUAGE       "runwave.dev/language"
#define KUBE_LABEL_ISOLATION      "runwave.dev/isolation"    /* pod or sandbox; pod without it */
#define KUBE_LABEL_STATE          "runwave.dev/state"        /* warm or leased */
#define KUBE_ANNOTATION_TEMPLATE  "runwave.dev/template"     /* uid and resourceVersion of the PodTemplate it was made from */
#define KUBE_ANNOTATION_UNTIL     "runwave.dev/leased-until" /* seconds since the Unix epoch: when a lease is over at the latest */
#define KUBE_ENV_SECRET           "RUNWAVE_POD_SECRET"
#define KUBE_RUNNER_CONTAINER     "runner"
#define KUBE_LANGUAGE_PLACEHOLDER "$(language)" /* in a template's image names */

enum { KUBE_NAME_BYTES = 254, KUBE_UID_BYTES = 64, KUBE_VERSION_BYTES = 64, KUBE_IP_BYTES = 64, KUBE_DETAIL_BYTES = 200 };

enum kube_trouble {
#define KUBE_TROUBLE(name, text, is_lost, is_slow) KUBE_TROUBLE_##name,
#include "kube_trouble.def"
#undef KUBE_TROUBLE
    _KUBE_TROUBLE_MAX
};
const char *kube_trouble_name(enum kube_trouble trouble);
bool kube_trouble_is_lost(enum kube_trouble trouble);
bool kube_trouble_is_slow(enum kube_trouble trouble);

struct kube_pod {
    char name[KUBE_NAME_BYTES];
    char uid[KUBE_UID_BYTES];
    char resource_version[KUBE_VERSION_BYTES]; /* opaque: compared for equality only */
    char ip[KUBE_IP_BYTES];                    /* "" before it has one */
    char language[64];                         /* "" without the label */
    enum rw_isolation isolation;
    char template_version[KUBE_UID_BYTES + KUBE_VERSION_BYTES];
    int64_t leased_until_s; /* 0: says nothing */
    int64_t created_s;      /* since the Unix epoch, by the API server's clock; 0: says nothing */
    bool is_ready;
    bool is_leased;    /* by its label, which follows behind the lease */
    bool is_deleting;  /* has a deletionTimestamp */
    bool has_finished; /* its runner ended well, as after a job */
    bool has_secret;
    uint8_t secret[RW_POD_SECRET_BYTES];
    enum kube_trouble trouble;
    char detail[KUBE_DETAIL_BYTES]; /* of the trouble, one line for people */
};

/* PROTOCOL when it lacks a name, a uid or a resourceVersion, or one of them is too long. */
RW_NODISCARD int kube_pod_read(const cJSON *object, struct kube_pod *ret_pod, struct rw_error *err);

struct kube_pod_making {
    const char *name;
    const char *language;
    enum rw_isolation isolation;
    uint32_t slots;
    uint32_t uses;
    const char *instance;    /* value of KUBE_LABEL_MANAGED */
    const uint8_t *secret;   /* RW_POD_SECRET_BYTES */
    const char *required;    /* layers of the sandbox without which the runner does not start; "", NULL: as the template has it */
    const char *plan;        /* what the runner starts ahead; NULL: nothing */
    const char *anchor_name; /* ConfigMap that owns the pod: deleting it removes every pod */
    const char *anchor_uid;
    uint32_t active_deadline_s;
};

/* The pod to be created, from a PodTemplate object. What a template must not loosen is set here whatever it says: restartPolicy Never,
 * no service-account token, no service links, the deadline. CONFIG when the template has no container named "runner".
 * *ret_pod is the caller's. */
RW_NODISCARD int kube_pod_make(const cJSON *pod_template, const struct kube_pod_making *making, cJSON **ret_pod,
                               struct rw_error *err);

/* Uid and resourceVersion of a template as one text: pods made from another one are replaced gradually. */
void kube_template_version(const cJSON *pod_template, char out[static KUBE_UID_BYTES + KUBE_VERSION_BYTES]);

#endif
