/* The migrations at start, on a thread of libuv's pool so that the daemon answers /healthz meanwhile. Tried again until the
 * database is reachable and not newer than this program. */
#ifndef SCHEDULER_MIGRATION_H
#define SCHEDULER_MIGRATION_H

#include <uv.h>

#include <rw/config.h>

struct migration;

struct migration_callbacks { /* on the loop's thread */
    void (*done)(void *arg); /* once, at the end; the migration frees itself afterwards */
    void (*failed)(void *arg, const struct rw_error *err);
    void *arg;
};

/* config and password are borrowed until done, or until the handles are closed. */
struct migration *migration_start(uv_loop_t *loop, const struct rw_config_database *config, const char *password,
                                  const struct migration_callbacks *callbacks);
/* No callback any more. A try under way goes on to its end, and the loop with it. Not after done. */
void migration_close(struct migration *migration);

#endif
