/* One pod's life. Calls are made one at a time a pod. What fails on the way in is removed and told, not tried again: the pools back
 * off. What is to be removed is removed until the engine says that it is not there. Containers are called by name, which is random:
 * whatever an unknown outcome was, removing by name mends it.
 *
 * Events of the stream come from inside the HTTP client, where no call may be made: they leave a mark, and the tick looks at it. */
#include <stdio.h>
#include <string.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/json.h>
#include <rw/log.h>
#include <rw/random.h>

#include "docker.h"
#include "engine_container.h"

enum { MAKING_MS = 60000, LOOKING_MS = 10000, RETRY_BASE_MS = 100, RETRY_MAX_MS = 5000 };

/* Beside what the code may have: the runner, its buffers and its processes. */
enum { RUNNER_BYTES = 64 * 1024 * 1024, RUNNER_PROCESSES = 16 };

static void next_call(struct docker_pod *pod);

/* ---- the end of it ---- */

static void set_reason(struct docker_pod *pod, enum backend_reason reason, const char *detail)
{
    pod->reason = reason;
    (void)snprintf(pod->detail, sizeof(pod->detail), "%.*s", (int)sizeof(pod->detail) - 1, detail ? detail : "");
}

static void free_pod(struct docker_pod *pod)
{
    struct docker *docker = pod->docker;
    HASH_DEL(docker->pods, pod);
    docker_folder_remove(docker, pod->name);
    if (pod->slot >= 0) {
        docker->slots[pod->slot] = false;
    }
    explicit_bzero(pod->secret, sizeof(pod->secret));
    free(pod);
}

/* Nothing of it is left. */
static void be_gone(struct docker_pod *pod)
{
    struct docker_pod last = *pod;
    const struct backend_events *events = &pod->docker->events;
    bool is_told = pod->is_ours && !pod->docker->is_closing;
    free_pod(pod);
    if (is_told) {
        events->gone(events->arg, last.name, last.reason, last.detail);
    }
    explicit_bzero(&last, sizeof(last));
}

static void end(struct docker_pod *pod)
{
    pod->step = DOCKER_ENDING;
    pod->next_ms = 0;
    rw_backoff_reset(&pod->backoff);
    if (!pod->is_calling) { /* else its answer comes first */
        next_call(pod);
    }
}

void docker_pod_end(struct docker_pod *pod)
{
    if (pod->step != DOCKER_ENDING) {
        set_reason(pod, BACKEND_DESTROYED, NULL);
        end(pod);
    }
}

/* It serves no longer: say so, and remove it. */
static void fail(struct docker_pod *pod, enum backend_reason reason, const char *detail)
{
    const struct backend_events *events = &pod->docker->events;
    set_reason(pod, reason, detail);
    end(pod);
    if (!pod->docker->is_closing) {
        events->failed(events->arg, pod->name, reason, pod->detail);
    }
}

void docker_pod_vanished(struct docker_pod *pod)
{
    if (pod->is_calling || pod->step == DOCKER_ENDING) {
        return; /* the call says so itself */
    }
    set_reason(pod, BACKEND_DELETED, "the container was removed by somebody else");
    be_gone(pod);
}

void docker_pod_dead(struct docker_pod *pod)
{
    pod->is_dead = true;
}

static void again(struct docker_pod *pod)
{
    pod->next_ms = rw_monotonic_ms() + rw_backoff_next_ms(&pod->backoff);
}

/* ---- answers ---- */

/* What a refusal to make or start it means. */
static enum backend_reason refusal(const struct rw_error *err)
{
    switch ((int)err->code) {
    case RW_ERR_NOT_FOUND:
        return BACKEND_IMAGE;
    case RW_ERR_INVALID:
        return BACKEND_MISCONFIGURED;
    case RW_ERR_INTERNAL:
    case RW_ERR_CONFLICT:
        return BACKEND_CONTAINER;
    default:
        return BACKEND_REFUSED; /* the engine does not answer */
    }
}

static void on_created(void *arg, const cJSON *json, const struct rw_error *err)
{
    struct docker_pod *pod = arg;
    (void)json;
    pod->is_calling = false;
    if (err && (err->code == RW_ERR_NOT_FOUND || err->code == RW_ERR_INVALID)) { /* it was certainly not made */
        if (pod->step != DOCKER_ENDING) {
            set_reason(pod, refusal(err), err->message);
        }
        be_gone(pod);
        return;
    }
    if (pod->step == DOCKER_CREATING && (!err || err->code == RW_ERR_CONFLICT)) { /* sent twice: the first one made it */
        pod->step = DOCKER_STARTING;
    } else if (pod->step == DOCKER_CREATING) {
        fail(pod, refusal(err), err->message);
        return;
    }
    next_call(pod);
}

