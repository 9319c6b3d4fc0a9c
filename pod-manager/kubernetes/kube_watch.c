/* The cycle: list (page by page) → watch from the list's version → stream ends: watch again from the last version seen, or list again.
 *
 * A version is opaque; the last one seen is taken from events and bookmarks, never from the items of a list. While a stream lives,
 * bookmarks move the version on, so that a reconnect finds it still in the server's history. What the stream's bytes say is acted on from the
 * piece callback itself: events only touch the receiver's view, and calls are made from the timer. */
#include "kube_watch.h"

#include <stdio.h>
#include <string.h>

#include <rw/backoff.h>
#include <rw/clock.h>
#include <rw/encoding.h>
#include <rw/json.h>
#include <rw/random.h>

#include "kube_pod.h"
#include "kube_stream.h"

enum {
    PAGE_ITEMS = 100,
    LIST_TIMEOUT_MS = 30000,
    STREAM_MIN_S = 300, /* client-go: a random time between 5 and 10 minutes, so that streams do not end all at once */
    STREAM_SPREAD_S = 300,
    STREAM_IDLE_MS = 90000, /* bookmarks come about every minute */
    BACKOFF_BASE_MS = 100,
    BACKOFF_MAX_MS = 10000, /* we are one client, and a stale view delays leases */
    HEALTHY_MS = 120000,    /* a stream that lived so long resets the back-off, */
    HEARD_MS = 500,         /* and so does one that lived so long and said something: what cut it is not the server's trouble */
    CONTINUE_BYTES = 4096,
};

struct kube_watch {
    struct kube_watch_options options;
    char *path;
    char *query;
    uv_timer_t timer;
    struct kube_call *call;
    struct kube_stream stream;
    struct rw_backoff backoff;
    char version[KUBE_VERSION_BYTES]; /* "": list first */
    char page[CONTINUE_BYTES];        /* of the list under way */
    int64_t listed_ms;
    int64_t stream_began_ms;
    bool has_heard; /* an event of this stream */
    bool is_closed;
};

static void run(uv_timer_t *timer);

static void run_after(struct kube_watch *watch, uint64_t delay_ms)
{
    (void)uv_timer_start(&watch->timer, run, delay_ms, 0);
}

static void lost(struct kube_watch *watch, const struct rw_error *err)
{
    watch->options.events.state(watch->options.events.arg, false, err);
    if (!watch->is_closed) {
        run_after(watch, rw_backoff_next_ms(&watch->backoff));
    }
}

/* ---- listing ---- */

static bool keep_version(struct kube_watch *watch, const cJSON *object)
{
    const char *version = rw_json_string(object, "metadata", "resourceVersion", NULL);
    if (!version || !*version || strlen(version) >= sizeof(watch->version)) {
        return false;
    }
    memcpy(watch->version, version, strlen(version) + 1);
    return true;
}

static int take_page(struct kube_watch *watch, const cJSON *list, struct rw_error *err)
{
    const struct kube_watch_events *events = &watch->options.events;
    const cJSON *items = rw_json_at(list, "items", NULL);
    if (!cJSON_IsArray(items)) {
        return rw_fail(err, PROTOCOL, "%s: no list", watch->path);
    }
    if (!*watch->page) {
        events->listing(events->arg);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, items)
    {
        events->present(events->arg, item);
    }
    const char *next = rw_json_string(list, "metadata", "continue", NULL);
    if (next && strlen(next) >= sizeof(watch->page)) {
        return rw_fail(err, PROTOCOL, "%s: continue token too long", watch->path);
    }
    (void)snprintf(watch->page, sizeof(watch->page), "%s", next ? next : "");
    if (*watch->page) {
        return 0;
    }
    if (!keep_version(watch, list)) {
        return rw_fail(err, PROTOCOL, "%s: list without a version", watch->path);
    }
    watch->listed_ms = rw_monotonic_ms();
    events->listed(events->arg);
    return 0;
}

static void on_page(void *arg, const struct kube_answer *answer, const struct rw_error *answer_err)
{
    struct kube_watch *watch = arg;
    struct rw_error err;
    watch->call = NULL;
    if (answer_err || take_page(watch, answer->json, &err) < 0) {
        watch->page[0] = '\0'; /* a list is taken whole or from the start */
        watch->version[0] = '\0';
        lost(watch, answer_err ? answer_err : &err);
        return;
    }
    run_after(watch, 0);
}

static void list(struct kube_watch *watch)
{
    RW_AUTO_FREE char *page = *watch->page ? kube_encode(watch->page) : NULL;
    RW_AUTO_FREE char *path = rw_xasprintf("%s?%s%slimit=%d%s%s", watch->path, watch->query, *watch->query ? "&" : "", PAGE_ITEMS,
                                           page ? "&continue=" : "", page ? page : "");
    if (!page && watch->options.n_lists) {
        rw_counter_add(watch->options.n_lists, 1);
    }
    watch->call = kube_client_call(watch->options.client,
                                   &(struct kube_request){.method = "GET", .path = path, .timeout_ms = LIST_TIMEOUT_MS}, on_page,
                                   watch);
}

