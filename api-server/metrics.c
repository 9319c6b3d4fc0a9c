/* The api-server's own metrics; those of the HTTP server, the database and the broker register themselves. */
#include "api.h"

void api_metrics_init(struct api *api)
{
    static const char *const waits[_WAIT_MAX] = {[WAIT_FINAL] = "final", [WAIT_EXPIRED] = "expired", [WAIT_FAILED] = "failed"};
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
    metrics->not_published = rw_metrics_counter(api->registry, "runwave_api_publishes_not_sent_total", NULL,
                                                "New tasks whose publish was left to the sweep.");
    metrics->waiting = rw_metrics_gauge(api->registry, "runwave_api_waiting", NULL, "Clients that a task's row is read for.");
    metrics->backlog = rw_metrics_gauge(api->registry, "runwave_api_backlog", NULL,
                                        "Unpublished tasks; counted while the broker is away, else 0.");
}
