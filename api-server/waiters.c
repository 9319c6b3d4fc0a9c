/* The registry of waiting clients, by task id.
 *
 * No event is missed: a client is registered before the read that is to serve it is sent, and an event that comes during a read
 * makes a second one. A client is answered by a read that began after it came, or by any that found the task final. When a wait
 * runs out the task is read once more, so that its answer is the state of now. A failed read is repeated for those who still have
 * time. An event that brings the task's row answers without a read. */
#include "waiters.h"

#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "render.h"
#include "task_json.h"

enum { READ_TIMEOUT_MS = 5000, RETRY_MS = 250 };

struct client {
    struct client *prev, *next;
    struct waited_task *task;
    struct rw_http_request *request;
    enum client_kind kind;
    bool is_waiting;    /* has time left; else any read will do */
    bool is_wait_given; /* ?wait= */
    uint64_t read_min;  /* number of the first read that may answer it with a state that is not final */
    bool has_timer;
    uv_timer_t timer;
};

struct waited_task {
    struct rw_uuid id; /* the key */
    UT_hash_handle hh;
    struct waiters *waiters;
    struct client *clients;
    uint64_t n_reads; /* begun */
    bool is_reading;
    bool has_to_read; /* again, when the one under way is back */
    bool has_failed;  /* read again when the retry timer fires */
};

struct waiters {
    struct api *api;
    struct waited_task *tasks; /* hash */
    atomic_size_t n_clients;
    uv_timer_t retry_timer;
    size_t n_rendering; /* tasks that a worker thread is busy with */
    bool is_closing;
    bool is_closed; /* its handle is; freed when nothing is being rendered either */
};

static void on_read(void *arg, const PGresult *result, const struct rw_error *err);

/* ---- clients ---- */

static void on_client_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Its request is answered (or about to be, by the caller). */
static void drop_client(struct client *client)
{
    struct waiters *waiters = client->task->waiters;
    DL_DELETE(client->task->clients, client);
    rw_gauge_set(waiters->api->metrics.waiting, (int64_t)atomic_fetch_sub(&waiters->n_clients, 1) - 1);
    if (client->has_timer) {
        uv_close((uv_handle_t *)&client->timer, on_client_closed);
    } else {
        free(client);
    }
}

static void count_wait(const struct client *client, enum wait_outcome outcome)
{
    if (client->is_wait_given) {
        rw_counter_add(client->task->waiters->api->metrics.waits[outcome], 1);
    }
}

static void free_if_unwanted(struct waited_task *task)
{
    if (!task->clients && !task->is_reading) {
        HASH_DEL(task->waiters->tasks, task);
        free(task);
    }
}

static void free_if_over(struct waiters *waiters)
{
    if (waiters->is_closed && waiters->n_rendering == 0) {
        free(waiters);
    }
}

/* ---- answers ---- */

static void answer_final(struct waited_task *task, struct rw_http_content *content)
{
    struct api *api = task->waiters->api;
    struct client *client = NULL;
    struct client *next = NULL;
    DL_FOREACH_SAFE(task->clients, client, next)
    {
        count_wait(client, WAIT_FINAL);
        api_reply_content(api, client->request, 200, content);
        drop_client(client);
    }
}

static void answer_not_final(struct client *client, enum rw_task_state state, struct rw_http_content *content)
{
    struct api *api = client->task->waiters->api;
    count_wait(client, WAIT_EXPIRED);
    if (client->kind == CLIENT_SUBMIT) {
        api_reply_json(api, client->request, 202, task_accepted_json(&client->task->id, state));
    } else {
        api_reply_content(api, client->request, client->is_wait_given ? 202 : 200, content);
    }
    drop_client(client);
}

static void answer_rendered(struct waited_task *task, enum rw_task_state state, struct rw_http_content *content)
{
    struct client *client = NULL;
    struct client *next = NULL;
    if (rw_task_state_is_final(state)) {
        answer_final(task, content);
        return;
    }
    DL_FOREACH_SAFE(task->clients, client, next)
    {
        if (!client->is_waiting && client->read_min <= task->n_reads) {
            answer_not_final(client, state, content);
        }
    }
}