static void on_started(void *arg, const cJSON *json, const struct rw_error *err)
{
    struct docker_pod *pod = arg;
    (void)json;
    pod->is_calling = false;
    if (pod->step == DOCKER_ENDING) {
        next_call(pod);
    } else if (err) {
        fail(pod, err->code == RW_ERR_NOT_FOUND ? BACKEND_CONTAINER : refusal(err), err->message);
    } else {
        pod->step = DOCKER_COMING;
        pod->started_ms = rw_monotonic_ms();
    }
}

static enum backend_reason reason_of(const struct engine_state *state)
{
    enum { KILLED = 128 };
    if (state->exit_code == 0) {
        return BACKEND_FINISHED; /* it has told its result, whatever its control group saw on the way */
    }
    if (state->is_oom_killed) {
        return BACKEND_OOM_KILLED;
    }
    return state->exit_code > KILLED ? BACKEND_SIGNALLED : BACKEND_EXITED;
}

static void on_looked(void *arg, const cJSON *json, const struct rw_error *err)
{
    struct docker_pod *pod = arg;
    struct engine_state state = {0};
    struct rw_error reading;
    pod->is_calling = false;
    if (pod->step == DOCKER_ENDING) {
        next_call(pod);
    } else if (err && err->code == RW_ERR_NOT_FOUND) {
        docker_pod_vanished(pod);
    } else if (err) {
        again(pod);
    } else if (engine_state_read(json, &state, &reading)) {
        fail(pod, BACKEND_CONTAINER, reading.message);
    } else if (state.is_running) {
        pod->is_dead = false;
    } else {
        fail(pod, reason_of(&state), state.detail);
    }
}

static void on_removed(void *arg, const cJSON *json, const struct rw_error *err)
{
    struct docker_pod *pod = arg;
    (void)json;
    pod->is_calling = false;
    if (!err || err->code == RW_ERR_NOT_FOUND) {
        be_gone(pod);
        return;
    }
    if (err->code != RW_ERR_CONFLICT) { /* conflict: it is being removed already */
        rw_log_error(RW_LOG_WARNING, "cannot remove a container", err, RW_LOG_STR("pod", pod->name));
    }
    again(pod);
}

/* ---- calls ---- */

/* language: NULL when it is not known. */
static void limits_of(const struct rw_language *language, struct engine_making *making)
{
    struct rw_limits most = {.memory_bytes = 1024ULL * 1024 * 1024, .disk_bytes = 512ULL * 1024 * 1024, .processes = 256};
    if (language) {
        const struct rw_limits *run = &language->limits_max;
        const struct rw_limits *compile = &language->compile_limits;
        most.memory_bytes = run->memory_bytes > compile->memory_bytes ? run->memory_bytes : compile->memory_bytes;
        most.disk_bytes = run->disk_bytes > compile->disk_bytes ? run->disk_bytes : compile->disk_bytes;
        most.processes = run->processes > compile->processes ? run->processes : compile->processes;
    }
    making->memory_bytes = making->slots * (most.memory_bytes + most.disk_bytes) + RUNNER_BYTES;
    making->disk_bytes = most.disk_bytes;
    making->processes = making->slots * (most.processes + RUNNER_PROCESSES);
}

/* "runwave/runner-{language}:dev" */
static char *image_of(const struct docker_pod *pod)
{
    static const char hole[] = "{language}";
    const char *image = pod->docker->config->image;
    const char *at = strstr(image, hole);
    return at ? rw_xasprintf("%.*s%s%s", (int)(at - image), image, pod->language, at + sizeof(hole) - 1) : rw_xstrdup(image);
}

static void send_create(struct docker_pod *pod)
{
    const struct docker *docker = pod->docker;
    const struct docker_config *config = docker->config;
    RW_AUTO_FREE char *path = rw_xasprintf("/containers/create?name=%s-%s", config->instance, pod->name);
    RW_AUTO_FREE char *folder = rw_xasprintf("%s/%s", docker->folder_base, pod->name);
    RW_AUTO_FREE char *image = image_of(pod);
    const struct rw_language *language = docker->catalogue ? rw_catalogue_find(docker->catalogue, pod->language) : NULL;
    struct engine_making making = {
        .pod = pod->name,
        .instance = config->instance,
        .language = pod->language,
        .image = image,
        .folder = folder,
        .runtime = config->runtime,
        .required = docker->required,
        .plan = language && !docker->is_cold ? rw_language_warm_plan(language) : NULL,
        .has_namespaces = strcmp(config->sandbox, "namespaces") == 0,
        .slots = 1,
        .uses = 1,
        .uid = config->uid_base + (uint32_t)pod->slot,
        .cpu_milli = config->cpu_milli,
    };
    limits_of(language, &making);
    RW_AUTO(cJSON_Delete) cJSON *body = engine_container_make(&making);
    engine_call(docker->engine, &(struct engine_request){.method = "POST", .path = path, .body = body, .timeout_ms = MAKING_MS},
                on_created, pod);
}

