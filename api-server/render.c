/* Rendering. The largest results the limits permit make 100 MB of JSON and take some tenths of a second; meanwhile the loop serves
 * everybody else. What clients have not taken yet is bounded all together. */
#include "render.h"

#include <rw/log.h>

#include "task_json.h"

enum { SMALL_BYTES = 64 * 1024, ANSWERS_BYTES_MAX = 256 * 1024 * 1024 };

struct render {
    uv_work_t work;
    struct api *api;
    struct rw_uuid id;
    PGresult *result; /* a copy */
    enum rw_task_state state;
    struct rw_http_content *content;
    render_done done;
    void *arg;
};

static struct rw_http_content *render_row(struct api *api, const struct rw_uuid *id, const struct rw_task_row *row)
{
    size_t len = 0;
    RW_AUTO(cJSON_Delete) cJSON *json = task_json(id, row);
    char *text = rw_json_print(json, &len);
    return rw_http_content_new(text, len, &api->answers_bytes);
}

static struct rw_http_content *render_result(struct api *api, const struct rw_uuid *id, const PGresult *result,
                                             enum rw_task_state *ret_state)
{
    struct rw_task_row row = {0};
    store_read_row(result, &row);
    *ret_state = row.state;
    return render_row(api, id, &row);
}

struct rw_http_content *render_encoded(struct api *api, const struct rw_uuid *id, struct rw_bytes encoded)
{
    struct rw_task_row row;
    struct rw_task_row_texts texts;
    struct rw_error err;
    if (encoded.len == 0) {
        return NULL;
    }
    if (rw_task_row_decode(encoded, &row, &texts, &err) < 0) {
        rw_log_error(RW_LOG_WARNING, "an event's row cannot be understood", &err);
        return NULL;
    }
    return render_row(api, id, &row);
}

static void on_work(uv_work_t *work)
{
    struct render *render = work->data;
    render->content = render_result(render->api, &render->id, render->result, &render->state);
}

static void on_worked(uv_work_t *work, int status)
{
    struct render *render = work->data;
    (void)status; /* never cancelled */
    render->done(render->arg, render->state, render->content);
    rw_http_content_unref(render->content);
    PQclear(render->result);
    free(render);
}

void render_task(struct api *api, const struct rw_uuid *id, const PGresult *result, render_done done, void *arg)
{
    if (store_row_bytes(result) <= SMALL_BYTES) {
        enum rw_task_state state = _RW_TASK_INVALID;
        RW_AUTO(rw_http_content_unref) struct rw_http_content *content = render_result(api, id, result, &state);
        done(arg, state, content);
        return;
    }
    if (atomic_load(&api->answers_bytes) > ANSWERS_BYTES_MAX) {
        done(arg, _RW_TASK_INVALID, NULL);
        return;
    }
    struct render *render = rw_xcalloc(1, sizeof(*render));
    render->work.data = render;
    render->api = api;
    render->id = *id;
    render->done = done;
    render->arg = arg;
    render->result = PQcopyResult(result, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    if (!render->result) {
        abort(); /* out of memory, as in rw_xmalloc */
    }
    (void)uv_queue_work(api->loop, &render->work, on_work, on_worked); /* fails only without a callback */
}
