/* The migrations at start: see migration.h. */
#include "migration.h"

#include <rw/auto.h>
#include <rw/log.h>
#include <rw/pg.h>

enum { TRY_MS = 2000, PAUSE_MS = 1000 };

struct migration {
    uv_loop_t *loop;
    uv_work_t work;
    uv_timer_t timer;
    const struct rw_config_database *config;
    const char *password;
    struct migration_callbacks callbacks;
    bool is_working;
    bool is_closing;
    int result; /* written by the pool's thread, read after it is done */
    unsigned n_applied;
    struct rw_error err;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void finish(struct migration *migration)
{
    uv_close((uv_handle_t *)&migration->timer, on_closed);
}

static void try_again(uv_timer_t *timer);

static void work(uv_work_t *request)
{
    struct migration *migration = request->data;
    migration->result = rw_pg_migrate(migration->config, migration->password, TRY_MS, &migration->n_applied, &migration->err);
}

static void worked(uv_work_t *request, int status)
{
    (void)status;
    struct migration *migration = request->data;
    migration->is_working = false;
    if (migration->is_closing) {
        finish(migration);
        return;
    }
    if (migration->result < 0) {
        migration->callbacks.failed(migration->callbacks.arg, &migration->err);
        (void)uv_timer_start(&migration->timer, try_again, PAUSE_MS, 0);
        return;
    }
    rw_log(RW_LOG_INFO, "schema is up to date", RW_LOG_INT("migrations_applied", migration->n_applied));
    migration->callbacks.done(migration->callbacks.arg);
    finish(migration);
}

static void try_again(uv_timer_t *timer)
{
    struct migration *migration = timer->data;
    migration->work.data = migration;
    migration->is_working = uv_queue_work(migration->loop, &migration->work, work, worked) == 0;
}

struct migration *migration_start(uv_loop_t *loop, const struct rw_config_database *config, const char *password,
                                  const struct migration_callbacks *callbacks)
{
    struct migration *migration = rw_xcalloc(1, sizeof(*migration));
    migration->loop = loop;
    migration->config = config;
    migration->password = password;
    migration->callbacks = *callbacks;
    (void)uv_timer_init(loop, &migration->timer);
    migration->timer.data = migration;
    try_again(&migration->timer);
    return migration;
}

void migration_close(struct migration *migration)
{
    if (!migration) {
        return;
    }
    migration->is_closing = true;
    if (!migration->is_working) {
        finish(migration);
    }
}
