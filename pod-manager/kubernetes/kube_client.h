/* Requests to the API server, on the common HTTP client: credentials put on and kept fresh, answers parsed, failures named.
 *
 * Retried here, because the server says that it did nothing: 429 (after its Retry-After) and 401 (once, with fresh credentials). Everything
 * else is the caller's to judge. https://kubernetes.io/docs/reference/using-api/api-concepts/ */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include <uv.h>

#include <cjson/cJSON.h>

#include <rw/http_client.h>
#include <rw/metrics.h>

#include "kube_credentials.h"

struct kube_client;
struct kube_call;

enum kube_content { KUBE_JSON, KUBE_MERGE_PATCH };

struct kube_request {
    const char *method;
    const char *path;  /* "/api/v1/namespaces/x/pods?limit=500"; parts that are not constants are percent-encoded by the caller */
    const cJSON *body; /* borrowed until the call returns; NULL: none */
    enum kube_content content;
    uint32_t timeout_ms;
    uint32_t idle_timeout_ms; /* of a stream */
    /* A stream: given the bytes as they come; see struct rw_http_call_options. NULL: one JSON object is expected. */
    bool (*on_data)(void *arg, struct rw_bytes data);
};

struct kube_answer {    /* borrowed */
    int status;         /* HTTP; 0 when there was no answer */
    const cJSON *json;  /* the object, or the Status of a refusal; NULL when there is none */
    const char *reason; /* of a Status: "AlreadyExists", "Expired"; "" otherwise */
};

/* Exactly once a call that was not cancelled. err: NULL for 2xx; NOT_FOUND (404), CONFLICT (409: a name that is taken or a version that
 * has moved on), FENCED (410, the version is too old to watch from), FORBIDDEN (403), FIELDS (422), UNAUTHORIZED, OVERLOADED (429 to
 * the end), and as the HTTP client's. */
typedef void (*kube_answered)(void *arg, const struct kube_answer *answer, const struct rw_error *err);

/* credentials: taken. */
RW_NODISCARD int kube_client_open(uv_loop_t *loop, struct kube_credentials *credentials, struct rw_metrics *metrics,
                                  struct kube_client **ret_client, struct rw_error *err);
const char *kube_client_namespace(const struct kube_client *client);
/* `done` never comes before it returns. */
struct kube_call *kube_client_call(struct kube_client *client, const struct kube_request *request, kube_answered done, void *arg);
void kube_call_cancel(struct kube_call *call); /* NULL is fine; done does not come any more */
/* Calls under way end without done. The memory goes when the loop has closed the handles. */
void kube_client_close(struct kube_client *client);

#endif
