/* The election: read the lease; take it when nobody holds it or its holder has let it run out by our own clock; renew it while we hold it.
 * Every write carries the resourceVersion that was read, so of two who try at once one gets 409. */
#include "kube_lease.h"

#include <stdio.h>
#include <string.h>

#include <rw/clock.h>
#include <rw/json.h>
#include <rw/random.h>

#include "kube_pod.h"
#include "kube_stream.h"

enum { CALL_MS = 3000, RELEASE_MS = 1000, IDENTITY_BYTES = 320 };

struct kube_lease {
    struct kube_lease_options options;
    char *path;
    uv_timer_t timer;
    uv_timer_t release_timer;
    struct kube_call *call;
    char holder[IDENTITY_BYTES];
    char version[KUBE_VERSION_BYTES]; /* as last read; when it changes, the holder is alive */
    int64_t seen_ms;                  /* when the version last changed, by our clock */
    int64_t sent_ms;                  /* when the write under way was sent: the lease counts from there */
    int64_t renewed_ms;               /* of our own hold */
    int64_t transitions;
    char told_holder[IDENTITY_BYTES];
    bool is_told;
    bool is_held;
    bool is_releasing;
    int n_open;
    void (*released)(void *arg);
    void *released_arg;
};

static void attempt(uv_timer_t *timer);

static void again_after(struct kube_lease *lease, uint32_t delay_ms)
{
    if (!lease->is_releasing) {
        (void)uv_timer_start(&lease->timer, attempt, delay_ms + rw_random_below(delay_ms / 5 + 1), 0);
    }
}

static void set_held(struct kube_lease *lease, bool is_held)
{
    bool is_news = !lease->is_told || lease->is_held != is_held || strcmp(lease->holder, lease->told_holder) != 0;
    if (is_news) {
        lease->is_told = true;
        lease->is_held = is_held;
        memcpy(lease->told_holder, lease->holder, sizeof(lease->told_holder));
        lease->options.changed(lease->options.arg, is_held, lease->holder);
    }
}

/* Whatever failed: go on, but stop leading when the last renewal is too long ago to be sure of it. */
static void failed(struct kube_lease *lease)
{
    if (lease->is_held && rw_monotonic_ms() - lease->renewed_ms >= lease->options.deadline_ms) {
        set_held(lease, false);
    }
    again_after(lease, lease->options.retry_ms);
}

static void take_object(struct kube_lease *lease, const cJSON *object)
{
    const char *holder = rw_json_string(object, "spec", "holderIdentity", NULL);
    const char *version = rw_json_string(object, "metadata", "resourceVersion", NULL);
    const cJSON *transitions = rw_json_at(object, "spec", "leaseTransitions", NULL);
    if (version && strcmp(version, lease->version) != 0) {
        (void)snprintf(lease->version, sizeof(lease->version), "%s", version);
        lease->seen_ms = rw_monotonic_ms();
    }
    (void)snprintf(lease->holder, sizeof(lease->holder), "%s", holder ? holder : "");
    lease->transitions = cJSON_IsNumber(transitions) ? (int64_t)transitions->valuedouble : 0;
}

static bool is_ours(const struct kube_lease *lease)
{
    return strcmp(lease->holder, lease->options.identity) == 0;
}

static bool is_free(const struct kube_lease *lease)
{
    return !*lease->holder || rw_monotonic_ms() - lease->seen_ms >= lease->options.duration_ms;
}

static cJSON *make_body(const struct kube_lease *lease, bool is_new, const char *holder)
{
    char now[RW_RFC3339_BYTES];
    (void)rw_format_rfc3339(rw_realtime_us(), now);
    cJSON *body = cJSON_CreateObject();
    cJSON *metadata = cJSON_AddObjectToObject(body, "metadata");
    cJSON *spec = cJSON_AddObjectToObject(body, "spec");
    if (is_new) {
        cJSON_AddStringToObject(body, "apiVersion", "coordination.k8s.io/v1");
        cJSON_AddStringToObject(body, "kind", "Lease");
        cJSON_AddStringToObject(metadata, "name", lease->options.name);
        cJSON_AddStringToObject(metadata, "namespace", lease->options.namespace_);
    } else {
        cJSON_AddStringToObject(metadata, "resourceVersion", lease->version);
    }
    cJSON_AddStringToObject(spec, "holderIdentity", holder);
    uint32_t duration_s = *holder ? lease->options.duration_ms / 1000 : 1;
    cJSON_AddNumberToObject(spec, "leaseDurationSeconds", duration_s);
    cJSON_AddStringToObject(spec, "renewTime", now);
    if (!is_ours(lease)) {
        cJSON_AddStringToObject(spec, "acquireTime", now);
        cJSON_AddNumberToObject(spec, "leaseTransitions", is_new ? 0 : (double)(lease->transitions + 1));
    }
    return body;
}

