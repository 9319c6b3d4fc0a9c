/* The table of routes, and the handlers that answer from memory. docs/openapi.yaml describes the same routes; a test compares them.
 *  */
#include "handlers.h"

static void handle_languages(void *ctx, struct rw_http_request *request)
{
    const struct api *api = ctx;
    rw_http_reply(request, 200, "application/json", rw_bytes_of(api->languages_text, api->languages_len));
}

static void handle_healthz(void *ctx, struct rw_http_request *request)
{
    (void)ctx;
    rw_health_reply_alive(request);
}

static void handle_readyz(void *ctx, struct rw_http_request *request)
{
    const struct api *api = ctx;
    rw_health_reply_ready(api->health, request);
}

static void handle_metrics(void *ctx, struct rw_http_request *request)
{
    const struct api *api = ctx;
    rw_metrics_reply(api->registry, request);
}

static const struct rw_http_route routes[] = {
    {"POST", "/submit", 0, handle_submit}, /* the bound is the configuration's */
    {"GET", "/result/:task_id", 0, handle_result}, {"GET", "/languages", 0, handle_languages},
    {"GET", "/healthz", 0, handle_healthz},        {"GET", "/readyz", 0, handle_readyz},
    {"GET", "/metrics", 0, handle_metrics},
};

struct rw_http_route *handlers_routes(const struct api *api, size_t *ret_n)
{
    struct rw_http_route *copy = rw_xmemdup(routes, sizeof(routes));
    copy[0].body_bytes_max = api->config->body_bytes_max;
    *ret_n = RW_ARRAY_SIZE(routes);
    return copy;
}

static cJSON *limits_json(const struct rw_limits *limits)
{
    cJSON *json = cJSON_CreateObject();
#define ADD_LIMIT(field) rw_json_add_int(json, #field, (int64_t)limits->field);
    RW_LIMITS(ADD_LIMIT)
#undef ADD_LIMIT
    return json;
}

static void add_texts(cJSON *json, const char *key, char *const *texts, unsigned n_texts)
{
    cJSON *list = cJSON_AddArrayToObject(json, key);
    for (unsigned i = 0; i < n_texts; i++) {
        cJSON_AddItemToArray(list, cJSON_CreateString(texts[i]));
    }
}

static cJSON *language_json(const struct rw_language *language)
{
    cJSON *json = cJSON_CreateObject();
    rw_json_add_string(json, "id", language->id);
    rw_json_add_string(json, "name", language->name);
    add_texts(json, "aliases", language->aliases, language->n_aliases);
    rw_json_add_string(json, "source_file", language->source_file);
    add_texts(json, "source_extensions", language->source_extensions, language->n_source_extensions);
    cJSON *versions = cJSON_AddArrayToObject(json, "versions");
    for (unsigned i = 0; i < language->n_versions; i++) {
        const struct rw_language_version *version = &language->versions[i];
        cJSON *item = cJSON_CreateObject();
        rw_json_add_string(item, "version", version->version);
        (void)cJSON_AddBoolToObject(item, "default", version->is_default);
        (void)cJSON_AddBoolToObject(item, "compiled", version->compile_argv != NULL);
        cJSON_AddItemToArray(versions, item);
    }
    cJSON *limits = cJSON_AddObjectToObject(json, "limits");
    cJSON_AddItemToObject(limits, "default", limits_json(&language->limits_default));
    cJSON_AddItemToObject(limits, "maximum", limits_json(&language->limits_max));
    return json;
}

char *handlers_languages_text(const struct rw_catalogue *catalogue, size_t *ret_len)
{
    RW_AUTO(cJSON_Delete) cJSON *json = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(json, "languages");
    for (size_t i = 0; i < rw_catalogue_count(catalogue); i++) {
        cJSON_AddItemToArray(list, language_json(rw_catalogue_at(catalogue, i)));
    }
    return rw_json_print(json, ret_len);
}