static void send_plain(struct docker_pod *pod, const char *method, const char *rest, uint32_t timeout_ms, engine_answered done)
{
    RW_AUTO_FREE char *path = rw_xasprintf("/containers/%s-%s%s", pod->docker->config->instance, pod->name, rest);
    engine_call(pod->docker->engine, &(struct engine_request){.method = method, .path = path, .timeout_ms = timeout_ms}, done, pod);
}

/* The call that its step asks for. */
static void next_call(struct docker_pod *pod)
{
    pod->next_ms = 0;
    pod->is_calling = true;
    switch (pod->step) {
    case DOCKER_CREATING:
        send_create(pod);
        break;
    case DOCKER_STARTING:
        send_plain(pod, "POST", "/start", MAKING_MS, on_started);
        break;
    case DOCKER_COMING:
    case DOCKER_READY:
        send_plain(pod, "GET", "/json", LOOKING_MS, on_looked);
        break;
    case DOCKER_ENDING:
        send_plain(pod, "DELETE", "?force=1&v=1", MAKING_MS, on_removed);
        break;
    }
}

/* ---- its beginning ---- */

static int take_slot(struct docker *docker)
{
    for (int i = 0; i < docker->n_slots; i++) {
        int slot = (docker->next_slot + i) % docker->n_slots;
        if (!docker->slots[slot]) {
            docker->slots[slot] = true;
            docker->next_slot = slot + 1; /* not the one that was given back last */
            return slot;
        }
    }
    return -1;
}

static struct docker_pod *add(struct docker *docker, const char *name)
{
    struct docker_pod *pod = rw_xcalloc(1, sizeof(*pod));
    pod->docker = docker;
    pod->slot = -1;
    (void)snprintf(pod->name, sizeof(pod->name), "%s", name);
    rw_backoff_init(&pod->backoff, RETRY_BASE_MS, RETRY_MAX_MS);
    HASH_ADD_STR(docker->pods, name, pod);
    return pod;
}

int docker_pod_create(struct docker *docker, const char *name, const char *language, struct rw_error *err)
{
    struct docker_pod *known = NULL;
    HASH_FIND_STR(docker->pods, name, known);
    if (known || !docker->folder_base || docker->is_closing) {
        return rw_fail(err, UNAVAILABLE, known ? "there is a pod of that name" : "the Docker Engine has not answered yet");
    }
    struct docker_pod *pod = add(docker, name);
    pod->is_ours = true;
    (void)snprintf(pod->language, sizeof(pod->language), "%s", language);
    pod->slot = take_slot(docker);
    rw_random_bytes(pod->secret, sizeof(pod->secret));
    if (pod->slot < 0) {
        free_pod(pod);
        return rw_fail(err, UNAVAILABLE, "all %d user ids are in use", docker->n_slots);
    }
    if (docker_folder_make(docker, pod, err)) {
        free_pod(pod);
        return -1;
    }
    next_call(pod);
    return 0;
}

void docker_pod_take(struct docker *docker, const char *name)
{
    struct docker_pod *pod = add(docker, name);
    rw_log(RW_LOG_INFO, "removing a container of an earlier instance", RW_LOG_STR("pod", name));
    set_reason(pod, BACKEND_DELETED, NULL);
    end(pod);
}

void docker_pod_tick(struct docker_pod *pod, int64_t now_ms)
{
    if (pod->is_calling) {
        return;
    }
    if (pod->next_ms && now_ms < pod->next_ms) {
        return;
    }
    bool is_living = pod->step == DOCKER_COMING || pod->step == DOCKER_READY;
    if (pod->next_ms || (is_living && pod->is_dead)) {
        next_call(pod);
    } else if (pod->step == DOCKER_COMING && docker_folder_answers(pod->docker, pod->name)) {
        char address[sizeof("unix:") + RW_ERROR_MESSAGE_BYTES] = "unix:";
        docker_folder_address(pod->docker, pod->name, address + strlen(address), sizeof(address) - strlen(address));
        pod->step = DOCKER_READY;
        const struct backend_events *events = &pod->docker->events;
        events->ready(events->arg, pod->name, &(struct backend_ready){.address = address, .secret = pod->secret});
    }
}