static void on_written(void *arg, const struct kube_answer *answer, const struct rw_error *err)
{
    struct kube_lease *lease = arg;
    lease->call = NULL;
    if (err) {
        if (err->code == RW_ERR_CONFLICT) {
            lease->renewed_ms = INT64_MIN / 2; /* somebody else wrote it: look again before leading on */
        }
        failed(lease);
        return;
    }
    take_object(lease, answer->json);
    lease->renewed_ms = lease->sent_ms;
    set_held(lease, is_ours(lease));
    again_after(lease, lease->options.retry_ms);
}

static void write_lease(struct kube_lease *lease, bool is_new, const char *holder, kube_answered done)
{
    RW_AUTO(cJSON_Delete) cJSON *body = make_body(lease, is_new, holder);
    RW_AUTO_FREE char *path = is_new ? rw_xasprintf("/apis/coordination.k8s.io/v1/namespaces/%s/leases", lease->options.namespace_)
                                     : rw_xstrdup(lease->path);
    lease->sent_ms = rw_monotonic_ms();
    lease->call = kube_client_call(lease->options.client,
                                   &(struct kube_request){.method = is_new ? "POST" : "PATCH",
                                                          .path = path,
                                                          .body = body,
                                                          .content = is_new ? KUBE_JSON : KUBE_MERGE_PATCH,
                                                          .timeout_ms = CALL_MS},
                                   done, lease);
}

static void on_read(void *arg, const struct kube_answer *answer, const struct rw_error *err)
{
    struct kube_lease *lease = arg;
    lease->call = NULL;
    if (err && err->code == RW_ERR_NOT_FOUND) {
        lease->holder[0] = '\0';
        write_lease(lease, true, lease->options.identity, on_written);
        return;
    }
    if (err) {
        failed(lease);
        return;
    }
    take_object(lease, answer->json);
    if (is_ours(lease) || is_free(lease)) {
        write_lease(lease, false, lease->options.identity, on_written);
        return;
    }
    set_held(lease, false);
    again_after(lease, lease->options.retry_ms);
}

static void attempt(uv_timer_t *timer)
{
    struct kube_lease *lease = timer->data;
    lease->call = kube_client_call(
        lease->options.client, &(struct kube_request){.method = "GET", .path = lease->path, .timeout_ms = CALL_MS}, on_read, lease);
}

struct kube_lease *kube_lease_open(const struct kube_lease_options *options)
{
    struct kube_lease *lease = rw_xcalloc(1, sizeof(*lease));
    lease->options = *options;
    lease->path = rw_xasprintf("/apis/coordination.k8s.io/v1/namespaces/%s/leases/%s", options->namespace_, options->name);
    lease->seen_ms = rw_monotonic_ms();
    (void)uv_timer_init(options->loop, &lease->timer);
    (void)uv_timer_init(options->loop, &lease->release_timer);
    lease->timer.data = lease->release_timer.data = lease;
    lease->n_open = 2;
    (void)uv_timer_start(&lease->timer, attempt, 0, 0);
    return lease;
}

bool kube_lease_is_held(const struct kube_lease *lease)
{
    return lease->is_held;
}

static void end_release(struct kube_lease *lease)
{
    void (*released)(void *arg) = lease->released;
    lease->released = NULL;
    (void)uv_timer_stop(&lease->release_timer);
    kube_call_cancel(lease->call);
    lease->call = NULL;
    if (released) {
        released(lease->released_arg);
    }
}

static void on_given_up(void *arg, const struct kube_answer *answer, const struct rw_error *err)
{
    (void)answer;
    (void)err; /* then it runs out */
    struct kube_lease *lease = arg;
    lease->call = NULL;
    end_release(lease);
}

static void on_release_timer(uv_timer_t *timer)
{
    end_release(timer->data);
}

void kube_lease_release(struct kube_lease *lease, void (*done)(void *arg), void *arg)
{
    bool was_held = lease->is_held;
    lease->is_releasing = true;
    lease->released = done;
    lease->released_arg = arg;
    (void)uv_timer_stop(&lease->timer);
    kube_call_cancel(lease->call);
    lease->call = NULL;
    set_held(lease, false);
    (void)uv_timer_start(&lease->release_timer, on_release_timer, was_held ? RELEASE_MS : 0, 0);
    if (was_held) {
        write_lease(lease, false, "", on_given_up);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct kube_lease *lease = handle->data;
    if (--lease->n_open == 0) {
        free(lease->path);
        free(lease);
    }
}

void kube_lease_close(struct kube_lease *lease)
{
    if (lease && !uv_is_closing((uv_handle_t *)&lease->timer)) {
        kube_call_cancel(lease->call);
        lease->call = NULL;
        uv_close((uv_handle_t *)&lease->timer, on_timer_closed);
        uv_close((uv_handle_t *)&lease->release_timer, on_timer_closed);
    }
}
