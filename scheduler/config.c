/* The scheduler's configuration. A number that is left out, or 0, takes the default of the table below; the table also holds the
 * range. */
#include "config.h"

#include <stddef.h>

#include <rw/auto.h>

static const cyaml_schema_field_t pod_manager_fields[] = {
    CYAML_FIELD_STRING_PTR("url", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct scheduler_config_pod_manager, url, 1, 1024),
    CYAML_FIELD_STRING_PTR("unix_socket", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct scheduler_config_pod_manager,
                           unix_socket, 1, 107),
    CYAML_FIELD_STRING_PTR("token_file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct scheduler_config_pod_manager, token_file,
                           1, 4095),
    CYAML_FIELD_END,
};

#define NUMBER(key) CYAML_FIELD_UINT(#key, CYAML_FLAG_OPTIONAL, struct scheduler_config, key)

static const cyaml_schema_field_t config_fields[] = {
    CYAML_FIELD_MAPPING("log", CYAML_FLAG_OPTIONAL, struct scheduler_config, log, rw_config_log_fields),
    CYAML_FIELD_MAPPING("http", CYAML_FLAG_OPTIONAL, struct scheduler_config, http, rw_config_http_fields),
    CYAML_FIELD_MAPPING("database", CYAML_FLAG_OPTIONAL, struct scheduler_config, database, rw_config_database_fields),
    CYAML_FIELD_MAPPING("broker", CYAML_FLAG_OPTIONAL, struct scheduler_config, broker, rw_config_broker_fields),
    CYAML_FIELD_STRING_PTR("languages_dir", CYAML_FLAG_POINTER, struct scheduler_config, languages_dir, 1, 4095),
    CYAML_FIELD_MAPPING("pod_manager", CYAML_FLAG_OPTIONAL, struct scheduler_config, pod_manager, pod_manager_fields),
    NUMBER(drain_ms),
    NUMBER(running_max),
    NUMBER(leasing_max),
    NUMBER(prefetch),
    NUMBER(lease_ms),
    NUMBER(renew_ms),
    NUMBER(sweep_ms),
    NUMBER(lost_after_ms),
    NUMBER(pod_wait_ms),
    NUMBER(hello_ms),
    NUMBER(attempt_max_ms),
    NUMBER(attempt_grace_ms),
    NUMBER(attempt_output_bytes_max),
    CYAML_FIELD_END,
};

const cyaml_schema_value_t scheduler_config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct scheduler_config, config_fields),
};

static const struct number {
    const char *key;
    size_t offset;
    uint32_t fallback; /* 0: derived from running_max below */
    uint32_t min;
    uint32_t max;
} numbers[] = {
#define ROW(key, fallback, min, max)                                                                                               \
    {                                                                                                                              \
#key, offsetof(struct scheduler_config, key), fallback, min, max                                                           \
    }
    ROW(drain_ms, 30000, 100, 3600000),
    ROW(running_max, 64, 1, 10000),
    ROW(leasing_max, 0, 1, 10000),
    ROW(prefetch, 0, 1, 10000),
    ROW(lease_ms, 10000, 500, 600000),
    ROW(renew_ms, 3000, 50, 300000),
    ROW(sweep_ms, 500, 20, 60000),
    ROW(lost_after_ms, 300000, 1000, 86400000),
    ROW(pod_wait_ms, 5000, 1, 60000),
    ROW(hello_ms, 5000, 10, 60000),
    ROW(attempt_max_ms, 300000, 100, 3000000),
    ROW(attempt_grace_ms, 5000, 1, 240000),
    ROW(attempt_output_bytes_max, 64 * 1024 * 1024, 1024, 1024 * 1024 * 1024),
#undef ROW
};

static int check_numbers(struct scheduler_config *config, struct rw_error *err)
{
    for (size_t i = 0; i < RW_ARRAY_SIZE(numbers); i++) {
        const struct number *number = &numbers[i];
        uint32_t *value = (uint32_t *)(void *)((char *)config + number->offset);
        *value = *value != 0 ? *value : number->fallback;
        if (*value != 0 && (*value < number->min || *value > number->max)) {
            return rw_fail(err, CONFIG, "%s: %u is not within %u and %u", number->key, *value, number->min, number->max);
        }
    }
    /* A queue's unsettled deliveries bound how many of its tasks run at once; a quarter of the places may wait for pods of one
     * language. */
    config->prefetch = config->prefetch != 0 ? config->prefetch : config->running_max;
    config->leasing_max = config->leasing_max != 0 ? config->leasing_max : (config->running_max + 3) / 4;
    return 0;
}

int scheduler_config_prepare(void *opaque, struct rw_error *err)
{
    struct scheduler_config *config = opaque;
    rw_config_log_defaults(&config->log);
    rw_config_http_defaults(&config->http, "127.0.0.1:8082");
    rw_config_database_defaults(&config->database);
    rw_config_broker_defaults(&config->broker);
    if (!config->pod_manager.url) {
        config->pod_manager.url = rw_xstrdup("http://127.0.0.1:8081");
    }
    if (check_numbers(config, err) < 0) {
        return -1;
    }
    if (config->renew_ms * 2 > config->lease_ms) {
        return rw_fail(err, CONFIG, "renew_ms: %u leaves no second try within lease_ms %u", config->renew_ms, config->lease_ms);
    }
    return 0;
}
