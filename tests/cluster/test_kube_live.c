/* The Kubernetes client against a real API server: RUNWAVE_TEST_KUBECONFIG names the kubeconfig; skipped (77) without it.
 *
 * ConfigMaps stand for every kind of object: they cost nothing, and lists, watches, versions and preconditions are the same for all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/json.h>
#include <rw/random.h>

#include "kube_client.h"
#include "kube_lease.h"
#include "kube_stream.h"
#include "kube_watch.h"

enum { PATIENCE_MS = 20000, CALL_MS = 10000, NAMES_MAX = 400 };

struct world {
    uv_loop_t loop;
    uv_timer_t timer; /* wakes the loop */
    struct rw_metrics *metrics;
    struct kube_client *client;
    char space[64]; /* the namespace */
};

struct reply {
    bool is_there;
    int status;
    enum rw_err code;
    char message[256];
    char reason[64];
    char uid[64];
    char version[64];
};

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static struct kube_client *open_client(struct world *world)
{
    struct rw_error err = {0};
    struct kube_credentials *credentials = NULL;
    struct kube_client *client = NULL;
    if (kube_credentials_load(getenv("RUNWAVE_TEST_KUBECONFIG"), &credentials, &err) < 0 ||
        kube_client_open(&world->loop, credentials, world->metrics, &client, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return client;
}

#define await(world, condition)                                                                                                    \
    do {                                                                                                                           \
        int64_t _end_ms = rw_monotonic_ms() + PATIENCE_MS;                                                                         \
        while (!(condition) && rw_monotonic_ms() < _end_ms) {                                                                      \
            (void)uv_run(&(world)->loop, UV_RUN_ONCE);                                                                             \
        }                                                                                                                          \
        if (!(condition)) {                                                                                                        \
            fail_msg("not within %d ms: %s", PATIENCE_MS, #condition);                                                             \
        }                                                                                                                          \
    } while (0)

static void run_for(struct world *world, int64_t time_ms)
{
    int64_t end_ms = rw_monotonic_ms() + time_ms;
    while (rw_monotonic_ms() < end_ms) {
        (void)uv_run(&world->loop, UV_RUN_ONCE);
    }
}

static void take(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text ? text : "");
}

static void on_reply(void *arg, const struct kube_answer *answer, const struct rw_error *err)
{
    struct reply *reply = arg;
    reply->is_there = true;
    reply->status = answer->status;
    reply->code = err ? err->code : RW_OK;
    take(reply->message, sizeof(reply->message), err ? err->message : "");
    take(reply->reason, sizeof(reply->reason), answer->reason);
    take(reply->uid, sizeof(reply->uid), rw_json_string(answer->json, "metadata", "uid", NULL));
    take(reply->version, sizeof(reply->version), rw_json_string(answer->json, "metadata", "resourceVersion", NULL));
}

static struct reply call(struct world *world, const char *method, const char *path, const char *body, enum kube_content content)
{
    struct reply reply = {0};
    RW_AUTO(cJSON_Delete) cJSON *json = body ? cJSON_Parse(body) : NULL;
    (void)kube_client_call(
        world->client,
        &(struct kube_request){.method = method, .path = path, .body = json, .content = content, .timeout_ms = CALL_MS}, on_reply,
        &reply);
    assert_false(reply.is_there); /* never from inside */
    await(world, reply.is_there);
    return reply;
}

static char *maps_path(const struct world *world, const char *name)
{
    return rw_xasprintf("/api/v1/namespaces/%s/configmaps%s%s", world->space, name ? "/" : "", name ? name : "");
}

static struct reply create_map(struct world *world, const char *name)
{
    RW_AUTO_FREE char *path = maps_path(world, NULL);
    RW_AUTO_FREE char *body = rw_xasprintf("{\"metadata\":{\"name\":\"%s\",\"labels\":{\"kept\":\"yes\"}}}", name);
    return call(world, "POST", path, body, KUBE_JSON);
}

static struct reply delete_map(struct world *world, const char *name, const char *uid)
{
    RW_AUTO_FREE char *path = maps_path(world, name);
    RW_AUTO_FREE char *body = rw_xasprintf("{\"preconditions\":{\"uid\":\"%s\"}}", uid);
    return call(world, "DELETE", path, body, KUBE_JSON);
}

static void begin(struct world *world)
{
    *world = (struct world){.metrics = rw_metrics_new()};
    (void)uv_loop_init(&world->loop);
    (void)uv_timer_init(&world->loop, &world->timer);
    (void)uv_timer_start(&world->timer, on_timer, 20, 20);
    world->client = open_client(world);
    (void)snprintf(world->space, sizeof(world->space), "kube-%08x", (unsigned)rw_random_below(UINT32_MAX));
    RW_AUTO_FREE char *body = rw_xasprintf("{\"metadata\":{\"name\":\"%s\"}}", world->space);
    struct reply reply = call(world, "POST", "/api/v1/namespaces", body, KUBE_JSON);
    if (reply.code) {
        fail_msg("%s", reply.message);
    }
}

static void finish(struct world *world)
{
    RW_AUTO_FREE char *path = rw_xasprintf("/api/v1/namespaces/%s", world->space);
    assert_int_equal(call(world, "DELETE", path, NULL, KUBE_JSON).code, RW_OK);
    kube_client_close(world->client);
    uv_close((uv_handle_t *)&world->timer, NULL);
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    rw_metrics_free(world->metrics);
}

/* ---- single calls ---- */

static void answers_are_told_apart(void **state)
{
    (void)state;
    struct world world;
    begin(&world);
    struct reply made = create_map(&world, "a");
    assert_int_equal(made.status, 201);
    assert_string_not_equal(made.uid, "");
    struct reply again = create_map(&world, "a");
    assert_int_equal(again.code, RW_ERR_CONFLICT);
    assert_string_equal(again.reason, "AlreadyExists");
    assert_int_equal(create_map(&world, "No_Name").code, RW_ERR_FIELDS);

    RW_AUTO_FREE char *path = maps_path(&world, "a");
    RW_AUTO_FREE char *stale = rw_xasprintf("{\"metadata\":{\"resourceVersion\":\"1\"},\"data\":{\"k\":\"v\"}}");
    assert_int_equal(call(&world, "PATCH", path, stale, KUBE_MERGE_PATCH).code, RW_ERR_CONFLICT);
    RW_AUTO_FREE char *fresh = rw_xasprintf("{\"metadata\":{\"resourceVersion\":\"%s\"},\"data\":{\"k\":\"v\"}}", made.version);
    struct reply patched = call(&world, "PATCH", path, fresh, KUBE_MERGE_PATCH);
    assert_int_equal(patched.code, RW_OK);
    assert_string_not_equal(patched.version, made.version);

    assert_int_equal(delete_map(&world, "a", "another-uid").code, RW_ERR_CONFLICT);
    assert_int_equal(delete_map(&world, "a", made.uid).code, RW_OK);
    assert_int_equal(delete_map(&world, "a", made.uid).code, RW_ERR_NOT_FOUND);
    finish(&world);
}

/* ---- watching ---- */

struct view {
    struct {
        char name[64];
        bool is_there;
        bool is_listed;
    } maps[NAMES_MAX];
    size_t n_maps;
    unsigned n_lists;
    unsigned n_deleted;
    bool is_current;
};

static int find_map(struct view *view, const cJSON *object)
{
    const char *name = rw_json_string(object, "metadata", "name", NULL);
    for (size_t i = 0; i < view->n_maps; i++) {
        if (strcmp(view->maps[i].name, name) == 0) {
            return (int)i;
        }
    }
    assert_true(view->n_maps < NAMES_MAX);
    take(view->maps[view->n_maps].name, sizeof(view->maps[0].name), name);
    return (int)view->n_maps++;
}

static void on_listing(void *arg)
{
    struct view *view = arg;
    for (size_t i = 0; i < view->n_maps; i++) {
        view->maps[i].is_listed = false;
    }
}

static void on_present(void *arg, const cJSON *object)
{
    struct view *view = arg;
    int i = find_map(view, object);
    view->maps[i].is_there = view->maps[i].is_listed = true;
}

static void on_deleted(void *arg, const cJSON *object)
{
    struct view *view = arg;
    view->maps[find_map(view, object)].is_there = false;
    view->n_deleted++;
}

static void on_listed(void *arg)
{
    struct view *view = arg;
    view->n_lists++;
    for (size_t i = 0; i < view->n_maps; i++) {
        view->maps[i].is_there = view->maps[i].is_there && view->maps[i].is_listed;
    }
}

static void on_state(void *arg, bool is_current, const struct rw_error *err)
{
    struct view *view = arg;
    view->is_current = is_current;
    if (err) {
        print_message("view: %s\n", err->message);
    }
}

static size_t n_there(const struct view *view)
{
    size_t count = 0;
    for (size_t i = 0; i < view->n_maps; i++) {
        count += view->maps[i].is_there;
    }
    return count;
}

static struct kube_watch *open_watch(struct world *world, struct view *view, uint32_t relist_ms)
{
    RW_AUTO_FREE char *path = maps_path(world, NULL);
    return kube_watch_open(&(struct kube_watch_options){.client = world->client,
                                                        .loop = &world->loop,
                                                        .path = path,
                                                        .query = "labelSelector=kept%3Dyes",
                                                        .relist_ms = relist_ms,
                                                        .events = {.listing = on_listing,
                                                                   .present = on_present,
                                                                   .deleted = on_deleted,
                                                                   .listed = on_listed,
                                                                   .state = on_state,
                                                                   .arg = view}});
}

static void a_view_stays_right_while_its_stream_is_cut(void **state)
{
    (void)state;
    enum { N_MAPS = 130 }; /* more than a page */
    struct world world;
    static struct view view;
    char name[16];
    begin(&world);
    view = (struct view){0};
    for (int i = 0; i < N_MAPS; i++) {
        (void)snprintf(name, sizeof(name), "m%d", i);
        assert_int_equal(create_map(&world, name).code, RW_OK);
    }
    struct kube_watch *watch = open_watch(&world, &view, 600000);
    await(&world, n_there(&view) == N_MAPS && view.is_current);
    assert_int_equal(view.n_lists, 1);
    for (int i = 0; i < N_MAPS; i++) { /* every change during cuts is seen in the end */
        RW_AUTO_FREE char *path = NULL;
        (void)snprintf(name, sizeof(name), "m%d", i);
        path = maps_path(&world, name);
        assert_int_equal(call(&world, "DELETE", path, NULL, KUBE_JSON).code, RW_OK);
        (void)snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(create_map(&world, name).code, RW_OK);
        if (i % 3 == 0) {
            kube_watch_cut(watch);
        }
    }
    await(&world, n_there(&view) == N_MAPS && view.n_deleted == N_MAPS);
    assert_int_equal(view.n_lists, 1); /* a cut stream goes on where it was */
    kube_watch_close(watch);
    finish(&world);
}

static void a_view_is_listed_again_in_time(void **state)
{
    (void)state;
    struct world world;
    static struct view view;
    begin(&world);
    view = (struct view){0};
    struct kube_watch *watch = open_watch(&world, &view, 2000);
    assert_int_equal(create_map(&world, "a").code, RW_OK);
    await(&world, view.n_lists >= 3 && n_there(&view) == 1);
    kube_watch_close(watch);
    finish(&world);
}

/* The API server answers "Expired" to a version that is compacted away, by status or by an event. */
static bool on_gone_piece(void *arg, struct rw_bytes data)
{
    bool *has_gone = arg;
    *has_gone = *has_gone || memmem(data.data, data.len, "\"code\":410", 10);
    return true;
}

static void on_gone_end(void *arg, const struct kube_answer *answer, const struct rw_error *err)
{
    (void)answer;
    bool *has_gone = arg;
    *has_gone = *has_gone || (err && err->code == RW_ERR_FENCED);
}

static void a_version_too_old_is_refused(void **state)
{
    (void)state;
    struct world world;
    begin(&world);
    bool has_gone = false;
    RW_AUTO_FREE char *path = rw_xasprintf("/api/v1/namespaces/%s/configmaps?watch=true&resourceVersion=1&timeoutSeconds=5",
                                           world.space);
    (void)kube_client_call(world.client,
                           &(struct kube_request){.method = "GET", .path = path, .timeout_ms = CALL_MS, .on_data = on_gone_piece},
                           on_gone_end, &has_gone);
    int64_t end_ms = rw_monotonic_ms() + 6000;
    while (!has_gone && rw_monotonic_ms() < end_ms) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    if (!has_gone) {
        print_message("this API server has nothing compacted yet: not shown\n");
    }
    finish(&world);
}

/* ---- electing ---- */

struct candidate {
    struct kube_lease *lease;
    unsigned n_changes;
    bool is_leader;
    bool is_released;
};

static void on_changed(void *arg, bool is_leader, const char *holder)
{
    (void)holder;
    struct candidate *candidate = arg;
    candidate->n_changes += candidate->is_leader != is_leader;
    candidate->is_leader = is_leader;
}

static void on_released(void *arg)
{
    struct candidate *candidate = arg;
    candidate->is_released = true;
}

static void stand(struct world *world, struct candidate *candidate, const char *identity)
{
    *candidate = (struct candidate){0};
    candidate->lease = kube_lease_open(&(struct kube_lease_options){.client = world->client,
                                                                    .loop = &world->loop,
                                                                    .namespace_ = world->space,
                                                                    .name = "leader",
                                                                    .identity = identity,
                                                                    .duration_ms = 3000,
                                                                    .deadline_ms = 2000,
                                                                    .retry_ms = 300,
                                                                    .changed = on_changed,
                                                                    .arg = candidate});
}

static void of_two_one_leads(void **state)
{
    (void)state;
    struct world world;
    struct candidate a;
    struct candidate b;
    begin(&world);
    stand(&world, &a, "a");
    stand(&world, &b, "b");
    await(&world, a.is_leader || b.is_leader);
    run_for(&world, 4000); /* longer than the lease lasts */
    assert_true(a.is_leader != b.is_leader);
    assert_int_equal(a.n_changes + b.n_changes, 1);
    struct candidate *first = a.is_leader ? &a : &b;
    struct candidate *second = a.is_leader ? &b : &a;

    int64_t began_ms = rw_monotonic_ms();
    kube_lease_release(first->lease, on_released, first);
    await(&world, first->is_released && second->is_leader);
    assert_true(rw_monotonic_ms() - began_ms < 1500); /* not the whole duration */
    kube_lease_close(first->lease);

    began_ms = rw_monotonic_ms();
    kube_lease_close(second->lease); /* as when it dies: the lease runs out */
    stand(&world, &a, "c");
    await(&world, a.is_leader);
    assert_true(rw_monotonic_ms() - began_ms >= 2500);
    kube_lease_close(a.lease);
    finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_told_apart),
        cmocka_unit_test(a_view_stays_right_while_its_stream_is_cut),
        cmocka_unit_test(a_view_is_listed_again_in_time),
        cmocka_unit_test(a_version_too_old_is_refused),
        cmocka_unit_test(of_two_one_leads),
    };
    enum { EXIT_SKIPPED = 77 };
    if (!getenv("RUNWAVE_TEST_KUBECONFIG")) {
        (void)printf("skipped: RUNWAVE_TEST_KUBECONFIG names no kubeconfig\n");
        return EXIT_SKIPPED;
    }
    return cmocka_run_group_tests_name("kubernetes client", tests, NULL, NULL);
}
