/* See support.h. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <rw/auto.h>
#include <rw/clock.h>

enum { PATIENCE_MS = 20000 };

const char *need_env(const char *name)
{
    const char *value = getenv(name);
    if (!value) {
        (void)fprintf(stderr, "%s is not set: this program needs a real server\n", name);
        exit(2);
    }
    return value;
}

static char *mutable_env(const char *name)
{
    return (char *)(uintptr_t)need_env(name);
}

static uint32_t number_env(const char *name)
{
    return (uint32_t)strtoul(need_env(name), NULL, 10);
}

struct rw_config_database database_config(void)
{
    return (struct rw_config_database){
        .host = mutable_env("RUNWAVE_TEST_PG_HOST"),
        .port = number_env("RUNWAVE_TEST_PG_PORT"),
        .name = mutable_env("RUNWAVE_TEST_PG_NAME"),
        .user = mutable_env("RUNWAVE_TEST_PG_USER"),
        .connections = 3,
        .statement_timeout_ms = 5000,
    };
}

const char *database_password(void)
{
    return need_env("RUNWAVE_TEST_PG_PASSWORD");
}

struct rw_config_broker broker_config(void)
{
    return (struct rw_config_broker){
        .host = mutable_env("RUNWAVE_TEST_AMQP_HOST"),
        .port = number_env("RUNWAVE_TEST_AMQP_PORT"),
        .vhost = mutable_env("RUNWAVE_TEST_AMQP_VHOST"),
        .user = mutable_env("RUNWAVE_TEST_AMQP_USER"),
        .heartbeat_s = 10,
    };
}

const char *broker_password(void)
{
    return need_env("RUNWAVE_TEST_AMQP_PASSWORD");
}

uint32_t patience_ms(void)
{
    const char *slowness = getenv("RUNWAVE_TEST_SLOWNESS");
    return PATIENCE_MS * (uint32_t)(slowness ? strtoul(slowness, NULL, 10) : 1);
}

void pause_ms(unsigned ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

struct alarm { /* frees itself, for the loop closes its handle later */
    uv_timer_t timer;
    bool is_due;
};

static void on_alarm(uv_timer_t *timer)
{
    ((struct alarm *)timer->data)->is_due = true;
}

static void on_alarm_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static bool run(uv_loop_t *loop, const unsigned *counter, unsigned wanted, uint64_t timeout_ms)
{
    struct alarm *alarm = rw_xcalloc(1, sizeof(*alarm));
    (void)uv_timer_init(loop, &alarm->timer);
    alarm->timer.data = alarm;
    uv_update_time(loop);
    (void)uv_timer_start(&alarm->timer, on_alarm, timeout_ms, 0);
    while (!alarm->is_due && !(counter && *counter >= wanted)) {
        (void)uv_run(loop, UV_RUN_ONCE);
    }
    bool is_reached = counter && *counter >= wanted;
    uv_close((uv_handle_t *)&alarm->timer, on_alarm_closed);
    return is_reached;
}

bool run_until(uv_loop_t *loop, const unsigned *counter, unsigned wanted)
{
    return run(loop, counter, wanted, patience_ms());
}

void run_for(uv_loop_t *loop, unsigned ms)
{
    (void)run(loop, NULL, 0, ms);
}

bool finish_loop(uv_loop_t *loop)
{
    int64_t deadline_ms = rw_monotonic_ms() + patience_ms();
    while (uv_run(loop, UV_RUN_NOWAIT) != 0 && rw_monotonic_ms() < deadline_ms) {
        pause_ms(1);
    }
    return uv_loop_close(loop) == 0;
}
