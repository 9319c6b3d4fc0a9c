/* Asking after a lease: whether its pod still serves, and if not, why. */
#include "leases_internal.h"

#include <utlist.h>

#include <rw/json.h>

enum { LOOK_MS = 1000 /* the pod-manager answers from memory */ };

struct lease_look {
    struct leases *leases;
    struct rw_http_call *call;
    lease_looked done; /* NULL: given up */
    void *arg;
    struct lease_look *prev;
    struct lease_look *next;
};

struct sight {
    const char *lease_id;
    const char *pod_ended;
};

static const struct rw_json_field sight_fields[] = {
    {"lease_id", RW_JSON_STRING, true, 1, RW_UUID_TEXT_BYTES - 1, offsetof(struct sight, lease_id), SIZE_MAX},
    {"pod_ended", RW_JSON_STRING, false, 1, 64, offsetof(struct sight, pod_ended), SIZE_MAX},
};

static enum lease_sight read_sight(const cJSON *json, const char **ret_reason)
{
    struct sight sight = {0};
    struct rw_field_errors errors = {0};
    rw_json_decode(json, "", sight_fields, RW_ARRAY_SIZE(sight_fields), &sight, &errors);
    if (errors.count > 0) {
        return LEASE_SIGHT_NONE;
    }
    *ret_reason = sight.pod_ended;
    return sight.pod_ended ? LEASE_SIGHT_ENDED : LEASE_SIGHT_SERVES;
}

static void looked(void *arg, const struct rw_http_answer *answer, const struct rw_error *call_err)
{
    static const struct rw_json_limits limits = {.bytes_max = ANSWER_BYTES_MAX, .depth_max = 4, .values_max = 64};
    RW_AUTO_FREE struct lease_look *look = arg;
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    struct rw_error err;
    const char *reason = NULL;
    enum lease_sight sight = LEASE_SIGHT_NONE;
    DL_DELETE(look->leases->looks, look);
    leases_report(look->leases, !call_err);
    if (!call_err && answer->status == 404) {
        sight = LEASE_SIGHT_UNKNOWN;
    } else if (!call_err && answer->status == 200 && rw_json_parse(answer->body, &limits, &json, &err) == 0) {
        sight = read_sight(json, &reason);
    }
    if (look->done) {
        look->done(look->arg, sight, reason);
    }
}

struct lease_look *leases_look(struct leases *leases, const struct rw_uuid *id, lease_looked done, void *arg)
{
    char text[RW_UUID_TEXT_BYTES];
    RW_AUTO_FREE char *path = rw_xasprintf("/leases/%s", rw_uuid_format(id, text));
    struct lease_look *look = rw_xcalloc(1, sizeof(*look));
    struct rw_error err;
    look->leases = leases;
    look->done = done;
    look->arg = arg;
    if (leases_call(leases, "GET", path, rw_bytes_of(NULL, 0), LOOK_MS, looked, look, &look->call, &err) < 0) {
        free(look);
        done(arg, LEASE_SIGHT_NONE, NULL);
        return NULL;
    }
    DL_APPEND(leases->looks, look);
    return look;
}

void leases_look_away(struct lease_look *look)
{
    if (look) {
        look->done = NULL;
    }
}

void leases_look_close(struct leases *leases)
{
    struct lease_look *look;
    struct lease_look *next;
    DL_FOREACH_SAFE(leases->looks, look, next)
    {
        DL_DELETE(leases->looks, look);
        free(look);
    }
}
