/* The api-server's configuration: schema, defaults, ranges. */
#include "config.h"

#include <rw/auto.h>
#include <rw/job.h>

static const cyaml_schema_value_t level_schema = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 16)};

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_MAPPING("log", CYAML_FLAG_OPTIONAL, struct api_config, log, rw_config_log_fields),
    CYAML_FIELD_MAPPING("http", CYAML_FLAG_OPTIONAL, struct api_config, http, rw_config_http_fields),
    CYAML_FIELD_MAPPING("database", CYAML_FLAG_OPTIONAL, struct api_config, database, rw_config_database_fields),
    CYAML_FIELD_MAPPING("broker", CYAML_FLAG_OPTIONAL, struct api_config, broker, rw_config_broker_fields),
    CYAML_FIELD_STRING_PTR("languages_dir", CYAML_FLAG_POINTER, struct api_config, languages_dir, 1, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("token_file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct api_config, token_file, 1,
                           CYAML_UNLIMITED),
    CYAML_FIELD_UINT("drain_ms", CYAML_FLAG_OPTIONAL, struct api_config, drain_ms),
    CYAML_FIELD_UINT("backlog_max", CYAML_FLAG_OPTIONAL, struct api_config, backlog_max),
    CYAML_FIELD_UINT("body_bytes_max", CYAML_FLAG_OPTIONAL, struct api_config, body_bytes_max),
    CYAML_FIELD_UINT("wait_max_s", CYAML_FLAG_OPTIONAL, struct api_config, wait_max_s),
    CYAML_FIELD_UINT("lost_after_ms", CYAML_FLAG_OPTIONAL, struct api_config, lost_after_ms),
    CYAML_FIELD_SEQUENCE_COUNT("isolation", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct api_config, isolation, n_isolation,
                               &level_schema, 1, _RW_ISOLATION_MAX),
    CYAML_FIELD_END,
};

const cyaml_schema_value_t api_config_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct api_config, fields)};

struct range {
    const char *name;
    uint32_t *value; /* 0: not given */
    uint32_t fallback;
    uint32_t min;
    uint32_t max;
};

static int prepare_isolation(struct api_config *config, struct rw_error *err)
{
    config->is_offered[RW_ISOLATION_POD] = config->n_isolation == 0;
    for (unsigned i = 0; i < config->n_isolation; i++) {
        enum rw_isolation level = rw_isolation_parse(config->isolation[i]);
        if (level == _RW_ISOLATION_INVALID) {
            return rw_fail(err, CONFIG, "isolation: must be a list of pod and sandbox");
        }
        config->is_offered[level] = true;
    }
    return 0;
}

int api_config_prepare(void *arg, struct rw_error *err)
{
    struct api_config *config = arg;
    const struct range ranges[] = {
        {"drain_ms", &config->drain_ms, 10000, 100, 600000},
        {"backlog_max", &config->backlog_max, 50000, 1, 100000000},
        {"body_bytes_max", &config->body_bytes_max, 1024 * 1024, 1024, RW_JOB_BYTES_MAX},
        {"wait_max_s", &config->wait_max_s, 60, 1, 60},
        {"lost_after_ms", &config->lost_after_ms, 300000, 1000, 86400000},
    };

    rw_config_log_defaults(&config->log);
    rw_config_http_defaults(&config->http, "127.0.0.1:8080");
    rw_config_database_defaults(&config->database);
    rw_config_broker_defaults(&config->broker);
    for (size_t i = 0; i < RW_ARRAY_SIZE(ranges); i++) {
        const struct range *range = &ranges[i];
        if (*range->value == 0) {
            *range->value = range->fallback;
        }
        if (*range->value < range->min || *range->value > range->max) {
            return rw_fail(err, CONFIG, "%s must be from %u to %u", range->name, range->min, range->max);
        }
    }
    return prepare_isolation(config, err);
}
