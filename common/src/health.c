/* Health: the conditions a daemon needs, and the answers of /healthz, /readyz and /metrics. */
#include <rw/daemon.h>

#include <pthread.h>
#include <string.h>

enum { DETAIL_BYTES = 240, NOTES_MAX = 4 };

struct condition {
    const char *name; /* static */
    bool is_met;
    char detail[DETAIL_BYTES];
};

struct note {
    const char *name; /* static */
    char text[DETAIL_BYTES];
};

struct rw_health {
    pthread_mutex_t lock; /* guards what follows */
    size_t n_notes;
    struct note notes[NOTES_MAX];
    size_t n_conditions;
    struct condition conditions[RW_HEALTH_CONDITIONS_MAX];
};

struct rw_health *rw_health_new(void)
{
    struct rw_health *health = rw_xcalloc(1, sizeof(*health));
    (void)pthread_mutex_init(&health->lock, NULL);
    return health;
}

void rw_health_free(struct rw_health *health)
{
    if (health) {
        (void)pthread_mutex_destroy(&health->lock);
        free(health);
    }
}

/* The condition, made when it is new; the last one when the table is full. The lock is held. */
static struct condition *find_condition(struct rw_health *health, const char *name)
{
    for (size_t i = 0; i < health->n_conditions; i++) {
        if (strcmp(health->conditions[i].name, name) == 0) {
            return &health->conditions[i];
        }
    }
    if (health->n_conditions < RW_HEALTH_CONDITIONS_MAX) {
        health->n_conditions++;
    }
    struct condition *condition = &health->conditions[health->n_conditions - 1];
    condition->name = name;
    return condition;
}

void rw_health_set(struct rw_health *health, const char *name, bool is_met, const char *detail)
{
    (void)pthread_mutex_lock(&health->lock);
    struct condition *condition = find_condition(health, name);
    condition->is_met = is_met;
    (void)snprintf(condition->detail, sizeof(condition->detail), "%s", detail ? detail : "");
    (void)pthread_mutex_unlock(&health->lock);
}

void rw_health_note(struct rw_health *health, const char *name, const char *text)
{
    (void)pthread_mutex_lock(&health->lock);
    size_t i = 0;
    while (i < health->n_notes && strcmp(health->notes[i].name, name) != 0) {
        i++;
    }
    if (i < NOTES_MAX) {
        health->notes[i].name = name;
        (void)snprintf(health->notes[i].text, sizeof(health->notes[i].text), "%s", text);
        health->n_notes = i < health->n_notes ? health->n_notes : i + 1;
    }
    (void)pthread_mutex_unlock(&health->lock);
}

static void add_notes(const struct rw_health *health, cJSON *json)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&health->lock;
    (void)pthread_mutex_lock(lock);
    for (size_t i = 0; i < health->n_notes; i++) {
        rw_json_add_string(json, health->notes[i].name, health->notes[i].text);
    }
    (void)pthread_mutex_unlock(lock);
}

/* What is lacking as a JSON list; *ret_count: how much. */
static cJSON *lacking_json(const struct rw_health *health, int *ret_count)
{
    struct rw_health copy;
    cJSON *list = cJSON_CreateArray();
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&health->lock; /* locking does not change what the caller sees */

    (void)pthread_mutex_lock(lock);
    copy.n_conditions = health->n_conditions;
    memcpy(copy.conditions, health->conditions, sizeof(copy.conditions));
    (void)pthread_mutex_unlock(lock);
    for (size_t i = 0; i < copy.n_conditions; i++) {
        if (copy.conditions[i].is_met) {
            continue;
        }
        cJSON *item = cJSON_CreateObject();
        rw_json_add_string(item, "name", copy.conditions[i].name);
        if (copy.conditions[i].detail[0]) {
            rw_json_add_string(item, "detail", copy.conditions[i].detail);
        }
        cJSON_AddItemToArray(list, item);
    }
    *ret_count = cJSON_GetArraySize(list);
    return list;
}

bool rw_health_is_ready(const struct rw_health *health)
{
    int count = 0;
    cJSON_Delete(lacking_json(health, &count));
    return count == 0;
}

void rw_health_reply_alive(struct rw_http_request *request)
{
    cJSON *json = cJSON_CreateObject();
    rw_json_add_string(json, "status", "alive");
    rw_http_reply_json(request, 200, json);
}

void rw_health_reply_ready(const struct rw_health *health, struct rw_http_request *request)
{
    int count = 0;
    cJSON *list = lacking_json(health, &count);
    cJSON *json = cJSON_CreateObject();
    rw_json_add_string(json, "status", count == 0 ? "ready" : "not_ready");
    cJSON_AddItemToObject(json, "lacking", list);
    add_notes(health, json);
    rw_http_reply_json(request, count == 0 ? 200 : 503, json);
}

void rw_metrics_reply(struct rw_metrics *metrics, struct rw_http_request *request)
{
    enum { METRICS_BYTES_MAX = 4 * 1024 * 1024 };
    RW_AUTO_BUFFER struct rw_buffer text = {0};
    struct rw_error err = {0};

    rw_buffer_init(&text, METRICS_BYTES_MAX);
    if (rw_metrics_write(metrics, &text, &err)) {
        rw_http_reply_error(request, &err, NULL);
        return;
    }
    rw_http_reply(request, 200, "text/plain; version=0.0.4; charset=utf-8", rw_buffer_view(&text));
}
