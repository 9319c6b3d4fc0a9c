/* A task as a client reads it (docs/api.md). */
#ifndef API_TASK_JSON_H
#define API_TASK_JSON_H

#include <rw/json.h>
#include <rw/uuid.h>

#include "store.h"

enum { TASK_URL_BYTES = 64 };

/* "/result/<id>" into out; returns out. */
char *task_url(const struct rw_uuid *id, char out[static TASK_URL_BYTES]);
/* {"task_id", "status", "url"}: what 202 says. */
cJSON *task_accepted_json(const struct rw_uuid *id, enum rw_task_state state);
/* The whole of it. Every member is always there; what is not known (yet) is null. */
cJSON *task_json(const struct rw_uuid *id, const struct rw_task_row *row);

#endif
