/* A task's row as JSON text: at once when it is small, else on one of libuv's worker threads, so that nobody else waits for it. */
#ifndef API_RENDER_H
#define API_RENDER_H

#include "api.h"
#include "store.h"

/* On the loop's thread, perhaps before render_task returns. content is borrowed; NULL: answers that clients are slow to take have
 * used up the memory there is for them. */
typedef void (*render_done)(void *arg, enum rw_task_state state, struct rw_http_content *content);

/* result: of STORE_READ, with one row; borrowed until this returns. */
void render_task(struct api *api, const struct rw_uuid *id, const PGresult *result, render_done done, void *arg);
/* A final task's row as it came with an event; owned by the caller. NULL when there is none, or none that can be understood. */
struct rw_http_content *render_encoded(struct api *api, const struct rw_uuid *id, struct rw_bytes encoded);

#endif
