/* The janitor: one periodic timer for everything that comes to pass because nothing happens - waiting leases that lose patience,
 * leases past their deadline, pods that never become ready, the end of a back-off, idle pods beyond the target, the backend's own
 * deadlines. */
#include <rw/clock.h>

#include "manager.h"

enum { JANITOR_PERIOD_MS = 100 };

static void on_timer(uv_timer_t *timer)
{
    manager_tick(timer->data, rw_monotonic_ms());
}

int janitor_start(struct manager *manager, struct rw_error *err)
{
    int failed = uv_timer_init(manager->loop, &manager->janitor);
    manager->janitor.data = manager;
    failed = failed ? failed : uv_timer_start(&manager->janitor, on_timer, JANITOR_PERIOD_MS, JANITOR_PERIOD_MS);
    return failed ? rw_fail_sys(err, INTERNAL, -failed, "start the janitor's timer") : 0;
}

void janitor_close(struct manager *manager)
{
    uv_close((uv_handle_t *)&manager->janitor, NULL);
}
