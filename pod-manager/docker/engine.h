/* The Docker Engine API over its unix socket: calls with JSON in and out, and the stream of events. All calls and callbacks on the
 * loop's thread; nothing is told from inside engine_call or engine_watch. */
#ifndef ENGINE_H
#define ENGINE_H

#include <uv.h>

#include <rw/metrics.h>

#include "engine_text.h"

struct engine;

struct engine_request {
    const char *method; /* "POST" */
    const char *path;   /* "/containers/create?name=..."; the version comes before it once it is known */
    const cJSON *body;  /* borrowed during the call; NULL: none */
    uint32_t timeout_ms;
};

/* json: the answer's body, borrowed; NULL when there was none. err: NULL after an answer below 400; INVALID (400), NOT_FOUND (404),
 * CONFLICT (409), INTERNAL (any other status) with the engine's own words; UNAVAILABLE (not sent), IO or TIMEOUT (outcome unknown);
 * PROTOCOL. done may make calls and close the engine. */
typedef void (*engine_answered)(void *arg, const cJSON *json, const struct rw_error *err);

RW_NODISCARD int engine_open(uv_loop_t *loop, const char *socket, struct rw_metrics *metrics, struct engine **ret_engine,
                             struct rw_error *err);
void engine_close(struct engine *engine); /* calls under way end without done */
void engine_set_version(struct engine *engine, unsigned minor);
/* A call that cannot even be begun is told as INTERNAL, from the next turn of the loop. */
void engine_call(struct engine *engine, const struct engine_request *request, engine_answered done, void *arg);

struct engine_watcher {
    void (*event)(void *arg, const struct engine_event *event); /* from inside the HTTP client: must not make calls */
    void (*ended)(void *arg, const struct rw_error *err);       /* TIMEOUT: it has lived its time */
    void *arg;
};

/* Events of the containers with the label, from the given time on (seconds since 1970), for life_ms at most. */
void engine_watch(struct engine *engine, const char *label, int64_t since_s, uint32_t life_ms,
                  const struct engine_watcher *watcher);

#endif
