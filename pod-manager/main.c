/* runwave-pod-manager: keeps pools of warm pods, through one backend, and leases them to schedulers.
 *
 * Theory of operation. One thread runs the event loop and owns everything that changes; the HTTP server's threads check requests
 * and post them to it. A request for a lease joins its language's queue; the pools (pure, pool.h) decide who gets which pod and
 * which pods are to be made or destroyed; the manager carries that out through the backend's table (backend.h), whose events change
 * the pools' state again. Nothing is stored: after a restart everything starts afresh, and what an earlier instance left is swept
 * by the backend. */
#include "http.h"

struct pod_manager {
    struct rw_catalogue *catalogue;
    struct rw_metrics *metrics;
    struct rw_health *health;
    struct manager *manager;
    struct http_api *api;
    char *token;
};

static void on_drained(void *arg)
{
    rw_daemon_drained(arg);
}

/* What is half-made when it fails goes with the process. */
static int start(uv_loop_t *loop, void *raw_config, void **ret_daemon, struct rw_error *err)
{
    const struct manager_config *config = raw_config;
    struct pod_manager *self = rw_xcalloc(1, sizeof(*self));
    self->metrics = rw_metrics_new();
    self->health = rw_health_new();
    if (rw_secret_load("RUNWAVE_POD_MANAGER_TOKEN", config->token_file, &self->token, err) ||
        rw_catalogue_load(config->languages_dir, &self->catalogue, err)) {
        return -1;
    }
    struct manager_options manager = {.loop = loop,
                                      .config = config,
                                      .catalogue = self->catalogue,
                                      .class = backend_find(config->backend),
                                      .metrics = self->metrics,
                                      .health = self->health,
                                      .drained = on_drained,
                                      .drained_arg = loop};
    if (manager_open(&manager, &self->manager, err)) {
        return -1;
    }
    struct http_api_options api = {
        .loop = loop, .manager = self->manager, .metrics = self->metrics, .health = self->health, .token = self->token};
    if (http_api_start(&api, &self->api, err)) {
        return -1;
    }
    *ret_daemon = self;
    return 0;
}

static void drain(void *daemon)
{
    struct pod_manager *self = daemon;
    manager_drain(self->manager);
}

static void close_daemon(void *daemon)
{
    struct pod_manager *self = daemon;
    http_api_close(self->api);
    manager_close(self->manager);
}

static void free_daemon(void *daemon)
{
    struct pod_manager *self = daemon;
    manager_free(self->manager);
    rw_catalogue_free(self->catalogue);
    rw_health_free(self->health);
    rw_metrics_free(self->metrics);
    rw_secret_free(self->token);
    free(self);
}

int main(int argc, char **argv)
{
    static const struct rw_daemon daemon = {
        .name = "pod-manager",
        .schema = &manager_config_schema,
        .log_offset = offsetof(struct manager_config, log),
        .prepare = manager_config_prepare,
        .start = start,
        .drain = drain,
        .close = close_daemon,
        .free_daemon = free_daemon,
    };
    return rw_daemon_main(&daemon, argc, argv);
}
