/* The docker backend's table, and whether pods can be made: the engine answers, its events are watched, and what an earlier
 * instance has left is gone.
 *
 * Connecting is: ask for the version, and where the volume is; open the stream of events; list. Events are replayed from some
 * time before the list on, so none is missed. The stream ends every two minutes, or when the engine does, and then all of it is
 * done again: that is also how a view that has gone wrong mends. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/json.h>
#include <rw/log.h>

#include "docker.h"
#include "engine_container.h"

enum {
    CREATING_MAX_DEFAULT = 4,
    CPU_MILLI_DEFAULT = 1000,
    UID_BASE_DEFAULT = 1895825408,
    SLOTS_PER_POD = 2, /* overlap of pods on their way in and out */
    SLOTS_SPARE = 64,
    ASK_MS = 10000,
    WATCH_MS = 120000,
    RETRY_BASE_MS = 200,
    RETRY_MAX_MS = 5000,
    REPLAY_S = 5,
    CLOSE_MS = 15000,
    CLOSE_TICK_MS = 50,
};

/* ---- configuration ---- */

static void set_default(char **text, const char *usual)
{
    if (!*text) {
        *text = rw_xstrdup(usual);
    }
}

static int check_texts(const struct docker_config *docker, struct rw_error *err)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    if (!docker->run_dir) {
        return rw_fail(err, CONFIG, "docker.run_dir must be given");
    }
    if (strspn(docker->instance, name) != strlen(docker->instance) || docker->instance[0] == '-') {
        return rw_fail(err, CONFIG, "docker.instance: one word of a-z, 0-9 and '-', not beginning with '-'");
    }
    if (docker->volume &&
        strspn(docker->volume, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != strlen(docker->volume)) {
        return rw_fail(err, CONFIG, "docker.volume: the name of a volume has letters, digits, '_', '.' and '-'");
    }
    if (strcmp(docker->sandbox, "namespaces") != 0 && strcmp(docker->sandbox, "container") != 0) {
        return rw_fail(err, CONFIG, "docker.sandbox: must be container or namespaces");
    }
    return 0;
}

static int docker_prepare(struct manager_config *config, struct rw_error *err)
{
    struct docker_config *docker = &config->docker;
    set_default(&docker->socket, "/var/run/docker.sock");
    set_default(&docker->image, "runwave/runner-{language}:dev");
    set_default(&docker->instance, "runwave");
    set_default(&docker->sandbox, "container");
    docker->uid_base = docker->uid_base ? docker->uid_base : UID_BASE_DEFAULT;
    docker->cpu_milli = docker->cpu_milli ? docker->cpu_milli : CPU_MILLI_DEFAULT;
    docker->creating_max = docker->creating_max ? docker->creating_max : CREATING_MAX_DEFAULT;
    uint64_t uid_end = docker->uid_base + (uint64_t)config->pods_max * SLOTS_PER_POD + SLOTS_SPARE;
    if (docker->uid_base < 1000 || uid_end > INT32_MAX) {
        return rw_fail(err, CONFIG, "docker.uid_base: must be 1000 at least, and %d at most with all that pods_max needs behind it",
                       INT32_MAX);
    }
    if (docker->cpu_milli < 10 || docker->cpu_milli > 1000000 || docker->creating_max > 1000) {
        return rw_fail(err, CONFIG, "docker: cpu_milli must be 10 to 1000000, creating_max 1 to 1000");
    }
    config->creating_max = docker->creating_max;
    return check_texts(docker, err);
}

/* ---- whether pods can be made ---- */

static void tell_usable(struct docker *docker, bool is_usable, const char *detail)
{
    bool is_same = docker->is_told && docker->is_usable_told == is_usable && strcmp(docker->told, detail) == 0;
    if (is_same || docker->is_closing) {
        return;
    }
    docker->is_told = true;
    docker->is_usable_told = is_usable;
    (void)snprintf(docker->told, sizeof(docker->told), "%s", detail);
    docker->events.usable(docker->events.arg, is_usable, is_usable ? NULL : docker->told);
}

static void connect_failed(struct docker *docker, const struct rw_error *err)
{
    char detail[RW_ERROR_MESSAGE_BYTES];
    if (err->code == RW_ERR_UNAVAILABLE) {
        (void)snprintf(detail, sizeof(detail), "no Docker Engine answers at %.100s: start it, or let this daemon reach it",
                       docker->config->socket);
    } else {
        (void)snprintf(detail, sizeof(detail), "%s", err->message);
    }
    docker->is_asking = false;
    docker->next_ms = rw_monotonic_ms() + rw_backoff_next_ms(&docker->backoff);
    tell_usable(docker, false, detail);
}

/* Of an earlier instance's, none is left. */
static void check_swept(struct docker *docker)
{
    for (const struct docker_pod *pod = docker->pods; pod && !docker->is_swept; pod = pod->hh.next) {
        if (!pod->is_ours) {
            return;
        }
    }
    docker->is_swept = true;
    tell_usable(docker, true, "");
}

