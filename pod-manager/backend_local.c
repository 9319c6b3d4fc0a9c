/* The local backend's table: see local.h. Whether pods can be made at all is found out by the runner itself (--probe), at start
 * and, as long as it cannot, every half minute, so that mending the system needs no restart. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/json.h>

#include "local.h"

enum { PROBE_BYTES_MAX = 4096 };
enum { PROBE_PERIOD_MS = 30000, UID_BASE_DEFAULT = 1879048192 };
/* Overlap of pods on their way in and out, and of an earlier instance's. */
enum { PLACES_PER_POD = 2, PLACES_SPARE = 64 };

/* Two for each sandbox. A pod of many has as many prepared as it has slots, besides those in use. */
static uint32_t ids_per_block(const struct manager_config *config)
{
    return config->isolation.is_offered[RW_ISOLATION_SANDBOX] ? 4 * config->isolation.slots : 2;
}

static int local_prepare(struct manager_config *config, struct rw_error *err)
{
    struct local_config *local = &config->local;
    if (!local->run_dir || !local->runner) {
        return rw_fail(err, CONFIG, "local.%s must be given", local->run_dir ? "runner" : "run_dir");
    }
    if (!local->sandbox) {
        local->sandbox = rw_xstrdup("namespaces");
    }
    if (strcmp(local->sandbox, "namespaces") != 0 && strcmp(local->sandbox, "container") != 0) {
        return rw_fail(err, CONFIG, "local.sandbox: must be namespaces or container");
    }
    if (!local->cgroup) {
        local->cgroup = rw_xstrdup("runwave");
    }
    if (strspn(local->cgroup, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != strlen(local->cgroup) ||
        local->cgroup[0] == '.') {
        return rw_fail(err, CONFIG, "local.cgroup: one name of letters, digits, '.', '_' and '-', not beginning with a dot");
    }
    if (geteuid() != 0 && local->uid_base) {
        return rw_fail(err, CONFIG, "local.uid_base: only root can give pods user ids of their own; leave it out");
    }
    if (geteuid() == 0 && !local->uid_base) {
        local->uid_base = UID_BASE_DEFAULT;
    }
    if (config->isolation.is_offered[RW_ISOLATION_SANDBOX] && strcmp(local->sandbox, "namespaces") != 0) {
        return rw_fail(err, CONFIG, "local.sandbox: the isolation level sandbox needs namespaces");
    }
    if (config->require.cgroup && !local->cgroup[0]) {
        return rw_fail(err, CONFIG, "require.cgroup: local.cgroup is empty, so that pods have none");
    }
    uint64_t uid_end = local->uid_base + ids_per_block(config) * ((uint64_t)config->pods_max * PLACES_PER_POD + PLACES_SPARE);
    if (local->uid_base && (local->uid_base < 65536 || uid_end > INT32_MAX)) {
        return rw_fail(err, CONFIG, "local.uid_base: must be 65536 at least, and %d at most with all that pods_max needs behind it",
                       INT32_MAX);
    }
    return 0;
}

/* The layers that the probe has found in force, as it says them. */
static void tell_layers(const struct local *local, const char *output)
{
    static const struct rw_json_limits limits = {.bytes_max = PROBE_BYTES_MAX, .depth_max = 4, .values_max = 64};
    struct rw_error err;
    RW_AUTO(cJSON_Delete) cJSON *found = NULL;
    if (rw_json_parse(rw_bytes_of(output, strlen(output)), &limits, &found, &err)) {
        return;
    }
    const char *layers = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(found, "layers"));
    if (layers) {
        local->events.layers(local->events.arg, layers);
    }
}

static void on_probed(void *arg, const struct local_said *said)
{
    struct local *local = arg;
    char detail[256];
    if (local->is_closing) {
        return;
    }
    local->is_probing = false;
    bool is_usable = said->exit_status == 0;
    local->probe_at_ms = is_usable ? 0 : rw_monotonic_ms() + PROBE_PERIOD_MS;
    if (said->errors[0]) {
        (void)snprintf(detail, sizeof(detail), "%s", said->errors);
    } else {
        (void)snprintf(detail, sizeof(detail), "%s --probe ended with status %d and said nothing", local->config->runner,
                       said->exit_status);
    }
    tell_layers(local, said->output);
    local->events.usable(local->events.arg, is_usable, is_usable ? NULL : detail);
}