static void answer_unknown(struct waited_task *task)
{
    struct rw_error err = {0};
    struct client *client = NULL;
    struct client *next = NULL;
    (void)rw_error_set(&err, RW_ERR_NOT_FOUND, 0, __func__, "there is no task of this id");
    DL_FOREACH_SAFE(task->clients, client, next)
    {
        count_wait(client, WAIT_FAILED);
        api_reply_error(task->waiters->api, client->request, &err);
        drop_client(client);
    }
}

/* A submitted task is known to exist, so its client is told that much even now. */
static void answer_failure(struct waited_task *task, const struct rw_error *err)
{
    struct api *api = task->waiters->api;
    struct client *client = NULL;
    struct client *next = NULL;
    DL_FOREACH_SAFE(task->clients, client, next)
    {
        if (client->is_waiting && err->code != RW_ERR_CANCELLED) {
            task->has_failed = true;
            continue;
        }
        count_wait(client, WAIT_FAILED);
        if (client->kind == CLIENT_SUBMIT) {
            api_reply_json(api, client->request, 202, task_accepted_json(&task->id, RW_TASK_QUEUED));
        } else {
            api_reply_error(api, client->request, err);
        }
        drop_client(client);
    }
}

/* ---- reading ---- */

static void read_task(struct waited_task *task)
{
    if (task->is_reading) {
        task->has_to_read = true;
        return;
    }
    struct rw_pg_params params = {0};
    task->is_reading = true;
    task->has_to_read = false;
    task->has_failed = false;
    task->n_reads++;
    rw_pg_param_uuid(&params, &task->id);
    rw_pg_exec(task->waiters->api->pg, STORE_READ, &params, READ_TIMEOUT_MS, on_read, task); /* task may be gone after this */
}

static void on_retry_timer(uv_timer_t *timer)
{
    struct waiters *waiters = timer->data;
    struct waited_task *task = NULL;
    struct waited_task *next = NULL;
    HASH_ITER(hh, waiters->tasks, task, next)
    {
        if (task->has_failed) {
            read_task(task);
        }
    }
}

/* After the answers to one read: what is left to do for those who are still there. */
static void end_read(struct waited_task *task)
{
    task->is_reading = false;
    if (task->clients && task->has_to_read) {
        read_task(task);
        return;
    }
    if (task->has_failed && !task->waiters->is_closing && !uv_is_active((const uv_handle_t *)&task->waiters->retry_timer)) {
        (void)uv_timer_start(&task->waiters->retry_timer, on_retry_timer, RETRY_MS, 0);
    }
    free_if_unwanted(task);
}

static void on_rendered(void *arg, enum rw_task_state state, struct rw_http_content *content)
{
    struct waited_task *task = arg;
    struct waiters *waiters = task->waiters;
    if (content) {
        answer_rendered(task, state, content);
    } else {
        struct rw_error err = {0};
        (void)rw_error_set(&err, RW_ERR_OVERLOADED, 0, __func__, "too many large results are on their way to slow clients");
        answer_failure(task, &err);
    }
    end_read(task);
    waiters->n_rendering--;
    free_if_over(waiters);
}

static void on_read(void *arg, const PGresult *result, const struct rw_error *err)
{
    struct waited_task *task = arg;
    if (err) {
        struct rw_error told = {0};
        api_database_error(err, &told);
        answer_failure(task, &told);
    } else if (rw_pg_rows(result) == 0) {
        answer_unknown(task);
    } else {
        task->waiters->n_rendering++;
        render_task(task->waiters->api, &task->id, result, on_rendered, task);
        return;
    }
    end_read(task);
}

static void expire(struct client *client)
{
    client->is_waiting = false;
    client->read_min = client->task->n_reads + 1;
    read_task(client->task);
}

static void on_wait_timer(uv_timer_t *timer)
{
    expire(timer->data);
}

/* ---- the registry ---- */

static struct waited_task *find_task(struct waiters *waiters, const struct rw_uuid *id)
{
    struct waited_task *task = NULL;
    HASH_FIND(hh, waiters->tasks, id, sizeof(*id), task);
    return task;
}