static void take_listed(struct docker *docker, const cJSON *container)
{
    const char *name = rw_json_string(container, "Labels", ENGINE_LABEL_POD, NULL);
    const char *state = rw_json_string(container, "State", NULL);
    struct docker_pod *pod = NULL;
    if (!name || strlen(name) >= BACKEND_NAME_BYTES) {
        return;
    }
    HASH_FIND_STR(docker->pods, name, pod);
    if (!pod) {
        docker_pod_take(docker, name);
        HASH_FIND_STR(docker->pods, name, pod);
    } else if (!state || strcmp(state, "running") != 0) {
        docker_pod_dead(pod);
    }
    if (pod) {
        pod->is_listed = true;
    }
}

static void on_listed(void *arg, const cJSON *json, const struct rw_error *err)
{
    struct docker *docker = arg;
    const cJSON *container = NULL;
    struct docker_pod *pod = NULL;
    struct docker_pod *next = NULL;
    if (err) {
        connect_failed(docker, err);
        return;
    }
    docker->is_asking = false;
    rw_backoff_reset(&docker->backoff);
    HASH_ITER(hh, docker->pods, pod, next)
    {
        pod->is_listed = false;
    }
    cJSON_ArrayForEach(container, json)
    {
        take_listed(docker, container);
    }
    HASH_ITER(hh, docker->pods, pod, next)
    {
        if (!pod->is_listed && pod->started_ms && pod->started_ms < docker->asked_ms) {
            docker_pod_vanished(pod);
        }
    }
    if (!docker->is_swept) {
        docker_folder_sweep(docker);
        check_swept(docker);
    } else {
        tell_usable(docker, true, "");
    }
}

/* ---- events ---- */

static void on_soon(uv_timer_t *timer);

static void on_event(void *arg, const struct engine_event *event)
{
    struct docker *docker = arg;
    struct docker_pod *pod = NULL;
    HASH_FIND_STR(docker->pods, event->pod, pod);
    if (pod && event->type != ENGINE_CREATED) {
        docker_pod_dead(pod);
        (void)uv_timer_start(&docker->timer, on_soon, 0, docker->is_closing ? CLOSE_TICK_MS : 0);
    }
}

static void on_watch_ended(void *arg, const struct rw_error *err)
{
    struct docker *docker = arg;
    docker->is_watching = false;
    if (err->code != RW_ERR_TIMEOUT) {
        rw_log_error(RW_LOG_WARNING, "the Docker Engine's events ended", err);
        docker->next_ms = rw_monotonic_ms() + rw_backoff_next_ms(&docker->backoff);
    }
}

static void watch_and_list(struct docker *docker)
{
    RW_AUTO_FREE char *label = rw_xasprintf(ENGINE_LABEL_POOL "%%3D%s", docker->config->instance);
    RW_AUTO_FREE char *path = rw_xasprintf("/containers/json?all=1&filters=%%7B%%22label%%22%%3A%%5B%%22" ENGINE_LABEL_POOL
                                           "%%3D%s%%22%%5D%%7D",
                                           docker->config->instance);
    struct engine_watcher watcher = {.event = on_event, .ended = on_watch_ended, .arg = docker};
    docker->is_watching = true;
    docker->asked_ms = rw_monotonic_ms();
    engine_watch(docker->engine, label, rw_realtime_us() / 1000000 - REPLAY_S, WATCH_MS, &watcher);
    engine_call(docker->engine, &(struct engine_request){.method = "GET", .path = path, .timeout_ms = ASK_MS}, on_listed, docker);
}

/* ---- connecting ---- */

static void on_volume(void *arg, const cJSON *json, const struct rw_error *err)
{
    struct docker *docker = arg;
    const char *place = rw_json_string(json, "Mountpoint", NULL);
    struct rw_error none;
    if (err || !place || place[0] != '/') {
        (void)rw_error_set(&none, RW_ERR_NOT_FOUND, 0, __func__, "docker.volume: the engine knows no place of the volume %.100s",
                           docker->config->volume);
        connect_failed(docker, err && err->code != RW_ERR_NOT_FOUND ? err : &none);
        return;
    }
    free(docker->folder_base);
    docker->folder_base = rw_xstrdup(place);
    watch_and_list(docker);
}

static void on_version(void *arg, const cJSON *json, const struct rw_error *err)
{
    struct docker *docker = arg;
    struct rw_error choosing;
    unsigned minor = 0;
    if (err || engine_version_choose(json, &minor, &choosing)) {
        connect_failed(docker, err ? err : &choosing);
        return;
    }
    engine_set_version(docker->engine, minor);
    if (docker->config->volume) {
        RW_AUTO_FREE char *path = rw_xasprintf("/volumes/%s", docker->config->volume);
        engine_call(docker->engine, &(struct engine_request){.method = "GET", .path = path, .timeout_ms = ASK_MS}, on_volume,
                    docker);
        return;
    }
    free(docker->folder_base);
    docker->folder_base = rw_xstrdup(docker->run_dir);
    watch_and_list(docker);
}

