/* The api-server's own metrics; those of the HTTP server, the database and the broker register themselves. */
#include "api.h"

int api_metrics_init(struct api *api)
{
    static const char *const waits[_WAIT_MAX] = {[WAIT_FINAL] = "final", [WAIT_EXPIRED] = "expired", [WAIT_FAILED] = "failed"};
    static const char *const publishes[] = {[RW_PUBLISH_CONFIRMED] = "confirmed",
                                            [RW_PUBLISH_RETURNED] = "returned",
                                            [RW_PUBLISH_REFUSED] = "refused",
                                            [RW_PUBLISH_UNKNOWN] = "unknown"};
    static const char publish_name[] = "runwave_api_publishes_total";
    static const char publish_help[] = "Publishes of new tasks, by outcome; not_sent: left to the sweep.";
    struct api_metrics *metrics = &api->metrics;
    size_t n_languages = rw_catalogue_count(api->catalogue);

    metrics->submitted = rw_xcalloc(n_languages + 1, sizeof(struct rw_counter *));
    for (size_t i = 0; i < n_languages; i++) {
        RW_AUTO_FREE char *labels = rw_xasprintf("language=\"%s\"", api->language_ids[i]);
        metrics->submitted[i] = rw_metrics_counter(api->registry, "runwave_api_tasks_submitted_total", labels,
                                                   "Tasks accepted, by language.");
    }
    for (size_t i = 0; i < _WAIT_MAX; i++) {
        RW_AUTO_FREE char *labels = rw_xasprintf("outcome=\"%s\"", waits[i]);
        metrics->waits[i] = rw_metrics_counter(api->registry, "runwave_api_waits_total", labels, "Waits ended, by outcome.");
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(publishes); i++) {
        RW_AUTO_FREE char *labels = rw_xasprintf("outcome=\"%s\"", publishes[i]);
        metrics->published[i] = rw_metrics_counter(api->registry, publish_name, labels, publish_help);
    }
    metrics->not_published = rw_metrics_counter(api->registry, publish_name, "outcome=\"not_sent\"", publish_help);
    metrics->waiting = rw_metrics_gauge(api->registry, "runwave_api_waiting", NULL, "Clients that a task's row is read for.");
    metrics->backlog = rw_metrics_gauge(api->registry, "runwave_api_backlog", NULL,
                                        "Unpublished tasks; counted while the broker is away, else 0.");
    metrics->broker_connected = rw_metrics_gauge(api->registry, "runwave_api_broker_connected", NULL,
                                                 "1 while the publisher has a connection.");
    return 0;
}