static struct waited_task *get_task(struct waiters *waiters, const struct rw_uuid *id)
{
    struct waited_task *task = find_task(waiters, id);
    if (!task) {
        task = rw_xcalloc(1, sizeof(*task));
        task->id = *id;
        task->waiters = waiters;
        HASH_ADD(hh, waiters->tasks, id, sizeof(task->id), task);
    }
    return task;
}

void waiters_add(struct waiters *waiters, const struct rw_uuid *id, struct rw_http_request *request, enum client_kind kind,
                 const struct wait *wait, bool has_to_read)
{
    struct waited_task *task = get_task(waiters, id);
    struct client *client = rw_xcalloc(1, sizeof(*client));

    client->task = task;
    client->request = request;
    client->kind = kind;
    client->is_wait_given = wait->is_given;
    client->is_waiting = wait->ms > 0;
    client->read_min = task->n_reads + 1;
    DL_APPEND(task->clients, client);
    rw_gauge_set(waiters->api->metrics.waiting, (int64_t)atomic_fetch_add(&waiters->n_clients, 1) + 1);
    if (client->is_waiting && uv_timer_init(waiters->api->loop, &client->timer) == 0) {
        client->has_timer = true;
        client->timer.data = client;
        (void)uv_timer_start(&client->timer, on_wait_timer, wait->ms, 0);
    }
    if (has_to_read || !client->is_waiting) {
        read_task(task);
    }
}

bool waiters_is_empty(const struct waiters *waiters)
{
    return atomic_load(&waiters->n_clients) == 0;
}

void waiters_task_is_final(struct waiters *waiters, const struct rw_uuid *id, struct rw_bytes encoded)
{
    struct waited_task *task = find_task(waiters, id);
    if (!task) {
        return;
    }
    RW_AUTO(rw_http_content_unref) struct rw_http_content *content = render_encoded(waiters->api, id, encoded);
    if (content) {
        answer_final(task, content);
        free_if_unwanted(task);
    } else {
        read_task(task);
    }
}

void waiters_read_all(struct waiters *waiters)
{
    struct waited_task *task = NULL;
    struct waited_task *next = NULL;
    HASH_ITER(hh, waiters->tasks, task, next)
    {
        read_task(task);
    }
}

void waiters_expire_all(struct waiters *waiters)
{
    struct waited_task *task = NULL;
    struct waited_task *next = NULL;
    HASH_ITER(hh, waiters->tasks, task, next)
    {
        struct client *client = NULL;
        DL_FOREACH(task->clients, client)
        {
            if (client->is_waiting) {
                client->is_waiting = false;
                client->read_min = task->n_reads + 1;
            }
        }
        read_task(task);
    }
}

/* ---- life ---- */

static void on_retry_closed(uv_handle_t *handle)
{
    struct waiters *waiters = handle->data;
    waiters->is_closed = true;
    free_if_over(waiters);
}

int waiters_open(struct api *api, struct waiters **ret_waiters, struct rw_error *err)
{
    struct waiters *waiters = rw_xcalloc(1, sizeof(*waiters));
    int failed = uv_timer_init(api->loop, &waiters->retry_timer);
    if (failed) {
        free(waiters);
        return rw_fail_sys(err, INTERNAL, -failed, "uv_timer_init");
    }
    waiters->api = api;
    waiters->retry_timer.data = waiters;
    *ret_waiters = waiters;
    return 0;
}

void waiters_close(struct waiters *waiters)
{
    struct rw_error err = {0};
    struct waited_task *task = NULL;
    struct waited_task *next = NULL;

    if (!waiters) {
        return;
    }
    waiters->is_closing = true;
    (void)rw_error_set(&err, RW_ERR_CANCELLED, 0, __func__, "the server is being stopped");
    HASH_ITER(hh, waiters->tasks, task, next)
    {
        answer_failure(task, &err);
        free_if_unwanted(task);
    }
    uv_close((uv_handle_t *)&waiters->retry_timer, on_retry_closed);
}