static void probe(struct local *local)
{
    local->is_probing = true;
    local_helper_probe(local, on_probed, local);
}

static void free_local(struct local *local)
{
    local_run_dir_close(local);
    free(local->blocks);
    free(local);
}

static int local_open(const struct backend_options *options, struct backend **ret_backend, struct rw_error *err)
{
    struct local *local = rw_xcalloc(1, sizeof(*local));
    local->loop = options->loop;
    local->config = &options->config->local;
    local->catalogue = options->config->cold ? NULL : options->catalogue;
    local->required = options->config->required;
    local->events = options->events;
    local->ids_per_block = ids_per_block(options->config);
    local->run_dir_fd = -1;
    local->lock_fd = -1;
    local->n_blocks = (int)options->config->pods_max * PLACES_PER_POD + PLACES_SPARE;
    local->blocks = rw_xcalloc((size_t)local->n_blocks, sizeof(*local->blocks));
    if (local_run_dir_open(local, err)) {
        free_local(local);
        return -1;
    }
    local_run_dir_sweep(local);
    probe(local);
    *ret_backend = (struct backend *)local;
    return 0;
}

static int local_create(struct backend *backend, const char *pod, const struct backend_wish *wish, struct rw_error *err)
{
    return local_pod_start((struct local *)backend, pod, wish, err);
}

static void local_destroy(struct backend *backend, const char *name, enum backend_manner manner)
{
    struct local *local = (struct local *)backend;
    struct local_pod *pod = NULL;
    HASH_FIND_STR(local->pods, name, pod);
    if (pod && !pod->has_exited) {
        local_pod_end(pod, manner);
    }
}

static void local_list(struct backend *backend, void (*each)(void *arg, const struct backend_listed *pod), void *arg)
{
    struct local *local = (struct local *)backend;
    for (const struct local_pod *pod = local->pods; pod; pod = pod->hh.next) {
        struct backend_listed listed = {.pod = pod->name, .process = pod->pid};
        if (!pod->is_silent) {
            each(arg, &listed);
        }
    }
}

static void local_tick(struct backend *backend, int64_t now_ms)
{
    struct local *local = (struct local *)backend;
    struct local_pod *pod = NULL;
    struct local_pod *next = NULL;
    HASH_ITER(hh, local->pods, pod, next)
    {
        local_pod_tick(pod, now_ms);
    }
    local_run_dir_tick(local, now_ms);
    if (local->probe_at_ms && now_ms >= local->probe_at_ms && !local->is_probing) {
        probe(local);
    }
}

/* At close, the last thing to go is the control group that held those of the pods. */
void local_closed_one(struct local *local)
{
    local->n_open--;
    if (!local->is_closing || local->n_open > 0) {
        return;
    }
    if (local->config->cgroup[0] && !local->orphans && !local->is_swept) {
        local->is_swept = true;
        local_helper_sweep(local, local->config->cgroup, NULL, NULL);
    } else {
        free_local(local);
    }
}

static void local_close(struct backend *backend)
{
    struct local *local = (struct local *)backend;
    struct local_pod *pod = NULL;
    struct local_pod *next = NULL;
    local->n_open++; /* this function */
    local->is_closing = true;
    HASH_ITER(hh, local->pods, pod, next)
    {
        pod->is_silent = true;
        if (!pod->has_exited) {
            local_pod_end(pod, BACKEND_AT_ONCE);
        }
    }
    local_helper_close(local);
    local_closed_one(local);
}

const struct backend_class backend_local = {
    .name = "local",
    .has_sandbox_pods = true,
    .creating_max = 8,
    .prepare = local_prepare,
    .open = local_open,
    .create = local_create,
    .destroy = local_destroy,
    .list = local_list,
    .tick = local_tick,
    .close = local_close,
};