/* ---- watching ---- */

static bool take_event(void *arg, const struct kube_event *event)
{
    struct kube_watch *watch = arg;
    const struct kube_watch_events *events = &watch->options.events;
    watch->has_heard = true;
    switch (event->type) {
    case KUBE_ADDED:
    case KUBE_MODIFIED:
        events->present(events->arg, event->object);
        break;
    case KUBE_DELETED:
        events->deleted(events->arg, event->object);
        break;
    case KUBE_BOOKMARK:
        break;
    case KUBE_ERROR:
    case _KUBE_EVENT_MAX:
        watch->version[0] = '\0'; /* whatever it was, a fresh list mends it; 410 is the usual one */
        return false;
    }
    if (!keep_version(watch, event->object)) {
        watch->version[0] = '\0';
        return false;
    }
    return true;
}

static bool on_piece(void *arg, struct rw_bytes data)
{
    struct kube_watch *watch = arg;
    struct rw_error err;
    if (kube_stream_feed(&watch->stream, data, take_event, watch, &err) < 0) {
        watch->version[0] = '\0';
    }
    return *watch->version != '\0';
}

static void on_stream_end(void *arg, const struct kube_answer *answer, const struct rw_error *err)
{
    struct kube_watch *watch = arg;
    watch->call = NULL;
    if (watch->options.n_restarts) {
        rw_counter_add(watch->options.n_restarts, 1);
    }
    int64_t lived_ms = rw_monotonic_ms() - watch->stream_began_ms;
    if (lived_ms >= HEALTHY_MS || (lived_ms >= HEARD_MS && watch->has_heard)) {
        rw_backoff_reset(&watch->backoff);
    }
    bool is_too_old = err && (err->code == RW_ERR_FENCED || strcmp(answer->reason, "Expired") == 0);
    if (is_too_old) {
        watch->version[0] = '\0';
    }
    /* The server ends streams as agreed, and has reason to: that is no fault. Anything else waits a moment longer each time. */
    if (!err || is_too_old) {
        run_after(watch, watch->backoff.failures ? rw_backoff_next_ms(&watch->backoff) : 0);
    } else {
        lost(watch, err);
    }
}

static void stream(struct kube_watch *watch)
{
    int64_t now_ms = rw_monotonic_ms();
    uint32_t timeout_s = STREAM_MIN_S + rw_random_below(STREAM_SPREAD_S);
    int64_t relist_in_s = (watch->listed_ms + watch->options.relist_ms - now_ms) / 1000;
    if (relist_in_s < timeout_s) {
        timeout_s = relist_in_s > 1 ? (uint32_t)relist_in_s : 1;
    }
    RW_AUTO_FREE char *path = rw_xasprintf("%s?%s%swatch=true&allowWatchBookmarks=true&resourceVersion=%s&timeoutSeconds=%u",
                                           watch->path, watch->query, *watch->query ? "&" : "", watch->version, timeout_s);
    kube_stream_clear(&watch->stream);
    watch->stream_began_ms = now_ms;
    watch->has_heard = false;
    watch->call = kube_client_call(watch->options.client,
                                   &(struct kube_request){.method = "GET",
                                                          .path = path,
                                                          .timeout_ms = (timeout_s + 30) * 1000,
                                                          .idle_timeout_ms = STREAM_IDLE_MS,
                                                          .on_data = on_piece},
                                   on_stream_end, watch);
    watch->options.events.state(watch->options.events.arg, true, NULL);
}

static void run(uv_timer_t *timer)
{
    struct kube_watch *watch = timer->data;
    if (*watch->page || !*watch->version || rw_monotonic_ms() - watch->listed_ms >= watch->options.relist_ms) {
        list(watch);
    } else {
        stream(watch);
    }
}

/* ---- life ---- */

struct kube_watch *kube_watch_open(const struct kube_watch_options *options)
{
    struct kube_watch *watch = rw_xcalloc(1, sizeof(*watch));
    watch->options = *options;
    watch->path = rw_xstrdup(options->path);
    watch->query = rw_xstrdup(options->query);
    kube_stream_init(&watch->stream);
    rw_backoff_init(&watch->backoff, BACKOFF_BASE_MS, BACKOFF_MAX_MS);
    (void)uv_timer_init(options->loop, &watch->timer);
    watch->timer.data = watch;
    run_after(watch, 0);
    return watch;
}

void kube_watch_cut(struct kube_watch *watch)
{
    if (watch->call) {
        kube_call_cancel(watch->call);
        watch->call = NULL;
        watch->page[0] = '\0';
        run_after(watch, 0);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct kube_watch *watch = handle->data;
    kube_stream_done(&watch->stream);
    free(watch->path);
    free(watch->query);
    free(watch);
}

void kube_watch_close(struct kube_watch *watch)
{
    if (watch && !watch->is_closed) {
        watch->is_closed = true;
        kube_call_cancel(watch->call);
        watch->call = NULL;
        uv_close((uv_handle_t *)&watch->timer, on_timer_closed);
    }
}