static void ask(struct docker *docker)
{
    docker->is_asking = true;
    engine_set_version(docker->engine, 0);
    engine_call(docker->engine, &(struct engine_request){.method = "GET", .path = "/version", .timeout_ms = ASK_MS}, on_version,
                docker);
}

/* ---- the table ---- */

static void free_docker(struct docker *docker)
{
    docker_folder_close(docker);
    free(docker->folder_base);
    free(docker->slots);
    free(docker);
}

static int docker_open(const struct backend_options *options, struct backend **ret_backend, struct rw_error *err)
{
    struct docker *docker = rw_xcalloc(1, sizeof(*docker));
    docker->loop = options->loop;
    docker->config = &options->config->docker;
    docker->catalogue = options->catalogue;
    docker->required = options->config->required;
    docker->is_cold = options->config->cold;
    docker->events = options->events;
    docker->run_dir_fd = docker->lock_fd = -1;
    docker->n_slots = (int)options->config->pods_max * SLOTS_PER_POD + SLOTS_SPARE;
    docker->slots = rw_xcalloc((size_t)docker->n_slots, sizeof(*docker->slots));
    rw_backoff_init(&docker->backoff, RETRY_BASE_MS, RETRY_MAX_MS);
    if (docker_folder_open(docker, err) ||
        engine_open(docker->loop, docker->config->socket, options->metrics, &docker->engine, err)) {
        free_docker(docker);
        return -1;
    }
    (void)uv_timer_init(docker->loop, &docker->timer);
    docker->timer.data = docker;
    ask(docker);
    *ret_backend = (struct backend *)docker;
    return 0;
}

static int docker_create(struct backend *backend, const char *pod, const struct backend_wish *wish, struct rw_error *err)
{
    return docker_pod_create((struct docker *)backend, pod, wish->language, err);
}

static void docker_destroy(struct backend *backend, const char *name, enum backend_manner manner)
{
    const struct docker *docker = (const struct docker *)backend;
    struct docker_pod *pod = NULL;
    HASH_FIND_STR(docker->pods, name, pod);
    (void)manner; /* a runner whose lease is over has nothing to say any more */
    if (pod && pod->is_ours) {
        docker_pod_end(pod);
    }
}

static void docker_list(struct backend *backend, void (*each)(void *arg, const struct backend_listed *pod), void *arg)
{
    const struct docker *docker = (const struct docker *)backend;
    for (const struct docker_pod *pod = docker->pods; pod; pod = pod->hh.next) {
        struct backend_listed listed = {.pod = pod->name};
        if (pod->is_ours) {
            each(arg, &listed);
        }
    }
}

static void tick_pods(struct docker *docker, int64_t now_ms)
{
    struct docker_pod *pod = NULL;
    struct docker_pod *next = NULL;
    HASH_ITER(hh, docker->pods, pod, next)
    {
        docker_pod_tick(pod, now_ms);
    }
}

static void docker_tick(struct backend *backend, int64_t now_ms)
{
    struct docker *docker = (struct docker *)backend;
    tick_pods(docker, now_ms);
    if (!docker->is_watching && !docker->is_asking && now_ms >= docker->next_ms) {
        ask(docker);
    }
    if (!docker->is_swept && docker->is_watching && !docker->is_asking) {
        check_swept(docker);
    }
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    free_docker(handle->data);
}

static void finish(struct docker *docker)
{
    struct docker_pod *pod = NULL;
    struct docker_pod *next = NULL;
    engine_close(docker->engine);
    HASH_ITER(hh, docker->pods, pod, next)
    { /* the next instance removes it */
        HASH_DEL(docker->pods, pod);
        explicit_bzero(pod->secret, sizeof(pod->secret));
        free(pod);
    }
    uv_close((uv_handle_t *)&docker->timer, on_timer_closed);
}

static void on_soon(uv_timer_t *timer)
{
    struct docker *docker = timer->data;
    int64_t now_ms = rw_monotonic_ms();
    tick_pods(docker, now_ms);
    if (docker->is_closing && (!docker->pods || now_ms >= docker->close_by_ms)) {
        finish(docker);
    }
}

/* Pods that are left are removed, for as long as the engine answers. */
static void docker_close(struct backend *backend)
{
    struct docker *docker = (struct docker *)backend;
    struct docker_pod *pod = NULL;
    struct docker_pod *next = NULL;
    docker->is_closing = true;
    docker->close_by_ms = rw_monotonic_ms() + (docker->is_usable_told ? CLOSE_MS : 0);
    HASH_ITER(hh, docker->pods, pod, next)
    {
        docker_pod_end(pod);
    }
    (void)uv_timer_start(&docker->timer, on_soon, 0, CLOSE_TICK_MS);
}

const struct backend_class backend_docker = {
    .name = "docker",
    .creating_max = CREATING_MAX_DEFAULT,
    .prepare = docker_prepare,
    .open = docker_open,
    .create = docker_create,
    .destroy = docker_destroy,
    .list = docker_list,
    .tick = docker_tick,
    .close = docker_close,
};
