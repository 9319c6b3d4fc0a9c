/* What the three daemons' main functions share: arguments, signals, health.
 *
 * Arguments: --config FILE, --check-config, --print-config, --version, --help. Signals: the first SIGTERM or SIGINT drains, the
 * second exits at once with status 1. SIGPIPE is ignored. */
#ifndef RW_DAEMON_H
#define RW_DAEMON_H

#include <uv.h>

#include <rw/config.h>
#include <rw/http_server.h>
#include <rw/metrics.h>

struct rw_daemon {
    const char *name;                   /* "scheduler": log lines, --help */
    const cyaml_schema_value_t *schema; /* of its configuration */
    size_t log_offset;                  /* of struct rw_config_log in the configuration */
    /* Fill in defaults and check what a schema cannot. CONFIG. */
    int (*prepare)(void *config, struct rw_error *err);
    /* Build everything on the loop; return 0 and the daemon's own struct. */
    int (*start)(uv_loop_t *loop, void *config, void **ret_daemon, struct rw_error *err);
    /* Begin to drain; call rw_daemon_drained(loop) when nothing is left, at the latest after the drain time configured. */
    void (*drain)(void *daemon);
    /* After the drain: close every handle. The loop is run until all are closed, then free_daemon is called. */
    void (*close)(void *daemon);
    void (*free_daemon)(void *daemon);
};

/* The whole of main: returns the exit status. */
int rw_daemon_main(const struct rw_daemon *daemon, int argc, char **argv);
void rw_daemon_drained(uv_loop_t *loop); /* loop thread */

/* Health: conditions that a daemon needs, kept by name. Any thread. */
enum { RW_HEALTH_CONDITIONS_MAX = 16 };
struct rw_health;
struct rw_health *rw_health_new(void);
void rw_health_free(struct rw_health *health);
/* name: static; what is lacking while it is false: "database". detail: one line, copied, may be NULL. */
void rw_health_set(struct rw_health *health, const char *name, bool is_met, const char *detail);
/* name: static. What /readyz tells beside that, whatever is lacking; text is copied. The first few names have room. */
void rw_health_note(struct rw_health *health, const char *name, const char *text);
bool rw_health_is_ready(const struct rw_health *health);
/* Ready-made handlers' bodies: /healthz 200; /readyz 200 or 503 naming what is lacking; /metrics. */
void rw_health_reply_alive(struct rw_http_request *request);
void rw_health_reply_ready(const struct rw_health *health, struct rw_http_request *request);
void rw_metrics_reply(struct rw_metrics *metrics, struct rw_http_request *request);

#endif
