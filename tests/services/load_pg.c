/* load_pg: writes rows through the pool while somebody kills the server, and repeats what has an unknown outcome until every row is
 * known to be there. SIGTERM: begins no more rows, finishes those begun, and prints one JSON line, which the pytest side compares
 * with the table. Ends with 1 when a callback came twice or never. */
#include <stdio.h>
#include <stdlib.h>

#include <rw/clock.h>
#include <rw/pg.h>

#include "support.h"

enum { INSERT, N_STATEMENTS };

static const struct rw_pg_statement statements[N_STATEMENTS] = {
    [INSERT] = {"insert", "INSERT INTO services_load (n) VALUES ($1) ON CONFLICT (n) DO NOTHING", 1},
};

enum { IN_FLIGHT = 200, RETRY_MS = 20, STATEMENT_TIMEOUT_MS = 3000, GIVE_UP_S = 240 };

struct load;
struct row {
    struct load *load;
    int64_t n;
    bool is_asked; /* a callback is due */
    uv_timer_t retry;
};

struct load {
    uv_loop_t loop;
    struct rw_pg *pg;
    struct row rows[IN_FLIGHT];
    uv_signal_t stop;
    bool is_stopping;
    int64_t n_next;
    unsigned n_done;
    unsigned n_wrong; /* callbacks nobody waits for */
    unsigned failures[_RW_ERR_MAX];
    unsigned n_ups;
    unsigned n_downs;
};

static void ask(struct row *row);

static void on_state(void *arg, bool is_connected)
{
    struct load *load = arg;
    *(is_connected ? &load->n_ups : &load->n_downs) += 1;
    (void)fprintf(stderr, "%s after %u rows\n", is_connected ? "connected" : "lost", load->n_done);
}

static void on_retry(uv_timer_t *timer)
{
    ask(timer->data);
}

static void next_row(struct row *row)
{
    if (!row->load->is_stopping) {
        row->n = row->load->n_next++;
        ask(row);
    }
}

static void on_inserted(void *arg, const PGresult *result, const struct rw_error *err)
{
    (void)result;
    struct row *row = arg;
    struct load *load = row->load;
    load->n_wrong += !row->is_asked;
    row->is_asked = false;
    if (!err) {
        load->n_done++;
        next_row(row);
        return;
    }
    load->failures[err->code]++;
    (void)uv_timer_start(&row->retry, on_retry, RETRY_MS, 0);
}

static void ask(struct row *row)
{
    struct rw_pg_params params = {.count = 0};
    rw_pg_param_int8(&params, row->n);
    row->is_asked = true;
    rw_pg_exec(row->load->pg, INSERT, &params, STATEMENT_TIMEOUT_MS, on_inserted, row);
}

static void on_stop(uv_signal_t *stop, int number)
{
    (void)number;
    ((struct load *)stop->data)->is_stopping = true;
}

static int start(struct load *load, const struct rw_config_database *config, struct rw_metrics *metrics)
{
    const struct rw_pg_options options = {.config = config,
                                          .password = database_password(),
                                          .application_name = "load_pg",
                                          .statements = statements,
                                          .n_statements = N_STATEMENTS,
                                          .queue_max = IN_FLIGHT / 2, /* some are refused while there is no connection */
                                          .metrics = metrics,
                                          .on_state = on_state,
                                          .arg = load};
    struct rw_error err;
    if (uv_loop_init(&load->loop) != 0 || rw_pg_open(&load->loop, &options, &load->pg, &err) != 0) {
        return -1;
    }
    (void)uv_signal_init(&load->loop, &load->stop);
    load->stop.data = load;
    (void)uv_signal_start(&load->stop, on_stop, SIGTERM);
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        struct row *row = &load->rows[i];
        row->load = load;
        (void)uv_timer_init(&load->loop, &row->retry);
        row->retry.data = row;
        next_row(row);
    }
    return 0;
}

static unsigned finish(struct load *load)
{
    unsigned n_open = 0;
    rw_pg_close(load->pg);
    uv_close((uv_handle_t *)&load->stop, NULL);
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        n_open += load->rows[i].is_asked;
        uv_close((uv_handle_t *)&load->rows[i].retry, NULL);
    }
    return n_open + !finish_loop(&load->loop);
}

int main(void)
{
    struct load *load = rw_xcalloc(1, sizeof(*load));
    struct rw_config_database config = database_config();
    struct rw_metrics *metrics = rw_metrics_new();
    if (start(load, &config, metrics) != 0) {
        return 1;
    }
    int64_t deadline_ms = rw_monotonic_ms() + GIVE_UP_S * 1000;
    while ((!load->is_stopping || load->n_done < load->n_next) && rw_monotonic_ms() < deadline_ms) {
        (void)uv_run(&load->loop, UV_RUN_ONCE);
    }
    unsigned n_open = finish(load);
    (void)printf("{\"done\": %u, \"wrong\": %u, \"open\": %u, \"ups\": %u, \"downs\": %u, \"unavailable\": %u, \"timeout\": %u, "
                 "\"overloaded\": %u, \"cancelled\": %u, \"other\": %u}\n",
                 load->n_done, load->n_wrong, n_open, load->n_ups, load->n_downs, load->failures[RW_ERR_UNAVAILABLE],
                 load->failures[RW_ERR_TIMEOUT], load->failures[RW_ERR_OVERLOADED], load->failures[RW_ERR_CANCELLED],
                 load->failures[RW_ERR_INTERNAL] + load->failures[RW_ERR_CONFLICT]);
    bool is_right = load->n_done == load->n_next && load->n_wrong == 0 && n_open == 0;
    rw_metrics_free(metrics);
    free(load);
    return is_right ? 0 : 1;
}
